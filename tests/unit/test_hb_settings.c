/* SPDX-License-Identifier: Apache-2.0 */
#include "hb_settings.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <apr_file_info.h>
#include <apr_file_io.h>
#include <apr_strings.h>

#include "hb_settings_private.h"
#include "hb_test.h"

static const char *set(hb_settings_draft_t *draft, const char *directive, const char *value)
{
    const hb_setting_row_t *row = hb_setting_row(directive);

    ck_assert_msg(row != NULL, "%s", directive);
    return hb_settings_set(draft, row, value, hb_test_pool);
}

static void forget_environment(void)
{
    const hb_setting_row_t *row;
    char *state, *name;

    for (row = hb_setting_rows(); row->directive != NULL; row++) {
        for (name = apr_strtok(apr_pstrdup(hb_test_pool, row->env), " ", &state);
             name != NULL; name = apr_strtok(NULL, " ", &state)) {
            unsetenv(name);
        }
    }
}

START_TEST(defaults_are_acceptable)
{
    hb_settings_draft_t *draft = hb_settings_draft_make(hb_test_pool);
    const hb_settings_t *settings = &draft->values;

    forget_environment();
    ck_assert_ptr_null(hb_settings_finish(draft, hb_test_pool));
    ck_assert_str_eq(settings->environment, "production");
    ck_assert_int_eq(settings->body_max, 1048576);
    ck_assert_int_eq(settings->store_slow, 100000);
    ck_assert_int_eq(settings->access_ttl, 24 * 3600 * APR_USEC_PER_SEC);
    ck_assert_int_eq(settings->maintenance, 0);
    ck_assert_int_eq(settings->staff_totp, 1);
    ck_assert_str_eq(settings->state_dir, "/var/lib/halobuzz");
    ck_assert_str_eq(settings->mail_spool, "/var/lib/halobuzz/mail");
    ck_assert_str_eq(settings->access_log, "");
    ck_assert_str_eq(settings->auth_secret, "");
}
END_TEST

START_TEST(directive_beats_environment_beats_default)
{
    hb_settings_draft_t *draft = hb_settings_draft_make(hb_test_pool);

    forget_environment();
    setenv("NODE_ENV", "staging", 1);
    setenv("MAINTENANCE_MODE", "true", 1);
    setenv("FRONTEND_URL", "", 1);
    ck_assert_ptr_null(set(draft, "halobuzzenvironment", "development"));
    ck_assert_ptr_null(hb_settings_finish(draft, hb_test_pool));
    ck_assert_str_eq(draft->values.environment, "development");
    ck_assert_int_eq(draft->values.maintenance, 1);
    ck_assert_str_eq(draft->values.public_url, "https://localhost:8443");
}
END_TEST

START_TEST(aliases_are_put_into_our_form)
{
    hb_settings_draft_t *draft = hb_settings_draft_make(hb_test_pool);

    forget_environment();
    setenv("JWT_SECRET", "a literal secret", 1);
    setenv("AGORA_PRIMARY_KEY", "x", 1);
    setenv("SMTP_HOST", "mail.example.com", 1);
    setenv("CORS_ORIGIN", "https://a.example.com, https://b.example.com/", 1);
    ck_assert_ptr_null(hb_settings_finish(draft, hb_test_pool));
    ck_assert_str_eq(draft->values.auth_secret, "env:JWT_SECRET");
    ck_assert_str_eq(draft->values.agora_certificate, "env:AGORA_PRIMARY_KEY");
    ck_assert_str_eq(draft->values.smtp_url, "smtp://mail.example.com:587");
    ck_assert_str_eq(draft->values.cors_origins,
                     "https://a.example.com,https://b.example.com");
    draft = hb_settings_draft_make(hb_test_pool);
    setenv("SMTP_HOST", "mail.example.com:25", 1);
    setenv("AGORA_APP_CERT", "y", 1);
    setenv("DB_POOL_SIZE", "20", 1);
    setenv("DB_POOL_MAX", "50", 1);
    ck_assert_ptr_null(hb_settings_finish(draft, hb_test_pool));
    ck_assert_int_eq(draft->values.store_pool_max, 50);
    ck_assert_str_eq(draft->values.smtp_url, "smtp://mail.example.com:25");
    ck_assert_str_eq(draft->values.agora_certificate, "env:AGORA_APP_CERT");
}
END_TEST

/* What is refused, and the parts that the sentence has to have. */
static const struct { const char *directive, *value, *has[3]; } bad[] = {
    { "HaloBuzzAuthTokenTTL", "soon", { "HaloBuzzAuthTokenTTL", "\"soon\"", "24h" } },
    { "HaloBuzzAuthTokenTTL", "",     { "no duration", "1h30m" } },
    { "HaloBuzzAuthTokenTTL", "1s",   { "1s", "30s to 30d" } },
    { "HaloBuzzAuthTokenTTL", "1.5h", { "no duration" } },
    { "HaloBuzzAuthTokenTTL", "5 m",  { "no duration" } },
    { "HaloBuzzAuthTokenTTL", "1h30", { "no duration" } },
    { "HaloBuzzAuthTokenTTL", "99999999999999999999d", { "no duration" } },
    { "HaloBuzzAuthTokenTTL", "9223372036854775807d", { "no duration" } },
    { "HaloBuzzBodyMax",      "1T",   { "no size", "64K" } },
    { "HaloBuzzBodyMax",      "1G",   { "out of range", "1K to 64M" } },
    { "HaloBuzzBodyMax",      "-1",   { "no size" } },
    { "HaloBuzzPasswordCost", "40",   { "4 to 17", "HaloBuzzPasswordCost 12" } },
    { "HaloBuzzPasswordCost", "12.5", { "whole number" } },
    { "HaloBuzzPasswordCost", "-5",   { "-5", "4 to 17" } },
    { "HaloBuzzPasswordCost", "",     { "whole number" } },
    { "HaloBuzzMaintenance",  "maybe", { "neither on nor off", "HaloBuzzMaintenance off" } },
    { "HaloBuzzAuthSecret",   "swordfish", { "HaloBuzzAuthSecret", "file:" } },
    { "HaloBuzzEnvironment",  "a\nb", { "control" } },
    { "HaloBuzzPublicURL",    "example.com", { "https://" } },
    { "HaloBuzzPublicURL",    "ftp://example.com", { "https://" } },
    { "HaloBuzzPublicURL",    "https://u:p@example.com", { "no address" } },
    { "HaloBuzzCORSOrigin",   "*",    { "every page", "https://app.example.com" } },
    { "HaloBuzzCORSOrigin",   "https://a.example.com/path", { "no origin" } },
    { "HaloBuzzAdminEmail",   "nobody", { "no mail address" } },
    { "HaloBuzzMailFrom",     "A <a@example.com>", { "no mail address", "no-reply@localhost" } },
    { "HaloBuzzSMTP",         "mail.example.com", { "smtp://host:587" } },
    { "HaloBuzzSMTP",         "smtp://u:p@mail.example.com", { "HaloBuzzSMTPUser", "smtp://...@mail" } },
    { "HaloBuzzAgoraAppId",   "your_app_id", { "32 hex digits" } },
    { "HaloBuzzStore",        "mongodb://u:p w@host/db", { "HaloBuzzStore", "%20" } },
    { "HaloBuzzCache",        "redis://:p w@host", { "HaloBuzzCache", "%20" } },
    { "HaloBuzzStore",        "file:url", { "HaloBuzzStore", "absolute path" } },
    { "HaloBuzzBus",          "kafka:x", { "HaloBuzzBus", "kafka", "local:" } },
};

START_TEST(refusals_teach)
{
    hb_settings_draft_t *draft = hb_settings_draft_make(hb_test_pool);
    const char *problem;
    size_t i, k;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        problem = set(draft, bad[i].directive, bad[i].value);
        ck_assert_msg(problem != NULL, "%s %s was taken", bad[i].directive, bad[i].value);
        ck_assert_msg(strstr(problem, "for instance: HaloBuzz") != NULL, "%s", problem);
        for (k = 0; k < 3 && bad[i].has[k] != NULL; k++) {
            ck_assert_msg(strstr(problem, bad[i].has[k]) != NULL, "%s lacks %s", problem,
                          bad[i].has[k]);
        }
    }
}
END_TEST

START_TEST(a_wrong_variable_is_named)
{
    hb_settings_draft_t *draft = hb_settings_draft_make(hb_test_pool);
    const char *problem;

    forget_environment();
    setenv("MAINTENANCE_MODE", "perhaps", 1);
    problem = hb_settings_finish(draft, hb_test_pool);
    ck_assert_ptr_nonnull(problem);
    ck_assert_ptr_nonnull(strstr(problem, "MAINTENANCE_MODE"));
    ck_assert_ptr_nonnull(strstr(problem, "HaloBuzzMaintenance"));
}
END_TEST

START_TEST(backends_without_a_driver_are_told)
{
    hb_settings_draft_t *draft = hb_settings_draft_make(hb_test_pool);
    const char *problem;

    forget_environment();
    setenv("MONGODB_URI", "mysql://u:p@cluster.example.com/db", 1);
    problem = hb_settings_finish(draft, hb_test_pool);
    ck_assert_ptr_nonnull(problem);
    ck_assert_ptr_nonnull(strstr(problem, "MONGODB_URI"));
    ck_assert_ptr_nonnull(strstr(problem, "HaloBuzzStore"));
    ck_assert_ptr_nonnull(strstr(problem, "sqlite:"));
    ck_assert_ptr_null(strstr(problem, "u:p"));
    unsetenv("MONGODB_URI");
    setenv("REDIS_URL", "rediss://:pw@redis.example.com:6380/0", 1);
    problem = hb_settings_finish(hb_settings_draft_make(hb_test_pool), hb_test_pool);
    ck_assert_ptr_nonnull(problem);
    ck_assert_ptr_nonnull(strstr(problem, "REDIS_URL"));
    ck_assert_ptr_nonnull(strstr(problem, "HaloBuzzCache"));
    ck_assert_ptr_nonnull(strstr(problem, "shm:"));
    ck_assert_ptr_null(strstr(problem, "pw"));
}
END_TEST

/* A URL that a process may be started with, and how it stands in the log. */
START_TEST(a_url_is_shown_without_its_secrets)
{
    static const struct { const char *url, *shown; } rows[] = {
        { "sqlite:halobuzz.db", "sqlite:halobuzz.db" },
        { "redis://host:6379/1", "redis://host:6379/1" },
        { "redis://:pa,ss@host", "redis://:***@host" },
        { "mongodb://user:pa,ss@h1:1,h2:2/db?w=1", "mongodb://user:***@h1:1,h2:2/db?w=1" },
        { "mongodb://h/db?tlsCertificateKeyFilePassword=pass&w=1",
          "mongodb://h/db?tlsCertificateKeyFilePassword=***&w=1" },
        { "mongodb://h/db?authMechanismProperties=AWS_SESSION_TOKEN:pass",
          "mongodb://h/db?authMechanismProperties=***" },
        { "https://a.example.com,https://b.example.com:8443",
          "https://a.example.com,https://b.example.com:8443" },
        { "HaloBuzzCache redis://:pa,ss@host: no", "HaloBuzzCache redis://:***@host: no" },
    };
    unsigned int i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_str_eq(hb_url_shown(rows[i].url, hb_test_pool), rows[i].shown);
    }
}
END_TEST

/* A file of mode 0600 that holds this. */
static const char *file_with(const char *text)
{
    char *path = apr_pstrdup(hb_test_pool, "/tmp/hb_settings.XXXXXX");
    apr_file_t *file;

    ck_assert_int_eq(apr_file_mktemp(&file, path, APR_FOPEN_CREATE | APR_FOPEN_WRITE
                                      | APR_FOPEN_EXCL, hb_test_pool), 0);
    apr_file_puts(text, file);
    apr_file_close(file);
    return path;
}

START_TEST(a_url_may_come_from_where_secrets_do)
{
    hb_settings_draft_t *draft = hb_settings_draft_make(hb_test_pool);
    const hb_settings_t *resolved;
    const char *path = file_with("sqlite:apart.db\n");

    forget_environment();
    ck_assert_ptr_null(set(draft, "HaloBuzzStore", apr_pstrcat(hb_test_pool, "file:", path, NULL)));
    ck_assert_ptr_null(set(draft, "HaloBuzzBus", "exec:/bin/echo local:apart.bus"));
    setenv("REDIS_URL", "env:TEST_CACHE_URL", 1);
    setenv("TEST_CACHE_URL", "shm:", 1);
    ck_assert_ptr_null(hb_settings_finish(draft, hb_test_pool));
    ck_assert_ptr_null(hb_settings_resolve(&resolved, &draft->values, hb_test_pool));
    ck_assert_str_eq(resolved->store_url, "sqlite:apart.db");
    ck_assert_str_eq(resolved->bus_url, "local:apart.bus");
    ck_assert_str_eq(resolved->cache_url, "shm:");
    ck_assert_str_eq(resolved->mail_spool, draft->values.mail_spool);
    /* What is shown and saved is where they are. */
    ck_assert_str_eq(draft->values.store_url + strlen("file:"), path);
    ck_assert_str_eq(draft->values.cache_url, "env:TEST_CACHE_URL");
    unsetenv("REDIS_URL");
    apr_file_remove(path, hb_test_pool);
}
END_TEST

START_TEST(urls_as_they_are_need_no_copy)
{
    hb_settings_draft_t *draft = hb_settings_draft_make(hb_test_pool);
    const hb_settings_t *resolved;

    forget_environment();
    ck_assert_ptr_null(hb_settings_finish(draft, hb_test_pool));
    ck_assert_ptr_null(hb_settings_resolve(&resolved, &draft->values, hb_test_pool));
    ck_assert_ptr_eq(resolved, &draft->values);
}
END_TEST

/* What a file holds in place of a URL, and what is said of it: never any of it. */
START_TEST(what_is_no_url_is_not_told)
{
    static const struct { const char *text, *says; } rows[] = {
        { "hushhush", "none of what HaloBuzzStore takes" },
        { "hushhush:more", "none of what HaloBuzzStore takes" },
        { "mysql://me:hushhush@host/db", "no backend takes 'mysql:" },
        { "sqlite:hushhush\nsqlite:other\n", "more than one line" },
        { "\n", "is empty" },
    };
    hb_settings_draft_t *draft = hb_settings_draft_make(hb_test_pool);
    const hb_settings_t *resolved;
    const char *why, *path;
    apr_size_t i;

    forget_environment();
    ck_assert_ptr_null(hb_settings_finish(draft, hb_test_pool));
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        path = file_with(rows[i].text);
        draft->values.store_url = apr_pstrcat(hb_test_pool, "file:", path, NULL);
        why = hb_settings_resolve(&resolved, &draft->values, hb_test_pool);
        ck_assert_msg(why != NULL && strstr(why, rows[i].says) != NULL, "%s", why);
        ck_assert_msg(strstr(why, "hushhush") == NULL, "%s", why);
        ck_assert_int_eq(strncmp(why, "HaloBuzzStore: ", 15), 0);
        apr_file_remove(path, hb_test_pool);
    }
    path = file_with("sqlite:x.db");
    ck_assert_int_eq(apr_file_perms_set(path, 0x644), 0);
    draft->values.store_url = apr_pstrcat(hb_test_pool, "file:", path, NULL);
    why = hb_settings_resolve(&resolved, &draft->values, hb_test_pool);
    ck_assert_msg(why != NULL && strstr(why, "chmod") != NULL, "%s", why);
    apr_file_remove(path, hb_test_pool);
}
END_TEST

START_TEST(every_example_would_be_taken)
{
    const hb_setting_row_t *row;
    const char *problem, *example;
    hb_settings_draft_t *draft = hb_settings_draft_make(hb_test_pool);

    for (row = hb_setting_rows(); row->directive != NULL; row++) {
        problem = hb_settings_set(draft, row, "\x01", hb_test_pool);
        ck_assert_msg(problem != NULL, "%s", row->directive);
        example = strstr(problem, "for instance: ");
        ck_assert_msg(example != NULL, "%s", problem);
        example = strchr(example + strlen("for instance: "), ' ');
        problem = hb_settings_set(draft, row, example + 1, hb_test_pool);
        ck_assert_msg(problem == NULL, "%s", problem);
    }
}
END_TEST

START_TEST(units_are_read)
{
    apr_interval_time_t usec;
    apr_int64_t bytes;

    ck_assert_ptr_null(hb_duration_read(&usec, "250ms", hb_test_pool));
    ck_assert_int_eq(usec, 250000);
    ck_assert_ptr_null(hb_duration_read(&usec, "1h30m", hb_test_pool));
    ck_assert_int_eq(usec, 5400 * APR_USEC_PER_SEC);
    ck_assert_ptr_null(hb_duration_read(&usec, "90", hb_test_pool));
    ck_assert_int_eq(usec, 90 * APR_USEC_PER_SEC);
    ck_assert_ptr_null(hb_duration_read(&usec, "2D", hb_test_pool));
    ck_assert_int_eq(usec, 172800 * APR_USEC_PER_SEC);
    ck_assert_ptr_null(hb_size_read(&bytes, "64k", hb_test_pool));
    ck_assert_int_eq(bytes, 65536);
    ck_assert_ptr_null(hb_size_read(&bytes, "17", hb_test_pool));
    ck_assert_int_eq(bytes, 17);
}
END_TEST

START_TEST(lists_grow)
{
    hb_settings_draft_t *draft = hb_settings_draft_make(hb_test_pool);

    ck_assert_ptr_null(set(draft, "HaloBuzzAdminEmail", "A@Example.com b@example.com"));
    ck_assert_ptr_null(set(draft, "HaloBuzzAdminEmail", "c@example.com,"));
    ck_assert_str_eq(draft->values.admin_emails, "a@example.com,b@example.com,c@example.com");
}
END_TEST

START_TEST(paths_lie_below_the_state_directory)
{
    hb_settings_draft_t *draft = hb_settings_draft_make(hb_test_pool);

    forget_environment();
    ck_assert_ptr_null(set(draft, "HaloBuzzStateDir", "/srv/hb/"));
    ck_assert_ptr_null(set(draft, "HaloBuzzAccessLog", "|/usr/bin/rotatelogs x"));
    ck_assert_ptr_null(set(draft, "HaloBuzzReservedNames", "/etc/names"));
    ck_assert_ptr_null(hb_settings_finish(draft, hb_test_pool));
    ck_assert_str_eq(draft->values.mail_spool, "/srv/hb/mail");
    ck_assert_str_eq(draft->values.access_log, "|/usr/bin/rotatelogs x");
    ck_assert_str_eq(draft->values.reserved_names, "/etc/names");
    draft = hb_settings_draft_make(hb_test_pool);
    ck_assert_ptr_null(set(draft, "HaloBuzzStateDir", "var"));
    ck_assert_ptr_nonnull(strstr(hb_settings_finish(draft, hb_test_pool), "absolute"));
}
END_TEST

START_TEST(a_saved_file_gives_the_same_settings)
{
    hb_settings_draft_t *draft = hb_settings_draft_make(hb_test_pool);
    const hb_settings_t *loaded;
    const hb_setting_row_t *row;
    const char *path, *dir;
    apr_finfo_t info;

    forget_environment();
    ck_assert_int_eq(apr_temp_dir_get(&dir, hb_test_pool), 0);
    path = apr_psprintf(hb_test_pool, "%s/hb-settings-%d", dir, (int)getpid());
    setenv("JWT_SECRET", "in the environment", 1);
    ck_assert_ptr_null(set(draft, "HaloBuzzStoreSlow", "1500ms"));
    ck_assert_ptr_null(set(draft, "HaloBuzzCacheSize", "3G"));
    ck_assert_ptr_null(set(draft, "HaloBuzzAdminEmail", "a@example.com b@example.com"));
    ck_assert_ptr_null(hb_settings_finish(draft, hb_test_pool));
    ck_assert_int_eq(hb_settings_save(&draft->values, path, (gid_t)-1, hb_test_pool), 0);
    ck_assert_int_eq(apr_stat(&info, path, APR_FINFO_PROT, hb_test_pool), 0);
    ck_assert_int_eq(info.protection, 0x640);
    unsetenv("JWT_SECRET");
    setenv("NODE_ENV", "must not be looked at", 1);
    ck_assert_ptr_null(hb_settings_load(&loaded, path, hb_test_pool));
    for (row = hb_setting_rows(); row->directive != NULL; row++) {
        ck_assert_str_eq(hb_settings_text(loaded, row, hb_test_pool),
                         hb_settings_text(&draft->values, row, hb_test_pool));
    }
    ck_assert_int_eq(loaded->store_slow, 1500000);
    ck_assert_str_eq(loaded->auth_secret, "env:JWT_SECRET");
    apr_file_remove(path, hb_test_pool);
}
END_TEST

START_TEST(a_wrong_line_is_named)
{
    hb_settings_draft_t *draft = hb_settings_draft_make(hb_test_pool);
    const hb_settings_t *settings;
    const char *problem;

    problem = hb_settings_read(draft, "x.conf", "# note\n\nHaloBuzzBodyMax 2M\r\nNonsense 1\n",
                               hb_test_pool);
    ck_assert_ptr_nonnull(strstr(problem, "x.conf, line 4"));
    ck_assert_ptr_nonnull(strstr(problem, "Nonsense"));
    ck_assert_int_eq(draft->values.body_max, 2097152);
    problem = hb_settings_load(&settings, "/nowhere/at/all", hb_test_pool);
    ck_assert_ptr_nonnull(strstr(problem, "/nowhere/at/all"));
    ck_assert_ptr_null(settings);
}
END_TEST

START_TEST(a_directory_that_is_not_there_fails_the_save)
{
    hb_settings_draft_t *draft = hb_settings_draft_make(hb_test_pool);

    forget_environment();
    ck_assert_ptr_null(hb_settings_finish(draft, hb_test_pool));
    ck_assert_int_ne(hb_settings_save(&draft->values, "/nowhere/at/all", (gid_t)-1,
                                      hb_test_pool), 0);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        defaults_are_acceptable, directive_beats_environment_beats_default,
        aliases_are_put_into_our_form, refusals_teach, a_wrong_variable_is_named,
        backends_without_a_driver_are_told, a_url_is_shown_without_its_secrets,
        a_url_may_come_from_where_secrets_do, urls_as_they_are_need_no_copy, what_is_no_url_is_not_told,
        every_example_would_be_taken, units_are_read, lists_grow,
        paths_lie_below_the_state_directory, a_saved_file_gives_the_same_settings,
        a_wrong_line_is_named, a_directory_that_is_not_there_fails_the_save, NULL
    };
    return hb_test_main("hb_settings", cases);
}
