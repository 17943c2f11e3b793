# SPDX-License-Identifier: Apache-2.0
"""Sockets while processes come and go, with a stand-in for the sidecar; and other MPMs."""

import fcntl
import http.client
import os
import signal
import socket
import ssl
import subprocess
import termios
import threading
import time

import pytest

from hb_client import Client
from hb_httpd import STOP_SEC, is_root, processes_of
from hb_realtime import arguments, held, metrics, notes, sidecars, started, wait_for
from hb_socket import CLOSE, Socket


@pytest.fixture
def make_realtime(make_server):
    def make(settings=None, **args):
        one = make_server(**arguments(settings, **args))
        started(one)
        return one
    return make


def open_some(server, n, **args):
    return [Socket(server, **args) for _ in range(n)]


def close_all(sockets):
    for ws in sockets:
        ws.close()


def children(server):
    return [p for p in server.children() if p not in sidecars(server)]


def settle(server, n=1):
    wait_for(lambda: len(children(server)) == n,
             why=lambda: "children %s\n%s" % (children(server), server.log_text()[-2000:]))


# --- reloads

def ask_anew(server):
    """A request on a connection of its own is answered, whatever happens to httpd's children."""
    client = Client(server)
    assert client.get("/index.html").status_code == 200
    client.close()


@pytest.mark.parametrize("tls", (False, True))
def test_reloads(make_realtime, tls):
    """Fifty of them with 2 000 sockets are tests/realtime/test_many.py."""
    server = make_realtime({"HaloBuzzRealtimeGrace": "500ms"}, tls=tls)
    pid, = sidecars(server)
    many = open_some(server, 40)
    for i in range(2):
        server.graceful()
        ask_anew(server)
        # the old child tells them to come back, one after the other
        for n, ws in enumerate(many):
            assert ws.read_close() == 1012
            assert ws.is_closed()
            ws.close()
            if n % 10 == 0:
                ask_anew(server)
            many[n] = Socket(server)
            many[n].echo(b"again %d" % i)
    client = Client(server)
    assert held(client)[0] == 40
    close_all(many)
    wait_for(lambda: held(client) == (0, 0), why=lambda: str(held(client)))
    settle(server)
    assert sidecars(server) == [pid]
    client.close()


def test_a_request_on_its_way_is_answered_over_a_reload(make_realtime):
    """One that has begun. A connection that is kept and quiet may end at any time: then the client
    asks once more on another (RFC 9110, 9.2.2; RFC 9112, 9.3.1)."""
    server = make_realtime(tls=True)
    context = ssl.create_default_context(cafile=server.certificate)
    kept = http.client.HTTPSConnection("localhost", server.port, timeout=10, context=context)
    kept.request("GET", "/index.html")
    assert kept.getresponse().read() == b"static\n"
    begun = context.wrap_socket(socket.create_connection(("127.0.0.1", server.port), 10),
                                server_hostname="localhost")
    begun.sendall(b"GET /index.html HTTP/1.1\r\nHost: localhost\r\n")
    time.sleep(0.2)
    server.graceful()
    begun.sendall(b"X-Part: two\r\n\r\n")
    reply = http.client.HTTPResponse(begun)
    reply.begin()
    assert (reply.status, reply.read()) == (200, b"static\n")
    try:
        kept.request("GET", "/index.html")
        reply = kept.getresponse()
    except (http.client.RemoteDisconnected, ConnectionError):
        kept.close()
        kept.request("GET", "/index.html")
        reply = kept.getresponse()
    assert (reply.status, reply.read()) == (200, b"static\n")
    begun.close()
    kept.close()
    settle(server)


def test_sockets_close_evenly_over_the_grace_time(make_realtime):
    server = make_realtime({"HaloBuzzRealtimeGrace": "2s"})
    many = open_some(server, 40)
    begun = time.monotonic()
    server.graceful()
    times = []
    threads = [threading.Thread(target=lambda ws=ws: (ws.read_close(),
                                                      times.append(time.monotonic() - begun)))
               for ws in many]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    times.sort()
    # However late this machine lets the readers hear of it, nobody hears it early.
    assert times[19] > 0.4 and times[-1] > 1, times
    settle(server)
    close_all(many)


def test_the_close_comes_between_two_frames(make_realtime):
    server = make_realtime({"HaloBuzzRealtimeGrace": "0"})
    flooded = open_some(server, 5, path="/socket.io/?EIO=4&transport=websocket&flood=20000")
    for ws in flooded:
        for _ in range(20):
            assert ws.read() == (2, b"f" * 16384)
    server.graceful(wait=False)
    for ws in flooded:
        while True:
            opcode, data = ws.read()
            if opcode == CLOSE:
                assert data == b"\x03\xf4"
                break
            assert data == b"f" * 16384
    close_all(flooded)
    settle(server)


def test_polls_are_answered_over_a_reload(make_realtime):
    server = make_realtime({"HaloBuzzRealtimeGrace": "0"})
    client = Client(server)
    answers = []

    def poll():
        one = Client(server)
        answers.append(one.get("/socket.io/poll").text)
        one.close()
    threads = [threading.Thread(target=poll) for _ in range(10)]
    for t in threads:
        t.start()
    wait_for(lambda: held(client) == (0, 10))
    server.graceful()
    time.sleep(0.5)
    assert held(client) == (0, 10)      # the old child's count as well
    assert Client(server).get("/socket.io/release").text == "10"
    for t in threads:
        t.join(10)
    assert answers == ["6"] * 10
    settle(server)


def test_a_stop_says_goodbye(make_realtime):
    server = make_realtime()
    many = open_some(server, 50)
    server.process.send_signal(signal.SIGTERM)
    for ws in many:
        assert ws.read_close() == 1001
        assert ws.is_closed()
    server.process.wait(STOP_SEC)
    close_all(many)


def test_a_graceful_stop_ends(make_realtime):
    server = make_realtime({"HaloBuzzRealtimeGrace": "1s"})
    many = open_some(server, 20)
    server.process.send_signal(signal.SIGWINCH)
    for ws in many:
        assert ws.read_close() == 1012
    close_all(many)
    server.process.wait(STOP_SEC)
    assert sidecars(server) == []


# --- deaths

def test_the_sidecar_is_killed(make_realtime, claims):
    claims("HB02055", "HB02002", "AH00484")
    server = make_realtime()
    client = Client(server)
    many = open_some(server, 100)
    pid, = sidecars(server)
    answers = []
    polling = threading.Thread(target=lambda: answers.append(
        Client(server).get("/socket.io/poll").status_code))
    polling.start()
    wait_for(lambda: held(client) == (100, 1))
    os.kill(pid, signal.SIGKILL)
    for ws in many:
        assert ws.is_closed()
        ws.close()
    polling.join(10)
    assert answers == [503]
    # who comes back at once waits for the new one: five seconds, which may be few on a busy machine
    late, again = 0, Socket(server)
    while again.status == 503 and late < 5:
        again.close()
        late, again = late + 1, Socket(server)
    assert again.status == 101
    again.echo(b"back")
    again.close()
    assert started(server, 2) != pid
    wait_for(lambda: held(client) == (0, 0), why=lambda: str(held(client)))
    assert metrics(client)['halobuzz_realtime_ended_total{reason="sidecar"}'] >= 100
    assert metrics(client)['halobuzz_realtime_refused_total{reason="down"}'] == 1 + late


def test_the_sidecar_stands_still(make_realtime, claims):
    """Stopped, it accepts nothing and answers nothing; requests for others go on."""
    claims("AH00484", "HB02002")
    server = make_realtime()
    client = Client(server)
    pid, = sidecars(server)
    os.kill(pid, signal.SIGSTOP)
    made = []
    threads = [threading.Thread(target=lambda: made.append(Socket(server))) for _ in range(60)]
    for t in threads:
        t.start()
    time.sleep(1.5)
    for _ in range(20):
        assert client.get("/index.html", timeout=5).status_code == 200
    os.kill(pid, signal.SIGCONT)
    for t in threads:
        t.join(30)
    assert len(made) == 60
    for ws in made:
        assert ws.status == 101
        ws.echo(b"at last")
    close_all(made)


def test_a_child_is_killed(make_realtime, claims):
    claims("AH00052", "AH00051", "AH00484", "AH00485")
    server = make_realtime()
    client = Client(server)
    many = open_some(server, 100)
    assert held(client)[0] == 100
    pid, = children(server)
    os.kill(pid, signal.SIGKILL)
    for ws in many:
        assert ws.is_closed()
        ws.close()
    client.close()
    wait_for(lambda: children(server) not in ([], [pid]))
    client = Client(server)
    wait_for(lambda: held(client) == (0, 0), why=lambda: str(held(client)))
    again = Socket(server)
    again.echo(b"back")
    again.close()


def test_the_parent_is_killed(make_realtime, claims):
    claims("AH00098")
    server = make_realtime()
    many = open_some(server, 20)
    session = server.process.pid
    server.process.kill()
    server.process.wait()
    for ws in many:
        assert ws.is_closed()   # the sidecar went with it
        ws.close()
    server.kill_session(session)
    server.start_again()
    started(server, 2)
    again = Socket(server)
    again.echo(b"back")
    again.close()


# --- TLS

@pytest.mark.parametrize("version", (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3))
def test_versions_of_tls(make_realtime, version):
    server = make_realtime(tls=True)
    ws = Socket(server, version=version)
    for n in (1, 16384, 100000):
        ws.echo(b"v" * n)
    ws.close()


def test_key_updates(make_realtime):
    """Records that give no data, right before records that do."""
    server = make_realtime(tls=True)
    peer = subprocess.Popen(["openssl", "s_client", "-connect", "127.0.0.1:%d" % server.port,
                             "-tls1_3", "-servername", "localhost"], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0)
    os.set_blocking(peer.stdout.fileno(), False)
    said = b""

    def hear(what):
        nonlocal said
        said += peer.stdout.read() or b""
        return what in said
    try:
        peer.stdin.write(b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost"
                         b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         b"Sec-WebSocket-Version: 13\r\n"
                         b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n")
        wait_for(lambda: hear(b"HTTP/1.1 101 "))
        for i in range(40):
            text = b"message %02d\n" % i
            peer.stdin.write(b"K\n" if i % 2 else b"k\n")
            # It takes a command only alone, and sends the update with data.
            wait_for(lambda: fcntl.ioctl(peer.stdin, termios.FIONREAD, bytes(4)) == bytes(4))
            peer.stdin.write(bytes((0x81, 0x80 | len(text), 0, 0, 0, 0)) + text)
            wait_for(lambda: hear(text), 15, lambda: "stalled at %d: %r" % (i, said[-200:]))
    finally:
        peer.kill()
        peer.wait()


# --- limits

def test_full_is_said(make_realtime, claims):
    claims("HB02002", "AH00484")
    server = make_realtime(mpm_settings="StartServers 1\nThreadsPerChild 10\n"
                           "MaxRequestWorkers 10\nServerLimit 3\nMinSpareThreads 1\n"
                           "MaxSpareThreads 10\n")
    client = Client(server)
    many = open_some(server, 15)        # 10 threads x 2 x 3/4
    assert [ws.status for ws in many] == [101] * 15
    one = Socket(server)
    assert one.status == 503 and "Retry-After: 5" in one.head
    assert client.get("/index.html").status_code == 200
    close_all(many + [one])
    wait_for(lambda: held(client) == (0, 0))
    assert metrics(client)['halobuzz_realtime_refused_total{reason="full"}'] == 1
    log = server.log_text()
    assert "AsyncRequestWorkerFactor 1500 would make it" in log


def test_handshakes_are_limited(make_realtime):
    server = make_realtime({"HaloBuzzRateLimit realtime": "5/60s",
                            "HaloBuzzRealtimePayload": "2000"})
    many = open_some(server, 6)
    assert [ws.status for ws in many] == [101] * 5 + [429]
    close_all(many)
    client = Client(server)
    assert client.get("/socket.io/?EIO=4&transport=polling").status_code == 429
    # a session that there is goes on
    path = "/socket.io/?EIO=4&transport=polling&sid=x"
    assert client.get(path).status_code == 400
    # with what one message may be
    assert [client.post(path, data=b"x" * n).status_code for n in (2000, 2001)] == [400, 413]
    # the other doors know no sessions
    for other in ("/api/v1/realtime?sid=x", "/api/v1/streams/0123456789abcdef01234567/events?1&sid=x"):
        assert client.get(other).status_code == 429


@pytest.mark.slow
def test_a_quiet_socket_is_closed_but_not_between_two_pings(make_realtime):
    """The stand-in sends none. The bound is 5 seconds where pings come sooner than that."""
    server = make_realtime({"HaloBuzzRealtimeIdle": "5s", "HaloBuzzRealtimePing": "6s",
                            "HaloBuzzRealtimePong": "2s"})
    ws = Socket(server)
    begun = time.monotonic()
    assert ws.is_closed()
    assert 7.5 < time.monotonic() - begun < 20
    ws.close()
    client = Client(server)
    assert metrics(client)['halobuzz_realtime_ended_total{reason="idle"}'] == 1


def test_maintenance(make_realtime, claims):
    claims("HB02002")
    server = make_realtime({"HaloBuzzMaintenance": "on"})
    ws = Socket(server)
    assert ws.status == 503
    ws.close()


# --- where connections cannot be suspended

WORKER = """StartServers 1
ThreadsPerChild 10
MaxRequestWorkers 10
MinSpareThreads 1
MaxSpareThreads 10
ServerLimit 4
"""
PREFORK = "StartServers 10\nMinSpareServers 1\nMaxSpareServers 10\nMaxRequestWorkers 10\n"


@pytest.mark.parametrize("mpm, lines", (("worker", WORKER), ("prefork", PREFORK)))
def test_other_mpms(make_realtime, claims, mpm, lines):
    claims("HB02002", "AH00484", "AH00161", "AH00287")
    server = make_realtime({"HaloBuzzRealtimeGrace": "1s"}, mpm=mpm, mpm_settings=lines)
    client = Client(server)
    ws = Socket(server)
    for n in (0, 1, 126, 70000, 1000000):
        ws.echo(os.urandom(n), 2)
    reply = client.get("/socket.io/slow?0.3")
    assert (reply.status_code, reply.text) == (200, "2")
    assert client.get("/api/v1/streams/0123456789abcdef01234567/events?2").text \
        == "id: 0\ndata: event 0\n\nid: 1\ndata: event 1\n\n"
    assert held(client)[0] == 1
    # six of ten threads; the others are for requests
    many = [ws]
    while many[-1].status == 101 and len(many) < 12:
        many.append(Socket(server))
    assert 5 <= len(many) <= 8 and many[-1].status == 503, len(many)
    assert client.get("/index.html").status_code == 200
    for one in many[:-1]:
        one.echo(b"held")
    server.graceful()
    for one in many[:-1]:
        assert one.read_close() == 1012
    close_all(many)
    wait_for(lambda: held(Client(server)) == (0, 0))
    # a process that is on its way out may still have taken it, and says so
    def is_back():
        one = Socket(server)
        if one.status == 101:
            one.send(b"back")
            answer = one.read()
            one.close()
            assert answer in ((1, b"back"), (CLOSE, b"\x03\xf4"))
            return answer[0] == 1
        one.close()
        return False
    wait_for(is_back)


def test_polls_over_http2_are_answered(make_realtime):
    server = make_realtime(tls=True, h2=True)
    url = server.url + "/socket.io/slow?0.3"
    done = subprocess.run(["curl", "-sk", "--http2", "-i", url], capture_output=True, text=True,
                          timeout=20)
    assert done.stdout.startswith("HTTP/2 200") and done.stdout.endswith("2")
    done = subprocess.run(["curl", "-sk", "--http2",
                           server.url + "/api/v1/streams/0123456789abcdef01234567/events?2"],
                          capture_output=True, text=True, timeout=20)
    assert done.stdout.count("data: event") == 2


def test_room_follows_a_reload(make_realtime):
    """Modules stay mapped over reloads, and so does what they remember."""
    few = ("StartServers 1\nThreadsPerChild 10\nMaxRequestWorkers 10\nServerLimit 3\n"
           "MinSpareThreads 1\nMaxSpareThreads 10\n")
    server = make_realtime(mpm="event", mpm_settings=few)
    assert metrics(Client(server))["halobuzz_realtime_room"] == 15
    server.mpm_settings = few + "AsyncRequestWorkerFactor 4\n"
    server.write_conf()
    server.graceful()
    wait_for(lambda: metrics(Client(server))["halobuzz_realtime_room"] == 30)
