/* SPDX-License-Identifier: Apache-2.0 */
/* Lists in order of time, because everything in one waits equally long. */
#include "rt_clock.h"

#include <stddef.h>

void rt_ring_init(rt_ring_t *ring, uint32_t wait_msec, void (*fn)(rt_alarm_t *alarm))
{
    ring->list.next = ring->list.prev = &ring->list;
    ring->list.at_msec = UINT64_MAX;
    ring->wait_msec = wait_msec;
    ring->ring = fn;
}

void rt_alarm_clear(rt_alarm_t *alarm)
{
    if (alarm->next != NULL) {
        alarm->next->prev = alarm->prev;
        alarm->prev->next = alarm->next;
        alarm->next = alarm->prev = NULL;
    }
}

void rt_alarm_set(rt_alarm_t *alarm, rt_ring_t *ring, uint64_t now_msec)
{
    rt_alarm_clear(alarm);
    if (ring->wait_msec == 0) {
        return;
    }
    alarm->at_msec = now_msec + ring->wait_msec;
    alarm->prev = ring->list.prev;
    alarm->next = &ring->list;
    /* After a change of the wait the list may hold later ones: keep the order. */
    while (alarm->prev != &ring->list && alarm->prev->at_msec > alarm->at_msec) {
        alarm->next = alarm->prev;
        alarm->prev = alarm->prev->prev;
    }
    alarm->prev->next = alarm;
    alarm->next->prev = alarm;
}

int rt_alarm_is_set(const rt_alarm_t *alarm)
{
    return alarm->next != NULL;
}

void rt_ring_run(rt_ring_t *ring, uint64_t now_msec)
{
    while (ring->list.next->at_msec <= now_msec) {
        rt_alarm_t *alarm = ring->list.next;

        rt_alarm_clear(alarm);
        ring->ring(alarm);
    }
}

uint64_t rt_ring_next(const rt_ring_t *ring)
{
    return ring->list.next->at_msec;
}
