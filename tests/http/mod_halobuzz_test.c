/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A module as a third party would write it: adds calls to the API through a provider. Their
 * rows use what no shipped row uses yet, and some are wrong on purpose; test_routes.py
 * says which. Never installed.
 */
#include "hb_ap.h"

#include <string.h>

#include <ap_provider.h>
#include <http_config.h>
#include <http_core.h>

#include "hb_role.h"

static apr_status_t echo(hb_ap_call_t *call)
{
    call->reply = hb_json_object_make(call->op->pool);
    hb_json_set_string(call->reply, "a", hb_ap_path_value(call, "a"));
    hb_json_set_string(call->reply, "b", hb_ap_path_value(call, "b"));
    hb_json_set_string(call->reply, "key", call->op->idem_key);
    if (call->input != NULL) {
        hb_json_set(call->reply, "input", call->input);
    }
    return APR_SUCCESS;
}

static apr_status_t nothing(hb_ap_call_t *call)
{
    (void)call;
    return APR_SUCCESS;
}

static apr_status_t fail(hb_ap_call_t *call)
{
    (void)call;
    return APR_EGENERAL;        /* a status that is none of ours, without a problem */
}

static const hb_route_t rows[] = {
    { .method = M_HB_GET, .path = "/test/{a}/of/{b}", .rate = "api", .action = echo,
      .sentence = "two names", .tag = "test" },
    { .method = M_HB_POST, .path = "/test/order", .rate = "api", .action = echo,
      .needs = HB_NEED_USER | HB_NEED_BODY | HB_NEED_IDEM_KEY | HB_GIVES_CREATED,
      .sentence = "needs a key, and takes any JSON", .tag = "test" },
    { .method = M_HB_POST, .path = "/test/perhaps", .rate = "api", .action = echo,
      .needs = HB_MAY_BODY, .input = HB_F_LOGIN,
      .sentence = "a body may be left out", .tag = "test" },
    { .method = M_HB_GET, .path = "/test/staff", .rate = "api", .action = echo,
      .roles = HB_ROLE_FINANCE | HB_ROLE_MODERATOR,
      .sentence = "needs one of two roles", .tag = "test" },
    { .method = M_HB_GET, .path = "/test/misfit", .rate = "api", .action = echo,
      .output = "problem", .sentence = "gives what its row does not say", .tag = "test" },
    { .method = M_HB_GET, .path = "/test/nothing", .rate = "api", .action = nothing,
      .sentence = "gives nothing although its row does not say so", .tag = "test" },
    { .method = M_HB_GET, .path = "/test/fail", .rate = "api", .action = fail,
      .sentence = "fails without saying why", .tag = "test" },
};

static const hb_route_set_t set = { rows, (int)(sizeof(rows) / sizeof(rows[0])) };

static const hb_route_t doubles[] = {
    { .method = M_HB_GET, .path = "/users/me", .rate = "api", .action = echo,
      .sentence = "a call that another module has", .tag = "test" },
};

static const hb_route_set_t double_set = { doubles, 1 };

static void register_hooks(apr_pool_t *pool)
{
    ap_register_provider(pool, HB_AP_ROUTES, "test", "0", &set);
    if (ap_exists_config_define("HB_TEST_DOUBLE")) {
        ap_register_provider(pool, HB_AP_ROUTES, "test-double", "0", &double_set);
    }
}

__attribute__((visibility("default")))
module AP_MODULE_DECLARE_DATA halobuzz_test_module = {
    STANDARD20_MODULE_STUFF,
    NULL, NULL, NULL, NULL, NULL,
    register_hooks,
    AP_MODULE_FLAG_NONE
};
