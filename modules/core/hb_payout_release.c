/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of holds, as the team hears of it. A payout that is read may be reviewed from its
 * reviewAt on; heldUntil is there as long as nobody was told, so that each is told of once, by
 * whichever host, and none that somebody went on with already.
 */
#include "hb_payout.h"

#include "hb_notice.h"
#include "hb_store.h"
#include "hb_time.h"

#define PAGE 100

typedef struct release_t {
    apr_int64_t n, coins;       /* of this transaction */
    int is_more;
} release_t;

static apr_status_t release_tx(hb_op_t *op, void *baton)
{
    static const hb_edit_t edits[] = { { "heldUntil", HB_UNSET, HB_NIL } };
    const hb_cond_t where[] = {
        { "heldUntil", HB_AT_MOST, HB_INT(hb_time_to_msec(op->now)) },
    };
    const hb_query_t query = { .in = HB_C_PAYOUTS, .where = where, .n_where = 1,
                               .sort = { { "heldUntil", 0 } }, .limit = PAGE };
    release_t *release = baton;
    hb_json_t *values = hb_json_object_make(op->pool);
    hb_page_t page;
    apr_status_t rv = hb_store_find(&page, op, &query);
    int i;

    *release = (release_t){ 0 };
    for (i = 0; rv == APR_SUCCESS && i < page.n_items; i++) {
        rv = hb_store_change(NULL, NULL, op, HB_C_PAYOUTS, hb_json_string(page.items[i], "_id"),
                             NULL, 0, edits, 1);
        release->n++;
        release->coins += hb_json_int(page.items[i], "coins", 0);
    }
    if (rv != APR_SUCCESS || release->n == 0) {
        return rv;
    }
    release->is_more = page.next != NULL;
    hb_json_set_int(values, "number", release->n);
    hb_json_set_int(values, "coins", release->coins);
    return hb_notice_team(op, HB_N_PAYOUT_DUE, values);
}

apr_status_t hb_payout_release_all(hb_op_t *op, const hb_job_run_t *run)
{
    release_t release;
    apr_int64_t n = 0;
    apr_status_t rv;

    do {
        rv = hb_store_transact(op, release_tx, &release);
        if (rv == APR_SUCCESS) {
            n += release.n;
            rv = hb_job_alive(op, run, n, 0);
        }
    } while (rv == APR_SUCCESS && release.is_more);
    hb_job_say(run, "%" APR_INT64_T_FMT " payouts may be reviewed now", n);
    return rv;
}
