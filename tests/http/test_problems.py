# SPDX-License-Identifier: Apache-2.0
"""Errors that httpd makes by itself below our locations are problem documents."""

import os

import pytest

from hb_client import Client, assert_problem, raw
from hb_guard import serving
from hb_httpd import Httpd

# What httpd can be told to answer, and the code that goes with it.
CORE_MADE = {
    400: "request.refused", 401: "auth.required", 403: "forbidden", 404: "not_found",
    405: "method.not_allowed", 408: "body.timeout", 411: "request.refused",
    413: "body.too_large", 414: "uri.invalid", 415: "body.type", 417: "request.refused",
    429: "rate.limited", 500: "internal", 501: "method.not_allowed", 502: "upstream.failed",
    503: "unavailable", 504: "upstream.failed", 409: "request.refused", 507: "internal",
}

EXTRA = "\n".join("Redirect %d /made/%d\nRedirect %d /admin/%d" % (n, n, n, n)
                  for n in (*CORE_MADE, 410, 418)) + """
<LocationMatch "^/(made|admin|limited|basic)">
    HaloBuzzProblems on
</LocationMatch>
<Location "/admin">
    ErrorDocument 400 "plain words of the administrator"
    ErrorDocument 403 /sorry.html
    ErrorDocument 409 /made/410
    ErrorDocument 410 /made-page.html
</Location>
<Location "/limited">
    LimitRequestBody 100
</Location>
<Location "/basic">
    AuthType Basic
    AuthName other
    AuthUserFile /dev/null
    AuthBasicProvider file
    Require valid-user
</Location>
"""


@pytest.fixture(scope="module")
def site():
    one = Httpd(own=("halobuzz",), modules=["auth_basic", "authn_file", "authz_user"], extra=EXTRA)
    with serving(one):
        for name in ("sorry.html", "made-page.html"):
            with open(os.path.join(one.root, "htdocs", name), "w") as f:
                f.write("sorry\n")
        yield one


@pytest.mark.parametrize("status", sorted(CORE_MADE))
def test_each_status_has_its_code(site, claims, status):
    if status >= 500:
        claims("HB02030")
    document = assert_problem(Client(site).get("/made/%d" % status), status, CORE_MADE[status])
    assert document["title"]


def test_a_number_httpd_does_not_know_is_500_everywhere(site, claims):
    claims("HB02030")
    assert_problem(Client(site).get("/made/418"), 500, "internal")


@pytest.mark.parametrize("status", [401, 404, 503])
def test_head_says_what_get_would(site, claims, status):
    if status >= 500:
        claims("HB02030")
    get = Client(site).get("/made/%d" % status)
    head = Client(site).head("/made/%d" % status)
    assert head.status_code == status
    assert head.content == b""
    assert head.headers["Content-Type"] == "application/problem+json"
    assert head.headers["Content-Length"] == get.headers["Content-Length"]


def test_a_failed_require_keeps_its_challenge(site):
    reply = Client(site).get("/basic/x")
    assert_problem(reply, 401, "auth.required")
    assert reply.headers["WWW-Authenticate"].startswith("Basic realm=")


def test_a_body_above_the_limit_of_the_location(site, claims):
    claims("AH01587", "AH01588")
    reply = Client(site).post("/limited/x", data=b"x" * 101)
    assert reply.status_code in (405, 413)
    assert reply.headers["Content-Type"] == "application/problem+json"


def test_method_without_handler_tells_allow(site):
    reply = Client(site).request("POST", "/made/none")
    assert reply.headers["Content-Type"] == "application/problem+json"


def test_the_administrators_text_wins(site):
    reply = Client(site).get("/admin/400")
    assert reply.status_code == 400
    assert reply.text == "plain words of the administrator"
    assert reply.headers["X-Request-Id"]


def test_the_administrators_page_wins(site):
    reply = Client(site).get("/admin/403")
    assert (reply.status_code, reply.text) == (403, "sorry\n")


def test_a_page_below_our_own_locations(site):
    reply = Client(site).get("/admin/410")
    assert (reply.status_code, reply.text) == (410, "sorry\n")
    assert "X-Request-Id" in reply.headers


def test_a_page_that_fails_itself(site):
    assert_problem(Client(site).get("/admin/409"), 409, "request.refused")


def test_elsewhere_httpd_speaks_for_itself(site):
    reply = Client(site).get("/nowhere")
    assert reply.status_code == 404
    assert reply.headers["Content-Type"].startswith("text/html")
    assert "X-Request-Id" not in reply.headers


def test_a_line_that_is_not_http_stays_httpds(site):
    reply = raw(site, b"GET /made/\x01 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert reply.status == 400


def test_a_big_body_is_not_waited_for(site):
    """A refusal of 1 GB closes soon instead of reading it all."""
    head = (b"POST /made/429 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1073741824\r\n\r\n")
    reply = raw(site, head, timeout=8)
    assert reply.status == 429
    assert reply.headers["connection"] == "close"


def test_a_small_body_keeps_the_connection(site):
    data = (b"POST /made/429 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"
            b"GET /made/404 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    reply = raw(site, data, timeout=8)
    assert reply.status == 429
    assert reply.data.count(b"HTTP/1.1 404") == 1
