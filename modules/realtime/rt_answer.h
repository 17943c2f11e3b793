/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_answer.h
 * What a client is told of what it asked for: {"ok":true, ...} or {"ok":false,"error":{...}}.
 * The table from problem classes to status numbers for sockets is rt_answer.c's; that for HTTP
 * is glue/hb_ap_reply.c's.
 */
#ifndef RT_ANSWER_H
#define RT_ANSWER_H

#include "hb_json.h"
#include "hb_op.h"

/** The status number of a core error. Does not wait. */
int rt_answer_status(apr_status_t status);

/** {"ok":true} with the members of reply (NULL for none), which is an object; in pool. */
hb_json_t *rt_answer_success(const hb_json_t *reply, apr_pool_t *pool);

/** {"ok":false,"error":{code,status,detail,requestId,...}} of the op's problem; in op->pool. */
hb_json_t *rt_answer_failure(hb_op_t *op, apr_status_t status);

/** The op's problem as HTTP tells it (RFC 9457): for doors that were not open yet. In op->pool. */
hb_json_t *rt_answer_problem(hb_op_t *op, apr_status_t status);

/** The inside of "error" without an op; in pool. */
hb_json_t *rt_answer_error(apr_status_t status, const char *detail, apr_pool_t *pool);

#endif /* RT_ANSWER_H */
