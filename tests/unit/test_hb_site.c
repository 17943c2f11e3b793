/* SPDX-License-Identifier: Apache-2.0 */
#include "hb_site.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <apr_file_io.h>
#include <apr_strings.h>

#include "hb_keyring.h"
#include "hb_store.h"
#include "hb_test.h"
#include "hb_test_site.h"

#define SECRET_A "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SECRET_B "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"

START_TEST(keys_are_made_once_and_kept_private)
{
    hb_test_site_t *ts = hb_test_site_make(hb_test_pool);
    hb_site_t *again;
    struct stat info;
    const char *why, *path;

    path = apr_pstrcat(hb_test_pool, ts->dir, "/keys/access.keys", NULL);
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_int_eq(info.st_mode & 0777, 0640);
    path = apr_pstrcat(hb_test_pool, ts->dir, "/keys", NULL);
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_int_eq(info.st_mode & 07777 & ~0750, 0);
    path = apr_pstrcat(hb_test_pool, ts->dir, "/mail", NULL);
    ck_assert_int_eq(stat(path, &info), 0);

    ck_assert_int_eq(hb_site_make(&again, &why, ts->site->settings, NULL, hb_test_pool), 0);
    ck_assert_str_eq(hb_keyring_newest(ts->site->access_keys)->kid,
                     hb_keyring_newest(again->access_keys)->kid);
    ck_assert_str_ne(hb_keyring_newest(again->access_keys)->kid,
                     hb_keyring_newest(again->pepper_keys)->kid);
}
END_TEST

/* Where root gives a directory away another process of root's comes between. */
static void (*between)(void);

__attribute__((visibility("default")))
int lchown(const char *path, uid_t owner, gid_t group)
{
    void (*once)(void) = between;
    int status;

    if (once != NULL) {
        between = NULL;
        if (fork() == 0) {
            once();
            _exit(0);
        }
        ck_assert_int_gt(wait(&status), 0);
        ck_assert_int_eq(status, 0);
    }
    return fchownat(AT_FDCWD, path, owner, group, AT_SYMLINK_NOFOLLOW);
}

#define NOBODY 65534

static hb_settings_t given;

static void make_site(void)
{
    hb_site_t *site;
    const char *why;

    ck_assert_int_eq(hb_site_make(&site, &why, &given, NULL, hb_test_pool), 0);
}

static void is_given_away(const char *name)
{
    struct stat info;

    ck_assert_int_eq(stat(apr_pstrcat(hb_test_pool, given.state_dir, name, NULL), &info), 0);
    ck_assert_int_eq(info.st_uid, NOBODY);
    ck_assert_int_eq(info.st_gid, NOBODY);
}

START_TEST(what_two_of_root_make_at_once_is_the_run_users)
{
    hb_test_site_t *ts = hb_test_site_make(hb_test_pool);
    char *dir = apr_pstrcat(hb_test_pool, ts->dir, "/second", NULL);
    int dies;

    if (geteuid() != 0) {
        return;                 /* who is not root has nothing to give away */
    }
    given = *ts->site->settings;
    given.state_dir = dir;
    given.mail_spool = "";
    for (dies = 0; dies < 2; dies++) {
        ck_assert_int_eq(mkdir(dir, 0750), 0);
        ck_assert_int_eq(chown(dir, NOBODY, NOBODY), 0);
        if (dies) {             /* one before had made it, and no more */
            ck_assert_int_eq(mkdir(apr_pstrcat(hb_test_pool, dir, "/keys", NULL), 0750), 0);
        }
        between = make_site;
        make_site();
        ck_assert_ptr_null(between);
        is_given_away("/keys");
        is_given_away("/keys/access.keys");
        is_given_away("/keys/pepper.keys");
        dir = apr_pstrcat(hb_test_pool, ts->dir, "/third", NULL);
        given.state_dir = dir;
    }
}
END_TEST

static const char *refusal(const char *access, const char *refresh)
{
    hb_test_site_t *ts = hb_test_site_make(hb_test_pool);
    hb_settings_t settings = *ts->site->settings;
    hb_site_t *site;
    const char *why = NULL;

    setenv("TEST_ACCESS", access, 1);
    setenv("TEST_REFRESH", refresh, 1);
    settings.auth_secret = "env:TEST_ACCESS";
    settings.refresh_secret = "env:TEST_REFRESH";
    if (hb_site_make(&site, &why, &settings, NULL, hb_test_pool) == APR_SUCCESS) {
        ck_assert_int_eq(hb_keyring_newest(site->access_keys)->len, 64);
        return NULL;
    }
    ck_assert_ptr_null(site);
    return why;
}

START_TEST(secrets_have_to_be_long_and_to_differ)
{
    ck_assert_ptr_null(refusal(SECRET_A, SECRET_B));
    ck_assert_ptr_nonnull(strstr(refusal(SECRET_A, SECRET_A), "JWT_REFRESH_SECRET"));
    ck_assert_ptr_nonnull(strstr(refusal("short", SECRET_B), "HaloBuzzAuthSecret"));
    ck_assert_ptr_nonnull(strstr(refusal("short", SECRET_B), "64"));
    ck_assert_ptr_nonnull(strstr(refusal(SECRET_A, "short"), "HaloBuzzAuthRefreshSecret"));
}
END_TEST

START_TEST(an_open_site_takes_new_keys)
{
    hb_test_site_t *ts = hb_test_site_make(hb_test_pool);
    hb_settings_t settings = *ts->site->settings, other;
    hb_keyring_t *access, *pepper = ts->site->pepper_keys;
    const char *why;

    setenv("TEST_ACCESS", SECRET_A, 1);
    settings.auth_secret = "env:TEST_ACCESS";
    ck_assert_int_eq(hb_site_renew(ts->site, &why, &settings, hb_test_pool), 0);
    ck_assert_ptr_eq(ts->site->settings, &settings);
    access = ts->site->access_keys;
    ck_assert_int_eq(hb_keyring_newest(access)->len, 64);
    /* As it was: nothing is taken. */
    other = settings;
    other.auth_secret = apr_pstrdup(hb_test_pool, settings.auth_secret);
    ck_assert_int_eq(hb_site_renew(ts->site, &why, &other, hb_test_pool), 0);
    ck_assert_ptr_eq(ts->site->settings, &settings);
    /* Keys as they were: the same ones stay, whatever else is new. */
    other.realtime_calls++;
    ck_assert_int_eq(hb_site_renew(ts->site, &why, &other, hb_test_pool), 0);
    ck_assert_ptr_eq(ts->site->settings, &other);
    ck_assert_ptr_eq(ts->site->access_keys, access);
    setenv("TEST_ACCESS", SECRET_B, 1);
    settings.agora_certificate = "env:TEST_ACCESS";
    ck_assert_int_eq(hb_site_renew(ts->site, &why, &settings, hb_test_pool), 0);
    ck_assert_ptr_ne(ts->site->access_keys, access);
    ck_assert_str_eq(ts->site->agora_certificate, SECRET_B);
    /* What is wrong changes nothing. */
    access = ts->site->access_keys;
    other.auth_secret = "env:TEST_UNSET";
    ck_assert_int_eq(hb_site_renew(ts->site, &why, &other, hb_test_pool), HB_E_CONFIG);
    ck_assert_ptr_nonnull(strstr(why, "TEST_UNSET"));
    ck_assert_ptr_eq(ts->site->settings, &settings);
    ck_assert_ptr_eq(ts->site->access_keys, access);
    ck_assert_int_eq(memcmp(hb_keyring_mark(ts->site->pepper_keys), hb_keyring_mark(pepper),
                            HB_KEYRING_MARK_BYTES), 0);
}
END_TEST

START_TEST(a_secret_that_is_not_there_is_named)
{
    hb_test_site_t *ts = hb_test_site_make(hb_test_pool);
    hb_settings_t settings = *ts->site->settings;
    hb_site_t *site;
    const char *why;

    settings.smtp_password = "file:/nowhere/at/all";
    ck_assert_int_eq(hb_site_make(&site, &why, &settings, NULL, hb_test_pool), HB_E_CONFIG);
    ck_assert_ptr_nonnull(strstr(why, "HaloBuzzSMTPPassword"));
    ck_assert_ptr_nonnull(strstr(why, "/nowhere/at/all"));
    settings = *ts->site->settings;
    settings.state_dir = "/nowhere/at/all";
    ck_assert_int_eq(hb_site_make(&site, &why, &settings, NULL, hb_test_pool), HB_E_CONFIG);
    ck_assert_ptr_nonnull(strstr(why, "HaloBuzzStateDir"));
}
END_TEST

START_TEST(a_real_site_has_clock_and_randomness)
{
    hb_test_site_t *ts = hb_test_site_make(hb_test_pool);
    unsigned char a[16], b[16];
    hb_site_t *site;
    const char *why;

    ck_assert_int_eq(hb_site_make(&site, &why, ts->site->settings, NULL, hb_test_pool), 0);
    ck_assert(site->clock(site->baton) - apr_time_now() < APR_USEC_PER_SEC);
    ck_assert_int_eq(site->random(site->baton, a, sizeof(a)), 0);
    ck_assert_int_eq(site->random(site->baton, b, sizeof(b)), 0);
    ck_assert_int_ne(memcmp(a, b, sizeof(a)), 0);
    ck_assert_int_eq(*site->maintenance, 0);
}
END_TEST

/* What a pool of connections to MongoDB may hold, by URL, setting and threads. */
START_TEST(pools_follow_the_threads)
{
    static const struct { const char *url; int pool_max, threads, sidecar, most; } rows[] = {
        { "sqlite:halobuzz.db", 0, 25, 16, 0 },
        { "mongodb://h/db", 0, 25, 16, 50 },
        { "mongodb://h/db", 0, 1, 16, 20 },
        { "mongodb://h/db", 0, 5000, 16, 1000 },
        { "mongodb://h/db", 0, 0, 16, 100 },
        { "mongodb://h/db", 0, 0, 256, 512 },
        { "mongodb+srv://h.example/db", 7, 25, 16, 7 },
        { "mongodb://h/db?w=1&maxPoolSize=9", 7, 25, 16, 9 },
        { "mongodb://h/db?maxpoolsize=9&w=1", 0, 25, 16, 9 },
        { "mongodb://h/maxPoolSize=9", 0, 25, 16, 50 },
    };
    hb_settings_t settings;
    hb_site_t site;
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        memset(&site, 0, sizeof(site));
        memset(&settings, 0, sizeof(settings));
        site.settings = &settings;
        site.n_threads = rows[i].threads;
        settings.store_pool_max = rows[i].pool_max;
        settings.realtime_threads = rows[i].sidecar;
        ck_assert_msg(hb_store_connections_most(&site, rows[i].url) == rows[i].most, "row %d: %d",
                      (int)i, hb_store_connections_most(&site, rows[i].url));
    }
}
END_TEST

START_TEST(a_test_site_repeats)
{
    hb_test_site_t *one = hb_test_site_make(hb_test_pool);
    hb_op_t *op = hb_test_site_op(one);
    const char *first = op->request_id;

    ck_assert_int_eq(op->now, HB_TEST_SITE_START);
    one->now += 5;
    ck_assert_int_eq(hb_test_site_op(one)->now, HB_TEST_SITE_START + 5);
    ck_assert_str_ne(hb_test_site_op(one)->request_id, first);
    hb_log(op, HB_LOG_INFO, 0, "a line");
    ck_assert(hb_test_site_logged(one, "a line") && !hb_test_site_logged(one, "another"));
    hb_test_site_forget_log(one);
    ck_assert(!hb_test_site_logged(one, "a line"));
    one->seed = 1;
    ck_assert_str_eq(hb_test_site_op(one)->request_id, first);
}
END_TEST

START_TEST(an_open_site_keeps_records)
{
    hb_test_site_t *ts = hb_test_site_make(hb_test_pool);
    hb_json_t *doc = hb_json_object_make(hb_test_pool);
    hb_op_t *op;

    hb_test_site_open(ts);
    op = hb_test_site_op(ts);
    hb_json_set_string(doc, "action", "site.test");
    ck_assert_int_eq(hb_store_insert(NULL, op, HB_C_AUDIT, doc), APR_SUCCESS);
    ck_assert_int_eq(hb_store_get(&doc, op, HB_C_AUDIT, hb_json_string(doc, "_id")),
                     APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(doc, "action"), "site.test");
    ck_assert_ptr_nonnull(ts->site->limit);
    ck_assert_ptr_nonnull(ts->site->metrics);
}
END_TEST

START_TEST(memory_that_does_not_fit_is_told)
{
    hb_test_site_t *ts = hb_test_site_make(hb_test_pool);
    hb_site_memory_t memory = { 0 };

    memory.limit = apr_pcalloc(hb_test_pool, 64);
    memory.limit_bytes = 64;
    memory.metrics = apr_pcalloc(hb_test_pool, 64);
    memory.metrics_bytes = 64;
    ck_assert_int_eq(hb_site_open(ts->site, &memory, ts->pool), APR_SUCCESS);
    ck_assert(hb_test_site_logged(ts, "limiter cannot be used"));
    ck_assert(hb_test_site_logged(ts, "counters cannot be used"));
    ck_assert_ptr_nonnull(ts->site->limit);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        keys_are_made_once_and_kept_private, what_two_of_root_make_at_once_is_the_run_users,
        secrets_have_to_be_long_and_to_differ,
        an_open_site_takes_new_keys,
        a_secret_that_is_not_there_is_named, a_real_site_has_clock_and_randomness,
        pools_follow_the_threads, a_test_site_repeats, an_open_site_keeps_records,
        memory_that_does_not_fit_is_told, NULL
    };
    return hb_test_main("hb_site", cases);
}
