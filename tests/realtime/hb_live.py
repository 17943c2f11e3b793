# SPDX-License-Identifier: Apache-2.0
"""A server with rooms over sockets: httpd with every module of the suite, and the sidecar."""

import itertools
import json
import os
import signal
import socket
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
HTTP = os.path.join(os.path.dirname(HERE), "http")
sys.path.insert(0, HTTP)

from hb_finance import ctl, give_coins          # noqa: E402
from hb_httpd import BUILD, Httpd, processes_of  # noqa: E402
from hb_realtime import arguments, sidecars     # noqa: E402
from hb_users import Users                      # noqa: E402

PROGRAM = os.path.join(BUILD, ".libs", "halobuzz-realtimed")
STREAMS = "/api/v1/streams"
WAIT_SEC = 30


class LiveServer(Httpd):
    def __init__(self, settings=None, **args):
        super().__init__(**arguments({
            "HaloBuzzRealtimeProgram": PROGRAM, "HaloBuzzAuthStaffTOTP": "off",
            **(settings or {})}, **args))
        self.numbers = itertools.count(1)
        self._finance = None

    def start(self):
        super().start()
        self.wait_sidecar()
        return self

    # --- the program

    def sidecar(self):
        """Its number, None while it is not there."""
        found = sidecars(self, PROGRAM)
        return found[0] if found else None

    def kill_sidecar(self, how=signal.SIGKILL):
        pid = self.sidecar()
        os.kill(pid, how)
        until = time.monotonic() + WAIT_SEC
        while self.sidecar() == pid:
            assert time.monotonic() < until, "it does not die"
            time.sleep(0.01)

    def wait_sidecar(self):
        """
        Until a handshake is answered. The program itself is asked first: httpd would note each
        caller who comes before it.
        """
        import requests
        until = time.monotonic() + WAIT_SEC
        while True:
            try:
                self.status()
                with requests.Session() as session:
                    session.trust_env = False
                    reply = session.get(self.url + "/socket.io/?EIO=4&transport=polling",
                                        verify=self.certificate if self.tls else None,
                                        timeout=5)
                if reply.status_code == 200:
                    return
            except (OSError, ValueError):       # requests' own are among them
                pass
            assert time.monotonic() < until, "no sidecar:\n" + self.log_text()[-3000:]
            time.sleep(0.05)

    def status(self):
        """The program's counters, asked over its socket."""
        path = os.path.join(self.root, "run", "halobuzz", "realtime.sock")
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(WAIT_SEC)
            s.connect(path)
            s.sendall(b"GET /.halobuzz/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            data = b""
            while True:
                chunk = s.recv(65536)
                if not chunk:
                    break
                data += chunk
        return json.loads(data.partition(b"\r\n\r\n")[2])

    # --- people and rooms

    def finance(self):
        """Somebody who may give coins; the catalogue is there then, too."""
        if self._finance is None:
            ctl(self, "seed")
            name = "finance%d" % next(self.numbers)
            one = Users(self).make(username=name, email_address=name + "@halobuzz.test")
            ctl(self, "user", "role", name, "finance")
            self._finance = one.login()
        return self._finance

    def rich(self, coins=1000):
        """(somebody with coins, a gift they can pay)"""
        staff = self.finance()
        user = Users(self).make()
        give_coins(staff, user, coins)
        gifts = user.get("/api/v1/gifts?limit=100").json()["items"]
        return user, next(g for g in gifts if g["code"] == "rose")


class Live:
    """A stream that is live, and its host."""

    def __init__(self, server):
        self.host = Users(server).make()
        reply = self.host.post(STREAMS, {"title": "Songs"})
        assert reply.status_code == 201, reply.text
        self.id = reply.json()["id"]
        reply = self.host.post(STREAMS + "/%s/start" % self.id)
        assert reply.status_code == 200, reply.text

    def viewers(self):
        return self.host.get(STREAMS + "/" + self.id).json()["viewers"]
