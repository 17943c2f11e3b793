/* SPDX-License-Identifier: Apache-2.0 */
/* Whose words a client is not shown. */
#include "rt_blocks.h"

#include <stdio.h>

#include "hb_test.h"

START_TEST(a_block_of_either_counts)
{
    rt_blocks_t *blocks = NULL;

    rt_blocks_set(&blocks, "anna", RT_BLOCK_MINE, 0);
    ck_assert_ptr_null(blocks);
    rt_blocks_set(&blocks, "anna", RT_BLOCK_MINE, 1);
    rt_blocks_set(&blocks, "anna", RT_BLOCK_MINE, 1);
    rt_blocks_set(&blocks, "anna", RT_BLOCK_THEIRS, 1);
    ck_assert(rt_blocks_has(blocks, "anna"));
    ck_assert(!rt_blocks_has(blocks, "ann"));
    rt_blocks_set(&blocks, "anna", RT_BLOCK_MINE, 0);
    ck_assert(rt_blocks_has(blocks, "anna"));
    rt_blocks_set(&blocks, "ben", RT_BLOCK_MINE, 0);
    rt_blocks_set(&blocks, "anna", RT_BLOCK_THEIRS, 0);
    ck_assert_ptr_null(blocks);
    rt_blocks_free(blocks);
}
END_TEST

START_TEST(many_are_found_in_any_order)
{
    rt_blocks_t *blocks = NULL;
    char id[25];
    int i;

    for (i = 0; i < 500; i++) {
        sprintf(id, "%024d", i * 7919 % 500);
        rt_blocks_set(&blocks, id, RT_BLOCK_THEIRS, 1);
    }
    for (i = 0; i < 500; i += 2) {
        sprintf(id, "%024d", i);
        rt_blocks_set(&blocks, id, RT_BLOCK_THEIRS, 0);
    }
    for (i = 0; i < 500; i++) {
        sprintf(id, "%024d", i);
        ck_assert_int_eq(rt_blocks_has(blocks, id), i % 2);
    }
    rt_blocks_free(blocks);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = { a_block_of_either_counts, many_are_found_in_any_order, NULL };

    return hb_test_main("rt_blocks", cases);
}
