/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_plugin.h
 * Backends with heavy libraries are files of their own (hb_store_mongodb.so), opened in
 * httpd's children and in the programs, never in the root parent, and never closed (facts
 * of httpd: libraries that leave threads and exit handlers behind crash a parent that
 * reloads). They lie beside libhalobuzz.so.
 */
#ifndef HB_PLUGIN_H
#define HB_PLUGIN_H

#include <apr_pools.h>

/** Is the file there? NULL, or a sentence that names it and the package that has it. Opens nothing. */
const char *hb_plugin_missing(const char *file, const char *package, apr_pool_t *pool);

/**
 * Open the file, once a process, and give its symbol. NULL, with *why a sentence in pool, when it
 * cannot be.
 */
void *hb_plugin_symbol(const char **why, const char *file, const char *symbol,
                       apr_pool_t *pool);

#endif /* HB_PLUGIN_H */
