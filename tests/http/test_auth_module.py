# SPDX-License-Identifier: Apache-2.0
"""mod_halobuzz_auth: which tokens are accepted, and who may see a location protected by roles."""

import base64
import hashlib
import hmac
import json
import os
import time

import pytest

from hb_client import Client, assert_problem, raw
from hb_guard import serving
from hb_httpd import Httpd
from hb_users import Mails, Users

ME = "/api/v1/users/me"
SECRET = "k" * 30 + "-test-secret-of-more-than-64-characters-" + "z" * 10

MEMBERS = """
<Location "/members">
    HaloBuzzProblems on
    AuthType HaloBuzz
    Require valid-user
</Location>
<Location "/staff">
    HaloBuzzProblems on
    AuthType HaloBuzz
    Require halobuzz-role admin moderator
</Location>
<Location "/either">
    AuthType HaloBuzz
    <RequireAny>
        Require halobuzz-role admin
        Require valid-user
    </RequireAny>
</Location>
<Location "/plain">
    AuthType HaloBuzz
    Require halobuzz-role moderator
</Location>
"""


@pytest.fixture(scope="module")
def guarded(request):
    """A server with static locations behind tokens, whose signing key the tests know."""
    one = Httpd(modules=["authz_user"], settings={"HaloBuzzAuthSecret": "env:HB_TEST_SECRET",
                          "HaloBuzzAdminEmail": "boss@halobuzz.test",
                          "HaloBuzzAuthStaffTOTP": "off"},
                environment={"HB_TEST_SECRET": SECRET}, extra=MEMBERS)
    for name in ("members", "staff", "either", "plain"):
        os.mkdir(os.path.join(one.root, "htdocs", name))
        with open(os.path.join(one.root, "htdocs", name, "page.txt"), "w") as f:
            f.write(name + "\n")
    with serving(one):
        yield one


@pytest.fixture(scope="module")
def member(guarded):
    return Users(guarded).make()


@pytest.fixture(scope="module")
def boss(guarded):
    boss = Users(guarded).make(email_address="boss@halobuzz.test", username="theboss")
    code = Mails(guarded).code("boss@halobuzz.test")
    reply = boss.post("/api/v1/auth/email/verify", {"code": code})
    assert reply.status_code in (200, 204), reply.text
    return boss.login()


# --- tokens of our own making

def encode(data):
    if not isinstance(data, bytes):
        data = json.dumps(data, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text):
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def parts(token):
    header, claims, _ = token.split(".")
    return decode(header), decode(claims)


def sign(header, claims, key=SECRET, digest=hashlib.sha256):
    text = encode(header) + "." + encode(claims)
    return text + "." + encode(hmac.new(key.encode(), text.encode(), digest).digest())


def changed(token, header=None, key=SECRET, digest=hashlib.sha256, drop=(), **claims):
    old_header, old_claims = parts(token)
    old_header.update(header or {})
    old_claims.update(claims)
    for name in drop:
        old_header.pop(name, None)
        old_claims.pop(name, None)
    return sign(old_header, old_claims, key, digest)


def test_a_token_signed_like_ours_is_accepted(guarded, member):
    """Else the refusals below would prove nothing."""
    again = sign(*parts(member.token))
    assert Client(guarded).get(ME, token=again).status_code == 200


def unsigned(token, header):
    return encode(header) + "." + token.split(".")[1] + "."


def now():
    return int(time.time())


FORGED = {
    "alg none": lambda t: unsigned(t, {**parts(t)[0], "alg": "none"}),
    "alg None": lambda t: unsigned(t, {**parts(t)[0], "alg": "None"}),
    "alg none with a signature": lambda t: changed(t, {"alg": "none"}),
    "HS512": lambda t: changed(t, {"alg": "HS512"}, digest=hashlib.sha512),
    "HS384": lambda t: changed(t, {"alg": "HS384"}, digest=hashlib.sha384),
    "RS256 in name": lambda t: changed(t, {"alg": "RS256"}),
    "no alg": lambda t: changed(t, drop=["alg"]),
    "alg a number": lambda t: changed(t, {"alg": 256}),
    "another key": lambda t: changed(t, key="x" * 64),
    "an empty key": lambda t: changed(t, key=""),
    "an unknown kid": lambda t: changed(t, {"kid": "nobody-knows-me"}),
    "a kid that is a path": lambda t: changed(t, {"kid": "../../../../dev/null"}),
    "a kid that is a list": lambda t: changed(t, {"kid": ["a"]}),
    "a key brought along": lambda t: changed(t, {"jwk": {"kty": "oct", "k": "eHh4"}}, key="xxx"),
    "another typ": lambda t: changed(t, {"typ": "refresh+jwt"}),
    "no typ": lambda t: changed(t, drop=["typ"]),
    "an unknown crit": lambda t: changed(t, {"crit": ["exp"], "exp": 1}),
    "not yet valid": lambda t: changed(t, nbf=now() + 3600),
    "nbf a text": lambda t: changed(t, nbf="tomorrow"),
    "exp missing": lambda t: changed(t, drop=["exp"]),
    "exp a text": lambda t: changed(t, exp="9999999999"),
    "exp beyond 64 bits": lambda t: changed(t, exp=10 ** 30),
    "another issuer": lambda t: changed(t, iss="somebody"),
    "another audience": lambda t: changed(t, aud="somebody"),
    "no subject": lambda t: changed(t, drop=["sub"]),
    "a subject that is no id": lambda t: changed(t, sub={"$gt": ""}),
    "no session": lambda t: changed(t, drop=["sid"]),
    "an operator for a session": lambda t: changed(t, sid={"$ne": None}),
    "the signature cut": lambda t: t[:-1],
    "the signature gone": lambda t: t.rpartition(".")[0] + ".",
    "two parts": lambda t: t.rpartition(".")[0],
    "one part": lambda t: t.partition(".")[0],
    "four parts": lambda t: t + ".x",
    "half": lambda t: t[:len(t) // 2],
    "claims changed, signature kept": lambda t: ".".join(
        [t.split(".")[0], encode({**parts(t)[1], "roles": ["admin"]}), t.split(".")[2]]),
    "claims that are a list": lambda t: sign(parts(t)[0], []),
    "claims that are no JSON": lambda t: sign(parts(t)[0], b"hello"),
    "claims twice": lambda t: sign(parts(t)[0], json.dumps(parts(t)[1])[:-1].encode()
                                   + b',"sub":"65a1f0c2d3e4f5a6b7c8d9e0"}'),
    "claims 100000 deep": lambda t: sign(parts(t)[0], b"[" * 1500 + b"]" * 1500),
    "a header that is no JSON": lambda t: sign(b"{{", parts(t)[1]),
    "not base64url": lambda t: "a+b/.%s.x" % t.split(".")[1],
    "nothing but dots": lambda t: "..",
    "one dot": lambda t: ".",
    "a word": lambda t: "hello",
    "5 KB": lambda t: "a" * 5000,
    "just below 8 KB": lambda t: "a" * 8000,
    "just below 8 KB, in three parts": lambda t: "%s.%s.%s" % (t.split(".")[0], "a" * 7000, "b" * 43),
}


@pytest.mark.parametrize("label", FORGED)
def test_forged_token(guarded, member, label):
    reply = Client(guarded).get(ME, token=FORGED[label](member.token))
    problem = assert_problem(reply, 401)
    assert problem["code"] in ("token.invalid", "token.revoked"), problem
    assert reply.headers["WWW-Authenticate"] == \
        'Bearer realm="halobuzz", error="invalid_token"'


def test_expired_token(guarded, member):
    for when in (now() - 1, now() - 10 ** 6, 1):
        reply = Client(guarded).get(ME, token=changed(member.token, exp=when))
        assert_problem(reply, 401, "token.expired")
        assert 'error="invalid_token"' in reply.headers["WWW-Authenticate"]


def test_roles_of_a_token_give_nothing_that_the_account_lacks(guarded, member):
    """A signed token names the roles of its sign-in; only our key can say so."""
    assert_problem(Client(guarded).get("/staff/page.txt", token=changed(
        member.token, key="x" * 64, roles=["admin"])), 401, "token.invalid")


def test_header_line_beyond_what_httpd_reads(guarded):
    reply = raw(guarded, b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                b"Authorization: Bearer %s\r\n\r\n" % (ME.encode(), b"a" * 8300))
    assert reply.status == 400


@pytest.mark.parametrize("value", [
    "Bearer", "Bearer ", "bearer", "Bearer a b", "Bearer a,b", "Bearer =", "Bearer a=b",
    "Bearer \"x\"", "Bearer \u00e9", "Bearer a;b", "Bearer <x>"])
def test_header_that_is_no_single_token(guarded, value):
    reply = Client(guarded).get(ME, headers={"Authorization": value.encode("latin-1")})
    assert_problem(reply, 401, "token.invalid")


@pytest.mark.parametrize("value", ["Basic dXNlcjpwYXNz", "Digest username=x", "Bearerx y", "x", ""])
def test_other_schemes_are_none_of_ours(guarded, value):
    client = Client(guarded)
    assert_problem(client.get(ME, headers={"Authorization": value}), 401, "auth.required")
    assert client.get("/api/v1/streams", headers={"Authorization": value}).status_code == 200


def test_two_headers(guarded, member):
    line = b"Authorization: Bearer %s\r\n" % member.token.encode()
    reply = raw(guarded, b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s%s\r\n"
                % (ME.encode(), line, line))
    assert reply.status == 401
    assert json.loads(reply.body)["code"] == "token.invalid"


def test_scheme_in_any_case(guarded, member):
    for scheme in ("bearer", "BEARER"):
        reply = Client(guarded).get(ME, headers={"Authorization": scheme + "  " + member.token})
        assert reply.status_code == 200


def test_session_that_was_signed_out(guarded):
    user = Users(guarded).make()
    assert user.post("/api/v1/auth/logout").status_code in (200, 204)
    assert_problem(user.get(ME), 401, "token.revoked")
    assert_problem(user.get("/members/page.txt"), 401, "token.revoked")


def test_user_who_was_deleted(guarded):
    user = Users(guarded).make()
    assert user.delete(ME, {"password": user.password}).status_code in (200, 204)
    assert_problem(user.get(ME), 401, "token.revoked")


# --- static locations

def test_static_file_needs_a_user(guarded, member):
    reply = Client(guarded).get("/members/page.txt")
    assert_problem(reply, 401, "auth.required")
    assert reply.headers["WWW-Authenticate"] == 'Bearer realm="halobuzz"'
    reply = member.get("/members/page.txt")
    assert reply.status_code == 200
    assert reply.text == "members\n"


def test_static_file_refuses_a_bad_token(guarded):
    assert_problem(Client(guarded).get("/members/page.txt", token="a.b.c"), 401, "token.invalid")


def test_static_file_needs_a_role(guarded, member, boss, claims):
    claims("AH01631")
    assert_problem(member.get("/staff/page.txt"), 403, "role.required")
    assert_problem(Client(guarded).get("/staff/page.txt"), 401, "auth.required")
    assert boss.get("/staff/page.txt").text == "staff\n"


def test_one_of_two_requirements_is_enough(member, boss):
    assert member.get("/either/page.txt").text == "either\n"
    assert boss.get("/either/page.txt").text == "either\n"


def test_location_without_problem_documents(guarded, member, boss, claims):
    claims("AH01631")
    assert member.get("/plain/page.txt").status_code == 403
    reply = Client(guarded).get("/plain/page.txt")
    assert reply.status_code == 401
    assert reply.headers["WWW-Authenticate"].startswith("Bearer")
    assert boss.get("/plain/page.txt").status_code == 200


def test_user_is_in_the_access_log_variables(guarded, member):
    """r->user is the id, for %u and for Require user."""
    made = Client(guarded).get(ME, token=member.token).json()
    assert made["id"] == member.id


def test_refused_tokens_are_counted(guarded):
    def count():
        text = Client(guarded).get("/api/v1/monitoring/metrics").text
        for line in text.splitlines():
            if line.startswith("halobuzz_auth_refused_total"):
                return int(float(line.split()[-1]))
        return 0
    before = count()
    Client(guarded).get(ME, token="a.b.c")
    assert count() == before + 1


def test_staff_without_second_factor(make_server, claims):
    claims("AH01631")
    one = make_server(modules=["authz_user"], extra=MEMBERS,
                      settings={"HaloBuzzAdminEmail": "boss@halobuzz.test"})
    os.makedirs(os.path.join(one.root, "htdocs", "staff"))
    boss = Users(one).make(email_address="boss@halobuzz.test", username="theboss")
    code = Mails(one).code("boss@halobuzz.test")
    assert boss.post("/api/v1/auth/email/verify", {"code": code}).status_code in (200, 204)
    boss.login()
    assert_problem(boss.get("/staff/"), 403, "totp.setup_required")


# --- configuration

@pytest.mark.parametrize("line, says", [
    ("Require halobuzz-role king", 'there is no role "king"; known are user host moderator'),
    ("Require halobuzz-role", "needs one or more roles"),
    ("Require halobuzz-role admin king", '"king"')])
def test_wrong_roles_are_told_at_start(make_server, line, says):
    one = make_server(start=False, extra='<Location "/x">\nAuthType HaloBuzz\n%s\n</Location>' % line)
    status, text = one.configtest()
    assert status != 0
    assert says in text, text
