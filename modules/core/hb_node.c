/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes. One that is given up is marked as lost first, so that it learns of it when it was
 * only slow; then its viewers are counted out, each in a transaction that looks whether the
 * mark still stands; then its record goes, unless it has come back meanwhile.
 */
#include "hb_node.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <apr_hash.h>
#include <apr_network_io.h>
#include <apr_strings.h>

#include "hb_file.h"
#include "hb_memory.h"
#include "hb_store.h"
#include "hb_viewer.h"

#define ID_FILE "node.id"
#define NODES_MOST 1000
#define VIEWERS_AT_ONCE 100

/* --- who we are --- */

static int read_id(char *id, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0) {
        return errno;
    }
    n = read(fd, id, HB_ID_LENGTH);
    close(fd);
    id[HB_ID_LENGTH] = '\0';
    return n == HB_ID_LENGTH && strspn(id, "0123456789abcdef") == HB_ID_LENGTH ? 0 : EINVAL;
}

/* Whole or not at all; one that is there already wins over ours. */
static int write_id(const char *path, const char *fresh, const char *id)
{
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), problem;

    if (fd < 0) {
        return errno;
    }
    problem = hb_file_write(fd, id, HB_ID_LENGTH);
    if (problem == 0 && fsync(fd) != 0) {
        problem = errno;
    }
    close(fd);
    if (problem == 0 && link(fresh, path) != 0 && errno != EEXIST) {
        problem = errno;
    }
    unlink(fresh);
    return problem;
}

apr_status_t hb_node_id(const char **id, const char *dir, apr_pool_t *pool)
{
    const char *path = apr_pstrcat(pool, dir, "/" ID_FILE, NULL);
    char *text = apr_palloc(pool, HB_ID_LENGTH + 1);
    int problem = read_id(text, path);

    if (problem == ENOENT) {
        apr_snprintf(text, HB_ID_LENGTH + 1, "%016" APR_UINT64_T_HEX_FMT "%08x",
                     hb_memory_random(), (unsigned int)hb_memory_random());
        problem = write_id(path, apr_psprintf(pool, "%s.%ld", path, (long)getpid()), text);
        if (problem == 0) {
            problem = read_id(text, path);
        }
    }
    *id = text;
    return problem;
}

/* --- living --- */

static apr_status_t begin(hb_op_t *op)
{
    hb_json_t *node = hb_json_object_make(op->pool);
    char name[256] = "";
    apr_status_t rv;

    apr_gethostname(name, sizeof(name), op->pool);
    hb_json_set_string(node, "_id", op->site->node);
    hb_json_set_string(node, "name", name);
    hb_json_set_int(node, "beat", 1);
    hb_json_set_int(node, "startedAt", apr_time_as_msec(op->now));
    hb_json_set_int(node, "seenAt", apr_time_as_msec(op->now));
    rv = hb_store_insert(NULL, op, HB_C_NODES, node);
    /* Another thread of this node beat just now. */
    return rv == HB_E_STORE_DUPLICATE ? APR_SUCCESS : rv;
}

apr_status_t hb_node_beat(int *was_away, hb_op_t *op)
{
    const hb_cond_t lives[] = { { "isLost", HB_IS, HB_NIL } };
    const hb_edit_t edits[] = {
        { "beat", HB_INC, HB_INT(1) },
        { "seenAt", HB_SET, HB_INT(apr_time_as_msec(op->now)) },
        { "isLost", HB_UNSET, HB_NIL },
    };
    apr_status_t rv = hb_store_change(NULL, NULL, op, HB_C_NODES, op->site->node, lives, 1, edits, 2);

    *was_away = rv == HB_E_STORE_GUARD || rv == HB_E_STORE_MISSING;
    if (rv == HB_E_STORE_GUARD) {
        rv = hb_store_change(NULL, NULL, op, HB_C_NODES, op->site->node, NULL, 0, edits, 3);
    }
    return rv == HB_E_STORE_MISSING ? begin(op) : rv;
}

/* --- viewers of a node --- */

apr_status_t hb_node_each_viewer(hb_op_t *op, const char *node, hb_node_viewer_fn *fn, void *baton)
{
    const hb_cond_t where[] = { { "nodeId", HB_IS, HB_STR(node) } };
    hb_query_t query = { .in = HB_C_VIEWS, .where = where, .n_where = 1,
                         .limit = VIEWERS_AT_ONCE };
    apr_pool_t *pool, *one;
    apr_status_t rv;

    apr_pool_create(&pool, op->pool);
    apr_pool_create(&one, op->pool);
    do {
        hb_op_t *finding = hb_op_make_as(op->site, pool, op->request_id);
        hb_page_t page;
        int i;

        rv = hb_store_find(&page, finding, &query);
        for (i = 0; rv == APR_SUCCESS && i < page.n_items; i++) {
            rv = fn(baton, hb_op_make_as(op->site, one, op->request_id),
                    hb_json_string(page.items[i], "streamId"),
                    hb_json_string(page.items[i], "userId"));
            apr_pool_clear(one);
        }
        /* What is behind the last one does not change by what was done to those before it. */
        query.after = rv == APR_SUCCESS && page.next != NULL ? apr_pstrdup(op->pool, page.next)
            : NULL;
        apr_pool_clear(pool);
    } while (rv == APR_SUCCESS && query.after != NULL);
    apr_pool_destroy(one);
    apr_pool_destroy(pool);
    return rv;
}

/* --- the others --- */

typedef struct seen_t {
    char id[HB_ID_LENGTH + 1];
    apr_int64_t beat, moved_at;
} seen_t;

/* Hosts come and go for as long as this one runs: a look makes the table anew, of those it found. */
struct hb_node_watch_t {
    apr_pool_t *pool, *other;   /* where the table lies, and where the next one will */
    apr_hash_t *seen;
};

hb_node_watch_t *hb_node_watch_make(apr_pool_t *pool)
{
    hb_node_watch_t *watch = apr_pcalloc(pool, sizeof(*watch));

    /* Its own: hb_node_watch() takes from them in whatever thread it is called. */
    apr_pool_create(&watch->pool, pool);
    apr_pool_create(&watch->other, pool);
    watch->seen = apr_hash_make(watch->pool);
    return watch;
}

/* Take a node over into the next table. @return since when it has not moved */
static apr_int64_t note(apr_hash_t *next, const hb_node_watch_t *watch, const hb_json_t *node,
                        apr_int64_t now_usec)
{
    const char *id = hb_json_string(node, "_id");
    const seen_t *before = apr_hash_get(watch->seen, id, APR_HASH_KEY_STRING);
    seen_t *seen = apr_pcalloc(watch->other, sizeof(*seen));

    apr_cpystrn(seen->id, id, sizeof(seen->id));
    seen->beat = hb_json_int(node, "beat", 0);
    seen->moved_at = before != NULL && before->beat == seen->beat ? before->moved_at : now_usec;
    apr_hash_set(next, seen->id, APR_HASH_KEY_STRING, seen);
    return seen->moved_at;
}

static void turn_over(hb_node_watch_t *watch, apr_hash_t *next)
{
    apr_pool_t *old = watch->pool;

    watch->pool = watch->other;
    watch->other = old;
    watch->seen = next;
    apr_pool_clear(old);
}

typedef struct giving_up_t {
    const char *node;
    apr_int64_t n_out;
} giving_up_t;

static apr_status_t count_out(void *baton, hb_op_t *op, const char *stream_id, const char *user_id)
{
    giving_up_t *giving_up = baton;
    apr_status_t rv = hb_viewer_leave_lost(op, stream_id, user_id, giving_up->node);

    giving_up->n_out += rv == APR_SUCCESS;
    return rv == HB_E_STREAM_UNKNOWN ? APR_SUCCESS : rv;
}

static apr_status_t give_up(apr_int64_t *n_out, hb_op_t *op, const hb_json_t *node)
{
    const char *id = hb_json_string(node, "_id");
    const hb_cond_t as_seen[] = { { "beat", HB_IS, HB_INT(hb_json_int(node, "beat", 0)) } };
    const hb_cond_t is_lost[] = { { "isLost", HB_IS, HB_BOOL(1) } };
    const hb_edit_t edits[] = { { "isLost", HB_SET, HB_BOOL(1) } };
    giving_up_t giving_up = { id, 0 };
    apr_status_t rv;

    rv = hb_store_change(NULL, NULL, op, HB_C_NODES, id, as_seen, 1, edits, 1);
    if (rv == APR_SUCCESS) {
        rv = hb_node_each_viewer(op, id, count_out, &giving_up);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_remove(op, HB_C_NODES, id, is_lost, 1);
    }
    *n_out += giving_up.n_out;
    if (rv == APR_SUCCESS) {
        hb_log(op, HB_LOG_NOTICE, 0, HBLOGNO(00491) "host %s (node %s) has not been heard of for "
               "too long; its %" APR_INT64_T_FMT " viewers are not counted by way of it any more",
               hb_json_string(node, "name") != NULL ? hb_json_string(node, "name") : "", id,
               giving_up.n_out);
    }
    /* It came back, or another node was quicker. */
    return rv == HB_E_STORE_GUARD || rv == HB_E_STORE_MISSING ? APR_SUCCESS : rv;
}

apr_status_t hb_node_watch(apr_int64_t *n_out, hb_node_watch_t *watch, hb_op_t *op,
                           apr_int64_t now_usec, apr_interval_time_t lost_usec)
{
    const hb_query_t query = { .in = HB_C_NODES, .limit = NODES_MOST };
    apr_hash_t *next = apr_hash_make(watch->other);
    hb_page_t page;
    apr_status_t rv = hb_store_find(&page, op, &query);
    int i;

    *n_out = 0;
    if (rv != APR_SUCCESS) {
        apr_pool_clear(watch->other);
        return rv;
    }
    for (i = 0; i < page.n_items; i++) {
        const char *id = hb_json_string(page.items[i], "_id");

        if (op->site->node != NULL && strcmp(id, op->site->node) == 0) {
            continue;
        }
        if (now_usec - note(next, watch, page.items[i], now_usec) >= lost_usec
            && rv == APR_SUCCESS) {
            rv = give_up(n_out, op, page.items[i]);
            if (rv == APR_SUCCESS) {    /* who comes back counts from 1 again */
                apr_hash_set(next, id, APR_HASH_KEY_STRING, NULL);
            }
        }
    }
    turn_over(watch, next);
    return rv;
}
