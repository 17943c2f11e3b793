/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Record ids in the layout of an ObjectId: seconds, a random part that each process
 * draws once, and a counter. They sort by second of creation and need no coordination.
 */
#include "hb_store.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include <apr_general.h>
#include <apr_strings.h>

#define PROCESS_BYTES 5
#define COUNTER_BYTES 3

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pid_t drawn_by;          /* the process that drew the two below */
static unsigned char process_part[PROCESS_BYTES];
static apr_uint32_t counter;

static void draw(hb_op_t *op)
{
    unsigned char bytes[PROCESS_BYTES + COUNTER_BYTES];
    apr_int64_t now;

    if (op->site->random(op->site->baton, bytes, sizeof(bytes)) != APR_SUCCESS
        && apr_generate_random_bytes(bytes, sizeof(bytes)) != APR_SUCCESS) {
        /* Ids have to differ, not to be secret: time and process will do. */
        now = apr_time_now() ^ ((apr_int64_t)getpid() << 40);
        memcpy(bytes, &now, sizeof(bytes));
    }
    memcpy(process_part, bytes, PROCESS_BYTES);
    counter = bytes[5] << 16 | bytes[6] << 8 | bytes[7];
    drawn_by = getpid();
}

const char *hb_id_make(hb_op_t *op)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char bytes[HB_ID_LENGTH / 2];
    apr_uint32_t seconds = (apr_uint32_t)apr_time_sec(op->now);
    apr_uint32_t count;
    char *id = apr_palloc(op->pool, HB_ID_LENGTH + 1);
    int i;

    pthread_mutex_lock(&lock);
    if (drawn_by != getpid()) { /* also after a fork, or two children would draw the same */
        draw(op);
    }
    memcpy(bytes + 4, process_part, PROCESS_BYTES);
    count = counter++;
    pthread_mutex_unlock(&lock);

    for (i = 0; i < 4; i++) {
        bytes[i] = (unsigned char)(seconds >> (24 - 8 * i));
    }
    for (i = 0; i < COUNTER_BYTES; i++) {
        bytes[4 + PROCESS_BYTES + i] = (unsigned char)(count >> (16 - 8 * i));
    }
    for (i = 0; i < HB_ID_LENGTH / 2; i++) {
        id[2 * i] = digits[bytes[i] >> 4];
        id[2 * i + 1] = digits[bytes[i] & 15];
    }
    id[HB_ID_LENGTH] = '\0';
    return id;
}

int hb_id_is_valid(const char *id)
{
    return id != NULL && strlen(id) == HB_ID_LENGTH
        && strspn(id, "0123456789abcdef") == HB_ID_LENGTH;
}
