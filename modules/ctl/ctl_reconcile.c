/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the payment providers what became of orders, by hand. */
#include "ctl.h"

#include <string.h>

#include "hb_order.h"
#include "hb_settings.h"
#include "hb_time.h"

#define SINCE_DEFAULT "3d"

static int report(void *baton, const char *what, apr_int64_t done, apr_int64_t total)
{
    ctl_progress(baton, what, done, total);
    return 0;
}

static void print_row(ctl_t *ctl, const hb_json_t *row)
{
    const char *what = hb_json_string(row, "what"), *note = hb_json_string(row, "note");
    apr_int64_t minor = hb_json_int(row, "amountMinor", 0);

    ctl_mark(ctl, strcmp(what, "settled") == 0 ? CTL_GOOD
             : strcmp(what, "waits") == 0 ? CTL_NOTE : CTL_BAD,
             "%s  %-8s %6" APR_INT64_T_FMT ".%02d %s  %s: %s%s%s%s%s",
             hb_json_string(row, "order"), hb_json_string(row, "provider"), minor / 100,
             (int)(minor % 100), hb_json_string(row, "currency"), what,
             hb_json_string(row, "before"), strcmp(what, "settled") == 0 ? " is now " : "",
             strcmp(what, "settled") == 0 ? hb_json_string(row, "after") : "",
             note != NULL ? ", " : "", note != NULL ? note : "");
}

static void print_json(ctl_t *ctl, const hb_reconcile_t *run)
{
    hb_json_t *json = hb_json_object_make(ctl->pool);

    hb_json_set_int(json, "asked", run->asked);
    hb_json_set_int(json, "agreed", run->agreed);
    hb_json_set_int(json, "settled", run->settled);
    hb_json_set_int(json, "differ", run->differ);
    hb_json_set_int(json, "waiting", run->waiting);
    hb_json_set_int(json, "unanswered", run->unanswered);
    hb_json_set_int(json, "expired", run->expired);
    hb_json_set_int(json, "skipped", run->skipped);
    hb_json_set(json, "orders", run->rows);
    ctl_json(ctl, json);
}

static void print(ctl_t *ctl, const hb_reconcile_t *run)
{
    apr_int64_t n = run->settled + run->differ + run->waiting + run->unanswered;
    int i;

    for (i = 0; i < hb_json_length(run->rows); i++) {
        print_row(ctl, hb_json_item(run->rows, i));
    }
    if (n > i) {
        ctl_say(ctl, "and %" APR_INT64_T_FMT " more", n - i);
    }
    ctl_say(ctl, "asked about %" APR_INT64_T_FMT " orders: %" APR_INT64_T_FMT " agreed, %"
            APR_INT64_T_FMT " settled, %" APR_INT64_T_FMT " differ, %" APR_INT64_T_FMT
            " wait for the provider, %" APR_INT64_T_FMT " without an answer", run->asked,
            run->agreed, run->settled, run->differ, run->waiting, run->unanswered);
    if (run->expired > 0) {
        ctl_say(ctl, "closed %" APR_INT64_T_FMT " orders that nobody paid in time", run->expired);
    }
    if (run->skipped > 0) {
        ctl_say(ctl, "%" APR_INT64_T_FMT " orders are by providers that are not configured",
                run->skipped);
    }
}

int ctl_reconcile(ctl_t *ctl, int argc, const char *const *argv)
{
    const char *since = NULL;
    int is_open_only = 0;
    const ctl_option_t options[] = {
        { "since", &since, NULL },
        { "open", NULL, &is_open_only },
        { NULL, NULL, NULL }
    };
    apr_interval_time_t ago = 0;
    apr_time_t from = 0;
    hb_reconcile_t run;
    hb_op_t *op;
    apr_status_t rv;
    int rc = ctl_options(ctl, argc, argv, options, NULL, 0, 0);

    if (rc == CTL_OK && since != NULL && is_open_only) {
        rc = ctl_misuse(ctl, "--open goes without --since: it takes all that are open");
    }
    if (since == NULL) {
        since = SINCE_DEFAULT;
    }
    if (rc == CTL_OK && !hb_time_read(&from, since)
        && hb_duration_read(&ago, since, ctl->pool) != NULL) {
        rc = ctl_misuse(ctl, "--since takes a duration such as 12h or 3d, or a time such as "
                        "2026-07-01T09:30:00Z");
    }
    if (rc == CTL_OK) {
        rc = ctl_site(&op, ctl);
    }
    if (rc != CTL_OK) {
        return rc;
    }
    if (ago > 0) {
        from = op->now > ago ? op->now - ago : 1;
    }
    rv = hb_order_reconcile(&run, op, is_open_only ? 0 : from > 0 ? from : op->now, report,
                            ctl);
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    ctl_progress(ctl, "orders", run.asked + run.skipped, run.asked + run.skipped);
    if (ctl->wants_json) {
        print_json(ctl, &run);
    }
    else {
        print(ctl, &run);
    }
    return run.differ + run.unanswered == 0 ? CTL_OK : CTL_FAILED;
}
