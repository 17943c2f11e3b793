/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of spooled files and addresses in mail: what writing and delivering share.
 */
#include "hb_mail_spool.h"

#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>

#define ADDRESS_MAX_BYTES 254   /* RFC 5321 */
#define TRIES_MAX 1000000

const char *hb_mail_name_text(const hb_mail_name_t *name, apr_pool_t *pool)
{
    return apr_psprintf(pool, "%016" APR_INT64_T_FMT "-%s.%d.%" APR_INT64_T_FMT HB_MAIL_SUFFIX,
                        name->written_at, name->id, name->tries, apr_time_sec(name->not_before));
}

/* A number up to a character; moves behind that. -1 when there is none. */
static apr_int64_t number_until(const char **text, char stop)
{
    char *end;
    apr_int64_t n;

    if (!apr_isdigit(**text)) {
        return -1;
    }
    n = apr_strtoi64(*text, &end, 10);
    if (*end != stop) {
        return -1;
    }
    *text = end + 1;
    return n;
}

int hb_mail_name_read(hb_mail_name_t *name, const char *text, apr_pool_t *pool)
{
    const char *dot;
    apr_int64_t sec, tries;

    name->written_at = number_until(&text, '-');
    if (name->written_at < 0) {
        return 0;
    }
    dot = strchr(text, '.');
    if (dot == NULL || dot == text) {
        return 0;
    }
    name->id = apr_pstrmemdup(pool, text, dot - text);
    text = dot + 1;
    tries = number_until(&text, '.');
    sec = number_until(&text, '.');
    if (tries < 0 || tries > TRIES_MAX || sec < 0 || sec > APR_INT64_MAX / APR_USEC_PER_SEC) {
        return 0;
    }
    name->tries = (int)tries;
    name->not_before = apr_time_from_sec(sec);
    return strcmp(text, &HB_MAIL_SUFFIX[1]) == 0;    /* the dot is behind us */
}

const char *hb_mail_address(const char *text, apr_pool_t *pool)
{
    const char *open = strchr(text, '<');
    apr_size_t len = strlen(text), i;
    const char *address = text, *at;

    if (open != NULL) {
        if (len == 0 || text[len - 1] != '>') {
            return NULL;
        }
        address = apr_pstrmemdup(pool, open + 1, text + len - open - 2);
    }
    len = strlen(address);
    at = strchr(address, '@');
    if (at == NULL || at == address || at[1] == '\0' || strchr(at + 1, '@') != NULL
        || len > ADDRESS_MAX_BYTES || *address == '-') {
        return NULL;
    }
    for (i = 0; i < len; i++) {
        if (!apr_isgraph(address[i]) || (unsigned char)address[i] > 0x7e
            || strchr("<>()[],;:\\\"", address[i]) != NULL) {
            return NULL;
        }
    }
    return apr_pstrdup(pool, address);
}
