/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_totp.h
 * Second factor: time-based one-time passwords (RFC 6238: SHA-1, 6 digits, 30 s, one step of
 * leeway each way) and recovery codes. Arithmetic only; hb_second_factor.c keeps the state. None of it waits.
 */
#ifndef HB_TOTP_H
#define HB_TOTP_H

#include "hb_op.h"

/** A new secret: 20 random bytes in base32, and the otpauth:// URI an app scans. */
apr_status_t hb_totp_make(const char **secret, const char **uri, hb_op_t *op,
                          const char *account);

/**
 * @param step  the accepted time step; store it, a step at or before last_step is refused
 * @return HB_E_TOTP_INVALID
 */
apr_status_t hb_totp_verify(apr_int64_t *step, hb_op_t *op, const char *secret,
                            const char *code, apr_int64_t last_step);

/** The code of a moment, for tests and halobuzzctl. */
const char *hb_totp_code(apr_pool_t *pool, const char *secret, apr_time_t when);

#endif /* HB_TOTP_H */
