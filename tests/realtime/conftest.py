# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the realtime tests. README says how a case is meant to look."""

import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from hb_live import BUILD, Live, LiveServer, Users      # noqa: E402
from hb_guard import claims, keeping, log_guard, serving    # noqa: E402, F401; hb_live found it
import stock as stock_module                            # noqa: E402


@pytest.fixture(scope="session", params=("1", "3"), ids=("one-loop", "three-loops"))
def server(request):
    """For all cases that need nothing special: over TLS, with one loop and with several, where
    members of a room and a client that comes back are on different ones; and there what the
    official clients offer is taken, compressed messages."""
    one = LiveServer(tls=True, settings={"HaloBuzzRealtimePerUser": "50",
                                         "HaloBuzzRealtimeLoops": request.param,
                                         "HaloBuzzRealtimeDeflate": "on" if request.param == "3"
                                         else "off"})
    with serving(one):
        assert one.status()["loops"] == int(request.param)
        yield one


@pytest.fixture
def make_server(claims):
    """Servers of a case's own: make_server(settings={...}, tls=True ...)."""
    with keeping(claims) as made:
        def make(**args):
            one = LiveServer(**args)
            made.append(one)
            return one.start()

        yield make


@pytest.fixture
def users(server):
    return Users(server)


@pytest.fixture
def make_users():
    return Users


@pytest.fixture
def user(users):
    return users.make()


@pytest.fixture
def make_live(server):
    return lambda: Live(server)


@pytest.fixture
def make_live_on():
    return Live


@pytest.fixture
def live(server):
    """A room with its host."""
    return Live(server)


@pytest.fixture
def rich(server):
    return server.rich


@pytest.fixture
def stock(server):
    """Official clients, in a process of their own."""
    folder = os.environ.get("HB_NODE", os.path.join(BUILD, "node-realtime"))
    one = stock_module.Stock(stock_module.packages(folder), server)
    yield one
    one.stop()
