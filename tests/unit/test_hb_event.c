/* SPDX-License-Identifier: Apache-2.0 */
/* What the core tells on the bus: the table, and an event for each thing that happens. */
#include <string.h>

#include <apr_strings.h>

#include "hb_account.h"
#include "hb_gift.h"
#include "hb_ledger.h"
#include "hb_og.h"
#include "hb_role.h"
#include "hb_schema.h"
#include "hb_session.h"
#include "hb_store.h"
#include "hb_stream.h"
#include "hb_test.h"
#include "hb_test_bus.h"
#include "hb_test_coins.h"
#include "hb_test_people.h"
#include "hb_user.h"
#include "hb_viewer.h"

static hb_test_site_t *ts;
static hb_test_person_t *host, *anna;
static const char *room;
static hb_bus_reader_t *ear;

static hb_op_t *as(const hb_test_person_t *person)
{
    return hb_test_op_of(ts, person);
}

static hb_op_t *as_system(void)
{
    hb_op_t *op = hb_test_site_op(ts);

    op->actor.is_system = 1;
    return op;
}

static void open_site(void)
{
    hb_json_t *stream;

    ts = hb_test_site_make(hb_test_pool);
    hb_test_site_open(ts);
    host = hb_test_person(ts, "thehost");
    anna = hb_test_person(ts, "anna");
    ck_assert_int_eq(hb_stream_create(&stream, as(host), hb_test_input("title", "Songs", NULL)),
                     APR_SUCCESS);
    room = apr_pstrdup(hb_test_pool, hb_json_string(stream, "_id"));
    ear = hb_test_listen(ts);
}

static void go_live(void)
{
    hb_json_t *stream;

    ck_assert_int_eq(hb_stream_start(&stream, as(host), room), APR_SUCCESS);
}

START_TEST(every_row_names_a_shape_that_is_there)
{
    const hb_event_row_t *row;
    const hb_call_row_t *call;
    int i;

    for (i = 0; i < HB_EV_COUNT; i++) {
        row = hb_event_row((hb_event_e)i);
        ck_assert_msg((row->lane == HB_LANE_INTERNAL) == (*row->shape == '\0'),
                      "%s: clients are told what comes, and only they", row->symbol);
        ck_assert_msg(*row->shape == '\0' || hb_schema_openapi(row->shape, hb_test_pool) != NULL,
                      "%s: there is no shape %s", row->symbol, row->shape);
        ck_assert_ptr_nonnull(hb_lane_name(row->lane));
        ck_assert_ptr_nonnull(hb_target_name(row->target));
    }
    for (i = 0; i < HB_CALL_COUNT; i++) {
        call = hb_call_row((hb_call_e)i);
        ck_assert_msg(hb_shape_by_name(call->form) != NULL, "%s: no form %s", call->name,
                      call->form);
        ck_assert_msg(*call->reply == '\0' || hb_shape_by_name(call->reply) != NULL,
                      "%s: no reply %s", call->name, call->reply);
    }
}
END_TEST

START_TEST(a_stream_tells_its_room)
{
    hb_json_t *stream, *news;

    open_site();
    ck_assert_int_eq(hb_stream_edit(&stream, as(host), room, hb_test_input("title", "A", NULL)),
                     APR_SUCCESS);
    ck_assert_ptr_null(hb_test_heard(ear, HB_EV_STREAM_UPDATED, room));
    go_live();
    news = hb_test_heard(ear, HB_EV_STREAM_STARTED, room);
    ck_assert_str_eq(hb_json_string(news, "status"), "live");
    ck_assert(!hb_json_has(news, "channel"));
    ck_assert_int_eq(hb_stream_edit(&stream, as(host), room, hb_test_input("title", "B", NULL)),
                     APR_SUCCESS);
    news = hb_test_heard(ear, HB_EV_STREAM_UPDATED, room);
    ck_assert_str_eq(hb_json_string(news, "title"), "B");
    ck_assert_int_eq(hb_viewer_join(&stream, as(anna), room), APR_SUCCESS);
    news = hb_test_heard(ear, HB_EV_METRICS_UPDATE, room);
    ck_assert_int_eq(hb_json_int(news, "viewers", -1), 1);
    ck_assert_int_eq(hb_viewer_join(&stream, as(anna), room), APR_SUCCESS);
    ck_assert_ptr_null(hb_test_heard(ear, HB_EV_METRICS_UPDATE, room));
    ck_assert_int_eq(hb_viewer_leave(as(anna), room), APR_SUCCESS);
    news = hb_test_heard(ear, HB_EV_METRICS_UPDATE, room);
    ck_assert_int_eq(hb_json_int(news, "viewers", -1), 0);
    ck_assert_int_eq(hb_stream_end(&stream, as(host), room), APR_SUCCESS);
    ck_assert_ptr_nonnull(hb_test_heard(ear, HB_EV_STREAM_ENDED, room));
    ck_assert_int_ne(hb_stream_end(&stream, as(host), room), APR_SUCCESS);
    ck_assert_ptr_null(hb_test_heard(ear, HB_EV_STREAM_ENDED, room));
}
END_TEST

START_TEST(a_host_who_goes_ends_the_room)
{
    open_site();
    go_live();
    ck_assert_int_eq(hb_user_disable(as_system(), host->id, 1), APR_SUCCESS);
    ck_assert_ptr_nonnull(hb_test_heard(ear, HB_EV_STREAM_ENDED, room));
    ck_assert_ptr_nonnull(hb_test_heard(ear, HB_EV_USER_CHANGED, host->id));
}
END_TEST

START_TEST(a_gift_is_told_once)
{
    const char *seeds = "[{\"code\":\"rose\",\"name\":\"Rose\",\"priceCoins\":10}]";
    const hb_query_t query = { .in = HB_C_GIFT_CATALOG };
    hb_json_t *gift, *reply, *news, *input;
    hb_op_t *op;
    int i, n;

    open_site();
    go_live();
    hb_test_fund(ts, anna->id, 10000, 0);
    ck_assert_int_eq(hb_gift_seed(&n, as_system(),
                                  hb_json_parse_own(seeds, strlen(seeds), hb_test_pool)),
                     APR_SUCCESS);
    ck_assert_int_eq(hb_store_find_one(&gift, as_system(), &query), APR_SUCCESS);
    input = hb_test_input("giftId", hb_json_string(gift, "_id"), NULL);
    hb_json_set_int(input, "quantity", 3);
    for (i = 0; i < 2; i++) {
        op = as(anna);
        op->idem_key = "once";
        ck_assert_int_eq(hb_gift_send(&reply, op, room, input), APR_SUCCESS);
    }
    news = hb_test_heard(ear, HB_EV_GIFT_SENT, room);
    ck_assert_int_eq(hb_json_int(hb_json_get(news, "gift"), "quantity", 0), 3);
    ck_assert_str_eq(hb_json_string(hb_json_get(news, "sender"), "username"), "anna");
    ck_assert_int_eq(hb_json_int(news, "totalCoins", 0), 30);
    ck_assert_ptr_null(hb_test_heard(ear, HB_EV_GIFT_SENT, room));
    hb_json_set_int(input, "quantity", 9999);
    ck_assert_int_eq(hb_gift_send(&reply, as(anna), room, input), HB_E_WALLET_SHORT);
    ck_assert_ptr_null(hb_test_heard(ear, HB_EV_GIFT_SENT, room));
}
END_TEST

START_TEST(a_tier_is_told_to_who_bought_it)
{
    const char *seeds = "[{\"tier\":2,\"name\":\"Two\",\"priceCoins\":300,\"durationDays\":30}]";
    hb_json_t *reply, *news, *input = hb_json_object_make(hb_test_pool);
    int n;

    open_site();
    hb_test_fund(ts, anna->id, 10000, 0);
    ck_assert_int_eq(hb_og_seed(&n, as_system(),
                                hb_json_parse_own(seeds, strlen(seeds), hb_test_pool)),
                     APR_SUCCESS);
    hb_json_set_int(input, "tier", 2);
    ck_assert_int_eq(hb_og_subscribe(&reply, as(host), input), HB_E_WALLET_SHORT);
    ck_assert_ptr_null(hb_test_heard(ear, HB_EV_OG_CHANGED, host->id));
    ck_assert_int_eq(hb_og_subscribe(&reply, as(anna), input), APR_SUCCESS);
    news = hb_test_heard(ear, HB_EV_OG_CHANGED, anna->id);
    ck_assert_int_eq(hb_json_int(news, "ogLevel", 0), 2);
    ck_assert_str_eq(hb_json_string(news, "ogExpiresAt"), hb_json_string(reply, "ogExpiresAt"));
}
END_TEST

START_TEST(revocations_are_told)
{
    const char *session;
    apr_int64_t n;

    open_site();
    session = anna->session_id;
    ck_assert_int_eq(hb_session_end(as(anna), session, "logout"), APR_SUCCESS);
    ck_assert_ptr_nonnull(hb_test_heard(ear, HB_EV_SESSION_ENDED, session));
    ck_assert_int_eq(hb_test_login(anna, ts, HB_TEST_PASSWORD, NULL), APR_SUCCESS);
    ck_assert_int_eq(hb_session_end_all(&n, as(anna), anna->id, NULL, "logout_all"),
                     APR_SUCCESS);
    ck_assert_ptr_nonnull(hb_test_heard(ear, HB_EV_USER_CHANGED, anna->id));
    ck_assert_int_eq(hb_user_roles_set(as_system(), anna->id, HB_ROLE_MODERATOR), APR_SUCCESS);
    ck_assert_ptr_nonnull(hb_test_heard(ear, HB_EV_USER_CHANGED, anna->id));
    ck_assert_int_eq(hb_user_roles_set(as_system(), anna->id, 0), APR_SUCCESS);
    ck_assert_ptr_nonnull(hb_test_heard(ear, HB_EV_USER_CHANGED, anna->id));
    ck_assert_int_eq(hb_user_disable(as_system(), anna->id, 1), APR_SUCCESS);
    ck_assert_ptr_nonnull(hb_test_heard(ear, HB_EV_USER_CHANGED, anna->id));
}
END_TEST

/* What is told inside is nobody's business when it fails; and a bus that cannot be written
 * fails nothing. */
START_TEST(work_goes_on_without_the_bus)
{
    hb_json_t *stream;

    ts = hb_test_site_make_with("HaloBuzzBus local:missing/dir/bus.log\n", hb_test_pool);
    hb_test_site_open(ts);
    host = hb_test_person(ts, "thehost");
    ck_assert_int_eq(hb_stream_create(&stream, as(host), hb_test_input("title", "Songs", NULL)),
                     APR_SUCCESS);
    room = apr_pstrdup(hb_test_pool, hb_json_string(stream, "_id"));
    go_live();
    ck_assert(hb_test_site_logged(ts, "HaloBuzzBus cannot be written"));
    hb_test_site_forget_log(ts);
    ck_assert_int_eq(hb_stream_end(&stream, as(host), room), APR_SUCCESS);
    ck_assert(!hb_test_site_logged(ts, "HaloBuzzBus cannot be written"));
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        every_row_names_a_shape_that_is_there, a_stream_tells_its_room,
        a_host_who_goes_ends_the_room, a_gift_is_told_once, a_tier_is_told_to_who_bought_it,
        revocations_are_told, work_goes_on_without_the_bus, NULL
    };

    return hb_test_main("hb_event", cases);
}
