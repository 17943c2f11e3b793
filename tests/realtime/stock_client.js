// SPDX-License-Identifier: Apache-2.0
// The official socket.io-client, driven by lines of JSON: one command a line on standard input,
// one line on standard output for each thing that happens. stock.py is the other end.
//
//     {"do":"connect","name":"a","url":"https://...","version":"4.8","options":{...}}
//     {"do":"call","name":"a","number":1,"event":"stream:join","data":{...}}
//     {"do":"drop","name":"a"}        the network goes: the client comes back by itself
//     {"do":"close","name":"a"}
"use strict";
const readline = require("readline");

const clients = {};

function say(line) {
    process.stdout.write(JSON.stringify(line) + "\n");
}

function connect(command) {
    const { io } = require("sio-" + command.version);
    const socket = io(command.url, command.options);
    const name = command.name;

    clients[name] = socket;
    socket.on("connect", () => say({ name, did: "connect", id: socket.id,
                                     recovered: !!socket.recovered,
                                     transport: socket.io.engine.transport.name }));
    socket.on("connect_error", (e) => say({ name, did: "connect_error", message: e.message,
                                            data: e.data === undefined ? null : e.data }));
    socket.on("disconnect", (reason) => say({ name, did: "disconnect", reason }));
    socket.onAny((event, ...args) => say({ name, did: "event", event, args }));
    socket.io.on("reconnect_attempt", () => say({ name, did: "reconnect_attempt" }));
    socket.io.engine.on("upgrade", () => say({ name, did: "upgrade" }));
}

const actions = {
    connect,
    call(command) {
        clients[command.name].emit(command.event, command.data, (answer) =>
            say({ name: command.name, did: "answer", number: command.number, answer }));
    },
    drop(command) {
        clients[command.name].io.engine.close();
    },
    close(command) {
        clients[command.name].close();
    },
};

readline.createInterface({ input: process.stdin })
    .on("line", (line) => {
        const command = JSON.parse(line);

        actions[command.do](command);
    })
    .on("close", () => process.exit(0));
say({ did: "ready" });
