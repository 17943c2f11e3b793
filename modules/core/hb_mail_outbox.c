/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the outbox to the spool, and when. Files of a batch are written first and synced
 * together, so that a batch costs the file system about one commit; a mail a commit would cost
 * more than the registration it belongs to.
 *
 * Rows go only after their files are on the disk. Who dies in between leaves both, and the
 * next round writes the same files once more: their names are made of the rows. That is why
 * nothing is delivered in a round that could not remove its rows. The lock keeps others of this
 * host out from the look into the outbox to the end. Hosts that share the records have a spool
 * each: there a row is one host's before it becomes a file.
 */
#include "hb_mail_spool.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <apr_strings.h>

#include "hb_clock.h"
#include "hb_file.h"
#include "hb_mail.h"
#include "hb_metrics.h"
#include "hb_node.h"
#include "hb_store.h"
#include "hb_time.h"

#define BATCH_MAX 64
#define GATHER_USEC 100000
#define TIDY_EVERY_USEC apr_time_from_sec(3600)

/* A host that took rows and was not back by then is gone for long: its rows are others'. */
#define TAKEN_USEC apr_time_from_sec(600)

/* One mail of a round. */
typedef struct letter_t {
    const hb_json_t *row;
    const char *path, *temporary;
    int fd;                     /* -1: nothing becomes of it */
} letter_t;

/* --- when --- */

static struct {
    pthread_once_t once;
    pthread_mutex_t lock;
    pthread_cond_t changed;     /* of the monotonic clock */
    int is_wanted;
    int stops;                  /* set once, when the process ends */
} bell = { .once = PTHREAD_ONCE_INIT, .lock = PTHREAD_MUTEX_INITIALIZER };

static void make_bell(void)
{
    hb_clock_cond_init(&bell.changed);
}

static void ring(int *flag)
{
    if (__atomic_load_n(flag, __ATOMIC_RELAXED)) {
        return;                 /* the usual case while many register */
    }
    pthread_once(&bell.once, make_bell);
    pthread_mutex_lock(&bell.lock);
    __atomic_store_n(flag, 1, __ATOMIC_RELAXED);
    pthread_cond_broadcast(&bell.changed);
    pthread_mutex_unlock(&bell.lock);
}

void hb_mail_wake(void)
{
    ring(&bell.is_wanted);
}

void hb_mail_stop(void)
{
    ring(&bell.stops);
}

int hb_mail_is_stopped(void)
{
    return __atomic_load_n(&bell.stops, __ATOMIC_RELAXED);
}

/* With the lock held. Until the flag is up (NULL: nothing but the end counts) or time is. */
static void sleep_until(const int *flag, apr_interval_time_t at_most)
{
    const struct timespec at = hb_clock_at(hb_clock() + at_most);

    while (!bell.stops && (flag == NULL || !*flag)
           && pthread_cond_timedwait(&bell.changed, &bell.lock, &at) == 0) {
        continue;
    }
}

int hb_mail_wait(apr_interval_time_t at_most)
{
    int stops;

    pthread_once(&bell.once, make_bell);
    pthread_mutex_lock(&bell.lock);
    sleep_until(&bell.is_wanted, at_most);
    if (bell.is_wanted || at_most == 0) {
        sleep_until(NULL, GATHER_USEC);
    }
    /* Before the round looks: what comes from here on rings again. */
    __atomic_store_n(&bell.is_wanted, 0, __ATOMIC_RELAXED);
    stops = bell.stops;
    pthread_mutex_unlock(&bell.lock);
    return stops;
}

/* --- what is wrong --- */

/* The thread's that makes rounds, as the lock is. */
static __thread char complaint[sizeof("HB00000: ")];

void hb_mail_complain(hb_op_t *op, apr_status_t rv, const char *line)
{
    int is_known = strncmp(complaint, line, sizeof(complaint) - 1) == 0;

    apr_cpystrn(complaint, line, sizeof(complaint));
    hb_log(op, is_known ? HB_LOG_DEBUG : HB_LOG_ERR, rv, "%s", line);
}

static void content(void)
{
    *complaint = '\0';
}

/* --- whose rows --- */

/* A file of this machine is written by this machine. */
static int is_shared(const hb_op_t *op)
{
    return strncmp(op->site->settings->store_url, "sqlite:", sizeof("sqlite:") - 1) != 0;
}

static hb_cond_t among(hb_value_t ids[BATCH_MAX], const hb_page_t *page, int from)
{
    hb_cond_t cond = { .field = "_id", .how = HB_ONE_OF, .any = ids,
                       .n_any = page->n_items - from };
    int i;

    for (i = 0; i < cond.n_any; i++) {
        ids[i] = (hb_value_t)HB_STR(hb_json_string(page->items[from + i], "_id"));
    }
    return cond;
}

/* Take what is nobody's, or a lost host's; the page is then what is ours. */
static apr_status_t take_rows(hb_page_t *page, const char **host, hb_op_t *op)
{
    apr_int64_t now = hb_time_to_msec(op->now);
    hb_edit_t ours[] = { { "host", HB_SET, HB_NIL }, { "takenAt", HB_SET, HB_INT(now) } };
    hb_value_t ids[BATCH_MAX];
    hb_cond_t where[] = { among(ids, page, 0), { "host", HB_IS, HB_NIL } };
    hb_cond_t late[] = { where[0], { "takenAt", HB_BELOW, HB_INT(now - TAKEN_USEC / 1000) } };
    hb_query_t query = { .in = HB_C_OUTBOX, .where = where, .n_where = 2, .limit = BATCH_MAX };
    const char *next = page->next;
    apr_status_t rv = hb_node_id(host, op->site->settings->state_dir, op->pool);

    if (rv != APR_SUCCESS) {
        hb_mail_complain(op, rv, HBLOGNO(00526) "mail waits in the outbox: this host has no id in its "
                         "state directory");
        return hb_fail(op, HB_E_UNAVAILABLE, NULL);
    }
    ours[0].value = (hb_value_t)HB_STR(*host);
    rv = hb_store_change_all(NULL, op, &query, ours, 2);
    if (rv == APR_SUCCESS) {
        query.where = late;
        rv = hb_store_change_all(NULL, op, &query, ours, 2);
    }
    if (rv == APR_SUCCESS) {
        where[1].value = ours[0].value;
        query.where = where;
        rv = hb_store_find(page, op, &query);
        page->next = next;
    }
    return rv;
}

/* What could not be written here may be written by another host. */
static void give_back(hb_op_t *op, const hb_page_t *page, int from, const char *host)
{
    const hb_edit_t edits[] = { { "host", HB_UNSET, HB_NIL }, { "takenAt", HB_UNSET, HB_NIL } };
    hb_value_t ids[BATCH_MAX];
    const hb_cond_t where[] = { among(ids, page, from), { "host", HB_IS, HB_STR(host) } };
    const hb_query_t query = { .in = HB_C_OUTBOX, .where = where, .n_where = 2 };

    if (from < page->n_items && hb_store_change_all(NULL, op, &query, edits, 2) != APR_SUCCESS) {
        hb_op_recover(op);      /* it is another's in a while in any case */
    }
}

/* --- a batch --- */

/* What a round left that died may lie there under the same name: it is written over. */
static int write_one(letter_t *letter, const char *message)
{
    int problem;

    letter->fd = open(letter->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
                      0600);
    if (letter->fd < 0) {
        return errno;
    }
    problem = hb_file_write(letter->fd, message, strlen(message));
    if (problem != 0) {
        close(letter->fd);
        letter->fd = -1;
        unlink(letter->temporary);
    }
    else {
        /* On its way to the disk while the next is written; the sync is still to come. */
        sync_file_range(letter->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    }
    return problem;
}

/* A row that will never be a mail: its key is gone, or somebody edited it. */
static void give_up(hb_op_t *op, const hb_json_t *row)
{
    hb_metric_add(op->site->metrics, HB_M_MAIL_FAILED, 1);
    hb_log(op, HB_LOG_ERR, 0, HBLOGNO(00169) "mail %s of the outbox cannot be read with the "
           "keys of this server and is given up", hb_json_string(row, "_id"));
}

/* Write files until one cannot be. @param n  rows that came so far, in order */
static apr_status_t write_letters(letter_t *letters, int *n, int *problem, hb_op_t *op,
                                  const hb_page_t *page)
{
    const char *dir = op->site->settings->mail_spool, *message, *file;
    apr_status_t rv = APR_SUCCESS;
    hb_mail_name_t name;

    for (*n = 0; *n < page->n_items && *problem == 0; *n += *problem == 0) {
        letter_t *letter = &letters[*n];

        letter->row = page->items[*n];
        letter->fd = -1;
        rv = hb_mail_message(&message, &name, op, letter->row, op->pool);
        if (rv == HB_E_STORE_DAMAGED) {
            give_up(op, letter->row);
            continue;
        }
        if (rv != APR_SUCCESS) {
            return hb_fail(op, rv, NULL);
        }
        file = hb_mail_name_text(&name, op->pool);
        letter->path = apr_pstrcat(op->pool, dir, "/", file, NULL);
        letter->temporary = apr_pstrcat(op->pool, dir, "/.", file, NULL);
        *problem = write_one(letter, message);
    }
    return APR_SUCCESS;
}

/* @return how many of n rows came to their end, in order */
static int place_letters(letter_t *letters, int n, int *n_spooled, int *problem, const char *dir)
{
    int n_done = 0, is_whole = 1, failed, i;

    for (i = 0; i < n; i++) {
        failed = letters[i].fd < 0 ? 0
            : hb_file_place(letters[i].fd, letters[i].temporary, letters[i].path);
        if (failed != 0) {
            *problem = failed;
            is_whole = 0;       /* the files behind it are written again with the next round */
        }
        if (is_whole) {
            n_done++;
            *n_spooled += letters[i].fd >= 0;
        }
    }
    failed = n_done > 0 ? hb_file_sync(dir) : 0;
    if (failed != 0) {
        *problem = failed;
        return 0;
    }
    return n_done;
}

static apr_status_t remove_rows(hb_op_t *op, const letter_t *letters, int n)
{
    hb_value_t ids[BATCH_MAX];
    const hb_cond_t where[] = { { .field = "_id", .how = HB_ONE_OF, .any = ids, .n_any = n } };
    hb_query_t done = { HB_C_OUTBOX, where, 1 };
    int i;

    for (i = 0; i < n; i++) {
        ids[i] = (hb_value_t)HB_STR(hb_json_string(letters[i].row, "_id"));
    }
    return hb_store_remove_all(NULL, op, &done);
}

static apr_status_t empty_outbox(hb_mail_run_t *run, hb_op_t *op)
{
    const hb_query_t oldest = { .in = HB_C_OUTBOX, .limit = BATCH_MAX };
    const char *dir = op->site->settings->mail_spool, *host = NULL;
    int n = 0, n_done, n_spooled = 0, problem = 0;
    letter_t letters[BATCH_MAX];
    apr_status_t rv, written;
    hb_page_t page;

    rv = hb_store_find(&page, op, &oldest);
    if (rv == APR_SUCCESS && page.n_items > 0 && is_shared(op)) {
        rv = take_rows(&page, &host, op);
    }
    if (rv != APR_SUCCESS || page.n_items == 0) {
        return rv;
    }
    written = write_letters(letters, &n, &problem, op, &page);
    n_done = place_letters(letters, n, &n_spooled, &problem, dir);
    rv = n_done > 0 ? remove_rows(op, letters, n_done) : APR_SUCCESS;
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (host != NULL) {
        give_back(op, &page, n_done, host);
    }
    hb_metric_add(op->site->metrics, HB_M_MAIL_SPOOLED, n_spooled);
    run->n_spooled = n_spooled;
    if (problem != 0) {
        hb_mail_complain(op, APR_FROM_OS_ERROR(problem),
            apr_psprintf(op->pool, HBLOGNO(00154) "mail cannot be written into %s; it waits in "
                         "the outbox", dir));
        return hb_fail(op, HB_E_UNAVAILABLE, "mail cannot be written just now");
    }
    run->is_more = page.next != NULL;
    return written;
}

/* --- a round --- */

/* The lock file, held; -1 with *rv: somebody else is at it (success), or why not. */
static int take_lock(apr_status_t *rv, hb_op_t *op)
{
    const char *dir = op->site->settings->mail_spool;
    int lock = open(apr_pstrcat(op->pool, dir, "/" HB_MAIL_LOCK, NULL),
                    O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

    *rv = APR_SUCCESS;
    if (lock < 0) {
        hb_mail_complain(op, APR_FROM_OS_ERROR(errno),
            apr_psprintf(op->pool, HBLOGNO(00162) "the mail spool %s cannot be used", dir));
        *rv = hb_fail(op, HB_E_UNAVAILABLE, NULL);
    }
    else if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        close(lock);
        lock = -1;
    }
    return lock;
}

/* Once an hour and process. */
static void tidy(hb_op_t *op)
{
    static apr_time_t at;       /* when next; one thread of a process makes rounds */
    apr_time_t now = hb_clock();

    if (now >= at) {
        at = hb_mail_tidy(op) ? now : now + TIDY_EVERY_USEC;
    }
}

apr_status_t hb_mail_run(hb_mail_run_t *run, hb_op_t *op)
{
    apr_status_t rv;
    int lock;

    memset(run, 0, sizeof(*run));
    if (hb_mail_is_stopped()) {
        return APR_SUCCESS;
    }
    if (hb_mail_sender(op) == NULL) {
        hb_mail_complain(op, 0, HBLOGNO(00170) "mail waits in the outbox: HaloBuzzMailFrom is "
                         "neither name@host nor Name <name@host>");
        return hb_fail(op, HB_E_CONFIG, NULL);
    }
    lock = take_lock(&rv, op);
    if (lock < 0) {
        return rv;
    }
    rv = empty_outbox(run, op);
    if (rv == APR_SUCCESS && *op->site->settings->smtp_url != '\0') {
        rv = hb_mail_deliver(&run->n_sent, op, lock);
    }
    if (rv == APR_SUCCESS) {
        content();
        tidy(op);
    }
    close(lock);
    return rv;
}
