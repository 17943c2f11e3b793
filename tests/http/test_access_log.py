# SPDX-License-Identifier: Apache-2.0
"""The JSON access log is JSON whatever came in, and tells no secrets."""

import json
import os
import threading
import time

import pytest

from hb_client import Client, raw

OURS = """
<Location "/o">
    HaloBuzzProblems on
</Location>
"""


def entries(path, count, wait=5):
    until = time.monotonic() + wait
    while True:
        with open(path, "rb") as f:
            lines = f.read().splitlines()
        if len(lines) >= count or time.monotonic() > until:
            return [json.loads(line.decode("utf-8")) for line in lines]
        time.sleep(0.02)


@pytest.fixture
def logged(make_server):
    return make_server(own=("halobuzz",), extra=OURS, settings={"HaloBuzzAccessLog": "access.log"})


def path_of(server):
    return os.path.join(server.state, "access.log")


def test_an_entry_says_what_happened(logged):
    before = len(entries(path_of(logged), 1))
    reply = Client(logged).get("/o/x?token=secret", headers={
        "User-Agent": "tester", "Referer": "https://a.example/page?code=secret#part",
        "Authorization": "Bearer secret"})
    entry = entries(path_of(logged), before + 1)[-1]
    assert entry["requestId"] == reply.headers["X-Request-Id"]
    assert entry["status"] == 404 and entry["method"] == "GET"
    assert entry["path"] == "/o/x" and entry["route"] is None and entry["user"] is None
    assert entry["address"] == "127.0.0.1" and entry["agent"] == "tester"
    assert entry["referer"] == "https://a.example/page"
    assert entry["bytes"] == len(reply.content) and entry["usec"] > 0
    assert time.strptime(entry["time"].split(".")[0], "%Y-%m-%dT%H:%M:%S")
    with open(path_of(logged)) as f:
        assert "secret" not in f.read()


HOSTILE = [bytes([b]) for b in range(1, 256) if b not in b"\r\n"]


def test_any_byte_in_any_header_gives_valid_lines(logged):
    before = len(entries(path_of(logged), 1))
    sent = 0
    for start in range(0, len(HOSTILE), 16):
        junk = b"".join(HOSTILE[start:start + 16]) + b'"\\'
        escaped = b"".join(b"%%%02x" % b for b in junk if b)
        raw(logged, b"GET /o/" + escaped + b" HTTP/1.1\r\nHost: localhost\r\nUser-Agent: " + junk
            + b"\r\nReferer: " + junk + b"\r\nConnection: close\r\n\r\n")
        sent += 1
    assert len(entries(path_of(logged), before + sent)) == before + sent


def test_long_lines_stay_whole_and_short_enough_for_a_pipe(logged):
    before = len(entries(path_of(logged), 1))
    for byte in (b"a", b"%01", b"%22", b"%ff"):
        raw(logged, b"GET /o/" + byte * (7000 // len(byte)) + b" HTTP/1.1\r\nHost: localhost\r\n"
            b"User-Agent: " + b"\xff" * 7000 + b"\r\nReferer: " + b"\x7f" * 7000
            + b"\r\nConnection: close\r\n\r\n")
    assert len(entries(path_of(logged), before + 4)) == before + 4
    with open(path_of(logged), "rb") as f:
        assert max(len(line) for line in f) <= 4096


def test_lines_of_many_callers_do_not_mix(logged):
    before = len(entries(path_of(logged), 1))

    def call():
        client = Client(logged)
        for _ in range(50):
            client.get("/o/" + "x" * 1200)

    threads = [threading.Thread(target=call) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    found = entries(path_of(logged), before + 400)
    assert len({e["requestId"] for e in found}) == before + 400


def test_a_program_can_take_it(make_server):
    server = make_server(own=("halobuzz",), extra=OURS, settings={
        "HaloBuzzAccessLog": '"|/usr/bin/tee -a /dev/null"'})
    assert Client(server).get("/o/x").status_code == 404


def test_a_log_that_cannot_be_opened_is_told_and_survived(make_server, claims):
    claims("HB02040")
    server = make_server(own=("halobuzz",), extra=OURS, settings={
        "HaloBuzzAccessLog": "/nowhere/at/all.log"})
    assert Client(server).get("/o/x").status_code == 404
    assert "HB02040" in server.log_text()


def test_a_link_is_not_followed_by_root(make_server, claims, as_root):
    claims("HB02040")
    server = make_server(start=False, own=("halobuzz",), extra=OURS, settings={
        "HaloBuzzAccessLog": "access.log"})
    target = os.path.join(server.root, "of-root")
    open(target, "w").close()
    os.symlink(target, path_of(server))
    server.start()
    Client(server).get("/o/x")
    assert os.path.getsize(target) == 0


def test_a_reload_opens_it_anew(logged):
    """What logrotate does: move away, reload."""
    os.rename(path_of(logged), path_of(logged) + ".1")
    logged.graceful()
    Client(logged).get("/o/after")
    assert entries(path_of(logged), 1)[-1]["path"] == "/o/after"
