# SPDX-License-Identifier: Apache-2.0
"""halobuzzctl bus: what passed on the bus of a running server. And halobuzzctl cache."""

import json
import os
import subprocess

import pytest

from hb_httpd import BUILD
from hb_users import Users

OK, FAILED, USAGE, UNREACHABLE = range(4)
REDIS = os.environ.get("HALOBUZZ_TEST_REDIS_URL")
STREAMS = "/api/v1/streams"


def test_bus(ctl, make_server, make_place):
    server = make_server(settings={"HaloBuzzBusSize": "1M"})
    place = make_place(HaloBuzzStateDir=server.state)
    host = Users(server).make()
    room = host.post(STREAMS, {"title": "Songs"}).json()["id"]
    assert host.post(STREAMS + "/%s/start" % room).status_code == 200
    reply = host.post(STREAMS + "/%s/messages" % room, {"text": "a secret"})
    assert reply.status_code == 201
    stats = ctl("bus", "stats", "--json", place=place).json
    assert (stats["oldest"], stats["dropped"]) == (1, 0) and stats["newest"] >= 2
    assert stats["bytesTotal"] == 2 ** 20 - 4096 > stats["bytesUsed"] > 0
    done = ctl("bus", "stats", place=place)
    assert done.code == OK and stats["epoch"] in done.out and "local:realtime.bus" in done.out
    done = ctl("bus", "tail", "--all", "--no-follow", place=place)
    assert done.code == OK and "secret" not in done.out
    assert [line.split()[2] for line in done.out.splitlines()] == ["stream:started", "chat:new"]
    done = ctl("bus", "tail", "--all", "--no-follow", "--payload", "--json", place=place)
    events = [json.loads(line) for line in done.out.splitlines()]
    assert events[1]["payload"] == reply.json()["message"]
    assert events[1]["id"] == room and events[1]["lane"] == "chat"
    assert ctl("bus", "tail", "--no-follow", place=place).out == ""
    assert ctl("bus", "tail", "more", place=place).code == USAGE


def test_tail_follows(make_server, make_place):
    server = make_server()
    place = make_place(HaloBuzzStateDir=server.state)
    host = Users(server).make()
    room = host.post(STREAMS, {"title": "Songs"}).json()["id"]
    tail = subprocess.Popen([os.path.join(BUILD, "halobuzzctl"), "bus", "tail", "--all",
                             "--settings", place.settings], stdout=subprocess.PIPE, text=True)
    try:
        assert host.post(STREAMS + "/%s/start" % room).status_code == 200
        assert "stream:started" in tail.stdout.readline()
        assert host.post("/api/v1/auth/logout").status_code in (200, 204)
        assert "session:ended" in tail.stdout.readline()
    finally:
        tail.kill()
        tail.wait()


def test_shared_memory_is_not_flushed(ctl, place):
    done = ctl("cache", "flush", place=place)
    assert done.code == FAILED and "restarting httpd" in done.err


@pytest.mark.skipif(not REDIS, reason="needs a Redis")
def test_flush_in_redis(ctl, make_place):
    """What is cached goes, and nothing else."""
    def redis(*words):
        return subprocess.run(["redis-cli", "-u", REDIS, *words], capture_output=True, text=True,
                              check=True).stdout.split()

    prefix = "f%s:" % os.urandom(4).hex()
    kept = [prefix + name for name in ("session:a", "ranking:streams", "rate:api:1:00", "bus")]
    gone = [prefix + "cache:user:me:%d" % n for n in range(3)]
    for key in kept + gone + ["cache:%s" % prefix]:
        redis("HSET", key, "v", "1")
    place = make_place(HaloBuzzCache="%s?prefix=%s" % (REDIS, prefix), HaloBuzzRedisTimeout="10s")
    done = ctl("cache", "flush", place=place)
    assert done.code == OK and "empty" in done.out
    assert all(redis("HGET", key, "v") == ["1"] for key in kept + ["cache:%s" % prefix])
    assert all(redis("HEXISTS", key, "v") == ["0"] for key in gone)
    redis("DEL", "cache:%s" % prefix)
    place = make_place(HaloBuzzCache="redis://:a,b@127.0.0.1:1")
    done = ctl("cache", "flush", place=place)
    assert done.code == UNREACHABLE and "redis://:***@127.0.0.1:1 does not answer" in done.err
