/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file mod_rt.h
 * What the files of mod_halobuzz_realtime share: links. A link is one client's connection and the
 * connection to the sidecar that belongs to it, from the request until both are closed. It is
 * driven by one thread at a time: a request thread first, then (on the event MPM) a poller.
 *
 *   CONNECT -> SEND -> HEAD -> TUNNEL           101: bytes both ways
 *                           -> REPLY -> FLUSH   any other answer: its body to the client
 *   any of them -> DRAIN -> DEAD
 */
#ifndef MOD_RT_H
#define MOD_RT_H

#include "hb_ap.h"

#include <apr_poll.h>
#include <apr_ring.h>
#include <http_log.h>

#include "hb_metrics.h"
#include "hb_settings.h"
#include "mod_rt_frame.h"

/** The one symbol that leaves this shared object. */
extern __attribute__((visibility("default")))
module AP_MODULE_DECLARE_DATA halobuzz_realtime_module;

#define RT_HEAD_MAX 8192        /* of the sidecar's answer, with what comes behind it */
#define RT_CHUNK_BYTES 16384    /* one TLS record; below FlushMaxThreshold, so output never waits */

typedef enum rt_state_e {
    RT_CONNECT, RT_SEND, RT_HEAD, RT_TUNNEL, RT_REPLY, RT_FLUSH, RT_DRAIN, RT_DEAD
} rt_state_e;

/** What is held, as counted. */
typedef enum rt_kind_e { RT_WEBSOCKET, RT_HTTP, RT_KINDS } rt_kind_e;

/** Why a link ended; the order of HB_M_RT_END_... */
typedef enum rt_end_e {
    RT_END_CLIENT,              /* the client went */
    RT_END_SIDECAR,             /* the sidecar closed */
    RT_END_IDLE,                /* nothing passed for HaloBuzzRealtimeIdle */
    RT_END_STOPPING,            /* this child ends */
    RT_END_FAILED,              /* the sidecar did not answer, or not in HTTP */
    RT_END_ANSWERED             /* the answer is complete */
} rt_end_e;

typedef struct rt_link_t rt_link_t;
typedef struct rt_poller_t rt_poller_t;

APR_RING_HEAD(rt_ring_t, rt_link_t);

/** Links whose time is up so long after they were put here: the first one is the next. */
typedef struct rt_timer_t {
    struct rt_ring_t links;
    apr_interval_time_t after;
} rt_timer_t;

struct rt_link_t {
    APR_RING_ENTRY(rt_link_t) waiting;  /* in timer */
    APR_RING_ENTRY(rt_link_t) turn;     /* in the run queue while is_ready */
    rt_link_t *next;                    /* on its way to a poller */
    rt_poller_t *poller;
    rt_timer_t *timer;          /* NULL for none */
    conn_rec *c;
    request_rec *r;             /* NULL once it was logged */
    apr_socket_t *socket;
    apr_bucket_brigade *in, *out;
    apr_time_t touched_at;      /* when it was put into timer; monotonic, as the others */
    apr_time_t handed_at;       /* when the request thread let go */
    apr_time_t begun_at;
    int client_fd, fd;          /* fd: the sidecar's; -1 while there is none */
    unsigned char state;        /* rt_state_e */
    unsigned char kind;         /* rt_kind_e */
    unsigned char end;          /* rt_end_e, from DRAIN on */
    unsigned char is_ready:1, is_upgrade:1, is_sync:1, is_counted:1;
    unsigned char client_in:1, client_out:1, client_gone:1, client_eof:1;
    unsigned char sidecar_in:1, sidecar_out:1, sidecar_gone:1, sidecar_eof:1;
    unsigned char is_closing:1;         /* close_code is to be said */
    unsigned char is_lean:1;            /* its allocator keeps nothing */
    unsigned char is_watched_out:1;     /* epoll tells when fd can be written */
    unsigned char has_emptied:1;        /* nothing is left of what was read before the hand-over */
    unsigned char has_sent_head:1;      /* the client got a status line */
    unsigned short close_code;
    rt_frames_t frames;         /* of what goes to the client */
    char *aside;                /* bytes for the sidecar that it did not take; malloc'ed */
    unsigned int aside_at, aside_len;
    /* until the answer's head is there; all of it in r->pool */
    const char *send;           /* the request for the sidecar */
    apr_size_t send_len;
    char *head;                 /* RT_HEAD_MAX bytes */
    apr_size_t head_len;        /* bytes that came */
    apr_size_t head_end;        /* of them, the head; 0 while it is not complete */
    apr_int64_t body_left;      /* -1: until the sidecar closes */
};

/* --- mod_rt_request.c: what is asked, what is answered --- */

/** The request as the sidecar gets it, in r->pool. */
void rt_request_make(rt_link_t *link, const char *request_id, const char *body,
                     apr_size_t body_len);
/** Status and headers of the answer to r; gives the body's length to link. 0 when it is no HTTP. */
int rt_answer_read(rt_link_t *link);
/** 101: is it one, and was it asked for? */
int rt_answer_is_upgrade(const rt_link_t *link);

/* --- mod_rt_sidecar.c: getting there --- */

typedef enum rt_step_e {
    RT_STEP_READ,               /* wait until fd can be read */
    RT_STEP_WRITE,              /* wait until fd can be written */
    RT_STEP_LATER,              /* nobody listens, or too many wait: try again soon */
    RT_STEP_DONE,               /* the head of the answer is there */
    RT_STEP_FAILED
} rt_step_e;

/** Go on with connecting, sending, reading the head, as far as it goes without waiting. */
rt_step_e rt_sidecar_step(rt_link_t *link);
void rt_sidecar_close(rt_link_t *link);

/* --- mod_rt_tunnel.c: bytes both ways --- */

typedef enum rt_pump_e {
    RT_PUMP_WAIT,               /* as much as goes was done */
    RT_PUMP_MORE,               /* there is more, but others want their turn */
    RT_PUMP_END                 /* over; link->end says why */
} rt_pump_e;

/** Begin: the head and what came behind it go to the client. */
rt_pump_e rt_tunnel_start(rt_link_t *link);
rt_pump_e rt_tunnel_pump(rt_link_t *link, char *space);
/** Close soon, with this code, at the end of the frame that is on its way. */
void rt_tunnel_close(rt_link_t *link, int code);
/** To be put behind what is sent: filters pass on what they have, and do not wait. */
apr_bucket *rt_end_of_write(apr_bucket_alloc_t *list);
/** Push out what the filters keep. 0 when some is left, 1 when none is, -1 when the client is gone. */
int rt_output_flush(rt_link_t *link);

/* --- mod_rt_here.c: on a request thread, waiting --- */

/**
 * Wait for the head of the answer. Gives RT_STEP_DONE, RT_STEP_FAILED, or what it would wait
 * for when the time is up.
 */
rt_step_e rt_wait_here(rt_link_t *link, apr_interval_time_t wait);
/** The answer to the client, waiting for the rest of it. Gives what a handler gives. */
int rt_reply_here(rt_link_t *link, apr_interval_time_t idle);

/* --- mod_rt_reply.c: on a poller, an answer that is no 101 --- */

/** The head of the answer is there. */
rt_pump_e rt_reply_start(rt_link_t *link);
/** All of it to the client; the state becomes FLUSH when it was given. */
rt_pump_e rt_reply_pump(rt_link_t *link, char *space);
/** End an answer that has no end of its own. */
rt_pump_e rt_reply_close(rt_link_t *link);
/** A problem document, as the sidecar gave no answer. */
rt_pump_e rt_reply_failed(rt_link_t *link);

/* --- mod_rt_poller.c: who waits --- */

/** Threads that own links; call in child_init. */
apr_status_t rt_pollers_start(apr_pool_t *pchild, server_rec *s, const hb_settings_t *settings);
/** This child ends. */
void rt_pollers_stop(int is_graceful);
/** Give a link away; called when the MPM has let the connection go. */
void rt_poller_take(rt_link_t *link);
/** Drive a tunnel on this thread until it ends, where connections cannot be suspended. */
void rt_poller_run_here(rt_link_t *link, const hb_settings_t *settings);
/** This child ends, or this is a child of an earlier configuration. */
int rt_is_stopping(void);

/* --- mod_rt_turn.c: what a link does on a poller --- */

/** Send the request to its log and free it. */
void rt_link_log(rt_link_t *link);

/* --- mod_rt_count.c: what is held, and may be --- */

/** Shared by all generations of children; call in post_config. */
apr_status_t rt_count_post_config(server_rec *s);
void rt_count_child_init(hb_site_t *site, const hb_settings_t *settings);
/** A link begins to be held by this child, and ends. */
void rt_count_hold(rt_link_t *link);
void rt_count_release(rt_link_t *link);
/** Is there room for one more that takes a thread (is_sync), or does not? */
int rt_count_has_room(int is_sync);
void rt_count_add(hb_metric_e metric);
void rt_count_register(apr_pool_t *pool);

/* --- mod_rt_limits.c: what httpd's own limits allow --- */

/** Sockets that a child can hold and still answer requests. */
int rt_limits_links(void);
/** How long nothing may pass: never shorter than what lies between two pings. */
apr_interval_time_t rt_limits_idle(const hb_settings_t *settings);
/** Say so when that is little, or reloads have no room; call in post_config. */
void rt_limits_advise(server_rec *s);

/** From settings; set in post_config. */
extern const char *rt_socket_path;

#endif /* MOD_RT_H */
