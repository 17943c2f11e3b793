/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NAME
 *     bench_store - what the store takes, beside what SQLite itself takes
 *
 * SYNOPSIS
 *     bench_store --dir DIR [--threads N] [--group N] [--seconds N] [--rounds N] [--users N]
 *
 * DESCRIPTION
 *     Opens a store in DIR/bench-PID and inserts user documents from N threads, each
 *     insert durable when it returns, for some seconds; then a plain table of rows of the same
 *     size with the same durability in a loop of its own, so many rows a commit; both in turn,
 *     so many rounds; prints the medians and their ratio. --group 0 takes the size of the
 *     store's own groups in that round. Then reads: a user by id, by e-mail address, a
 *     page of 20, each in one thread, in microseconds a call.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include <apr_file_info.h>
#include <apr_general.h>
#include <apr_strings.h>
#include <apr_thread_proc.h>

#include "bench_desk.h"
#include "hb_metrics.h"
#include "hb_settings.h"
#include "hb_site.h"
#include "hb_store.h"

#define ROUNDS_MAX 15
#define ROW_BYTES 560           /* of a user as it is stored */
#define READS 20000

typedef struct bench_t {
    hb_site_t *site;
    const char *dir;
    int threads, group, rounds;
    double seconds;
    long users;
    double until;
    long next_user;             /* atomic */
    long inserted;              /* atomic */
    int failed;                 /* atomic */
} bench_t;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "bench_store: %s: %s\n", what, why);
    exit(1);
}

static void complain(void *baton, hb_level_e level, apr_status_t status,
                     const char *request_id, const char *line)
{
    (void)baton;
    (void)level;
    (void)request_id;
    fprintf(stderr, "bench_store: %s (%d)\n", line, status);
}

static void *APR_THREAD_FUNC insert_users(apr_thread_t *thread, void *data)
{
    bench_t *b = data;
    apr_pool_t *pool;

    apr_pool_create_unmanaged_ex(&pool, NULL, NULL);
    while (bench_now() < b->until) {
        hb_op_t *op = hb_op_make(b->site, pool);
        long i = __atomic_fetch_add(&b->next_user, 1, __ATOMIC_RELAXED);

        if (hb_store_insert(NULL, op, HB_C_USERS, bench_user(op, apr_psprintf(op->pool, "bench%ld", i))) != APR_SUCCESS) {
            b->failed = 1;
            break;
        }
        __atomic_add_fetch(&b->inserted, 1, __ATOMIC_RELAXED);
        apr_pool_clear(pool);
    }
    apr_pool_destroy(pool);
    apr_thread_exit(thread, APR_SUCCESS);
    return NULL;
}

/* Users a second, and how many shared a commit. */
static double by_the_store(bench_t *b, double *per_commit)
{
    apr_int64_t commits = hb_metric_value(b->site->metrics, HB_M_STORE_COMMITS);
    apr_thread_t *threads[256];
    double began = bench_now();
    apr_status_t rv;
    int i;

    b->until = began + b->seconds;
    b->inserted = 0;
    for (i = 0; i < b->threads; i++) {
        apr_thread_create(&threads[i], NULL, insert_users, b, b->site->pool);
    }
    for (i = 0; i < b->threads; i++) {
        apr_thread_join(&rv, threads[i]);
    }
    if (b->failed) {
        die("insert", "failed");
    }
    commits = hb_metric_value(b->site->metrics, HB_M_STORE_COMMITS) - commits;
    *per_commit = (double)b->inserted / (double)(commits > 0 ? commits : 1);
    return (double)b->inserted / (bench_now() - began);
}

static void must(sqlite3 *db, int rc, const char *what)
{
    if (rc != SQLITE_OK && rc != SQLITE_DONE) {
        die(what, sqlite3_errmsg(db));
    }
}

/* Rows a second of a plain table. */
static double by_sqlite(bench_t *b, int group)
{
    char path[4096], key[32], doc[ROW_BYTES + 1];
    sqlite3_stmt *insert;
    sqlite3 *db;
    double began;
    long rows = 0;
    int i;

    apr_snprintf(path, sizeof(path), "%s/plain.db", b->dir);
    must(NULL, sqlite3_open(path, &db), "open");
    must(db, sqlite3_exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                          "CREATE TABLE t (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,"
                          " doc TEXT NOT NULL)", NULL, NULL, NULL), "create");
    must(db, sqlite3_prepare_v2(db, "INSERT INTO t (id,doc) VALUES (?,?)", -1, &insert, NULL),
         "prepare");
    memset(doc, 'd', ROW_BYTES);
    doc[ROW_BYTES] = '\0';
    began = bench_now();
    while (bench_now() < began + b->seconds) {
        must(db, sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), "begin");
        for (i = 0; i < group; i++) {
            apr_snprintf(key, sizeof(key), "%024lx", rows++);
            sqlite3_bind_text(insert, 1, key, 24, SQLITE_STATIC);
            sqlite3_bind_text(insert, 2, doc, ROW_BYTES, SQLITE_STATIC);
            must(db, sqlite3_step(insert), "insert");
            sqlite3_reset(insert);
        }
        must(db, sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), "commit");
    }
    began = bench_now() - began;
    sqlite3_finalize(insert);
    sqlite3_close(db);
    unlink(path);
    return (double)rows / began;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *values, int n)
{
    qsort(values, (size_t)n, sizeof(*values), ascending);
    return values[n / 2];
}

static void compare_writes(bench_t *b)
{
    double store[ROUNDS_MAX], plain[ROUNDS_MAX], ratio[ROUNDS_MAX], groups[ROUNDS_MAX];
    int i, group;

    for (i = 0; i < b->rounds; i++) {
        store[i] = by_the_store(b, &groups[i]);
        group = b->group > 0 ? b->group : (int)(groups[i] + 0.5);
        plain[i] = by_sqlite(b, group > 0 ? group : 1);
        ratio[i] = store[i] / plain[i];
        printf("round %d: store %.0f/s (%.1f a commit, %d threads), SQLite %.0f/s (%d a "
               "commit): %.2f\n", i + 1, store[i], groups[i], b->threads, plain[i], group,
               ratio[i]);
    }
    printf("durable user inserts: %.0f/s; a plain table: %.0f/s; ratio %.2f\n",
           median(store, b->rounds), median(plain, b->rounds), median(ratio, b->rounds));
}

/* --- reads --- */

typedef apr_status_t read_fn(hb_op_t *op, long i);

static apr_status_t by_id(hb_op_t *op, long i)
{
    hb_json_t *doc;

    return hb_store_get(&doc, op, HB_C_USERS, apr_psprintf(op->pool, "read%ld", i));
}

static apr_status_t by_email(hb_op_t *op, long i)
{
    hb_cond_t where = { .field = "email", .how = HB_IS,
                        .value = HB_STR(apr_psprintf(op->pool, "bench%ld@example.com", i)) };
    hb_query_t query = { .in = HB_C_USERS, .where = &where, .n_where = 1 };
    hb_json_t *doc;

    return hb_store_find_one(&doc, op, &query);
}

static apr_status_t a_page(hb_op_t *op, long i)
{
    hb_query_t query = { .in = HB_C_USERS, .sort = { { "createdAt", 1 } }, .limit = 20 };
    hb_page_t page;

    (void)i;
    return hb_store_find(&page, op, &query);
}

static void time_reads(bench_t *b, const char *label, read_fn *fn, int n)
{
    apr_pool_t *pool;
    double began;
    int i;

    apr_pool_create(&pool, b->site->pool);
    began = bench_now();
    for (i = 0; i < n; i++) {
        if (fn(hb_op_make(b->site, pool), (long)((unsigned int)i * 7919U % b->users))
            != APR_SUCCESS) {
            die(label, "failed");
        }
        apr_pool_clear(pool);
    }
    printf("%s: %.1f us\n", label, (bench_now() - began) * 1e6 / n);
    apr_pool_destroy(pool);
}

static apr_status_t fill_batch(hb_op_t *op, void *baton)
{
    bench_t *b = baton;
    apr_status_t rv = APR_SUCCESS;
    long i;

    for (i = 0; i < b->users && rv == APR_SUCCESS; i++) {
        hb_json_t *user = bench_user(op, apr_psprintf(op->pool, "bench%ld", i));

        hb_json_set_string(user, "_id", apr_psprintf(op->pool, "read%ld", i));
        rv = hb_store_insert(NULL, op, HB_C_USERS, user);
    }
    return rv;
}

static void open_site(bench_t *b, apr_pool_t *pool)
{
    static hb_log_t log = { complain, NULL, HB_LOG_WARNING };
    hb_settings_draft_t *draft = hb_settings_draft_make(pool);
    hb_site_memory_t none = { 0 };
    const char *why;

    if ((why = hb_settings_set(draft, hb_setting_row("HaloBuzzStateDir"), b->dir, pool)) != NULL
        || (why = hb_settings_finish(draft, pool)) != NULL
        || hb_site_make(&b->site, &why, &draft->values, &log, pool) != APR_SUCCESS
        || hb_site_open(b->site, &none, pool) != APR_SUCCESS) {
        die("open", why != NULL ? why : "the site");
    }
}

static void remove_dir(const char *dir, apr_pool_t *pool)
{
    apr_finfo_t entry;
    apr_dir_t *d;

    if (apr_dir_open(&d, dir, pool) != APR_SUCCESS) {
        return;
    }
    while (apr_dir_read(&entry, APR_FINFO_NAME | APR_FINFO_TYPE, d) == APR_SUCCESS) {
        const char *path = apr_pstrcat(pool, dir, "/", entry.name, NULL);

        if (entry.name[0] == '.') {
            continue;
        }
        if (entry.filetype == APR_DIR) {
            remove_dir(path, pool);
        }
        else {
            unlink(path);
        }
    }
    apr_dir_close(d);
    rmdir(dir);
}

int main(int argc, const char *const *argv)
{
    bench_t b = { .threads = 16, .rounds = 5, .seconds = 2, .users = 10000 };
    const char *base = ".";
    apr_pool_t *pool, *work;
    int i;

    apr_app_initialize(&argc, &argv, NULL);
    apr_pool_create(&pool, NULL);
    for (i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--dir") == 0) {
            base = argv[i + 1];
        }
        else if (strcmp(argv[i], "--threads") == 0) {
            b.threads = atoi(argv[i + 1]);
        }
        else if (strcmp(argv[i], "--group") == 0) {
            b.group = atoi(argv[i + 1]);
        }
        else if (strcmp(argv[i], "--seconds") == 0) {
            b.seconds = atof(argv[i + 1]);
        }
        else if (strcmp(argv[i], "--rounds") == 0) {
            b.rounds = atoi(argv[i + 1]);
        }
        else if (strcmp(argv[i], "--users") == 0) {
            b.users = atol(argv[i + 1]);
        }
    }
    if (b.threads < 1 || b.threads > 256 || b.rounds < 1 || b.rounds > ROUNDS_MAX
        || b.users < 1) {
        die("arguments", "1 to 256 threads, 1 to 15 rounds, 1 user or more");
    }
    b.dir = apr_psprintf(pool, "%s/bench-%ld", base, (long)getpid());
    if (mkdir(b.dir, 0750) != 0) {
        die(b.dir, "cannot be made");
    }
    apr_pool_create(&work, pool);
    open_site(&b, work);
    if (hb_store_transact(hb_op_make(b.site, work), fill_batch, &b) != APR_SUCCESS) {
        die("fill", "failed");
    }
    b.next_user = b.users;
    time_reads(&b, "a user by id", by_id, READS);
    time_reads(&b, "a user by e-mail address", by_email, READS);
    time_reads(&b, "a page of 20 users", a_page, READS / 20);
    compare_writes(&b);
    apr_pool_destroy(work);
    remove_dir(b.dir, pool);
    return 0;
}
