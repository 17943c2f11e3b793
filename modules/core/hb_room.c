/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A room as the actor finds it, its rules and what is pinned. Moderators and restraints are
 * in hb_room_moderator.c and hb_room_restraint.c.
 */
#include "hb_room.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_audit.h"
#include "hb_bus.h"
#include "hb_chat.h"
#include "hb_role.h"
#include "hb_schema.h"
#include "hb_store.h"
#include "hb_stream.h"
#include "hb_throne.h"
#include "hb_time.h"

const char *hb_badge_name(hb_badge_e badge)
{
    static const char *const names[] = { "none", "staff", "moderator", "host" };

    return names[badge];
}

/* --- looking --- */

/* NULL when there is none. */
static apr_status_t get_or_null(hb_json_t **doc, hb_op_t *op, hb_collection_e in,
                                const char *id)
{
    apr_status_t rv = hb_store_get(doc, op, in, id);

    if (rv == HB_E_STORE_MISSING) {
        *doc = NULL;
        return APR_SUCCESS;
    }
    return rv;
}

static int is_staff(hb_op_t *op)
{
    hb_problem_t before = op->problem;

    if (hb_role_need(op, HB_ROLE_MODERATOR) == APR_SUCCESS) {
        return 1;
    }
    op->problem = before;       /* it was a question, not a failure */
    return 0;
}

static void read_restraint(hb_room_t *room, const hb_json_t *restraint)
{
    room->muted_until = hb_time_from_msec(hb_json_int(restraint, "mutedUntil", 0));
    room->kicked_until = hb_time_from_msec(hb_json_int(restraint, "kickedUntil", 0));
    room->is_shadow_muted = hb_json_bool(restraint, "isShadowMuted", 0);
}

static apr_status_t look_at_actor(hb_room_t *room, hb_op_t *op)
{
    const char *id = apr_pstrcat(op->pool, room->host_id, ":", op->actor.user_id, NULL);
    hb_json_t *doc;
    apr_status_t rv = get_or_null(&doc, op, HB_C_ROOM_MODERATORS, id);

    if (rv == APR_SUCCESS && doc != NULL) {
        room->badge = HB_BADGE_MODERATOR;
    }
    else if (rv == APR_SUCCESS && is_staff(op)) {
        room->badge = HB_BADGE_STAFF;
    }
    if (rv == APR_SUCCESS) {
        rv = get_or_null(&doc, op, HB_C_ROOM_RESTRAINTS, id);
    }
    if (rv == APR_SUCCESS && doc != NULL) {
        read_restraint(room, doc);
    }
    if (room->badge == HB_BADGE_MODERATOR && room->kicked_until > op->now) {
        room->badge = HB_BADGE_NONE;    /* until they may come back */
    }
    return rv;
}

apr_status_t hb_room_open(hb_room_t *room, hb_op_t *op, const hb_json_t *stream)
{
    apr_status_t rv;

    *room = (hb_room_t){ .stream = stream, .stream_id = hb_json_string(stream, "_id"),
                         .host_id = hb_json_string(stream, "hostId") };
    rv = get_or_null(&room->rules, op, HB_C_ROOMS, room->host_id);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (hb_stream_is_host(op, stream)) {
        room->badge = HB_BADGE_HOST;
    }
    else if (op->actor.user_id != NULL) {
        rv = look_at_actor(room, op);
    }
    else if (op->actor.is_system) {
        room->badge = HB_BADGE_STAFF;
    }
    return rv;
}

apr_status_t hb_room_open_id(hb_room_t *room, hb_op_t *op, const char *stream_id)
{
    hb_json_t *stream;
    apr_status_t rv = hb_stream_get(&stream, op, stream_id);

    return rv == APR_SUCCESS ? hb_room_open(room, op, stream) : rv;
}

apr_status_t hb_room_check_entry(hb_op_t *op, const char *host_id)
{
    hb_room_t room = { .host_id = host_id };
    hb_json_t *restraint;
    apr_status_t rv;

    rv = get_or_null(&restraint, op, HB_C_ROOM_RESTRAINTS,
                     apr_pstrcat(op->pool, host_id, ":", op->actor.user_id, NULL));
    if (rv == APR_SUCCESS && restraint != NULL) {
        read_restraint(&room, restraint);
    }
    if (rv == APR_SUCCESS && room.kicked_until > op->now) {
        return hb_fail(op, HB_E_ROOM_KICKED, "you may come back at %s",
                       hb_time_text(op->pool, room.kicked_until));
    }
    return rv;
}

apr_status_t hb_room_check_restraint(hb_op_t *op, const hb_room_t *room)
{
    int seconds = (int)((room->muted_until - op->now) / APR_USEC_PER_SEC) + 1;

    if (room->kicked_until > op->now) {
        return hb_fail(op, HB_E_ROOM_KICKED, "you may come back at %s",
                       hb_time_text(op->pool, room->kicked_until));
    }
    if (room->muted_until > op->now && seconds <= 86400) {
        return hb_fail_later(op, HB_E_ROOM_MUTED, seconds, "you may speak again at %s",
                             hb_time_text(op->pool, room->muted_until));
    }
    if (room->muted_until > op->now) {
        return hb_fail(op, HB_E_ROOM_MUTED, NULL);
    }
    return APR_SUCCESS;
}

apr_status_t hb_room_need_badge(hb_op_t *op, const hb_room_t *room)
{
    if (op->actor.user_id == NULL && !op->actor.is_system) {
        return hb_fail(op, HB_E_AUTH_REQUIRED, NULL);
    }
    if (room->badge == HB_BADGE_NONE) {
        return hb_fail(op, HB_E_FORBIDDEN, "this is for the host and moderators of the room");
    }
    return APR_SUCCESS;
}

static hb_json_t *rules_json(hb_op_t *op, const hb_room_t *room)
{
    hb_json_t *json = hb_json_object_make(op->pool);

    hb_json_set_string(json, "streamId", room->stream_id);
    hb_json_set_int(json, "slowModeSec", hb_json_int(room->rules, "slowModeSec", 0));
    hb_json_set_bool(json, "followersOnly", hb_json_bool(room->rules, "followersOnly", 0));
    hb_json_set_int(json, "ogLevelMin", hb_json_int(room->rules, "ogLevelMin", 0));
    hb_json_set_bool(json, "linksOff", hb_json_bool(room->rules, "linksOff", 0));
    return json;
}

/* What is pinned in another stream of this host, deleted or of a blocked person is nothing. */
static apr_status_t load_pinned(hb_json_t **message, hb_op_t *op, const hb_room_t *room)
{
    const char *stream_id = hb_json_string(room->rules, "pinnedStreamId");
    apr_status_t rv;

    *message = NULL;
    if (stream_id == NULL || strcmp(stream_id, room->stream_id) != 0) {
        return APR_SUCCESS;
    }
    rv = hb_chat_message(message, op, stream_id,
                         hb_json_string(room->rules, "pinnedMessageId"));
    if (rv == HB_E_MESSAGE_UNKNOWN) {
        hb_op_recover(op);
        *message = NULL;
        return APR_SUCCESS;
    }
    return rv;
}

static void set_or_null(hb_json_t *object, const char *key, hb_json_t *value)
{
    if (value != NULL) {
        hb_json_set(object, key, value);
    }
    else {
        hb_json_set_null(object, key);
    }
}

apr_status_t hb_room_state(hb_json_t **state, hb_op_t *op, const char *stream_id)
{
    hb_json_t *message, *throne;
    hb_room_t room;
    apr_status_t rv = hb_room_open_id(&room, op, stream_id);

    if (rv == APR_SUCCESS) {
        rv = load_pinned(&message, op, &room);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_throne_of_room(&throne, op, stream_id, room.host_id);
    }
    if (rv == APR_SUCCESS) {
        *state = hb_json_object_make(op->pool);
        hb_json_set(*state, "rules", rules_json(op, &room));
        set_or_null(*state, "pinned", message);
        hb_json_set_string(*state, "badge", hb_badge_name(room.badge));
        hb_json_set(*state, "throne", throne);
    }
    return rv;
}

/* --- changing --- */

/* Edit the room's record, which is made when the host changes something for the first time. */
static apr_status_t write_rules(hb_op_t *op, hb_room_t *room, const hb_edit_t *edits,
                                int n_edits)
{
    hb_json_t *doc;
    apr_status_t rv = APR_SUCCESS;

    if (room->rules == NULL) {
        doc = hb_json_object_make(op->pool);
        hb_json_set_string(doc, "_id", room->host_id);
        hb_json_set_int(doc, "updatedAt", hb_time_to_msec(op->now));
        rv = hb_store_insert(NULL, op, HB_C_ROOMS, doc);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_change(&room->rules, NULL, op, HB_C_ROOMS, room->host_id, NULL, 0, edits,
                             n_edits);
    }
    return rv;
}

typedef struct change_t {
    const char *stream_id;
    const hb_json_t *input;     /* edit */
    const char *message_id;     /* pin; NULL: nothing */
    hb_room_t room;
    hb_json_t *message;
} change_t;

static apr_status_t edit_tx(hb_op_t *op, void *baton)
{
    change_t *change = baton;
    const hb_json_t *input = change->input;
    hb_edit_t edits[5];
    apr_status_t rv;
    int n = 0;

    rv = hb_room_open_id(&change->room, op, change->stream_id);
    if (rv == APR_SUCCESS) {
        rv = hb_room_need_badge(op, &change->room);
    }
    if (rv == APR_SUCCESS && change->room.badge == HB_BADGE_MODERATOR) {
        return hb_fail(op, HB_E_FORBIDDEN, "the rules of a room are its host's");
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (hb_json_has(input, "slowModeSec")) {
        edits[n++] = (hb_edit_t){ "slowModeSec", HB_SET,
                                  HB_INT(hb_json_int(input, "slowModeSec", 0)) };
    }
    if (hb_json_has(input, "followersOnly")) {
        edits[n++] = (hb_edit_t){ "followersOnly", HB_SET,
                                  HB_BOOL(hb_json_bool(input, "followersOnly", 0)) };
    }
    if (hb_json_has(input, "ogLevelMin")) {
        edits[n++] = (hb_edit_t){ "ogLevelMin", HB_SET,
                                  HB_INT(hb_json_int(input, "ogLevelMin", 0)) };
    }
    if (hb_json_has(input, "linksOff")) {
        edits[n++] = (hb_edit_t){ "linksOff", HB_SET,
                                  HB_BOOL(hb_json_bool(input, "linksOff", 0)) };
    }
    if (n == 0) {
        return APR_SUCCESS;
    }
    edits[n++] = (hb_edit_t){ "updatedAt", HB_SET, HB_INT(hb_time_to_msec(op->now)) };
    rv = write_rules(op, &change->room, edits, n);
    if (rv == APR_SUCCESS && change->room.badge == HB_BADGE_STAFF) {
        rv = hb_audit_add(op, NULL, "room.edit",
                          apr_pstrcat(op->pool, "user:", change->room.host_id, NULL), 1, NULL);
    }
    if (rv == APR_SUCCESS) {
        hb_bus_publish(op, HB_EV_ROOM_CHANGED, change->stream_id,
                       rules_json(op, &change->room));
    }
    return rv;
}

apr_status_t hb_room_edit(hb_json_t **rules, hb_op_t *op, const char *stream_id,
                          const hb_json_t *input)
{
    change_t change = { .stream_id = stream_id, .input = input };
    apr_status_t rv = hb_store_transact(op, edit_tx, &change);

    if (rv == APR_SUCCESS) {
        *rules = rules_json(op, &change.room);
    }
    return rv;
}

static hb_json_t *pinned_json(hb_op_t *op, const change_t *change)
{
    hb_json_t *json = hb_json_object_make(op->pool);

    hb_json_set_string(json, "streamId", change->stream_id);
    set_or_null(json, "message", change->message);
    return json;
}

static apr_status_t pin_tx(hb_op_t *op, void *baton)
{
    change_t *change = baton;
    const char *id = change->message_id;
    const hb_edit_t edits[] = {
        { "pinnedStreamId", HB_SET, HB_STR(change->stream_id) },
        { "pinnedMessageId", HB_SET, HB_STR(id) },
        { "updatedAt", HB_SET, HB_INT(hb_time_to_msec(op->now)) },
    };
    const hb_edit_t none[] = {
        { "pinnedStreamId", HB_UNSET, HB_NIL },
        { "pinnedMessageId", HB_UNSET, HB_NIL },
        { "updatedAt", HB_SET, HB_INT(hb_time_to_msec(op->now)) },
    };
    apr_status_t rv;

    change->message = NULL;
    rv = hb_room_open_id(&change->room, op, change->stream_id);
    if (rv == APR_SUCCESS) {
        rv = hb_room_need_badge(op, &change->room);
    }
    if (rv == APR_SUCCESS && id != NULL) {
        rv = hb_chat_message(&change->message, op, change->stream_id, id);
    }
    if (rv == APR_SUCCESS && id == NULL && change->room.rules == NULL) {
        return APR_SUCCESS;
    }
    if (rv == APR_SUCCESS) {
        rv = write_rules(op, &change->room, id != NULL ? edits : none, 3);
    }
    if (rv == APR_SUCCESS) {
        hb_bus_publish(op, HB_EV_CHAT_PINNED, change->stream_id, pinned_json(op, change));
    }
    return rv;
}

apr_status_t hb_room_pin(hb_json_t **pinned, hb_op_t *op, const char *stream_id,
                         const char *message_id)
{
    change_t change = { .stream_id = stream_id, .message_id = message_id };
    apr_status_t rv = hb_store_transact(op, pin_tx, &change);

    if (rv == APR_SUCCESS) {
        *pinned = pinned_json(op, &change);
    }
    return rv;
}
