/* SPDX-License-Identifier: Apache-2.0 */
/* Payloads of polling, and the base64 that carries binary there. */
#include "rt_eio.h"

#include <string.h>

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int rt_eio_next(rt_bytes_t *packet, rt_bytes_t *rest)
{
    const char *separator;

    if (rest->at == NULL) {
        return 0;
    }
    separator = rest->len > 0 ? memchr(rest->at, RT_EIO_SEPARATOR, rest->len) : NULL;
    packet->at = rest->at;
    if (separator == NULL) {
        packet->len = rest->len;
        rest->at = NULL;
        rest->len = 0;
    }
    else {
        packet->len = (apr_size_t)(separator - rest->at);
        rest->at = separator + 1;
        rest->len -= packet->len + 1;
    }
    return 1;
}

apr_size_t rt_base64_write(char *out, const char *bytes, apr_size_t len)
{
    const unsigned char *in = (const unsigned char *)bytes;
    char *to = out;

    for (; len >= 3; len -= 3, in += 3) {
        *to++ = alphabet[in[0] >> 2];
        *to++ = alphabet[(in[0] & 3) << 4 | in[1] >> 4];
        *to++ = alphabet[(in[1] & 15) << 2 | in[2] >> 6];
        *to++ = alphabet[in[2] & 63];
    }
    if (len > 0) {
        *to++ = alphabet[in[0] >> 2];
        *to++ = alphabet[(in[0] & 3) << 4 | (len == 2 ? in[1] >> 4 : 0)];
        *to++ = len == 2 ? alphabet[(in[1] & 15) << 2] : '=';
        *to++ = '=';
    }
    return (apr_size_t)(to - out);
}

static int sextet(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52 : c == '+' ? 62 : c == '/' ? 63 : -1;
}

apr_ssize_t rt_base64_read(char *out, const char *text, apr_size_t len)
{
    unsigned int bits = 0;
    int n_bits = 0;
    char *to = out;
    apr_size_t i;

    if (len % 4 == 0 && len > 0 && text[len - 1] == '=') {
        len -= text[len - 2] == '=' ? 2 : 1;
    }
    if (len % 4 == 1) {
        return -1;
    }
    for (i = 0; i < len; i++) {
        int value = sextet(text[i]);

        if (value < 0) {
            return -1;
        }
        bits = bits << 6 | (unsigned int)value;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            *to++ = (char)(bits >> n_bits);
            bits &= (1u << n_bits) - 1;
        }
    }
    return to - out;
}
