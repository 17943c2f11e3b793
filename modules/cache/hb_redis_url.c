/* SPDX-License-Identifier: Apache-2.0 */
/* The URL of a Redis: read by the check of the configuration, which opens nothing, and by
 * the plug-in. */
#include "hb_redis_url.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#define PORT_DEFAULT 6379

static int hex_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10
        : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* %xx become bytes, in place. */
static const char *unescape(char *text)
{
    char *to = text, *from;

    for (from = text; *from != '\0'; from++) {
        if (*from == '%' && hex_of(from[1]) >= 0 && hex_of(from[2]) >= 0) {
            *to++ = (char)(hex_of(from[1]) << 4 | hex_of(from[2]));
            from += 2;
        }
        else {
            *to++ = *from;
        }
    }
    *to = '\0';
    return text;
}

const char *hb_redis_url_read(hb_redis_url_t *redis, const char *url, apr_pool_t *pool)
{
    char *rest, *at, *path, *query, *colon;

    memset(redis, 0, sizeof(*redis));
    redis->prefix = "";
    if (strncmp(url, "rediss://", 9) == 0) {
        return "rediss: needs a hiredis with TLS, which Debian 12 does not have; put stunnel or a "
            "private network between this host and Redis, and use redis://";
    }
    if (strncmp(url, "redis://", 8) != 0) {
        return "it has to begin with redis://";
    }
    if (strchr(url, ' ') != NULL) {
        return "a blank in it is written as %20";
    }
    rest = apr_pstrdup(pool, url + 8);
    query = strchr(rest, '?');
    if (query != NULL) {
        *query++ = '\0';
        if (strncmp(query, "prefix=", 7) != 0) {
            return "the only option behind ? is prefix=";
        }
        redis->prefix = unescape(query + 7);
    }
    path = strchr(rest, '/');
    if (path != NULL) {
        *path++ = '\0';
        if (strspn(path, "0123456789") != strlen(path)) {
            return "behind the host stands the number of a database";
        }
        redis->db = *path != '\0' ? path : NULL;
    }
    at = strrchr(rest, '@');
    if (at != NULL) {
        *at = '\0';
        colon = strchr(rest, ':');
        if (colon != NULL) {
            *colon++ = '\0';
            redis->password = unescape(colon);
        }
        redis->user = *rest != '\0' ? unescape(rest) : NULL;
        if (redis->password == NULL) {
            return "before @ stands user:password, or :password";
        }
        rest = at + 1;
    }
    redis->port = PORT_DEFAULT;
    colon = *rest == '[' ? strstr(rest, "]:") : strrchr(rest, ':');
    if (colon != NULL) {
        if (*rest == '[') {
            *colon++ = '\0';
        }
        *colon++ = '\0';
        redis->port = atoi(colon);
    }
    if (*rest == '[') {
        rest++;
        rest[strcspn(rest, "]")] = '\0';
    }
    redis->host = rest;
    if (*rest == '\0' || redis->port < 1 || redis->port > 65535) {
        return "it names no host, or a port that is none";
    }
    return NULL;
}
