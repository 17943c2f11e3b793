/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_fold.h
 * Text as it is compared with lists of words: without case, width, accents, characters nobody
 * sees, look-alikes of other scripts, and the spellings people use to get past a list ("F.U.C.K",
 * "sh1t", "f*ck", "fuuuck"). Each symbol knows which bytes of the original it stands for.
 *
 * Linear in the text; nothing here waits. Text is valid UTF-8.
 */
#ifndef HB_FOLD_H
#define HB_FOLD_H

#include <apr_pools.h>

/* Symbols are code points but for these two. */
#define HB_FOLD_GAP  0x20u      /* between words, whatever stood there */
#define HB_FOLD_MASK 0x2au      /* letters that were hidden: "f*ck" */

typedef struct hb_fold_char_t {
    apr_uint32_t symbol;
    apr_uint32_t start, end;    /* bytes of the text, end behind the last */
} hb_fold_char_t;

/** Words with one GAP between them, and one in front of the first and behind the last. */
typedef struct hb_folded_t {
    hb_fold_char_t *chars;
    int n;
} hb_folded_t;

/** Fold a text, in pool. */
void hb_fold(hb_folded_t *folded, const char *text, apr_pool_t *pool);

/** Does a letter stand three times or more in a row? */
int hb_fold_has_runs(const hb_folded_t *folded);

/** The same with such runs cut to so many letters. */
void hb_fold_cut_runs(hb_folded_t *cut, const hb_folded_t *folded, int keep,
                      apr_pool_t *pool);

/**
 * Latin letters by their sound in romanised Nepali and Hindi, which have no spelling: aa is a,
 * ee i, oo u, chh ch, ph f, w and v b, z j, doubled letters single ones.
 */
void hb_fold_sound(hb_folded_t *sound, const hb_folded_t *folded, apr_pool_t *pool);

/** Does it belong to the letter before it (vowel signs of Devanagari, virama)? */
int hb_fold_is_mark(apr_uint32_t symbol);

/** As UTF-8 without the outer gaps: equal for what is equal to a list. */
const char *hb_fold_text(const hb_folded_t *folded, apr_pool_t *pool);

#endif /* HB_FOLD_H */
