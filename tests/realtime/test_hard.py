# SPDX-License-Identifier: Apache-2.0
"""Readers that do not read, callers that do not stop, many at once."""

import json
import socket
import struct
import threading
import time

import pytest
import requests

import hb_socket                        # shows every byte
from hb_client import Client
from hb_realtime import metrics, wait_for
from hb_socketio import Socket, ws_open

WIDE = "\U0001F3B5" * 500               # 2000 bytes


def http_say(live, text):
    reply = live.host.post("/api/v1/streams/%s/messages" % live.id, json={"text": text})
    assert reply.status_code == 201, reply.text


@pytest.mark.slow
def test_a_reader_that_does_not_read_is_cut(make_server, make_users, make_live_on):
    """Others hear everything at once; the slow one is cut, comes back, and misses nothing or is
    told that it does."""
    server = make_server(settings={"HaloBuzzRealtimeQueue": "64K",
                                   "HaloBuzzChatPerMinute": "100000"}, tls=True)
    live, users = make_live_on(server), make_users(server)
    user = users.make()
    quick = Socket(server, users.make().token, join=live.id)
    slow = Socket(server, user.token, join=live.id)
    http_say(live, "seen")
    slow.wait_text("seen")
    slow.pause()
    sent = 0
    started = time.monotonic()
    while server.status()["gone"]["SLOW_READER"] == 0:
        assert time.monotonic() - started < 60, "nobody was cut"
        for _ in range(50):
            http_say(live, "%d %s" % (sent, WIDE[:495]))
            sent += 1
    quick.wait("chat:new", lambda p: p["text"].startswith("%d " % (sent - 1)))
    assert len(quick.texts()) == sent + 1
    slow.go_on()
    slow.inbox.wait_closed()
    heard = slow.texts()
    again = Socket(server, user.token, pid=slow.pid, offset=slow.offset)
    if again.recovered:
        again.wait("chat:new", lambda p: p["text"].startswith("%d " % (sent - 1)))
        assert heard + again.texts() == quick.texts()
    else:
        assert heard == quick.texts()[:len(heard)]


def test_who_does_not_stop_is_closed(server, live, users):
    client = Client(server)
    before = metrics(client)
    socket_ = Socket(server, users.make().token, join=live.id)
    try:
        for _ in range(3000):
            socket_.emit("chat:new", {"streamId": live.id})
    except OSError:
        pass
    socket_.inbox.wait_closed()
    flood, events = 'halobuzz_realtime_cut_total{reason="flood"}', "halobuzz_realtime_events_total"
    wait_for(lambda: metrics(client)[flood] > before[flood])
    now = metrics(client)
    assert now[events] > before[events]
    assert now["halobuzz_realtime_clients"] <= server.status()["accepted"]
    client.close()


@pytest.mark.parametrize("packet", ("40", "40/nowhere"))
def test_a_stranger_who_asks_to_come_in_without_end_is_closed(server, packet):
    """Nobody knows him yet; a POST full of it is answered for a while, and not to its end."""
    path = server.url + "/socket.io/?EIO=4&transport=polling"
    with requests.Session() as session:
        session.trust_env, session.verify = False, server.certificate
        path += "&sid=" + json.loads(session.get(path).text[1:])["sid"]
        before = server.status()["gone"]["FLOOD"]
        body = "\x1e".join([packet] * (900000 // (len(packet) + 1)))
        assert session.post(path, data=body).status_code == 200
        told = session.get(path).text.split("\x1e")
        assert told[-1] == "1" and {p[:2] for p in told[:-1]} == {"44"}
        assert 10 < len(told) < 1000
        assert session.get(path).json()["code"] == 1
    assert server.status()["gone"]["FLOOD"] == before + 1


@pytest.mark.parametrize("text", (
    '42["stream:join",{"streamId":"', '42["stream:join"', "42[]", "42{}", "42[1]", "9", "",
    '421["chat:new",' + "[" * 300 + "]" * 300 + "]", '42["chat:new","\xff"]'))
def test_anything_else_is_closed_or_answered(server, live, users, text):
    """And nobody else notices."""
    other = Socket(server, users.make().token, join=live.id)
    odd = Socket(server, users.make().token)
    odd.ws.send(text)
    other.say(live.id, "fine here")
    other.wait_text("fine here")
    odd.cut()


def wait_for_text(raw, begins):
    """Frames until a text begins so."""
    while True:
        opcode, data = raw.read()
        assert opcode == 1, (opcode, data)
        if data.startswith(begins):
            return data


def test_byte_by_byte(server, live, users):
    """Each byte a TLS record of its own."""
    raw = hb_socket.Socket(server)
    for text, answer in (('40{"token":"%s"}' % users.make().token, b"40{"),
                         ('420["stream:join",{"streamId":"%s"}]' % live.id, b'430[{"ok":true')):
        for byte in hb_socket.frame(text.encode()):
            raw.s.sendall(bytes((byte,)))
        wait_for_text(raw, answer)
    raw.close()


def test_twenty_thousand_messages_at_once(server, live, users):
    """And a call behind them, which is answered; others notice nothing."""
    other = Socket(server, users.make().token, join=live.id)
    raw = hb_socket.Socket(server)
    raw.send(b'40{"token":"%s"}' % users.make().token.encode())
    wait_for_text(raw, b"40{")
    raw.s.sendall(hb_socket.frame(b"3") * 20000 + hb_socket.frame(
        b'420["stream:join",{"streamId":"%s"}]' % live.id.encode()))
    other.say(live.id, "meanwhile")
    assert wait_for_text(raw, b"430[").startswith(b'430[{"ok":true')
    raw.close()


def test_resets(server, live, users):
    """In the middle of a frame, of a call, of what is told."""
    before = server.status()
    people = [users.make() for _ in range(5)]
    for i in range(30):
        raw = hb_socket.Socket(server)
        raw.send(b'40{"token":"%s"}' % people[i % 5].token.encode())
        if i % 3:
            wait_for_text(raw, b"40{")
            raw.send(b'420["stream:join",{"streamId":"%s"}]' % live.id.encode())
        if i % 3 == 2:
            wait_for_text(raw, b"430[")
            raw.send(b'421["chat:new",{"streamId":"%s","text":"gone"}]' % live.id.encode())
        raw.s.sendall(hb_socket.frame(b"422[")[:5])
        raw.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.close()
    until = time.monotonic() + 10
    while any(server.status()[n] > before[n] for n in ("connections", "sessions", "sockets")):
        assert time.monotonic() < until, (before, server.status())
        time.sleep(0.05)
    other = Socket(server, users.make().token, join=live.id)
    other.say(live.id, "nobody is in the way")


def test_large_messages(server, live, users):
    one = Socket(server, users.make().token, join=live.id)
    answer = one.call("chat:new", {"streamId": live.id, "text": "x" * 20000})
    assert answer["error"]["code"] == "body.too_large"
    assert answer["error"]["status"] == 413
    one.say(live.id, "small")
    one.wait_text("small")


def test_a_stranger_may_not_say_much(server):
    """Half of a message is kept until the rest comes: a megabyte of it is for those who are in."""
    ws = ws_open(server, "/socket.io/?EIO=4&transport=websocket")
    assert ws.recv().startswith("0{")
    ws.send('40{"token":"%s"}' % ("x" * 70000))
    opcode, data = ws.recv_data(control_frame=True)
    assert (opcode, data[:2]) == (8, b"\x03\xf1")          # 1009
    ws.close()


def test_many_come_and_go(server, live, users):
    """Counters return to where they were."""
    before = server.status()
    guests = [users.make() for _ in range(10)]
    guests_at_once = []

    def come_and_go(guest):
        for _ in range(5):
            one = Socket(server, guest.token, join=live.id)
            one.leave()

    for guest in guests:
        guests_at_once.append(threading.Thread(target=come_and_go, args=(guest,)))
        guests_at_once[-1].start()
    for thread in guests_at_once:
        thread.join()
    until = time.monotonic() + 10
    while True:
        after = server.status()
        if all(after[name] <= before[name] for name in ("connections", "sessions", "sockets")) \
                and live.viewers() == 0:
            return
        assert time.monotonic() < until, (before, after, live.viewers())
        time.sleep(0.2)
