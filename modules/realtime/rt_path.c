/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of the doors. */
#include "rt_path.h"

#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>

#define SOCKET_IO "/socket.io/"
#define STREAMS "/api/v1/streams/"
#define EVENTS "/events"
#define ID_BYTES 24

static int is_id(const char *text)
{
    int i;

    for (i = 0; i < ID_BYTES; i++) {
        if (!apr_isxdigit(text[i]) || apr_isupper(text[i])) {
            return 0;
        }
    }
    return 1;
}

rt_door_e rt_path_door(const char *path)
{
    if (strncmp(path, SOCKET_IO, strlen(SOCKET_IO)) == 0) {
        return RT_DOOR_SOCKET_IO;
    }
    if (strcmp(path, RT_PLAIN_PATH) == 0) {
        return RT_DOOR_PLAIN;
    }
    if (strncmp(path, STREAMS, strlen(STREAMS)) == 0 && is_id(path + strlen(STREAMS))
        && strcmp(path + strlen(STREAMS) + ID_BYTES, EVENTS) == 0) {
        return RT_DOOR_STREAM;
    }
    return RT_DOOR_NONE;
}

const char *rt_path_stream(const char *path, apr_pool_t *pool)
{
    return apr_pstrmemdup(pool, path + strlen(STREAMS), ID_BYTES);
}
