/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does a reply fit what its row declares? Looked at in tests only, through
 * HALOBUZZ_CHECK_REPLIES.
 */
#include "mod_halobuzz_api.h"

#include <string.h>

#include <apr_strings.h>

const char *hb_ap_reply_misfit(const char *output, const hb_json_t *json, apr_pool_t *pool)
{
    const hb_json_t *items;
    const char *wrong = NULL;
    const char *name;
    int i;

    if (output[0] != '[') {
        return hb_schema_misfit_of(output, json, pool);
    }
    name = apr_pstrmemdup(pool, output + 1, strcspn(output + 1, "]"));
    items = hb_json_get(json, "items");
    if (hb_json_type(items) != HB_JSON_ARRAY) {
        return "a page needs items";
    }
    if (!hb_json_has(json, "next")) {
        return "a page needs next";
    }
    for (i = 0; wrong == NULL && i < hb_json_length(items); i++) {
        wrong = hb_schema_misfit_of(name, hb_json_item(items, i), pool);
    }
    return wrong;
}
