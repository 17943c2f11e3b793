/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds a target the files of its corpus and every beginning of them, so that what
 * fuzzing found stays found in each make check. The corpus of fuzz_json is corpus/json;
 * other directories or files may be named instead.
 */
#include "fuzz.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

/* Beginnings of longer files are not tried one by one. */
#define PREFIX_MAX 2048

/* Each input in a block of its own size, so that a sanitizer sees one byte too many. */
static void feed(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);

    if (copy == NULL) {
        abort();
    }
    memcpy(copy, bytes, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static int feed_file(const char *path)
{
    static uint8_t bytes[1 << 20];
    FILE *file = fopen(path, "rb");
    size_t size, n;

    if (file == NULL) {
        perror(path);
        return 0;
    }
    size = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    feed(bytes, size);
    for (n = 0; n < size && size <= PREFIX_MAX; n++) {
        feed(bytes, n);
    }
    return 1;
}

static int feed_any(const char *path)
{
    char inner[4096];
    struct dirent *entry;
    struct stat info;
    DIR *dir;
    int n = 0;

    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode)) {
        return feed_file(path);
    }
    dir = opendir(path);
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') {
            snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
            n += feed_file(inner);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return n;
}

int main(int argc, char **argv)
{
    const char *name = strrchr(argv[0], '/');
    char corpus[4096];
    int i, n = 0;

    LLVMFuzzerInitialize(&argc, &argv);
    name = strstr(name != NULL ? name : argv[0], "fuzz_");
    snprintf(corpus, sizeof(corpus), "%s/%s", HB_FUZZ_CORPUS,
             name != NULL ? name + strlen("fuzz_") : "");
    for (i = 1; i < argc; i++) {
        n += feed_any(argv[i]);
    }
    if (argc == 1) {
        n = feed_any(corpus);
    }
    printf("%d files\n", n);
    return n > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
