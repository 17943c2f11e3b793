# SPDX-License-Identifier: Apache-2.0
"""halobuzzctl providers check, against the simulator of tests/sim."""

import os
import time

import pytest

OK, FAILED, USAGE = 0, 1, 2


@pytest.fixture
def shop(make_place, sim):
    """Settings by which all four providers are offered."""
    def make(**more):
        place = make_place()
        settings = sim.settings(place.root)
        for name in ("stripe.key", "stripe.hook", "esewa.key", "khalti.key"):
            if place.owner != os.geteuid():
                os.chown(os.path.join(place.root, name), place.owner, -1)
        place.write({"HaloBuzzStateDir": place.state, "HaloBuzzEnvironment": "test",
                     "HaloBuzzPublicURL": "https://halobuzz.test", "HaloBuzzPaySandbox": "on",
                     "HaloBuzzPaymentTimeout": "2s", **settings, **more})
        return place
    return make


def results(done):
    return {row["provider"]: row["result"] for row in done.json["providers"]}


def test_all_answer(ctl, shop):
    place = shop()
    done = ctl("providers", "check", "--json", place=place)
    assert done.code == OK, done.out + done.err
    assert results(done) == dict.fromkeys(("stripe", "esewa", "khalti", "sandbox"), "good")
    row = done.json["providers"][0]
    assert row["webhook"] == "https://halobuzz.test/api/v1/webhooks/stripe" and row["msec"] >= 0
    assert not done.json["live"]
    done = ctl("providers", "check", place=place)
    assert done.code == OK and "webhooks to https://halobuzz.test/api/v1/webhooks/stripe" in done.out
    assert "Stripe: the key is accepted; test mode" in done.out


def test_nothing_is_configured(ctl, place):
    done = ctl("providers", "check", "--json", place=place)
    assert done.code == OK and set(results(done).values()) == {"off"}
    done = ctl("providers", "check", "khalti", place=place)
    assert done.code == FAILED and "HaloBuzzKhaltiSecret is not set" in done.out


def test_wrong_keys_are_told_and_not_shown(ctl, shop):
    place = shop()
    for name in ("stripe.key", "khalti.key"):
        with open(os.path.join(place.root, name), "w") as f:
            f.write("sk_test_mistyped\n")
    done = ctl("providers", "check", "--json", place=place)
    assert done.code == FAILED
    assert results(done) == {"stripe": "bad", "esewa": "good", "khalti": "bad", "sandbox": "good"}
    assert "HaloBuzzKhaltiSecret" in done.out and "HaloBuzzStripeKey" in done.err
    assert "mistyped" not in done.out + done.err


@pytest.mark.parametrize("kind,more", [("down", {}), ("error", {"status": 503}), ("garbage", {}),
                                       ("late", {"seconds": 30})])
def test_trouble_is_told_in_time(ctl, shop, sim, kind, more):
    place = shop()
    sim.fault(kind, **more)
    begun = time.monotonic()
    done = ctl("providers", "check", "khalti", place=place)
    assert done.code == FAILED and time.monotonic() - begun < 10
    assert "Khalti" in done.out


def test_certificates_are_checked(ctl, shop, make_server):
    server = make_server(tls=True)
    done = ctl("providers", "check", "stripe", place=shop(HaloBuzzStripeURL=server.url))
    assert done.code == FAILED and "certificate" in done.err


def test_misuse(ctl, place):
    assert ctl("providers", "check", "paypal", place=place).code == USAGE
    assert ctl("providers", "list", place=place).code == USAGE


def findings(done, mark):
    return " ".join(f["finding"] for f in done.json["findings"] if f["mark"] == mark)


def test_check_of_the_settings(ctl, shop, place):
    assert "no payment provider" in findings(ctl("check", "--json", place=place), "note")
    good = findings(ctl("check", "--json", place=shop()), "good")
    assert "payments by Stripe, eSewa, Khalti, Sandbox are configured (test mode)" in good
    bad = findings(ctl("check", "--json", place=shop(HaloBuzzPaymentsLive="on")), "bad")
    assert "test key" in bad and "test merchant" in bad and "no play money" in bad
    assert "HaloBuzzStripeURL is not" in bad and "HaloBuzzKhaltiURL is not" in bad
    bad = findings(ctl("check", "--json", place=shop(
        HaloBuzzKhaltiURL="http://khalti.example.com")), "bad")
    assert "http without TLS is only for this host itself" in bad
    done = ctl("webhook", "send", "stripe", "payment_intent.succeeded", "--user", "nobody",
               "https://127.0.0.1:9", place=shop(HaloBuzzPaymentsLive="on"))
    assert done.code == 1 and "take this for real money" in done.err
    place = shop(HaloBuzzEnvironment="production")
    assert "play money" in findings(ctl("check", "--json", place=place), "bad")
    os.remove(os.path.join(place.root, "esewa.key"))
    done = ctl("check", "--json", place=place)
    assert "secret of a payment provider" in findings(done, "bad")
