/* SPDX-License-Identifier: Apache-2.0 */
#include "hb_agora.h"

#include <stdlib.h>
#include <string.h>

#include <apr_base64.h>
#include <apr_strings.h>

#include <zlib.h>

#include "hb_crypto.h"
#include "hb_json.h"
#include "hb_test.h"
#include "hb_test_data.h"
#include "hb_test_op.h"

#define APP_ID "970CA35de60c44645bbae8a215061b33"
#define CERTIFICATE "5CFd2fd1755d40ecb72977518be15d3b"

/* What is inside a token, as hex; how it was compressed does not count. */
static const char *inflated(const char *token)
{
    unsigned char packed[4096], *plain = apr_palloc(hb_test_pool, 8192);
    uLongf len = 8192;
    int packed_len;

    ck_assert_int_eq(strncmp(token, "007", 3), 0);
    ck_assert_uint_lt(strlen(token), sizeof(packed));
    packed_len = apr_base64_decode_binary(packed, token + 3);
    ck_assert_int_eq(uncompress(plain, &len, packed, packed_len), Z_OK);
    return hb_hex(hb_test_pool, plain, len);
}

static int grant_of(void *baton, const char *key, hb_json_t *value)
{
    hb_agora_service_t *service = baton;
    hb_agora_grant_t *grant = (hb_agora_grant_t *)&service->grants[service->n_grants++];

    grant->privilege = (unsigned int)atoi(key);
    grant->seconds = (apr_uint32_t)hb_json_int_value(value, -1);
    return 0;
}

START_TEST(tokens_are_those_of_agoras_library)
{
    hb_json_t *tokens = hb_json_at(hb_test_vectors(), "agora_token_007.tokens");
    int i, j;

    ck_assert_int_eq(hb_json_length(tokens), 7);
    for (i = 0; i < hb_json_length(tokens); i++) {
        hb_json_t *row = hb_json_item(tokens, i), *services = hb_json_get(row, "services");
        hb_agora_service_t list[4];
        hb_agora_token_t token = {
            hb_json_string(row, "app_id"), hb_json_string(row, "app_certificate"),
            (apr_uint32_t)hb_json_int(row, "issue_ts", 0),
            (apr_uint32_t)hb_json_int(row, "expire", 0),
            (apr_uint32_t)hb_json_int(row, "salt", 0), list, hb_json_length(services)
        };

        memset(list, 0, sizeof(list));
        for (j = 0; j < token.n_services; j++) {
            hb_json_t *service = hb_json_item(services, j);
            /* Given in the wrong order: it is not ours to rely on. */
            hb_agora_service_t *to = &list[token.n_services - 1 - j];

            to->type = (unsigned int)hb_json_int(service, "type", 0);
            to->grants = apr_pcalloc(hb_test_pool, 8 * sizeof(hb_agora_grant_t));
            hb_json_each(hb_json_get(service, "privileges"), grant_of, to);
            to->names[0] = hb_json_string(service, to->type == 1 ? "channel" : "user_id");
            to->names[1] = hb_json_string(service, "uid");
        }
        ck_assert_msg(strcmp(inflated(hb_agora_token_text(&token, hb_test_pool)),
                             hb_json_string(row, "inflated_hex")) == 0,
                      "%s", hb_json_string(row, "name"));
        /* Their own text holds the same bytes. */
        ck_assert_str_eq(inflated(hb_json_string(row, "token")),
                         hb_json_string(row, "inflated_hex"));
    }
}
END_TEST

static hb_test_desk_t *media_desk(void)
{
    hb_test_desk_t *desk = hb_test_desk_make(hb_test_pool);

    desk->settings.agora_app_id = APP_ID;
    desk->site.agora_certificate = CERTIFICATE;
    return desk;
}

START_TEST(publishers_may_more_than_viewers)
{
    hb_op_t *op = hb_test_op_make(media_desk(), hb_test_pool);
    const char *host, *viewer;
    /* service 1, privileges with their seconds, channel "room_42", uid "1001" */
    static const char *const tail = "0700726f6f6d5f3432040031303031";

    ck_assert_int_eq(hb_agora_rtc_token(&host, op, "room_42", "1001", 1,
                                        apr_time_from_sec(3600)), APR_SUCCESS);
    ck_assert_int_eq(hb_agora_rtc_token(&viewer, op, "room_42", "1001", 0,
                                        apr_time_from_sec(3600)), APR_SUCCESS);
    ck_assert_ptr_nonnull(strstr(inflated(host), apr_pstrcat(hb_test_pool,
        "01000400" "0100100e0000" "0200100e0000" "0300100e0000" "0400100e0000", tail, NULL)));
    ck_assert_ptr_nonnull(strstr(inflated(viewer), apr_pstrcat(hb_test_pool,
        "01000100" "0100100e0000", tail, NULL)));
    /* issued now, for an hour */
    ck_assert_ptr_nonnull(strstr(inflated(host), "00f15365" "100e0000"));
    ck_assert_str_ne(host, viewer);
}
END_TEST

START_TEST(no_token_lets_anybody_in)
{
    static const struct { const char *channel, *uid; apr_interval_time_t ttl; } bad[] = {
        { "room", "0", APR_USEC_PER_SEC }, { "room", "", APR_USEC_PER_SEC },
        { "room", "01", APR_USEC_PER_SEC }, { "room", "4294967296", APR_USEC_PER_SEC },
        { "room", "-1", APR_USEC_PER_SEC }, { "room", "1x", APR_USEC_PER_SEC },
        { "", "1", APR_USEC_PER_SEC }, { "r\xc3\xb6" "m", "1", APR_USEC_PER_SEC },
        { "0123456789012345678901234567890123456789012345678901234567890123", "1",
          APR_USEC_PER_SEC },
        { "room", "1", 0 }, { "room", "1", apr_time_from_sec(86401) },
    };
    hb_test_desk_t *desk = media_desk();
    const char *token = NULL;
    apr_size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        hb_op_t *op = hb_test_op_make(desk, hb_test_pool);

        ck_assert_msg(hb_agora_rtc_token(&token, op, bad[i].channel, bad[i].uid, 0, bad[i].ttl)
                      == HB_E_INTERNAL, "%s %s", bad[i].channel, bad[i].uid);
        ck_assert_ptr_null(token);
    }
    ck_assert_int_eq(hb_agora_rtc_token(&token, hb_test_op_make(desk, hb_test_pool), "room",
                                        "4294967295", 0, apr_time_from_sec(86400)), APR_SUCCESS);
}
END_TEST

START_TEST(without_keys_media_is_unset)
{
    static const struct { const char *app_id, *certificate; } pairs[] = {
        { "", CERTIFICATE }, { APP_ID, NULL }, { APP_ID, "" }, { "not hex", CERTIFICATE },
        { APP_ID "0", CERTIFICATE }, { APP_ID, "5CFd2fd1755d40ecb72977518be15d3" },
        { APP_ID, "5CFd2fd1755d40ecb72977518be15d3g" },
    };
    hb_test_desk_t *desk = media_desk();
    const char *token;
    apr_size_t i;

    ck_assert(hb_agora_is_set(hb_test_op_make(desk, hb_test_pool)));
    for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        hb_op_t *op = hb_test_op_make(desk, hb_test_pool);

        desk->settings.agora_app_id = pairs[i].app_id;
        desk->site.agora_certificate = pairs[i].certificate;
        ck_assert(!hb_agora_is_set(op));
        ck_assert_int_eq(hb_agora_rtc_token(&token, op, "room", "1", 0, APR_USEC_PER_SEC),
                         HB_E_MEDIA_UNSET);
        ck_assert_int_eq(op->problem.status, HB_E_MEDIA_UNSET);
    }
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        tokens_are_those_of_agoras_library, publishers_may_more_than_viewers,
        no_token_lets_anybody_in, without_keys_media_is_unset, NULL
    };
    return hb_test_main("hb_agora", cases);
}
