/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All records of one store into another. The thread that calls reads, parses and sums up; a second
 * one writes, a batch behind it. With each batch goes the place where the copy stands, so a
 * killed one goes on behind the last batch that the target kept. Afterwards the indexes are
 * made, the target is read again, and the sums of both sides are compared.
 */
#include "hb_store_copy.h"

#include <pthread.h>
#include <string.h>

#include <apr_strings.h>
#include <apr_tables.h>

#include "hb_crypto.h"
#include "hb_store_backend.h"
#include "hb_store_sum.h"

#define BATCH_DOCS 2000
#define BATCH_BYTES (8 * 1024 * 1024)
#define REPORT_EVERY 4096

/* What is known of one collection. */
typedef struct tally_t {
    apr_int64_t records;
    hb_store_sum_t sum;
} tally_t;

typedef struct batch_t {
    apr_pool_t *pool;           /* of one thread at a time */
    hb_collection_e in;
    hb_store_raw_t *docs;
    int n;
    apr_size_t bytes;
    const char *note;
} batch_t;

/* The thread that writes. */
typedef struct writer_t {
    hb_op_t *op;                /* the caller's, for its site */
    pthread_t thread;
    pthread_mutex_t lock;       /* of what follows */
    pthread_cond_t changed;
    batch_t *batch;             /* to be written; NULL when there is nothing to do */
    int is_over;
    apr_status_t rv;
    hb_problem_t problem;       /* of rv; detail lies in the caller's pool */
    apr_int64_t usec;
} writer_t;

typedef struct copy_t {
    hb_op_t *op;
    const hb_copy_source_t *source;
    hb_copy_proof_t *proof;
    hb_store_report_fn *report;
    void *baton;
    const char *layout;         /* which program began it: hash of the tables */
    writer_t writer;
    batch_t batches[2];
    int filling;                /* which of them */
    apr_status_t rv;            /* of a callback of the walk */
    int from;                   /* where an earlier run got to: collection, and id within */
    const char *after;
    apr_int64_t done, total;    /* records, for the progress */
    apr_int64_t waited;         /* usec the reading thread waited for the other */
    tally_t tallies[HB_SHAPE_COUNT];
} copy_t;

static int is_collection(int s)
{
    return hb_shape((hb_shape_e)s)->role == HB_IS_COLLECTION;
}

static apr_status_t tell(const copy_t *c, const char *what, apr_int64_t done, apr_int64_t total)
{
    return c->report != NULL && c->report(c->baton, what, done, total) != 0
        ? APR_EINTR : APR_SUCCESS;
}

/* --- the note --- */

static const char *hash_of_tables(apr_pool_t *pool)
{
    apr_array_header_t *lines = apr_array_make(pool, 256, sizeof(const char *));
    unsigned char digest[32] = { 0 };
    const char *text;
    int s, i;

    for (s = HB_SHAPE_NONE + 1; s < HB_SHAPE_COUNT; s++) {
        const hb_shape_row_t *shape = hb_shape((hb_shape_e)s);

        for (i = 0; is_collection(s) && i <= shape->n_indexes; i++) {
            APR_ARRAY_PUSH(lines, const char *) = i < shape->n_indexes
                ? apr_psprintf(pool, "%s %u %s", shape->name, shape->indexes[i].flags,
                               shape->indexes[i].fields) : shape->name;
        }
    }
    text = apr_array_pstrcat(pool, lines, '\n');
    hb_sha256(digest, text, strlen(text), NULL, 0);
    return hb_hex(pool, digest, 8);
}

/* Counts and sums of the collections that hold any record. */
static hb_json_t *tallies_json(const tally_t *tallies, apr_pool_t *pool)
{
    hb_json_t *json = hb_json_object_make(pool);
    int s;

    for (s = HB_SHAPE_NONE + 1; s < HB_SHAPE_COUNT; s++) {
        hb_json_t *one;

        if (!is_collection(s) || tallies[s].records == 0) {
            continue;
        }
        one = hb_json_object_make(pool);
        hb_json_set_int(one, "records", tallies[s].records);
        hb_json_set_string(one, "sum", hb_hex(pool, tallies[s].sum.bytes,
                                              sizeof(tallies[s].sum.bytes)));
        hb_json_set(json, hb_shape((hb_shape_e)s)->name, one);
    }
    return json;
}

/* @param in  the collection that is being copied; HB_SHAPE_COUNT behind the last */
static const char *note_text(const copy_t *c, int in, const char *after, apr_pool_t *pool)
{
    hb_json_t *json = hb_json_object_make(pool);

    hb_json_set_string(json, "from", c->source->name);
    hb_json_set_string(json, "moment", c->source->moment);
    hb_json_set_string(json, "layout", c->layout);
    hb_json_set_string(json, "in", in < HB_SHAPE_COUNT ? hb_shape((hb_shape_e)in)->name : "");
    hb_json_set_string(json, "after", after);
    hb_json_set(json, "copied", tallies_json(c->tallies, pool));
    return hb_json_text(json, pool, NULL);
}

static int is_same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Take up what a note tells. 0 when it is of another copy. */
static int take_up(copy_t *c, const hb_json_t *note)
{
    const char *in = hb_json_string(note, "in");
    const hb_shape_row_t *shape = in != NULL ? hb_shape_by_name(in) : NULL;
    int s;

    if (!is_same_text(hb_json_string(note, "from"), c->source->name)
        || !is_same_text(hb_json_string(note, "moment"), c->source->moment)
        || !is_same_text(hb_json_string(note, "layout"), c->layout)
        || in == NULL || (shape == NULL && in[0] != '\0')) {
        return 0;
    }
    for (s = HB_SHAPE_NONE + 1; s < HB_SHAPE_COUNT; s++) {
        const hb_json_t *one = hb_json_get(hb_json_get(note, "copied"),
                                           hb_shape((hb_shape_e)s)->name);

        if (one != NULL && is_collection(s)) {
            c->tallies[s].records = hb_json_int(one, "records", 0);
            c->done += c->tallies[s].records;
            if (!hb_store_sum_read(&c->tallies[s].sum, hb_json_string(one, "sum"))) {
                return 0;
            }
        }
    }
    c->from = shape != NULL ? (int)shape->shape : HB_SHAPE_COUNT;
    c->after = hb_json_string(note, "after");
    c->proof->is_resumed = 1;
    return 1;
}

static apr_status_t check_empty(copy_t *c)
{
    apr_status_t rv = APR_SUCCESS;
    int s;

    for (s = HB_SHAPE_NONE + 1; s < HB_SHAPE_COUNT && rv == APR_SUCCESS; s++) {
        hb_query_t first = { .in = (hb_collection_e)s };
        hb_json_t *doc;

        if (is_collection(s)) {
            rv = hb_store_find_one(&doc, c->op, &first);
            if (rv == APR_SUCCESS) {
                return hb_fail(c->op, HB_E_STORE_NOT_EMPTY, "%s has records; give an empty store, "
                               "or --force to throw away what is there", hb_shape(s)->name);
            }
            rv = rv == HB_E_STORE_MISSING ? APR_SUCCESS : rv;
        }
    }
    return rv;
}

/* Where does it start: behind what an earlier run copied, or in an emptied target? */
static apr_status_t begin(copy_t *c, unsigned int flags)
{
    const char *text;
    hb_json_t *note = NULL;
    apr_status_t rv = hb_store_note(&text, c->op);

    if (rv == APR_SUCCESS && text != NULL) {
        note = hb_json_parse_own(text, strlen(text), c->op->pool);
        if (!(flags & HB_COPY_FORCE)) {
            return take_up(c, note) ? APR_SUCCESS
                : hb_fail(c->op, HB_E_STORE_NOT_EMPTY, "the target holds an unfinished copy of %s%s, "
                          "which this is not; --force throws it away",
                          hb_json_string(note, "from") != NULL ? hb_json_string(note, "from")
                          : "something", hb_json_string(note, "moment") != NULL
                          ? " as it was at a moment of its own" : "");
        }
    }
    else if (rv == APR_SUCCESS && !(flags & HB_COPY_FORCE)) {
        rv = check_empty(c);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_clear(c->op);
    }
    if (rv == APR_SUCCESS) {
        c->from = HB_SHAPE_NONE + 1;
        rv = hb_store_load(c->op, HB_C_USERS, NULL, 0,
                          note_text(c, HB_C_USERS, NULL, c->op->pool));
    }
    return rv;
}

/* --- writing --- */

static void write_batch(writer_t *w, batch_t *batch)
{
    apr_int64_t started = hb_clock();
    hb_op_t *op = hb_op_make(w->op->site, batch->pool);
    apr_status_t rv = hb_store_load(op, batch->in, batch->docs, batch->n, batch->note);

    pthread_mutex_lock(&w->lock);
    w->usec += hb_clock() - started;
    if (rv != APR_SUCCESS) {
        w->rv = rv;
        w->problem = op->problem;
        w->problem.detail = op->problem.detail != NULL
            ? apr_pstrdup(w->op->pool, op->problem.detail) : NULL;
    }
    w->batch = NULL;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

static void *run_writer(void *baton)
{
    writer_t *w = baton;
    batch_t *batch;

    for (;;) {
        pthread_mutex_lock(&w->lock);
        while (w->batch == NULL && !w->is_over) {
            pthread_cond_wait(&w->changed, &w->lock);
        }
        batch = w->batch;
        pthread_mutex_unlock(&w->lock);
        if (batch == NULL) {
            return NULL;
        }
        write_batch(w, batch);
    }
}

/* Wait until nothing is being written, then hand over a batch; NULL for none. */
static apr_status_t hand_over(copy_t *c, batch_t *batch)
{
    apr_int64_t started = hb_clock();
    writer_t *w = &c->writer;
    apr_status_t rv;

    pthread_mutex_lock(&w->lock);
    while (w->batch != NULL) {
        pthread_cond_wait(&w->changed, &w->lock);
    }
    rv = w->rv;
    if (rv == APR_SUCCESS && batch != NULL) {
        w->batch = batch;
        pthread_cond_signal(&w->changed);
    }
    pthread_mutex_unlock(&w->lock);
    c->waited += hb_clock() - started;
    return rv;
}

/* The batch that is being filled goes; the other one, written by now, is filled next. */
static apr_status_t send_batch(copy_t *c, int in, const char *after)
{
    batch_t *batch = &c->batches[c->filling];
    apr_status_t rv;

    batch->note = note_text(c, in, after, batch->pool);
    rv = hand_over(c, batch);
    c->filling = !c->filling;
    batch = &c->batches[c->filling];
    apr_pool_clear(batch->pool);
    batch->docs = apr_palloc(batch->pool, BATCH_DOCS * sizeof(*batch->docs));
    batch->n = 0;
    batch->bytes = 0;
    return rv;
}

/* --- reading --- */

static int take_document(void *baton, const char *id, const char *text, apr_size_t len)
{
    copy_t *c = baton;
    batch_t *batch = &c->batches[c->filling];
    tally_t *tally = &c->tallies[batch->in];
    hb_store_raw_t *raw = &batch->docs[batch->n];

    raw->id = apr_pstrdup(batch->pool, id);
    raw->text = apr_pstrmemdup(batch->pool, text, len);
    raw->len = len;
    raw->json = hb_json_parse_own(raw->text, len, batch->pool);
    if (hb_json_type(raw->json) != HB_JSON_OBJECT) {
        c->rv = hb_fail(c->op, HB_E_STORE_DAMAGED, "record %s of %s cannot be read; `halobuzzctl "
                        "store verify` lists such", id, hb_shape(batch->in)->name);
        return 1;
    }
    hb_store_sum_add(&tally->sum, raw->id, raw->json);
    tally->records++;
    c->done++;
    c->proof->written++;
    batch->n++;
    batch->bytes += len;
    if (batch->n == BATCH_DOCS || batch->bytes >= BATCH_BYTES) {
        hb_collection_e in = batch->in;

        c->rv = send_batch(c, in, raw->id);
        c->batches[c->filling].in = in;
        if (c->rv == APR_SUCCESS) {
            c->rv = tell(c, hb_shape(in)->name, c->done, c->total);
        }
    }
    return c->rv != APR_SUCCESS;
}

static apr_status_t copy_collection(copy_t *c, int s)
{
    const char *after = s == c->from ? c->after : NULL;
    apr_status_t rv;
    int next = s + 1;

    while (next < HB_SHAPE_COUNT && !is_collection(next)) {
        next++;
    }
    c->batches[c->filling].in = (hb_collection_e)s;
    rv = c->source->walk(c->source->baton, (hb_collection_e)s, after, take_document, c);
    rv = c->rv != APR_SUCCESS ? c->rv : rv;
    if (rv == APR_SUCCESS && (c->batches[c->filling].n > 0 || next == HB_SHAPE_COUNT)) {
        rv = send_batch(c, next, NULL);
    }
    return rv;
}

static apr_status_t copy_all(copy_t *c)
{
    apr_status_t rv = APR_SUCCESS;
    int s;

    for (s = HB_SHAPE_NONE + 1; s < HB_SHAPE_COUNT; s++) {
        c->total += is_collection(s) ? c->source->count(c->source->baton, (hb_collection_e)s) : 0;
    }
    for (s = c->from; s < HB_SHAPE_COUNT && rv == APR_SUCCESS; s++) {
        if (is_collection(s)) {
            rv = tell(c, hb_shape((hb_shape_e)s)->name, c->done, c->total);
            rv = rv == APR_SUCCESS ? copy_collection(c, s) : rv;
        }
    }
    return rv;
}

/* With the other thread running. */
static apr_status_t read_and_write(copy_t *c)
{
    writer_t *w = &c->writer;
    apr_int64_t started = hb_clock();
    apr_status_t rv, written;
    int i;

    w->op = c->op;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    for (i = 0; i < 2; i++) {
        apr_pool_create_unmanaged_ex(&c->batches[i].pool, NULL, NULL);
        c->batches[i].docs = apr_palloc(c->batches[i].pool, BATCH_DOCS * sizeof(hb_store_raw_t));
    }
    rv = pthread_create(&w->thread, NULL, run_writer, w);
    if (rv == APR_SUCCESS) {
        rv = copy_all(c);
        written = hand_over(c, NULL);
        pthread_mutex_lock(&w->lock);
        w->is_over = 1;
        pthread_cond_signal(&w->changed);
        pthread_mutex_unlock(&w->lock);
        pthread_join(w->thread, NULL);
        if (written != APR_SUCCESS) {
            rv = written;
            c->op->problem = w->problem;
        }
    }
    c->proof->write_usec = w->usec;
    c->proof->copy_usec = hb_clock() - started;
    c->proof->read_usec = c->proof->copy_usec - c->waited;
    for (i = 0; i < 2; i++) {
        apr_pool_destroy(c->batches[i].pool);
    }
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    return rv;
}

/* --- the proof --- */

typedef struct count_t {
    copy_t *c;
    const char *what;
    tally_t tally;
    apr_pool_t *scratch;
    apr_status_t rv;
} count_t;

static int count_document(void *baton, const char *id, const char *text, apr_size_t len)
{
    count_t *n = baton;
    hb_json_t *json = hb_json_parse_own(text, len, n->scratch);

    hb_store_sum_add(&n->tally.sum, id, json);
    if (++n->tally.records % 64 == 0) {
        apr_pool_clear(n->scratch);
    }
    if (n->tally.records % REPORT_EVERY == 0) {
        n->rv = tell(n->c, n->what, n->c->done + n->tally.records, n->c->total);
    }
    return n->rv != APR_SUCCESS;
}

/* @param is_source  the target when 0 */
static apr_status_t count_collection(tally_t *tally, copy_t *c, hb_collection_e in, int is_source)
{
    count_t n = { .c = c };
    apr_status_t rv;

    n.what = apr_psprintf(c->op->pool, is_source ? "%s, the source again" : "%s, compared",
                          hb_shape(in)->name);
    apr_pool_create(&n.scratch, c->op->pool);
    rv = is_source ? c->source->walk(c->source->baton, in, NULL, count_document, &n)
        : hb_store_walk(c->op, in, "_id", NULL, count_document, &n);
    apr_pool_destroy(n.scratch);
    *tally = n.tally;
    return n.rv != APR_SUCCESS ? n.rv : rv;
}

/* Are both sides the same now? An earlier run may have read what the source no longer holds. */
static apr_status_t prove(copy_t *c)
{
    int look_again = c->proof->is_resumed && c->source->moment == NULL;
    tally_t found[HB_SHAPE_COUNT];
    apr_status_t rv = APR_SUCCESS;
    int s, n_wrong = 0;

    memset(found, 0, sizeof(found));
    c->done = 0;
    for (s = HB_SHAPE_NONE + 1; s < HB_SHAPE_COUNT && rv == APR_SUCCESS; s++) {
        const char *name = hb_shape((hb_shape_e)s)->name;
        tally_t *wanted = &c->tallies[s];

        if (!is_collection(s)) {
            continue;
        }
        if (look_again) {
            rv = count_collection(wanted, c, (hb_collection_e)s, 1);
        }
        if (rv == APR_SUCCESS) {
            rv = count_collection(&found[s], c, (hb_collection_e)s, 0);
        }
        if (rv == APR_SUCCESS && (wanted->records != found[s].records
                                  || memcmp(&wanted->sum, &found[s].sum, sizeof(wanted->sum)) != 0)) {
            n_wrong++;
            tell(c, apr_psprintf(c->op->pool, "%s: %" APR_INT64_T_FMT " records there, %"
                                 APR_INT64_T_FMT " here%s", name, wanted->records,
                                 found[s].records, wanted->records == found[s].records
                                 ? ", of other contents" : ""), -1, 0);
        }
        c->done += found[s].records;
    }
    c->proof->records = c->done;
    c->proof->collections = tallies_json(found, c->op->pool);
    if (rv == APR_SUCCESS && n_wrong > 0) {
        rv = hb_fail(c->op, HB_E_STORE_DIFFERS, "%d collections differ: did somebody write to one "
                     "of the two meanwhile? No server opens this copy; --force makes it anew",
                     n_wrong);
    }
    return rv;
}

apr_status_t hb_store_copy(hb_copy_proof_t *proof, hb_op_t *op,
                           const hb_copy_source_t *source, unsigned int flags,
                           hb_store_report_fn *report, void *baton)
{
    copy_t *c = apr_pcalloc(op->pool, sizeof(*c));
    apr_int64_t started;
    apr_status_t rv;

    memset(proof, 0, sizeof(*proof));
    c->op = op;
    c->source = source;
    c->proof = proof;
    c->report = report;
    c->baton = baton;
    c->layout = hash_of_tables(op->pool);
    rv = begin(c, flags);
    if (rv == APR_SUCCESS) {
        rv = read_and_write(c);
    }
    started = hb_clock();
    if (rv == APR_SUCCESS) {
        rv = hb_store_reindex(op, 0, report, baton);
    }
    proof->index_usec = hb_clock() - started;
    started = hb_clock();
    if (rv == APR_SUCCESS) {
        rv = prove(c);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_load(op, HB_C_USERS, NULL, 0, NULL);
    }
    proof->proof_usec = hb_clock() - started;
    if (rv == APR_SUCCESS) {
        tell(c, "compared", proof->records, proof->records);
    }
    return rv;
}

apr_status_t hb_store_copy_moment(const char **moment, hb_op_t *op, const char *source_name)
{
    const char *text;
    hb_json_t *note;
    apr_status_t rv = hb_store_note(&text, op);

    *moment = NULL;
    if (rv == APR_SUCCESS && text != NULL) {
        note = hb_json_parse_own(text, strlen(text), op->pool);
        if (is_same_text(hb_json_string(note, "from"), source_name)) {
            *moment = hb_json_string(note, "moment");
        }
    }
    return rv;
}

/* --- a store as a source --- */

static apr_int64_t count_store(void *baton, hb_collection_e in)
{
    hb_query_t all = { .in = in };
    apr_int64_t n;

    return hb_store_count(&n, baton, &all) == APR_SUCCESS ? n : 0;
}

static apr_status_t walk_store(void *baton, hb_collection_e in, const char *above,
                               hb_store_walk_fn *fn, void *fn_baton)
{
    const hb_value_t id = HB_STR(above);

    return hb_store_walk(baton, in, "_id", above != NULL ? &id : NULL, fn, fn_baton);
}

void hb_store_copy_source(hb_copy_source_t *source, hb_op_t *op)
{
    memset(source, 0, sizeof(*source));
    source->baton = op;
    source->count = count_store;
    source->walk = walk_store;
}
