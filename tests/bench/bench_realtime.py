# SPDX-License-Identifier: Apache-2.0
"""Figures of halobuzz-realtimed beside the reference server (npm socket.io) on Node: one room, the
server on the first core, the load (bench_realtime.c) on another. A case of bench.py."""

import contextlib
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SOCKET_IO = "4.8.3"
TICK = 1 / os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def install(o):
    """@return where the reference is, None without npm"""
    folder = os.path.join(o.build, "tests/bench/node-realtime")
    modules = os.path.join(folder, "node_modules")
    if not os.path.isdir(os.path.join(modules, "socket.io")):
        if not shutil.which("npm"):
            return None
        os.makedirs(folder, exist_ok=True)
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts",
                        "--no-package-lock", "--loglevel=error", "--prefix", folder,
                        "socket.io@" + SOCKET_IO], cwd=folder, check=True, timeout=300)
    return modules


def pinned(core, command):
    return ["taskset", "-c", str(core)] + command


def leaf(pid):
    """The program below libtool's script."""
    while True:
        with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
            children = f.read().split()
        if not children:
            return pid
        pid = int(children[0])


@contextlib.contextmanager
def serving(o, modules, is_ours):
    """@return (port, pid)"""
    port = free_port()
    command = [os.path.join(o.build, "halobuzz-realtimed"), "--profile=echo", "--loops", "1",
               "--ping", "25000", "--listen", "127.0.0.1:%d" % port] if is_ours \
        else ["node", os.path.join(HERE, "realtime_reference.js"), str(port)]
    process = subprocess.Popen(pinned(0, command), env={**os.environ, "NODE_PATH": modules},
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            time.sleep(0.05)
        yield port, leaf(process.pid)
    finally:
        process.terminate()
        process.wait(10)


def cpu_sec(pid):
    with open("/proc/%d/stat" % pid) as f:
        parts = f.read().rsplit(")", 1)[1].split()
    return (int(parts[11]) + int(parts[12])) * TICK


def resident_bytes(pid):
    with open("/proc/%d/statm" % pid) as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def load(o, *args):
    core = min(1, os.cpu_count() - 1)
    return subprocess.Popen(
        pinned(core, [os.path.join(o.build, "tests/bench/bench_realtime")] + [str(a) for a in args]),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def measure(o, port, pid, members, senders, window, rate):
    """One run: deliveries a second, CPU microseconds of the server for each, milliseconds they took."""
    client = load(o, port, members, senders, window, rate, o.seconds)
    assert client.stdout.readline().strip() == "begin", "the load failed"
    before = cpu_sec(pid)
    line = client.stdout.readline()
    used = cpu_sec(pid) - before
    client.wait()
    got = dict(word.split("=") for word in line.split()[1:])
    n = int(got["deliveries"])
    return n / float(got["seconds"]), used * 1e6 / n, int(got["mean_usec"]) / 1000


def idle_bytes(o, port, pid, members):
    """Resident memory for each connection that has joined and is silent."""
    before = resident_bytes(pid)
    client = load(o, port, members, 0, 0, 0, 0)
    assert client.stdout.readline().strip() == "joined"
    time.sleep(0.5)
    used = resident_bytes(pid) - before
    client.stdin.close()
    client.wait()
    return used / members


def pair(o, modules, work):
    """The same of both, one after the other, as often as asked for: medians of ours and theirs."""
    rows = []
    for _ in range(o.rounds):
        row = []
        for is_ours in (True, False):
            with serving(o, modules, is_ours) as (port, pid):
                row.append(work(port, pid))
        rows.append(row)
    return rows


def ratio(rows, what):
    """Median and spread of ours by theirs."""
    ratios = sorted(what(ours) / what(theirs) for ours, theirs in rows)
    return "%5.2f  (%.2f-%.2f)" % (statistics.median(ratios), ratios[0], ratios[-1])


def case_realtime(f, o):
    modules = install(o)
    if modules is None:
        print("realtime: npm is missing, so there is nothing to compare with", file=sys.stderr)
        return
    rows = pair(o, modules, lambda port, pid: measure(o, port, pid, 1000, 1, 1, 20))
    print("CPU per delivery, 1 000 members, 20 messages/s: socket.io on Node   %s   wanted 0.6"
          % ratio(rows, lambda r: r[1]))
    for name, i in (("ours", 0), ("theirs", 1)):
        print("    %-7s %6.2f us of CPU a delivery, %8.1f ms to the sender" % (
            name, statistics.median(r[i][1] for r in rows), statistics.median(r[i][2] for r in rows)))
    rows = pair(o, modules, lambda port, pid: measure(o, port, pid, 1000, 20, 10, 0))
    print("deliveries a second at saturation, 1 000 members: theirs              %s   wanted 5"
          % ratio(rows, lambda r: r[0]))
    for name, i in (("ours", 0), ("theirs", 1)):
        print("    %-7s %9.0f deliveries/s, %6.2f us of CPU each, %8.1f ms to the sender" % (
            name, statistics.median(r[i][0] for r in rows), statistics.median(r[i][1] for r in rows),
            statistics.median(r[i][2] for r in rows)))
    rows = pair(o, modules, lambda port, pid: idle_bytes(o, port, pid, 5000))
    print("resident memory of an idle connection: %.1f KB, theirs %.1f KB                 wanted 4 KB"
          % (statistics.median(r[0] for r in rows) / 1024, statistics.median(r[1] for r in rows) / 1024))
