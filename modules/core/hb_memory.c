/* SPDX-License-Identifier: Apache-2.0 */
/* Shared memory: alignment, first words, stripes. */
#include "hb_memory.h"

#include <sched.h>
#include <string.h>
#include <time.h>

#include <apr_general.h>

_Static_assert(__atomic_always_lock_free(8, 0),
               "words shared by processes need lock-free 64-bit atomics");

void *hb_memory_align(void *memory, apr_size_t *bytes)
{
    apr_size_t skip = -(apr_uintptr_t)memory & (HB_MEMORY_LINE - 1);

    if (skip > *bytes) {
        skip = *bytes;
    }
    *bytes -= skip;
    return (char *)memory + skip;
}

apr_uint64_t hb_memory_settle(apr_uint64_t *word, apr_uint64_t wanted)
{
    apr_uint64_t found = 0;

    if (__atomic_compare_exchange_n(word, &found, wanted, 0, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE)) {
        return wanted;
    }
    return found;
}

apr_uint64_t hb_memory_random(void)
{
    apr_uint64_t n = 0;
    struct timespec now;

    if (apr_generate_random_bytes((unsigned char *)&n, sizeof(n)) != APR_SUCCESS) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        n = (apr_uint64_t)now.tv_nsec * 0x9e3779b97f4a7c15ULL ^ (apr_uintptr_t)&n;
    }
    return n != 0 ? n : 1;
}

unsigned int hb_memory_stripe(unsigned int n)
{
    int cpu = sched_getcpu();

    return cpu > 0 ? (unsigned int)cpu & (n - 1) : 0;
}
