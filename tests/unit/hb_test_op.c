/* SPDX-License-Identifier: Apache-2.0 */
/* An op for tests that need no store; see hb_test_op.h. */
#include "hb_test_op.h"

#include <string.h>

#include <check.h>

#include "hb_keyring.h"

#define ACCESS "an access secret of tests that is long enough to be taken as a key 0123456789"
#define PEPPER "a pepper secret of tests that is long enough to be taken as a key 0123456789"

static apr_time_t desk_clock(void *baton)
{
    return ((hb_test_desk_t *)baton)->now;
}

/* splitmix64: repeatable, and every call gives other bytes. */
static apr_status_t desk_random(void *baton, unsigned char *out, apr_size_t n)
{
    hb_test_desk_t *desk = baton;
    apr_uint64_t z;
    apr_size_t i;

    for (i = 0; i < n; i++) {
        desk->seed += 0x9e3779b97f4a7c15ULL;
        z = desk->seed;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
        out[i] = (unsigned char)(z >> 32);
    }
    return APR_SUCCESS;
}

hb_test_desk_t *hb_test_desk_make(apr_pool_t *pool)
{
    hb_test_desk_t *desk = apr_pcalloc(pool, sizeof(*desk));
    const char *why;

    desk->now = HB_TEST_NOW;
    desk->seed = 42;
    desk->settings.auth_issuer = "halobuzz";
    desk->settings.access_ttl = apr_time_from_sec(900);
    desk->settings.password_cost = 4;
    desk->settings.staff_totp = 1;
    desk->settings.mail_from = "no-reply@example.com";
    desk->settings.smtp_url = "";
    desk->settings.smtp_user = "";
    desk->settings.agora_app_id = "";
    desk->site.settings = &desk->settings;
    desk->site.pool = pool;
    desk->site.clock = desk_clock;
    desk->site.random = desk_random;
    desk->site.baton = desk;
    ck_assert_int_eq(hb_keyring_from_secret(&desk->site.access_keys, &why, ACCESS, pool), 0);
    ck_assert_int_eq(hb_keyring_from_secret(&desk->site.pepper_keys, &why, PEPPER, pool), 0);
    return desk;
}

hb_op_t *hb_test_op_make(hb_test_desk_t *desk, apr_pool_t *pool)
{
    return hb_op_make(&desk->site, pool);
}
