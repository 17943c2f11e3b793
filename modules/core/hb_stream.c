/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a host does with a stream: plan, change, start, end, withdraw. Each is one
 * transaction that reads the record, asks the life cycle's table and writes, so that of two
 * at once the later one sees what the earlier one did.
 */
#include "hb_stream.h"

#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "hb_audit.h"
#include "hb_ink.h"
#include "hb_metrics.h"
#include "hb_role.h"
#include "hb_store.h"
#include "hb_stream_list.h"
#include "hb_stream_quality.h"
#include "hb_viewer.h"

/* One step in the life of a stream, as a transaction sees it. */
typedef struct step_t {
    const char *id;
    const hb_json_t *input;     /* edit only */
    const char *reason;         /* end only */
    apr_int64_t before_msec;    /* end of a silent one only */
    hb_json_t *quality;         /* end only; NULL when nothing is known */
    hb_json_t *stream;          /* as it is afterwards */
    int did_end;
} step_t;

/* What the host may set, in the order of the form. */
static const char *const editable[] = {
    "title", "description", "category", "country", "language", "thumbnailUrl", NULL
};

#define N_EDITABLE (sizeof(editable) / sizeof(editable[0]) - 1)

int hb_stream_is_host(const hb_op_t *op, const hb_json_t *stream)
{
    const char *host_id = hb_json_string(stream, "hostId");

    return host_id != NULL && op->actor.user_id != NULL
           && strcmp(host_id, op->actor.user_id) == 0;
}

int hb_stream_is_for_staff(hb_op_t *op)
{
    hb_problem_t before = op->problem;

    if (hb_role_need(op, HB_ROLES_STAFF) == APR_SUCCESS) {
        return 1;
    }
    op->problem = before;       /* it was a question, not a failure */
    return 0;
}

const char *hb_stream_category(apr_pool_t *pool, const char *category)
{
    char *lower, *c;

    if (category == NULL) {
        return NULL;
    }
    lower = apr_pstrdup(pool, category);
    for (c = lower; *c != '\0'; c++) {
        if (*c >= 'A' && *c <= 'Z') {
            *c += 'a' - 'A';
        }
    }
    return lower;
}

/* Whether planned or not, whoever asks. */
static apr_status_t load(hb_json_t **stream, hb_op_t *op, const char *id)
{
    apr_status_t rv;

    rv = hb_id_is_valid(id) ? hb_store_get(stream, op, HB_C_STREAMS, id)
                            : HB_E_STORE_MISSING;
    if (rv == HB_E_STORE_MISSING) {
        return hb_fail(op, HB_E_STREAM_UNKNOWN, "there is no stream with this id");
    }
    return rv;
}

apr_status_t hb_stream_get(hb_json_t **stream, hb_op_t *op, const char *id)
{
    apr_status_t rv = load(stream, op, id);

    if (rv == APR_SUCCESS && hb_stream_state(*stream) == HB_STREAM_PENDING
        && !hb_stream_is_host(op, *stream) && !hb_stream_is_for_staff(op)) {
        return hb_fail(op, HB_E_STREAM_UNKNOWN, "there is no stream with this id");
    }
    return rv;
}

static apr_status_t load_own(hb_json_t **stream, hb_op_t *op, const char *id)
{
    apr_status_t rv = hb_stream_get(stream, op, id);

    if (rv == APR_SUCCESS && !hb_stream_is_host(op, *stream)) {
        return hb_fail(op, HB_E_FORBIDDEN, "only its host may do this to a stream");
    }
    return rv;
}

hb_json_t *hb_stream_to_json(hb_op_t *op, const hb_json_t *stream)
{
    unsigned int who = HB_ALL;

    if (hb_stream_is_host(op, stream)) {
        who |= HB_SELF;
    }
    else if (hb_stream_is_for_staff(op)) {
        who |= HB_STAFF;
    }
    return hb_schema_view(op, HB_C_STREAMS, stream, who);
}

hb_json_t *hb_stream_to_public_json(hb_op_t *op, const hb_json_t *stream)
{
    return hb_schema_view(op, HB_C_STREAMS, stream, HB_ALL);
}

void hb_stream_changed(hb_op_t *op, const hb_json_t *stream)
{
    hb_stream_list_renew(op);
    if (stream != NULL) {
        hb_stream_rank(op, stream);
    }
}

/* The form has checked the length; a title of blanks or with line breaks would still pass. */
static apr_status_t check_title(hb_op_t *op, const char *title)
{
    return hb_ink_check(op, "title", title, "a title", 0);
}

/* --- create --- */

apr_status_t hb_stream_create(hb_json_t **stream, hb_op_t *op, const hb_json_t *input)
{
    hb_json_t *doc = hb_json_object_make(op->pool);
    const char *id = hb_id_make(op);
    const char *host_id = op->actor.user_id;
    const char *index = NULL;
    hb_json_t *host;
    apr_status_t rv;
    apr_size_t i;

    if (host_id == NULL) {
        return hb_fail(op, HB_E_AUTH_REQUIRED, "a stream needs a host who is signed in");
    }
    rv = check_title(op, hb_json_string(input, "title"));
    if (rv == APR_SUCCESS) {
        rv = hb_store_get(&host, op, HB_C_USERS, host_id);
        if (rv == HB_E_STORE_MISSING) {
            return hb_fail(op, HB_E_USER_UNKNOWN, "the host's account is gone");
        }
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }

    hb_json_set_string(doc, "_id", id);
    hb_json_set_string(doc, "hostId", host_id);
    hb_json_set_string(doc, "activeHostId", host_id);
    for (i = 0; i < N_EDITABLE; i++) {
        const char *text = hb_json_string(input, editable[i]);

        if (text == NULL && strcmp(editable[i], "country") == 0) {
            text = hb_json_string(host, "country");
        }
        if (strcmp(editable[i], "category") == 0) {
            text = hb_stream_category(op->pool, text);
        }
        if (text != NULL) {
            hb_json_set_string(doc, editable[i], text);
        }
    }
    hb_json_set_string(doc, "status", hb_stream_state_name(HB_STREAM_PENDING));
    hb_json_set_string(doc, "channel", id);
    hb_json_set_int(doc, "viewers", 0);
    hb_json_set_int(doc, "peakViewers", 0);
    hb_json_set_int(doc, "totalViews", 0);
    hb_json_set_int(doc, "totalCoins", 0);
    hb_json_set_int(doc, "uniqueViewers", 0);
    hb_json_set_int(doc, "watchMsec", 0);
    hb_json_set_int(doc, "score", 0);
    hb_json_set_int(doc, "createdAt", apr_time_as_msec(op->now));

    rv = hb_store_insert(&index, op, HB_C_STREAMS, doc);
    if (rv == HB_E_STORE_DUPLICATE && index != NULL && strcmp(index, "activeHost") == 0) {
        return hb_fail(op, HB_E_STREAM_LIVE,
                       "end or withdraw the stream you have before you plan another one");
    }
    *stream = doc;
    return rv;
}

/* --- edit --- */

static apr_status_t edit_tx(hb_op_t *op, void *baton)
{
    step_t *step = baton;
    hb_edit_t edits[N_EDITABLE];
    apr_status_t rv;
    apr_size_t i;
    int n = 0;

    rv = load_own(&step->stream, op, step->id);
    if (rv == APR_SUCCESS) {
        rv = hb_stream_next(NULL, op, hb_stream_state(step->stream), HB_STREAM_EDIT);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    for (i = 0; i < N_EDITABLE; i++) {
        const char *text = hb_json_string(step->input, editable[i]);

        if (!hb_json_has(step->input, editable[i])) {
            continue;
        }
        if (strcmp(editable[i], "category") == 0) {
            text = hb_stream_category(op->pool, text);
        }
        edits[n++] = text != NULL ? (hb_edit_t){ editable[i], HB_SET, HB_STR(text) }
                                  : (hb_edit_t){ editable[i], HB_UNSET, HB_NIL };
    }
    if (n == 0) {
        return APR_SUCCESS;
    }
    return hb_store_change(&step->stream, NULL, op, HB_C_STREAMS, step->id, NULL, 0,
                           edits, n);
}

apr_status_t hb_stream_edit(hb_json_t **stream, hb_op_t *op, const char *id,
                            const hb_json_t *input)
{
    step_t step = { .id = id, .input = input };
    const char *title = hb_json_string(input, "title");
    apr_status_t rv = APR_SUCCESS;

    if (title != NULL) {
        rv = check_title(op, title);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_transact(op, edit_tx, &step);
    }
    if (rv == APR_SUCCESS) {
        hb_stream_host_seen(op, step.stream);
        hb_stream_changed(op, step.stream);
        hb_stream_tell_edited(op, step.stream);
        *stream = step.stream;
    }
    return rv;
}

/* --- start --- */

static apr_status_t start_tx(hb_op_t *op, void *baton)
{
    step_t *step = baton;
    hb_stream_state_e next = HB_STREAM_LIVE;
    apr_status_t rv;

    rv = load_own(&step->stream, op, step->id);
    if (rv == APR_SUCCESS) {
        rv = hb_stream_next(&next, op, hb_stream_state(step->stream), HB_STREAM_START);
    }
    if (rv == APR_SUCCESS) {
        const hb_edit_t edits[] = {
            { "status", HB_SET, HB_STR(hb_stream_state_name(next)) },
            { "startedAt", HB_SET, HB_INT(apr_time_as_msec(op->now)) },
        };

        rv = hb_store_change(&step->stream, NULL, op, HB_C_STREAMS, step->id, NULL, 0,
                             edits, 2);
    }
    if (rv == APR_SUCCESS) {
        hb_stream_tell_started(op, step->stream);
    }
    return rv;
}

apr_status_t hb_stream_start(hb_json_t **stream, hb_op_t *op, const char *id)
{
    step_t step = { .id = id };
    apr_status_t rv = hb_store_transact(op, start_tx, &step);

    if (rv == APR_SUCCESS) {
        hb_stream_changed(op, step.stream);
        hb_metric_add(op->site->metrics, HB_M_STREAMS_STARTED, 1);
        *stream = step.stream;
    }
    return rv;
}

/* --- end --- */

static hb_json_t *analyse(hb_op_t *op, const hb_json_t *stream, apr_int64_t duration_msec,
                          hb_json_t *quality)
{
    hb_json_t *analytics = hb_json_object_make(op->pool);
    apr_int64_t unique = hb_json_int(stream, "uniqueViewers", 0);
    apr_int64_t watch_msec = hb_json_int(stream, "watchMsec", 0)
                             + hb_json_int(stream, "viewers", 0) * duration_msec;

    if (watch_msec < 0) {
        watch_msec = 0;         /* the clock was set back while people watched */
    }
    hb_json_set_int(analytics, "durationSec", duration_msec / 1000);
    hb_json_set_int(analytics, "peakViewers", hb_json_int(stream, "peakViewers", 0));
    hb_json_set_int(analytics, "totalViews", hb_json_int(stream, "totalViews", 0));
    hb_json_set_int(analytics, "uniqueViewers", unique);
    hb_json_set_int(analytics, "watchSec", watch_msec / 1000);
    hb_json_set_int(analytics, "averageWatchSec",
                    unique > 0 ? watch_msec / 1000 / unique : 0);
    hb_json_set_int(analytics, "totalCoins", hb_json_int(stream, "totalCoins", 0));
    if (quality != NULL) {
        hb_json_set(analytics, "quality", quality);
    }
    else {
        hb_json_set_null(analytics, "quality");
    }
    return analytics;
}

/* Inside a transaction: the room is cleared, the record closed, the analytics written. */
static apr_status_t finish(hb_json_t **after, hb_op_t *op, hb_json_t *stream,
                           const char *reason, hb_json_t *quality)
{
    const char *id = hb_json_string(stream, "_id");
    apr_int64_t viewers = hb_json_int(stream, "viewers", 0);
    apr_int64_t started_at = hb_json_int(stream, "startedAt", 0);
    apr_int64_t ended_at = apr_time_as_msec(op->now);
    hb_stream_state_e next = HB_STREAM_ENDED;
    apr_status_t rv;

    rv = hb_stream_next(&next, op, hb_stream_state(stream), HB_STREAM_END);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (ended_at < started_at) {
        ended_at = started_at;
    }
    rv = hb_viewer_leave_all(op, id, ended_at);
    if (rv == APR_SUCCESS) {
        const hb_edit_t edits[] = {
            { "status", HB_SET, HB_STR(hb_stream_state_name(next)) },
            { "endedAt", HB_SET, HB_INT(ended_at) },
            { "endReason", HB_SET, HB_STR(reason) },
            { "activeHostId", HB_UNSET, HB_NIL },
            { "viewers", HB_SET, HB_INT(0) },
            { "score", HB_INC, HB_INT(-HB_SCORE_VIEWER * viewers) },
            { "watchMsec", HB_INC, HB_INT(viewers * (ended_at - started_at)) },
            { "analytics", HB_SET,
              HB_DOC(analyse(op, stream, ended_at - started_at, quality)) },
        };

        rv = hb_store_change(after, NULL, op, HB_C_STREAMS, id, NULL, 0, edits,
                             sizeof(edits) / sizeof(edits[0]));
    }
    if (rv == APR_SUCCESS) {
        hb_stream_tell_ended(op, *after);
    }
    return rv;
}

static apr_status_t end_tx(hb_op_t *op, void *baton)
{
    step_t *step = baton;
    apr_status_t rv;
    int is_host;

    rv = hb_stream_get(&step->stream, op, step->id);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    is_host = hb_stream_is_host(op, step->stream);
    if (!is_host) {
        rv = hb_role_need(op, HB_ROLE_MODERATOR);
    }
    if (rv == APR_SUCCESS) {
        rv = finish(&step->stream, op, step->stream, is_host ? "host" : "moderator",
                    step->quality);
    }
    if (rv == APR_SUCCESS && !is_host) {
        rv = hb_audit_add(op, NULL, "stream.end",
                          apr_pstrcat(op->pool, "stream:", step->id, NULL), 1, NULL);
    }
    return rv;
}

static void ended(hb_op_t *op, const hb_json_t *stream)
{
    hb_stream_changed(op, stream);
    hb_metric_add(op->site->metrics, HB_M_STREAMS_ENDED, 1);
}

apr_status_t hb_stream_end(hb_json_t **stream, hb_op_t *op, const char *id)
{
    step_t step = { .id = id, .quality = hb_stream_quality(op, id) };
    apr_status_t rv = hb_store_transact(op, end_tx, &step);

    if (rv == APR_SUCCESS) {
        ended(op, step.stream);
        *stream = step.stream;
    }
    return rv;
}

/* --- withdraw, and a host who goes --- */

static apr_status_t drop_tx(hb_op_t *op, void *baton)
{
    step_t *step = baton;
    apr_status_t rv;

    rv = load_own(&step->stream, op, step->id);
    if (rv == APR_SUCCESS) {
        rv = hb_stream_next(NULL, op, hb_stream_state(step->stream), HB_STREAM_DROP);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_remove(op, HB_C_STREAMS, step->id, NULL, 0);
    }
    return rv;
}

apr_status_t hb_stream_drop(hb_op_t *op, const char *id)
{
    step_t step = { .id = id };

    return hb_store_transact(op, drop_tx, &step);
}

static apr_status_t end_of_host_tx(hb_op_t *op, void *baton)
{
    step_t *step = baton;       /* its id is the host's */
    const hb_cond_t where[] = { { "activeHostId", HB_IS, HB_STR(step->id) } };
    const hb_query_t query = { .in = HB_C_STREAMS, .where = where, .n_where = 1 };
    apr_status_t rv;

    step->did_end = 0;
    rv = hb_store_find_one(&step->stream, op, &query);
    if (rv == HB_E_STORE_MISSING) {
        step->stream = NULL;
        return APR_SUCCESS;
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (hb_stream_state(step->stream) == HB_STREAM_PENDING) {
        return hb_store_remove(op, HB_C_STREAMS, hb_json_string(step->stream, "_id"),
                               NULL, 0);
    }
    step->did_end = 1;
    return finish(&step->stream, op, step->stream, step->reason, NULL);
}

apr_status_t hb_stream_end_of_host(hb_op_t *op, const char *host_id, const char *reason)
{
    step_t step = { .id = host_id, .reason = reason };
    apr_status_t rv = hb_store_transact(op, end_of_host_tx, &step);

    if (rv == APR_SUCCESS && step.did_end) {
        ended(op, step.stream);
    }
    return rv;
}

/* --- a host who went silent --- */

static apr_status_t end_silent_tx(hb_op_t *op, void *baton)
{
    step_t *step = baton;
    apr_status_t rv = hb_store_get(&step->stream, op, HB_C_STREAMS, step->id);

    step->did_end = 0;
    if (rv == HB_E_STORE_MISSING) {
        return APR_SUCCESS;
    }
    if (rv != APR_SUCCESS || hb_stream_state(step->stream) != HB_STREAM_LIVE
        || hb_stream_seen_msec(step->stream) >= step->before_msec) {
        return rv;
    }
    step->did_end = 1;
    return finish(&step->stream, op, step->stream, "silent", step->quality);
}

apr_status_t hb_stream_end_silent(int *did_end, hb_op_t *op, const char *id,
                                  apr_int64_t before_msec)
{
    step_t step = { .id = id, .before_msec = before_msec, .quality = hb_stream_quality(op, id) };
    apr_status_t rv = hb_store_transact(op, end_silent_tx, &step);

    *did_end = rv == APR_SUCCESS && step.did_end;
    if (*did_end) {
        ended(op, step.stream);
    }
    return rv;
}

/* --- how many --- */

apr_status_t hb_stream_gauge(hb_op_t *op)
{
    const hb_cond_t where[] = {
        { "status", HB_IS, HB_STR(hb_stream_state_name(HB_STREAM_LIVE)) },
    };
    const hb_query_t query = { .in = HB_C_STREAMS, .where = where, .n_where = 1 };
    hb_metrics_t *metrics = op->site->metrics;
    apr_int64_t n = 0;
    apr_status_t rv = hb_store_count(&n, op, &query);

    if (rv == APR_SUCCESS) {
        hb_metric_add(metrics, HB_M_STREAMS_ACTIVE,
                      n - hb_metric_value(metrics, HB_M_STREAMS_ACTIVE));
    }
    return rv;
}
