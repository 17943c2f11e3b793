/* SPDX-License-Identifier: Apache-2.0 */
/* The inbox as finance and the operator read it. */
#include "hb_inbox.h"

#include <string.h>

#include "hb_inbox_private.h"
#include "hb_schema.h"
#include "hb_store.h"

apr_status_t hb_inbox_list(hb_json_t **list, hb_op_t *op, const hb_json_t *query)
{
    const char *order_id = hb_json_string(query, "orderId");
    const char *only = hb_json_string(query, "only");
    const hb_cond_t where[] = { { "orderId", HB_IS, HB_STR(order_id) } };
    hb_query_t events = { .in = HB_C_EVENTS, .sort = { { "_id", 1 } },
                          .limit = (int)hb_json_int(query, "limit", 20),
                          .after = hb_json_string(query, "after") };
    hb_json_t *items;
    hb_page_t page;
    apr_status_t rv;
    int i;

    if (order_id != NULL && only != NULL) {
        return hb_fail_field(op, "only", "value", "not together with orderId");
    }
    if (order_id != NULL) {
        events.where = where;
        events.n_where = 1;
        events.sort[0].field = "createdAt";
    }
    else if (only != NULL) {
        events.sort[0].field = strcmp(only, "refused") == 0 ? "refusedAt" : "pendingAt";
    }
    rv = hb_store_find(&page, op, &events);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    items = hb_json_array_make(op->pool);
    for (i = 0; i < page.n_items; i++) {
        hb_json_push(items, hb_schema_view(op, HB_C_EVENTS, page.items[i],
                                           HB_ALL | HB_STAFF));
    }
    *list = hb_page_json(op, items, page.next);
    return APR_SUCCESS;
}

hb_json_t *hb_inbox_result_json(hb_op_t *op, const hb_inbox_result_t *result)
{
    hb_json_t *json = hb_json_object_make(op->pool);

    hb_json_set_string(json, "id", result->id);
    hb_json_set_string(json, "verdict", hb_pay_verdict_name(result->verdict));
    hb_json_set_string(json, "effect", hb_inbox_effect_name(result->effect));
    hb_json_set_string(json, "orderId", result->order_id);
    hb_json_set_string(json, "note", result->note);
    return json;
}

apr_status_t hb_inbox_show(hb_json_t **shown, hb_op_t *op, const char *id)
{
    hb_json_t *record = NULL;
    apr_status_t rv;

    if (hb_id_is_valid(id)) {
        rv = hb_store_get(&record, op, HB_C_EVENTS, id);
    }
    else {
        rv = hb_inbox_find(&record, op, id);
    }
    if (rv == HB_E_STORE_MISSING || (rv == APR_SUCCESS && record == NULL)) {
        return hb_fail(op, HB_E_EVENT_UNKNOWN, NULL);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    *shown = hb_json_object_make(op->pool);
    hb_json_set(*shown, "event", hb_schema_view(op, HB_C_EVENTS, record, HB_ALL | HB_STAFF));
    hb_json_set_string(*shown, "body", hb_json_string(record, "body"));
    hb_json_set_bool(*shown, "isBase64", hb_json_bool(record, "isBase64", 0));
    return APR_SUCCESS;
}
