# SPDX-License-Identifier: Apache-2.0
"""The play provider's page: who may see it."""

import pytest

from hb_client import Client, assert_problem

ID = "65530a0b0c0d0e0f10111213"
PAGE = "/api/v1/payments/sandbox/checkout/"


@pytest.fixture
def shop(make_server):
    return make_server(settings={"HaloBuzzPaySandbox": "on"})


def test_there_is_no_page_unless_it_is_switched_on(client):
    assert_problem(client.get(PAGE + ID), 404, "pay.unknown")
    assert_problem(client.post(PAGE + ID, data="result=paid"), 404, "pay.unknown")


def test_real_money_and_play_money_exclude_each_other(make_server):
    client = Client(make_server(settings={"HaloBuzzPaySandbox": "on",
                                          "HaloBuzzPaymentsLive": "on"}))
    assert_problem(client.get(PAGE + ID), 404, "pay.unknown")


@pytest.mark.parametrize("order,key", [
    (ID, ""), (ID, "?key="), (ID, "?key=sbx_00000000000000000000000000000000"),
    ("x", "?key=a"), (ID, "?key=" + "a" * 99),
])
def test_who_has_no_key_learns_nothing(shop, order, key):
    client = Client(shop)
    reply = client.get(PAGE + order + key)
    assert reply.status_code in (404, 422), reply.text
    reply = client.post(PAGE + order + key, data="result=paid")
    assert reply.status_code in (404, 422), reply.text
