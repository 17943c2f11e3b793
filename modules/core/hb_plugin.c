/* SPDX-License-Identifier: Apache-2.0 */
/* Backends that are files of their own: where they lie, and opening them. */
#include "hb_plugin.h"

#include <dlfcn.h>
#include <libgen.h>
#include <stdlib.h>
#include <unistd.h>

#include <apr_strings.h>

/* The directory of the library this code is in: installed or not, the plug-ins are beside it. */
static const char *directory(apr_pool_t *pool)
{
    Dl_info info;

    if (dladdr(&hb_plugin_missing, &info) == 0 || info.dli_fname == NULL) {
        return ".";
    }
    return dirname(apr_pstrdup(pool, info.dli_fname));
}

static const char *path_of(const char *file, apr_pool_t *pool)
{
    return apr_pstrcat(pool, directory(pool), "/", file, NULL);
}

const char *hb_plugin_missing(const char *file, const char *package, apr_pool_t *pool)
{
    const char *path = path_of(file, pool);

    return access(path, R_OK) == 0 ? NULL
        : apr_psprintf(pool, "%s is not there: HaloBuzz was built without it; install %s, then "
                       "configure and build again", path, package);
}

void *hb_plugin_symbol(const char **why, const char *file, const char *symbol, apr_pool_t *pool)
{
    void *handle = dlopen(path_of(file, pool), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    void *found = handle != NULL ? dlsym(handle, symbol) : NULL;

    *why = NULL;
    if (found == NULL) {
        const char *error = dlerror();

        *why = apr_pstrdup(pool, error != NULL ? error : file);
    }
    return found;
}
