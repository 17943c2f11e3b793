/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lanes share one ring, because what is emitted first has to leave first: a client that saw
 * an offset is taken to have seen all lower ones, so a gift must not overtake a chat
 * message. A lane therefore decides only about what may be dropped.
 */
#include "rt_queue.h"

#include <stdlib.h>
#include <string.h>

#include "rt_memory.h"

#define QUEUE_FIRST_SIZE 4

static rt_bytes_t form_of(const rt_queue_t *queue, const rt_frame_t *frame)
{
    return queue->is_packed ? rt_frame_packed(frame, queue->door)
                            : rt_frame_form(frame, queue->door);
}

static uint32_t cost_of(const rt_queue_t *queue, const rt_frame_t *frame)
{
    return (uint32_t)form_of(queue, frame).len + RT_ENTRY_COST;
}

static rt_entry_t *entry_at(const rt_queue_t *queue, uint32_t i)
{
    return &queue->entries[(queue->first + i) & (queue->size - 1)];
}

static void grow(rt_queue_t *queue)
{
    uint32_t size = queue->size == 0 ? QUEUE_FIRST_SIZE : queue->size * 2, i;
    rt_entry_t *entries = rt_need_more(NULL, size * sizeof(*entries));

    for (i = 0; i < queue->n; i++) {
        entries[i] = *entry_at(queue, i);
    }
    free(queue->entries);
    queue->entries = entries;
    queue->size = size;
    queue->first = 0;
}

/* Nothing is kept for a session that has nothing to send. */
static void shrink(rt_queue_t *queue)
{
    if (queue->n == 0) {
        free(queue->entries);
        queue->entries = NULL;
        queue->size = queue->first = queue->sent = 0;
    }
}

static void add(rt_queue_t *queue, rt_frame_t *frame, rt_lane_e lane)
{
    rt_entry_t *entry;

    if (queue->n == queue->size) {
        grow(queue);
    }
    entry = entry_at(queue, queue->n++);
    rt_frame_hold(frame);
    entry->frame = frame;
    entry->lane = lane;
    queue->bytes[lane] += cost_of(queue, frame);
}

static void drop(rt_queue_t *queue, rt_entry_t *entry)
{
    queue->bytes[entry->lane] -= cost_of(queue, entry->frame);
    rt_frame_release(entry->frame);
    entry->frame = NULL;
}

/* Forget what was dropped at the front, so that the first entry is one that goes out. */
static void skip_dropped(rt_queue_t *queue)
{
    while (queue->n > 0 && entry_at(queue, 0)->frame == NULL) {
        queue->first = (queue->first + 1) & (queue->size - 1);
        queue->n--;
    }
    shrink(queue);
}

/* An entry of which a part has left stays. */
static int may_go(const rt_queue_t *queue, uint32_t i, rt_lane_e lane)
{
    const rt_entry_t *entry = entry_at(queue, i);

    return entry->frame != NULL && entry->lane == lane && !(i == 0 && queue->sent > 0);
}

/* The newest metric replaces the one that waits, at its place. */
static int replace_metric(rt_queue_t *queue, rt_frame_t *frame)
{
    uint32_t i;

    if (frame->key == 0 || queue->bytes[RT_LANE_METRIC] == 0) {
        return 0;
    }
    for (i = queue->n; i-- > 0;) {
        if (may_go(queue, i, RT_LANE_METRIC) && entry_at(queue, i)->frame->key == frame->key) {
            rt_entry_t *entry = entry_at(queue, i);

            drop(queue, entry);
            rt_frame_hold(frame);
            entry->frame = frame;
            queue->bytes[RT_LANE_METRIC] += cost_of(queue, frame);
            return 1;
        }
    }
    return 0;
}

/* Room for a reaction is made by dropping the oldest ones. */
static void make_room(rt_queue_t *queue, uint32_t cost, uint32_t limit, apr_uint64_t *n_dropped)
{
    uint32_t i;

    for (i = 0; i < queue->n && queue->bytes[RT_LANE_REACTION] + cost > limit; i++) {
        if (may_go(queue, i, RT_LANE_REACTION)) {
            drop(queue, entry_at(queue, i));
            (*n_dropped)++;
        }
    }
    skip_dropped(queue);
}

void rt_queue_pack(rt_queue_t *queue)
{
    uint32_t i;

    queue->is_packed = 1;
    memset(queue->bytes, 0, sizeof(queue->bytes));
    for (i = 0; i < queue->n; i++) {
        const rt_entry_t *entry = entry_at(queue, i);

        if (entry->frame != NULL) {
            queue->bytes[entry->lane] += cost_of(queue, entry->frame);
        }
    }
}

rt_queued_e rt_queue_push(rt_queue_t *queue, rt_frame_t *frame, rt_lane_e lane,
                          const rt_queue_limits_t *limits, apr_uint64_t *n_dropped)
{
    uint32_t cost = cost_of(queue, frame);

    if (cost == RT_ENTRY_COST) {
        return RT_QUEUED;
    }
    if (lane == RT_LANE_METRIC && replace_metric(queue, frame)) {
        (*n_dropped)++;
        return RT_QUEUED;
    }
    if (lane == RT_LANE_REACTION && queue->bytes[lane] + cost > limits->bytes[lane]) {
        make_room(queue, cost, limits->bytes[lane], n_dropped);
    }
    /* An empty lane takes one frame of any size: the sender has limits of his own. */
    if (queue->bytes[lane] > 0 && queue->bytes[lane] + cost > limits->bytes[lane]) {
        if (lane == RT_LANE_MONEY || lane == RT_LANE_CHAT) {
            return RT_QUEUED_FULL;
        }
        (*n_dropped)++;
        return RT_QUEUED_NOT;
    }
    add(queue, frame, lane);
    return RT_QUEUED;
}

void rt_queue_force(rt_queue_t *queue, rt_frame_t *frame)
{
    if (rt_frame_form(frame, queue->door).len > 0) {
        add(queue, frame, RT_LANE_MONEY);
    }
}

int rt_queue_peek(const rt_queue_t *queue, struct iovec *vec, int max, apr_size_t max_bytes)
{
    apr_size_t bytes = 0;
    uint32_t i;
    int n = 0;

    for (i = 0; i < queue->n && n < max && bytes < max_bytes; i++) {
        const rt_frame_t *frame = entry_at(queue, i)->frame;
        rt_bytes_t form;

        if (frame == NULL) {
            continue;
        }
        form = form_of(queue, frame);
        if (i == 0) {
            form.at += queue->sent;
            form.len -= queue->sent;
        }
        vec[n].iov_base = (void *)form.at;
        vec[n++].iov_len = form.len;
        bytes += form.len;
    }
    return n;
}

uint32_t rt_queue_sent(rt_queue_t *queue, apr_size_t bytes)
{
    uint32_t n = 0;

    while (queue->n > 0) {
        rt_entry_t *entry = entry_at(queue, 0);

        if (entry->frame != NULL) {
            apr_size_t left = form_of(queue, entry->frame).len - queue->sent;

            if (bytes < left) {
                queue->sent += (uint32_t)bytes;
                return n;
            }
            bytes -= left;
            queue->sent = 0;
            drop(queue, entry);
            n++;
        }
        queue->first = (queue->first + 1) & (queue->size - 1);
        queue->n--;
        if (bytes == 0) {
            break;
        }
    }
    skip_dropped(queue);
    return n;
}

apr_size_t rt_queue_bytes(const rt_queue_t *queue)
{
    apr_size_t bytes = 0;
    int lane;

    for (lane = 0; lane < RT_LANES; lane++) {
        bytes += queue->bytes[lane];
    }
    return bytes - queue->sent;
}

int rt_queue_is_empty(const rt_queue_t *queue)
{
    return queue->n == 0;
}

void rt_queue_cut(rt_queue_t *queue)
{
    uint32_t i;

    for (i = queue->sent > 0 ? 1 : 0; i < queue->n; i++) {
        if (entry_at(queue, i)->frame != NULL) {
            drop(queue, entry_at(queue, i));
        }
    }
    queue->n = queue->sent > 0 ? 1 : 0;
    shrink(queue);
}

void rt_queue_clear(rt_queue_t *queue)
{
    queue->sent = 0;
    rt_queue_cut(queue);
}
