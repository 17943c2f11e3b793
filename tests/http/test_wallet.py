# SPDX-License-Identifier: Apache-2.0
"""Wallets, statements, corrections by finance, and calls that are repeated."""

import csv
import io
import os

import pytest

from hb_client import Client, assert_problem
from hb_finance import bank_with, boss_of
from hb_race import at_once
from hb_users import Users

BOSS = "boss@halobuzz.test"
NOBODY = "65a1b2c3d4e5f60718293a4b"


@pytest.fixture(scope="module")
def bank():
    """A server on which staff need no second factor."""
    with bank_with({"HaloBuzzAdminEmail": BOSS}) as one:
        yield one


@pytest.fixture(scope="module")
def people(bank):
    return Users(bank)


@pytest.fixture(scope="module")
def boss(bank, people):
    return boss_of(bank, people, BOSS)


@pytest.fixture
def member(people):
    return people.make()


def adjust(boss, user, key=None, **body):
    body = {"userId": getattr(user, "id", user), "reason": "a test", **body}
    return boss.post("/api/v1/admin/adjustments", body,
                     headers={"Idempotency-Key": key or os.urandom(8).hex()})


def test_an_empty_wallet(bank, member, people):
    assert member.get("/api/v1/wallet").json() == {
        "balance": 0, "bonusBalance": 0, "earned": 0, "held": 0, "debt": 0,
        "totalEarned": 0, "totalSpent": 0}
    assert member.get("/api/v1/wallet/transactions").json() == {"items": [], "next": None}
    reply = member.get("/api/v1/wallet/statement.csv")
    assert reply.text == "time,entry,type,reference,reason,coins,balance\r\n"
    for path in ("", "/transactions", "/statement.csv"):
        assert_problem(Client(bank).get("/api/v1/wallet" + path), 401, "auth.required")


def test_a_correction_shows_everywhere(boss, member):
    assert member.get("/api/v1/users/me").json()["coins"]["balance"] == 0
    reply = adjust(boss, member, coins=500, bonus=20)
    assert reply.status_code == 201, reply.text
    assert reply.json() == {"id": reply.json()["id"], "userId": member.id, "balance": 500,
                            "bonusBalance": 20}
    assert adjust(boss, member, coins=-120).json()["balance"] == 380
    wallet = member.get("/api/v1/wallet").json()
    assert (wallet["balance"], wallet["bonusBalance"], wallet["totalSpent"]) == (380, 20, 0)
    coins = member.get("/api/v1/users/me").json()["coins"]
    assert (coins["balance"], coins["bonusBalance"]) == (380, 20)
    page = member.get("/api/v1/wallet/transactions?limit=1").json()
    assert [(i["coins"], i["balance"], i["type"]) for i in page["items"]] == [
        (-120, 380, "adjustment")]
    page = member.get("/api/v1/wallet/transactions?limit=1&after=" + page["next"]).json()
    assert [(i["coins"], i["balance"]) for i in page["items"]] == [(500, 500)]
    assert page["next"] is None
    page = member.get("/api/v1/wallet/transactions?purse=bonus").json()
    assert [(i["coins"], i["balance"], i["reason"]) for i in page["items"]] == [
        (20, 20, "a test")]


def test_a_cursor_of_another_wallet(boss, member, people):
    other = people.make()
    for _ in range(2):
        adjust(boss, other, coins=1)
    cursor = other.get("/api/v1/wallet/transactions?limit=1").json()["next"]
    for bad in (cursor, "x", NOBODY):
        assert_problem(member.get("/api/v1/wallet/transactions?after=" + bad), 422,
                       "cursor.invalid")
    assert_problem(member.get("/api/v1/wallet/transactions?purse=all"), 422, "input.invalid")


def test_a_statement_for_a_spreadsheet(boss, member):
    for reason in ("=HYPERLINK(\"http://x\")", "+1+1", "-2+3", "@SUM(A1)", "plain, \"quoted\"",
                   "two\nlines", "\tTab"):
        assert adjust(boss, member, coins=10, reason=reason).status_code == 201
    reply = member.get("/api/v1/wallet/statement.csv")
    assert reply.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert reply.headers["Content-Disposition"] == "attachment; filename=\"halobuzz-coins.csv\""
    rows = list(csv.DictReader(io.StringIO(reply.text, newline="")))
    assert [r["reason"] for r in rows] == [
        "'=HYPERLINK(\"http://x\")", "'+1+1", "'-2+3", "'@SUM(A1)", "plain, \"quoted\"",
        "two\nlines", "'\tTab"]
    assert [int(r["balance"]) for r in rows] == [10 * (i + 1) for i in range(7)]
    today = rows[0]["time"][:10]
    assert member.get("/api/v1/wallet/statement.csv?from=%s&to=%s" % (today, rows[-1]["time"][:10])
                      ).text == reply.text
    assert len(member.get("/api/v1/wallet/statement.csv?to=2020-01-01").text.splitlines()) == 1
    assert len(member.get("/api/v1/wallet/statement.csv?from=2199-01-01").text.splitlines()) == 1
    for bad in ("from=today", "to=2026-02-30", "from=20260101"):
        assert_problem(member.get("/api/v1/wallet/statement.csv?" + bad), 422, "input.invalid")


def test_who_may_correct(bank, boss, member):
    me = boss.get("/api/v1/users/me").json()["id"]
    assert_problem(adjust(boss, me, coins=1), 403, "approval.four_eyes")
    assert_problem(adjust(member, member, coins=1), 403, "role.required")
    assert_problem(Client(bank).post("/api/v1/admin/adjustments", {}), 401, "auth.required")
    assert_problem(boss.post("/api/v1/admin/adjustments", {"userId": member.id, "coins": 1,
                                                           "reason": "a test"}),
                   400, "idempotency.missing")


@pytest.mark.parametrize("body, status, code", [
    ({}, 422, "input.invalid"),
    ({"coins": 0}, 422, "input.invalid"),
    ({"coins": 1.5}, 422, "input.invalid"),
    ({"coins": "1"}, 422, "input.invalid"),
    ({"coins": 2 ** 53 + 1}, 422, "input.invalid"),
    ({"coins": 2 ** 63 - 1}, 422, "input.invalid"),
    ({"coins": 1, "reason": ""}, 422, "input.invalid"),
    ({"coins": -1}, 409, "wallet.short"),
    ({"coins": 1, "bonus": -1}, 409, "wallet.short"),
    ({"coins": 1, "userId": NOBODY}, 404, "user.unknown"),
    ({"coins": 1, "userId": "me"}, 422, "input.invalid"),
])
def test_a_correction_that_cannot_be(boss, member, body, status, code):
    assert_problem(adjust(boss, member, **body), status, code)
    assert member.get("/api/v1/wallet").json()["balance"] == 0


def test_the_same_call_again(boss, member):
    first = adjust(boss, member, key="again", coins=7)
    assert first.status_code == 201 and "Idempotency-Replayed" not in first.headers
    for _ in range(2):
        reply = adjust(boss, member, key="again", coins=7)
        assert reply.status_code == 201
        assert reply.headers["Idempotency-Replayed"] == "true"
        assert reply.json() == first.json()
    assert_problem(adjust(boss, member, key="again", coins=8), 422, "idempotency.mismatch")
    assert member.get("/api/v1/wallet").json()["balance"] == 7
    # Members in another order are the same body.
    reply = boss.request("POST", "/api/v1/admin/adjustments", headers={"Idempotency-Key": "again"},
                         json={"reason": "a test", "coins": 7, "userId": member.id})
    assert reply.json() == first.json()


def test_a_refused_call_may_be_tried_again(boss, member):
    assert_problem(adjust(boss, member, key="later", coins=-5), 409, "wallet.short")
    adjust(boss, member, coins=5)
    reply = adjust(boss, member, key="later", coins=-5)
    assert reply.status_code == 201 and "Idempotency-Replayed" not in reply.headers


def test_the_same_call_many_times_at_once(bank, boss, member):
    body = {"userId": member.id, "reason": "a race", "coins": 3}
    replies = at_once(bank, [lambda c: c.post(
        "/api/v1/admin/adjustments", body, token=boss.token,
        headers={"Idempotency-Key": "race"})] * 12)
    assert {r.status_code for r in replies} == {201}
    assert len({r.text for r in replies}) == 1
    assert sum("Idempotency-Replayed" not in r.headers for r in replies) == 1
    assert member.get("/api/v1/wallet").json()["balance"] == 3


def test_two_calls_for_the_last_coin(bank, boss, member):
    adjust(boss, member, coins=1)
    replies = at_once(bank, [lambda c, k=k: c.post(
        "/api/v1/admin/adjustments", {"userId": member.id, "reason": "a race", "coins": -1},
        token=boss.token, headers={"Idempotency-Key": "last%d" % k}) for k in range(8)])
    assert sorted(r.status_code for r in replies) == [201] + [409] * 7
    assert member.get("/api/v1/wallet").json()["balance"] == 0
