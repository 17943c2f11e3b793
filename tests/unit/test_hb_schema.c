/* SPDX-License-Identifier: Apache-2.0 */
#include "hb_schema.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_schema_private.h"
#include "hb_test.h"

START_TEST(rows_belong_to_their_shape)
{
    const hb_shape_row_t *shape;
    int i, k, n_collections = 0;

    for (i = HB_SHAPE_NONE + 1; i < HB_SHAPE_COUNT; i++) {
        shape = hb_shape((hb_shape_e)i);
        ck_assert_int_eq(shape->shape, i);
        ck_assert(*shape->name != '\0' && *shape->sentence != '\0');
        ck_assert_ptr_eq(hb_shape_by_name(shape->name), shape);
        n_collections += shape->role == HB_IS_COLLECTION;
        for (k = 0; k < shape->n_fields; k++) {
            ck_assert_msg(shape->fields[k].shape == shape->shape,
                          "%s: rows of a shape have to stand together", shape->name);
            ck_assert_msg(hb_shape_field(shape->shape, shape->fields[k].path)
                          == &shape->fields[k], "%s.%s twice", shape->name,
                          shape->fields[k].path);
        }
        for (k = 0; k < shape->n_indexes; k++) {
            ck_assert_msg(shape->indexes[k].shape == shape->shape, "%s: indexes of a "
                          "collection have to stand together", shape->name);
            ck_assert(shape->role == HB_IS_COLLECTION);
        }
    }
    ck_assert_int_gt(n_collections, 5);
}
END_TEST

START_TEST(indexes_name_fields_that_exist)
{
    const hb_shape_row_t *shape;
    const char *rest;
    char field[64];
    int i, k, is_default;

    for (i = HB_SHAPE_NONE + 1; i < HB_SHAPE_COUNT; i++) {
        shape = hb_shape((hb_shape_e)i);
        for (k = 0; k < shape->n_indexes; k++) {
            rest = shape->indexes[k].fields;
            while ((rest = hb_words_next(field, sizeof(field), &is_default, rest)) != NULL) {
                field[strcspn(field, "-")] = '\0';
                const hb_field_row_t *row = hb_shape_field(shape->shape, field);

                ck_assert_msg(row != NULL, "%s.%s: %s", shape->name, shape->indexes[k].name,
                              field);
                ck_assert_msg(row->kind != HB_KIND_ARRAY && row->kind != HB_KIND_OBJECT,
                              "%s.%s: stores keep single values in indexes", shape->name, field);
            }
        }
    }
}
END_TEST

START_TEST(inner_shapes_exist)
{
    const hb_shape_row_t *shape;
    const hb_field_plan_t *plan;
    int i, k;

    for (i = HB_SHAPE_NONE + 1; i < HB_SHAPE_COUNT; i++) {
        shape = hb_shape((hb_shape_e)i);
        for (k = 0; k < shape->n_fields; k++) {
            plan = &hb_shape_plans(shape)[k];
            ck_assert_ptr_eq(plan->row, &shape->fields[k]);
            if (plan->row->kind == HB_KIND_ARRAY
                || (plan->row->kind == HB_KIND_OBJECT && *plan->row->extra != '\0')) {
                ck_assert_msg(plan->inner != NULL || plan->item_kind >= 0,
                              "%s.%s: nothing is called \"%s\"", shape->name,
                              plan->row->path, plan->row->extra);
            }
            ck_assert_msg(plan->row->kind != HB_KIND_ENUM || *plan->row->extra != '\0',
                          "%s.%s: no words", shape->name, plan->row->path);
        }
    }
}
END_TEST

START_TEST(paths_are_taken_apart)
{
    const hb_field_plan_t *plan = hb_shape_plans(hb_shape(HB_C_USERS));

    plan += hb_shape_field(HB_C_USERS, "coins.balance") - hb_shape(HB_C_USERS)->fields;
    ck_assert_int_eq(plan->n_parts, 2);
    ck_assert_str_eq(plan->parts[0], "coins");
    ck_assert_str_eq(plan->parts[1], "balance");
}
END_TEST

START_TEST(unknown_names_give_nothing)
{
    unsigned int who;

    ck_assert_ptr_null(hb_shape_by_name("nothing like it"));
    ck_assert_ptr_null(hb_shape_field(HB_C_USERS, "coins"));
    ck_assert_int_eq(hb_shape(HB_SHAPE_COUNT)->n_fields, 0);
    ck_assert_ptr_null(hb_shape_read(&who, "users:nobody"));
    ck_assert_ptr_null(hb_shape_read(&who, "nothing:all"));
    ck_assert_ptr_eq(hb_shape_read(&who, "users:self"), hb_shape(HB_C_USERS));
    ck_assert_uint_eq(who, HB_ALL | HB_SELF);
}
END_TEST

START_TEST(words_are_found)
{
    ck_assert(hb_words_have("one *two three", "two"));
    ck_assert(hb_words_have("one two three", "three"));
    ck_assert(!hb_words_have("one two three", "thre"));
    ck_assert(!hb_words_have("one two three", ""));
    ck_assert(!hb_words_have("", "one"));
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        rows_belong_to_their_shape, indexes_name_fields_that_exist, inner_shapes_exist,
        paths_are_taken_apart, unknown_names_give_nothing, words_are_found, NULL
    };
    return hb_test_main("hb_schema", cases);
}
