/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a message to the entry of webhooks and returns, down to the store: a letter for the
 * provider ("s" Stripe, "e" eSewa, "k" Khalti, "p" the sandbox), one for the way ("w" a webhook
 * whose signature is the first line, "S" one that is signed right here, "r" a return), the
 * bytes. Whatever comes, the answer is a verdict; nothing moves, as no order is there; what was
 * kept is what came.
 */
#include "fuzz.h"

#include <ftw.h>
#include <string.h>
#include <unistd.h>

#include <apr_base64.h>
#include <apr_file_io.h>
#include <apr_general.h>
#include <apr_strings.h>

#include "hb_crypto.h"
#include "hb_inbox.h"
#include "hb_settings.h"
#include "hb_site.h"
#include "hb_store.h"

#define SECRET "whsec_of_the_fuzzer_0123456789abcdefghijklmnop"

static const char settings_text[] =
    "HaloBuzzPaySandbox on\n"
    "HaloBuzzPaySandboxSecret env:HB_FUZZ_SECRET\n"
    "HaloBuzzStripeKey env:HB_FUZZ_KEY\n"
    "HaloBuzzStripeWebhookSecret env:HB_FUZZ_SECRET\n"
    "HaloBuzzEsewaMerchant EPAYTEST\n"
    "HaloBuzzEsewaSecret env:HB_FUZZ_SECRET\n"
    "HaloBuzzKhaltiSecret env:HB_FUZZ_SECRET\n";

static hb_site_t *site;
static char dir[] = "/tmp/hb-fuzz-XXXXXX";
static apr_time_t now = APR_INT64_C(1782898200) * APR_USEC_PER_SEC;

static apr_time_t fuzz_clock(void *baton)
{
    (void)baton;
    return now;
}

static int remove_one(const char *path, const struct stat *st, int what, struct FTW *ftw)
{
    (void)st;
    (void)what;
    (void)ftw;
    return remove(path);
}

static apr_pool_t *site_pool;

static void remove_dir(void)
{
    apr_pool_destroy(site_pool);    /* closes the store before its files go */
    nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    hb_settings_draft_t *draft;
    hb_site_memory_t none = { 0 };
    hb_log_t quiet = { NULL, NULL, HB_LOG_CRIT };
    char *lines, *line, *state = NULL;
    const char *why = NULL;

    (void)argc;
    (void)argv;
    setenv("HB_FUZZ_SECRET", SECRET, 1);
    setenv("HB_FUZZ_KEY", "sk_test_fuzz", 1);
    if (apr_initialize() != APR_SUCCESS || apr_pool_create(&site_pool, NULL) != APR_SUCCESS
        || mkdtemp(dir) == NULL) {
        return 1;
    }
    atexit(remove_dir);
    draft = hb_settings_draft_make(site_pool);
    why = hb_settings_set(draft, hb_setting_row("HaloBuzzStateDir"), dir, site_pool);
    lines = apr_pstrdup(site_pool, settings_text);
    for (line = apr_strtok(lines, "\n", &state); line != NULL && why == NULL;
         line = apr_strtok(NULL, "\n", &state)) {
        char *blank = strchr(line, ' ');

        *blank = '\0';
        why = hb_settings_set(draft, hb_setting_row(line), blank + 1, site_pool);
    }
    if (why == NULL) {
        why = hb_settings_finish(draft, site_pool);
    }
    if (why != NULL || hb_site_make(&site, &why, &draft->values, &quiet, site_pool) != APR_SUCCESS
        || hb_site_open(site, &none, site_pool) != APR_SUCCESS) {
        fprintf(stderr, "fuzz_hook: %s\n", why != NULL ? why : "the site cannot be opened");
        return 1;
    }
    site->clock = fuzz_clock;
    return 0;
}

static const hb_pay_provider_t *provider_of(char letter)
{
    switch (letter) {
    case 's': return hb_pay_provider("stripe");
    case 'e': return hb_pay_provider("esewa");
    case 'k': return hb_pay_provider("khalti");
    default:  return hb_pay_provider("sandbox");
    }
}

static const char *sign(const char *body, apr_size_t len, apr_pool_t *pool)
{
    const char *seconds = apr_psprintf(pool, "%" APR_TIME_T_FMT ".", apr_time_sec(now));
    apr_size_t n = strlen(seconds);
    char *text = apr_palloc(pool, n + len);
    unsigned char mac[32];

    memcpy(text, seconds, n);
    memcpy(text + n, body, len);
    FUZZ_EXPECT(hb_hmac_sha256(mac, SECRET, strlen(SECRET), text, n + len) == APR_SUCCESS);
    return apr_psprintf(pool, "t=%.*s,v1=%s", (int)(n - 1), seconds, hb_hex(pool, mac, 32));
}

/* What the inbox kept is byte for byte what came. */
static void is_kept(const char *id, const hb_pay_message_t *message, apr_pool_t *pool)
{
    hb_op_t *op = hb_op_make(site, pool);
    const char *body;
    hb_json_t *shown;
    apr_size_t len;

    FUZZ_EXPECT(hb_inbox_show(&shown, op, id) == APR_SUCCESS);
    body = hb_json_string(shown, "body");
    if (body == NULL) {
        FUZZ_EXPECT(message->len > HB_INBOX_REFUSED_MAX);
        return;
    }
    len = strlen(body);
    if (hb_json_bool(shown, "isBase64", 0)) {
        char *bytes = apr_palloc(pool, (apr_size_t)apr_base64_decode_len(body) + 1);

        len = (apr_size_t)apr_base64_decode_binary((unsigned char *)bytes, body);
        body = bytes;
    }
    FUZZ_EXPECT(len == message->len && memcmp(body, message->body, len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hb_pay_message_t message = { .received_at = now };
    hb_inbox_result_t result;
    apr_pool_t *pool;
    apr_status_t rv;
    char *text;

    if (size < 2) {
        return 0;
    }
    now += apr_time_from_sec(2);        /* or only the first refused one would be kept */
    message.received_at = now;
    apr_pool_create(&pool, NULL);
    text = apr_pstrmemdup(pool, (const char *)data + 2, size - 2);
    message.body = text;
    message.len = size - 2;
    if (data[1] == 'r') {
        message.is_return = 1;
        message.len = strlen(text);     /* httpd gives a query string without 0 bytes */
        message.order_id = "65a1b2c3d4e5f60718293a4b";
    }
    else if (data[1] == 'S') {
        message.signature = sign(message.body, message.len, pool);
    }
    else {
        char *end = memchr(text, '\n', message.len);

        if (end != NULL) {
            *end = '\0';
            message.signature = text;
            message.body = end + 1;
            message.len -= (apr_size_t)(end + 1 - text);
        }
    }
    rv = hb_inbox_receive(&result, hb_op_make(site, pool), provider_of((char)data[0]), &message);
    FUZZ_EXPECT(rv == APR_SUCCESS || rv == HB_E_HOOK_FORGED || rv == HB_E_HOOK_MALFORMED
                || rv == HB_E_ORDER_UNKNOWN);
    FUZZ_EXPECT(rv != APR_SUCCESS || data[1] == 'S');
    FUZZ_EXPECT(result.effect == HB_ORDER_IGNORED);
    if (result.id != NULL && !result.is_repeat) {
        is_kept(result.id, &message, pool);
    }
    apr_pool_destroy(pool);
    return 0;
}
