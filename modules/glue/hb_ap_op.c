/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request's unit of work: its id, its address, where its log lines go. The id is in the
 * answer's X-Request-Id, in both logs and in problem documents; a trusted proxy (one that
 * mod_remoteip believes) may name it.
 */
#include "mod_halobuzz.h"

#include <string.h>

#include <apr_lib.h>
#include <apr_general.h>
#include <apr_strings.h>
#include <http_protocol.h>
#include <http_request.h>

APLOG_USE_MODULE(halobuzz);

#define ID_BYTES 20             /* of 5 bits each: 100 bits */
#define ID_MAX_BYTES 64

/* --- ids --- */

/* Randomness for some hundred ids, drawn at once: an id costs no system call. A child may
 * not use what its parent drew, hence the epoch. */
static __thread struct {
    unsigned int epoch;
    unsigned int used;
    unsigned char bytes[ID_BYTES * 200];
} drawn;

static unsigned int epoch = 1;

void hb_ap_op_child_init(void)
{
    epoch++;
}

static const char *make_id(apr_pool_t *pool)
{
    static const char alphabet[] = "0123456789abcdefghijklmnopqrstuv";
    char *id = apr_palloc(pool, ID_BYTES + 1);
    int i;

    if (drawn.epoch != epoch || drawn.used == sizeof(drawn.bytes)) {
        if (apr_generate_random_bytes(drawn.bytes, sizeof(drawn.bytes)) != APR_SUCCESS) {
            apr_uint64_t now = (apr_uint64_t)apr_time_now();
            apr_size_t n;

            /* An id has to be unlike others, not secret. */
            for (n = 0; n < sizeof(drawn.bytes); n++) {
                now = now * 6364136223846793005ULL + 1442695040888963407ULL;
                drawn.bytes[n] ^= (unsigned char)(now >> 33);
            }
        }
        drawn.epoch = epoch;
        drawn.used = 0;
    }
    for (i = 0; i < ID_BYTES; i++) {
        id[i] = alphabet[drawn.bytes[drawn.used++] & 31];
    }
    id[ID_BYTES] = '\0';
    return id;
}

static int is_acceptable(const char *id)
{
    apr_size_t n;

    for (n = 0; id[n] != '\0'; n++) {
        if (n == ID_MAX_BYTES || !(apr_isalnum(id[n]) || strchr("._-", id[n]) != NULL)) {
            return 0;
        }
    }
    return n > 0;
}

/* The request that came in: redirects and subrequests are its, and share its id. */
static const request_rec *origin_of(const request_rec *r)
{
    while (r->main != NULL || r->prev != NULL) {
        r = r->main != NULL ? r->main : r->prev;
    }
    return r;
}

static int generate_log_id(const conn_rec *c, const request_rec *r, const char **id)
{
    if (r == NULL) {
        *id = make_id(c->pool);
        return OK;
    }
    r = origin_of(r);
    if (r->log_id != NULL) {
        *id = r->log_id;
        return OK;
    }
    if (hb_ap_state.has_unique_id) {
        const char *unique = apr_table_get(r->subprocess_env, "UNIQUE_ID");

        if (unique != NULL) {
            *id = unique;
            return OK;
        }
    }
    *id = make_id(r->pool);
    return OK;
}

const char *hb_ap_id(request_rec *r)
{
    if (r->log_id == NULL) {
        request_rec *origin = (request_rec *)origin_of(r);

        if (origin->log_id == NULL) {
            generate_log_id(origin->connection, origin, &origin->log_id);
        }
        r->log_id = origin->log_id;
    }
    return r->log_id;
}

/* After mod_remoteip: the id is settled before anybody logs under it. */
static int settle_id(request_rec *r)
{
    if (r->useragent_addr != r->connection->client_addr) {
        const char *id = apr_table_get(r->headers_in, "X-Request-Id");

        if (id != NULL && is_acceptable(id)) {
            r->log_id = id;
        }
    }
    hb_ap_id(r);
    return DECLINED;
}

/* --- log lines --- */

/*
 * Lines of the core come with a number; its range says which module an operator would
 * look for, so that LogLevel halobuzz_auth:debug shows what the core says about tokens.
 */
static struct area_t {
    int from;                   /* first number of the area */
    const char *module_file;
    int module_index;
} areas[] = {
    { 9000, "mod_halobuzz_webhooks.c", APLOG_NO_MODULE },
    { 5000, "mod_halobuzz.c", APLOG_NO_MODULE },     /* programs, and what has no module of its own */
    { 4000, "mod_halobuzz_api.c", APLOG_NO_MODULE },
    { 3500, "mod_halobuzz_ratelimit.c", APLOG_NO_MODULE },
    { 3000, "mod_halobuzz_auth.c", APLOG_NO_MODULE },
    { 0, "mod_halobuzz.c", APLOG_NO_MODULE }
};

#define N_AREAS ((int)(sizeof(areas) / sizeof(areas[0])))

void hb_ap_op_post_config(void)
{
    int i;

    for (i = 0; i < N_AREAS; i++) {
        const module *m = ap_find_linked_module(areas[i].module_file);

        areas[i].module_index = m != NULL ? m->module_index : halobuzz_module.module_index;
    }
    hb_ap_state.has_unique_id = ap_find_linked_module("mod_unique_id.c") != NULL;
}

static int area_of(const char *line)
{
    int number = strncmp(line, "HB", 2) == 0 ? atoi(line + 2) : 0;
    int i = 0;

    while (number < areas[i].from) {
        i++;
    }
    return i;
}

/* A status of ours has its text in our table, which httpd does not know. */
static const char *own_text(apr_status_t *status)
{
    const char *text = "";

    if (*status > HB_E_BEFORE_FIRST && *status < HB_E_AFTER_LAST) {
        text = hb_strerror(*status, NULL, 0);
        *status = APR_SUCCESS;
    }
    return text;
}

static void request_sink(void *baton, hb_level_e level, apr_status_t status,
                         const char *request_id, const char *line)
{
    request_rec *r = baton;
    int index = areas[area_of(line)].module_index;
    const char *text = own_text(&status);

    (void)request_id;           /* httpd prints r->log_id, which is the same */
    if ((int)level <= ap_get_request_module_loglevel(r, index)) {
        ap_log_rerror_(NULL, 0, index, (int)level, status, r, "%s%s%s", line,
                       *text != '\0' ? ": " : "", text);
    }
}

static void server_sink(void *baton, hb_level_e level, apr_status_t status,
                        const char *request_id, const char *line)
{
    server_rec *s = baton;
    int index = areas[area_of(line)].module_index;
    const char *text = own_text(&status);

    if ((int)level <= ap_get_server_module_loglevel(s, index)) {
        ap_log_error_(NULL, 0, index, (int)level, status, s, "%s%s%s%s%s", line,
                      *text != '\0' ? ": " : "", text,
                      request_id != NULL ? ", request " : "",
                      request_id != NULL ? request_id : "");
    }
}

hb_log_t hb_ap_server_log(server_rec *s)
{
    hb_log_t log = { server_sink, s, HB_LOG_CRIT };
    int i;

    for (i = 0; i < N_AREAS; i++) {
        int level = ap_get_server_module_loglevel(s, areas[i].module_index);

        if (level > (int)log.level) {
            log.level = level > HB_LOG_TRACE ? HB_LOG_TRACE : (hb_level_e)level;
        }
    }
    return log;
}

/* --- ops --- */

hb_ap_request_t *hb_ap_request(request_rec *r)
{
    hb_ap_request_t *request;

    r = (request_rec *)origin_of(r);
    request = ap_get_module_config(r->request_config, &halobuzz_module);
    if (request == NULL) {
        request = apr_pcalloc(r->pool, sizeof(*request));
        ap_set_module_config(r->request_config, &halobuzz_module, request);
    }
    return request;
}

hb_op_t *hb_ap_op(request_rec *r)
{
    hb_ap_request_t *request = hb_ap_request(r);
    hb_op_t *op = request->op;
    int i;

    if (op != NULL) {
        return op;
    }
    r = (request_rec *)origin_of(r);
    hb_ap_start_request(r->pool);
    op = hb_op_make_as(hb_ap_state.site, r->pool, hb_ap_id(r));
    op->address = r->useragent_ip;
    op->user_agent = apr_table_get(r->headers_in, "User-Agent");
    op->idem_key = apr_table_get(r->headers_in, "Idempotency-Key");
    op->log.sink = request_sink;
    op->log.baton = r;
    op->log.level = HB_LOG_CRIT;
    for (i = 0; i < N_AREAS; i++) {
        int level = ap_get_request_module_loglevel(r, areas[i].module_index);

        if (level > (int)op->log.level) {
            op->log.level = level > HB_LOG_TRACE ? HB_LOG_TRACE : (hb_level_e)level;
        }
    }
    request->op = op;
    return op;
}

hb_site_t *hb_ap_site(server_rec *s)
{
    (void)s;                    /* one platform to a server, whatever the virtual host */
    return hb_ap_state.site;
}

static void hb_ap_count_as(request_rec *r, int route)
{
    hb_ap_request(r)->route = route;
}

void hb_ap_op_register(void)
{
    static const char *const before_us[] = { "mod_remoteip.c", "mod_unique_id.c", NULL };

    APR_REGISTER_OPTIONAL_FN(hb_ap_site);
    APR_REGISTER_OPTIONAL_FN(hb_ap_op);
    APR_REGISTER_OPTIONAL_FN(hb_ap_count_as);
    ap_hook_generate_log_id(generate_log_id, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_post_read_request(settle_id, before_us, NULL, APR_HOOK_FIRST);
}
