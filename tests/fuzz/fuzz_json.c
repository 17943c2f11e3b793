/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as JSON: what is taken reads back the same, and any bytes can be quoted. */
#include "fuzz.h"

#include <string.h>

#include <apr_general.h>

#include "hb_error.h"
#include "hb_json.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return apr_initialize();
}

static void reads_back(const hb_json_t *json, const char *text, apr_pool_t *pool)
{
    hb_json_t *again;
    const char *why;

    FUZZ_EXPECT(hb_json_parse(&again, &why, text, strlen(text), pool) == APR_SUCCESS);
    FUZZ_EXPECT(hb_json_equal(json, again));
    FUZZ_EXPECT(hb_json_equal(json, hb_json_parse_own(text, strlen(text), pool)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hb_json_t *json;
    const char *why = NULL, *quoted;
    apr_pool_t *pool;
    apr_status_t rv;

    apr_pool_create(&pool, NULL);
    rv = hb_json_parse(&json, &why, (const char *)data, size, pool);
    if (rv == APR_SUCCESS) {
        FUZZ_EXPECT(hb_utf8_is_valid((const char *)data, size));
        reads_back(json, hb_json_text(json, pool, NULL), pool);
        reads_back(json, hb_json_pretty(json, pool), pool);
    }
    else {
        FUZZ_EXPECT(rv == HB_E_BODY_SYNTAX && json == NULL && why != NULL);
    }
    hb_json_parse_own((const char *)data, size, pool);
    if (memchr(data, '\0', size) == NULL) {
        quoted = hb_json_quote(pool, (const char *)data, size);
        FUZZ_EXPECT(hb_json_parse(&json, &why, quoted, strlen(quoted), pool) == APR_SUCCESS);
        FUZZ_EXPECT(!hb_utf8_is_valid((const char *)data, size)
                    || (hb_json_string_bytes(json) == size
                        && memcmp(hb_json_string_value(json), data, size) == 0));
    }
    apr_pool_destroy(pool);
    return 0;
}
