/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a server answers, from its own /openapi.json, which is made from the route tables. Without
 * a running server `apache2ctl -t -D DUMP_HB_ROUTES` prints the same rows.
 */
#include "ctl.h"

#include <apr_lib.h>
#include <apr_strings.h>

#define METHOD_MAX 8

typedef struct row_t {
    ctl_t *ctl;
    hb_json_t *list;
    const char *path;
} row_t;

static int one_method(void *baton, const char *name, hb_json_t *operation)
{
    row_t *row = baton;
    const char *summary = hb_json_string(operation, "summary");
    char method[METHOD_MAX + 1];
    hb_json_t *route;
    int i;

    if (hb_json_get(operation, "responses") == NULL) {
        return 0;               /* "parameters" and the like */
    }
    for (i = 0; i < METHOD_MAX && name[i] != '\0'; i++) {
        method[i] = apr_toupper(name[i]);
    }
    method[i] = '\0';
    route = hb_json_object_make(row->ctl->pool);
    hb_json_set_string(route, "method", method);
    hb_json_set_string(route, "path", row->path);
    hb_json_set_string(route, "summary", summary);
    hb_json_push(row->list, route);
    if (!row->ctl->wants_json) {
        ctl_say(row->ctl, "%-6s %-44s %s", method, row->path, summary != NULL ? summary : "");
    }
    return 0;
}

static int one_path(void *baton, const char *path, hb_json_t *methods)
{
    row_t *row = baton;

    row->path = path;
    return hb_json_each(methods, one_method, row), 0;
}

int ctl_routes(ctl_t *ctl, int argc, const char *const *argv)
{
    row_t row = { ctl, hb_json_array_make(ctl->pool), NULL };
    const char *args[2], *base;
    ctl_reply_t reply;
    int rc = ctl_options(ctl, argc, argv, NULL, args, 0, 1);

    if (rc != CTL_OK) {
        return rc;
    }
    base = ctl_base_url(ctl, args[0]);
    if (base == NULL) {
        return CTL_FAILED;
    }
    ctl_http(&reply, ctl, "GET", apr_pstrcat(ctl->pool, base, "/openapi.json", NULL), NULL,
             NULL);
    if (reply.status == 0) {
        ctl_fail(ctl, "%s: %s; without a running server: apache2ctl -t -D DUMP_HB_ROUTES", base,
                 reply.why);
        return CTL_UNREACHABLE;
    }
    if (hb_json_get(reply.json, "paths") == NULL) {
        return ctl_fail(ctl, "%s/openapi.json answers %d and names no paths", base,
                        reply.status);
    }
    hb_json_each(hb_json_get(reply.json, "paths"), one_path, &row);
    if (ctl->wants_json) {
        ctl_json(ctl, row.list);
    }
    return CTL_OK;
}
