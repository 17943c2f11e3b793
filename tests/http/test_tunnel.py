# SPDX-License-Identifier: Apache-2.0
"""mod_halobuzz_realtime between a client and a stand-in for the sidecar: bytes, both ways."""

import os
import random
import socket
import ssl
import threading
import time

import pytest

from hb_client import Client
from hb_guard import serving
from hb_httpd import Httpd, sanitizer_libraries
from hb_realtime import arguments, held, metrics, notes, sidecars, started, wait_for
from hb_socket import CLOSE, Socket, frame

WS = "/socket.io/?EIO=4&transport=websocket"


@pytest.fixture(scope="module", params=["http", "https"])
def server(request):
    one = Httpd(**arguments(tls=request.param == "https"))
    with serving(one):
        started(one)
        yield one


@pytest.fixture
def client(server):
    one = Client(server)
    yield one
    one.close()


def test_messages_of_all_sizes_come_back(server):
    ws = Socket(server)
    assert ws.status == 101
    for n in (0, 1, 125, 126, 127, 1000, 16383, 16384, 16385, 65535, 65536, 1000000, 5000000):
        ws.echo(os.urandom(n), 2)
    ws.close()


def test_many_messages_at_once(server):
    ws = Socket(server)
    for i in range(20):
        ws.s.sendall(b"".join(frame(b"%d" % (i * 1000 + n)) for n in range(1000)))
        for n in range(1000 if i > 5 else 0):           # six thousand are on their way
            assert ws.read() == (1, b"%d" % ((i - 6) * 1000 + n))
    for n in range(6000):
        assert ws.read() == (1, b"%d" % (14000 + n))
    ws.close()


def test_byte_by_byte(server):
    ws = Socket(server)
    for byte in frame(b"slowly but surely"):
        ws.s.sendall(bytes((byte,)))
        time.sleep(0.002)
    assert ws.read() == (1, b"slowly but surely")
    ws.close()


def test_bytes_on_both_sides_of_the_handshake(server):
    ws = Socket(server, WS + "&hello=1", behind=frame(b"early"))
    assert ws.read() == (1, b"hello")
    assert ws.read() == (1, b"early")
    ws.close()


def test_a_slow_handshake_takes_no_thread(server, client, claims):
    claims("AH00484")
    many = []
    def one():
        many.append(Socket(server, WS + "&late=1"))
    threads = [threading.Thread(target=one) for _ in range(60)]
    begun = time.monotonic()
    for t in threads:
        t.start()
    time.sleep(0.2)
    assert client.get("/index.html").status_code == 200
    for t in threads:
        t.join()
    assert time.monotonic() - begun < 6
    assert len(many) == 60
    for ws in many:
        assert ws.status == 101
        ws.echo(b"here")
        ws.close()


def test_a_refusal_of_the_sidecar_is_passed_on(server):
    ws = Socket(server, WS + "&refuse=1")
    assert ws.status == 400 and "text/html" in ws.head
    assert (ws.buffer or ws.s.recv(100)) == b"Bad request"
    ws.close()


def test_a_close_frame_and_its_answer(server):
    ws = Socket(server)
    ws.send(b"\x03\xe8bye", CLOSE)
    assert ws.read() == (CLOSE, b"\x03\xe8bye")
    assert ws.is_closed()
    ws.close()


class OverTls:
    """TLS as bytes in memory: can end its half and read on, which ssl's own sockets cannot."""

    def __init__(self, server):
        self.raw = socket.create_connection(("127.0.0.1", server.port), 20)
        self.inward, self.outward = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.create_default_context(cafile=server.certificate)
        self.tls = context.wrap_bio(self.inward, self.outward, server_hostname="localhost")
        self.until_done(self.tls.do_handshake)

    def flush(self):
        self.raw.sendall(self.outward.read())

    def until_done(self, step):
        while True:
            try:
                done = step()
                self.flush()
                return done
            except ssl.SSLWantReadError:
                self.flush()
                data = self.raw.recv(65536)
                if data:
                    self.inward.write(data)
                else:
                    self.inward.write_eof()

    def sendall(self, data):
        self.tls.write(data)
        self.flush()

    def recv(self, n):
        try:
            return self.until_done(lambda: self.tls.read(n))
        except ssl.SSLZeroReturnError:
            return b""

    def shutdown(self, how):
        assert how == socket.SHUT_WR
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.unwrap()           # close_notify is in outward then
        self.flush()

    def close(self):
        self.raw.close()


def test_half_close(server):
    """Whoever ends only their own half, of TCP or of TLS, still gets what is on its way."""
    ws = Socket(server, over=OverTls(server) if server.tls else None)
    for i in range(50):
        ws.send(b"x" * 10000)
    ws.s.shutdown(socket.SHUT_WR)
    for i in range(50):
        assert ws.read() == (1, b"x" * 10000)
    assert ws.is_closed()
    ws.close()


def test_reset_in_the_middle_of_traffic(server, client):
    for _ in range(40):
        ws = Socket(server)
        ws.send(b"y" * 100000, 2)
        ws.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        ws.close()
    wait_for(lambda: held(client) == (0, 0), why=lambda: str(held(client)))


def test_who_never_reads_costs_little_and_loses_nothing(server):
    child, = [p for p in server.children() if p not in sidecars(server)]

    def memory():
        with open("/proc/%d/statm" % child) as f:
            return int(f.read().split()[1]) * 4096
    before = memory()
    many = [Socket(server, WS + "&flood=400") for _ in range(10)]     # 6.4 MB each
    time.sleep(1)
    if not sanitizer_libraries():       # they keep what is freed
        assert memory() - before < 16 * 1024 * 1024
    for ws in many:
        for _ in range(400):
            assert ws.read() == (2, b"f" * 16384)
        ws.echo(b"still here")
        ws.close()


def test_who_never_reads_while_sending(server):
    ws = Socket(server)
    ws.s.settimeout(1)
    sent = 0
    with pytest.raises((TimeoutError, OSError)):
        while sent < 1 << 28:
            ws.s.sendall(frame(b"z" * 60000, 2))
            sent += 60000
    assert sent < 1 << 26       # then it was held back
    ws.close()


def test_churn_leaves_nothing(server, client):
    child, = [p for p in server.children() if p not in sidecars(server)]

    def files():
        return len(os.listdir("/proc/%d/fd" % child))
    Socket(server).close()
    time.sleep(0.3)
    before = files()
    for _ in range(300):
        ws = Socket(server)
        ws.echo(b"a")
        if random.random() < 0.5:
            ws.send(b"", CLOSE)
        ws.close()
    wait_for(lambda: held(client) == (0, 0), why=lambda: str(held(client)))
    wait_for(lambda: files() <= before + 2, why=lambda: "%d files, %d before" % (files(), before))


def test_many_sockets_and_http_beside_them(server, client, claims):
    claims("AH00484")
    many = [Socket(server) for _ in range(300)]
    assert held(client) == (300, 0)
    for _ in range(50):
        assert client.get("/index.html").status_code == 200
    for ws in many:
        ws.send(b"all")
    for ws in many:
        assert ws.read() == (1, b"all")
        ws.close()
    wait_for(lambda: held(client) == (0, 0), why=lambda: str(held(client)))
    text = client.get("/server-status?auto").text
    assert "HaloBuzzWebSockets: 0" in text and "HaloBuzzHeldRequests: 0" in text


def test_idle_in_between(server):
    """Longer than RequestReadTimeout allows a body to take."""
    ws = Socket(server)
    time.sleep(6.5)
    ws.echo(b"still here")
    ws.close()


# --- requests that are no WebSocket

def test_what_the_sidecar_is_told(server, client):
    reply = client.post("/socket.io/headers?EIO=4&transport=polling&t=1", data=b"4hello",
                        headers={"X-HaloBuzz-Address": "1.2.3.4", "X-HaloBuzz-Anything": "x",
                                 "Content-Type": "text/plain;charset=UTF-8", "TE": "trailers",
                                 "Cookie": "a=b"})
    assert reply.status_code == 200
    first, *lines = reply.text.split("\n")
    said = dict(line.split(": ", 1) for line in lines if ": " in line)
    assert first == "POST /socket.io/headers?EIO=4&transport=polling&t=1"
    assert said["x-halobuzz-address"] == "127.0.0.1"
    assert said["x-halobuzz-scheme"] == ("https" if server.tls else "http")
    assert said["x-halobuzz-request-id"] == reply.headers["X-Request-Id"]
    assert "x-halobuzz-anything" not in said and "te" not in said
    assert said["cookie"] == "a=b" and said["connection"] == "close"
    assert lines[-1] == "4hello" and said["content-length"] == "6"


def test_quick_answers_keep_the_connection(server):
    one = Client(server)
    closed = 0
    for _ in range(20):
        reply = one.get("/socket.io/open")
        assert reply.status_code == 200
        closed += "close" in reply.headers.get("Connection", "")
    assert closed < 10          # on a busy machine some are late
    reply = one.get("/socket.io/?EIO=4&transport=polling&sid=none")
    assert reply.status_code == 400
    assert reply.json() == {"code": 1, "message": "Session ID unknown"}
    one.close()


def test_a_late_answer_comes_whole(server):
    one = Client(server)
    reply = one.get("/socket.io/slow?0.3")
    assert (reply.status_code, reply.text) == (200, "2")
    assert reply.headers["X-Slow"] == "yes" and reply.headers["Connection"] == "close"
    assert reply.headers["Content-Type"] == "text/plain; charset=UTF-8"
    assert "X-Request-Id" in reply.headers
    one.close()


def test_big_answers(server, client):
    for n in (0, 1, 8000, 8192, 20000, 70000, 1000000):
        reply = client.get("/socket.io/big?%d" % n)
        assert reply.status_code == 200 and len(reply.content) == n


def test_hundreds_of_polls_are_held_without_threads(server, client, claims):
    claims("AH00484")           # 25 threads have to greet all of them
    answers = []

    def poll():
        one = Client(server)
        answers.append(one.get("/socket.io/poll").text)
        one.close()
    threads = [threading.Thread(target=poll) for _ in range(150)]
    for t in threads:
        t.start()
    wait_for(lambda: held(client) == (0, 150), why=lambda: str(held(client)))
    for _ in range(20):
        assert client.get("/index.html").status_code == 200
    assert client.get("/socket.io/release").text == "150"
    for t in threads:
        t.join(10)
    assert answers == ["6"] * 150
    wait_for(lambda: held(client) == (0, 0), why=lambda: str(held(client)))


def test_a_dropped_poll_is_dropped(server, client):
    before = len([n for n in notes(server) if "poll dropped" in n])
    s = open_raw(server)
    s.sendall(b"GET /socket.io/poll HTTP/1.1\r\nHost: localhost\r\n\r\n")
    wait_for(lambda: held(client)[1] == 1, why=lambda: str(held(client)))
    s.close()
    wait_for(lambda: len([n for n in notes(server) if "poll dropped" in n]) == before + 1)
    wait_for(lambda: held(client) == (0, 0))


def open_raw(server):
    import ssl
    s = socket.create_connection(("127.0.0.1", server.port), 20)
    if server.tls:
        context = ssl.create_default_context(cafile=server.certificate)
        s = context.wrap_socket(s, server_hostname="localhost")
    return s


def test_events_flow(server, client):
    s = open_raw(server)
    s.sendall(b"GET /api/v1/streams/0123456789abcdef01234567/events?4 HTTP/1.1\r\n"
              b"Host: localhost\r\nAccept: text/event-stream\r\n\r\n")
    data, times = b"", []
    while b"event 3" not in data:
        got = s.recv(65536)
        assert got
        times.append(time.monotonic())
        data += got
    assert b"HTTP/1.1 200 OK" in data and b"Content-Type: text/event-stream" in data
    assert times[-1] - times[0] > 0.4   # as they came, not at the end
    while s.recv(65536):
        pass
    s.close()
    wait_for(lambda: held(client) == (0, 0))


def test_a_dropped_stream_of_events_is_dropped(server, client):
    """At once, although nothing is said that could not be delivered."""
    before = len([n for n in notes(server) if "quiet stream dropped" in n])
    s = open_raw(server)
    s.sendall(b"GET /api/v1/streams/0123456789abcdef01234567/events?quiet HTTP/1.1\r\n"
              b"Host: localhost\r\n\r\n")
    data = b""
    while b"hush" not in data:
        data += s.recv(65536)
    wait_for(lambda: held(client) == (0, 1), why=lambda: str(held(client)))
    s.close()
    wait_for(lambda: len([n for n in notes(server) if "quiet stream dropped" in n]) == before + 1)
    wait_for(lambda: held(client) == (0, 0))


def test_no_answer_and_nonsense(server, client, claims):
    claims("HB06500", "HB02002")
    for path in ("/socket.io/nothing", "/socket.io/garbage"):
        reply = client.get(path)
        assert reply.status_code == 503 and reply.headers["Retry-After"] == "2"
        assert reply.json()["code"] == "unavailable"


def test_a_body_too_large(server, client):
    reply = client.post("/socket.io/?EIO=4&transport=polling&sid=1", data=b"x" * 1000001)
    assert reply.status_code == 413


def test_origins(server, client):
    port = server.port
    scheme = "https" if server.tls else "http"
    for origin, status in ((None, 101), ("%s://localhost:%d" % (scheme, port), 101),
                           ("https://evil.example", 403), ("null", 403),
                           ("https://localhost", 403), ("", 403)):
        ws = Socket(server, headers=["Origin: " + origin] if origin is not None else [])
        assert ws.status == status, (origin, ws.head)
        ws.close()
    reply = client.get("/socket.io/?EIO=4&transport=polling",
                       headers={"Origin": "https://evil.example"})
    assert reply.status_code == 403 and reply.json()["code"] == "forbidden"
    assert metrics(client)['halobuzz_realtime_refused_total{reason="origin"}'] >= 3
