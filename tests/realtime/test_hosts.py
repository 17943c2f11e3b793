# SPDX-License-Identifier: Apache-2.0
"""One platform on two hosts: who is at one sees, hears and is bound by what happens at the other."""

import concurrent.futures
import os
import subprocess
import time

import pytest
import requests

from hb_finance import ctl
from hb_guard import alive, judge
from hb_httpd import CACHE
from hb_hosts import HAVE_BOTH, Hosts, at
from hb_live import STREAMS, Live, Users
from hb_servers import Proxy
from hb_socketio import Refused, Socket
from hb_users import Mails

pytestmark = pytest.mark.skipif(not HAVE_BOTH, reason="needs a MongoDB and a Redis")


@pytest.fixture(scope="module")
def hosts():
    two = Hosts(2, settings={"HaloBuzzRealtimeViewerGrace": "1s", "HaloBuzzRealtimeNodeLost": "4s",
                             "HaloBuzzRateLimit health": "25/60s"})
    try:
        two.start()
        alive.extend(two)
        yield two
        for one in two:
            alive.remove(one)
        two.stop()
        for one in two:
            judge(one, ())
    finally:
        two.close()


def test_chat_and_gifts_cross(hosts):
    a, b = hosts
    live = Live(a)
    user = Users(b).make()
    here, there = Socket(a, live.host.token, join=live.id), Socket(b, user.token, join=live.id)
    for n in range(5):
        here.say(live.id, "from a %d" % n)
        there.say(live.id, "from b %d" % n)
    for one in here, there:
        one.wait_text("from a 4")
        one.wait_text("from b 4")
    assert here.texts() == there.texts()
    assert at(b, user).post(STREAMS + "/%s/messages" % live.id,
                            json={"text": "over HTTP"}).status_code == 201
    here.wait_text("over HTTP")

    giver, gift = b.rich()
    reply = giver.post(STREAMS + "/%s/gifts" % live.id, headers={"Idempotency-Key": "k"},
                       json={"giftId": gift["id"], "quantity": 2})
    assert reply.status_code == 201, reply.text
    for one in here, there:
        assert one.wait("gift:sent")["sender"]["username"] == giver.username
    # The same call again, at the other host: told again, not paid again.
    again = at(a, giver).post(STREAMS + "/%s/gifts" % live.id, headers={"Idempotency-Key": "k"},
                              json={"giftId": gift["id"], "quantity": 2})
    assert again.json() == reply.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    for one in here, there:
        one.leave()


# The event of a message once more, as who kept it and was held up appends it behind everybody's back.
TELL_LATE = """
local all = redis.call('XREVRANGE', KEYS[1], '+', '-')
local epoch, number = string.match(all[1][1], '^(%d+)-(%d+)$')
for _, entry in ipairs(all) do
    for _, value in ipairs(entry[2]) do
        if string.find(value, ARGV[1], 1, true) then
            return redis.call('XADD', KEYS[1], epoch .. '-' .. tostring(number + 1), unpack(entry[2]))
        end
    end
end
"""


def test_a_message_that_is_told_late_is_no_second_one(hosts):
    a, b = hosts
    live = Live(a)
    here, there = Socket(a, live.host.token, join=live.id), Socket(b, Users(b).make().token, join=live.id)
    here.say(live.id, "held up")
    there.wait_text("held up")
    prefix = hosts.settings["HaloBuzzCache"].split("prefix=")[1]
    done = subprocess.run(["redis-cli", "-u", CACHE, "EVAL", TELL_LATE, "1", prefix + "bus", "held up"],
                          capture_output=True, text=True, check=True)
    assert "-" in done.stdout, done.stdout + done.stderr
    here.say(live.id, "and on")
    for one in here, there:
        one.wait_text("and on")
        assert one.texts() == ["held up", "and on"]
        one.leave()


def test_festivals_and_thrones_cross(hosts):
    a, b = hosts
    boss = Users(a).make()
    ctl(a, "user", "role", boss.username, "admin")
    boss.login()
    path = "/api/v1/festivals/active"
    assert [at(h, boss).get(path).json()["items"] for h in hosts] == [[], []]   # now it is cached
    live = Live(a)
    there = Socket(b, Users(b).make().token, join=live.id)
    made = boss.post("/api/v1/admin/festivals", json={
        "name": "Tihar", "zone": "UTC", "from": "2020-01-01T00:00", "to": "2100-01-01T00:00"})
    assert made.status_code == 201, made.text
    for host in hosts:
        assert [f["name"] for f in at(host, boss).get(path).json()["items"]] == ["Tihar"]
    assert there.wait("festival:started")["id"] == made.json()["id"]
    assert at(b, boss).delete("/api/v1/admin/festivals/%s" % made.json()["id"]).status_code == 204
    for host in hosts:
        assert at(host, boss).get(path).json()["items"] == []
    assert there.wait("festival:ended")["name"] == "Tihar"

    fans, price = [at(host, b.rich(100000)[0]) for host in hosts], 1000
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for n in range(4):
            replies = list(pool.map(
                lambda fan: fan.post(STREAMS + "/%s/throne" % live.id, json={"coins": price},
                                     headers={"Idempotency-Key": "t%d" % n}), fans))
            assert sorted(r.status_code for r in replies) == [201, 409], [r.text for r in replies]
            won = next(r for r in replies if r.status_code == 201).json()["throne"]
            assert there.wait("throne:claimed",
                              lambda t: t["throne"]["number"] == n + 1)["throne"] == won
            price = won["price"]
    there.leave()


def test_a_mail_is_one_hosts(hosts):
    """Each has a spool, and looks into one outbox."""
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        users = list(pool.map(lambda n: Users(hosts[n % 2]).make(), range(16)))

    def written():
        return sorted(m["To"] for h in hosts for _, m in Mails(h).all()
                      if m["To"] in {user.email for user in users})

    settled(lambda: set(written()), {user.email for user in users})
    time.sleep(1)               # another one of the same would come in the next round
    assert written() == sorted(user.email for user in users)


def viewers(hosts, live):
    return [at(h, live.host).get(STREAMS + "/" + live.id).json()["viewers"] for h in hosts]


def settled(what, wanted, seconds=10):
    until = time.monotonic() + seconds
    while what() != wanted:
        assert time.monotonic() < until, "%r, not %r" % (what(), wanted)
        time.sleep(0.05)


def test_who_watches_is_counted_over_all_hosts(hosts):
    a, b = hosts
    live = Live(a)
    host = Socket(a, live.host.token, join=live.id)
    people = [Users(h).make() for h in (a, a, b, b, b)]
    sockets = [Socket(h, p.token, join=live.id) for h, p in zip((a, a, b, b, b), people)]
    assert viewers(hosts, live) == [5, 5]
    host.wait("presence:update", lambda p: p["viewers"] == 5)
    sockets[0].leave()
    sockets[4].cut()
    settled(lambda: viewers(hosts, live), [3, 3])
    sockets[2].wait("presence:update", lambda p: p["viewers"] == 3)
    for one in sockets[1:4] + [host]:
        one.leave()
    settled(lambda: viewers(hosts, live), [0, 0])


def test_one_person_at_both_hosts_is_one_viewer(hosts):
    a, b = hosts
    live = Live(a)
    user = Users(a).make()
    first, second = Socket(a, user.token, join=live.id), Socket(b, user.token, join=live.id)
    assert viewers(hosts, live) == [1, 1]
    first.leave()
    time.sleep(1.5)
    assert viewers(hosts, live) == [1, 1]
    third = Socket(a, user.token, join=live.id)
    second.cut()
    time.sleep(1.5)
    assert viewers(hosts, live) == [1, 1]
    assert third.call("stream:leave", {"streamId": live.id})["ok"]
    settled(lambda: viewers(hosts, live), [0, 0])


def test_coming_back_to_the_other_host(hosts):
    a, b = hosts
    live = Live(a)
    user = Users(a).make()
    old = Socket(a, user.token)
    joined = old.join(live.id)
    Socket(a, live.host.token).say(live.id, "one")
    old.wait_text("one")
    old.cut()
    assert at(b, live.host).post(STREAMS + "/%s/messages" % live.id,
                                 json={"text": "two"}).status_code == 201
    # That connection is known where it was: the other host says that it is none it can take up.
    new = Socket(b, user.token, pid=old.pid, offset=old.offset)
    assert not new.recovered
    # The room's log is one for all: with where it was it misses nothing.
    answer = new.join(live.id, offset=old.offset, epoch=joined["epoch"])
    assert answer["recovered"] is True
    new.wait_text("two")
    assert new.texts() == ["two"]
    assert viewers(hosts, live) == [1, 1]
    new.leave()


def test_log_out_reaches_both(hosts):
    a, b = hosts
    live = Live(a)
    user = Users(a).make()
    there = Socket(b, user.token, join=live.id)
    assert at(b, user).get("/api/v1/users/me").status_code == 200
    assert user.post("/api/v1/auth/logout").status_code == 204
    ended = time.monotonic()
    assert at(b, user).get("/api/v1/users/me").status_code == 401
    there.wait_disconnected()
    assert time.monotonic() - ended < 1
    assert there.wait_closing()["code"] == 4001
    with pytest.raises(Refused):
        Socket(b, user.token)


def test_sent_out_at_one_host_is_out_at_the_other(hosts):
    a, b = hosts
    live = Live(a)
    user = Users(b).make()
    there = Socket(b, user.token, join=live.id)
    reply = live.host.put(STREAMS + "/%s/restraints/%s" % (live.id, user.id),
                          json={"action": "kick"})
    assert reply.status_code == 200, reply.text
    settled(lambda: viewers(hosts, live), [0, 0])
    Socket(a, live.host.token).say(live.id, "who is there?")
    time.sleep(0.3)
    assert "who is there?" not in there.texts()
    there.leave()


def test_a_stream_that_ends_ends_everywhere(hosts):
    a, b = hosts
    live = Live(a)
    there = Socket(b, Users(b).make().token, join=live.id)
    assert live.host.post(STREAMS + "/%s/end" % live.id).status_code == 200
    there.wait("stream:ended")
    there.leave()


def test_limits_are_exact_over_both(hosts):
    """Calls of one address, at once, at both: as many pass as one host would let."""
    def call(server):
        with requests.Session() as session:
            session.trust_env = False
            return session.get(server.url + "/health").status_code

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(call, list(hosts) * 20))
    assert codes.count(200) == 25 and codes.count(429) == 15, codes


def forget_the_log(prefix):
    """What a FLUSHALL does to it."""
    subprocess.run(["redis-cli", "-u", CACHE, "DEL", prefix + "bus"], check=True,
                   stdout=subprocess.DEVNULL)


def numbers_of_another_log(server, live, speaker, prefix):
    """The log begins again and gets as far as it was: an offset of the old one is none of the new one."""
    path = STREAMS + "/%s/messages" % live.id
    ear = Socket(server, speaker.token, join=live.id)
    assert live.host.post(path, json={"text": "heard"}).status_code == 201
    ear.wait_text("heard")
    forget_the_log(prefix)
    for n in range(int(ear.offset) + 1):
        assert speaker.post(path, json={"text": "of another log %d" % n}).status_code == 201
    ear.inbox.wait_closed()
    again = Socket(server, speaker.token, pid=ear.pid, offset=ear.offset)
    assert not again.recovered
    again.leave()


def test_what_redis_did_not_get_is_owned_up_to(make_server, claims):
    """An event that could not be told is missed by everybody, and everybody learns of it."""
    claims("HB09501", "HB08503", "HB06202")
    redis = Proxy(CACHE)
    prefix = "r%s:" % os.urandom(4).hex()
    try:
        server = make_server(settings={
            "HaloBuzzCache": "%s?prefix=%s" % (redis.url(), prefix),
            "HaloBuzzRedisTimeout": "500ms"})
        live = Live(server)
        user = Users(server).make()
        one = Socket(server, user.token, join=live.id)
        path = STREAMS + "/%s/messages" % live.id
        assert live.host.post(path, json={"text": "told"}).status_code == 201
        one.wait_text("told")
        redis.stop()
        assert live.host.post(path, json={"text": "not told"}).status_code == 201
        redis.go()
        for n in range(40):             # each child finds out by itself that it is back
            assert live.host.post(path, json={"text": "told %d" % n}).status_code == 201
            if one.inbox.closed:
                break
            time.sleep(0.1)
        one.inbox.wait_closed()
        again = Socket(server, user.token, pid=one.pid, offset=one.offset)
        assert not again.recovered
        texts = [m["text"] for m in again.join(live.id)["messages"]]
        assert texts[:2] == ["told", "not told"]
        forget_the_log(prefix)
        assert live.host.post(path, json={"text": "the first of a log"}).status_code == 201
        again.inbox.wait_closed()
        numbers_of_another_log(server, live, Users(server).make(), prefix)
        server.stop()
    finally:
        redis.close()


def test_a_host_that_dies(hosts):
    """Its viewers are counted out by those that are left, but for who is there by another one."""
    a, b = hosts
    third = hosts.add().start()
    try:
        live = Live(a)
        people = [Users(a).make() for _ in range(3)]
        for user in people:
            Socket(third, user.token, join=live.id)
        stays = Socket(b, people[0].token, join=live.id)
        assert viewers(hosts, live) == [3, 3, 3]
    finally:
        third.kill()
        hosts.pop()
        third.remove()
    settled(lambda: viewers(hosts, live), [1, 1], seconds=15)
    stays.wait("presence:update", lambda p: p["viewers"] == 1)
    # Somebody comes back to a host that is there.
    again = Socket(a, people[1].token, join=live.id)
    assert viewers(hosts, live) == [2, 2]
    for one in stays, again:
        one.leave()
