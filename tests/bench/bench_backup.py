# SPDX-License-Identifier: Apache-2.0
"""What a backup costs those who are served meanwhile, and how long it takes.

The store has --users users (a million make about 2 GB). Requests that read and requests that write
are sent at a steady small rate, quiet and beside `halobuzzctl backup --gentle`, in turn.
"""
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time


def case_backup(f, o):
    from bench import OPEN, Server, account, fill, wrk

    state = tempfile.mkdtemp(prefix="hbk")
    try:
        fill(o, state, users=o.users)
        with Server(o.build, OPEN, state=state) as s:
            run(f, o, s, account(s, "benchbackup"), wrk)
    finally:
        shutil.rmtree(state, ignore_errors=True)


def run(f, o, s, token, wrk):
    env = dict(os.environ, LD_LIBRARY_PATH=os.path.join(o.build, ".libs"), NO_COLOR="1",
               HALOBUZZ_SETTINGS=os.path.join(s.dir, "runtime", "halobuzz-settings"))

    def ctl(*args):
        return subprocess.Popen([os.path.join(o.build, ".libs", "halobuzzctl"), *args], env=env,
                                stdout=subprocess.PIPE, text=True)

    def p99():
        return wrk(s.base + "/api/v1/users/me", o.seconds, connections=4,
                   headers=[f"Authorization: Bearer {token}"])["p99"]

    quiet, beside = [], []
    for _ in range(o.rounds):
        quiet.append(p99())
        took, out = time.monotonic(), ctl("backup", "--full", "--gentle", "--json")
        while out.poll() is None:
            beside.append(p99())
        took, made = time.monotonic() - took, json.loads(out.stdout.read())
        shutil.rmtree(made["path"]) if _ + 1 < o.rounds else None
    size = made["storeBytes"] / 2 ** 20
    q, b = statistics.median(quiet), statistics.median(beside)
    f.value("users/me p99, backup : quiet", b / q, "times", below=2,
            note=f"({b:.2f} ms against {q:.2f} ms; {size:.0f} MB, {size / took:.0f} MB/s beside them)")
    f.value("a full backup of it, nobody there", timed(ctl, "backup", "--full"), "s")
    f.value("what changed since", timed(ctl, "backup"), "s")
    f.value("restored and proved", timed(ctl, "backup", "test"), "s")


def timed(ctl, *args):
    began, out = time.monotonic(), ctl(*args)
    out.communicate()
    if out.returncode != 0:
        raise SystemExit("halobuzzctl %s failed" % " ".join(args))
    return time.monotonic() - began
