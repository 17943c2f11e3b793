/* SPDX-License-Identifier: Apache-2.0 */
#include "rt_http.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_test.h"

static int read_head(rt_head_t *head, const char *text)
{
    apr_size_t len = strlen(text);

    ck_assert_uint_eq(rt_head_end(text, len, 0), len);
    return rt_head_read(head, text, len, hb_test_pool);
}

START_TEST(a_head_is_read)
{
    rt_head_t head;

    ck_assert_int_eq(read_head(&head, "GET /socket.io/?EIO=4&a=%C3%A9+x&b&sid=%zz&c=%ff&d=%00 HTTP/1.1\r\n"
                               "Host: x\r\nCookie: a=1; io=abc\r\nCOOKIE:b=2\r\n"
                               "X-A:  one \t\r\nx-a: two\r\nConnection: keep-alive, Upgrade\r\n"
                               "Upgrade: websocket\r\n\r\n"), 0);
    ck_assert(rt_head_is_method(&head, "GET"));
    ck_assert_str_eq(rt_head_path(&head), "/socket.io/");
    ck_assert_str_eq(rt_head_query(&head, "EIO", hb_test_pool), "4");
    ck_assert_str_eq(rt_head_query(&head, "a", hb_test_pool), "\xc3\xa9 x");
    ck_assert_str_eq(rt_head_query(&head, "b", hb_test_pool), "");
    ck_assert_str_eq(rt_head_query(&head, "sid", hb_test_pool), "%zz");
    ck_assert_str_eq(rt_head_query(&head, "c", hb_test_pool), "");
    ck_assert_str_eq(rt_head_query(&head, "d", hb_test_pool), "");
    ck_assert_ptr_null(rt_head_query(&head, "nope", hb_test_pool));
    ck_assert_str_eq(rt_head_field(&head, "x-a"), "one, two");
    ck_assert_ptr_null(rt_head_field(&head, "x-b"));
    ck_assert_str_eq(rt_head_cookie(&head, "io", hb_test_pool), "abc");
    ck_assert_str_eq(rt_head_cookie(&head, "b", hb_test_pool), "2");
    ck_assert_ptr_null(rt_head_cookie(&head, "o", hb_test_pool));
    ck_assert(head.is_upgrade && head.keep_alive);
    ck_assert_int_eq(head.body_len, -1);
}
END_TEST

static const struct { const char *text; int status; } heads[] = {
    { "GET / HTTP/1.1\r\n\r\n", 0 },
    { "POST /a HTTP/1.0\r\nContent-Length: 5\r\n\r\n", 0 },
    { "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 0 },
    { "GET / HTTP/2.0\r\n\r\n", 505 },
    { "GET / HTTP/1.2\r\n\r\n", 505 },
    { "GET / HTTP/1.1 \r\n\r\n", 400 },
    { "GET  / HTTP/1.1\r\n\r\n", 400 },
    { "GET http://x/ HTTP/1.1\r\n\r\n", 400 },
    { "GET /\r\n\r\n", 400 },
    { "GET\r\n\r\n", 400 },
    { "\r\n\r\n", 400 },
    { " GET / HTTP/1.1\r\n\r\n", 400 },
    { "GET / HTTP/1.1\r\nA : b\r\n\r\n", 400 },
    { "GET / HTTP/1.1\r\nA\r\n\r\n", 400 },
    { "GET / HTTP/1.1\r\n: b\r\n\r\n", 400 },
    { "GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n", 400 },
    { "GET / HTTP/1.1\r\nA: b\nB: c\r\n\r\n", 400 },
    { "GET / HTTP/1.1\r\nA: b\rB: c\r\n\r\n", 400 },
    { "GET / HTTP/1.1\r\nA: \x01\r\n\r\n", 400 },
    { "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400 },
    { "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
    { "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400 },
    { "POST / HTTP/1.1\r\nContent-Length: 1x\r\n\r\n", 400 },
    { "POST / HTTP/1.1\r\nContent-Length:\r\n\r\n", 400 },
    { "POST / HTTP/1.1\r\nContent-Length: 9999999999999\r\n\r\n", 400 },
    { "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501 },
    { "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
};

START_TEST(only_clear_heads_are_taken)
{
    rt_head_t head;
    apr_size_t i;

    for (i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        ck_assert_msg(read_head(&head, heads[i].text) == heads[i].status, "%s", heads[i].text);
    }
}
END_TEST

START_TEST(too_many_fields)
{
    const char *text = "GET / HTTP/1.1\r\n";
    rt_head_t head;
    int i;

    for (i = 0; i <= RT_FIELDS_MAX; i++) {
        text = apr_pstrcat(hb_test_pool, text, "a: b\r\n", NULL);
    }
    ck_assert_int_eq(read_head(&head, apr_pstrcat(hb_test_pool, text, "\r\n", NULL)), 431);
}
END_TEST

START_TEST(the_end_is_found_however_it_comes)
{
    static const char text[] = "GET / HTTP/1.1\r\nA: b\r\r\n\r\nrest";
    apr_size_t len, end = 0, from = 0;

    for (len = 1; end == 0; len++) {
        end = rt_head_end(text, len, from);
        from = len;
    }
    ck_assert_uint_eq(end, sizeof(text) - 1 - 4);
    ck_assert_uint_eq(len - 1, end);
}
END_TEST

/* A chunked body given in pieces of each size; @return the last answer, the body in out. */
static int feed(char *out, const char *coded, apr_size_t step, apr_size_t *body, apr_size_t *raw)
{
    rt_chunks_t chunks = { 0 };
    apr_size_t len = strlen(coded), given = 0;
    int rv = 0;

    *body = *raw = 0;
    while (rv == 0 && given < len) {
        apr_size_t n = len - given < step ? len - given : step;

        memcpy(out + *body + *raw, coded + given, n);
        given += n;
        *raw += n;
        rv = rt_chunks_read(&chunks, out, body, raw);
    }
    return rv;
}

START_TEST(chunks_are_joined)
{
    static const char coded[] = "5\r\nhello\r\n1;x=y\r\n \r\nA\r\n0123456789\r\n0\r\nT: v\r\n\r\nPOST";
    char out[sizeof(coded)];
    apr_size_t step, body, raw;

    for (step = 1; step < sizeof(coded); step++) {
        ck_assert_int_eq(feed(out, coded, step, &body, &raw), 1);
        ck_assert_uint_eq(body, 16);
        ck_assert_int_eq(memcmp(out, "hello 0123456789", body), 0);
        ck_assert_int_eq(memcmp(out + body, "POST", raw), 0);
    }
}
END_TEST

START_TEST(bad_chunks_are_told)
{
    static const char *const rows[] = {
        "x\r\n", "\r\n", "5\nhello\r\n", "5\r\nhelloX\r\n", "-1\r\n", "5 x\nhello\r\n",
        "123456789\r\n", "5\r\nhello\r\nzz\r\n", "g\r\n"
    };
    char out[64];
    apr_size_t i, body, raw;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_msg(feed(out, rows[i], 64, &body, &raw) == -1, "%s", rows[i]);
    }
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        a_head_is_read, only_clear_heads_are_taken, too_many_fields,
        the_end_is_found_however_it_comes, chunks_are_joined, bad_chunks_are_told, NULL
    };
    return hb_test_main("rt_http", cases);
}
