/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A site to look at: people who buy coins with play money, give gifts in each other's rooms, buy
 * OG, want their money back, quarrel with their bank, ask for payouts. All of it by the same
 * functions as requests and webhooks use, and proved by the ledger at the end.
 */
#include "ctl.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_crypto.h"
#include "hb_gift.h"
#include "hb_inbox.h"
#include "hb_og.h"
#include "hb_order.h"
#include "hb_payout.h"
#include "hb_price.h"
#include "hb_sandbox.h"
#include "hb_store.h"
#include "hb_user.h"

#define PEOPLE_MAX 50
#define ROOMS_MAX 50
#define GIFTS_MAX 100000

typedef struct demo_t {
    ctl_t *ctl;
    const hb_pay_provider_t *sandbox;
    const char *run;            /* new for each run, so that none repeats another's keys */
    int n_keys;
    const char *people[PEOPLE_MAX];
    int n_people;
    const char *rooms[ROOMS_MAX], *hosts[ROOMS_MAX];
    int n_rooms;
    hb_json_t *packs, *gifts;
    int n_paid, n_failed, n_gifts, n_og, n_payouts, n_back, n_disputes;
} demo_t;

/* An op in a person's name with a key of its own, in a pool the caller clears. */
static hb_op_t *op_as(demo_t *demo, const char *user_id, apr_pool_t *pool)
{
    hb_op_t *op = hb_op_make(demo->ctl->site, pool);

    op->actor.user_id = user_id;
    op->user_agent = "halobuzzctl";
    op->idem_key = apr_psprintf(pool, "demo-%s-%d", demo->run, ++demo->n_keys);
    return op;
}

/* --- who and where --- */

static apr_status_t find_people(demo_t *demo, hb_op_t *op)
{
    const hb_cond_t where[] = { { "usernameKey", HB_STARTS_WITH, HB_STR("demo") } };
    const hb_query_t query = { .in = HB_C_USERS, .where = where, .n_where = 1,
                               .sort = { { "usernameKey", 0 } }, .limit = PEOPLE_MAX };
    hb_page_t page;
    apr_status_t rv = hb_store_find(&page, op, &query);
    int i;

    for (i = 0; rv == APR_SUCCESS && i < page.n_items; i++) {
        const char *name = hb_json_string(page.items[i], "username");

        if (name != NULL && strncmp(name, "demo.", 5) == 0 && hb_user_is_active(page.items[i])) {
            demo->people[demo->n_people++] = hb_json_string(page.items[i], "_id");
        }
    }
    return rv;
}

static apr_status_t find_rooms(demo_t *demo, hb_op_t *op)
{
    const hb_cond_t where[] = { { "status", HB_IS, HB_STR("live") } };
    const hb_query_t query = { .in = HB_C_STREAMS, .where = where, .n_where = 1,
                               .sort = { { "startedAt", 1 } }, .limit = ROOMS_MAX };
    hb_page_t page;
    apr_status_t rv = hb_store_find(&page, op, &query);
    int i, j;

    for (i = 0; rv == APR_SUCCESS && i < page.n_items; i++) {
        for (j = 0; j < demo->n_people; j++) {      /* not the rooms of real people */
            if (strcmp(hb_json_string(page.items[i], "hostId"), demo->people[j]) == 0) {
                demo->hosts[demo->n_rooms] = demo->people[j];
                demo->rooms[demo->n_rooms++] = hb_json_string(page.items[i], "_id");
            }
        }
    }
    return rv;
}

static apr_status_t find_goods(demo_t *demo, hb_op_t *op)
{
    hb_json_t *list, *items;
    apr_status_t rv = hb_price_list(&list, op, "npr", demo->sandbox);
    int i;

    demo->packs = hb_json_array_make(demo->ctl->pool);
    items = rv == APR_SUCCESS ? hb_json_get(list, "items") : NULL;
    for (i = 0; i < hb_json_length(items); i++) {
        if (hb_json_int(hb_json_item(items, i), "coins", 0) > 0) {
            hb_json_push(demo->packs, hb_json_copy(hb_json_item(items, i), demo->ctl->pool));
        }
    }
    if (rv == APR_SUCCESS) {
        rv = hb_gift_catalog(&list, op, 100, NULL);
    }
    if (rv == APR_SUCCESS) {
        demo->gifts = hb_json_get(list, "items");
    }
    return rv;
}

/* --- money in --- */

/* @param order_id  in pool */
static apr_status_t buy(const char **order_id, demo_t *demo, hb_op_t *op, int i,
                        hb_pay_outcome_e outcome)
{
    /* The larger packs, or there would be few gifts. */
    const int n = hb_json_length(demo->packs);
    const hb_json_t *pack = hb_json_item(demo->packs, n - 1 - i % (n > 3 ? 3 : n));
    hb_json_t *input = hb_json_object_make(op->pool), *reply;
    hb_order_t order;
    const char *url;
    apr_status_t rv;

    hb_json_set_string(input, "product", hb_json_string(pack, "product"));
    rv = hb_order_begin(&reply, op, demo->sandbox, input, HB_PAY_AS_PAGE);
    if (rv == APR_SUCCESS) {
        *order_id = hb_json_string_value(hb_json_at(reply, "order.id"));
        rv = hb_order_load(&order, op, *order_id);
    }
    return rv == APR_SUCCESS ? hb_sandbox_choose(&url, op, &order, outcome) : rv;
}

/* What the bank says of an order, signed as from outside. */
static apr_status_t tell(demo_t *demo, hb_op_t *op, const char *order_id, const char *type)
{
    hb_inbox_result_t result;
    hb_pay_message_t message;
    hb_order_t order;
    apr_status_t rv = hb_order_load(&order, op, order_id);

    if (rv == APR_SUCCESS) {
        rv = demo->sandbox->sample(&message, op, &order, type);
    }
    return rv == APR_SUCCESS ? hb_inbox_receive(&result, op, demo->sandbox, &message) : rv;
}

static apr_status_t pay_all(hb_op_t **op, demo_t *demo, apr_pool_t *pool)
{
    apr_status_t rv = APR_SUCCESS;
    const char *order_id;
    int i;

    for (i = 0; rv == APR_SUCCESS && i < demo->n_people; i++) {
        apr_pool_clear(pool);
        *op = op_as(demo, demo->people[i], pool);
        rv = buy(&order_id, demo, *op, i, HB_PAY_PAID);
        demo->n_paid += rv == APR_SUCCESS;
        if (rv == APR_SUCCESS && i % 4 == 3) {
            *op = op_as(demo, demo->people[i], pool);
            rv = buy(&order_id, demo, *op, i, i % 8 == 3 ? HB_PAY_FAILED : HB_PAY_CANCELED);
            demo->n_failed += rv == APR_SUCCESS;
        }
        ctl_progress(demo->ctl, "orders", i + 1, demo->n_people);
    }
    return rv;
}

/* --- what people do with it --- */

static int is_refusal(apr_status_t rv)
{
    return rv == HB_E_WALLET_SHORT || rv == HB_E_WALLET_DEBT || rv == HB_E_USER_BLOCKED
        || rv == HB_E_GIFT_OG || rv == HB_E_OG_LOWER || rv == HB_E_OG_TOO_LONG
        || rv == HB_E_PAYOUT_OPEN || rv == HB_E_STREAM_STATE || rv == HB_E_STREAM_ENDED;
}

static apr_status_t give_gifts(hb_op_t **op, demo_t *demo, apr_pool_t *pool, int n_gifts)
{
    const int n_kinds = hb_json_length(demo->gifts);
    apr_status_t rv = APR_SUCCESS;
    hb_json_t *input, *reply;
    int i, room, from;

    for (i = 0; rv == APR_SUCCESS && i < n_gifts && demo->n_rooms > 0; i++) {
        room = i % demo->n_rooms;
        from = (i + i / demo->n_rooms) % demo->n_people;
        if (demo->hosts[room] == demo->people[from]) {
            from = (from + 1) % demo->n_people;
        }
        apr_pool_clear(pool);
        *op = op_as(demo, demo->people[from], pool);
        input = hb_json_object_make(pool);
        /* Cheap ones often, dear ones now and then. */
        hb_json_set_string(input, "giftId", hb_json_string(hb_json_item(demo->gifts,
                           i % 7 == 6 ? n_kinds / 2 : i % (n_kinds > 4 ? 4 : n_kinds)), "id"));
        hb_json_set_int(input, "quantity", 1 + i % 5);
        rv = hb_gift_send(&reply, *op, demo->rooms[room], input);
        demo->n_gifts += rv == APR_SUCCESS;
        rv = is_refusal(rv) ? APR_SUCCESS : rv;
        ctl_progress(demo->ctl, "gifts", i + 1, n_gifts);
    }
    return rv;
}

static apr_status_t buy_og(hb_op_t **op, demo_t *demo, apr_pool_t *pool)
{
    hb_json_t *input = hb_json_object_make(pool), *reply;
    apr_status_t rv;

    *op = op_as(demo, demo->people[0], pool);
    hb_json_set_int(input, "tier", 1);
    rv = hb_og_subscribe(&reply, *op, input);
    demo->n_og += rv == APR_SUCCESS;
    return is_refusal(rv) ? APR_SUCCESS : rv;
}

static apr_status_t ask_payouts(hb_op_t **op, demo_t *demo, apr_pool_t *pool)
{
    apr_int64_t least = demo->ctl->site->settings->payout_min;
    apr_status_t rv = APR_SUCCESS;
    hb_json_t *input, *view;
    int i;

    for (i = 0; rv == APR_SUCCESS && i < demo->n_rooms; i++) {
        apr_pool_clear(pool);
        *op = op_as(demo, demo->hosts[i], pool);
        input = hb_json_object_make(pool);
        hb_json_set_int(input, "coins", least);
        hb_json_set_string(input, "currency", "npr");
        hb_json_set_string(input, "method", "esewa");
        hb_json_set_string(input, "account", "9800000000");
        hb_json_set_string(input, "accountName", "Demo Host");
        rv = hb_payout_request(&view, *op, input);
        demo->n_payouts += rv == APR_SUCCESS;
        rv = is_refusal(rv) ? APR_SUCCESS : rv;
    }
    return rv;
}

/* One order goes back, one is asked back by the payer's bank. */
static apr_status_t go_back(hb_op_t **op, demo_t *demo, apr_pool_t *pool)
{
    static const char *const types[] = { "payment.refunded", "dispute.opened" };
    apr_status_t rv = APR_SUCCESS;
    const char *order_id;
    int i;

    for (i = 0; rv == APR_SUCCESS && i < 2 && i < demo->n_people; i++) {
        apr_pool_clear(pool);
        *op = op_as(demo, demo->people[demo->n_people - 1 - i], pool);
        rv = buy(&order_id, demo, *op, i, HB_PAY_PAID);
        demo->n_paid += rv == APR_SUCCESS;
        if (rv == APR_SUCCESS) {
            rv = tell(demo, *op, order_id, types[i]);
        }
        demo->n_back += rv == APR_SUCCESS && i == 0;
        demo->n_disputes += rv == APR_SUCCESS && i == 1;
    }
    return rv;
}

static apr_status_t live(hb_op_t **op, demo_t *demo, int n_gifts)
{
    apr_pool_t *pool;
    apr_status_t rv;

    apr_pool_create(&pool, demo->ctl->pool);
    rv = find_people(demo, *op);
    if (rv == APR_SUCCESS) {
        rv = find_rooms(demo, *op);
    }
    if (rv == APR_SUCCESS) {
        rv = find_goods(demo, *op);
    }
    if (rv != APR_SUCCESS || demo->n_people < 2 || hb_json_length(demo->packs) == 0
        || hb_json_length(demo->gifts) == 0) {
        return rv;
    }
    rv = pay_all(op, demo, pool);
    if (rv == APR_SUCCESS) {
        rv = buy_og(op, demo, pool);
    }
    if (rv == APR_SUCCESS) {
        rv = give_gifts(op, demo, pool, n_gifts);
    }
    if (rv == APR_SUCCESS) {
        rv = go_back(op, demo, pool);
    }
    if (rv == APR_SUCCESS) {
        rv = ask_payouts(op, demo, pool);
    }
    return rv;
}

int ctl_demo(ctl_t *ctl, int argc, const char *const *argv)
{
    static const char *const seed[] = { "--demo" };
    const char *gifts_text = "200", *why;
    const ctl_option_t options[] = { { "gifts", &gifts_text, NULL }, { NULL, NULL, NULL } };
    demo_t demo = { .ctl = ctl };
    apr_int64_t n_gifts;
    apr_status_t rv;
    hb_op_t *op;
    char *end;
    int rc = ctl_options(ctl, argc, argv, options, NULL, 0, 0);

    n_gifts = apr_strtoi64(gifts_text, &end, 10);
    if (rc == CTL_OK && (*end != '\0' || n_gifts < 0 || n_gifts > GIFTS_MAX)) {
        rc = ctl_misuse(ctl, "--gifts takes a number from 0 to %d", GIFTS_MAX);
    }
    if (rc == CTL_OK) {
        rc = ctl_site(&op, ctl);
    }
    if (rc != CTL_OK) {
        return rc;
    }
    demo.sandbox = hb_pay_provider("sandbox");
    why = hb_pay_unusable(ctl->site, demo.sandbox);
    if (why != NULL) {
        return ctl_fail(ctl, "it pays with play money, but %s", why);
    }
    demo.run = hb_random_token(op, 8);
    rc = demo.run != NULL ? ctl_seed(ctl, 1, seed) : ctl_fail(ctl, "no randomness");
    if (rc != CTL_OK) {
        return rc;
    }
    rv = live(&op, &demo, (int)n_gifts);
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    ctl_say(ctl, "%d people: %d orders paid and %d not, %d gifts in %d rooms, %d OG tier, %d "
            "refund, %d dispute, %d payouts asked for", demo.n_people, demo.n_paid,
            demo.n_failed, demo.n_gifts, demo.n_rooms, demo.n_og, demo.n_back,
            demo.n_disputes, demo.n_payouts);
    return ctl_ledger_verify(ctl, 0, NULL);
}
