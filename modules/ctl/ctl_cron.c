/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs: how they stand, what they did, running one now, pausing one. */
#include "ctl.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>
#include <apr_time.h>

#include "hb_job_run.h"
#include "hb_time.h"

#define LOOK_USEC 200000
/* halobuzz-crond looks each second; somebody who waits longer for a start wants to know. */
#define START_SEC 15

/* "2026-10-04T02:00:00.000Z" without its fraction. */
static const char *short_time(const hb_json_t *json, const char *key, apr_pool_t *pool)
{
    const char *text = ctl_text(json, key, "-");

    return strlen(text) > 20 ? apr_pstrcat(pool, apr_pstrmemdup(pool, text, 19), "Z", NULL) : text;
}

/* --- list --- */

static void print_job(const ctl_t *ctl, const hb_json_t *job)
{
    const char *state = hb_json_string(job, "state"), *why = hb_json_string(job, "why");
    apr_int64_t failures = hb_json_int(job, "failures", 0);

    ctl_mark(ctl, failures > 0 ? CTL_BAD : strcmp(state, "paused") == 0
             || strcmp(state, "off") == 0 ? CTL_NOTE : CTL_GOOD,
             "%-18s %-8s %-14s %-26s %-20s  %s", hb_json_string(job, "name"), state,
             ctl_text(job, "schedule", "-"), ctl_text(job, "nextLocal", "-"),
             short_time(job, "next", ctl->pool),
             failures > 0 ? apr_psprintf(ctl->pool, "failed %" APR_INT64_T_FMT " times: %s", failures,
                                         ctl_text(job, "lastError", "-"))
             : why != NULL ? why
             : hb_json_string(job, "lastSuccessAt") == NULL ? "has not run yet"
             : apr_psprintf(ctl->pool, "%s, %" APR_INT64_T_FMT " ms",
                            short_time(job, "lastSuccessAt", ctl->pool),
                            hb_json_int(job, "lastMsec", 0)));
}

int ctl_cron_list(ctl_t *ctl, int argc, const char *const *argv)
{
    hb_json_t *list;
    hb_op_t *op;
    apr_status_t rv;
    int rc = ctl_begin(&op, ctl, argc, argv, NULL, NULL, 0, 0);

    if (rc != CTL_OK) {
        return rc;
    }
    rv = hb_job_list(&list, op);
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    if (!ctl->wants_json) {
        ctl_say(ctl, "     %-18s %-8s %-14s %-26s %-20s  %s", "JOB", "STATE", "SCHEDULE",
                "NEXT, LOCAL", "NEXT, UTC", "LAST");
    }
    ctl_list(ctl, list, print_job);
    return CTL_OK;
}

/* --- history --- */

static ctl_mark_e mark_of(const hb_json_t *run)
{
    const char *state = ctl_text(run, "state", "");

    return strcmp(state, "done") == 0 ? CTL_GOOD
        : strcmp(state, "failed") == 0 || hb_json_string(run, "error") != NULL ? CTL_BAD : CTL_NOTE;
}

static void print_run(const ctl_t *ctl, const hb_json_t *run)
{
    ctl_mark(ctl, mark_of(run), "%-44s %-8s %-20s %6" APR_INT64_T_FMT " ms  %s",
             ctl_text(run, "occurrence", "-"), ctl_text(run, "state", "-"),
             short_time(run, "startedAt", ctl->pool), hb_json_int(run, "msec", 0),
             ctl_text(run, "error", ctl_text(run, "note", "")));
}

int ctl_cron_history(ctl_t *ctl, int argc, const char *const *argv)
{
    const char *args[2], *after = NULL;
    int limit = 20;
    const ctl_option_t options[] = {
        { "limit", .limit = &limit },
        { "after", &after, NULL },
        { NULL, NULL, NULL }
    };
    hb_json_t *list;
    hb_op_t *op;
    apr_status_t rv;
    int rc = ctl_begin(&op, ctl, argc, argv, options, args, 1, 1);

    if (rc != CTL_OK) {
        return rc;
    }
    rv = hb_job_history(&list, op, args[0], limit, after);
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    ctl_list(ctl, list, print_run);
    return CTL_OK;
}

/* --- run --- */

/* Until it is over; halobuzz-crond does it, on whichever host is first. */
static int wait_for(ctl_t *ctl, hb_op_t *op, const char *run_id, int limit_sec)
{
    apr_time_t begun = apr_time_now();
    hb_json_t *run;
    const char *state;
    apr_pool_t *look;
    apr_status_t rv;

    apr_pool_create(&look, ctl->pool);
    op->pool = look;
    for (;;) {
        apr_pool_clear(look);
        rv = hb_job_run_get(&run, op, run_id);
        if (rv != APR_SUCCESS) {
            return ctl_fail_op(ctl, op, rv);
        }
        state = ctl_text(run, "state", "");
        if (strcmp(state, "running") == 0) {
            ctl_progress(ctl, hb_json_string(run, "job"), hb_json_int(run, "done", 0),
                         hb_json_int(run, "total", 0));
        }
        else if (strcmp(state, "waiting") != 0 || hb_json_string(run, "error") != NULL) {
            break;
        }
        else if (apr_time_now() - begun > apr_time_from_sec(START_SEC)) {
            return ctl_fail(ctl, "%s still waits: is halobuzz-crond running (halobuzzctl status), or "
                            "another run of the job?", hb_json_string(run, "occurrence"));
        }
        if (apr_time_now() - begun > apr_time_from_sec(limit_sec)) {
            return ctl_fail(ctl, "%s is not over; see halobuzzctl cron history",
                            hb_json_string(run, "occurrence"));
        }
        apr_sleep(LOOK_USEC);
    }
    if (ctl->wants_json) {
        ctl_json(ctl, run);
    }
    else {
        print_run(ctl, run);
    }
    return strcmp(state, "done") == 0 ? CTL_OK : CTL_FAILED;
}

int ctl_cron_run(ctl_t *ctl, int argc, const char *const *argv)
{
    const char *args[2], *date = NULL, *run_id;
    int no_wait = 0;
    const ctl_option_t options[] = {
        { "date", &date, NULL },
        { "no-wait", NULL, &no_wait },
        { NULL, NULL, NULL }
    };
    hb_json_t *run;
    hb_op_t *op;
    apr_status_t rv;
    int rc = ctl_options(ctl, argc, argv, options, args, 1, 1);

    if (rc == CTL_OK && date != NULL && !hb_date_is_valid(date)) {
        rc = ctl_misuse(ctl, "\"%s\" is no date: write YYYY-MM-DD", date);
    }
    if (rc == CTL_OK) {
        rc = ctl_site(&op, ctl);
    }
    if (rc != CTL_OK) {
        return rc;
    }
    rv = hb_job_request(&run_id, op, args[0], date);
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    if (!no_wait) {
        return wait_for(ctl, op, run_id, hb_job_named(args[0])->limit_sec + START_SEC);
    }
    rv = hb_job_run_get(&run, op, run_id);
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    if (ctl->wants_json) {
        ctl_json(ctl, run);
    }
    else {
        print_run(ctl, run);
    }
    return CTL_OK;
}

/* --- pause and resume --- */

static int pause_one(ctl_t *ctl, int argc, const char *const *argv, int is_paused)
{
    const char *args[2];
    hb_op_t *op;
    apr_status_t rv;
    int rc = ctl_begin(&op, ctl, argc, argv, NULL, args, 1, 1);

    if (rc != CTL_OK) {
        return rc;
    }
    rv = hb_job_pause(op, args[0], is_paused);
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    ctl_say(ctl, is_paused ? "%s is paused on all hosts; a run under way goes on to its end"
            : "%s is resumed; what it missed is caught up as its kind does", args[0]);
    return CTL_OK;
}

int ctl_cron_pause(ctl_t *ctl, int argc, const char *const *argv)
{
    return pause_one(ctl, argc, argv, 1);
}

int ctl_cron_resume(ctl_t *ctl, int argc, const char *const *argv)
{
    return pause_one(ctl, argc, argv, 0);
}
