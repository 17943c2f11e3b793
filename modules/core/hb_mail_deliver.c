/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Delivering spooled mail to an SMTP server through libcurl. A mail leaves the spool only
 * after the server took it or refused it for good, so a death in between sends it twice at
 * worst, under one Message-ID.
 *
 * smtp:// asks for STARTTLS and sends nothing without it, except to this host itself, where
 * the certificate of a local relay could not be checked and nobody listens in.
 */
#include "hb_mail_spool.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_file_info.h>
#include <apr_file_io.h>
#include <apr_strings.h>
#include <apr_tables.h>

#include <curl/curl.h>
#include <openssl/err.h>

#include "hb_metrics.h"

#define MAILS_MAX 500               /* of one run; the next one takes the rest */
#define MESSAGE_MAX_BYTES (2 * 1024 * 1024)
#define CONNECT_MSEC 10000L
#define SEND_MSEC 60000L
#define BACKOFF_SEC 60
#define BACKOFF_DOUBLINGS 6         /* 1 minute, 2, 4 ... about an hour */
#define HOLD_SEC 30                 /* the same for a server that is not there, */
#define HOLD_MAX_SEC 300            /* to notice soon that it is back */
#define SILENT_MAX 3                /* unanswered mails in a row before the server counts as gone */
#define GIVE_UP_USEC apr_time_from_sec(5 * 86400)   /* RFC 5321, 4.5.4.1 */
#define ORPHAN_USEC apr_time_from_sec(3600)

/* How a mail fared. */
typedef enum verdict_e { SENT, LATER, NEVER, SILENT, NO_SERVER } verdict_e;

/* Kept in the lock file: how often in a row the server was not there, and until when to wait. */
typedef struct hold_t {
    int tries;
    apr_time_t not_before;
} hold_t;

typedef struct entry_t {
    const char *file;
    hb_mail_name_t name;
} entry_t;

/* One conversation with the server. */
typedef struct talk_t {
    const char *text;
    apr_size_t left;
    int about_mail;             /* the last command was about this recipient or text */
} talk_t;

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void start_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* The server's address as curl wants it; NULL when the setting is none. */
static const char *server_url(int *is_local, const char *setting, apr_pool_t *pool)
{
    const char *text = strstr(setting, "://") != NULL ? setting
        : apr_pstrcat(pool, "smtp://", setting, NULL);
    CURLU *parts = curl_url();
    char *scheme = NULL, *host = NULL, *user = NULL, *port = NULL;
    const char *url = NULL;

    if (parts != NULL && curl_url_set(parts, CURLUPART_URL, text, 0) == CURLUE_OK
        && curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK
        && curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK
        && (strcmp(scheme, "smtp") == 0 || strcmp(scheme, "smtps") == 0)
        && curl_url_get(parts, CURLUPART_USER, &user, 0) == CURLUE_NO_USER) {
        /* 25 is for servers among each other; who hands mail in uses 587. */
        curl_url_get(parts, CURLUPART_PORT, &port, 0);
        url = apr_psprintf(pool, "%s://%s:%s", scheme, host, port != NULL ? port
                           : strcmp(scheme, "smtps") == 0 ? "465" : "587");
        *is_local = strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0
            || (strncmp(host, "127.", 4) == 0 && host[strspn(host, "0123456789.")] == '\0');
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(user);
    curl_free(port);
    curl_url_cleanup(parts);
    return url;
}

static size_t give_text(char *buf, size_t size, size_t n, void *baton)
{
    talk_t *talk = baton;
    size_t len = size * n;

    if (len > talk->left) {
        len = talk->left;
    }
    memcpy(buf, talk->text, len);
    talk->text += len;
    talk->left -= len;
    return len;
}

/* Commands on their way out: which one a refusal answers decides whose fault it is. */
static int watch(CURL *curl, curl_infotype type, char *data, size_t len, void *baton)
{
    talk_t *talk = baton;

    (void)curl;
    if (type == CURLINFO_HEADER_OUT && len >= 4 && strncmp(data, "QUIT", 4) != 0) {
        talk->about_mail = strncmp(data, "RCPT", 4) == 0 || strncmp(data, "DATA", 4) == 0;
    }
    return 0;
}

static int break_off(void *baton, curl_off_t down_all, curl_off_t down, curl_off_t up_all,
                     curl_off_t up)
{
    (void)baton;
    (void)down_all;
    (void)down;
    (void)up_all;
    (void)up;
    return hb_mail_is_stopped();    /* curl asks at least once a second */
}

static CURL *curl_make(const hb_op_t *op, const char *url, int is_local, char *problem)
{
    const hb_settings_t *settings = op->site->settings;
    CURL *curl;

    pthread_once(&curl_once, start_curl);
    curl = curl_easy_init();
    if (curl == NULL) {
        return NULL;
    }
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MSEC);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, SEND_MSEC);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, problem);
    curl_easy_setopt(curl, CURLOPT_USE_SSL,
                     (long)(is_local ? CURLUSESSL_NONE : CURLUSESSL_ALL));
    if (*settings->smtp_user != '\0') {
        curl_easy_setopt(curl, CURLOPT_USERNAME, settings->smtp_user);
        curl_easy_setopt(curl, CURLOPT_PASSWORD,
                         op->site->smtp_password != NULL ? op->site->smtp_password : "");
    }
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, break_off);
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, give_text);
    curl_easy_setopt(curl, CURLOPT_DEBUGFUNCTION, watch);
    curl_easy_setopt(curl, CURLOPT_VERBOSE, 1L);    /* calls watch(); prints nothing */
    return curl;
}

static verdict_e send_one(CURL *curl, const char *from, const char *to, const char *text,
                          apr_size_t len)
{
    talk_t talk = { text, len, 0 };
    struct curl_slist *rcpt = curl_slist_append(NULL, to);
    CURLcode code;
    long answer = 0;

    curl_easy_setopt(curl, CURLOPT_MAIL_FROM, from);
    curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, rcpt);
    curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)len);
    curl_easy_setopt(curl, CURLOPT_READDATA, &talk);
    curl_easy_setopt(curl, CURLOPT_DEBUGDATA, &talk);
    code = rcpt == NULL ? CURLE_OUT_OF_MEMORY : curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer);
    curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, NULL);
    curl_slist_free_all(rcpt);
    ERR_clear_error();
    if (code == CURLE_OK) {
        return SENT;
    }
    if (talk.about_mail && answer >= 400 && answer < 600) {
        return answer >= 500 ? NEVER : LATER;
    }
    if (talk.about_mail) {
        return SILENT;          /* perhaps over this very mail: others have to get past it */
    }
    /* A 5yz to anything else (sign-in, sender, greeting) is about us, not about this mail. */
    return NO_SERVER;
}

static int by_age(const void *a, const void *b)
{
    return strcmp(((const entry_t *)a)->file, ((const entry_t *)b)->file);
}

static void hold_read(hold_t *hold, int lock)
{
    char text[64], *end;
    ssize_t n = pread(lock, text, sizeof(text) - 1, 0);

    hold->tries = 0;
    hold->not_before = 0;
    if (n > 0) {
        text[n] = '\0';
        hold->tries = (int)strtol(text, &end, 10);
        hold->not_before = apr_time_from_sec(apr_atoi64(end));
    }
}

/* When it cannot be written, the server is asked again a little too early: no harm. */
static void hold_write(const hold_t *hold, int lock, apr_pool_t *pool)
{
    const char *text = apr_psprintf(pool, "%d %" APR_TIME_T_FMT "\n", hold->tries,
                                    apr_time_sec(hold->not_before));

    if (ftruncate(lock, 0) == 0 && hold->tries > 0
        && pwrite(lock, text, strlen(text), 0) != (ssize_t)strlen(text)) {
        (void)!ftruncate(lock, 0);
    }
}

/* Has the moment come? A moment further away than any we set is of another clock. */
static int has_come(apr_time_t moment, apr_time_t now, apr_int64_t furthest_sec)
{
    return moment <= now || moment > now + apr_time_from_sec(furthest_sec);
}

/* What is due, oldest first. Leftovers of writers that died are removed on the way. */
static apr_array_header_t *due(hb_op_t *op, const char *spool)
{
    apr_array_header_t *entries = apr_array_make(op->pool, 16, sizeof(entry_t));
    apr_finfo_t info;
    apr_dir_t *dir;
    hb_mail_name_t name;

    if (apr_dir_open(&dir, spool, op->pool) != APR_SUCCESS) {
        return entries;
    }
    while (apr_dir_read(&info, APR_FINFO_NAME, dir) == APR_SUCCESS) {
        if (hb_mail_name_read(&name, info.name, op->pool)) {
            if (has_come(name.not_before, op->now, BACKOFF_SEC << BACKOFF_DOUBLINGS)) {
                entry_t *entry = apr_array_push(entries);

                entry->file = apr_pstrdup(op->pool, info.name);
                entry->name = name;
            }
        }
        else if (info.name[0] == '.' && hb_mail_name_read(&name, info.name + 1, op->pool)
                 && name.written_at < op->now - ORPHAN_USEC) {
            apr_file_remove(apr_pstrcat(op->pool, spool, "/", info.name, NULL), op->pool);
        }
    }
    apr_dir_close(dir);
    qsort(entries->elts, entries->nelts, sizeof(entry_t), by_age);
    return entries;
}

/* A whole spooled file and whom it is for. HB_E_STORE_DAMAGED when it is not one that we wrote. */
static apr_status_t message_read(const char **text, apr_size_t *len, const char **to, const char *path,
                        apr_pool_t *pool)
{
    apr_finfo_t info;
    apr_file_t *file;
    const char *line, *end, *body;
    char *buf;
    apr_status_t rv;

    rv = apr_file_open(&file, path, APR_FOPEN_READ, APR_FPROT_OS_DEFAULT, pool);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = apr_file_info_get(&info, APR_FINFO_SIZE, file);
    if (rv == APR_SUCCESS && info.size > MESSAGE_MAX_BYTES) {
        rv = HB_E_STORE_DAMAGED;
    }
    if (rv == APR_SUCCESS) {
        *len = (apr_size_t)info.size;
        buf = apr_pcalloc(pool, *len + 1);
        *text = buf;
        rv = apr_file_read_full(file, buf, *len, NULL);
    }
    apr_file_close(file);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    line = strstr(*text, "\r\nTo: ");
    body = strstr(*text, "\r\n\r\n");
    if (line == NULL || body == NULL || line > body) {
        return HB_E_STORE_DAMAGED;
    }
    line += strlen("\r\nTo: ");
    end = strstr(line, "\r\n");
    *to = hb_mail_address(apr_pstrmemdup(pool, line, end - line), pool);
    return *to != NULL ? APR_SUCCESS : HB_E_STORE_DAMAGED;
}

static void set_aside(hb_op_t *op, const char *spool, const entry_t *entry, const char *why,
                      apr_pool_t *scratch)
{
    const char *dir = apr_pstrcat(scratch, spool, "/" HB_MAIL_FAILED, NULL);

    if ((mkdir(dir, 0750) != 0 && errno != EEXIST)
        || rename(apr_pstrcat(scratch, spool, "/", entry->file, NULL),
                  apr_pstrcat(scratch, dir, "/", entry->file, NULL)) != 0) {
        hb_log(op, HB_LOG_ERR, APR_FROM_OS_ERROR(errno),
               HBLOGNO(00155) "mail %s cannot be moved to %s", entry->file, dir);
        return;
    }
    hb_metric_add(op->site->metrics, HB_M_MAIL_FAILED, 1);
    hb_log(op, HB_LOG_WARNING, 0, HBLOGNO(00156) "mail %s is given up: %s; it is in %s",
           entry->file, why, dir);
}

static void put_back(hb_op_t *op, const char *spool, const entry_t *entry, const char *why,
                     apr_pool_t *scratch)
{
    hb_mail_name_t name = entry->name;
    int doublings = name.tries < BACKOFF_DOUBLINGS ? name.tries : BACKOFF_DOUBLINGS;

    if (op->now - name.written_at > GIVE_UP_USEC) {
        set_aside(op, spool, entry, why, scratch);
        return;
    }
    name.tries++;
    name.not_before = op->now + apr_time_from_sec(BACKOFF_SEC << doublings);
    if (rename(apr_pstrcat(scratch, spool, "/", entry->file, NULL),
               apr_pstrcat(scratch, spool, "/", hb_mail_name_text(&name, scratch), NULL)) != 0) {
        hb_log(op, HB_LOG_ERR, APR_FROM_OS_ERROR(errno),
               HBLOGNO(00157) "mail %s cannot be renamed", entry->file);
    }
    hb_log(op, HB_LOG_INFO, 0, HBLOGNO(00158) "mail %s waits for another try: %s", entry->file,
           why);
}

/* One mail, to its end whatever that is. */
static verdict_e deliver_one(hb_op_t *op, CURL *curl, const char *from, const entry_t *entry,
                             const char *problem, apr_pool_t *scratch)
{
    const char *spool = op->site->settings->mail_spool;
    const char *path = apr_pstrcat(scratch, spool, "/", entry->file, NULL);
    const char *text, *to;
    verdict_e verdict;
    apr_status_t rv;
    apr_size_t len;

    rv = message_read(&text, &len, &to, path, scratch);
    if (rv == HB_E_STORE_DAMAGED) {
        set_aside(op, spool, entry, "it is not a message of ours", scratch);
        return NEVER;
    }
    if (rv != APR_SUCCESS) {
        hb_log(op, HB_LOG_ERR, rv, HBLOGNO(00167) "mail %s cannot be read", entry->file);
        return LATER;
    }
    verdict = send_one(curl, from, to, text, len);
    if (verdict != SENT && hb_mail_is_stopped()) {
        return SENT;            /* nobody's fault: it stays as it is */
    }
    switch (verdict) {
    case SENT:
        hb_metric_add(op->site->metrics, HB_M_MAIL_SENT, 1);
        if (unlink(path) != 0) {
            hb_log(op, HB_LOG_ERR, APR_FROM_OS_ERROR(errno), HBLOGNO(00159) "mail %s was sent "
                   "and cannot be removed", entry->file);
            verdict = NO_SERVER;    /* or it would be sent again and again */
        }
        break;
    case NEVER:
        set_aside(op, spool, entry, problem, scratch);
        break;
    case LATER:
    case SILENT:
        put_back(op, spool, entry, problem, scratch);
        break;
    case NO_SERVER:
        break;
    }
    return verdict;
}

/* Everything that is due. Stops when the server is not there, and holds back for a while then. */
static apr_status_t deliver_all(int *n_sent, hb_op_t *op, const char *from, CURL *curl,
                                const char *problem, int lock)
{
    const char *spool = op->site->settings->mail_spool;
    apr_array_header_t *entries;
    verdict_e verdict = SENT;
    apr_pool_t *scratch;
    hold_t hold;
    int i, n_silent = 0;

    hold_read(&hold, lock);
    if (!has_come(hold.not_before, op->now, HOLD_MAX_SEC)) {
        return APR_SUCCESS;
    }
    entries = due(op, spool);
    apr_pool_create(&scratch, op->pool);
    for (i = 0; i < entries->nelts && i < MAILS_MAX && verdict != NO_SERVER && !hb_mail_is_stopped();
         i++) {
        apr_pool_clear(scratch);
        verdict = deliver_one(op, curl, from, &APR_ARRAY_IDX(entries, i, entry_t), problem,
                              scratch);
        *n_sent += verdict == SENT && !hb_mail_is_stopped();
        n_silent = verdict == SILENT ? n_silent + 1 : 0;
        if (n_silent == SILENT_MAX) {
            verdict = NO_SERVER;
        }
    }
    apr_pool_destroy(scratch);
    if (verdict != NO_SERVER) {
        if (hold.tries > 0 && entries->nelts > 0 && !hb_mail_is_stopped()) {
            hold.tries = 0;
            hold_write(&hold, lock, op->pool);
            hb_log(op, HB_LOG_NOTICE, 0, HBLOGNO(00168) "the mail server takes mail again");
        }
        return APR_SUCCESS;
    }
    hold.not_before = op->now + apr_time_from_sec(hold.tries < 4 ? HOLD_SEC << hold.tries
                                                  : HOLD_MAX_SEC);
    hold.tries++;
    hold_write(&hold, lock, op->pool);
    hb_log(op, HB_LOG_WARNING, 0, HBLOGNO(00160) "mail waits in %s for %" APR_TIME_T_FMT " s: %s",
           spool, apr_time_sec(hold.not_before - op->now),
           *problem != '\0' ? problem : "the mail server does not take it");
    return hb_fail(op, HB_E_UPSTREAM, "the mail server does not take mail");
}

apr_status_t hb_mail_deliver(int *n_sent, hb_op_t *op, int lock)
{
    const hb_settings_t *settings = op->site->settings;
    char problem[CURL_ERROR_SIZE] = "";
    const char *url, *from;
    int is_local = 0;
    apr_status_t rv;
    CURL *curl;

    url = server_url(&is_local, settings->smtp_url, op->pool);
    from = hb_mail_sender(op);
    if (url == NULL || from == NULL) {
        hb_mail_complain(op, 0, HBLOGNO(00161) "mail is not delivered: HaloBuzzSMTP is not "
                         "smtp://host:port or smtps://host:port (the account belongs into "
                         "HaloBuzzSMTPUser)");
        return hb_fail(op, HB_E_CONFIG, NULL);
    }
    curl = curl_make(op, url, is_local, problem);
    rv = curl == NULL ? hb_fail(op, HB_E_INTERNAL, NULL)
        : deliver_all(n_sent, op, from, curl, problem, lock);
    curl_easy_cleanup(curl);
    ERR_clear_error();
    return rv;
}
