/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit trail: one record an entry, never edited. Texts from outside are cut to the
 * limits of hb_schema.def and made valid UTF-8 here, because an entry must not be lost over
 * what a client calls itself.
 */
#include "hb_audit.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_schema.h"
#include "hb_store.h"

/* Bytes of the UTF-8 character at text, 0 when it is none. */
static apr_size_t character(const char *text)
{
    unsigned char c = (unsigned char)*text;
    apr_size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

    return strnlen(text, n) == n && hb_utf8_is_valid(text, n) ? n : 0;
}

/* At most the field's characters of a text, with ? for bytes that are no text. */
static void set_text(hb_json_t *entry, apr_pool_t *pool, const char *field, const char *text)
{
    const hb_field_row_t *row = hb_shape_field(HB_C_AUDIT, field);
    apr_int64_t left = row->high;
    char *clean, *to;
    apr_size_t n;

    if (text == NULL) {
        return;
    }
    clean = to = apr_palloc(pool, strlen(text) + 1);
    for (; *text != '\0' && left > 0; left--) {
        n = character(text);
        if (n == 0 || (n == 1 && ((unsigned char)*text < 0x20 || *text == 0x7f))) {
            *to++ = '?';
            text++;
        }
        else {
            memcpy(to, text, n);
            to += n;
            text += n;
        }
    }
    *to = '\0';
    hb_json_set_string(entry, field, clean);
}

apr_status_t hb_audit_add(hb_op_t *op, const char *user_id, const char *action,
                          const char *resource, int succeeded, hb_json_t *details)
{
    hb_json_t *entry = hb_json_object_make(op->pool);

    if (user_id == NULL) {
        user_id = op->actor.user_id;
    }
    hb_json_set_int(entry, "timestamp", apr_time_as_msec(op->now));
    if (user_id == NULL) {
        hb_json_set_null(entry, "userId");
    }
    set_text(entry, op->pool, "userId", user_id);
    set_text(entry, op->pool, "action", action);
    set_text(entry, op->pool, "resource", resource);
    set_text(entry, op->pool, "ipAddress", op->address);
    set_text(entry, op->pool, "userAgent", op->user_agent);
    set_text(entry, op->pool, "requestId", op->request_id);
    hb_json_set_string(entry, "result", succeeded ? "success" : "failure");
    if (details != NULL) {
        hb_json_set(entry, "details", details);
    }
    return hb_store_insert(NULL, op, HB_C_AUDIT, entry);
}
