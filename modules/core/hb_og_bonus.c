/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daily bonus of OG tiers (OG-02, OG-04). The ledger's unique key is what makes it once
 * per user and date; all else here may be repeated. Who is entitled is asked once, by ids
 * alone, and paid in their order, because records of neighbours lie beside each other: a
 * change of a page of the file then serves many. Some users are one transaction, as many as
 * keep other writers waiting for some BATCH_USEC.
 */
#include "hb_og.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_crowd.h"
#include "hb_ledger.h"
#include "hb_time.h"
#include "hb_user.h"

#define TIERS_MAX 5
#define BATCH_FIRST 50
#define BATCH_MOST 500
#define BATCH_USEC 1000
#define REST_DIVISOR 2          /* then nothing is written for half as long: others go first; */
#define REST_MAX_USEC 3000      /* a disk that is slow for us is no quicker for them when we wait */

/* Which bonus it is. */
typedef struct day_t {
    const char *date;
    apr_time_t begins;
    const char *zone;           /* only who has this one, "" for who has none; NULL for all */
} day_t;

/* The terms of tiers as one run has read them. */
typedef struct terms_t {
    hb_og_terms_t of[TIERS_MAX + 1];
    int is_read[TIERS_MAX + 1];
} terms_t;

static const char *key_of(hb_op_t *op, const char *user_id, const char *date)
{
    return apr_pstrcat(op->pool, "og-bonus:", date, ":", user_id, NULL);
}

/* What a user gets for a day; 0 when there is nothing to pay. */
static apr_status_t coins_of(apr_int64_t *coins, hb_og_terms_t *terms, hb_op_t *op,
                             terms_t *known, const hb_json_t *user, apr_time_t day_begins)
{
    int level = user != NULL ? hb_og_level(user, day_begins) : 0;
    apr_status_t rv;

    *coins = 0;
    memset(terms, 0, sizeof(*terms));
    if (level <= 0 || level > TIERS_MAX || !hb_user_is_active(user)
        || hb_json_int(user, "ogStartedAt", 0) > hb_time_to_msec(day_begins)) {
        return APR_SUCCESS;
    }
    if (!known->is_read[level]) {
        rv = hb_og_terms(&known->of[level], op, level);
        if (rv != APR_SUCCESS) {
            return rv;
        }
        known->is_read[level] = 1;
    }
    *terms = known->of[level];
    *coins = hb_og_daily_bonus(terms->price_coins, terms->duration_days);
    return APR_SUCCESS;
}

/* @param coins  what there is to pay; set to 0 when it was paid before */
static apr_status_t post(apr_int64_t *coins, hb_op_t *op, hb_ledger_run_t *run,
                         const char *user_id, const char *key, const hb_og_terms_t *terms)
{
    hb_entry_t entry = { .kind = "og_bonus", .user_id = user_id, .key = key,
                         .reference = apr_psprintf(op->pool, "og:%d", terms->tier) };
    apr_status_t rv = hb_entry_add(&entry, HB_ACCOUNT_BONUS_MINT, HB_BONUS, -*coins);

    if (rv == APR_SUCCESS) {
        rv = hb_entry_add(&entry, hb_account_bonus(op, user_id), HB_BONUS, *coins);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_ledger_run_post(run, NULL, op, &entry);
    }
    if (rv == HB_E_LEDGER_REPEATED) {
        *coins = 0;
        return APR_SUCCESS;
    }
    return rv;
}

/* --- to all: who --- */

/* Everybody whose tier ran when the date began. Who buys one meanwhile had none then. */
static apr_status_t gather(apr_size_t *n, hb_crowd_t *crowd, hb_op_t *op, const day_t *day)
{
    hb_cond_t where[] = {
        { "ogExpiresAt", HB_ABOVE, HB_INT(hb_time_to_msec(day->begins)) },
        { "zone", HB_IS, HB_STR(day->zone) },
    };
    const hb_query_t query = { .in = HB_C_USERS, .where = where,
                               .n_where = day->zone != NULL ? 2 : 1,
                               .sort = { { "ogExpiresAt", 0 } } };
    apr_status_t rv;

    if (day->zone != NULL && *day->zone == '\0') {
        where[1].value = (hb_value_t)HB_NIL;
    }
    rv = hb_store_values(op, &query, "_id", hb_crowd_add, crowd);

    if (rv == APR_SUCCESS && hb_crowd_is_short(crowd)) {
        rv = hb_fail(op, HB_E_INTERNAL, "no memory for the ids of who has OG");
    }
    *n = rv == APR_SUCCESS ? hb_crowd_sort(crowd) : 0;
    return rv;
}

/* --- to all: some at a time --- */

typedef struct batch_t {
    const day_t *day;
    const char *ids[BATCH_MOST], *keys[BATCH_MOST], *accounts[BATCH_MOST];
    int n;
    apr_int64_t coins[BATCH_MOST];      /* what each was paid */
    apr_time_t began;                   /* when it was our turn to write */
    apr_interval_time_t usec;           /* other writers waited so long, but for the disk */
} batch_t;

/* Drop who was paid before: a run that goes on after a crash passes over them quickly. */
static int drop_paid(const char **ids, const char **keys, const char **accounts,
                     const batch_t *batch, const hb_ledger_run_t *run)
{
    int i, n = 0;

    for (i = 0; i < batch->n; i++) {
        if (!hb_ledger_run_has_key(run, batch->keys[i])) {
            ids[n] = batch->ids[i];
            keys[n] = batch->keys[i];
            accounts[n++] = batch->accounts[i];
        }
    }
    return n;
}

static apr_status_t batch_tx(hb_op_t *op, void *baton)
{
    batch_t *batch = baton;
    const char *ids[BATCH_MOST], *keys[BATCH_MOST], *accounts[BATCH_MOST];
    hb_ledger_run_t *run = hb_ledger_run_begin(op);
    terms_t known = { .is_read = { 0 } };
    apr_status_t rv = hb_ledger_run_keys(run, op, batch->keys, batch->n);
    int i, at, n = 0;

    batch->began = apr_time_now();
    memset(batch->coins, 0, sizeof(batch->coins));
    if (rv == APR_SUCCESS) {
        n = drop_paid(ids, keys, accounts, batch, run);
        rv = hb_ledger_run_load(run, op, HB_C_USERS, ids, n);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_ledger_run_load(run, op, HB_C_ACCOUNTS, accounts, n);
    }
    for (i = 0, at = 0; rv == APR_SUCCESS && i < n; i++) {
        hb_og_terms_t terms;

        while (batch->ids[at] != ids[i]) {
            at++;
        }
        rv = coins_of(&batch->coins[at], &terms, op, &known,
                      hb_ledger_run_doc(run, HB_C_USERS, ids[i]), batch->day->begins);
        if (rv == APR_SUCCESS && batch->coins[at] > 0) {
            rv = post(&batch->coins[at], op, run, ids[i], keys[i], &terms);
        }
    }
    if (rv == APR_SUCCESS) {
        rv = hb_ledger_run_end(run, op);
    }
    batch->usec = apr_time_now() - batch->began;
    return rv;
}

/* With the disk's part; a clock that jumped does no harm. */
static void rest(const batch_t *batch)
{
    apr_interval_time_t usec = (apr_time_now() - batch->began) / REST_DIVISOR;

    if (usec > 0) {
        apr_sleep(usec < REST_MAX_USEC ? usec : REST_MAX_USEC);
    }
}

static apr_status_t pay_batch(hb_og_bonus_run_t *run, batch_t *batch, hb_op_t *op,
                              const hb_crowd_t *crowd)
{
    apr_status_t rv;
    int i;

    for (i = 0; i < batch->n; i++) {
        batch->ids[i] = hb_crowd_at(crowd, (apr_size_t)(run->entitled + i), op->pool);
        batch->keys[i] = key_of(op, batch->ids[i], batch->day->date);
        batch->accounts[i] = hb_account_bonus(op, batch->ids[i]);
    }
    rv = hb_store_transact(op, batch_tx, batch);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    run->entitled += batch->n;
    for (i = 0; i < batch->n; i++) {
        if (batch->coins[i] > 0) {
            run->paid++;
            run->coins += batch->coins[i];
            hb_user_changed(op, batch->ids[i]);
        }
    }
    return APR_SUCCESS;
}

/* The next one's size, from how long this one took; a clock that jumps does little harm. */
static int next_size(const batch_t *batch)
{
    apr_int64_t n = batch->usec > 0 ? (apr_int64_t)batch->n * BATCH_USEC / batch->usec
                                    : BATCH_MOST;

    n = n > 2 * batch->n ? 2 * batch->n : n;
    return n < 10 ? 10 : n > BATCH_MOST ? BATCH_MOST : (int)n;
}

static apr_status_t pay_crowd(hb_og_bonus_run_t *run, hb_op_t *op, const hb_crowd_t *crowd,
                              apr_int64_t total, const day_t *day, hb_store_report_fn *report, void *baton)
{
    apr_pool_t *all = op->pool, *batch_pool;
    batch_t *batch = apr_pcalloc(all, sizeof(*batch));
    apr_status_t rv = APR_SUCCESS;
    int size = BATCH_FIRST;

    batch->day = day;
    while (rv == APR_SUCCESS && run->entitled < total) {
        batch->n = total - run->entitled < size ? (int)(total - run->entitled) : size;
        /* A pool for each, so that memory does not grow with users; a failed one stays with
         * the problem it explains. */
        apr_pool_create(&batch_pool, all);
        op->pool = batch_pool;
        rv = pay_batch(run, batch, op, crowd);
        op->pool = all;
        size = next_size(batch);
        rest(batch);
        if (rv == APR_SUCCESS) {
            apr_pool_destroy(batch_pool);
        }
        if (rv == APR_SUCCESS && report != NULL
            && report(baton, "daily bonus", run->entitled, total) != 0) {
            rv = APR_EINTR;
        }
    }
    return rv;
}

/* Adds to what the run says already. */
static apr_status_t pay_day(hb_og_bonus_run_t *run, hb_op_t *op, const day_t *day,
                            hb_store_report_fn *report, void *baton)
{
    hb_og_bonus_run_t before = *run;
    apr_pool_t *pool;
    apr_size_t n;
    hb_crowd_t *crowd;
    apr_status_t rv;

    *run = (hb_og_bonus_run_t){ 0, 0, 0 };
    apr_pool_create(&pool, op->pool);   /* of the crowd alone */
    crowd = hb_crowd_make(pool);
    rv = gather(&n, crowd, op, day);
    if (rv == APR_SUCCESS) {
        rv = pay_crowd(run, op, crowd, (apr_int64_t)n, day, report, baton);
    }
    apr_pool_destroy(pool);
    run->entitled += before.entitled;
    run->paid += before.paid;
    run->coins += before.coins;
    return rv;
}

apr_status_t hb_og_bonus_pay_all(hb_og_bonus_run_t *run, hb_op_t *op, const char *date,
                                 apr_time_t day_begins, hb_store_report_fn *report,
                                 void *baton)
{
    const day_t day = { date, day_begins, NULL };

    *run = (hb_og_bonus_run_t){ 0, 0, 0 };
    return pay_day(run, op, &day, report, baton);
}

/* --- by the users' own days --- */

apr_status_t hb_og_bonus_pay_zones(hb_og_bonus_run_t *run, hb_op_t *op, apr_time_t after,
                                   apr_time_t until, const hb_zone_t *site_zone,
                                   hb_store_report_fn *report, void *baton)
{
    static const char *const by_zone[2] = { "zone", NULL };
    const hb_cond_t where[] = {
        { "ogExpiresAt", HB_ABOVE, HB_INT(hb_time_to_msec(after)) },
    };
    const hb_query_t query = { .in = HB_C_USERS, .where = where, .n_where = 1 };
    hb_group_t *zones;
    int i, n;
    apr_status_t rv = hb_store_groups(&zones, &n, op, &query, by_zone, NULL);

    *run = (hb_og_bonus_run_t){ 0, 0, 0 };
    for (i = 0; i < n && rv == APR_SUCCESS; i++) {
        const hb_zone_t *zone = site_zone;
        char date[HB_DATE_BYTES];
        day_t day = { date, 0, zones[i].keys[0] };

        if (*day.zone != '\0' && hb_zone_load(&zone, day.zone, op->pool) != APR_SUCCESS) {
            zone = site_zone;           /* a name that zone files no longer have */
        }
        hb_zone_date(date, zone, until);
        if (hb_zone_day_begins(&day.begins, zone, date) && day.begins > after) {
            rv = pay_day(run, op, &day, report, baton);
        }
    }
    return rv;
}
