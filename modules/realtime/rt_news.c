/* SPDX-License-Identifier: Apache-2.0 */
/* Counted copies of events; the frames made of them are rt_news_frame.c's. */
#include "rt_news.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rt_memory.h"

struct rt_news_t {
    apr_uint64_t seq;
    apr_size_t payload_bytes;
    hb_event_e event;
    int holds;
    char only_user[28];         /* "" for everybody */
    char payload[1];
};

rt_news_t *rt_news_make(const hb_event_t *event)
{
    rt_news_t *news = rt_need(sizeof(*news) + event->payload_bytes);

    news->seq = event->seq;
    news->event = event->event;
    news->holds = 1;
    news->payload_bytes = event->payload_bytes;
    memcpy(news->payload, event->payload, event->payload_bytes);
    if (event->only_user != NULL) {
        snprintf(news->only_user, sizeof(news->only_user), "%s", event->only_user);
    }
    return news;
}

void rt_news_hold(rt_news_t *news)
{
    news->holds++;
}

void rt_news_drop(rt_news_t *news)
{
    if (--news->holds == 0) {
        free(news);
    }
}

apr_uint64_t rt_news_seq(const rt_news_t *news)
{
    return news->seq;
}

hb_event_e rt_news_event(const rt_news_t *news)
{
    return news->event;
}

const char *rt_news_only_user(const rt_news_t *news)
{
    return news->only_user[0] != '\0' ? news->only_user : NULL;
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
