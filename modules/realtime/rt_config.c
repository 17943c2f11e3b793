/* SPDX-License-Identifier: Apache-2.0 */
/* Times and limits: the product's, and those of the conformance profile. */
#include "rt_config.h"

#include <string.h>

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
    config->payload_max = 1000000;
    config->attachments_max = 10 * 1000000;
    config->plain_payload_max = 16 * 1024 * 1024;
    for (lane = 0; lane < RT_LANES; lane++) {
        config->queue.bytes[lane] = 64 * 1024 * 1024;
    }
    config->read_stop_bytes = 1024 * 1024;
}

void rt_config_read(rt_config_t *config, const hb_settings_t *settings)
{
    (void)settings;
    set_common(config);
    config->ping_interval_msec = 25000;
    config->ping_timeout_msec = 20000;
    config->join_timeout_msec = 45000;
    config->payload_max = 1000000;
    config->attachments_max = 1000000;
    config->plain_ping_msec = 25000;
    config->plain_pong_msec = 20000;
    config->plain_payload_max = 64 * 1024;
    config->queue.bytes[RT_LANE_MONEY] = 4 * 1024 * 1024;
    config->queue.bytes[RT_LANE_CHAT] = 1024 * 1024;
    config->queue.bytes[RT_LANE_REACTION] = 64 * 1024;
    config->queue.bytes[RT_LANE_METRIC] = 16 * 1024;
    config->read_stop_bytes = 256 * 1024;
    config->events_per_sec = 50;
    config->events_burst = 200;
    config->is_behind_httpd = 1;
}
