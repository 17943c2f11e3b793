/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_csv.h
 * Fields of CSV files (RFC 4180) for people with spreadsheets.
 */
#ifndef HB_CSV_H
#define HB_CSV_H

#include <apr_pools.h>

/**
 * A text as a field: quoted, and with an apostrophe in front where a spreadsheet would take it
 * for a formula. NULL is an empty field. In pool; does not wait.
 */
const char *hb_csv_text(apr_pool_t *pool, const char *text);

#endif /* HB_CSV_H */
