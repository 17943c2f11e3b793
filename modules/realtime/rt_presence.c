/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two short lists, one of those who came and one of those who went. A list beyond its bound only
 * counts; then somebody may be counted as gone of whose coming nobody was told by name,
 * which is no harm: the number of viewers is the truth.
 */
#include "rt_presence.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "rt_memory.h"

typedef struct name_t {
    char *id;
    char *user;                 /* JSON text */
} name_t;

typedef struct list_t {
    name_t names[RT_PRESENCE_NAMES];
    int n;
    int n_more;
} list_t;

struct rt_presence_t {
    list_t *came, *went;        /* NULL while empty: most rooms are quiet */
    apr_int64_t viewers;
    int is_due;
};

rt_presence_t *rt_presence_make(void)
{
    return rt_need(sizeof(rt_presence_t));
}

static void list_free(list_t **list)
{
    int i;

    for (i = 0; *list != NULL && i < (*list)->n; i++) {
        free((*list)->names[i].id);
        free((*list)->names[i].user);
    }
    free(*list);
    *list = NULL;
}

void rt_presence_free(rt_presence_t *presence)
{
    list_free(&presence->came);
    list_free(&presence->went);
    free(presence);
}

/* @return was he in the list? */
static int take_off(list_t *list, const char *user_id)
{
    int i;

    for (i = 0; list != NULL && i < list->n; i++) {
        if (strcmp(list->names[i].id, user_id) == 0) {
            free(list->names[i].id);
            free(list->names[i].user);
            list->n--;
            memmove(&list->names[i], &list->names[i + 1],
                    sizeof(list->names[0]) * (apr_size_t)(list->n - i));
            return 1;
        }
    }
    return 0;
}

static void put_on(list_t **list, const char *user_id, const char *user)
{
    if (*list == NULL) {
        *list = rt_need(sizeof(**list));
    }
    if ((*list)->n == RT_PRESENCE_NAMES) {
        (*list)->n_more++;
        return;
    }
    (*list)->names[(*list)->n].id = rt_need_text(user_id);
    (*list)->names[(*list)->n++].user = rt_need_text(user);
}

void rt_presence_note(rt_presence_t *presence, const char *user_id, const char *user,
                      int is_in, apr_int64_t viewers)
{
    list_t **to = is_in ? &presence->came : &presence->went;
    list_t *from = is_in ? presence->went : presence->came;

    presence->viewers = viewers;
    presence->is_due = 1;
    if (!take_off(from, user_id)) {
        take_off(*to, user_id);
        put_on(to, user_id, user);
    }
}

int rt_presence_is_due(const rt_presence_t *presence)
{
    return presence->is_due;
}

static const char *list_text(const list_t *list, apr_pool_t *pool)
{
    struct iovec parts[RT_PRESENCE_NAMES * 2];
    int i, n = 0;

    for (i = 0; list != NULL && i < list->n; i++) {
        if (i > 0) {
            parts[n].iov_base = ",";
            parts[n++].iov_len = 1;
        }
        parts[n].iov_base = list->names[i].user;
        parts[n++].iov_len = strlen(list->names[i].user);
    }
    return n > 0 ? apr_pstrcatv(pool, parts, (apr_size_t)n, NULL) : "";
}

const char *rt_presence_tell(rt_presence_t *presence, const char *stream_id,
                             apr_pool_t *pool)
{
    int more_came = presence->came != NULL ? presence->came->n_more : 0;
    int more_went = presence->went != NULL ? presence->went->n_more : 0;
    const char *text;

    text = apr_psprintf(pool, "{\"streamId\":\"%s\",\"viewers\":%" APR_INT64_T_FMT ","
                        "\"joined\":[%s],\"left\":[%s],\"moreJoined\":%d,\"moreLeft\":%d}",
                        stream_id, presence->viewers, list_text(presence->came, pool),
                        list_text(presence->went, pool), more_came, more_went);
    list_free(&presence->came);
    list_free(&presence->went);
    presence->is_due = 0;
    return text;
}
