/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_room.h
 * Rooms of one loop by name ("stream:<id>", "user:<id>", "session:<id>", "all") and who is in
 * them. A room is there as long as it has members or somebody who holds it; what was said in it
 * outlives it (rt_history.h).
 *
 * One loop's memory: no locks, nothing here waits.
 */
#ifndef RT_ROOM_H
#define RT_ROOM_H

#include <apr_pools.h>

typedef struct rt_rooms_t rt_rooms_t;
typedef struct rt_room_t rt_room_t;

/** Where a member sits; seats of one member are few. */
typedef struct rt_seat_t {
    rt_room_t *room;
    apr_uint32_t at;            /* place among the room's members */
} rt_seat_t;

/** Somebody who can sit in rooms; the first thing in the caller's own structure. */
typedef struct rt_member_t {
    rt_seat_t *seats;
    unsigned short n_seats, seats_size;
} rt_member_t;

/** @param pool  for the table of names; lives as long as the rooms */
rt_rooms_t *rt_rooms_make(apr_pool_t *pool);
void rt_rooms_free(rt_rooms_t *rooms);

/** NULL when nobody is in it nor holds it. */
rt_room_t *rt_room_find(const rt_rooms_t *rooms, const char *name);

/** Find or make, and hold: rt_room_release() once for each. */
rt_room_t *rt_room_hold(rt_rooms_t *rooms, const char *name);
void rt_room_release(rt_room_t *room);

/** Sitting down twice is once. */
void rt_room_enter(rt_room_t *room, rt_member_t *member);
/** @return was he in? The room may be gone afterwards. */
int rt_room_leave(rt_room_t *room, rt_member_t *member);
void rt_room_leave_all(rt_member_t *member);
int rt_room_has(const rt_room_t *room, const rt_member_t *member);

const char *rt_room_name(const rt_room_t *room);
/** The id behind "stream:", NULL for other rooms. */
const char *rt_room_stream(const rt_room_t *room);
int rt_room_members(const rt_room_t *room);

/**
 * Call fn for each member. fn may make anybody leave; who comes in meanwhile is not called.
 */
void rt_room_each(rt_room_t *room, void (*fn)(void *baton, rt_member_t *member), void *baton);

/** What the owner of the rooms hangs on one (rt_presence.h); freed by him when it goes. */
void **rt_room_tag(rt_room_t *room);
void rt_rooms_on_gone(rt_rooms_t *rooms, void (*fn)(void *tag));

#endif /* RT_ROOM_H */
