// SPDX-License-Identifier: Apache-2.0
// The reference server for bench_realtime.py: realtime_reference.js PORT.
'use strict';
const { Server } = require('socket.io');
const server = require('http').createServer();
const io = new Server(server, { serveClient: false, perMessageDeflate: false });
io.on('connection', (socket) => {
  socket.join('room');
  socket.on('m', (...args) => io.to('room').emit('m', ...args));
});
server.listen(Number(process.argv[2]), '127.0.0.1', () => console.log('ready'));
