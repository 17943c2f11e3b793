# SPDX-License-Identifier: Apache-2.0
"""halobuzz-crond beside httpd: its life, and that runs end once whoever is killed."""

import json
import os
import pwd
import re
import signal
import subprocess
import time

import pytest

from hb_beside import make_target
from hb_client import Client
from hb_httpd import BUILD, OWN_MODULES, RUN_USER, is_root, processes_of, sanitizer_libraries
from hb_realtime import metrics, wait_for
from hb_sink import Sink

PROGRAM = os.path.join(BUILD, ".libs", "halobuzz-crond")
JOBS = os.path.join(BUILD, ".libs", "libhb_test_jobs.so")
OWN = OWN_MODULES + ("halobuzz_cron",)
STATUS = '<Location "/server-status">\nSetHandler server-status\n</Location>\n'


@pytest.fixture(scope="module", autouse=True)
def test_jobs():
    make_target(BUILD, "libhb_test_jobs.la")


@pytest.fixture
def make_cron(make_server):
    def make(settings=None, start=True, own_jobs=True, **args):
        server = make_server(own=OWN, extra=STATUS, start=False, settings={
            "HaloBuzzCronProgram": PROGRAM, "HaloBuzzJobLease": "2s",
            "HaloBuzzMonitorAddress": "127.0.0.1", **(settings or {})}, **args)
        if own_jobs:
            server.jobs = os.path.join(server.root, "jobs")
            os.mkdir(server.jobs)
            os.chmod(server.jobs, 0o777)
            wrapper = os.path.join(server.root, "crond")
            with open(wrapper, "w") as f:
                f.write('#!/bin/sh\nLD_PRELOAD="${LD_PRELOAD:+$LD_PRELOAD:}%s" HB_TEST_JOBS=%s '
                        'exec %s "$@"\n' % (JOBS, server.jobs, PROGRAM))
            os.chmod(wrapper, 0o755)
            server.settings["HaloBuzzCronProgram"] = wrapper
        return server.start() if start else server
    return make


def ctl(server, *args, code=0):
    """halobuzzctl cron ... --json, with the jobs that the server's program has."""
    env = server._environment()
    env["LD_PRELOAD"] = ":".join(sanitizer_libraries() + [JOBS])
    done = subprocess.run([os.path.join(BUILD, ".libs", "halobuzzctl"), "cron", *args, "--json",
                           "--settings", os.path.join(server.root, "run", "halobuzz-cron.conf")],
                          env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout) if done.stdout.startswith("{") else done.stdout


def crond(server):
    """The process that watches the others; they have its name and --run."""
    found = []
    for pid in processes_of(server.process.pid):
        try:
            with open("/proc/%d/cmdline" % pid, "rb") as f:
                words = f.read().split(b"\0")
        except OSError:
            continue
        if b"crond" in words[0] and b"--run" not in words and b"--config" in words:
            found.append(pid)
    return found


def started(server, other_than=None):
    def look():
        pids = crond(server)
        return len(pids) == 1 and pids[0] != other_than and \
            "halobuzz_cron:notice] [pid %d]" % pids[0] in server.log_text() and pids[0]
    return wait_for(look, 20, lambda: server.log_text()[-2000:])


def notes(server, what="did"):
    try:
        with open(os.path.join(server.jobs, "notes")) as f:
            return [line.split() for line in f if line.startswith(what)]
    except FileNotFoundError:
        return []


def hold(server, step):
    with open(os.path.join(server.jobs, "hold"), "w") as f:
        f.write(str(step))


def newest(server, job):
    items = ctl(server, "history", job)["items"]
    return items[0] if items else {}


def test_it_lives_beside_httpd(make_cron, claims):
    claims("HB02055")
    server = make_cron(own_jobs=False)
    pid = started(server)
    with open("/proc/%d/status" % pid) as f:
        uid = int(re.search(r"^Uid:\s+(\d+)", f.read(), re.M).group(1))
    assert uid == (pwd.getpwnam(RUN_USER).pw_uid if is_root() else os.getuid())
    client = Client(server)
    assert "HaloBuzzProgram-cron: process %d\n" % pid in client.get("/server-status?auto").text
    said = metrics(client)
    assert said['up{job="halobuzz-crond"}'] == 1
    assert said['halobuzz_job_runs_total{job="og-bonus",result="done"}'] == 0
    files = len(os.listdir("/proc/%d/fd" % pid))
    for i in range(5):
        server.settings["HaloBuzzJobsAtOnce"] = str(i + 1)
        server.write_conf()
        server.graceful()
    # Settings of the last reload are in force, in the same process.
    wait_for(lambda: len(os.listdir("/proc/%d/fd" % pid)) <= files)
    assert crond(server) == [pid]
    os.kill(pid, signal.SIGKILL)
    second = started(server, other_than=pid)
    assert not [p for p in processes_of(server.process.pid) if p == pid]
    # And it ends with httpd, however that ends.
    session = server.process.pid
    server.process.kill()
    server.process.wait()
    wait_for(lambda: second not in processes_of(session), why="the program outlived httpd")
    server.kill_session(session)


def test_a_run_ends_once_though_it_is_killed_at_each_step(make_cron, claims):
    claims("~killed by signal 9")
    server = make_cron()
    started(server)
    for step in (1, 2, 3):
        hold(server, step)
        ctl(server, "run", "steps", "--no-wait")
        at = wait_for(lambda: [n for n in notes(server, "at") if n[1] == str(step)],
                      why=lambda: server.log_text()[-2000:])
        assert newest(server, "steps")["state"] == "running"
        os.kill(int(at[-1][-1]), signal.SIGKILL)
        run = wait_for(lambda: [r for r in [newest(server, "steps")] if r["state"] == "waiting"])[0]
        assert "killed by signal 9" in run["error"]
    hold(server, 0)
    run = ctl(server, "run", "steps")
    assert run["state"] == "done" and run["note"] == "all 3"
    assert [n[1] for n in notes(server)] == ["1", "2", "3"]
    assert len(ctl(server, "history", "steps")["items"]) == 1
    said = metrics(Client(server))
    assert said['halobuzz_job_runs_total{job="hold-expire",result="done"}'] == 1
    assert said['halobuzz_job_runs_total{job="hold-expire",result="failed"}'] == 3
    assert time.time() - said['halobuzz_job_last_success_timestamp_seconds{job="hold-expire"}'] < 60


def test_one_that_hangs_is_killed_and_disturbs_nobody(make_cron, claims):
    claims("~took longer than its limit", "~the other side said no")
    server = make_cron()
    started(server)
    ctl(server, "run", "hang", "--no-wait")
    hung = int(wait_for(lambda: notes(server, "hangs"))[0][-1])
    for sig in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        os.kill(hung, sig)      # as who ends all of a service does: that is for its parent to say
    assert ctl(server, "run", "steps")["state"] == "done"
    failed = ctl(server, "run", "fail", code=1)
    assert failed["state"] == "waiting" and failed["error"] == "the other side said no"
    wait_for(lambda: newest(server, "hang").get("state") == "waiting")
    assert "its limit" in newest(server, "hang")["error"]
    assert hung not in processes_of(server.process.pid)
    listed = {j["name"]: j for j in ctl(server, "list")["items"]}
    assert listed["fail"]["failures"] == 1 and listed["steps"]["failures"] == 0


def test_the_team_hears_of_it_where_all_that_leaves_the_house_is_set_up(make_cron, claims):
    """Programs are given few secrets; what they are not given is nothing they stumble over."""
    claims("~the other side said no")
    server = make_cron(start=False)

    def secret(name, text):
        path = os.path.join(server.root, name)
        with open(path, "w") as f:
            f.write(text + "\n")
        os.chmod(path, 0o600)
        return "file:" + path

    with Sink() as sink:
        server.own += ("halobuzz_realtime",)
        server.settings.update({
            "HaloBuzzRealtimeProgram": os.path.join(BUILD, ".libs", "halobuzz-realtimed"),
            "HaloBuzzSMSURL": sink.url, "HaloBuzzSMSAccount": "AC1",
            "HaloBuzzSMSToken": secret("sms", "sesame"), "HaloBuzzSMSFrom": "+15550001111",
            "HaloBuzzPushURL": sink.url, "HaloBuzzPushSecret": secret("push", "x" * 40),
            "HaloBuzzTeamHook": secret("team", sink.url + "/services/T/B/x")})
        server.start()
        started(server)
        wait_for(lambda: metrics(Client(server))['up{job="halobuzz-realtimed"}'] == 1, 20)
        ctl(server, "run", "fail", code=1)
        post, = sink.wait("/services/T/B/x", sec=30)
        assert b"the other side said no" in post[2]
        sink.shutdown()


def test_another_host_takes_over_and_both_do_each_once(make_cron, claims):
    claims("HB02055")
    lease = {"HaloBuzzJobLease": "3s"}      # a busy machine may stand still for half of it
    one = make_cron(lease)
    two = make_cron(lease, start=False)
    two.settings["HaloBuzzStore"] = one.settings.get("HaloBuzzStore") \
        or "sqlite:%s/halobuzz.db" % one.state
    with open(one.settings["HaloBuzzCronProgram"]) as f, \
            open(two.settings["HaloBuzzCronProgram"], "w") as out:
        out.write(f.read())             # one directory of notes
    started(one)
    two.start()
    started(two)
    hold(one, 2)
    ctl(one, "run", "steps", "--no-wait")
    at = int(wait_for(lambda: [n for n in notes(one, "at") if n[1] == "2"])[0][-1])
    # Longer than a lease: whoever has it keeps it.
    time.sleep(3.5)
    assert len(notes(one, "at")) == 2
    busy = one if at in processes_of(one.process.pid) else two
    os.kill(crond(busy)[0], signal.SIGKILL)
    wait_for(lambda: at not in processes_of(busy.process.pid), why="the run outlived its crond")
    hold(one, 0)
    wait_for(lambda: newest(one, "steps")["state"] == "done", 20,
             lambda: one.log_text()[-1500:] + two.log_text()[-1500:])
    assert [n[1] for n in notes(one)] == ["1", "2", "3"]
    assert "is taken over from" in one.log_text() + two.log_text()
    # A host that stops gives back what it does, at once.
    hold(one, 1)
    ctl(one, "run", "steps", "--no-wait")
    at = int(wait_for(lambda: notes(one, "at")[5:] and notes(one, "at"))[-1][-1])
    busy, other = (one, two) if at in processes_of(one.process.pid) else (two, one)
    busy.stop()
    hold(one, 0)
    taken = other.log_text().count("is taken over from")
    wait_for(lambda: newest(other, "steps")["state"] == "done")
    assert len(notes(one)) == 6
    assert other.log_text().count("is taken over from") == taken    # no lease had to end


def test_wrong_schedules_are_found_by_configtest(make_cron):
    server = make_cron(start=False, own_jobs=False)
    for value, part in (("og-bonus 61 0 * * *", "61"), ("og-bonus 0 0 * * * Mars/Base", "Mars/Base"),
                        ("no-such 0 0 * * *", "there is no job"), ("og-bonus", "five fields")):
        server.settings["HaloBuzzJob"] = value
        code, said = server.configtest()
        assert code != 0 and part in said and "HaloBuzzJob" in said, said
        assert re.search(r"on line \d+ of %s" % server.conf, said) and "for instance" in said
    server.settings["HaloBuzzJob"] = "reconcile off"
    server.settings["HaloBuzzJob og-bonus"] = '"5 0 * * *" Asia/Kathmandu'
    code, said = server.configtest()
    assert code == 0, said
    said = server.command("-t", "-D", "DUMP_HB_SETTINGS").stdout
    assert "reconcile off;og-bonus 5 0 * * * Asia/Kathmandu" in said


def zombies(session):
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % name) as f:
                before, _, after = f.read().rpartition(")")
        except OSError:
            continue
        if after.split()[0] == "Z" and int(after.split()[3]) == session:
            found.append(before)
    return found


@pytest.mark.slow
def test_two_hundred_reloads_leave_one_program_as_it_was(make_cron):
    server = make_cron(own_jobs=False)
    pid = started(server)

    def kilobytes():
        with open("/proc/%d/status" % pid) as f:
            return int(re.search(r"^VmRSS:\s+(\d+)", f.read(), re.M).group(1))

    early = 0
    for i in range(200):
        server.graceful()
        if i == 50:
            early = kilobytes()
    wait_for(lambda: crond(server) == [pid])
    assert kilobytes() < early * 1.1 + 1024
    # httpd looks for its own dead once a second.
    wait_for(lambda: not zombies(server.process.pid), 5, lambda: zombies(server.process.pid))
