/* SPDX-License-Identifier: Apache-2.0 */
/* Backups of the whole site: taken, shown, proved, put back. */
#include "ctl.h"

#include <stdio.h>
#include <string.h>

#include <apr_strings.h>

#include "hb_backup.h"
#include "hb_time.h"

static int show_progress(void *baton, const char *what, apr_int64_t done, apr_int64_t total)
{
    if (done >= 0) {
        ctl_progress(baton, what, done, total);
    }
    else {
        ctl_mark(baton, CTL_BAD, "%s", what);
    }
    return 0;
}

static hb_json_t *to_json(ctl_t *ctl, const hb_backup_t *backup)
{
    hb_json_t *json = hb_json_object_make(ctl->pool);

    hb_json_set_string(json, "name", backup->name);
    hb_json_set_string(json, "path", backup->path);
    hb_json_set_bool(json, "full", backup->is_full);
    hb_json_set_string(json, "base", backup->base);
    hb_json_set_time(json, "takenAt", backup->taken_at);
    hb_json_set_time(json, "provedAt", backup->proved_at);
    hb_json_set_int(json, "bytes", backup->bytes);
    hb_json_set_int(json, "storeBytes", backup->pages * backup->page_bytes);
    hb_json_set_string(json, "damage", backup->damage);
    return json;
}

int ctl_backup(ctl_t *ctl, int argc, const char *const *argv)
{
    hb_backup_way_t way = { 0, 0, show_progress, ctl };
    const ctl_option_t options[] = { { "full", NULL, &way.is_full },
                                     { "gentle", NULL, &way.is_gentle }, { NULL, NULL, NULL } };
    const hb_backup_t *backup;
    hb_op_t *op;
    apr_status_t rv;
    int rc = ctl_begin(&op, ctl, argc, argv, options, NULL, 0, 0);

    if (rc != CTL_OK) {
        return rc;
    }
    if (ctl->wants_json) {
        way.report = NULL;
    }
    rv = hb_backup_take(&backup, op, &way);
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    if (ctl->wants_json) {
        ctl_json(ctl, to_json(ctl, backup));
    }
    else {
        ctl_mark(ctl, CTL_GOOD, "%s, %" APR_INT64_T_FMT " kB%s%s", backup->path,
                 backup->bytes >> 10, backup->is_full ? "" : ", upon ",
                 backup->is_full ? "" : backup->base);
    }
    return CTL_OK;
}

int ctl_backup_list(ctl_t *ctl, int argc, const char *const *argv)
{
    const hb_backup_t *list;
    hb_json_t *items;
    hb_op_t *op;
    apr_status_t rv;
    int i, n, rc = ctl_options(ctl, argc, argv, NULL, NULL, 0, 0);

    if (rc == CTL_OK) {
        rc = ctl_site_closed(&op, ctl);
    }
    if (rc != CTL_OK) {
        return rc;
    }
    rv = hb_backup_list(&list, &n, op);
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    if (ctl->wants_json) {
        items = hb_json_array_make(ctl->pool);
        for (i = 0; i < n; i++) {
            hb_json_push(items, to_json(ctl, &list[i]));
        }
        ctl_json(ctl, items);
        return CTL_OK;
    }
    for (i = 0; i < n; i++) {
        ctl_mark(ctl, list[i].damage != NULL ? CTL_BAD : list[i].proved_at != 0 ? CTL_GOOD
                 : CTL_NOTE, "%s %10" APR_INT64_T_FMT " kB  %s", list[i].name,
                 list[i].bytes >> 10, list[i].damage != NULL ? list[i].damage
                 : list[i].proved_at == 0 ? "not proved yet"
                 : apr_pstrcat(ctl->pool, "proved ", hb_time_text(ctl->pool, list[i].proved_at),
                               NULL));
    }
    if (n == 0) {
        ctl_say(ctl, "no backups in %s", op->site->settings->backup_dir);
    }
    return CTL_OK;
}

/* --- which one --- */

typedef struct wanted_t {
    const char *at;
    hb_backup_choice_t choice;
} wanted_t;

/*
 * Read the command line and find the backup that is meant.
 * @param args     as for ctl_options()
 * @param is_named  the first argument is its name; else wanted->choice.name may be set already
 */
static int open_choice(hb_op_t **op, const hb_backup_t **backup, ctl_t *ctl, int argc,
                       const char *const *argv, const ctl_option_t *options, wanted_t *wanted,
                       const char **args, int is_named)
{
    apr_status_t rv;
    int rc = ctl_options(ctl, argc, argv, options, args, is_named ? 0 : 1, 1);

    if (rc != CTL_OK) {
        return rc;
    }
    if (is_named) {
        wanted->choice.name = args[0];
    }
    if (wanted->at != NULL && !hb_time_read(&wanted->choice.at, wanted->at)) {
        return ctl_misuse(ctl, "--at takes a time such as 2026-07-01T09:30:00Z");
    }
    if ((wanted->choice.name != NULL) + (wanted->at != NULL) + wanted->choice.is_previous > 1) {
        return ctl_misuse(ctl, "a name, --previous and --at exclude each other");
    }
    rc = ctl_site_closed(op, ctl);
    if (rc != CTL_OK) {
        return rc;
    }
    rv = hb_backup_find(backup, *op, &wanted->choice);
    return rv == APR_SUCCESS ? CTL_OK : ctl_fail_op(ctl, *op, rv);
}

static void show_proof(ctl_t *ctl, const hb_backup_t *backup, const hb_backup_proof_t *proof)
{
    hb_json_t *json;

    if (ctl->wants_json) {
        json = to_json(ctl, backup);
        hb_json_set_bool(json, "whole", HB_BACKUP_IS_WHOLE(proof));
        hb_json_set_int(json, "records", proof->records);
        hb_json_set_int(json, "users", proof->users);
        hb_json_set_int(json, "entries", proof->ledger.entries);
        hb_json_set_string(json, "root", proof->ledger.root);
        ctl_json(ctl, json);
        return;
    }
    ctl_mark(ctl, CTL_GOOD, "%s is whole: %" APR_INT64_T_FMT " records, %" APR_INT64_T_FMT
             " users", backup->name, proof->records, proof->users);
    ctl_mark(ctl, CTL_GOOD, "%" APR_INT64_T_FMT " ledger entries and %" APR_INT64_T_FMT
             " accounts agree; all sums are 0", proof->ledger.entries, proof->ledger.accounts);
}

int ctl_backup_test(ctl_t *ctl, int argc, const char *const *argv)
{
    hb_backup_way_t way = { 0, 0, show_progress, ctl };
    wanted_t wanted = { NULL, { NULL, 0, 0 } };
    const ctl_option_t options[] = { { "at", &wanted.at, NULL },
                                     { "previous", NULL, &wanted.choice.is_previous },
                                     { "gentle", NULL, &way.is_gentle }, { NULL, NULL, NULL } };
    const hb_backup_t *backup;
    hb_backup_proof_t proof;
    const char *args[2];
    hb_op_t *op;
    apr_status_t rv;
    int rc = open_choice(&op, &backup, ctl, argc, argv, options, &wanted, args, 1);

    if (rc != CTL_OK) {
        return rc;
    }
    rv = hb_backup_test(&proof, op, backup, &way);
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    show_proof(ctl, backup, &proof);
    return CTL_OK;
}

int ctl_backup_unpack(ctl_t *ctl, int argc, const char *const *argv)
{
    hb_backup_way_t way = { 0, 0, show_progress, ctl };
    wanted_t wanted = { NULL, { NULL, 0, 0 } };
    const char *args[2];
    const ctl_option_t options[] = { { "at", &wanted.at, NULL },
                                     { "name", &wanted.choice.name, NULL },
                                     { "previous", NULL, &wanted.choice.is_previous },
                                     { NULL, NULL, NULL } };
    const hb_backup_t *backup;
    hb_op_t *op;
    apr_status_t rv;
    int rc = open_choice(&op, &backup, ctl, argc, argv, options, &wanted, args, 0);

    if (rc != CTL_OK) {
        return rc;
    }
    rv = hb_backup_unpack(op, backup, args[0], &way);
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    ctl_say(ctl, "%s", args[0]);
    return CTL_OK;
}

int ctl_restore(ctl_t *ctl, int argc, const char *const *argv)
{
    hb_backup_way_t way = { 0, 0, show_progress, ctl };
    wanted_t wanted = { NULL, { NULL, 0, 0 } };
    int is_forced = 0;
    const ctl_option_t options[] = { { "at", &wanted.at, NULL },
                                     { "previous", NULL, &wanted.choice.is_previous },
                                     { "live", NULL, &is_forced }, { NULL, NULL, NULL } };
    const char *args[2], *aside;
    const hb_backup_t *backup;
    hb_backup_proof_t proof;
    hb_op_t *op;
    apr_status_t rv;
    int rc = open_choice(&op, &backup, ctl, argc, argv, options, &wanted, args, 1);

    if (rc != CTL_OK) {
        return rc;
    }
    rv = hb_backup_restore(&proof, &aside, op, backup, is_forced, &way);
    if (rv != APR_SUCCESS) {
        ctl_fail_op(ctl, op, rv);
        if (rv == HB_E_BACKUP_IN_USE) {
            fprintf(stderr, "  or say --live; what is written in the second after that is lost\n");
        }
        return CTL_FAILED;
    }
    show_proof(ctl, backup, &proof);
    if (!ctl->wants_json) {
        ctl_mark(ctl, CTL_GOOD, "the records are those of %s",
                 hb_time_text(ctl->pool, backup->taken_at));
        if (aside != NULL) {
            ctl_mark(ctl, CTL_NOTE, "those that were there are in %s", aside);
        }
    }
    return CTL_OK;
}
