/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NAME
 *     bench_copy - how fast a store is copied, beside how fast its target takes documents at all
 *
 * SYNOPSIS
 *     bench_copy --dir DIR [--to URL] [--documents N] [--rounds N]
 *
 * DESCRIPTION
 *     Makes an SQLite source of N chat messages (of some 330 bytes) in DIR. Then, in turn, the same
 *     documents are written to the target as fast as it takes them (SQLite: one prepared statement, the
 *     text alone, 2000 a transaction; MongoDB: insert_many of BSON made before, 2000 a call, majority),
 *     and the source is copied into it. The copy has the same durability and keeps its place as well.
 *     The target is a file in DIR, or the database URL names, whose records are lost.
 *
 *     Prints a line a round: documents/s of the target alone, of the copy, the seconds its reading
 *     and its writing thread were busy, of the indexes, of the comparison, and the resident kB.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <apr_general.h>
#include <apr_strings.h>
#include <sqlite3.h>
#ifdef HAVE_MONGOC
#include <mongoc/mongoc.h>
#endif

#include "bench_desk.h"
#include "hb_settings.h"
#include "hb_store_backend.h"
#include "hb_store_copy.h"

#define BATCH 2000
#define TEXT_BYTES 400

static hb_site_t *site;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "bench_copy: %s: %s\n", what, why);
    exit(1);
}

/* --- the documents --- */

static void make_document(char id[25], char *text, apr_size_t *len, int i)
{
    snprintf(id, 25, "%024x", i);
    *len = (apr_size_t)snprintf(text, TEXT_BYTES, "{\"streamId\":\"%024x\",\"userId\":\"%024x\","
        "\"username\":\"viewer%05d\",\"createdAt\":%lld,\"kind\":\"chat\",\"offset\":%d,"
        "\"text\":\"message %d, of about as many words as people type into a room with one hand\","
        "\"flags\":[],\"client\":{\"app\":\"web\",\"version\":3},\"isHidden\":false,"
        "\"replyTo\":null}", i % 997, i % 49999, i % 49999, 1700000000000LL + i, i, i);
}

static hb_op_t *open_store(const char *url, int is_to_copy, apr_pool_t *pool)
{
    hb_site_t *one = apr_pmemdup(pool, site, sizeof(*one));

    bench_must(is_to_copy ? hb_store_open_to_copy(&one->store, one, url, pool)
         : hb_store_open(&one->store, one, url, pool), url);
    return hb_op_make(one, pool);
}

static void make_source(const char *url, int n)
{
    apr_pool_t *pool, *scratch;
    hb_store_raw_t *docs;
    hb_op_t *op;
    int i, k;

    apr_pool_create(&pool, site->pool);
    apr_pool_create(&scratch, pool);
    op = open_store(url, 1, pool);
    docs = apr_palloc(pool, BATCH * sizeof(*docs));
    for (i = 0; i < n; i += k) {
        apr_pool_clear(scratch);
        for (k = 0; k < BATCH && i + k < n; k++) {
            char *id = apr_palloc(scratch, 25), *text = apr_palloc(scratch, TEXT_BYTES);

            make_document(id, text, &docs[k].len, i + k);
            docs[k].id = id;
            docs[k].text = text;
            docs[k].json = hb_json_parse_own(text, docs[k].len, scratch);
        }
        bench_must(hb_store_load(op, HB_C_MESSAGES, docs, k, NULL), "source");
    }
    apr_pool_destroy(pool);
}

/* --- the target alone --- */

static double plain_sqlite(const char *dir, int n)
{
    const char *path = apr_pstrcat(site->pool, dir, "/plain.db", NULL);
    char id[25], text[TEXT_BYTES];
    sqlite3_stmt *stmt;
    sqlite3 *db;
    apr_size_t len;
    double started;
    int i;

    unlink(path);
    if (sqlite3_open(path, &db) != SQLITE_OK
        || sqlite3_exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t (seq "
                        "INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, doc TEXT NOT NULL) STRICT",
                        NULL, NULL, NULL) != SQLITE_OK
        || sqlite3_prepare_v2(db, "INSERT INTO t (id,doc) VALUES (?,?)", -1, &stmt, NULL)
           != SQLITE_OK) {
        die(path, sqlite3_errmsg(db));
    }
    started = bench_now();
    for (i = 0; i < n; i++) {
        if (i % BATCH == 0) {
            sqlite3_exec(db, i == 0 ? "BEGIN" : "COMMIT; BEGIN", NULL, NULL, NULL);
        }
        make_document(id, text, &len, i);
        sqlite3_bind_text(stmt, 1, id, -1, SQLITE_STATIC);
        sqlite3_bind_text(stmt, 2, text, (int)len, SQLITE_STATIC);
        if (sqlite3_step(stmt) != SQLITE_DONE) {
            die(path, sqlite3_errmsg(db));
        }
        sqlite3_reset(stmt);
    }
    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    started = bench_now() - started;
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return n / started;
}

#ifdef HAVE_MONGOC
static double plain_mongodb(const char *url, int n)
{
    mongoc_client_t *client = mongoc_client_new(url);
    mongoc_uri_t *uri = mongoc_uri_new(url);
    const char *db = uri != NULL ? mongoc_uri_get_database(uri) : NULL;
    mongoc_collection_t *collection = mongoc_client_get_collection(client, db != NULL ? db
                                                                   : "halobuzz", "bench_plain");
    mongoc_write_concern_t *writes = mongoc_write_concern_new();
    bson_t **docs = malloc((size_t)n * sizeof(*docs));
    bson_t *opts = BCON_NEW("ordered", BCON_BOOL(false));
    bson_error_t error;
    double started;
    int i;

    mongoc_write_concern_set_wmajority(writes, -1);
    mongoc_write_concern_append(writes, opts);
    mongoc_collection_drop(collection, NULL);
    for (i = 0; i < n; i++) {
        char id[25], text[TEXT_BYTES];
        apr_size_t len;
        bson_t *body;

        make_document(id, text, &len, i);
        body = bson_new_from_json((const uint8_t *)text, (ssize_t)len, NULL);
        docs[i] = BCON_NEW("_id", BCON_UTF8(id));
        bson_concat(docs[i], body);
        bson_destroy(body);
    }
    started = bench_now();
    for (i = 0; i < n; i += BATCH) {
        size_t k = (size_t)(n - i < BATCH ? n - i : BATCH);

        if (!mongoc_collection_insert_many(collection, (const bson_t **)docs + i, k, opts, NULL,
                                           &error)) {
            die("insert_many", error.message);
        }
    }
    started = bench_now() - started;
    mongoc_collection_drop(collection, NULL);
    for (i = 0; i < n; i++) {
        bson_destroy(docs[i]);
    }
    free(docs);
    bson_destroy(opts);
    mongoc_write_concern_destroy(writes);
    mongoc_collection_destroy(collection);
    mongoc_uri_destroy(uri);
    mongoc_client_destroy(client);
    return n / started;
}
#else
static double plain_mongodb(const char *url, int n)
{
    (void)n;
    die(url, "built without mongo-c-driver");
    return 0;
}
#endif

/* --- the copy --- */

typedef struct run_t {
    hb_op_t *target;
    hb_copy_proof_t proof;
} run_t;

static apr_status_t copy_now(hb_op_t *op, void *baton)
{
    run_t *run = baton;
    hb_copy_source_t source;

    hb_store_copy_source(&source, op);
    source.name = "bench";
    return hb_store_copy(&run->proof, run->target, &source, HB_COPY_FORCE, NULL, NULL);
}

static long resident_kb(void)
{
    long pages = 0, dropped;
    FILE *f = fopen("/proc/self/statm", "r");

    if (f == NULL || fscanf(f, "%ld %ld", &dropped, &pages) != 2) {
        pages = 0;
    }
    if (f != NULL) {
        fclose(f);
    }
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void copy(hb_copy_proof_t *proof, const char *from, const char *to)
{
    apr_pool_t *pool;
    run_t run;

    apr_pool_create(&pool, site->pool);
    run.target = open_store(to, 1, pool);
    bench_must(hb_store_freeze(open_store(from, 0, pool), copy_now, &run), "copy");
    *proof = run.proof;
    apr_pool_destroy(pool);
}

int main(int argc, char **argv)
{
    const char *dir = NULL, *to = NULL, *why, *from, *settings_path;
    hb_log_t log = { bench_print_line, NULL, HB_LOG_WARNING };
    const hb_settings_t *settings;
    int i, n = 100000, rounds = 3;
    apr_pool_t *pool;
    FILE *f;

    for (i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--dir") == 0) {
            dir = argv[i + 1];
        }
        else if (strcmp(argv[i], "--to") == 0) {
            to = argv[i + 1];
        }
        else if (strcmp(argv[i], "--documents") == 0) {
            n = atoi(argv[i + 1]);
        }
        else if (strcmp(argv[i], "--rounds") == 0) {
            rounds = atoi(argv[i + 1]);
        }
    }
    if (dir == NULL || n <= 0) {
        die("usage", "--dir DIR [--to URL] [--documents N] [--rounds N]");
    }
    apr_initialize();
    apr_pool_create(&pool, NULL);
    settings_path = apr_pstrcat(pool, dir, "/settings", NULL);
    f = fopen(settings_path, "w");
    if (f == NULL || fprintf(f, "HaloBuzzStateDir %s\nHaloBuzzEnvironment test\n"
                             "HaloBuzzPublicURL http://localhost:9\n", dir) < 0) {
        die(settings_path, "cannot be written");
    }
    fclose(f);
    why = hb_settings_load(&settings, settings_path, pool);
    if (why != NULL || hb_site_make(&site, &why, settings, &log, pool) != APR_SUCCESS) {
        die("settings", why);
    }
    from = apr_pstrcat(pool, "sqlite:", dir, "/source.db", NULL);
    to = to != NULL ? to : apr_pstrcat(pool, "sqlite:", dir, "/target.db", NULL);
    make_source(from, n);
    for (i = 0; i < rounds; i++) {
        double plain = strncmp(to, "sqlite:", 7) == 0 ? plain_sqlite(dir, n)
            : plain_mongodb(to, n);
        hb_copy_proof_t p;

        copy(&p, from, to);
        printf("%.0f plain, %.0f copied, %.2f read, %.2f write, %.2f indexes, %.2f compare, %ld kB\n",
               plain, (double)p.written * 1e6 / (double)p.copy_usec, (double)p.read_usec / 1e6,
               (double)p.write_usec / 1e6, (double)p.index_usec / 1e6, (double)p.proof_usec / 1e6,
               resident_kb());
        fflush(stdout);
    }
    apr_pool_destroy(pool);
    apr_terminate();
    return 0;
}
