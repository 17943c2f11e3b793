/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_house.h
 * The rooms of the platform as an application of the engine (rt_app.h). One *house* a process,
 * one *hub* a loop, one *peer* a socket. The house's parts are files of their own:
 *
 *     rt_house.c   life of house, hubs and peers
 *     rt_enter.c   who may come in, and taking up an earlier connection
 *     rt_call.c    what clients ask for: the table of calls, each a call of the core
 *     rt_reader.c  reading the log, for all loops
 *     rt_feed.c    what it tells, to rooms
 *     rt_obey.c    what of it has to be obeyed (signed out, banned, blocked)
 *     rt_plain.c   WebSockets without Socket.IO, and event streams
 */
#ifndef RT_HOUSE_H
#define RT_HOUSE_H

#include <uv.h>

#include "hb_bus.h"
#include "hb_limit.h"
#include "hb_op.h"
#include "rt_app.h"
#include "rt_beat.h"
#include "rt_blocks.h"
#include "rt_due.h"
#include "rt_history.h"
#include "rt_node.h"
#include "rt_recover.h"
#include "rt_room.h"
#include "rt_status.h"
#include "rt_tally.h"
#include "rt_viewers.h"
#include "rt_work.h"

typedef struct rt_house_t rt_house_t;
typedef struct rt_hub_t rt_hub_t;
typedef struct rt_peer_t rt_peer_t;

/** Nothing that a client says is longer, be it to come in: reading it takes the loop's time. */
#define RT_ARGS_MAX_BYTES 16384

/** Streams one socket may watch at once. */
#define RT_WATCH_MAX RT_RECOVER_ROOMS

/* --- for the program --- */

/**
 * Make the house. The site is open. Reads what an earlier program left to be recovered.
 * @return HB_E_CONFIG when a file in the state directory cannot be used; logged already
 */
apr_status_t rt_house_make(rt_house_t **house, hb_site_t *site, apr_pool_t *pool);

/** What the engine calls; house is its app. */
extern const rt_app_t rt_house_app;

/** The settings of the site were read again: bounds and times that can follow them do. */
void rt_house_configure(rt_house_t *house);

/** When the engine has ended. */
void rt_house_free(rt_house_t *house);

/* --- for its parts --- */

struct rt_house_t {
    hb_site_t *site;
    apr_pool_t *pool;
    rt_recover_t *recover;
    rt_history_t *history;
    rt_viewers_t *viewers;
    rt_node_t *node;
    rt_tally_t *by_user;
    rt_told_t told;             /* hub 0's */
    apr_uint64_t *sockets;      /* of each place in recover; other threads read it */
    char epoch[17];             /* that recover belongs to; hub 0's */
    /* When it was told last that a table is full, 0 for never. Any loop. */
    apr_uint64_t full_said_msec, busy_said_msec;
};

#define RT_REVOKED_KEPT 64
#define RT_SENT_OUT_KEPT 512

/** Somebody who may not be in a room any more. */
typedef struct rt_sent_out_t {
    char stream_id[RT_STREAM_ID_MAX + 1];
    char user_id[RT_STREAM_ID_MAX + 1];         /* "" for everybody: the stream has ended */
} rt_sent_out_t;

struct rt_hub_t {
    rt_house_t *house;
    rt_loop_t *loop;
    apr_pool_t *pool;
    apr_pool_t *scratch;        /* one turn */
    rt_rooms_t *rooms;
    rt_works_t *works;
    rt_due_t *due;              /* tokens, by the wall clock */
    rt_due_t *endings, *strangers;      /* by the steady one */
    hb_bus_reader_t *reader;    /* loop 0 has one */
    rt_news_t **parcel;         /* events of this turn for the other loops; NULL without those */
    int n_parcel;
    uv_poll_t poll;
    int is_polling;
    void (*feed_stopped)(rt_hub_t *hub);        /* not NULL once the loop is ending */
    int is_reading;             /* more of the log waits for the next turn */
    int is_after_gap;           /* what came before the next event is not known */
    apr_uint64_t seq;           /* of the newest event that this loop has told */
    apr_uint64_t late_until;    /* events up to here may be older than some who get them */
    char epoch[17];
    int n_plain, n_stream;      /* peers behind those doors: which forms frames need */
    rt_room_t **beating;        /* rooms with something to tell at the next beat; held */
    int n_beating, beating_size;
    apr_uint64_t beat_at, second_at;
    /* Who was signed out lately: a check that was under way meanwhile is made again. */
    char revoked[RT_REVOKED_KEPT][32];
    apr_uint64_t n_revoked;
    apr_uint64_t n_block_changes;       /* in the same way, of blocks */
    rt_sent_out_t sent_out[RT_SENT_OUT_KEPT];   /* in the same way, of rooms */
    apr_uint64_t n_sent_out;
};

/** What a client that connects wants; until it is in. */
typedef struct rt_wish_t {
    char *pid, *offset;         /* as the client sent them; NULL when it did not */
    int tries;
    apr_uint64_t revoked_before, blocks_before, sent_out_before;
} rt_wish_t;

typedef enum rt_peer_state_e {
    RT_PEER_WAITING,            /* a plain client that has not said who it is */
    RT_PEER_ENTERING,
    RT_PEER_IN,
    RT_PEER_OVER
} rt_peer_state_e;

struct rt_peer_t {
    rt_member_t member;         /* first: a room's member is a peer */
    rt_hub_t *hub;
    rt_socket_t *socket;        /* NULL once it is gone */
    apr_uint64_t id;            /* of the socket */
    rt_line_t line;             /* what it asked for, in order */
    int holds;                  /* the socket, and each task */
    rt_peer_state_e state;
    rt_door_e door;
    char user_id[RT_STREAM_ID_MAX + 1];
    char session_id[RT_STREAM_ID_MAX + 1];
    char *token;
    rt_blocks_t *blocks;        /* whose words it is not shown; NULL for most */
    apr_uint64_t n_block_changes;       /* told to it so far */
    rt_wish_t *wish;
    int place;                  /* in recover, or -1 */
    apr_uint64_t since;         /* what is not newer than this event is not for it */
    rt_kept_room_t *watches;    /* streams it is in, and the same of each */
    int n_watches;
    rt_due_entry_t due;         /* when its token expires, or has to be shown */
    apr_uint64_t rate_at;       /* msec */
    int rate_left;              /* thousandths of an event */
    int strikes;                /* events refused in a row */
};

/** What is kept of the request a session began with. */
typedef struct rt_guest_t {
    rt_house_t *house;
    rt_session_t *session;
    int n_peers;                /* sockets of the session */
    rt_due_entry_t ending;      /* a session of which the last socket was sent out */
    char *address, *request_id, *agent;
    char *token;                /* of a header or cookie, or NULL */
    char *stream_id;            /* of an event stream */
    char *last_id;              /* Last-Event-ID, or NULL */
} rt_guest_t;

/* rt_house.c */
rt_hub_t *rt_hub_of(const rt_socket_t *socket);
rt_peer_t *rt_peer_make(rt_hub_t *hub, rt_socket_t *socket);
void rt_peer_hold(rt_peer_t *peer);
void rt_peer_release(rt_peer_t *peer);
/** It is in, or will not be. */
void rt_peer_wish_free(rt_peer_t *peer);
/** Its socket is over: it lets go of it, and may be gone. */
void rt_peer_over(rt_peer_t *peer);
/** Fill an op with where the peer comes from. */
void rt_peer_mark(hb_op_t *op, const rt_peer_t *peer);
rt_kept_room_t *rt_peer_watch(const rt_peer_t *peer, const char *stream_id);
void rt_peer_watch_add(rt_peer_t *peer, const char *stream_id, apr_uint64_t since);
void rt_peer_watch_remove(rt_peer_t *peer, rt_kept_room_t *watch);
/** End it with a word about why, where the door has a form for that. */
void rt_peer_end(rt_peer_t *peer, rt_reason_e reason);
/** "stream:ID" in pool. */
const char *rt_room_name_of(const char *kind, const char *id, apr_pool_t *pool);
/** Who missed more bytes than that is told so: a reader's queue would not hold them. */
apr_size_t rt_replay_max(const rt_house_t *house);
/** Is it time to tell once more that something is full? Once a minute, whichever loop comes first. */
int rt_house_may_say(apr_uint64_t *said_msec, const rt_hub_t *hub);
/** The wall clock, for tokens. How long something takes is hb_limit_now()'s to say. */
apr_time_t rt_house_now(const rt_house_t *house);

/* rt_enter.c */
/** A new peer; auth is what came with CONNECT. */
void rt_enter_begin(rt_peer_t *peer, rt_bytes_t auth);
/** A waiting peer says who it is. @param auth  an object with token, pid, offset */
void rt_enter_with(rt_peer_t *peer, const hb_json_t *auth);
/** Was one of these signed out since n_revoked was before? */
int rt_was_revoked(const rt_hub_t *hub, apr_uint64_t before, const char *user_id,
                   const char *session_id);
/** Put another token in the place of the peer's; it expires then. */
void rt_peer_set_token(rt_peer_t *peer, const char *token, apr_time_t expires_at);

/* rt_call.c */
/**
 * A client asks for something.
 * @param name, args   args is the object that came with it, as JSON text
 */
void rt_call(rt_peer_t *peer, const char *name, apr_size_t name_len, rt_bytes_t args,
             int wants_ack, apr_uint64_t ack_id);

/* rt_feed.c */
/**
 * For a thread: the newest event of the log that a hub reads. The hub may not have read up
 * to it: a stream of Redis is read a moment after it is written.
 * @param epoch, seq  the hub's as the loop saw them; seq is given back when the log cannot be asked
 */
apr_uint64_t rt_feed_newest(hb_site_t *site, const char *epoch, apr_uint64_t seq);
/** From now on some peer wants nothing up to this event. */
void rt_feed_not_before(rt_hub_t *hub, apr_uint64_t since);
/** Tell an event to who is in its room. */
void rt_feed_take(rt_hub_t *hub, const rt_news_t *news);
/** The log begins here. @param is_lost  not for the first time: who is connected missed something */
void rt_feed_begin(rt_hub_t *hub, const char *epoch, apr_uint64_t seq, int is_lost);
/** Somebody came or went. */
void rt_feed_moved(rt_hub_t *hub, rt_room_t *room, const rt_news_t *news);
/** A client reacts. */
void rt_feed_react(rt_hub_t *hub, rt_room_t *room, int kind);
/** Tell what rooms tell once a beat, when it is time. */
void rt_feed_beat(rt_hub_t *hub);
/** Emit what somebody missed, and let go of it. */
void rt_feed_replay(rt_peer_t *peer, rt_missed_t *missed);
/** Emit one of them, if this peer may see it. */
void rt_feed_emit(rt_peer_t *peer, const rt_news_t *news);
unsigned int rt_hub_forms(const rt_hub_t *hub);

/* rt_reader.c */
void rt_reader_start(rt_hub_t *hub);
void rt_reader_read(rt_hub_t *hub);
/** stopped is called when nothing watches the bus any more; it may free the hub. */
void rt_reader_stop(rt_hub_t *hub, void (*stopped)(rt_hub_t *hub));

/* rt_obey.c */
void rt_obey(rt_hub_t *hub, rt_room_t *room, const rt_news_t *news);
/** The stream has ended: everybody leaves. */
void rt_room_empty(rt_room_t *room);
/** Keep in mind that somebody was, or everybody (""). */
void rt_note_sent_out(rt_hub_t *hub, const char *stream_id, const char *user_id);
/**
 * Was this person sent out of the stream, or has it ended, since n_sent_out was before? What the core said of
 * them before that does not hold.
 * @return HB_E_ROOM_KICKED, HB_E_STREAM_ENDED, or APR_SUCCESS for no; HB_E_UNAVAILABLE when there were
 *         too many since to tell
 */
apr_status_t rt_was_sent_out(const rt_hub_t *hub, apr_uint64_t before, const char *stream_id,
                             const char *user_id);
/** Pairs read for one person, of each direction. */
#define RT_BLOCKS_READ 1000
/** Read the blocks of the op's actor. Waits: for a thread. */
apr_status_t rt_blocks_read(rt_blocks_t **blocks, hb_op_t *op);
/** Those that were read may be old already: read them again. */
void rt_blocks_again(rt_peer_t *peer);

/* rt_plain.c */
/** A message of a plain WebSocket. */
void rt_plain_message(rt_peer_t *peer, const rt_event_t *event);
/** The answer to a call, as the door wants it. @param ack  JSON object text */
void rt_answer_send(rt_peer_t *peer, apr_uint64_t ack_id, const char *ack, apr_size_t len);
/** "ready": the first thing a plain client and a stream hear. */
void rt_plain_ready(rt_peer_t *peer, const char *sid, const char *pid, int is_recovered);
/** A peer of a stream is in: take it to its room. */
void rt_stream_enter(rt_peer_t *peer);

#endif /* RT_HOUSE_H */
