/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs, for administrators. The rules are hb_job_run.h's. */
#include "mod_halobuzz_api.h"

#include "hb_job_run.h"
#include "hb_role.h"

static apr_status_t list(hb_ap_call_t *call)
{
    return hb_job_list(&call->reply, call->op);
}

static apr_status_t history(hb_ap_call_t *call)
{
    return hb_job_history(&call->reply, call->op, hb_ap_path_value(call, "name"),
                          (int)hb_json_int(call->query, "limit", 0),
                          hb_ap_after_of(call));
}

static apr_status_t run(hb_ap_call_t *call)
{
    const char *id;
    apr_status_t rv = hb_job_request(&id, call->op, hb_ap_path_value(call, "name"),
                                     hb_json_string(call->input, "date"));

    return rv == APR_SUCCESS ? hb_job_run_get(&call->reply, call->op, id) : rv;
}

static apr_status_t pause_or_resume(hb_ap_call_t *call, int is_paused)
{
    const char *name = hb_ap_path_value(call, "name");
    apr_status_t rv = hb_job_pause(call->op, name, is_paused);

    return rv == APR_SUCCESS ? hb_job_show(&call->reply, call->op, name) : rv;
}

static apr_status_t pause_job(hb_ap_call_t *call)
{
    return pause_or_resume(call, 1);
}

static apr_status_t resume(hb_ap_call_t *call)
{
    return pause_or_resume(call, 0);
}

static const hb_route_t rows[] = {
    { .method = M_HB_GET, .path = "/admin/jobs", .rate = "api", .action = list,
      .needs = HB_NEED_USER, .roles = HB_ROLE_ADMIN,
      .sentence = "jobs that go by the clock: state, next run, how the last one went",
      .output = "jobListing", .tag = "operations" },
    { .method = M_HB_GET, .path = "/admin/jobs/{name}/runs", .rate = "api", .action = history,
      .needs = HB_NEED_USER, .roles = HB_ROLE_ADMIN, .query = HB_F_LIST,
      .sentence = "runs of a job, the last planned first",
      .output = "[jobRuns:staff]", .tag = "operations", .errors = "cursor.invalid job.unknown" },
    { .method = M_HB_POST, .path = "/admin/jobs/{name}/runs", .rate = "api", .action = run,
      .needs = HB_NEED_USER | HB_NEED_BODY, .roles = HB_ROLE_ADMIN, .input = HB_F_JOB_RUN,
      .sentence = "have a job run now: the occurrence of a date, or the last one there was",
      .output = "jobRuns:staff", .tag = "operations", .errors = "job.unknown job.state" },
    { .method = M_HB_POST, .path = "/admin/jobs/{name}/pause", .rate = "api",
      .action = pause_job, .needs = HB_NEED_USER, .roles = HB_ROLE_ADMIN,
      .sentence = "plan nothing of a job until it is resumed",
      .output = "job", .tag = "operations", .errors = "job.unknown" },
    { .method = M_HB_POST, .path = "/admin/jobs/{name}/resume", .rate = "api",
      .action = resume, .needs = HB_NEED_USER, .roles = HB_ROLE_ADMIN,
      .sentence = "let a paused job go on; what it missed is caught up as its kind does",
      .output = "job", .tag = "operations", .errors = "job.unknown" },
};

const hb_route_set_t hb_routes_jobs = { rows, (int)(sizeof(rows) / sizeof(rows[0])) };
