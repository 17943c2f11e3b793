# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the http tests. README says how a case is meant to look."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "sim"))

from hb_client import Client            # noqa: E402
from hb_guard import claims, keeping, log_guard, serving   # noqa: E402, F401
from hb_httpd import CACHE, STORE, Httpd, is_root   # noqa: E402
from hb_sim_client import Sim           # noqa: E402
from hb_users import Mails, Users       # noqa: E402


def pytest_collection_modifyitems(items):
    for url, marker in ((STORE, "embedded"), (CACHE, "shm")):
        for item in items:
            if url and item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason="about what is not in a server"))


@pytest.fixture(scope="session")
def server():
    """One server for all cases that need nothing special."""
    one = Httpd(modules=["remoteip"], extra="""
RemoteIPHeader X-Forwarded-For
RemoteIPInternalProxy 127.0.0.9
<Location "/server-status">
    SetHandler server-status
</Location>
<Location "/closed">
    HaloBuzzProblems on
    Require all denied
</Location>
""")
    with serving(one):
        yield one


@pytest.fixture
def make_server(claims):
    """Servers of a case's own: make_server(settings={...}, extra="...", start=False ...)."""
    with keeping(claims) as made:
        def make(start=True, **args):
            one = Httpd(**args)
            made.append(one)
            return one.start() if start else one

        yield make


@pytest.fixture
def client(server):
    """A stranger."""
    one = Client(server)
    yield one
    one.close()


@pytest.fixture
def users(server):
    return Users(server)


@pytest.fixture
def user(users):
    """A fresh signed-in account."""
    return users.make()


@pytest.fixture
def mails(server):
    return Mails(server)


@pytest.fixture
def as_root():
    if not is_root():
        pytest.skip("needs root")


@pytest.fixture(scope="session")
def sim_process():
    one = Sim()
    yield one
    one.stop()


@pytest.fixture
def sim(sim_process):
    """The payment providers, fresh for this case; tests/sim/README."""
    sim_process.reset()
    yield sim_process
    sim_process.reset()


@pytest.fixture
def sim_settings(sim, tmp_path):
    """Directives that make a server use the simulator."""
    return sim.settings(str(tmp_path))
