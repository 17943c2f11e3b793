/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bus for the operator: how full it is, and what passes. Looking takes nothing away and
 * holds nobody up. What events carry may be private, so it is shown on demand only.
 */
#include "ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>
#include <apr_time.h>

#include "hb_bus.h"
#include "hb_time.h"

#define LOOK_USEC 100000

int ctl_bus_stats(ctl_t *ctl, int argc, const char *const *argv)
{
    hb_bus_stats_t stats;
    hb_json_t *json;
    hb_op_t *op;
    apr_status_t rv;
    int rc = ctl_begin(&op, ctl, argc, argv, NULL, NULL, 0, 0);

    if (rc != CTL_OK) {
        return rc;
    }
    rv = hb_bus_stats(&stats, ctl->site);
    if (rv != APR_SUCCESS) {
        ctl_fail(ctl, "HaloBuzzBus %s cannot be opened",
                 hb_url_shown(hb_bus_url(ctl->settings), ctl->pool));
        return CTL_UNREACHABLE;
    }
    if (ctl->wants_json) {
        json = hb_json_object_make(ctl->pool);
        hb_json_set_string(json, "epoch", stats.epoch);
        hb_json_set_int(json, "oldest", (apr_int64_t)stats.oldest);
        hb_json_set_int(json, "newest", (apr_int64_t)stats.newest);
        hb_json_set_int(json, "bytesUsed", (apr_int64_t)stats.bytes_used);
        hb_json_set_int(json, "bytesTotal", (apr_int64_t)stats.bytes_total);
        hb_json_set_int(json, "dropped", (apr_int64_t)stats.dropped);
        ctl_json(ctl, json);
        return CTL_OK;
    }
    ctl_say(ctl, "log:     %s, epoch %s", hb_url_shown(hb_bus_url(ctl->settings), ctl->pool),
            stats.epoch);
    ctl_say(ctl, "events:  %" APR_UINT64_T_FMT " (numbers %" APR_UINT64_T_FMT " to %"
            APR_UINT64_T_FMT ")", stats.newest + 1 - stats.oldest, stats.oldest, stats.newest);
    ctl_say(ctl, "bytes:   %" APR_UINT64_T_FMT " of %" APR_UINT64_T_FMT, stats.bytes_used,
            stats.bytes_total);
    ctl_mark(ctl, stats.dropped == 0 ? CTL_GOOD : CTL_NOTE, "dropped: %" APR_UINT64_T_FMT
             " events could not be written", stats.dropped);
    return CTL_OK;
}

static void show(const ctl_t *ctl, const hb_event_t *event, int wants_payload)
{
    const hb_event_row_t *row = hb_event_row(event->event);
    const char *at = hb_time_text(ctl->pool, event->at);
    hb_json_t *json;

    if (ctl->wants_json) {
        json = hb_json_object_make(ctl->pool);
        hb_json_set_int(json, "seq", (apr_int64_t)event->seq);
        hb_json_set_string(json, "at", at);
        hb_json_set_string(json, "event", row->name);
        hb_json_set_string(json, "lane", hb_lane_name(row->lane));
        hb_json_set_string(json, "target", hb_target_name(row->target));
        hb_json_set_string(json, "id", event->id);
        hb_json_set_string(json, "onlyUser", event->only_user);
        hb_json_set_int(json, "bytes", (apr_int64_t)event->payload_bytes);
        if (wants_payload) {
            hb_json_set(json, "payload", hb_json_parse_own(event->payload, event->payload_bytes,
                                                           ctl->pool));
        }
        ctl_say(ctl, "%s", hb_json_text(json, ctl->pool, NULL));
        return;
    }
    ctl_say(ctl, "%" APR_UINT64_T_FMT "  %s  %-16s %-9s %s:%s%s%s  %" APR_SIZE_T_FMT "%s%s",
            event->seq, at, row->name, hb_lane_name(row->lane), hb_target_name(row->target),
            event->id, event->only_user != NULL ? " only " : "",
            event->only_user != NULL ? event->only_user : "", event->payload_bytes,
            wants_payload ? "  " : "", wants_payload ? event->payload : "");
}

/* Until it is interrupted, or until what is there was shown. */
static int follow(ctl_t *ctl, hb_bus_reader_t *reader, int wants_payload, int ends)
{
    apr_pool_t *pool = ctl->pool;
    hb_event_t event;
    apr_status_t rv;

    apr_pool_create(&ctl->pool, pool);
    for (;;) {
        rv = hb_bus_read(&event, reader);
        if (rv == APR_SUCCESS) {
            show(ctl, &event, wants_payload);
            apr_pool_clear(ctl->pool);
        }
        else if (rv == HB_E_BUS_GAP) {
            fprintf(stderr, "halobuzzctl %s: events are missing here; the epoch is %s\n",
                    ctl->command, hb_bus_reader_epoch(reader));
        }
        else if (ends) {
            break;
        }
        else {
            fflush(stdout);
            apr_sleep(LOOK_USEC);
        }
    }
    apr_pool_destroy(ctl->pool);
    ctl->pool = pool;
    return rv == APR_EAGAIN ? CTL_OK : CTL_UNREACHABLE;
}

int ctl_bus_tail(ctl_t *ctl, int argc, const char *const *argv)
{
    int is_all = 0, wants_payload = 0, ends = 0;
    const ctl_option_t options[] = {
        { "all", NULL, &is_all },
        { "no-follow", NULL, &ends },
        { "payload", NULL, &wants_payload },
        { NULL, NULL, NULL }
    };
    hb_bus_reader_t *reader;
    hb_op_t *op;
    int rc = ctl_begin(&op, ctl, argc, argv, options, NULL, 0, 0);

    if (rc != CTL_OK) {
        return rc;
    }
    if (hb_bus_reader_open(&reader, ctl->site, is_all ? HB_BUS_OLDEST : HB_BUS_NEWEST, 0,
                           ctl->pool) != APR_SUCCESS) {
        ctl_fail(ctl, "HaloBuzzBus %s cannot be opened",
                 hb_url_shown(hb_bus_url(ctl->settings), ctl->pool));
        return CTL_UNREACHABLE;
    }
    return follow(ctl, reader, wants_payload, ends);
}
