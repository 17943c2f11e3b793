#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
A stand-in for halobuzz-realtimed that does on the wire what it is told, so that cases about httpd's
side can provoke what the real one never does. Speaks WebSocket echo, polls and SSE by path; says in
<state dir>/sidecar.log what happened to it.
"""

import asyncio
import base64
import hashlib
import os
import signal
import sys
import time

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def settings_of(path):
    found = {}
    with open(path) as f:
        for line in f:
            name, _, value = line.rstrip("\n").partition(" ")
            found[name] = value
    return found


class Sidecar:
    def __init__(self, path):
        self.path = path
        self.settings = settings_of(path)
        self.notes = os.path.join(self.settings["HaloBuzzStateDir"], "sidecar.log")
        self.open = 0
        self.held = []

    def note(self, text):
        with open(self.notes, "a") as f:
            f.write("%d %s\n" % (os.getpid(), text))

    async def head(self, reader):
        data = await reader.readuntil(b"\r\n\r\n")
        lines = data.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        headers = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if colon:
                headers.setdefault(name.lower(), value.strip())
        return method, target, headers

    def answer(self, writer, status, body, kind="text/plain; charset=UTF-8", extra=""):
        writer.write(("HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n"
                      "Cache-Control: no-store\r\n%s\r\n"
                      % (status, kind, len(body), extra)).encode() + body)

    async def serve(self, reader, writer):
        self.open += 1
        try:
            await self.one(reader, writer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            writer.close()

    async def one(self, reader, writer):
        method, target, headers = await self.head(reader)
        body = b""
        if "content-length" in headers:
            body = await reader.readexactly(int(headers["content-length"]))
        path, _, query = target.partition("?")
        if headers.get("upgrade", "").lower() == "websocket":
            await self.websocket(reader, writer, headers, query)
        elif path.endswith("/headers"):
            text = "".join("%s: %s\n" % item for item in sorted(headers.items()))
            self.answer(writer, "200 OK", (method + " " + target + "\n" + text).encode() + body)
        elif path.endswith("/open"):
            self.answer(writer, "200 OK", str(self.open).encode())
        elif path.endswith("/slow"):
            await asyncio.sleep(float(query or 1))
            self.answer(writer, "200 OK", b"2", extra="X-Slow: yes\r\n")
        elif path.endswith("/poll"):
            gone = asyncio.ensure_future(reader.read(1))
            release = asyncio.get_running_loop().create_future()
            self.held.append(release)
            await asyncio.wait({gone, release}, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                self.note("poll dropped")
            else:
                gone.cancel()
                self.answer(writer, "200 OK", b"6")
        elif path.endswith("/release"):
            n = len(self.held)
            for release in self.held:
                if not release.done():
                    release.set_result(None)
            self.held = []
            self.answer(writer, "200 OK", str(n).encode())
        elif path.endswith("/big"):
            self.answer(writer, "200 OK", b"x" * int(query))
        elif path.endswith("/events") and query == "quiet":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: hush\n\n")
            await reader.read(1)
            self.note("quiet stream dropped")
        elif path.endswith("/events"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                         b"Cache-Control: no-store\r\n\r\n")
            for i in range(int(query or 3)):
                writer.write(b"id: %d\ndata: event %d\n\n" % (i, i))
                await writer.drain()
                await asyncio.sleep(0.2)
        elif path.endswith("/nothing"):
            pass                        # close without an answer
        elif path.endswith("/garbage"):
            writer.write(b"this is no HTTP\r\n\r\n")
        elif path.endswith("/exit"):
            self.note("exit " + query)
            os._exit(int(query))
        else:
            self.answer(writer, "400 Bad Request", b'{"code":1,"message":"Session ID unknown"}',
                        "application/json")

    async def websocket(self, reader, writer, headers, query):
        if "refuse" in query:
            self.answer(writer, "400 Bad Request", b"Bad request", "text/html",
                        "Connection: close\r\n")
            return
        if "late" in query:
            await asyncio.sleep(0.5)
        key = base64.b64encode(hashlib.sha1(headers["sec-websocket-key"].encode() + GUID).digest())
        hello = b""
        if "hello" in query:
            hello = b"\x81\x05hello"
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                     b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + key + b"\r\n\r\n" + hello)
        if "flood" in query:
            await writer.drain()
            block = b"\x82\x7e\x40\x00" + b"f" * 16384
            for _ in range(int(query.partition("flood=")[2])):
                writer.write(block)
                await writer.drain()
        while True:
            first, second = await reader.readexactly(2)
            n = second & 127
            if n == 126:
                n = int.from_bytes(await reader.readexactly(2), "big")
            elif n == 127:
                n = int.from_bytes(await reader.readexactly(8), "big")
            mask = await reader.readexactly(4)
            data = await reader.readexactly(n)
            data = (int.from_bytes(data, "big")
                    ^ int.from_bytes((mask * (n // 4 + 1))[:n], "big")).to_bytes(n, "big")
            if n < 126:
                head = bytes((first, n))
            elif n < 65536:
                head = bytes((first, 126)) + n.to_bytes(2, "big")
            else:
                head = bytes((first, 127)) + n.to_bytes(8, "big")
            writer.write(head + data)
            await writer.drain()
            if first & 15 == 8:
                self.note("close %s" % (int.from_bytes(data[:2], "big") if n >= 2 else "-"))
                return

    async def run(self):
        path = self.settings["HaloBuzzRealtimeSocket"]
        if os.path.exists(path):
            os.unlink(path)
        server = await asyncio.start_unix_server(self.serve, path, backlog=4096, limit=1 << 20)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self.hup)
        loop.add_signal_handler(signal.SIGTERM, lambda: os._exit(0))
        self.note("started")
        async with server:
            await server.serve_forever()

    def hup(self):
        self.settings = settings_of(self.path)
        self.note("hup " + self.settings["HaloBuzzEnvironment"])


def main():
    assert sys.argv[1] == "--config", sys.argv
    path = sys.argv[2]
    settings = settings_of(path)
    told = os.path.join(settings["HaloBuzzStateDir"], "sidecar.exit")
    one = Sidecar(path)
    one.note("descriptors %s" % sorted(int(n) for n in os.listdir("/proc/self/fd")))
    if os.path.exists(told):
        with open(told) as f:
            code = int(f.read())
        one.note("exits %d" % code)
        time.sleep(0.05)
        sys.exit(code)
    asyncio.run(one.run())


if __name__ == "__main__":
    main()
