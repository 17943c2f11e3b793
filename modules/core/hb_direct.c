/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Direct messages. A message is one record; the two sides of its conversation are
 * "owner:peer" and say what is newest and how much waits.
 */
#include "hb_direct.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_bus.h"
#include "hb_chat.h"
#include "hb_metrics.h"
#include "hb_schema.h"
#include "hb_social.h"
#include "hb_store.h"
#include "hb_time.h"
#include "hb_user.h"

#define LIST_MAX 100
#define CONVERSATIONS_MAX 1000

/* Records of a leaving account that go in one transaction. */
#define DROP_PAGE 200

static const char *pair_id(hb_op_t *op, const char *a, const char *b)
{
    return strcmp(a, b) < 0 ? apr_pstrcat(op->pool, a, ":", b, NULL)
        : apr_pstrcat(op->pool, b, ":", a, NULL);
}

static const char *side_id(hb_op_t *op, const char *owner, const char *peer)
{
    return apr_pstrcat(op->pool, owner, ":", peer, NULL);
}

static apr_status_t need_user(hb_op_t *op)
{
    return op->actor.user_id == NULL ? hb_fail(op, HB_E_AUTH_REQUIRED, NULL) : APR_SUCCESS;
}

/* --- writing --- */

typedef struct send_t {
    const char *id;             /* made once, so that a second try writes the same */
    const char *peer_id;
    const char *text;
    const char *client_id, *client_key;
    hb_json_t *me, *peer;
    hb_json_t *message;
    apr_int64_t unread;         /* of the peer, with this one */
} send_t;

static apr_status_t check_people(send_t *send, hb_op_t *op)
{
    int age, age_min = (int)op->site->settings->chat_age_min;
    apr_status_t rv;

    if (strcmp(send->peer_id, op->actor.user_id) == 0) {
        return hb_fail(op, HB_E_USER_SELF, NULL);
    }
    rv = hb_user_load(&send->peer, op, send->peer_id);
    if (rv == APR_SUCCESS && !hb_user_is_active(send->peer)) {
        return hb_fail(op, HB_E_USER_UNKNOWN, NULL);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_block_check(op, send->peer_id);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_user_load(&send->me, op, op->actor.user_id);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_chat_check_age(op, send->me);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    age = hb_user_age(send->peer, op->now);
    if (age >= 0 && age < age_min) {
        return hb_fail(op, HB_E_USER_CLOSED, NULL);
    }
    return APR_SUCCESS;
}

static apr_status_t write_message(send_t *send, hb_op_t *op)
{
    hb_json_t *doc = hb_json_object_make(op->pool);

    hb_json_set_string(doc, "_id", send->id);
    hb_json_set_string(doc, "pairId", pair_id(op, op->actor.user_id, send->peer_id));
    hb_json_set_string(doc, "fromId", op->actor.user_id);
    hb_json_set_string(doc, "toId", send->peer_id);
    hb_json_set_string(doc, "text", send->text);
    if (send->client_id != NULL) {
        hb_json_set_string(doc, "clientId", send->client_id);
        hb_json_set_string(doc, "clientKey", send->client_key);
    }
    hb_json_set_int(doc, "createdAt", hb_time_to_msec(op->now));
    send->message = doc;
    return hb_store_insert(NULL, op, HB_C_DIRECT, doc);
}

/* One side of the conversation. @param unread  set to what waits there; NULL: the writer's side */
static apr_status_t note_side(apr_int64_t *unread, const send_t *send, hb_op_t *op,
                              const char *owner, const char *peer)
{
    const char *id = side_id(op, owner, peer);
    hb_json_t *doc;
    apr_status_t rv = hb_store_get(&doc, op, HB_C_INBOX, id);
    int is_new = rv == HB_E_STORE_MISSING;

    if (is_new) {
        doc = hb_json_object_make(op->pool);
        hb_json_set_string(doc, "_id", id);
        hb_json_set_string(doc, "ownerId", owner);
        hb_json_set_string(doc, "peerId", peer);
    }
    else if (rv != APR_SUCCESS) {
        return rv;
    }
    hb_json_set_string(doc, "lastId", send->id);
    hb_json_set_string(doc, "lastFromId", op->actor.user_id);
    hb_json_set_string(doc, "lastText", send->text);
    hb_json_set_int(doc, "lastAt", hb_time_to_msec(op->now));
    if (unread != NULL) {
        *unread = hb_json_int(doc, "unread", 0) + 1;
        hb_json_set_int(doc, "unread", *unread);
    }
    return is_new ? hb_store_insert(NULL, op, HB_C_INBOX, doc)
        : hb_store_replace(NULL, op, HB_C_INBOX, doc);
}

static hb_json_t *message_view(hb_op_t *op, const hb_json_t *doc)
{
    return hb_schema_view(op, HB_C_DIRECT, doc, HB_ALL);
}

static void tell(hb_op_t *op, const send_t *send, const char *user_id, const hb_json_t *other,
                 apr_int64_t unread)
{
    hb_json_t *news = hb_json_object_make(op->pool);

    hb_json_set(news, "peer", hb_user_view(op, other, HB_ALL));
    hb_json_set(news, "message", message_view(op, send->message));
    hb_json_set_int(news, "unread", unread);
    hb_bus_publish(op, HB_EV_DIRECT_NEW, user_id, news);
}

static apr_status_t send_tx(hb_op_t *op, void *baton)
{
    send_t *send = baton;
    const char *me = op->actor.user_id;
    hb_json_t *said;
    apr_status_t rv = hb_chat_find_sent(&said, op, HB_C_DIRECT, send->client_key);

    op->is_replayed = said != NULL;
    if (rv != APR_SUCCESS || said != NULL) {
        send->message = said;
        return rv;
    }
    rv = write_message(send, op);
    if (rv == APR_SUCCESS) {
        rv = note_side(NULL, send, op, me, send->peer_id);
    }
    if (rv == APR_SUCCESS) {
        rv = note_side(&send->unread, send, op, send->peer_id, me);
    }
    return rv;
}

apr_status_t hb_direct_send(hb_json_t **reply, hb_op_t *op, const char *peer_id,
                            const hb_json_t *input)
{
    send_t send = { .peer_id = peer_id, .text = hb_json_string(input, "text"),
                    .client_id = hb_json_string(input, "clientId") };
    apr_status_t rv = need_user(op);
    int tries = 3;

    if (rv == APR_SUCCESS) {
        rv = hb_chat_check_text(op, send.text);
    }
    if (rv == APR_SUCCESS) {
        rv = check_people(&send, op);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_chat_check_rate(op);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    send.id = hb_id_make(op);
    send.client_key = hb_chat_client_key(op, peer_id, send.client_id);
    do {
        rv = hb_store_transact(op, send_tx, &send);
        /* A store whose writers do not queue tells two first messages at once by this. */
    } while (rv == HB_E_STORE_DUPLICATE && --tries > 0);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (!op->is_replayed) {
        hb_metric_add(op->site->metrics, HB_M_DIRECT_MESSAGES, 1);
        tell(op, &send, peer_id, send.me, send.unread);
        tell(op, &send, op->actor.user_id, send.peer, 0);
    }
    *reply = hb_json_object_make(op->pool);
    hb_json_set(*reply, "message", message_view(op, send.message));
    return APR_SUCCESS;
}

/* --- reading --- */

static hb_json_t *conversation_json(hb_op_t *op, const hb_json_t *doc, hb_json_t *peer)
{
    hb_json_t *json = hb_json_object_make(op->pool);

    hb_json_set(json, "peer", peer);
    hb_json_set_string(json, "lastId", hb_json_string(doc, "lastId"));
    hb_json_set_string(json, "lastFromId", hb_json_string(doc, "lastFromId"));
    hb_json_set_string(json, "lastText", hb_json_string(doc, "lastText"));
    hb_json_set_time(json, "lastAt", hb_time_from_msec(hb_json_int(doc, "lastAt", 0)));
    hb_json_set_int(json, "unread", hb_json_int(doc, "unread", 0));
    hb_json_set_time(json, "readAt", hb_time_from_msec(hb_json_int(doc, "readAt", 0)));
    return json;
}

/* Those with people who left, or are blocked, are left out. */
apr_status_t hb_direct_conversations(hb_json_t **list, hb_op_t *op, int limit,
                                     const char *after)
{
    const hb_cond_t where[] = { { "ownerId", HB_IS, HB_STR(op->actor.user_id) } };
    const hb_query_t query = {
        .in = HB_C_INBOX, .where = where, .n_where = 1, .sort = { { "lastAt", 1 } },
        .limit = limit < LIST_MAX ? limit : LIST_MAX, .after = after
    };
    hb_json_t *items = hb_json_array_make(op->pool);
    const char *ids[LIST_MAX] = { NULL };
    hb_json_t *peers;
    hb_page_t page;
    apr_status_t rv = need_user(op);
    int i, j = 0;

    if (rv == APR_SUCCESS) {
        rv = hb_store_find(&page, op, &query);
    }
    if (rv == APR_SUCCESS) {
        for (i = 0; i < page.n_items; i++) {
            ids[i] = hb_json_string(page.items[i], "peerId");
        }
        rv = hb_user_views(&peers, op, ids, page.n_items);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    /* Views come in the order of the ids, without some. */
    for (i = 0; i < page.n_items && j < hb_json_length(peers); i++) {
        hb_json_t *peer = hb_json_item(peers, j);

        if (strcmp(hb_json_string(peer, "id"), ids[i]) == 0) {
            hb_json_push(items, conversation_json(op, page.items[i], peer));
            j++;
        }
    }
    *list = hb_page_json(op, items, page.next);
    return APR_SUCCESS;
}

/* HB_E_USER_UNKNOWN for no id; what was written stays readable whoever blocks whom. */
static apr_status_t check_peer(hb_op_t *op, const char *peer_id)
{
    apr_status_t rv = need_user(op);

    if (rv == APR_SUCCESS && !hb_id_is_valid(peer_id)) {
        return hb_fail(op, HB_E_USER_UNKNOWN, NULL);
    }
    return rv;
}

apr_status_t hb_direct_messages(hb_json_t **list, hb_op_t *op, const char *peer_id, int limit,
                                const char *after)
{
    hb_json_t *items = hb_json_array_make(op->pool);
    hb_page_t page;
    apr_status_t rv = check_peer(op, peer_id);
    int i;

    if (rv == APR_SUCCESS) {
        const hb_cond_t where[] = {
            { "pairId", HB_IS, HB_STR(pair_id(op, op->actor.user_id, peer_id)) },
        };
        const hb_query_t query = {
            .in = HB_C_DIRECT, .where = where, .n_where = 1, .sort = { { "createdAt", 1 } },
            .limit = limit, .after = after
        };

        rv = hb_store_find(&page, op, &query);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    for (i = 0; i < page.n_items; i++) {
        hb_json_push(items, message_view(op, page.items[i]));
    }
    *list = hb_page_json(op, items, page.next);
    return APR_SUCCESS;
}

apr_status_t hb_direct_read(hb_json_t **reply, hb_op_t *op, const char *peer_id)
{
    const hb_edit_t edits[] = {
        { "unread", HB_UNSET, HB_NIL },
        { "readAt", HB_SET, HB_INT(hb_time_to_msec(op->now)) },
    };
    apr_status_t rv = check_peer(op, peer_id);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = hb_store_change(NULL, NULL, op, HB_C_INBOX,
                         side_id(op, op->actor.user_id, peer_id), NULL, 0, edits, 2);
    if (rv == HB_E_STORE_MISSING) {
        return hb_fail(op, HB_E_USER_UNKNOWN, "there is no conversation with this user");
    }
    if (rv == APR_SUCCESS) {
        *reply = hb_json_object_make(op->pool);
        hb_json_set_string(*reply, "peerId", peer_id);
        hb_json_set_time(*reply, "readAt", op->now);
        hb_bus_publish(op, HB_EV_DIRECT_READ, op->actor.user_id, *reply);
    }
    return rv;
}

apr_status_t hb_direct_unread(hb_json_t **reply, hb_op_t *op)
{
    const hb_cond_t where[] = {
        { "ownerId", HB_IS, HB_STR(op->actor.user_id) },
        { "unread", HB_ABOVE, HB_INT(0) },
    };
    const hb_query_t query = { .in = HB_C_INBOX, .where = where, .n_where = 2,
                               .sort = { { "unread", 0 } }, .limit = CONVERSATIONS_MAX };
    apr_int64_t messages = 0;
    hb_page_t page;
    apr_status_t rv = need_user(op);
    int i;

    if (rv == APR_SUCCESS) {
        rv = hb_store_find(&page, op, &query);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    for (i = 0; i < page.n_items; i++) {
        messages += hb_json_int(page.items[i], "unread", 0);
    }
    *reply = hb_json_object_make(op->pool);
    hb_json_set_int(*reply, "messages", messages);
    hb_json_set_int(*reply, "conversations", page.n_items);
    return APR_SUCCESS;
}

/* --- an account that goes away --- */

typedef struct drop_t {
    hb_query_t query;
    int n;
} drop_t;

static apr_status_t drop_page(hb_op_t *op, void *baton)
{
    drop_t *drop = baton;
    hb_page_t page;
    apr_status_t rv = hb_store_find(&page, op, &drop->query);
    int i;

    drop->n = rv == APR_SUCCESS ? page.n_items : 0;
    for (i = 0; rv == APR_SUCCESS && i < page.n_items; i++) {
        rv = hb_store_remove(op, drop->query.in, hb_json_string(page.items[i], "_id"), NULL, 0);
    }
    return rv;
}

static apr_status_t drop_where(hb_op_t *op, hb_collection_e in, const char *field,
                               const char *user_id, const char *sort)
{
    const hb_cond_t where[] = { { field, HB_IS, HB_STR(user_id) } };
    drop_t drop = { { .in = in, .where = where, .n_where = 1, .sort = { { sort, 1 } },
                      .limit = DROP_PAGE }, 0 };
    apr_status_t rv;

    do {
        rv = hb_store_transact(op, drop_page, &drop);
    } while (rv == APR_SUCCESS && drop.n == DROP_PAGE);
    return rv;
}

apr_status_t hb_direct_drop_all(hb_op_t *op, const char *user_id)
{
    apr_status_t rv = drop_where(op, HB_C_DIRECT, "fromId", user_id, "createdAt");

    return rv == APR_SUCCESS ? drop_where(op, HB_C_INBOX, "ownerId", user_id, "lastAt") : rv;
}
