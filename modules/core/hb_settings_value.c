/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One value of the settings: text to what the struct keeps, and back. Every refusal says
 * what was given, what is accepted, and shows a line that works.
 */
#include "hb_settings_private.h"

#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_uri.h>

#include "hb_fetch.h"
#include "hb_job_run.h"
#include "hb_retention.h"
#include "hb_secret.h"
#include "hb_time.h"

/* --- numbers with units --- */

typedef struct unit_t {
    const char *name;
    apr_int64_t worth;
} unit_t;

/* Largest first, so that a value is written in the largest unit that holds it whole. */
static const unit_t duration_units[] = {
    { "d", 86400 * APR_USEC_PER_SEC }, { "h", 3600 * APR_USEC_PER_SEC },
    { "m", 60 * APR_USEC_PER_SEC }, { "s", APR_USEC_PER_SEC }, { "ms", 1000 },
    { NULL, 0 }
};

static const unit_t size_units[] = {
    { "G", 1024 * 1024 * 1024 }, { "M", 1024 * 1024 }, { "K", 1024 }, { NULL, 0 }
};

static const unit_t no_units[] = { { NULL, 0 } };

/* Digits; gives what is behind them, NULL when there are none or too many. */
static const char *read_digits(apr_int64_t *n, const char *text)
{
    if (!apr_isdigit(*text)) {
        return NULL;
    }
    for (*n = 0; apr_isdigit(*text); text++) {
        if (*n > (APR_INT64_MAX - 9) / 10) {
            return NULL;
        }
        *n = *n * 10 + (*text - '0');
    }
    return text;
}

static const unit_t *unit_at(const char *text, apr_size_t len, const unit_t *units)
{
    for (; units->name != NULL; units++) {
        if (strlen(units->name) == len && strncasecmp(units->name, text, len) == 0) {
            return units;
        }
    }
    return NULL;
}

/* Numbers with units, added up; a lone number counts in `bare`. 0 when it is none. */
static int read_units(apr_int64_t *sum, const char *text, const unit_t *units,
                      apr_int64_t bare)
{
    const char *first = text;
    const unit_t *unit;
    apr_int64_t n, worth;
    apr_size_t len;

    *sum = 0;
    do {
        int is_first = text == first;

        text = read_digits(&n, text);
        if (text == NULL) {
            return 0;
        }
        for (len = 0; apr_isalpha(text[len]); len++) {
        }
        unit = unit_at(text, len, units);
        worth = len == 0 ? bare : unit != NULL ? unit->worth : 0;
        text += len;
        if (worth == 0 || (len == 0 && !(is_first && *text == '\0')) || n > APR_INT64_MAX / worth
            || n * worth > APR_INT64_MAX - *sum) {
            return 0;
        }
        *sum += n * worth;
    } while (*text != '\0');
    return 1;
}

const char *hb_duration_read(apr_interval_time_t *usec, const char *text, apr_pool_t *pool)
{
    apr_int64_t n;

    if (!read_units(&n, text, duration_units, APR_USEC_PER_SEC)) {
        return apr_psprintf(pool, "\"%s\" is no duration: write numbers with ms, s, m, h or d, "
                            "for instance 250ms, 15m or 1h30m", text);
    }
    *usec = n;
    return NULL;
}

const char *hb_size_read(apr_int64_t *bytes, const char *text, apr_pool_t *pool)
{
    if (!read_units(bytes, text, size_units, 1)) {
        return apr_psprintf(pool, "\"%s\" is no size: write a number of bytes, or one with K, "
                            "M or G, for instance 64K or 1M", text);
    }
    return NULL;
}

/* In the largest unit that holds it whole; 0 is written without one. */
static const char *write_units(apr_int64_t n, const unit_t *units, apr_pool_t *pool)
{
    for (; n != 0 && units->name != NULL; units++) {
        if (n % units->worth == 0) {
            return apr_psprintf(pool, "%" APR_INT64_T_FMT "%s", n / units->worth, units->name);
        }
    }
    return apr_psprintf(pool, "%" APR_INT64_T_FMT, n);
}

static const char *read_int(apr_int64_t *n, const char *text, apr_pool_t *pool)
{
    const char *end = read_digits(n, text + (*text == '-'));

    if (end == NULL || *end != '\0') {
        return apr_psprintf(pool, "\"%s\" is no whole number", text);
    }
    if (*text == '-') {
        *n = -*n;
    }
    return NULL;
}

static const char *read_flag(int *flag, const char *text, apr_pool_t *pool)
{
    static const char *const words[] = { "off", "on", "false", "true", "0", "1", "no", "yes" };
    int i;

    for (i = 0; i < (int)(sizeof(words) / sizeof(words[0])); i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *flag = i & 1;
            return NULL;
        }
    }
    return apr_psprintf(pool, "\"%s\" is neither on nor off", text);
}

/* Bounds in the table are seconds for durations. */
static const char *in_range(const hb_setting_row_t *row, apr_int64_t n, apr_pool_t *pool)
{
    apr_int64_t unit = row->kind == HB_SETTING_DURATION ? APR_USEC_PER_SEC : 1;
    const unit_t *units = row->kind == HB_SETTING_DURATION ? duration_units
                          : row->kind == HB_SETTING_SIZE ? size_units : no_units;

    if ((row->low == 0 && row->high == 0)
        || (n >= row->low * unit && n <= row->high * unit)) {
        return NULL;
    }
    return apr_psprintf(pool, "%s is out of range: %s to %s is accepted",
                        write_units(n, units, pool),
                        write_units(row->low * unit, units, pool),
                        write_units(row->high * unit, units, pool));
}

/* --- texts with a meaning of their own --- */

/* A URL for a message: what stands before an @ may be a password. */
static const char *shown(const char *url, apr_pool_t *pool)
{
    const char *scheme = strstr(url, "://");
    const char *at = strrchr(url, '@');

    if (scheme == NULL || at == NULL || at < scheme) {
        return url;
    }
    return apr_psprintf(pool, "%.*s...%s", (int)(scheme + 3 - url), url, at);
}

static const char *read_public_url(const char **value, apr_pool_t *pool)
{
    apr_uri_t uri;
    apr_size_t len = strlen(*value);

    if (apr_uri_parse(pool, *value, &uri) != APR_SUCCESS || uri.scheme == NULL
        || (strcmp(uri.scheme, "https") != 0 && strcmp(uri.scheme, "http") != 0)
        || uri.hostname == NULL || *uri.hostname == '\0' || uri.user != NULL
        || uri.query != NULL || uri.fragment != NULL || strchr(*value, ' ') != NULL) {
        return apr_psprintf(pool, "\"%s\" is no address of a site: write https:// and the host, "
                            "without a query", shown(*value, pool));
    }
    while (len > 0 && (*value)[len - 1] == '/') {
        len--;
    }
    *value = apr_pstrmemdup(pool, *value, len);
    return NULL;
}

/* Each as a browser sends it in Origin: scheme, host, port, nothing behind. */
static const char *read_cors_origins(const char **value, apr_pool_t *pool)
{
    char *state, *origin, *list = apr_pstrdup(pool, *value);
    const char *clean = "", *problem, *text;
    apr_uri_t uri;

    for (origin = apr_strtok(list, ",", &state); origin != NULL;
         origin = apr_strtok(NULL, ",", &state)) {
        if (strcmp(origin, "*") == 0) {
            return "\"*\" would let every page act for your users: name the origins that may, "
                   "each by itself";
        }
        text = origin;
        problem = read_public_url(&text, pool);
        if (problem != NULL || apr_uri_parse(pool, text, &uri) != APR_SUCCESS
            || (uri.path != NULL && *uri.path != '\0')) {
            return apr_psprintf(pool, "\"%s\" is no origin: write scheme, host and port alone, "
                                "as in https://app.example.com", shown(origin, pool));
        }
        clean = apr_pstrcat(pool, clean, *clean != '\0' ? "," : "", text, NULL);
    }
    *value = clean;
    return NULL;
}

/* Scheme and something behind it, so that a beginning always ends within or behind a host. */
static const char *read_payment_return(const char **value, apr_pool_t *pool)
{
    char *state, *address, *list = apr_pstrdup(pool, *value);
    const char *behind;

    for (address = apr_strtok(list, ",", &state); address != NULL;
         address = apr_strtok(NULL, ",", &state)) {
        behind = strstr(address, "://");
        if (behind == NULL || behind == address || behind[3] == '\0' || behind[3] == '/'
            || strpbrk(address, " ?#\"<>\\@") != NULL
            || strncasecmp(address, "javascript", 10) == 0
            || strncasecmp(address, "data", 4) == 0) {
            return apr_psprintf(pool, "\"%s\" is no address to send payers to: write scheme, host "
                                "and path, as in https://app.example.com/pay or myapp://paid",
                                shown(address, pool));
        }
    }
    return NULL;
}

static const char *read_mail_address(const char **value, apr_pool_t *pool)
{
    const char *at = strchr(*value, '@');

    if (at == NULL || at == *value || at[1] == '\0' || strpbrk(*value, " <>\"\\") != NULL
        || strchr(at + 1, '@') != NULL) {
        return apr_psprintf(pool, "\"%s\" is no mail address: write it bare, as in "
                            "no-reply@example.com", *value);
    }
    return NULL;
}

static const char *read_admin_emails(const char **value, apr_pool_t *pool)
{
    char *state, *address, *list = apr_pstrdup(pool, *value);
    char *lower = apr_pstrdup(pool, *value);
    const char *problem, *one;

    for (address = apr_strtok(list, ",", &state); address != NULL;
         address = apr_strtok(NULL, ",", &state)) {
        one = address;
        problem = read_mail_address(&one, pool);
        if (problem != NULL) {
            return problem;
        }
    }
    *value = lower;
    for (; *lower != '\0'; lower++) {
        *lower = (char)apr_tolower(*lower);
    }
    return NULL;
}

static const char *read_smtp_url(const char **value, apr_pool_t *pool)
{
    apr_uri_t uri;

    if (apr_uri_parse(pool, *value, &uri) != APR_SUCCESS || uri.scheme == NULL
        || (strcmp(uri.scheme, "smtp") != 0 && strcmp(uri.scheme, "smtps") != 0)
        || uri.hostname == NULL || *uri.hostname == '\0' || uri.user != NULL
        || (uri.path != NULL && strcmp(uri.path, "/") != 0) || strchr(*value, ' ') != NULL) {
        return apr_psprintf(pool, "\"%s\" is no mail server: write smtp://host:587 or "
                            "smtps://host:465; the account goes into HaloBuzzSMTPUser",
                            shown(*value, pool));
    }
    return NULL;
}

static const char *read_agora_app_id(const char **value, apr_pool_t *pool)
{
    if (strlen(*value) != 32 || strspn(*value, "0123456789abcdefABCDEF") != 32) {
        return apr_psprintf(pool, "\"%s\" is no Agora app id: it has 32 hex digits; the Agora "
                            "console shows it", *value);
    }
    return NULL;
}

static const char *read_secret(const char **value, apr_pool_t *pool)
{
    return hb_secret_check(*value, pool);
}

/* Checks of single settings; none of them sees an empty value. */
static const char *read_zone(const char **value, apr_pool_t *pool)
{
    if (!hb_zone_is_valid(*value)) {
        return apr_psprintf(pool, "\"%s\" is no time zone of the IANA list, such as "
                            "Asia/Kathmandu or UTC", shown(*value, pool));
    }
    return NULL;
}

static const char *read_jobs(const char **value, apr_pool_t *pool)
{
    return hb_job_schedules_check(*value, pool);
}

static const char *read_bonus_day(const char **value, apr_pool_t *pool)
{
    if (strcmp(*value, "site") != 0 && strcmp(*value, "user") != 0) {
        return apr_psprintf(pool, "\"%s\" is neither site nor user", shown(*value, pool));
    }
    return NULL;
}

static const char *read_retention(const char **value, apr_pool_t *pool)
{
    return hb_retention_check(*value, pool);
}

static const char *read_fraud(const char **value, apr_pool_t *pool)
{
    if (strcasecmp(*value, "off") != 0 && strcasecmp(*value, "watch") != 0
        && strcasecmp(*value, "hold") != 0) {
        return apr_psprintf(pool, "\"%s\" is none of off, watch and hold",
                            shown(*value, pool));
    }
    return NULL;
}

static const char *read_service_url(const char **value, apr_pool_t *pool)
{
    const char *why = hb_fetch_url_check(*value, pool);

    return why == NULL ? NULL : apr_psprintf(pool, "\"%s\" cannot be called: %s",
                                             shown(*value, pool), why);
}

static const struct {
    const char *member;
    const char *(*read)(const char **value, apr_pool_t *pool);
} own_readers[] = {
    { "public_url",   read_public_url },
    { "cors_origins", read_cors_origins },
    { "payment_return", read_payment_return },
    { "admin_emails", read_admin_emails },
    { "mail_from",    read_mail_address },
    { "smtp_url",     read_smtp_url },
    { "stripe_url",   read_service_url },
    { "esewa_url",    read_service_url },
    { "esewa_status_url", read_service_url },
    { "khalti_url",   read_service_url },
    { "agora_app_id", read_agora_app_id },
    { "zone",         read_zone },
    { "fraud",        read_fraud },
    { "jobs",         read_jobs },
    { "bonus_day",    read_bonus_day },
    { "retention",    read_retention },
};

static const char *read_text(const char **kept, const hb_setting_row_t *row,
                             const char *value, apr_pool_t *pool)
{
    const char *problem = NULL;
    apr_size_t i;

    for (i = 0; value[i] != '\0'; i++) {
        if (apr_iscntrl(value[i])) {
            return "the value holds a control character";
        }
    }
    *kept = apr_pstrdup(pool, value);
    if (**kept == '\0') {
        return NULL;
    }
    if (row->kind == HB_SETTING_SECRET) {
        return read_secret(kept, pool);
    }
    if (row->kind == HB_SETTING_URL) {
        return hb_setting_url_misfit(row, *kept, pool);
    }
    for (i = 0; i < sizeof(own_readers) / sizeof(own_readers[0]); i++) {
        if (strcmp(row->member, own_readers[i].member) == 0) {
            problem = own_readers[i].read(kept, pool);
        }
    }
    return problem;
}

/* Entries between commas or blanks, joined by single commas. */
static const char *join_list(const char *value, apr_pool_t *pool)
{
    char *state, *entry, *copy = apr_pstrdup(pool, value);
    const char *list = "";

    for (entry = apr_strtok(copy, ", \t", &state); entry != NULL;
         entry = apr_strtok(NULL, ", \t", &state)) {
        list = apr_pstrcat(pool, list, *list != '\0' ? "," : "", entry, NULL);
    }
    return list;
}

/* --- the whole --- */

static const char *example(const hb_setting_row_t *row)
{
    if (*row->dflt != '\0') {
        return row->dflt;
    }
    switch (row->kind) {
    case HB_SETTING_LIST:
        return strcmp(row->member, "admin_emails") == 0 ? "ops@example.com"
               : "https://app.example.com,https://admin.example.com";
    case HB_SETTING_LINES:
        return strcmp(row->member, "retention") == 0 ? "chat 90d"
               : "reconcile 30 4 * * * Asia/Kathmandu";
    case HB_SETTING_SECRET:
        return "file:/etc/halobuzz/secret";
    case HB_SETTING_PATH:
        return "/etc/halobuzz/file";
    case HB_SETTING_URL:
        return "file:/etc/halobuzz/url";
    default:
        return strcmp(row->member, "smtp_url") == 0 ? "smtp://mail.example.com:587"
               : strstr(row->member, "_url") != NULL ? "https://pay.example.com"
               : strcmp(row->member, "agora_app_id") == 0
               ? "0123456789abcdef0123456789abcdef" : "text";
    }
}

const char *hb_setting_read(hb_settings_t *values, const hb_setting_row_t *row,
                            const char *given_by, const char *value, apr_pool_t *pool)
{
    void *member = (char *)values + row->offset;
    const char *problem = NULL, *text = NULL;
    apr_int64_t n = 0;
    int flag = 0;

    switch (row->kind) {
    case HB_SETTING_LIST:
        problem = read_text(&text, row, join_list(value, pool), pool);
        break;
    case HB_SETTING_TEXT:
    case HB_SETTING_LINES:
    case HB_SETTING_PATH:
    case HB_SETTING_SECRET:
    case HB_SETTING_URL:
        problem = read_text(&text, row, value, pool);
        break;
    case HB_SETTING_INT:
        problem = read_int(&n, value, pool);
        break;
    case HB_SETTING_DURATION:
        problem = hb_duration_read(&n, value, pool);
        break;
    case HB_SETTING_SIZE:
        problem = hb_size_read(&n, value, pool);
        break;
    case HB_SETTING_FLAG:
        problem = read_flag(&flag, value, pool);
        break;
    }
    if (problem == NULL && text == NULL && row->kind != HB_SETTING_FLAG) {
        problem = in_range(row, n, pool);
    }
    if (problem != NULL) {
        return apr_psprintf(pool, "%s: %s; for instance: %s %s", given_by, problem,
                            row->directive, example(row));
    }
    if (text != NULL) {
        *(const char **)member = text;
    }
    else if (row->kind == HB_SETTING_FLAG) {
        *(int *)member = flag;
    }
    else {
        *(apr_int64_t *)member = n;
    }
    return NULL;
}

const char *hb_setting_from_environment(const hb_setting_row_t *row, const char *name,
                                        const char *value, apr_pool_t *pool)
{
    if (row->kind == HB_SETTING_SECRET) {
        return apr_pstrcat(pool, "env:", name, NULL);
    }
    if (strcmp(row->member, "smtp_url") == 0 && strstr(value, "://") == NULL) {
        return apr_pstrcat(pool, "smtp://", value, strchr(value, ':') == NULL ? ":587" : "",
                           NULL);
    }
    return value;
}

const char *hb_settings_text(const hb_settings_t *settings, const hb_setting_row_t *row,
                             apr_pool_t *pool)
{
    const void *member = (const char *)settings + row->offset;

    switch (row->kind) {
    case HB_SETTING_INT:
        return apr_psprintf(pool, "%" APR_INT64_T_FMT, *(const apr_int64_t *)member);
    case HB_SETTING_DURATION:
        return write_units(*(const apr_int64_t *)member, duration_units, pool);
    case HB_SETTING_SIZE:
        return write_units(*(const apr_int64_t *)member, size_units, pool);
    case HB_SETTING_FLAG:
        return *(const int *)member ? "on" : "off";
    default:
        return *(const char *const *)member;
    }
}

int hb_settings_are_same(const hb_settings_t *settings, const hb_settings_t *others, apr_pool_t *pool)
{
    const hb_setting_row_t *row;
    const char *text, *other;

    for (row = hb_setting_rows(); row->directive != NULL; row++) {
        text = hb_settings_text(settings, row, pool);
        other = hb_settings_text(others, row, pool);
        if (text == NULL || other == NULL ? text != other : strcmp(text, other) != 0) {
            return 0;
        }
    }
    return 1;
}

/* Of an option of a URL, its name in lower case with =: what stands behind it goes. */
static const char *hide_option(const char *text, const char *option, apr_pool_t *pool)
{
    apr_size_t n = strlen(option);
    const char *at;

    for (at = text; *at != '\0'; at++) {
        if (strncasecmp(at, option, n) == 0) {
            const char *end = at + n + strcspn(at + n, "&; ");

            return apr_psprintf(pool, "%.*s***%s", (int)(at + n - text), text,
                                hide_option(end, option, pool));
        }
    }
    return text;
}

const char *hb_url_shown(const char *text, apr_pool_t *pool)
{
    const char *start = strstr(text, "://");
    const char *at, *colon;

    if (start == NULL) {
        return text;
    }
    text = hide_option(text, "password=", pool);
    text = hide_option(text, "authmechanismproperties=", pool);
    start = strstr(text, "://") + 3;
    at = start + strcspn(start, "/ ");      /* a comma may be a part of the password */
    while (at > start && *at != '@') {
        at--;
    }
    colon = memchr(start, ':', (size_t)(at - start));
    if (*at != '@' || colon == NULL) {
        return text;
    }
    return apr_psprintf(pool, "%.*s:***%s", (int)(colon - text), text, at);
}
