/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of CSV files. */
#include "hb_csv.h"

#include <string.h>

const char *hb_csv_text(apr_pool_t *pool, const char *text)
{
    char *out, *to;

    text = text != NULL ? text : "";
    to = out = apr_palloc(pool, 2 * strlen(text) + 4);
    *to++ = '"';
    if (*text != '\0' && strchr("=+-@\t\r\n", *text) != NULL) {
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
