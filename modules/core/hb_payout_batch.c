/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files for the bank: approved payouts are put into a batch in one transaction, so that none is
 * in two files; the file is made from the batch whenever it is asked for.
 */
#include "hb_payout.h"

#include <string.h>

#include <apr_strings.h>
#include <apr_tables.h>

#include "hb_audit.h"
#include "hb_csv.h"
#include "hb_idem.h"
#include "hb_schema.h"
#include "hb_store.h"
#include "hb_time.h"

typedef struct batch_t {
    const char *id;
    const hb_json_t *input;
} batch_t;

static apr_status_t add_payout(apr_int64_t *coins, apr_int64_t *amount_minor, hb_op_t *op,
                               hb_json_t *payout, const char *batch_id)
{
    hb_payout_state_e next;
    apr_status_t rv = hb_payout_next(&next, op, HB_PAYOUT_APPROVED, HB_PAYOUT_EXPORT);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (__builtin_add_overflow(*coins, hb_json_int(payout, "coins", 0), coins)
        || __builtin_add_overflow(*amount_minor, hb_json_int(payout, "amountMinor", 0),
                                  amount_minor)) {
        return hb_fail(op, HB_E_INTERNAL, "the sum of these payouts is beyond 64 bits");
    }
    hb_json_set_string(payout, "state", hb_payout_state_name(next));
    hb_json_set_string(payout, "batchId", batch_id);
    return hb_store_replace(NULL, op, HB_C_PAYOUTS, payout);
}

static apr_status_t batch_work(hb_json_t **answer, hb_op_t *op, void *baton)
{
    const batch_t *batch = baton;
    const char *currency = hb_json_string(batch->input, "currency");
    const hb_cond_t where[] = {
        { "state", HB_IS, HB_STR(hb_payout_state_name(HB_PAYOUT_APPROVED)) },
        { "currency", HB_IS, HB_STR(currency) },
    };
    const hb_query_t query = { .in = HB_C_PAYOUTS, .where = where, .n_where = 2,
                               .sort = { { "createdAt", 0 } }, .limit = HB_PAYOUT_BATCH_MAX };
    hb_json_t *doc = hb_json_object_make(op->pool);
    apr_int64_t coins = 0, amount_minor = 0;
    hb_page_t page;
    apr_status_t rv = hb_store_find(&page, op, &query);
    int i;

    if (rv == APR_SUCCESS && page.n_items == 0) {
        return hb_fail(op, HB_E_PAYOUT_NONE, "no payout in %s is approved", currency);
    }
    for (i = 0; rv == APR_SUCCESS && i < page.n_items; i++) {
        rv = add_payout(&coins, &amount_minor, op, page.items[i], batch->id);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    hb_json_set_string(doc, "_id", batch->id);
    hb_json_set_string(doc, "currency", currency);
    hb_json_set_int(doc, "payouts", page.n_items);
    hb_json_set_int(doc, "coins", coins);
    hb_json_set_int(doc, "amountMinor", amount_minor);
    hb_json_set_string(doc, "madeBy", op->actor.user_id);
    hb_json_set_int(doc, "createdAt", hb_time_to_msec(op->now));
    rv = hb_store_insert(NULL, op, HB_C_PAYOUT_BATCHES, doc);
    *answer = hb_schema_view(op, HB_C_PAYOUT_BATCHES, doc, HB_ALL | HB_STAFF);
    return rv == APR_SUCCESS
        ? hb_audit_add(op, NULL, "payout.exported", batch->id, 1, *answer) : rv;
}

apr_status_t hb_payout_batch(hb_json_t **view, hb_op_t *op, const hb_json_t *input)
{
    batch_t batch = { hb_id_make(op), input };

    return hb_idem_transact(view, op, "payout-batch", input, batch_work, &batch);
}

apr_status_t hb_payout_batches(hb_json_t **list, hb_op_t *op, int limit, const char *after)
{
    const hb_query_t query = { .in = HB_C_PAYOUT_BATCHES, .sort = { { "createdAt", 1 } },
                               .limit = limit, .after = after };

    return hb_store_list(list, op, &query, HB_ALL | HB_STAFF);
}

static const char *line(hb_op_t *op, const hb_json_t *payout)
{
    apr_pool_t *p = op->pool;
    apr_int64_t minor = hb_json_int(payout, "amountMinor", 0);

    return apr_psprintf(p, "%s,%s,%s,%s,%s,%s,%s,%" APR_INT64_T_FMT ".%02d,%" APR_INT64_T_FMT
                        ",%s\r\n", hb_json_string(payout, "_id"),
                        hb_json_string(payout, "userId"), hb_json_string(payout, "method"),
                        hb_csv_text(p, hb_json_string(payout, "bankName")),
                        hb_csv_text(p, hb_json_string(payout, "account")),
                        hb_csv_text(p, hb_json_string(payout, "accountName")),
                        hb_json_string(payout, "currency"), minor / 100, (int)(minor % 100),
                        hb_json_int(payout, "coins", 0),
                        hb_time_text(p, hb_time_from_msec(hb_json_int(payout, "createdAt",
                                                                      0))));
}

apr_status_t hb_payout_batch_csv(const char **csv, apr_size_t *len, hb_op_t *op,
                                 const char *batch_id)
{
    const hb_cond_t where[] = { { "batchId", HB_IS, HB_STR(batch_id) } };
    const hb_query_t query = { .in = HB_C_PAYOUTS, .where = where, .n_where = 1,
                               .sort = { { "createdAt", 0 } }, .limit = HB_PAYOUT_BATCH_MAX };
    hb_json_t *batch;
    hb_page_t page;
    apr_status_t rv = hb_id_is_valid(batch_id)
        ? hb_store_get(&batch, op, HB_C_PAYOUT_BATCHES, batch_id) : HB_E_STORE_MISSING;
    apr_array_header_t *lines;
    int i;

    if (rv == HB_E_STORE_MISSING) {
        return hb_fail(op, HB_E_PAYOUT_UNKNOWN, "there is no batch with this id");
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_find(&page, op, &query);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    lines = apr_array_make(op->pool, page.n_items + 1, sizeof(const char *));
    APR_ARRAY_PUSH(lines, const char *) = "payout,user,method,bank,account,name,currency,amount,"
                                          "coins,requested\r\n";
    for (i = 0; i < page.n_items; i++) {
        APR_ARRAY_PUSH(lines, const char *) = line(op, page.items[i]);
    }
    *csv = apr_array_pstrcat(op->pool, lines, 0);
    *len = strlen(*csv);
    return APR_SUCCESS;
}
