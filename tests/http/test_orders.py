# SPDX-License-Identifier: Apache-2.0
"""Prices and orders over HTTP, by the provider of play money."""

import os
from urllib.parse import urlsplit

import pytest

from hb_client import Client, assert_problem
from hb_finance import bank_with, boss_of, ctl
from hb_race import at_once
from hb_users import Users

BOSS = "boss@halobuzz.test"
NOBODY = "65a1b2c3d4e5f60718293a4b"
PRICES = "/api/v1/payments/prices"
BUY = "/api/v1/payments/sandbox/orders"
ORDERS = "/api/v1/payments/orders"
ADMIN = "/api/v1/admin/orders"
FLAGS = "/api/v1/admin/payment-flags"
INTENT = "/api/v1/payments/stripe/create-payment-intent"


@pytest.fixture(scope="module")
def shop():
    """A server that sells, on which staff need no second factor."""
    with bank_with({"HaloBuzzAdminEmail": BOSS, "HaloBuzzPaySandbox": "on",
                    "HaloBuzzPaymentReturn": "https://app.example/pay,myapp://paid"}) as one:
        for added in ("added 21 prices", "added 0 prices"):
            assert added in ctl(one, "seed")
        yield one


@pytest.fixture(scope="module")
def people(shop):
    return Users(shop)


@pytest.fixture(scope="module")
def boss(shop, people):
    return boss_of(shop, people, BOSS)


@pytest.fixture
def payer(people):
    return people.make()


def fresh(key=None):
    return {"Idempotency-Key": key or os.urandom(8).hex()}


def buy(user, product="npr-500", key=None, **more):
    return user.post(BUY, {"product": product, **more}, headers=fresh(key))


# --- prices

def test_the_price_list(shop):
    items = Client(shop).get(PRICES).json()["items"]
    assert len(items) == 21
    assert [(p["currency"], p["amountMinor"]) for p in items] == sorted(
        (p["currency"], p["amountMinor"]) for p in items)
    first = items[0]
    assert first == {"product": "npr-500", "kind": "coins", "title": "500 coins", "coins": 500,
                     "bonus": 0, "festivalBonus": 0, "ogTier": 0, "amountMinor": 1000, "currency": "npr",
                     "providers": ["sandbox"]}
    dollars = Client(shop).get(PRICES + "?currency=USD").json()["items"]
    assert {p["currency"] for p in dollars} == {"usd"} and len(dollars) == 10
    assert len(Client(shop).get(PRICES + "?provider=sandbox").json()["items"]) == 21
    assert_problem(Client(shop).get(PRICES + "?provider=bank"), 404, "pay.unknown")
    assert_problem(Client(shop).get(PRICES + "?currency=US"), 422, "input.invalid")


# --- orders

def test_an_order(payer):
    reply = buy(payer, key="one")
    assert reply.status_code == 201, reply.text
    started = reply.json()
    order = started["order"]
    assert (order["state"], order["amountMinor"], order["currency"], order["coins"]) == (
        "open", 1000, "npr", 500)
    assert order["id"] in started["url"] and started["form"] is None
    assert started["clientSecret"] is None
    again = buy(payer, key="one")
    assert again.json() == started and again.headers["Idempotency-Replayed"] == "true"
    assert_problem(buy(payer, "npr-2500", key="one"), 422, "idempotency.mismatch")
    assert payer.get(ORDERS + "/" + order["id"]).json() == order
    page = payer.get(ORDERS + "?limit=1").json()
    assert page == {"items": [order], "next": None}
    second = buy(payer, "usd-og-1").json()["order"]
    assert (second["kind"], second["ogTier"], second["coins"]) == ("og", 1, 0)
    page = payer.get(ORDERS + "?limit=1").json()
    assert [o["id"] for o in page["items"]] == [second["id"]]
    rest = payer.get(ORDERS + "?limit=1&after=" + page["next"]).json()
    assert [o["id"] for o in rest["items"]] == [order["id"]]


@pytest.mark.parametrize("result, state", [("paid", "paid"), ("failed", "failed"),
                                           ("canceled", "canceled")])
def test_the_way_of_a_payer(shop, payer, result, state):
    """Order, the provider's page, back here, on to the app: as a browser goes it."""
    started = buy(payer, successUrl="https://app.example/pay/yes",
                  cancelUrl="https://app.example/pay/no").json()
    browser = Client(shop)
    address = urlsplit(started["url"])
    page = browser.get(address.path + "?" + address.query)
    assert page.status_code == 200 and "NPR 10.00" in page.text
    reply = browser.post(address.path + "?" + address.query, data={"result": result})
    assert reply.status_code == 303, reply.text
    back = urlsplit(reply.headers["Location"])
    reply = browser.get(back.path + ("?" + back.query if back.query else ""))
    assert reply.status_code == 303, reply.text
    assert reply.headers["Location"] == "https://app.example/pay/%s?order=%s&state=%s" % (
        "yes" if state == "paid" else "no", started["order"]["id"], state)
    assert payer.get(ORDERS + "/" + started["order"]["id"]).json()["state"] == state
    assert payer.get("/api/v1/wallet").json()["balance"] == (500 if state == "paid" else 0)


def test_one_order_of_many_calls_at_once(shop, payer):
    replies = at_once(shop, [lambda c: c.post(BUY, {"product": "npr-500"}, token=payer.token,
                                              headers=fresh("race"))] * 8)
    assert {r.status_code for r in replies} == {201}
    assert len({r.text for r in replies}) == 1
    assert len(payer.get(ORDERS).json()["items"]) == 1


def test_refusals(shop, people, payer, claims):
    claims("HB02002")                   # 503 is a warning of its own
    assert_problem(Client(shop).post(BUY, {"product": "npr-500"}), 401, "auth.required")
    assert_problem(payer.post(BUY, {"product": "npr-500"}), 400, "idempotency.missing")
    assert_problem(payer.post(BUY, {}, headers=fresh()), 422, "input.invalid")
    assert_problem(buy(payer, "moon"), 404, "price.unknown")
    assert_problem(payer.post("/api/v1/payments/bank/orders", {"product": "npr-500"},
                              headers=fresh()), 404, "pay.unknown")
    assert_problem(payer.post("/api/v1/payments/stripe/orders", {"product": "usd-5000"},
                              headers=fresh()), 503, "pay.unconfigured")
    refused = assert_problem(payer.post("/api/v1/payments/sandbox/intents", {"product": "usd-5000"},
                                        headers=fresh()), 503, "pay.unconfigured")
    assert "/api/v1/payments/sandbox/orders" in refused["detail"]
    assert_problem(buy(payer, successUrl="https://evil.example/"), 422, "input.invalid")
    assert buy(payer, successUrl="https://app.example/pay/done").status_code == 201
    other = people.make()
    order = buy(payer).json()["order"]
    for path in (order["id"], NOBODY, "x"):
        assert_problem(other.get(ORDERS + "/" + path), 404, "order.unknown")


@pytest.mark.parametrize("amount", [0, -1, 2 ** 53 + 1, 2 ** 63 - 1, -2 ** 63, 1.5, "1000", None,
                                    True, 100000000])
def test_amounts_that_cannot_be(payer, amount):
    document = assert_problem(payer.post(INTENT, {"amount": amount, "currency": "usd"}), 422,
                              "input.invalid")
    assert [e["field"] for e in document["errors"]] == ["amount"]


def test_an_intent_where_stripe_is_not_set_up(shop, payer, claims):
    claims("HB02002")
    assert_problem(Client(shop).post(INTENT, {"amount": 1000, "currency": "usd"}), 401,
                   "auth.required")
    assert_problem(payer.post(INTENT, {"amount": 1000, "currency": "usd"}), 503,
                   "pay.unconfigured")


# --- finance

def test_finance_sees_orders(payer, boss):
    order = buy(payer).json()["order"]
    shown = boss.get(ADMIN + "/" + order["id"]).json()
    assert shown["order"]["userId"] == payer.id and shown["flags"] == []
    assert [s["what"] for s in shown["timeline"]] == ["created", "open"]
    for query in ("?userId=" + payer.id, "?state=open", ""):
        ids = [o["id"] for o in boss.get(ADMIN + query).json()["items"]]
        assert order["id"] in ids
    assert boss.get(ADMIN + "?state=paid&userId=" + payer.id).status_code == 422
    assert boss.get(ADMIN + "?state=refunded").json() == {"items": [], "next": None}
    assert_problem(boss.get(ADMIN + "/" + NOBODY), 404, "order.unknown")
    assert boss.get(FLAGS).json() == {"items": [], "next": None}
    assert_problem(boss.post(FLAGS + "/%s/resolve" % NOBODY, {"note": "done"}), 404,
                   "flag.unknown")
    for path in (ADMIN, ADMIN + "/" + order["id"], FLAGS):
        assert_problem(payer.get(path), 403, "role.required")
    assert_problem(payer.post(FLAGS + "/%s/resolve" % NOBODY, {"note": "done"}), 403,
                   "role.required")
