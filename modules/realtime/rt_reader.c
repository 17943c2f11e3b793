/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the log. Loop 0 reads it for all: what is to be kept goes into the history of the house,
 * then each loop gets the event, the others in parcels of a turn, in the order of the log. So
 * the history is never behind a loop, and a client may come back to any of them. At the start
 * the whole log is read, which is how a program that was killed goes on where it was.
 */
#include "rt_house.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "hb_time.h"
#include "rt_memory.h"

/* Events of one turn; clients are served in between. */
#define TURN_MAX 256

static const char *const target_kinds[] = {
    [HB_TO_STREAM] = "stream", [HB_TO_USER] = "user", [HB_TO_SESSION] = "session",
    [HB_TO_ALL] = NULL
};

/* --- to the other loops --- */

typedef struct parcel_t {
    rt_news_t *news[TURN_MAX];
    int n;
} parcel_t;

typedef struct beginning_t {
    char epoch[17];
    apr_uint64_t seq;
    int is_lost;
} beginning_t;

static rt_hub_t *awake(rt_loop_t *loop)
{
    rt_hub_t *hub = rt_loop_data(loop);

    return hub != NULL && hub->feed_stopped == NULL ? hub : NULL;
}

static void unpack(rt_loop_t *loop, void *baton)
{
    rt_hub_t *hub = awake(loop);
    parcel_t *parcel = baton;
    int i;

    for (i = 0; i < parcel->n; i++) {
        if (hub != NULL) {
            rt_feed_take(hub, parcel->news[i]);
        }
        rt_news_drop(parcel->news[i]);
    }
    free(parcel);
}

static void begin_there(rt_loop_t *loop, void *baton)
{
    rt_hub_t *hub = awake(loop);
    beginning_t *beginning = baton;

    if (hub != NULL) {
        rt_feed_begin(hub, beginning->epoch, beginning->seq, beginning->is_lost);
    }
    free(beginning);
}

static void send_parcel(rt_hub_t *hub)
{
    rt_engine_t *engine = rt_loop_engine(hub->loop);
    int i, k;

    for (i = 1; hub->n_parcel > 0 && i < rt_engine_loops(engine); i++) {
        parcel_t *parcel = rt_need(sizeof(*parcel));

        parcel->n = hub->n_parcel;
        memcpy(parcel->news, hub->parcel, sizeof(*hub->parcel) * (apr_size_t)hub->n_parcel);
        for (k = 0; k < parcel->n; k++) {
            rt_news_hold(parcel->news[k]);
        }
        rt_post(rt_engine_loop(engine, i), unpack, parcel);
    }
    while (hub->n_parcel > 0) {
        rt_news_drop(hub->parcel[--hub->n_parcel]);
    }
}

static void pack(rt_hub_t *hub, rt_news_t *news)
{
    if (hub->parcel == NULL) {
        return;                 /* there are no others, or they begin with what comes later */
    }
    rt_news_hold(news);
    hub->parcel[hub->n_parcel++] = news;
    if (hub->n_parcel == TURN_MAX) {
        send_parcel(hub);
    }
}

/* From here on, for all loops. */
static void begin(rt_hub_t *hub, int is_lost)
{
    rt_engine_t *engine = rt_loop_engine(hub->loop);
    const char *epoch = hb_bus_reader_epoch(hub->reader);
    int i;

    for (i = 1; i < rt_engine_loops(engine); i++) {
        beginning_t *beginning = rt_need(sizeof(*beginning));

        apr_cpystrn(beginning->epoch, epoch, sizeof(beginning->epoch));
        beginning->seq = hub->seq;
        beginning->is_lost = is_lost;
        rt_post(rt_engine_loop(engine, i), begin_there, beginning);
    }
    rt_feed_begin(hub, epoch, hub->seq, is_lost);
}

/* --- one event --- */

typedef struct words_t {
    const char *author;         /* NULL: it carries nobody's; who blocks them is not shown them */
    const char *id;             /* of the message it tells of; NULL for none */
    const char *said_at;
} words_t;

static words_t words_of(const hb_event_t *event, apr_pool_t *pool)
{
    words_t words = { NULL, NULL, NULL };
    const hb_json_t *json;

    switch (event->event) {
    case HB_EV_CHAT_NEW:
    case HB_EV_CHAT_AGAIN:
        json = hb_json_parse_own(event->payload, event->payload_bytes, pool);
        words.author = hb_json_string_value(hb_json_at(json, "user.id"));
        words.id = hb_json_string(json, "id");
        words.said_at = hb_json_string(json, "createdAt");
        break;
    case HB_EV_CHAT_PINNED:
        json = hb_json_parse_own(event->payload, event->payload_bytes, pool);
        words.author = hb_json_string_value(hb_json_at(json, "message.user.id"));
        break;
    default:
        break;
    }
    return words;
}

static const char *room_of(const hb_event_t *event, apr_pool_t *pool)
{
    const char *kind = target_kinds[hb_event_row(event->event)->target];

    return kind != NULL ? rt_room_name_of(kind, event->id, pool) : "all";
}

static int is_kept(hb_lane_e lane)
{
    return lane == HB_LANE_MONEY || lane == HB_LANE_CHAT;
}

/*
 * Somebody said it again: now it is new to the room, if the room was not told before. Then whoever
 * kept it first and was held up may tell of it after all, and that is not new any more. Whoever reads
 * the same log comes to the same, also after a restart.
 */
static hb_event_e event_of(rt_hub_t *hub, const hb_event_t *event, const char *room,
                           const words_t *words)
{
    apr_time_t said_at;

    if (words->id == NULL || words->said_at == NULL || !hb_time_read(&said_at, words->said_at)) {
        return event->event;
    }
    if (event->event == HB_EV_CHAT_AGAIN
        && rt_history_lacks(hub->house->history, room, words->id, said_at)) {
        return HB_EV_CHAT_NEW;
    }
    if (event->event == HB_EV_CHAT_NEW
        && rt_history_has(hub->house->history, room, words->id, said_at)) {
        return HB_EV_CHAT_AGAIN;
    }
    return event->event;
}

static void take(rt_hub_t *hub, const hb_event_t *read)
{
    const char *room = room_of(read, hub->scratch);
    words_t words = words_of(read, hub->scratch);
    hb_event_t event = *read;
    rt_news_t *news;

    if (hub->is_after_gap) {
        hub->is_after_gap = 0;
        rt_history_forget(hub->house->history, event.seq - 1);
    }
    event.event = event_of(hub, read, room, &words);
    news = rt_news_make(&event, room, words.author, words.id);
    if (is_kept(hb_event_row(event.event)->lane)) {
        rt_history_keep(hub->house->history, news);
    }
    pack(hub, news);
    rt_feed_take(hub, news);
    rt_news_drop(news);
    apr_pool_clear(hub->scratch);
}

/* What is there of the log is what is known. @param is_lost  who is connected has missed something */
static void look_at_log(rt_hub_t *hub, int is_lost)
{
    rt_house_t *house = hub->house;
    const char *epoch = hb_bus_reader_epoch(hub->reader);

    hub->seq = hb_bus_reader_oldest(hub->reader);
    hub->seq -= hub->seq > 0;
    rt_history_forget(house->history, hub->seq);
    if (is_lost || strcmp(house->epoch, epoch) != 0) {
        apr_cpystrn(house->epoch, epoch, sizeof(house->epoch));
        rt_recover_restart(house->recover, epoch, is_lost);
    }
}

/*
 * Events are lost, or the log is another one. Who is connected has missed something: all are
 * closed, come back by themselves, and are told that they are not recovered.
 */
static void lose(rt_hub_t *hub)
{
    int had_none = hub->epoch[0] == '\0';

    send_parcel(hub);
    look_at_log(hub, !had_none);
    hub->is_after_gap = 1;
    begin(hub, !had_none);
    if (!had_none) {            /* else the log was only late */
        hb_log_to(&hub->house->site->log, HB_LOG_WARNING, 0, HBLOGNO(06202) "events were lost "
                  "before number %" APR_UINT64_T_FMT "; clients reconnect", hub->seq);
    }
}

/* --- reading --- */

/* @return is there nothing left? */
static int read_some(rt_hub_t *hub, int max)
{
    hb_event_t event;
    apr_status_t rv;

    while (max-- > 0) {
        rv = hb_bus_read(&event, hub->reader);
        if (rv == HB_E_BUS_GAP) {
            lose(hub);
        }
        else if (rv != APR_SUCCESS) {
            send_parcel(hub);
            return 1;
        }
        else {
            take(hub, &event);
        }
    }
    send_parcel(hub);
    return 0;
}

static void read_more(rt_loop_t *loop, void *baton)
{
    rt_hub_t *hub = awake(loop);

    (void)baton;
    if (hub != NULL) {
        hub->is_reading = 0;
        rt_reader_read(hub);
    }
}

void rt_reader_read(rt_hub_t *hub)
{
    if (hub->reader != NULL && hub->feed_stopped == NULL && !hub->is_reading
        && !read_some(hub, TURN_MAX)) {
        hub->is_reading = 1;
        rt_post(hub->loop, read_more, NULL);
    }
}

static void nudged(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    rt_reader_read(poll->data);
}

void rt_reader_start(rt_hub_t *hub)
{
    int fd;

    if (rt_loop_index(hub->loop) != 0) {
        return;                 /* loop 0 says where to begin, before it takes connections */
    }
    hb_bus_reader_open(&hub->reader, hub->house->site, HB_BUS_OLDEST, 1, hub->pool);
    apr_cpystrn(hub->epoch, hb_bus_reader_epoch(hub->reader), sizeof(hub->epoch));
    look_at_log(hub, 0);
    while (!read_some(hub, TURN_MAX)) {
        /* Nobody is served before the rooms are as they were. */
    }
    begin(hub, 0);
    if (rt_engine_loops(rt_loop_engine(hub->loop)) > 1) {
        hub->parcel = rt_need(sizeof(*hub->parcel) * TURN_MAX);
    }
    fd = hb_bus_reader_fd(hub->reader);
    if (fd >= 0 && uv_poll_init(rt_loop_uv(hub->loop), &hub->poll, fd) == 0) {
        hub->poll.data = hub;
        hub->is_polling = uv_poll_start(&hub->poll, UV_READABLE, nudged) == 0;
    }
}

static void poll_closed(uv_handle_t *handle)
{
    rt_hub_t *hub = handle->data;

    hub->feed_stopped(hub);
}

void rt_reader_stop(rt_hub_t *hub, void (*stopped)(rt_hub_t *hub))
{
    hub->feed_stopped = stopped;
    free(hub->parcel);
    hub->parcel = NULL;
    if (hub->is_polling) {
        uv_close((uv_handle_t *)&hub->poll, poll_closed);
    } else {
        stopped(hub);
    }
}
