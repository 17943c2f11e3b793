/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file fuzz.h
 * What a fuzz target is: one function that takes any bytes and must neither crash nor
 * break a promise. libFuzzer calls it, or replay.c with the files of the corpus.
 */
#ifndef HB_FUZZ_H
#define HB_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** A promise of the code under test; breaking it is a finding like a crash. */
#define FUZZ_EXPECT(promise) \
    do { \
        if (!(promise)) { \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #promise); \
            abort(); \
        } \
    } while (0)

#endif /* HB_FUZZ_H */
