# SPDX-License-Identifier: Apache-2.0
"""The wall clock jumps under open sockets. Only what is a matter of dates, tokens, may notice."""

import datetime
import mmap
import os
import struct
import time

import pytest

from hb_beside import make_target
from hb_httpd import sanitizer_libraries
from hb_live import BUILD
from hb_socketio import Plain, Refused, Socket

LIBRARY = os.path.join(BUILD, ".libs/clock_jump.so")
HOUR, DAY = 3600, 86400
PEOPLE = 8
PING_SEC = 1

pytestmark = pytest.mark.skipif(bool(sanitizer_libraries()),
                                reason="their preloaded library has to be the first")


class Clock:
    """What clock_jump.c adds to the wall clock of the server."""

    def __init__(self, folder):
        self.path = str(folder / "clock")
        with open(self.path, "wb") as f:
            f.write(struct.pack("q", 0))
        os.chmod(self.path, 0o644)
        with open(self.path, "r+b") as f:
            self.memory = mmap.mmap(f.fileno(), 8)

    def set(self, seconds):
        self.memory[:] = struct.pack("q", seconds * 1000000)


@pytest.fixture
def clock(tmp_path):
    for folder in (tmp_path, *tmp_path.parents[:2]):
        os.chmod(folder, 0o755)
    return Clock(tmp_path)


@pytest.fixture
def start(make_server, clock):
    make_target(BUILD, "clock_jump.la")

    def make(**settings):
        return make_server(
            settings={"HaloBuzzRealtimePing": "%ds" % PING_SEC, **settings},
            environment={"LD_PRELOAD": LIBRARY, "HB_TEST_CLOCK": clock.path})
    return make


def test_nobody_is_cut(start, clock, make_users, make_live_on):
    """No ping comes early or twice, no timer fires or stops, every call is answered."""
    server = start(HaloBuzzAuthTokenTTL="30d", HaloBuzzChatPerMinute="1000")
    live, users = make_live_on(server), make_users(server)
    people = [Socket(server, users.make().token, join=live.id) for _ in range(PEOPLE)]
    pid = server.sidecar()
    started, before = time.monotonic(), [one.pings for one in people]
    for n, jump in enumerate((HOUR, -HOUR, 3 * DAY, -3 * DAY, 0)):
        # One comes back over the jump; one has ten seconds to say who he is, also then.
        old, stranger = people[n], Plain(server)
        old.cut()
        clock.set(jump)
        time.sleep(0.7)
        people[n] = Socket(server, old.token, pid=old.pid, offset=old.offset)
        assert people[n].recovered
        assert live.viewers() == PEOPLE
        stranger.send({"event": "auth", "data": {"token": old.token}})
        stranger.wait("ready")
        stranger.cut()
        message = people[n].say(live.id, "at %+d" % jump)
        told = datetime.datetime.fromisoformat(message["createdAt"].replace("Z", "+00:00"))
        assert abs(told.timestamp() - time.time() - jump) < 5
        for one in people:
            one.wait_text("at %+d" % jump)
        live.host.session.close()
        assert live.host.get("/health").status_code == 200
    seconds = time.monotonic() - started
    assert server.sidecar() == pid
    for one, pings in list(zip(people, before))[5:]:
        assert seconds / PING_SEC / 2 - 1 <= one.pings - pings <= seconds / PING_SEC + 1, \
            (one.pings, pings, seconds)
    for one in people:
        assert one.inbox.closed is None


def test_a_token_is_judged_by_the_date_of_today(start, clock, make_users, make_live_on):
    server = start(HaloBuzzAuthTokenTTL="2h")
    live, user = make_live_on(server), make_users(server).make()
    socket = Socket(server, user.token, join=live.id)
    clock.set(HOUR)
    assert socket.call("chat:new", {"streamId": live.id, "text": "an hour later"})["ok"]
    time.sleep(1.2)
    assert socket.inbox.closed is None
    clock.set(3 * DAY)
    socket.wait_disconnected()
    assert socket.wait_closing()["code"] == 4001
    with pytest.raises(Refused) as problem:
        Socket(server, user.token)
    assert problem.value.data["code"] == "token.expired"
    clock.set(0)
    again = Socket(server, user.token, join=live.id)
    assert again.call("chat:new", {"streamId": live.id, "text": "it was not so late"})["ok"]
