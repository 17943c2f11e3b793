/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at a configuration before and while it serves: settings, secrets, services, store. Each
 * finding says what was found, and how to mend it when it should be mended.
 */
#include "ctl_check.h"

#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "hb_bus.h"
#include "hb_crypto.h"
#include "hb_keyring.h"
#include "hb_secret.h"
#include "hb_site.h"
#include "hb_store.h"

#define SECRET_MIN_CHARS    64      /* ACC-04 */
#define SECRET_MIN_DISTINCT 10
#define VERIFY_MAX_BYTES    (64 * 1024 * 1024)
#define BCRYPT_COST_MIN     10

/* Secrets that stand in the runbook as examples; somebody always copies them. */
static const char *const example_secrets[] = {
    "your-super-secure-jwt-secret-minimum-64-characters-long",
    "your-super-secure-refresh-secret-different-from-jwt-secret",
    NULL
};

static const struct {
    const char *passed, *failed;
} area_lines[CHECK_N_AREAS] = {
    [CHECK_CONFIG]   = { "Configuration validation passed", "Configuration validation failed" },
    [CHECK_REQUIRED] = { "All required variables set",      "Required variables are missing" },
    [CHECK_SECURITY] = { "Security settings validated",     "Security settings need attention" },
    [CHECK_SERVICES] = { "External services configured",    "External services are misconfigured" },
};

static const char *const area_names[CHECK_N_AREAS] = {
    "configuration", "required", "security", "services"
};
static const char *const mark_names[] = { "good", "note", "bad" };

void check_note(check_t *check, check_area_e area, ctl_mark_e mark, const char *fix,
                const char *fmt, ...)
{
    finding_t *finding = apr_array_push(check->findings);
    va_list args;

    finding->area = area;
    finding->mark = mark;
    finding->fix = fix;
    va_start(args, fmt);
    finding->text = apr_pvsprintf(check->ctl->pool, fmt, args);
    va_end(args);
}

/* --- secrets --- */

static int n_distinct(const char *text)
{
    unsigned char seen[256] = { 0 };
    int n = 0;

    for (; *text != '\0'; text++) {
        n += !seen[(unsigned char)*text];
        seen[(unsigned char)*text] = 1;
    }
    return n;
}

/* A secret of ours, which signs: long, and not what everybody has. */
static void check_strength(check_t *check, const char *directive, const char *secret)
{
    const char *fix = apr_psprintf(check->ctl->pool, "openssl rand -hex 48 > FILE; chmod 640 FILE; "
                                   "%s file:FILE", directive);
    int i;

    for (i = 0; example_secrets[i] != NULL; i++) {
        if (strcmp(secret, example_secrets[i]) == 0) {
            check_note(check, CHECK_SECURITY, CTL_BAD, fix,
                       "%s is the runbook's example, which everybody knows", directive);
            return;
        }
    }
    if (strlen(secret) < SECRET_MIN_CHARS) {
        check_note(check, CHECK_SECURITY, CTL_BAD, fix, "%s has %d characters; it needs %d",
                   directive, (int)strlen(secret), SECRET_MIN_CHARS);
    }
    else if (n_distinct(secret) < SECRET_MIN_DISTINCT) {
        check_note(check, CHECK_SECURITY, CTL_BAD, fix,
                   "%s is long but made of %d characters only: it can be guessed", directive,
                   n_distinct(secret));
    }
    else {
        check_note(check, CHECK_SECURITY, CTL_GOOD, NULL, "%s is readable and strong", directive);
    }
}

/* @return the value, NULL when it is not set or cannot be read (which is noted) */
static const char *read_secret(check_t *check, const char *directive, const char *reference)
{
    const char *value = NULL, *why;

    if (reference[0] == '\0') {
        return NULL;
    }
    if (hb_secret_read(&value, &why, reference, check->ctl->pool) != APR_SUCCESS) {
        check_note(check, CHECK_REQUIRED, CTL_BAD, why, "%s cannot be read", directive);
        return NULL;
    }
    return value;
}

static void check_key_file(check_t *check, const char *directive, const char *name)
{
    const char *path = apr_pstrcat(check->ctl->pool, check->ctl->settings->state_dir, "/keys/",
                                   name, NULL);
    struct stat st;

    if (stat(path, &st) != 0) {
        check_note(check, CHECK_REQUIRED, CTL_GOOD, NULL,
                   "%s is not set; the first start makes a key ring in %s", directive, path);
    }
    else if ((st.st_mode & 027) != 0) {
        check_note(check, CHECK_SECURITY, CTL_BAD,
                   apr_pstrcat(check->ctl->pool, "chmod 640 ", path, NULL),
                   "the key ring %s has mode %04o: others may read or change it", path,
                   (unsigned int)(st.st_mode & 07777));
    }
    else {
        check_note(check, CHECK_REQUIRED, CTL_GOOD, NULL, "%s is not set; the key ring %s is used",
                   directive, path);
    }
}

static void check_secrets(check_t *check)
{
    const hb_settings_t *settings = check->ctl->settings;
    const char *access = read_secret(check, "HaloBuzzAuthSecret", settings->auth_secret);
    const char *refresh = read_secret(check, "HaloBuzzAuthRefreshSecret",
                                      settings->refresh_secret);

    if (settings->auth_secret[0] == '\0') {
        check_key_file(check, "HaloBuzzAuthSecret", "access.keys");
    }
    if (settings->refresh_secret[0] == '\0') {
        check_key_file(check, "HaloBuzzAuthRefreshSecret", "pepper.keys");
    }
    if (access != NULL) {
        check_strength(check, "HaloBuzzAuthSecret", access);
    }
    if (refresh != NULL) {
        check_strength(check, "HaloBuzzAuthRefreshSecret", refresh);
    }
    if (access != NULL && refresh != NULL && strcmp(access, refresh) == 0) {
        check_note(check, CHECK_SECURITY, CTL_BAD, "give HaloBuzzAuthRefreshSecret one of its own",
                   "HaloBuzzAuthSecret and HaloBuzzAuthRefreshSecret are the same");
    }
}

/* Where the URL of records, shared state or events is kept apart, it has to be readable there. */
static void check_urls(check_t *check)
{
    const hb_settings_t *resolved;
    const char *why = hb_settings_resolve(&resolved, check->ctl->settings, check->ctl->pool);

    if (why != NULL) {
        check_note(check, CHECK_REQUIRED, CTL_BAD, "a file with the URL alone in it, chmod 640", "%s",
                   why);
    }
}

/* --- one of several hosts? --- */

/* Who has records in a MongoDB may want more hosts, and then they have to share more than those. */
static void check_hosts(check_t *check)
{
    const hb_settings_t *settings = check->ctl->settings;

    if (strncmp(settings->store_url, "mongodb", 7) != 0) {
        return;
    }
    if (strncmp(settings->cache_url, "redis:", 6) != 0) {
        check_note(check, CHECK_CONFIG, CTL_NOTE, "HaloBuzzCache redis://HOST, the same on all",
                   "records are in MongoDB, the rest is in this machine: if it is one of several hosts, "
                   "rooms, limits and sign-outs end at each of them");
    }
    if (settings->auth_secret[0] == '\0' || settings->refresh_secret[0] == '\0') {
        check_note(check, CHECK_SECURITY, CTL_NOTE,
                   "HaloBuzzAuthSecret and HaloBuzzAuthRefreshSecret, the same on all",
                   "keys are made by this machine: if it is one of several hosts, they refuse each "
                   "other's tokens and second factors");
    }
}

/* Nothing but their owner can compare the keys of two hosts, and without a word on it they differ
 * unseen: each host refuses what the other signed. 32 bits of a hash tell a difference, and no key. */
static void check_host_keys(check_t *check)
{
    const hb_site_t *site = check->ctl->site;
    unsigned char both[2 * HB_KEYRING_MARK_BYTES], mark[32];

    if (site == NULL || strncmp(check->ctl->settings->store_url, "mongodb", 7) != 0) {
        return;
    }
    memcpy(both, hb_keyring_mark(site->access_keys), HB_KEYRING_MARK_BYTES);
    memcpy(both + HB_KEYRING_MARK_BYTES, hb_keyring_mark(site->pepper_keys), HB_KEYRING_MARK_BYTES);
    if (hb_sha256(mark, both, sizeof(both), NULL, 0) == APR_SUCCESS) {
        check_note(check, CHECK_SECURITY, CTL_GOOD, NULL, "the keys of this host have the mark "
                   "%02x%02x%02x%02x, which has to be the same on all hosts", mark[0], mark[1], mark[2],
                   mark[3]);
    }
}

/* --- settings that deserve a word --- */

static void check_settings(check_t *check)
{
    const hb_settings_t *settings = check->ctl->settings;
    int is_production = strcmp(settings->environment, "production") == 0;
    ctl_mark_e mark = is_production ? CTL_BAD : CTL_NOTE;

    check_note(check, CHECK_CONFIG, CTL_GOOD, NULL, "settings come from %s",
               check->ctl->settings_path != NULL ? check->ctl->settings_path
               : "the environment and the defaults (no server has written its settings yet)");
    if (settings->password_cost < BCRYPT_COST_MIN) {
        check_note(check, CHECK_SECURITY, mark, "HaloBuzzPasswordCost 12",
                   "HaloBuzzPasswordCost %d makes stolen hashes cheap to guess",
                   (int)settings->password_cost);
    }
    if (!settings->staff_totp) {
        check_note(check, CHECK_SECURITY, mark, "HaloBuzzAuthStaffTOTP on",
                   "staff may act without a second factor");
    }
    if (settings->maintenance) {
        check_note(check, CHECK_CONFIG, CTL_NOTE, "HaloBuzzMaintenance off",
                   "the platform is closed for maintenance");
    }
    if (strchr(settings->cors_origins, '*') != NULL) {
        check_note(check, CHECK_SECURITY, CTL_BAD,
                   "HaloBuzzCORSOrigin https://app.example.com,https://admin.example.com",
                   "HaloBuzzCORSOrigin has a *; origins are compared exactly, so it matches none");
    }
    if (settings->admin_emails[0] == '\0') {
        check_note(check, CHECK_CONFIG, CTL_NOTE,
                   "halobuzzctl user create --email ADDRESS --username NAME --role superadmin",
                   "no HaloBuzzAdminEmail: the first superadmin is made by hand");
    }
}

/* --- services outside --- */

static int is_hex32(const char *text)
{
    int i;

    for (i = 0; text[i] != '\0'; i++) {
        if (!apr_isxdigit(text[i])) {
            return 0;
        }
    }
    return i == 32;
}

static void check_agora(check_t *check)
{
    const hb_settings_t *settings = check->ctl->settings;
    const char *certificate = read_secret(check, "HaloBuzzAgoraCertificate",
                                          settings->agora_certificate);
    int has_id = settings->agora_app_id[0] != '\0';
    int has_certificate = settings->agora_certificate[0] != '\0';

    if (!has_id && !has_certificate) {
        check_note(check, CHECK_SERVICES, CTL_NOTE,
                   "HaloBuzzAgoraAppId and HaloBuzzAgoraCertificate, when streams shall have media",
                   "media (Agora) is not used: rooms work, but give no media tokens");
    }
    else if (!has_id || !has_certificate) {
        check_note(check, CHECK_SERVICES, CTL_BAD,
                   has_id ? "HaloBuzzAgoraCertificate file:FILE" : "HaloBuzzAgoraAppId ID",
                   "media (Agora) needs %s too",
                   has_id ? "HaloBuzzAgoraCertificate" : "HaloBuzzAgoraAppId");
    }
    else if (certificate != NULL && !is_hex32(certificate)) {
        check_note(check, CHECK_SERVICES, CTL_BAD, "copy it again from Agora's console",
                   "the secret of HaloBuzzAgoraCertificate is not 32 hex digits");
    }
    else if (certificate != NULL) {
        check_note(check, CHECK_SERVICES, CTL_GOOD, NULL, "media (Agora) is configured");
    }
}

static void check_mail(check_t *check)
{
    const hb_settings_t *settings = check->ctl->settings;

    if (settings->smtp_url[0] == '\0') {
        check_note(check, CHECK_SERVICES, CTL_NOTE, "HaloBuzzSMTP smtp://HOST:587",
                   "mail (SMTP) is not used: it waits in %s", settings->mail_spool);
        return;
    }
    read_secret(check, "HaloBuzzSMTPPassword", settings->smtp_password);
    if ((settings->smtp_user[0] == '\0') != (settings->smtp_password[0] == '\0')) {
        check_note(check, CHECK_SERVICES, CTL_BAD, "set both, or neither",
                   "HaloBuzzSMTPUser and HaloBuzzSMTPPassword go together");
    }
    else {
        check_note(check, CHECK_SERVICES, CTL_GOOD, NULL, "mail (SMTP) is configured");
    }
    if (strstr(settings->mail_from, "localhost") != NULL) {
        check_note(check, CHECK_SERVICES, CTL_NOTE, "HaloBuzzMailFrom no-reply@YOUR-DOMAIN",
                   "mails go out as %s, which others refuse", settings->mail_from);
    }
}

/* Ways for notices that are set up; halobuzzctl notice test tries them. */
static void check_notices(check_t *check)
{
    const hb_settings_t *settings = check->ctl->settings;
    const char *token = read_secret(check, "HaloBuzzSMSToken", settings->sms_token);
    const char *key = read_secret(check, "HaloBuzzPushSecret", settings->push_secret);
    const char *hook = read_secret(check, "HaloBuzzTeamHook", settings->team_hook);

    if (settings->sms_account[0] != '\0' && token != NULL && settings->sms_from[0] != '\0') {
        check_note(check, CHECK_SERVICES, CTL_GOOD, NULL, "notices by SMS are configured");
    }
    else if (settings->sms_account[0] != '\0') {
        check_note(check, CHECK_SERVICES, CTL_BAD, "HaloBuzzSMSToken file:FILE, HaloBuzzSMSFrom +N",
                   "notices by SMS need HaloBuzzSMSToken and HaloBuzzSMSFrom too");
    }
    if (settings->push_url[0] != '\0' && key != NULL) {
        check_note(check, CHECK_SERVICES, CTL_GOOD, NULL, "notices to devices are configured");
    }
    else if (settings->push_url[0] != '\0') {
        check_note(check, CHECK_SERVICES, CTL_BAD, "HaloBuzzPushSecret file:FILE",
                   "notices to devices need HaloBuzzPushSecret too: they are signed with it");
    }
    if (hook != NULL) {
        check_note(check, CHECK_SERVICES, CTL_GOOD, NULL, "the team is told (HaloBuzzTeamHook)");
    }
}

/* --- the store --- */

static int on_finding(void *baton, const char *what, apr_int64_t done, apr_int64_t total)
{
    check_t *check = baton;

    if (done >= 0) {
        ctl_progress(check->ctl, what, done, total);
    }
    else {
        check_note(check, CHECK_CONFIG, CTL_BAD, "halobuzzctl store verify", "the store: %s", what);
    }
    return 0;
}

/* Last, because it gives up root. */
static void check_store(check_t *check)
{
    const char *why = hb_store_url_check(check->ctl->settings->store_url, check->ctl->pool);
    apr_int64_t findings = 0, bytes;
    hb_json_t *stats;
    hb_op_t *op;
    apr_status_t rv;
    char buf[200];
    int rc;

    if (hb_setting_is_reference(check->ctl->settings->store_url)) {
        return;     /* it could not be followed, which is noted */
    }
    if (why != NULL) {
        check_note(check, CHECK_CONFIG, CTL_BAD, "HaloBuzzStore sqlite:halobuzz.db", "%s", why);
        return;
    }
    rc = ctl_site(&op, check->ctl);
    if (rc != CTL_OK) {
        check_note(check, CHECK_CONFIG, CTL_BAD, "the line above says what is missing",
                   "the store %s cannot be opened",
                   hb_url_shown(check->ctl->settings->store_url, check->ctl->pool));
        return;
    }
    rv = hb_store_stats(&stats, op);
    if (rv != APR_SUCCESS) {
        check_note(check, CHECK_CONFIG, CTL_BAD, "halobuzzctl store verify",
                   "the store opens but cannot be read: %s", hb_strerror(rv, buf, sizeof(buf)));
        return;
    }
    bytes = hb_json_int(stats, "bytes", 0);
    if (bytes > VERIFY_MAX_BYTES) {
        check_note(check, CHECK_CONFIG, CTL_GOOD, NULL,
                   "the store opens and answers; `halobuzzctl store verify` reads all of it");
        return;
    }
    rv = hb_store_verify(&findings, op, on_finding, check);
    if (rv != APR_SUCCESS) {
        check_note(check, CHECK_CONFIG, CTL_BAD, "halobuzzctl store verify",
                   "the store cannot be verified: %s", hb_strerror(rv, buf, sizeof(buf)));
    }
    else if (findings == 0) {
        check_note(check, CHECK_CONFIG, CTL_GOOD, NULL, "the store opens and is whole");
    }
}

/* --- the bus --- */

/* Behind the store, which has opened the site. */
static void check_bus(check_t *check)
{
    const char *url = hb_bus_url(check->ctl->settings);
    const char *why = hb_setting_is_reference(url) ? NULL
        : hb_bus_url_check(url, check->ctl->pool);
    hb_bus_stats_t stats;

    url = hb_url_shown(url, check->ctl->pool);
    if (why != NULL) {
        check_note(check, CHECK_CONFIG, CTL_BAD, "HaloBuzzBus local:realtime.bus", "%s", why);
    }
    else if (check->ctl->site == NULL) {
        return;
    }
    else if (hb_bus_stats(&stats, check->ctl->site) != APR_SUCCESS) {
        check_note(check, CHECK_CONFIG, CTL_BAD, strncmp(url, "redis:", 6) == 0
                   ? "is this Redis running, and may this host reach it?"
                   : "room for HaloBuzzBusSize, and a directory that belongs to the run user",
                   "the log of events %s cannot be opened: live clients would hear nothing", url);
    }
    else if (stats.dropped > 0) {
        check_note(check, CHECK_CONFIG, CTL_NOTE, NULL, "%" APR_UINT64_T_FMT " events could not "
                   "be written to %s since its file was made", stats.dropped, url);
    }
}

/* --- what was found --- */

static int print_findings(const check_t *check)
{
    const finding_t *findings = (const finding_t *)check->findings->elts;
    int n_bad[CHECK_N_AREAS] = { 0 };
    int n_all = 0, i;

    for (i = 0; i < check->findings->nelts; i++) {
        n_bad[findings[i].area] += findings[i].mark == CTL_BAD;
        n_all += findings[i].mark == CTL_BAD;
        ctl_mark(check->ctl, findings[i].mark, "%s", findings[i].text);
        if (findings[i].fix != NULL) {
            ctl_say(check->ctl, "     -> %s", findings[i].fix);
        }
    }
    ctl_say(check->ctl, "%s", "");
    for (i = 0; i < CHECK_N_AREAS; i++) {
        if (check->ctl->settings == NULL && i != CHECK_CONFIG) {
            ctl_mark(check->ctl, CTL_NOTE, "Not looked at: %s", area_names[i]);
            continue;
        }
        ctl_mark(check->ctl, n_bad[i] == 0 ? CTL_GOOD : CTL_BAD, "%s",
                 n_bad[i] == 0 ? area_lines[i].passed : area_lines[i].failed);
    }
    return n_all == 0 ? CTL_OK : CTL_FAILED;
}

static int print_json(const check_t *check)
{
    const finding_t *findings = (const finding_t *)check->findings->elts;
    hb_json_t *json = hb_json_object_make(check->ctl->pool);
    hb_json_t *list = hb_json_array_make(check->ctl->pool);
    int n_bad = 0, i;

    for (i = 0; i < check->findings->nelts; i++) {
        hb_json_t *row = hb_json_object_make(check->ctl->pool);

        hb_json_set_string(row, "area", area_names[findings[i].area]);
        hb_json_set_string(row, "mark", mark_names[findings[i].mark]);
        hb_json_set_string(row, "finding", findings[i].text);
        hb_json_set_string(row, "fix", findings[i].fix);
        hb_json_push(list, row);
        n_bad += findings[i].mark == CTL_BAD;
    }
    hb_json_set_bool(json, "passed", n_bad == 0);
    hb_json_set(json, "findings", list);
    ctl_json(check->ctl, json);
    return n_bad == 0 ? CTL_OK : CTL_FAILED;
}

int ctl_check(ctl_t *ctl, int argc, const char *const *argv)
{
    check_t check = { ctl, apr_array_make(ctl->pool, 32, sizeof(finding_t)) };
    const char *why;
    int rc = ctl_options(ctl, argc, argv, NULL, NULL, 0, 0);

    if (rc != CTL_OK) {
        return rc;
    }
    check_environment(&check);
    why = ctl_settings(ctl);
    if (why != NULL) {
        check_note(&check, CHECK_CONFIG, CTL_BAD,
                   "apache2ctl configtest shows where it stands", "%s", why);
    }
    else {
        check_settings(&check);
        check_secrets(&check);
        check_urls(&check);
        check_hosts(&check);
        check_agora(&check);
        check_mail(&check);
        check_notices(&check);
        check_payments(&check);
        check_clock(&check);
        check_file_limit(&check);
        check_address(&check);
        check_sockets(&check);
        check_state_dir(&check);
        check_store(&check);
        check_host_keys(&check);
        check_bus(&check);
        check_places(&check);
    }
    return ctl->wants_json ? print_json(&check) : print_findings(&check);
}
