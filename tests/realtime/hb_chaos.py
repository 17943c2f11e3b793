# SPDX-License-Identifier: Apache-2.0
"""People who go on whatever happens to a platform, each call until it is answered for good, and
what has to be true once everything is back. Every choice comes from one seed."""

import collections
import concurrent.futures
import json
import random
import threading
import time

import requests

import hb_hooks
from hb_finance import ctl
from hb_live import STREAMS, Live, Users
from hb_socketio import Refused, Socket
from hb_users import PASSWORD

ACTORS = 10
PURSE = 1000000
GIVE_UP_SEC = 60                # after the last harm
BACK_SEC = 5
WAITS = (0.15, 1, 4, 12)        # how long an app waits for an answer
BUSY = ("unavailable", "store.unavailable", "store.readonly", "store.conflict")


class Town:
    """hosts of one platform, its people, and what was acknowledged to them."""

    def __init__(self, hosts, seed):
        self.hosts, self.seed = hosts, seed
        self.lock = threading.Lock()
        self.own = threading.local()
        self.n = 0
        self.over = threading.Event()
        self.calm_at = None
        self.wrong = []                         # what must not be
        self.listeners = []
        self.coins = collections.Counter()      # by acknowledged calls
        self.gifts = collections.defaultdict(set)       # stream -> ids
        self.said = {}                          # stream -> {client's id: message's id}
        self.direct = collections.defaultdict(set)      # {two people} -> ids
        self.sessions = []                      # (access token, refresh token, is signed in)
        staff = hosts[0].finance()
        gifts = staff.get("/api/v1/gifts?limit=100").json()["items"]
        self.gift = next(g for g in gifts if g["code"] == "rose")
        self.people = [Users(hosts[0]).make() for _ in range(6)]
        self.lives = [Live(hosts[0]) for _ in range(2)]
        for user in self.people:
            self.call(random.Random(seed), staff, "POST", "/api/v1/admin/adjustments",
                      {"userId": user.id, "coins": PURSE, "reason": "chaos"}, "purse" + user.id)
            self.coins[user.id] = PURSE
        for live in self.lives:
            self.said[live.id] = {}

    def number(self):
        with self.lock:
            self.n += 1
            return self.n

    def blame(self, *words):
        with self.lock:
            self.wrong.append(" ".join(map(str, words))[:600])

    # --- calls

    def ask(self, rng, who, method, path, body=None, key=None, data=None, headers=None, host=None):
        """One attempt at some host: the reply, None when none came in time."""
        session = getattr(self.own, "session", None)
        if session is None:
            session = self.own.session = requests.Session()
            session.trust_env = False
        headers = dict(headers or {})
        if who is not None:
            headers["Authorization"] = "Bearer " + getattr(who, "token", who)
        if key:
            headers["Idempotency-Key"] = key
        try:
            reply = session.request(method, (host or rng.choice(self.hosts)).url + path,
                                    json=body, data=data, headers=headers, allow_redirects=False,
                                    timeout=20 if self.over.is_set() else rng.choice(WAITS))
        except requests.RequestException:
            session.close()
            self.own.session = None
            return None
        if reply.status_code >= 500 and (reply.status_code != 503
                                         or not reply.headers.get("Retry-After")):
            self.blame(method, path, reply.status_code, reply.text)
        return reply

    def call(self, rng, *args, ok=(200, 201, 204), **more):
        """As an app does: again, with the same key, until it is answered for good."""
        while True:
            reply = self.ask(rng, *args, **more)
            if reply is not None and reply.status_code != 503:
                if reply.status_code not in ok:
                    self.blame(args[1:3], reply.status_code, reply.text)
                return reply
            if self.calm_at and time.monotonic() > self.calm_at + GIVE_UP_SEC:
                raise TimeoutError("%s is not answered" % (args[1:3],))
            time.sleep(rng.uniform(0.02, 0.3))

    # --- what people do

    def give(self, rng):
        user, live, n, key = (rng.choice(self.people), rng.choice(self.lives), rng.choice((1, 3)),
                              "gift%d" % self.number())
        for _ in range(rng.choice((1, 1, 1, 2))):       # some press twice
            reply = self.call(rng, user, "POST", STREAMS + "/%s/gifts" % live.id,
                              {"giftId": self.gift["id"], "quantity": n}, key)
            with self.lock:
                if reply.json()["gift"]["id"] not in self.gifts[live.id]:
                    self.coins[user.id] -= n * self.gift["priceCoins"]
                self.gifts[live.id].add(reply.json()["gift"]["id"])

    def buy(self, rng):
        """The provider tells of it several times, at once, under several ids."""
        user, n = rng.choice(self.people), self.number()
        reply = self.call(rng, user, "POST", "/api/v1/payments/sandbox/orders",
                          {"product": "npr-500"}, "order%d" % n)
        order = reply.json()["order"]["id"]
        events = ["sbe_%d" % n] * rng.choice((1, 2, 3)) + ["sbe_%d_again" % n] * rng.choice((0, 1))
        with concurrent.futures.ThreadPoolExecutor(len(events)) as pool:
            list(pool.map(lambda x: self.tell(*x, order),
                          [(random.Random("%d %d %d" % (self.seed, n, i)), event)
                           for i, event in enumerate(events)]))
        with self.lock:
            self.coins[user.id] += 500

    def tell(self, rng, event, order):
        body = hb_hooks.message(order, amount=1000, currency="npr", event=event)
        self.call(rng, None, "POST", hb_hooks.SANDBOX, data=body, headers=hb_hooks.signed(body))

    def say(self, rng):
        user, live, name = rng.choice(self.people), rng.choice(self.lives), "w%d" % self.number()
        reply = self.call(rng, user, "POST", STREAMS + "/%s/messages" % live.id,
                          {"text": name, "clientId": name})
        with self.lock:
            self.said[live.id][name] = reply.json()["message"]["id"]

    def write(self, rng):
        one, other = rng.sample(self.people, 2)
        name = "d%d" % self.number()
        reply = self.call(rng, one, "POST", "/api/v1/conversations/%s/messages" % other.id,
                          {"text": name, "clientId": name})
        with self.lock:
            self.direct[frozenset((one, other))].add(reply.json()["message"]["id"])

    def come_and_go(self, rng):
        name = "chaos%d" % self.number()
        who = {"email": name + "@halobuzz.test", "password": PASSWORD}
        self.call(rng, None, "POST", "/api/v1/auth/register", {**who, "username": name},
                  ok=(201, 409))        # 409: it was registered, but the answer was lost
        reply = self.call(rng, None, "POST", "/api/v1/auth/login", who)
        tokens, stays = reply.json(), rng.random() < 0.5
        if not stays:                   # 401: signed out before, but the answer was lost
            self.call(rng, tokens["accessToken"], "POST", "/api/v1/auth/logout", ok=(204, 401))
        with self.lock:
            self.sessions.append((tokens["accessToken"], tokens["refreshToken"], stays))

    def act(self, number):
        rng = random.Random("%d actor %d" % (self.seed, number))
        acts = (self.give, self.give, self.buy, self.say, self.say, self.write, self.come_and_go)
        while not self.over.is_set():
            try:
                rng.choice(acts)(rng)
            except Exception as problem:        # told at the end
                self.blame("an actor:", repr(problem))
            time.sleep(rng.uniform(0, 0.05))

    def live_through(self, harm):
        """Everybody goes on while harm() goes on; then until all is answered and heard."""
        self.listeners = listeners = [Listener(self, i) for i in range(len(self.people))]
        actors = [threading.Thread(target=self.act, args=(i,), daemon=True) for i in range(ACTORS)]
        for thread in listeners + actors:
            thread.start()
        harm()
        self.calm_at = time.monotonic()
        self.wait_green()
        self.over.set()
        for thread in actors:
            thread.join(GIVE_UP_SEC + 30)
        for host in self.hosts:
            host.wait_sidecar()
        rng = random.Random(self.seed)
        for live in self.lives:
            self.call(rng, live.host, "POST", STREAMS + "/%s/messages" % live.id,
                      {"text": "the end", "clientId": "the end"})
        for thread in listeners:
            thread.join(GIVE_UP_SEC)
        if any(thread.is_alive() for thread in actors + listeners):
            self.blame("somebody hangs")

    # --- what has to be true

    def wait_green(self):
        for host in self.hosts:
            while True:
                reply = self.ask(random, None, "GET", "/api/v1/monitoring/health", host=host)
                if reply is not None and reply.status_code == 200 \
                        and reply.json()["status"] == "healthy":
                    break
                if time.monotonic() > self.calm_at + 4 * BACK_SEC:
                    return self.blame("health stays", reply is not None and reply.text)
                time.sleep(0.05)
        if time.monotonic() > self.calm_at + BACK_SEC:
            self.blame("health took %.1f s" % (time.monotonic() - self.calm_at))

    def items(self, who, path):
        found, after = [], ""
        while after is not None:
            page = self.call(random, who, "GET", path + "?limit=100" + after).json()
            found += page["items"]
            after = page["next"] and "&after=" + page["next"]
        return found

    def check_list(self, what, items, wanted):
        ids = [item["id"] for item in items]
        if sorted(ids) != sorted(wanted):
            self.blame(what, "%d listed, %d acknowledged:" % (len(ids), len(wanted)),
                       sorted(set(ids) ^ set(wanted))[:5])

    def check_books(self):
        proof = json.loads(ctl(self.hosts[0], "ledger", "verify", "--json"))
        if not proof["clean"] or proof["sumCoin"] or proof["sumBonus"]:
            self.blame(proof)
        ctl(self.hosts[0], "store", "verify")
        for user in self.people:
            for host in self.hosts:
                wallet = self.call(random, user, "GET", "/api/v1/wallet", host=host).json()
                if wallet["balance"] != self.coins[user.id]:
                    self.blame(user.username, "has", wallet["balance"], "not", self.coins[user.id])

    def check_words(self):
        for live in self.lives:
            self.check_list("gifts", self.items(None, STREAMS + "/%s/gifts" % live.id),
                            self.gifts[live.id])
            self.check_list("chat", [m for m in self.items(None, STREAMS + "/%s/messages" % live.id)
                                     if m["text"] != "the end"], self.said[live.id].values())
            heard = [part for one in self.listeners if one.live is live for part in one.parts]
            for i, one in enumerate(heard):
                for other in heard[:i]:
                    self.check_alike(one, other)
        for pair, ids in self.direct.items():
            one, other = pair
            self.check_list("direct messages", self.items(
                one, "/api/v1/conversations/%s/messages" % other.id), ids)
        for user in self.people:
            waits = sum(c["unread"] for c in self.items(user, "/api/v1/conversations"))
            told = self.call(random, user, "GET", "/api/v1/conversations/unread").json()["messages"]
            if waits != told:
                self.blame(user.username, "has", waits, "unread, and is told of", told)

    def check_alike(self, one, other):
        """Between the first and the last that two heard both heard the same, once."""
        common = set(one) & set(other)
        if not common:
            return
        cuts = []
        for part in (one, other):
            at = [i for i, message in enumerate(part) if message in common]
            cuts.append(part[at[0]:at[-1] + 1])
        if cuts[0] != cuts[1] or len(set(one)) != len(one):
            self.blame("two heard otherwise:", sorted(set(cuts[0]) ^ set(cuts[1]))[:5])

    def check_sessions(self):
        for access, refresh, stays in self.sessions:
            for host in self.hosts:
                reply = self.call(random, access, "GET", "/api/v1/users/me", host=host,
                                  ok=(200, 401))
                if (reply.status_code == 200) != stays:
                    self.blame("a session that stays" if stays else "one that ended", reply.text)
            reply = self.call(random, None, "POST", "/api/v1/auth/refresh",
                              {"refreshToken": refresh}, ok=(200, 401))
            if (reply.status_code == 200) != stays:
                self.blame("refreshing", stays, reply.text)


class Listener(threading.Thread):
    """Hears a room and comes back whenever it is cut. parts: what it heard without a gap."""

    def __init__(self, town, number):
        super().__init__(daemon=True)
        self.town, self.user = town, town.people[number]
        self.live = town.lives[number % len(town.lives)]
        self.rng = random.Random("%d listener %d" % (town.seed, number))
        self.parts, self.socket, self.is_to_cut = [], None, threading.Event()

    def come(self, old=None):
        while True:
            try:
                new = Socket(self.rng.choice(self.town.hosts), self.user.token,
                             pid=old.pid if old else None, offset=old.offset if old else None)
                if not new.recovered:
                    answer = new.call("stream:join", {"streamId": self.live.id}, timeout=5)
                    if not answer["ok"]:
                        if answer["error"]["code"] not in BUSY:
                            self.town.blame("a room is closed:", answer)
                        new.cut()
                        raise OSError("not let in")
                    self.parts.append([])
                return new
            except (OSError, AssertionError, ValueError, Refused) as problem:
                refusal = getattr(problem, "data", None) or {}
                if refusal.get("code", "unavailable") not in BUSY:
                    self.town.blame("a socket is refused:", refusal)
            except Exception as problem:
                if not type(problem).__name__.startswith("WebSocket"):
                    raise
            if self.town.calm_at and time.monotonic() > self.town.calm_at + GIVE_UP_SEC:
                raise TimeoutError("there is no way back")
            time.sleep(0.1)

    def keep(self):
        self.parts[-1] += [message["id"] for message, _ in self.socket.events("chat:new")]

    def run(self):
        try:
            self.socket = self.come()
            while "the end" not in self.socket.texts():
                if self.socket.inbox.closed:
                    self.keep()
                    self.socket = self.come(self.socket)
                elif self.is_to_cut.is_set():
                    self.is_to_cut.clear()
                    self.socket.cut()
                time.sleep(0.03)
            self.keep()
        except Exception as problem:            # told at the end
            self.town.blame("a listener:", repr(problem))
