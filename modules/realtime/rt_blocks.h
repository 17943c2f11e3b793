/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_blocks.h
 * Whose words a client is not shown: whom its user blocks, and who blocks its user. Most clients
 * have no such list at all, so a room asks only those who have.
 *
 * One loop's memory: no locks, nothing here waits.
 */
#ifndef RT_BLOCKS_H
#define RT_BLOCKS_H

#include <apr_pools.h>

typedef struct rt_blocks_t rt_blocks_t;

/** Which of the two blocks the other; both may. */
#define RT_BLOCK_MINE   0x1
#define RT_BLOCK_THEIRS 0x2

/** Note a block, or that there is none any more; *blocks is NULL while there are none. */
void rt_blocks_set(rt_blocks_t **blocks, const char *user_id, int whose, int is_blocked);
/** Is there one between the two, whoever's? blocks is not NULL. */
int rt_blocks_has(const rt_blocks_t *blocks, const char *user_id);
void rt_blocks_free(rt_blocks_t *blocks);

#endif /* RT_BLOCKS_H */
