/* SPDX-License-Identifier: Apache-2.0 */
/* Notices for the operator: does a way out of the house work? */
#include "ctl.h"

#include <ctype.h>
#include <string.h>

#include "hb_notice.h"
#include "hb_store.h"

/* +97798..., as E.164 has it. */
static int is_number(const char *text)
{
    apr_size_t n = strspn(text + (*text == '+'), "0123456789");

    return *text == '+' && n >= 7 && n <= 15 && text[n + 1] == '\0';
}

/* The bit, or 0 after saying what is accepted. */
static unsigned int way_read(ctl_t *ctl, const char *name, const char *to)
{
    if (strcasecmp(name, "team") == 0) {
        if (to == NULL) {
            return HB_BY_TEAM;
        }
        ctl_misuse(ctl, "the team's channel is HaloBuzzTeamHook: it takes no receiver");
    }
    else if (strcasecmp(name, "sms") == 0) {
        if (to != NULL && is_number(to)) {
            return HB_BY_SMS;
        }
        ctl_misuse(ctl, "to which number? Write it as +9779812345678");
    }
    else if (strcasecmp(name, "push") == 0) {
        if (to != NULL && hb_id_is_valid(to)) {
            return HB_BY_PUSH;
        }
        ctl_misuse(ctl, "for whom? Write the id of a user: halobuzzctl user show NAME tells it");
    }
    else {
        ctl_misuse(ctl, "\"%s\" is no way: sms, push or team", name);
    }
    return 0;
}

int ctl_notice_test(ctl_t *ctl, int argc, const char *const *argv)
{
    const ctl_option_t none[] = { { NULL, NULL, NULL } };
    const char *args[3] = { NULL }, *said;
    unsigned int way = 0;
    apr_status_t rv;
    hb_op_t *op;
    int rc = ctl_options(ctl, argc, argv, none, args, 1, 2);

    if (rc == CTL_OK) {
        way = way_read(ctl, args[0], args[1]);
        rc = way != 0 ? ctl_site(&op, ctl) : CTL_USAGE;
    }
    if (rc != CTL_OK) {
        return rc;
    }
    rv = hb_notice_try(&said, op, way, args[1]);
    if (ctl->wants_json) {
        hb_json_t *json = hb_json_object_make(ctl->pool);

        hb_json_set_bool(json, "taken", rv == APR_SUCCESS);
        hb_json_set_string(json, "said", said);
        ctl_json(ctl, json);
    }
    else {
        ctl_mark(ctl, rv == APR_SUCCESS ? CTL_GOOD : CTL_BAD, "%s", said);
    }
    return rv == APR_SUCCESS ? CTL_OK : CTL_FAILED;
}
