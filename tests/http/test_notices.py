# SPDX-License-Identifier: Apache-2.0
"""What people are told: the list, what somebody wants, and what leaves the house."""

import base64
import hashlib
import hmac
import json
import os
import time
import urllib.parse
from datetime import datetime, timedelta, timezone

import pytest

from hb_client import assert_problem
from hb_finance import bank_with, boss_of, ctl, key
from hb_sink import Sink
from hb_users import Users

NOTICES = "/api/v1/notifications"
PLANS = NOTICES + "/maintenance"
NOBODY = "65a1b2c3d4e5f60718293a4b"
PUSH_SECRET = "key of pushes, of more than thirty-two letters"


@pytest.fixture(scope="module")
def sink():
    with Sink() as one:
        yield one
        one.shutdown()


@pytest.fixture(scope="module")
def house(sink):
    """A server that sends everything to the sink, and its superadmin."""
    def secret(server, name, text):
        path = os.path.join(server.root, name)
        with open(path, "w", encoding="ascii") as f:
            f.write(text + "\n")
        os.chmod(path, 0o600)
        return "file:" + path

    def prepare(server):
        server.settings.update({
            "HaloBuzzSMSURL": sink.url + "/", "HaloBuzzSMSAccount": "AC1",
            "HaloBuzzSMSToken": secret(server, "sms", "sesame"),
            "HaloBuzzSMSFrom": "+15550001111",
            "HaloBuzzPushURL": sink.url + "/push",
            "HaloBuzzPushSecret": secret(server, "push", PUSH_SECRET),
            "HaloBuzzTeamHook": secret(server, "team", sink.url + "/services/T/B/x"),
        })

    with bank_with({"HaloBuzzAdminEmail": "boss@halobuzz.test"}, prepare=prepare) as server:
        server.boss = boss_of(server, Users(server), "boss@halobuzz.test")
        yield server


@pytest.fixture
def anna(house):
    return Users(house).make()


def change_password(user):
    """The simplest thing that an account is told of."""
    reply = user.post("/api/v1/auth/password", {"currentPassword": user.password,
                                                "newPassword": user.password + "x"})
    assert reply.status_code == 204, reply.text
    user.password += "x"


def unread(user):
    return user.get(NOTICES + "/unread").json()["unread"]


def test_the_list_and_what_waits(house, anna):
    assert anna.get(NOTICES).json() == {"items": [], "next": None}
    for _ in range(3):
        change_password(anna)
    assert unread(anna) == 3
    first = anna.get(NOTICES, params={"limit": 2}).json()
    rest = anna.get(NOTICES, params={"limit": 2, "after": first["next"]}).json()
    assert len(first["items"]) == 2 and len(rest["items"]) == 1 and rest["next"] is None
    one = first["items"][0]
    assert one["kind"] == "security.password" and not one["read"] and "password" in one["text"]
    assert anna.post(NOTICES + "/%s/read" % one["id"]).json() == {"unread": 2}
    assert anna.post(NOTICES + "/%s/read" % one["id"]).json() == {"unread": 2}
    assert anna.get(NOTICES).json()["items"][0]["read"]
    assert anna.post(NOTICES + "/read").json() == {"unread": 0}
    assert_problem(anna.post(NOTICES + "/%s/read" % NOBODY), 404, "notice.unknown")
    assert_problem(anna.get(NOTICES, params={"after": "x"}), 422, "cursor.invalid")
    stranger = Users(house).make()
    assert_problem(stranger.post(NOTICES + "/%s/read" % one["id"]), 404, "notice.unknown")


def test_it_is_told_in_the_language_of_the_reader(anna):
    assert anna.patch("/api/v1/users/me", {"language": "ne", "zone": "Asia/Kathmandu"}
                      ).status_code == 200
    change_password(anna)
    one = anna.get(NOTICES).json()["items"][0]
    assert "(Asia/Kathmandu)" in one["text"] and "पासवर्ड" in one["title"]
    assert one["values"]["at"].endswith("Z")


def test_settings(anna):
    now = anna.get(NOTICES + "/settings").json()
    assert now["quietFrom"] is None
    kinds = {k["kind"]: {w["way"]: w for w in k["ways"]} for k in now["kinds"]}
    assert kinds["security.password"]["mail"] == {"way": "mail", "on": True, "fixed": True}
    assert kinds["order.paid"]["mail"] == {"way": "mail", "on": False, "fixed": False}
    after = anna.patch(NOTICES + "/settings", {
        "quietFrom": "22:00", "quietTo": "07:15",
        "choices": [{"kind": "order.paid", "way": "mail", "on": True}]}).json()
    kinds = {k["kind"]: {w["way"]: w for w in k["ways"]} for k in after["kinds"]}
    assert (after["quietFrom"], after["quietTo"]) == ("22:00", "07:15")
    assert kinds["order.paid"]["mail"]["on"]
    assert anna.get(NOTICES + "/settings").json() == after
    refused = anna.patch(NOTICES + "/settings", {
        "choices": [{"kind": "security.password", "way": "mail", "on": False}]})
    assert_problem(refused, 422, "input.invalid")
    assert_problem(anna.patch(NOTICES + "/settings", {"quietFrom": None}), 422, "input.invalid")


def test_push_is_signed_and_tried_again(house, sink, anna, claims):
    claims("HB00411")
    sink.answers[anna.id] = 503
    change_password(anna)
    path, headers, body = sink.wait("/push", anna.id)[0]
    when, mac = (part.partition("=")[2] for part in headers["X-HaloBuzz-Signature"].split(","))
    assert hmac.compare_digest(mac, hmac.new(PUSH_SECRET.encode(), when.encode() + b"." + body,
                                             hashlib.sha256).hexdigest())
    told = json.loads(body)
    assert told["kind"] == "security.password" and told["userId"] == anna.id
    # The same notice as in the list, under whose id it goes.
    assert told["id"] == headers["Idempotency-Key"] == anna.get(NOTICES).json()["items"][0]["id"]
    # What was refused waits half a minute for its next try; another one does not wait for it.
    change_password(anna)
    assert json.loads(sink.wait("/push", anna.id, 2)[1][2])["id"] != told["id"]


def test_sms_goes_to_who_wants_it(house, sink, anna):
    number = "+97798%08d" % (int(anna.id[-6:], 16) % 10 ** 8)
    assert anna.patch("/api/v1/users/me", {"phone": number}).status_code == 200
    anna.patch(NOTICES + "/settings", {
        "choices": [{"kind": "security.password", "way": "sms", "on": True},
                    {"kind": "security.password", "way": "push", "on": False}]})
    change_password(anna)
    path, headers, body = sink.wait("/2010-04-01/", number[1:])[0]
    assert path == "/2010-04-01/Accounts/AC1/Messages.json"
    assert headers["Authorization"] == "Basic " + base64.b64encode(b"AC1:sesame").decode()
    form = dict(urllib.parse.parse_qsl(body.decode()))
    assert form["To"] == number and form["From"] == "+15550001111"
    assert form["Body"].startswith("Your password was changed. ")
    assert not [p for p in list(sink.posts) if anna.id.encode() in p[2]]


def test_what_a_service_refuses_for_good_is_given_up(house, sink, anna, claims):
    sink.answers[anna.id] = 422
    change_password(anna)
    sink.wait("/push", anna.id)
    until = time.monotonic() + 10
    while 'way="push",result="dead"} 1' not in house.boss.get(
            "/api/v1/monitoring/metrics").text:
        assert time.monotonic() < until
        time.sleep(0.1)
    claims("HB00521")


def at(when):
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_maintenance_is_told_to_all(house, sink, anna):
    begin = datetime.now(timezone.utc) + timedelta(hours=3)
    before = unread(anna)
    assert_problem(anna.post(PLANS, {"startsAt": at(begin)}), 403, "role.required")
    assert_problem(house.boss.post(PLANS, {"startsAt": "2020-01-01T00:00:00Z"}), 422,
                   "input.invalid")
    plan = house.boss.post(PLANS, {"startsAt": at(begin), "endsAt": at(begin + timedelta(hours=1)),
                                   "reason": "New disks <fast>."})
    assert plan.status_code == 201 and plan.json()["state"] == "planned"
    assert_problem(house.boss.post(PLANS, {"startsAt": at(begin)}), 409, "maintenance.state")
    # Closer than 48 hours: they are told at once.
    team = json.loads(sink.wait("/services/T/B/x", "New disks")[0][2])
    assert "New disks &lt;fast&gt;." in team["text"]
    assert unread(anna) == before + 1
    one = anna.get(NOTICES).json()["items"][0]
    assert one["kind"] == "maintenance.planned" and one["toAll"]
    cancelled = house.boss.post(PLANS + "/%s/cancel" % plan.json()["id"])
    assert cancelled.json()["state"] == "cancelled"
    assert anna.get(NOTICES).json()["items"][0]["kind"] == "maintenance.cancelled"
    again = house.boss.post(PLANS + "/%s/cancel" % plan.json()["id"])
    assert_problem(again, 409, "maintenance.state")
    assert_problem(house.boss.post(PLANS + "/%s/cancel" % NOBODY), 404, "maintenance.unknown")
    assert house.boss.get(PLANS).json()["items"][0]["state"] == "cancelled"


ADMIN = "/api/v1/admin/announcements"
LEAK = "/api/v1/security/data-leak-notification"


def told(house, made, n=1):
    """Until everybody an announcement is for has it: some rounds of the outbox, of a second each."""
    until = time.monotonic() + 60
    while True:
        one = house.boss.get(ADMIN + "/%s" % made["id"]).json()
        if one["state"] == "done":
            assert one["told"] == n, one
            return one
        assert time.monotonic() < until, one
        time.sleep(0.05)


def test_administrators_announce(house, sink, anna):
    said = {"title": "New rooms", "text": "Look around."}
    assert_problem(anna.post(ADMIN, said, headers=key()), 403, "role.required")
    assert_problem(house.boss.post(ADMIN, said), 400, "idempotency.missing")
    assert_problem(house.boss.post(ADMIN, {"title": "New rooms"}, headers=key()), 422,
                   "input.invalid")
    before, once = unread(anna), key()
    made = house.boss.post(ADMIN, said, headers=once)
    assert made.status_code == 201 and made.json()["toAll"], made.text
    again = house.boss.post(ADMIN, said, headers=once)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json()["id"] == made.json()["id"]
    assert_problem(house.boss.post(ADMIN, {**said, "title": "x"}, headers=once), 422,
                   "idempotency.mismatch")
    done = told(house, made.json(), made.json()["accounts"])
    assert done["seen"] == done["accounts"] >= 2
    one = anna.get(NOTICES).json()["items"][0]
    assert (one["kind"], one["title"], one["toAll"]) == ("announcement", "New rooms", True)
    assert unread(anna) == before + 1
    push = json.loads(sink.wait("/push", anna.id)[0][2])
    assert (push["kind"], push["text"]) == ("announcement", "Look around.")
    listed = house.boss.get(ADMIN).json()["items"][0]
    assert listed == done
    assert_problem(house.boss.post(ADMIN + "/%s/cancel" % done["id"]), 409, "announcement.state")
    assert_problem(house.boss.get(ADMIN + "/" + NOBODY), 404, "announcement.unknown")


def test_some_are_told_of_a_leak(house, anna):
    other = Users(house).make()
    assert_problem(anna.post(LEAK, {}, headers=key()), 403, "role.required")
    made = house.boss.post(LEAK, {"userIds": [anna.id], "data": "phone number"}, headers=key())
    assert made.status_code == 201, made.text
    assert made.json()["ways"] == ["list", "mail", "push"] and not made.json()["toAll"]
    told(house, made.json())
    one = anna.get(NOTICES).json()["items"][0]
    assert one["kind"] == "security.leak" and "(phone number)" in one["text"]
    assert all(n["kind"] != "security.leak" for n in other.get(NOTICES).json()["items"])


def test_the_operator_announces(house, anna):
    text = ctl(house, "notice", "send", "--user", anna.username, "--title", "Hi", "--text", "You.",
               "--no-push", "--key", "op-1", "--json")
    made = json.loads(text)
    assert made["users"] == 1 and made["ways"] == ["list"]
    assert json.loads(ctl(house, "notice", "send", "--user", anna.username, "--title", "Hi",
                          "--text", "You.", "--no-push", "--key", "op-1", "--json")) == made
    told(house, made)
    assert anna.get(NOTICES).json()["items"][0]["title"] == "Hi"
    assert "done" in ctl(house, "notice", "show", made["id"])
    later = at(datetime.now(timezone.utc) + timedelta(hours=1))
    made = json.loads(ctl(house, "notice", "send", "--role", "staff", "--title", "Hi", "--text",
                          "All.", "--at", later, "--json"))
    assert made["id"] in ctl(house, "notice", "list")
    assert "cancelled" in ctl(house, "notice", "cancel", made["id"])
    assert house.boss.post(ADMIN + "/%s/cancel" % made["id"]).status_code == 409


def test_the_operator_tries_the_ways(house, sink):
    assert "sms answered 201" in ctl(house, "notice", "test", "sms", "+9779812345678")
    assert "push answered 201" in ctl(house, "notice", "test", "push", NOBODY)
    assert "team answered 201" in ctl(house, "notice", "test", "team")
    assert json.loads(sink.wait("/push", NOBODY)[0][2])["kind"] == "test"
    assert b"This is a test of " in sink.wait("/services/", "Nothing has happened")[0][2]
