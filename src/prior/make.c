/*
 * make.c - one data set after the other: attempts until one is accepted.
 */
#include "prior/inner.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

enum { FILTERED_V1 = 6 }; /* attempts of v1 that the filters see, as upstream */

static const prior_kind kinds[] = {
    {"dummy", prior_dummy, true, prior_dummy_bytes},
    {"mlp_scm", prior_mlp_scm, false, prior_v1_bytes},
    {"tree_scm", prior_tree_scm, false, prior_v1_bytes},
    {"mix_scm", NULL, false, prior_v1_bytes}, /* a group is one of the two */
    {"graph_scm", prior_graph_scm, false, prior_graph_bytes},
};

const prior_kind *prior_kind_find(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i].name, name)) return &kinds[i];
    return NULL;
}

struct prior_maker {
    prior_config c;
    prior_arena *arena;
    mill_text structure;
};

mill_err prior_maker_new(prior_maker **out, const prior_config *c)
{
    TRY(prior_config_check(c));
    if (!prior_config_memory(c))
        return mill_fail(MILL_EINPUT, "the prior %s is not in this build", c->prior);
    prior_maker *m = mill_alloc(1, sizeof *m);
    if (!m) return MILL_ENOMEM;
    m->c = *c;
    const mill_err err = prior_arena_new(&m->arena, prior_config_memory(c));
    if (err) {
        mill_free(m);
        return err;
    }
    *out = m;
    return MILL_OK;
}

void prior_maker_free(prior_maker *m)
{
    if (!m) return;
    prior_arena_free(m->arena);
    text_free(&m->structure);
    mill_free(m);
}

static mill_err begin_try(prior_try *t, prior_maker *m, const prior_place *at, int attempt)
{
    prior_arena_reset(m->arena);
    text_clear(&m->structure);
    *t = (prior_try){.c = &m->c,
                     .at = *at,
                     .attempt = attempt,
                     .draw = draw_init(at->set_key, (uint32_t)attempt),
                     .arena = m->arena,
                     .wants_number = m->c.regression || at->ratio > 0,
                     .stride = (at->rows + 15) / 16 * 16,
                     .classes = at->classes,
                     .structure = &m->structure};
    t->x = prior_alloc(m->arena, at->features * t->stride, sizeof *t->x);
    t->y = prior_alloc(m->arena, t->stride, sizeof *t->y);
    t->levels = prior_alloc(m->arena, at->features, sizeof *t->levels);
    if (!t->x || !t->y || !t->levels) return MILL_ENOMEM;
    memset(t->levels, 0, (size_t)at->features * sizeof *t->levels);
    text_add(t->structure, "{\"prior\":\"%s\"", at->kind);
    return MILL_OK;
}

static mill_err one_try(prior_done *done, prior_try *t)
{
    TRY(prior_kind_find(t->at.kind)->make(t));
    if (t->is_rejected) return MILL_OK;
    TRY(prior_finish(done, t));
    const bool is_filtered = !strcmp(t->at.kind, "graph_scm") || t->attempt < FILTERED_V1;
    return t->is_rejected || !is_filtered ? MILL_OK : prior_filter(t, done);
}

/* Largest over smallest of the classes that occur. */
static double imbalance(const float *y, int64_t rows, int classes)
{
    int64_t count[1000] = {0}, least = rows, most = 0;

    if (!classes) return 0;
    for (int64_t i = 0; i < rows; i++) count[(int)y[i]]++;
    for (int k = 0; k < classes; k++) {
        if (!count[k]) continue;
        least = count[k] < least ? count[k] : least;
        most = count[k] > most ? count[k] : most;
    }
    return (double)most / (double)least;
}

static mill_err give(prior_set *out, const prior_done *d, const prior_try *t)
{
    text_add(t->structure, "}");
    TRY(text_check(t->structure));
    out->index = t->at.index;
    out->rows = t->at.rows;
    out->train_rows = t->at.train_rows;
    out->features = d->features;
    out->width = t->at.width;
    out->classes = t->classes;
    out->categorical_y = t->at.classes > 0;
    out->x = d->x;
    out->y = d->y;
    out->levels = d->levels;
    out->imbalance = imbalance(d->y, t->at.rows, t->classes);
    out->attempts = t->attempt + 1;
    out->kind = t->at.kind;
    out->structure = t->structure->s;
    out->structure_len = t->structure->len;
    return MILL_OK;
}

/* The error, and of which data set it is. */
static mill_err fail_at(int64_t index, mill_err err)
{
    char why[256];

    snprintf(why, sizeof why, "%s", mill_error());
    return mill_fail(err, "data set %lld: %s", (long long)index, why);
}

mill_err prior_make(prior_set *out, prior_maker *m, int64_t index, bool describe)
{
    prior_set set = {0};
    prior_place at;

    if (index < 0) return mill_fail(MILL_EINPUT, "data set %lld: count from 0", (long long)index);
    prior_place_of(&at, &m->c, index);
    for (int attempt = 0; attempt < m->c.max_attempts; attempt++) {
        prior_done done = {0};
        prior_try t;

        mill_err err = begin_try(&t, m, &at, attempt);
        t.describe = describe;
        if (!err) err = one_try(&done, &t);
        if (!err && !t.is_rejected) err = give(&set, &done, &t);
        if (err) return fail_at(index, err);
        if (t.is_rejected) {
            set.rejected[t.why]++;
            continue;
        }
        *out = set;
        return MILL_OK;
    }
    return mill_fail(MILL_EINPUT,
                     "data set %lld: none of %lld attempts was accepted: %d not finite or "
                     "constant, %d with other classes in training than in test rows, %d that "
                     "extra trees cannot predict, %d trivial; change the ranges or the seed",
                     (long long)index, (long long)m->c.max_attempts,
                     set.rejected[PRIOR_REJECT_EMPTY], set.rejected[PRIOR_REJECT_LABELS],
                     set.rejected[PRIOR_REJECT_FILTER], set.rejected[PRIOR_REJECT_TRIVIAL]);
}
