/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Telling the rooms. A record's phase says what they were told: "waiting" nothing yet, "started",
 * "ended". The clock takes it forward only, so two hosts whose clocks differ tell of each turn
 * once; an edit may take it back. Nobody decides by the phase whether a festival is on.
 */
#include "hb_festival.h"
#include "hb_festival_private.h"

#include <string.h>

#include "hb_bus.h"
#include "hb_notice.h"
#include "hb_schema.h"
#include "hb_store.h"
#include "hb_time.h"

#define PAGE 200

static int is_phase(const hb_json_t *doc, const char *phase)
{
    const char *is = hb_json_string(doc, "phase");

    return is != NULL && strcmp(is, phase) == 0;
}

static hb_json_t *public_of(const hb_json_t *doc, hb_op_t *op)
{
    return hb_schema_view(op, HB_C_FESTIVALS, doc, HB_ALL);
}

static void tell_ended(const hb_json_t *doc, hb_op_t *op)
{
    hb_bus_publish(op, HB_EV_FESTIVAL_ENDED, "", public_of(doc, op));
}

/* The list of notices keeps it for who is in no room now. */
static apr_status_t tell_all(const hb_json_t *doc, hb_op_t *op)
{
    hb_json_t *values = hb_json_object_make(op->pool);

    hb_json_set_string(values, "name", hb_json_string(doc, "name"));
    hb_json_set_int(values, "endsAt", hb_json_int(doc, "endsAt", 0));
    return hb_notice_announce(op, HB_N_FESTIVAL_STARTED, values, 0);
}

apr_status_t hb_festival_turn(hb_json_t *doc, hb_op_t *op, int is_edited)
{
    int is_on = hb_festival_is_on(doc, op->now), was_on = is_phase(doc, "started");
    int is_over = hb_json_int(doc, "endsAt", 0) <= hb_time_to_msec(op->now);

    if (is_on && (is_edited || is_phase(doc, "waiting"))) {
        hb_json_set_string(doc, "phase", "started");
        hb_bus_publish(op, HB_EV_FESTIVAL_STARTED, "", public_of(doc, op));
        return was_on ? APR_SUCCESS : tell_all(doc, op);
    }
    else if (!is_on && was_on && (is_edited || is_over)) {
        hb_json_set_string(doc, "phase", is_over ? "ended" : "waiting");
        tell_ended(doc, op);
    }
    else if (!is_on && is_edited) {
        hb_json_set_string(doc, "phase", is_over ? "ended" : "waiting");
    }
    return APR_SUCCESS;
}

void hb_festival_turn_off(const hb_json_t *doc, hb_op_t *op)
{
    if (is_phase(doc, "started")) {
        tell_ended(doc, op);
    }
}

/* --- jobs --- */

typedef struct turn_t {
    const char *id;
    int reckons_anew;           /* the window, too */
    int did_turn, did_move;
} turn_t;

static apr_status_t turn_tx(hb_op_t *op, void *baton)
{
    turn_t *turn = baton;
    hb_json_t *doc, *before;
    apr_status_t rv = hb_store_get(&doc, op, HB_C_FESTIVALS, turn->id);

    turn->did_turn = turn->did_move = 0;
    if (rv != APR_SUCCESS) {
        return rv == HB_E_STORE_MISSING ? APR_SUCCESS : rv;     /* removed meanwhile */
    }
    before = hb_json_copy(doc, op->pool);
    if (turn->reckons_anew) {
        rv = hb_festival_set_window(doc, op);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    turn->did_move = hb_json_int(doc, "startsAt", 0) != hb_json_int(before, "startsAt", 0)
        || hb_json_int(doc, "endsAt", 0) != hb_json_int(before, "endsAt", 0);
    rv = hb_festival_turn(doc, op, 0);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    turn->did_turn = !is_phase(before, hb_json_string(doc, "phase"));
    return turn->did_move || turn->did_turn
        ? hb_store_replace(NULL, op, HB_C_FESTIVALS, doc) : APR_SUCCESS;
}

typedef struct round_t {
    hb_op_t *op;
    const hb_job_run_t *run;
    int reckons_anew;
    apr_int64_t n, n_turned, n_moved;
} round_t;

/* One that fails (its zone's file is gone) does not keep the others from their turn. */
static apr_status_t turn_one(round_t *round, const hb_json_t *doc)
{
    turn_t turn = { .id = hb_json_string(doc, "_id"), .reckons_anew = round->reckons_anew };
    apr_status_t rv = hb_store_transact(round->op, turn_tx, &turn);

    if (rv == HB_E_INPUT_INVALID) {
        hb_log(round->op, HB_LOG_WARNING, rv, HBLOGNO(00498) "festival %s keeps its window: %s",
               turn.id, round->op->problem.fields[0].detail);
        hb_op_recover(round->op);
        rv = APR_SUCCESS;
    }
    if (rv == APR_SUCCESS && turn.did_move) {
        hb_log(round->op, HB_LOG_NOTICE, 0, HBLOGNO(00499) "festival %s has another window, because "
               "the rules of zone %s changed", turn.id, hb_json_string(doc, "zone"));
    }
    round->n_turned += turn.did_turn;
    round->n_moved += turn.did_move;
    return rv == APR_SUCCESS ? hb_job_alive(round->op, round->run, ++round->n, 0) : rv;
}

/* Those that are on by their phase: only these may have to end. */
static apr_status_t find_started(hb_json_t **items, hb_op_t *op)
{
    const hb_cond_t where[] = { { "phase", HB_IS, HB_STR("started") } };
    hb_query_t query = { .in = HB_C_FESTIVALS, .where = where, .n_where = 1, .limit = PAGE };
    apr_status_t rv;
    hb_page_t page;
    int i;

    *items = hb_json_array_make(op->pool);
    do {
        rv = hb_store_find(&page, op, &query);
        for (i = 0; rv == APR_SUCCESS && i < page.n_items; i++) {
            hb_json_push(*items, page.items[i]);
        }
        query.after = rv == APR_SUCCESS ? page.next : NULL;
    } while (query.after != NULL);
    return rv;
}

static apr_status_t turn_all(hb_op_t *op, const hb_job_run_t *run, int reckons_anew)
{
    round_t round = { .op = op, .run = run, .reckons_anew = reckons_anew };
    hb_json_t *started, *open;
    apr_status_t rv = find_started(&started, op);
    int i;

    if (rv == APR_SUCCESS) {
        rv = hb_festival_open(&open, op, reckons_anew ? APR_INT64_MAX : hb_time_to_msec(op->now));
    }
    for (i = 0; rv == APR_SUCCESS && i < hb_json_length(started); i++) {
        const hb_json_t *doc = hb_json_item(started, i);

        if (!hb_festival_is_on(doc, op->now)) {
            rv = turn_one(&round, doc);
        }
    }
    for (i = 0; rv == APR_SUCCESS && i < hb_json_length(open); i++) {
        const hb_json_t *doc = hb_json_item(open, i);

        if (reckons_anew || is_phase(doc, "waiting")) {
            rv = turn_one(&round, doc);
        }
    }
    if (round.n_turned + round.n_moved > 0) {
        hb_festival_changed(op);
    }
    hb_job_say(run, "%" APR_INT64_T_FMT " festivals began or ended, %" APR_INT64_T_FMT
               " have another window", round.n_turned, round.n_moved);
    return rv;
}

apr_status_t hb_festival_check_all(hb_op_t *op, const hb_job_run_t *run)
{
    return turn_all(op, run, 1);
}

apr_status_t hb_festival_turn_all(hb_op_t *op, const hb_job_run_t *run)
{
    return turn_all(op, run, 0);
}
