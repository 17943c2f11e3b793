/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is let through to the server. One that hangs or is away must not hold every thread of
 * httpd: when calls wait and nothing was answered for STUCK_USEC, who comes next looks
 * first whether the server answers at all, by a connection beside the pool that waits at
 * most a second. When it does not, or when a call came back without an answer, the gate
 * closes: calls are refused at once, but for one every LOOK_EVERY_USEC that looks again.
 * Health checks look in the same way.
 *
 * Those that came before it is known that the server hangs wait for their socket's
 * time-out. So that they are not all threads of the process, a quarter of these waits no
 * longer than TURN_USEC.
 */
#include "store_mongodb.h"

#include <string.h>
#include <unistd.h>

#define STUCK_USEC 1000000
#define LOOK_EVERY_USEC 250000
#define LOOK_MSEC 1000
#define TURN_USEC 500000        /* busy and well, a server answers somebody much sooner */
#define RETRY_AFTER_SEC 2

/* Calls of this thread that are under way: who reads while he reads would wait for himself. */
static __thread int n_under_way;

/* --- looking --- */

/* A client beside the pool, whose calls end soon. */
static mongoc_client_t *make_looker(const mongo_t *self)
{
    mongoc_uri_t *uri = mongoc_uri_copy(self->uri);
    mongoc_client_t *client;

    mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SOCKETTIMEOUTMS, LOOK_MSEC);
    mongoc_uri_set_option_as_int32(uri, MONGOC_URI_CONNECTTIMEOUTMS, LOOK_MSEC);
    mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, LOOK_MSEC);
    mongoc_uri_set_option_as_bool(uri, MONGOC_URI_RETRYREADS, false);
    client = mongoc_client_new_from_uri(uri);
    if (client != NULL) {
        mongoc_client_set_error_api(client, MONGOC_ERROR_API_VERSION_2);
    }
    mongoc_uri_destroy(uri);
    return client;
}

static int look_once(mongo_look_t *found, mongo_t *self, bson_error_t *error)
{
    bson_t *hello = BCON_NEW("hello", BCON_INT32(1));
    bson_iter_t iter;
    bson_t reply;
    int good = 0;

    if (self->looker == NULL) {
        self->looker = make_looker(self);
    }
    if (self->looker != NULL) {
        good = mongoc_client_command_simple(self->looker, "admin", hello, NULL, &reply, error);
        *found = good && bson_iter_init_find(&iter, &reply, "isWritablePrimary")
                 && !bson_iter_as_bool(&iter) ? MONGO_READONLY : MONGO_THERE;
        bson_destroy(&reply);
        if (!good) {            /* another one does not wait before it tries again */
            mongoc_client_destroy(self->looker);
            self->looker = NULL;
        }
    }
    bson_destroy(hello);
    return good;
}

mongo_look_t mongo_look(mongo_t *self, bson_error_t *error)
{
    apr_int64_t until = hb_clock() + LOOK_MSEC * 1000;
    apr_int64_t began = hb_clock();
    mongo_look_t found = MONGO_AWAY;
    int was_kept;

    memset(error, 0, sizeof(*error));
    if (hb_clock_lock(&self->looking, until) != 0) {
        bson_set_error(error, MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_SOCKET,
                       "nobody got an answer for a second");
        return MONGO_AWAY;
    }
    if (self->looked_at > began) {      /* another one looked meanwhile */
        found = self->looked;
        *error = self->look_error;
        pthread_mutex_unlock(&self->looking);
        return found;
    }
    was_kept = self->looker != NULL;
    if (!look_once(&found, self, error)
        && (!was_kept || hb_clock() > until || !look_once(&found, self, error))) {
        found = MONGO_AWAY;     /* and not only its old connection */
    }
    self->looked = found;
    self->look_error = *error;
    self->looked_at = hb_clock();
    pthread_mutex_unlock(&self->looking);
    pthread_mutex_lock(&self->lock);
    self->is_closed = found == MONGO_AWAY;
    if (found != MONGO_AWAY) {
        self->answered_at = hb_clock();
    }
    pthread_cond_broadcast(&self->went);
    pthread_mutex_unlock(&self->lock);
    return found;
}

void mongo_gate_close(mongo_t *self)
{
    if (self->looker != NULL) {
        mongoc_client_destroy(self->looker);
        self->looker = NULL;
    }
}

/* --- in and out --- */

/* Is it this call's turn? With the lock, which is given away meanwhile. */
static int wait_for_turn(mongo_t *self)
{
    const struct timespec until = hb_clock_at(hb_clock() + TURN_USEC);
    int rc = 0;

    while (rc == 0 && n_under_way == 0 && self->waiting_most > 0
           && self->waiting >= self->waiting_most && !self->is_closed) {
        rc = pthread_cond_timedwait(&self->went, &self->lock, &until);
    }
    return rc == 0;
}

/* May one more call wait for the server? */
static int is_let_in(mongo_t *self)
{
    apr_int64_t now;
    bson_error_t error;
    int is_open, may_look;

    pthread_mutex_lock(&self->lock);
    if (!wait_for_turn(self)) {
        pthread_mutex_unlock(&self->lock);
        return 0;
    }
    now = hb_clock();
    may_look = self->waiting > 0 && now - self->answered_at > STUCK_USEC;
    is_open = !self->is_closed && !may_look;
    if (self->is_closed) {
        may_look = now >= self->look_at;
        if (may_look) {
            self->look_at = now + LOOK_EVERY_USEC;
        }
    }
    if (is_open && self->waiting++ == 0) {
        self->answered_at = now;
    }
    pthread_mutex_unlock(&self->lock);
    if (may_look && mongo_look(self, &error) != MONGO_AWAY) {
        is_open = 1;
        pthread_mutex_lock(&self->lock);
        self->waiting++;
        pthread_mutex_unlock(&self->lock);
    }
    return is_open;
}

static void let_out(mongo_t *self, int has_answered)
{
    pthread_mutex_lock(&self->lock);
    self->waiting--;
    self->is_closed = !has_answered;
    if (has_answered) {
        self->answered_at = hb_clock();
        pthread_cond_signal(&self->went);
    } else {
        pthread_cond_broadcast(&self->went);
    }
    pthread_mutex_unlock(&self->lock);
}

apr_status_t mongo_take(mongo_call_t *call, mongo_t *self, hb_op_t *op)
{
    static const bson_t none = BSON_INITIALIZER;

    memset(call, 0, sizeof(*call));
    call->self = self;
    call->op = op;
    if (op->tx != NULL) {
        call->tx = (mongo_tx_t *)op->tx;
        call->client = call->tx->client;
        call->opts = &call->tx->opts;
        return call->tx->is_lost ? HB_E_STORE_CONFLICT : APR_SUCCESS;
    }
    if (self->pid != getpid()) {
        hb_log(op, HB_LOG_CRIT, 0, HBLOGNO(01147) "the store was opened before a fork");
        return HB_E_INTERNAL;
    }
    if (is_let_in(self)) {
        call->client = mongoc_client_pool_pop(self->pool);
        if (call->client != NULL) {
            call->opts = &none;
            n_under_way++;
            return APR_SUCCESS;
        }
        pthread_mutex_lock(&self->lock);        /* no connection is free; that says nothing */
        self->waiting--;
        pthread_cond_signal(&self->went);
        pthread_mutex_unlock(&self->lock);
    }
    return hb_fail_later(op, HB_E_STORE_DOWN, RETRY_AFTER_SEC,
                         "records cannot be reached just now");
}

void mongo_give(mongo_call_t *call, int has_answered)
{
    if (call->tx != NULL) {
        if (has_answered && !call->tx->is_down) {
            pthread_mutex_lock(&call->self->lock);
            call->self->answered_at = hb_clock();
            pthread_mutex_unlock(&call->self->lock);
        }
        return;
    }
    n_under_way--;
    mongoc_client_pool_push(call->self->pool, call->client);
    let_out(call->self, has_answered);
}

mongoc_collection_t *mongo_collection(const mongo_call_t *call, hb_collection_e in)
{
    mongoc_collection_t *collection = mongoc_client_get_collection(call->client, call->self->db,
                                                                   hb_shape(in)->name);

    if (call->tx == NULL) {             /* inside one its own concern holds */
        mongoc_collection_set_read_concern(collection, call->self->reads);
    }
    return collection;
}
