/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Festivals as administrators write them. What a change turns on or off is told with its commit.
 */
#include "hb_festival.h"
#include "hb_festival_private.h"

#include <stdlib.h>
#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "hb_audit.h"
#include "hb_role.h"
#include "hb_schema.h"
#include "hb_store.h"
#include "hb_time.h"

#define WALL_LENGTH 16          /* 2026-10-20T18:00 */

/* --- the window --- */

static int is_digits(const char *text, int n)
{
    while (n > 0 && apr_isdigit(*text)) {
        text++;
        n--;
    }
    return n == 0;
}

/* What a clock on the wall may show, on paper. */
static int read_wall(hb_local_t *local, const char *text, apr_pool_t *pool)
{
    const char *date;

    if (text == NULL || strlen(text) != WALL_LENGTH || text[10] != 'T' || text[13] != ':'
        || !is_digits(text + 11, 2) || !is_digits(text + 14, 2)) {
        return 0;
    }
    date = apr_pstrndup(pool, text, 10);
    *local = (hb_local_t){ .year = atoi(text), .month = atoi(text + 5), .day = atoi(text + 8),
                           .hour = atoi(text + 11), .minute = atoi(text + 14) };
    return hb_date_is_valid(date) && local->hour < 24 && local->minute < 60;
}

static apr_status_t refuse_wall(hb_op_t *op, const char *field)
{
    return hb_fail_field(op, field, "format", "must be a local time as 2026-10-20T18:00");
}

apr_status_t hb_festival_set_window(hb_json_t *doc, hb_op_t *op)
{
    apr_time_t starts, ends;
    const hb_zone_t *zone;
    hb_local_t local;

    if (hb_zone_load(&zone, hb_json_string(doc, "zone"), op->pool) != APR_SUCCESS) {
        return hb_fail_field(op, "zone", "value", "this system does not know the zone");
    }
    if (!read_wall(&local, hb_json_string(doc, "from"), op->pool)) {
        return refuse_wall(op, "from");
    }
    hb_zone_moment(&starts, NULL, zone, &local);
    if (!read_wall(&local, hb_json_string(doc, "to"), op->pool)) {
        return refuse_wall(op, "to");
    }
    {
        apr_time_t first;

        hb_zone_moment(&first, &ends, zone, &local);
    }
    if (ends <= starts) {
        return hb_fail_field(op, "to", "range", "must be later than from");
    }
    hb_json_set_int(doc, "startsAt", hb_time_to_msec(starts));
    hb_json_set_int(doc, "endsAt", hb_time_to_msec(ends));
    return APR_SUCCESS;
}

static apr_status_t check_gifts(hb_op_t *op, const hb_json_t *doc)
{
    const hb_json_t *ids = hb_json_get(doc, "giftIds");
    hb_json_t *gift;
    int i;

    for (i = 0; i < hb_json_length(ids); i++) {
        const char *id = hb_json_string_value(hb_json_item(ids, i));
        apr_status_t rv = hb_store_get(&gift, op, HB_C_GIFT_CATALOG, id);

        if (rv == HB_E_STORE_MISSING) {
            return hb_fail_field(op, "giftIds", "value", "the catalogue has no gift %s", id);
        }
        if (rv != APR_SUCCESS) {
            return rv;
        }
    }
    return APR_SUCCESS;
}

/* --- looking --- */

static apr_status_t load(hb_json_t **doc, hb_op_t *op, const char *id)
{
    apr_status_t rv = hb_id_is_valid(id) ? hb_store_get(doc, op, HB_C_FESTIVALS, id)
                                         : HB_E_STORE_MISSING;

    return rv == HB_E_STORE_MISSING ? hb_fail(op, HB_E_FESTIVAL_UNKNOWN, NULL) : rv;
}

static hb_json_t *view_of(hb_op_t *op, const hb_json_t *doc)
{
    return hb_schema_view(op, HB_C_FESTIVALS, doc, HB_ALL | HB_STAFF);
}

apr_status_t hb_festival_list_all(hb_json_t **list, hb_op_t *op, int limit, const char *after)
{
    const hb_query_t query = { .in = HB_C_FESTIVALS, .sort = { { "startsAt", 1 } },
                               .limit = limit, .after = after };
    apr_status_t rv = hb_role_need(op, HB_ROLE_ADMIN);

    return rv == APR_SUCCESS ? hb_store_list(list, op, &query, HB_ALL | HB_STAFF) : rv;
}

apr_status_t hb_festival_show(hb_json_t **view, hb_op_t *op, const char *id)
{
    hb_json_t *doc;
    apr_status_t rv = hb_role_need(op, HB_ROLE_ADMIN);

    if (rv == APR_SUCCESS) {
        rv = load(&doc, op, id);
    }
    if (rv == APR_SUCCESS) {
        *view = view_of(op, doc);
    }
    return rv;
}

/* --- changing --- */

typedef struct edit_t {
    const char *id;
    const hb_json_t *input;
    hb_json_t *doc;             /* as it is afterwards */
} edit_t;

static apr_status_t note(hb_op_t *op, const char *action, const hb_json_t *doc)
{
    static const char *const texts[] = { "name", "zone", "from", "to", NULL };
    hb_json_t *details = hb_json_object_make(op->pool);
    int i;

    for (i = 0; texts[i] != NULL; i++) {
        hb_json_set_string(details, texts[i], hb_json_string(doc, texts[i]));
    }
    hb_json_set_int(details, "coinPercent", hb_json_int(doc, "coinPercent", 100));
    hb_json_set_bool(details, "isEnabled", hb_json_bool(doc, "isEnabled", 0));
    return hb_audit_add(op, NULL, action, apr_pstrcat(op->pool, "festival:",
                        hb_json_string(doc, "_id"), NULL), 1, details);
}

static int take(void *baton, const char *key, hb_json_t *value)
{
    hb_json_set(baton, key, value);
    return 0;
}

static apr_status_t create_tx(hb_op_t *op, void *baton)
{
    edit_t *edit = baton;
    hb_json_t *doc = hb_json_object_make(op->pool);
    apr_status_t rv;

    hb_json_set_string(doc, "_id", edit->id);
    hb_json_set_string(doc, "zone", op->site->settings->zone);
    hb_json_set(doc, "giftIds", hb_json_array_make(op->pool));
    hb_json_set_bool(doc, "isEnabled", 1);
    hb_json_set_string(doc, "phase", "waiting");
    hb_json_each(edit->input, take, doc);
    hb_json_set_int(doc, "createdAt", hb_time_to_msec(op->now));
    hb_json_set_int(doc, "updatedAt", hb_time_to_msec(op->now));
    rv = hb_festival_set_window(doc, op);
    if (rv == APR_SUCCESS) {
        rv = check_gifts(op, doc);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_festival_turn(doc, op, 1);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_insert(NULL, op, HB_C_FESTIVALS, doc);
    }
    edit->doc = doc;
    return rv == APR_SUCCESS ? note(op, "festival.create", doc) : rv;
}

static apr_status_t edit_tx(hb_op_t *op, void *baton)
{
    edit_t *edit = baton;
    apr_status_t rv = load(&edit->doc, op, edit->id);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    hb_json_each(edit->input, take, edit->doc);
    hb_json_set_int(edit->doc, "updatedAt", hb_time_to_msec(op->now));
    rv = hb_festival_set_window(edit->doc, op);
    if (rv == APR_SUCCESS && hb_json_has(edit->input, "giftIds")) {
        rv = check_gifts(op, edit->doc);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_festival_turn(edit->doc, op, 1);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_replace(NULL, op, HB_C_FESTIVALS, edit->doc);
    }
    return rv == APR_SUCCESS ? note(op, "festival.edit", edit->doc) : rv;
}

static apr_status_t remove_tx(hb_op_t *op, void *baton)
{
    edit_t *edit = baton;
    apr_status_t rv = load(&edit->doc, op, edit->id);

    if (rv == APR_SUCCESS) {
        rv = hb_store_remove(op, HB_C_FESTIVALS, edit->id, NULL, 0);
    }
    if (rv == APR_SUCCESS) {
        hb_festival_turn_off(edit->doc, op);
        rv = note(op, "festival.remove", edit->doc);
    }
    return rv;
}

static apr_status_t change(edit_t *edit, hb_op_t *op, hb_store_tx_fn *fn)
{
    apr_status_t rv = hb_role_need(op, HB_ROLE_ADMIN);

    if (rv == APR_SUCCESS) {
        rv = hb_store_transact(op, fn, edit);
    }
    if (rv == APR_SUCCESS) {
        hb_festival_changed(op);
    }
    return rv;
}

apr_status_t hb_festival_create(hb_json_t **view, hb_op_t *op, const hb_json_t *input)
{
    edit_t edit = { hb_id_make(op), input, NULL };
    apr_status_t rv = change(&edit, op, create_tx);

    if (rv == APR_SUCCESS) {
        *view = view_of(op, edit.doc);
    }
    return rv;
}

apr_status_t hb_festival_edit(hb_json_t **view, hb_op_t *op, const char *id,
                              const hb_json_t *input)
{
    edit_t edit = { id, input, NULL };
    apr_status_t rv = change(&edit, op, edit_tx);

    if (rv == APR_SUCCESS) {
        *view = view_of(op, edit.doc);
    }
    return rv;
}

apr_status_t hb_festival_remove(hb_op_t *op, const char *id)
{
    edit_t edit = { id, NULL, NULL };

    return change(&edit, op, remove_tx);
}
