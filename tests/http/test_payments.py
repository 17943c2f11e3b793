# SPDX-License-Identifier: Apache-2.0
"""
Paying, from the order to the coins, with the simulator as the providers: returns, webhooks,
forgeries, outages, lost messages, and what halobuzzctl reconcile makes of them.
"""

import base64
import json
import os
import subprocess
import time
from urllib.parse import quote, urlencode, urlsplit

import pytest

from hb_client import Client, assert_problem
from hb_finance import bank_with, boss_of
from hb_race import at_once
from hb_users import Users
from sim_deliver import signature
from sim_stripe import WEBHOOK_SECRET

BOSS = "boss@halobuzz.test"
NOBODY = "65a1b2c3d4e5f60718293a4b"
HOOK = "/api/v1/webhooks/stripe"
ORDERS = "/api/v1/payments/orders"
ADMIN = "/api/v1/admin/orders"
FLAGS = "/api/v1/admin/payment-flags"
INTENT = "/api/v1/payments/stripe/create-payment-intent"
PACK = {"stripe": "usd-5000", "esewa": "npr-500", "khalti": "npr-500"}
COINS = {"stripe": 5000, "esewa": 500, "khalti": 500}
MINOR = {"stripe": 100, "esewa": 1000, "khalti": 1000}


@pytest.fixture
def sim(sim_process):
    """All cases share a server, so the providers' ids go on counting from case to case."""
    yield sim_process
    sim_process.heal()


@pytest.fixture(scope="module")
def shop(sim_process):
    def prepare(one):
        sim_process.reset()
        one.settings.update(sim_process.settings(one.root))

    with bank_with({"HaloBuzzAdminEmail": BOSS, "HaloBuzzPaymentTimeout": "2s",
                    "HaloBuzzPaymentReturn": "https://app.example/pay,myapp://paid"},
                   prepare) as one:
        one.ctl_settings = os.path.join(one.root, "run", "halobuzz-settings")
        ctl(one, "seed")
        yield one


@pytest.fixture(scope="module")
def people(shop):
    return Users(shop)


@pytest.fixture(scope="module")
def boss(shop, people):
    return boss_of(shop, people, BOSS)


@pytest.fixture
def payer(people, sim):
    return people.make()


def ctl(shop, *args, status=0):
    from hb_httpd import BUILD
    done = subprocess.run([os.path.join(BUILD, "halobuzzctl"), *args, "--settings",
                           shop.ctl_settings], capture_output=True, text=True, timeout=120)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def reconcile(shop, *args, status=0):
    return json.loads(ctl(shop, "reconcile", "--json", *args, status=status))


def prove(shop):
    assert json.loads(ctl(shop, "ledger", "verify", "--json"))["clean"]


def fresh(key=None):
    return {"Idempotency-Key": key or os.urandom(8).hex()}


def buy(user, provider, product=None, **more):
    reply = user.post("/api/v1/payments/%s/orders" % provider,
                      {"product": product or PACK[provider], **more}, headers=fresh())
    assert reply.status_code == 201, reply.text
    return reply.json()


def attempt(boss, started):
    return boss.get(ADMIN + "/" + started["order"]["id"]).json()["order"]["attemptId"]


def state(user, started):
    return user.get(ORDERS + "/" + started["order"]["id"]).json()["state"]


def balance(user):
    return user.get("/api/v1/wallet").json()["balance"]


def come_back(shop, address, accept="text/html"):
    """The payer's browser follows a provider's redirect to us."""
    parts = urlsplit(address)
    return Client(shop).get(parts.path + ("?" + parts.query if parts.query else ""),
                            headers={"Accept": accept}, allow_redirects=False)


def pay(sim, boss, provider, started, **how):
    """The payer pays at the provider; gives where the browser goes."""
    if provider == "esewa":
        assert sim.submit(started["form"], started["url"]) == 200
    return sim.pay(provider, attempt(boss, started), **how).get("return")


def send(shop, intent):
    """An event of ours about an intent, signed as Stripe signs."""
    body = json.dumps({"id": "evt_" + os.urandom(8).hex(), "object": "event", "livemode": False,
                       "type": "payment_intent.succeeded", "data": {"object": intent}}).encode()
    return Client(shop).post(HOOK, data=body, headers={
        "Stripe-Signature": signature(body, WEBHOOK_SECRET),
        "Content-Type": "application/json"})


# --- the straight ways

@pytest.mark.parametrize("provider", ["esewa", "khalti"])
def test_a_payer_who_comes_back_has_coins(shop, sim, boss, payer, provider):
    started = buy(payer, provider, successUrl="https://app.example/pay/done?from=app#top")
    address = pay(sim, boss, provider, started)
    reply = come_back(shop, address)
    assert reply.status_code == 303
    assert reply.headers["Location"] == (
        "https://app.example/pay/done?from=app&order=%s&state=paid#top" % started["order"]["id"])
    assert balance(payer) == COINS[provider]
    again = come_back(shop, address, accept="application/json")
    assert again.json() == {"order": started["order"]["id"], "state": "paid"}
    assert balance(payer) == COINS[provider]
    shown = boss.get(ADMIN + "/" + started["order"]["id"]).json()
    # What eSewa sends back is signed besides; Khalti's return proves nothing by itself.
    assert shown["order"]["proof"] == {"esewa": "both", "khalti": "lookup"}[provider]
    assert [s["what"] for s in shown["timeline"]][:2] == ["created", "open"]
    assert {"return", "paid"} <= {s["what"] for s in shown["timeline"]}, shown["timeline"]


def test_stripes_page(shop, sim, boss, payer):
    started = buy(payer, "stripe")
    assert started["url"].startswith("https://checkout.stripe.com/")
    address = pay(sim, boss, "stripe", started)
    answers = sim.deliver(shop.url + HOOK, copies=3, shuffle=True)
    assert {status for _, status in answers} == {200}
    assert balance(payer) == 5000 and state(payer, started) == "paid"
    reply = come_back(shop, address)
    assert reply.status_code == 303
    assert reply.headers["Location"].startswith("https://app.example/pay?order=")
    assert balance(payer) == 5000
    what = [s["what"] for s in boss.get(ADMIN + "/" + started["order"]["id"]).json()["timeline"]]
    assert what.count("webhook") == 2 and "paid" in what


def test_an_intent_in_the_app(shop, sim, boss, payer):
    reply = payer.post(INTENT, {"amount": 500, "currency": "usd"}, headers=fresh("intent"))
    assert reply.status_code == 201, reply.text
    started = reply.json()
    assert started["clientSecret"].startswith("pi_") and started["url"] is None
    again = payer.post(INTENT, {"amount": 500, "currency": "usd"}, headers=fresh("intent"))
    assert again.json() == started
    document = assert_problem(payer.post(INTENT, {"amount": 501, "currency": "usd"}), 422,
                              "input.invalid")
    assert document["errors"][0]["field"] == "amount"
    assert_problem(payer.post(INTENT, {"amount": 1000, "currency": "npr"}), 422, "input.invalid")
    sim.pay("stripe", attempt(boss, started), result="failed")
    sim.deliver(shop.url + HOOK)
    assert state(payer, started) == "failed"
    sim.pay("stripe", attempt(boss, started))
    sim.deliver(shop.url + HOOK)
    assert state(payer, started) == "paid"
    wallet = payer.get("/api/v1/wallet").json()
    assert (wallet["balance"], wallet["bonusBalance"]) == (25000, 750)
    assert len([c for c in sim.calls("stripe") if c["path"] == "/v1/payment_intents"]) == 2
    assert payer.post("/api/v1/payments/stripe/intents", {"product": "usd-5000"},
                      headers=fresh()).json()["clientSecret"]


def test_the_operator_sends_what_stripe_would(shop, sim, boss, payer):
    started = buy(payer, "stripe")
    ctl(shop, "webhook", "send", "stripe", "payment_intent.succeeded", "--order",
        started["order"]["id"], shop.url)
    assert balance(payer) == 5000 and state(payer, started) == "paid"


def test_og_for_money(shop, sim, boss, payer):
    started = buy(payer, "khalti", "npr-og-2")
    come_back(shop, pay(sim, boss, "khalti", started))
    me = payer.get("/api/v1/users/me").json()
    assert me["ogLevel"] == 2 and me["coins"]["balance"] == 0
    assert_problem(payer.post("/api/v1/payments/khalti/orders", {"product": "npr-og-1"},
                              headers=fresh()), 409, "og.lower")


def test_who_gives_up(shop, sim, boss, payer):
    started = buy(payer, "esewa", successUrl="https://app.example/pay/yes",
                  cancelUrl="https://app.example/pay/no")
    reply = come_back(shop, pay(sim, boss, "esewa", started, result="CANCELED"))
    assert reply.status_code == 303
    assert reply.headers["Location"].startswith("https://app.example/pay/no?order=")
    assert state(payer, started) == "canceled"
    started = buy(payer, "stripe")
    reply = come_back(shop, "/api/v1/payments/stripe/return/%s/failure" % started["order"]["id"])
    assert reply.status_code == 303 and state(payer, started) == "open"
    assert balance(payer) == 0


# --- what is not believed

def test_forged_returns(shop, sim, boss, payer, claims):
    claims("HB00465")
    khalti = buy(payer, "khalti")
    query = urlencode({"pidx": attempt(boss, khalti), "status": "Completed",
                       "transaction_id": "TX1", "amount": 1000, "total_amount": 1000,
                       "purchase_order_id": khalti["order"]["id"]})
    reply = come_back(shop, "/api/v1/payments/khalti/return/%s?%s"
                      % (khalti["order"]["id"], query))
    assert reply.status_code == 303 and "state=open" in reply.headers["Location"]
    esewa = buy(payer, "esewa")
    address = pay(sim, boss, "esewa", esewa, result="PENDING")
    path, data = address.split("?data=")
    values = json.loads(base64.b64decode(data.replace("%3D", "=").replace("%2B", "+")
                                         .replace("%2F", "/")))
    values["status"] = "COMPLETE"
    forged = quote(base64.b64encode(json.dumps(values).encode()).decode())
    assert_problem(come_back(shop, path + "?data=" + forged), 400, "webhook.forged")
    assert come_back(shop, path + "?data=!!!").status_code == 400
    other = buy(payer, "khalti")        # paid, but it is another order's payment for another order
    sim.pay("khalti", attempt(boss, other))
    query = urlencode({"pidx": attempt(boss, other), "status": "Completed"})
    come_back(shop, "/api/v1/payments/khalti/return/%s?%s" % (khalti["order"]["id"], query))
    assert balance(payer) == 0
    for path in ("khalti/return/" + NOBODY, "khalti/return/x", "bank/return/" + NOBODY,
                 "esewa/return/" + other["order"]["id"]):
        assert come_back(shop, "/api/v1/payments/" + path).status_code in (400, 404)
    assert_problem(Client(shop).get("/api/v1/payments/esewa/return/%s/failure" % NOBODY), 404,
                   "order.unknown")
    assert balance(payer) == 0
    assert {state(payer, khalti), state(payer, esewa)} == {"open"}


@pytest.mark.parametrize("provider", ["esewa", "khalti", "stripe"])
def test_another_amount_is_flagged(shop, sim, boss, payer, claims, provider):
    claims("HB00464")
    started = buy(payer, provider)
    address = pay(sim, boss, provider, started, amount=1 if provider == "esewa" else 100000)
    come_back(shop, address)
    sim.deliver(shop.url + HOOK)
    assert balance(payer) == 0
    flags = boss.get(ADMIN + "/" + started["order"]["id"]).json()["flags"]
    assert [f["code"] for f in flags] == ["amount"]
    assert state(payer, started) in ("open", "canceled", "expired")


def test_paid_twice(shop, sim, boss, payer, claims):
    claims("HB00464")
    started = buy(payer, "stripe")
    come_back(shop, pay(sim, boss, "stripe", started))
    first = [e for e in sim.events() if e["type"] == "payment_intent.succeeded"][0]
    sim.deliver(shop.url + HOOK)
    # Another intent whose metadata names the order: somebody retried in a second window.
    intent = dict(first["data"]["object"], id="pi_second", latest_charge="ch_second")
    assert send(shop, intent).status_code == 200
    assert send(shop, intent).status_code == 200
    assert balance(payer) == 5000
    flags = boss.get(ADMIN + "/" + started["order"]["id"]).json()["flags"]
    assert [(f["code"], f["paymentId"], f["amountMinor"]) for f in flags] == [
        ("extra_payment", "pi_second", 100)]
    assert flags[0]["id"] in [f["id"] for f in boss.get(FLAGS).json()["items"]]
    done = boss.post(FLAGS + "/%s/resolve" % flags[0]["id"], {"note": "sent back by hand"})
    assert done.json()["state"] == "resolved"
    assert flags[0]["id"] not in [f["id"] for f in boss.get(FLAGS).json()["items"]]
    assert_problem(boss.post(FLAGS + "/%s/resolve" % flags[0]["id"], {"note": "again"}), 409,
                   "flag.state")
    prove(shop)


def test_a_refund_told_before_its_payment(shop, sim, boss, payer):
    started = buy(payer, "stripe")
    pay(sim, boss, "stripe", started)
    payment = sim.show("stripe", attempt(boss, started))["payment_intent"]
    sim.refund("stripe", payment)
    for copies in (2, 1):
        sim.deliver(shop.url + HOOK, shuffle=True, copies=copies, forget=False)
    assert balance(payer) == 0 and state(payer, started) == "refunded"
    prove(shop)


# --- outages

@pytest.mark.parametrize("kind", ["down", "lose", "error", "garbage"])
def test_beginning_again_after_a_failure(shop, sim, boss, payer, claims, kind):
    claims("HB00410", "HB00411", "HB02001", "HB02002", "HB08004", "HB08005")
    sim.fault(kind, "stripe")
    key = fresh()
    body = {"product": "usd-5000"}
    assert_problem(payer.post("/api/v1/payments/stripe/orders", body, headers=key), 502,
                   "pay.upstream")
    sim.heal()
    for _ in range(40):
        reply = payer.post("/api/v1/payments/stripe/orders", body, headers=key)
        if reply.status_code == 201:
            break
        time.sleep(0.5)         # it is left alone for a while after failures
    assert reply.status_code == 201, reply.text
    assert len(payer.get(ORDERS).json()["items"]) == 1
    keys = {c["headers"]["idempotency-key"] for c in sim.calls("stripe")
            if reply.json()["order"]["id"] in c["body"]}
    assert len(keys) == 1
    pay(sim, boss, "stripe", reply.json())
    sim.deliver(shop.url + HOOK)
    assert balance(payer) == 5000


@pytest.mark.parametrize("provider", ["esewa", "khalti", "stripe"])
def test_what_nobody_told_is_asked(shop, sim, boss, payer, provider):
    started = buy(payer, provider)
    pay(sim, boss, provider, started)   # the browser is closed, and the webhooks are lost
    reply = payer.post(ORDERS + "/%s/check" % started["order"]["id"])
    assert reply.status_code == 200 and reply.json()["state"] == "paid", reply.text
    assert balance(payer) == COINS[provider]
    n = len(sim.calls(provider))
    assert payer.post(ORDERS + "/%s/check" % started["order"]["id"]).status_code == 200
    assert len(sim.calls(provider)) == n        # it was asked just now
    sim.deliver(shop.url + HOOK)
    assert balance(payer) == COINS[provider]


def test_coming_back_while_the_provider_is_down(shop, sim, boss, payer, claims):
    claims("HB00410", "HB00411", "HB00415", "HB02001", "HB02002")
    started = buy(payer, "khalti")
    address = pay(sim, boss, "khalti", started)
    sim.fault("down", "khalti")
    reply = come_back(shop, address)
    assert reply.status_code == 303 and "state=open" in reply.headers["Location"]
    assert_problem(boss.post(ADMIN + "/%s/check" % started["order"]["id"]), 502, "pay.upstream")
    assert balance(payer) == 0
    sim.heal()
    report = reconcile(shop, "--open", status=1)        # other cases left what differs
    assert {r["order"]: r["after"] for r in report["orders"]}[started["order"]["id"]] == "paid"
    assert balance(payer) == 500


def test_who_may_ask(shop, sim, boss, people, payer):
    started = buy(payer, "khalti")
    path = "/%s/check" % started["order"]["id"]
    assert_problem(people.make().post(ORDERS + path), 404, "order.unknown")
    assert_problem(Client(shop).post(ORDERS + path), 401, "auth.required")
    assert_problem(payer.post(ADMIN + path), 403, "role.required")
    pay(sim, boss, "khalti", started)
    reply = boss.post(ADMIN + "/%s/check" % started["order"]["id"])
    assert reply.json()["order"]["state"] == "paid"
    assert [s["what"] for s in reply.json()["timeline"]].count("lookup") == 1
    assert balance(payer) == 500


def test_reconcile(shop, sim, boss, people, claims):
    claims("HB00464")
    payers = [people.make() for _ in range(4)]
    started = [buy(user, provider) for user, provider
               in zip(payers, ["stripe", "esewa", "khalti", "khalti"])]
    sim.fault("down")
    report = reconcile(shop, "--open", status=1)
    assert report["unanswered"] >= 4 and report["settled"] == 0
    sim.heal()
    for user, one, provider in zip(payers[:3], started, ["stripe", "esewa", "khalti"]):
        pay(sim, boss, provider, one)
    lied = attempt(boss, started[3])
    sim.pay("khalti", lied, amount=999)
    report = reconcile(shop, "--since", "1h", status=1)
    rows = {row["order"]: row for row in report["orders"]}
    for user, one, coins in zip(payers, started, (5000, 500, 500)):
        assert rows[one["order"]["id"]]["what"] == "settled"
        assert rows[one["order"]["id"]]["after"] == "paid"
        assert balance(user) == coins
    assert rows[started[3]["order"]["id"]]["what"] == "differs"
    assert balance(payers[3]) == 0
    report = reconcile(shop, "--since", "1h", status=1)
    assert report["settled"] == 0 and report["agreed"] >= 3
    assert {row["order"]: row["what"] for row in report["orders"]}[
        started[3]["order"]["id"]] == "differs"
    assert "differs" in ctl(shop, "reconcile", status=1)
    ctl(shop, "reconcile", "--since", "soon", status=2)
    ctl(shop, "reconcile", "--open", "--since", "1h", status=2)
    prove(shop)


def test_a_day_without_messages(shop, sim, boss, people):
    """Every webhook is lost, no browser comes back; reconciling credits all of it, once."""
    payers = [people.make() for _ in range(8)]
    providers = ["stripe", "esewa", "khalti", "stripe"] * 2
    for user, provider in zip(payers, providers):
        pay(sim, boss, provider, buy(user, provider))
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(2) as pool:         # two at once change nothing
        reports = list(pool.map(lambda _: subprocess_reconcile(shop), range(2)))
    assert all(r in (0, 1) for r in reports)
    for user, provider in zip(payers, providers):
        assert balance(user) == COINS[provider]
    sim.deliver(shop.url + HOOK, copies=2, shuffle=True)
    for user, provider in zip(payers, providers):
        assert balance(user) == COINS[provider]
    prove(shop)


def subprocess_reconcile(shop):
    from hb_httpd import BUILD
    return subprocess.run([os.path.join(BUILD, "halobuzzctl"), "reconcile", "--since", "1h",
                           "--settings", shop.ctl_settings], capture_output=True,
                          timeout=120).returncode


def test_return_and_webhook_at_once(shop, sim, boss, payer):
    started = buy(payer, "stripe")
    address = urlsplit(pay(sim, boss, "stripe", started))
    back = address.path + "?" + address.query
    at_once(shop, [lambda c: c.get(back, allow_redirects=False)] * 6
            + [lambda c: c.post(ORDERS + "/%s/check" % started["order"]["id"],
                                token=payer.token)] * 3
            + [lambda c: sim.deliver(shop.url + HOOK, forget=False, copies=2)] * 2)
    assert balance(payer) == 5000 and state(payer, started) == "paid"
    prove(shop)
