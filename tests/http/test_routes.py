# SPDX-License-Identifier: Apache-2.0
"""Rows of another module (mod_halobuzz_test.c): what flags of a row mean, and what wrong rows do."""

import pytest

from hb_beside import make_target
from hb_client import Client, assert_problem
from hb_guard import serving
from hb_httpd import BUILD, OWN_MODULES, Httpd
from hb_users import Users

OWN = OWN_MODULES + ("halobuzz_test",)


@pytest.fixture(scope="module")
def extended():
    make_target(BUILD, "mod_halobuzz_test.la")
    one = Httpd(own=OWN)
    with serving(one):
        yield one


@pytest.fixture
def stranger(extended):
    one = Client(extended)
    yield one
    one.close()


@pytest.fixture(scope="module")
def member(extended):
    return Users(extended).make()


def test_names_of_a_path(stranger):
    reply = stranger.get("/api/v1/test/one%20two/of/%C3%A9")
    assert reply.status_code == 200
    assert reply.json() == {"a": "one two", "b": "\u00e9", "key": None}


def test_order_needs_a_key(member, stranger):
    path = "/api/v1/test/order"
    assert_problem(stranger.post(path, {}), 401, "auth.required")
    assert_problem(member.post(path, {}), 400, "idempotency.missing")
    assert_problem(member.post(path, {}, headers={"Idempotency-Key": ""}), 400,
                   "idempotency.missing")
    for key in ("a b", "x" * 256, "a\tb", "\u00e9".encode("latin-1"), "a, b"):
        problem = assert_problem(member.post(path, {}, headers={"Idempotency-Key": key}), 422,
                                 "input.invalid")
        assert [e["field"] for e in problem["errors"]] == ["Idempotency-Key"]
    assert_problem(member.post(path, headers={"Idempotency-Key": "k"}), 400, "body.missing")
    for key in ("k", "x" * 255, "6f1c-[]{}~!"):
        reply = member.post(path, {"any": [1, None]}, headers={"Idempotency-Key": key})
        assert reply.status_code == 201, reply.text
        assert reply.json() == {"a": "", "b": "", "key": key, "input": {"any": [1, None]}}


def test_body_may_be_left_out(stranger):
    path = "/api/v1/test/perhaps"
    assert "input" not in stranger.post(path).json()
    assert "input" not in stranger.request("POST", path, data=iter([])).json()
    assert stranger.post(path, {"password": "x"}).json()["input"] == {"password": "x"}
    assert_problem(stranger.post(path, {}), 422, "input.invalid")
    assert_problem(stranger.request("POST", path, data=b"x"), 415, "body.type")


def test_one_of_two_roles(member, stranger):
    assert_problem(stranger.get("/api/v1/test/staff"), 401, "auth.required")
    assert_problem(member.get("/api/v1/test/staff"), 403, "role.required")


def test_reply_that_does_not_fit_is_told(stranger, claims):
    claims("HB04001")
    assert stranger.get("/api/v1/test/misfit").status_code == 200


def test_action_that_gives_nothing(stranger, claims):
    claims("HB04002", "HB02001")
    assert_problem(stranger.get("/api/v1/test/nothing"), 500, "internal")


def test_action_that_fails_without_a_reason(stranger, claims):
    claims("HB02001")
    problem = assert_problem(stranger.get("/api/v1/test/fail"), 500, "internal")
    assert "detail" not in problem


def test_rows_of_the_module_are_described(stranger, extended):
    document = stranger.get("/openapi.json").json()
    operation = document["paths"]["/api/v1/test/staff"]["get"]
    assert operation["x-roles"] == ["moderator", "finance"]
    operation = document["paths"]["/api/v1/test/order"]["post"]
    assert [p["name"] for p in operation["parameters"]] == ["Idempotency-Key"]
    assert {"400", "401", "422"} <= set(operation["responses"])
    done = extended.command("-t", "-D", "DUMP_HB_ROUTES")
    assert "POST   /api/v1/test/order" in done.stdout
    assert "user,body,idempotency-key" in done.stdout
    assert "roles=moderator finance" in done.stdout


def test_two_rows_for_one_call_are_refused(extended):
    done = extended.command("-t", "-D", "HB_TEST_DOUBLE")
    assert done.returncode != 0
    assert "HB04003: route GET /api/v1/users/me is answered by two rows" in done.stderr
