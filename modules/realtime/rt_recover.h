/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_recover.h
 * What a connection needs to be taken up again by its private id (pid): whose it is and which
 * rooms it was in. It lives in a file that is mapped, so that it outlives the program: after
 * a kill everybody who was connected counts as cut off at the next start.
 *
 * Any thread may call; each call takes a lock for microseconds and waits for nothing else.
 */
#ifndef RT_RECOVER_H
#define RT_RECOVER_H

#include <apr_pools.h>
#include <apr_time.h>

#define RT_ID_BYTES 24          /* pid and public id: 18 random bytes as base64url */
#define RT_RECOVER_ROOMS 8      /* streams of one connection that are remembered */
#define RT_STREAM_ID_MAX 24

typedef struct rt_recover_t rt_recover_t;

typedef struct rt_kept_room_t {
    apr_uint64_t since;         /* number of the newest event when it entered */
    char stream_id[RT_STREAM_ID_MAX + 1];
} rt_kept_room_t;

/** A remembered connection, as a copy. Ids are texts with a 0 behind. */
typedef struct rt_kept_t {
    char pid[RT_ID_BYTES + 1];
    char sid[RT_ID_BYTES + 1];
    char user_id[RT_STREAM_ID_MAX + 1];
    apr_uint32_t n_rooms;
    apr_uint64_t since;         /* number of the newest event when it came first */
    rt_kept_room_t rooms[RT_RECOVER_ROOMS];
} rt_kept_t;

/**
 * Open or make the file. What it holds is used only when it was written for the same log of
 * events (epoch): other numbers mean nothing. A damaged file is begun anew.
 * @param path     NULL keeps it in memory alone
 * @param slots    how many connections; later ones cannot be recovered
 * @param keep     how long after the cut
 * @param now      hb_limit_now(), as in every call: a wall clock that jumps neither ends nor
 *                 prolongs what is kept. Connections of the program that ran before were cut now
 */
apr_status_t rt_recover_open(rt_recover_t **recover, const char *path, const char *epoch,
                             apr_uint32_t slots, apr_interval_time_t keep, apr_time_t now,
                             apr_pool_t *pool);

/**
 * Forget who was cut and begin for another epoch.
 * @param is_lost  events were lost or have other numbers now: who is connected has missed some, and cannot
 *                 be taken up again once it is cut. Otherwise the log was only late to be known.
 */
void rt_recover_restart(rt_recover_t *recover, const char *epoch, int is_lost);

/** The same for one live connection, of which only this is known. */
void rt_recover_spoil(rt_recover_t *recover, int place);

/** Was it spoilt, or all were, after it was taken? Then begin anew. */
int rt_recover_is_spoilt(rt_recover_t *recover, int place);

/** Keep each so long after its cut from now on, those that wait included. */
void rt_recover_set_keep(rt_recover_t *recover, apr_interval_time_t keep);

/** Remember a live connection; @return its place, or -1 when there is no room for it. */
int rt_recover_add(rt_recover_t *recover, const rt_kept_t *kept, apr_time_t now);

/** The rooms of a connection changed. */
void rt_recover_rooms(rt_recover_t *recover, int place, const rt_kept_room_t *rooms, int n);

/** It was cut: it may be taken up again from now on, for a while, unless it was spoilt. */
void rt_recover_cut(rt_recover_t *recover, int place, apr_time_t now);

/** It ended for good. */
void rt_recover_remove(rt_recover_t *recover, int place);

typedef enum rt_found_e {
    RT_FOUND_NONE,              /* unknown, too late, or another user's */
    RT_FOUND_CUT,               /* taken: it is the caller's now, under the same place */
    RT_FOUND_LIVE               /* its old connection still stands: end that, then ask again */
} rt_found_e;

/**
 * Take a connection up again, once: whoever comes second finds nothing. It stands as live
 * afterwards, at *place, which is set for RT_FOUND_LIVE too.
 */
rt_found_e rt_recover_take(rt_kept_t *kept, int *place, rt_recover_t *recover,
                           const char *pid, const char *user_id, apr_time_t now);

/** Call fn for each connection that is cut; for the start, when nothing is live yet. */
void rt_recover_each(rt_recover_t *recover, void (*fn)(void *baton, const rt_kept_t *kept),
                     void *baton);

/** How many are live and cut. */
void rt_recover_count(rt_recover_t *recover, apr_uint32_t *n_live, apr_uint32_t *n_cut);

#endif /* RT_RECOVER_H */
