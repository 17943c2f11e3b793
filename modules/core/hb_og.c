/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OG tiers: what there is, what it costs to change, and buying one with coins. The daily
 * bonus is in hb_og_bonus.c.
 */
#include "hb_og.h"

#include <apr_strings.h>

#include "hb_bus.h"
#include "hb_debt.h"
#include "hb_idem.h"
#include "hb_ledger.h"
#include "hb_metrics.h"
#include "hb_schema.h"
#include "hb_time.h"
#include "hb_user.h"

#define DAY_USEC (APR_INT64_C(86400) * APR_USEC_PER_SEC)
#define DAY_MSEC APR_INT64_C(86400000)
#define TIERS_MAX 5
#define GIFTS_MAX 1000

/* --- arithmetic --- */

int hb_og_level(const hb_json_t *user, apr_time_t now)
{
    apr_int64_t expires_msec = hb_json_int(user, "ogExpiresAt", 0);

    return hb_time_from_msec(expires_msec) > now ? (int)hb_json_int(user, "ogLevel", 0) : 0;
}

apr_int64_t hb_og_daily_bonus(apr_int64_t price_coins, apr_int64_t duration_days)
{
    return price_coins * 3 / (5 * duration_days);
}

apr_int64_t hb_og_credit_days(apr_int64_t days_left, const hb_og_terms_t *from,
                              const hb_og_terms_t *to)
{
    /* 3660 days, 10^9 coins and 366 days together stay below 2^51. */
    return days_left * from->price_coins * to->duration_days
           / (from->duration_days * to->price_coins);
}

/* --- tiers --- */

static void terms_read(hb_og_terms_t *terms, const hb_json_t *doc)
{
    terms->tier = (int)hb_json_int(doc, "tier", 0);
    terms->price_coins = hb_json_int(doc, "priceCoins", 0);
    terms->duration_days = hb_json_int(doc, "durationDays", 1);
}

static apr_status_t load(hb_json_t **doc, hb_op_t *op, int tier)
{
    const hb_cond_t where[] = { { "tier", HB_IS, HB_INT(tier) } };
    const hb_query_t query = { .in = HB_C_OG_TIERS, .where = where, .n_where = 1 };

    return hb_store_find_one(doc, op, &query);
}

apr_status_t hb_og_terms(hb_og_terms_t *terms, hb_op_t *op, int tier)
{
    hb_json_t *doc;
    apr_status_t rv = load(&doc, op, tier);

    if (rv == HB_E_STORE_MISSING) {
        return hb_fail(op, HB_E_OG_UNKNOWN, "there is no OG tier %d", tier);
    }
    if (rv == APR_SUCCESS) {
        terms_read(terms, doc);
    }
    return rv;
}

static hb_json_t *tier_to_json(hb_op_t *op, const hb_json_t *doc, const hb_page_t *gifts)
{
    hb_json_t *json = hb_json_object_make(op->pool);
    hb_json_t *benefits = hb_json_object_make(op->pool);
    hb_json_t *codes = hb_json_array_make(op->pool);
    hb_og_terms_t terms;
    int i;

    terms_read(&terms, doc);
    for (i = 0; i < gifts->n_items; i++) {
        apr_int64_t level_min = hb_json_int(gifts->items[i], "ogLevelMin", 0);

        if (level_min > 0 && level_min <= terms.tier) {
            hb_json_push_string(codes, hb_json_string(gifts->items[i], "code"));
        }
    }
    hb_json_set_int(benefits, "dailyBonus",
                    hb_og_daily_bonus(terms.price_coins, terms.duration_days));
    hb_json_set(benefits, "exclusiveGifts", codes);
    hb_json_set_int(json, "tier", terms.tier);
    hb_json_set_string(json, "name", hb_json_string(doc, "name"));
    hb_json_set_int(json, "priceCoins", terms.price_coins);
    hb_json_set_int(json, "durationDays", terms.duration_days);
    hb_json_set(json, "benefits", benefits);
    return json;
}

apr_status_t hb_og_tiers(hb_json_t **list, hb_op_t *op)
{
    const hb_query_t query = { .in = HB_C_OG_TIERS, .sort = { { "tier", 0 } },
                               .limit = TIERS_MAX };
    const hb_cond_t where[] = { { "isActive", HB_IS, HB_BOOL(1) } };
    const hb_query_t gift_query = { .in = HB_C_GIFT_CATALOG, .where = where, .n_where = 1,
                                    .sort = { { "priceCoins", 0 } }, .limit = GIFTS_MAX };
    hb_json_t *items = hb_json_array_make(op->pool);
    hb_page_t page, gifts;
    apr_status_t rv = hb_store_find(&page, op, &query);
    int i;

    if (rv == APR_SUCCESS) {
        rv = hb_store_find(&gifts, op, &gift_query);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    for (i = 0; i < page.n_items; i++) {
        hb_json_push(items, tier_to_json(op, page.items[i], &gifts));
    }
    *list = hb_json_object_make(op->pool);
    hb_json_set(*list, "items", items);
    return APR_SUCCESS;
}

typedef struct seed_t {
    const hb_json_t *tiers;
    int n_new;
} seed_t;

static apr_status_t seed_tx(hb_op_t *op, void *baton)
{
    seed_t *seed = baton;
    apr_status_t rv = APR_SUCCESS;
    int i;

    seed->n_new = 0;
    for (i = 0; rv == APR_SUCCESS && i < hb_json_length(seed->tiers); i++) {
        hb_json_t *doc, *there;

        rv = hb_schema_check(&doc, op, HB_F_OG_SEED, hb_json_item(seed->tiers, i));
        if (rv == APR_SUCCESS) {
            rv = load(&there, op, (int)hb_json_int(doc, "tier", 0));
        }
        if (rv == HB_E_STORE_MISSING) {
            hb_json_set_int(doc, "createdAt", apr_time_as_msec(op->now));
            rv = hb_store_insert(NULL, op, HB_C_OG_TIERS, doc);
            seed->n_new++;
        }
    }
    return rv;
}

apr_status_t hb_og_seed(int *n_new, hb_op_t *op, const hb_json_t *tiers)
{
    seed_t seed = { tiers, 0 };
    apr_status_t rv = hb_store_transact(op, seed_tx, &seed);

    *n_new = seed.n_new;
    return rv;
}

/* --- buying --- */

/* What buying these terms makes of a user's tier. */
static apr_status_t step_make(hb_og_step_t *step, hb_op_t *op, const hb_json_t *user,
                              const hb_og_terms_t *terms)
{
    int level = hb_og_level(user, op->now);
    apr_time_t from = op->now, expires_at = 0;
    hb_og_terms_t old;
    apr_status_t rv;

    step->level = terms->tier;
    step->credited_days = 0;
    if (level > 0) {
        expires_at = hb_time_from_msec(hb_json_int(user, "ogExpiresAt", 0));
    }
    if (level > terms->tier) {
        return hb_fail(op, HB_E_OG_LOWER, "OG tier %d runs until %s", level,
                       hb_time_text(op->pool, expires_at));
    }
    if (level == terms->tier) {
        from = expires_at;
    }
    else if (level > 0) {
        rv = hb_og_terms(&old, op, level);
        if (rv != APR_SUCCESS) {
            return rv;
        }
        step->credited_days = hb_og_credit_days((expires_at - op->now) / DAY_USEC, &old, terms);
    }
    step->expires_at = from + (terms->duration_days + step->credited_days) * DAY_USEC;
    if (step->expires_at - op->now > HB_OG_DAYS_MAX * DAY_USEC) {
        return hb_fail(op, HB_E_OG_TOO_LONG, "a tier can be bought %d days ahead",
                       HB_OG_DAYS_MAX);
    }
    return APR_SUCCESS;
}

static void tell(hb_op_t *op, const char *user_id, const hb_og_step_t *step)
{
    hb_json_t *news = hb_json_object_make(op->pool);

    hb_json_set_string(news, "userId", user_id);
    hb_json_set_int(news, "ogLevel", step->level);
    hb_json_set_time(news, "ogExpiresAt", step->expires_at);
    hb_bus_publish(op, HB_EV_OG_CHANGED, user_id, news);
}

apr_status_t hb_og_activate(hb_og_step_t *step, hb_op_t *op, const char *user_id,
                            const hb_og_terms_t *terms)
{
    hb_json_t *user;
    apr_status_t rv = hb_user_load(&user, op, user_id);

    if (rv == APR_SUCCESS) {
        rv = step_make(step, op, user, terms);
    }
    if (rv == APR_SUCCESS) {
        const hb_edit_t edits[] = {
            { "ogLevel", HB_SET, HB_INT(step->level) },
            { "ogExpiresAt", HB_SET, HB_INT(hb_time_to_msec(step->expires_at)) },
            { "ogStartedAt", HB_SET, HB_INT(hb_time_to_msec(op->now)) },
        };

        rv = hb_store_change(NULL, NULL, op, HB_C_USERS, user_id, NULL, 0, edits,
                             hb_og_level(user, op->now) > 0 ? 2 : 3);
    }
    if (rv == APR_SUCCESS) {
        tell(op, user_id, step);
    }
    return rv;
}

/* --- taking back --- */

/* Milliseconds of a tier as milliseconds of the one that runs, by whole days. */
static apr_status_t as_running(apr_int64_t *msec, hb_op_t *op, int level,
                               const hb_og_terms_t *terms)
{
    hb_og_terms_t running;
    apr_status_t rv;

    if (level == terms->tier) {
        return APR_SUCCESS;
    }
    rv = hb_og_terms(&running, op, level);
    if (rv == APR_SUCCESS) {
        *msec = hb_og_credit_days(*msec / DAY_MSEC, terms, &running) * DAY_MSEC;
    }
    return rv;
}

apr_status_t hb_og_shorten(apr_int64_t *msec, hb_op_t *op, const char *user_id,
                           const hb_og_terms_t *terms)
{
    apr_int64_t now = hb_time_to_msec(op->now), expires, left;
    hb_json_t *user;
    apr_status_t rv = hb_user_load(&user, op, user_id);
    int level;

    *msec = 0;
    if (rv == HB_E_USER_UNKNOWN) {
        hb_op_recover(op);
        return APR_SUCCESS;
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    level = hb_og_level(user, op->now);
    if (level < terms->tier) {
        return APR_SUCCESS;
    }
    expires = hb_json_int(user, "ogExpiresAt", 0);
    *msec = terms->duration_days * DAY_MSEC;
    rv = as_running(msec, op, level, terms);
    left = expires - *msec > now ? expires - *msec : now;
    *msec = expires - left;
    if (rv == APR_SUCCESS) {
        const hb_edit_t edits[] = { { "ogExpiresAt", HB_SET, HB_INT(left) } };

        rv = hb_store_change(NULL, NULL, op, HB_C_USERS, user_id, NULL, 0, edits, 1);
    }
    return rv;
}

apr_status_t hb_og_lengthen(hb_op_t *op, const char *user_id, const hb_og_terms_t *terms,
                            apr_int64_t msec)
{
    apr_int64_t now = hb_time_to_msec(op->now), from = now;
    hb_json_t *user;
    apr_status_t rv = hb_user_load(&user, op, user_id);
    int level;

    if (rv == HB_E_USER_UNKNOWN) {
        hb_op_recover(op);
        return APR_SUCCESS;
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    level = hb_og_level(user, op->now);
    if (level > terms->tier) {
        rv = as_running(&msec, op, level, terms);
    }
    if (level >= terms->tier) {
        from = hb_json_int(user, "ogExpiresAt", 0);
    }
    if (rv == APR_SUCCESS) {
        const hb_edit_t edits[] = {
            { "ogLevel", HB_SET, HB_INT(level > terms->tier ? level : terms->tier) },
            { "ogExpiresAt", HB_SET, HB_INT(from + msec) },
            { "ogStartedAt", HB_SET, HB_INT(now) },
        };

        rv = hb_store_change(NULL, NULL, op, HB_C_USERS, user_id, NULL, 0, edits,
                             level > 0 ? 2 : 3);
    }
    return rv;
}

typedef struct buy_t {
    const char *key;            /* of the entry; made once, so that a second try books the same */
    int tier;
} buy_t;

/* Bonus coins pay first, coins the rest. */
static apr_status_t pay(apr_int64_t *bonus, hb_op_t *op, const buy_t *buy,
                        const hb_og_terms_t *terms)
{
    const char *user_id = op->actor.user_id;
    const char *bonus_account = hb_account_bonus(op, user_id);
    hb_entry_t entry = { .kind = "og", .key = buy->key, .user_id = user_id };
    apr_int64_t coins;
    apr_status_t rv = hb_ledger_balance(bonus, op, bonus_account);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (*bonus > terms->price_coins) {
        *bonus = terms->price_coins;
    }
    coins = terms->price_coins - *bonus;
    entry.reference = apr_psprintf(op->pool, "og:%d", terms->tier);
    rv = hb_entry_add(&entry, bonus_account, HB_BONUS, -*bonus);
    if (rv == APR_SUCCESS) {
        rv = hb_entry_add(&entry, HB_ACCOUNT_BONUS_REVENUE, HB_BONUS, *bonus);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_entry_add(&entry, hb_account_user(op, user_id), HB_COIN, -coins);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_entry_add(&entry, HB_ACCOUNT_REVENUE, HB_COIN, coins);
    }
    return rv == APR_SUCCESS ? hb_ledger_post(NULL, op, &entry) : rv;
}

static apr_status_t subscribe_work(hb_json_t **answer, hb_op_t *op, void *baton)
{
    const buy_t *buy = baton;
    const char *user_id = op->actor.user_id;
    apr_int64_t bonus = 0, balance = 0, bonus_balance = 0;
    hb_og_terms_t terms;
    hb_og_step_t step;
    apr_status_t rv;

    rv = hb_og_terms(&terms, op, buy->tier);
    if (rv == APR_SUCCESS) {
        rv = hb_debt_check(op, user_id);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_og_activate(&step, op, user_id, &terms);
    }
    if (rv == APR_SUCCESS) {
        rv = pay(&bonus, op, buy, &terms);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_ledger_balance(&balance, op, hb_account_user(op, user_id));
    }
    if (rv == APR_SUCCESS) {
        rv = hb_ledger_balance(&bonus_balance, op, hb_account_bonus(op, user_id));
    }
    if (rv == APR_SUCCESS) {
        *answer = hb_json_object_make(op->pool);
        hb_json_set_int(*answer, "ogLevel", step.level);
        hb_json_set_time(*answer, "ogExpiresAt", step.expires_at);
        hb_json_set_int(*answer, "creditedDays", step.credited_days);
        hb_json_set_int(*answer, "paidBonus", bonus);
        hb_json_set_int(*answer, "paidCoins", terms.price_coins - bonus);
        hb_json_set_int(*answer, "balance", balance);
        hb_json_set_int(*answer, "bonusBalance", bonus_balance);
    }
    return rv;
}

apr_status_t hb_og_subscribe(hb_json_t **reply, hb_op_t *op, const hb_json_t *input)
{
    buy_t buy = { NULL, (int)hb_json_int(input, "tier", 0) };
    apr_status_t rv;

    if (op->actor.user_id == NULL) {
        return hb_fail(op, HB_E_AUTH_REQUIRED, "sign in to buy an OG tier");
    }
    buy.key = apr_pstrcat(op->pool, "og:", hb_id_make(op), NULL);
    rv = hb_idem_transact(reply, op, "og", input, subscribe_work, &buy);
    if (rv == APR_SUCCESS && !op->is_replayed) {
        hb_user_changed(op, op->actor.user_id);
        hb_metric_add(op->site->metrics, HB_M_OG_SUBSCRIBED, 1);
    }
    return rv;
}
