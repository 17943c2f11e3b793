/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three steps: characters (ICU's NFKC_Casefold, then without marks, look-alikes as Latin letters),
 * words (what is a letter and what a gap, spaced letters joined), digits that stand for letters.
 * ICU's confusable skeleton is not used: it changes plain ASCII (m to rn, 0 to O).
 */
#include "hb_fold.h"

#include <stdlib.h>
#include <string.h>

#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/utf16.h>
#include <unicode/utf8.h>

/* Characters that are normalised as one; a longer heap of accents is several. */
#define SEGMENT_MAX 32
#define EXPANSION_MAX 18        /* NFKC makes at most so many of one */

/* "b a d" is a word, "a b" is not. */
#define SPACED_MIN 3

typedef struct list_t {
    hb_fold_char_t *chars;
    int n, size;
    apr_pool_t *pool;
} list_t;

static void push(list_t *list, apr_uint32_t symbol, apr_uint32_t start, apr_uint32_t end)
{
    if (list->n == list->size) {
        hb_fold_char_t *more = apr_palloc(list->pool, sizeof(*more) * (size_t)list->size * 2);

        memcpy(more, list->chars, sizeof(*more) * (size_t)list->n);
        list->chars = more;
        list->size *= 2;
    }
    list->chars[list->n++] = (hb_fold_char_t){ symbol, start, end };
}

static void list_begin(list_t *list, size_t size, apr_pool_t *pool)
{
    list->size = (int)size + 8;
    list->n = 0;
    list->pool = pool;
    list->chars = apr_palloc(pool, sizeof(*list->chars) * (size_t)list->size);
}

/* --- characters --- */

typedef struct pair_t {
    unsigned short from, to;
} pair_t;

/* In order of from. Cyrillic and Greek letters that look like Latin ones, and Devanagari
 * vowels whose length is spelled freely. */
static const pair_t look_alikes[] = {
    { 0x0131, 'i' }, { 0x017f, 's' }, { 0x0261, 'g' }, { 0x026a, 'i' },
    { 0x03b1, 'a' }, { 0x03b5, 'e' }, { 0x03b7, 'n' }, { 0x03b9, 'i' }, { 0x03ba, 'k' },
    { 0x03bd, 'v' }, { 0x03bf, 'o' }, { 0x03c1, 'p' }, { 0x03c3, 'o' }, { 0x03c4, 't' },
    { 0x03c5, 'u' }, { 0x03c7, 'x' }, { 0x03c9, 'w' },
    { 0x0430, 'a' }, { 0x0432, 'b' }, { 0x0433, 'r' }, { 0x0435, 'e' }, { 0x043a, 'k' },
    { 0x043c, 'm' }, { 0x043d, 'h' }, { 0x043e, 'o' }, { 0x0440, 'p' }, { 0x0441, 'c' },
    { 0x0442, 't' }, { 0x0443, 'y' }, { 0x0445, 'x' }, { 0x0455, 's' }, { 0x0456, 'i' },
    { 0x0458, 'j' }, { 0x04bb, 'h' }, { 0x04cf, 'l' }, { 0x0501, 'd' }, { 0x051b, 'q' },
    { 0x051d, 'w' }, { 0x0585, 'o' },
    { 0x0901, 0x0902 }, { 0x0908, 0x0907 }, { 0x090a, 0x0909 }, { 0x0940, 0x093f },
    { 0x0942, 0x0941 },
};

static int by_from(const void *key, const void *row)
{
    return (int)*(const UChar32 *)key - (int)((const pair_t *)row)->from;
}

static UChar32 look_alike(UChar32 c)
{
    const pair_t *found = NULL;

    if (c >= 0x80 && c <= 0x0942) {
        found = bsearch(&c, look_alikes, sizeof(look_alikes) / sizeof(look_alikes[0]),
                        sizeof(look_alikes[0]), by_from);
    }
    return found != NULL ? found->to : c;
}

/* Marks without which the letter is the same one: accents of all scripts that have them, the
 * nukta. Vowel signs and the virama are letters to Devanagari. */
static int is_dropped(UChar32 c)
{
    return (c >= 0x0300 && c <= 0x036f) || (c >= 0x0591 && c <= 0x05c7)
        || (c >= 0x064b && c <= 0x065f) || c == 0x093c || (c >= 0x1ab0 && c <= 0x1aff)
        || (c >= 0x1dc0 && c <= 0x1dff) || (c >= 0x20d0 && c <= 0x20ff)
        || (c >= 0xfe20 && c <= 0xfe2f);
}

static int is_nasal(apr_uint32_t c)
{
    return c == 0x0919 || c == 0x091e || c == 0x0923 || c == 0x0928 || c == 0x092e;
}

/* A nasal without vowel before a stop is written as a letter or as a dot: rand-i. */
static void settle_nasal(list_t *list)
{
    hb_fold_char_t *last = &list->chars[list->n - 1];

    if (list->n >= 3 && last->symbol >= 0x0915 && last->symbol <= 0x092d
        && !is_nasal(last->symbol) && last[-1].symbol == 0x094d && is_nasal(last[-2].symbol)) {
        last[-2].symbol = 0x0902;
        last[-2].end = last[-1].end;
        last[-1] = *last;
        list->n--;
    }
}

static void push_char(list_t *list, UChar32 c, apr_uint32_t start, apr_uint32_t end)
{
    if (!is_dropped(c)) {
        push(list, (apr_uint32_t)look_alike(c), start, end);
        settle_nasal(list);
    }
}

static void push_bare(list_t *list, const UNormalizer2 *nfd, UChar32 c, apr_uint32_t start,
                      apr_uint32_t end)
{
    UErrorCode code = U_ZERO_ERROR;
    UChar parts[32];
    int32_t n = c < 0xc0 ? -1 : unorm2_getDecomposition(nfd, c, parts, 32, &code);
    int32_t i = 0;

    if (n < 0 || U_FAILURE(code)) {
        push_char(list, c, start, end);
        return;
    }
    while (i < n) {
        U16_NEXT(parts, i, n, c);
        push_char(list, c, start, end);
    }
}

static void push_segment(list_t *list, const UNormalizer2 *nfkc, const UNormalizer2 *nfd,
                         const UChar *segment, int32_t n, apr_uint32_t start, apr_uint32_t end)
{
    UChar plain[SEGMENT_MAX * EXPANSION_MAX];
    UErrorCode code = U_ZERO_ERROR;
    int32_t i = 0, length;
    UChar32 c;

    length = unorm2_normalize(nfkc, segment, n, plain, SEGMENT_MAX * EXPANSION_MAX, &code);
    while (U_SUCCESS(code) && i < length) {
        U16_NEXT(plain, i, length, c);
        push_bare(list, nfd, c, start, end);
    }
}

static void read_chars(list_t *list, const char *text, int32_t len)
{
    const unsigned char *bytes = (const unsigned char *)text;
    UErrorCode code = U_ZERO_ERROR;
    const UNormalizer2 *nfkc = unorm2_getNFKCCasefoldInstance(&code);
    const UNormalizer2 *nfd = unorm2_getNFDInstance(&code);
    int32_t at = 0, start, next, n;
    UChar segment[SEGMENT_MAX * 2];
    UChar32 c;

    while (at < len) {
        start = at;
        if (bytes[at] < 0x80 && (at + 1 == len || bytes[at + 1] < 0x80)) {
            c = bytes[at++];
            push(list, (apr_uint32_t)(c >= 'A' && c <= 'Z' ? c + 32 : c),
                 (apr_uint32_t)start, (apr_uint32_t)at);
            continue;
        }
        U8_NEXT(bytes, at, len, c);
        if (c < 0 || U_FAILURE(code)) {
            continue;           /* not UTF-8 after all, or ICU has no data */
        }
        n = 0;
        U16_APPEND_UNSAFE(segment, n, c);
        while (at < len && n < SEGMENT_MAX) {
            next = at;
            U8_NEXT(bytes, next, len, c);
            if (c < 0 || unorm2_hasBoundaryBefore(nfkc, c)) {
                break;
            }
            U16_APPEND_UNSAFE(segment, n, c);
            at = next;
        }
        push_segment(list, nfkc, nfd, segment, n, (apr_uint32_t)start, (apr_uint32_t)at);
    }
}

/* --- words --- */

int hb_fold_is_mark(apr_uint32_t symbol)
{
    return symbol >= 0x300 && (U_MASK(u_charType((UChar32)symbol)) & U_GC_M_MASK) != 0;
}

static int is_digit(apr_uint32_t c)
{
    return c >= '0' && c <= '9';
}

static int is_letter(apr_uint32_t c)
{
    return c < 0x80 ? c >= 'a' && c <= 'z'
        : (U_MASK(u_charType((UChar32)c)) & (U_GC_L_MASK | U_GC_M_MASK)) != 0;
}

/* What a sign between letters stands for; GAP for nothing. Moves *at over what belongs to it. */
static apr_uint32_t sign(const list_t *raw, int *at)
{
    int i = *at, next = i + 1;
    int after_letter = i > 0 && is_letter(raw->chars[i - 1].symbol);
    apr_uint32_t c = raw->chars[i].symbol;

    while ((c == '*' || c == '#' || c == '$') && next < raw->n
           && raw->chars[next].symbol == c) {
        next++;
    }
    {
        int before_letter = next < raw->n && is_letter(raw->chars[next].symbol);

        if ((c == '*' || c == '#') && after_letter && before_letter) {
            *at = next - 1;
            return HB_FOLD_MASK;
        }
        if ((c == '!' || c == '|') && after_letter && before_letter) {
            return 'i';
        }
        if (c == '@' && before_letter) {
            return 'a';
        }
        if (c == '$' && (before_letter || after_letter
                         || (i > 1 && raw->chars[i - 1].symbol == '$'
                             && is_letter(raw->chars[i - 2].symbol)))) {
            return 's';
        }
    }
    return HB_FOLD_GAP;
}

static void read_words(list_t *words, const list_t *raw)
{
    int i, first;

    push(words, HB_FOLD_GAP, 0, 0);
    for (i = 0; i < raw->n; i++) {
        const hb_fold_char_t *c = &raw->chars[i];
        apr_uint32_t symbol = c->symbol;

        first = i;
        if (!is_letter(symbol) && !is_digit(symbol)
            && !(symbol >= 0x80 && u_isalnum((UChar32)symbol))) {
            symbol = sign(raw, &i);
        }
        if (symbol != HB_FOLD_GAP || words->chars[words->n - 1].symbol != HB_FOLD_GAP) {
            push(words, symbol, raw->chars[first].start, raw->chars[i].end);
        }
    }
    if (words->n == 1 || words->chars[words->n - 1].symbol != HB_FOLD_GAP) {
        push(words, HB_FOLD_GAP, words->chars[words->n - 1].end,
             words->chars[words->n - 1].end);
    }
}

/* The GAP behind the word that begins behind the GAP at `gap`. */
static int word_end(const list_t *words, int gap)
{
    int i = gap + 1;

    while (i < words->n && words->chars[i].symbol != HB_FOLD_GAP) {
        i++;
    }
    return i;
}

/* One letter, with its vowel sign where the script has those? */
static int is_single(const list_t *words, int gap, int end)
{
    int i, n = 0;

    for (i = gap + 1; i < end; i++) {
        n += !hb_fold_is_mark(words->chars[i].symbol);
    }
    return n == 1;
}

/* Take the gaps out of runs of single letters. */
static void join_spaced(list_t *words)
{
    int from = 0, to = 0;

    while (from < words->n - 1) {
        int n = 0, end = from, next, i;

        while (end < words->n - 1) {
            next = word_end(words, end);
            if (!is_single(words, end, next)) {
                break;
            }
            end = next;
            n++;
        }
        if (n == 0) {
            end = word_end(words, from);
        }
        words->chars[to++] = words->chars[from];
        for (i = from + 1; i < end; i++) {
            if (n < SPACED_MIN || words->chars[i].symbol != HB_FOLD_GAP) {
                words->chars[to++] = words->chars[i];
            }
        }
        from = end;
    }
    words->chars[to++] = words->chars[from];
    words->n = to;
}

/* --- digits --- */

/* In a word of letters for the most part: times and prices stay what they are. */
static void read_digits(list_t *words)
{
    static const char letters[] = "oi2eas6tbg";
    int gap, end, i;

    for (gap = 0; gap < words->n - 1; gap = end) {
        int n_letters = 0, n_digits = 0;

        end = word_end(words, gap);
        for (i = gap + 1; i < end; i++) {
            n_letters += words->chars[i].symbol >= 'a' && words->chars[i].symbol <= 'z';
            n_digits += is_digit(words->chars[i].symbol);
        }
        for (i = gap + 1; n_digits > 0 && n_letters >= n_digits && i < end; i++) {
            if (is_digit(words->chars[i].symbol)) {
                words->chars[i].symbol = (apr_uint32_t)letters[words->chars[i].symbol - '0'];
            }
        }
    }
}

void hb_fold(hb_folded_t *folded, const char *text, apr_pool_t *pool)
{
    size_t len = strlen(text);
    list_t raw, words;

    list_begin(&raw, len, pool);
    read_chars(&raw, text, (int32_t)len);
    list_begin(&words, (size_t)raw.n, pool);
    read_words(&words, &raw);
    join_spaced(&words);
    read_digits(&words);
    folded->chars = words.chars;
    folded->n = words.n;
}

/* --- other spellings --- */

static int run_at(const hb_folded_t *folded, int at)
{
    int end = at + 1;

    while (end < folded->n && folded->chars[end].symbol == folded->chars[at].symbol) {
        end++;
    }
    return end - at;
}

int hb_fold_has_runs(const hb_folded_t *folded)
{
    int i, n;

    for (i = 0; i < folded->n; i += n) {
        n = run_at(folded, i);
        if (n >= 3) {
            return 1;
        }
    }
    return 0;
}

void hb_fold_cut_runs(hb_folded_t *cut, const hb_folded_t *folded, int keep, apr_pool_t *pool)
{
    int i, k, n, kept;

    cut->chars = apr_palloc(pool, sizeof(*cut->chars) * (size_t)folded->n);
    cut->n = 0;
    for (i = 0; i < folded->n; i += n) {
        n = run_at(folded, i);
        kept = n >= 3 ? keep : n;
        for (k = 0; k < kept; k++) {
            cut->chars[cut->n++] = folded->chars[i + k];
        }
        cut->chars[cut->n - 1].end = folded->chars[i + n - 1].end;
    }
}

/* The sound of what stands at `at`. @param n  how many letters it is written with */
static apr_uint32_t sound_at(const hb_folded_t *folded, int at, int *n)
{
    apr_uint32_t c = folded->chars[at].symbol;
    apr_uint32_t next = at + 1 < folded->n ? folded->chars[at + 1].symbol : 0;

    *n = 1;
    switch (c) {
    case 'p':
        *n = next == 'h' ? 2 : 1;
        return next == 'h' ? 'f' : 'p';
    case 'e':
        *n = next == 'e' ? 2 : 1;
        return next == 'e' ? 'i' : 'e';
    case 'o':
        *n = next == 'o' ? 2 : 1;
        return next == 'o' ? 'u' : 'o';
    case 'v':
    case 'w':
        return 'b';
    case 'z':
        return 'j';
    default:
        return c;
    }
}

void hb_fold_sound(hb_folded_t *sound, const hb_folded_t *folded, apr_pool_t *pool)
{
    hb_fold_char_t *chars = apr_palloc(pool, sizeof(*chars) * (size_t)folded->n);
    int i, n, to = 0;

    for (i = 0; i < folded->n; i += n) {
        apr_uint32_t c = sound_at(folded, i, &n);
        apr_uint32_t end = folded->chars[i + n - 1].end;

        if (to > 0 && c == chars[to - 1].symbol && c >= 'a' && c <= 'z') {
            chars[to - 1].end = end;
        }
        else {
            chars[to++] = (hb_fold_char_t){ c, folded->chars[i].start, end };
        }
    }
    sound->chars = chars;
    sound->n = to;
}

const char *hb_fold_text(const hb_folded_t *folded, apr_pool_t *pool)
{
    char *text = apr_palloc(pool, (size_t)folded->n * 4 + 1);
    int32_t n = 0;
    int i;

    for (i = 1; i < folded->n - 1; i++) {
        U8_APPEND_UNSAFE((unsigned char *)text, n, folded->chars[i].symbol);
    }
    text[n] = '\0';
    return text;
}
