/* SPDX-License-Identifier: Apache-2.0 */
/* Backups: taken, built upon each other, proved, damaged in every file, let go, put back. */
#include "hb_backup.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <apr_strings.h>

#include "hb_job_private.h"
#include "hb_metrics.h"
#include "hb_test.h"
#include "hb_test_people.h"
#include "hb_test_site.h"
#include "hb_time.h"

#define HOUR apr_time_from_sec(3600)
#define DAY  apr_time_from_sec(86400)

static const hb_backup_way_t part_way, full_way = { .is_full = 1 };
static hb_test_site_t *ts;

static void open_site(void)
{
    ts = hb_test_site_make(hb_test_pool);
    hb_test_site_open(ts);
}

static apr_status_t mint(hb_op_t *op, void *baton)
{
    hb_entry_t entry = { .kind = "adjustment", .key = apr_psprintf(op->pool, "t:%s", (char *)baton),
                         .user_id = baton, .reason = "for a test" };

    hb_entry_add(&entry, HB_ACCOUNT_MINT, HB_COIN, -100);
    hb_entry_add(&entry, hb_account_user(op, baton), HB_COIN, 100);
    return hb_ledger_post(NULL, op, &entry);
}

/* An account with coins, by a name. */
static void add_person(const char *name)
{
    hb_test_person_t *person = hb_test_person(ts, name);
    hb_op_t *op = hb_test_site_op(ts);

    op->actor.is_system = 1;
    ck_assert_int_eq(hb_store_transact(op, mint, (void *)person->id), APR_SUCCESS);
}

static const hb_backup_t *take(const hb_backup_way_t *way)
{
    const hb_backup_t *backup;
    hb_op_t *op = hb_test_site_op(ts);

    ck_assert_int_eq(hb_backup_take(&backup, op, way), APR_SUCCESS);
    ck_assert_ptr_null(backup->damage);
    return backup;
}

static const hb_backup_t *newest(int n_wanted)
{
    const hb_backup_t *list;
    int n;

    ck_assert_int_eq(hb_backup_list(&list, &n, hb_test_site_op(ts)), APR_SUCCESS);
    ck_assert_int_eq(n, n_wanted);
    return list;
}

static apr_status_t test(hb_backup_proof_t *proof, const hb_backup_t *backup)
{
    return hb_backup_test(proof, hb_test_site_op(ts), backup, &part_way);
}

static apr_int64_t count_users(void)
{
    const hb_query_t all = { .in = HB_C_USERS };
    apr_int64_t n;

    ck_assert_int_eq(hb_store_count(&n, hb_test_site_op(ts), &all), APR_SUCCESS);
    return n;
}

/* Nothing of ours may be left in a directory. */
static int has_leftovers(const char *dir, const char *suffix)
{
    struct dirent *entry;
    DIR *open_dir = opendir(dir);
    int n = 0;

    ck_assert_ptr_nonnull(open_dir);
    while ((entry = readdir(open_dir)) != NULL) {
        apr_size_t len = strlen(entry->d_name), end = strlen(suffix);

        n += len > end && strcmp(entry->d_name + len - end, suffix) == 0;
    }
    closedir(open_dir);
    return n;
}

START_TEST(a_full_one_and_its_parts_make_the_store)
{
    const hb_backup_t *full, *one, *two, *list;
    hb_backup_proof_t proof;

    open_site();
    add_person("anna");
    full = take(&part_way);     /* there is nothing to build on */
    ck_assert_int_eq(full->is_full, 1);
    ck_assert_str_eq(full->name, "00001-20260701T093000Z-full");
    ts->now += HOUR;
    add_person("bim");
    one = take(&part_way);
    ck_assert_str_eq(one->base, full->name);
    ck_assert_int_lt(one->bytes, full->bytes);
    ts->now += HOUR;
    two = take(&part_way);      /* nothing happened: sums and files, hardly a page */
    ck_assert_str_eq(two->base, one->name);
    list = newest(3);
    ck_assert_str_eq(list[0].name, two->name);
    ck_assert_str_eq(list[2].name, full->name);

    ck_assert_int_eq(test(&proof, full), APR_SUCCESS);
    ck_assert_int_eq(proof.users, 1);
    ck_assert_int_eq(proof.ledger.entries, 1);
    ck_assert_int_eq(test(&proof, two), APR_SUCCESS);
    ck_assert_int_eq(proof.users, 2);
    ck_assert_int_eq(proof.ledger.entries, 2);
    list = newest(3);
    ck_assert_int_eq(list[0].proved_at, ts->now);
    ck_assert_int_eq(list[1].proved_at, 0);
    ck_assert_int_eq(has_leftovers(ts->site->settings->backup_dir, ".new"), 0);
    ck_assert_int_eq(hb_metric_value(ts->site->metrics, HB_M_BACKUP_TAKEN),
                     apr_time_sec(ts->now));
    ck_assert_int_eq(hb_metric_value(ts->site->metrics, HB_M_BACKUP_PROVED),
                     apr_time_sec(ts->now));
}
END_TEST

/* Change one byte in the middle of a file. */
static void hurt(const char *path)
{
    struct stat st;
    char byte;
    int fd = open(path, O_RDWR);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fstat(fd, &st), 0);
    ck_assert_int_eq(pread(fd, &byte, 1, st.st_size / 2), 1);
    byte ^= 1;
    ck_assert_int_eq(pwrite(fd, &byte, 1, st.st_size / 2), 1);
    close(fd);
}

/* Of the full one and of the part upon it. The part is proved with its own sums of all pages. */
START_TEST(one_wrong_byte_is_found)
{
    static const struct { int of_part; const char *file; } rows[] = {
        { 0, "store.db" }, { 0, "sums" }, { 0, "manifest.json" }, { 0, "SHA256SUMS" },
        { 1, "pages" }, { 1, "sums" }, { 1, "manifest.json" }, { 1, "SHA256SUMS" },
    };
    const hb_backup_t *full, *part, *hit;
    hb_backup_proof_t proof;
    const char *path;
    apr_size_t i;

    open_site();
    add_person("anna");
    full = take(&part_way);
    add_person("bim");
    part = take(&part_way);
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        hit = rows[i].of_part ? part : full;
        path = apr_pstrcat(hb_test_pool, hit->path, "/", rows[i].file, NULL);
        hurt(path);
        hb_test_site_forget_log(ts);
        ck_assert_msg(test(&proof, hit) == HB_E_BACKUP_DAMAGED, "%s", path);
        ck_assert_int_eq(has_leftovers(ts->site->settings->backup_dir, ".new"), 0);
        ck_assert(hb_test_site_logged(ts, "a backup is damaged"));
        hurt(path);             /* mends it */
        ck_assert_int_eq(test(&proof, part), APR_SUCCESS);
    }
}
END_TEST

START_TEST(a_file_too_few_is_found)
{
    static const char *const files[] = { "sums", "SHA256SUMS", "store.db", "manifest.json" };
    hb_backup_choice_t choice = { NULL, 0, 0 };
    const hb_backup_t *full, *part, *found;
    hb_backup_proof_t proof;
    const char *path, *away;
    apr_status_t rv;
    apr_size_t i;

    open_site();
    add_person("anna");
    full = take(&part_way);
    part = take(&part_way);
    away = apr_pstrcat(hb_test_pool, ts->dir, "/away", NULL);
    for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        path = apr_pstrcat(hb_test_pool, full->path, "/", files[i], NULL);
        ck_assert_int_eq(rename(path, away), 0);
        choice.name = full->name;
        rv = hb_backup_find(&found, hb_test_site_op(ts), &choice);
        ck_assert_int_eq(rv == APR_SUCCESS ? test(&proof, found) : rv, HB_E_BACKUP_DAMAGED);
        if (i >= 2) {           /* seen without reading all of it: nothing is built on it */
            ck_assert_int_eq(rv, HB_E_BACKUP_DAMAGED);
            choice.name = part->name;
            ck_assert_int_eq(hb_backup_find(&found, hb_test_site_op(ts), &choice), rv);
        }
        if (i < 3) {
            ck_assert_int_eq(rename(away, path), 0);
        }
    }
    ck_assert_int_eq(take(&part_way)->is_full, 1);
}
END_TEST

START_TEST(which_one_is_meant)
{
    hb_backup_choice_t choice = { NULL, 0, 0 };
    const hb_backup_t *found, *full, *part, *second;
    hb_op_t *op;

    open_site();
    op = hb_test_site_op(ts);
    ck_assert_int_eq(hb_backup_find(&found, op, &choice), HB_E_BACKUP_UNKNOWN);
    full = take(&full_way);
    ts->now += HOUR;
    part = take(&part_way);
    ts->now += HOUR;
    second = take(&full_way);
    ts->now += HOUR;
    take(&part_way);

    ck_assert_int_eq(hb_backup_find(&found, op, &choice), APR_SUCCESS);
    ck_assert_str_eq(found->base, second->name);
    choice.is_previous = 1;
    ck_assert_int_eq(hb_backup_find(&found, op, &choice), APR_SUCCESS);
    ck_assert_str_eq(found->name, part->name);
    choice.is_previous = 0;
    choice.at = HB_TEST_SITE_START + HOUR / 2;
    ck_assert_int_eq(hb_backup_find(&found, op, &choice), APR_SUCCESS);
    ck_assert_str_eq(found->name, full->name);
    choice.at = HB_TEST_SITE_START - 1;
    ck_assert_int_eq(hb_backup_find(&found, op, &choice), HB_E_BACKUP_UNKNOWN);
    choice.name = "00099-20260701T093000Z-full";
    ck_assert_int_eq(hb_backup_find(&found, hb_test_site_op(ts), &choice), HB_E_BACKUP_UNKNOWN);
}
END_TEST

/* The clock jumps back: the newest is the one taken last, whatever its time says. */
START_TEST(numbers_order_them)
{
    const hb_backup_choice_t choice = { NULL, 0, 0 };
    const hb_backup_t *found, *ahead, *after;

    open_site();
    ts->now += 3 * DAY;
    ahead = take(&full_way);
    ts->now -= 3 * DAY;
    add_person("anna");
    after = take(&part_way);
    ck_assert_str_eq(after->base, ahead->name);
    ck_assert_int_eq(hb_backup_find(&found, hb_test_site_op(ts), &choice), APR_SUCCESS);
    ck_assert_str_eq(found->name, after->name);
}
END_TEST

START_TEST(old_ones_go_but_never_what_is_needed)
{
    const hb_backup_t *list;
    int day, n;

    ts = hb_test_site_make_with("HaloBuzzBackupKeep 4d\n", hb_test_pool);
    hb_test_site_open(ts);
    for (day = 0; day < 7; day++) {
        take(&full_way);
        if (day == 1) {
            take(&part_way);
        }
        ts->now += DAY;
    }
    ck_assert_int_eq(hb_backup_prune(&n, hb_test_site_op(ts)), APR_SUCCESS);
    list = newest(4);
    ck_assert_int_eq(n, 4);
    ck_assert_int_eq(list[3].taken_at, ts->now - 4 * DAY);
    /* A year nobody came: the newest two stay, and what stands on nothing else goes. */
    ts->now += 365 * DAY;
    ck_assert_int_eq(hb_backup_prune(&n, hb_test_site_op(ts)), APR_SUCCESS);
    ck_assert_int_eq(n, 2);
    list = newest(2);
    ck_assert(list[0].is_full && list[1].is_full);
    /* A young part keeps the old full one it stands on, also when two newer full ones stand. */
    take(&part_way);
    take(&full_way);
    take(&full_way);
    ck_assert_int_eq(hb_backup_prune(&n, hb_test_site_op(ts)), APR_SUCCESS);
    ck_assert_int_eq(n, 1);
    newest(4);
}
END_TEST

/* --- back --- */

START_TEST(a_restore_brings_the_records_back)
{
    hb_backup_proof_t proof;
    const hb_backup_t *full;
    const char *aside, *key_dir;
    hb_op_t *op;

    open_site();
    add_person("anna");
    full = take(&full_way);
    add_person("bim");
    op = hb_test_site_op(ts);
    ck_assert_int_eq(hb_backup_restore(&proof, &aside, op, full, 0, &part_way),
                     HB_E_BACKUP_IN_USE);
    ck_assert_int_eq(count_users(), 2);

    key_dir = apr_pstrcat(hb_test_pool, ts->dir, "/keys", NULL);
    ck_assert_int_eq(access(key_dir, F_OK), 0);
    op = hb_test_site_op(ts);
    ck_assert_int_eq(hb_backup_restore(&proof, &aside, op, full, 1, &part_way), APR_SUCCESS);
    ck_assert_int_eq(proof.users, 1);
    ck_assert_ptr_nonnull(aside);
    ck_assert_int_eq(access(apr_pstrcat(hb_test_pool, aside, "/halobuzz.db", NULL), F_OK), 0);
    ck_assert_int_eq(has_leftovers(ts->dir, ".new"), 0);
    ck_assert_int_eq(hb_store_ping(hb_test_site_op(ts)), HB_E_STORE_DOWN);  /* it sees the change */
    while (hb_store_ping(hb_test_site_op(ts)) != APR_SUCCESS) {
        apr_sleep(1000);
    }
    ck_assert_int_eq(count_users(), 1);
    add_person("chandra");      /* and goes on */
    ck_assert_int_eq(count_users(), 2);
}
END_TEST

/* As after the loss of a disk: no store, no keys, only the backups. */
START_TEST(a_restore_onto_nothing)
{
    const char *key = NULL, *path, *aside, *text;
    struct dirent *entry;
    hb_backup_proof_t proof;
    const hb_backup_t *full;
    hb_test_site_t *other;
    DIR *dir;

    open_site();
    add_person("anna");
    full = take(&full_way);
    dir = opendir(apr_pstrcat(hb_test_pool, ts->dir, "/keys", NULL));
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') {
            key = apr_pstrdup(hb_test_pool, entry->d_name);
        }
    }
    closedir(dir);
    ck_assert_ptr_nonnull(key);

    text = apr_psprintf(hb_test_pool, "HaloBuzzBackupDir %s\n", ts->site->settings->backup_dir);
    other = hb_test_site_make_with(text, hb_test_pool);
    path = apr_pstrcat(hb_test_pool, other->dir, "/keys/", key, NULL);
    unlink(path);
    ck_assert_int_eq(hb_site_open_storeless(other->site, NULL, other->pool), APR_SUCCESS);
    ck_assert_int_eq(hb_backup_restore(&proof, &aside, hb_test_site_op(other), full, 0,
                                       &part_way), APR_SUCCESS);
    ck_assert_ptr_null(aside);
    ck_assert_int_eq(access(path, R_OK), 0);
    ts = other;
    hb_test_site_open(ts);
    ck_assert_int_eq(count_users(), 1);
}
END_TEST

/* Killed between the two renames: the log that was left behind goes where its file went. */
START_TEST(a_restore_that_was_killed_is_taken_up)
{
    const char *wal, *aside, *path;
    hb_backup_proof_t proof;
    const hb_backup_t *full;
    hb_test_site_t *other;
    int fd;

    open_site();
    add_person("anna");
    full = take(&full_way);
    other = hb_test_site_make_with(apr_psprintf(hb_test_pool, "HaloBuzzBackupDir %s\n",
                                                ts->site->settings->backup_dir), hb_test_pool);
    path = apr_pstrcat(hb_test_pool, other->dir, "/halobuzz.db.before-2026-07-01T09:00:00.000Z",
                       NULL);
    wal = apr_pstrcat(hb_test_pool, other->dir, "/halobuzz.db-wal", NULL);
    ck_assert_int_eq(mkdir(path, 0750), 0);
    fd = open(wal, O_WRONLY | O_CREAT, 0640);
    ck_assert_int_eq(write(fd, "log", 3), 3);
    close(fd);
    ck_assert_int_eq(hb_site_open_storeless(other->site, NULL, other->pool), APR_SUCCESS);
    ck_assert_int_eq(hb_backup_restore(&proof, &aside, hb_test_site_op(other), full, 0,
                                       &part_way), APR_SUCCESS);
    ck_assert_str_eq(aside, path);
    ck_assert_int_eq(access(apr_pstrcat(hb_test_pool, path, "/halobuzz.db-wal", NULL), F_OK), 0);
    ts = other;
    hb_test_site_open(ts);
    ck_assert_int_eq(count_users(), 1);
}
END_TEST

/* --- failures --- */

typedef struct fuse_t {
    int left;                   /* steps until it goes off */
    int kills;                  /* the process; else it stops the work */
} fuse_t;

static int burn(void *baton, const char *what, apr_int64_t done, apr_int64_t total)
{
    fuse_t *fuse = baton;

    (void)what;
    (void)done;
    (void)total;
    if (--fuse->left > 0) {
        return 0;
    }
    if (fuse->kills) {
        _exit(7);
    }
    return 1;
}

START_TEST(stopped_at_any_step_nothing_is_there)
{
    fuse_t fuse = { 0, 0 };
    const hb_backup_way_t way = { .is_full = 1, .report = burn, .baton = &fuse };
    const hb_backup_t *backup;
    apr_status_t rv;
    int steps = 0;

    open_site();
    add_person("anna");
    take(&full_way);
    do {
        fuse.left = ++steps;
        rv = hb_backup_take(&backup, hb_test_site_op(ts), &way);
        ck_assert(rv == APR_SUCCESS || rv == APR_EINTR);
        newest(rv == APR_SUCCESS ? 2 : 1);
        ck_assert_int_eq(has_leftovers(ts->site->settings->backup_dir, ".new"), 0);
    } while (rv != APR_SUCCESS);
    ck_assert_int_gt(steps, 2);
}
END_TEST

START_TEST(killed_in_the_middle_it_is_swept_away)
{
    fuse_t fuse = { 1, 1 };
    const hb_backup_way_t way = { .is_full = 1, .report = burn, .baton = &fuse };
    const char *dir;
    int status;
    pid_t child;

    open_site();
    add_person("anna");
    take(&full_way);
    dir = ts->site->settings->backup_dir;
    child = fork();
    if (child == 0) {           /* connections do not survive a fork: a site of its own */
        apr_pool_t *pool;

        apr_pool_create(&pool, NULL);
        hb_site_open(ts->site, NULL, pool);
        hb_backup_take(NULL, hb_op_make(ts->site, pool), &way);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    ck_assert_int_eq(has_leftovers(dir, ".new"), 1);
    newest(1);
    take(&part_way);
    newest(2);
    ck_assert_int_eq(has_leftovers(dir, ".new"), 0);
}
END_TEST

START_TEST(one_at_a_time)
{
    const char *path;
    hb_op_t *op;
    int fd, n;

    open_site();
    take(&full_way);
    path = apr_pstrcat(hb_test_pool, ts->site->settings->backup_dir, "/lock", NULL);
    fd = open(path, O_RDWR);
    ck_assert_int_eq(flock(fd, LOCK_EX), 0);
    op = hb_test_site_op(ts);
    ck_assert_int_eq(hb_backup_take(NULL, op, &part_way), HB_E_BACKUP_BUSY);
    ck_assert_int_eq(hb_backup_prune(&n, hb_test_site_op(ts)), HB_E_BACKUP_BUSY);
    close(fd);
    take(&part_way);
}
END_TEST

/* A proof of a large store takes longer than the hour to the next backup. */
static int take_meanwhile(void *baton, const char *what, apr_int64_t done, apr_int64_t total)
{
    hb_backup_proof_t proof;
    const char *aside;
    int *n = baton;

    (void)what;
    (void)total;
    if (done >= 0 && ++*n == 1) {
        const hb_backup_t *taken = take(&part_way);

        ck_assert_int_eq(test(&proof, taken), HB_E_BACKUP_BUSY);
        ck_assert_int_eq(hb_backup_restore(&proof, &aside, hb_test_site_op(ts), taken, 1,
                                           &part_way), HB_E_BACKUP_BUSY);
    }
    return 0;
}

START_TEST(a_proof_and_the_next_backup_meet)
{
    const hb_backup_t *full;
    hb_backup_proof_t proof;
    int n = 0;
    const hb_backup_way_t way = { .report = take_meanwhile, .baton = &n };

    open_site();
    add_person("anna");
    full = take(&full_way);
    ck_assert_int_eq(hb_backup_test(&proof, hb_test_site_op(ts), full, &way), APR_SUCCESS);
    ck_assert_int_gt(n, 0);
    newest(2);
    ck_assert_int_eq(access(apr_pstrcat(hb_test_pool, ts->site->settings->backup_dir, "/proof",
                                        NULL), F_OK), -1);
}
END_TEST

START_TEST(a_killed_proof_is_swept_away)
{
    const char *dir, *file;
    int fd, held;

    open_site();
    hb_backup_sweep(hb_test_site_op(ts));       /* no directory of backups yet, and none is made */
    dir = ts->site->settings->backup_dir;
    ck_assert_int_eq(access(dir, F_OK), -1);
    take(&full_way);
    file = apr_pstrcat(hb_test_pool, dir, "/proof/store.db", NULL);
    ck_assert_int_eq(mkdir(apr_pstrcat(hb_test_pool, dir, "/proof", NULL), 0750), 0);
    fd = open(file, O_WRONLY | O_CREAT, 0600);
    ck_assert_int_ge(fd, 0);
    close(fd);
    held = open(apr_pstrcat(hb_test_pool, dir, "/proof.lock", NULL), O_RDWR | O_CREAT, 0600);
    ck_assert_int_eq(flock(held, LOCK_EX), 0);
    hb_backup_sweep(hb_test_site_op(ts));       /* it is under way */
    ck_assert_int_eq(access(file, F_OK), 0);
    close(held);
    hb_backup_sweep(hb_test_site_op(ts));
    ck_assert_int_eq(access(apr_pstrcat(hb_test_pool, dir, "/proof", NULL), F_OK), -1);
    newest(1);
}
END_TEST

/* A proof that fails for no fault of the backup: tries again do not fill the disk with more. */
START_TEST(a_night_takes_no_more_than_two)
{
    hb_job_run_t run = { .name = "backup-nightly", .occurrence = "x" };
    const char *path;
    int fd, i;

    open_site();
    take(&part_way);
    path = apr_pstrcat(hb_test_pool, ts->site->settings->backup_dir, "/proof.lock", NULL);
    fd = open(path, O_RDWR | O_CREAT, 0600);
    ck_assert_int_eq(flock(fd, LOCK_EX), 0);
    ts->now += HOUR;
    run.planned_at = hb_time_to_msec(ts->now);
    for (i = 0; i < 4; i++) {
        hb_op_t *op = hb_test_site_op(ts);

        ck_assert_int_eq(hb_job_backup_nightly(op, &run), HB_E_BACKUP_BUSY);
        ck_assert_ptr_nonnull(op->problem.detail);
        newest(i == 0 ? 2 : 3);
        ts->now += apr_time_from_sec(60);
    }
    close(fd);
    ck_assert_int_eq(hb_job_backup_nightly(hb_test_site_op(ts), &run), APR_SUCCESS);
    ck_assert(newest(3)->proved_at != 0);
    /* Asked for again, it takes one; as it does the night after. */
    ts->now += HOUR;
    ck_assert_int_eq(hb_job_backup_nightly(hb_test_site_op(ts), &run), APR_SUCCESS);
    ck_assert(newest(4)->proved_at != 0);
    ts->now += DAY;
    run.planned_at = hb_time_to_msec(ts->now);
    ck_assert_int_eq(hb_job_backup_nightly(hb_test_site_op(ts), &run), APR_SUCCESS);
    newest(5);
}
END_TEST

START_TEST(others_may_not_look)
{
    hb_op_t *op;

    open_site();
    ck_assert_int_eq(mkdir(ts->site->settings->backup_dir, 0755), 0);
    chmod(ts->site->settings->backup_dir, 0755);
    op = hb_test_site_op(ts);
    ck_assert_int_eq(hb_backup_take(NULL, op, &part_way), HB_E_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(op->problem.detail, "chmod 0750"));
}
END_TEST

/* What the sysadmin named goes along; what cannot be read does not keep the rest from it. */
START_TEST(files_go_along)
{
    const hb_backup_t *backup;
    char conf[] = "/tmp/hb-test-conf-XXXXXX";
    int fd = mkstemp(conf);

    ck_assert_int_eq(write(fd, "HaloBuzz", 8), 8);
    close(fd);
    ts = hb_test_site_make_with(apr_psprintf(hb_test_pool, "HaloBuzzBackupFiles %s,/nowhere/x\n",
                                             conf), hb_test_pool);
    hb_test_site_open(ts);
    backup = take(&full_way);
    unlink(conf);
    ck_assert_int_eq(access(apr_pstrcat(hb_test_pool, backup->path, "/files/other", conf, NULL),
                            R_OK), 0);
    ck_assert_int_eq(access(apr_pstrcat(hb_test_pool, backup->path, "/files/keys", NULL),
                            R_OK), 0);
    ck_assert(hb_test_site_logged(ts, "/nowhere/x is not in the backup"));
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        a_full_one_and_its_parts_make_the_store, one_wrong_byte_is_found,
        a_file_too_few_is_found, which_one_is_meant, numbers_order_them,
        old_ones_go_but_never_what_is_needed, a_restore_brings_the_records_back,
        a_restore_onto_nothing, a_restore_that_was_killed_is_taken_up,
        stopped_at_any_step_nothing_is_there, killed_in_the_middle_it_is_swept_away,
        one_at_a_time, a_proof_and_the_next_backup_meet, a_killed_proof_is_swept_away,
        a_night_takes_no_more_than_two,
        others_may_not_look, files_go_along, NULL
    };

    return hb_test_main("hb_backup", cases);
}
