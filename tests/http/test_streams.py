# SPDX-License-Identifier: Apache-2.0
"""Live rooms over HTTP: life cycle, counts under load, lists, media tokens, refusals."""

import base64
import concurrent.futures
import struct
import time
import zlib

import pytest

from hb_client import Client, assert_problem
from hb_users import Users

APP_ID = "970CA35de60c44645bbae8a215061b33"
CERTIFICATE = "5CFd2fd1755d40ecb72977518be15d3b"
STREAMS = "/api/v1/streams"


def plan(user, title="A title", **fields):
    reply = user.post(STREAMS, json={"title": title, **fields})
    assert reply.status_code == 201, reply.text
    return reply.json()


def go_live(user, **fields):
    stream = plan(user, **fields)
    reply = user.post("%s/%s/start" % (STREAMS, stream["id"]))
    assert reply.status_code == 200, reply.text
    return reply.json()["stream"]


def at(stream, tail=""):
    return "%s/%s%s" % (STREAMS, stream["id"], tail)


def alone(user, path, **args):
    """A POST on a connection of its own: httpd drops idle ones when all its threads are busy."""
    one = Client(user.server, user.token)
    try:
        return one.post(path, headers={"Connection": "close"}, **args)
    finally:
        one.close()


def many(calls, workers=32):
    """Run calls at once; gives their replies in order."""
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        return [f.result() for f in [pool.submit(c) for c in calls]]


# --- life cycle

def test_from_plan_to_analytics(users, client):
    host, viewer = users.make(), users.make()
    stream = plan(host, "Evening songs", category="Music", description="two hours",
                  country="NP", language="ne", thumbnailUrl="https://cdn.halobuzz.test/a.jpg")
    assert stream["status"] == "pending" and stream["category"] == "music"
    assert stream["hostId"] == host.id and stream["startedAt"] is None
    assert_problem(client.get(STREAMS + "/%s" % stream["id"]), 404, "stream.unknown")

    reply = host.post(STREAMS + "/%s/start" % stream["id"])
    assert reply.status_code == 200
    assert reply.json()["stream"]["status"] == "live" and "media" in reply.json()

    reply = viewer.post(STREAMS + "/%s/join" % stream["id"])
    assert reply.status_code == 200
    assert reply.json()["role"] == "viewer" and reply.json()["stream"]["viewers"] == 1
    assert "channel" not in reply.json()["stream"]
    assert client.get(STREAMS + "/%s" % stream["id"]).json()["viewers"] == 1
    assert viewer.post(STREAMS + "/%s/leave" % stream["id"]).status_code == 204
    assert viewer.post(STREAMS + "/%s/leave" % stream["id"]).status_code == 204
    assert client.get(STREAMS + "/%s" % stream["id"]).json()["viewers"] == 0

    reply = host.post(STREAMS + "/%s/end" % stream["id"])
    assert reply.status_code == 200
    ended = reply.json()
    assert ended["status"] == "ended" and ended["endReason"] == "host"
    assert ended["analytics"]["uniqueViewers"] == 1 and ended["analytics"]["peakViewers"] == 1
    assert "analytics" not in client.get(STREAMS + "/%s" % stream["id"]).json()
    assert_problem(host.post(STREAMS + "/%s/end" % stream["id"]), 410, "stream.ended")
    assert_problem(viewer.post(STREAMS + "/%s/join" % stream["id"]), 410, "stream.ended")
    assert_problem(host.patch(STREAMS + "/%s" % stream["id"], json={"title": "x"}), 410, "stream.ended")


def test_plans_are_changed_and_withdrawn(users):
    host, other = users.make(), users.make()
    stream = plan(host, description="d")
    assert_problem(host.post(STREAMS, json={"title": "second"}), 409, "stream.already_live")
    reply = host.patch(at(stream), json={"title": "New", "description": None})
    assert reply.status_code == 200 and reply.json()["title"] == "New"
    assert not reply.json().get("description")
    assert_problem(other.patch(at(stream), json={"title": "x"}), 404, "stream.unknown")
    assert_problem(host.post(at(stream, "/end")), 409, "stream.state")
    assert host.delete(STREAMS + "/%s" % stream["id"]).status_code == 204
    assert_problem(host.get(at(stream)), 404, "stream.unknown")
    stream = go_live(host)
    assert_problem(host.delete(at(stream)), 409, "stream.state")
    assert_problem(other.patch(at(stream), json={"title": "x"}), 403, "forbidden")
    assert_problem(other.post(at(stream, "/end")), 403, "role.required")


@pytest.mark.parametrize("body, field", [
    ({}, "title"),
    ({"title": ""}, "title"),
    ({"title": 5}, "title"),
    ({"title": {"$ne": ""}}, "title"),
    ({"title": "  "}, "title"),
    ({"title": "a\nb"}, "title"),
    ({"title": "x" * 121}, "title"),
    ({"title": "t", "category": "c" * 41}, "category"),
    ({"title": "t", "country": "Nepal"}, "country"),
    ({"title": "t", "thumbnailUrl": "javascript:alert(1)"}, "thumbnailUrl"),
    ({"title": "t", "description": ["a"]}, "description"),
])
def test_bad_plans_are_refused(user, body, field):
    document = assert_problem(user.post(STREAMS, json=body), 422, "input.invalid")
    assert [e["field"] for e in document["errors"]] == [field]


def test_unknown_fields_are_not_stored(users):
    host = users.make()
    stream = plan(host, viewers=10**6, hostId="0" * 24, status="live", score=5, x={"$set": 1})
    assert stream["hostId"] == host.id and stream["status"] == "pending"
    assert stream["viewers"] == 0 and "x" not in stream


def test_strangers_only_look(client, users):
    stream = go_live(users.make())
    assert client.get(STREAMS).status_code == 200
    assert client.get(at(stream)).status_code == 200
    for method, tail in (("POST", "/start"), ("POST", "/end"), ("POST", "/join"),
                         ("POST", "/leave"), ("GET", "/token"), ("DELETE", "")):
        assert_problem(client.request(method, at(stream, tail)), 401, "auth.required")
    assert_problem(client.post(STREAMS, json={"title": "t"}), 401, "auth.required")


@pytest.mark.parametrize("name", ["0" * 24, "x", "0" * 25, "%24ne", "f" * 2000])
def test_unknown_ids(user, name):
    for tail in ("", "/join", "/start"):
        path = "%s/%s%s" % (STREAMS, name, tail)
        assert_problem(user.get(path) if not tail else user.post(path), 404, "stream.unknown")


# --- races

def test_a_hundred_joins_of_one_count_once(users, client):
    host, viewer = users.make(), users.make()
    stream = go_live(host)
    replies = many([lambda: alone(viewer, at(stream, "/join"))] * 100)
    assert {r.status_code for r in replies} == {200}
    seen = client.get(at(stream)).json()
    assert (seen["viewers"], seen["totalViews"], seen["uniqueViewers"]) == (1, 1, 1)


def test_comings_and_goings_add_up(users, client):
    host, people = users.make(), [users.make() for _ in range(8)]
    stream = go_live(host)
    calls = []
    for _ in range(6):
        for who in people:
            calls.append(lambda who=who: alone(who, at(stream, "/join")))
            calls.append(lambda who=who: alone(who, at(stream, "/leave")))
    assert {r.status_code for r in many(calls)} <= {200, 204}
    for who in people[:3]:
        assert who.post(at(stream, "/join")).status_code == 200
    for who in people[3:]:
        assert who.post(at(stream, "/leave")).status_code == 204
    seen = client.get(at(stream)).json()
    assert seen["viewers"] == 3
    assert seen["uniqueViewers"] == 8 and 3 <= seen["peakViewers"] <= 8
    ended = host.post(at(stream, "/end")).json()
    assert ended["viewers"] == 0 and ended["analytics"]["uniqueViewers"] == 8


def test_of_many_starts_at_once_one_wins(users):
    host = users.make()
    stream = plan(host)
    codes = sorted(r.status_code for r in many([lambda: alone(host, at(stream, "/start"))] * 8, 8))
    assert codes == [200] + [409] * 7


def test_of_many_plans_at_once_one_wins(users):
    host = users.make()
    codes = sorted(r.status_code for r in
                   many([lambda: alone(host, STREAMS, json={"title": "t"})] * 8, 8))
    assert codes == [201] + [409] * 7


def test_joins_against_the_end(users, client):
    host, people = users.make(), [users.make() for _ in range(8)]
    stream = go_live(host)
    calls = [lambda who=who: alone(who, at(stream, "/join")) for who in people]
    calls.insert(4, lambda: alone(host, at(stream, "/end")))
    replies = many(calls, 9)
    assert replies[4].status_code == 200
    assert {r.status_code for r in replies} <= {200, 410}
    assert client.get(at(stream)).json()["viewers"] == 0
    joined = sum(r.status_code == 200 for r in replies) - 1
    assert host.get(at(stream)).json()["analytics"]["uniqueViewers"] == joined


# --- lists

def listed(client, query):
    reply = client.get(STREAMS + query)
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_lists_filter_sort_and_page(users, client):
    category = "list%d" % (time.time_ns() % 10**9)
    streams = [go_live(users.make(), title="s%d" % i, category=category,
                       country=("NP", "AU")[i % 2]) for i in range(5)]
    viewer = users.make()
    viewer.post(at(streams[2], "/join"))
    time.sleep(1.1)             # viewer counts may be that late
    page = listed(client, "?category=%s" % category.upper())
    assert len(page["items"]) == 5 and page["next"] is None
    assert page["items"][0]["id"] == streams[2]["id"]
    assert len(listed(client, "?category=%s&country=AU" % category)["items"]) == 2

    found, after = [], ""
    while True:
        page = listed(client, "?category=%s&limit=2%s" % (category, after))
        found += [s["id"] for s in page["items"]]
        if page["next"] is None:
            break
        after = "&after=" + page["next"]
    assert sorted(found) == sorted(s["id"] for s in streams)

    newest = listed(client, "?sort=started&limit=5")["items"]
    assert [s["id"] for s in newest] == [s["id"] for s in reversed(streams)]


def test_changes_show_at_once_in_lists(users, client):
    host = users.make()
    category = "now%d" % (time.time_ns() % 10**9)
    query = "?category=" + category
    assert listed(client, query)["items"] == []
    stream = go_live(host, category=category)
    assert [s["id"] for s in listed(client, query)["items"]] == [stream["id"]]
    host.patch(at(stream), json={"title": "Other"})
    assert listed(client, query)["items"][0]["title"] == "Other"
    host.post(at(stream, "/end"))
    assert listed(client, query)["items"] == []
    assert [s["id"] for s in listed(client, "?host=" + host.id)["items"]] == [stream["id"]]


def test_plans_are_not_listed_for_others(users, client):
    host, other = users.make(), users.make()
    stream = plan(host)
    assert_problem(client.get(STREAMS + "?status=pending"), 422, "input.invalid")
    assert_problem(other.get(STREAMS + "?status=pending&host=" + host.id), 403, "forbidden")
    assert listed(other, "?host=" + host.id)["items"] == []
    assert [s["id"] for s in listed(host, "?host=" + host.id)["items"]] == [stream["id"]]


@pytest.mark.parametrize("query", [
    "?limit=0", "?limit=101", "?limit=x", "?limit=99999999999999999999", "?sort=title",
    "?status=gone", "?country=Nepal", "?host=me", "?after=x", "?after=" + "A" * 500,
    "?category=a&sort=started", "?host=" + "0" * 24 + "&category=a", "?limit=1&limit=2",
    "?category=" + "x" * 41,
])
def test_bad_queries_are_refused(client, query):
    document = assert_problem(client.get(STREAMS + query), 422)
    assert document["code"] in ("input.invalid", "cursor.invalid")


def test_foreign_cursors_are_refused(users, client):
    for _ in range(3):
        go_live(users.make())
    cursor = listed(client, "?limit=1")["next"]
    assert cursor
    assert_problem(client.get(STREAMS + "?limit=1&sort=started&after=" + cursor), 422,
                   "cursor.invalid")


def test_ranking(users, client):
    host, people = users.make(), [users.make() for _ in range(4)]
    stream = go_live(host)
    for who in people:
        assert who.post(at(stream, "/join")).status_code == 200
    time.sleep(1.1)
    reply = client.get(STREAMS + "/ranking?limit=100")
    assert reply.status_code == 200
    items = reply.json()["items"]
    assert [i["rank"] for i in items] == list(range(1, len(items) + 1))
    scores = [i["score"] for i in items]
    assert scores == sorted(scores, reverse=True)
    mine = [i for i in items if i["stream"]["id"] == stream["id"]]
    assert mine and mine[0]["score"] == 4 * 110
    host.post(at(stream, "/end"))
    assert stream["id"] not in [i["stream"]["id"] for i in
                                client.get(STREAMS + "/ranking").json()["items"]]


# --- blocks

def test_blocked_users_stay_outside(users, client):
    host, blocked, blocker = users.make(), users.make(), users.make()
    assert host.put("/api/v1/users/%s/block" % blocked.id).status_code in (200, 201, 204)
    assert blocker.put("/api/v1/users/%s/block" % host.id).status_code in (200, 201, 204)
    stream = go_live(host)
    for who in (blocked, blocker):
        assert_problem(who.post(at(stream, "/join")), 403, "user.blocked")
    assert client.get(at(stream)).json()["viewers"] == 0


# --- media

def unpack(token):
    """What an Agora 007 token says: (app id, seconds, {privilege: seconds}, channel, uid)."""
    assert token.startswith("007")
    data = zlib.decompress(base64.b64decode(token[3:]))

    def take(fmt):
        nonlocal data
        values = struct.unpack_from(fmt, data)
        data = data[struct.calcsize(fmt):]
        return values[0]

    def text():
        nonlocal data
        n = take("<H")
        value, data = data[:n], data[n:]
        return value

    assert len(text()) == 32    # signature
    app_id = text().decode()
    take("<I")                  # issued
    seconds = take("<I")
    take("<I")                  # salt
    assert take("<H") == 1 and take("<H") == 1      # one service: RTC
    privileges = {}
    for _ in range(take("<H")):
        privilege = take("<H")
        privileges[privilege] = take("<I")
    channel, uid = text().decode(), text().decode()
    assert data == b""
    return app_id, seconds, privileges, channel, uid


def test_media_tokens_go_by_role(make_server):
    server = make_server(settings={"HaloBuzzAgoraAppId": APP_ID,
                                   "HaloBuzzAgoraCertificate": "env:HB_TEST_CERTIFICATE",
                                   "HaloBuzzAgoraTokenTTL": "30m"},
                         environment={"HB_TEST_CERTIFICATE": CERTIFICATE})
    users = Users(server)
    host, viewer = users.make(), users.make()
    stream = plan(host)
    media = host.post(at(stream, "/start")).json()["media"]
    assert (media["provider"], media["role"], media["appId"]) == ("agora", "host", APP_ID)
    app_id, seconds, privileges, channel, uid = unpack(media["token"])
    assert app_id == APP_ID and seconds == 1800 and channel == media["channel"]
    assert set(privileges) == {1, 2, 3, 4} and uid == str(media["uid"]) != "0"

    media = viewer.post(at(stream, "/join")).json()["media"]
    assert set(unpack(media["token"])[2]) == {1}
    again = viewer.get(STREAMS + "/%s/token?role=viewer" % stream["id"]).json()
    assert again["uid"] == media["uid"] and again["role"] == "viewer"
    assert_problem(viewer.get(at(stream, "/token?role=host")), 403, "forbidden")
    assert_problem(viewer.get(at(stream, "/token?role=admin")), 422, "input.invalid")
    host.post(at(stream, "/end"))
    assert_problem(host.get(at(stream, "/token")), 410, "stream.ended")


def test_rooms_work_without_a_media_service(users, claims):
    host, viewer = users.make(), users.make()
    stream = plan(host)
    assert host.post(at(stream, "/start")).json()["media"] is None
    assert viewer.post(at(stream, "/join")).json()["media"] is None
    claims("HB02002")
    assert_problem(viewer.get(at(stream, "/token")), 503, "media.unconfigured")


# --- quality

def test_quality_reports(users):
    host, viewer = users.make(), users.make()
    stream = go_live(host)
    good = {"bitrateKbps": 2000, "latencyMsec": 100}
    assert_problem(viewer.post(STREAMS + "/%s/quality" % stream["id"], json=good), 403,
                   "forbidden")
    viewer.post(at(stream, "/join"))
    assert host.post(at(stream, "/quality"), json=good).json() == {"reports": 1, **good}
    reply = viewer.post(at(stream, "/quality"), json={"bitrateKbps": 1000, "latencyMsec": 900})
    average = {"reports": 2, "bitrateKbps": 1500, "latencyMsec": 500}
    assert reply.json() == average
    for bad in ({}, {"bitrateKbps": -1, "latencyMsec": 1}, {"bitrateKbps": 1, "latencyMsec": "1"},
                {"bitrateKbps": 1, "latencyMsec": 10**30}):
        assert viewer.post(at(stream, "/quality"), json=bad).status_code in (400, 422)
    assert host.post(at(stream, "/end")).json()["analytics"]["quality"] == average


# --- around

def test_counters(users, client):
    def counter(name):
        for line in client.get("/api/v1/monitoring/metrics").text.splitlines():
            if line.startswith(name + " "):
                return int(float(line.split()[1]))
        return None

    before = counter("halobuzz_streams_started_total")
    joins = counter("halobuzz_viewer_joins_total")
    live = counter("halobuzz_active_streams")
    host, viewer = users.make(), users.make()
    stream = go_live(host)
    viewer.post(at(stream, "/join"))
    viewer.post(at(stream, "/join"))
    assert counter("halobuzz_streams_started_total") == before + 1
    assert counter("halobuzz_viewer_joins_total") == joins + 1
    assert counter("halobuzz_active_streams") == live + 1
    host.post(at(stream, "/end"))
    assert counter("halobuzz_active_streams") == live


def test_a_deleted_host_leaves_no_live_stream(users, client):
    host = users.make()
    stream = go_live(host)
    assert host.delete("/api/v1/users/me", json={"password": host.password}).status_code == 204
    assert client.get(at(stream)).json()["status"] == "ended"
