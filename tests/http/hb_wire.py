# SPDX-License-Identifier: Apache-2.0
"""A MongoDB that does wrong what it is told to: a proxy that reads the wire protocol, and cuts or
answers chosen commands itself, before or after the server has done them."""

import struct
import threading

from hb_servers import Proxy

OP_MSG = 2013
HELLOS = ("hello", "isMaster", "ismaster")
# As MongoDB numbers its errors.
NOT_PRIMARY, SHUTTING_DOWN, CONFLICT, NO_TRANSACTION = 10107, 91, 112, 251
CONCERN_FAILED, NO_MAJORITY = 64, 100

RETRYABLE = "RetryableWriteError"
TRANSIENT = "TransientTransactionError"
UNKNOWN = "UnknownTransactionCommitResult"


def element(kind, key, value):
    return bytes([kind]) + key.encode() + b"\0" + value


def document(*elements):
    body = b"".join(elements) + b"\0"
    return struct.pack("<i", len(body) + 4) + body


def _string(text):
    data = text.encode() + b"\0"
    return struct.pack("<i", len(data)) + data


def _error(code, labels):
    listed = document(*(element(2, str(i), _string(label)) for i, label in enumerate(labels)))
    return document(element(1, "ok", struct.pack("<d", 0)),
                     element(2, "errmsg", _string("told to")),
                     element(16, "code", struct.pack("<i", code)),
                     element(4, "errorLabels", listed))


def _with_concern(body, code, labels):
    """What was done, of which the server does not know that a majority has it."""
    concern = document(element(16, "code", struct.pack("<i", code)),
                        element(2, "errmsg", _string("told to")))
    more = element(3, "writeConcernError", concern)
    if labels:
        more += element(4, "errorLabels", document(
            *(element(2, str(i), _string(label)) for i, label in enumerate(labels))))
    body = body[4:-1] + more + b"\0"
    return struct.pack("<i", len(body) + 4) + body


def _message(number, answers, body):
    return struct.pack("<iiiiIB", 21 + len(body), number, answers, OP_MSG, 0, 0) + body


async def _read_message(reader):
    head = await reader.readexactly(16)
    return head + await reader.readexactly(struct.unpack_from("<i", head)[0] - 16)


def _command(message):
    """The name, whether inside a transaction, and the body."""
    if struct.unpack_from("<i", message, 12)[0] != OP_MSG or message[20] != 0:
        return HELLOS[0], False, b""    # the first of a connection, in the form of old
    body = message[21:21 + struct.unpack_from("<i", message, 21)[0]]
    return body[5:body.index(b"\0", 5)].decode(), b"\x08autocommit\0\0" in body, body


class Fault:
    """
    how     cut      the connection goes, and nobody gets an answer
            error    the answer is an error of this code with these labels
            concern  the answer says that it was done, and a write concern error
    after   the server has done it first
    """

    def __init__(self, name, how, after=False, code=0, labels=(), skip=0, times=1, inside=None):
        self.name, self.how, self.after = name, how, after or how == "concern"
        self.code, self.labels = code, labels
        self.skip, self.times, self.inside = skip, times, inside
        self.done = 0

    def takes(self, name, inside):
        if name in HELLOS or self.name not in (name, "*") or self.inside not in (inside, None):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.done >= self.times:
            return False
        self.done += 1
        return True


class Wire(Proxy):
    """
    do(fault) tells what goes wrong next, in the place of what was told before; seen has all commands
    since then: name, whether inside a transaction, body.
    """

    def __init__(self, url):
        self.lock = threading.Lock()
        self.fault, self.seen = None, []
        self.monitors = set()           # connections on which there was nothing but hello
        super().__init__(url)

    def do(self, fault=None):
        with self.lock:
            self.fault, self.seen = fault, []
        return fault

    def _fault_of(self, message):
        name, inside, body = _command(message)
        with self.lock:
            self.seen.append((name, inside, body))
            if self.fault is not None and self.fault.takes(name, inside):
                return self.fault
        return None

    def _ways(self, reader, writer, there, back):
        waiting = {}                    # numbers of commands whose answers are changed
        return self._ask(reader, writer, back, waiting), self._answer(there, writer, waiting)

    def _tell_monitors(self, fault):
        """A primary that steps down or ends says so to who waits for such news, too."""
        if fault.code in (NOT_PRIMARY, SHUTTING_DOWN):
            for one in self.monitors:
                one.transport.abort()
            self.monitors.clear()

    async def _ask(self, reader, writer, back, waiting):
        try:
            while await self._ask_one(reader, writer, back, waiting):
                pass
        finally:
            self.monitors.discard(writer)

    async def _ask_one(self, reader, writer, back, waiting):
        """False when the connection is to be cut."""
        message = await _read_message(reader)
        await self.gate.wait()
        fault = self._fault_of(message)
        if _command(message)[0] in HELLOS:
            self.monitors.add(writer)
        else:
            self.monitors.discard(writer)
        number = struct.unpack_from("<i", message, 4)[0]
        if fault is not None and not fault.after:
            if fault.how == "cut":
                return False
            writer.write(_message(1, number, _error(fault.code, fault.labels)))
            self._tell_monitors(fault)
            return True
        if fault is not None:
            waiting[number] = fault
        back.write(message)
        await back.drain()
        return True

    async def _answer(self, there, writer, waiting):
        while True:
            message = await _read_message(there)
            await self.gate.wait()
            number = struct.unpack_from("<i", message, 8)[0]
            fault = waiting.pop(number, None)
            if fault is not None:
                if fault.how == "cut":
                    return
                body = _with_concern(message[21:], fault.code, fault.labels) \
                    if fault.how == "concern" else _error(fault.code, fault.labels)
                message = _message(1, number, body)
            writer.write(message)
            if fault is not None:
                self._tell_monitors(fault)
            await writer.drain()
