/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_ap_program.h
 * What a program beside httpd finds on disk. Starting and watching it is hb_ap_program.c's.
 */
#ifndef HB_AP_PROGRAM_H
#define HB_AP_PROGRAM_H

#include "mod_halobuzz.h"

/**
 * Write the settings in force to a file that the run user can read, with the secrets that
 * the row asks for in files beside it, and no others. NULL, or a sentence.
 */
const char *hb_ap_program_settings(const hb_ap_program_t *row, const char *path,
                                   apr_pool_t *pool);

#endif /* HB_AP_PROGRAM_H */
