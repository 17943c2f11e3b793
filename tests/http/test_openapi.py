# SPDX-License-Identifier: Apache-2.0
"""/openapi.json is made from the tables, so it has to say what the tables say."""

import re

import pytest

from hb_shape import misfits

METHODS = {"get", "post", "patch", "put", "delete"}


@pytest.fixture(scope="module")
def document(server):
    from hb_client import Client
    one = Client(server)
    reply = one.get("/openapi.json")
    one.close()
    assert reply.status_code == 200
    assert reply.headers["Content-Type"] == "application/json"
    return reply.json()


@pytest.fixture(scope="module")
def table(server):
    """What httpd -t -D DUMP_HB_ROUTES prints: [(method, path, flags, rest)]."""
    done = server.command("-t", "-D", "DUMP_HB_ROUTES")
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^(GET|POST|PATCH|PUT|DELETE) +(/\S*) +(\S+) (.*)$", done.stdout, re.M)
    assert len(rows) > 30
    return rows


def operations(document):
    return [(path, method, operation) for path, item in document["paths"].items()
            for method, operation in item.items()]


def test_frame(document):
    assert document["openapi"] == "3.1.0"
    assert document["info"]["version"]
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert all(set(item) <= METHODS for item in document["paths"].values())


def test_has_every_route(document, table):
    documented = {(method.upper(), path) for path, method, _ in operations(document)}
    printed = {(method, path) for method, path, _, _ in table
               if path != "/openapi.json" and not path.startswith("/docs")}
    assert documented == printed


def test_says_what_the_table_says(document, table):
    for method, path, flags, rest in table:
        operation = document["paths"].get(path, {}).get(method.lower())
        if operation is None:
            continue
        flags = flags.split(",")
        assert ("security" in operation) == ("user" in flags or "roles=-" not in rest), path
        assert ("requestBody" in operation) == ("body" in flags or "may-body" in flags), path
        assert (operation["x-rate-class"] is None) == ("no-limit" in flags), path
        assert operation["summary"] in rest
        names = re.findall(r"{(\w+)}", path)
        assert [p["name"] for p in operation.get("parameters", []) if p["in"] == "path"] == names


def test_ids_and_tags(document):
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z][A-Za-z0-9]*", one) for one in ids), ids
    tags = {tag["name"] for tag in document["tags"]}
    assert {t for _, _, operation in operations(document) for t in operation["tags"]} == tags


def test_references_lead_somewhere(document):
    names = set(document["components"]["schemas"])
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in names)

    def walk(node):
        if isinstance(node, dict):
            if "$ref" in node:
                assert node["$ref"].rpartition("/")[0] == "#/components/schemas", node
                assert node["$ref"].rpartition("/")[2] in names, node
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)
    walk(document)


def test_events_of_the_realtime_side(document):
    sent = {event["name"]: event for event in document["x-events"]["sent"]}
    assert {"chat:new", "gift:sent", "og:changed", "metrics:update", "stream:ended"} <= set(sent)
    assert not {"session:ended", "user:changed", "room:kick"} & set(sent)     # between processes
    assert sent["chat:new"]["payload"] == {"$ref": "#/components/schemas/chatMessage"}
    assert (sent["gift:sent"]["lane"], sent["og:changed"]["target"]) == ("money", "user")
    taken = {event["name"]: event for event in document["x-events"]["taken"]}
    assert {"stream:join", "stream:leave", "chat:new"} <= set(taken)
    assert taken["chat:new"]["payload"]["$ref"].endswith("/chatSay")


def test_examples_fit_their_schemas(document):
    tried = 0
    for path, method, operation in operations(document):
        medias = list(operation.get("requestBody", {}).get("content", {}).values())
        for response in operation["responses"].values():
            medias += response.get("content", {}).values()
        for media in medias:
            if "example" in media:
                found = misfits(media["example"], media["schema"], document)
                assert not found, (method, path, found)
                tried += 1
    assert tried > 30


def test_refusals_are_problems_with_known_codes(document):
    status_of = {error["code"]: error["status"] for error in document["x-errors"]}
    for path, method, operation in operations(document):
        for status, response in operation["responses"].items():
            if int(status) < 400:
                continue
            assert list(response["content"]) == ["application/problem+json"]
            assert response["x-codes"], (method, path, status)
            for code in response["x-codes"]:
                assert status_of[code] == int(status), (method, path, code)
        if "security" in operation:
            assert "auth.required" in operation["responses"]["401"]["x-codes"]


def test_real_problem_fits_its_schema(document, client):
    reply = client.post("/api/v1/auth/register", {"email": 1})
    assert not misfits(reply.json(), {"$ref": "#/components/schemas/problem"}, document)


def test_may_be_kept_and_asked_again(client):
    first = client.get("/openapi.json")
    tag = first.headers["ETag"]
    assert first.headers["Cache-Control"] == "no-cache"
    again = client.get("/openapi.json", headers={"If-None-Match": tag})
    assert again.status_code == 304
    assert again.content == b""
    assert again.headers["ETag"] == tag
    assert client.get("/openapi.json", headers={"If-None-Match": '"x"'}).status_code == 200
