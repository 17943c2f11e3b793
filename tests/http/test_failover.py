# SPDX-License-Identifier: Apache-2.0
"""What a replica set answers while its primary steps down, at chosen commands: before and after
they were done. Every call is answered for good or 503, and nothing is paid twice or lost."""

import os
import struct
import time

import pytest

from hb_client import Client
from hb_finance import ctl, finance, give_coins
from hb_guard import alive, judge
from hb_httpd import STORE, Httpd, store_for_one
from hb_users import Users
from hb_wire import (CONCERN_FAILED, CONFLICT, NO_MAJORITY, NO_TRANSACTION, NOT_PRIMARY, RETRYABLE,
                     SHUTTING_DOWN, TRANSIENT, UNKNOWN, Fault, Wire, document, element)

pytestmark = pytest.mark.skipif(not STORE, reason="needs a MongoDB")

# That the store failed, and the retries of a transaction that were in vain.
WAIT_SEC = 30
STORE_LINES = ("HB01143", "HB01148", "HB02002")


def assert_will_be(call, status):
    """Call again as often as the answer is to come back."""
    until = time.monotonic() + WAIT_SEC
    while True:
        reply = call()
        if reply.status_code != 503 or time.monotonic() > until:
            assert reply.status_code == status, reply.text
            return reply
        assert int(reply.headers["Retry-After"]) >= 1
        time.sleep(0.05)


class Shop:
    """An httpd whose MongoDB does as it is told, and somebody who gives roses."""

    def __init__(self):
        self.wire = Wire(STORE)
        self.server = Httpd(settings={
            "HaloBuzzStore": store_for_one().replace(STORE.rstrip("/"), self.wire.url()),
            "HaloBuzzStoreWait": "1s", "HaloBuzzStoreSelectTimeout": "2s",
            "HaloBuzzAuthStaffTOTP": "off"})

    def open(self):
        self.server.start()
        ctl(self.server, "seed")
        self.giver, host = Users(self.server).make(), Users(self.server).make()
        give_coins(finance(self.server, "bank"), self.giver, 100000)
        self.path = "/api/v1/streams/%s/gifts" % host.post("/api/v1/streams",
                                                           {"title": "t"}).json()["id"]
        assert host.post(self.path.replace("gifts", "start")).status_code == 200
        self.rose = next(g for g in self.giver.get("/api/v1/gifts?limit=100").json()["items"]
                         if g["code"] == "rose")

    def give(self, key):
        return Client(self.server, self.giver.token).post(
            self.path, headers={"Idempotency-Key": key},
            json={"giftId": self.rose["id"], "quantity": 1}, timeout=30)

    def balance(self):
        return assert_will_be(lambda: self.giver.get("/api/v1/wallet"), 200).json()["balance"]

    def check_paid_once(self, fault):
        """One gift while this goes wrong, by the same key until it is answered for good."""
        before, key = self.balance(), os.urandom(8).hex()
        until = time.monotonic() + WAIT_SEC
        while True:
            self.wire.do(fault)
            first = self.give(key)
            self.wire.do()
            # The child asked may still wait after what the case before did to its connections.
            if first.status_code != 503 or fault.done or time.monotonic() > until:
                break
            time.sleep(0.05)
        assert first.status_code in (201, 503), first.text
        assert_will_be(lambda: self.give(key), 201)
        assert self.balance() == before - self.rose["priceCoins"]
        return first.status_code

    def close(self):
        self.wire.close()
        self.server.kill()
        self.server.remove()


@pytest.fixture(scope="module")
def shop():
    one = Shop()
    try:
        one.open()
        alive.append(one.server)
        yield one
        ctl(one.server, "ledger", "verify")
        alive.remove(one.server)
        one.server.stop()
        judge(one.server, STORE_LINES)
    finally:
        if one.server in alive:
            alive.remove(one.server)
        one.close()


COMMIT = "commitTransaction"

FAULTS = {
    # Of the commit it is not known whether it was done: asked again, done once.
    "commit, done, no majority": lambda: Fault(COMMIT, "error", True, CONCERN_FAILED, [UNKNOWN],
                                               times=3),
    "commit, done, shut down": lambda: Fault(COMMIT, "error", True, SHUTTING_DOWN,
                                             [RETRYABLE, UNKNOWN], times=3),
    "commit, not done, not primary": lambda: Fault(COMMIT, "error", False, NOT_PRIMARY,
                                                   [RETRYABLE, UNKNOWN], times=3),
    "commit, done, concern": lambda: Fault(COMMIT, "concern", code=SHUTTING_DOWN,
                                           labels=[RETRYABLE], times=2),
    "commit, done, cut": lambda: Fault(COMMIT, "cut", True),
    "commit, not done, cut": lambda: Fault(COMMIT, "cut", False),
    # It was not done, and the whole runs again.
    "commit, gone": lambda: Fault(COMMIT, "error", False, NO_TRANSACTION, [TRANSIENT]),
    "first statement": lambda: Fault("*", "error", False, NOT_PRIMARY, [TRANSIENT], inside=True),
    "insert, conflict": lambda: Fault("insert", "error", False, CONFLICT, [TRANSIENT], times=2,
                                      inside=True),
    "update, done, shut down": lambda: Fault("update", "error", True, SHUTTING_DOWN, [TRANSIENT],
                                             inside=True),
    "update, done, cut": lambda: Fault("update", "cut", True, inside=True),
}


@pytest.mark.parametrize("what", FAULTS)
def test_a_gift_is_paid_once(shop, claims, what):
    claims(*STORE_LINES)
    fault = FAULTS[what]()
    shop.check_paid_once(fault)
    assert fault.done == fault.times


def test_retries_end(shop, claims):
    """When it goes on longer than HaloBuzzStoreWait the caller is told to come back."""
    claims(*STORE_LINES)
    fault = Fault(COMMIT, "error", False, NO_TRANSACTION, [TRANSIENT], times=100000)
    assert shop.check_paid_once(fault) == 503
    assert fault.done > 1


@pytest.mark.parametrize("fault", (
    lambda: Fault("findAndModify", "error", False, NOT_PRIMARY, [RETRYABLE]),
    lambda: Fault("findAndModify", "cut", True),
    lambda: Fault("findAndModify", "concern", code=CONCERN_FAILED),
    lambda: Fault("findAndModify", "concern", code=NO_MAJORITY)))
def test_a_single_write(shop, claims, fault):
    """What no majority has is not called written; what is called so is there."""
    claims(*STORE_LINES)
    fault = shop.wire.do(fault())
    bio = os.urandom(4).hex()
    reply = shop.giver.patch("/api/v1/users/me", json={"bio": bio})
    shop.wire.do()
    assert fault.done == fault.times
    assert reply.status_code == 503 or (reply.status_code == 200 and fault.how != "concern"), \
        reply.text
    if reply.status_code == 503:
        assert int(reply.headers["Retry-After"]) >= 1
        assert_will_be(lambda: shop.giver.patch("/api/v1/users/me", json={"bio": bio}), 200)
    me = assert_will_be(lambda: shop.giver.get("/api/v1/users/me"), 200)
    assert me.json()["bio"] == bio


def test_the_ledger_is_read_as_its_index_goes(shop):
    """Sorted by more than the index of its numbers has, a large one would not fit into memory."""
    shop.wire.do()
    ctl(shop.server, "ledger", "verify")
    sort = element(3, "sort", document(element(16, "seq", struct.pack("<i", 1))))
    assert any(name == "find" and sort in body for name, _, body in shop.wire.seen)


@pytest.mark.slow
@pytest.mark.parametrize("after", (False, True))
def test_the_net_cut_at_each_command(shop, claims, after):
    claims(*STORE_LINES)
    shop.wire.do()
    assert_will_be(lambda: shop.give(os.urandom(8).hex()), 201)
    names = [name for name, inside, _ in shop.wire.seen if inside]
    assert len(names) > 5 and names[-1] == COMMIT
    for skip in range(len(names)):
        shop.check_paid_once(Fault("*", "cut", after, skip=skip, inside=True))
