/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_memory.h
 * Memory of things that come and go for as long as the program runs, which pools are not made
 * for. A program that is refused a few bytes ends: its supervisor starts it again, and
 * clients come back to what they missed.
 */
#ifndef RT_MEMORY_H
#define RT_MEMORY_H

#include <stdlib.h>
#include <string.h>

/** Zeroed; free() gives it back. */
static inline void *rt_need(size_t bytes)
{
    void *memory = calloc(1, bytes);

    if (memory == NULL) {
        abort();
    }
    return memory;
}

/** realloc() that does not fail; what is new is not zeroed. */
static inline void *rt_need_more(void *memory, size_t bytes)
{
    memory = realloc(memory, bytes);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static inline char *rt_need_text(const char *text)
{
    size_t len = strlen(text) + 1;

    return memcpy(rt_need(len), text, len);
}

#endif /* RT_MEMORY_H */
