# SPDX-License-Identifier: Apache-2.0
"""The play provider: its page, what a choice there does, and who may see it."""

from urllib.parse import urlsplit

import pytest

from hb_client import Client, assert_problem
from hb_race import at_once
from hb_shop import buy, coins, seed, state
from hb_users import Users

ID = "65530a0b0c0d0e0f10111213"
PAGE = "/api/v1/payments/sandbox/checkout/"


@pytest.fixture
def shop(make_server):
    return seed(make_server(settings={"HaloBuzzPaySandbox": "on"}))


@pytest.fixture
def payer(shop):
    return Users(shop).make()


def page_of(started):
    parts = urlsplit(started["url"])
    return parts.path + "?" + parts.query


def choose(browser, page, result):
    return browser.post(page, data="result=" + result, allow_redirects=False)


def go_back(browser, reply):
    assert reply.status_code == 303, reply.text
    return browser.get(urlsplit(reply.headers["Location"]).path, allow_redirects=False,
                       headers={"Accept": "application/json"})


def test_a_payer_buys_coins(shop, payer):
    started = buy(payer, "sandbox", "npr-500")
    browser = Client(shop)              # who pays is not signed in there
    page = browser.get(page_of(started))
    assert page.status_code == 200 and page.headers["Content-Type"].startswith("text/html")
    assert "<b>500 coins</b>, NPR 10.00" in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["Cache-Control"] == "no-store"
    assert coins(payer) == 0
    reply = choose(browser, page_of(started), "paid")
    assert coins(payer) == 500 and state(payer, started) == "paid"     # the webhook came first
    assert go_back(browser, reply).json()["state"] == "paid"
    assert coins(payer) == 500


@pytest.mark.parametrize("result", ["failed", "canceled"])
def test_a_payer_does_not_pay(shop, payer, result):
    started = buy(payer, "sandbox", "usd-5000")
    browser = Client(shop)
    reply = choose(browser, page_of(started), result)
    assert reply.headers["Location"].endswith("/failure")
    assert go_back(browser, reply).json()["state"] == result
    assert coins(payer) == 0


def test_what_was_chosen_stands(shop, payer):
    started = buy(payer, "sandbox", "npr-500")
    browser = Client(shop)
    choose(browser, page_of(started), "canceled")
    go_back(browser, choose(browser, page_of(started), "paid"))
    assert coins(payer) == 0 and state(payer, started) == "canceled"


def test_many_presses_are_one(shop, payer):
    started = buy(payer, "sandbox", "npr-500")
    replies = at_once(shop, [lambda c: choose(c, page_of(started), "paid")] * 12)
    assert {r.status_code for r in replies} == {303}
    assert coins(payer) == 500


@pytest.mark.parametrize("body", ["", "result=", "result=refunded", "result=paid&x=1", "x" * 5000])
def test_other_choices_are_refused(shop, payer, body):
    started = buy(payer, "sandbox", "npr-500")
    reply = Client(shop).post(page_of(started), data=body, allow_redirects=False)
    assert reply.status_code in (413, 422), reply.text
    assert state(payer, started) == "open"


def test_there_is_no_page_unless_it_is_switched_on(client):
    assert_problem(client.get(PAGE + ID), 404, "pay.unknown")
    assert_problem(client.post(PAGE + ID, data="result=paid"), 404, "pay.unknown")


def test_real_money_and_play_money_exclude_each_other(make_server):
    client = Client(make_server(settings={"HaloBuzzPaySandbox": "on",
                                          "HaloBuzzPaymentsLive": "on"}))
    assert_problem(client.get(PAGE + ID), 404, "pay.unknown")


@pytest.mark.parametrize("key", ["", "?key=", "?key=sbx_00000000000000000000000000000000",
                                 "?key=" + "a" * 99])
def test_who_has_no_key_learns_nothing(shop, payer, key):
    started = buy(payer, "sandbox", "npr-500")
    for order in (started["order"]["id"], ID, "x"):
        client = Client(shop)
        for reply in (client.get(PAGE + order + key),
                      client.post(PAGE + order + key, data="result=paid")):
            assert reply.status_code in (404, 422), reply.text
    assert state(payer, started) == "open"
