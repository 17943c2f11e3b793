/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rankings: each board is a treap (a search tree kept flat by random priorities) ordered by
 * score and counting its subtrees, so a change and "from place 40 on" both cost O(log n).
 * Nodes come from one pool for all boards; a hash finds a member's node. When the pool or a
 * board's share of it is used up, the board's lowest member goes.
 *
 * As in a shard, the owner of the lock may die anywhere: the next one starts afresh.
 */
#include "cache_shm.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_error.h"
#include "hb_memory.h"
#include "hb_siphash.h"

#define BOARDS 256

typedef struct node_t {
    apr_int64_t score;
    apr_uint32_t left, right;   /* node number + 1, 0 for none; so everywhere here */
    apr_uint32_t size;          /* of the subtree */
    apr_uint32_t priority;
    apr_uint32_t chain;         /* next of the hash bucket, or of the free list */
    apr_uint32_t board;
    char member[CACHE_NAME_BYTES];
} node_t;

typedef struct board_t {
    char name[CACHE_NAME_BYTES];    /* "" when not in use */
    apr_uint32_t root;
} board_t;

struct cache_ranks_t {
    cache_lock_t lock;
    apr_uint64_t key[2];        /* of the hash */
    apr_uint32_t n_nodes;
    apr_uint32_t n_buckets;     /* a power of 2 */
    apr_uint32_t n_fresh;       /* nodes that were used at least once */
    apr_uint32_t free;          /* list of those given back */
    apr_uint32_t dice;
    apr_uint32_t unused;
    board_t boards[BOARDS];
    node_t nodes[];             /* the buckets follow */
};

static node_t *node_at(cache_ranks_t *ranks, apr_uint32_t at)
{
    return &ranks->nodes[at - 1];
}

static apr_uint32_t *buckets_of(cache_ranks_t *ranks)
{
    return (apr_uint32_t *)(ranks->nodes + ranks->n_nodes);
}

static void empty(cache_ranks_t *ranks)
{
    memset(buckets_of(ranks), 0, ranks->n_buckets * sizeof(apr_uint32_t));
    memset(ranks->boards, 0, sizeof(ranks->boards));
    ranks->n_fresh = 0;
    ranks->free = 0;
    ranks->lock.built = __atomic_load_n(&ranks->lock.generation, __ATOMIC_ACQUIRE);
}

static apr_status_t take(cache_ranks_t *ranks)
{
    int is_void;
    apr_status_t rv = cache_lock_take(&ranks->lock, &is_void);

    if (rv == APR_SUCCESS && is_void) {
        empty(ranks);
    }
    return rv;
}

/* --- the tree --- */

static apr_uint32_t size_of(cache_ranks_t *ranks, apr_uint32_t at)
{
    return at != 0 ? node_at(ranks, at)->size : 0;
}

static void count(cache_ranks_t *ranks, node_t *node)
{
    node->size = 1 + size_of(ranks, node->left) + size_of(ranks, node->right);
}

/* Does a stand before b? */
static int is_before(const node_t *a, const node_t *b)
{
    return a->score != b->score ? a->score > b->score : strcmp(a->member, b->member) < 0;
}

/* Everything of a stands before everything of b. */
static apr_uint32_t merge(cache_ranks_t *ranks, apr_uint32_t a, apr_uint32_t b)
{
    node_t *node;

    if (a == 0 || b == 0) {
        return a != 0 ? a : b;
    }
    if (node_at(ranks, a)->priority > node_at(ranks, b)->priority) {
        node = node_at(ranks, a);
        node->right = merge(ranks, node->right, b);
        count(ranks, node);
        return a;
    }
    node = node_at(ranks, b);
    node->left = merge(ranks, a, node->left);
    count(ranks, node);
    return b;
}

static void split(cache_ranks_t *ranks, apr_uint32_t at, const node_t *by,
                  apr_uint32_t *before, apr_uint32_t *after)
{
    node_t *node;

    if (at == 0) {
        *before = *after = 0;
        return;
    }
    node = node_at(ranks, at);
    if (is_before(node, by)) {
        split(ranks, node->right, by, &node->right, after);
        *before = at;
    }
    else {
        split(ranks, node->left, by, before, &node->left);
        *after = at;
    }
    count(ranks, node);
}

static void tree_add(cache_ranks_t *ranks, apr_uint32_t *root, apr_uint32_t at)
{
    node_t *node = node_at(ranks, at);
    apr_uint32_t before, after;

    node->left = node->right = 0;
    node->size = 1;
    split(ranks, *root, node, &before, &after);
    *root = merge(ranks, merge(ranks, before, at), after);
}

static void tree_remove(cache_ranks_t *ranks, apr_uint32_t *root, apr_uint32_t at)
{
    node_t *gone = node_at(ranks, at);

    while (*root != at) {
        node_t *node = node_at(ranks, *root);

        node->size--;
        root = is_before(gone, node) ? &node->left : &node->right;
    }
    *root = merge(ranks, gone->left, gone->right);
}

static apr_uint32_t lowest(cache_ranks_t *ranks, apr_uint32_t root)
{
    while (node_at(ranks, root)->right != 0) {
        root = node_at(ranks, root)->right;
    }
    return root;
}

/* --- members and boards --- */

static apr_uint32_t *bucket_of(cache_ranks_t *ranks, apr_uint32_t board, const char *member)
{
    apr_uint64_t key[2] = { ranks->key[0] + board, ranks->key[1] };

    return &buckets_of(ranks)[hb_siphash(key, member, strlen(member))
                              & (ranks->n_buckets - 1)];
}

static apr_uint32_t find(cache_ranks_t *ranks, apr_uint32_t board, const char *member)
{
    apr_uint32_t at = *bucket_of(ranks, board, member);

    while (at != 0 && (node_at(ranks, at)->board != board
                       || strcmp(node_at(ranks, at)->member, member) != 0)) {
        at = node_at(ranks, at)->chain;
    }
    return at;
}

static void release(cache_ranks_t *ranks, apr_uint32_t at)
{
    node_t *node = node_at(ranks, at);
    apr_uint32_t *link = bucket_of(ranks, node->board, node->member);

    while (*link != at) {
        link = &node_at(ranks, *link)->chain;
    }
    *link = node->chain;
    node->chain = ranks->free;
    ranks->free = at;
}

static void drop_member(cache_ranks_t *ranks, apr_uint32_t at)
{
    board_t *board = &ranks->boards[node_at(ranks, at)->board];

    tree_remove(ranks, &board->root, at);
    release(ranks, at);
    if (board->root == 0) {
        board->name[0] = '\0';
    }
}

static void drop_tree(cache_ranks_t *ranks, apr_uint32_t at)
{
    if (at != 0) {
        drop_tree(ranks, node_at(ranks, at)->left);
        drop_tree(ranks, node_at(ranks, at)->right);
        release(ranks, at);
    }
}

static void drop_board(cache_ranks_t *ranks, board_t *board)
{
    drop_tree(ranks, board->root);
    memset(board, 0, sizeof(*board));
}

static board_t *board_of(cache_ranks_t *ranks, const char *name)
{
    int i;

    for (i = 0; i < BOARDS; i++) {
        if (strcmp(ranks->boards[i].name, name) == 0) {
            return &ranks->boards[i];
        }
    }
    return NULL;
}

/*
 * A node for a board. Its lowest member makes room when the board has its share, the largest
 * board's when the pool is used up.
 */
static apr_uint32_t get_node(cache_ranks_t *ranks, const board_t *board)
{
    apr_uint32_t at;
    int i;

    if (size_of(ranks, board->root) >= (apr_uint32_t)cache_ranks_max(ranks) / 2) {
        drop_member(ranks, lowest(ranks, board->root));
    }
    if (ranks->free == 0 && ranks->n_fresh < ranks->n_nodes) {
        return ++ranks->n_fresh;
    }
    if (ranks->free == 0) {
        for (i = 0; i < BOARDS; i++) {
            if (size_of(ranks, ranks->boards[i].root) > size_of(ranks, board->root)) {
                board = &ranks->boards[i];
            }
        }
        drop_member(ranks, lowest(ranks, board->root));
    }
    at = ranks->free;
    ranks->free = node_at(ranks, at)->chain;
    return at;
}

/* A board that has to lose a member for this one: is this one lower than all it has? */
static int is_pointless(cache_ranks_t *ranks, const board_t *board, const node_t *wanted)
{
    return size_of(ranks, board->root) >= (apr_uint32_t)cache_ranks_max(ranks) / 2
        && is_before(node_at(ranks, lowest(ranks, board->root)), wanted);
}

static apr_uint32_t roll(cache_ranks_t *ranks)
{
    ranks->dice ^= ranks->dice << 13;
    ranks->dice ^= ranks->dice >> 17;
    ranks->dice ^= ranks->dice << 5;
    return ranks->dice;
}

/* @param board  has no such member */
static void add_member(cache_ranks_t *ranks, board_t *board, const char *member,
                       apr_int64_t score)
{
    node_t wanted = { score, 0, 0, 1, roll(ranks), 0, (apr_uint32_t)(board - ranks->boards),
                      "" };
    apr_uint32_t *bucket;
    apr_uint32_t at;

    apr_cpystrn(wanted.member, member, sizeof(wanted.member));
    if (is_pointless(ranks, board, &wanted)) {
        return;
    }
    at = get_node(ranks, board);
    bucket = bucket_of(ranks, wanted.board, member);
    wanted.chain = *bucket;
    *node_at(ranks, at) = wanted;
    *bucket = at;
    tree_add(ranks, &board->root, at);
}

/* --- for cache_shm.c --- */

apr_status_t cache_ranks_make(cache_ranks_t *ranks, apr_size_t bytes)
{
    apr_size_t each = sizeof(node_t) + sizeof(apr_uint32_t);

    if (bytes < sizeof(*ranks) + 64 * each) {
        return APR_ENOMEM;
    }
    ranks->n_buckets = 64;
    while (ranks->n_buckets * 2 * each <= bytes - sizeof(*ranks)) {
        ranks->n_buckets *= 2;
    }
    ranks->n_nodes = (apr_uint32_t)((bytes - sizeof(*ranks)
                                     - ranks->n_buckets * sizeof(apr_uint32_t))
                                    / sizeof(node_t));
    ranks->key[0] = hb_memory_random();
    ranks->key[1] = hb_memory_random();
    ranks->dice = (apr_uint32_t)hb_memory_random() | 1;
    return cache_lock_make(&ranks->lock);
}

int cache_ranks_max(const cache_ranks_t *ranks)
{
    return (int)ranks->n_nodes;
}

cache_lock_t *cache_ranks_lock(cache_ranks_t *ranks)
{
    return &ranks->lock;
}

apr_status_t cache_ranks_change(apr_int64_t *score, cache_ranks_t *ranks, const char *name,
                                const char *member, apr_int64_t value, int is_delta)
{
    board_t *board;
    apr_uint32_t at;
    apr_status_t rv = take(ranks);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    board = board_of(ranks, name);
    if (board == NULL) {
        board = board_of(ranks, "");
        if (board == NULL) {
            cache_lock_drop(&ranks->lock);
            return HB_E_CACHE_FULL;
        }
        apr_cpystrn(board->name, name, sizeof(board->name));
    }
    at = find(ranks, (apr_uint32_t)(board - ranks->boards), member);
    if (at == 0) {
        add_member(ranks, board, member, value);
    }
    else {
        node_t *node = node_at(ranks, at);

        if (is_delta && __builtin_add_overflow(node->score, value, &value)) {
            value = value > 0 ? APR_INT64_MAX : APR_INT64_MIN;
        }
        if (node->score != value) {
            tree_remove(ranks, &board->root, at);
            node->score = value;
            tree_add(ranks, &board->root, at);
        }
    }
    *score = value;
    cache_lock_drop(&ranks->lock);
    return APR_SUCCESS;
}

apr_status_t cache_ranks_remove(cache_ranks_t *ranks, const char *name, const char *member)
{
    board_t *board;
    apr_status_t rv = take(ranks);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    board = board_of(ranks, name);
    if (board != NULL && member == NULL) {
        drop_board(ranks, board);
    }
    else if (board != NULL) {
        apr_uint32_t at = find(ranks, (apr_uint32_t)(board - ranks->boards), member);

        if (at != 0) {
            drop_member(ranks, at);
        }
    }
    cache_lock_drop(&ranks->lock);
    return APR_SUCCESS;
}

typedef struct page_t {
    cache_ranks_t *ranks;
    hb_rank_t *entries;
    int n;
    apr_uint32_t skip, left;
    apr_pool_t *pool;
} page_t;

static void collect(page_t *page, apr_uint32_t at)
{
    node_t *node;

    if (at == 0 || page->left == 0) {
        return;
    }
    node = node_at(page->ranks, at);
    if (page->skip >= node->size) {
        page->skip -= node->size;
        return;
    }
    collect(page, node->left);
    if (page->skip > 0) {
        page->skip--;
    }
    else if (page->left > 0) {
        page->entries[page->n].member = apr_pstrdup(page->pool, node->member);
        page->entries[page->n].score = node->score;
        page->n++;
        page->left--;
    }
    collect(page, node->right);
}

apr_status_t cache_ranks_top(const hb_rank_t **entries, int *n, cache_ranks_t *ranks,
                             const char *name, int offset, int limit, apr_pool_t *pool)
{
    page_t page = { ranks, NULL, 0, (apr_uint32_t)offset, (apr_uint32_t)limit, pool };
    const board_t *board;
    apr_status_t rv = take(ranks);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    board = board_of(ranks, name);
    if (board != NULL) {
        apr_uint32_t size = size_of(ranks, board->root);

        if (page.left > size) {
            page.left = size;
        }
        page.entries = apr_palloc(pool, (page.left + 1) * sizeof(*page.entries));
        collect(&page, board->root);
    }
    cache_lock_drop(&ranks->lock);
    *entries = page.entries;
    *n = page.n;
    return APR_SUCCESS;
}

apr_status_t cache_ranks_flush(cache_ranks_t *ranks, const char *prefix)
{
    apr_status_t rv = take(ranks);
    int i;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    for (i = 0; i < BOARDS; i++) {
        if (strncmp(ranks->boards[i].name, prefix, strlen(prefix)) == 0) {
            drop_board(ranks, &ranks->boards[i]);
        }
    }
    cache_lock_drop(&ranks->lock);
    return APR_SUCCESS;
}
