/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The payment providers as they are configured: which are offered, and whether each answers
 * and takes our keys. One harmless call each; no payment is begun.
 */
#include "ctl.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_pay.h"

/* What came out for one provider. */
typedef struct finding_t {
    const hb_pay_provider_t *provider;
    const char *result;         /* "good", "bad", "off" */
    const char *said;
    int msec;                   /* -1 when it was not called */
} finding_t;

static void look_at(finding_t *finding, const hb_op_t *op, const hb_pay_provider_t *provider)
{
    hb_op_t *probe = hb_op_make(op->site, op->pool);
    apr_time_t begun = apr_time_now();
    apr_status_t rv;

    probe->actor = op->actor;
    finding->provider = provider;
    finding->msec = -1;
    finding->said = hb_pay_unusable(op->site, provider);
    if (finding->said != NULL) {
        finding->result = "off";
        return;
    }
    rv = provider->probe(&finding->said, probe);
    finding->result = rv == APR_SUCCESS ? "good" : "bad";
    finding->msec = (int)apr_time_as_msec(apr_time_now() - begun);
}

/* Where the provider's own messages have to arrive; NULL when it sends none. */
static const char *webhook_of(const hb_op_t *op, const hb_pay_provider_t *provider)
{
    return (provider->can & HB_PAY_CAN_WEBHOOK) == 0 ? NULL
        : apr_pstrcat(op->pool, op->site->settings->public_url, "/api/v1/webhooks/",
                      provider->name, NULL);
}

static void print(ctl_t *ctl, const hb_op_t *op, const finding_t *finding)
{
    const char *webhook = webhook_of(op, finding->provider);
    int is_good = strcmp(finding->result, "good") == 0;
    int is_off = strcmp(finding->result, "off") == 0;

    ctl_mark(ctl, is_good ? CTL_GOOD : is_off ? CTL_NOTE : CTL_BAD, "%s%s: %s%s",
             finding->provider->title, is_off ? " is not offered" : "", finding->said,
             finding->msec >= 0 ? apr_psprintf(ctl->pool, " (%d ms)", finding->msec) : "");
    if (!is_off && webhook != NULL) {
        ctl_say(ctl, "     webhooks to %s", webhook);
    }
}

static hb_json_t *to_json(ctl_t *ctl, const hb_op_t *op, const finding_t *finding)
{
    hb_json_t *json = hb_json_object_make(ctl->pool);

    hb_json_set_string(json, "provider", finding->provider->name);
    hb_json_set_string(json, "result", finding->result);
    hb_json_set_string(json, "said", finding->said);
    if (finding->msec >= 0) {
        hb_json_set_int(json, "msec", finding->msec);
    }
    hb_json_set_string(json, "webhook", webhook_of(op, finding->provider));
    return json;
}

int ctl_providers_check(ctl_t *ctl, int argc, const char *const *argv)
{
    const char *args[2] = { NULL, NULL };
    const hb_pay_provider_t *provider, *only = NULL;
    hb_json_t *list = hb_json_array_make(ctl->pool);
    int i, n_bad = 0, rc = ctl_options(ctl, argc, argv, NULL, args, 0, 1);
    hb_op_t *op;

    if (rc == CTL_OK && args[0] != NULL) {
        only = hb_pay_provider(args[0]);
        if (only == NULL) {
            rc = ctl_misuse(ctl, "there is no provider \"%s\"", args[0]);
        }
    }
    if (rc == CTL_OK) {
        rc = ctl_site(&op, ctl);
    }
    for (i = 0; rc == CTL_OK && (provider = hb_pay_provider_at(i)) != NULL; i++) {
        finding_t finding;

        if (only != NULL && provider != only) {
            continue;
        }
        look_at(&finding, op, provider);
        n_bad += strcmp(finding.result, "bad") == 0
                 || (only != NULL && strcmp(finding.result, "off") == 0);
        if (ctl->wants_json) {
            hb_json_push(list, to_json(ctl, op, &finding));
        }
        else {
            print(ctl, op, &finding);
        }
    }
    if (rc == CTL_OK && ctl->wants_json) {
        hb_json_t *json = hb_json_object_make(ctl->pool);

        hb_json_set_bool(json, "passed", n_bad == 0);
        hb_json_set_bool(json, "live", op->site->settings->payments_live);
        hb_json_set(json, "providers", list);
        ctl_json(ctl, json);
    }
    return rc != CTL_OK ? rc : n_bad > 0 ? CTL_FAILED : CTL_OK;
}
