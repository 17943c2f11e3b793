/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The counters and their text, which is read here as strictly as the format's
 * specification is written: line by line, families whole, samples once.
 */
#include "hb_test.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <apr_hash.h>
#include <apr_strings.h>

#include "hb_error.h"
#include "hb_metrics.h"

#define NAME "[a-zA-Z_:][a-zA-Z0-9_:]*"
#define VALUE "\"([^\"\\]|\\\\[\\\"n])*\""
#define LABEL "[a-zA-Z_][a-zA-Z0-9_]*=" VALUE

static const char *const templates[] = {
    "", "/api/v1/users/{id}", "/odd\"\\\n", "/never/asked"
};

static const char *route_name(void *baton, int i, const char **method)
{
    (void)baton;
    if (i < 1 || i > 3) {
        return NULL;
    }
    *method = i == 1 ? "GET" : "POST";
    return templates[i];
}

static int matches(const char *line, const char *pattern)
{
    regex_t regex;
    int rv;

    ck_assert_int_eq(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    rv = regexec(&regex, line, 0, NULL, 0);
    regfree(&regex);
    return rv == 0;
}

/* Samples by "name{labels}", after every rule of the format was checked. */
static apr_hash_t *parse(const char *text)
{
    apr_hash_t *samples = apr_hash_make(hb_test_pool);
    apr_hash_t *families = apr_hash_make(hb_test_pool);
    const char *family = "";
    const char *type = "";
    char *line, *last;
    int expects_type = 0;

    ck_assert(text[0] == '\0' || text[strlen(text) - 1] == '\n');
    ck_assert_ptr_null(strstr(text, "\n\n"));
    for (line = apr_strtok(apr_pstrdup(hb_test_pool, text), "\n", &last); line != NULL;
         line = apr_strtok(NULL, "\n", &last)) {
        if (strncmp(line, "# HELP ", 7) == 0) {
            ck_assert_msg(matches(line, "^# HELP " NAME " ([^\\]|\\\\|\\n)+$"), "%s", line);
            family = apr_pstrndup(hb_test_pool, line + 7, strcspn(line + 7, " "));
            ck_assert_msg(apr_hash_get(families, family, APR_HASH_KEY_STRING) == NULL,
                          "%s comes twice", family);
            apr_hash_set(families, family, APR_HASH_KEY_STRING, "");
            expects_type = 1;
        }
        else if (strncmp(line, "# TYPE ", 7) == 0) {
            ck_assert_msg(matches(line, "^# TYPE " NAME " (counter|gauge|histogram)$"),
                          "%s", line);
            ck_assert(expects_type);
            ck_assert(strncmp(line + 7, family, strlen(family)) == 0);
            type = line + 7 + strlen(family) + 1;
            expects_type = 0;
        }
        else {
            size_t len = strcspn(line, "{ ");
            const char *rest = line + strlen(family);
            char *value;

            ck_assert_msg(matches(line, "^" NAME "(\\{" LABEL "(," LABEL ")*\\})? "
                                  "-?[0-9]+(\\.[0-9]+)?$"), "%s", line);
            ck_assert_msg(strncmp(line, family, strlen(family)) == 0, "%s in %s", line,
                          family);
            if (strcmp(type, "histogram") == 0) {
                ck_assert_msg(strncmp(rest, "_bucket{", 8) == 0
                              || strncmp(rest, "_sum", 4) == 0
                              || strncmp(rest, "_count", 6) == 0, "%s", line);
            }
            else {
                ck_assert_msg(len == strlen(family), "%s in %s", line, family);
            }
            if (strcmp(type, "counter") == 0) {
                ck_assert_msg(strcmp(family + strlen(family) - 6, "_total") == 0, "%s",
                              family);
            }
            value = strrchr(line, ' ');
            *value++ = '\0';
            ck_assert_msg(apr_hash_get(samples, line, APR_HASH_KEY_STRING) == NULL,
                          "%s comes twice", line);
            apr_hash_set(samples, line, APR_HASH_KEY_STRING, value);
        }
    }
    return samples;
}

static const char *value_of(apr_hash_t *samples, const char *name)
{
    const char *value = apr_hash_get(samples, name, APR_HASH_KEY_STRING);

    return value != NULL ? value : "none";
}

START_TEST(counters_and_gauges)
{
    hb_metrics_t *metrics;

    ck_assert_int_eq(hb_metrics_open(&metrics, NULL, 0, hb_test_pool), APR_SUCCESS);
    hb_metric_add(metrics, HB_M_LOGIN_SUCCESS, 2);
    hb_metric_add(metrics, HB_M_LOGIN_SUCCESS, 1);
    hb_metric_add(metrics, HB_M_STREAMS_ACTIVE, 5);
    hb_metric_add(metrics, HB_M_STREAMS_ACTIVE, -6);
    ck_assert_int_eq(hb_metric_value(metrics, HB_M_LOGIN_SUCCESS), 3);
    ck_assert_int_eq(hb_metric_value(metrics, HB_M_LOGIN_FAILURE), 0);
    ck_assert_int_eq(hb_metric_value(metrics, HB_M_STREAMS_ACTIVE), -1);
    hb_metric_set(metrics, HB_M_STREAMS_ACTIVE, 7);
    hb_metric_set(metrics, HB_M_LOGIN_SUCCESS, 7);
    ck_assert_int_eq(hb_metric_value(metrics, HB_M_STREAMS_ACTIVE), 7);
    ck_assert_int_eq(hb_metric_value(metrics, HB_M_LOGIN_SUCCESS), 3);
    hb_metric_add(NULL, HB_M_LOGIN_SUCCESS, 1);
    hb_metric_set(NULL, HB_M_STREAMS_ACTIVE, 1);
    hb_metric_http(NULL, 1, 200, 1, 1);
    ck_assert_int_eq(hb_metric_value(NULL, HB_M_LOGIN_SUCCESS), 0);
    ck_assert_str_eq(hb_metrics_text(NULL, NULL, NULL, hb_test_pool), "");
}
END_TEST

START_TEST(the_text_is_strict)
{
    apr_size_t bytes = hb_metrics_bytes(3);
    hb_metrics_t *metrics;
    apr_hash_t *samples;
    const char *text;

    ck_assert_int_eq(hb_metrics_open(&metrics, apr_pcalloc(hb_test_pool, bytes), bytes,
                                     hb_test_pool), APR_SUCCESS);
    samples = parse(hb_metrics_text(metrics, route_name, NULL, hb_test_pool));
    ck_assert_str_eq(value_of(samples, "halobuzz_logins_total{result=\"success\"}"), "0");

    hb_metric_add(metrics, HB_M_LOGIN_SUCCESS, 41);
    hb_metric_http(metrics, 0, 404, 10, 7);
    hb_metric_http(metrics, 1, 200, 100, 5000);
    hb_metric_http(metrics, 1, 200, 50, 5001);
    hb_metric_http(metrics, 1, 200, 0, 199999);
    hb_metric_http(metrics, 1, 500, 0, 11 * APR_USEC_PER_SEC);
    hb_metric_http(metrics, 1, 299, -1, -5);
    hb_metric_http(metrics, 2, 201, 0, 350001);
    hb_metric_http(metrics, 99, 201, 0, 350001);
    text = hb_metrics_text(metrics, route_name, NULL, hb_test_pool);
    samples = parse(text);

#define USERS "method=\"GET\",route=\"/api/v1/users/{id}\""
#define ODD "method=\"POST\",route=\"/odd\\\"\\\\\\n\""
    ck_assert_str_eq(value_of(samples, "halobuzz_logins_total{result=\"success\"}"), "41");
    ck_assert_str_eq(value_of(samples, "http_requests_total{" USERS ",status=\"200\"}"), "3");
    ck_assert_str_eq(value_of(samples, "http_requests_total{" USERS ",status=\"500\"}"), "1");
    ck_assert_str_eq(value_of(samples, "http_requests_total{" USERS ",status=\"other\"}"),
                     "1");
    ck_assert_str_eq(value_of(samples, "http_requests_total{" ODD ",status=\"201\"}"), "1");
    ck_assert_str_eq(value_of(samples, "http_requests_total{method=\"other\","
                              "route=\"other\",status=\"404\"}"), "1");
    ck_assert_str_eq(value_of(samples, "http_requests_total{method=\"other\","
                              "route=\"other\",status=\"201\"}"), "1");
#define BUCKET "http_request_duration_seconds_bucket{" USERS ",le="
    ck_assert_str_eq(value_of(samples, BUCKET "\"0.005\"}"), "2");
    ck_assert_str_eq(value_of(samples, BUCKET "\"0.01\"}"), "3");
    ck_assert_str_eq(value_of(samples, BUCKET "\"0.1\"}"), "3");
    ck_assert_str_eq(value_of(samples, BUCKET "\"0.2\"}"), "4");
    ck_assert_str_eq(value_of(samples, BUCKET "\"0.5\"}"), "4");
    ck_assert_str_eq(value_of(samples, BUCKET "\"2\"}"), "4");
    ck_assert_str_eq(value_of(samples, BUCKET "\"10\"}"), "4");
    ck_assert_str_eq(value_of(samples, BUCKET "\"+Inf\"}"), "5");
    ck_assert_str_eq(value_of(samples, "http_request_duration_seconds_count{" USERS "}"),
                     "5");
    ck_assert_str_eq(value_of(samples, "http_request_duration_seconds_sum{" USERS "}"),
                     "11.21");
    ck_assert_str_eq(value_of(samples, "http_response_bytes_total{" USERS "}"), "150");
    ck_assert_ptr_null(strstr(text, "/never/asked"));
}
END_TEST

START_TEST(processes_share_and_refuse)
{
    apr_size_t bytes = hb_metrics_bytes(512);
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                        -1, 0);
    hb_metrics_t *metrics;
    int i, status;

    ck_assert(memory != MAP_FAILED);
    for (i = 0; i < 3; i++) {
        pid_t pid = fork();

        if (pid == 0) {
            if (hb_metrics_open(&metrics, memory, bytes, hb_test_pool) != APR_SUCCESS) {
                _exit(1);
            }
            for (i = 0; i < 10000; i++) {
                hb_metric_add(metrics, HB_M_REGISTRATIONS, 1);
                hb_metric_http(metrics, 512, 200, 3, 1);
            }
            _exit(0);
        }
        ck_assert_int_ge(pid, 0);
    }
    for (i = 0; i < 3; i++) {
        ck_assert_int_ge(wait(&status), 0);
        ck_assert_int_eq(status, 0);
    }
    ck_assert_int_eq(hb_metrics_open(&metrics, memory, bytes, hb_test_pool), APR_SUCCESS);
    ck_assert_int_eq(hb_metric_value(metrics, HB_M_REGISTRATIONS), 30000);
    ck_assert_int_eq(hb_metrics_open(&metrics, memory, bytes - 64, hb_test_pool),
                     HB_E_CONFIG);
    ck_assert_int_eq(hb_metrics_open(&metrics, memory, 4096, hb_test_pool), APR_ENOMEM);
    munmap(memory, bytes);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        counters_and_gauges, the_text_is_strict, processes_share_and_refuse, NULL
    };
    return hb_test_main("hb_metrics", cases);
}
