/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writers of this process share commits. Each queues its work; one of them leads: it takes
 * the lock of all processes, runs what is queued in one transaction (work of several
 * statements in a savepoint of its own, so that what fails is undone alone), commits,
 * and wakes the others. While it waits for the disk the next group gathers, so the more
 * writers there are, the fewer waits for the disk each of them pays.
 *
 * Nobody is told success before the commit is on the disk. A leader that dies takes its
 * process along, and SQLite forgets what was not committed.
 */
#include "store_sqlite.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_strings.h>

#include "hb_metrics.h"

#define GROUP_ITEMS_MAX 256
#define GROUP_USEC_MAX 20000        /* then others, also of other processes, have a turn */
#define CHECKPOINT_PAGES 4000       /* 16 MB of log */
#define CHECKPOINT_PAGES_EARLY 250  /* by a process nobody waits for: short waits for others */
#define TRUNCATE_PAGES 16000        /* a log that readers let grow is cut when they let go */
#define RETRY_AFTER_SEC 2

struct store_item_t {
    store_item_t *next;             /* in the queue, later in the group */
    hb_op_t *op;
    store_write_fn *fn;
    void *baton;
    int is_many;
    apr_status_t rv;
    apr_int64_t queued_at;
    enum { IS_QUEUED, IS_TAKEN, IS_DONE } state;
    int leads;
    pthread_cond_t wake;
};

typedef struct group_t {
    store_item_t *head, *tail;
    int n;
    int n_changes;                  /* rows, as SQLite counts them */
} group_t;

/* The group this thread is running, to catch work that would wait for itself. */
static __thread const store_sqlite_t *leading;

static void enqueue(store_sqlite_t *self, store_item_t *item)
{
    if (self->queue_tail != NULL) {
        self->queue_tail->next = item;
    }
    else {
        self->queue_head = item;
    }
    self->queue_tail = item;
}

static void unqueue(store_sqlite_t *self, store_item_t *item)
{
    store_item_t **link = &self->queue_head;
    store_item_t *before = NULL;

    while (*link != item) {
        before = *link;
        link = &(*link)->next;
    }
    *link = item->next;
    if (self->queue_tail == item) {
        self->queue_tail = before;
    }
    item->next = NULL;
}

static store_item_t *next_of_queue(store_sqlite_t *self)
{
    store_item_t *item;

    pthread_mutex_lock(&self->queue_lock);
    item = self->queue_head;
    if (item != NULL) {
        unqueue(self, item);
        item->state = IS_TAKEN;
    }
    pthread_mutex_unlock(&self->queue_lock);
    return item;
}

static apr_status_t busy(store_item_t *item)
{
    return hb_fail_later(item->op, HB_E_STORE_CONFLICT, RETRY_AFTER_SEC,
                         "too many writers at once; try again");
}

static int undo(store_conn_t *conn)
{
    return store_exec(conn, "ROLLBACK TO item; RELEASE item");
}

static void run_item(store_sqlite_t *self, store_conn_t *conn, store_item_t *item)
{
    int rc = SQLITE_OK;

    hb_metric_add(self->site->metrics, HB_M_STORE_WAIT_USEC,
                  hb_clock() - item->queued_at);
    if (item->is_many) {
        rc = store_run(self, conn, "SAVEPOINT item");
        if (rc != SQLITE_OK) {
            item->rv = store_fail(self, conn, rc, item->op, "write");
            return;
        }
    }
    item->rv = item->fn(self, conn, item->op, item->baton);
    if (item->is_many && !sqlite3_get_autocommit(conn->db)) {
        rc = item->rv == APR_SUCCESS ? store_run(self, conn, "RELEASE item") : undo(conn);
        if (rc != SQLITE_OK && item->rv == APR_SUCCESS) {
            item->rv = store_fail(self, conn, rc, item->op, "write");
        }
    }
}

/* Run the queue until it is empty or the group is full; what is left has the next turn. */
static void run_group(store_sqlite_t *self, store_conn_t *conn, group_t *group)
{
    apr_int64_t started = hb_clock();
    store_item_t *item;

    while (group->n < GROUP_ITEMS_MAX && !sqlite3_get_autocommit(conn->db)
           && (group->n == 0 || hb_clock() - started < GROUP_USEC_MAX)
           && (item = next_of_queue(self)) != NULL) {
        item->next = NULL;
        if (group->tail != NULL) {
            group->tail->next = item;
        }
        else {
            group->head = item;
        }
        group->tail = item;
        group->n++;
        run_item(self, conn, item);
    }
}

/* All of the group fail for one reason; who failed for his own keeps that. */
static void fail_group(store_sqlite_t *self, store_conn_t *conn, group_t *group, int rc,
                       const char *what)
{
    store_item_t *item;

    for (item = group->head; item != NULL; item = item->next) {
        if (item->rv == APR_SUCCESS) {
            item->rv = store_fail(self, conn, rc, item->op, what);
        }
    }
}

static void wake_group(store_sqlite_t *self, group_t *group, const store_item_t *mine)
{
    store_item_t *item, *next;

    pthread_mutex_lock(&self->queue_lock);
    for (item = group->head; item != NULL; item = next) {
        next = item->next;
        item->state = IS_DONE;
        if (item != mine) {
            pthread_cond_signal(&item->wake);   /* from here on it may be gone */
        }
    }
    pthread_mutex_unlock(&self->queue_lock);
}

static void note_commit(store_sqlite_t *self, const group_t *group)
{
    hb_metric_add(self->site->metrics, HB_M_STORE_COMMITS, 1);
    pthread_mutex_lock(&self->notes_lock);
    self->written_at = hb_clock();
    self->n_groups++;
    self->n_items += group->n;
    if (self->complained_at[0] != 0) {
        self->complained_at[0] = 0;
        hb_log_to(&self->site->log, HB_LOG_NOTICE, 0, HBLOGNO(01110)
                  "%s can be written again", self->path);
    }
    pthread_mutex_unlock(&self->notes_lock);
    self->has_written = 1;
}

/* With the lock of all processes, so that no other writes meanwhile. Readers go on; what
 * they still look at stays in the log until the next time. */
static void checkpoint(store_sqlite_t *self, store_conn_t *conn)
{
    int in_log = 0, done = 0;
    int rc = sqlite3_wal_checkpoint_v2(conn->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_log,
                                       &done);

    if (rc == SQLITE_OK && in_log == done && in_log >= TRUNCATE_PAGES) {
        sqlite3_busy_timeout(conn->db, 0);
        rc = sqlite3_wal_checkpoint_v2(conn->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL,
                                       NULL);
        sqlite3_busy_timeout(conn->db, (int)(self->site->settings->store_wait / 1000));
    }
    conn->wal_pages = 0;
    if (rc != SQLITE_OK && rc != SQLITE_BUSY) {
        hb_log_to(&self->site->log, HB_LOG_WARNING, 0, HBLOGNO(01111)
                  "checkpoint of %s failed (nothing is lost, the log grows): %s", self->path,
                  sqlite3_errmsg(conn->db));
    }
}

/* One transaction for the queue, with the lock held. */
static void commit_group(store_sqlite_t *self, group_t *group, const store_item_t *mine)
{
    store_conn_t *conn = self->writer;
    int rc, before;

    rc = store_run(self, conn, "BEGIN IMMEDIATE");
    if (rc != SQLITE_OK) {
        group->head = group->tail = next_of_queue(self);    /* mine is its head */
        fail_group(self, conn, group, rc, "write");
        wake_group(self, group, mine);
        return;
    }
    before = sqlite3_total_changes(conn->db);
    run_group(self, conn, group);
    if (sqlite3_get_autocommit(conn->db)) {
        /* SQLite gave the whole transaction up: a full disk, an I/O error. */
        rc = sqlite3_extended_errcode(conn->db);
        if (rc == SQLITE_OK || rc == SQLITE_ROW || rc == SQLITE_DONE) {
            rc = SQLITE_FULL;   /* a closure went on reading after the error */
        }
        fail_group(self, conn, group, rc, "write");
    }
    else {
        group->n_changes = sqlite3_total_changes(conn->db) - before;
        rc = store_run(self, conn, "COMMIT");
        if (rc != SQLITE_OK) {
            fail_group(self, conn, group, rc, "commit");
            if (!sqlite3_get_autocommit(conn->db)
                && store_exec(conn, "ROLLBACK") != SQLITE_OK) {
                conn->is_bad = 1;
            }
        }
        else if (group->n_changes > 0) {
            note_commit(self, group);
        }
    }
    wake_group(self, group, mine);
    if (conn->wal_pages >= (self->site->is_background ? CHECKPOINT_PAGES_EARLY : CHECKPOINT_PAGES)
        && !conn->is_bad) {
        checkpoint(self, conn);
    }
}

static apr_status_t ready_writer(store_sqlite_t *self, hb_op_t *op)
{
    int rc;

    if (!store_sqlite_is_same_file(self, 1)) {
        return store_fail(self, NULL, SQLITE_READONLY_DBMOVED, op, "write");
    }
    if (self->writer != NULL && self->writer->is_bad) {
        store_conn_close(self->writer);
        self->writer = NULL;
    }
    if (self->writer == NULL) {
        self->writer = store_conn_open(&rc, self, self->path, 0);
        if (self->writer == NULL) {
            return store_fail(self, NULL, rc, op, "write");
        }
    }
    return APR_SUCCESS;
}

/* Lead one group; mine is the head of the queue. Afterwards mine is done. */
static void lead(store_sqlite_t *self, store_item_t *mine, apr_int64_t deadline)
{
    group_t group = { NULL, NULL, 0, 0 };
    int died;
    apr_status_t rv = store_lock_take(self->lock, deadline, &died);

    if (rv != APR_SUCCESS) {
        if (rv == APR_TIMEUP) {
            mine->rv = busy(mine);
        }
        else {
            hb_log(mine->op, HB_LOG_ERR, rv, HBLOGNO(01112) "the lock %s cannot be taken",
                   self->lock_path);
            mine->rv = hb_fail_later(mine->op, HB_E_STORE_DOWN, RETRY_AFTER_SEC,
                                     "records cannot be written just now");
        }
        mine->state = IS_DONE;
        pthread_mutex_lock(&self->queue_lock);
        unqueue(self, mine);
        pthread_mutex_unlock(&self->queue_lock);
        return;
    }
    if (died) {
        hb_log_to(&self->site->log, HB_LOG_NOTICE, 0, HBLOGNO(01113)
                  "a process died while it wrote to %s; what it had not committed is gone, "
                  "all else is whole", self->path);
    }
    leading = self;
    rv = ready_writer(self, mine->op);
    if (rv == APR_SUCCESS) {
        commit_group(self, &group, mine);
    }
    else {
        group.head = next_of_queue(self);
        group.head->rv = rv;
        wake_group(self, &group, mine);
    }
    leading = NULL;
    store_lock_give(self->lock);
}

static void queue_and_wait(store_sqlite_t *self, store_item_t *item, apr_int64_t deadline)
{
    struct timespec at = hb_clock_at(deadline);

    pthread_mutex_lock(&self->queue_lock);
    enqueue(self, item);
    if (!self->is_led) {
        self->is_led = 1;
        item->leads = 1;
    }
    while (item->state != IS_DONE && !item->leads) {
        if (item->state == IS_TAKEN) {
            pthread_cond_wait(&item->wake, &self->queue_lock);
        }
        else if (pthread_cond_timedwait(&item->wake, &self->queue_lock, &at) != 0
                 && item->state == IS_QUEUED && !item->leads) {
            unqueue(self, item);
            item->state = IS_DONE;
            item->rv = busy(item);
        }
    }
    if (item->leads) {
        pthread_mutex_unlock(&self->queue_lock);
        lead(self, item, deadline);
        pthread_mutex_lock(&self->queue_lock);
        if (self->queue_head != NULL) {
            self->queue_head->leads = 1;
            pthread_cond_signal(&self->queue_head->wake);
        }
        else {
            self->is_led = 0;
        }
    }
    pthread_mutex_unlock(&self->queue_lock);
}

static apr_status_t write_inside(store_sqlite_t *self, hb_op_t *op, store_write_fn *fn,
                                 void *baton, int is_many)
{
    store_tx_t *tx = (store_tx_t *)op->tx;
    char name[64];
    apr_status_t rv;
    int rc;

    if (sqlite3_get_autocommit(tx->conn->db)) {
        /* SQLite gave the transaction up after an error that the closure passed over; what
         * it writes now would be kept by itself. */
        return store_fail(self, tx->conn, SQLITE_FULL, op, "write");
    }
    if (!is_many) {
        return fn(self, tx->conn, op, baton);
    }
    apr_snprintf(name, sizeof(name), "SAVEPOINT inner%d", ++tx->depth);
    rc = store_exec(tx->conn, name);
    if (rc != SQLITE_OK) {
        tx->depth--;
        return store_fail(self, tx->conn, rc, op, "write");
    }
    rv = fn(self, tx->conn, op, baton);
    if (!sqlite3_get_autocommit(tx->conn->db)) {
        if (rv != APR_SUCCESS) {
            apr_snprintf(name, sizeof(name), "ROLLBACK TO inner%d", tx->depth);
            store_exec(tx->conn, name);
        }
        apr_snprintf(name, sizeof(name), "RELEASE inner%d", tx->depth);
        rc = store_exec(tx->conn, name);
        if (rc != SQLITE_OK && rv == APR_SUCCESS) {
            rv = store_fail(self, tx->conn, rc, op, "write");
        }
    }
    tx->depth--;
    return rv;
}

apr_status_t store_write(store_sqlite_t *self, hb_op_t *op, store_write_fn *fn, void *baton,
                         int is_many, apr_interval_time_t wait)
{
    store_item_t item;

    if (op->tx != NULL) {
        return write_inside(self, op, fn, baton, is_many);
    }
    if (leading == self || self->pid != getpid()) {
        hb_log(op, HB_LOG_ERR, 0, HBLOGNO(01114) "a write %s", leading == self
               ? "inside a transaction uses another op than the transaction's"
               : "in a forked process uses its parent's store");
        return HB_E_INTERNAL;
    }
    memset(&item, 0, sizeof(item));
    item.op = op;
    item.fn = fn;
    item.baton = baton;
    item.is_many = is_many;
    item.queued_at = hb_clock();
    hb_clock_cond_init(&item.wake);
    queue_and_wait(self, &item, item.queued_at + wait);
    pthread_cond_destroy(&item.wake);
    return item.rv;
}

void store_group_close(store_sqlite_t *self)
{
    int died;

    if (self->writer == NULL) {
        return;
    }
    /* A process that ends tidies up its log, but keeps nobody waiting for it. */
    if (self->has_written && !self->is_lost
        && store_lock_take(self->lock, 0, &died) == APR_SUCCESS) {
        sqlite3_busy_timeout(self->writer->db, 0);
        sqlite3_wal_checkpoint_v2(self->writer->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL,
                                  NULL);
        store_lock_give(self->lock);
    }
    store_conn_close(self->writer);
    self->writer = NULL;
}
