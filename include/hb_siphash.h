/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_siphash.h
 * SipHash-2-4 (Aumasson, Bernstein 2012): a short keyed hash for tables whose keys a
 * stranger chooses (addresses, tokens, cache keys). Without the key nobody can make two
 * keys meet. It is no signature; hb_crypto.h has those.
 */
#ifndef HB_SIPHASH_H
#define HB_SIPHASH_H

#include <apr.h>

/** Does not wait. data may be NULL when len is 0. */
apr_uint64_t hb_siphash(const apr_uint64_t key[2], const void *data, apr_size_t len);

#endif /* HB_SIPHASH_H */
