/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs that keep the house: what each does is its noun's, here it meets the clock. */
#include "hb_job_private.h"

#include <apr_strings.h>

#include "hb_report.h"
#include "hb_retention.h"
#include "hb_stream.h"

typedef struct watch_t {
    hb_op_t *op;
    const hb_job_run_t *run;
    apr_int64_t done;
    apr_status_t status;
} watch_t;

/* As hb_store_report_fn; counts over all rows. */
static int report(void *baton, const char *what, apr_int64_t done, apr_int64_t total)
{
    watch_t *watch = baton;

    (void)what;
    (void)done;
    (void)total;
    watch->status = hb_job_alive(watch->op, watch->run, ++watch->done, 0);
    return watch->status != APR_SUCCESS;
}

apr_status_t hb_job_clean_up(hb_op_t *op, const hb_job_run_t *run)
{
    watch_t watch = { op, run, 0, APR_SUCCESS };
    hb_json_t *result, *items;
    const char *text = "";
    apr_status_t rv = hb_retention_clean(&result, op, 0, report, &watch);
    int i;

    items = hb_json_get(result, "items");
    for (i = 0; i < hb_json_length(items); i++) {
        const hb_json_t *item = hb_json_item(items, i);
        apr_int64_t n = hb_json_int(item, "records", 0);

        if (n > 0) {
            text = apr_psprintf(op->pool, "%s%s%" APR_INT64_T_FMT " %s", text, *text ? ", " : "",
                                n, hb_json_string(item, "name"));
        }
    }
    hb_job_say(run, "%s%s", *text ? "removed " : "nothing was old enough", text);
    return watch.status != APR_SUCCESS ? watch.status : rv;
}

apr_status_t hb_job_daily_report(hb_op_t *op, const hb_job_run_t *run)
{
    watch_t watch = { op, run, 0, APR_SUCCESS };
    char date[HB_DATE_BYTES];
    hb_json_t *view;
    apr_status_t rv;

    hb_zone_date(date, run->zone, run->day_begins - 1);
    rv = hb_report_make(&view, op, date, run->zone, report, &watch);
    if (rv == APR_SUCCESS) {
        const hb_json_t *users = hb_json_get(view, "users");

        hb_job_say(run, "%s: %" APR_INT64_T_FMT " registered, %" APR_INT64_T_FMT " active", date,
                   hb_json_int(users, "registered", 0), hb_json_int(users, "active", 0));
    }
    return watch.status != APR_SUCCESS ? watch.status : rv;
}

apr_status_t hb_job_stream_reap(hb_op_t *op, const hb_job_run_t *run)
{
    watch_t watch = { op, run, 0, APR_SUCCESS };
    apr_int64_t n = 0;
    apr_status_t rv = hb_stream_reap(&n, op, report, &watch);

    hb_job_say(run, "ended %" APR_INT64_T_FMT " streams", n);
    return watch.status != APR_SUCCESS ? watch.status : rv;
}
