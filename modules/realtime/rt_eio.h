/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_eio.h
 * Engine.IO 4 payloads: the packets of a polling body, and base64 as it is used there.
 * Pure functions.
 */
#ifndef RT_EIO_H
#define RT_EIO_H

#include "rt_app.h"

/** Between the packets of a payload; JSON never has it. */
#define RT_EIO_SEPARATOR '\x1e'

/**
 * The next packet of a payload.
 * @param rest  what is left; starts as the whole payload, at is NULL after the last packet
 * @return 0 when there is none left
 */
int rt_eio_next(rt_bytes_t *packet, rt_bytes_t *rest);

/** Bytes that base64 of n bytes takes, with padding. */
#define RT_BASE64_BYTES(n) (((n) + 2) / 3 * 4)

/** @return how many characters were written */
apr_size_t rt_base64_write(char *out, const char *bytes, apr_size_t len);

/**
 * Decode in place or elsewhere; out may be the text itself. Padding may be missing.
 * @return the number of bytes, or -1 when the text is not base64
 */
apr_ssize_t rt_base64_read(char *out, const char *text, apr_size_t len);

#endif /* RT_EIO_H */
