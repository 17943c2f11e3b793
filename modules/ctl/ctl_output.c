/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What halobuzzctl prints. Results go to stdout, problems and progress to stderr; colours and
 * progress only where a person looks. Much of it was written by strangers (what came to a webhook is
 * kept as it came), so nothing leaves here that steers a terminal or turns text round.
 */
#include "ctl.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <apr_strings.h>

#define RED    "\033[31m"
#define GREEN  "\033[32m"
#define YELLOW "\033[33m"
#define PLAIN  "\033[0m"

/* The marks of the runbook's health check, in UTF-8. */
static const struct { const char *text, *colour; } marks[] = {
    [CTL_GOOD] = { "\xe2\x9c\x85", GREEN },
    [CTL_NOTE] = { "\xe2\x9a\xa0\xef\xb8\x8f ", YELLOW },
    [CTL_BAD]  = { "\xe2\x9d\x8c", RED },
};

/*
 * A control character (C0, DEL, C1) or one that turns text round, at the start of UTF-8 text, and its
 * bytes; 0 when it is another one.
 */
static unsigned int steering(int *n, const unsigned char *c)
{
    *n = 1;
    if ((c[0] < 0x20 && c[0] != '\n' && c[0] != '\t') || c[0] == 0x7f) {
        return c[0];
    }
    if (c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0) {
        *n = 2;
        return c[1];
    }
    if (c[0] == 0xe2 && ((c[1] == 0x80 && c[2] >= 0xaa && c[2] <= 0xae)
                         || (c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9))) {
        *n = 3;
        return 0x2000u + ((c[1] & 0x3fu) << 6) + (c[2] & 0x3fu);
    }
    return 0;
}

/* Such characters as JSON escapes them, so that JSON stays the same JSON. */
static const char *harmless(const ctl_t *ctl, const char *text)
{
    const unsigned char *c = (const unsigned char *)text;
    apr_size_t n_odd = 0;
    unsigned int odd;
    char *out, *to;
    int n;

    for (; *c != '\0'; c += n) {
        n_odd += steering(&n, c) != 0;
    }
    if (n_odd == 0) {
        return text;
    }
    out = to = apr_palloc(ctl->pool, strlen(text) + n_odd * 6 + 1);
    for (c = (const unsigned char *)text; *c != '\0'; c += n) {
        odd = steering(&n, c);
        if (odd != 0) {
            to += apr_snprintf(to, 7, "\\u%04x", odd);
        }
        else {
            *to++ = (char)*c;
        }
    }
    *to = '\0';
    return out;
}

void ctl_say(const ctl_t *ctl, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    fputs(harmless(ctl, apr_pvsprintf(ctl->pool, fmt, args)), stdout);
    va_end(args);
    fputc('\n', stdout);
}

void ctl_mark(const ctl_t *ctl, ctl_mark_e mark, const char *fmt, ...)
{
    const char *text;
    va_list args;

    va_start(args, fmt);
    text = harmless(ctl, apr_pvsprintf(ctl->pool, fmt, args));
    va_end(args);
    if (ctl->is_terminal) {
        printf("%s %s%s" PLAIN "\n", marks[mark].text, marks[mark].colour, text);
    }
    else {
        printf("%s %s\n", marks[mark].text, text);
    }
    fflush(stdout);
}

static void complain(const ctl_t *ctl, const char *text)
{
    fflush(stdout);
    fprintf(stderr, "halobuzzctl%s%s: %s\n", ctl->command[0] != '\0' ? " " : "", ctl->command,
            harmless(ctl, text));
}

int ctl_fail(const ctl_t *ctl, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    complain(ctl, apr_pvsprintf(ctl->pool, fmt, args));
    va_end(args);
    return CTL_FAILED;
}

int ctl_misuse(const ctl_t *ctl, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    complain(ctl, apr_pvsprintf(ctl->pool, fmt, args));
    va_end(args);
    fprintf(stderr, "usage: halobuzzctl %s %s\n", ctl->command, ctl->usage);
    return CTL_USAGE;
}

int ctl_fail_op(const ctl_t *ctl, const hb_op_t *op, apr_status_t status)
{
    const hb_problem_t *problem = &op->problem;
    char buf[200];
    int i;

    ctl_fail(ctl, "%s%s%s", hb_strerror(status, buf, sizeof(buf)),
             problem->detail != NULL ? ": " : "",
             problem->detail != NULL ? problem->detail : "");
    for (i = 0; i < problem->n_fields; i++) {
        fprintf(stderr, "  %s: %s\n", harmless(ctl, problem->fields[i].field),
                harmless(ctl, problem->fields[i].detail));
    }
    return hb_error_row(status)->class == HB_CLASS_UNAVAILABLE ? CTL_UNREACHABLE : CTL_FAILED;
}

void ctl_json(const ctl_t *ctl, const hb_json_t *json)
{
    fputs(harmless(ctl, ctl->is_terminal ? hb_json_pretty(json, ctl->pool)
                                         : hb_json_text(json, ctl->pool, NULL)), stdout);
    fputc('\n', stdout);
}

const char *ctl_text(const hb_json_t *json, const char *key, const char *otherwise)
{
    const char *text = hb_json_string(json, key);

    return text != NULL ? text : otherwise;
}

void ctl_list(const ctl_t *ctl, const hb_json_t *list,
              void (*print)(const ctl_t *ctl, const hb_json_t *item))
{
    const hb_json_t *items = hb_json_get(list, "items");
    int i;

    if (ctl->wants_json) {
        ctl_json(ctl, list);
        return;
    }
    for (i = 0; i < hb_json_length(items); i++) {
        print(ctl, hb_json_item(items, i));
    }
    if (hb_json_string(list, "next") != NULL) {
        ctl_say(ctl, "more: --after %s", hb_json_string(list, "next"));
    }
}

void ctl_one(const ctl_t *ctl, const hb_json_t *item,
             void (*print)(const ctl_t *ctl, const hb_json_t *item))
{
    if (ctl->wants_json) {
        ctl_json(ctl, item);
    }
    else {
        print(ctl, item);
    }
}

void ctl_progress(const ctl_t *ctl, const char *what, apr_int64_t done, apr_int64_t total)
{
    if (!ctl->is_terminal || ctl->wants_json) {
        return;
    }
    if (total > 0) {
        fprintf(stderr, "\r%s: %" APR_INT64_T_FMT " of %" APR_INT64_T_FMT "\033[K", what, done,
                total);
    }
    else {
        fprintf(stderr, "\r%s: %" APR_INT64_T_FMT "\033[K", what, done);
    }
    if (done == total) {
        fputc('\n', stderr);
    }
    fflush(stderr);
}
