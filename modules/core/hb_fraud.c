/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules for money on its way in. They count marks, one for each paid order, of the user and of the
 * address it was ordered from; addresses alone never hold anything, because whole towns share
 * one behind their carrier. A rule's row says what it counts, above what, and what that adds.
 */
#include "hb_fraud_private.h"

#include <string.h>

#include <apr_hash.h>
#include <apr_strings.h>

#include "hb_store.h"
#include "hb_time.h"

#define HOUR_MSEC APR_INT64_C(3600000)
#define DAY_MSEC (24 * HOUR_MSEC)
#define MARKS_MAX 1000
#define LARGE_ORDER_COINS 50000

typedef struct look_t {
    hb_op_t *op;
    const hb_order_t *order;
    const char *address;        /* NULL when it is not known */
    apr_int64_t user_created;   /* milliseconds */
} look_t;

typedef struct rule_t {
    const char *name;
    /* What the rule counts. */
    apr_status_t (*count)(apr_int64_t *n, const look_t *look, apr_int64_t since_msec);
    apr_int64_t window_msec;
    apr_int64_t most;           /* fits above this */
    int score;
    const char *sees;           /* "%" is the count */
} rule_t;

/* --- what can be counted --- */

static apr_status_t count_marks(apr_int64_t *n, const look_t *look, const char *field,
                                const char *value, apr_int64_t since_msec)
{
    const hb_cond_t where[] = { { field, HB_IS, HB_STR(value) },
                                { "createdAt", HB_AT_LEAST, HB_INT(since_msec) } };
    const hb_query_t query = { .in = HB_C_FRAUD_MARKS, .where = where, .n_where = 2 };

    return hb_store_count(n, look->op, &query);
}

static apr_status_t user_orders(apr_int64_t *n, const look_t *look, apr_int64_t since_msec)
{
    return count_marks(n, look, "userId", look->order->user_id, since_msec);
}

static apr_status_t address_orders(apr_int64_t *n, const look_t *look, apr_int64_t since_msec)
{
    *n = 0;
    return look->address != NULL
        ? count_marks(n, look, "address", look->address, since_msec) : APR_SUCCESS;
}

/* How many people paid from one address. */
static apr_status_t address_users(apr_int64_t *n, const look_t *look, apr_int64_t since_msec)
{
    const hb_cond_t where[] = { { "address", HB_IS, HB_STR(look->address) },
                                { "createdAt", HB_AT_LEAST, HB_INT(since_msec) } };
    const hb_query_t query = { .in = HB_C_FRAUD_MARKS, .where = where, .n_where = 2,
                               .sort = { { "createdAt", 0 } }, .limit = MARKS_MAX };
    apr_hash_t *seen = apr_hash_make(look->op->pool);
    hb_page_t page;
    apr_status_t rv;
    int i;

    *n = 0;
    if (look->address == NULL) {
        return APR_SUCCESS;
    }
    rv = hb_store_find(&page, look->op, &query);
    for (i = 0; rv == APR_SUCCESS && i < page.n_items; i++) {
        apr_hash_set(seen, hb_json_string(page.items[i], "userId"), APR_HASH_KEY_STRING, seen);
    }
    *n = apr_hash_count(seen);
    return rv;
}

static apr_status_t user_disputes(apr_int64_t *n, const look_t *look, apr_int64_t since_msec)
{
    const hb_cond_t where[] = { { "userId", HB_IS, HB_STR(look->order->user_id) },
                                { "createdAt", HB_AT_LEAST, HB_INT(since_msec) } };
    const hb_query_t query = { .in = HB_C_DISPUTES, .where = where, .n_where = 2 };

    return hb_store_count(n, look->op, &query);
}

static apr_status_t large_order(apr_int64_t *n, const look_t *look, apr_int64_t since_msec)
{
    (void)since_msec;
    *n = look->order->coins;
    return APR_SUCCESS;
}

/* Coins of an order by somebody who registered within the window. */
static apr_status_t new_user(apr_int64_t *n, const look_t *look, apr_int64_t since_msec)
{
    *n = look->user_created >= since_msec ? look->order->coins : 0;
    return APR_SUCCESS;
}

static const rule_t rules[] = {
/*    name                count           window          most               score  sees */
    { "user-orders-hour", user_orders,    HOUR_MSEC,      5,                 40,
      "the user paid % orders within an hour" },
    { "user-orders-day",  user_orders,    DAY_MSEC,       20,                40,
      "the user paid % orders within a day" },
    { "address-orders",   address_orders, HOUR_MSEC,      30,                20,
      "% orders came from one address within an hour" },
    { "address-users",    address_users,  DAY_MSEC,       5,                 20,
      "% users paid from one address within a day" },
    { "disputes",         user_disputes,  180 * DAY_MSEC, 0,                 70,
      "the user's bank asked % payments back within half a year" },
    { "large-order",      large_order,    DAY_MSEC,       LARGE_ORDER_COINS, 20,
      "% coins at once" },
    { "large-new-user",   new_user,       DAY_MSEC,       LARGE_ORDER_COINS / 5, 50,
      "% coins by a user who registered within a day" },
};

#define N_RULES ((int)(sizeof(rules) / sizeof(rules[0])))

/* --- looking --- */

/* So that a mark counts the order itself, and an order that is looked at twice once. */
static apr_status_t mark(const look_t *look)
{
    hb_json_t *doc;
    apr_status_t rv = hb_store_get(&doc, look->op, HB_C_FRAUD_MARKS, look->order->id);

    if (rv != HB_E_STORE_MISSING) {
        return rv;
    }
    doc = hb_json_object_make(look->op->pool);
    hb_json_set_string(doc, "_id", look->order->id);
    hb_json_set_string(doc, "userId", look->order->user_id);
    if (look->address != NULL) {
        hb_json_set_string(doc, "address", look->address);
    }
    hb_json_set_int(doc, "createdAt", hb_time_to_msec(look->op->now));
    rv = hb_store_insert(NULL, look->op, HB_C_FRAUD_MARKS, doc);
    return rv == HB_E_STORE_DUPLICATE ? HB_E_STORE_CONFLICT : rv;
}

static const char *detail_of(hb_op_t *op, const char *sees, apr_int64_t n)
{
    const char *percent = strchr(sees, '%');

    return apr_psprintf(op->pool, "%.*s%" APR_INT64_T_FMT "%s", (int)(percent - sees), sees, n,
                        percent + 1);
}

apr_status_t hb_fraud_check_order(hb_fraud_finding_t *finding, hb_op_t *op,
                                  const hb_order_t *order)
{
    look_t look = { op, order, hb_json_string(order->doc, "address"), 0 };
    apr_int64_t now = hb_time_to_msec(op->now), n;
    hb_json_t *user;
    apr_status_t rv;
    int i;

    memset(finding, 0, sizeof(*finding));
    if (!hb_fraud_is_on(op)) {
        return APR_SUCCESS;
    }
    rv = mark(&look);
    if (rv == APR_SUCCESS) {
        rv = hb_store_get(&user, op, HB_C_USERS, order->user_id);
        look.user_created = rv == APR_SUCCESS ? hb_json_int(user, "createdAt", 0) : 0;
        rv = rv == HB_E_STORE_MISSING ? APR_SUCCESS : rv;
    }
    for (i = 0; rv == APR_SUCCESS && i < N_RULES; i++) {
        rv = rules[i].count(&n, &look, now - rules[i].window_msec);
        if (rv == APR_SUCCESS && n > rules[i].most) {
            hb_fraud_add(finding, op, rules[i].name, rules[i].score,
                         detail_of(op, rules[i].sees, n));
        }
    }
    hb_fraud_judge(finding, op);
    return rv == APR_SUCCESS && finding->verdict != HB_FRAUD_PASS
        ? hb_fraud_note(op, finding, "order", order->id, order->user_id) : rv;
}
