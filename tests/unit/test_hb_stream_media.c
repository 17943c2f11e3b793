/* SPDX-License-Identifier: Apache-2.0 */
/* Who gets which media token, and the number everybody keeps. */
#include "hb_stream.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "hb_room.h"
#include "hb_store.h"
#include "hb_test.h"
#include "hb_test_site.h"

#define HOST "aaaaaaaaaaaaaaaaaaaaaaaa"
#define ANNA "bbbbbbbbbbbbbbbbbbbbbbb1"

static hb_test_site_t *ts;

static hb_op_t *as(const char *user_id)
{
    return hb_test_site_op_by(ts, user_id);
}

static void add_user(const char *id)
{
    hb_op_t *op = hb_test_site_op(ts);
    hb_json_t *user = hb_json_object_make(op->pool);

    hb_json_set_string(user, "_id", id);
    hb_json_set_string(user, "username", id);
    hb_json_set_int(user, "createdAt", 1);
    ck_assert_int_eq(hb_store_insert(NULL, op, HB_C_USERS, user), APR_SUCCESS);
}

static const char *open_site(int has_media)
{
    hb_json_t *input, *stream;

    setenv("HB_TEST_CERTIFICATE", "5CFd2fd1755d40ecb72977518be15d3b", 1);
    ts = has_media ? hb_test_site_make_with("HaloBuzzAgoraAppId 970CA35de60c44645bbae8a215061b33\n"
                                            "HaloBuzzAgoraCertificate env:HB_TEST_CERTIFICATE\n",
                                            hb_test_pool)
                   : hb_test_site_make(hb_test_pool);
    hb_test_site_open(ts);
    add_user(HOST);
    add_user(ANNA);
    input = hb_json_object_make(hb_test_pool);
    hb_json_set_string(input, "title", "Media");
    ck_assert_int_eq(hb_stream_create(&stream, as(HOST), input), APR_SUCCESS);
    return apr_pstrdup(hb_test_pool, hb_json_string(stream, "_id"));
}

START_TEST(tokens_go_by_role)
{
    hb_json_t *stream, *host, *viewer, *media, *kick;
    const char *id = open_site(1);

    ck_assert_int_eq(hb_stream_token(&media, as(HOST), id, NULL), HB_E_STREAM_STATE);
    ck_assert_int_eq(hb_stream_start(&stream, as(HOST), id), APR_SUCCESS);
    ck_assert_int_eq(hb_stream_token(&host, as(HOST), id, NULL), APR_SUCCESS);
    ck_assert_int_eq(hb_stream_token(&viewer, as(ANNA), id, NULL), APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(host, "role"), "host");
    ck_assert_str_eq(hb_json_string(viewer, "role"), "viewer");
    ck_assert_str_eq(hb_json_string(host, "channel"), id);
    ck_assert(strncmp(hb_json_string(host, "token"), "007", 3) == 0);
    ck_assert_str_ne(hb_json_string(host, "token"), hb_json_string(viewer, "token"));
    ck_assert_int_eq(hb_stream_token(&media, as(ANNA), id, "host"), HB_E_FORBIDDEN);
    ck_assert_int_eq(hb_stream_token(&media, as(HOST), id, "viewer"), APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(media, "role"), "viewer");
    kick = hb_json_object_make(hb_test_pool);
    hb_json_set_string(kick, "action", "kick");
    ck_assert_int_eq(hb_room_restrain(&media, as(HOST), id, ANNA, kick), APR_SUCCESS);
    ck_assert_int_eq(hb_stream_token(&media, as(ANNA), id, NULL), HB_E_ROOM_KICKED);
    ck_assert_int_eq(hb_stream_end(&stream, as(HOST), id), APR_SUCCESS);
    ck_assert_int_eq(hb_stream_token(&media, as(HOST), id, NULL), HB_E_STREAM_ENDED);
}
END_TEST

START_TEST(everybody_keeps_a_number_of_their_own)
{
    hb_json_t *stream, *first, *again, *other;
    const char *id = open_site(1);

    ck_assert_int_eq(hb_stream_start(&stream, as(HOST), id), APR_SUCCESS);
    ck_assert_int_eq(hb_stream_token(&first, as(ANNA), id, NULL), APR_SUCCESS);
    ck_assert_int_eq(hb_stream_token(&again, as(ANNA), id, NULL), APR_SUCCESS);
    ck_assert_int_eq(hb_stream_token(&other, as(HOST), id, NULL), APR_SUCCESS);
    ck_assert(hb_json_int(first, "uid", 0) >= 1);
    ck_assert(hb_json_int(first, "uid", 0) <= APR_INT64_C(4294967295));
    ck_assert(hb_json_int(first, "uid", 0) == hb_json_int(again, "uid", 0));
    ck_assert(hb_json_int(first, "uid", 0) != hb_json_int(other, "uid", 0));
}
END_TEST

START_TEST(without_a_service_there_is_no_token)
{
    hb_json_t *stream, *media;
    const char *id = open_site(0);

    ck_assert_int_eq(hb_stream_start(&stream, as(HOST), id), APR_SUCCESS);
    ck_assert_int_eq(hb_stream_token(&media, as(HOST), id, NULL), HB_E_MEDIA_UNSET);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        tokens_go_by_role, everybody_keeps_a_number_of_their_own,
        without_a_service_there_is_no_token, NULL
    };

    return hb_test_main("hb_stream_media", cases);
}
