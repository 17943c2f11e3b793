# SPDX-License-Identifier: Apache-2.0
"""Stripe: intents, Checkout sessions, refunds, disputes, idempotency keys, events."""

import time
from urllib.parse import parse_qs

SECRET_KEY = "sk_test_simulated"
WEBHOOK_SECRET = "whsec_simulated"
VERSION = "2026-10-28.endive"


def nested(pairs):
    """a[b][c]=v pairs as nested dicts; [0] is a key like any other."""
    tree = {}
    for name, value in pairs:
        keys = name.replace("]", "").split("[")
        node = tree
        for key in keys[:-1]:
            node = node.setdefault(key, {})
        node[keys[-1]] = value
    return tree


def error(status, kind, code, message, param=None):
    return status, {"error": {"type": kind, "code": code, "message": message, "param": param}}


class Stripe:
    def __init__(self):
        self.n = 0
        self.intents, self.sessions, self.charges = {}, {}, {}
        self.refunds, self.disputes = {}, {}
        self.replays = {}               # idempotency key: (what was asked, answer)
        self.events = []

    def id(self, prefix):
        self.n += 1
        return "%s_sim%06d%x" % (prefix, self.n, int(time.time() * 1000))

    # --- what our code calls ---

    def answer(self, call, query, pairs):
        headers = {"Request-Id": self.id("req")}
        if call["headers"].get("authorization") != "Bearer " + SECRET_KEY:
            return (*error(401, "invalid_request_error", None, "Invalid API Key provided"), headers)
        if call["headers"].get("stripe-version") != VERSION:
            return (*error(400, "invalid_request_error", None, "Invalid Stripe API version"), headers)
        if call["method"] == "GET":
            return (*self.get(call["path"], query), headers)
        key = call["headers"].get("idempotency-key")
        asked = (call["path"], sorted(pairs))
        if key in self.replays:
            before, answer = self.replays[key]
            if before != asked:
                return (*error(400, "idempotency_error", "idempotency_key_in_use",
                               "Keys for idempotent requests can only be used with the same parameters"),
                        headers)
            return (*answer, {**headers, "Idempotent-Replayed": "true"})
        answer = self.post(call["path"], nested(pairs))
        if key and answer[0] == 200:
            self.replays[key] = (asked, answer)
        return (*answer, headers)

    def get(self, path, query):
        parts = path.strip("/").split("/")
        if parts == ["v1", "balance"]:
            return 200, {"object": "balance", "livemode": False, "available": []}
        if parts == ["v1", "payment_intents"]:
            return 200, {"object": "list", "data": list(self.intents.values())[-1:],
                         "has_more": len(self.intents) > 1, "url": "/v1/payment_intents"}
        wanted = [v for k, vs in query.items() if k.startswith("expand") for v in vs]
        table = {"payment_intents": self.intents, "sessions": self.sessions}.get(parts[-2])
        if table is None or parts[-1] not in table:
            return error(404, "invalid_request_error", "resource_missing", "No such object", "id")
        found = dict(table[parts[-1]])
        for path_ in wanted:
            self.expand(found, path_.split("."))
        return 200, found

    def expand(self, node, path):
        tables = {"payment_intent": self.intents, "latest_charge": self.charges,
                  "charge": self.charges}
        key = path[0]
        if isinstance(node.get(key), str):
            node[key] = dict(tables[key][node[key]])
        if len(path) > 1 and isinstance(node.get(key), dict):
            self.expand(node[key], path[1:])

    def post(self, path, form):
        if path == "/v1/payment_intents":
            return self.make_intent(form)
        if path == "/v1/checkout/sessions":
            return self.make_session(form)
        if path == "/v1/refunds":
            return self.make_refund(form)
        return error(404, "invalid_request_error", None, "Unrecognized request URL")

    def make_intent(self, form):
        try:
            amount = int(form["amount"])
        except (KeyError, ValueError):
            return error(400, "invalid_request_error", "parameter_invalid_integer", "Invalid integer",
                         "amount")
        if not 50 <= amount <= 99999999:
            return error(400, "invalid_request_error", "amount_too_small", "Amount", "amount")
        pi = self.id("pi")
        self.intents[pi] = {
            "id": pi, "object": "payment_intent", "amount": amount, "amount_received": 0,
            "currency": form["currency"], "status": "requires_payment_method",
            "client_secret": pi + "_secret_" + self.id("s"), "latest_charge": None,
            "last_payment_error": None, "livemode": False, "metadata": form.get("metadata", {}),
            "description": form.get("description"), "created": int(time.time())}
        return 200, self.intents[pi]

    def make_session(self, form):
        now = int(time.time())
        ends = int(form.get("expires_at", now + 86400))
        if not now + 1800 <= ends <= now + 86400:
            return error(400, "invalid_request_error", None, "expires_at must be 30 minutes to 24 hours "
                         "from now", "expires_at")
        item = form["line_items"]["0"]
        amount = int(item["price_data"]["unit_amount"]) * int(item["quantity"])
        for url in (form["success_url"], form["cancel_url"]):
            if "://" not in url:
                return error(400, "invalid_request_error", "url_invalid", "Not a valid URL", "success_url")
        cs = self.id("cs_test")
        self.sessions[cs] = {
            "id": cs, "object": "checkout.session", "mode": form["mode"], "status": "open",
            "payment_status": "unpaid", "payment_intent": None, "amount_total": amount,
            "currency": item["price_data"]["currency"], "expires_at": ends, "livemode": False,
            "client_reference_id": form.get("client_reference_id"),
            "metadata": form.get("metadata", {}), "success_url": form["success_url"],
            "cancel_url": form["cancel_url"], "url": "https://checkout.stripe.com/c/pay/" + cs,
            "_intent_metadata": form.get("payment_intent_data", {}).get("metadata", {})}
        return 200, self.sessions[cs]

    def make_refund(self, form):
        intent = self.intents.get(form.get("payment_intent"))
        charge = self.charges.get(intent["latest_charge"]) if intent else None
        if charge is None:
            return error(404, "invalid_request_error", "resource_missing", "No such payment_intent")
        left = charge["amount"] - charge["amount_refunded"]
        amount = int(form.get("amount", left))
        if charge["disputed"]:
            return error(400, "invalid_request_error", "charge_disputed", "Charge is disputed")
        if left == 0:
            return error(400, "invalid_request_error", "charge_already_refunded", "Already refunded")
        if not 0 < amount <= left:
            return error(400, "invalid_request_error", None, "Amount is greater than unrefunded amount",
                         "amount")
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]
        re = self.id("re")
        self.refunds[re] = {"id": re, "object": "refund", "amount": amount, "charge": charge["id"],
                            "payment_intent": intent["id"], "currency": charge["currency"],
                            "status": "succeeded", "reason": form.get("reason"),
                            "metadata": form.get("metadata", {})}
        self.event("refund.created", self.refunds[re])
        self.event("charge.refunded", charge)
        answer = dict(self.refunds[re])
        if "charge" in form.get("expand", {}).values():
            answer["charge"] = dict(charge)
        return 200, answer

    # --- what happens there ---

    def event(self, kind, thing):
        self.events.append({
            "id": self.id("evt"), "object": "event", "api_version": VERSION,
            "created": int(time.time()), "livemode": thing.get("livemode", False),
            "pending_webhooks": 1, "request": {"id": None, "idempotency_key": None},
            "type": kind, "data": {"object": {k: v for k, v in thing.items() if k[0] != "_"}}})

    def pay(self, id, result="paid", amount=None, currency=None, declined=False):
        """The payer acts on an intent or a session. amount: what is paid instead."""
        session = self.sessions.get(id)
        if session is not None and result == "expired":
            session["status"] = "expired"
            self.event("checkout.session.expired", session)
            return {}
        if session is not None and session["payment_intent"] is None:
            _, intent = self.make_intent({"amount": session["amount_total"],
                                          "currency": session["currency"],
                                          "metadata": session["_intent_metadata"]})
            session["payment_intent"] = intent["id"]
        intent = self.intents[session["payment_intent"] if session else id]
        if result == "failed":
            intent["last_payment_error"] = {"type": "card_error", "code": "card_declined",
                                            "decline_code": "insufficient_funds"}
            self.event("payment_intent.payment_failed", intent)
            return {}
        if result == "canceled":
            intent["status"] = "canceled"
            self.event("payment_intent.canceled", intent)
            return {}
        intent["amount_received"] = intent["amount"] if amount is None else amount
        if currency is not None:
            intent["currency"] = currency
        intent["status"] = "succeeded"
        ch = self.id("ch")
        self.charges[ch] = {"id": ch, "object": "charge", "amount": intent["amount_received"],
                            "amount_refunded": 0, "refunded": False, "disputed": False,
                            "currency": intent["currency"], "payment_intent": intent["id"],
                            "metadata": dict(intent["metadata"]), "livemode": False}
        intent["latest_charge"] = ch
        self.event("payment_intent.succeeded", intent)
        if session is not None:
            session["status"] = "complete"
            session["payment_status"] = "paid"
            session["amount_total"] = intent["amount_received"]
            session["currency"] = intent["currency"]
            self.event("checkout.session.completed", session)
            back = session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"])
            return {"payment": intent["id"], "return": back}
        return {"payment": intent["id"]}

    def refund(self, id, amount=None):
        """Somebody refunds in the dashboard."""
        form = {"payment_intent": id}
        if amount is not None:
            form["amount"] = amount
        status, value = self.make_refund(form)
        return {"status": status, "refund": value}

    def dispute(self, id, status="needs_response", amount=None):
        intent = self.intents[id]
        charge = self.charges[intent["latest_charge"]]
        dp = self.disputes.get(id)
        if dp is None:
            dp = self.disputes[id] = {
                "id": self.id("dp"), "object": "dispute", "charge": charge["id"],
                "payment_intent": id, "amount": charge["amount"] if amount is None else amount,
                "currency": charge["currency"], "reason": "fraudulent", "status": status,
                "is_charge_refundable": False, "livemode": False, "metadata": {}}
            charge["disputed"] = True
            self.event("charge.dispute.created", dp)
            self.event("charge.dispute.funds_withdrawn", dp)
            return dp
        dp["status"] = status
        if status == "won":
            self.event("charge.dispute.funds_reinstated", dp)
        self.event("charge.dispute.closed", dp)
        return dp

    def show(self, id):
        for table in (self.intents, self.sessions, self.charges, self.refunds):
            if id in table:
                return table[id]
        raise KeyError(id)


def form_of(body):
    """For judges: what a body of ours says."""
    return nested([(k, v[0]) for k, v in parse_qs(body, keep_blank_values=True).items()])
