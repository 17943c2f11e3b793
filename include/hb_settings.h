/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_settings.h
 * The settings of hb_setting.def: one struct, one parser, for directives, environment
 * names and the programs beside httpd alike. Rate classes are hb_limit.h's.
 */
#ifndef HB_SETTINGS_H
#define HB_SETTINGS_H

#include <apr_pools.h>
#include <apr_time.h>

/** How a setting is written and kept. */
typedef enum hb_setting_kind_e {
    HB_SETTING_TEXT, HB_SETTING_LIST, HB_SETTING_PATH, HB_SETTING_INT,
    HB_SETTING_DURATION, HB_SETTING_SIZE, HB_SETTING_FLAG, HB_SETTING_SECRET, HB_SETTING_LINES,
    HB_SETTING_URL
} hb_setting_kind_e;

#define HB_SETTING_C_TEXT     const char *
#define HB_SETTING_C_LIST     const char *
#define HB_SETTING_C_PATH     const char *
#define HB_SETTING_C_INT      apr_int64_t
#define HB_SETTING_C_DURATION apr_interval_time_t
#define HB_SETTING_C_SIZE     apr_int64_t
#define HB_SETTING_C_FLAG     int
#define HB_SETTING_C_SECRET   const char *
#define HB_SETTING_C_LINES    const char *
#define HB_SETTING_C_URL      const char *

typedef struct hb_settings_t {
#define HB_SETTING(kind, member, directive, env, dflt, low, high, sentence) \
    HB_SETTING_C_##kind member;
#include "hb_setting.def"
#undef HB_SETTING
} hb_settings_t;

typedef struct hb_setting_row_t {
    hb_setting_kind_e kind;
    const char *member;
    const char *directive;
    const char *env;            /* names separated by blanks, first set wins; "" for none */
    const char *dflt;
    apr_int64_t low, high;      /* both 0: not bounded */
    const char *sentence;
    apr_size_t offset;          /* into hb_settings_t */
    int index;                  /* row number: bit in hb_settings_draft_t.given */
} hb_setting_row_t;

/** All rows; ends where directive is NULL. */
const hb_setting_row_t *hb_setting_rows(void);

/** The row of a directive (case ignored), or NULL. */
const hb_setting_row_t *hb_setting_row(const char *directive);

/** Settings being collected: what was given, by which words. */
typedef struct hb_settings_draft_t {
    hb_settings_t values;
    unsigned char given[128];   /* 1 where a directive set it */
} hb_settings_draft_t;

hb_settings_draft_t *hb_settings_draft_make(apr_pool_t *pool);

/**
 * Take one value. Gives NULL, or a sentence for the sysadmin that says what was
 * given and what is accepted. A LIST or LINES that is set again grows.
 */
const char *hb_settings_set(hb_settings_draft_t *draft, const hb_setting_row_t *row,
                            const char *value, apr_pool_t *pool);

/**
 * Fill what was not given from the environment and the defaults, and resolve paths
 * against the state directory. Gives NULL or a sentence as above.
 */
const char *hb_settings_finish(hb_settings_draft_t *draft, apr_pool_t *pool);

/** Is this value of a URL a reference to what holds it: file:, env: or exec:? */
int hb_setting_is_reference(const char *value);

/**
 * The URL that a value of a row of kind URL stands for: itself, or what its reference gives.
 * Waits for a program of exec:. Gives NULL, or a sentence that holds no secret.
 */
const char *hb_setting_url(const char **url, const hb_setting_row_t *row, const char *value,
                           apr_pool_t *pool);

/**
 * Settings to work with: a copy in which URLs stand in the place of references, or the very same
 * when there are none. It is neither saved nor shown. Gives NULL or a sentence as above, which
 * begins with the directive.
 */
const char *hb_settings_resolve(const hb_settings_t **resolved, const hb_settings_t *settings,
                                apr_pool_t *pool);

/** Value as it would be written in the configuration, for dumps; secrets stay references. */
const char *hb_settings_text(const hb_settings_t *settings, const hb_setting_row_t *row,
                             apr_pool_t *pool);

/** Does every row stand as in the other? */
int hb_settings_are_same(const hb_settings_t *settings, const hb_settings_t *others, apr_pool_t *pool);

/**
 * Settings for a program beside httpd, from the file that mod_halobuzz writes at each
 * start ("Directive value" lines), or from environment and defaults when path is NULL.
 */
const char *hb_settings_load(const hb_settings_t **settings, const char *path,
                             apr_pool_t *pool);

/** Write such a file, as hb_file_replace() does. */
apr_status_t hb_settings_save(const hb_settings_t *settings, const char *path, gid_t group,
                              apr_pool_t *pool);

/**
 * "250ms", "15m", "1h30m", plain seconds. Gives a sentence when it is none of these.
 */
const char *hb_duration_read(apr_interval_time_t *usec, const char *text, apr_pool_t *pool);

/** "64K", "1M", "2G", plain bytes. */
const char *hb_size_read(apr_int64_t *bytes, const char *text, apr_pool_t *pool);

/** A URL as it may be shown: "mongodb://user:secret@host" becomes "mongodb://user:***@host". */
const char *hb_url_shown(const char *text, apr_pool_t *pool);

#endif /* HB_SETTINGS_H */
