# SPDX-License-Identifier: Apache-2.0
"""Mail goes from the outbox to the spool and to SMTP when that is set, and holds nobody back."""

import socketserver
import threading
import time

import pytest

from hb_users import Mails, Users


class Desk(socketserver.StreamRequestHandler):
    """Takes every mail; says as little as SMTP allows."""

    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")

    def handle(self):
        if self.server.is_silent:
            self.server.visited.set()
            self.server.done.wait(30)
            return
        self.say("220 test")
        while True:
            line = self.rfile.readline()
            word = line[:4].upper()
            if not line:
                return
            if word == b"DATA":
                self.say("354 go on")
                text = b"".join(iter(self.rfile.readline, b".\r\n"))
                self.server.mails.append(text.decode())
                self.say("250 taken")
            elif word == b"QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 fine")


class Smtp(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, is_silent=False):
        super().__init__(("127.0.0.1", 0), Desk)
        self.is_silent = is_silent
        self.mails, self.visited, self.done = [], threading.Event(), threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.done.set()
        self.shutdown()
        self.server_close()

    @property
    def url(self):
        return "smtp://127.0.0.1:%d" % self.server_address[1]


def test_spooled_mail_is_delivered_once(make_server):
    with Smtp() as smtp:
        server = make_server(settings={"HaloBuzzSMTP": smtp.url})
        users = [Users(server).make() for _ in range(3)]
        until = time.monotonic() + 12
        while len(smtp.mails) < 3 or Mails(server).all():
            assert time.monotonic() < until, smtp.mails
            time.sleep(0.1)
        for user in users:
            assert sum("To: " + user.email in mail for mail in smtp.mails) == 1


def test_without_smtp_it_waits_in_the_spool(server, users, mails):
    user = users.make()
    assert user.email in mails.newest(user.email)["To"]


@pytest.mark.embedded
def test_a_killed_server_loses_no_mail(make_server, claims):
    claims("~HB01113", "AH00098")   # a writer died; the pid file of an unclean end
    server = make_server()
    users = [Users(server).make() for _ in range(5)]
    server.kill()               # as a rule before the first of them is a file
    server.start_again()
    mails = Mails(server)
    for user in users:
        mails.newest(user.email)
    mails.settle()
    assert [len(mails.to(user.email)) for user in users] == [1] * 5


def test_a_mail_server_that_hangs_does_not_hold_up_a_stop(make_server):
    with Smtp(is_silent=True) as smtp:
        server = make_server(settings={"HaloBuzzSMTP": smtp.url})
        Users(server).make()
        assert smtp.visited.wait(10)
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 5
        assert len(Mails(server).all()) >= 1
