/* SPDX-License-Identifier: Apache-2.0 */
/* Figures of days, for finance and administrators. What they are is hb_report.h's. */
#include "mod_halobuzz_api.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_report.h"
#include "hb_role.h"

static apr_status_t list(hb_ap_call_t *call)
{
    return hb_report_list(&call->reply, call->op, hb_ap_limit_of(call),
                          hb_ap_after_of(call));
}

static apr_status_t show(hb_ap_call_t *call)
{
    return hb_report_get(&call->reply, call->op, hb_ap_path_value(call, "date"));
}

static apr_status_t file(hb_ap_call_t *call)
{
    hb_json_t *view;
    apr_status_t rv = hb_report_get(&view, call->op, hb_ap_path_value(call, "date"));

    if (rv == APR_SUCCESS) {
        call->reply_text = hb_report_csv(call->op->pool, view);
        call->reply_bytes = strlen(call->reply_text);
        call->reply_type = "text/csv; charset=utf-8";
        apr_table_setn(call->r->headers_out, "Content-Disposition",
                       apr_pstrcat(call->op->pool, "attachment; filename=\"report-",
                                   hb_json_string(view, "date"), ".csv\"", NULL));
    }
    return rv;
}

static const hb_route_t rows[] = {
    { .method = M_HB_GET, .path = "/admin/reports", .rate = "api", .action = list,
      .needs = HB_NEED_USER, .roles = HB_ROLE_FINANCE | HB_ROLE_ADMIN,
      .sentence = "figures of days, newest first", .query = HB_F_LIST,
      .output = "[reports:staff]", .tag = "operations", .errors = "cursor.invalid" },
    { .method = M_HB_GET, .path = "/admin/reports/{date}", .rate = "api", .action = show,
      .needs = HB_NEED_USER, .roles = HB_ROLE_FINANCE | HB_ROLE_ADMIN,
      .sentence = "figures of a day (YYYY-MM-DD)", .output = "reports:staff", .tag = "operations",
      .errors = "report.unknown" },
    { .method = M_HB_GET, .path = "/admin/reports/{date}/file", .rate = "api", .action = file,
      .needs = HB_NEED_USER, .roles = HB_ROLE_FINANCE | HB_ROLE_ADMIN,
      .sentence = "the same as CSV, a line a figure", .media = "text/csv", .tag = "operations",
      .errors = "report.unknown" },
};

const hb_route_set_t hb_routes_reports = { rows, (int)(sizeof(rows) / sizeof(rows[0])) };
