/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules for usernames. Whether a name is free is not asked here: the unique index on
 * the skeleton answers that when the record is written, and nothing else could without a race.
 */
#include "hb_username.h"

#include <ctype.h>
#include <string.h>

#include <apr_file_io.h>
#include <apr_strings.h>

#include "hb_store.h"

/* Compared by skeleton, so look-alikes of these are reserved too. */
static const char *const reserved[] = {
    /* who might be taken for the house */
    "admin", "administrator", "superadmin", "root", "system", "sysadmin", "operator",
    "moderator", "moderation", "staff", "team", "official", "support", "help", "helpdesk",
    "security", "abuse", "finance", "billing", "payments", "payout", "payouts", "legal",
    "press", "service", "bot", "noreply", "no_reply", "postmaster", "webmaster",
    "hostmaster", "mailer_daemon", "verified",
    /* words that addresses and programs give a meaning of their own */
    "api", "app", "www", "mail", "smtp", "ftp", "cdn", "media", "static", "assets", "docs",
    "health", "metrics", "status", "search", "users", "user", "streams", "stream", "auth",
    "login", "logout", "register", "signup", "signin", "settings", "account", "accounts",
    "null", "undefined", "none", "true", "false", "nan", "everyone", "anonymous", "guest",
    "deleted", "unknown", "test_account",
    NULL
};

/* The house's own name may not start or end anybody's. */
#define HOUSE "halobuzz"

/* Longer lines of the file of reserved names are no usernames. */
#define LINE_BYTES 256

const char *hb_username_key(apr_pool_t *pool, const char *username)
{
    char *key = apr_pstrdup(pool, *username == '@' ? username + 1 : username);
    char *c;

    for (c = key; *c != '\0'; c++) {
        *c = (char)tolower((unsigned char)*c);
    }
    return key;
}

const char *hb_username_skeleton(apr_pool_t *pool, const char *username)
{
    char *skeleton = apr_palloc(pool, strlen(username) + 1);
    char *to = skeleton;

    for (; *username != '\0'; username++) {
        char c = (char)tolower((unsigned char)*username);

        switch (c) {
        case '.':
        case '_':
        case '-':
            continue;
        case '0':
            c = 'o';
            break;
        case '1':
        case 'i':
        case '|':
            c = 'l';
            break;
        case 'n':
            if (to > skeleton && to[-1] == 'r') {
                to--;
                c = 'm';
            }
            break;
        case 'v':
            if (to > skeleton && to[-1] == 'v') {
                to--;
                c = 'w';
            }
            break;
        }
        *to++ = c;
    }
    *to = '\0';
    return skeleton;
}

static int is_separator(char c)
{
    return c == '.' || c == '_' || c == '-';
}

static int reads_badly(const char *username)
{
    const char *c;

    if (hb_id_is_valid(username)) {
        return 1;
    }
    for (c = username; *c != '\0'; c++) {
        if (is_separator(*c) && (c == username || c[1] == '\0' || is_separator(c[1]))) {
            return 1;
        }
    }
    return 0;
}

/* The file is small and read seldom (a registration, a new name), so that a change of it
 * works at once and nothing has to be kept. */
static int is_in_file(hb_op_t *op, const char *skeleton)
{
    const char *path = op->site->settings->reserved_names;
    char line[LINE_BYTES];
    apr_file_t *file;
    apr_status_t rv;
    int found = 0;

    if (path == NULL || *path == '\0') {
        return 0;
    }
    rv = apr_file_open(&file, path, APR_FOPEN_READ | APR_FOPEN_BUFFERED, 0, op->pool);
    if (rv != APR_SUCCESS) {
        hb_log(op, HB_LOG_WARNING, rv, HBLOGNO(00401) "HaloBuzzReservedNames: %s cannot be "
               "read; only the built-in names are reserved", path);
        return 0;
    }
    while (!found && apr_file_gets(line, sizeof(line), file) == APR_SUCCESS) {
        line[strcspn(line, " \t\r\n#")] = '\0';
        found = *line != '\0'
            && strcmp(hb_username_skeleton(op->pool, line), skeleton) == 0;
    }
    apr_file_close(file);
    return found;
}

static int is_reserved(hb_op_t *op, const char *skeleton)
{
    apr_size_t len = strlen(skeleton);
    const char *house = hb_username_skeleton(op->pool, HOUSE);
    apr_size_t house_len = strlen(house);
    int i;

    if (strncmp(skeleton, house, house_len) == 0
        || (len > house_len && strcmp(skeleton + len - house_len, house) == 0)) {
        return 1;
    }
    for (i = 0; reserved[i] != NULL; i++) {
        if (strcmp(hb_username_skeleton(op->pool, reserved[i]), skeleton) == 0) {
            return 1;
        }
    }
    return is_in_file(op, skeleton);
}

apr_status_t hb_username_check(hb_op_t *op, const char *username)
{
    if (reads_badly(username)) {
        return hb_fail_field(op, "username", "format", "dots and underscores stand single "
                             "and between letters or digits");
    }
    if (is_reserved(op, hb_username_skeleton(op->pool, username))) {
        return hb_fail(op, HB_E_USERNAME_TAKEN, NULL);
    }
    return APR_SUCCESS;
}
