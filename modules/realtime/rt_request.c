/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an HTTP request leads to. The order in which a handshake is checked, and the six answers of
 * Engine.IO, are those of the reference server.
 */
#include "rt_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <apr_strings.h>

#include "rt_memory.h"
#include "rt_status.h"

#define JSON_TYPE "application/json"
#define PROBLEM_TYPE "application/problem+json"

/* Where the supervisor and tests read the counters; httpd forwards nothing to it. */
#define STATUS_PATH "/.halobuzz/status"

typedef struct refusal_t {
    int status;
    const char *message;
} refusal_t;

/* By Engine.IO's code. */
static const refusal_t refusals[] = {
    { 400, "Transport unknown" },
    { 400, "Session ID unknown" },
    { 400, "Bad handshake method" },
    { 400, "Bad request" },
    { 403, "Forbidden" },
    { 400, "Unsupported protocol version" }
};

enum { TRANSPORT_UNKNOWN, SID_UNKNOWN, BAD_METHOD, BAD_REQUEST, FORBIDDEN, BAD_VERSION };

/* A WebSocket client gets the bare text and no connection to go on with. */
static void refuse_with(rt_conn_t *conn, const rt_head_t *head, int status, int code,
                        const char *message)
{
    char *quoted, *body;

    RT_COUNT(conn->loop, refused, 1);
    if (head->is_upgrade) {
        conn->keep_alive = 0;
        rt_conn_answer(conn, status == 403 ? 403 : 400, "text/html", "", message,
                       strlen(message));
        return;
    }
    quoted = apr_pcalloc(head->pool, strlen(message) * 6 + 3);
    rt_json_quote(quoted, message);
    body = apr_psprintf(head->pool, "{\"code\":%d,\"message\":%s}", code, quoted);
    rt_conn_answer(conn, status, JSON_TYPE, "", body, strlen(body));
}

static void refuse(rt_conn_t *conn, const rt_head_t *head, int code)
{
    refuse_with(conn, head, refusals[code].status, code, refusals[code].message);
}

/* The site has all connections it may have, or this address has. */
static void refuse_full(rt_conn_t *conn)
{
    static const char body[] = "{\"message\":\"too many connections\"}";

    conn->keep_alive = 0;
    rt_conn_answer(conn, 503, JSON_TYPE, "Retry-After: 5\r\n", body, sizeof(body) - 1);
}

/* Pages of other origins. */

static int lists_origin(const char *list, const char *origin)
{
    apr_size_t len = strlen(origin);

    while (*list != '\0') {
        list += strspn(list, " ,");
        if (strncmp(list, origin, len) == 0 && strchr(" ,", list[len]) != NULL) {
            return 1;
        }
        list += strcspn(list, ",");
    }
    return 0;
}

const char *rt_cors_headers(rt_loop_t *loop, const rt_head_t *head, apr_pool_t *pool)
{
    const char *allowed = rt_config(loop)->cors_origins;
    const char *origin = rt_head_field(head, "origin");

    if (allowed[0] == '\0') {
        return "";
    }
    if (strcmp(allowed, "*") == 0) {
        return "Access-Control-Allow-Origin: *\r\n";
    }
    if (origin == NULL || !rt_field_is_legal(origin) || !lists_origin(allowed, origin)) {
        return "Vary: Origin\r\n";
    }
    return apr_psprintf(pool, "Access-Control-Allow-Origin: %s\r\nVary: Origin\r\n"
                        "Access-Control-Allow-Credentials: true\r\n", origin);
}

static void answer_preflight(rt_conn_t *conn, const rt_head_t *head)
{
    const char *wanted = rt_head_field(head, "access-control-request-headers");
    const char *headers = "Access-Control-Allow-Methods: GET,HEAD,PUT,PATCH,POST,DELETE\r\n";

    if (wanted != NULL && rt_field_is_legal(wanted)) {
        headers = apr_psprintf(head->pool, "%sAccess-Control-Allow-Headers: %s\r\n"
                               "Vary: Access-Control-Request-Headers\r\n", headers, wanted);
    }
    rt_conn_answer(conn, 204, "", headers, "", 0);
}

/* Engine.IO. */

static rt_frame_t *open_packet(const rt_session_t *session)
{
    const rt_config_t *config = rt_config(session->loop);
    char text[256];
    int len = snprintf(text, sizeof(text), "0{\"sid\":\"%s\",\"upgrades\":[%s],"
                       "\"pingInterval\":%u,\"pingTimeout\":%u,\"maxPayload\":%u}",
                       session->sid, session->transport == RT_POLLING ? "\"websocket\"" : "",
                       config->ping_interval_msec, config->ping_timeout_msec,
                       config->payload_max);

    return rt_frame_eio(text, (apr_size_t)len);
}

static void handshake(rt_conn_t *conn, const rt_head_t *head, rt_door_e door, int is_websocket)
{
    const char *eio = rt_head_query(head, "EIO", head->pool);
    const char *b64 = rt_head_query(head, "b64", head->pool), *why;
    rt_session_t *session;

    if (eio == NULL || strcmp(eio, "4") != 0) {
        refuse(conn, head, BAD_VERSION);
        return;
    }
    session = rt_session_open(&why, conn, head, door, is_websocket ? RT_WEBSOCKET : RT_POLLING);
    if (session == NULL) {
        if (why != NULL) {
            refuse_with(conn, head, 403, FORBIDDEN, why);
        }
        else {
            refuse_full(conn);
        }
        return;
    }
    session->wants_base64 = is_websocket && b64 != NULL && strcmp(b64, "1") == 0;
    rt_session_put(session, open_packet(session));
    if (is_websocket) {
        if (!rt_websocket_open(conn, head, 0)) {
            rt_session_end(session, RT_GONE_TRANSPORT_ERROR, 0);
            refuse(conn, head, BAD_REQUEST);
            return;
        }
        if (conn->mode == RT_CONN_CLOSED) {     /* it was gone when we answered */
            rt_session_end(session, RT_GONE_TRANSPORT_CLOSE, 0);
            return;
        }
        if (conn->is_packed) {
            rt_queue_pack(&session->queue);
        }
        session->main = conn;
        conn->session = session;
    }
    else {
        rt_polling_get(session, conn);
    }
    if (door == RT_DOOR_ENGINE_IO) {
        rt_bytes_t nsp = { "/", 1 }, auth = { "{}", 2 };

        conn->loop->engine->app->connect(conn->loop->engine->app_data,
                                         rt_socket_make(session, nsp), auth);
    }
}

/* A WebSocket for a session that polls. */
static void upgrade(rt_conn_t *conn, const rt_head_t *head, rt_session_t *session)
{
    if (!rt_websocket_open(conn, head, 0)) {
        refuse(conn, head, BAD_REQUEST);
        return;
    }
    if (conn->mode == RT_CONN_CLOSED) {         /* it was gone when we answered */
        return;
    }
    if (session->transport != RT_POLLING || session->probe != NULL
        || session->life != RT_OPEN) {
        /* The first one stays. */
        rt_websocket_close(conn, 0, "");
        return;
    }
    session->probe = conn;
    conn->session = session;
    conn->alarm_kind = RT_RING_UPGRADE;
    rt_alarm_set(&conn->alarm, &conn->loop->rings[RT_RING_UPGRADE], rt_now(conn->loop));
}

/* @return the code of a refusal, or -1. *session is set when a sid was given. */
static int check(rt_session_t **session, rt_conn_t *conn, const rt_head_t *head, rt_door_e door,
                 const char *transport, const char *sid)
{
    const char *origin = rt_head_field(head, "origin");
    int is_websocket = transport != NULL && strcmp(transport, "websocket") == 0;

    *session = NULL;
    if (transport == NULL || (!is_websocket && strcmp(transport, "polling") != 0)) {
        return TRANSPORT_UNKNOWN;
    }
    if (origin != NULL && !rt_field_is_legal(origin)) {
        return BAD_REQUEST;
    }
    if (sid != NULL) {
        *session = rt_session_find(conn->loop, sid);
        if (*session == NULL || (*session)->door != door) {
            return SID_UNKNOWN;
        }
        if (head->is_upgrade != is_websocket
            || (!head->is_upgrade && (*session)->transport != RT_POLLING)) {
            return BAD_REQUEST;
        }
        return -1;
    }
    if (!rt_head_is_method(head, "GET")) {
        return BAD_METHOD;
    }
    return is_websocket != head->is_upgrade ? BAD_REQUEST : -1;
}

static void serve_eio(rt_conn_t *conn, const rt_head_t *head, rt_door_e door)
{
    const char *transport = rt_head_query(head, "transport", head->pool);
    const char *sid = rt_head_query(head, "sid", head->pool);
    rt_session_t *session;
    int code;

    if (rt_head_is_method(head, "OPTIONS") && rt_config(conn->loop)->cors_origins[0] != '\0') {
        answer_preflight(conn, head);
        return;
    }
    code = check(&session, conn, head, door, transport, sid);
    if (code >= 0) {
        refuse(conn, head, code);
    }
    else if (session == NULL) {
        handshake(conn, head, door, head->is_upgrade);
    }
    else if (head->is_upgrade) {
        upgrade(conn, head, session);
    }
    else if (rt_head_is_method(head, "GET")) {
        rt_polling_get(session, conn);
    }
    else if (rt_head_is_method(head, "POST")) {
        rt_polling_post(session, conn, head);
    }
    else {
        rt_conn_answer(conn, 500, "", "", "", 0);
    }
}

/* The other doors. */

static void put_stream_head(rt_conn_t *conn, const rt_head_t *head)
{
    const char *text = apr_pstrcat(head->pool, "HTTP/1.1 200 OK\r\n"
                                   "Content-Type: text/event-stream; charset=utf-8\r\n"
                                   "Cache-Control: no-store\r\nX-Accel-Buffering: no\r\n"
                                   "Connection: close\r\n",
                                   conn->cors != NULL ? conn->cors : "", "\r\n", NULL);

    conn->is_held = 1;
    conn->mode = RT_CONN_WAIT;
    rt_conn_write(conn, text, strlen(text));
}

typedef struct problem_t {
    int status;
    const char *code, *title;   /* as in hb_error.def, which this engine does not know */
} problem_t;

static const problem_t problems[] = {
    { 404, "not_found", "there is nothing here" },
    { 405, "method.not_allowed", "this address does not answer that method" },
    { 0, "request.refused", "the request cannot be answered as it stands" }
};

/* Before anybody is asked who it is: a problem document (RFC 9457). */
static void refuse_door(rt_conn_t *conn, const rt_head_t *head, int status, const char *detail)
{
    char *text = apr_pcalloc(head->pool, strlen(detail) * 6 + 3);
    char *id = apr_pcalloc(head->pool, strlen(head->request_id) * 6 + 3);
    const problem_t *problem = problems;
    const char *body;

    while (problem->status != 0 && problem->status != status) {
        problem++;
    }
    rt_json_quote(text, detail);
    rt_json_quote(id, head->request_id);
    body = apr_psprintf(head->pool, "{\"type\":\"/docs/errors#%s\",\"title\":\"%s\","
                        "\"status\":%d,\"code\":\"%s\",\"detail\":%s,\"requestId\":%s}",
                        problem->code, problem->title, status, problem->code, text, id);
    conn->keep_alive = 0;
    rt_conn_answer(conn, status, PROBLEM_TYPE, status == 405
                   ? "Cache-Control: no-store\r\nAllow: GET\r\n" : "Cache-Control: no-store\r\n",
                   body, strlen(body));
}

static void serve_other(rt_conn_t *conn, const rt_head_t *head, rt_door_e door)
{
    rt_engine_t *engine = conn->loop->engine;
    rt_bytes_t nsp = { "/", 1 }, auth = { "{}", 2 };
    rt_session_t *session;
    const char *why;

    if (!rt_head_is_method(head, "GET")) {
        refuse_door(conn, head, 405, "this address answers GET");
        return;
    }
    if (door == RT_DOOR_PLAIN && !head->is_upgrade) {
        refuse_door(conn, head, 426, "this address speaks WebSocket alone");
        return;
    }
    session = rt_session_open(&why, conn, head, door,
                              door == RT_DOOR_PLAIN ? RT_WEBSOCKET : RT_STREAM);
    if (session == NULL) {
        if (why != NULL) {
            refuse_door(conn, head, 403, why);
        }
        else {
            refuse_full(conn);
        }
        return;
    }
    if (door == RT_DOOR_PLAIN) {
        conn->is_plain = 1;
        if (!rt_websocket_open(conn, head, 1)) {
            rt_session_end(session, RT_GONE_TRANSPORT_ERROR, 0);
            refuse_door(conn, head, 400, "this is no handshake of WebSocket 13");
            return;
        }
        if (conn->is_packed) {
            rt_queue_pack(&session->queue);
        }
    }
    else {
        put_stream_head(conn, head);
    }
    conn->alarm_kind = RT_RING_HEAD;
    rt_alarm_set(&conn->alarm, &conn->loop->rings[RT_RING_HEAD], rt_now(conn->loop));
    session->main = conn;
    conn->session = session;
    engine->app->connect(engine->app_data, rt_socket_make(session, nsp), auth);
}

static void serve_status(rt_conn_t *conn, const rt_head_t *head)
{
    const char *body = rt_status_json(conn->loop->engine, head->pool);

    rt_conn_answer(conn, 200, JSON_TYPE, "Cache-Control: no-store\r\n", body, strlen(body));
}

/* Who the client is: httpd says it over the unix socket, strangers may not. */
static void set_client(rt_conn_t *conn, rt_head_t *head)
{
    const char *address = NULL, *id = NULL;

    if (conn->is_local && rt_config(conn->loop)->is_behind_httpd) {
        address = rt_head_field(head, "x-halobuzz-address");
        id = rt_head_field(head, "x-halobuzz-request-id");
    }
    head->address = address != NULL ? address : conn->is_local ? "local"
                    : rt_conn_peer(conn, head->pool);
    head->request_id = id != NULL ? id : "";
}

static int is_elsewhere(rt_conn_t *conn, const rt_head_t *head, const char *bytes,
                        apr_size_t len)
{
    const char *sid = rt_head_query(head, "sid", head->pool);
    int loop = sid != NULL && strlen(sid) == RT_SID_BYTES ? rt_sid_loop(sid) : -1;

    if (loop < 0 || loop == conn->loop->index || loop >= conn->loop->engine->n_loops) {
        return 0;
    }
    rt_conn_move(conn, &conn->loop->engine->loops[loop], bytes, len);
    return 1;
}

static void serve(rt_conn_t *conn, rt_head_t *head)
{
    rt_engine_t *engine = conn->loop->engine;
    const char *cors;
    rt_door_e door;

    RT_COUNT(conn->loop, requests, 1);
    set_client(conn, head);
    conn->keep_alive = head->keep_alive != 0;
    free(conn->cors);
    cors = rt_cors_headers(conn->loop, head, head->pool);
    conn->cors = cors[0] != '\0' ? rt_need_text(cors) : NULL;
    if (strcmp(head->path_text, STATUS_PATH) == 0 && rt_head_is_method(head, "GET")) {
        serve_status(conn, head);
        return;
    }
    door = engine->app->door(engine->app_data, head);
    if ((head->body_len > 0 || head->is_chunked) && !(rt_head_is_method(head, "POST")
        && (door == RT_DOOR_SOCKET_IO || door == RT_DOOR_ENGINE_IO))) {
        /* A body nobody will read: what follows it cannot be found. */
        conn->keep_alive = 0;
    }
    switch (door) {
    case RT_DOOR_SOCKET_IO:
    case RT_DOOR_ENGINE_IO:
        serve_eio(conn, head, door);
        break;
    case RT_DOOR_PLAIN:
    case RT_DOOR_STREAM:
        serve_other(conn, head, door);
        break;
    case RT_DOOR_NONE:
        refuse_door(conn, head, 404, "no call has this address");
        break;
    }
}

apr_size_t rt_request_read(rt_conn_t *conn, char *bytes, apr_size_t len)
{
    rt_loop_t *loop = conn->loop;
    apr_size_t head_len = rt_head_end(bytes, len, conn->in_len == len ? conn->scanned : 0);
    rt_head_t head;
    int status;

    if (head_len == 0 && len < RT_HEAD_MAX) {
        conn->scanned = (uint32_t)len;
        return 0;
    }
    conn->scanned = 0;
    if (loop->n_reading++ == 0) {
        apr_pool_clear(loop->scratch);
    }
    status = head_len == 0 || head_len > RT_HEAD_MAX ? 431
             : rt_head_read(&head, bytes, head_len, loop->scratch);
    if (status != 0) {
        conn->keep_alive = 0;
        rt_conn_answer(conn, status, "", "", "", 0);
        head_len = len;
    }
    else if (is_elsewhere(conn, &head, bytes, len)) {
        head_len = len;
    }
    else {
        serve(conn, &head);
    }
    loop->n_reading--;
    return head_len;
}
