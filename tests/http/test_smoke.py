# SPDX-License-Identifier: Apache-2.0
"""The least that every MPM and every kind of start has to do."""

import pytest

from hb_client import Client, assert_problem

pytestmark = pytest.mark.smoke


def test_static_files_are_served_beside_us(client):
    reply = client.get("/index.html")
    assert (reply.status_code, reply.text) == (200, "static\n")
    assert "X-Request-Id" not in reply.headers


def test_refusals_of_httpd_are_problem_documents(client, claims):
    claims("AH01630")
    assert_problem(client.get("/closed/"), 403, "forbidden")


def test_starts_twice_on_the_same_state(make_server, claims):
    claims("AH01630")
    server = make_server()
    server.stop()
    server.start_again()
    assert Client(server).get("/index.html").status_code == 200


def test_starts_as_an_ordinary_user(make_server, as_root):
    server = make_server(run_as="www-data")
    assert Client(server).get("/index.html").status_code == 200
