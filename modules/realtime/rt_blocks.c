/* SPDX-License-Identifier: Apache-2.0 */
/* A sorted array: it is short, seldom changed, and searched for each message of the room. */
#include "rt_blocks.h"

#include <stdlib.h>
#include <string.h>

#include "rt_memory.h"

typedef struct block_t {
    char user_id[25];
    unsigned char whose;
} block_t;

struct rt_blocks_t {
    int n, size;
    block_t *list;
};

/* Its place, or where it would be. */
static int place_of(const rt_blocks_t *blocks, const char *user_id, int *is_there)
{
    int low = 0, high = blocks->n;

    *is_there = 0;
    while (low < high) {
        int middle = (low + high) / 2;
        int order = strcmp(blocks->list[middle].user_id, user_id);

        if (order == 0) {
            *is_there = 1;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void insert(rt_blocks_t *blocks, int at, const char *user_id)
{
    if (blocks->n == blocks->size) {
        blocks->size = blocks->size == 0 ? 4 : blocks->size * 2;
        blocks->list = rt_need_more(blocks->list, sizeof(block_t) * (size_t)blocks->size);
    }
    memmove(&blocks->list[at + 1], &blocks->list[at], sizeof(block_t) * (size_t)(blocks->n - at));
    memset(&blocks->list[at], 0, sizeof(block_t));
    strncpy(blocks->list[at].user_id, user_id, sizeof(blocks->list[at].user_id) - 1);
    blocks->n++;
}

void rt_blocks_set(rt_blocks_t **blocks, const char *user_id, int whose, int is_blocked)
{
    int at, is_there;

    if (*blocks == NULL) {
        if (!is_blocked) {
            return;
        }
        *blocks = rt_need(sizeof(**blocks));
    }
    at = place_of(*blocks, user_id, &is_there);
    if (is_blocked) {
        if (!is_there) {
            insert(*blocks, at, user_id);
        }
        (*blocks)->list[at].whose |= (unsigned char)whose;
    }
    else if (is_there) {
        (*blocks)->list[at].whose &= (unsigned char)~whose;
        if ((*blocks)->list[at].whose == 0) {
            (*blocks)->n--;
            memmove(&(*blocks)->list[at], &(*blocks)->list[at + 1],
                    sizeof(block_t) * (size_t)((*blocks)->n - at));
        }
    }
    if ((*blocks)->n == 0) {
        rt_blocks_free(*blocks);
        *blocks = NULL;
    }
}

int rt_blocks_has(const rt_blocks_t *blocks, const char *user_id)
{
    int is_there;

    place_of(blocks, user_id, &is_there);
    return is_there;
}

void rt_blocks_free(rt_blocks_t *blocks)
{
    if (blocks != NULL) {
        free(blocks->list);
        free(blocks);
    }
}
