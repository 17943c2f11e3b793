/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes log lines; where they go is the sink's business. A line is made only when its
 * level is wanted, and cut at a length every sink can take in one write.
 */
#include "hb_log.h"

#include <apr_strings.h>

#include "hb_op.h"

/* Below PIPE_BUF with room for what httpd puts before it. */
#define LINE_MAX_BYTES 3072

static void emit(const hb_log_t *log, hb_level_e level, apr_status_t status,
                 const char *request_id, const char *fmt, va_list args)
{
    char line[LINE_MAX_BYTES];
    char *c;

    if (log == NULL || log->sink == NULL || level > log->level) {
        return;
    }
    apr_vsnprintf(line, sizeof(line), fmt, args);
    for (c = line; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            *c = ' ';           /* no forged lines, no terminal escapes */
        }
        else if ((unsigned char)*c == 0xc2 && (unsigned char)c[1] >= 0x80
                 && (unsigned char)c[1] < 0xa0) {
            c[0] = c[1] = ' ';  /* U+0080 to U+009F are such, too */
        }
    }
    log->sink(log->baton, level, status, request_id, line);
}

void hb_log(const hb_op_t *op, hb_level_e level, apr_status_t status, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    emit(&op->log, level, status, op->request_id, fmt, args);
    va_end(args);
}

void hb_log_to(const hb_log_t *log, hb_level_e level, apr_status_t status,
               const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    emit(log, level, status, NULL, fmt, args);
    va_end(args);
}
