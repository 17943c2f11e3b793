/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of words over a real store: who keeps them, and what becomes of a message. */
#include "hb_wordlist.h"

#include <string.h>

#include <apr_file_io.h>
#include <apr_strings.h>

#include "hb_chat.h"
#include "hb_schema.h"
#include "hb_store.h"
#include "hb_stream.h"
#include "hb_test.h"
#include "hb_test_bus.h"
#include "hb_test_people.h"

static hb_test_site_t *ts;
static hb_test_person_t *host, *anna, *bim;
static const char *room;
static hb_bus_reader_t *ear;

static hb_op_t *as(const hb_test_person_t *person)
{
    return hb_test_op_of(ts, person);
}

static hb_op_t *as_system(void)
{
    hb_op_t *op = hb_test_site_op(ts);

    op->actor.is_system = 1;
    return op;
}

static void open_site(void)
{
    hb_json_t *stream;

    ts = hb_test_site_make_with("HaloBuzzChatPerMinute 1000\n", hb_test_pool);
    hb_test_site_open(ts);
    host = hb_test_person(ts, "thehost");
    anna = hb_test_person(ts, "anna");
    bim = hb_test_person(ts, "bim");
    ck_assert_int_eq(hb_stream_create(&stream, as(host), hb_test_input("title", "Songs", NULL)),
                     APR_SUCCESS);
    room = apr_pstrdup(hb_test_pool, hb_json_string(stream, "_id"));
    ck_assert_int_eq(hb_stream_start(&stream, as(host), room), APR_SUCCESS);
    ear = hb_test_listen(ts);
}

static apr_status_t set(const char **id, hb_op_t *op, const char *stream_id, const char *json)
{
    hb_json_t *input, *view;
    apr_status_t rv = hb_schema_check(&input, op, HB_F_WORD_SET,
                                      hb_json_parse_own(json, strlen(json), hb_test_pool));

    if (rv == APR_SUCCESS) {
        rv = hb_wordlist_set(&view, op, stream_id, input);
    }
    if (rv == APR_SUCCESS) {
        ck_assert_ptr_null(hb_schema_misfit_of("words:all", view, hb_test_pool));
        if (id != NULL) {
            *id = apr_pstrdup(hb_test_pool, hb_json_string(view, "id"));
        }
    }
    return rv;
}

/* What the room shows of it: NULL when it was refused, "-" when only its author sees it. */
static const char *say(const hb_test_person_t *person, const char *text)
{
    hb_op_t *op = as(person);
    hb_json_t *reply;
    const char *only;
    apr_status_t rv = hb_chat_say(&reply, op, room, hb_test_input("text", text, NULL));

    if (rv != APR_SUCCESS) {
        ck_assert_int_eq(rv, HB_E_ROOM_WORDS);
        ck_assert_int_eq(op->problem.status, HB_E_ROOM_WORDS);
        return NULL;
    }
    hb_test_heard_by(&only, ear, HB_EV_CHAT_NEW, room);
    return only != NULL ? "-" : hb_json_string(hb_json_get(reply, "message"), "text");
}

START_TEST(the_action_of_a_word)
{
    open_site();
    ck_assert_str_eq(say(anna, "any darn thing"), "any darn thing");
    ck_assert_int_eq(set(NULL, as(host), room, "{\"word\":\"darn\",\"action\":\"mask\"}"), APR_SUCCESS);
    ck_assert_int_eq(set(NULL, as(host), room, "{\"word\":\"spoiler\"}"), APR_SUCCESS);
    ck_assert_int_eq(set(NULL, as(host), room, "{\"word\":\"buy gold\",\"action\":\"shadow\"}"), APR_SUCCESS);
    ck_assert_str_eq(say(anna, "any DARN thing, d a r n"), "any **** thing, * * * *");
    ck_assert_str_eq(say(anna, "d\xc3\xa1rn \xf0\x9f\x99\x8f"), "**** \xf0\x9f\x99\x8f");
    ck_assert_ptr_null(say(anna, "a sp0iler"));
    ck_assert_ptr_null(say(anna, "darn spoiler, buy gold"));
    ck_assert_str_eq(say(anna, "darn, buy gold"), "-");
    ck_assert_str_eq(say(anna, "darned"), "darned");
}
END_TEST

START_TEST(who_keeps_a_list_is_not_held_to_it)
{
    open_site();
    ck_assert_int_eq(set(NULL, as(host), room, "{\"word\":\"spoiler\"}"), APR_SUCCESS);
    ck_assert_str_eq(say(host, "spoiler"), "spoiler");
    ck_assert_int_eq(hb_room_moderator_set(as(host), room, bim->id), APR_SUCCESS);
    ck_assert_str_eq(say(bim, "spoiler"), "spoiler");
    ck_assert_int_eq(set(NULL, as(bim), room, "{\"word\":\"ending\"}"), APR_SUCCESS);
    ck_assert_ptr_null(say(anna, "ending"));
    ck_assert_int_eq(set(NULL, as(anna), room, "{\"word\":\"x\"}"), HB_E_FORBIDDEN);
    ck_assert_int_eq(set(NULL, hb_test_site_op(ts), room, "{\"word\":\"x\"}"), HB_E_AUTH_REQUIRED);
    ck_assert_int_eq(set(NULL, as(host), NULL, "{\"word\":\"x\"}"), HB_E_ROLE_REQUIRED);
}
END_TEST

START_TEST(the_list_of_the_site_holds_for_all)
{
    hb_json_t *stream;
    const char *id;

    open_site();
    ck_assert_int_eq(set(&id, as_system(), NULL, "{\"word\":\"muji\",\"language\":\"ne\"}"), APR_SUCCESS);
    ck_assert_ptr_null(say(anna, "moojee"));
    ck_assert_ptr_null(say(host, "mujile"));
    ck_assert_int_eq(hb_stream_end(&stream, as(host), room), APR_SUCCESS);
    ck_assert_int_eq(hb_stream_create(&stream, as(bim), hb_test_input("title", "More", NULL)), APR_SUCCESS);
    room = apr_pstrdup(hb_test_pool, hb_json_string(stream, "_id"));
    ck_assert_int_eq(hb_stream_start(&stream, as(bim), room), APR_SUCCESS);
    ck_assert_ptr_null(say(anna, "muji"));
    ck_assert_int_eq(hb_wordlist_remove(as_system(), room, id), HB_E_WORD_UNKNOWN);
    ck_assert_int_eq(hb_wordlist_remove(as_system(), NULL, id), APR_SUCCESS);
    ck_assert_int_eq(hb_wordlist_remove(as_system(), NULL, id), HB_E_WORD_UNKNOWN);
    ck_assert_int_eq(hb_wordlist_remove(as_system(), NULL, "x"), HB_E_WORD_UNKNOWN);
    ck_assert_str_eq(say(anna, "muji"), "muji");
}
END_TEST

START_TEST(one_word_is_one_entry)
{
    const char *first, *second;
    hb_json_t *list, *items;
    hb_op_t *op;

    open_site();
    ck_assert_int_eq(set(&first, as(host), room, "{\"word\":\"Spoiler\"}"), APR_SUCCESS);
    op = as(host);
    ck_assert_int_eq(set(&second, op, room, "{\"word\":\"sp\xc3\xb6iler\",\"action\":\"mask\","
                         "\"match\":\"inside\",\"except\":[\"despoiler\"]}"), APR_SUCCESS);
    ck_assert(op->is_replayed);
    ck_assert_str_eq(first, second);
    ck_assert_str_eq(say(anna, "nospoilers"), "no*******s");
    ck_assert_str_eq(say(anna, "despoiler"), "despoiler");
    ck_assert_int_eq(set(NULL, as(host), room, "{\"word\":\"anything\"}"), APR_SUCCESS);
    ck_assert_int_eq(hb_wordlist_list(&list, as(host), room, 20, NULL), APR_SUCCESS);
    items = hb_json_get(list, "items");
    ck_assert_int_eq(hb_json_length(items), 2);
    ck_assert_str_eq(hb_json_string(hb_json_item(items, 0), "word"), "anything");
    ck_assert_int_eq(hb_wordlist_list(&list, as(anna), room, 20, NULL), HB_E_FORBIDDEN);
}
END_TEST

START_TEST(what_is_no_word)
{
    static const char *const wrong[] = {
        "{\"word\":\"!?\"}", "{\"word\":\" \"}", "{\"word\":\"ab\",\"match\":\"inside\"}",
        "{\"word\":\"a\",\"match\":\"prefix\"}", "{\"word\":\"x\",\"action\":\"ban\"}", "{\"word\":7}",
        "{\"word\":\"\xef\xb7\xba \xef\xb7\xba \xef\xb7\xba \xef\xb7\xba\"}", "{}", "{\"word\":\"x\",\"except\":[7]}", NULL
    };
    int i;

    open_site();
    for (i = 0; wrong[i] != NULL; i++) {
        ck_assert_msg(set(NULL, as(host), room, wrong[i]) == HB_E_INPUT_INVALID, "%s", wrong[i]);
    }
}
END_TEST

START_TEST(a_list_has_an_end)
{
    hb_json_t *doc;
    int i;

    open_site();
    for (i = 0; i < HB_WORDLIST_ROOM_MAX; i++) {
        const char *word = apr_psprintf(hb_test_pool, "word%c%c", 'a' + i % 26, 'a' + i / 26);

        doc = hb_test_input("ownerId", host->id, "key", word, "word", word, "action", "refuse",
                            "match", "word", "language", "en", NULL);
        hb_json_set_int(doc, "updatedAt", 1);
        ck_assert_int_eq(hb_store_insert(NULL, as_system(), HB_C_WORDS, doc), APR_SUCCESS);
    }
    ck_assert_int_eq(set(NULL, as(host), room, "{\"word\":\"onemore\"}"), HB_E_WORDS_FULL);
    ck_assert_int_eq(set(NULL, as(host), room, "{\"word\":\"wordab\"}"), APR_SUCCESS);
    ck_assert_ptr_null(say(anna, "wordcc"));
    ck_assert_int_eq(hb_wordlist_drop(as_system(), host->id), APR_SUCCESS);
    ck_assert_int_eq(set(NULL, as(host), room, "{\"word\":\"onemore\"}"), APR_SUCCESS);
    ck_assert_str_eq(say(anna, "wordcc"), "wordcc");
}
END_TEST

/* More rooms with lists than are kept ready. */
START_TEST(lists_push_each_other_out)
{
    hb_room_t look = { .badge = HB_BADGE_NONE };
    int turn, i;

    open_site();
    for (turn = 0; turn < 2; turn++) {
        for (i = 0; i < 70; i++) {
            const char *owner = apr_psprintf(hb_test_pool, "%024x", i + 1);
            const char *word = apr_psprintf(hb_test_pool, "word%c%c", 'a' + i % 26, 'a' + i / 26);
            const char *shown;
            hb_word_e verdict;
            hb_json_t *doc;

            if (turn == 0) {
                doc = hb_test_input("ownerId", owner, "key", word, "word", word, "action",
                                    "mask", "match", "word", "language", "en", NULL);
                hb_json_set_int(doc, "updatedAt", 1);
                ck_assert_int_eq(hb_store_insert(NULL, as_system(), HB_C_WORDS, doc), APR_SUCCESS);
            }
            look.host_id = owner;
            look.rules = hb_test_input("wordsRevision", owner, NULL);
            ck_assert_int_eq(hb_wordlist_check(&verdict, &shown, as_system(), &look, word), APR_SUCCESS);
            ck_assert_int_eq(verdict, HB_WORD_MASK);
            ck_assert_str_eq(shown, "******");
        }
    }
}
END_TEST

static hb_json_t *shipped(void)
{
    apr_file_t *file;
    apr_size_t len;
    char *text = apr_palloc(hb_test_pool, 65536);

    ck_assert_int_eq(apr_file_open(&file, HB_TEST_DATA "/../../conf/seed/words.json",
                                   APR_FOPEN_READ, 0, hb_test_pool), APR_SUCCESS);
    apr_file_read_full(file, text, 65536, &len);
    apr_file_close(file);
    return hb_json_parse_own(text, len, hb_test_pool);
}

/* What people say all day, here and in Nepal. */
START_TEST(the_list_that_ships_finds_its_words_and_no_others)
{
    static const char *const innocent[] = {
        "good morning", "class", "assessment", "Scunthorpe United", "the cocktail title",
        "Pakistan", "shiitake", "go diet", "night", "snigger", "niggle", "chicken", "ladoo",
        "putin", "kati ramro", "mujhe", "mar", "randiness", "grandiose",
        "\xe0\xa4\xae\xe0\xa4\xbe\xe0\xa4\xb2", "\xe0\xa4\xb2\xe0\xa4\xa1\xe0\xa5\x8d\xe0\xa4\xa1\xe0\xa5\x81",
        "\xe0\xa4\xa8\xe0\xa4\xae\xe0\xa4\xb8\xe0\xa5\x8d\xe0\xa4\xa4\xe0\xa5\x87", NULL
    };
    const hb_json_t *rows = shipped();
    hb_room_t look = { .badge = HB_BADGE_HOST };
    const char *shown;
    hb_word_e verdict;
    int n, i;

    open_site();
    ck_assert_int_gt(hb_json_length(rows), 35);
    ck_assert_int_eq(hb_wordlist_seed(&n, as_system(), rows), APR_SUCCESS);
    ck_assert_int_eq(n, hb_json_length(rows));
    ck_assert_int_eq(hb_wordlist_seed(&n, as_system(), rows), APR_SUCCESS);
    ck_assert_int_eq(n, 0);
    for (i = 0; i < hb_json_length(rows); i++) {
        const char *word = hb_json_string(hb_json_item(rows, i), "word");

        ck_assert_int_eq(hb_wordlist_check(&verdict, &shown, as_system(), &look, word), APR_SUCCESS);
        ck_assert_msg(verdict != HB_WORD_FINE, "\"%s\" is let through", word);
    }
    for (i = 0; innocent[i] != NULL; i++) {
        ck_assert_int_eq(hb_wordlist_check(&verdict, &shown, as_system(), &look, innocent[i]), APR_SUCCESS);
        ck_assert_msg(verdict == HB_WORD_FINE, "\"%s\" is taken for a word", innocent[i]);
    }
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        the_action_of_a_word, who_keeps_a_list_is_not_held_to_it,
        the_list_of_the_site_holds_for_all, one_word_is_one_entry, what_is_no_word,
        a_list_has_an_end, lists_push_each_other_out,
        the_list_that_ships_finds_its_words_and_no_others, NULL
    };

    return hb_test_main("hb_wordlist", cases);
}
