# SPDX-License-Identifier: Apache-2.0
"""RFC 6455: frames, fragments, UTF-8, close codes, sizes; Engine.IO on top of it."""

import struct
import time

import pytest

from hb_engine import EIO, PING_SEC, PONG_SEC, frame

ECHO = "/ws-echo"
EIO_WS = EIO + "&transport=websocket"


@pytest.fixture
def echo(server):
    return server.ws(ECHO)


@pytest.fixture
def eio(server):
    ws = server.ws(EIO_WS)
    assert ws.get()[0] == "0"
    return ws


@pytest.mark.parametrize("size", (0, 1, 125, 126, 127, 65535, 65536, 200000, 16 * 1024 * 1024))
@pytest.mark.parametrize("kind", (str, bytes))
def test_echo(echo, size, kind):
    message = ("\u20ac" * (size // 3) + "x" * (size % 3)) if kind is str else bytes(size)
    echo.put(message)
    assert echo.get() == message


def test_not_larger(echo):
    echo.send(frame(b"", opcode=2, size=16 * 1024 * 1024 + 1))
    echo.expect_close(1009)


def test_not_larger_in_fragments(echo):
    echo.put(bytes(9 * 1024 * 1024), fin=False)
    echo.send(frame(b"", opcode=0, size=8 * 1024 * 1024))
    echo.expect_close(1009)


def test_fragments(echo):
    echo.put("one ", fin=False)
    echo.put("", opcode=0, fin=False)
    echo.put(b"hi", opcode=9)
    echo.put("two \u20ac"[:4], opcode=0, fin=False)
    # A character may be cut in two.
    euro = "\u20ac".encode()
    echo.put(euro[:1], opcode=0, fin=False)
    echo.put(euro[1:], opcode=0)
    assert echo.get() == ("pong", b"hi")
    assert echo.get() == "one two \u20ac"
    echo.put("next")
    assert echo.get() == "next"


def test_byte_by_byte(echo):
    for byte in frame("hello") + frame(b"x" * 200, opcode=2):
        echo.send(bytes([byte]))
    assert echo.get() == "hello"
    assert echo.get() == b"x" * 200


@pytest.mark.parametrize("size", (0, 125))
def test_pings_are_answered(echo, size):
    echo.put(b"p" * size, opcode=9)
    assert echo.get() == ("pong", b"p" * size)


def test_pongs_are_ignored(echo):
    echo.put(b"what", opcode=10)
    echo.put("x")
    assert echo.get() == "x"


@pytest.mark.parametrize("label, data", (
    ("not masked", frame("x", mask=None)),
    ("reserved bit", frame("x", rsv=4)),
    ("unknown opcode", frame("x", opcode=3)),
    ("unknown control opcode", frame("x", opcode=11)),
    ("control in fragments", frame("x", opcode=9, fin=False)),
    ("long control", frame("x" * 126, opcode=9)),
    ("continuation of nothing", frame("x", opcode=0)),
    ("text within fragments", frame("x", fin=False) + frame("y")),
    ("length longer than needed", b"\x81\xfe\x00\x01abcdx"),
    ("top bit of the length", b"\x81\xff\xff" + bytes(7) + b"abcd"),
))
def test_frames_no_client_may_send(echo, label, data):
    echo.send(data)
    echo.expect_close(1002)


@pytest.mark.parametrize("data", (b"\xff", b"a\xc3", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80"))
def test_text_that_is_not_utf8(echo, data):
    echo.put(data, opcode=1)
    echo.expect_close(1007)


def test_text_that_is_not_utf8_over_fragments(echo):
    echo.put(b"\xe2\x82", opcode=1, fin=False)
    echo.put(b"x", opcode=0)
    echo.expect_close(1007)


@pytest.mark.parametrize("payload, code", (
    (b"", 1005), (struct.pack(">H", 1000), 1000), (struct.pack(">H", 1001) + b"bye", 1001),
    (struct.pack(">H", 4999), 4999), (b"\x03", 1002), (struct.pack(">H", 1005), 1002),
    (struct.pack(">H", 1004), 1002), (struct.pack(">H", 999), 1002),
    (struct.pack(">H", 5000), 1002), (struct.pack(">H", 1000) + b"\xff", 1007),
))
def test_close_is_answered(echo, payload, code):
    echo.put(payload, opcode=8)
    assert echo.get() is None
    assert echo.code == code
    assert echo.is_closed()


def test_nothing_after_close(echo):
    echo.send(frame(b"", opcode=8) + frame("x"))
    assert echo.get() is None
    assert echo.is_closed()


def test_pipelined_with_the_handshake(server):
    line = server.ws(ECHO, handshake=False)
    line.send("GET /ws-echo HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
              .encode() + frame("early"))
    assert line.head()[0] == 101
    assert line.get() == "early"


def test_only_websockets_come_to_the_plain_door(server):
    assert server.get(ECHO).status == 426
    assert server.post(ECHO, "x").status == 405


# --- Engine.IO on it


def test_eio_echo(eio):
    eio.put("4hello")
    assert eio.get() == "4hello"
    eio.put(b"\x01\x02\x03")
    assert eio.get() == b"\x01\x02\x03"
    eio.put(b"")
    assert eio.get() == b""


def test_binary_in_base64(server, eio):
    eio.put("bAQIDBA==")
    assert eio.get() == b"\x01\x02\x03\x04"
    ws = server.ws(EIO_WS + "&b64=1")
    assert ws.get()[0] == "0"
    ws.put(b"\x01\x02\x03\x04")
    assert ws.get() == "bAQIDBA=="


@pytest.mark.parametrize("packet", ("abc", "", "7", "b*", "2", "2probe"))
def test_invalid_packets(eio, packet):
    eio.put(packet)
    eio.expect_close(1005)


@pytest.mark.parametrize("packet", ("0", "5", "6", "3"))
def test_ignored_packets(eio, packet):
    eio.put(packet)
    eio.put("4x")
    assert eio.get() == "4x"


def test_close_packet(eio):
    eio.put("1")
    eio.expect_close(1005)


def test_max_payload(eio):
    eio.put("4" + "x" * 999999)
    assert len(eio.get_but_pings()) == 1000000
    eio.send(frame("4" + "x" * 1000000))
    eio.expect_close(1009)


def test_heartbeat(eio):
    for _ in range(4):
        begin = time.monotonic()
        assert eio.get() == "2"
        assert time.monotonic() - begin > PING_SEC * 0.8
        eio.put("3")


def test_no_pong(eio):
    begin = time.monotonic()
    assert eio.get() == "2"
    eio.expect_close(1005)
    assert time.monotonic() - begin > (PING_SEC + PONG_SEC) * 0.9


def test_data_is_no_pong(eio):
    assert eio.get() == "2"
    for _ in range(5):
        eio.put("4x")
        time.sleep(PONG_SEC / 4)
    eio.expect_close(1005)
