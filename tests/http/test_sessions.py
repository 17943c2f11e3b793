# SPDX-License-Identifier: Apache-2.0
"""Tokens and sessions: rotation, reuse, ends that every child heeds (X-13, B-09)."""

import base64
import json
import time

import pytest

from hb_client import Client, assert_problem
from hb_race import at_once, everywhere
from hb_users import PASSWORD, Users


def refresh(client, token, **more):
    return client.post("/api/v1/auth/refresh", json={"refreshToken": token}, **more)


def test_refreshing_gives_the_next_pair(client, user):
    reply = refresh(client, user.refresh_token)
    assert reply.status_code == 200, reply.text
    assert {"accessToken", "refreshToken", "tokenType", "expiresIn",
            "sessionId"} == set(reply.json())
    assert reply.json()["sessionId"] == user.session_id
    assert reply.json()["refreshToken"] != user.refresh_token
    assert client.get("/api/v1/users/me", token=reply.json()["accessToken"]).status_code == 200
    # The other spelling, and with a dead token in the header as clients send it.
    again = client.post("/api/v1/auth/refresh-token", token="dead.token.here",
                        json={"refreshToken": reply.json()["refreshToken"]})
    assert again.status_code == 200, again.text


def test_two_refreshes_at_once_get_the_same_pair(server, user):
    for _ in range(4):
        replies = at_once(server, [lambda c: refresh(c, user.refresh_token)] * 6)
        assert {r.status_code for r in replies} == {200}, [r.text for r in replies]
        successors = {r.json()["refreshToken"] for r in replies}
        assert len(successors) == 1
        user.refresh_token = successors.pop()
    assert everywhere(server, user.token) == {200}


def test_a_used_token_ends_the_session_everywhere(server, client, user, claims):
    claims("HB00402")
    first = refresh(client, user.refresh_token).json()
    second = refresh(client, first["refreshToken"]).json()
    assert everywhere(server, second["accessToken"]) == {200}
    assert_problem(refresh(client, user.refresh_token), 401, "token.reused")
    for token in (user.token, first["accessToken"], second["accessToken"]):
        assert everywhere(server, token) == {401}
    assert_problem(refresh(client, second["refreshToken"]), 401, "token.revoked")
    # Other sessions of the same user live on, and a new sign-in is possible.
    assert user.login().get("/api/v1/users/me").status_code == 200


@pytest.mark.parametrize("token", [
    "x", ".", "....", "a" * 400, "65a1b2c3d4e5f60718293a4b.0.abc.def",
    "65a1b2c3d4e5f60718293a4b" + "." * 60])
def test_invented_refresh_tokens(client, token):
    assert_problem(refresh(client, token), 401, "token.invalid")


def test_a_forged_refresh_token_ends_nothing(client, user):
    session, generation, secret, mac = user.refresh_token.split(".")
    for forged in (".".join([session, "7", secret, mac]),
                   ".".join([session, generation,
                              secret[:-1] + ("1" if secret[-1] == "0" else "0"), mac]),
                   ".".join([session, generation, secret]), user.refresh_token + "0"):
        assert_problem(refresh(client, forged), 401, "token.invalid")
    assert user.get("/api/v1/users/me").status_code == 200
    assert refresh(client, user.refresh_token).status_code == 200


@pytest.mark.parametrize("body", [{}, {"refreshToken": 5}, {"refreshToken": {"$ne": None}},
                                  {"refreshToken": "x" * 401}, {"refreshToken": ""}])
def test_refresh_names_the_field(client, body):
    document = assert_problem(client.post("/api/v1/auth/refresh", json=body), 422,
                              "input.invalid")
    assert document["errors"][0]["field"] == "refreshToken"


def test_access_and_refresh_tokens_are_no_substitutes(client, user):
    assert_problem(client.get("/api/v1/users/me", token=user.refresh_token), 401,
                   "token.invalid")
    assert_problem(refresh(client, user.token), 401, "token.invalid")


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_tokens_that_were_tampered_with(client, user):
    head, body, mac = user.token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    header = json.loads(base64.urlsafe_b64decode(head + "=="))
    claims["roles"] = ["superadmin"]
    for token in (part({"alg": "none"}) + "." + body + ".",
                  part({**header, "alg": "none"}) + "." + body + "." + mac,
                  part({**header, "kid": "nobody"}) + "." + body + "." + mac,
                  head + "." + part(claims) + "." + mac, user.token[:-2], user.token + "A",
                  user.token + "." + mac, "A" * 8000):
        assert_problem(client.get("/api/v1/users/me", token=token), 401)


def test_an_expired_token(make_server):
    server = make_server(settings={"HaloBuzzAuthTokenTTL": "30s"})
    user = Users(server).make()
    assert user.signed_in["expiresIn"] == 30
    assert user.get("/api/v1/users/me").status_code == 200
    head, body, mac = user.token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    assert claims["exp"] - claims["iat"] == 30


def test_log_out_works_in_every_child_at_once(server, users):
    for _ in range(3):
        user = users.make()
        assert everywhere(server, user.token) == {200}
        done = user.post("/api/v1/auth/logout")
        assert (done.status_code, done.content) == (204, b"")
        assert everywhere(server, user.token) == {401}
        assert_problem(refresh(user, user.refresh_token), 401, "token.revoked")
        assert_problem(user.post("/api/v1/auth/logout"), 401, "token.revoked")


def test_log_out_under_load(server, users):
    """No request that starts after the answer to a log-out is let in."""
    user = users.make()
    ended = []

    def ask(client):
        late = []
        for _ in range(40):
            is_late = bool(ended)
            late.append((is_late, client.get("/api/v1/users/me", token=user.token).status_code))
        return late

    def end(client):
        time.sleep(0.03)
        assert client.post("/api/v1/auth/logout", token=user.token).status_code == 204
        ended.append(1)
        return []

    for seen in at_once(server, [ask] * 6 + [end]):
        assert {s for is_late, s in seen if is_late} <= {401}
        assert {s for _, s in seen} <= {200, 401}


def test_log_out_of_all(server, user):
    tokens = [user.token] + [user.login().token for _ in range(3)]
    assert user.post("/api/v1/auth/logout-all").json() == {"ended": 4}
    for token in tokens:
        assert everywhere(server, token, n=4) == {401}


def test_the_list_of_sessions(server, user):
    first = user.session_id
    login = Client(server).post("/api/v1/auth/login", headers={"User-Agent": "phone/1"}, json={
        "email": user.email, "password": PASSWORD}).json()
    named = user.login(device="M\u0101y\u0101's tablet")
    page = named.get("/api/v1/auth/sessions?limit=2").json()
    assert [s["device"] for s in page["items"]] == ["M\u0101y\u0101's tablet", "phone/1"]
    assert [s["current"] for s in page["items"]] == [True, False]
    rest = named.get("/api/v1/auth/sessions", params={"after": page["next"]}).json()
    assert [s["id"] for s in rest["items"]] == [first]
    assert rest["next"] is None
    assert "Hash" not in json.dumps(page)
    assert named.delete("/api/v1/auth/sessions/" + login["sessionId"]).status_code == 204
    assert named.delete("/api/v1/auth/sessions/" + login["sessionId"]).status_code == 204
    assert everywhere(server, login["accessToken"]) == {401}
    assert len(named.get("/api/v1/auth/sessions").json()["items"]) == 2
    assert_problem(named.get("/api/v1/auth/sessions?after=nonsense"), 422)


def test_sessions_of_others_cannot_be_ended(server, users):
    one, other = users.make(), users.make()
    for session in (other.session_id, "65a1b2c3d4e5f60718293a4b", "x", "%2e%2e"):
        assert_problem(one.delete("/api/v1/auth/sessions/" + session), 404)
    assert other.get("/api/v1/users/me").status_code == 200


@pytest.mark.parametrize("method, path", [
    ("POST", "/api/v1/auth/logout"), ("POST", "/api/v1/auth/logout-all"),
    ("GET", "/api/v1/auth/sessions"),
    ("DELETE", "/api/v1/auth/sessions/65a1b2c3d4e5f60718293a4b")])
def test_strangers_have_no_sessions(client, method, path):
    assert_problem(client.request(method, path), 401, "auth.required")


def test_sessions_outlive_a_restart_and_a_reload(make_server):
    server = make_server()
    user = Users(server).make()
    ended = Users(server).make()
    ended.post("/api/v1/auth/logout")
    server.graceful()
    assert everywhere(server, user.token) == {200}
    assert everywhere(server, ended.token) == {401}
    server.stop()
    server.start_again()
    assert everywhere(server, user.token) == {200}
    assert everywhere(server, ended.token) == {401}
    assert refresh(Client(server), user.refresh_token).status_code == 200


def test_the_cookie_of_live_rooms(client, user):
    assert_problem(client.post("/api/v1/auth/cookie"), 401, "auth.required")
    reply = user.post("/api/v1/auth/cookie")
    assert reply.status_code == 204
    value, *attributes = reply.headers["Set-Cookie"].split("; ")
    assert value == "halobuzz_token=" + user.token
    age = next(int(a[8:]) for a in attributes if a.startswith("Max-Age="))
    assert 0 < age <= user.signed_in["expiresIn"]
    assert set(attributes) == {"Path=/", "Max-Age=%d" % age, "HttpOnly", "Secure", "SameSite=Strict"}
    # It is no way to sign a call.
    assert_problem(client.get("/api/v1/users/me", headers={"Cookie": value}), 401, "auth.required")
    assert "Max-Age=0" in client.delete("/api/v1/auth/cookie").headers["Set-Cookie"]
    reply = user.post("/api/v1/auth/logout", headers={"Cookie": "a=b; " + value})
    assert reply.status_code == 204
    assert reply.headers["Set-Cookie"].startswith("halobuzz_token=; Path=/; Max-Age=0;")
    assert "Set-Cookie" not in user.login().post("/api/v1/auth/logout").headers
