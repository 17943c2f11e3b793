# SPDX-License-Identifier: Apache-2.0
"""What the dispatcher refuses: the right 4xx problem for every kind of bad request, never 5xx."""

import gzip
import json
import os
import uuid

import pytest

from hb_client import Client, assert_problem, raw

REGISTER = "/api/v1/auth/register"
ME = "/api/v1/users/me"
SOME_ID = "65a1f0c2d3e4f5a6b7c8d9e0"


def account(**changes):
    body = {"email": "dispatch@halobuzz.test", "username": "dispatcher",
            "password": "Kathmandu-26!"}
    body.update(changes)
    return body


def send(client, body, path=REGISTER, method="POST", **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    headers.setdefault("Content-Type", "application/json")
    return client.request(method, path, data=body, headers=headers)


# --- bodies that are no JSON document of ours

NOT_JSON = {
    "nothing but blanks": b"  \n",
    "a word": b"hello",
    "half an object": b'{"email": "a@b.c"',
    "single quotes": b"{'email': 'a@b.c'}",
    "a trailing comma": b'{"email": "a@b.c",}',
    "a comment": b'{"email": "a@b.c" /* x */}',
    "two documents": b'{} {}',
    "trailing bytes": b'{}x',
    "NaN": b'{"email": NaN}',
    "Infinity": b'{"email": -Infinity}',
    "a real that overflows": b'{"email": 1e999}',
    "an integer that overflows": b'{"email": 99999999999999999999999}',
    "a negative one": b'{"email": -99999999999999999999999}',
    "a leading zero": b'{"email": 012}',
    "a plus": b'{"email": +1}',
    "a raw newline in a string": b'{"email": "a\nb"}',
    "a raw NUL": b'{"email": "a\x00b"}',
    "an escaped NUL": b'{"email": "a\\u0000b"}',
    "half a surrogate": b'{"email": "\\ud800"}',
    "a bad escape": b'{"email": "\\x41"}',
    "invalid UTF-8": b'{"email": "\xff\xfe"}',
    "overlong UTF-8": b'{"email": "\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"email": "\xed\xa0\x80"}',
    "invalid UTF-8 in a name": b'{"em\xe9il": "x"}',
    "a byte order mark": b'\xef\xbb\xbf{}',
    "UTF-16": '{"email": "a"}'.encode("utf-16"),
    "a member twice": b'{"email": "a@b.cc", "email": "d@e.ff"}',
    "a member twice, spelled otherwise": b'{"email": "a@b.cc", "\\u0065mail": "d@e.ff"}',
    "33 lists deep": b'{"email": ' + b"[" * 33 + b"]" * 33 + b"}",
    "100000 lists deep": b"[" * 100000 + b"]" * 100000,
    "100000 objects deep": b'{"a":' * 100000 + b"1" + b"}" * 100000,
}


@pytest.mark.parametrize("label", NOT_JSON)
def test_body_is_not_json(client, label):
    assert_problem(send(client, NOT_JSON[label]), 400, "body.syntax")


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"1", b"null", b"true"])
def test_body_is_no_object(client, body):
    assert_problem(send(client, body), 422, "input.invalid")


def test_body_is_missing(client):
    assert_problem(client.request("POST", REGISTER), 400, "body.missing")
    assert_problem(client.request("POST", REGISTER,
                                  headers={"Content-Type": "application/json"}),
                   400, "body.missing")


def test_chunked_body_of_nothing(client):
    reply = client.request("POST", REGISTER, data=iter([]),
                           headers={"Content-Type": "application/json"})
    assert_problem(reply, 400, "body.missing")


@pytest.mark.parametrize("content_type", [
    "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
    "application/jsonx", "application/json; charset=iso-8859-1", "json", "application/", "/"])
def test_wrong_content_type(client, content_type):
    reply = send(client, json.dumps(account()), Content_Type=content_type)
    assert_problem(reply, 415, "body.type")


def test_no_content_type(server):
    body = json.dumps(account()).encode()
    reply = raw(server, b"POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                b"Content-Length: %d\r\n\r\n%s" % (REGISTER.encode(), len(body), body))
    assert reply.status == 415
    assert json.loads(reply.body)["code"] == "body.type"


@pytest.mark.parametrize("content_type", [
    "application/json", "application/json;charset=utf-8", "APPLICATION/JSON; charset=UTF-8",
    "application/merge-patch+json"])
def test_right_content_type(client, content_type):
    reply = send(client, json.dumps({"email": 1}), Content_Type=content_type)
    assert_problem(reply, 422, "input.invalid")


def test_compressed_body(client):
    reply = send(client, gzip.compress(json.dumps(account()).encode()),
                 Content_Encoding="gzip")
    assert_problem(reply, 415, "body.encoding")


@pytest.mark.parametrize("size", [1024 * 1024 + 1, 5 * 1024 * 1024])
def test_large_body(client, size):
    reply = send(client, b'{"email": "' + b"x" * size + b'"}')
    assert_problem(reply, 413, "body.too_large")


def test_large_chunked_body(client):
    reply = send(client, iter([b" " * 65536] * 17 + [b"{}"]))
    assert_problem(reply, 413, "body.too_large")


def test_body_of_just_the_limit(client):
    frame = b'{"email": 1, "x": "%s"}'
    body = frame % (b"x" * (1024 * 1024 - len(frame) + 2))
    assert len(body) == 1024 * 1024
    assert_problem(send(client, body), 422, "input.invalid")


def test_body_that_breaks_off(server):
    reply = raw(server, b"POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"zz\r\n{}\r\n0\r\n\r\n" % REGISTER.encode())
    assert reply.status == 400
    assert json.loads(reply.body)["code"] == "request.refused"


# --- values

WRONG_TYPES = {"a number": 1, "a real": 1.5, "a boolean": True, "null": None, "a list": ["a"],
               "an object": {"a": "b"}, "an operator": {"$gt": ""}, "another": {"$ne": None},
               "a regular expression": {"$regex": ".*"}}


@pytest.mark.parametrize("label", WRONG_TYPES)
@pytest.mark.parametrize("field", ["email", "username", "password", "country", "device"])
def test_wrong_type(client, field, label):
    reply = client.post(REGISTER, account(**{field: WRONG_TYPES[label]}))
    problem = assert_problem(reply, 422, "input.invalid")
    assert [e["field"] for e in problem["errors"]] == [field]


@pytest.mark.parametrize("operator", [{"$gt": ""}, {"$ne": "x"}, {"$where": "1"}, ["x"], None])
@pytest.mark.parametrize("field", ["email", "password"])
def test_operators_do_not_sign_in(client, field, operator):
    body = {"email": "nobody@halobuzz.test", "password": "Kathmandu-26!"}
    body[field] = operator
    reply = client.post("/api/v1/auth/login", body)
    assert_problem(reply, 422, "input.invalid")


@pytest.mark.parametrize("field", ["email", "username", "password"])
def test_missing_field(client, field):
    body = account()
    del body[field]
    problem = assert_problem(client.post(REGISTER, body), 422, "input.invalid")
    assert [(e["field"], e["code"]) for e in problem["errors"]] == [(field, "required")]


def test_all_fields_are_told_at_once(client):
    problem = assert_problem(client.post(REGISTER, {"country": "Nepal", "birthDate": 1}),
                             422, "input.invalid")
    assert {e["field"] for e in problem["errors"]} == {"email", "username", "password", "country",
                                                       "birthDate"}


@pytest.mark.parametrize("field, value", [
    ("email", "a" * 250 + "@b.cc"), ("username", "x" * 31), ("password", "Aa1!" * 33),
    ("displayName", "x" * 51), ("device", "x" * 101), ("email", "x" * 100000)],
    ids=lambda value: value[:12])
def test_over_long_value(client, field, value):
    problem = assert_problem(client.post(REGISTER, account(**{field: value})), 422,
                             "input.invalid")
    assert [e["field"] for e in problem["errors"]] == [field]


@pytest.mark.parametrize("query", [
    "limit=0", "limit=101", "limit=-1", "limit=x", "limit=", "limit=1.5", "limit=1e3", "limit=+5",
    "limit=99999999999999999999999", "limit=-9223372036854775809", "limit=5&limit=6",
    "limit[]=5", "country=Nepal", "status=gone", "sort=%00", "host=abc",
    "after=" + "x" * 500, "category=%ff%fe"], ids=lambda query: query[:30])
def test_bad_query(client, query):
    reply = client.get("/api/v1/streams?" + query)
    if query == "limit[]=5":            # an unknown name is ignored
        assert reply.status_code == 200
    else:
        assert reply.status_code in (400, 422), reply.text
        assert_problem(reply, reply.status_code)


@pytest.mark.parametrize("query", ["after=x", "after=%25", "after=AAAA", "after=e30",
                                   "after=%7B%22%24gt%22%3A1%7D"])
def test_forged_cursor(client, query):
    assert_problem(client.get("/api/v1/streams?" + query), 422)


# --- addresses and methods

@pytest.mark.parametrize("path", [
    "/api", "/api/", "/api/v1", "/api/v1/", "/api/v2/users/me", "/api/v1/users/me/x",
    "/api/v1/nothing", "/api/v1/Users/Me", "/docs/nothing",
    "/docs/../docs/x", "/api/%2e/v1/nothing", "/api/v1//nothing"])
def test_unknown_path(client, path):
    assert_problem(client.get(path), 404, "not_found")


def test_unknown_path_of_any_method(client):
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        assert_problem(client.request(method, "/api/v1/nothing"), 404, "not_found")


@pytest.mark.parametrize("path", [
    "/api/v1/streams/%ff%fe", "/api/v1/streams/%c0%af", "/api/v1/streams/a%0ab",
    "/api/v1/users/%1b[31m"])
def test_malformed_path_value(user, path):
    assert_problem(user.get(path), 400, "uri.invalid")


@pytest.mark.parametrize("value", [
    "x", "...", "%25", "%2525", "$gt", "0", "-1", "null", "undefined", "*", "'%20or%201=1--",
    "x" * 500, SOME_ID, SOME_ID.upper(), "%F0%9F%98%80", "a.gz", "a.html", "a.var", "%5c..%5c"],
    ids=lambda value: value[:30])
def test_ids_of_nothing(user, value):
    for path in ("/api/v1/users/%s", "/api/v1/users/%s/followers", "/api/v1/streams/%s"):
        reply = user.get(path % value)
        assert_problem(reply, 404)
        assert "Content-Encoding" not in reply.headers


def test_one_slash_at_the_end(client):
    assert client.get("/api/v1/streams/").status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "BREW",
                                    "QUERY"])
def test_wrong_method(client, method):
    reply = client.request(method, "/api/v1/streams/ranking")
    assert_problem(reply, 405, "method.not_allowed")
    assert reply.headers["Allow"] == "GET, HEAD, OPTIONS"


def test_methods_have_one_spelling(server):
    reply = raw(server, b"get /api/v1/streams/ranking HTTP/1.1\r\nHost: localhost\r\n"
                b"Connection: close\r\n\r\n")
    assert reply.status == 405
    assert json.loads(reply.body)["code"] == "method.not_allowed"


def test_wrong_method_says_the_right_ones(client):
    reply = client.request("PUT", ME)
    assert_problem(reply, 405, "method.not_allowed")
    assert reply.headers["Allow"] == "GET, HEAD, PATCH, DELETE, OPTIONS"


def test_options(client):
    reply = client.options(ME)
    assert reply.status_code == 204
    assert reply.headers["Allow"] == "GET, HEAD, PATCH, DELETE, OPTIONS"
    assert reply.content == b""


def test_head_is_get_without_body(client, user):
    for caller, path, status in ((client, "/api/v1/streams", 200), (user, ME, 200),
                                 (client, ME, 401), (client, "/api/v1/nothing", 404)):
        head, get = caller.head(path), caller.get(path)
        assert head.status_code == get.status_code == status
        assert head.content == b""
        assert head.headers["Content-Type"] == get.headers["Content-Type"]


# --- who may

def test_needs_user(client):
    reply = client.get(ME)
    assert_problem(reply, 401, "auth.required")
    assert reply.headers["WWW-Authenticate"] == 'Bearer realm="halobuzz"'


def test_refusal_comes_before_the_body_is_looked_at(client):
    assert_problem(client.request("PATCH", ME, data=b"{{{", headers={
        "Content-Type": "application/json"}), 401, "auth.required")


def test_big_body_that_nobody_reads_ends_the_connection(client):
    reply = client.request("PATCH", ME, data=b"x" * 300000)
    assert_problem(reply, 401, "auth.required")
    assert reply.headers.get("Connection") == "close"


def test_small_body_that_nobody_reads_keeps_the_connection(client):
    reply = client.request("PATCH", ME, data=b"x" * 3000)
    assert_problem(reply, 401, "auth.required")
    assert reply.headers.get("Connection") != "close"


def test_bad_token_is_told_on_public_calls_too(client):
    reply = client.get("/api/v1/streams", token="x.y.z")
    assert_problem(reply, 401, "token.invalid")
    assert 'error="invalid_token"' in reply.headers["WWW-Authenticate"]


def test_guard_headers(client, user):
    for reply in (client.get("/api/v1/streams"), client.get(ME), user.get(ME),
                  client.get("/api/v1/nothing"), client.options(ME)):
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["Referrer-Policy"] == "no-referrer"
        assert reply.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert reply.headers["Cache-Control"] == "no-store"


def test_nothing_looks_at_the_file_system(make_server):
    """Else a folder of the same name, or its .htaccess, would meddle."""
    one = make_server(extra="<Directory />\nAllowOverride All\n</Directory>")
    for path in ("api/v1/streams", "docs"):
        folder = os.path.join(one.root, "htdocs", path)
        os.makedirs(folder)
        with open(os.path.join(folder, ".htaccess"), "w") as f:
            f.write("Nonsense here\n")
    client = Client(one)
    assert client.get("/api/v1/streams").status_code == 200
    assert client.get("/docs").status_code == 200
    client.close()


def test_maintenance(make_server):
    one = make_server(settings={"HaloBuzzMaintenance": "on"})
    client = Client(one)
    reply = client.get("/api/v1/streams")
    assert_problem(reply, 503, "maintenance")
    assert int(reply.headers["Retry-After"]) > 0
    for path in ("/health", "/readyz", "/docs", "/openapi.json"):
        assert client.get(path).status_code == 200, path
    client.close()


# --- every call of the table, by its own description

@pytest.fixture(scope="module")
def operations(server):
    one = Client(server)
    document = one.get("/openapi.json").json()
    one.close()
    found = []
    for path, item in document["paths"].items():
        for method, operation in item.items():
            found.append((method.upper(), path.replace("{", "").replace("}", ""), path, operation))
    return document, found


def filled(path):
    return "/".join(SOME_ID if part.startswith("{") else part for part in path.split("/"))


def test_calls_that_need_a_user_say_so(client, operations):
    for method, _, path, operation in operations[1]:
        if "security" in operation:
            assert_problem(client.request(method, filled(path)), 401, "auth.required")


def test_every_call_refuses_a_bad_token(client, operations):
    for method, _, path, operation in operations[1]:
        reply = client.request(method, filled(path), token="e30.e30.x")
        if "x-any-token" in operation:  # a dead token is no reason to refuse a new one
            assert reply.status_code != 401 and reply.status_code < 500
        else:
            assert_problem(reply, 401, "token.invalid")


def order_key():
    """A key for calls that need one; the others ignore it."""
    return {"Idempotency-Key": uuid.uuid4().hex}


def test_calls_for_staff_refuse_users_before_they_read(user, operations):
    for method, _, path, operation in operations[1]:
        if "x-roles" in operation:
            reply = user.request(method, filled(path), data=b"{", headers={
                "Content-Type": "application/json", **order_key()})
            assert_problem(reply, 403, "role.required")


def test_every_call_refuses_every_wrong_type(user, operations):
    document, found = operations
    tried = 0
    for method, _, path, operation in found:
        if "requestBody" not in operation or "x-roles" in operation:
            continue
        media = operation["requestBody"]["content"]["application/json"]
        schema = document["components"]["schemas"][media["schema"]["$ref"].split("/")[-1]]
        for name, inner in schema["properties"].items():
            types = inner.get("type", "string")
            for value in (7, True, None, [], {"$gt": ""}, "\x01", "x" * 70000):
                kinds = {int: "integer", bool: "boolean", type(None): "null", list: "array",
                         dict: "object", str: "string"}
                if type(value) is not str and kinds[type(value)] in types:
                    continue
                body = {**media["example"], name: value}
                reply = user.request(method, filled(path), json=body, headers=order_key())
                assert reply.status_code < 500, (method, path, body, reply.text)
                if type(value) is not str or len(value) > 1:
                    problem = assert_problem(reply, 422, "input.invalid")
                    assert name in [e["field"] for e in problem["errors"]], (path, problem)
                tried += 1
    assert tried > 100


def test_every_call_refuses_a_body_that_is_none(user, operations):
    for method, _, path, operation in operations[1]:
        if "requestBody" in operation and "x-roles" not in operation:
            reply = user.request(method, filled(path), data=b"{", headers={
                "Content-Type": "application/json", **order_key()})
            assert_problem(reply, 400, "body.syntax")


def test_every_place_refuses_other_methods(client, operations):
    answered = {}
    for method, _, path, _ in operations[1]:
        answered.setdefault(path, {"OPTIONS"}).add(method)
    for path, methods in answered.items():
        if "GET" in methods:
            methods.add("HEAD")
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "LINK"):
            if method not in methods:
                reply = client.request(method, filled(path))
                assert_problem(reply, 405, "method.not_allowed")
                assert set(reply.headers["Allow"].split(", ")) == methods
