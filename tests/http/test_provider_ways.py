# SPDX-License-Identifier: Apache-2.0
"""The ways of providers: secrets that change, modes, words, slowness. Payments as such are in
test_payments.py."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from hb_client import Client, assert_problem
from hb_shop import buy, coins, fresh, seed, state
from hb_users import Users
from sim_deliver import signature
from sim_stripe import WEBHOOK_SECRET

HOOK = "/api/v1/webhooks/stripe"


@pytest.fixture
def make_shop(make_server, sim, sim_settings):
    def make(**settings):
        return seed(make_server(settings={"HaloBuzzPaymentTimeout": "2s", **sim_settings,
                                          **settings}))
    return make


def event(started, **more):
    """As Stripe would tell that an order was paid."""
    order = started["order"]
    intent = {"id": "pi_" + order["id"], "object": "payment_intent", "status": "succeeded",
              "amount": order["amountMinor"], "amount_received": order["amountMinor"],
              "currency": order["currency"], "latest_charge": "ch_" + order["id"],
              "metadata": {"order_id": order["id"]}, **more.pop("intent", {})}
    return json.dumps({"id": "evt_" + os.urandom(8).hex(), "object": "event",
                       "type": "payment_intent.succeeded", "livemode": False,
                       "data": {"object": intent}, **more}).encode()


def send(server, body, secret=WEBHOOK_SECRET):
    return Client(server).post(HOOK, data=body, headers={
        "Stripe-Signature": signature(body, secret), "Content-Type": "application/json"})


def test_a_secret_is_rolled_over(make_shop, tmp_path, claims):
    claims("HB00465")
    file = tmp_path / "stripe.hook"
    shop = make_shop()
    payer = Users(shop).make()

    def tries(*secrets):
        return [send(shop, event(buy(payer, "stripe", "usd-5000")), s).status_code for s in secrets]

    assert tries(WEBHOOK_SECRET, "whsec_next") == [200, 400]
    file.write_text("whsec_next %s\n" % WEBHOOK_SECRET)
    shop.graceful()
    assert tries(WEBHOOK_SECRET, "whsec_next") == [200, 200]
    file.write_text("whsec_next\n")
    shop.graceful()
    assert tries(WEBHOOK_SECRET, "whsec_next") == [400, 200]
    assert coins(payer) == 4 * 5000


@pytest.mark.parametrize("more", [
    {"livemode": True, "intent": {"livemode": True}},
    {"intent": {"currency": "eur"}},
    {"intent": {"currency": "USDT"}},
    {"intent": {"amount_received": 0}},
    {"intent": {"amount_received": -100}},
    {"intent": {"amount_received": 99}},
    {"intent": {"amount_received": 2**53 + 1}},
    {"intent": {"amount_received": 2**63 - 1}},
])
def test_what_differs_from_the_order_credits_nothing(make_shop, claims, more):
    claims("HB00464")
    shop = make_shop()
    payer = Users(shop).make()
    started = buy(payer, "stripe", "usd-5000")
    assert send(shop, event(started, **more)).status_code == 200
    assert coins(payer) == 0 and state(payer, started) == "open"


@pytest.mark.parametrize("provider,product,rows", [
    ("esewa", "npr-500", {"PENDING": "open", "AMBIGUOUS": "open", "CANCELED": "canceled",
                          "SOMETHING_NEW": "open", "COMPLETE": "paid"}),
    ("khalti", "npr-500", {"Pending": "open", "Initiated": "open", "Something new": "open",
                           "Expired": "expired", "User canceled": "canceled",
                           "Completed": "paid"}),
])
def test_what_the_provider_says_decides(make_shop, sim, claims, provider, product, rows):
    """Whatever the browser brings back."""
    claims("HB00419")
    shop = make_shop()
    people = Users(shop)
    for word, wanted in rows.items():
        payer = people.make()
        started = buy(payer, provider, product)
        if provider == "esewa":
            assert sim.submit(started["form"], started["url"]) == 200
            pidx = started["form"]["transaction_uuid"]
        else:
            pidx = started["url"].split("pidx=")[1]
        # The browser says that all is well; the provider thinks otherwise.
        address = sim.pay(provider, pidx)["return"]
        sim.pay(provider, pidx, result=word)
        path = address[len(shop.url):] if address.startswith(shop.url) else address
        Client(shop).get(path, allow_redirects=False)
        assert state(payer, started) == wanted, word
        assert coins(payer) == (500 if wanted == "paid" else 0), word


def test_calls_are_counted(make_shop, sim, claims):
    claims("HB00410", "HB00411", "HB02001", "HB02002", "HB08001")
    shop = make_shop()
    payer = Users(shop).make()
    buy(payer, "khalti", "npr-500")
    sim.fault("error", "khalti", status=503)
    payer.post("/api/v1/payments/khalti/orders", {"product": "npr-500"}, headers=fresh())
    page = Client(shop).get("/api/v1/monitoring/metrics").text
    assert 'halobuzz_fetch_total{service="khalti",result="answered"} 1' in page
    assert 'halobuzz_fetch_total{service="khalti",result="failed"} 2' in page


def test_a_slow_provider_is_not_waited_for(make_shop, sim, claims):
    claims("HB00410", "HB02001", "HB02002")
    shop = make_shop()
    payer = Users(shop).make()
    sim.fault("late", "stripe", seconds=6)
    begun = time.monotonic()
    reply = payer.post("/api/v1/payments/stripe/orders", {"product": "usd-5000"},
                       headers=fresh("slow"))
    assert_problem(reply, 502, "pay.upstream")
    assert time.monotonic() - begun < 4 and int(reply.headers["Retry-After"]) > 0
    sim.heal()
    started = buy(payer, "stripe", "usd-5000", key="slow")
    assert len(payer.get("/api/v1/payments/orders").json()["items"]) == 1
    session = [c for c in sim.calls("stripe") if c["path"] == "/v1/checkout/sessions"]
    assert len({c["headers"]["idempotency-key"] for c in session}) == 1
    assert started["url"].startswith("https://checkout.stripe.com/")


def test_a_slow_provider_leaves_threads_to_others(make_shop, sim, claims):
    """Everybody buys while the provider is slow, and the rest of the platform stays quick."""
    claims("HB00410", "HB00415", "HB02001", "HB02002")
    shop = make_shop()
    people = Users(shop)
    payers = [people.make() for _ in range(24)]
    sim.fault("late", "stripe", seconds=6)

    def order(payer):
        return payer.post("/api/v1/payments/stripe/orders", {"product": "usd-5000"},
                          headers=fresh()).status_code

    with ThreadPoolExecutor(24) as crowd:
        waiting = [crowd.submit(order, payer) for payer in payers]
        time.sleep(0.7)
        begun = time.monotonic()
        for _ in range(5):
            assert Client(shop).get("/health").status_code == 200
        assert time.monotonic() - begun < 2
        assert {w.result() for w in waiting} == {502}


def test_keys_and_secrets_stay_where_they_are(make_shop, sim, claims):
    """Nothing of them in the log, in answers, or in what is kept."""
    claims("HB00410", "HB00411", "HB02001", "HB02002", "HB08004")
    shop = make_shop(**{"HaloBuzzEnvironment": "test"})
    payer = Users(shop).make()
    said = [json.dumps(buy(payer, "stripe", "usd-5000"))]
    sim.fault("error", "stripe", count=3, status=401, body={"error": {"type": "x"}})
    said.append(payer.post("/api/v1/payments/stripe/orders", {"product": "usd-5000"},
                           headers=fresh()).text)
    with open(shop.error_log) as f:
        said.append(f.read())
    for path in os.listdir(shop.state):
        if path.startswith("halobuzz.db"):
            with open(os.path.join(shop.state, path), "rb") as f:
                said.append(f.read().decode("latin-1"))
    for word in ("sk_test_simulated", WEBHOOK_SECRET, "live_secret_key_simulated"):
        assert not any(word in text for text in said), word


def test_an_address_that_cannot_be_called_is_refused_at_start(make_server):
    code, said = make_server(start=False, settings={
        "HaloBuzzStripeURL": "http://api.stripe.com"}).configtest()
    assert code != 0 and "HaloBuzzStripeURL" in said and "https://" in said
