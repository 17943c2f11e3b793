/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The URL of a MongoDB as far as the check of the configuration can read it, which must not
 * load the driver: what the driver would refuse at the start, and the mistakes people make
 * most.
 */
#include "hb_store_backend.h"

#include "hb_site.h"

#include <stdlib.h>
#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>

#define POOL_LEAST 20
#define POOL_MOST 1000

static int is_escaped(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '%' && !(apr_isxdigit(text[1]) && apr_isxdigit(text[2]))) {
            return 0;
        }
    }
    return 1;
}

static const char *user_misfit(char *user)
{
    char *password = strchr(user, ':');

    if (password != NULL) {
        *password++ = '\0';
    }
    if (*user == '\0' || strpbrk(user, "@/ ") != NULL
        || (password != NULL && strpbrk(password, "@/: ") != NULL)
        || !is_escaped(user) || (password != NULL && !is_escaped(password))) {
        return "before @ stands USER:PASSWORD, in which : / @ % and blanks are written as %3A %2F %40 "
            "%25 and %20";
    }
    return NULL;
}

static const char *host_misfit(char *host, int is_srv)
{
    char *colon = *host == '[' ? strstr(host, "]:") : strchr(host, ':');
    int port;

    if (colon != NULL) {
        colon += *host == '[';
        *colon++ = '\0';
        port = atoi(colon);
        if (is_srv) {
            return "mongodb+srv: takes one name and no port";
        }
        if (strspn(colon, "0123456789") != strlen(colon) || port < 1 || port > 65535) {
            return "a port is a number from 1 to 65535";
        }
    }
    if (*host == '\0' || (*host == '[' && strchr(host, ']') == NULL)) {
        return "it names no host";
    }
    if (is_srv && strchr(host, '.') == NULL) {
        return "mongodb+srv: takes a name with dots, as the provider gives it";
    }
    return NULL;
}

static const char *options_misfit(char *options, apr_pool_t *pool)
{
    static const char *const flags[] = {
        "tls", "ssl", "tlsInsecure", "tlsAllowInvalidCertificates", "tlsAllowInvalidHostnames",
        "retryWrites", "retryReads", "directConnection", "loadBalanced"
    };
    char *option, *rest;
    unsigned int i;

    for (option = apr_strtok(options, "&;", &rest); option != NULL;
         option = apr_strtok(NULL, "&;", &rest)) {
        char *value = strchr(option, '=');

        if (value == NULL || value == option || value[1] == '\0') {
            return "behind ? stand options as NAME=VALUE, with & between them";
        }
        *value++ = '\0';
        for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
            if (strcasecmp(option, flags[i]) == 0 && strcmp(value, "true") != 0
                && strcmp(value, "false") != 0) {
                return apr_psprintf(pool, "%s= is true or false", flags[i]);
            }
        }
    }
    return NULL;
}

const char *hb_mongodb_url_misfit(const char *url, apr_pool_t *pool)
{
    int is_srv = strncmp(url, "mongodb+srv:", 12) == 0;
    char *rest = apr_pstrdup(pool, strchr(url, ':') + 1), *at, *path, *options, *host;
    const char *why = NULL;

    if (strncmp(rest, "//", 2) != 0) {
        return apr_psprintf(pool, "behind the scheme stands //, as in %s://HOST/DATABASE",
                            is_srv ? "mongodb+srv" : "mongodb");
    }
    rest += 2;
    options = strchr(rest, '?');
    if (options != NULL) {
        *options++ = '\0';
    }
    at = strrchr(rest, '@');
    if (at != NULL) {
        *at++ = '\0';
        why = user_misfit(rest);
        rest = at;
    }
    path = strchr(rest, '/');
    if (path != NULL) {
        *path++ = '\0';
        if (why == NULL && strpbrk(path, "/\\ \"$.") != NULL) {
            why = "behind the host stands the name of a database, without / \\ \" $ . and spaces";
        }
    }
    if (why == NULL && is_srv && strchr(rest, ',') != NULL) {
        why = "mongodb+srv: takes one name and no port";
    }
    do {
        host = rest;
        rest = strchr(rest, ',');
        if (rest != NULL) {
            *rest++ = '\0';
        }
        why = why != NULL ? why : host_misfit(host, is_srv);
    } while (rest != NULL);
    if (why == NULL && options != NULL) {
        why = options_misfit(options, pool);
    }
    return why;
}

/* What maxPoolSize of a URL says, 0 when it says nothing. */
static int pool_of(const char *url)
{
    static const char name[] = "maxpoolsize=";
    const char *at = strchr(url, '?');

    for (; at != NULL; at = strpbrk(at, "&;")) {
        at++;
        if (strncasecmp(at, name, sizeof(name) - 1) == 0) {
            return atoi(at + sizeof(name) - 1);
        }
    }
    return 0;
}

int hb_store_connections_most(const hb_site_t *site, const char *url)
{
    int n;

    if (strncmp(url, "mongodb", 7) != 0) {
        return 0;
    }
    n = pool_of(url);
    if (n <= 0) {
        n = (int)site->settings->store_pool_max;
    }
    if (n <= 0) {
        /* A call that reads while it goes through a list holds two; all that the gate lets in
         * (store_mongodb_gate.c) find theirs. */
        n = 2 * hb_site_threads(site);
        n = n < POOL_LEAST ? POOL_LEAST : n > POOL_MOST ? POOL_MOST : n;
    }
    return n;
}
