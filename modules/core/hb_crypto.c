/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keyed hashes, sealing and encodings over OpenSSL 3. Algorithms are fetched once a
 * process, because an implicit fetch at each call costs more than the hash itself.
 *
 * OpenSSL's error queue belongs to the thread, and mod_ssl reads it: it is emptied
 * before and after our use.
 */
#include "hb_crypto.h"

#include <pthread.h>
#include <string.h>

#include <apr_strings.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "hb_keyring.h"
#include "hb_secret.h"

#define NONCE_BYTES 12
#define TAG_BYTES 16
#define MAC_BYTES 32
/* Nobody seals more; keeps lengths inside OpenSSL's int. */
#define SEAL_MAX_BYTES (1024 * 1024)

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static pthread_once_t fetch_once = PTHREAD_ONCE_INIT;
static EVP_MD *sha256;
static EVP_MAC *hmac;
static EVP_CIPHER *aes_256_gcm;
static pthread_key_t digest_key;
static int have_digest_key;

static void free_digest(void *context)
{
    EVP_MD_CTX_free(context);
}

static void fetch_algorithms(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    aes_256_gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    have_digest_key = pthread_key_create(&digest_key, free_digest) == 0;
}

static void begin(void)
{
    pthread_once(&fetch_once, fetch_algorithms);
    ERR_clear_error();
}

apr_status_t hb_random_bytes(hb_op_t *op, unsigned char *out, apr_size_t n)
{
    if (op->site->random(op->site->baton, out, n) != APR_SUCCESS) {
        return hb_fail(op, HB_E_INTERNAL, NULL);
    }
    return APR_SUCCESS;
}

const char *hb_random_token(hb_op_t *op, apr_size_t n_bytes)
{
    unsigned char *bytes = apr_palloc(op->pool, n_bytes);
    const char *text;

    if (hb_random_bytes(op, bytes, n_bytes) != APR_SUCCESS) {
        return NULL;
    }
    text = hb_base64url(op->pool, bytes, n_bytes);
    OPENSSL_cleanse(bytes, n_bytes);
    return text;
}

apr_status_t hb_random_between(apr_int64_t *n, hb_op_t *op, apr_int64_t low, apr_int64_t high)
{
    apr_uint64_t span = (apr_uint64_t)high - (apr_uint64_t)low;
    apr_uint64_t draw, fair;
    apr_status_t rv;

    if (low > high) {
        return hb_fail(op, HB_E_INTERNAL, NULL);
    }
    /* Draws past the last whole multiple of the span would favour low numbers. */
    fair = span == APR_UINT64_MAX ? APR_UINT64_MAX
        : APR_UINT64_MAX - (APR_UINT64_MAX % (span + 1) + 1) % (span + 1);
    do {
        rv = hb_random_bytes(op, (unsigned char *)&draw, sizeof(draw));
        if (rv != APR_SUCCESS) {
            return rv;
        }
    } while (draw > fair);
    *n = (apr_int64_t)((apr_uint64_t)low
                       + (span == APR_UINT64_MAX ? draw : draw % (span + 1)));
    return APR_SUCCESS;
}

apr_status_t hb_sha256(unsigned char digest[32], const void *a, apr_size_t a_len,
                       const void *b, apr_size_t b_len)
{
    EVP_MD_CTX *context;
    int ok;

    begin();
    context = have_digest_key ? pthread_getspecific(digest_key) : NULL;
    if (context == NULL) {
        context = EVP_MD_CTX_new();
        if (context == NULL || !have_digest_key
            || pthread_setspecific(digest_key, context) != 0) {
            EVP_MD_CTX_free(context);
            return HB_E_INTERNAL;
        }
    }
    ok = EVP_DigestInit_ex2(context, sha256, NULL)
        && EVP_DigestUpdate(context, a, a_len)
        && (b == NULL || EVP_DigestUpdate(context, b, b_len))
        && EVP_DigestFinal_ex(context, digest, NULL);
    ERR_clear_error();
    return ok ? APR_SUCCESS : HB_E_INTERNAL;
}

static apr_status_t mac_make(unsigned char *mac, apr_size_t mac_len, const char *digest,
                             const void *key, apr_size_t key_len,
                             const hb_bytes_t *parts, int n_parts)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)digest, 0),
        OSSL_PARAM_construct_end()
    };
    EVP_MAC_CTX *context;
    size_t len = 0;
    int ok, i;

    begin();
    context = EVP_MAC_CTX_new(hmac);
    ok = context != NULL && EVP_MAC_init(context, key, key_len, params);
    for (i = 0; ok && i < n_parts; i++) {
        ok = EVP_MAC_update(context, parts[i].bytes, parts[i].len);
    }
    ok = ok && EVP_MAC_final(context, mac, &len, mac_len) && len == mac_len;
    EVP_MAC_CTX_free(context);
    ERR_clear_error();
    return ok ? APR_SUCCESS : HB_E_INTERNAL;
}

apr_status_t hb_hmac_sha256(unsigned char mac[32], const void *key, apr_size_t key_len,
                            const void *text, apr_size_t text_len)
{
    const hb_bytes_t whole = { text, text_len };

    return mac_make(mac, 32, "SHA256", key, key_len, &whole, 1);
}

apr_status_t hb_hmac_sha256_parts(unsigned char mac[32], const void *key, apr_size_t key_len,
                                  const hb_bytes_t *parts, int n_parts)
{
    return mac_make(mac, 32, "SHA256", key, key_len, parts, n_parts);
}

apr_status_t hb_hmac_sha1(unsigned char mac[20], const void *key, apr_size_t key_len,
                          const void *text, apr_size_t text_len)
{
    const hb_bytes_t whole = { text, text_len };

    return mac_make(mac, 20, "SHA1", key, key_len, &whole, 1);
}

/* HMAC under a ring key of a label, a 0 byte and text, so that no use of a key meets another. */
static apr_status_t labelled_mac(unsigned char mac[MAC_BYTES], apr_pool_t *pool,
                                 const hb_key_t *key, const char *label, const char *text)
{
    apr_size_t label_len = strlen(label) + 1;
    apr_size_t text_len = strlen(text);
    char *message = apr_palloc(pool, label_len + text_len);
    apr_status_t rv;

    memcpy(message, label, label_len);
    memcpy(message + label_len, text, text_len);
    rv = hb_hmac_sha256(mac, key->bytes, key->len, message, label_len + text_len);
    OPENSSL_cleanse(message, label_len + text_len);
    return rv;
}

const char *hb_keyed_hash(hb_op_t *op, const char *purpose, const char *text)
{
    const hb_key_t *key = hb_keyring_oldest(op->site->pepper_keys);
    unsigned char mac[MAC_BYTES];

    if (labelled_mac(mac, op->pool, key, purpose, text) != APR_SUCCESS) {
        hb_fail(op, HB_E_INTERNAL, NULL);
        return NULL;
    }
    return hb_hex(op->pool, mac, sizeof(mac));
}

/*
 * Ring keys are of any length from 32 up and also key the hashes above: AES gets a key
 * derived for sealing and for this purpose.
 */
static apr_status_t sealing_key(unsigned char out[MAC_BYTES], apr_pool_t *pool,
                                const hb_key_t *key, const char *purpose)
{
    return labelled_mac(out, pool, key, "halobuzz seal v1", purpose);
}

static const char *sealing_header(apr_pool_t *pool, const char *kid, const char *purpose)
{
    return apr_pstrcat(pool, "v1.", kid, ".", purpose, NULL);
}

apr_status_t hb_seal(const char **sealed, hb_op_t *op, const char *purpose,
                     const void *plain, apr_size_t len)
{
    const hb_key_t *key = hb_keyring_newest(op->site->pepper_keys);
    const char *header = sealing_header(op->pool, key->kid, purpose);
    unsigned char aes_key[MAC_BYTES], *box;
    EVP_CIPHER_CTX *context = NULL;
    int n = 0, ok;

    if (len > SEAL_MAX_BYTES) {
        return hb_fail(op, HB_E_INTERNAL, NULL);
    }
    box = apr_palloc(op->pool, NONCE_BYTES + len + TAG_BYTES);
    ok = hb_random_bytes(op, box, NONCE_BYTES) == APR_SUCCESS
        && sealing_key(aes_key, op->pool, key, purpose) == APR_SUCCESS;
    if (ok) {
        begin();
        context = EVP_CIPHER_CTX_new();
        ok = context != NULL
            && EVP_EncryptInit_ex2(context, aes_256_gcm, aes_key, box, NULL)
            && EVP_EncryptUpdate(context, NULL, &n, (const unsigned char *)header,
                                 (int)strlen(header))
            && (len == 0
                || EVP_EncryptUpdate(context, box + NONCE_BYTES, &n, plain, (int)len))
            && EVP_EncryptFinal_ex(context, box + NONCE_BYTES + len, &n)
            && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES,
                                   box + NONCE_BYTES + len);
        EVP_CIPHER_CTX_free(context);
        ERR_clear_error();
    }
    OPENSSL_cleanse(aes_key, sizeof(aes_key));
    if (!ok) {
        return hb_fail(op, HB_E_INTERNAL, NULL);
    }
    *sealed = apr_pstrcat(op->pool, "v1.", key->kid, ".",
                          hb_base64url(op->pool, box, NONCE_BYTES + len + TAG_BYTES), NULL);
    return APR_SUCCESS;
}

apr_status_t hb_unseal(const char **plain, apr_size_t *len, hb_op_t *op,
                       const char *purpose, const char *sealed)
{
    const char *dot = strncmp(sealed, "v1.", 3) == 0 ? strchr(sealed + 3, '.') : NULL;
    const hb_key_t *key = dot == NULL ? NULL
        : hb_keyring_find(op->site->pepper_keys, apr_pstrmemdup(op->pool, sealed + 3,
                                                                dot - sealed - 3));
    unsigned char aes_key[MAC_BYTES], *text;
    const unsigned char *box;
    const char *header;
    EVP_CIPHER_CTX *context;
    apr_size_t box_len = 0, text_len;
    int n = 0, rest = 0, ok;

    box = key == NULL ? NULL : hb_base64url_read(op->pool, &box_len, dot + 1);
    if (box == NULL || box_len < NONCE_BYTES + TAG_BYTES
        || box_len > NONCE_BYTES + SEAL_MAX_BYTES + TAG_BYTES) {
        return hb_fail(op, HB_E_TOKEN_INVALID, NULL);
    }
    if (sealing_key(aes_key, op->pool, key, purpose) != APR_SUCCESS) {
        return hb_fail(op, HB_E_INTERNAL, NULL);
    }
    header = sealing_header(op->pool, key->kid, purpose);
    text_len = box_len - NONCE_BYTES - TAG_BYTES;
    text = apr_pcalloc(op->pool, text_len + 1);
    hb_secret_wipe_with(op->pool, text, text_len);
    begin();
    context = EVP_CIPHER_CTX_new();
    ok = context != NULL
        && EVP_DecryptInit_ex2(context, aes_256_gcm, aes_key, box, NULL)
        && EVP_DecryptUpdate(context, NULL, &n, (const unsigned char *)header,
                             (int)strlen(header))
        && (text_len == 0
            || EVP_DecryptUpdate(context, text, &n, box + NONCE_BYTES, (int)text_len))
        && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES,
                               (void *)(box + NONCE_BYTES + text_len))
        && EVP_DecryptFinal_ex(context, text + text_len, &rest);
    EVP_CIPHER_CTX_free(context);
    ERR_clear_error();
    OPENSSL_cleanse(aes_key, sizeof(aes_key));
    if (!ok) {
        OPENSSL_cleanse(text, text_len);
        return hb_fail(op, HB_E_TOKEN_INVALID, NULL);
    }
    *plain = (const char *)text;
    *len = text_len;
    return APR_SUCCESS;
}

int hb_equal_secret(const char *a, const char *b)
{
    apr_size_t len = strlen(a);

    return strlen(b) == len && CRYPTO_memcmp(a, b, len) == 0;
}

const char *hb_hex(apr_pool_t *pool, const unsigned char *bytes, apr_size_t n)
{
    static const char digits[] = "0123456789abcdef";
    char *text = apr_palloc(pool, 2 * n + 1);
    apr_size_t i;

    for (i = 0; i < n; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    text[2 * n] = '\0';
    return text;
}

const char *hb_base64url(apr_pool_t *pool, const unsigned char *bytes, apr_size_t n)
{
    char *text = apr_palloc(pool, n / 3 * 4 + 5);
    char *out = text;
    apr_size_t i;
    unsigned int group;

    for (i = 0; i + 2 < n; i += 3) {
        group = (unsigned int)bytes[i] << 16 | (unsigned int)bytes[i + 1] << 8 | bytes[i + 2];
        *out++ = alphabet[group >> 18];
        *out++ = alphabet[group >> 12 & 63];
        *out++ = alphabet[group >> 6 & 63];
        *out++ = alphabet[group & 63];
    }
    if (n - i == 1) {
        *out++ = alphabet[bytes[i] >> 2];
        *out++ = alphabet[(bytes[i] & 3) << 4];
    }
    else if (n - i == 2) {
        *out++ = alphabet[bytes[i] >> 2];
        *out++ = alphabet[(bytes[i] & 3) << 4 | bytes[i + 1] >> 4];
        *out++ = alphabet[(bytes[i + 1] & 15) << 2];
    }
    *out = '\0';
    return text;
}

static int sextet(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

const unsigned char *hb_base64url_read(apr_pool_t *pool, apr_size_t *n, const char *text)
{
    apr_size_t len = strlen(text);
    unsigned char *bytes;
    unsigned int bits = 0;
    int n_bits = 0, six;
    apr_size_t i, used = 0;

    if (len % 4 == 1) {
        return NULL;
    }
    bytes = apr_palloc(pool, len / 4 * 3 + 3);
    for (i = 0; i < len; i++) {
        six = sextet(text[i]);
        if (six < 0) {
            return NULL;
        }
        bits = (bits << 6 | (unsigned int)six) & 0xffff;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            bytes[used++] = (unsigned char)(bits >> n_bits);
        }
    }
    /* Bits left over have to be 0, or several texts would mean the same bytes. */
    if ((bits & ((1u << n_bits) - 1)) != 0) {
        return NULL;
    }
    bytes[used] = '\0';
    *n = used;
    return bytes;
}
