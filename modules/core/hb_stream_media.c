/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Media tokens for streams (STR-07): who may have which, and each user's number in the
 * channels. How a token is made is hb_agora.c's.
 */
#include "hb_stream.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_agora.h"
#include "hb_crypto.h"
#include "hb_room.h"
#include "hb_store.h"
#include "hb_viewer.h"

#define UID_MAX APR_INT64_C(4294967295)

static const char *const role_names[] = { "host", "viewer" };

const char *hb_stream_role_name(hb_stream_role_e role)
{
    return role_names[role];
}

/*
 * The actor's number in media channels. It is drawn at the first need and kept; the index
 * sees to it that no two users have the same, because the second to enter a channel
 * with it would throw the first one out.
 */
static apr_status_t media_uid(apr_int64_t *uid, hb_op_t *op)
{
    const hb_cond_t guards[] = { { "mediaUid", HB_IS, HB_NIL } };
    const char *user_id = op->actor.user_id;
    hb_json_t *user;
    apr_status_t rv;
    int tries;

    for (tries = 0; tries < 8; tries++) {
        rv = hb_store_get(&user, op, HB_C_USERS, user_id);
        if (rv == HB_E_STORE_MISSING) {
            return hb_fail(op, HB_E_USER_UNKNOWN, "the account is gone");
        }
        if (rv != APR_SUCCESS) {
            return rv;
        }
        *uid = hb_json_int(user, "mediaUid", 0);
        if (*uid > 0) {
            return APR_SUCCESS;
        }
        rv = hb_random_between(uid, op, 1, UID_MAX);
        if (rv == APR_SUCCESS) {
            const hb_edit_t edits[] = { { "mediaUid", HB_SET, HB_INT(*uid) } };

            rv = hb_store_change(NULL, NULL, op, HB_C_USERS, user_id, guards, 1, edits, 1);
        }
        if (rv != HB_E_STORE_DUPLICATE && rv != HB_E_STORE_GUARD) {
            return rv;
        }
    }
    return hb_fail(op, HB_E_UNAVAILABLE, "no media number is free just now");
}

apr_status_t hb_stream_media(hb_json_t **media, hb_op_t *op, const hb_json_t *stream,
                             hb_stream_role_e role)
{
    const char *channel = hb_json_string(stream, "channel"), *token;
    apr_interval_time_t ttl_usec = op->site->settings->agora_ttl;
    apr_int64_t uid;
    apr_status_t rv;

    if (!hb_agora_is_set(op)) {
        return hb_fail(op, HB_E_MEDIA_UNSET, "this platform issues no media tokens");
    }
    rv = media_uid(&uid, op);
    if (rv == APR_SUCCESS) {
        rv = hb_agora_rtc_token(&token, op, channel,
                                apr_psprintf(op->pool, "%" APR_INT64_T_FMT, uid),
                                role == HB_STREAM_HOST, ttl_usec);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    *media = hb_json_object_make(op->pool);
    hb_json_set_string(*media, "provider", "agora");
    hb_json_set_string(*media, "appId", op->site->settings->agora_app_id);
    hb_json_set_string(*media, "channel", channel);
    hb_json_set_int(*media, "uid", uid);
    hb_json_set_string(*media, "role", role_names[role]);
    hb_json_set_string(*media, "token", token);
    hb_json_set_time(*media, "expiresAt", op->now + ttl_usec);
    return APR_SUCCESS;
}

apr_status_t hb_stream_token(hb_json_t **media, hb_op_t *op, const char *id,
                             const char *role)
{
    hb_stream_role_e as;
    hb_json_t *stream;
    apr_status_t rv;

    rv = hb_stream_get(&stream, op, id);
    if (rv == APR_SUCCESS) {
        rv = hb_stream_next(NULL, op, hb_stream_state(stream), HB_STREAM_JOIN);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    as = hb_stream_is_host(op, stream) ? HB_STREAM_HOST : HB_STREAM_VIEWER;
    if (as == HB_STREAM_VIEWER) {
        if (role != NULL && strcmp(role, role_names[HB_STREAM_HOST]) == 0) {
            return hb_fail(op, HB_E_FORBIDDEN, "only its host may publish to a stream");
        }
        rv = hb_viewer_check_blocks(op, hb_json_string(stream, "hostId"),
                                    op->actor.user_id);
        if (rv == APR_SUCCESS) {
            rv = hb_room_check_entry(op, hb_json_string(stream, "hostId"));
        }
    }
    else if (role != NULL && strcmp(role, role_names[HB_STREAM_VIEWER]) == 0) {
        as = HB_STREAM_VIEWER;  /* a host may watch from another device */
    }
    if (rv == APR_SUCCESS) {
        hb_stream_host_seen(op, stream);
        rv = hb_stream_media(media, op, stream, as);
    }
    return rv;
}
