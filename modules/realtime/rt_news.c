/* SPDX-License-Identifier: Apache-2.0 */
/* Counted copies of events; the frames made of them are rt_news_frame.c's. */
#include "rt_news.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rt_memory.h"

struct rt_news_t {
    apr_uint64_t seq;
    apr_time_t at;
    apr_size_t payload_bytes;
    hb_event_e event;
    int holds;                  /* of all threads */
    char room[36];
    char only_user[28];         /* "" for everybody */
    char author[28];            /* "" for nobody */
    char said_id[28];           /* "" for none */
    char payload[1];
};

rt_news_t *rt_news_make(const hb_event_t *event, const char *room, const char *author,
                        const char *said_id)
{
    rt_news_t *news = rt_need(sizeof(*news) + event->payload_bytes);

    news->seq = event->seq;
    news->at = event->at;
    news->event = event->event;
    news->holds = 1;
    snprintf(news->room, sizeof(news->room), "%s", room);
    snprintf(news->author, sizeof(news->author), "%s", author != NULL ? author : "");
    snprintf(news->said_id, sizeof(news->said_id), "%s", said_id != NULL ? said_id : "");
    news->payload_bytes = event->payload_bytes;
    memcpy(news->payload, event->payload, event->payload_bytes);
    if (event->only_user != NULL) {
        snprintf(news->only_user, sizeof(news->only_user), "%s", event->only_user);
    }
    return news;
}

void rt_news_hold(rt_news_t *news)
{
    __atomic_add_fetch(&news->holds, 1, __ATOMIC_RELAXED);
}

void rt_news_drop(rt_news_t *news)
{
    if (__atomic_sub_fetch(&news->holds, 1, __ATOMIC_ACQ_REL) == 0) {
        free(news);
    }
}

apr_uint64_t rt_news_seq(const rt_news_t *news)
{
    return news->seq;
}

apr_time_t rt_news_at(const rt_news_t *news)
{
    return news->at;
}

hb_event_e rt_news_event(const rt_news_t *news)
{
    return news->event;
}

const char *rt_news_only_user(const rt_news_t *news)
{
    return news->only_user[0] != '\0' ? news->only_user : NULL;
}

const char *rt_news_room(const rt_news_t *news)
{
    return news->room;
}

const char *rt_news_id(const rt_news_t *news)
{
    const char *colon = strchr(news->room, ':');

    return colon != NULL ? colon + 1 : "";
}

const char *rt_news_author(const rt_news_t *news)
{
    return news->author[0] != '\0' ? news->author : NULL;
}

const char *rt_news_said_id(const rt_news_t *news)
{
    return news->said_id[0] != '\0' ? news->said_id : NULL;
}

const char *rt_news_payload(const rt_news_t *news)
{
    return news->payload;
}

apr_size_t rt_news_payload_bytes(const rt_news_t *news)
{
    return news->payload_bytes;
}

apr_size_t rt_news_bytes(const rt_news_t *news)
{
    return sizeof(*news) + news->payload_bytes;
}
