/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What only a file can suffer: writers that are killed, a full or read-only disk, a file that
 * is taken away, replaced, damaged, older, newer or not ours. The backend's own test: it opens
 * the file with SQLite behind the store's back. Its queries are test_store_sqlite_plans.c's.
 */
#include "contract.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#include <apr_strings.h>

#include "hb_test.h"

#define NOBODY 65534

static const char *db_path(contract_t *c)
{
    return apr_pstrcat(hb_test_pool, c->ts->dir, "/records.db", NULL);
}

static void sql(contract_t *c, const char *text)
{
    char *error = NULL;
    sqlite3 *db;

    ck_assert_int_eq(sqlite3_open(db_path(c), &db), SQLITE_OK);
    sqlite3_exec(db, text, NULL, NULL, &error);
    ck_assert_msg(error == NULL, "%s: %s", text, error);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

static apr_status_t try_insert(contract_t *c)
{
    hb_op_t *op = contract_op(c);

    return hb_store_insert(NULL, op, HB_C_USERS, hb_json_object_make(op->pool));
}

static apr_status_t try_get(contract_t *c, const char *id)
{
    hb_json_t *doc;

    return hb_store_get(&doc, contract_op(c), HB_C_USERS, id);
}

/* Call again until it is as wanted: healing waits for a back-off. */
#define SOON(call, wanted) do { \
    int tries_ = 0; \
    while ((call) != (wanted) && ++tries_ < 100) { \
        usleep(100000); \
    } \
    ck_assert_msg(tries_ < 100, "%s never gave " #wanted, #call); \
} while (0)

/* --- death --- */

static int insert_pairs_for_ever(contract_t *c, int number, void *baton)
{
    int fd = *(int *)baton;
    hb_edit_t up = { "followers", HB_INC, HB_INT(1) };
    int i;

    for (i = 0;; i++) {
        apr_pool_t *pool;
        hb_op_t *op;
        hb_json_t *doc;
        char id[48];

        apr_pool_create_unmanaged_ex(&pool, NULL, NULL);
        op = hb_op_make(c->ts->site, pool);
        doc = hb_json_object_make(pool);
        apr_snprintf(id, sizeof(id), "p%d-%d-%d", (int)getpid(), number, i);
        hb_json_set_string(doc, "_id", id);
        hb_json_set_string(doc, "email", apr_pstrcat(pool, id, "@example.com", NULL));
        if (hb_store_insert(NULL, op, HB_C_USERS, doc) != APR_SUCCESS
            || hb_store_change(NULL, NULL, op, HB_C_USERS, "counter", NULL, 0, &up, 1)
            != APR_SUCCESS) {
            return 1;
        }
        /* What was answered is told to the test: it has to be there whatever happens. */
        if (write(fd, id, sizeof(id)) != (ssize_t)sizeof(id)) {
            return 2;
        }
        apr_pool_destroy(pool);
    }
}

static int make_counter(contract_t *c, int number, void *baton)
{
    (void)number;
    (void)baton;
    contract_insert(c->op, HB_C_USERS, "{'_id':'counter'}");
    return 0;
}

START_TEST(killed_writers_lose_nothing_that_was_answered)
{
    contract_t *c = contract_make(_i, "");
    hb_query_t all = { .in = HB_C_USERS };
    int fds[2], round, n_told = 0;
    apr_int64_t n;
    hb_json_t *doc;
    char id[48];
    pid_t pids[2];

    sql(c, "");                 /* an empty file is as good as none */
    chmod(db_path(c), 0640);
    ck_assert_int_eq(pipe(fds), 0);
    ck_assert_int_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    fcntl(fds[1], F_SETPIPE_SZ, 1048576);
    contract_fork(pids, c, 1, make_counter, NULL);
    contract_wait(pids, 1);
    for (round = 0; round < 8; round++) {
        contract_fork(pids, c, 2, insert_pairs_for_ever, &fds[1]);
        usleep(20000 + 17000 * (useconds_t)round);
        kill(pids[0], SIGKILL);
        usleep(3000);
        kill(pids[1], SIGKILL);
        ck_assert_int_eq(waitpid(pids[0], NULL, 0), pids[0]);
        ck_assert_int_eq(waitpid(pids[1], NULL, 0), pids[1]);
    }
    contract_start(c);
    contract_is_whole(c->op);
    while (read(fds[0], id, sizeof(id)) == (ssize_t)sizeof(id)) {
        ASSERT_OK(hb_store_get(&doc, c->op, HB_C_USERS, id));
        n_told++;
    }
    ck_assert_int_gt(n_told, 10);
    ASSERT_OK(hb_store_count(&n, c->op, &all));
    ASSERT_OK(hb_store_get(&doc, c->op, HB_C_USERS, "counter"));
    ck_assert_int_ge(n - 1, n_told);
    ck_assert_int_le(hb_json_int(doc, "followers", -1), n - 1);
    ck_assert_int_ge(hb_json_int(doc, "followers", -1), n_told);
    printf("%d writes were answered, %d kept\n", n_told, (int)n - 1);
}
END_TEST

static apr_status_t insert_and_hang(hb_op_t *op, void *baton)
{
    int fd = *(int *)baton;

    contract_insert(op, HB_C_USERS, "{'_id':'half'}");
    if (write(fd, "x", 1) == 1) {
        pause();
    }
    return APR_SUCCESS;
}

static int hang_inside(contract_t *c, int number, void *baton)
{
    (void)number;
    return hb_store_transact(c->op, insert_and_hang, baton) != APR_SUCCESS;
}

START_TEST(a_holder_that_dies_gives_the_lock_on)
{
    contract_t *c = contract_make(_i, "HaloBuzzStoreWait 1s\n");
    int fds[2];
    char byte;
    pid_t pid;
    hb_op_t *op;

    ck_assert_int_eq(pipe(fds), 0);
    contract_fork(&pid, c, 1, hang_inside, &fds[1]);
    ck_assert_int_eq(read(fds[0], &byte, 1), 1);
    contract_start(c);
    /* While it is held: reads are served, writes are told to come back. */
    ASSERT_RV(try_get(c, "half"), HB_E_STORE_MISSING);
    op = contract_op(c);
    ASSERT_RV(hb_store_insert(NULL, op, HB_C_USERS, hb_json_object_make(op->pool)),
              HB_E_STORE_CONFLICT);
    ck_assert_int_gt(op->problem.retry_after_sec, 0);
    ASSERT_RV(hb_store_ping(contract_op(c)), HB_E_STORE_CONFLICT);
    kill(pid, SIGKILL);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    ASSERT_OK(try_insert(c));
    ck_assert(hb_test_site_logged(c->ts, "HB01113"));
    ASSERT_RV(try_get(c, "half"), HB_E_STORE_MISSING);
    ASSERT_OK(hb_store_ping(contract_op(c)));
    contract_is_whole(c->op);
}
END_TEST

typedef struct pipes_t {
    int ready[2], go_on[2];
} pipes_t;

/* Open the store, say so, and keep it until told. */
static int keep_open(contract_t *c, int number, void *baton)
{
    pipes_t *p = baton;
    char byte = 'x';

    (void)number;
    return write(p->ready[1], &byte, 1) == 1 && read(p->go_on[0], &byte, 1) == 1
        && try_insert(c) == APR_SUCCESS ? 0 : 1;
}

static pid_t start_keeper(contract_t *c, pipes_t *p)
{
    char byte;
    pid_t pid;

    ck_assert_int_eq(pipe(p->ready), 0);
    ck_assert_int_eq(pipe(p->go_on), 0);
    contract_fork(&pid, c, 1, keep_open, p);
    ck_assert_int_eq(read(p->ready[0], &byte, 1), 1);
    return pid;
}

static void end_keeper(pid_t pid, pipes_t *p)
{
    ck_assert_int_eq(write(p->go_on[1], "x", 1), 1);
    contract_wait(&pid, 1);
}

START_TEST(a_lock_file_full_of_rubbish_is_made_anew)
{
    contract_t *c = contract_open(_i);
    const char *path = apr_pstrcat(hb_test_pool, db_path(c), "-lock", NULL);
    char rubbish[4096];
    pipes_t pipes;
    pid_t keeper;
    int fd;

    ASSERT_OK(try_insert(c));
    contract_stop(c);
    memset(rubbish, 0xff, sizeof(rubbish));     /* a reboot, a crash, another machine */
    fd = open(path, O_WRONLY | O_TRUNC);
    ck_assert_int_eq(write(fd, rubbish, sizeof(rubbish)), sizeof(rubbish));
    close(fd);
    contract_start(c);
    ASSERT_OK(try_insert(c));
    contract_stop(c);
    ck_assert_int_eq(truncate(path, 0), 0);
    keeper = start_keeper(c, &pipes);
    contract_start(c);          /* two at once, and both agree on one lock */
    ASSERT_OK(try_insert(c));
    end_keeper(keeper, &pipes);
    ASSERT_OK(try_insert(c));
}
END_TEST

static int open_elsewhere(contract_t *c, const char *words)
{
    contract_start(c);
    return hb_test_site_logged(c->ts, words) && try_insert(c) == HB_E_STORE_DOWN ? 0 : 1;
}

START_TEST(another_container_on_the_same_file_is_refused)
{
    contract_t *c = contract_make(_i, "");
    pid_t keeper, pid;
    pipes_t pipes;
    int status;

    keeper = start_keeper(c, &pipes);
    fflush(stdout);
    pid = fork();
    if (pid == 0) {             /* children of this one live in a pid namespace of their own */
        if (unshare(CLONE_NEWPID) != 0) {
            _exit(77);
        }
        pid = fork();
        if (pid == 0) {
            _exit(open_elsewhere(c, "another container"));
        }
        waitpid(pid, &status, 0);
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    end_keeper(keeper, &pipes);
    if (status == 77 << 8) {
        printf("left out: no right to make a pid namespace\n");
        return;
    }
    ck_assert_int_eq(status, 0);
}
END_TEST

/* --- the disk --- */

static apr_status_t fill_up(contract_t *c)
{
    apr_status_t rv = APR_SUCCESS;
    int i;

    for (i = 0; i < 2000 && rv == APR_SUCCESS; i++) {
        rv = try_insert(c);
    }
    return rv;
}

START_TEST(a_full_disk_refuses_writes_until_there_is_room)
{
    contract_t *c = contract_open(_i);
    const char *id = contract_user(c->op, "anna");
    struct rlimit limit;
    rlim_t before;
    struct stat st;

    /* A limit on the size of files stands for the full disk: the write fails half-way. */
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(stat(apr_pstrcat(c->op->pool, db_path(c), "-wal", NULL), &st), 0);
    before = limit.rlim_cur;
    limit.rlim_cur = (rlim_t)st.st_size + 100000;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ASSERT_RV(fill_up(c), HB_E_STORE_READONLY);
    ASSERT_RV(try_insert(c), HB_E_STORE_READONLY);
    ASSERT_RV(hb_store_ping(contract_op(c)), HB_E_STORE_READONLY);
    ASSERT_OK(try_get(c, id));
    limit.rlim_cur = before;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ASSERT_OK(try_insert(c));
    ck_assert(hb_test_site_logged(c->ts, "HB01110"));
    contract_is_whole(c->op);
    contract_stop(c);
    contract_start(c);
    contract_is_whole(c->op);
}
END_TEST

START_TEST(a_read_only_file_is_read)
{
    contract_t *c;
    const char *id;
    int is_root = geteuid() == 0;

    if (is_root) {              /* for whom nothing is read-only */
        ck_assert_int_eq(setegid(NOBODY), 0);
        ck_assert_int_eq(seteuid(NOBODY), 0);
    }
    c = contract_open(_i);
    id = contract_user(c->op, "anna");
    contract_stop(c);
    ck_assert_int_eq(chmod(db_path(c), 0440), 0);
    contract_start(c);
    ASSERT_OK(try_get(c, id));
    ASSERT_RV(try_insert(c), HB_E_STORE_READONLY);
    ASSERT_RV(hb_store_ping(contract_op(c)), HB_E_STORE_READONLY);
    /* SQLite has given its empty log the mode of the file meanwhile. */
    ck_assert_int_eq(chmod(db_path(c), 0640), 0);
    ck_assert_int_eq(chmod(apr_pstrcat(hb_test_pool, db_path(c), "-wal", NULL), 0640), 0);
    ASSERT_OK(try_insert(c));
    contract_is_whole(c->op);
    contract_stop(c);
    if (is_root) {
        ck_assert_int_eq(seteuid(0), 0);
    }
}
END_TEST

/* --- the file --- */

START_TEST(a_file_taken_away_is_missed_and_found_again)
{
    contract_t *c = contract_open(_i);
    const char *away = apr_pstrcat(hb_test_pool, db_path(c), ".away", NULL);
    const char *id = contract_user(c->op, "anna");
    struct stat st;

    ASSERT_OK(hb_store_backup(c->op, away, NULL, NULL));
    ck_assert_int_eq(unlink(db_path(c)), 0);
    ASSERT_RV(try_insert(c), HB_E_STORE_DOWN);
    ASSERT_RV(try_get(c, id), HB_E_STORE_DOWN);
    ASSERT_RV(hb_store_ping(contract_op(c)), HB_E_STORE_DOWN);
    ck_assert(hb_test_site_logged(c->ts, "is gone, but"));
    ck_assert_int_ne(stat(db_path(c), &st), 0);     /* never an empty one in its place */
    unlink(apr_pstrcat(hb_test_pool, db_path(c), "-wal", NULL));
    unlink(apr_pstrcat(hb_test_pool, db_path(c), "-shm", NULL));
    ck_assert_int_eq(rename(away, db_path(c)), 0);
    SOON(try_insert(c), APR_SUCCESS);
    ASSERT_OK(try_get(c, id));
    contract_is_whole(contract_op(c));
}
END_TEST

static const char *made_meanwhile;      /* a path; see access() */

/*
 * Stands before the C library's: between two looks of a process that begins, another that
 * begins as well makes the file and its lock.
 */
__attribute__((visibility("default")))
int access(const char *path, int mode)
{
    if (made_meanwhile != NULL && strstr(path, "-lock") != NULL) {
        close(open(made_meanwhile, O_RDWR | O_CREAT | O_EXCL, 0640));
        close(open(path, O_RDWR | O_CREAT | O_EXCL, 0640));
        made_meanwhile = NULL;
    }
    return faccessat(AT_FDCWD, path, mode, 0);
}

START_TEST(another_that_begins_may_be_quicker)
{
    contract_t *c = contract_make(_i, "");

    made_meanwhile = db_path(c);
    contract_start(c);
    ck_assert_ptr_null(made_meanwhile);
    ck_assert(!hb_test_site_logged(c->ts, "HB01120"));
    ASSERT_OK(try_insert(c));
}
END_TEST

START_TEST(a_file_replaced_is_noticed)
{
    contract_t *c = contract_open(_i);
    const char *copy = apr_pstrcat(hb_test_pool, db_path(c), ".copy", NULL);

    ASSERT_OK(hb_store_backup(c->op, copy, NULL, NULL));
    contract_insert(c->op, HB_C_USERS, "{'_id':'newer'}");
    unlink(apr_pstrcat(hb_test_pool, db_path(c), "-wal", NULL));
    unlink(apr_pstrcat(hb_test_pool, db_path(c), "-shm", NULL));
    ck_assert_int_eq(rename(copy, db_path(c)), 0);
    SOON(try_insert(c), APR_SUCCESS);
    SOON(try_get(c, "newer"), HB_E_STORE_MISSING);
    contract_is_whole(contract_op(c));
}
END_TEST

/* Each is refused at open with these words, and served again once it is as it should be. */
static const struct {
    const char *label, *statement;
    mode_t mode, dir_mode;
    const char *words, *repair;
} refused_rows[] = {
    { "newer records", "UPDATE meta SET value='99' WHERE key='schema'", 0640, 0700,
      "records of version 99", "UPDATE meta SET value='1' WHERE key='schema'" },
    { "another program's file", "ALTER TABLE meta RENAME TO settings", 0640, 0700,
      "none of HaloBuzz", "ALTER TABLE settings RENAME TO meta" },
    { "a trigger that was slipped in", "CREATE TRIGGER t AFTER INSERT ON users BEGIN "
      "DELETE FROM users; END", 0640, 0700, "somebody added to it", "DROP TRIGGER t" },
    { "a view that was slipped in", "CREATE VIEW v AS SELECT 1", 0640, 0700,
      "somebody added to it", "DROP VIEW v" },
    { "readable by everybody", "", 0644, 0700, "everybody may read", "" },
    { "writable by everybody", "", 0642, 0700, "everybody may write to", "" },
    { "a directory for everybody", "", 0640, 0777, "everybody may write to the directory", "" },
};

START_TEST(what_does_not_fit_is_refused_with_the_fix)
{
    contract_t *c = contract_open(_i);
    const char *id = contract_user(c->op, "anna");
    unsigned int i;

    for (i = 0; i < sizeof(refused_rows) / sizeof(refused_rows[0]); i++) {
        contract_stop(c);
        sql(c, refused_rows[i].statement);
        chmod(db_path(c), refused_rows[i].mode);
        chmod(c->ts->dir, refused_rows[i].dir_mode);
        hb_test_site_forget_log(c->ts);
        contract_start(c);
        ck_assert_msg(hb_test_site_logged(c->ts, refused_rows[i].words), "%s",
                      refused_rows[i].label);
        ck_assert_msg(try_get(c, id) == HB_E_STORE_DOWN, "%s", refused_rows[i].label);
        ck_assert_msg(try_insert(c) == HB_E_STORE_DOWN, "%s", refused_rows[i].label);
        chmod(db_path(c), 0640);
        chmod(c->ts->dir, 0700);
        sql(c, refused_rows[i].repair);
        SOON(try_get(c, id), APR_SUCCESS);
    }
    contract_is_whole(contract_op(c));
}
END_TEST

START_TEST(the_layout_follows_the_table)
{
    contract_t *c = contract_open(_i);
    hb_query_t query = { .in = HB_C_USERS, .sort = { { "createdAt", 1 } } };
    hb_page_t page;

    contract_user(c->op, "anna");
    contract_stop(c);
    /* As an older program left it: an index gone, one of another form, one too many. */
    sql(c, "DROP INDEX users_createdAt; DROP INDEX users_phone;"
        "CREATE INDEX users_phone ON users (json_extract(doc,'$.phone'));"
        "CREATE INDEX users_old ON users (json_extract(doc,'$.old'));"
        "UPDATE meta SET value='' WHERE key='layout'");
    contract_start(c);
    ck_assert(hb_test_site_logged(c->ts, "HB01121"));
    ASSERT_OK(hb_store_find(&page, c->op, &query));
    ck_assert(!hb_test_site_logged(c->ts, "HB01101"));
    contract_is_whole(c->op);
    contract_stop(c);
    hb_test_site_forget_log(c->ts);
    contract_start(c);
    ck_assert(!hb_test_site_logged(c->ts, "HB01121"));      /* nothing to do, nothing written */
}
END_TEST

static const char *found_by(contract_t *c, const char *field, const char *value)
{
    const hb_cond_t where[] = { { field, HB_IS, HB_STR(value) } };
    const hb_query_t query = { .in = HB_C_USERS, .where = where, .n_where = 1 };
    hb_op_t *op = contract_op(c);
    hb_json_t *doc;

    return hb_store_find_one(&doc, op, &query) == APR_SUCCESS ? hb_json_string(doc, "_id") : "";
}

/* Indexes were on expressions once; and a program without a column leaves it empty. */
START_TEST(columns_are_made_and_filled)
{
    static const char *const before[] = {
        "CREATE TABLE old (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, doc TEXT NOT NULL) "
        "STRICT; INSERT INTO old SELECT seq,id,doc FROM users; DROP TABLE users; "
        "ALTER TABLE old RENAME TO users; "
        "CREATE UNIQUE INDEX users_email ON users (json_extract(doc,'$.email')) WHERE "
        "json_extract(doc,'$.email') IS NOT NULL",
        "DROP INDEX users_email; UPDATE users SET \"$.email\"=NULL",
        "ALTER TABLE users ADD COLUMN \"$.bio\" ANY",
        "UPDATE users SET doc='{\"email\":'; INSERT INTO users (id,doc) VALUES "
        "('dddddddddddddddddddddddd','{\"email\":\"anna@example.com\",\"createdAt\":1}')",
    };
    contract_t *c = contract_open(_i);
    const char *anna = contract_user(c->op, "anna"), *email;
    hb_json_t *doc;
    apr_int64_t findings;
    unsigned int i;

    ASSERT_OK(hb_store_get(&doc, c->op, HB_C_USERS, anna));
    email = apr_pstrdup(c->ts->pool, hb_json_string(doc, "email"));
    for (i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
        contract_stop(c);
        sql(c, before[i]);
        sql(c, "UPDATE meta SET value='' WHERE key='layout'");
        contract_start(c);
        if (i < 3) {
            ck_assert_str_eq(found_by(c, "email", email), anna);
            contract_is_whole(c->op);
        }
    }
    /* A record that is damaged stays as it is, and harms no other. */
    ck_assert_str_eq(found_by(c, "email", "anna@example.com"), "dddddddddddddddddddddddd");
    ASSERT_OK(hb_store_verify(&findings, contract_op(c), NULL, NULL));
    ck_assert_int_eq(findings, 1);
}
END_TEST

START_TEST(columns_follow_their_document)
{
    contract_t *c = contract_open(_i);
    const char *anna = contract_user(c->op, "anna");
    hb_edit_t whole = { "email", HB_SET, HB_STR("new@example.com") };
    hb_edit_t other = { "bio", HB_SET, HB_STR("about me") };
    hb_edit_t gone = { "email", HB_UNSET, HB_NIL };
    apr_int64_t findings;

    ASSERT_OK(hb_store_change(NULL, NULL, c->op, HB_C_USERS, anna, NULL, 0, &whole, 1));
    ck_assert_str_eq(found_by(c, "email", "new@example.com"), anna);
    ASSERT_OK(hb_store_change(NULL, NULL, c->op, HB_C_USERS, anna, NULL, 0, &other, 1));
    ck_assert_str_eq(found_by(c, "email", "new@example.com"), anna);
    ASSERT_OK(hb_store_change(NULL, NULL, c->op, HB_C_USERS, anna, NULL, 0, &gone, 1));
    ck_assert_str_eq(found_by(c, "email", "new@example.com"), "");
    contract_is_whole(c->op);
    contract_stop(c);
    sql(c, "UPDATE users SET \"$.createdAt\"=5");      /* by somebody else's program */
    contract_start(c);
    ASSERT_OK(hb_store_verify(&findings, c->op, NULL, NULL));
    ck_assert_int_eq(findings, 1);
}
END_TEST

START_TEST(a_damaged_record_harms_no_other)
{
    contract_t *c = contract_open(_i);
    const char *anna = contract_user(c->op, "anna"), *ben = contract_user(c->op, "ben");
    hb_query_t query = { .in = HB_C_STREAMS };
    hb_edit_t edit = { "bio", HB_SET, HB_STR("x") };
    apr_int64_t findings;
    hb_page_t page;

    contract_insert(c->op, HB_C_CODES, "{'_id':'code'}");
    sql(c, "DROP INDEX codes_user; DROP INDEX codes_expiresAt;"
        "UPDATE codes SET doc='{\"email\":' WHERE id='code'");
    ASSERT_RV(hb_store_get(&(hb_json_t *){ NULL }, c->op, HB_C_CODES, "code"),
              HB_E_STORE_DAMAGED);
    ck_assert(hb_test_site_logged(c->ts, "HB01130"));
    ASSERT_OK(try_get(c, anna));
    ASSERT_OK(hb_store_change(NULL, NULL, c->op, HB_C_USERS, ben, NULL, 0, &edit, 1));
    ASSERT_OK(hb_store_find(&page, c->op, &query));
    ASSERT_OK(hb_store_verify(&findings, c->op, NULL, NULL));
    ck_assert_int_eq(findings, 3);      /* two indexes, one document */
    ASSERT_OK(hb_store_remove(c->op, HB_C_CODES, "code", NULL, 0));
    ASSERT_OK(hb_store_verify(&findings, c->op, NULL, NULL));
    ck_assert_int_eq(findings, 2);
}
END_TEST

static void spoil(const char *path, off_t at, off_t n)
{
    int fd = open(path, O_WRONLY);

    ck_assert_int_ge(fd, 0);
    while (n-- > 0) {
        ck_assert_int_eq(pwrite(fd, "\xa5", 1, at++), 1);
    }
    close(fd);
}

START_TEST(a_damaged_file_gives_errors_and_no_crash)
{
    contract_t *c = contract_open(_i);
    hb_query_t query = { .in = HB_C_USERS, .sort = { { "createdAt", 1 } }, .limit = 1000 };
    apr_int64_t findings = 0;
    hb_page_t page;
    apr_status_t rv;
    struct stat st;
    int i;

    for (i = 0; i < 100; i++) {
        contract_user(c->op, apr_psprintf(c->op->pool, "user%d", i));
    }
    contract_stop(c);
    ck_assert_int_eq(stat(db_path(c), &st), 0);
    spoil(db_path(c), 8192, st.st_size - 8192);     /* the schema stands, the rest is rubbish */
    contract_start(c);
    rv = hb_store_find(&page, c->op, &query);
    ck_assert_msg(rv == HB_E_STORE_DAMAGED || rv == HB_E_STORE_DOWN, "%d", rv);
    rv = hb_store_verify(&findings, c->op, NULL, NULL);
    ck_assert(rv == HB_E_STORE_DOWN || rv == HB_E_STORE_DAMAGED || findings > 0);
    rv = try_insert(c);
    ck_assert_msg(rv == HB_E_STORE_DAMAGED || rv == HB_E_STORE_DOWN, "%d", rv);
    contract_stop(c);
    spoil(db_path(c), 0, 4096);
    contract_start(c);
    ASSERT_RV(try_insert(c), HB_E_STORE_DOWN);
}
END_TEST

START_TEST(a_url_is_checked)
{
    static const struct { const char *url; int is_good; } rows[] = {
        { "sqlite:records.db", 1 }, { "sqlite:/var/lib/halobuzz/records.db", 1 },
        { "sqlite:", 0 }, { "sqlite", 0 }, { "", 0 }, { "records.db", 0 },
        { "mysql://user:pa55word@host/db", 0 }, { NULL, 0 },
    };
    contract_t *c = contract_make(_i, "");
    hb_store_t *store;
    unsigned int i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *why = hb_store_url_check(rows[i].url, hb_test_pool);

        ck_assert_int_eq(why == NULL, rows[i].is_good);
        if (why != NULL) {
            ck_assert_ptr_nonnull(strstr(why, "sqlite:FILE"));
            ck_assert_ptr_null(strstr(why, "pa55word"));
        }
    }
    ASSERT_RV(hb_store_open(&store, c->ts->site, "mysql:x", c->ts->pool), HB_E_CONFIG);
    /* Nowhere to keep it: the site comes up, calls say so. */
    ASSERT_OK(hb_store_open(&c->ts->site->store, c->ts->site, "sqlite:/nowhere/records.db",
                            c->ts->pool));
    ck_assert(hb_test_site_logged(c->ts, "HB01120"));
    ASSERT_RV(try_insert(c), HB_E_STORE_DOWN);
    ASSERT_RV(hb_store_ping(contract_op(c)), HB_E_STORE_DOWN);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        killed_writers_lose_nothing_that_was_answered,
        a_holder_that_dies_gives_the_lock_on,
        a_lock_file_full_of_rubbish_is_made_anew,
        another_container_on_the_same_file_is_refused,
        a_full_disk_refuses_writes_until_there_is_room,
        a_read_only_file_is_read,
        a_file_taken_away_is_missed_and_found_again,
        another_that_begins_may_be_quicker,
        a_file_replaced_is_noticed,
        what_does_not_fit_is_refused_with_the_fix,
        the_layout_follows_the_table,
        columns_are_made_and_filled,
        columns_follow_their_document,
        a_damaged_record_harms_no_other,
        a_damaged_file_gives_errors_and_no_crash,
        a_url_is_checked,
        NULL
    };

    return contract_main_of("sqlite", "store_sqlite", cases);
}
