/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What single texts have to look like. Each takes text that is already UTF-8 without
 * 0 bytes, and looks at nothing but the text.
 */
#include "hb_schema_private.h"

#include <string.h>

#include <apr_lib.h>
#include <apr_uri.h>

#define EMAIL_LOCAL_MAX 64
#define LABEL_MAX 63
#define HOST_MAX 253

static const char countries[] =
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ "
    "BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM "
    "DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS "
    "GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN "
    "KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ "
    "MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM "
    "PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV "
    "SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI "
    "VN VU WF WS YE YT ZA ZM ZW";

apr_size_t hb_text_length(const char *text)
{
    apr_size_t n = 0;

    for (; *text != '\0'; text++) {
        n += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return n;
}

int hb_is_clean_text(const char *text)
{
    const unsigned char *c = (const unsigned char *)text;

    for (; *c != '\0'; c++) {
        if ((*c < 0x20 && *c != '\n' && *c != '\t') || *c == 0x7f
            || (*c == 0xc2 && c[1] < 0xa0)) {       /* U+0080 to U+009F */
            return 0;
        }
    }
    return 1;
}

int hb_is_id(const char *text)
{
    return strspn(text, "0123456789abcdef") == 24 && text[24] == '\0';
}

/* Letters, digits and inner hyphens. */
static int label_is_good(const char *label, apr_size_t len)
{
    apr_size_t i;

    for (i = 0; i < len; i++) {
        if (!apr_isalnum(label[i]) && label[i] != '-') {
            return 0;
        }
    }
    return len >= 1 && len <= LABEL_MAX && label[0] != '-' && label[len - 1] != '-';
}

/* At least two labels, the last with a letter in it, so that no address passes for a name. */
static int host_is_good(const char *host, apr_size_t len)
{
    const char *end = host + len, *dot, *c;
    int n = 0, has_letter;

    if (len > HOST_MAX) {
        return 0;
    }
    for (;; host = dot + 1) {
        dot = memchr(host, '.', (apr_size_t)(end - host));
        if (!label_is_good(host, (apr_size_t)((dot != NULL ? dot : end) - host))) {
            return 0;
        }
        n++;
        if (dot == NULL) {
            break;
        }
    }
    for (c = host, has_letter = 0; c < end; c++) {
        has_letter |= apr_isalpha(*c) != 0;
    }
    return n >= 2 && has_letter;
}

/*
 * The addresses people have: dot-atoms in ASCII at a host name. Quoted local parts, comments
 * and address literals of RFC 5321 are left out; no mail provider gives them away.
 */
int hb_is_email(const char *text)
{
    static const char atext[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789!#$%&'*+-/=?^_`{|}~.";
    apr_size_t local = strspn(text, atext);

    return local >= 1 && local <= EMAIL_LOCAL_MAX && text[local] == '@' && text[0] != '.'
           && text[local - 1] != '.' && strstr(text, "..") == NULL
           && host_is_good(text + local + 1, strlen(text + local + 1));
}

int hb_is_username(const char *text)
{
    apr_size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789_.");

    return text[n] == '\0' && n >= 3 && n <= 30 && text[0] != '.' && text[n - 1] != '.'
           && strstr(text, "..") == NULL;
}

/* https://host[:port][/path][?query][#fragment] in the characters of RFC 3986. */
int hb_is_https_url(const char *text)
{
    static const char scheme[] = "https://";
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-._~:/?#[]@!$&'()*+,;=%";
    const char *host, *c;
    apr_size_t host_len, authority;

    if (strncmp(text, scheme, sizeof(scheme) - 1) != 0
        || text[strspn(text, allowed)] != '\0') {
        return 0;
    }
    for (c = strchr(text, '%'); c != NULL; c = strchr(c + 1, '%')) {
        if (!apr_isxdigit(c[1]) || !apr_isxdigit(c[2])) {
            return 0;
        }
    }
    host = text + sizeof(scheme) - 1;
    authority = strcspn(host, "/?#");
    host_len = strcspn(host, ":/?#");
    if (!host_is_good(host, host_len)) {
        return 0;
    }
    if (host_len < authority) {
        apr_size_t digits = strspn(host + host_len + 1, "0123456789");

        return digits >= 1 && digits <= 5 && host_len + 1 + digits == authority;
    }
    return 1;
}

int hb_is_country(const char *text)
{
    return hb_words_have(countries, text);
}

/* The form of BCP 47, not its registry. */
int hb_is_language(const char *text)
{
    apr_size_t n = 0;
    int is_first = 1;

    for (;; text++) {
        if (*text == '-' || *text == '\0') {
            if (n < (is_first ? 2u : 1u) || n > 8) {
                return 0;
            }
            if (*text == '\0') {
                return 1;
            }
            n = 0;
            is_first = 0;
        }
        else if (is_first ? apr_isalpha(*text) : apr_isalnum(*text)) {
            n++;
        }
        else {
            return 0;
        }
    }
}

int hb_is_phone(const char *text)
{
    apr_size_t n = text[0] == '+' ? strspn(text + 1, "0123456789") : 0;

    return n >= 7 && n <= 15 && text[1] != '0' && text[n + 1] == '\0';
}
