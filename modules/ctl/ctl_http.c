/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP for the commands that talk to a running server, over libcurl. One handle, so that
 * connections are kept; redirects are not followed, because none of our calls has any.
 */
#include "ctl.h"

#include <string.h>
#include <time.h>

#include <apr_strings.h>
#include <curl/curl.h>

#define CONNECT_WAIT_SEC 5L
#define ANSWER_WAIT_SEC  30L
#define ANSWER_MAX_BYTES (8 * 1024 * 1024)

typedef struct taken_t {
    apr_pool_t *pool;
    char *bytes;
    apr_size_t len, room;
} taken_t;

static CURL *handle;            /* this program is one thread */

static size_t take(char *bytes, size_t size, size_t n, void *baton)
{
    taken_t *taken = baton;
    apr_size_t more = size * n;

    if (taken->len + more > ANSWER_MAX_BYTES) {
        return 0;               /* libcurl takes this for an error */
    }
    if (taken->len + more + 1 > taken->room) {
        char *bigger;

        taken->room = (taken->len + more + 1) * 2;
        bigger = apr_palloc(taken->pool, taken->room);
        memcpy(bigger, taken->bytes, taken->len);
        taken->bytes = bigger;
    }
    memcpy(taken->bytes + taken->len, bytes, more);
    taken->len += more;
    taken->bytes[taken->len] = '\0';
    return more;
}

static CURL *handle_make(ctl_t *ctl)
{
    if (handle == NULL && curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) {
        handle = curl_easy_init();
    }
    if (handle != NULL) {
        curl_easy_reset(handle);
        curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT, CONNECT_WAIT_SEC);
        curl_easy_setopt(handle, CURLOPT_TIMEOUT, ANSWER_WAIT_SEC);
        curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
        curl_easy_setopt(handle, CURLOPT_USERAGENT, "halobuzzctl/" HB_VERSION);
        curl_easy_setopt(handle, CURLOPT_SSL_VERIFYPEER, ctl->is_insecure ? 0L : 1L);
        curl_easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, ctl->is_insecure ? 0L : 2L);
    }
    return handle;
}

static const char *why_not(ctl_t *ctl, CURLcode code)
{
    int is_certificate = code == CURLE_PEER_FAILED_VERIFICATION;

    return apr_psprintf(ctl->pool, "%s%s", curl_easy_strerror(code),
                        is_certificate ? " (-k does not check)" : "");
}

void ctl_http(ctl_reply_t *reply, ctl_t *ctl, const char *method, const char *url,
              const char *token, const char *body)
{
    ctl_http_as(reply, ctl, method, url, token == NULL ? NULL
                : apr_pstrcat(ctl->pool, "Authorization: Bearer ", token, NULL), body);
}

void ctl_http_as(ctl_reply_t *reply, ctl_t *ctl, const char *method, const char *url,
                 const char *header, const char *body)
{
    taken_t taken = { ctl->pool, apr_pcalloc(ctl->pool, 1024), 0, 1024 };
    struct curl_slist *headers = NULL;
    CURL *curl = handle_make(ctl);
    const char *type = NULL;
    CURLcode code;
    long status = 0;

    memset(reply, 0, sizeof(*reply));
    reply->type = reply->body = "";
    if (curl == NULL) {
        reply->why = "libcurl cannot be started";
        return;
    }
    headers = curl_slist_append(headers, "Accept: application/json");
    headers = curl_slist_append(headers, "Expect:");
    if (header != NULL) {
        headers = curl_slist_append(headers, header);
    }
    if (body != NULL) {
        headers = curl_slist_append(headers, "Content-Type: application/json");
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(body));
    }
    else if (strcmp(method, "POST") == 0) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
        headers = curl_slist_append(headers, "Content-Type:");
    }
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &taken);
    code = curl_easy_perform(curl);
    curl_slist_free_all(headers);
    if (code != CURLE_OK) {
        reply->why = why_not(ctl, code);
        return;
    }
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
    curl_easy_getinfo(curl, CURLINFO_TOTAL_TIME, &reply->seconds);
    reply->status = (int)status;
    if (type != NULL) {
        reply->type = apr_pstrmemdup(ctl->pool, type, strcspn(type, "; "));
    }
    reply->body = taken.bytes;
    reply->len = taken.len;
    if (strstr(reply->type, "json") != NULL) {
        const char *why;

        if (hb_json_parse(&reply->json, &why, taken.bytes, taken.len, ctl->pool)
            != APR_SUCCESS) {
            reply->json = NULL;
        }
    }
}

const char *ctl_base_url(ctl_t *ctl, const char *argument)
{
    const char *url = argument;
    apr_size_t len;

    if (url == NULL) {
        const char *why = ctl_settings(ctl);

        if (why != NULL) {
            ctl_fail(ctl, "%s; or name the server's address", why);
            return NULL;
        }
        url = ctl->settings->public_url;
    }
    if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0) {
        ctl_misuse(ctl, "\"%s\" is no address; one looks like https://localhost:8443", url);
        return NULL;
    }
    len = strlen(url);
    while (len > 0 && url[len - 1] == '/') {
        len--;
    }
    return apr_pstrmemdup(ctl->pool, url, len);
}

apr_time_t ctl_certificate_end(ctl_t *ctl, const char *url, const char **why)
{
    CURL *curl = handle_make(ctl);
    struct curl_certinfo *info = NULL;
    struct curl_slist *line;
    CURLcode code;
    time_t end = -1;

    *why = "libcurl cannot be started";
    if (curl == NULL) {
        return 0;
    }
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CERTINFO, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L);
    code = curl_easy_perform(curl);
    if (code != CURLE_OK) {
        *why = why_not(ctl, code);
        return 0;
    }
    *why = "the server shows no certificate";
    if (curl_easy_getinfo(curl, CURLINFO_CERTINFO, &info) == CURLE_OK && info != NULL
        && info->num_of_certs > 0) {
        for (line = info->certinfo[0]; line != NULL; line = line->next) {
            if (strncmp(line->data, "Expire date:", 12) == 0) {
                end = curl_getdate(line->data + 12, NULL);
            }
        }
    }
    return end == -1 ? 0 : apr_time_from_sec(end);
}

int ctl_takes_old_tls(ctl_t *ctl, const char *url)
{
    CURL *curl = handle_make(ctl);

    if (curl == NULL) {
        return 0;
    }
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
    curl_easy_setopt(curl, CURLOPT_SSLVERSION,
                     (long)CURL_SSLVERSION_TLSv1_0 | (long)CURL_SSLVERSION_MAX_TLSv1_1);
    /* Our own library would refuse the old versions before the server can. */
    curl_easy_setopt(curl, CURLOPT_SSL_CIPHER_LIST, "DEFAULT@SECLEVEL=0");
    return curl_easy_perform(curl) == CURLE_OK;
}
