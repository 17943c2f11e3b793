/* SPDX-License-Identifier: Apache-2.0 */
/* Purses as a user sees them. Every figure comes from the ledger's accounts. */
#include "hb_wallet.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_audit.h"
#include "hb_csv.h"
#include "hb_debt.h"
#include "hb_idem.h"
#include "hb_ledger.h"
#include "hb_store.h"
#include "hb_time.h"
#include "hb_user.h"

#define PAGE 1000
#define MSEC_PER_DAY APR_INT64_C(86400000)

static const char *purse_account(hb_op_t *op, const char *user_id, const char *purse)
{
    if (strcmp(purse, "bonus") == 0) {
        return hb_account_bonus(op, user_id);
    }
    return strcmp(purse, "earned") == 0 ? hb_account_earned(op, user_id)
                                        : hb_account_user(op, user_id);
}

/* --- showing --- */

apr_status_t hb_wallet_show(hb_json_t **wallet, hb_op_t *op, const char *user_id)
{
    const char *const names[] = {
        hb_account_user(op, user_id), hb_account_bonus(op, user_id),
        hb_account_earned(op, user_id), hb_account_debt(op, user_id),
        hb_account_held(op, hb_account_user(op, user_id)),
        hb_account_held(op, hb_account_bonus(op, user_id)),
        hb_account_held(op, hb_account_earned(op, user_id)),
    };
    apr_int64_t coins[7];
    hb_json_t *user;
    apr_status_t rv = hb_user_load(&user, op, user_id);
    int i;

    for (i = 0; i < 7 && rv == APR_SUCCESS; i++) {
        rv = hb_ledger_balance(&coins[i], op, names[i]);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    *wallet = hb_json_object_make(op->pool);
    hb_json_set_int(*wallet, "balance", coins[0]);
    hb_json_set_int(*wallet, "bonusBalance", coins[1]);
    hb_json_set_int(*wallet, "earned", coins[2]);
    hb_json_set_int(*wallet, "held", coins[4] + coins[5] + coins[6]);
    hb_json_set_int(*wallet, "debt", -coins[3]);
    hb_json_set_int(*wallet, "totalEarned",
                    hb_json_int_value(hb_json_at(user, "coins.totalEarned"), 0));
    hb_json_set_int(*wallet, "totalSpent",
                    hb_json_int_value(hb_json_at(user, "coins.totalSpent"), 0));
    return APR_SUCCESS;
}

static hb_json_t *line_json(hb_op_t *op, const hb_statement_line_t *line)
{
    hb_json_t *json = hb_json_object_make(op->pool);

    hb_json_set_string(json, "id", line->entry_id);
    hb_json_set_string(json, "type", line->kind);
    hb_json_set_int(json, "coins", line->coins);
    hb_json_set_int(json, "balance", line->balance);
    hb_json_set_string(json, "reference", line->reference);
    hb_json_set_string(json, "reason", line->reason);
    hb_json_set_time(json, "createdAt", line->posted_at);
    return json;
}

apr_status_t hb_wallet_list(hb_json_t **list, hb_op_t *op, const char *user_id,
                            const char *purse, int limit, const char *after)
{
    const hb_statement_line_t *lines;
    hb_json_t *items = hb_json_array_make(op->pool);
    const char *next;
    apr_status_t rv;
    int i, n;

    rv = hb_ledger_statement(&lines, &n, &next, op, purse_account(op, user_id, purse), limit,
                             after);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    for (i = 0; i < n; i++) {
        hb_json_push(items, line_json(op, &lines[i]));
    }
    *list = hb_page_json(op, items, next);
    return APR_SUCCESS;
}

/* --- CSV --- */

static const char *csv_line(apr_pool_t *pool, const hb_statement_line_t *line)
{
    return apr_psprintf(pool, "%s,%s,%s,%s,%s,%" APR_INT64_T_FMT ",%" APR_INT64_T_FMT "\r\n",
                        hb_time_text(pool, line->posted_at), line->entry_id,
                        hb_csv_text(pool, line->kind), hb_csv_text(pool, line->reference),
                        hb_csv_text(pool, line->reason), line->coins, line->balance);
}

/* Midnight at which a day starts. */
static apr_time_t day_start(hb_op_t *op, const char *day)
{
    apr_time_t when = 0;

    hb_time_read(&when, apr_pstrcat(op->pool, day, "T00:00:00Z", NULL));
    return when;
}

typedef struct range_t {
    apr_time_t from, until;         /* until: not itself */
    const char **texts;             /* newest first */
    apr_size_t *lens;
    int n;
} range_t;

/* Take what lies in the range. Gives 1 when the walk is behind its start. */
static apr_status_t take_lines(int *is_over, range_t *range, hb_op_t *op, apr_pool_t *pool,
                               const hb_statement_line_t *lines, int n)
{
    int i;

    for (i = 0; i < n; i++) {
        if (lines[i].posted_at < range->from) {
            *is_over = 1;
            return APR_SUCCESS;
        }
        if (lines[i].posted_at >= range->until) {
            continue;
        }
        if (range->n == HB_STATEMENT_LINES_MAX) {
            return hb_fail_field(op, "from", "range", "more than %d lines; ask for fewer days",
                                 HB_STATEMENT_LINES_MAX);
        }
        range->texts[range->n] = csv_line(pool, &lines[i]);
        range->lens[range->n] = strlen(range->texts[range->n]);
        range->n++;
    }
    return APR_SUCCESS;
}

apr_status_t hb_wallet_csv(const char **csv, apr_size_t *len, hb_op_t *op, const char *user_id,
                           const char *purse, const char *from, const char *to)
{
    static const char head[] = "time,entry,type,reference,reason,coins,balance\r\n";
    const char *account = purse_account(op, user_id, purse);
    range_t range = { 0, APR_INT64_MAX,
                      apr_palloc(op->pool, HB_STATEMENT_LINES_MAX * sizeof(char *)),
                      apr_palloc(op->pool, HB_STATEMENT_LINES_MAX * sizeof(apr_size_t)), 0 };
    hb_op_t walker = *op;       /* records read on the way are dropped page by page */
    const hb_statement_line_t *lines;
    const char *next = NULL;
    char cursor[HB_ID_LENGTH + 1];
    apr_status_t rv;
    char *out;
    int n, i, is_over = 0;

    if (from != NULL) {
        range.from = day_start(op, from);
    }
    if (to != NULL) {
        range.until = day_start(op, to) + MSEC_PER_DAY * 1000;
    }
    apr_pool_create(&walker.pool, op->pool);
    do {
        rv = hb_ledger_statement(&lines, &n, &next, &walker, account, PAGE, next);
        if (rv == APR_SUCCESS) {
            rv = take_lines(&is_over, &range, op, op->pool, lines, n);
        }
        if (next != NULL) {
            apr_cpystrn(cursor, next, sizeof(cursor));
            next = cursor;
        }
        apr_pool_clear(walker.pool);
    } while (rv == APR_SUCCESS && next != NULL && !is_over);
    apr_pool_destroy(walker.pool);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    *len = sizeof(head) - 1;
    for (i = 0; i < range.n; i++) {
        *len += range.lens[i];
    }
    *csv = out = apr_palloc(op->pool, *len + 1);
    memcpy(out, head, sizeof(head) - 1);
    out += sizeof(head) - 1;
    for (i = range.n - 1; i >= 0; i--) {
        memcpy(out, range.texts[i], range.lens[i]);
        out += range.lens[i];
    }
    *out = '\0';
    return APR_SUCCESS;
}

/* --- corrections --- */

static apr_status_t add_sides(hb_entry_t *entry, const char *account, const char *mint,
                              hb_currency_e currency, apr_int64_t coins)
{
    apr_status_t rv = hb_entry_add(entry, account, currency, coins);

    return rv == APR_SUCCESS ? hb_entry_add(entry, mint, currency, -coins) : rv;
}

static apr_status_t adjust_in_store(hb_json_t **answer, hb_op_t *op, void *baton)
{
    hb_json_t *input = baton;
    const char *user_id = hb_json_string(input, "userId");
    const char *event = hb_idem_event(op, "adjustment");
    hb_entry_t entry = { .kind = "adjustment", .user_id = user_id,
                         .reason = hb_json_string(input, "reason"),
                         .metadata = hb_json_object_make(op->pool) };
    apr_int64_t coins, bonus;
    const char *id;
    apr_status_t rv;

    entry.key = event != NULL ? event
        : apr_pstrcat(op->pool, "adjustment:", hb_id_make(op), NULL);
    hb_json_set_string(entry.metadata, "by", op->actor.user_id);
    rv = add_sides(&entry, hb_account_user(op, user_id), HB_ACCOUNT_MINT, HB_COIN,
                   hb_json_int(input, "coins", 0));
    if (rv == APR_SUCCESS) {
        rv = add_sides(&entry, hb_account_bonus(op, user_id), HB_ACCOUNT_BONUS_MINT, HB_BONUS,
                       hb_json_int(input, "bonus", 0));
    }
    if (rv == APR_SUCCESS) {
        rv = hb_ledger_post(&id, op, &entry);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_debt_settle(op, user_id, entry.key);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_audit_add(op, NULL, "ledger.adjustment", user_id, 1, input);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_ledger_balance(&coins, op, hb_account_user(op, user_id));
    }
    if (rv == APR_SUCCESS) {
        rv = hb_ledger_balance(&bonus, op, hb_account_bonus(op, user_id));
    }
    if (rv == APR_SUCCESS) {
        *answer = hb_json_object_make(op->pool);
        hb_json_set_string(*answer, "id", id);
        hb_json_set_string(*answer, "userId", user_id);
        hb_json_set_int(*answer, "balance", coins);
        hb_json_set_int(*answer, "bonusBalance", bonus);
    }
    return rv;
}

apr_status_t hb_wallet_adjust(hb_json_t **answer, hb_op_t *op, const hb_json_t *input)
{
    const char *user_id = hb_json_string(input, "userId");
    apr_status_t rv;

    if (hb_json_int(input, "coins", 0) == 0 && hb_json_int(input, "bonus", 0) == 0) {
        return hb_fail_field(op, "coins", "required", "coins or bonus, other than 0");
    }
    if (op->actor.user_id != NULL && strcmp(user_id, op->actor.user_id) == 0) {
        return hb_fail(op, HB_E_APPROVAL_FOUR_EYES, "it is your own money");
    }
    rv = hb_idem_transact(answer, op, "adjustment", input, adjust_in_store,
                          hb_json_copy(input, op->pool));
    if (rv == APR_SUCCESS) {
        hb_user_changed(op, user_id);
    }
    return rv;
}
