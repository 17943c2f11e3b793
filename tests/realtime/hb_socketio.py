# SPDX-License-Identifier: Apache-2.0
"""A Socket.IO client that does what it is told and nothing by itself: for cases that need to
know what went over the wire. Stock clients are stock.py's."""

import json
import socket
import ssl
import threading
import time

import websocket

WAIT_SEC = 15


class Refused(Exception):
    """CONNECT_ERROR; data is what came with it."""

    def __init__(self, packet):
        super().__init__(packet)
        self.message = packet.get("message")
        self.data = packet.get("data")


def ws_open(server, path, headers=(), timeout=WAIT_SEC):
    scheme = "wss" if server.tls else "ws"
    options = {"ca_certs": server.certificate} if server.tls else {}
    return websocket.create_connection(
        "%s://localhost:%d%s" % (scheme, server.port, path), timeout=timeout,
        header=list(headers), sslopt=options,
        sockopt=((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),))


def send_on(ws, text):
    """Once its reader has met the end, the library says so in an error of its own: a lost connection, too."""
    try:
        ws.send(text)
    except websocket.WebSocketException as problem:
        raise ConnectionError(str(problem)) from problem


def cut_off(ws):
    held = ws.sock                      # None once the reader has met the end
    try:
        if held is not None:
            held.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


class Inbox:
    """What came, in order, with waiting."""

    def __init__(self):
        self.items = []
        self.closed = None              # why, once it is over
        self.condition = threading.Condition()

    def put(self, item):
        with self.condition:
            self.items.append(item)
            self.condition.notify_all()

    def end(self, why):
        with self.condition:
            self.closed = self.closed or why
            self.condition.notify_all()

    def wait(self, find, timeout=WAIT_SEC, may_end=False):
        """The first thing that find gives for (items, closed) that is not None."""
        until = time.monotonic() + timeout
        with self.condition:
            while True:
                found = find(self.items)
                if found is not None:
                    return found
                left = until - time.monotonic()
                if left <= 0 or (self.closed and not may_end):
                    raise AssertionError("it did not come; closed: %r; came: %s"
                                         % (self.closed, repr(self.items)[-4000:]))
                self.condition.wait(left)

    def wait_closed(self, timeout=WAIT_SEC):
        until = time.monotonic() + timeout
        with self.condition:
            while self.closed is None:
                left = until - time.monotonic()
                assert left > 0, "still open"
                self.condition.wait(left)
        return self.closed


class Socket:
    """One connection over WebSocket, in the main namespace."""

    def __init__(self, server, token=None, pid=None, offset=None, headers=(), join=None):
        self.inbox = Inbox()
        self.may_read = threading.Event()
        self.may_read.set()
        self.next_ack = self.pings = 0
        self.token = token
        self.ws = ws_open(server, "/socket.io/?EIO=4&transport=websocket", headers)
        opened = self.ws.recv()
        assert opened.startswith("0{"), opened
        self.open = json.loads(opened[1:])
        auth = {k: v for k, v in (("token", token), ("pid", pid), ("offset", offset))
                if v is not None}
        self.ws.send("40" + json.dumps(auth))
        while True:
            answer = self.ws.recv()
            if answer == "2":
                self.ws.send("3")
                continue
            break
        if answer.startswith("44"):
            self.ws.close()
            raise Refused(json.loads(answer[2:]))
        assert answer.startswith("40{"), answer
        self.connected = json.loads(answer[2:])
        self.sid = self.connected["sid"]
        self.pid = self.connected.get("pid")
        self.recovered = pid is not None and pid == self.pid
        self.offset = offset if self.recovered else None
        self.ws.settimeout(None)
        threading.Thread(target=self._read, daemon=True).start()
        if join:
            self.join(join)

    def _read(self):
        try:
            while True:
                self.may_read.wait()
                opcode, data = self.ws.recv_data(control_frame=True)
                if opcode == websocket.ABNF.OPCODE_CLOSE:
                    code = int.from_bytes(data[:2], "big") if len(data) >= 2 else 1005
                    self.inbox.end(code)
                    return
                if opcode == websocket.ABNF.OPCODE_TEXT:
                    self._packet(data.decode())
        except (OSError, websocket.WebSocketException, ssl.SSLError, ValueError) as problem:
            self.inbox.end(repr(problem))

    def _packet(self, text):
        if text == "2":
            self.pings += 1
            self.ws.send("3")
        elif text.startswith("42"):
            name, *args = json.loads(text[2:])
            if args and isinstance(args[-1], str):
                self.offset = args[-1]
            self.inbox.put((name, args[0] if args else None,
                            args[-1] if args and isinstance(args[-1], str) else None))
        elif text.startswith("43"):
            at = text.index("[")
            self.inbox.put(("ack", int(text[2:at]), json.loads(text[at:])))
        elif text.startswith("41"):
            self.inbox.put(("disconnect", None, None))

    # --- doing

    def emit(self, name, *args):
        send_on(self.ws, "42" + json.dumps([name, *args]))

    def call_begin(self, name, *args):
        number = self.next_ack
        self.next_ack += 1
        send_on(self.ws, "42%d%s" % (number, json.dumps([name, *args])))
        return number

    def answer(self, number, timeout=WAIT_SEC):
        def find(items):
            return next((i[2][0] for i in items if i[0] == "ack" and i[1] == number), None)
        return self.inbox.wait(find, timeout)

    def call(self, name, *args, timeout=WAIT_SEC):
        return self.answer(self.call_begin(name, *args), timeout)

    def join(self, stream_id, **more):
        answer = self.call("stream:join", {"streamId": stream_id, **more})
        assert answer["ok"], answer
        return answer

    def say(self, stream_id, text, **more):
        answer = self.call("chat:new", {"streamId": stream_id, "text": text, **more})
        assert answer["ok"], answer
        return answer["message"]

    # --- hearing

    def events(self, name):
        """[(payload, offset)] of what came so far."""
        with self.inbox.condition:
            return [(i[1], i[2]) for i in self.inbox.items if i[0] == name]

    def texts(self):
        return [payload["text"] for payload, _ in self.events("chat:new")]

    def wait(self, name, match=lambda payload: True, timeout=WAIT_SEC):
        def find(items):
            return next((i[1] for i in items if i[0] == name and match(i[1])), None)
        return self.inbox.wait(find, timeout)

    def wait_text(self, text, timeout=WAIT_SEC):
        return self.wait("chat:new", lambda p: p["text"] == text, timeout)

    def wait_disconnected(self, timeout=WAIT_SEC):
        """Sent out of the namespace, as a stock client would not come back from."""
        self.inbox.wait(lambda items: next((True for i in items if i[0] == "disconnect"), None),
                        timeout, may_end=True)

    def wait_closing(self, timeout=WAIT_SEC):
        """What we were told about the end."""
        return self.inbox.wait(lambda items: next(
            (i[1] for i in items if i[0] == "connection:closing"), None), timeout, may_end=True)

    def pause(self):
        """Read nothing more, after what is just being waited for."""
        self.may_read.clear()

    def go_on(self):
        self.may_read.set()

    # --- ending

    def cut(self):
        """As a phone that loses its network: no word to the server but the end of TCP."""
        cut_off(self.ws)
        self.inbox.wait_closed()

    def leave(self):
        """As a client that means it. The reader ends before the descriptor is given up: it would
        read and write in the name of the next connection."""
        send_on(self.ws, "41")
        self.cut()


class Plain:
    """A WebSocket without Socket.IO."""

    PATH = "/api/v1/realtime"

    def __init__(self, server, token=None, by_header=True, pid=None, offset=None, headers=()):
        self.inbox = Inbox()
        self.next_ack = 0
        headers = [*headers, *(["Authorization: Bearer " + token] if token and by_header else [])]
        self.ws = ws_open(server, self.PATH, headers)
        self.ws.settimeout(None)
        threading.Thread(target=self._read, daemon=True).start()
        if not by_header:
            data = {k: v for k, v in (("token", token), ("pid", pid), ("offset", offset))
                    if v is not None}
            self.send({"event": "auth", "data": data})

    def _read(self):
        try:
            while True:
                opcode, data = self.ws.recv_data(control_frame=True)
                if opcode == websocket.ABNF.OPCODE_CLOSE:
                    self.inbox.end(int.from_bytes(data[:2], "big") if len(data) >= 2 else 1005)
                    return
                if opcode == websocket.ABNF.OPCODE_PING:
                    self.ws.pong(data)
                if opcode == websocket.ABNF.OPCODE_TEXT:
                    self.inbox.put(json.loads(data))
        except (OSError, websocket.WebSocketException, ssl.SSLError, ValueError) as problem:
            self.inbox.end(repr(problem))

    def send(self, message):
        send_on(self.ws, message if isinstance(message, str) else json.dumps(message))

    def call(self, name, data=None, timeout=WAIT_SEC):
        self.next_ack += 1
        number = self.next_ack
        self.send({"event": name, "data": data, "ack": number})
        return self.inbox.wait(lambda items: next((i for i in items if i.get("ack") == number),
                                                  None), timeout)

    def wait(self, name, match=lambda data: True, timeout=WAIT_SEC):
        return self.inbox.wait(lambda items: next(
            (i for i in items if i.get("event") == name and match(i["data"])), None), timeout)

    def cut(self):
        cut_off(self.ws)
        self.inbox.wait_closed()
