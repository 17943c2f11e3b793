/* SPDX-License-Identifier: Apache-2.0 */
#include "rt_sio.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_test.h"

/* What is taken, as it was read: type, attachments, namespace, id (-1 for none), payload. */
static const struct {
    const char *text;
    int type, n;
    const char *nsp;
    int id;
    const char *json;
} good[] = {
    { "0", 0, 0, "/", -1, NULL },
    { "0{\"token\":\"x\"}", 0, 0, "/", -1, "{\"token\":\"x\"}" },
    { "0/chat,", 0, 0, "/chat", -1, NULL },
    { "0/chat", 0, 0, "/chat", -1, NULL },
    { "0/a?x=1,{}", 0, 0, "/a?x=1", -1, "{}" },
    { "1", 1, 0, "/", -1, NULL },
    { "1/chat,", 1, 0, "/chat", -1, NULL },
    { "2[\"hey\",1]", 2, 0, "/", -1, "[\"hey\",1]" },
    { "212[\"hey\"]", 2, 0, "/", 12, "[\"hey\"]" },
    { "2/chat,0[\"hey\"]", 2, 0, "/chat", 0, "[\"hey\"]" },
    { "2[7,1]", 2, 0, "/", -1, "[7,1]" },
    { "312[]", 3, 0, "/", 12, "[]" },
    { "3[]", 3, 0, "/", -1, "[]" },
    { "51-[\"img\",{\"_placeholder\":true,\"num\":0}]", 5, 1, "/", -1,
      "[\"img\",{\"_placeholder\":true,\"num\":0}]" },
    { "510-/c,3[\"img\"]", 5, 10, "/c", 3, "[\"img\"]" },
    { "62-/chat,7[{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]", 6, 2,
      "/chat", 7, "[{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]" },
};

/* What closes the connection. */
static const char *const bad[] = {
    "", "7", "9[]", "x", "abc", "2", "2{}", "2[]", "2\"x\"", "2[null]", "2[{}]", "2[true]",
    "2[\"hey\"", "2[\"hey\"]x", "2abc[\"hey\"]", "2abc[\"message-with-ack\",1]",
    "2[\"connect\"]", "2[\"disconnect\"]", "2[\"newListener\",1]", "2[\"remove\\u004cistener\"]",
    "2[\"connect_error\"]", "2[\"disconnecting\"]", "2[\"removeListener\"]",
    "0[1]", "0\"x\"", "0null", "0[]", "0{", "1{}", "1[]", "3{}", "3", "3\"x\"", "4{}", "4",
    "5[\"img\"]", "50-[\"img\"]", "511-[\"img\"]", "5-[\"img\"]", "5x-[\"img\"]",
    "599999999999-[\"img\"]", "51[\"img\"]", "51-", "51-[\"img\",{\"_placeholder\":true,\"num\":1}]",
    "212345678901234567[\"hey\"]", "6[]", "61-{}",
};

START_TEST(good_packets_are_read)
{
    apr_size_t i;
    rt_packet_t packet;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        const char *why = rt_packet_read(&packet, good[i].text, strlen(good[i].text));

        ck_assert_msg(why == NULL, "%s: %s", good[i].text, why);
        ck_assert_int_eq(packet.type, good[i].type);
        ck_assert_int_eq(packet.n_attachments, good[i].n);
        ck_assert_str_eq(apr_pstrmemdup(hb_test_pool, packet.nsp.at, packet.nsp.len),
                         good[i].nsp);
        ck_assert_int_eq(packet.has_id, good[i].id >= 0);
        if (good[i].id >= 0) {
            ck_assert_uint_eq(packet.id, good[i].id);
        }
        ck_assert_int_eq(packet.json.at == NULL, good[i].json == NULL);
        if (good[i].json != NULL) {
            ck_assert_str_eq(apr_pstrmemdup(hb_test_pool, packet.json.at, packet.json.len),
                             good[i].json);
        }
    }
}
END_TEST

START_TEST(bad_packets_are_not)
{
    apr_size_t i;
    rt_packet_t packet;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(rt_packet_read(&packet, bad[i], strlen(bad[i])) != NULL, "%s", bad[i]);
    }
}
END_TEST

static const struct { const char *text, *name, *args; int is_number; } events[] = {
    { "2[\"hey\",1,\"2\",{\"3\":[true]}]", "hey", "[1,\"2\",{\"3\":[true]}]", 0 },
    { "2[\"hey\"]", "hey", "[]", 0 },
    { "2 [ \"hey\" , 1 ] ", "hey", "[ 1 ]", 0 },
    { "25[7,[8]]", "7", "[[8]]", 1 },
    { "2[\"a\\\"b\",null]", "a\\\"b", "[null]", 0 },
};

START_TEST(names_and_arguments_come_apart)
{
    apr_size_t i;

    for (i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        char *text = apr_pstrdup(hb_test_pool, events[i].text);
        rt_packet_t packet;
        rt_event_t event;

        ck_assert_ptr_null(rt_packet_read(&packet, text, strlen(text)));
        rt_packet_event(&event, &packet);
        ck_assert_str_eq(apr_pstrmemdup(hb_test_pool, event.name.at, event.name.len),
                         events[i].name);
        ck_assert_str_eq(apr_pstrmemdup(hb_test_pool, event.args.at, event.args.len),
                         events[i].args);
        ck_assert_int_eq(event.name_is_number, events[i].is_number);
        ck_assert_int_eq(event.wants_ack, packet.has_id);
    }
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        good_packets_are_read, bad_packets_are_not, names_and_arguments_come_apart, NULL
    };
    return hb_test_main("rt_sio", cases);
}
