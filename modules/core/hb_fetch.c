/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP to other services through libcurl. Handles are kept in the process with their open
 * connections; what is known of a host that does not answer is hb_fetch_host.c's.
 */
#include "hb_fetch.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>
#include <apr_thread_mutex.h>
#include <curl/curl.h>
#include <openssl/err.h>

#include "hb_fetch_host.h"
#include "hb_metrics.h"

#define HANDLES_MAX 16
#define CONNECT_MSEC 5000L
#define ANSWER_MAX_BYTES (256 * 1024)
#define PAUSE_USEC apr_time_from_msec(250)
#define PAUSE_MAX_USEC apr_time_from_sec(2)
#define TRY_MIN_USEC apr_time_from_msec(500)    /* with less left, another try is no use */

struct hb_fetch_pool_t {
    apr_thread_mutex_t *lock;
    CURL *idle[HANDLES_MAX];
    int n_idle;
    hb_fetch_hosts_t *hosts;
};

/* What one try brought. */
typedef struct try_t {
    hb_fetch_answer_t *answer;
    apr_pool_t *pool;
    char *bytes;
    apr_size_t room, max;
    int is_too_large;
    int should_retry;           /* Stripe-Should-Retry: 1, 0; -1 not said */
    char problem[CURL_ERROR_SIZE];
} try_t;

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void start_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static apr_status_t drop_handles(void *baton)
{
    struct hb_fetch_pool_t *kept = baton;

    while (kept->n_idle > 0) {
        curl_easy_cleanup(kept->idle[--kept->n_idle]);
    }
    ERR_clear_error();
    return APR_SUCCESS;
}

apr_status_t hb_fetch_open(struct hb_fetch_pool_t **made, apr_pool_t *pool)
{
    struct hb_fetch_pool_t *kept = apr_pcalloc(pool, sizeof(*kept));
    apr_status_t rv;

    *made = NULL;
    rv = apr_thread_mutex_create(&kept->lock, APR_THREAD_MUTEX_DEFAULT, pool);
    if (rv == APR_SUCCESS) {
        rv = hb_fetch_hosts_make(&kept->hosts, pool);
    }
    if (rv == APR_SUCCESS) {
        apr_pool_cleanup_register(pool, kept, drop_handles, apr_pool_cleanup_null);
        *made = kept;
    }
    return rv;
}

static CURL *take_handle(struct hb_fetch_pool_t *kept)
{
    CURL *curl = NULL;

    pthread_once(&curl_once, start_curl);
    apr_thread_mutex_lock(kept->lock);
    if (kept->n_idle > 0) {
        curl = kept->idle[--kept->n_idle];
    }
    apr_thread_mutex_unlock(kept->lock);
    return curl != NULL ? curl : curl_easy_init();
}

static void give_handle(struct hb_fetch_pool_t *kept, CURL *curl)
{
    curl_easy_reset(curl);      /* forgets the headers, which hold keys; keeps the connection */
    apr_thread_mutex_lock(kept->lock);
    if (kept->n_idle < HANDLES_MAX) {
        kept->idle[kept->n_idle++] = curl;
        curl = NULL;
    }
    apr_thread_mutex_unlock(kept->lock);
    curl_easy_cleanup(curl);
    ERR_clear_error();
}

/* --- addresses --- */

/* "scheme://host:port" of an address we may call; NULL with a sentence otherwise. */
static const char *host_of(const char **why, const char *url, apr_pool_t *pool)
{
    CURLU *parts = curl_url();
    char *scheme = NULL, *host = NULL, *port = NULL, *user = NULL;
    const char *name = NULL;
    int is_here;

    *why = "it is no address of the form https://host/path";
    /* libcurl also takes https:/host, which nobody means. */
    if (parts != NULL && strstr(url, "://") != NULL
        && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK
        && curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK
        && curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK
        && curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK
        && curl_url_get(parts, CURLUPART_USER, &user, 0) == CURLUE_NO_USER) {
        is_here = strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0
            || (strncmp(host, "127.", 4) == 0 && host[strspn(host, "0123456789.")] == '\0');
        if (strcmp(scheme, "https") == 0 || (is_here && strcmp(scheme, "http") == 0)) {
            name = apr_psprintf(pool, "%s://%s:%s", scheme, host, port);
        }
        else if (strcmp(scheme, "http") == 0) {
            *why = "http without TLS is only for this host itself; write https://";
        }
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_free(user);
    curl_url_cleanup(parts);
    return name;
}

const char *hb_fetch_url_check(const char *url, apr_pool_t *pool)
{
    const char *why;

    return host_of(&why, url, pool) != NULL ? NULL : why;
}

/* --- one try --- */

static size_t take_body(char *bytes, size_t size, size_t n, void *baton)
{
    try_t *try = baton;
    apr_size_t more = size * n, len = try->answer->len;

    if (more > try->max - len) {
        try->is_too_large = 1;
        return 0;               /* libcurl takes this for an error */
    }
    if (len + more + 1 > try->room) {
        char *bigger;

        try->room = (len + more + 1) * 2;
        bigger = apr_palloc(try->pool, try->room);
        if (len > 0) {
            memcpy(bigger, try->bytes, len);
        }
        try->bytes = bigger;
    }
    memcpy(try->bytes + len, bytes, more);
    try->answer->len = len + more;
    return more;
}

/* The value when this header line has this name, trimmed; else NULL. */
static const char *header_value(apr_pool_t *pool, const char *line, apr_size_t len,
                                const char *name)
{
    apr_size_t n = strlen(name);

    if (len <= n || strncasecmp(line, name, n) != 0 || line[n] != ':') {
        return NULL;
    }
    for (n++; n < len && (line[n] == ' ' || line[n] == '\t'); n++) {
    }
    while (len > n && (unsigned char)line[len - 1] <= ' ') {
        len--;
    }
    return apr_pstrmemdup(pool, line + n, len - n);
}

/* An id for our log: what is no plain word is not worth keeping. */
static const char *plain_id(const char *value)
{
    apr_size_t n = strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                          "0123456789-_.");

    return n > 0 && n <= 100 && value[n] == '\0' ? value : NULL;
}

static size_t take_header(char *line, size_t size, size_t n, void *baton)
{
    try_t *try = baton;
    apr_size_t len = size * n;
    const char *value;

    if ((value = header_value(try->pool, line, len, "Request-Id")) != NULL) {
        try->answer->request_id = plain_id(value);
    }
    else if ((value = header_value(try->pool, line, len, "Stripe-Should-Retry")) != NULL) {
        try->should_retry = strcmp(value, "true") == 0 ? 1 : strcmp(value, "false") == 0 ? 0 : -1;
    }
    else if ((value = header_value(try->pool, line, len, "Idempotent-Replayed")) != NULL) {
        try->answer->is_replayed = strcmp(value, "true") == 0;
    }
    else if ((value = header_value(try->pool, line, len, "Retry-After")) != NULL) {
        int sec = atoi(value);

        try->answer->retry_after_sec = sec > 0 && sec <= 86400 ? sec : 0;
    }
    return len;
}

static struct curl_slist *header_lines(const hb_fetch_t *fetch, apr_pool_t *pool)
{
    struct curl_slist *lines = curl_slist_append(NULL, "Accept: application/json");
    int i;

    lines = curl_slist_append(lines, "Expect:");
    if (fetch->body != NULL && fetch->type != NULL) {
        lines = curl_slist_append(lines, apr_pstrcat(pool, "Content-Type: ", fetch->type, NULL));
    }
    for (i = 0; fetch->headers != NULL && fetch->headers[i] != NULL; i++) {
        lines = curl_slist_append(lines, fetch->headers[i]);
    }
    return lines;
}

static void set_options(CURL *curl, try_t *try, const hb_fetch_t *fetch,
                        apr_interval_time_t left)
{
    long msec = (long)(left / 1000);

    curl_easy_setopt(curl, CURLOPT_URL, fetch->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, msec < CONNECT_MSEC ? msec : CONNECT_MSEC);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, msec);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "HaloBuzz/" HB_VERSION);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, try->problem);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, try);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, try);
    if (fetch->body != NULL) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, fetch->body);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)fetch->len);
    }
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, fetch->method);
    /* libcurl repeats a call by itself when a kept connection breaks before an answer. */
    curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT,
                     fetch->body != NULL && fetch->tries <= 1 ? 1L : 0L);
}

/* Could the service have seen the call? Not before a connection stood. */
static int may_have_arrived(CURLcode code)
{
    return code != CURLE_COULDNT_CONNECT && code != CURLE_COULDNT_RESOLVE_HOST
        && code != CURLE_PEER_FAILED_VERIFICATION && code != CURLE_SSL_CONNECT_ERROR
        && code != CURLE_OUT_OF_MEMORY && code != CURLE_URL_MALFORMAT;
}

static const char *why_not(const try_t *try, CURLcode code)
{
    if (try->is_too_large) {
        return apr_psprintf(try->pool, "the answer is larger than %" APR_SIZE_T_FMT " bytes",
                            try->max);
    }
    return apr_pstrdup(try->pool, *try->problem != '\0' ? try->problem : curl_easy_strerror(code));
}

static void try_once(try_t *try, hb_op_t *op, CURL *curl, const hb_fetch_t *fetch,
                     apr_interval_time_t left)
{
    hb_fetch_answer_t *answer = try->answer;
    struct curl_slist *lines = header_lines(fetch, op->pool);
    const char *type = NULL, *why;
    CURLcode code;
    long status = 0;

    set_options(curl, try, fetch, left);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, lines);
    code = curl_easy_perform(curl);
    curl_slist_free_all(lines);
    ERR_clear_error();
    answer->was_sent |= may_have_arrived(code);
    if (code != CURLE_OK) {
        answer->why = why_not(try, code);
        return;
    }
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
    answer->status = (int)status;
    answer->type = type != NULL ? apr_pstrmemdup(op->pool, type, strcspn(type, "; ")) : "";
    if (try->bytes != NULL) {
        try->bytes[answer->len] = '\0';
        answer->body = try->bytes;
    }
    if (answer->len > 0
        && hb_json_parse(&answer->json, &why, answer->body, answer->len, op->pool)
           != APR_SUCCESS) {
        answer->json = NULL;
    }
}

/* --- all tries --- */

static int worth_another(const try_t *try)
{
    int status = try->answer->status;

    if (status != 0 && try->should_retry >= 0) {
        return try->should_retry;
    }
    return (status == 0 && !try->is_too_large) || status == 409 || status == 429 || status >= 500;
}

/* The path for the log: a query or anything behind it may tell about people. */
static const char *path_of(const hb_fetch_t *fetch, apr_pool_t *pool)
{
    const char *host = strstr(fetch->url, "://");
    const char *path = host != NULL ? strchr(host + 3, '/') : NULL;

    return path != NULL ? apr_pstrmemdup(pool, path, strcspn(path, "?#")) : "/";
}

/* Rows of the table of metrics, behind that of the answered ones. */
enum { ANSWERED, FAILED, HELD };

_Static_assert(HB_M_FETCH + HELD == HB_M_FETCH_HELD
               && HB_M_FETCH_STRIPE + HELD == HB_M_FETCH_STRIPE_HELD
               && HB_M_FETCH_ESEWA + HELD == HB_M_FETCH_ESEWA_HELD
               && HB_M_FETCH_KHALTI + HELD == HB_M_FETCH_KHALTI_HELD,
               "rows of hb_metrics.def are out of order");

static void count(const hb_op_t *op, const hb_fetch_t *fetch, int result)
{
    hb_metric_add(op->site->metrics,
                  (hb_metric_e)((fetch->count != 0 ? fetch->count : HB_M_FETCH) + result), 1);
}

static void note_try(hb_op_t *op, const hb_fetch_t *fetch, const hb_fetch_answer_t *answer,
                     apr_interval_time_t took)
{
    const char *path = fetch->is_path_secret ? "(its path is secret)" : path_of(fetch, op->pool);
    const char *id = answer->request_id != NULL ? answer->request_id : "-";
    int msec = (int)(took / 1000);

    hb_metric_add(op->site->metrics, HB_M_FETCH_USEC, took);
    count(op, fetch, answer->status != 0 && answer->status < 500 ? ANSWERED : FAILED);
    if (answer->status == 0) {
        hb_log(op, HB_LOG_WARNING, 0, HBLOGNO(00410) "%s %s %s: no answer after %d ms: %s",
               fetch->service, fetch->method, path, msec, answer->why);
    }
    else if (answer->status >= 500 || answer->status == 429) {
        hb_log(op, HB_LOG_WARNING, 0, HBLOGNO(00411) "%s %s %s: %d after %d ms, request id %s",
               fetch->service, fetch->method, path, answer->status, msec, id);
    }
    else {
        hb_log(op, HB_LOG_DEBUG, 0, HBLOGNO(00412) "%s %s %s: %d after %d ms, request id %s",
               fetch->service, fetch->method, path, answer->status, msec, id);
    }
}

/* How long to wait before try n (from 1), half of it by chance so that not all come at once. */
static apr_interval_time_t pause_before(hb_op_t *op, int n, int retry_after_sec)
{
    apr_interval_time_t pause = PAUSE_USEC << (n < 4 ? n - 1 : 3);
    unsigned char chance = 0;

    if (pause > PAUSE_MAX_USEC) {
        pause = PAUSE_MAX_USEC;
    }
    op->site->random(op->site->baton, &chance, 1);
    pause = pause / 2 + pause / 2 * chance / 255;
    return retry_after_sec > 0 && pause < apr_time_from_sec(retry_after_sec)
           ? apr_time_from_sec(retry_after_sec) : pause;
}

static apr_status_t fetch_with(hb_fetch_answer_t *answer, hb_op_t *op, CURL *curl,
                               const hb_fetch_t *fetch, const char *host)
{
    struct hb_fetch_pool_t *kept = op->site->fetch;
    apr_interval_time_t wait = fetch->wait_usec > 0 ? fetch->wait_usec
                               : op->site->settings->payment_wait;
    apr_time_t first = apr_time_now(), begun, now;
    int n, tries = fetch->tries > 0 ? fetch->tries : 1;

    for (n = 1; ; n++) {
        try_t try = { .answer = answer, .pool = op->pool, .should_retry = -1,
                      .max = fetch->answer_max_bytes > 0 ? fetch->answer_max_bytes
                             : ANSWER_MAX_BYTES };
        int was_sent = answer->was_sent;
        apr_interval_time_t pause;

        memset(answer, 0, sizeof(*answer));
        answer->was_sent = was_sent;
        answer->type = answer->body = "";
        begun = apr_time_now();
        try_once(&try, op, curl, fetch, first + wait - begun);
        now = apr_time_now();
        note_try(op, fetch, answer, now - begun);
        hb_fetch_host_note(kept->hosts, op, host, answer->status != 0 && answer->status < 500);
        if (n >= tries || !worth_another(&try)) {
            break;
        }
        pause = pause_before(op, n, answer->retry_after_sec);
        if (now < first || first + wait - now < pause + TRY_MIN_USEC) {
            break;              /* no time left, or the clock was set */
        }
        apr_sleep(pause);
    }
    return answer->status != 0 ? APR_SUCCESS : HB_E_UPSTREAM;
}

apr_status_t hb_fetch(hb_fetch_answer_t *answer, hb_op_t *op, const hb_fetch_t *fetch)
{
    struct hb_fetch_pool_t *kept = op->site->fetch;
    const char *host, *why = NULL;
    apr_status_t rv;
    CURL *curl;

    memset(answer, 0, sizeof(*answer));
    answer->type = answer->body = "";
    host = host_of(&why, fetch->url, op->pool);
    if (host == NULL || kept == NULL || op->tx != NULL) {
        answer->why = host == NULL ? why : "calls out are not made here";
        hb_log(op, HB_LOG_ERR, 0, HBLOGNO(00413) "%s cannot be called: %s", fetch->service,
               answer->why);
        return host == NULL ? HB_E_CONFIG : HB_E_INTERNAL;
    }
    answer->retry_after_sec = hb_fetch_host_enter(kept->hosts, op, host);
    if (answer->retry_after_sec > 0) {
        answer->why = apr_psprintf(op->pool, "%s does not answer, or not fast enough: it is left "
                                   "alone for %d s", host, answer->retry_after_sec);
        count(op, fetch, HELD);
        hb_log(op, HB_LOG_INFO, 0, HBLOGNO(00414) "%s is not called: %s", fetch->service,
               answer->why);
        return HB_E_UPSTREAM;
    }
    curl = take_handle(kept);
    if (curl == NULL) {
        answer->why = "no memory";
        rv = HB_E_INTERNAL;
    }
    else {
        rv = fetch_with(answer, op, curl, fetch, host);
        give_handle(kept, curl);
    }
    hb_fetch_host_leave(kept->hosts, host);
    return rv;
}
