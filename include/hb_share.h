/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_share.h
 * The memory that all processes of a server share (hb_site_memory_t), as one file without a name:
 * httpd makes it and its children inherit the mapping; the programs beside httpd inherit the
 * descriptor, so that they see the same limits, cached values and counters.
 *
 *     0       hb_share_head_t
 *     4096    control | limit | cache | metrics, each on a page of its own
 */
#ifndef HB_SHARE_H
#define HB_SHARE_H

#include <apr_errno.h>

#include "hb_site.h"

/** Names the inherited descriptor in the environment of a program beside httpd. */
#define HB_SHARE_VARIABLE "HALOBUZZ_MEMORY_FD"

typedef struct hb_share_head_t {
    apr_uint32_t magic, layout;
    apr_uint64_t bytes;         /* of the whole file */
    apr_uint64_t limit_bytes, cache_bytes, metrics_bytes;
} hb_share_head_t;

/** The head of a file with these sizes, its own size included. */
hb_share_head_t hb_share_head(apr_uint64_t limit_bytes, apr_uint64_t cache_bytes,
                              apr_uint64_t metrics_bytes);

/** Is it a head of this version of the suite? */
int hb_share_is_sound(const hb_share_head_t *head);

/** Where the parts of a mapped file are. */
void hb_share_parts(hb_site_memory_t *memory, hb_share_head_t *base);

/**
 * Map what httpd left in the descriptor that HB_SHARE_VARIABLE names, for the life of the
 * process.
 * @return APR_NOTFOUND when there is none (the caller goes on with memory of its own);
 *         HB_E_CONFIG when it is something else or of another version
 */
apr_status_t hb_share_inherit(hb_site_memory_t *memory);

/** The switch for maintenance in the control part (hb_site_t.maintenance). */
int *hb_share_maintenance(const hb_site_memory_t *memory);

#endif /* HB_SHARE_H */
