# SPDX-License-Identifier: Apache-2.0
"""Sockets by the thousand, joined in a room through httpd over TLS, driven by bench_sockets."""

import os
import subprocess
import threading
import time

import pytest

from hb_beside import make_target
from hb_client import Client
from hb_live import BUILD

PROGRAM = "tests/bench/bench_sockets"
PEOPLE = 100
EVENT = """StartServers 1
ThreadsPerChild 25
MaxRequestWorkers 25
MinSpareThreads 1
MaxSpareThreads 25
ServerLimit 8
AsyncRequestWorkerFactor 1000
"""

pytestmark = pytest.mark.slow


class Many:
    """bench_sockets in a mode, on a server and in a room."""

    def __init__(self, server, live, users, mode, connections, *more):
        make_target(BUILD, PROGRAM)
        tokens = os.path.join(server.root, "tokens")
        with open(tokens, "w") as f:
            f.writelines(users.make().token + "\n" for _ in range(PEOPLE))
        self.p = subprocess.Popen(
            [os.path.join(BUILD, PROGRAM), mode, "--port", str(server.port), "--tls", "--stream",
             live.id, "--tokens", tokens, "--connections", str(connections), *more],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def count(self):
        """{"in": ..., "back": ..., "refused": ..., "odd": ...}"""
        self.p.stdin.write("count\n")
        self.p.stdin.flush()
        words = self.p.stdout.readline().split()
        return dict(zip(words[::2], map(int, words[1::2])))

    def end(self):
        out, _ = self.p.communicate(timeout=600)
        assert self.p.returncode == 0
        return out.split()


def descriptors(pid):
    """But those of the records, which each thread opens when it first needs one."""
    n = 0
    for name in os.listdir("/proc/%d/fd" % pid):
        try:
            n += "/halobuzz.db" not in os.readlink("/proc/%d/fd/%s" % (pid, name))
        except OSError:
            pass                        # closed meanwhile
    return n


class Use:
    """Memory (KB) and descriptors of httpd's parent and the sidecar."""

    def __init__(self, server):
        self.memory, self.files = {}, {}
        for name, pid in (("parent", server.process.pid), ("sidecar", server.sidecar())):
            with open("/proc/%d/statm" % pid) as f:
                self.memory[name] = int(f.read().split()[1]) * 4
            self.files[name] = descriptors(pid)


def children(server):
    return [p for p in server.children() if p != server.sidecar()]


def wait_for(what, seconds, why):
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, why()
        time.sleep(0.1)


def nobody_is_left(server):
    """But who asks, and the session by which the start was seen, until its ping is missed."""
    status = server.status()
    return status["connections"] <= 1 and status["sessions"] <= 1 and status["sockets"] == 0


class Asking(threading.Thread):
    """HTTP from outside: a request each 50 ms, on a connection of its own."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.over, self.n, self.failures, self.longest = server, False, 0, [], 0

    def run(self):
        while not self.over:
            client = Client(self.server)
            began = time.monotonic()
            try:
                reply = client.get("/index.html", timeout=10)
                if reply.status_code != 200:
                    self.failures.append(reply.status_code)
            except Exception as problem:
                self.failures.append(repr(problem))
            self.longest = max(self.longest, time.monotonic() - began)
            self.n += 1
            client.close()
            time.sleep(0.05)


def many_server(make_server):
    return make_server(tls=True, mpm_settings=EVENT, settings={
        "HaloBuzzRealtimeGrace": "2s", "HaloBuzzRealtimePerUser": "1000",
        "HaloBuzzRealtimeViewerGrace": "1s", "HaloBuzzRealtimeRecovery": "10s"})


def test_fifty_reloads(make_server, make_users, make_live_on, claims):
    """2 000 are sent away and come back fifty times. HTTP is never down, and nothing grows."""
    claims("AH00484")
    rounds, sockets = (int(n) for n in os.environ.get("HB_RELOADS", "50 2000").split())
    server = many_server(make_server)
    live, users = make_live_on(server), make_users(server)
    many = Many(server, live, users, "stay", sockets)
    assert many.p.stdout.readline().split() == ["open", str(sockets)]
    sidecar, asking, before = server.sidecar(), Asking(server), None
    asking.start()
    for i in range(rounds):
        server.graceful()
        now = {}

        def is_back():
            now.update(many.count())
            return now["in"] == sockets and now["back"] >= sockets * (i + 1)
        wait_for(is_back, 60, lambda: "round %d: %s" % (i, now))
        assert now["odd"] == 0
        if i == rounds // 5:
            before = Use(server)
    after = Use(server)
    asking.over = True
    asking.join(15)
    assert not asking.failures and asking.n > rounds * 10
    assert asking.longest < 5
    assert server.sidecar() == sidecar
    wait_for(lambda: len(children(server)) == 1, 30, lambda: str(children(server)))
    for name in after.memory:
        assert after.memory[name] < before.memory[name] + 8192, (before.memory, after.memory)
        assert after.files[name] <= before.files[name] + 2, (before.files, after.files)
    many.end()
    wait_for(lambda: nobody_is_left(server) and live.viewers() == 0, 30,
             lambda: str(server.status()))


def test_churn(make_server, make_users, make_live_on, claims):
    """50 000 come and join; a third goes with a close frame, a third by RST, a third just ends TLS."""
    claims("AH00484")
    total = int(os.environ.get("HB_CHURN", "50000"))
    server = many_server(make_server)
    live, users = make_live_on(server), make_users(server)
    child, = children(server)

    def files():
        return [descriptors(pid) for pid in (child, server.sidecar())]

    def churn(n):
        said = Many(server, live, users, "churn", 64, "--total", str(n)).end()
        assert said[:2] == ["churned", str(n)] and said[-1] == "0", said
        wait_for(lambda: nobody_is_left(server) and live.viewers() == 0, 60,
                 lambda: str(server.status()))

    churn(total // 5)
    time.sleep(3)                       # what httpd keeps of a connection for two seconds
    before, files_before = Use(server), files()
    churn(total - total // 5)
    wait_for(lambda: max(a - b for a, b in zip(files(), files_before)) <= 2, 30,
             lambda: "%s, before %s" % (files(), files_before))
    after = Use(server)
    assert after.memory["sidecar"] < before.memory["sidecar"] + 8192, (before.memory, after.memory)
    assert children(server) == [child]
