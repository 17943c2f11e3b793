/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does the session behind a token still live, and how it ends. Every request of a signed-in user
 * passes hb_session_check(), so the usual answer comes from the cache alone: one short
 * text per session, put there under a lease by whoever missed it, for a minute at most.
 * Tokens that start and rotate a session are hb_session.c's.
 */
#include "hb_session.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "hb_ahead.h"
#include "hb_audit.h"
#include "hb_bus.h"
#include "hb_cache.h"
#include "hb_metrics.h"
#include "hb_store.h"
#include "hb_time.h"
#include "hb_token.h"
#include "hb_user.h"

/*
 * How long the cache may speak for the row. Ending a session removes its entry, so this only
 * bounds what a process leaves behind that dies between its commit and the removal while
 * the entry was not held, and what hosts with caches of their own see of each other.
 */
#define ENTRY_LIFE apr_time_from_sec(60)

/* Longer than any transaction may queue and run. */
#define HOLD_LIFE apr_time_from_sec(120)

/* What stands in the cache: ENDED, HELD (ask the store each time, keep nothing), or
 * "L roles totp authenticated expires" with the roles in hex and times in microseconds. */
#define ENTRY_LIVES "L"
#define ENTRY_ENDED "E"
#define ENTRY_HELD "?"

/* Sessions of one user that are held or released in one go. */
#define PAGE 200

typedef struct standing_t {
    int is_live;
    hb_roles_t roles;
    int has_totp;
    apr_time_t authenticated_at;
    apr_time_t expires_at;
} standing_t;

static const char *entry_key(const hb_op_t *op, const char *session_id)
{
    return apr_pstrcat(op->pool, "session:", session_id, NULL);
}

static int entry_read(standing_t *standing, const char *text)
{
    char *end;

    memset(standing, 0, sizeof(*standing));
    if (text[0] == 'E') {
        return 1;
    }
    if (text[0] != ENTRY_LIVES[0]) {
        return 0;
    }
    standing->is_live = 1;
    standing->roles = (hb_roles_t)strtoul(text + 1, &end, 16);
    standing->has_totp = (int)strtol(end, &end, 10);
    standing->authenticated_at = apr_strtoi64(end, &end, 10);
    standing->expires_at = apr_strtoi64(end, &end, 10);
    return *end == '\0';
}

static const char *entry_text(const hb_op_t *op, const standing_t *standing)
{
    if (!standing->is_live) {
        return ENTRY_ENDED;
    }
    return apr_psprintf(op->pool, ENTRY_LIVES "%x %d %" APR_TIME_T_FMT " %" APR_TIME_T_FMT,
                        standing->roles, standing->has_totp, standing->authenticated_at,
                        standing->expires_at);
}

/* What the records say. A session without its row or its user has ended. */
static apr_status_t standing_load(standing_t *standing, hb_op_t *op, const char *session_id)
{
    hb_json_t *row, *user;
    apr_status_t rv;

    memset(standing, 0, sizeof(*standing));
    rv = hb_store_get(&row, op, HB_C_SESSIONS, session_id);
    if (rv == HB_E_STORE_MISSING) {
        return APR_SUCCESS;
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = hb_store_get(&user, op, HB_C_USERS, hb_json_string(row, "userId"));
    if (rv == HB_E_STORE_MISSING) {
        return APR_SUCCESS;
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    standing->is_live = hb_json_int(row, "endedAt", 0) == 0 && hb_user_is_active(user);
    standing->roles = hb_user_roles(user);
    standing->has_totp = hb_json_bool(row, "hasTotp", 0) && hb_user_has_totp(user);
    standing->authenticated_at = hb_time_from_msec(hb_json_int(row, "authenticatedAt", 0));
    standing->expires_at = hb_time_from_msec(hb_json_int(row, "expiresAt", 0));
    return APR_SUCCESS;
}

static apr_status_t standing_find(standing_t *standing, hb_op_t *op, const char *session_id)
{
    const char *key = entry_key(op, session_id);
    hb_cache_lease_t lease;
    const char *text;
    apr_size_t len;
    apr_status_t rv, missed;

    missed = hb_cache_get(&text, &len, &lease, op, key);
    if (missed == APR_SUCCESS && entry_read(standing, text)) {
        return APR_SUCCESS;
    }
    rv = standing_load(standing, op, session_id);
    if (rv == APR_SUCCESS && missed != APR_SUCCESS) {
        text = entry_text(op, standing);
        /* A lost lease or a full cache costs the next request a look at the store. */
        hb_cache_fill(op, &lease, key, text, strlen(text), ENTRY_LIFE);
    }
    return rv;
}

void hb_session_ahead(hb_op_t *op, const hb_claims_t *claims)
{
    hb_ahead_proof(op, entry_key(op, claims->session_id), ENTRY_LIVES);
}

apr_status_t hb_session_check(hb_op_t *op, const char *access_token)
{
    hb_claims_t claims;
    apr_status_t rv = hb_token_verify(&claims, op, access_token);

    return rv == APR_SUCCESS ? hb_session_check_claims(op, &claims) : hb_fail(op, rv, NULL);
}

apr_status_t hb_session_check_claims(hb_op_t *op, const hb_claims_t *claims)
{
    standing_t standing;
    apr_status_t rv = standing_find(&standing, op, claims->session_id);

    if (rv != APR_SUCCESS) {
        return hb_fail(op, rv, NULL);
    }
    if (!standing.is_live) {
        return hb_fail(op, HB_E_TOKEN_REVOKED, NULL);
    }
    if (standing.expires_at <= op->now) {
        return hb_fail(op, HB_E_TOKEN_EXPIRED, NULL);
    }
    op->actor.user_id = claims->user_id;
    op->actor.session_id = claims->session_id;
    op->actor.roles = standing.roles;
    op->actor.has_totp = standing.has_totp;
    op->actor.authenticated_at = standing.authenticated_at;
    return APR_SUCCESS;
}

/* --- hold and release --- */

void hb_session_hold(hb_op_t *op, const char *session_id)
{
    const char *key = entry_key(op, session_id);

    /* Removing breaks the leases of those who read the row before. */
    hb_cache_remove(op, key);
    hb_cache_set(op, key, ENTRY_HELD, strlen(ENTRY_HELD), HOLD_LIFE);
}

void hb_session_release(hb_op_t *op, const char *session_id)
{
    hb_cache_remove(op, entry_key(op, session_id));
}

/*
 * The cache's part in a change of all of a user's sessions. When the list cannot be read the
 * store is away, and the change that this belongs to does not happen either.
 */
static void each_session(hb_op_t *op, const char *user_id,
                         void (*fn)(hb_op_t *op, const char *session_id))
{
    const hb_cond_t where[] = { { "userId", HB_IS, HB_STR(user_id) } };
    hb_query_t query = { HB_C_SESSIONS, where, 1 };
    hb_page_t page;
    int i;

    query.sort[0].field = "createdAt";
    query.sort[0].descending = 1;
    query.limit = PAGE;
    do {
        if (hb_store_find(&page, op, &query) != APR_SUCCESS) {
            return;
        }
        for (i = 0; i < page.n_items; i++) {
            fn(op, hb_json_string(page.items[i], "_id"));
        }
        query.after = page.next;
    } while (page.next != NULL);
}

void hb_session_forget(hb_op_t *op, const char *session_id)
{
    const char *key = entry_key(op, session_id);
    const char *text;
    apr_size_t len;

    /* A hold is of a change that is under way: its end removes the entry anyway. */
    if (hb_cache_get(&text, &len, NULL, op, key) == APR_SUCCESS
        && strcmp(text, ENTRY_HELD) != 0) {
        hb_cache_remove(op, key);
    }
}

void hb_session_forget_all(hb_op_t *op, const char *user_id)
{
    each_session(op, user_id, hb_session_forget);
    hb_user_changed(op, user_id);
}

void hb_session_hold_all(hb_op_t *op, const char *user_id)
{
    each_session(op, user_id, hb_session_hold);
}

/* Ended ones as well: their entries may still say that they live. Whatever the change was, it
 * is in the store now, so connections that are open are checked against that. */
void hb_session_release_all(hb_op_t *op, const char *user_id)
{
    hb_json_t *news = hb_json_object_make(op->pool);

    each_session(op, user_id, hb_session_release);
    hb_json_set_string(news, "userId", user_id);
    hb_bus_publish(op, HB_EV_USER_CHANGED, user_id, news);
}

/* --- ending --- */

apr_status_t hb_session_end_rows(apr_int64_t *n, hb_op_t *op, const char *user_id,
                                 const char *except_session_id, const char *reason)
{
    hb_cond_t where[3] = {
        { "userId", HB_IS, HB_STR(user_id) },
        { "endedAt", HB_IS, HB_NIL },
    };
    const hb_edit_t edits[] = {
        { "endedAt", HB_SET, HB_INT(hb_time_to_msec(op->now)) },
        { "endReason", HB_SET, HB_STR(reason) },
    };
    hb_query_t query = { HB_C_SESSIONS, where, 2 };
    apr_int64_t changed = 0;
    apr_status_t rv;

    if (except_session_id != NULL) {
        where[2] = (hb_cond_t){ "_id", HB_IS_NOT, HB_STR(except_session_id) };
        query.n_where = 3;
    }
    rv = hb_store_change_all(&changed, op, &query, edits, 2);
    if (n != NULL) {
        *n = changed;
    }
    return rv;
}

typedef struct ending_t {
    const char *session_id;     /* NULL: all but except */
    const char *user_id;
    const char *except;
    const char *reason;
    apr_int64_t n;
} ending_t;

static apr_status_t end_in_store(hb_op_t *op, void *baton)
{
    ending_t *ending = baton;
    const hb_cond_t guards[] = { { "endedAt", HB_IS, HB_NIL } };
    const hb_edit_t edits[] = {
        { "endedAt", HB_SET, HB_INT(hb_time_to_msec(op->now)) },
        { "endReason", HB_SET, HB_STR(ending->reason) },
    };
    const char *resource;
    hb_json_t *details;
    apr_status_t rv;

    if (ending->session_id == NULL) {
        rv = hb_session_end_rows(&ending->n, op, ending->user_id, ending->except,
                                 ending->reason);
        resource = apr_pstrcat(op->pool, "user:", ending->user_id, NULL);
    } else {
        rv = hb_store_change(NULL, NULL, op, HB_C_SESSIONS, ending->session_id, guards, 1,
                             edits, 2);
        ending->n = rv == APR_SUCCESS;
        if (rv == HB_E_STORE_GUARD) {
            hb_op_recover(op);
            return APR_SUCCESS;     /* ended before: what was asked for */
        }
        resource = apr_pstrcat(op->pool, "session:", ending->session_id, NULL);
    }
    if (rv != APR_SUCCESS || ending->n == 0) {
        return rv;
    }
    details = hb_json_object_make(op->pool);
    hb_json_set_string(details, "reason", ending->reason);
    hb_json_set_int(details, "sessions", ending->n);
    return hb_audit_add(op, ending->user_id, "auth.session_end", resource, 1, details);
}

/* Also when it had ended before: its connections may have missed that. */
static void tell_ended(hb_op_t *op, const ending_t *ending)
{
    hb_json_t *news = hb_json_object_make(op->pool);

    hb_json_set_string(news, "userId", ending->user_id);
    hb_json_set_string(news, "reason", ending->reason);
    hb_bus_publish(op, HB_EV_SESSION_ENDED, ending->session_id, news);
}

apr_status_t hb_session_end(hb_op_t *op, const char *session_id, const char *reason)
{
    ending_t ending = { session_id, NULL, NULL, reason, 0 };
    hb_json_t *row;
    apr_status_t rv;

    if (!hb_id_is_valid(session_id)) {
        return hb_fail(op, HB_E_SESSION_UNKNOWN, NULL);
    }
    rv = hb_store_get(&row, op, HB_C_SESSIONS, session_id);
    if (rv == HB_E_STORE_MISSING) {
        hb_op_recover(op);
        return hb_fail(op, HB_E_SESSION_UNKNOWN, NULL);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    ending.user_id = hb_json_string(row, "userId");
    if (!op->actor.is_system
        && (op->actor.user_id == NULL || strcmp(op->actor.user_id, ending.user_id) != 0)) {
        return hb_fail(op, HB_E_SESSION_UNKNOWN, NULL);
    }
    hb_session_hold(op, session_id);
    rv = hb_store_transact(op, end_in_store, &ending);
    hb_session_release(op, session_id);
    if (rv == APR_SUCCESS) {
        hb_metric_add(op->site->metrics, HB_M_SESSIONS_ENDED, ending.n);
        tell_ended(op, &ending);
    }
    return rv;
}

apr_status_t hb_session_end_all(apr_int64_t *n, hb_op_t *op, const char *user_id,
                                const char *except_session_id, const char *reason)
{
    ending_t ending = { NULL, user_id, except_session_id, reason, 0 };
    apr_status_t rv;

    hb_session_hold_all(op, user_id);
    rv = hb_store_transact(op, end_in_store, &ending);
    hb_session_release_all(op, user_id);
    hb_metric_add(op->site->metrics, HB_M_SESSIONS_ENDED, rv == APR_SUCCESS ? ending.n : 0);
    if (n != NULL) {
        *n = ending.n;
    }
    return rv;
}
