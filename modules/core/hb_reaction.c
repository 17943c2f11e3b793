/* SPDX-License-Identifier: Apache-2.0 */
/* Who may react, and what a room is told of it. The sidecar adds up what its clients send. */
#include "hb_reaction.h"

#include <string.h>

#include "hb_bus.h"
#include "hb_limit.h"
#include "hb_metrics.h"
#include "hb_room.h"
#include "hb_stream.h"
#include "hb_viewer.h"

/* As HB_F_REACTION_SEND and HB_R_REACTION_KINDS have them. */
static const char *const names[HB_REACTION_KINDS + 1] = {
    "heart", "like", "laugh", "wow", "clap", "fire", NULL
};

const char *hb_reaction_name(int kind)
{
    return names[kind];
}

int hb_reaction_kind(const char *name)
{
    int i;

    for (i = 0; name != NULL && i < HB_REACTION_KINDS; i++) {
        if (strcmp(names[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

void hb_reactions_add(hb_reactions_t *reactions, const hb_json_t *counts)
{
    int i;

    for (i = 0; i < HB_REACTION_KINDS; i++) {
        apr_int64_t n = hb_json_int(counts, names[i], 0);
        apr_uint32_t room = (apr_uint32_t)-1 - reactions->n[i];

        if (n > 0) {
            reactions->n[i] += n < (apr_int64_t)room ? (apr_uint32_t)n : room;
        }
    }
}

hb_json_t *hb_reactions_json(const hb_reactions_t *reactions, const char *stream_id,
                             apr_pool_t *pool)
{
    hb_json_t *json = hb_json_object_make(pool), *counts = hb_json_object_make(pool);
    int i;

    for (i = 0; i < HB_REACTION_KINDS; i++) {
        if (reactions->n[i] > 0) {
            hb_json_set_int(counts, names[i], reactions->n[i]);
        }
    }
    hb_json_set_string(json, "streamId", stream_id);
    hb_json_set(json, "counts", counts);
    return json;
}

static apr_status_t check_rate(hb_op_t *op)
{
    const char *user_id = op->actor.user_id;
    const hb_limit_rule_t rule = {
        "reaction", (apr_uint32_t)op->site->settings->reactions_per_min, 60 * APR_USEC_PER_SEC
    };
    hb_limit_verdict_t verdict;

    hb_limit_take(&verdict, op->site->limit, &rule, user_id, strlen(user_id), hb_limit_now());
    return verdict.is_allowed ? APR_SUCCESS
        : hb_fail_later(op, HB_E_LIMITED, verdict.reset_sec,
                        "you may react again in %d seconds", verdict.reset_sec);
}

apr_status_t hb_reaction_check(int *is_heard, hb_op_t *op, const char *stream_id)
{
    hb_room_t room;
    apr_status_t rv;

    if (op->actor.user_id == NULL) {
        return hb_fail(op, HB_E_AUTH_REQUIRED, "sign in to react");
    }
    rv = hb_room_open_id(&room, op, stream_id);
    if (rv == APR_SUCCESS) {
        rv = hb_stream_next(NULL, op, hb_stream_state(room.stream), HB_STREAM_CHAT);
    }
    if (rv == APR_SUCCESS && room.badge != HB_BADGE_HOST && room.badge != HB_BADGE_STAFF) {
        rv = hb_viewer_check_blocks(op, room.host_id, op->actor.user_id);
        if (rv == APR_SUCCESS) {
            rv = hb_room_check_restraint(op, &room);
        }
    }
    if (rv == APR_SUCCESS) {
        rv = check_rate(op);
    }
    if (rv == APR_SUCCESS) {
        *is_heard = !room.is_shadow_muted || room.badge != HB_BADGE_NONE;
    }
    return rv;
}

void hb_reaction_tell(hb_op_t *op, const char *stream_id, const hb_reactions_t *reactions)
{
    apr_int64_t n = 0;
    int i;

    for (i = 0; i < HB_REACTION_KINDS; i++) {
        n += reactions->n[i];
    }
    if (n > 0) {
        hb_metric_add(op->site->metrics, HB_M_REACTIONS, n);
        hb_bus_publish(op, HB_EV_REACTION_NEW, stream_id,
                       hb_reactions_json(reactions, stream_id, op->pool));
    }
}

apr_status_t hb_reaction_send(hb_op_t *op, const char *stream_id, const hb_json_t *input)
{
    hb_reactions_t one = { { 0 } };
    int is_heard = 0;
    apr_status_t rv = hb_reaction_check(&is_heard, op, stream_id);

    if (rv == APR_SUCCESS && is_heard) {
        one.n[hb_reaction_kind(hb_json_string(input, "kind"))] = 1;
        hb_reaction_tell(op, stream_id, &one);
    }
    return rv;
}
