/*
 * graph_convert.c - a column out of a part of a node, and what it leaves there.
 *
 *     number        as it is, or v = 1 - (1 - u^a)^b of u = (x - min) / (max - min), in the column
 *                   and in the node (with use_corrected_num_converters in the column alone), or,
 *                   if allowed, through an activation
 *     neighbor_m    c random rows are centres, the level is the nearest one
 *     softmax_m     the level is drawn from the softmax of factor z + ln(w + 1e-4), z standardised;
 *                   what is not finite counts as 0
 *
 * The node then holds, by m:  id: what it held;  disc: the centre, for softmax a random point of
 * the level;  func: a function of the centre;  int: the level in all its columns.
 */
#include "prior/graph_inner.h"

#include "base/vmath.h"

#include <math.h>
#include <string.h>

static bool is_softmax(cat_mode m)
{
    return m >= CAT_softmax_id;
}

void graph_converter_draw(converter *c, scm *s)
{
    c->dims = 1;
    if (!c->levels) return;
    c->mode = s->cat_modes[scalar_pick_of(s, PICK_cat_mode, s->n_cat_modes)];
    c->dims = c->levels;
    if (is_softmax(c->mode) || scalar_pick_of(s, PICK_cat_all_dims, 2) == 1) return;
    c->dims = (int)scalar_local_int(s, 1, c->levels - 1, true, false);
}

/* ---- numbers ------------------------------------------------------------------------------- */

enum { NUM_PLAIN, NUM_WARP, NUM_ACT };

static int draw_num_mode(scm *s, const converter *c)
{
    int mode[3] = {NUM_PLAIN}, n = 1;

    if (c->column >= 0 || !s->c->disallow_y_warping) {
        if (s->c->allow_kumaraswamy_warping) mode[n++] = NUM_WARP;
        if (s->c->allow_act_warping) mode[n++] = NUM_ACT;
    }
    return mode[scalar_pick_of(s, PICK_num_mode, n)];
}

static void warp(float *out, scm *s, const mat *slice)
{
    const double a = scalar_log(s, NUM_kumaraswamy_a, 0.2, 5.0);
    const double b = scalar_log(s, NUM_kumaraswamy_b, 0.2, 5.0);
    float range[2];

    say(s, ",\"warp\":[%.6g,%.6g]", a, b);
    s->k->graph_range(range, slice->x, slice->fit);
    const float low_scale[2] = {range[0], 1.0f / (range[1] - range[0] + 1e-30f)};
    const float a_b[2] = {(float)a, (float)b};
    s->k->graph_kumaraswamy(out, slice->x, slice->n, low_scale, a_b);
}

static mill_err convert_number(float *out, scm *s, const converter *c, const mat *slice)
{
    const int mode = draw_num_mode(s, c);
    const size_t bytes = (size_t)slice->ld * sizeof *out;

    if (mode == NUM_WARP) {
        warp(out, s, slice);
    } else {
        mat column = *slice;
        column.x = out;
        memcpy(out, slice->x, bytes);
        if (mode == NUM_ACT) {
            say(s, ",\"through\":[null");
            TRY(graph_activate(&column, s));
            say(s, "]");
        }
    }
    if (!s->c->use_corrected_num_converters) memcpy(slice->x, out, bytes);
    return MILL_OK;
}

/* ---- categories ---------------------------------------------------------------------------- */

/* table (levels, d) row by row -> slice[k][i] = table[at[i]][k] */
static mill_err put_rows(const mat *slice, scm *s, const float *table, int levels,
                         const int32_t *at)
{
    float *const column = prior_alloc(s->arena, levels, sizeof *column);

    if (!column) return MILL_ENOMEM;
    for (int k = 0; k < slice->d; k++) {
        for (int i = 0; i < levels; i++) column[i] = table[i * slice->d + k];
        s->k->graph_gather(slice->x + k * slice->ld, column, at, slice->n);
    }
    return MILL_OK;
}

static mill_err neighbour(int32_t *at, scm *s, const converter *c, const mat *slice)
{
    const int k = slice->fit < c->levels ? (int)slice->fit : c->levels;
    int32_t *const row = prior_alloc(s->arena, k, sizeof *row);
    float *const centres = prior_alloc(s->arena, (int64_t)k * slice->d, sizeof *centres);

    if (!row || !centres) return MILL_ENOMEM;
    TRY(graph_pick_rows(row, s, slice->fit, k));
    for (int i = 0; i < k; i++)
        for (int d = 0; d < slice->d; d++)
            centres[i * slice->d + d] = slice->x[d * slice->ld + row[i]];
    TRY(graph_nearest_centres(at, s, slice, centres, k));
    if (c->mode == CAT_neighbor_disc || c->mode == CAT_neighbor_func)
        TRY(put_rows(slice, s, centres, k, at));
    if (c->mode == CAT_neighbor_func) {
        mat y;
        TRY(mat_new(&y, s, slice->d, slice));
        say(s, ",\"functions\":[");
        TRY(graph_cheap_function(&y, s, slice));
        say(s, "]");
        for (int d = 0; d < slice->d; d++)
            memcpy(slice->x + d * slice->ld, y.x + d * y.ld, (size_t)y.n * sizeof *y.x);
    }
    return MILL_OK;
}

static mill_err softmax(int32_t *at, scm *s, const converter *c, const mat *slice)
{
    const int n = c->levels;
    float *const scale = prior_alloc(s->arena, n, sizeof *scale);
    float *const shift = prior_alloc(s->arena, n, sizeof *shift);
    float *const w = prior_alloc(s->arena, n, sizeof *w);
    float *const u = prior_alloc(s->arena, slice->ld, sizeof *u);

    if (!scale || !shift || !w || !u) return MILL_ENOMEM;
    TRY(graph_weights(w, s, 1, n));
    const double factor = scalar_log(s, NUM_softmax_factor, 0.1, 10.0);
    say(s, ",\"factor\":%.6g", factor);
    for (int k = 0; k < n; k++) {
        double moments[2];
        s->k->graph_moments(moments, slice->x + k * slice->ld, slice->fit);
        const double a = factor / (moments[1] + 1e-4);
        scale[k] = (float)a;
        shift[k] = (float)(mill_log_f64((double)w[k] + 1e-4) - a * moments[0]);
    }
    draw_uniforms(s->draw, u, slice->n);
    s->k->graph_pick(at, slice, scale, shift, u);
    if (c->mode != CAT_softmax_disc) return MILL_OK;

    const mat rows = {.ld = ((int64_t)n + 15) / 16 * 16, .n = n, .fit = n};
    mat point;
    TRY(mat_new(&point, s, n, &rows));
    TRY(graph_points(&point, s));
    for (int k = 0; k < n; k++)
        s->k->graph_gather(slice->x + k * slice->ld, point.x + k * point.ld, at, slice->n);
    return MILL_OK;
}

static mill_err convert_category(float *out, scm *s, const converter *c, const mat *slice)
{
    int32_t *const at = prior_alloc(s->arena, slice->ld, sizeof *at);

    if (!at) return MILL_ENOMEM;
    say(s, ",\"levels\":%d,\"mode\":\"%s\"", c->levels, graph_cat_name[c->mode]);
    if (is_softmax(c->mode)) {
        TRY(softmax(at, s, c, slice));
    } else {
        TRY(neighbour(at, s, c, slice));
    }
    for (int64_t i = 0; i < slice->n; i++) out[i] = (float)at[i];
    if (c->mode != CAT_neighbor_int && c->mode != CAT_softmax_int) return MILL_OK;
    for (int d = 0; d < slice->d; d++)
        memcpy(slice->x + d * slice->ld, out, (size_t)slice->n * sizeof *out);
    return MILL_OK;
}

mill_err graph_convert(float *out, scm *s, const converter *c, const mat *slice)
{
    const prior_mark mark = prior_arena_mark(s->arena);

    say(s, "{\"column\":%d,\"dims\":%d", c->column, c->dims);
    if (c->levels) {
        TRY(convert_category(out, s, c, slice));
    } else {
        TRY(convert_number(out, s, c, slice));
    }
    say(s, "}");
    prior_arena_release(s->arena, mark);
    return MILL_OK;
}
