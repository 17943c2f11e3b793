/* SPDX-License-Identifier: Apache-2.0 */
/* Indexes of the store: which are there, making them. */
#include "ctl.h"

#include <string.h>

#include "hb_store.h"

static void print_index(ctl_t *ctl, const hb_json_t *index)
{
    const char *state = hb_json_string(index, "state"), *fields = hb_json_string(index, "fields");
    ctl_mark_e mark = strcmp(state, "good") == 0 ? CTL_GOOD
        : strcmp(state, "extra") == 0 ? CTL_NOTE : CTL_BAD;

    ctl_mark(ctl, mark, "%-10s %s.%s%s%s%s%s%s", state, hb_json_string(index, "collection"),
             hb_json_string(index, "index"), fields != NULL ? " (" : "",
             fields != NULL ? fields : "", fields != NULL ? ")" : "",
             hb_json_bool(index, "unique", 0) ? " unique" : "",
             hb_json_bool(index, "partial", 0) ? " partial" : "");
}

int ctl_store_indexes(ctl_t *ctl, int argc, const char *const *argv)
{
    hb_json_t *list;
    hb_op_t *op;
    apr_status_t rv;
    int i, n_wrong = 0, rc = ctl_options(ctl, argc, argv, NULL, NULL, 0, 0);

    if (rc == CTL_OK) {
        rc = ctl_site(&op, ctl);
    }
    if (rc != CTL_OK) {
        return rc;
    }
    rv = hb_store_indexes(&list, op);
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    for (i = 0; i < hb_json_length(list); i++) {
        const hb_json_t *index = hb_json_item(list, i);
        const char *state = hb_json_string(index, "state");

        n_wrong += strcmp(state, "missing") == 0 || strcmp(state, "different") == 0;
        if (!ctl->wants_json) {
            print_index(ctl, index);
        }
    }
    if (ctl->wants_json) {
        ctl_json(ctl, list);
    }
    else if (n_wrong > 0) {
        ctl_fail(ctl, "%d indexes are not as they should be; halobuzzctl store reindex makes them",
                 n_wrong);
    }
    return n_wrong == 0 ? CTL_OK : CTL_FAILED;
}

static int report(void *baton, const char *what, apr_int64_t done, apr_int64_t total)
{
    ctl_progress(baton, what, done, total);
    return 0;
}

int ctl_store_reindex(ctl_t *ctl, int argc, const char *const *argv)
{
    int all = 0;
    const ctl_option_t options[] = { { "all", NULL, &all }, { NULL, NULL, NULL } };
    hb_op_t *op;
    apr_status_t rv;
    int rc = ctl_begin(&op, ctl, argc, argv, options, NULL, 0, 0);

    if (rc != CTL_OK) {
        return rc;
    }
    rv = hb_store_reindex(op, all, report, ctl);
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    ctl_mark(ctl, CTL_GOOD, "all indexes are there");
    return CTL_OK;
}
