/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What halobuzzctl prints. Results go to stdout, problems and progress to stderr; colours and
 * progress only where a person looks.
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

void ctl_say(const ctl_t *ctl, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    fputs(apr_pvsprintf(ctl->pool, fmt, args), stdout);
    va_end(args);
    fputc('\n', stdout);
}

void ctl_mark(const ctl_t *ctl, ctl_mark_e mark, const char *fmt, ...)
{
    const char *text;
    va_list args;

    va_start(args, fmt);
    text = apr_pvsprintf(ctl->pool, fmt, args);
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
            text);
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
        fprintf(stderr, "  %s: %s\n", problem->fields[i].field, problem->fields[i].detail);
    }
    return hb_error_row(status)->class == HB_CLASS_UNAVAILABLE ? CTL_UNREACHABLE : CTL_FAILED;
}

void ctl_json(const ctl_t *ctl, const hb_json_t *json)
{
    fputs(ctl->is_terminal ? hb_json_pretty(json, ctl->pool)
                           : hb_json_text(json, ctl->pool, NULL), stdout);
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
