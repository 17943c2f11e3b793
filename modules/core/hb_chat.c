/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chat of live rooms: written, then told. A process that dies between the two leaves a message that
 * is kept and was told to nobody; its client, which got no answer, says it again, and the
 * sidecar, which knows what it told, makes up for it (HB_EV_CHAT_AGAIN).
 *
 * What is asked before writing is read without a
 * transaction, because a rule that changes in the same millisecond may go either way; that a
 * message stands once is the store's word (the unique client key).
 */
#include "hb_chat.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_audit.h"
#include "hb_bus.h"
#include "hb_limit.h"
#include "hb_metrics.h"
#include "hb_og.h"
#include "hb_schema.h"
#include "hb_store.h"
#include "hb_stream.h"
#include "hb_time.h"
#include "hb_user.h"
#include "hb_viewer.h"
#include "hb_wordlist.h"

#define LIST_MAX 100

/* A client that got no answer has said it again by then, or never will. */
#define AGAIN_MAX apr_time_from_sec(60)

/* Messages of a leaving account that go in one transaction. */
#define DROP_PAGE 200

typedef struct say_t {
    const char *text;           /* as it is shown */
    const char *client_id;      /* NULL when the client gave none */
    const char *client_key;
    hb_json_t *user;
    hb_room_t room;
    int is_shadow;              /* a word in it is for nobody else */
} say_t;

/* --- may it be said? --- */

static apr_status_t check_followers(hb_op_t *op, const hb_room_t *room)
{
    hb_json_t *row;
    apr_status_t rv;

    if (!hb_json_bool(room->rules, "followersOnly", 0)) {
        return APR_SUCCESS;
    }
    rv = hb_store_get(&row, op, HB_C_FOLLOWS,
                      apr_pstrcat(op->pool, op->actor.user_id, ":", room->host_id, NULL));
    return rv == HB_E_STORE_MISSING ? hb_fail(op, HB_E_ROOM_FOLLOWERS, NULL) : rv;
}

/* The rules of the room, which are not for those who keep it. */
static apr_status_t check_rules(hb_op_t *op, const say_t *say)
{
    const hb_room_t *room = &say->room;
    apr_int64_t level = hb_json_int(room->rules, "ogLevelMin", 0);
    apr_status_t rv = check_followers(op, room);

    if (rv == APR_SUCCESS && hb_og_level(say->user, op->now) < level) {
        return hb_fail(op, HB_E_ROOM_OG, "this room is for OG tier %d and above", (int)level);
    }
    if (rv == APR_SUCCESS && hb_json_bool(room->rules, "linksOff", 0)
        && hb_chat_has_link(say->text)) {
        return hb_fail(op, HB_E_ROOM_LINKS, NULL);
    }
    return rv;
}

/* --- slow mode: the window begins with what was said --- */

static const char *slow_key(hb_op_t *op, const hb_room_t *room)
{
    return apr_pstrcat(op->pool, room->host_id, ":", op->actor.user_id, NULL);
}

static hb_limit_rule_t slow_rule(const hb_room_t *room)
{
    apr_int64_t seconds = hb_json_int(room->rules, "slowModeSec", 0);

    return (hb_limit_rule_t){ "slow", 1, seconds * APR_USEC_PER_SEC };
}

static int is_slow(const hb_room_t *room)
{
    return room->badge == HB_BADGE_NONE && hb_json_int(room->rules, "slowModeSec", 0) > 0;
}

static apr_status_t take_turn(hb_op_t *op, const hb_room_t *room)
{
    const char *key = slow_key(op, room);
    hb_limit_rule_t rule = slow_rule(room);
    hb_limit_verdict_t verdict;

    if (!is_slow(room)) {
        return APR_SUCCESS;
    }
    hb_limit_take(&verdict, op->site->limit, &rule, key, strlen(key), hb_limit_now());
    if (!verdict.is_allowed) {
        return hb_fail_later(op, HB_E_ROOM_SLOW, verdict.reset_sec,
                             "you may speak again in %d seconds", verdict.reset_sec);
    }
    return APR_SUCCESS;
}

static void give_turn_back(hb_op_t *op, const hb_room_t *room)
{
    const char *key = slow_key(op, room);
    hb_limit_rule_t rule = slow_rule(room);

    if (is_slow(room)) {
        hb_limit_give_back(op->site->limit, &rule, key, strlen(key), hb_limit_now());
    }
}

static apr_status_t check_words(hb_op_t *op, say_t *say)
{
    hb_word_e verdict = HB_WORD_FINE;
    apr_status_t rv = hb_wordlist_check(&verdict, &say->text, op, &say->room, say->text);

    if (rv == APR_SUCCESS && verdict == HB_WORD_REFUSE) {
        return hb_fail(op, HB_E_ROOM_WORDS, NULL);
    }
    say->is_shadow = verdict == HB_WORD_SHADOW;
    return rv;
}

static apr_status_t check(hb_op_t *op, say_t *say)
{
    const hb_room_t *room = &say->room;
    apr_status_t rv = hb_stream_next(NULL, op, hb_stream_state(room->stream), HB_STREAM_CHAT);

    if (rv == APR_SUCCESS) {
        rv = hb_chat_check_age(op, say->user);
    }
    if (rv == APR_SUCCESS && room->badge != HB_BADGE_HOST && room->badge != HB_BADGE_STAFF) {
        rv = hb_viewer_check_blocks(op, room->host_id, op->actor.user_id);
        if (rv == APR_SUCCESS) {
            rv = hb_room_check_restraint(op, room);
        }
    }
    if (rv == APR_SUCCESS && room->badge == HB_BADGE_NONE) {
        rv = check_rules(op, say);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_chat_check_rate(op);
    }
    if (rv == APR_SUCCESS) {
        rv = check_words(op, say);
    }
    return rv == APR_SUCCESS ? take_turn(op, room) : rv;
}

/* --- messages --- */

static hb_json_t *message_json(hb_op_t *op, const hb_json_t *doc, hb_json_t *user_view)
{
    hb_json_t *json = hb_json_object_make(op->pool);

    hb_json_set_string(json, "id", hb_json_string(doc, "_id"));
    hb_json_set_string(json, "streamId", hb_json_string(doc, "streamId"));
    hb_json_set(json, "user", user_view);
    hb_json_set_string(json, "badge", hb_json_string(doc, "badge"));
    hb_json_set_string(json, "text", hb_json_string(doc, "text"));
    hb_json_set_string(json, "clientId", hb_json_string(doc, "clientId"));
    hb_json_set_time(json, "createdAt", hb_time_from_msec(hb_json_int(doc, "createdAt", 0)));
    return json;
}

static hb_json_t *message_doc(hb_op_t *op, const say_t *say)
{
    hb_json_t *doc = hb_json_object_make(op->pool);

    hb_json_set_string(doc, "_id", hb_id_make(op));
    hb_json_set_string(doc, "streamId", say->room.stream_id);
    hb_json_set_string(doc, "userId", op->actor.user_id);
    hb_json_set_string(doc, "badge", hb_badge_name(say->room.badge));
    hb_json_set_string(doc, "text", say->text);
    if (say->client_id != NULL) {
        hb_json_set_string(doc, "clientId", say->client_id);
        hb_json_set_string(doc, "clientKey", say->client_key);
    }
    if (say->is_shadow || (say->room.is_shadow_muted && say->room.badge == HB_BADGE_NONE)) {
        hb_json_set_bool(doc, "isShadow", 1);
    }
    hb_json_set_int(doc, "createdAt", hb_time_to_msec(op->now));
    return doc;
}

const char *hb_chat_client_key(const hb_op_t *op, const char *target_id, const char *client_id)
{
    return client_id == NULL ? NULL
        : apr_pstrcat(op->pool, target_id, ":", op->actor.user_id, ":", client_id, NULL);
}

apr_status_t hb_chat_find_sent(hb_json_t **doc, hb_op_t *op, hb_collection_e in,
                               const char *client_key)
{
    const hb_cond_t where[] = { { "clientKey", HB_IS, HB_STR(client_key) } };
    const hb_query_t query = { .in = in, .where = where, .n_where = 1 };
    apr_status_t rv;

    *doc = NULL;
    if (client_key == NULL) {
        return APR_SUCCESS;
    }
    rv = hb_store_find_one(doc, op, &query);
    return rv == HB_E_STORE_MISSING ? APR_SUCCESS : rv;
}

static apr_status_t keep(hb_json_t **doc, hb_op_t *op, const say_t *say)
{
    const char *index = NULL;
    apr_status_t rv;

    *doc = message_doc(op, say);
    rv = hb_store_insert(&index, op, HB_C_MESSAGES, *doc);
    if (rv != APR_SUCCESS) {
        give_turn_back(op, &say->room);
    }
    if (rv == HB_E_STORE_DUPLICATE && index != NULL && strcmp(index, "client") == 0) {
        hb_op_recover(op);      /* a twin was faster */
        op->is_replayed = 1;
        rv = hb_chat_find_sent(doc, op, HB_C_MESSAGES, say->client_key);
        if (rv == APR_SUCCESS && *doc == NULL) {
            rv = hb_fail(op, HB_E_STORE_CONFLICT, NULL);
        }
    }
    return rv;
}

static apr_status_t prepare(say_t *say, hb_op_t *op, const char *stream_id,
                            const hb_json_t *input)
{
    apr_status_t rv;

    if (op->actor.user_id == NULL) {
        return hb_fail(op, HB_E_AUTH_REQUIRED, "sign in to speak");
    }
    say->text = hb_json_string(input, "text");
    say->client_id = hb_json_string(input, "clientId");
    say->client_key = hb_chat_client_key(op, stream_id, say->client_id);
    rv = hb_chat_check_text(op, say->text);
    if (rv == APR_SUCCESS) {
        rv = hb_room_open_id(&say->room, op, stream_id);
    }
    return rv == APR_SUCCESS ? hb_user_load(&say->user, op, op->actor.user_id) : rv;
}

/* Who alone hears it, and that it is gone; NULL: everybody. */
static const char *only_user(const hb_json_t *doc)
{
    return hb_json_bool(doc, "isShadow", 0) ? hb_json_string(doc, "userId") : NULL;
}

static void tell_again(hb_op_t *op, const char *stream_id, const hb_json_t *doc,
                       const hb_json_t *message)
{
    apr_time_t said_at = hb_time_from_msec(hb_json_int(doc, "createdAt", 0));

    if (hb_json_int(doc, "deletedAt", 0) != 0 || op->now - said_at > AGAIN_MAX) {
        return;
    }
    if (hb_chat_check_rate(op) == APR_SUCCESS) {
        hb_bus_publish_to(op, HB_EV_CHAT_AGAIN, stream_id, only_user(doc), message);
    } else {
        hb_op_recover(op);      /* it is answered all the same */
    }
}

apr_status_t hb_chat_say(hb_json_t **reply, hb_op_t *op, const char *stream_id,
                         const hb_json_t *input)
{
    say_t say = { .client_key = NULL };
    hb_json_t *doc, *message;
    apr_status_t rv = prepare(&say, op, stream_id, input);

    if (rv == APR_SUCCESS) {
        rv = hb_chat_find_sent(&doc, op, HB_C_MESSAGES, say.client_key);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    op->is_replayed = doc != NULL;
    if (doc == NULL) {
        rv = check(op, &say);
        if (rv == APR_SUCCESS) {
            rv = keep(&doc, op, &say);
        }
        if (rv != APR_SUCCESS) {
            return rv;
        }
    }
    message = message_json(op, doc, hb_user_view(op, say.user, HB_ALL));
    if (op->is_replayed) {
        tell_again(op, stream_id, doc, message);
    } else {
        hb_stream_host_seen(op, say.room.stream);
        hb_metric_add(op->site->metrics, HB_M_CHAT_MESSAGES, 1);
        hb_bus_publish_to(op, HB_EV_CHAT_NEW, stream_id, only_user(doc), message);
    }
    *reply = hb_json_object_make(op->pool);
    hb_json_set(*reply, "message", message);
    return APR_SUCCESS;
}

/* --- what was said --- */

/* Everybody sees what is public; authors what they said; who moderates everything. */
static int is_for_actor(const hb_op_t *op, const hb_room_t *room, const hb_json_t *doc)
{
    return !hb_json_bool(doc, "isShadow", 0) || room->badge != HB_BADGE_NONE
        || (op->actor.user_id != NULL
            && strcmp(hb_json_string(doc, "userId"), op->actor.user_id) == 0);
}

static hb_json_t *view_of(const hb_json_t *views, const char *user_id)
{
    int i;

    for (i = 0; i < hb_json_length(views); i++) {
        if (strcmp(hb_json_string(hb_json_item(views, i), "id"), user_id) == 0) {
            return hb_json_item(views, i);
        }
    }
    return NULL;
}

/* Messages of people the actor may see, in their order. */
static apr_status_t show(hb_json_t *items, hb_op_t *op, const hb_room_t *room,
                         hb_json_t *const *docs, int n_docs)
{
    const char *ids[LIST_MAX] = { NULL };
    hb_json_t *views, *view;
    apr_status_t rv;
    int i, j, n = 0;

    for (i = 0; i < n_docs; i++) {
        const char *id = hb_json_string(docs[i], "userId");

        for (j = 0; j < n && strcmp(ids[j], id) != 0; j++) {
            /* a person speaks more than once */
        }
        if (j == n) {
            ids[n++] = id;
        }
    }
    rv = hb_user_views(&views, op, ids, n);
    for (i = 0; rv == APR_SUCCESS && i < n_docs; i++) {
        view = view_of(views, hb_json_string(docs[i], "userId"));
        if (view != NULL && is_for_actor(op, room, docs[i])) {
            hb_json_push(items, message_json(op, docs[i], view));
        }
    }
    return rv;
}

apr_status_t hb_chat_history(hb_json_t **list, hb_op_t *op, const char *stream_id, int limit,
                             const char *after)
{
    const hb_cond_t where[] = {
        { "streamId", HB_IS, HB_STR(stream_id) },
        { "deletedAt", HB_IS, HB_NIL },
    };
    const hb_query_t query = {
        .in = HB_C_MESSAGES, .where = where, .n_where = 2, .sort = { { "createdAt", 1 } },
        .limit = limit < LIST_MAX ? limit : LIST_MAX, .after = after
    };
    hb_json_t *items = hb_json_array_make(op->pool);
    hb_page_t page;
    hb_room_t room;
    apr_status_t rv = hb_room_open_id(&room, op, stream_id);

    if (rv == APR_SUCCESS) {
        rv = hb_store_find(&page, op, &query);
    }
    if (rv == APR_SUCCESS) {
        rv = show(items, op, &room, page.items, page.n_items);
    }
    if (rv == APR_SUCCESS) {
        *list = hb_page_json(op, items, page.next);
    }
    return rv;
}

static apr_status_t load(hb_json_t **doc, hb_op_t *op, const char *stream_id,
                         const char *message_id)
{
    apr_status_t rv = hb_id_is_valid(message_id)
        ? hb_store_get(doc, op, HB_C_MESSAGES, message_id) : HB_E_STORE_MISSING;

    if (rv == HB_E_STORE_MISSING
        || (rv == APR_SUCCESS && strcmp(hb_json_string(*doc, "streamId"), stream_id) != 0)) {
        return hb_fail(op, HB_E_MESSAGE_UNKNOWN, "this room has no such message");
    }
    return rv;
}

apr_status_t hb_chat_message(hb_json_t **message, hb_op_t *op, const char *stream_id,
                             const char *message_id)
{
    hb_room_t public = { .badge = HB_BADGE_NONE };
    hb_json_t *items = hb_json_array_make(op->pool);
    hb_json_t *doc;
    apr_status_t rv = load(&doc, op, stream_id, message_id);

    *message = NULL;
    if (rv == APR_SUCCESS && hb_json_int(doc, "deletedAt", 0) == 0
        && !hb_json_bool(doc, "isShadow", 0)) {
        rv = show(items, op, &public, &doc, 1);
    }
    if (rv == APR_SUCCESS && hb_json_length(items) == 0) {
        return hb_fail(op, HB_E_MESSAGE_UNKNOWN, "this room has no such message");
    }
    if (rv == APR_SUCCESS) {
        *message = hb_json_item(items, 0);
    }
    return rv;
}

/* --- taking back --- */

typedef struct deletion_t {
    const char *stream_id, *message_id;
} deletion_t;

static apr_status_t delete_tx(hb_op_t *op, void *baton)
{
    const deletion_t *deletion = baton;
    const hb_edit_t edits[] = {
        { "deletedAt", HB_SET, HB_INT(hb_time_to_msec(op->now)) },
        { "deletedBy", HB_SET, HB_STR(op->actor.user_id) },
    };
    hb_json_t *doc, *news;
    hb_room_t room;
    apr_status_t rv = hb_room_open_id(&room, op, deletion->stream_id);
    int is_own;

    if (rv == APR_SUCCESS) {
        rv = load(&doc, op, deletion->stream_id, deletion->message_id);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    is_own = op->actor.user_id != NULL
        && strcmp(hb_json_string(doc, "userId"), op->actor.user_id) == 0;
    if (!is_own) {
        rv = hb_room_need_badge(op, &room);
    }
    if (rv != APR_SUCCESS || hb_json_int(doc, "deletedAt", 0) != 0) {
        return rv;
    }
    rv = hb_store_change(NULL, NULL, op, HB_C_MESSAGES, deletion->message_id, NULL, 0, edits,
                         op->actor.user_id != NULL ? 2 : 1);
    if (rv == APR_SUCCESS && !is_own && room.badge == HB_BADGE_STAFF) {
        rv = hb_audit_add(op, NULL, "chat.delete",
                          apr_pstrcat(op->pool, "message:", deletion->message_id, NULL), 1,
                          NULL);
    }
    if (rv == APR_SUCCESS) {
        news = hb_json_object_make(op->pool);
        hb_json_set_string(news, "streamId", deletion->stream_id);
        hb_json_set_string(news, "id", deletion->message_id);
        hb_bus_publish_to(op, HB_EV_CHAT_DELETED, deletion->stream_id, only_user(doc), news);
    }
    return rv;
}

apr_status_t hb_chat_delete(hb_op_t *op, const char *stream_id, const char *message_id)
{
    deletion_t deletion = { stream_id, message_id };

    return hb_store_transact(op, delete_tx, &deletion);
}

/* --- an account that goes away --- */

typedef struct drop_t {
    const char *user_id;
    int n;
} drop_t;

static apr_status_t drop_page(hb_op_t *op, void *baton)
{
    drop_t *drop = baton;
    const hb_cond_t where[] = { { "userId", HB_IS, HB_STR(drop->user_id) } };
    const hb_query_t query = { .in = HB_C_MESSAGES, .where = where, .n_where = 1,
                               .sort = { { "createdAt", 1 } }, .limit = DROP_PAGE };
    hb_page_t page;
    apr_status_t rv = hb_store_find(&page, op, &query);
    int i;

    drop->n = rv == APR_SUCCESS ? page.n_items : 0;
    for (i = 0; rv == APR_SUCCESS && i < page.n_items; i++) {
        rv = hb_store_remove(op, HB_C_MESSAGES, hb_json_string(page.items[i], "_id"), NULL, 0);
    }
    return rv;
}

apr_status_t hb_chat_drop_all(hb_op_t *op, const char *user_id)
{
    drop_t drop = { user_id, 0 };
    apr_status_t rv;

    do {
        rv = hb_store_transact(op, drop_page, &drop);
    } while (rv == APR_SUCCESS && drop.n == DROP_PAGE);
    return rv;
}
