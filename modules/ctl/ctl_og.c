/* SPDX-License-Identifier: Apache-2.0 */
/* OG tiers for the operator: the bonus of a day that was not paid. */
#include "ctl.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hb_og.h"
#include "hb_time.h"

/*
 * The first moment of a date in a zone. mktime() knows the zone files; it takes the zone from
 * the environment, which only a program of one thread may change. A midnight that a
 * clock change skips is the moment after the gap.
 */
static apr_time_t day_begins(const char *date, const char *zone)
{
    struct tm tm = { .tm_year = atoi(date) - 1900, .tm_mon = atoi(date + 5) - 1,
                     .tm_mday = atoi(date + 8), .tm_isdst = -1 };

    setenv("TZ", zone, 1);
    tzset();
    return apr_time_from_sec(mktime(&tm));
}

static int report(void *baton, const char *what, apr_int64_t done, apr_int64_t total)
{
    ctl_progress(baton, what, done, total);
    return 0;
}

int ctl_og_bonus(ctl_t *ctl, int argc, const char *const *argv)
{
    const char *date = NULL;
    const ctl_option_t options[] = {
        { "date", &date, NULL },
        { NULL, NULL, NULL }
    };
    hb_og_bonus_run_t run;
    apr_time_t begins;
    hb_op_t *op;
    apr_status_t rv;
    int rc = ctl_options(ctl, argc, argv, options, NULL, 0, 0);

    if (rc == CTL_OK && date == NULL) {
        rc = ctl_misuse(ctl, "which day? --date YYYY-MM-DD");
    }
    if (rc == CTL_OK && !hb_date_is_valid(date)) {
        rc = ctl_misuse(ctl, "\"%s\" is no date: write YYYY-MM-DD", date);
    }
    if (rc == CTL_OK) {
        rc = ctl_site(&op, ctl);
    }
    if (rc != CTL_OK) {
        return rc;
    }
    begins = day_begins(date, ctl->settings->zone);
    if (begins > op->now) {
        return ctl_fail(ctl, "%s has not begun in %s", date, ctl->settings->zone);
    }
    op->site->is_background = 1;
    rv = hb_og_bonus_pay_all(&run, op, date, begins, report, ctl);
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    if (ctl->wants_json) {
        hb_json_t *json = hb_json_object_make(ctl->pool);

        hb_json_set_string(json, "date", date);
        hb_json_set_int(json, "entitled", run.entitled);
        hb_json_set_int(json, "paid", run.paid);
        hb_json_set_int(json, "coins", run.coins);
        ctl_json(ctl, json);
    }
    else {
        ctl_say(ctl, "%s: paid %" APR_INT64_T_FMT " bonus coins to %" APR_INT64_T_FMT " of %"
                APR_INT64_T_FMT " users with OG; the others have had them", date, run.coins,
                run.paid, run.entitled);
    }
    return CTL_OK;
}
