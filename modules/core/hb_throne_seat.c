/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The throne as it is and was: who sits there now, who did before, and how a claim ends when
 * nobody claims over it. Whether a seat is taken is never read from a record alone: its time may be
 * up although no job has been there, and its holder may not act any more.
 */
#include "hb_throne.h"
#include "hb_throne_private.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_audit.h"
#include "hb_bus.h"
#include "hb_notice.h"
#include "hb_role.h"
#include "hb_schema.h"
#include "hb_store.h"
#include "hb_stream.h"
#include "hb_time.h"
#include "hb_user.h"

/* Seats that are looked for at once. */
#define EXPIRE_PAGE 100

/* --- reading --- */

static int is_over(const hb_json_t *doc, hb_op_t *op)
{
    return hb_json_string(doc, "userId") == NULL
        || hb_json_int(doc, "expiresAt", 0) <= hb_time_to_msec(op->now);
}

apr_status_t hb_seat_read(hb_seat_t *seat, hb_op_t *op, const char *host_id)
{
    apr_status_t rv;

    *seat = (hb_seat_t){ .price = op->site->settings->throne_price };
    rv = hb_store_get(&seat->doc, op, HB_C_THRONES, host_id);
    if (rv == HB_E_STORE_MISSING) {
        seat->doc = NULL;
        return APR_SUCCESS;
    }
    if (rv != APR_SUCCESS || is_over(seat->doc, op)) {
        return rv;
    }
    rv = hb_user_load(&seat->holder, op, hb_json_string(seat->doc, "userId"));
    if (rv == HB_E_USER_UNKNOWN || (rv == APR_SUCCESS && !hb_user_is_active(seat->holder))) {
        hb_op_recover(op);
        seat->holder = NULL;
        return APR_SUCCESS;
    }
    if (rv == APR_SUCCESS) {
        seat->price = hb_throne_price_over(hb_json_int(seat->doc, "coins", 0));
    }
    return rv;
}

hb_json_t *hb_seat_json(hb_op_t *op, const hb_seat_t *seat, const char *stream_id,
                        hb_json_t *holder)
{
    hb_json_t *json = hb_json_object_make(op->pool);
    int is_taken = seat->holder != NULL;

    hb_json_set_string(json, "streamId", stream_id);
    hb_json_set_bool(json, "isTaken", is_taken);
    if (is_taken && holder != NULL) {
        hb_json_set(json, "user", holder);
    }
    else {
        hb_json_set_null(json, "user");
    }
    if (is_taken) {
        hb_json_set_int(json, "coins", hb_json_int(seat->doc, "coins", 0));
        hb_json_set_time(json, "claimedAt",
                         hb_time_from_msec(hb_json_int(seat->doc, "claimedAt", 0)));
        hb_json_set_time(json, "expiresAt",
                         hb_time_from_msec(hb_json_int(seat->doc, "expiresAt", 0)));
    }
    else {
        hb_json_set_null(json, "coins");
        hb_json_set_null(json, "claimedAt");
        hb_json_set_null(json, "expiresAt");
    }
    hb_json_set_int(json, "price", seat->price);
    hb_json_set_int(json, "number", hb_json_int(seat->doc, "number", 0));
    return json;
}

apr_status_t hb_throne_of_room(hb_json_t **throne, hb_op_t *op, const char *stream_id,
                               const char *host_id)
{
    hb_json_t *views = NULL;
    const char *id;
    hb_seat_t seat;
    apr_status_t rv = hb_seat_read(&seat, op, host_id);

    if (rv == APR_SUCCESS && seat.holder != NULL) {
        id = hb_user_id(seat.holder);
        rv = hb_user_views(&views, op, &id, 1);     /* nobody, when one blocks the other */
    }
    if (rv == APR_SUCCESS) {
        *throne = hb_seat_json(op, &seat, stream_id, hb_json_item(views, 0));
    }
    return rv;
}

apr_status_t hb_throne_show(hb_json_t **throne, hb_op_t *op, const char *stream_id)
{
    hb_json_t *stream;
    apr_status_t rv = hb_stream_get(&stream, op, stream_id);

    return rv == APR_SUCCESS
        ? hb_throne_of_room(throne, op, stream_id, hb_json_string(stream, "hostId")) : rv;
}

/* --- history --- */

static hb_json_t *reign_json(hb_op_t *op, const hb_json_t *doc, hb_json_t *user)
{
    apr_int64_t expires = hb_json_int(doc, "expiresAt", 0);
    apr_int64_t ended = hb_json_int(doc, "endedAt", 0);
    const char *reason = hb_json_string(doc, "endReason");
    hb_json_t *json = hb_json_object_make(op->pool);

    if (reason == NULL && expires <= hb_time_to_msec(op->now)) {
        reason = "expired";     /* no job was there yet */
        ended = expires;
    }
    hb_json_set_string(json, "id", hb_json_string(doc, "_id"));
    hb_json_set_string(json, "streamId", hb_json_string(doc, "streamId"));
    if (user != NULL) {
        hb_json_set(json, "user", user);
    }
    else {
        hb_json_set_null(json, "user");
    }
    hb_json_set_int(json, "coins", hb_json_int(doc, "coins", 0));
    hb_json_set_time(json, "claimedAt", hb_time_from_msec(hb_json_int(doc, "claimedAt", 0)));
    hb_json_set_time(json, "expiresAt", hb_time_from_msec(expires));
    if (reason != NULL) {
        hb_json_set_time(json, "endedAt", hb_time_from_msec(ended));
    }
    else {
        hb_json_set_null(json, "endedAt");
    }
    hb_json_set_string(json, "endReason", reason);
    return json;
}

static hb_json_t *view_of(const hb_json_t *views, const char *id)
{
    int i;

    for (i = 0; i < hb_json_length(views); i++) {
        if (strcmp(hb_json_string(hb_json_item(views, i), "id"), id) == 0) {
            return hb_json_item(views, i);
        }
    }
    return NULL;
}

static apr_status_t reigns(hb_json_t **list, hb_op_t *op, const hb_query_t *query)
{
    hb_json_t *items = hb_json_array_make(op->pool), *views;
    const char **ids;
    hb_page_t page;
    apr_status_t rv = hb_store_find(&page, op, query);
    int i;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    ids = apr_palloc(op->pool, (apr_size_t)(page.n_items + 1) * sizeof(*ids));
    for (i = 0; i < page.n_items; i++) {
        ids[i] = hb_json_string(page.items[i], "userId");
    }
    rv = hb_user_views(&views, op, ids, page.n_items);
    for (i = 0; rv == APR_SUCCESS && i < page.n_items; i++) {
        hb_json_push(items, reign_json(op, page.items[i], view_of(views, ids[i])));
    }
    if (rv == APR_SUCCESS) {
        *list = hb_page_json(op, items, page.next);
    }
    return rv;
}

apr_status_t hb_throne_history(hb_json_t **list, hb_op_t *op, const char *stream_id, int limit,
                               const char *after)
{
    hb_json_t *stream;
    apr_status_t rv = hb_stream_get(&stream, op, stream_id);

    if (rv == APR_SUCCESS) {
        const hb_cond_t where[] = {
            { "hostId", HB_IS, HB_STR(hb_json_string(stream, "hostId")) },
        };
        const hb_query_t query = { .in = HB_C_THRONE_CLAIMS, .where = where, .n_where = 1,
                                   .sort = { { "claimedAt", 1 } }, .limit = limit,
                                   .after = after };

        rv = reigns(list, op, &query);
    }
    return rv;
}

/* --- ends --- */

apr_status_t hb_seat_end_claim(hb_op_t *op, const hb_json_t *doc, const char *reason)
{
    apr_int64_t now = hb_time_to_msec(op->now), expires = hb_json_int(doc, "expiresAt", 0);
    int is_late = expires <= now;
    const hb_edit_t edits[] = {
        { "endedAt", HB_SET, HB_INT(is_late ? expires : now) },
        { "endReason", HB_SET, HB_STR(is_late ? "expired" : reason) },
    };
    apr_status_t rv = APR_SUCCESS;

    if (hb_json_string(doc, "userId") != NULL) {
        rv = hb_store_change(NULL, NULL, op, HB_C_THRONE_CLAIMS,
                             hb_json_string(doc, "claimId"), NULL, 0, edits, 2);
    }
    return rv == HB_E_STORE_MISSING ? APR_SUCCESS : rv;     /* history may be cut; a seat is freed */
}

apr_status_t hb_seat_tell_holder(hb_op_t *op, const hb_seat_t *seat, const char *host_id,
                                 apr_int64_t coins, const char *reason)
{
    hb_json_t *values = hb_json_object_make(op->pool), *host;
    apr_status_t rv = hb_store_get(&host, op, HB_C_USERS, host_id);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    hb_json_set_string(values, "room", hb_json_string(host, "username"));
    if (coins > 0) {
        hb_json_set_int(values, "coins", coins);
    }
    if (reason != NULL) {
        hb_json_set_string(values, "reason", reason);
    }
    return hb_notice_add(op, coins > 0 ? HB_N_THRONE_OUTBID : HB_N_THRONE_VACATED,
                         hb_user_id(seat->holder), values);
}

static apr_status_t leave_seat(hb_op_t *op, const char *host_id)
{
    static const hb_edit_t edits[] = {
        { "claimId", HB_UNSET, HB_NIL }, { "userId", HB_UNSET, HB_NIL },
        { "coins", HB_UNSET, HB_NIL }, { "claimedAt", HB_UNSET, HB_NIL },
        { "expiresAt", HB_UNSET, HB_NIL },
    };

    return hb_store_change(NULL, NULL, op, HB_C_THRONES, host_id, NULL, 0, edits,
                           (int)(sizeof(edits) / sizeof(edits[0])));
}

typedef struct vacate_t {
    const char *stream_id, *reason;
} vacate_t;

static apr_status_t vacate_tx(hb_op_t *op, void *baton)
{
    const vacate_t *vacate = baton;
    hb_json_t *stream, *details = hb_json_object_make(op->pool);
    hb_seat_t seat;
    const char *host_id;
    apr_status_t rv = hb_stream_get(&stream, op, vacate->stream_id);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    host_id = hb_json_string(stream, "hostId");
    rv = hb_seat_read(&seat, op, host_id);
    if (rv != APR_SUCCESS || seat.holder == NULL) {
        return rv;
    }
    hb_json_set_string(details, "hostId", host_id);
    hb_json_set_string(details, "reason", vacate->reason);
    rv = hb_seat_end_claim(op, seat.doc, "vacated");
    if (rv == APR_SUCCESS) {
        rv = leave_seat(op, host_id);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_seat_tell_holder(op, &seat, host_id, 0, vacate->reason);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_audit_add(op, NULL, "throne.vacate",
                          apr_pstrcat(op->pool, "user:", hb_user_id(seat.holder), NULL), 1,
                          details);
    }
    if (rv == APR_SUCCESS) {
        seat.holder = NULL;
        seat.price = op->site->settings->throne_price;
        hb_bus_publish(op, HB_EV_THRONE_ENDED, vacate->stream_id,
                       hb_seat_json(op, &seat, vacate->stream_id, NULL));
    }
    return rv;
}

apr_status_t hb_throne_vacate(hb_op_t *op, const char *stream_id, const char *reason)
{
    vacate_t vacate = { stream_id, reason };
    apr_status_t rv = hb_role_need(op, HB_ROLE_MODERATOR);

    return rv == APR_SUCCESS ? hb_store_transact(op, vacate_tx, &vacate) : rv;
}

typedef struct expire_t {
    const char *host_id;
    int did;
} expire_t;

/* The seat is the host's: the room to tell is the one they have now, if they are live. */
static apr_status_t tell_expired(hb_op_t *op, const char *host_id, const hb_json_t *doc)
{
    const hb_cond_t where[] = { { "activeHostId", HB_IS, HB_STR(host_id) } };
    const hb_query_t query = { .in = HB_C_STREAMS, .where = where, .n_where = 1, .limit = 1 };
    const hb_seat_t empty = { .price = op->site->settings->throne_price, .doc = (hb_json_t *)doc };
    hb_json_t *news = hb_json_object_make(op->pool), *holder = NULL;
    const char *stream_id;
    hb_page_t page;
    apr_status_t rv = hb_store_find(&page, op, &query);

    if (rv != APR_SUCCESS || page.n_items == 0
        || hb_stream_state(page.items[0]) != HB_STREAM_LIVE) {
        return rv;
    }
    rv = hb_store_get(&holder, op, HB_C_USERS, hb_json_string(doc, "userId"));
    if (rv != APR_SUCCESS && rv != HB_E_STORE_MISSING) {
        return rv;
    }
    stream_id = hb_json_string(page.items[0], "_id");
    hb_json_set(news, "throne", hb_seat_json(op, &empty, stream_id, NULL));
    if (rv == APR_SUCCESS && hb_user_is_active(holder)) {
        hb_json_set(news, "previous", hb_user_view(op, holder, HB_ALL));
    }
    else {
        hb_json_set_null(news, "previous");
    }
    hb_json_set_time(news, "expiredAt", hb_time_from_msec(hb_json_int(doc, "expiresAt", 0)));
    hb_bus_publish(op, HB_EV_THRONE_EXPIRED, stream_id, news);
    return APR_SUCCESS;
}

static apr_status_t expire_tx(hb_op_t *op, void *baton)
{
    expire_t *expire = baton;
    hb_json_t *doc;
    apr_status_t rv = hb_store_get(&doc, op, HB_C_THRONES, expire->host_id);

    expire->did = 0;
    if (rv != APR_SUCCESS || hb_json_string(doc, "userId") == NULL || !is_over(doc, op)) {
        return rv;              /* claimed again meanwhile, or another run was here */
    }
    rv = hb_seat_end_claim(op, doc, "expired");
    if (rv == APR_SUCCESS) {
        rv = leave_seat(op, expire->host_id);
    }
    if (rv == APR_SUCCESS) {
        rv = tell_expired(op, expire->host_id, doc);
    }
    expire->did = rv == APR_SUCCESS;
    return rv;
}

static apr_status_t expire_all(hb_op_t *op, const hb_job_run_t *run)
{
    const hb_cond_t where[] = {
        { "expiresAt", HB_AT_MOST, HB_INT(hb_time_to_msec(op->now)) },
    };
    hb_query_t query = { .in = HB_C_THRONES, .where = where, .n_where = 1,
                         .sort = { { "expiresAt", 0 } }, .limit = EXPIRE_PAGE };
    apr_int64_t n = 0;
    apr_status_t rv;
    hb_page_t page;
    int i;

    do {
        rv = hb_store_find(&page, op, &query);
        for (i = 0; rv == APR_SUCCESS && i < page.n_items; i++) {
            expire_t expire = { hb_json_string(page.items[i], "_id"), 0 };

            rv = hb_store_transact(op, expire_tx, &expire);
            n += expire.did;
        }
        if (rv == APR_SUCCESS) {
            rv = hb_job_alive(op, run, n, 0);
        }
        query.after = rv == APR_SUCCESS ? page.next : NULL;
    } while (query.after != NULL);
    hb_job_say(run, "%" APR_INT64_T_FMT " thrones are empty again", n);
    return rv;
}

apr_status_t hb_throne_turn_all(hb_op_t *op, const hb_job_run_t *run)
{
    return expire_all(op, run);
}

apr_status_t hb_throne_expire_all(hb_op_t *op, const hb_job_run_t *run)
{
    return expire_all(op, run);
}
