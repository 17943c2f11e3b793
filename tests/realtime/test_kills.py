# SPDX-License-Identifier: Apache-2.0
"""Httpd reloads, or a process is killed, while everybody talks: clients come back by themselves,
each has heard the same words in the same order, and nothing was said twice."""

import os
import signal
import subprocess
import threading
import time

import pytest
import requests

from hb_live import BUILD, PROGRAM
from hb_realtime import wait_for
from hb_socketio import Refused, Socket

WORDS = 20                              # of each who speaks


class Person(threading.Thread):
    """A client that comes back whenever its connection ends. What it has to say it says until that
    was acknowledged."""

    def __init__(self, server, user, stream, words=()):
        super().__init__(daemon=True)
        self.server, self.user, self.stream, self.words = server, user, stream, list(words)
        self.heard, self.comebacks, self.is_lost, self.problem = [], 0, False, None
        self.entered, self.may_speak, self.said = (threading.Event() for _ in range(3))
        self.socket = None

    def come_back(self):
        old = self.socket
        self.heard += [p["id"] for p, _ in old.events("chat:new")]
        for _ in range(200):
            try:
                self.socket = Socket(self.server, self.user.token, pid=old.pid, offset=old.offset)
                break
            except Refused:
                raise
            except Exception:           # nobody there yet
                time.sleep(0.1)
        else:
            raise AssertionError("no way back")
        self.comebacks += 1
        self.is_lost = not self.socket.recovered

    def say_next(self):
        try:
            answer = self.socket.call("chat:new", self.words[0])
        except (AssertionError, OSError):
            return                      # cut meanwhile; it may have been heard
        if answer["ok"]:
            self.words.pop(0)
        else:
            assert answer["error"]["code"] == "unavailable", answer

    def is_over(self):
        return self.said.is_set() and any(p["text"] == "the end"
                                          for p, _ in self.socket.events("chat:new"))

    def live(self):
        self.socket = Socket(self.server, self.user.token, join=self.stream)
        self.entered.set()
        while not self.is_lost and not self.is_over():
            if self.socket.inbox.closed:
                self.come_back()
            elif self.words and self.may_speak.is_set():
                self.say_next()
            elif not self.words:
                self.said.set()
            time.sleep(0.02)
        self.said.set()
        if not self.is_lost:
            self.heard += [p["id"] for p, _ in self.socket.events("chat:new")]

    def run(self):
        try:
            self.live()
        except Exception as problem:
            self.problem = problem
            self.said.set()


def say_over_http(live, word):
    """Until it is answered."""
    for _ in range(200):
        try:
            reply = live.host.post("/api/v1/streams/%s/messages" % live.id, json=word)
            assert reply.status_code in (200, 201, 503), reply.text
            if reply.status_code != 503:
                return
        except requests.RequestException:
            pass
        time.sleep(0.05)
    raise AssertionError("httpd does not answer")


def reload(server):
    sidecar = server.sidecar()
    server.graceful()
    assert server.sidecar() == sidecar


def kill_child(server):
    sidecar = server.sidecar()
    os.kill(next(p for p in server.children() if p != sidecar), signal.SIGKILL)
    time.sleep(0.5)
    assert server.sidecar() == sidecar


def kill_sidecar(server):
    server.wait_sidecar()
    server.kill_sidecar()


def kill_parent(server):
    """Then the sidecar ends by itself; whatever else is left ends as systemd ends it."""
    session = server.process.pid
    server.process.kill()
    server.process.wait()
    until = time.monotonic() + 10
    while server.sidecar() is not None:
        assert time.monotonic() < until, "it serves on, without a parent"
        time.sleep(0.02)
    server.kill_session(session)
    server.start_again()


def words_of(stream, name, n):
    """A client's own id makes a word that is said again no second one."""
    return [{"streamId": stream, "text": "%s %d" % (name, i), "clientId": "%s-%d" % (name, i)}
            for i in range(n)]


@pytest.mark.parametrize("loops, what", (("1", reload), ("3", kill_child), ("3", kill_sidecar),
                                         ("1", kill_parent)))
def test_nobody_misses_a_word(make_server, make_users, make_live_on, claims, loops, what):
    claims("AH00052", "AH00051", "AH00484", "AH00098", "~realtime", "HB02002")     # 503 while it is away
    server = make_server(settings={"HaloBuzzRealtimeGrace": "500ms", "HaloBuzzRealtimeLoops": loops,
                                   "HaloBuzzChatPerMinute": "100000"}, tls=True)
    live, users = make_live_on(server), make_users(server)
    people = [Person(server, users.make(), live.id, words_of(live.id, "person%d" % n, WORDS)
                     if n < 3 else ()) for n in range(6)]
    for one in people:
        one.start()
    for one in people:
        assert one.entered.wait(10)
    for one in people:
        one.may_speak.set()
    for i, word in enumerate(words_of(live.id, "host", WORDS)):
        if i in (5, 12):
            what(server)
        say_over_http(live, word)
        time.sleep(0.05)
    for one in people:
        assert one.said.wait(30), "somebody was not heard"
    say_over_http(live, {"text": "the end", "clientId": "end"})
    for one in people:
        one.join(20)
        assert one.problem is None, repr(one.problem)
        assert not one.is_alive(), "somebody did not hear the end"
    # Whoever is told that something was missed knows; here nobody is.
    assert not any(one.is_lost for one in people)
    assert sum(one.comebacks for one in people) >= len(people)
    assert live.viewers() == len(people)
    history = live.host.get("/api/v1/streams/%s/messages?limit=100" % live.id).json()["items"]
    texts = ["%s %d" % (name, i) for name in ("person0", "person1", "person2", "host")
             for i in range(WORDS)] + ["the end"]
    assert sorted(m["text"] for m in history) == sorted(texts)
    # What was kept by a process that was killed before it told is told when it is said again.
    assert sorted(people[0].heard) == sorted(m["id"] for m in history)
    for one in people:
        assert one.heard == people[0].heard


def test_a_reload_while_the_sidecar_starts_is_heard(tmp_path):
    """It waits until there is somebody to hear it: the settings may have been read before it."""
    settings, log = tmp_path / "settings", tmp_path / "log"
    os.chmod(tmp_path, 0o750)
    settings.write_text("HaloBuzzStateDir %s\nHaloBuzzEnvironment test\n"
                        "HaloBuzzPublicURL http://localhost:9\n"
                        "HaloBuzzRealtimeSocket %s/s\n" % (tmp_path, tmp_path))

    def be_told_already():
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
        os.kill(os.getpid(), signal.SIGHUP)

    with open(log, "w") as out:
        program = subprocess.Popen(
            [PROGRAM, "--config", str(settings)], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            env={**os.environ, "LD_LIBRARY_PATH": os.path.join(BUILD, ".libs")},
            preexec_fn=be_told_already)
    try:
        wait_for(lambda: "HB06103" in log.read_text() or program.poll() is not None,
                 why=log.read_text)
    finally:
        program.terminate()
        assert program.wait(30) == 0, log.read_text()
    assert "HB06103" in log.read_text()
