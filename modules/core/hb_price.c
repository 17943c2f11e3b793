/* SPDX-License-Identifier: Apache-2.0 */
/* What is sold for money. */
#include "hb_price.h"

#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "hb_festival.h"
#include "hb_schema.h"
#include "hb_store.h"
#include "hb_time.h"

static void price_read(hb_price_t *price, const hb_json_t *doc)
{
    price->code = hb_json_string(doc, "code");
    price->kind = hb_json_string(doc, "kind");
    price->title = hb_json_string(doc, "title");
    price->coins = hb_json_int(doc, "coins", 0);
    price->bonus = hb_json_int(doc, "bonus", 0);
    price->og_tier = (int)hb_json_int(doc, "ogTier", 0);
    price->amount_minor = hb_json_int(doc, "amountMinor", 0);
    price->currency = hb_json_string(doc, "currency");
}

static apr_status_t find_code(hb_json_t **doc, hb_op_t *op, const char *code)
{
    const hb_cond_t where[] = { { "code", HB_IS, HB_STR(code) } };
    const hb_query_t query = { .in = HB_C_PRICES, .where = where, .n_where = 1 };

    return hb_store_find_one(doc, op, &query);
}

apr_status_t hb_price_load(hb_price_t *price, hb_op_t *op, const char *code)
{
    hb_json_t *doc;
    apr_status_t rv = find_code(&doc, op, code);

    if (rv == HB_E_STORE_MISSING
        || (rv == APR_SUCCESS && !hb_json_bool(doc, "isActive", 0))) {
        return hb_fail(op, HB_E_PRICE_UNKNOWN, NULL);
    }
    if (rv == APR_SUCCESS) {
        price_read(price, doc);
    }
    return rv;
}

apr_status_t hb_price_of_amount(hb_price_t *price, hb_op_t *op, const char *currency,
                                apr_int64_t amount_minor)
{
    const hb_cond_t where[] = {
        { "currency", HB_IS, HB_STR(currency) },
        { "amountMinor", HB_IS, HB_INT(amount_minor) },
    };
    const hb_query_t query = { .in = HB_C_PRICES, .where = where, .n_where = 2, .limit = 100 };
    hb_page_t page;
    apr_status_t rv = hb_store_find(&page, op, &query);
    int i;

    for (i = 0; rv == APR_SUCCESS && i < page.n_items; i++) {
        price_read(price, page.items[i]);
        if (price->og_tier == 0 && hb_json_bool(page.items[i], "isActive", 0)) {
            return APR_SUCCESS;
        }
    }
    return rv == APR_SUCCESS ? HB_E_PRICE_UNKNOWN : rv;
}

/* --- showing --- */

/* Names of those that are configured here and take the currency. */
static hb_json_t *providers_of(hb_op_t *op, const char *currency)
{
    hb_json_t *names = hb_json_array_make(op->pool);
    const hb_pay_provider_t *provider;
    int i;

    for (i = 0; (provider = hb_pay_provider_at(i)) != NULL; i++) {
        if (hb_pay_takes(provider, currency) && hb_pay_unusable(op->site, provider) == NULL) {
            hb_json_push_string(names, provider->name);
        }
    }
    return names;
}

static hb_json_t *price_to_json(hb_op_t *op, const hb_price_t *price,
                                const hb_festival_now_t *now)
{
    apr_int64_t more = price->og_tier == 0
        ? hb_festival_bonus(price->coins, now->coin_percent) : 0;
    hb_json_t *json = hb_json_object_make(op->pool);

    hb_json_set_string(json, "product", price->code);
    hb_json_set_string(json, "kind", price->kind);
    hb_json_set_string(json, "title", price->title);
    hb_json_set_int(json, "coins", price->coins);
    hb_json_set_int(json, "bonus", price->bonus + more);
    hb_json_set_int(json, "festivalBonus", more);
    hb_json_set_int(json, "ogTier", price->og_tier);
    hb_json_set_int(json, "amountMinor", price->amount_minor);
    hb_json_set_string(json, "currency", price->currency);
    hb_json_set(json, "providers", providers_of(op, price->currency));
    return json;
}

apr_status_t hb_price_list(hb_json_t **list, hb_op_t *op, const char *currency,
                           const hb_pay_provider_t *provider)
{
    const hb_cond_t where[] = { { "currency", HB_IS, HB_STR(currency) } };
    const hb_query_t query = { .in = HB_C_PRICES, .where = where,
                               .n_where = currency != NULL ? 1 : 0,
                               .sort = { { "currency", 0 }, { "amountMinor", 0 } },
                               .limit = HB_PRICES_MAX };
    hb_json_t *items = hb_json_array_make(op->pool);
    hb_festival_now_t now;
    hb_price_t price;
    hb_page_t page;
    apr_status_t rv = hb_store_find(&page, op, &query);
    int i;

    if (rv == APR_SUCCESS) {
        rv = hb_festival_now(&now, op);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    for (i = 0; i < page.n_items; i++) {
        price_read(&price, page.items[i]);
        if (hb_json_bool(page.items[i], "isActive", 0)
            && (provider == NULL || hb_pay_takes(provider, price.currency))) {
            hb_json_push(items, price_to_json(op, &price, &now));
        }
    }
    *list = hb_json_object_make(op->pool);
    hb_json_set(*list, "items", items);
    return APR_SUCCESS;
}

/* --- the first prices --- */

/* Coins and no tier, or a tier and no coins; a currency in the form of the list. */
static apr_status_t check_row(hb_op_t *op, const hb_json_t *doc)
{
    const char *kind = hb_json_string(doc, "kind"), *c;
    int is_og = strcmp(kind, "og") == 0;

    if (is_og != (hb_json_int(doc, "ogTier", 0) > 0)) {
        return hb_fail_field(op, "ogTier", "value", "a tier goes with og, and only with it");
    }
    if (is_og == (hb_json_int(doc, "coins", 0) > 0)
        || (is_og && hb_json_int(doc, "bonus", 0) > 0)) {
        return hb_fail_field(op, "coins", "value", "coins go with coins, and only with them");
    }
    for (c = hb_json_string(doc, "currency"); *c != '\0'; c++) {
        if (!apr_islower(*c)) {
            return hb_fail_field(op, "currency", "format", "three lower-case letters");
        }
    }
    return APR_SUCCESS;
}

typedef struct seed_t {
    const hb_json_t *prices;
    int n_new;
} seed_t;

static apr_status_t seed_one(int *is_new, hb_op_t *op, const hb_json_t *raw)
{
    hb_json_t *doc, *there;
    apr_status_t rv = hb_schema_check(&doc, op, HB_F_PRICE_SEED, raw);

    *is_new = 0;
    if (rv == APR_SUCCESS) {
        rv = check_row(op, doc);
    }
    if (rv == APR_SUCCESS) {
        rv = find_code(&there, op, hb_json_string(doc, "code"));
    }
    if (rv != HB_E_STORE_MISSING) {
        return rv;
    }
    if (!hb_json_has(doc, "isActive")) {
        hb_json_set_bool(doc, "isActive", 1);
    }
    hb_json_set_int(doc, "createdAt", hb_time_to_msec(op->now));
    *is_new = 1;
    return hb_store_insert(NULL, op, HB_C_PRICES, doc);
}

static apr_status_t seed_tx(hb_op_t *op, void *baton)
{
    seed_t *seed = baton;
    apr_status_t rv = APR_SUCCESS;
    int i, is_new;

    seed->n_new = 0;
    for (i = 0; rv == APR_SUCCESS && i < hb_json_length(seed->prices); i++) {
        rv = seed_one(&is_new, op, hb_json_item(seed->prices, i));
        seed->n_new += is_new;
    }
    return rv;
}

apr_status_t hb_price_seed(int *n_new, hb_op_t *op, const hb_json_t *prices)
{
    seed_t seed = { prices, 0 };
    apr_status_t rv = hb_store_transact(op, seed_tx, &seed);

    *n_new = seed.n_new;
    return rv;
}
