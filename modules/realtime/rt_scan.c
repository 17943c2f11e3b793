/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass over JSON text with a stack of brackets. RFC 8259 to the letter; UTF-8 is the
 * caller's to check, because a whole message is checked at once.
 */
#include "rt_scan.h"

#include <string.h>

/* What an open bracket has shown so far. */
typedef struct level_t {
    char bracket;
    char is_placeholder;    /* "_placeholder" is true */
    char has_num;           /* "num" is a number that fits */
    char member;            /* whose value comes: 'p' _placeholder, 'n' num, 0 another */
} level_t;

typedef struct reader_t {
    const char *at, *end;
    int n_attachments;
    int depth;
    level_t levels[RT_SCAN_DEPTH_MAX];
} reader_t;

static void skip_blanks(reader_t *reader)
{
    while (reader->at < reader->end
           && (*reader->at == ' ' || *reader->at == '\t' || *reader->at == '\n'
               || *reader->at == '\r')) {
        reader->at++;
    }
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Four hex digits; -1 when they are not. */
static int hex_four(const char *at)
{
    int i, value = 0;

    for (i = 0; i < 4; i++) {
        int digit = hex_digit(at[i]);

        if (digit < 0) {
            return -1;
        }
        value = value * 16 + digit;
    }
    return value;
}

/* From the opening quote to behind the closing one. */
static int read_string(reader_t *reader)
{
    const char *at = reader->at + 1, *end = reader->end;

    while (at < end && *at != '"') {
        if ((unsigned char)*at < 0x20) {
            return 0;
        }
        if (*at++ != '\\') {
            continue;
        }
        if (at == end) {
            return 0;
        }
        if (*at == 'u') {
            if (end - at < 5 || hex_four(at + 1) < 0) {
                return 0;
            }
            at += 5;
        }
        else if (memchr("\"\\/bfnrt", *at, 8) != NULL) {
            at++;
        }
        else {
            return 0;
        }
    }
    if (at == end) {
        return 0;
    }
    reader->at = at + 1;
    return 1;
}

static int read_digits(reader_t *reader)
{
    const char *from = reader->at;

    while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9') {
        reader->at++;
    }
    return reader->at > from;
}

static int read_number(reader_t *reader)
{
    if (*reader->at == '-') {
        reader->at++;
    }
    if (reader->at < reader->end && *reader->at == '0') {
        reader->at++;
    }
    else if (!read_digits(reader)) {
        return 0;
    }
    if (reader->at < reader->end && *reader->at == '.') {
        reader->at++;
        if (!read_digits(reader)) {
            return 0;
        }
    }
    if (reader->at < reader->end && (*reader->at == 'e' || *reader->at == 'E')) {
        reader->at++;
        if (reader->at < reader->end && (*reader->at == '+' || *reader->at == '-')) {
            reader->at++;
        }
        if (!read_digits(reader)) {
            return 0;
        }
    }
    return 1;
}

static int read_word(reader_t *reader, const char *word)
{
    apr_size_t len = strlen(word);

    if ((apr_size_t)(reader->end - reader->at) < len || memcmp(reader->at, word, len) != 0) {
        return 0;
    }
    reader->at += len;
    return 1;
}

/* A number that names one of n attachments: plain digits, as every client writes them. */
static int names_attachment(const char *from, const char *end, int n)
{
    int value = 0;

    if (end - from > 2) {
        return 0;
    }
    for (; from < end; from++) {
        if (*from < '0' || *from > '9') {
            return 0;
        }
        value = value * 10 + (*from - '0');
    }
    return value < n;
}

/* A value that is not a bracket. */
static int read_plain(reader_t *reader)
{
    const char *from = reader->at;
    level_t *level = reader->depth > 0 ? &reader->levels[reader->depth - 1] : NULL;
    int ok;

    switch (*from) {
    case '"': ok = read_string(reader); break;
    case 't': ok = read_word(reader, "true"); break;
    case 'f': ok = read_word(reader, "false"); break;
    case 'n': ok = read_word(reader, "null"); break;
    default:  ok = read_number(reader); break;
    }
    if (ok && level != NULL && level->member == 'p') {
        level->is_placeholder = *from == 't';
    }
    else if (ok && level != NULL && level->member == 'n') {
        level->has_num = names_attachment(from, reader->at, reader->n_attachments);
    }
    return ok;
}

/* A member's name and its colon. */
static int read_name(reader_t *reader)
{
    level_t *level = &reader->levels[reader->depth - 1];
    const char *from;

    skip_blanks(reader);
    from = reader->at;
    if (from == reader->end || *from != '"' || !read_string(reader)) {
        return 0;
    }
    level->member = 0;
    if (reader->n_attachments > 0) {
        apr_size_t len = (apr_size_t)(reader->at - from) - 2;

        if (rt_scan_is_word(from + 1, len, "_placeholder")) {
            level->member = 'p';
            level->is_placeholder = 0;
        }
        else if (rt_scan_is_word(from + 1, len, "num")) {
            level->member = 'n';
            level->has_num = 0;
        }
    }
    skip_blanks(reader);
    if (reader->at == reader->end || *reader->at != ':') {
        return 0;
    }
    reader->at++;
    return 1;
}

static int open_bracket(reader_t *reader, char bracket)
{
    if (reader->depth == RT_SCAN_DEPTH_MAX) {
        return 0;
    }
    memset(&reader->levels[reader->depth], 0, sizeof(level_t));
    reader->levels[reader->depth++].bracket = bracket;
    reader->at++;
    return 1;
}

/* @return 0 when the object that ends here stands for an attachment that is not there */
static int close_bracket(reader_t *reader)
{
    const level_t *level = &reader->levels[--reader->depth];

    reader->at++;
    return !(level->is_placeholder && !level->has_num);
}

static char kind_of(char c)
{
    return c == '-' || (c >= '0' && c <= '9') ? '0' : c;
}

/*
 * From a value's first character to behind it. Between values the loop stands behind one, at a
 * comma or a closing bracket.
 */
static int read_value(rt_scan_t *scan, reader_t *reader, const char *text)
{
    for (;;) {
        char opening;

        skip_blanks(reader);
        if (reader->at == reader->end) {
            return 0;
        }
        opening = *reader->at;
        if (reader->depth == 1 && scan->kind == '[' && scan->first_kind == 0) {
            scan->first_kind = kind_of(opening);
            scan->first_start = (apr_size_t)(reader->at - text);
        }
        if (opening == '{' || opening == '[') {
            if (!open_bracket(reader, opening)) {
                return 0;
            }
            skip_blanks(reader);
            if (reader->at == reader->end) {
                return 0;
            }
            if (*reader->at != (opening == '{' ? '}' : ']')) {
                if (opening == '{' && !read_name(reader)) {
                    return 0;
                }
                continue;
            }
            close_bracket(reader);
        }
        else if (!read_plain(reader)) {
            return 0;
        }
        for (;;) {
            char bracket;

            if (reader->depth == 0) {
                return 1;
            }
            if (reader->depth == 1 && scan->first_kind != 0 && scan->first_end == 0) {
                scan->first_end = (apr_size_t)(reader->at - text);
            }
            skip_blanks(reader);
            if (reader->at == reader->end) {
                return 0;
            }
            bracket = reader->levels[reader->depth - 1].bracket;
            if (*reader->at == ',') {
                if (reader->depth == 1 && scan->kind == '[' && scan->rest == 0) {
                    scan->rest = (apr_size_t)(reader->at - text);
                }
                reader->at++;
                if (bracket == '{' && !read_name(reader)) {
                    return 0;
                }
                break;
            }
            if (*reader->at != (bracket == '{' ? '}' : ']') || !close_bracket(reader)) {
                return 0;
            }
        }
    }
}

int rt_scan(rt_scan_t *scan, const char *text, apr_size_t len, int n_attachments)
{
    reader_t reader;

    memset(scan, 0, sizeof(*scan));
    reader.at = text;
    reader.end = text + len;
    reader.n_attachments = n_attachments;
    reader.depth = 0;
    skip_blanks(&reader);
    if (reader.at == reader.end) {
        return 0;
    }
    scan->kind = kind_of(*reader.at);
    scan->start = (apr_size_t)(reader.at - text);
    if (!read_value(scan, &reader, text)) {
        return 0;
    }
    scan->end = (apr_size_t)(reader.at - text);
    skip_blanks(&reader);
    return reader.at == reader.end;
}

int rt_scan_is_word(const char *inside, apr_size_t len, const char *word)
{
    const char *end = inside + len;

    for (; inside < end && *word != '\0'; word++) {
        int c = (unsigned char)*inside++;

        if (c == '\\') {
            if (*inside == 'u') {
                c = hex_four(inside + 1);
                inside += 5;
            }
            else {
                /* None of the words has a character that needs this. */
                c = *inside == '/' ? '/' : -1;
                inside++;
            }
        }
        if (c != (unsigned char)*word) {
            return 0;
        }
    }
    return inside == end && *word == '\0';
}
