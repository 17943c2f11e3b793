/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may not speak or enter. One record a host and person, changed in a transaction that
 * also looks at who both of them are, so that two moderators at once leave one state.
 */
#include "hb_room.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_audit.h"
#include "hb_bus.h"
#include "hb_notice.h"
#include "hb_role.h"
#include "hb_schema.h"
#include "hb_store.h"
#include "hb_time.h"
#include "hb_user.h"
#include "hb_viewer.h"

/* 9999-12-31T23:59:59Z */
#define FOR_EVER_MSEC APR_INT64_C(253402300799000)

#define TIMEOUT_SEC 300
#define KICK_SEC 3600

typedef struct restrain_t {
    const char *stream_id, *user_id;
    const char *action;         /* NULL: lift */
    apr_int64_t seconds;        /* 0: as long as the action does by itself */
    const char *reason;
    hb_room_t room;
    hb_json_t *record;          /* as it is afterwards; NULL: none */
} restrain_t;

static int is(const restrain_t *restrain, const char *action)
{
    return restrain->action != NULL && strcmp(restrain->action, action) == 0;
}

static const char *record_id(hb_op_t *op, const restrain_t *restrain)
{
    return apr_pstrcat(op->pool, restrain->room.host_id, ":", restrain->user_id, NULL);
}

/* --- may they? --- */

static apr_status_t check_target(hb_op_t *op, const restrain_t *restrain)
{
    const hb_room_t *room = &restrain->room;
    hb_json_t *user, *doc;
    apr_status_t rv;

    if (op->actor.user_id != NULL && strcmp(restrain->user_id, op->actor.user_id) == 0) {
        return hb_fail(op, HB_E_USER_SELF, NULL);
    }
    if (strcmp(restrain->user_id, room->host_id) == 0) {
        return hb_fail(op, HB_E_FORBIDDEN, "nobody restrains the host of a room");
    }
    rv = hb_user_load(&user, op, restrain->user_id);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (hb_user_roles(user) & HB_ROLES_STAFF) {
        return hb_fail(op, HB_E_FORBIDDEN, "nobody restrains the platform's staff");
    }
    if (room->badge != HB_BADGE_MODERATOR) {
        return APR_SUCCESS;
    }
    rv = hb_store_get(&doc, op, HB_C_ROOM_MODERATORS, record_id(op, restrain));
    if (rv == APR_SUCCESS) {
        return hb_fail(op, HB_E_FORBIDDEN, "moderators do not restrain each other");
    }
    return rv == HB_E_STORE_MISSING ? APR_SUCCESS : rv;
}

static apr_status_t open_room(hb_op_t *op, restrain_t *restrain)
{
    apr_status_t rv = hb_room_open_id(&restrain->room, op, restrain->stream_id);

    return rv == APR_SUCCESS ? hb_room_need_badge(op, &restrain->room) : rv;
}

/* --- the record --- */

static apr_int64_t until_msec(const hb_op_t *op, const restrain_t *restrain,
                              apr_int64_t default_sec)
{
    apr_int64_t seconds = restrain->seconds != 0 ? restrain->seconds : default_sec;

    return hb_time_to_msec(op->now) + seconds * 1000;
}

static apr_status_t write_record(hb_op_t *op, restrain_t *restrain)
{
    const char *id = record_id(op, restrain);
    hb_json_t *doc;
    apr_status_t rv = hb_store_get(&doc, op, HB_C_ROOM_RESTRAINTS, id);
    int is_new = rv == HB_E_STORE_MISSING;

    if (is_new) {
        doc = hb_json_object_make(op->pool);
        hb_json_set_string(doc, "_id", id);
        hb_json_set_string(doc, "hostId", restrain->room.host_id);
        hb_json_set_string(doc, "userId", restrain->user_id);
    }
    else if (rv != APR_SUCCESS) {
        return rv;
    }
    if (is(restrain, "mute")) {
        hb_json_set_int(doc, "mutedUntil", FOR_EVER_MSEC);
    }
    else if (is(restrain, "timeout")) {
        hb_json_set_int(doc, "mutedUntil", until_msec(op, restrain, TIMEOUT_SEC));
    }
    else if (is(restrain, "shadow_mute")) {
        hb_json_set_bool(doc, "isShadowMuted", 1);
    }
    else {
        hb_json_set_int(doc, "kickedUntil", until_msec(op, restrain, KICK_SEC));
    }
    if (restrain->reason != NULL) {
        hb_json_set_string(doc, "reason", restrain->reason);
    }
    else {
        hb_json_remove(doc, "reason");
    }
    if (op->actor.user_id != NULL) {
        hb_json_set_string(doc, "byId", op->actor.user_id);
    }
    hb_json_set_int(doc, "updatedAt", hb_time_to_msec(op->now));
    restrain->record = doc;
    return is_new ? hb_store_insert(NULL, op, HB_C_ROOM_RESTRAINTS, doc)
        : hb_store_replace(NULL, op, HB_C_ROOM_RESTRAINTS, doc);
}

/* What staff do goes into the trail; what a host does in their own room is their business. */
static apr_status_t note(hb_op_t *op, const restrain_t *restrain)
{
    hb_json_t *details;

    if (restrain->room.badge != HB_BADGE_STAFF) {
        return APR_SUCCESS;
    }
    details = hb_json_object_make(op->pool);
    hb_json_set_string(details, "action", restrain->action != NULL ? restrain->action : "lift");
    hb_json_set_string(details, "userId", restrain->user_id);
    return hb_audit_add(op, NULL, "room.restrain",
                        apr_pstrcat(op->pool, "stream:", restrain->stream_id, NULL), 1,
                        details);
}

/* In their list, for who is not there now to hear the event. */
static apr_status_t write_notice(hb_op_t *op, const restrain_t *restrain)
{
    int is_kick = is(restrain, "kick");
    apr_int64_t until = hb_json_int(restrain->record, is_kick ? "kickedUntil" : "mutedUntil", 0);
    hb_json_t *values = hb_json_object_make(op->pool), *host;
    apr_status_t rv = hb_store_get(&host, op, HB_C_USERS, restrain->room.host_id);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    hb_json_set_string(values, "room", hb_json_string(host, "username"));
    if (until < FOR_EVER_MSEC) {
        hb_json_set_int(values, "until", until);
    }
    if (restrain->reason != NULL) {
        hb_json_set_string(values, "reason", restrain->reason);
    }
    return hb_notice_add(op, is_kick ? HB_N_ROOM_KICKED : HB_N_ROOM_MUTED, restrain->user_id,
                         values);
}

static void tell(hb_op_t *op, const restrain_t *restrain)
{
    const char *field = is(restrain, "kick") ? "kickedUntil" : "mutedUntil";
    apr_int64_t until = hb_json_int(restrain->record, field, 0);
    hb_json_t *news = hb_json_object_make(op->pool);

    hb_json_set_string(news, "streamId", restrain->stream_id);
    hb_json_set_string(news, "action", restrain->action != NULL ? restrain->action : "lift");
    hb_json_set_time(news, "until", until < FOR_EVER_MSEC ? hb_time_from_msec(until) : 0);
    hb_json_set_string(news, "reason", restrain->reason);
    hb_bus_publish(op, HB_EV_ROOM_MODERATED, restrain->user_id, news);
    if (is(restrain, "kick")) {
        hb_bus_publish_to(op, HB_EV_ROOM_KICK, restrain->stream_id, restrain->user_id, news);
    }
}

static apr_status_t restrain_tx(hb_op_t *op, void *baton)
{
    restrain_t *restrain = baton;
    apr_status_t rv = open_room(op, restrain);

    if (rv == APR_SUCCESS) {
        rv = check_target(op, restrain);
    }
    if (rv == APR_SUCCESS) {
        rv = write_record(op, restrain);
    }
    if (rv == APR_SUCCESS) {
        rv = note(op, restrain);
    }
    if (rv == APR_SUCCESS && !is(restrain, "shadow_mute")) {
        tell(op, restrain);     /* who is shadow muted must not notice */
        rv = write_notice(op, restrain);
    }
    return rv;
}

/* The kicked leaves, in their own name. */
static void send_out(hb_op_t *op, const restrain_t *restrain)
{
    hb_actor_t asker = op->actor;

    op->actor = (hb_actor_t){ .user_id = restrain->user_id };
    if (hb_viewer_leave(op, restrain->stream_id) != APR_SUCCESS) {
        hb_op_recover(op);      /* they are out when their connections are */
    }
    op->actor = asker;
}

apr_status_t hb_room_restrain(hb_json_t **view, hb_op_t *op, const char *stream_id,
                              const char *user_id, const hb_json_t *input)
{
    restrain_t restrain = {
        .stream_id = stream_id, .user_id = user_id,
        .action = hb_json_string(input, "action"),
        .seconds = hb_json_int(input, "seconds", 0), .reason = hb_json_string(input, "reason")
    };
    apr_status_t rv;
    int tries = 3;

    do {
        rv = hb_store_transact(op, restrain_tx, &restrain);
        /* A store whose writers do not queue tells two first restraints at once by this. */
    } while (rv == HB_E_STORE_DUPLICATE && --tries > 0);
    if (rv == APR_SUCCESS) {
        if (is(&restrain, "kick")) {
            send_out(op, &restrain);
        }
        *view = hb_schema_view(op, HB_C_ROOM_RESTRAINTS, restrain.record, HB_ALL);
    }
    return rv;
}

static apr_status_t lift_tx(hb_op_t *op, void *baton)
{
    restrain_t *restrain = baton;
    hb_json_t *doc;
    apr_status_t rv = open_room(op, restrain);

    if (rv == APR_SUCCESS) {
        rv = hb_store_get(&doc, op, HB_C_ROOM_RESTRAINTS, record_id(op, restrain));
        if (rv == HB_E_STORE_MISSING) {
            return APR_SUCCESS;
        }
    }
    if (rv == APR_SUCCESS && op->actor.user_id != NULL
        && strcmp(restrain->user_id, op->actor.user_id) == 0) {
        return hb_fail(op, HB_E_USER_SELF, NULL);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_remove(op, HB_C_ROOM_RESTRAINTS, record_id(op, restrain), NULL, 0);
    }
    if (rv == APR_SUCCESS) {
        rv = note(op, restrain);
    }
    /* Who was only shadow muted never knew. */
    if (rv == APR_SUCCESS && (hb_json_int(doc, "mutedUntil", 0) != 0
                              || hb_json_int(doc, "kickedUntil", 0) != 0)) {
        tell(op, restrain);
    }
    return rv;
}

apr_status_t hb_room_lift(hb_op_t *op, const char *stream_id, const char *user_id)
{
    restrain_t restrain = { .stream_id = stream_id, .user_id = user_id };

    return hb_store_transact(op, lift_tx, &restrain);
}

apr_status_t hb_room_restraints(hb_json_t **list, hb_op_t *op, const char *stream_id,
                                int limit, const char *after)
{
    restrain_t restrain = { .stream_id = stream_id };
    hb_json_t *items = hb_json_array_make(op->pool);
    hb_page_t page;
    apr_status_t rv = open_room(op, &restrain);
    int i;

    if (rv == APR_SUCCESS) {
        const hb_cond_t where[] = { { "hostId", HB_IS, HB_STR(restrain.room.host_id) } };
        const hb_query_t query = {
            .in = HB_C_ROOM_RESTRAINTS, .where = where, .n_where = 1,
            .sort = { { "updatedAt", 1 } }, .limit = limit, .after = after
        };

        rv = hb_store_find(&page, op, &query);
    }
    if (rv == APR_SUCCESS) {
        for (i = 0; i < page.n_items; i++) {
            hb_json_push(items, hb_schema_view(op, HB_C_ROOM_RESTRAINTS, page.items[i], HB_ALL));
        }
        *list = hb_page_json(op, items, page.next);
    }
    return rv;
}
