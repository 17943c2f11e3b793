/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cases: what the rules found, and what finance makes of it. A case that held something is
 * decided in one transaction with what it lets go.
 */
#include "hb_fraud_private.h"

#include <string.h>
#include <strings.h>

#include <apr_strings.h>

#include "hb_audit.h"
#include "hb_payout.h"
#include "hb_refund.h"
#include "hb_schema.h"
#include "hb_store.h"
#include "hb_time.h"

#define SCORE_MAX 100
#define NOTE_MAX 300

int hb_fraud_is_on(const hb_op_t *op)
{
    return strcasecmp(op->site->settings->fraud, "off") != 0;
}

void hb_fraud_add(hb_fraud_finding_t *finding, hb_op_t *op, const char *rule, int score,
                  const char *detail)
{
    hb_json_t *reason = hb_json_object_make(op->pool);

    hb_json_set_string(reason, "rule", rule);
    hb_json_set_int(reason, "score", score);
    hb_json_set_string(reason, "detail", detail);
    if (finding->reasons == NULL) {
        finding->reasons = hb_json_array_make(op->pool);
    }
    hb_json_push(finding->reasons, reason);
    finding->score = finding->score + score > SCORE_MAX ? SCORE_MAX : finding->score + score;
    finding->note = finding->note == NULL ? detail
        : apr_pstrcat(op->pool, finding->note, "; ", detail, NULL);
}

void hb_fraud_judge(hb_fraud_finding_t *finding, hb_op_t *op)
{
    const hb_settings_t *settings = op->site->settings;

    if (finding->score == 0) {
        return;
    }
    finding->verdict = strcasecmp(settings->fraud, "hold") == 0
        && finding->score >= settings->fraud_score ? HB_FRAUD_HOLD : HB_FRAUD_WATCH;
    finding->note = apr_pstrndup(op->pool, finding->note, NOTE_MAX);
}

apr_status_t hb_fraud_note(hb_op_t *op, const hb_fraud_finding_t *finding, const char *kind,
                           const char *subject, const char *user_id)
{
    hb_json_t *doc = hb_json_object_make(op->pool);
    apr_status_t rv;

    hb_json_set_string(doc, "_id", subject);
    hb_json_set_string(doc, "kind", kind);
    hb_json_set_string(doc, "userId", user_id);
    hb_json_set_int(doc, "score", finding->score);
    hb_json_set(doc, "reasons", finding->reasons);
    hb_json_set_string(doc, "verdict", finding->verdict == HB_FRAUD_HOLD ? "hold" : "watch");
    hb_json_set_string(doc, "state", "open");
    hb_json_set_int(doc, "createdAt", hb_time_to_msec(op->now));
    rv = hb_store_insert(NULL, op, HB_C_FRAUD_CASES, doc);
    return rv == HB_E_STORE_DUPLICATE ? APR_SUCCESS : rv;
}

/* --- the queue --- */

apr_status_t hb_fraud_list(hb_json_t **list, hb_op_t *op, const char *state, int limit,
                           const char *after)
{
    const hb_cond_t where[] = { { "state", HB_IS, HB_STR(state) } };
    const hb_query_t query = { .in = HB_C_FRAUD_CASES, .where = where, .n_where = 1,
                               .sort = { { "createdAt", 1 } }, .limit = limit,
                               .after = after };

    return hb_store_list(list, op, &query, HB_ALL | HB_STAFF);
}

typedef struct decision_t {
    const char *id;
    const char *state;          /* that it gets */
    const char *note;
    hb_json_t *found;           /* the case */
    hb_order_t order;           /* when one was let go */
} decision_t;

static apr_status_t load_open(hb_json_t **found, hb_op_t *op, const char *id)
{
    apr_status_t rv = hb_id_is_valid(id) ? hb_store_get(found, op, HB_C_FRAUD_CASES, id)
                                         : HB_E_STORE_MISSING;

    if (rv == HB_E_STORE_MISSING) {
        return hb_fail(op, HB_E_FRAUD_UNKNOWN, NULL);
    }
    if (rv == APR_SUCCESS && strcmp(hb_json_string(*found, "state"), "open") != 0) {
        return hb_fail(op, HB_E_FRAUD_STATE, "it is %s", hb_json_string(*found, "state"));
    }
    if (rv == APR_SUCCESS && op->actor.user_id != NULL
        && strcmp(hb_json_string(*found, "userId"), op->actor.user_id) == 0) {
        return hb_fail(op, HB_E_APPROVAL_FOUR_EYES, "it is about you");
    }
    return rv;
}

/* Was it an order that waits? Then give what was bought. */
static apr_status_t let_go(hb_op_t *op, decision_t *d)
{
    apr_status_t rv;

    if (strcmp(hb_json_string(d->found, "kind"), "order") != 0
        || strcmp(hb_json_string(d->found, "verdict"), "hold") != 0) {
        return APR_SUCCESS;
    }
    rv = hb_order_load(&d->order, op, d->id);
    if (rv != APR_SUCCESS || d->order.at != HB_ORDER_REVIEW) {
        return rv;              /* refunded meanwhile, or given by hand */
    }
    return hb_order_release(op, &d->order, "let go by finance");
}

static apr_status_t decide_in_store(hb_op_t *op, void *baton)
{
    decision_t *d = baton;
    apr_status_t rv;

    d->order.user_id = NULL;
    rv = load_open(&d->found, op, d->id);
    if (rv == APR_SUCCESS && strcmp(d->state, "released") == 0) {
        rv = let_go(op, d);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    hb_json_set_string(d->found, "state", d->state);
    hb_json_set_string(d->found, "decidedBy", op->actor.user_id);
    hb_json_set_int(d->found, "decidedAt", hb_time_to_msec(op->now));
    if (d->note != NULL) {
        hb_json_set_string(d->found, "note", d->note);
    }
    rv = hb_store_replace(NULL, op, HB_C_FRAUD_CASES, d->found);
    return rv == APR_SUCCESS
        ? hb_audit_add(op, NULL, apr_pstrcat(op->pool, "fraud.", d->state, NULL), d->id, 1,
                       hb_json_copy(d->found, op->pool)) : rv;
}

static apr_status_t decide(hb_json_t **view, hb_op_t *op, decision_t *d)
{
    apr_status_t rv = hb_store_transact(op, decide_in_store, d);

    if (rv == APR_SUCCESS) {
        if (d->order.user_id != NULL) {
            hb_order_applied(op, &d->order, HB_ORDER_APPLIED);
        }
        *view = hb_schema_view(op, HB_C_FRAUD_CASES, d->found, HB_ALL | HB_STAFF);
    }
    return rv;
}

apr_status_t hb_fraud_release(hb_json_t **view, hb_op_t *op, const char *id, const char *note)
{
    decision_t d = { .id = id, .state = "released", .note = note };

    return decide(view, op, &d);
}

/* The money first: a case is undone once that is under way, so a death between the two
 * leaves it open. */
apr_status_t hb_fraud_undo(hb_json_t **view, hb_op_t *op, const char *id, const char *reason)
{
    decision_t d = { .id = id, .state = "undone", .note = reason };
    hb_json_t *input = hb_json_object_make(op->pool), *dropped;
    apr_status_t rv = load_open(&d.found, op, id);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (strcmp(hb_json_string(d.found, "kind"), "payout") == 0) {
        rv = hb_payout_reject(&dropped, op, id, reason);
        if (rv == HB_E_PAYOUT_STATE) {
            hb_op_recover(op);  /* rejected, taken back or paid before */
            rv = APR_SUCCESS;
        }
    }
    else {
        hb_json_set_string(input, "orderId", id);
        hb_json_set_string(input, "reason", reason);
        op->idem_key = apr_pstrcat(op->pool, "fraud-", id, NULL);
        rv = hb_refund_begin(&dropped, op, input);
        if (rv == HB_E_REFUND_TOO_MUCH) {
            hb_op_recover(op);  /* it went back, or is on its way, by other hands */
            rv = APR_SUCCESS;
        }
    }
    return rv == APR_SUCCESS ? decide(view, op, &d) : rv;
}

/* --- the report of large entries --- */

apr_status_t hb_fraud_large(hb_json_t **list, hb_op_t *op, apr_time_t since,
                            apr_int64_t min_coins, int limit)
{
    /* Ids begin with their second, and sort like it. */
    const char *from = apr_psprintf(op->pool, "%08x0000000000000000",
                                    (unsigned int)apr_time_sec(since > 0 ? since : 0));
    const hb_cond_t where[] = { { "_id", HB_AT_LEAST, HB_STR(from) },
                                { "amount", HB_ABOVE, HB_INT(min_coins) } };
    const hb_query_t query = { .in = HB_C_TRANSACTIONS, .where = where, .n_where = 2,
                               .sort = { { "_id", 1 } }, .limit = limit };
    hb_json_t *items = hb_json_array_make(op->pool);
    hb_page_t page;
    apr_status_t rv = hb_store_find(&page, op, &query);
    int i;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    for (i = 0; i < page.n_items; i++) {
        const hb_json_t *entry = page.items[i];
        hb_json_t *item = hb_json_object_make(op->pool);

        hb_json_set_string(item, "id", hb_json_string(entry, "_id"));
        hb_json_set_string(item, "type", hb_json_string(entry, "type"));
        hb_json_set_int(item, "coins", hb_json_int(entry, "amount", 0));
        hb_json_set_string(item, "userId", hb_json_string(entry, "userId"));
        hb_json_set_string(item, "reference", hb_json_string(entry, "reference"));
        hb_json_set_time(item, "createdAt", hb_time_from_msec(hb_json_int(entry, "createdAt", 0)));
        hb_json_push(items, item);
    }
    *list = hb_page_json(op, items, NULL);
    return APR_SUCCESS;
}
