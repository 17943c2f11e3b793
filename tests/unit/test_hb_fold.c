/* SPDX-License-Identifier: Apache-2.0 */
/* What counts as the same word, and which bytes a letter stands for. */
#include "hb_fold.h"

#include <string.h>

#include "hb_test.h"

static const char *fold(const char *text)
{
    hb_folded_t folded;

    hb_fold(&folded, text, hb_test_pool);
    ck_assert_uint_eq(folded.chars[0].symbol, HB_FOLD_GAP);
    ck_assert_uint_eq(folded.chars[folded.n - 1].symbol, HB_FOLD_GAP);
    return hb_fold_text(&folded, hb_test_pool);
}

static const char *sound(const char *text)
{
    hb_folded_t folded;

    hb_fold(&folded, text, hb_test_pool);
    hb_fold_sound(&folded, &folded, hb_test_pool);
    return hb_fold_text(&folded, hb_test_pool);
}

static const struct { const char *label, *text, *folded; } folds[] = {
    { "nothing", "", "" },
    { "blanks", "  \n ", "" },
    { "case", "BaD Word", "bad word" },
    { "sharp s", "STRASSE stra\xc3\x9f" "e", "strasse strasse" },
    { "full width", "\xef\xbc\xa2\xef\xbc\xa1\xef\xbc\xa4", "bad" },
    { "mathematical letters", "\xf0\x9d\x90\x9b\xf0\x9d\x90\x9a\xf0\x9d\x90\x9d", "bad" },
    { "zero width space and joiners", "b\xe2\x80\x8b" "a\xe2\x80\x8d\xe2\x80\x8c" "d", "bad" },
    { "soft hyphen, bidi mark, selector", "b\xc2\xad" "a\xe2\x80\x8f" "d\xef\xb8\x8f", "bad" },
    { "composed accent", "b\xc3\xa1" "d", "bad" },
    { "combining accents", "ba\xcc\x81\xcc\xa3" "d\xcc\xb6", "bad" },
    { "Cyrillic look-alikes", "b\xd0\xb0" "d c\xd0\xbe" "de", "bad code" },
    { "Greek look-alikes", "b\xce\xb1" "d", "bad" },
    { "spaced letters", "so b a d indeed", "so bad indeed" },
    { "dotted letters", "b.a.d", "bad" },
    { "emoji between letters", "b\xf0\x9f\x98\x80" "a\xf0\x9f\x98\x80" "d", "bad" },
    { "two single letters stay two", "a b cd", "a b cd" },
    { "digits as letters", "sh1t b4d", "shit bad" },
    { "signs as letters", "b@d a$$ f!t", "bad ass fit" },
    { "an exclamation is no letter", "bad! $5 5$ US 10:30", "bad 5 5 us 10 30" },
    { "times and numbers stay", "5h17m 1050 4x4", "5h17m 1050 4x4" },
    { "hidden letters", "f**k c#t *bold* 2*3", "f*k c*t bold 2 3" },
    { "punctuation", "bad, worse; (worst)", "bad worse worst" },
    { "nukta", "\xe0\xa4\x95\xe0\xa4\xbc \xe0\xa5\x98", "\xe0\xa4\x95 \xe0\xa4\x95" },
    { "vowel length", "\xe0\xa4\x9c\xe0\xa5\x80", "\xe0\xa4\x9c\xe0\xa4\xbf" },
    { "chandrabindu", "\xe0\xa4\x97\xe0\xa4\xbe\xe0\xa4\x81", "\xe0\xa4\x97\xe0\xa4\xbe\xe0\xa4\x82" },
    { "nasal as a letter", "\xe0\xa4\xb9\xe0\xa4\xbf\xe0\xa4\xa8\xe0\xa5\x8d\xe0\xa4\xa6\xe0\xa5\x80",
      "\xe0\xa4\xb9\xe0\xa4\xbf\xe0\xa4\x82\xe0\xa4\xa6\xe0\xa4\xbf" },
    { "joiner inside Devanagari", "\xe0\xa4\x95\xe0\xa5\x8d\xe2\x80\x8d\xe0\xa4\xb7",
      "\xe0\xa4\x95\xe0\xa5\x8d\xe0\xa4\xb7" },
};

START_TEST(spellings_fold_to_one)
{
    size_t i;

    for (i = 0; i < sizeof(folds) / sizeof(folds[0]); i++) {
        ck_assert_msg(strcmp(fold(folds[i].text), folds[i].folded) == 0,
                      "%s: \"%s\" not \"%s\"", folds[i].label, fold(folds[i].text),
                      folds[i].folded);
    }
}
END_TEST

START_TEST(romanised_words_fold_to_their_sound)
{
    ck_assert_str_eq(sound("saathi"), "sathi");
    ck_assert_str_eq(sound("Meethoo"), "mithu");
    ck_assert_str_eq(sound("acchha"), sound("acha"));
    ck_assert_str_eq(sound("phool"), "ful");
    ck_assert_str_eq(sound("wah vah"), "bah bah");
    ck_assert_str_eq(sound("zaroor"), "jarur");
    ck_assert_str_eq(sound("\xe0\xa4\xab\xe0\xa5\x82\xe0\xa4\xb2"),
                     "\xe0\xa4\xab\xe0\xa5\x81\xe0\xa4\xb2");
}
END_TEST

START_TEST(letters_know_their_bytes)
{
    const char *text = "x b\xe2\x80\x8b" "\xc3\xa1.d";      /* b, nothing, a with accent */
    hb_folded_t folded;

    hb_fold(&folded, text, hb_test_pool);
    ck_assert_str_eq(hb_fold_text(&folded, hb_test_pool), "x ba d");
    ck_assert_uint_eq(folded.chars[3].start, 2);
    ck_assert_uint_eq(folded.chars[4].symbol, 'a');
    ck_assert_uint_eq(folded.chars[4].end, 8);
    ck_assert_uint_eq(folded.chars[6].start, 9);
    ck_assert_uint_eq(folded.chars[6].end, strlen(text));
}
END_TEST

START_TEST(runs_are_cut)
{
    hb_folded_t folded, cut;

    hb_fold(&folded, "cool", hb_test_pool);
    ck_assert(!hb_fold_has_runs(&folded));
    hb_fold(&folded, "coooool", hb_test_pool);
    ck_assert(hb_fold_has_runs(&folded));
    hb_fold_cut_runs(&cut, &folded, 2, hb_test_pool);
    ck_assert_str_eq(hb_fold_text(&cut, hb_test_pool), "cool");
    ck_assert_uint_eq(cut.chars[3].end, 6);
    hb_fold_cut_runs(&cut, &folded, 1, hb_test_pool);
    ck_assert_str_eq(hb_fold_text(&cut, hb_test_pool), "col");
}
END_TEST

/* Heaps of accents and what NFKC makes much of one character. */
START_TEST(hostile_text_stays_bounded)
{
    char heap[4001];
    hb_folded_t folded;
    int i;

    for (i = 0; i < 2000; i++) {
        memcpy(heap + 2 * i, "\xcc\x81", 2);
    }
    heap[4000] = '\0';
    hb_fold(&folded, heap, hb_test_pool);
    ck_assert_int_eq(folded.n, 2);
    for (i = 0; i < 1333; i++) {
        memcpy(heap + 3 * i, "\xef\xb7\xba", 3);
    }
    heap[3999] = '\0';
    hb_fold(&folded, heap, hb_test_pool);
    ck_assert_int_lt(folded.n, 1333 * 19);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        spellings_fold_to_one, romanised_words_fold_to_their_sound, letters_know_their_bytes,
        runs_are_cut, hostile_text_stays_bounded, NULL
    };

    return hb_test_main("hb_fold", cases);
}
