# SPDX-License-Identifier: Apache-2.0
"""The page /docs: its own files only, under a policy that keeps it so; drawn in a browser."""

import html
import json
import os
import re
import shutil
import subprocess

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.parametrize("path, kind", [
    ("/docs", "text/html; charset=utf-8"), ("/docs/", "text/html; charset=utf-8"),
    ("/docs/errors", "text/html; charset=utf-8"), ("/docs/docs.css", "text/css; charset=utf-8"),
    ("/docs/docs.js", "text/javascript; charset=utf-8"),
    ("/docs/chat", "text/html; charset=utf-8"), ("/docs/chat.css", "text/css; charset=utf-8"),
    ("/docs/chat.js", "text/javascript; charset=utf-8")])
def test_files(client, path, kind):
    reply = client.get(path)
    assert reply.status_code == 200
    assert reply.headers["Content-Type"] == kind
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert "SPDX-License-Identifier: Apache-2.0" in reply.text
    again = client.get(path, headers={"If-None-Match": reply.headers["ETag"]})
    assert again.status_code == 304


@pytest.mark.parametrize("page", ("/docs", "/docs/chat"))
def test_policy(client, page):
    policy = client.get(page).headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy and "http" not in policy and "*" not in policy


@pytest.mark.parametrize("address, files", (
    ("/docs", ("/docs/docs.js", "/docs/docs.css")),
    ("/docs/chat", ("/docs/chat.js", "/docs/chat.css"))))
def test_nothing_from_outside_and_nothing_inline(client, address, files):
    page = client.get(address).text
    assert re.findall(r'(?:src|href)="([^"]*)"', page)
    for link in re.findall(r'(?:src|href)="([^"]*)"', page):
        assert link.startswith(("/", "#")) or link == "data:,", link
    assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|\sstyle=", page)
    for path in files:
        text = client.get(path).text
        assert not re.search(r"https?://", text), path
        assert "innerHTML" not in text and "eval(" not in text


def browse(url, folder):
    done = subprocess.run([CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu",
                           "--user-data-dir=%s" % folder, "--virtual-time-budget=8000",
                           "--enable-logging=stderr", "--dump-dom", url],
                          capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr[-2000:]
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    assert not console, console
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium")
def test_page_is_drawn(server, client, tmp_path):
    document = client.get("/openapi.json").json()
    page = browse(server.url + "/docs/errors", tmp_path)
    for item in document["paths"].values():
        for operation in item.values():
            assert 'id="%s"' % operation["operationId"] in page
    for error in document["x-errors"]:
        assert 'id="%s"' % error["code"] in page, error
    for way, events in document["x-events"].items():
        for event in events:
            assert 'id="event-%s-%s"' % (way, event["name"].replace(":", "-")) in page, event
    for name in document["components"]["schemas"]:
        assert 'id="schema-%s"' % name in page
    assert "curl" in page and server.url in page
    for target in re.findall(r'href="#([^"]+)"', page):
        assert 'id="%s"' % target in page, target


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium")
def test_lines_of_the_page_work_in_a_shell(server, user, tmp_path, claims):
    claims("HB02002", "HB00465")        # nobody can be paid on this server, nor comes back
    page = browse(server.url + "/docs", tmp_path)
    lines = [html.unescape(line) for line in re.findall(r'<pre tabindex="0">(curl .*?)</pre>', page)]
    operations = page.count('class="card" id=') - page.count('id="schema-') \
        - page.count('id="event-')
    assert len(lines) == operations > 30
    environment = {"PATH": os.environ["PATH"], "TOKEN": user.token, "ID": user.id,
                   "USERID": user.id, "MESSAGEID": user.id, "PROVIDER": "sandbox",
                   "NAME": "og-bonus", "DATE": "2026-01-31"}
    # What ends the session or the account comes last.
    lines.sort(key=lambda line: "/auth/logout" in line or "-X DELETE" in line)
    for line in lines:
        if "/webhooks/" in line:
            continue                # for providers, who sign what they send
        done = subprocess.run(["sh", "-c", line + " -sS -w '\\n%{http_code}'"], env=environment,
                              capture_output=True, text=True, timeout=20)
        assert done.returncode == 0, (line, done.stderr)
        body, _, status = done.stdout.rpartition("\n")
        assert status not in ("400", "405", "415"), (line, done.stdout)
        assert int(status) < 500 or "unconfigured" in body, (line, done.stdout)
        if status == "404":
            assert json.loads(body)["code"] != "not_found", (line, body)
        # What only the server knows, as codes and prices, is refused; what the page invents is not.
        if status == "422":
            wrong = {error["field"] for error in json.loads(body).get("errors", [])}
            assert wrong <= {"coins", "amount", "code", "currency"}, (line, body)
