/* SPDX-License-Identifier: Apache-2.0 */
/* Times and limits: the product's, and those of the conformance profile. */
#include "rt_config.h"

#include <string.h>

/* Messages behind the plain door are small JSON objects, and so is what somebody says who
 * is not in. */
#define PLAIN_PAYLOAD_MAX 65536

/* A connection is cut at so many times the calls it may make, kept up for so long. */
#define FLOOD_TIMES 5
#define FLOOD_SECONDS 3

/* What both have. */
static void set_common(rt_config_t *config)
{
    memset(config, 0, sizeof(*config));
    config->upgrade_timeout_msec = 10000;
    config->close_timeout_msec = 30000;
    config->head_timeout_msec = 30000;
    config->idle_timeout_msec = 75000;
    config->stall_timeout_msec = 30000;
    config->linger_msec = 5000;
    config->batch_msec = 5;
    config->sockets_max = 32;
    config->cors_origins = "";
}

void rt_config_echo(rt_config_t *config)
{
    int lane;

    set_common(config);
    config->ping_interval_msec = 300;
    config->ping_timeout_msec = 200;
    config->join_timeout_msec = 1000;
    config->payload_max = config->stranger_payload_max = 1000000;
    config->attachments_max = 10 * 1000000;
    config->plain_payload_max = 16 * 1024 * 1024;
    for (lane = 0; lane < RT_LANES; lane++) {
        config->queue.bytes[lane] = 64 * 1024 * 1024;
    }
    config->read_stop_bytes = 1024 * 1024;
}

static uint32_t msec(apr_interval_time_t usec)
{
    return (uint32_t)(usec / 1000);
}

void rt_config_read(rt_config_t *config, const hb_settings_t *settings)
{
    uint32_t queue = (uint32_t)settings->realtime_queue;

    set_common(config);
    config->loops = (int)settings->realtime_loops;
    config->ping_interval_msec = config->plain_ping_msec = msec(settings->realtime_ping);
    config->ping_timeout_msec = config->plain_pong_msec = msec(settings->realtime_pong);
    config->join_timeout_msec = 45000;
    config->payload_max = config->attachments_max = (uint32_t)settings->realtime_payload;
    config->plain_payload_max = config->payload_max < PLAIN_PAYLOAD_MAX ? config->payload_max
                                : PLAIN_PAYLOAD_MAX;
    config->stranger_payload_max = config->plain_payload_max;
    config->queue.bytes[RT_LANE_MONEY] = 4 * queue;
    config->queue.bytes[RT_LANE_CHAT] = queue;
    config->queue.bytes[RT_LANE_REACTION] = queue / 16;
    config->queue.bytes[RT_LANE_METRIC] = queue / 64;
    config->read_stop_bytes = queue / 4;
    /* Who sends so much more than the application allows does not listen to refusals. */
    config->events_per_sec = (uint32_t)settings->realtime_calls * FLOOD_TIMES;
    config->events_burst = config->events_per_sec * FLOOD_SECONDS;
    config->per_address_max = (int)settings->realtime_per_address;
    config->is_behind_httpd = 1;
    config->may_deflate = settings->realtime_deflate;
}
