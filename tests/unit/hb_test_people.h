/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_test_people.h
 * Accounts on a test site: registered as a client would, and ops in their name.
 */
#ifndef HB_TEST_PEOPLE_H
#define HB_TEST_PEOPLE_H

#include "hb_json.h"
#include "hb_test_site.h"

#define HB_TEST_PASSWORD "Kathmandu-26!"

typedef struct hb_test_person_t {
    const char *id;
    const char *name;
    const char *email;          /* name@example.com */
    const char *access;         /* newest tokens */
    const char *refresh;
    const char *session_id;
} hb_test_person_t;

/** Register; fails the case when that fails. */
hb_test_person_t *hb_test_person(hb_test_site_t *ts, const char *name);

/** An object of string members: "key", "value", ..., NULL. */
hb_json_t *hb_test_input(const char *key, ...);

/** Sign in; the person keeps the new tokens when it works. */
apr_status_t hb_test_login(hb_test_person_t *person, hb_test_site_t *ts,
                           const char *password, const char *totp);

/** An op of somebody who is signed in; fails the case when the token does not pass. */
hb_op_t *hb_test_op_of(hb_test_site_t *ts, const hb_test_person_t *person);

/** What hb_session_check says of a token. */
apr_status_t hb_test_check(hb_test_site_t *ts, const char *access_token);

/** The code in the newest mail to an address, NULL when there is none. */
const char *hb_test_mailed_code(hb_test_site_t *ts, const char *email);

/** How many mails to an address were written, by what is in the outbox and the spool. */
int hb_test_mails(hb_test_site_t *ts, const char *email);

#endif /* HB_TEST_PEOPLE_H */
