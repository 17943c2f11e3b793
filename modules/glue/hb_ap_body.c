/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies that come in. Read by brigades, because only they tell "too large" from "too
 * slow" from "broken off"; counted here as well, so that a chunked body meets the same
 * limit. What the JSON means is hb_schema.h's.
 */
#include "hb_ap.h"

#include <string.h>

#include <apr_buckets.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <http_protocol.h>
#include <util_filter.h>

/* Bodies up to this size are cheaper to read and drop than a new connection. */
#define DROP_MAX_BYTES 65536

/* A chunked body does not say how long it will be. */
#define FIRST_GUESS_BYTES 2048

/* How long a refusal waits for such a body over HTTP/2: it is on its way with its head. */
#define DROP_WAIT_USEC (APR_USEC_PER_SEC / 2)

#define WAS_READ "halobuzz-body-read"

static apr_int64_t announced(const request_rec *r)
{
    const char *length = apr_table_get(r->headers_in, "Content-Length");

    return length != NULL ? apr_atoi64(length) : -1;
}

static int has_eos(const apr_bucket_brigade *bb)
{
    apr_bucket *b = APR_BRIGADE_LAST(bb);

    return b != APR_BRIGADE_SENTINEL(bb) && APR_BUCKET_IS_EOS(b);
}

/* A stream of HTTP/2 that is answered before its body was taken in is reset behind the answer, and
 * curl before 8 then throws the answer away (error 92). So a small body is taken in first;
 * never for long, because a caller who is refused may hold no thread. */
static void drop_of_stream(request_rec *r)
{
    apr_bucket_brigade *bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    apr_interval_time_t pause = 100, waited = 0;
    int is_done = 0;

    while (!is_done && waited < DROP_WAIT_USEC) {
        apr_status_t rv = ap_get_brigade(r->input_filters, bb, AP_MODE_READBYTES,
                                         APR_NONBLOCK_READ, HUGE_STRING_LEN);

        if (APR_STATUS_IS_EAGAIN(rv) || (rv == APR_SUCCESS && APR_BRIGADE_EMPTY(bb))) {
            apr_sleep(pause);
            waited += pause;
            pause = pause < 20000 ? pause * 2 : pause;
        }
        else {
            is_done = rv != APR_SUCCESS || has_eos(bb);
        }
        apr_brigade_cleanup(bb);
    }
    apr_brigade_destroy(bb);
}

void hb_ap_leave_body(request_rec *r)
{
    apr_int64_t length = announced(r);
    int is_small = length >= 0 && length <= DROP_MAX_BYTES;
    conn_rec *c = r->connection;

    if (!ap_request_has_body(r) || apr_table_get(r->notes, WAS_READ) != NULL) {
        return;
    }
    if (c->master != NULL) {
        if (is_small && length > 0 && !r->expecting_100) {
            apr_table_setn(r->notes, WAS_READ, "1");
            drop_of_stream(r);
        }
        return;                 /* a larger one: HTTP/2 resets the one stream by itself */
    }
    if (is_small) {
        return;
    }
    c->keepalive = AP_CONN_CLOSE;
    apr_table_setn(c->notes, "short-lingering-close", "1");
}

/* --- reading --- */

typedef struct buffer_t {
    char *bytes;
    apr_size_t len, size;
    apr_pool_t *pool;
} buffer_t;

static void append(buffer_t *buffer, const char *data, apr_size_t len)
{
    if (buffer->len + len >= buffer->size) {
        apr_size_t size = buffer->size * 2;
        char *bytes;

        if (size <= buffer->len + len) {
            size = buffer->len + len + 1;
        }
        bytes = apr_palloc(buffer->pool, size);
        memcpy(bytes, buffer->bytes, buffer->len);
        buffer->bytes = bytes;
        buffer->size = size;
    }
    memcpy(buffer->bytes + buffer->len, data, len);
    buffer->len += len;
}

static apr_status_t too_large(hb_op_t *op, apr_int64_t max)
{
    return hb_fail(op, HB_E_BODY_TOO_LARGE, "at most %" APR_INT64_T_FMT " bytes", max);
}

static apr_status_t cannot_read(hb_op_t *op, apr_status_t rv)
{
    switch (ap_map_http_request_error(rv, HTTP_BAD_REQUEST)) {
    case HTTP_REQUEST_ENTITY_TOO_LARGE:
        return hb_fail(op, HB_E_BODY_TOO_LARGE, NULL);
    case HTTP_REQUEST_TIME_OUT:
        return hb_fail(op, HB_E_BODY_TIMEOUT, NULL);
    default:
        return hb_fail(op, HB_E_REQUEST_REFUSED, "the body broke off or is malformed");
    }
}

/* One brigade into the buffer. Sets *is_done at the end of the body. */
static apr_status_t take(buffer_t *buffer, int *is_done, apr_bucket_brigade *bb,
                         hb_op_t *op, apr_int64_t max)
{
    apr_bucket *b;

    for (b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb); b = APR_BUCKET_NEXT(b)) {
        const char *data;
        apr_size_t len;
        apr_status_t rv;

        if (APR_BUCKET_IS_EOS(b)) {
            *is_done = 1;
            break;
        }
        if (APR_BUCKET_IS_METADATA(b)) {
            continue;
        }
        rv = apr_bucket_read(b, &data, &len, APR_BLOCK_READ);
        if (rv != APR_SUCCESS) {
            return cannot_read(op, rv);
        }
        if ((apr_int64_t)(buffer->len + len) > max) {
            return too_large(op, max);
        }
        append(buffer, data, len);
    }
    return APR_SUCCESS;
}

static apr_status_t read_all(buffer_t *buffer, request_rec *r, hb_op_t *op, apr_int64_t max)
{
    apr_bucket_brigade *bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    int is_done = 0;
    apr_status_t rv;

    do {
        rv = ap_get_brigade(r->input_filters, bb, AP_MODE_READBYTES, APR_BLOCK_READ,
                            HUGE_STRING_LEN);
        if (rv != APR_SUCCESS) {
            rv = cannot_read(op, rv);
            break;
        }
        rv = take(buffer, &is_done, bb, op, max);
        apr_brigade_cleanup(bb);
    } while (rv == APR_SUCCESS && !is_done);
    apr_brigade_destroy(bb);
    return rv;
}

apr_status_t hb_ap_body_read(const char **body, apr_size_t *len, request_rec *r,
                             hb_op_t *op, apr_int64_t max)
{
    const char *encoding = apr_table_get(r->headers_in, "Content-Encoding");
    apr_int64_t length = announced(r);
    buffer_t buffer;
    apr_status_t rv;

    if (encoding != NULL && *encoding != '\0' && strcasecmp(encoding, "identity") != 0) {
        return hb_fail(op, HB_E_BODY_ENCODING, NULL);
    }
    if (length > max) {
        return too_large(op, max);
    }
    buffer.pool = op->pool;
    buffer.len = 0;
    buffer.size = (length >= 0 ? (apr_size_t)length : FIRST_GUESS_BYTES) + 1;
    buffer.bytes = apr_palloc(op->pool, buffer.size);
    rv = read_all(&buffer, r, op, max);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    apr_table_setn(r->notes, WAS_READ, "1");
    buffer.bytes[buffer.len] = '\0';
    *body = buffer.bytes;
    *len = buffer.len;
    return APR_SUCCESS;
}

/* --- JSON --- */

static int is_utf8_charset(const char *params)
{
    const char *charset = ap_strcasestr(params, "charset=");

    if (charset == NULL) {
        return 1;
    }
    charset += strlen("charset=");
    if (*charset == '"') {
        charset++;
    }
    if (strncasecmp(charset, "utf-8", 5) != 0) {
        return 0;
    }
    return charset[5] == '\0' || strchr("\"; \t", charset[5]) != NULL;
}

/* "application/json" or "application/<anything>+json", parameters allowed. */
static int is_json_type(const char *type)
{
    apr_size_t len = strcspn(type, "; \t");

    if (!is_utf8_charset(type + len)) {
        return 0;
    }
    if (len == strlen("application/json")) {
        return strncasecmp(type, "application/json", len) == 0;
    }
    return len > strlen("application/+json")
        && strncasecmp(type, "application/", strlen("application/")) == 0
        && strncasecmp(type + len - strlen("+json"), "+json", strlen("+json")) == 0;
}

apr_status_t hb_ap_body_json(hb_json_t **json, request_rec *r, hb_op_t *op, apr_int64_t max)
{
    const char *type = apr_table_get(r->headers_in, "Content-Type");
    const char *body, *why = NULL;
    apr_size_t len;
    apr_status_t rv;

    *json = NULL;
    if (type != NULL && !is_json_type(type)) {
        return hb_fail(op, HB_E_BODY_TYPE, NULL);
    }
    rv = hb_ap_body_read(&body, &len, r, op, max);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (len == 0) {
        return hb_fail(op, HB_E_BODY_MISSING, NULL);
    }
    if (type == NULL) {
        return hb_fail(op, HB_E_BODY_TYPE, "a Content-Type header has to say application/json");
    }
    rv = hb_json_parse(json, &why, body, len, op->pool);
    if (rv != APR_SUCCESS) {
        return hb_fail(op, HB_E_BODY_SYNTAX, "%s", why != NULL ? why : "it cannot be parsed");
    }
    return APR_SUCCESS;
}
