# SPDX-License-Identifier: Apache-2.0
"""Registration, sign-in, passwords, mailed codes, one's own profile (ACC-01..07, U-18)."""

import re
import time

import pytest

from hb_client import Client, assert_problem
from hb_race import at_once, everywhere
from hb_users import PASSWORD, Mails, Users

NEW_PASSWORD = "Pokhara-27?"


def fields(document):
    return {e["field"]: e["code"] for e in document["errors"]}


def register(client, **body):
    return client.post("/api/v1/auth/register", json=body)


def login(client, **body):
    return client.post("/api/v1/auth/login", json=body)


# --- registration

def test_the_documented_sequence(make_server):
    client = Client(make_server())
    first = register(client, email="test@halobuzz.com", username="testuser",
                     password="Test123!")
    assert first.status_code == 201, first.text
    assert {"user", "accessToken", "refreshToken", "expiresIn", "tokenType",
            "sessionId"} == set(first.json())
    second = login(client, email="test@halobuzz.com", password="Test123!")
    assert second.status_code == 200, second.text
    me = client.get("/api/v1/users/me", token=second.json()["accessToken"])
    assert me.status_code == 200
    assert me.json()["email"] == "test@halobuzz.com"
    assert me.json()["coins"] == {"balance": 0, "bonusBalance": 0, "totalEarned": 0,
                                  "totalSpent": 0}
    assert "$2" not in first.text + second.text + me.text


@pytest.mark.parametrize("label, change, field, code", [
    ("no email", {"email": None}, "email", "required"),
    ("no password", {"password": None}, "password", "required"),
    ("operator as email", {"email": {"$gt": ""}}, "email", "type"),
    ("operator as username", {"username": {"$ne": 1}}, "username", "type"),
    ("number as password", {"password": 12345678}, "password", "type"),
    ("email without @", {"email": "nobody"}, "email", "format"),
    ("short name", {"username": "ab"}, "username", "length"),
    ("long name", {"username": "a" * 31}, "username", "length"),
    ("name with blank", {"username": "a b c"}, "username", "format"),
    ("name ends with dot", {"username": "abc."}, "username", "format"),
    ("short password", {"password": "Ab1!"}, "password", "length"),
    ("common password", {"password": "password123"}, "password", "value"),
    ("unknown country", {"country": "XX1"}, "country", None),
    ("unknown zone", {"zone": "Mars/Base"}, "zone", "format"),
    ("birth in the future", {"birthDate": "2999-01-01"}, "birthDate", "range"),
    ("no such day", {"birthDate": "2001-02-29"}, "birthDate", "format"),
    ("bad phone", {"phone": "12"}, "phone", None),
])
def test_registration_names_the_field(client, label, change, field, code):
    body = {"email": "rows@halobuzz.test", "username": "rows.user", "password": PASSWORD}
    body.update(change)
    body = {k: v for k, v in body.items() if v is not None}
    document = assert_problem(register(client, **body), 422, "input.invalid")
    assert field in fields(document), document
    assert code in (None, fields(document)[field]), document


@pytest.mark.parametrize("change, code", [
    ({"username": "TAKEN.name"}, "username.taken"),
    ({"username": "tak3nname", "email": "Taken@halobuzz.test"}, "email.taken"),
    ({"username": "takenn4me"}, None),
    ({"username": "taken_narne"}, "username.taken"),
    ({"username": "Adm1n"}, "username.taken"),
    ({"phone": "+9779811111111"}, "phone.taken"),
])
def test_what_is_taken(server, client, change, code):
    register(client, email="taken@halobuzz.test", username="taken.name", password=PASSWORD,
             phone="+9779811111111")
    n = next(Users.numbers)
    body = {"email": "free%d@halobuzz.test" % n, "username": "free%d" % n,
            "password": PASSWORD}
    body.update(change)
    reply = register(client, **body)
    if code is None:
        assert reply.status_code == 201, reply.text
    else:
        assert_problem(reply, 409, code)


def test_the_owner_hears_of_a_registration(server, client, user, mails):
    n = next(Users.numbers)
    assert_problem(register(client, email=user.email, username="other%d" % n,
                            password=PASSWORD), 409, "email.taken")
    assert "tried to register" in mails.newest(user.email, 2)["Subject"]


def test_one_name_is_given_once(server):
    n = next(Users.numbers)
    replies = at_once(server, [
        lambda c, i=i: register(c, email="race%d-%d@halobuzz.test" % (n, i),
                                username=("Racer%d" if i % 2 else "racer%d") % n,
                                password=PASSWORD)
        for i in range(8)])
    assert sorted(r.status_code for r in replies) == [201] + [409] * 7
    assert {r.json()["code"] for r in replies if r.status_code == 409} == {"username.taken"}


def test_one_address_is_given_once(server):
    n = next(Users.numbers)
    replies = at_once(server, [
        lambda c, i=i: register(c, email="race%d@halobuzz.test" % n,
                                username="racer%d.%d" % (n, i), password=PASSWORD)
        for i in range(6)])
    assert sorted(r.status_code for r in replies) == [201] + [409] * 5


# --- sign-in

def test_sign_in_by_address_or_name(server, client, user):
    for body in ({"email": user.email.upper()}, {"email": user.username},
                 {"username": user.username.upper()}, {"username": "@" + user.username}):
        reply = login(client, password=PASSWORD, **body)
        assert reply.status_code == 200, (body, reply.text)
        assert reply.json()["user"]["id"] == user.id


def test_a_dead_token_does_not_stop_a_sign_in(client, user):
    user.post("/api/v1/auth/logout")
    reply = client.post("/api/v1/auth/login", token=user.token,
                        json={"email": user.email, "password": PASSWORD})
    assert reply.status_code == 200, reply.text
    assert_problem(client.get("/api/v1/users/me", token=user.token), 401, "token.revoked")


def test_refusals_do_not_tell_who_exists(server, client, user):
    def refusal(**body):
        document = assert_problem(login(client, **body), 401, "auth.credentials")
        del document["requestId"]
        return document

    wrong = refusal(email=user.email, password="wrong-password")
    assert wrong == refusal(email="nobody@halobuzz.test", password="wrong-password")
    assert wrong == refusal(username="nobody", password="wrong-password")
    assert wrong == refusal(username="no body\u0301", password="x")


@pytest.mark.parametrize("body, field, code", [
    ({"password": PASSWORD}, "email", "required"),
    ({"email": "a@halobuzz.test"}, "password", "required"),
    ({"email": {"$gt": ""}, "password": {"$gt": ""}}, "email", "type"),
    ({"email": "a@halobuzz.test", "password": "x" * 300}, "password", "length"),
])
def test_sign_in_names_the_field(client, body, field, code):
    document = assert_problem(login(client, **body), 422, "input.invalid")
    assert fields(document)[field] == code


def test_failures_lock_an_account_in_every_child(make_server):
    server = make_server(settings={"HaloBuzzAuthLockAccount": "5"})
    user = Users(server).make()
    for name in (user.email, "nobody@halobuzz.test"):
        replies = at_once(server, [lambda c: login(c, email=name, password="wrong-password")]
                          * 16)
        # Exactly as many tries as the setting says, however many come at once.
        assert sorted(r.status_code for r in replies) == [401] * 5 + [429] * 11, name
        locked = [r for r in replies if r.status_code == 429][0]
        assert_problem(locked, 429, "auth.locked")
        assert 1 <= int(locked.headers["Retry-After"]) <= 900
    replies = at_once(server, [lambda c: login(c, username=user.username, password=PASSWORD)]
                      * 6)
    assert {r.status_code for r in replies} == {429}
    # Who is signed in already is not concerned, and a mailed code opens the lock.
    assert everywhere(server, user.token) == {200}
    client, mails = Client(server), Mails(server)
    client.post("/api/v1/auth/password/forgot", json={"email": user.email})
    assert client.post("/api/v1/auth/password/reset", json={
        "code": mails.code(user.email, 2), "password": NEW_PASSWORD}).status_code == 204
    assert login(client, email=user.email, password=NEW_PASSWORD).status_code == 200


def test_right_ones_at_once_lock_nothing(make_server):
    server = make_server(settings={"HaloBuzzAuthLockAccount": "3",
                                   "HaloBuzzAuthLockAddress": "5"})
    user = Users(server).make()
    replies = at_once(server, [lambda c: login(c, email=user.email, password=PASSWORD)] * 24)
    assert {r.status_code for r in replies} == {200}


def test_failures_lock_an_address(make_server):
    server = make_server(settings={"HaloBuzzAuthLockAddress": "6"}, modules=["remoteip"],
                         extra="RemoteIPHeader X-Forwarded-For\n"
                               "RemoteIPInternalProxy 127.0.0.1")
    user = Users(server).make()
    client = Client(server)

    def try_from(address, name, password):
        return client.post("/api/v1/auth/login", headers={"X-Forwarded-For": address},
                           json={"username": name, "password": password}).status_code

    for i in range(9):      # good ones are not counted
        assert try_from("192.0.2.1", user.username, PASSWORD) == 200
    seen = [try_from("192.0.2.1", "guess%d" % i, "wrong-password") for i in range(8)]
    assert seen == [401] * 6 + [429] * 2
    assert try_from("192.0.2.1", user.username, PASSWORD) == 429
    assert try_from("192.0.2.2", user.username, PASSWORD) == 200
    # One IPv6 network is one address.
    seen = [try_from("2001:db8:1:2::%x" % i, "guess%d" % i, "wrong-password")
            for i in range(8)]
    assert seen == [401] * 6 + [429] * 2


# --- passwords

def test_a_new_password_ends_the_other_sessions(server, users):
    user = users.make()
    other = users.server and Client(server, login(Client(server), email=user.email,
                                                  password=PASSWORD).json()["accessToken"])
    wrong = user.post("/api/v1/auth/password", json={"currentPassword": "wrong",
                                                     "newPassword": NEW_PASSWORD})
    assert_problem(wrong, 401, "auth.credentials")
    assert_problem(user.post("/api/v1/auth/password", json={
        "currentPassword": PASSWORD, "newPassword": user.email}), 422, "input.invalid")
    assert other.get("/api/v1/users/me").status_code == 200
    done = user.post("/api/v1/auth/password", json={"currentPassword": PASSWORD,
                                                    "newPassword": NEW_PASSWORD})
    assert (done.status_code, done.content) == (204, b"")
    assert everywhere(server, other.token) == {401}
    assert everywhere(server, user.token) == {200}
    assert login(Client(server), email=user.email, password=PASSWORD).status_code == 401
    assert login(Client(server), email=user.email, password=NEW_PASSWORD).status_code == 200
    assert_problem(Client(server).post("/api/v1/auth/password", json={}), 401,
                   "auth.required")


@pytest.mark.embedded
def test_a_forgotten_password(server, client, user, mails):
    def ask(address):
        began = time.monotonic()
        reply = client.post("/api/v1/auth/password/forgot", json={"email": address})
        assert reply.status_code == 202
        return reply.json(), time.monotonic() - began

    known, took = ask(user.email)
    unknown, took_unknown = ask("nobody@halobuzz.test")
    assert known == unknown == {"accepted": True}
    assert took >= 0.25 and took_unknown >= 0.25
    assert mails.settle().to("nobody@halobuzz.test") == []
    code = mails.code(user.email, 2)
    assert re.fullmatch(r"[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}", code)
    body = {"code": code, "password": NEW_PASSWORD}
    assert_problem(client.post("/api/v1/auth/email/verify", json={"code": code}), 422,
                   "code.invalid")
    replies = at_once(server, [lambda c: c.post("/api/v1/auth/password/reset", json=body)] * 6)
    assert sorted(r.status_code for r in replies) == [204] + [422] * 5
    assert_problem(client.post("/api/v1/auth/password/reset", json=body), 422, "code.invalid")
    assert everywhere(server, user.token) == {401}
    assert login(client, email=user.email, password=NEW_PASSWORD).status_code == 200
    assert user.email in mails.newest(user.email, 3)["To"]


@pytest.mark.parametrize("code", ["", "AAAA-BBBB-CCCC", "x" * 64, "\u0007"])
def test_invented_codes(client, code):
    for path, body in (("/api/v1/auth/email/verify", {"code": code}),
                       ("/api/v1/auth/password/reset",
                        {"code": code, "password": NEW_PASSWORD})):
        reply = client.post(path, json=body)
        assert_problem(reply, 422, "code.invalid" if code.isprintable() and code else "input.invalid")


def test_an_address_is_verified(server, client, user, mails):
    assert user.get("/api/v1/users/me").json().get("emailVerifiedAt") is None
    first = mails.code(user.email)
    reply = client.post("/api/v1/auth/email/resend", json={"email": user.email})
    assert (reply.status_code, reply.json()) == (202, {"accepted": True})
    reply = client.post("/api/v1/auth/email/resend", json={"email": "nobody@halobuzz.test"})
    assert (reply.status_code, reply.json()) == (202, {"accepted": True})
    code = mails.code(user.email, 2)
    assert_problem(client.post("/api/v1/auth/email/verify", json={"code": first}), 422,
                   "code.invalid")
    replies = at_once(server, [lambda c: c.post("/api/v1/auth/email/verify",
                                                json={"code": code.lower()})] * 5)
    assert sorted(r.status_code for r in replies) == [200] + [422] * 4
    assert user.get("/api/v1/users/me").json()["emailVerifiedAt"]


# --- one's own profile

def test_the_profile_changes_at_once_everywhere(server, user):
    assert everywhere(server, user.token) == {200}
    changed = user.patch("/api/v1/users/me", json={
        "displayName": "M\u0101y\u0101", "bio": "namaste", "country": "NP", "language": "ne",
        "zone": "Asia/Kathmandu", "avatarUrl": "https://cdn.example.com/a.png",
        "birthDate": "2001-02-28", "roles": ["superadmin"], "coins": {"balance": 5}})
    assert changed.status_code == 200, changed.text
    assert changed.json()["roles"] == [] and changed.json()["coins"]["balance"] == 0
    for reply in at_once(server, [lambda c: c.get("/api/v1/users/me", token=user.token)] * 8):
        assert reply.json() == changed.json()
    cleared = user.patch("/api/v1/users/me", json={"bio": None, "zone": None})
    assert not cleared.json().get("bio") and not cleared.json().get("zone")
    assert_problem(user.patch("/api/v1/users/me", json={"birthDate": "1990-01-01"}), 422,
                   "input.invalid")
    assert_problem(user.patch("/api/v1/users/me", json={"username": "support"}), 409,
                   "username.taken")
    assert_problem(user.patch("/api/v1/users/me", json={"username": None}), 422,
                   "input.invalid")
    n = next(Users.numbers)
    renamed = user.patch("/api/v1/users/me", json={"username": "Renamed%d" % n})
    assert renamed.json()["username"] == "Renamed%d" % n


def test_who_is_not_signed_in_has_no_profile(client):
    for method, path in (("GET", "/api/v1/users/me"), ("PATCH", "/api/v1/users/me"),
                         ("DELETE", "/api/v1/users/me")):
        assert_problem(client.request(method, path), 401, "auth.required")


def test_a_deleted_account(server, client, users):
    user, friend = users.make(), users.make()
    other = Client(server, login(client, email=user.email, password=PASSWORD)
                   .json()["accessToken"])
    assert friend.put("/api/v1/users/%s/follow" % user.id).json()["followers"] == 1
    assert_problem(user.delete("/api/v1/users/me"), 400, "body.missing")
    assert_problem(user.delete("/api/v1/users/me", json={"password": "wrong"}), 401,
                   "auth.credentials")
    assert user.delete("/api/v1/users/me", json={"password": PASSWORD}).status_code == 204
    assert everywhere(server, user.token) == {401}
    assert everywhere(server, other.token) == {401}
    assert_problem(client.post("/api/v1/auth/refresh",
                               json={"refreshToken": user.refresh_token}), 401,
                   "token.revoked")
    assert_problem(login(client, email=user.email, password=PASSWORD), 401,
                   "auth.credentials")
    assert_problem(friend.get("/api/v1/users/%s" % user.id), 404, "user.unknown")
    assert friend.get("/api/v1/users/me").json()["following"] == 0
    again = users.make(username=user.username, email_address=user.email)
    assert again.id != user.id
