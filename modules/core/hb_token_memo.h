/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_token_memo.h
 * Tokens that this process has verified, so that the next request with the same one pays
 * neither for the MAC nor for the JSON. A fixed table, shared by all threads; forgetting costs
 * time only. Knows nothing of sessions: a token of an ended one may stand here.
 */
#ifndef HB_TOKEN_MEMO_H
#define HB_TOKEN_MEMO_H

#include "hb_token.h"

/** SHA-256 of the token and of everything else the verdict depends on but the time. */
#define HB_TOKEN_MEMO_KEY_BYTES 32

/** Strings go into pool. @return not 0 when it is known; the caller looks at expires_at */
int hb_token_memo_find(hb_claims_t *claims, const unsigned char *key, apr_pool_t *pool);

/** Remember, in the place of one that has expired or else of the one that expires first. */
void hb_token_memo_keep(const unsigned char *key, const hb_claims_t *claims, apr_time_t now);

#endif /* HB_TOKEN_MEMO_H */
