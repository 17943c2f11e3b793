/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_agora.h
 * Media tokens of Agora: AccessToken2, version "007". Pure arithmetic: nothing is asked
 * over the network, and nothing waits. Which room and role somebody gets is hb_stream.c's.
 */
#ifndef HB_AGORA_H
#define HB_AGORA_H

#include "hb_op.h"

/* Services of a token and what they let one do. */
#define HB_AGORA_RTC 1
#define HB_AGORA_RTC_JOIN 1
#define HB_AGORA_RTC_PUBLISH_AUDIO 2
#define HB_AGORA_RTC_PUBLISH_VIDEO 3
#define HB_AGORA_RTC_PUBLISH_DATA 4

typedef struct hb_agora_grant_t {
    unsigned int privilege;
    apr_uint32_t seconds;       /* from the moment of issue */
} hb_agora_grant_t;

typedef struct hb_agora_service_t {
    unsigned int type;
    const hb_agora_grant_t *grants;     /* ascending by privilege */
    int n_grants;
    const char *names[2];       /* RTC: channel and uid; others: see Agora; NULL behind the last */
} hb_agora_service_t;

/** Everything of a token, in Agora's words. */
typedef struct hb_agora_token_t {
    const char *app_id;         /* 32 hex digits, as text */
    const char *certificate;    /* 32 hex digits, as text */
    apr_uint32_t issued_at;     /* seconds since 1970 */
    apr_uint32_t seconds;       /* life from then on */
    apr_uint32_t salt;          /* 1 to 99999999 */
    const hb_agora_service_t *services;     /* in any order */
    int n_services;
} hb_agora_token_t;

/** The text of a token, in pool. NULL when app id or certificate are not 32 hex digits. */
const char *hb_agora_token_text(const hb_agora_token_t *token, apr_pool_t *pool);

/** Are app id and certificate both set and well-formed? */
int hb_agora_is_set(const hb_op_t *op);

/**
 * A token that lets one uid into one channel.
 * @param uid  decimal 1 to 4294967295; never "0" or "", which would let anybody in
 * @param is_publisher  may send sound, picture and data, too
 * @param ttl_usec  at most a day
 * @return HB_E_MEDIA_UNSET when app id or certificate are not set (a log line says which)
 */
apr_status_t hb_agora_rtc_token(const char **token, hb_op_t *op, const char *channel,
                                const char *uid, int is_publisher,
                                apr_interval_time_t ttl_usec);

#endif /* HB_AGORA_H */
