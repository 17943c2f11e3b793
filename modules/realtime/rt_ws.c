/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 6455 5.2 to 5.5, 7.4, and 4.2.2 for the key. */
#include "rt_ws.h"

#include <string.h>

#include <apr_sha1.h>

#include "hb_json.h"
#include "rt_eio.h"

int rt_ws_head_read(rt_ws_frame_t *frame, const char *bytes, apr_size_t len, int may_pack)
{
    const unsigned char *in = (const unsigned char *)bytes;
    const int reserved = may_pack ? 0x30 : 0x70;
    int i, n_len;

    if (len < 2) {
        /* A first byte that nothing can mend need not wait for the second. */
        return len == 1 && (in[0] & reserved) != 0 ? -1 : 0;
    }
    frame->is_last = in[0] >> 7;
    frame->opcode = (rt_opcode_e)(in[0] & 15);
    frame->len = in[1] & 127;
    frame->is_packed = (in[0] & RT_WS_PACKED) != 0;
    if ((in[0] & reserved) != 0 || (in[1] & 0x80) == 0
        || (frame->is_packed && frame->opcode != RT_WS_TEXT && frame->opcode != RT_WS_BINARY)) {
        return -1;
    }
    switch (frame->opcode) {
    case RT_WS_CONTINUATION:
    case RT_WS_TEXT:
    case RT_WS_BINARY:
        break;
    case RT_WS_CLOSE:
    case RT_WS_PING:
    case RT_WS_PONG:
        if (!frame->is_last || frame->len > RT_WS_CONTROL_MAX) {
            return -1;
        }
        break;
    default:
        return -1;
    }
    n_len = frame->len == 126 ? 2 : frame->len == 127 ? 8 : 0;
    frame->head_len = 2 + n_len + 4;
    if (len < (apr_size_t)frame->head_len) {
        return 0;
    }
    if (n_len > 0) {
        for (frame->len = 0, i = 0; i < n_len; i++) {
            frame->len = frame->len << 8 | in[2 + i];
        }
        /* The shortest form is a must, and the top bit is 0. */
        if (frame->len < (n_len == 2 ? 126 : 65536) || frame->len >> 63 != 0) {
            return -1;
        }
    }
    memcpy(frame->mask, in + 2 + n_len, 4);
    return 1;
}

int rt_ws_head_len(apr_uint64_t len)
{
    return len < 126 ? 2 : len < 65536 ? 4 : 10;
}

int rt_ws_head_write(char out[RT_WS_HEAD_MAX], rt_opcode_e opcode, apr_uint64_t len)
{
    int n = rt_ws_head_len(len), i;

    out[0] = (char)(0x80 | opcode);
    if (n == 2) {
        out[1] = (char)len;
        return n;
    }
    out[1] = n == 4 ? 126 : 127;
    for (i = n - 1; i >= 2; i--, len >>= 8) {
        out[i] = (char)(len & 255);
    }
    return n;
}

void rt_ws_unmask(char *bytes, apr_size_t len, const unsigned char mask[4])
{
    apr_uint64_t wide, word;
    apr_size_t i = 0;

    memcpy(&wide, mask, 4);
    memcpy((char *)&wide + 4, mask, 4);
    for (; i + 8 <= len; i += 8) {
        memcpy(&word, bytes + i, 8);
        word ^= wide;
        memcpy(bytes + i, &word, 8);
    }
    for (; i < len; i++) {
        bytes[i] = (char)(bytes[i] ^ mask[i & 3]);
    }
}

int rt_ws_close_read(const char *payload, apr_size_t len)
{
    const unsigned char *in = (const unsigned char *)payload;
    int code;

    if (len == 0) {
        return 0;
    }
    if (len == 1) {
        return 1002;
    }
    code = in[0] << 8 | in[1];
    if (!((code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014)
          || (code >= 3000 && code <= 4999))) {
        return 1002;
    }
    return hb_utf8_is_valid(payload + 2, len - 2) ? code : 1007;
}

int rt_ws_accept(char out[29], const char *key)
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char digest[APR_SHA1_DIGESTSIZE];
    char nonce[18];
    apr_sha1_ctx_t sha1;

    /* 16 bytes in base64: 24 characters. */
    if (strlen(key) != 24 || rt_base64_read(nonce, key, 24) != 16) {
        return 0;
    }
    apr_sha1_init(&sha1);
    apr_sha1_update(&sha1, key, 24);
    apr_sha1_update(&sha1, guid, sizeof(guid) - 1);
    apr_sha1_final(digest, &sha1);
    out[rt_base64_write(out, (const char *)digest, sizeof(digest))] = '\0';
    return 1;
}
