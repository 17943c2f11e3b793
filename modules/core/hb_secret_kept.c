/* SPDX-License-Identifier: Apache-2.0 */
/* The library stays mapped over reloads, and so does this list; see hb_secret_kept.h. */
#include "hb_secret_kept.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include <openssl/crypto.h>

#include "hb_secret.h"

typedef struct kept_t {
    struct kept_t *next;
    char *command, *text;
    char *problem;              /* it failed for this configuration; NULL: it did not */
    int is_settled;             /* for this configuration it was asked */
} kept_t;

static kept_t *all;

static kept_t *find(const char *command)
{
    kept_t *kept;

    for (kept = all; kept != NULL && strcmp(kept->command, command) != 0; kept = kept->next) {
        continue;
    }
    return kept;
}

static char *copy_of(const kept_t *kept, apr_pool_t *pool)
{
    char *text = apr_pstrdup(pool, kept->text);

    hb_secret_wipe_with(pool, text, strlen(text));
    return text;
}

int hb_secret_is_due(const char *command)
{
    const kept_t *kept = find(command);

    return kept == NULL || !kept->is_settled;
}

void hb_secret_keep(const char *command, const char *text)
{
    kept_t *kept = find(command);
    char *copy = strdup(text);

    if (copy == NULL) {
        return;
    }
    if (kept == NULL) {
        kept = calloc(1, sizeof(*kept));
        if (kept == NULL || (kept->command = strdup(command)) == NULL) {
            free(kept);
            OPENSSL_cleanse(copy, strlen(copy));
            free(copy);
            return;
        }
        kept->next = all;
        all = kept;
    }
    else {
        OPENSSL_cleanse(kept->text, strlen(kept->text));
        free(kept->text);
    }
    kept->text = copy;
    kept->is_settled = 1;
}

char *hb_secret_fall_back(const char *command, const char *problem, apr_pool_t *pool)
{
    kept_t *kept = find(command);

    if (kept == NULL) {
        return NULL;
    }
    free(kept->problem);
    kept->problem = strdup(problem);
    kept->is_settled = 1;
    return copy_of(kept, pool);
}

char *hb_secret_kept(const char *command, apr_pool_t *pool)
{
    return copy_of(find(command), pool);
}

const char *hb_secret_settle(apr_pool_t *pool)
{
    const char *problems = NULL;
    kept_t *kept;

    for (kept = all; kept != NULL; kept = kept->next) {
        if (kept->problem != NULL) {
            problems = problems == NULL ? apr_pstrdup(pool, kept->problem)
                : apr_pstrcat(pool, problems, "; ", kept->problem, NULL);
            free(kept->problem);
            kept->problem = NULL;
        }
        kept->is_settled = 0;
    }
    return problems;
}
