/* SPDX-License-Identifier: Apache-2.0 */
#include "hb_clock.h"

#include <errno.h>

#include "hb_test.h"

static const struct { apr_time_t when; time_t sec; long nsec; } moments[] = {
    { 0, 0, 0 }, { 1, 0, 1000 }, { 999999, 0, 999999000 }, { 1000000, 1, 0 },
    { APR_INT64_C(86400000001), 86400, 1000 },
};

START_TEST(a_moment_is_seconds_and_the_rest)
{
    apr_size_t i;

    for (i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
        struct timespec at = hb_clock_at(moments[i].when);

        ck_assert_int_eq(at.tv_sec, moments[i].sec);
        ck_assert_int_eq(at.tv_nsec, moments[i].nsec);
    }
}
END_TEST

START_TEST(a_wait_ends_by_the_clock_and_not_before)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    apr_time_t until = hb_clock() + 2000;
    struct timespec at = hb_clock_at(until);
    pthread_cond_t cond;
    int rv = 0;

    hb_clock_cond_init(&cond);
    pthread_mutex_lock(&lock);
    while (rv == 0) {
        rv = pthread_cond_timedwait(&cond, &lock, &at);
    }
    pthread_mutex_unlock(&lock);
    pthread_cond_destroy(&cond);
    ck_assert_int_eq(rv, ETIMEDOUT);
    ck_assert(hb_clock() >= until);
}
END_TEST

START_TEST(a_lock_is_waited_for_by_the_clock)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    apr_time_t until = hb_clock() + 2000;

    ck_assert_int_eq(hb_clock_lock(&lock, 0), 0);
    ck_assert_int_eq(hb_clock_lock(&lock, until), ETIMEDOUT);
    ck_assert(hb_clock() >= until);
    pthread_mutex_unlock(&lock);
    ck_assert_int_eq(hb_clock_lock(&lock, hb_clock() + 2000), 0);
    pthread_mutex_unlock(&lock);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        a_moment_is_seconds_and_the_rest, a_wait_ends_by_the_clock_and_not_before,
        a_lock_is_waited_for_by_the_clock, NULL
    };
    return hb_test_main("hb_clock", cases);
}
