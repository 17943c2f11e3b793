/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures as Stripe makes them and our sandbox too: "t=SECONDS,v1=HEX[,v1=HEX...]", HEX
 * being HMAC-SHA256 of "SECONDS.BODY" in lower case. Other schemes in the header are passed
 * over and never accepted. Stricter than Stripe's libraries in one point: a time that is too
 * far in the future is refused like one too far in the past.
 */
#include "pay_private.h"

#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>
#include <openssl/crypto.h>

#include "hb_crypto.h"

#define HEX_BYTES 64
#define SECONDS_DIGITS_MAX 12
#define SIGNATURES_MAX 16       /* more than Stripe ever sends; bounds the work of a stranger */

typedef struct signature_t {
    const char *seconds;        /* inside the header */
    apr_size_t seconds_len;
    apr_int64_t when_sec;
    const char *v1[SIGNATURES_MAX];
    int n_v1;
} signature_t;

static const char *take_seconds(signature_t *signature, const char *digits, apr_size_t len)
{
    apr_size_t i;

    if (signature->seconds != NULL || len == 0 || len > SECONDS_DIGITS_MAX) {
        return "the signature's time is not one number";
    }
    signature->when_sec = 0;
    for (i = 0; i < len; i++) {
        if (!apr_isdigit(digits[i])) {
            return "the signature's time is not one number";
        }
        signature->when_sec = signature->when_sec * 10 + (digits[i] - '0');
    }
    signature->seconds = digits;
    signature->seconds_len = len;
    return NULL;
}

static const char *take_apart(signature_t *signature, const char *header)
{
    const char *why = NULL;

    while (*header != '\0' && why == NULL) {
        apr_size_t len = strcspn(header, ",");

        if (len >= 2 && strncmp(header, "t=", 2) == 0) {
            why = take_seconds(signature, header + 2, len - 2);
        }
        else if (len == 3 + HEX_BYTES && strncmp(header, "v1=", 3) == 0) {
            if (signature->n_v1 == SIGNATURES_MAX) {
                return "the header holds too many signatures";
            }
            signature->v1[signature->n_v1++] = header + 3;
        }
        header += len + (header[len] == ',');
    }
    if (why == NULL && signature->seconds == NULL) {
        why = "the header holds no time";
    }
    if (why == NULL && signature->n_v1 == 0) {
        why = "the header holds no v1 signature";
    }
    return why;
}

static const char hex_digits[] = "0123456789abcdef";

/* 64 digits, no 0 byte behind. */
static apr_status_t mac_hex(char hex[HEX_BYTES], const char *secret, const char *seconds,
                            apr_size_t seconds_len, const char *body, apr_size_t len)
{
    unsigned char mac[32];
    const hb_bytes_t parts[] = { { seconds, seconds_len }, { ".", 1 }, { body, len } };
    apr_status_t rv = hb_hmac_sha256_parts(mac, secret, strlen(secret), parts, 3);
    int i;

    for (i = 0; rv == APR_SUCCESS && i < 32; i++) {
        hex[2 * i] = hex_digits[mac[i] >> 4];
        hex[2 * i + 1] = hex_digits[mac[i] & 15];
    }
    return rv;
}

const char *pay_signature_check(const char *header, const char *body, apr_size_t len,
                                const char *const *secrets, apr_time_t now)
{
    signature_t signature = { .seconds = NULL };
    apr_int64_t age_sec;
    const char *why;
    char hex[HEX_BYTES];
    int i, matches = 0;

    if (header == NULL || *header == '\0') {
        return "there is no signature";
    }
    why = take_apart(&signature, header);
    for (; why == NULL && *secrets != NULL; secrets++) {
        if (mac_hex(hex, *secrets, signature.seconds, signature.seconds_len, body, len)
            != APR_SUCCESS) {
            return "the signature cannot be computed";
        }
        for (i = 0; i < signature.n_v1; i++) {
            matches |= CRYPTO_memcmp(hex, signature.v1[i], HEX_BYTES) == 0;
        }
    }
    if (why != NULL || !matches) {
        return why != NULL ? why : "no signature matches: another secret, or other bytes";
    }
    age_sec = apr_time_sec(now) - signature.when_sec;
    return age_sec > PAY_TOLERANCE_SEC ? "the signature is too old"
        : age_sec < -PAY_TOLERANCE_SEC ? "the signature is from the future" : NULL;
}

const char *pay_signature_make(const char *secret, apr_time_t when, const char *body,
                               apr_size_t len, apr_pool_t *pool)
{
    const char *seconds = apr_psprintf(pool, "%" APR_TIME_T_FMT, apr_time_sec(when));
    char hex[HEX_BYTES];

    if (mac_hex(hex, secret, seconds, strlen(seconds), body, len) != APR_SUCCESS) {
        return NULL;
    }
    return apr_psprintf(pool, "t=%s,v1=%.*s", seconds, HEX_BYTES, hex);
}
