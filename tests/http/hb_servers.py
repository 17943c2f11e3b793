# SPDX-License-Identifier: Apache-2.0
"""Servers of others that a case may stop, hang and slow down: a proxy before the shared ones, and
servers of a case's own."""

import asyncio
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse

from hb_beside import free_port, release_port

WAIT_SEC = 30


def answers(port):
    with socket.socket() as s:
        s.settimeout(2)
        return s.connect_ex(("127.0.0.1", port)) == 0


class Proxy:
    """
    Between httpd and the server a URL names. stop() refuses connections and resets those there are,
    hang() lets nothing pass but keeps them, slow(seconds) delays what the server says, go() ends
    all of it. With a certificate it speaks TLS to httpd.
    """

    def __init__(self, url, certificate=None, key=None):
        self.target = urllib.parse.urlsplit(url)
        self.tls = None
        if certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(certificate, key)
        self.port = free_port()
        self.delay = 0
        self.pairs = set()
        self.server = None
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self._do(self._make_gate())
        self._do(self._listen())

    def url(self, path="", user=""):
        """The same URL by way of the proxy."""
        return "%s://%s127.0.0.1:%d%s" % (self.target.scheme, user, self.port, path)

    def _do(self, what):
        return asyncio.run_coroutine_threadsafe(what, self.loop).result(WAIT_SEC)

    async def _make_gate(self):
        self.gate = asyncio.Event()
        self.gate.set()

    async def _listen(self):
        if self.server is None:
            self.server = await asyncio.start_server(self._serve, "127.0.0.1", self.port,
                                                     ssl=self.tls)

    async def _stop(self):
        if self.server is not None:
            self.server.close()
            self.server = None
        for writers in list(self.pairs):
            for writer in writers:
                writer.transport.abort()

    async def _serve(self, reader, writer):
        try:
            there, back = await asyncio.open_connection(self.target.hostname, self.target.port)
        except OSError:
            writer.transport.abort()
            return
        pair = (writer, back)
        self.pairs.add(pair)
        both = [asyncio.create_task(way) for way in self._ways(reader, writer, there, back)]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for one in both:
            one.cancel()
        await asyncio.gather(*both, return_exceptions=True)
        self.pairs.discard(pair)
        for one in pair:
            one.transport.abort()

    def _ways(self, reader, writer, there, back):
        """What goes on for each connection, there and back, until one of them ends."""
        return self._pass(reader, back, False), self._pass(there, writer, True)

    async def _pass(self, reader, writer, is_answer):
        while True:
            data = await reader.read(65536)
            if not data:
                return
            await self.gate.wait()
            if is_answer and self.delay:
                await asyncio.sleep(self.delay)
            writer.write(data)
            await writer.drain()

    async def _set(self, is_open, delay):
        self.delay = delay
        if is_open:
            self.gate.set()
        else:
            self.gate.clear()

    def turn_to(self, url):
        """Another server takes the place of the one behind."""
        self.target = urllib.parse.urlsplit(url)
        self._do(self._stop())
        self._do(self._listen())

    def stop(self):
        self._do(self._stop())

    def hang(self):
        self._do(self._set(False, 0))

    def slow(self, seconds):
        self._do(self._set(True, seconds))

    def go(self):
        self._do(self._set(True, 0))
        self._do(self._listen())

    def close(self):
        self.stop()
        self._do(self._set(True, 0))
        until = time.monotonic() + 2
        while self.pairs and time.monotonic() < until:
            time.sleep(0.01)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(WAIT_SEC)
        release_port(self.port)


class Server:
    """A process that listens on a port of its own."""

    def __init__(self):
        self.port = free_port()
        self.folder = tempfile.mkdtemp(prefix="hb", dir="/tmp")
        self.process = None

    def start(self):
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL)
        until = time.monotonic() + WAIT_SEC
        while not answers(self.port):
            assert self.process.poll() is None and time.monotonic() < until, self.log()
            time.sleep(0.05)
        return self

    def log(self):
        with open(os.path.join(self.folder, "log"), errors="replace") as f:
            return f.read()[-3000:]

    def signal(self, how):
        self.process.send_signal(how)

    def kill(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self.process = None

    def close(self):
        self.kill()
        release_port(self.port)
        shutil.rmtree(self.folder, ignore_errors=True)


class Redis(Server):
    def __init__(self, *arguments):
        super().__init__()
        self.arguments = arguments

    def command(self):
        return ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--save", "",
                "--appendonly", "no", "--dir", self.folder, *self.arguments]

    @property
    def url(self):
        return "redis://127.0.0.1:%d" % self.port

    def call(self, *words):
        return subprocess.run(["redis-cli", "-p", str(self.port), *words], capture_output=True,
                              text=True, timeout=WAIT_SEC).stdout.strip()


class Mongo(Server):
    """SecantusDB, as ../servers/with-mongodb installed it; a case that needs one skips where it tests
    against another server."""

    PROGRAM = os.environ.get("HALOBUZZ_TEST_SECANTUS")

    def __init__(self, *arguments):
        super().__init__()
        self.arguments = arguments

    def command(self):
        return [self.PROGRAM, "--host", "127.0.0.1", "--port", str(self.port), "--storage-path",
                os.path.join(self.folder, "data"), "--log-level", "WARNING", *self.arguments]

    def url(self, path="/halobuzz", user=""):
        return "mongodb://%s127.0.0.1:%d%s" % (user, self.port, path)
