/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints the media token of every line "appid certificate channel uid publisher seconds"
 * (tab between) of stdin, as hb_agora_rtc_token() makes it. For agora.js.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_general.h>

#include "hb_agora.h"

static apr_time_t now(void *baton)
{
    (void)baton;
    return apr_time_now();
}

static apr_status_t any_bytes(void *baton, unsigned char *out, apr_size_t n)
{
    (void)baton;
    return apr_generate_random_bytes(out, n);
}

int main(void)
{
    hb_settings_t settings;
    hb_site_t site;
    apr_pool_t *pool;
    char line[4096], *word[6], *state;
    const char *token;
    int i;

    if (apr_initialize() != APR_SUCCESS) {
        return EXIT_FAILURE;
    }
    apr_pool_create(&pool, NULL);
    memset(&settings, 0, sizeof(settings));
    memset(&site, 0, sizeof(site));
    site.settings = &settings;
    site.clock = now;
    site.random = any_bytes;
    while (fgets(line, sizeof(line), stdin) != NULL) {
        state = line;
        for (i = 0; i < 6; i++) {
            word[i] = strsep(&state, "\t\n");
            if (word[i] == NULL) {
                fprintf(stderr, "a line has %d words\n", i);
                return EXIT_FAILURE;
            }
        }
        settings.agora_app_id = word[0];
        site.agora_certificate = word[1];
        apr_pool_clear(pool);
        if (hb_agora_rtc_token(&token, hb_op_make(&site, pool), word[2], word[3], atoi(word[4]),
                               apr_time_from_sec(atoi(word[5]))) != APR_SUCCESS) {
            fprintf(stderr, "no token for channel %s, uid %s\n", word[2], word[3]);
            return EXIT_FAILURE;
        }
        puts(token);
    }
    apr_terminate();
    return EXIT_SUCCESS;
}
