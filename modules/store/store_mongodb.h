/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file store_mongodb.h
 * The inside of the MongoDB backend, a plug-in (hb_store_mongodb.so) of its own so that its
 * driver's libraries are loaded only where they are used, and never by httpd's parent:
 *
 *   store_mongodb.c         the driver: get, find, count, walk
 *   store_mongodb_write.c   insert, change, replace, remove
 *   store_mongodb_tx.c      transactions: sessions, retries, parts that are undone alone
 *   store_mongodb_orphans.c transactions that nobody ended
 *   store_mongodb_bson.c    documents and queries become BSON and back
 *   store_mongodb_groups.c  single fields and sums of many records
 *   store_mongodb_open.c    the server: URL, pool, what it has to have
 *   store_mongodb_gate.c    who is let through to it, and what happens while it does not answer
 *   store_mongodb_layout.c  collections, indexes, views
 *   store_mongodb_copy.c    what a copy asks of its source and target
 *   store_mongodb_index.c   indexes: which are there, making them anew
 *   store_mongodb_keep.c    ping, verify, stats, errors
 *
 * A record is a document of the same members; _id is the id as a string, a TIME is a BSON date,
 * integers are 64 bits. What the schema does not know inside an OBJECT stays as it is.
 */
#ifndef STORE_MONGODB_H
#define STORE_MONGODB_H

#include <pthread.h>
#include <sys/types.h>

#include <apr_hash.h>
#include <apr_tables.h>
#include <mongoc/mongoc.h>

#include "hb_store_backend.h"

/** Holds what belongs to the layout: _id "layout" {schema, hash}. */
#define MONGO_META "halobuzz_meta"

typedef struct mongo_t {
    hb_site_t *site;
    mongoc_uri_t *uri;
    mongoc_client_pool_t *pool;
    mongoc_read_concern_t *reads;   /* what a majority has: no fail-over takes it back */
    const char *db;             /* name of the database */
    const char *where;          /* hosts and database for log lines; no password */
    int is_to_copy;             /* opened for a copy into it */
    pid_t pid;                  /* a pool does not survive a fork */

    pthread_mutex_t lock;       /* of all below */
    int waiting;                /* calls that wait for the server */
    int waiting_most;           /* as many as may; 0 for any number */
    pthread_cond_t went;        /* one of them came back, or the gate closed */
    apr_int64_t answered_at;    /* hb_clock: last answer, or when waiting began */
    int is_closed;              /* calls are refused: it did not answer */
    apr_int64_t look_at;        /* when somebody may look whether it answers again */
    apr_int64_t complained_at[4];
    apr_int64_t crowded_until;  /* transactions collided just now: let one at a time try */
    pthread_mutex_t turn;       /* of those transactions; never taken with lock held */
    pthread_mutex_t looking;    /* of looker; never taken with lock held */
    mongoc_client_t *looker;    /* beside the pool, made at its first use */
    apr_int64_t looked_at;      /* what was found then */
    int looked;                 /* a mongo_look_t */
    bson_error_t look_error;
    apr_int64_t n_commands, n_failed, n_retries, usec;
    struct mongo_orphans_t *orphans;    /* has a lock of its own */
} mongo_t;

/** The driver's transaction; op->tx points at its head. */
typedef struct mongo_tx_t {
    struct hb_store_tx_t head;
    mongoc_client_t *client;
    mongoc_client_session_t *session;
    bson_t opts;                /* with the session's id */
    int is_lost;                /* the server gave it up: run it again */
    int is_down;                /* because it did not answer */
    int is_moment;              /* of hb_store_freeze: only reads, and nobody runs it again */
    int is_gone;                /* the server has that moment no more */
    int depth;                  /* of nested transactions */
    struct mongo_undo_t *undo;  /* newest first; kept while depth > 0 */
    apr_hash_t *seen;           /* "collection/id" -> unique values as read here, or MISSING */
} mongo_tx_t;

/* --- store_mongodb_open.c --- */

apr_status_t store_mongodb_open(void **self, hb_site_t *site, const char *url, int is_to_copy,
                                apr_pool_t *pool);
int store_mongodb_is_lost(void *self);

/* --- store_mongodb_gate.c --- */

/** A client for one call: the transaction's, or one of the pool. Give it back with the outcome. */
typedef struct mongo_call_t {
    mongo_t *self;
    hb_op_t *op;
    mongoc_client_t *client;
    const bson_t *opts;         /* to be given to every command; has the session inside one */
    mongo_tx_t *tx;             /* NULL outside */
} mongo_call_t;

/** Does the server answer? Opens or closes the gate by it. Waits two seconds at most. */
typedef enum mongo_look_t { MONGO_AWAY, MONGO_READONLY, MONGO_THERE } mongo_look_t;
mongo_look_t mongo_look(mongo_t *self, bson_error_t *error);
void mongo_gate_close(mongo_t *self);

apr_status_t mongo_take(mongo_call_t *call, mongo_t *self, hb_op_t *op);
void mongo_give(mongo_call_t *call, int has_answered);
/** To be read as a majority has it, or as the transaction sees it. Destroy it. */
mongoc_collection_t *mongo_collection(const mongo_call_t *call, hb_collection_e in);

/* --- store_mongodb.c --- */

/** The document with this id, in the op's pool; HB_E_STORE_MISSING when there is none. Waits. */
apr_status_t mongo_read_one(hb_json_t **doc, const mongo_call_t *call, hb_collection_e in,
                            const char *id);

/* --- store_mongodb_write.c --- */

apr_status_t store_mongodb_insert(void *self, const char **index, hb_op_t *op,
                                  hb_collection_e in, hb_json_t *doc);
apr_status_t store_mongodb_change(void *self, hb_json_t **after, const char **index,
                                  hb_op_t *op, hb_collection_e in, const char *id,
                                  const hb_cond_t *guards, int n_guards,
                                  const hb_edit_t *edits, int n_edits);
apr_status_t store_mongodb_replace(void *self, const char **index, hb_op_t *op,
                                   hb_collection_e in, hb_json_t *doc);
apr_status_t store_mongodb_change_all(void *self, apr_int64_t *n, hb_op_t *op,
                                      const hb_query_t *query, const hb_edit_t *edits,
                                      int n_edits);
apr_status_t store_mongodb_remove(void *self, hb_op_t *op, hb_collection_e in, const char *id,
                                  const hb_cond_t *guards, int n_guards);
apr_status_t store_mongodb_remove_all(void *self, apr_int64_t *n, hb_op_t *op,
                                      const hb_query_t *query);

/* --- store_mongodb_keep.c --- */

/**
 * What an error of the driver means for the caller; logs it and notes the problem. A lost
 * transaction is marked in op->tx.
 * @param reply  may be NULL
 */
apr_status_t mongo_fail(mongo_t *self, hb_op_t *op, const char *what,
                        const bson_error_t *error, const bson_t *reply);
/** The same for what a cursor ended with; APR_SUCCESS when that was no error. */
apr_status_t mongo_fail_cursor(mongo_t *self, hb_op_t *op, const char *what,
                               mongoc_cursor_t *cursor);
/** Was there an answer at all? */
int mongo_has_answered(const bson_error_t *error);
int mongo_is_duplicate(const bson_error_t *error);
/** The index in a duplicate's message, in op->pool. */
const char *mongo_dup_index(hb_op_t *op, hb_collection_e in, const bson_error_t *error);

apr_status_t store_mongodb_ping(void *self, hb_op_t *op);
apr_status_t store_mongodb_verify(void *self, apr_int64_t *findings, hb_op_t *op,
                                  hb_store_report_fn *report, void *baton);
apr_status_t store_mongodb_stats(void *self, hb_json_t **stats, hb_op_t *op);

/* --- store_mongodb_layout.c --- */

/** Collections, indexes and views as hb_schema.def wants them; quick when nothing is to be done. */
apr_status_t mongo_layout(mongo_t *self, mongoc_client_t *client, apr_pool_t *pool);
/** Forget that it is as wanted (or say that it is): a later start looks, and makes what is missing. */
apr_status_t mongo_layout_mark(mongo_t *self, mongoc_client_t *client, int is_good,
                               apr_pool_t *pool);
/** Make a collection without indexes, unless it is there. */
apr_status_t mongo_layout_collection(mongo_t *self, mongoc_client_t *client, const char *name);
/** Make indexes of one collection; which[i] says whether its row i is wanted. */
bool mongo_layout_indexes(mongo_t *self, mongoc_client_t *client, const hb_shape_row_t *shape,
                          const char *which, apr_pool_t *pool, bson_error_t *error);
/** A client that waits an hour for an answer: making an index takes its time. Destroy it. */
mongoc_client_t *mongo_layout_client(mongo_t *self);
/** What createIndexes is told of one. */
void mongo_layout_append_index(bson_t *to, const hb_index_row_t *row, apr_pool_t *pool);

#define MONGO_NOTE "copy"       /* in MONGO_META: hb_store_load()'s note */

/** The text of a note in MONGO_META, in pool; NULL when there is none. */
apr_status_t mongo_note(const char **text, mongo_t *self, mongoc_client_t *client,
                        apr_pool_t *pool, bson_error_t *error);

/* --- store_mongodb_index.c --- */

/** Compare each index with the schema; fn gets a sentence for each difference. */
void mongo_index_check(mongo_t *self, mongoc_client_t *client, apr_pool_t *pool,
                       void (*fn)(void *baton, const char *finding), void *baton);
/** Make what is missing of a collection's indexes; one that is not as wanted is dropped before. */
bool mongo_index_mend(mongo_t *self, mongoc_client_t *client, const hb_shape_row_t *shape,
                      apr_pool_t *pool, bson_error_t *error);
apr_status_t store_mongodb_indexes(void *self, hb_json_t **list, hb_op_t *op);
apr_status_t store_mongodb_reindex(void *self, hb_op_t *op, int all, hb_store_report_fn *report,
                                   void *baton);

/* --- store_mongodb_copy.c --- */

apr_status_t store_mongodb_freeze(void *self, hb_op_t *op, hb_store_tx_fn *fn, void *baton);
apr_status_t store_mongodb_clear(void *self, hb_op_t *op);
apr_status_t store_mongodb_load(void *self, hb_op_t *op, hb_collection_e in,
                               const hb_store_raw_t *docs, int n, const char *note);
apr_status_t store_mongodb_note(void *self, const char **note, hb_op_t *op);

/* --- store_mongodb_bson.c; none of it waits --- */

/** A document, "_id" first. Destroy it with bson_destroy. */
bson_t *mongo_doc_bson(hb_collection_e in, const hb_json_t *doc);
/** The same of one whose id stands beside it. */
bson_t *mongo_raw_bson(hb_collection_e in, const char *id, const hb_json_t *doc);
/** What the server gave, in pool. */
hb_json_t *mongo_doc_json(const bson_t *bson, apr_pool_t *pool);
/** {field: value} as the field is stored. */
void mongo_append(bson_t *to, const char *key, hb_collection_e in, const char *field,
                  const hb_value_t *value);
/** Conditions, that sort fields are there, and what lies behind a cursor (may be NULL). */
void mongo_filter(bson_t *filter, const hb_query_t *query, const hb_store_cursor_t *cursor);
void mongo_filter_id(bson_t *filter, const char *id);
void mongo_sort(bson_t *sort, const hb_query_t *query);
/** The least value a field of this kind can have, so that {$gte} means: it is there. */
void mongo_append_least(bson_t *to, const char *key, hb_kind_e kind);

/* --- store_mongodb_groups.c --- */

apr_status_t store_mongodb_values(void *self, hb_op_t *op, const hb_query_t *query,
                                  const char *field, hb_store_value_fn *fn, void *baton);
apr_status_t store_mongodb_groups(void *self, hb_group_t **groups, int *n, hb_op_t *op,
                                  const hb_query_t *query, const char *const by[2],
                                  const char *sum);

/* --- store_mongodb_tx.c --- */

apr_status_t store_mongodb_transact(void *self, hb_op_t *op, hb_store_tx_fn *fn, void *baton);
/** Our mistake: a write by another op while this thread is inside a transaction. */
apr_status_t mongo_check_thread(hb_op_t *op);

/** Inside a transaction: remember a record as it was read (NULL: it is not there). */
void mongo_tx_saw(mongo_tx_t *tx, hb_op_t *op, hb_collection_e in, const char *id,
                  const hb_json_t *doc);
/**
 * Inside a transaction, before a record is written: would another have the same unique values? A
 * duplicate that the server finds would end the whole transaction.
 * @param is_new  it is not there yet, and its id may be taken
 */
apr_status_t mongo_tx_unique(const char **index, const mongo_call_t *call, hb_collection_e in,
                             const hb_json_t *doc, int is_new);
/** Inside a nested transaction, before a record is written: keep it for undoing. */
apr_status_t mongo_tx_keep(const mongo_call_t *call, hb_collection_e in, const char *id);

/* --- store_mongodb_orphans.c --- */

typedef struct mongo_orphans_t mongo_orphans_t;

void mongo_orphans_open(mongo_t *self, apr_pool_t *pool);
void mongo_orphans_close(mongo_t *self);
/** Note a session before its transaction begins. @return its number for mongo_orphans_done(); -1: there is no room */
int mongo_orphans_note(mongo_t *self, const mongoc_client_session_t *session);
/** @param is_over  the server knows of the end, too; else it is told later */
void mongo_orphans_done(mongo_t *self, int number, int is_over);
/**
 * Before a transaction: have the server end those that dead processes of this host, and this one, left
 * open; looks for them once a second. Waits for the server when there are any.
 * @param is_waiting  somebody holds what this one wants to write: look more often
 */
void mongo_orphans_end(mongo_t *self, hb_op_t *op, int is_waiting);
/** For the driver's callbacks: did the abort of this thread's transaction arrive? */
void mongo_tx_aborted(const char *command, int has_arrived);

#endif /* STORE_MONGODB_H */
