# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the engine's tests. README says how a case is meant to look."""

import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from hb_engine import Engine        # noqa: E402


@pytest.fixture(scope="session", params=("1", "3"), ids=("one-loop", "three-loops"))
def shared_server(request):
    one = Engine("--loops", request.param).start()
    yield one
    try:
        assert one.stop() == 0
        text = one.text()
        assert "ERROR:" not in text and "runtime error" not in text, text[:6000]
    finally:
        one.kill()


@pytest.fixture
def server(shared_server):
    """The program; what a case leaves behind is found."""
    yield shared_server
    shared_server.close_lines()
    assert shared_server.process.poll() is None, shared_server.text()[-6000:]
    left = shared_server.settle()
    assert not left, "left behind: %r" % left


@pytest.fixture
def make_server():
    made = []

    def make(*args):
        made.append(Engine(*args))
        return made[-1].start()

    yield make
    for one in made:
        one.close_lines()
        one.kill()
