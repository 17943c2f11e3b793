/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_tally.h
 * How many of something each key has at the moment: connections of an address, of a user.
 * Any thread; a call takes a lock for microseconds.
 */
#ifndef RT_TALLY_H
#define RT_TALLY_H

#include <apr.h>

typedef struct rt_tally_t rt_tally_t;

/** @param max  of one key; 0 for no bound */
rt_tally_t *rt_tally_make(int max);
void rt_tally_free(rt_tally_t *tally);

/** One more; 0 when that is too many, and then it is not counted. */
int rt_tally_take(rt_tally_t *tally, const char *key);
/** One less. */
void rt_tally_give(rt_tally_t *tally, const char *key);
/** For a new configuration; what is there stays. */
void rt_tally_set_max(rt_tally_t *tally, int max);

#endif /* RT_TALLY_H */
