/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_store_copy.h
 * All records of one store into another, of any backend each. The target has to be empty, and
 * no server opens it until the copy is whole and proved. Where the copy stands is kept in the
 * target with every batch, so that it goes on where a killed one ended.
 * What gives a status waits for the stores, some of it for hours.
 */
#ifndef HB_STORE_COPY_H
#define HB_STORE_COPY_H

#include "hb_store.h"

/** Where records come from: a store (hb_store_copy_source), or whatever else walks. */
typedef struct hb_copy_source_t {
    const char *name;           /* of the store, without a password: is it the same one again? */
    const char *moment;         /* what shows the same records again later; NULL: nothing can */
    void *baton;
    /** How many there are, for the progress; 0 when unknown. */
    apr_int64_t (*count)(void *baton, hb_collection_e in);
    /**
     * As hb_store_walk() by "_id". Called again after the copy when moment is NULL and it
     * was interrupted.
     */
    apr_status_t (*walk)(void *baton, hb_collection_e in, const char *above,
                         hb_store_walk_fn *fn, void *fn_baton);
} hb_copy_source_t;

/** A source that walks the store of op. Give name and moment yourself. */
void hb_store_copy_source(hb_copy_source_t *source, hb_op_t *op);

#define HB_COPY_FORCE 0x01      /* what is in the target may be thrown away */

/** What was copied. */
typedef struct hb_copy_proof_t {
    apr_int64_t records;        /* in the target */
    apr_int64_t written;        /* by this run */
    /* Of this run: all of the copying; busy in it were reading and, meanwhile, writing; and then. */
    apr_int64_t copy_usec, read_usec, write_usec, index_usec, proof_usec;
    int is_resumed;
    hb_json_t *collections;     /* {name: {records, sum}} of those that hold any, in op->pool */
} hb_copy_proof_t;

/**
 * Copy, make the indexes, compare. Each collection's sum is that of the SHA-256 of its documents
 * (id, newline, members sorted by name, compact), modulo 2 to the 256, so it has no order.
 * @param op      of a store that hb_store_open_to_copy() opened
 * @param report  what is copied, made, compared; findings of the comparison with done = -1.
 *                Called by one thread at a time. Not 0 stops.
 * @return HB_E_STORE_NOT_EMPTY (the problem says what is there), HB_E_STORE_DIFFERS when the
 *         comparison failed: the target stays closed to servers; APR_EINTR when report stopped it
 */
apr_status_t hb_store_copy(hb_copy_proof_t *proof, hb_op_t *op,
                           const hb_copy_source_t *source, unsigned int flags,
                           hb_store_report_fn *report, void *baton);

/**
 * Run fn while hb_store_walk() by op sees the store at one moment, whatever others write. op may
 * not write meanwhile. A server of MongoDB keeps a moment only for minutes: HB_E_UNAVAILABLE, with
 * the setting for more in the problem.
 */
apr_status_t hb_store_freeze(hb_op_t *op, hb_store_tx_fn *fn, void *baton);

/**
 * For the target of a copy: opens one that is not finished, too. Fails when it cannot be
 * opened at once.
 */
apr_status_t hb_store_open_to_copy(hb_store_t **store, hb_site_t *site, const char *url,
                                   apr_pool_t *pool);

/**
 * Is somebody else at work on the store of this URL? 1, 0, or -1 when that cannot be seen. Ask
 * before this process opens it. @param what  set to its name for people, without a password
 */
int hb_store_is_in_use(const char **what, hb_op_t *op, const char *url);

/**
 * The moment of an unfinished copy in the target; NULL when there is none from a source of that
 * name, or it has no moment.
 * @param op  as for hb_store_copy()
 */
apr_status_t hb_store_copy_moment(const char **moment, hb_op_t *op, const char *source_name);

#endif /* HB_STORE_COPY_H */
