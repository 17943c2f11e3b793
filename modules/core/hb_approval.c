/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Four eyes. A decision changes the approval and what it is about in one transaction, so two who
 * decide at once cannot both have decided.
 */
#include "hb_approval.h"

#include <string.h>

#include "hb_audit.h"
#include "hb_payout.h"
#include "hb_refund.h"
#include "hb_schema.h"
#include "hb_store.h"
#include "hb_time.h"

#define OPEN "open"

typedef struct kind_t {
    const char *name;
    /* Inside the transaction of the decision. */
    apr_status_t (*decided)(hb_op_t *op, const hb_json_t *approval, int is_approved);
    /* Behind it, when it was approved; may wait for others. NULL for nothing. */
    void (*go_on)(hb_op_t *op, const hb_json_t *approval);
} kind_t;

static const kind_t kinds[] = {
/*    name       decided             go on */
    { "payout",  hb_payout_decided,  NULL },
    { "refund",  hb_refund_decided,  hb_refund_go_on },
};

#define N_KINDS ((int)(sizeof(kinds) / sizeof(kinds[0])))

static const kind_t *kind_of(const hb_json_t *approval)
{
    const char *name = hb_json_string(approval, "kind");
    int i;

    for (i = 0; i < N_KINDS; i++) {
        if (name != NULL && strcmp(kinds[i].name, name) == 0) {
            return &kinds[i];
        }
    }
    return NULL;
}

/* Is it the actor's own money, or nobody who could be told apart from another? */
static apr_status_t check_actor(hb_op_t *op, const char *owner_id)
{
    if (op->actor.user_id == NULL) {
        return hb_fail(op, HB_E_AUTH_REQUIRED, "this is done in one's own name");
    }
    if (owner_id != NULL && strcmp(owner_id, op->actor.user_id) == 0) {
        return hb_fail(op, HB_E_APPROVAL_FOUR_EYES, "it is your own money");
    }
    return APR_SUCCESS;
}

apr_status_t hb_approval_ask(const char **id, hb_op_t *op, const hb_approval_ask_t *ask)
{
    hb_json_t *doc = hb_json_object_make(op->pool);
    apr_status_t rv = check_actor(op, ask->owner_id);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    hb_json_set_string(doc, "kind", ask->kind);
    hb_json_set_string(doc, "subject", ask->subject);
    if (ask->owner_id != NULL) {
        hb_json_set_string(doc, "ownerId", ask->owner_id);
    }
    hb_json_set_string(doc, "summary", ask->summary);
    hb_json_set_string(doc, "state", OPEN);
    hb_json_set_string(doc, "askedBy", op->actor.user_id);
    hb_json_set_int(doc, "createdAt", hb_time_to_msec(op->now));
    rv = hb_store_insert(NULL, op, HB_C_APPROVALS, doc);
    if (id != NULL) {
        *id = hb_json_string(doc, "_id");
    }
    return rv;
}

apr_status_t hb_approval_withdraw(hb_op_t *op, const char *kind, const char *subject)
{
    const hb_cond_t where[] = { { "subject", HB_IS, HB_STR(subject) },
                                { "state", HB_IS, HB_STR(OPEN) },
                                { "kind", HB_IS, HB_STR(kind) } };
    const hb_edit_t edits[] = { { "state", HB_SET, HB_STR("withdrawn") },
                                { "decidedAt", HB_SET, HB_INT(hb_time_to_msec(op->now)) } };
    const hb_query_t query = { .in = HB_C_APPROVALS, .where = where, .n_where = 3 };

    return hb_store_change_all(NULL, op, &query, edits, 2);
}

typedef struct decision_t {
    const char *id;
    int is_approved;
    const char *note;
    hb_json_t *approval;        /* after it */
} decision_t;

static apr_status_t decide_in_store(hb_op_t *op, void *baton)
{
    decision_t *decision = baton;
    hb_json_t *approval, *details = hb_json_object_make(op->pool);
    const kind_t *kind;
    const char *state;
    apr_status_t rv = hb_id_is_valid(decision->id)
        ? hb_store_get(&approval, op, HB_C_APPROVALS, decision->id) : HB_E_STORE_MISSING;

    if (rv == HB_E_STORE_MISSING) {
        return hb_fail(op, HB_E_APPROVAL_UNKNOWN, NULL);
    }
    if (rv == APR_SUCCESS) {
        rv = check_actor(op, hb_json_string(approval, "ownerId"));
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    state = hb_json_string(approval, "state");
    if (strcmp(state, OPEN) != 0) {
        return hb_fail(op, HB_E_APPROVAL_STATE, "it is %s", state);
    }
    if (strcmp(hb_json_string(approval, "askedBy"), op->actor.user_id) == 0) {
        return hb_fail(op, HB_E_APPROVAL_FOUR_EYES, "you asked for it yourself");
    }
    kind = kind_of(approval);
    if (kind == NULL) {
        return hb_fail(op, HB_E_INTERNAL, NULL);
    }
    hb_json_set_string(approval, "state", decision->is_approved ? "approved" : "refused");
    hb_json_set_string(approval, "decidedBy", op->actor.user_id);
    hb_json_set_int(approval, "decidedAt", hb_time_to_msec(op->now));
    if (decision->note != NULL) {
        hb_json_set_string(approval, "note", decision->note);
        hb_json_set_string(details, "note", decision->note);
    }
    hb_json_set_string(details, "subject", hb_json_string(approval, "subject"));
    hb_json_set_string(details, "kind", kind->name);
    decision->approval = approval;
    rv = hb_store_replace(NULL, op, HB_C_APPROVALS, approval);
    if (rv == APR_SUCCESS) {
        rv = kind->decided(op, approval, decision->is_approved);
    }
    return rv == APR_SUCCESS
        ? hb_audit_add(op, NULL, decision->is_approved ? "approval.approve" : "approval.refuse",
                       decision->id, 1, details) : rv;
}

apr_status_t hb_approval_decide(hb_json_t **view, hb_op_t *op, const char *id, int is_approved,
                                const char *note)
{
    decision_t decision = { id, is_approved, note, NULL };
    apr_status_t rv = hb_store_transact(op, decide_in_store, &decision);
    const kind_t *kind;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    kind = kind_of(decision.approval);
    if (is_approved && kind->go_on != NULL) {
        kind->go_on(op, decision.approval);
    }
    *view = hb_schema_view(op, HB_C_APPROVALS, decision.approval, HB_ALL | HB_STAFF);
    return APR_SUCCESS;
}

apr_status_t hb_approval_list(hb_json_t **list, hb_op_t *op, const char *state, int limit,
                              const char *after)
{
    const hb_cond_t where[] = { { "state", HB_IS, HB_STR(state) } };
    const hb_query_t query = { .in = HB_C_APPROVALS, .where = where, .n_where = 1,
                               .sort = { { "createdAt", 1 } }, .limit = limit,
                               .after = after };

    return hb_store_list(list, op, &query, HB_ALL | HB_STAFF);
}
