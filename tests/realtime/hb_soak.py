# SPDX-License-Identifier: Apache-2.0
"""A platform in use, by a seed and at a bounded rate, and what its processes and folders hold
meanwhile. Everybody does what apps do and some of what they must not; answers are looked at for one
thing: that none is the server's own mistake."""

import collections
import contextlib
import json
import os
import random
import re
import threading
import time

import requests

import hb_hooks
from hb_client import raw
from hb_finance import ctl, give_coins, run_job
from hb_httpd import processes_of
from hb_live import STREAMS, Users
from hb_socketio import Plain, Refused, Socket
from hb_users import PASSWORD, User

SIGNED_OUT = ("/api/v1/auth/logout", "/api/v1/auth/logout-all")
NOBODY = "65a1b2c3d4e5f60718293a4b"
SOCKETS = 24
WORKERS = 8
PROBLEMS = (OSError, AssertionError, ValueError, Refused)


class Host:
    """Somebody who streams, with the stream of the moment."""

    def __init__(self, user):
        self.user, self.stream = user, None


class Soak:
    def __init__(self, server, seed, rate):
        self.server, self.seed, self.rate = server, seed, rate
        self.lock, self.over = threading.Lock(), threading.Event()
        self.done = collections.Counter()       # acts, and answers by status
        self.wrong = []
        self.own = threading.local()
        self.n = 0
        staff = server.finance()
        gifts = staff.get("/api/v1/gifts?limit=100").json()["items"]
        self.gift = next(g for g in gifts if g["code"] == "rose")
        self.people = [Users(server).make() for _ in range(20)]
        self.hosts = [Host(Users(server).make()) for _ in range(5)]
        for user in self.people:
            give_coins(staff, user, 10000000)
        self.boss = staff
        self.routes = [tuple(row) for row in re.findall(
            r"^(GET|POST|PATCH|PUT|DELETE) +(/\S*) ",
            server.command("-t", "-D", "DUMP_HB_ROUTES").stdout, re.M)]
        self.acts = [getattr(self, name) for name, times in WEIGHTS for _ in range(times)]
        for host in self.hosts:
            self.start(host)

    # --- calls

    def number(self):
        with self.lock:
            self.n += 1
            return self.n

    def blame(self, *words):
        with self.lock:
            self.wrong.append(" ".join(map(str, words))[:600])

    def ask(self, who, method, path, body=None, headers=None, **more):
        """The reply; None when there was none, as at a reload."""
        session = getattr(self.own, "session", None)
        if session is None:
            session = self.own.session = requests.Session()
            session.trust_env = False
        headers = dict(headers or {})
        if who is not None:
            headers["Authorization"] = "Bearer " + getattr(who, "token", who)
        try:
            reply = session.request(method, self.server.url + path, json=body, headers=headers,
                                    allow_redirects=False, timeout=20, **more)
        except requests.RequestException:
            self.done["no answer"] += 1
            return None
        self.done[reply.status_code] += 1
        if reply.status_code == 401 and isinstance(who, User) and path not in SIGNED_OUT:
            with contextlib.suppress(AssertionError, requests.RequestException):
                who.login()                     # signed out by what somebody tried
        if reply.status_code >= 500 and not (reply.status_code == 503
                                             and reply.headers.get("Retry-After")):
            self.blame(method, path, reply.status_code, reply.text)
        return reply

    def json(self, *args, **more):
        reply = self.ask(*args, **more)
        return reply.json() if reply is not None and reply.status_code < 300 else {}

    def key(self):
        return {"Idempotency-Key": "soak-%d" % self.number()}

    def room(self, rng):
        return rng.choice(self.hosts).stream or NOBODY

    # --- accounts

    def account(self, rng):
        name = "soak%d" % self.number()
        who = {"email": name + "@halobuzz.test", "password": PASSWORD}
        one = self.json(None, "POST", "/api/v1/auth/register", {**who, "username": name})
        if not one:
            return
        for _ in range(rng.choice((0, 1, 3))):
            self.ask(None, "POST", "/api/v1/auth/login", {**who, "password": "wrong" + name})
        again = self.json(None, "POST", "/api/v1/auth/login", who) or one
        fresh = self.json(None, "POST", "/api/v1/auth/refresh",
                          {"refreshToken": again["refreshToken"]}) or again
        if rng.random() < 0.3:                  # a stolen one: its family ends
            self.ask(None, "POST", "/api/v1/auth/refresh", {"refreshToken": one["refreshToken"]})
            self.ask(None, "POST", "/api/v1/auth/refresh", {"refreshToken": one["refreshToken"]})
        token = fresh["accessToken"]
        self.ask(token, "PATCH", "/api/v1/users/me", {"bio": "x" * rng.randrange(400)})
        self.ask(None, "POST", "/api/v1/auth/password/forgot", {"email": who["email"]})
        rng.choice((lambda: self.ask(token, "POST", "/api/v1/auth/logout"),
                    lambda: self.ask(token, "POST", "/api/v1/auth/logout-all"),
                    lambda: self.ask(token, "DELETE", "/api/v1/users/me", {"password": PASSWORD}),
                    lambda: None))()
        self.ask(token, "GET", "/api/v1/users/me")

    def social(self, rng):
        one, other = rng.sample(self.people, 2)
        way = "/api/v1/users/%s/%s" % (other.id, rng.choice(("follow", "follow", "block")))
        for method in rng.choice((("PUT",), ("PUT", "PUT", "DELETE"), ("DELETE",))):
            self.ask(one, method, way)
        if "block" in way:                      # or soon nobody hears anybody
            self.ask(one, "DELETE", way)
        self.ask(one, "GET", "/api/v1/users/%s/followers" % other.id)
        self.ask(one, "GET", "/api/v1/users/search?q=" + other.username[:6])

    # --- streams

    def start(self, host):
        reply = self.json(host.user, "POST", STREAMS, {"title": "Songs", "category": "music"})
        if reply:
            self.ask(host.user, "POST", STREAMS + "/%s/start" % reply["id"])
            host.stream = reply["id"]

    def turn(self, rng):
        """A stream ends, and the next begins; some hosts are not heard of again."""
        host = rng.choice(self.hosts)
        if host.stream is not None:
            self.ask(host.user, "POST", STREAMS + "/%s/end" % host.stream)
        if rng.random() < 0.2:
            host.user = Users(self.server).make()
        self.start(host)

    def run_room(self, rng):
        host, user = rng.choice(self.hosts), rng.choice(self.people)
        room = STREAMS + "/%s" % (host.stream or NOBODY)
        way = room + "/restraints/" + user.id
        self.ask(host.user, "PATCH", room + "/room", {"slowModeSec": 1, "linksOff": True})
        self.ask(host.user, "PUT", way, {"action": rng.choice(("mute", "shadow_mute", "kick"))})
        self.ask(host.user, "DELETE", way)
        self.ask(host.user, "PUT", room + "/moderators/" + user.id)
        self.ask(host.user, "DELETE", room + "/moderators/" + user.id)
        self.ask(host.user, "PATCH", room + "/room", {"slowModeSec": 0, "linksOff": False})
        self.ask(host.user, "PATCH", room, {"title": "More songs %d" % self.number()})

    def visit(self, rng):
        user, room = rng.choice(self.people), STREAMS + "/" + self.room(rng)
        self.ask(user, "POST", room + "/join")
        self.ask(user, "POST", room + "/quality", {"bitrateKbps": 900, "latencyMsec": 80})
        self.ask(user, "GET", room + "/token?role=viewer")
        self.ask(user, "POST", room + "/reactions", {"kind": "heart"})
        if rng.random() < 0.8:
            self.ask(user, "POST", room + "/leave")

    def say(self, rng):
        user, room = rng.choice(self.people), STREAMS + "/" + self.room(rng)
        name = "w%d" % self.number()
        said = None
        for _ in range(rng.choice((1, 1, 2))):
            said = self.json(user, "POST", room + "/messages", {"text": name, "clientId": name})
        if said and rng.random() < 0.2:
            self.ask(user, "DELETE", room + "/messages/" + said["message"]["id"])
        self.ask(user, "GET", room + "/messages?limit=20")

    def write(self, rng):
        one, other = rng.sample(self.people, 2)
        self.ask(one, "POST", "/api/v1/conversations/%s/messages" % other.id,
                 {"text": "hello", "clientId": "d%d" % self.number()})
        self.ask(other, "POST", "/api/v1/conversations/%s/read" % one.id)
        self.ask(other, "GET", "/api/v1/conversations")

    # --- coins

    def give(self, rng):
        user, room, key = rng.choice(self.people), STREAMS + "/" + self.room(rng), self.key()
        for _ in range(rng.choice((1, 2))):
            self.ask(user, "POST", room + "/gifts", {"giftId": self.gift["id"],
                                                     "quantity": rng.choice((1, 3, 99))}, key)
        self.ask(user, "GET", room + "/leaderboard")

    def claim(self, rng):
        user, room = rng.choice(self.people), STREAMS + "/" + self.room(rng)
        price = self.json(None, "GET", room + "/throne").get("price", 1)
        self.ask(user, "POST", room + "/throne", {"coins": price}, self.key())

    def buy(self, rng):
        user = rng.choice(self.people)
        order = self.json(user, "POST", "/api/v1/payments/sandbox/orders", {"product": "npr-500"},
                          self.key())
        if not order or rng.random() < 0.3:
            return
        body = hb_hooks.message(order["order"]["id"], amount=rng.choice((1000, 1000, 999)),
                                currency="npr", event="sbe_soak%d" % self.number())
        for _ in range(rng.choice((1, 2))):
            self.ask(None, "POST", hb_hooks.SANDBOX, headers=hb_hooks.signed(body), data=body)
        forged = hb_hooks.signed(body, secret="not the secret")
        self.ask(None, "POST", hb_hooks.SANDBOX, headers=forged, data=body)
        self.ask(user, "GET", "/api/v1/payments/orders")

    def pay_out(self, rng):
        host = rng.choice(self.hosts).user
        one = self.json(host, "POST", "/api/v1/wallet/payouts",
                        {"coins": 100, "currency": "npr", "method": "esewa",
                         "account": "9800000000", "accountName": "A Host"}, self.key())
        self.ask(host, "GET", "/api/v1/wallet/transactions")
        if one:
            rng.choice((
                lambda: self.ask(host, "DELETE", "/api/v1/wallet/payouts/" + one["id"]),
                lambda: self.ask(self.boss, "POST", "/api/v1/admin/payouts/%s/reject" % one["id"],
                                 {"reason": "soak"})))()

    def look(self, rng):
        user = rng.choice(self.people)
        path = rng.choice(("/api/v1/notifications", "/api/v1/streams?sort=viewers",
                           "/api/v1/wallet", "/api/v1/streams/ranking", "/openapi.json",
                           "/api/v1/leaderboards/gifters", "/api/v1/monitoring/metrics", "/api/v1/monitoring/health", "/docs",
                           "/api/v1/wallet/statement.csv", "/server-status", "/index.html",
                           "/api/v1/users/" + rng.choice(self.people).id))
        self.ask(user, "GET", path)
        self.ask(user, "POST", "/api/v1/notifications/read", {})

    # --- what is no use

    def garbage(self, rng):
        method, path = rng.choice(self.routes)
        path = re.sub(r"\{\w+\}", lambda m: rng.choice((NOBODY, "x", "%00", "a" * 300)), path)
        body = rng.choice((b"", b"{", b"[]", b'{"a":' * 200, b'{"email":"\xff"}', b"null",
                           json.dumps({"title": "x" * 20000, "coins": -1, "email": {}}).encode(),
                           os.urandom(rng.randrange(2000))))
        self.ask(rng.choice((None, "x.y.z", rng.choice(self.people))), method,
                 path + rng.choice(("", "?limit=x", "?after=%ff", "?a=" + "b" * 2000)),
                 headers={"Content-Type": rng.choice(("application/json", "text/plain", "x"))},
                 data=body)

    def nonsense(self, rng):
        """What is no HTTP, or ends in the middle."""
        data = rng.choice((
            os.urandom(200), b"GET / HTTP/1.1\r\n\r\n",
            b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n{",
            b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz",
            b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n"
            b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            b"Sec-WebSocket-Version: 13\r\n\r\n" + os.urandom(300),
            b"POST /socket.io/?EIO=4&transport=polling&sid=nobody HTTP/1.1\r\nHost: x\r\n"
            b"Content-Length: 2\r\n\r\n40"))
        try:
            raw(self.server, data, timeout=0.3)
        except OSError:
            pass

    # --- everybody at once

    def act(self, number):
        rng = random.Random("%d actor %d" % (self.seed, number))
        while not self.over.is_set():
            act, began = rng.choice(self.acts), time.monotonic()
            try:
                act(rng)
                self.done[act.__name__] += 1
            except Exception as problem:        # told at the end
                self.blame(act.__name__, repr(problem))
            time.sleep(max(0, rng.uniform(0.5, 1.5) * WORKERS / self.rate
                           - (time.monotonic() - began)))

    def begin(self):
        self.threads = [threading.Thread(target=self.act, args=(i,), daemon=True)
                        for i in range(WORKERS)]
        self.threads += [Visitor(self, i) for i in range(SOCKETS)]
        for thread in self.threads:
            thread.start()

    def end(self):
        self.over.set()
        for thread in self.threads:
            thread.join(60)
        if any(thread.is_alive() for thread in self.threads):
            self.blame("somebody hangs")

    # --- what an operator does

    def job(self, name, at):
        try:
            run_job(self.server, name, at)
        except AssertionError as why:           # its minute may be just now
            if "runs just now" not in str(why):
                raise

    def keep_house(self, ahead_sec, with_reload=True):
        """Jobs as if the time were later, backup, reload."""
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + ahead_sec))
        for job in ("stream-reap", "order-expire", "throne-turn", "clean-up", "hold-expire",
                    "daily-report"):
            self.job(job, at)
        if self.server.settings.get("HaloBuzzStore", "sqlite:").startswith("sqlite:"):
            ctl(self.server, "backup")
        ctl(self.server, "ledger", "verify")
        ctl(self.server, "notice", "send", "--all", "--title", "Soak", "--text", "All is well")
        if with_reload:
            self.server.graceful()


WEIGHTS = (("account", 2), ("social", 2), ("turn", 1), ("run_room", 1), ("visit", 3), ("say", 4),
           ("write", 2), ("give", 3), ("claim", 2), ("buy", 2), ("pay_out", 1), ("look", 4),
           ("garbage", 6), ("nonsense", 1))


TALK = (
    lambda one, room: one.call("chat:new", {"streamId": room, "text": "over a socket"}, timeout=5),
    lambda one, room: one.emit("reaction:new", {"streamId": room, "kind": "heart"}),
    lambda one, room: one.call("stream:leave", {"streamId": room}, timeout=5),
    lambda one, room: one.call("stream:join", {"streamId": room}, timeout=5),
    lambda one, room: one.call("auth:refresh", {"token": one.token}, timeout=5),
    lambda one, room: one.emit("no:such", {"a": [1] * 50}),
    lambda one, room: one.call("chat:new", {"streamId": 5}, timeout=5),
)


class Doors(list):
    """Sockets of a visit; none is left open, whatever became of it."""

    def add(self, one):
        self.append(one)
        return one

    def close(self):
        for one in self:
            if one.inbox.closed is None and one.ws.sock is not None:
                with contextlib.suppress(OSError, AssertionError):
                    one.cut()


class Visitor(threading.Thread):
    """Comes by one door or another, takes part, is cut off and comes back, and leaves."""

    def __init__(self, soak, number):
        super().__init__(daemon=True)
        self.soak, self.server = soak, soak.server
        self.rng = random.Random("%d visitor %d" % (soak.seed, number))

    def run(self):
        while not self.soak.over.is_set():
            door = self.rng.choice((self.socket_io, self.socket_io, self.socket_io, self.plain,
                                    self.events, self.polling))
            try:
                door(self.rng.choice(self.soak.people))
                self.soak.done[door.__name__] += 1
            except PROBLEMS:
                self.soak.done[door.__name__ + " in vain"] += 1
            except Exception as problem:
                if not type(problem).__module__.startswith(("websocket", "requests")):
                    self.soak.blame(door.__name__, repr(problem))
                self.soak.done[door.__name__ + " in vain"] += 1
            self.pause()

    def pause(self):
        time.sleep(self.rng.uniform(0.5, 1.5) * SOCKETS / self.soak.rate)

    def socket_io(self, user):
        with contextlib.closing(Doors()) as doors:
            one = doors.add(Socket(self.server, user.token))
            rooms = sorted({self.soak.room(self.rng) for _ in range(self.rng.choice((1, 2)))})
            for room in rooms:
                one.call("stream:join", {"streamId": room}, timeout=5)
            for _ in range(self.rng.randrange(8)):
                if self.soak.over.is_set():
                    break
                self.rng.choice(TALK)(one, self.rng.choice(rooms))
                self.pause()
                if self.rng.random() < 0.3:
                    one.cut()
                    self.pause()
                    one = doors.add(Socket(self.server, user.token, pid=one.pid,
                                           offset=one.offset))
                    self.soak.done["recovered" if one.recovered else "not recovered"] += 1
            self.rng.choice((one.leave, one.cut, lambda: one.ws.send("nonsense")))()

    def plain(self, user):
        with contextlib.closing(Doors()) as doors:
            one = doors.add(Plain(self.server, user.token, by_header=self.rng.random() < 0.5))
            one.wait("ready", timeout=5)
            room = self.soak.room(self.rng)
            one.call("stream:join", {"streamId": room}, timeout=5)
            for _ in range(self.rng.randrange(5)):
                one.call("chat:new", {"streamId": room, "text": "plain"}, timeout=5)
                self.pause()

    def events(self, user):
        url = self.server.url + STREAMS + "/%s/events" % self.soak.room(self.rng)
        with requests.get(url, stream=True, timeout=5,
                          headers={"Authorization": "Bearer " + user.token}) as reply:
            until = time.monotonic() + self.rng.uniform(0.2, 3)
            if reply.status_code == 200:
                for _ in reply.iter_lines():
                    if time.monotonic() > until or self.soak.over.is_set():
                        break

    def polling(self, user):
        url = self.server.url + "/socket.io/?EIO=4&transport=polling"
        with requests.Session() as session:
            session.trust_env = False
            sid = json.loads(session.get(url, timeout=5).text[1:])["sid"]
            url += "&sid=" + sid
            session.post(url, data="40" + json.dumps({"token": user.token}), timeout=5)
            session.get(url, timeout=5)
            session.post(url, data='42["stream:join",{"streamId":"%s"}]'
                         % self.soak.room(self.rng), timeout=5)
            if self.rng.random() < 0.7:
                session.get(url, timeout=5)
                session.post(url, data="1", timeout=5)


# --- what all of it holds

def of_process(pid):
    """{"kb": memory of its own, "fds": ..., "threads": ...}"""
    with open("/proc/%d/smaps_rollup" % pid) as f:
        kb = sum(int(line.split()[1]) for line in f if line.startswith("Anonymous:"))
    names = []
    for name in os.listdir("/proc/%d/fd" % pid):
        try:
            names.append(os.readlink("/proc/%d/fd/%s" % (pid, name)))
        except OSError:
            pass                                # closed meanwhile
    return {"kb": kb, "fds": len(names), "threads": len(os.listdir("/proc/%d/task" % pid)),
            "sockets": sum(name.startswith("socket:") for name in names)}


def role_of(pid, server):
    with open("/proc/%d/cmdline" % pid, "rb") as f:
        words = f.read()
    for name in ("realtimed", "crond"):
        if b"halobuzz-" + name.encode() in words:
            return name
    return "parent" if pid == server.process.pid else "child"


def of_processes(server):
    """[(role, start, of_process())]; those of crond's that run a job are left out."""
    found = []
    for pid in processes_of(server.process.pid):
        try:
            role = role_of(pid, server)
            with open("/proc/%d/stat" % pid) as f:
                fields = f.read().rpartition(")")[2].split()
            if int(fields[1]) in (server.process.pid, os.getpid()):
                found.append((role, int(fields[19]), of_process(pid)))
        except OSError:
            pass                                # gone meanwhile
    return found


def held_by(server):
    """{role: of_process()} of those that serve now: the newest of the children."""
    found = {}
    for role, _, holds in sorted(of_processes(server), key=lambda one: one[1]):
        found[role] = holds
    return found


def names_of(server):
    """What lies in the state and runtime directories, but mails and backups."""
    found = set()
    for top in (server.state, os.path.join(server.root, "run")):
        for where, folders, names in os.walk(top):
            folders[:] = [name for name in folders if name not in ("mail", "backups")]
            found.update(os.path.relpath(os.path.join(where, name), top) for name in names)
    return found
