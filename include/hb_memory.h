/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_memory.h
 * Memory that processes share (hb_site_memory_t): how a table is laid into it, and how
 * its first words are agreed on by processes that open it at the same moment. A table
 * uses offsets, never pointers, because each process may see it elsewhere.
 */
#ifndef HB_MEMORY_H
#define HB_MEMORY_H

#include <apr_errno.h>

/** What one cache line holds on the machines we know. */
#define HB_MEMORY_LINE 64

/** The first whole cache line of memory; takes what it skips off *bytes. */
void *hb_memory_align(void *memory, apr_size_t *bytes);

/**
 * Settle a word of zeroed memory: the first process to come writes wanted (not 0). Gives
 * what stands there. Nobody waits, so nobody can die and leave the others waiting.
 */
apr_uint64_t hb_memory_settle(apr_uint64_t *word, apr_uint64_t wanted);

/** Random and not 0; the clock stands in when the kernel gives none. */
apr_uint64_t hb_memory_random(void);

/** Which of n (a power of 2) stripes this thread adds to: threads of one CPU share one. */
unsigned int hb_memory_stripe(unsigned int n);

#endif /* HB_MEMORY_H */
