/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The API about itself: /openapi.json for programs, /docs for people. Both are made ready once a
 * configuration and served from memory, with an ETag each.
 */
#include "mod_halobuzz_api.h"

#include <apr_md5.h>
#include <apr_strings.h>
#include <http_protocol.h>

#include "docs_files.h"
#include "openapi.h"

/* The page may run its own script and ask this server; nothing else. */
#define PAGE_POLICY "default-src 'none'; script-src 'self'; style-src 'self'; " \
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; " \
    "frame-ancestors 'none'"

/* Of this configuration; see hb_ap_docs_prepare(). */
static const char *openapi_text;
static apr_size_t openapi_bytes;
static const char *openapi_tag;

static const char *md5_tag(const char *text, apr_size_t len, apr_pool_t *pool)
{
    unsigned char digest[APR_MD5_DIGESTSIZE];

    apr_md5(digest, text, len);
    return apr_psprintf(pool, "\"%02x%02x%02x%02x%02x%02x%02x%02x\"", digest[0], digest[1],
                        digest[2], digest[3], digest[4], digest[5], digest[6], digest[7]);
}

void hb_ap_docs_prepare(const hb_route_t *const *rows, int n_rows, apr_pool_t *pconf)
{
    apr_pool_t *scratch;
    const char *text;

    apr_pool_create(&scratch, pconf);
    text = hb_json_text(hb_openapi_make(rows, n_rows, scratch), scratch, &openapi_bytes);
    openapi_text = apr_pstrmemdup(pconf, text, openapi_bytes);
    openapi_tag = md5_tag(openapi_text, openapi_bytes, pconf);
    apr_pool_destroy(scratch);
}

/* A copy that a client has may be used after asking whether it is still the one. */
static apr_status_t give(hb_ap_call_t *call, const char *type, const char *tag,
                         const void *bytes, apr_size_t len)
{
    int status;

    apr_table_setn(call->r->headers_out, "Cache-Control", "no-cache");
    apr_table_setn(call->r->headers_out, "ETag", tag);
    status = ap_meets_conditions(call->r);
    if (status == HTTP_NOT_MODIFIED) {
        call->reply_status = status;
        return APR_SUCCESS;
    }
    call->reply_text = bytes;
    call->reply_bytes = len;
    call->reply_type = type;
    return APR_SUCCESS;
}

static apr_status_t openapi(hb_ap_call_t *call)
{
    return give(call, "application/json", openapi_tag, openapi_text, openapi_bytes);
}

static apr_status_t page(hb_ap_call_t *call)
{
    apr_table_setn(call->r->err_headers_out, "Content-Security-Policy", PAGE_POLICY);
    return give(call, "text/html; charset=utf-8", tag_index_html, bytes_index_html,
                sizeof(bytes_index_html));
}

static apr_status_t style(hb_ap_call_t *call)
{
    return give(call, "text/css; charset=utf-8", tag_docs_css, bytes_docs_css,
                sizeof(bytes_docs_css));
}

static apr_status_t script(hb_ap_call_t *call)
{
    return give(call, "text/javascript; charset=utf-8", tag_docs_js, bytes_docs_js,
                sizeof(bytes_docs_js));
}

static apr_status_t chat(hb_ap_call_t *call)
{
    apr_table_setn(call->r->err_headers_out, "Content-Security-Policy", PAGE_POLICY);
    return give(call, "text/html; charset=utf-8", tag_chat_html, bytes_chat_html,
                sizeof(bytes_chat_html));
}

static apr_status_t chat_style(hb_ap_call_t *call)
{
    return give(call, "text/css; charset=utf-8", tag_chat_css, bytes_chat_css,
                sizeof(bytes_chat_css));
}

static apr_status_t chat_script(hb_ap_call_t *call)
{
    return give(call, "text/javascript; charset=utf-8", tag_chat_js, bytes_chat_js,
                sizeof(bytes_chat_js));
}

static const hb_route_t docs_routes[] = {
    { .method = M_HB_GET, .path = "//openapi.json", .needs = HB_IN_MAINTENANCE, .rate = "api",
      .action = openapi, .tag = HB_TAG_PAGES,
      .sentence = "this API as an OpenAPI 3.1 document" },
    { .method = M_HB_GET, .path = "//docs", .needs = HB_IN_MAINTENANCE, .rate = "api",
      .action = page, .tag = HB_TAG_PAGES, .aliases = "//docs/errors",
      .sentence = "this API as a page, with a line to try each call" },
    { .method = M_HB_GET, .path = "//docs/docs.css", .needs = HB_IN_MAINTENANCE,
      .rate = "api", .action = style, .tag = HB_TAG_PAGES,
      .sentence = "style of that page" },
    { .method = M_HB_GET, .path = "//docs/docs.js", .needs = HB_IN_MAINTENANCE,
      .rate = "api", .action = script, .tag = HB_TAG_PAGES,
      .sentence = "script of that page" },
    { .method = M_HB_GET, .path = "//docs/chat", .needs = HB_IN_MAINTENANCE, .rate = "api",
      .action = chat, .tag = HB_TAG_PAGES,
      .sentence = "a live room to try out: two clients that talk over a socket" },
    { .method = M_HB_GET, .path = "//docs/chat.css", .needs = HB_IN_MAINTENANCE,
      .rate = "api", .action = chat_style, .tag = HB_TAG_PAGES,
      .sentence = "style of that page" },
    { .method = M_HB_GET, .path = "//docs/chat.js", .needs = HB_IN_MAINTENANCE,
      .rate = "api", .action = chat_script, .tag = HB_TAG_PAGES,
      .sentence = "script of that page" },
};

const hb_route_set_t hb_routes_docs = {
    docs_routes, (int)(sizeof(docs_routes) / sizeof(docs_routes[0]))
};
