/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store copy: all records of one store into another, shown as it goes, stopped by the
 * operator or by a crash and gone on with, and proved by sums and by the ledger.
 *
 * What others write meanwhile is not in the copy. So a source that is in use is refused unless
 * --live is given: then a MongoDB is read at one moment, and of an SQLite file a snapshot is made beside
 * it first, which a later run finds again.
 */
#include "ctl.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_file_info.h>
#include <apr_strings.h>

#include "hb_ledger.h"
#include "hb_store_copy.h"

#define SHOW_EVERY_USEC 250000      /* a person */
#define TELL_EVERY_USEC 1000000     /* a script */

typedef struct work_t {
    ctl_t *ctl;
    hb_op_t *source, *target;
    const char *from, *to;          /* for people: no password */
    const char *moment;
    unsigned int flags;
    hb_copy_proof_t proof;
    hb_ledger_proof_t ledger;
    const char *what;               /* that was reported last */
    apr_time_t what_since, told_at;
    apr_int64_t what_first;
    hb_json_t *findings;
} work_t;

static volatile sig_atomic_t is_stopped;

static void stop(int number)
{
    (void)number;
    is_stopped = 1;
}

/* --- progress --- */

static const char *duration(apr_pool_t *pool, apr_int64_t sec)
{
    return apr_psprintf(pool, "%d:%02d:%02d", (int)(sec / 3600), (int)(sec / 60 % 60),
                        (int)(sec % 60));
}

static void tell_line(work_t *w, const char *what, apr_int64_t done, apr_int64_t total,
                      apr_int64_t per_sec, apr_int64_t left_sec, apr_pool_t *pool)
{
    if (w->ctl->wants_json) {
        hb_json_t *json = hb_json_object_make(pool);

        hb_json_set_string(json, "step", what);
        hb_json_set_int(json, "done", done);
        hb_json_set_int(json, "total", total);
        hb_json_set_int(json, "perSecond", per_sec);
        hb_json_set_int(json, "secondsLeft", left_sec);
        printf("%s\n", hb_json_text(json, pool, NULL));
        fflush(stdout);
        return;
    }
    fprintf(stderr, "\r%s: %" APR_INT64_T_FMT " of %" APR_INT64_T_FMT ", %" APR_INT64_T_FMT "/s, "
            "%s left\033[K", what, done, total, per_sec, duration(pool, left_sec));
    fflush(stderr);
}

/* The step is what a report is about: the copy as a whole, the indexes, the comparison. */
static const char *step_of(const char *what)
{
    return strstr(what, "index") != NULL ? "indexes"
        : strstr(what, ", ") != NULL ? "comparing" : what;
}

static int report(void *baton, const char *what, apr_int64_t done, apr_int64_t total)
{
    work_t *w = baton;
    const char *step = step_of(what);
    apr_time_t now = apr_time_now();
    apr_int64_t per_sec;
    apr_pool_t *pool;

    if (done < 0) {
        hb_json_push_string(w->findings, what);
        if (!w->ctl->wants_json) {
            ctl_mark(w->ctl, CTL_BAD, "%s", what);
        }
        return 0;
    }
    if (w->what == NULL || (strcmp(step, w->what) != 0
                            && (strcmp(step, "indexes") == 0 || strcmp(step, "comparing") == 0))) {
        w->what = strcmp(step, "indexes") == 0 || strcmp(step, "comparing") == 0 ? step : "";
        w->what_since = now;
        w->what_first = done;
    }
    if ((w->ctl->wants_json || w->ctl->is_terminal)
        && now - w->told_at >= (w->ctl->wants_json ? TELL_EVERY_USEC : SHOW_EVERY_USEC)) {
        w->told_at = now;
        per_sec = (done - w->what_first) * APR_USEC_PER_SEC / (now - w->what_since + 1);
        apr_pool_create(&pool, w->ctl->pool);
        tell_line(w, what, done, total, per_sec, per_sec > 0 && total > done
                  ? (total - done) / per_sec : 0, pool);
        apr_pool_destroy(pool);
    }
    return is_stopped;
}

/* --- the two stores --- */

/* An argument: a URL, "configured", or what HaloBuzzStore takes in place of one with a password. A
 * file may be named from here. */
static int read_url(const char **url, ctl_t *ctl, const char *argument)
{
    char *path;
    const char *why;

    if (strcmp(argument, "configured") == 0) {
        argument = ctl->settings->store_url;
    }
    else if (strncmp(argument, "file:", 5) == 0
             && apr_filepath_merge(&path, NULL, argument + 5, 0, ctl->pool) == APR_SUCCESS) {
        argument = apr_pstrcat(ctl->pool, "file:", path, NULL);
    }
    why = hb_setting_url(url, hb_setting_row("HaloBuzzStore"), argument, ctl->pool);
    return why == NULL ? CTL_OK
        : hb_setting_is_reference(argument) ? ctl_fail(ctl, "%s", why) : ctl_misuse(ctl, "%s", why);
}

static hb_op_t *op_of(ctl_t *ctl, apr_pool_t *pool)
{
    hb_site_t *site = apr_pmemdup(pool, ctl->site, sizeof(*site));
    hb_op_t *op = hb_op_make(site, pool);

    op->actor.is_system = 1;
    op->user_agent = "halobuzzctl";
    return op;
}

static int is_file(const char *name)
{
    return strncmp(name, "sqlite:", 7) == 0;
}

static int open_at(hb_op_t **op, ctl_t *ctl, const char *url, const char *name)
{
    hb_query_t first = { .in = HB_C_USERS };
    hb_json_t *doc;
    apr_status_t rv;

    *op = op_of(ctl, ctl->pool);
    rv = hb_store_open(&(*op)->site->store, (*op)->site, url, ctl->pool);
    if (rv == APR_SUCCESS) {
        rv = hb_store_find_one(&doc, *op, &first);
    }
    if (rv != APR_SUCCESS && rv != HB_E_STORE_MISSING) {
        ctl_fail(ctl, "%s cannot be opened", name);
        return CTL_UNREACHABLE;
    }
    return CTL_OK;
}

static int open_source(work_t *w, const char *url)
{
    struct stat st;

    if (is_file(w->from) && stat(w->from + 7, &st) != 0) {
        return ctl_fail(w->ctl, "%s: there is no such file", w->from);
    }
    return open_at(&w->source, w->ctl, url, w->from);
}

static int open_target(work_t *w, const char *url)
{
    const char *dropped;

    w->target = op_of(w->ctl, w->ctl->pool);
    if (hb_store_is_in_use(&dropped, w->target, url) == 1) {
        return ctl_fail(w->ctl, "%s is in use: stop the server that has it open", w->to);
    }
    if (hb_store_open_to_copy(&w->target->site->store, w->target->site, url, w->ctl->pool)
        != APR_SUCCESS) {
        ctl_fail(w->ctl, "%s cannot be opened", w->to);
        return CTL_UNREACHABLE;
    }
    return CTL_OK;
}

/* --- the snapshot of a file that is in use --- */

static const char *snapshot_path(const work_t *w)
{
    return apr_pstrcat(w->ctl->pool, w->from + 7, ".copying", NULL);
}

static void remove_snapshot(const work_t *w)
{
    static const char *const ends[] = { "", "-lock", "-wal", "-shm" };
    unsigned int i;

    for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        unlink(apr_pstrcat(w->ctl->pool, snapshot_path(w), ends[i], NULL));
    }
}

/* Which snapshot a file is, so that a later run knows it again; NULL when there is none. */
static const char *snapshot_mark(const work_t *w)
{
    struct stat st;

    return stat(snapshot_path(w), &st) != 0 ? NULL
        : apr_psprintf(w->ctl->pool, "snapshot %" APR_UINT64_T_FMT " of %" APR_INT64_T_FMT ".%09ld",
                       (apr_uint64_t)st.st_ino, (apr_int64_t)st.st_mtim.tv_sec,
                       (long)st.st_mtim.tv_nsec);
}

/* Take the snapshot of the unfinished copy in the target, or a new one, for the source. */
static int use_snapshot(work_t *w)
{
    const char *mark = snapshot_mark(w), *wanted;
    apr_status_t rv = hb_store_copy_moment(&wanted, w->target, w->from);
    int rc;

    if (rv != APR_SUCCESS) {
        return ctl_fail_op(w->ctl, w->target, rv);
    }
    if (mark == NULL || wanted == NULL || strcmp(mark, wanted) != 0
        || (w->flags & HB_COPY_FORCE)) {
        remove_snapshot(w);
        rv = hb_store_backup(w->source, snapshot_path(w), report, w);
        if (rv != APR_SUCCESS) {
            return ctl_fail_op(w->ctl, w->source, rv);
        }
        if (!w->ctl->wants_json) {
            ctl_say(w->ctl, "snapshot of %s taken; what is written from now on is not in the copy",
                    w->from);
        }
        w->what = NULL;
    }
    rc = open_at(&w->source, w->ctl, apr_pstrcat(w->ctl->pool, "sqlite:", snapshot_path(w), NULL),
                 snapshot_path(w));
    w->moment = snapshot_mark(w);
    return rc;
}

/* --- the work --- */

static apr_status_t copy_now(hb_op_t *op, void *baton)
{
    work_t *w = baton;
    hb_copy_source_t source;

    hb_store_copy_source(&source, op);
    source.name = w->from;
    source.moment = w->moment;
    return hb_store_copy(&w->proof, w->target, &source, w->flags, report, w);
}

static hb_json_t *result_json(const work_t *w)
{
    hb_json_t *json = hb_json_object_make(w->ctl->pool);
    hb_json_t *ledger = hb_json_object_make(w->ctl->pool);

    hb_json_set_bool(json, "copied", w->ledger.findings == 0);
    hb_json_set_bool(json, "resumed", w->proof.is_resumed);
    hb_json_set_int(json, "records", w->proof.records);
    hb_json_set_int(json, "written", w->proof.written);
    hb_json_set_int(json, "readMs", w->proof.read_usec / 1000);
    hb_json_set_int(json, "writeMs", w->proof.write_usec / 1000);
    hb_json_set_int(json, "copyMs", w->proof.copy_usec / 1000);
    hb_json_set_int(json, "indexMs", w->proof.index_usec / 1000);
    hb_json_set_int(json, "compareMs", w->proof.proof_usec / 1000);
    hb_json_set(json, "collections", w->proof.collections);
    hb_json_set_bool(ledger, "clean", w->ledger.findings == 0);
    hb_json_set_int(ledger, "entries", w->ledger.entries);
    hb_json_set_string(ledger, "root", w->ledger.root);
    hb_json_set(json, "ledger", ledger);
    hb_json_set(json, "findings", w->findings);
    return json;
}

static int print_result(const work_t *w)
{
    apr_int64_t msec = w->proof.copy_usec / 1000;
    int is_good = w->ledger.findings == 0;

    if (w->ctl->is_terminal && !w->ctl->wants_json) {
        fputs("\r\033[K", stderr);
    }
    if (w->ctl->wants_json) {
        printf("%s\n", hb_json_text(result_json(w), w->ctl->pool, NULL));
        return is_good ? CTL_OK : CTL_FAILED;
    }
    ctl_mark(w->ctl, CTL_GOOD, "%" APR_INT64_T_FMT " records are the same on both sides, by count and "
             "checksum%s", w->proof.records, w->proof.is_resumed
             ? "; an earlier run was gone on with" : "");
    if (msec > 0) {
        ctl_say(w->ctl, "%" APR_INT64_T_FMT " written in %s, %" APR_INT64_T_FMT "/s; indexes %s, "
                "comparing %s", w->proof.written, duration(w->ctl->pool, msec / 1000),
                w->proof.written * 1000 / msec,
                duration(w->ctl->pool, w->proof.index_usec / APR_USEC_PER_SEC),
                duration(w->ctl->pool, w->proof.proof_usec / APR_USEC_PER_SEC));
    }
    ctl_mark(w->ctl, is_good ? CTL_GOOD : CTL_BAD, "ledger of the copy: %" APR_INT64_T_FMT
             " entries, %" APR_INT64_T_FMT " findings, root %s", w->ledger.entries,
             w->ledger.findings, w->ledger.root != NULL ? w->ledger.root : "none");
    ctl_say(w->ctl, "to serve from it: HaloBuzzStore %s, then reload httpd", w->to);
    return is_good ? CTL_OK
        : ctl_fail(w->ctl, "the ledger of the copy is wrong; so is that of the source");
}

static int copy(work_t *w)
{
    apr_status_t rv = hb_store_freeze(w->source, copy_now, w);

    if (rv == APR_SUCCESS) {
        rv = hb_ledger_verify(&w->ledger, w->target, report, w);
    }
    if (rv == APR_EINTR) {
        return ctl_fail(w->ctl, "stopped; the same command goes on from here%s", is_file(w->from)
                        ? "" : " with --force only: a moment of MongoDB cannot be asked for again");
    }
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(w->ctl, w->target->problem.status != APR_SUCCESS ? w->target : w->source,
                           rv);
    }
    if (w->moment != NULL && is_file(w->from)) {
        remove_snapshot(w);
    }
    return print_result(w);
}

static int refuse_live(const work_t *w, int in_use)
{
    return ctl_fail(w->ctl, in_use == 1 ? "%s is in use, and what is written while it is copied would "
                    "not be in the copy. Stop the server first; or give --live, which takes a "
                    "snapshot beside it (as large as it is) and copies that"
                    : "whether somebody writes to %s cannot be seen from here, and what is written "
                    "while it is copied would not be in the copy. Stop the servers first, and give "
                    "--live, which copies what it holds at one moment", w->from);
}

int ctl_store_copy(ctl_t *ctl, int argc, const char *const *argv)
{
    int is_live = 0, is_forced = 0, in_use;
    const ctl_option_t options[] = { { "live", NULL, &is_live }, { "force", NULL, &is_forced },
                                     { NULL, NULL, NULL } };
    work_t w = { .ctl = ctl, .findings = hb_json_array_make(ctl->pool) };
    const char *args[3], *from, *to;
    hb_op_t *op;
    int rc = ctl_options(ctl, argc, argv, options, args, 2, 2);

    if (rc == CTL_OK) {
        const char *why = ctl_settings(ctl);

        rc = why != NULL ? ctl_fail(ctl, "%s", why) : read_url(&from, ctl, args[0]);
    }
    rc = rc == CTL_OK ? read_url(&to, ctl, args[1]) : rc;
    rc = rc == CTL_OK ? ctl_site_closed(&op, ctl) : rc;
    if (rc != CTL_OK) {
        return rc;
    }
    w.flags = is_forced ? HB_COPY_FORCE : 0;
    in_use = hb_store_is_in_use(&w.from, op, from);
    hb_store_is_in_use(&w.to, op, to);
    if (strcmp(w.from, w.to) == 0) {
        return ctl_misuse(ctl, "the two are the same store");
    }
    if (in_use != 0 && !is_live) {
        return refuse_live(&w, in_use);
    }
    signal(SIGINT, stop);
    signal(SIGTERM, stop);
    rc = open_source(&w, from);
    rc = rc == CTL_OK ? open_target(&w, to) : rc;
    if (rc == CTL_OK && !is_file(w.from)) {
        w.moment = apr_psprintf(ctl->pool, "%" APR_TIME_T_FMT, apr_time_now());
    }
    else if (rc == CTL_OK && is_live) {
        rc = use_snapshot(&w);
    }
    return rc == CTL_OK ? copy(&w) : rc;
}
