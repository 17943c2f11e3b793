/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members stand in an array, because sending to all of them is what happens most; each knows his
 * place, so that leaving is no search. While somebody walks the array leavers only leave a
 * gap, which is closed afterwards.
 */
#include "rt_room.h"

#include <stdlib.h>
#include <string.h>

#include <apr_hash.h>

#include "rt_memory.h"

#define STREAM_PREFIX "stream:"

struct rt_rooms_t {
    apr_hash_t *by_name;
    void (*on_gone)(void *tag);
};

struct rt_room_t {
    rt_rooms_t *rooms;
    rt_member_t **members;      /* NULL where somebody left during a walk */
    apr_uint32_t n, size, n_gaps;
    int walks;                  /* walks under way */
    int holds;
    void *tag;
    char name[1];
};

rt_room_t *rt_room_find(const rt_rooms_t *rooms, const char *name)
{
    return apr_hash_get(rooms->by_name, name, APR_HASH_KEY_STRING);
}

static rt_room_t *make(rt_rooms_t *rooms, const char *name)
{
    rt_room_t *room = rt_need(sizeof(*room) + strlen(name));

    strcpy(room->name, name);
    room->rooms = rooms;
    apr_hash_set(rooms->by_name, room->name, APR_HASH_KEY_STRING, room);
    return room;
}

static void destroy(rt_room_t *room)
{
    rt_rooms_t *rooms = room->rooms;

    apr_hash_set(rooms->by_name, room->name, APR_HASH_KEY_STRING, NULL);
    if (room->tag != NULL && rooms->on_gone != NULL) {
        rooms->on_gone(room->tag);
    }
    free(room->members);
    free(room);
}

static void settle(rt_room_t *room)
{
    if (room->holds == 0 && room->n == room->n_gaps && room->walks == 0) {
        destroy(room);
    }
}

rt_rooms_t *rt_rooms_make(apr_pool_t *pool)
{
    rt_rooms_t *rooms = rt_need(sizeof(*rooms));

    rooms->by_name = apr_hash_make(pool);
    return rooms;
}

void rt_rooms_on_gone(rt_rooms_t *rooms, void (*fn)(void *tag))
{
    rooms->on_gone = fn;
}

void rt_rooms_free(rt_rooms_t *rooms)
{
    apr_hash_index_t *at;

    while ((at = apr_hash_first(NULL, rooms->by_name)) != NULL) {
        rt_room_t *room = apr_hash_this_val(at);
        apr_uint32_t i;

        for (i = 0; i < room->n; i++) {
            if (room->members[i] != NULL) {
                free(room->members[i]->seats);
                memset(room->members[i], 0, sizeof(*room->members[i]));
            }
        }
        destroy(room);
    }
    free(rooms);
}

rt_room_t *rt_room_hold(rt_rooms_t *rooms, const char *name)
{
    rt_room_t *room = rt_room_find(rooms, name);

    if (room == NULL) {
        room = make(rooms, name);
    }
    room->holds++;
    return room;
}

void rt_room_release(rt_room_t *room)
{
    room->holds--;
    settle(room);
}

/* --- members --- */

static rt_seat_t *seat_of(const rt_room_t *room, const rt_member_t *member)
{
    int i;

    for (i = 0; i < member->n_seats; i++) {
        if (member->seats[i].room == room) {
            return &member->seats[i];
        }
    }
    return NULL;
}

int rt_room_has(const rt_room_t *room, const rt_member_t *member)
{
    return seat_of(room, member) != NULL;
}

void rt_room_enter(rt_room_t *room, rt_member_t *member)
{
    if (seat_of(room, member) != NULL) {
        return;
    }
    if (member->n_seats == member->seats_size) {
        member->seats_size = member->seats_size == 0 ? 4 : member->seats_size * 2;
        member->seats = rt_need_more(member->seats,
                                     member->seats_size * sizeof(*member->seats));
    }
    if (room->n == room->size) {
        room->size = room->size == 0 ? 4 : room->size * 2;
        room->members = rt_need_more(room->members, room->size * sizeof(*room->members));
    }
    member->seats[member->n_seats].room = room;
    member->seats[member->n_seats++].at = room->n;
    room->members[room->n++] = member;
}

/* Fill the place with the last member. */
static void close_up(rt_room_t *room, apr_uint32_t at)
{
    rt_member_t *last = room->members[--room->n];

    if (at != room->n) {
        room->members[at] = last;
        if (last != NULL) {
            seat_of(room, last)->at = at;
        }
    }
}

static void stand_up(rt_room_t *room, rt_member_t *member, rt_seat_t *seat)
{
    apr_uint32_t at = seat->at;

    *seat = member->seats[--member->n_seats];
    if (room->walks > 0) {
        room->members[at] = NULL;
        room->n_gaps++;
    }
    else {
        close_up(room, at);
    }
}

int rt_room_leave(rt_room_t *room, rt_member_t *member)
{
    rt_seat_t *seat = seat_of(room, member);

    if (seat == NULL) {
        return 0;
    }
    stand_up(room, member, seat);
    settle(room);
    return 1;
}

void rt_room_leave_all(rt_member_t *member)
{
    while (member->n_seats > 0) {
        rt_room_leave(member->seats[member->n_seats - 1].room, member);
    }
    free(member->seats);
    member->seats = NULL;
    member->seats_size = 0;
}

void rt_room_each(rt_room_t *room, void (*fn)(void *baton, rt_member_t *member), void *baton)
{
    apr_uint32_t i, n = room->n;

    room->walks++;
    for (i = 0; i < n; i++) {
        if (room->members[i] != NULL) {
            fn(baton, room->members[i]);
        }
    }
    if (--room->walks > 0) {
        return;
    }
    for (i = room->n; room->n_gaps > 0 && i > 0; i--) {
        if (room->members[i - 1] == NULL) {
            close_up(room, i - 1);
            room->n_gaps--;
        }
    }
    settle(room);
}

/* --- looking --- */

const char *rt_room_name(const rt_room_t *room)
{
    return room->name;
}

const char *rt_room_stream(const rt_room_t *room)
{
    return strncmp(room->name, STREAM_PREFIX, strlen(STREAM_PREFIX)) == 0
        ? room->name + strlen(STREAM_PREFIX) : NULL;
}

int rt_room_members(const rt_room_t *room)
{
    return (int)(room->n - room->n_gaps);
}

void **rt_room_tag(rt_room_t *room)
{
    return &room->tag;
}
