# SPDX-License-Identifier: Apache-2.0
"""Httpd reloads, or a child of it is killed, while everybody talks: clients come back by themselves,
to the same sidecar, and nobody has missed a word."""

import os
import signal
import threading
import time

import pytest
import requests

from hb_socketio import Refused, Socket

CHANGES = 40


def say_over_http(live, text):
    reply = live.host.post("/api/v1/streams/%s/messages" % live.id, json={"text": text})
    assert reply.status_code == 201, reply.text


class Listener(threading.Thread):
    """A client that comes back whenever its connection ends."""

    def __init__(self, server, user, stream):
        super().__init__(daemon=True)
        self.server, self.user, self.stream = server, user, stream
        self.heard, self.comebacks, self.lost, self.over = [], 0, False, False

    def come_back(self, old):
        for _ in range(100):
            try:
                return Socket(self.server, self.user.token, pid=old.pid, offset=old.offset)
            except Refused:
                raise
            except Exception:           # httpd is between two children
                time.sleep(0.1)
        raise AssertionError("no way back")

    def run(self):
        socket = Socket(self.server, self.user.token, join=self.stream)
        while not self.over:
            texts = socket.texts()
            if texts and texts[-1] == "the end":
                break
            if socket.inbox.closed:
                texts = socket.texts()
                fresh = self.come_back(socket)
                self.comebacks += 1
                self.heard += texts
                if not fresh.recovered:
                    self.lost = True
                    return
                socket = fresh
            time.sleep(0.02)
        self.heard += socket.texts()


def children(server):
    return [p for p in server.children() if p != server.sidecar()]


def kill_a_child(server, live):
    before = children(server)
    os.kill(before[0], signal.SIGKILL)
    live.host.session.close()
    for _ in range(100):
        try:
            if live.host.get("/health").status_code == 200:
                return
        except requests.RequestException:
            time.sleep(0.05)
    raise AssertionError("httpd does not answer")


@pytest.mark.parametrize("what", ("reload", "kill"))
def test_nobody_misses_a_word(make_server, make_users, make_live_on, claims, what):
    claims("AH00052", "AH00051", "AH00484")
    server = make_server(settings={"HaloBuzzRealtimeGrace": "500ms",
                                   "HaloBuzzRealtimePerUser": "50"}, tls=True)
    live, users = make_live_on(server), make_users(server)
    sidecar = server.sidecar()
    listeners = [Listener(server, users.make(), live.id) for _ in range(6)]
    for one in listeners:
        one.start()
    time.sleep(1)
    for i in range(CHANGES):
        if i in (10, 25):
            if what == "reload":
                server.graceful()
            else:
                kill_a_child(server, live)
        say_over_http(live, "message %d" % i)
        time.sleep(0.05)
    say_over_http(live, "the end")
    expected = ["message %d" % i for i in range(CHANGES)] + ["the end"]
    for one in listeners:
        one.join(20)
        one.over = True
    for one in listeners:
        assert not one.lost and one.heard == expected
        assert one.comebacks >= (1 if what == "reload" else 0)
    assert sum(one.comebacks for one in listeners) >= len(listeners)
    assert server.sidecar() == sidecar
    history = live.host.get("/api/v1/streams/%s/messages?limit=100" % live.id).json()["items"]
    assert [m["text"] for m in reversed(history)] == expected
