# SPDX-License-Identifier: Apache-2.0
"""Gifts, leaderboards and OG tiers over HTTP, on a server seeded by halobuzzctl."""

import os

import pytest

from hb_client import Client, assert_problem
from hb_finance import bank_with, boss_of, ctl
from hb_race import at_once
from hb_users import Users

BOSS = "boss@halobuzz.test"
NOBODY = "65a1b2c3d4e5f60718293a4b"
STREAMS = "/api/v1/streams"
GIFTS = "/api/v1/gifts"
SUBSCRIBE = "/api/v1/og/subscribe"


@pytest.fixture(scope="module")
def shop():
    """A server with a catalogue, on which staff need no second factor."""
    with bank_with({"HaloBuzzAdminEmail": BOSS}) as one:
        for added in ("added 19 gifts and 5 OG tiers", "added 0 gifts and 0 OG tiers"):
            assert added in ctl(one, "seed")
        yield one


@pytest.fixture(scope="module")
def people(shop):
    return Users(shop)


@pytest.fixture(scope="module")
def boss(shop, people):
    return boss_of(shop, people, BOSS)


@pytest.fixture(scope="module")
def catalogue(shop):
    """code -> row"""
    rows = Client(shop).get(GIFTS + "?limit=100").json()["items"]
    return {row["code"]: row for row in rows}


@pytest.fixture
def host(people):
    return people.make()


@pytest.fixture
def room(host):
    stream = host.post(STREAMS, {"title": "Songs"}).json()
    reply = host.post(STREAMS + "/%s/start" % stream["id"])
    assert reply.status_code == 200, reply.text
    return stream["id"]


@pytest.fixture
def fan(people, boss):
    """Somebody with 1000 coins and 50 bonus coins."""
    user = people.make()
    fund(boss, user, coins=1000, bonus=50)
    return user


def fund(boss, user, **purses):
    reply = boss.post("/api/v1/admin/adjustments", {"userId": user.id, "reason": "a test", **purses},
                      headers=fresh())
    assert reply.status_code == 201, reply.text


def fresh(key=None):
    return {"Idempotency-Key": key or os.urandom(8).hex()}


def give(user, room, gift_id, quantity=1, key=None, **args):
    return user.post(STREAMS + "/%s/gifts" % room, {"giftId": gift_id, "quantity": quantity},
                     headers=fresh(key), **args)


def balance(user):
    return user.get("/api/v1/wallet").json()["balance"]


# --- gifts

def test_the_catalogue(shop, catalogue):
    client = Client(shop)
    prices = [row["priceCoins"] for row in catalogue.values()]
    assert prices == sorted(prices) and len(prices) == 16
    assert set(catalogue["rose"]) == {"id", "code", "name", "priceCoins", "ogLevelMin"}
    page = client.get(GIFTS + "?limit=10").json()
    rest = client.get(GIFTS + "?limit=10&after=" + page["next"]).json()
    assert [g["id"] for g in page["items"] + rest["items"]] == [g["id"] for g in catalogue.values()]
    assert rest["next"] is None
    assert_problem(client.get(GIFTS + "?after=x"), 422, "cursor.invalid")


def test_a_gift_shows_everywhere(shop, host, room, fan, catalogue):
    reply = give(fan, room, catalogue["rose"]["id"], 3)
    assert reply.status_code == 201, reply.text
    gift = reply.json()["gift"]
    assert reply.json()["balance"] == 970 == balance(fan)
    assert (gift["coins"], gift["quantity"], gift["combo"], gift["code"]) == (30, 3, 3, "rose")
    assert (gift["senderId"], gift["hostId"], gift["streamId"]) == (fan.id, host.id, room)
    assert "hostCoins" not in gift
    assert give(fan, room, catalogue["rose"]["id"]).json()["gift"]["combo"] == 4
    assert give(fan, room, catalogue["heart"]["id"]).json()["gift"]["combo"] == 1
    assert host.get("/api/v1/wallet").json()["earned"] == 30
    assert fan.get("/api/v1/users/me").json()["coins"]["totalSpent"] == 60
    assert host.get("/api/v1/users/me").json()["coins"]["totalEarned"] == 30
    client = Client(shop)
    assert client.get(STREAMS + "/%s" % room).json()["totalCoins"] == 60
    page = client.get(STREAMS + "/%s/gifts?limit=2" % room).json()
    assert [g["code"] for g in page["items"]] == ["heart", "rose"]
    assert all("hostCoins" not in g for g in page["items"])
    page = host.get(STREAMS + "/%s/gifts?limit=2&after=%s" % (room, page["next"])).json()
    assert page["items"] == [dict(gift, hostCoins=15)] and page["next"] is None
    assert_problem(client.get(STREAMS + "/%s/gifts" % NOBODY), 404, "stream.unknown")
    text = client.get("/api/v1/monitoring/metrics").text
    for name in ("halobuzz_gifts_total", "halobuzz_gift_coins_total"):
        assert name in text


@pytest.mark.parametrize("quantity", [0, -1, 1.5, "1", None, True, 10000, 2 ** 53 + 1, 2 ** 63 - 1,
                                      -2 ** 63])
def test_quantities_that_cannot_be(room, fan, catalogue, quantity):
    document = assert_problem(give(fan, room, catalogue["rose"]["id"], quantity), 422,
                              "input.invalid")
    assert [e["field"] for e in document["errors"]] == ["quantity"]
    assert balance(fan) == 1000


def test_a_quantity_beyond_64_bits(room, fan, catalogue):
    body = '{"giftId":"%s","quantity":9223372036854775808}' % catalogue["rose"]["id"]
    reply = fan.post(STREAMS + "/%s/gifts" % room, data=body,
                     headers={**fresh(), "Content-Type": "application/json"})
    assert_problem(reply, 400, "body.syntax")


def test_refusals(shop, people, boss, host, room, fan, catalogue):
    rose = catalogue["rose"]["id"]
    assert_problem(give(Client(shop), room, rose), 401, "auth.required")
    assert_problem(fan.post(STREAMS + "/%s/gifts" % room, {"giftId": rose}), 400,
                   "idempotency.missing")
    assert_problem(fan.post(STREAMS + "/%s/gifts" % room, {}, headers=fresh()), 422,
                   "input.invalid")
    assert_problem(give(fan, room, "rose"), 422, "input.invalid")
    assert_problem(give(fan, room, NOBODY), 404, "gift.unknown")
    assert_problem(give(fan, NOBODY, rose), 404, "stream.unknown")
    assert_problem(give(fan, "x", rose), 404, "stream.unknown")
    assert_problem(give(fan, room, catalogue["golden_mic"]["id"]), 403, "gift.og_level")
    assert_problem(give(fan, room, rose, 101), 409, "wallet.short")
    assert_problem(give(fan, room, catalogue["helicopter"]["id"], 9999), 409, "wallet.short")
    fund(boss, host, coins=100)
    assert_problem(give(host, room, rose), 422, "user.self")
    poor = people.make()
    fund(boss, poor, bonus=1000)        # bonus coins buy no gifts
    assert_problem(give(poor, room, rose), 409, "wallet.short")
    assert host.put("/api/v1/users/%s/block" % fan.id).status_code == 204
    assert_problem(give(fan, room, rose), 403, "user.blocked")
    assert balance(fan) == 1000
    assert host.post(STREAMS + "/%s/end" % room).status_code == 200
    assert_problem(give(poor, room, rose), 410, "stream.ended")
    planned = host.post(STREAMS, {"title": "Later"}).json()["id"]
    assert_problem(give(host, planned, rose), 409, "stream.state")


def test_the_same_gift_again(room, fan, catalogue):
    first = give(fan, room, catalogue["rose"]["id"], key="again")
    again = give(fan, room, catalogue["rose"]["id"], key="again")
    assert again.status_code == 201 and again.json() == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    for gift, quantity in (("rose", 2), ("heart", 1)):
        assert_problem(give(fan, room, catalogue[gift]["id"], quantity, key="again"), 422,
                       "idempotency.mismatch")
    assert balance(fan) == 990


def test_the_same_gift_many_times_at_once(shop, room, fan, catalogue):
    replies = at_once(shop, [lambda c: give(c, room, catalogue["rose"]["id"], key="race",
                                            token=fan.token)] * 12)
    assert {r.status_code for r in replies} == {201}
    assert len({r.text for r in replies}) == 1
    assert balance(fan) == 990


def test_two_gifts_for_the_last_coins(shop, boss, people, room, catalogue):
    user = people.make()
    fund(boss, user, coins=10)
    replies = at_once(shop, [lambda c: give(c, room, catalogue["rose"]["id"],
                                            token=user.token)] * 8)
    assert sorted(r.status_code for r in replies) == [201] + [409] * 7
    assert {r.json()["code"] for r in replies if r.status_code == 409} == {"wallet.short"}
    assert balance(user) == 0


# --- leaderboards

def test_leaderboards(shop, people, boss, room, fan, catalogue):
    second = people.make()
    fund(boss, second, coins=1000)
    give(fan, room, catalogue["rose"]["id"], 2)
    give(second, room, catalogue["rose"]["id"], 9)
    client = Client(shop)
    board = client.get(STREAMS + "/%s/leaderboard" % room).json()["items"]
    assert [(p["rank"], p["coins"], p["user"]["id"]) for p in board] == [
        (1, 90, second.id), (2, 20, fan.id)]
    assert "coins" not in board[0]["user"]
    board = client.get(STREAMS + "/%s/leaderboard?limit=1" % room).json()["items"]
    assert [p["coins"] for p in board] == [90]
    assert_problem(client.get(STREAMS + "/%s/leaderboard" % NOBODY), 404, "stream.unknown")
    for period in ("", "?period=day", "?period=week"):
        board = client.get("/api/v1/leaderboards/gifters" + period).json()["items"]
        assert [p["coins"] for p in board] == sorted((p["coins"] for p in board), reverse=True)
        assert {p["user"]["id"]: p["coins"] for p in board}[second.id] == 90
    assert_problem(client.get("/api/v1/leaderboards/gifters?period=year"), 422, "input.invalid")


# --- OG

def test_tiers(shop):
    items = Client(shop).get("/api/v1/og/tiers").json()["items"]
    assert [t["tier"] for t in items] == [1, 2, 3, 4, 5]
    for t in items:
        assert t["benefits"]["dailyBonus"] == t["priceCoins"] * 3 // (5 * t["durationDays"])
    assert items[0]["benefits"]["exclusiveGifts"] == ["og_badge"]
    assert len(items[4]["benefits"]["exclusiveGifts"]) == 5


def test_buying_a_tier(people, boss, room, catalogue):
    user = people.make()
    fund(boss, user, coins=30000, bonus=1000)
    reply = user.post(SUBSCRIBE, {"tier": 1}, headers=fresh("og"))
    assert reply.status_code == 200, reply.text
    bought = reply.json()
    assert (bought["ogLevel"], bought["paidBonus"], bought["paidCoins"]) == (1, 1000, 4000)
    assert (bought["balance"], bought["bonusBalance"]) == (26000, 0)
    me = user.get("/api/v1/users/me").json()
    assert (me["ogLevel"], me["ogExpiresAt"]) == (1, bought["ogExpiresAt"])
    again = user.post(SUBSCRIBE, {"tier": 1}, headers=fresh("og"))
    assert again.json() == bought and again.headers["Idempotency-Replayed"] == "true"
    assert_problem(user.post(SUBSCRIBE, {"tier": 2}, headers=fresh("og")), 422,
                   "idempotency.mismatch")
    assert give(user, room, catalogue["og_badge"]["id"]).status_code == 201
    assert_problem(give(user, room, catalogue["golden_mic"]["id"]), 403, "gift.og_level")
    higher = user.post(SUBSCRIBE, {"tier": 2}, headers=fresh()).json()
    assert (higher["ogLevel"], higher["creditedDays"], higher["balance"]) == (2, 9, 10000)
    assert_problem(user.post(SUBSCRIBE, {"tier": 1}, headers=fresh()), 409, "og.lower")
    assert_problem(user.post(SUBSCRIBE, {"tier": 3}, headers=fresh()), 409, "wallet.short")
    assert user.get("/api/v1/wallet").json()["balance"] == 10000


@pytest.mark.parametrize("body", [{}, {"tier": 0}, {"tier": -1}, {"tier": 6}, {"tier": "1"},
                                  {"tier": 2 ** 53 + 1}, {"tier": 2 ** 63 - 1}, {"tier": None}])
def test_tiers_that_cannot_be(fan, body):
    assert_problem(fan.post(SUBSCRIBE, body, headers=fresh()), 422, "input.invalid")


def test_who_may_buy(shop, fan):
    assert_problem(Client(shop).post(SUBSCRIBE, {"tier": 1}), 401, "auth.required")
    assert_problem(fan.post(SUBSCRIBE, {"tier": 1}), 400, "idempotency.missing")
