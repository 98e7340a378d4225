/*
 * json.c - see json.h.
 *
 * The text comes from jansson; numbers outside of strings that have a point or an exponent are
 * reals, and are written anew.
 */
#include "base/json.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* Of the string that begins at s, both quotes with it. */
static size_t string_length(const char *s)
{
    size_t n = 1;

    for (; s[n] != '"'; n++)
        if (s[n] == '\\') n++;
    return n + 1;
}

static void add_real(mill_text *t, const char *s, size_t n)
{
    char shortest[40];
    double x = 0;

    (void)mill_parse_f64(&x, s, n); /* jansson wrote it: it is a number */
    mill_format_f64(shortest, x);
    /* A real stays one: 2.0, not 2. */
    text_add(t, "%s%s", shortest, strpbrk(shortest, ".e") ? "" : ".0");
}

json_t *mill_json_path(const char *path)
{
    mill_text t = {0};

    for (int n; *path; path += n ? n : 1) {
        n = mill_utf8_length(path);
        text_add_bytes(&t, n ? path : TEXT_REPLACEMENT, n ? (size_t)n : strlen(TEXT_REPLACEMENT));
    }
    json_t *const s = t.failed ? NULL : json_string(t.s ? t.s : "");
    text_free(&t);
    return s;
}

mill_err mill_json_text(char **out, const json_t *v, size_t flags)
{
    static const char in_number[] = "+-.0123456789Ee";
    char *from = v ? json_dumps(v, flags | JSON_REAL_PRECISION(17)) : NULL;
    mill_text t = {.failed = !from};

    for (const char *s = from; s && *s;) {
        size_t n = *s == '"' ? string_length(s) : strspn(s, in_number);

        if (*s != '"' && n && strcspn(s, ".Ee") < n) {
            add_real(&t, s, n);
        } else {
            if (!n) n = strcspn(s, "\"-0123456789"); /* up to the next string or number */
            text_add_bytes(&t, s, n);
        }
        s += n;
    }
    free(from);
    if (t.failed) {
        text_free(&t);
        return mill_fail(MILL_ENOMEM, "no memory for JSON");
    }
    *out = t.s;
    return MILL_OK;
}
