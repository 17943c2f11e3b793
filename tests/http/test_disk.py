# SPDX-License-Identifier: Apache-2.0
"""A full disk or a read-only file: 503 for what has to be written, and it recovers by itself."""

import os
import subprocess
import time

import pytest

from hb_client import Client, assert_problem
from hb_users import PASSWORD, Users

REFUSALS = ("HB02002", "~HB01", "~HB001")       # the reply's line, the store's, the spool's


def register(server, n):
    return Client(server).post("/api/v1/auth/register", json={
        "email": "disk%d@halobuzz.test" % n, "username": "disk%d" % n, "password": PASSWORD})


@pytest.fixture
def small_disk(make_server, as_root):
    """A server whose state directory is a file system of 6 MB."""
    server = make_server(start=False)
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m,mode=0750,uid=%d,gid=%d" % (
        os.stat(server.state).st_uid, os.stat(server.state).st_gid), "tmpfs", server.state]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip("no file system can be mounted here: " + done.stderr.strip())
    try:
        yield server.start()
    finally:
        server.kill()
        subprocess.run(["umount", "-l", server.state], capture_output=True)


def fill(path):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(fd, b"x" * 4096)
    except OSError:
        os.close(fd)


@pytest.mark.embedded
def test_a_full_disk(small_disk, claims):
    claims(*REFUSALS)
    server = small_disk
    user = Users(server).make()
    filler = os.path.join(server.state, "filler")
    fill(filler)
    refused = None
    for n in range(200):        # the last pages of the log are still free
        refused = register(server, n)
        if refused.status_code != 201:
            break
    assert_problem(refused, 503, "store.readonly")
    assert user.get("/api/v1/users/me").status_code == 200
    health = Client(server).get("/api/v1/monitoring/health")
    assert health.status_code == 200 and health.json()["status"] in ("degraded", "healthy")
    os.unlink(filler)
    assert register(server, 1000).status_code == 201
    # Another child may still remember its own failed look, for about a second.
    until = time.monotonic() + 10
    while Client(server).get("/health").json()["status"] != "healthy":
        assert time.monotonic() < until, "health does not heal"
        time.sleep(0.05)


@pytest.mark.embedded
def test_records_that_cannot_be_written(make_server, claims, as_root):
    """Made immutable by the operator's mistake: the same refusal, the same recovery."""
    claims(*REFUSALS)
    server = make_server()
    Users(server).make()
    server.stop()
    files = [os.path.join(server.state, n) for n in os.listdir(server.state) if ".db" in n]
    modes = {path: os.stat(path) for path in files}
    for path in files + [server.state]:
        os.chmod(path, 0o555 if path == server.state else 0o444)
        os.chown(path, 0, 0) if path != server.state else None
    try:
        server.start_again()
        reply = register(server, 1)
        assert reply.status_code == 503, reply.text
        assert_problem(reply, 503)
        server.stop()
    finally:
        os.chmod(server.state, 0o750)
        for path, info in modes.items():
            if os.path.exists(path):
                os.chmod(path, info.st_mode)
                os.chown(path, info.st_uid, info.st_gid)
    server.start_again()
    assert register(server, 2).status_code == 201
