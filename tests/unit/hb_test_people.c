/* SPDX-License-Identifier: Apache-2.0 */
/* Accounts on a test site; see hb_test_people.h. */
#include "hb_test_people.h"

#include <stdarg.h>
#include <string.h>

#include <apr_file_info.h>
#include <apr_file_io.h>
#include <apr_strings.h>

#include "hb_account.h"
#include "hb_mail.h"
#include "hb_session.h"
#include "hb_test.h"

#define MAIL_MAX_BYTES 16384

hb_json_t *hb_test_input(const char *key, ...)
{
    hb_json_t *input = hb_json_object_make(hb_test_pool);
    va_list args;

    va_start(args, key);
    while (key != NULL) {
        hb_json_set_string(input, key, va_arg(args, const char *));
        key = va_arg(args, const char *);
    }
    va_end(args);
    return input;
}

static void take(hb_test_person_t *person, const hb_json_t *reply)
{
    person->id = apr_pstrdup(hb_test_pool,
                             hb_json_string_value(hb_json_at(reply, "user.id")));
    person->access = apr_pstrdup(hb_test_pool, hb_json_string(reply, "accessToken"));
    person->refresh = apr_pstrdup(hb_test_pool, hb_json_string(reply, "refreshToken"));
    person->session_id = apr_pstrdup(hb_test_pool, hb_json_string(reply, "sessionId"));
}

hb_test_person_t *hb_test_person(hb_test_site_t *ts, const char *name)
{
    hb_test_person_t *person = apr_pcalloc(hb_test_pool, sizeof(*person));
    hb_op_t *op = hb_test_site_op(ts);
    hb_json_t *reply;
    apr_status_t rv;

    person->name = name;
    person->email = apr_pstrcat(hb_test_pool, name, "@example.com", NULL);
    rv = hb_account_register(&reply, op,
                             hb_test_input("email", person->email, "username", name,
                                           "password", HB_TEST_PASSWORD, NULL));
    ck_assert_msg(rv == APR_SUCCESS, "%s: %s", name, hb_error_row(rv)->code);
    take(person, reply);
    return person;
}

apr_status_t hb_test_login(hb_test_person_t *person, hb_test_site_t *ts,
                           const char *password, const char *totp)
{
    hb_op_t *op = hb_test_site_op(ts);
    hb_json_t *input = hb_test_input("email", person->email, "password", password, NULL);
    hb_json_t *reply;
    apr_status_t rv;

    if (totp != NULL) {
        hb_json_set_string(input, "totp", totp);
    }
    rv = hb_account_login(&reply, op, input);
    if (rv == APR_SUCCESS) {
        take(person, reply);
    }
    return rv;
}

hb_op_t *hb_test_op_of(hb_test_site_t *ts, const hb_test_person_t *person)
{
    hb_op_t *op = hb_test_site_op(ts);
    apr_status_t rv = hb_session_check(op, person->access);

    ck_assert_msg(rv == APR_SUCCESS, "%s: %s", person->name, hb_error_row(rv)->code);
    ck_assert_str_eq(op->actor.user_id, person->id);
    return op;
}

apr_status_t hb_test_check(hb_test_site_t *ts, const char *access_token)
{
    hb_op_t *op = hb_test_site_op(ts);
    apr_status_t rv = hb_session_check(op, access_token);

    ck_assert((rv == APR_SUCCESS) == (op->actor.user_id != NULL));
    return rv;
}

/* Calls fn with the text of each mail to an address and its file's name. */
static void each_mail(hb_test_site_t *ts, const char *email,
                      void (*fn)(void *baton, const char *text, const char *name), void *baton)
{
    const char *folder = ts->site->settings->mail_spool;
    const char *to = apr_pstrcat(hb_test_pool, "To: ", email, NULL);
    hb_mail_run_t did = { 0, 0, 1 };
    apr_finfo_t entry;
    apr_dir_t *dir;

    while (did.is_more) {
        ck_assert_int_eq(hb_mail_run(&did, hb_test_site_op(ts)), APR_SUCCESS);
    }
    if (apr_dir_open(&dir, folder, hb_test_pool) != APR_SUCCESS) {
        return;
    }
    while (apr_dir_read(&entry, APR_FINFO_NAME | APR_FINFO_TYPE, dir)
           == APR_SUCCESS) {
        char *text = apr_pcalloc(hb_test_pool, MAIL_MAX_BYTES + 1);
        apr_size_t n = MAIL_MAX_BYTES;
        apr_file_t *file;

        if (entry.filetype != APR_REG
            || apr_file_open(&file, apr_pstrcat(hb_test_pool, folder, "/", entry.name, NULL),
                             APR_FOPEN_READ, 0, hb_test_pool) != APR_SUCCESS) {
            continue;
        }
        apr_file_read(file, text, &n);
        apr_file_close(file);
        if (strstr(text, to) != NULL) {
            fn(baton, text, entry.name);
        }
    }
    apr_dir_close(dir);
}

typedef struct newest_t {
    const char *text;
    const char *name;           /* names sort by age */
    int n;
} newest_t;

static void keep_newest(void *baton, const char *text, const char *name)
{
    newest_t *newest = baton;

    newest->n++;
    if (newest->text == NULL || strcmp(name, newest->name) > 0) {
        newest->text = text;
        newest->name = apr_pstrdup(hb_test_pool, name);
    }
}

const char *hb_test_mailed_code(hb_test_site_t *ts, const char *email)
{
    newest_t newest = { NULL };
    const char *c;

    each_mail(ts, email, keep_newest, &newest);
    if (newest.text == NULL) {
        return NULL;
    }
    for (c = strchr(newest.text, '-'); c != NULL; c = strchr(c + 1, '-')) {
        if (c - newest.text >= 4 && c[5] == '-' && strspn(c - 4, "0123456789"
            "ABCDEFGHJKMNPQRSTVWXYZ-") == 14) {
            return apr_pstrndup(hb_test_pool, c - 4, 14);
        }
    }
    return NULL;
}

int hb_test_mails(hb_test_site_t *ts, const char *email)
{
    newest_t newest = { NULL };

    each_mail(ts, email, keep_newest, &newest);
    return newest.n;
}
