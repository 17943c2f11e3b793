/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON text to values. json-c holds the values, but its parser is not used: even in its
 * strict mode it takes NaN, single quotes, raw newlines, duplicate names and \u0000, and
 * turns integers it cannot hold into others (json-c 0.16). One pass, one recursion per
 * level, and the depth is bounded, so that no input can hurt the stack.
 */
#include "hb_json.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>
#include <json-c/json.h>

#include "hb_error.h"
#include "hb_json_private.h"

/* Records hold what came from outside some levels further down. */
#define OWN_DEPTH_MAX (2 * HB_JSON_DEPTH_MAX)
/* A double has 767 significant digits at most; nobody sends that many. */
#define NUMBER_BYTES_MAX 800

typedef struct reader_t {
    const unsigned char *start, *at, *end;
    apr_pool_t *pool;
    const char *problem;        /* first one met */
    char *scratch;              /* text of a string with escapes, of a name */
    apr_size_t scratch_bytes;
    int depth, depth_max;
    int containers;             /* objects and arrays so far */
    int is_ours;                /* skip what only a stranger would do */
} reader_t;

static int read_value(json_object **value, reader_t *in);

static int refuse(reader_t *in, const char *problem)
{
    if (in->problem == NULL) {
        in->problem = apr_psprintf(in->pool, "%s at byte %" APR_SIZE_T_FMT, problem,
                                   (apr_size_t)(in->at - in->start));
    }
    return 0;
}

static void skip_blanks(reader_t *in)
{
    while (in->at < in->end && (*in->at == ' ' || *in->at == '\n' || *in->at == '\r'
                                || *in->at == '\t')) {
        in->at++;
    }
}

static int next_is(const reader_t *in, unsigned char c)
{
    return in->at < in->end && *in->at == c;
}

static char *scratch(reader_t *in, apr_size_t bytes)
{
    if (in->scratch_bytes < bytes) {
        in->scratch_bytes = bytes < 256 ? 256 : bytes * 2;
        in->scratch = apr_palloc(in->pool, in->scratch_bytes);
    }
    return in->scratch;
}

/* --- strings --- */

static int read_hex4(unsigned int *unit, reader_t *in)
{
    int i;

    *unit = 0;
    for (i = 0; i < 4; i++, in->at++) {
        if (in->at >= in->end || !apr_isxdigit(*in->at)) {
            return refuse(in, "\\u needs four hex digits");
        }
        *unit = *unit * 16 + (unsigned int)(apr_isdigit(*in->at) ? *in->at - '0'
                                            : (*in->at | 0x20) - 'a' + 10);
    }
    return 1;
}

static char *put_utf8(char *out, unsigned int c)
{
    if (c < 0x80) {
        *out++ = (char)c;
    }
    else if (c < 0x800) {
        *out++ = (char)(0xc0 | c >> 6);
        *out++ = (char)(0x80 | (c & 0x3f));
    }
    else if (c < 0x10000) {
        *out++ = (char)(0xe0 | c >> 12);
        *out++ = (char)(0x80 | (c >> 6 & 0x3f));
        *out++ = (char)(0x80 | (c & 0x3f));
    }
    else {
        *out++ = (char)(0xf0 | c >> 18);
        *out++ = (char)(0x80 | (c >> 12 & 0x3f));
        *out++ = (char)(0x80 | (c >> 6 & 0x3f));
        *out++ = (char)(0x80 | (c & 0x3f));
    }
    return out;
}

/* Behind "\u"; two of them make one character beyond the basic plane. */
static int read_unicode(char **out, reader_t *in)
{
    unsigned int c, low;

    if (!read_hex4(&c, in)) {
        return 0;
    }
    if (c == 0) {
        return refuse(in, "\\u0000 is not accepted");
    }
    if (c >= 0xdc00 && c <= 0xdfff) {
        return refuse(in, "second half of a surrogate pair without the first");
    }
    if (c >= 0xd800 && c <= 0xdbff) {
        if (in->end - in->at < 2 || in->at[0] != '\\' || in->at[1] != 'u') {
            return refuse(in, "first half of a surrogate pair without the second");
        }
        in->at += 2;
        if (!read_hex4(&low, in)) {
            return 0;
        }
        if (low < 0xdc00 || low > 0xdfff) {
            return refuse(in, "first half of a surrogate pair without the second");
        }
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    *out = put_utf8(*out, c);
    return 1;
}

static int read_escape(char **out, reader_t *in)
{
    static const char names[] = "\"\\/bfnrt";
    static const char values[] = "\"\\/\b\f\n\r\t";
    const char *name;

    if (in->at >= in->end) {
        return refuse(in, "the text ends inside a string");
    }
    if (*in->at == 'u') {
        in->at++;
        return read_unicode(out, in);
    }
    name = *in->at != '\0' ? strchr(names, *in->at) : NULL;
    if (name == NULL) {
        return refuse(in, "unknown escape in a string");
    }
    *(*out)++ = values[name - names];
    in->at++;
    return 1;
}

/*
 * How many of the next 8 bytes are plain ASCII text: no quote, backslash, control character
 * or part of a longer sequence. Most of a document is that, and 8 at a time is fast. Each of
 * the sums marks the first such byte exactly; a borrow spoils only those behind it.
 */
static int plain_of_8(const unsigned char *c)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    const apr_uint64_t ones = APR_UINT64_C(0x0101010101010101);
    const apr_uint64_t tops = APR_UINT64_C(0x8080808080808080);
    apr_uint64_t x, quote, slash, other;

    memcpy(&x, c, sizeof(x));
    quote = x ^ (ones * '"');
    slash = x ^ (ones * '\\');
    other = (((quote - ones) & ~quote) | ((slash - ones) & ~slash)
             | ((x - ones * 0x20) & ~x) | x) & tops;
    return other == 0 ? 8 : __builtin_ctzll(other) / 8;
#else
    (void)c;
    return 0;
#endif
}

/*
 * The end of what can be taken as it stands: at the closing quote, a backslash, or
 * something that may not be in a string (*problem says what).
 */
static const unsigned char *plain_run(const char **problem, const reader_t *in)
{
    const unsigned char *c = in->at;
    int n;

    *problem = NULL;
    while (c < in->end) {
        if (in->end - c >= 8) {
            n = plain_of_8(c);
            c += n;
            if (n == 8) {
                continue;
            }
        }
        if (*c == '"' || *c == '\\') {
            return c;
        }
        if (*c < 0x20) {
            *problem = "control character in a string";
            return c;
        }
        if (*c < 0x80 || in->is_ours) {
            c++;
            continue;
        }
        n = hb_utf8_sequence(c, (apr_size_t)(in->end - c));
        if (n == 0) {
            *problem = "not UTF-8";
            return c;
        }
        c += n;
    }
    *problem = "the text ends inside a string";
    return c;
}

/*
 * A string, in->at behind its first quote. The text is either a part of the input (no
 * escapes) or in scratch, and only there it has a 0 byte behind it.
 */
static int read_string(const char **text, apr_size_t *len, reader_t *in)
{
    const char *problem;
    const unsigned char *end = plain_run(&problem, in);
    const unsigned char *close;
    char *out;

    if (problem == NULL && *end == '"') {
        *text = (const char *)in->at;
        *len = (apr_size_t)(end - in->at);
        in->at = end + 1;
        return 1;
    }
    /* What is written escaped is never shorter, so the rest up to the quote is room enough. */
    for (close = end; close < in->end && *close != '"'; close++) {
        close += *close == '\\';
    }
    if (close > in->end) {
        close = in->end;
    }
    out = scratch(in, (apr_size_t)(close - in->at) + 1);
    *text = out;
    for (;;) {
        memcpy(out, in->at, (apr_size_t)(end - in->at));
        out += end - in->at;
        in->at = end;
        if (problem != NULL) {
            return refuse(in, problem);
        }
        in->at++;
        if (*end == '"') {
            break;
        }
        if (!read_escape(&out, in)) {
            return 0;
        }
        end = plain_run(&problem, in);
    }
    *out = '\0';
    *len = (apr_size_t)(out - *text);
    return 1;
}

/* A member name, always with a 0 byte behind it. */
static int read_name(const char **name, reader_t *in)
{
    const char *text;
    apr_size_t len;
    char *copy;

    if (!next_is(in, '"')) {
        return refuse(in, "a member name in double quotes is expected");
    }
    in->at++;
    if (!read_string(&text, &len, in)) {
        return 0;
    }
    if (text != in->scratch) {
        copy = scratch(in, len + 1);
        memcpy(copy, text, len);
        copy[len] = '\0';
        text = copy;
    }
    *name = text;
    return 1;
}

/* --- numbers --- */

static int read_digits(reader_t *in)
{
    const unsigned char *first = in->at;

    while (in->at < in->end && apr_isdigit(*in->at)) {
        in->at++;
    }
    return in->at > first;
}

static int make_int(json_object **value, reader_t *in, const unsigned char *first)
{
    apr_uint64_t n = 0, bound = APR_INT64_MAX;
    int is_negative = *first == '-';
    const unsigned char *c;

    bound += is_negative;
    for (c = first + is_negative; c < in->at; c++) {
        unsigned int digit = *c - '0';

        if (n > (bound - digit) / 10) {
            in->at = first;
            return refuse(in, "the integer does not fit into 64 bits");
        }
        n = n * 10 + digit;
    }
    *value = json_object_new_int64(is_negative ? (apr_int64_t)(0 - n) : (apr_int64_t)n);
    return 1;
}

/*
 * strtod looks at the locale, which a stranger's module may have set in this process.
 */
static double real_of(const char *text)
{
    locale_t c_locale = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    locale_t before;
    double real;

    if (c_locale == (locale_t)0) {
        return strtod(text, NULL);
    }
    before = uselocale(c_locale);
    real = strtod(text, NULL);
    uselocale(before);
    freelocale(c_locale);
    return real;
}

static int make_real(json_object **value, reader_t *in, const unsigned char *first)
{
    char text[NUMBER_BYTES_MAX + 1];
    apr_size_t len = (apr_size_t)(in->at - first);
    double real;

    memcpy(text, first, len);
    text[len] = '\0';
    real = real_of(text);
    if (isinf(real)) {
        in->at = first;
        return refuse(in, "the number is too large");
    }
    *value = json_object_new_double_s(real, text);
    return 1;
}

static int read_number(json_object **value, reader_t *in)
{
    const unsigned char *first = in->at;
    int is_real = 0;

    if (next_is(in, '-')) {
        in->at++;
    }
    if (next_is(in, '0')) {
        in->at++;
    }
    else if (!read_digits(in)) {
        return refuse(in, "a digit is expected");
    }
    if (next_is(in, '.')) {
        is_real = 1;
        in->at++;
        if (!read_digits(in)) {
            return refuse(in, "a digit is expected behind the decimal point");
        }
    }
    if (next_is(in, 'e') || next_is(in, 'E')) {
        is_real = 1;
        in->at++;
        if (next_is(in, '+') || next_is(in, '-')) {
            in->at++;
        }
        if (!read_digits(in)) {
            return refuse(in, "a digit is expected in the exponent");
        }
    }
    if (in->at - first > NUMBER_BYTES_MAX) {
        in->at = first;
        return refuse(in, "the number has too many digits");
    }
    return is_real ? make_real(value, in, first) : make_int(value, in, first);
}

/* --- containers --- */

static int enter(reader_t *in)
{
    if (++in->depth > in->depth_max) {
        return refuse(in, "nested too deep");
    }
    /* "{}" is two bytes of text and some 800 of memory: 1 MB of them would take 270 MB. */
    if (++in->containers > HB_JSON_CONTAINERS_MAX && !in->is_ours) {
        return refuse(in, "too many objects and arrays");
    }
    in->at++;
    skip_blanks(in);
    return 1;
}

/* Behind a member or item: 1 to go on, 0 at the end of the container, -1 refused. */
static int more(reader_t *in, unsigned char close)
{
    skip_blanks(in);
    if (next_is(in, ',')) {
        in->at++;
        skip_blanks(in);
        return 1;
    }
    if (next_is(in, close)) {
        in->at++;
        in->depth--;
        return 0;
    }
    refuse(in, close == '}' ? "a comma or } is expected" : "a comma or ] is expected");
    return -1;
}

static int read_member(json_object *object, reader_t *in)
{
    const char *name = NULL;    /* gcc -O1 does not see that read_name() sets it */
    json_object *value;
    char kept[64];
    apr_size_t len;

    if (!read_name(&name, in)) {
        return 0;
    }
    if (!in->is_ours && json_object_object_get_ex(object, name, NULL)) {
        return refuse(in, "a member name that was there before");
    }
    /* The value may use scratch, so the name moves out of it. */
    len = strlen(name) + 1;
    name = len <= sizeof(kept) ? memcpy(kept, name, len) : apr_pstrdup(in->pool, name);
    skip_blanks(in);
    if (!next_is(in, ':')) {
        return refuse(in, "a colon is expected");
    }
    in->at++;
    skip_blanks(in);
    if (!read_value(&value, in)) {
        return 0;
    }
    /* It is new: looked up above, and our own text names nothing twice. */
    if (json_object_object_add_ex(object, name, value, JSON_C_OBJECT_ADD_KEY_IS_NEW) != 0) {
        json_object_put(value);
        return refuse(in, "out of memory");
    }
    return 1;
}

static int read_object(json_object **value, reader_t *in)
{
    json_object *object;
    int go_on;

    if (!enter(in)) {
        return 0;
    }
    *value = object = json_object_new_object();
    if (next_is(in, '}')) {
        in->at++;
        in->depth--;
        return 1;
    }
    do {
        go_on = read_member(object, in) ? more(in, '}') : -1;
    } while (go_on == 1);
    if (go_on < 0) {
        json_object_put(object);
    }
    return go_on == 0;
}

static int read_array(json_object **value, reader_t *in)
{
    json_object *array, *item;
    int go_on;

    if (!enter(in)) {
        return 0;
    }
    *value = array = json_object_new_array();
    if (next_is(in, ']')) {
        in->at++;
        in->depth--;
        return 1;
    }
    do {
        go_on = -1;
        if (read_value(&item, in)) {
            json_object_array_add(array, item);
            go_on = more(in, ']');
        }
    } while (go_on == 1);
    if (go_on < 0) {
        json_object_put(array);
    }
    return go_on == 0;
}

static int read_word(reader_t *in, const char *word)
{
    apr_size_t len = strlen(word);

    if ((apr_size_t)(in->end - in->at) < len || memcmp(in->at, word, len) != 0) {
        return refuse(in, "a value is expected");
    }
    in->at += len;
    return 1;
}

static int read_value(json_object **value, reader_t *in)
{
    const char *text;
    apr_size_t len;

    *value = NULL;
    if (in->at >= in->end) {
        return refuse(in, "the text ends where a value is expected");
    }
    switch (*in->at) {
    case '{':
        return read_object(value, in);
    case '[':
        return read_array(value, in);
    case '"':
        in->at++;
        if (!read_string(&text, &len, in)) {
            return 0;
        }
        *value = json_object_new_string_len(text, (int)len);
        return 1;
    case 't':
        *value = json_object_new_boolean(1);
        break;
    case 'f':
        *value = json_object_new_boolean(0);
        break;
    case 'n':
        return read_word(in, "null");
    default:
        if (*in->at == '-' || apr_isdigit(*in->at)) {
            return read_number(value, in);
        }
        return refuse(in, "a value is expected");
    }
    if (!read_word(in, *in->at == 't' ? "true" : "false")) {
        json_object_put(*value);
        return 0;
    }
    return 1;
}

/* The whole text: one value and nothing behind it. */
static int read_all(json_object **value, reader_t *in, const char *text, apr_size_t len)
{
    in->start = in->at = (const unsigned char *)text;
    in->end = in->start + len;
    if (len > APR_INT32_MAX) {
        return refuse(in, "the text is too long");
    }
    skip_blanks(in);
    if (!read_value(value, in)) {
        return 0;
    }
    skip_blanks(in);
    if (in->at != in->end) {
        json_object_put(*value);
        return refuse(in, "something stands behind the value");
    }
    return 1;
}

apr_status_t hb_json_parse(hb_json_t **json, const char **why, const char *text,
                           apr_size_t len, apr_pool_t *pool)
{
    reader_t in = { .pool = pool, .depth_max = HB_JSON_DEPTH_MAX };
    json_object *value;

    *json = NULL;
    if (!read_all(&value, &in, text, len)) {
        *why = in.problem;
        return HB_E_BODY_SYNTAX;
    }
    *json = hb_json_own(value, pool);
    return APR_SUCCESS;
}

hb_json_t *hb_json_parse_own(const char *text, apr_size_t len, apr_pool_t *pool)
{
    reader_t in = { .pool = pool, .depth_max = OWN_DEPTH_MAX, .is_ours = 1 };
    json_object *value;

    return read_all(&value, &in, text, len) ? hb_json_own(value, pool) : NULL;
}
