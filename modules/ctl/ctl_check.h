/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file ctl_check.h
 * What the files of `halobuzzctl check` share: findings, gathered by area. ctl_check.c prints
 * them, ctl_check_env.c looks at the environment, ctl_check_pay.c
 * at payment providers, ctl_check_host.c at the machine.
 */
#ifndef CTL_CHECK_H
#define CTL_CHECK_H

#include <apr_tables.h>

#include "ctl.h"

/** Each area is one of the four lines that the runbook wants to see (CFG-14). */
typedef enum check_area_e {
    CHECK_CONFIG, CHECK_REQUIRED, CHECK_SECURITY, CHECK_SERVICES, CHECK_N_AREAS
} check_area_e;

typedef struct finding_t {
    check_area_e area;
    ctl_mark_e mark;
    const char *text;           /* what was found, a sentence */
    const char *fix;            /* a command or a directive; NULL when nothing has to be done */
} finding_t;

typedef struct check_t {
    ctl_t *ctl;
    apr_array_header_t *findings;   /* of finding_t */
} check_t;

/** Note something. @param fix  NULL for none */
void check_note(check_t *check, check_area_e area, ctl_mark_e mark, const char *fix,
                const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/**
 * Environment names: aliases that differ, names that nothing loaded reads, names of another
 * runtime.
 */
void check_environment(check_t *check);

/** Payment providers: settings that do not go together. */
void check_payments(check_t *check);

/** State directory, clock, file limits: before root is given up. */
void check_state_dir(check_t *check);
/** What jobs and requests need on this machine besides: as the owner of the state directory. */
void check_places(check_t *check);
void check_clock(check_t *check);
void check_file_limit(check_t *check);

/** Who answers at HaloBuzzPublicURL, with which certificate. */
void check_address(check_t *check);
/** How many sockets that server can hold, when it says so. */
void check_sockets(check_t *check);

#endif /* CTL_CHECK_H */
