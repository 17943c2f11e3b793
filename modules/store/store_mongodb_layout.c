/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collections, indexes and views as hb_schema.def has them. Who opens the store first after
 * the table changed makes what is missing; a hash of the table in MONGO_META tells the
 * others that nothing is to be done. An index that is unique or sparse covers only records
 * that have its fields.
 */
#include "store_mongodb.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_crypto.h"

#define LAYOUT_ID "layout"
#define SAME_INDEX 85               /* IndexOptionsConflict: other options, or another name */
#define OTHER_INDEX 86              /* IndexKeySpecsConflict: other fields under this name */
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

void mongo_layout_append_index(bson_t *to, const hb_index_row_t *row, apr_pool_t *pool)
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

apr_status_t mongo_layout_collection(mongo_t *self, mongoc_client_t *client, const char *name)
{
    bson_t *create = BCON_NEW("create", BCON_UTF8(name));
    bson_t reply;
    bson_error_t error;
    apr_status_t rv = APR_SUCCESS;

    if (!mongoc_client_command_simple(client, self->db, create, NULL, &reply, &error)
        && !exists(&error)) {
        rv = complain(self, name, &error);
    }
    bson_destroy(&reply);
    bson_destroy(create);
    return rv;
}

bool mongo_layout_indexes(mongo_t *self, mongoc_client_t *client, const hb_shape_row_t *shape,
                          const char *which, apr_pool_t *pool, bson_error_t *error)
{
    bson_t command, list, item, reply;
    uint32_t n = 0;
    bool good;
    int i;

    bson_init(&command);
    bson_append_utf8(&command, "createIndexes", -1, shape->name, -1);
    bson_append_array_begin(&command, "indexes", -1, &list);
    for (i = 0; i < shape->n_indexes; i++) {
        char text[16];
        const char *index;

        if (which[i]) {
            bson_uint32_to_string(n++, &index, text, sizeof(text));
            bson_append_document_begin(&list, index, -1, &item);
            mongo_layout_append_index(&item, &shape->indexes[i], pool);
            bson_append_document_end(&list, &item);
        }
    }
    bson_append_array_end(&command, &list);
    good = mongoc_client_command_simple(client, self->db, &command, NULL, &reply, error);
    bson_destroy(&reply);
    bson_destroy(&command);
    return good;
}

/*
 * Of one that is there already with the same fields under another name, no second one is made: only who
 * made it can know whether it is still wanted under that name.
 */
static apr_status_t complain_of_indexes(mongo_t *self, const hb_shape_row_t *shape,
                                        const bson_error_t *error, apr_pool_t *pool)
{
    return complain(self, apr_psprintf(pool, "indexes of %s%s", shape->name,
                                       error->code == SAME_INDEX ? " (drop the other one: "
                                       "db.COLLECTION.dropIndex(\"NAME\"))" : ""), error);
}

static apr_status_t make_collection(mongo_t *self, mongoc_client_t *client,
                                    const hb_shape_row_t *shape, apr_pool_t *pool)
{
    char *all = apr_palloc(pool, (apr_size_t)shape->n_indexes + 1);
    apr_status_t rv = mongo_layout_collection(self, client, shape->name);
    bson_error_t error;

    memset(all, 1, (apr_size_t)shape->n_indexes);
    if (rv == APR_SUCCESS && shape->n_indexes > 0
        && !mongo_layout_indexes(self, client, shape, all, pool, &error)
        && !((error.code == OTHER_INDEX || error.code == SAME_INDEX)
             && mongo_index_mend(self, client, shape, pool, &error))) {
        rv = complain_of_indexes(self, shape, &error, pool);
    }
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

apr_status_t mongo_layout_mark(mongo_t *self, mongoc_client_t *client, int is_good,
                               apr_pool_t *pool)
{
    mongoc_collection_t *collection = mongoc_client_get_collection(client, self->db, MONGO_META);
    bson_t *filter = BCON_NEW("_id", BCON_UTF8(LAYOUT_ID));
    bson_t *doc = BCON_NEW("_id", BCON_UTF8(LAYOUT_ID), "schema", BCON_INT64(HB_SCHEMA_VERSION),
                           "hash", BCON_UTF8(is_good ? hash_of_table(pool) : ""));
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

apr_status_t mongo_note(const char **text, mongo_t *self, mongoc_client_t *client,
                        apr_pool_t *pool, bson_error_t *error)
{
    mongoc_collection_t *collection = mongoc_client_get_collection(client, self->db, MONGO_META);
    bson_t *filter = BCON_NEW("_id", BCON_UTF8(MONGO_NOTE));
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(collection, filter, NULL, NULL);
    apr_status_t rv = APR_SUCCESS;
    const bson_t *doc;
    bson_iter_t iter;

    *text = NULL;
    if (mongoc_cursor_next(cursor, &doc) && bson_iter_init_find(&iter, doc, "text")
        && BSON_ITER_HOLDS_UTF8(&iter)) {
        *text = apr_pstrdup(pool, bson_iter_utf8(&iter, NULL));
    }
    if (mongoc_cursor_error(cursor, error)) {
        rv = HB_E_STORE_DOWN;
    }
    mongoc_cursor_destroy(cursor);
    bson_destroy(filter);
    mongoc_collection_destroy(collection);
    return rv;
}

mongoc_client_t *mongo_layout_client(mongo_t *self)
{
    mongoc_uri_t *uri = mongoc_uri_copy(self->uri);
    mongoc_client_t *client;

    mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SOCKETTIMEOUTMS, BUILD_INDEX_MSEC);
    client = mongoc_client_new_from_uri(uri);
    mongoc_client_set_error_api(client, MONGOC_ERROR_API_VERSION_2);
    mongoc_uri_destroy(uri);
    return client;
}

apr_status_t mongo_layout(mongo_t *self, mongoc_client_t *client, apr_pool_t *pool)
{
    const char *wanted = hash_of_table(pool), *hash, *note;
    mongoc_client_t *patient;
    bson_error_t error;
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
    if (self->is_to_copy) {     /* a copy clears it anyway, or leaves all as it is */
        return APR_SUCCESS;
    }
    rv = mongo_note(&note, self, client, pool, &error);
    if (rv != APR_SUCCESS) {
        return complain(self, "layout", &error);
    }
    if (note != NULL) {
        bson_set_error(&error, MONGOC_ERROR_CLIENT, 0, "they are a copy that is not finished: give "
                       "the same `halobuzzctl store copy` again");
        return complain(self, "records", &error);
    }
    patient = mongo_layout_client(self);
    for (s = HB_SHAPE_NONE + 1; s < HB_SHAPE_COUNT && rv == APR_SUCCESS; s++) {
        if (hb_shape(s)->role == HB_IS_COLLECTION) {
            rv = make_collection(self, patient, hb_shape(s), pool);
        }
    }
    for (i = 0; i < N_VIEWS && rv == APR_SUCCESS; i++) {
        make_view(self, patient, i);
    }
    if (rv == APR_SUCCESS) {
        rv = mongo_layout_mark(self, patient, 1, pool);
    }
    mongoc_client_destroy(patient);
    return rv;
}
