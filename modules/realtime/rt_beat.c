/* SPDX-License-Identifier: Apache-2.0 */
/* Counts are few kinds, so the latest of each stands in a short list. */
#include "rt_beat.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "hb_json.h"
#include "rt_memory.h"
#include "rt_presence.h"

#define MEMBERS_A_BEAT 1000
#define COUNTS_MAX 4            /* kinds of events in the metric lane */

typedef struct count_t {
    hb_event_e event;
    char *payload;              /* NULL when it was told */
    apr_size_t len;
} count_t;

struct rt_beat_t {
    rt_presence_t *presence;
    count_t counts[COUNTS_MAX];
    int n_counts;
    int is_listed;
    apr_uint64_t presence_at;   /* not told again before */
    hb_reactions_t heard, own;
};

rt_beat_t *rt_beat_of(rt_room_t *room)
{
    void **tag = rt_room_tag(room);

    if (*tag == NULL) {
        rt_beat_t *beat = rt_need(sizeof(*beat));

        beat->presence = rt_presence_make();
        *tag = beat;
    }
    return *tag;
}

void rt_beat_free(void *baton)
{
    rt_beat_t *beat = baton;
    int i;

    rt_presence_free(beat->presence);
    for (i = 0; i < beat->n_counts; i++) {
        free(beat->counts[i].payload);
    }
    free(beat);
}

int *rt_beat_is_listed(rt_beat_t *beat)
{
    return &beat->is_listed;
}

void rt_beat_moved(rt_beat_t *beat, const char *payload, apr_size_t len, apr_pool_t *scratch)
{
    const hb_json_t *news = hb_json_parse_own(payload, len, scratch);
    const hb_json_t *user = hb_json_get(news, "user");
    const char *id = hb_json_string(user, "id");

    if (id != NULL) {
        rt_presence_note(beat->presence, id, hb_json_text(user, scratch, NULL),
                         hb_json_bool(news, "isIn", 0), hb_json_int(news, "viewers", 0));
    }
}

void rt_beat_count(rt_beat_t *beat, hb_event_e event, const char *payload, apr_size_t len)
{
    count_t *count = NULL;
    int i;

    for (i = 0; i < beat->n_counts && count == NULL; i++) {
        count = beat->counts[i].event == event ? &beat->counts[i] : NULL;
    }
    if (count == NULL && beat->n_counts < COUNTS_MAX) {
        count = &beat->counts[beat->n_counts++];
    }
    if (count == NULL) {
        return;
    }
    free(count->payload);
    count->event = event;
    count->payload = rt_need(len + 1);
    count->len = len;
    memcpy(count->payload, payload, len);
}

void rt_beat_reacted(rt_beat_t *beat, const char *payload, apr_size_t len, apr_pool_t *scratch)
{
    hb_reactions_add(&beat->heard, hb_json_get(hb_json_parse_own(payload, len, scratch),
                                               "counts"));
}

void rt_beat_react(rt_beat_t *beat, int kind)
{
    beat->own.n[kind]++;
}

static int is_any(const hb_reactions_t *reactions)
{
    static const hb_reactions_t none = { { 0 } };

    return memcmp(reactions, &none, sizeof(none)) != 0;
}

int rt_beat_take_own(hb_reactions_t *own, rt_beat_t *beat)
{
    *own = beat->own;
    memset(&beat->own, 0, sizeof(beat->own));
    return is_any(own);
}

int rt_beat_flush(rt_beat_t *beat, const char *stream_id, apr_uint64_t now_msec, int members,
                  apr_pool_t *scratch,
                  void (*tell)(void *baton, hb_event_e event, const char *payload,
                               apr_size_t len), void *baton)
{
    int i, beats = 1 + members / MEMBERS_A_BEAT;

    if (rt_presence_is_due(beat->presence) && now_msec >= beat->presence_at) {
        const char *text = rt_presence_tell(beat->presence, stream_id, scratch);

        beats = beats < RT_BEATS_MAX ? beats : RT_BEATS_MAX;
        beat->presence_at = now_msec + (apr_uint64_t)(beats * RT_BEAT_MSEC);
        tell(baton, HB_EV_PRESENCE_UPDATE, text, strlen(text));
    }
    if (is_any(&beat->heard)) {
        apr_size_t len;
        const char *text = hb_json_text(hb_reactions_json(&beat->heard, stream_id, scratch),
                                        scratch, &len);

        tell(baton, HB_EV_REACTION_NEW, text, len);
        memset(&beat->heard, 0, sizeof(beat->heard));
    }
    for (i = 0; i < beat->n_counts; i++) {
        if (beat->counts[i].payload != NULL) {
            tell(baton, beat->counts[i].event, beat->counts[i].payload, beat->counts[i].len);
            free(beat->counts[i].payload);
            beat->counts[i].payload = NULL;
        }
    }
    return !rt_presence_is_due(beat->presence);
}
