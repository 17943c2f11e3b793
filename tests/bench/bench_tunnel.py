# SPDX-License-Identifier: Apache-2.0
"""Figures of the way through httpd: mod_halobuzz_realtime beside mod_proxy_wstunnel, and how
much it holds. An echo server in C stands where the sidecar stands. Cases of bench.py."""

import contextlib
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "http"))

OURS = """StartServers 1
ThreadsPerChild 25
MaxRequestWorkers 25
ServerLimit 4
AsyncRequestWorkerFactor 1000
MinSpareThreads 1
MaxSpareThreads 25
"""
STOCK = """StartServers 1
ThreadLimit 250
ThreadsPerChild 250
MaxRequestWorkers 250
ServerLimit 4
MinSpareThreads 1
MaxSpareThreads 250
"""

PEOPLE = 300                    # accounts whose sockets they are


def program(o):
    """A copy that the run user can reach."""
    path = os.path.join(tempfile.gettempdir(), "hb_bench_sockets.%d" % os.getpid())
    if not os.path.exists(path):
        shutil.copy(os.path.join(o.build, "tests/bench/bench_sockets"), path)
        os.chmod(path, 0o755)
    return path


@contextlib.contextmanager
def httpd(o, is_ours, tls):
    os.environ["HB_BUILD"] = o.build
    from hb_httpd import Httpd, OWN_MODULES
    sockets = program(o)
    rest = {"tls": tls, "mpm_settings": OURS if is_ours else STOCK}
    backend = None
    if is_ours:
        with open(os.path.join(HERE, "../../conf/halobuzz_realtime.conf")) as f:
            one = Httpd(settings={"HaloBuzzRealtimeProgram": sockets,
                                  "HaloBuzzRateLimit realtime": "16000000/60s"},
                        own=OWN_MODULES + ("halobuzz_realtime",), extra=f.read(), **rest)
    else:
        folder = tempfile.mkdtemp(prefix="hbt")
        os.chmod(folder, 0o755)
        with open(folder + "/conf", "w") as f:
            f.write("HaloBuzzRealtimeSocket %s/s\n" % folder)
        backend = subprocess.Popen([sockets, "--config", folder + "/conf"])
        until = time.monotonic() + 10
        while not os.path.exists(folder + "/s") and time.monotonic() < until:
            time.sleep(0.05)
        os.chmod(folder + "/s", 0o777)
        one = Httpd(own=(), modules=["proxy", "proxy_http", "proxy_wstunnel"],
                    extra='ProxyPass "/socket.io/" "unix:%s/s|ws://localhost/socket.io/"\n'
                    % folder, **rest)
    one.start()
    try:
        yield one
    finally:
        one.stop()
        one.remove()
        if backend:
            backend.kill()
            backend.wait()
            shutil.rmtree(folder, ignore_errors=True)


def echo(o, server, connections):
    """messages/s, p50, p99 in microseconds"""
    for _ in range(3):          # the sidecar may be just starting
        done = subprocess.run([program(o), "echo", "--port", str(server.port), "--connections",
                               str(connections), "--seconds", str(o.seconds)]
                              + (["--tls"] if server.tls else []), capture_output=True, text=True)
        if done.returncode == 0:
            return [float(x) for x in done.stdout.split()]
        time.sleep(1)
    raise SystemExit("echo: " + done.stderr)


def case_tunnel(f, o):
    for tls in (False, True):
        name = "wss" if tls else "ws"
        with httpd(o, True, tls) as ours, httpd(o, False, tls) as stock:
            # On a busy machine p50 is one of two values, as the scheduler puts the four
            # parties on cores; so the best of each is compared.
            latency = [(echo(o, ours, 1)[1], echo(o, stock, 1)[1]) for _ in range(o.rounds + 3)]
            a, b = (min(side) for side in zip(*latency))
            f.value("echo p50, 1 %s, ours : stock" % name, a / b, "", below=1.15,
                    note="(%.0f us against %.0f us, best of %d)" % (a, b, o.rounds + 3))
            f.ratio("echo rate, 100 %s, ours : stock" % name, 1.4,
                    lambda: echo(o, ours, 100)[0], lambda: echo(o, stock, 100)[0], o.rounds)


class Held:
    """bench_sockets hold"""

    def __init__(self, o, server, connections, more=()):
        self.p = subprocess.Popen([program(o), "hold", "--port", str(server.port),
                                   "--connections", str(connections), *more]
                                  + (["--tls"] if server.tls else []), stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True, bufsize=1)
        line = self.p.stdout.readline()
        if line.split() != ["open", str(connections)]:
            raise SystemExit("hold: %r" % line)

    def tell(self, what):
        self.p.stdin.write(what + "\n")
        self.p.stdin.flush()
        line = self.p.stdout.readline()
        if not line:
            raise SystemExit("hold ended at: " + what)
        return line.split()

    def end(self):
        self.p.stdin.close()
        self.p.wait(30)


def resident(pid):
    with open("/proc/%d/status" % pid) as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))


def quiet_p99(server, n=1500):
    """Of requests one after the other, in ms; their connection is kept."""
    import requests
    s = requests.Session()
    times = []
    for _ in range(n):
        began = time.monotonic()
        if s.get(server.url + "/index.html", verify=False).status_code != 200:
            raise SystemExit("a request was not answered 200")
        times.append((time.monotonic() - began) * 1000)
    times.sort()
    return times[int(n * 0.99) - 1]


def case_hold(f, o):
    import warnings
    warnings.simplefilter("ignore")
    with httpd(o, True, True) as server:
        time.sleep(0.5)
        sidecar, = [p for p in server.children()
                    if b"bench_sockets" in open("/proc/%d/cmdline" % p, "rb").read()]
        child, = [p for p in server.children() if p != sidecar]
        quiet = quiet_p99(server)
        before = resident(child)
        one = Held(o, server, 5000)
        time.sleep(3)
        f.value("httpd's memory a wss, 5 000 held", (resident(child) - before) / 5000, "KiB",
                below=41, note="(45 with the sidecar's 4)")
        times = [[int(x) for x in one.tell("broadcast")[1:]] for _ in range(o.rounds)]
        f.value("broadcast to 5 000 wss, p99", statistics.median(t[2] for t in times) / 1000,
                "ms", below=300, note="(last %.0f ms)" % (
                    statistics.median(t[3] for t in times) / 1000))
        one.end()
        time.sleep(3)
        many = Held(o, server, o.sockets)
        loud = quiet_p99(server)
        usec = int(many.tell("ask")[3])
        f.value("echo to %d wss, all answered" % o.sockets, usec / 1000, "ms",
                note="(one child, 25 threads)")
        f.value("request p99 beside them : before", loud / quiet, "times", below=2,
                note="(%.2f ms against %.2f ms)" % (loud, quiet))
        many.tell("updates 200")
        many.end()


def case_joined(f, o):
    """The same with the real sidecar: accounts, tokens, a room."""
    import warnings
    warnings.simplefilter("ignore")
    os.environ["HB_BUILD"] = o.build
    sys.path.insert(0, os.path.join(os.path.dirname(HERE), "realtime"))
    from hb_live import Live, LiveServer, Users
    server = LiveServer(tls=True, mpm_settings=OURS, settings={
        "HaloBuzzRealtimePerUser": "1000", "HaloBuzzRealtimeViewerGrace": "1s"})
    try:
        server.start()
        live, users = Live(server), Users(server)
        tokens = os.path.join(server.root, "tokens")
        with open(tokens, "w") as file:
            for _ in range(PEOPLE):
                file.write(users.make().token + "\n")
        more = ("--stream", live.id, "--tokens", tokens)
        sidecar = server.sidecar()
        child, = [p for p in server.children() if p != sidecar]
        quiet = quiet_p99(server)
        # What each process needs once, however many come.
        Held(o, server, 30, more).end()
        time.sleep(3)
        before = resident(child), resident(sidecar)
        began = time.monotonic()
        one = Held(o, server, 5000, more)
        took = time.monotonic() - began
        time.sleep(5)                   # until coming in has been told to everybody
        f.value("memory of the whole way, a wss in a room",
                (resident(child) + resident(sidecar) - sum(before)) / 5000, "KiB", below=45,
                note="(%.1f httpd's; 5 000 came in within %.1f s)"
                % ((resident(child) - before[0]) / 5000, took))
        times = []
        for _ in range(o.rounds):
            times.append([int(x) for x in one.tell("broadcast")[1:]])
            time.sleep(0.5)
        f.value("broadcast to 5 000 joined wss, p99", statistics.median(t[2] for t in times) / 1000,
                "ms", below=300, note="(last %.0f ms)" % (
                    statistics.median(t[3] for t in times) / 1000))
        one.end()
        time.sleep(5)
        began = time.monotonic()
        many = Held(o, server, o.sockets, more)
        took = time.monotonic() - began
        assert [p for p in server.children() if p != sidecar] == [child]
        joined = server.status()["sockets"]
        time.sleep(5)
        loud = quiet_p99(server)
        usec = int(many.tell("ask")[3])
        f.value("%d wss joined: all asked, all answered" % joined, usec / 1000, "ms",
                note="(one child, 25 threads; %d accounts; in within %.1f s)" % (PEOPLE, took))
        f.value("request p99 beside them : before", loud / quiet, "times", below=2,
                note="(%.2f ms against %.2f ms)" % (loud, quiet))
        many.end()
    finally:
        server.stop()
        server.kill()
        server.remove()
