/* SPDX-License-Identifier: Apache-2.0 */
/* The memory file that programs beside httpd inherit. */
#include "hb_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hb_error.h"
#include "hb_share.h"

static int make_file(const hb_share_head_t *head, apr_uint64_t bytes)
{
    int fd = memfd_create("test", 0);
    char number[20];

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, (off_t)bytes), 0);
    ck_assert_int_eq(pwrite(fd, head, sizeof(*head), 0), sizeof(*head));
    snprintf(number, sizeof(number), "%d", fd);
    setenv(HB_SHARE_VARIABLE, number, 1);
    return fd;
}

START_TEST(without_a_descriptor_there_is_none)
{
    hb_site_memory_t memory;

    unsetenv(HB_SHARE_VARIABLE);
    ck_assert_int_eq(hb_share_inherit(&memory), APR_NOTFOUND);
    ck_assert_ptr_null(memory.cache);
}
END_TEST

START_TEST(what_one_writes_the_other_sees)
{
    hb_share_head_t head = hb_share_head(10000, 70000, 5000);
    int fd = make_file(&head, head.bytes);
    hb_site_memory_t memory, again;

    ck_assert_int_eq(hb_share_inherit(&memory), APR_SUCCESS);
    ck_assert_int_eq(hb_share_inherit(&again), APR_SUCCESS);
    ck_assert_uint_eq(memory.limit_bytes, 10000);
    ck_assert_uint_eq(memory.cache_bytes, 70000);
    ck_assert_uint_eq(memory.metrics_bytes, 5000);
    memset(memory.limit, 1, memory.limit_bytes);
    memset(memory.cache, 2, memory.cache_bytes);
    memset(memory.metrics, 3, memory.metrics_bytes);
    *hb_share_maintenance(&memory) = 4;
    ck_assert_int_eq(((char *)again.limit)[9999], 1);
    ck_assert_int_eq(((char *)again.cache)[0], 2);
    ck_assert_int_eq(((char *)again.metrics)[4999], 3);
    ck_assert_int_eq(*hb_share_maintenance(&again), 4);
    close(fd);
}
END_TEST

START_TEST(a_site_without_a_cache_of_its_own_shares_none)
{
    hb_share_head_t head = hb_share_head(10000, 0, 5000);
    int fd = make_file(&head, head.bytes);
    hb_site_memory_t memory;

    ck_assert_int_eq(hb_share_inherit(&memory), APR_SUCCESS);
    ck_assert_ptr_null(memory.cache);
    close(fd);
}
END_TEST

START_TEST(anything_else_is_refused)
{
    hb_share_head_t head = hb_share_head(10000, 70000, 5000);
    hb_site_memory_t memory;
    int fd;

    fd = make_file(&head, head.bytes - 4096);
    ck_assert_int_eq(hb_share_inherit(&memory), HB_E_CONFIG);
    close(fd);
    ck_assert_int_eq(hb_share_inherit(&memory), HB_E_CONFIG);
    head.layout++;
    fd = make_file(&head, head.bytes);
    ck_assert_int_eq(hb_share_inherit(&memory), HB_E_CONFIG);
    close(fd);
    setenv(HB_SHARE_VARIABLE, "7x", 1);
    ck_assert_int_eq(hb_share_inherit(&memory), HB_E_CONFIG);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        without_a_descriptor_there_is_none, what_one_writes_the_other_sees,
        a_site_without_a_cache_of_its_own_shares_none, anything_else_is_refused, NULL
    };

    return hb_test_main("hb_share", cases);
}
