/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_store_backend.h
 * What the front and the backends of the store share and nobody else needs: guards and
 * edits on JSON, cursors, the argument checks.
 */
#ifndef HB_STORE_BACKEND_H
#define HB_STORE_BACKEND_H

#include "hb_clock.h"
#include "hb_store.h"

/** What op->tx points at; a driver puts it first in a struct of its own. */
struct hb_store_tx_t {
    void *self;                 /* what the driver's open gave */
};

/**
 * NULL, or a sentence about what is wrong with mongodb://... (hb_mongodb_url.c). It never
 * repeats it.
 */
const char *hb_mongodb_url_misfit(const char *url, apr_pool_t *pool);

/* Names of indexes, ids and documents longer than this are refused by the front. */
#define HB_STORE_ID_MAX 128
#define HB_STORE_DOC_MAX (4 * 1024 * 1024)
#define HB_STORE_LIMIT_MAX 1000
#define HB_STORE_LIMIT_DEFAULT 20

/* --- hb_store_match.c --- */

/** Does a document (with its "_id") meet every condition? Does not wait. */
int hb_store_match(const hb_json_t *doc, const hb_cond_t *conds, int n_conds);

/**
 * Apply edits to a document in place; new values are made in pool. On failure the document
 * is half edited and has to be thrown away.
 * @return HB_E_INPUT_INVALID (with the problem set) for an overflow, HB_E_STORE_DAMAGED when
 *         the document holds another type than the edit needs. Does not wait.
 */
apr_status_t hb_store_edit(hb_op_t *op, hb_json_t *doc, const hb_edit_t *edits, int n_edits,
                           apr_pool_t *pool);

/* --- hb_store_cursor.c --- */

/** Where a page ended: the values of the sort fields of its last document, and its id. */
typedef struct hb_store_cursor_t {
    hb_value_t keys[2];         /* STRING, INT or BOOL */
    int n_keys;
    const char *id;
} hb_store_cursor_t;

/** How many sort fields stand before the id. */
int hb_store_n_keys(const hb_query_t *query);
/** Does the id, which breaks ties, run downwards? */
int hb_store_id_descends(const hb_query_t *query);
/** Is the field of n bytes the same for all that is found? */
int hb_store_is_fixed(const hb_query_t *query, const char *field, apr_size_t n);
/**
 * Is there nothing left to sort by after the first n_sorted fields, because a unique index allows no
 * two the same in them? Backends do not see that by themselves, and would sort in memory.
 */
int hb_store_is_sorted(const hb_query_t *query, int n_sorted);

/** Text of the cursor behind a document, in op->pool. */
const char *hb_store_cursor_make(hb_op_t *op, const hb_query_t *query,
                                 const hb_json_t *last);
/** Read query->after. HB_E_CURSOR_INVALID, with the problem set, when it is of another query. */
apr_status_t hb_store_cursor_read(hb_store_cursor_t *cursor, hb_op_t *op,
                                  const hb_query_t *query);

/* --- hb_store_check.c: our own mistakes, HB_E_INTERNAL and a log line each --- */

apr_status_t hb_store_mistake(hb_op_t *op, const char *what, hb_collection_e in,
                              const char *why);
int hb_store_id_is_usable(const char *id);
apr_status_t hb_store_check_collection(hb_op_t *op, const char *what, hb_collection_e in);
apr_status_t hb_store_check_query(hb_op_t *op, const char *what, const hb_query_t *query);
apr_status_t hb_store_check_conds(hb_op_t *op, const char *what, hb_collection_e in,
                                  const hb_cond_t *conds, int n_conds);
apr_status_t hb_store_check_edits(hb_op_t *op, const char *what, hb_collection_e in,
                                  const hb_edit_t *edits, int n_edits);
/** Is it a field of this sort? */
typedef enum hb_store_sort_e { HB_STORE_TEXT, HB_STORE_INTEGER } hb_store_sort_e;
apr_status_t hb_store_check_field(hb_op_t *op, const char *what, hb_collection_e in,
                                  const char *field, hb_store_sort_e wanted);
apr_status_t hb_store_check_doc(hb_op_t *op, const char *what, hb_collection_e in,
                                const hb_json_t *doc);

/* --- hb_store_keep.c: what a copy asks of its target, opened by hb_store_open_to_copy() --- */

/** A document on its way: the same one three times. */
typedef struct hb_store_raw_t {
    const char *id;
    const char *text;           /* compact, without "_id"; a 0 byte behind it */
    apr_size_t len;
    hb_json_t *json;            /* without "_id" */
} hb_store_raw_t;

/** Throw all records and all indexes away. A server that opens it now would make the indexes. */
apr_status_t hb_store_clear(hb_op_t *op);

/**
 * Add documents, then keep a note in place of the one before; both or none where the
 * backend can, else a document of that id that is there already is passed over. Durable
 * when it returns.
 * @param note  while there is one, only hb_store_open_to_copy() opens this store; NULL takes it away
 */
apr_status_t hb_store_load(hb_op_t *op, hb_collection_e in, const hb_store_raw_t *docs, int n,
                          const char *note);

/** The note, in op->pool; NULL when there is none. */
apr_status_t hb_store_note(const char **note, hb_op_t *op);

/* --- hb_store_backup.c --- */

/** Give a finished file its name, durably, but never somebody else's: EEXIST. */
apr_status_t hb_store_publish(const char *part, const char *path, apr_pool_t *pool);

#endif /* HB_STORE_BACKEND_H */
