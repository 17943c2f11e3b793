/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One task at a time in a thread: first what an earlier life of this program left in the records is
 * put right, then it beats three times in the time after which others would give it up. Is it
 * told that they did, everybody who is here by a socket is brought in again. Who comes before the
 * first beat beats for it: nobody else counts out the viewers of a node without a record.
 */
#include "rt_node.h"

#include <apr_strings.h>

#include "hb_limit.h"
#include "hb_node.h"

struct rt_node_t {
    hb_site_t *site;
    rt_viewers_t *viewers;
    hb_node_watch_t *watch;
    apr_int64_t next_at;        /* hb_limit_now() */
    int is_busy;
    int is_settled;             /* records of an earlier life were looked at */
    int is_known;               /* others know of it; atomic, like the next one */
    int is_away;                /* viewers have to be brought in again */
};

typedef struct beat_t {
    rt_task_t task;
    rt_node_t *node;
} beat_t;

rt_node_t *rt_node_make(hb_site_t *site, rt_viewers_t *viewers, apr_pool_t *pool)
{
    rt_node_t *node = apr_pcalloc(pool, sizeof(*node));
    apr_status_t rv = hb_node_id(&site->node, site->settings->state_dir, pool);

    node->site = site;
    node->viewers = viewers;
    node->watch = hb_node_watch_make(pool);
    if (rv != APR_SUCCESS) {
        hb_log_to(&site->log, HB_LOG_ERR, rv, HBLOGNO(06512) "node.id in %s cannot be used; viewers of "
                  "this host and of others are not told apart", site->settings->state_dir);
        site->node = NULL;
    }
    return node;
}

static apr_status_t beat_once(rt_node_t *node, hb_op_t *op)
{
    int was_away;
    apr_status_t rv = hb_node_beat(&was_away, op);

    if (rv == APR_SUCCESS) {
        if (was_away) {
            __atomic_store_n(&node->is_away, 1, __ATOMIC_RELAXED);
        }
        __atomic_store_n(&node->is_known, 1, __ATOMIC_RELEASE);
    }
    return rv;
}

apr_status_t rt_node_join(hb_json_t **stream, rt_node_t *node, hb_op_t *op, const char *stream_id)
{
    if (node->site->node != NULL && !__atomic_load_n(&node->is_known, __ATOMIC_ACQUIRE)) {
        apr_status_t rv = beat_once(node, op);

        if (rv != APR_SUCCESS) {
            return rv;
        }
    }
    return rt_viewers_join(stream, node->viewers, op, stream_id);
}

static apr_status_t settle_one(void *baton, hb_op_t *op, const char *stream_id, const char *user_id)
{
    const rt_node_t *node = baton;
    apr_status_t rv;

    op->actor.user_id = user_id;
    rv = rt_viewers_settle(node->viewers, op, stream_id);
    return rv == HB_E_STREAM_UNKNOWN ? APR_SUCCESS : rv;
}

/* @return could all that may be in be brought in? */
static int bring_in_all(rt_node_t *node, hb_op_t *op)
{
    const rt_viewer_t *all;
    apr_pool_t *pool;
    int n = rt_viewers_list(&all, node->viewers, op->pool), i, n_failed = 0;

    apr_pool_create(&pool, op->pool);
    for (i = 0; i < n && n_failed == 0; i++) {
        hb_op_t *one = hb_op_make_as(op->site, pool, op->request_id);
        apr_status_t rv;

        one->actor.user_id = all[i].user_id;
        rv = rt_viewers_join_again(node->viewers, one, all[i].stream_id);
        n_failed += rv == HB_E_STORE_DOWN || rv == HB_E_STORE_CONFLICT;
        apr_pool_clear(pool);
    }
    return n_failed == 0;
}

static void beat_run(rt_task_t *task)
{
    rt_node_t *node = ((beat_t *)task)->node;
    hb_op_t *op = task->op;
    apr_int64_t n_out;

    task->rv = beat_once(node, op);
    /* Cleared first: what is told meanwhile is not lost. */
    if (task->rv == APR_SUCCESS && __atomic_exchange_n(&node->is_away, 0, __ATOMIC_RELAXED)
        && !bring_in_all(node, op)) {
        __atomic_store_n(&node->is_away, 1, __ATOMIC_RELAXED);
    }
    if (task->rv == APR_SUCCESS && !node->is_settled) {
        task->rv = hb_node_each_viewer(op, op->site->node, settle_one, node);
        node->is_settled = task->rv == APR_SUCCESS;
    }
    if (task->rv == APR_SUCCESS) {
        task->rv = hb_node_watch(&n_out, node->watch, op, (apr_int64_t)hb_limit_now(),
                                 node->site->settings->realtime_node_lost);
    }
}

static void beat_done(rt_task_t *task)
{
    rt_node_t *node = ((beat_t *)task)->node;

    node->is_busy = 0;
    if (task->rv != APR_SUCCESS) {
        hb_log(task->op, HB_LOG_INFO, task->rv, HBLOGNO(06513) "this host cannot say that it lives, nor "
               "look at others");
    }
}

void rt_node_tick(rt_node_t *node, rt_works_t *works)
{
    apr_int64_t now = (apr_int64_t)hb_limit_now();
    beat_t *beat;

    if (node->site->node == NULL || node->is_busy || now < node->next_at) {
        return;
    }
    beat = rt_task_make(works, sizeof(*beat));
    if (beat != NULL) {
        node->is_busy = 1;
        node->next_at = now + node->site->settings->realtime_node_lost / 3;
        beat->task.run = beat_run;
        beat->task.done = beat_done;
        beat->node = node;
        rt_task_start(&beat->task, NULL);
    }
}
