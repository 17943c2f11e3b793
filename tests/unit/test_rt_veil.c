/* SPDX-License-Identifier: Apache-2.0 */
/* What is left of an event for who is in a block with somebody it names. */
#include "rt_veil.h"

#include <string.h>

#include "hb_schema.h"
#include "hb_test.h"

#define ANNA "{\"id\":\"aaaaaaaaaaaaaaaaaaaaaaaa\",\"username\":\"anna\"}"
#define BIM "{\"id\":\"bbbbbbbbbbbbbbbbbbbbbbbb\",\"username\":\"bim\"}"
#define ROOM "\"streamId\":\"cccccccccccccccccccccccc\""

static const char *seen(hb_event_e event, const char *payload, int blocks_bim)
{
    rt_blocks_t *blocks = NULL;
    rt_veil_t veil;
    const char *text;

    rt_blocks_set(&blocks, blocks_bim ? "bbbbbbbbbbbbbbbbbbbbbbbb" : "dddddddddddddddddddddddd",
                  RT_BLOCK_THEIRS, 1);
    ck_assert(rt_veil_is_needed(event));
    rt_veil_make(&veil, event, payload, strlen(payload), hb_test_pool);
    text = rt_veil_text(&veil, blocks);
    rt_blocks_free(blocks);
    ck_assert(blocks_bim || text == payload);
    return text;
}

START_TEST(what_is_left)
{
    static const struct {
        hb_event_e event;
        const char *payload, *left;
    } rows[] = {
        { HB_EV_GIFT_SENT, "{\"gift\":{},\"sender\":" BIM ",\"totalCoins\":1}", NULL },
        { HB_EV_GIFT_SENT, "{\"gift\":{},\"sender\":" ANNA ",\"totalCoins\":1}",
          "{\"gift\":{},\"sender\":" ANNA ",\"totalCoins\":1}" },
        { HB_EV_THRONE_CLAIMED,
          "{\"throne\":{\"user\":" BIM ",\"price\":7},\"previous\":" ANNA "}",
          "{\"throne\":{\"user\":null,\"price\":7},\"previous\":" ANNA "}" },
        { HB_EV_THRONE_CLAIMED,
          "{\"throne\":{\"user\":" ANNA ",\"price\":7},\"previous\":" BIM "}",
          "{\"throne\":{\"user\":" ANNA ",\"price\":7},\"previous\":null}" },
        { HB_EV_THRONE_CLAIMED,
          "{\"throne\":{\"user\":" ANNA ",\"price\":7},\"previous\":null}",
          "{\"throne\":{\"user\":" ANNA ",\"price\":7},\"previous\":null}" },
        { HB_EV_THRONE_EXPIRED,
          "{\"throne\":{\"user\":null,\"price\":7},\"previous\":" BIM "}",
          "{\"throne\":{\"user\":null,\"price\":7},\"previous\":null}" },
        { HB_EV_PRESENCE_UPDATE,
          "{" ROOM ",\"viewers\":2,\"joined\":[" ANNA "," BIM "],\"left\":[" BIM "],"
          "\"moreJoined\":3,\"moreLeft\":0}",
          "{" ROOM ",\"viewers\":2,\"joined\":[" ANNA "],\"left\":[],"
          "\"moreJoined\":4,\"moreLeft\":1}" },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *left = seen(rows[i].event, rows[i].payload, 1);

        ck_assert(rt_veil_is_needed(rows[i].event));
        ck_assert_ptr_eq(seen(rows[i].event, rows[i].payload, 0), rows[i].payload);
        if (rows[i].left == NULL) {
            ck_assert_ptr_null(left);
        }
        else {
            ck_assert(hb_json_equal(hb_json_parse_own(left, strlen(left), hb_test_pool),
                                    hb_json_parse_own(rows[i].left, strlen(rows[i].left),
                                                      hb_test_pool)));
        }
    }
}
END_TEST

START_TEST(one_veil_serves_a_room)
{
    static const char payload[] = "{\"throne\":{\"user\":" BIM "},\"previous\":" ANNA "}";
    rt_blocks_t *blocks = NULL;
    rt_veil_t veil;
    const char *one, *other;

    rt_veil_make(&veil, HB_EV_THRONE_CLAIMED, payload, sizeof(payload) - 1, hb_test_pool);
    rt_blocks_set(&blocks, "bbbbbbbbbbbbbbbbbbbbbbbb", RT_BLOCK_MINE, 1);
    one = rt_veil_text(&veil, blocks);
    rt_blocks_set(&blocks, "bbbbbbbbbbbbbbbbbbbbbbbb", RT_BLOCK_MINE, 0);
    rt_blocks_set(&blocks, "aaaaaaaaaaaaaaaaaaaaaaaa", RT_BLOCK_MINE, 1);
    other = rt_veil_text(&veil, blocks);
    ck_assert_ptr_nonnull(strstr(one, "anna"));
    ck_assert_ptr_null(strstr(one, "bim"));
    ck_assert_ptr_nonnull(strstr(other, "bim"));
    ck_assert_ptr_null(strstr(other, "anna"));
    rt_blocks_free(blocks);
    ck_assert(!rt_veil_is_needed(HB_EV_CHAT_NEW));
}
END_TEST

int main(void)
{
    const TTest *const cases[] = { what_is_left, one_veil_serves_a_room, NULL };

    return hb_test_main("rt_veil", cases);
}
