/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts come from outside, as valid UTF-8 without 0 bytes, for the JSON parser and the forms have
 * seen to that.
 */
#include "hb_ink.h"

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

apr_status_t hb_ink_check(hb_op_t *op, const char *field, const char *text, const char *noun,
                          int may_break)
{
    const unsigned char *at = (const unsigned char *)text;
    int has_ink = 0;

    while (*at != '\0') {
        unsigned int c = next_char(&at);
        int is_break = c == '\n' || c == 0x2028 || c == 0x2029;

        if (is_break && !may_break) {
            return hb_fail_field(op, field, "format", "%s is one line of text", noun);
        }
        if (is_control(c) && !is_break) {
            return hb_fail_field(op, field, "format", "control characters are not text");
        }
        if (turns_text(c)) {
            return hb_fail_field(op, field, "format", "marks that turn text round are not taken");
        }
        has_ink |= !is_blank(c) && !is_break;
    }
    if (!has_ink) {
        return hb_fail_field(op, field, "format", "%s needs more than blanks", noun);
    }
    return APR_SUCCESS;
}
