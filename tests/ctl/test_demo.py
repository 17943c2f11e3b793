# SPDX-License-Identifier: Apache-2.0
"""halobuzzctl demo: a site to look at, whose ledger proves."""

import re

OK, FAILED, USAGE = 0, 1, 2


def test_a_site_to_look_at(ctl, make_place):
    place = make_place(HaloBuzzPaySandbox="on", HaloBuzzPasswordCost="4", HaloBuzzPayoutMin="10")
    for again in range(2):
        done = ctl("demo", "--gifts", "60", place=place)
        assert done.code == OK, done.out + done.err
        counts = [int(n) for n in re.search(
            r"(\d+) people: (\d+) orders paid and (\d+) not, (\d+) gifts in (\d+) rooms, "
            r"(\d+) OG tier, (\d+) refund, (\d+) dispute, (\d+) payouts", done.out).groups()]
        assert counts[:3] == [9, 11, 2] and counts[3] >= 50 and counts[4] == 4, done.out
        assert counts[6:8] == [1, 1]
        assert again or counts[8] == 4, done.out
        assert "all sums are 0" in done.out
    proof = ctl("ledger", "verify", "--json", place=place).json
    assert proof["clean"] and proof["entries"] > 130


def test_what_it_needs(ctl, make_place, place):
    done = ctl("demo", place=make_place(HaloBuzzPasswordCost="4"))
    assert done.code == FAILED and "HaloBuzzPaySandbox" in done.err
    assert ctl("demo", "--gifts", "many", place=place).code == USAGE
    assert ctl("demo", "now", place=place).code == USAGE


def test_refunds_that_were_left(ctl, make_place):
    place = make_place(HaloBuzzPasswordCost="4")
    assert ctl("refunds", "resume", place=place).out == "0 refunds ended\n"
    assert ctl("refunds", "resume", "now", place=place).code == USAGE
