/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NAME
 *     bench_fill - fill a state directory with users, streams and orders
 *
 * SYNOPSIS
 *     bench_fill --state DIR [--users N] [--streams N] [--live N]
 *                [--orders N [--provider NAME]] [--grant COINS]
 *
 * DESCRIPTION
 *     Writes documents as registration, stream creation and buying do, 1 000 a transaction, into
 *     DIR/halobuzz.db. The users share one password hash nobody knows the password of; user
 *     number i, from 1, has i as its id. The orders are open, over 500 coins for USD 4.99, and go
 *     round the users; for each a line "id user amount currency coins" is printed. --grant gives
 *     coins to each of up to 1 000 users of the store, and fills the catalogue with a gift of one
 *     coin, whose id is printed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "bench_desk.h"
#include "hb_gift.h"
#include "hb_ledger.h"
#include "hb_settings.h"
#include "hb_site.h"
#include "hb_store.h"

#define BATCH 1000

typedef struct batch_t {
    long first, end;            /* numbers of the records */
    long live;                  /* streams below this number are live */
    enum { USERS, STREAMS, ORDERS } what;
    long users;                 /* whose orders */
    const char *provider;
} batch_t;

static void complain(void *baton, hb_level_e level, apr_status_t status,
                     const char *request_id, const char *line)
{
    (void)baton;
    (void)level;
    (void)request_id;
    fprintf(stderr, "bench_fill: %s (%d)\n", line, status);
}

static hb_json_t *user_make(hb_op_t *op, long i)
{
    hb_json_t *user = bench_user(op, apr_psprintf(op->pool, "filled%ld", i));

    hb_json_set_string(user, "_id", apr_psprintf(op->pool, "%024lx", i + 1));
    return user;
}

static hb_json_t *stream_make(hb_op_t *op, long i, long live)
{
    static const char *const categories[] = { "music", "talk", "games", "dance", "cooking" };
    static const char *const countries[] = { "NP", "IN", "AU", "US" };
    hb_json_t *stream = hb_json_object_make(op->pool);
    const char *host = apr_psprintf(op->pool, "%024lx", i + 1);
    apr_int64_t now = op->now / 1000;

    hb_json_set_string(stream, "hostId", host);
    hb_json_set_string(stream, "title", apr_psprintf(op->pool, "An evening with host %ld", i));
    hb_json_set_string(stream, "description", "Songs, questions and answers, and a guest");
    hb_json_set_string(stream, "category", categories[i % 5]);
    hb_json_set_string(stream, "country", countries[i % 4]);
    hb_json_set_string(stream, "language", "ne");
    hb_json_set_string(stream, "channel", host);
    hb_json_set_int(stream, "viewers", i < live ? (i * 7919) % 5000 : 0);
    hb_json_set_int(stream, "peakViewers", (i * 7919) % 5000);
    hb_json_set_int(stream, "totalViews", (i * 7919) % 50000);
    hb_json_set_int(stream, "totalCoins", (i * 104729) % 1000000);
    hb_json_set_int(stream, "score", (i * 7919) % 5000);
    hb_json_set_int(stream, "createdAt", now - i * 1000);
    hb_json_set_int(stream, "startedAt", now - i * 1000 + 500);
    if (i < live) {
        hb_json_set_string(stream, "status", "live");
        hb_json_set_string(stream, "activeHostId", host);
    }
    else {
        hb_json_set_string(stream, "status", "ended");
        hb_json_set_int(stream, "endedAt", now - i * 500);
        hb_json_set_string(stream, "endReason", "host");
    }
    return stream;
}

static hb_json_t *order_make(hb_op_t *op, const batch_t *batch, long i)
{
    hb_json_t *order = hb_json_object_make(op->pool);
    apr_int64_t now = op->now / 1000;

    hb_json_set_string(order, "_id", apr_psprintf(op->pool, "0d%022lx", i + 1));
    hb_json_set_string(order, "userId", apr_psprintf(op->pool, "%024lx", i % batch->users + 1));
    hb_json_set_string(order, "provider", batch->provider);
    hb_json_set_string(order, "kind", "coins");
    hb_json_set_string(order, "product", "bench");
    hb_json_set_string(order, "title", "500 coins");
    hb_json_set_int(order, "coins", 500);
    hb_json_set_int(order, "bonus", 0);
    hb_json_set_int(order, "ogTier", 0);
    hb_json_set_int(order, "amountMinor", 499);
    hb_json_set_string(order, "currency", "usd");
    hb_json_set_bool(order, "isLive", 0);
    hb_json_set_string(order, "how", "page");
    hb_json_set_string(order, "state", "open");
    hb_json_set(order, "steps", hb_json_array_make(op->pool));
    hb_json_set_int(order, "createdAt", now);
    hb_json_set_int(order, "expiresAt", now + 3600000);
    hb_json_set_int(order, "openUntil", now + 3600000);
    return order;
}

static apr_status_t write_batch(hb_op_t *op, void *baton)
{
    const batch_t *batch = baton;
    apr_status_t rv = APR_SUCCESS;
    long i;

    for (i = batch->first; i < batch->end && rv == APR_SUCCESS; i++) {
        rv = batch->what == STREAMS
            ? hb_store_insert(NULL, op, HB_C_STREAMS, stream_make(op, i, batch->live))
            : batch->what == ORDERS
            ? hb_store_insert(NULL, op, HB_C_ORDERS, order_make(op, batch, i))
            : hb_store_insert(NULL, op, HB_C_USERS, user_make(op, i));
    }
    return rv;
}

static void fill(hb_site_t *site, const char *what, batch_t batch, long n)
{
    char text[120];
    apr_status_t rv;

    for (batch.first = 0; batch.first < n; batch.first = batch.end) {
        apr_pool_t *pool;

        batch.end = batch.first + BATCH < n ? batch.first + BATCH : n;
        apr_pool_create(&pool, site->pool);
        rv = hb_store_transact(hb_op_make(site, pool), write_batch, &batch);
        if (rv != APR_SUCCESS) {
            fprintf(stderr, "bench_fill: %s\n", hb_strerror(rv, text, sizeof(text)));
            exit(1);
        }
        apr_pool_destroy(pool);
        if (isatty(STDERR_FILENO)) {
            fprintf(stderr, "\r%ld of %ld %s", batch.end, n, what);
        }
    }
    if (isatty(STDERR_FILENO) && n > 0) {
        fputc('\n', stderr);
    }
}

static apr_status_t grant_tx(hb_op_t *op, void *baton)
{
    const apr_int64_t *coins = baton;
    const hb_query_t query = { .in = HB_C_USERS, .sort = { { "createdAt", 1 } },
                               .limit = BATCH };
    hb_page_t page;
    apr_status_t rv = hb_store_find(&page, op, &query);
    int i;

    for (i = 0; rv == APR_SUCCESS && i < page.n_items; i++) {
        const char *id = hb_json_string(page.items[i], "_id");
        hb_entry_t entry = { .kind = "adjustment", .reason = "to be measured", .user_id = id,
                             .key = apr_pstrcat(op->pool, "grant:", hb_id_make(op), NULL) };

        hb_entry_add(&entry, HB_ACCOUNT_MINT, HB_COIN, -*coins);
        hb_entry_add(&entry, hb_account_user(op, id), HB_COIN, *coins);
        rv = hb_ledger_post(NULL, op, &entry);
    }
    return rv;
}

static apr_status_t grant(hb_site_t *site, apr_int64_t coins)
{
    static const char gift[] = "[{\"code\":\"bench\",\"name\":\"Bench\",\"priceCoins\":1}]";
    hb_op_t *op = hb_op_make(site, site->pool);
    hb_json_t *list;
    int n;
    apr_status_t rv = hb_store_transact(op, grant_tx, &coins);

    if (rv == APR_SUCCESS) {
        rv = hb_gift_seed(&n, op, hb_json_parse_own(gift, strlen(gift), op->pool));
    }
    if (rv == APR_SUCCESS) {
        rv = hb_gift_catalog(&list, op, 1, NULL);
    }
    if (rv == APR_SUCCESS) {
        printf("%s\n", hb_json_string(hb_json_item(hb_json_get(list, "items"), 0), "id"));
    }
    return rv;
}

int main(int argc, const char *const *argv)
{
    hb_log_t log = { complain, NULL, HB_LOG_WARNING };
    hb_settings_draft_t *draft;
    const hb_setting_row_t *row;
    const char *state = NULL, *why;
    long users = 0, streams = 0, live = 0, orders = 0, coins = 0;
    const char *provider = "stripe";
    hb_site_memory_t none = { 0 };
    apr_pool_t *pool;
    hb_site_t *site;
    int i;

    apr_app_initialize(&argc, &argv, NULL);
    apr_pool_create(&pool, NULL);
    for (i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--state") == 0) {
            state = argv[i + 1];
        }
        else if (strcmp(argv[i], "--users") == 0) {
            users = atol(argv[i + 1]);
        }
        else if (strcmp(argv[i], "--streams") == 0) {
            streams = atol(argv[i + 1]);
        }
        else if (strcmp(argv[i], "--live") == 0) {
            live = atol(argv[i + 1]);
        }
        else if (strcmp(argv[i], "--orders") == 0) {
            orders = atol(argv[i + 1]);
        }
        else if (strcmp(argv[i], "--provider") == 0) {
            provider = argv[i + 1];
        }
        else if (strcmp(argv[i], "--grant") == 0) {
            coins = atol(argv[i + 1]);
        }
    }
    if (state == NULL || (orders > 0 && users <= 0)) {
        fprintf(stderr, "usage: bench_fill --state DIR [--users N] [--streams N] [--live N] "
                "[--orders N [--provider NAME]] [--grant COINS]\n");
        return 2;
    }
    draft = hb_settings_draft_make(pool);
    row = hb_setting_row("HaloBuzzStateDir");
    if ((why = hb_settings_set(draft, row, state, pool)) != NULL
        || (why = hb_settings_finish(draft, pool)) != NULL
        || hb_site_make(&site, &why, &draft->values, &log, pool) != APR_SUCCESS
        || hb_site_open(site, &none, pool) != APR_SUCCESS) {
        fprintf(stderr, "bench_fill: %s\n", why != NULL ? why : "the site cannot be opened");
        return 1;
    }
    fill(site, "users", (batch_t){ .what = USERS }, users);
    fill(site, "streams", (batch_t){ .what = STREAMS, .live = live }, streams);
    fill(site, "orders", (batch_t){ .what = ORDERS, .users = users, .provider = provider },
         orders);
    for (i = 0; i < orders; i++) {
        printf("0d%022lx %024lx 499 usd 500\n", (long)i + 1, i % users + 1);
    }
    if (coins > 0 && grant(site, coins) != APR_SUCCESS) {
        fprintf(stderr, "bench_fill: coins cannot be granted\n");
        return 1;
    }
    apr_pool_destroy(pool);
    return 0;
}
