/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_config.h
 * Times and limits of the engine. Read before the loops start; a reload makes a new one, and
 * sessions that begin afterwards see it.
 */
#ifndef RT_CONFIG_H
#define RT_CONFIG_H

#include "hb_settings.h"
#include "rt_queue.h"

typedef struct rt_config_t {
    int loops;                          /* 0: one less than cores, at least 1, at most 8 */

    /* Engine.IO and Socket.IO */
    uint32_t ping_interval_msec;
    uint32_t ping_timeout_msec;
    uint32_t join_timeout_msec;         /* to join a first namespace */
    uint32_t upgrade_timeout_msec;      /* from the probe's WebSocket to its packet '5' */
    uint32_t close_timeout_msec;        /* a closed session waits for a poll to say so */
    uint32_t payload_max;               /* bytes of a message or a POST, told as maxPayload */
    uint32_t stranger_payload_max;      /* of a WebSocket's message until a namespace was joined */
    uint32_t attachments_max;           /* bytes of all attachments of a packet */
    int sockets_max;                    /* namespaces of one session */

    /* The plain and the stream door */
    uint32_t plain_ping_msec;           /* 0: no pings */
    uint32_t plain_pong_msec;
    uint32_t plain_payload_max;

    int may_deflate;                    /* take permessage-deflate when it is offered */

    /* Connections */
    uint32_t head_timeout_msec;         /* to send a whole request */
    uint32_t idle_timeout_msec;         /* between requests */
    uint32_t stall_timeout_msec;        /* the peer takes nothing of what we have for him */
    uint32_t linger_msec;               /* after our end is closed */
    int connections_max;
    int per_address_max;                /* sessions of one client address (/64 of IPv6), 0: any number */
    int is_behind_httpd;                /* believe the module's headers */

    /* Traffic */
    rt_queue_limits_t queue;
    uint32_t read_stop_bytes;           /* no more is read while so much waits to be sent */
    uint32_t events_per_sec;            /* of one session, 0: not limited */
    uint32_t events_burst;
    uint32_t batch_msec;                /* under load, frames wait so long for company */

    const char *cors_origins;           /* "", "*", or a list separated by commas */
} rt_config_t;

/** What the conformance suites of the protocols expect. */
void rt_config_echo(rt_config_t *config);

/** The product's, from the settings of the site. */
void rt_config_read(rt_config_t *config, const hb_settings_t *settings);

#endif /* RT_CONFIG_H */
