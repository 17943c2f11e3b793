/* SPDX-License-Identifier: Apache-2.0 */
/* The inbox of payments: what providers told us, and acting on it again. */
#include "ctl.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_inbox.h"

#define PAGE 100

/* One line: when, id, what, verdict, what became of it, order. */
static void print_line(const ctl_t *ctl, const hb_json_t *event)
{
    const char *effect = ctl_text(event, "effect", ctl_text(event, "state", "-"));
    const char *why = ctl_text(event, "error", ctl_text(event, "why", ctl_text(event, "note", "")));
    apr_int64_t repeats = hb_json_int(event, "repeats", 0);

    ctl_say(ctl, "%s  %s  %-8s %-34s %-9s %-8s %s%s%s%s", ctl_text(event, "createdAt", "-"),
            ctl_text(event, "id", "-"), ctl_text(event, "provider", "-"),
            ctl_text(event, "type", ctl_text(event, "source", "-")),
            ctl_text(event, "verdict", "-"), effect, ctl_text(event, "orderId", "-"),
            repeats > 0 ? apr_psprintf(ctl->pool, "  +%" APR_INT64_T_FMT, repeats) : "",
            *why != '\0' ? "  " : "", why);
}

static hb_json_t *query_make(ctl_t *ctl, const char *order, int pending, int refused,
                             int limit, const char *after)
{
    hb_json_t *query = hb_json_object_make(ctl->pool);

    hb_json_set_int(query, "limit", limit);
    if (order != NULL) {
        hb_json_set_string(query, "orderId", order);
    }
    if (pending || refused) {
        hb_json_set_string(query, "only", pending ? "pending" : "refused");
    }
    if (after != NULL) {
        hb_json_set_string(query, "after", after);
    }
    return query;
}

int ctl_events_list(ctl_t *ctl, int argc, const char *const *argv)
{
    const char *order = NULL, *after = NULL;
    int pending = 0, refused = 0;
    int limit = 20;
    const ctl_option_t options[] = {
        { "order", &order, NULL },
        { "pending", NULL, &pending },
        { "refused", NULL, &refused },
        { "limit", .limit = &limit },
        { "after", &after, NULL },
        { NULL, NULL, NULL }
    };
    hb_json_t *list;
    hb_op_t *op;
    apr_status_t rv;
    int rc = ctl_options(ctl, argc, argv, options, NULL, 0, 0);

    if (rc == CTL_OK && (order != NULL) + pending + refused > 1) {
        rc = ctl_misuse(ctl, "one of --order, --pending and --refused at a time");
    }
    if (rc == CTL_OK) {
        rc = ctl_site(&op, ctl);
    }
    if (rc != CTL_OK) {
        return rc;
    }
    rv = hb_inbox_list(&list, op, query_make(ctl, order, pending, refused, limit, after));
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    ctl_list(ctl, list, print_line);
    return CTL_OK;
}

static int print_field(void *baton, const char *key, hb_json_t *value)
{
    ctl_t *ctl = baton;
    const char *text = hb_json_string_value(value);

    if (hb_json_type(value) == HB_JSON_NULL) {
        return 0;
    }
    if (hb_json_type(value) == HB_JSON_OBJECT) {
        text = hb_json_text(value, ctl->pool, NULL);
    }
    else if (text == NULL) {
        text = hb_json_text(value, ctl->pool, NULL);
    }
    ctl_say(ctl, "%-12s %s", key, text);
    return 0;
}

int ctl_events_show(ctl_t *ctl, int argc, const char *const *argv)
{
    const char *args[2];
    const char *body;
    hb_json_t *shown;
    hb_op_t *op;
    apr_status_t rv;
    int rc = ctl_begin(&op, ctl, argc, argv, NULL, args, 1, 1);

    if (rc != CTL_OK) {
        return rc;
    }
    rv = hb_inbox_show(&shown, op, args[0]);
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    if (ctl->wants_json) {
        ctl_json(ctl, shown);
        return CTL_OK;
    }
    hb_json_each(hb_json_get(shown, "event"), print_field, ctl);
    body = hb_json_string(shown, "body");
    if (body != NULL) {
        ctl_say(ctl, "\n%s", hb_json_bool(shown, "isBase64", 0)
                ? body : hb_json_quote(ctl->pool, body, strlen(body)));
    }
    return CTL_OK;
}

/* --- replay --- */

typedef struct replayed_t {
    int done, failed;
    hb_json_t *items;
} replayed_t;

static void replay_one(replayed_t *all, ctl_t *ctl, hb_op_t *op, const char *id)
{
    hb_inbox_result_t result;
    hb_json_t *json;
    apr_status_t rv;

    hb_op_recover(op);
    rv = hb_inbox_replay(&result, op, id);
    if (rv == APR_SUCCESS) {
        all->done++;
        json = hb_inbox_result_json(op, &result);
    }
    else {
        all->failed++;
        json = hb_json_object_make(op->pool);
        hb_json_set_string(json, "id", id);
        hb_json_set_string(json, "error", hb_error_row(rv)->code);
        hb_json_set_string(json, "detail", op->problem.detail);
    }
    hb_json_push(all->items, json);
    if (ctl->wants_json) {
        return;
    }
    if (rv == APR_SUCCESS) {
        ctl_mark(ctl, result.effect == HB_ORDER_FLAGGED ? CTL_NOTE : CTL_GOOD, "%s %s%s%s%s%s",
                 id, hb_inbox_effect_name(result.effect), result.order_id != NULL ? " order " : "",
                 result.order_id != NULL ? result.order_id : "", result.note != NULL ? ": " : "",
                 result.note != NULL ? result.note : "");
    }
    else {
        ctl_mark(ctl, CTL_BAD, "%s %s%s%s", id, hb_error_row(rv)->code,
                 op->problem.detail != NULL ? ": " : "",
                 op->problem.detail != NULL ? op->problem.detail : "");
    }
}

/* Every event that is pending, or was refused; those that join them meanwhile have the next run. */
static apr_status_t replay_all(replayed_t *all, ctl_t *ctl, hb_op_t *op, int refused)
{
    const char *after = NULL;
    apr_status_t rv;

    do {
        hb_json_t *list;
        const hb_json_t *items;
        int i;

        rv = hb_inbox_list(&list, op, query_make(ctl, NULL, !refused, refused, PAGE, after));
        if (rv != APR_SUCCESS) {
            return rv;
        }
        items = hb_json_get(list, "items");
        for (i = 0; i < hb_json_length(items); i++) {
            replay_one(all, ctl, op, hb_json_string(hb_json_item(items, i), "id"));
        }
        hb_op_recover(op);
        after = hb_json_string(list, "next");
    } while (after != NULL);
    return APR_SUCCESS;
}

int ctl_events_replay(ctl_t *ctl, int argc, const char *const *argv)
{
    int pending = 0, refused = 0;
    const char *args[2] = { NULL, NULL };
    const ctl_option_t options[] = {
        { "pending", NULL, &pending },
        { "refused", NULL, &refused },
        { NULL, NULL, NULL }
    };
    replayed_t all = { 0, 0, hb_json_array_make(ctl->pool) };
    hb_op_t *op;
    apr_status_t rv = APR_SUCCESS;
    int rc = ctl_options(ctl, argc, argv, options, args, 0, 1);

    if (rc == CTL_OK && (args[0] != NULL) + pending + refused != 1) {
        rc = ctl_misuse(ctl, "name one event, or --pending, or --refused");
    }
    if (rc == CTL_OK) {
        rc = ctl_site(&op, ctl);
    }
    if (rc != CTL_OK) {
        return rc;
    }
    if (args[0] != NULL) {
        replay_one(&all, ctl, op, args[0]);
    }
    else {
        rv = replay_all(&all, ctl, op, refused);
    }
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    if (ctl->wants_json) {
        hb_json_t *json = hb_json_object_make(ctl->pool);

        hb_json_set_int(json, "done", all.done);
        hb_json_set_int(json, "failed", all.failed);
        hb_json_set(json, "items", all.items);
        ctl_json(ctl, json);
    }
    else if (args[0] == NULL) {
        ctl_say(ctl, "%d done, %d failed", all.done, all.failed);
    }
    return all.failed == 0 ? CTL_OK : CTL_FAILED;
}
