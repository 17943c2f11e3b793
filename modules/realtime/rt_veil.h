/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_veil.h
 * What an event that names people says to who is in a block with one of them: nothing, or the
 * same without that one, as the HTTP calls about the same things do. Words are another matter:
 * they have one author, and are shown or not (rt_news_author()).
 *
 * One loop's memory: no locks, nothing here waits.
 */
#ifndef RT_VEIL_H
#define RT_VEIL_H

#include "hb_bus.h"
#include "hb_json.h"
#include "rt_blocks.h"

typedef struct rt_veil_t {
    hb_event_e event;
    const char *payload;
    apr_size_t len;
    apr_pool_t *pool;
    const hb_json_t *json;      /* read when somebody needs it first */
} rt_veil_t;

/** Does the event name people at all? */
int rt_veil_is_needed(hb_event_e event);

/** @param pool  for what is read and made of the payload, which has to stay as long */
void rt_veil_make(rt_veil_t *veil, hb_event_e event, const char *payload, apr_size_t len,
                  apr_pool_t *pool);

/**
 * The payload for somebody with blocks.
 * @return veil->payload itself when it names none of them, NULL when nothing is left to tell,
 *         else another text, in the pool
 */
const char *rt_veil_text(rt_veil_t *veil, const rt_blocks_t *blocks);

#endif /* RT_VEIL_H */
