# SPDX-License-Identifier: Apache-2.0
"""Headless Chromium, driven over its DevTools socket; no more than these tests need."""

import json
import os
import re
import shutil
import subprocess
import time

import websocket

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
WAIT_SEC = 20


class Browser:
    def __init__(self, folder):
        self.log = open(os.path.join(folder, "chromium.log"), "w+")
        self.process = subprocess.Popen(
            [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
             "--ignore-certificate-errors", "--user-data-dir=" + os.path.join(folder, "profile"),
             "--remote-debugging-port=0", "--remote-allow-origins=*", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=self.log)
        self.number = 0
        self.problems = []              # what the page threw or wrote to the console as errors
        address = self._address()
        self.ws = websocket.create_connection(address, timeout=WAIT_SEC)
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target,
                                flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.ask(domain + ".enable")

    def _address(self):
        until = time.monotonic() + WAIT_SEC
        while time.monotonic() < until:
            self.log.seek(0)
            found = re.search(r"ws://\S+", self.log.read())
            if found:
                return found.group()
            time.sleep(0.1)
        raise AssertionError("chromium does not start")

    def _hear(self, message):
        method, params = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.problems.append(params["exceptionDetails"].get("text", "")
                                 + str(params["exceptionDetails"].get("exception", "")))
        if method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.problems.append(params["entry"]["text"])

    def ask(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if getattr(self, "session", None):
            message["sessionId"] = self.session
        self.ws.send(json.dumps(message))
        while True:
            answer = json.loads(self.ws.recv())
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]
            self._hear(answer)

    def open(self, url):
        self.ask("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def run(self, script):
        """The value of an expression in the page."""
        done = self.ask("Runtime.evaluate", expression=script, returnByValue=True,
                        awaitPromise=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def wait(self, script):
        until = time.monotonic() + WAIT_SEC
        while True:
            value = self.run(script)
            if value:
                return value
            assert time.monotonic() < until, "%s did not become true; the page says: %s; %s" % (
                script, self.run("document.body.innerText")[:1500], self.problems)
            time.sleep(0.1)

    def picture(self, path):
        import base64
        with open(path, "wb") as f:
            f.write(base64.b64decode(self.ask("Page.captureScreenshot")["data"]))

    def stop(self):
        self.ws.close()
        self.process.terminate()
        self.process.wait(10)
        self.log.close()
