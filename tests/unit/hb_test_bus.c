/* SPDX-License-Identifier: Apache-2.0 */
/* Listening to the bus; see hb_test_bus.h. */
#include "hb_test_bus.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_schema.h"
#include "hb_test.h"

hb_bus_reader_t *hb_test_listen(hb_test_site_t *ts)
{
    hb_bus_reader_t *ear;

    ck_assert_int_eq(hb_bus_reader_open(&ear, ts->site, HB_BUS_NEWEST, 0, ts->pool),
                     APR_SUCCESS);
    return ear;
}

hb_json_t *hb_test_heard_by(const char **only, hb_bus_reader_t *ear, hb_event_e wanted,
                            const char *id)
{
    const hb_event_row_t *row;
    const char *misfit, *why;
    hb_event_t event;
    hb_json_t *json;
    apr_status_t rv;

    while ((rv = hb_bus_read(&event, ear)) == APR_SUCCESS) {
        row = hb_event_row(event.event);
        ck_assert_int_eq(hb_json_parse(&json, &why, event.payload, event.payload_bytes,
                                       hb_test_pool), APR_SUCCESS);
        misfit = *row->shape != '\0'
            ? hb_schema_misfit_of(row->shape, json, hb_test_pool) : NULL;
        ck_assert_msg(misfit == NULL, "%s: %s", row->name, misfit);
        if (event.event == wanted && strcmp(event.id, id) == 0) {
            if (only != NULL) {
                *only = event.only_user != NULL
                    ? apr_pstrdup(hb_test_pool, event.only_user) : NULL;
            }
            return json;
        }
    }
    ck_assert_int_eq(rv, APR_EAGAIN);
    return NULL;
}

hb_json_t *hb_test_heard(hb_bus_reader_t *ear, hb_event_e event, const char *id)
{
    return hb_test_heard_by(NULL, ear, event, id);
}
