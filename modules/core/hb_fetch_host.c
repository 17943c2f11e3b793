/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hosts that do not answer. After some failures in a row a host is left alone; when the
 * time is over one call goes through on trial, and how that goes decides: all calls again,
 * or twice the time. Only so many calls may wait for one host at once, because each holds a
 * thread of httpd: a provider that is merely slow must not take all of them. A table of a few
 * rows, because we talk to a few hosts; one that does not fit is simply always called.
 */
#include "hb_fetch_host.h"

#include <string.h>

#include <apr_strings.h>
#include <apr_thread_mutex.h>

#define HOSTS_MAX 16
#define NAME_BYTES 280
#define FAILURES_MAX 5
#define CALLS_MAX 16            /* at once; httpd has 25 threads a child when nobody changed it */
#define HOLD_USEC apr_time_from_sec(5)
#define HOLD_MAX_USEC apr_time_from_sec(60)
#define TRIAL_USEC apr_time_from_sec(60)    /* a trial of which nothing was heard ends */

typedef struct host_t {
    char name[NAME_BYTES];
    int calls;                  /* under way in this process */
    int failures;               /* in a row */
    apr_interval_time_t hold;   /* 0 while it is called freely */
    apr_time_t held_at;         /* since when */
    apr_time_t trial_at;        /* 0: nobody tries it */
} host_t;

struct hb_fetch_hosts_t {
    apr_thread_mutex_t *lock;
    host_t rows[HOSTS_MAX];
};

apr_status_t hb_fetch_hosts_make(hb_fetch_hosts_t **made, apr_pool_t *pool)
{
    *made = apr_pcalloc(pool, sizeof(**made));
    return apr_thread_mutex_create(&(*made)->lock, APR_THREAD_MUTEX_DEFAULT, pool);
}

/* Under the lock. NULL when the host has no row and there is none to give. */
static host_t *row_of(hb_fetch_hosts_t *hosts, const char *name, int may_make)
{
    int i;

    for (i = 0; i < HOSTS_MAX && *hosts->rows[i].name != '\0'; i++) {
        if (strcmp(hosts->rows[i].name, name) == 0) {
            return &hosts->rows[i];
        }
    }
    if (!may_make || i == HOSTS_MAX || strlen(name) >= NAME_BYTES) {
        return NULL;
    }
    apr_cpystrn(hosts->rows[i].name, name, NAME_BYTES);
    return &hosts->rows[i];
}

/* Is `when` within the span before now? A clock that was set back ends every wait. */
static int is_within(apr_time_t now, apr_time_t when, apr_interval_time_t span)
{
    return when != 0 && now >= when && now - when < span;
}

/* How long more it is left alone; 0 also for who tries it out. Under the lock. */
static apr_interval_time_t left_alone(host_t *row, apr_time_t now)
{
    if (row->hold == 0) {
        return 0;
    }
    if (is_within(now, row->held_at, row->hold)) {
        return row->held_at + row->hold - now;
    }
    if (is_within(now, row->trial_at, TRIAL_USEC)) {
        return APR_USEC_PER_SEC;
    }
    row->trial_at = now;
    return 0;
}

int hb_fetch_host_enter(hb_fetch_hosts_t *hosts, hb_op_t *op, const char *host)
{
    apr_time_t now = op->site->clock(op->site->baton);
    apr_interval_time_t left = 0;
    host_t *row;

    apr_thread_mutex_lock(hosts->lock);
    row = row_of(hosts, host, 1);
    if (row != NULL) {
        left = row->calls >= CALLS_MAX ? APR_USEC_PER_SEC : left_alone(row, now);
        row->calls += left == 0;
    }
    apr_thread_mutex_unlock(hosts->lock);
    return (int)((left + APR_USEC_PER_SEC - 1) / APR_USEC_PER_SEC);
}

void hb_fetch_host_leave(hb_fetch_hosts_t *hosts, const char *host)
{
    host_t *row;

    apr_thread_mutex_lock(hosts->lock);
    row = row_of(hosts, host, 0);
    if (row != NULL) {
        row->calls--;
    }
    apr_thread_mutex_unlock(hosts->lock);
}

void hb_fetch_host_note(hb_fetch_hosts_t *hosts, hb_op_t *op, const char *host, int is_well)
{
    apr_time_t now = op->site->clock(op->site->baton);
    apr_interval_time_t begun = 0;
    int is_over = 0;
    host_t *row;

    apr_thread_mutex_lock(hosts->lock);
    row = row_of(hosts, host, 0);
    if (row != NULL && is_well) {
        is_over = row->hold > 0;
        row->failures = 0;
        row->hold = 0;
        row->trial_at = 0;
    }
    else if (row != NULL) {
        row->failures++;
        if (row->failures >= FAILURES_MAX && !is_within(now, row->held_at, row->hold)) {
            row->hold = row->hold == 0 ? HOLD_USEC
                : row->hold * 2 < HOLD_MAX_USEC ? row->hold * 2 : HOLD_MAX_USEC;
            row->held_at = now;
            begun = row->hold;
        }
        row->trial_at = 0;
    }
    apr_thread_mutex_unlock(hosts->lock);
    if (begun > 0) {
        hb_log(op, HB_LOG_WARNING, 0, HBLOGNO(00415) "%s does not answer: it is left alone "
               "for %d s", host, (int)apr_time_sec(begun));
    }
    else if (is_over) {
        hb_log(op, HB_LOG_NOTICE, 0, HBLOGNO(00416) "%s answers again", host);
    }
}
