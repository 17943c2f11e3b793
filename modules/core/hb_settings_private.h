/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_settings_private.h
 * What the files of hb_settings share: reading and checking one value.
 */
#ifndef HB_SETTINGS_PRIVATE_H
#define HB_SETTINGS_PRIVATE_H

#include "hb_settings.h"

/**
 * Read, check and keep one value.
 * @param given_by  what the sysadmin wrote it in, for the sentence
 * @return NULL or the sentence
 */
const char *hb_setting_read(hb_settings_t *values, const hb_setting_row_t *row,
                            const char *given_by, const char *value, apr_pool_t *pool);

/**
 * A value as other platforms put it into the environment, in our own form: secrets
 * become references to their variable, SMTP_HOST becomes an address.
 */
const char *hb_setting_from_environment(const hb_setting_row_t *row, const char *name,
                                        const char *value, apr_pool_t *pool);

/** A value of kind URL as it is written: NULL or a sentence. References are not followed. */
const char *hb_setting_url_misfit(const hb_setting_row_t *row, const char *value,
                                  apr_pool_t *pool);

/** Take "Directive value" lines; name is for the sentence. */
const char *hb_settings_read(hb_settings_draft_t *draft, const char *name, const char *text,
                             apr_pool_t *pool);

#endif /* HB_SETTINGS_PRIVATE_H */
