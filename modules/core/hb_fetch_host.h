/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_fetch_host.h
 * Which hosts do not answer, and how long to leave them alone. Part of hb_fetch.c.
 */
#ifndef HB_FETCH_HOST_H
#define HB_FETCH_HOST_H

#include "hb_op.h"

typedef struct hb_fetch_hosts_t hb_fetch_hosts_t;

apr_status_t hb_fetch_hosts_make(hb_fetch_hosts_t **made, apr_pool_t *pool);

/**
 * Is there room for a call to this host? 0: yes, and hb_fetch_host_leave() is due after it.
 * Else the seconds after which to ask again: the host is being left alone, or too many
 * calls of this process wait for it already. While a host is on trial only one caller
 * gets 0, until it notes how that went.
 */
int hb_fetch_host_enter(hb_fetch_hosts_t *hosts, hb_op_t *op, const char *host);

/** How a try went: answered, or nothing or a failure of the service (5xx). */
void hb_fetch_host_note(hb_fetch_hosts_t *hosts, hb_op_t *op, const char *host, int is_well);

/** The call is over. */
void hb_fetch_host_leave(hb_fetch_hosts_t *hosts, const char *host);

#endif /* HB_FETCH_HOST_H */
