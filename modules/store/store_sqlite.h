/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file store_sqlite.h
 * The inside of the SQLite backend, one noun per file:
 *
 *   store_sqlite.c         the driver: get, find, count, walk
 *   store_sqlite_write.c   insert, change, replace, remove, transact
 *   store_sqlite_open.c    the file: where it is, who may open it, its layout and migration
 *   store_sqlite_conn.c    connections, kept statements, what SQLite's errors mean for us
 *   store_sqlite_query.c   queries become SQL
 *   store_sqlite_columns.c the columns that indexes are on
 *   store_sqlite_lock.c    the lock that writers of all processes queue on
 *   store_sqlite_group.c   writers of this process share commits
 *   store_sqlite_groups.c  single fields and sums of many records
 *   store_sqlite_copy.c    what a copy asks of its source and target
 *   store_sqlite_index.c   indexes: which are there, making them anew
 *   store_sqlite_keep.c    ping, backup, verify, stats
 *   store_sqlite_put.c     another file in the place of this one
 *
 * A collection is a table (seq, id, "$.field" ..., doc); doc is the JSON without "_id", and each
 * field that an index names has a column of its own, written with doc.
 */
#ifndef STORE_SQLITE_H
#define STORE_SQLITE_H

#include <pthread.h>
#include <sys/types.h>

#include <sqlite3.h>

#include "hb_store_backend.h"

#define STORE_READERS_MAX 16    /* connections; a read takes microseconds */
#define STORE_STMTS_MAX 64      /* kept by each connection */

typedef struct store_lock_t store_lock_t;

/** A kept statement. */
typedef struct store_slot_t {
    apr_uint64_t hash;
    apr_uint64_t used_at;
    sqlite3_stmt *stmt;
} store_slot_t;

/** One connection; one thread at a time uses it. */
typedef struct store_conn_t {
    sqlite3 *db;
    struct store_conn_t *next;
    int is_bad;                 /* to be closed, not used again */
    int wal_pages;              /* pages in the log after the last commit */
    apr_uint64_t n_used;
    sqlite3_stmt *get[HB_SHAPE_COUNT];
    store_slot_t slots[STORE_STMTS_MAX];
} store_conn_t;

typedef struct store_item_t store_item_t;

typedef struct store_sqlite_t {
    hb_site_t *site;
    const char *path;           /* absolute */
    const char *lock_path;
    int is_to_copy;             /* opened for a copy into it */
    pid_t pid;                  /* connections do not survive a fork */
    dev_t dev;                  /* which file path was when it was opened */
    ino_t ino;
    int is_lost;                /* atomic; the front opens anew */
    apr_int64_t looked_at;      /* atomic; when path was last compared with dev and ino */
    store_lock_t *lock;

    pthread_mutex_t readers_lock;
    pthread_cond_t reader_freed;
    store_conn_t *readers;      /* idle ones, last used first */
    int n_readers;              /* idle and in use */

    store_conn_t *writer;       /* of whoever leads; NULL until needed */
    pthread_mutex_t queue_lock;
    store_item_t *queue_head, *queue_tail;
    int is_led;                 /* some thread leads a group */
    int has_written;            /* since open: worth a checkpoint at the end */

    pthread_mutex_t notes_lock; /* of what follows */
    apr_int64_t complained_at[4];
    apr_uint64_t warned[32];    /* hashes of SQL whose plan was complained about */
    int n_warned;
    apr_int64_t written_at;     /* last durable commit, for ping */
    apr_int64_t pinged_at;
    apr_status_t ping_rv;
    apr_int64_t n_groups, n_items;
} store_sqlite_t;

/** The driver's transaction; op->tx points at its head. */
typedef struct store_tx_t {
    struct hb_store_tx_t head;
    store_conn_t *conn;
    int depth;                  /* of nested transactions */
} store_tx_t;

/* --- store_sqlite.c --- */

/** The document in a column of a row, with its id. HB_E_STORE_DAMAGED, logged, when it is none. */
apr_status_t store_doc_of(hb_json_t **doc, hb_op_t *op, hb_collection_e in, const char *id,
                          sqlite3_stmt *stmt, int column, apr_pool_t *pool);
/** The document with this id, in op->pool, and the number of its row. @param seq  may be NULL */
apr_status_t store_read_one(hb_json_t **doc, apr_int64_t *seq, store_sqlite_t *self,
                            store_conn_t *conn, hb_op_t *op, hb_collection_e in,
                            const char *id);

/* --- store_sqlite_write.c --- */

apr_status_t store_sqlite_insert(void *self, const char **index, hb_op_t *op,
                                 hb_collection_e in, hb_json_t *doc);
apr_status_t store_sqlite_change(void *self, hb_json_t **after, const char **index,
                                 hb_op_t *op, hb_collection_e in, const char *id,
                                 const hb_cond_t *guards, int n_guards,
                                 const hb_edit_t *edits, int n_edits);
apr_status_t store_sqlite_replace(void *self, const char **index, hb_op_t *op,
                                  hb_collection_e in, hb_json_t *doc);
apr_status_t store_sqlite_remove(void *self, hb_op_t *op, hb_collection_e in, const char *id,
                                 const hb_cond_t *guards, int n_guards);
apr_status_t store_sqlite_change_all(void *self, apr_int64_t *n, hb_op_t *op,
                                     const hb_query_t *query, const hb_edit_t *edits,
                                     int n_edits);
apr_status_t store_sqlite_remove_all(void *self, apr_int64_t *n, hb_op_t *op,
                                     const hb_query_t *query);
apr_status_t store_sqlite_transact(void *self, hb_op_t *op, hb_store_tx_fn *fn, void *baton);

/* --- store_sqlite_open.c --- */

/** Where the file of a URL lies, absolute when the state directory is. */
const char *store_sqlite_path(const hb_site_t *site, const char *url, apr_pool_t *pool);
apr_status_t store_sqlite_open(void **self, hb_site_t *site, const char *url, int is_to_copy,
                               apr_pool_t *pool);
/**
 * Is the file at path still the one that was opened? Sets is_lost when not.
 * @param look_now  0: an answer of the last second will do
 */
int store_sqlite_is_same_file(store_sqlite_t *self, int look_now);
/** Every index that hb_schema.def wants, as name and SQL; for verify. Ends with NULL. */
const char *const *store_sqlite_layout(apr_pool_t *pool);
/** What the table meta says; NULL when it says nothing. */
const char *store_meta(store_conn_t *conn, const char *key, apr_pool_t *pool);
/** Let meta say it, nothing more when value is NULL. SQLite's code. */
int store_set_meta(store_conn_t *conn, const char *key, const char *value);
/** The SQL that made a table or an index; NULL when there is none of this name. */
const char *store_sql_of(store_conn_t *conn, const char *name, apr_pool_t *pool);
/** That tables and indexes are (or are not) known to be as store_sqlite_layout() has them. */
int store_set_layout_mark(store_conn_t *conn, int is_good, apr_pool_t *pool);

/* Keys of meta. */
#define STORE_META_COPY "copy"          /* hb_store_load()'s note */

/* --- store_sqlite_conn.c --- */

/** Open one; `flags` 0 or STORE_CONN_READER. NULL, with rc set, when it cannot be. */
#define STORE_CONN_READER 1
store_conn_t *store_conn_open(int *rc, store_sqlite_t *self, const char *path, int flags);
void store_conn_close(store_conn_t *conn);

/** Borrow a reading connection, waiting at most store_wait; give it back at once. */
apr_status_t store_reader_take(store_conn_t **conn, store_sqlite_t *self, hb_op_t *op);
void store_reader_give(store_sqlite_t *self, store_conn_t *conn);
void store_readers_close(store_sqlite_t *self);

/** A kept statement, made when it is new; NULL with SQLite's error in conn. */
#define STORE_STMT_LOOK 1       /* complain when its plan walks a table or sorts */
#define STORE_STMT_WALKS 2      /* walking an index in order is what it is for */
#define STORE_STMT_SORTS 4      /* few values are sorted at the end */
sqlite3_stmt *store_stmt(store_sqlite_t *self, store_conn_t *conn, const char *sql, int flags);
/** The kept statement that reads seq, doc of a collection by id. */
sqlite3_stmt *store_stmt_get(store_sqlite_t *self, store_conn_t *conn, hb_collection_e in);

/** Run one kept statement that gives nothing back; SQLite's code. */
int store_run(store_sqlite_t *self, store_conn_t *conn, const char *sql);
/** Run SQL of any number of statements; SQLite's code. */
int store_exec(store_conn_t *conn, const char *sql);

/** What SQLite's error means for the caller; logs it and notes the problem. */
apr_status_t store_fail(store_sqlite_t *self, store_conn_t *conn, int rc, hb_op_t *op,
                        const char *what);
/** The name of the unique index in SQLite's last error of an insert or update. */
const char *store_dup_index(store_conn_t *conn, hb_op_t *op, hb_collection_e in);

/* --- store_sqlite_query.c --- */

/** SQL being made, with the values to bind. */
typedef struct store_sql_t {
    apr_pool_t *pool;
    hb_collection_e in;
    char *text;
    apr_size_t n, size;
    int n_terms;                /* of the WHERE clause so far */
    hb_value_t *binds;
    int n_binds, max_binds;
} store_sql_t;

void store_sql_start(store_sql_t *sql, hb_collection_e in, apr_pool_t *pool);
void store_sql_add(store_sql_t *sql, const char *text);
/**
 * " WHERE ..." of a query's conditions, and that its sort fields are there.
 * @param n_same  how many of the sort fields are fixed by store_sql_behind; 0 without it
 */
void store_sql_where(store_sql_t *sql, const hb_query_t *query, int n_same);
/** Only what lies behind the cursor and shares its first n_same sort values. */
void store_sql_behind(store_sql_t *sql, const hb_query_t *query,
                      const hb_store_cursor_t *cursor, int n_same);
void store_sql_order(store_sql_t *sql, const hb_query_t *query, int n_same);
void store_sql_limit(store_sql_t *sql, int limit);
/** The expression of a field in SQL; field is one of hb_schema.def or "_id". */
void store_sql_field(store_sql_t *sql, const char *field);
/** Bind every value; SQLite's code. */
int store_sql_bind(const store_sql_t *sql, sqlite3_stmt *stmt);

/* --- store_sqlite_columns.c --- */

#define STORE_COLUMNS_MAX 40    /* of a collection; fewer than the bits of a set of them */

/** The fields of a collection that its indexes name, in the order of their columns. */
typedef struct store_columns_t {
    int n;
    const char *fields[STORE_COLUMNS_MAX];
} store_columns_t;

/** Lives as long as the process. */
const store_columns_t *store_columns(hb_collection_e in);
/** The number of a field's column, -1 when it has none. */
int store_column_of(hb_collection_e in, const char *field);

/** Every field with a text before and one behind, in a row. */
const char *store_columns_list(apr_pool_t *pool, hb_collection_e in, const char *before,
                               const char *behind);

/* Statements: values are id, doc, every column; id; seq, doc, the changed columns. */
void store_columns_insert_sql(store_sql_t *sql, hb_collection_e in);
/** seq, and every column, by id. */
void store_columns_select_sql(store_sql_t *sql, hb_collection_e in);
void store_columns_update_sql(store_sql_t *sql, hb_collection_e in, apr_uint64_t changed);

#define STORE_COLUMNS_ALL (~APR_UINT64_C(0))

/** Bind a document's values of a set of columns, from parameter `at` on. SQLite's code. */
int store_columns_bind(sqlite3_stmt *stmt, int at, hb_collection_e in, const hb_json_t *doc,
                       apr_uint64_t which);
/** The columns, in a row of a statement from column `at` on, that a document has other values of. */
apr_uint64_t store_columns_differ(sqlite3_stmt *stmt, int at, hb_collection_e in,
                                  const hb_json_t *doc);
/** The columns that edits may change. */
apr_uint64_t store_columns_edited(hb_collection_e in, const hb_edit_t *edits, int n_edits);

/* --- store_sqlite_lock.c --- */

/** Open or make the lock's file; may wait a little for who makes it just now. */
apr_status_t store_lock_open(store_lock_t **lock, const char **why, const char *path,
                             apr_interval_time_t wait);
void store_lock_close(store_lock_t *lock);
/**
 * Take it by hb_clock() == deadline. APR_TIMEUP when others held it all the time.
 * @param died  set when the last holder died with it; the store is whole all the same
 */
apr_status_t store_lock_take(store_lock_t *lock, apr_int64_t deadline, int *died);
void store_lock_give(store_lock_t *lock);

/* --- store_sqlite_group.c --- */

/** Work inside a write transaction, on the writing connection. */
typedef apr_status_t store_write_fn(store_sqlite_t *self, store_conn_t *conn, hb_op_t *op,
                                    void *baton);

/**
 * Run fn in a transaction that is durable when this returns success; by another thread
 * maybe, while this one waits. Inside op's transaction it runs at once.
 * @param is_many  fn makes more than one statement: undone as a whole when it fails
 * @param wait     how long to queue
 */
apr_status_t store_write(store_sqlite_t *self, hb_op_t *op, store_write_fn *fn, void *baton,
                         int is_many, apr_interval_time_t wait);
/** Checkpoint what this process wrote, unless others are busy; closes the writer. */
void store_group_close(store_sqlite_t *self);

/* --- store_sqlite_groups.c --- */

apr_status_t store_sqlite_values(void *self, hb_op_t *op, const hb_query_t *query,
                                 const char *field, hb_store_value_fn *fn, void *baton);
apr_status_t store_sqlite_groups(void *self, hb_group_t **groups, int *n, hb_op_t *op,
                                 const hb_query_t *query, const char *const by[2],
                                 const char *sum);

/* --- store_sqlite_keep.c --- */

apr_status_t store_sqlite_ping(void *self, hb_op_t *op);
apr_status_t store_sqlite_backup(void *self, hb_op_t *op, const char *path,
                                 hb_store_report_fn *report, void *baton);
apr_status_t store_sqlite_verify(void *self, apr_int64_t *findings, hb_op_t *op,
                                 hb_store_report_fn *report, void *baton);
apr_status_t store_sqlite_stats(void *self, hb_json_t **stats, hb_op_t *op);

/* --- store_sqlite_put.c --- */

apr_status_t store_sqlite_is_used(int *is_used, hb_op_t *op, const char *url);
apr_status_t store_sqlite_put(const char **aside, hb_op_t *op, const char *url,
                              const char *file, int is_used);

/* --- store_sqlite_index.c --- */

apr_status_t store_sqlite_indexes(void *self, hb_json_t **list, hb_op_t *op);
apr_status_t store_sqlite_reindex(void *self, hb_op_t *op, int all, hb_store_report_fn *report,
                                  void *baton);

/* --- store_sqlite_copy.c --- */

apr_status_t store_sqlite_freeze(void *self, hb_op_t *op, hb_store_tx_fn *fn, void *baton);
apr_status_t store_sqlite_clear(void *self, hb_op_t *op);
apr_status_t store_sqlite_load(void *self, hb_op_t *op, hb_collection_e in,
                               const hb_store_raw_t *docs, int n, const char *note);
apr_status_t store_sqlite_note(void *self, const char **note, hb_op_t *op);

#endif /* STORE_SQLITE_H */
