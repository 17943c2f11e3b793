/* SPDX-License-Identifier: Apache-2.0 */
/* Announcements for the operator: telling all users something, or some; how far that is. */
#include "ctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <apr_strings.h>
#include <apr_tables.h>

#include "hb_announce.h"
#include "hb_crypto.h"
#include "hb_schema.h"
#include "hb_user.h"

#define NAME_MAX_BYTES 300

typedef struct send_t {
    const char *user, *users, *role, *country, *language, *before;
    const char *kind, *title, *text, *title_ne, *text_ne, *data, *happened_at, *at, *key;
    int is_all, is_og, by_mail, by_sms, by_push, not_by_push;
} send_t;

/* --- whom --- */

/* A name a line; blank lines and what is behind # are passed over. */
static int read_names(apr_array_header_t *names, ctl_t *ctl, const char *path)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    char line[NAME_MAX_BYTES];
    char *name, *last;

    if (file == NULL) {
        return ctl_fail(ctl, "%s: %s", path, strerror(errno));
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        name = apr_strtok(line, " \t\r\n", &last);
        if (name != NULL && *name != '#') {
            APR_ARRAY_PUSH(names, const char *) = apr_pstrdup(ctl->pool, name);
        }
    }
    if (file != stdin) {
        fclose(file);
    }
    return names->nelts > 0 ? CTL_OK : ctl_fail(ctl, "%s names nobody", path);
}

static int find_ids(apr_array_header_t *ids, ctl_t *ctl, hb_op_t *op,
                    const apr_array_header_t *names)
{
    const char *name;
    hb_json_t *user;
    apr_status_t rv;
    int i;

    for (i = 0; i < names->nelts; i++) {
        name = APR_ARRAY_IDX(names, i, const char *);
        rv = ctl_user_find(&user, op, name);
        if (rv == HB_E_USER_UNKNOWN) {
            return ctl_fail(ctl, "there is no account \"%s\"; nobody was told", name);
        }
        if (rv != APR_SUCCESS) {
            return ctl_fail_op(ctl, op, rv);
        }
        APR_ARRAY_PUSH(ids, const char *) = apr_pstrdup(ctl->pool, hb_user_id(user));
    }
    return CTL_OK;
}

/* --- what --- */

static void put(hb_json_t *raw, const char *key, const char *value)
{
    if (value != NULL) {
        hb_json_set_string(raw, key, value);
    }
}

static hb_json_t *raw_of(const ctl_t *ctl, const send_t *send)
{
    hb_json_t *raw = hb_json_object_make(ctl->pool), *words, *list;

    put(raw, "kind", send->kind);
    put(raw, "title", send->title);
    put(raw, "text", send->text);
    put(raw, "data", send->data);
    put(raw, "happenedAt", send->happened_at);
    put(raw, "at", send->at);
    put(raw, "role", send->role);
    put(raw, "country", send->country);
    put(raw, "language", send->language);
    put(raw, "registeredBefore", send->before);
    if (send->is_og) {
        hb_json_set_bool(raw, "og", 1);
    }
    if (send->by_mail) {
        hb_json_set_bool(raw, "mail", 1);
    }
    if (send->by_sms) {
        hb_json_set_bool(raw, "sms", 1);
    }
    if (send->by_push || send->not_by_push) {
        hb_json_set_bool(raw, "push", send->by_push);
    }
    if (send->title_ne != NULL || send->text_ne != NULL) {
        words = hb_json_object_make(ctl->pool);
        hb_json_set_string(words, "language", "ne");
        put(words, "title", send->title_ne);
        put(words, "text", send->text_ne);
        list = hb_json_array_make(ctl->pool);
        hb_json_push(list, words);
        hb_json_set(raw, "translations", list);
    }
    return raw;
}

/* "to 812 of 1000 accounts looked at" ...; the id first, for notice show. */
static void print(const ctl_t *ctl, const hb_json_t *one)
{
    const char *state = hb_json_string(one, "state");

    ctl_mark(ctl, strcmp(state, "cancelled") == 0 ? CTL_NOTE : CTL_GOOD,
             "%s  %-9s %-15s told %" APR_INT64_T_FMT ", looked at %" APR_INT64_T_FMT " of %"
             APR_INT64_T_FMT "  %s%s", hb_json_string(one, "id"), state,
             hb_json_string(one, "kind"), hb_json_int(one, "told", 0),
             hb_json_int(one, "seen", 0), hb_json_int(one, "accounts", 0),
             hb_json_bool(one, "toAll", 0) ? "all: " : "", hb_json_string(one, "title"));
}

static int announce(ctl_t *ctl, hb_op_t *op, const hb_json_t *raw, const char *key)
{
    hb_json_t *input, *view;
    apr_status_t rv = hb_schema_check(&input, op, HB_F_ANNOUNCEMENT, raw);

    op->idem_key = key;
    if (rv == APR_SUCCESS) {
        rv = hb_announce(&view, op, hb_notice_named(hb_json_string(input, "kind")), input);
    }
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    ctl_one(ctl, view, print);
    return CTL_OK;
}

/* Named users, as many as one announcement takes at a time. */
static int announce_named(ctl_t *ctl, hb_op_t *op, hb_json_t *raw, const char *key,
                          const apr_array_header_t *ids)
{
    hb_json_t *list;
    int i, n, rc = CTL_OK;

    for (i = 0; rc == CTL_OK && i < ids->nelts; i += n) {
        list = hb_json_array_make(ctl->pool);
        for (n = 0; n < HB_ANNOUNCE_USERS_MAX && i + n < ids->nelts; n++) {
            hb_json_push_string(list, APR_ARRAY_IDX(ids, i + n, const char *));
        }
        hb_json_set(raw, "userIds", list);
        rc = announce(ctl, op, raw, i == 0 ? key : apr_psprintf(ctl->pool, "%s-%d", key, i));
    }
    return rc;
}

int ctl_notice_send(ctl_t *ctl, int argc, const char *const *argv)
{
    send_t send = { NULL };
    const ctl_option_t options[] = {
        { "all", NULL, &send.is_all },
        { "user", &send.user, NULL },
        { "users", &send.users, NULL },
        { "role", &send.role, NULL },
        { "country", &send.country, NULL },
        { "language", &send.language, NULL },
        { "og", NULL, &send.is_og },
        { "registered-before", &send.before, NULL },
        { "kind", &send.kind, NULL },
        { "title", &send.title, NULL },
        { "text", &send.text, NULL },
        { "title-ne", &send.title_ne, NULL },
        { "text-ne", &send.text_ne, NULL },
        { "data", &send.data, NULL },
        { "happened-at", &send.happened_at, NULL },
        { "mail", NULL, &send.by_mail },
        { "sms", NULL, &send.by_sms },
        { "push", NULL, &send.by_push },
        { "no-push", NULL, &send.not_by_push },
        { "at", &send.at, NULL },
        { "key", &send.key, NULL },
        { NULL, NULL, NULL }
    };
    apr_array_header_t *names = apr_array_make(ctl->pool, 16, sizeof(const char *));
    apr_array_header_t *ids = apr_array_make(ctl->pool, 16, sizeof(const char *));
    int is_some, rc = ctl_options(ctl, argc, argv, options, NULL, 0, 0);
    hb_op_t *op;

    is_some = send.user != NULL || send.users != NULL || send.role != NULL
        || send.country != NULL || send.language != NULL || send.is_og || send.before != NULL;
    if (rc == CTL_OK && send.is_all == is_some) {
        rc = ctl_misuse(ctl, is_some ? "--all leaves nobody to choose"
                        : "to whom? --all, or --user, --users, --role ...");
    }
    if (rc == CTL_OK && send.users != NULL) {
        rc = read_names(names, ctl, send.users);    /* may be root's alone */
    }
    if (rc == CTL_OK) {
        rc = ctl_site(&op, ctl);
    }
    if (send.user != NULL) {
        APR_ARRAY_PUSH(names, const char *) = send.user;
    }
    if (rc == CTL_OK) {
        rc = find_ids(ids, ctl, op, names);
    }
    if (rc != CTL_OK) {
        return rc;
    }
    if (send.key == NULL) {
        send.key = hb_random_token(op, 16);
    }
    return ids->nelts > 0 ? announce_named(ctl, op, raw_of(ctl, &send), send.key, ids)
        : announce(ctl, op, raw_of(ctl, &send), send.key);
}

/* --- looking, calling off --- */

int ctl_notice_list(ctl_t *ctl, int argc, const char *const *argv)
{
    return ctl_list_command(ctl, argc, argv, hb_announce_list, print);
}

int ctl_notice_show(ctl_t *ctl, int argc, const char *const *argv)
{
    return ctl_one_command(ctl, argc, argv, hb_announce_show, print);
}

int ctl_notice_cancel(ctl_t *ctl, int argc, const char *const *argv)
{
    return ctl_one_command(ctl, argc, argv, hb_announce_cancel, print);
}
