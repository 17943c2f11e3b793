/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of errors at run time. Which HTTP status a class gets is not here but
 * in glue/hb_ap_reply.c.
 */
#include "hb_error.h"

#include <apr_strings.h>

static const hb_error_row_t rows[] = {
#define HB_ERROR(symbol, code, class, text) \
    { HB_E_##symbol, #symbol, code, HB_CLASS_##class, text },
#include "hb_error.def"
#undef HB_ERROR
    { APR_SUCCESS, NULL, NULL, HB_CLASS_INTERNAL, NULL }
};

const hb_error_row_t *hb_error_row(apr_status_t status)
{
    if (status <= HB_E_BEFORE_FIRST || status >= HB_E_AFTER_LAST) {
        status = HB_E_INTERNAL;
    }
    return &rows[status - HB_E_BASE];
}

const hb_error_row_t *hb_error_rows(void)
{
    return rows;
}

const char *hb_strerror(apr_status_t status, char *buf, apr_size_t size)
{
    if (status > HB_E_BEFORE_FIRST && status < HB_E_AFTER_LAST) {
        return rows[status - HB_E_BASE].text;
    }
    return apr_strerror(status, buf, size);
}
