/* SPDX-License-Identifier: Apache-2.0 */
/* Keeping the store: copies, checks, figures. */
#include "ctl.h"

#include <stdio.h>

#include <apr_strings.h>

#include "hb_retention.h"
#include "hb_store.h"
#include "hb_time.h"

/* What a report of the store goes to. */
typedef struct seen_t {
    ctl_t *ctl;
    hb_json_t *findings;
} seen_t;

static int report(void *baton, const char *what, apr_int64_t done, apr_int64_t total)
{
    seen_t *seen = baton;

    if (done >= 0) {
        ctl_progress(seen->ctl, what, done, total);
        return 0;
    }
    hb_json_push_string(seen->findings, what);
    if (!seen->ctl->wants_json) {
        ctl_mark(seen->ctl, CTL_BAD, "%s", what);
    }
    return 0;
}

int ctl_store_backup(ctl_t *ctl, int argc, const char *const *argv)
{
    seen_t seen = { ctl, hb_json_array_make(ctl->pool) };
    const char *args[2];
    hb_op_t *op;
    apr_status_t rv;
    int rc = ctl_begin(&op, ctl, argc, argv, NULL, args, 1, 1);

    if (rc != CTL_OK) {
        return rc;
    }
    rv = hb_store_backup(op, args[0], report, &seen);
    if (rv != APR_SUCCESS) {
        ctl_fail_op(ctl, op, rv);
        fprintf(stderr, "  a backup is a new file, written by the owner of the state directory\n");
        return CTL_FAILED;
    }
    ctl_say(ctl, "%s", args[0]);
    return CTL_OK;
}

int ctl_store_verify(ctl_t *ctl, int argc, const char *const *argv)
{
    seen_t seen = { ctl, hb_json_array_make(ctl->pool) };
    apr_int64_t findings = 0;
    hb_op_t *op;
    apr_status_t rv;
    int rc = ctl_begin(&op, ctl, argc, argv, NULL, NULL, 0, 0);

    if (rc != CTL_OK) {
        return rc;
    }
    rv = hb_store_verify(&findings, op, report, &seen);
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    if (ctl->wants_json) {
        hb_json_t *json = hb_json_object_make(ctl->pool);

        hb_json_set_bool(json, "whole", findings == 0);
        hb_json_set(json, "findings", seen.findings);
        ctl_json(ctl, json);
    }
    else if (findings == 0) {
        ctl_mark(ctl, CTL_GOOD, "the store is whole");
    }
    else {
        ctl_fail(ctl, "%" APR_INT64_T_FMT " findings; keep the files as they are and restore a "
                 "backup beside them", findings);
    }
    return findings == 0 ? CTL_OK : CTL_FAILED;
}

static int print_collection(void *baton, const char *name, hb_json_t *figures)
{
    ctl_say(baton, "  %-18s %12" APR_INT64_T_FMT " records", name,
            hb_json_int(figures, "records", 0));
    return 0;
}

static int print_figure(void *baton, const char *name, hb_json_t *value)
{
    ctl_t *ctl = baton;

    if (hb_json_type(value) == HB_JSON_OBJECT) {
        ctl_say(ctl, "%s", name);
        hb_json_each(value, print_collection, ctl);
    }
    else if (hb_json_type(value) == HB_JSON_STRING) {
        ctl_say(ctl, "%-20s %s", name, hb_json_string_value(value));
    }
    else {
        ctl_say(ctl, "%-20s %s", name, hb_json_text(value, ctl->pool, NULL));
    }
    return 0;
}

int ctl_store_stats(ctl_t *ctl, int argc, const char *const *argv)
{
    hb_json_t *stats;
    hb_op_t *op;
    apr_status_t rv;
    int rc = ctl_begin(&op, ctl, argc, argv, NULL, NULL, 0, 0);

    if (rc != CTL_OK) {
        return rc;
    }
    rv = hb_store_stats(&stats, op);
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    if (ctl->wants_json) {
        ctl_json(ctl, stats);
    }
    else {
        hb_json_each(stats, print_figure, ctl);
    }
    return CTL_OK;
}

int ctl_store_clean(ctl_t *ctl, int argc, const char *const *argv)
{
    int is_dry = 0, i;
    const ctl_option_t options[] = {
        { "dry-run", NULL, &is_dry },
        { NULL, NULL, NULL }
    };
    seen_t seen = { ctl, hb_json_array_make(ctl->pool) };
    hb_json_t *result, *items;
    hb_op_t *op;
    apr_status_t rv;
    int rc = ctl_begin(&op, ctl, argc, argv, options, NULL, 0, 0);

    if (rc != CTL_OK) {
        return rc;
    }
    rv = hb_retention_clean(&result, op, is_dry, report, &seen);
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    if (ctl->wants_json) {
        hb_json_set_bool(result, "isDry", is_dry);
        ctl_json(ctl, result);
        return CTL_OK;
    }
    items = hb_json_get(result, "items");
    for (i = 0; i < hb_json_length(items); i++) {
        const hb_json_t *item = hb_json_item(items, i);
        apr_int64_t days = hb_json_int(item, "keptSec", 0) / 86400;

        ctl_say(ctl, "%-16s %10" APR_INT64_T_FMT " %s  kept %s", hb_json_string(item, "name"),
                hb_json_int(item, "records", 0), is_dry ? "would go" : "gone",
                days > 0 ? apr_psprintf(ctl->pool, "%" APR_INT64_T_FMT " days", days) : "for ever");
    }
    return CTL_OK;
}
