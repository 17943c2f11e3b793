/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a row asks for is honoured here, in one order for all routes: maintenance, who is calling,
 * how often, may they, idempotency, query, body; then the action runs. Where the cache is a server,
 * it is asked once for all of them first (hb_ahead.h). What each
 * step means is the core's business; which row a path has is hb_ap_router.c's.
 */
#include "hb_ap_dispatch.h"

#include <string.h>

#include <apr_strings.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>

#include "hb_ahead.h"
#include "hb_role.h"
#include "hb_session.h"
#include "mod_halobuzz_api.h"

/* The class of what meets no row, so that probing for paths is limited too. */
#define RATE_OF_UNKNOWN "api"

#define IDEM_KEY_MAX_BYTES 255

#define MAINTENANCE_RETRY_SEC 120

/* ap_request_has_body() is also true for an announced length of 0. */
static int has_body(request_rec *r)
{
    const char *length = apr_table_get(r->headers_in, "Content-Length");

    return ap_request_has_body(r) && (length == NULL || strcmp(length, "0") != 0);
}

void hb_ap_guard_headers(request_rec *r)
{
    apr_table_t *headers = r->err_headers_out;

    apr_table_setn(headers, "X-Content-Type-Options", "nosniff");
    apr_table_setn(headers, "Referrer-Policy", "no-referrer");
    if (apr_table_get(headers, "Content-Security-Policy") == NULL) {
        apr_table_setn(headers, "Content-Security-Policy",
                       "default-src 'none'; frame-ancestors 'none'");
    }
}

/* --- steps before the action --- */

static int is_open(const hb_op_t *op)
{
    const int *flag = op->site->maintenance;

    return flag == NULL || __atomic_load_n(flag, __ATOMIC_RELAXED) == 0;
}

static apr_status_t need_open(hb_ap_call_t *call)
{
    if (is_open(call->op)
        || (call->route != NULL && (call->route->needs & HB_IN_MAINTENANCE) != 0)
        || (hb_roles_expand(call->op->actor.roles) & HB_ROLES_STAFF) != 0) {
        return APR_SUCCESS;
    }
    return hb_fail_later(call->op, HB_E_MAINTENANCE, MAINTENANCE_RETRY_SEC, NULL);
}

static apr_status_t need_actor(hb_ap_call_t *call)
{
    if (call->route->roles != 0) {
        return hb_role_need(call->op, call->route->roles);
    }
    if ((call->route->needs & HB_NEED_USER) != 0 && call->op->actor.user_id == NULL) {
        return hb_fail(call->op, HB_E_AUTH_REQUIRED, NULL);
    }
    return APR_SUCCESS;
}

static apr_status_t need_idem_key(hb_ap_call_t *call)
{
    const char *key = call->op->idem_key;
    apr_size_t i;

    if ((call->route->needs & HB_NEED_IDEM_KEY) == 0) {
        return APR_SUCCESS;
    }
    if (key == NULL || *key == '\0') {
        return hb_fail(call->op, HB_E_IDEM_MISSING,
                       "send an Idempotency-Key header, new for each new order");
    }
    for (i = 0; key[i] != '\0'; i++) {
        if (key[i] <= ' ' || key[i] > '~' || i == IDEM_KEY_MAX_BYTES) {
            return hb_fail_field(call->op, "Idempotency-Key", "format",
                                 "1 to %d visible ASCII characters", IDEM_KEY_MAX_BYTES);
        }
    }
    return APR_SUCCESS;
}

static apr_status_t read_path(hb_ap_call_t *call, const char *const *names,
                              const hb_ap_piece_t *pieces)
{
    apr_size_t j;
    int i;

    for (i = 0; i < HB_AP_NAMES && names[i] != NULL; i++) {
        if (!hb_utf8_is_valid(pieces[i].text, pieces[i].len)) {
            return hb_fail(call->op, HB_E_URI_INVALID, "{%s} is not UTF-8", names[i]);
        }
        for (j = 0; j < pieces[i].len; j++) {
            if ((unsigned char)pieces[i].text[j] < ' ') {
                return hb_fail(call->op, HB_E_URI_INVALID,
                               "{%s} holds a control character", names[i]);
            }
        }
        call->path_name[i] = names[i];
        call->path_value[i] = apr_pstrmemdup(call->op->pool, pieces[i].text, pieces[i].len);
    }
    return APR_SUCCESS;
}

static apr_status_t read_body(hb_ap_call_t *call)
{
    hb_op_t *op = call->op;
    hb_json_t *json;
    apr_status_t rv;

    if (!has_body(call->r)) {
        return (call->route->needs & HB_MAY_BODY) != 0
            ? APR_SUCCESS : hb_fail(op, HB_E_BODY_MISSING, NULL);
    }
    rv = hb_ap_body_json(&json, call->r, op, op->site->settings->body_max);
    if (rv == HB_E_BODY_MISSING && (call->route->needs & HB_MAY_BODY) != 0) {
        hb_op_recover(op);      /* chunked, and then nothing came */
        return APR_SUCCESS;
    }
    if (rv == APR_SUCCESS && call->route->input != HB_SHAPE_NONE) {
        rv = hb_schema_check(&call->input, op, call->route->input, json);
    } else if (rv == APR_SUCCESS) {
        call->input = json;
    }
    return rv;
}

static apr_status_t read_query(hb_ap_call_t *call)
{
    if (call->route->query == HB_SHAPE_NONE) {
        return APR_SUCCESS;
    }
    return hb_schema_check_query(&call->query, call->op, call->route->query,
                                 call->r->args != NULL ? call->r->args : "");
}

/* A turn in the class of the row. */
static apr_status_t need_turn(const hb_ap_api_t *api, hb_ap_call_t *call)
{
    const hb_route_t *route = call->route;

    if (api->limit == NULL || (route != NULL && (route->needs & HB_NO_LIMIT) != 0)) {
        return APR_SUCCESS;
    }
    return api->limit(call->r, route != NULL ? route->rate : RATE_OF_UNKNOWN);
}

static apr_status_t need_token(const hb_ap_api_t *api, hb_ap_call_t *call)
{
    apr_status_t rv = api->identify != NULL ? api->identify(call->r) : APR_SUCCESS;

    if (rv == APR_SUCCESS || hb_error_row(rv)->class != HB_CLASS_UNAUTHENTICATED) {
        return rv;
    }
    hb_op_recover(call->op);
    if (call->route != NULL && (call->route->needs & HB_ANY_TOKEN) != 0) {
        return APR_SUCCESS;     /* clients send what they have, also when it is dead */
    }
    /* A bad token is no way past the limiter: whoever sends one counts by address. */
    rv = need_turn(api, call);
    return rv == APR_SUCCESS ? api->identify(call->r) : rv;
}

/* In maintenance a caller may be sent away before he is counted, so then it is one by one. */
static void ask_ahead(const hb_ap_api_t *api, hb_ap_call_t *call)
{
    const hb_route_t *route = call->route;
    const hb_claims_t *claims;

    if (route == NULL || api->claims == NULL || !is_open(call->op) || !hb_ahead_begin(call->op)) {
        return;
    }
    claims = api->claims(call->r);
    if (claims == NULL) {
        return;
    }
    hb_session_ahead(call->op, claims);
    if (api->limit_ahead != NULL && (route->needs & HB_NO_LIMIT) == 0) {
        api->limit_ahead(call->r, route->rate, claims);
    }
    if (route->ahead != NULL) {
        route->ahead(call->op, claims);
    }
    hb_ahead_ask(call->op);
}

/* Steps that need no row: they guard unknown paths as well. */
static apr_status_t admit(const hb_ap_api_t *api, hb_ap_call_t *call)
{
    apr_status_t rv = need_token(api, call);

    if (rv == APR_SUCCESS) {
        rv = need_open(call);   /* staff may pass, so this comes after who it is */
    }
    return rv == APR_SUCCESS ? need_turn(api, call) : rv;
}

static apr_status_t run(hb_ap_call_t *call, const char *const *names,
                        const hb_ap_piece_t *pieces)
{
    apr_status_t rv = need_actor(call);

    if (rv == APR_SUCCESS) {
        rv = read_path(call, names, pieces);
    }
    if (rv == APR_SUCCESS) {
        rv = need_idem_key(call);
    }
    if (rv == APR_SUCCESS) {
        rv = read_query(call);
    }
    if (rv == APR_SUCCESS && (call->route->needs & (HB_NEED_BODY | HB_MAY_BODY)) != 0) {
        rv = read_body(call);
    } else if ((call->route->needs & HB_RAW_BODY) == 0) {
        hb_ap_leave_body(call->r);      /* nobody asked for one */
    }
    if (rv == APR_SUCCESS) {
        rv = call->route->action(call);
    }
    return rv;
}

/* --- the answer --- */

/* For tests: a reply that does not fit its declared shape is an error line with a number. */
static void check_reply(const hb_ap_call_t *call)
{
    const hb_json_t *json = call->reply;
    const char *misfit;

    if (call->route->output == NULL || call->route->output[0] == '\0') {
        return;
    }
    if (json == NULL) {
        json = hb_json_parse_own(call->reply_text, call->reply_bytes, call->op->pool);
    }
    misfit = json == NULL ? "it is not JSON"
        : hb_ap_reply_misfit(call->route->output, json, call->op->pool);
    if (misfit != NULL) {
        hb_log(call->op, HB_LOG_ERR, 0, HBLOGNO(04001) "the reply of %s %s does not fit %s: %s",
               hb_ap_method_name(call->route->method), call->route->path,
               call->route->output, misfit);
    }
}

int hb_ap_success_status(const hb_route_t *route)
{
    if ((route->needs & HB_GIVES_NOTHING) != 0) {
        return HTTP_NO_CONTENT;
    }
    if ((route->needs & HB_GIVES_ACCEPTED) != 0) {
        return HTTP_ACCEPTED;
    }
    return (route->needs & HB_GIVES_CREATED) != 0 ? HTTP_CREATED : HTTP_OK;
}

static int reply_nothing(request_rec *r, int status)
{
    if (apr_table_get(r->headers_out, "Cache-Control") == NULL) {
        apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    }
    r->status = status;
    return OK;
}

static int reply(const hb_ap_api_t *api, hb_ap_call_t *call)
{
    const hb_route_t *route = call->route;
    int status = call->reply_status;

    if (call->reply == NULL && call->reply_text == NULL
        && ((route->needs & HB_GIVES_NOTHING) != 0 || status == HTTP_NOT_MODIFIED)) {
        return reply_nothing(call->r, status != 0 ? status : hb_ap_success_status(route));
    }
    if (call->reply == NULL && call->reply_text == NULL) {
        hb_log(call->op, HB_LOG_ERR, 0, HBLOGNO(04002) "%s %s gave no reply",
               hb_ap_method_name(route->method), route->path);
        return hb_ap_reply_problem(call->r, call->op, HB_E_INTERNAL);
    }
    if (api->checks_replies) {
        check_reply(call);
    }
    if (status == 0) {
        status = hb_ap_success_status(route);
    }
    if (call->op->is_replayed) {
        apr_table_setn(call->r->headers_out, "Idempotency-Replayed", "true");
    }
    if (call->reply_text != NULL) {
        return hb_ap_reply_text(call->r, status,
                                call->reply_type != NULL ? call->reply_type
                                                         : "application/json",
                                call->reply_text, call->reply_bytes);
    }
    return hb_ap_reply_json(call->r, status, call->reply);
}

/* The row's method, or -1 for one that no row can have. */
static int row_method(const request_rec *r)
{
    switch (r->method_number) {
    case M_GET:                 /* HEAD too */
        return M_HB_GET;
    case M_POST:
        return M_HB_POST;
    case M_PATCH:
        return M_HB_PATCH;
    case M_PUT:
        return M_HB_PUT;
    case M_DELETE:
        return M_HB_DELETE;
    default:
        return -1;
    }
}

int hb_ap_dispatch(const hb_ap_api_t *api, request_rec *r)
{
    hb_ap_piece_t pieces[HB_AP_NAMES];
    const hb_ap_place_t *place = hb_ap_router_find(api->router, r->uri, pieces);
    hb_ap_call_t *call = apr_pcalloc(r->pool, sizeof(*call));
    int method = row_method(r);
    apr_status_t rv;

    call->r = r;
    call->op = api->op(r);
    hb_ap_guard_headers(r);
    if (place != NULL && method >= 0 && place->at[method].route != NULL) {
        call->route = place->at[method].route;
        if (api->count_as != NULL) {
            api->count_as(r, place->at[method].label);
        }
    }
    if (place != NULL && call->route == NULL) {
        apr_table_setn(r->err_headers_out, "Allow", place->allow);
        if (r->method_number == M_OPTIONS) {
            hb_ap_leave_body(r);
            return reply_nothing(r, HTTP_NO_CONTENT);
        }
    }
    ask_ahead(api, call);
    rv = admit(api, call);
    if (rv == APR_SUCCESS && call->route != NULL) {
        rv = run(call, place->at[method].names, pieces);
    } else if (rv == APR_SUCCESS) {
        rv = place == NULL
            ? hb_fail(call->op, HB_E_NOT_FOUND, "no call has this address")
            : hb_fail(call->op, HB_E_METHOD, "this address answers %s", place->allow);
    }
    if (rv != APR_SUCCESS) {
        return hb_ap_reply_problem(r, call->op, rv);
    }
    return reply(api, call);
}
