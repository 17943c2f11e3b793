# SPDX-License-Identifier: Apache-2.0
"""
kill -9 of children at random while gifts are sent and payment messages come in: nothing that was
acknowledged is lost, nothing happens twice, and the ledger proves it.
"""

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import threading
import time

import pytest
import requests

import hb_hooks
from hb_client import Client
from hb_finance import ctl, finance, give_coins
from hb_hooks import COINS, Sender, message
from hb_realtime import wait_for
from hb_users import Users

PRICE = 10                      # of a rose
PURSE = 1000000

pytestmark = pytest.mark.embedded     # orders are filled in behind the server's back


class Callers:
    """
    Threads that repeat each call until it is acknowledged, as a provider and an app do. At the
    end every call that was begun is through.
    """

    def __init__(self, works):
        self.stops = threading.Event()
        self.done = [0] * len(works)
        self.errors = []
        self.threads = [threading.Thread(target=self.run, args=(i, work))
                        for i, work in enumerate(works)]

    def run(self, i, work):
        try:
            while not self.stops.is_set():
                call = work()
                if call is None:
                    return
                self.repeat(call)
                self.done[i] += 1
        except BaseException as e:      # noqa: B902 (told at the end)
            self.errors.append(e)

    def repeat(self, call):
        until = time.monotonic() + 60
        while True:
            try:
                reply = call()
                if reply.status_code in (200, 201):
                    return
                assert reply.status_code == 503, (reply.status_code, reply.text)
            except requests.RequestException:
                pass            # the child that had it is gone
            assert time.monotonic() < until, "never acknowledged"
            time.sleep(0.02)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *exc):
        self.stops.set()
        for thread in self.threads:
            thread.join()
        if self.errors and exc[0] is None:
            raise self.errors[0]


def hook_work(server, orders):
    sender = Sender(server)

    def work():
        order = next(orders, None)
        if order is None:
            return None
        body = message(order[0])
        return lambda: sender.send(body, timeout=5)
    return work


def gift_work(server, fan, room, rose):
    session = requests.Session()
    session.trust_env = False
    url = server.url + "/api/v1/streams/%s/gifts" % room

    def work():
        headers = {"Idempotency-Key": os.urandom(8).hex(), "Authorization": "Bearer " + fan.token}
        return lambda: session.post(url, json={"giftId": rose}, headers=headers, timeout=5)
    return work


class Locked:
    """An iterator that threads may share."""

    def __init__(self, items):
        self.items, self.lock = iter(items), threading.Lock()

    def __iter__(self):
        return self

    def __next__(self):
        with self.lock:
            return next(self.items)


def kill_some(server, kills):
    """kill -9 of a random child, as soon as there are children again."""
    while kills > 0:
        time.sleep(random.uniform(0.01, 0.25))
        children = server.children()
        if children and server.answers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(random.choice(children), signal.SIGKILL)
                kills -= 1


@pytest.mark.parametrize("kills, orders", [
    (10, 4000), pytest.param(500, 120000, marks=pytest.mark.slow)])
def test_children_killed_under_gifts_and_messages(make_server, claims, kills, orders):
    claims("AH00052", "~HB01", "~a process died")
    server = make_server(start=False, settings={"HaloBuzzAuthStaffTOTP": "off"})
    hb_hooks.prepare(server).start()
    ctl(server, "seed")
    waiting = hb_hooks.fill_orders(server, orders, users=40)
    clerk = finance(server, "killclerk")
    host = Users(server).make()
    room = host.post("/api/v1/streams", {"title": "Songs"}).json()["id"]
    assert host.post("/api/v1/streams/%s/start" % room).status_code == 200
    rose = next(g["id"] for g in Client(server).get("/api/v1/gifts").json()["items"]
                if g["code"] == "rose")
    fans = [Users(server).make() for _ in range(3)]
    for fan in fans:
        give_coins(clerk, fan, PURSE)
    shared = Locked(waiting)
    works = [gift_work(server, fan, room, rose) for fan in fans]
    works += [hook_work(server, shared) for _ in range(3)]
    with Callers(works) as callers:
        kill_some(server, kills)
        time.sleep(0.5)
        wait_for(lambda: min(callers.done[:3]) > kills // 10
                 and sum(callers.done[3:]) > kills // 2 or callers.errors,
                 why=lambda: callers.done)
    gifts, hooks = callers.done[:3], sum(callers.done[3:])
    server.stop()
    server.start_again()
    proof = json.loads(ctl(server, "ledger", "verify", "--json"))
    assert proof["clean"] and proof["sumCoin"] == 0 and proof["sumBonus"] == 0, proof
    for fan, sent in zip(fans, gifts):
        assert fan.get("/api/v1/wallet").json()["balance"] == PURSE - PRICE * sent
    with contextlib.closing(sqlite3.connect("file:%s/halobuzz.db?mode=ro" % server.state,
                                            uri=True)) as db:
        def count(sql):
            return db.execute(sql).fetchone()[0]
        assert count("SELECT count(*) FROM gifts") == sum(gifts)
        assert count("SELECT count(*) FROM transactions WHERE json_extract(doc,'$.type')="
                     "'purchase'") == hooks
        assert count("SELECT sum(json_extract(doc,'$.balance')) FROM accounts WHERE "
                     "id GLOB 'user:00000000*'") == COINS * hooks
        assert count("SELECT count(*) FROM paymentOrders WHERE json_extract(doc,'$.state')="
                     "'paid'") == hooks
        assert count("SELECT count(*) FROM webhook_events WHERE json_extract(doc,'$.state')="
                     "'applied'") == hooks


def test_all_killed_under_messages(make_server, claims):
    """The whole server dies at once, also its parent; what was acknowledged is there."""
    claims("AH00098", "~HB01")
    server = make_server(start=False)
    hb_hooks.prepare(server).start()
    waiting = hb_hooks.fill_orders(server, 1500, users=10)
    taken, stops = [], threading.Event()

    def send(orders):
        sender = Sender(server)
        for order, _ in orders:
            with contextlib.suppress(requests.RequestException):
                if sender.send(message(order, event="sbe_" + order)).status_code == 200:
                    taken.append(order)
            if stops.is_set():
                return

    threads = [threading.Thread(target=send, args=(waiting[i::4],)) for i in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(1.2)
    wait_for(lambda: len(taken) > 20)
    session = server.process.pid
    subprocess.run(["kill", "-9", *map(str, [session] + server.children())], check=False)
    stops.set()
    for thread in threads:
        thread.join()
    server.kill()
    server.start_again()
    proof = json.loads(ctl(server, "ledger", "verify", "--json"))
    assert proof["clean"] and proof["entries"] >= len(taken)
    with contextlib.closing(sqlite3.connect("file:%s/halobuzz.db?mode=ro" % server.state,
                                            uri=True)) as db:
        paid = {row[0] for row in db.execute("SELECT id FROM paymentOrders WHERE "
                                             "json_extract(doc,'$.state')='paid'")}
    assert set(taken) <= paid
    # The provider sends what it heard nothing about again: each is credited once.
    sender = Sender(server)
    for order, _ in waiting[:40]:
        assert sender.send(message(order, event="sbe_" + order)).status_code == 200
    proof = json.loads(ctl(server, "ledger", "verify", "--json"))
    assert proof["clean"] and proof["entries"] == len(paid | {o for o, _ in waiting[:40]})
