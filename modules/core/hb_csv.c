/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of CSV files. */
#include "hb_csv.h"

#include <string.h>

/* Does a spreadsheet begin a formula with it? In East Asia also with the wide = + - @ (U+FF1D, U+FF0B,
 * U+FF0D, U+FF20), which are the same signs there. */
static int is_formula(const char *text)
{
    return (*text != '\0' && strchr("=+-@\t\r\n", *text) != NULL)
        || (strncmp(text, "\xef\xbc", 2) == 0 && text[2] != '\0'
            && strchr("\x9d\x8b\x8d\xa0", text[2]) != NULL);
}

const char *hb_csv_text(apr_pool_t *pool, const char *text)
{
    char *out, *to;

    text = text != NULL ? text : "";
    to = out = apr_palloc(pool, 2 * strlen(text) + 4);
    *to++ = '"';
    if (is_formula(text)) {
        *to++ = '\'';
    }
    for (; *text != '\0'; text++) {
        if (*text == '"') {
            *to++ = '"';
        }
        *to++ = *text;
    }
    *to++ = '"';
    *to = '\0';
    return out;
}
