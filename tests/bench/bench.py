#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Figures of the suite, each a ratio of two things measured in turn in one run.

The machine is shared and noisy, so no absolute figure is worth keeping: both sides run
in turn, A B A B ..., and the median of the pairwise ratios is printed with its spread.

    bench.py --build DIR [--rounds 5] [--seconds 3] [--json FILE] [CASE ...]

CASE: me limiter streams register ledger hooks million storm start backup tunnel hold joined limits remote rooms deflate realtime.
Needs wrk.
Loopback only.
"""
import argparse
import contextlib
import json
import os
import pwd
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import bench_backup
import bench_hosts
import bench_realtime
import bench_rooms
import bench_tunnel

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))


def say(text):
    print(text, flush=True)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """One httpd of the build tree, configured as shipped but for ports and limits."""

    def __init__(self, build, extra="", state=None, preload=None):
        self.build = os.path.abspath(build)
        self.dir = tempfile.mkdtemp(prefix="hbb")
        os.chmod(self.dir, 0o755)
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.state = state or os.path.join(self.dir, "state")
        os.makedirs(self.state, exist_ok=True)
        for d in ("logs", "runtime", "www"):
            os.mkdir(os.path.join(self.dir, d))
        make = open(os.path.join(self.build, "Makefile")).read()
        self.httpd = re.search(r"^HTTPD = (.*)$", make, re.M).group(1)
        apxs = re.search(r"^APXS = (.*)$", make, re.M).group(1)
        moddir = subprocess.check_output([apxs, "-q", "LIBEXECDIR"], text=True).strip()
        built_in = subprocess.run([self.httpd, "-l"], capture_output=True, text=True).stdout
        lines = [f'ServerRoot "{self.dir}"', f"ServerName 127.0.0.1:{self.port}",
                 f'DefaultRuntimeDir "{self.dir}/runtime"', f'PidFile "{self.dir}/httpd.pid"']
        for m in ("mpm_event unixd log_config authn_core authz_core authz_host mime dir alias env "
                  "headers setenvif filter reqtimeout remoteip status").split():
            if f"mod_{m}.c" not in built_in:
                lines.append(f"LoadModule {m}_module {moddir}/mod_{m}.so")
        for m in ("", "_auth", "_ratelimit", "_api", "_webhooks"):
            lines.append(f"LoadModule halobuzz{m}_module {self.build}/.libs/mod_halobuzz{m}.so")
        if os.geteuid() == 0:
            lines += ["User www-data", "Group www-data"]
            www = pwd.getpwnam("www-data")
            for d in (self.state, os.path.join(self.dir, "runtime")):
                for root, _, files in os.walk(d):
                    os.chown(root, www.pw_uid, www.pw_gid)
                    for f in files:
                        os.chown(os.path.join(root, f), www.pw_uid, www.pw_gid)
        os.chmod(self.state, 0o750)
        lines += [f"Listen 127.0.0.1:{self.port}", f'DocumentRoot "{self.dir}/www"',
                  "TypesConfig /etc/mime.types", f'ErrorLog "{self.dir}/logs/error.log"',
                  "LogLevel warn", "StartServers 2", "ServerLimit 4", "ThreadsPerChild 64",
                  "ThreadLimit 64", "MinSpareThreads 1", "MaxSpareThreads 256",
                  "MaxRequestWorkers 256", "KeepAlive On", "MaxKeepAliveRequests 0",
                  "KeepAliveTimeout 60", "AddType application/json .json",
                  "<Directory />", "AllowOverride None", "Require all denied", "</Directory>",
                  f'<Directory "{self.dir}/www">', "Require all granted", "</Directory>",
                  f'HaloBuzzStateDir "{self.state}"', extra]
        for name in ("halobuzz.conf", "halobuzz_auth.conf", "halobuzz_ratelimit.conf",
                     "halobuzz_api.conf"):
            lines.append(f'Include "{TOP}/conf/{name}"')
        self.conf = os.path.join(self.dir, "httpd.conf")
        with open(self.conf, "w") as f:
            f.write("\n".join(lines) + "\n")
        self.env = dict(os.environ, LD_LIBRARY_PATH=os.path.join(self.build, ".libs"))
        if preload:
            self.env["LD_PRELOAD"] = os.path.join(self.build, "tests/bench/.libs", preload)
        began = time.monotonic()
        self.process = subprocess.Popen([self.httpd, "-DFOREGROUND", "-f", self.conf],
                                        env=self.env, stdin=subprocess.DEVNULL)
        while True:
            with contextlib.suppress(OSError):
                if urllib.request.urlopen(self.base + "/readyz", timeout=2).status == 200:
                    break
            if time.monotonic() - began > 20 or self.process.poll() is not None:
                sys.stderr.write(open(f"{self.dir}/logs/error.log").read()[-3000:])
                raise SystemExit("the server did not start")
            time.sleep(0.005)
        self.start_seconds = time.monotonic() - began

    def file(self, name, size):
        with open(os.path.join(self.dir, "www", name), "wb") as f:
            f.write(b"x" * size)
        return f"{self.base}/{name}"

    def children(self):
        text = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)],
                              capture_output=True, text=True).stdout
        return [int(p) for p in text.split()]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def call(url, body=None, token=None, method=None):
    req = urllib.request.Request(url, method=method)
    if body is not None:
        req.data = json.dumps(body).encode()
        req.add_header("Content-Type", "application/json")
    if token:
        req.add_header("Authorization", "Bearer " + token)
    try:
        with urllib.request.urlopen(req, timeout=30) as r:
            return r.status, r.read(), r.headers
    except urllib.error.HTTPError as e:
        return e.code, e.read(), e.headers


def account(server, name):
    status, body, _ = call(server.base + "/api/v1/auth/register",
                           {"email": f"{name}@example.com", "username": name, "password": "Correct-Horse-9"})
    if status not in (200, 201):
        raise SystemExit(f"register: {status} {body!r}")
    return json.loads(body)["accessToken"]


def wrk(url, seconds, connections=32, threads=1, headers=(), script=None, args=()):
    """Requests a second, p50/p99 in ms, and how many answers were not 2xx."""
    cmd = ["wrk", "-c", str(connections), "-t", str(threads), "-d", f"{seconds}s", "--latency"]
    for h in headers:
        cmd += ["-H", h]
    if script:
        cmd += ["-s", script]
    cmd += [url]
    if args:
        cmd += ["--", *map(str, args)]
    out = subprocess.run(cmd, capture_output=True, text=True, timeout=seconds + 60).stdout
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))

    def quantile(p):
        m = re.search(rf"^\s+{p}%\s+([\d.]+)(us|ms|s)", out, re.M)
        return float(m.group(1)) * {"us": 0.001, "ms": 1, "s": 1000}[m.group(2)]
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    return {"rate": rate, "p50": quantile(50), "p99": quantile(99),
            "bad": int(bad.group(1)) if bad else 0}


class Figures:
    def __init__(self):
        self.rows = []

    def ratio(self, name, wanted, a, b, rounds, note=""):
        """a() and b() in turn, each giving a rate; the figure is the median of a/b."""
        a(), b()                                    # warm both
        pairs = []
        for _ in range(rounds):
            x, y = a(), b()
            pairs.append((x, y))
        ratios = [x / y for x, y in pairs]
        m = statistics.median(ratios)
        ok = "" if wanted is None else ("met" if m >= wanted else "MISSED")
        self.rows.append({"name": name, "ratio": m, "low": min(ratios), "high": max(ratios),
                          "wanted": wanted, "a": statistics.median(p[0] for p in pairs),
                          "b": statistics.median(p[1] for p in pairs), "verdict": ok, "note": note})
        say(f"{name:34} {m:6.2f}  ({min(ratios):.2f}-{max(ratios):.2f})"
            f"  wanted >= {wanted if wanted is not None else '-'}  {ok}"
            f"   {statistics.median(p[0] for p in pairs):.0f}/s against "
            f"{statistics.median(p[1] for p in pairs):.0f}/s {note}")

    def value(self, name, value, unit, wanted=None, below=None, note=""):
        ok = "" if below is None else ("met" if value <= below else "MISSED")
        self.rows.append({"name": name, "value": value, "unit": unit, "below": below,
                          "verdict": ok, "note": note})
        say(f"{name:34} {value:8.3f} {unit}"
            + (f"  wanted <= {below}  {ok}" if below is not None else "") + f"  {note}")


OPEN = "HaloBuzzRateLimit api 15000000/1h key=user\nHaloBuzzRateLimit auth 15000000/1h key=ip\n" \
       "HaloBuzzPasswordCost 4\nHaloBuzzRateLimit static 15000000/1h key=ip\n"


def rate_of(url, o, headers=(), **more):
    def run():
        r = wrk(url, o.seconds, headers=headers, **more)
        if r["bad"]:
            raise SystemExit(f"{url}: {r['bad']} answers were not 2xx")
        return r["rate"]
    return run


def case_me(f, o):
    with Server(o.build, OPEN) as s:
        token = account(s, "benchme")
        _, body, _ = call(s.base + "/api/v1/users/me", token=token)
        static = s.file("same.json", len(body))
        auth = f"Authorization: Bearer {token}"
        f.ratio("users/me : static file", 0.85,
                rate_of(s.base + "/api/v1/users/me", o, [auth]),
                rate_of(static, o, [auth]), o.rounds, f"({len(body)} bytes, limiter on)")


def case_limiter(f, o):
    extra = OPEN + '<Location "/limited">\nHaloBuzzRateLimitClass static\n</Location>\n'
    with Server(o.build, extra) as s:
        s.file("plain.json", 600)
        s.file("limited.json", 600)
        os.mkdir(f"{s.dir}/www/limited")
        os.mkdir(f"{s.dir}/www/plain")
        for d in ("limited", "plain"):
            shutil.copy(f"{s.dir}/www/plain.json", f"{s.dir}/www/{d}/f.json")
        f.ratio("static with limiter : without", 0.97,
                rate_of(s.base + "/limited/f.json", o), rate_of(s.base + "/plain/f.json", o),
                o.rounds)


def fill(o, state, users=0, streams=0, live=0):
    subprocess.run([os.path.join(o.build, "tests/bench/bench_fill"), "--state", state,
                    "--users", str(users), "--streams", str(streams), "--live", str(live)],
                   check=True)


def case_streams(f, o):
    state = tempfile.mkdtemp(prefix="hbs")
    try:
        fill(o, state, users=2000, streams=10000, live=1000)
        with Server(o.build, OPEN, state=state) as s:
            _, body, _ = call(s.base + "/api/v1/streams?limit=20")
            if len(json.loads(body)["items"]) != 20:
                raise SystemExit("the list does not hold 20 streams")
            f.ratio("streams?limit=20 : static file", 0.5,
                    rate_of(s.base + "/api/v1/streams?limit=20", o),
                    rate_of(s.file("small.json", 600), o), o.rounds,
                    f"({len(body)} bytes against 600)")
            f.ratio("the same : static of its size", None,
                    rate_of(s.base + "/api/v1/streams?limit=20", o),
                    rate_of(s.file("size.json", len(body)), o), o.rounds)
    finally:
        shutil.rmtree(state, ignore_errors=True)


def case_register(f, o):
    # bcrypt at any cost would drown what is measured here, so it is taken out.
    with Server(o.build, OPEN, preload="cheap_bcrypt.so") as s:
        count = [0]

        def register():
            count[0] += 1
            r = wrk(s.base + "/api/v1/auth/register", o.seconds, connections=32,
                    script=f"{HERE}/register.lua", args=[f"r{os.getpid()}x{count[0]}"])
            if r["bad"]:
                raise SystemExit(f"register: {r['bad']} answers were not 2xx")
            return r["rate"]

        def loop():
            out = subprocess.run([os.path.join(o.build, "tests/bench/bench_insert"), "--dir",
                                  s.dir, "--seconds", str(o.seconds), "--group", str(o.group)],
                                 capture_output=True, text=True, check=True).stdout
            return float(out.split()[0])
        f.ratio("register : plain insert loop", 0.6, register, loop, o.rounds,
                f"(groups of {o.group})")


def run_ledger(o, state, *args):
    """What bench_ledger prints, by what each figure is of."""
    out = subprocess.run([os.path.join(o.build, "tests/bench/bench_ledger"), "--dir", state, *args],
                         capture_output=True, text=True, check=True).stdout
    if "proved" in out and out.count("(clean)") != out.count("proved"):
        raise SystemExit("ledger: " + out)
    return [(float(line.split()[0]), line) for line in out.splitlines()]


def case_ledger(f, o):
    def fresh(*args):
        state = tempfile.mkdtemp(prefix="hbledger")
        try:
            return run_ledger(o, state, *args)
        finally:
            shutil.rmtree(state, ignore_errors=True)

    def loop():
        state = tempfile.mkdtemp(prefix="hbinsert")
        try:
            out = subprocess.run([os.path.join(o.build, "tests/bench/bench_insert"), "--dir",
                                  state, "--seconds", str(o.seconds), "--group", str(o.group)],
                                 capture_output=True, text=True, check=True).stdout
            return float(out.split()[0])
        finally:
            shutil.rmtree(state, ignore_errors=True)

    f.ratio("gift's entry : plain insert loop", None,
            lambda: fresh("--threads", "32", "--seconds", str(o.seconds))[0][0], loop, o.rounds,
            f"(groups of {o.group})")
    for size in o.ledger.split(","):
        rate = fresh("--seconds", "0", "--verify", size)[-1][0]
        f.value(f"prove {size} entries", 1e6 / rate, "us an entry", below=5,
                note=f"{rate:.0f} entries/s")


def case_copy(f, o):
    targets = {"SQLite": []}
    uri = os.environ.get("HALOBUZZ_TEST_MONGODB_URI")
    if uri:
        targets["MongoDB"] = ["--to", uri.rstrip("/") + "/bench_copy"]
    for name, args in targets.items():
        state = tempfile.mkdtemp(prefix="hbcopy")
        try:
            out = subprocess.run([os.path.join(o.build, "tests/bench/bench_copy"), "--dir", state,
                                  "--rounds", str(o.rounds + 1), *args],
                                 capture_output=True, text=True, check=True).stdout
        finally:
            shutil.rmtree(state, ignore_errors=True)
        rounds = [[float(word.split()[0]) for word in line.split(",")] for line in out.splitlines()]
        plain, copied = iter([r[0] for r in rounds]), iter([r[1] for r in rounds])
        f.ratio(f"documents copied to {name} : written", None, lambda: next(copied),
                lambda: next(plain), o.rounds)
        print(out, end="")


def case_gift(f, o):
    """Gifts over 32 connections, by 16 people in one room: durable, three postings and all."""
    state = tempfile.mkdtemp(prefix="hbg")
    try:
        with Server(o.build, OPEN, state=state) as s:
            tokens = [account(s, f"giver{i}") for i in range(16)]
            host = account(s, "benchhost")
            # The records are the run user's, and so is who writes to them.
            who = {"user": "www-data", "group": "www-data", "extra_groups": []} \
                if os.geteuid() == 0 else {}
            gift = subprocess.run([os.path.join(o.build, "tests/bench/.libs/bench_fill"),
                                   "--state", state, "--grant", "100000000"], text=True,
                                  stdout=subprocess.PIPE, check=True, env=s.env,
                                  **who).stdout.strip()
            room = json.loads(call(s.base + "/api/v1/streams", {"title": "Songs"}, host)[1])["id"]
            call(s.base + f"/api/v1/streams/{room}/start", token=host, method="POST")
            count = [0]

            def gifts():
                count[0] += 1
                r = wrk(s.base + f"/api/v1/streams/{room}/gifts", o.seconds,
                        script=f"{HERE}/gift.lua", args=[f"g{count[0]}", gift, *tokens])
                if r["bad"]:
                    raise SystemExit(f"gift: {r['bad']} answers were not 2xx")
                return r["rate"]

            def loop():
                out = subprocess.run([os.path.join(o.build, "tests/bench/bench_insert"), "--dir",
                                      s.dir, "--seconds", str(o.seconds), "--group",
                                      str(o.group)], capture_output=True, text=True,
                                     check=True).stdout
                return float(out.split()[0])
            f.ratio("gift : plain insert loop", 0.2, gifts, loop, o.rounds,
                    f"(groups of {o.group})")
            with perf(s, o):
                gifts()
    finally:
        shutil.rmtree(state, ignore_errors=True)


class Node:
    """The yardstick of the webhook figure: webhook/server.js on orders of its own."""

    def __init__(self, o, secret, orders):
        self.dir = tempfile.mkdtemp(prefix="hbn")
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        modules = os.path.join(o.node, "node_modules")
        with open(f"{self.dir}/orders", "w") as f:
            f.write("\n".join(" ".join(row) for row in orders) + "\n")
        shutil.copy(f"{HERE}/webhook/server.js", self.dir)
        os.symlink(modules, f"{self.dir}/node_modules")
        self.process = subprocess.Popen(["node", "server.js", str(self.port), "bench.db", secret,
                                         "orders"], cwd=self.dir, env=dict(os.environ,
                                         NODE_ENV="production"), start_new_session=True)
        began = time.monotonic()
        while time.monotonic() - began < 60:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                time.sleep(1)       # for the other worker
                return
            time.sleep(0.1)
        raise SystemExit("the Node server did not start")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(30)
        shutil.rmtree(self.dir, ignore_errors=True)


def install_node(o):
    """Express, stripe and better-sqlite3, built once; its headers come with Debian's libnode-dev."""
    if os.path.isdir(f"{o.node}/node_modules/better-sqlite3/build/Release"):
        return True
    if not shutil.which("npm"):
        say("hooks: npm is missing, so there is nothing to compare with")
        return False
    os.makedirs(o.node, exist_ok=True)
    shutil.copy(f"{HERE}/webhook/package.json", o.node)
    env = dict(os.environ)
    if os.path.isdir("/usr/include/node"):
        env["npm_config_nodedir"] = "/usr"
    done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"],
                          cwd=o.node, env=env)
    return done.returncode == 0


def metric(server, name):
    _, text, _ = call(server.base + "/api/v1/monitoring/metrics")
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.decode().splitlines()
               if line.startswith(name) and not line.startswith("#"))


def send_events(server, path, o, orders, again=False):
    """A run of fresh events, one for each order (or over and over); checks that all were taken."""
    sys.path.insert(0, f"{HERE}/webhook")
    import events
    with tempfile.NamedTemporaryFile("w", suffix=".events") as f:
        events.write(f.name, SECRET, [(row[0], int(row[2]), row[3]) for row in orders])
        r = wrk(server.base + path, o.seconds, script=f"{HERE}/webhook/hooks.lua",
                args=[f.name] + (["again"] if again else []))
    if r["bad"]:
        raise SystemExit(f"webhooks: {r['bad']} answers were not 2xx")
    return r["rate"]


SECRET = "whsec_bench0123456789abcdefghijklmnopqrst"
EVENTS_A_SECOND = 14000         # more than are taken


def case_hooks(f, o):
    """Signed webhooks of Stripe: verified, stored, credited, durable, over 32 connections."""
    if not install_node(o):
        return
    state = tempfile.mkdtemp(prefix="hbs")
    each = EVENTS_A_SECOND * o.seconds
    try:
        text = subprocess.run([os.path.join(o.build, "tests/bench/bench_fill"), "--state", state,
                               "--users", "1000", "--orders", str(each * (o.rounds + 2))],
                              check=True, capture_output=True, text=True).stdout
        orders = [line.split() for line in text.splitlines()]
        for name in ("key", "secret"):
            with open(f"{state}/bench-{name}", "w") as out:
                out.write("sk_test_bench0123456789\n" if name == "key" else SECRET + "\n")
            os.chmod(out.name, 0o600)
        extra = OPEN + "HaloBuzzRateLimit webhook 15000000/1h key=ip\n" \
            f'HaloBuzzStripeKey "file:{state}/bench-key"\n' \
            f'HaloBuzzStripeWebhookSecret "file:{state}/bench-secret"\n'
        with Server(o.build, extra, state=state) as s, Node(o, SECRET, orders) as n:
            turns = {s: 0, n: 0}

            def fresh(server, path):
                i = turns[server]
                turns[server] += 1
                return send_events(server, path, o, orders[i * each:(i + 1) * each])

            def ours():
                return fresh(s, "/api/v1/webhooks/stripe")

            def theirs():
                return fresh(n, "/webhooks/stripe")
            f.ratio("signed webhook : Node, 2 workers", 4, ours, theirs, o.rounds)
            watched = ("halobuzz_store_commits_total", "halobuzz_store_wait_microseconds_total",
                       'halobuzz_payment_events_total{result="applied"}')
            before = [metric(s, name) for name in watched]
            with perf(s, o):
                rate = ours()
            commits, wait, taken = (metric(s, name) - x for name, x in zip(watched, before))
            if taken < rate * o.seconds * 0.95:
                raise SystemExit(f"hooks: {taken} events were acted on of {rate * o.seconds:.0f}")
            say(f"    {rate:.0f}/s: {taken / commits:.1f} events a commit, "
                f"{wait / taken / 1000:.2f} ms in the queue of writers of "
                f"{32 / rate * 1000:.2f} ms a request")
            some = orders[:500]
            f.ratio("the same events again : new ones", 1.5,
                    lambda: send_events(s, "/api/v1/webhooks/stripe", o, some, again=True),
                    lambda: rate, 1)
    finally:
        shutil.rmtree(state, ignore_errors=True)


@contextlib.contextmanager
def perf(server, o):
    """Where the time of the children goes, by library and by function, when perf is there."""
    if not shutil.which("perf"):
        yield
        return
    data = tempfile.mktemp(prefix="hbperf")
    p = subprocess.Popen(["perf", "record", "-q", "-o", data, "-g", "-p",
                          ",".join(map(str, server.children()))],
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        p.send_signal(signal.SIGINT)
        p.wait()
        for sort in ("dso", "symbol"):
            out = subprocess.run(["perf", "report", "-i", data, "--no-children", "-g", "none",
                                  "--sort", sort, "--percent-limit", "1.2", "--stdio"],
                                 capture_output=True, text=True).stdout
            rows = [line.split(None, 1) for line in out.splitlines()
                    if line.strip() and not line.startswith("#")]
            say("    time by " + sort + ": " + ", ".join(f"{b.strip()} {a}" for a, b in rows[:14]))
        if not o.keep_perf:
            os.remove(data)


def case_million(f, o):
    small, large = tempfile.mkdtemp(prefix="hbs"), tempfile.mkdtemp(prefix="hbl")
    try:
        fill(o, small, users=1000)
        fill(o, large, users=o.users)
        with Server(o.build, OPEN, state=small) as a, Server(o.build, OPEN, state=large) as b:
            for i in range(64):
                ta, tb = account(a, f"benchone{i}"), account(b, f"benchone{i}")
            f.ratio(f"users/me, {o.users} users : 1 000", 0.9,
                    rate_of(b.base + "/api/v1/users/me", o, [f"Authorization: Bearer {tb}"]),
                    rate_of(a.base + "/api/v1/users/me", o, [f"Authorization: Bearer {ta}"]),
                    o.rounds)
            # Sign-in at cost 4: look-up, a cheap hash, a session written.
            f.ratio(f"login, {o.users} users : 1 000", 0.9,
                    rate_of_login(b, o), rate_of_login(a, o), o.rounds)
    finally:
        shutil.rmtree(small, ignore_errors=True)
        shutil.rmtree(large, ignore_errors=True)


def rate_of_login(s, o):
    def run():
        r = wrk(s.base + "/api/v1/auth/login", o.seconds, script=f"{HERE}/login.lua",
                args=["benchone", 64, "Correct-Horse-9"])
        if r["bad"]:
            raise SystemExit(f"login: {r['bad']} answers were not 2xx")
        return r["rate"]
    return run


def case_storm(f, o):
    extra = OPEN.replace("HaloBuzzPasswordCost 4", "HaloBuzzPasswordCost 12")
    with Server(o.build, extra) as s:
        token = account(s, "benchstorm")
        for i in range(64):
            account(s, f"storm{i}")
        me = s.base + "/api/v1/users/me"
        auth = [f"Authorization: Bearer {token}"]
        # Other clients: few and steady, so that what is measured is waiting, not their own load.
        quiet = [wrk(me, o.seconds, connections=4, headers=auth)["p99"] for _ in range(o.rounds)]
        storm = subprocess.Popen(
            ["wrk", "-c", "64", "-t", "1", "-d", f"{(o.seconds + 2) * o.rounds}s", "-s",
             f"{HERE}/login.lua", s.base + "/api/v1/auth/login", "--",
             "storm", "64", "Correct-Horse-9"], stdout=subprocess.PIPE, text=True)
        time.sleep(1.5)
        loud = [wrk(me, o.seconds, connections=4, headers=auth)["p99"] for _ in range(o.rounds)]
        out = storm.communicate()[0]
        done = re.search(r"(\d+) requests in", out)
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
        q, l = statistics.median(quiet), statistics.median(loud)
        f.value("users/me p99, login storm : quiet", l / q, "times", below=3,
                note=f"({l:.2f} ms against {q:.2f} ms; {done.group(1) if done else 0} sign-ins answered,"
                     f" {bad.group(1) if bad else 0} of them refused)")


def case_bonus(f, o):
    """The daily bonus beside others who read and give gifts at an easy pace."""
    rates, reads, gifts = [], [], []
    for _ in range(o.rounds):
        state = tempfile.mkdtemp(prefix="hbbonus")
        try:
            out = subprocess.run([os.path.join(o.build, "tests/bench/bench_bonus"), "--dir", state,
                                  "--users", os.environ.get("BONUS_USERS", "20000"), "--verify"],
                                 capture_output=True, text=True, check=True).stdout
        finally:
            shutil.rmtree(state, ignore_errors=True)
        if "clean" not in out:
            raise SystemExit("bonus: " + out)
        p99 = {tuple(line.split()[:2]): float(line.split()[5]) for line in out.splitlines() if " p99 " in line}
        rates.append(float(re.search(r"(\d+) users/s", out).group(1)))
        reads.append(p99["read", "during"] / p99["read", "quiet"])
        gifts.append(p99["gift", "during"] / p99["gift", "quiet"])
    f.value("a user's bonus", 1e6 / statistics.median(rates), "us", below=100,
            note=f"{statistics.median(rates):.0f} users/s")
    f.value("reads p99 during it : quiet", statistics.median(reads), "times", below=2)
    f.value("gifts p99 during it : quiet", statistics.median(gifts), "times", below=2)


def case_start(f, o):
    times, memory = [], []
    for _ in range(o.rounds):
        with Server(o.build, OPEN) as s:
            times.append(s.start_seconds)
            time.sleep(0.3)
            for pid in s.children():
                text = open(f"/proc/{pid}/status").read()
                memory.append(int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) / 1024)
    f.value("start to first 200 of /readyz", statistics.median(times), "s", below=1)
    f.value("resident memory of an idle child", statistics.median(memory), "MiB")


CASES = {"copy": case_copy, "me": case_me, "limiter": case_limiter, "streams": case_streams, "register": case_register,
         "ledger": case_ledger, "gift": case_gift, "hooks": case_hooks, "million": case_million, "storm": case_storm, "start": case_start, "bonus": case_bonus,
         "backup": bench_backup.case_backup,
         "tunnel": bench_tunnel.case_tunnel, "hold": bench_tunnel.case_hold,
         "joined": bench_tunnel.case_joined,
         "limits": bench_hosts.case_limits, "remote": bench_hosts.case_remote,
         "rooms": bench_rooms.case_rooms, "deflate": bench_rooms.case_deflate,
         "realtime": bench_realtime.case_realtime}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--build", required=True)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=int, default=3)
    p.add_argument("--users", type=int, default=1000000)
    p.add_argument("--group", type=int, default=16)
    p.add_argument("--ledger", default="100000,1000000", help="sizes of ledgers to prove")
    p.add_argument("--node", help="where the Node server of case hooks is installed")
    p.add_argument("--keep-perf", action="store_true")
    p.add_argument("--sockets", type=int, default=9000, help="to hold at once")
    p.add_argument("--json")
    p.add_argument("cases", nargs="*", metavar="CASE")
    o = p.parse_args()
    o.build = os.path.abspath(o.build)
    o.node = o.node or os.path.join(o.build, "tests/bench/node")
    for c in o.cases:
        if c not in CASES:
            p.error(f"no case is called {c}: {' '.join(CASES)}")
    if not shutil.which("wrk"):
        raise SystemExit("wrk is missing: apt-get install wrk")
    f = Figures()
    for name, fn in CASES.items():
        if not o.cases or name in o.cases:
            fn(f, o)
    if o.json:
        with open(o.json, "w") as out:
            json.dump(f.rows, out, indent=1)


if __name__ == "__main__":
    main()
