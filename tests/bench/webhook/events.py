# SPDX-License-Identifier: Apache-2.0
"""Events of Stripe for the webhook figure: one signed payment_intent.succeeded for each order."""
import hashlib
import hmac
import json
import time


def event(n, order_id, amount, currency):
    """As Stripe sends it: a snapshot of the intent, some two thousand bytes."""
    pi = f"pi_3Bench{n:018d}"
    return {
        "id": f"evt_3Bench{n:017d}", "object": "event", "api_version": "2026-10-28.endive",
        "created": 1760000000, "livemode": False, "pending_webhooks": 1,
        "request": {"id": f"req_{n:014d}", "idempotency_key": f"order-{order_id}-pi"},
        "type": "payment_intent.succeeded",
        "data": {"object": {
            "id": pi, "object": "payment_intent", "amount": amount, "amount_capturable": 0,
            "amount_details": {"tip": {}}, "amount_received": amount, "application": None,
            "application_fee_amount": None, "automatic_payment_methods":
                {"allow_redirects": "always", "enabled": True},
            "canceled_at": None, "cancellation_reason": None, "capture_method": "automatic_async",
            "client_secret": None, "confirmation_method": "automatic", "created": 1759999990,
            "currency": currency, "customer": None, "description": None,
            "last_payment_error": None, "latest_charge": f"ch_3Bench{n:018d}", "livemode": False,
            "metadata": {"order_id": order_id}, "next_action": None, "on_behalf_of": None,
            "payment_method": f"pm_1Bench{n:018d}", "payment_method_configuration_details":
                {"id": "pmc_1BenchConfiguration000000", "parent": None},
            "payment_method_options": {"card": {"installments": None, "mandate_options": None,
                "network": None, "request_three_d_secure": "automatic"},
                "link": {"persistent_token": None}},
            "payment_method_types": ["card", "link"], "processing": None, "receipt_email": None,
            "review": None, "setup_future_usage": None, "shipping": None, "source": None,
            "statement_descriptor": None, "statement_descriptor_suffix": None,
            "status": "succeeded", "transfer_data": None, "transfer_group": None}}}


def write(path, secret, orders):
    """orders: (id, amount, currency); a line each: signature, tab, body."""
    now = int(time.time())
    with open(path, "w") as f:
        for order_id, amount, currency in orders:
            # Ids by the order: an id that came before would be a copy.
            body = json.dumps(event(int(order_id, 16) % 10 ** 15, order_id, amount, currency))
            mac = hmac.new(secret.encode(), f"{now}.{body}".encode(), hashlib.sha256)
            f.write(f"t={now},v1={mac.hexdigest()}\t{body}\n")
