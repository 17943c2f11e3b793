/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rings of keys: the file, its making, look-ups. Who signs what with a ring is in
 * hb_token.c and hb_crypto.c.
 */
#include "hb_keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_general.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_tables.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "hb_crypto.h"
#include "hb_error.h"
#include "hb_file.h"
#include "hb_secret.h"

#define KID_MIN 1
#define KID_MAX 32
#define KID_MADE 12             /* characters of the kids made here: 9 bytes */
#define KEY_MIN_BYTES 32
#define KEY_MAX_BYTES 1024
#define SECRET_MIN 64           /* characters, ACC-04 */

struct hb_keyring_t {
    apr_array_header_t *keys;   /* hb_key_t, newest last */
    unsigned char mark[32];
};

static int kid_is_valid(const char *kid)
{
    apr_size_t n = strspn(kid, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");

    return kid[n] == '\0' && n >= KID_MIN && n <= KID_MAX;
}

/* Each mark covers the one before, so that order and number count too. */
static apr_status_t ring_mark(hb_keyring_t *ring)
{
    apr_status_t rv = APR_SUCCESS;
    int i;

    memset(ring->mark, 0, sizeof(ring->mark));
    for (i = 0; i < ring->keys->nelts && rv == APR_SUCCESS; i++) {
        const hb_key_t *key = &APR_ARRAY_IDX(ring->keys, i, hb_key_t);
        unsigned char both[3 * 32];

        memcpy(both, ring->mark, 32);
        rv = hb_sha256(both + 32, key->kid, strlen(key->kid), NULL, 0);
        if (rv == APR_SUCCESS) {
            rv = hb_sha256(both + 64, key->bytes, key->len, NULL, 0);
        }
        if (rv == APR_SUCCESS) {
            rv = hb_sha256(ring->mark, both, sizeof(both), NULL, 0);
        }
        OPENSSL_cleanse(both, sizeof(both));
    }
    return rv;
}

/* One line of a ring file, cut up in place. NULL or what is wrong with it. */
static const char *line_read(hb_keyring_t *ring, char *line, apr_pool_t *pool)
{
    char *words[4] = { NULL, NULL, NULL, NULL }, *state = NULL, *end, *word;
    hb_key_t *key;
    const unsigned char *bytes;
    apr_size_t len;
    apr_int64_t created;
    int n = 0;

    for (word = apr_strtok(line, " \t\r", &state); word != NULL && n < 4;
         word = apr_strtok(NULL, " \t\r", &state)) {
        words[n++] = word;
    }
    if (n == 0 || words[0][0] == '#') {
        return NULL;
    }
    if (n != 3) {
        return "it is not: kid created key";
    }
    if (!kid_is_valid(words[0])) {
        return "the kid is not 1 to 32 characters of A-Z a-z 0-9 _ -";
    }
    if (hb_keyring_find(ring, words[0]) != NULL) {
        return "the kid is there twice";
    }
    created = apr_strtoi64(words[1], &end, 10);
    if (*end != '\0' || created < 0 || created > APR_INT64_MAX / APR_USEC_PER_SEC) {
        return "the second word is not a time in seconds";
    }
    bytes = hb_base64url_read(pool, &len, words[2]);
    if (bytes == NULL || len < KEY_MIN_BYTES || len > KEY_MAX_BYTES) {
        return "the key is not base64url of 32 bytes";
    }
    hb_secret_wipe_with(pool, (void *)bytes, len);
    key = apr_array_push(ring->keys);
    key->kid = apr_pstrdup(pool, words[0]);
    key->bytes = bytes;
    key->len = len;
    key->created_at = apr_time_from_sec(created);
    return NULL;
}

static apr_status_t ring_parse(hb_keyring_t *ring, const char **why, const char *path,
                               char *text, apr_pool_t *pool)
{
    const char *wrong;
    char *line, *next;
    int number = 1;

    for (line = text; line != NULL; line = next, number++) {
        next = strchr(line, '\n');
        if (next != NULL) {
            *next++ = '\0';
        }
        wrong = line_read(ring, line, pool);
        if (wrong != NULL) {
            *why = apr_psprintf(pool, "%s, line %d: %s", path, number, wrong);
            return HB_E_CONFIG;
        }
    }
    if (ring->keys->nelts == 0) {
        *why = apr_psprintf(pool, "%s holds no key: remove the file, and a new key is made", path);
        return HB_E_CONFIG;
    }
    return APR_SUCCESS;
}

/* A new ring of one key under a temporary name, then its real one. Gives an errno. */
static int file_make(const char *path, const char *temporary, const struct stat *directory,
                     int directory_fd, apr_pool_t *pool)
{
    unsigned char raw[9 + KEY_MIN_BYTES];
    char *text;
    int fd, problem;

    if (RAND_bytes(raw, sizeof(raw)) != 1) {
        return EIO;
    }
    text = apr_psprintf(pool, "# keys of HaloBuzz: kid, created, key; the last one signs\n"
                        "%s %" APR_INT64_T_FMT " %s\n", hb_base64url(pool, raw, 9),
                        (apr_int64_t)apr_time_sec(apr_time_now()),
                        hb_base64url(pool, raw + 9, KEY_MIN_BYTES));
    hb_secret_wipe_with(pool, text, strlen(text));
    OPENSSL_cleanse(raw, sizeof(raw));

    /* We hold the directory's lock, so one that is there was left by a process that died. */
    unlink(temporary);
    fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
    if (fd < 0) {
        return errno;
    }
    problem = hb_file_write(fd, text, strlen(text));
    if (problem == 0 && fchmod(fd, 0640) != 0) {
        problem = errno;
    }
    if (problem == 0 && geteuid() == 0
        && fchown(fd, directory->st_uid, directory->st_gid) != 0) {
        problem = errno;
    }
    if (problem != 0) {
        close(fd);
        unlink(temporary);
        return problem;
    }
    problem = hb_file_place(fd, temporary, path);
    return problem == 0 && fsync(directory_fd) != 0 ? errno : problem;
}

/* Make the ring if it is still missing once we hold the lock of its directory. */
static apr_status_t ring_make(const char **why, const char *path, apr_pool_t *pool)
{
    const char *slash = strrchr(path, '/');
    const char *directory = slash == NULL ? "." : slash == path ? "/"
        : apr_pstrmemdup(pool, path, slash - path);
    const char *temporary = apr_pstrcat(pool, path, ".new", NULL);
    struct stat st;
    char buf[120];
    int problem = 0;
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) != 0) {
        problem = errno;
    }
    while (problem == 0 && flock(fd, LOCK_EX) != 0) {
        problem = errno == EINTR ? 0 : errno;
    }
    if (problem == 0 && access(path, F_OK) != 0) {
        problem = file_make(path, temporary, &st, fd, pool);
    }
    if (fd >= 0) {
        close(fd);
    }
    if (problem != 0) {
        *why = apr_psprintf(pool, "the key file %s cannot be made: %s", path,
                            apr_strerror(problem, buf, sizeof(buf)));
        return HB_E_CONFIG;
    }
    return APR_SUCCESS;
}

static hb_keyring_t *ring_new(apr_pool_t *pool)
{
    hb_keyring_t *ring = apr_pcalloc(pool, sizeof(*ring));

    ring->keys = apr_array_make(pool, 2, sizeof(hb_key_t));
    return ring;
}

apr_status_t hb_keyring_load(hb_keyring_t **ring, const char **why, const char *path,
                             apr_pool_t *pool)
{
    apr_status_t rv;
    char *text;

    *ring = ring_new(pool);
    *why = NULL;
    rv = hb_secret_read_file(&text, why, path, pool);
    if (APR_STATUS_IS_ENOENT(rv)) {
        rv = ring_make(why, path, pool);
        if (rv == APR_SUCCESS) {
            rv = hb_secret_read_file(&text, why, path, pool);
        }
    }
    if (rv == APR_SUCCESS) {
        rv = ring_parse(*ring, why, path, text, pool);
    }
    if (rv == APR_SUCCESS) {
        rv = ring_mark(*ring);
    }
    if (rv != APR_SUCCESS && *why == NULL) {
        *why = apr_psprintf(pool, "the key file %s cannot be used", path);
    }
    return rv == APR_SUCCESS ? APR_SUCCESS : HB_E_CONFIG;
}

apr_status_t hb_keyring_from_secret(hb_keyring_t **ring, const char **why,
                                    const char *secret, apr_pool_t *pool)
{
    apr_size_t len = strlen(secret);
    unsigned char digest[32];
    hb_key_t *key;
    char *bytes;

    *ring = ring_new(pool);
    *why = NULL;
    if (len < SECRET_MIN) {
        *why = apr_psprintf(pool, "the secret has %" APR_SIZE_T_FMT " characters; at least %d are "
                            "needed: openssl rand -hex 32 makes such a one", len, SECRET_MIN);
        return HB_E_CONFIG;
    }
    bytes = apr_pstrmemdup(pool, secret, len);
    hb_secret_wipe_with(pool, bytes, len);
    /* The kid follows the secret, so that tokens of another secret are told apart at once. */
    if (hb_sha256(digest, "halobuzz kid", sizeof("halobuzz kid"), secret, len) != APR_SUCCESS) {
        *why = "OpenSSL cannot make SHA-256";
        return HB_E_CONFIG;
    }
    key = apr_array_push((*ring)->keys);
    key->kid = hb_base64url(pool, digest, KID_MADE / 4 * 3);
    key->bytes = (const unsigned char *)bytes;
    key->len = len;
    key->created_at = 0;
    return ring_mark(*ring);
}

const hb_key_t *hb_keyring_newest(const hb_keyring_t *ring)
{
    return hb_keyring_item(ring, ring->keys->nelts - 1);
}

const hb_key_t *hb_keyring_oldest(const hb_keyring_t *ring)
{
    return hb_keyring_item(ring, 0);
}

const hb_key_t *hb_keyring_find(const hb_keyring_t *ring, const char *kid)
{
    int i;

    for (i = 0; i < ring->keys->nelts; i++) {
        const hb_key_t *key = &APR_ARRAY_IDX(ring->keys, i, hb_key_t);

        if (strcmp(key->kid, kid) == 0) {
            return key;
        }
    }
    return NULL;
}

const unsigned char *hb_keyring_mark(const hb_keyring_t *ring)
{
    return ring->mark;
}

int hb_keyring_count(const hb_keyring_t *ring)
{
    return ring->keys->nelts;
}

const hb_key_t *hb_keyring_item(const hb_keyring_t *ring, int index)
{
    return index < 0 || index >= ring->keys->nelts ? NULL
        : &APR_ARRAY_IDX(ring->keys, index, hb_key_t);
}
