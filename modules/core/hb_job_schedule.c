/* SPDX-License-Identifier: Apache-2.0 */
/* When each job is due: the table's schedule, or that of HaloBuzzJob. */
#include "hb_job_run.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_pay.h"

#define WORDS_MAX 8
#define LINE_END ";"

typedef struct words_t {
    const char *word[WORDS_MAX];
    int n;
} words_t;

static int split(words_t *words, const char *line, apr_pool_t *pool)
{
    char *state, *word, *copy = apr_pstrdup(pool, line);

    words->n = 0;
    for (word = apr_strtok(copy, " \t", &state); word != NULL && words->n < WORDS_MAX;
         word = apr_strtok(NULL, " \t", &state)) {
        words->word[words->n++] = word;
    }
    return words->n;
}

static const char *names(apr_pool_t *pool)
{
    const hb_job_t *job;
    const char *all = "";

    for (job = hb_jobs(); job->name != NULL; job++) {
        all = apr_pstrcat(pool, all, *all != '\0' ? ", " : "", job->name, NULL);
    }
    return all;
}

/* NAME off, NAME m h dom mon dow, NAME m h dom mon dow ZONE. */
static const char *read_line(hb_job_schedule_t *schedule, const words_t *words,
                             apr_pool_t *pool)
{
    const char *const *word = words->word;

    if (words->n == 2 && strcmp(word[1], "off") == 0) {
        schedule->is_off = 1;
        return NULL;
    }
    schedule->is_off = 0;
    if (words->n < 6 || words->n > 7) {
        return apr_psprintf(pool, "\"%s\" needs a schedule: five fields and, if it is not the "
                            "site's, a zone, as in %s 30 2 * * * Asia/Kathmandu; or the word off",
                            word[0], word[0]);
    }
    schedule->text = apr_pstrcat(pool, word[1], " ", word[2], " ", word[3], " ", word[4], " ",
                                 word[5], NULL);
    if (words->n == 7
        && hb_zone_load(&schedule->zone, word[6], pool) != APR_SUCCESS) {
        return apr_psprintf(pool, "\"%s\" (for %s) is no time zone of the IANA list, such as "
                            "Asia/Kathmandu or UTC", word[6], word[0]);
    }
    return hb_cron_read(&schedule->cron, schedule->text, pool);
}

const char *hb_job_schedules_check(const char *lines, apr_pool_t *pool)
{
    char *state, *line, *copy = apr_pstrdup(pool, lines);
    hb_job_schedule_t schedule;
    const char *why = NULL;
    words_t words;

    for (line = apr_strtok(copy, LINE_END, &state); line != NULL && why == NULL;
         line = apr_strtok(NULL, LINE_END, &state)) {
        if (split(&words, line, pool) > 0 && hb_job_named(words.word[0]) == NULL) {
            return apr_psprintf(pool, "there is no job \"%s\"; there are %s", words.word[0],
                                names(pool));
        }
        why = words.n > 0 ? read_line(&schedule, &words, pool) : NULL;
    }
    return why;
}

const char *hb_job_schedule(hb_job_schedule_t *schedule, const hb_settings_t *settings,
                            const hb_job_t *job, apr_pool_t *pool)
{
    char *state, *line, *copy = apr_pstrdup(pool, settings->jobs);
    const char *zone = job->zone != NULL ? job->zone : settings->zone, *why = NULL;
    words_t words;

    memset(schedule, 0, sizeof(*schedule));
    schedule->text = job->schedule;
    if (hb_zone_load(&schedule->zone, zone, pool) != APR_SUCCESS) {
        return apr_psprintf(pool, "the zone %s cannot be read; is tzdata installed?", zone);
    }
    why = hb_cron_read(&schedule->cron, schedule->text, pool);
    /* The last line about a job counts. */
    for (line = apr_strtok(copy, LINE_END, &state); line != NULL && why == NULL;
         line = apr_strtok(NULL, LINE_END, &state)) {
        if (split(&words, line, pool) > 0 && strcmp(words.word[0], job->name) == 0) {
            why = read_line(schedule, &words, pool);
        }
    }
    return why;
}

static int can_be_paid(const hb_site_t *site)
{
    const hb_pay_provider_t *provider;
    int i;

    for (i = 0; (provider = hb_pay_provider_at(i)) != NULL; i++) {
        if (hb_pay_unusable(site, provider) == NULL) {
            return 1;
        }
    }
    return 0;
}

const char *hb_job_is_off(const hb_site_t *site, const hb_job_t *job,
                          const hb_job_schedule_t *schedule)
{
    if (schedule->is_off) {
        return "HaloBuzzJob switches it off";
    }
    if ((job->needs & HB_JOB_PAY) != 0 && !can_be_paid(site)) {
        return "no payment provider is configured";
    }
    if ((job->needs & (HB_JOB_SITE_DAY | HB_JOB_USER_DAY)) != 0
        && strcmp(site->settings->bonus_day, (job->needs & HB_JOB_USER_DAY) != 0 ? "user" : "site")
           != 0) {
        return "HaloBuzzBonusDay says otherwise";
    }
    if ((job->needs & HB_JOB_SMTP) != 0 && *site->settings->smtp_url == '\0') {
        return "HaloBuzzSMTP is not set";
    }
    return NULL;
}
