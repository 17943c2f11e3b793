/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of notices. Each language is a file of conf/notices/, built in; a folder of the
 * operator goes over it, notice by notice, and may bring languages of its own. Every file
 * is checked when it is read: what it names has to be a value of that notice.
 */
#include "hb_notice_private.h"

#include <string.h>

#include <apr_file_info.h>
#include <apr_file_io.h>
#include <apr_hash.h>
#include <apr_lib.h>
#include <apr_strings.h>

#include "hb_mail.h"
#include "notice_files.h"

#define FALLBACK "en"
#define FILE_MAX_BYTES 65536
#define LANGUAGES_MAX 32
#define PART_MAX_BYTES 1000     /* a title or text; values come on top */

typedef struct words_t {
    const char *title, *text;
} words_t;

typedef struct language_t {
    const char *tag;
    const char *hello;
    words_t words[HB_N_COUNT];
} language_t;

struct hb_notice_texts_t {
    language_t *languages[LANGUAGES_MAX];
    int n;
};

/* --- placeholders --- */

char hb_notice_value_kind(hb_notice_e kind, const char *name, apr_size_t len)
{
    const char *c = hb_notice_row(kind)->values;

    while (c != NULL && *c != '\0') {
        c += strspn(c, " ");
        if (strncmp(c, name, len) == 0 && c[len] == ':') {
            return strncmp(c + len + 1, "time", 4) == 0 ? 'm' : c[len + 1];
        }
        c = strchr(c, ' ');
    }
    return 0;
}

/* NULL, or what is wrong with a title or text: braces and brackets, and the values named. */
static const char *misfit(hb_notice_e kind, const char *part, apr_pool_t *pool)
{
    const char *c = part, *end;
    int is_inside = 0;

    if (*part == '\0' || strlen(part) > PART_MAX_BYTES) {
        return apr_psprintf(pool, "a title or text has 1 to %d bytes", PART_MAX_BYTES);
    }
    for (; *c != '\0'; c++) {
        if (*c == '[' || *c == ']') {
            if ((*c == '[') == is_inside) {
                return "brackets come in pairs, and not inside each other";
            }
            is_inside = !is_inside;
        }
        else if (*c == '}') {
            return "} without {";
        }
        else if (*c == '{') {
            end = c + 1 + strcspn(c + 1, "{}[]");
            if (*end != '}' || end == c + 1) {
                return "{ without }";
            }
            if (kind < HB_N_COUNT
                ? hb_notice_value_kind(kind, c + 1, (apr_size_t)(end - c - 1)) == 0
                : strncmp(c, "{username}", 10) != 0) {
                return apr_psprintf(pool, "%.*s} is no value of this notice", (int)(end - c), c);
            }
            c = end;
        }
    }
    return is_inside ? "brackets come in pairs, and not inside each other" : NULL;
}

/* --- reading a file --- */

static char *trimmed(char *text)
{
    char *end;

    while (apr_isspace(*text)) {
        text++;
    }
    for (end = text + strlen(text); end > text && apr_isspace(end[-1]); end--) {
        end[-1] = '\0';
    }
    return text;
}

/* One line that is not empty. NULL, or what is wrong. */
static const char *take_line(language_t *language, hb_notice_e *kind, char *line,
                             apr_pool_t *pool)
{
    const char **part = NULL;
    char *value;

    if (*line == '[') {
        value = strchr(line, ']');
        if (value == NULL || value[1] != '\0') {
            return "a notice begins with its name in brackets";
        }
        *value = '\0';
        *kind = hb_notice_named(line + 1);
        return *kind == HB_N_COUNT ? apr_psprintf(pool, "there is no notice %s", line + 1) : NULL;
    }
    value = strchr(line, '=');
    if (value == NULL) {
        return "expected [notice], title = ... or text = ...";
    }
    *value++ = '\0';
    line = trimmed(line);
    if (strcmp(line, "hello") == 0 && *kind == HB_N_COUNT) {
        part = &language->hello;
    }
    else if (*kind < HB_N_COUNT && strcmp(line, "title") == 0) {
        part = &language->words[*kind].title;
    }
    else if (*kind < HB_N_COUNT && strcmp(line, "text") == 0) {
        part = &language->words[*kind].text;
    }
    if (part == NULL) {
        return "expected hello = ... on top, then title = ... and text = ... of each notice";
    }
    *part = trimmed(value);
    return misfit(*kind, *part, pool);
}

/* Over what the language has already. text is written to. */
static const char *read_text(language_t *language, const char *name, char *text,
                             apr_pool_t *pool)
{
    hb_notice_e kind = HB_N_COUNT;
    const char *why;
    char *line, *next;
    int n = 0;

    for (line = text; line != NULL; line = next) {
        next = strchr(line, '\n');
        if (next != NULL) {
            *next++ = '\0';
        }
        n++;
        line = trimmed(line);
        if (*line == '\0' || *line == '#') {
            continue;
        }
        why = hb_utf8_is_valid(line, strlen(line)) ? take_line(language, &kind, line, pool)
            : "this is not UTF-8";
        if (why != NULL) {
            return apr_psprintf(pool, "%s line %d: %s", name, n, why);
        }
    }
    return NULL;
}

static language_t *language_of(hb_notice_texts_t *texts, const char *tag, apr_pool_t *pool)
{
    language_t *made;
    int i;

    for (i = 0; i < texts->n; i++) {
        if (strcmp(texts->languages[i]->tag, tag) == 0) {
            return texts->languages[i];
        }
    }
    if (texts->n == LANGUAGES_MAX) {
        return NULL;
    }
    made = apr_pcalloc(pool, sizeof(*made));
    made->tag = tag;
    texts->languages[texts->n++] = made;
    return made;
}

static const char *read_built_in(hb_notice_texts_t *texts, const char *tag,
                                 const unsigned char *bytes, apr_size_t len, apr_pool_t *pool)
{
    return read_text(language_of(texts, tag, pool), apr_pstrcat(pool, tag, ".txt", NULL),
                     apr_pstrmemdup(pool, (const char *)bytes, len), pool);
}

static const char *read_file(hb_notice_texts_t *texts, const char *path, const char *tag,
                             apr_pool_t *pool)
{
    language_t *language = language_of(texts, tag, pool);
    char *text = apr_pcalloc(pool, FILE_MAX_BYTES + 1);
    apr_size_t n = 0;
    apr_file_t *file;
    apr_status_t rv;

    if (language == NULL) {
        return apr_psprintf(pool, "%s: there are more than %d languages", path, LANGUAGES_MAX);
    }
    rv = apr_file_open(&file, path, APR_FOPEN_READ, APR_FPROT_OS_DEFAULT, pool);
    if (rv == APR_SUCCESS) {
        rv = apr_file_read_full(file, text, FILE_MAX_BYTES, &n);
        apr_file_close(file);
        rv = rv == APR_EOF ? APR_SUCCESS : rv != APR_SUCCESS ? rv : APR_ENOSPC;
    }
    if (rv != APR_SUCCESS) {
        return apr_psprintf(pool, "HaloBuzzNoticeTexts: %s cannot be read, or has more than %d "
                            "bytes", path, FILE_MAX_BYTES);
    }
    return read_text(language, path, text, pool);
}

/* NULL unless the file is LANGUAGE.txt. */
static const char *tag_of(const char *file, apr_pool_t *pool)
{
    apr_size_t n = strlen(file);

    if (n < 5 || n > 39 || strcmp(file + n - 4, ".txt") != 0
        || strspn(file, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")
           != n - 4) {
        return NULL;
    }
    return apr_pstrmemdup(pool, file, n - 4);
}

static const char *read_folder(hb_notice_texts_t *texts, const char *folder, apr_pool_t *pool)
{
    const char *why = NULL, *tag;
    apr_finfo_t info;
    apr_dir_t *dir;

    if (apr_dir_open(&dir, folder, pool) != APR_SUCCESS) {
        return apr_psprintf(pool, "HaloBuzzNoticeTexts: %s is no folder that can be read",
                            folder);
    }
    while (why == NULL && apr_dir_read(&info, APR_FINFO_NAME, dir) == APR_SUCCESS) {
        tag = tag_of(info.name, pool);
        if (tag != NULL) {
            why = read_file(texts, apr_pstrcat(pool, folder, "/", info.name, NULL), tag, pool);
        }
    }
    apr_dir_close(dir);
    return why;
}

/* Does a language say whatever it begins to say? What it leaves out is said in English. */
static const char *half_said(const language_t *language, apr_pool_t *pool)
{
    int i;

    for (i = 0; i < HB_N_COUNT; i++) {
        if ((language->words[i].title == NULL) != (language->words[i].text == NULL)) {
            return apr_psprintf(pool, "%s.txt: %s needs a title and a text", language->tag,
                                hb_notice_row(i)->name);
        }
    }
    return NULL;
}

apr_status_t hb_notice_texts_make(hb_notice_texts_t **made, const char **why, const char *dir,
                                  apr_pool_t *pool)
{
    hb_notice_texts_t *texts = apr_pcalloc(pool, sizeof(*texts));
    int i;

    *made = texts;
    *why = read_built_in(texts, FALLBACK, bytes_en_txt, sizeof(bytes_en_txt), pool);
    if (*why == NULL) {
        *why = read_built_in(texts, "ne", bytes_ne_txt, sizeof(bytes_ne_txt), pool);
    }
    if (*why == NULL && *dir != '\0') {
        *why = read_folder(texts, dir, pool);
    }
    for (i = 0; *why == NULL && i < texts->n; i++) {
        *why = half_said(texts->languages[i], pool);
    }
    return *why == NULL ? APR_SUCCESS : HB_E_CONFIG;
}

/* --- speaking --- */

const char *hb_notice_language(const hb_notice_texts_t *texts, const char *tag)
{
    int i, n;

    /* "ne-Latn-NP": the whole, then less and less of it. */
    for (n = tag != NULL ? (int)strlen(tag) : 0; n > 0; n--) {
        if (tag[n] != '\0' && tag[n] != '-') {
            continue;
        }
        for (i = 0; i < texts->n; i++) {
            if (strncasecmp(texts->languages[i]->tag, tag, n) == 0
                && texts->languages[i]->tag[n] == '\0') {
                return texts->languages[i]->tag;
            }
        }
    }
    return FALLBACK;
}

static const language_t *spoken(const hb_op_t *op, const char *tag)
{
    const hb_notice_texts_t *texts = op->site->notice_texts;
    int i;

    for (i = 0; i < texts->n; i++) {
        if (strcmp(texts->languages[i]->tag, tag) == 0) {
            return texts->languages[i];
        }
    }
    return texts->languages[0];
}

static const words_t *words_of(const hb_op_t *op, const hb_notice_reader_t *reader,
                               hb_notice_e kind)
{
    const words_t *words = &spoken(op, reader->language)->words[kind];

    return words->title != NULL ? words : &spoken(op, FALLBACK)->words[kind];
}

/* "2026-10-04 14:05 (Asia/Kathmandu)": the same in every language. */
static const char *time_text(apr_pool_t *pool, const hb_zone_t *zone, apr_time_t when)
{
    hb_local_t local;

    hb_zone_local(&local, zone, when);
    return apr_psprintf(pool, "%04d-%02d-%02d %02d:%02d (%s)", local.year, local.month, local.day,
                        local.hour, local.minute, hb_zone_name(zone));
}

const char *hb_notice_said(hb_op_t *op, const char *language, const hb_json_t *values,
                           const char *name)
{
    const char *text = hb_json_string(values, apr_pstrcat(op->pool, name, "-", language, NULL));

    return text != NULL ? text : hb_json_string(values, name);
}

/* NULL when the value is not there. */
static const char *value_text(hb_op_t *op, const hb_notice_reader_t *reader, hb_notice_e kind,
                              const hb_json_t *values, const char *name)
{
    const char *text;

    switch (kind < HB_N_COUNT ? hb_notice_value_kind(kind, name, strlen(name)) : 't') {
    case 'm':
        return hb_json_int(values, name, 0) == 0 ? NULL
            : time_text(op->pool, reader->zone, apr_time_from_msec(hb_json_int(values, name, 0)));
    case 'i':
        return hb_json_has(values, name) ? apr_psprintf(op->pool, "%" APR_INT64_T_FMT,
                                                        hb_json_int(values, name, 0)) : NULL;
    default:
        text = hb_notice_said(op, reader->language, values, name);
        return text != NULL && *text != '\0' ? text : NULL;
    }
}

/* The values put in; a part in brackets that lacks one goes. */
static const char *filled(hb_op_t *op, const hb_notice_reader_t *reader, hb_notice_e kind,
                          const hb_json_t *values, const char *part)
{
    apr_array_header_t *said = apr_array_make(op->pool, 16, sizeof(const char *));
    int n_before = 0, lacks = 0;
    const char *c, *value;

    for (c = part; *c != '\0'; ) {
        apr_size_t n = strcspn(c, "{[]");

        if (n > 0) {
            APR_ARRAY_PUSH(said, const char *) = apr_pstrmemdup(op->pool, c, n);
            c += n;
        }
        if (*c == '[') {
            n_before = said->nelts;
            lacks = 0;
            c++;
        }
        else if (*c == ']') {
            said->nelts = lacks ? n_before : said->nelts;
            c++;
        }
        else if (*c == '{') {
            n = strcspn(c, "}");
            value = value_text(op, reader, kind, values, apr_pstrmemdup(op->pool, c + 1, n - 1));
            APR_ARRAY_PUSH(said, const char *) = value != NULL ? value : "";
            lacks |= value == NULL;
            c += n + 1;
        }
    }
    return apr_array_pstrcat(op->pool, said, 0);
}

const char *hb_notice_title(hb_op_t *op, const hb_notice_reader_t *reader, hb_notice_e kind,
                            const hb_json_t *values)
{
    return filled(op, reader, kind, values, words_of(op, reader, kind)->title);
}

const char *hb_notice_text(hb_op_t *op, const hb_notice_reader_t *reader, hb_notice_e kind,
                           const hb_json_t *values)
{
    return filled(op, reader, kind, values, words_of(op, reader, kind)->text);
}

static const char *hello_text(hb_op_t *op, const hb_notice_reader_t *reader)
{
    const char *hello = spoken(op, reader->language)->hello;
    hb_json_t *values = hb_json_object_make(op->pool);

    hb_json_set_string(values, "username", reader->username);
    return filled(op, reader, HB_N_COUNT, values, hello != NULL ? hello
                  : spoken(op, FALLBACK)->hello);
}

hb_json_t *hb_notice_mail(hb_op_t *op, const hb_notice_reader_t *reader, hb_notice_e kind,
                          const hb_json_t *values)
{
    const char *title = hb_notice_title(op, reader, kind, values);
    hb_json_t *row = NULL;
    apr_status_t rv;

    if (reader->email == NULL) {
        return NULL;
    }
    rv = hb_mail_prepare(&row, op, reader->email, title,
                         apr_psprintf(op->pool, "%s\n\n%s\n\n%s\n", hello_text(op, reader),
                                      hb_notice_text(op, reader, kind, values),
                                      op->site->settings->public_url));
    if (rv != APR_SUCCESS) {
        hb_op_recover(op);
        hb_log(op, HB_LOG_ERR, rv, HBLOGNO(00524) "the mail %s to user %s could not be written",
               hb_notice_row(kind)->name, reader->user_id);
    }
    return row;
}
