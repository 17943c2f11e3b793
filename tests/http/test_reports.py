# SPDX-License-Identifier: Apache-2.0
"""Figures of days: who may see them, as JSON and as CSV."""

import csv
import datetime
import io
import json

import pytest

from hb_client import Client, assert_problem
from hb_finance import bank_with, ctl, finance
from hb_users import Users


@pytest.fixture(scope="module")
def bank():
    with bank_with({"HaloBuzzZone": "UTC"}) as one:
        yield one


@pytest.fixture(scope="module")
def finn(bank):
    return finance(bank, "finn")


@pytest.fixture(scope="module")
def today(bank, finn):
    day = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    out = ctl(bank, "report", "day", day)
    assert day in out and "registered" in out
    return day


def test_the_day_is_there(bank, finn, today):
    day = finn.get("/api/v1/admin/reports/" + today)
    assert day.status_code == 200, day.text
    assert day.json()["users"]["registered"] == 1 and day.json()["users"]["active"] == 1
    assert day.json()["isFinal"] is False
    listed = finn.get("/api/v1/admin/reports").json()
    assert [one["date"] for one in listed["items"]] == [today] and listed["next"] is None


def test_it_is_a_table_too(bank, finn, today):
    file = finn.get("/api/v1/admin/reports/%s/file" % today)
    assert file.headers["Content-Type"].startswith("text/csv")
    assert "report-%s.csv" % today in file.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(file.text)))
    assert {"date": today, "figure": "users.registered", "of": "", "value": "1"} in rows
    assert ctl(bank, "report", "day", today, "--csv").splitlines()[0] == "date,figure,of,value"


def test_days_that_were_not_counted(finn):
    assert_problem(finn.get("/api/v1/admin/reports/2001-01-01"), 404, "report.unknown")
    assert_problem(finn.get("/api/v1/admin/reports/nonsense/file"), 404, "report.unknown")


def test_the_operator_sees_what_would_go(bank):
    rows = json.loads(ctl(bank, "store", "clean", "--dry-run", "--json"))
    assert rows["isDry"] and {"name": "chat", "collection": "messages", "keptSec": 180 * 86400,
                              "records": 0} in rows["items"]
    assert "gone" in ctl(bank, "store", "clean")


def test_others_do_not_see_them(bank, today):
    stranger = Users(bank).make()
    assert_problem(stranger.get("/api/v1/admin/reports"), 403, "role.required")
    assert_problem(Client(bank).get("/api/v1/admin/reports/" + today), 401, "auth.required")
