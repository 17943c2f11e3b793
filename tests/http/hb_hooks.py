# SPDX-License-Identifier: Apache-2.0
"""Messages of payment providers, signed here, and orders for them to be about."""

import hashlib
import hmac
import itertools
import json
import os
import pwd
import subprocess
import time

import requests

from hb_beside import make_target
from hb_httpd import BUILD, RUN_USER, is_root

SECRET = "whsec_of-the-tests-0123456789abcdefghijklmnop"
SANDBOX = "/api/v1/webhooks/sandbox"
COINS = 500

numbers = itertools.count(1)


def secret_file(server, text=SECRET, name="secret"):
    path = os.path.join(server.root, name)
    with open(path, "w") as f:
        f.write(text + "\n")
    os.chmod(path, 0o600)
    return path


def prepare(server):
    """Before it starts: the sandbox's secret in a file."""
    server.settings["HaloBuzzPaySandbox"] = "on"
    server.settings["HaloBuzzPaySandboxSecret"] = "file:" + secret_file(server)
    return server


def prepare_stripe(server):
    """The same for Stripe, whose API is not asked."""
    server.settings["HaloBuzzStripeKey"] = "file:" + secret_file(server, "sk_test_none", "key")
    server.settings["HaloBuzzStripeWebhookSecret"] = "file:" + secret_file(
        server, SECRET + " whsec_the_secret_before_this_one_000000", "hook")
    return prepare(server)


def fill_orders(server, n, users=1, provider="sandbox"):
    """Open orders over 500 coins for USD 4.99: [(order, user)], as the server's user makes them."""
    make_target(BUILD, "tests/bench/bench_fill")
    more = {}
    if is_root():
        who = pwd.getpwnam(RUN_USER)
        more = {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}
    built = os.path.join(BUILD, "tests", "bench", ".libs", "bench_fill")
    done = subprocess.run([built, "--state", server.state, "--users", str(users), "--orders",
                           str(n), "--provider", provider], check=True, text=True,
                          stdout=subprocess.PIPE, env={"LD_LIBRARY_PATH": server.libs}, **more)
    return [tuple(line.split()[:2]) for line in done.stdout.splitlines()]


def message(order, kind="payment.paid", amount=499, currency="usd", event=None, **payment):
    """What the sandbox sends about an order: bytes."""
    return json.dumps({
        "id": event or "sbe_test%d" % next(numbers), "type": kind, "created": int(time.time()),
        "payment": {"id": "sbx_" + order, "orderId": order, "amount": amount,
                    "currency": currency, **payment}}).encode()


def mac(body, when, secret=SECRET):
    return hmac.new(secret.encode(), b"%d." % when + body, hashlib.sha256).hexdigest()


def signature(body, secret=SECRET, when=None):
    when = int(time.time()) if when is None else when
    return "t=%d,v1=%s" % (when, mac(body, when, secret))


def signed(body, **args):
    return {"HaloBuzz-Signature": signature(body, **args), "Content-Type": "application/json"}


def send(client, body, headers=None, path=SANDBOX):
    """POST through a test client, byte for byte."""
    return client.request("POST", path, data=body,
                          headers=signed(body) if headers is None else headers)


class Sender:
    """A connection of its own, without what Client does besides."""

    def __init__(self, server):
        self.url = server.url + SANDBOX
        self.session = requests.Session()
        self.session.trust_env = False

    def send(self, body, timeout=20):
        return self.session.post(self.url, data=body, headers=signed(body), timeout=timeout)
