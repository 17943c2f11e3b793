# SPDX-License-Identifier: Apache-2.0
"""Engine.IO over polling."""

import threading
import time

import pytest

from hb_engine import EIO, PING_SEC, PONG_SEC, SEPARATOR, b64, sid_of


def hold(server, path):
    """A poll that waits."""
    line = server.line()
    line.ask("GET", path)
    time.sleep(0.03)
    return line


def test_echo(server):
    path = server.open_polling()
    reply = server.post(path, "4hello")
    assert (reply.status, reply.text) == (200, "ok")
    assert reply.headers["content-type"] == "text/html"
    assert reply.headers["cache-control"] == "no-store"
    assert server.get(path).text == "4hello"


def test_several_packets_with_binary(server):
    path = server.open_polling()
    body = SEPARATOR.join(("4hello", "4\u00e9\u20ac", b64(b"\x01\x02\x03\x04"), "4"))
    assert server.post(path, body).text == "ok"
    reply = server.get(path)
    assert reply.text == body
    assert reply.headers["content-type"] == "text/plain; charset=UTF-8"


def test_a_held_poll_is_released(server):
    path = server.open_polling()
    poll = hold(server, path)
    server.post(path, "4hello")
    assert poll.reply().text == "4hello"


def test_chunked_body(server):
    path = server.open_polling()
    line = server.line()
    line.ask("POST", path, headers={"Transfer-Encoding": "chunked"})
    for part in ("3\r\n4he\r\n", "1\r\nl\r\n2\r", "\nlo\r\n", "0\r\n", "\r\n"):
        line.send(part)
        time.sleep(0.005)
    assert line.reply().text == "ok"
    assert server.get(path).text == "4hello"
    # The same connection goes on.
    line.ask("POST", path, "4again")
    assert line.reply().text == "ok"


def test_body_in_pieces(server):
    path = server.open_polling()
    body = "4" + "x" * 200000
    line = server.line()
    line.send("POST %s HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (path, len(body)))
    for at in range(0, len(body), 30000):
        line.send(body[at:at + 30000])
        time.sleep(0.002)
    assert line.reply().text == "ok"
    assert server.get(path).text == body


@pytest.mark.parametrize("body", ("abc", "", "4a\x1e", "\x1e4a", "8", "bA", "b*", b"4\xff", "2", "2probe"))
def test_invalid_packets(server, body):
    path = server.open_polling()
    assert server.post(path, body).status == 400
    reply = server.get(path)
    assert (reply.status, reply.json()["code"]) == (400, 1)


@pytest.mark.parametrize("body", ("0", "5", "6", "3"))
def test_ignored_packets(server, body):
    path = server.open_polling()
    assert server.post(path, body).text == "ok"
    assert server.post(path, "4x").text == "ok"
    assert server.get(path).text == "4x"


def test_octet_stream(server):
    path = server.open_polling()
    reply = server.post(path, b"\x04", headers={"Content-Type": "application/octet-stream"})
    assert reply.status == 400
    assert server.get(path).json()["code"] == 1


def test_body_too_large(server):
    path = server.open_polling()
    line = server.line()
    line.send("POST %s HTTP/1.1\r\nContent-Length: 1000001\r\n\r\n" % path)
    assert line.reply().status == 413
    line.close()
    assert server.post(path, "4" + "x" * 999999).text == "ok"
    assert len(server.get(path).text) == 1000000


def test_chunked_body_too_large(server):
    path = server.open_polling()
    line = server.line()
    line.ask("POST", path, headers={"Transfer-Encoding": "chunked"})
    try:
        for _ in range(40):
            line.send("8000\r\n" + "x" * 32768 + "\r\n")
    except OSError:
        pass
    assert line.reply().status == 413
    server.post(path, "1")


def test_two_polls_at_once(server):
    path = server.open_polling()
    first = hold(server, path)
    second = server.get(path)
    assert (second.status, second.body) == (400, b"")
    reply = first.reply()
    assert (reply.status, reply.text) == (200, "1")
    assert server.get(path).json()["code"] == 1


def test_two_posts_at_once(server):
    path = server.open_polling()
    first = server.line()
    first.send("POST %s HTTP/1.1\r\nContent-Length: 5\r\n\r\n4h" % path)
    time.sleep(0.05)
    assert server.post(path, "4hello").status == 400
    assert first.is_closed()
    assert server.get(path).json()["code"] == 1


def test_client_closes(server):
    path = server.open_polling()
    poll = hold(server, path)
    assert server.post(path, "1").text == "ok"
    assert poll.reply().text == "6"
    assert server.get(path).json()["code"] == 1


def test_a_poll_that_is_dropped(server):
    path = server.open_polling()
    hold(server, path).close()
    time.sleep(0.1)
    assert server.get(path).json()["code"] == 1


def test_a_post_that_is_dropped(server):
    path = server.open_polling()
    line = server.line()
    line.send("POST %s HTTP/1.1\r\nContent-Length: 5\r\n\r\n4h" % path)
    time.sleep(0.05)
    line.close()
    time.sleep(0.1)
    assert server.get(path).json()["code"] == 1


def test_heartbeat(server):
    path = server.open_polling()
    for _ in range(4):
        begin = time.monotonic()
        assert server.get(path).text == "2"
        assert time.monotonic() - begin > PING_SEC * 2 / 3
        assert server.post(path, "3").text == "ok"


def test_no_pong(server):
    path = server.open_polling()
    assert server.get(path).text == "2"
    reply = server.get(path)
    assert (reply.status, reply.text) == (200, "1")
    assert server.get(path).json()["code"] == 1


@pytest.mark.parametrize("turn", range(5))
def test_late_to_the_millisecond(server, turn):
    path = server.open_polling()
    time.sleep(PING_SEC + PONG_SEC)
    assert server.get(path).status == 400


def test_data_is_no_pong(server):
    path = server.open_polling()
    assert server.get(path).text == "2"
    for _ in range(4):
        server.post(path, "4x")
        time.sleep(PONG_SEC * 0.3)
    assert server.get(path).json()["code"] == 1


def test_wrong_transport_for_the_session(server):
    ws = server.ws(EIO + "&transport=websocket")
    sid = ws.get().split('"')[3]
    assert server.get(EIO + "&transport=polling&sid=" + sid).json()["code"] == 3
    path = server.open_polling()
    reply = server.get(EIO + "&transport=websocket&sid=" + sid_of(path))
    assert reply.json()["code"] == 3


def test_posts_and_polls_on_many_connections(server):
    """In order, though each request is on a connection, and perhaps a loop, of its own."""
    path = server.open_polling()
    for i in range(60):
        server.post(path, "4%d" % i)
    assert server.get(path).text.split(SEPARATOR) == ["4%d" % i for i in range(60)]


def test_a_slow_poller(server):
    """What waits for a client that reads its poll slowly arrives whole."""
    path = server.open_polling()
    for _ in range(6):
        assert server.post(path, "4" + "y" * 900000).text == "ok"
    line = server.line()
    line.ask("GET", path)
    time.sleep(0.3)
    reply = line.reply()
    assert len(reply.text) == 6 * 900001 + 5


def test_many_sessions_at_once(server):
    problems = []

    def one():
        try:
            path = server.open_polling()
            for i in range(10):
                assert server.post(path, "4%d" % i).text == "ok"
                assert server.get(path).text in ("4%d" % i, "2\x1e4%d" % i, "4%d\x1e2" % i)
                server.post(path, "3")
            server.post(path, "1")
        except Exception as e:      # told below, in the thread of the case
            problems.append(repr(e))

    threads = [threading.Thread(target=one) for _ in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not problems
