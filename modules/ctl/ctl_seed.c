/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filling a new store. The layout is made when a store is first opened; the gift catalogue,
 * the OG tiers, the price list and the site's words come from conf/seed, which travels
 * inside this command. --demo adds people and streams through the same core functions as
 * requests do, so that lists and counts have something to show. Nobody can sign in as a
 * demo account until `user password` gives it one that is known.
 */
#include "ctl.h"

#include <apr_file_io.h>
#include <apr_strings.h>

#include "hb_account.h"
#include "hb_crypto.h"
#include "hb_gift.h"
#include "hb_og.h"
#include "hb_price.h"
#include "hb_schema.h"
#include "hb_stream.h"
#include "hb_viewer.h"
#include "hb_wordlist.h"
#include "seed_files.h"

typedef struct demo_t {
    const char *username, *name, *country;
    const char *title, *category;
    hb_stream_state_e state;    /* how far the stream goes; HB_STREAM_GONE: no stream */
} demo_t;

static const demo_t demos[] = {
    { "demo.mira",   "Mira",   "NP", "Evening songs from Pokhara",      "music",   HB_STREAM_LIVE },
    { "demo.arjun",  "Arjun",  "NP", "Chess, three minutes a side",     "games",   HB_STREAM_LIVE },
    { "demo.olivia", "Olivia", "AU", "Surf report and coffee",          "talk",    HB_STREAM_LIVE },
    { "demo.kenji",  "Kenji",  "JP", "Drawing your ideas",              "art",     HB_STREAM_LIVE },
    { "demo.sita",   "Sita",   "NP", "Cooking momo tomorrow",           "cooking", HB_STREAM_PENDING },
    { "demo.liam",   "Liam",   "GB", "Yesterday's match, looked at again", "sports", HB_STREAM_ENDED },
    { "demo.watch1", "Asha",   "NP", NULL, NULL, HB_STREAM_GONE },
    { "demo.watch2", "Ben",    "AU", NULL, NULL, HB_STREAM_GONE },
    { "demo.watch3", "Chen",   "SG", NULL, NULL, HB_STREAM_GONE },
};

/* Largest file of rows that is read. */
#define SEED_MAX_BYTES (1024 * 1024)

#define N_DEMOS ((int)(sizeof(demos) / sizeof(demos[0])))

/* Work in the name of a demo account. */
static hb_op_t *op_as(ctl_t *ctl, const char *user_id)
{
    hb_op_t *op = hb_op_make(ctl->site, ctl->pool);

    op->actor.user_id = user_id;
    op->actor.is_system = user_id == NULL;
    op->user_agent = "halobuzzctl";
    return op;
}

/* @param id  left NULL when the account is there already */
static int person(const char **id, ctl_t *ctl, const demo_t *demo)
{
    hb_op_t *op = op_as(ctl, NULL);
    hb_json_t *raw = hb_json_object_make(ctl->pool), *input, *user;
    apr_status_t rv;

    *id = NULL;
    hb_json_set_string(raw, "username", demo->username);
    hb_json_set_string(raw, "email", apr_pstrcat(ctl->pool, demo->username, "@example.com", NULL));
    hb_json_set_string(raw, "displayName", demo->name);
    hb_json_set_string(raw, "country", demo->country);
    hb_json_set_string(raw, "password", hb_random_token(op, 24));
    rv = hb_schema_check(&input, op, HB_F_REGISTER, raw);
    if (rv == APR_SUCCESS) {
        rv = hb_account_create(&user, op, input, 0, 1);
    }
    if (rv == HB_E_USERNAME_TAKEN || rv == HB_E_EMAIL_TAKEN) {
        return CTL_OK;
    }
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    *id = hb_json_string(user, "_id");
    return CTL_OK;
}

static int stream(ctl_t *ctl, const demo_t *demo, const char *host_id,
                  const char *const *ids)
{
    hb_op_t *op = op_as(ctl, host_id);
    hb_json_t *raw = hb_json_object_make(ctl->pool), *input, *made;
    const char *stream_id = NULL;
    apr_status_t rv;
    int i;

    hb_json_set_string(raw, "title", demo->title);
    hb_json_set_string(raw, "category", demo->category);
    rv = hb_schema_check(&input, op, HB_F_STREAM_NEW, raw);
    if (rv == APR_SUCCESS) {
        rv = hb_stream_create(&made, op, input);
    }
    if (rv == APR_SUCCESS) {
        stream_id = hb_json_string(made, "_id");
    }
    if (rv == APR_SUCCESS && demo->state != HB_STREAM_PENDING) {
        rv = hb_stream_start(&made, op, stream_id);
    }
    for (i = 0; rv == APR_SUCCESS && demo->state != HB_STREAM_PENDING && i < N_DEMOS; i++) {
        /* Each stream gets another part of the others, so that the order shows. */
        if (ids[i] != NULL && ids[i] != host_id && (i + (int)(demo - demos)) % 3 != 0) {
            hb_op_t *as_viewer = op_as(ctl, ids[i]);

            rv = hb_viewer_join(&made, as_viewer, stream_id);
            if (rv != APR_SUCCESS) {
                return ctl_fail_op(ctl, as_viewer, rv);
            }
        }
    }
    if (rv == APR_SUCCESS && demo->state == HB_STREAM_ENDED) {
        rv = hb_stream_end(&made, op, stream_id);
    }
    return rv == APR_SUCCESS ? CTL_OK : ctl_fail_op(ctl, op, rv);
}

/* Rows of a file of conf/seed, or of one like it. */
static int rows_read(hb_json_t **rows, ctl_t *ctl, const char *path,
                     const unsigned char *own, apr_size_t own_bytes)
{
    const char *text = (const char *)own, *why;
    apr_size_t len = own_bytes;

    if (path != NULL) {
        apr_file_t *file;
        apr_status_t rv = apr_file_open(&file, path, APR_FOPEN_READ, 0, ctl->pool);
        char *bytes = apr_palloc(ctl->pool, SEED_MAX_BYTES + 1), buf[120];

        if (rv == APR_SUCCESS) {
            rv = apr_file_read_full(file, bytes, SEED_MAX_BYTES + 1, &len);
            apr_file_close(file);
        }
        if (rv != APR_SUCCESS && rv != APR_EOF) {
            return ctl_fail(ctl, "%s: %s", path, apr_strerror(rv, buf, sizeof(buf)));
        }
        if (len > SEED_MAX_BYTES) {
            return ctl_fail(ctl, "%s is larger than %d bytes", path, SEED_MAX_BYTES);
        }
        text = bytes;
    }
    if (hb_json_parse(rows, &why, text, len, ctl->pool) != APR_SUCCESS) {
        return ctl_fail(ctl, "%s: %s", path, why);
    }
    if (hb_json_type(*rows) != HB_JSON_ARRAY) {
        return ctl_fail(ctl, "%s is no array of rows, as conf/seed has", path);
    }
    return CTL_OK;
}

/* What the platform sells, as far as it is not there. */
static int catalogue(ctl_t *ctl, hb_op_t *op, const hb_json_t *gifts, const hb_json_t *tiers,
                     const hb_json_t *prices, const hb_json_t *words)
{
    int n_gifts, n_tiers = 0, n_prices = 0, n_words = 0;
    apr_status_t rv = hb_gift_seed(&n_gifts, op, gifts);

    if (rv == APR_SUCCESS) {
        rv = hb_og_seed(&n_tiers, op, tiers);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_price_seed(&n_prices, op, prices);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_wordlist_seed(&n_words, op, words);
    }
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    ctl_say(ctl, "added %d gifts and %d OG tiers", n_gifts, n_tiers);
    ctl_say(ctl, "added %d prices in money", n_prices);
    ctl_say(ctl, "added %d words that are not taken in rooms", n_words);
    return CTL_OK;
}

int ctl_seed(ctl_t *ctl, int argc, const char *const *argv)
{
    const char *ids[N_DEMOS] = { NULL };
    const char *gifts_path = NULL, *tiers_path = NULL, *prices_path = NULL,
        *words_path = NULL;
    hb_json_t *gifts, *tiers, *prices, *words;
    int wants_demo = 0, n_people = 0, n_streams = 0, i;
    const ctl_option_t options[] = {
        { "demo", NULL, &wants_demo },
        { "gifts", &gifts_path, NULL },
        { "og-tiers", &tiers_path, NULL },
        { "prices", &prices_path, NULL },
        { "words", &words_path, NULL },
        { NULL, NULL, NULL }
    };
    hb_op_t *op;
    int rc = ctl_options(ctl, argc, argv, options, NULL, 0, 0);

    if (rc == CTL_OK) {
        rc = rows_read(&gifts, ctl, gifts_path, bytes_gifts_json, sizeof(bytes_gifts_json));
    }
    if (rc == CTL_OK) {
        rc = rows_read(&tiers, ctl, tiers_path, bytes_og_tiers_json,
                       sizeof(bytes_og_tiers_json));
    }
    if (rc == CTL_OK) {
        rc = rows_read(&prices, ctl, prices_path, bytes_prices_json,
                       sizeof(bytes_prices_json));
    }
    if (rc == CTL_OK) {
        rc = rows_read(&words, ctl, words_path, bytes_words_json, sizeof(bytes_words_json));
    }
    if (rc == CTL_OK) {
        rc = ctl_site(&op, ctl);
    }
    if (rc == CTL_OK) {
        rc = catalogue(ctl, op, gifts, tiers, prices, words);
    }
    for (i = 0; rc == CTL_OK && wants_demo && i < N_DEMOS; i++) {
        rc = person(&ids[i], ctl, &demos[i]);
        n_people += ids[i] != NULL;
        ctl_progress(ctl, "demo accounts", i + 1, N_DEMOS);
    }
    for (i = 0; rc == CTL_OK && wants_demo && i < N_DEMOS; i++) {
        if (ids[i] != NULL && demos[i].state != HB_STREAM_GONE) {
            rc = stream(ctl, &demos[i], ids[i], ids);
            n_streams++;
        }
    }
    if (rc == CTL_OK) {
        ctl_say(ctl, "the store is ready, records of layout %d", HB_SCHEMA_VERSION);
    }
    if (rc == CTL_OK && wants_demo) {
        ctl_say(ctl, "made %d demo accounts and %d streams%s", n_people, n_streams,
                n_people < N_DEMOS ? "; the others were there already" : "");
    }
    return rc;
}
