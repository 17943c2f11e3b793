/* SPDX-License-Identifier: Apache-2.0 */
/* Direct messages: who may write to whom, what waits, and that it is written once. */
#include "hb_direct.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_schema.h"
#include "hb_social.h"
#include "hb_store.h"
#include "hb_test.h"
#include "hb_test_bus.h"
#include "hb_test_people.h"
#include "hb_user.h"

static hb_test_site_t *ts;
static hb_test_person_t *anna, *bim, *chi;
static hb_bus_reader_t *ear;

static hb_op_t *as(const hb_test_person_t *person)
{
    return hb_test_op_of(ts, person);
}

static void open_site(void)
{
    ts = hb_test_site_make(hb_test_pool);
    hb_test_site_open(ts);
    anna = hb_test_person(ts, "anna");
    bim = hb_test_person(ts, "bim");
    chi = hb_test_person(ts, "chi");
    ear = hb_test_listen(ts);
}

static apr_status_t send_as(hb_op_t *op, const hb_test_person_t *to, const char *text,
                            const char *client_id)
{
    hb_json_t *reply;

    return hb_direct_send(&reply, op, to->id, client_id != NULL
        ? hb_test_input("text", text, "clientId", client_id, NULL)
        : hb_test_input("text", text, NULL));
}

static apr_status_t write_to(const hb_test_person_t *from, const hb_test_person_t *to,
                             const char *text)
{
    ts->now += apr_time_from_msec(1);
    return send_as(as(from), to, text, NULL);
}

static int waits(const hb_test_person_t *person)
{
    hb_json_t *reply;

    ck_assert_int_eq(hb_direct_unread(&reply, as(person)), APR_SUCCESS);
    ck_assert_ptr_null(hb_schema_misfit_of("unread", reply, hb_test_pool));
    return (int)hb_json_int(reply, "messages", -1);
}

/* "peer:unread:last text" of each conversation, with | between. */
static const char *inbox(const hb_test_person_t *person)
{
    hb_json_t *list, *items, *item;
    const char *text = "";
    int i;

    ck_assert_int_eq(hb_direct_conversations(&list, as(person), 20, NULL), APR_SUCCESS);
    items = hb_json_get(list, "items");
    for (i = 0; i < hb_json_length(items); i++) {
        item = hb_json_item(items, i);
        ck_assert_ptr_null(hb_schema_misfit_of("conversation", item, hb_test_pool));
        text = apr_psprintf(hb_test_pool, "%s%s%s:%d:%s", text, i > 0 ? "|" : "",
                            hb_json_string(hb_json_get(item, "peer"), "username"),
                            (int)hb_json_int(item, "unread", -1),
                            hb_json_string(item, "lastText"));
    }
    return text;
}

START_TEST(what_is_written_waits)
{
    hb_json_t *news, *reply, *list;

    open_site();
    ck_assert_int_eq(write_to(anna, bim, "hi"), APR_SUCCESS);
    ck_assert_int_eq(write_to(anna, bim, "there"), APR_SUCCESS);
    ck_assert_int_eq(write_to(chi, bim, "hello"), APR_SUCCESS);
    ck_assert_str_eq(inbox(bim), "chi:1:hello|anna:2:there");
    ck_assert_str_eq(inbox(anna), "bim:0:there");
    ck_assert_int_eq(waits(bim), 3);
    ck_assert_int_eq(waits(anna), 0);
    news = hb_test_heard(ear, HB_EV_DIRECT_NEW, bim->id);
    ck_assert_int_eq(hb_json_int(news, "unread", 0), 1);
    ck_assert_str_eq(hb_json_string(hb_json_get(news, "peer"), "username"), "anna");
    news = hb_test_heard(ear, HB_EV_DIRECT_NEW, anna->id);
    ck_assert_str_eq(hb_json_string(hb_json_get(news, "peer"), "username"), "bim");
    ck_assert_int_eq(hb_direct_read(&reply, as(bim), anna->id), APR_SUCCESS);
    ck_assert_ptr_nonnull(hb_test_heard(ear, HB_EV_DIRECT_READ, bim->id));
    ck_assert_int_eq(waits(bim), 1);
    ck_assert_int_eq(hb_direct_messages(&list, as(bim), anna->id, 1, NULL), APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(hb_json_item(hb_json_get(list, "items"), 0), "text"),
                     "there");
    ck_assert_int_eq(hb_direct_messages(&list, as(anna), bim->id, 1,
                                        hb_json_string(list, "next")), APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(hb_json_item(hb_json_get(list, "items"), 0), "text"), "hi");
    ck_assert_int_eq(hb_direct_messages(&list, as(chi), anna->id, 20, NULL), APR_SUCCESS);
    ck_assert_int_eq(hb_json_length(hb_json_get(list, "items")), 0);
}
END_TEST

START_TEST(sent_twice_it_is_written_once)
{
    hb_op_t *op;

    open_site();
    ck_assert_int_eq(send_as(as(anna), bim, "hi", "c1"), APR_SUCCESS);
    op = as(anna);
    ck_assert_int_eq(send_as(op, bim, "hi", "c1"), APR_SUCCESS);
    ck_assert(op->is_replayed);
    ck_assert_int_eq(send_as(as(anna), chi, "hi", "c1"), APR_SUCCESS);
    ck_assert_int_eq(waits(bim), 1);
    ck_assert_ptr_nonnull(hb_test_heard(ear, HB_EV_DIRECT_NEW, bim->id));
    ck_assert_ptr_null(hb_test_heard(ear, HB_EV_DIRECT_NEW, bim->id));
}
END_TEST

START_TEST(who_may_not_write)
{
    const hb_edit_t young[] = { { "birthDate", HB_SET, HB_STR("2015-01-01") } };
    hb_test_person_t nobody = { .id = "65a1b2c3d4e5f60718293a4b" };
    hb_json_t *reply;

    open_site();
    ck_assert_int_eq(send_as(hb_test_site_op(ts), bim, "x", NULL), HB_E_AUTH_REQUIRED);
    ck_assert_int_eq(write_to(anna, anna, "x"), HB_E_USER_SELF);
    ck_assert_int_eq(write_to(anna, &nobody, "x"), HB_E_USER_UNKNOWN);
    ck_assert_int_eq(write_to(anna, bim, " "), HB_E_INPUT_INVALID);
    ck_assert_int_eq(hb_direct_read(&reply, as(anna), bim->id), HB_E_USER_UNKNOWN);
    ck_assert_int_eq(hb_block_set(as(anna), bim->id), APR_SUCCESS);
    ck_assert_int_eq(write_to(anna, bim, "x"), HB_E_USER_BLOCKED);
    ck_assert_int_eq(write_to(bim, anna, "x"), HB_E_USER_UNKNOWN);
    ck_assert_int_eq(hb_store_change(NULL, NULL, hb_test_site_op(ts), HB_C_USERS, chi->id, NULL,
                                     0, young, 1), APR_SUCCESS);
    ck_assert_int_eq(write_to(anna, chi, "x"), HB_E_USER_CLOSED);
    ck_assert_int_eq(write_to(chi, anna, "x"), HB_E_USER_UNDERAGE);
    ck_assert_int_eq(waits(anna), 0);
    ck_assert_ptr_null(hb_test_heard(ear, HB_EV_DIRECT_NEW, anna->id));
}
END_TEST

START_TEST(blocks_hide_the_conversation)
{
    open_site();
    ck_assert_int_eq(write_to(anna, bim, "hi"), APR_SUCCESS);
    ck_assert_int_eq(write_to(chi, bim, "ho"), APR_SUCCESS);
    ck_assert_int_eq(hb_block_set(as(bim), anna->id), APR_SUCCESS);
    ck_assert_str_eq(inbox(bim), "chi:1:ho");
    ck_assert_str_eq(inbox(anna), "");
}
END_TEST

START_TEST(an_account_that_goes_takes_its_words)
{
    hb_json_t *list;

    open_site();
    ck_assert_int_eq(write_to(anna, bim, "hi"), APR_SUCCESS);
    ck_assert_int_eq(write_to(bim, anna, "ho"), APR_SUCCESS);
    ck_assert_int_eq(hb_user_delete(as(anna), HB_TEST_PASSWORD), APR_SUCCESS);
    ck_assert_str_eq(inbox(bim), "");
    ck_assert_int_eq(hb_direct_messages(&list, as(bim), anna->id, 20, NULL), APR_SUCCESS);
    ck_assert_int_eq(hb_json_length(hb_json_get(list, "items")), 1);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        what_is_written_waits, sent_twice_it_is_written_once, who_may_not_write,
        blocks_hide_the_conversation, an_account_that_goes_takes_its_words, NULL
    };

    return hb_test_main("hb_direct", cases);
}
