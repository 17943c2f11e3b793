# SPDX-License-Identifier: Apache-2.0
"""Webhooks on their way: signed anew at each attempt, doubled, shuffled, lost, delayed."""

import hashlib
import hmac
import http.client
import json
import random
import threading
import time
from urllib.parse import urlsplit


def signature(body, secret, when=None):
    t = str(int(time.time() if when is None else when))
    mac = hmac.new(secret.encode(), t.encode() + b"." + body, hashlib.sha256).hexdigest()
    return "t=%s,v1=%s" % (t, mac)


def post(url, body, headers):
    parts = urlsplit(url)
    if parts.scheme == "https":
        import ssl
        conn = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=20,
                                           context=ssl._create_unverified_context())
    else:
        conn = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    try:
        conn.request("POST", parts.path, body, headers)
        return conn.getresponse().status
    except OSError as e:
        return str(e)
    finally:
        conn.close()


def deliver(events, secret, url, copies=1, shuffle=None, lose=0.0, tries=1, at_once=1,
            pause=0.0, secret_override=None):
    """Send events; gives [type, status] of each delivery in the order they were sent.

    copies    each event so often
    shuffle   a seed: in an order of its own; None keeps the order
    lose      share that never leaves, by the same seed
    tries     repeat what is not answered 2xx so often, as Stripe does
    at_once   how many threads
    """
    chance = random.Random(shuffle if shuffle is not None else 1)
    batch = [e for e in events for _ in range(copies) if chance.random() >= lose]
    if shuffle is not None:
        chance.shuffle(batch)
    answers, todo, lock = [None] * len(batch), list(enumerate(batch)), threading.Lock()

    def work():
        while True:
            with lock:
                if not todo:
                    return
                i, event = todo.pop(0)
            body = json.dumps(event).encode()
            for n in range(tries):
                status = post(url, body, {"Content-Type": "application/json; charset=utf-8",
                                          "Stripe-Signature": signature(body, secret_override or secret),
                                          "User-Agent": "Stripe/1.0"})
                answers[i] = [event["type"], status]
                if isinstance(status, int) and 200 <= status < 300:
                    break
                time.sleep(0.05 * (n + 1))
            time.sleep(pause)

    threads = [threading.Thread(target=work) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
