/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_scan.h
 * Is this text one JSON value, and where is what we need of it? Events are passed on as the text
 * they came as, so nothing is built: one pass, no memory.
 */
#ifndef RT_SCAN_H
#define RT_SCAN_H

#include <apr.h>

/** Arrays and objects within each other. */
#define RT_SCAN_DEPTH_MAX 200

/** Where things are in the text, as offsets. */
typedef struct rt_scan_t {
    char kind;              /* '{' '[' '"' '0' (a number) 't' 'f' 'n' */
    char first_kind;        /* the same of the first item of an outermost array, 0 when empty */
    apr_size_t start;       /* of the value itself, behind blanks */
    apr_size_t first_start, first_end;  /* of that item */
    apr_size_t rest;        /* the comma behind it, 0 when it is the only one */
    apr_size_t end;         /* behind the value */
} rt_scan_t;

/**
 * @param n_attachments  0 to take placeholders for ordinary objects; otherwise each
 *                       {"_placeholder":true,"num":n} needs 0 <= n < n_attachments
 * @return 1 when the text is exactly one value with blanks around it
 */
int rt_scan(rt_scan_t *scan, const char *text, apr_size_t len, int n_attachments);

/** Does the inside of a JSON string (escapes and all) stand for this ASCII word? */
int rt_scan_is_word(const char *inside, apr_size_t len, const char *word);

#endif /* RT_SCAN_H */
