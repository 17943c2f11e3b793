/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree of path segments. Each node has its literal children and at most one
 * child that takes any segment. A path is cut into segments on the stack, then followed; where
 * a literal leads nowhere the {name} beside it gets its turn, so "/users/me/followers"
 * finds "/users/{id}/followers" although "/users/me" is a row.
 */
#include "hb_ap_router.h"

#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>

typedef struct node_t node_t;
struct node_t {
    hb_ap_piece_t text;         /* of this segment; unused below a {name} */
    node_t *first;              /* literal children */
    node_t *next;               /* beside this one */
    node_t *any;                /* child for a {name}, or NULL */
    hb_ap_place_t *place;       /* NULL: no row ends here */
};

struct hb_ap_router_t {
    node_t root;
};

/* Cuts a path at its slashes; gives the number of segments, or -1 for too many or none. */
static int cut(hb_ap_piece_t *segments, const char *path)
{
    int n = 0;

    if (*path != '/') {
        return -1;
    }
    while (*path == '/' && (path[1] != '\0' || n == 0)) {
        const char *end = path + 1;

        while (*end != '\0' && *end != '/') {
            end++;
        }
        if (n == HB_AP_SEGMENTS) {
            return -1;
        }
        segments[n].text = path + 1;
        segments[n].len = (apr_size_t)(end - path - 1);
        n++;
        path = end;
    }
    return n;
}

static node_t *literal_child(const node_t *node, const hb_ap_piece_t *segment)
{
    node_t *child;

    for (child = node->first; child != NULL; child = child->next) {
        if (child->text.len == segment->len
            && memcmp(child->text.text, segment->text, segment->len) == 0) {
            return child;
        }
    }
    return NULL;
}

static const hb_ap_place_t *follow(const node_t *node, const hb_ap_piece_t *segments, int n,
                                   hb_ap_piece_t *pieces)
{
    const hb_ap_place_t *place = NULL;
    const node_t *child;

    if (n == 0) {
        return node->place;
    }
    child = literal_child(node, segments);
    if (child != NULL) {
        place = follow(child, segments + 1, n - 1, pieces);
    }
    if (place == NULL && node->any != NULL && segments->len > 0) {
        *pieces = *segments;    /* templates have at most HB_AP_NAMES: see add() */
        place = follow(node->any, segments + 1, n - 1, pieces + 1);
    }
    return place;
}

const hb_ap_place_t *hb_ap_router_find(const hb_ap_router_t *router, const char *path,
                                       hb_ap_piece_t *pieces)
{
    hb_ap_piece_t segments[HB_AP_SEGMENTS];
    int n = cut(segments, path);

    return n < 0 ? NULL : follow(&router->root, segments, n, pieces);
}

/* --- compiling --- */

/* "{id}" gives "id"; *name stays NULL for a literal. 0 when it is neither. */
static int read_segment(const char **name, const hb_ap_piece_t *segment, apr_pool_t *pool)
{
    int is_name = segment->len > 2 && segment->text[0] == '{'
        && segment->text[segment->len - 1] == '}';
    apr_size_t i;

    *name = NULL;
    if (is_name) {
        *name = apr_pstrmemdup(pool, segment->text + 1, segment->len - 2);
        for (i = 0; (*name)[i] != '\0'; i++) {
            if (!apr_isalnum((*name)[i])) {
                return 0;
            }
        }
        return 1;
    }
    for (i = 0; i < segment->len; i++) {
        if (!apr_isalnum(segment->text[i]) && strchr("-_.", segment->text[i]) == NULL) {
            return 0;
        }
    }
    return segment->len > 0;
}

static const char *allow_text(const hb_ap_place_t *place, apr_pool_t *pool)
{
    const char *text = "";
    int m;

    for (m = 0; m < HB_AP_METHODS; m++) {
        if (place->at[m].route != NULL) {
            text = apr_pstrcat(pool, text, hb_ap_method_name((hb_method_e)m), ", ",
                               m == M_HB_GET ? "HEAD, " : "", NULL);
        }
    }
    return apr_pstrcat(pool, text, "OPTIONS", NULL);
}

static const char *add(hb_ap_router_t *router, const hb_route_t *route, int label,
                       const char *template_path, apr_pool_t *pool)
{
    const char *path = hb_ap_route_path(template_path, pool);
    const char *names[HB_AP_NAMES] = { NULL };
    hb_ap_piece_t segments[HB_AP_SEGMENTS];
    node_t *node = &router->root;
    int i, n, n_names = 0;

    n = cut(segments, path);
    if (template_path[0] != '/' || n < 0) {
        return "is not a path this router can hold";
    }
    for (i = 0; i < n; i++) {
        const char *name;
        node_t *child;

        if (!read_segment(&name, &segments[i], pool)) {
            return "has a segment that is neither plain nor {name}";
        }
        if (name != NULL && n_names == HB_AP_NAMES) {
            return "has too many {names}";
        }
        child = name != NULL ? node->any : literal_child(node, &segments[i]);
        if (child == NULL) {
            child = apr_pcalloc(pool, sizeof(*child));
            child->text = segments[i];
            if (name != NULL) {
                node->any = child;
            } else {
                child->next = node->first;
                node->first = child;
            }
        }
        if (name != NULL) {
            names[n_names++] = name;
        }
        node = child;
    }
    if (node->place == NULL) {
        node->place = apr_pcalloc(pool, sizeof(*node->place));
    }
    if (node->place->at[route->method].route != NULL) {
        return "is answered by two rows";
    }
    node->place->at[route->method].route = route;
    node->place->at[route->method].label = label;
    memcpy(node->place->at[route->method].names, names, sizeof(names));
    node->place->allow = allow_text(node->place, pool);
    return NULL;
}

apr_status_t hb_ap_router_make(hb_ap_router_t **router, const char **why,
                               const hb_route_t *const *rows, int n_rows, apr_pool_t *pool)
{
    int i;

    *router = apr_pcalloc(pool, sizeof(**router));
    for (i = 0; i < n_rows; i++) {
        const hb_route_t *route = rows[i];
        const char *path = route->path;
        const char *wrong = add(*router, route, i + 1, path, pool);
        char *state = NULL;
        char *aliases = apr_pstrdup(pool, route->aliases != NULL ? route->aliases : "");

        while (wrong == NULL && (path = apr_strtok(aliases, " ", &state)) != NULL) {
            aliases = NULL;
            wrong = add(*router, route, i + 1, path, pool);
        }
        if (wrong != NULL) {
            *why = apr_psprintf(pool, "route %s %s %s",
                                hb_ap_method_name(route->method),
                                hb_ap_route_path(path, pool), wrong);
            return HB_E_CONFIG;
        }
    }
    return APR_SUCCESS;
}
