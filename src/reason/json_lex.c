/* json_lex.c - escapes and strings of JSON text. */
#include "reason/json_lex.h"

#include "reason/utf8.h"

#include <string.h>

static int hex4(const char *p)
{
    int x = 0;

    for (int i = 0; i < 4; i++) {
        const char c = p[i], low = (char)(c | 32);
        if (c >= '0' && c <= '9')
            x = 16 * x + c - '0';
        else if (low >= 'a' && low <= 'f')
            x = 16 * x + low - 'a' + 10;
        else
            return -1;
    }
    return x;
}

size_t lex_escape(uint32_t *code, const char *p, const char *end)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *at = end - p >= 2 && p[1] ? strchr(from, p[1]) : NULL;

    if (at) {
        *code = (unsigned char)to[at - from];
        return 2;
    }
    if (end - p < 6 || p[1] != 'u') return 0;
    const int first = hex4(p + 2);
    if (first <= 0 || (first >= 0xdc00 && first < 0xe000)) return 0;
    *code = (uint32_t)first;
    if (first < 0xd800 || first >= 0xdc00) return 6;
    if (end - p < 12 || p[6] != '\\' || p[7] != 'u') return 0;
    const int second = hex4(p + 8);
    if (second < 0xdc00 || second >= 0xe000) return 0;
    *code = 0x10000 + (((uint32_t)first & 0x3ff) << 10) + ((uint32_t)second & 0x3ff);
    return 12;
}

const char *lex_string(lex_span *out, const char *p, const char *end)
{
    uint32_t code;

    if (p >= end || *p != '"') return NULL;
    *out = (lex_span){p + 1, 0, true};
    for (p++; p < end;) {
        p += utf8_plain(p, (size_t)(end - p));
        if (p == end) return NULL;
        if (*p == '"') {
            out->n = (size_t)(p - out->p);
            return p + 1;
        }
        if (*p == '\\') {
            const size_t k = lex_escape(&code, p, end);
            if (!k) return NULL;
            out->is_plain = false;
            p += k;
            continue;
        }
        const int k = (unsigned char)*p < 0x80 ? 0 : utf8_char(p, (size_t)(end - p));
        if (!k) return NULL;
        p += k;
    }
    return NULL;
}
