# SPDX-License-Identifier: Apache-2.0
"""Official Socket.IO clients from npm, in a process of their own (stock_client.js)."""

import fcntl
import json
import os
import shutil
import subprocess
import threading

import pytest

from hb_socketio import Inbox, WAIT_SEC

HERE = os.path.dirname(os.path.abspath(__file__))
VERSIONS = {"4.8": "4.8.1", "4.7": "4.7.5", "4.5": "4.5.4", "4.0": "4.0.2", "3.1": "3.1.3"}


def _missing(why):
    if os.environ.get("CI") == "true":
        pytest.fail(why)                # nobody reads a skip there
    pytest.skip(why)


def packages(folder):
    """Where the clients are; installed once, also when two runs begin at the same moment. Skips
    when there is no npm or no registry."""
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _install(folder)


def _install(folder):
    modules = os.path.join(folder, "node_modules")
    wanted = {"sio-" + short: full for short, full in VERSIONS.items()}
    lacking = [n for n in wanted if not os.path.isdir(os.path.join(modules, n))]
    if lacking:
        if not shutil.which("npm"):
            _missing("npm is missing (Debian: npm)")
        done = subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts",
             "--no-package-lock", "--loglevel=error", "--prefix", folder]
            + ["%s@npm:socket.io-client@%s" % (n, wanted[n]) for n in wanted],
            cwd=folder, capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            _missing("npm cannot install socket.io-client: " + done.stderr[-300:])
    return modules


class Stock:
    """A node process with any number of clients."""

    def __init__(self, modules, server):
        self.server = server
        self.inbox = Inbox()
        self.numbers = 0
        env = {**os.environ, "NODE_PATH": modules}
        if server.tls:
            env["NODE_EXTRA_CA_CERTS"] = server.certificate
        self.process = subprocess.Popen(
            ["node", os.path.join(HERE, "stock_client.js")], env=env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        threading.Thread(target=self._read, daemon=True).start()
        self.wait("", "ready")

    def _read(self):
        for line in self.process.stdout:
            self.inbox.put(json.loads(line))
        self.inbox.end("node ended")

    def send(self, **command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)

    # --- clients

    def connect(self, name, token, version="4.8", **options):
        options.setdefault("reconnectionDelay", 100)
        options.setdefault("reconnectionDelayMax", 300)
        self.send(do="connect", name=name, url=self.server.url, version=version,
                  options={"auth": {"token": token}, **options})
        return self.wait(name, "connect")

    def wait(self, name, did, match=lambda line: True, after=0, timeout=WAIT_SEC):
        """The first line of that kind from the after-th line on."""
        def find(items):
            return next((i for i in items[after:] if i.get("name", "") == name
                         and i["did"] == did and match(i)), None)
        return self.inbox.wait(find, timeout)

    def mark(self):
        with self.inbox.condition:
            return len(self.inbox.items)

    def call(self, name, event, data):
        self.numbers += 1
        number = self.numbers
        self.send(do="call", name=name, number=number, event=event, data=data)
        return self.wait(name, "answer", lambda i: i["number"] == number)["answer"]

    def texts(self, name):
        with self.inbox.condition:
            return [i["args"][0]["text"] for i in self.inbox.items
                    if i.get("name") == name and i["did"] == "event"
                    and i["event"] == "chat:new"]

    def wait_text(self, name, text, timeout=WAIT_SEC):
        return self.wait(name, "event", lambda i: i["event"] == "chat:new"
                         and i["args"][0]["text"] == text, timeout=timeout)
