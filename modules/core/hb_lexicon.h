/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_lexicon.h
 * A list of words made ready for finding all of them in a text in one walk (Aho-Corasick over
 * folded text, hb_fold.h). Made once, then only read: any thread may use it. Where lists are kept
 * and which one counts is hb_wordlist.h's.
 */
#ifndef HB_LEXICON_H
#define HB_LEXICON_H

#include "hb_fold.h"

typedef struct hb_lexicon_t hb_lexicon_t;

typedef enum hb_lexicon_how_e {
    HB_LEXICON_WORD,            /* a word, in Nepali also with a postposition */
    HB_LEXICON_PREFIX,          /* how a word begins */
    HB_LEXICON_INSIDE           /* anywhere */
} hb_lexicon_how_e;

typedef struct hb_lexicon_entry_t {
    const char *word;
    hb_lexicon_how_e how;
    int is_nepali;              /* in Latin letters: found by its sound */
    int tag;                    /* the caller's, given back with what is found */
    const char *const *except;  /* words that are none though they hold it */
    int n_except;
} hb_lexicon_entry_t;

/** Symbols of a word without its outer gaps, as it counts for HB_LEXICON_LETTERS_MAX. */
#define HB_LEXICON_LETTERS_MAX 60

/** Entries are copied. Free it. */
hb_lexicon_t *hb_lexicon_make(const hb_lexicon_entry_t *entries, int n, apr_pool_t *scratch);
void hb_lexicon_free(hb_lexicon_t *lexicon);

/**
 * Call fn for everything found, in no order; the same bytes may be found more than once.
 * @param start, end  bytes of the text
 */
typedef void hb_lexicon_found_fn(void *baton, int tag, apr_uint32_t start, apr_uint32_t end);
void hb_lexicon_find(const hb_lexicon_t *lexicon, const hb_folded_t *text,
                     hb_lexicon_found_fn *fn, void *baton, apr_pool_t *scratch);

/** Letters of a word that count: marks do not, gaps do not. */
int hb_lexicon_letters(const hb_folded_t *word);

#endif /* HB_LEXICON_H */
