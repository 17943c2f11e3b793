/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sequence of the deployment runbook and more, against any server: two people register, one
 * streams, the other watches, both go. Each step is a row; the first that fails ends the run, but
 * what was made is taken away again in any case.
 */
#include "ctl.h"

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <apr_strings.h>
#include <apr_time.h>

#define API "/api/v1"

typedef struct person_t {
    const char *username, *email, *password;
    const char *access, *refresh, *id;
} person_t;

typedef struct smoke_t {
    ctl_t *ctl;
    const char *base;
    person_t host, viewer;
    const char *stream_id;
    int is_live;
    ctl_reply_t reply;
} smoke_t;

/* Gives NULL, or a sentence that says what is wrong. */
typedef const char *step_fn(smoke_t *smoke);

typedef struct step_t {
    const char *label;
    step_fn *run;
    /* Of those that tidy up, which run also after a failure: is there something to take away? */
    int (*has)(const smoke_t *smoke);
} step_t;

/* --- asking and expecting --- */

static const char *text(smoke_t *smoke, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static const char *text(smoke_t *smoke, const char *fmt, ...)
{
    const char *made;
    va_list args;

    va_start(args, fmt);
    made = apr_pvsprintf(smoke->ctl->pool, fmt, args);
    va_end(args);
    return made;
}

/* One call; NULL when it is answered with this status. */
static const char *ask(smoke_t *smoke, int status, const char *method, const char *path,
                       const person_t *as, const char *body)
{
    ctl_reply_t *reply = &smoke->reply;
    const char *detail;

    ctl_http(reply, smoke->ctl, method, text(smoke, "%s%s", smoke->base, path),
             as != NULL ? as->access : NULL, body);
    if (reply->status == status) {
        return NULL;
    }
    if (reply->status == 0) {
        return text(smoke, "%s does not answer: %s", smoke->base, reply->why);
    }
    detail = hb_json_string(reply->json, "detail");
    return text(smoke, "status %d instead of %d%s%s%s%s", reply->status, status,
                hb_json_string(reply->json, "code") != NULL ? ", " : "",
                hb_json_string(reply->json, "code") != NULL
                ? hb_json_string(reply->json, "code") : "",
                detail != NULL ? ": " : "", detail != NULL ? detail : "");
}

/* One call that has to be refused in the platform's one shape. */
static const char *refused(smoke_t *smoke, int status, const char *code, const char *method,
                           const char *path, const person_t *as, const char *body)
{
    static const char *const members[] = { "type", "title", "code", "requestId", NULL };
    const ctl_reply_t *reply = &smoke->reply;
    const char *wrong = ask(smoke, status, method, path, as, body);
    int i;

    if (wrong != NULL) {
        return wrong;
    }
    if (strcmp(reply->type, "application/problem+json") != 0) {
        return text(smoke, "the refusal is %s instead of application/problem+json", reply->type);
    }
    for (i = 0; members[i] != NULL; i++) {
        if (hb_json_string(reply->json, members[i]) == NULL) {
            return text(smoke, "the refusal has no %s", members[i]);
        }
    }
    if (hb_json_int(reply->json, "status", 0) != status) {
        return "the refusal's status member differs from its status";
    }
    if (strcmp(hb_json_string(reply->json, "code"), code) != 0) {
        return text(smoke, "the refusal is %s instead of %s",
                    hb_json_string(reply->json, "code"), code);
    }
    return NULL;
}

/* A string of the last answer, or NULL. */
static const char *told(const smoke_t *smoke, const char *path)
{
    return hb_json_string_value(hb_json_at(smoke->reply.json, path));
}

static const char *is(smoke_t *smoke, const char *path, const char *wanted)
{
    const char *got = told(smoke, path);

    return got != NULL && strcmp(got, wanted) == 0 ? NULL
        : text(smoke, "%s is %s instead of %s", path, got != NULL ? got : "missing", wanted);
}

static const char *counts(smoke_t *smoke, const char *path, apr_int64_t wanted)
{
    apr_int64_t got = hb_json_int_value(hb_json_at(smoke->reply.json, path), -1);

    return got == wanted ? NULL
        : text(smoke, "%s is %" APR_INT64_T_FMT " instead of %" APR_INT64_T_FMT, path, got,
               wanted);
}

static const char *stream_path(smoke_t *smoke, const char *tail)
{
    return text(smoke, API "/streams/%s%s", smoke->stream_id, tail);
}

/* --- people --- */

static const char *take_tokens(smoke_t *smoke, person_t *who)
{
    if (told(smoke, "accessToken") == NULL || told(smoke, "refreshToken") == NULL) {
        return "the answer has no tokens";
    }
    who->access = told(smoke, "accessToken");
    who->refresh = told(smoke, "refreshToken");
    if (told(smoke, "user.id") != NULL) {
        who->id = told(smoke, "user.id");
    }
    return NULL;
}

static const char *register_one(smoke_t *smoke, person_t *who)
{
    const char *wrong = ask(smoke, 201, "POST", API "/auth/register", NULL,
                            text(smoke, "{\"email\":\"%s\",\"username\":\"%s\",\"password\":\"%s\"}",
                                 who->email, who->username, who->password));

    return wrong != NULL ? wrong : take_tokens(smoke, who);
}

static const char *health(smoke_t *smoke)
{
    const char *wrong = ask(smoke, 200, "GET", "/health", NULL, NULL);

    return wrong != NULL ? wrong : is(smoke, "status", "healthy");
}

static const char *register_host(smoke_t *smoke)
{
    return register_one(smoke, &smoke->host);
}

static const char *log_in(smoke_t *smoke)
{
    const char *wrong = ask(smoke, 200, "POST", API "/auth/login", NULL,
                            text(smoke, "{\"email\":\"%s\",\"password\":\"%s\"}",
                                 smoke->host.email, smoke->host.password));

    return wrong != NULL ? wrong : take_tokens(smoke, &smoke->host);
}

static const char *who_am_i(smoke_t *smoke)
{
    const char *wrong = ask(smoke, 200, "GET", API "/users/me", &smoke->host, NULL);

    return wrong != NULL ? wrong : is(smoke, "username", smoke->host.username);
}

static const char *wrong_password(smoke_t *smoke)
{
    return refused(smoke, 401, "auth.credentials", "POST", API "/auth/login", NULL,
                   text(smoke, "{\"email\":\"%s\",\"password\":\"not-%s\"}",
                        smoke->host.email, smoke->host.password));
}

static const char *stranger(smoke_t *smoke)
{
    return refused(smoke, 401, "auth.required", "GET", API "/users/me", NULL, NULL);
}

static const char *wrong_type(smoke_t *smoke)
{
    return refused(smoke, 422, "input.invalid", "POST", API "/auth/login", NULL,
                   "{\"email\":{\"$ne\":null},\"password\":[]}");
}

static const char *broken_body(smoke_t *smoke)
{
    return refused(smoke, 400, "body.syntax", "POST", API "/auth/login", NULL, "{\"email\":");
}

static const char *nowhere(smoke_t *smoke)
{
    return refused(smoke, 404, "not_found", "GET", API "/nothing/here", NULL, NULL);
}

static const char *refresh(smoke_t *smoke)
{
    const char *wrong = ask(smoke, 200, "POST", API "/auth/refresh", NULL,
                            text(smoke, "{\"refreshToken\":\"%s\"}", smoke->host.refresh));

    wrong = wrong != NULL ? wrong : take_tokens(smoke, &smoke->host);
    return wrong != NULL ? wrong : who_am_i(smoke);
}

static const char *register_viewer(smoke_t *smoke)
{
    return register_one(smoke, &smoke->viewer);
}

/* --- a stream --- */

static const char *plan(smoke_t *smoke)
{
    const char *wrong = ask(smoke, 201, "POST", API "/streams", &smoke->host,
                            "{\"title\":\"Smoke test\",\"category\":\"smoke\"}");

    if (wrong == NULL) {
        smoke->stream_id = told(smoke, "id");
        wrong = smoke->stream_id == NULL ? "the stream has no id" : is(smoke, "status", "pending");
    }
    return wrong;
}

static const char *go_live(smoke_t *smoke)
{
    const char *wrong = ask(smoke, 200, "POST", stream_path(smoke, "/start"), &smoke->host, NULL);

    smoke->is_live = wrong == NULL;
    return wrong != NULL ? wrong : is(smoke, "stream.status", "live");
}

static const char *go_live_again(smoke_t *smoke)
{
    return refused(smoke, 409, "stream.state", "POST", stream_path(smoke, "/start"),
                   &smoke->host, NULL);
}

static const char *listed(smoke_t *smoke)
{
    const char *wrong = ask(smoke, 200, "GET", API "/streams?sort=started&limit=100", NULL, NULL);
    const hb_json_t *items = hb_json_get(smoke->reply.json, "items");
    int i;

    if (wrong != NULL) {
        return wrong;
    }
    for (i = 0; i < hb_json_length(items); i++) {
        if (strcmp(hb_json_string(hb_json_item(items, i), "id"), smoke->stream_id) == 0) {
            return NULL;
        }
    }
    return "the new stream is not in the list of live ones";
}

static const char *join(smoke_t *smoke)
{
    const char *wrong = ask(smoke, 200, "POST", stream_path(smoke, "/join"), &smoke->viewer, NULL);

    return wrong != NULL ? wrong : counts(smoke, "stream.viewers", 1);
}

static const char *leave(smoke_t *smoke)
{
    const char *wrong = ask(smoke, 204, "POST", stream_path(smoke, "/leave"), &smoke->viewer, NULL);

    if (wrong == NULL) {
        wrong = ask(smoke, 200, "GET", stream_path(smoke, ""), NULL, NULL);
    }
    return wrong != NULL ? wrong : counts(smoke, "viewers", 0);
}

static const char *end(smoke_t *smoke)
{
    const char *wrong = ask(smoke, 200, "POST", stream_path(smoke, "/end"), &smoke->host, NULL);

    smoke->is_live = smoke->is_live && wrong != NULL;
    wrong = wrong != NULL ? wrong : is(smoke, "status", "ended");
    wrong = wrong != NULL ? wrong : counts(smoke, "analytics.uniqueViewers", 1);
    return wrong != NULL ? wrong : counts(smoke, "analytics.peakViewers", 1);
}

static const char *join_ended(smoke_t *smoke)
{
    return refused(smoke, 410, "stream.ended", "POST", stream_path(smoke, "/join"),
                   &smoke->viewer, NULL);
}

static const char *log_out(smoke_t *smoke)
{
    const char *wrong = ask(smoke, 204, "POST", API "/auth/logout", &smoke->host, NULL);

    return wrong != NULL ? wrong
        : refused(smoke, 401, "token.revoked", "GET", API "/users/me", &smoke->host, NULL);
}

/* --- taking away what was made --- */

static int has_stream(const smoke_t *smoke)
{
    return smoke->is_live;
}

static int has_host(const smoke_t *smoke)
{
    return smoke->host.id != NULL;
}

static int has_viewer(const smoke_t *smoke)
{
    return smoke->viewer.id != NULL;
}

static const char *delete_one(smoke_t *smoke, person_t *who)
{
    const char *wrong = ask(smoke, 200, "POST", API "/auth/login", NULL,
                            text(smoke, "{\"email\":\"%s\",\"password\":\"%s\"}", who->email,
                                 who->password));

    wrong = wrong != NULL ? wrong : take_tokens(smoke, who);
    return wrong != NULL ? wrong
        : ask(smoke, 204, "DELETE", API "/users/me", who,
              text(smoke, "{\"password\":\"%s\"}", who->password));
}

static const char *delete_host(smoke_t *smoke)
{
    return delete_one(smoke, &smoke->host);
}

static const char *delete_viewer(smoke_t *smoke)
{
    return delete_one(smoke, &smoke->viewer);
}

static const step_t steps[] = {
    { "GET /health says healthy",                          health, NULL },
    { "register an account",                               register_host, NULL },
    { "sign in",                                           log_in, NULL },
    { "GET /users/me with the access token",               who_am_i, NULL },
    { "a wrong password is refused",                       wrong_password, NULL },
    { "a call without a token is refused",                 stranger, NULL },
    { "wrong types are refused, field by field",           wrong_type, NULL },
    { "a broken body is refused",                          broken_body, NULL },
    { "an unknown address is refused in the same shape",   nowhere, NULL },
    { "exchange the refresh token",                        refresh, NULL },
    { "plan a stream",                                     plan, NULL },
    { "go live",                                           go_live, NULL },
    { "going live twice is refused",                       go_live_again, NULL },
    { "the stream is listed",                              listed, NULL },
    { "register a viewer",                                 register_viewer, NULL },
    { "the viewer joins and is counted",                   join, NULL },
    { "joining again counts once",                         join, NULL },
    { "the viewer leaves and is not counted",              leave, NULL },
    { "end the stream, with analytics",                    end, NULL },
    { "joining what ended is refused",                     join_ended, NULL },
    { "sign out; the token is dead at once",               log_out, NULL },
    { "the stream, which is still live, ends",             end, has_stream },
    { "the host's account is deleted",                     delete_host, has_host },
    { "the viewer's account is deleted",                   delete_viewer, has_viewer },
};

static void person_make(person_t *who, smoke_t *smoke, const char *name)
{
    const char *unique = text(smoke, "%" APR_UINT64_T_HEX_FMT "%x",
                              (apr_uint64_t)apr_time_now() / 1000, (unsigned int)getpid() & 0xffff);

    who->username = text(smoke, "%s%s", name, unique);
    who->email = text(smoke, "%s@example.com", who->username);
    who->password = text(smoke, "Sm0ke!%s%s", unique, name);
}

int ctl_smoke(ctl_t *ctl, int argc, const char *const *argv)
{
    smoke_t smoke = { .ctl = ctl };
    hb_json_t *list = hb_json_array_make(ctl->pool);
    const char *args[2];
    apr_size_t i;
    int n_failed = 0, is_away = 0;
    int rc = ctl_options(ctl, argc, argv, NULL, args, 0, 1);

    if (rc != CTL_OK) {
        return rc;
    }
    smoke.base = ctl_base_url(ctl, args[0]);
    if (smoke.base == NULL) {
        return CTL_FAILED;
    }
    person_make(&smoke.host, &smoke, "smokehost");
    person_make(&smoke.viewer, &smoke, "smokeview");
    for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        hb_json_t *row;
        const char *wrong;

        if (steps[i].has == NULL ? n_failed > 0 : !steps[i].has(&smoke)) {
            continue;
        }
        wrong = steps[i].run(&smoke);
        if (wrong != NULL) {
            n_failed++;
            is_away |= smoke.reply.status == 0;
        }
        row = hb_json_object_make(ctl->pool);
        hb_json_set_string(row, "step", steps[i].label);
        hb_json_set_bool(row, "passed", wrong == NULL);
        hb_json_set_string(row, "problem", wrong);
        hb_json_push(list, row);
        if (!ctl->wants_json) {
            ctl_mark(ctl, wrong == NULL ? CTL_GOOD : CTL_BAD, "%s%s%s", steps[i].label,
                     wrong != NULL ? ": " : "", wrong != NULL ? wrong : "");
        }
    }
    if (ctl->wants_json) {
        ctl_json(ctl, list);
    }
    else if (is_away && args[0] == NULL) {
        ctl_say(ctl, "     -> that is HaloBuzzPublicURL; another one: halobuzzctl smoke URL");
    }
    return n_failed == 0 ? CTL_OK : is_away ? CTL_UNREACHABLE : CTL_FAILED;
}
