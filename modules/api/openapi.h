/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file openapi.h
 * The description of the API for programs and for /docs: OpenAPI 3.1, made from the route rows,
 * the shapes and the error table, so that none of it can drift.
 */
#ifndef OPENAPI_H
#define OPENAPI_H

#include "hb_ap.h"

/** Rows of this tag are pages for people, not calls; they are left out. */
#define HB_TAG_PAGES "pages"

/** The whole document. Does not wait. */
hb_json_t *hb_openapi_make(const hb_route_t *const *rows, int n_rows, apr_pool_t *pool);

/**
 * A value that fits a JSON Schema made by hb_schema_openapi().
 * @param schemas   where "#/components/schemas/NAME" is looked up
 * @param is_input  leave out what is not required
 */
hb_json_t *hb_openapi_example(const hb_json_t *schema, const hb_json_t *schemas,
                              int is_input, apr_pool_t *pool);

#endif /* OPENAPI_H */
