/* SPDX-License-Identifier: Apache-2.0 */
/* The table of jobs, and that each function is what a job has to be: run again, nothing changes. */
#include "hb_job.h"

#include <string.h>

#include <apr_lib.h>

#include "hb_error.h"
#include "hb_test.h"
#include "hb_test_site.h"

START_TEST(rows_are_complete)
{
    const hb_job_t *job, *other;
    const char *c;

    for (job = hb_jobs(); job->name != NULL; job++) {
        ck_assert_msg(strlen(job->name) <= 40 && apr_islower(job->name[0]), "%s", job->name);
        for (c = job->name; *c != '\0'; c++) {
            ck_assert_msg(apr_islower(*c) || apr_isdigit(*c) || *c == '-', "%s", job->name);
        }
        for (other = hb_jobs(); other != job; other++) {
            ck_assert_msg(strcmp(other->name, job->name) != 0, "%s twice", job->name);
        }
        ck_assert_msg(job->limit_sec > 0 && job->jitter_sec >= 0 && job->run != NULL, "%s",
                      job->name);
        ck_assert_msg(job->sentence[0] != '\0'
                      && job->sentence[strlen(job->sentence) - 1] != '.', "%s", job->name);
        ck_assert_ptr_eq(hb_job_named(job->name), job);
    }
    ck_assert_ptr_null(hb_job_named("no-such-job"));
}
END_TEST

START_TEST(every_job_runs_twice_over_nothing)
{
    hb_test_site_t *ts = hb_test_site_make(hb_test_pool);
    hb_job_run_t run = { .date = "2026-07-01" };
    const hb_job_t *job;
    int i;

    hb_test_site_open(ts);
    ck_assert(hb_zone_load(&run.zone, "Australia/Sydney", hb_test_pool) == APR_SUCCESS);
    ck_assert(hb_zone_day_begins(&run.day_begins, run.zone, run.date));
    run.planned_at = run.day_begins / 1000;
    for (job = hb_jobs(); job->name != NULL; job++) {
        for (i = 0; i < 2; i++) {
            hb_op_t *op = hb_test_site_op(ts);
            apr_status_t rv;

            op->actor.is_system = 1;
            run.name = run.occurrence = job->name;
            rv = job->run(op, &run);
            ck_assert_msg(rv == APR_SUCCESS, "%s: %d %s", job->name, rv,
                          op->problem.detail != NULL ? op->problem.detail : "");
        }
    }
}
END_TEST

int main(void)
{
    const TTest *const cases[] = { rows_are_complete, every_job_runs_twice_over_nothing, NULL };

    return hb_test_main("hb_job", cases);
}
