/* SPDX-License-Identifier: Apache-2.0 */
/* What is older than it is kept goes, some of it at a time, so that others do not wait. */
#include "hb_retention.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_settings.h"
#include "hb_time.h"

#define BATCH 300
#define BATCH_BODIES 50             /* documents with bodies are read whole */
#define LOOK_BACK apr_time_from_sec(35 * 86400)     /* for fields to drop: beyond, it was done before */
#define REST_MAX apr_time_from_sec(1)
#define LINE_END ";"
#define DAY apr_time_from_sec(86400)

static const hb_retention_row_t rows[] = {
#define HB_RETENTION(name, collection, by, days, drop, sentence) \
    { name, collection, by, days, drop, sentence },
#include "hb_retention.def"
#undef HB_RETENTION
};

#define N_ROWS ((int)(sizeof(rows) / sizeof(rows[0])))

const hb_retention_row_t *hb_retention_at(int i)
{
    return i < N_ROWS ? &rows[i] : NULL;
}

/* --- how long --- */

/* "NAME DURATION" or "NAME off". @param kept  0 for ever */
static const char *read_line(const hb_retention_row_t **row, apr_interval_time_t *kept,
                             char *line, apr_pool_t *pool)
{
    char *state, *name = apr_strtok(line, " \t", &state), *how, *more;
    const char *names = "";
    int i;

    how = name != NULL ? apr_strtok(NULL, " \t", &state) : NULL;
    more = how != NULL ? apr_strtok(NULL, " \t", &state) : NULL;
    *row = NULL;
    for (i = 0; i < N_ROWS && name != NULL; i++) {
        *row = strcmp(rows[i].name, name) == 0 ? &rows[i] : *row;
        names = apr_pstrcat(pool, names, i > 0 ? ", " : "", rows[i].name, NULL);
    }
    if (*row == NULL) {
        return name == NULL ? NULL
            : apr_psprintf(pool, "nothing is called \"%s\"; there are %s", name, names);
    }
    *kept = 0;
    if (how == NULL || more != NULL) {
        return apr_psprintf(pool, "\"%s\" needs one duration, such as 90d, or the word off", name);
    }
    if (strcmp(how, "off") == 0) {
        return NULL;
    }
    if (hb_duration_read(kept, how, pool) != NULL || *kept < DAY) {
        return apr_psprintf(pool, "\"%s\" (for %s) is no duration of a day or more, such as 90d; "
                            "off keeps it for ever", how, name);
    }
    return NULL;
}

const char *hb_retention_check(const char *lines, apr_pool_t *pool)
{
    char *state, *line, *copy = apr_pstrdup(pool, lines);
    const hb_retention_row_t *row;
    apr_interval_time_t kept;
    const char *why = NULL;

    for (line = apr_strtok(copy, LINE_END, &state); line != NULL && why == NULL;
         line = apr_strtok(NULL, LINE_END, &state)) {
        why = read_line(&row, &kept, line, pool);
    }
    return why;
}

apr_interval_time_t hb_retention_kept(const hb_settings_t *settings, const hb_retention_row_t *row,
                                      apr_pool_t *pool)
{
    char *state, *line, *copy = apr_pstrdup(pool, settings->retention);
    apr_interval_time_t kept = row->days * DAY, said;
    const hb_retention_row_t *about;

    for (line = apr_strtok(copy, LINE_END, &state); line != NULL;
         line = apr_strtok(NULL, LINE_END, &state)) {
        if (read_line(&about, &said, line, pool) == NULL && about == row) {
            kept = said;
        }
    }
    return kept;
}

/* --- removing --- */

typedef struct clean_t {
    const hb_retention_row_t *row;
    hb_store_report_fn *report;
    void *baton;
    hb_cond_t where[4];
    int n_where;
    apr_int64_t n;              /* records so far */
} clean_t;

static hb_value_t id_of(apr_pool_t *pool, apr_time_t when)
{
    hb_value_t value = HB_STR(apr_psprintf(pool, "%08x0000000000000000",
        (unsigned int)(apr_time_sec(when) > 0 ? apr_time_sec(when) : 0)));

    return value;
}

/* What is older. */
static void aim(clean_t *clean, hb_op_t *op, apr_interval_time_t kept)
{
    const hb_retention_row_t *row = clean->row;
    apr_time_t until = op->now - kept;

    if (strcmp(row->by, "_id") == 0) {
        clean->where[clean->n_where++] = (hb_cond_t){
            .field = "_id", .how = HB_BELOW, .value = id_of(op->pool, until)
        };
    }
    else {
        clean->where[clean->n_where++] = (hb_cond_t){
            .field = row->by, .how = HB_BELOW, .value = HB_INT(hb_time_to_msec(until))
        };
    }
    if (row->drop != NULL) {
        clean->where[clean->n_where++] = (hb_cond_t){
            .field = "_id", .how = HB_AT_LEAST, .value = id_of(op->pool, until - LOOK_BACK)
        };
        clean->where[clean->n_where++] = (hb_cond_t){
            .field = row->drop, .how = HB_IS_NOT, .value = HB_NIL
        };
        clean->where[clean->n_where++] = (hb_cond_t){
            .field = "pendingAt", .how = HB_IS, .value = HB_NIL
        };
    }
}

typedef struct drop_t {
    const clean_t *clean;
    const hb_page_t *page;
} drop_t;

static apr_status_t drop_tx(hb_op_t *op, void *baton)
{
    const drop_t *drop = baton;
    const hb_edit_t edits[] = { { drop->clean->row->drop, HB_UNSET, HB_NIL } };
    apr_status_t rv = APR_SUCCESS;
    int i;

    for (i = 0; i < drop->page->n_items && rv == APR_SUCCESS; i++) {
        rv = hb_store_change(NULL, NULL, op, drop->clean->row->in,
                             hb_json_string(drop->page->items[i], "_id"), NULL, 0, edits, 1);
        rv = rv == HB_E_STORE_MISSING ? APR_SUCCESS : rv;
    }
    return rv;
}

/* One transaction's worth. @param n  how many; fewer than asked for: none are left */
static apr_status_t clean_some(apr_int64_t *n, clean_t *clean, hb_op_t *op)
{
    hb_query_t query = { .in = clean->row->in, .where = clean->where, .n_where = clean->n_where,
                         .sort = { { clean->row->by, 0 } }, .limit = BATCH };
    hb_page_t page;
    drop_t drop = { clean, &page };
    apr_status_t rv;

    if (clean->row->drop == NULL) {
        return hb_store_remove_all(n, op, &query);
    }
    query.limit = BATCH_BODIES;
    rv = hb_store_find(&page, op, &query);
    if (rv == APR_SUCCESS && page.n_items > 0) {
        rv = hb_store_transact(op, drop_tx, &drop);
    }
    *n = rv == APR_SUCCESS ? page.n_items : 0;
    return rv;
}

static apr_status_t clean_row(clean_t *clean, hb_op_t *op)
{
    apr_int64_t n, most = clean->row->drop == NULL ? BATCH : BATCH_BODIES;
    apr_pool_t *all = op->pool, *some;
    apr_interval_time_t took;
    apr_time_t began;
    apr_status_t rv;

    do {
        apr_pool_create(&some, all);
        op->pool = some;
        began = apr_time_now();
        rv = clean_some(&n, clean, op);
        took = apr_time_now() - began;
        op->pool = all;
        clean->n += n;
        if (rv == APR_SUCCESS) {
            apr_pool_destroy(some);     /* a failed one stays with the problem it explains */
        }
        if (rv == APR_SUCCESS && clean->report != NULL
            && clean->report(clean->baton, clean->row->name, clean->n, 0) != 0) {
            rv = APR_EINTR;
        }
        if (rv == APR_SUCCESS && n == most && took > 0) {
            apr_sleep(took < REST_MAX ? took : REST_MAX);
        }
    } while (rv == APR_SUCCESS && n == most);
    return rv;
}

apr_status_t hb_retention_clean(hb_json_t **result, hb_op_t *op, int is_dry,
                                hb_store_report_fn *report, void *baton)
{
    hb_json_t *items = hb_json_array_make(op->pool);
    apr_status_t rv = APR_SUCCESS;
    int i;

    *result = hb_json_object_make(op->pool);
    hb_json_set(*result, "items", items);
    for (i = 0; i < N_ROWS && rv == APR_SUCCESS; i++) {
        clean_t clean = { .row = &rows[i], .report = report, .baton = baton };
        apr_interval_time_t kept = hb_retention_kept(op->site->settings, &rows[i], op->pool);
        hb_json_t *item = hb_json_object_make(op->pool);

        if (kept > 0) {
            hb_query_t query = { .in = rows[i].in, .where = clean.where };

            aim(&clean, op, kept);
            query.n_where = clean.n_where;
            rv = is_dry ? hb_store_count(&clean.n, op, &query) : clean_row(&clean, op);
        }
        hb_json_set_string(item, "name", rows[i].name);
        hb_json_set_string(item, "collection", hb_shape(rows[i].in)->name);
        hb_json_set_int(item, "keptSec", apr_time_sec(kept));
        hb_json_set_int(item, "records", clean.n);
        hb_json_push(items, item);
    }
    return rv;
}
