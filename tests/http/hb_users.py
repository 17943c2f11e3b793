# SPDX-License-Identifier: Apache-2.0
"""Accounts on a server under test, and the mail it would have sent."""

import contextlib
import email
import email.policy
import itertools
import os
import re
import sqlite3
import time

from hb_client import Client

PASSWORD = "Kathmandu-26!"
MAIL_WAIT_SEC = 15


class User(Client):
    """A registered, signed-in account; calls carry its access token."""

    def __init__(self, server, email_address, username, password, signed_in):
        super().__init__(server, signed_in["accessToken"])
        self.email = email_address
        self.username = username
        self.password = password
        self.take(signed_in)

    def take(self, signed_in):
        """Use the tokens of a sign-in or refresh."""
        self.signed_in = signed_in
        self.token = signed_in["accessToken"]
        self.refresh_token = signed_in["refreshToken"]
        self.session_id = signed_in["sessionId"]
        if "user" in signed_in:
            self.id = signed_in["user"]["id"]

    def login(self, **more):
        """Sign in once more: another session with its own tokens."""
        reply = Client(self.server).post("/api/v1/auth/login", json={
            "email": self.email, "password": self.password, **more})
        assert reply.status_code == 200, reply.text
        self.take(reply.json())
        return self


class Users:
    """Makes accounts; each call another one."""

    numbers = itertools.count(1)

    def __init__(self, server):
        self.server = server

    def make(self, username=None, password=PASSWORD, email_address=None, **fields):
        n = next(self.numbers)
        username = username or "tester%d" % n
        email_address = email_address or "tester%d@halobuzz.test" % n
        reply = Client(self.server).post("/api/v1/auth/register", json={
            "email": email_address, "username": username, "password": password, **fields})
        assert reply.status_code == 201, reply.text
        return User(self.server, email_address, username, password, reply.json())


class Mails:
    """The spool directory of a server, read as a mail client would."""

    def __init__(self, server):
        self.folder = os.path.join(server.state, "mail")
        self.records = os.path.join(server.state, "halobuzz.db")

    def settle(self):
        """Wait until every mail written so far is a file: rows go after their files came."""
        until = time.monotonic() + MAIL_WAIT_SEC
        # What an earlier reply told of is committed, so it is a row or a file by now.
        with contextlib.closing(sqlite3.connect("file:%s?mode=ro" % self.records,
                                                uri=True, timeout=5)) as db:
            while db.execute("SELECT count(*) FROM outbox").fetchone()[0] > 0:
                assert time.monotonic() < until, "mail stays in the outbox"
                time.sleep(0.05)
        return self

    def all(self):
        """[(path, message)] oldest first: names begin with the time."""
        found = []
        for folder, _, names in os.walk(self.folder):
            for name in names:
                path = os.path.join(folder, name)
                if name.startswith(".") or name.endswith((".tmp", ".lock")):
                    continue
                try:
                    with open(path, "rb") as f:
                        message = email.message_from_binary_file(f, policy=email.policy.default)
                    found.append((name, path, message))
                except FileNotFoundError:
                    continue    # renamed meanwhile
        return [(path, message) for _, path, message in sorted(found, key=lambda m: m[:2])]

    def to(self, address):
        return [m for _, m in self.all() if m["To"] is not None
                and address.lower() in m["To"].lower()]

    def newest(self, address, count=1):
        """The newest mail to an address, once there are at least count of them."""
        until = time.monotonic() + MAIL_WAIT_SEC
        while True:
            mails = self.to(address)
            if len(mails) >= count:
                return mails[-1]
            assert time.monotonic() < until, "no mail to %s in %s" % (address, self.folder)
            time.sleep(0.05)

    def code(self, address, count=1):
        """The code in the newest mail."""
        text = self.newest(address, count).get_content()
        words = re.findall(r"\b[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}\b", text)
        assert len(words) == 1, text
        return words[0]
