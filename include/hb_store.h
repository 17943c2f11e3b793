/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_store.h
 * Records: JSON documents in the collections of hb_schema.def. Callers' functions
 * first; what a backend fills in is at the end. Every call may wait for the
 * disk or the network, and returns HB_E_STORE_DOWN when records cannot be reached,
 * HB_E_STORE_READONLY when they cannot be written (disk full, read-only file).
 *
 * A field that hb_schema.def does not have, or a value of another kind than its field, is our
 * own mistake: HB_E_INTERNAL and a log line. So nothing from outside becomes part of a query.
 *
 * Outside hb_store_transact each writing call is a transaction of its own, durable
 * when it returns. Inside, reads see the writes before them.
 */
#ifndef HB_STORE_H
#define HB_STORE_H

#include "hb_json.h"
#include "hb_op.h"
#include "hb_schema.h"

#define HB_ID_LENGTH 24         /* hex digits, ObjectId layout */

/** A value to compare with or to write. Make it with the macros below. */
typedef struct hb_value_t {
    enum { HB_VALUE_NULL, HB_VALUE_STRING, HB_VALUE_INT, HB_VALUE_BOOL, HB_VALUE_JSON } kind;
    const char *string;
    apr_int64_t integer;
    hb_json_t *json;            /* only to write */
} hb_value_t;

#define HB_STR(s)  { HB_VALUE_STRING, (s), 0, NULL }
#define HB_INT(i)  { HB_VALUE_INT, NULL, (i), NULL }
#define HB_BOOL(b) { HB_VALUE_BOOL, NULL, (b), NULL }
#define HB_NIL     { HB_VALUE_NULL, NULL, 0, NULL }
#define HB_DOC(j)  { HB_VALUE_JSON, NULL, 0, (j) }

typedef enum hb_match_e {
    HB_IS,                      /* equal; HB_NIL matches null and missing */
    HB_IS_NOT,
    HB_BELOW, HB_AT_MOST, HB_ABOVE, HB_AT_LEAST,
    HB_STARTS_WITH,             /* strings, byte-wise */
    HB_ONE_OF,                  /* value is one of .any[0 .. n_any-1] */
    HB_HAS                      /* the field is an array that holds the value */
} hb_match_e;

typedef struct hb_cond_t {
    const char *field;          /* dotted path; "_id" for the record's id */
    hb_match_e how;
    hb_value_t value;
    const hb_value_t *any;      /* HB_ONE_OF only */
    int n_any;
} hb_cond_t;

typedef enum hb_edit_e {
    HB_SET,                     /* HB_NIL sets null */
    HB_INC,                     /* integers; missing counts as 0; overflow fails the change */
    HB_PUSH,                    /* append to an array, made when missing or null */
    HB_PULL,                    /* remove all equal items from an array */
    HB_UNSET,
    HB_SET_IF_ABSENT            /* absent: missing or null */
} hb_edit_e;

typedef struct hb_edit_t {
    const char *field;          /* dotted path; never "_id" */
    hb_edit_e how;
    hb_value_t value;
} hb_edit_t;

typedef struct hb_sort_t {
    const char *field;          /* NULL ends the list early */
    int descending;
} hb_sort_t;

/**
 * What to look for. A zeroed tail means: all, in id order, default limit. A document that
 * lacks a sort field (or has null there) is not found by a query that names it.
 */
typedef struct hb_query_t {
    hb_collection_e in;
    const hb_cond_t *where;     /* all have to hold */
    int n_where;
    hb_sort_t sort[2];          /* id breaks ties, in the direction of the last */
    int limit;                  /* 0: 20; at most 1000 */
    const char *after;          /* cursor of an earlier page of the same query, or NULL */
} hb_query_t;

typedef struct hb_page_t {
    hb_json_t **items;          /* documents with "_id" */
    int n_items;
    const char *next;           /* cursor, NULL when this was the last page */
} hb_page_t;

/** What every list of the API answers: {"items": items, "next": next or null}. */
hb_json_t *hb_page_json(hb_op_t *op, hb_json_t *items, const char *next);

/**
 * What a query finds, as the API lists it: {items, next} of views.
 * @param who  as for hb_schema_view(): HB_ALL | HB_STAFF ...
 */
apr_status_t hb_store_list(hb_json_t **list, hb_op_t *op, const hb_query_t *query,
                           unsigned int who);

/** One document by id. HB_E_STORE_MISSING when there is none. */
apr_status_t hb_store_get(hb_json_t **doc, hb_op_t *op, hb_collection_e in, const char *id);

/** Documents by query. HB_E_CURSOR_INVALID (with the problem set) for a foreign cursor. */
apr_status_t hb_store_find(hb_page_t *page, hb_op_t *op, const hb_query_t *query);

/** The first document of a query, HB_E_STORE_MISSING when there is none. */
apr_status_t hb_store_find_one(hb_json_t **doc, hb_op_t *op, const hb_query_t *query);

apr_status_t hb_store_count(apr_int64_t *n, hb_op_t *op, const hb_query_t *query);

/**
 * Documents as compact JSON text, without "_id", upwards by a field, from the first one above a
 * value: for walks over all of a large collection. Parses nothing and keeps nothing; what is
 * written meanwhile may or may not be met.
 * @param field  "_id", or one with a unique index of its own whose values are integers
 * @param above  a string or an integer; NULL starts at the first
 * @param fn     must not call the store, and returns not 0 to stop; text ends with a 0 byte
 */
typedef int hb_store_walk_fn(void *baton, const char *id, const char *text, apr_size_t len);
apr_status_t hb_store_walk(hb_op_t *op, hb_collection_e in, const char *field,
                           const hb_value_t *above, hb_store_walk_fn *fn, void *baton);

/**
 * One text field of all that a query finds, without making documents of them: for sets of users
 * and the like. Its order and limit hold, 0 is no limit and the cursor is ignored; what lacks
 * the field is left out. Keeps a connection until the last: look for a part at a time.
 * @param field  "_id", or a field of text
 * @param fn     must not call the store, and returns not 0 to stop; text is gone afterwards
 */
typedef int hb_store_value_fn(void *baton, const char *text);
apr_status_t hb_store_values(hb_op_t *op, const hb_query_t *query, const char *field,
                             hb_store_value_fn *fn, void *baton);

/** What hb_store_groups() counted of one pair of values. */
typedef struct hb_group_t {
    const char *keys[2];        /* "" for a missing one */
    apr_int64_t n;
    apr_int64_t sum;
} hb_group_t;

/**
 * Count what a query finds by the values of up to two text fields, and add up an integer of it;
 * the store does it. In the order of the values; order, limit and cursor of the query are ignored.
 * @param by     two fields, NULL for none; they should have few values
 * @param sum    an integer field, or NULL
 * @param n      0 when nothing is found
 * Fails when a sum leaves 64 bits.
 */
apr_status_t hb_store_groups(hb_group_t **groups, int *n, hb_op_t *op, const hb_query_t *query,
                             const char *const by[2], const char *sum);

/**
 * Add a document. Its "_id" is used when it has one, else one is made and set.
 * @param index  set to the name of the unique index (hb_schema.def; "_id" for the id) when
 *               it returns HB_E_STORE_DUPLICATE; may be NULL
 */
apr_status_t hb_store_insert(const char **index, hb_op_t *op, hb_collection_e in,
                             hb_json_t *doc);

/**
 * Edit one document if every guard holds, in one atomic step.
 * @param after  set to the document after the change; may be NULL
 * @param index  as for insert
 * @return HB_E_STORE_MISSING, HB_E_STORE_GUARD, HB_E_STORE_DUPLICATE,
 *         HB_E_INPUT_INVALID for an integer overflow
 */
apr_status_t hb_store_change(hb_json_t **after, const char **index, hb_op_t *op,
                             hb_collection_e in, const char *id,
                             const hb_cond_t *guards, int n_guards,
                             const hb_edit_t *edits, int n_edits);

/**
 * Write a whole document back that this transaction has read (and so knows as it is): saves
 * hb_store_change() the second reading. Inside hb_store_transact only. HB_E_STORE_MISSING.
 * @param index  as for insert
 */
apr_status_t hb_store_replace(const char **index, hb_op_t *op, hb_collection_e in,
                              hb_json_t *doc);

/**
 * Edit every document a query finds (its limit and cursor are ignored). @param n how many;
 * may be NULL
 */
apr_status_t hb_store_change_all(apr_int64_t *n, hb_op_t *op, const hb_query_t *query,
                                 const hb_edit_t *edits, int n_edits);

/** Remove one document. HB_E_STORE_MISSING, HB_E_STORE_GUARD. */
apr_status_t hb_store_remove(hb_op_t *op, hb_collection_e in, const char *id,
                             const hb_cond_t *guards, int n_guards);

/** Remove every document a query finds, at most its limit when that is not 0. */
apr_status_t hb_store_remove_all(apr_int64_t *n, hb_op_t *op, const hb_query_t *query);

/**
 * All or nothing. fn may run more than once (a conflict, a lost leader) and must have no
 * effect but store calls and assignments; it runs while other writers wait: no hashing, no
 * network. When it returns anything but APR_SUCCESS nothing is kept and that status is
 * returned. When hb_store_transact returns APR_SUCCESS the whole is durable.
 * Nesting joins the outer transaction.
 */
typedef apr_status_t hb_store_tx_fn(hb_op_t *op, void *baton);
apr_status_t hb_store_transact(hb_op_t *op, hb_store_tx_fn *fn, void *baton);

/* --- keeping the store --- */

/** Reachable and writable? For health checks; waits at most about a second. */
apr_status_t hb_store_ping(hb_op_t *op);

/** Progress and findings for the operator; return not 0 to stop. total 0 when unknown. */
typedef int hb_store_report_fn(void *baton, const char *what, apr_int64_t done,
                               apr_int64_t total);

/**
 * Consistent copy of a live store into path, an SQLite file, which must not exist and is
 * not there when it fails. HB_E_UNAVAILABLE (the problem says why), APR_EINTR when report
 * stopped it. Back into a MongoDB it goes by hb_store_copy().
 */
apr_status_t hb_store_backup(hb_op_t *op, const char *path, hb_store_report_fn *report,
                             void *baton);

/**
 * Do other processes have the records open? Opens nothing. HB_E_UNAVAILABLE for a backend whose
 * records are not in a file of this machine (the problem says what to do instead).
 */
apr_status_t hb_store_is_used(int *is_used, hb_op_t *op);

/**
 * Put the store of a file (hb_store_backup()) in the place of the records; this process has to have
 * neither open. What was there goes into a directory beside it. Killed in between, there may be
 * none, and then nobody can open an empty one by mistake.
 * @param aside   that directory, NULL when nothing was there
 * @param is_used others have it open: they go over to the new one within a second
 */
apr_status_t hb_store_put(const char **aside, hb_op_t *op, const char *file, int is_used);

/**
 * Check structure, every index and every document; each finding is reported with done = -1.
 * APR_EINTR when report stopped it; findings do not make it fail.
 */
apr_status_t hb_store_verify(apr_int64_t *findings, hb_op_t *op, hb_store_report_fn *report,
                             void *baton);

/** {driver, version, schema, bytes, collections:{name:{records}}, counters...} */
apr_status_t hb_store_stats(hb_json_t **stats, hb_op_t *op);

/**
 * [{collection, index, fields, unique, partial, state}]: "good", "missing", "different" of
 * those that hb_schema.def wants, "extra" of others that are there.
 */
apr_status_t hb_store_indexes(hb_json_t **list, hb_op_t *op);

/**
 * Make the indexes that are missing and make the different ones anew. APR_EINTR when report
 * stopped it between two; HB_E_STORE_DUPLICATE (the problem says where) when records break one.
 * @param all  make the good ones anew, too; unique ones of MongoDB are left as they are
 */
apr_status_t hb_store_reindex(hb_op_t *op, int all, hb_store_report_fn *report, void *baton);

/** A new record id: 4 bytes seconds, 5 bytes random per process, 3 bytes counter. */
const char *hb_id_make(hb_op_t *op);
/** 24 lower-case hex digits? */
int hb_id_is_valid(const char *id);

/* --- for the host of a process --- */

typedef struct hb_store_t hb_store_t;

/** Is the URL one that a driver takes? NULL, or a sentence that lists what is accepted. */
const char *hb_store_url_check(const char *url, apr_pool_t *pool);

/**
 * Most connections of this process to a server of records: maxPoolSize of its URL,
 * HaloBuzzStorePoolMax, or what suits the threads; 0 where records are in a file.
 */
int hb_store_connections_most(const hb_site_t *site, const char *url);

/** Connect lazily; call after fork only. Closed with the pool. */
apr_status_t hb_store_open(hb_store_t **store, hb_site_t *site, const char *url,
                           apr_pool_t *pool);

/* --- for backends: store_*.c exports one of these; hb_store_open.c lists it --- */

struct hb_store_tx_t;           /* hb_store_backend.h */
struct hb_store_raw_t;

typedef struct hb_store_driver_t {
    const char *scheme;         /* "sqlite" */
    const char *accepts;        /* "sqlite:FILE", for messages */
    /* is_to_copy: for the target of a copy, that may be an unfinished one; else such is refused. */
    apr_status_t (*open)(void **self, hb_site_t *site, const char *url, int is_to_copy,
                         apr_pool_t *pool);
    /* Is self of no more use (its file was replaced or is damaged)? Then the front opens
     * another and lets this one go with its last call. Does not wait. */
    int (*is_lost)(void *self);
    /* All below: required if nothing else is said, may wait, self is what open gave; op->tx
     * is the driver's and begins with hb_store_tx_t. Arguments were checked, limits are in
     * their bounds. */
    apr_status_t (*get)(void *self, hb_json_t **doc, hb_op_t *op, hb_collection_e in,
                        const char *id);
    apr_status_t (*find)(void *self, hb_page_t *page, hb_op_t *op, const hb_query_t *query);
    apr_status_t (*count)(void *self, apr_int64_t *n, hb_op_t *op, const hb_query_t *query);
    apr_status_t (*insert)(void *self, const char **index, hb_op_t *op, hb_collection_e in,
                           hb_json_t *doc);
    apr_status_t (*change)(void *self, hb_json_t **after, const char **index, hb_op_t *op,
                           hb_collection_e in, const char *id,
                           const hb_cond_t *guards, int n_guards,
                           const hb_edit_t *edits, int n_edits);
    apr_status_t (*replace)(void *self, const char **index, hb_op_t *op, hb_collection_e in,
                            hb_json_t *doc);
    apr_status_t (*walk)(void *self, hb_op_t *op, hb_collection_e in, const char *field,
                         const hb_value_t *above, hb_store_walk_fn *fn, void *baton);
    apr_status_t (*values)(void *self, hb_op_t *op, const hb_query_t *query,
                           const char *field, hb_store_value_fn *fn, void *baton);
    apr_status_t (*groups)(void *self, hb_group_t **groups, int *n, hb_op_t *op,
                           const hb_query_t *query, const char *const by[2], const char *sum);
    apr_status_t (*change_all)(void *self, apr_int64_t *n, hb_op_t *op,
                               const hb_query_t *query, const hb_edit_t *edits, int n_edits);
    apr_status_t (*remove)(void *self, hb_op_t *op, hb_collection_e in, const char *id,
                           const hb_cond_t *guards, int n_guards);
    apr_status_t (*remove_all)(void *self, apr_int64_t *n, hb_op_t *op,
                               const hb_query_t *query);
    apr_status_t (*transact)(void *self, hb_op_t *op, hb_store_tx_fn *fn, void *baton);
    apr_status_t (*ping)(void *self, hb_op_t *op);
    /* NULL: the front copies record by record, by freeze and walk. */
    apr_status_t (*backup)(void *self, hb_op_t *op, const char *path,
                           hb_store_report_fn *report, void *baton);
    apr_status_t (*verify)(void *self, apr_int64_t *findings, hb_op_t *op,
                           hb_store_report_fn *report, void *baton);
    apr_status_t (*stats)(void *self, hb_json_t **stats, hb_op_t *op);
    /* Both NULL where records are not in a file. They come without self: nothing may be open. */
    apr_status_t (*is_used)(int *is_used, hb_op_t *op, const char *url);
    apr_status_t (*put)(const char **aside, hb_op_t *op, const char *url, const char *file,
                        int is_used);
    apr_status_t (*indexes)(void *self, hb_json_t **list, hb_op_t *op);
    apr_status_t (*reindex)(void *self, hb_op_t *op, int all, hb_store_report_fn *report,
                            void *baton);
    /* For copies (hb_store_backend.h, hb_store_copy.h). */
    apr_status_t (*freeze)(void *self, hb_op_t *op, hb_store_tx_fn *fn, void *baton);
    apr_status_t (*clear)(void *self, hb_op_t *op);
    apr_status_t (*load)(void *self, hb_op_t *op, hb_collection_e in,
                         const struct hb_store_raw_t *docs, int n, const char *note);
    apr_status_t (*note)(void *self, const char **note, hb_op_t *op);
} hb_store_driver_t;

#endif /* HB_STORE_H */
