# SPDX-License-Identifier: Apache-2.0
"""Refunds, disputes and cases of fraud over HTTP, against the sandbox's bank."""

import urllib.parse

import pytest

from hb_client import Client, assert_problem
from hb_finance import bank_with, ctl, finance, key
from hb_hooks import message, send
from hb_hooks import prepare as prepare_hooks
from hb_httpd import Httpd
from hb_race import at_once
from hb_users import Mails, Users

NOBODY = "65a1b2c3d4e5f60718293a4b"
REFUNDS = "/api/v1/admin/refunds"
ORDERS = "/api/v1/payments/orders/"


class Shop:
    """A server that sells for play money, and two members of finance."""

    def __init__(self, server):
        self.server = server
        ctl(server, "seed")
        self.finn = finance(server, "finn")
        self.fatima = finance(server, "fatima")

    def buyer(self):
        return Users(self.server).make()

    def buy(self, user, product="npr-500"):
        """An order that is paid at the sandbox's page; its id."""
        started = user.post("/api/v1/payments/sandbox/orders", {"product": product},
                            headers=key()).json()
        at = urllib.parse.urlsplit(started["url"])
        page = at.path + "?" + at.query
        browser = Client(self.server)
        reply = browser.request("POST", page, data="result=paid", headers={
            "Content-Type": "application/x-www-form-urlencoded"})
        assert reply.status_code == 303, reply.text
        back = urllib.parse.urlsplit(reply.headers["Location"])
        browser.get(back.path + ("?" + back.query if back.query else ""))
        return started["order"]["id"]

    def ask(self, order, minor=None, headers=None, **more):
        body = {"orderId": order, "reason": "asked nicely", **more}
        if minor is not None:
            body["amountMinor"] = minor
        return self.finn.post(REFUNDS, body, headers=headers or key())


def shop_with(settings=None):
    return bank_with({"HaloBuzzPaySandbox": "on", "HaloBuzzRefundAloneNPR": "600",
                      **(settings or {})})


@pytest.fixture(scope="module")
def shop():
    with shop_with() as server:
        yield Shop(server)


def balance(user):
    return user.get("/api/v1/wallet").json()["balance"]


def test_one_may_refund_a_little(shop):
    payer = shop.buyer()
    order = shop.buy(payer)
    assert balance(payer) == 500
    headers = key()
    reply = shop.ask(order, 400, headers)
    assert reply.status_code == 201, reply.text
    refund = reply.json()
    assert (refund["state"], refund["amountMinor"], refund["currency"]) == ("done", 400, "npr")
    assert balance(payer) == 300
    again = shop.ask(order, 400, headers).json()
    assert (again["id"], again["state"]) == (refund["id"], "done")
    assert balance(payer) == 300
    assert payer.get(ORDERS + order).json()["refundedMinor"] == 400
    assert shop.finn.get(REFUNDS + "/%s" % refund["id"]).json() == refund
    assert refund["id"] in [r["id"] for r in shop.finn.get(
        REFUNDS + "?state=done").json()["items"]]
    assert "NPR 4.00 go back" in Mails(shop.server).newest(payer.email, 2).get_content()
    line = payer.get("/api/v1/wallet/transactions?limit=1").json()["items"][0]
    assert (line["type"], line["coins"], line["reference"]) == ("refund", -200, order)


def test_more_takes_two(shop):
    payer = shop.buyer()
    order = shop.buy(payer)
    refund = shop.ask(order).json()
    assert (refund["state"], refund["amountMinor"]) == ("waiting", 1000)
    assert_problem(shop.ask(order, 1), 409, "refund.too_much")
    assert_problem(shop.finn.post(REFUNDS + "/%s/send" % refund["id"]), 409, "refund.state")
    approval = [a for a in shop.finn.get("/api/v1/admin/approvals").json()["items"]
                if a["subject"] == refund["id"]][0]
    path = "/api/v1/admin/approvals/%s/approve" % approval["id"]
    assert_problem(shop.finn.post(path), 403, "approval.four_eyes")
    assert balance(payer) == 500
    assert shop.fatima.post(path).json()["state"] == "approved"
    refund = shop.finn.get(REFUNDS + "/%s" % refund["id"]).json()
    assert (refund["state"], refund["approvedBy"]) == ("done", shop.fatima.id)
    assert balance(payer) == 0
    assert payer.get(ORDERS + order).json()["state"] == "refunded"
    assert_problem(shop.ask(order, 1), 409, "refund.too_much")


def test_what_was_spent_is_owed_and_paid_first(shop):
    payer = shop.buyer()
    order = shop.buy(payer)
    tier = payer.post("/api/v1/og/subscribe", {"tier": 1}, headers=key())
    spent = 500 - balance(payer)
    assert tier.status_code in (200, 201, 409)
    if spent == 0:      # the tier costs more than that: give the coins away
        shop.finn.post("/api/v1/admin/adjustments", {"userId": payer.id, "coins": -450,
                                                     "reason": "a test"}, headers=key())
        spent = 450
    shop.ask(order, 600)
    wallet = payer.get("/api/v1/wallet").json()
    assert (wallet["balance"], wallet["debt"]) == (0, spent - 200)
    assert_problem(payer.post("/api/v1/og/subscribe", {"tier": 1}, headers=key()), 409,
                   "wallet.debt")
    assert_problem(payer.post("/api/v1/wallet/payouts", {
        "coins": 10000, "currency": "npr", "method": "esewa", "account": "9800000000",
        "accountName": "Payer"}, headers=key()), 409, "wallet.debt")
    shop.buy(payer)
    wallet = payer.get("/api/v1/wallet").json()
    assert (wallet["balance"], wallet["debt"]) == (500 - spent + 200, 0)


def test_many_refunds_at_once(shop):
    payer = shop.buyer()
    order = shop.buy(payer)
    body = {"orderId": order, "reason": "a race", "amountMinor": 600}
    replies = at_once(shop.server, [lambda c, n=n: c.post(
        REFUNDS, body, token=shop.finn.token, headers={"Idempotency-Key": "%s-%d" % (order, n)})
        for n in range(6)])
    assert sorted(r.status_code for r in replies) == [201] + [409] * 5
    assert balance(payer) == 200


def test_who_may_and_what_may_not(shop):
    payer = shop.buyer()
    order = shop.buy(payer)
    for path in (REFUNDS, "/api/v1/admin/disputes", "/api/v1/admin/fraud",
                 "/api/v1/admin/reports/large-transactions"):
        assert_problem(payer.get(path), 403, "role.required")
        assert shop.finn.get(path).status_code == 200
    assert_problem(shop.ask(NOBODY), 404, "order.unknown")
    assert_problem(shop.ask(order, 1001), 409, "refund.too_much")
    for minor in (0, -1, 2 ** 53 + 1, 2 ** 63 - 1, 1.5):
        assert_problem(shop.ask(order, minor), 422, "input.invalid")
    assert_problem(shop.ask(order, 1, reason=""), 422, "input.invalid")
    assert_problem(shop.finn.post(REFUNDS, {"orderId": order, "reason": "no key"}), 400,
                   "idempotency.missing")
    unpaid = payer.post("/api/v1/payments/sandbox/orders", {"product": "npr-500"},
                        headers=key()).json()["order"]["id"]
    assert_problem(shop.ask(unpaid), 409, "refund.nothing")
    own = shop.buy(shop.finn)
    assert_problem(shop.ask(own, 1), 403, "approval.four_eyes")
    assert_problem(shop.finn.get(REFUNDS + "/%s" % NOBODY), 404, "refund.unknown")
    for what, body in (("made", {"reference": "X"}), ("give-up", {"reason": "no, not"}),
                       ("send", None)):
        assert_problem(shop.finn.request("POST", REFUNDS + "/%s/%s" % (NOBODY, what), json=body),
                       404, "refund.unknown")
    done = shop.ask(order, 1).json()["id"]
    assert_problem(shop.finn.post(REFUNDS + "/%s/made" % done, {"reference": "X"}), 409,
                   "refund.state")
    assert_problem(shop.finn.post(REFUNDS + "/%s/give-up" % done, {"reason": "no, not"}), 409,
                   "refund.state")
    assert balance(payer) == 500


def test_large_transactions(shop):
    payer = shop.buyer()
    shop.finn.post("/api/v1/admin/adjustments", {"userId": payer.id, "coins": 1001,
                                                 "reason": "a test"}, headers=key())
    path = "/api/v1/admin/reports/large-transactions"
    items = shop.finn.get(path).json()["items"]
    assert [(i["coins"], i["type"]) for i in items if i["userId"] == payer.id] == [
        (1001, "adjustment")]
    items = shop.finn.get(path + "?coins=1001&minutes=1").json()["items"]
    assert not [i for i in items if i["userId"] == payer.id]
    assert_problem(shop.finn.get(path + "?minutes=0"), 422, "input.invalid")


def test_held_orders(claims):
    with shop_with({"HaloBuzzFraud": "hold", "HaloBuzzFraudScore": "40"}) as server:
        shop = Shop(server)
        payer = shop.buyer()
        orders = [shop.buy(payer) for _ in range(7)]
        assert balance(payer) == 5 * 500
        states = [payer.get(ORDERS + o).json()["state"] for o in orders]
        assert states == ["paid"] * 5 + ["review"] * 2
        cases = shop.finn.get("/api/v1/admin/fraud").json()["items"]
        assert {c["id"] for c in cases} == set(orders[5:])
        assert cases[0]["verdict"] == "hold" and cases[0]["reasons"][0]["rule"] == "user-orders-hour"
        reply = shop.finn.post("/api/v1/admin/fraud/%s/release" % orders[5], {"note": "known"})
        assert reply.status_code == 200, reply.text
        assert balance(payer) == 6 * 500
        assert_problem(shop.finn.post("/api/v1/admin/fraud/%s/release" % orders[5]), 409,
                       "fraud.state")
        assert_problem(shop.finn.post("/api/v1/admin/fraud/%s/release" % NOBODY), 404,
                       "fraud.unknown")
        reply = shop.finn.post("/api/v1/admin/fraud/%s/undo" % orders[6], {"reason": "a card"})
        assert reply.json()["state"] == "undone", reply.text
        waiting = shop.finn.get("/api/v1/admin/approvals").json()["items"]
        shop.fatima.post("/api/v1/admin/approvals/%s/approve" % waiting[0]["id"])
        assert payer.get(ORDERS + orders[6]).json()["state"] == "refunded"
        wallet = payer.get("/api/v1/wallet").json()
        assert (wallet["balance"], wallet["debt"]) == (6 * 500, 0)
        ctl(server, "ledger", "verify")


def test_disputes_by_webhook():
    """Opened, lost and won, as the provider's signed messages tell it."""
    server = prepare_hooks(Httpd(settings={"HaloBuzzAuthStaffTOTP": "off"}))
    try:
        server.start()
        shop = Shop(server)
        outside = Client(server)
        payer = shop.buyer()

        def tell(order, kind, **payment):
            body = message(order, kind, amount=1000, currency="npr", id=ids[order], **payment)
            assert send(outside, body).status_code == 200

        ids = {}
        for _ in range(2):
            started = payer.post("/api/v1/payments/sandbox/orders", {"product": "npr-500"},
                                 headers=key()).json()
            ids[started["order"]["id"]] = "sbx_%d" % len(ids)
        first, second = ids
        tell(first, "payment.paid")
        tell(second, "payment.paid")
        assert balance(payer) == 1000
        tell(first, "dispute.opened", refundId="dp_1")
        wallet = payer.get("/api/v1/wallet").json()
        assert (wallet["balance"], wallet["held"]) == (500, 500)
        dispute = shop.finn.get("/api/v1/admin/disputes").json()["items"][0]
        assert (dispute["orderId"], dispute["coins"]) == (first, 500)
        assert payer.get(ORDERS + first).json()["state"] == "disputed"
        tell(first, "dispute.won", refundId="dp_1")
        assert balance(payer) == 1000
        tell(second, "dispute.opened", refundId="dp_2")
        tell(second, "dispute.lost", refundId="dp_2")
        tell(second, "dispute.opened", refundId="dp_2")
        wallet = payer.get("/api/v1/wallet").json()
        assert (wallet["balance"], wallet["held"]) == (500, 0)
        assert payer.get(ORDERS + second).json()["state"] == "charged_back"
        assert shop.finn.get("/api/v1/admin/disputes?state=lost").json()["items"][0][
            "disputeId"] == "dp_2"
        ctl(server, "ledger", "verify")
        server.stop()
        assert not server.loud_lines(())
    finally:
        server.kill()
        server.remove()


# --- real providers, played by the simulator

@pytest.fixture(scope="module")
def world(sim_process):
    sim_process.reset()
    one = Httpd(settings={"HaloBuzzAuthStaffTOTP": "off", "HaloBuzzPaymentTimeout": "2s"})
    one.settings.update(sim_process.settings(one.root))
    try:
        one.start()
        yield Shop(one), sim_process
        one.stop()
    finally:
        sim_process.heal()
        one.kill()
        one.remove()


def paid_at(world, provider, product):
    """Somebody who paid there, and the order."""
    shop, sim = world
    payer = shop.buyer()
    started = payer.post("/api/v1/payments/%s/orders" % provider, {"product": product},
                         headers=key()).json()
    order = started["order"]["id"]
    if provider == "esewa":
        assert sim.submit(started["form"], started["url"]) == 200
    attempt = shop.finn.get("/api/v1/admin/orders/" + order).json()["order"]["attemptId"]
    sim.pay(provider, attempt)
    assert payer.post(ORDERS + order + "/check").status_code == 200
    assert payer.get(ORDERS + order).json()["state"] == "paid"
    return payer, order


def refund_calls(sim):
    return [c for c in sim.calls("stripe") if c["path"] == "/v1/refunds"]


@pytest.mark.parametrize("fault", ["lose", "down"])
def test_an_answer_that_does_not_come(world, fault):
    shop, sim = world
    payer, order = paid_at(world, "stripe", "usd-5000")
    before = len(refund_calls(sim))
    sim.fault(fault, provider="stripe", path="/v1/refunds")
    refund = shop.ask(order, 50).json()
    assert refund["state"] == "sending" and refund["problem"], refund
    assert balance(payer) == 5000
    sim.heal()
    if fault == "lose":
        refund = shop.finn.post(REFUNDS + "/%s/send" % refund["id"]).json()
    else:
        assert ctl(shop.server, "refunds", "resume") == "1 refunds ended\n"
        refund = shop.finn.get(REFUNDS + "/%s" % refund["id"]).json()
    assert refund["state"] == "done" and refund["tries"] == 2, refund
    assert balance(payer) == 2500
    keys = {c["headers"]["idempotency-key"] for c in refund_calls(sim)[before:]}
    assert len(keys) == 1
    assert payer.get(ORDERS + order).json()["refundedMinor"] == 50


def test_the_portal_where_there_are_no_calls(world):
    shop, _ = world
    payer, order = paid_at(world, "esewa", "npr-500")
    refund = shop.ask(order, 500).json()
    assert refund["state"] == "manual"
    reply = shop.fatima.post(REFUNDS + "/%s/made" % refund["id"], {"reference": "E-77"})
    assert (reply.json()["state"], reply.json()["refundId"]) == ("done", "E-77")
    assert balance(payer) == 250
    refund = shop.ask(order).json()
    reply = shop.fatima.post(REFUNDS + "/%s/give-up" % refund["id"], {"reason": "it refused"})
    assert reply.json()["state"] == "failed"
    assert balance(payer) == 250
