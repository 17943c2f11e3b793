/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Input against a form. What comes out holds the form's fields and nothing else, so that
 * no caller has to look again; every unacceptable field is told, not only the first. Text
 * of a query string goes the same way, with numbers read from it (hb_schema_query.c).
 */
#include "hb_schema.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "hb_schema_check.h"
#include "hb_time.h"

/* Integers that a double holds exactly; JSON makes no difference between 1 and 1.0. */
#define EXACT_MAX 9007199254740992.0

static int check_fields(hb_json_t *clean, hb_check_t *check, const hb_shape_row_t *shape,
                        const char *prefix, const hb_json_t *input);

static int refuse(hb_check_t *check, const char *path, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static int refuse(hb_check_t *check, const char *path, const char *code, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    hb_fail_field(check->op, path, code, "%s", apr_pvsprintf(check->op->pool, fmt, args));
    va_end(args);
    check->is_refused = 1;
    return 0;
}

/* --- texts --- */

static const struct {
    int (*is_good)(const char *text);
    const char *wanted;
    int says_length;            /* tell a wrong length apart from a wrong form */
} formats[] = {
    [HB_KIND_STRING] = { hb_is_clean_text, "must not hold control characters", 1 },
    [HB_KIND_ID] = { hb_is_id, "must be an id: 24 lower-case hex digits", 0 },
    [HB_KIND_EMAIL] = { hb_is_email, "must be a mail address", 1 },
    [HB_KIND_USERNAME] = { hb_is_username, "may hold letters, digits, underscores and single "
                           "dots between them", 1 },
    [HB_KIND_PASSWORD] = { hb_is_clean_text, "must not hold control characters", 1 },
    [HB_KIND_URL] = { hb_is_https_url, "must be an https address", 1 },
    [HB_KIND_COUNTRY] = { hb_is_country, "must be a country code of ISO 3166-1: two capital "
                          "letters", 0 },
    [HB_KIND_LANGUAGE] = { hb_is_language, "must be a language tag such as en or pt-BR", 1 },
    [HB_KIND_ZONE] = { hb_zone_is_valid, "must be a time zone such as Asia/Kathmandu", 0 },
    [HB_KIND_PHONE] = { hb_is_phone, "must be an international number: + and 7 to 15 digits", 0 },
    [HB_KIND_DATE] = { hb_date_is_valid, "must be a date that exists, as YYYY-MM-DD", 0 },
    [HB_KIND_CURSOR] = { hb_is_clean_text, "must be the next of an earlier page", 1 },
};

static int check_length(hb_check_t *check, const hb_field_row_t *row, const char *path,
                        apr_size_t length, const char *unit)
{
    apr_int64_t low, high;

    hb_field_bounds(&low, &high, row);
    if ((apr_int64_t)length >= low && (apr_int64_t)length <= high) {
        return 1;
    }
    return refuse(check, path, "length", "must be %" APR_INT64_T_FMT " to %" APR_INT64_T_FMT
                  " %s long, not %" APR_SIZE_T_FMT, low, high, unit, length);
}

static int check_text(hb_json_t **clean, hb_check_t *check, const hb_field_row_t *row,
                      const char *path, const hb_json_t *value)
{
    const char *text = hb_json_string_value(value);
    char *lower, *c;

    if (text == NULL) {
        return refuse(check, path, "type", "must be a string");
    }
    if (formats[row->kind].says_length
        && !check_length(check, row, path, hb_text_length(text), "characters")) {
        return 0;
    }
    if (!formats[row->kind].is_good(text)) {
        return refuse(check, path, "format", "%s", formats[row->kind].wanted);
    }
    if (row->kind == HB_KIND_EMAIL) {
        lower = apr_pstrdup(check->op->pool, text);
        for (c = lower; *c != '\0'; c++) {
            *c = (char)apr_tolower(*c);
        }
        *clean = hb_json_string_make(lower, check->op->pool);
    }
    return 1;
}

static const char *words_text(const char *words, apr_pool_t *pool)
{
    const char *list = "";
    char word[64];
    int is_default;

    while ((words = hb_words_next(word, sizeof(word), &is_default, words)) != NULL) {
        list = apr_pstrcat(pool, list, *list != '\0' ? ", " : "", word, NULL);
    }
    return list;
}

static int check_word(hb_check_t *check, const hb_field_row_t *row, const char *path,
                      const hb_json_t *value)
{
    const char *text = hb_json_string_value(value);

    if (text == NULL) {
        return refuse(check, path, "type", "must be a string");
    }
    if (!hb_words_have(row->extra, text)) {
        return refuse(check, path, "value", "must be one of: %s",
                      words_text(row->extra, check->op->pool));
    }
    return 1;
}

static int check_time(hb_json_t **clean, hb_check_t *check, const char *path,
                      const hb_json_t *value)
{
    const char *text = hb_json_string_value(value);
    apr_time_t when;

    if (text == NULL) {
        return refuse(check, path, "type", "must be a string");
    }
    if (!hb_time_read(&when, text)) {
        return refuse(check, path, "format", "must be a time of RFC 3339, as in "
                      "2026-07-01T09:30:00Z");
    }
    *clean = hb_json_int_make(hb_time_to_msec(when), check->op->pool);
    return 1;
}

/* --- numbers --- */

/* Decimal digits, as JSON writes them; gives 0 for anything else. */
static int int_of_text(apr_int64_t *n, int *is_beyond, const char *text)
{
    const char *digits = text + (*text == '-');
    char *end;

    *is_beyond = 0;
    if (!apr_isdigit(*digits) || (digits[0] == '0' && digits[1] != '\0')) {
        return 0;
    }
    errno = 0;
    *n = apr_strtoi64(text, &end, 10);
    *is_beyond = errno == ERANGE;
    return *end == '\0';
}

static int check_int(hb_json_t **clean, hb_check_t *check, const hb_field_row_t *row,
                     const char *path, const hb_json_t *value)
{
    apr_int64_t n = 0, low, high;
    int is_int, is_beyond = 0;
    double real = 0;

    if (check->is_text) {
        is_int = int_of_text(&n, &is_beyond, hb_json_string_value(value));
    }
    else if (hb_json_type(value) == HB_JSON_REAL) {
        real = hb_json_real_value(value, 0);
        is_int = real >= -EXACT_MAX && real <= EXACT_MAX && real == (double)(apr_int64_t)real;
        n = is_int ? (apr_int64_t)real : 0;
    }
    else {
        is_int = hb_json_type(value) == HB_JSON_INT;
        n = hb_json_int_value(value, 0);
    }
    if (!is_int) {
        return refuse(check, path, "type", "must be a whole number");
    }
    hb_field_bounds(&low, &high, row);
    if (is_beyond || n < low || n > high) {
        return refuse(check, path, "range", "must be %" APR_INT64_T_FMT " to %" APR_INT64_T_FMT,
                      low, high);
    }
    if (hb_json_type(value) != HB_JSON_INT) {
        *clean = hb_json_int_make(n, check->op->pool);
    }
    return 1;
}

static int check_real(hb_json_t **clean, hb_check_t *check, const hb_field_row_t *row,
                      const char *path, const hb_json_t *value)
{
    hb_json_t *number = (hb_json_t *)value;
    apr_int64_t low, high;
    const char *why, *text;
    double real;

    if (check->is_text) {
        text = hb_json_string_value(value);
        if (hb_json_parse(&number, &why, text, strlen(text), check->op->pool) != APR_SUCCESS) {
            number = NULL;
        }
        *clean = number;
    }
    if (hb_json_type(number) != HB_JSON_REAL && hb_json_type(number) != HB_JSON_INT) {
        return refuse(check, path, "type", "must be a number");
    }
    real = hb_json_real_value(number, 0);
    hb_field_bounds(&low, &high, row);
    if (real < (double)low || real > (double)high) {
        return refuse(check, path, "range", "must be %" APR_INT64_T_FMT " to %" APR_INT64_T_FMT,
                      low, high);
    }
    return 1;
}

static int check_bool(hb_json_t **clean, hb_check_t *check, const char *path,
                      const hb_json_t *value)
{
    const char *text = check->is_text ? hb_json_string_value(value) : NULL;

    if (text != NULL && (strcmp(text, "true") == 0 || strcmp(text, "1") == 0)) {
        *clean = hb_json_bool_make(1, check->op->pool);
    }
    else if (text != NULL && (strcmp(text, "false") == 0 || strcmp(text, "0") == 0)) {
        *clean = hb_json_bool_make(0, check->op->pool);
    }
    else if (hb_json_type(value) != HB_JSON_BOOL) {
        return refuse(check, path, "type", "must be true or false");
    }
    return 1;
}

/* --- containers --- */

static int check_object(hb_json_t **clean, hb_check_t *check, const hb_shape_row_t *inner,
                        const char *path, const hb_json_t *value)
{
    if (hb_json_type(value) != HB_JSON_OBJECT) {
        return refuse(check, path, "type", "must be an object");
    }
    if (inner == NULL) {
        return 1;
    }
    *clean = hb_json_object_make(check->op->pool);
    return check_fields(*clean, check, inner, apr_pstrcat(check->op->pool, path, ".", NULL),
                        value);
}

static int check_array(hb_json_t **clean, hb_check_t *check, const hb_field_plan_t *plan,
                       const char *path, const hb_json_t *value)
{
    hb_field_row_t row = { .path = path, .extra = "" };
    hb_field_plan_t item = { .row = &row, .item_kind = -1 };
    int i, n = hb_json_length(value), all_good = 1;

    if (hb_json_type(value) != HB_JSON_ARRAY) {
        return refuse(check, path, "type", "must be an array");
    }
    if (!check_length(check, plan->row, path, (apr_size_t)n, "items")) {
        return 0;
    }
    row.kind = plan->item_kind >= 0 ? (hb_kind_e)plan->item_kind : HB_KIND_OBJECT;
    item.inner = plan->inner;
    *clean = hb_json_array_make(check->op->pool);
    for (i = 0; i < n; i++) {
        hb_json_t *one = hb_json_item(value, i);

        if (hb_check_value(&one, check, &item,
                           apr_psprintf(check->op->pool, "%s.%d", path, i), one)) {
            hb_json_push(*clean, one);
        }
        else {
            all_good = 0;
        }
    }
    return all_good;
}

int hb_check_value(hb_json_t **clean, hb_check_t *check, const hb_field_plan_t *plan,
                   const char *path, const hb_json_t *value)
{
    *clean = (hb_json_t *)value;
    if (value == NULL) {
        return (plan->row->flags & HB_NULLABLE) != 0
               || refuse(check, path, "type", "must not be null");
    }
    switch (plan->row->kind) {
    case HB_KIND_INT:
    case HB_KIND_COINS:
        return check_int(clean, check, plan->row, path, value);
    case HB_KIND_REAL:
        return check_real(clean, check, plan->row, path, value);
    case HB_KIND_BOOL:
        return check_bool(clean, check, path, value);
    case HB_KIND_TIME:
        return check_time(clean, check, path, value);
    case HB_KIND_ENUM:
        return check_word(check, plan->row, path, value);
    case HB_KIND_ARRAY:
        return check_array(clean, check, plan, path, value);
    case HB_KIND_OBJECT:
        return check_object(clean, check, plan->inner, path, value);
    default:
        return check_text(clean, check, plan->row, path, value);
    }
}

hb_json_t *hb_check_default(hb_check_t *check, const hb_field_row_t *row)
{
    const char *rest = row->extra;
    char word[64];
    int is_default;

    if (row->kind == HB_KIND_INT && *row->extra != '\0') {
        return hb_json_int_make(apr_atoi64(row->extra), check->op->pool);
    }
    while (row->kind == HB_KIND_ENUM
           && (rest = hb_words_next(word, sizeof(word), &is_default, rest)) != NULL) {
        if (is_default) {
            return hb_json_string_make(word, check->op->pool);
        }
    }
    return NULL;
}

/*
 * The object a field's last name stands in. 0 when something else stands on the way, which
 * is told once, with the first field that meets it.
 */
static int find_home(const hb_json_t **home, hb_check_t *check, const hb_field_plan_t *plan,
                     const char *prefix, const hb_json_t *input)
{
    char path[256];
    int i, n = 0;

    *home = input;
    for (i = 0; i < plan->n_parts - 1; i++) {
        n += apr_snprintf(path + n, sizeof(path) - (apr_size_t)n, "%s%s", i > 0 ? "." : "",
                          plan->parts[i]);
        if (!hb_json_has(*home, plan->parts[i])) {
            *home = NULL;
            return 1;
        }
        *home = hb_json_get(*home, plan->parts[i]);
        if (hb_json_type(*home) != HB_JSON_OBJECT) {
            const char *whole = apr_pstrcat(check->op->pool, prefix, path, NULL);

            if (check->told == NULL || strcmp(check->told, whole) != 0) {
                refuse(check, whole, "type", "must be an object");
                check->told = whole;
            }
            return 0;
        }
    }
    return 1;
}

static void check_field(hb_json_t *clean, hb_check_t *check, const hb_field_plan_t *plan,
                        const char *prefix, const hb_json_t *input)
{
    const hb_field_row_t *row = plan->row;
    const char *leaf = plan->parts[plan->n_parts - 1];
    const char *path = *prefix == '\0' ? row->path
                       : apr_pstrcat(check->op->pool, prefix, row->path, NULL);
    const hb_json_t *home;
    hb_json_t *value;

    if (!find_home(&home, check, plan, prefix, input)) {
        return;
    }
    if (!hb_json_has(home, leaf)) {
        value = hb_check_default(check, row);
        if (value != NULL) {
            hb_json_put_at(clean, row->path, value);
        }
        else if ((row->flags & HB_NEEDED) != 0) {
            refuse(check, path, "required", "has to be there");
        }
        return;
    }
    if (hb_check_value(&value, check, plan, path, hb_json_get(home, leaf))) {
        hb_json_put_at(clean, row->path, value);
    }
}

static int check_fields(hb_json_t *clean, hb_check_t *check, const hb_shape_row_t *shape,
                        const char *prefix, const hb_json_t *input)
{
    const hb_field_plan_t *plans = hb_shape_plans(shape);
    int i, was_refused = check->is_refused;

    check->is_refused = 0;
    for (i = 0; i < shape->n_fields; i++) {
        check_field(clean, check, &plans[i], prefix, input);
    }
    i = !check->is_refused;
    check->is_refused |= was_refused;
    return i;
}

apr_status_t hb_schema_check(hb_json_t **clean, hb_op_t *op, hb_shape_e form,
                             const hb_json_t *input)
{
    hb_check_t check = { .op = op };

    *clean = NULL;
    if (hb_json_type(input) != HB_JSON_OBJECT) {
        return hb_fail_field(op, "", "type", "the body must be a JSON object");
    }
    *clean = hb_json_object_make(op->pool);
    if (!check_fields(*clean, &check, hb_shape(form), "", input)) {
        *clean = NULL;
        return HB_E_INPUT_INVALID;
    }
    return APR_SUCCESS;
}
