/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collections, indexes and views as hb_schema.def has them. Who opens the store first after the table
 * changed makes what is missing; a hash of the table in MONGO_META tells the others that nothing is
 * to be done. An index that is unique or sparse covers only records that have its fields.
 */
#include "store_mongodb.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_crypto.h"

#define LAYOUT_ID "layout"
#define BUILD_INDEX_MSEC 3600000    /* a large collection takes its time */

/* --- what is wanted --- */

static void append_keys(bson_t *to, const hb_index_row_t *row, apr_pool_t *pool)
{
    char *fields = apr_pstrdup(pool, row->fields), *field, *rest;
    int direction = 1;

    for (field = apr_strtok(fields, " ", &rest); field != NULL;
         field = apr_strtok(NULL, " ", &rest)) {
        apr_size_t n = strlen(field);

        direction = 1;
        if (field[n - 1] == '-') {
            field[n - 1] = '\0';
            direction = -1;
        }
        bson_append_int32(to, field, -1, direction);
    }
    if (!(row->flags & HB_INDEX_UNIQUE)) {
        bson_append_int32(to, "_id", -1, direction);
    }
}

/* Only records that have every field; for a unique index also none that holds null. */
static void append_partial(bson_t *to, const hb_index_row_t *row, apr_pool_t *pool)
{
    char *fields = apr_pstrdup(pool, row->fields), *field, *rest;
    bson_t filter, test;

    if (!(row->flags & HB_INDEX_SPARSE)) {
        return;
    }
    bson_append_document_begin(to, "partialFilterExpression", -1, &filter);
    for (field = apr_strtok(fields, " ", &rest); field != NULL;
         field = apr_strtok(NULL, " ", &rest)) {
        apr_size_t n = strlen(field);
        const hb_field_row_t *row_of;

        if (field[n - 1] == '-') {
            field[n - 1] = '\0';
        }
        row_of = hb_shape_field(row->shape, field);
        bson_append_document_begin(&filter, field, -1, &test);
        if (row->flags & HB_INDEX_UNIQUE) {
            mongo_append_least(&test, "$gte", row_of != NULL ? row_of->kind : HB_KIND_STRING);
        }
        else {
            bson_append_bool(&test, "$exists", -1, true);
        }
        bson_append_document_end(&filter, &test);
    }
    bson_append_document_end(to, &filter);
}

static void append_index(bson_t *to, const hb_index_row_t *row, apr_pool_t *pool)
{
    bson_t keys;

    bson_append_document_begin(to, "key", -1, &keys);
    append_keys(&keys, row, pool);
    bson_append_document_end(to, &keys);
    bson_append_utf8(to, "name", -1, row->name, -1);
    if (row->flags & HB_INDEX_UNIQUE) {
        bson_append_bool(to, "unique", -1, true);
    }
    append_partial(to, row, pool);
}

/* Other names of the seeds, for who looks with a shell. */
static const struct {
    const char *name, *on, *pipeline;
} views[] = {
    { "streams", "liveStreams",
      "{\"pipeline\":[{\"$addFields\":{\"isLive\":{\"$eq\":[\"$status\",\"live\"]},"
      "\"startTime\":\"$startedAt\",\"userId\":\"$hostId\"}}]}" },
    { "chat", "messages", "{\"pipeline\":[]}" },
};

#define N_VIEWS ((int)(sizeof(views) / sizeof(views[0])))

static const char *hash_of_table(apr_pool_t *pool)
{
    const char *text = apr_psprintf(pool, "%d", HB_SCHEMA_VERSION);
    unsigned char digest[32];
    int s, i;

    for (s = HB_SHAPE_NONE + 1; s < HB_SHAPE_COUNT; s++) {
        const hb_shape_row_t *shape = hb_shape(s);

        for (i = 0; shape->role == HB_IS_COLLECTION && i < shape->n_indexes; i++) {
            text = apr_psprintf(pool, "%s\n%s %s %u %s", text, shape->name,
                                shape->indexes[i].name, shape->indexes[i].flags,
                                shape->indexes[i].fields);
        }
    }
    if (hb_sha256(digest, text, strlen(text), NULL, 0) != APR_SUCCESS) {
        return text;
    }
    return hb_hex(pool, digest, sizeof(digest));
}

/* --- making it --- */

static apr_status_t complain(mongo_t *self, const char *what, const bson_error_t *error)
{
    hb_log_to(&self->site->log, HB_LOG_ERR, 0, HBLOGNO(01144) "MongoDB at %s: %s: %s", self->where,
              what, error->message);
    return HB_E_STORE_DOWN;
}

static int exists(const bson_error_t *error)
{
    return error->code == 48;   /* NamespaceExists */
}

static apr_status_t make_collection(mongo_t *self, mongoc_client_t *client,
                                    const hb_shape_row_t *shape, apr_pool_t *pool)
{
    bson_t *create = BCON_NEW("create", BCON_UTF8(shape->name));
    bson_t command, list, item, reply;
    bson_error_t error;
    apr_status_t rv = APR_SUCCESS;
    int i;

    if (!mongoc_client_command_simple(client, self->db, create, NULL, &reply, &error)
        && !exists(&error)) {
        rv = complain(self, apr_pstrcat(pool, "collection ", shape->name, NULL), &error);
    }
    bson_destroy(&reply);
    bson_destroy(create);
    if (rv != APR_SUCCESS || shape->n_indexes == 0) {
        return rv;
    }
    bson_init(&command);
    bson_append_utf8(&command, "createIndexes", -1, shape->name, -1);
    bson_append_array_begin(&command, "indexes", -1, &list);
    for (i = 0; i < shape->n_indexes; i++) {
        char text[16];
        const char *index;

        bson_uint32_to_string((uint32_t)i, &index, text, sizeof(text));
        bson_append_document_begin(&list, index, -1, &item);
        append_index(&item, &shape->indexes[i], pool);
        bson_append_document_end(&list, &item);
    }
    bson_append_array_end(&command, &list);
    if (!mongoc_client_command_simple(client, self->db, &command, NULL, &reply, &error)) {
        rv = complain(self, apr_pstrcat(pool, "indexes of ", shape->name, NULL), &error);
    }
    bson_destroy(&reply);
    bson_destroy(&command);
    return rv;
}

/* A view is a convenience: a server that has none is no reason to stop. */
static void make_view(mongo_t *self, mongoc_client_t *client, int i)
{
    bson_t *pipeline = bson_new_from_json((const uint8_t *)views[i].pipeline, -1, NULL);
    bson_t command, reply;
    bson_error_t error;

    bson_init(&command);
    bson_append_utf8(&command, "create", -1, views[i].name, -1);
    bson_append_utf8(&command, "viewOn", -1, views[i].on, -1);
    bson_concat(&command, pipeline);
    if (!mongoc_client_command_simple(client, self->db, &command, NULL, &reply, &error)
        && !exists(&error)) {
        hb_log_to(&self->site->log, HB_LOG_NOTICE, 0, HBLOGNO(01145) "MongoDB at %s: no view %s on "
                  "%s: %s", self->where, views[i].name, views[i].on, error.message);
    }
    bson_destroy(&reply);
    bson_destroy(&command);
    bson_destroy(pipeline);
}

/* What MONGO_META says: the schema's version, 0 when it says nothing, and the hash. */
static apr_status_t read_meta(apr_int64_t *version, const char **hash, mongo_t *self,
                              mongoc_client_t *client, apr_pool_t *pool)
{
    mongoc_collection_t *collection = mongoc_client_get_collection(client, self->db, MONGO_META);
    bson_t *filter = BCON_NEW("_id", BCON_UTF8(LAYOUT_ID));
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(collection, filter, NULL, NULL);
    apr_status_t rv = APR_SUCCESS;
    const bson_t *doc;
    bson_error_t error;

    *version = 0;
    *hash = NULL;
    if (mongoc_cursor_next(cursor, &doc)) {
        hb_json_t *json = mongo_doc_json(doc, pool);

        *version = hb_json_int(json, "schema", 0);
        *hash = hb_json_string(json, "hash");
    }
    if (mongoc_cursor_error(cursor, &error)) {
        rv = complain(self, "layout", &error);
    }
    mongoc_cursor_destroy(cursor);
    bson_destroy(filter);
    mongoc_collection_destroy(collection);
    return rv;
}

static apr_status_t write_meta(mongo_t *self, mongoc_client_t *client, const char *hash)
{
    mongoc_collection_t *collection = mongoc_client_get_collection(client, self->db, MONGO_META);
    bson_t *filter = BCON_NEW("_id", BCON_UTF8(LAYOUT_ID));
    bson_t *doc = BCON_NEW("_id", BCON_UTF8(LAYOUT_ID), "schema", BCON_INT64(HB_SCHEMA_VERSION),
                           "hash", BCON_UTF8(hash));
    bson_t *opts = BCON_NEW("upsert", BCON_BOOL(true));
    bson_error_t error;
    apr_status_t rv = APR_SUCCESS;

    if (!mongoc_collection_replace_one(collection, filter, doc, opts, NULL, &error)
        && !mongo_is_duplicate(&error)) {       /* somebody else wrote it just now */
        rv = complain(self, "layout", &error);
    }
    bson_destroy(opts);
    bson_destroy(doc);
    bson_destroy(filter);
    mongoc_collection_destroy(collection);
    return rv;
}

apr_status_t mongo_layout(mongo_t *self, mongoc_client_t *client, apr_pool_t *pool)
{
    const char *wanted = hash_of_table(pool), *hash;
    mongoc_client_t *patient;
    mongoc_uri_t *uri;
    apr_int64_t version;
    apr_status_t rv = read_meta(&version, &hash, self, client, pool);
    int s, i;

    if (rv != APR_SUCCESS || (hash != NULL && strcmp(hash, wanted) == 0)) {
        return rv;
    }
    if (version > HB_SCHEMA_VERSION) {
        hb_log_to(&self->site->log, HB_LOG_ERR, 0, HBLOGNO(01146) "records at %s were written by a "
                  "newer HaloBuzz (layout %" APR_INT64_T_FMT ", this program knows %d): update "
                  "this host", self->where, version, HB_SCHEMA_VERSION);
        return HB_E_STORE_DOWN;
    }
    uri = mongoc_uri_copy(self->uri);
    mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SOCKETTIMEOUTMS, BUILD_INDEX_MSEC);
    patient = mongoc_client_new_from_uri(uri);
    mongoc_uri_destroy(uri);
    for (s = HB_SHAPE_NONE + 1; s < HB_SHAPE_COUNT && rv == APR_SUCCESS; s++) {
        if (hb_shape(s)->role == HB_IS_COLLECTION) {
            rv = make_collection(self, patient, hb_shape(s), pool);
        }
    }
    for (i = 0; i < N_VIEWS && rv == APR_SUCCESS; i++) {
        make_view(self, patient, i);
    }
    if (rv == APR_SUCCESS) {
        rv = write_meta(self, patient, wanted);
    }
    mongoc_client_destroy(patient);
    return rv;
}

/* --- looking whether it is so --- */

/* Does the server's index have our keys, and is it unique as ours is? */
static int is_as_wanted(const bson_t *has, const hb_index_row_t *row, apr_pool_t *pool)
{
    bson_t wanted = BSON_INITIALIZER;
    bson_iter_t a, b, iter;
    int good, unique;

    append_keys(&wanted, row, pool);
    good = bson_iter_init_find(&iter, has, "key") && BSON_ITER_HOLDS_DOCUMENT(&iter)
        && bson_iter_recurse(&iter, &a) && bson_iter_init(&b, &wanted);
    while (good && bson_iter_next(&b)) {
        good = bson_iter_next(&a) && strcmp(bson_iter_key(&a), bson_iter_key(&b)) == 0
            && bson_iter_as_int64(&a) == bson_iter_as_int64(&b);
    }
    good = good && !bson_iter_next(&a);
    unique = bson_iter_init_find(&iter, has, "unique") && bson_iter_as_bool(&iter);
    bson_destroy(&wanted);
    return good && unique == ((row->flags & HB_INDEX_UNIQUE) != 0);
}

static void check_collection(mongo_t *self, mongoc_client_t *client,
                             const hb_shape_row_t *shape, apr_pool_t *pool,
                             void (*fn)(void *baton, const char *finding), void *baton)
{
    mongoc_collection_t *collection = mongoc_client_get_collection(client, self->db,
                                                                   shape->name);
    char *found = apr_pcalloc(pool, (apr_size_t)shape->n_indexes + 1);
    mongoc_cursor_t *cursor = mongoc_collection_find_indexes_with_opts(collection, NULL);
    const bson_t *doc;
    bson_error_t error;
    bson_iter_t iter;
    int i;

    while (mongoc_cursor_next(cursor, &doc)) {
        const char *name = bson_iter_init_find(&iter, doc, "name") && BSON_ITER_HOLDS_UTF8(&iter)
            ? bson_iter_utf8(&iter, NULL) : "";

        for (i = 0; i < shape->n_indexes; i++) {
            if (strcmp(shape->indexes[i].name, name) == 0) {
                found[i] = is_as_wanted(doc, &shape->indexes[i], pool) ? 2 : 1;
            }
        }
    }
    if (mongoc_cursor_error(cursor, &error)) {
        fn(baton, apr_psprintf(pool, "layout: indexes of %s: %s", shape->name, error.message));
    }
    else {
        for (i = 0; i < shape->n_indexes; i++) {
            if (found[i] != 2) {
                fn(baton, apr_psprintf(pool, "layout: index %s of %s is %s", shape->indexes[i].name,
                                       shape->name, found[i] == 0 ? "missing"
                                       : "not as this program wants it"));
            }
        }
    }
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(collection);
}

void mongo_layout_check(mongo_t *self, mongoc_client_t *client, apr_pool_t *pool,
                        void (*fn)(void *baton, const char *finding), void *baton)
{
    int s;

    for (s = HB_SHAPE_NONE + 1; s < HB_SHAPE_COUNT; s++) {
        if (hb_shape(s)->role == HB_IS_COLLECTION && hb_shape(s)->n_indexes > 0) {
            check_collection(self, client, hb_shape(s), pool, fn, baton);
        }
    }
}
