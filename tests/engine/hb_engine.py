# SPDX-License-Identifier: Apache-2.0
"""The program, and clients that do exactly what they are told."""

import base64
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "http"))

from hb_beside import free_port, release_port       # noqa: E402

BUILD = os.environ.get("HB_BUILD", ".")
HERE_JS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "clients.js")
WAIT_SEC = 30
SIO = "/socket.io/?EIO=4"
EIO = "/engine.io/?EIO=4"
# Rarer than in the profile, for busy machines; together less than the second in which a socket joins.
PING_SEC, PONG_SEC = 0.54, 0.36
SEPARATOR = "\x1e"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
GAUGES = ("sessions", "websockets", "sockets")


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body
        self.text = body.decode("utf-8", "replace")

    def json(self):
        return json.loads(self.text)


class Line:
    """One TCP connection."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), WAIT_SEC)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.left = b""

    def send(self, data):
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def more(self):
        data = self.socket.recv(65536)
        self.left += data
        return bool(data)

    def take(self, n):
        while len(self.left) < n:
            if not self.more():
                raise EOFError("closed after %r" % self.left[:200])
        data, self.left = self.left[:n], self.left[n:]
        return data

    def head(self):
        while b"\r\n\r\n" not in self.left:
            if not self.more():
                raise EOFError("closed after %r" % self.left[:200])
        head, self.left = self.left.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        fields = {}
        for line in lines[1:]:
            name, value = line.split(": ", 1)
            fields[name.lower()] = value
        return int(lines[0].split()[1]), fields

    def ask(self, method, path, body=None, headers=()):
        text = "%s %s HTTP/1.1\r\nHost: x\r\n" % (method, path)
        for name, value in dict(headers).items():
            text += "%s: %s\r\n" % (name, value)
        data = b"" if body is None else body if isinstance(body, bytes) else body.encode()
        if body is not None:
            text += "Content-Length: %d\r\n" % len(data)
        self.send(text.encode() + b"\r\n" + data)

    def reply(self):
        status, headers = self.head()
        return Reply(status, headers, self.take(int(headers.get("content-length", "0"))))

    def is_closed(self, within=WAIT_SEC):
        """Does the other side close? What still comes is thrown away."""
        self.socket.settimeout(within)
        try:
            while self.socket.recv(65536):
                pass
            return True
        except socket.timeout:
            return False
        except ConnectionError:
            return True

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self):
        self.socket.close()


def frame(payload, opcode=1, fin=True, mask=b"\x01\x02\x03\x04", rsv=0, size=None):
    """A frame as clients send them."""
    data = payload.encode() if isinstance(payload, str) else payload
    n = len(data) if size is None else size
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit = 0x80 if mask else 0
    if n < 126:
        head += bytes([bit | n])
    elif n < 65536:
        head += bytes([bit | 126]) + struct.pack(">H", n)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", n)
    if mask:
        key = int.from_bytes((mask * (len(data) // 4 + 1))[:len(data)], "big") if data else 0
        data = (int.from_bytes(data, "big") ^ key).to_bytes(len(data), "big") if data else b""
    return head + (mask or b"") + data


class Ws(Line):
    """A WebSocket; texts come as str, others as bytes."""

    def __init__(self, port, path, headers=(), handshake=True):
        super().__init__(port)
        self.code = None
        if handshake:
            self.status = self.upgrade(path, headers)

    def upgrade(self, path, headers=()):
        self.ask("GET", path, headers={
            "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": KEY,
            "Sec-WebSocket-Version": "13", **dict(headers)})
        status, self.headers = self.head()
        return status

    def frame(self):
        """(fin, opcode, payload)"""
        a, b = self.take(2)
        assert b & 0x80 == 0, "a server does not mask"
        assert a & 0x70 == 0
        n = b & 127
        if n == 126:
            n, = struct.unpack(">H", self.take(2))
        elif n == 127:
            n, = struct.unpack(">Q", self.take(8))
        return a >> 7, a & 15, self.take(n)

    def put(self, payload, **how):
        if isinstance(payload, bytes) and "opcode" not in how:
            how["opcode"] = 2
        self.send(frame(payload, **how))

    def get(self):
        """The next message; None when it was closed (then code is set: 1005 without one)."""
        while True:
            try:
                fin, opcode, payload = self.frame()
            except (EOFError, ConnectionError):
                self.code = self.code or 1006
                return None
            if opcode == 8:
                self.code = struct.unpack(">H", payload[:2])[0] if payload else 1005
                return None
            if opcode in (1, 2):
                assert fin
                return payload.decode() if opcode == 1 else payload
            if opcode == 10:
                return ("pong", payload)

    def expect_close(self, code):
        while self.get() is not None:
            pass
        assert self.code == code
        self.put(b"", opcode=8)
        assert self.is_closed()
        self.close()

    def get_but_pings(self):
        while True:
            text = self.get()
            if text != "2":
                return text
            self.put("3")


class Engine:
    def __init__(self, *args):
        self.port = free_port()
        self.program = os.path.join(BUILD, "halobuzz-realtimed")
        self.args = args
        self.lines, self.polling = [], []

    def start(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith("HALOBUZZ_CONTROL")}
        self.log = os.path.join(BUILD, "engine-%d.log" % self.port)
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [self.program, "--profile=echo", "--listen", "127.0.0.1:%d" % self.port,
                 "--ping", "%d" % (PING_SEC * 1000), *self.args], stderr=log, stdout=log, env=env)
        until = time.monotonic() + WAIT_SEC
        while True:
            try:
                self.status()
                break
            except OSError:
                assert self.process.poll() is None, self.text()
                assert time.monotonic() < until
                time.sleep(0.05)
        self.descriptors = self.open_descriptors()
        return self

    def text(self):
        with open(self.log) as log:
            return log.read()

    def status(self):
        line = Line(self.port)
        line.ask("GET", "/.halobuzz/status", headers={"Connection": "close"})
        reply = line.reply()
        line.close()
        return reply.json()

    def pid(self):
        """Of the program itself: libtool starts it by a script."""
        pid = self.process.pid
        while True:
            with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
                children = f.read().split()
            if not children:
                return pid
            pid = int(children[0])

    def open_descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.pid()))

    def settle(self, within=WAIT_SEC):
        """Wait until everybody has gone; @return what is left."""
        until = time.monotonic() + within
        while True:
            status = self.status()
            left = {g: status[g] for g in GAUGES if status[g] != 0}
            if status["connections"] != 1:
                left["connections"] = status["connections"] - 1
            if not left:
                left = {"descriptors": self.open_descriptors() - self.descriptors}
                if left["descriptors"] <= 0:
                    return {}
            if time.monotonic() > until:
                return left
            time.sleep(0.02)

    def stop(self):
        """Ends as SIGTERM asks; @return the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WAIT_SEC)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        release_port(self.port)

    # --- clients

    def line(self):
        self.lines.append(Line(self.port))
        return self.lines[-1]

    def ws(self, path=SIO + "&transport=websocket", **how):
        self.lines.append(Ws(self.port, path, **how))
        return self.lines[-1]

    def ask(self, method, path, body=None, headers=()):
        """One request on a connection of its own."""
        line = Line(self.port)
        try:
            line.ask(method, path, body, headers)
            return line.reply()
        finally:
            line.close()

    def get(self, path, **how):
        return self.ask("GET", path, **how)

    def post(self, path, body, **how):
        return self.ask("POST", path, body, **how)

    def open_polling(self, base=EIO):
        """A session that polls; @return its address"""
        reply = self.get(base + "&transport=polling")
        assert reply.status == 200 and reply.text[0] == "0"
        path = base + "&transport=polling&sid=" + json.loads(reply.text[1:])["sid"]
        self.polling.append(path)
        return path

    def open_sio(self, nsp="/"):
        """A WebSocket that has joined."""
        ws = self.ws()
        assert ws.get()[0] == "0"
        prefix = "" if nsp == "/" else nsp + ","
        ws.put("40" + prefix)
        assert ws.get().startswith("40" + prefix + '{"sid":')
        assert ws.get() == '42%s["auth",{}]' % prefix
        return ws

    def close_lines(self):
        for line in self.lines:
            line.close()
        self.lines = []
        # They would end by a missing pong, half a second later.
        while self.polling and self.process.poll() is None:
            self.post(self.polling.pop(), "1")


def sid_of(address):
    return address.split("sid=")[1]


def b64(data):
    return "b" + base64.b64encode(data).decode()
