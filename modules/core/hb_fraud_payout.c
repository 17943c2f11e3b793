/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules for money on its way out: coins that go round between friends, or all come from one
 * purse, or from people whose payments were asked back. They look at who gave in the host's
 * newest rooms; that is read outside any transaction, when a payout is reviewed, because
 * sending a gift has no time for it.
 */
#include "hb_fraud_private.h"

#include <stdlib.h>
#include <string.h>

#include <apr_hash.h>
#include <apr_strings.h>

#include "hb_debt.h"
#include "hb_store.h"
#include "hb_time.h"

#define DAY_MSEC APR_INT64_C(86400000)
#define ROOMS 20                /* newest */
#define GIVERS 50               /* best of each room */
#define GIFTS 500               /* newest that the host gave, and as many claims of thrones */
#define LOOKED_AT 20            /* givers whose own standing is read */
#define ONE_GIVER_PERCENT 80
#define NEW_HOST_DAYS 7

typedef struct giver_t {
    const char *id;
    apr_int64_t coins;
} giver_t;

typedef struct look_t {
    hb_op_t *op;
    const hb_json_t *payout;
    const char *host_id;
    apr_hash_t *by_id;
    giver_t *givers;            /* most coins first */
    int n;
    apr_int64_t coins;          /* of all of them */
} look_t;

/* --- who gave --- */

static apr_status_t add_room(look_t *look, const char *stream_id)
{
    const hb_cond_t where[] = { { "streamId", HB_IS, HB_STR(stream_id) } };
    const hb_query_t query = { .in = HB_C_ROOM_GIVERS, .where = where, .n_where = 1,
                               .sort = { { "coins", 1 } }, .limit = GIVERS };
    hb_page_t page;
    apr_status_t rv = hb_store_find(&page, look->op, &query);
    int i;

    for (i = 0; rv == APR_SUCCESS && i < page.n_items; i++) {
        const char *id = hb_json_string(page.items[i], "userId");
        apr_int64_t coins = hb_json_int(page.items[i], "coins", 0);
        giver_t *giver = apr_hash_get(look->by_id, id, APR_HASH_KEY_STRING);

        if (giver == NULL) {
            giver = apr_pcalloc(look->op->pool, sizeof(*giver));
            giver->id = id;
            apr_hash_set(look->by_id, id, APR_HASH_KEY_STRING, giver);
        }
        giver->coins += coins;
        look->coins += coins;
    }
    return rv;
}

static int more_coins(const void *a, const void *b)
{
    const giver_t *one = a, *other = b;

    return one->coins < other->coins ? 1 : one->coins > other->coins ? -1 : 0;
}

static apr_status_t read_givers(look_t *look)
{
    const hb_cond_t where[] = { { "hostId", HB_IS, HB_STR(look->host_id) } };
    const hb_query_t query = { .in = HB_C_STREAMS, .where = where, .n_where = 1,
                               .sort = { { "createdAt", 1 } }, .limit = ROOMS };
    apr_hash_index_t *at;
    hb_page_t rooms;
    apr_status_t rv = hb_store_find(&rooms, look->op, &query);
    int i;

    look->by_id = apr_hash_make(look->op->pool);
    for (i = 0; rv == APR_SUCCESS && i < rooms.n_items; i++) {
        rv = add_room(look, hb_json_string(rooms.items[i], "_id"));
    }
    look->givers = apr_palloc(look->op->pool,
                              (apr_hash_count(look->by_id) + 1) * sizeof(giver_t));
    for (at = apr_hash_first(look->op->pool, look->by_id); at != NULL; at = apr_hash_next(at)) {
        look->givers[look->n++] = *(giver_t *)apr_hash_this_val(at);
    }
    qsort(look->givers, (size_t)look->n, sizeof(giver_t), more_coins);
    return rv;
}

/* --- the rules: each gives what it saw, or NULL --- */

/* Add what the host gave, by records of one kind, to those who gave to the host. */
static apr_status_t went_back(apr_int64_t *given, look_t *look, hb_collection_e in,
                              const char *giver, const char *when)
{
    const hb_cond_t where[] = { { giver, HB_IS, HB_STR(look->host_id) } };
    const hb_query_t query = { .in = in, .where = where, .n_where = 1,
                               .sort = { { when, 1 } }, .limit = GIFTS };
    hb_page_t page;
    apr_status_t rv = hb_store_find(&page, look->op, &query);
    int i;

    for (i = 0; rv == APR_SUCCESS && i < page.n_items; i++) {
        if (apr_hash_get(look->by_id, hb_json_string(page.items[i], "hostId"),
                         APR_HASH_KEY_STRING) != NULL) {
            *given += hb_json_int(page.items[i], "coins", 0);
        }
    }
    return rv;
}

static apr_status_t gift_loop(const char **saw, look_t *look)
{
    apr_int64_t given = 0;
    apr_status_t rv = went_back(&given, look, HB_C_GIFTS, "senderId", "createdAt");

    if (rv == APR_SUCCESS) {
        rv = went_back(&given, look, HB_C_THRONE_CLAIMS, "userId", "claimedAt");
    }
    /* A rose in return is manners. */
    if (given * 10 >= look->coins && given > 0) {
        *saw = apr_psprintf(look->op->pool, "%" APR_INT64_T_FMT " coins of gifts and thrones went "
                            "back to those who gave", given);
    }
    return rv;
}

static apr_status_t one_giver(const char **saw, look_t *look)
{
    if (look->n > 0 && look->givers[0].coins > look->coins / 100 * ONE_GIVER_PERCENT) {
        *saw = apr_psprintf(look->op->pool, "%" APR_INT64_T_FMT " of %" APR_INT64_T_FMT
                            " coins came from user %s", look->givers[0].coins, look->coins,
                            look->givers[0].id);
    }
    return APR_SUCCESS;
}

static apr_status_t giver_debts(const char **saw, look_t *look)
{
    apr_int64_t owed, coins = 0;
    apr_status_t rv = APR_SUCCESS;
    int i;

    for (i = 0; rv == APR_SUCCESS && i < look->n && i < LOOKED_AT; i++) {
        rv = hb_debt_owed(&owed, look->op, look->givers[i].id);
        if (rv == APR_SUCCESS && owed > 0) {
            coins += look->givers[i].coins;
        }
    }
    if (coins > 0) {
        *saw = apr_psprintf(look->op->pool, "%" APR_INT64_T_FMT " coins came from users whose "
                            "payments went back", coins);
    }
    return rv;
}

static apr_status_t new_host(const char **saw, look_t *look)
{
    hb_json_t *user;
    apr_status_t rv = hb_store_get(&user, look->op, HB_C_USERS, look->host_id);

    if (rv == APR_SUCCESS && hb_json_int(user, "createdAt", 0)
        > hb_json_int(look->payout, "createdAt", 0) - NEW_HOST_DAYS * DAY_MSEC) {
        *saw = apr_psprintf(look->op->pool, "asked for within %d days of registration",
                            NEW_HOST_DAYS);
    }
    return rv == HB_E_STORE_MISSING ? APR_SUCCESS : rv;
}

static const struct {
    const char *name;
    apr_status_t (*look)(const char **saw, look_t *look);
    int score;
} rules[] = {
/*    name           look         score */
    { "gift-loop",   gift_loop,   60 },
    { "one-giver",   one_giver,   30 },
    { "giver-debts", giver_debts, 70 },
    { "new-host",    new_host,    20 },
};

#define N_RULES ((int)(sizeof(rules) / sizeof(rules[0])))

apr_status_t hb_fraud_check_payout(hb_fraud_finding_t *finding, hb_op_t *op,
                                   const hb_json_t *payout)
{
    look_t look = { .op = op, .payout = payout,
                    .host_id = hb_json_string(payout, "userId") };
    const char *id = hb_json_string(payout, "_id"), *saw;
    apr_status_t rv;
    hb_json_t *there;
    int i;

    memset(finding, 0, sizeof(*finding));
    if (!hb_fraud_is_on(op)) {
        return APR_SUCCESS;
    }
    rv = hb_store_get(&there, op, HB_C_FRAUD_CASES, id);
    if (rv == APR_SUCCESS) {    /* looked at before: finance's word counts */
        finding->verdict = strcmp(hb_json_string(there, "verdict"), "hold") == 0
            && strcmp(hb_json_string(there, "state"), "open") == 0 ? HB_FRAUD_HOLD
                                                                   : HB_FRAUD_WATCH;
        finding->score = (int)hb_json_int(there, "score", 0);
        return APR_SUCCESS;
    }
    if (rv == HB_E_STORE_MISSING) {
        rv = read_givers(&look);
    }
    for (i = 0; rv == APR_SUCCESS && i < N_RULES; i++) {
        saw = NULL;
        rv = rules[i].look(&saw, &look);
        if (saw != NULL) {
            hb_fraud_add(finding, op, rules[i].name, rules[i].score, saw);
        }
    }
    hb_fraud_judge(finding, op);
    return rv == APR_SUCCESS && finding->verdict != HB_FRAUD_PASS
        ? hb_fraud_note(op, finding, "payout", id, look.host_id) : rv;
}
