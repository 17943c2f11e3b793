# SPDX-License-Identifier: Apache-2.0
"""eSewa ePay v2: the form, the signed return, the status check."""

import base64
import hashlib
import hmac
import json
import time
from decimal import Decimal
from urllib.parse import quote

MERCHANT = "EPAYTEST"
SECRET = "8gBm/:&EnhH.1/q"              # eSewa publishes these for its test mode
REQUEST = "total_amount,transaction_uuid,product_code"
RETURN = ("transaction_code,status,total_amount,transaction_uuid,product_code,"
          "signed_field_names")
FIELDS = ("amount", "tax_amount", "product_service_charge", "product_delivery_charge",
          "total_amount", "transaction_uuid", "product_code", "success_url", "failure_url",
          "signed_field_names", "signature")


def sign(names, values, secret=SECRET):
    text = ",".join("%s=%s" % (name, values[name]) for name in names.split(","))
    mac = hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
    return base64.b64encode(mac).decode()


class Esewa:
    def __init__(self):
        self.payments = {}

    def answer(self, call, query, pairs):
        if call["path"] == "/api/epay/main/v2/form" and call["method"] == "POST":
            return self.form(dict(pairs))
        if call["path"] == "/api/epay/transaction/status/" and call["method"] == "GET":
            return self.status({k: v[0] for k, v in query.items()})
        return 404, {"code": 0, "error_message": "Not found"}

    def form(self, form):
        for name in FIELDS:
            if not form.get(name):
                return 400, {"code": "ES400", "message": "%s is missing" % name}
        total = sum(Decimal(form[n]) for n in FIELDS[:4])
        if form["product_code"] != MERCHANT or Decimal(form["total_amount"]) != total:
            return 400, {"code": "ES400", "message": "Invalid payload"}
        if form["signed_field_names"] != REQUEST or form["signature"] != sign(REQUEST, form):
            return 400, {"code": "ES104", "message": "Invalid payload signature."}
        if "?" in form["success_url"] or not form["transaction_uuid"].replace("-", "").isalnum():
            return 400, {"code": "ES400", "message": "Invalid payload"}
        if form["transaction_uuid"] in self.payments:
            return 409, {"code": "ES409", "message": "Duplicate transaction UUID"}
        self.payments[form["transaction_uuid"]] = {
            "status": "PENDING", "total_amount": form["total_amount"], "ref_id": None,
            "success_url": form["success_url"], "failure_url": form["failure_url"]}
        return 200, {"page": "log in and pay"}

    def status(self, query):
        uuid = query.get("transaction_uuid")
        found = self.payments.get(uuid)
        answer = {"product_code": query.get("product_code"), "transaction_uuid": uuid,
                  "total_amount": float(query.get("total_amount", "0")), "status": "NOT_FOUND",
                  "ref_id": None}
        if query.get("product_code") != MERCHANT:
            return 400, {"code": 0, "error_message": "Invalid product code"}
        if found is not None and Decimal(query["total_amount"]) == Decimal(found["asked"]
                                 if "asked" in found else found["total_amount"]):
            answer.update(status=found["status"], ref_id=found["ref_id"],
                          total_amount=float(found["total_amount"]))
        return 200, answer

    def pay(self, id, result="COMPLETE", amount=None, style="text"):
        """The payer acts. style: how the amount is written in the return."""
        payment = self.payments[id]
        if amount is not None:
            payment.update(asked=payment["total_amount"], total_amount=str(amount))
        payment["status"] = result
        if result == "COMPLETE":
            payment["ref_id"] = "000%s" % id[-4:].upper()
        if result in ("CANCELED", "NOT_FOUND"):
            return {"return": payment["failure_url"]}
        return {"return": payment["success_url"] + "?data=" + quote(self.data(id, style))}

    def data(self, uuid, style):
        payment = self.payments[uuid]
        total = float(payment["total_amount"])
        plain = str(total)
        values = {"transaction_code": payment["ref_id"] or "0000000", "status": payment["status"],
                  "total_amount": plain, "transaction_uuid": uuid, "product_code": MERCHANT,
                  "signed_field_names": RETURN}
        signature = sign(RETURN, values)
        if style == "number":
            values["total_amount"] = total
        elif style == "comma":          # signed without it
            values["total_amount"] = "{:,}".format(total)
        values["signature"] = signature
        return base64.b64encode(json.dumps(values).encode()).decode()

    def refund(self, id, amount=None):
        self.payments[id]["status"] = "FULL_REFUND" if amount is None else "PARTIAL_REFUND"
        return {"at": time.time()}

    def show(self, id):
        return self.payments[id]
