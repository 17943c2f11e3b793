// SPDX-License-Identifier: Apache-2.0
// node stripe.js PACKAGE_DIRECTORY PROGRAM: does PROGRAM read what Stripe's library signs, does
// the library read what PROGRAM signs, and do both make the same calls?
'use strict';
const { spawn, spawnSync } = require('child_process');
const http = require('http');
const { URL } = require('url');
const Stripe = require(process.argv[2]);
const program = process.argv[3];
const stripe = new Stripe('sk_test_judge');
let wrong = 0, compared = 0;

function check(ok, what) {
    compared++;
    if (!ok) {
        console.error(`vendor: stripe: ${what}`);
        wrong++;
    }
}

const pick = n => Math.floor(Math.random() * n);
const words = ['coins', 'caf\u00e9', '\u0930\u0941', '\ud83e\ude99', '"', '\\', '\n', ' ', '{', '=', ',v1='];
const text = n => Array.from({ length: n }, () => words[pick(words.length)]).join('');

function event(i) {
    return JSON.stringify({
        id: `evt_${i}`, object: 'event', type: 'payment_intent.succeeded', livemode: false,
        created: Math.floor(Date.now() / 1000),
        data: { object: { id: `pi_${i}`, object: 'payment_intent', status: 'succeeded', amount: i,
                          amount_received: i, currency: 'usd', description: text(pick(30)),
                          metadata: { order_id: `o${i}` } } },
    }, null, pick(3));
}

// --- what the library signs ---
function hooks() {
    const rows = [];
    for (let i = 0; i < 300; i++) {
        const payload = event(i), now = Math.floor(Date.now() / 1000);
        const secret = `whsec_${pick(1e9)}`, older = `whsec_${pick(1e9)}`;
        const row = { body: payload, secrets: [secret, older], wanted: true };
        const make = (s, timestamp, scheme) =>
            stripe.webhooks.generateTestHeaderString({ payload, secret: s, timestamp, scheme });
        switch (i % 8) {
        case 0: row.header = make(secret, now); break;
        case 1: row.header = make(older, now); break;
        case 2: row.header = make('whsec_other', now); row.wanted = false; break;
        case 3: row.header = make(secret, now - 310); row.wanted = false; break;
        case 4: row.header = make(secret, now); row.body = payload + ' '; row.wanted = false; break;
        case 5: row.header = make(secret, now, 'v0'); row.wanted = false; break;
        case 6: row.header = make('whsec_other', now) + ',' + make(secret, now).split(',')[1]; break;
        default: row.header = make(secret, now - 290);
        }
        rows.push(row);
    }
    const done = spawnSync(program, ['hooks'], {
        input: rows.map(r => JSON.stringify({ header: r.header, body: r.body, secrets: r.secrets }) + '\n').join(''),
        encoding: 'utf8', maxBuffer: 1 << 26,
    });
    const lines = done.stdout.trim().split('\n');
    check(done.status === 0 && lines.length === rows.length, `hooks ended with ${done.status}: ${done.stderr}`);
    rows.forEach((row, i) => {
        const ours = lines[i] || '';
        const wanted = row.wanted ? `trusted evt_${i} paid ${i}` : 'forged - unknown -1';
        check(ours === wanted, `row ${i} is "${ours}", not "${wanted}": ${row.header}`);
        let theirs = true;
        try {
            stripe.webhooks.constructEvent(row.body, row.header, row.secrets[0]);
        } catch (e) {
            try {
                stripe.webhooks.constructEvent(row.body, row.header, row.secrets[1]);
            } catch (e2) {
                theirs = false;
            }
        }
        check(theirs === row.wanted, `row ${i}: the library itself thinks ${theirs}`);
    });
}

// --- what we sign ---
function samples() {
    const done = spawnSync(program, ['samples'], { encoding: 'utf8' });
    const lines = done.stdout.trim().split('\n');
    check(done.status === 0 && lines.length >= 10, `samples ended with ${done.status}: ${done.stderr}`);
    for (const line of lines) {
        const sample = JSON.parse(line);
        let read = null;
        try {
            read = stripe.webhooks.constructEvent(sample.body, sample.header, 'whsec_judge');
        } catch (e) {
            check(false, `${sample.type}: ${e.message}`);
            continue;
        }
        check(read.type === sample.type && read.id.startsWith('evt_') && read.object === 'event' &&
              read.data.object.metadata.order_id && read.api_version === stripe.getApiField('version'),
              `${sample.type} is odd: ${sample.body}`);
    }
}

// --- calls ---
const intent = {
    id: 'pi_judge', object: 'payment_intent', amount: 1250, amount_received: 1250, currency: 'usd',
    status: 'succeeded', client_secret: 'pi_judge_secret_1', livemode: false,
    latest_charge: { id: 'ch_judge', object: 'charge', amount_refunded: 0 },
    metadata: { order_id: '65530a0b0c0d0e0f10111213' },
};

function answer(request) {
    if (request.path.startsWith('/v1/payment_intents')) {
        return intent;
    }
    if (request.path.startsWith('/v1/checkout/sessions')) {
        return { id: 'cs_test_judge', object: 'checkout.session', url: 'https://checkout.stripe.com/c/pay/x',
                 amount_total: 1250, currency: 'usd', payment_status: 'paid', status: 'complete',
                 payment_intent: intent, client_reference_id: '65530a0b0c0d0e0f10111213',
                 expires_at: Math.floor(Date.now() / 1000) + 3600 };
    }
    return { id: 're_judge', object: 'refund', status: 'succeeded', amount: 100, payment_intent: 'pi_judge',
             charge: { id: 'ch_judge', amount_refunded: 100 } };
}

// Form or query as sorted name=value, so that neither order nor the spelling of %20 counts.
const pairs = s => [...new URLSearchParams(s)].map(([k, v]) => `${k}=${v}`).sort();

async function calls() {
    const seen = [];
    const server = http.createServer((req, res) => {
        let body = '';
        req.on('data', d => { body += d; });
        req.on('end', () => {
            const url = new URL(req.url, 'http://x');
            const request = { method: req.method, path: url.pathname, query: pairs(url.search), body: pairs(body),
                              headers: req.headers };
            seen.push(request);
            res.setHeader('Content-Type', 'application/json');
            res.setHeader('Request-Id', 'req_judge');
            res.end(JSON.stringify(answer(request)));
        });
    });
    await new Promise(done => server.listen(0, '127.0.0.1', done));
    const port = server.address().port;
    const theirs = new Stripe('sk_test_judge', { host: '127.0.0.1', port, protocol: 'http', telemetry: false });
    const order = '65530a0b0c0d0e0f10111213', user = '65530a0b0c0d0e0f10111299';
    const title = '500 coins & more, \u0930\u0941', metadata = { order_id: order, user_id: user };
    const back = `https://halobuzz.test/api/v1/payments/stripe/return/${order}`;

    const ours = await new Promise(done => {
        const child = spawn(program, ['calls', `http://127.0.0.1:${port}`]);
        let out = '';
        child.stdout.on('data', d => { out += d; });
        child.stderr.on('data', d => process.stderr.write(d));
        child.on('close', status => done(status === 0 ? out : `status ${status}`));
    });
    check(ours === 'intent ok\nlookup ok\npaid 1250 ch_judge\nrefund ok\nsession ok\nlookup ok\npaid 1250 pi_judge\n',
          `our calls came out as ${ours}`);
    const made = seen.splice(0);
    const expires = ((made[3] || { body: [] }).body.find(p => p.startsWith('expires_at=')) || '=').split('=')[1];
    await theirs.paymentIntents.create({ amount: 1250, currency: 'usd', automatic_payment_methods: { enabled: true },
                                         description: title, metadata }, { idempotencyKey: 'k1' });
    await theirs.paymentIntents.retrieve('pi_judge', { expand: ['latest_charge'] });
    await theirs.refunds.create({ payment_intent: 'pi_judge', amount: 100, reason: 'requested_by_customer',
                                  metadata: { order_id: order, refund_id: 'r1' }, expand: ['charge'] },
                                { idempotencyKey: 'k2' });
    await theirs.checkout.sessions.create({
        mode: 'payment', client_reference_id: order, success_url: `${back}?session_id={CHECKOUT_SESSION_ID}`,
        cancel_url: `${back}/failure`, expires_at: Number(expires),
        line_items: [{ quantity: 1, price_data: { currency: 'usd', unit_amount: 1250, product_data: { name: title } } }],
        metadata, payment_intent_data: { metadata } }, { idempotencyKey: 'k3' });
    await theirs.checkout.sessions.retrieve('cs_test_judge', { expand: ['payment_intent.latest_charge'] });
    server.close();
    check(made.length === seen.length, `we make ${made.length} calls, the library ${seen.length}`);
    seen.forEach((their, i) => {
        const our = made[i];
        for (const part of ['method', 'path', 'query', 'body']) {
            check(our && JSON.stringify(our[part]) === JSON.stringify(their[part]),
                  `call ${i}, ${part}: ${JSON.stringify(our && our[part])}, the library ${JSON.stringify(their[part])}`);
        }
        for (const name of ['authorization', 'stripe-version', 'accept']) {
            check(our && our.headers[name] === their.headers[name],
                  `call ${i}, ${name}: ${our && our.headers[name]}, the library ${their.headers[name]}`);
        }
        check(our && (their.method === 'GET' || (our.headers['idempotency-key'] || '').length > 5
              && our.headers['content-type'] === their.headers['content-type']), `call ${i}: key or type`);
    });
}

hooks();
samples();
calls().then(() => {
    console.log(`vendor: stripe: ${compared} comparisons, ${wrong} differ`);
    process.exit(wrong ? 1 : 0);
});
