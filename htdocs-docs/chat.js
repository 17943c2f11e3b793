// SPDX-License-Identifier: Apache-2.0
// A live room in the browser: a small Socket.IO client (protocol 5 over WebSocket, the main
// namespace, with acks and connection state recovery) and a page around it.
"use strict";

// --- the client

class Room {
  constructor(token, hear) {
    this.token = token;
    this.hear = hear;                   // (event, payload)
    this.acks = new Map();
    this.waiting = [];                  // calls made before we are in
    this.nextAck = 0;
    this.wait = 500;
    this.open();
  }

  open() {
    const address = new URL("/socket.io/?EIO=4&transport=websocket", location.href);

    address.protocol = address.protocol.replace("http", "ws");
    this.ws = new WebSocket(address);
    this.ws.onmessage = (message) => this.packet(message.data);
    this.ws.onclose = () => this.closed();
  }

  packet(text) {
    if (text[0] === "0") {              // open: say who we are, and where we were
      this.ws.send("40" + JSON.stringify({ token: this.token, pid: this.pid,
                                           offset: this.offset }));
    } else if (text === "2") {
      this.ws.send("3");
    } else if (text.startsWith("40")) {
      const answer = JSON.parse(text.slice(2));
      const recovered = this.pid !== undefined && this.pid === answer.pid;

      this.pid = answer.pid;
      this.wait = 500;
      this.connected = true;
      this.hear("connect", { recovered });
      this.waiting.splice(0).forEach((send) => send());
    } else if (text.startsWith("44")) {
      this.ended = true;
      this.hear("refused", JSON.parse(text.slice(2)));
    } else if (text.startsWith("41")) {
      this.ended = true;                // sent out: coming back is no use
    } else if (text.startsWith("42")) {
      const [event, payload, offset] = JSON.parse(text.slice(2));

      if (typeof offset === "string") {
        this.offset = offset;
      }
      this.hear(event, payload);
    } else if (text.startsWith("43")) {
      const at = text.indexOf("["), id = Number(text.slice(2, at));

      this.acks.get(id)(JSON.parse(text.slice(at))[0]);
      this.acks.delete(id);
    }
  }

  closed() {
    this.connected = false;
    this.acks.clear();
    this.hear("disconnect", { ended: !!this.ended });
    if (!this.ended) {
      setTimeout(() => this.open(), this.wait * (0.5 + Math.random()));
      this.wait = Math.min(this.wait * 2, 5000);
    }
  }

  call(event, data) {
    return new Promise((done) => {
      const send = () => {
        this.acks.set(this.nextAck, done);
        this.ws.send("42" + this.nextAck + JSON.stringify([event, data]));
        this.nextAck++;
      };

      if (this.connected) {
        send();
      } else {
        this.waiting.push(send);
      }
    });
  }
}

// --- HTTP

async function ask(method, path, token, body, key) {
  const headers = {};

  if (token) headers.Authorization = "Bearer " + token;
  if (body) headers["Content-Type"] = "application/json";
  if (key) headers["Idempotency-Key"] = key;
  const reply = await fetch("/api/v1" + path, { method, headers,
                                                body: body && JSON.stringify(body) });
  const json = await reply.json();

  if (!reply.ok) throw new Error(json.detail || json.title || json.code);
  return json;
}

// --- the page

function element(name, className, ...children) {
  const made = document.createElement(name);

  made.className = className;
  made.append(...children);
  return made;
}

function client(id, title) {
  const part = document.getElementById("client").content.cloneNode(true).firstElementChild;
  const find = (selector) => part.querySelector(selector);
  const log = find(".log"), state = find(".state");
  const shown = new Set();      // ids: what the answer of stream:join holds may come as chat:new too
  let token, room, stream, was_in = false;

  part.id = id;
  find(".name").textContent = title;
  find(".say label").htmlFor = find(".say input").id = id + "-text";
  document.getElementById("clients").append(part);

  function add(className, ...children) {
    log.append(element("li", className, ...children));
    log.scrollTop = log.scrollHeight;
  }

  function said(message) {
    if (shown.has(message.id)) return;
    shown.add(message.id);
    add("said", element("b", "", "@" + message.user.username), " ", message.text);
  }

  async function list() {
    const streams = (await ask("GET", "/streams?limit=100", token)).items;

    find(".choose select").replaceChildren(...streams.map((s) => new Option(s.title, s.id)));
  }

  async function enter() {
    const answer = await room.call("stream:join", { streamId: stream });

    if (!answer.ok) throw new Error(answer.error.detail);
    was_in = true;
    log.replaceChildren();
    shown.clear();
    answer.messages.forEach(said);
    find(".title").textContent = answer.stream.title;
    find(".viewers").textContent = answer.viewers;
    find(".choose").hidden = true;
    find(".room").hidden = false;
  }

  const heard = {
    connect({ recovered }) {
      find(".link").textContent = recovered ? "recovered" : "connected";
      if (was_in && !recovered) enter().catch(fail);
    },
    disconnect() { find(".link").textContent = "not connected"; },
    refused(error) { state.textContent = error.message; },
    "chat:new": said,
    "gift:sent"({ gift, sender }) {
      add("gift", element("b", "", "@" + sender.username), " gives " + gift.quantity + " x " +
          (gift.name || gift.code || "gift"));
    },
    "throne:claimed"({ throne }) {
      add("gift", element("b", "", "@" + throne.user.username), " claims the throne for " +
          throne.coins + " coins");
    },
    "throne:expired"({ previous }) {
      add("word", (previous ? "@" + previous.username + "'s" : "Somebody's") +
          " time on the throne is up");
    },
    "throne:ended"() { add("word", "A moderator emptied the throne"); },
    "festival:started"(festival) { add("word", festival.name + " is on until " + festival.endsAt); },
    "festival:ended"(festival) { add("word", festival.name + " is over"); },
    "reaction:new"({ counts }) {
      add("word", Object.entries(counts).map(([kind, n]) => n + " x " + kind).join(", "));
    },
    "presence:update"(news) {
      find(".viewers").textContent = news.viewers;
      news.joined.forEach((user) => add("word", "@" + user.username + " came"));
      news.left.forEach((user) => add("word", "@" + user.username + " went"));
    },
    "stream:ended"() { add("word", "The stream has ended."); was_in = false; },
    "connection:closing"(why) { state.textContent = why.reason; },
  };

  function fail(problem) { state.textContent = problem.message; }

  function on(selector, event, action) {
    find(selector).addEventListener(event, (e) => {
      e.preventDefault();
      state.textContent = "";
      action(e.target.elements).catch(fail);
    });
  }

  on(".sign-in", "submit", async (fields) => {
    const signed_in = await ask("POST", "/auth/login", null, {
      email: fields.email.value, password: fields.password.value });

    token = signed_in.accessToken;
    find(".name").textContent = "@" + signed_in.user.username;
    room = new Room(token, (event, payload) => heard[event] && heard[event](payload));
    find(".sign-in").hidden = true;
    find(".choose").hidden = false;
    await list();
    const gifts = (await ask("GET", "/gifts", token)).items;
    find(".give select").replaceChildren(...gifts.map((g) =>
      new Option(g.name + ", " + g.priceCoins + " coins", g.id)));
  });
  on(".again", "click", list);
  on(".live", "click", async () => {
    const made = await ask("POST", "/streams", token, { title: "A room of " +
                           find(".name").textContent });

    stream = made.id;
    await ask("POST", "/streams/" + stream + "/start", token);
    await enter();
  });
  on(".choose", "submit", async (fields) => {
    stream = fields.stream.value;
    await enter();
  });
  on(".say", "submit", async (fields) => {
    const text = fields.text.value.trim();

    if (text === "") return;
    const answer = await room.call("chat:new", { streamId: stream, text,
                                                 clientId: crypto.randomUUID() });
    if (!answer.ok) throw new Error(answer.error.detail);
    fields.text.value = "";
  });
  on(".give", "submit", async (fields) => {
    await ask("POST", "/streams/" + stream + "/gifts", token,
              { giftId: fields.gift.value, quantity: 1 }, crypto.randomUUID());
  });
  on(".react", "click", async () => {
    const answer = await room.call("reaction:new", { streamId: stream, kind: "heart" });

    if (!answer.ok) throw new Error(answer.error.detail);
  });
  on(".pull", "click", async () => room.ws.close());
}

client("one", "First client");
client("two", "Second client");
