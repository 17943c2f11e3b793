# SPDX-License-Identifier: Apache-2.0
"""The official socket.io-client, all the way: in, talking, a gift, away and back."""

import pytest

from stock import VERSIONS


@pytest.mark.parametrize("transports", (["websocket"], ["polling"], ["polling", "websocket"]))
@pytest.mark.parametrize("version", sorted(VERSIONS))
def test_two_clients_talk(stock, live, users, version, transports):
    a = stock.connect("a", live.host.token, version=version, transports=transports)
    stock.connect("b", users.make().token, version=version, transports=transports)
    assert a["recovered"] is False
    for name in "ab":
        assert stock.call(name, "stream:join", {"streamId": live.id})["ok"]
    assert stock.call("a", "chat:new", {"streamId": live.id, "text": "hello"})["ok"]
    for name in "ab":
        stock.wait_text(name, "hello")
    assert stock.call("b", "chat:new", {"streamId": live.id, "text": "hi"})["ok"]
    for name in "ab":
        stock.wait_text(name, "hi")
        assert stock.texts(name) == ["hello", "hi"]


def test_a_gift_and_a_cut(stock, live, users, rich):
    user = users.make()
    stock.connect("a", user.token)
    assert stock.call("a", "stream:join", {"streamId": live.id})["ok"]
    giver, gift = rich()

    def give(key):
        assert giver.post("/api/v1/streams/%s/gifts" % live.id, json={
            "giftId": gift["id"], "quantity": 1},
            headers={"Idempotency-Key": key}).status_code == 201

    give("one")
    stock.wait("a", "event", lambda i: i["event"] == "gift:sent")
    mark = stock.mark()
    stock.send(do="drop", name="a")
    stock.wait("a", "disconnect", after=mark)
    give("two")
    live.host.post("/api/v1/streams/%s/messages" % live.id, json={"text": "you were away"})
    again = stock.wait("a", "connect", after=mark)
    assert again["recovered"] is True
    stock.wait("a", "event", lambda i: i["event"] == "gift:sent", after=mark)
    stock.wait_text("a", "you were away")
    assert stock.texts("a") == ["you were away"]


def test_refused(stock, server):
    stock.send(do="connect", name="x", url=server.url, version="4.8",
               options={"auth": {"token": "no"}})
    problem = stock.wait("x", "connect_error")
    assert problem["data"]["code"] == "token.invalid"
    assert problem["data"]["status"] == 401
    assert problem["message"]


def test_signed_out_clients_do_not_come_back(stock, live, users):
    user = users.make()
    stock.connect("a", user.token)
    mark = stock.mark()
    user.post("/api/v1/auth/logout")
    closing = stock.wait("a", "event", lambda i: i["event"] == "connection:closing", after=mark)
    assert closing["args"][0]["code"] == 4001
    assert stock.wait("a", "disconnect", after=mark)["reason"] == "io server disconnect"


def test_kill_of_the_sidecar(stock, server, live, users, claims):
    claims("~realtime", "HB02002")      # 503 for who comes as it dies
    stock.connect("a", users.make().token)
    assert stock.call("a", "stream:join", {"streamId": live.id})["ok"]
    live.host.post("/api/v1/streams/%s/messages" % live.id, json={"text": "one"})
    stock.wait_text("a", "one")
    mark = stock.mark()
    server.kill_sidecar()
    live.host.post("/api/v1/streams/%s/messages" % live.id, json={"text": "two"})
    again = stock.wait("a", "connect", after=mark, timeout=30)
    assert again["recovered"] is True
    stock.wait_text("a", "two")
    assert stock.texts("a") == ["one", "two"]
