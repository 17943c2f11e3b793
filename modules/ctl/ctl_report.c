/* SPDX-License-Identifier: Apache-2.0 */
/* Figures of a day for the operator; counted now, and kept. */
#include "ctl.h"

#include <stdio.h>

#include "hb_report.h"
#include "hb_time.h"

static int report(void *baton, const char *what, apr_int64_t done, apr_int64_t total)
{
    ctl_progress(baton, what, done, total);
    return 0;
}

static int print_figure(void *baton, const char *name, hb_json_t *value)
{
    if (hb_json_type(value) == HB_JSON_INT) {
        ctl_say(baton, "  %-14s %14" APR_INT64_T_FMT, name, hb_json_int_value(value, 0));
    }
    return 0;
}

static void print_row(ctl_t *ctl, const hb_json_t *row)
{
    const char *provider = hb_json_string(row, "provider");

    if (provider != NULL) {
        apr_int64_t minor = hb_json_int(row, "amountMinor", 0);

        ctl_say(ctl, "  %-14s %14" APR_INT64_T_FMT "   %" APR_INT64_T_FMT ".%02d %s%s", provider,
                hb_json_int(row, "number", 0), minor / 100, (int)(minor % 100),
                hb_json_string(row, "currency"),
                hb_json_has(row, "isLive") && !hb_json_bool(row, "isLive", 0) ? ", not real money" : "");
        return;
    }
    ctl_say(ctl, "  %-14s %14" APR_INT64_T_FMT "   %s: %" APR_INT64_T_FMT " made, %"
            APR_INT64_T_FMT " unmade", hb_json_string(row, "kind"),
            hb_json_int(row, "entries", 0), hb_json_string(row, "currency"),
            hb_json_int(row, "minted", 0), hb_json_int(row, "burned", 0));
}

static int print_part(void *baton, const char *name, hb_json_t *value)
{
    ctl_t *ctl = baton;
    int i;

    if (hb_json_type(value) == HB_JSON_OBJECT) {
        ctl_say(ctl, "%s", name);
        hb_json_each(value, print_figure, ctl);
    }
    else if (hb_json_type(value) == HB_JSON_ARRAY && hb_json_length(value) > 0) {
        ctl_say(ctl, "%s", name);
        for (i = 0; i < hb_json_length(value); i++) {
            print_row(ctl, hb_json_item(value, i));
        }
    }
    return 0;
}

int ctl_report_day(ctl_t *ctl, int argc, const char *const *argv)
{
    int wants_csv = 0;
    const ctl_option_t options[] = {
        { "csv", NULL, &wants_csv },
        { NULL, NULL, NULL }
    };
    const char *args[2];
    const hb_zone_t *zone;
    hb_json_t *view;
    hb_op_t *op;
    apr_status_t rv;
    int rc = ctl_options(ctl, argc, argv, options, args, 1, 1);

    if (rc == CTL_OK && !hb_date_is_valid(args[0])) {
        rc = ctl_misuse(ctl, "\"%s\" is no date: write YYYY-MM-DD", args[0]);
    }
    if (rc == CTL_OK) {
        rc = ctl_site(&op, ctl);
    }
    if (rc != CTL_OK) {
        return rc;
    }
    if (hb_zone_load(&zone, ctl->settings->zone, ctl->pool) != APR_SUCCESS) {
        return ctl_fail(ctl, "the zone %s cannot be read; is tzdata installed?",
                        ctl->settings->zone);
    }
    rv = hb_report_make(&view, op, args[0], zone, report, ctl);
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    if (ctl->wants_json) {
        ctl_json(ctl, view);
    }
    else if (wants_csv) {
        fputs(hb_report_csv(ctl->pool, view), stdout);
    }
    else {
        ctl_say(ctl, "%s in %s%s", args[0], hb_json_string(view, "zone"),
                hb_json_bool(view, "isFinal", 0) ? "" : ", so far");
        hb_json_each(view, print_part, ctl);
    }
    return CTL_OK;
}
