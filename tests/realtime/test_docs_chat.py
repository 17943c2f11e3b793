# SPDX-License-Identifier: Apache-2.0
"""The page /docs/chat in a browser, through httpd over wss: two clients talk, a gift shows, a cut
connection comes back with what it missed."""

import os

import pytest

from browser import CHROMIUM, Browser

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no chromium")]


@pytest.fixture
def browser(tmp_path):
    one = Browser(str(tmp_path))
    yield one
    one.stop()


def fill(part, selector, value):
    return "document.querySelector('#%s %s').value = %r" % (part, selector, value)


def press(part, selector):
    return "document.querySelector('#%s %s').click()" % (part, selector)


def text(part, selector):
    return "document.querySelector('#%s %s').innerText" % (part, selector)


def sign_in(browser, part, user):
    browser.run(fill(part, "[name=email]", user.email))
    browser.run(fill(part, "[name=password]", user.password))
    browser.run(press(part, ".sign-in button"))
    browser.wait(text(part, ".name") + " === '@%s'" % user.username)


def say(browser, part, words):
    browser.run(fill(part, ".say input", words))
    browser.run(press(part, ".say button"))


def test_two_clients_talk(browser, server, users, rich):
    host = users.make()
    guest, _ = rich()
    browser.open(server.url + "/docs/chat")
    browser.wait("document.querySelectorAll('.client').length === 2")
    sign_in(browser, "one", host)
    browser.run(press("one", ".live"))
    browser.wait("!document.querySelector('#one .room').hidden")
    sign_in(browser, "two", guest)
    room = "A room of @" + host.username
    browser.wait("[...document.querySelector('#two .choose select').options]"
                 ".some(o => o.text === %r && (o.selected = true))" % room)
    browser.run(press("two", ".choose button"))
    browser.wait("!document.querySelector('#two .room').hidden")

    say(browser, "one", "namaste")
    say(browser, "two", "hello there")
    for part in ("one", "two"):
        browser.wait(text(part, ".log") + ".includes('namaste')")
        browser.wait(text(part, ".log") + ".includes('hello there')")
    browser.wait(text("one", ".viewers") + " === '1'")

    browser.wait("[...document.querySelector('#two .give select').options]"
                 ".some(o => o.text.startsWith('Rose,') && (o.selected = true))")
    browser.run(press("two", ".give button"))
    for part in ("one", "two"):
        browser.wait("document.querySelector('#%s .log .gift') !== null" % part)
        assert browser.run(text(part, ".log .gift")).startswith("@%s gives 1 x "
                                                                 % guest.username)

    browser.run(press("two", ".pull"))
    say(browser, "one", "can you hear me")
    browser.wait(text("two", ".link") + " === 'recovered'")
    browser.wait(text("two", ".log") + ".includes('can you hear me')")
    assert browser.run(text("two", ".log") + ".split('namaste').length") == 2
    if os.environ.get("HB_KEEP"):
        browser.picture("/tmp/docs-chat.png")
    assert not browser.problems
