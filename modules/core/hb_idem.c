/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First answers, kept beside the work they are the answer to. Two of the same at once meet in
 * the store: the later transaction sees the record of the earlier one.
 */
#include "hb_idem.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_crypto.h"
#include "hb_store.h"
#include "hb_time.h"

/* The id: a hash, because keys may be longer than ids. 0 bytes keep the parts apart. */
static const char *record_id(hb_op_t *op, const char *action)
{
    const char *who = op->actor.user_id != NULL ? op->actor.user_id : "";
    apr_size_t n_who = strlen(who) + 1, n_action = strlen(action) + 1;
    char *first = apr_palloc(op->pool, n_who + n_action);
    unsigned char digest[32];

    memcpy(first, who, n_who);
    memcpy(first + n_who, action, n_action);
    if (hb_sha256(digest, first, n_who + n_action, op->idem_key,
                  strlen(op->idem_key)) != APR_SUCCESS) {
        return NULL;
    }
    return hb_hex(op->pool, digest, sizeof(digest));
}

static const char *fingerprint(hb_op_t *op, const hb_json_t *body)
{
    unsigned char digest[32];
    const char *text = "";
    apr_size_t n = 0;

    if (body != NULL) {
        text = hb_json_text(body, op->pool, &n);
    }
    if (hb_sha256(digest, text, n, NULL, 0) != APR_SUCCESS) {
        return NULL;
    }
    return hb_hex(op->pool, digest, sizeof(digest));
}

const char *hb_idem_event(hb_op_t *op, const char *action)
{
    const char *id = op->idem_key != NULL ? record_id(op, action) : NULL;

    return id != NULL ? apr_pstrcat(op->pool, action, ":", id, NULL) : NULL;
}

apr_status_t hb_idem_begin(hb_json_t **answer, hb_op_t *op, const char *action,
                           const hb_json_t *body)
{
    const char *id, *print, *first;
    hb_json_t *record;
    apr_status_t rv;

    *answer = NULL;
    op->is_replayed = 0;
    if (op->idem_key == NULL) {
        return APR_SUCCESS;
    }
    id = record_id(op, action);
    print = fingerprint(op, body);
    if (id == NULL || print == NULL) {
        return hb_fail(op, HB_E_INTERNAL, NULL);
    }
    rv = hb_store_get(&record, op, HB_C_IDEMPOTENCY, id);
    if (rv == HB_E_STORE_MISSING) {
        return APR_SUCCESS;
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    first = hb_json_string(record, "fingerprint");
    if (first == NULL || strcmp(first, print) != 0) {
        return hb_fail(op, HB_E_IDEM_MISMATCH, NULL);
    }
    *answer = hb_json_get(record, "answer");
    op->is_replayed = *answer != NULL;
    return APR_SUCCESS;
}

apr_status_t hb_idem_keep(hb_op_t *op, const char *action, const hb_json_t *body,
                          hb_json_t *answer)
{
    hb_json_t *record = hb_json_object_make(op->pool);
    const char *id, *print;
    apr_status_t rv;

    if (op->idem_key == NULL) {
        return APR_SUCCESS;
    }
    id = record_id(op, action);
    print = fingerprint(op, body);
    if (id == NULL || print == NULL) {
        return hb_fail(op, HB_E_INTERNAL, NULL);
    }
    hb_json_set_string(record, "_id", id);
    hb_json_set_string(record, "fingerprint", print);
    hb_json_set(record, "answer", answer);
    hb_json_set_int(record, "createdAt", hb_time_to_msec(op->now));
    rv = hb_store_insert(NULL, op, HB_C_IDEMPOTENCY, record);
    return rv == HB_E_STORE_DUPLICATE ? HB_E_STORE_CONFLICT : rv;
}

typedef struct call_t {
    hb_json_t **answer;
    const char *action;
    const hb_json_t *body;
    hb_idem_fn *fn;
    void *baton;
} call_t;

static apr_status_t in_store(hb_op_t *op, void *baton)
{
    const call_t *call = baton;
    apr_status_t rv = hb_idem_begin(call->answer, op, call->action, call->body);

    if (rv != APR_SUCCESS || *call->answer != NULL) {
        return rv;
    }
    rv = call->fn(call->answer, op, call->baton);
    if (rv == APR_SUCCESS) {
        rv = hb_idem_keep(op, call->action, call->body, *call->answer);
    }
    return rv;
}

apr_status_t hb_idem_transact(hb_json_t **answer, hb_op_t *op, const char *action,
                              const hb_json_t *body, hb_idem_fn *fn, void *baton)
{
    call_t call = { answer, action, body, fn, baton };

    return hb_store_transact(op, in_store, &call);
}
