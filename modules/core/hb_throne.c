/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Claiming the throne. All of it is one transaction: what is asked, the ledger's entry, the claim's
 * record, the seat, the room's total and score, the leaderboards. So of two claims at once the
 * second finds the first one's price, whatever the store does to put them in a row, and a
 * process that dies anywhere leaves all of it or nothing. Claims are rare, so other writers may
 * wait for the reading here, which a gift does before it begins.
 */
#include "hb_throne.h"
#include "hb_throne_private.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_bus.h"
#include "hb_chat.h"
#include "hb_debt.h"
#include "hb_gift.h"
#include "hb_idem.h"
#include "hb_leaderboard.h"
#include "hb_ledger.h"
#include "hb_metrics.h"
#include "hb_room.h"
#include "hb_schema.h"
#include "hb_store.h"
#include "hb_stream.h"
#include "hb_stream_list.h"
#include "hb_time.h"
#include "hb_user.h"
#include "hb_viewer.h"

typedef struct claim_t {
    const char *id;             /* of the record; made once, so that a second try books the same */
    const char *stream_id;
    apr_int64_t coins;
    /* as the transaction found and left it */
    hb_json_t *stream, *user;
    const char *host_id;
    apr_int64_t host_coins;
    hb_seat_t seat;
    hb_json_t *previous;        /* view of who sat there; NULL for an empty throne */
} claim_t;

apr_int64_t hb_throne_price_over(apr_int64_t coins)
{
    return coins + coins / 10 + (coins % 10 != 0);
}

/* --- may it be claimed? --- */

static apr_status_t check_person(claim_t *claim, hb_op_t *op)
{
    hb_room_t room;
    apr_status_t rv;

    if (hb_stream_is_host(op, claim->stream)) {
        return hb_fail(op, HB_E_USER_SELF, "a host does not claim their own throne");
    }
    rv = hb_user_load(&claim->user, op, op->actor.user_id);
    if (rv == APR_SUCCESS) {
        rv = hb_chat_check_age(op, claim->user);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_viewer_check_blocks(op, claim->host_id, op->actor.user_id);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_room_open(&room, op, claim->stream);
    }
    return rv == APR_SUCCESS ? hb_room_check_restraint(op, &room) : rv;
}

static apr_status_t check_room(claim_t *claim, hb_op_t *op)
{
    apr_status_t rv = hb_stream_get(&claim->stream, op, claim->stream_id);

    if (rv == APR_SUCCESS) {
        rv = hb_stream_next(NULL, op, hb_stream_state(claim->stream), HB_STREAM_THRONE);
    }
    if (rv == APR_SUCCESS) {
        claim->host_id = hb_json_string(claim->stream, "hostId");
        rv = check_person(claim, op);
    }
    return rv;
}

static apr_status_t check_price(claim_t *claim, hb_op_t *op)
{
    hb_seat_t *seat = &claim->seat;
    apr_status_t rv = hb_seat_read(seat, op, claim->host_id);

    claim->previous = NULL;
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (seat->holder != NULL && strcmp(hb_user_id(seat->holder), op->actor.user_id) == 0) {
        return hb_fail(op, HB_E_THRONE_OWN, "it is yours until %s", hb_time_text(op->pool,
                       hb_time_from_msec(hb_json_int(seat->doc, "expiresAt", 0))));
    }
    if (claim->coins < seat->price) {
        return hb_fail(op, HB_E_THRONE_PRICE, "the throne costs %" APR_INT64_T_FMT
                       " coins now", seat->price);
    }
    if (seat->holder != NULL) {
        claim->previous = hb_user_view(op, seat->holder, HB_ALL);
    }
    return APR_SUCCESS;
}

/* --- what it changes --- */

static apr_status_t move_coins(claim_t *claim, hb_op_t *op)
{
    hb_entry_t entry = { .kind = "throne", .user_id = op->actor.user_id,
                         .reference = claim->stream_id };
    apr_status_t rv;

    claim->host_coins = hb_gift_share(claim->coins, op->site->settings->gift_host_share);
    entry.key = apr_pstrcat(op->pool, "throne:", claim->id, NULL);
    rv = hb_entry_add(&entry, hb_account_user(op, op->actor.user_id), HB_COIN, -claim->coins);
    if (rv == APR_SUCCESS) {
        rv = hb_entry_add(&entry, hb_account_earned(op, claim->host_id), HB_COIN,
                          claim->host_coins);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_entry_add(&entry, HB_ACCOUNT_REVENUE, HB_COIN,
                          claim->coins - claim->host_coins);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_ledger_post(NULL, op, &entry);
    }
    return rv == APR_SUCCESS ? hb_debt_settle(op, claim->host_id, entry.key) : rv;
}

static apr_status_t keep_claim(const claim_t *claim, hb_op_t *op, apr_int64_t expires)
{
    hb_json_t *doc = hb_json_object_make(op->pool);

    hb_json_set_string(doc, "_id", claim->id);
    hb_json_set_string(doc, "hostId", claim->host_id);
    hb_json_set_string(doc, "streamId", claim->stream_id);
    hb_json_set_string(doc, "userId", op->actor.user_id);
    hb_json_set_int(doc, "coins", claim->coins);
    hb_json_set_int(doc, "hostCoins", claim->host_coins);
    hb_json_set_int(doc, "claimedAt", hb_time_to_msec(op->now));
    hb_json_set_int(doc, "expiresAt", expires);
    return hb_store_insert(NULL, op, HB_C_THRONE_CLAIMS, doc);
}

/* The seat's record stays for good: its number counts all claims of the room. */
static apr_status_t take_seat(claim_t *claim, hb_op_t *op)
{
    apr_int64_t expires = hb_time_to_msec(op->now + op->site->settings->throne_ttl);
    hb_json_t *doc = claim->seat.doc;
    int is_new = doc == NULL;
    apr_status_t rv = is_new ? APR_SUCCESS : hb_seat_end_claim(op, doc, "outbid");

    if (rv == APR_SUCCESS && claim->previous != NULL) {
        rv = hb_seat_tell_holder(op, &claim->seat, claim->host_id, claim->coins, NULL);
    }
    if (rv == APR_SUCCESS) {
        rv = keep_claim(claim, op, expires);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (is_new) {
        doc = hb_json_object_make(op->pool);
        hb_json_set_string(doc, "_id", claim->host_id);
    }
    hb_json_set_string(doc, "claimId", claim->id);
    hb_json_set_string(doc, "userId", op->actor.user_id);
    hb_json_set_int(doc, "coins", claim->coins);
    hb_json_set_int(doc, "number", hb_json_int(doc, "number", 0) + 1);
    hb_json_set_int(doc, "claimedAt", hb_time_to_msec(op->now));
    hb_json_set_int(doc, "expiresAt", expires);
    claim->seat = (hb_seat_t){ doc, claim->user, hb_throne_price_over(claim->coins) };
    return is_new ? hb_store_insert(NULL, op, HB_C_THRONES, doc)
                  : hb_store_replace(NULL, op, HB_C_THRONES, doc);
}

static apr_status_t note_counts(claim_t *claim, hb_op_t *op)
{
    const char *user_id = op->actor.user_id;
    apr_status_t rv = hb_leaderboard_note_room(op, claim->stream_id, user_id, claim->coins);

    if (rv == APR_SUCCESS) {
        rv = hb_leaderboard_note(op, user_id, claim->coins);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_leaderboard_add(claim->stream, "totalCoins", claim->coins);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_leaderboard_add(claim->stream, "score", claim->coins * HB_SCORE_COIN);
    }
    return rv == APR_SUCCESS ? hb_store_replace(NULL, op, HB_C_STREAMS, claim->stream) : rv;
}

/* Commits and events of two processes may change places: the number says which came last. */
static void tell(const claim_t *claim, hb_op_t *op, hb_json_t *throne)
{
    hb_json_t *news = hb_json_object_make(op->pool);

    hb_json_set(news, "throne", throne);
    if (claim->previous != NULL) {
        hb_json_set(news, "previous", claim->previous);
    }
    else {
        hb_json_set_null(news, "previous");
    }
    hb_json_set_int(news, "totalCoins", hb_json_int(claim->stream, "totalCoins", 0));
    hb_bus_publish(op, HB_EV_THRONE_CLAIMED, claim->stream_id, news);
}

static apr_status_t claim_work(hb_json_t **answer, hb_op_t *op, void *baton)
{
    claim_t *claim = baton;
    apr_int64_t balance = 0;
    hb_json_t *throne;
    apr_status_t rv;

    rv = check_room(claim, op);
    if (rv == APR_SUCCESS) {
        rv = check_price(claim, op);
    }
    if (rv == APR_SUCCESS) {
        rv = move_coins(claim, op);
    }
    if (rv == APR_SUCCESS) {
        rv = take_seat(claim, op);
    }
    if (rv == APR_SUCCESS) {
        rv = note_counts(claim, op);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_ledger_balance(&balance, op, hb_account_user(op, op->actor.user_id));
    }
    if (rv == APR_SUCCESS) {
        throne = hb_seat_json(op, &claim->seat, claim->stream_id,
                              hb_user_view(op, claim->user, HB_ALL));
        *answer = hb_json_object_make(op->pool);
        hb_json_set(*answer, "throne", throne);
        hb_json_set_int(*answer, "balance", balance);
        tell(claim, op, throne);
    }
    return rv;
}

apr_status_t hb_throne_claim(hb_json_t **reply, hb_op_t *op, const char *stream_id,
                             const hb_json_t *input)
{
    claim_t claim = { .stream_id = stream_id };
    hb_json_t *body = hb_json_object_make(op->pool);
    apr_status_t rv;
    int tries = 3;

    if (op->actor.user_id == NULL) {
        return hb_fail(op, HB_E_AUTH_REQUIRED, "sign in to claim a throne");
    }
    claim.id = hb_id_make(op);
    claim.coins = hb_json_int(input, "coins", 0);
    hb_json_set_string(body, "streamId", stream_id);
    hb_json_set_int(body, "coins", claim.coins);
    do {
        rv = hb_idem_transact(reply, op, "throne", body, claim_work, &claim);
        /* A store whose writers do not queue tells two first claims at once by this. */
    } while (rv == HB_E_STORE_DUPLICATE && --tries > 0);
    if (rv == APR_SUCCESS && !op->is_replayed) {
        hb_user_changed(op, op->actor.user_id);
        hb_user_changed(op, claim.host_id);
        hb_stream_rank(op, claim.stream);
        hb_stream_tell_metrics(op, claim.stream);
        hb_metric_add(op->site->metrics, HB_M_THRONES, 1);
        hb_metric_add(op->site->metrics, HB_M_THRONE_COINS, claim.coins);
    }
    return rv;
}
