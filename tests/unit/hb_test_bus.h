/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_test_bus.h
 * Listening to the bus of a test site. Whatever passes has to fit the shape of its row.
 */
#ifndef HB_TEST_BUS_H
#define HB_TEST_BUS_H

#include "hb_bus.h"
#include "hb_test_site.h"

/** From now on. */
hb_bus_reader_t *hb_test_listen(hb_test_site_t *ts);

/**
 * Skip to the next event of a kind about this stream, user or session. NULL when there is none:
 * then everything was skipped.
 * @param only  set to the one user it is for, or NULL; may be NULL
 */
hb_json_t *hb_test_heard_by(const char **only, hb_bus_reader_t *ear, hb_event_e event,
                            const char *id);
hb_json_t *hb_test_heard(hb_bus_reader_t *ear, hb_event_e event, const char *id);

#endif /* HB_TEST_BUS_H */
