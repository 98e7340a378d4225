/* headline.c - see headline.h. */
#include "eval/headline.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const eval_headline eval_headlines[] = {
#define HEADLINE(group, path, expected, label, better, reading) \
    {group, path, expected, label, HEADLINE_##better, reading},
#include "eval/headline.def"
#undef HEADLINE
    {0}};

const eval_headline *eval_headline_find(const char *path)
{
    for (const eval_headline *h = eval_headlines; h->path; h++)
        if (!strcmp(h->path, path)) return h;
    return NULL;
}

const char *eval_figure(char buf[EVAL_FIGURE], double x)
{
    const double size = fabs(x);

    if (size >= 100)
        snprintf(buf, EVAL_FIGURE, "%.6g", x);
    else if (size >= 1e-3 || size == 0)
        snprintf(buf, EVAL_FIGURE, "%.4f", size == 0 ? 0 : x); /* no -0 */
    else
        snprintf(buf, EVAL_FIGURE, "%.2g", x);
    return buf;
}

json_t *eval_at(const json_t *report, const char *path)
{
    json_t *at = (json_t *)report;

    while (at && *path) {
        const size_t n = strcspn(path, ".");
        char key[64];

        if (n >= sizeof key) return NULL;
        memcpy(key, path, n);
        key[n] = '\0';
        at = json_is_array(at) ? json_array_get(at, strtoul(key, NULL, 10))
                               : json_object_get(at, key);
        path += n + (path[n] == '.');
    }
    return at;
}

/* Whether `key` is, or stands above, one of the keys of `what`, which have ", " between them. */
static bool is_covered(const char *key, const char *what)
{
    for (;; what += 2) {
        const size_t n = strcspn(what, ",");
        if (!strncmp(key, what, n) && (!key[n] || key[n] == '.')) return true;
        what += n;
        if (!*what) return false;
    }
}

static bool has_same(const json_t *line, const char *key, const json_t *of, const char *its)
{
    const json_t *there = json_object_get(line, key);
    return there ? json_equal(there, json_object_get(of, its)) : !of;
}

const char *eval_why_not(const json_t *report, const char *path)
{
    const bool in_column = !strncmp(path, "columns.", 8), in_pair = !strncmp(path, "pairs.", 6);
    const json_t *column = NULL, *pair = NULL, *line;
    size_t i;

    if (in_column || in_pair) { /* what is said of it has the keys behind the number */
        char *end;
        const size_t at = strtoul(strchr(path, '.') + 1, &end, 10);
        const json_t *const all = json_object_get(report, in_column ? "columns" : "pairs");
        *(in_column ? &column : &pair) = json_array_get(all, at);
        if (*end != '.') return NULL;
        path = end + 1;
    }
    json_array_foreach(json_object_get(report, "skipped"), i, line)
    {
        if (has_same(line, "column", column, "name") && has_same(line, "a", pair, "a") &&
            has_same(line, "b", pair, "b") &&
            is_covered(path, json_string_value(json_object_get(line, "what"))))
            return json_string_value(json_object_get(line, "why"));
    }
    return NULL;
}
