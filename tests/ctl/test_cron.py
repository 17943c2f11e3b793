# SPDX-License-Identifier: Apache-2.0
"""halobuzzctl cron: jobs as an operator sees them."""

import os
import subprocess

from hb_httpd import BUILD, OWN_MODULES

OK, FAILED, USAGE = 0, 1, 2
CROND = os.path.join(BUILD, ".libs", "halobuzz-crond")


def test_jobs_are_listed_with_both_times(ctl, make_place):
    place = make_place(HaloBuzzJob="reconcile off;hold-expire 30 2 * * * Asia/Kathmandu")
    jobs = {j["name"]: j for j in ctl("cron", "list", "--json", place=place).json["items"]}
    bonus, hold = jobs["og-bonus"], jobs["hold-expire"]
    assert bonus["state"] == "on" and bonus["zone"] == "Australia/Sydney"
    assert "T00:00:00+1" in bonus["nextLocal"] and bonus["next"].endswith(":00:00.000Z")
    assert hold["schedule"] == "30 2 * * *" and hold["nextLocal"].endswith("T02:30:00+05:45")
    assert hold["next"].endswith("T20:45:00.000Z")
    assert jobs["reconcile"]["state"] == "off" and jobs["reconcile"]["next"] is None
    assert "provider" in jobs["order-ask"]["why"]
    shown = ctl("cron", "list", place=place).out
    assert bonus["nextLocal"] in shown and "has not run yet" in shown


def test_pausing_is_seen_by_all(ctl, place):
    assert ctl("cron", "pause", "og-bonus", place=place).code == OK
    jobs = {j["name"]: j for j in ctl("cron", "list", "--json", place=place).json["items"]}
    assert jobs["og-bonus"]["state"] == "paused" and jobs["og-bonus"]["next"] is None
    assert jobs["hold-expire"]["state"] == "on"
    assert ctl("cron", "resume", "og-bonus", place=place).code == OK
    jobs = {j["name"]: j for j in ctl("cron", "list", "--json", place=place).json["items"]}
    assert jobs["og-bonus"]["state"] == "on"


def test_what_cannot_be_is_refused(ctl, place):
    for args in (("pause", "no-such"), ("history", "no-such"), ("run", "no-such"),
                 ("run", "og-bonus", "--date", "2999-01-01"), ("run", "reconcile")):
        done = ctl("cron", *args, place=place)
        assert done.code == FAILED and args[1] in done.err, (args, done.err)
    assert ctl("cron", "run", "og-bonus", "--date", "tomorrow", place=place).code == USAGE
    assert ctl("cron", "history", "og-bonus", "--limit", "0", place=place).code == USAGE
    assert ctl("cron", "pause", place=place).code == USAGE
    assert ctl("cron", "run", "hold-expire", "--no-wait", "--json", place=place).json["state"] \
        == "waiting"


def test_the_program_by_hand(place):
    """Its own --list, and --once as if it were another moment; root leaves nothing of its own."""
    def crond(*args, **more):
        return subprocess.run([CROND, *args], capture_output=True, text=True, timeout=30,
                              env={"LD_LIBRARY_PATH": os.path.join(BUILD, ".libs"),
                                   "HALOBUZZ_SETTINGS": place.settings}, **more)

    listed = crond("--list")
    assert listed.returncode == OK, listed.stderr
    rows = {line.split()[0]: line for line in listed.stdout.splitlines()}
    assert " on " in rows["og-bonus"] and "T00:00:00+1" in rows["og-bonus"]
    assert "Australia/Sydney" in rows["og-bonus"] and "UTC" in rows["backup-nightly"]
    for _ in range(2):                  # what was done is done again
        done = crond("--once", "og-bonus", "--at", "2026-10-04T02:00:00+10:00")
        assert done.returncode == OK, done.stderr
        assert done.stdout.startswith("og-bonus:2026-10-04") and "done: paid 0" in done.stdout
    for name in os.listdir(place.state):
        assert os.stat(os.path.join(place.state, name)).st_uid == place.owner, name
    assert crond("--list", "--config", place.settings, user=place.owner).returncode == OK
    assert crond("--once", "no-such").returncode == FAILED
    for args in (["--once", "og-bonus", "--at", "noon"], ["--list", "--once", "og-bonus"],
                 ["--at", "2026-10-04T02:00:00Z"]):
        assert crond(*args).returncode == USAGE, args


def test_a_job_runs_on_demand_in_a_server(ctl, make_server):
    server = make_server(own=OWN_MODULES + ("halobuzz_cron",), settings={
        "HaloBuzzCronProgram": CROND,
        "HaloBuzzMonitorAddress": "127.0.0.1"})
    settings = os.path.join(server.root, "run", "halobuzz-cron.conf")
    done = ctl("cron", "run", "og-bonus", "--date", "2026-10-04", "--json", settings=settings)
    assert done.code == OK, done.err + server.log_text()[-2000:]
    assert done.json["occurrence"] == "og-bonus:2026-10-04" and done.json["state"] == "done"
    assert "paid 0 bonus coins" in done.json["note"]
    again = ctl("cron", "run", "og-bonus", "--date", "2026-10-04", settings=settings)
    assert again.code == OK and "og-bonus:2026-10-04/" in again.out
    shown = ctl("cron", "history", "og-bonus", settings=settings).out
    assert shown.count("og-bonus:2026-10-04") == 2
    status = ctl("status", server.url, settings=settings).out.splitlines()
    assert ["halobuzz-crond", "up"] in [line.split() for line in status]
