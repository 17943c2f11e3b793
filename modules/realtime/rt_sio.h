/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_sio.h
 * Socket.IO 5 packets as text: reading what clients send. Writing is rt_frame.c's, sessions and
 * namespaces are rt_socket.c's. Pure functions.
 */
#ifndef RT_SIO_H
#define RT_SIO_H

#include "rt_app.h"
#include "rt_scan.h"

typedef enum rt_packet_e {
    RT_PACKET_CONNECT, RT_PACKET_DISCONNECT, RT_PACKET_EVENT, RT_PACKET_ACK,
    RT_PACKET_CONNECT_ERROR, RT_PACKET_BINARY_EVENT, RT_PACKET_BINARY_ACK
} rt_packet_e;

/** What the parsers of current clients and servers take. */
#define RT_ATTACHMENTS_MAX 10

/** A packet; its bytes are those it was read from. */
typedef struct rt_packet_t {
    rt_packet_e type;
    int n_attachments;
    rt_bytes_t nsp;         /* "/" when none was named */
    int has_id;
    apr_uint64_t id;
    rt_bytes_t json;        /* at is NULL when there is none */
    rt_scan_t scan;         /* of json */
} rt_packet_t;

/**
 * Read one packet (the text behind Engine.IO's '4') and check that its payload fits its type.
 * @return NULL, or in a few words what is wrong with it
 */
const char *rt_packet_read(rt_packet_t *packet, const char *text, apr_size_t len);

/**
 * An event's name and its arguments without it, as "[...]": the bytes of the packet are
 * written to for that.
 */
void rt_packet_event(rt_event_t *event, const rt_packet_t *packet);

#endif /* RT_SIO_H */
