/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NAME
 *     halobuzzctl - the operator's command of HaloBuzz
 *
 * DESCRIPTION
 *     Checks, watches, fills and keeps a HaloBuzz server. Commands that work on records open
 *     the store beside the running server, as the server's user, and call the same core functions as
 *     a request does; commands that try the server talk HTTP to it. The shared memory of a
 *     running httpd is its own, so there is no command here that looks into it; the log of events
 *     is a file, which bus stats and bus tail read. halobuzzctl.8 is the manual.
 *
 * SECURITY
 *     As root it reads settings and secrets and then becomes the owner of the state
 *     directory for good. Secrets are never arguments, because others see those.
 */
#include "ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <apr_general.h>
#include <apr_strings.h>

static ctl_run_fn help;

static const ctl_command_t commands[] = {
/*  name             usage                                                                    run                sentence */
  { "check",         "[--json]",                                                              ctl_check,         "look at settings, secrets, store and addresses; explain and say the fix" },
  { "health",        "[URL] [-k] [--json]",                                                   ctl_health,        "ask the running server whether it and what it needs are well" },
  { "status",        "[URL] [-k] [--json]",                                                   ctl_status,        "version, uptime, load and records of the running server" },
  { "routes",        "[URL] [-k] [--json]",                                                   ctl_routes,        "every call the server answers, from its /openapi.json" },
  { "smoke",         "[URL] [-k] [--json]",                                                   ctl_smoke,         "register, sign in, stream, watch, sign out against a server, step by step" },
  { "seed",          "[--demo] [--gifts FILE] [--og-tiers FILE] [--prices FILE] [--words FILE]", ctl_seed,         "make the store's initial data; with --demo people and live streams to look at" },
  { "demo",          "[--gifts N]",                                                           ctl_demo,          "fill a site with people, payments in play money and gifts, and prove its ledger" },
  { "og bonus",      "--date YYYY-MM-DD [--json]",                                            ctl_og_bonus,      "pay the daily OG bonus of a date to whom it was not paid yet" },
  { "providers check", "[PROVIDER] [--json]",                                                 ctl_providers_check, "ask each configured payment provider whether it answers and takes our keys" },
  { "notice send",   "--all | --user NAME | --users FILE | --role ROLE ... --title T --text T [--json]",  ctl_notice_send,   "announce something to all users, some, or one" },
  { "notice list",   "[--limit N] [--after CURSOR] [--json]",                                           ctl_notice_list,   "what was announced, and how far it is" },
  { "notice show",   "ID [--json]",                                                                     ctl_notice_show,   "an announcement and how far it is" },
  { "notice cancel", "ID [--json]",                                                                     ctl_notice_cancel, "tell nobody more of an announcement" },
  { "notice test",   "sms NUMBER | push USERID | team [--json]",                              ctl_notice_test,   "send a test notice now, and tell what the service answered" },
  { "maintenance plan", "--at TIME [--until TIME] [--reason TEXT] [--mail] [--push] [--json]", ctl_maintenance_plan, "tell everybody 48 hours ahead, and when it begins, that the site will be closed" },
  { "maintenance list", "[--limit N] [--after CURSOR] [--json]",                              ctl_maintenance_list, "planned maintenance, the latest begin first" },
  { "maintenance cancel", "ID [--json]",                                                      ctl_maintenance_cancel, "call planned maintenance off; who was told of it is told of this" },
  { "user create",   "--email ADDRESS --username NAME [--role ROLE,...] [--verified] [--password-file FILE] [--json]", ctl_user_create, "make an account" },
  { "user role",     "USER ROLE[,ROLE...]|none [--json]",                                       ctl_user_role,     "set the roles beyond user" },
  { "user list",     "[--staff] [--limit N] [--after CURSOR] [--json]",                       ctl_user_list,     "accounts, newest first" },
  { "user show",     "USER [--json]",                                                         ctl_user_show,     "one account, by id, username or address" },
  { "user disable",  "USER [--json]",                                                           ctl_user_disable,  "lock an account out; its sessions and its stream end" },
  { "user enable",   "USER [--json]",                                                           ctl_user_enable,   "let a disabled account in again" },
  { "user password", "USER [--password-file FILE] [--json]",                                    ctl_user_password, "set a password; all sessions of the account end" },
  { "user totp",     "USER [--remove] [--json]",                                              ctl_user_totp,     "whether an account has a second factor; take it from who lost theirs" },
  { "ledger verify", "[--json]",                                                              ctl_ledger_verify, "recompute every entry, account and balance; name the first wrong entry" },
  { "ledger balance", "ACCOUNT [--at TIME] [--json]",                                         ctl_ledger_balance, "what an account holds, or held" },
  { "ledger statement", "ACCOUNT [--limit N] [--after CURSOR] [--json]",                      ctl_ledger_statement, "an account's entries, newest first" },
  { "ledger circulation", "[--json]",                                                         ctl_ledger_circulation, "coins made, unmade and with somebody, by kind of entry" },
  { "events list",   "[--order ID | --pending | --refused] [--limit N] [--after CURSOR] [--json]", ctl_events_list,   "what payment providers told us, newest first" },
  { "events show",   "EVENT [--json]",                                                        ctl_events_show,   "one event with the bytes that came" },
  { "events replay", "EVENT | --pending | --refused [--json]",                                ctl_events_replay, "judge events anew and act on them again" },
  { "webhook send",  "PROVIDER TYPE --order ID | --user USER [--product CODE] [URL] [--copies N] [-k] [--json]", ctl_webhook_send,  "send the server what a payment provider would, signed with its secret" },
  { "bus stats",     "[--json]",                                                              ctl_bus_stats,     "the log of events: how full, which numbers, what was lost" },
  { "bus tail",      "[--all] [--payload] [--no-follow] [--json]",                            ctl_bus_tail,      "events as they pass" },
  { "cache flush",   "",                                                                      ctl_cache_flush,   "empty the cache in Redis; what is no cache stays" },
  { "reconcile",     "[--since DURATION|TIME | --open] [--json]",                             ctl_reconcile,     "ask the payment providers what became of orders; credit what was lost, report what differs" },
  { "cron list",     "[--json]",                                                              ctl_cron_list,     "jobs: state, schedule, next run in local and UTC time, how the last one went" },
  { "cron history",  "JOB [--limit N] [--after CURSOR] [--json]",                             ctl_cron_history,  "runs of a job, the last planned first" },
  { "cron run",      "JOB [--date YYYY-MM-DD] [--no-wait] [--json]",                          ctl_cron_run,      "have halobuzz-crond run a job now, and wait for how it ends" },
  { "cron pause",    "JOB",                                                                   ctl_cron_pause,    "plan nothing of a job, on all hosts, until it is resumed" },
  { "cron resume",   "JOB",                                                                   ctl_cron_resume,   "let a paused job go on" },
  { "refunds resume", "",                                                                     ctl_refunds_resume, "send the refunds that a crash or an outage left unfinished" },
  { "backup list",   "[--json]",                                                              ctl_backup_list,   "the backups, newest first: how large, on what they stand, whether they were proved" },
  { "backup test",   "[NAME | --previous | --at TIME] [--gentle] [--json]",                   ctl_backup_test,   "restore a backup into a scratch directory and look at all of it" },
  { "backup unpack", "FILE [--name NAME | --previous | --at TIME]",                           ctl_backup_unpack, "make the store of a backup in a new file" },
  { "backup",        "[--full] [--gentle] [--json]",                                          ctl_backup,        "take a backup of the running site: what changed since the last one, or all" },
  { "restore",       "[NAME | --previous | --at TIME] [--live] [--json]",                     ctl_restore,       "put a backup in the place of the records, after it was proved" },
  { "report day",    "DATE [--csv] [--json]",                                                 ctl_report_day,    "count the figures of a day (YYYY-MM-DD) and keep them; also of one long past" },
  { "store backup",  "FILE",                                                                  ctl_store_backup,  "copy the live store into a new file" },
  { "store verify",  "[--json]",                                                              ctl_store_verify,  "check structure, indexes and every record" },
  { "store stats",   "[--json]",                                                              ctl_store_stats,   "driver, size and records of each collection" },
  { "store clean",   "[--dry-run] [--json]",                                                  ctl_store_clean,   "remove what is older than it is kept, as the job clean-up does; or only count it" },
  { "store copy",    "SOURCE TARGET [--live] [--force] [--json]",                             ctl_store_copy,    "copy all records of one store into another, and prove it; goes on where it was stopped" },
  { "store indexes", "[--json]",                                                              ctl_store_indexes, "compare the indexes with those that are wanted" },
  { "store reindex", "[--all]",                                                               ctl_store_reindex, "make the indexes that are missing or different; with --all make them anew" },
  { "version",       "[--json]",                                                              ctl_version,       "version of this command" },
  { "help",          "[COMMAND]",                                                             help,              "this list, or the usage of a command" },
};

#define N_COMMANDS ((int)(sizeof(commands) / sizeof(commands[0])))

static void usage(FILE *out)
{
    int i;

    fputs("usage: halobuzzctl COMMAND [ARGUMENTS] [--settings FILE] [--json] [-k] [-v]\n\n", out);
    for (i = 0; i < N_COMMANDS; i++) {
        fprintf(out, "  %-18s %s\n", commands[i].name, commands[i].sentence);
    }
    fputs("\nhalobuzzctl COMMAND --help tells the arguments; man halobuzzctl tells the rest.\n", out);
}

/* The command at the start of argv. @param n_words  of its name */
static const ctl_command_t *find(int *n_words, int argc, const char *const *argv)
{
    const char *one = argv[0];
    char two[64];
    int i;

    apr_snprintf(two, sizeof(two), "%s %s", one, argc > 1 ? argv[1] : "");
    for (i = 0; i < N_COMMANDS; i++) {
        *n_words = strchr(commands[i].name, ' ') != NULL ? 2 : 1;
        if (strcmp(commands[i].name, *n_words == 2 ? two : one) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

/* Is it the first of the two words of a command? */
static int begins_one(const char *word)
{
    apr_size_t len = strlen(word);
    int i;

    for (i = 0; i < N_COMMANDS; i++) {
        if (strncmp(commands[i].name, word, len) == 0 && commands[i].name[len] == ' ') {
            return 1;
        }
    }
    return 0;
}

/* The arguments of the command at the start of argv, or of all that begin with its first word.
 * Gives how many that were. */
static int usage_of(FILE *out, int argc, const char *const *argv)
{
    int n_words, i, n = 0;
    const ctl_command_t *one = find(&n_words, argc, argv);
    int len = (int)strlen(argv[0]);

    for (i = 0; i < N_COMMANDS; i++) {
        const ctl_command_t *command = &commands[i];

        if (one != NULL && n_words == 2 ? command == one
            : strncmp(command->name, argv[0], len) == 0
              && (command->name[len] == ' ' || command->name[len] == '\0')) {
            fprintf(out, "halobuzzctl %s %s\n    %s\n", command->name, command->usage,
                    command->sentence);
            n++;
        }
    }
    return n;
}

static int help(ctl_t *ctl, int argc, const char *const *argv)
{
    if (argc == 0) {
        usage(stdout);
        return CTL_OK;
    }
    return usage_of(stdout, argc, argv) > 0 ? CTL_OK
        : ctl_misuse(ctl, "there is no command %s", argv[0]);
}

static int wants_help(int argc, const char *const *argv)
{
    int i;

    for (i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            return 1;
        }
    }
    return 0;
}

static int misunderstood(int argc, const char *const *argv)
{
    if (argv[0][0] == '-') {
        fprintf(stderr, "halobuzzctl: the command comes before %s\n\n", argv[0]);
        usage(stderr);
        return CTL_USAGE;
    }
    fprintf(stderr, argc == 1 && begins_one(argv[0])
            ? "halobuzzctl: \"%s%s%s\" takes another word:\n\n"
            : "halobuzzctl: there is no command \"%s%s%s\"\n\n", argv[0],
            argc > 1 ? " " : "", argc > 1 ? argv[1] : "");
    if (usage_of(stderr, 1, argv) == 0) {
        usage(stderr);
    }
    return CTL_USAGE;
}

int ctl_version(ctl_t *ctl, int argc, const char *const *argv)
{
    int rc = ctl_options(ctl, argc, argv, NULL, NULL, 0, 0);

    if (rc == CTL_OK && ctl->wants_json) {
        hb_json_t *json = hb_json_object_make(ctl->pool);

        hb_json_set_string(json, "version", HB_VERSION);
        ctl_json(ctl, json);
    }
    else if (rc == CTL_OK) {
        ctl_say(ctl, "halobuzzctl %s", HB_VERSION);
    }
    return rc;
}

int main(int argc, const char *const *argv)
{
    const ctl_command_t *command;
    ctl_t ctl = { .command = "", .usage = "COMMAND" };
    int n_words, rc;

    if (argc < 2) {
        usage(stderr);
        return CTL_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        usage(stdout);
        return CTL_OK;
    }
    if (apr_initialize() != APR_SUCCESS || apr_pool_create(&ctl.pool, NULL) != APR_SUCCESS) {
        fputs("halobuzzctl: no memory\n", stderr);
        return CTL_FAILED;
    }
    atexit(apr_terminate);
    ctl.is_terminal = isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL;
    if (strcmp(argv[1], "--version") == 0) {
        return ctl_version(&ctl, 0, NULL);
    }
    if (wants_help(argc - 1, argv + 1) && usage_of(stdout, argc - 1, argv + 1) > 0) {
        return CTL_OK;
    }
    command = find(&n_words, argc - 1, argv + 1);
    if (command == NULL) {
        return misunderstood(argc - 1, argv + 1);
    }
    ctl.command = command->name;
    ctl.usage = command->usage;
    rc = command->run(&ctl, argc - 1 - n_words, argv + 1 + n_words);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fputs("halobuzzctl: the output could not be written\n", stderr);
        rc = rc == CTL_OK ? CTL_FAILED : rc;
    }
    apr_pool_destroy(ctl.pool);
    return rc;
}
