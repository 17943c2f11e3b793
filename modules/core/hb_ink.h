/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_ink.h
 * Does a text show anything, and in the order it was typed? For what people read of each other:
 * messages, names, titles. How long it may be is the form's; whether it is decent, hb_wordlist.h's.
 */
#ifndef HB_INK_H
#define HB_INK_H

#include "hb_op.h"

/**
 * @param text       valid UTF-8
 * @param noun       what it is, with its article, for the sentence
 * @param may_break  whether it may have more than one line
 * @return HB_E_INPUT_INVALID, noted for field, for control characters, marks that turn text round,
 *         and text without ink. Does not wait.
 */
apr_status_t hb_ink_check(hb_op_t *op, const char *field, const char *text, const char *noun,
                          int may_break);

#endif /* HB_INK_H */
