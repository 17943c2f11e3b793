/* SPDX-License-Identifier: Apache-2.0 */
#include "hb_program.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <apr_strings.h>

#include "hb_error.h"
#include "hb_test.h"

static void set_fd(const char *name, int fd)
{
    char text[12];

    apr_snprintf(text, sizeof(text), "%d", fd);
    setenv(name, text, 1);
}

/* What httpd sends: a note, and a descriptor with it. */
static void send_note(int to, hb_level_e level, int log)
{
    hb_program_note_t note = { sizeof(note), level };
    struct iovec part = { &note, sizeof(note) };
    char space[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = space,
                              .msg_controllen = sizeof(space) };
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);

    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(head), &log, sizeof(log));
    ck_assert_int_eq(sendmsg(to, &message, 0), sizeof(note));
}

static const char *contents(int fd)
{
    char *text = apr_pcalloc(hb_test_pool, 8192);

    ck_assert_int_ge(pread(fd, text, 8191, 0), 0);
    return text;
}

START_TEST(log_lines_go_where_httpd_says)
{
    int pair[2], first = memfd_create("first", 0), second = memfd_create("second", 0);
    hb_program_t *program;
    hb_log_t log;

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    set_fd(HB_PROGRAM_CONTROL, pair[1]);
    send_note(pair[0], HB_LOG_INFO, first);
    program = hb_program_open("halobuzz_realtime", hb_test_pool);
    ck_assert_ptr_null(getenv(HB_PROGRAM_CONTROL));
    ck_assert_int_eq(fcntl(pair[1], F_GETFD), FD_CLOEXEC);
    log = hb_program_log(program);
    hb_log_to(&log, HB_LOG_INFO, HB_E_STORE_DOWN, "one %d", 1);
    hb_log_to(&log, HB_LOG_DEBUG, 0, "unseen");
    ck_assert_ptr_nonnull(strstr(contents(first), "] [halobuzz_realtime:info] [pid "));
    ck_assert_ptr_nonnull(strstr(contents(first), "] one 1: "));
    ck_assert_ptr_null(strstr(contents(first), "unseen"));

    send_note(pair[0], HB_LOG_DEBUG, first);
    send_note(pair[0], HB_LOG_WARNING, second);         /* the last one counts */
    hb_program_reload(program);
    hb_log_to(&log, HB_LOG_INFO, 0, "too low now");
    hb_log_to(&log, HB_LOG_WARNING, 0, "two");
    ck_assert_ptr_null(strstr(contents(second), "too low"));
    ck_assert_ptr_nonnull(strstr(contents(second), "[halobuzz_realtime:warn]"));
    ck_assert_ptr_null(strstr(contents(first), "two"));

    close(pair[0]);                                     /* httpd is gone: nothing to take */
    hb_program_reload(program);
    hb_log_to(&log, HB_LOG_WARNING, 0, "three");
    ck_assert_ptr_nonnull(strstr(contents(second), "three"));
}
END_TEST

START_TEST(httpd_is_not_needed)
{
    hb_program_t *program;

    unsetenv(HB_PROGRAM_CONTROL);
    program = hb_program_open("x", hb_test_pool);
    hb_program_reload(program);
    ck_assert_int_eq(hb_program_level(program), HB_LOG_NOTICE);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        log_lines_go_where_httpd_says, httpd_is_not_needed, NULL
    };
    return hb_test_main("hb_program", cases);
}
