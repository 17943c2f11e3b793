/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What /proc and the scoreboard say. Nothing here is worth failing for: what cannot be read
 * is reported as unknown.
 */
#include "hb_ap_machine.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <apr_strings.h>
#include <ap_mpm.h>
#include <httpd.h>
#include <scoreboard.h>

static int memory_percent(void)
{
    long long total = 0, available = -1;
    char line[128];
    FILE *f = fopen("/proc/meminfo", "re");

    if (f == NULL) {
        return -1;
    }
    while (fgets(line, sizeof(line), f) != NULL && (total == 0 || available < 0)) {
        if (sscanf(line, "MemTotal: %lld", &total) != 1) {
            (void)sscanf(line, "MemAvailable: %lld", &available);
        }
    }
    fclose(f);
    return total > 0 && available >= 0 ? (int)((total - available) * 100 / total) : -1;
}

static int cpu_percent(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    double load;
    int percent;

    if (processors < 1 || getloadavg(&load, 1) != 1) {
        return -1;
    }
    percent = (int)(load * 100 / (double)processors);
    return percent > 100 ? 100 : percent;
}

static int count_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = -3;                 /* ".", "..", and the descriptor of the directory itself */

    if (dir == NULL) {
        return -1;
    }
    while (readdir(dir) != NULL) {
        n++;
    }
    closedir(dir);
    return n;
}

/* Own pages; *shared is raised to the most pages that any process shares. */
static apr_int64_t own_pages(pid_t pid, apr_int64_t *shared_max)
{
    long long size, resident, shared;
    char path[40];
    FILE *f;
    int n;

    apr_snprintf(path, sizeof(path), "/proc/%ld/statm", (long)pid);
    f = fopen(path, "re");
    if (f == NULL) {
        return 0;
    }
    n = fscanf(f, "%lld %lld %lld", &size, &resident, &shared);
    fclose(f);
    if (n != 3) {
        return 0;
    }
    if (shared > *shared_max) {
        *shared_max = shared;
    }
    return resident - shared;
}

static void read_scoreboard(hb_ap_machine_t *machine)
{
    apr_int64_t shared = 0, own = own_pages(getppid(), &shared);
    int i, j, processes = 0, threads = 0;

    ap_mpm_query(AP_MPMQ_HARD_LIMIT_DAEMONS, &processes);
    ap_mpm_query(AP_MPMQ_HARD_LIMIT_THREADS, &threads);
    for (i = 0; i < processes && ap_exists_scoreboard_image(); i++) {
        process_score *process = ap_get_scoreboard_process(i);

        if (process == NULL || process->pid == 0) {
            continue;
        }
        machine->children++;
        own += own_pages(process->pid, &shared);
        for (j = 0; j < threads; j++) {
            worker_score *worker = ap_get_scoreboard_worker_from_indexes(i, j);

            if (worker == NULL || worker->status == SERVER_DEAD) {
                continue;
            }
            if (worker->status == SERVER_READY) {
                machine->threads_idle++;
            } else {
                machine->threads_busy++;
            }
        }
    }
    machine->memory_bytes = (own + shared) * (apr_int64_t)sysconf(_SC_PAGESIZE);
}

void hb_ap_machine_read(hb_ap_machine_t *machine)
{
    machine->memory_percent = memory_percent();
    machine->cpu_percent = cpu_percent();
    machine->files = count_files();
    machine->children = machine->threads_busy = machine->threads_idle = 0;
    read_scoreboard(machine);
}
