# SPDX-License-Identifier: Apache-2.0
"""Figures of what several hosts share: limits counted by Redis, and users/me with records in
MongoDB and shared state in Redis beside the embedded ones.

Redis is Debian's, started here. MongoDB is the one HALOBUZZ_TEST_MONGODB_URI names, as
tests/servers/with-mongodb does; without it case remote says so and measures nothing."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time


def bench():
    import __main__
    return __main__


@contextlib.contextmanager
def redis():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    process = subprocess.Popen(["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "",
                                "--appendonly", "no"], stdout=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            time.sleep(0.05)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


def commands(port):
    """How many scripts Redis ran."""
    text = subprocess.run(["redis-cli", "-p", str(port), "info", "commandstats"],
                          capture_output=True, text=True).stdout
    return sum(int(n) for n in re.findall(r"^cmdstat_eval(?:sha)?:calls=(\d+)", text, re.M))


def reads(port):
    """How often Redis read from a socket: once a round trip, however many commands come in it."""
    text = subprocess.run(["redis-cli", "-p", str(port), "info", "stats"],
                          capture_output=True, text=True).stdout
    return int(re.search(r"^total_reads_processed:(\d+)", text, re.M).group(1))


def case_limits(f, o):
    folder = tempfile.mkdtemp(prefix="hbb")
    env = dict(os.environ, LD_LIBRARY_PATH=os.path.join(o.build, ".libs"))
    try:
        with redis() as (port, _):
            rates, each = {}, []
            for _ in range(o.rounds):
                before = commands(port)
                text = subprocess.run(
                    [os.path.join(o.build, "tests/bench/bench_limits"), "--dir", folder, "--cache",
                     "redis://127.0.0.1:%d" % port, "--seconds", str(o.seconds)],
                    capture_output=True, text=True, check=True, env=env).stdout
                for name, rate in re.findall(r"^(\d+ threads?): (\d+) decisions/s", text, re.M):
                    rates.setdefault(name, []).append(int(rate))
                made = int(re.search(r"^(\d+) decisions in all", text, re.M).group(1))
                each.append((commands(port) - before) / made)
        for name, found in rates.items():
            found.sort()
            f.value("limits by Redis, " + name, found[len(found) // 2], "/s",
                    note="wanted 20 000 a child")
        f.value("round trips a decision", max(each), "", below=1.001)
    finally:
        shutil.rmtree(folder)


def usage(pids):
    """CPU seconds of processes so far."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError), open("/proc/%d/stat" % pid) as stat:
            fields = stat.read().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def case_remote(f, o):
    b = bench()
    uri = os.environ.get("HALOBUZZ_TEST_MONGODB_URI")
    if not uri:
        b.say("remote: HALOBUZZ_TEST_MONGODB_URI names no server (tests/servers/with-mongodb); not measured")
        return
    with redis() as (port, redis_pid):
        store = 'HaloBuzzStore "%s/bench_%s"\n' % (uri.rstrip("/"), os.urandom(4).hex())
        shared = b.OPEN + store + "HaloBuzzRedisTimeout 5s\n"
        warm = shared + 'HaloBuzzCache "redis://127.0.0.1:%d"\n' % port
        cold = shared + 'HaloBuzzCache "redis://127.0.0.1:1"\n'        # nobody is there
        with b.Server(o.build, b.OPEN) as embedded, b.Server(o.build, warm) as remote, \
                b.Server(o.build, cold.replace("5s", "50ms")) as none:
            servers = {"embedded": embedded, "remote": remote, "cold": none}
            me = {}
            for name, server in servers.items():
                token = b.account(server, "bench" + name)
                me[name] = b.rate_of(server.base + "/api/v1/users/me", o,
                                     ["Authorization: Bearer " + token])
            f.ratio("users/me, MongoDB+Redis : embedded", 0.9, me["remote"], me["embedded"], o.rounds,
                    "(cache warm)")
            f.ratio("users/me, no cache : embedded", None, me["cold"], me["embedded"], o.rounds,
                    "(MongoDB each time)")
            marks = usage(remote.children()), usage([redis_pid]), reads(port)
            n = me["remote"]() * o.seconds
            httpd, server = usage(remote.children()) - marks[0], usage([redis_pid]) - marks[1]
            f.value("round trips to Redis a request", (reads(port) - marks[2]) / n, "",
                    note="(httpd %.0f us of CPU a request, Redis %.0f)" % (httpd / n * 1e6,
                                                                         server / n * 1e6))
            before = usage(none.children())
            rate = me["cold"]()
            spent = usage(none.children()) - before
            before = usage(embedded.children())
            plain = me["embedded"]()
            spent_plain = usage(embedded.children()) - before
            each, each_plain = spent / (rate * o.seconds), spent_plain / (plain * o.seconds)
            f.value("the driver's share of httpd's CPU", 100 * (1 - each_plain / each), "%",
                    note="(%.0f us a request against %.0f)" % (each * 1e6, each_plain * 1e6))
