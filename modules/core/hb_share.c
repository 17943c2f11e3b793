/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layout of the shared file. glue/hb_ap_memory.c makes it and decides when a new one is needed.
 */
#include "hb_share.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "hb_error.h"

#define PAGE_BYTES 4096
#define CONTROL_BYTES PAGE_BYTES

/* Changes with the layout of what is inside, so that a newer module does not go on
 * with an older one's bytes. */
#define MAGIC 0x48425a31u       /* "HBZ1" */
#define LAYOUT 1

static apr_uint64_t pages(apr_uint64_t bytes)
{
    return (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

hb_share_head_t hb_share_head(apr_uint64_t limit_bytes, apr_uint64_t cache_bytes,
                              apr_uint64_t metrics_bytes)
{
    hb_share_head_t head = { MAGIC, LAYOUT, 0, limit_bytes, cache_bytes, metrics_bytes };

    head.bytes = PAGE_BYTES + CONTROL_BYTES + pages(limit_bytes) + pages(cache_bytes)
        + pages(metrics_bytes);
    return head;
}

int hb_share_is_sound(const hb_share_head_t *head)
{
    return head->magic == MAGIC && head->layout == LAYOUT
        && head->bytes == hb_share_head(head->limit_bytes, head->cache_bytes,
                                        head->metrics_bytes).bytes;
}

void hb_share_parts(hb_site_memory_t *memory, hb_share_head_t *base)
{
    char *at = (char *)base + PAGE_BYTES;

    memory->control = at;
    memory->control_bytes = CONTROL_BYTES;
    at += CONTROL_BYTES;
    memory->limit = at;
    memory->limit_bytes = (apr_size_t)base->limit_bytes;
    at += pages(base->limit_bytes);
    memory->cache = base->cache_bytes > 0 ? at : NULL;
    memory->cache_bytes = (apr_size_t)base->cache_bytes;
    at += pages(base->cache_bytes);
    memory->metrics = at;
    memory->metrics_bytes = (apr_size_t)base->metrics_bytes;
}

apr_status_t hb_share_inherit(hb_site_memory_t *memory)
{
    const char *text = getenv(HB_SHARE_VARIABLE);
    char *end;
    long fd = text != NULL ? strtol(text, &end, 10) : -1;
    hb_share_head_t *base;
    struct stat info;

    memset(memory, 0, sizeof(*memory));
    if (text == NULL || *text == '\0') {
        return APR_NOTFOUND;
    }
    if (*end != '\0' || fd < 0 || fd > 65535 || fstat((int)fd, &info) != 0
        || info.st_size < (off_t)sizeof(*base)) {
        return HB_E_CONFIG;
    }
    base = mmap(NULL, (size_t)info.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, (int)fd, 0);
    if (base == MAP_FAILED) {
        return errno;
    }
    if (!hb_share_is_sound(base) || base->bytes != (apr_uint64_t)info.st_size) {
        munmap(base, (size_t)info.st_size);
        return HB_E_CONFIG;
    }
    hb_share_parts(memory, base);
    return APR_SUCCESS;
}

int *hb_share_maintenance(const hb_site_memory_t *memory)
{
    return memory->control;
}
