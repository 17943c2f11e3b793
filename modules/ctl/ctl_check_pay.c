/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Payments in `halobuzzctl check`: settings that do not go together. Whether the providers
 * answer is `halobuzzctl providers check`, which calls them.
 */
#include "ctl_check.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_pay.h"
#include "hb_site.h"

/* The addresses themselves were checked as settings. */
static void check_url(check_t *check, const char *directive, const char *url)
{
    if (*url != '\0' && check->ctl->settings->payments_live
             && strncmp(url, "https://", 8) != 0) {
        check_note(check, CHECK_SERVICES, CTL_BAD, directive, "%s is not the provider's own, but "
                   "HaloBuzzPaymentsLive is on", directive);
    }
}

/* Anything of this provider configured? Then what is missing is a mistake, not a choice. */
static int is_wanted(const hb_settings_t *settings, const char *name)
{
    return strcmp(name, "stripe") == 0
           ? *settings->stripe_key != '\0' || *settings->stripe_webhook_secret != '\0'
           : strcmp(name, "esewa") == 0
           ? *settings->esewa_merchant != '\0' || *settings->esewa_secret != '\0'
           : strcmp(name, "khalti") == 0 ? *settings->khalti_key != '\0'
           : settings->pay_sandbox;
}

void check_payments(check_t *check)
{
    const hb_settings_t *settings = check->ctl->settings;
    const hb_pay_provider_t *provider;
    const char *why = NULL, *offered = "";
    hb_site_t site = { .settings = settings };
    int i;

    if (!settings->payments) {
        check_note(check, CHECK_SERVICES, CTL_NOTE, "HaloBuzzPayments on", "nothing is sold for "
                   "money");
        return;
    }
    if (hb_pay_keys_make(&site.pay_keys, &why, settings, check->ctl->pool) != APR_SUCCESS) {
        check_note(check, CHECK_REQUIRED, CTL_BAD, why, "the secret of a payment provider cannot "
                   "be read");
        return;
    }
    for (i = 0; (provider = hb_pay_provider_at(i)) != NULL; i++) {
        why = hb_pay_unusable(&site, provider);
        if (why == NULL) {
            offered = apr_pstrcat(check->ctl->pool, offered, *offered != '\0' ? ", " : "",
                                  provider->title, NULL);
        }
        else if (is_wanted(settings, provider->name)) {
            check_note(check, CHECK_SERVICES, CTL_BAD, "set it, or none of this provider's", "%s is "
                       "not offered: %s", provider->title, why);
        }
    }
    check_url(check, "HaloBuzzStripeURL", settings->stripe_url);
    check_url(check, "HaloBuzzEsewaURL", settings->esewa_url);
    check_url(check, "HaloBuzzEsewaStatusURL", settings->esewa_status_url);
    check_url(check, "HaloBuzzKhaltiURL", settings->khalti_url);
    if (*offered == '\0') {
        check_note(check, CHECK_SERVICES, CTL_NOTE, "HaloBuzzStripeKey, HaloBuzzEsewaMerchant, "
                   "HaloBuzzKhaltiSecret, or HaloBuzzPaySandbox on to try it", "no payment "
                   "provider is configured: nothing is sold for money");
        return;
    }
    check_note(check, CHECK_SERVICES, CTL_GOOD, NULL, "payments by %s are configured (%s); "
               "`halobuzzctl providers check` calls them", offered,
               settings->payments_live ? "real money" : "test mode");
    if (settings->pay_sandbox && strcmp(settings->environment, "production") == 0) {
        check_note(check, CHECK_SECURITY, CTL_BAD, "HaloBuzzPaySandbox off", "play money buys real "
                   "coins: HaloBuzzPaySandbox is on in production");
    }
}
