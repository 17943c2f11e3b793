/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of an entry that its hash is over, and reading an entry back from the store's text
 * without making JSON values of it: verify has to look at 200 000 a second. What the quick
 * reader does not know (an escape in a string, a blank) is parsed as all JSON is.
 */
#include "hb_ledger_private.h"

#include <stddef.h>
#include <string.h>

#include <apr_strings.h>

#include "hb_crypto.h"

#define FORM "halobuzz-entry-1"
#define DIGITS_MAX 24           /* of a length or a number, with what stands around it */

hb_slice_t hb_slice(const char *text)
{
    hb_slice_t slice = { text, text != NULL ? strlen(text) : 0 };

    return slice;
}

int hb_slice_is(hb_slice_t slice, const char *text)
{
    return slice.at != NULL && strlen(text) == slice.n && memcmp(slice.at, text, slice.n) == 0;
}

/* --- writing --- */

static apr_size_t number(char out[DIGITS_MAX], apr_int64_t n)
{
    char back[DIGITS_MAX];
    apr_uint64_t rest = n < 0 ? 0 - (apr_uint64_t)n : (apr_uint64_t)n;
    apr_size_t i = 0, len = 0;

    do {
        back[i++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (n < 0) {
        out[len++] = '-';
    }
    while (i > 0) {
        out[len++] = back[--i];
    }
    return len;
}

static char *put(char *to, const char *bytes, apr_size_t n)
{
    if (bytes == NULL) {
        *to++ = '-';
    }
    else {
        to += number(to, (apr_int64_t)n);
        *to++ = ':';
        memcpy(to, bytes, n);
        to += n;
    }
    *to++ = ',';
    return to;
}

static char *put_slice(char *to, hb_slice_t slice)
{
    return put(to, slice.at, slice.n);
}

static char *put_number(char *to, apr_int64_t n)
{
    char digits[DIGITS_MAX];

    return put(to, digits, number(digits, n));
}

apr_size_t hb_entry_bytes_max(const hb_entry_text_t *entry)
{
    apr_size_t n = sizeof(FORM) + entry->prev_hash.n + entry->id.n + entry->type.n
        + entry->key.n + entry->user_id.n + entry->reference.n + entry->reason.n
        + entry->reverses.n + entry->metadata.n + 13 * 2 * DIGITS_MAX;
    int i;

    for (i = 0; i < entry->n_postings; i++) {
        n += entry->postings[i].account.n + entry->postings[i].currency.n
            + entry->postings[i].prev.n + 5 * 2 * DIGITS_MAX;
    }
    return n;
}

apr_size_t hb_entry_bytes(char *out, const hb_entry_text_t *entry)
{
    char *to = put(out, FORM, sizeof(FORM) - 1);
    int i;

    to = put_slice(to, entry->prev_hash);
    to = put_number(to, entry->seq);
    to = put_slice(to, entry->id);
    to = put_slice(to, entry->type);
    to = put_slice(to, entry->key);
    to = put_slice(to, entry->user_id);
    to = put_slice(to, entry->reference);
    to = put_slice(to, entry->reason);
    to = put_slice(to, entry->reverses);
    to = put_number(to, entry->created_at);
    to = put_slice(to, entry->metadata);
    to = put_number(to, entry->n_postings);
    for (i = 0; i < entry->n_postings; i++) {
        to = put_slice(to, entry->postings[i].account);
        to = put_slice(to, entry->postings[i].currency);
        to = put_number(to, entry->postings[i].coins);
        to = put_number(to, entry->postings[i].balance);
        to = put_slice(to, entry->postings[i].prev);
    }
    return (apr_size_t)(to - out);
}

apr_status_t hb_entry_hash(char hex[HB_HASH_DIGITS + 1], const char *bytes, apr_size_t n)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char digest[32];
    apr_status_t rv = hb_sha256(digest, bytes, n, NULL, 0);
    int i;

    if (rv == APR_SUCCESS) {
        for (i = 0; i < 32; i++) {
            hex[2 * i] = digits[digest[i] >> 4];
            hex[2 * i + 1] = digits[digest[i] & 15];
        }
        hex[HB_HASH_DIGITS] = '\0';
    }
    return rv;
}

/* --- the quick reader: compact JSON without escapes where strings are wanted. Each
 * function goes on at p and gives where it ended, NULL when it met something else. --- */

static const char *read_string(hb_slice_t *slice, const char *p)
{
    const char *start = p + 1;

    if (*p != '"') {
        return NULL;
    }
    for (p = start; *p != '"'; p++) {
        if (*p == '\\' || *p == '\0') {
            return NULL;
        }
    }
    slice->at = start;
    slice->n = (apr_size_t)(p - start);
    return p + 1;
}

static const char *read_text(hb_slice_t *slice, const char *p)
{
    if (strncmp(p, "null", 4) == 0) {
        return p + 4;
    }
    return read_string(slice, p);
}

static const char *read_number(apr_int64_t *n, const char *p)
{
    int is_negative = *p == '-';
    apr_int64_t sum = 0;
    const char *start = p += is_negative;

    for (; *p >= '0' && *p <= '9'; p++) {
        if (__builtin_mul_overflow(sum, 10, &sum)
            || (is_negative ? __builtin_sub_overflow(sum, *p - '0', &sum)
                            : __builtin_add_overflow(sum, *p - '0', &sum))) {
            return NULL;
        }
    }
    *n = sum;
    return p > start && *p != '.' && *p != 'e' && *p != 'E' ? p : NULL;
}

/* Any object, as it stands. */
static const char *read_object(hb_slice_t *slice, const char *p)
{
    const char *start = p;
    int depth = 0;

    if (*p != '{') {
        return NULL;
    }
    do {
        if (*p == '"') {
            for (p++; *p != '"'; p++) {
                p += *p == '\\';
                if (*p == '\0') {
                    return NULL;
                }
            }
        }
        depth += (*p == '{' || *p == '[') - (*p == '}' || *p == ']');
        if (*p++ == '\0') {
            return NULL;
        }
    } while (depth > 0);
    slice->at = start;
    slice->n = (apr_size_t)(p - start);
    return p;
}

static const char *read_postings(hb_entry_text_t *entry, const char *p)
{
    hb_slice_t name;

    if (*p++ != '[') {
        return NULL;
    }
    while (p != NULL && *p == '{') {
        int i = entry->n_postings++;

        if (i == HB_POSTINGS_MAX) {
            return NULL;
        }
        do {
            p = read_string(&name, p + 1);
            if (p == NULL || *p++ != ':') {
                return NULL;
            }
            if (hb_slice_is(name, "account")) {
                p = read_string(&entry->postings[i].account, p);
            }
            else if (hb_slice_is(name, "currency")) {
                p = read_string(&entry->postings[i].currency, p);
            }
            else if (hb_slice_is(name, "coins")) {
                p = read_number(&entry->postings[i].coins, p);
            }
            else if (hb_slice_is(name, "balance")) {
                p = read_number(&entry->postings[i].balance, p);
            }
            else if (hb_slice_is(name, "prev")) {
                p = read_text(&entry->postings[i].prev, p);
            }
            else {
                return NULL;
            }
        } while (p != NULL && *p == ',');
        if (p == NULL || *p++ != '}') {
            return NULL;
        }
        p += *p == ',';
    }
    return p != NULL && *p == ']' ? p + 1 : NULL;
}

static const struct {
    const char *name;
    apr_size_t offset;
    const char *(*text)(hb_slice_t *slice, const char *p);      /* or else it is a number */
} members[] = {
#define OF(member) offsetof(hb_entry_text_t, member)
    { "seq", OF(seq), NULL },
    { "type", OF(type), read_text },
    { "status", OF(status), read_text },
    { "key", OF(key), read_text },
    { "userId", OF(user_id), read_text },
    { "reference", OF(reference), read_text },
    { "reason", OF(reason), read_text },
    { "reverses", OF(reverses), read_text },
    { "amount", OF(amount), NULL },
    { "metadata", OF(metadata), read_object },
    { "createdAt", OF(created_at), NULL },
    { "prevHash", OF(prev_hash), read_text },
    { "hash", OF(hash), read_text },
#undef OF
};

#define N_MEMBERS ((int)(sizeof(members) / sizeof(members[0])))

static const char *read_member(hb_entry_text_t *entry, hb_slice_t name, const char *p)
{
    int i;

    if (hb_slice_is(name, "postings")) {
        return read_postings(entry, p);
    }
    for (i = 0; i < N_MEMBERS; i++) {
        char *member = (char *)entry + members[i].offset;

        if (hb_slice_is(name, members[i].name)) {
            return members[i].text != NULL ? members[i].text((hb_slice_t *)(void *)member, p)
                : read_number((apr_int64_t *)(void *)member, p);
        }
    }
    return NULL;
}

static int read_quickly(hb_entry_text_t *entry, const char *p, apr_size_t len)
{
    const char *end = p + len;
    hb_slice_t name;

    if (*p != '{') {
        return 0;
    }
    do {
        p = read_string(&name, p + 1);
        if (p == NULL || *p++ != ':') {
            return 0;
        }
        p = read_member(entry, name, p);
    } while (p != NULL && *p == ',');
    return p != NULL && *p == '}' && p + 1 == end;
}

/* --- the slow one, for what it did not take --- */

static int is_known(void *baton, const char *key, hb_json_t *value)
{
    int i;

    (void)baton;
    (void)value;
    for (i = 0; i < N_MEMBERS; i++) {
        if (strcmp(key, members[i].name) == 0) {
            return 0;
        }
    }
    return strcmp(key, "postings") != 0;
}

static int read_slowly(hb_entry_text_t *entry, const hb_json_t *json, apr_pool_t *pool)
{
    const hb_json_t *postings = hb_json_get(json, "postings");
    int i;

    if (hb_json_type(json) != HB_JSON_OBJECT || hb_json_each(json, is_known, NULL) != 0) {
        return 0;
    }
    for (i = 0; i < N_MEMBERS; i++) {
        const hb_json_t *value = hb_json_get(json, members[i].name);
        char *member = (char *)entry + members[i].offset;

        if (members[i].text == NULL) {
            *(apr_int64_t *)(void *)member = hb_json_int_value(value, 0);
        }
        else if (members[i].text == read_object && value != NULL) {
            *(hb_slice_t *)(void *)member = hb_slice(hb_json_text(value, pool, NULL));
        }
        else {
            *(hb_slice_t *)(void *)member = hb_slice(hb_json_string_value(value));
        }
    }
    entry->n_postings = hb_json_length(postings);
    if (entry->n_postings > HB_POSTINGS_MAX) {
        return 0;
    }
    for (i = 0; i < entry->n_postings; i++) {
        const hb_json_t *posting = hb_json_item(postings, i);

        entry->postings[i].account = hb_slice(hb_json_string(posting, "account"));
        entry->postings[i].currency = hb_slice(hb_json_string(posting, "currency"));
        entry->postings[i].coins = hb_json_int(posting, "coins", 0);
        entry->postings[i].balance = hb_json_int(posting, "balance", 0);
        entry->postings[i].prev = hb_slice(hb_json_string(posting, "prev"));
    }
    return 1;
}

const char *hb_entry_read(hb_entry_text_t *entry, const char *id, const char *text,
                          apr_size_t len, apr_pool_t *pool)
{
    hb_json_t *json;

    memset(entry, 0, sizeof(*entry));
    entry->id = hb_slice(id);
    if (!read_quickly(entry, text, len)) {
        memset(entry, 0, sizeof(*entry));
        entry->id = hb_slice(id);
        json = hb_json_parse_own(text, len, pool);
        if (json == NULL || !read_slowly(entry, json, pool)) {
            return "it is no entry";
        }
    }
    return NULL;
}
