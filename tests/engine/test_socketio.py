# SPDX-License-Identifier: Apache-2.0
"""Socket.IO 5."""

import json
import time

import pytest

from hb_engine import SIO, b64


@pytest.fixture
def ws(server):
    ws = server.ws()
    assert ws.get()[0] == "0"
    return ws


@pytest.fixture
def joined(server):
    return server.open_sio()


@pytest.mark.parametrize("nsp", ("", "/custom,"))
@pytest.mark.parametrize("auth", ("", "{}", '{"token":"123"}', ' { "a" : [1] } '))
def test_connect(ws, nsp, auth):
    ws.put("40" + nsp + auth)
    answer = ws.get()
    assert answer.startswith("40" + nsp)
    assert list(json.loads(answer[2 + len(nsp):])) == ["sid"]
    answer = ws.get()
    assert answer.startswith("42" + nsp)
    assert json.loads(answer[2 + len(nsp):]) == ["auth", json.loads(auth or "{}")]


def test_connect_without_comma(ws):
    ws.put("40/custom")
    assert ws.get().startswith('40/custom,{"sid":"')


def test_unknown_namespace(ws):
    ws.put("40/random")
    assert ws.get() == '44/random,{"message":"Invalid namespace"}'
    ws.put('40/ra"n,{}')
    assert ws.get() == '44/ra"n,{"message":"Invalid namespace"}'
    ws.put("40")
    assert ws.get().startswith('40{"sid":"')


def test_sids_differ(server):
    ws = server.ws()
    eio = ws.get().split('"')[3]
    ws.put("40")
    one = ws.get().split('"')[3]
    ws.get()
    ws.put("40/custom,")
    assert len({eio, one, ws.get().split('"')[3]}) == 3


def test_nobody_joins(ws):
    begin = time.monotonic()
    assert ws.get_but_pings() is None
    assert ws.code == 1005
    assert time.monotonic() - begin > 0.9


@pytest.mark.parametrize("event, answer", (
    ('42["message",1,"2",{"3":[true]}]', '42["message-back",1,"2",{"3":[true]}]'),
    ('42["message"]', '42["message-back"]'),
    ('42 [ "message" , 1 ]', '42["message-back", 1 ]'),
    ('42456["message-with-ack",1,"2",{"3":[false]}]', '43456[1,"2",{"3":[false]}]'),
    ('420["message-with-ack"]', "430[]"),
    ('429007199254740991["message-with-ack"]', "439007199254740991[]"),
    ('42["m",{"x":1}]', '42["m",{"x":1}]'),
))
def test_events(joined, event, answer):
    joined.put(event)
    assert joined.get_but_pings() == answer


@pytest.mark.parametrize("event", (
    '42["unknown",1]', '42[5,1]', '42["message-with-ack",1]', "43[]", "4399[]", "43[1,2]",
    '42["constructor"]', '42["__proto__"]'))
def test_events_without_answer(joined, event):
    joined.put(event)
    joined.put('42["message"]')
    assert joined.get_but_pings() == '42["message-back"]'


def test_custom_namespace(server):
    ws = server.open_sio("/custom")
    ws.put('42/custom,["message",1]')
    assert ws.get() == '42/custom,["message-back",1]'
    ws.put('42/custom,7["message-with-ack",1]')
    assert ws.get() == "43/custom,7[1]"


def test_leave_and_stay(server):
    ws = server.open_sio()
    ws.put("40/custom")
    ws.get(), ws.get()
    ws.put("41/custom,")
    ws.put('42["message","message to main namespace"]')
    assert ws.get_but_pings() == '42["message-back","message to main namespace"]'
    ws.put("41")
    assert ws.get() == "2"
    ws.put("3")
    ws.put("40")
    assert ws.get_but_pings().startswith('40{"sid":"')


BINARY = '%s["%s",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'


def test_binary(joined):
    joined.put(BINARY % ("452-", "message"))
    joined.put(b"\x01\x02\x03")
    joined.put(b"\x04\x05\x06")
    assert joined.get_but_pings() == BINARY % ("452-", "message-back")
    assert joined.get() == b"\x01\x02\x03"
    assert joined.get() == b"\x04\x05\x06"


def test_binary_ack(joined):
    joined.put(BINARY % ("452-789", "message-with-ack"))
    joined.put(b"\x01\x02\x03")
    joined.put(b"\x04\x05\x06")
    assert joined.get_but_pings() == (
        '462-789[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]')
    assert joined.get() == b"\x01\x02\x03"
    assert joined.get() == b"\x04\x05\x06"


def test_pings_between_attachments(joined):
    joined.put(BINARY % ("452-", "message"))
    assert joined.get() == "2"
    joined.put("3")
    joined.put(b"1")
    assert joined.get() == "2"
    joined.put("3")
    joined.put(b"2")
    assert joined.get_but_pings() == BINARY % ("452-", "message-back")


def test_ten_attachments(joined):
    joined.put('4510-["message"]')
    for i in range(10):
        joined.put(bytes([i]))
    assert joined.get_but_pings() == '4510-["message-back"]'
    assert [joined.get() for _ in range(10)] == [bytes([i]) for i in range(10)]


def test_binary_over_polling(server):
    path = server.open_polling(SIO)
    server.post(path, "40")
    assert server.get(path).text.endswith('42["auth",{}]')
    server.post(path, "\x1e".join((BINARY % ("452-", "message"), b64(b"123"), b64(b""))))
    assert server.get(path).text == "\x1e".join(
        (BINARY % ("452-", "message-back"), b64(b"123"), "b"))
    # Attachments may come in later requests.
    server.post(path, BINARY % ("452-", "message"))
    server.post(path, b64(b"1"))
    server.post(path, b64(b"2"))
    assert server.get(path).text.split("\x1e")[-2:] == [b64(b"1"), b64(b"2")]


ERRORS = (
    "4", "4abc", "47", "49", "42", "42{}", "42[]", "42abc", '42["x"', '42["x"]y', '42"x"', "42[null]",
    "42[{}]", '42abc["message-with-ack",1]', '42["connect"]', '42["disconnect",1]',
    '42["newListener"]', '42["removeListener"]', '42["disconnecting"]', '42["connect_error"]',
    "40", "40{}", "40[1]", '40"x"', "41{}", '44{"message":"x"}', "44",
    '42/custom,["message"]', "41/custom", "43/custom,1[]", '42/nope,["x"]', '43"x"', "43{}",
    '450-["x"]', '4511-["x"]', '45["x"]', '45-["x"]', '45x-["x"]', '451-["x"', "461-{}",
    '451-["x",{"_placeholder":true,"num":1}]', '451-["x",{"_placeholder":true,"num":-1}]',
    '451-["x",{"_placeholder":true,"num":"0"}]', '451-["x",{"_placeholder":true}]',
    "42" + "[" * 300 + "]" * 300,
)


@pytest.mark.parametrize("packet", ERRORS)
def test_what_closes_the_connection(joined, packet):
    joined.put(packet)
    assert joined.get_but_pings() is None
    assert joined.code == 1005


@pytest.mark.parametrize("packet", ("4abc", "42{}", '42["message"]', "41", '451-["x"]', "43[]", "40[1]"))
def test_what_closes_it_before_a_namespace(ws, packet):
    ws.put(packet)
    assert ws.get_but_pings() is None
    assert ws.code == 1005


def test_text_while_attachments_are_missing(joined):
    joined.put(BINARY % ("452-", "message"))
    joined.put('42["message"]')
    assert joined.get_but_pings() is None


def test_binary_without_its_text(joined):
    joined.put(b"\x01")
    assert joined.get_but_pings() is None


def test_one_attachment_too_many(joined):
    joined.put('451-["message"]')
    joined.put(b"1")
    joined.put(b"2")
    while joined.get_but_pings() is not None:
        pass
    assert joined.code == 1005


def test_errors_over_polling(server):
    path = server.open_polling(SIO)
    server.post(path, "40")
    server.get(path)
    line = server.line()
    line.ask("GET", path)
    time.sleep(0.03)
    assert server.post(path, "42{}").text == "ok"
    assert line.reply().text == "1"
    assert server.get(path).json()["code"] == 1


def test_an_error_is_told_to_the_next_poll(server):
    path = server.open_polling(SIO)
    assert server.post(path, "4abc\x1e42[]").text == "ok"
    assert server.get(path).text == "1"
    assert server.get(path).json()["code"] == 1


def test_batch_of_packets(server):
    path = server.open_polling(SIO)
    server.post(path, '40\x1e40/custom,\x1e42["message",1]\x1e42/custom,["message",2]')
    packets = server.get(path).text.split("\x1e")
    assert len(packets) == 6
    assert packets[4:] == ['42["message-back",1]', '42/custom,["message-back",2]']


def test_relay(server):
    people = [server.open_sio() for _ in range(5)]
    other = server.open_sio("/custom")
    people[0].put('42["m","hello",{"n":1}]')
    for one in people:
        assert one.get_but_pings() == '42["m","hello",{"n":1}]'
    people[1].close()
    other.put('42/custom,["m","no"]')
    other.put('42/custom,["message"]')
    assert other.get_but_pings() == '42/custom,["message-back"]'
    for i in range(30):
        people[2 + i % 3].put('42["m",%d]' % i)
        assert [one.get_but_pings() for one in people[2:]] == ['42["m",%d]' % i] * 3
