# SPDX-License-Identifier: Apache-2.0
"""The Halo Throne over HTTP."""

import time

import pytest

from hb_client import Client, assert_problem
from hb_finance import bank_with, boss_of, ctl, give_coins, key
from hb_race import at_once
from hb_users import Users

BOSS = "boss@halobuzz.test"
NOBODY = "65a1b2c3d4e5f60718293a4b"
STREAMS = "/api/v1/streams"


@pytest.fixture(scope="module")
def palace():
    """A server on which staff need no second factor, and whose thrones are short."""
    with bank_with({"HaloBuzzAdminEmail": BOSS, "HaloBuzzThronePrice": "101",
                    "HaloBuzzThroneTTL": "3s"}) as one:
        yield one


@pytest.fixture(scope="module")
def people(palace):
    return Users(palace)


@pytest.fixture(scope="module")
def boss(palace, people):
    return boss_of(palace, people, BOSS)


@pytest.fixture(scope="module")
def host(people):
    return people.make()


@pytest.fixture(scope="module")
def fans(people, boss):
    """Two people with 100000 coins."""
    two = [people.make(), people.make()]
    for one in two:
        give_coins(boss, one, 100000)
    return two


@pytest.fixture
def room(people):
    """A live room of a host of its own."""
    one = people.make()
    stream = one.post(STREAMS, {"title": "Songs"}).json()["id"]
    assert one.post(STREAMS + "/%s/start" % stream).status_code == 200
    return stream


def claim(user, room, coins, headers=None, **args):
    return user.post(STREAMS + "/%s/throne" % room, {"coins": coins}, headers=headers or key(),
                     **args)


def throne(user, room):
    return user.get(STREAMS + "/%s/throne" % room).json()


def test_claims_and_their_history(palace, room, fans):
    client = Client(palace)
    assert throne(client, room) == {
        "streamId": room, "isTaken": False, "user": None, "coins": None, "claimedAt": None,
        "expiresAt": None, "price": 101, "number": 0}
    first = claim(fans[0], room, 101)
    assert first.status_code == 201, first.text
    assert first.json()["throne"] == throne(client, room)
    assert first.json()["throne"]["user"]["id"] == fans[0].id
    refused = claim(fans[1], room, 111)
    assert "112 coins" in assert_problem(refused, 409, "throne.price")["detail"]
    assert_problem(claim(fans[0], room, 500), 409, "throne.own")
    second = claim(fans[1], room, 120).json()
    assert (second["throne"]["price"], second["throne"]["number"]) == (132, 2)
    assert second["balance"] == fans[1].get("/api/v1/wallet").json()["balance"]
    state = client.get(STREAMS + "/%s/room" % room).json()
    assert state["throne"] == throne(client, room)
    assert client.get(STREAMS + "/%s" % room).json()["totalCoins"] == 221
    page = client.get(STREAMS + "/%s/throne/history?limit=1" % room).json()
    rest = client.get(STREAMS + "/%s/throne/history?after=%s" % (room, page["next"])).json()
    assert [(r["user"]["id"], r["coins"], r["endReason"]) for r in page["items"] + rest["items"]] \
        == [(fans[1].id, 120, None), (fans[0].id, 101, "outbid")]
    line = fans[0].get("/api/v1/wallet/transactions?limit=1").json()["items"][0]
    assert (line["type"], line["coins"], line["reference"]) == ("throne", -101, room)
    text = client.get("/api/v1/monitoring/metrics").text
    for name in ("halobuzz_throne_claims_total", "halobuzz_throne_coins_total"):
        assert name in text
    # It ends by itself, whatever jobs do.
    time.sleep(3.1)
    assert throne(client, room)["isTaken"] is False and throne(client, room)["price"] == 101
    items = client.get(STREAMS + "/%s/throne/history" % room).json()["items"]
    assert [r["endReason"] for r in items] == ["expired", "outbid"]
    assert "agree" in ctl(palace, "ledger", "verify")


def test_refusals(palace, people, boss, room, fans):
    poor = people.make()
    young = people.make(birthDate="2015-01-01")
    assert_problem(claim(Client(palace), room, 101), 401, "auth.required")
    assert_problem(fans[0].post(STREAMS + "/%s/throne" % room, {"coins": 101}), 400,
                   "idempotency.missing")
    for coins in (0, -1, 1.5, "101", None, 10 ** 12 + 1):
        assert_problem(claim(fans[0], room, coins), 422, "input.invalid")
    for method in (lambda: claim(fans[0], NOBODY, 101),
                   lambda: fans[0].get(STREAMS + "/%s/throne" % NOBODY),
                   lambda: fans[0].get(STREAMS + "/%s/throne/history" % NOBODY)):
        assert_problem(method(), 404, "stream.unknown")
    assert_problem(fans[0].get(STREAMS + "/%s/throne/history?after=x" % room), 422,
                   "cursor.invalid")
    assert_problem(claim(fans[0], room, 100), 409, "throne.price")
    assert_problem(claim(poor, room, 101), 409, "wallet.short")
    assert_problem(claim(young, room, 101), 403, "user.underage")
    once = key()
    assert claim(fans[0], room, 101, once).status_code == 201
    again = claim(fans[0], room, 101, once)
    assert again.status_code == 201 and again.headers["Idempotency-Replayed"] == "true"
    assert_problem(claim(fans[0], room, 102, once), 422, "idempotency.mismatch")


def test_rooms_that_are_not_open(people, host, fans):
    planned = host.post(STREAMS, {"title": "Songs"}).json()["id"]
    assert_problem(claim(fans[0], planned, 101), 404, "stream.unknown")
    assert host.post(STREAMS + "/%s/start" % planned).status_code == 200
    assert_problem(claim(host, planned, 101), 422, "user.self")
    path = STREAMS + "/%s/restraints/%s" % (planned, fans[0].id)
    for action, code in (("mute", "room.muted"), ("kick", "room.kicked")):
        assert host.put(path, {"action": action}).status_code == 200
        assert_problem(claim(fans[0], planned, 101), 403, code)
    assert host.delete(path).status_code == 204
    assert host.put("/api/v1/users/%s/block" % fans[0].id).status_code == 204
    assert_problem(claim(fans[0], planned, 101), 403, "user.blocked")
    assert host.post(STREAMS + "/%s/end" % planned).status_code == 200
    assert_problem(claim(fans[1], planned, 101), 410, "stream.ended")


def test_one_at_each_price(palace, room, fans):
    price = 101
    for _ in range(3):
        before = throne(fans[0], room)["number"]
        replies = at_once(palace, [
            lambda c, token=fan.token: claim(c, room, price, token=token)
            for fan in fans for _ in range(4)])
        assert sorted(r.status_code for r in replies) == [201] + [409] * 7
        assert {r.json()["code"] for r in replies if r.status_code == 409} \
            <= {"throne.price", "throne.own"}
        now = throne(fans[0], room)
        assert (now["coins"], now["number"]) == (price, before + 1)
        price = now["price"]


def vacate(user, room, reason):
    return user.post(STREAMS + "/%s/throne/vacate" % room, {"reason": reason})


def test_a_moderator_empties_it(boss, room, fans):
    assert claim(fans[0], room, 101).status_code == 201
    assert_problem(vacate(fans[0], room, "mine"), 403, "role.required")
    assert_problem(vacate(boss, room, ""), 422, "input.invalid")
    assert vacate(boss, room, "a rude name").status_code == 204
    assert throne(boss, room)["isTaken"] is False
    items = boss.get(STREAMS + "/%s/throne/history" % room).json()["items"]
    assert [r["endReason"] for r in items] == ["vacated"]
    assert fans[0].get("/api/v1/wallet").json()["balance"] < 100000
