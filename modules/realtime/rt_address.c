/* SPDX-License-Identifier: Apache-2.0 */
/* How many sessions each client address has, over all loops. What counts of an address is what the
 * limiter counts by: who has an IPv6 network could take another address for each connection. */
#include "rt_loop.h"

#include <stdlib.h>
#include <string.h>

#include "hb_limit.h"
#include "rt_memory.h"

#define TABLE_FIRST_SIZE 1024

typedef struct rt_address_key_t {
    unsigned char len;
    unsigned char bytes[16];
} rt_address_key_t;

typedef struct address_t {
    struct address_t *next;
    uint32_t hash;
    int n;
    rt_address_key_t key;
} address_t;

struct rt_addresses_t {
    pthread_mutex_t lock;
    address_t **table;
    uint32_t size, n;
};

static apr_status_t addresses_free(void *baton)
{
    struct rt_addresses_t *addresses = baton;
    uint32_t i;

    for (i = 0; i < addresses->size; i++) {
        while (addresses->table[i] != NULL) {
            address_t *address = addresses->table[i];

            addresses->table[i] = address->next;
            free(address);
        }
    }
    free(addresses->table);
    pthread_mutex_destroy(&addresses->lock);
    return APR_SUCCESS;
}

struct rt_addresses_t *rt_addresses_make(apr_pool_t *pool)
{
    struct rt_addresses_t *addresses = apr_pcalloc(pool, sizeof(*addresses));

    pthread_mutex_init(&addresses->lock, NULL);
    addresses->size = TABLE_FIRST_SIZE;
    addresses->table = rt_need(addresses->size * sizeof(*addresses->table));
    apr_pool_cleanup_register(pool, addresses, addresses_free, apr_pool_cleanup_null);
    return addresses;
}

/* Fills the key that counts for an address; gives its hash. */
static uint32_t key_of(rt_address_key_t *key, const char *text)
{
    uint32_t hash = 2166136261u;
    int i;

    memset(key, 0, sizeof(*key));
    key->len = (unsigned char)hb_limit_address_key(key->bytes, text);
    for (i = 0; i < key->len; i++) {
        hash = (hash ^ key->bytes[i]) * 16777619u;
    }
    return hash ^ hash >> 15;
}

static address_t **find(const struct rt_addresses_t *addresses, uint32_t hash, const rt_address_key_t *key)
{
    address_t **at = &addresses->table[hash & (addresses->size - 1)];

    while (*at != NULL && ((*at)->hash != hash || memcmp(&(*at)->key, key, sizeof(*key)) != 0)) {
        at = &(*at)->next;
    }
    return at;
}

static void grow(struct rt_addresses_t *addresses)
{
    uint32_t old_size = addresses->size, i;
    address_t **old = addresses->table;

    addresses->size *= 2;
    addresses->table = rt_need(addresses->size * sizeof(*addresses->table));
    for (i = 0; i < old_size; i++) {
        while (old[i] != NULL) {
            address_t *address = old[i];
            uint32_t place = address->hash & (addresses->size - 1);

            old[i] = address->next;
            address->next = addresses->table[place];
            addresses->table[place] = address;
        }
    }
    free(old);
}

int rt_address_enter(struct rt_addresses_t *addresses, const char *text, int max)
{
    rt_address_key_t key;
    uint32_t hash = key_of(&key, text);
    address_t **at;
    int may_enter = 1;

    pthread_mutex_lock(&addresses->lock);
    at = find(addresses, hash, &key);
    if (*at == NULL) {
        address_t *address;

        if (addresses->n++ >= addresses->size) {
            grow(addresses);
            at = find(addresses, hash, &key);
        }
        address = rt_need(sizeof(*address));
        address->hash = hash;
        address->key = key;
        *at = address;
    }
    if (max > 0 && (*at)->n >= max) {
        may_enter = 0;
    }
    else {
        (*at)->n++;
    }
    pthread_mutex_unlock(&addresses->lock);
    return may_enter;
}

void rt_address_leave(struct rt_addresses_t *addresses, const char *text)
{
    rt_address_key_t key;
    uint32_t hash = key_of(&key, text);
    address_t **at, *address;

    pthread_mutex_lock(&addresses->lock);
    at = find(addresses, hash, &key);
    address = *at;
    if (--address->n == 0) {
        *at = address->next;
        addresses->n--;
        free(address);
    }
    pthread_mutex_unlock(&addresses->lock);
}
