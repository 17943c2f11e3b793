# SPDX-License-Identifier: Apache-2.0
"""A WebSocket client that shows every byte, for cases that are about bytes."""

import base64
import os
import socket
import ssl
import struct

CLOSE, PING = 8, 9


def frame(data, opcode=1, is_final=True):
    """As a client sends it: masked."""
    head = bytes(((0x80 if is_final else 0) | opcode,))
    n = len(data)
    if n < 126:
        head += bytes((0x80 | n,))
    elif n < 65536:
        head += struct.pack("!BH", 0x80 | 126, n)
    else:
        head += struct.pack("!BQ", 0x80 | 127, n)
    mask = os.urandom(4)
    key = int.from_bytes((mask * (n // 4 + 1))[:n], "big")
    return head + mask + (int.from_bytes(data, "big") ^ key).to_bytes(n, "big")


class Socket:
    def __init__(self, server, path="/socket.io/?EIO=4&transport=websocket", headers=(),
                 behind=b"", timeout=20, version=None, over=None):
        self.s = over or self._connect(server, timeout, version)
        self.buffer = b""
        lines = ["GET %s HTTP/1.1" % path, "Host: localhost:%d" % server.port,
                 "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                 "Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)).decode(), *headers]
        self.s.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + behind)
        while b"\r\n\r\n" not in self.buffer:
            data = self.s.recv(65536)
            if not data:
                break
            self.buffer += data
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        self.head = head.decode("latin-1")
        self.status = int(self.head.split(" ")[1]) if self.head else 0

    @staticmethod
    def _connect(server, timeout, version):
        raw = socket.create_connection(("127.0.0.1", server.port), timeout)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if server.tls:
            context = ssl.create_default_context(cafile=server.certificate)
            if version:
                context.minimum_version = context.maximum_version = version
            raw = context.wrap_socket(raw, server_hostname="localhost")
        return raw

    def send(self, data, opcode=1):
        self.s.sendall(frame(data, opcode))

    def _take(self, n):
        while len(self.buffer) < n:
            data = self.s.recv(max(65536, n - len(self.buffer)))
            if not data:
                raise EOFError("closed with %d bytes of a frame" % len(self.buffer))
            self.buffer += data
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    def read(self):
        """(opcode, payload) of the next frame."""
        first, second = self._take(2)
        n = second & 127
        if n == 126:
            n, = struct.unpack("!H", self._take(2))
        elif n == 127:
            n, = struct.unpack("!Q", self._take(8))
        return first & 15, self._take(n)

    def echo(self, data, opcode=1):
        self.send(data, opcode)
        assert self.read() == (opcode, data)

    def read_close(self):
        """The code of the close frame; what comes before it is dropped."""
        while True:
            opcode, data = self.read()
            if opcode == CLOSE:
                return int.from_bytes(data[:2], "big")

    def is_closed(self):
        try:
            return self.s.recv(1) == b""
        except (ConnectionResetError, ssl.SSLError):
            return True

    def close(self):
        self.s.close()
