/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_bus.h
 * Telling everybody what happened: the core publishes events (hb_event.def), the sidecar reads them
 * and passes them on to rooms and people. One log for all processes, numbered from 1; a new log
 * (another machine, a reboot, a removed file) has another epoch. Events live until newer
 * ones need their room, so the log is also the short history that reconnecting clients get.
 *
 * Publishing never waits for a reader and never fails the work it tells of: an event that
 * cannot be written is counted, logged once, and readers learn that there is a gap.
 */
#ifndef HB_BUS_H
#define HB_BUS_H

#include "hb_json.h"
#include "hb_op.h"

/* --- the table of events --- */

typedef enum hb_event_e {
#define HB_EVENT(symbol, name, lane, target, shape, sentence) HB_EV_##symbol,
#define HB_CALL(symbol, name, form, reply, sentence)
#include "hb_event.def"
#undef HB_EVENT
#undef HB_CALL
    HB_EV_COUNT
} hb_event_e;

typedef enum hb_call_e {
#define HB_EVENT(symbol, name, lane, target, shape, sentence)
#define HB_CALL(symbol, name, form, reply, sentence) HB_CALL_##symbol,
#include "hb_event.def"
#undef HB_EVENT
#undef HB_CALL
    HB_CALL_COUNT
} hb_call_e;

typedef enum hb_lane_e {
    HB_LANE_MONEY,              /* money and moderation: never dropped */
    HB_LANE_CHAT,
    HB_LANE_REACTION,           /* combined per tick */
    HB_LANE_METRIC,             /* the latest counts, those before may be left out */
    HB_LANE_INTERNAL            /* for our processes; never to a client */
} hb_lane_e;

typedef enum hb_target_e {
    HB_TO_STREAM, HB_TO_USER, HB_TO_SESSION, HB_TO_ALL
} hb_target_e;

typedef struct hb_event_row_t {
    const char *symbol;         /* "CHAT_NEW" */
    const char *name;           /* "chat:new" */
    hb_lane_e lane;
    hb_target_e target;
    const char *shape;          /* name for hb_schema_misfit_of, "" for none */
    const char *sentence;
} hb_event_row_t;

typedef struct hb_call_row_t {
    const char *name;           /* "stream:join" */
    const char *form;           /* name of a form */
    const char *reply;          /* name of a reply, "" for none */
    const char *sentence;
} hb_call_row_t;

/** Rows by number; do not wait. */
const hb_event_row_t *hb_event_row(hb_event_e event);
const hb_call_row_t *hb_call_row(hb_call_e call);
/** "money", "chat" ...; "stream", "user" ...: as documents name them. */
const char *hb_lane_name(hb_lane_e lane);
const char *hb_target_name(hb_target_e target);

/* --- publishing --- */

/**
 * Tell of an event. Inside hb_store_transact it is kept with the transaction: appended after its
 * commit, forgotten when it is rolled back or tried again. Outside, it is appended at once.
 * @param id       of the stream, user or session the row's target names; "" for HB_TO_ALL
 * @param payload  fits the row's shape; read before this returns
 */
void hb_bus_publish(hb_op_t *op, hb_event_e event, const char *id, const hb_json_t *payload);

/** The same for only one user's connections among those it would reach. */
void hb_bus_publish_to(hb_op_t *op, hb_event_e event, const char *id, const char *only_user,
                       const hb_json_t *payload);

typedef struct hb_event_t {
    hb_event_e event;
    apr_uint64_t seq;           /* set by the bus: 1, 2, 3 ... within an epoch */
    apr_time_t at;              /* when it was published */
    const char *id;             /* of the stream, user or session; "" for HB_TO_ALL */
    const char *only_user;      /* user id, or NULL: everybody there */
    const char *payload;        /* JSON text with a 0 byte behind */
    apr_size_t payload_bytes;
} hb_event_t;

/**
 * Append at once, without an op: for programs that have prepared text. Takes microseconds; at most
 * two seconds behind a writer that was stopped in the middle or waits for the disk, and as long
 * while another process makes the log.
 * @param seq  its number; may be NULL
 * @return HB_E_UNAVAILABLE when the log cannot be written, HB_E_BUS_SIZE when the event is too
 *         large (an eighth of the log, at most 1 MB); both are counted and logged already
 */
apr_status_t hb_bus_append(apr_uint64_t *seq, hb_site_t *site, const hb_event_t *event);

/* For hb_store.c: what a transaction keeps until its commit. */
int hb_bus_kept(const hb_op_t *op);             /* how many so far */
void hb_bus_forget(hb_op_t *op, int n_left);    /* drop all but the first n_left */
void hb_bus_tell(hb_op_t *op);                  /* append all */

/* --- reading --- */

typedef struct hb_bus_reader_t hb_bus_reader_t;

typedef enum hb_bus_from_e {
    HB_BUS_OLDEST,              /* from the oldest event still there */
    HB_BUS_NEWEST               /* only what is published from now on */
} hb_bus_from_e;

/**
 * Read the log. A reader belongs to one thread at a time; any number may read.
 * @param is_main  this is the host's sidecar: publishers wake it (hb_bus_reader_fd)
 * @return HB_E_UNAVAILABLE when the log cannot be opened; hb_bus_read() tries again
 *         then, so the reader is made in any case
 */
apr_status_t hb_bus_reader_open(hb_bus_reader_t **reader, hb_site_t *site,
                                hb_bus_from_e from, int is_main, apr_pool_t *pool);

/**
 * The next event; its text is the reader's, until the next call. Never waits. Events of
 * which this build has no row are passed over.
 * @return APR_EAGAIN when there is none now: look again when hb_bus_reader_fd() becomes
 *         readable, and every 100 ms in any case; HB_E_BUS_GAP when events are missing between
 *         the last one and the next (overrun, a new log): compare the epoch, then go on reading;
 *         HB_E_UNAVAILABLE while the log cannot be opened (it is tried once a second)
 */
apr_status_t hb_bus_read(hb_event_t *event, hb_bus_reader_t *reader);

/** Readable when there may be something new; -1 when nobody will wake this reader. */
int hb_bus_reader_fd(const hb_bus_reader_t *reader);

/** 16 hex digits; "" while there is no log. May change with HB_E_BUS_GAP only. */
const char *hb_bus_reader_epoch(const hb_bus_reader_t *reader);

/** Number of the newest event of the log right now: what is above is news. 0 for none. */
apr_uint64_t hb_bus_reader_newest(const hb_bus_reader_t *reader);
/** Number of the oldest event still there; newest + 1 when there is none. */
apr_uint64_t hb_bus_reader_oldest(const hb_bus_reader_t *reader);

typedef struct hb_bus_stats_t {
    char epoch[17];
    apr_uint64_t oldest, newest;        /* numbers */
    apr_uint64_t bytes_used, bytes_total;
    apr_uint64_t dropped;               /* events that could not be written, all processes */
} hb_bus_stats_t;
apr_status_t hb_bus_stats(hb_bus_stats_t *stats, hb_site_t *site);

/* --- for the host of a process --- */

typedef struct hb_bus_t hb_bus_t;

/** NULL, or a sentence that lists what is accepted. */
const char *hb_bus_url_check(const char *url, apr_pool_t *pool);

/** Where events go by the settings: HaloBuzzBus, else the Redis of HaloBuzzCache, else a local log. */
const char *hb_bus_url(const hb_settings_t *settings);

/** Does not wait: the log is opened by the first call that needs it. HB_E_CONFIG. */
apr_status_t hb_bus_open(hb_bus_t **bus, hb_site_t *site, const char *url, apr_pool_t *pool);

/*
 * For backends: bus_*.c exports one of these; hb_bus.c lists it. Every member is there. append and
 * stats are called by any thread; a reader by one at a time.
 */
typedef struct hb_bus_record_t {        /* as hb_event_t, with the event by name */
    const char *name;                   /* the row's symbol: names may be shared */
    apr_uint64_t seq;
    apr_time_t at;
    const char *id, *only_user, *payload;   /* only_user is "" for everybody */
    apr_size_t payload_bytes;
} hb_bus_record_t;

typedef struct hb_bus_driver_t {
    const char *scheme;         /* "local" */
    const char *accepts;
    apr_status_t (*open)(void **self, hb_site_t *site, const char *url, apr_pool_t *pool);
    apr_status_t (*append)(void *self, apr_uint64_t *seq, const hb_bus_record_t *record);
    apr_status_t (*stats)(void *self, hb_bus_stats_t *stats);
    /* Never fails: what is not there yet is looked for by read. */
    apr_status_t (*reader_open)(void **reader, void *self, hb_bus_from_e from, int is_main,
                                apr_pool_t *pool);
    apr_status_t (*read)(void *reader, hb_bus_record_t *record);
    int (*reader_fd)(void *reader);
    const char *(*reader_epoch)(void *reader);
    void (*reader_span)(void *reader, apr_uint64_t *oldest, apr_uint64_t *newest);
} hb_bus_driver_t;

#endif /* HB_BUS_H */
