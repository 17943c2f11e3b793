/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of notices, what a user wants of them, planned maintenance and announcements. The rules
 * are hb_notice*.c's, hb_downtime.c's and hb_announce.c's. */
#include "mod_halobuzz_api.h"

#include "hb_announce.h"
#include "hb_downtime.h"
#include "hb_notice.h"
#include "hb_role.h"

static apr_status_t list(hb_ap_call_t *call)
{
    return hb_notice_list(&call->reply, call->op, hb_ap_limit_of(call), hb_ap_after_of(call));
}

static apr_status_t unread(hb_ap_call_t *call)
{
    return hb_notice_unread(&call->reply, call->op);
}

static apr_status_t read_one(hb_ap_call_t *call)
{
    return hb_notice_read(&call->reply, call->op, hb_ap_path_value(call, "id"));
}

static apr_status_t read_all(hb_ap_call_t *call)
{
    return hb_notice_read(&call->reply, call->op, NULL);
}

static apr_status_t wishes(hb_ap_call_t *call)
{
    return hb_notice_wishes(&call->reply, call->op);
}

static apr_status_t wish(hb_ap_call_t *call)
{
    return hb_notice_wish(&call->reply, call->op, call->input);
}

static apr_status_t downtimes(hb_ap_call_t *call)
{
    return hb_downtime_list(&call->reply, call->op, hb_ap_limit_of(call),
                            hb_ap_after_of(call));
}

static apr_status_t plan(hb_ap_call_t *call)
{
    return hb_downtime_plan(&call->reply, call->op, call->input);
}

static apr_status_t cancel(hb_ap_call_t *call)
{
    return hb_downtime_cancel(&call->reply, call->op, hb_ap_path_value(call, "id"));
}

static apr_status_t announcements(hb_ap_call_t *call)
{
    return hb_announce_list(&call->reply, call->op, hb_ap_limit_of(call), hb_ap_after_of(call));
}

static apr_status_t announce(hb_ap_call_t *call)
{
    return hb_announce(&call->reply, call->op,
                       hb_notice_named(hb_json_string(call->input, "kind")), call->input);
}

static apr_status_t tell_of_leak(hb_ap_call_t *call)
{
    return hb_announce(&call->reply, call->op, HB_N_DATA_LEAK, call->input);
}

static apr_status_t announcement(hb_ap_call_t *call)
{
    return hb_announce_show(&call->reply, call->op, hb_ap_path_value(call, "id"));
}

static apr_status_t call_off(hb_ap_call_t *call)
{
    return hb_announce_cancel(&call->reply, call->op, hb_ap_path_value(call, "id"));
}

static const hb_route_t rows[] = {
    { .method = M_HB_GET, .path = "/notifications", .needs = HB_NEED_USER, .rate = "api",
      .action = list, .sentence = "what the caller was told, newest first",
      .query = HB_F_LIST, .output = "[notice]", .errors = "input.invalid cursor.invalid",
      .tag = "notices" },
    { .method = M_HB_GET, .path = "/notifications/unread", .needs = HB_NEED_USER, .rate = "api",
      .action = unread, .sentence = "how many notices wait", .output = "noticeUnread",
      .tag = "notices" },
    { .method = M_HB_POST, .path = "/notifications/read", .needs = HB_NEED_USER, .rate = "api",
      .action = read_all, .sentence = "all notices were seen", .output = "noticeUnread",
      .tag = "notices" },
    { .method = M_HB_POST, .path = "/notifications/{id}/read", .needs = HB_NEED_USER,
      .rate = "api", .action = read_one, .sentence = "a notice was seen",
      .output = "noticeUnread", .errors = "notice.unknown", .tag = "notices" },
    { .method = M_HB_GET, .path = "/notifications/settings", .needs = HB_NEED_USER,
      .rate = "api", .action = wishes,
      .sentence = "which notices the caller gets by which ways, and their quiet hours",
      .output = "noticeSettings", .tag = "notices" },
    { .method = M_HB_PATCH, .path = "/notifications/settings",
      .needs = HB_NEED_USER | HB_NEED_BODY, .rate = "api", .action = wish,
      .sentence = "switch kinds of notices on and off by way, and set quiet hours, at whose end the rest comes",
      .input = HB_F_NOTICE_WISHES, .output = "noticeSettings", .errors = "input.invalid",
      .tag = "notices" },
    { .method = M_HB_GET, .path = "/notifications/maintenance", .needs = HB_NEED_USER,
      .roles = HB_ROLE_ADMIN, .rate = "api", .action = downtimes,
      .sentence = "planned maintenance, the latest begin first", .query = HB_F_LIST,
      .output = "[downtime]", .errors = "input.invalid cursor.invalid", .tag = "notices" },
    { .method = M_HB_POST, .path = "/notifications/maintenance",
      .needs = HB_NEED_USER | HB_NEED_BODY | HB_GIVES_CREATED, .roles = HB_ROLE_ADMIN,
      .rate = "api", .action = plan,
      .sentence = "plan maintenance: everybody is told 48 hours ahead and when it begins",
      .input = HB_F_DOWNTIME, .output = "downtime", .errors = "input.invalid maintenance.state",
      .tag = "notices" },
    { .method = M_HB_POST, .path = "/notifications/maintenance/{id}/cancel",
      .needs = HB_NEED_USER, .roles = HB_ROLE_ADMIN, .rate = "api", .action = cancel,
      .sentence = "call planned maintenance off; who was told of it is told of this",
      .output = "downtime", .errors = "maintenance.unknown maintenance.state",
      .tag = "notices" },
    { .method = M_HB_GET, .path = "/admin/announcements", .needs = HB_NEED_USER,
      .roles = HB_ROLE_ADMIN, .rate = "api", .action = announcements,
      .sentence = "what many were told at once, newest first, and how far it is",
      .query = HB_F_LIST, .output = "[announcement]", .errors = "input.invalid cursor.invalid",
      .tag = "notices" },
    { .method = M_HB_POST, .path = "/admin/announcements",
      .needs = HB_NEED_USER | HB_NEED_BODY | HB_NEED_IDEM_KEY | HB_GIVES_CREATED,
      .roles = HB_ROLE_ADMIN, .rate = "api", .action = announce,
      .sentence = "tell all users something, or some of them, or one, now or later",
      .input = HB_F_ANNOUNCEMENT, .output = "announcement", .errors = "input.invalid",
      .tag = "notices" },
    { .method = M_HB_GET, .path = "/admin/announcements/{id}", .needs = HB_NEED_USER,
      .roles = HB_ROLE_ADMIN, .rate = "api", .action = announcement,
      .sentence = "an announcement, and how far it is", .output = "announcement",
      .errors = "announcement.unknown", .tag = "notices" },
    { .method = M_HB_POST, .path = "/admin/announcements/{id}/cancel", .needs = HB_NEED_USER,
      .roles = HB_ROLE_ADMIN, .rate = "api", .action = call_off,
      .sentence = "tell nobody more; who was told keeps it", .output = "announcement",
      .errors = "announcement.unknown announcement.state", .tag = "notices" },
    { .method = M_HB_POST, .path = "/security/data-leak-notification",
      .needs = HB_NEED_USER | HB_NEED_BODY | HB_NEED_IDEM_KEY | HB_GIVES_CREATED,
      .roles = HB_ROLE_ADMIN, .rate = "api", .action = tell_of_leak,
      .sentence = "tell users, all unless some are named, that their data may have been seen by "
                  "others: at once, in the list, by mail and on their devices",
      .input = HB_F_DATA_LEAK, .output = "announcement", .errors = "input.invalid",
      .tag = "notices" },
};

const hb_route_set_t hb_routes_notices = { rows, sizeof(rows) / sizeof(rows[0]) };
