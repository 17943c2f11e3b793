/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who was active on a day: who registered, signed in, streamed, watched, spoke or gave. Each of
 * these is a set of ids that the store gives without documents; people are counted once.
 */
#include "hb_report_private.h"

#include <apr_strings.h>
#include <apr_tables.h>

#define HOUR_MSEC APR_INT64_C(3600000)
#define STREAM_MSEC (48 * HOUR_MSEC)    /* streams that began longer before a day are not looked at for who watched */
#define STREAMS_A_STEP 200

static apr_status_t add_registered(hb_report_work_t *w, hb_crowd_t *crowd)
{
    const hb_cond_t where[] = {
        { "createdAt", HB_AT_LEAST, HB_INT(w->from) }, { "createdAt", HB_BELOW, HB_INT(w->to) },
    };
    const hb_query_t query = { .in = HB_C_USERS, .where = where, .n_where = 2 };

    return hb_store_values(w->op, &query, "_id", hb_crowd_add, crowd);
}

static apr_status_t add_signed_in(hb_report_work_t *w, hb_crowd_t *crowd)
{
    const hb_cond_t where[] = {
        { "action", HB_IS, HB_STR("auth.login") },
        { "timestamp", HB_AT_LEAST, HB_INT(w->from) }, { "timestamp", HB_BELOW, HB_INT(w->to) },
        { "result", HB_IS, HB_STR("success") },
    };
    const hb_query_t query = { .in = HB_C_AUDIT, .where = where, .n_where = 4 };

    return hb_store_values(w->op, &query, "userId", hb_crowd_add, crowd);
}

static apr_status_t add_speakers(hb_report_work_t *w, hb_crowd_t *crowd)
{
    apr_status_t rv = APR_SUCCESS;
    apr_int64_t at;

    for (at = w->from; at < w->to && rv == APR_SUCCESS; at += HOUR_MSEC) {
        const hb_cond_t where[] = {
            { .field = "_id", .how = HB_AT_LEAST, .value = hb_report_id_at(w, at) },
            { .field = "_id", .how = HB_BELOW,
              .value = hb_report_id_at(w, at + HOUR_MSEC < w->to ? at + HOUR_MSEC : w->to) },
        };
        const hb_query_t query = { .in = HB_C_MESSAGES, .where = where, .n_where = 2 };

        rv = hb_store_values(w->op, &query, "userId", hb_crowd_add, crowd);
        if (rv == APR_SUCCESS) {
            rv = hb_report_step(w);
        }
    }
    return rv;
}

static int push_id(void *baton, const char *id)
{
    apr_array_header_t *ids = baton;

    APR_ARRAY_PUSH(ids, const char *) = apr_pstrdup(ids->pool, id);
    return 0;
}

/* Hosts of what went live that day, and the streams that somebody may have watched then. */
static apr_status_t add_hosts(hb_report_work_t *w, hb_crowd_t *crowd, apr_array_header_t *streams)
{
    static const char *const states[] = { "live", "ended" };
    apr_status_t rv = APR_SUCCESS;
    int i;

    for (i = 0; i < 2 && rv == APR_SUCCESS; i++) {
        hb_cond_t where[] = {
            { "status", HB_IS, HB_STR(states[i]) },
            { "startedAt", HB_AT_LEAST, HB_INT(w->from) },
            { "startedAt", HB_BELOW, HB_INT(w->to) },
        };
        const hb_query_t query = { .in = HB_C_STREAMS, .where = where, .n_where = 3 };

        rv = hb_store_values(w->op, &query, "hostId", hb_crowd_add, crowd);
        if (rv == APR_SUCCESS) {
            where[1].value.integer = w->from - STREAM_MSEC;
            rv = hb_store_values(w->op, &query, "_id", push_id, streams);
        }
    }
    return rv;
}

static apr_status_t add_viewers(hb_report_work_t *w, hb_crowd_t *crowd,
                                const apr_array_header_t *streams)
{
    apr_pool_t *all = w->op->pool, *some;
    apr_status_t rv = APR_SUCCESS;
    int i;

    apr_pool_create(&some, all);
    for (i = 0; i < streams->nelts && rv == APR_SUCCESS; i++) {
        const hb_cond_t where[] = {
            { "streamId", HB_IS, HB_STR(APR_ARRAY_IDX(streams, i, const char *)) },
            { "joinedAt", HB_AT_LEAST, HB_INT(w->from) },
            { "joinedAt", HB_BELOW, HB_INT(w->to) },
        };
        const hb_query_t query = { .in = HB_C_VIEWS, .where = where, .n_where = 3 };

        w->op->pool = some;
        rv = hb_store_values(w->op, &query, "userId", hb_crowd_add, crowd);
        w->op->pool = all;
        if (rv == APR_SUCCESS && i % STREAMS_A_STEP == STREAMS_A_STEP - 1) {
            apr_pool_clear(some);
            rv = hb_report_step(w);
        }
    }
    return rv;
}

apr_status_t hb_report_people(hb_report_work_t *w)
{
    apr_array_header_t *streams = apr_array_make(w->op->pool, 64, sizeof(const char *));
    hb_crowd_t *crowd = w->givers;      /* the others join those who gave */
    apr_status_t rv = add_registered(w, crowd);

    if (rv == APR_SUCCESS) {
        rv = add_signed_in(w, crowd);
    }
    if (rv == APR_SUCCESS) {
        rv = add_speakers(w, crowd);
    }
    if (rv == APR_SUCCESS) {
        rv = add_hosts(w, crowd, streams);
    }
    if (rv == APR_SUCCESS) {
        rv = add_viewers(w, crowd, streams);
    }
    if (rv == APR_SUCCESS && hb_crowd_is_short(crowd)) {
        rv = hb_fail(w->op, HB_E_INTERNAL, "no memory for the ids of who was active");
    }
    if (rv == APR_SUCCESS) {
        hb_report_set(w, "users", "active", (apr_int64_t)hb_crowd_sort(crowd));
    }
    return rv;
}
