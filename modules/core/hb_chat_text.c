/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What may be said at all, and what counts as a link. Texts come from outside, as valid
 * UTF-8 without 0 bytes, for the JSON parser and the forms have seen to that.
 */
#include "hb_chat.h"

#include <string.h>
#include <strings.h>

#include "hb_limit.h"
#include "hb_user.h"

/* --- characters --- */

/* The next character of valid UTF-8. */
static unsigned int next_char(const unsigned char **at)
{
    const unsigned char *c = *at;
    unsigned int n = c[0] < 0x80 ? 1 : c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;
    unsigned int value = n == 1 ? c[0] : c[0] & (0xffu >> (n + 1));
    unsigned int i;

    for (i = 1; i < n && c[i] != '\0'; i++) {
        value = value << 6 | (c[i] & 0x3fu);
    }
    *at += i;
    return value;
}

static int is_control(unsigned int c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

/* Overrides and isolates: what follows is shown in another order than it was typed. */
static int turns_text(unsigned int c)
{
    return (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

/* Shows nothing by itself. Joiners do not count as ink either; inside emoji others do. */
static int is_blank(unsigned int c)
{
    return c == ' ' || c == 0xa0 || c == 0xad || c == 0x34f || c == 0x61c || c == 0x115f
        || c == 0x1160 || c == 0x1680 || c == 0x17b4 || c == 0x17b5 || c == 0x180e
        || (c >= 0x2000 && c <= 0x200f) || c == 0x2028 || c == 0x2029 || c == 0x202f
        || (c >= 0x205f && c <= 0x2065) || c == 0x2800 || c == 0x3000 || c == 0x3164
        || (c >= 0xfe00 && c <= 0xfe0f) || c == 0xfeff || c == 0xffa0;
}

apr_status_t hb_chat_check_text(hb_op_t *op, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    int has_ink = 0;

    while (*at != '\0') {
        unsigned int c = next_char(&at);

        if (is_control(c) && c != '\n') {
            return hb_fail_field(op, "text", "format", "control characters are not text");
        }
        if (turns_text(c)) {
            return hb_fail_field(op, "text", "format", "marks that turn text round are not taken");
        }
        has_ink |= !is_blank(c) && c != '\n';
    }
    if (!has_ink) {
        return hb_fail_field(op, "text", "format", "a message needs more than blanks");
    }
    return APR_SUCCESS;
}

/* --- links --- */

static int is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int is_name_char(char c)
{
    return is_letter(c) || (c >= '0' && c <= '9') || c == '-' || (c & 0x80) != 0;
}

static int equals(const char *text, apr_size_t n, const char *word)
{
    return strlen(word) == n && strncasecmp(text, word, n) == 0;
}

/* Endings that people post. Any word with a dot inside would take in "see you.ok". */
static int is_top_domain(const char *text, apr_size_t n)
{
    static const char *const words[] = {
        "com", "net", "org", "info", "biz", "io", "co", "me", "tv", "gg", "ly", "app", "dev",
        "xyz", "link", "live", "site", "online", "shop", "store", "club", "top", "vip", "win",
        "bet", "casino", "fun", "space", "website", "page", "click", "chat", "stream", "cc",
        "to", "be", "ai", "sh", "gl", "edu", "gov", "np", "in", "au", "uk", "us", "ca", "de",
        "fr", "ru", "cn", "jp", "kr", "br", "bd", "pk", "lk", "eu", "nz", "sg", "my", NULL
    };
    int i;

    for (i = 0; words[i] != NULL; i++) {
        if (equals(text, n, words[i])) {
            return 1;
        }
    }
    return 0;
}

/* Is the dot at `dot` followed by an ending that no more of a name follows? */
static int ends_name(const char *dot)
{
    const char *end = dot + 1;

    while (is_letter(*end)) {
        end++;
    }
    return is_top_domain(dot + 1, (apr_size_t)(end - dot - 1))
        && !(is_name_char(*end) || (*end == '.' && is_name_char(end[1])));
}

int hb_chat_has_link(const char *text)
{
    const char *dot;

    if (strstr(text, "://") != NULL) {
        return 1;
    }
    for (dot = strchr(text, '.'); dot != NULL; dot = strchr(dot + 1, '.')) {
        if (dot - text >= 3 && strncasecmp(dot - 3, "www", 3) == 0
            && (dot - text == 3 || !is_name_char(dot[-4])) && is_name_char(dot[1])) {
            return 1;
        }
        if (dot > text && is_name_char(dot[-1]) && ends_name(dot)) {
            return 1;
        }
    }
    return 0;
}

/* --- who, and how often --- */

apr_status_t hb_chat_check_rate(hb_op_t *op)
{
    const char *user_id = op->actor.user_id;
    const hb_limit_rule_t rule = {
        "chat", (apr_uint32_t)op->site->settings->chat_per_min, 60 * APR_USEC_PER_SEC
    };
    hb_limit_verdict_t verdict;

    hb_limit_take(&verdict, op->site->limit, &rule, user_id, strlen(user_id), hb_limit_now());
    if (!verdict.is_allowed) {
        return hb_fail_later(op, HB_E_LIMITED, verdict.reset_sec,
                             "you may write again in %d seconds", verdict.reset_sec);
    }
    return APR_SUCCESS;
}

apr_status_t hb_chat_check_age(hb_op_t *op, const hb_json_t *user)
{
    int age = hb_user_age(user, op->now);

    if (age >= 0 && age < op->site->settings->chat_age_min) {
        return hb_fail(op, HB_E_USER_UNDERAGE, "this is for people of %d and above",
                       (int)op->site->settings->chat_age_min);
    }
    return APR_SUCCESS;
}
