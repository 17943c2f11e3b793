/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict reading: what two readers could understand differently (folded lines, two lengths, bare
 * line feeds, blanks before a colon) is refused, because httpd stands in front of us.
 */
#include "rt_http.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "hb_json.h"

#define CHUNK_HEAD_MAX 256
#define CHUNK_DIGITS_MAX 7
#define TRAILER_MAX 4096

static int is_token(char c)
{
    return apr_isalnum(c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static int bytes_are(rt_bytes_t bytes, const char *text)
{
    return bytes.len == strlen(text) && memcmp(bytes.at, text, bytes.len) == 0;
}

static int bytes_are_any_case(rt_bytes_t bytes, const char *text)
{
    return bytes.len == strlen(text) && strncasecmp(bytes.at, text, bytes.len) == 0;
}

apr_size_t rt_head_end(const char *bytes, apr_size_t len, apr_size_t from)
{
    const char *at = bytes + (from > 3 ? from - 3 : 0), *end = bytes + len;

    while ((at = memchr(at, '\r', (apr_size_t)(end - at))) != NULL) {
        if (end - at < 4) {
            return 0;
        }
        if (memcmp(at, "\r\n\r\n", 4) == 0) {
            return (apr_size_t)(at - bytes) + 4;
        }
        at++;
    }
    return 0;
}

/* GET /path?query HTTP/1.1 */
static int read_request_line(rt_head_t *head, const char *at, const char *end)
{
    const char *from = at, *mark;

    while (at < end && is_token(*at)) {
        at++;
    }
    head->method.at = from;
    head->method.len = (apr_size_t)(at - from);
    if (at == from || at == end || *at++ != ' ') {
        return 400;
    }
    for (from = at; at < end && (unsigned char)*at > ' ' && *at != 0x7f; at++) {
    }
    if (at == from || *from != '/' || end - at != 9 || memcmp(at, " HTTP/", 6) != 0) {
        return 400;
    }
    mark = memchr(from, '?', (apr_size_t)(at - from));
    head->path.at = from;
    head->path.len = (apr_size_t)((mark != NULL ? mark : at) - from);
    head->query.at = mark != NULL ? mark + 1 : at;
    head->query.len = (apr_size_t)(at - head->query.at);
    if (at[6] != '1' || at[7] != '.' || (at[8] != '0' && at[8] != '1')) {
        return 505;
    }
    head->minor = at[8] - '0';
    return 0;
}

static int read_field(rt_head_t *head, const char *at, const char *end)
{
    rt_field_t *field;
    const char *from = at;

    if (head->n_fields == RT_FIELDS_MAX) {
        return 431;
    }
    field = &head->fields[head->n_fields++];
    while (at < end && is_token(*at)) {
        at++;
    }
    field->name.at = from;
    field->name.len = (apr_size_t)(at - from);
    if (at == from || at == end || *at++ != ':') {
        return 400;
    }
    while (at < end && (*at == ' ' || *at == '\t')) {
        at++;
    }
    while (end > at && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    field->value.at = at;
    field->value.len = (apr_size_t)(end - at);
    for (; at < end; at++) {
        if (((unsigned char)*at < ' ' && *at != '\t') || *at == 0x7f) {
            return 400;
        }
    }
    return 0;
}

/* Is the word in a list like "keep-alive, Upgrade"? */
static int lists_word(const char *value, const char *word)
{
    apr_size_t len = strlen(word);

    while (value != NULL && *value != '\0') {
        value += strspn(value, " \t,");
        if (strncasecmp(value, word, len) == 0
            && (value[len] == '\0' || strchr(" \t,;", value[len]) != NULL)) {
            return 1;
        }
        value += strcspn(value, ",");
    }
    return 0;
}

static int read_length(rt_head_t *head, rt_bytes_t value)
{
    apr_int64_t len = 0;
    apr_size_t i;

    if (head->body_len >= 0 || value.len == 0 || value.len > 12) {
        return 400;
    }
    for (i = 0; i < value.len; i++) {
        if (!apr_isdigit(value.at[i])) {
            return 400;
        }
        len = len * 10 + (value.at[i] - '0');
    }
    head->body_len = len;
    return 0;
}

/* What decides about the bytes that follow. */
static int read_framing(rt_head_t *head)
{
    const char *connection = rt_head_field(head, "connection");
    const char *upgrade = rt_head_field(head, "upgrade");
    int i, status = 0;

    for (i = 0; i < head->n_fields && status == 0; i++) {
        const rt_field_t *field = &head->fields[i];

        if (bytes_are_any_case(field->name, "content-length")) {
            status = read_length(head, field->value);
        }
        else if (bytes_are_any_case(field->name, "transfer-encoding")) {
            if (!bytes_are_any_case(field->value, "chunked")) {
                status = 501;
            }
            else if (head->is_chunked || head->minor == 0) {
                status = 400;
            }
            head->is_chunked = 1;
        }
    }
    if (status == 0 && head->is_chunked && head->body_len >= 0) {
        status = 400;
    }
    head->keep_alive = head->minor == 1 ? !lists_word(connection, "close")
                       : lists_word(connection, "keep-alive");
    head->is_upgrade = head->minor == 1 && lists_word(connection, "upgrade")
                       && lists_word(upgrade, "websocket");
    return status;
}

int rt_head_read(rt_head_t *head, const char *bytes, apr_size_t len, apr_pool_t *pool)
{
    const char *at = bytes, *end = bytes + len - 2, *line;
    int status;

    memset(head, 0, offsetof(rt_head_t, fields));
    head->pool = pool;
    head->body_len = -1;
    head->address = head->request_id = "";
    /* Every line ends in CRLF; a bare CR or LF makes a character no line may have. */
    line = memchr(at, '\r', (apr_size_t)(end - at));
    if (line == NULL || line[1] != '\n') {
        return 400;
    }
    status = read_request_line(head, at, line);
    for (at = line + 2; status == 0 && at < end; at = line + 2) {
        line = memchr(at, '\r', (apr_size_t)(end - at));
        if (line == NULL || line[1] != '\n') {
            return 400;
        }
        status = read_field(head, at, line);
    }
    if (status != 0) {
        return status;
    }
    head->path_text = apr_pstrmemdup(pool, head->path.at, head->path.len);
    return read_framing(head);
}

int rt_head_is_method(const rt_head_t *head, const char *method)
{
    return bytes_are(head->method, method);
}

const char *rt_head_path(const rt_head_t *head)
{
    return head->path_text;
}

const char *rt_head_field(const rt_head_t *head, const char *lower_name)
{
    const char *value = NULL;
    int i;

    for (i = 0; i < head->n_fields; i++) {
        const rt_field_t *field = &head->fields[i];

        if (bytes_are_any_case(field->name, lower_name)) {
            const char *text = apr_pstrmemdup(head->pool, field->value.at, field->value.len);

            value = value == NULL ? text : apr_pstrcat(head->pool, value, ", ", text, NULL);
        }
    }
    return value;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* "a%20b+c"; escapes that are none stay as they are. */
static const char *decode(rt_bytes_t raw, apr_pool_t *pool)
{
    char *text = apr_palloc(pool, raw.len + 1), *to = text;
    apr_size_t i;

    for (i = 0; i < raw.len; i++) {
        char c = raw.at[i];

        if (c == '+') {
            c = ' ';
        }
        else if (c == '%' && i + 2 < raw.len && hex_digit(raw.at[i + 1]) >= 0
                 && hex_digit(raw.at[i + 2]) >= 0) {
            c = (char)(hex_digit(raw.at[i + 1]) * 16 + hex_digit(raw.at[i + 2]));
            i += 2;
        }
        if (c == '\0') {
            return NULL;
        }
        *to++ = c;
    }
    *to = '\0';
    return hb_utf8_is_valid(text, (apr_size_t)(to - text)) ? text : NULL;
}

const char *rt_head_query(const rt_head_t *head, const char *name, apr_pool_t *pool)
{
    const char *at = head->query.at, *end = at + head->query.len;

    while (at < end) {
        const char *amp = memchr(at, '&', (apr_size_t)(end - at));
        const char *stop = amp != NULL ? amp : end;
        const char *equals = memchr(at, '=', (apr_size_t)(stop - at));
        rt_bytes_t key = { at, (apr_size_t)((equals != NULL ? equals : stop) - at) };
        const char *decoded = decode(key, pool);

        if (decoded != NULL && strcmp(decoded, name) == 0) {
            rt_bytes_t value = { equals != NULL ? equals + 1 : stop, 0 };

            value.len = (apr_size_t)(stop - value.at);
            decoded = decode(value, pool);
            return decoded != NULL ? decoded : "";
        }
        at = stop + 1;
    }
    return NULL;
}

const char *rt_head_cookie(const rt_head_t *head, const char *name, apr_pool_t *pool)
{
    apr_size_t len = strlen(name);
    int i;

    for (i = 0; i < head->n_fields; i++) {
        const char *at, *end;

        if (!bytes_are_any_case(head->fields[i].name, "cookie")) {
            continue;
        }
        at = head->fields[i].value.at;
        end = at + head->fields[i].value.len;
        while (at < end) {
            const char *semicolon = memchr(at, ';', (apr_size_t)(end - at));
            const char *stop = semicolon != NULL ? semicolon : end;

            while (at < stop && *at == ' ') {
                at++;
            }
            if ((apr_size_t)(stop - at) > len && memcmp(at, name, len) == 0 && at[len] == '=') {
                at += len + 1;
                return apr_pstrmemdup(pool, at, (apr_size_t)(stop - at));
            }
            at = stop + 1;
        }
    }
    return NULL;
}

const char *rt_head_address(const rt_head_t *head)
{
    return head->address;
}

const char *rt_head_request_id(const rt_head_t *head)
{
    return head->request_id;
}

int rt_field_is_legal(const char *value)
{
    for (; *value != '\0'; value++) {
        if (((unsigned char)*value < ' ' && *value != '\t') || (unsigned char)*value >= 0x7f) {
            return 0;
        }
    }
    return 1;
}

enum { CHUNK_HEAD, CHUNK_DATA, CHUNK_END, CHUNK_TRAILER };

/* "1a;name=value": the number of bytes, -1 when it is none. */
static apr_int64_t chunk_size(const char *at, const char *end)
{
    apr_int64_t size = 0;
    int n = 0;

    for (; at < end && hex_digit(*at) >= 0 && n <= CHUNK_DIGITS_MAX; at++, n++) {
        size = size * 16 + hex_digit(*at);
    }
    return n == 0 || n > CHUNK_DIGITS_MAX || (at < end && *at != ';' && *at != ' ' && *at != '\t') ? -1
           : size;
}

int rt_chunks_read(rt_chunks_t *chunks, char *bytes, apr_size_t *body, apr_size_t *raw)
{
    char *at = bytes + *body, *end = at + *raw, *to = at, *line;
    int done = 0;

    while (!done) {
        apr_size_t there = (apr_size_t)(end - at);

        if (chunks->state == CHUNK_DATA) {
            apr_size_t take = there < chunks->left ? there : chunks->left;

            memmove(to, at, take);
            to += take;
            at += take;
            chunks->left -= (apr_uint32_t)take;
            if (chunks->left > 0) {
                break;
            }
            chunks->state = CHUNK_END;
            continue;
        }
        line = there > 0 ? memchr(at, '\n', there) : NULL;
        if (line == NULL) {
            if (there > CHUNK_HEAD_MAX) {
                return -1;
            }
            break;
        }
        if (line == at || line[-1] != '\r' || line - at > CHUNK_HEAD_MAX) {
            return -1;
        }
        if (chunks->state == CHUNK_HEAD) {
            apr_int64_t size = chunk_size(at, line - 1);

            if (size < 0) {
                return -1;
            }
            chunks->left = (apr_uint32_t)size;
            chunks->state = size > 0 ? CHUNK_DATA : CHUNK_TRAILER;
        }
        else if (chunks->state == CHUNK_END) {
            if (line != at + 1) {
                return -1;
            }
            chunks->state = CHUNK_HEAD;
        }
        else {
            chunks->trailer_bytes += (apr_uint32_t)(line - at);
            if (chunks->trailer_bytes > TRAILER_MAX) {
                return -1;
            }
            done = line == at + 1;
        }
        at = line + 1;
    }
    /* Close the gap, so that what is raw follows what is decoded. */
    *body = (apr_size_t)(to - bytes);
    *raw = (apr_size_t)(end - at);
    memmove(to, at, *raw);
    return done;
}

const char *rt_status_text(int status)
{
    switch (status) {
    case 200: return "OK";
    case 204: return "No Content";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 413: return "Content Too Large";
    case 426: return "Upgrade Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 505: return "HTTP Version Not Supported";
    default:  return status < 500 ? "Client Error" : "Server Error";
    }
}
