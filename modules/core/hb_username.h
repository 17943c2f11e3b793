/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_username.h
 * Which usernames may be taken. The alphabet and the length are the schema's (kind USERNAME);
 * here are the rules a pattern cannot say: reserved names and look-alikes.
 */
#ifndef HB_USERNAME_H
#define HB_USERNAME_H

#include "hb_op.h"

/** In lower case, for look-up and search; one leading '@' is dropped. */
const char *hb_username_key(apr_pool_t *pool, const char *username);

/**
 * What a hurried reader sees: two names with one skeleton cannot both exist. Case, dots and
 * underscores are dropped; 0 is o; 1 and i are l; rn is m; vv is w.
 */
const char *hb_username_skeleton(apr_pool_t *pool, const char *username);

/**
 * May somebody take it? HB_E_INPUT_INVALID for one that reads badly (it starts or ends with
 * a dot or underscore, or has two in a row, or looks like a record id), HB_E_USERNAME_TAKEN
 * for a reserved one or its look-alike. Reads HaloBuzzReservedNames.
 */
apr_status_t hb_username_check(hb_op_t *op, const char *username);

#endif /* HB_USERNAME_H */
