/* SPDX-License-Identifier: Apache-2.0 */
/* Refunds that a crash or an outage of a provider left unfinished. */
#include "ctl.h"

#include "hb_refund.h"

int ctl_refunds_resume(ctl_t *ctl, int argc, const char *const *argv)
{
    apr_int64_t n;
    hb_op_t *op;
    apr_status_t rv;
    int rc = ctl_begin(&op, ctl, argc, argv, NULL, NULL, 0, 0);

    if (rc != CTL_OK) {
        return rc;
    }
    rv = hb_refund_resume(&n, op);
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    ctl_say(ctl, "%" APR_INT64_T_FMT " refunds ended", n);
    return CTL_OK;
}
