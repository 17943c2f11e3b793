# SPDX-License-Identifier: Apache-2.0
"""The limiter over HTTP: exact over all children, keys, headers, watching, configuration."""

import concurrent.futures
import os
import re
import socket
import time

import pytest

from hb_client import Client, assert_problem, raw
from hb_users import Users

LIMITED = """
<Location "/limited">
    HaloBuzzRateLimitClass files
</Location>
"""
REMOTEIP = "RemoteIPHeader X-Forwarded-For\nRemoteIPInternalProxy 127.0.0.1\n"


def put_file(server, path, text="content\n"):
    full = os.path.join(server.root, "htdocs", path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "w") as f:
        f.write(text)


@pytest.fixture
def limited(make_server):
    """A server with a static location of class files."""
    def make(rate="3/60s", extra="", key="key=ip", **args):
        settings = args.pop("settings", {})
        one = make_server(start=False, modules=["remoteip"],
                          settings={"HaloBuzzRateLimit files": (rate + " " + key).strip(),
                                    **settings},
                          extra=REMOTEIP + LIMITED + extra, **args)
        put_file(one, "limited/a.txt")
        put_file(one, "free/a.txt")
        return one.start()
    return make


def codes(client, n, path="/limited/a.txt", **args):
    return [client.get(path, **args).status_code for _ in range(n)]


def storm(server, n, path, threads=24, header=b""):
    """n requests at once over fresh connections; their status numbers."""
    request = (b"GET " + path.encode() + b" HTTP/1.1\r\nHost: localhost\r\n" + header
               + b"Connection: close\r\n\r\n")
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda _: raw(server, request).status, range(n)))


@pytest.mark.parametrize("mpm", ["event", "worker", "prefork"])
def test_exactly_the_number_passes_over_all_children(limited, claims, mpm):
    claims("AH00468")   # at the stop, when the event MPM closes what a worker just closed
    server = limited("100/60s", mpm=mpm)
    assert len(server.children()) > 1
    for key in (b"198.51.100.1", b"198.51.100.2"):
        seen = storm(server, 300, "/limited/a.txt", header=b"X-Forwarded-For: " + key + b"\r\n")
        assert seen.count(200) == 100 and seen.count(429) == 200


def test_a_refusal_is_a_problem_and_says_when_to_come_back(limited):
    server = limited("2/60s")
    client = Client(server)
    first = client.get("/limited/a.txt")
    assert first.status_code == 200
    assert first.headers["RateLimit-Limit"] == "2"
    assert first.headers["RateLimit-Remaining"] == "1"
    assert first.headers["RateLimit-Reset"] == "60"
    assert "Retry-After" not in first.headers
    assert client.get("/limited/missing.txt").headers["RateLimit-Remaining"] == "0"
    reply = client.get("/limited/a.txt")
    problem = assert_problem(reply, 429, "rate.limited")
    assert "2 requests in 60 seconds" in problem["detail"]
    assert reply.headers["RateLimit-Limit"] == "2"
    assert reply.headers["RateLimit-Remaining"] == "0"
    assert 1 <= int(reply.headers["Retry-After"]) <= 60
    assert reply.headers["Retry-After"] == reply.headers["RateLimit-Reset"]
    head = client.head("/limited/a.txt")
    assert head.status_code == 429 and head.content == b""
    # Elsewhere nothing is counted, and nothing is said.
    free = client.get("/free/a.txt")
    assert free.status_code == 200 and "RateLimit-Limit" not in free.headers


def test_a_window_ends_and_refusals_do_not_count(limited):
    server = limited("2/1s")
    client = Client(server)
    assert codes(client, 6) == [200, 200, 429, 429, 429, 429]
    time.sleep(1.05)
    assert codes(client, 3) == [200, 200, 429]


def test_callers_are_told_apart_after_mod_remoteip(limited):
    server = limited("1/60s")
    client = Client(server)

    def status(address):
        return client.get("/limited/a.txt", headers={"X-Forwarded-For": address}).status_code

    assert status("192.0.2.1") == 200
    assert status("192.0.2.1") == 429
    assert status("192.0.2.2") == 200
    # An IPv6 caller is its /64; an IPv4 address in IPv6 clothes is itself.
    assert status("2001:db8:1:2::1") == 200
    assert status("2001:db8:1:2:ffff::9") == 429
    assert status("2001:db8:1:3::1") == 200
    assert status("::ffff:192.0.2.1") == 429


def test_whoever_is_no_proxy_cannot_name_an_address(make_server):
    server = make_server(start=False, modules=["remoteip"],
                         settings={"HaloBuzzRateLimit files": "1/60s"},
                         extra=REMOTEIP.replace("127.0.0.1", "127.0.0.9") + LIMITED)
    put_file(server, "limited/a.txt")
    client = Client(server.start())
    assert [client.get("/limited/a.txt", headers={"X-Forwarded-For": "192.0.2.%d" % i})
            .status_code for i in range(3)] == [200, 429, 429]


def test_watching_reports_and_admits(limited):
    server = limited("2/60s", key="key=ip watch")
    client = Client(server)
    replies = [client.get("/limited/a.txt") for _ in range(5)]
    assert [r.status_code for r in replies] == [200] * 5
    assert not any("RateLimit-Limit" in r.headers for r in replies)
    assert server.log_text().count("HB03506") == 3
    assert "127.0.0.1" in server.log_text()
    page = client.get("/api/v1/monitoring/metrics")
    if page.status_code == 200:
        assert "halobuzz_rate_limit_watched_total 3" in page.text
        assert "halobuzz_rate_limit_refused_total 0" in page.text


@pytest.mark.parametrize("mode, logged", [("watch", True), ("off", False)])
def test_the_mode_holds_for_all_classes(limited, mode, logged):
    server = limited("1/60s", settings={"HaloBuzzRateLimitMode": mode})
    assert codes(Client(server), 3) == [200] * 3
    assert ("HB03506" in server.log_text()) == logged


def test_a_class_can_be_off(limited):
    assert codes(Client(limited("1/60s", key="off")), 3) == [200] * 3


def test_exempt_addresses_are_not_counted(limited):
    server = limited("1/60s", extra="HaloBuzzRateLimitExempt 192.0.2.10 198.51.100.0/24\n"
                                    "HaloBuzzRateLimitExempt 2001:db8::/32\n")
    client = Client(server)
    for address in ("192.0.2.10", "198.51.100.77", "2001:db8::5"):
        assert codes(client, 3, headers={"X-Forwarded-For": address}) == [200] * 3
    assert codes(client, 2, headers={"X-Forwarded-For": "192.0.2.11"}) == [200, 429]


def test_a_part_of_a_location_can_be_left_out(limited):
    server = limited("1/60s", extra="""
<Location "/limited/open">
    HaloBuzzRateLimitClass none
</Location>
""")
    put_file(server, "limited/open/a.txt")
    client = Client(server)
    assert codes(client, 2) == [200, 429]
    assert codes(client, 3, "/limited/open/a.txt") == [200] * 3


def test_a_directory_index_counts_once(limited):
    server = limited("2/60s")
    put_file(server, "limited/index.html")
    client = Client(server)
    assert client.get("/limited/").headers["RateLimit-Remaining"] == "1"
    assert codes(client, 2, "/limited/") == [200, 429]


def test_refused_callers_count_too(limited, claims):
    """Guessing behind an access rule is limited like anything else."""
    claims("AH01630")
    server = limited("2/60s", extra="""
<Location "/limited/closed">
    Require all denied
</Location>
""")
    assert codes(Client(server), 4, "/limited/closed/x") == [403, 403, 429, 429]


def test_a_reload_keeps_the_counts(limited):
    server = limited("4/60s")
    assert codes(Client(server), 3) == [200] * 3
    server.graceful()
    assert codes(Client(server), 2) == [200, 429]


def test_signed_in_callers_count_by_user(limited):
    server = limited("2/60s", key="key=user")
    one, other = Users(server).make(), Users(server).make()
    path = "/limited/a.txt"
    assert codes(one, 3) == [200, 200, 429]
    assert codes(other, 1) == [200]
    # Another session of the same user is the same caller, from wherever it comes.
    one.login()
    assert one.get(path, headers={"X-Forwarded-For": "192.0.2.9"}).status_code == 429
    # Strangers share their address, and so do made-up tokens.
    assert codes(Client(server), 1) == [200]
    assert codes(Client(server, token="made.up.token"), 1) == [200]
    assert codes(Client(server, token="made.up.again"), 1) == [429]


def test_tokens_count_by_session(limited):
    server = limited("2/60s", key="key=token")
    one = Users(server).make()
    assert codes(one, 3) == [200, 200, 429]
    one.login()
    assert codes(one, 3) == [200, 200, 429]
    assert codes(Client(server, token="x"), 3) == [200, 200, 429]


def test_the_api_is_limited_by_the_class_of_a_route(make_server):
    server = make_server(settings={"HaloBuzzRateLimit api": "5/60s key=user"})
    client = Client(server)
    path = "/api/v1/streams"
    seen = [client.get(path) for _ in range(7)]
    assert [r.status_code for r in seen] == [200] * 5 + [429] * 2
    assert [r.headers["RateLimit-Remaining"] for r in seen[:5]] == list("43210")
    assert_problem(seen[6], 429, "rate.limited")
    # Unknown paths are counted too, health is not.
    assert client.get("/api/v1/nothing/here").status_code == 429
    assert client.get("/healthz").status_code == 200


def test_a_bad_token_is_no_way_past_the_limit(make_server):
    server = make_server(settings={"HaloBuzzRateLimit api": "3/60s key=user"})
    client = Client(server, token="guess")
    for _ in range(3):
        assert_problem(client.get("/api/v1/users/me"), 401, "token.invalid")
    assert_problem(client.get("/api/v1/users/me"), 429, "rate.limited")
    assert client.get("/api/v1/nothing/here").status_code == 429


def test_a_session_that_ended_costs_its_user_no_turn(make_server):
    server = make_server(settings={"HaloBuzzRateLimit api": "6/60s key=user"})
    user = Users(server).make()
    ended = Client(server, token=user.token)
    user.login()
    assert ended.post("/api/v1/auth/logout").status_code == 204
    assert user.get("/api/v1/users/me").headers["RateLimit-Remaining"] == "4"
    for _ in range(6):
        assert_problem(ended.get("/api/v1/users/me"), 401, "token.revoked")
    assert_problem(ended.get("/api/v1/users/me"), 429, "rate.limited")
    assert user.get("/api/v1/users/me").headers["RateLimit-Remaining"] == "3"


def test_a_call_counts_once_when_its_location_has_the_class_too(make_server):
    server = make_server(settings={"HaloBuzzRateLimit api": "5/60s key=user"}, extra="""
<Location "/api">
    HaloBuzzRateLimitClass api
</Location>
""")
    assert codes(Client(server), 6, "/api/v1/streams") == [200] * 5 + [429]


def test_a_refused_upload_is_not_read(limited):
    server = limited("1/60s")
    assert codes(Client(server), 1) == [200]
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port), 20) as s:
        s.sendall(b"POST /limited/a.txt HTTP/1.1\r\nHost: localhost\r\n"
                  b"Content-Length: 500000000\r\n\r\n" + b"x" * 20000)
        reply = s.recv(65536)
        assert reply.startswith(b"HTTP/1.1 429 ")
        assert b"Connection: close" in reply
        with pytest.raises(OSError):
            while True:
                s.sendall(b"x" * 65536)
                if not s.recv(1):
                    raise ConnectionResetError
    assert time.monotonic() - started < 8


def test_the_environment_wins_for_the_api(make_server):
    server = make_server(settings={"HaloBuzzRateLimit api": "500/1s"}, environment={
        "RATE_LIMIT_MAX_REQUESTS": "2", "RATE_LIMIT_WINDOW_MS": "90000"})
    client = Client(server)
    first = client.get("/api/v1/streams")
    assert first.headers["RateLimit-Limit"] == "2" and first.headers["RateLimit-Reset"] == "90"
    assert codes(client, 2, "/api/v1/streams") == [200, 429]
    off = make_server(settings={"HaloBuzzRateLimit api": "1/60s"},
                      environment={"ENABLE_RATE_LIMITING": "false"})
    assert codes(Client(off), 3, "/api/v1/streams") == [200] * 3


def dump(server):
    server.port = server.port or 1
    server.write_conf()
    done = server.command("-t", "-D", "DUMP_HB_LIMITS")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_dump_says_what_is_in_force(make_server):
    def line(name, text):
        return re.search(r"^%s .*$" % name, text, re.M).group(0).split()

    server = make_server(start=False, settings={
        "HaloBuzzRateLimit api": None, "HaloBuzzRateLimit auth": None,
        "HaloBuzzRateLimit health": None, "HaloBuzzRateLimit webhook": None,
        "HaloBuzzRateLimit slow": "7/1500ms key=token watch"})
    text = dump(server)
    assert "mode enforce" in text
    assert line("api", text)[:4] == ["api", "100/60s", "key=user", "enforce"]
    assert line("auth", text)[:4] == ["auth", "100/900s", "key=ip", "enforce"]
    assert line("webhook", text)[:3] == ["webhook", "600/60s", "key=ip"]
    assert line("health", text)[:3] == ["health", "600/60s", "key=ip"]
    assert line("slow", text)[:4] == ["slow", "7/1500ms", "key=token", "watch"]
    server.settings["HaloBuzzRateLimitPreset"] = "arch"
    assert line("api", dump(server))[1] == "100/900s"
    server.settings["HaloBuzzRateLimit api"] = "9/1m"
    assert line("api", dump(server))[1] == "9/60s"
    assert line("api", dump(server))[2] == "key=user"
    server.environment = {"RATE_LIMIT_MAX_REQUESTS": "55"}
    assert line("api", dump(server))[1] == "55/60s"


@pytest.mark.parametrize("text, says", [
    ("HaloBuzzRateLimit api", ["needs a class and a rate", "100/60s"]),
    ("HaloBuzzRateLimit api 100", ['"100"', "NUMBER/WINDOW"]),
    ("HaloBuzzRateLimit api 0/60s", ['"0/60s"', "16000000"]),
    ("HaloBuzzRateLimit api -1/60s", ['"-1/60s"']),
    ("HaloBuzzRateLimit api 16000001/60s", ["16000000"]),
    ("HaloBuzzRateLimit api 99999999999999999999/60s", ["16000000"]),
    ("HaloBuzzRateLimit api 100/0s", ["1ms to 24h"]),
    ("HaloBuzzRateLimit api 100/25h", ["1ms to 24h"]),
    ("HaloBuzzRateLimit api 100/x", ['"x"']),
    ("HaloBuzzRateLimit api 100/60s key=name", ['"key=name"', "key=token"]),
    ("HaloBuzzRateLimit api 100/60s enforce", ['"enforce"', "watch"]),
    ("HaloBuzzRateLimit a/b 100/60s", ['"a/b"', "letters"]),
    ("HaloBuzzRateLimit none 100/60s", ['"none"']),
    ("HaloBuzzRateLimitMode maybe", ['"maybe"', "enforce, watch and off"]),
    ("HaloBuzzRateLimitPreset big", ['"big"', "ops", "arch"]),
    ("HaloBuzzRateLimitExempt 1.2.3.4/99", ['"1.2.3.4/99"', "192.0.2.10"]),
    ("HaloBuzzRateLimitExempt example", ['"example"']),
    ("HaloBuzzRateLimitClass nowhere", ["nowhere", "no such class", "api auth webhook health"]),
    ("<Location /x>\nHaloBuzzRateLimitMode off\n</Location>", ["HaloBuzzRateLimitMode"]),
    ("<VirtualHost *:1>\nHaloBuzzRateLimit api 1/1s\n</VirtualHost>", ["outside any section"]),
])
def test_mistakes_are_explained(make_server, text, says):
    server = make_server(start=False, extra=text)
    code, output = server.configtest()
    assert code != 0
    for part in says:
        assert part in output, output


@pytest.mark.parametrize("name, value", [
    ("RATE_LIMIT_MAX_REQUESTS", "many"), ("RATE_LIMIT_MAX_REQUESTS", "0"),
    ("RATE_LIMIT_WINDOW_MS", "86400001"), ("RATE_LIMIT_WINDOW_MS", "60s"),
    ("ENABLE_RATE_LIMITING", "perhaps"),
])
def test_mistakes_in_the_environment_are_explained(make_server, name, value):
    server = make_server(start=False, environment={name: value})
    code, output = server.configtest()
    assert code != 0 and name in output and value in output
