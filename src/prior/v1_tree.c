/*
 * v1_tree.c - tree_scm: y is what boosted trees, fitted to noise, make of the causes.
 *
 *     layers   1 or 2 of 3 .. 9 outputs, then one of 1; the first without noise
 *     layer    trees = min(1 + floor(Exp(2)), 4) of depth min(2 + floor(Exp(2)), 4), fitted to
 *              N(0, 1) targets of their inputs; the output is what they predict
 *
 * Never causal: the causes are the features.  Trees are those of learn/multi_tree.h, with XGBoost's
 * defaults: rate .3, l2 1, 256 bins.
 */
#include "learn/multi_tree.h"
#include "prior/v1.h"

#include <math.h>
#include <string.h>

enum { MOST_HIDDEN = 9 };

typedef struct {
    prior_try *t;
    const v1_params *p;
    int64_t rows;
    uint8_t *code;  /* (columns, rows) */
    float *x;       /* (9, stride) inputs of layers above the first */
    float *y, *out; /* (rows, 16) */
    float *noise;   /* (stride) */
    void *scratch;
} forest;

static int floor_exp(prior_draw *d, int least, int most)
{
    const double x = draw_exponential(d, 2.0);

    return x >= most - least ? most : least + (int)x;
}

static mill_err new_forest(forest *f, prior_try *t, const v1_params *p)
{
    prior_arena *const a = t->arena;
    const int64_t cols = t->at.features > MOST_HIDDEN ? t->at.features : MOST_HIDDEN;

    *f = (forest){.t = t, .p = p, .rows = t->at.rows};
    f->code = prior_alloc(a, cols * f->rows, sizeof *f->code);
    f->x = prior_alloc(a, MOST_HIDDEN * t->stride, sizeof *f->x);
    f->y = prior_alloc(a, f->rows * MULTI_TREE_LANES, sizeof *f->y);
    f->out = prior_alloc(a, f->rows * MULTI_TREE_LANES, sizeof *f->out);
    f->noise = prior_alloc(a, t->stride, sizeof *f->noise);
    f->scratch = prior_alloc(a, (int64_t)multi_tree_scratch(f->rows), 1);
    return f->code && f->x && f->y && f->out && f->noise && f->scratch ? MILL_OK : MILL_ENOMEM;
}

/* to[j] = output j of a layer, noise added */
static void emit(float *to, forest *f, int outputs, bool has_noise)
{
    const double noise_std = f->p->noise_std;

    for (int j = 0; j < outputs; j++) {
        float *const y = to + j * f->t->stride;
        const double drawn = fabs(draw_normal(&f->t->draw)) * noise_std;
        const float std = (float)(f->p->pre_noise_std ? drawn : noise_std);
        if (!has_noise) {
            for (int64_t i = 0; i < f->rows; i++) y[i] = f->out[MULTI_TREE_LANES * i + j];
            continue;
        }
        draw_normals_at(&f->t->draw, f->noise, f->rows, 0.0f, std);
        for (int64_t i = 0; i < f->rows; i++) y[i] = f->out[MULTI_TREE_LANES * i + j] + f->noise[i];
    }
}

static void run_layer(float *to, forest *f, const float *x, int cols, int outputs, bool has_noise)
{
    prior_draw *const d = &f->t->draw;
    multi_tree_options o = {.outputs = outputs, .rate = 0.3f, .l2 = 1.0f};

    o.depth = floor_exp(d, 2, 4);
    o.trees = floor_exp(d, 1, 4);
    for (int c = 0; c < cols; c++)
        multi_tree_bin(f->code + c * f->rows, x + c * f->t->stride, f->rows, f->scratch);
    draw_normals_at(d, f->y, f->rows * MULTI_TREE_LANES, 0.0f, 1.0f);
    multi_tree_fit(f->out, f->y, f->code, f->rows, cols, &o, f->scratch);
    emit(to, f, outputs, has_noise);
    text_add(f->t->structure, "%s{\"in\":%d,\"out\":%d,\"trees\":%d,\"depth\":%d}",
             has_noise ? "," : "", cols, outputs, o.trees, o.depth);
}

mill_err prior_tree_scm(prior_try *t)
{
    v1_params p;
    forest f;

    v1_draw_params(&p, t);
    v1_describe_params(&p, t);
    TRY(new_forest(&f, t, &p));
    const int layers = (int)draw_int(&t->draw, 1, 2), hidden = (int)draw_int(&t->draw, 3, 9);
    v1_draw_causes(t->x, t->stride, t->at.features, &p, t);

    text_add(t->structure, ",\"layers\":[");
    run_layer(f.x, &f, t->x, t->at.features, hidden, false);
    if (layers == 2) run_layer(f.x, &f, f.x, hidden, hidden, true);
    run_layer(t->y, &f, f.x, hidden, 1, true);
    text_add(t->structure, "]");

    TRY(v1_columns_to_classes(t));
    if (t->is_rejected) return MILL_OK;
    return v1_assign_classes(&p, t);
}
