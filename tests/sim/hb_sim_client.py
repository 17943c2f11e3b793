# SPDX-License-Identifier: Apache-2.0
"""Starts the simulator and tells it what to do. tests/http/conftest.py has the fixture `sim`."""

import http.client
import json
import os
import subprocess
import sys

import hb_sim

HERE = os.path.dirname(os.path.abspath(__file__))


class Sim:
    def __init__(self):
        self.process = subprocess.Popen([sys.executable, os.path.join(HERE, "hb_sim.py")],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().strip().split("=")[1])
        self.url = "http://127.0.0.1:%d" % self.port

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def settings(self, folder):
        """Directives that make a server use the simulator; secrets are written into folder."""
        return hb_sim.settings(self.url, folder)

    def control(self, verb, **wish):
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            conn.request("POST", "/_sim/" + verb, json.dumps(wish))
            answer = conn.getresponse()
            value = json.loads(answer.read())
        finally:
            conn.close()
        assert answer.status == 200, value
        return value

    def reset(self):
        self.control("reset")

    def pay(self, provider, id, **how):
        """The payer pays (or fails ...); gives {"return": address} where there is one."""
        return self.control("pay", provider=provider, **{"with": {"id": id, **how}})

    def refund(self, provider, id, **how):
        return self.control("refund", provider=provider, **{"with": {"id": id, **how}})

    def dispute(self, id, **how):
        return self.control("dispute", provider="stripe", **{"with": {"id": id, **how}})

    def show(self, provider, id):
        return self.control("show", provider=provider, **{"with": {"id": id}})

    def submit(self, form, url):
        """The payer's browser posts eSewa's form. Gives the status."""
        import urllib.parse
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            conn.request("POST", urllib.parse.urlsplit(url).path, urllib.parse.urlencode(form),
                         {"Content-Type": "application/x-www-form-urlencoded"})
            answer = conn.getresponse()
            answer.read()
            return answer.status
        finally:
            conn.close()

    def fault(self, kind, provider="*", count=-1, **more):
        """down lose error late garbage huge lie; see hb_sim.py. count -1: until heal()."""
        self.control("fault", kind=kind, provider=provider, count=count, **more)

    def heal(self):
        self.control("heal")

    def events(self):
        """Stripe events that wait for delivery."""
        return self.control("events")["events"]

    def deliver(self, url, forget=True, **how):
        """Deliver them; how: copies shuffle lose tries at_once pause. Gives [[type, status]]."""
        return self.control("deliver", forget=forget, **{"with": {"url": url, **how}})["answers"]

    def calls(self, provider=None):
        return [c for c in self.control("calls")["calls"] if provider in (None, c["provider"])]
