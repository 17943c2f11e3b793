# SPDX-License-Identifier: Apache-2.0
"""The same rooms without Socket.IO: plain WebSocket and text/event-stream."""

import concurrent.futures
import json
import os
import random
import signal
import socket
import subprocess
import time

import pytest
import websocket

import hb_socket
from hb_client import assert_problem
from hb_socketio import Plain, Socket


class Events:
    """curl that listens to a room."""

    def __init__(self, server, stream_id, token=None, last_id=None, headers=()):
        command = ["curl", "-sSN", "--max-time", "30", "-D", "-",
                   "%s/api/v1/streams/%s/events" % (server.url, stream_id)]
        if server.tls:
            command += ["--cacert", server.certificate]
        if token:
            command += ["-H", "Authorization: Bearer " + token]
        for header in headers:
            command += ["-H", header]
        if last_id:
            command += ["-H", "Last-Event-ID: " + last_id]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.status = int(self.process.stdout.readline().split()[1])
        self.headers = {}
        for line in iter(self.process.stdout.readline, "\n"):
            name, _, value = line.partition(":")
            self.headers[name.lower()] = value.strip()

    def next(self):
        """(event, data, id); comments are passed over."""
        event = {}
        for line in self.process.stdout:
            line = line.rstrip("\n")
            if line == "" and event:
                return event.get("event"), json.loads(event["data"]), event.get("id")
            name, _, value = line.partition(": ")
            if name:
                event[name] = value
        return None

    def wait(self, name):
        while True:
            got = self.next()
            assert got is not None, "the stream ended"
            if got[0] == name:
                return got

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def listen(server):
    made = []

    def start(*args, **more):
        made.append(Events(server, *args, **more))
        return made[-1]

    yield start
    for one in made:
        one.stop()


# --- plain WebSocket

def test_plain_in_the_same_room(server, live, users):
    stock = Socket(server, live.host.token, join=live.id)
    plain = Plain(server, users.make().token)
    ready = plain.wait("ready")["data"]
    assert ready["recovered"] is False and ready["pid"] and len(ready["epoch"]) == 16
    answer = plain.call("stream:join", {"streamId": live.id})
    assert answer["ok"] and answer["stream"]["id"] == live.id
    stock.say(live.id, "to all")
    heard = plain.wait("chat:new")
    assert heard["data"]["text"] == "to all" and heard["offset"].isdigit()
    answer = plain.call("chat:new", {"streamId": live.id, "text": "and back"})
    assert answer["ok"] and answer["message"]["text"] == "and back"
    stock.wait_text("and back")


def test_plain_says_who_it_is_first(server, live, users):
    plain = Plain(server, users.make().token, by_header=False)
    plain.wait("ready")
    assert plain.call("stream:join", {"streamId": live.id})["ok"]
    assert live.viewers() == 1


def test_plain_comes_back(server, live, users):
    user = users.make()
    old = Plain(server, user.token, by_header=False)
    pid = old.wait("ready")["data"]["pid"]
    old.call("stream:join", {"streamId": live.id})
    host = Socket(server, live.host.token, join=live.id)
    host.say(live.id, "one")
    offset = old.wait("chat:new")["offset"]
    old.cut()
    host.say(live.id, "two")
    new = Plain(server, user.token, by_header=False, pid=pid, offset=offset)
    assert new.wait("ready")["data"]["recovered"] is True
    assert new.wait("chat:new")["data"]["text"] == "two"


@pytest.mark.parametrize("message", ("x", "[]", "{}", '{"event":1}', '{"event":"stream:join"}',
                                     '{"event":"auth","data":{}}',
                                     '{"event":"auth","data":{"token":"x"}}'))
def test_plain_without_a_word_who_it_is(server, message):
    plain = Plain(server)
    plain.send(message)
    failed = plain.inbox.wait(lambda items: next((i for i in items if i.get("ok") is False),
                                                 None))
    assert failed["error"]["code"]
    plain.inbox.wait_closed()


def test_plain_with_a_bad_token(server):
    with pytest.raises(websocket.WebSocketBadStatusException) as problem:
        Plain(server, "x")
    assert problem.value.status_code == 401


def test_plain_hears_why_it_is_closed(server, users):
    user = users.make()
    plain = Plain(server, user.token)
    plain.wait("ready")
    user.post("/api/v1/auth/logout")
    assert plain.wait("connection:closing")["data"]["code"] == 4001
    assert plain.inbox.wait_closed() == 4001


def test_plain_unreadable(server, users):
    plain = Plain(server, users.make().token)
    plain.wait("ready")
    plain.send("{not json")
    plain.inbox.wait_closed()


# --- text/event-stream

def test_stream_of_events(server, live, users, listen):
    events = listen(live.id, users.make().token)
    assert events.status == 200
    assert events.headers["content-type"].startswith("text/event-stream")
    name, data, first_id = events.next()
    assert name == "ready" and data["streamId"] == live.id and data["recovered"] is False
    assert live.viewers() == 1
    host = Socket(server, live.host.token, join=live.id)
    host.say(live.id, "one")
    name, data, last_id = events.wait("chat:new")
    assert data["text"] == "one"
    assert last_id.startswith(data_epoch(first_id))
    events.stop()
    host.say(live.id, "two")
    again = listen(live.id, users.make().token, last_id=last_id)
    assert again.next()[1]["recovered"] is True
    assert again.wait("chat:new")[1]["text"] == "two"
    live.host.post("/api/v1/streams/%s/end" % live.id)
    assert again.wait("stream:ended")
    assert again.wait("connection:closing")[1]["code"] == 4010
    assert again.next() is None


def test_stream_tells_all_that_follows_its_first_word(server, live, users, listen):
    """Whoever comes while people talk misses nothing after the offset that "ready" names."""
    ear = Socket(server, users.make().token, join=live.id)
    mouth = Socket(server, live.host.token, join=live.id)
    token, heard = users.make().token, []
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        for n in range(10):             # a person may say 60 a minute
            coming = pool.submit(listen, live.id, token)
            for _ in range(4):
                mouth.say(live.id, "meanwhile")
            events = coming.result()
            mouth.say(live.id, "afterwards %d" % n)
            offset = int(events.wait("ready")[1]["offset"])
            heard.append((offset, events.wait("chat:new")[2].split("-")[1]))
            events.stop()
    ear.wait_text("afterwards 9")
    told = [offset for _, offset in ear.events("chat:new")]
    assert heard == [(after, next(o for o in told if int(o) > after)) for after, _ in heard]


def data_epoch(event_id):
    return event_id.split("-")[0]


@pytest.mark.parametrize("last_id", ("x", "0" * 16 + "-1", "0", "-", "9" * 60))
def test_stream_that_cannot_be_recovered(server, live, users, listen, last_id):
    events = listen(live.id, users.make().token, last_id=last_id)
    assert events.next()[1]["recovered"] is False


def refusal(events):
    """A problem document, as of any other call."""
    assert events.headers["content-type"] == "application/problem+json"
    assert events.headers["cache-control"] == "no-store"
    problem = json.loads(events.process.stdout.read())
    assert (problem["status"], problem["requestId"]) == (events.status, events.headers["x-request-id"])
    assert problem["type"].endswith("/docs/errors#" + problem["code"]) and problem["title"]
    return events.status, problem["code"]


def test_stream_without_a_token(server, live, listen):
    events = listen(live.id)
    assert events.headers["www-authenticate"].startswith("Bearer")
    assert refusal(events) == (401, "auth.required")
    assert refusal(listen(live.id, "nonsense")) == (401, "token.invalid")


def test_stream_of_no_stream(server, users, listen):
    token = users.make().token
    assert refusal(listen("0" * 24, token)) == (404, "stream.unknown")
    assert refusal(listen("nonsense", token)) == (404, "not_found")


def test_plain_needs_a_websocket(server, users):
    reply = users.make().get("/api/v1/realtime")
    assert_problem(reply, 426, "request.refused")


def test_stream_ends_with_the_session(server, live, users, listen):
    user = users.make()
    events = listen(live.id, user.token)
    events.next()
    started = time.monotonic()
    user.post("/api/v1/auth/logout")
    assert events.wait("connection:closing")[1]["code"] == 4001
    assert time.monotonic() - started < 2


# --- as a page does it

def test_who_leaves_as_they_are_let_in(make_server, make_live_on, make_users):
    """The program stands still while they leave, so it hears of both at once; it bears that."""
    server = make_server(settings={"HaloBuzzRealtimeViewerGrace": "1s"})
    live, user, pid = make_live_on(server), make_users(server).make(), server.sidecar()
    doors = ["GET /api/v1/streams/%s/events HTTP/1.1\r\n" % live.id,
             "GET /api/v1/realtime HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"]
    who = "Host: x\r\nX-HaloBuzz-Address: 192.0.2.1\r\nAuthorization: Bearer %s\r\n\r\n" % user.token
    before = server.status()["sessions"]
    for i in range(200):
        ones = [socket.socket(socket.AF_UNIX) for _ in range(8)]
        for one in ones:
            one.connect(os.path.join(server.root, "run", "halobuzz", "realtime.sock"))
            one.sendall((doors[i % 2] + who).encode())
        time.sleep(random.random() * 0.004)
        os.kill(pid, signal.SIGSTOP)
        for one in ones:
            one.close()
        os.kill(pid, signal.SIGCONT)
    until = time.monotonic() + 30
    while server.sidecar() == pid and (server.status()["sessions"] > before or live.viewers()):
        assert time.monotonic() < until, server.status()
        time.sleep(0.05)
    assert server.sidecar() == pid


def test_a_page_signs_in_by_cookie(server, live, users, listen):
    anna = users.make()
    cookie = "Cookie: " + anna.post("/api/v1/auth/cookie").headers["Set-Cookie"].split(";")[0]
    same = listen(live.id, headers=[cookie, "Sec-Fetch-Site: same-origin"])
    assert same.status == 200
    same.wait("ready")
    plain = Plain(server, headers=[cookie])
    assert plain.wait("ready")["data"]["pid"]
    for foreign in ("Sec-Fetch-Site: cross-site", "Origin: https://elsewhere.example"):
        assert listen(live.id, headers=[cookie, foreign]).status == 403
    assert anna.post("/api/v1/auth/logout").status_code == 204
    assert same.wait("connection:closing")[1]["code"] and same.next() is None
    assert listen(live.id, headers=[cookie]).status == 401


# --- blocks

def test_blocks_through_each_door(server, live, users, listen):
    anna, ben = users.make(), users.make()
    plain = Plain(server, anna.token)
    plain.wait("ready")
    assert plain.call("stream:join", {"streamId": live.id})["ok"]
    events = listen(live.id, anna.token)
    events.wait("ready")
    b, host = (Socket(server, who.token, join=live.id) for who in (ben, live.host))
    assert ben.put("/api/v1/users/%s/block" % anna.id).status_code == 204
    b.say(live.id, "unheard")
    host.say(live.id, "heard")
    assert plain.wait("chat:new")["data"]["text"] == "heard"
    _, data, last = events.wait("chat:new")
    assert data["text"] == "heard"
    events.stop()
    b.say(live.id, "unheard again")
    host.say(live.id, "heard again")
    assert listen(live.id, anna.token, last).wait("chat:new")[1]["text"] == "heard again"


# --- compressed messages

def test_deflate_through_httpd(server):
    """What the browser offers reaches the sidecar, and its answer the browser; off, it is declined."""
    is_on = server.status()["loops"] == 3
    ws = hb_socket.Socket(server, "/socket.io/?EIO=4&transport=websocket",
                          headers=["Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"])
    assert ws.status == 101
    assert ("permessage-deflate" in ws.head) == is_on
    opcode, text = ws.read()
    assert opcode == 1 and text.startswith(b"0{")
    ws.s.close()
