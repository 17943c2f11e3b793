/* SPDX-License-Identifier: Apache-2.0 */
#include "hb_mail.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_file_info.h>
#include <apr_file_io.h>
#include <apr_strings.h>

#include "hb_mail_spool.h"
#include "hb_metrics.h"
#include "hb_store.h"
#include "hb_test.h"
#include "hb_test_site.h"
#include "hb_test_smtp.h"
#include "hb_time.h"

/* A site whose settings a case may turn. */
typedef struct desk_t {
    hb_test_site_t *ts;
    hb_settings_t *settings;
} desk_t;

static desk_t *mail_desk(void)
{
    desk_t *desk = apr_pcalloc(hb_test_pool, sizeof(*desk));

    desk->ts = hb_test_site_make(hb_test_pool);
    hb_test_site_open(desk->ts);
    desk->settings = apr_pmemdup(hb_test_pool, desk->ts->site->settings,
                                 sizeof(*desk->settings));
    desk->settings->mail_from = "no-reply@example.com";
    desk->ts->site->settings = desk->settings;
    return desk;
}

/* Names in a directory that start with a prefix (NULL for dot files), in order. */
static apr_array_header_t *names(const char *dir, int dots)
{
    apr_array_header_t *list = apr_array_make(hb_test_pool, 4, sizeof(const char *));
    apr_finfo_t info;
    apr_dir_t *handle;

    if (apr_dir_open(&handle, dir, hb_test_pool) != APR_SUCCESS) {
        return list;
    }
    while (apr_dir_read(&info, APR_FINFO_NAME, handle) == APR_SUCCESS) {
        if (strcmp(info.name, ".") == 0 || strcmp(info.name, "..") == 0
            || strcmp(info.name, HB_MAIL_LOCK) == 0 || strcmp(info.name, HB_MAIL_FAILED) == 0
            || (info.name[0] == '.') != dots) {
            continue;
        }
        APR_ARRAY_PUSH(list, const char *) = apr_pstrdup(hb_test_pool, info.name);
    }
    apr_dir_close(handle);
    return list;
}

static int waiting(desk_t *desk)
{
    return names(desk->settings->mail_spool, 0)->nelts;
}

static int failed(desk_t *desk)
{
    return names(apr_pstrcat(hb_test_pool, desk->settings->mail_spool, "/" HB_MAIL_FAILED, NULL),
                 0)->nelts;
}

static hb_mail_name_t only_name(desk_t *desk)
{
    apr_array_header_t *list = names(desk->settings->mail_spool, 0);
    hb_mail_name_t name;

    ck_assert_int_eq(list->nelts, 1);
    ck_assert(hb_mail_name_read(&name, APR_ARRAY_IDX(list, 0, const char *), hb_test_pool));
    return name;
}

static const char *only_text(desk_t *desk)
{
    apr_array_header_t *list = names(desk->settings->mail_spool, 0);
    char *text = apr_pcalloc(hb_test_pool, 65536);
    apr_size_t len = 65535;
    apr_file_t *file;

    ck_assert_int_eq(list->nelts, 1);
    ck_assert_int_eq(apr_file_open(&file, apr_pstrcat(hb_test_pool, desk->settings->mail_spool,
        "/", APR_ARRAY_IDX(list, 0, const char *), NULL), APR_FOPEN_READ, 0, hb_test_pool), 0);
    apr_file_read_full(file, text, len, &len);
    apr_file_close(file);
    return text;
}

static apr_int64_t in_outbox(desk_t *desk)
{
    const hb_query_t all = { .in = HB_C_OUTBOX };
    apr_int64_t n;

    ck_assert_int_eq(hb_store_count(&n, hb_test_site_op(desk->ts), &all), APR_SUCCESS);
    return n;
}

static apr_status_t send_mail(desk_t *desk, const char *to, const char *subject,
                              const char *text)
{
    hb_op_t *op = hb_test_site_op(desk->ts);
    apr_status_t rv = hb_mail_send(op, to, subject, text);

    ck_assert_int_eq(op->problem.status, rv);
    return rv;
}

static apr_status_t run(desk_t *desk, hb_mail_run_t *did)
{
    return hb_mail_run(did, hb_test_site_op(desk->ts));
}

static apr_status_t deliver(desk_t *desk, int *n_sent)
{
    hb_mail_run_t did;
    apr_status_t rv = run(desk, &did);

    *n_sent = did.n_sent;
    return rv;
}

/* As far as the spool, whatever the case says of SMTP. */
static apr_status_t spool(desk_t *desk)
{
    const char *smtp = desk->settings->smtp_url;
    hb_mail_run_t did;
    apr_status_t rv;

    desk->settings->smtp_url = "";
    rv = run(desk, &did);
    desk->settings->smtp_url = smtp;
    return rv;
}

static apr_status_t write_mail(desk_t *desk, const char *to, const char *subject,
                               const char *text)
{
    apr_status_t rv = send_mail(desk, to, subject, text);

    return rv == APR_SUCCESS ? spool(desk) : rv;
}

static void put_file(desk_t *desk, const char *name, const char *text)
{
    apr_file_t *file;

    ck_assert_int_eq(apr_file_open(&file, apr_pstrcat(hb_test_pool, desk->settings->mail_spool, "/",
        name, NULL), APR_FOPEN_CREATE | APR_FOPEN_WRITE, APR_FPROT_OS_DEFAULT, hb_test_pool), 0);
    apr_file_write_full(file, text, strlen(text), NULL);
    apr_file_close(file);
}

START_TEST(a_mail_is_one_whole_file)
{
    desk_t *desk = mail_desk();
    hb_op_t *op = hb_test_site_op(desk->ts);
    hb_mail_name_t name;
    struct stat st;
    const char *text;

    ck_assert_int_eq(hb_mail_send(op, "test@halobuzz.com", "Your code", "Hello,\nthe code = 7.\n"),
                     APR_SUCCESS);
    ck_assert_int_eq(in_outbox(desk), 1);
    ck_assert_int_eq(waiting(desk), 0);
    ck_assert_int_eq(hb_metric_value(op->site->metrics, HB_M_MAIL_SPOOLED), 0);
    ck_assert_int_eq(spool(desk), APR_SUCCESS);
    ck_assert_int_eq(in_outbox(desk), 0);
    ck_assert_int_eq(hb_metric_value(op->site->metrics, HB_M_MAIL_SPOOLED), 1);
    name = only_name(desk);
    ck_assert_int_eq(name.written_at, desk->ts->now);
    ck_assert_int_eq(name.tries, 0);
    text = only_text(desk);
    ck_assert_str_eq(text, apr_pstrcat(hb_test_pool,
        "Date: Wed, 01 Jul 2026 09:30:00 +0000\r\n"
        "From: no-reply@example.com\r\n"
        "To: test@halobuzz.com\r\n"
        "Subject: Your code\r\n"
        "Message-ID: <", op->request_id, ".", name.id, "@example.com>\r\n"
        "Auto-Submitted: auto-generated\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n"
        "\r\n"
        "Hello,\r\nthe code =3D 7.\r\n", NULL));
    ck_assert_int_eq(names(desk->settings->mail_spool, 1)->nelts, 0);
    ck_assert_int_eq(stat(apr_pstrcat(hb_test_pool, desk->settings->mail_spool, "/",
        hb_mail_name_text(&name, hb_test_pool), NULL), &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0600);
}
END_TEST

START_TEST(any_script_and_length_is_coded)
{
    desk_t *desk = mail_desk();
    const char *line, *text, *end;
    char *longest = apr_pcalloc(hb_test_pool, 3001);
    int words = 0;

    desk->settings->mail_from = "Halo Buzz \xe2\x98\x83 <buzz@example.com>";
    memset(longest, 'x', 3000);
    memcpy(longest + 1000, "\xe0\xa4\xa8 \n.\nFrom me\t\n", 17);
    ck_assert_int_eq(write_mail(desk, "a@b.example", "\xe0\xa4\xa8\xe0\xa5\x87\xe0\xa4\xaa\xe0\xa4\xbe"
        "\xe0\xa4\xb2 \xe0\xa4\xa8\xe0\xa5\x87\xe0\xa4\xaa\xe0\xa4\xbe\xe0\xa4\xb2 "
        "\xe0\xa4\xa8\xe0\xa5\x87\xe0\xa4\xaa\xe0\xa4\xbe\xe0\xa4\xb2 and more", longest), 0);
    text = only_text(desk);
    ck_assert_ptr_nonnull(strstr(text, "From: =?UTF-8?B?SGFsbyBCdXp6IOKYgw==?= <buzz@example.com>"));
    for (line = text; *line != '\0'; line = end + 2) {
        end = strstr(line, "\r\n");
        ck_assert_ptr_nonnull(end);
        ck_assert_int_le(end - line, 76);
        words += strncmp(line, " =?UTF-8?B?", 11) == 0;
        for (; line < end; line++) {
            ck_assert((unsigned char)*line < 0x7f && (unsigned char)*line >= 0x20);
        }
        ck_assert(end == text || (end[-1] != ' ' && end[-1] != '\t'));
    }
    ck_assert_int_ge(words, 1);
    ck_assert_ptr_nonnull(strstr(text, "=E0=A4=A8=20\r\n.\r\nFrom me=09\r\n"));
}
END_TEST

START_TEST(nothing_is_smuggled_into_a_header)
{
    static const char *const to[] = {
        "", "a", "@b", "a@", "a@b@c", "a@b\r\nBcc: c@d", "a b@c", "a@b,c@d", "<a@b>", "X <a@b>",
        "a@b>", "-f@b", "\xc3\xa9@b", "a@b\n", "\"a\"@b"
    };
    static const char *const subjects[] = { "x\nBcc: c@d", "x\r\n\r\nbody", "x\x7f", "\xff" };
    desk_t *desk = mail_desk();
    apr_size_t i;

    for (i = 0; i < sizeof(to) / sizeof(to[0]); i++) {
        ck_assert_msg(write_mail(desk, to[i], "s", "t") == HB_E_INPUT_INVALID, "%s", to[i]);
    }
    for (i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
        ck_assert_int_eq(write_mail(desk, "a@b", subjects[i], "t"), HB_E_INPUT_INVALID);
    }
    ck_assert_int_eq(write_mail(desk, "a@b", "s", "\xff"), HB_E_INPUT_INVALID);
    desk->settings->mail_from = "a@b\r\nBcc: c@d";
    ck_assert_int_eq(write_mail(desk, "a@b", "s", "t"), HB_E_CONFIG);
    ck_assert_int_eq(waiting(desk), 0);
}
END_TEST

START_TEST(a_spool_that_cannot_be_written_loses_nothing)
{
    desk_t *desk = mail_desk();
    const char *dir = desk->settings->mail_spool;
    char *large = apr_pcalloc(hb_test_pool, 60001);
    struct rlimit before, full;
    apr_status_t rv;

    desk->settings->mail_spool = apr_pstrcat(hb_test_pool, dir, "/missing", NULL);
    ck_assert_int_eq(write_mail(desk, "a@b.c", "s", "t"), HB_E_UNAVAILABLE);
    ck_assert(hb_test_site_logged(desk->ts, "HB00162"));
    hb_test_site_forget_log(desk->ts);
    ck_assert_int_eq(spool(desk), HB_E_UNAVAILABLE);
    ck_assert(!hb_test_site_logged(desk->ts, "HB00162"));   /* it was said */
    desk->settings->mail_spool = dir;
    /* A full disk shows itself in the middle of a write: what fits comes, the rest waits. */
    memset(large, 'x', 60000);
    ck_assert_int_eq(send_mail(desk, "a@b.c", "s", large), 0);
    ck_assert_int_eq(send_mail(desk, "a@b.c", "s", "t"), 0);
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    full = before;
    full.rlim_cur = 4096;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &full), 0);
    rv = spool(desk);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    /* Records cannot grow either, so the row of the first may have to wait too. */
    ck_assert_int_ne(rv, APR_SUCCESS);
    ck_assert_int_le(waiting(desk), 1);
    ck_assert_int_ge(in_outbox(desk), 2);
    ck_assert_int_eq(names(dir, 1)->nelts, 0);
    ck_assert_int_eq(spool(desk), APR_SUCCESS);
    ck_assert_int_eq(waiting(desk), 3);
    ck_assert_int_eq(in_outbox(desk), 0);
}
END_TEST

typedef struct deed_t {
    hb_json_t *mail;
    apr_status_t rv;
} deed_t;

static apr_status_t do_with_mail(hb_op_t *op, void *baton)
{
    deed_t *deed = baton;
    apr_status_t rv = hb_mail_add(op, deed->mail);

    return rv == APR_SUCCESS ? deed->rv : rv;
}

START_TEST(a_mail_comes_with_its_transaction_or_not)
{
    desk_t *desk = mail_desk();
    hb_op_t *op = hb_test_site_op(desk->ts);
    deed_t deed = { NULL, HB_E_STORE_GUARD };

    ck_assert_int_eq(hb_mail_prepare(&deed.mail, op, "a@example.com", "s", "the code"), 0);
    ck_assert_int_eq(hb_store_transact(op, do_with_mail, &deed), HB_E_STORE_GUARD);
    ck_assert_int_eq(spool(desk), APR_SUCCESS);
    ck_assert_int_eq(waiting(desk), 0);
    deed.rv = APR_SUCCESS;
    ck_assert_int_eq(hb_store_transact(op, do_with_mail, &deed), APR_SUCCESS);
    /* Records tell no code. */
    ck_assert_ptr_null(strstr(hb_json_text(deed.mail, hb_test_pool, NULL), "the code"));
    ck_assert_int_eq(spool(desk), APR_SUCCESS);
    ck_assert_int_eq(waiting(desk), 1);
    deed.mail = NULL;
    ck_assert_int_eq(hb_store_transact(op, do_with_mail, &deed), APR_SUCCESS);
    ck_assert_int_eq(in_outbox(desk), 0);
}
END_TEST

START_TEST(a_round_that_died_makes_no_second_mail)
{
    desk_t *desk = mail_desk();
    hb_test_smtp_t *smtp = hb_test_smtp_start(hb_test_pool);
    hb_op_t *op = hb_test_site_op(desk->ts);
    hb_json_t *row;
    int n;

    ck_assert_int_eq(hb_mail_prepare(&row, op, "a@example.com", "s", "t"), 0);
    ck_assert_int_eq(hb_mail_add(op, row), 0);
    ck_assert_int_eq(spool(desk), APR_SUCCESS);
    ck_assert_int_eq(waiting(desk), 1);
    /* As if it had died before it removed the row, with half a file on top. */
    ck_assert_int_eq(hb_mail_add(op, row), 0);
    put_file(desk, apr_pstrcat(hb_test_pool, ".", APR_ARRAY_IDX(
        names(desk->settings->mail_spool, 0), 0, const char *), NULL), "Date: much more than");
    ck_assert_int_eq(spool(desk), APR_SUCCESS);
    ck_assert_int_eq(waiting(desk), 1);
    ck_assert_int_eq(names(desk->settings->mail_spool, 1)->nelts, 0);
    ck_assert_int_eq(in_outbox(desk), 0);
    desk->settings->smtp_url = hb_test_smtp_url(smtp);
    ck_assert_int_eq(deliver(desk, &n), APR_SUCCESS);
    ck_assert_int_eq(n, 1);
    hb_test_smtp_stop(smtp);
}
END_TEST

/* Of two hosts that share the records each has a spool, and the lock is its own. */
START_TEST(a_mail_is_one_hosts)
{
    desk_t *desk = mail_desk();
    const char *id, *in_the_way, *state = apr_pstrcat(hb_test_pool,
                                                      desk->settings->state_dir, "/other", NULL);
    const hb_edit_t edits[] = { { "host", HB_SET, HB_STR("0123456789abcdef01234567") },
                                { "takenAt", HB_SET, HB_INT(desk->ts->now / 1000) } };
    hb_op_t *op = hb_test_site_op(desk->ts);
    hb_mail_name_t name;
    hb_json_t *row;

    desk->settings->store_url = "mongodb://shared";     /* it is that what asks for it */
    ck_assert_int_eq(hb_mail_prepare(&row, op, "a@example.com", "s", "t"), 0);
    ck_assert_int_eq(hb_mail_add(op, row), 0);
    id = hb_json_string(row, "_id");
    /* Another one took it, and is busy; then it is not heard of any more. */
    ck_assert_int_eq(hb_store_change(NULL, NULL, op, HB_C_OUTBOX, id, NULL, 0, edits, 2), 0);
    ck_assert_int_eq(write_mail(desk, "b@example.com", "s", "t"), APR_SUCCESS);
    ck_assert_int_eq(waiting(desk), 1);
    ck_assert_ptr_nonnull(strstr(only_text(desk), "To: b@"));
    ck_assert_int_eq(in_outbox(desk), 1);
    desk->ts->now += apr_time_from_sec(601);
    ck_assert_int_eq(spool(desk), APR_SUCCESS);
    ck_assert_int_eq(waiting(desk), 2);
    ck_assert_int_eq(in_outbox(desk), 0);
    /* Who cannot write leaves it to the other. */
    op = hb_test_site_op(desk->ts);
    ck_assert_int_eq(hb_mail_prepare(&row, op, "c@example.com", "s", "t"), 0);
    ck_assert_int_eq(hb_mail_add(op, row), 0);
    name = (hb_mail_name_t){ hb_time_from_msec(hb_json_int(row, "createdAt", 0)),
                             hb_json_string(row, "_id"), 0, 0 };
    in_the_way = apr_pstrcat(hb_test_pool, desk->settings->mail_spool, "/.",
                             hb_mail_name_text(&name, hb_test_pool), NULL);
    ck_assert_int_eq(mkdir(in_the_way, 0700), 0);
    ck_assert_int_eq(spool(desk), HB_E_UNAVAILABLE);
    ck_assert_int_eq(in_outbox(desk), 1);
    ck_assert_int_eq(rmdir(in_the_way), 0);
    ck_assert_int_eq(mkdir(state, 0700), 0);
    desk->settings->state_dir = state;
    ck_assert_int_eq(spool(desk), APR_SUCCESS);
    ck_assert_int_eq(waiting(desk), 3);
    ck_assert_int_eq(in_outbox(desk), 0);
}
END_TEST

START_TEST(a_round_takes_so_many)
{
    desk_t *desk = mail_desk();
    hb_mail_run_t did;
    int i;

    for (i = 0; i < 70; i++) {
        ck_assert_int_eq(send_mail(desk, "a@example.com", "s", "t"), 0);
    }
    ck_assert_int_eq(run(desk, &did), APR_SUCCESS);
    ck_assert_int_eq(did.n_spooled, 64);
    ck_assert_int_eq(did.is_more, 1);
    ck_assert_int_eq(run(desk, &did), APR_SUCCESS);
    ck_assert_int_eq(did.n_spooled, 6);
    ck_assert_int_eq(did.is_more, 0);
    ck_assert_int_eq(waiting(desk), 70);
    ck_assert_int_eq(run(desk, &did), APR_SUCCESS);
    ck_assert_int_eq(did.n_spooled, 0);
}
END_TEST

START_TEST(a_row_that_cannot_be_read_holds_up_no_other)
{
    desk_t *desk = mail_desk();
    hb_op_t *op = hb_test_site_op(desk->ts);
    hb_json_t *row;

    ck_assert_int_eq(hb_mail_prepare(&row, op, "a@example.com", "s", "t"), 0);
    hb_json_set_string(row, "to", "thief@example.com");
    ck_assert_int_eq(hb_mail_add(op, row), 0);
    ck_assert_int_eq(write_mail(desk, "b@example.com", "s", "t"), APR_SUCCESS);
    ck_assert_int_eq(waiting(desk), 1);
    ck_assert_ptr_nonnull(strstr(only_text(desk), "To: b@example.com"));
    ck_assert_int_eq(in_outbox(desk), 0);
    ck_assert(hb_test_site_logged(desk->ts, "HB00169"));
    ck_assert_int_eq(hb_metric_value(op->site->metrics, HB_M_MAIL_FAILED), 1);
    ck_assert_int_eq(hb_metric_value(op->site->metrics, HB_M_MAIL_SPOOLED), 1);
}
END_TEST

START_TEST(the_thread_sleeps_until_there_is_mail)
{
    desk_t *desk = mail_desk();
    apr_time_t began = apr_time_now();
    hb_mail_run_t did;

    ck_assert_int_eq(hb_mail_wait(1000), 0);
    ck_assert_int_eq(send_mail(desk, "a@example.com", "s", "t"), 0);
    ck_assert_int_eq(hb_mail_wait(apr_time_from_sec(60)), 0);
    ck_assert_int_lt(apr_time_now() - began, apr_time_from_sec(30));
    ck_assert_int_eq(hb_mail_wait(1000), 0);
    hb_mail_stop();
    ck_assert_int_eq(hb_mail_wait(apr_time_from_sec(60)), 1);
    ck_assert_int_lt(apr_time_now() - began, apr_time_from_sec(30));
    ck_assert_int_eq(run(desk, &did), APR_SUCCESS);
    ck_assert_int_eq(in_outbox(desk), 1);   /* for the next process */
}
END_TEST

START_TEST(what_waits_is_delivered_once_oldest_first)
{
    desk_t *desk = mail_desk();
    hb_test_smtp_t *smtp = hb_test_smtp_start(hb_test_pool);
    int n, i;

    ck_assert_int_eq(write_mail(desk, "first@example.com", "s", ".dots\n..and more\n.\nend"), 0);
    desk->ts->now += APR_USEC_PER_SEC;
    for (i = 0; i < 5; i++) {
        ck_assert_int_eq(write_mail(desk, "other@example.com", "s", "t"), 0);
    }
    /* Without a server mail just waits. */
    ck_assert_int_eq(deliver(desk, &n), APR_SUCCESS);
    ck_assert_int_eq(n, 0);
    ck_assert_int_eq(waiting(desk), 6);

    desk->settings->smtp_url = hb_test_smtp_url(smtp);
    ck_assert_int_eq(deliver(desk, &n), APR_SUCCESS);
    ck_assert_int_eq(n, 6);
    ck_assert_int_eq(waiting(desk), 0);
    ck_assert_int_eq(deliver(desk, &n), APR_SUCCESS);
    ck_assert_int_eq(n, 0);
    ck_assert_int_eq(hb_test_smtp_count(smtp), 6);
    ck_assert_str_eq(hb_test_smtp_mail(smtp, 0)->to, "first@example.com");
    ck_assert_str_eq(hb_test_smtp_mail(smtp, 0)->from, "no-reply@example.com");
    ck_assert_ptr_nonnull(strstr(hb_test_smtp_mail(smtp, 0)->text,
                                 "\r\n\r\n.dots\r\n..and more\r\n.\r\nend\r\n"));
    hb_test_smtp_stop(smtp);
}
END_TEST

START_TEST(a_refusal_for_good_is_set_aside)
{
    static const char *const to[] = { "gone@example.com", "spam@example.com" };
    desk_t *desk = mail_desk();
    hb_test_smtp_t *smtp = hb_test_smtp_start(hb_test_pool);
    int n, i;

    desk->settings->smtp_url = hb_test_smtp_url(smtp);
    for (i = 0; i < 2; i++) {
        ck_assert_int_eq(write_mail(desk, to[i], "s", "t"), 0);
        ck_assert_int_eq(write_mail(desk, "ok@example.com", "s", "t"), 0);
        ck_assert_int_eq(deliver(desk, &n), APR_SUCCESS);
        /* The next one is not held up. */
        ck_assert_int_eq(n, 1);
        ck_assert_int_eq(waiting(desk), 0);
        ck_assert_int_eq(failed(desk), i + 1);
    }
    hb_test_smtp_stop(smtp);
}
END_TEST

START_TEST(a_refusal_for_now_is_tried_again_later)
{
    static const int waits_min[] = { 1, 2, 4, 8, 16, 32, 64, 64 };
    desk_t *desk = mail_desk();
    hb_test_smtp_t *smtp = hb_test_smtp_start(hb_test_pool);
    hb_mail_name_t name;
    int n, i;

    desk->settings->smtp_url = hb_test_smtp_url(smtp);
    ck_assert_int_eq(write_mail(desk, "later@example.com", "s", "t"), 0);
    for (i = 0; i < 8; i++) {
        ck_assert_int_eq(deliver(desk, &n), APR_SUCCESS);
        ck_assert_int_eq(n, 0);
        ck_assert_int_eq(hb_test_smtp_attempts(smtp), i + 1);
        name = only_name(desk);
        ck_assert_int_eq(name.tries, i + 1);
        ck_assert_int_eq(name.not_before, desk->ts->now + apr_time_from_sec(60 * waits_min[i]));
        /* Not before its time, whoever asks. */
        ck_assert_int_eq(deliver(desk, &n), APR_SUCCESS);
        desk->ts->now = name.not_before - APR_USEC_PER_SEC;
        ck_assert_int_eq(deliver(desk, &n), APR_SUCCESS);
        ck_assert_int_eq(hb_test_smtp_attempts(smtp), i + 1);
        desk->ts->now = name.not_before;
    }
    desk->ts->now += apr_time_from_sec(6 * 86400);
    ck_assert_int_eq(deliver(desk, &n), APR_SUCCESS);
    ck_assert_int_eq(waiting(desk), 0);
    ck_assert_int_eq(failed(desk), 1);
    hb_test_smtp_stop(smtp);
}
END_TEST

START_TEST(a_server_that_refuses_us_costs_no_mail)
{
    desk_t *desk = mail_desk();
    hb_test_smtp_t *smtp = hb_test_smtp_start(hb_test_pool);
    int n;

    desk->settings->smtp_url = hb_test_smtp_url(smtp);
    ck_assert_int_eq(write_mail(desk, "a@example.com", "s", "t"), 0);
    hb_test_smtp_greet(smtp, "554 go away");
    ck_assert_int_eq(deliver(desk, &n), HB_E_UPSTREAM);
    ck_assert_int_eq(waiting(desk), 1);
    ck_assert_int_eq(failed(desk), 0);

    /* It wants an account now: first without one, then with wrong words, then right. */
    hb_test_smtp_greet(smtp, NULL);
    hb_test_smtp_account(smtp, "user", "secret");
    desk->ts->now += apr_time_from_sec(86400);
    ck_assert_int_eq(deliver(desk, &n), HB_E_UPSTREAM);
    desk->settings->smtp_user = "user";
    desk->ts->site->smtp_password = "wrong";
    desk->ts->now += apr_time_from_sec(86400);
    ck_assert_int_eq(deliver(desk, &n), HB_E_UPSTREAM);
    ck_assert_int_eq(waiting(desk), 1);
    ck_assert_int_eq(failed(desk), 0);
    desk->ts->site->smtp_password = "secret";
    desk->ts->now += apr_time_from_sec(86400);
    ck_assert_int_eq(deliver(desk, &n), APR_SUCCESS);
    ck_assert_int_eq(n, 1);
    ck_assert_int_eq(waiting(desk), 0);

    /* And nobody at the door. */
    hb_test_smtp_stop(smtp);
    ck_assert_int_eq(write_mail(desk, "a@example.com", "s", "t"), 0);
    ck_assert_int_eq(write_mail(desk, "b@example.com", "s", "t"), 0);
    ck_assert_int_eq(deliver(desk, &n), HB_E_UPSTREAM);
    ck_assert_int_eq(waiting(desk), 2);
}
END_TEST

START_TEST(a_server_that_is_away_is_asked_now_and_then)
{
    static const int holds_sec[] = { 30, 60, 120, 240, 300, 300 };
    desk_t *desk = mail_desk();
    hb_test_smtp_t *smtp = hb_test_smtp_start(hb_test_pool);
    hb_mail_name_t name;
    int n, i;

    desk->settings->smtp_url = hb_test_smtp_url(smtp);
    ck_assert_int_eq(write_mail(desk, "a@example.com", "s", "t"), 0);
    hb_test_smtp_greet(smtp, "421 not now");
    for (i = 0; i < 6; i++) {
        ck_assert_int_eq(deliver(desk, &n), HB_E_UPSTREAM);
        desk->ts->now += apr_time_from_sec(holds_sec[i]) - 1;
        ck_assert_int_eq(deliver(desk, &n), APR_SUCCESS);   /* not asked */
        desk->ts->now += 1;
    }
    name = only_name(desk);
    ck_assert_int_eq(name.tries, 0);

    hb_test_smtp_greet(smtp, NULL);
    ck_assert_int_eq(deliver(desk, &n), APR_SUCCESS);
    ck_assert_int_eq(n, 1);
    /* It is forgotten that it was away. */
    hb_test_smtp_greet(smtp, "421 not now");
    ck_assert_int_eq(write_mail(desk, "a@example.com", "s", "t"), 0);
    ck_assert_int_eq(deliver(desk, &n), HB_E_UPSTREAM);
    hb_test_smtp_greet(smtp, NULL);
    desk->ts->now += apr_time_from_sec(30);
    ck_assert_int_eq(deliver(desk, &n), APR_SUCCESS);
    ck_assert_int_eq(n, 1);
    /* A clock that was wrong for a while holds nothing up. */
    hb_test_smtp_greet(smtp, "421 not now");
    desk->ts->now += apr_time_from_sec(86400 * 365);
    ck_assert_int_eq(write_mail(desk, "later@example.com", "s", "t"), 0);
    ck_assert_int_eq(deliver(desk, &n), HB_E_UPSTREAM);
    desk->ts->now -= apr_time_from_sec(86400 * 365);
    hb_test_smtp_greet(smtp, NULL);
    n = hb_test_smtp_attempts(smtp);
    ck_assert_int_eq(deliver(desk, &i), APR_SUCCESS);
    ck_assert_int_eq(hb_test_smtp_attempts(smtp), n + 1);
    hb_test_smtp_stop(smtp);
}
END_TEST

START_TEST(a_mail_that_breaks_the_server_holds_up_no_other)
{
    desk_t *desk = mail_desk();
    hb_test_smtp_t *smtp = hb_test_smtp_start(hb_test_pool);
    int n, i;

    desk->settings->smtp_url = hb_test_smtp_url(smtp);
    ck_assert_int_eq(write_mail(desk, "drop@example.com", "s", "t"), 0);
    desk->ts->now += APR_USEC_PER_SEC;
    ck_assert_int_eq(write_mail(desk, "a@example.com", "s", "t"), 0);
    ck_assert_int_eq(deliver(desk, &n), APR_SUCCESS);
    ck_assert_int_eq(n, 1);
    ck_assert_int_eq(only_name(desk).tries, 1);
    /* Several in a row: it is the server after all. */
    for (i = 0; i < 4; i++) {
        ck_assert_int_eq(write_mail(desk, "drop@example.com", "s", "t"), 0);
    }
    n = hb_test_smtp_attempts(smtp);
    ck_assert_int_eq(deliver(desk, &i), HB_E_UPSTREAM);
    ck_assert_int_eq(hb_test_smtp_attempts(smtp), n + 3);
    ck_assert_int_eq(waiting(desk), 5);
    hb_test_smtp_stop(smtp);
}
END_TEST

START_TEST(one_process_delivers_at_a_time)
{
    desk_t *desk = mail_desk();
    hb_test_smtp_t *smtp = hb_test_smtp_start(hb_test_pool);
    int n, fd;

    desk->settings->smtp_url = hb_test_smtp_url(smtp);
    ck_assert_int_eq(write_mail(desk, "a@example.com", "s", "t"), 0);
    fd = open(apr_pstrcat(hb_test_pool, desk->settings->mail_spool, "/" HB_MAIL_LOCK, NULL),
              O_RDWR | O_CREAT, 0600);
    ck_assert_int_eq(flock(fd, LOCK_EX), 0);
    ck_assert_int_eq(deliver(desk, &n), APR_SUCCESS);
    ck_assert_int_eq(n, 0);
    ck_assert_int_eq(hb_test_smtp_attempts(smtp), 0);
    close(fd);
    ck_assert_int_eq(deliver(desk, &n), APR_SUCCESS);
    ck_assert_int_eq(n, 1);
    hb_test_smtp_stop(smtp);
}
END_TEST

START_TEST(foreign_and_orphaned_files_do_no_harm)
{
    desk_t *desk = mail_desk();
    hb_test_smtp_t *smtp = hb_test_smtp_start(hb_test_pool);
    int n;

    desk->settings->smtp_url = hb_test_smtp_url(smtp);
    desk->settings->mail_keep = 0;
    put_file(desk, "README", "not a mail");
    put_file(desk, "0001780000000000-damaged.0.0.eml", "no header\r\n");
    put_file(desk, "0001780000000000-unsynced.0.0.eml", "");    /* after a power failure */
    put_file(desk, ".0001600000000000-half.0.0.eml", "Date: ");
    put_file(desk, apr_psprintf(hb_test_pool, ".%016" APR_INT64_T_FMT "-new.0.0.eml", desk->ts->now),
             "Date: ");
    ck_assert_int_eq(send_mail(desk, "a@example.com", "s", "t"), APR_SUCCESS);
    ck_assert_int_eq(deliver(desk, &n), APR_SUCCESS);
    ck_assert_int_eq(n, 1);
    ck_assert_int_eq(failed(desk), 2);
    ck_assert_int_eq(waiting(desk), 1);
    /* One is being written just now, the other's writer is gone. */
    ck_assert_int_eq(names(desk->settings->mail_spool, 1)->nelts, 1);
    hb_test_smtp_stop(smtp);
}
END_TEST

static int is_there(desk_t *desk, const char *name)
{
    return access(apr_pstrcat(hb_test_pool, desk->settings->mail_spool, "/", name, NULL), F_OK) == 0;
}

/* Four files: of a moment more and a moment less than is kept, waiting and refused. */
static void fill_spool(desk_t *desk)
{
    apr_time_t until = desk->ts->now - desk->settings->mail_keep;
    const char *old = apr_psprintf(hb_test_pool, "%016" APR_INT64_T_FMT "-old.3.0.eml", until - 1);
    const char *dir = apr_pstrcat(hb_test_pool, desk->settings->mail_spool, "/" HB_MAIL_FAILED, NULL);

    ck_assert(mkdir(dir, 0750) == 0 || errno == EEXIST);
    put_file(desk, old, "Date: ");
    put_file(desk, apr_pstrcat(hb_test_pool, ".", old, NULL), "Date: ");
    put_file(desk, apr_pstrcat(hb_test_pool, HB_MAIL_FAILED "/", old, NULL), "Date: ");
    put_file(desk, apr_psprintf(hb_test_pool, "%016" APR_INT64_T_FMT "-new.0.0.eml", until), "Date: ");
    put_file(desk, apr_psprintf(hb_test_pool, HB_MAIL_FAILED "/%016" APR_INT64_T_FMT "-new.9.0.eml",
                                until), "Date: ");
}

START_TEST(what_nobody_takes_goes_in_the_end)
{
    desk_t *desk = mail_desk();
    hb_mail_run_t did;

    /* Somebody else empties the spool, or is meant to. */
    put_file(desk, "README", "not a mail");
    put_file(desk, "old.eml", "not one of ours");
    fill_spool(desk);
    ck_assert_int_eq(run(desk, &did), APR_SUCCESS);
    ck_assert_int_eq(waiting(desk), 3);
    ck_assert_int_eq(names(desk->settings->mail_spool, 1)->nelts, 0);
    ck_assert_int_eq(failed(desk), 1);
    ck_assert(is_there(desk, "README") && is_there(desk, "old.eml"));
    ck_assert(hb_test_site_logged(desk->ts, "3 mails in "));
    /* With a server what waits for it is not touched here. */
    fill_spool(desk);
    desk->settings->smtp_url = "smtp://localhost:1";
    ck_assert_int_eq(hb_mail_tidy(hb_test_site_op(desk->ts)), 0);
    ck_assert_int_eq(waiting(desk), 4);
    ck_assert_int_eq(failed(desk), 1);
    desk->settings->smtp_url = "";
    desk->settings->mail_keep = 0;
    ck_assert_int_eq(hb_mail_tidy(hb_test_site_op(desk->ts)), 0);
    ck_assert_int_eq(waiting(desk), 4);
}
END_TEST

START_TEST(server_addresses_are_checked)
{
    static const char *const bad[] = { "http://127.0.0.1:1", "smtp://user:pass@127.0.0.1:1",
                                       "smtp://", "://", "file:///etc/passwd" };
    desk_t *desk = mail_desk();
    hb_test_smtp_t *smtp = hb_test_smtp_start(hb_test_pool);
    apr_size_t i;
    int n;

    ck_assert_int_eq(write_mail(desk, "a@example.com", "s", "t"), 0);
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        desk->settings->smtp_url = bad[i];
        ck_assert_msg(deliver(desk, &n) == HB_E_CONFIG, "%s", bad[i]);
    }
    /* SMTP_HOST of the seeds is a bare name. */
    desk->settings->smtp_url = hb_test_smtp_url(smtp) + strlen("smtp://");
    ck_assert_int_eq(deliver(desk, &n), APR_SUCCESS);
    ck_assert_int_eq(n, 1);
    hb_test_smtp_stop(smtp);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        a_mail_is_one_whole_file, any_script_and_length_is_coded,
        nothing_is_smuggled_into_a_header, a_spool_that_cannot_be_written_loses_nothing,
        a_mail_comes_with_its_transaction_or_not, a_round_that_died_makes_no_second_mail,
        a_mail_is_one_hosts,
        a_round_takes_so_many, a_row_that_cannot_be_read_holds_up_no_other,
        what_waits_is_delivered_once_oldest_first, a_refusal_for_good_is_set_aside,
        a_refusal_for_now_is_tried_again_later, a_server_that_refuses_us_costs_no_mail,
        a_server_that_is_away_is_asked_now_and_then,
        a_mail_that_breaks_the_server_holds_up_no_other,
        one_process_delivers_at_a_time, foreign_and_orphaned_files_do_no_harm,
        what_nobody_takes_goes_in_the_end, server_addresses_are_checked,
        the_thread_sleeps_until_there_is_mail,  /* the last: it stops all of it */
        NULL
    };
    return hb_test_main("hb_mail", cases);
}
