/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two automata: one over letters as they stand, one over sounds for romanised Nepali. States are
 * numbers; edges stand in one hash table, because the alphabet is all of Unicode and a state
 * has few of them. A text costs a step a symbol, however long the list is.
 *
 * Whether a hit is a word is looked at afterwards, at its place in the text: so one state serves
 * "word", "prefix" and "inside".
 */
#include "hb_lexicon.h"

#include <stdlib.h>
#include <string.h>

#include <apr_general.h>

#define NONE (-1)

typedef struct state_t {
    int fail;
    int pattern;                /* the first that ends here, or NONE */
    int more;                   /* the next state down the fails with a pattern, or NONE */
    int child, sibling;         /* while it is being made */
    apr_uint32_t symbol;
} state_t;

typedef struct edge_t {
    int from;                   /* NONE: a free place */
    apr_uint32_t symbol;
    int to;
} edge_t;

typedef struct pattern_t {
    int entry;
    int length;
    int next;                   /* another one of the same symbols */
} pattern_t;

typedef struct automaton_t {
    state_t *states;
    edge_t *edges;
    pattern_t *patterns;
    int n_states, states_size, n_patterns, patterns_size, n_edges, edges_size;
} automaton_t;

typedef struct exception_t {
    apr_uint32_t *symbols;
    int n;
} exception_t;

typedef struct entry_t {
    hb_lexicon_how_e how;
    int is_nepali, tag;
    exception_t *except;
    int n_except;
} entry_t;

struct hb_lexicon_t {
    automaton_t letters, sounds;
    entry_t *entries;
    int n;
};

static void *need(void *old, size_t bytes)
{
    void *block = realloc(old, bytes > 0 ? bytes : 1);

    if (block == NULL) {
        abort();
    }
    return block;
}

/* --- making --- */

static unsigned int place_of(const automaton_t *automaton, int from, apr_uint32_t symbol)
{
    unsigned int hash = ((unsigned int)from * 2654435761u) ^ (symbol * 2246822519u);

    hash ^= hash >> 15;
    return hash & (unsigned int)(automaton->edges_size - 1);
}

static int step(const automaton_t *automaton, int from, apr_uint32_t symbol)
{
    unsigned int at;

    if (automaton->edges_size == 0) {
        return NONE;
    }
    at = place_of(automaton, from, symbol);
    while (automaton->edges[at].from != NONE) {
        if (automaton->edges[at].from == from && automaton->edges[at].symbol == symbol) {
            return automaton->edges[at].to;
        }
        at = (at + 1) & (unsigned int)(automaton->edges_size - 1);
    }
    return NONE;
}

static void put_edge(automaton_t *automaton, int from, apr_uint32_t symbol, int to)
{
    unsigned int at = place_of(automaton, from, symbol);

    while (automaton->edges[at].from != NONE) {
        at = (at + 1) & (unsigned int)(automaton->edges_size - 1);
    }
    automaton->edges[at] = (edge_t){ from, symbol, to };
}

/* At most half full, so that a search for what is not there ends soon. */
static void grow_edges(automaton_t *automaton)
{
    int i;

    if (automaton->n_edges * 2 < automaton->edges_size) {
        return;
    }
    automaton->edges_size = automaton->edges_size == 0 ? 64 : automaton->edges_size * 2;
    automaton->edges = need(automaton->edges,
                            sizeof(edge_t) * (size_t)automaton->edges_size);
    for (i = 0; i < automaton->edges_size; i++) {
        automaton->edges[i].from = NONE;
    }
    for (i = 0; i < automaton->n_states; i++) {
        int child = automaton->states[i].child;

        for (; child != NONE; child = automaton->states[child].sibling) {
            put_edge(automaton, i, automaton->states[child].symbol, child);
        }
    }
}

static int add_state(automaton_t *automaton, int from, apr_uint32_t symbol)
{
    state_t *state;
    int at = automaton->n_states;

    if (at == automaton->states_size) {
        automaton->states_size = at == 0 ? 64 : at * 2;
        automaton->states = need(automaton->states,
                                 sizeof(*state) * (size_t)automaton->states_size);
    }
    automaton->n_states++;
    state = &automaton->states[at];
    *state = (state_t){ 0, NONE, NONE, NONE, NONE, symbol };
    if (from != NONE) {
        grow_edges(automaton);
        state->sibling = automaton->states[from].child;
        automaton->states[from].child = at;
        put_edge(automaton, from, symbol, at);
        automaton->n_edges++;
    }
    return at;
}

static void add_pattern(automaton_t *automaton, const apr_uint32_t *symbols, int n, int entry)
{
    int state = 0, i;

    if (automaton->n_states == 0) {
        add_state(automaton, NONE, 0);
    }
    for (i = 0; i < n; i++) {
        int to = step(automaton, state, symbols[i]);

        state = to != NONE ? to : add_state(automaton, state, symbols[i]);
    }
    if (automaton->n_patterns == automaton->patterns_size) {
        automaton->patterns_size = automaton->patterns_size == 0 ? 64
            : automaton->patterns_size * 2;
        automaton->patterns = need(automaton->patterns, sizeof(pattern_t)
                                   * (size_t)automaton->patterns_size);
    }
    automaton->patterns[automaton->n_patterns] =
        (pattern_t){ entry, n, automaton->states[state].pattern };
    automaton->states[state].pattern = automaton->n_patterns++;
}

/* Where to go on when a symbol does not fit, from the root outwards. */
static void link_fails(automaton_t *automaton)
{
    int *line = need(NULL, sizeof(*line) * (size_t)(automaton->n_states + 1));
    int first = 0, last = 0;

    if (automaton->n_states > 0) {
        line[last++] = 0;
    }
    while (first < last) {
        int from = line[first++], child = automaton->states[from].child;

        for (; child != NONE; child = automaton->states[child].sibling) {
            state_t *state = &automaton->states[child];
            int fail = from, to = NONE;

            while (fail != 0 && to == NONE) {
                fail = automaton->states[fail].fail;
                to = step(automaton, fail, state->symbol);
            }
            state->fail = to != NONE ? to : 0;
            state->more = automaton->states[state->fail].pattern != NONE ? state->fail
                : automaton->states[state->fail].more;
            line[last++] = child;
        }
    }
    free(line);
}

static void automaton_free(automaton_t *automaton)
{
    free(automaton->states);
    free(automaton->edges);
    free(automaton->patterns);
}

static int is_latin(const apr_uint32_t *symbols, int n)
{
    int i;

    for (i = 0; i < n; i++) {
        if (symbols[i] < 'a' || symbols[i] > 'z') {
            return 0;
        }
    }
    return 1;
}

static int is_vowel(apr_uint32_t c)
{
    return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u';
}

/* "f*ck" and "f**k": one vowel hidden, or all but the ends. */
static void add_masked(automaton_t *automaton, const apr_uint32_t *symbols, int n, int entry)
{
    apr_uint32_t masked[HB_LEXICON_LETTERS_MAX];
    int i;

    if (n < 4 || !is_latin(symbols, n)) {
        return;
    }
    for (i = 1; i < n - 1; i++) {
        if (is_vowel(symbols[i])) {
            memcpy(masked, symbols, sizeof(*masked) * (size_t)n);
            masked[i] = HB_FOLD_MASK;
            add_pattern(automaton, masked, n, entry);
        }
    }
    masked[0] = symbols[0];
    masked[1] = HB_FOLD_MASK;
    masked[2] = symbols[n - 1];
    add_pattern(automaton, masked, 3, entry);
}

static int symbols_of(apr_uint32_t *symbols, const hb_folded_t *folded)
{
    int n = folded->n - 2, i;

    n = n > HB_LEXICON_LETTERS_MAX ? HB_LEXICON_LETTERS_MAX : n;
    for (i = 0; i < n; i++) {
        symbols[i] = folded->chars[i + 1].symbol;
    }
    return n;
}

static void read_word(hb_folded_t *folded, const char *word, int by_sound, apr_pool_t *pool)
{
    hb_fold(folded, word, pool);
    if (by_sound) {
        hb_fold_sound(folded, folded, pool);
    }
}

static void add_entry(hb_lexicon_t *lexicon, int at, const hb_lexicon_entry_t *given,
                      apr_pool_t *pool)
{
    entry_t *entry = &lexicon->entries[at];
    apr_uint32_t symbols[HB_LEXICON_LETTERS_MAX];
    automaton_t *automaton;
    hb_folded_t folded;
    int n, i, by_sound;

    hb_fold(&folded, given->word, pool);
    n = symbols_of(symbols, &folded);
    by_sound = given->is_nepali && n > 0 && symbols[0] >= 'a' && symbols[0] <= 'z';
    if (by_sound) {
        hb_fold_sound(&folded, &folded, pool);
        n = symbols_of(symbols, &folded);
    }
    automaton = by_sound ? &lexicon->sounds : &lexicon->letters;
    *entry = (entry_t){ given->how, given->is_nepali, given->tag, NULL, given->n_except };
    if (n > 0) {
        add_pattern(automaton, symbols, n, at);
        add_masked(automaton, symbols, n, at);
    }
    if (given->n_except > 0) {
        entry->except = need(NULL, sizeof(*entry->except) * (size_t)given->n_except);
    }
    for (i = 0; i < given->n_except; i++) {
        exception_t *except = &entry->except[i];

        read_word(&folded, given->except[i], by_sound, pool);
        except->symbols = need(NULL, sizeof(*except->symbols) * HB_LEXICON_LETTERS_MAX);
        except->n = symbols_of(except->symbols, &folded);
    }
}

hb_lexicon_t *hb_lexicon_make(const hb_lexicon_entry_t *entries, int n, apr_pool_t *scratch)
{
    hb_lexicon_t *lexicon = need(NULL, sizeof(*lexicon));
    apr_pool_t *pool;
    int i;

    memset(lexicon, 0, sizeof(*lexicon));
    lexicon->n = n;
    lexicon->entries = need(NULL, sizeof(entry_t) * (size_t)n);
    apr_pool_create(&pool, scratch);
    for (i = 0; i < n; i++) {
        add_entry(lexicon, i, &entries[i], pool);
        apr_pool_clear(pool);
    }
    apr_pool_destroy(pool);
    link_fails(&lexicon->letters);
    link_fails(&lexicon->sounds);
    return lexicon;
}

void hb_lexicon_free(hb_lexicon_t *lexicon)
{
    int i, k;

    for (i = 0; i < lexicon->n; i++) {
        for (k = 0; k < lexicon->entries[i].n_except; k++) {
            free(lexicon->entries[i].except[k].symbols);
        }
        free(lexicon->entries[i].except);
    }
    free(lexicon->entries);
    automaton_free(&lexicon->letters);
    automaton_free(&lexicon->sounds);
    free(lexicon);
}

int hb_lexicon_letters(const hb_folded_t *word)
{
    int i, n = 0;

    for (i = 1; i < word->n - 1; i++) {
        n += word->chars[i].symbol != HB_FOLD_GAP && !hb_fold_is_mark(word->chars[i].symbol);
    }
    return n;
}

/* --- finding --- */

/* Postpositions of Nepali, folded; they stick to the word, one or two of them. */
static const apr_uint32_t postpositions[][5] = {
    { 0x0915, 0x094b, 0 },                      /* ko */
    { 0x0932, 0x0947, 0 },                      /* le */
    { 0x0932, 0x093e, 0x0907, 0 },              /* lai */
    { 0x0915, 0x093e, 0 },                      /* ka */
    { 0x0915, 0x093f, 0 },                      /* ki */
    { 0x0915, 0x0947, 0 },                      /* ke */
    { 0x0939, 0x0930, 0x0941, 0 },              /* haru */
    { 0x092e, 0x093e, 0 },                      /* ma */
    { 'k', 'o', 0 }, { 'l', 'e', 0 }, { 'l', 'a', 'i', 0 }, { 'k', 'a', 0 }, { 'k', 'i', 0 },
    { 'k', 'e', 0 }, { 'h', 'a', 'r', 'u', 0 }, { 'm', 'a', 0 },
};

#define N_POSTPOSITIONS ((int)(sizeof(postpositions) / sizeof(postpositions[0])))

/* Where a postposition that stands at `at` ends; `at` when none does. */
static int skip_postposition(const hb_folded_t *text, int at)
{
    int i, k;

    for (i = 0; i < N_POSTPOSITIONS; i++) {
        for (k = 0; postpositions[i][k] != 0 && at + k < text->n
                    && text->chars[at + k].symbol == postpositions[i][k]; k++) {
            /* on */
        }
        if (postpositions[i][k] == 0 && !hb_fold_is_mark(text->chars[at + k].symbol)) {
            return at + k;
        }
    }
    return at;
}

static int is_gap(const hb_folded_t *text, int at)
{
    return text->chars[at].symbol == HB_FOLD_GAP;
}

/* Is what stands from `first` to before `end` what the entry means? */
static int is_meant(const entry_t *entry, const hb_folded_t *text, int first, int end)
{
    if (entry->how != HB_LEXICON_INSIDE && !is_gap(text, first - 1)) {
        return 0;
    }
    if (entry->how != HB_LEXICON_WORD) {
        return !hb_fold_is_mark(text->chars[end].symbol);
    }
    if (entry->is_nepali && !is_gap(text, end)) {
        end = skip_postposition(text, end);
        end = is_gap(text, end) ? end : skip_postposition(text, end);
    }
    return is_gap(text, end);
}

/* Is the whole word one that the entry leaves alone? */
static int is_excepted(const entry_t *entry, const hb_folded_t *text, int first, int end)
{
    int i, k;

    while (entry->n_except > 0 && !is_gap(text, first - 1)) {
        first--;
    }
    while (entry->n_except > 0 && !is_gap(text, end)) {
        end++;
    }
    for (i = 0; i < entry->n_except; i++) {
        const exception_t *except = &entry->except[i];

        for (k = 0; k < except->n && k < end - first
                    && text->chars[first + k].symbol == except->symbols[k]; k++) {
            /* on */
        }
        if (k == except->n && k == end - first) {
            return 1;
        }
    }
    return 0;
}

static void report(const hb_lexicon_t *lexicon, const automaton_t *automaton, int state,
                   const hb_folded_t *text, int last, hb_lexicon_found_fn *fn, void *baton)
{
    for (; state != NONE; state = automaton->states[state].more) {
        int at = automaton->states[state].pattern;

        for (; at != NONE; at = automaton->patterns[at].next) {
            const pattern_t *pattern = &automaton->patterns[at];
            const entry_t *entry = &lexicon->entries[pattern->entry];
            int first = last - pattern->length + 1;

            if (is_meant(entry, text, first, last + 1)
                && !is_excepted(entry, text, first, last + 1)) {
                fn(baton, entry->tag, text->chars[first].start, text->chars[last].end);
            }
        }
    }
}

static void walk(const hb_lexicon_t *lexicon, const automaton_t *automaton,
                 const hb_folded_t *text, hb_lexicon_found_fn *fn, void *baton)
{
    int state = 0, i;

    if (automaton->n_patterns == 0) {
        return;
    }
    /* The outer gaps are no part of any word, so that a hit always has neighbours. */
    for (i = 1; i < text->n - 1; i++) {
        int to = step(automaton, state, text->chars[i].symbol);

        while (to == NONE && state != 0) {
            state = automaton->states[state].fail;
            to = step(automaton, state, text->chars[i].symbol);
        }
        state = to != NONE ? to : 0;
        report(lexicon, automaton, state, text, i, fn, baton);
    }
}

void hb_lexicon_find(const hb_lexicon_t *lexicon, const hb_folded_t *text,
                     hb_lexicon_found_fn *fn, void *baton, apr_pool_t *scratch)
{
    hb_folded_t other;
    int keep;

    walk(lexicon, &lexicon->letters, text, fn, baton);
    for (keep = 1; lexicon->letters.n_patterns > 0 && keep <= 2 && hb_fold_has_runs(text);
         keep++) {
        hb_fold_cut_runs(&other, text, keep, scratch);
        walk(lexicon, &lexicon->letters, &other, fn, baton);
    }
    if (lexicon->sounds.n_patterns > 0) {
        hb_fold_sound(&other, text, scratch);
        walk(lexicon, &lexicon->sounds, &other, fn, baton);
    }
}
