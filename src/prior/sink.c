/* sink.c - what the formats share (sink.h). */
#include "prior/sink.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

static const prior_format *const formats[] = {&prior_shards, &prior_pt, &prior_npy};

const prior_format *prior_format_find(const char *name)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (!strcmp(formats[i]->name, name)) return formats[i];
    return NULL;
}

mill_err prior_path(char path[PRIOR_PATH], const char *dir, const char *name)
{
    if (snprintf(path, PRIOR_PATH, "%s/%s", dir, name) < PRIOR_PATH) return MILL_OK;
    return mill_fail(MILL_EINPUT, "%.200s...: the path is too long", dir);
}

int64_t prior_text_bytes(const prior_config *c)
{
    const int64_t n = c->max_n_nodes; /* each may have all before it as parents, with functions */
    const int64_t layers = c->num_layers > 44 ? c->num_layers : 44; /* 44: as prior_v1_bytes */

    if (!strcmp(c->prior, "dummy")) return 512;
    if (!strcmp(c->prior, "graph_scm"))
        return 4096 + 256 * n + 32 * n * n + 128 * prior_most_width(c);
    return 512 + 96 * layers;
}

void prior_fill_rows(float *out, const prior_set *set, int64_t first_row, int64_t n, int width)
{
    for (int64_t i = 0; i < n; i++) {
        float *row = out + i * width;
        for (int j = 0; j < set->features; j++) row[j] = set->x[j * set->rows + first_row + i];
        for (int j = set->features; j < width; j++) row[j] = 0;
    }
}

void prior_line(mill_text *t, const prior_set *s)
{
    char number[40];

    number[mill_format_f64(number, s->imbalance)] = 0;
    text_add(t,
             "{\"index\":%lld,\"kind\":\"%s\",\"rows\":%lld,\"train_rows\":%lld,\"features\":%d,"
             "\"width\":%d,\"classes\":%d,\"imbalance\":%s,\"attempts\":%d,\"rejected\":[",
             (long long)s->index, s->kind, (long long)s->rows, (long long)s->train_rows,
             s->features, s->width, s->classes, number, s->attempts);
    for (int k = 0; k < PRIOR_N_REJECT; k++) text_add(t, "%s%d", k ? "," : "", s->rejected[k]);
    text_add(t, "],\"levels\":[");
    for (int j = 0; j < s->features; j++) text_add(t, "%s%d", j ? "," : "", s->levels[j]);
    text_add(t, "],\"structure\":");
    text_add_bytes(t, s->structure, s->structure_len);
    text_add(t, "}");
}

mill_err prior_sink_open(prior_sink *s, const prior_format *f, const prior_config *c,
                         const char *dir)
{
    *s = (prior_sink){.format = f, .config = c, .dir = dir};
    return prior_config_json(&s->config_json, c);
}

void prior_sink_close(prior_sink *s)
{
    if (s->state) prior_sink_abandon(s);
    json_decref(s->config_json);
    s->config_json = NULL;
}

mill_err prior_sink_begin(prior_sink *s, int64_t unit, int64_t first, int64_t count)
{
    s->unit = (prior_unit){.unit = unit, .first = first, .count = count};
    const mill_err err = s->format->begin(s);
    if (err) prior_sink_abandon(s);
    return err;
}

mill_err prior_sink_add(prior_sink *s, const prior_set *set)
{
    prior_unit *u = &s->unit;

    TRY(s->format->add(s, set));
    u->rows += set->rows;
    u->cells += set->rows * set->features;
    u->attempts += set->attempts;
    for (int k = 0; k < PRIOR_N_REJECT; k++) u->rejected[k] += set->rejected[k];
    return MILL_OK;
}

mill_err prior_sink_end(prior_sink *s)
{
    const mill_err err = s->format->end(s);

    prior_sink_abandon(s); /* what it held; the files have their names */
    return err;
}

void prior_sink_abandon(prior_sink *s)
{
    if (s->state) s->format->abandon(s);
    mill_free(s->state);
    s->state = NULL;
}
