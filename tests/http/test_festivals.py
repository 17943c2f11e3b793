# SPDX-License-Identifier: Apache-2.0
"""Festivals over HTTP: administrators, what is on, gifts, coins for money."""

import datetime
import urllib.parse
import zoneinfo

import pytest

from hb_client import Client, assert_problem
from hb_finance import bank_with, boss_of, ctl, finance, give_coins, key
from hb_users import Users

BOSS = "boss@halobuzz.test"
NOBODY = "65a1b2c3d4e5f60718293a4b"
PUBLIC = "/api/v1/festivals"
ADMIN = "/api/v1/admin/festivals"
PRICES = "/api/v1/payments/prices?currency=npr"


@pytest.fixture(scope="module")
def fair():
    """A server that sells for play money, on which staff need no second factor."""
    with bank_with({"HaloBuzzAdminEmail": BOSS, "HaloBuzzPaySandbox": "on"}) as one:
        assert "added 19 gifts" in ctl(one, "seed")
        yield one


@pytest.fixture(scope="module")
def people(fair):
    return Users(fair)


@pytest.fixture(scope="module")
def boss(fair, people):
    return boss_of(fair, people, BOSS)


def wall(hours, zone="Asia/Kathmandu"):
    """What clocks on walls show so many hours from now."""
    now = datetime.datetime.now(zoneinfo.ZoneInfo(zone))
    return (now + datetime.timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M")


def body(**more):
    return {"name": "Tihar", "zone": "Asia/Kathmandu", "from": wall(-1), "to": wall(1), **more}


@pytest.fixture
def festival(boss):
    """Makes one; it is gone after the case."""
    made = []

    def make(**more):
        reply = boss.post(ADMIN, body(**more))
        assert reply.status_code == 201, reply.text
        made.append(reply.json()["id"])
        return reply.json()

    yield make
    for one in made:
        boss.delete(ADMIN + "/%s" % one)


def on_now(client):
    return client.get(PUBLIC + "/active").json()


def test_administrators_run_them(fair, boss, festival):
    client = Client(fair)
    one = festival(theme="lights", coinPercent=120)
    assert (one["phase"], one["isEnabled"], one["giftIds"]) == ("started", True, [])
    now = on_now(client)
    assert [f["id"] for f in now["items"]] == [one["id"]] and now["coinPercent"] == 120
    assert set(now["items"][0]) == {"id", "name", "theme", "zone", "from", "to", "startsAt", "endsAt",
                                    "giftIds", "coinPercent"}
    later = festival(name="Later", **{"from": wall(20), "to": wall(21)})
    assert [f["id"] for f in client.get(PUBLIC).json()["items"]] == [one["id"], later["id"]]
    page = client.get(PUBLIC + "?limit=1").json()
    assert [f["id"] for f in client.get(PUBLIC + "?after=" + page["next"]).json()["items"]] \
        == [later["id"]]
    changed = boss.patch(ADMIN + "/%s" % one["id"], {"to": wall(2), "coinPercent": 110}).json()
    assert changed == boss.get(ADMIN + "/%s" % one["id"]).json()
    assert changed["endsAt"] > one["endsAt"] and on_now(client)["coinPercent"] == 110
    assert boss.patch(ADMIN + "/%s" % one["id"], {"isEnabled": False}).status_code == 200
    assert on_now(client) == {"items": [], "coinPercent": 100}
    assert {f["id"] for f in boss.get(ADMIN).json()["items"]} >= {one["id"], later["id"]}
    assert boss.delete(ADMIN + "/%s" % one["id"]).status_code == 204
    assert_problem(boss.delete(ADMIN + "/%s" % one["id"]), 404, "festival.unknown")


def test_refusals(fair, people, boss):
    user = people.make()
    for who, status, code in ((Client(fair), 401, "auth.required"), (user, 403, "role.required")):
        assert_problem(who.get(ADMIN), status, code)
        assert_problem(who.get(ADMIN + "/%s" % NOBODY), status, code)
        assert_problem(who.post(ADMIN, body()), status, code)
        assert_problem(who.patch(ADMIN + "/%s" % NOBODY, {}), status, code)
        assert_problem(who.delete(ADMIN + "/%s" % NOBODY), status, code)
    for wrong in ({"zone": "Mars/Base"}, {"to": wall(-2)}, {"from": "2026-02-30T10:00"},
                  {"coinPercent": 99}, {"giftIds": [NOBODY]}, {"giftIds": "rose"}, {"name": ""}):
        document = assert_problem(boss.post(ADMIN, body(**wrong)), 422, "input.invalid")
        assert [e["field"] for e in document["errors"]] == list(wrong)
    assert_problem(boss.get(ADMIN + "/%s" % NOBODY), 404, "festival.unknown")
    assert_problem(boss.patch(ADMIN + "/x", {}), 404, "festival.unknown")
    for path in (PUBLIC, ADMIN):
        assert_problem(boss.get(path + "?after=x"), 422, "cursor.invalid")
    assert on_now(boss)["items"] == []


def test_gifts_that_are_for_a_festival(fair, people, boss, festival):
    def listed():
        rows = Client(fair).get("/api/v1/gifts?limit=100").json()["items"]
        return {row["code"]: row["id"] for row in rows}

    host, fan = people.make(), people.make()
    give_coins(boss, fan, 1000)
    room = host.post("/api/v1/streams", {"title": "Songs"}).json()["id"]
    host.post("/api/v1/streams/%s/start" % room)
    before = listed()
    assert len(before) == 16 and "diyo" not in before
    assert_problem(fan.get("/api/v1/admin/gifts"), 403, "role.required")
    every = {g["code"]: g for g in boss.get("/api/v1/admin/gifts?limit=100").json()["items"]}
    assert len(every) == 19 and every["diyo"]["isFestivalOnly"]
    diyo = every["diyo"]["id"]

    def give():
        return fan.post("/api/v1/streams/%s/gifts" % room, {"giftId": diyo}, headers=key())

    assert_problem(give(), 403, "gift.festival")
    one = festival(giftIds=[diyo, before["rose"]])
    assert listed()["diyo"] == diyo
    assert give().status_code == 201
    assert boss.patch(ADMIN + "/%s" % one["id"], {"to": wall(-0.5)}).status_code == 200
    assert_problem(give(), 403, "gift.festival")
    assert listed() == before


def test_administrators_keep_gifts_for_festivals(fair, boss):
    def codes():
        return [g["code"] for g in Client(fair).get("/api/v1/gifts?limit=100").json()["items"]]

    momo = next(g for g in boss.get("/api/v1/admin/gifts?limit=100").json()["items"]
                if g["code"] == "momo")
    for change, is_there in (({"isFestivalOnly": True}, False), ({"isFestivalOnly": False}, True),
                             ({"isActive": False}, False), ({"isActive": True}, True)):
        reply = boss.patch("/api/v1/admin/gifts/%s" % momo["id"], change)
        assert reply.status_code == 200 and reply.json().items() >= change.items()
        assert ("momo" in codes()) is is_there
    assert boss.patch("/api/v1/admin/gifts/%s" % momo["id"], {}).json() == reply.json()
    assert_problem(boss.patch("/api/v1/admin/gifts/%s" % NOBODY, {}), 404, "gift.unknown")
    assert_problem(boss.patch("/api/v1/admin/gifts/%s" % momo["id"], {"isActive": "no"}), 422,
                   "input.invalid")


def test_coins_bought_meanwhile(fair, people, boss, festival):
    finn, payer = finance(fair, "finn"), people.make()
    plain = Client(fair).get(PRICES).json()["items"]
    one = festival(coinPercent=130)
    assert {p["festivalBonus"] for p in plain} == {0}
    now = Client(fair).get(PRICES).json()["items"]
    for before, price in zip(plain, now):
        assert price["festivalBonus"] == price["coins"] * 30 // 100
        assert price["bonus"] == before["bonus"] + price["festivalBonus"]
    started = payer.post("/api/v1/payments/sandbox/orders", {"product": "npr-5000"},
                         headers=key()).json()
    order = started["order"]
    assert (order["bonus"], order["festivalBonus"], order["festivalId"]) == (1600, 1500, one["id"])
    # The order keeps it, whatever becomes of the festival before the payment comes.
    assert boss.delete(ADMIN + "/%s" % one["id"]).status_code == 204
    at = urllib.parse.urlsplit(started["url"])
    reply = Client(fair).request("POST", at.path + "?" + at.query, data="result=paid", headers={
        "Content-Type": "application/x-www-form-urlencoded"})
    back = urllib.parse.urlsplit(reply.headers["Location"])
    Client(fair).get(back.path + ("?" + back.query if back.query else ""))
    wallet = payer.get("/api/v1/wallet").json()
    assert (wallet["balance"], wallet["bonusBalance"]) == (5000, 1600)
    # Half of the money back takes half of each.
    reply = finn.post("/api/v1/admin/refunds", {"orderId": order["id"], "amountMinor": 5000,
                                                "reason": "asked nicely"}, headers=key())
    assert reply.status_code == 201, reply.text
    wallet = payer.get("/api/v1/wallet").json()
    assert (wallet["balance"], wallet["bonusBalance"]) == (2500, 800)
    again = payer.post("/api/v1/payments/sandbox/orders", {"product": "npr-5000"}, headers=key())
    assert again.json()["order"]["bonus"] == 100 and "festivalId" not in again.json()["order"]
    assert "agree" in ctl(fair, "ledger", "verify")
