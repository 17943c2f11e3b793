/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger: what is written, what is refused, and that nothing of a refused entry stays. */
#include "hb_ledger.h"

#include <stdio.h>
#include <string.h>

#include <apr_strings.h>

#include "hb_ledger_private.h"
#include "hb_test.h"
#include "hb_test_people.h"

static hb_test_site_t *ts;
static hb_test_person_t *maya, *noor;

static void open_site(void)
{
    ts = hb_test_site_make(hb_test_pool);
    hb_test_site_open(ts);
    maya = hb_test_person(ts, "maya");
    noor = hb_test_person(ts, "noor");
}

/* One entry in a transaction of its own. */
typedef struct post_t {
    hb_entry_t entry;
    const char *id;
    const char *undo;           /* id of an entry to reverse instead */
} post_t;

static apr_status_t post_in_store(hb_op_t *op, void *baton)
{
    post_t *post = baton;

    if (post->undo != NULL) {
        return hb_ledger_reverse(&post->id, op, post->undo, "a mistake");
    }
    return hb_ledger_post(&post->id, op, &post->entry);
}

static apr_status_t run(post_t *post)
{
    return hb_store_transact(hb_test_site_op(ts), post_in_store, post);
}

/* "mint", "user:m", "earned:n" ... stand for real names; m is maya, n is noor. */
static const char *account(const char *text)
{
    hb_op_t *op = hb_test_site_op(ts);
    const char *colon = strchr(text, ':');
    const char *id;

    if (colon == NULL || strncmp(text, "platform:", 9) == 0) {
        return text;
    }
    id = colon[1] == 'm' ? maya->id : colon[1] == 'n' ? noor->id : "0123456789abcdef01234567";
    if (strncmp(text, "bonus:", 6) == 0) {
        return hb_account_bonus(op, id);
    }
    if (strncmp(text, "earned:", 7) == 0) {
        return hb_account_earned(op, id);
    }
    if (strncmp(text, "debt:", 5) == 0) {
        return hb_account_debt(op, id);
    }
    if (strncmp(text, "held:", 5) == 0) {
        return hb_account_held(op, hb_account_earned(op, id));
    }
    return hb_account_user(op, id);
}

static void fill(post_t *post, const char *kind, const char *key, const char *from,
                 const char *to, hb_currency_e currency, apr_int64_t coins)
{
    memset(post, 0, sizeof(*post));
    post->entry.kind = kind;
    post->entry.key = key;
    post->entry.reason = "a test";
    post->entry.user_id = maya->id;
    ck_assert_int_eq(hb_entry_add(&post->entry, account(from), currency, -coins), APR_SUCCESS);
    ck_assert_int_eq(hb_entry_add(&post->entry, account(to), currency, coins), APR_SUCCESS);
}

static apr_status_t move(const char *kind, const char *key, const char *from, const char *to,
                         hb_currency_e currency, apr_int64_t coins)
{
    post_t post;

    fill(&post, kind, key, from, to, currency, coins);
    return run(&post);
}

static void give(const char *whom, apr_int64_t coins)
{
    static int n;

    ck_assert_int_eq(move("purchase", apr_psprintf(hb_test_pool, "give:%d", n++),
                          HB_ACCOUNT_MINT, whom, HB_COIN, coins), APR_SUCCESS);
}

static apr_int64_t balance(const char *text)
{
    apr_int64_t coins;

    ck_assert_int_eq(hb_ledger_balance(&coins, hb_test_site_op(ts), account(text)),
                     APR_SUCCESS);
    return coins;
}

static apr_int64_t shown(const hb_test_person_t *person, const char *field)
{
    hb_json_t *user;

    ck_assert_int_eq(hb_store_get(&user, hb_test_site_op(ts), HB_C_USERS, person->id),
                     APR_SUCCESS);
    return hb_json_int_value(hb_json_at(user, field), -1);
}

static apr_int64_t n_entries(void)
{
    hb_query_t query = { HB_C_TRANSACTIONS, NULL, 0 };
    apr_int64_t n;

    ck_assert_int_eq(hb_store_count(&n, hb_test_site_op(ts), &query), APR_SUCCESS);
    return n;
}

static int print_finding(void *baton, const char *what, apr_int64_t done, apr_int64_t total)
{
    (void)baton;
    (void)total;
    if (done < 0) {
        printf("finding: %s\n", what);
    }
    return 0;
}

static void is_clean(void)
{
    hb_ledger_proof_t proof;

    ck_assert_int_eq(hb_ledger_verify(&proof, hb_test_site_op(ts), print_finding, NULL),
                     APR_SUCCESS);
    ck_assert_msg(proof.findings == 0, "%s", proof.what);
    ck_assert_int_eq(proof.entries, n_entries());
    ck_assert_int_eq(proof.sum_coin, 0);
    ck_assert_int_eq(proof.sum_bonus, 0);
}

START_TEST(a_gift_moves_and_shows)
{
    post_t post;

    open_site();
    give("user:m", 100);
    fill(&post, "gift", "gift:1", "user:m", "earned:n", HB_COIN, 30);
    ck_assert_int_eq(hb_entry_add(&post.entry, account("user:m"), HB_COIN, -30), APR_SUCCESS);
    ck_assert_int_eq(hb_entry_add(&post.entry, HB_ACCOUNT_REVENUE, HB_COIN, 30), APR_SUCCESS);
    ck_assert_int_eq(post.entry.n_postings, 3);
    ck_assert_int_eq(run(&post), APR_SUCCESS);
    ck_assert_int_eq(balance("user:m"), 40);
    ck_assert_int_eq(balance("earned:n"), 30);
    ck_assert_int_eq(balance(HB_ACCOUNT_REVENUE), 30);
    ck_assert_int_eq(balance(HB_ACCOUNT_MINT), -100);
    ck_assert_int_eq(shown(maya, "coins.balance"), 40);
    ck_assert_int_eq(shown(maya, "coins.totalSpent"), 60);
    ck_assert_int_eq(shown(maya, "coins.totalEarned"), 0);
    ck_assert_int_eq(shown(noor, "coins.balance"), 0);
    ck_assert_int_eq(shown(noor, "coins.totalEarned"), 30);
    is_clean();
}
END_TEST

static const struct {
    const char *label;
    const char *kind, *from, *to;
    hb_currency_e currency;
    apr_int64_t coins;
    apr_status_t rv;
} refusals[] = {
    { "more than there is", "gift", "user:m", "earned:n", HB_COIN, 101, HB_E_WALLET_SHORT },
    { "an empty purse", "gift", "user:n", "earned:m", HB_COIN, 1, HB_E_WALLET_SHORT },
    { "an unknown kind", "theft", "user:m", "earned:n", HB_COIN, 1, HB_E_LEDGER_KIND },
    { "a reversal by hand", "reversal:gift", "earned:n", "user:m", HB_COIN, 1, HB_E_LEDGER_KIND },
    { "bonus in a gift", "gift", "bonus:m", "earned:n", HB_BONUS, 1, HB_E_LEDGER_KIND },
    { "bonus as coins in a gift", "gift", "bonus:m", "earned:n", HB_COIN, 1, HB_E_LEDGER_KIND },
    { "bonus in a payout", "payout", "bonus:m", HB_ACCOUNT_BONUS_MINT, HB_BONUS, 1, HB_E_LEDGER_KIND },
    { "bonus to another user", "adjustment", "bonus:m", "bonus:n", HB_BONUS, 1, HB_E_LEDGER_KIND },
    { "bought coins in a payout", "payout", "user:m", HB_ACCOUNT_MINT, HB_COIN, 1, HB_E_LEDGER_KIND },
    { "a gift to a purse", "gift", "user:m", "user:n", HB_COIN, 1, HB_E_LEDGER_KIND },
    { "a gift backwards", "gift", "user:m", "earned:n", HB_COIN, -1, HB_E_LEDGER_KIND },
    { "a purse nobody knows", "gift", "purse", "earned:n", HB_COIN, 1, HB_E_LEDGER_KIND },
    { "held with another", "hold", "earned:n", "held:m", HB_COIN, 1, HB_E_LEDGER_KIND },
    { "more than is owed", "debt", "user:m", "debt:m", HB_COIN, 1, HB_E_INPUT_INVALID },
    { "beyond 64 bits", "purchase", HB_ACCOUNT_MINT, "user:m", HB_COIN, APR_INT64_MAX, HB_E_INPUT_INVALID },
    { "a user who is not", "purchase", HB_ACCOUNT_MINT, "user:x", HB_COIN, 1, HB_E_USER_UNKNOWN },
};

START_TEST(what_is_refused_leaves_nothing)
{
    apr_size_t i;

    open_site();
    give("user:m", 100);
    ck_assert_int_eq(move("grant", "bonus:1", HB_ACCOUNT_BONUS_MINT, "bonus:m", HB_BONUS, 50),
                     APR_SUCCESS);
    for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        apr_status_t rv = move(refusals[i].kind, "k", refusals[i].from, refusals[i].to,
                               refusals[i].currency, refusals[i].coins);

        ck_assert_msg(rv == refusals[i].rv, "%s: %s", refusals[i].label,
                      hb_error_row(rv)->code);
    }
    ck_assert_int_eq(n_entries(), 2);
    ck_assert_int_eq(balance("user:m"), 100);
    is_clean();
}
END_TEST

START_TEST(every_kind_touches_what_its_row_says)
{
    const hb_ledger_kind_t *kind;
    int k, f, t, n = 0;

    open_site();
    for (k = 0; (kind = hb_ledger_kind_at(k)) != NULL; k++) {
        for (f = 0; hb_account_row_at(f) != NULL; f++) {
            for (t = 0; hb_account_row_at(t) != NULL; t++) {
                const hb_account_row_t *from = hb_account_row_at(f), *to = hb_account_row_at(t);
                int may = (kind->from & from->bit) && (kind->to & to->bit)
                    && from->currency == to->currency && f != t;
                post_t post = { .entry = { .kind = kind->name, .reason = "a test" } };
                const char *a = apr_pstrcat(hb_test_pool, from->before,
                                            from->has_owner ? maya->id : "", from->behind, NULL);
                const char *b = apr_pstrcat(hb_test_pool, to->before,
                                            to->has_owner ? maya->id : "", to->behind, NULL);
                apr_status_t rv;

                if (from->currency != to->currency || f == t) {
                    continue;
                }
                post.entry.key = apr_psprintf(hb_test_pool, "k%d", n++);
                post.entry.postings[0] = (hb_posting_t){ a, from->currency, -1 };
                post.entry.postings[1] = (hb_posting_t){ b, to->currency, 1 };
                post.entry.n_postings = 2;
                rv = run(&post);
                ck_assert_msg((rv != HB_E_LEDGER_KIND) == may, "%s from %s to %s: %s",
                              kind->name, from->type, to->type, hb_error_row(rv)->code);
                /* Never: bonus coins or bought ones with a host, or out as money. */
                if (rv == APR_SUCCESS && from->currency == HB_BONUS) {
                    ck_assert(to->bit & (HB_LA_BONUS | HB_LA_BONUS_HELD | HB_LA_BONUS_MINT
                                         | HB_LA_BONUS_REVENUE));
                }
            }
        }
    }
    is_clean();
}
END_TEST

START_TEST(a_key_works_once)
{
    post_t one, two;

    open_site();
    fill(&one, "purchase", "order:7", HB_ACCOUNT_MINT, "user:m", HB_COIN, 10);
    fill(&two, "purchase", "order:7", HB_ACCOUNT_MINT, "user:m", HB_COIN, 10);
    ck_assert_int_eq(run(&one), APR_SUCCESS);
    ck_assert_int_eq(run(&two), HB_E_LEDGER_REPEATED);
    ck_assert_str_eq(one.id, two.id);
    ck_assert_int_eq(balance("user:m"), 10);
    is_clean();
}
END_TEST

START_TEST(an_entry_is_undone_once_and_whole)
{
    post_t gift, undo = { .id = NULL };

    open_site();
    give("user:m", 100);
    fill(&gift, "gift", "gift:1", "user:m", "earned:n", HB_COIN, 60);
    ck_assert_int_eq(run(&gift), APR_SUCCESS);
    undo.undo = gift.id;
    ck_assert_int_eq(run(&undo), APR_SUCCESS);
    ck_assert_int_eq(balance("user:m"), 100);
    ck_assert_int_eq(balance("earned:n"), 0);
    ck_assert_int_eq(shown(maya, "coins.totalSpent"), 0);
    ck_assert_int_eq(shown(noor, "coins.totalEarned"), 0);
    is_clean();
    ck_assert_int_eq(run(&undo), HB_E_LEDGER_REPEATED);
    undo.undo = undo.id;
    ck_assert_int_eq(run(&undo), HB_E_LEDGER_KIND);
    undo.undo = "0123456789abcdef01234567";
    ck_assert_int_eq(run(&undo), HB_E_ENTRY_UNKNOWN);
    is_clean();
}
END_TEST

START_TEST(a_reversal_needs_the_coins)
{
    post_t buy, undo = { .id = NULL };

    open_site();
    fill(&buy, "purchase", "order:1", HB_ACCOUNT_MINT, "user:m", HB_COIN, 50);
    ck_assert_int_eq(run(&buy), APR_SUCCESS);
    ck_assert_int_eq(move("gift", "gift:1", "user:m", "earned:n", HB_COIN, 1), APR_SUCCESS);
    undo.undo = buy.id;
    ck_assert_int_eq(run(&undo), HB_E_WALLET_SHORT);
    is_clean();
}
END_TEST

START_TEST(statements_run_back_page_by_page)
{
    const hb_statement_line_t *lines;
    const char *next = NULL;
    apr_int64_t expected = 10, coins;
    int i, n;

    open_site();
    for (i = 1; i <= 4; i++) {
        ts->now += apr_time_from_sec(60);
        give("user:m", i);
    }
    do {
        ck_assert_int_eq(hb_ledger_statement(&lines, &n, &next, hb_test_site_op(ts),
                                             account("user:m"), 3, next), APR_SUCCESS);
        for (i = 0; i < n; i++) {
            ck_assert_int_eq(lines[i].balance, expected);
            expected -= lines[i].coins;
        }
    } while (next != NULL);
    ck_assert_int_eq(expected, 0);
    for (i = 0; i <= 4; i++) {
        apr_time_t when = HB_TEST_SITE_START + apr_time_from_sec(60 * i + 59);

        ck_assert_int_eq(hb_ledger_balance_at(&coins, hb_test_site_op(ts), account("user:m"),
                                              when), APR_SUCCESS);
        ck_assert_int_eq(coins, i * (i + 1) / 2);
    }
    ck_assert_int_eq(hb_ledger_statement(&lines, &n, &next, hb_test_site_op(ts),
                                         account("user:n"), 3, NULL), APR_SUCCESS);
    ck_assert_int_eq(n, 0);
    ck_assert_int_eq(hb_ledger_statement(&lines, &n, &next, hb_test_site_op(ts),
                                         account("user:m"), 3, "no such"), HB_E_CURSOR_INVALID);
}
END_TEST

START_TEST(time_never_runs_back_in_it)
{
    const hb_statement_line_t *lines;
    const char *next;
    int n;

    open_site();
    give("user:m", 1);
    ts->now -= apr_time_from_sec(3600);
    give("user:m", 1);
    ck_assert_int_eq(hb_ledger_statement(&lines, &n, &next, hb_test_site_op(ts),
                                         account("user:m"), 3, NULL), APR_SUCCESS);
    ck_assert_int_eq(lines[0].posted_at, lines[1].posted_at);
    is_clean();
}
END_TEST

START_TEST(circulation_is_what_the_mint_gave)
{
    hb_json_t *all;

    open_site();
    give("user:m", 100);
    ck_assert_int_eq(move("gift", "gift:1", "user:m", "earned:n", HB_COIN, 60), APR_SUCCESS);
    ck_assert_int_eq(move("refund", "refund:1", "user:m", HB_ACCOUNT_MINT, HB_COIN, 10),
                     APR_SUCCESS);
    ck_assert_int_eq(move("grant", "g:1", HB_ACCOUNT_BONUS_MINT, "bonus:m", HB_BONUS, 5),
                     APR_SUCCESS);
    ck_assert_int_eq(hb_ledger_circulation(&all, hb_test_site_op(ts)), APR_SUCCESS);
    ck_assert_str_eq(hb_json_text(hb_json_get(all, "coin"), hb_test_pool, NULL),
                     "{\"minted\":100,\"burned\":10,\"circulation\":90,\"revenue\":0}");
    ck_assert_str_eq(hb_json_text(hb_json_get(all, "bonus"), hb_test_pool, NULL),
                     "{\"minted\":5,\"burned\":0,\"circulation\":5,\"revenue\":0}");
    ck_assert_int_eq(hb_json_length(hb_json_get(all, "kinds")), 3);
    ck_assert(!hb_test_site_logged(ts, "HB01101"));     /* an operator would read it each time */
}
END_TEST

typedef struct many_t {
    int n_repeated;
    int fails_after;            /* entries, then one is too much; 0 never */
} many_t;

static apr_status_t post_many(hb_op_t *op, void *baton)
{
    many_t *many = baton;
    hb_ledger_run_t *all = hb_ledger_run_begin(op);
    const char *keys[] = { "m:0", "m:1", "m:2", "m:3" };
    const char *ids[] = { maya->id, noor->id };
    apr_status_t rv = hb_ledger_run_keys(all, op, keys, 4);
    int i;

    many->n_repeated = 0;
    if (rv == APR_SUCCESS) {
        rv = hb_ledger_run_load(all, op, HB_C_USERS, ids, 2);
    }
    for (i = 0; i < 8 && rv == APR_SUCCESS; i++) {
        post_t post;

        /* m:0 to m:3 for one and the other, then again; a purchase and a gift from it. */
        fill(&post, i % 2 ? "gift" : "purchase", keys[i % 4], i % 2 ? "user:m" : HB_ACCOUNT_MINT,
             i % 2 ? "earned:n" : "user:m", HB_COIN,
             many->fails_after != 0 && i >= many->fails_after ? 1000 : 10 - i);
        rv = hb_ledger_run_post(all, &post.id, op, &post.entry);
        if (rv == HB_E_LEDGER_REPEATED) {
            many->n_repeated++;
            rv = post.id != NULL ? APR_SUCCESS : HB_E_INTERNAL;
        }
    }
    return rv == APR_SUCCESS ? hb_ledger_run_end(all, op) : rv;
}

START_TEST(many_entries_are_one_transaction)
{
    const hb_statement_line_t *lines;
    many_t many = { 0, 3 };
    const char *next;
    int n;

    open_site();
    ck_assert_int_eq(hb_store_transact(hb_test_site_op(ts), post_many, &many),
                     HB_E_WALLET_SHORT);
    ck_assert_int_eq(balance("user:m"), 0);
    many.fails_after = 0;
    ck_assert_int_eq(hb_store_transact(hb_test_site_op(ts), post_many, &many), APR_SUCCESS);
    ck_assert_int_eq(many.n_repeated, 4);
    ck_assert_int_eq(balance("user:m"), 10 - 9 + 8 - 7);
    ck_assert_int_eq(balance("earned:n"), 9 + 7);
    ck_assert_int_eq(hb_store_transact(hb_test_site_op(ts), post_many, &many), APR_SUCCESS);
    ck_assert_int_eq(many.n_repeated, 8);
    ck_assert_int_eq(hb_ledger_statement(&lines, &n, &next, hb_test_site_op(ts),
                                         account("user:m"), 10, NULL), APR_SUCCESS);
    ck_assert_int_eq(n, 4);
    ck_assert_int_eq(lines[0].coins, -7);
    ck_assert_int_eq(lines[0].balance, 2);
    give("user:m", 5);
    is_clean();
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        a_gift_moves_and_shows, what_is_refused_leaves_nothing,
        every_kind_touches_what_its_row_says, a_key_works_once,
        an_entry_is_undone_once_and_whole, a_reversal_needs_the_coins,
        statements_run_back_page_by_page, time_never_runs_back_in_it,
        circulation_is_what_the_mint_gave, many_entries_are_one_transaction, NULL
    };

    return hb_test_main("hb_ledger", cases);
}
