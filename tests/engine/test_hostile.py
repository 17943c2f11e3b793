# SPDX-License-Identifier: Apache-2.0
"""Clients that mean no good, or are very unlucky. After each case everything has to be back."""

import os
import random
import signal
import socket
import struct
import threading
import time

import pytest

from hb_engine import EIO, SIO, Line, Ws, frame, sid_of

EIO_WS = EIO + "&transport=websocket"
SIO_WS = SIO + "&transport=websocket"


def test_pipelined(server):
    """20 000 messages in one go, read only afterwards: all echoed, in order."""
    ws = server.ws("/ws-echo")
    data = b"".join(frame("message %d" % i) for i in range(20000))
    sender = threading.Thread(target=ws.send, args=(data,))
    sender.start()
    time.sleep(0.2)
    for i in range(20000):
        assert ws.get() == "message %d" % i
    sender.join()


def test_pipelined_events(server):
    ws = server.open_sio()
    data = b"".join(frame('42%d["message-with-ack",%d]' % (i, i)) for i in range(20000))
    sender = threading.Thread(target=ws.send, args=(data,))
    sender.start()
    for i in range(20000):
        assert ws.get_but_pings() == "43%d[%d]" % (i, i)
    sender.join()


def test_half_close(server):
    """Who closes only his half still gets the answers."""
    ws = server.ws("/ws-echo")
    ws.send(b"".join(frame("m%d" % i) for i in range(3000)))
    ws.socket.shutdown(socket.SHUT_WR)
    for i in range(3000):
        assert ws.get() == "m%d" % i
    assert ws.is_closed()


@pytest.mark.slow
def test_never_reads(server):
    """Reading stops when the answers are not taken; memory does not grow with what was sent. Not
    where sanitizers run: they keep what was freed."""
    before = server.status()["residentBytes"]
    ws = [server.ws("/ws-echo") for _ in range(4)]
    blob = frame(b"x" * 65536, opcode=2) * 16
    for one in ws:
        one.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            for _ in range(200):
                one.socket.sendall(blob)
    assert server.status()["residentBytes"] - before < 60e6
    # Others are served meanwhile.
    other = server.ws("/ws-echo")
    other.put("x")
    assert other.get() == "x"


def test_never_reads_a_room(server):
    """A member that does not read does not hold up the room, and goes by its missing pongs."""
    people = [server.open_sio() for _ in range(3)]
    people[0].socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    blob = "y" * 20000
    got = []

    def read():
        while len(got) < 300:
            text = people[1].get_but_pings()
            got.append(text)

    reader = threading.Thread(target=read)
    reader.start()
    for i in range(300):
        people[2].put('42["m",%d,"%s"]' % (i, blob))
        people[2].get_but_pings()
    reader.join()
    assert [int(t.split(",")[1]) for t in got] == list(range(300))
    until = time.monotonic() + 20
    while server.status()["sockets"] > 2 and time.monotonic() < until:
        people[1].socket.settimeout(0.05)
        for one in people[1:]:
            one.put("3")
        time.sleep(0.05)
    assert server.status()["gone"]["PING_TIMEOUT"] >= 1


def test_byte_by_byte_session(server):
    line = server.line()
    for c in "GET %s&transport=polling HTTP/1.1\r\n\r\n" % SIO:
        line.send(c)
    sid = line.reply().text.split('"')[3]
    for c in "POST %s&transport=polling&sid=%s HTTP/1.1\r\nContent-Length: 2\r\n\r\n40" % (SIO, sid):
        line.send(c)
    assert line.reply().text == "ok"


def test_resets(server):
    for i in range(100):
        ws = Ws(server.port, SIO_WS)
        if i % 2:
            ws.put("40")
        if i % 3:
            ws.send(frame("42[\"message\",1]")[:7])
        ws.reset()
        line = Line(server.port)
        line.send("GET %s&transport=polling HTTP/1.1\r\n" % EIO + ("\r\n" if i % 2 else ""))
        line.reset()


def test_reset_in_a_relay(server):
    people = [server.open_sio() for _ in range(20)]
    for one in people[1:]:
        one.reset()
    people[0].put('42["m",1]')
    assert people[0].get_but_pings() == '42["m",1]'


def test_connects_and_says_nothing(server):
    lines = [server.line() for _ in range(200)]
    assert server.get(EIO + "&transport=polling").status == 200
    for line in lines:
        line.close()


def test_close_without_reading_the_close(server):
    ws = server.open_sio()
    ws.put("4abc")
    ws.close()


def test_churn(server):
    """Sessions by the thousand; afterwards nothing is left, and memory has not grown on."""
    def round_():
        for i in range(150):
            ws = Ws(server.port, SIO_WS)
            ws.send(frame("40") + frame('42["m",1]'))
            if i % 3 == 0:
                ws.get()
            if i % 3 == 1:
                ws.put(b"", opcode=8)
            ws.close()

    def rounds(n):
        for _ in range(n):
            threads = [threading.Thread(target=round_) for _ in range(4)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()

    rounds(1)
    assert not server.settle()
    before = server.status()["residentBytes"]
    rounds(2)
    assert not server.settle()
    assert server.status()["residentBytes"] - before < 4e6


@pytest.mark.parametrize("seed", range(8))
def test_any_bytes(server, seed):
    """Random bytes as a request, as frames, as packets, as bodies."""
    chance = random.Random(seed)

    def noise(n):
        return bytes(chance.randrange(256) for _ in range(chance.randrange(n)))

    for _ in range(25):
        line = Line(server.port)
        line.send(noise(300))
        line.close()
        ws = Ws(server.port, chance.choice((EIO_WS, SIO_WS, "/ws-echo")))
        try:
            ws.send(noise(300))
        except ConnectionError:
            pass
        ws.close()
        ws = Ws(server.port, SIO_WS)
        ws.send(frame("40"))
        text = "".join(chance.choice('0123456789[]{}",:-/abcm_') for _ in range(20))
        try:
            ws.send(frame("4" + text) + frame(noise(30), opcode=2))
        except ConnectionError:
            pass
        ws.close()
        path = server.open_polling(chance.choice((EIO, SIO)))
        reply = server.post(path, noise(200))
        assert reply.status in (200, 400)
    assert server.get(EIO + "&transport=polling").status == 200


def test_cut_anywhere(server):
    """A conversation that ends after each of its bytes."""
    talk = ("GET %s HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            % SIO_WS).encode() + frame("40") + frame('451-["message"]') + frame(
                b"abc", opcode=2, fin=False) + frame(b"d", opcode=0) + frame(b"", opcode=8)
    for n in range(0, len(talk) + 1, 3):
        line = Line(server.port)
        line.send(talk[:n])
        if n % 2:
            line.reset()
        else:
            line.close()


def test_many_headers_and_long_queries(server):
    assert server.get(EIO + "&transport=polling&x=" + "y" * 12000).status == 200
    assert server.get("/", headers={"H%d" % i: "x" for i in range(70)}).status == 431


def test_attachments_without_end(server):
    ws = server.open_sio()
    ws.put('4510-["message"]')
    try:
        for _ in range(12):
            ws.put(b"x" * 999000)
    except ConnectionError:
        pass
    while ws.get_but_pings() is not None:
        pass


def held(server):
    """How many connections it has; it may still refuse the one that asks."""
    try:
        return server.status()["connections"]
    except (ConnectionError, EOFError):
        return 400


def test_limit_of_connections(make_server):
    """With descriptors used up, new ones are refused, old ones served, and it recovers."""
    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (400, hard))
    try:
        server = make_server()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    lines = []
    first = server.ws("/ws-echo")
    for _ in range(350):
        lines.append(Line(server.port))
    time.sleep(0.3)
    first.put("x")
    assert first.get() == "x"
    assert lines[-1].is_closed()
    for line in lines:
        line.close()
    assert server.text().count("HB06101") == 1
    until = time.monotonic() + 20
    while held(server) > 2 and time.monotonic() < until:
        time.sleep(0.05)
    again = server.ws("/ws-echo")
    again.put("y")
    assert again.get() == "y"
    # full once more within a minute is no news
    lines = [Line(server.port) for _ in range(350)]
    assert lines[-1].is_closed()
    for line in lines:
        line.close()
    assert server.text().count("HB06101") == 1


def test_end_with_clients(make_server):
    server = make_server("--loops", "2")
    people = [server.open_sio() for _ in range(10)]
    path = server.open_polling()
    poll = server.line()
    poll.ask("GET", path)
    time.sleep(0.05)
    begin = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - begin < 20
    for one in people:
        while one.get() is not None:
            pass
        assert one.code == 1012
    assert poll.reply().text == "1"


def test_unix_socket(make_server, tmp_path):
    path = str(tmp_path / "s.sock")
    server = make_server("--listen", "unix:" + path)
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        s.sendall(("GET %s&transport=polling HTTP/1.1\r\nX-HaloBuzz-Address: 192.0.2.1\r\n\r\n"
                   % EIO).encode())
        assert s.recv(4096).startswith(b"HTTP/1.1 200")
    assert oct(os.stat(path).st_mode & 0o777) == "0o660"
    # A second one does not take it away.
    from hb_engine import Engine
    second = Engine("--listen", "unix:" + path)
    begin = time.monotonic()
    try:
        with pytest.raises(AssertionError):
            second.start()
    finally:
        second.kill()
    assert time.monotonic() - begin > 4
    assert "another process serves" in second.text()
    assert server.stop() == 0
    assert not os.path.exists(path)


HANDSHAKE = ("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
AS_HTTPD = " HTTP/1.1\r\nHost: x\r\nX-HaloBuzz-Address: 192.0.2.1\r\n"


def test_gone_before_the_handshake_is_answered(make_server, tmp_path):
    """What is written to who has left fails at once; nobody may hold on to that connection then."""
    path = str(tmp_path / "s.sock")
    server = make_server("--listen", "unix:" + path)

    def come_and_go(target):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(path)
            s.sendall(("GET " + target + AS_HTTPD + HANDSHAKE + "\r\n").encode())

    sid = sid_of(server.open_polling())
    doors = (EIO_WS, SIO_WS, "/ws-echo", EIO_WS + "&sid=" + sid)
    pid = server.pid()
    os.kill(pid, signal.SIGSTOP)        # so that all have left before it looks
    try:
        for i in range(40):
            come_and_go(doors[i % len(doors)])
    finally:
        os.kill(pid, signal.SIGCONT)
    # The session that polls may still change to a WebSocket.
    ws = server.ws(EIO_WS + "&sid=" + sid)
    ws.put("2probe")
    assert ws.get() == "3probe"
    ws.put("5")
    ws.put("4here")
    assert ws.get_but_pings() == "4here"
    server.close_lines()
    assert not server.settle()
    assert server.stop() == 0 and "ERROR:" not in server.text(), server.text()[-6000:]


class Rude:
    """Clients that say something and are gone, at any moment; all by one seed."""

    TEXTS = ("2probe", "5", "4x", "3", "1", "2", "40", "40/custom,", '42["message",1]',
             '451-["message",{"_placeholder":true,"num":0}]', '42["message","%s"]' % ("y" * 30000))

    def __init__(self, server, path, seed):
        self.server, self.path, self.random = server, path, random.Random(seed)
        self.polling, self.held = [], []

    def connect(self):
        if self.random.random() < 0.5:
            one = socket.socket(socket.AF_UNIX)
            one.connect(self.path)
        else:
            one = socket.create_connection(("127.0.0.1", self.server.port))
        one.settimeout(0.03)
        return one

    def request(self):
        base = self.random.choice((EIO, SIO))
        known = self.random.choice(self.polling)
        text = self.random.choice(self.TEXTS)
        return self.random.choice((
            "GET " + base + "&transport=websocket" + AS_HTTPD + HANDSHAKE + "\r\n",
            "GET " + known.replace("=polling", "=websocket") + AS_HTTPD + HANDSHAKE + "\r\n",
            "GET /ws-echo" + AS_HTTPD + HANDSHAKE + "\r\n",
            "GET " + base + "&transport=polling" + AS_HTTPD + "\r\n",
            "GET " + known + AS_HTTPD + "\r\n",
            "POST " + known + AS_HTTPD + "Content-Length: %d\r\n\r\n" % len(text) + text,
            "POST " + known + AS_HTTPD + "Transfer-Encoding: chunked\r\n\r\n3\r\n4hi\r\n",
        )).encode()

    def talk(self, one):
        data = self.request()
        for _ in range(self.random.randrange(6) if b"Upgrade" in data else 0):
            data += frame(self.random.choice(self.TEXTS),
                          opcode=self.random.choice((1, 1, 1, 1, 2, 8, 9, 10)))
        if self.random.random() < 0.15:
            data = data[:self.random.randrange(len(data))]
        try:
            one.sendall(data)
            if self.random.random() < 0.2:
                one.recv(self.random.choice((1, 100, 65536)))
        except OSError:
            pass

    def leave(self, one):
        if one.family != socket.AF_UNIX and self.random.random() < 0.7:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.close()

    def turn(self):
        while len(self.polling) < 6:
            path = self.random.choice((EIO, SIO)) + "&transport=polling"
            self.polling.append(path + "&sid=" + self.server.get(path).text.split('"')[3])
        if self.random.random() < 0.3:
            self.polling.pop(self.random.randrange(6))
        is_stopped = self.random.random() < 0.4         # so that it meets those who have left
        if is_stopped:
            os.kill(self.server.pid(), signal.SIGSTOP)
        try:
            for _ in range(self.random.randrange(1, 25)):
                one = self.connect()
                self.talk(one)
                if self.random.random() < 0.7:
                    self.leave(one)
                else:
                    self.held.append(one)
        finally:
            if is_stopped:
                os.kill(self.server.pid(), signal.SIGCONT)
        while len(self.held) > 40:
            self.leave(self.held.pop(self.random.randrange(len(self.held))))


@pytest.mark.slow
@pytest.mark.parametrize("loops", ("1", "3"))
def test_rude_clients(make_server, tmp_path, loops):
    """Some ten thousand; with --enable-sanitizers it finds whoever holds on to what is gone."""
    seed = int(os.environ.get("HB_RUDE_SEED", time.time()))
    print("HB_RUDE_SEED=%d" % seed)
    path = str(tmp_path / "s.sock")
    server = make_server("--listen", "unix:" + path, "--loops", loops)
    rude = Rude(server, path, seed)
    until = time.monotonic() + 15
    while time.monotonic() < until and server.process.poll() is None:
        rude.turn()
    while rude.held:
        rude.leave(rude.held.pop())
    # Who polled nonsense is waited for half a minute, to be told.
    assert server.process.poll() is None and not server.settle(60), server.text()[-6000:]
    assert server.stop() == 0 and "ERROR:" not in server.text(), server.text()[-6000:]


@pytest.mark.slow
def test_long_churn(server):
    """Tens of thousands of connections, most of them rude."""
    def round_():
        for i in range(5000):
            line = Line(server.port)
            line.send("GET %s HTTP/1.1\r\n\r\n" % ("/" if i % 2 else EIO + "&transport=polling"))
            line.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            line.close()

    threads = [threading.Thread(target=round_) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not server.settle()
