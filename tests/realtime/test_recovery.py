# SPDX-License-Identifier: Apache-2.0
"""Coming back: exactly what was missed, or told that it cannot be."""

import contextlib
import json
import sqlite3
import time

import pytest

from hb_httpd import STORE
from hb_live import ctl
from hb_socketio import Refused, Socket


def say_over_http(live, text):
    reply = live.host.post("/api/v1/streams/%s/messages" % live.id, json={"text": text})
    assert reply.status_code == 201, reply.text


def back(server, user, old):
    return Socket(server, user.token, pid=old.pid, offset=old.offset)


def test_exactly_what_was_missed(server, live, users):
    user = users.make()
    old = Socket(server, user.token, join=live.id)
    say_over_http(live, "one")
    old.wait_text("one")
    old.cut()
    say_over_http(live, "two")
    say_over_http(live, "three")
    new = back(server, user, old)
    assert new.recovered and new.sid == old.sid
    new.wait_text("three")
    assert new.texts() == ["two", "three"]
    # It sits in its room again.
    say_over_http(live, "four")
    new.wait_text("four")
    assert new.texts() == ["two", "three", "four"]
    assert live.viewers() == 1


@pytest.mark.skipif(bool(STORE), reason="writes a record into the file")
def test_kept_and_not_told_it_is_told_when_it_is_said_again(make_server, make_live_on,
                                                            make_users, claims):
    """A process was killed between the two; then the sidecar was, and knows it all the same."""
    claims("~realtime", "HB02002")      # 503 for who comes as it dies
    server = make_server()
    live, users = make_live_on(server), make_users(server)
    listener, speaker = users.make(), users.make()
    ear = Socket(server, listener.token, join=live.id)
    mouth = Socket(server, speaker.token, join=live.id)
    first = mouth.say(live.id, "first", clientId="c-1")
    ear.wait_text("first")
    again = first["id"][:-4] + "ffff"
    with contextlib.closing(sqlite3.connect(server.state + "/halobuzz.db", timeout=5)) as db, db:
        kept = json.loads(db.execute("SELECT doc FROM messages WHERE id=?",
                                     (first["id"],)).fetchone()[0])
        kept.update(text="second", clientId="c-2",
                    clientKey=kept["clientKey"].replace("c-1", "c-2"),
                    createdAt=int(time.time() * 1000))
        db.execute('INSERT INTO messages(id, "$.streamId", "$.createdAt", "$.userId", "$.clientKey", '
                   'doc) VALUES (?, ?, ?, ?, ?, ?)',
                   (again, kept["streamId"], kept["createdAt"], kept["userId"],
                    kept["clientKey"], json.dumps(kept)))
    for _ in range(3):
        assert mouth.say(live.id, "second", clientId="c-2")["id"] == again
    mouth.say(live.id, "third")
    ear.wait_text("third")
    assert ear.texts() == ["first", "second", "third"]
    server.kill_sidecar()
    server.wait_sidecar()
    ear = back(server, listener, ear)
    mouth = back(server, speaker, mouth)
    assert ear.recovered and mouth.recovered
    assert mouth.say(live.id, "second", clientId="c-2")["id"] == again
    mouth.say(live.id, "fourth")
    ear.wait_text("fourth")
    assert ear.texts() == ["fourth"]


def test_who_heard_nothing_yet_has_no_offset(server, live, users):
    user = users.make()
    say_over_http(live, "before")
    old = Socket(server, user.token, join=live.id)
    assert old.offset is None
    old.cut()
    say_over_http(live, "meanwhile")
    new = back(server, user, old)
    assert new.recovered
    new.wait_text("meanwhile")
    assert new.texts() == ["meanwhile"]


def test_what_was_said_before_the_join_is_not_told(server, live, make_live, users):
    user = users.make()
    other = make_live()
    old = Socket(server, user.token, join=other.id)
    say_over_http(other, "in the other room")
    old.wait_text("in the other room")
    say_over_http(live, "long before")
    old.join(live.id)
    old.cut()
    new = back(server, user, old)
    assert new.recovered
    say_over_http(live, "now")
    new.wait_text("now")
    assert new.texts() == ["now"]


def test_a_gift_is_not_missed(server, live, users, rich):
    user = users.make()
    old = Socket(server, user.token, join=live.id)
    say_over_http(live, "x")
    old.wait_text("x")
    old.cut()
    giver, gift = rich()
    giver.post("/api/v1/streams/%s/gifts" % live.id, headers={"Idempotency-Key": "k"},
               json={"giftId": gift["id"], "quantity": 1})
    new = back(server, user, old)
    assert new.recovered
    assert new.wait("gift:sent")["sender"]["username"] == giver.username


def test_only_once_and_only_its_owner(server, live, users):
    user = users.make()
    old = Socket(server, user.token, join=live.id)
    old.cut()
    assert not back(server, users.make(), old).recovered
    assert back(server, user, old).recovered
    # The first one is cut off by the second: nobody noticed yet that it was gone.
    again = back(server, user, old)
    assert again.recovered


def test_the_old_connection_is_ended_when_the_new_one_comes(server, live, users):
    user = users.make()
    old = Socket(server, user.token, join=live.id)
    new = back(server, user, old)
    assert new.recovered
    old.inbox.wait_closed()
    say_over_http(live, "one of us")
    new.wait_text("one of us")
    assert live.viewers() == 1


@pytest.mark.parametrize("pid, offset", (
    ("x", "1"), ("x" * 200, "1"), ("", ""), (None, "x"), (None, "99999999999999"),
    (None, "-1"), (None, "1e3")))
def test_what_cannot_be_known_is_told(server, live, users, pid, offset):
    user = users.make()
    old = Socket(server, user.token, join=live.id)
    old.cut()
    new = Socket(server, user.token, pid=pid if pid is not None else old.pid, offset=offset)
    assert not new.recovered
    say_over_http(live, "not in the room")
    assert new.join(live.id)["messages"][-1]["text"] == "not in the room"


def test_a_client_that_left_is_not_recovered(server, live, users):
    user = users.make()
    old = Socket(server, user.token, join=live.id)
    old.leave()
    time.sleep(0.3)
    assert not back(server, user, old).recovered


def test_too_much_was_missed(make_server, make_users, make_live_on):
    server = make_server(settings={"HaloBuzzRealtimeHistory": "10"})
    users = make_users(server)
    live = make_live_on(server)
    user = users.make()
    old = Socket(server, user.token, join=live.id)
    say_over_http(live, "seen")
    old.wait_text("seen")
    old.cut()
    for i in range(12):
        say_over_http(live, "missed %d" % i)
    assert not back(server, user, old).recovered


def test_too_late(make_server, make_users, make_live_on):
    server = make_server(settings={"HaloBuzzRealtimeRecovery": "1s"})
    live = make_live_on(server)
    user = make_users(server).make()
    old = Socket(server, user.token, join=live.id)
    old.cut()
    time.sleep(1.5)
    assert not back(server, user, old).recovered


def test_viewers_who_do_not_come_back_are_gone(make_server, make_users, make_live_on):
    server = make_server(settings={"HaloBuzzRealtimeViewerGrace": "1s"})
    live = make_live_on(server)
    user = make_users(server).make()
    host = Socket(server, live.host.token, join=live.id)
    Socket(server, user.token, join=live.id).cut()
    assert live.viewers() == 1
    host.wait("presence:update", lambda p: p["viewers"] == 0)
    assert live.viewers() == 0


def test_join_with_an_offset(server, live, users):
    user = users.make()
    a = Socket(server, user.token)
    first = a.join(live.id)
    say_over_http(live, "one")
    a.wait_text("one")
    offset = a.offset
    a.leave()
    say_over_http(live, "two")
    b = Socket(server, user.token)
    answer = b.join(live.id, offset=offset, epoch=first["epoch"])
    assert answer["recovered"] is True
    b.wait_text("two")
    assert b.texts() == ["two"]
    c = Socket(server, user.token)
    assert c.join(live.id, offset=offset, epoch="0" * 16)["recovered"] is False


# --- the end of the program

def test_kill_of_the_sidecar(server, live, users, claims):
    claims("~realtime", "HB02002")      # 503 for who comes as it dies
    people = [users.make() for _ in range(5)]
    old = [Socket(server, p.token, join=live.id) for p in people]
    say_over_http(live, "seen by all")
    for one in old:
        one.wait_text("seen by all")
    server.kill_sidecar()
    for i in range(3):                  # nobody is there to hear it
        say_over_http(live, "missed %d" % i)
    for one in old:
        one.inbox.wait_closed()
    server.wait_sidecar()
    new = [back(server, p, o) for p, o in zip(people, old)]
    for one in new:
        assert one.recovered
        one.wait_text("missed 2")
        assert one.texts() == ["missed 0", "missed 1", "missed 2"]
    assert live.viewers() == 5
    new[0].say(live.id, "and on it goes")
    for one in new:
        one.wait_text("and on it goes")


# --- rights that end

def test_log_out_reaches_open_sockets(server, live, users):
    user = users.make()
    socket = Socket(server, user.token, join=live.id)
    started = time.monotonic()
    assert user.post("/api/v1/auth/logout").status_code == 204
    socket.wait_disconnected()
    assert time.monotonic() - started < 1
    why = socket.wait_closing()
    assert why["code"] == 4001
    with pytest.raises(Refused) as problem:
        back(server, user, socket)
    assert problem.value.data["code"] == "token.revoked"


def test_log_out_of_another_device_does_not(server, users):
    user = users.make()
    first = Socket(server, user.token)
    user.login()
    second = Socket(server, user.token)
    assert user.post("/api/v1/auth/logout").status_code == 204
    second.wait_disconnected()
    time.sleep(0.3)
    assert first.inbox.closed is None


def test_a_ban_by_the_operator(server, live, users):
    """From a process with a cache of its own; it reaches sockets and requests alike."""
    user = users.make()
    socket = Socket(server, user.token, join=live.id)
    ctl(server, "user", "disable", user.username)
    ended = time.monotonic()
    socket.wait_disconnected()
    assert time.monotonic() - ended < 1
    assert socket.wait_closing()["code"] in (4001, 4003)
    with pytest.raises(Refused):
        Socket(server, user.token)


def test_a_change_of_role_does_not_end_a_connection(server, live, users):
    user = users.make()
    socket = Socket(server, user.token, join=live.id)
    host = Socket(server, live.host.token, join=live.id)
    ctl(server, "user", "role", user.username, "support")
    time.sleep(1)
    host.say(live.id, "still there?")
    socket.wait_text("still there?")
    assert socket.call("chat:new", {"streamId": live.id, "text": "yes"})["ok"]


def test_a_deleted_account(server, live, users):
    user = users.make()
    socket = Socket(server, user.token, join=live.id)
    started = time.monotonic()
    reply = user.delete("/api/v1/users/me", json={"password": user.password})
    assert reply.status_code in (200, 204), reply.text
    socket.wait_disconnected()
    assert time.monotonic() - started < 1.5


def test_a_token_that_expires(make_server, make_users, make_live_on):
    server = make_server(settings={"HaloBuzzAuthTokenTTL": "30s"})
    live = make_live_on(server)
    user = make_users(server).make()
    socket = Socket(server, user.token, join=live.id)
    time.sleep(25)
    kept = Socket(server, user.token, join=live.id)
    grant = user.post("/api/v1/auth/refresh", json={"refreshToken": user.refresh_token}).json()
    assert kept.call("auth:refresh", {"token": grant["accessToken"]})["ok"]
    socket.wait_disconnected(timeout=15)
    assert socket.wait_closing()["code"] == 4001
    time.sleep(2)
    assert kept.call("chat:new", {"streamId": live.id, "text": "still here"})["ok"]


test_a_token_that_expires = pytest.mark.slow(test_a_token_that_expires)


def test_a_token_of_somebody_else_does_not_pass(server, users):
    socket = Socket(server, users.make().token)
    answer = socket.call("auth:refresh", {"token": users.make().token})
    assert answer["error"]["code"] == "forbidden"
