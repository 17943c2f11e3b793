/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Agora AccessToken2 "007". All integers are little-endian; a text is its length in 16
 * bits and its bytes. What counts is what is inside the zlib stream: its compressed form may
 * differ from the one other libraries make.
 */
#include "hb_agora.h"

#include <string.h>

#include <apr_base64.h>
#include <apr_lib.h>
#include <apr_strings.h>

#include <openssl/crypto.h>
#include <zlib.h>

#include "hb_crypto.h"

#define APP_ID_CHARACTERS 32
#define MAC_BYTES 32
#define SALT_MAX 99999999
#define TTL_MAX_SEC 86400
#define NAME_MAX_BYTES 255
#define SERVICES_MAX 8
#define GRANTS_MAX 16
/* app id, numbers and the signature, then the services at their largest */
#define INFO_MAX_BYTES (128 + SERVICES_MAX * (4 + GRANTS_MAX * 6 + 2 * (2 + NAME_MAX_BYTES)))

typedef struct packer_t {
    unsigned char bytes[INFO_MAX_BYTES];
    apr_size_t len;
} packer_t;

static void put16(packer_t *out, unsigned int n)
{
    out->bytes[out->len++] = (unsigned char)n;
    out->bytes[out->len++] = (unsigned char)(n >> 8);
}

static void put32(packer_t *out, apr_uint32_t n)
{
    put16(out, n & 0xffff);
    put16(out, n >> 16);
}

static void put_text(packer_t *out, const void *text, apr_size_t len)
{
    put16(out, (unsigned int)len);
    memcpy(out->bytes + out->len, text, len);
    out->len += len;
}

static int is_hex_id(const char *text)
{
    int i;

    for (i = 0; text != NULL && apr_isxdigit(text[i]); i++) {
        continue;
    }
    return i == APP_ID_CHARACTERS && text[i] == '\0';
}

static int fits(const hb_agora_token_t *token)
{
    int i, j;

    if (!is_hex_id(token->app_id) || !is_hex_id(token->certificate)
        || token->n_services > SERVICES_MAX) {
        return 0;
    }
    for (i = 0; i < token->n_services; i++) {
        const hb_agora_service_t *service = &token->services[i];

        if (service->n_grants > GRANTS_MAX) {
            return 0;
        }
        for (j = 0; j < 2 && service->names[j] != NULL; j++) {
            if (strlen(service->names[j]) > NAME_MAX_BYTES) {
                return 0;
            }
        }
    }
    return 1;
}

static void put_service(packer_t *out, const hb_agora_service_t *service)
{
    int i;

    put16(out, service->type);
    put16(out, (unsigned int)service->n_grants);
    for (i = 0; i < service->n_grants; i++) {
        put16(out, service->grants[i].privilege);
        put32(out, service->grants[i].seconds);
    }
    for (i = 0; i < 2 && service->names[i] != NULL; i++) {
        put_text(out, service->names[i], strlen(service->names[i]));
    }
}

/* Services stand in the order of their types, whatever order they were given in. */
static void put_services(packer_t *out, const hb_agora_token_t *token)
{
    unsigned int type, next = 0;
    int i;

    put16(out, (unsigned int)token->n_services);
    do {
        type = next;
        next = 0x10000;
        for (i = 0; i < token->n_services; i++) {
            if (token->services[i].type == type) {
                put_service(out, &token->services[i]);
            }
            else if (token->services[i].type > type && token->services[i].type < next) {
                next = token->services[i].type;
            }
        }
    } while (next != 0x10000);
}

/* Three HMACs in a chain: issue time over certificate, salt over that, that over the rest. */
static apr_status_t sign(unsigned char mac[MAC_BYTES], const hb_agora_token_t *token,
                         const packer_t *info)
{
    unsigned char first[MAC_BYTES], second[MAC_BYTES];
    packer_t number;
    apr_status_t rv;

    number.len = 0;
    put32(&number, token->issued_at);
    rv = hb_hmac_sha256(first, number.bytes, number.len, token->certificate,
                        strlen(token->certificate));
    if (rv == APR_SUCCESS) {
        number.len = 0;
        put32(&number, token->salt);
        rv = hb_hmac_sha256(second, number.bytes, number.len, first, MAC_BYTES);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_hmac_sha256(mac, second, MAC_BYTES, info->bytes, info->len);
    }
    OPENSSL_cleanse(first, sizeof(first));
    OPENSSL_cleanse(second, sizeof(second));
    return rv;
}

const char *hb_agora_token_text(const hb_agora_token_t *token, apr_pool_t *pool)
{
    packer_t info = { .len = 0 }, whole = { .len = 0 };
    unsigned char mac[MAC_BYTES], *packed;
    uLongf packed_len;
    char *text;

    if (!fits(token)) {
        return NULL;
    }
    put_text(&info, token->app_id, APP_ID_CHARACTERS);
    put32(&info, token->issued_at);
    put32(&info, token->seconds);
    put32(&info, token->salt);
    put_services(&info, token);
    if (sign(mac, token, &info) != APR_SUCCESS) {
        return NULL;
    }
    put_text(&whole, mac, sizeof(mac));
    memcpy(whole.bytes + whole.len, info.bytes, info.len);
    whole.len += info.len;

    packed_len = compressBound(whole.len);
    packed = apr_palloc(pool, packed_len);
    if (compress2(packed, &packed_len, whole.bytes, whole.len, Z_DEFAULT_COMPRESSION) != Z_OK) {
        return NULL;
    }
    text = apr_palloc(pool, 3 + apr_base64_encode_len((int)packed_len));
    memcpy(text, "007", 3);
    apr_base64_encode_binary(text + 3, packed, (int)packed_len);
    return text;
}

/* "1" to "4294967295" as Agora's libraries write it: digits, no leading 0. */
static int uid_is_valid(const char *uid)
{
    apr_size_t n = strspn(uid, "0123456789");

    return n > 0 && n <= 10 && uid[n] == '\0' && uid[0] != '0'
        && apr_atoi64(uid) <= (apr_int64_t)APR_UINT32_MAX;
}

static int channel_is_valid(const char *channel)
{
    apr_size_t n = strspn(channel, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                          " !#$%&()+-:;<=.>?@[]^_{}|~,");

    return n > 0 && n < 64 && channel[n] == '\0';
}

int hb_agora_is_set(const hb_op_t *op)
{
    return is_hex_id(op->site->settings->agora_app_id) && is_hex_id(op->site->agora_certificate);
}

apr_status_t hb_agora_rtc_token(const char **token, hb_op_t *op, const char *channel,
                                const char *uid, int is_publisher,
                                apr_interval_time_t ttl_usec)
{
    const hb_settings_t *settings = op->site->settings;
    apr_uint32_t seconds = (apr_uint32_t)apr_time_sec(ttl_usec);
    hb_agora_grant_t grants[] = {
        { HB_AGORA_RTC_JOIN, seconds }, { HB_AGORA_RTC_PUBLISH_AUDIO, seconds },
        { HB_AGORA_RTC_PUBLISH_VIDEO, seconds }, { HB_AGORA_RTC_PUBLISH_DATA, seconds }
    };
    hb_agora_service_t service = {
        HB_AGORA_RTC, grants, is_publisher ? 4 : 1, { channel, uid }
    };
    hb_agora_token_t parts = {
        settings->agora_app_id, op->site->agora_certificate,
        (apr_uint32_t)apr_time_sec(op->now), seconds, 0, &service, 1
    };
    apr_int64_t salt;
    apr_status_t rv;

    if (!hb_agora_is_set(op)) {
        hb_log(op, HB_LOG_WARNING, 0, HBLOGNO(00150) "no media tokens: %s is not 32 hex digits",
               is_hex_id(parts.app_id) ? "HaloBuzzAgoraCertificate" : "HaloBuzzAgoraAppId");
        return hb_fail(op, HB_E_MEDIA_UNSET, NULL);
    }
    if (!uid_is_valid(uid) || !channel_is_valid(channel) || ttl_usec < APR_USEC_PER_SEC
        || apr_time_sec(ttl_usec) > TTL_MAX_SEC) {
        hb_log(op, HB_LOG_ERR, 0, HBLOGNO(00151) "no media token for channel %s, uid %s, %"
               APR_TIME_T_FMT " s", channel, uid, apr_time_sec(ttl_usec));
        return hb_fail(op, HB_E_INTERNAL, NULL);
    }
    rv = hb_random_between(&salt, op, 1, SALT_MAX);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    parts.salt = (apr_uint32_t)salt;
    *token = hb_agora_token_text(&parts, op->pool);
    return *token != NULL ? APR_SUCCESS : hb_fail(op, HB_E_INTERNAL, NULL);
}
