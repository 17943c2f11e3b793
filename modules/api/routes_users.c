/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls of users, follows and blocks. The rules are hb_user.h's and hb_social.h's.
 */
#include "mod_halobuzz_api.h"

#include "hb_social.h"
#include "hb_user.h"

static const char *user_id(const hb_ap_call_t *call)
{
    return hb_ap_path_value(call, "id");
}

/* --- oneself --- */

static apr_status_t me(hb_ap_call_t *call)
{
    return hb_user_me_text(&call->reply_text, &call->reply_bytes, call->op);
}

static void me_ahead(hb_op_t *op, const hb_claims_t *claims)
{
    hb_user_me_ahead(op, claims->user_id);
}

static apr_status_t update(hb_ap_call_t *call)
{
    return hb_user_update(&call->reply, call->op, call->input);
}

static apr_status_t delete(hb_ap_call_t *call)
{
    return hb_user_delete(call->op, hb_json_string(call->input, "password"));
}

static apr_status_t blocks(hb_ap_call_t *call)
{
    return hb_block_list(&call->reply, call->op, hb_ap_limit_of(call), hb_ap_after_of(call));
}

/* --- others --- */

static apr_status_t search(hb_ap_call_t *call)
{
    return hb_user_search(&call->reply, call->op, hb_json_string(call->query, "q"),
                          hb_ap_limit_of(call), hb_ap_after_of(call));
}

static apr_status_t show(hb_ap_call_t *call)
{
    return hb_user_show(&call->reply, call->op, user_id(call));
}

static apr_status_t followers(hb_ap_call_t *call)
{
    return hb_followers_list(&call->reply, call->op, user_id(call), hb_ap_limit_of(call),
                             hb_ap_after_of(call));
}

static apr_status_t following(hb_ap_call_t *call)
{
    return hb_following_list(&call->reply, call->op, user_id(call), hb_ap_limit_of(call),
                             hb_ap_after_of(call));
}

static apr_status_t relation(hb_ap_call_t *call)
{
    return hb_follow_show(&call->reply, call->op, user_id(call));
}

static apr_status_t follow(hb_ap_call_t *call)
{
    return hb_follow_set(&call->reply, call->op, user_id(call));
}

static apr_status_t unfollow(hb_ap_call_t *call)
{
    return hb_follow_clear(&call->reply, call->op, user_id(call));
}

static apr_status_t block(hb_ap_call_t *call)
{
    return hb_block_set(call->op, user_id(call));
}

static apr_status_t unblock(hb_ap_call_t *call)
{
    return hb_block_clear(call->op, user_id(call));
}

static const hb_route_t rows[] = {
    { .method = M_HB_GET, .path = "/users/me", .rate = "api", .action = me,
      .needs = HB_NEED_USER, .ahead = me_ahead,
      .sentence = "one's own account", .output = "users:self", .tag = "users" },
    { .method = M_HB_PATCH, .path = "/users/me", .rate = "api", .action = update,
      .needs = HB_NEED_USER | HB_NEED_BODY,
      .sentence = "change one's own profile", .input = HB_F_PROFILE,
      .output = "users:self", .tag = "users", .errors = "username.taken phone.taken" },
    { .method = M_HB_DELETE, .path = "/users/me", .rate = "auth", .action = delete,
      .needs = HB_NEED_USER | HB_NEED_BODY | HB_GIVES_NOTHING,
      .sentence = "delete one's own account for good", .input = HB_F_USER_DELETE,
      .tag = "users", .errors = "auth.credentials auth.locked auth.busy" },
    { .method = M_HB_GET, .path = "/users/me/blocks", .rate = "api", .action = blocks,
      .needs = HB_NEED_USER,
      .sentence = "whom one blocks, newest first", .query = HB_F_LIST,
      .output = "[users:all]", .tag = "users", .errors = "cursor.invalid" },
    { .method = M_HB_GET, .path = "/users/search", .rate = "api", .action = search,
      .needs = HB_NEED_USER,
      .sentence = "users by the start of their username", .query = HB_F_USER_SEARCH,
      .output = "[users:all]", .tag = "users", .errors = "cursor.invalid" },
    { .method = M_HB_GET, .path = "/users/{id}", .rate = "api", .action = show,
      .needs = HB_NEED_USER,
      .sentence = "a user, by id or @username", .output = "users:all", .tag = "users",
      .errors = "user.unknown user.blocked" },
    { .method = M_HB_GET, .path = "/users/{id}/followers", .rate = "api",
      .action = followers, .needs = HB_NEED_USER,
      .sentence = "who follows a user, newest first", .query = HB_F_LIST,
      .output = "[users:all]", .tag = "users",
      .errors = "user.unknown user.blocked cursor.invalid" },
    { .method = M_HB_GET, .path = "/users/{id}/following", .rate = "api",
      .action = following, .needs = HB_NEED_USER,
      .sentence = "whom a user follows, newest first", .query = HB_F_LIST,
      .output = "[users:all]", .tag = "users",
      .errors = "user.unknown user.blocked cursor.invalid" },
    { .method = M_HB_GET, .path = "/users/{id}/follow", .rate = "api", .action = relation,
      .needs = HB_NEED_USER,
      .sentence = "how oneself and a user stand to each other", .output = "relation",
      .tag = "users", .errors = "user.unknown user.self user.blocked" },
    { .method = M_HB_PUT, .path = "/users/{id}/follow", .rate = "api", .action = follow,
      .needs = HB_NEED_USER,
      .sentence = "follow a user; repeating it changes nothing", .output = "relation",
      .tag = "users", .errors = "user.unknown user.self user.blocked" },
    { .method = M_HB_DELETE, .path = "/users/{id}/follow", .rate = "api",
      .action = unfollow, .needs = HB_NEED_USER,
      .sentence = "follow a user no more; repeating it changes nothing",
      .output = "relation", .tag = "users", .errors = "user.unknown user.self" },
    { .method = M_HB_PUT, .path = "/users/{id}/block", .rate = "api", .action = block,
      .needs = HB_NEED_USER | HB_GIVES_NOTHING,
      .sentence = "block a user: neither sees or follows the other", .tag = "users",
      .errors = "user.unknown user.self" },
    { .method = M_HB_DELETE, .path = "/users/{id}/block", .rate = "api",
      .action = unblock, .needs = HB_NEED_USER | HB_GIVES_NOTHING,
      .sentence = "block a user no more", .tag = "users", .errors = "user.unknown" },
};

const hb_route_set_t hb_routes_users = { rows, (int)(sizeof(rows) / sizeof(rows[0])) };
