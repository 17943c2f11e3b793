/* SPDX-License-Identifier: Apache-2.0 */
/* Planned maintenance for the operator: what users are told of it. It closes nothing: that is
 * HaloBuzzMaintenance. */
#include "ctl.h"

#include <string.h>

#include "hb_downtime.h"
#include "hb_schema.h"

/* The id first, for maintenance cancel. */
static void print(const ctl_t *ctl, const hb_json_t *one)
{
    const char *state = hb_json_string(one, "state");

    ctl_mark(ctl, strcmp(state, "planned") == 0 ? CTL_GOOD : CTL_NOTE, "%s  %-9s %s to %s%s%s%s%s",
             hb_json_string(one, "id"), state, hb_json_string(one, "startsAt"),
             ctl_text(one, "endsAt", "an open end"),
             hb_json_bool(one, "mail", 0) ? ", by mail" : "",
             hb_json_bool(one, "push", 0) ? ", on devices" : "",
             hb_json_string(one, "reason") != NULL ? "  " : "", ctl_text(one, "reason", ""));
}

int ctl_maintenance_plan(ctl_t *ctl, int argc, const char *const *argv)
{
    const char *at = NULL, *until = NULL, *reason = NULL;
    int by_mail = 0, by_push = 0;
    const ctl_option_t options[] = {
        { "at", &at, NULL },
        { "until", &until, NULL },
        { "reason", &reason, NULL },
        { "mail", NULL, &by_mail },
        { "push", NULL, &by_push },
        { NULL, NULL, NULL }
    };
    hb_json_t *raw = hb_json_object_make(ctl->pool), *input, *view;
    hb_op_t *op;
    apr_status_t rv;
    int rc = ctl_options(ctl, argc, argv, options, NULL, 0, 0);

    if (rc == CTL_OK && at == NULL) {
        rc = ctl_misuse(ctl, "when does it begin? --at 2026-07-01T03:00:00+05:45");
    }
    if (rc == CTL_OK) {
        rc = ctl_site(&op, ctl);
    }
    if (rc != CTL_OK) {
        return rc;
    }
    hb_json_set_string(raw, "startsAt", at);
    if (until != NULL) {
        hb_json_set_string(raw, "endsAt", until);
    }
    if (reason != NULL) {
        hb_json_set_string(raw, "reason", reason);
    }
    hb_json_set_bool(raw, "mail", by_mail);
    hb_json_set_bool(raw, "push", by_push);
    rv = hb_schema_check(&input, op, HB_F_DOWNTIME, raw);
    if (rv == APR_SUCCESS) {
        rv = hb_downtime_plan(&view, op, input);
    }
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    ctl_one(ctl, view, print);
    return CTL_OK;
}

int ctl_maintenance_list(ctl_t *ctl, int argc, const char *const *argv)
{
    return ctl_list_command(ctl, argc, argv, hb_downtime_list, print);
}

int ctl_maintenance_cancel(ctl_t *ctl, int argc, const char *const *argv)
{
    return ctl_one_command(ctl, argc, argv, hb_downtime_cancel, print);
}
