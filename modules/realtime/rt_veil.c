/* SPDX-License-Identifier: Apache-2.0 */
#include "rt_veil.h"

int rt_veil_is_needed(hb_event_e event)
{
    return event == HB_EV_GIFT_SENT || event == HB_EV_THRONE_CLAIMED
        || event == HB_EV_THRONE_EXPIRED || event == HB_EV_PRESENCE_UPDATE;
}

void rt_veil_make(rt_veil_t *veil, hb_event_e event, const char *payload, apr_size_t len,
                  apr_pool_t *pool)
{
    veil->event = event;
    veil->payload = payload;
    veil->len = len;
    veil->pool = pool;
    veil->json = NULL;
}

static int is_hidden(const hb_json_t *user, const rt_blocks_t *blocks)
{
    const char *id = hb_json_string(user, "id");

    return id != NULL && rt_blocks_has(blocks, id);
}

static int names_hidden(const hb_json_t *users, const rt_blocks_t *blocks)
{
    int i;

    for (i = 0; i < hb_json_length(users); i++) {
        if (is_hidden(hb_json_item(users, i), blocks)) {
            return 1;
        }
    }
    return 0;
}

/* The throne is taken all the same; what it costs now is for everybody. */
static hb_json_t *throne(const rt_veil_t *veil, const rt_blocks_t *blocks)
{
    int has_claimed = is_hidden(hb_json_at(veil->json, "throne.user"), blocks);
    int had_it = is_hidden(hb_json_get(veil->json, "previous"), blocks);
    hb_json_t *copy;

    if (!has_claimed && !had_it) {
        return NULL;
    }
    copy = hb_json_copy(veil->json, veil->pool);
    if (has_claimed) {
        hb_json_set_null(hb_json_get(copy, "throne"), "user");
    }
    if (had_it) {
        hb_json_set_null(copy, "previous");
    }
    return copy;
}

static void leave_out(hb_json_t *copy, const char *list, const char *more,
                      const rt_veil_t *veil, const rt_blocks_t *blocks)
{
    const hb_json_t *users = hb_json_get(veil->json, list);
    hb_json_t *left = hb_json_array_make(veil->pool);
    int i;

    for (i = 0; i < hb_json_length(users); i++) {
        if (!is_hidden(hb_json_item(users, i), blocks)) {
            hb_json_push(left, hb_json_copy(hb_json_item(users, i), veil->pool));
        }
    }
    hb_json_set_int(copy, more, hb_json_int(copy, more, 0) + hb_json_length(users)
                    - hb_json_length(left));
    hb_json_set(copy, list, left);
}

/* Who may not be named is one of those that are only counted. */
static hb_json_t *presence(const rt_veil_t *veil, const rt_blocks_t *blocks)
{
    hb_json_t *copy;

    if (!names_hidden(hb_json_get(veil->json, "joined"), blocks)
        && !names_hidden(hb_json_get(veil->json, "left"), blocks)) {
        return NULL;
    }
    copy = hb_json_copy(veil->json, veil->pool);
    leave_out(copy, "joined", "moreJoined", veil, blocks);
    leave_out(copy, "left", "moreLeft", veil, blocks);
    return copy;
}

const char *rt_veil_text(rt_veil_t *veil, const rt_blocks_t *blocks)
{
    hb_json_t *changed = NULL;

    if (veil->json == NULL) {
        veil->json = hb_json_parse_own(veil->payload, veil->len, veil->pool);
    }
    switch (veil->event) {
    case HB_EV_GIFT_SENT:
        if (is_hidden(hb_json_get(veil->json, "sender"), blocks)) {
            return NULL;
        }
        break;
    case HB_EV_THRONE_CLAIMED:
    case HB_EV_THRONE_EXPIRED:
        changed = throne(veil, blocks);
        break;
    case HB_EV_PRESENCE_UPDATE:
        changed = presence(veil, blocks);
        break;
    default:
        break;
    }
    return changed != NULL ? hb_json_text(changed, veil->pool, NULL) : veil->payload;
}
