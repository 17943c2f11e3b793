# SPDX-License-Identifier: Apache-2.0
"""Operators of MongoDB's queries in every place that takes input: as objects they are values of a
wrong type, as text they are text. Of use on MongoDB alone, true on any store."""

import urllib.parse
import uuid

import pytest

from hb_client import Client, assert_problem
from hb_users import Users

OPERATORS = ({"$gt": ""}, {"$ne": None}, {"$where": "1"})
TEXTS = ('{"$gt":""}', "$where", "[$ne]")


@pytest.fixture(scope="module")
def operations(server):
    document = Client(server).get("/openapi.json").json()
    return document, [(method.upper(), path, operation)
                      for path, item in document["paths"].items()
                      for method, operation in item.items()]


def filled(path, text):
    return "/".join(urllib.parse.quote(text, safe="") if part.startswith("{") else part
                    for part in path.split("/"))


def test_in_every_field(user, operations):
    document, found = operations
    tried = 0
    for method, path, operation in found:
        if "requestBody" not in operation or "x-roles" in operation:
            continue
        media = operation["requestBody"]["content"]["application/json"]
        schema = document["components"]["schemas"][media["schema"]["$ref"].split("/")[-1]]
        for name, inner in schema["properties"].items():
            if "string" not in inner.get("type", "string"):
                continue
            for value in OPERATORS:
                reply = user.request(method, filled(path, "0" * 24), json={**media["example"], name: value},
                                     headers={"Idempotency-Key": uuid.uuid4().hex})
                assert_problem(reply, 422, "input.invalid")
                assert any(e["field"].split(".")[0] == name for e in reply.json()["errors"]), reply.text
                tried += 1
    assert tried > 100


def test_in_every_path_and_query(user, operations):
    for method, path, operation in operations[1]:
        names = [p["name"] for p in operation.get("parameters", ()) if p["in"] == "query"]
        if method != "GET" or not ("{" in path or names) or "x-roles" in operation:
            continue
        for text in TEXTS:
            query = {**{n: text for n in names}, **{n + "[$gt]": "" for n in names}}
            reply = user.get(filled(path, text), params=query)
            assert reply.status_code < 500, (path, query, reply.text)
            if "{id}" in path:
                assert reply.status_code in (401, 403, 404, 422), (path, reply.text)


def test_nobody_signs_in_or_is_found_by_one(server, user):
    stranger = Client(server)
    for value in OPERATORS:
        for body in ({"email": value, "password": value}, {"email": user.email, "password": value},
                     {"email": value, "password": user.password}):
            assert_problem(stranger.post("/api/v1/auth/login", json=body), 422, "input.invalid")
        assert_problem(stranger.post("/api/v1/auth/refresh", json={"refreshToken": value}), 422,
                       "input.invalid")
    Users(server).make()
    for text in TEXTS:
        reply = user.get("/api/v1/users/search", params={"q": text})
        assert reply.status_code in (200, 422) and not reply.json().get("items")
