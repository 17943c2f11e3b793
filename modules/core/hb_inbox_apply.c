/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Acting on what was proved. The record and what it does to its order are one transaction, so
 * that neither is there without the other.
 *
 * Design 4 wants an event stored before anything is done with it. Here is why one transaction
 * keeps that promise for what a provider sends by itself. What matters of "before" is that no
 * coin ever moves for an event that is not on record, and that no event is lost that the
 * provider takes for delivered. The first holds because both become durable in one commit;
 * the second because the provider hears 2xx after that commit only. Death at any line before it
 * leaves neither the coins nor the record, and a sender without an answer, which sends again (for
 * days). When applying fails, the transaction is undone and the record is written by
 * itself, with the error; the sender hears of the failure too. What is given up is the
 * record of an event whose handling kills the process each time: the error log has those, and the
 * provider still has the event. What is gained is half of all waits for the disk.
 *
 * It would be wrong for a payer's return: nobody repeats that. Those are kept in a
 * commit of their own before the provider is asked; see hb_inbox.c.
 */
#include "hb_inbox_private.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_metrics.h"
#include "hb_time.h"

static const char *const effect_names[] = {
    [HB_ORDER_APPLIED] = "applied",
    [HB_ORDER_ALREADY] = "already",
    [HB_ORDER_WAITS] = "waits",
    [HB_ORDER_FLAGGED] = "flagged",
    [HB_ORDER_IGNORED] = "ignored"
};

#define N_EFFECTS ((int)(sizeof(effect_names) / sizeof(effect_names[0])))

const char *hb_inbox_effect_name(hb_order_effect_e effect)
{
    return effect_names[effect];
}

static hb_order_effect_e effect_read(const char *name)
{
    int i;

    for (i = 0; name != NULL && i < N_EFFECTS; i++) {
        if (strcmp(effect_names[i], name) == 0) {
            return (hb_order_effect_e)i;
        }
    }
    return HB_ORDER_IGNORED;
}

static int is_done(const hb_json_t *record)
{
    const char *state = hb_json_string(record, "state");

    return state != NULL && strcmp(state, "applied") == 0;
}

/* It came again. Written down when the last time is long enough ago to be another delivery. */
static apr_status_t note_repeat(hb_inbox_work_t *work, hb_op_t *op, const hb_json_t *record)
{
    apr_int64_t last = hb_json_int(record, "repeatedAt", hb_json_int(record, "createdAt", 0));
    const hb_edit_t edits[] = {
        { "repeats", HB_INC, HB_INT(1) },
        { "repeatedAt", HB_SET, HB_INT(hb_time_to_msec(op->now)) },
    };
    hb_json_t *after;

    work->is_repeat = 1;
    work->effect = effect_read(hb_json_string(record, "effect"));
    work->note = hb_json_string(record, "note");
    work->order_id = hb_json_string(record, "orderId");
    if (op->now - hb_time_from_msec(last) < HB_INBOX_REPEAT_APART) {
        return APR_SUCCESS;
    }
    return hb_store_change(&after, NULL, op, HB_C_EVENTS, work->id, NULL, 0, edits, 2);
}

/* What is known after the attempt, into the record. */
static void fill_in(hb_inbox_work_t *work, hb_op_t *op, hb_json_t *record)
{
    apr_interval_time_t usec = apr_time_now() - work->started_at;
    const char *before = hb_json_string(record, "effect");

    hb_json_set_string(record, "state", "applied");
    hb_json_set_string(record, "proof", work->proof);
    /* What did it keeps saying so, however often it is tried again. */
    if (before == NULL || strcmp(before, "applied") != 0 || work->effect != HB_ORDER_ALREADY) {
        hb_json_set_string(record, "effect", hb_inbox_effect_name(work->effect));
        if (work->note != NULL) {
            hb_json_set_string(record, "note", work->note);
        }
    }
    if (work->order_id != NULL) {
        hb_json_set_string(record, "orderId", work->order_id);
    }
    if (work->answer != NULL) {
        hb_json_set(record, "answer", work->answer);
        hb_json_set_int(record, "waitUsec", work->wait_usec > 0 ? work->wait_usec : 0);
    }
    hb_json_set_int(record, "applyUsec", usec > 0 ? usec : 0);
    hb_json_set_int(record, "appliedAt", hb_time_to_msec(op->now));
    hb_json_set_int(record, "attempts", hb_json_int(record, "attempts", 0) + 1);
    hb_json_remove(record, "error");
    hb_json_remove(record, "pendingAt");
}

static apr_status_t act(hb_inbox_work_t *work, hb_op_t *op)
{
    apr_status_t rv;

    work->effect = HB_ORDER_IGNORED;
    work->note = work->order_id = NULL;
    if (work->fact->outcome == HB_PAY_UNKNOWN) {
        work->note = "nothing that concerns a payment";
        return APR_SUCCESS;
    }
    rv = hb_order_find(&work->order, op, work->provider->name, work->fact);
    if (rv == HB_E_ORDER_UNKNOWN) {
        work->note = "about no order of ours";
        return APR_SUCCESS;
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    work->order_id = apr_pstrdup(op->pool, work->order.id);
    return hb_order_apply(&work->effect, &work->note, op, &work->order, work->fact,
                          work->proof);
}

static apr_status_t apply_tx(hb_op_t *op, void *baton)
{
    hb_inbox_work_t *work = baton;
    const char *event_id = hb_json_string(work->record, "eventId");
    hb_json_t *record = work->record;
    int is_new = 0;
    apr_status_t rv;

    work->is_repeat = 0;
    if (work->has_record) {
        rv = hb_store_get(&record, op, HB_C_EVENTS, hb_json_string(work->record, "_id"));
    }
    else {
        rv = hb_inbox_find(&record, op, event_id);
        is_new = rv == APR_SUCCESS && record == NULL;
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (is_new) {
        record = work->record;
        hb_json_remove(record, "attempts");     /* the store may have begun again */
    }
    else {
        work->id = hb_json_string(record, "_id");
        if (is_done(record) && !work->again) {
            return note_repeat(work, op, record);
        }
    }
    rv = act(work, op);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    fill_in(work, op, record);
    if (!is_new) {
        return hb_store_replace(NULL, op, HB_C_EVENTS, record);
    }
    rv = hb_store_insert(NULL, op, HB_C_EVENTS, record);
    work->id = hb_json_string(record, "_id");
    /* Looked for before: another writer was quicker, and the store starts again. */
    return rv == HB_E_STORE_DUPLICATE ? HB_E_STORE_CONFLICT : rv;
}

/* --- when it does not work --- */

typedef struct failure_t {
    hb_inbox_work_t *work;
    const char *code;
} failure_t;

static apr_status_t failure_tx(hb_op_t *op, void *baton)
{
    const failure_t *failure = baton;
    hb_json_t *record;
    apr_status_t rv = hb_inbox_find(&record, op,
                                    hb_json_string(failure->work->record, "eventId"));
    int is_new = rv == APR_SUCCESS && record == NULL;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (is_new) {
        record = failure->work->record;
    }
    else if (is_done(record)) {
        return APR_SUCCESS;     /* an earlier delivery did it; this one tried again and failed */
    }
    hb_json_set_string(record, "state", "failed");
    hb_json_set_string(record, "error", failure->code);
    hb_json_set_int(record, "attempts", hb_json_int(record, "attempts", 0) + 1);
    hb_json_set_int(record, "pendingAt", hb_json_int(record, "createdAt", 0));
    if (!is_new) {
        return hb_store_replace(NULL, op, HB_C_EVENTS, record);
    }
    rv = hb_store_insert(NULL, op, HB_C_EVENTS, record);
    return rv == HB_E_STORE_DUPLICATE ? HB_E_STORE_CONFLICT : rv;
}

/* Can anything be written at all? Else the attempt to write the failure only takes time. */
static int is_store_trouble(apr_status_t rv)
{
    return rv == HB_E_STORE_DOWN || rv == HB_E_STORE_READONLY || rv == HB_E_STORE_CONFLICT;
}

static void keep_failed(hb_inbox_work_t *work, hb_op_t *op, apr_status_t why)
{
    failure_t failure = { work, hb_error_row(why)->code };
    const hb_problem_t problem = op->problem;
    apr_status_t rv = APR_SUCCESS;

    hb_metric_add(op->site->metrics, HB_M_HOOKS_FAILED, 1);
    if (!is_store_trouble(why)) {
        rv = hb_store_transact(op, failure_tx, &failure);
        op->problem = problem;  /* the caller hears the first one */
    }
    hb_log(op, HB_LOG_ERR, why, HBLOGNO(00463) "event %s could not be acted on%s",
           hb_json_string(work->record, "eventId"),
           is_store_trouble(why) || rv != APR_SUCCESS ? ", nor kept: the provider has to send "
           "it again" : "; it is kept, see halobuzzctl events list --pending");
}

apr_status_t hb_inbox_apply(hb_inbox_work_t *work, hb_op_t *op)
{
    apr_status_t rv;

    work->started_at = apr_time_now();
    rv = hb_store_transact(op, apply_tx, work);
    if (rv != APR_SUCCESS) {
        work->id = NULL;
        keep_failed(work, op, rv);
        return rv;
    }
    if (work->is_repeat) {
        hb_metric_add(op->site->metrics, HB_M_HOOKS_REPEATED, 1);
        return APR_SUCCESS;
    }
    hb_metric_add(op->site->metrics, work->effect == HB_ORDER_FLAGGED
                  ? HB_M_HOOKS_FLAGGED : HB_M_HOOKS_APPLIED, 1);
    if (work->order_id != NULL) {
        hb_order_applied(op, &work->order, work->effect);
    }
    if (work->effect == HB_ORDER_FLAGGED) {
        hb_log(op, HB_LOG_WARNING, 0, HBLOGNO(00464) "event %s does not fit order %s: %s",
               work->id, work->order_id, work->note != NULL ? work->note : "");
    }
    return APR_SUCCESS;
}

void hb_inbox_note_failure(hb_op_t *op, const char *id, const char *state, apr_status_t why)
{
    const hb_edit_t edits[] = {
        { "state", HB_SET, HB_STR(state) },
        { "error", HB_SET, HB_STR(hb_error_row(why)->code) },
        { "attempts", HB_INC, HB_INT(1) },
        { "appliedAt", HB_SET, HB_INT(hb_time_to_msec(op->now)) },
    };
    const hb_problem_t problem = op->problem;
    hb_json_t *after;

    /* What was read of it stands as it was when this fails: it is still to be done. */
    hb_store_change(&after, NULL, op, HB_C_EVENTS, id, NULL, 0, edits, 4);
    op->problem = problem;
}
