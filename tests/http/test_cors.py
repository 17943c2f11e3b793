# SPDX-License-Identifier: Apache-2.0
"""Pages of listed origins may call; others are kept out by their browsers."""

import pytest

from hb_client import Client, assert_problem
from hb_guard import serving
from hb_httpd import Httpd

LISTED = "https://app.halobuzz.test"


@pytest.fixture(scope="module")
def site():
    one = Httpd(own=("halobuzz",), extra="""
HaloBuzzCORSOrigin https://app.halobuzz.test https://other.halobuzz.test:8443
HaloBuzzCORSOrigin http://localhost:3000
<Location "/o">
    HaloBuzzProblems on
</Location>
<Location "/o/closed">
    Require all denied
</Location>
""")
    with serving(one):
        yield one


def preflight(site, origin, path="/o/x", method="PATCH"):
    return Client(site).options(path, headers={
        "Origin": origin, "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization, content-type"})


@pytest.mark.parametrize("origin", [LISTED, "https://other.halobuzz.test:8443",
                                    "http://localhost:3000"])
def test_preflight_of_a_listed_origin(site, origin):
    reply = preflight(site, origin)
    assert reply.status_code == 204
    assert reply.content == b""
    assert reply.headers["Access-Control-Allow-Origin"] == origin
    assert "PATCH" in reply.headers["Access-Control-Allow-Methods"]
    allowed = reply.headers["Access-Control-Allow-Headers"].split(", ")
    assert {"Authorization", "Idempotency-Key", "If-None-Match", "Last-Event-ID"} <= set(allowed)
    assert "Origin" in reply.headers["Vary"]
    assert "Access-Control-Allow-Credentials" not in reply.headers


def test_preflight_passes_where_access_is_denied(site):
    assert preflight(site, LISTED, "/o/closed/x").status_code == 204


@pytest.mark.parametrize("origin", [
    "https://evil.example", "https://app.halobuzz.test.evil.example",
    "https://app.halobuzz.testx", "http://app.halobuzz.test", "https://APP.halobuzz.test",
    "https://app.halobuzz.test:443", "https://app.halobuzz.test/", "null", "*"])
def test_preflight_of_any_other_origin(site, origin):
    reply = preflight(site, origin)
    assert_problem(reply, 403, "forbidden")
    assert "Access-Control-Allow-Origin" not in reply.headers


def test_an_ordinary_call_is_marked_also_when_it_fails(site):
    reply = Client(site).get("/o/x", headers={"Origin": LISTED})
    assert_problem(reply, 404)
    assert reply.headers["Access-Control-Allow-Origin"] == LISTED
    assert "X-Request-Id" in reply.headers["Access-Control-Expose-Headers"]
    assert "Origin" in reply.headers["Vary"]


def test_a_call_of_another_origin_is_answered_unmarked(site):
    reply = Client(site).get("/o/x", headers={"Origin": "https://evil.example"})
    assert_problem(reply, 404)
    assert "Access-Control-Allow-Origin" not in reply.headers


def test_caches_are_told_even_without_an_origin(site):
    assert "Origin" in Client(site).get("/o/x").headers["Vary"]


def test_other_locations_are_left_alone(site):
    reply = Client(site).get("/index.html", headers={"Origin": LISTED})
    assert "Access-Control-Allow-Origin" not in reply.headers
    assert "Vary" not in reply.headers
