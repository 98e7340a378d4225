/* lines.c - one JSON object a data set, one file a unit (lines.h). */
#include "prior/lines.h"

#include <stdio.h>

void lines_add(mill_text *t, const prior_set *set)
{
    prior_line(t, set);
    text_add(t, "\n");
}

mill_err lines_path(char path[PRIOR_PATH], const prior_sink *s, const char *name, int64_t unit)
{
    char file[80];

    snprintf(file, sizeof file, "index/%s_%06lld.jsonl", name, (long long)unit);
    return prior_path(path, s->dir, file);
}

mill_err lines_write(prior_sink *s, const mill_text *t, const char *name)
{
    char path[PRIOR_PATH];

    TRY(text_check(t));
    TRY(prior_path(path, s->dir, "index"));
    TRY(file_mkdir(path));
    TRY(lines_path(path, s, name, s->unit.unit));
    TRY(file_write_all(path, t->s, t->len));
    s->unit.bytes += (int64_t)t->len;
    s->unit.crc = mill_crc32c(s->unit.crc, t->s, t->len);
    return MILL_OK;
}
