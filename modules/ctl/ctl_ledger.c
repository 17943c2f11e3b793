/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger for finance: its proof, balances, statements, what is in circulation. */
#include "ctl.h"

#include <stdio.h>

#include "hb_ledger.h"
#include "hb_time.h"

#define FINDINGS_SHOWN 100

typedef struct seen_t {
    ctl_t *ctl;
    hb_json_t *findings;
} seen_t;

static int report(void *baton, const char *what, apr_int64_t done, apr_int64_t total)
{
    seen_t *seen = baton;

    if (done >= 0) {
        ctl_progress(seen->ctl, what, done, total);
    }
    else if (hb_json_length(seen->findings) < FINDINGS_SHOWN) {
        hb_json_push_string(seen->findings, what);
        if (!seen->ctl->wants_json) {
            ctl_mark(seen->ctl, CTL_BAD, "%s", what);
        }
    }
    return 0;
}

static void proof_json(ctl_t *ctl, const hb_ledger_proof_t *proof, hb_json_t *findings)
{
    hb_json_t *json = hb_json_object_make(ctl->pool);

    hb_json_set_bool(json, "clean", proof->findings == 0);
    hb_json_set_int(json, "entries", proof->entries);
    hb_json_set_int(json, "accounts", proof->accounts);
    hb_json_set_int(json, "users", proof->users);
    hb_json_set_string(json, "root", proof->root);
    hb_json_set_int(json, "sumCoin", proof->sum_coin);
    hb_json_set_int(json, "sumBonus", proof->sum_bonus);
    hb_json_set_int(json, "wrong", proof->findings);
    hb_json_set_string(json, "firstWrong", proof->first_wrong);
    hb_json_set(json, "findings", findings);
    ctl_json(ctl, json);
}

int ctl_ledger_verify(ctl_t *ctl, int argc, const char *const *argv)
{
    seen_t seen = { ctl, hb_json_array_make(ctl->pool) };
    hb_ledger_proof_t proof;
    hb_op_t *op;
    apr_status_t rv;
    int rc = ctl_begin(&op, ctl, argc, argv, NULL, NULL, 0, 0);

    if (rc != CTL_OK) {
        return rc;
    }
    rv = hb_ledger_verify(&proof, op, report, &seen);
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    ctl_progress(ctl, "entries", proof.entries, proof.entries);
    if (ctl->wants_json) {
        proof_json(ctl, &proof, seen.findings);
    }
    else if (proof.findings == 0) {
        ctl_mark(ctl, CTL_GOOD, "%" APR_INT64_T_FMT " entries, %" APR_INT64_T_FMT
                 " accounts and %" APR_INT64_T_FMT " users agree; all sums are 0",
                 proof.entries, proof.accounts, proof.users);
        ctl_say(ctl, "root %s", proof.root != NULL ? proof.root : "none: there are no entries");
    }
    else {
        ctl_fail(ctl, "%" APR_INT64_T_FMT " findings; the first wrong entry is %s",
                 proof.findings, proof.first_wrong != NULL ? proof.first_wrong : "none of them");
    }
    return proof.findings == 0 ? CTL_OK : CTL_FAILED;
}

/* The account of the first argument, checked before the store is opened. */
static int open_account(hb_op_t **op, ctl_t *ctl, const char *account)
{
    const char *why = hb_ledger_account_check(account);

    return why != NULL ? ctl_misuse(ctl, "%s", why) : ctl_site(op, ctl);
}

int ctl_ledger_balance(ctl_t *ctl, int argc, const char *const *argv)
{
    const char *at = NULL, *args[2];
    const ctl_option_t options[] = { { "at", &at, NULL }, { NULL, NULL, NULL } };
    apr_int64_t coins;
    apr_time_t when = 0;
    hb_op_t *op;
    apr_status_t rv;
    int rc = ctl_options(ctl, argc, argv, options, args, 1, 1);

    if (rc == CTL_OK && at != NULL && !hb_time_read(&when, at)) {
        rc = ctl_misuse(ctl, "--at takes a time such as 2026-07-01T09:30:00Z");
    }
    if (rc == CTL_OK) {
        rc = open_account(&op, ctl, args[0]);
    }
    if (rc != CTL_OK) {
        return rc;
    }
    rv = at != NULL ? hb_ledger_balance_at(&coins, op, args[0], when)
                    : hb_ledger_balance(&coins, op, args[0]);
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    if (ctl->wants_json) {
        hb_json_t *json = hb_json_object_make(ctl->pool);

        hb_json_set_string(json, "account", args[0]);
        hb_json_set_int(json, "balance", coins);
        ctl_json(ctl, json);
    }
    else {
        ctl_say(ctl, "%" APR_INT64_T_FMT, coins);
    }
    return CTL_OK;
}

static void print_lines(ctl_t *ctl, const hb_statement_line_t *lines, int n, const char *next)
{
    hb_json_t *json = hb_json_object_make(ctl->pool);
    hb_json_t *items = hb_json_array_make(ctl->pool);
    int i;

    for (i = 0; i < n; i++) {
        hb_json_t *item = hb_json_object_make(ctl->pool);

        if (!ctl->wants_json) {
            ctl_say(ctl, "%s  %s  %-20s %14" APR_INT64_T_FMT " %14" APR_INT64_T_FMT "  %s%s%s",
                    hb_time_text(ctl->pool, lines[i].posted_at), lines[i].entry_id,
                    lines[i].kind, lines[i].coins, lines[i].balance,
                    lines[i].reference != NULL ? lines[i].reference : "",
                    lines[i].reason != NULL ? " " : "",
                    lines[i].reason != NULL ? lines[i].reason : "");
            continue;
        }
        hb_json_set_string(item, "id", lines[i].entry_id);
        hb_json_set_string(item, "type", lines[i].kind);
        hb_json_set_string(item, "reference", lines[i].reference);
        hb_json_set_string(item, "reason", lines[i].reason);
        hb_json_set_int(item, "coins", lines[i].coins);
        hb_json_set_int(item, "balance", lines[i].balance);
        hb_json_set_time(item, "createdAt", lines[i].posted_at);
        hb_json_push(items, item);
    }
    if (ctl->wants_json) {
        hb_json_set(json, "items", items);
        hb_json_set_string(json, "next", next);
        ctl_json(ctl, json);
    }
    else if (next != NULL) {
        ctl_say(ctl, "more: --after %s", next);
    }
}

int ctl_ledger_statement(ctl_t *ctl, int argc, const char *const *argv)
{
    const char *after = NULL, *args[2], *next;
    int limit = 100;
    const ctl_option_t options[] = {
        { "limit", .limit = &limit },
        { "after", &after, NULL },
        { NULL, NULL, NULL }
    };
    const hb_statement_line_t *lines;
    hb_op_t *op;
    apr_status_t rv;
    int n, rc = ctl_options(ctl, argc, argv, options, args, 1, 1);

    if (rc == CTL_OK) {
        rc = open_account(&op, ctl, args[0]);
    }
    if (rc != CTL_OK) {
        return rc;
    }
    rv = hb_ledger_statement(&lines, &n, &next, op, args[0], limit, after);
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    print_lines(ctl, lines, n, next);
    return CTL_OK;
}

static void print_sums(ctl_t *ctl, const hb_json_t *all, const char *currency)
{
    const hb_json_t *sums = hb_json_get(all, currency);

    ctl_say(ctl, "%-22s %-6s %14" APR_INT64_T_FMT " %14" APR_INT64_T_FMT "   circulation %"
            APR_INT64_T_FMT ", revenue %" APR_INT64_T_FMT, "all", currency,
            hb_json_int(sums, "minted", 0), hb_json_int(sums, "burned", 0),
            hb_json_int(sums, "circulation", 0), hb_json_int(sums, "revenue", 0));
}

int ctl_ledger_circulation(ctl_t *ctl, int argc, const char *const *argv)
{
    const hb_json_t *kinds;
    hb_json_t *all;
    hb_op_t *op;
    apr_status_t rv;
    int i, rc = ctl_begin(&op, ctl, argc, argv, NULL, NULL, 0, 0);

    if (rc != CTL_OK) {
        return rc;
    }
    rv = hb_ledger_circulation(&all, op);
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    if (ctl->wants_json) {
        ctl_json(ctl, all);
        return CTL_OK;
    }
    ctl_say(ctl, "%-22s %-6s %14s %14s", "", "", "minted", "burned");
    kinds = hb_json_get(all, "kinds");
    for (i = 0; i < hb_json_length(kinds); i++) {
        const hb_json_t *row = hb_json_item(kinds, i);

        ctl_say(ctl, "%-22s %-6s %14" APR_INT64_T_FMT " %14" APR_INT64_T_FMT,
                hb_json_string(row, "kind"), hb_json_string(row, "currency"),
                hb_json_int(row, "minted", 0), hb_json_int(row, "burned", 0));
    }
    print_sums(ctl, all, "coin");
    print_sums(ctl, all, "bonus");
    return CTL_OK;
}
