/* SPDX-License-Identifier: Apache-2.0 */
/* Running a room: who may do what to whom, how long it lasts, and who is told. */
#include "hb_room.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_chat.h"
#include "hb_notice.h"
#include "hb_role.h"
#include "hb_schema.h"
#include "hb_social.h"
#include "hb_store.h"
#include "hb_stream.h"
#include "hb_test.h"
#include "hb_test_bus.h"
#include "hb_test_people.h"
#include "hb_user.h"
#include "hb_viewer.h"

static hb_test_site_t *ts;
static hb_test_person_t *host, *mod, *anna, *staff;
static const char *room;
static hb_bus_reader_t *ear;

static hb_op_t *as(const hb_test_person_t *person)
{
    return hb_test_op_of(ts, person);
}

static void open_site(void)
{
    hb_json_t *stream;
    hb_op_t *op;

    ts = hb_test_site_make_with("HaloBuzzAuthStaffTOTP off\n", hb_test_pool);
    hb_test_site_open(ts);
    host = hb_test_person(ts, "thehost");
    mod = hb_test_person(ts, "themod");
    anna = hb_test_person(ts, "anna");
    staff = hb_test_person(ts, "thestaff");
    op = hb_test_site_op(ts);
    op->actor.is_system = 1;
    ck_assert_int_eq(hb_user_roles_set(op, staff->id, HB_ROLE_MODERATOR), APR_SUCCESS);
    ck_assert_int_eq(hb_stream_create(&stream, as(host), hb_test_input("title", "Songs", NULL)),
                     APR_SUCCESS);
    room = apr_pstrdup(hb_test_pool, hb_json_string(stream, "_id"));
    ck_assert_int_eq(hb_stream_start(&stream, as(host), room), APR_SUCCESS);
    ck_assert_int_eq(hb_room_moderator_set(as(host), room, mod->id), APR_SUCCESS);
    ear = hb_test_listen(ts);
}

static apr_status_t restrain(const hb_test_person_t *by, const hb_test_person_t *whom,
                             const char *action, int seconds)
{
    hb_json_t *input = hb_test_input("action", action, NULL);
    hb_json_t *view;

    if (seconds > 0) {
        hb_json_set_int(input, "seconds", seconds);
    }
    return hb_room_restrain(&view, as(by), room, whom->id, input);
}

static apr_status_t say(const hb_test_person_t *person)
{
    hb_json_t *reply;

    return hb_chat_say(&reply, as(person), room, hb_test_input("text", "x", NULL));
}

static const char *badge(const hb_test_person_t *person)
{
    hb_json_t *state;

    ck_assert_int_eq(hb_room_state(&state, person != NULL ? as(person) : hb_test_site_op(ts),
                                   room), APR_SUCCESS);
    ck_assert_ptr_null(hb_schema_misfit_of("roomState", state, hb_test_pool));
    return hb_json_string(state, "badge");
}

START_TEST(everybody_has_a_badge)
{
    open_site();
    ck_assert_str_eq(badge(host), "host");
    ck_assert_str_eq(badge(mod), "moderator");
    ck_assert_str_eq(badge(staff), "staff");
    ck_assert_str_eq(badge(anna), "none");
    ck_assert_str_eq(badge(NULL), "none");
}
END_TEST

/* Who does it to whom, and what comes of it. */
START_TEST(who_may_restrain_whom)
{
    const struct { hb_test_person_t **by, **whom; apr_status_t status; } rows[] = {
        { &anna, &mod, HB_E_FORBIDDEN }, { &anna, &host, HB_E_FORBIDDEN },
        { &anna, &anna, HB_E_FORBIDDEN },
        { &mod, &anna, APR_SUCCESS }, { &mod, &host, HB_E_FORBIDDEN },
        { &mod, &staff, HB_E_FORBIDDEN }, { &mod, &mod, HB_E_USER_SELF },
        { &host, &anna, APR_SUCCESS }, { &host, &mod, APR_SUCCESS },
        { &host, &staff, HB_E_FORBIDDEN }, { &host, &host, HB_E_USER_SELF },
        { &staff, &anna, APR_SUCCESS }, { &staff, &mod, APR_SUCCESS },
        { &staff, &host, HB_E_FORBIDDEN },
    };
    hb_test_person_t *mod2;
    apr_size_t i;

    open_site();
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_msg(restrain(*rows[i].by, *rows[i].whom, "timeout", 10) == rows[i].status,
                      "row %d", (int)i);
    }
    mod2 = hb_test_person(ts, "themod2");
    ck_assert_int_eq(hb_room_moderator_set(as(host), room, mod2->id), APR_SUCCESS);
    ck_assert_int_eq(restrain(mod, mod2, "mute", 0), HB_E_FORBIDDEN);
}
END_TEST

/* The restrained read of it later, too: the text of the newest notice, "" without one. */
static const char *told(const hb_test_person_t *person)
{
    hb_json_t *list, *items;

    ck_assert_int_eq(hb_notice_list(&list, as(person), 20, NULL), APR_SUCCESS);
    items = hb_json_get(list, "items");
    return hb_json_length(items) > 0 ? hb_json_string(hb_json_item(items, 0), "text") : "";
}

START_TEST(the_restrained_are_told_but_of_shadows)
{
    open_site();
    ck_assert_int_eq(restrain(mod, anna, "shadow_mute", 0), APR_SUCCESS);
    ck_assert_str_eq(told(anna), "");
    ck_assert_int_eq(restrain(mod, anna, "mute", 0), APR_SUCCESS);
    ck_assert_str_eq(told(anna), "You may not write in the room of thehost.");
    ts->now += apr_time_from_sec(1);
    ck_assert_int_eq(restrain(mod, anna, "kick", 60), APR_SUCCESS);
    ck_assert_str_eq(told(anna), "You may not enter the room of thehost until 2026-07-01 19:31 "
                     "(Australia/Sydney).");
    ck_assert_str_eq(told(mod), "");
}
END_TEST

START_TEST(a_timeout_ends)
{
    hb_json_t *news;
    hb_op_t *op;
    hb_json_t *reply;

    open_site();
    ck_assert_int_eq(restrain(mod, anna, "timeout", 60), APR_SUCCESS);
    news = hb_test_heard(ear, HB_EV_ROOM_MODERATED, anna->id);
    ck_assert_str_eq(hb_json_string(news, "action"), "timeout");
    ck_assert_ptr_nonnull(hb_json_string(news, "until"));
    op = as(anna);
    ck_assert_int_eq(hb_chat_say(&reply, op, room, hb_test_input("text", "x", NULL)),
                     HB_E_ROOM_MUTED);
    ck_assert_int_eq(op->problem.retry_after_sec, 61);
    ts->now += apr_time_from_sec(60);
    ck_assert_int_eq(say(anna), APR_SUCCESS);
}
END_TEST

START_TEST(a_mute_does_not_until_it_is_lifted)
{
    hb_json_t *news, *list;

    open_site();
    ck_assert_int_eq(restrain(host, anna, "mute", 0), APR_SUCCESS);
    news = hb_test_heard(ear, HB_EV_ROOM_MODERATED, anna->id);
    ck_assert_int_eq(hb_json_type(hb_json_get(news, "until")), HB_JSON_NULL);
    ts->now += apr_time_from_sec(86400) * 400;
    ck_assert_int_eq(hb_test_login(anna, ts, HB_TEST_PASSWORD, NULL), APR_SUCCESS);
    ck_assert_int_eq(hb_test_login(host, ts, HB_TEST_PASSWORD, NULL), APR_SUCCESS);
    ck_assert_int_eq(say(anna), HB_E_ROOM_MUTED);
    ck_assert_int_eq(hb_room_restraints(&list, as(host), room, 20, NULL), APR_SUCCESS);
    ck_assert_int_eq(hb_json_length(hb_json_get(list, "items")), 1);
    ck_assert_int_eq(hb_room_restraints(&list, as(anna), room, 20, NULL), HB_E_FORBIDDEN);
    ck_assert_int_eq(hb_room_lift(as(anna), room, anna->id), HB_E_FORBIDDEN);
    ck_assert_int_eq(hb_room_lift(as(host), room, anna->id), APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(hb_test_heard(ear, HB_EV_ROOM_MODERATED, anna->id),
                                    "action"), "lift");
    ck_assert_int_eq(hb_room_lift(as(host), room, anna->id), APR_SUCCESS);
    ck_assert_int_eq(say(anna), APR_SUCCESS);
}
END_TEST

START_TEST(who_is_kicked_is_out)
{
    hb_json_t *stream;
    const char *only;

    open_site();
    ck_assert_int_eq(hb_viewer_join(&stream, as(anna), room), APR_SUCCESS);
    ck_assert_int_eq(restrain(mod, anna, "kick", 60), APR_SUCCESS);
    ck_assert_ptr_nonnull(hb_test_heard_by(&only, ear, HB_EV_ROOM_KICK, room));
    ck_assert_str_eq(only, anna->id);
    ck_assert_int_eq(hb_stream_get(&stream, as(host), room), APR_SUCCESS);
    ck_assert_int_eq(hb_json_int(stream, "viewers", -1), 0);
    ck_assert_int_eq(hb_viewer_join(&stream, as(anna), room), HB_E_ROOM_KICKED);
    ck_assert_int_eq(say(anna), HB_E_ROOM_KICKED);
    ts->now += apr_time_from_sec(60);
    ck_assert_int_eq(hb_viewer_join(&stream, as(anna), room), APR_SUCCESS);
    ck_assert_int_eq(say(anna), APR_SUCCESS);
}
END_TEST

START_TEST(a_moderator_is_appointed_and_dismissed)
{
    hb_json_t *list;

    open_site();
    ck_assert_int_eq(hb_room_moderator_set(as(mod), room, anna->id), HB_E_FORBIDDEN);
    ck_assert_int_eq(hb_room_moderator_set(as(staff), room, anna->id), HB_E_FORBIDDEN);
    ck_assert_int_eq(hb_room_moderator_set(as(host), room, host->id), HB_E_USER_SELF);
    ck_assert_int_eq(hb_room_moderator_set(as(host), room, "65a1b2c3d4e5f60718293a4b"),
                     HB_E_USER_UNKNOWN);
    ck_assert_int_eq(hb_room_moderator_set(as(host), room, anna->id), APR_SUCCESS);
    ck_assert_int_eq(hb_room_moderator_set(as(host), room, anna->id), APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(hb_test_heard(ear, HB_EV_ROOM_MODERATED, anna->id),
                                    "action"), "appoint");
    ck_assert_ptr_null(hb_test_heard(ear, HB_EV_ROOM_MODERATED, anna->id));
    ck_assert_int_eq(hb_room_moderators(&list, hb_test_site_op(ts), room, 20, NULL),
                     APR_SUCCESS);
    ck_assert_int_eq(hb_json_length(hb_json_get(list, "items")), 2);
    ck_assert_int_eq(hb_room_moderator_clear(as(mod), room, anna->id), HB_E_FORBIDDEN);
    ck_assert_int_eq(hb_room_moderator_clear(as(host), room, anna->id), APR_SUCCESS);
    ck_assert_int_eq(hb_room_moderator_clear(as(host), room, anna->id), APR_SUCCESS);
    ck_assert_str_eq(badge(anna), "none");
}
END_TEST

START_TEST(who_is_kept_out_does_not_moderate)
{
    open_site();
    ck_assert_int_eq(restrain(host, mod, "kick", 60), APR_SUCCESS);
    ck_assert_str_eq(badge(mod), "none");
    ck_assert_int_eq(restrain(mod, anna, "mute", 0), HB_E_FORBIDDEN);
    ts->now += apr_time_from_sec(61);
    ck_assert_str_eq(badge(mod), "moderator");
    ck_assert_int_eq(hb_block_set(as(host), mod->id), APR_SUCCESS);
    ck_assert_int_eq(restrain(mod, anna, "mute", 0), HB_E_FORBIDDEN);
    ck_assert_int_eq(hb_block_clear(as(host), mod->id), APR_SUCCESS);
    ck_assert_str_eq(badge(mod), "none");
}
END_TEST

START_TEST(rules_are_the_hosts_and_stay)
{
    const char *text = "{\"slowModeSec\":10,\"followersOnly\":true}";
    hb_json_t *input = hb_json_parse_own(text, strlen(text), hb_test_pool);
    hb_json_t *rules, *state, *stream;

    open_site();
    ck_assert_int_eq(hb_room_edit(&rules, as(anna), room, input), HB_E_FORBIDDEN);
    ck_assert_int_eq(hb_room_edit(&rules, as(mod), room, input), HB_E_FORBIDDEN);
    ck_assert_int_eq(hb_room_edit(&rules, hb_test_site_op(ts), room, input),
                     HB_E_AUTH_REQUIRED);
    ck_assert_int_eq(hb_room_edit(&rules, as(host), room, input), APR_SUCCESS);
    ck_assert(hb_json_equal(rules, hb_test_heard(ear, HB_EV_ROOM_CHANGED, room)));
    ck_assert_int_eq(hb_json_int(rules, "slowModeSec", 0), 10);
    ck_assert_int_eq(hb_room_edit(&rules, as(staff), room, hb_json_object_make(hb_test_pool)),
                     APR_SUCCESS);
    ck_assert_ptr_null(hb_test_heard(ear, HB_EV_ROOM_CHANGED, room));
    /* the next stream of this host */
    ck_assert_int_eq(hb_stream_end(&stream, as(host), room), APR_SUCCESS);
    ck_assert_int_eq(hb_stream_create(&stream, as(host), hb_test_input("title", "More", NULL)),
                     APR_SUCCESS);
    room = hb_json_string(stream, "_id");
    ck_assert_int_eq(hb_room_state(&state, as(host), room), APR_SUCCESS);
    ck_assert_int_eq(hb_json_bool(hb_json_get(state, "rules"), "followersOnly", 0), 1);
}
END_TEST

START_TEST(one_message_is_pinned)
{
    hb_json_t *reply, *pinned, *state;
    const char *id;

    open_site();
    ck_assert_int_eq(hb_chat_say(&reply, as(anna), room, hb_test_input("text", "me", NULL)),
                     APR_SUCCESS);
    id = hb_json_string(hb_json_get(reply, "message"), "id");
    ck_assert_int_eq(hb_room_pin(&pinned, as(host), room, NULL), APR_SUCCESS);
    ck_assert_ptr_null(hb_test_heard(ear, HB_EV_CHAT_PINNED, room));
    ck_assert_int_eq(hb_room_pin(&pinned, as(anna), room, id), HB_E_FORBIDDEN);
    ck_assert_int_eq(hb_room_pin(&pinned, as(mod), room, "65a1b2c3d4e5f60718293a4b"),
                     HB_E_MESSAGE_UNKNOWN);
    ck_assert_int_eq(hb_room_pin(&pinned, as(mod), room, id), APR_SUCCESS);
    ck_assert(hb_json_equal(pinned, hb_test_heard(ear, HB_EV_CHAT_PINNED, room)));
    ck_assert_int_eq(hb_room_state(&state, as(anna), room), APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(hb_json_get(state, "pinned"), "id"), id);
    ck_assert_int_eq(hb_room_pin(&pinned, as(mod), room, NULL), APR_SUCCESS);
    ck_assert_int_eq(hb_json_type(hb_json_get(hb_test_heard(ear, HB_EV_CHAT_PINNED, room),
                                              "message")), HB_JSON_NULL);
    ck_assert_int_eq(hb_room_state(&state, as(anna), room), APR_SUCCESS);
    ck_assert_int_eq(hb_json_type(hb_json_get(state, "pinned")), HB_JSON_NULL);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        everybody_has_a_badge, who_may_restrain_whom, the_restrained_are_told_but_of_shadows,
        a_timeout_ends, a_mute_does_not_until_it_is_lifted, who_is_kicked_is_out,
        a_moderator_is_appointed_and_dismissed,
        who_is_kept_out_does_not_moderate, rules_are_the_hosts_and_stay,
        one_message_is_pinned, NULL
    };

    return hb_test_main("hb_room", cases);
}
