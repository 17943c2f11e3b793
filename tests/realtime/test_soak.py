# SPDX-License-Identifier: Apache-2.0
"""
A platform in use for a while: does anything grow that ought to stay level, and is it empty when
everybody has left? HB_SOAK_SEED repeats the choices of a run, HB_SOAK_SEC makes it longer,
HB_SOAK_RATE busier.
"""

import os
import random
import time

import pytest

import hb_hooks
from hb_guard import judge
from hb_httpd import BUILD
from hb_live import LiveServer
from hb_realtime import EVENT, OWN, metrics, wait_for
from hb_soak import Soak, held_by, names_of

SEED = int(os.environ.get("HB_SOAK_SEED") or int.from_bytes(os.urandom(3), "big"))
SECONDS = float(os.environ.get("HB_SOAK_SEC", "80"))
RATE = float(os.environ.get("HB_SOAK_RATE", "50"))
HOUSE_SEC = 12              # between two rounds of the operator

# Tables are small, so that they are full soon.
SETTINGS = {
    "HaloBuzzCronProgram": os.path.join(BUILD, ".libs", "halobuzz-crond"),
    "HaloBuzzJob backup-hourly": "off", "HaloBuzzJob backup-nightly": "off",
    "HaloBuzzThroneTTL": "3s", "HaloBuzzStreamSilence": "10m", "HaloBuzzPayoutHold": "0",
    "HaloBuzzPayoutMin": "100", "HaloBuzzChatPerMinute": "1000", "HaloBuzzMailKeep": "1h",
    "HaloBuzzRealtimePerUser": "50", "HaloBuzzRealtimeGrace": "1s", "HaloBuzzRealtimePing": "2s",
    "HaloBuzzRealtimePong": "2s", "HaloBuzzRealtimeRecovery": "5s",
    "HaloBuzzRealtimeViewerGrace": "1s", "HaloBuzzRealtimeRemembered": "64",
    "HaloBuzzRealtimeHistorySize": "64K", "HaloBuzzBusSize": "512K", "HaloBuzzCacheSize": "1M",
    "HaloBuzzRateLimitSize": "64K",
}

# Full tables, and payments that do not fit or are nobody's.
LINES = ("HB00463", "HB00464", "HB00465", "HB00530", "HB02002", "HB03505", "HB06515", "AH00484")

# How much more it may be at the end than after a third of the time. A child still fills the page
# caches of its connections to the records; a leak of 1 KB a request would be 5 MB and more.
ROOM_KB = {"parent": 2048, "crond": 2048, "realtimed": 4096, "child": 24576}
ROOM_FILES = 40                 # connections to records and sockets of the moment

pytestmark = pytest.mark.slow


def wait_empty(server, soak):
    """Everybody has left: nothing of them is held, but what is remembered for seconds."""
    def is_empty():
        status = server.status()
        return status["connections"] <= 1 and status["sessions"] == status["sockets"] == 0
    wait_for(is_empty, 60, lambda: str(server.status()))
    page = metrics(soak.people[0])
    assert page["halobuzz_realtime_websockets"] == page["halobuzz_realtime_held_requests"] == 0
    for host in soak.hosts:
        if host.stream is not None:
            soak.ask(host.user, "POST", "/api/v1/streams/%s/end" % host.stream)
    wait_for(lambda: metrics(soak.people[0])["halobuzz_active_streams"] == 0, 30,
             lambda: str(metrics(soak.people[0])))


def test_nothing_grows():
    print("HB_SOAK_SEED=%d" % SEED)
    server = LiveServer(settings=SETTINGS, own=OWN + ("halobuzz_cron",), mpm_settings=EVENT)
    hb_hooks.prepare(server)
    server.settings["HaloBuzzAgoraAppId"] = "a" * 32
    server.settings["HaloBuzzAgoraCertificate"] = "file:" + hb_hooks.secret_file(
        server, "5" * 32, "certificate")
    try:
        server.start()
        soak = Soak(server, SEED, RATE)
        parent, began, rounds, before = server.process.pid, time.monotonic(), 0, None
        names = set()
        soak.begin()
        while time.monotonic() < began + SECONDS:
            time.sleep(HOUSE_SEC)
            rounds += 1
            soak.keep_house(random.Random(rounds).choice((0, 3 * 3600)), rounds == 1)
            if before is None and time.monotonic() > began + SECONDS / 3:
                before, names = held_by(server), names_of(server)
        after = held_by(server)
        soak.end()
        print(before, after, dict(soak.done), sep="\n")
        for role, limit in ROOM_KB.items():
            assert after[role]["kb"] < before[role]["kb"] + limit, (before, after)
            assert after[role]["fds"] < before[role]["fds"] + ROOM_FILES, (before, after)
            assert after[role]["threads"] <= before[role]["threads"] + 4, (before, after)
        assert server.process.pid == parent and not soak.wrong, \
            "HB_SOAK_SEED=%d\n%s" % (SEED, "\n".join(soak.wrong[:30]))
        wait_empty(server, soak)
        assert names_of(server) <= names, sorted(names_of(server) - names)
        server.stop()
        judge(server, LINES)
    finally:
        server.kill()
        server.remove()
