/* SPDX-License-Identifier: Apache-2.0 */
/* What the benches of the core share. */
#include "bench_desk.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <apr_strings.h>

#include "hb_clock.h"
#include "hb_settings.h"
#include "hb_time.h"

double bench_now(void)
{
    return (double)hb_clock() / 1e6;
}

static void __attribute__((noreturn)) die(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, why);
    exit(1);
}

void bench_must(apr_status_t rv, const char *what)
{
    char text[128];

    if (rv != APR_SUCCESS) {
        die(what, hb_strerror(rv, text, sizeof(text)));
    }
}

void bench_print_line(void *baton, hb_level_e level, apr_status_t status,
                      const char *request_id, const char *line)
{
    (void)baton;
    (void)status;
    (void)request_id;
    if (level <= HB_LOG_WARNING) {
        fprintf(stderr, "%s\n", line);
    }
}

hb_site_t *bench_site(apr_pool_t *pool, const char *dir, ...)
{
    static const hb_log_t log = { bench_print_line, NULL, HB_LOG_WARNING };
    hb_settings_draft_t *draft = hb_settings_draft_make(pool);
    const char *why = hb_settings_set(draft, hb_setting_row("HaloBuzzStateDir"), dir, pool);
    const char *name;
    hb_site_t *site;
    va_list args;

    va_start(args, dir);
    while (why == NULL && (name = va_arg(args, const char *)) != NULL) {
        why = hb_settings_set(draft, hb_setting_row(name), va_arg(args, const char *), pool);
    }
    va_end(args);
    if (why != NULL || (why = hb_settings_finish(draft, pool)) != NULL
        || hb_site_make(&site, &why, &draft->values, &log, pool) != APR_SUCCESS) {
        die("no site", why);
    }
    bench_must(hb_site_open(site, NULL, pool), "open");
    return site;
}

hb_json_t *bench_user(hb_op_t *op, const char *name)
{
    hb_json_t *user = hb_json_object_make(op->pool);
    apr_int64_t when = hb_time_to_msec(op->now);

    hb_json_set_string(user, "email", apr_pstrcat(op->pool, name, "@example.com", NULL));
    hb_json_set_string(user, "username", name);
    hb_json_set_string(user, "usernameKey", name);
    hb_json_set_string(user, "usernameSkeleton", name);
    hb_json_set_string(user, "passwordHash",
                       "$2y$12$Q9r1yB8Jm2Wc4k5L6n7P8eJm2Wc4k5L6n7P8eQ9r1yB8Jm2Wc4k5L");
    hb_json_set(user, "roles", hb_json_array_make(op->pool));
    hb_json_set_string(user, "status", "active");
    hb_json_set_string(user, "displayName", name);
    hb_json_set_string(user, "country", "NP");
    hb_json_set_int(user, "ogLevel", 0);
    hb_json_put_at(user, "coins.balance", hb_json_int_make(0, op->pool));
    hb_json_put_at(user, "coins.bonusBalance", hb_json_int_make(0, op->pool));
    hb_json_put_at(user, "coins.totalEarned", hb_json_int_make(0, op->pool));
    hb_json_put_at(user, "coins.totalSpent", hb_json_int_make(0, op->pool));
    hb_json_put_at(user, "trust.score", hb_json_int_make(50, op->pool));
    hb_json_put_at(user, "trust.level", hb_json_string_make("medium", op->pool));
    hb_json_set_int(user, "followers", 0);
    hb_json_set_int(user, "following", 0);
    hb_json_set_int(user, "createdAt", when);
    hb_json_set_int(user, "updatedAt", when);
    return user;
}
