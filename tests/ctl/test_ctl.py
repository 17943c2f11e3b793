# SPDX-License-Identifier: Apache-2.0
"""halobuzzctl, as halobuzzctl.8 promises it."""

import os
import re
import socket
import sqlite3
import stat

import pytest

from hb_client import Client, assert_problem
from hb_httpd import is_root
from test_totp import totp

OK, FAILED, USAGE, UNREACHABLE = 0, 1, 2, 3
LONG = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_-_"


def settings_of(server):
    return os.path.join(server.root, "run", "halobuzz-settings")


def create(ctl, place, name, *more, password="Kathmandu-26!"):
    return ctl("user", "create", "--email", name + "@halobuzz.test", "--username", name,
               "--password-file", place.file("pw", password + "\n"), *more, place=place)


# --- the command line

def test_usage(ctl):
    done = ctl()
    assert done.code == USAGE and "check" in done.err and not done.out
    assert ctl("--help").code == OK
    done = ctl("help")
    assert done.code == OK and "store backup" in done.out
    done = ctl("help", "user")
    assert done.code == OK and "user create" in done.out and "store" not in done.out
    for words, told in ((("store", "copy"), ["store copy"]), (("version",), ["version"]),
                        (("backup",), ["backup list", "backup test", "backup unpack", "backup"]),
                        (("cron", "run", "JOB"), ["cron run"])):
        done = ctl(*words, "--help")
        assert done.code == OK and not done.err
        assert re.findall(r"^halobuzzctl ([a-z]+(?: [a-z]+)?)", done.out, re.M) == told
    done = ctl("bus", "fly")
    assert done.code == USAGE and "bus tail" in done.err and "store" not in done.err
    done = ctl("bus")
    assert done.code == USAGE and 'takes another word' in done.err and "bus tail" in done.err
    assert "comes before --json" in ctl("--json", "status").err
    assert ctl("version").out.startswith("halobuzzctl ")
    assert ctl("version", "--json").json["version"]


@pytest.mark.parametrize("args", [
    ("fly",), ("user",), ("user", "fly"), ("check", "--fly"), ("check", "extra"),
    ("seed", "--json"), ("cron", "pause", "clean-up", "--json"),
    ("user", "create"), ("user", "create", "--email"), ("user", "role", "x"),
    ("user", "role", "x", "king"), ("user", "list", "--limit", "0"), ("user", "list", "--limit=x"),
    ("seed", "--demo=yes"), ("og", "bonus"), ("og", "bonus", "--date", "2026-02-30"), ("store", "backup"), ("help", "fly"),
])
def test_wrong_command_lines(ctl, place, args):
    done = ctl(*args, place=place)
    assert done.code == USAGE and done.err and not done.out
    assert not os.listdir(place.state)


def test_nothing_is_coloured_for_a_script(ctl, place):
    done = ctl("check", place=place)
    assert "\033" not in done.out + done.err


# --- accounts

def test_accounts_are_made_and_shown(ctl, place):
    done = create(ctl, place, "boss", "--role", "superadmin,finance", "--verified", "--json")
    assert done.code == OK, done.err
    assert set(done.json["roles"]) >= {"superadmin", "finance"} and done.json["emailVerifiedAt"]
    assert create(ctl, place, "anna").code == OK
    done = ctl("user", "list", "--json", place=place)
    assert [u["username"] for u in done.json["items"]] == ["anna", "boss"]
    assert [u["username"] for u in ctl("user", "list", "--staff", "--json", place=place)
            .json["items"]] == ["boss"]
    for name in ("boss", "boss@halobuzz.test", done.json["items"][1]["id"]):
        shown = ctl("user", "show", name, "--json", place=place)
        assert shown.code == OK and shown.json["username"] == "boss"
        assert "password" not in shown.out.lower()
    assert ctl("user", "show", "nobody", place=place).code == FAILED


def test_bad_accounts_are_explained(ctl, place):
    assert create(ctl, place, "anna").code == OK
    done = create(ctl, place, "anna")
    assert done.code == FAILED and done.err
    done = create(ctl, place, "x", password="short")
    assert done.code == FAILED and "username" in done.err and "password" in done.err
    done = ctl("user", "create", "--email", "a@halobuzz.test", "--username", "other",
               "--password-file", "/nonexistent", place=place)
    assert done.code == FAILED and "/nonexistent" in done.err


def test_roles_are_set(ctl, place):
    create(ctl, place, "anna")
    assert ctl("user", "role", "anna", "moderator,support", place=place).code == OK
    assert set(ctl("user", "show", "anna", "--json", place=place).json["roles"]) == {
        "moderator", "support"}
    assert ctl("user", "role", "anna", "none", "--json", place=place).json["roles"] == []
    assert ctl("user", "disable", "anna", "--json", place=place).json["status"] == "disabled"
    assert ctl("user", "enable", "anna", "--json", place=place).json["status"] == "active"


def test_passwords_come_from_a_file_or_stdin(ctl, place):
    done = ctl("user", "create", "--email", "a@halobuzz.test", "--username", "anna",
               "--password-file", "-", place=place, stdin="Kathmandu-26!\n")
    assert done.code == OK, done.err
    done = ctl("user", "password", "anna", place=place, stdin="")
    assert done.code == USAGE and "--password-file" in done.err
    done = ctl("user", "password", "anna", "--password-file", "-", place=place, stdin="short\n")
    assert done.code == FAILED


def test_a_running_server_knows_the_accounts(ctl, make_server):
    server = make_server()
    settings = settings_of(server)
    client = Client(server)

    def login(password):
        return client.post("/api/v1/auth/login",
                           json={"email": "anna@halobuzz.test", "password": password})

    done = ctl("user", "create", "--email", "anna@halobuzz.test", "--username", "anna",
               "--password-file", "-", settings=settings, stdin="Kathmandu-26!\n")
    assert done.code == OK, done.err
    assert login("Kathmandu-26!").status_code == 200
    done = ctl("user", "password", "anna", "--password-file", "-", settings=settings,
               stdin="Pokhara-27!\n")
    assert done.code == OK, done.err
    assert_problem(login("Kathmandu-26!"), 401, "auth.credentials")
    assert login("Pokhara-27!").status_code == 200
    assert ctl("user", "disable", "anna", settings=settings).code == OK
    assert_problem(login("Pokhara-27!"), 403, "account.disabled")
    assert ctl("user", "enable", "anna", settings=settings).code == OK
    signed_in = login("Pokhara-27!")
    assert signed_in.status_code == 200
    # A second factor, and how who lost it comes in again.
    anna = Client(server, signed_in.json()["accessToken"])
    secret = anna.post("/api/v1/auth/totp", json={}).json()["secret"]
    assert anna.post("/api/v1/auth/totp/confirm", json={"code": totp(secret)}).status_code == 200
    assert_problem(login("Pokhara-27!"), 401, "totp.required")
    assert "has a second factor" in ctl("user", "totp", "anna", settings=settings).out
    assert ctl("user", "totp", "anna", "--remove", settings=settings).code == OK
    assert login("Pokhara-27!").status_code == 200
    done = ctl("user", "totp", "anna", "--remove", settings=settings)
    assert done.code == FAILED and "no second factor" in done.err


def test_disabling_ends_the_stream(ctl, make_server):
    from hb_users import Users
    server = make_server()
    host = Users(server).make()
    stream = host.post("/api/v1/streams", json={"title": "t"}).json()
    assert host.post("/api/v1/streams/%s/start" % stream["id"]).status_code == 200
    assert ctl("user", "disable", host.username, settings=settings_of(server)).code == OK
    seen = Client(server).get("/api/v1/streams/" + stream["id"]).json()
    assert seen["status"] == "ended"


# --- as root

def test_root_leaves_no_files_of_its_own(ctl, place, as_root):
    assert create(ctl, place, "anna").code == OK
    assert ctl("seed", "--demo", place=place).code == OK
    found = 0
    for folder, _, names in os.walk(place.state):
        for name in names + ["."]:
            info = os.stat(os.path.join(folder, name))
            assert info.st_uid == place.owner, (folder, name)
            assert not stat.S_IMODE(info.st_mode) & 0o7, (folder, name)
            found += 1
    assert found > 3


def test_others_are_told_whom_to_be(ctl, place, as_root):
    done = ctl("user", "list", place=place, prefix=("runuser", "-u", "nobody", "--"))
    assert done.code == FAILED and "www-data" in done.err and "runuser" in done.err


# --- the store

def test_seed(ctl, place):
    done = ctl("seed", place=place)
    assert done.code == OK and "added 19 gifts and 5 OG tiers" in done.out
    assert "words that are not taken" in done.out
    again = ctl("seed", place=place).out
    assert "added 0 gifts and 0 OG tiers" in again and "added 0 words" in again
    assert ctl("user", "list", "--json", place=place).json["items"] == []
    done = ctl("seed", "--demo", place=place)
    assert done.code == OK and "9 demo accounts" in done.out and "6 streams" in done.out
    done = ctl("seed", "--demo", place=place)
    assert done.code == OK and "0 demo accounts and 0 streams" in done.out
    stats = ctl("store", "stats", "--json", place=place).json
    assert stats["collections"]["users"]["records"] == 9
    assert stats["collections"]["liveStreams"]["records"] == 6


def test_seed_with_rows_of_ones_own(ctl, place):
    rows = place.file("gifts.json", '[{"code": "a", "name": "A", "priceCoins": 1}]', mode=0o644)
    for wrong, why in (('[{"code": "a"}]', "name"), ("{}", "no array"), ("[", "gifts.json")):
        done = ctl("seed", "--gifts", place.file("wrong-gifts.json", wrong, mode=0o644),
                   place=place)
        assert done.code == FAILED and why in done.err
    assert ctl("seed", "--gifts", place.root + "/none", place=place).code == FAILED
    done = ctl("seed", "--gifts", rows, place=place)
    assert done.code == OK and "added 1 gifts and 5 OG tiers" in done.out


def test_og_bonus(ctl, place):
    assert ctl("seed", place=place).code == OK
    done = ctl("og", "bonus", "--date", "2026-01-02", "--json", place=place)
    assert done.code == OK
    assert done.json == {"date": "2026-01-02", "entitled": 0, "paid": 0, "coins": 0}
    done = ctl("og", "bonus", "--date", "9999-01-01", place=place)
    assert done.code == FAILED and "has not begun in Australia/Sydney" in done.err


def test_maintenance_is_planned_and_called_off(ctl, place):
    plan = ("maintenance", "plan")
    done = ctl(*plan, place=place)
    assert done.code == USAGE and "--at 20" in done.err
    for times, field in ((("--at", "tomorrow"), "startsAt"),
                         (("--at", "2020-01-01T00:00:00Z"), "startsAt"),
                         (("--at", "2096-01-02T00:00:00Z", "--until", "2096-01-01T00:00:00Z"),
                          "endsAt")):
        done = ctl(*plan, *times, place=place)
        assert done.code == FAILED and "  %s: " % field in done.err
    done = ctl(*plan, "--at", "2096-01-02T03:00:00+05:45", "--until", "2096-01-02T00:00:00Z",
               "--reason", "New disks.", "--mail", "--json", place=place)
    assert done.code == OK
    one = done.json
    assert (one["state"], one["startsAt"][:19]) == ("planned", "2096-01-01T21:15:00")
    assert one["mail"] and not one["push"]
    done = ctl(*plan, "--at", "2096-01-01T21:15:00Z", place=place)
    assert done.code == FAILED and "planned for that moment already" in done.err
    line = ctl("maintenance", "list", place=place).out
    assert one["id"] in line and "planned" in line and "by mail  New disks." in line
    done = ctl("maintenance", "cancel", one["id"], place=place)
    assert done.code == OK and "cancelled" in done.out
    assert ctl("maintenance", "cancel", one["id"], place=place).code == FAILED
    assert ctl("maintenance", "cancel", "nothing", place=place).code == FAILED
    listed = ctl("maintenance", "list", "--json", place=place).json
    assert [item["state"] for item in listed["items"]] == ["cancelled"] and not listed["next"]
    # Nobody was told yet, so nobody is told that it will not be.
    rows = sqlite3.connect(os.path.join(place.state, "halobuzz.db")).execute(
        'select count(*) from "noticeOutbox"').fetchone()
    assert rows == (0,)


def test_store_commands(ctl, place):
    assert ctl("seed", "--demo", place=place).code == OK
    assert ctl("store", "verify", place=place).code == OK
    assert ctl("store", "verify", "--json", place=place).json == {"whole": True, "findings": []}
    assert "users" in ctl("store", "stats", place=place).out
    copy = os.path.join(place.state, "copy.db")
    done = ctl("store", "backup", copy, place=place)
    assert done.code == OK and done.out.strip() == copy
    assert sqlite3.connect(copy).execute("pragma integrity_check").fetchone() == ("ok",)
    done = ctl("store", "backup", copy, place=place)
    assert done.code == FAILED and "a file of that name" in done.err


def test_a_damaged_store_is_told(ctl, place):
    assert ctl("seed", "--demo", place=place).code == OK
    with open(os.path.join(place.state, "halobuzz.db"), "r+b") as f:
        f.seek(0, 2)
        size = f.tell()
        for at in range(4096 * 3, size, 4096):
            f.seek(at + 100)
            f.write(b"\xff" * 600)
    done = ctl("store", "verify", place=place)
    assert done.code != OK and done.err + done.out
    assert ctl("check", place=place).code == FAILED


# --- check

def lines_of(done):
    return done.out.splitlines()


def test_check_sums_up_in_the_runbooks_words(ctl, place):
    done = ctl("check", place=place)
    assert done.code == OK, done.out + done.err
    assert lines_of(done)[-4:] == ["\u2705 Configuration validation passed",
                                   "\u2705 All required variables set",
                                   "\u2705 Security settings validated",
                                   "\u2705 External services configured"]


def findings(done, mark=None):
    return [f for f in done.json["findings"] if mark is None or f["mark"] == mark]


@pytest.mark.parametrize("settings, area, words", [
    ({"HaloBuzzAgoraAppId": "970CA35de60c44645bbae8a215061b33"}, "services",
     "HaloBuzzAgoraCertificate"),
    ({"HaloBuzzAgoraAppId": "970CA35de60c44645bbae8a215061b33",
      "HaloBuzzAgoraCertificate": "env:SHORT"}, "services", "32 hex digits"),
    ({"HaloBuzzSMTP": "mail.example.com"}, "configuration", "smtp://"),
    ({"HaloBuzzSMTP": "smtp://mail.example.com", "HaloBuzzSMTPUser": "x"}, "services", "together"),
    ({"HaloBuzzEnvironment": "production"}, "security", "HaloBuzzPasswordCost"),
    ({"HaloBuzzAuthStaffTOTP": "off", "HaloBuzzEnvironment": "production"}, "security",
     "second factor"),
    ({"HaloBuzzAuthSecret": "env:SHORT"}, "security", "it needs 64"),
    ({"HaloBuzzAuthSecret": "env:RUNBOOK"}, "security", "runbook's example"),
    ({"HaloBuzzAuthSecret": "env:DULL"}, "security", "can be guessed"),
    ({"HaloBuzzAuthSecret": "env:STRONG", "HaloBuzzAuthRefreshSecret": "env:STRONG"}, "security",
     "the same"),
    ({"HaloBuzzAuthSecret": "file:/nonexistent"}, "required", "cannot be read"),
    ({"HaloBuzzPublicURL": "http://api.halobuzz.test:9"}, "security", "not encrypted"),
    ({"HaloBuzzStore": "oracle:x"}, "configuration", "oracle"),
    ({"HaloBuzzStore": "env:SHORT"}, "required", "none of what HaloBuzzStore takes"),
    ({"HaloBuzzCache": "file:/nonexistent"}, "required", "HaloBuzzCache: /nonexistent"),
])
def test_check_finds(ctl, make_place, settings, area, words):
    secrets = {"SHORT": "too-short", "DULL": "ab" * 40, "STRONG": LONG,
               "RUNBOOK": "your-super-secure-jwt-secret-minimum-64-characters-long"}
    done = ctl("check", "--json", place=make_place(**settings), environment=secrets)
    assert done.code == FAILED
    assert not done.json["passed"]
    mine = [f for f in findings(done, "bad") if words in f["finding"]]
    assert mine and mine[0]["area"] == area and mine[0]["fix"], done.out
    for secret in secrets.values():
        assert secret not in done.out + done.err or secret in settings.values()


def test_check_of_strong_secrets(ctl, make_place):
    done = ctl("check", "--json", place=make_place(HaloBuzzAuthSecret="env:A",
                                                   HaloBuzzAuthRefreshSecret="env:B"),
               environment={"A": LONG, "B": LONG[::-1]})
    assert done.code == OK and done.json["passed"], done.out
    assert LONG not in done.out + done.err


def test_check_of_the_state_directory(ctl, place):
    assert ctl("seed", place=place).code == OK
    os.chmod(place.state, 0o755)
    os.chmod(os.path.join(place.state, "halobuzz.db"), 0o644)
    bad = [f["finding"] for f in findings(ctl("check", "--json", place=place), "bad")]
    assert any("mode 0755" in f for f in bad) and any("halobuzz.db" in f for f in bad)
    if is_root():
        os.chmod(place.state, 0o750)
        os.chmod(os.path.join(place.state, "halobuzz.db"), 0o640)
        path = os.path.join(place.state, "stray")
        open(path, "w").close()
        os.chmod(path, 0o640)
        bad = findings(ctl("check", "--json", place=place), "bad")
        assert len(bad) == 1 and "another user" in bad[0]["finding"] and "chown" in bad[0]["fix"]


def test_check_of_what_jobs_need(ctl, make_place):
    place = make_place(HaloBuzzBackupDir="/nowhere/backups", HaloBuzzReservedNames="/nowhere/names",
                       HaloBuzzBackupFiles="/etc/passwd, /nowhere/conf")
    done = ctl("check", "--json", place=place)
    bad = " ".join(f["finding"] for f in findings(done, "bad"))
    for words in ("because /nowhere cannot be written", "/nowhere/names cannot be read",
                  "/nowhere/conf cannot be read"):
        assert words in bad, done.out
    assert done.code == FAILED and "passwd" not in bad


def test_check_without_a_state_directory(ctl, place):
    os.rmdir(place.state)
    done = ctl("check", place=place)
    assert done.code == FAILED and "install -d" in done.out + done.err
    assert "\u274c Required variables are missing" in done.out


def test_check_of_the_environment(ctl, place):
    done = ctl("check", "--json", place=place,
               environment={"AGORA_APP_CERT": "one", "AGORA_APP_CERTIFICATE": "two",
                            "S3_BUCKET": "a", "AWS_S3_BUCKET": "b", "AWS_REGION": "same",
                            "S3_REGION": "same", "OPENAI_API_KEY": "sk-live_secret",
                            "NODE_OPTIONS": "--inspect", "PORT": "5010",
                            "DB_POOL_SIZE": "20", "DB_POOL_MIN": "5", "DB_POOL_MAX": "50"})
    bad = [f["finding"] for f in findings(done, "bad")]
    assert not any("DB_POOL" in line for line in bad)
    assert "AGORA_APP_CERT" in bad[0] and "AWS_S3_BUCKET" in bad[1] and "REGION" not in bad[1]
    notes = " ".join(f["finding"] for f in findings(done, "note"))
    for name in ("OPENAI_API_KEY", "NODE_OPTIONS", "PORT", "DB_POOL_MIN"):
        assert name in notes
    assert "sk-live_secret" not in done.out


def test_check_of_a_redis_that_is_away(ctl, make_place):
    for place in (make_place(HaloBuzzCache="redis://:a,b@127.0.0.1:1"),
                  make_place(HaloBuzzCache="exec:/bin/echo redis://:a,b@127.0.0.1:1")):
        done = ctl("check", "--json", place=place)
        bad = next(f for f in findings(done, "bad") if "redis" in f["finding"])
        assert "redis://:***@127.0.0.1:1" in bad["finding"] and "Redis running" in bad["fix"]
        assert "a,b" not in done.out + done.err


def test_a_store_whose_url_is_in_a_file(ctl, make_place):
    place = make_place()
    with open(place.settings, "a") as f:
        f.write("HaloBuzzStore file:%s\n" % place.file("url", "sqlite:apart.db\n"))
    assert ctl("seed", place=place).code == OK
    assert os.path.exists(os.path.join(place.state, "apart.db"))
    assert ctl("check", place=place).code == OK
    place.file("url", "sqlite:apart.db\n", mode=0o644)
    done = ctl("store", "stats", place=place)
    assert done.code == FAILED and "HaloBuzzStore: " in done.err and "chmod 0640" in done.err


def test_check_of_what_several_hosts_share(ctl, make_place):
    place = make_place(HaloBuzzStore="mongodb://u:pass@127.0.0.1:1/x",
                       HaloBuzzStoreSelectTimeout="1s")
    done = ctl("check", "--json", place=place)
    notes = [f["fix"] for f in findings(done, "note") if "one of several hosts" in f["finding"]]
    assert "HaloBuzzCache" in notes[0] and "HaloBuzzAuthRefreshSecret" in notes[1]
    assert "u:pass" not in done.out + done.err

    def mark(done):
        return re.search("keys of this host have the mark ([0-9a-f]{8}),", done.out).group(1)

    assert mark(ctl("check", "--json", place=place)) == mark(done)
    os.remove(os.path.join(place.state, "keys", "access.keys"))
    assert mark(ctl("check", "--json", place=place)) != mark(done)


def test_check_of_broken_settings(ctl, place):
    with open(place.settings, "a") as f:
        f.write("HaloBuzzStoreWait soon\n")
    done = ctl("check", place=place)
    assert done.code == FAILED and "HaloBuzzStoreWait" in done.out
    assert "\u274c Configuration validation failed" in done.out and "validated" not in done.out
    done = ctl("user", "list", place=place)
    assert done.code == FAILED and "HaloBuzzStoreWait" in done.err


def test_check_of_a_running_server(ctl, make_server):
    server = make_server(tls=True)
    assert Client(server).get("/health").status_code == 200
    done = ctl("check", "--json", settings=settings_of(server))
    assert done.code == OK, done.out
    texts = " ".join(f["finding"] for f in findings(done))
    assert "not trusted" in texts and "TLS 1.2 and above" in texts and "ends in" in texts


# --- asking a server

def test_health(ctl, server):
    done = ctl("health", settings=settings_of(server))
    assert done.code == OK, done.out + done.err
    lines = lines_of(done)
    assert len(lines) == 4 and all(line.startswith("\u2705 ") for line in lines)
    assert lines[0] == "\u2705 Backend: %s/api/v1/monitoring/health" % server.url
    assert lines[1] == "\u2705 AI Engine: %s/api/v1/health" % server.url
    assert lines[2].endswith(": Connected") and lines[3].endswith(": Connected")
    assert ctl("health", server.url + "/").code == OK
    rows = ctl("health", "--json", server.url).json
    assert [r["healthy"] for r in rows] == [True] * 4 and rows[0]["name"] == "Backend"


def closed_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.mark.parametrize("command", ["health", "status", "routes", "smoke"])
def test_nobody_there(ctl, command):
    done = ctl(command, "http://127.0.0.1:%d" % closed_port())
    assert done.code == UNREACHABLE
    assert done.out + done.err
    assert "deleted" not in done.out            # there was nothing to tidy up


@pytest.mark.parametrize("command", ["health", "status", "routes", "smoke"])
def test_somebody_else_there(ctl, server, command):
    done = ctl(command, server.url + "/elsewhere")
    assert done.code == FAILED


def test_no_address(ctl):
    done = ctl("health", "localhost:8443")
    assert done.code != OK and "https://" in done.err


def test_status(ctl, server):
    done = ctl("status", "--json", settings=settings_of(server))
    assert done.code == OK and done.json["health"]["status"] == "healthy"
    assert done.json["metrics"]["halobuzz_registrations_total"] >= 0
    assert "uptime" in ctl("status", server.url).out


def test_routes(ctl, server):
    done = ctl("routes", "--json", server.url)
    assert done.code == OK
    rows = {(r["method"], r["path"]): r["summary"] for r in done.json}
    assert rows[("POST", "/api/v1/streams/{id}/join")]
    assert re.search(r"^GET +/api/v1/users/me +\S", ctl("routes", server.url).out, re.M)


def test_smoke(ctl, server):
    done = ctl("smoke", server.url)
    assert done.code == OK, done.out + done.err
    assert all(line.startswith("\u2705 ") for line in lines_of(done))
    assert all(step["passed"] for step in ctl("smoke", "--json", server.url).json)
    names = [u["username"] for u in
             ctl("user", "list", "--json", settings=settings_of(server)).json["items"]]
    assert not [n for n in names if n.startswith("smoke")]


def test_smoke_checks_certificates_unless_told(ctl, make_server):
    server = make_server(tls=True)
    done = ctl("smoke", server.url)
    assert done.code == UNREACHABLE and "certificate" in done.out
    assert ctl("smoke", "-k", server.url).code == OK
