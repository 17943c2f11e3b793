# SPDX-License-Identifier: Apache-2.0
"""
Everything goes on at once while processes are killed and stopped, servers restarted, connections
cut: what was acknowledged is there, once, and everybody heard the same. HB_CHAOS_SEED repeats the
choices of a run, HB_CHAOS_SEC makes it longer.
"""

import contextlib
import os
import random
import signal
import subprocess
import threading
import time

import pytest

import hb_hooks
from hb_chaos import Town
from hb_guard import judge
from hb_hosts import HAVE_BOTH, Hosts
from hb_httpd import BUILD, CACHE, STORE, processes_of, store_for_one
from hb_live import LiveServer
from hb_realtime import OWN
from hb_servers import Proxy, Redis

SEED = int(os.environ.get("HB_CHAOS_SEED") or int.from_bytes(os.urandom(3), "big"))
SECONDS = float(os.environ.get("HB_CHAOS_SEC", "30"))
EVENT = """StartServers 3
ThreadsPerChild 16
MaxRequestWorkers 64
MinSpareThreads 16
MaxSpareThreads 64
ServerLimit 8
AsyncRequestWorkerFactor 600
"""

# Of processes that are killed, and of servers and disks that are away.
LINES = ("AH00051", "AH00052", "AH00484", "AH00098", "HB02055", "HB02002", "HB00463", "HB00497",
         "HB06202", "HB07004", "HB08503", "HB09501", "HB01143", "HB01148", "HB01150")

pytestmark = pytest.mark.slow


def settings(folder):
    secret = os.path.join(folder, "hook")
    with open(secret, "w") as f:
        f.write(hb_hooks.SECRET + "\n")
    os.chmod(secret, 0o600)
    return {"HaloBuzzPaySandbox": "on", "HaloBuzzPaySandboxSecret": "file:" + secret,
            "HaloBuzzCronProgram": os.path.join(BUILD, ".libs", "halobuzz-crond"),
            "HaloBuzzJobLease": "2s", "HaloBuzzChatPerMinute": "100000",
            "HaloBuzzRealtimePerUser": "200", "HaloBuzzRealtimeGrace": "500ms",
            "HaloBuzzRealtimeNodeLost": "4s"}


MORE = {"own": OWN + ("halobuzz_cron",), "mpm_settings": EVENT}


class Harm:
    """What befalls the hosts, by the seed."""

    def __init__(self, hosts, listeners, mongodb=None, redis=None, way=None):
        self.hosts, self.listeners = hosts, listeners
        self.mongodb, self.redis, self.way = mongodb, redis, way
        self.rng = random.Random(SEED)
        self.stopped = []

    def some(self, part):
        """A process of some host whose command line has that part."""
        host = self.rng.choice(self.hosts)
        found = []
        for pid in processes_of(host.process.pid):
            with contextlib.suppress(OSError), open("/proc/%d/cmdline" % pid, "rb") as f:
                if part in f.read() and pid != host.process.pid:
                    found.append(pid)
        return self.rng.choice(found) if found else None

    def signal(self, pid, how):
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, how)

    def kill_child(self):
        self.signal(self.some(b"httpd.conf\0"), signal.SIGKILL)

    def kill_sidecar(self):
        self.signal(self.some(b"realtimed\0"), signal.SIGKILL)

    def kill_crond(self):
        self.signal(self.some(b"crond\0"), signal.SIGKILL)

    def stop(self):
        pid = self.some(self.rng.choice((b"httpd.conf\0", b"realtimed\0", b"crond\0")))
        self.signal(pid, signal.SIGSTOP)
        timer = threading.Timer(self.rng.uniform(0.2, 5), self.signal, (pid, signal.SIGCONT))
        timer.start()
        self.stopped.append(timer)

    def wait_stopped(self):
        for timer in self.stopped:
            timer.join()
        self.stopped = []

    def reload(self):
        self.wait_stopped()
        self.rng.choice(self.hosts).graceful(wait=False)

    def restart(self):
        self.wait_stopped()
        host = self.rng.choice(self.hosts)
        host.stop()
        host.start_again()

    def kill_all(self):
        self.wait_stopped()
        for host in self.hosts:
            subprocess.run(["kill", "-9", *map(str, processes_of(host.process.pid))], check=False,
                           stderr=subprocess.DEVNULL)
            host.kill()
        for host in self.hosts:
            host.start_again()

    def cut(self):
        for one in self.listeners():
            if self.rng.random() < 0.5:
                one.is_to_cut.set()

    def cut_servers(self):
        server = self.rng.choice((self.mongodb, self.way))
        self.rng.choice((server.stop, server.hang))()
        time.sleep(self.rng.uniform(0.05, 3))
        server.go()

    def kill_redis(self):
        self.redis.kill()
        time.sleep(self.rng.uniform(0, 2))
        self.redis.start()

    def go_on(self):
        kinds = [self.kill_child] * 5 + [self.kill_sidecar, self.kill_crond, self.cut] * 3 \
            + [self.stop] * 4 + [self.reload] * 2 + [self.restart, self.kill_all]
        if self.redis is not None:
            kinds += [self.cut_servers] * 3 + [self.kill_redis]
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            time.sleep(self.rng.uniform(0.2, 2))
            self.rng.choice(kinds)()
        self.wait_stopped()


def go_through(hosts, **servers):
    print("HB_CHAOS_SEED=%d" % SEED)
    town = Town(hosts, SEED)
    town.live_through(Harm(hosts, lambda: town.listeners, **servers).go_on)
    town.check_books()
    town.check_words()
    town.check_sessions()
    assert not town.wrong, "HB_CHAOS_SEED=%d\n%s" % (SEED, "\n".join(town.wrong[:30]))


def end(hosts):
    for host in hosts:
        host.stop()
        judge(host, LINES)


@pytest.mark.skipif(bool(STORE or CACHE), reason="of records in a file; the next case is that of servers")
def test_one_host(tmp_path):
    host = LiveServer(settings=settings(str(tmp_path)), **MORE)
    try:
        go_through([host.start()])
        end([host])
    finally:
        host.kill()
        host.remove()


@pytest.mark.skipif(not HAVE_BOTH, reason="needs a MongoDB and a Redis")
def test_two_hosts(tmp_path):
    redis = Redis().start()
    mongodb, way = Proxy(STORE), Proxy(redis.url)
    hosts = Hosts(2, settings={
        **settings(str(tmp_path)), "HaloBuzzCache": way.url(), "HaloBuzzRedisTimeout": "150ms",
        "HaloBuzzStore": store_for_one().replace(STORE.rstrip("/"), mongodb.url()),
        "HaloBuzzStoreSelectTimeout": "2s", "HaloBuzzStoreSocketTimeout": "3s"}, **MORE)
    try:
        go_through(hosts.start(), mongodb=mongodb, redis=redis, way=way)
        end(hosts)
    finally:
        hosts.close()
        for one in mongodb, way, redis:
            one.close()
