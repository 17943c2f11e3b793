/* SPDX-License-Identifier: Apache-2.0 */
/* Which texts hold a word of a list, and which only look as if. */
#include "hb_lexicon.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_test.h"

static const char *const no_ass[] = { "assess", "Assam" };

static const hb_lexicon_entry_t entries[] = {
    { "fuck", HB_LEXICON_PREFIX, 0, 1, NULL, 0 },
    { "shit", HB_LEXICON_WORD, 0, 2, NULL, 0 },
    { "ass", HB_LEXICON_WORD, 0, 3, NULL, 0 },
    { "cunt", HB_LEXICON_INSIDE, 0, 4, (const char *const[]){ "Scunthorpe" }, 1 },
    { "kill yourself", HB_LEXICON_WORD, 0, 5, NULL, 0 },
    { "muji", HB_LEXICON_WORD, 1, 6, NULL, 0 },
    { "\xe0\xa4\xae\xe0\xa5\x81\xe0\xa4\x9c\xe0\xa5\x80", HB_LEXICON_WORD, 1, 7, NULL, 0 }, /* muji */
    { "asse", HB_LEXICON_INSIDE, 0, 8, no_ass, 2 },
};

#define N_ENTRIES ((int)(sizeof(entries) / sizeof(entries[0])))

static hb_lexicon_t *lexicon;
static unsigned int tags;
static apr_uint32_t from, to;

static void found(void *baton, int tag, apr_uint32_t start, apr_uint32_t end)
{
    (void)baton;
    tags |= 1u << tag;
    from = start;
    to = end;
}

static unsigned int find(const char *text)
{
    hb_folded_t folded;

    if (lexicon == NULL) {
        lexicon = hb_lexicon_make(entries, N_ENTRIES, hb_test_pool);
    }
    tags = 0;
    hb_fold(&folded, text, hb_test_pool);
    hb_lexicon_find(lexicon, &folded, found, NULL, hb_test_pool);
    return tags;
}

#define MUJI "\xe0\xa4\xae\xe0\xa5\x81\xe0\xa4\x9c\xe0\xa4\xbf"

static const struct { const char *text; int tag; } held[] = {
    { "fuck", 1 }, { "FUCKING good", 1 }, { "f.u.c.k", 1 }, { "f u c k you", 1 },
    { "fuuuuck", 1 }, { "f*ck", 1 }, { "f**k", 1 }, { "\xef\xbd\x86\xef\xbd\x95\xef\xbd\x83\xef\xbd\x8b", 1 },
    { "f\xe2\x80\x8bu\xe2\x80\x8b" "ck", 1 }, { "f\xc3\xbc" "ck", 1 }, { "fuc\xd0\xba", 1 },
    { "what the shit!", 2 }, { "sh1t", 2 }, { "$hit", 2 }, { "shiiiit", 2 }, { "Shit, no", 2 },
    { "ass", 3 }, { "a$$", 3 }, { "asssss", 3 }, { "4ss", 3 },
    { "xcuntx", 4 }, { "kill  yourself", 5 }, { "KILL-yourself now", 5 },
    { "muji", 6 }, { "moojee", 6 }, { "Muzi!", 6 }, { "mujiko", 6 }, { "mujiharulai", 6 },
    { MUJI, 7 }, { "\xe0\xa4\xae\xe0\xa5\x82\xe0\xa4\x9c\xe0\xa5\x80", 7 },
    { MUJI "\xe0\xa4\xb2\xe0\xa5\x87", 7 },                                     /* -le */
    { MUJI "\xe0\xa4\xb9\xe0\xa4\xb0\xe0\xa5\x82\xe0\xa4\x95\xe0\xa5\x8b", 7 }, /* -haruko */
    { "\xe0\xa4\xae\xe0\xa5\x81\xe2\x80\x8d\xe0\xa4\x9c\xe0\xa5\x80", 7 },
    { "classes", 8 },
};

START_TEST(words_are_found_however_they_are_written)
{
    size_t i;

    for (i = 0; i < sizeof(held) / sizeof(held[0]); i++) {
        ck_assert_msg((find(held[i].text) & 1u << held[i].tag) != 0, "\"%s\" does not hold %d",
                      held[i].text, held[i].tag);
    }
}
END_TEST

static const char *const innocent[] = {
    "", " ", "class", "assist", "bass", "Scunthorpe", "shiitake", "shitake mushrooms", "mishit",
    "cocktail", "title", "password", "analysis", "Hancock", "grass a s", "as s", "a s sociable",
    "5h17m", "10:30", "assess", "Assam", "kill time, yourself", "skill yourself", "mujib",
    "Mujibur", "\xe0\xa4\xae\xe0\xa5\x81\xe0\xa4\x9c",
    "\xe0\xa4\xae\xe0\xa5\x81\xe0\xa4\x9c\xe0\xa5\x80\xe0\xa4\xac",             /* mujib */
    "\xe0\xa4\xa8\xe0\xa4\xae\xe0\xa4\xb8\xe0\xa5\x8d\xe0\xa4\xa4\xe0\xa5\x87", "2*3*4", "f-k",
    "\xf0\x9f\x99\x8f\xf0\x9f\x99\x8f", "the cat sat", "I a", "flick", "firetruck",
};

START_TEST(words_that_only_look_so_are_left_alone)
{
    size_t i;

    for (i = 0; i < sizeof(innocent) / sizeof(innocent[0]); i++) {
        ck_assert_msg(find(innocent[i]) == 0, "\"%s\" is said to hold %x", innocent[i],
                      find(innocent[i]));
    }
}
END_TEST

START_TEST(the_place_is_told)
{
    const char *text = "oh s.h.1.t no";

    ck_assert_uint_eq(find("oh s-h-i-t no"), 1u << 2);
    ck_assert_int_eq(strncmp(text + from, "s.h.1.t", to - from), 0);
    ck_assert_uint_eq(to - from, 7);
    find("a \xc5\x9bhit!");
    ck_assert_uint_eq(from, 2);
    ck_assert_uint_eq(to, 7);
}
END_TEST

START_TEST(a_large_list_finds_each_of_its_words)
{
    hb_lexicon_entry_t many[3000];
    hb_lexicon_t *large;
    hb_folded_t folded;
    int i;

    memset(many, 0, sizeof(many));
    for (i = 0; i < 3000; i++) {
        many[i].word = apr_psprintf(hb_test_pool, "w%cx%cy%c", 'a' + i % 26, 'a' + i / 26 % 26,
                                    'a' + i / 676);
        many[i].tag = 1;
    }
    large = hb_lexicon_make(many, 3000, hb_test_pool);
    for (i = 0; i < 3000; i++) {
        tags = 0;
        hb_fold(&folded, many[i].word, hb_test_pool);
        hb_lexicon_find(large, &folded, found, NULL, hb_test_pool);
        ck_assert_uint_eq(tags, 2);
    }
    hb_lexicon_free(large);
    large = hb_lexicon_make(NULL, 0, hb_test_pool);
    hb_lexicon_find(large, &folded, found, NULL, hb_test_pool);
    hb_lexicon_free(large);
}
END_TEST

/* Words that end in each other: fails have to lead from one to the next. */
START_TEST(words_inside_of_words_are_found)
{
    const hb_lexicon_entry_t nested[] = {
        { "hers", HB_LEXICON_INSIDE, 0, 0, NULL, 0 }, { "she", HB_LEXICON_INSIDE, 0, 1, NULL, 0 },
        { "ers", HB_LEXICON_INSIDE, 0, 2, NULL, 0 }, { "ershop", HB_LEXICON_INSIDE, 0, 3, NULL, 0 },
    };
    hb_lexicon_t *made = hb_lexicon_make(nested, 4, hb_test_pool);
    hb_folded_t folded;

    tags = 0;
    hb_fold(&folded, "ushershop", hb_test_pool);
    hb_lexicon_find(made, &folded, found, NULL, hb_test_pool);
    ck_assert_uint_eq(tags, 0xf);
    hb_lexicon_free(made);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        words_are_found_however_they_are_written, words_that_only_look_so_are_left_alone,
        the_place_is_told, a_large_list_finds_each_of_its_words, words_inside_of_words_are_found,
        NULL
    };

    return hb_test_main("hb_lexicon", cases);
}
