/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_social.h
 * Who follows whom, who blocks whom. All calls can be repeated: the second changes nothing.
 * The counters on both user records are written with the row they count. A block works both
 * ways: neither finds, sees, follows or joins the other; only the one who blocks can
 * tell, to the other the user does not exist.
 */
#ifndef HB_SOCIAL_H
#define HB_SOCIAL_H

#include "hb_json.h"
#include "hb_op.h"

/**
 * Follow, unfollow, ask: gives {userId, following, followedBy, followers}.
 * HB_E_USER_UNKNOWN, also for who blocked the actor; HB_E_USER_SELF, HB_E_USER_BLOCKED. Unfollowing
 * works whatever else stands between them.
 */
apr_status_t hb_follow_set(hb_json_t **relation, hb_op_t *op, const char *id);
apr_status_t hb_follow_clear(hb_json_t **relation, hb_op_t *op, const char *id);
apr_status_t hb_follow_show(hb_json_t **relation, hb_op_t *op, const char *id);

/** {items, next} of "users:all", newest follow first; pages may be short or empty. */
apr_status_t hb_followers_list(hb_json_t **list, hb_op_t *op, const char *id, int limit,
                               const char *after);
apr_status_t hb_following_list(hb_json_t **list, hb_op_t *op, const char *id, int limit,
                               const char *after);

/** Block: also ends both follows, and moderating for each other. HB_E_USER_UNKNOWN, HB_E_USER_SELF. */
apr_status_t hb_block_set(hb_op_t *op, const char *id);
apr_status_t hb_block_clear(hb_op_t *op, const char *id);
/**
 * Call fn for everybody between whom and the actor is a block.
 * @param max      at most so many of each direction, at most 1000: the actor's newest, and any of
 *                 others
 * @param is_mine  the actor blocks; else the actor is blocked
 */
apr_status_t hb_block_each(hb_op_t *op, int max,
                           void (*fn)(void *baton, const char *user_id, int is_mine),
                           void *baton);
/** Whom the actor blocks, newest first: {items, next} of "users:all". */
apr_status_t hb_block_list(hb_json_t **list, hb_op_t *op, int limit, const char *after);

/**
 * May the actor deal with the user? APR_SUCCESS; HB_E_USER_BLOCKED when the actor blocks them;
 * HB_E_USER_UNKNOWN when they block the actor. Strangers and the system may. Waits.
 */
apr_status_t hb_block_check(hb_op_t *op, const char *user_id);

/** Which of at most 100 users have a block with the actor, either way? Sets is_blocked[i]. */
apr_status_t hb_block_mark(int *is_blocked, hb_op_t *op, const char *const *ids, int n_ids);

/**
 * Inside a transaction: drop the follow of one user by another and its counts.
 * @param n  1 when there was one
 */
apr_status_t hb_follow_drop(int *n, hb_op_t *op, const char *follower_id,
                            const char *followed_id);

/** Drop all follows and blocks of an account that goes away, in transactions of bounded size. */
apr_status_t hb_social_drop_all(hb_op_t *op, const char *user_id);

#endif /* HB_SOCIAL_H */
