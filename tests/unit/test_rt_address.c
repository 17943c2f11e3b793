/* SPDX-License-Identifier: Apache-2.0 */
#include "rt_loop.h"

#include <apr_strings.h>

#include "hb_test.h"

START_TEST(one_address_is_counted_however_it_is_written)
{
    static const struct { const char *first, *second; int is_one; } rows[] = {
        { "192.0.2.1", "192.0.2.1", 1 },
        { "192.0.2.1", "192.0.2.2", 0 },
        { "192.0.2.1", "::ffff:192.0.2.1", 1 },
        { "2001:db8:0:1::1", "2001:db8:0:1:ffff::2", 1 },   /* one network */
        { "2001:db8:0:1::1", "2001:db8:0:2::1", 0 },
        { "fe80::1%eth0", "fe80::2%eth1", 1 },
        { "local", "local", 1 },
        { "local", "192.0.2.1", 0 },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rt_addresses_t *addresses = rt_addresses_make(hb_test_pool);

        ck_assert_int_eq(rt_address_enter(addresses, rows[i].first, 1), 1);
        ck_assert_msg(rt_address_enter(addresses, rows[i].second, 1) == !rows[i].is_one,
                      "%s, then %s", rows[i].first, rows[i].second);
        /* Who leaves by another spelling makes room as well. */
        rt_address_leave(addresses, rows[i].second);
        ck_assert_int_eq(rt_address_enter(addresses, rows[i].second, 1), 1);
    }
}
END_TEST

START_TEST(any_number_of_addresses)
{
    struct rt_addresses_t *addresses = rt_addresses_make(hb_test_pool);
    int i, k;

    for (k = 0; k < 2; k++) {
        for (i = 0; i < 3000; i++) {
            const char *text = apr_psprintf(hb_test_pool, "10.%d.%d.1", i >> 8, i & 255);

            ck_assert_int_eq(rt_address_enter(addresses, text, 2), 1);
        }
    }
    ck_assert_int_eq(rt_address_enter(addresses, "10.0.0.1", 2), 0);
    ck_assert_int_eq(rt_address_enter(addresses, "10.0.0.1", 0), 1);
    for (i = 0; i < 3; i++) {
        rt_address_leave(addresses, "10.0.0.1");
    }
    ck_assert_int_eq(rt_address_enter(addresses, "10.0.0.1", 1), 1);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        one_address_is_counted_however_it_is_written, any_number_of_addresses, NULL
    };
    return hb_test_main("rt_address", cases);
}
