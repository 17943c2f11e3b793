/* SPDX-License-Identifier: Apache-2.0 */
#include "pay_world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <apr_escape.h>
#include <apr_strings.h>

#include "hb_sandbox.h"
#include "hb_test.h"

/* Ours end with the pipe that the simulator reads: also when a case dies. */
typedef struct child_t {
    pid_t pid;
    int in;
} child_t;

static apr_status_t end_child(void *baton)
{
    child_t *child = baton;

    close(child->in);
    waitpid(child->pid, NULL, 0);
    return APR_SUCCESS;
}

static int start_simulator(void)
{
    child_t *child = apr_palloc(hb_test_pool, sizeof(*child));
    int in[2], out[2], port = 0;
    FILE *said;

    ck_assert_int_eq(pipe(in), 0);
    ck_assert_int_eq(pipe(out), 0);
    child->pid = fork();
    if (child->pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[0]);
        close(in[1]);
        close(out[0]);
        close(out[1]);
        setenv("PYTHONDONTWRITEBYTECODE", "1", 1);
        execl("/usr/bin/python3", "python3", HB_SIM, (char *)NULL);
        execlp("python3", "python3", HB_SIM, (char *)NULL);
        _exit(127);
    }
    ck_assert_int_gt(child->pid, 0);
    close(in[0]);
    close(out[1]);
    child->in = in[1];
    apr_pool_cleanup_register(hb_test_pool, child, end_child, apr_pool_cleanup_null);
    said = fdopen(out[0], "r");
    ck_assert_msg(fscanf(said, "port=%d", &port) == 1, "python3 cannot run " HB_SIM);
    fclose(said);
    return port;
}

pay_world_t *pay_world_open(const char *more_settings)
{
    pay_world_t *w = apr_pcalloc(hb_test_pool, sizeof(*w));

    setenv("PAY_STRIPE", "sk_test_simulated", 1);
    setenv("PAY_HOOK", "whsec_simulated whsec_older", 1);
    setenv("PAY_ESEWA", "8gBm/:&EnhH.1/q", 1);
    setenv("PAY_KHALTI", "live_secret_key_simulated", 1);
    setenv("PAY_WRONG", "sk_test_wrong", 1);
    w->url = apr_psprintf(hb_test_pool, "http://127.0.0.1:%d", start_simulator());
    w->ts = hb_test_site_make_with(apr_pstrcat(hb_test_pool,
        "HaloBuzzPublicURL https://halobuzz.test\n"
        "HaloBuzzPaymentTimeout 3s\n"
        "HaloBuzzPaySandbox on\n"
        "HaloBuzzStripeKey env:PAY_STRIPE\n"
        "HaloBuzzStripeWebhookSecret env:PAY_HOOK\n"
        "HaloBuzzEsewaMerchant EPAYTEST\n"
        "HaloBuzzEsewaSecret env:PAY_ESEWA\n"
        "HaloBuzzKhaltiSecret env:PAY_KHALTI\n"
        "HaloBuzzStripeURL ", w->url, "\nHaloBuzzEsewaURL ", w->url,
        "/\nHaloBuzzEsewaStatusURL ", w->url, "\nHaloBuzzKhaltiURL ", w->url, "\n",
        more_settings, NULL), hb_test_pool);
    /* Sessions of Stripe end some time after now, and the simulator knows the real one. */
    w->ts->now = apr_time_now();
    hb_test_site_open(w->ts);
    w->op = hb_test_site_op(w->ts);
    return w;
}

hb_op_t *pay_world_next(pay_world_t *w)
{
    w->op = hb_test_site_op(w->ts);
    return w->op;
}

hb_order_t *pay_world_order(pay_world_t *w, const hb_pay_provider_t *provider, int n)
{
    hb_order_t *order = apr_pcalloc(hb_test_pool, sizeof(*order));

    order->id = apr_psprintf(hb_test_pool, "65530a0b0c0d0e0f%08x", n);
    order->user_id = "65530a0b0c0d0e0f10111299";
    order->provider = provider->name;
    order->kind = "coins";
    order->product = "coins-500";
    order->title = "500 coins & more";
    order->coins = 500;
    order->amount_minor = 1250;
    order->currency = apr_pstrmemdup(hb_test_pool, provider->currencies, 3);
    order->state = "pending";
    order->created_at = w->ts->now;
    order->expires_at = w->ts->now + apr_time_from_sec(3600);
    return order;
}

apr_status_t pay_world_start(pay_world_t *w, const hb_pay_provider_t *provider,
                             hb_order_t *order)
{
    hb_pay_start_t start;
    apr_status_t rv = provider->start(&start, pay_world_next(w), order, HB_PAY_AS_PAGE);

    if (rv == APR_SUCCESS) {
        order->attempt_id = apr_pstrdup(hb_test_pool, start.attempt_id);
        order->session_id = start.session_id != NULL
                            ? apr_pstrdup(hb_test_pool, start.session_id) : NULL;
        order->doc = start.form;
    }
    return rv;
}

/* localhost, not 127.0.0.1: what hb_fetch learns about one host is not about the other. */
static hb_json_t *post(pay_world_t *w, const char *path, const char *type, const char *body)
{
    const char *headers[] = { NULL };
    const hb_fetch_t fetch = {
        .service = "simulator", .method = "POST", .type = type, .body = body,
        .len = strlen(body), .headers = headers, .wait_usec = apr_time_from_sec(20),
        .url = apr_pstrcat(hb_test_pool, "http://localhost", strrchr(w->url, ':'), path, NULL),
        .answer_max_bytes = 16 << 20
    };
    hb_fetch_answer_t answer;

    ck_assert_int_eq(hb_fetch(&answer, hb_test_site_op(w->ts), &fetch), APR_SUCCESS);
    ck_assert_msg(answer.status == 200, "%s: %d %s", path, answer.status, answer.body);
    return answer.json;
}

hb_json_t *pay_world_tell(pay_world_t *w, const char *verb, const char *fmt, ...)
{
    va_list ap;
    char *body, *c;

    va_start(ap, fmt);
    body = apr_pvsprintf(hb_test_pool, fmt, ap);
    va_end(ap);
    for (c = body; *c != '\0'; c++) {
        *c = *c == '\'' ? '"' : *c;
    }
    return post(w, apr_pstrcat(hb_test_pool, "/_sim/", verb, NULL), "application/json", body);
}

static int add_field(void *baton, const char *key, hb_json_t *value)
{
    const char **text = baton;

    *text = apr_pstrcat(hb_test_pool, *text, **text != '\0' ? "&" : "", key, "=",
                        apr_pescape_urlencoded(hb_test_pool, hb_json_string_value(value)), NULL);
    return 0;
}

void pay_world_pay(pay_world_t *w, const hb_pay_provider_t *provider, hb_order_t *order)
{
    if (strcmp(provider->name, "sandbox") == 0) {
        ck_assert_int_eq(hb_sandbox_settle(pay_world_next(w), order, HB_PAY_PAID), APR_SUCCESS);
        order->payment_id = order->attempt_id;
        return;
    }
    if (order->doc != NULL) {
        const char *form = "";

        hb_json_each(order->doc, add_field, &form);
        post(w, "/api/epay/main/v2/form", "application/x-www-form-urlencoded", form);
    }
    pay_world_tell(w, "pay", "{'provider': '%s', 'with': {'id': '%s'}}", provider->name,
                   order->attempt_id);
}

int pay_world_calls(pay_world_t *w, const char *provider)
{
    const hb_json_t *calls = hb_json_get(pay_world_tell(w, "calls", "{}"), "calls");
    int i, n = 0;

    for (i = 0; i < hb_json_length(calls); i++) {
        n += strcmp(hb_json_string(hb_json_item(calls, i), "provider"), provider) == 0;
    }
    return n;
}
