/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many entries in one transaction: what they touch is read once, kept in memory while they are
 * made, and written once at the end. The chain's head, the platform's account and the totals would
 * otherwise be read and written again by each of them, which is half of what an entry costs.
 */
#include "hb_ledger_private.h"

#include <apr_hash.h>
#include <apr_strings.h>
#include <apr_tables.h>

#define LOAD_MAX 1000

/* A record as it stands in this run. */
typedef struct kept_t {
    hb_collection_e in;
    hb_json_t *doc;             /* NULL: there is none */
    int is_new;                 /* not in the store yet */
    int is_changed;
} kept_t;

struct hb_ledger_run_t {
    apr_pool_t *pool;
    apr_hash_t *by_id[HB_SHAPE_COUNT];      /* of kept_t; made when needed */
    apr_array_header_t *all;                /* of kept_t *, in the order they were met */
    apr_hash_t *keys;                       /* of entries: key -> id, "" when nobody has it */
};

hb_ledger_run_t *hb_ledger_run_begin(hb_op_t *op)
{
    hb_ledger_run_t *run = apr_pcalloc(op->pool, sizeof(*run));

    run->pool = op->pool;
    run->all = apr_array_make(op->pool, 256, sizeof(kept_t *));
    run->keys = apr_hash_make(op->pool);
    return run;
}

static kept_t *look_up(const hb_ledger_run_t *run, hb_collection_e in, const char *id)
{
    return run->by_id[in] != NULL ? apr_hash_get(run->by_id[in], id, APR_HASH_KEY_STRING) : NULL;
}

static kept_t *keep(hb_ledger_run_t *run, hb_collection_e in, const char *id, hb_json_t *doc)
{
    kept_t *kept = apr_pcalloc(run->pool, sizeof(*kept));

    kept->in = in;
    kept->doc = doc;
    if (run->by_id[in] == NULL) {
        run->by_id[in] = apr_hash_make(run->pool);
    }
    apr_hash_set(run->by_id[in], apr_pstrdup(run->pool, id), APR_HASH_KEY_STRING, kept);
    APR_ARRAY_PUSH(run->all, kept_t *) = kept;
    return kept;
}

/* All that have one of so many values in a field. */
static apr_status_t find_any(hb_page_t *page, hb_op_t *op, hb_collection_e in,
                             const char *field, const char *const *values, int n)
{
    hb_value_t *any = apr_palloc(op->pool, (apr_size_t)n * sizeof(*any));
    const hb_cond_t where[] = { { .field = field, .how = HB_ONE_OF, .any = any, .n_any = n } };
    const hb_query_t query = { .in = in, .where = where, .n_where = 1, .sort = { { field, 0 } },
                               .limit = n };
    int i;

    for (i = 0; i < n; i++) {
        any[i] = (hb_value_t)HB_STR(values[i]);
    }
    return hb_store_find(page, op, &query);
}

apr_status_t hb_ledger_run_load(hb_ledger_run_t *run, hb_op_t *op, hb_collection_e in,
                                const char *const *ids, int n)
{
    hb_page_t page;
    apr_status_t rv = n > 0 && n <= LOAD_MAX ? find_any(&page, op, in, "_id", ids, n)
        : n == 0 ? APR_SUCCESS : HB_E_INTERNAL;
    int i;

    if (rv != APR_SUCCESS || n == 0) {
        return rv;
    }
    for (i = 0; i < page.n_items; i++) {
        keep(run, in, hb_json_string(page.items[i], "_id"), page.items[i]);
    }
    for (i = 0; i < n; i++) {
        if (look_up(run, in, ids[i]) == NULL) {
            keep(run, in, ids[i], NULL);
        }
    }
    return APR_SUCCESS;
}

const hb_json_t *hb_ledger_run_doc(const hb_ledger_run_t *run, hb_collection_e in, const char *id)
{
    const kept_t *kept = look_up(run, in, id);

    return kept != NULL ? kept->doc : NULL;
}

apr_status_t hb_ledger_run_keys(hb_ledger_run_t *run, hb_op_t *op, const char *const *keys,
                                int n)
{
    hb_page_t page;
    apr_status_t rv = n > 0 && n <= LOAD_MAX
        ? find_any(&page, op, HB_C_TRANSACTIONS, "key", keys, n)
        : n == 0 ? APR_SUCCESS : HB_E_INTERNAL;
    int i;

    if (rv != APR_SUCCESS || n == 0) {
        return rv;
    }
    for (i = 0; i < n; i++) {
        apr_hash_set(run->keys, keys[i], APR_HASH_KEY_STRING, "");
    }
    for (i = 0; i < page.n_items; i++) {
        apr_hash_set(run->keys, hb_json_string(page.items[i], "key"), APR_HASH_KEY_STRING,
                     hb_json_string(page.items[i], "_id"));
    }
    return APR_SUCCESS;
}

int hb_ledger_run_has_key(const hb_ledger_run_t *run, const char *key)
{
    const char *id = apr_hash_get(run->keys, key, APR_HASH_KEY_STRING);

    return id != NULL && *id != '\0';
}

/* --- for hb_ledger.c --- */

const char *hb_run_key(const hb_ledger_run_t *run, const char *key)
{
    return apr_hash_get(run->keys, key, APR_HASH_KEY_STRING);
}

void hb_run_key_used(hb_ledger_run_t *run, const char *key, const char *id)
{
    apr_hash_set(run->keys, apr_pstrdup(run->pool, key), APR_HASH_KEY_STRING, id);
}

apr_status_t hb_run_get(hb_json_t **doc, hb_op_t *op, hb_ledger_run_t *run, hb_collection_e in,
                        const char *id)
{
    kept_t *kept;
    apr_status_t rv;

    if (run == NULL) {
        return hb_store_get(doc, op, in, id);
    }
    kept = look_up(run, in, id);
    if (kept == NULL) {
        rv = hb_store_get(doc, op, in, id);
        if (rv != APR_SUCCESS && rv != HB_E_STORE_MISSING) {
            return rv;
        }
        kept = keep(run, in, id, *doc);
    }
    *doc = kept->doc;
    return *doc != NULL ? APR_SUCCESS : HB_E_STORE_MISSING;
}

/* Somebody else wrote the same just now when it is there after all: the store starts again. */
static apr_status_t write_back(hb_op_t *op, hb_collection_e in, hb_json_t *doc, int is_new)
{
    apr_status_t rv = is_new ? hb_store_insert(NULL, op, in, doc)
                             : hb_store_replace(NULL, op, in, doc);

    return rv == HB_E_STORE_DUPLICATE ? HB_E_STORE_CONFLICT : rv;
}

apr_status_t hb_run_put(hb_op_t *op, hb_ledger_run_t *run, hb_collection_e in, hb_json_t *doc,
                        int is_new)
{
    kept_t *kept;

    if (run == NULL) {
        return write_back(op, in, doc, is_new);
    }
    kept = look_up(run, in, hb_json_string(doc, "_id"));
    kept->doc = doc;
    kept->is_new |= is_new;
    kept->is_changed = 1;
    return APR_SUCCESS;
}

apr_status_t hb_ledger_run_end(hb_ledger_run_t *run, hb_op_t *op)
{
    apr_status_t rv = APR_SUCCESS;
    int i;

    for (i = 0; i < run->all->nelts && rv == APR_SUCCESS; i++) {
        kept_t *kept = APR_ARRAY_IDX(run->all, i, kept_t *);

        if (kept->is_changed) {
            rv = write_back(op, kept->in, kept->doc, kept->is_new);
            kept->is_changed = kept->is_new = 0;
        }
    }
    return rv;
}
