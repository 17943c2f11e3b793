# SPDX-License-Identifier: Apache-2.0
"""The order of checks, the six refusals, and the open packet."""

import json

import pytest

from hb_engine import EIO, KEY, PING_SEC, PONG_SEC, SIO

ERRORS = ("Transport unknown", "Session ID unknown", "Bad handshake method", "Bad request",
          "Forbidden", "Unsupported protocol version")


@pytest.mark.parametrize("base", (EIO, SIO))
def test_open_packet_polling(server, base):
    reply = server.get(base + "&transport=polling&t=a1")
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/plain; charset=UTF-8"
    assert reply.headers["cache-control"] == "no-store"
    assert reply.text[0] == "0"
    packet = json.loads(reply.text[1:])
    assert sorted(packet) == ["maxPayload", "pingInterval", "pingTimeout", "sid", "upgrades"]
    assert (packet["pingInterval"], packet["pingTimeout"]) == (PING_SEC * 1000, PONG_SEC * 1000)
    assert packet["maxPayload"] == 1000000
    assert packet["upgrades"] == ["websocket"]
    assert len(packet["sid"]) == 20


@pytest.mark.parametrize("base", (EIO, SIO))
def test_open_packet_websocket(server, base):
    ws = server.ws(base + "&transport=websocket")
    assert ws.status == 101
    assert ws.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    packet = json.loads(ws.get()[1:])
    assert packet["upgrades"] == []


def test_sids_differ(server):
    sids = {json.loads(server.get(EIO + "&transport=polling").text[1:])["sid"]
            for _ in range(20)}
    assert len(sids) == 20


@pytest.mark.parametrize("label, method, path, headers, code", (
    ("no transport", "GET", "/socket.io/?EIO=4", {}, 0),
    ("unknown transport", "GET", "/socket.io/?EIO=4&transport=abc", {}, 0),
    ("transport before all", "POST", "/socket.io/?EIO=3&transport=abc&sid=x", {}, 0),
    ("bad origin", "GET", SIO + "&transport=polling", {"Origin": "http://\x7f"}, None),
    ("unknown sid", "GET", SIO + "&transport=polling&sid=abc", {}, 1),
    ("unknown sid of the right length", "GET", SIO + "&transport=polling&sid=" + "A" * 20, {}, 1),
    ("unknown sid, POST", "POST", SIO + "&transport=polling&sid=abc", {}, 1),
    ("empty sid", "GET", SIO + "&transport=polling&sid=", {}, 1),
    ("sid that is no text", "GET", SIO + "&transport=polling&sid=%ff", {}, 1),
    ("sid that is no text, in disguise", "GET", SIO + "&transport=polling&s%69d=%00&sid=x", {}, 1),
    ("POST without sid", "POST", SIO + "&transport=polling", {}, 2),
    ("PUT without sid", "PUT", SIO + "&transport=polling", {}, 2),
    ("websocket without upgrade", "GET", SIO + "&transport=websocket", {}, 3),
    ("no EIO", "GET", "/socket.io/?transport=polling", {}, 5),
    ("EIO 3", "GET", "/socket.io/?EIO=3&transport=polling", {}, 5),
    ("EIO abc", "GET", "/engine.io/?EIO=abc&transport=polling", {}, 5),
))
def test_refusals(server, label, method, path, headers, code):
    reply = server.ask(method, path, headers=headers)
    assert reply.status == 400
    if code is not None:
        assert reply.headers["content-type"] == "application/json"
        assert reply.text == '{"code":%d,"message":"%s"}' % (code, ERRORS[code])


@pytest.mark.parametrize("path, code", (
    ("/socket.io/?EIO=4&transport=abc", 0),
    (SIO + "&transport=websocket&sid=abc", 1),
    ("/socket.io/?EIO=3&transport=websocket", 5),
    ("/engine.io/?transport=websocket", 5),
    (SIO + "&transport=polling", 3),
))
def test_refused_upgrades(server, path, code):
    line = server.line()
    line.ask("GET", path, headers={"Connection": "Upgrade", "Upgrade": "websocket",
                                   "Sec-WebSocket-Key": KEY, "Sec-WebSocket-Version": "13"})
    reply = line.reply()
    assert reply.status == 400
    assert reply.headers["connection"] == "close"
    assert reply.headers["content-type"] == "text/html"
    assert reply.text == ERRORS[code]
    assert line.is_closed()


@pytest.mark.parametrize("headers", (
    {"Sec-WebSocket-Version": "8", "Sec-WebSocket-Key": KEY},
    {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "short"},
    {"Sec-WebSocket-Version": "13"}, {"Sec-WebSocket-Key": KEY},
))
def test_bad_websocket_handshake(server, headers):
    reply = server.get(SIO + "&transport=websocket", headers={
        "Connection": "Upgrade", "Upgrade": "websocket", **headers})
    assert reply.status == 400


def test_paths(server):
    assert server.get("/socket.io/anything?EIO=4&transport=polling").status == 200
    assert server.get("/socket.io?EIO=4&transport=polling").status == 404
    assert server.get("/").status == 404


def test_a_sid_of_another_path_is_unknown(server):
    sid = server.open_polling(EIO).split("sid=")[1]
    reply = server.get(SIO + "&transport=polling&sid=" + sid)
    assert reply.json()["code"] == 1


def test_query_in_any_order_and_encoded(server):
    reply = server.get("/socket.io/?x=%20&transport=p%6flling&y&EIO=%34")
    assert reply.status == 200


def test_other_methods_of_a_session(server):
    path = server.open_polling()
    reply = server.ask("PUT", path)
    assert (reply.status, reply.body) == (500, b"")


def test_head_too_large(server):
    line = server.line()
    line.send("GET / HTTP/1.1\r\nA: " + "x" * 20000)
    assert line.head()[0] == 431
    assert line.is_closed()


def test_head_byte_by_byte(server):
    line = server.line()
    for c in "GET %s&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n" % EIO:
        line.send(c)
    assert line.reply().status == 200


def test_requests_on_one_connection(server):
    line = server.line()
    line.ask("GET", EIO + "&transport=polling")
    line.ask("GET", "/nope", headers={"Connection": "close"})
    line.ask("GET", EIO + "&transport=polling")
    assert line.reply().status == 200
    assert line.reply().status == 404
    assert line.is_closed()
