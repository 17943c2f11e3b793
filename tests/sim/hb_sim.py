#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The payment providers as our code meets them: Stripe, eSewa and Khalti on one port.

    hb_sim.py [--port N]          serves on 127.0.0.1 until stdin closes; prints port=N
    hb_sim.py --port N --settings DIR   writes secrets into DIR, prints the directives that make a
                                  server use it (for local.conf of build/run), and serves

Every endpoint that modules/pay calls is here and checks what the real one checks. Below
/_sim/ is the control: pay, fail, dispute, faults, deliver; hb_sim_client.py calls it.
Keys are constants below. Plain http: our side takes that for its own host only.
"""

import argparse
import json
import os
import socket
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, parse_qsl, urlsplit

import sim_esewa
import sim_khalti
import sim_stripe
from sim_deliver import deliver


class Refusal(Exception):
    """A control call that makes no sense."""


class World:
    """All that the providers know, and what was done to them."""

    def __init__(self):
        self.lock = threading.RLock()
        self.base = ""
        self.reset()

    def reset(self):
        with self.lock:
            self.stripe = sim_stripe.Stripe()
            self.esewa = sim_esewa.Esewa()
            self.khalti = sim_khalti.Khalti(self)
            self.faults = []
            self.calls = []

    def provider(self, name):
        if name not in ("stripe", "esewa", "khalti"):
            raise Refusal("no such provider: %s" % name)
        return getattr(self, name)

    def fault(self, provider, path):
        """The first fault that fits this call; used up by it."""
        with self.lock:
            for fault in self.faults:
                if (fault["provider"] in ("*", provider) and fault["count"] != 0
                        and fault.get("path", "") in path):
                    fault["count"] -= 1
                    return fault
        return None


def provider_of(path):
    if path.startswith("/v1/"):
        return "stripe"
    if path.startswith("/api/epay/"):
        return "esewa"
    if path.startswith(("/api/v2/epayment/", "/api/merchant-transaction/")):
        return "khalti"
    return None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "sim"

    def log_message(self, *_):
        pass

    def body(self):
        length = int(self.headers.get("Content-Length") or 0)
        return self.rfile.read(length)

    def answer(self, status, value, headers=None):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def cut(self):
        """Close without an answer, with a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()
        # The handler's own files would flush into a closed socket.
        self.wfile = open("/dev/null", "wb")

    def suffer(self, fault, act):
        """Act out a fault. `act` does what was asked and gives the answer."""
        kind = fault["kind"]
        if kind == "down":              # nothing happens, nobody answers
            self.cut()
        elif kind == "lose":            # it happens, the answer is lost
            act()
            self.cut()
        elif kind == "error":           # nothing happens
            self.answer(fault.get("status", 500), fault.get("body", {"error": {"type": "api_error"}}),
                        fault.get("headers"))
        elif kind == "late":            # it happens, too late
            answer = act()
            time.sleep(fault.get("seconds", 1))
            self.answer(*answer)
        elif kind == "garbage":
            act()
            self.answer(200, fault.get("text", "<html>it works").encode())
        elif kind == "huge":
            act()
            self.answer(200, b" " * (2 << 20))
        elif kind == "lie":             # it happens, but another amount is told
            status, value, *rest = act()
            self.answer(status, lie(value, fault), *rest)
        else:
            self.answer(500, {"detail": "no such fault: %s" % kind})

    def do_any(self):
        world = self.server.world
        url = urlsplit(self.path)
        body = self.body()
        if url.path.startswith("/_sim/"):
            try:
                self.answer(200, control(world, url.path[6:], json.loads(body or b"{}")))
            except Refusal as e:
                self.answer(400, {"detail": str(e)})
            return
        name = provider_of(url.path)
        if name is None:
            self.answer(404, {"detail": "nothing here"})
            return
        call = {"provider": name, "method": self.command, "path": url.path, "query": url.query,
                "headers": {k.lower(): v for k, v in self.headers.items()},
                "body": body.decode("utf-8", "replace")}
        with world.lock:
            world.calls.append(call)

        def act():
            with world.lock:
                return world.provider(name).answer(call, parse_qs(url.query),
                                                   parse_qsl(call["body"], keep_blank_values=True))
        fault = world.fault(name, url.path)
        if fault is not None:
            self.suffer(fault, act)
        else:
            self.answer(*act())

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_any


def lie(value, fault):
    """The same answer about another amount, currency or payment."""
    told = json.loads(json.dumps(value))

    def walk(node):
        for key, old in list(node.items()):
            if isinstance(old, dict):
                walk(old)
            elif key in fault.get("set", {}):
                node[key] = fault["set"][key]
    walk(told)
    return told


def control(world, verb, wish):
    with world.lock:
        if verb == "reset":
            world.reset()
            return {}
        if verb == "calls":
            return {"calls": world.calls}
        if verb == "fault":
            world.faults.append({"provider": wish.get("provider", "*"), "count": -1, **wish})
            return {}
        if verb == "heal":
            world.faults.clear()
            return {}
        if verb == "events":
            return {"events": world.stripe.events}
        if verb in ("pay", "refund", "dispute", "show"):
            try:
                return getattr(world.provider(wish["provider"]), verb)(**wish.get("with", {}))
            except KeyError as e:
                raise Refusal("no %s" % e) from e
    if verb == "deliver":               # not under the lock: our side may call back meanwhile
        with world.lock:
            events = list(world.stripe.events)
            if wish.get("forget", True):
                world.stripe.events.clear()
        return {"answers": deliver(events, sim_stripe.WEBHOOK_SECRET, **wish.get("with", {}))}
    raise Refusal("no such control: %s" % verb)


def settings(url, folder):
    """Directives that make a server use the simulator; secrets are written into folder."""
    def secret(name, text):
        path = os.path.join(os.path.abspath(folder), name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
            f.write(text + "\n")
        return "file:" + path
    return {
        "HaloBuzzStripeURL": url,
        "HaloBuzzStripeKey": secret("stripe.key", sim_stripe.SECRET_KEY),
        "HaloBuzzStripeWebhookSecret": secret("stripe.hook", sim_stripe.WEBHOOK_SECRET),
        "HaloBuzzEsewaURL": url,
        "HaloBuzzEsewaStatusURL": url,
        "HaloBuzzEsewaMerchant": sim_esewa.MERCHANT,
        "HaloBuzzEsewaSecret": secret("esewa.key", sim_esewa.SECRET),
        "HaloBuzzKhaltiURL": url,
        "HaloBuzzKhaltiSecret": secret("khalti.key", sim_khalti.SECRET_KEY),
    }


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--settings")
    args = parser.parse_args()
    server = Server(("127.0.0.1", args.port), Handler)
    server.world = World()
    server.world.base = "http://127.0.0.1:%d" % server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    if args.settings:
        for line in settings(server.world.base, args.settings).items():
            print("%s %s" % line)
    print("port=%d" % server.server_port, flush=True)
    sys.stdin.read()                    # ends with whoever started us


if __name__ == "__main__":
    main()
