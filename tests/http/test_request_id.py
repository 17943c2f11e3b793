# SPDX-License-Identifier: Apache-2.0
"""One id in the answer, the document, the access log and the error log."""

import re

import pytest

from hb_client import Client, assert_problem, raw

MADE = re.compile(r"^[0-9a-v]{20}$")


def ask(server, path="/closed/", **headers):
    return Client(server).get(path, headers=headers)


def test_every_answer_of_ours_has_one(server, claims):
    claims("AH01630")
    ids = {ask(server).headers["X-Request-Id"] for _ in range(300)}
    assert len(ids) == 300
    assert all(MADE.match(i) for i in ids)


def test_the_error_log_has_it(server, claims):
    claims("AH01630")
    reply = ask(server)
    assert "[%s] AH01630" % reply.headers["X-Request-Id"] in server.log_text()


def test_a_stranger_cannot_choose_it(server, claims):
    claims("AH01630")
    assert ask(server, **{"X-Request-Id": "mine"}).headers["X-Request-Id"] != "mine"


# 127.0.0.9 is the proxy that the server's mod_remoteip believes.
def through_proxy(server, given):
    data = (b"GET /closed/ HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 203.0.113.7\r\n"
            b"X-Request-Id: " + given + b"\r\nConnection: close\r\n\r\n")
    return raw(server, data, source=("127.0.0.9", 0)).headers["x-request-id"]


@pytest.mark.parametrize("given", [b"a", b"A-b_c.9", b"x" * 64])
def test_a_trusted_proxy_can(server, claims, given):
    claims("AH01630")
    assert through_proxy(server, given) == given.decode()


@pytest.mark.parametrize("given", [b"", b"x" * 65, b"a b", b'a"b', b"a\xe9", b"a/b", b"<b>"])
def test_but_not_with_any_bytes(server, claims, given):
    claims("AH01630")
    assert MADE.match(through_proxy(server, given))


def test_mod_unique_id_is_used_when_loaded(make_server, claims):
    claims("AH01630")
    server = make_server(modules=["unique_id"], own=("halobuzz",), extra="""
<Location "/closed">
    HaloBuzzProblems on
    Require all denied
    Header always set X-Unique "%{UNIQUE_ID}e"
</Location>
""")
    reply = ask(server)
    assert reply.headers["X-Request-Id"] == reply.headers["X-Unique"]
    assert_problem(reply, 403)
