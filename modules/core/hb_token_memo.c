/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of verified tokens. A key belongs into one set of four slots, a set to one of
 * the locks. Locks are held for a copy of a slot, never over an allocation.
 *
 * The table is zeroed memory that the process touches only where tokens come to lie.
 */
#include "hb_token_memo.h"

#include <pthread.h>
#include <string.h>

#include <apr_strings.h>

#define SETS 2048               /* powers of 2 */
#define WAYS 4
#define LOCKS 64
#define ID_MAX_BYTES 32         /* our ids have 24; longer ones are not remembered */

typedef struct slot_t {
    unsigned char key[HB_TOKEN_MEMO_KEY_BYTES];
    char user_id[ID_MAX_BYTES + 1];
    char session_id[ID_MAX_BYTES + 1];
    unsigned char has_totp;
    hb_roles_t roles;
    apr_time_t authenticated_at;
    apr_time_t issued_at;
    apr_time_t expires_at;      /* 0: an empty slot */
} slot_t;

static slot_t table[SETS][WAYS];
static pthread_mutex_t locks[LOCKS];
static pthread_once_t locks_once = PTHREAD_ONCE_INIT;

static void make_locks(void)
{
    int i;

    for (i = 0; i < LOCKS; i++) {
        pthread_mutex_init(&locks[i], NULL);
    }
}

static unsigned int set_of(const unsigned char *key)
{
    return ((unsigned int)key[0] << 8 | key[1]) % SETS;
}

static pthread_mutex_t *lock_set(unsigned int set)
{
    pthread_mutex_t *lock = &locks[set % LOCKS];

    pthread_once(&locks_once, make_locks);
    pthread_mutex_lock(lock);
    return lock;
}

int hb_token_memo_find(hb_claims_t *claims, const unsigned char *key, apr_pool_t *pool)
{
    unsigned int set = set_of(key);
    pthread_mutex_t *lock = lock_set(set);
    slot_t found;
    int i;

    for (i = 0; i < WAYS; i++) {
        if (table[set][i].expires_at != 0
            && memcmp(table[set][i].key, key, HB_TOKEN_MEMO_KEY_BYTES) == 0) {
            found = table[set][i];
            break;
        }
    }
    pthread_mutex_unlock(lock);
    if (i == WAYS) {
        return 0;
    }
    claims->user_id = apr_pstrdup(pool, found.user_id);
    claims->session_id = apr_pstrdup(pool, found.session_id);
    claims->roles = found.roles;
    claims->has_totp = found.has_totp;
    claims->authenticated_at = found.authenticated_at;
    claims->issued_at = found.issued_at;
    claims->expires_at = found.expires_at;
    return 1;
}

void hb_token_memo_keep(const unsigned char *key, const hb_claims_t *claims, apr_time_t now)
{
    unsigned int set = set_of(key);
    pthread_mutex_t *lock;
    slot_t made, *to;
    int i;

    if (strlen(claims->user_id) > ID_MAX_BYTES || strlen(claims->session_id) > ID_MAX_BYTES
        || claims->expires_at <= now) {
        return;
    }
    memset(&made, 0, sizeof(made));
    memcpy(made.key, key, HB_TOKEN_MEMO_KEY_BYTES);
    apr_cpystrn(made.user_id, claims->user_id, sizeof(made.user_id));
    apr_cpystrn(made.session_id, claims->session_id, sizeof(made.session_id));
    made.has_totp = claims->has_totp != 0;
    made.roles = claims->roles;
    made.authenticated_at = claims->authenticated_at;
    made.issued_at = claims->issued_at;
    made.expires_at = claims->expires_at;

    lock = lock_set(set);
    to = &table[set][0];
    for (i = 0; i < WAYS; i++) {
        if (memcmp(table[set][i].key, key, HB_TOKEN_MEMO_KEY_BYTES) == 0) {
            to = &table[set][i];
            break;
        }
        /* Empty slots have 0 there, so they and expired ones go first. */
        if (table[set][i].expires_at < to->expires_at) {
            to = &table[set][i];
        }
    }
    *to = made;
    pthread_mutex_unlock(lock);
}
