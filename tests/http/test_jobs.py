# SPDX-License-Identifier: Apache-2.0
"""Jobs as administrators see them over HTTP; that they run is test_cron.py's."""

import pytest

from hb_client import Client, assert_problem
from hb_finance import bank_with, ctl, finance
from hb_users import Users

JOBS = "/api/v1/admin/jobs"


@pytest.fixture(scope="module")
def site():
    with bank_with({"HaloBuzzJob": "reconcile off"}) as one:
        yield one


@pytest.fixture(scope="module")
def boss(site):
    one = Users(site).make(username="boss", email_address="boss@halobuzz.test")
    ctl(site, "user", "role", "boss", "admin")
    return one.login()


def test_jobs_are_listed(boss):
    answer = boss.get("/api/v1/admin/jobs")
    assert answer.status_code == 200, answer.text
    jobs = {job["name"]: job for job in answer.json()["items"]}
    assert jobs["og-bonus"]["state"] == "on" and "T00:00:00+1" in jobs["og-bonus"]["nextLocal"]
    assert jobs["reconcile"]["state"] == "off" and "HaloBuzzJob" in jobs["reconcile"]["why"]


def test_one_is_paused_and_resumed(boss):
    assert boss.post("/api/v1/admin/jobs/%s/pause" % "og-bonus").json()["state"] == "paused"
    assert boss.post("/api/v1/admin/jobs/%s/resume" % "og-bonus").json()["state"] == "on"
    for what in ("pause", "resume"):
        assert_problem(boss.post(JOBS + "/none/" + what), 404, "job.unknown")


def test_one_is_asked_for(boss):
    path = "/api/v1/admin/jobs/%s/runs"
    run = boss.post("/api/v1/admin/jobs/%s/runs" % "og-bonus", json={"date": "2026-01-02"})
    assert run.status_code == 200, run.text
    assert run.json()["occurrence"] == "og-bonus:2026-01-02" and run.json()["state"] == "waiting"
    listed = boss.get("/api/v1/admin/jobs/%s/runs" % "og-bonus").json()["items"]
    assert [one["date"] for one in listed] == ["2026-01-02"]
    assert boss.post(path % "order-expire", json={}).json()["isManual"] is True
    assert_problem(boss.post(path % "og-bonus", json={"date": "2999-01-01"}), 409, "job.state")
    assert_problem(boss.post(path % "reconcile", json={}), 409, "job.state")
    assert_problem(boss.post(path % "none", json={}), 404, "job.unknown")
    assert_problem(boss.post(path % "og-bonus", json={"date": "today"}), 422, "input.invalid")
    assert_problem(boss.get(path % "none"), 404, "job.unknown")


def test_others_do_not_see_them(site):
    assert_problem(finance(site, "finn").get(JOBS), 403, "role.required")
    assert_problem(Client(site).get(JOBS), 401, "auth.required")
