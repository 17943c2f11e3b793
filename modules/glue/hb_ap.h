/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_ap.h
 * What the HaloBuzz modules share inside httpd. State (the site, the op of a request, shared
 * memory) belongs to mod_halobuzz and is reached by the optional functions below; the
 * plain functions are a static library that each module links (no symbol crosses a module).
 */
#ifndef HB_AP_H
#define HB_AP_H

#include <httpd.h>
#include <http_config.h>
#include <apr_optional.h>

#include "hb_json.h"
#include "hb_op.h"
#include "hb_limit.h"
#include "hb_schema.h"
#include "hb_token.h"

/* --- optional functions: retrieve in post_config and in child_init --- */

/** mod_halobuzz: the site of this process. */
APR_DECLARE_OPTIONAL_FN(hb_site_t *, hb_ap_site, (server_rec *s));

/**
 * mod_halobuzz: the op of a request, made at the first call: request id, address
 * after mod_remoteip, user agent, Idempotency-Key, log sink. Never NULL.
 */
APR_DECLARE_OPTIONAL_FN(hb_op_t *, hb_ap_op, (request_rec *r));

/**
 * mod_halobuzz_auth: who is calling? Reads Authorization: Bearer, fills op->actor, sets r->user and
 * r->ap_auth_type. Without the header: APR_SUCCESS and a stranger. Else as hb_session_check().
 * The answer is kept for the request.
 */
APR_DECLARE_OPTIONAL_FN(apr_status_t, hb_ap_identify, (request_rec *r));

/**
 * mod_halobuzz_auth: what the request's token says of its caller, before its session is looked at: proved by
 * its signature, no more. NULL for a stranger, and for a token that is not accepted. Does not
 * wait.
 */
APR_DECLARE_OPTIONAL_FN(const hb_claims_t *, hb_ap_claims, (request_rec *r));

/**
 * mod_halobuzz_ratelimit: count this request in a class; sets RateLimit-* headers.
 * HB_E_LIMITED (problem with retry_after_sec set). Unknown classes are not limited.
 */
APR_DECLARE_OPTIONAL_FN(apr_status_t, hb_ap_limit, (request_rec *r, const char *class_name));

/**
 * mod_halobuzz_ratelimit: note the turn that hb_ap_limit() will take (hb_ahead.h), if the caller is
 * who the claims say.
 */
APR_DECLARE_OPTIONAL_FN(void, hb_ap_limit_ahead, (request_rec *r, const char *class_name,
                                                  const hb_claims_t *claims));

/**
 * mod_halobuzz: label rows of the metrics; the dispatcher says which row a request met (from 1).
 * -1: it is not counted, because its duration says nothing (a held poll).
 */
APR_DECLARE_OPTIONAL_FN(void, hb_ap_count_as, (request_rec *r, int route));

/** mod_halobuzz: the page of metrics, Prometheus text 0.0.4. Asks store and cache: waits. */
APR_DECLARE_OPTIONAL_FN(const char *, hb_ap_metrics_text, (request_rec *r));

/* --- modules that stand on others (hb_ap_need.c) --- */

/**
 * Is the module there that this one needs? For check_config, so that `apachectl configtest` says
 * it: a reload that finds it out later ends the server. Names are as in "halobuzz_api".
 * @return OK, or what check_config refuses with, after saying which LoadModule is missing
 */
int hb_ap_need_module(server_rec *s, apr_pool_t *ptemp, const char *name, const char *needed);

/* --- replies (hb_ap_reply.c) --- */

/** The HTTP status of a problem class: the only place where the two meet. */
int hb_ap_status(apr_status_t status);

/** Send text with a type; gives OK. */
int hb_ap_reply_text(request_rec *r, int http_status, const char *type, const char *text,
                     apr_size_t len);
/** Send JSON; gives OK. */
int hb_ap_reply_json(request_rec *r, int http_status, const hb_json_t *json);
/**
 * Send the op's problem (or status, when it has none) as application/problem+json; logs
 * 5xx; gives OK.
 */
int hb_ap_reply_problem(request_rec *r, hb_op_t *op, apr_status_t status);

/** The document itself, for whoever sends it otherwise; lives in op->pool. */
const char *hb_ap_problem_text(const hb_op_t *op, int http_status, apr_status_t status);
/** Cache-Control, WWW-Authenticate and Retry-After of a refusal, into the given table. */
void hb_ap_problem_headers(request_rec *r, apr_table_t *headers, const hb_op_t *op,
                           int http_status, apr_status_t status);

/* --- input (hb_ap_body.c) --- */

/**
 * Read the whole body, byte for byte, at most max bytes. HB_E_BODY_TOO_LARGE, HB_E_BODY_ENCODING,
 * HB_E_BODY_TIMEOUT, HB_E_REQUEST_REFUSED, with the problem set. Waits for the client.
 */
apr_status_t hb_ap_body_read(const char **body, apr_size_t *len, request_rec *r,
                             hb_op_t *op, apr_int64_t max);

/** The same as JSON: checks Content-Type first (application/json, or any +json). */
apr_status_t hb_ap_body_json(hb_json_t **json, request_rec *r, hb_op_t *op, apr_int64_t max);

/**
 * For a refusal that leaves a big body unread: close the connection soon, instead of having
 * httpd read all of the body to keep it. hb_ap_reply_problem() does this by itself.
 */
void hb_ap_leave_body(request_rec *r);

/* --- routes --- */

#define HB_NEED_USER      0x0001    /* a signed-in user */
#define HB_NEED_BODY      0x0002    /* a JSON body that fits .input */
#define HB_NEED_IDEM_KEY  0x0004    /* an Idempotency-Key header */
#define HB_MAY_BODY       0x0008    /* a body may be left out */
#define HB_GIVES_CREATED  0x0010    /* 201 instead of 200 */
#define HB_GIVES_NOTHING  0x0020    /* 204 */
#define HB_NO_LIMIT       0x0040    /* not counted by the limiter (health) */
#define HB_IN_MAINTENANCE 0x0080    /* answered during maintenance too */
#define HB_ANY_TOKEN      0x0100    /* a token that is not accepted makes a stranger: sign-in */
#define HB_RAW_BODY       0x0400    /* a body of any kind, which the action reads by itself */
#define HB_GIVES_ACCEPTED 0x0200    /* 202: taken, and done later */

typedef enum hb_method_e { M_HB_GET, M_HB_POST, M_HB_PATCH, M_HB_PUT, M_HB_DELETE } hb_method_e;

typedef struct hb_ap_call_t hb_ap_call_t;

/** Read the input, call the core, shape the answer. */
typedef apr_status_t hb_ap_action_fn(hb_ap_call_t *call);

/** Note what the action will ask of the cache (hb_ahead.h), before it is known who may call it. */
typedef void hb_ap_ahead_fn(hb_op_t *op, const hb_claims_t *claims);

typedef struct hb_route_t {
    hb_method_e method;
    const char *path;           /* "/streams/{id}" below /api/v1; from the root when it starts with "//" */
    unsigned int needs;         /* HB_NEED_ ... */
    const char *rate;           /* class of the limiter */
    hb_ap_action_fn *action;
    hb_ap_ahead_fn *ahead;      /* NULL for most */
    const char *sentence;       /* for people: /docs and DUMP_HB_ROUTES */
    hb_roles_t roles;           /* one of them is needed; 0 for none */
    const char *aliases;        /* other spellings, as path, separated by blanks */
    hb_shape_e input;           /* form of the body */
    hb_shape_e query;           /* form of the query string */
    const char *output;         /* reply shape or view ("users:self"); "[x]" is a list of x */
    const char *media;          /* without output: the type of the answer; NULL: text/plain */
    const char *errors;         /* codes worth telling in the docs, separated by blanks */
    const char *tag;            /* group in the docs: accounts, users, streams, operations */
} hb_route_t;

struct hb_ap_call_t {
    request_rec *r;
    hb_op_t *op;
    const hb_route_t *route;
    hb_json_t *input;           /* fits route->input; NULL when it has none */
    hb_json_t *query;           /* fits route->query; NULL when it has none */
    const char *path_name[4];   /* {names} of the template and what stands there, decoded */
    const char *path_value[4];
    /* the answer: one of the two */
    hb_json_t *reply;
    const char *reply_text;     /* ready-made, with reply_type (NULL: application/json) */
    apr_size_t reply_bytes;
    const char *reply_type;
    int reply_status;           /* 0: from the route's flags */
};

/** What stands at {name}; never NULL for a name of the template. */
const char *hb_ap_path_value(const hb_ap_call_t *call, const char *name);

/** How much of a list a checked query asks for: 20 where it says nothing. */
int hb_ap_limit_of(const hb_ap_call_t *call);
/** The cursor it goes on behind; NULL: from the start. */
const char *hb_ap_after_of(const hb_ap_call_t *call);

/** A module's rows: ap_register_provider(p, HB_AP_ROUTES, "accounts", "0", &set). */
#define HB_AP_ROUTES "halobuzz-routes"
typedef struct hb_route_set_t {
    const hb_route_t *routes;
    int n_routes;
} hb_route_set_t;

/**
 * Every row of every set, sets by name, rows as they stand: rows[i] is label i + 1 of
 * hb_ap_count_as(), in every process of a configuration. For check_config and later.
 */
int hb_ap_routes(const hb_route_t *const **rows, apr_pool_t *pool);

/** Where a template stands: "/streams" is "/api/v1/streams", "//health" is "/health". */
const char *hb_ap_route_path(const char *template_path, apr_pool_t *pool);

/** "GET", "POST" ... */
const char *hb_ap_method_name(hb_method_e method);

/**
 * Gauges that a module sets when somebody is about to look at them (metrics, server-status):
 * ap_register_provider(p, HB_AP_GAUGES, "realtime", "0", &gauges).
 */
#define HB_AP_GAUGES "halobuzz-gauges"
typedef struct hb_ap_gauges_t {
    void (*set)(hb_site_t *site);
} hb_ap_gauges_t;

/* --- programs beside httpd (hb_ap_program.c) --- */

/**
 * A program that httpd starts, watches, and stops; it survives a graceful reload. What it finds
 * when it starts is in hb_program.h. A module offers its row by
 * ap_register_provider(p, HB_AP_PROGRAMS, "realtime", "0", &row).
 */
#define HB_AP_PROGRAMS "halobuzz-programs"
typedef struct hb_ap_program_t {
    const char *role;           /* names its files in the runtime directory; at most 15 bytes */
    const char *file;           /* the program, in HaloBuzz' own libexec directory */
    apr_size_t path_offset;     /* of the setting that names another one, in hb_settings_t */
    const char *module_file;    /* "mod_halobuzz_realtime.c": whose LogLevel it follows */
    const char *secrets;        /* members of hb_settings_t that it gets, separated by blanks */
} hb_ap_program_t;

#endif /* HB_AP_H */
