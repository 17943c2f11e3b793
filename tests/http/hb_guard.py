# SPDX-License-Identifier: Apache-2.0
"""The watch over logs, for all suites that start servers: a loud line that no case claimed fails
the one that provoked it, as does a sanitizer's report. conftest.py of a suite imports the
fixtures."""

import contextlib

import pytest

alive = []                              # servers whose logs the running case answers for


def judge(server, claimed):
    loud = server.loud_lines(claimed)
    assert not loud, "log lines that this case did not claim:\n" + "\n".join(loud[:20])
    reports = server.reports()
    assert not reports, "sanitizer reports:\n" + "\n".join(reports)[:6000]


@contextlib.contextmanager
def serving(one):
    """Start a server for several cases, watch its log beside each, and stop it in the end."""
    try:
        one.start()
        alive.append(one)
        yield one
        alive.remove(one)
        one.stop()
        judge(one, ())
    finally:
        if one in alive:
            alive.remove(one)
        one.kill()
        one.remove()


@contextlib.contextmanager
def keeping(claims):
    """Stop the servers that a case puts into this list, and judge their logs by what it claims."""
    made = []
    yield made
    try:
        for one in made:
            one.stop()
            judge(one, claims.names)
    finally:
        for one in made:
            one.kill()
            one.remove()


@pytest.fixture
def claims():
    """Say which loud log lines a case provokes: numbers, or "~text" for lines without one."""
    claimed = []

    def claim(*names):
        claimed.extend(names)

    claim.names = claimed
    return claim


@pytest.fixture(autouse=True)
def log_guard(claims):
    yield
    for server in list(alive):
        judge(server, claims.names)
