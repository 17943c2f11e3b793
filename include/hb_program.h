/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_program.h
 * What httpd hands to a program beside it (halobuzz-realtimed, halobuzz-crond), as the program
 * sees it: its log. Memory that all processes share is hb_share.h's; the settings are in
 * the file named by --config (hb_settings.h). The other end is modules/glue/hb_ap_program.c.
 *
 * Such a program is started as the run user, with every signal as by default but SIGHUP (ignored
 * until it listens), and alone: a second one of the same role waits until the first has ended.
 * It is told
 *   SIGHUP   settings or log have changed: call hb_program_reload(), read the settings again
 *   SIGTERM  end soon; also sent by the kernel when httpd dies
 * and ends with HB_PROGRAM_MISCONFIGURED when trying again would be of no use.
 */
#ifndef HB_PROGRAM_H
#define HB_PROGRAM_H

#include <apr_pools.h>

#include "hb_log.h"

/** Exit code: httpd does not start it again before its own next reload. */
#define HB_PROGRAM_MISCONFIGURED 254

/** Environment: the descriptor over which notes come. */
#define HB_PROGRAM_CONTROL "HALOBUZZ_CONTROL_FD"

/** httpd -> program, with SIGHUP after it; a descriptor travels along: the new error log. */
typedef struct hb_program_note_t {
    apr_uint32_t size;          /* of this struct */
    apr_int32_t level;          /* hb_level_e: lines above it are not wanted */
} hb_program_note_t;

typedef struct hb_program_t hb_program_t;

/**
 * Meet httpd. Without httpd (tests, by hand) the log is stderr.
 * @param module  in log lines, as LogLevel names it: "halobuzz_realtime"
 */
hb_program_t *hb_program_open(const char *module, apr_pool_t *pool);

/** Write to the error log, one write a line; threads may share it. Its level may change. */
hb_log_t hb_program_log(hb_program_t *program);

/** At SIGHUP: go on in the new error log, at the new level. Does not wait. Not in a handler. */
void hb_program_reload(hb_program_t *program);

/** The level in force: what hb_log_t.level of running ops should be. */
hb_level_e hb_program_level(const hb_program_t *program);

/** Set it, in a program that its like started: httpd tells only the first. */
void hb_program_set_level(hb_program_t *program, hb_level_e level);

/* --- called by hand --- */

/**
 * The settings of the server of this machine: HALOBUZZ_SETTINGS of the environment, else the file
 * where Debian's httpd has it; NULL when there is none. Does not wait.
 */
const char *hb_program_settings(void);

/**
 * As root, take on the rights of who owns a directory, for good: what root makes there the server
 * could not write. Files that are root's alone are to be read before. Nothing to do for others.
 * @return NULL, or a sentence
 */
const char *hb_program_become_owner(const char *dir, apr_pool_t *pool);

#endif /* HB_PROGRAM_H */
