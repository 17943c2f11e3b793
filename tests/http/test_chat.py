# SPDX-License-Identifier: Apache-2.0
"""Chat, running a room, and direct messages over HTTP. What clients on a socket hear of it is
for tests/realtime."""

import pytest

from hb_client import Client, assert_problem
from hb_finance import ctl
from hb_race import at_once
from hb_users import Users

NOBODY = "65a1b2c3d4e5f60718293a4b"
STREAMS = "/api/v1/streams"
INBOX = "/api/v1/conversations"


@pytest.fixture
def host(users):
    return users.make()


@pytest.fixture
def room(host):
    stream = host.post(STREAMS, {"title": "Songs"}).json()["id"]
    assert host.post(STREAMS + "/%s/start" % stream).status_code == 200
    return stream


def say(user, room, text, client_id=None):
    body = {"text": text}
    if client_id is not None:
        body["clientId"] = client_id
    return user.post(STREAMS + "/%s/messages" % room, body)


def texts(page):
    assert page.status_code == 200, page.text
    return [m["text"] for m in page.json()["items"]]


# --- chat

def test_what_is_said_is_read_back(client, user, host, room):
    reply = say(user, room, "नमस्ते 🙏", "c-1")
    assert reply.status_code == 201, reply.text
    message = reply.json()["message"]
    assert message["user"]["id"] == user.id and message["badge"] == "none"
    assert (message["text"], message["clientId"]) == ("नमस्ते 🙏", "c-1")
    assert say(user, room, "नमस्ते 🙏", "c-1").json() == reply.json()
    assert say(host, room, "welcome").json()["message"]["badge"] == "host"
    page = client.get(STREAMS + "/%s/messages?limit=1" % room)
    assert texts(page) == ["welcome"]
    page = client.get(STREAMS + "/%s/messages?limit=1&after=%s" % (room, page.json()["next"]))
    assert page.json()["items"] == [message] and page.json()["next"] is None
    assert_problem(client.get(STREAMS + "/%s/messages" % NOBODY), 404, "stream.unknown")
    assert_problem(client.get(STREAMS + "/%s/messages?after=x" % room), 422, "cursor.invalid")


def test_the_same_message_at_once(server, user, room):
    def again(client):
        client.token = user.token
        return say(client, room, "once", "c-1")

    replies = at_once(server, [again] * 6)
    assert {r.status_code for r in replies} == {201}
    assert len({r.json()["message"]["id"] for r in replies}) == 1
    assert texts(user.get(STREAMS + "/%s/messages" % room)) == ["once"]


@pytest.mark.parametrize("body", [{}, {"text": ""}, {"text": " "}, {"text": 1}, {"text": None},
                                  {"text": "x" * 501}, {"text": "a\u202eb"}, {"text": "a\x07"},
                                  {"text": "x", "clientId": ""}, {"text": "x", "clientId": 7},
                                  {"text": "x", "clientId": "y" * 65}])
def test_what_cannot_be_said(user, room, body):
    assert_problem(user.post(STREAMS + "/%s/messages" % room, body), 422, "input.invalid")


def test_who_may_not_speak(client, users, host, room):
    assert_problem(say(client, room, "x"), 401, "auth.required")
    young = users.make(birthDate="2020-02-02")
    if "birthDate" not in young.get("/api/v1/users/me").json():
        assert young.patch("/api/v1/users/me", {"birthDate": "2020-02-02"}).status_code == 200
    assert_problem(say(young, room, "x"), 403, "user.underage")
    blocked = users.make()
    assert host.put("/api/v1/users/%s/block" % blocked.id).status_code == 204
    assert_problem(say(blocked, room, "x"), 403, "user.blocked")
    assert_problem(say(host, NOBODY, "x"), 404, "stream.unknown")
    planned = users.make()
    plan = planned.post(STREAMS, {"title": "Later"}).json()["id"]
    assert_problem(say(planned, plan, "x"), 409, "stream.state")
    assert_problem(say(host, plan, "x"), 404, "stream.unknown")
    assert host.post(STREAMS + "/%s/end" % room).status_code == 200
    assert_problem(say(host, room, "x"), 410, "stream.ended")


def test_taking_a_message_back(users, user, host, room):
    mine = say(user, room, "mine").json()["message"]["id"]
    other = users.make()
    path = STREAMS + "/%s/messages/%s" % (room, mine)
    assert_problem(other.delete(path), 403, "forbidden")
    assert_problem(user.delete(STREAMS + "/%s/messages/%s" % (room, NOBODY)), 404,
                   "message.unknown")
    assert_problem(user.delete(STREAMS + "/%s/messages/x" % room), 404, "message.unknown")
    for _ in range(2):
        assert user.delete(path).status_code == 204
    assert texts(other.get(STREAMS + "/%s/messages" % room)) == []


# --- running a room

def test_the_rules_of_a_room(client, users, user, host, room):
    path = STREAMS + "/%s/room" % room
    state = client.get(path).json()
    assert state.pop("throne")["isTaken"] is False
    assert state == {"rules": {"streamId": room, "slowModeSec": 0, "followersOnly": False,
                               "ogLevelMin": 0, "linksOff": False}, "pinned": None, "badge": "none"}
    assert_problem(user.patch(path, {"slowModeSec": 5}), 403, "forbidden")
    for wrong in ({"slowModeSec": -1}, {"slowModeSec": 3601}, {"followersOnly": 1},
                  {"ogLevelMin": 6}, {"linksOff": "yes"}):
        assert_problem(host.patch(path, wrong), 422, "input.invalid")
    rules = host.patch(STREAMS + "/%s/room" % room, {"followersOnly": True}).json()
    assert rules["followersOnly"] is True and rules["slowModeSec"] == 0
    assert_problem(say(user, room, "x"), 403, "room.followers_only")
    assert user.put("/api/v1/users/%s/follow" % host.id).status_code == 200
    assert say(user, room, "x").status_code == 201
    host.patch(path, {"followersOnly": False, "ogLevelMin": 1})
    assert_problem(say(user, room, "x"), 403, "room.og_only")
    host.patch(path, {"ogLevelMin": 0, "linksOff": True})
    assert_problem(say(user, room, "see https://x.example"), 403, "room.links_off")
    host.patch(path, {"linksOff": False, "slowModeSec": 60})
    assert say(user, room, "one").status_code == 201
    reply = say(user, room, "two")
    assert_problem(reply, 429, "room.slow")
    assert 1 <= int(reply.headers["Retry-After"]) <= 60
    assert say(host, room, "a").status_code == say(host, room, "b").status_code == 201
    assert_problem(client.patch(path, {}), 401, "auth.required")


def test_a_pinned_message(client, user, host, room):
    message = say(user, room, "on top").json()["message"]
    path = STREAMS + "/%s/pin" % room
    assert_problem(user.put(path, {"messageId": message["id"]}), 403, "forbidden")
    assert_problem(host.put(path, {"messageId": NOBODY}), 404, "message.unknown")
    assert host.put(STREAMS + "/%s/pin" % room, {"messageId": message["id"]}).json() == {
        "streamId": room, "message": message}
    assert client.get(STREAMS + "/%s/room" % room).json()["pinned"] == message
    assert host.delete(STREAMS + "/%s/pin" % room).status_code == 204
    assert client.get(STREAMS + "/%s/room" % room).json()["pinned"] is None


def test_moderators(client, users, user, host, room):
    one = STREAMS + "/%s/moderators/%s" % (room, user.id)
    assert_problem(user.put(one), 403, "forbidden")
    for _ in range(2):
        assert host.put(one).status_code == 204
    assert [u["id"] for u in client.get(STREAMS + "/%s/moderators" % room).json()["items"]] == [user.id]
    assert user.get(STREAMS + "/%s/room" % room).json()["badge"] == "moderator"
    spoken = say(users.make(), room, "x").json()["message"]["id"]
    assert user.delete(STREAMS + "/%s/messages/%s" % (room, spoken)).status_code == 204
    assert_problem(host.put(STREAMS + "/%s/moderators/%s" % (room, host.id)), 422, "user.self")
    assert_problem(host.put(STREAMS + "/%s/moderators/%s" % (room, NOBODY)), 404, "user.unknown")
    for _ in range(2):
        assert host.delete(STREAMS + "/%s/moderators/%s" % (room, user.id)).status_code == 204
    assert client.get(STREAMS + "/%s/moderators" % room).json()["items"] == []


def test_restraints(client, users, user, host, room):
    path = STREAMS + "/%s/restraints/%s" % (room, user.id)
    assert_problem(users.make().put(path, {"action": "mute"}), 403, "forbidden")
    assert_problem(host.put(path, {"action": "ban"}), 422, "input.invalid")
    assert_problem(host.put(path, {"action": "timeout", "seconds": 0}), 422, "input.invalid")
    view = host.put(path, {"action": "timeout", "seconds": 60, "reason": "loud"}).json()
    assert view["userId"] == user.id and view["reason"] == "loud" and view["mutedUntil"]
    reply = say(user, room, "x")
    assert_problem(reply, 403, "room.muted")
    assert host.put(path, {"action": "mute"}).json()["mutedUntil"].startswith("9999-")
    assert_problem(say(user, room, "x"), 403, "room.muted")
    assert [r["userId"] for r in host.get(STREAMS + "/%s/restraints" % room).json()["items"]] \
        == [user.id]
    assert_problem(user.get(STREAMS + "/%s/restraints" % room), 403, "forbidden")
    assert_problem(user.delete(path), 403, "forbidden")
    for _ in range(2):
        assert host.delete(STREAMS + "/%s/restraints/%s" % (room, user.id)).status_code == 204
    assert user.post(STREAMS + "/%s/join" % room).status_code == 200
    assert host.put(path, {"action": "kick"}).status_code == 200
    assert client.get(STREAMS + "/%s" % room).json()["viewers"] == 0
    assert_problem(user.post(STREAMS + "/%s/join" % room), 403, "room.kicked")
    assert host.delete(path).status_code == 204
    assert host.put(path, {"action": "shadow_mute"}).json()["isShadowMuted"] is True
    assert say(user, room, "hidden").status_code == 201
    assert texts(user.get(STREAMS + "/%s/messages" % room)) == ["hidden"]
    assert texts(client.get(STREAMS + "/%s/messages" % room)) == []
    assert_problem(host.put(STREAMS + "/%s/restraints/%s" % (room, host.id), {"action": "mute"}),
                   422, "user.self")


def test_words_that_are_not_taken(client, users, user, host, room):
    path = STREAMS + "/%s/words" % room
    assert_problem(user.put(path, {"word": "spoiler"}), 403, "forbidden")
    assert_problem(client.put(path, {"word": "spoiler"}), 401, "auth.required")
    for wrong in ({}, {"word": ""}, {"word": "!"}, {"word": "ab", "match": "inside"},
                  {"word": "x", "action": "ban"}, {"word": "x" * 61},
                  {"word": "x", "except": ["y" * 241]}):
        assert_problem(host.put(path, wrong), 422, "input.invalid")
    entry = host.put(STREAMS + "/%s/words" % room, {"word": "Spoiler"}).json()
    assert (entry["action"], entry["match"], entry["byId"]) == ("refuse", "word", host.id)
    assert_problem(say(user, room, "a SP0ILER"), 403, "room.words")
    assert say(user, room, "spoilers").status_code == say(host, room, "spoiler").status_code == 201
    again = host.put(path, {"word": "sp\u00f6iler", "action": "mask", "match": "prefix"}).json()
    assert again["id"] == entry["id"] and again["action"] == "mask"
    assert say(user, room, "two spoilers").json()["message"]["text"] == "two *******s"
    assert users.make().get(STREAMS + "/%s/messages?limit=1" % room).json()["items"][0]["text"] \
        == "two *******s"
    assert host.put(path, {"word": "मुजी", "language": "ne", "action": "shadow"}).status_code == 200
    assert say(user, room, "मुजिले").status_code == 201
    assert texts(user.get(STREAMS + "/%s/messages?limit=1" % room)) == ["मुजिले"]
    assert "मुजिले" not in texts(client.get(STREAMS + "/%s/messages" % room))
    assert host.put(STREAMS + "/%s/moderators/%s" % (room, user.id)).status_code == 204
    assert len(user.get(STREAMS + "/%s/words" % room).json()["items"]) == 2
    assert_problem(users.make().get(path), 403, "forbidden")
    assert user.delete(STREAMS + "/%s/words/%s" % (room, entry["id"])).status_code == 204
    assert_problem(user.delete(STREAMS + "/%s/words/x" % room), 404, "word.unknown")


def test_words_of_the_site(make_server):
    server = make_server(settings={"HaloBuzzAuthStaffTOTP": "off"})
    users = Users(server)
    host, keeper = users.make(), users.make(username="keeper", email_address="keeper@halobuzz.test")
    room = host.post(STREAMS, {"title": "Songs"}).json()["id"]
    assert host.post(STREAMS + "/%s/start" % room).status_code == 200
    assert_problem(host.put("/api/v1/moderation/words", {"word": "muji"}), 403, "role.required")
    ctl(server, "user", "role", "keeper", "moderator")
    keeper.login()
    entry = keeper.put("/api/v1/moderation/words", {"word": "muji", "language": "ne"}).json()
    assert_problem(say(host, room, "Moojee!"), 403, "room.words")
    assert [w["id"] for w in keeper.get("/api/v1/moderation/words").json()["items"]] == [entry["id"]]
    assert_problem(host.get("/api/v1/moderation/words"), 403, "role.required")
    assert keeper.delete("/api/v1/moderation/words/%s" % entry["id"]).status_code == 204
    assert_problem(keeper.delete("/api/v1/moderation/words/%s" % NOBODY), 404, "word.unknown")
    assert say(host, room, "Moojee!").status_code == 201


def test_reactions(client, user, host, room):
    for kind in ("heart", "fire"):
        assert user.post(STREAMS + "/%s/reactions" % room, {"kind": kind}).status_code == 204
    path = STREAMS + "/%s/reactions" % room
    assert_problem(user.post(path, {"kind": "frown"}), 422, "input.invalid")
    assert_problem(user.post(path, {}), 422, "input.invalid")
    assert_problem(client.post(path, {"kind": "heart"}), 401, "auth.required")
    assert host.put(STREAMS + "/%s/restraints/%s" % (room, user.id), {"action": "mute"}).status_code == 200
    assert_problem(user.post(path, {"kind": "heart"}), 403, "room.muted")


# --- direct messages

def test_the_inbox(client, users):
    one, other = users.make(), users.make()
    path = INBOX + "/%s/messages" % other.id
    reply = one.post(path, {"text": "hi", "clientId": "c-1"})
    assert reply.status_code == 201, reply.text
    assert reply.json()["message"]["toId"] == other.id
    assert one.post(path, {"text": "hi", "clientId": "c-1"}).json() == reply.json()
    assert one.post(path, {"text": "there"}).status_code == 201
    assert other.get(INBOX + "/unread").json() == {"messages": 2, "conversations": 1}
    box = other.get(INBOX).json()["items"]
    assert [(c["peer"]["id"], c["unread"], c["lastText"]) for c in box] == [(one.id, 2, "there")]
    page = other.get(INBOX + "/%s/messages" % one.id)
    assert texts(page) == ["there", "hi"]
    assert other.post(INBOX + "/%s/read" % one.id).json()["peerId"] == one.id
    assert other.get(INBOX + "/unread").json() == {"messages": 0, "conversations": 0}
    assert one.get(INBOX).json()["items"][0]["unread"] == 0
    assert_problem(one.post(INBOX + "/%s/messages" % NOBODY, {"text": "x"}), 404, "user.unknown")
    assert_problem(one.post(INBOX + "/%s/messages" % one.id, {"text": "x"}), 422, "user.self")
    assert_problem(one.post(INBOX + "/%s/read" % NOBODY), 404, "user.unknown")
    assert_problem(one.get(INBOX + "/x/messages"), 404, "user.unknown")
    assert one.put("/api/v1/users/%s/block" % other.id).status_code == 204
    assert_problem(other.post(INBOX + "/%s/messages" % one.id, {"text": "x"}), 404, "user.unknown")
    assert_problem(one.post(path, {"text": "x"}), 403, "user.blocked")
    assert one.get(INBOX).json()["items"] == []
    for call in (client.get(INBOX), client.get(INBOX + "/unread"),
                 client.post(path, {"text": "x"})):
        assert_problem(call, 401, "auth.required")


def test_counts_are_exact_under_load(server, users):
    star = users.make()
    fans = [users.make() for _ in range(4)]

    def write(client, i):
        client.token = fans[i % 4].token
        return client.post(INBOX + "/%s/messages" % star.id, {"text": "m%d" % i})

    replies = at_once(server, [lambda client, i=i: write(client, i) for i in range(12)])
    assert {r.status_code for r in replies} == {201}
    assert star.get(INBOX + "/unread").json() == {"messages": 12, "conversations": 4}


def test_a_limit_of_one_person(make_server):
    server = make_server(settings={"HaloBuzzChatPerMinute": "3"})
    users = Users(server)
    host = users.make()
    room = host.post(STREAMS, {"title": "Songs"}).json()["id"]
    assert host.post(STREAMS + "/%s/start" % room).status_code == 200
    assert [say(host, room, "x").status_code for _ in range(4)] == [201, 201, 201, 429]
    assert_problem(host.post(INBOX + "/%s/messages" % users.make().id, {"text": "x"}), 429,
                   "rate.limited")
    text = Client(server).get("/api/v1/monitoring/metrics").text
    assert 'halobuzz_chat_messages_total{place="room"} 3' in text
    assert 'halobuzz_bus_events_total{result="published"}' in text
