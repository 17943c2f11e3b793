# SPDX-License-Identifier: Apache-2.0
"""Khalti KPG-2: initiate, lookup, refund, and the unsigned return."""

import json
import time
from datetime import datetime, timedelta, timezone
from urllib.parse import urlencode

SECRET_KEY = "live_secret_key_simulated"
NEPAL = timezone(timedelta(hours=5, minutes=45))


class Khalti:
    def __init__(self, world):
        self.world = world
        self.payments = {}
        self.n = 0

    def answer(self, call, query, pairs):
        if call["headers"].get("authorization") != "Key " + SECRET_KEY:
            return 401, {"detail": "Invalid token.", "status_code": 401}
        try:
            body = json.loads(call["body"] or "{}")
        except ValueError:
            return 400, {"detail": "JSON parse error", "error_key": "parse_error"}
        if call["method"] != "POST":
            return 405, {"detail": "Method not allowed."}
        if call["path"] == "/api/v2/epayment/initiate/":
            return self.initiate(body)
        if call["path"] == "/api/v2/epayment/lookup/":
            return self.lookup(body)
        parts = call["path"].strip("/").split("/")
        if parts[:2] == ["api", "merchant-transaction"] and parts[3:] == ["refund"]:
            return self.give_back(parts[2], body)
        return 404, {"detail": "Not found."}

    def initiate(self, body):
        for name in ("return_url", "website_url", "amount", "purchase_order_id",
                     "purchase_order_name"):
            if not body.get(name):
                return 400, {name: ["This field is required."], "error_key": "validation_error"}
        if not isinstance(body["amount"], int) or body["amount"] < 1000:
            return 400, {"amount": ["Amount should be greater than Rs. 10, that is 1000 paisa."],
                         "error_key": "validation_error"}
        self.n += 1
        pidx = "sim%05dKhalti%x" % (self.n, int(time.time() * 1000))
        ends = datetime.now(NEPAL) + timedelta(minutes=30)
        self.payments[pidx] = {"status": "Initiated", "total_amount": body["amount"],
                               "transaction_id": None, "fee": 0, "refunded": False,
                               "_back": 0, "_asked": body}
        return 200, {"pidx": pidx, "payment_url": "%s/pay?pidx=%s" % (self.world.base, pidx),
                     "expires_at": ends.isoformat(), "expires_in": 1800}

    def lookup(self, body):
        payment = self.payments.get(body.get("pidx"))
        if payment is None:
            return 404, {"detail": "Not found.", "error_key": "validation_error"}
        answer = {"pidx": body["pidx"], **{k: v for k, v in payment.items() if k[0] != "_"}}
        return (400 if payment["status"] in ("Expired", "User canceled") else 200), answer

    def give_back(self, transaction, body):
        for payment in self.payments.values():
            if payment["transaction_id"] == transaction:
                break
        else:
            return 404, {"detail": "Not found."}
        left = payment["total_amount"] - payment["_back"]
        amount = body.get("amount", left)
        if not isinstance(amount, int) or not 0 < amount <= left:
            return 400, {"detail": "Invalid amount"}
        payment["_back"] += amount
        payment["refunded"] = payment["_back"] == payment["total_amount"]
        payment["status"] = "Refunded" if payment["refunded"] else "Partially Refunded"
        return 200, {"detail": "Transaction refund successful."}

    def pay(self, id, result="Completed", amount=None):
        """The payer acts. Gives where the browser goes."""
        payment = self.payments[id]
        asked = payment["_asked"]
        payment["status"] = result
        if amount is not None:
            payment["total_amount"] = amount
        paid = result == "Completed"
        if paid:
            payment["transaction_id"] = "TX%s" % id[:8]
        ids = payment["transaction_id"] if paid else ""
        query = {"pidx": id, "transaction_id": ids, "tidx": ids, "amount": payment["total_amount"],
                 "total_amount": payment["total_amount"], "mobile": "98XXXXX000" if paid else "",
                 "status": result, "purchase_order_id": asked["purchase_order_id"],
                 "purchase_order_name": asked["purchase_order_name"]}
        return {"return": asked["return_url"] + "?" + urlencode(query)}

    def refund(self, id, amount=None):
        payment = self.payments[id]
        return {"status": self.give_back(payment["transaction_id"],
                                         {} if amount is None else {"amount": amount})[0]}

    def show(self, id):
        return {k: v for k, v in self.payments[id].items() if k != "_asked"}
