/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_presence.h
 * Coming and going in a room, told at most once a beat: a star's room would otherwise say
 * nothing else. Who comes and goes within a beat is not mentioned; beyond RT_PRESENCE_NAMES the
 * others are a number. How many watch is always the newest count.
 *
 * One loop's memory: no locks, nothing here waits.
 */
#ifndef RT_PRESENCE_H
#define RT_PRESENCE_H

#include <apr_pools.h>

/** Names told in one go, of those who came and of those who went. */
#define RT_PRESENCE_NAMES 50

typedef struct rt_presence_t rt_presence_t;

rt_presence_t *rt_presence_make(void);
void rt_presence_free(rt_presence_t *presence);

/**
 * Somebody came or went.
 * @param user     what others may see of him, as JSON text
 * @param viewers  how many watch now
 */
void rt_presence_note(rt_presence_t *presence, const char *user_id, const char *user,
                      int is_in, apr_int64_t viewers);

/** Is there anything to tell? */
int rt_presence_is_due(const rt_presence_t *presence);

/** What to tell as JSON text in pool; nothing is due afterwards. */
const char *rt_presence_tell(rt_presence_t *presence, const char *stream_id,
                             apr_pool_t *pool);

#endif /* RT_PRESENCE_H */
