/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NAME
 *     bench_insert - what SQLite itself takes: one table, one loop, nothing else
 *
 * SYNOPSIS
 *     bench_insert --dir DIR --seconds N --group N
 *
 * DESCRIPTION
 *     Inserts rows of 700 bytes with a unique key into a fresh file of DIR, in WAL mode with
 *     synchronous=FULL, so many rows a commit; prints rows a second. The yardstick of
 *     the register and gift figures.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(sqlite3 *db, int rc, const char *what)
{
    if (rc != SQLITE_OK && rc != SQLITE_DONE && rc != SQLITE_ROW) {
        fprintf(stderr, "bench_insert: %s: %s\n", what, sqlite3_errmsg(db));
        exit(1);
    }
}

int main(int argc, char **argv)
{
    const char *dir = ".";
    double seconds = 3, began, end;
    int group = 16, i;
    long rows = 0;
    char path[4096], key[32], doc[701];
    sqlite3 *db;
    sqlite3_stmt *insert;

    for (i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--dir") == 0) {
            dir = argv[i + 1];
        }
        else if (strcmp(argv[i], "--seconds") == 0) {
            seconds = atof(argv[i + 1]);
        }
        else if (strcmp(argv[i], "--group") == 0) {
            group = atoi(argv[i + 1]);
        }
    }
    snprintf(path, sizeof(path), "%s/bench-insert-%ld.db", dir, (long)getpid());
    must(NULL, sqlite3_open(path, &db), "open");
    must(db, sqlite3_exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                              "CREATE TABLE t (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,"
                              " doc TEXT NOT NULL)", NULL, NULL, NULL), "create");
    must(db, sqlite3_prepare_v2(db, "INSERT INTO t (id, doc) VALUES (?1, ?2)", -1, &insert,
                                NULL), "prepare");
    memset(doc, 'd', sizeof(doc) - 1);
    doc[sizeof(doc) - 1] = '\0';
    began = now();
    end = began + seconds;
    while (now() < end) {
        must(db, sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), "begin");
        for (i = 0; i < group; i++) {
            snprintf(key, sizeof(key), "%024lx", rows++);
            sqlite3_bind_text(insert, 1, key, 24, SQLITE_STATIC);
            sqlite3_bind_text(insert, 2, doc, (int)sizeof(doc) - 1, SQLITE_STATIC);
            must(db, sqlite3_step(insert), "insert");
            sqlite3_reset(insert);
        }
        must(db, sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), "commit");
    }
    end = now();
    sqlite3_finalize(insert);
    sqlite3_close(db);
    unlink(path);
    printf("%.0f rows/s, %d a commit\n", (double)rows / (end - began), group);
    return 0;
}
