/* SPDX-License-Identifier: Apache-2.0 */
/* Counters of the loops, read while they count: each value is whole, the sum is of about now. */
#include "rt_status.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hb_json.h"

typedef struct row_t {
    const char *name;
    apr_size_t offset;
} row_t;

static const row_t rows[] = {
#define RT_COUNTER(kind, member, sentence) { #member, offsetof(rt_counters_t, member) },
#include "rt_counter.def"
#undef RT_COUNTER
};

#define OF(member) offsetof(rt_counters_t, member)
#define OF_GONE(reason) (offsetof(rt_counters_t, gone) + RT_GONE_##reason * sizeof(uint64_t))

static const struct {
    hb_metric_e metric;
    apr_size_t offset;
    int is_gauge;
} told_rows[RT_TOLD_MOST] = {
    { HB_M_RT_CLIENTS,        OF(sessions), 1 },
    { HB_M_RT_EVENTS,         OF(events), 0 },
    { HB_M_RT_FRAMES_SENT,    OF(sent), 0 },
    { HB_M_RT_FRAMES_DROPPED, OF(dropped), 0 },
    { HB_M_RT_LIMITED,        OF(refused), 0 },
    { HB_M_RT_CUT_SLOW,       OF_GONE(SLOW_READER), 0 },
    { HB_M_RT_CUT_FLOOD,      OF_GONE(FLOOD), 0 },
    { HB_M_RT_CUT_SILENT,     OF_GONE(PING_TIMEOUT), 0 },
};

static uint64_t sum(const rt_engine_t *engine, apr_size_t offset)
{
    uint64_t all = 0;
    int i;

    for (i = 0; i < engine->n_loops; i++) {
        const char *counters = (const char *)&engine->loops[i].counters;

        all += __atomic_load_n((const uint64_t *)(counters + offset), __ATOMIC_RELAXED);
    }
    return all;
}

/* Resident bytes of this process, 0 when the system does not tell. */
static apr_int64_t resident_bytes(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    if (file != NULL) {
        if (fscanf(file, "%*s %ld", &pages) != 1) {
            pages = 0;
        }
        fclose(file);
    }
    return (apr_int64_t)pages * sysconf(_SC_PAGESIZE);
}

const char *rt_status_json(const rt_engine_t *engine, apr_pool_t *pool)
{
    static const char *const symbols[] = {
#define RT_REASON(symbol, code, text, sentence) #symbol,
#include "rt_reason.def"
#undef RT_REASON
    };
    hb_json_t *json = hb_json_object_make(pool), *gone = hb_json_object_make(pool);
    apr_size_t i;

    hb_json_set_string(json, "application", engine->app->name);
    hb_json_set_int(json, "loops", engine->n_loops);
    hb_json_set_int(json, "upMsec", (apr_int64_t)(uv_hrtime() / 1000000
                                                  - engine->started_msec));
    hb_json_set_int(json, "residentBytes", resident_bytes());
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        hb_json_set_int(json, rows[i].name, (apr_int64_t)sum(engine, rows[i].offset));
    }
    for (i = 0; i < RT_REASONS; i++) {
        hb_json_set_int(gone, symbols[i],
                        (apr_int64_t)sum(engine, offsetof(rt_counters_t, gone)
                                                 + i * sizeof(uint64_t)));
    }
    hb_json_set(json, "gone", gone);
    return hb_json_text(json, pool, NULL);
}

void rt_status_tell(rt_told_t *told, const rt_engine_t *engine, hb_metrics_t *metrics)
{
    int i;

    for (i = 0; i < RT_TOLD_MOST; i++) {
        uint64_t now = sum(engine, told_rows[i].offset);

        if (told_rows[i].is_gauge) {
            hb_metric_set(metrics, told_rows[i].metric, (apr_int64_t)now);
        } else {
            hb_metric_add(metrics, told_rows[i].metric, (apr_int64_t)(now - told->values[i]));
        }
        told->values[i] = now;
    }
}
