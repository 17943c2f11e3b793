/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /openapi.json from the tables: paths from the route rows, schemas from the shapes,
 * responses from what a row asks for and the errors it names, events from hb_event.def.
 * Examples are openapi_example.c's, shapes are hb_schema_openapi()'s.
 */
#include "openapi.h"

#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "hb_bus.h"
#include "hb_role.h"
#include "mod_halobuzz_api.h"

#define REF "#/components/schemas/"
#define PROBLEM_TYPE "application/problem+json"

typedef struct doc_t {
    hb_json_t *paths;
    hb_json_t *schemas;         /* of the components; filled as they are referred to */
    hb_json_t *tags;
    apr_pool_t *pool;
} doc_t;

/* --- small helpers --- */

static hb_json_t *object_at(hb_json_t *parent, const char *key, apr_pool_t *pool)
{
    hb_json_t *child = hb_json_get(parent, key);

    if (child == NULL) {
        child = hb_json_object_make(pool);
        hb_json_set(parent, key, child);
    }
    return child;
}

static hb_json_t *list_of(const char *only, apr_pool_t *pool)
{
    hb_json_t *list = hb_json_array_make(pool);

    hb_json_push_string(list, only);
    return list;
}

/* "users:self" is "users.self" as the name of a component. */
static const char *component_name(const char *shape, apr_pool_t *pool)
{
    char *name = apr_pstrdup(pool, shape);
    char *c;

    for (c = name; *c != '\0'; c++) {
        if (*c == ':') {
            *c = '.';
        }
    }
    return name;
}

/* --- schemas --- */

static void need_shape(doc_t *doc, const char *shape);

/* Shapes that a schema refers to come along, and references get a component's spelling. */
static int follow_references(void *baton, const char *key, hb_json_t *value);

static void walk(doc_t *doc, hb_json_t *value)
{
    const char *ref = hb_json_string(value, "$ref");
    int i;

    if (hb_json_type(value) == HB_JSON_ARRAY) {
        for (i = 0; i < hb_json_length(value); i++) {
            walk(doc, hb_json_item(value, i));
        }
    }
    if (hb_json_type(value) != HB_JSON_OBJECT) {
        return;
    }
    if (ref != NULL && strncmp(ref, REF, strlen(REF)) == 0) {
        const char *shape = apr_pstrdup(doc->pool, ref + strlen(REF));

        need_shape(doc, shape);
        hb_json_set_string(value, "$ref", apr_pstrcat(doc->pool, REF,
                                                      component_name(shape, doc->pool), NULL));
    }
    hb_json_each(value, follow_references, doc);
}

static int follow_references(void *baton, const char *key, hb_json_t *value)
{
    (void)key;
    walk(baton, value);
    return 0;
}

static void need_shape(doc_t *doc, const char *shape)
{
    const char *name = component_name(shape, doc->pool);
    hb_json_t *schema;

    if (hb_json_has(doc->schemas, name)) {
        return;
    }
    schema = hb_schema_openapi(shape, doc->pool);
    if (schema != NULL) {
        hb_json_set(doc->schemas, name, schema);
        walk(doc, schema);
    }
}

static hb_json_t *reference(doc_t *doc, const char *shape)
{
    hb_json_t *ref = hb_json_object_make(doc->pool);

    need_shape(doc, shape);
    hb_json_set_string(ref, "$ref", apr_pstrcat(doc->pool, REF,
                                                component_name(shape, doc->pool), NULL));
    return ref;
}

/* {items, next}: a page of a list. */
static hb_json_t *page_of(doc_t *doc, const char *shape)
{
    static const char frame[] =
        "{\"type\":\"object\",\"required\":[\"items\",\"next\"],\"properties\":{"
        "\"items\":{\"type\":\"array\",\"maxItems\":100},"
        "\"next\":{\"type\":[\"string\",\"null\"],"
        "\"description\":\"after= of the next page; null on the last\"}}}";
    hb_json_t *page = hb_json_parse_own(frame, sizeof(frame) - 1, doc->pool);

    hb_json_set(hb_json_at(page, "properties.items"), "items", reference(doc, shape));
    return page;
}

static hb_json_t *output_schema(doc_t *doc, const char *output)
{
    if (output[0] == '[') {
        return page_of(doc, apr_pstrmemdup(doc->pool, output + 1, strcspn(output + 1, "]")));
    }
    return reference(doc, output);
}

/* --- what an operation takes --- */

/* "GET /users/{id}" is getUsersById. */
static const char *operation_id(const hb_route_t *row, apr_pool_t *pool)
{
    const char *path = row->path;
    char *id = apr_pstrcat(pool, hb_ap_method_name(row->method), path, path, NULL);
    char *to = id;
    int is_start = 0;

    while (apr_isupper(*to)) {
        *to = apr_tolower(*to);
        to++;
    }
    for (; *path != '\0'; path++) {
        if (!apr_isalnum(*path)) {
            is_start = 1;
            if (*path == '{') {
                *to++ = 'B';
                *to++ = 'y';
            }
            continue;
        }
        *to++ = is_start ? apr_toupper(*path) : *path;
        is_start = 0;
    }
    *to = '\0';
    return id;
}

static hb_json_t *parameter(doc_t *doc, const char *name, const char *where, int is_needed,
                            const char *sentence, hb_json_t *schema)
{
    hb_json_t *param = hb_json_object_make(doc->pool);

    hb_json_set_string(param, "name", name);
    hb_json_set_string(param, "in", where);
    hb_json_set_bool(param, "required", is_needed);
    hb_json_set_string(param, "description", sentence);
    hb_json_set(param, "schema", schema);
    return param;
}

static hb_json_t *string_schema(int low, int high, apr_pool_t *pool)
{
    hb_json_t *schema = hb_json_object_make(pool);

    hb_json_set_string(schema, "type", "string");
    hb_json_set_int(schema, "minLength", low);
    hb_json_set_int(schema, "maxLength", high);
    return schema;
}

static hb_json_t *parameters_of(doc_t *doc, const hb_route_t *row)
{
    hb_json_t *params = hb_json_array_make(doc->pool);
    const char *c;
    int i;

    for (c = strchr(row->path, '{'); c != NULL; c = strchr(c + 1, '{')) {
        const char *name = apr_pstrmemdup(doc->pool, c + 1, strcspn(c + 1, "}"));

        hb_json_push(params, parameter(doc, name, "path", 1, "which one",
                                       string_schema(1, 200, doc->pool)));
    }
    if (row->query != HB_SHAPE_NONE) {
        const hb_shape_row_t *shape = hb_shape(row->query);
        hb_json_t *schema = hb_schema_openapi(shape->name, doc->pool);

        for (i = 0; i < shape->n_fields; i++) {
            const hb_field_row_t *field = &shape->fields[i];
            hb_json_t *properties = hb_json_get(schema, "properties");

            hb_json_push(params, parameter(doc, field->path, "query",
                                           (field->flags & HB_NEEDED) != 0, field->sentence,
                                           hb_json_get(properties, field->path)));
        }
    }
    if ((row->needs & HB_NEED_IDEM_KEY) != 0) {
        hb_json_push(params, parameter(doc, "Idempotency-Key", "header", 1,
                                       "new for each new order; the same again for a repeat",
                                       string_schema(1, 255, doc->pool)));
    }
    return params;
}

static hb_json_t *body_of(doc_t *doc, const hb_route_t *row)
{
    hb_json_t *body = hb_json_object_make(doc->pool);
    hb_json_t *media = hb_json_object_make(doc->pool);
    const char *shape = hb_shape(row->input)->name;

    hb_json_set_bool(body, "required", (row->needs & HB_MAY_BODY) == 0);
    hb_json_set(media, "schema", reference(doc, shape));
    hb_json_set(media, "example",
                hb_openapi_example(hb_json_get(media, "schema"), doc->schemas, 1, doc->pool));
    hb_json_set(object_at(body, "content", doc->pool), "application/json", media);
    return body;
}

/* --- what an operation gives --- */

static void add_success(doc_t *doc, hb_json_t *responses, const hb_route_t *row)
{
    hb_json_t *response = hb_json_object_make(doc->pool);
    hb_json_t *media;

    hb_json_set_string(response, "description", row->sentence);
    hb_json_set(responses, apr_itoa(doc->pool, hb_ap_success_status(row)), response);
    if ((row->needs & HB_GIVES_NOTHING) != 0) {
        return;
    }
    if (row->output == NULL || *row->output == '\0') {
        media = object_at(object_at(response, "content", doc->pool),
                          row->media != NULL ? row->media : "text/plain", doc->pool);
        hb_json_set_string(object_at(media, "schema", doc->pool), "type", "string");
        return;
    }
    media = object_at(object_at(response, "content", doc->pool), "application/json",
                      doc->pool);
    hb_json_set(media, "schema", output_schema(doc, row->output));
    hb_json_set(media, "example", hb_openapi_example(hb_json_get(media, "schema"),
                                                     doc->schemas, 0, doc->pool));
}

/* One response for each status; the codes that share it are told in x-codes. */
static void add_error(doc_t *doc, hb_json_t *responses, apr_status_t error)
{
    const hb_error_row_t *row = hb_error_row(error);
    const char *status = apr_itoa(doc->pool, hb_ap_status(error));
    hb_json_t *response = object_at(responses, status, doc->pool);
    const char *before = hb_json_string(response, "description");
    hb_json_t *codes = hb_json_get(response, "x-codes");
    int i;

    if (codes == NULL) {
        codes = hb_json_array_make(doc->pool);
        hb_json_set(response, "x-codes", codes);
        hb_json_set(object_at(object_at(response, "content", doc->pool), PROBLEM_TYPE,
                              doc->pool), "schema", reference(doc, "problem"));
    }
    for (i = 0; i < hb_json_length(codes); i++) {
        if (strcmp(hb_json_string_value(hb_json_item(codes, i)), row->code) == 0) {
            return;
        }
    }
    hb_json_push_string(codes, row->code);
    hb_json_set_string(response, "description",
                       before == NULL ? row->text
                       : apr_pstrcat(doc->pool, before, "; ", row->text, NULL));
}

/* A code that is in no row of hb_error.def is caught by tests/guard/errors-documented. */
static void add_named_errors(doc_t *doc, hb_json_t *responses, const char *codes)
{
    const hb_error_row_t *row;
    char *state = NULL, *rest = apr_pstrdup(doc->pool, codes != NULL ? codes : "");
    const char *code;

    while ((code = apr_strtok(rest, " ", &state)) != NULL) {
        rest = NULL;
        for (row = hb_error_rows(); row->symbol != NULL; row++) {
            if (strcmp(row->code, code) == 0) {
                add_error(doc, responses, row->status);
            }
        }
    }
}

static hb_json_t *responses_of(doc_t *doc, const hb_route_t *row)
{
    hb_json_t *responses = hb_json_object_make(doc->pool);
    int takes_body = (row->needs & (HB_NEED_BODY | HB_MAY_BODY)) != 0;

    add_success(doc, responses, row);
    if (strchr(row->path, '{') != NULL || row->query != HB_SHAPE_NONE) {
        add_error(doc, responses, HB_E_URI_INVALID);
    }
    if ((row->needs & HB_NEED_IDEM_KEY) != 0) {
        add_error(doc, responses, HB_E_IDEM_MISSING);
        add_error(doc, responses, HB_E_IDEM_MISMATCH);
    }
    if (takes_body) {
        add_error(doc, responses, HB_E_BODY_SYNTAX);
        add_error(doc, responses, HB_E_BODY_TIMEOUT);
        add_error(doc, responses, HB_E_BODY_TOO_LARGE);
        add_error(doc, responses, HB_E_BODY_TYPE);
        add_error(doc, responses, HB_E_BODY_ENCODING);
    }
    if ((row->needs & HB_NEED_BODY) != 0) {
        add_error(doc, responses, HB_E_BODY_MISSING);
    }
    if (row->input != HB_SHAPE_NONE || row->query != HB_SHAPE_NONE) {
        add_error(doc, responses, HB_E_INPUT_INVALID);
    }
    if ((row->needs & HB_NEED_USER) != 0 || row->roles != 0) {
        add_error(doc, responses, HB_E_AUTH_REQUIRED);
    }
    if ((row->needs & HB_ANY_TOKEN) == 0) {
        add_error(doc, responses, HB_E_TOKEN_INVALID);
        add_error(doc, responses, HB_E_TOKEN_EXPIRED);
        add_error(doc, responses, HB_E_TOKEN_REVOKED);
    }
    if (row->roles != 0) {
        add_error(doc, responses, HB_E_ROLE_REQUIRED);
        add_error(doc, responses, HB_E_TOTP_SETUP);
    }
    if ((row->needs & HB_NO_LIMIT) == 0) {
        add_error(doc, responses, HB_E_LIMITED);
    }
    add_named_errors(doc, responses, row->errors);
    add_error(doc, responses, HB_E_INTERNAL);
    add_error(doc, responses, HB_E_UNAVAILABLE);
    if ((row->needs & HB_IN_MAINTENANCE) == 0) {
        add_error(doc, responses, HB_E_MAINTENANCE);
    }
    return responses;
}

/* --- operations --- */

static void add_aliases(hb_json_t *operation, const hb_route_t *row, apr_pool_t *pool)
{
    char *state = NULL, *rest = apr_pstrdup(pool, row->aliases != NULL ? row->aliases : "");
    hb_json_t *aliases = hb_json_array_make(pool);
    const char *alias;

    while ((alias = apr_strtok(rest, " ", &state)) != NULL) {
        rest = NULL;
        hb_json_push_string(aliases, hb_ap_route_path(alias, pool));
    }
    if (hb_json_length(aliases) > 0) {
        hb_json_set(operation, "x-aliases", aliases);
    }
}

static void add_security(hb_json_t *operation, const hb_route_t *row, apr_pool_t *pool)
{
    hb_json_t *bearer = hb_json_object_make(pool);
    hb_json_t *all = hb_json_array_make(pool);
    hb_json_t *roles = hb_json_array_make(pool);
    int i;

    hb_json_set(bearer, "bearer", hb_json_array_make(pool));
    hb_json_push(all, bearer);
    if ((row->needs & HB_NEED_USER) != 0 || row->roles != 0) {
        hb_json_set(operation, "security", all);
    }
    for (i = 0; hb_role_name(i) != NULL; i++) {
        if ((row->roles & hb_role_bit(hb_role_name(i))) != 0) {
            hb_json_push_string(roles, hb_role_name(i));
        }
    }
    if (hb_json_length(roles) > 0) {
        hb_json_set(operation, "x-roles", roles);
    }
}

static void add_tag(doc_t *doc, const char *name)
{
    hb_json_t *tag;
    int i;

    for (i = 0; i < hb_json_length(doc->tags); i++) {
        if (strcmp(hb_json_string(hb_json_item(doc->tags, i), "name"), name) == 0) {
            return;
        }
    }
    tag = hb_json_object_make(doc->pool);
    hb_json_set_string(tag, "name", name);
    hb_json_push(doc->tags, tag);
}

static void add_operation(doc_t *doc, const hb_route_t *row)
{
    hb_json_t *operation = hb_json_object_make(doc->pool);
    const char *path = hb_ap_route_path(row->path, doc->pool);
    hb_json_t *params = parameters_of(doc, row);
    char *method = apr_pstrdup(doc->pool, hb_ap_method_name(row->method));
    char *c;

    for (c = method; *c != '\0'; c++) {
        *c = apr_tolower(*c);
    }
    add_tag(doc, row->tag);
    hb_json_set_string(operation, "operationId", operation_id(row, doc->pool));
    hb_json_set_string(operation, "summary", row->sentence);
    hb_json_set(operation, "tags", list_of(row->tag, doc->pool));
    hb_json_set_string(operation, "x-rate-class",
                       (row->needs & HB_NO_LIMIT) != 0 ? NULL : row->rate);
    if ((row->needs & HB_ANY_TOKEN) != 0) {
        hb_json_set_bool(operation, "x-any-token", 1);
    }
    add_aliases(operation, row, doc->pool);
    add_security(operation, row, doc->pool);
    if (hb_json_length(params) > 0) {
        hb_json_set(operation, "parameters", params);
    }
    if (row->input != HB_SHAPE_NONE) {
        hb_json_set(operation, "requestBody", body_of(doc, row));
    }
    hb_json_set(operation, "responses", responses_of(doc, row));
    hb_json_set(object_at(doc->paths, path, doc->pool), method, operation);
}

static hb_json_t *all_errors(apr_pool_t *pool)
{
    const hb_error_row_t *row;
    hb_json_t *all = hb_json_array_make(pool);

    for (row = hb_error_rows(); row->symbol != NULL; row++) {
        hb_json_t *error = hb_json_object_make(pool);

        hb_json_set_string(error, "code", row->code);
        hb_json_set_int(error, "status", hb_ap_status(row->status));
        hb_json_set_string(error, "title", row->text);
        hb_json_push(all, error);
    }
    return all;
}

/* --- realtime: what clients are sent, and what they may send --- */

static void add_reference(hb_json_t *object, const char *key, doc_t *doc, const char *shape)
{
    if (*shape != '\0') {
        hb_json_set(object, key, reference(doc, shape));
    }
    else {
        hb_json_set_null(object, key);
    }
}

static hb_json_t *all_events(doc_t *doc)
{
    hb_json_t *all = hb_json_object_make(doc->pool);
    hb_json_t *sent = hb_json_array_make(doc->pool);
    hb_json_t *taken = hb_json_array_make(doc->pool);
    hb_json_t *item;
    int i;

    for (i = 0; i < HB_EV_COUNT; i++) {
        const hb_event_row_t *row = hb_event_row((hb_event_e)i);

        if (row->lane != HB_LANE_INTERNAL) {
            item = hb_json_object_make(doc->pool);
            hb_json_set_string(item, "name", row->name);
            hb_json_set_string(item, "summary", row->sentence);
            hb_json_set_string(item, "target", hb_target_name(row->target));
            hb_json_set_string(item, "lane", hb_lane_name(row->lane));
            add_reference(item, "payload", doc, row->shape);
            hb_json_push(sent, item);
        }
    }
    for (i = 0; i < HB_CALL_COUNT; i++) {
        const hb_call_row_t *row = hb_call_row((hb_call_e)i);

        item = hb_json_object_make(doc->pool);
        hb_json_set_string(item, "name", row->name);
        hb_json_set_string(item, "summary", row->sentence);
        add_reference(item, "payload", doc, row->form);
        add_reference(item, "ack", doc, row->reply);
        hb_json_push(taken, item);
    }
    hb_json_set(all, "sent", sent);
    hb_json_set(all, "taken", taken);
    return all;
}

hb_json_t *hb_openapi_make(const hb_route_t *const *rows, int n_rows, apr_pool_t *pool)
{
    static const char frame[] =
        "{\"openapi\":\"3.1.0\","
        "\"jsonSchemaDialect\":\"https://json-schema.org/draft/2020-12/schema\","
        "\"info\":{\"title\":\"HaloBuzz API\",\"version\":\"" HB_VERSION "\","
        "\"description\":\"The whole of a live-streaming platform: accounts, live rooms, chat, gifts,"
        " payments. Every refusal is a problem document (RFC 9457) with a stable code. Answers carry"
        " X-Request-Id, which support asks for, and where callers are counted RateLimit-Limit,"
        " RateLimit-Remaining and RateLimit-Reset (seconds until the window is over); 429, and 503"
        " where a time is known, carry Retry-After. The first answer given again for its"
        " Idempotency-Key is marked Idempotency-Replayed: true.\","
        "\"license\":{\"name\":\"Apache-2.0\",\"identifier\":\"Apache-2.0\"}},"
        "\"servers\":[{\"url\":\"/\",\"description\":\"this server\"}]}";
    hb_json_t *all = hb_json_parse_own(frame, sizeof(frame) - 1, pool);
    hb_json_t *components = hb_json_object_make(pool);
    hb_json_t *bearer = hb_json_object_make(pool);
    doc_t doc = { hb_json_object_make(pool), hb_json_object_make(pool),
                  hb_json_array_make(pool), pool };
    int i;

    for (i = 0; i < n_rows; i++) {
        if (strcmp(rows[i]->tag, HB_TAG_PAGES) != 0) {
            add_operation(&doc, rows[i]);
        }
    }
    need_shape(&doc, "problem");
    hb_json_set(all, "x-events", all_events(&doc));
    hb_json_set_string(bearer, "type", "http");
    hb_json_set_string(bearer, "scheme", "bearer");
    hb_json_set_string(bearer, "bearerFormat", "JWT");
    hb_json_set_string(bearer, "description", "accessToken of the sign-in");
    hb_json_set(object_at(components, "securitySchemes", pool), "bearer", bearer);
    hb_json_set(components, "schemas", doc.schemas);
    hb_json_set(all, "tags", doc.tags);
    hb_json_set(all, "paths", doc.paths);
    hb_json_set(all, "components", components);
    hb_json_set(all, "x-errors", all_errors(pool));
    return all;
}
