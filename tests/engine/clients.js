// SPDX-License-Identifier: Apache-2.0
// Stock clients against the conformance profile: clients.js URL CASE. Prints ok, or says what is not.
'use strict';

const assert = require('assert');
const [url, name, detail] = process.argv.slice(2);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const transports = { polling: ['polling'], websocket: ['websocket'], upgrade: undefined };

function event(emitter, type, ms = 5000) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('no ' + type)), ms);
    emitter.once(type, (...args) => { clearTimeout(timer); resolve(args); });
  });
}

function ack(socket, ...args) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('no ack')), 5000);
    socket.emit(...args, (...answer) => { clearTimeout(timer); resolve(answer); });
  });
}

const cases = {
  // socket.io-client: everything it has, over one transport.
  async stock() {
    const [version, transport] = detail.split('/');
    const { io } = require(version);
    const socket = io(url, { transports: transports[transport], auth: { token: 'x' },
      reconnection: false, forceNew: true, query: { from: 'here' } });
    socket.on('connect_error', (error) => { throw error; });
    assert.deepStrictEqual(await event(socket, 'auth'), [{ token: 'x' }]);
    const binary = Buffer.from([1, 2, 3]);
    socket.emit('message', 1, 'zwei \u20ac', { a: [true, null] }, binary);
    const back = await event(socket, 'message-back');
    assert.deepStrictEqual(back.slice(0, 3), [1, 'zwei \u20ac', { a: [true, null] }]);
    assert.ok(binary.equals(Buffer.from(back[3])));
    assert.deepStrictEqual(await ack(socket, 'message-with-ack', 'a', 2), ['a', 2]);
    const [answer] = await ack(socket, 'message-with-ack', { deep: [binary] });
    assert.ok(binary.equals(Buffer.from(answer.deep[0])));
    const big = 'y'.repeat(700000);
    assert.deepStrictEqual(await ack(socket, 'message-with-ack', big), [big]);
    await sleep(700);                           // a heartbeat, and the upgrade is long done
    assert.ok(socket.connected);
    assert.strictEqual(socket.io.engine.transport.name,
      transport === 'upgrade' ? 'websocket' : transport);
    const custom = socket.io.socket('/custom', {});
    if (!custom.active) custom.connect();
    await event(custom, 'auth');
    assert.notStrictEqual(custom.id, socket.id);
    custom.disconnect();
    const nope = socket.io.socket('/nope', {});
    const [error] = await event(nope, 'connect_error');
    assert.strictEqual(error.message, 'Invalid namespace');
    nope.disconnect();
    assert.deepStrictEqual(await ack(socket, 'message-with-ack', 'still'), ['still']);
    socket.disconnect();
  },

  // A client of protocol 3 is told so and does not come in.
  async old() {
    const io = require('sio-2.5');
    const socket = io(url, { reconnection: false, transports: transports[detail] });
    socket.on('connect', () => { throw new Error('connected'); });
    await event(socket, 'connect_error');
  },

  // Everybody gets everything, whatever way he came, in one order.
  async room() {
    const { io } = require('sio-4.8');
    const people = ['polling', 'websocket', 'upgrade', 'websocket'].map((transport) =>
      io(url, { transports: transports[transport], forceNew: true, reconnection: false }));
    await Promise.all(people.map((one) => event(one, 'auth')));
    const got = people.map(() => []);
    people.forEach((one, i) => one.on('m', (n) => got[i].push(n)));
    for (let n = 0; n < 200; n++) people[n % people.length].emit('m', n);
    for (let i = 0; i < 100 && got.some((list) => list.length < 200); i++) await sleep(50);
    got.forEach((list) => assert.strictEqual(list.length, 200));
    got.forEach((list) => assert.deepStrictEqual(list, got[0]));
    people.forEach((one) => one.disconnect());
  },

  // The reasons clients see.
  async reasons() {
    const { io } = require('sio-4.8');
    const socket = io(url, { transports: transports[detail], reconnection: false });
    await event(socket, 'auth');
    await sleep(300);                           // an upgrade is done
    socket.io.engine.write('4abc');
    assert.strictEqual((await event(socket, 'disconnect'))[0], 'transport close');
    const again = io(url, { transports: transports[detail], reconnectionDelay: 50, forceNew: true });
    await event(again, 'auth');
    const before = again.id;
    await sleep(300);
    again.io.engine.write('4abc');
    await event(again, 'disconnect');
    await event(again, 'auth');
    assert.notStrictEqual(again.id, before);
    again.disconnect();
  },

  // engine.io-client, the lower layer alone.
  async engine() {
    const { Socket } = require('engine.io-client');
    const socket = new Socket(url, { path: '/engine.io/', transports: transports[detail] || ['polling', 'websocket'] });
    await event(socket, 'open');
    const got = [];
    socket.on('message', (data) => got.push(data));
    for (let i = 0; i < 50; i++) {
      socket.send('message ' + i);
      if (i % 10 === 5) await sleep(30);
    }
    socket.send(new Uint8Array([1, 2, 3]));
    for (let i = 0; i < 60 && got.length < 51; i++) await sleep(20);
    assert.deepStrictEqual(got.slice(0, 50), [...Array(50).keys()].map((i) => 'message ' + i));
    assert.deepStrictEqual(Buffer.from(got[50]), Buffer.from([1, 2, 3]));
    await sleep(700);
    assert.strictEqual(socket.readyState, 'open');
    assert.strictEqual(socket.transport.name, detail === 'polling' ? 'polling' : 'websocket');
    const closed = event(socket, 'close');
    socket.close();
    await closed;
    await sleep(50);
  },

  // ws, which offers permessage-deflate.
  async ws() {
    const { WebSocket } = require('ws');
    const socket = new WebSocket(url.replace('http', 'ws') + '/ws-echo');
    await event(socket, 'open');
    assert.strictEqual(socket.extensions.split(';')[0], detail === 'deflate' ? 'permessage-deflate' : '');
    for (const size of [0, 1, 125, 126, 65536, 1000000]) {
      const bytes = Buffer.alloc(size, 7);
      socket.send(bytes);
      const [data, isBinary] = await event(socket, 'message');
      assert.ok(isBinary && bytes.equals(data));
    }
    const words = JSON.stringify(Array(5000).fill({ text: 'namaste' }));
    socket.send(words);
    assert.strictEqual((await event(socket, 'message'))[0].toString(), words);
    if (detail === 'deflate') assert.ok(socket._socket.bytesRead < 1000000 + 65536 * 2);
    socket.send('a', { fin: false });
    socket.ping('x');
    socket.send('b', { fin: true });
    const [[pong], [text]] = await Promise.all([event(socket, 'pong'), event(socket, 'message')]);
    assert.strictEqual(pong.toString(), 'x');
    assert.strictEqual(text.toString(), 'ab');
    socket.close(4321, 'bye');
    const [code] = await event(socket, 'close');
    assert.strictEqual(code, 4321);
  },
};

cases[name]().then(() => {
  console.log('ok');
  process.exit(0);
}, (error) => {
  console.log(error.stack);
  process.exit(1);
});
