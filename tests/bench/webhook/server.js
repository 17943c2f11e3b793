// SPDX-License-Identifier: Apache-2.0
// The yardstick of the webhook figure: what one would write with Express, Stripe's own
// library and better-sqlite3. Two workers, WAL, synchronous=FULL; an event is verified,
// stored once, and its order credited, all in one transaction that is on the disk before
// the answer. usage: node server.js PORT DATABASE SECRET ORDERS
"use strict";
const cluster = require("cluster");
const fs = require("fs");
const express = require("express");
const Stripe = require("stripe");
const Database = require("better-sqlite3");

const [port, path, secret, orders] = process.argv.slice(2);

function open() {
    const db = new Database(path, { timeout: 20000 });
    db.pragma("journal_mode = WAL");
    db.pragma("synchronous = FULL");
    return db;
}

function fill() {
    const db = open();
    db.exec(`
        CREATE TABLE users (id TEXT PRIMARY KEY, balance INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE orders (id TEXT PRIMARY KEY, user_id TEXT NOT NULL, amount INTEGER NOT NULL,
            currency TEXT NOT NULL, coins INTEGER NOT NULL, state TEXT NOT NULL, payment_id TEXT,
            paid_at INTEGER) WITHOUT ROWID;
        CREATE UNIQUE INDEX orders_payment ON orders (payment_id) WHERE payment_id IS NOT NULL;
        CREATE TABLE events (event_id TEXT PRIMARY KEY, type TEXT NOT NULL, body TEXT NOT NULL,
            order_id TEXT, received_at INTEGER NOT NULL);
        CREATE INDEX events_order ON events (order_id, received_at);
        CREATE TABLE entries (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, order_id TEXT,
            created_at INTEGER NOT NULL);
        CREATE TABLE postings (entry_id INTEGER NOT NULL, account TEXT NOT NULL,
            coins INTEGER NOT NULL, balance INTEGER NOT NULL);
        CREATE INDEX postings_account ON postings (account, entry_id);
        CREATE TABLE accounts (name TEXT PRIMARY KEY, balance INTEGER NOT NULL) WITHOUT ROWID;`);
    const user = db.prepare("INSERT OR IGNORE INTO users VALUES (?, 0)");
    const order = db.prepare("INSERT INTO orders VALUES (?, ?, ?, ?, ?, 'open', NULL, NULL)");
    db.transaction(() => {
        for (const line of fs.readFileSync(orders, "utf8").trim().split("\n")) {
            const [id, userId, amount, currency, coins] = line.split(" ");
            user.run(userId);
            order.run(id, userId, Number(amount), currency, Number(coins));
        }
    })();
    db.pragma("wal_checkpoint(TRUNCATE)");
    db.close();
}

function serve() {
    const stripe = new Stripe("sk_test_unused");
    const db = open();
    const keep = db.prepare("INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?)");
    const find = db.prepare("SELECT * FROM orders WHERE id = ?");
    const pay = db.prepare("UPDATE orders SET state = 'paid', payment_id = ?, paid_at = ? "
                           + "WHERE id = ? AND state = 'open'");
    const entry = db.prepare("INSERT INTO entries (key, order_id, created_at) VALUES (?, ?, ?)");
    const account = db.prepare("INSERT INTO accounts VALUES (?, ?) ON CONFLICT (name) "
                               + "DO UPDATE SET balance = balance + excluded.balance "
                               + "RETURNING balance");
    const posting = db.prepare("INSERT INTO postings VALUES (?, ?, ?, ?)");
    const credit = db.prepare("UPDATE users SET balance = balance + ? WHERE id = ?");

    const take = db.transaction((event, body, now) => {
        const intent = event.data.object;
        const orderId = intent.metadata && intent.metadata.order_id;
        if (keep.run(event.id, event.type, body, orderId, now).changes === 0) {
            return;
        }
        const order = find.get(orderId);
        if (!order || order.state !== "open" || order.amount !== intent.amount_received
            || order.currency !== intent.currency) {
            return;
        }
        pay.run(intent.id, now, order.id);
        const id = entry.run("purchase:stripe:" + intent.id, order.id, now).lastInsertRowid;
        for (const [name, coins] of [["platform:mint", -order.coins],
                                     ["user:" + order.user_id, order.coins]]) {
            posting.run(id, name, coins, account.get(name, coins).balance);
        }
        credit.run(order.coins, order.user_id);
    });

    const app = express();
    app.post("/webhooks/stripe", express.raw({ type: "*/*" }), (req, res) => {
        let event;
        try {
            event = stripe.webhooks.constructEvent(req.body, req.headers["stripe-signature"],
                                                   secret);
        } catch (e) {
            return res.status(400).json({ error: e.message });
        }
        if (event.type === "payment_intent.succeeded") {
            take.immediate(event, req.body.toString("utf8"), Date.now());
        }
        res.json({ received: true });
    });
    app.listen(Number(port), "127.0.0.1");
}

if (cluster.isPrimary) {
    fill();
    cluster.fork();
    cluster.fork();
} else {
    serve();
}
