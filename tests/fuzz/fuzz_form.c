/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a body and as a query string. The first byte picks the form; for a collection
 * the body is also shown as a record would be.
 */
#include "fuzz.h"

#include <string.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "hb_op.h"
#include "hb_schema.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return apr_initialize();
}

static hb_op_t *make_op(apr_pool_t *pool)
{
    hb_op_t *op = apr_pcalloc(pool, sizeof(*op));

    op->pool = pool;
    op->request_id = "fuzz";
    return op;
}

/* A refusal is told, an acceptance is not, and what is kept can be written. */
static void verdict_is_whole(apr_status_t rv, const hb_json_t *clean, const hb_op_t *op)
{
    if (rv == APR_SUCCESS) {
        FUZZ_EXPECT(hb_json_type(clean) == HB_JSON_OBJECT);
        FUZZ_EXPECT(op->problem.status == APR_SUCCESS);
        FUZZ_EXPECT(hb_json_text(clean, op->pool, NULL) != NULL);
    }
    else {
        FUZZ_EXPECT(rv == HB_E_INPUT_INVALID || rv == HB_E_URI_INVALID);
        FUZZ_EXPECT(clean == NULL && op->problem.status == rv);
        FUZZ_EXPECT(rv == HB_E_URI_INVALID || op->problem.n_fields > 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hb_json_t *json, *clean;
    const char *why;
    apr_pool_t *pool;
    hb_op_t *op;
    hb_shape_e form;
    apr_status_t rv;

    if (size == 0) {
        return 0;
    }
    form = (hb_shape_e)(HB_SHAPE_NONE + 1 + data[0] % (HB_SHAPE_COUNT - 1));
    apr_pool_create(&pool, NULL);
    if (hb_json_parse(&json, &why, (const char *)data + 1, size - 1, pool) == APR_SUCCESS) {
        op = make_op(pool);
        rv = hb_schema_check(&clean, op, form, json);
        verdict_is_whole(rv, clean, op);
        hb_schema_misfit(form, json, pool);
        if (hb_shape(form)->role == HB_IS_COLLECTION) {
            json = hb_schema_view(op, form, json, HB_ALL | HB_SELF | HB_STAFF);
            FUZZ_EXPECT(hb_json_text(json, pool, NULL) != NULL);
        }
    }
    op = make_op(pool);
    rv = hb_schema_check_query(&clean, op, form,
                               apr_pstrmemdup(pool, (const char *)data + 1, size - 1));
    verdict_is_whole(rv, clean, op);
    apr_pool_destroy(pool);
    return 0;
}
