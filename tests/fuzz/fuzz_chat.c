/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text as something to say, by itself and as what a body holds, looked over for words of a
 * list; the same bytes as a piece of the bus' ring, at every place a record may begin.
 */
#include "fuzz.h"

#include <string.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "bus_local.h"
#include "hb_chat.h"
#include "hb_lexicon.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return apr_initialize();
}

/* What the forms let through: UTF-8 without 0 bytes. */
static void try_text(const char *text, apr_pool_t *pool)
{
    hb_op_t *op = apr_pcalloc(pool, sizeof(*op));
    const char *inside = apr_pstrcat(pool, "( ", text, " )", NULL);
    const char *c;
    apr_status_t rv;

    op->pool = pool;
    op->request_id = "fuzz";
    rv = hb_chat_check_text(op, text);
    FUZZ_EXPECT(rv == op->problem.status);
    if (rv == APR_SUCCESS) {
        FUZZ_EXPECT(*text != '\0');
        for (c = text; *c != '\0'; c++) {
            FUZZ_EXPECT((unsigned char)*c >= 0x20 || *c == '\n');
        }
    }
    /* A link stays one in brackets; the other way round, brackets make none. */
    FUZZ_EXPECT(hb_chat_has_link(text) == hb_chat_has_link(inside));
}

static void found(void *baton, int tag, apr_uint32_t start, apr_uint32_t end)
{
    FUZZ_EXPECT(start < end && end <= *(apr_uint32_t *)baton);
    FUZZ_EXPECT(tag == 1);
}

/* What is told to be there has to lie within the text. */
static void try_words(const char *text, apr_pool_t *pool)
{
    const hb_lexicon_entry_t entries[] = {
        { "ass", HB_LEXICON_INSIDE, 0, 1, NULL, 0 }, { "muji", HB_LEXICON_WORD, 1, 1, NULL, 0 },
        { "kill yourself", HB_LEXICON_PREFIX, 0, 1, NULL, 0 },
        { text, HB_LEXICON_WORD, 1, 1, &text, 1 },
    };
    hb_lexicon_t *lexicon = hb_lexicon_make(entries, 4, pool);
    apr_uint32_t bytes = (apr_uint32_t)strlen(text), last = 0;
    hb_folded_t folded;
    int i;

    hb_fold(&folded, text, pool);
    FUZZ_EXPECT(folded.n >= 2 && folded.chars[0].symbol == HB_FOLD_GAP);
    for (i = 0; i < folded.n; i++) {
        FUZZ_EXPECT(folded.chars[i].start <= folded.chars[i].end && folded.chars[i].end <= bytes);
        FUZZ_EXPECT(folded.chars[i].start >= last);
        last = folded.chars[i].start;
    }
    FUZZ_EXPECT(hb_lexicon_letters(&folded) <= folded.n - 2);
    hb_lexicon_find(lexicon, &folded, found, &bytes, pool);
    hb_lexicon_free(lexicon);
}

static void try_ring(const uint8_t *data, size_t size)
{
    static unsigned char ring[65536];
    const bus_map_t map = { NULL, ring, size & ~(size_t)7, 0, 0 };
    apr_uint64_t position, limit;
    bus_record_t record;

    if (size < 8 || size > sizeof(ring)) {
        return;
    }
    memcpy(ring, data, size);
    for (position = 0; position < 2 * map.ring_bytes; position += 8) {
        for (limit = 0; limit <= map.ring_bytes; limit += 24) {
            if (bus_record_get(&record, &map, position, limit)) {
                FUZZ_EXPECT(record.bytes > 0 && record.bytes % 8 == 0);
                FUZZ_EXPECT(record.bytes <= limit);
                FUZZ_EXPECT(position % map.ring_bytes + record.bytes <= map.ring_bytes);
                FUZZ_EXPECT(record.seq == 0 || sizeof(record) + record.name_bytes
                            + record.id_bytes + record.only_bytes + record.payload_bytes + 4
                            <= record.bytes);
            }
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *pool;

    apr_pool_create(&pool, NULL);
    if (memchr(data, '\0', size) == NULL && hb_utf8_is_valid((const char *)data, size)) {
        try_text(apr_pstrmemdup(pool, (const char *)data, size), pool);
        try_words(apr_pstrmemdup(pool, (const char *)data, size), pool);
    }
    if (size <= 2048) {
        try_ring(data, size);
    }
    apr_pool_destroy(pool);
    return 0;
}
