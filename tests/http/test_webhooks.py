# SPDX-License-Identifier: Apache-2.0
"""Messages of payment providers: taken byte for byte, judged, acted on once."""

import gzip
import json
import time

import pytest

import hb_hooks
from hb_client import Client, assert_problem, raw
from hb_finance import bank_with, ctl, finance
from hb_hooks import COINS, message, send, signature, signed
from hb_race import at_once
from hb_realtime import wait_for
from hb_users import Users

SANDBOX = "/api/v1/webhooks/sandbox"
ALIAS = "/api/v1/payments/sandbox/webhook"
FILTERS = """
<Location "/api/v1/payments">
    SetInputFilter DEFLATE;Sed
    InputSed "s/payment/changed/g"
</Location>
"""

pytestmark = pytest.mark.embedded     # orders are filled in behind the server's back


@pytest.fixture(scope="module")
def shop():
    """A server with the sandbox and sixty open orders."""
    with bank_with(prepare=hb_hooks.prepare, modules=["filter", "deflate", "sed"],
                   extra=FILTERS) as one:
        one.orders = iter(hb_hooks.fill_orders(one, 60, users=30))
        yield one


@pytest.fixture
def caller(shop):
    one = Client(shop)
    yield one
    one.close()


@pytest.fixture
def order(shop):
    """(order, user) that no other case uses, and what the user has."""
    return next(shop.orders)


def coins(shop, user):
    return int(ctl(shop, "ledger", "balance", "user:" + user))


def events(shop, *args):
    return json.loads(ctl(shop, "events", "list", "--json", *args))["items"]


def kept(shop, send_it):
    """The event that is kept of a message that is refused: one a second is."""
    def newest():
        return events(shop, "--refused", "--limit", "1")

    def try_it():
        assert send_it().status_code == 400
        found = newest()
        return found != before and found[0]

    before = newest()
    return wait_for(try_it)


def event_of(shop, order):
    found = events(shop, "--order", order)
    assert len(found) == 1, found
    return found[0]


# --- taken

@pytest.mark.smoke
@pytest.mark.parametrize("path", [SANDBOX, ALIAS])
def test_a_message_credits_its_order(shop, caller, order, path):
    order, user = order
    before = coins(shop, user)
    body = message(order)
    reply = send(caller, body, path=path)
    assert reply.status_code == 200, reply.text
    assert reply.json() == {"received": True, "repeat": False}
    assert coins(shop, user) == before + COINS
    event = event_of(shop, order)
    assert (event["verdict"], event["proof"], event["effect"]) == ("trusted", "hmac", "applied")
    assert event["requestId"] == reply.headers["X-Request-Id"]
    assert event["fact"]["amountMinor"] == 499
    reply = send(caller, body, path=path)
    assert (reply.status_code, reply.json()) == (200, {"received": True, "repeat": True})
    assert coins(shop, user) == before + COINS
    shown = json.loads(ctl(shop, "events", "show", event["id"], "--json"))
    assert shown["body"].encode() == body
    assert "body" not in shown["event"]


def test_a_thousand_copies_at_once(shop, order):
    order, user = order
    before = coins(shop, user)
    body = message(order)
    headers = signed(body)

    def copies(client):
        return [send(client, body, headers).status_code for _ in range(25)]

    answers = at_once(shop, [copies] * 40)
    assert [status for some in answers for status in some] == [200] * 1000
    assert coins(shop, user) == before + COINS
    assert event_of(shop, order)["attempts"] == 1


def test_a_chunked_body_keeps_its_connection(shop, order):
    order, user = order
    before = coins(shop, user)
    body = message(order)
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(body[i:i + 7]), body[i:i + 7])
                      for i in range(0, len(body), 7))
    post = (b"POST " + SANDBOX.encode() + b" HTTP/1.1\r\nHost: localhost\r\n"
            b"HaloBuzz-Signature: " + signature(body).encode() +
            b"\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
    get = b"GET " + SANDBOX.encode() + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    reply = raw(shop, post + get)
    assert reply.data.count(b"HTTP/1.1 200 OK") == 2, reply.data
    assert coins(shop, user) == before + COINS


def test_input_filters_do_not_touch_the_bytes(shop, caller, order):
    """FILTERS would change every message that comes by the other address."""
    order, user = order
    before = coins(shop, user)
    assert send(caller, message(order), path=ALIAS).status_code == 200
    assert coins(shop, user) == before + COINS


@pytest.mark.parametrize("path", [SANDBOX, ALIAS])
def test_a_compressed_body_is_refused(shop, caller, order, path):
    body = message(order[0])
    packed = gzip.compress(body)
    for signed_bytes in (body, packed):
        headers = {**signed(signed_bytes), "Content-Encoding": "gzip"}
        assert_problem(send(caller, packed, headers, path), 415, "body.encoding")
    assert events(shop, "--order", order[0]) == []


def test_bodies_that_are_too_large(shop, caller):
    body = b"{" + b" " * (1 << 20) + b"}"
    assert_problem(send(caller, body), 413, "body.too_large")

    def pieces():
        for i in range(0, len(body), 65536):
            yield body[i:i + 65536]

    reply = caller.request("POST", SANDBOX, data=pieces(), headers=signed(body))
    assert_problem(reply, 413, "body.too_large")


def test_no_type_or_token_is_asked_for(shop, caller, order):
    body = message(order[0])
    headers = {"HaloBuzz-Signature": signature(body), "Authorization": "Bearer nonsense"}
    assert caller.post(SANDBOX, data=body, headers=headers).status_code == 200


# --- judged

def upper(body):
    when = int(time.time())
    return "t=%d,v1=%s" % (when, hb_hooks.mac(body, when).upper())


def many(body):
    when = int(time.time())
    return ",".join(["t=%d" % when] + ["v1=" + "0" * 64] * 5 + ["v0=" + "1" * 64,
                                                              "v1=" + hb_hooks.mac(body, when)])


REFUSED = {
    "wrong": lambda body: signature(body, secret="another"),
    "old": lambda body: signature(body, when=int(time.time()) - 302),
    "future": lambda body: signature(body, when=int(time.time()) + 310),
    "upper": upper,
    "no_v1": lambda body: signature(body).replace("v1=", "v0="),
    "no_t": lambda body: signature(body).partition(",")[2],
    "blank": lambda body: signature(body).replace(",", ", "),
    "other_body": lambda body: signature(body + b" "),
    "empty": lambda body: "",
}


@pytest.mark.parametrize("how", sorted(REFUSED))
def test_signatures_that_are_refused(shop, caller, order, claims, how):
    claims("~was refused")
    order, user = order
    before = coins(shop, user)
    body = message(order)
    document = assert_problem(send(caller, body, {"HaloBuzz-Signature": REFUSED[how](body)}),
                              400, "webhook.forged")
    assert hb_hooks.SECRET not in json.dumps(document)
    assert coins(shop, user) == before
    assert events(shop, "--order", order) == []
    # The same message with a right signature is taken all the same.
    assert send(caller, body).status_code == 200
    assert coins(shop, user) == before + COINS


@pytest.mark.parametrize("how", [many, lambda body: signature(body, when=int(time.time()) - 290)])
def test_signatures_that_are_taken(shop, caller, order, how):
    body = message(order[0])
    assert send(caller, body, {"HaloBuzz-Signature": how(body)}).status_code == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"{}", b'{"id":1}', b"\xff\xfe",
                                  b'{"id":"x","type":"payment.paid","payment":[]}'])
def test_signed_nonsense(shop, caller, claims, body):
    claims("~was refused")
    assert_problem(send(caller, body), 400, "webhook.malformed")


def test_what_was_refused_is_there_to_be_seen(shop, caller, order, claims):
    claims("~was refused")
    body = message(order[0])
    forged = {"HaloBuzz-Signature": signature(body, secret="x")}
    event = kept(shop, lambda: send(caller, body, forged))
    assert event["verdict"] == "forged" and event["why"]
    shown = json.loads(ctl(shop, "events", "show", event["id"], "--json"))
    assert shown["body"].encode() == body


@pytest.mark.parametrize("different", [
    {"amount": 498}, {"amount": 0}, {"amount": -499}, {"amount": 2 ** 53 + 1},
    {"amount": 2 ** 63 - 1}, {"currency": "npr"}])
def test_what_differs_from_the_order_is_flagged(shop, caller, order, claims, different):
    claims("~does not fit")
    order, user = order
    before = coins(shop, user)
    assert send(caller, message(order, **different)).status_code == 200
    assert coins(shop, user) == before
    assert event_of(shop, order)["effect"] == "flagged"


def test_what_strangers_sent_does_not_steer_a_terminal(shop, caller, claims):
    claims("HB00465")
    body = '{"type":"\u009b2J\u202e\x1b[2J"}'.encode()
    event = kept(shop, lambda: caller.request("POST", SANDBOX, data=body))
    said = ctl(shop, "events", "show", event["id"])
    assert "\\u009b2J\\u202e\\u001b[2J" in said
    assert said.replace("\n", "").isprintable()


def test_types_nobody_knows(shop, caller, order):
    assert send(caller, message(order[0], kind="payment.dreamt_of")).status_code == 200
    assert send(caller, message("0" * 24)).status_code == 200
    assert events(shop, "--order", order[0]) == []


# --- where else one may knock

def test_ready(shop, caller):
    for path in (SANDBOX, ALIAS):
        reply = caller.get(path)
        assert reply.status_code == 200
        assert reply.json() == {"provider": "sandbox", "ready": True, "webhook": True}
        reply = caller.head(path)
        assert (reply.status_code, reply.content) == (200, b"")


def test_other_methods(shop, caller):
    for method in ("PUT", "DELETE", "PATCH"):
        reply = caller.request(method, SANDBOX)
        assert_problem(reply, 405, "method.not_allowed")
        assert {"GET", "HEAD", "POST", "OPTIONS"} == set(reply.headers["Allow"].split(", "))
    assert caller.options(SANDBOX).status_code == 204


def test_providers_nobody_knows(shop, caller):
    for path in ("/api/v1/webhooks/nobody", "/api/v1/payments/nobody/webhook"):
        assert_problem(caller.get(path), 404, "pay.unknown")
        assert_problem(send(caller, b"{}", path=path), 404, "pay.unknown")
    assert_problem(caller.get("/api/v1/webhooks"), 404)


def test_a_provider_that_is_not_configured(make_server, claims):
    claims("HB02002")
    server = make_server()
    client = Client(server)
    assert client.get(SANDBOX).json() == {"provider": "sandbox", "ready": False, "webhook": True}
    assert_problem(send(client, b"{}"), 503, "pay.unconfigured")


def test_messages_are_taken_during_maintenance(make_server, claims):
    server = make_server(start=False, settings={"HaloBuzzMaintenance": "on"})
    hb_hooks.prepare(server).start()
    (order, user), = hb_hooks.fill_orders(server, 1)
    client = Client(server)
    assert_problem(client.get("/api/v1/streams"), 503, "maintenance")
    assert send(client, message(order)).status_code == 200
    assert coins(server, user) == COINS


def test_the_limit_of_its_own(make_server):
    server = make_server(start=False, settings={"HaloBuzzRateLimit webhook": "3/600s"})
    hb_hooks.prepare(server).start()
    client = Client(server)
    assert [client.get(SANDBOX).status_code for _ in range(4)] == [200] * 3 + [429]


# --- finance

def test_finance_looks_and_replays(shop, caller, order):
    order, user = order
    before = coins(shop, user)
    assert send(caller, message(order)).status_code == 200
    clerk = finance(shop, "eventclerk")
    page = clerk.get("/api/v1/admin/events?orderId=" + order)
    assert page.status_code == 200, page.text
    event, = page.json()["items"]
    shown = clerk.get("/api/v1/admin/events/%s" % event["id"])
    assert shown.status_code == 200 and shown.json()["event"]["id"] == event["id"]
    reply = clerk.post("/api/v1/admin/events/%s/replay" % event["id"])
    assert reply.status_code == 200, reply.text
    assert reply.json()["effect"] == "already"
    assert coins(shop, user) == before + COINS
    assert_problem(clerk.get("/api/v1/admin/events/65a1b2c3d4e5f60718293a4b"), 404,
                   "event.unknown")
    assert_problem(clerk.post("/api/v1/admin/events/65a1b2c3d4e5f60718293a4b/replay"), 404,
                   "event.unknown")
    assert_problem(caller.get("/api/v1/admin/events"), 401)
    text = ctl(shop, "events", "list", "--order", order)
    assert event["id"] in text and "applied" in text
    text = ctl(shop, "events", "replay", event["id"])
    assert "already" in text
    assert ctl(shop, "events", "replay", "--pending").strip() == "0 done, 0 failed"


def test_the_operator_sends_a_message(shop, order):
    order, user = order
    before = coins(shop, user)
    said = ctl(shop, "webhook", "send", "sandbox", "payment.paid", "--order", order, shop.url,
               "--copies", "3")
    assert "order %s is paid" % order in said
    assert coins(shop, user) == before + COINS


# --- Stripe

def stripe_event(order, kind="payment_intent.succeeded", **intent):
    n = next(hb_hooks.numbers)
    return json.dumps({
        "id": "evt_test%d" % n, "object": "event", "type": kind, "created": int(time.time()),
        "livemode": False, "api_version": "2026-10-28.endive", "data": {"object": {
            "id": "pi_" + order, "object": "payment_intent", "status": "succeeded", "amount": 499,
            "amount_received": 499, "currency": "usd", "livemode": False,
            "metadata": {"order_id": order}, **intent}}}).encode()


@pytest.fixture(scope="module")
def stripe():
    with bank_with(prepare=hb_hooks.prepare_stripe) as one:
        ctl(one, "seed")
        one.orders = iter(hb_hooks.fill_orders(one, 20, users=20, provider="stripe"))
        yield one


@pytest.mark.parametrize("secret", [hb_hooks.SECRET, "whsec_the_secret_before_this_one_000000"])
def test_stripe_signs_with_either_secret(stripe, secret):
    order, user = next(stripe.orders)
    body = stripe_event(order)
    for repeat in (False, True):
        reply = Client(stripe).post("/api/v1/webhooks/stripe", data=body, headers={
            "Stripe-Signature": signature(body, secret=secret)})
        assert (reply.status_code, reply.json()["repeat"]) == (200, repeat), reply.text
    assert coins(stripe, user) == COINS
    event = event_of(stripe, order)
    assert event["eventId"] == "stripe:" + json.loads(body)["id"]
    assert json.loads(ctl(stripe, "events", "show", event["eventId"], "--json"))["event"] == event


def test_what_a_wrong_secret_refused_is_taken_once_it_is_right(stripe, claims):
    claims("~was refused")
    order, user = next(stripe.orders)
    body = stripe_event(order)
    sent = {"Stripe-Signature": signature(body, secret="whsec_of_tomorrow_0123456789abcdef")}
    reply = Client(stripe).post("/api/v1/webhooks/stripe", data=body, headers=sent)
    assert_problem(reply, 400, "webhook.forged")
    hb_hooks.secret_file(stripe, hb_hooks.SECRET + " whsec_of_tomorrow_0123456789abcdef", "hook")
    said = ctl(stripe, "events", "replay", "--refused")
    assert "applied order %s" % order in said and "1 done, 0 failed" in said
    assert coins(stripe, user) == COINS


def test_the_operator_plays_stripe(stripe):
    """As on a fresh build/run: nobody has an account at Stripe."""
    buyer = Users(stripe).make()
    said = ctl(stripe, "webhook", "send", "stripe", "payment_intent.succeeded", "--user",
               buyer.username, "--product", "usd-5000", stripe.url)
    order = said.split("order ")[1].split()[0]
    assert "order %s is paid" % order in said
    assert buyer.get("/api/v1/wallet").json()["balance"] == 5000
    said = ctl(stripe, "webhook", "send", "stripe", "checkout.session.completed", "--order", order,
               stripe.url)
    assert buyer.get("/api/v1/wallet").json()["balance"] == 5000
    ctl(stripe, "webhook", "send", "stripe", "charge.refunded", "--order", order, stripe.url)
    assert buyer.get("/api/v1/wallet").json()["balance"] == 0


# --- the end

def test_the_ledger_agrees(shop):
    """Behind all the other cases of this file."""
    proof = json.loads(ctl(shop, "ledger", "verify", "--json"))
    assert proof["clean"] and proof["sumCoin"] == 0 and proof["entries"] > 10
    metrics = Client(shop).get("/api/v1/monitoring/metrics").text
    for result in ("applied", "repeated", "flagged", "refused"):
        assert 'halobuzz_payment_events_total{result="%s"}' % result in metrics
