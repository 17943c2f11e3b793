/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_halobuzz_auth: who is calling? Gives the API that answer (hb_ap_identify), and protects
 * any other location, static files included:
 *
 *     AuthType HaloBuzz
 *     Require halobuzz-role admin moderator
 *
 * `Require valid-user` and `Require user <id>` work too; r->user is the user's id. What
 * a token means and whether its session still lives is the core's (hb_session.h).
 */
#include "hb_ap.h"

#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>
#include <ap_provider.h>
#include <http_config.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>
#include <mod_auth.h>

#include "hb_metrics.h"
#include "hb_role.h"
#include "hb_session.h"

APLOG_USE_MODULE(halobuzz_auth);

#define AUTH_TYPE "HaloBuzz"
#define SCHEME "Bearer"

static APR_OPTIONAL_FN_TYPE(hb_ap_op) *op_of;

/* What is known of a request's caller; redirects and subrequests share their origin's. */
typedef struct caller_t {
    int was_read;               /* the token: */
    int has_token;
    hb_claims_t claims;         /* of a token that is accepted */
    apr_status_t token_status;
    hb_problem_t token_problem;
    int is_known;               /* the rest is settled */
    apr_status_t status;        /* of hb_ap_identify() */
    hb_problem_t problem;       /* why the token was not accepted */
    hb_problem_t denial;        /* why the roles did not do */
} caller_t;

static caller_t *caller_of(request_rec *r)
{
    caller_t *caller;

    while (r->main != NULL || r->prev != NULL) {
        r = r->main != NULL ? r->main : r->prev;
    }
    caller = ap_get_module_config(r->request_config, &halobuzz_auth_module);
    if (caller == NULL) {
        caller = apr_pcalloc(r->pool, sizeof(*caller));
        ap_set_module_config(r->request_config, &halobuzz_auth_module, caller);
    }
    return caller;
}

/* --- the token --- */

/*
 * The token of an Authorization header; NULL when another scheme is used. httpd has joined
 * several such headers by commas, which no token holds. *is_well_formed says whether it is a
 * token68 (RFC 9110, 11.2), so that nothing else reaches the core.
 */
static const char *bearer(const char *header, int *is_well_formed)
{
    const char *token, *c;

    if (strncasecmp(header, SCHEME, strlen(SCHEME)) != 0
        || (header[strlen(SCHEME)] != ' ' && header[strlen(SCHEME)] != '\0')) {
        return NULL;
    }
    token = header + strlen(SCHEME);
    while (*token == ' ') {
        token++;
    }
    for (c = token; apr_isalnum(*c) || (*c != '\0' && strchr("-._~+/", *c) != NULL); c++) {
        continue;
    }
    while (*c == '=' && c > token) {
        c++;
    }
    *is_well_formed = c > token && *c == '\0';
    return token;
}

/* Once a request. What is wrong with the token is kept aside: not everybody who asks refuses. */
static void read_token(request_rec *r, hb_op_t *op, caller_t *caller)
{
    const char *header = apr_table_get(r->headers_in, "Authorization");
    hb_problem_t before = op->problem;
    const char *token;
    int is_well_formed;

    if (caller->was_read) {
        return;
    }
    caller->was_read = 1;
    token = header != NULL ? bearer(header, &is_well_formed) : NULL;
    if (token == NULL) {
        return;                 /* a stranger */
    }
    hb_op_recover(op);
    caller->has_token = 1;
    caller->token_status = is_well_formed ? hb_token_verify(&caller->claims, op, token)
        : hb_fail(op, HB_E_TOKEN_INVALID, "Authorization must be: Bearer <one token>");
    caller->token_problem = op->problem;
    op->problem = before;
}

static const hb_claims_t *hb_ap_claims(request_rec *r)
{
    caller_t *caller = caller_of(r);

    read_token(r, op_of(r), caller);
    return caller->has_token && caller->token_status == APR_SUCCESS ? &caller->claims : NULL;
}

static apr_status_t check(request_rec *r, hb_op_t *op, caller_t *caller)
{
    apr_status_t rv;

    read_token(r, op, caller);
    if (!caller->has_token) {
        return APR_SUCCESS;
    }
    rv = caller->token_status;
    if (rv == APR_SUCCESS) {
        rv = hb_session_check_claims(op, &caller->claims);
    } else if (op->problem.status == APR_SUCCESS) {
        op->problem = caller->token_problem;
    }
    if (rv != APR_SUCCESS && hb_error_row(rv)->class == HB_CLASS_UNAUTHENTICATED) {
        hb_metric_add(op->site->metrics, HB_M_AUTH_REFUSED, 1);
        hb_log(op, HB_LOG_DEBUG, rv, HBLOGNO(03001) "the token was not accepted: %s",
               hb_error_row(rv)->code);
    }
    return rv;
}

static apr_status_t hb_ap_identify(request_rec *r)
{
    caller_t *caller = caller_of(r);
    hb_op_t *op = op_of(r);

    if (!caller->is_known) {
        caller->is_known = 1;
        caller->status = check(r, op, caller);
        caller->problem = op->problem;
    }
    if (caller->status != APR_SUCCESS && op->problem.status == APR_SUCCESS) {
        op->problem = caller->problem;
    }
    if (caller->status == APR_SUCCESS && op->actor.user_id != NULL) {
        r->user = (char *)op->actor.user_id;
        r->ap_auth_type = (char *)AUTH_TYPE;
    }
    return caller->status;
}

/* --- AuthType HaloBuzz --- */

static int refuse(request_rec *r, hb_op_t *op, apr_status_t rv)
{
    int status = hb_ap_status(rv);

    hb_ap_problem_headers(r, r->err_headers_out, op, status, rv);
    return status;
}

static int check_authn(request_rec *r)
{
    const char *type = ap_auth_type(r);
    hb_op_t *op;
    apr_status_t rv;

    if (type == NULL || strcasecmp(type, AUTH_TYPE) != 0) {
        return DECLINED;
    }
    op = op_of(r);
    rv = hb_ap_identify(r);
    if (rv == APR_SUCCESS && op->actor.user_id == NULL) {
        rv = hb_fail(op, HB_E_AUTH_REQUIRED, NULL);
    }
    if (rv != APR_SUCCESS) {
        return refuse(r, op, rv);
    }
    return OK;
}

/* --- Require halobuzz-role --- */

static const char *read_roles(cmd_parms *cmd, const char *line, const void **parsed)
{
    hb_roles_t *roles = apr_pcalloc(cmd->pool, sizeof(*roles));
    const char *known = "";
    const char *name;
    int i;

    while (*(name = ap_getword_conf(cmd->pool, &line)) != '\0') {
        hb_roles_t bit = hb_role_bit(name);

        if (bit == 0) {
            for (i = 0; hb_role_name(i) != NULL; i++) {
                known = apr_pstrcat(cmd->pool, known, " ", hb_role_name(i), NULL);
            }
            return apr_psprintf(cmd->pool, "Require halobuzz-role: there is no role \"%s\";"
                                " known are%s", name, known);
        }
        *roles |= bit;
    }
    if (*roles == 0) {
        return "Require halobuzz-role needs one or more roles, for instance: admin moderator";
    }
    *parsed = roles;
    return NULL;
}

/*
 * A denial is kept aside instead of in the op: another Require of the same location may
 * grant yet, and then the op must be without a problem.
 */
static authz_status check_roles(request_rec *r, const char *line, const void *parsed)
{
    hb_op_t *op = op_of(r);
    apr_status_t rv;

    (void)line;
    if (r->user == NULL || op->actor.user_id == NULL) {
        return AUTHZ_DENIED_NO_USER;
    }
    rv = hb_role_need(op, *(const hb_roles_t *)parsed);
    if (rv == APR_SUCCESS) {
        return AUTHZ_GRANTED;
    }
    caller_of(r)->denial = op->problem;
    hb_op_recover(op);
    hb_log(op, HB_LOG_INFO, rv, HBLOGNO(03002) "user %s was denied: %s",
           op->actor.user_id, hb_error_row(rv)->code);
    return AUTHZ_DENIED;
}

/* Before the problem document is made: let it say which role or second factor was missing. */
static void tell_denial(request_rec *r)
{
    const hb_problem_t *denial = &caller_of(r)->denial;
    hb_op_t *op;

    if (r->status == HTTP_FORBIDDEN && denial->status != APR_SUCCESS) {
        op = op_of(r);
        if (op->problem.status == APR_SUCCESS) {
            op->problem = *denial;
        }
    }
}

static const authz_provider role_provider = { check_roles, read_roles };

static int check_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    (void)pconf;
    (void)plog;
    return hb_ap_need_module(s, ptemp, "halobuzz_auth", "halobuzz");
}

static int find_base(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    (void)pconf;
    (void)plog;
    (void)ptemp;
    (void)s;
    op_of = APR_RETRIEVE_OPTIONAL_FN(hb_ap_op);
    return OK;
}

static void register_hooks(apr_pool_t *pool)
{
    APR_REGISTER_OPTIONAL_FN(hb_ap_identify);
    APR_REGISTER_OPTIONAL_FN(hb_ap_claims);
    ap_register_auth_provider(pool, AUTHZ_PROVIDER_GROUP, "halobuzz-role",
                              AUTHZ_PROVIDER_VERSION, &role_provider,
                              AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_check_config(check_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(find_base, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_check_authn(check_authn, NULL, NULL, APR_HOOK_MIDDLE, AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_insert_error_filter(tell_denial, NULL, NULL, APR_HOOK_FIRST);
}

/* The one symbol that leaves this file's shared object. */
__attribute__((visibility("default")))
module AP_MODULE_DECLARE_DATA halobuzz_auth_module = {
    STANDARD20_MODULE_STUFF,
    NULL, NULL, NULL, NULL, NULL,
    register_hooks,
    AP_MODULE_FLAG_NONE
};
