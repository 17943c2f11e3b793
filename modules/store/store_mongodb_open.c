/* SPDX-License-Identifier: Apache-2.0 */
/* The server: its URL, the pool of connections, and whether it has what we need. */
#include "store_mongodb.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <apr_strings.h>

#include "hb_metrics.h"

#define DB_DEFAULT "halobuzz"
#define SAY_EVERY_USEC 30000000

int store_mongodb_is_lost(void *self)
{
    (void)self;
    return 0;                   /* its driver finds the server again by itself */
}

/* --- counting what the driver does --- */

static void on_success(const mongoc_apm_command_succeeded_t *event)
{
    mongo_t *self = mongoc_apm_command_succeeded_get_context(event);

    mongo_tx_aborted(mongoc_apm_command_succeeded_get_command_name(event), 1);
    __atomic_add_fetch(&self->n_commands, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&self->usec, mongoc_apm_command_succeeded_get_duration(event),
                       __ATOMIC_RELAXED);
    hb_metric_add(self->site->metrics, HB_M_MONGODB_GOOD, 1);
    hb_metric_add(self->site->metrics, HB_M_MONGODB_USEC,
                  mongoc_apm_command_succeeded_get_duration(event));
}

static void on_failure(const mongoc_apm_command_failed_t *event)
{
    mongo_t *self = mongoc_apm_command_failed_get_context(event);
    bson_error_t error;

    mongoc_apm_command_failed_get_error(event, &error);
    mongo_tx_aborted(mongoc_apm_command_failed_get_command_name(event), mongo_has_answered(&error));
    __atomic_add_fetch(&self->n_commands, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&self->n_failed, 1, __ATOMIC_RELAXED);
    hb_metric_add(self->site->metrics, HB_M_MONGODB_FAILED, 1);
    hb_metric_add(self->site->metrics, HB_M_MONGODB_USEC,
                  mongoc_apm_command_failed_get_duration(event));
}

/* What the driver's library says by itself: what matters comes back as an error of a call, too. */
static void on_line(mongoc_log_level_t level, const char *domain, const char *message, void *baton)
{
    hb_site_t *site = baton;

    if (level <= MONGOC_LOG_LEVEL_CRITICAL) {
        hb_log_to(&site->log, HB_LOG_WARNING, 0, HBLOGNO(01148) "%s: %s", domain, message);
    }
    else if (level <= MONGOC_LOG_LEVEL_INFO) {
        hb_log_to(&site->log, HB_LOG_DEBUG, 0, HBLOGNO(01149) "%s: %s", domain, message);
    }
}

/* --- opening --- */

static apr_status_t refuse(hb_site_t *site, const char *number_and_fmt, ...)
    __attribute__((format(printf, 2, 3)));

static apr_status_t refuse(hb_site_t *site, const char *number_and_fmt, ...)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static char said[1024];             /* opening is tried once a second: say it now and then */
    static apr_int64_t said_at;
    char text[1024];
    va_list args;
    int is_new;

    va_start(args, number_and_fmt);
    apr_vsnprintf(text, sizeof(text), number_and_fmt, args);
    va_end(args);
    pthread_mutex_lock(&lock);
    is_new = strcmp(said, text) != 0 || hb_clock() - said_at > SAY_EVERY_USEC;
    if (is_new) {
        apr_cpystrn(said, text, sizeof(said));
        said_at = hb_clock();
    }
    pthread_mutex_unlock(&lock);
    if (is_new) {
        hb_log_to(&site->log, HB_LOG_ERR, 0, "%s", text);
    }
    return HB_E_STORE_DOWN;
}

/*
 * Options the URL leaves open: what is written in it wins, but for what is acknowledged
 * when and where it is read. A secondary may not have what was just written, and has no
 * transactions.
 */
static void fill_in(mongoc_uri_t *uri, const char *url, const hb_site_t *site)
{
    const hb_settings_t *settings = site->settings;
    mongoc_write_concern_t *writes = mongoc_write_concern_new();
    mongoc_read_prefs_t *reads = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);

    mongoc_write_concern_set_wmajority(writes, -1);
    mongoc_uri_set_write_concern(uri, writes);
    mongoc_write_concern_destroy(writes);
    mongoc_uri_set_read_prefs_t(uri, reads);
    mongoc_read_prefs_destroy(reads);
    if (!mongoc_uri_has_option(uri, MONGOC_URI_MAXPOOLSIZE)) {
        mongoc_uri_set_option_as_int32(uri, MONGOC_URI_MAXPOOLSIZE,
                                       (int32_t)hb_store_connections_most(site, url));
    }
    if (!mongoc_uri_has_option(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS)) {
        mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS,
                                       (int32_t)(settings->store_select_timeout / 1000));
    }
    if (!mongoc_uri_has_option(uri, MONGOC_URI_SOCKETTIMEOUTMS)) {
        mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SOCKETTIMEOUTMS,
                                       (int32_t)(settings->store_socket_timeout / 1000));
    }
    if (!mongoc_uri_has_option(uri, MONGOC_URI_CONNECTTIMEOUTMS)) {
        mongoc_uri_set_option_as_int32(uri, MONGOC_URI_CONNECTTIMEOUTMS,
                                       (int32_t)(settings->store_select_timeout / 1000));
    }
    if (!mongoc_uri_has_option(uri, MONGOC_URI_WAITQUEUETIMEOUTMS)) {
        mongoc_uri_set_option_as_int32(uri, MONGOC_URI_WAITQUEUETIMEOUTMS,
                                       (int32_t)(settings->store_wait / 1000));
    }
    if (mongoc_uri_get_appname(uri) == NULL) {
        mongoc_uri_set_appname(uri, "halobuzz");
    }
}

/* Hosts and database for people; never the password. */
static const char *where_of(const mongoc_uri_t *uri, const char *db, apr_pool_t *pool)
{
    const mongoc_host_list_t *host = mongoc_uri_get_hosts(uri);
    const char *text = mongoc_uri_get_srv_hostname(uri);

    text = text != NULL ? apr_pstrdup(pool, text) : "";
    for (; host != NULL; host = host->next) {
        text = apr_pstrcat(pool, text, text[0] != '\0' ? "," : "", host->host_and_port, NULL);
    }
    return apr_pstrcat(pool, text, "/", db, NULL);
}

static apr_status_t close_all(void *data)
{
    mongo_t *self = data;

    if (self->pid == getpid()) {
        mongoc_log_set_handler(NULL, NULL);     /* that it cannot say good-bye is no news */
        mongo_gate_close(self);
        mongo_orphans_close(self);
        if (self->pool != NULL) {
            mongoc_client_pool_destroy(self->pool);
        }
        if (self->reads != NULL) {
            mongoc_read_concern_destroy(self->reads);
        }
        if (self->uri != NULL) {
            mongoc_uri_destroy(self->uri);
        }
    }
    pthread_cond_destroy(&self->went);
    pthread_mutex_destroy(&self->lock);
    pthread_mutex_destroy(&self->turn);
    pthread_mutex_destroy(&self->looking);
    return APR_SUCCESS;
}

/* What to do about it. */
static const char *fix_for(const bson_error_t *error)
{
    if (error->domain == MONGOC_ERROR_CLIENT && error->code == MONGOC_ERROR_CLIENT_AUTHENTICATE) {
        return "user or password in HaloBuzzStore is wrong; authSource= names the database that "
            "has the user";
    }
    if (strstr(error->message, "TLS handshake failed") != NULL) {
        return "its certificate has to name this host as HaloBuzzStore does, and to be of an authority "
            "this machine trusts: tlsCAFile=/path/ca.pem in HaloBuzzStore names another one";
    }
    if (strstr(error->message, "Failed to resolve") != NULL
        || strstr(error->message, "Failed to look up") != NULL) {
        return "does the name in HaloBuzzStore resolve here (getent hosts NAME)? is it running, and "
            "may this host reach it?";
    }
    return "is it running, and may this host reach it?";
}

/* Does the server have what we need? hello says so. */
static apr_status_t check_server(mongo_t *self, mongoc_client_t *client)
{
    bson_t *hello = BCON_NEW("hello", BCON_INT32(1));
    bson_error_t error;
    bson_iter_t iter;
    bson_t reply;
    apr_status_t rv = APR_SUCCESS;
    int has_set, has_mongos;

    if (!mongoc_client_command_simple(client, "admin", hello, NULL, &reply, &error)) {
        rv = refuse(self->site, HBLOGNO(01150) "MongoDB at %s: %s; %s", self->where, error.message,
                    fix_for(&error));
        bson_destroy(&reply);
        bson_destroy(hello);
        return rv;
    }
    has_set = bson_iter_init_find(&iter, &reply, "setName");
    has_mongos = bson_iter_init_find(&iter, &reply, "msg");
    if (!has_set && !has_mongos) {
        rv = refuse(self->site, HBLOGNO(01151) "MongoDB at %s is a standalone server, which has no "
                    "transactions. Make it a replica set of one: start it as `mongod --replSet "
                    "rs0 ...`, then run `mongosh --eval 'rs.initiate()'`", self->where);
    }
    bson_destroy(&reply);
    bson_destroy(hello);
    return rv;
}

apr_status_t store_mongodb_open(void **out, hb_site_t *site, const char *url, int is_to_copy,
                                apr_pool_t *pool)
{
    mongo_t *self = apr_pcalloc(pool, sizeof(*self));
    mongoc_apm_callbacks_t *callbacks;
    mongoc_client_t *client;
    bson_error_t error;
    apr_status_t rv;

    mongoc_init();
    mongoc_log_set_handler(on_line, site);
    self->site = site;
    self->pid = getpid();
    self->is_to_copy = is_to_copy;
    self->waiting_most = site->n_threads - (site->n_threads + 3) / 4;
    hb_clock_cond_init(&self->went);
    pthread_mutex_init(&self->lock, NULL);
    pthread_mutex_init(&self->turn, NULL);
    pthread_mutex_init(&self->looking, NULL);
    apr_pool_cleanup_register(pool, self, close_all, apr_pool_cleanup_null);
    self->uri = mongoc_uri_new_with_error(url, &error);
    if (self->uri == NULL) {
        return refuse(site, HBLOGNO(01152) "HaloBuzzStore: %s", error.message);
    }
    self->db = mongoc_uri_get_database(self->uri);
    self->db = apr_pstrdup(pool, self->db != NULL ? self->db : DB_DEFAULT);
    self->where = where_of(self->uri, self->db, pool);
    fill_in(self->uri, url, site);
    self->reads = mongoc_read_concern_new();
    mongoc_read_concern_set_level(self->reads, MONGOC_READ_CONCERN_LEVEL_MAJORITY);
    self->pool = mongoc_client_pool_new_with_error(self->uri, &error);
    if (self->pool == NULL) {
        return refuse(site, HBLOGNO(01153) "MongoDB at %s: %s; %s", self->where, error.message,
                      fix_for(&error));
    }
    mongoc_client_pool_set_error_api(self->pool, MONGOC_ERROR_API_VERSION_2);
    callbacks = mongoc_apm_callbacks_new();
    mongoc_apm_set_command_succeeded_cb(callbacks, on_success);
    mongoc_apm_set_command_failed_cb(callbacks, on_failure);
    mongoc_client_pool_set_apm_callbacks(self->pool, callbacks, self);
    mongoc_apm_callbacks_destroy(callbacks);
    client = mongoc_client_pool_pop(self->pool);
    if (client == NULL) {
        return refuse(site, HBLOGNO(01154) "MongoDB at %s: no connection", self->where);
    }
    rv = check_server(self, client);
    if (rv == APR_SUCCESS) {
        rv = mongo_layout(self, client, pool);
    }
    mongoc_client_pool_push(self->pool, client);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    mongo_orphans_open(self, pool);
    hb_log_to(&site->log, HB_LOG_INFO, 0, HBLOGNO(01155) "records are in MongoDB at %s (driver %s, "
              "majority writes, at most %ld connections)", self->where, mongoc_get_version(),
              (long)mongoc_uri_get_option_as_int32(self->uri, MONGOC_URI_MAXPOOLSIZE, 0));
    *out = self;
    return APR_SUCCESS;
}
