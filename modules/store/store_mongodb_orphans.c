/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transactions whose process died, or lost its connection, before it could end them. The
 * server keeps such a one open, and closed to all others what it wrote, for
 * transactionLifetimeLimitSeconds, a minute: every entry of the ledger writes its head, so
 * that nobody could pay for so long.
 *
 * So each process notes the sessions of its transactions in a file of the state directory, and
 * holds a lock on that file for life. A file whose lock is free is of a dead one: whoever comes
 * by has the server end what it notes. What a process itself could not end it ends when the
 * server answers again. A whole host that dies is left to the server.
 */
#include "store_mongodb.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_strings.h>

#define DIR_MODE 0750
#define N_NOTED 256             /* transactions at once; further ones are not noted */
#define LOOK_EVERY_USEC 1000000
#define HURRY_USEC 100000       /* while somebody waits for what others hold */

typedef struct noted_t {
    uint8_t session[16];        /* all zero: free */
} noted_t;

typedef enum mongo_noted_e { IS_FREE, IS_OPEN, IS_LEFT } mongo_noted_e;

struct mongo_orphans_t {
    pthread_mutex_t lock;       /* of all below */
    noted_t *noted;             /* N_NOTED, those of the file when there is one */
    int is_mapped;
    mongo_noted_e state[N_NOTED];
    int n_left;
    apr_int64_t looked_at;
    const char *dir, *path;
    int fd;                     /* -1: no file */
};

/* A file with room for all, locked before it has its name. @return an errno. */
static int make_file(mongo_orphans_t *orphans, char *hidden)
{
    static const noted_t zeros[N_NOTED];
    int problem;
    void *map;

    if (mkdir(orphans->dir, DIR_MODE) != 0 && errno != EEXIST) {
        return errno;
    }
    orphans->fd = mkostemp(hidden, O_CLOEXEC);
    if (orphans->fd < 0) {
        return errno;
    }
    errno = ENOSPC;             /* of a short write */
    /* Written, not only made longer: a hole on a full disk would kill who touches it. */
    problem = flock(orphans->fd, LOCK_EX | LOCK_NB) == 0
        && write(orphans->fd, zeros, sizeof(zeros)) == (ssize_t)sizeof(zeros)
        && link(hidden, orphans->path) == 0 ? 0 : errno;
    unlink(hidden);
    if (problem != 0) {
        return problem;
    }
    map = mmap(NULL, sizeof(zeros), PROT_READ | PROT_WRITE, MAP_SHARED, orphans->fd, 0);
    if (map == MAP_FAILED) {
        return errno;
    }
    orphans->noted = map;
    orphans->is_mapped = 1;
    return 0;
}

void mongo_orphans_open(mongo_t *self, apr_pool_t *pool)
{
    mongo_orphans_t *orphans = apr_pcalloc(pool, sizeof(*orphans));
    char *name, *hidden;
    int problem;

    pthread_mutex_init(&orphans->lock, NULL);
    name = apr_psprintf(pool, "%ld-%" APR_INT64_T_FMT, (long)getpid(), hb_clock());
    orphans->dir = apr_pstrcat(pool, self->site->settings->state_dir, "/transactions", NULL);
    orphans->path = apr_pstrcat(pool, orphans->dir, "/", name, NULL);
    hidden = apr_pstrcat(pool, orphans->dir, "/.", name, ".XXXXXX", NULL);
    orphans->fd = -1;
    problem = make_file(orphans, hidden);
    if (problem != 0) {
        hb_log_to(&self->site->log, HB_LOG_INFO, problem, HBLOGNO(01159) "%s cannot be used: what a "
                  "process leaves half done when it is killed stays closed until the server's own "
                  "limit", orphans->dir);
    }
    if (orphans->noted == NULL) {
        orphans->noted = apr_pcalloc(pool, N_NOTED * sizeof(noted_t));
    }
    self->orphans = orphans;
}

void mongo_orphans_close(mongo_t *self)
{
    mongo_orphans_t *orphans = self->orphans;
    int i = 0;

    if (orphans == NULL) {
        return;
    }
    while (i < N_NOTED && orphans->state[i] == IS_FREE) {
        i++;
    }
    if (orphans->is_mapped) {
        munmap(orphans->noted, N_NOTED * sizeof(noted_t));
    }
    if (orphans->fd >= 0) {
        if (i == N_NOTED) {     /* else the next one ends them */
            unlink(orphans->path);
        }
        close(orphans->fd);
    }
    pthread_mutex_destroy(&orphans->lock);
}

int mongo_orphans_note(mongo_t *self, const mongoc_client_session_t *session)
{
    mongo_orphans_t *orphans = self->orphans;
    const bson_t *lsid = mongoc_client_session_get_lsid(session);
    const uint8_t *bytes;
    bson_subtype_t kind;
    bson_iter_t iter;
    uint32_t len;
    int i;

    if (!bson_iter_init_find(&iter, lsid, "id") || !BSON_ITER_HOLDS_BINARY(&iter)) {
        return -1;
    }
    bson_iter_binary(&iter, &kind, &len, &bytes);
    if (len != sizeof(noted_t)) {
        return -1;
    }
    pthread_mutex_lock(&orphans->lock);
    for (i = 0; i < N_NOTED && orphans->state[i] != IS_FREE; i++) {
    }
    if (i < N_NOTED) {
        orphans->state[i] = IS_OPEN;
        memcpy(orphans->noted[i].session, bytes, sizeof(noted_t));
    }
    pthread_mutex_unlock(&orphans->lock);
    return i < N_NOTED ? i : -1;
}

void mongo_orphans_done(mongo_t *self, int i, int is_over)
{
    mongo_orphans_t *orphans = self->orphans;

    if (i < 0) {
        return;
    }
    pthread_mutex_lock(&orphans->lock);
    if (is_over) {
        orphans->state[i] = IS_FREE;
        memset(&orphans->noted[i], 0, sizeof(noted_t));
    }
    else {
        orphans->state[i] = IS_LEFT;
        orphans->n_left++;
    }
    pthread_mutex_unlock(&orphans->lock);
}

/* Have the server end what a session does. @return whether it answered. */
static int end_one(mongo_call_t *call, const noted_t *one)
{
    bson_t *command = BCON_NEW("killSessions", "[", "{", "id",
                               BCON_BIN(BSON_SUBTYPE_UUID, one->session,
                                        (uint32_t)sizeof(one->session)), "}", "]");
    bson_error_t error;
    int good = mongoc_client_command_simple(call->client, "admin", command, NULL, NULL, &error);

    bson_destroy(command);
    if (good) {
        hb_log(call->op, HB_LOG_INFO, 0, HBLOGNO(01160) "a transaction that was left half done is ended");
    }
    else if (mongo_has_answered(&error)) {
        hb_log(call->op, HB_LOG_WARNING, 0, HBLOGNO(01161) "a transaction that was left half done holds "
               "its records until the server's own limit: killSessions: %s", error.message);
    }
    return good || mongo_has_answered(&error);
}

/* Those of this process that it could not end before. These give whether the server answered. */
static int end_own(mongo_orphans_t *orphans, mongo_call_t *call)
{
    int i, has_answered = 1;

    for (i = 0; i < N_NOTED && has_answered; i++) {
        pthread_mutex_lock(&orphans->lock);
        if (orphans->state[i] != IS_LEFT) {
            pthread_mutex_unlock(&orphans->lock);
            continue;
        }
        orphans->state[i] = IS_OPEN;    /* nobody else's now */
        orphans->n_left--;
        pthread_mutex_unlock(&orphans->lock);
        has_answered = end_one(call, &orphans->noted[i]);
        mongo_orphans_done(call->self, i, has_answered);
    }
    return has_answered;
}

static int is_free(const noted_t *one)
{
    static const noted_t none;

    return memcmp(one, &none, sizeof(none)) == 0;
}

/* The file of another process, should that one be dead. */
static int end_those_of(mongo_call_t *call, const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW), i, has_answered = 1;
    noted_t noted[N_NOTED];
    ssize_t n;

    if (fd < 0) {
        return 1;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        n = pread(fd, noted, sizeof(noted), 0);
        for (i = 0; n == (ssize_t)sizeof(noted) && i < N_NOTED && has_answered; i++) {
            has_answered = is_free(&noted[i]) || end_one(call, &noted[i]);
        }
        if (has_answered) {
            unlink(path);
        }
    }
    close(fd);
    return has_answered;
}

static int end_others(mongo_orphans_t *orphans, mongo_call_t *call)
{
    DIR *dir = opendir(orphans->dir);
    struct dirent *entry;
    int has_answered = 1;

    while (dir != NULL && has_answered && (entry = readdir(dir)) != NULL) {
        const char *path = apr_pstrcat(call->op->pool, orphans->dir, "/", entry->d_name, NULL);

        /* One with a dot is being made, or was when its process died: it notes nothing. */
        if (entry->d_name[0] != '.' && strcmp(path, orphans->path) != 0) {
            has_answered = end_those_of(call, path);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return has_answered;
}

void mongo_orphans_end(mongo_t *self, hb_op_t *op, int is_waiting)
{
    mongo_orphans_t *orphans = self->orphans;
    const hb_problem_t problem = op->problem;
    apr_int64_t now = hb_clock();
    mongo_call_t call;
    int is_due;

    pthread_mutex_lock(&orphans->lock);
    is_due = now - orphans->looked_at
        > (is_waiting || orphans->n_left > 0 ? HURRY_USEC : LOOK_EVERY_USEC);
    if (is_due) {
        orphans->looked_at = now;
    }
    pthread_mutex_unlock(&orphans->lock);
    if (!is_due) {
        return;
    }
    if (mongo_take(&call, self, op) == APR_SUCCESS) {
        mongo_give(&call, end_own(orphans, &call) && end_others(orphans, &call));
    }
    op->problem = problem;      /* it is nobody's but the next call's */
}
