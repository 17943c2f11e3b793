# SPDX-License-Identifier: Apache-2.0
"""Payouts from the host's request to the bank's word, and four eyes between them."""

import csv
import io

import pytest

from hb_client import Client, assert_problem
from hb_finance import bank_with, ctl, finance, give_coins, key
from hb_race import at_once
from hb_users import Mails, Users

NOBODY = "65a1b2c3d4e5f60718293a4b"
PAYOUTS = "/api/v1/wallet/payouts"


@pytest.fixture(scope="module")
def bank():
    with bank_with({"HaloBuzzPayoutHold": "0", "HaloBuzzPayoutMin": "1000"}) as one:
        ctl(one, "seed")
        yield one


@pytest.fixture(scope="module")
def finn(bank):
    return finance(bank, "finn")


@pytest.fixture(scope="module")
def fatima(bank):
    return finance(bank, "fatima")


@pytest.fixture(scope="module")
def gift(bank):
    return Client(bank).get("/api/v1/gifts").json()["items"][0]


@pytest.fixture
def host(bank, finn, gift):
    """Somebody who has earned 5000 coins."""
    host, viewer = Users(bank).make(), Users(bank).make()
    room = host.post("/api/v1/streams", {"title": "Songs"}).json()["id"]
    assert host.post("/api/v1/streams/%s/start" % room).status_code == 200
    quantity = 10000 // gift["priceCoins"]
    give_coins(finn, viewer, 10000)
    for _ in range(quantity // 999):
        viewer.post("/api/v1/streams/%s/gifts" % room, {"giftId": gift["id"], "quantity": 999},
                    headers=key())
    reply = viewer.post("/api/v1/streams/%s/gifts" % room,
                        {"giftId": gift["id"], "quantity": quantity % 999}, headers=key())
    assert reply.status_code in (200, 201), reply.text
    assert host.get("/api/v1/wallet").json()["earned"] == 5000
    return host


def ask(host, coins=2000, **more):
    body = {"coins": coins, "currency": "npr", "method": "esewa", "account": "9800000000",
            "accountName": "A Host", **more}
    return host.post(PAYOUTS, body, headers=key())


def approval_of(staff, payout):
    items = staff.get("/api/v1/admin/approvals?limit=100").json()["items"]
    return [a for a in items if a["subject"] == payout["id"]][0]


def reviewed(host, finn):
    payout = ask(host).json()
    reply = finn.post("/api/v1/admin/payouts/%s/review" % payout["id"])
    assert reply.status_code == 200, reply.text
    return payout, approval_of(finn, payout)


def test_the_whole_way(bank, host, finn, fatima):
    reply = ask(host)
    assert reply.status_code == 201, reply.text
    payout = reply.json()
    assert payout["state"] == "requested" and payout["amountMinor"] == 4000
    wallet = host.get("/api/v1/wallet").json()
    assert (wallet["earned"], wallet["held"]) == (3000, 2000)
    assert host.get(PAYOUTS).json()["items"] == [payout]
    assert payout["id"] in [p["id"] for p in finn.get("/api/v1/admin/payouts").json()["items"]]
    assert finn.get("/api/v1/admin/payouts/%s" % payout["id"]).json()["userId"] == host.id
    reply = finn.post("/api/v1/admin/payouts/%s/review" % payout["id"])
    assert reply.json()["reviewedBy"] == finn.id
    approval = approval_of(fatima, payout)
    assert approval["summary"] == "2000 coins as NPR 40.00 by esewa"
    assert_problem(finn.post("/api/v1/admin/approvals/%s/approve" % approval["id"]), 403,
                   "approval.four_eyes")
    reply = fatima.post("/api/v1/admin/approvals/%s/approve" % approval["id"],
                        {"note": "seen the papers"})
    assert reply.status_code == 200, reply.text
    assert (reply.json()["state"], reply.json()["decidedBy"]) == ("approved", fatima.id)
    headers = key()
    batch = finn.post("/api/v1/admin/payout-batches", {"currency": "npr"}, headers=headers)
    assert batch.status_code == 201, batch.text
    again = finn.post("/api/v1/admin/payout-batches", {"currency": "npr"}, headers=headers)
    assert again.json() == batch.json() and again.headers["Idempotency-Replayed"] == "true"
    batch = batch.json()
    assert (batch["payouts"], batch["coins"], batch["amountMinor"]) == (1, 2000, 4000)
    assert finn.get("/api/v1/admin/payout-batches").json()["items"][0] == batch
    reply = finn.get("/api/v1/admin/payout-batches/%s/file" % batch["id"])
    assert reply.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(reply.text, newline="")))
    assert [(r["payout"], r["amount"], r["account"]) for r in rows] == [
        (payout["id"], "40.00", "9800000000")]
    reply = finn.post("/api/v1/admin/payouts/%s/paid" % payout["id"], {"reference": "TX-77"})
    assert reply.json()["state"] == "paid"
    assert_problem(finn.post("/api/v1/admin/payouts/%s/paid" % payout["id"],
                             {"reference": "TX-77"}), 409, "payout.state")
    wallet = host.get("/api/v1/wallet").json()
    assert (wallet["earned"], wallet["held"]) == (3000, 0)
    mine = host.get(PAYOUTS).json()["items"][0]
    assert mine["reference"] == "TX-77" and "reviewedBy" not in mine and "holdId" not in mine
    assert "TX-77" in Mails(bank).newest(host.email, 2).get_content()


def test_taken_back_rejected_and_refused(bank, host, finn, fatima):
    payout = ask(host).json()
    assert_problem(ask(host), 409, "payout.open")
    assert host.delete(PAYOUTS + "/%s" % payout["id"]).json()["state"] == "cancelled"
    assert_problem(host.delete(PAYOUTS + "/%s" % payout["id"]), 409, "payout.state")
    assert_problem(Users(bank).make().delete(PAYOUTS + "/%s" % payout["id"]), 404,
                   "payout.unknown")
    payout, approval = reviewed(host, finn)
    assert_problem(host.delete(PAYOUTS + "/%s" % payout["id"]), 409, "payout.state")
    reply = fatima.post("/api/v1/admin/approvals/%s/refuse" % approval["id"],
                        {"reason": "the name differs"})
    assert reply.json()["state"] == "refused"
    assert finn.get("/api/v1/admin/payouts/%s" % payout["id"]).json()["state"] == "requested"
    reply = finn.post("/api/v1/admin/payouts/%s/reject" % payout["id"],
                      {"reason": "the name differs"})
    assert reply.json()["state"] == "rejected"
    assert host.get("/api/v1/wallet").json()["earned"] == 5000
    assert "the name differs" in Mails(bank).newest(host.email, 2).get_content()


def test_two_decide_at_once(bank, host, finn, fatima):
    payout, approval = reviewed(host, finn)
    replies = at_once(bank, [lambda c, what=what: c.post(
        "/api/v1/admin/approvals/%s/%s" % (approval["id"], what), {"reason": "a race"},
        token=fatima.token) for what in ("approve", "refuse") * 4])
    assert sorted(r.status_code for r in replies) == [200] + [409] * 7
    state = finn.get("/api/v1/admin/payouts/%s" % payout["id"]).json()["state"]
    said = [r.json()["state"] for r in replies if r.status_code == 200]
    assert (said[0], state) in (("approved", "approved"), ("refused", "requested"))


def test_many_requests_at_once(bank, host):
    body = {"coins": 3000, "currency": "npr", "method": "khalti", "account": "9800000001",
            "accountName": "A Host"}
    replies = at_once(bank, [lambda c, n=n: c.post(
        PAYOUTS, body, token=host.token, headers={"Idempotency-Key": "race%d" % n})
        for n in range(8)])
    assert sorted(r.status_code for r in replies) == [201] + [409] * 7
    wallet = host.get("/api/v1/wallet").json()
    assert (wallet["earned"], wallet["held"]) == (2000, 3000)


@pytest.mark.parametrize("body, status, code", [
    ({"coins": 999}, 422, "input.invalid"),
    ({"coins": 5001}, 409, "wallet.short"),
    ({"coins": -1}, 422, "input.invalid"),
    ({"coins": 2 ** 53 + 1}, 422, "input.invalid"),
    ({"coins": 2 ** 63 - 1}, 422, "input.invalid"),
    ({"coins": 1000.5}, 422, "input.invalid"),
    ({"currency": "eur"}, 422, "input.invalid"),
    ({"method": "bank"}, 422, "input.invalid"),
    ({"account": ""}, 422, "input.invalid"),
])
def test_what_cannot_be_asked_for(host, body, status, code):
    assert_problem(ask(host, **body), status, code)
    assert host.get("/api/v1/wallet").json()["held"] == 0


def test_bonus_and_bought_coins_are_not_paid_out(bank, finn):
    member = Users(bank).make()
    reply = finn.post("/api/v1/admin/adjustments", {"userId": member.id, "coins": 20000,
                                                    "bonus": 20000, "reason": "a test"},
                      headers=key())
    assert reply.status_code == 201
    assert_problem(ask(member), 409, "wallet.short")


def test_who_may(bank, host):
    for path in ("/api/v1/admin/payouts", "/api/v1/admin/payout-batches",
                 "/api/v1/admin/approvals"):
        assert_problem(host.get(path), 403, "role.required")
        assert_problem(Client(bank).get(path), 401, "auth.required")
    assert_problem(Client(bank).post(PAYOUTS, {}), 401, "auth.required")
    assert_problem(host.post(PAYOUTS, {"coins": 1}), 400, "idempotency.missing")


def test_what_is_not_there(finn):
    for path in ("/api/v1/admin/payouts/", "/api/v1/admin/payout-batches/"):
        rest = "/file" if "batches" in path else ""
        for name in (NOBODY, "me"):
            assert_problem(finn.get(path + name + rest), 404, "payout.unknown")
    assert_problem(finn.post("/api/v1/admin/approvals/%s/approve" % NOBODY), 404,
                   "approval.unknown")
    assert_problem(finn.get("/api/v1/admin/payouts?state=lost"), 422, "input.invalid")


def test_held_for_a_while(make_server, claims):
    server = make_server(settings={"HaloBuzzAuthStaffTOTP": "off", "HaloBuzzPayoutMin": "1"})
    ctl(server, "seed")
    staff = finance(server, "finn")
    host, viewer = Users(server).make(), Users(server).make()
    room = host.post("/api/v1/streams", {"title": "Songs"}).json()["id"]
    host.post("/api/v1/streams/%s/start" % room)
    give_coins(staff, viewer, 1000)
    rose = Client(server).get("/api/v1/gifts").json()["items"][0]
    viewer.post("/api/v1/streams/%s/gifts" % room, {"giftId": rose["id"], "quantity": 10},
                headers=key())
    payout = ask(host, host.get("/api/v1/wallet").json()["earned"]).json()
    assert_problem(staff.post("/api/v1/admin/payouts/%s/review" % payout["id"]), 409,
                   "payout.held")
