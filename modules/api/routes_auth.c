/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls of sign-in: registration, tokens, sessions, passwords, mailed codes, second
 * factor. The rules are hb_account.h's and hb_session.h's; limits of tries are
 * hb_lockout.c's.
 */
#include "mod_halobuzz_api.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_account.h"
#include "hb_session.h"
#include "hb_token.h"

static const char *given(const hb_ap_call_t *call, const char *key)
{
    return call->input != NULL ? hb_json_string(call->input, key) : NULL;
}

static apr_status_t registration(hb_ap_call_t *call)
{
    return hb_account_register(&call->reply, call->op, call->input);
}

static apr_status_t login(hb_ap_call_t *call)
{
    return hb_account_login(&call->reply, call->op, call->input);
}

static apr_status_t refresh(hb_ap_call_t *call)
{
    hb_session_grant_t grant;
    apr_status_t rv = hb_session_refresh(&grant, call->op, given(call, "refreshToken"));

    if (rv == APR_SUCCESS) {
        call->reply = hb_session_grant_json(call->op, &grant);
    }
    return rv;
}

/* --- sessions --- */

/*
 * A page's EventSource can send no header, so its token may stand in a cookie. Only the doors of
 * live rooms read it, and those look at the origin; calls never do, so no page of somebody
 * else can make one in a visitor's name.
 */
static void set_cookie(hb_ap_call_t *call, const char *token, apr_int64_t seconds)
{
    apr_table_setn(call->r->headers_out, "Set-Cookie",
                   apr_psprintf(call->r->pool, HB_TOKEN_COOKIE "=%s; Path=/; Max-Age=%"
                                APR_INT64_T_FMT "; HttpOnly; Secure; SameSite=Strict", token,
                                seconds));
}

static void clear_cookie(hb_ap_call_t *call)
{
    const char *cookies = apr_table_get(call->r->headers_in, "Cookie");

    if (cookies != NULL && strstr(cookies, HB_TOKEN_COOKIE "=") != NULL) {
        set_cookie(call, "", 0);
    }
}

/* The token that this call came with. */
static apr_status_t cookie(hb_ap_call_t *call)
{
    const char *field = apr_table_get(call->r->headers_in, "Authorization");
    const char *token = field != NULL ? ap_getword_white(call->r->pool, &field) : NULL;
    hb_claims_t claims;
    apr_status_t rv;

    token = token != NULL ? ap_getword_white(call->r->pool, &field) : "";
    rv = hb_token_verify(&claims, call->op, token);
    if (rv == APR_SUCCESS) {
        set_cookie(call, token, (claims.expires_at - call->op->now) / APR_USEC_PER_SEC);
    }
    return rv;
}

static apr_status_t no_cookie(hb_ap_call_t *call)
{
    set_cookie(call, "", 0);
    return APR_SUCCESS;
}

static apr_status_t logout(hb_ap_call_t *call)
{
    clear_cookie(call);
    return hb_session_end(call->op, call->op->actor.session_id, "logout");
}

static apr_status_t logout_all(hb_ap_call_t *call)
{
    apr_int64_t n;
    apr_status_t rv = hb_session_end_all(&n, call->op, call->op->actor.user_id, NULL,
                                         "logout_all");

    if (rv == APR_SUCCESS) {
        clear_cookie(call);
        call->reply = hb_json_object_make(call->op->pool);
        hb_json_set_int(call->reply, "ended", n);
    }
    return rv;
}

static apr_status_t sessions(hb_ap_call_t *call)
{
    return hb_session_list(&call->reply, call->op,
                           hb_ap_limit_of(call), hb_ap_after_of(call));
}

static apr_status_t session_end(hb_ap_call_t *call)
{
    return hb_session_end(call->op, hb_ap_path_value(call, "id"), "logout");
}

/* --- passwords and mailed codes --- */

static apr_status_t password(hb_ap_call_t *call)
{
    return hb_account_password_change(call->op, given(call, "currentPassword"),
                                      given(call, "newPassword"));
}

/* 202 says what it means: perhaps a mail is on its way, and that is all we tell. */
static apr_status_t accepted(hb_ap_call_t *call, apr_status_t rv)
{
    if (rv == APR_SUCCESS) {
        call->reply = hb_json_object_make(call->op->pool);
        hb_json_set_bool(call->reply, "accepted", 1);
    }
    return rv;
}

static apr_status_t forgot(hb_ap_call_t *call)
{
    return accepted(call, hb_account_forgot(call->op, given(call, "email")));
}

static apr_status_t reset(hb_ap_call_t *call)
{
    return hb_account_reset(call->op, given(call, "code"), given(call, "password"));
}

static apr_status_t verify(hb_ap_call_t *call)
{
    return hb_account_verify(&call->reply, call->op, given(call, "code"));
}

static apr_status_t resend(hb_ap_call_t *call)
{
    return accepted(call, hb_account_resend(call->op, given(call, "email")));
}

/* --- second factor --- */

static apr_status_t totp_start(hb_ap_call_t *call)
{
    return hb_second_factor_start(&call->reply, call->op, given(call, "password"));
}

static apr_status_t totp_confirm(hb_ap_call_t *call)
{
    return hb_second_factor_confirm(&call->reply, call->op, given(call, "code"));
}

static apr_status_t totp_remove(hb_ap_call_t *call)
{
    return hb_second_factor_remove(call->op, given(call, "password"), given(call, "code"));
}

static const hb_route_t rows[] = {
    { .method = M_HB_POST, .path = "/auth/register", .rate = "auth", .action = registration,
      .needs = HB_NEED_BODY | HB_GIVES_CREATED | HB_ANY_TOKEN,
      .sentence = "open an account and sign in; a code that verifies the address is mailed",
      .input = HB_F_REGISTER, .output = "signedIn", .tag = "accounts",
      .errors = "username.taken email.taken phone.taken auth.busy" },
    { .method = M_HB_POST, .path = "/auth/login", .rate = "auth", .action = login,
      .needs = HB_NEED_BODY | HB_ANY_TOKEN | HB_IN_MAINTENANCE,
      .sentence = "sign in by address or username",
      .input = HB_F_LOGIN, .output = "signedIn", .tag = "accounts",
      .errors = "auth.credentials totp.required totp.invalid auth.locked auth.busy "
                "account.disabled" },
    { .method = M_HB_POST, .path = "/auth/refresh", .rate = "api", .action = refresh,
      .needs = HB_NEED_BODY | HB_ANY_TOKEN | HB_IN_MAINTENANCE,
      .aliases = "/auth/refresh-token",
      .sentence = "exchange a refresh token for the next pair of tokens; the one just used gives the "
                  "same refresh token again for ten seconds, for answers that were lost; after that, "
                  "using an old one ends the session",
      .input = HB_F_REFRESH, .output = "grant", .tag = "accounts",
      .errors = "token.invalid token.expired token.revoked token.reused account.disabled" },
    { .method = M_HB_POST, .path = "/auth/cookie", .rate = "api", .action = cookie,
      .needs = HB_NEED_USER | HB_GIVES_NOTHING,
      .sentence = "put this access token into the cookie halobuzz_token (HttpOnly, Secure, SameSite=Strict), for EventSource and WebSockets of pages of this origin, which send no header; calls do not read it. Ask again after a refresh",
      .tag = "accounts" },
    { .method = M_HB_DELETE, .path = "/auth/cookie", .rate = "api", .action = no_cookie,
      .needs = HB_GIVES_NOTHING | HB_ANY_TOKEN,
      .sentence = "take the cookie away; logging out does so, too", .tag = "accounts" },
    { .method = M_HB_POST, .path = "/auth/logout", .rate = "api", .action = logout,
      .needs = HB_NEED_USER | HB_GIVES_NOTHING,
      .sentence = "end this session", .tag = "accounts" },
    { .method = M_HB_POST, .path = "/auth/logout-all", .rate = "api", .action = logout_all,
      .needs = HB_NEED_USER,
      .sentence = "end all sessions of this account, this one too",
      .output = "ended", .tag = "accounts" },
    { .method = M_HB_GET, .path = "/auth/sessions", .rate = "api", .action = sessions,
      .needs = HB_NEED_USER,
      .sentence = "the devices that are signed in, newest first",
      .query = HB_F_LIST, .output = "[session]", .tag = "accounts",
      .errors = "cursor.invalid" },
    { .method = M_HB_DELETE, .path = "/auth/sessions/{id}", .rate = "api",
      .action = session_end, .needs = HB_NEED_USER | HB_GIVES_NOTHING,
      .sentence = "sign a device out", .tag = "accounts", .errors = "session.unknown" },
    { .method = M_HB_POST, .path = "/auth/password", .rate = "auth", .action = password,
      .needs = HB_NEED_USER | HB_NEED_BODY | HB_GIVES_NOTHING,
      .sentence = "change the password; all other sessions end",
      .input = HB_F_PASSWORD_CHANGE, .tag = "accounts",
      .errors = "auth.credentials auth.locked auth.busy" },
    { .method = M_HB_POST, .path = "/auth/password/forgot", .rate = "auth", .action = forgot,
      .needs = HB_NEED_BODY | HB_GIVES_ACCEPTED | HB_ANY_TOKEN,
      .sentence = "mail a code for a new password, if there is such an account",
      .input = HB_F_PASSWORD_FORGOT, .output = "accepted", .tag = "accounts" },
    { .method = M_HB_POST, .path = "/auth/password/reset", .rate = "auth", .action = reset,
      .needs = HB_NEED_BODY | HB_GIVES_NOTHING | HB_ANY_TOKEN,
      .sentence = "set a new password by a mailed code; all sessions end",
      .input = HB_F_PASSWORD_RESET, .tag = "accounts", .errors = "code.invalid auth.busy" },
    { .method = M_HB_POST, .path = "/auth/email/verify", .rate = "auth", .action = verify,
      .needs = HB_NEED_BODY | HB_ANY_TOKEN,
      .sentence = "prove an address by a mailed code",
      .input = HB_F_EMAIL_VERIFY, .output = "verified", .tag = "accounts",
      .errors = "code.invalid" },
    { .method = M_HB_POST, .path = "/auth/email/resend", .rate = "auth", .action = resend,
      .needs = HB_NEED_BODY | HB_GIVES_ACCEPTED | HB_ANY_TOKEN,
      .sentence = "mail the code that verifies an address again, if it is unverified",
      .input = HB_F_EMAIL_RESEND, .output = "accepted", .tag = "accounts" },
    { .method = M_HB_POST, .path = "/auth/totp", .rate = "auth", .action = totp_start,
      .needs = HB_NEED_USER | HB_MAY_BODY,
      .sentence = "make a secret for an authenticator app; in force once confirmed",
      .input = HB_F_TOTP_START, .output = "totpSecret", .tag = "accounts",
      .errors = "totp.state auth.credentials auth.locked" },
    { .method = M_HB_POST, .path = "/auth/totp/confirm", .rate = "auth",
      .action = totp_confirm, .needs = HB_NEED_USER | HB_NEED_BODY,
      .sentence = "put the second factor in force; gives recovery codes, once",
      .input = HB_F_TOTP_CONFIRM, .output = "recovery", .tag = "accounts",
      .errors = "totp.invalid totp.state auth.locked" },
    { .method = M_HB_DELETE, .path = "/auth/totp", .rate = "auth", .action = totp_remove,
      .needs = HB_NEED_USER | HB_NEED_BODY | HB_GIVES_NOTHING,
      .sentence = "drop the second factor",
      .input = HB_F_TOTP_REMOVE, .tag = "accounts",
      .errors = "totp.state totp.invalid auth.credentials auth.locked" },
};

const hb_route_set_t hb_routes_auth = { rows, (int)(sizeof(rows) / sizeof(rows[0])) };
