/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_wordlist.h
 * Words that are not taken in rooms (M-08): a list of each host, kept by whoever moderates the
 * room, and one of the site, kept by its moderators. The site's holds for everybody; a host's not
 * for those who keep the room. What counts as the same word is hb_fold.h's.
 */
#ifndef HB_WORDLIST_H
#define HB_WORDLIST_H

#include "hb_json.h"
#include "hb_op.h"
#include "hb_room.h"

/** Entries of one list. */
#define HB_WORDLIST_ROOM_MAX 500
#define HB_WORDLIST_SITE_MAX 5000

/** What becomes of a message; the strongest of all entries that are found. */
typedef enum hb_word_e {
    HB_WORD_FINE,
    HB_WORD_MASK,               /* said, with asterisks */
    HB_WORD_SHADOW,             /* only its author and moderators see it */
    HB_WORD_REFUSE
} hb_word_e;

/**
 * Look a message over before it is said.
 * @param shown  text, or a copy in op->pool with asterisks
 * @return store errors only: REFUSE is for the caller to say. Waits for the store when a list
 *         has changed.
 */
apr_status_t hb_wordlist_check(hb_word_e *verdict, const char **shown, hb_op_t *op,
                               const hb_room_t *room, const char *text);

/*
 * Keeping a list: that of the stream's host, or the site's for stream_id NULL. HB_E_FORBIDDEN,
 * HB_E_ROLE_REQUIRED. They wait.
 */

/**
 * Add a word, or change the entry that is the same word (HB_F_WORD_SET).
 * @param view  "words:all"; op->is_replayed when it was there
 * @return HB_E_WORDS_FULL; HB_E_INPUT_INVALID for a word of too few letters for its match
 */
apr_status_t hb_wordlist_set(hb_json_t **view, hb_op_t *op, const char *stream_id,
                             const hb_json_t *input);
/** HB_E_WORD_UNKNOWN. */
apr_status_t hb_wordlist_remove(hb_op_t *op, const char *stream_id, const char *word_id);
/** {items, next} of "words:all", by spelling. */
apr_status_t hb_wordlist_list(hb_json_t **list, hb_op_t *op, const char *stream_id, int limit,
                              const char *after);

/**
 * Add to the site's list what is not there yet.
 * @param rows  array of what fits HB_F_WORD_SET; all of it or nothing
 */
apr_status_t hb_wordlist_seed(int *n_new, hb_op_t *op, const hb_json_t *rows);

/** The host's account goes away: so does the list. */
apr_status_t hb_wordlist_drop(hb_op_t *op, const char *host_id);

#endif /* HB_WORDLIST_H */
