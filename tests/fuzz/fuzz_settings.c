/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a settings file. What is taken is taken again when it is written out; what
 * is refused is told in a sentence.
 */
#include "fuzz.h"

#include <string.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "hb_settings_private.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const hb_setting_row_t *row;
    apr_pool_t *pool;
    char *state, *name;

    (void)argc;
    (void)argv;
    if (apr_initialize() != APR_SUCCESS || apr_pool_create(&pool, NULL) != APR_SUCCESS) {
        return 1;
    }
    for (row = hb_setting_rows(); row->directive != NULL; row++) {
        for (name = apr_strtok(apr_pstrdup(pool, row->env), " ", &state); name != NULL;
             name = apr_strtok(NULL, " ", &state)) {
            unsetenv(name);
        }
    }
    apr_pool_destroy(pool);
    return 0;
}

static void is_taken_again(const hb_settings_t *settings, apr_pool_t *pool)
{
    hb_settings_draft_t *again = hb_settings_draft_make(pool);
    const hb_setting_row_t *row;
    const char *text, *problem;

    for (row = hb_setting_rows(); row->directive != NULL; row++) {
        text = hb_settings_text(settings, row, pool);
        problem = hb_settings_set(again, row, text, pool);
        FUZZ_EXPECT(problem == NULL);
        FUZZ_EXPECT(strcmp(hb_settings_text(&again->values, row, pool), text) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hb_settings_draft_t *draft;
    const char *problem;
    apr_pool_t *pool;

    apr_pool_create(&pool, NULL);
    draft = hb_settings_draft_make(pool);
    problem = hb_settings_read(draft, "fuzz", apr_pstrmemdup(pool, (const char *)data, size),
                               pool);
    if (problem == NULL) {
        problem = hb_settings_finish(draft, pool);
    }
    if (problem == NULL) {
        is_taken_again(&draft->values, pool);
    }
    else {
        FUZZ_EXPECT(*problem != '\0');
    }
    apr_pool_destroy(pool);
    return 0;
}
