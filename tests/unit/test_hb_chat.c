/* SPDX-License-Identifier: Apache-2.0 */
/* Chat of rooms over a real store: who may speak, that it is said once, what is shown to whom. */
#include "hb_chat.h"

#include <string.h>

#include <apr_strings.h>
#include <apr_thread_proc.h>

#include "hb_account.h"
#include "hb_metrics.h"
#include "hb_role.h"
#include "hb_schema.h"
#include "hb_social.h"
#include "hb_store.h"
#include "hb_stream.h"
#include "hb_test.h"
#include "hb_test_bus.h"
#include "hb_test_people.h"
#include "hb_user.h"

static hb_test_site_t *ts;
static hb_test_person_t *host, *anna, *bim;
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

static void open_site_with(const char *settings)
{
    hb_json_t *stream;

    ts = hb_test_site_make_with(settings, hb_test_pool);
    hb_test_site_open(ts);
    host = hb_test_person(ts, "thehost");
    anna = hb_test_person(ts, "anna");
    bim = hb_test_person(ts, "bim");
    ck_assert_int_eq(hb_stream_create(&stream, as(host), hb_test_input("title", "Songs", NULL)),
                     APR_SUCCESS);
    room = apr_pstrdup(hb_test_pool, hb_json_string(stream, "_id"));
    ck_assert_int_eq(hb_stream_start(&stream, as(host), room), APR_SUCCESS);
    ear = hb_test_listen(ts);
}

static void open_site(void)
{
    open_site_with("");
}

static apr_status_t say_in(hb_json_t **message, hb_op_t *op, const char *stream_id,
                           const char *text, const char *client_id)
{
    hb_json_t *reply = NULL;
    apr_status_t rv = hb_chat_say(&reply, op, stream_id, client_id != NULL
        ? hb_test_input("text", text, "clientId", client_id, NULL)
        : hb_test_input("text", text, NULL));

    ck_assert_int_eq(rv, rv == APR_SUCCESS ? APR_SUCCESS : op->problem.status);
    if (message != NULL) {
        *message = rv == APR_SUCCESS ? hb_json_get(reply, "message") : NULL;
    }
    return rv;
}

static apr_status_t say(const hb_test_person_t *person, const char *text)
{
    return say_in(NULL, as(person), room, text, NULL);
}

static void rules(const char *text)
{
    hb_json_t *state;

    ck_assert_int_eq(hb_room_edit(&state, as(host), room,
                                  hb_json_parse_own(text, strlen(text), hb_test_pool)),
                     APR_SUCCESS);
}

static void set_user(const hb_test_person_t *person, const hb_edit_t *edits, int n)
{
    ck_assert_int_eq(hb_store_change(NULL, NULL, as_system(), HB_C_USERS, person->id, NULL, 0,
                                     edits, n), APR_SUCCESS);
}

/* Texts of the history, newest first, with | between. */
static const char *history(hb_op_t *op)
{
    const char *texts = "";
    hb_json_t *list, *items;
    int i;

    ck_assert_int_eq(hb_chat_history(&list, op, room, 100, NULL), APR_SUCCESS);
    items = hb_json_get(list, "items");
    for (i = 0; i < hb_json_length(items); i++) {
        texts = apr_pstrcat(hb_test_pool, texts, i > 0 ? "|" : "",
                            hb_json_string(hb_json_item(items, i), "text"), NULL);
    }
    return texts;
}

START_TEST(what_is_said_is_kept_and_told)
{
    hb_json_t *message, *news;
    const char *only;

    open_site();
    ck_assert_int_eq(say_in(&message, as(anna), room, "namaste \xf0\x9f\x99\x8f", "c-1"),
                     APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(hb_json_get(message, "user"), "username"), "anna");
    ck_assert_str_eq(hb_json_string(message, "clientId"), "c-1");
    ck_assert_str_eq(hb_json_string(message, "badge"), "none");
    ck_assert(!hb_json_has(hb_json_get(message, "user"), "email"));
    news = hb_test_heard_by(&only, ear, HB_EV_CHAT_NEW, room);
    ck_assert(hb_json_equal(news, message));
    ck_assert_ptr_null(only);
    ts->now += apr_time_from_sec(1);
    ck_assert_int_eq(say_in(&message, as(host), room, "welcome", NULL), APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(message, "badge"), "host");
    ck_assert_str_eq(history(hb_test_site_op(ts)), "welcome|namaste \xf0\x9f\x99\x8f");
    ck_assert_int_eq(hb_metric_value(ts->site->metrics, HB_M_CHAT_MESSAGES), 2);
}
END_TEST

START_TEST(sent_twice_it_is_said_once)
{
    hb_json_t *first, *again;
    hb_op_t *op;

    open_site();
    rules("{\"slowModeSec\":60}");
    ck_assert_int_eq(say_in(&first, as(anna), room, "hello", "c-1"), APR_SUCCESS);
    ts->now += apr_time_from_sec(1);
    op = as(anna);
    ck_assert_int_eq(say_in(&again, op, room, "hello", "c-1"), APR_SUCCESS);
    ck_assert(op->is_replayed);
    ck_assert(hb_json_equal(first, again));
    ck_assert_ptr_nonnull(hb_test_heard(ear, HB_EV_CHAT_NEW, room));
    ck_assert_ptr_null(hb_test_heard(ear, HB_EV_CHAT_NEW, room));
    ck_assert_str_eq(history(as(anna)), "hello");
    /* The id is the sender's own: another's is another. */
    ck_assert_int_eq(say_in(&again, as(bim), room, "hello", "c-1"), APR_SUCCESS);
    ck_assert_str_ne(hb_json_string(first, "id"), hb_json_string(again, "id"));
}
END_TEST

/* Whoever publishes may have died between keeping and telling: the sidecar knows. */
START_TEST(said_again_the_room_may_be_told_again)
{
    hb_json_t *first;
    const char *only;
    int i;

    open_site();
    ck_assert_int_eq(say_in(&first, as(anna), room, "hello", "c-1"), APR_SUCCESS);
    ck_assert_ptr_null(hb_test_heard(ear, HB_EV_CHAT_AGAIN, room));
    ts->now += apr_time_from_sec(60);
    ck_assert_int_eq(say_in(NULL, as(anna), room, "hello", "c-1"), APR_SUCCESS);
    ck_assert(hb_json_equal(hb_test_heard_by(&only, ear, HB_EV_CHAT_AGAIN, room), first));
    ck_assert_ptr_null(only);
    /* No faster than one may speak, and not for ever. */
    for (i = 0; i < ts->site->settings->chat_per_min + 5; i++) {
        ck_assert_int_eq(say_in(NULL, as(anna), room, "hello", "c-1"), APR_SUCCESS);
    }
    for (i = 0; hb_test_heard(ear, HB_EV_CHAT_AGAIN, room) != NULL; i++) {
    }
    ck_assert_int_lt(i, ts->site->settings->chat_per_min);
    ts->now += apr_time_from_sec(1);
    ck_assert_int_eq(say_in(NULL, as(bim), room, "hi", "c-1"), APR_SUCCESS);
    ck_assert_int_eq(say_in(&first, as(bim), room, "hi", "c-1"), APR_SUCCESS);
    ck_assert_ptr_nonnull(hb_test_heard(ear, HB_EV_CHAT_AGAIN, room));
    ts->now += apr_time_from_sec(61);
    ck_assert_int_eq(say_in(NULL, as(bim), room, "hi", "c-1"), APR_SUCCESS);
    ck_assert_ptr_null(hb_test_heard(ear, HB_EV_CHAT_AGAIN, room));
    /* What was taken back stays so. */
    ck_assert_int_eq(say_in(&first, as(bim), room, "sorry", "c-2"), APR_SUCCESS);
    ck_assert_int_eq(hb_chat_delete(as(bim), room, hb_json_string(first, "id")), APR_SUCCESS);
    ck_assert_int_eq(say_in(NULL, as(bim), room, "sorry", "c-2"), APR_SUCCESS);
    ck_assert_ptr_null(hb_test_heard(ear, HB_EV_CHAT_AGAIN, room));
}
END_TEST

static void *APR_THREAD_FUNC say_at_once(apr_thread_t *thread, void *baton)
{
    say_in(NULL, baton, room, "hello", "c-1");
    (void)thread;
    return NULL;
}

START_TEST(twins_at_once_are_said_once)
{
    apr_thread_t *threads[4];
    hb_op_t *ops[4];
    apr_status_t rv;
    int i, n_replayed = 0;

    open_site();
    for (i = 0; i < 4; i++) {
        ops[i] = as(anna);
    }
    for (i = 0; i < 4; i++) {
        ck_assert_int_eq(apr_thread_create(&threads[i], NULL, say_at_once, ops[i],
                                           hb_test_pool), APR_SUCCESS);
    }
    for (i = 0; i < 4; i++) {
        apr_thread_join(&rv, threads[i]);
        ck_assert_int_eq(ops[i]->problem.status, APR_SUCCESS);
        n_replayed += ops[i]->is_replayed;
    }
    ck_assert_int_eq(n_replayed, 3);
    ck_assert_ptr_nonnull(hb_test_heard(ear, HB_EV_CHAT_NEW, room));
    ck_assert_ptr_null(hb_test_heard(ear, HB_EV_CHAT_NEW, room));
    ck_assert_str_eq(history(as(anna)), "hello");
}
END_TEST

/* --- who may not --- */

START_TEST(strangers_and_other_rooms)
{
    hb_json_t *stream;

    open_site();
    ck_assert_int_eq(say_in(NULL, hb_test_site_op(ts), room, "x", NULL), HB_E_AUTH_REQUIRED);
    ck_assert_int_eq(say_in(NULL, as(anna), "65a1b2c3d4e5f60718293a4b", "x", NULL),
                     HB_E_STREAM_UNKNOWN);
    ck_assert_int_eq(say_in(NULL, as(anna), "x", "x", NULL), HB_E_STREAM_UNKNOWN);
    ck_assert_int_eq(hb_stream_create(&stream, as(anna), hb_test_input("title", "A", NULL)),
                     APR_SUCCESS);
    ck_assert_int_eq(say_in(NULL, as(anna), hb_json_string(stream, "_id"), "x", NULL),
                     HB_E_STREAM_STATE);
    ck_assert_int_eq(hb_stream_end(&stream, as(host), room), APR_SUCCESS);
    ck_assert_int_eq(say(anna, "x"), HB_E_STREAM_ENDED);
    ck_assert_int_eq(say(host, "x"), HB_E_STREAM_ENDED);
}
END_TEST

START_TEST(blocks_work_both_ways)
{
    open_site();
    ck_assert_int_eq(hb_block_set(as(host), anna->id), APR_SUCCESS);
    ck_assert_int_eq(say(anna, "x"), HB_E_USER_BLOCKED);
    ck_assert_int_eq(hb_block_set(as(bim), host->id), APR_SUCCESS);
    ck_assert_int_eq(say(bim, "x"), HB_E_USER_BLOCKED);
}
END_TEST

START_TEST(the_young_do_not_chat)
{
    static const struct { const char *born; apr_status_t status; } rows[] = {
        { "2008-07-01", APR_SUCCESS },          /* 18 today */
        { "2008-07-02", HB_E_USER_UNDERAGE },   /* 18 tomorrow */
        { "1990-01-01", APR_SUCCESS },
        { "2020-02-29", HB_E_USER_UNDERAGE },
    };
    apr_size_t i;

    open_site();
    ck_assert_int_eq(say(anna, "x"), APR_SUCCESS);      /* nothing was declared */
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const hb_edit_t edits[] = { { "birthDate", HB_SET, HB_STR(rows[i].born) } };

        set_user(anna, edits, 1);
        ck_assert_msg(say(anna, "x") == rows[i].status, "%s", rows[i].born);
    }
}
END_TEST

START_TEST(the_age_is_a_setting)
{
    const hb_edit_t edits[] = { { "birthDate", HB_SET, HB_STR("2020-02-29") } };

    open_site_with("HaloBuzzChatAge 0\n");
    set_user(anna, edits, 1);
    ck_assert_int_eq(say(anna, "x"), APR_SUCCESS);
}
END_TEST

START_TEST(rules_of_the_room)
{
    const hb_edit_t og[] = {
        { "ogLevel", HB_SET, HB_INT(2) },
        { "ogExpiresAt", HB_SET, HB_INT(APR_INT64_C(1782898200000) + 1000) },
    };
    hb_json_t *relation;
    hb_op_t *op;

    open_site();
    rules("{\"followersOnly\":true}");
    ck_assert_int_eq(say(anna, "x"), HB_E_ROOM_FOLLOWERS);
    ck_assert_int_eq(say(host, "x"), APR_SUCCESS);
    ck_assert_int_eq(hb_follow_set(&relation, as(anna), host->id), APR_SUCCESS);
    ck_assert_int_eq(say(anna, "x"), APR_SUCCESS);
    rules("{\"followersOnly\":false,\"ogLevelMin\":2}");
    ck_assert_int_eq(say(anna, "x"), HB_E_ROOM_OG);
    set_user(anna, og, 2);
    ck_assert_int_eq(say(anna, "x"), APR_SUCCESS);
    ts->now += apr_time_from_sec(2);
    ck_assert_int_eq(say(anna, "x"), HB_E_ROOM_OG);     /* the tier is over */
    rules("{\"ogLevelMin\":0,\"linksOff\":true}");
    ck_assert_int_eq(say(anna, "look: https://x.example"), HB_E_ROOM_LINKS);
    ck_assert_int_eq(say(anna, "no link"), APR_SUCCESS);
    ck_assert_int_eq(say(host, "https://x.example"), APR_SUCCESS);
    rules("{\"linksOff\":false,\"slowModeSec\":60}");
    ck_assert_int_eq(say(anna, "one"), APR_SUCCESS);
    op = as(anna);
    ck_assert_int_eq(say_in(NULL, op, room, "two", NULL), HB_E_ROOM_SLOW);
    ck_assert_int_gt(op->problem.retry_after_sec, 0);
    ck_assert_int_eq(say(bim, "one"), APR_SUCCESS);
    ck_assert_int_eq(say(host, "a"), APR_SUCCESS);
    ck_assert_int_eq(say(host, "b"), APR_SUCCESS);
    /* Who moderates is not slowed down. */
    ck_assert_int_eq(hb_room_moderator_set(as(host), room, anna->id), APR_SUCCESS);
    ck_assert_int_eq(say(anna, "three"), APR_SUCCESS);
}
END_TEST

START_TEST(nobody_floods)
{
    hb_op_t *op;
    int i;

    open_site_with("HaloBuzzChatPerMinute 5\n");
    for (i = 0; i < 5; i++) {
        ck_assert_int_eq(say(anna, "x"), APR_SUCCESS);
    }
    op = as(anna);
    ck_assert_int_eq(say_in(NULL, op, room, "x", NULL), HB_E_LIMITED);
    ck_assert_int_gt(op->problem.retry_after_sec, 0);
    ck_assert_int_eq(say(bim, "x"), APR_SUCCESS);
}
END_TEST

/* --- texts --- */

START_TEST(what_is_no_text)
{
    static const struct { const char *text; int is_fine; } rows[] = {
        { "hello", 1 }, { "two\nlines", 1 }, { "\xe0\xa4\xa8", 1 }, { "\xf0\x9f\x8e\x81", 1 },
        { "\xf0\x9f\x91\xa8\xe2\x80\x8d\xf0\x9f\x91\xa9", 1 },
        { " ", 0 }, { "\n", 0 }, { "\xc2\xa0", 0 }, { "\xe2\x80\x8b", 0 }, { "\xe3\x80\x80", 0 },
        { "\xef\xbb\xbf", 0 }, { "a\tb", 0 }, { "a\x1b[1m", 0 }, { "\x7f", 0 }, { "a\xc2\x85", 0 },
        { "a\xe2\x80\xae" "b", 0 }, { "a\xe2\x81\xa6" "b", 0 },
    };
    apr_size_t i;

    ts = hb_test_site_make(hb_test_pool);
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_msg((hb_chat_check_text(hb_test_site_op(ts), rows[i].text) == APR_SUCCESS)
                      == rows[i].is_fine, "row %d", (int)i);
    }
}
END_TEST

START_TEST(what_is_a_link)
{
    static const struct { const char *text; int is_link; } rows[] = {
        { "http://a", 1 }, { "HTTPS://x.example/y", 1 }, { "ftp://x", 1 }, { "www.x", 1 },
        { "see www.halobuzz.live now", 1 }, { "halobuzz.com", 1 }, { "a.b.co.uk/x?y", 1 },
        { "(t.me/x)", 1 }, { "x.COM!", 1 }, { "\xe0\xa4\xa8.np", 1 }, { "end.com.", 1 },
        { "hello", 0 }, { "see you.ok", 0 }, { "3.14", 0 }, { "...", 0 }, { ".com", 0 },
        { "a.commerce", 0 }, { "wow.wow", 0 }, { "awww.x", 0 }, { "x.com2", 0 }, { ".", 0 },
        { "www.", 0 }, { "a. com", 0 }, { "", 0 },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_msg(hb_chat_has_link(rows[i].text) == rows[i].is_link, "'%s'", rows[i].text);
    }
}
END_TEST

/* --- what is shown --- */

START_TEST(deleted_messages_are_gone)
{
    hb_json_t *mine, *theirs, *pinned, *state;
    const char *id;

    open_site();
    ck_assert_int_eq(say_in(&mine, as(anna), room, "mine", NULL), APR_SUCCESS);
    ck_assert_int_eq(say_in(&theirs, as(bim), room, "theirs", NULL), APR_SUCCESS);
    id = hb_json_string(theirs, "id");
    ck_assert_int_eq(hb_room_pin(&pinned, as(host), room, id), APR_SUCCESS);
    ck_assert_int_eq(hb_chat_delete(as(anna), room, id), HB_E_FORBIDDEN);
    ck_assert_int_eq(hb_chat_delete(as(anna), room, "x"), HB_E_MESSAGE_UNKNOWN);
    ck_assert_int_eq(hb_chat_delete(as(anna), "65a1b2c3d4e5f60718293a4b", id),
                     HB_E_STREAM_UNKNOWN);
    ck_assert_int_eq(hb_chat_delete(as(anna), room, hb_json_string(mine, "id")), APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(hb_test_heard(ear, HB_EV_CHAT_DELETED, room), "id"),
                     hb_json_string(mine, "id"));
    ck_assert_str_eq(history(as(host)), "theirs");
    ck_assert_int_eq(hb_room_moderator_set(as(host), room, anna->id), APR_SUCCESS);
    ck_assert_int_eq(hb_chat_delete(as(anna), room, id), APR_SUCCESS);
    ck_assert_int_eq(hb_chat_delete(as(anna), room, id), APR_SUCCESS);
    ck_assert_ptr_nonnull(hb_test_heard(ear, HB_EV_CHAT_DELETED, room));
    ck_assert_ptr_null(hb_test_heard(ear, HB_EV_CHAT_DELETED, room));
    ck_assert_str_eq(history(as(host)), "");
    ck_assert_int_eq(hb_room_state(&state, as(bim), room), APR_SUCCESS);
    ck_assert_int_eq(hb_json_type(hb_json_get(state, "pinned")), HB_JSON_NULL);
}
END_TEST

START_TEST(a_shadow_is_seen_by_its_author_alone)
{
    const char *only, *id;
    hb_json_t *view;

    open_site();
    ck_assert_int_eq(hb_room_restrain(&view, as(host), room, anna->id,
                                      hb_test_input("action", "shadow_mute", NULL)),
                     APR_SUCCESS);
    ck_assert_ptr_null(hb_test_heard(ear, HB_EV_ROOM_MODERATED, anna->id));
    ck_assert_int_eq(say(anna, "buy my coins"), APR_SUCCESS);
    view = hb_test_heard_by(&only, ear, HB_EV_CHAT_NEW, room);
    id = hb_json_string(view, "id");
    ck_assert_ptr_nonnull(id);
    ck_assert_str_eq(only, anna->id);
    ck_assert_str_eq(history(as(anna)), "buy my coins");
    ck_assert_str_eq(history(as(host)), "buy my coins");
    ck_assert_str_eq(history(as(bim)), "");
    ck_assert_str_eq(history(hb_test_site_op(ts)), "");
    /* That it is gone is no news to who never saw it. */
    ck_assert_int_eq(hb_chat_delete(as(host), room, id), APR_SUCCESS);
    ck_assert_ptr_nonnull(hb_test_heard_by(&only, ear, HB_EV_CHAT_DELETED, room));
    ck_assert_str_eq(only, anna->id);
    ck_assert_int_eq(hb_room_lift(as(host), room, anna->id), APR_SUCCESS);
    ck_assert_ptr_null(hb_test_heard(ear, HB_EV_ROOM_MODERATED, anna->id));
    ck_assert_int_eq(say(anna, "sorry"), APR_SUCCESS);
    ck_assert_str_eq(history(as(bim)), "sorry");
}
END_TEST

START_TEST(history_leaves_out_who_is_blocked_or_gone)
{
    open_site();
    ck_assert_int_eq(say(anna, "a"), APR_SUCCESS);
    ck_assert_int_eq(say(bim, "b"), APR_SUCCESS);
    ck_assert_int_eq(hb_block_set(as(anna), bim->id), APR_SUCCESS);
    ck_assert_str_eq(history(as(anna)), "a");
    ck_assert_str_eq(history(as(bim)), "b");
    ck_assert_int_eq(hb_user_disable(as_system(), bim->id, 1), APR_SUCCESS);
    ck_assert_str_eq(history(as(host)), "a");
}
END_TEST

START_TEST(pages_follow_each_other)
{
    const char *after = NULL, *seen = "";
    hb_json_t *list, *items;
    int i, pages = 0;

    open_site();
    for (i = 0; i < 7; i++) {
        ck_assert_int_eq(say(anna, apr_psprintf(hb_test_pool, "%d", i)), APR_SUCCESS);
        ts->now += apr_time_from_msec(i % 2);   /* some in the same millisecond */
    }
    do {
        ck_assert_int_eq(hb_chat_history(&list, as(bim), room, 3, after), APR_SUCCESS);
        items = hb_json_get(list, "items");
        for (i = 0; i < hb_json_length(items); i++) {
            seen = apr_pstrcat(hb_test_pool, seen,
                               hb_json_string(hb_json_item(items, i), "text"), NULL);
        }
        after = hb_json_string(list, "next");
        pages++;
    } while (after != NULL);
    ck_assert_int_eq((int)strlen(seen), 7);
    ck_assert_int_eq(pages, 3);
    ck_assert_int_eq(seen[0], '6');
    ck_assert_int_eq(seen[6], '0');
}
END_TEST

START_TEST(an_account_that_goes_takes_its_words)
{
    const hb_cond_t where[] = { { "userId", HB_IS, HB_STR(NULL) } };
    hb_query_t query = { .in = HB_C_MESSAGES, .where = where, .n_where = 1,
                         .sort = { { "createdAt", 1 } } };
    hb_cond_t of_anna[1];
    apr_int64_t n;
    int i;

    open_site_with("HaloBuzzChatPerMinute 1000\n");
    for (i = 0; i < 205; i++) {
        ck_assert_int_eq(say(anna, "x"), APR_SUCCESS);
    }
    ck_assert_int_eq(say(bim, "y"), APR_SUCCESS);
    of_anna[0] = where[0];
    of_anna[0].value.string = anna->id;
    query.where = of_anna;
    ck_assert_int_eq(hb_user_delete(as(anna), HB_TEST_PASSWORD), APR_SUCCESS);
    ck_assert_int_eq(hb_store_count(&n, as_system(), &query), APR_SUCCESS);
    ck_assert_int_eq(n, 0);
    ck_assert_str_eq(history(as(host)), "y");
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        what_is_said_is_kept_and_told, sent_twice_it_is_said_once,
        said_again_the_room_may_be_told_again, twins_at_once_are_said_once,
        strangers_and_other_rooms, blocks_work_both_ways, the_young_do_not_chat,
        the_age_is_a_setting, rules_of_the_room, nobody_floods, what_is_no_text,
        what_is_a_link, deleted_messages_are_gone, a_shadow_is_seen_by_its_author_alone,
        history_leaves_out_who_is_blocked_or_gone, pages_follow_each_other,
        an_account_that_goes_takes_its_words, NULL
    };

    return hb_test_main("hb_chat", cases);
}
