/* SPDX-License-Identifier: Apache-2.0 */
/* <type>[<n>-][<namespace>,][<id>][<json>], decoded in that order. */
#include "rt_sio.h"

#include <string.h>

/* Ids beyond this are no longer whole numbers in the clients' language. */
#define ID_DIGITS_MAX 16

static const char *const reserved_names[] = {
    "connect", "connect_error", "disconnect", "disconnecting", "newListener",
    "removeListener"
};

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int is_reserved(const char *inside, apr_size_t len)
{
    apr_size_t i;

    for (i = 0; i < sizeof(reserved_names) / sizeof(reserved_names[0]); i++) {
        if (rt_scan_is_word(inside, len, reserved_names[i])) {
            return 1;
        }
    }
    return 0;
}

/* "<n>-" of the two binary types. */
static const char *read_attachments(rt_packet_t *packet, const char **at, const char *end)
{
    const char *from = *at;
    int n = 0;

    for (; *at < end && is_digit(**at) && *at - from < 3; (*at)++) {
        n = n * 10 + (**at - '0');
    }
    if (*at == from || *at == end || **at != '-') {
        return "no number of attachments";
    }
    (*at)++;
    if (n < 1 || n > RT_ATTACHMENTS_MAX) {
        return "unacceptable number of attachments";
    }
    packet->n_attachments = n;
    return NULL;
}

static const char *check_event(const rt_packet_t *packet)
{
    const rt_scan_t *scan = &packet->scan;

    if (packet->json.at == NULL || scan->kind != '[') {
        return "an event is not an array";
    }
    if (scan->first_kind == '"') {
        if (is_reserved(packet->json.at + scan->first_start + 1,
                        scan->first_end - scan->first_start - 2)) {
            return "a reserved event name";
        }
        return NULL;
    }
    return scan->first_kind == '0' ? NULL : "an event without a name";
}

static const char *check_payload(const rt_packet_t *packet)
{
    switch (packet->type) {
    case RT_PACKET_CONNECT:
        return packet->json.at == NULL || packet->scan.kind == '{' ? NULL
               : "auth is not an object";
    case RT_PACKET_DISCONNECT:
        return packet->json.at == NULL ? NULL : "a disconnect with a payload";
    case RT_PACKET_EVENT:
    case RT_PACKET_BINARY_EVENT:
        return check_event(packet);
    case RT_PACKET_ACK:
    case RT_PACKET_BINARY_ACK:
        return packet->json.at != NULL && packet->scan.kind == '[' ? NULL
               : "an ack is not an array";
    case RT_PACKET_CONNECT_ERROR:
        break;
    }
    return "a client sends no connect error";
}

const char *rt_packet_read(rt_packet_t *packet, const char *text, apr_size_t len)
{
    const char *at = text, *end = text + len, *from, *why;

    memset(packet, 0, sizeof(*packet));
    if (at == end || *at < '0' || *at > '6') {
        return "unknown packet type";
    }
    packet->type = (rt_packet_e)(*at++ - '0');
    if (packet->type == RT_PACKET_BINARY_EVENT || packet->type == RT_PACKET_BINARY_ACK) {
        why = read_attachments(packet, &at, end);
        if (why != NULL) {
            return why;
        }
    }
    packet->nsp.at = "/";
    packet->nsp.len = 1;
    if (at < end && *at == '/') {
        const char *comma = memchr(at, ',', (apr_size_t)(end - at));

        packet->nsp.at = at;
        packet->nsp.len = (apr_size_t)((comma != NULL ? comma : end) - at);
        at = comma != NULL ? comma + 1 : end;
    }
    for (from = at; at < end && is_digit(*at); at++) {
        packet->id = packet->id * 10 + (apr_uint64_t)(*at - '0');
        if (at - from >= ID_DIGITS_MAX) {
            return "an ack id beyond 2^53";
        }
    }
    packet->has_id = at > from;
    if (at < end) {
        packet->json.at = at;
        packet->json.len = (apr_size_t)(end - at);
        if (!rt_scan(&packet->scan, at, packet->json.len, packet->n_attachments)) {
            return "not JSON, or a placeholder without its attachment";
        }
    }
    return check_payload(packet);
}

void rt_packet_event(rt_event_t *event, const rt_packet_t *packet)
{
    const rt_scan_t *scan = &packet->scan;
    char *json = (char *)packet->json.at;

    memset(event, 0, sizeof(*event));
    event->name_is_number = scan->first_kind == '0';
    event->name.at = json + scan->first_start + !event->name_is_number;
    event->name.len = scan->first_end - scan->first_start - (event->name_is_number ? 0 : 2);
    if (scan->rest != 0) {
        json[scan->rest] = '[';
        event->args.at = json + scan->rest;
        event->args.len = scan->end - scan->rest;
    }
    else {
        event->args.at = "[]";
        event->args.len = 2;
    }
    event->wants_ack = packet->has_id;
    event->ack_id = packet->id;
}
