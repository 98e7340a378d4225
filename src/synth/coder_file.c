/*
 * coder_file.c - coders in the model file.
 *
 *     "code.size"     I32 (columns, 3)   codes, the missing one or -1, clips
 *     "code.unit"     F64 (columns)
 *     per number column J with n >= 1 present codes:
 *     "code.J.first"  F64 (n)            the cells
 *     "code.J.last"   F64 (n)
 *     "code.J.kind"   U8  (n)
 *     "code.J.at"     I32 (n + 1)
 *     "code.J.point"  F64 (at[n])        at most 16 of each code
 */
#include "synth/codes.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

void synth_coders_free(synth_coder *c, int n)
{
    for (int j = 0; j < n && c; j++) synth_coder_free(&c[j]);
    mill_free(c);
}

static mill_err add(store_writer *w, const char *what, int col, store_dtype type, int64_t n,
                    const void *data)
{
    char name[64];
    snprintf(name, sizeof name, "code.%d.%s", col, what);
    return store_writer_add(w, name, type, 1, &n, data);
}

static mill_err write_coder(const synth_coder *c, int col, store_writer *w)
{
    const int64_t n = coder_n_present(c);

    if (!c->is_number || !n) return MILL_OK;
    TRY(add(w, "first", col, STORE_F64, n, c->first));
    TRY(add(w, "last", col, STORE_F64, n, c->last));
    TRY(add(w, "kind", col, STORE_U8, n, c->kind));
    TRY(add(w, "at", col, STORE_I32, n + 1, c->at));
    return add(w, "point", col, STORE_F64, c->at[n], c->point);
}

mill_err synth_coders_write(const synth_codes *c, store_writer *w)
{
    const int64_t size_dim[2] = {c->n_cols, 3}, unit_dim[1] = {c->n_cols};

    for (int j = 0; j < c->n_cols; j++) {
        int32_t *three = c->size + 3 * (int64_t)j;
        three[0] = c->coder[j].n;
        three[1] = c->coder[j].missing;
        three[2] = c->coder[j].clips;
        c->unit[j] = c->coder[j].unit;
    }
    TRY(store_writer_add(w, "code.size", STORE_I32, 2, size_dim, c->size));
    TRY(store_writer_add(w, "code.unit", STORE_F64, 1, unit_dim, c->unit));
    for (int j = 0; j < c->n_cols; j++) TRY(write_coder(&c->coder[j], j, w));
    return MILL_OK;
}

/* A copy of a tensor that must be there. */
static mill_err take(void **out, const store *f, const char *what, int col, store_dtype type,
                     int64_t n)
{
    const store_tensor *t;
    char name[64];

    snprintf(name, sizeof name, "code.%d.%s", col, what);
    TRY(store_get(&t, f, name, type, 1, &n));
    *out = mill_alloc((size_t)n + 1, store_dtype_size(type));
    if (!*out) return MILL_ENOMEM;
    memcpy(*out, t->data, (size_t)n * store_dtype_size(type));
    return MILL_OK;
}

static bool is_sound(const synth_coder *c, int32_t n)
{
    bool good = c->at[0] == 0;
    for (int32_t k = 0; k < n && good; k++) {
        const int64_t points = (int64_t)c->at[k + 1] - c->at[k];
        good = c->kind[k] < CODE_N_KIND && points >= (c->kind[k] == CODE_RANGE ? 2 : 1) &&
               points <= CODE_MAX_POINTS && c->first[k] <= c->last[k] &&
               (k == 0 || c->last[k - 1] < c->first[k]);
    }
    return good;
}

static mill_err read_coder(synth_coder *c, const synth_column *s, int col, const store *f)
{
    const int32_t n = c->n > 0 ? coder_n_present(c) : 0;
    const bool has_values = s->type == MILL_CATEGORY || s->type == MILL_BOOLEAN;

    c->is_number = synth_is_number(s->type);
    if (c->n < 0 || n < 0 || (c->missing != -1 && c->missing != n) ||
        (has_values && n != s->n_values) || (s->type == MILL_IDENTIFIER && c->n)) {
        return mill_fail(MILL_EINPUT, "column \"%s\": its codes are broken", s->name);
    }
    if (!c->is_number || !n) return MILL_OK;
    TRY(take((void **)&c->first, f, "first", col, STORE_F64, n));
    TRY(take((void **)&c->last, f, "last", col, STORE_F64, n));
    TRY(take((void **)&c->kind, f, "kind", col, STORE_U8, n));
    TRY(take((void **)&c->at, f, "at", col, STORE_I32, (int64_t)n + 1));
    if (!is_sound(c, n)) {
        return mill_fail(MILL_EINPUT, "column \"%s\": its bins are broken", s->name);
    }
    TRY(take((void **)&c->point, f, "point", col, STORE_F64, c->at[n]));
    for (int32_t k = 0; k < n; k++)
        for (int32_t i = c->at[k]; i < c->at[k + 1]; i++)
            if (!(c->point[i] >= c->first[k] && c->point[i] <= c->last[k]))
                return mill_fail(MILL_EINPUT, "column \"%s\": its bins are broken", s->name);
    return MILL_OK;
}

mill_err synth_coders_read(synth_coder **out, const synth_schema *s, const store *f)
{
    const int64_t size_dim[2] = {s->n, 3}, unit_dim[1] = {s->n};
    const store_tensor *size, *unit;

    TRY(store_get(&size, f, "code.size", STORE_I32, 2, size_dim));
    TRY(store_get(&unit, f, "code.unit", STORE_F64, 1, unit_dim));
    synth_coder *c = mill_alloc((size_t)s->n, sizeof *c);
    if (!c) return MILL_ENOMEM;
    for (int j = 0; j < s->n; j++) {
        const int32_t *three = (const int32_t *)size->data + 3 * (int64_t)j;
        c[j].n = three[0];
        c[j].missing = three[1];
        c[j].clips = three[2] != 0;
        c[j].unit = ((const double *)unit->data)[j];
        const mill_err err = read_coder(&c[j], &s->col[j], j, f);
        if (err == MILL_OK) continue;
        synth_coders_free(c, s->n);
        return err;
    }
    *out = c;
    return MILL_OK;
}
