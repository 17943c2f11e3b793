/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Coming and going. The person's record and the stream's counts change in one transaction;
 * what it costs the room (score, watched time) is added, never set, so the order does
 * not matter.
 */
#include "hb_viewer.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_bus.h"
#include "hb_metrics.h"
#include "hb_room.h"
#include "hb_schema.h"
#include "hb_store.h"
#include "hb_stream.h"
#include "hb_stream_list.h"
#include "hb_user.h"

typedef struct visit_t {
    const char *stream_id;
    const char *view_id;
    const char *user_id;
    const char *node;           /* by way of which; NULL for none */
    int is_lost;                /* that node, when it was looked at */
    int is_again;               /* say in any case that it is by way of this node */
    hb_json_t *stream;          /* as it is afterwards */
    int did_change;
} visit_t;

static const char *pair_id(apr_pool_t *pool, const char *a, const char *b)
{
    return apr_pstrcat(pool, a, ":", b, NULL);
}

/* Is there a record with this id? */
static apr_status_t has(int *it_has, hb_op_t *op, hb_collection_e in, const char *id)
{
    hb_json_t *doc;
    apr_status_t rv = hb_store_get(&doc, op, in, id);

    *it_has = rv == APR_SUCCESS;
    return rv == HB_E_STORE_MISSING ? APR_SUCCESS : rv;
}

apr_status_t hb_viewer_check_blocks(hb_op_t *op, const char *host_id, const char *user_id)
{
    int by_host = 0, by_user = 0;
    apr_status_t rv;

    rv = has(&by_host, op, HB_C_BLOCKS, pair_id(op->pool, host_id, user_id));
    if (rv == APR_SUCCESS) {
        rv = has(&by_user, op, HB_C_BLOCKS, pair_id(op->pool, user_id, host_id));
    }
    if (rv == APR_SUCCESS && (by_host || by_user)) {
        rv = hb_fail(op, HB_E_USER_BLOCKED, "you and this host are not in each other's rooms");
    }
    return rv;
}

/* The room hears who came and went; how many watch goes with it. */
static void tell_moved(hb_op_t *op, const visit_t *visit, int is_in)
{
    hb_json_t *user, *news;

    hb_stream_rank(op, visit->stream);
    hb_stream_tell_metrics(op, visit->stream);
    if (hb_user_load(&user, op, visit->user_id) != APR_SUCCESS) {
        hb_op_recover(op);      /* an account that is going away */
        return;
    }
    news = hb_json_object_make(op->pool);
    hb_json_set(news, "user", hb_user_view(op, user, HB_ALL));
    hb_json_set_bool(news, "isIn", is_in);
    hb_json_set_int(news, "viewers", hb_json_int(visit->stream, "viewers", 0));
    hb_bus_publish(op, HB_EV_VIEWER_MOVED, visit->stream_id, news);
}

/* --- in --- */

static int has_node(const hb_json_t *nodes, const char *node)
{
    int i;

    for (i = 0; i < hb_json_length(nodes); i++) {
        if (strcmp(hb_json_string_value(hb_json_item(nodes, i)), node) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Inside already: by way of this node, too. */
static apr_status_t note_node(hb_op_t *op, const visit_t *visit, const hb_json_t *view)
{
    const hb_edit_t edits[] = {
        { "nodeId", visit->is_again ? HB_SET : HB_SET_IF_ABSENT, HB_STR(visit->node) },
        { "nodeIds", HB_PUSH, HB_STR(visit->node) },
    };
    int is_noted = visit->node == NULL || has_node(hb_json_get(view, "nodeIds"), visit->node);

    if (is_noted && !(visit->is_again && visit->node != NULL)) {
        return APR_SUCCESS;
    }
    return hb_store_change(NULL, NULL, op, HB_C_VIEWS, visit->view_id, NULL, 0, edits,
                           is_noted ? 1 : 2);
}

/* Write the person's record. @param is_new  set when it is their first time here */
static apr_status_t note_join(int *is_new, int *was_inside, hb_op_t *op,
                              const visit_t *visit, apr_int64_t now_msec)
{
    hb_json_t *view;
    apr_status_t rv = hb_store_get(&view, op, HB_C_VIEWS, visit->view_id);

    *is_new = rv == HB_E_STORE_MISSING;
    *was_inside = 0;
    if (rv == HB_E_STORE_MISSING) {
        view = hb_json_object_make(op->pool);
        hb_json_set_string(view, "_id", visit->view_id);
        hb_json_set_string(view, "streamId", visit->stream_id);
        hb_json_set_string(view, "userId", visit->user_id);
        hb_json_set_bool(view, "isInRoom", 1);
        hb_json_set_int(view, "joinedAt", now_msec);
        hb_json_set_int(view, "visits", 1);
        if (visit->node != NULL) {
            hb_json_t *nodes = hb_json_array_make(op->pool);

            hb_json_push_string(nodes, visit->node);
            hb_json_set(view, "nodeIds", nodes);
            hb_json_set_string(view, "nodeId", visit->node);
        }
        return hb_store_insert(NULL, op, HB_C_VIEWS, view);
    }
    if (rv == APR_SUCCESS && hb_json_bool(view, "isInRoom", 0)) {
        *was_inside = 1;
        rv = note_node(op, visit, view);
    }
    else if (rv == APR_SUCCESS) {
        const hb_edit_t edits[] = {
            { "isInRoom", HB_SET, HB_BOOL(1) },
            { "joinedAt", HB_SET, HB_INT(now_msec) },
            { "visits", HB_INC, HB_INT(1) },
            { "nodeId", HB_SET, HB_STR(visit->node) },
            { "nodeIds", HB_PUSH, HB_STR(visit->node) },
        };

        rv = hb_store_change(NULL, NULL, op, HB_C_VIEWS, visit->view_id, NULL, 0, edits,
                             visit->node != NULL ? 5 : 3);
    }
    return rv;
}

static apr_status_t join_tx(hb_op_t *op, void *baton)
{
    visit_t *visit = baton;
    apr_int64_t now_msec = apr_time_as_msec(op->now), started_at, viewers;
    int is_new, was_inside;
    apr_status_t rv;

    visit->did_change = 0;
    rv = hb_stream_get(&visit->stream, op, visit->stream_id);
    if (rv == APR_SUCCESS) {
        rv = hb_stream_next(NULL, op, hb_stream_state(visit->stream), HB_STREAM_JOIN);
    }
    if (rv != APR_SUCCESS || hb_stream_is_host(op, visit->stream)) {
        return rv;
    }
    rv = hb_viewer_check_blocks(op, hb_json_string(visit->stream, "hostId"),
                                op->actor.user_id);
    if (rv == APR_SUCCESS) {
        rv = hb_room_check_entry(op, hb_json_string(visit->stream, "hostId"));
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    started_at = hb_json_int(visit->stream, "startedAt", 0);
    if (now_msec < started_at) {
        now_msec = started_at;
    }
    rv = note_join(&is_new, &was_inside, op, visit, now_msec);
    if (rv != APR_SUCCESS || was_inside) {
        return rv;
    }
    viewers = hb_json_int(visit->stream, "viewers", 0) + 1;
    {
        hb_edit_t edits[6] = {
            { "viewers", HB_INC, HB_INT(1) },
            { "totalViews", HB_INC, HB_INT(1) },
            { "uniqueViewers", HB_INC, HB_INT(is_new) },
            { "watchMsec", HB_INC, HB_INT(started_at - now_msec) },
            { "score", HB_INC, HB_INT(HB_SCORE_VIEWER + (is_new ? HB_SCORE_PERSON : 0)) },
            { "peakViewers", HB_SET, HB_INT(viewers) },
        };
        int is_peak = viewers > hb_json_int(visit->stream, "peakViewers", 0);

        rv = hb_store_change(&visit->stream, NULL, op, HB_C_STREAMS, visit->stream_id,
                             NULL, 0, edits, is_peak ? 6 : 5);
    }
    visit->did_change = 1;
    return rv;
}

static apr_status_t join(hb_json_t **stream, hb_op_t *op, const char *stream_id, int is_again)
{
    visit_t visit = { .stream_id = stream_id, .user_id = op->actor.user_id,
                      .node = op->site->node, .is_again = is_again };
    apr_status_t rv;
    int tries = 3;

    if (op->actor.user_id == NULL) {
        return hb_fail(op, HB_E_AUTH_REQUIRED, "sign in to enter a room");
    }
    visit.view_id = pair_id(op->pool, stream_id, op->actor.user_id);
    do {
        rv = hb_store_transact(op, join_tx, &visit);
        /* A store whose writers do not queue tells two first joins at once by this. */
    } while (rv == HB_E_STORE_DUPLICATE && --tries > 0);
    if (rv == APR_SUCCESS && visit.did_change) {
        tell_moved(op, &visit, 1);
        hb_metric_add(op->site->metrics, HB_M_VIEWER_JOINS, 1);
    }
    *stream = visit.stream;
    return rv;
}

apr_status_t hb_viewer_join(hb_json_t **stream, hb_op_t *op, const char *stream_id)
{
    apr_status_t rv = join(stream, op, stream_id, 0);

    if (rv == APR_SUCCESS) {
        hb_stream_host_seen(op, *stream);
    }
    return rv;
}

apr_status_t hb_viewer_join_again(hb_op_t *op, const char *stream_id)
{
    hb_json_t *stream;

    return join(&stream, op, stream_id, 1);
}

/* --- out --- */

/* Those who are left of a view's nodes when this one goes; NULL when none is. A node
 * without record is lost, or will bring its viewers in again. */
static apr_status_t other_nodes(hb_json_t **others, hb_op_t *op, const visit_t *visit,
                                const hb_json_t *nodes)
{
    int i;

    *others = NULL;
    for (i = 0; i < hb_json_length(nodes); i++) {
        const char *node = hb_json_string_value(hb_json_item(nodes, i));
        int is_known;
        apr_status_t rv;

        if (strcmp(node, visit->node) == 0) {
            continue;
        }
        rv = has(&is_known, op, HB_C_NODES, node);
        if (rv != APR_SUCCESS) {
            return rv;
        }
        if (is_known && *others == NULL) {
            *others = hb_json_array_make(op->pool);
        }
        if (is_known) {
            hb_json_push_string(*others, node);
        }
    }
    return APR_SUCCESS;
}

/* Does he stay by way of others, or is this not the node's to say? */
static apr_status_t stay(int *stays, hb_op_t *op, const visit_t *visit, const hb_json_t *view)
{
    const hb_json_t *nodes = hb_json_get(view, "nodeIds");
    hb_json_t *others, *node;
    apr_status_t rv;

    *stays = 0;
    if (visit->is_lost) {
        rv = hb_store_get(&node, op, HB_C_NODES, visit->node);
        *stays = rv == HB_E_STORE_MISSING
            || (rv == APR_SUCCESS && !hb_json_bool(node, "isLost", 0));
        if (rv != APR_SUCCESS || *stays) {
            return rv == HB_E_STORE_MISSING ? APR_SUCCESS : rv;
        }
    }
    if (visit->node == NULL || hb_json_length(nodes) == 0) {
        return APR_SUCCESS;
    }
    rv = other_nodes(&others, op, visit, nodes);
    *stays = others != NULL;
    if (rv == APR_SUCCESS && *stays && has_node(nodes, visit->node)) {
        const hb_edit_t edits[] = {
            { "nodeIds", HB_SET, HB_DOC(others) },
            { "nodeId", HB_SET, HB_STR(hb_json_string_value(hb_json_item(others, 0))) },
        };

        rv = hb_store_change(NULL, NULL, op, HB_C_VIEWS, visit->view_id, NULL, 0, edits, 2);
    }
    return rv;
}

static apr_status_t leave_tx(hb_op_t *op, void *baton)
{
    visit_t *visit = baton;
    apr_int64_t now_msec = apr_time_as_msec(op->now), started_at;
    hb_json_t *view;
    apr_status_t rv;
    int stays;

    visit->did_change = 0;
    rv = hb_stream_get(&visit->stream, op, visit->stream_id);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = hb_store_get(&view, op, HB_C_VIEWS, visit->view_id);
    if (rv == HB_E_STORE_MISSING || (rv == APR_SUCCESS && !hb_json_bool(view, "isInRoom", 0))) {
        return APR_SUCCESS;
    }
    if (rv == APR_SUCCESS) {
        rv = stay(&stays, op, visit, view);
        if (rv != APR_SUCCESS || stays) {
            return rv;
        }
    }
    if (rv == APR_SUCCESS) {
        apr_int64_t joined_at = hb_json_int(view, "joinedAt", 0);

        if (now_msec < joined_at) {
            now_msec = joined_at;   /* the clock was set back: nobody watches less than nothing */
        }
    }
    if (rv == APR_SUCCESS) {
        const hb_edit_t edits[] = {
            { "isInRoom", HB_UNSET, HB_NIL },
            { "leftAt", HB_SET, HB_INT(now_msec) },
            { "nodeId", HB_UNSET, HB_NIL },
            { "nodeIds", HB_UNSET, HB_NIL },
        };

        rv = hb_store_change(NULL, NULL, op, HB_C_VIEWS, visit->view_id, NULL, 0, edits, 4);
    }
    if (rv == APR_SUCCESS) {
        started_at = hb_json_int(visit->stream, "startedAt", 0);
        {
            const hb_edit_t edits[] = {
                { "viewers", HB_INC, HB_INT(-1) },
                { "watchMsec", HB_INC, HB_INT(now_msec - started_at) },
                { "score", HB_INC, HB_INT(-HB_SCORE_VIEWER) },
            };

            rv = hb_store_change(&visit->stream, NULL, op, HB_C_STREAMS, visit->stream_id,
                                 NULL, 0, edits, 3);
        }
        visit->did_change = 1;
    }
    return rv;
}

static apr_status_t leave(hb_op_t *op, visit_t *visit)
{
    apr_status_t rv;

    visit->view_id = pair_id(op->pool, visit->stream_id, visit->user_id);
    rv = hb_store_transact(op, leave_tx, visit);
    if (rv == APR_SUCCESS && visit->did_change) {
        tell_moved(op, visit, 0);
    }
    return rv;
}

apr_status_t hb_viewer_leave(hb_op_t *op, const char *stream_id)
{
    visit_t visit = { .stream_id = stream_id, .user_id = op->actor.user_id,
                      .node = op->site->node };

    if (op->actor.user_id == NULL) {
        return hb_fail(op, HB_E_AUTH_REQUIRED, "sign in first");
    }
    return leave(op, &visit);
}

apr_status_t hb_viewer_leave_lost(hb_op_t *op, const char *stream_id, const char *user_id,
                                  const char *node)
{
    visit_t visit = { .stream_id = stream_id, .user_id = user_id, .node = node, .is_lost = 1 };

    return leave(op, &visit);
}

apr_status_t hb_viewer_leave_all(hb_op_t *op, const char *stream_id, apr_int64_t now_msec)
{
    const hb_cond_t where[] = {
        { "streamId", HB_IS, HB_STR(stream_id) },
        { "isInRoom", HB_IS, HB_BOOL(1) },
    };
    const hb_query_t query = { .in = HB_C_VIEWS, .where = where, .n_where = 2 };
    const hb_edit_t edits[] = {
        { "isInRoom", HB_UNSET, HB_NIL },
        { "leftAt", HB_SET, HB_INT(now_msec) },
        { "nodeId", HB_UNSET, HB_NIL },
        { "nodeIds", HB_UNSET, HB_NIL },
    };

    return hb_store_change_all(NULL, op, &query, edits, 4);
}
