# SPDX-License-Identifier: Apache-2.0
"""From polling to WebSocket."""

import time

import pytest

from hb_engine import EIO, PING_SEC, SIO, Line, sid_of


@pytest.fixture
def path(server):
    return server.open_polling()


def probe(server, path):
    ws = server.ws(EIO + "&transport=websocket&sid=" + sid_of(path))
    assert ws.status == 101
    return ws


def upgraded(server, path):
    ws = probe(server, path)
    ws.put("2probe")
    assert ws.get() == "3probe"
    ws.put("5")
    return ws


def test_upgrade(server, path):
    ws = upgraded(server, path)
    ws.put("4hello")
    assert ws.get() == "4hello"
    assert server.get(path).json()["code"] == 3
    assert server.post(path, "4x").json()["code"] == 3


def test_nothing_is_said_before_the_probe(server, path):
    ws = probe(server, path)
    server.post(path, "4x")
    ws.socket.settimeout(0.1)
    with pytest.raises(TimeoutError):
        ws.take(1)
    assert server.get(path).text == "4x"


def test_a_held_poll_is_released_at_once(server, path):
    line = server.line()
    line.ask("GET", path)
    time.sleep(0.03)
    ws = probe(server, path)
    ws.put("2probe")
    assert ws.get() == "3probe"
    assert line.reply().text == "6"     # not at the next ping
    # So is the next one.
    assert server.get(path).text == "6"
    ws.put("5")
    ws.put("4x")
    assert ws.get() == "4x"


def test_polling_goes_on_during_the_probe(server, path):
    ws = probe(server, path)
    ws.put("2probe")
    assert ws.get() == "3probe"
    assert server.post(path, "4between").text == "ok"
    assert server.get(path).text == "4between"
    ws.put("5")
    ws.put("4x")
    assert ws.get() == "4x"


def test_what_waits_moves_along_in_order(server, path):
    ws = probe(server, path)
    for i in range(5):
        server.post(path, "4%d" % i)
    ws.put("2probe")
    assert ws.get() == "3probe"
    ws.put("5")
    ws.put("45")
    assert [ws.get() for _ in range(6)] == ["4%d" % i for i in range(6)]


def test_without_probe(server, path):
    ws = probe(server, path)
    ws.put("5")
    ws.put("4x")
    assert ws.get() == "4x"


@pytest.mark.parametrize("packet", ("4x", "3", "2", "2probe2", "", b"\x01", "1"))
def test_wrong_first_packet(server, path, packet):
    ws = probe(server, path)
    ws.put(packet)
    ws.expect_close(1005)
    server.post(path, "4x")
    assert server.get(path).text == "4x"


def test_lost_before_the_end(server, path):
    ws = probe(server, path)
    ws.put("2probe")
    assert ws.get() == "3probe"
    ws.reset()
    time.sleep(0.05)
    server.post(path, "4x")
    assert server.get(path).text == "4x"
    again = upgraded(server, path)
    again.put("4y")
    assert again.get() == "4y"


def test_a_second_websocket(server, path):
    first = probe(server, path)
    second = probe(server, path)
    second.expect_close(1005)
    first.put("2probe")
    assert first.get() == "3probe"
    first.put("5")
    third = probe(server, path)
    third.expect_close(1005)
    first.put("4x")
    assert first.get() == "4x"


def test_a_websocket_for_a_session_that_began_as_one(server):
    ws = server.ws(EIO + "&transport=websocket")
    sid = ws.get().split('"')[3]
    second = server.ws(EIO + "&transport=websocket&sid=" + sid)
    second.expect_close(1005)
    ws.put("4x")
    assert ws.get() == "4x"


def test_the_session_ends_during_the_probe(server, path):
    ws = probe(server, path)
    server.post(path, "1")
    ws.expect_close(1005)


def test_an_end_during_the_change_is_told(server):
    """The server ends a session whose client does not poll because it changes to a WebSocket."""
    path = server.open_polling(SIO)
    server.post(path, "40")
    server.get(path)
    ws = server.ws(SIO + "&transport=websocket&sid=" + sid_of(path))
    ws.put("2probe")
    assert ws.get() == "3probe"
    assert server.post(path, "42[]").text == "ok"
    ws.put("5")
    assert ws.get() == "1"
    ws.expect_close(1005)


def test_heartbeat_over_the_change(server, path):
    assert server.get(path).text == "2"
    ws = upgraded(server, path)
    ws.put("3")
    assert ws.get() == "2"
    ws.put("3")
    assert ws.get() == "2"


def test_a_ping_that_waits_moves_along(server, path):
    ws = probe(server, path)
    ws.put("2probe")
    assert ws.get() == "3probe"
    time.sleep(PING_SEC + 0.02)
    ws.put("5")
    assert ws.get() == "2"


def test_pings_before_the_probe_are_answered(server, path):
    ws = probe(server, path)
    ws.put(b"x", opcode=9)
    assert ws.get() == ("pong", b"x")


def test_half_a_handshake(server, path):
    line = Line(server.port)
    line.send("GET %s&transport=websocket&sid=%s HTTP/1.1\r\nUpgrade: web" % (EIO, sid_of(path)))
    line.close()
    server.post(path, "4x")
    assert server.get(path).text == "4x"
