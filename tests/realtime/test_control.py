# SPDX-License-Identifier: Apache-2.0
"""What hosts and moderators do over HTTP, and direct messages, as open sockets hear of it."""

import concurrent.futures
import datetime
import json
import time

from hb_client import assert_problem
from hb_finance import ctl, run_job
from hb_socketio import Plain, Socket

STREAMS = "/api/v1/streams"
INBOX = "/api/v1/conversations"


def test_rules_pins_and_deletions_are_told(server, live, users):
    author = users.make()
    a, b = (Socket(server, user.token, join=live.id) for user in (author, users.make()))
    message = a.say(live.id, "on top")
    assert live.host.patch(STREAMS + "/%s/room" % live.id,
                           json={"linksOff": True, "slowModeSec": 60}).status_code == 200
    assert b.wait("room:changed")["slowModeSec"] == 60
    refused = a.call("chat:new", {"streamId": live.id, "text": "https://x.example"})
    assert refused["error"]["code"] == "room.links_off"
    assert a.say(live.id, "one")
    refused = a.call("chat:new", {"streamId": live.id, "text": "two"})
    assert (refused["error"]["code"], refused["error"]["status"]) == ("room.slow", 429)
    assert live.host.put(STREAMS + "/%s/pin" % live.id,
                         json={"messageId": message["id"]}).status_code == 200
    assert b.wait("chat:pinned")["message"] == message
    late = Socket(server, users.make().token)
    assert late.join(live.id)["pinned"] == message
    assert author.delete(STREAMS + "/%s/messages/%s" % (live.id, message["id"])).status_code == 204
    assert b.wait("chat:deleted") == {"streamId": live.id, "id": message["id"]}
    assert Socket(server, users.make().token).join(live.id)["pinned"] is None
    assert live.host.patch(STREAMS + "/%s" % live.id, json={"title": "New"}).status_code == 200
    assert b.wait("stream:updated")["title"] == "New"


def test_a_throne_is_claimed_and_expires(server, live, users, rich):
    watcher = Socket(server, users.make().token)
    assert watcher.join(live.id)["throne"]["isTaken"] is False
    giver, _ = rich()
    reply = giver.post(STREAMS + "/%s/throne" % live.id, headers={"Idempotency-Key": "k"},
                       json={"coins": 1000})
    assert reply.status_code == 201, reply.text
    news = watcher.wait("throne:claimed")
    assert news["throne"] == reply.json()["throne"] and news["previous"] is None
    assert (news["throne"]["user"]["id"], news["throne"]["price"]) == (giver.id, 1100)
    late = Socket(server, users.make().token).join(live.id)
    assert late["throne"] == news["throne"]
    # The minute after its time is up, by the clock of the job alone.
    ends = datetime.datetime.fromisoformat(news["throne"]["expiresAt"].replace("Z", "+00:00"))
    for _ in range(2):
        run_job(server, "throne-turn", (ends + datetime.timedelta(minutes=1)).isoformat())
    over = watcher.wait("throne:expired")
    assert (over["previous"]["id"], over["expiredAt"]) == (giver.id, news["throne"]["expiresAt"])
    assert (over["throne"]["isTaken"], over["throne"]["number"]) == (False, 1)
    assert len(watcher.events("throne:expired")) == 1


def test_a_festival_is_told_everywhere(server, live, users):
    boss = users.make()
    ctl(server, "user", "role", boss.username, "admin")
    boss.login()
    inside, outside = Socket(server, users.make().token, join=live.id), Socket(server, boss.token)
    made = boss.post("/api/v1/admin/festivals", json={
        "name": "Tihar", "zone": "UTC", "from": "2020-01-01T00:00", "to": "2100-01-01T00:00"})
    assert made.status_code == 201, made.text
    path = "/api/v1/admin/festivals/%s" % made.json()["id"]
    for socket in (inside, outside):
        assert socket.wait("festival:started")["id"] == made.json()["id"]
    assert boss.delete(path).status_code == 204
    for socket in (inside, outside):
        assert socket.wait("festival:ended")["name"] == "Tihar"


def test_words_that_are_not_taken(server, live, users):
    a, b = (Socket(server, users.make().token, join=live.id) for _ in range(2))
    path = STREAMS + "/%s/words" % live.id
    assert live.host.put(path, json={"word": "spoiler"}).status_code == 200
    assert live.host.put(path, json={"word": "muji", "language": "ne", "action": "mask"}).status_code == 200
    refused = a.call("chat:new", {"streamId": live.id, "text": "S.P.O.I.L.E.R"})
    assert (refused["error"]["code"], refused["error"]["status"]) == ("room.words", 403)
    assert a.say(live.id, "oh moojee")["text"] == "oh ******"
    b.wait_text("oh ******")


def counts_of(socket, **wanted):
    """Wait until what was told so far adds up to that."""
    def add(_):
        sums = {}
        for news, *_ in socket.events("reaction:new"):
            for kind, n in news["counts"].items():
                sums[kind] = sums.get(kind, 0) + n
        return sums if sums == wanted else None
    return socket.inbox.wait(add)


def test_reactions_are_added_up(server, live, users):
    people = [users.make() for _ in range(3)]
    sockets = [Socket(server, who.token, join=live.id) for who in people]
    for _ in range(5):
        for socket in sockets:
            assert socket.call("reaction:new", {"streamId": live.id, "kind": "heart"}) == {"ok": True}
    assert people[0].post(STREAMS + "/%s/reactions" % live.id, json={"kind": "fire"}).status_code == 204
    for socket in sockets:
        counts_of(socket, heart=15, fire=1)
        assert len(socket.events("reaction:new")) < 16
    stranger = Socket(server, users.make().token)
    refused = stranger.call("reaction:new", {"streamId": live.id, "kind": "heart"})
    assert refused["error"]["code"] == "forbidden"
    refused = sockets[0].call("reaction:new", {"streamId": live.id, "kind": "nonsense"})
    assert refused["error"]["code"] == "input.invalid"


def test_a_block_acts_at_once(server, live, users):
    anna, ben, carl = (users.make() for _ in range(3))
    a, b, c = (Socket(server, who.token, join=live.id) for who in (anna, ben, carl))
    path = "/api/v1/users/%s/block" % ben.id
    b.say(live.id, "before")
    a.wait_text("before")
    assert anna.put(path).status_code == 204
    b.say(live.id, "not for anna")
    a.say(live.id, "not for ben")
    c.say(live.id, "for both")
    for socket in (a, b, c):
        socket.wait_text("for both")
    assert a.texts() == ["before", "not for ben", "for both"]
    assert b.texts() == ["before", "not for anna", "for both"]
    assert c.texts() == ["before", "not for anna", "not for ben", "for both"]
    # Nor who comes back, nor who comes anew, nor by what is pinned.
    a.cut()
    message = b.say(live.id, "while away")
    assert live.host.put(STREAMS + "/%s/pin" % live.id, json={"messageId": message["id"]}).status_code == 200
    c.say(live.id, "end")
    back = Socket(server, anna.token, pid=a.pid, offset=a.offset)
    anew = Socket(server, anna.token, join=live.id)
    back.wait_text("end")
    b.say(live.id, "still")
    assert anna.delete(path).status_code == 204
    b.say(live.id, "friends again")
    for socket in (back, anew):
        socket.wait_text("friends again")
        assert not set(socket.texts()) & {"while away", "still"}
        assert socket.events("chat:pinned") == []
    c.wait("chat:pinned")


def test_a_block_hides_who_gives_and_who_comes(server, live, users, rich):
    giver, gift = rich(coins=5000)
    anna = users.make()
    assert anna.put("/api/v1/users/%s/block" % giver.id).status_code == 204
    gifts, throne = (STREAMS + "/%s/%s" % (live.id, what) for what in ("gifts", "throne"))
    a, c = (Socket(server, who.token, join=live.id) for who in (anna, users.make()))
    plain = Plain(server, anna.token)
    assert plain.call("stream:join", {"streamId": live.id})["ok"]
    away = Socket(server, anna.token, join=live.id)
    Socket(server, giver.token, join=live.id)
    came = c.wait("presence:update", lambda news: any(u["id"] == giver.id for u in news["joined"]))
    assert came["viewers"] == 3
    a.wait("presence:update", lambda news: news["viewers"] == 3 and news["moreJoined"] == 1)
    assert giver.post(gifts, headers={"Idempotency-Key": "b1"}, json={"giftId": gift["id"]}).status_code == 201
    away.cut()
    assert giver.post(throne, headers={"Idempotency-Key": "b2"}, json={"coins": 1000}).status_code == 201
    assert c.wait("throne:claimed")["throne"]["user"]["id"] == giver.id
    back = Socket(server, anna.token, pid=away.pid, offset=away.offset)
    for socket in (a, back):
        claimed = socket.wait("throne:claimed")["throne"]
        assert claimed["user"] is None and claimed["isTaken"] and claimed["coins"] == 1000
    assert plain.wait("throne:claimed")["data"] == a.wait("throne:claimed")
    for socket in (a, plain, back):
        assert giver.id not in json.dumps(socket.inbox.items)
    assert len(c.events("gift:sent")) == 1


def test_sent_out_while_coming_in(server, live, users):
    """Whichever is first, the join or the kick: who was sent out hears nothing more."""
    guest, rounds = users.make(), 20
    host = Socket(server, live.host.token, join=live.id)
    coming = Socket(server, guest.token)
    path = "/api/v1/streams/%s/restraints/%s" % (live.id, guest.id)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        for n in range(rounds):
            kick = pool.submit(lambda: (time.sleep(n * 0.0005),
                                        live.host.put(path, json={"action": "kick"}))[1])
            answer = coming.call("stream:join", {"streamId": live.id})
            assert answer["ok"] or answer["error"]["code"] == "room.kicked", answer
            assert kick.result().status_code in (200, 201)
            host.say(live.id, "after kick %d" % n)
            host.wait_text("after kick %d" % n)
            if n < rounds - 1:
                assert live.host.delete(path).status_code == 204
    assert coming.call("stream:join", {"streamId": live.id})["error"]["code"] == "room.kicked"
    assert coming.texts() == []


def test_a_shadow_is_heard_by_its_author_alone(server, live, users):
    author = users.make()
    one, two = (Socket(server, author.token, join=live.id) for _ in range(2))
    other = Socket(server, users.make().token, join=live.id)
    other_user = users.make()
    away = Socket(server, other_user.token, join=live.id)
    one.say(live.id, "before")
    away.wait_text("before")
    away.cut()
    assert live.host.put(STREAMS + "/%s/restraints/%s" % (live.id, author.id),
                         json={"action": "shadow_mute"}).status_code == 200
    one.say(live.id, "hidden")
    two.wait_text("hidden")
    host = Socket(server, live.host.token, join=live.id)
    host.say(live.id, "after")
    other.wait_text("after")
    assert other.texts() == ["before", "after"] and one.events("room:moderated") == []
    # Nor who comes back, nor who comes later.
    back = Socket(server, other_user.token, pid=away.pid, offset=away.offset)
    back.wait_text("after")
    assert "hidden" not in back.texts()
    joined = Socket(server, users.make().token).join(live.id)
    assert [m["text"] for m in joined["messages"]].count("hidden") == 0


def test_a_moderator_is_told(server, live, users):
    user = users.make()
    socket = Socket(server, user.token)
    assert live.host.put(STREAMS + "/%s/moderators/%s" % (live.id, user.id)).status_code == 204
    assert socket.wait("room:moderated")["action"] == "appoint"
    assert socket.join(live.id)["badge"] == "moderator"
    assert socket.say(live.id, "x")["badge"] == "moderator"


def test_direct_messages_reach_every_device(server, users):
    one, other = users.make(), users.make()
    here, there = Socket(server, one.token), Socket(server, one.token)
    peer, stranger = Socket(server, other.token), Socket(server, users.make().token)
    reply = one.post(INBOX + "/%s/messages" % other.id, json={"text": "hi"})
    assert reply.status_code == 201
    news = peer.wait("dm:new")
    assert (news["unread"], news["peer"]["id"]) == (1, one.id)
    assert news["message"] == reply.json()["message"]
    for socket in (here, there):
        assert socket.wait("dm:new")["peer"]["id"] == other.id
    assert other.post(INBOX + "/%s/read" % one.id).status_code == 200
    assert peer.wait("dm:read")["peerId"] == one.id
    assert stranger.events("dm:new") == [] == here.events("dm:read")


def test_who_buys_a_tier_hears_of_it(server, users, rich):
    user, _ = rich(coins=1000000)
    mine, other = Socket(server, user.token), Socket(server, users.make().token)
    reply = user.post("/api/v1/og/subscribe", json={"tier": 1},
                      headers={"Idempotency-Key": "a-tier"})
    assert reply.status_code == 200, reply.text
    assert mine.wait("og:changed") == {"userId": user.id, "ogLevel": 1,
                                       "ogExpiresAt": reply.json()["ogExpiresAt"]}
    assert other.events("og:changed") == []


def test_roles_and_bans_reach_open_sockets(server, live, users):
    user = users.make()
    socket = Socket(server, user.token, join=live.id)
    ctl(server, "user", "role", user.username, "moderator")
    # A role does not end a connection, but what it may do is asked anew, within a second.
    until = time.monotonic() + 1
    while socket.say(live.id, "still here")["badge"] != "staff":
        assert time.monotonic() < until
        time.sleep(0.1)
    ctl(server, "user", "disable", user.username)
    socket.wait_closing()
    # The operator's command does not share httpd's memory, but the bus.
    assert_problem(user.get("/api/v1/users/me"), 401, "token.revoked")
