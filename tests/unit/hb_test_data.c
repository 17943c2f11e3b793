/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what lies in tests/data. */
#include "hb_test_data.h"

#include <apr_file_io.h>

#include "hb_test.h"

#define VECTORS_MAX_BYTES (256 * 1024)

hb_json_t *hb_test_vectors(void)
{
    char *text = apr_palloc(hb_test_pool, VECTORS_MAX_BYTES);
    apr_size_t len = VECTORS_MAX_BYTES;
    apr_file_t *file;
    hb_json_t *json;
    const char *why = "";

    ck_assert_int_eq(apr_file_open(&file, HB_TEST_DATA "/vectors.json", APR_FOPEN_READ,
                                   APR_FPROT_OS_DEFAULT, hb_test_pool), APR_SUCCESS);
    apr_file_read_full(file, text, len, &len);
    apr_file_close(file);
    ck_assert_uint_lt(len, VECTORS_MAX_BYTES);
    ck_assert_msg(hb_json_parse(&json, &why, text, len, hb_test_pool) == APR_SUCCESS, "%s", why);
    return json;
}
