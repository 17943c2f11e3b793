/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of words. The room's record names the list as it is now by a number that each change
 * makes anew; that number is what a list made ready is kept under in this process, so a
 * change counts at once on every host and nothing has to be told to anybody.
 */
#include "hb_wordlist.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "hb_audit.h"
#include "hb_lexicon.h"
#include "hb_role.h"
#include "hb_schema.h"
#include "hb_store.h"
#include "hb_time.h"

#define SITE "site"             /* the site's record among those of rooms */
#define PAGE 1000
#define EXCEPT_MAX_BYTES 240

/* --- lists made ready --- */

#define KEPT 64

typedef struct kept_t {
    char revision[HB_ID_LENGTH + 1];
    hb_lexicon_t *lexicon;
    int holds;                  /* who reads it */
    int is_old;                 /* not in its place any more: the last reader frees it */
    apr_uint64_t used;
} kept_t;

static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;
static kept_t *kept[KEPT];
static apr_uint64_t n_uses;

static void kept_free(kept_t *list)
{
    hb_lexicon_free(list->lexicon);
    free(list);
}

static kept_t *kept_find(const char *revision)
{
    kept_t *found = NULL;
    int i;

    pthread_mutex_lock(&kept_lock);
    for (i = 0; i < KEPT && found == NULL; i++) {
        if (kept[i] != NULL && strcmp(kept[i]->revision, revision) == 0) {
            found = kept[i];
            found->holds++;
            found->used = ++n_uses;
        }
    }
    pthread_mutex_unlock(&kept_lock);
    return found;
}

/* In the place of the one that was not used for longest. */
static kept_t *kept_add(const char *revision, hb_lexicon_t *lexicon)
{
    kept_t *list = calloc(1, sizeof(*list)), *old;
    int i, at = 0;

    if (list == NULL) {
        abort();
    }
    apr_cpystrn(list->revision, revision, sizeof(list->revision));
    list->lexicon = lexicon;
    list->holds = 1;
    pthread_mutex_lock(&kept_lock);
    list->used = ++n_uses;
    for (i = 1; i < KEPT && kept[at] != NULL; i++) {
        at = kept[i] == NULL || kept[i]->used < kept[at]->used ? i : at;
    }
    old = kept[at];
    kept[at] = list;
    if (old != NULL) {
        old->is_old = 1;
        old = old->holds == 0 ? old : NULL;
    }
    pthread_mutex_unlock(&kept_lock);
    if (old != NULL) {
        kept_free(old);
    }
    return list;
}

static void kept_release(kept_t *list)
{
    int is_last;

    pthread_mutex_lock(&kept_lock);
    is_last = --list->holds == 0 && list->is_old;
    pthread_mutex_unlock(&kept_lock);
    if (is_last) {
        kept_free(list);
    }
}

/* --- reading a list --- */

static int tag_of(const char *action)
{
    return strcmp(action, "mask") == 0 ? HB_WORD_MASK
        : strcmp(action, "shadow") == 0 ? HB_WORD_SHADOW : HB_WORD_REFUSE;
}

static hb_lexicon_how_e how_of(const char *match)
{
    return strcmp(match, "prefix") == 0 ? HB_LEXICON_PREFIX
        : strcmp(match, "inside") == 0 ? HB_LEXICON_INSIDE : HB_LEXICON_WORD;
}

static void read_entry(hb_lexicon_entry_t *entry, const hb_json_t *doc, apr_pool_t *pool)
{
    const hb_json_t *except = hb_json_get(doc, "except");
    const char *language = hb_json_string(doc, "language");
    const char **words;
    int i;

    entry->word = hb_json_string(doc, "word");
    entry->how = how_of(hb_json_string(doc, "match"));
    entry->is_nepali = language != NULL && strcmp(language, "ne") == 0;
    entry->tag = tag_of(hb_json_string(doc, "action"));
    entry->n_except = hb_json_length(except);
    words = apr_palloc(pool, sizeof(*words) * (apr_size_t)(entry->n_except + 1));
    for (i = 0; i < entry->n_except; i++) {
        words[i] = hb_json_string_value(hb_json_item(except, i));
    }
    entry->except = words;
}

static apr_status_t load(hb_lexicon_t **lexicon, hb_op_t *op, const char *owner)
{
    const hb_cond_t where[] = { { "ownerId", HB_IS, HB_STR(owner) } };
    hb_query_t query = { .in = HB_C_WORDS, .where = where, .n_where = 1,
                         .sort = { { "key", 0 } }, .limit = PAGE };
    hb_lexicon_entry_t *entries = apr_palloc(op->pool, sizeof(*entries) * HB_WORDLIST_SITE_MAX);
    hb_page_t page;
    apr_status_t rv;
    int i, n = 0;

    do {
        rv = hb_store_find(&page, op, &query);
        for (i = 0; rv == APR_SUCCESS && i < page.n_items && n < HB_WORDLIST_SITE_MAX; i++) {
            read_entry(&entries[n++], page.items[i], op->pool);
        }
        query.after = rv == APR_SUCCESS ? page.next : NULL;
    } while (query.after != NULL && n < HB_WORDLIST_SITE_MAX);
    if (rv == APR_SUCCESS) {
        *lexicon = hb_lexicon_make(entries, n, op->pool);
    }
    return rv;
}

/* The words are read after the number, so they are at least as new. */
static apr_status_t open_list(kept_t **list, hb_op_t *op, const char *owner,
                              const hb_json_t *rules)
{
    const char *revision = hb_json_string(rules, "wordsRevision");
    hb_lexicon_t *lexicon;
    apr_status_t rv;

    *list = revision != NULL ? kept_find(revision) : NULL;
    if (revision == NULL || *list != NULL) {
        return APR_SUCCESS;
    }
    rv = load(&lexicon, op, owner);
    if (rv == APR_SUCCESS) {
        *list = kept_add(revision, lexicon);
    }
    return rv;
}

/* --- looking a message over --- */

typedef struct look_t {
    hb_word_e verdict;
    char *hidden;               /* a byte for each of the text, or NULL: nothing to hide */
    const char *text;
    apr_pool_t *pool;
} look_t;

static void found(void *baton, int tag, apr_uint32_t start, apr_uint32_t end)
{
    look_t *look = baton;

    if (tag > (int)look->verdict) {
        look->verdict = (hb_word_e)tag;
    }
    if (tag == HB_WORD_MASK) {
        if (look->hidden == NULL) {
            look->hidden = apr_pcalloc(look->pool, strlen(look->text) + 1);
        }
        memset(look->hidden + start, 1, end - start);
    }
}

static int char_bytes(unsigned char first)
{
    return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

static const char *masked(const look_t *look)
{
    char *shown = apr_palloc(look->pool, strlen(look->text) + 1), *to = shown;
    const char *at = look->text;

    while (*at != '\0') {
        int n = char_bytes((unsigned char)*at);

        if (look->hidden[at - look->text] && *at != ' ' && *at != '\n') {
            *to++ = '*';
        }
        else {
            memcpy(to, at, (apr_size_t)n);
            to += n;
        }
        at += n;
    }
    *to = '\0';
    return shown;
}

static apr_status_t look_in(look_t *look, hb_op_t *op, const char *owner,
                            const hb_json_t *rules, hb_folded_t *folded)
{
    kept_t *list;
    apr_status_t rv = open_list(&list, op, owner, rules);

    if (rv == APR_SUCCESS && list != NULL) {
        if (folded->chars == NULL) {
            hb_fold(folded, look->text, op->pool);
        }
        hb_lexicon_find(list->lexicon, folded, found, look, op->pool);
        kept_release(list);
    }
    return rv;
}

apr_status_t hb_wordlist_check(hb_word_e *verdict, const char **shown, hb_op_t *op,
                               const hb_room_t *room, const char *text)
{
    look_t look = { HB_WORD_FINE, NULL, text, op->pool };
    hb_folded_t folded = { NULL, 0 };
    hb_json_t *site;
    apr_status_t rv = hb_store_get(&site, op, HB_C_ROOMS, SITE);

    if (rv == APR_SUCCESS) {
        rv = look_in(&look, op, SITE, site, &folded);
    }
    else if (rv == HB_E_STORE_MISSING) {
        rv = APR_SUCCESS;
    }
    if (rv == APR_SUCCESS && room->badge == HB_BADGE_NONE) {
        rv = look_in(&look, op, room->host_id, room->rules, &folded);
    }
    if (rv == APR_SUCCESS) {
        *verdict = look.verdict;
        *shown = look.hidden != NULL ? masked(&look) : text;
    }
    return rv;
}

/* --- keeping a list --- */

typedef struct change_t {
    const char *stream_id;      /* NULL: the site's list */
    const char *owner;
    const hb_json_t *input;     /* set */
    const char *key;
    const char *word_id;        /* remove */
    hb_json_t *doc;             /* as it is afterwards */
    int is_staff, was_there;
} change_t;

/* Whose list, and may the actor keep it? */
static apr_status_t open_owner(hb_op_t *op, change_t *change)
{
    hb_room_t room;
    apr_status_t rv;

    if (change->stream_id == NULL) {
        change->owner = SITE;
        change->is_staff = 1;
        return op->actor.is_system ? APR_SUCCESS : hb_role_need(op, HB_ROLE_MODERATOR);
    }
    rv = hb_room_open_id(&room, op, change->stream_id);
    if (rv == APR_SUCCESS) {
        rv = hb_room_need_badge(op, &room);
    }
    change->owner = rv == APR_SUCCESS ? room.host_id : NULL;
    change->is_staff = rv == APR_SUCCESS && room.badge == HB_BADGE_STAFF;
    return rv;
}

/* From now on the list is another one. */
static apr_status_t renew(hb_op_t *op, const change_t *change, const char *action)
{
    const char *revision = hb_id_make(op);
    const hb_edit_t edits[] = { { "wordsRevision", HB_SET, HB_STR(revision) } };
    hb_json_t *rules;
    apr_status_t rv;

    rv = hb_store_change(NULL, NULL, op, HB_C_ROOMS, change->owner, NULL, 0, edits, 1);
    if (rv == HB_E_STORE_MISSING) {
        hb_op_recover(op);
        rules = hb_json_object_make(op->pool);
        hb_json_set_string(rules, "_id", change->owner);
        hb_json_set_string(rules, "wordsRevision", revision);
        hb_json_set_int(rules, "updatedAt", hb_time_to_msec(op->now));
        rv = hb_store_insert(NULL, op, HB_C_ROOMS, rules);
    }
    if (rv == APR_SUCCESS && change->is_staff) {
        hb_json_t *details = hb_json_object_make(op->pool);

        hb_json_set_string(details, "word", hb_json_string(change->doc, "word"));
        rv = hb_audit_add(op, NULL, action, apr_pstrcat(op->pool, "words:", change->owner, NULL),
                          1, details);
    }
    return rv;
}

static hb_json_t *make_doc(hb_op_t *op, const change_t *change)
{
    static const char *const texts[] = { "word", "action", "match", "language" };
    const hb_json_t *except = hb_json_get(change->input, "except");
    hb_json_t *doc = hb_json_object_make(op->pool);
    int i;

    hb_json_set_string(doc, "ownerId", change->owner);
    hb_json_set_string(doc, "key", change->key);
    for (i = 0; i < 4; i++) {
        hb_json_set_string(doc, texts[i], hb_json_string(change->input, texts[i]));
    }
    hb_json_set(doc, "except", except != NULL ? hb_json_copy(except, op->pool)
                : hb_json_array_make(op->pool));
    if (op->actor.user_id != NULL) {
        hb_json_set_string(doc, "byId", op->actor.user_id);
    }
    hb_json_set_int(doc, "updatedAt", hb_time_to_msec(op->now));
    return doc;
}

static apr_status_t check_room_left(hb_op_t *op, const change_t *change)
{
    const hb_cond_t where[] = { { "ownerId", HB_IS, HB_STR(change->owner) } };
    const hb_query_t query = { .in = HB_C_WORDS, .where = where, .n_where = 1 };
    int max = change->stream_id == NULL ? HB_WORDLIST_SITE_MAX : HB_WORDLIST_ROOM_MAX;
    apr_int64_t n;
    apr_status_t rv = hb_store_count(&n, op, &query);

    return rv == APR_SUCCESS && n >= max
        ? hb_fail(op, HB_E_WORDS_FULL, "a list holds %d words", max) : rv;
}

static apr_status_t set_tx(hb_op_t *op, void *baton)
{
    change_t *change = baton;
    hb_json_t *old;
    apr_status_t rv = open_owner(op, change);

    if (rv == APR_SUCCESS) {
        const hb_cond_t where[] = { { "ownerId", HB_IS, HB_STR(change->owner) },
                                    { "key", HB_IS, HB_STR(change->key) } };
        const hb_query_t query = { .in = HB_C_WORDS, .where = where, .n_where = 2 };

        change->doc = make_doc(op, change);
        rv = hb_store_find_one(&old, op, &query);
        change->was_there = rv == APR_SUCCESS;
    }
    if (rv == APR_SUCCESS) {
        hb_json_set_string(change->doc, "_id", hb_json_string(old, "_id"));
        rv = hb_store_replace(NULL, op, HB_C_WORDS, change->doc);
    }
    else if (rv == HB_E_STORE_MISSING) {
        hb_op_recover(op);
        rv = check_room_left(op, change);
        if (rv == APR_SUCCESS) {
            rv = hb_store_insert(NULL, op, HB_C_WORDS, change->doc);
        }
    }
    return rv == APR_SUCCESS ? renew(op, change, "words.set") : rv;
}

static apr_status_t check_except(hb_op_t *op, const hb_json_t *except)
{
    int i;

    for (i = 0; i < hb_json_length(except); i++) {
        if (hb_json_string_bytes(hb_json_item(except, i)) > EXCEPT_MAX_BYTES) {
            return hb_fail_field(op, apr_psprintf(op->pool, "except.%d", i), "length",
                                 "at most %d bytes", EXCEPT_MAX_BYTES);
        }
    }
    return APR_SUCCESS;
}

/* A letter or two stand inside of everything. */
static apr_status_t read_key(const char **key, hb_op_t *op, const hb_json_t *input)
{
    hb_lexicon_how_e how = how_of(hb_json_string(input, "match"));
    hb_folded_t folded;
    int least = how == HB_LEXICON_WORD ? 1 : 3, letters;

    hb_fold(&folded, hb_json_string(input, "word"), op->pool);
    letters = hb_lexicon_letters(&folded);
    if (letters < least) {
        return hb_fail_field(op, "word", "length", "at least %d letters or digits for this "
                             "match", least);
    }
    if (folded.n - 2 > HB_LEXICON_LETTERS_MAX) {
        return hb_fail_field(op, "word", "length", "at most %d letters",
                             HB_LEXICON_LETTERS_MAX);
    }
    *key = hb_fold_text(&folded, op->pool);
    return check_except(op, hb_json_get(input, "except"));
}

apr_status_t hb_wordlist_set(hb_json_t **view, hb_op_t *op, const char *stream_id,
                             const hb_json_t *input)
{
    change_t change = { .stream_id = stream_id, .input = input };
    apr_status_t rv = read_key(&change.key, op, input);
    int tries = 3;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    do {
        rv = hb_store_transact(op, set_tx, &change);
        /* A store whose writers do not queue tells two at once by this. */
    } while (rv == HB_E_STORE_DUPLICATE && --tries > 0);
    if (rv == APR_SUCCESS) {
        op->is_replayed = change.was_there;
        *view = hb_schema_view(op, HB_C_WORDS, change.doc, HB_ALL);
    }
    return rv;
}

typedef struct seed_t {
    const hb_json_t *rows;
    int n_new;
} seed_t;

static apr_status_t seed_one(int *is_new, hb_op_t *op, change_t *change)
{
    hb_json_t *input, *old;
    apr_status_t rv = hb_schema_check(&input, op, HB_F_WORD_SET, change->input);

    *is_new = 0;
    change->input = input;
    if (rv == APR_SUCCESS) {
        rv = read_key(&change->key, op, input);
    }
    if (rv == APR_SUCCESS) {
        const hb_cond_t where[] = { { "ownerId", HB_IS, HB_STR(SITE) },
                                    { "key", HB_IS, HB_STR(change->key) } };
        const hb_query_t query = { .in = HB_C_WORDS, .where = where, .n_where = 2 };

        rv = hb_store_find_one(&old, op, &query);
    }
    if (rv == HB_E_STORE_MISSING) {
        hb_op_recover(op);
        *is_new = 1;
        change->doc = make_doc(op, change);
        rv = hb_store_insert(NULL, op, HB_C_WORDS, change->doc);
    }
    return rv;
}

static apr_status_t seed_tx(hb_op_t *op, void *baton)
{
    seed_t *seed = baton;
    change_t change = { .owner = SITE };
    apr_status_t rv = check_room_left(op, &change);
    int i, is_new;

    seed->n_new = 0;
    for (i = 0; rv == APR_SUCCESS && i < hb_json_length(seed->rows); i++) {
        change.input = hb_json_item(seed->rows, i);
        rv = seed_one(&is_new, op, &change);
        seed->n_new += is_new;
    }
    return rv == APR_SUCCESS && seed->n_new > 0 ? renew(op, &change, "words.seed") : rv;
}

apr_status_t hb_wordlist_seed(int *n_new, hb_op_t *op, const hb_json_t *rows)
{
    seed_t seed = { rows, 0 };
    apr_status_t rv = hb_store_transact(op, seed_tx, &seed);

    *n_new = seed.n_new;
    return rv;
}

static apr_status_t remove_tx(hb_op_t *op, void *baton)
{
    change_t *change = baton;
    apr_status_t rv = open_owner(op, change);

    if (rv == APR_SUCCESS) {
        rv = hb_id_is_valid(change->word_id)
            ? hb_store_get(&change->doc, op, HB_C_WORDS, change->word_id) : HB_E_STORE_MISSING;
        if (rv == HB_E_STORE_MISSING
            || (rv == APR_SUCCESS
                && strcmp(hb_json_string(change->doc, "ownerId"), change->owner) != 0)) {
            return hb_fail(op, HB_E_WORD_UNKNOWN, NULL);
        }
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_remove(op, HB_C_WORDS, change->word_id, NULL, 0);
    }
    return rv == APR_SUCCESS ? renew(op, change, "words.remove") : rv;
}

apr_status_t hb_wordlist_remove(hb_op_t *op, const char *stream_id, const char *word_id)
{
    change_t change = { .stream_id = stream_id, .word_id = word_id };

    return hb_store_transact(op, remove_tx, &change);
}

apr_status_t hb_wordlist_list(hb_json_t **list, hb_op_t *op, const char *stream_id, int limit,
                              const char *after)
{
    change_t change = { .stream_id = stream_id };
    apr_status_t rv = open_owner(op, &change);

    if (rv == APR_SUCCESS) {
        const hb_cond_t where[] = { { "ownerId", HB_IS, HB_STR(change.owner) } };
        const hb_query_t query = { .in = HB_C_WORDS, .where = where, .n_where = 1,
                                   .sort = { { "key", 0 } }, .limit = limit, .after = after };

        rv = hb_store_list(list, op, &query, HB_ALL);
    }
    return rv;
}

apr_status_t hb_wordlist_drop(hb_op_t *op, const char *host_id)
{
    const hb_cond_t where[] = { { "ownerId", HB_IS, HB_STR(host_id) } };
    const hb_query_t query = { .in = HB_C_WORDS, .where = where, .n_where = 1 };

    return hb_store_remove_all(NULL, op, &query);
}
