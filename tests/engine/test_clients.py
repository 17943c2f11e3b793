# SPDX-License-Identifier: Apache-2.0
"""Stock clients: nobody has to change his app to talk to us."""

import fcntl
import os
import shutil
import subprocess
import sys

import pytest

from hb_engine import BUILD, HERE_JS, WAIT_SEC

VERSIONS = {"4.8": "4.8.1", "4.7": "4.7.5", "4.5": "4.5.4", "4.0": "4.0.2", "3.1": "3.1.3", "2.5": "2.5.0"}
TRANSPORTS = ("polling", "websocket", "upgrade")


def missing(why):
    if os.environ.get("CI") == "true":
        pytest.fail(why)                # nobody reads a skip there
    pytest.skip(why)


@pytest.fixture(scope="session")
def modules():
    folder = os.environ.get("HB_NODE", os.path.join(BUILD, "node-realtime"))
    wanted = {"sio-" + short: "npm:socket.io-client@" + full for short, full in VERSIONS.items()}
    wanted.update({"engine.io-client": "6.6.3", "ws": "8.18.3"})
    there = os.path.join(folder, "node_modules")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "lock"), "w") as lock:       # ../halves runs two of us
        fcntl.flock(lock, fcntl.LOCK_EX)
        install(folder, wanted, there)
    return there


def install(folder, wanted, there):
    lacking = [n for n in wanted if not os.path.isdir(os.path.join(there, n))]
    if lacking:
        if not shutil.which("npm"):
            missing("npm is missing (Debian: npm)")
        done = subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock",
             "--loglevel=error", "--prefix", folder]
            + ["%s@%s" % (n, wanted[n]) for n in lacking],
            cwd=folder, capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            missing("npm cannot install the clients: " + done.stderr[-300:])


def run_node(modules, server, *args):
    done = subprocess.run(
        ["node", HERE_JS, "http://127.0.0.1:%d" % server.port, *args],
        env={**os.environ, "NODE_PATH": modules}, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "ok", done.stdout + done.stderr


@pytest.fixture
def node(server, modules):
    return lambda *args: run_node(modules, server, *args)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("version", [v for v in VERSIONS if v != "2.5"])
def test_socketio_client(node, version, transport):
    node("stock", "sio-%s/%s" % (version, transport))


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_old_client_is_refused(node, transport):
    node("old", transport)


def test_room(node):
    node("room")


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_reasons(node, transport):
    node("reasons", transport)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_engineio_client(node, transport):
    node("engine", transport)


def test_ws(node):
    node("ws")


def test_deflate(make_server, modules):
    """The official clients offer it by themselves; nothing else changes for them."""
    server = make_server("--deflate", "--loops", "2")
    run_node(modules, server, "ws", "deflate")
    run_node(modules, server, "engine", "websocket")
    run_node(modules, server, "engine", "default")


PYTHON = """
import sys, threading
import socketio

url, transport = sys.argv[1:]
client = socketio.Client(reconnection=False)
got = {}
events = {name: threading.Event() for name in ("auth", "back", "upgraded")}

@client.on("auth")
def auth(data):
    got["auth"] = data
    events["auth"].set()

@client.on("message-back")
def back(*args):
    got["back"] = args
    events["back"].set()

ways = {"polling": ["polling"], "websocket": ["websocket"], "upgrade": None}
client.connect(url, auth={"token": "x"}, transports=ways[transport], wait_timeout=5)
assert events["auth"].wait(5) and got["auth"] == {"token": "x"}, got
client.emit("message", (1, "zwei", b"\\x01\\x02", {"a": [True]}))
assert events["back"].wait(5), got
assert got["back"] == (1, "zwei", b"\\x01\\x02", {"a": [True]}), got
assert client.call("message-with-ack", ("a", b"\\x03"), timeout=5) == ("a", b"\\x03")
client.sleep(1.2)
assert client.connected
assert client.call("message-with-ack", "b", timeout=5) == "b"
assert client.transport() == ("polling" if transport == "polling" else "websocket")
client.disconnect()
print("ok")
"""


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_python_client(server, transport):
    pytest.importorskip("socketio", reason="python3-socketio is missing")
    pytest.importorskip("websocket", reason="python3-websocket is missing")
    done = subprocess.run([sys.executable, "-c", PYTHON, "http://127.0.0.1:%d" % server.port, transport],
                          capture_output=True, text=True, timeout=6 * WAIT_SEC)
    assert done.stdout.strip() == "ok", done.stdout + done.stderr
