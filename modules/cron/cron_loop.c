/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread, one round a second or when something happened: processes that ended are written down,
 * jobs that came due are planned, runs that are due are taken and started, leases of those under
 * way renewed, those over their limit killed. All waiting is for the store or for a signal.
 */
#include "cron_loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <apr_strings.h>

#include "cron_child.h"
#include "hb_backup.h"
#include "hb_clock.h"

#define CHILDREN_MAX 64         /* HaloBuzzJobsAtOnce is no more */
#define ROUND apr_time_from_sec(1)
#define WITHOUT_STORE apr_time_from_sec(5)

/* Planned anew so often in any case: another host may have paused a job or put back its clock. */
#define PLAN_AT_LEAST apr_time_from_sec(60)

/* The wall clock was set when it moved by so much more or less than time did. */
#define JUMP apr_time_from_sec(5)

/* A process that was killed and does not go has to be stuck in the kernel; it is waited for. */

typedef struct planned_t {
    const hb_job_t *job;
    hb_job_schedule_t schedule;
    int is_off;
    apr_time_t next;            /* of the wall clock */
} planned_t;

typedef struct loop_t {
    cron_site_t *cron;
    hb_program_t *program;
    apr_pool_t *round;          /* cleared each */
    const char *owner;
    planned_t *jobs;            /* in the site's pool */
    int n_jobs;
    cron_child_t children[CHILDREN_MAX];
    apr_time_t wall, steady;    /* both clocks at the last round */
    int is_storeless;           /* it was said */
} loop_t;

/* --- settings --- */

static void read_schedules(loop_t *loop)
{
    apr_pool_t *pool = loop->cron->pool;
    const hb_site_t *site = loop->cron->site;
    const hb_job_t *job;
    const char *why;

    for (loop->n_jobs = 0; hb_jobs()[loop->n_jobs].name != NULL; loop->n_jobs++) {
    }
    loop->jobs = apr_pcalloc(pool, (apr_size_t)(loop->n_jobs + 1) * sizeof(*loop->jobs));
    for (job = hb_jobs(); job->name != NULL; job++) {
        planned_t *planned = &loop->jobs[job - hb_jobs()];

        planned->job = job;
        why = hb_job_schedule(&planned->schedule, site->settings, job, pool);
        if (why != NULL) {
            hb_log_to(&site->log, HB_LOG_ERR, 0, HBLOGNO(07001) "job %s does not run: %s", job->name,
                      why);
            planned->is_off = 1;
            continue;
        }
        why = hb_job_is_off(site, job, &planned->schedule);
        planned->is_off = why != NULL;
        if (why != NULL) {
            hb_log_to(&site->log, HB_LOG_INFO, 0, HBLOGNO(07002) "job %s does not run: %s", job->name,
                      why);
        }
    }
}

static void reload(loop_t *loop)
{
    hb_log_t log;
    const char *why;

    hb_program_reload(loop->program);
    log = hb_program_log(loop->program);
    why = cron_site_open(loop->cron, &log);
    if (why != NULL) {
        hb_log_to(&log, HB_LOG_ERR, 0, HBLOGNO(07003) "the settings stay as they were: %s", why);
        loop->cron->site->log.level = log.level;
        return;
    }
    read_schedules(loop);
}

/* --- a round --- */

static hb_op_t *op_of(loop_t *loop)
{
    return cron_op(loop->cron, loop->round);
}

/* Said once, until it is over. @return 1 when the store is what is wrong */
static int is_store_down(loop_t *loop, const hb_op_t *op, apr_status_t rv)
{
    if (rv == APR_SUCCESS) {
        loop->is_storeless = 0;
    }
    else if (!loop->is_storeless) {
        loop->is_storeless = 1;
        hb_log(op, HB_LOG_ERR, rv, HBLOGNO(07004) "jobs wait for their records%s%s",
               op->problem.detail != NULL ? ": " : "",
               op->problem.detail != NULL ? op->problem.detail : "");
    }
    return rv != APR_SUCCESS;
}

static void reap(loop_t *loop)
{
    int i, status;

    for (i = 0; i < CHILDREN_MAX; i++) {
        cron_child_t *child = &loop->children[i];

        if (child->pid == 0 || !cron_child_has_ended(child, &status)) {
            continue;
        }
        /* Unless it said so itself it failed; when nobody can be told now, the lease ends. */
        if (status != CRON_WRITTEN) {
            hb_op_t *op = op_of(loop);

            hb_job_failed(op, &child->claim, cron_child_end(child, status, op->pool));
        }
        child->pid = 0;
    }
}

static void watch(loop_t *loop)
{
    apr_interval_time_t lease = loop->cron->site->settings->job_lease;
    apr_time_t now = hb_clock();
    int i;

    for (i = 0; i < CHILDREN_MAX; i++) {
        cron_child_t *child = &loop->children[i];

        if (child->pid == 0 || child->killed_for != NULL) {
            continue;
        }
        if (now - child->started_at > apr_time_from_sec(child->claim.job->limit_sec)) {
            cron_child_kill(child, "it took longer than its limit and was killed");
        }
        else if (now >= child->renew_at) {
            /* An answer that it is lost is one; none is tried again, it may be ours still. */
            if (hb_job_renew(op_of(loop), &child->claim) == HB_E_JOB_LOST) {
                cron_child_kill(child, "another host took it over");
            }
            child->renew_at = now + lease / 3;
        }
    }
}

/* @return not 0 when the store is down */
static int plan(loop_t *loop)
{
    apr_time_t now = apr_time_now(), steady = hb_clock();
    apr_time_t drift = (now - loop->wall) - (steady - loop->steady);
    int i, was_set = drift > JUMP || drift < -JUMP;

    loop->wall = now;
    loop->steady = steady;
    for (i = 0; i < loop->n_jobs; i++) {
        planned_t *planned = &loop->jobs[i];

        if (!planned->is_off && (was_set || planned->next <= now)) {
            hb_op_t *op = op_of(loop);
            apr_status_t rv = hb_job_plan(&planned->next, op, planned->job, &planned->schedule);

            if (is_store_down(loop, op, rv)) {
                return 1;
            }
            if (planned->next > now + PLAN_AT_LEAST) {
                planned->next = now + PLAN_AT_LEAST;
            }
        }
    }
    return 0;
}

static cron_child_t *free_child(loop_t *loop)
{
    int i, n = 0, most = (int)loop->cron->site->settings->jobs_at_once;
    cron_child_t *found = NULL;

    for (i = 0; i < CHILDREN_MAX; i++) {
        n += loop->children[i].pid != 0;
        found = loop->children[i].pid == 0 ? &loop->children[i] : found;
    }
    return n < most ? found : NULL;
}

static void start_due(loop_t *loop)
{
    cron_child_t *child;
    hb_job_claim_t claim;

    while ((child = free_child(loop)) != NULL) {
        hb_op_t *op = op_of(loop);
        apr_status_t rv = hb_job_claim(&claim, op, loop->owner, NULL);

        if (rv == HB_E_STORE_MISSING || is_store_down(loop, op, rv)) {
            break;
        }
        if (cron_child_start(child, &claim, loop->cron->path,
                             hb_program_level(loop->program)) != 0) {
            hb_log(op, HB_LOG_ERR, errno, HBLOGNO(07005) "job %s has no process", claim.job->name);
            hb_job_failed(op, &claim, "no process could be made for it");
            break;
        }
        child->renew_at = child->started_at + loop->cron->site->settings->job_lease / 3;
        hb_log(op, HB_LOG_DEBUG, 0, HBLOGNO(07006) "job %s runs as process %ld", claim.job->name,
               (long)child->pid);
    }
}

/* --- the end --- */

static void stop(loop_t *loop)
{
    int i;

    for (i = 0; i < CHILDREN_MAX; i++) {
        cron_child_kill(&loop->children[i], "this host stopped");
    }
    for (i = 0; i < CHILDREN_MAX; i++) {
        cron_child_t *child = &loop->children[i];

        if (child->pid == 0) {
            continue;
        }
        waitpid(child->pid, NULL, 0);
        /* HB_E_JOB_LOST: it had just ended. */
        hb_job_give_back(op_of(loop), &child->claim);
        child->pid = 0;
    }
}

static const char *owner_name(apr_pool_t *pool)
{
    char host[150] = "";

    gethostname(host, sizeof(host) - 1);
    return apr_psprintf(pool, "%s process %ld", *host != '\0' ? host : "a host", (long)getpid());
}

void cron_loop(cron_site_t *cron, hb_program_t *program, apr_pool_t *pool)
{
    loop_t *loop = apr_pcalloc(pool, sizeof(*loop));
    sigset_t wanted;
    int got = 0;

    /* Signals are asked for, not handled: nothing is interrupted. */
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGCHLD);
    sigaddset(&wanted, SIGHUP);
    sigaddset(&wanted, SIGINT);
    sigaddset(&wanted, SIGTERM);
    loop->cron = cron;
    loop->program = program;
    loop->owner = owner_name(pool);
    loop->wall = apr_time_now();
    loop->steady = hb_clock();
    apr_pool_create(&loop->round, pool);
    read_schedules(loop);
    hb_log_to(&cron->site->log, HB_LOG_NOTICE, 0, HBLOGNO(07007) "running %d jobs, at most %d at once",
              loop->n_jobs, (int)cron->site->settings->jobs_at_once);
    hb_backup_sweep(cron_op(cron, loop->round));    /* perhaps of a job of ours that died with us */
    while (got != SIGTERM && got != SIGINT) {
        apr_interval_time_t wait;
        struct timespec left;

        if (got == SIGHUP) {
            reload(loop);
        }
        reap(loop);
        watch(loop);
        wait = plan(loop) ? WITHOUT_STORE : ROUND;
        if (wait == ROUND) {
            start_due(loop);
        }
        apr_pool_clear(loop->round);
        left.tv_sec = apr_time_sec(wait);
        left.tv_nsec = apr_time_usec(wait) * 1000;
        got = sigtimedwait(&wanted, NULL, &left);
    }
    stop(loop);
}
