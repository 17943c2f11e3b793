/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending a gift. All it changes is one transaction: the ledger's entry, the gift's record,
 * the room's total and score, what the sender gave there and in this day and week. What
 * need not be read in it (the catalogue, blocks, kicks) is read before, because other writers wait
 * for its end; what that says is judged inside, behind the look for an earlier answer, so
 * that a call which is repeated gets its answer whatever has changed since. That bonus
 * coins buy no gift is not checked here: the ledger's table of kinds has no way for them.
 */
#include "hb_gift.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_bus.h"
#include "hb_debt.h"
#include "hb_festival.h"
#include "hb_idem.h"
#include "hb_leaderboard.h"
#include "hb_ledger.h"
#include "hb_metrics.h"
#include "hb_og.h"
#include "hb_room.h"
#include "hb_schema.h"
#include "hb_store.h"
#include "hb_stream.h"
#include "hb_stream_list.h"
#include "hb_user.h"
#include "hb_viewer.h"

typedef struct send_t {
    const char *id;             /* of the record; made once, so that a second try books the same */
    const char *stream_id;
    const char *gift_id;
    apr_int64_t quantity;
    /* as it was before the transaction */
    hb_json_t *gift;            /* NULL: none of this id */
    hb_json_t *sender;
    apr_status_t refusal;       /* a block, either way, or sent out of the room */
    const char *why;
    int is_for_festival;        /* and none that names it is on */
    /* as the transaction found and left it */
    hb_json_t *stream;
    const char *host_id;
    apr_int64_t coins, host_coins, combo;
} send_t;

apr_int64_t hb_gift_share(apr_int64_t coins, apr_int64_t percent)
{
    return coins / 100 * percent + coins % 100 * percent / 100;
}

/* --- may it be sent? --- */

static apr_status_t get_or_null(hb_json_t **doc, hb_op_t *op, hb_collection_e in,
                                const char *id)
{
    apr_status_t rv = hb_store_get(doc, op, in, id);

    if (rv != APR_SUCCESS) {
        *doc = NULL;
    }
    return rv == HB_E_STORE_MISSING ? APR_SUCCESS : rv;
}

/* Whom the host does not want in the room is not named there for a gift, either. */
static apr_status_t look_at_sender(send_t *send, hb_op_t *op, const char *host_id)
{
    apr_status_t rv = hb_viewer_check_blocks(op, host_id, op->actor.user_id);

    if (rv == APR_SUCCESS) {
        rv = hb_room_check_entry(op, host_id);
    }
    if (rv != HB_E_USER_BLOCKED && rv != HB_E_ROOM_KICKED) {
        return rv;
    }
    send->refusal = rv;
    send->why = op->problem.detail;
    hb_op_recover(op);
    return APR_SUCCESS;
}

/* Read what the transaction need not; fails only when the store does, or the sender is gone. */
static apr_status_t look(send_t *send, hb_op_t *op)
{
    hb_json_t *stream = NULL;
    apr_status_t rv = get_or_null(&send->gift, op, HB_C_GIFT_CATALOG, send->gift_id);

    if (rv == APR_SUCCESS && hb_json_bool(send->gift, "isFestivalOnly", 0)) {
        hb_festival_now_t festivals;

        rv = hb_festival_now(&festivals, op);
        send->is_for_festival = !hb_festival_has_gift(&festivals, send->gift_id);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_user_load(&send->sender, op, op->actor.user_id);
    }
    if (rv == APR_SUCCESS && hb_id_is_valid(send->stream_id)) {
        rv = get_or_null(&stream, op, HB_C_STREAMS, send->stream_id);
    }
    if (rv == APR_SUCCESS && stream != NULL) {
        rv = look_at_sender(send, op, hb_json_string(stream, "hostId"));
    }
    return rv;
}

static apr_status_t check_room(send_t *send, hb_op_t *op)
{
    apr_status_t rv = hb_stream_get(&send->stream, op, send->stream_id);

    if (rv == APR_SUCCESS) {
        rv = hb_stream_next(NULL, op, hb_stream_state(send->stream), HB_STREAM_GIFT);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    send->host_id = hb_json_string(send->stream, "hostId");
    if (hb_stream_is_host(op, send->stream)) {
        return hb_fail(op, HB_E_USER_SELF, "a host gives no gifts to themselves");
    }
    return send->refusal == APR_SUCCESS ? APR_SUCCESS
        : hb_fail(op, send->refusal, "%s", send->why);
}

static apr_status_t check_gift(send_t *send, hb_op_t *op)
{
    apr_int64_t level_min, price;
    hb_json_t *sender;
    apr_status_t rv;

    if (send->gift == NULL || !hb_json_bool(send->gift, "isActive", 0)) {
        return hb_fail(op, HB_E_GIFT_UNKNOWN, "the catalogue has no gift with this id");
    }
    if (send->is_for_festival) {
        return hb_fail(op, HB_E_GIFT_FESTIVAL, NULL);
    }
    level_min = hb_json_int(send->gift, "ogLevelMin", 0);
    if (level_min > 0) {
        rv = hb_user_load(&sender, op, op->actor.user_id);
        if (rv != APR_SUCCESS) {
            return rv;
        }
        if (hb_og_level(sender, op->now) < level_min) {
            return hb_fail(op, HB_E_GIFT_OG, "this gift is for OG tier %d and above",
                           (int)level_min);
        }
    }
    price = hb_json_int(send->gift, "priceCoins", 0);
    if (price <= 0 || send->quantity <= 0 || price > APR_INT64_MAX / send->quantity) {
        return hb_fail_field(op, "quantity", "range", "so many of this gift cannot be sent");
    }
    send->coins = price * send->quantity;
    send->host_coins = hb_gift_share(send->coins, op->site->settings->gift_host_share);
    return APR_SUCCESS;
}

/* --- what it changes --- */

static apr_status_t move_coins(send_t *send, hb_op_t *op)
{
    hb_entry_t entry = { .kind = "gift", .user_id = op->actor.user_id,
                         .reference = send->stream_id };
    apr_status_t rv;

    entry.key = apr_pstrcat(op->pool, "gift:", send->id, NULL);
    rv = hb_entry_add(&entry, hb_account_user(op, op->actor.user_id), HB_COIN, -send->coins);
    if (rv == APR_SUCCESS) {
        rv = hb_entry_add(&entry, hb_account_earned(op, send->host_id), HB_COIN,
                          send->host_coins);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_entry_add(&entry, HB_ACCOUNT_REVENUE, HB_COIN, send->coins - send->host_coins);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_ledger_post(NULL, op, &entry);
    }
    return rv == APR_SUCCESS ? hb_debt_settle(op, send->host_id, entry.key) : rv;
}

/* What the sender gave in this room, and the combo they are in. */
static apr_status_t note_giver(send_t *send, hb_op_t *op)
{
    const char *user_id = op->actor.user_id;
    const char *id = apr_pstrcat(op->pool, send->stream_id, ":", user_id, NULL);
    apr_int64_t now_msec = apr_time_as_msec(op->now);
    hb_json_t *giver;
    apr_status_t rv = hb_store_get(&giver, op, HB_C_ROOM_GIVERS, id);

    send->combo = send->quantity;
    if (rv == HB_E_STORE_MISSING) {
        giver = hb_json_object_make(op->pool);
        hb_json_set_string(giver, "_id", id);
        hb_json_set_string(giver, "streamId", send->stream_id);
        hb_json_set_string(giver, "userId", user_id);
        hb_json_set_int(giver, "coins", send->coins);
        hb_json_set_string(giver, "lastGiftId", send->gift_id);
        hb_json_set_int(giver, "lastAt", now_msec);
        hb_json_set_int(giver, "combo", send->combo);
        return hb_store_insert(NULL, op, HB_C_ROOM_GIVERS, giver);
    }
    if (rv == APR_SUCCESS) {
        const char *last = hb_json_string(giver, "lastGiftId");
        apr_int64_t combo = hb_json_int(giver, "combo", 0);

        if (last != NULL && strcmp(last, send->gift_id) == 0
            && now_msec - hb_json_int(giver, "lastAt", 0) <= HB_GIFT_COMBO_MSEC
            && combo <= APR_INT64_MAX - send->quantity) {
            send->combo += combo;
        }
    }
    if (rv == APR_SUCCESS) {
        rv = hb_leaderboard_add(giver, "coins", send->coins);
    }
    if (rv == APR_SUCCESS) {
        hb_json_set_string(giver, "lastGiftId", send->gift_id);
        hb_json_set_int(giver, "lastAt", now_msec);
        hb_json_set_int(giver, "combo", send->combo);
        rv = hb_store_replace(NULL, op, HB_C_ROOM_GIVERS, giver);
    }
    return rv;
}

static apr_status_t note_room(send_t *send, hb_op_t *op)
{
    apr_status_t rv = hb_leaderboard_add(send->stream, "totalCoins", send->coins);

    if (rv == APR_SUCCESS) {
        rv = hb_leaderboard_add(send->stream, "score", send->coins * HB_SCORE_COIN);
    }
    return rv == APR_SUCCESS ? hb_store_replace(NULL, op, HB_C_STREAMS, send->stream) : rv;
}

static apr_status_t keep_gift(hb_json_t **record, send_t *send, hb_op_t *op)
{
    hb_json_t *doc = hb_json_object_make(op->pool);

    hb_json_set_string(doc, "_id", send->id);
    hb_json_set_string(doc, "streamId", send->stream_id);
    hb_json_set_string(doc, "hostId", send->host_id);
    hb_json_set_string(doc, "senderId", op->actor.user_id);
    hb_json_set_string(doc, "giftId", send->gift_id);
    hb_json_set_string(doc, "code", hb_json_string(send->gift, "code"));
    hb_json_set_string(doc, "name", hb_json_string(send->gift, "name"));
    hb_json_set_int(doc, "quantity", send->quantity);
    hb_json_set_int(doc, "coins", send->coins);
    hb_json_set_int(doc, "hostCoins", send->host_coins);
    hb_json_set_int(doc, "combo", send->combo);
    hb_json_set_int(doc, "createdAt", apr_time_as_msec(op->now));
    *record = doc;
    return hb_store_insert(NULL, op, HB_C_GIFTS, doc);
}

static apr_status_t send_work(hb_json_t **answer, hb_op_t *op, void *baton)
{
    send_t *send = baton;
    apr_int64_t balance = 0;
    hb_json_t *record;
    apr_status_t rv;

    rv = check_room(send, op);
    if (rv == APR_SUCCESS) {
        rv = check_gift(send, op);
    }
    if (rv == APR_SUCCESS) {
        rv = move_coins(send, op);
    }
    if (rv == APR_SUCCESS) {
        rv = note_giver(send, op);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_leaderboard_note(op, op->actor.user_id, send->coins);
    }
    if (rv == APR_SUCCESS) {
        rv = note_room(send, op);
    }
    if (rv == APR_SUCCESS) {
        rv = keep_gift(&record, send, op);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_ledger_balance(&balance, op, hb_account_user(op, op->actor.user_id));
    }
    if (rv == APR_SUCCESS) {
        *answer = hb_json_object_make(op->pool);
        hb_json_set(*answer, "gift", hb_schema_view(op, HB_C_GIFTS, record, HB_ALL));
        hb_json_set_int(*answer, "balance", balance);
    }
    return rv;
}

static void tell(hb_op_t *op, const send_t *send, const hb_json_t *reply)
{
    hb_json_t *news = hb_json_object_make(op->pool);

    hb_json_set(news, "gift", hb_json_get(reply, "gift"));
    hb_json_set(news, "sender", hb_user_view(op, send->sender, HB_ALL));
    hb_json_set_int(news, "totalCoins", hb_json_int(send->stream, "totalCoins", 0));
    hb_bus_publish(op, HB_EV_GIFT_SENT, send->stream_id, news);
    hb_stream_tell_metrics(op, send->stream);
}

apr_status_t hb_gift_send(hb_json_t **reply, hb_op_t *op, const char *stream_id,
                          const hb_json_t *input)
{
    send_t send = { .stream_id = stream_id };
    hb_json_t *body = hb_json_object_make(op->pool);
    apr_status_t rv;
    int tries = 3;

    if (op->actor.user_id == NULL) {
        return hb_fail(op, HB_E_AUTH_REQUIRED, "sign in to send a gift");
    }
    send.id = hb_id_make(op);
    send.gift_id = hb_json_string(input, "giftId");
    send.quantity = hb_json_int(input, "quantity", 1);
    hb_json_set_string(body, "streamId", stream_id);
    hb_json_set_string(body, "giftId", send.gift_id);
    hb_json_set_int(body, "quantity", send.quantity);
    rv = look(&send, op);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    do {
        rv = hb_idem_transact(reply, op, "gift", body, send_work, &send);
        /* A store whose writers do not queue tells two first gifts at once by this. */
    } while (rv == HB_E_STORE_DUPLICATE && --tries > 0);
    if (rv == APR_SUCCESS && !op->is_replayed) {
        hb_user_changed(op, op->actor.user_id);
        hb_user_changed(op, send.host_id);
        hb_stream_rank(op, send.stream);
        tell(op, &send, *reply);
        hb_metric_add(op->site->metrics, HB_M_GIFTS, send.quantity);
        hb_metric_add(op->site->metrics, HB_M_GIFT_COINS, send.coins);
    }
    return rv;
}
