# SPDX-License-Identifier: Apache-2.0
"""Starting, reloading, dying."""

import contextlib
import os
import pwd
import random
import signal
import sqlite3
import subprocess
import threading
import time

import pytest
import requests

from hb_beside import free_port, make_target
from hb_client import Client, assert_problem, raw
from hb_httpd import BUILD, is_root, processes_of, sanitizer_libraries
from hb_realtime import wait_for
from hb_users import PASSWORD, Users

OURS = """
<Location "/o">
    HaloBuzzProblems on
</Location>
"""
ASK = b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def resident_kb(pid):
    with open("/proc/%d/status" % pid) as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


class Load:
    """Callers that ask without pause and note what went wrong."""

    def __init__(self, server, path, status, callers=4, ask=None):
        self.server, self.status = server, status
        self.ask = ask or ASK % path
        self.done, self.failed, self.stops = 0, [], False
        self.threads = [threading.Thread(target=self.run) for _ in range(callers)]

    def run(self):
        while not self.stops:
            try:
                reply = raw(self.server, self.ask)
                if reply.status != self.status:
                    self.failed.append(reply.data[:200])
            except OSError as error:
                self.failed.append(error)
            self.done += 1

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *exc):
        self.stops = True
        for t in self.threads:
            t.join()


@pytest.mark.slow
def test_twenty_reloads_under_load(make_server):
    """No request fails, and neither the parent nor the log grows without end."""
    server = make_server(extra=OURS)
    user = Users(server).make()
    reads = (b"GET /api/v1/users/me HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
             b"Authorization: Bearer " + user.token.encode() + b"\r\n\r\n")
    writes = (b"PATCH" + reads[3:-2] + b"Content-Type: application/json\r\n"
              b"Content-Length: 14\r\n\r\n" + b'{"bio":"busy"}')
    with Load(server, b"/o/x", 404, callers=2) as load, \
            Load(server, None, 200, callers=2, ask=reads) as reading, \
            Load(server, None, 200, callers=1, ask=writes) as writing:
        for n in range(20):
            server.graceful()
            if n == 7:
                early = resident_kb(server.process.pid)
            time.sleep(0.15)
    assert load.failed + reading.failed + writing.failed == []
    assert load.done > 100 and reading.done > 100 and writing.done > 20
    grown = resident_kb(server.process.pid) - early
    assert grown < 1024, "the parent grew by %d kB in 12 reloads" % grown


def test_a_killed_child_is_replaced(make_server, claims):
    claims("AH00052")
    server = make_server(own=("halobuzz",), extra=OURS)
    before = set(server.children())
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + 15
    while not set(server.children()) - before or not server.answers():
        assert time.monotonic() < until, server.log_text()[-1500:]
        time.sleep(0.05)
    assert_problem(Client(server).get("/o/x"), 404)


class Registering:
    """Callers that register one account after the other; made holds what was acknowledged."""

    def __init__(self, server, callers=4):
        self.server, self.made, self.stops = server, [], threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(n,)) for n in range(callers)]

    def run(self, who):
        n = 0
        while not self.stops.is_set():
            name = "w%dn%d" % (who, n)
            n += 1
            try:
                reply = Client(self.server).post("/api/v1/auth/register", timeout=5, json={
                    "email": name + "@halobuzz.test", "username": name, "password": PASSWORD})
                if reply.status_code == 201:
                    self.made.append((name, reply.json()["accessToken"]))
            except requests.RequestException:
                pass            # the child that had it is gone

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *exc):
        self.stops.set()
        for t in self.threads:
            t.join()


def assert_kept(server, made):
    """What was acknowledged is there."""
    for name, token in made[::max(1, len(made) // 40)]:
        assert Client(server, token).get("/api/v1/users/me").status_code == 200, name
        reply = Client(server).post("/api/v1/auth/login", json={
            "username": name, "password": PASSWORD})
        assert reply.status_code == 200, (name, reply.text)


def verify_store(server):
    """halobuzzctl store verify, as the operator calls it; (exit status, what it says)"""
    env = {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": server.libs,
           "HALOBUZZ_SETTINGS": os.path.join(server.root, "run", "halobuzz-settings")}
    done = subprocess.run([os.path.join(server.libs, "halobuzzctl"), "store", "verify"], env=env,
                          capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_children_killed_in_the_middle_of_writes(make_server, claims):
    """What was acknowledged is there, what was not is absent or whole, and the file is sound."""
    claims("AH00052", "~HB01")
    server = make_server()
    with Registering(server) as writers:
        for _ in range(6):
            time.sleep(0.5)
            os.kill(random.choice(server.children()), signal.SIGKILL)
        time.sleep(1)
    assert len(writers.made) > 20
    until = time.monotonic() + 15
    while not server.answers():
        assert time.monotonic() < until
    assert_kept(server, writers.made)
    server.stop()
    with contextlib.closing(sqlite3.connect(os.path.join(server.state, "halobuzz.db"))) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.shm
def test_all_killed_in_the_middle_of_writes(make_server, claims):
    """As conf/ says: records and sessions stay, also ended ones; counts of a window begin anew."""
    claims("AH00098")
    server = make_server(settings={"HaloBuzzRateLimit health": "3/600s"})
    user, ended = Users(server).make(), Users(server).make()
    assert ended.post("/api/v1/auth/logout").status_code == 204
    assert [Client(server).get("/health").status_code for _ in range(4)] == [200] * 3 + [429]
    with Registering(server) as writers:
        wait_for(lambda: len(writers.made) > 10)
        server.kill()
    code, text = verify_store(server)
    assert code == 0, text
    server.start_again()
    assert_kept(server, writers.made)
    assert user.get("/api/v1/users/me").status_code == 200
    assert_problem(ended.get("/api/v1/users/me"), 401)
    assert [Client(server).get("/health").status_code for _ in range(4)] == [200] * 3 + [429]
    code, text = verify_store(server)
    assert code == 0, text


def test_after_the_parent_was_killed(make_server, claims):
    """Orphans keep the state directory to themselves; when they are gone, it starts again."""
    claims("AH00098")           # httpd's word about the pid file that was left
    server = make_server(own=("halobuzz",), extra=OURS)
    session = server.process.pid
    os.kill(session, signal.SIGKILL)
    server.process.wait()
    assert processes_of(session), "no orphan to look at"
    other = make_server(start=False, own=("halobuzz",), settings={"HaloBuzzStateDir": server.state})
    other.port = free_port()
    other.write_conf()
    refused = other.command("-DFOREGROUND")
    assert refused.returncode != 0
    assert "HB02020" in other.log_text() and str(session) in other.log_text()
    server.kill_session(session)
    server.start_again()
    assert_problem(Client(server).get("/o/x"), 404)
    other.log_read = 1 << 30


def test_two_servers_do_not_share_a_state_directory(make_server):
    first = make_server(own=("halobuzz",))
    second = make_server(start=False, own=("halobuzz",),
                         settings={"HaloBuzzStateDir": first.state})
    second.port = free_port()
    second.write_conf()
    refused = second.command("-DFOREGROUND")
    assert refused.returncode != 0
    assert "another server (process %d) works on %s" % (first.process.pid, first.state) \
        in second.log_text()
    second.log_read = 1 << 30
    assert Client(first).get("/index.html").status_code == 200


@pytest.mark.shm
def test_shared_memory_of_another_size_starts_afresh(make_server):
    server = make_server(own=("halobuzz",), extra=OURS)
    server.graceful()
    assert "HB02023" not in server.log_text()
    server.settings["HaloBuzzCacheSize"] = "2M"
    server.write_conf()
    server.graceful()
    assert "HB02023" in server.log_text()
    assert_problem(Client(server).get("/o/x"), 404)


@pytest.mark.embedded
def test_starting_says_what_is_in_force(make_server):
    server = make_server(own=("halobuzz",), settings={"HaloBuzzAuthTokenTTL": "17m"})
    line = next(x for x in server.log_text().splitlines() if "HB02022" in x)
    assert "HaloBuzzAuthTokenTTL 17m" in line and "HaloBuzzStore sqlite:" in line


def test_the_operators_command_finds_the_settings(make_server):
    server = make_server(own=("halobuzz",), settings={"HaloBuzzAuthTokenTTL": "17m"})
    path = os.path.join(server.root, "run", "halobuzz-settings")
    with open(path) as f:
        text = f.read()
    assert "HaloBuzzAuthTokenTTL 17m\n" in text
    assert "HaloBuzzStateDir %s\n" % server.state in text
    assert os.stat(path).st_mode & 0o777 == 0o640


def test_sign_ins_leave_threads_for_others(make_server, claims):
    """Of 40 threads in a child 30 may wait for a hash, unless the operator says otherwise."""
    server = make_server()
    if server.mpm == "prefork":
        pytest.skip("prefork has no threads")
    with open(os.path.join(server.root, "run", "halobuzz-settings")) as f:
        assert "HaloBuzzPasswordQueue 30\n" in f.readlines()
    claims("HB02061")
    assert "HB02061" in make_server(settings={"HaloBuzzPasswordQueue": "40"}).log_text()


def test_the_state_directory_is_made_for_the_run_user(make_server, as_root):
    server = make_server(start=False, own=("halobuzz",))
    os.rmdir(server.state)
    server.start()
    info = os.stat(server.state)
    assert info.st_mode & 0o777 == 0o750
    assert info.st_uid == pwd.getpwnam("www-data").pw_uid


def test_a_state_directory_of_somebody_else_is_refused(make_server, as_root):
    server = make_server(start=False, own=("halobuzz",))
    os.chown(server.state, 65534, 65534)
    server.port = free_port()
    server.write_conf()
    refused = server.command("-DFOREGROUND")
    assert refused.returncode != 0
    assert "chown" in refused.stderr and server.state in refused.stderr


def test_a_reload_with_a_mistake_is_found_before_it_happens(make_server):
    server = make_server(own=("halobuzz",), extra=OURS)
    good = server.extra
    server.extra = good + "\nHaloBuzzStore mysql:x\n"
    server.write_conf()
    assert server.command("-t").returncode != 0
    assert_problem(Client(server).get("/o/x"), 404)
    server.extra = good
    server.write_conf()
    server.graceful()
    assert_problem(Client(server).get("/o/x"), 404)


def test_a_reload_outlives_a_vault_that_is_away(make_server, claims):
    claims("HB02063")
    server = make_server(start=False, own=("halobuzz",), extra=OURS)
    vault = os.path.join(server.root, "vault")
    with open(vault, "w") as f:
        f.write("#!/bin/sh\necho %s\n" % ("x" * 64))
    os.chmod(vault, 0o755)
    server.settings["HaloBuzzAuthSecret"] = "exec:" + vault
    server.start()
    with open(vault, "w") as f:
        f.write("#!/bin/sh\nexit 1\n")
    server.graceful()
    assert_problem(Client(server).get("/o/x"), 404)
    assert "HB02063" in server.log_text()


def test_a_hard_restart(make_server):
    server = make_server(own=("halobuzz",), extra=OURS)
    server.graceful(how=signal.SIGHUP)
    assert_problem(Client(server).get("/o/x"), 404)


def test_one_process_for_a_debugger(make_server):
    server = make_server(own=("halobuzz",), extra=OURS, arguments=["-X"])
    assert_problem(Client(server).get("/o/x"), 404)


@pytest.mark.skipif(not is_root(), reason="the library comes in where root gives itself up")
@pytest.mark.parametrize("mpm", ["event", "worker", "prefork"])
def test_a_child_told_to_end_while_it_starts(make_server, mpm, tmp_path):
    """It ends there and then: the MPMs would clean up inside the signal handler."""
    make_target(BUILD, "term_at_start.la")
    once = str(tmp_path / "once")
    server = make_server(mpm=mpm, environment={
        "HB_TEST_TERM_ONCE": once, "LD_PRELOAD": ":".join(
            [*sanitizer_libraries(), os.path.join(BUILD, ".libs", "term_at_start.so")])})
    assert os.path.exists(once)
    Users(server).make()
    server.graceful()
    Users(server).make()


@pytest.mark.smoke
@pytest.mark.parametrize("mpm", ["event", "worker", "prefork"])
def test_every_mpm_serves(make_server, mpm):
    server = make_server(extra=OURS, mpm=mpm)
    with Load(server, b"/o/x", 404, callers=8) as load:
        time.sleep(0.5)
        server.graceful()
        time.sleep(0.5)
        wait_for(lambda: load.done > 20)
    assert load.failed == []
