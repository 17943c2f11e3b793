# SPDX-License-Identifier: Apache-2.0
"""A server that sells, seen by the payers of a case."""

import os

from hb_finance import ctl


def seed(server):
    """The price list, gifts and tiers."""
    ctl(server, "seed")
    return server


def fresh(key=None):
    return {"Idempotency-Key": key or os.urandom(8).hex()}


def buy(user, provider, product, key=None):
    reply = user.post("/api/v1/payments/%s/orders" % provider, {"product": product},
                      headers=fresh(key))
    assert reply.status_code == 201, reply.text
    return reply.json()


def state(user, started):
    return user.get("/api/v1/payments/orders/" + started["order"]["id"]).json()["state"]


def coins(user):
    return user.get("/api/v1/wallet").json()["balance"]
