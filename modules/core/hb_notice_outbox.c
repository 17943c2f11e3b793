/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What leaves the house, or waits for its hour. What stays in the store (a mail, an event, a notice
 * to all) is done in the transaction that removes its row: exactly once. What goes by HTTP is
 * leased first, so that nobody else sends it meanwhile, and removed after the service took it: a
 * death in between sends it again, under the same key.
 */
#include "hb_notice_private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <apr_strings.h>

#include "hb_mail_spool.h"
#include "hb_mail.h"
#include "hb_metrics.h"
#include "hb_store.h"
#include "hb_time.h"

#define BATCH_MAX 32
#define LEASE_USEC apr_time_from_sec(60)    /* longer than a try may take */
#define BACKOFF_SEC 30
#define BACKOFF_MAX_SEC 3600
#define TRIES_MAX 10
#define PATIENCE_USEC apr_time_from_sec(2 * 86400)  /* with one that is not tried itself */
#define PROBLEM_MAX 200
#define LATE_MSEC APR_INT64_C(3600000)      /* that maintenance of no known end began */
#define LOCK_FILE "notices.lock"

hb_json_t *hb_notice_outbox_row(hb_op_t *op, const char *way, hb_notice_e kind,
                                hb_json_t *values, const char *notice_id, apr_time_t due_at)
{
    hb_json_t *row = hb_json_object_make(op->pool);

    hb_json_set_string(row, "_id", hb_id_make(op));
    hb_json_set_string(row, "way", way);
    hb_json_set_string(row, "kind", hb_notice_row(kind)->name);
    hb_json_set(row, "values", values);
    if (notice_id != NULL) {
        hb_json_set_string(row, "noticeId", notice_id);
    }
    hb_json_set_int(row, "dueAt", hb_time_to_msec(due_at > op->now ? due_at : op->now));
    hb_json_set_int(row, "createdAt", hb_time_to_msec(op->now));
    return row;
}

apr_status_t hb_notice_outbox_add(hb_op_t *op, hb_json_t *row)
{
    apr_status_t rv = hb_store_insert(NULL, op, HB_C_NOTICE_OUTBOX, row);

    if (rv == APR_SUCCESS) {
        hb_mail_wake();
    }
    return rv;
}

/* --- one row --- */

typedef struct row_t {
    const hb_json_t *doc;
    const char *id, *way, *user_id, *notice_id;
    hb_notice_e kind;
    hb_json_t *values;
    apr_int64_t due_msec;
    int tries;
} row_t;

static void read_row(row_t *row, const hb_json_t *doc)
{
    row->doc = doc;
    row->id = hb_json_string(doc, "_id");
    row->way = hb_json_string(doc, "way");
    row->user_id = hb_json_string(doc, "userId");
    row->notice_id = hb_json_string(doc, "noticeId");
    row->kind = hb_notice_named(hb_json_string(doc, "kind"));
    row->values = hb_json_get(doc, "values");
    row->due_msec = hb_json_int(doc, "dueAt", 0);
    row->tries = (int)hb_json_int(doc, "tries", 0);
}

static int is_way(const row_t *row, const char *way)
{
    return strcmp(row->way, way) == 0;
}

static unsigned int way_bit(const row_t *row)
{
    int i = 0;

    while (hb_notice_way(i) != NULL && !is_way(row, hb_notice_way(i))) {
        i++;
    }
    return 1u << i;
}

/* Did somebody else take the row meanwhile? */
static int is_taken(hb_op_t *op, apr_status_t rv)
{
    if (rv != HB_E_STORE_MISSING && rv != HB_E_STORE_GUARD) {
        return 0;
    }
    hb_op_recover(op);
    return 1;
}

/* --- what stays in the store --- */

static apr_status_t tell_devices(hb_op_t *op, const row_t *row)
{
    hb_notice_reader_t reader;
    hb_json_t *notice;
    apr_status_t rv = hb_store_get(&notice, op, HB_C_NOTICES, row->notice_id);

    if (rv == APR_SUCCESS
        && (hb_json_has(notice, "unreadBy")
            || strcmp(hb_json_string(notice, "audience"), HB_NOTICE_TO_ALL) == 0)) {
        rv = hb_notice_reader_load(&reader, op, row->user_id);
        if (rv == APR_SUCCESS) {
            hb_notice_publish(op, &reader, notice);
        }
    }
    return rv == HB_E_STORE_MISSING || rv == HB_E_USER_UNKNOWN ? APR_SUCCESS : rv;
}

/* To one who still wants it. */
static apr_status_t mail_to(hb_op_t *op, const row_t *row, const hb_notice_reader_t *reader)
{
    if ((hb_notice_ways_of(reader, row->kind) & HB_BY_MAIL) == 0) {
        return APR_SUCCESS;
    }
    return hb_mail_add(op, hb_notice_mail(op, reader, row->kind, row->values));
}

static apr_status_t mail_user(hb_op_t *op, const row_t *row)
{
    hb_notice_reader_t reader;
    apr_status_t rv = hb_notice_reader_load(&reader, op, row->user_id);

    if (rv != APR_SUCCESS) {
        return rv == HB_E_USER_UNKNOWN ? APR_SUCCESS : rv;
    }
    return mail_to(op, row, &reader);
}

static apr_status_t remove_taken(hb_op_t *op, const row_t *row)
{
    const hb_cond_t guards[] = { { "dueAt", HB_IS, HB_INT(row->due_msec) } };

    return hb_store_remove(op, HB_C_NOTICE_OUTBOX, row->id, guards, 1);
}

/* Maintenance that came, or went, while nobody could be told: the server was down for it, say. */
static int is_too_late(const hb_op_t *op, const row_t *row)
{
    apr_int64_t starts = hb_json_int(row->values, "startsAt", 0);
    apr_int64_t ends = hb_json_int(row->values, "endsAt", starts + LATE_MSEC);
    apr_int64_t now = hb_time_to_msec(op->now);

    return (row->kind == HB_N_DOWNTIME_PLANNED && starts <= now)
        || (row->kind == HB_N_DOWNTIME_STARTED && ends <= now);
}

static apr_status_t do_in_store(hb_op_t *op, void *baton)
{
    const row_t *row = baton;
    apr_status_t rv = remove_taken(op, row);

    if (is_taken(op, rv)) {
        return APR_SUCCESS;
    }
    if (rv == APR_SUCCESS && is_way(row, "event")) {
        rv = tell_devices(op, row);
    }
    else if (rv == APR_SUCCESS && is_way(row, "mail")) {
        rv = mail_user(op, row);
    }
    else if (rv == APR_SUCCESS && hb_json_has(row->doc, "announcementId")) {
        rv = hb_announce_begin(op, hb_json_string(row->doc, "announcementId"));
    }
    else if (rv == APR_SUCCESS && !is_too_late(op, row)) {
        rv = hb_notice_announce(op, row->kind, row->values,
                                (unsigned int)hb_json_int(row->doc, "ways", 0));
    }
    return rv;
}

/* --- what goes out --- */

static const struct {
    const char *way;
    hb_metric_e sent, retried, dead;
} counters[] = {
    { "sms",  HB_M_SMS_SENT,  HB_M_SMS_RETRIED,  HB_M_SMS_DEAD },
    { "push", HB_M_PUSH_SENT, HB_M_PUSH_RETRIED, HB_M_PUSH_DEAD },
    { "team", HB_M_TEAM_SENT, HB_M_TEAM_RETRIED, HB_M_TEAM_DEAD },
};

static void count(const hb_op_t *op, const row_t *row, hb_notice_verdict_e verdict, int is_dead)
{
    int i = 0;

    while (!is_way(row, counters[i].way)) {
        i++;
    }
    hb_metric_add(op->site->metrics, verdict == HB_NOTICE_SENT ? counters[i].sent
                  : is_dead ? counters[i].dead : counters[i].retried, 1);
}

/* Nobody else tries it while we do. */
static apr_status_t lease(hb_op_t *op, row_t *row)
{
    const hb_cond_t guards[] = { { "dueAt", HB_IS, HB_INT(row->due_msec) } };
    apr_int64_t until = hb_time_to_msec(op->now + LEASE_USEC);
    const hb_edit_t edits[] = { { "dueAt", HB_SET, HB_INT(until) },
                                { "tries", HB_INC, HB_INT(1) } };
    apr_status_t rv = hb_store_change(NULL, NULL, op, HB_C_NOTICE_OUTBOX, row->id, guards, 1,
                                      edits, 2);

    row->due_msec = until;
    row->tries++;
    return rv;
}

static apr_status_t put_back(hb_op_t *op, const row_t *row, const char *why, int after_sec)
{
    const hb_cond_t guards[] = { { "dueAt", HB_IS, HB_INT(row->due_msec) } };
    int doublings = row->tries < 8 ? row->tries - 1 : 7;
    int pause = BACKOFF_SEC << doublings;
    hb_edit_t edits[] = { { "problem", HB_SET, HB_STR(hb_utf8_cut(op->pool, why,
                                                                   PROBLEM_MAX)) },
                          { "dueAt", HB_SET, HB_NIL } };

    pause = pause < after_sec ? after_sec : pause;
    pause = pause < BACKOFF_MAX_SEC ? pause : BACKOFF_MAX_SEC;
    edits[1].value = (hb_value_t)HB_INT(hb_time_to_msec(op->now + apr_time_from_sec(pause)));
    hb_log(op, HB_LOG_INFO, 0, HBLOGNO(00520) "notice %s (%s by %s) waits %d s for another try: %s",
           row->id, hb_notice_row(row->kind)->name, row->way, pause, why);
    return hb_store_change(NULL, NULL, op, HB_C_NOTICE_OUTBOX, row->id, guards, 1, edits, 2);
}

/* It stays for people to look at, and is found by nobody who sends. */
static apr_status_t give_up(hb_op_t *op, const row_t *row, const char *why)
{
    const hb_cond_t guards[] = { { "dueAt", HB_IS, HB_INT(row->due_msec) } };
    const hb_edit_t edits[] = {
        { "problem", HB_SET, HB_STR(hb_utf8_cut(op->pool, why, PROBLEM_MAX)) },
        { "dueAt", HB_UNSET, HB_NIL },
        { "deadAt", HB_SET, HB_INT(hb_time_to_msec(op->now)) },
    };

    hb_log(op, HB_LOG_ERR, 0, HBLOGNO(00521) "notice %s (%s by %s) is given up after %d tries: %s",
           row->id, hb_notice_row(row->kind)->name, row->way, row->tries, why);
    return hb_store_change(NULL, NULL, op, HB_C_NOTICE_OUTBOX, row->id, guards, 1, edits, 3);
}

/* @param silent  ways whose service did not answer in this round */
static apr_status_t send_out(hb_op_t *op, row_t *row, unsigned int *silent)
{
    hb_notice_verdict_e verdict;
    hb_notice_reader_t reader;
    unsigned int way = way_bit(row);
    const char *why;
    apr_status_t rv;
    int after_sec, is_dead;

    hb_notice_reader_any(&reader, op);
    if (row->user_id != NULL) {
        rv = hb_notice_reader_load(&reader, op, row->user_id);
        if (rv == HB_E_USER_UNKNOWN
            || (rv == APR_SUCCESS && ((hb_notice_ways_of(&reader, row->kind) & way) == 0
                                      || (way == HB_BY_SMS && reader.phone == NULL)))) {
            return remove_taken(op, row);       /* nobody wants it any more */
        }
        if (rv != APR_SUCCESS) {
            return rv;
        }
    }
    rv = lease(op, row);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    verdict = hb_notice_send(&why, &after_sec, op, way, &reader, row->kind, row->values,
                             row->notice_id);
    is_dead = verdict == HB_NOTICE_NEVER
        || (verdict != HB_NOTICE_SENT && row->tries >= TRIES_MAX);
    *silent |= verdict == HB_NOTICE_SILENT ? way : 0;
    count(op, row, verdict, is_dead);
    return verdict == HB_NOTICE_SENT ? hb_store_remove(op, HB_C_NOTICE_OUTBOX, row->id, NULL, 0)
        : is_dead ? give_up(op, row, why) : put_back(op, row, why, after_sec);
}

/* --- a round --- */

/* A row that cannot be worked on makes room for others. */
static apr_status_t put_off(hb_op_t *op, const row_t *row, int sec)
{
    const hb_cond_t guards[] = { { "dueAt", HB_IS, HB_INT(row->due_msec) } };
    const hb_edit_t edits[] = {
        { "dueAt", HB_SET, HB_INT(hb_time_to_msec(op->now + apr_time_from_sec(sec))) },
    };

    return hb_store_change(NULL, NULL, op, HB_C_NOTICE_OUTBOX, row->id, guards, 1, edits, 1);
}

/* Its service hangs, and each try takes ten seconds of what goes elsewhere. */
static apr_status_t pass_over(hb_op_t *op, const row_t *row)
{
    apr_time_t since = hb_time_from_msec(hb_json_int(row->doc, "createdAt", 0));

    if (op->now - since < PATIENCE_USEC) {
        return put_off(op, row, BACKOFF_SEC);
    }
    count(op, row, HB_NOTICE_SILENT, 1);
    return give_up(op, row, "its service does not answer");
}

static apr_status_t one(hb_op_t *op, const hb_json_t *doc, unsigned int *silent)
{
    apr_status_t rv;
    row_t row;

    read_row(&row, doc);
    if (row.kind == HB_N_COUNT) {
        rv = put_off(op, &row, BACKOFF_MAX_SEC);    /* of another version, which will know */
    }
    else if (is_way(&row, "sms") || is_way(&row, "push") || is_way(&row, "team")) {
        rv = (*silent & way_bit(&row)) != 0 ? pass_over(op, &row) : send_out(op, &row, silent);
    }
    else if (is_way(&row, "each")) {
        rv = hb_store_transact(op, hb_notice_each, (void *)doc);
    }
    else {
        rv = hb_store_transact(op, do_in_store, &row);
    }
    if (rv == APR_SUCCESS || is_taken(op, rv)) {
        return APR_SUCCESS;
    }
    hb_op_recover(op);
    hb_log(op, HB_LOG_INFO, rv, HBLOGNO(00522) "notice %s cannot be worked on just now", row.id);
    rv = put_off(op, &row, BACKOFF_SEC);
    return is_taken(op, rv) ? APR_SUCCESS : rv;
}

/* -1 when somebody else of this host is at it, or the file cannot be had: the next round tries again. */
static int take_lock(hb_op_t *op)
{
    int lock = open(apr_pstrcat(op->pool, op->site->settings->state_dir, "/" LOCK_FILE, NULL),
                    O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) != 0) {
        close(lock);
        lock = -1;
    }
    return lock;
}

static apr_status_t run_due(hb_notice_run_t *run, hb_op_t *op)
{
    const hb_cond_t where[] = { { "dueAt", HB_AT_MOST, HB_INT(hb_time_to_msec(op->now)) } };
    const hb_query_t query = { .in = HB_C_NOTICE_OUTBOX, .where = where, .n_where = 1,
                               .sort = { { "dueAt", 0 } }, .limit = BATCH_MAX };
    hb_page_t page;
    apr_status_t rv = hb_store_find(&page, op, &query);
    unsigned int silent = 0;
    int i;

    for (i = 0; rv == APR_SUCCESS && i < page.n_items && !hb_mail_is_stopped(); i++) {
        hb_op_t *own = hb_op_make(op->site, op->pool);  /* the clock moves on while we wait */

        own->actor = op->actor;
        own->log = op->log;
        rv = one(own, page.items[i], &silent);
        run->n_done += rv == APR_SUCCESS;
    }
    run->is_more = rv == APR_SUCCESS && page.next != NULL;
    return rv;
}

apr_status_t hb_notice_run(hb_notice_run_t *run, hb_op_t *op)
{
    apr_status_t rv;
    int lock;

    memset(run, 0, sizeof(*run));
    if (hb_mail_is_stopped()) {
        return APR_SUCCESS;
    }
    lock = take_lock(op);
    if (lock < 0) {
        return APR_SUCCESS;
    }
    rv = run_due(run, op);
    if (rv != APR_SUCCESS) {
        hb_log(op, HB_LOG_DEBUG, rv, HBLOGNO(00523) "the outbox of notices cannot be worked on just now");
    }
    close(lock);
    return rv;
}
