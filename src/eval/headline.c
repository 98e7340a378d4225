/* headline.c - see headline.h. */
#include "eval/headline.h"

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
