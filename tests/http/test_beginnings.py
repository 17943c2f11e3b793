# SPDX-License-Identifier: Apache-2.0
"""Starting while MongoDB or Redis cannot be used: httpd says what to do, answers what it can, and
heals by itself. And what the parent never has: their drivers."""

import os
import shutil
import signal
import subprocess
import time

import pytest

from hb_client import Client
from hb_httpd import CACHE, STORE, Httpd, store_for_one
from hb_servers import Mongo, Proxy, Redis, Server
from hb_users import Users

pytestmark = pytest.mark.skipif(not (STORE and CACHE), reason="needs a MongoDB and a Redis")
needs_secantus = pytest.mark.skipif(not Mongo.PROGRAM, reason="needs a SecantusDB of its own")

LINES = ("HB01143", "HB01148", "HB01150", "HB01151", "HB01153", "HB01154", "HB02002", "HB09501", "HB08503")
HEAL_SEC = 20


@pytest.fixture
def keep():
    """What a case keeps until its servers have stopped: what has close(), and folders."""
    kept = []
    yield lambda one: kept.append(one) or one
    for one in kept:
        one.close()


def services(server):
    return Client(server).get("/api/v1/monitoring/health").json()["services"]


def wait_for(server, **wanted):
    until = time.monotonic() + HEAL_SEC
    while True:
        found = services(server)
        if all(found[name] == word for name, word in wanted.items()):
            return
        assert time.monotonic() < until, found
        time.sleep(0.1)


def begin(make_server, claims, store=None, cache=None, **more):
    claims(*LINES)
    return make_server(settings={
        "HaloBuzzStore": store or store_for_one(), "HaloBuzzMonitorAddress": "127.0.0.1",
        "HaloBuzzCache": cache or "%s?prefix=b%s:" % (CACHE, os.urandom(4).hex()),
        "HaloBuzzStoreSelectTimeout": "1s", "HaloBuzzStoreSocketTimeout": "3s",
        "HaloBuzzRedisTimeout": "500ms"}, **more)


def check_degraded(server, said):
    """It answers, refuses what needs records, and the log has the words."""
    assert services(server)["database"] == "disconnected"
    reply = Client(server).get("/api/v1/streams")
    assert reply.status_code == 503 and reply.headers["Retry-After"]
    text = server.log_text()
    for words in said:
        assert words in text, text[-3000:]


def check_serves(server):
    """Somebody registers. Each child heals by itself, so health may be another one's word."""
    until = time.monotonic() + HEAL_SEC
    while True:
        try:
            user = Users(server).make()
            assert user.get("/api/v1/users/me").status_code == 200, "store.unavailable"
            return
        except AssertionError as refused:
            assert "store.unavailable" in str(refused) and time.monotonic() < until, refused
            time.sleep(0.1)


def test_both_are_away_and_come(keep, make_server, claims):
    mongodb, redis = keep(Proxy(STORE)), keep(Proxy(CACHE))
    mongodb.stop()
    redis.stop()
    # by way of references, as URLs with passwords are given
    server = begin(make_server, claims, "env:STORE_OF_ONE", "env:CACHE_OF_ONE", environment={
        "STORE_OF_ONE": store_for_one().replace(STORE.rstrip("/"), mongodb.url()),
        "CACHE_OF_ONE": redis.url()})
    check_degraded(server, ["is it running, and may this host reach it?", "does not answer"])
    mongodb.go()
    redis.go()
    wait_for(server, database="connected", redis="connected")
    check_serves(server)
    metrics = Client(server).get("/api/v1/monitoring/metrics").text
    assert 'up{job="mongodb"} 1' in metrics and "halobuzz_store_connections_most " in metrics


@pytest.mark.slow
def test_a_name_that_does_not_resolve(keep, make_server, claims):
    server = begin(make_server, claims, "mongodb://no-such-host.invalid/x",
                   "redis://no-such-host.invalid")
    check_degraded(server, ["no-such-host.invalid", "is it running, and may this host reach it?"])
    assert services(server)["redis"] == "disconnected"


@pytest.mark.slow
def test_a_certificate_that_is_not_trusted(keep, make_server, claims, tmp_path):
    """TLS before the server; trusted once its authority is named."""
    key, certificate = str(tmp_path / "key.pem"), str(tmp_path / "cert.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
                   check=True, capture_output=True)
    os.chmod(str(tmp_path), 0o755)
    folder = keep(Server()).folder  # one that www-data can reach
    os.chmod(folder, 0o755)
    proxy = keep(Proxy(STORE, certificate, key))
    shutil.copy(certificate, folder)
    server = begin(make_server, claims, proxy.url("/tls_x?tls=true"))
    check_degraded(server, ["tlsCAFile="])
    trusting = begin(make_server, claims, proxy.url(
        "/tls_%s?tls=true&tlsCAFile=%s/cert.pem" % (os.urandom(4).hex(), folder)))
    assert Users(trusting).make().get("/api/v1/users/me").status_code == 200


@pytest.mark.slow
@needs_secantus
def test_a_password_that_is_wrong(keep, make_server, claims):
    mongodb = keep(Mongo("--auth")).start()
    server = begin(make_server, claims, mongodb.url("/x?authSource=admin", "halo:wrong@"))
    check_degraded(server, ["user or password in HaloBuzzStore is wrong"])
    assert "halo:wrong" not in server.log_text()


@pytest.mark.slow
@needs_secantus
def test_a_server_without_transactions(keep, make_server, claims):
    mongodb = keep(Mongo("--standalone")).start()
    server = begin(make_server, claims, mongodb.url())
    check_degraded(server, ["--replSet rs0", "rs.initiate()"])


@pytest.mark.slow
def test_redis_with_a_password(keep, make_server, claims):
    redis = keep(Redis("--requirepass", "right")).start()
    server = begin(make_server, claims, cache=redis.url)
    assert services(server)["redis"] == "disconnected"
    assert "needs a password" in server.log_text()
    wrong = begin(make_server, claims, cache=redis.url.replace("//", "//:wrong@"))
    assert services(wrong)["redis"] == "disconnected"
    assert "refuses user or password" in wrong.log_text() and ":wrong@" not in wrong.log_text()
    right = begin(make_server, claims, cache=redis.url.replace("//", "//:right@"))
    assert services(right)["redis"] == "connected"


def test_the_parent_has_no_driver(keep, make_server, claims):
    """Libraries of MongoDB and Redis are opened in children, never before the fork."""
    server = begin(make_server, claims)
    assert Users(server).make().get("/api/v1/users/me").status_code == 200

    def maps(pid):
        with open("/proc/%d/maps" % pid) as f:
            return f.read()

    server.graceful()
    assert Users(server).make().get("/api/v1/users/me").status_code == 200
    found = maps(server.process.pid)
    for name in ("hb_store_mongodb", "hb_redis", "libmongoc", "libbson", "libhiredis"):
        assert name not in found
    assert "libhalobuzz" in found
    assert any("libmongoc" in maps(pid) and "libhiredis" in maps(pid) for pid in server.children())
    # Nor a connection: every socket to them belongs to a child.
    mine = {os.readlink("/proc/%d/fd/%s" % (server.process.pid, fd))
            for fd in os.listdir("/proc/%d/fd" % server.process.pid)}
    ports = {"%04X" % int(url.rstrip("/").rsplit(":", 1)[1]) for url in (STORE, CACHE)}
    with open("/proc/net/tcp") as f:
        theirs = {"socket:[%s]" % line.split()[9] for line in f.readlines()[1:]
                  if line.split()[2].split(":")[1] in ports}
    assert not mine & theirs


# --- servers of its own that are killed

@pytest.mark.slow
@needs_secantus
def test_mongodb_is_killed(keep, make_server, claims):
    """What was acknowledged is there afterwards."""
    mongodb = keep(Mongo("--sync-on-commit")).start()
    server = begin(make_server, claims, mongodb.url())
    users = [Users(server).make() for _ in range(10)]
    mongodb.kill()
    assert users[0].patch("/api/v1/users/me", json={"bio": "x"}).status_code == 503
    mongodb.start()
    wait_for(server, database="connected")
    until = time.monotonic() + HEAL_SEC         # each child finds it by itself
    for user in users:
        while user.get("/api/v1/users/me").status_code == 503:
            assert time.monotonic() < until
        assert user.get("/api/v1/users/me").status_code == 200
    mongodb.signal(signal.SIGSTOP)
    began = time.monotonic()
    assert services(server)["database"] == "disconnected"
    assert time.monotonic() - began < 3
    mongodb.signal(signal.SIGCONT)
    wait_for(server, database="connected")


@pytest.mark.slow
def test_redis_is_replaced(keep, make_server, claims):
    """Restarted with nothing in it; then its replica takes its place."""
    redis = keep(Redis()).start()
    replica = keep(Redis("--replicaof", "127.0.0.1", str(redis.port))).start()
    proxy = keep(Proxy(redis.url))
    server = begin(make_server, claims, cache=proxy.url())
    user = Users(server).make()
    assert user.get("/api/v1/users/me").status_code == 200
    redis.kill()
    assert user.get("/api/v1/users/me").status_code == 200
    redis.start()
    wait_for(server, redis="connected")
    assert user.get("/api/v1/users/me").status_code == 200
    redis.signal(signal.SIGSTOP)
    assert user.get("/api/v1/users/me").status_code == 200
    replica.call("REPLICAOF", "NO", "ONE")
    proxy.turn_to(replica.url)
    wait_for(server, redis="connected")
    assert user.post("/api/v1/auth/logout").status_code == 204
    assert user.get("/api/v1/users/me").status_code == 401
