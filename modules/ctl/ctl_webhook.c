/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages as a payment provider would send them, signed with the secret that this site has
 * configured, to the running server: what a provider's own tool does over its network, without
 * the provider.
 */
#include "ctl.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_crypto.h"
#include "hb_order.h"
#include "hb_pay.h"
#include "hb_user.h"

static const char *provider_names(ctl_t *ctl)
{
    const hb_pay_provider_t *provider;
    const char *names = "";
    int i;

    for (i = 0; (provider = hb_pay_provider_at(i)) != NULL; i++) {
        names = apr_pstrcat(ctl->pool, names, i > 0 ? ", " : "", provider->name, NULL);
    }
    return names;
}

static const char *sample_names(ctl_t *ctl, const hb_pay_provider_t *provider)
{
    const char *names = "";
    int i;

    for (i = 0; provider->samples[i] != NULL; i++) {
        names = apr_pstrcat(ctl->pool, names, i > 0 ? ", " : "", provider->samples[i], NULL);
    }
    return names;
}

static int is_sample(const hb_pay_provider_t *provider, const char *type)
{
    int i;

    for (i = 0; provider->samples[i] != NULL; i++) {
        if (strcmp(provider->samples[i], type) == 0) {
            return 1;
        }
    }
    return 0;
}

/* --- an order to be about --- */

/* Instead of a provider's own: what it would have answered, without asking it. */
static apr_status_t start_here(hb_pay_start_t *start, hb_op_t *op, const hb_order_t *order,
                               int how)
{
    (void)how;
    memset(start, 0, sizeof(*start));
    start->attempt_id = apr_pstrcat(op->pool, strcmp(order->provider, "stripe") == 0
                                    ? "pi_" : "local-", order->id, NULL);
    start->url = op->site->settings->public_url;
    return APR_SUCCESS;
}

/* A new order of somebody, as buying makes it; only the provider does not hear of it. */
static int make_order(const char **id, ctl_t *ctl, hb_op_t *op,
                      const hb_pay_provider_t *provider, const char *name, const char *product)
{
    hb_pay_provider_t local = *provider;
    hb_json_t *input = hb_json_object_make(ctl->pool);
    hb_json_t *user, *reply;
    apr_status_t rv = hb_user_load_named(&user, op, name);

    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    if (strcmp(provider->name, "sandbox") != 0) {
        local.start = start_here;
    }
    hb_json_set_string(input, "product", product);
    op->actor.user_id = hb_user_id(user);
    op->idem_key = hb_random_token(op, 16);
    rv = hb_order_begin(&reply, op, &local, input, HB_PAY_AS_PAGE);
    op->actor.user_id = NULL;
    op->idem_key = NULL;
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    *id = hb_json_string(hb_json_get(reply, "order"), "id");
    return CTL_OK;
}

/* --- sending --- */

/* A webhook is posted; a return is what the payer's browser would open. */
static void deliver(ctl_reply_t *reply, ctl_t *ctl, const char *base,
                    const hb_pay_provider_t *provider, const hb_order_t *order,
                    const hb_pay_message_t *message)
{
    const char *url, *header = NULL;

    if (message->is_return) {
        url = apr_pstrcat(ctl->pool, base, "/api/v1/payments/", provider->name, "/return/",
                          order->id, message->is_failure ? "/failure" : "",
                          message->len > 0 ? "?" : "", message->body, NULL);
        ctl_http(reply, ctl, "GET", url, NULL, NULL);
        return;
    }
    url = apr_pstrcat(ctl->pool, base, "/api/v1/webhooks/", provider->name, NULL);
    if (message->signature != NULL && provider->sig_header != NULL) {
        header = apr_pstrcat(ctl->pool, provider->sig_header, ": ", message->signature, NULL);
    }
    ctl_http_as(reply, ctl, "POST", url, header, message->body);
}

/* What the server made of it: a 2xx, or for a return the way it sends the payer on. */
static int tell(ctl_t *ctl, const ctl_reply_t *reply, const char *type)
{
    if (reply->status == 0) {
        ctl_fail(ctl, "no answer: %s", reply->why);
        return CTL_UNREACHABLE;
    }
    if (reply->status >= 400) {
        return ctl_fail(ctl, "%s was answered %d %s", type, reply->status, reply->body);
    }
    if (!ctl->wants_json) {
        ctl_mark(ctl, CTL_GOOD, "%s was answered %d%s%s", type, reply->status,
                 reply->json != NULL ? " " : "", reply->json != NULL ? reply->body : "");
    }
    return CTL_OK;
}

int ctl_webhook_send(ctl_t *ctl, int argc, const char *const *argv)
{
    const char *order_id = NULL, *copies_text = "1", *args[4] = { NULL };
    const char *user = NULL, *product = NULL;
    const ctl_option_t options[] = {
        { "order", &order_id, NULL },
        { "user", &user, NULL },
        { "product", &product, NULL },
        { "copies", &copies_text, NULL },
        { NULL, NULL, NULL }
    };
    const hb_pay_provider_t *provider;
    hb_pay_message_t message = { 0 };
    const char *base;
    hb_order_t order;
    ctl_reply_t reply;
    hb_op_t *op;
    apr_status_t rv;
    apr_int64_t copies;
    char *end;
    int i, rc = ctl_options(ctl, argc, argv, options, args, 2, 3);

    if (rc != CTL_OK) {
        return rc;
    }
    provider = hb_pay_provider(args[0]);
    if (provider == NULL) {
        return ctl_misuse(ctl, "there is no provider %s: %s", args[0], provider_names(ctl));
    }
    if (!is_sample(provider, args[1])) {
        return ctl_misuse(ctl, "%s has no \"%s\": %s", provider->name, args[1],
                          sample_names(ctl, provider));
    }
    if ((order_id == NULL) == (user == NULL)) {
        return ctl_misuse(ctl, "for which order? --order ID, or --user USER for a new one");
    }
    if (product == NULL) {
        product = strcmp(provider->currencies, "usd") == 0 ? "usd-5000" : "npr-500";
    }
    copies = apr_strtoi64(copies_text, &end, 10);
    if (*end != '\0' || copies < 1 || copies > 1000) {
        return ctl_misuse(ctl, "--copies takes a number from 1 to 1000");
    }
    rc = ctl_site(&op, ctl);
    if (rc != CTL_OK) {
        return rc;
    }
    base = ctl_base_url(ctl, args[2]);
    if (base == NULL) {
        return CTL_USAGE;
    }
    if (ctl->site->settings->payments_live && (provider->can & HB_PAY_CAN_WEBHOOK) != 0) {
        return ctl_fail(ctl, "HaloBuzzPaymentsLive is on, and the server would take this for real "
                        "money; halobuzzctl events replay acts again on what %s itself sent",
                        provider->title);
    }
    if (provider->missing(ctl->site) != NULL) {
        return ctl_fail(ctl, "%s", provider->missing(ctl->site));
    }
    if (user != NULL) {
        rc = make_order(&order_id, ctl, op, provider, user, product);
        if (rc != CTL_OK) {
            return rc;
        }
    }
    rv = hb_order_load(&order, op, order_id);
    if (rv == APR_SUCCESS && strcmp(order.provider, provider->name) != 0) {
        return ctl_fail(ctl, "order %s is to be paid by %s", order.id, order.provider);
    }
    if (rv == APR_SUCCESS) {
        rv = provider->sample(&message, op, &order, args[1]);
    }
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    for (i = 0; i < (int)copies && rc == CTL_OK; i++) {
        deliver(&reply, ctl, base, provider, &order, &message);
        rc = tell(ctl, &reply, args[1]);
    }
    if (rc == CTL_OK) {
        rv = hb_order_load(&order, op, order_id);
        if (rv != APR_SUCCESS) {
            return ctl_fail_op(ctl, op, rv);
        }
        if (ctl->wants_json) {
            hb_json_t *json = hb_json_object_make(ctl->pool);

            hb_json_set_int(json, "status", reply.status);
            hb_json_set_string(json, "order", order.id);
            hb_json_set_string(json, "state", order.state);
            ctl_json(ctl, json);
        }
        else {
            ctl_say(ctl, "order %s is %s", order.id, order.state);
        }
    }
    return rc;
}
