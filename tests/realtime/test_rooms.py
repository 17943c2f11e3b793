# SPDX-License-Identifier: Apache-2.0
"""Rooms over sockets: who may come in, what is said, who watches."""

import os
import time

import pytest

from hb_realtime import metrics, wait_for
from hb_socketio import Refused, Socket

UNKNOWN = "0" * 24


def refused(server, **args):
    with pytest.raises(Refused) as problem:
        Socket(server, **args)
    return problem.value


# --- coming in

def test_without_a_token(server):
    problem = refused(server)
    assert problem.data["code"] == "auth.required"
    assert problem.data["status"] == 401
    assert problem.message


@pytest.mark.parametrize("token", ("x", "a.b.c", "x" * 5000, ""))
def test_with_a_token_that_is_none(server, token):
    problem = refused(server, token=token)
    assert problem.data["code"] == "token.invalid"
    assert problem.data["status"] == 401
    assert problem.data["requestId"]


def test_with_more_than_a_token(server):
    assert refused(server, token="x" * 16384).data["code"] == "body.too_large"


def test_token_in_the_header(server, user):
    assert Socket(server, headers=["Authorization: Bearer " + user.token]).pid


def test_token_in_a_cookie(server, user):
    assert Socket(server, headers=["Cookie: halobuzz_token=" + user.token]).pid


def test_signed_out(server, users):
    user = users.make()
    assert user.post("/api/v1/auth/logout").status_code == 204
    assert refused(server, token=user.token).data["code"] == "token.revoked"


def test_a_second_try_on_the_same_connection(server, user):
    problem = refused(server, token="x")
    assert problem.data["code"] == "token.invalid"
    assert Socket(server, token=user.token).sid


# --- a room

def test_join_tells_how_the_room_is(server, live, users):
    guest = users.make()
    socket = Socket(server, guest.token)
    answer = socket.call("stream:join", {"streamId": live.id})
    assert answer["ok"] is True
    assert answer["stream"]["id"] == live.id
    assert answer["viewers"] == 1
    assert answer["badge"] == "none"
    assert answer["messages"] == []
    assert answer["pinned"] is None
    assert answer["rules"]["slowModeSec"] == 0
    assert answer["recovered"] is False
    assert len(answer["epoch"]) == 16 and answer["offset"].isdigit()
    again = socket.call("stream:join", {"streamId": live.id})
    assert again["ok"] and again["viewers"] == 1


def test_chat_reaches_everybody_once(server, live, users):
    a = Socket(server, live.host.token, join=live.id)
    b = Socket(server, users.make().token, join=live.id)
    outside = Socket(server, users.make().token)
    said = a.say(live.id, "namaste", clientId="m1")
    heard = b.wait_text("namaste")
    assert heard == said
    assert heard["user"]["username"] == live.host.username
    assert heard["badge"] == "host"
    assert heard["clientId"] == "m1"
    assert a.wait_text("namaste")
    # The same once more: a client that did not see the answer.
    assert a.say(live.id, "namaste", clientId="m1")["id"] == said["id"]
    b.say(live.id, "hello")
    a.wait_text("hello")
    b.wait_text("hello")
    assert a.texts() == b.texts() == ["namaste", "hello"]
    assert outside.texts() == []
    # HTTP says into the same room.
    reply = live.host.post("/api/v1/streams/%s/messages" % live.id, json={"text": "by HTTP"})
    assert reply.status_code == 201, reply.text
    assert a.wait_text("by HTTP") == b.wait_text("by HTTP")


def test_order_is_one_for_all(server, live, users):
    people = [Socket(server, live.host.token, join=live.id)]
    people += [Socket(server, users.make().token, join=live.id) for _ in range(3)]
    waiting = []
    for i in range(10):
        for n, one in enumerate(people):
            waiting.append((one, one.call_begin("chat:new", {"streamId": live.id,
                                                             "text": "%d-%d" % (n, i)})))
    answers = [one.answer(number) for one, number in waiting]
    said = sum(a["ok"] for a in answers)
    assert said == 40, answers
    until = time.monotonic() + 10
    while any(len(one.texts()) < said for one in people) and time.monotonic() < until:
        time.sleep(0.05)
    texts = people[0].texts()
    assert len(texts) == said
    assert all(one.texts() == texts for one in people)
    for n in range(len(people)):
        own = [t for t in texts if t.startswith("%d-" % n)]
        assert own == ["%d-%d" % (n, i) for i in range(10)]


def test_last_messages_come_with_the_join(server, live, users):
    for i in range(3):
        reply = live.host.post("/api/v1/streams/%s/messages" % live.id,
                               json={"text": "before %d" % i})
        assert reply.status_code == 201
    late = Socket(server, users.make().token)
    answer = late.join(live.id)
    assert [m["text"] for m in answer["messages"]] == ["before 0", "before 1", "before 2"]
    live.host.post("/api/v1/streams/%s/messages" % live.id, json={"text": "after"})
    late.wait_text("after")
    assert late.texts() == ["after"]


def test_a_gift_over_http_shows_in_the_room(server, live, users, rich):
    a = Socket(server, live.host.token, join=live.id)
    b = Socket(server, users.make().token, join=live.id)
    giver, gift = rich()
    reply = giver.post("/api/v1/streams/%s/gifts" % live.id, headers={"Idempotency-Key": "g1"},
                       json={"giftId": gift["id"], "quantity": 2})
    assert reply.status_code == 201, reply.text
    for one in (a, b):
        news = one.wait("gift:sent")
        assert news["sender"]["username"] == giver.username
        assert news["gift"]["quantity"] == 2
        assert news["totalCoins"] == 2 * gift["priceCoins"]
    # Repeated, it is told once.
    giver.post("/api/v1/streams/%s/gifts" % live.id, headers={"Idempotency-Key": "g1"},
               json={"giftId": gift["id"], "quantity": 2})
    a.say(live.id, "thanks")
    b.wait_text("thanks")
    assert len(b.events("gift:sent")) == 1


def test_leaving(server, live, users):
    host = Socket(server, live.host.token, join=live.id)
    guest = Socket(server, users.make().token, join=live.id)
    assert guest.call("stream:leave", {"streamId": live.id}) == {"ok": True}
    assert guest.call("stream:leave", {"streamId": live.id}) == {"ok": True}
    host.say(live.id, "gone?")
    host.wait_text("gone?")
    assert guest.texts() == []
    assert live.viewers() == 0


# --- refusals

@pytest.mark.parametrize("event, data, code, status", [
    ("stream:join", {"streamId": UNKNOWN}, "stream.unknown", 404),
    ("stream:join", {"streamId": "no id"}, "input.invalid", 422),
    ("stream:join", {}, "input.invalid", 422),
    ("stream:join", [], "input.invalid", 422),
    ("stream:join", "x", "input.invalid", 422),
    ("stream:leave", {"streamId": UNKNOWN}, "stream.unknown", 404),
    ("chat:new", {"text": "x"}, "input.invalid", 422),
    ("chat:new", {"streamId": UNKNOWN, "text": "x"}, "stream.unknown", 404),
    ("auth:refresh", {"token": "x"}, "token.invalid", 401),
    ("no:such", {}, "call.unknown", 404),
])
def test_refusals(server, users, event, data, code, status):
    answer = Socket(server, users.make().token).call(event, data)
    assert answer["ok"] is False
    assert answer["error"]["status"] == status, answer
    assert answer["error"]["code"] == code, answer
    assert answer["error"]["detail"]
    assert answer["error"]["requestId"]


def test_fields_that_are_wrong_are_named(server, live, users):
    socket = Socket(server, users.make().token, join=live.id)
    answer = socket.call("chat:new", {"streamId": live.id, "text": "x" * 501})
    assert answer["error"]["errors"][0]["field"] == "text"
    assert answer["error"]["errors"][0]["code"] == "length"


def test_blocked_by_the_host(server, live, users):
    guest = users.make()
    assert live.host.put("/api/v1/users/%s/block" % guest.id).status_code in (200, 201, 204)
    answer = Socket(server, guest.token).call("stream:join", {"streamId": live.id})
    assert answer["error"]["code"] == "user.blocked"
    assert answer["error"]["status"] == 403


def test_a_stream_that_is_over(server, live, users):
    guest = Socket(server, users.make().token, join=live.id)
    assert live.host.post("/api/v1/streams/%s/end" % live.id).status_code == 200
    assert guest.wait("stream:ended")["streamId"] == live.id
    answer = guest.call("stream:join", {"streamId": live.id})
    assert answer["error"]["code"] == "stream.ended"
    assert answer["error"]["status"] == 410
    answer = guest.call("chat:new", {"streamId": live.id, "text": "x"})
    assert answer["error"]["code"] == "stream.ended"


def test_muted_and_kicked(server, live, users):
    guest = users.make()
    socket = Socket(server, guest.token, join=live.id)
    path = "/api/v1/streams/%s/restraints/%s" % (live.id, guest.id)
    assert live.host.put(path, json={"action": "mute"}).status_code in (200, 201)
    answer = socket.call("chat:new", {"streamId": live.id, "text": "x"})
    assert answer["error"]["code"] == "room.muted", answer
    assert socket.wait("room:moderated")["action"] == "mute"
    assert live.host.put(path, json={"action": "kick"}).status_code in (200, 201)
    socket.wait("room:moderated", lambda p: p["action"] == "kick")
    host = Socket(server, live.host.token, join=live.id)
    host.say(live.id, "only for those inside")
    host.wait_text("only for those inside")
    assert socket.texts() == []
    assert socket.call("stream:join", {"streamId": live.id})["error"]["code"] == "room.kicked"


def test_under_age(server, live, users):
    year = time.gmtime().tm_year - 9
    child = users.make()
    reply = child.patch("/api/v1/users/me", json={"birthDate": "%d-01-01" % year})
    assert reply.status_code == 200, reply.text
    socket = Socket(server, child.token, join=live.id)
    answer = socket.call("chat:new", {"streamId": live.id, "text": "hi"})
    assert answer["error"]["code"] == "user.underage", answer
    assert answer["error"]["status"] == 403


def test_too_many_rooms(server, users, make_live):
    socket = Socket(server, users.make().token)
    rooms = [make_live() for _ in range(9)]
    answers = [socket.call("stream:join", {"streamId": room.id}) for room in rooms]
    assert [a["ok"] for a in answers] == [True] * 8 + [False]
    assert answers[8]["error"]["code"] == "rooms.too_many"
    assert answers[8]["error"]["status"] == 429
    socket.call("stream:leave", {"streamId": rooms[0].id})
    assert socket.call("stream:join", {"streamId": rooms[8].id})["ok"]


def test_calls_without_an_ack_work_too(server, live, users):
    a = Socket(server, users.make().token, join=live.id)
    a.emit("chat:new", {"streamId": live.id, "text": "no answer wanted"})
    a.emit("no:such", {})
    a.emit("chat:new")
    a.wait_text("no answer wanted")


# --- who watches

def test_viewers_are_people_not_sockets(server, live, users):
    host = Socket(server, live.host.token, join=live.id)
    guest = users.make()
    first = Socket(server, guest.token, join=live.id)
    second = Socket(server, guest.token, join=live.id)
    news = host.wait("presence:update", lambda p: p["viewers"] == 1)
    assert [u["username"] for u in news["joined"]] == [guest.username]
    assert live.viewers() == 1
    first.leave()
    time.sleep(1)
    assert live.viewers() == 1
    second.leave()
    host.wait("presence:update", lambda p: p["viewers"] == 0 and p["left"])
    assert live.viewers() == 0


def test_a_crowd_is_told_in_few_words(server, live, users):
    host = Socket(server, live.host.token, join=live.id)
    guests = [users.make() for _ in range(12)]
    for guest in guests:
        Socket(server, guest.token, join=live.id)
    host.wait("presence:update", lambda p: p["viewers"] == 12)
    told = host.events("presence:update")
    assert len(told) < 12
    names = [u["username"] for p, _ in told for u in p["joined"]]
    assert sorted(names) == sorted(g.username for g in guests)
    assert all(offset is None for _, offset in told)


def test_too_many_connections_of_one_account(make_server, make_users, claims):
    server = make_server(settings={"HaloBuzzRealtimePerUser": "3", "HaloBuzzRealtimeGrace": "0"})
    users = make_users(server)
    user = users.make()
    open_ones = [Socket(server, user.token) for _ in range(3)]
    problem = refused(server, token=user.token)
    assert problem.data["code"] == "connections.too_many"
    assert problem.data["status"] == 429
    assert Socket(server, users.make().token)
    wait_for(lambda: metrics(user)["halobuzz_realtime_limited_total"] >= 1)
    open_ones[0].leave()
    time.sleep(0.3)
    assert Socket(server, user.token)
    # a reload is enough to change it
    server.settings["HaloBuzzRealtimePerUser"] = "4"
    server.write_conf()
    server.graceful()
    wait_for(lambda: "HB06103" in server.log_text())
    other = users.make()
    assert all([Socket(server, other.token).sid for _ in range(4)])
    assert refused(server, token=other.token).data["code"] == "connections.too_many"


def test_more_connections_than_are_remembered(make_server, make_users, claims):
    """They are let in, but cannot come back to what they missed; the operator is told once."""
    server = make_server(settings={"HaloBuzzRealtimeRemembered": "16",
                                   "HaloBuzzRealtimePerUser": "20"})
    user = make_users(server).make()
    sockets = [Socket(server, user.token) for _ in range(18)]
    assert [one.pid is not None for one in sockets] == [True] * 16 + [False] * 2
    claims("HB06515")
    wait_for(lambda: server.log_text().count("HB06515") == 1)
    sockets[0].leave()                  # its place is free
    wait_for(lambda: server.status()["sockets"] == 17)
    assert Socket(server, user.token).pid


def test_keys_that_are_new_at_a_reload_are_new_for_sockets(make_server, make_users):
    server = make_server(settings={"HaloBuzzRealtimeGrace": "0"})
    user = make_users(server).make()
    assert Socket(server, user.token)
    with open(os.path.join(server.state, "keys", "access.keys"), "w") as f:
        f.write("newer 1767225600 %s\n" % ("A" * 43))
    server.graceful()
    wait_for(lambda: "HB06103" in server.log_text())
    assert refused(server, token=user.token).data["code"] == "token.invalid"

    def comes_in():
        user.login()        # a child that ends may still answer, with the key it has
        try:
            return Socket(server, user.token)
        except Refused:
            return None
    wait_for(comes_in)


def test_too_many_calls(server, live, users):
    socket = Socket(server, users.make().token, join=live.id)
    numbers = [socket.call_begin("stream:join", {"streamId": live.id}) for _ in range(120)]
    answers = [socket.answer(n) for n in numbers]
    refusals = [a["error"] for a in answers if not a["ok"]]
    assert any(e["code"] == "rate.limited" and e["retryAfter"] == 1 for e in refusals)
    assert sum(a["ok"] for a in answers) >= 20
    time.sleep(1.5)
    assert socket.call("stream:join", {"streamId": live.id})["ok"]
