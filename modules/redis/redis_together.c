/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whoever finds a place among those that ask leads: it takes along everybody who waits, asks for all, and
 * hands its place to the first of those who came meanwhile. There is no thread of its own: a
 * leader always comes back, for redis_commands() waits no longer than HaloBuzzRedisTimeout.
 */
#include "redis_together.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <unistd.h>

/* Round trips at once. With one alone a thread would wait for the rest of another's trip and then for its
 * own; more of them carry fewer questions each. */
#define LEADERS_MOST 4

/* A thread's question, on its stack. While it waits others write in it, and tell it by the semaphore: with a
 * condition it would wake only to wait for the lock. */
typedef struct asking_t {
    redisReply **replies;
    const redis_words_t *commands;
    int n;
    int is_leading;
    apr_status_t status;
    sem_t told;
    struct asking_t *next;
} asking_t;

struct together_t {
    redis_t *redis;
    pthread_mutex_t lock;       /* of what follows */
    pid_t pid;                  /* who waits does not come through a fork */
    int n_leaders;
    asking_t *first, **end;     /* who waits, in their order */
};

static void begin(together_t *together)
{
    together->pid = getpid();
    together->n_leaders = 0;
    together->first = NULL;
    together->end = &together->first;
}

static asking_t *pop(together_t *together)
{
    asking_t *asking = together->first;

    together->first = asking->next;
    if (together->first == NULL) {
        together->end = &together->first;
    }
    asking->next = NULL;
    return asking;
}

/* Its own question and those of who waits. Call with the lock held; gives it back. */
static void lead(together_t *together, asking_t *mine)
{
    redis_words_t commands[REDIS_TOGETHER_MOST];
    redisReply *replies[REDIS_TOGETHER_MOST];
    asking_t *last = mine, *one, *next;
    apr_status_t rv;
    int n = mine->n;

    memcpy(commands, mine->commands, (size_t)n * sizeof(*commands));
    while (together->first != NULL && n + together->first->n <= REDIS_TOGETHER_MOST) {
        last->next = pop(together);
        last = last->next;
        memcpy(commands + n, last->commands, (size_t)last->n * sizeof(*commands));
        n += last->n;
    }
    pthread_mutex_unlock(&together->lock);
    rv = redis_commands(replies, together->redis, n, commands);
    for (n = 0, one = mine; one != NULL; one = next) {
        next = one->next;       /* who is told may be gone */
        memcpy(one->replies, replies + n, (size_t)one->n * sizeof(*replies));
        n += one->n;
        one->status = rv;
        if (one != mine) {
            sem_post(&one->told);
        }
    }
}

/* The place of one that has asked: to the first of those who came meanwhile. */
static void hand_on(together_t *together)
{
    asking_t *next = NULL;

    pthread_mutex_lock(&together->lock);
    if (together->first != NULL) {
        next = pop(together);
    } else {
        together->n_leaders--;
    }
    pthread_mutex_unlock(&together->lock);
    if (next != NULL) {
        next->is_leading = 1;
        sem_post(&next->told);
    }
}

/* In the queue, until somebody has asked for it or it is to lead. Call with the lock held; gives it back. */
static void wait_for_turn(together_t *together, asking_t *mine)
{
    sem_init(&mine->told, 0, 0);
    *together->end = mine;
    together->end = &mine->next;
    pthread_mutex_unlock(&together->lock);
    while (sem_wait(&mine->told) != 0 && errno == EINTR) {
        continue;
    }
    sem_destroy(&mine->told);
}

apr_status_t together_commands(redisReply **replies, together_t *together, int n,
                               const redis_words_t *commands)
{
    asking_t mine = { .replies = replies, .commands = commands, .n = n };

    pthread_mutex_lock(&together->lock);
    if (together->pid != getpid()) {
        begin(together);
    }
    if (together->n_leaders < LEADERS_MOST) {
        together->n_leaders++;
        mine.is_leading = 1;
    } else {
        wait_for_turn(together, &mine);
        if (mine.is_leading) {
            pthread_mutex_lock(&together->lock);
        }
    }
    if (mine.is_leading) {
        lead(together, &mine);
        hand_on(together);
    }
    return mine.status;
}

static apr_status_t close_together(void *data)
{
    together_t *together = data;

    pthread_mutex_destroy(&together->lock);
    return APR_SUCCESS;
}

together_t *together_make(redis_t *redis, apr_pool_t *pool)
{
    together_t *together = apr_pcalloc(pool, sizeof(*together));

    together->redis = redis;
    begin(together);
    pthread_mutex_init(&together->lock, NULL);
    apr_pool_cleanup_register(pool, together, close_together, apr_pool_cleanup_null);
    return together;
}
