/* SPDX-License-Identifier: Apache-2.0 */
/* A process for each run: starting it, its end, and what it does. */
#include "cron_child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <apr_strings.h>

#include "hb_clock.h"
#include "hb_share.h"

#define SELF "/proc/self/exe"   /* the version that runs, also while another is installed */

/* Drivers have threads: between fork and exec only what needs no lock. */
static void become(char *const *args, int memory_fd, pid_t parent)
{
    sigset_t none;

    /* Who ends all of a group or a service: our parent ends us then, and gives the run back. */
    signal(SIGHUP, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC);
    if (memory_fd > 2) {
        fcntl(memory_fd, F_SETFD, 0);
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent) {
        execv(SELF, args);
    }
    _exit(CRON_UNWRITTEN);
}

int cron_child_start(cron_child_t *child, const hb_job_claim_t *claim, const char *settings_path,
                     hb_level_e level)
{
    char fence[24], level_text[8];
    char *args[] = { "halobuzz-crond", "--run", (char *)claim->run_id, "--job",
                     (char *)claim->job->name, "--fence", fence, "--level", level_text,
                     settings_path != NULL ? "--config" : NULL, (char *)settings_path, NULL };
    const char *memory = getenv(HB_SHARE_VARIABLE);
    int memory_fd = memory != NULL ? atoi(memory) : -1;
    pid_t parent = getpid(), pid;

    apr_snprintf(fence, sizeof(fence), "%" APR_INT64_T_FMT, claim->fence);
    apr_snprintf(level_text, sizeof(level_text), "%d", (int)level);
    pid = fork();
    if (pid == 0) {
        become(args, memory_fd, parent);
    }
    if (pid < 0) {
        return -1;
    }
    memset(child, 0, sizeof(*child));
    apr_cpystrn(child->run_id, claim->run_id, sizeof(child->run_id));
    child->claim = *claim;
    child->claim.run_id = child->run_id;
    child->pid = pid;
    child->started_at = hb_clock();
    return 0;
}

void cron_child_kill(cron_child_t *child, const char *why)
{
    if (child->pid > 0) {
        child->killed_for = why;
        kill(child->pid, SIGKILL);
    }
}

int cron_child_has_ended(cron_child_t *child, int *status)
{
    pid_t pid = waitpid(child->pid, status, WNOHANG);

    if (pid == 0 || (pid < 0 && errno == EINTR)) {
        return 0;
    }
    if (pid < 0) {
        *status = CRON_UNWRITTEN << 8;
    }
    return 1;
}

const char *cron_child_end(const cron_child_t *child, int status, apr_pool_t *pool)
{
    if (child->killed_for != NULL) {
        return child->killed_for;
    }
    if (WIFSIGNALED(status)) {
        return apr_psprintf(pool, "its process was killed by signal %d", WTERMSIG(status));
    }
    return apr_psprintf(pool, "its process ended with exit code %d and no word",
                        WEXITSTATUS(status));
}

int cron_child_run(const cron_site_t *cron, const char *job, const char *run_id,
                   apr_int64_t fence, apr_pool_t *pool)
{
    hb_job_claim_t claim = { hb_job_named(job), run_id, fence };
    hb_op_t *op = cron_op(cron, pool);
    apr_status_t rv;

    if (claim.job == NULL) {
        return CRON_UNWRITTEN;
    }
    rv = hb_job_do(op, &claim);
    if (rv == HB_E_JOB_LOST) {
        hb_log(op, HB_LOG_NOTICE, 0, HBLOGNO(07000) "job %s: %s", job, op->problem.detail);
        return CRON_UNWRITTEN;
    }
    return CRON_WRITTEN;
}
