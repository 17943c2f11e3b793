# SPDX-License-Identifier: Apache-2.0
"""Users as others see them: profiles, search, follow, block."""

import time

import pytest

from hb_client import assert_problem
from hb_race import at_once
from hb_users import Users

NOBODY = "65a1b2c3d4e5f60718293a4b"


def names(page):
    return [u["username"] for u in page.json()["items"]]


@pytest.fixture
def pair(users):
    return users.make(), users.make()


def test_what_others_see(pair):
    one, other = pair
    by_id = one.get("/api/v1/users/" + other.id)
    by_name = one.get("/api/v1/users/@" + other.username.upper())
    assert by_id.status_code == 200
    assert by_id.json() == by_name.json()
    assert by_id.json()["id"] == other.id
    assert not {"email", "phone", "roles", "coins", "status", "passwordHash",
                "usernameKey", "totp"} & set(by_id.json())


@pytest.mark.parametrize("who", [NOBODY, "@nobody-at-all", "@", "x", "%07", "%F0%9F%98%80",
                                 "0" * 200])
def test_who_does_not_exist(user, who):
    reply = user.get("/api/v1/users/" + who)
    assert reply.status_code in (400, 404), reply.text
    assert_problem(reply, reply.status_code)


def test_following_can_be_repeated(pair):
    one, other = pair
    path = "/api/v1/users/%s/follow" % other.id
    for _ in range(2):
        reply = one.put(path)
        assert reply.status_code == 200
        assert reply.json() == {"userId": other.id, "following": True, "followedBy": False,
                                "followers": 1}
    assert other.get("/api/v1/users/%s/follow" % one.id).json()["followedBy"] is True
    assert names(other.get("/api/v1/users/%s/followers" % other.id)) == [one.username]
    assert names(one.get("/api/v1/users/@%s/following" % one.username)) == [other.username]
    for _ in range(2):
        assert one.delete(path).json()["following"] is False
    assert other.get("/api/v1/users/me").json()["followers"] == 0
    assert one.get("/api/v1/users/me").json()["following"] == 0


def test_counters_are_exact_under_load(server, users):
    star = users.make()
    fans = [users.make() for _ in range(4)]

    def wave(fan):
        def run(client):
            for _ in range(5):
                client.put("/api/v1/users/%s/follow" % star.id, token=fan.token)
                client.delete("/api/v1/users/%s/follow" % star.id, token=fan.token)
            return client.put("/api/v1/users/%s/follow" % star.id, token=fan.token)
        return run

    replies = at_once(server, [wave(fan) for fan in fans for _ in range(2)])
    assert {r.status_code for r in replies} == {200}
    for fan in fans:
        fan.put("/api/v1/users/%s/follow" % star.id)
    assert star.get("/api/v1/users/me").json()["followers"] == 4
    assert len(names(star.get("/api/v1/users/%s/followers" % star.id))) == 4
    assert {f.get("/api/v1/users/me").json()["following"] for f in fans} == {1}


def test_lists_have_pages(users):
    star = users.make()
    fans = [users.make() for _ in range(5)]
    for fan in fans:
        fan.put("/api/v1/users/%s/follow" % star.id)
        time.sleep(0.002)       # of one millisecond, ids would say who comes first
    seen, after = [], None
    while True:
        page = star.get("/api/v1/users/%s/followers" % star.id,
                        params={"limit": 2, "after": after} if after else {"limit": 2})
        seen += names(page)
        after = page.json()["next"]
        if after is None:
            break
    assert seen == [f.username for f in reversed(fans)]
    for bad in ("limit=0", "limit=101", "limit=x", "after=zzz", "limit=1&limit=2"):
        assert_problem(star.get("/api/v1/users/%s/followers?%s" % (star.id, bad)), 422)


def test_a_block_works_both_ways(users):
    one, other, third = users.make(), users.make(), users.make()
    one.put("/api/v1/users/%s/follow" % other.id)
    other.put("/api/v1/users/%s/follow" % one.id)
    third.put("/api/v1/users/%s/follow" % one.id)
    for _ in range(2):
        assert one.put("/api/v1/users/%s/block" % other.id).status_code == 204
    assert_problem(one.get("/api/v1/users/" + other.id), 403, "user.blocked")
    assert_problem(other.get("/api/v1/users/" + one.id), 404, "user.unknown")
    assert_problem(other.get("/api/v1/users/@" + one.username), 404, "user.unknown")
    assert_problem(one.put("/api/v1/users/%s/follow" % other.id), 403, "user.blocked")
    assert_problem(other.put("/api/v1/users/%s/follow" % one.id), 404, "user.unknown")
    assert_problem(other.get("/api/v1/users/%s/followers" % one.id), 404, "user.unknown")
    assert names(one.get("/api/v1/users/search?q=" + other.username)) == []
    assert names(other.get("/api/v1/users/search?q=" + one.username)) == []
    assert names(third.get("/api/v1/users/search?q=" + one.username))[0] == one.username
    assert one.get("/api/v1/users/me").json()["followers"] == 1
    assert one.get("/api/v1/users/me").json()["following"] == 0
    assert names(one.get("/api/v1/users/me/blocks")) == [other.username]
    assert names(other.get("/api/v1/users/me/blocks")) == []
    for _ in range(2):
        assert one.delete("/api/v1/users/%s/block" % other.id).status_code == 204
    assert other.get("/api/v1/users/" + one.id).status_code == 200
    assert other.put("/api/v1/users/%s/follow" % one.id).status_code == 200


def test_oneself_and_nobody(user):
    for path in ("/api/v1/users/%s/follow", "/api/v1/users/%s/block"):
        assert_problem(user.put(path % user.id), 422, "user.self")
        assert_problem(user.put(path % NOBODY), 404, "user.unknown")
        assert_problem(user.put(path % "x"), 404, "user.unknown")


def test_search(users):
    n = next(Users.numbers)
    for name in ("Zebra%da", "zebra%d.b", "zebra%d_c"):
        users.make(username=name % n)
    seeker = users.make()
    page = seeker.get("/api/v1/users/search", params={"q": "@ZEBRA%d" % n, "limit": 2})
    assert names(page) == ["zebra%d.b" % n, "zebra%d_c" % n]
    rest = seeker.get("/api/v1/users/search", params={"q": "@ZEBRA%d" % n, "limit": 2,
                                                      "after": page.json()["next"]})
    assert names(rest) == ["Zebra%da" % n] and rest.json()["next"] is None
    for nothing in ("%", "_", "zzzzzz", "'", "\"", "$gt", "*"):
        assert names(seeker.get("/api/v1/users/search", params={"q": nothing})) == []
    for bad in ("", "?q=", "?q=@", "?q=" + "x" * 32, "?q=a&q=b"):
        assert_problem(seeker.get("/api/v1/users/search" + bad), 422)


@pytest.mark.parametrize("method, path", [
    ("GET", "/api/v1/users/search?q=a"), ("GET", "/api/v1/users/" + NOBODY),
    ("GET", "/api/v1/users/me/blocks"), ("GET", "/api/v1/users/%s/followers" % NOBODY),
    ("GET", "/api/v1/users/%s/following" % NOBODY),
    ("GET", "/api/v1/users/%s/follow" % NOBODY), ("PUT", "/api/v1/users/%s/follow" % NOBODY),
    ("DELETE", "/api/v1/users/%s/follow" % NOBODY),
    ("PUT", "/api/v1/users/%s/block" % NOBODY), ("DELETE", "/api/v1/users/%s/block" % NOBODY)])
def test_strangers_see_nobody(client, method, path):
    assert_problem(client.request(method, path), 401, "auth.required")
