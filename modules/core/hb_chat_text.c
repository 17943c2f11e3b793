/* SPDX-License-Identifier: Apache-2.0 */
/* What may be said at all (but for hb_ink.c), how often, and what counts as a link. */
#include "hb_chat.h"

#include <string.h>
#include <strings.h>

#include "hb_ink.h"
#include "hb_limit.h"
#include "hb_user.h"

apr_status_t hb_chat_check_text(hb_op_t *op, const char *text)
{
    return hb_ink_check(op, "text", text, "a message", 1);
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
