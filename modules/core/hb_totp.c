/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One-time passwords by time (RFC 6238 over RFC 4226). Recovery codes are ordinary keyed
 * hashes and stay in hb_account.c.
 */
#include "hb_totp.h"

#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include <openssl/crypto.h>

#include "hb_crypto.h"
#include "hb_secret.h"

#define SECRET_BYTES 20         /* RFC 4226: the length of SHA-1 */
#define SECRET_MIN_BYTES 10
#define SECRET_MAX_BYTES 64
#define STEP_SEC 30
#define DIGITS 6
#define MODULUS 1000000
#define LEEWAY_STEPS 1

static const char base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/* Whole groups of 5 bytes only, which is what SECRET_BYTES is. */
static const char *base32_text(apr_pool_t *pool, const unsigned char *bytes, apr_size_t n)
{
    char *text = apr_palloc(pool, n / 5 * 8 + 1);
    apr_size_t i, at = 0;
    apr_uint64_t group;
    int shift;

    for (i = 0; i + 5 <= n; i += 5) {
        group = (apr_uint64_t)bytes[i] << 32 | (apr_uint64_t)bytes[i + 1] << 24
            | (apr_uint64_t)bytes[i + 2] << 16 | (apr_uint64_t)bytes[i + 3] << 8 | bytes[i + 4];
        for (shift = 35; shift >= 0; shift -= 5) {
            text[at++] = base32[group >> shift & 31];
        }
    }
    text[at] = '\0';
    return text;
}

/* Bytes of a secret; 0 when it is not one. Apps show secrets in either case. */
static apr_size_t base32_read(unsigned char out[SECRET_MAX_BYTES], const char *text)
{
    apr_size_t n = 0;
    unsigned int bits = 0;
    int n_bits = 0;
    const char *c;

    for (; *text != '\0' && *text != '='; text++) {
        c = memchr(base32, apr_toupper(*text), 32);
        if (c == NULL) {
            return 0;
        }
        bits = (bits << 5 | (unsigned int)(c - base32)) & 0xfff;
        n_bits += 5;
        if (n_bits >= 8) {
            if (n == SECRET_MAX_BYTES) {
                return 0;
            }
            n_bits -= 8;
            out[n++] = (unsigned char)(bits >> n_bits);
        }
    }
    return n >= SECRET_MIN_BYTES ? n : 0;
}

/* RFC 4226, 5.3: the code of one step. */
static apr_status_t code_of(char code[DIGITS + 1], const unsigned char *key, apr_size_t key_len,
                            apr_int64_t step)
{
    unsigned char counter[8], mac[20];
    unsigned int number;
    apr_status_t rv;
    int i, at;

    for (i = 7; i >= 0; i--) {
        counter[i] = (unsigned char)step;
        step >>= 8;
    }
    rv = hb_hmac_sha1(mac, key, key_len, counter, sizeof(counter));
    if (rv != APR_SUCCESS) {
        return rv;
    }
    at = mac[19] & 15;
    number = ((unsigned int)(mac[at] & 0x7f) << 24 | (unsigned int)mac[at + 1] << 16
              | (unsigned int)mac[at + 2] << 8 | mac[at + 3]) % MODULUS;
    for (i = DIGITS - 1; i >= 0; i--) {
        code[i] = (char)('0' + number % 10);
        number /= 10;
    }
    code[DIGITS] = '\0';
    return APR_SUCCESS;
}

/* A label of an otpauth URI: unreserved characters stay, the rest is escaped. */
static const char *escaped(apr_pool_t *pool, const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    char *out = apr_palloc(pool, strlen(text) * 3 + 1);
    char *to = out;

    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (c < 0x80 && (apr_isalnum(c) || strchr("-._~", c) != NULL)) {
            *to++ = (char)c;
        }
        else {
            *to++ = '%';
            *to++ = hex[c >> 4];
            *to++ = hex[c & 15];
        }
    }
    *to = '\0';
    return out;
}

apr_status_t hb_totp_make(const char **secret, const char **uri, hb_op_t *op,
                          const char *account)
{
    unsigned char bytes[SECRET_BYTES];
    const char *issuer = escaped(op->pool, op->site->settings->auth_issuer);
    apr_status_t rv;

    rv = hb_random_bytes(op, bytes, sizeof(bytes));
    if (rv != APR_SUCCESS) {
        return rv;
    }
    *secret = base32_text(op->pool, bytes, sizeof(bytes));
    *uri = apr_psprintf(op->pool, "otpauth://totp/%s:%s?secret=%s&issuer=%s"
                        "&algorithm=SHA1&digits=%d&period=%d", issuer,
                        escaped(op->pool, account), *secret, issuer, DIGITS, STEP_SEC);
    hb_secret_wipe_with(op->pool, (char *)*secret, strlen(*secret));
    hb_secret_wipe_with(op->pool, (char *)*uri, strlen(*uri));
    OPENSSL_cleanse(bytes, sizeof(bytes));
    return APR_SUCCESS;
}

apr_status_t hb_totp_verify(apr_int64_t *step, hb_op_t *op, const char *secret,
                            const char *code, apr_int64_t last_step)
{
    unsigned char key[SECRET_MAX_BYTES];
    char expected[DIGITS + 1];
    apr_int64_t now_step = apr_time_sec(op->now) / STEP_SEC;
    apr_int64_t try, found = -1;
    apr_size_t key_len = base32_read(key, secret);
    apr_status_t rv = APR_SUCCESS;

    if (key_len == 0) {
        return hb_fail(op, HB_E_STORE_DAMAGED, NULL);
    }
    /* All steps are looked at, so that the time does not tell which one it was. */
    for (try = now_step - LEEWAY_STEPS; try <= now_step + LEEWAY_STEPS; try++) {
        rv = code_of(expected, key, key_len, try);
        if (rv != APR_SUCCESS) {
            break;
        }
        if (hb_equal_secret(expected, code) && found < 0 && try > last_step) {
            found = try;
        }
    }
    OPENSSL_cleanse(key, sizeof(key));
    OPENSSL_cleanse(expected, sizeof(expected));
    if (rv != APR_SUCCESS) {
        return hb_fail(op, HB_E_INTERNAL, NULL);
    }
    if (found < 0) {
        return hb_fail(op, HB_E_TOTP_INVALID, NULL);
    }
    *step = found;
    return APR_SUCCESS;
}

const char *hb_totp_code(apr_pool_t *pool, const char *secret, apr_time_t when)
{
    unsigned char key[SECRET_MAX_BYTES];
    char *code = apr_pcalloc(pool, DIGITS + 1);
    apr_size_t key_len = base32_read(key, secret);
    apr_status_t rv = APR_EINVAL;

    if (key_len != 0) {
        rv = code_of(code, key, key_len, apr_time_sec(when) / STEP_SEC);
        OPENSSL_cleanse(key, sizeof(key));
    }
    return rv == APR_SUCCESS ? code : NULL;
}
