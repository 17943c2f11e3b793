// SPDX-License-Identifier: Apache-2.0
// node agora.js PACKAGE_DIRECTORY PROGRAM: is what PROGRAM prints what the package makes?
'use strict';
const { spawnSync } = require('child_process');
const path = require('path');
const zlib = require('zlib');
const lib = require(path.join(process.argv[2], 'src', 'AccessToken2.js'));

const channelCharacters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789' +
    ' !#$%&()+-:;<=.>?@[]^_{}|~,';
const pick = n => Math.floor(Math.random() * n);
const text = (alphabet, n) => Array.from({ length: n }, () => alphabet[pick(alphabet.length)]).join('');
const inflated = token => zlib.inflateSync(Buffer.from(token.slice(3), 'base64'));

const rows = [];
for (let i = 0; i < 300; i++) {
    rows.push({
        appId: text('0123456789abcdefABCDEF', 32),
        certificate: text('0123456789abcdefABCDEF', 32),
        channel: text(channelCharacters, 1 + pick(63)),
        uid: String([1, 4294967295, 1 + pick(4294967295)][i % 3]),
        isPublisher: i % 2,
        seconds: [60, 86400, 60 + pick(86340)][i % 3],
    });
}
const result = spawnSync(process.argv[3], {
    input: rows.map(r => [r.appId, r.certificate, r.channel, r.uid, r.isPublisher, r.seconds].join('\t') + '\n').join(''),
    encoding: 'utf8',
});
if (result.status !== 0) {
    console.error(`vendor: ${process.argv[3]} ended with ${result.status}: ${result.stderr}`);
    process.exit(1);
}
const tokens = result.stdout.trim().split('\n');
let wrong = tokens.length === rows.length ? 0 : 1;
rows.forEach((row, i) => {
    const parsed = new lib.AccessToken2();
    const ours = tokens[i] || '';
    let why = null;
    if (!parsed.from_string(ours)) {
        why = 'their parser does not read it';
    } else if (!parsed.verifySignature(row.certificate)) {
        why = 'their check of the signature fails';
    } else {
        const theirs = new lib.AccessToken2(row.appId, row.certificate, parsed.issueTs, row.seconds);
        const service = new lib.ServiceRtc(row.channel, row.uid);
        for (const privilege of row.isPublisher ? [1, 2, 3, 4] : [1]) {
            service.add_privilege(privilege, row.seconds);
        }
        theirs.salt = parsed.salt;
        theirs.add_service(service);
        if (!inflated(theirs.build()).equals(inflated(ours))) {
            why = 'their builder makes other bytes';
        } else if (Math.abs(parsed.issueTs - Date.now() / 1000) > 60 ||
                   parsed.salt < 1 || parsed.salt > 99999999) {
            why = 'time of issue or salt are out of range';
        }
    }
    if (why) {
        console.error(`vendor: agora: ${why}: ${JSON.stringify(row)} ${ours}`);
        wrong++;
    }
});
console.log(`vendor: agora: ${rows.length} tokens, ${wrong} differ`);
process.exit(wrong ? 1 : 0);
