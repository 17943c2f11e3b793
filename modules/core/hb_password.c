/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passwords: bcrypt through APR in the threads of hb_hashgate.c, and which passwords are
 * taken at all. Lock-out after failures is hb_account.c's.
 */
#include "hb_password.h"

#include <string.h>

#include <apr_cstr.h>
#include <apr_lib.h>
#include <apr_md5.h>
#include <apr_strings.h>

#include <openssl/crypto.h>

#include "hb_crypto.h"

#define TURN_WAIT apr_time_from_sec(2)
#define BCRYPT_BYTES 72
#define BCRYPT_LENGTH 60       /* "$2y$12$" and 53 characters */
#define OUT_BYTES (BCRYPT_LENGTH + 4)
#define SALT_BYTES 16
#define PREHASHED_BYTES 45     /* base64 of 32 bytes and a 0 byte */

/*
 * The commonest of leaked lists that are long enough to pass the length rule, in lower
 * case. Short ones and repeated characters are met by other rules.
 */
static const char *const common[] = {
    "password", "password1", "password12", "password123", "password1234", "password!",
    "passw0rd", "p@ssw0rd", "p@ssword", "pa$$word", "12345678", "123456789", "1234567890",
    "12345678910", "0123456789", "0987654321", "987654321", "87654321", "123123123",
    "123454321", "1234512345", "12341234", "123321123", "11223344", "1122334455",
    "147258369", "159753456", "789456123", "741852963", "963852741", "asdfghjkl",
    "asdfghjk", "asdf1234", "asdfasdf", "qwertyui", "qwertyuiop", "qwerty123", "qwerty12",
    "qwerty1234", "qwer1234", "1q2w3e4r", "1q2w3e4r5t", "1q2w3e4r5t6y", "1qaz2wsx",
    "1qaz2wsx3edc", "qazwsxedc", "zaq12wsx", "zaq1zaq1", "zxcvbnm1", "zxcvbnm123",
    "abcd1234", "abcdefgh", "abcdefghi", "abc12345", "abc123456", "a1b2c3d4", "a1234567",
    "a12345678", "a123456789", "aa123456", "aa12345678", "q1w2e3r4", "iloveyou",
    "iloveyou1", "iloveyou2", "ilovegod", "lovelove", "sunshine", "sunshine1", "princess",
    "princess1", "football", "football1", "baseball", "basketball", "superman", "superman1",
    "batman123", "spiderman", "starwars", "pokemon1", "pokemon123", "computer", "internet",
    "samsung1", "whatever", "trustno1", "welcome1", "welcome123", "letmein1", "letmein123",
    "changeme", "changeme1", "changeme123", "admin123", "admin1234", "administrator",
    "michelle", "jennifer", "jonathan", "michael1", "charlie1", "liverpool", "chelsea1",
    "babygirl", "butterfly", "chocolate", "blink182", "midnight", "mustang1", "corvette",
    "dragon123", "monkey123", "shadow123", "killer123", "master123", "qwe123456",
    "testtest", "test1234", "secret123", "default1", "facebook", "youtube1", "google123",
    "halobuzz", "halobuzz1", "halobuzz123", "nepal123", "kathmandu"
};

/* bcrypt stops at 72 bytes: what is longer is hashed first, by a rule that must never change. */
static apr_status_t prepared(const char **text, char buf[PREHASHED_BYTES], const char *password)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char digest[33];
    apr_status_t rv;
    int i, at = 0;

    if (strlen(password) <= BCRYPT_BYTES) {
        *text = password;
        return APR_SUCCESS;
    }
    rv = hb_sha256(digest, password, strlen(password), NULL, 0);
    digest[32] = 0;
    for (i = 0; i < 33; i += 3) {
        unsigned int group = (unsigned int)digest[i] << 16 | (unsigned int)digest[i + 1] << 8
            | digest[i + 2];

        buf[at++] = digits[group >> 18];
        buf[at++] = digits[group >> 12 & 63];
        buf[at++] = digits[group >> 6 & 63];
        buf[at++] = digits[group & 63];
    }
    buf[43] = '=';
    buf[44] = '\0';
    OPENSSL_cleanse(digest, sizeof(digest));
    *text = buf;
    return rv;
}

/* One hash to make (salt set) or to compare with (known set), by a thread of the gate. */
typedef struct turn_t {
    const char *text;
    unsigned int cost;
    const unsigned char *salt;
    char *out;                  /* OUT_BYTES */
    const char *known;
    apr_status_t status;        /* APR's answer */
} turn_t;

static void take_turn(void *baton)
{
    turn_t *turn = baton;

    turn->status = turn->known != NULL ? apr_password_validate(turn->text, turn->known)
        : apr_bcrypt_encode(turn->text, turn->cost, turn->salt, SALT_BYTES, turn->out, OUT_BYTES);
}

/* HB_E_AUTH_BUSY with the problem set when there is no turn. */
static apr_status_t run_turn(hb_op_t *op, turn_t *turn)
{
    if (op->site->hashgate == NULL) {
        take_turn(turn);
    }
    else if (hb_hashgate_run(op->site->hashgate, TURN_WAIT, take_turn, turn) != APR_SUCCESS) {
        return hb_fail_later(op, HB_E_AUTH_BUSY, 1, NULL);
    }
    return APR_SUCCESS;
}

/* The cost of a well-formed bcrypt hash, 0 of anything else. */
static int cost_of(const char *hash)
{
    int i;

    if (hash == NULL || strlen(hash) != BCRYPT_LENGTH || hash[0] != '$' || hash[1] != '2'
        || strchr("aby", hash[2]) == NULL || hash[3] != '$' || !apr_isdigit(hash[4])
        || !apr_isdigit(hash[5]) || hash[6] != '$') {
        return 0;
    }
    for (i = 7; i < BCRYPT_LENGTH; i++) {
        if (!apr_isalnum(hash[i]) && hash[i] != '.' && hash[i] != '/') {
            return 0;
        }
    }
    return (hash[4] - '0') * 10 + hash[5] - '0';
}

apr_status_t hb_password_hash(const char **hash, hb_op_t *op, const char *password)
{
    char out[OUT_BYTES], buf[PREHASHED_BYTES];
    unsigned char salt[SALT_BYTES];
    turn_t turn = {
        .cost = (unsigned int)op->site->settings->password_cost, .salt = salt, .out = out
    };
    apr_status_t rv;

    rv = hb_random_bytes(op, salt, sizeof(salt));
    if (rv == APR_SUCCESS && prepared(&turn.text, buf, password) != APR_SUCCESS) {
        rv = hb_fail(op, HB_E_INTERNAL, NULL);
    }
    if (rv == APR_SUCCESS) {
        rv = run_turn(op, &turn);
    }
    OPENSSL_cleanse(buf, sizeof(buf));
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (turn.status != APR_SUCCESS) {
        return hb_fail(op, HB_E_INTERNAL, NULL);
    }
    *hash = apr_pstrdup(op->pool, out);
    return APR_SUCCESS;
}

apr_status_t hb_password_verify(hb_op_t *op, const char *password, const char *hash)
{
    static const unsigned char no_salt[SALT_BYTES];
    char out[OUT_BYTES], buf[PREHASHED_BYTES], *known;
    /* With nobody to compare with the same work is done, so that the time tells nothing. */
    turn_t turn = {
        .cost = (unsigned int)op->site->settings->password_cost, .salt = no_salt, .out = out
    };
    apr_status_t rv;

    if (cost_of(hash) != 0) {
        /* $2b$ is what others call $2y$; APR would hand it to crypt(3). */
        known = apr_pstrdup(op->pool, hash);
        if (known[2] == 'b') {
            known[2] = 'y';
        }
        turn.known = known;
    }
    rv = prepared(&turn.text, buf, password) != APR_SUCCESS ? hb_fail(op, HB_E_INTERNAL, NULL)
        : run_turn(op, &turn);
    OPENSSL_cleanse(buf, sizeof(buf));
    if (rv != APR_SUCCESS) {
        return rv;
    }
    return turn.known != NULL && turn.status == APR_SUCCESS ? APR_SUCCESS
        : hb_fail(op, HB_E_AUTH_CREDENTIALS, NULL);
}

int hb_password_is_outdated(const hb_op_t *op, const char *hash)
{
    return cost_of(hash) != (int)op->site->settings->password_cost;
}

/* Characters, not bytes: every byte that does not continue one starts one. */
static int characters(const char *text)
{
    int n = 0;

    for (; *text != '\0'; text++) {
        n += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return n;
}

static int is_common(const char *password)
{
    apr_size_t i;

    for (i = 0; i < sizeof(common) / sizeof(common[0]); i++) {
        if (apr_cstr_casecmp(password, common[i]) == 0) {
            return 1;
        }
    }
    for (i = 1; password[i] == password[0]; i++) {
        continue;
    }
    return password[0] != '\0' && password[i] == '\0';
}

apr_status_t hb_password_check(hb_op_t *op, const char *field, const char *password,
                               const char *username, const char *email)
{
    int n = characters(password);
    const char *at = email != NULL ? strchr(email, '@') : NULL;

    if (n < HB_PASSWORD_MIN || n > HB_PASSWORD_MAX) {
        return hb_fail_field(op, field, "length", "has to be %d to %d characters long",
                             HB_PASSWORD_MIN, HB_PASSWORD_MAX);
    }
    if ((username != NULL && apr_cstr_casecmp(password, username) == 0)
        || (email != NULL && apr_cstr_casecmp(password, email) == 0)
        || (at != NULL && strlen(password) == (apr_size_t)(at - email)
            && apr_cstr_casecmpn(password, email, at - email) == 0)) {
        return hb_fail_field(op, field, "value",
                             "must not be the username or the e-mail address");
    }
    if (is_common(password)) {
        return hb_fail_field(op, field, "value",
                             "is one of the first that attackers try; choose another");
    }
    return APR_SUCCESS;
}
