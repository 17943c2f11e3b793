# SPDX-License-Identifier: Apache-2.0
"""halobuzzctl ledger: proof, balances, statements, circulation, on a store a server filled."""

import os
import sqlite3

import pytest

from hb_users import Mails, Users

OK, FAILED, USAGE = 0, 1, 2
BOSS = "boss@halobuzz.test"


@pytest.fixture
def bank(make_server, make_place):
    """A stopped server's records: one user with three entries. Gives (place, user)."""
    server = make_server(settings={"HaloBuzzAdminEmail": BOSS, "HaloBuzzAuthStaffTOTP": "off"})
    boss = Users(server).make(username="theboss", email_address=BOSS)
    boss.post("/api/v1/auth/email/verify", {"code": Mails(server).code(BOSS)})
    boss.login()
    user = Users(server).make()
    for coins, bonus in ((100, 10), (-30, 0), (5, 0)):
        reply = boss.post("/api/v1/admin/adjustments",
                          {"userId": user.id, "coins": coins, "bonus": bonus,
                           "reason": "a test"}, headers={"Idempotency-Key": str(coins)})
        assert reply.status_code == 201, reply.text
    place = make_place(HaloBuzzStateDir=server.state)
    return place, user


def test_what_it_tells(ctl, bank):
    place, user = bank
    account = "user:" + user.id
    done = ctl("ledger", "verify", place=place)
    assert done.code == OK and "3 entries" in done.out and "root " in done.out
    proof = ctl("ledger", "verify", "--json", place=place).json
    assert proof["clean"] and proof["entries"] == 3 and len(proof["root"]) == 64
    assert (proof["sumCoin"], proof["sumBonus"], proof["findings"]) == (0, 0, [])
    assert ctl("ledger", "balance", account, place=place).out == "75\n"
    assert ctl("ledger", "balance", account, "--at", "2020-01-01T00:00:00Z",
               place=place).out == "0\n"
    assert ctl("ledger", "balance", account + ":bonus", "--json",
               place=place).json == {"account": account + ":bonus", "balance": 10}
    assert ctl("ledger", "balance", "platform:mint", place=place).out == "-75\n"
    lines = ctl("ledger", "statement", account, "--json", "--limit", "2", place=place).json
    assert [(i["coins"], i["balance"]) for i in lines["items"]] == [(5, 75), (-30, 70)]
    rest = ctl("ledger", "statement", account, "--after", lines["next"], place=place)
    assert "a test" in rest.out and rest.out.count("\n") == 1
    all_of_it = ctl("ledger", "circulation", "--json", place=place).json
    assert all_of_it["coin"] == {"minted": 105, "burned": 30, "circulation": 75, "revenue": 0}
    assert "adjustment" in ctl("ledger", "circulation", place=place).out


@pytest.mark.parametrize("args", [
    ("balance",), ("balance", "purse"), ("balance", "user:me"), ("statement", "platform:moon"),
    ("balance", "platform:mint", "--at", "noon"), ("statement", "platform:mint", "--limit", "0"),
    ("verify", "now"),
])
def test_misuse(ctl, place, args):
    done = ctl("ledger", *args, place=place)
    assert done.code == USAGE and done.err and "Traceback" not in done.err


def test_what_was_tampered_with_is_named(ctl, bank):
    place, user = bank
    db = os.path.join(open(place.settings).read().split("HaloBuzzStateDir ")[1].split("\n")[0],
                      "halobuzz.db")
    with sqlite3.connect(db) as store:
        entry, = store.execute("SELECT id FROM transactions WHERE json_extract(doc,'$.seq')=2"
                               ).fetchone()
        store.execute("UPDATE transactions SET doc=replace(doc,'a test','b test') WHERE id=?",
                      (entry,))
    store.close()
    done = ctl("ledger", "verify", place=place)
    assert done.code == FAILED and "the first wrong entry is " + entry in done.err
    proof = ctl("ledger", "verify", "--json", place=place)
    assert proof.code == FAILED and proof.json["firstWrong"] == entry
    assert not proof.json["clean"]
