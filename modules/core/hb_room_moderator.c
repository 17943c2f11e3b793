/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom a host trusts with their room. A row's id is host:user, so appointing twice is once.
 */
#include "hb_room.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_bus.h"
#include "hb_social.h"
#include "hb_store.h"
#include "hb_time.h"
#include "hb_user.h"

#define LIST_MAX 100

static apr_status_t need_host(hb_op_t *op, hb_room_t *room, const char *stream_id)
{
    apr_status_t rv = hb_room_open_id(room, op, stream_id);

    if (rv == APR_SUCCESS && room->badge != HB_BADGE_HOST) {
        return hb_fail(op, HB_E_FORBIDDEN, "moderators are appointed by the host");
    }
    return rv;
}

static void tell(hb_op_t *op, const hb_room_t *room, const char *user_id, const char *action)
{
    hb_json_t *news = hb_json_object_make(op->pool);

    hb_json_set_string(news, "streamId", room->stream_id);
    hb_json_set_string(news, "action", action);
    hb_json_set_null(news, "until");
    hb_json_set_null(news, "reason");
    hb_bus_publish(op, HB_EV_ROOM_MODERATED, user_id, news);
}

apr_status_t hb_room_moderator_set(hb_op_t *op, const char *stream_id, const char *user_id)
{
    hb_json_t *user, *doc;
    hb_room_t room;
    apr_status_t rv = need_host(op, &room, stream_id);

    if (rv == APR_SUCCESS && strcmp(user_id, room.host_id) == 0) {
        return hb_fail(op, HB_E_USER_SELF, "a host moderates anyway");
    }
    if (rv == APR_SUCCESS) {
        rv = hb_user_load(&user, op, user_id);
    }
    if (rv == APR_SUCCESS && !hb_user_is_active(user)) {
        return hb_fail(op, HB_E_USER_UNKNOWN, NULL);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_block_check(op, user_id);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    doc = hb_json_object_make(op->pool);
    hb_json_set_string(doc, "_id", apr_pstrcat(op->pool, room.host_id, ":", user_id, NULL));
    hb_json_set_string(doc, "hostId", room.host_id);
    hb_json_set_string(doc, "userId", user_id);
    hb_json_set_int(doc, "createdAt", hb_time_to_msec(op->now));
    rv = hb_store_insert(NULL, op, HB_C_ROOM_MODERATORS, doc);
    if (rv == HB_E_STORE_DUPLICATE) {
        hb_op_recover(op);      /* is one already */
        return APR_SUCCESS;
    }
    if (rv == APR_SUCCESS) {
        tell(op, &room, user_id, "appoint");
    }
    return rv;
}

apr_status_t hb_room_moderator_clear(hb_op_t *op, const char *stream_id, const char *user_id)
{
    hb_room_t room;
    apr_status_t rv = need_host(op, &room, stream_id);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = hb_store_remove(op, HB_C_ROOM_MODERATORS,
                         apr_pstrcat(op->pool, room.host_id, ":", user_id, NULL), NULL, 0);
    if (rv == HB_E_STORE_MISSING) {
        hb_op_recover(op);
        return APR_SUCCESS;
    }
    if (rv == APR_SUCCESS) {
        tell(op, &room, user_id, "dismiss");
    }
    return rv;
}

/* Nobody is told: the block ends what they do here anyway. */
apr_status_t hb_room_moderator_drop(hb_op_t *op, const char *host_id, const char *user_id)
{
    apr_status_t rv = hb_store_remove(op, HB_C_ROOM_MODERATORS,
                                      apr_pstrcat(op->pool, host_id, ":", user_id, NULL), NULL, 0);

    if (rv == HB_E_STORE_MISSING) {
        hb_op_recover(op);
        return APR_SUCCESS;
    }
    return rv;
}

apr_status_t hb_room_moderators(hb_json_t **list, hb_op_t *op, const char *stream_id,
                                int limit, const char *after)
{
    const char *ids[LIST_MAX] = { NULL };
    hb_json_t *items;
    hb_page_t page;
    hb_room_t room;
    apr_status_t rv = hb_room_open_id(&room, op, stream_id);
    int i;

    if (rv == APR_SUCCESS) {
        const hb_cond_t where[] = { { "hostId", HB_IS, HB_STR(room.host_id) } };
        const hb_query_t query = {
            .in = HB_C_ROOM_MODERATORS, .where = where, .n_where = 1,
            .sort = { { "createdAt", 1 } }, .limit = limit < LIST_MAX ? limit : LIST_MAX,
            .after = after
        };

        rv = hb_store_find(&page, op, &query);
    }
    if (rv == APR_SUCCESS) {
        for (i = 0; i < page.n_items; i++) {
            ids[i] = hb_json_string(page.items[i], "userId");
        }
        rv = hb_user_views(&items, op, ids, page.n_items);
    }
    if (rv == APR_SUCCESS) {
        *list = hb_page_json(op, items, page.next);
    }
    return rv;
}
