/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this host holds. A child counts in a slot of its own, in memory that all children of all
 * generations share; when it dies, however it dies, the parent empties the slot. So the sums
 * are true even behind a kill -9.
 */
#include "mod_rt.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <ap_mpm.h>
#include <ap_provider.h>
#include <http_config.h>
#include <scoreboard.h>

APLOG_USE_MODULE(halobuzz_realtime);

#define RETAINED "halobuzz-realtime"
#define SLOTS 1024

typedef struct slot_t {
    apr_int32_t pid;            /* 0: free */
    apr_int32_t held[RT_KINDS];
    apr_int32_t unused[13];     /* a cache line */
} slot_t;

typedef struct retained_t {
    slot_t *slots;
} retained_t;

static slot_t *slots;
static slot_t spare;            /* of a child that found no free one */
static slot_t *mine = &spare;
static hb_site_t *site;
static int n_async, n_sync;     /* held by this child */
static int max_async, max_sync;
static int room;                /* the one of them that counts on this MPM */
static int share_percent;

apr_status_t rt_count_post_config(server_rec *s)
{
    retained_t *kept = ap_retained_data_get(RETAINED);

    (void)s;
    if (kept == NULL) {
        void *base = mmap(NULL, SLOTS * sizeof(slot_t), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        if (base == MAP_FAILED) {
            return errno;
        }
        kept = ap_retained_data_create(RETAINED, sizeof(*kept));
        kept->slots = base;
    }
    slots = kept->slots;
    return APR_SUCCESS;
}

static slot_t *claim(apr_int32_t pid)
{
    int i;

    for (i = 0; i < SLOTS; i++) {
        apr_int32_t holder = __atomic_load_n(&slots[i].pid, __ATOMIC_RELAXED);

        if (holder == 0 && __atomic_compare_exchange_n(&slots[i].pid, &holder, pid, 0,
                                                       __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
            memset(slots[i].held, 0, sizeof(slots[i].held));
            return &slots[i];
        }
    }
    return &spare;
}

void rt_count_child_init(hb_site_t *of, const hb_settings_t *settings)
{
    int threads = 1, is_async = 0;

    site = of;
    mine = claim((apr_int32_t)getpid());
    ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads);
    share_percent = (int)settings->realtime_share;
    max_sync = threads * share_percent / 100;
    max_async = rt_limits_links();
    ap_mpm_query(AP_MPMQ_IS_ASYNC, &is_async);
    room = is_async ? max_async : max_sync;
}

/* In the parent. */
static void child_status(server_rec *s, pid_t pid, ap_generation_t generation, int child,
                         mpm_child_status state)
{
    int i;

    (void)s;
    (void)generation;
    (void)child;
    for (i = 0; state == MPM_CHILD_EXITED && slots != NULL && i < SLOTS; i++) {
        if (slots[i].pid == (apr_int32_t)pid) {
            memset(slots[i].held, 0, sizeof(slots[i].held));
            __atomic_store_n(&slots[i].pid, 0, __ATOMIC_RELEASE);
        }
    }
}

void rt_count_hold(rt_link_t *link)
{
    if (!link->is_counted) {
        link->is_counted = 1;
        __atomic_fetch_add(&mine->held[link->kind], 1, __ATOMIC_RELAXED);
        __atomic_fetch_add(link->is_sync ? &n_sync : &n_async, 1, __ATOMIC_RELAXED);
    }
}

void rt_count_release(rt_link_t *link)
{
    if (link->is_counted) {
        link->is_counted = 0;
        __atomic_fetch_sub(&mine->held[link->kind], 1, __ATOMIC_RELAXED);
        __atomic_fetch_sub(link->is_sync ? &n_sync : &n_async, 1, __ATOMIC_RELAXED);
        rt_count_add((hb_metric_e)(HB_M_RT_END_CLIENT + link->end));
    }
}

/* One request to a process: the scoreboard knows how many are at work, whatever at. */
static int has_idle_processes(void)
{
    int processes = 0, busy = 0, i;

    ap_mpm_query(AP_MPMQ_MAX_DAEMONS, &processes);
    for (i = 0; i < processes; i++) {
        worker_score *worker = ap_get_scoreboard_worker_from_indexes(i, 0);

        busy += worker != NULL && worker->status != SERVER_DEAD
            && worker->status != SERVER_READY && worker->status != SERVER_STARTING;
    }
    return busy * 100 <= processes * share_percent;
}

int rt_count_has_room(int is_sync)
{
    if (!is_sync) {
        return __atomic_load_n(&n_async, __ATOMIC_RELAXED) < max_async;
    }
    if (max_sync > 0) {
        return __atomic_load_n(&n_sync, __ATOMIC_RELAXED) < max_sync;
    }
    return has_idle_processes();
}

void rt_count_add(hb_metric_e metric)
{
    if (site != NULL) {
        hb_metric_add(site->metrics, metric, 1);
    }
}

static void set_gauges(hb_site_t *of)
{
    apr_int64_t held[RT_KINDS] = { 0 };
    int i, kind;

    for (i = 0; slots != NULL && i < SLOTS; i++) {
        for (kind = 0; kind < RT_KINDS; kind++) {
            held[kind] += __atomic_load_n(&slots[i].held[kind], __ATOMIC_RELAXED);
        }
    }
    hb_metric_set(of->metrics, HB_M_RT_WEBSOCKETS, held[RT_WEBSOCKET]);
    hb_metric_set(of->metrics, HB_M_RT_HELD, held[RT_HTTP]);
    hb_metric_set(of->metrics, HB_M_RT_ROOM, room);
}

void rt_count_register(apr_pool_t *pool)
{
    static const hb_ap_gauges_t gauges = { set_gauges };

    ap_register_provider(pool, HB_AP_GAUGES, "realtime", "0", &gauges);
    ap_hook_child_status(child_status, NULL, NULL, APR_HOOK_MIDDLE);
}
