# SPDX-License-Identifier: Apache-2.0
"""The second factor: set-up, sign-in, recovery, and staff who need it."""

import base64
import hashlib
import hmac
import struct
import time
import urllib.parse

import pytest

from hb_client import Client, assert_problem
from hb_race import at_once, everywhere
from hb_users import PASSWORD, Mails, Users


def totp(secret, steps=0):
    """RFC 6238 for this moment, or so many steps away from it."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    counter = int(time.time()) // 30 + steps
    digest = hmac.new(key, struct.pack(">Q", counter), hashlib.sha1).digest()
    at = digest[-1] & 15
    return "%06d" % ((struct.unpack(">I", digest[at:at + 4])[0] & 0x7fffffff) % 1000000)


def set_up(user):
    """Gives (secret, recovery codes). Confirms with the step before, so that this one is left."""
    started = user.post("/api/v1/auth/totp")
    assert started.status_code == 200, started.text
    secret = started.json()["secret"]
    uri = urllib.parse.urlparse(started.json()["uri"])
    assert uri.scheme == "otpauth"
    assert urllib.parse.parse_qs(uri.query)["secret"] == [secret]
    confirmed = user.post("/api/v1/auth/totp/confirm", json={"code": totp(secret, -1)})
    assert confirmed.status_code == 200, confirmed.text
    codes = confirmed.json()["recoveryCodes"]
    assert len(set(codes)) == 10
    return secret, codes


def login(client, user, **more):
    return client.post("/api/v1/auth/login", json={"email": user.email, "password": PASSWORD,
                                                   **more})


def test_sign_in_with_a_second_factor(server, client, user):
    assert user.get("/api/v1/users/me").json().get("totp") in (None, {})
    secret, _ = set_up(user)
    assert user.get("/api/v1/users/me").json()["totp"]["confirmedAt"]
    assert secret not in user.get("/api/v1/users/me").text
    assert_problem(login(client, user), 401, "totp.required")
    assert_problem(login(client, user, totp="not-a-code"), 401, "totp.invalid")
    wrong = client.post("/api/v1/auth/login", json={"email": user.email, "password": "wrong",
                                                    "totp": totp(secret)})
    assert_problem(wrong, 401, "auth.credentials")
    code = totp(secret)
    replies = at_once(server, [lambda c: login(c, user, totp=code)] * 6)
    assert sorted(r.status_code for r in replies) == [200] + [401] * 5
    assert {r.json()["code"] for r in replies if r.status_code == 401} == {"totp.invalid"}


def test_recovery_codes_work_once(server, user):
    _, codes = set_up(user)
    replies = at_once(server, [lambda c: login(c, user, totp=codes[0].lower())] * 5)
    assert sorted(r.status_code for r in replies) == [200] + [401] * 4
    assert login(Client(server), user, totp=codes[1]).status_code == 200


def test_set_up_in_the_wrong_order(client, user):
    assert_problem(user.post("/api/v1/auth/totp/confirm", json={"code": "123456"}), 409,
                   "totp.state")
    assert_problem(user.delete("/api/v1/auth/totp", json={"password": PASSWORD}), 409,
                   "totp.state")
    secret = user.post("/api/v1/auth/totp").json()["secret"]
    assert_problem(user.post("/api/v1/auth/totp/confirm", json={"code": "000000"}), 401,
                   "totp.invalid")
    # Not in force before it is confirmed; asking again makes another secret.
    assert login(client, user).status_code == 200
    again = user.post("/api/v1/auth/totp", json={"password": PASSWORD}).json()["secret"]
    assert again != secret
    assert_problem(user.post("/api/v1/auth/totp/confirm", json={"code": totp(secret)}), 401,
                   "totp.invalid")
    assert user.post("/api/v1/auth/totp/confirm",
                     json={"code": totp(again)}).status_code == 200
    assert_problem(user.post("/api/v1/auth/totp"), 409, "totp.state")


def test_dropping_it(client, user):
    _, codes = set_up(user)
    assert_problem(user.delete("/api/v1/auth/totp"), 400, "body.missing")
    assert_problem(user.delete("/api/v1/auth/totp", json={"password": PASSWORD}), 422,
                   "input.invalid")
    assert_problem(user.delete("/api/v1/auth/totp", json={"password": "wrong",
                                                          "code": codes[0]}), 401,
                   "auth.credentials")
    assert_problem(user.delete("/api/v1/auth/totp", json={"password": PASSWORD,
                                                          "code": "000000"}), 401,
                   "totp.invalid")
    assert user.delete("/api/v1/auth/totp", json={"password": PASSWORD,
                                                  "code": codes[0]}).status_code == 204
    assert login(client, user).status_code == 200


@pytest.mark.parametrize("method, path", [
    ("POST", "/api/v1/auth/totp"), ("POST", "/api/v1/auth/totp/confirm"),
    ("DELETE", "/api/v1/auth/totp")])
def test_strangers_have_no_second_factor(client, method, path):
    assert_problem(client.request(method, path), 401, "auth.required")


@pytest.fixture
def staffed(make_server):
    """A server with a corner for staff, and whom its configuration names as the first of them."""
    server = make_server(settings={"HaloBuzzAdminEmail": "boss@halobuzz.test"}, extra="""
Alias "/staff" "@ROOT@/htdocs"
<Location "/staff">
    HaloBuzzProblems on
    AuthType HaloBuzz
    Require halobuzz-role admin
</Location>
""")
    return server, Users(server).make(email_address="boss@halobuzz.test")


def test_staff_act_with_a_second_factor_only(staffed, claims):
    claims("AH01630", "AH01631")
    server, boss = staffed
    assert boss.get("/staff/index.html").status_code == 403
    code = Mails(server).code(boss.email)
    assert boss.post("/api/v1/auth/email/verify", json={"code": code}).status_code == 200
    assert boss.get("/api/v1/users/me").json()["roles"] == ["superadmin"]
    # A superadmin at once, but with a user's powers before a second factor.
    assert boss.get("/api/v1/users/me").status_code == 200
    assert_problem(boss.get("/staff/index.html"), 403, "totp.setup_required")
    secret, codes = set_up(boss)
    assert everywhere(server, boss.token, "/staff/index.html") == {200}
    other = Client(server, login(Client(server), boss, totp=totp(secret)).json()["accessToken"])
    assert other.get("/staff/index.html").status_code == 200
    # Without it the power is gone at once, in the other session as well.
    assert boss.delete("/api/v1/auth/totp", json={"password": PASSWORD,
                                                  "code": codes[0]}).status_code == 204
    assert everywhere(server, boss.token, "/staff/index.html") == {403}
    assert everywhere(server, other.token, "/staff/index.html") == {403}


def test_a_code_alone_makes_no_superadmin(staffed):
    """Somebody registered the address first; its owner only clicks."""
    server, squatter = staffed
    code = Mails(server).code(squatter.email)
    assert Client(server).post("/api/v1/auth/email/verify",
                               json={"code": code}).status_code == 200
    assert squatter.get("/api/v1/users/me").json()["roles"] == []
    owner = Client(server)
    owner.post("/api/v1/auth/password/forgot", json={"email": squatter.email})
    owner.post("/api/v1/auth/password/reset", json={
        "code": Mails(server).code(squatter.email, 2), "password": "Pokhara-27?"})
    assert squatter.get("/api/v1/users/me").status_code == 401
    mine = owner.post("/api/v1/auth/login", json={"email": squatter.email,
                                                  "password": "Pokhara-27?"}).json()
    assert mine["user"]["roles"] == ["superadmin"]
