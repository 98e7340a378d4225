/*
 * boost.c - the boosting loop; trees are grown in grow.c, formulas stand in boost.h.
 *
 *     logistic  g = p - y,           h = p (1 - p)          start: log odds of the share of ones
 *     softmax   g_k = p_k - [y = k], h = p_k (1 - p_k), a tree per class and round;
 *                                                           start: log of the class shares
 *     squared   g = f - y,           h = 1                  start: the mean
 */
#include "learn/boost.h"

#include "base/mem.h"
#include "base/vmath.h"
#include "learn/bins.h"
#include "learn/glm.h"
#include "learn/grow.h"

#include <math.h>
#include <string.h>

enum { CHUNK_ROWS = 4096 };

struct mill_boost {
    boost_options o;
    int k; /* trees a round */
    bin_map *map;
    double *start; /* (k) */
    int n_trees;
    tree *trees;
};

void boost_free(mill_boost *m)
{
    if (!m) return;
    for (int i = 0; m->trees && i < m->n_trees; i++) mill_free(m->trees[i].node);
    mill_free(m->trees);
    mill_free(m->start);
    bins_free(m->map);
    mill_free(m);
}

static int64_t n_chunks(int64_t rows)
{
    return (rows + CHUNK_ROWS - 1) / CHUNK_ROWS;
}

static mill_err check(const mill_features *x, const double *y, const boost_options *o)
{
    const int classes = o->loss == BOOST_SOFTMAX ? o->n_classes : 2;

    if (o->trees < 1 || o->leaves < 2 || o->bins < 2 || o->bins > MAX_BINS ||
        o->min_leaf_rows < 1 || !(o->rate > 0) || !(o->l2 >= 0) || classes < 2)
        return mill_fail(MILL_EINPUT, "boosted trees: an option is out of range");
    if (x->rows < 1 || x->rows > UINT32_MAX || x->n_cols < 1)
        return mill_fail(MILL_EINPUT, "boosted trees need 1 to 2^32 rows and at least one column");
    for (int64_t i = 0; i < x->rows; i++) {
        if (o->loss == BOOST_SQUARED ? isfinite(y[i])
                                     : y[i] >= 0 && y[i] < classes && y[i] == floor(y[i]))
            continue;
        return mill_fail(MILL_EINPUT, "boosted trees: the target of row %lld is out of range",
                         (long long)i);
    }
    return MILL_OK;
}

static double log_share(double share)
{
    return mill_log_f64(share < 0x1p-52 ? 0x1p-52 : share);
}

static void set_start(mill_boost *m, const double *y, int64_t n)
{
    double sum = 0;

    if (m->o.loss == BOOST_SOFTMAX) {
        for (int64_t i = 0; i < n; i++) m->start[(int)y[i]] += 1;
        for (int c = 0; c < m->k; c++) m->start[c] = log_share(m->start[c] / (double)n);
        return;
    }
    for (int64_t i = 0; i < n; i++) sum += y[i];
    const double mean = sum / (double)n;
    m->start[0] = m->o.loss == BOOST_SQUARED ? mean : log_share(mean) - log_share(1 - mean);
}

typedef struct {
    const mill_boost *m;
    const double *y;
    int64_t rows;
    double *score;      /* (rows, k) */
    float *g, *h;       /* (k, rows) */
    const uint8_t *bin; /* for predictions: (n_cols, rows) */
    double *out;
} job;

static void gradients(void *ctx, int64_t chunk, int thread)
{
    const job *j = ctx;
    const int64_t begin = chunk * CHUNK_ROWS,
                  end = begin + CHUNK_ROWS < j->rows ? begin + CHUNK_ROWS : j->rows;
    const int k = j->m->k;

    (void)thread;
    for (int64_t i = begin; i < end; i++) {
        if (j->m->o.loss == BOOST_SQUARED) {
            j->g[i] = (float)(j->score[i] - j->y[i]);
        } else if (k == 1) {
            const double p = mill_sigmoid_f64(j->score[i]);
            j->g[i] = (float)(p - j->y[i]);
            j->h[i] = (float)(p * (1 - p));
        } else {
            double *p = j->out + i * k;
            memcpy(p, j->score + i * k, (size_t)k * sizeof *p);
            glm_softmax(p, 1, k);
            for (int c = 0; c < k; c++) {
                j->g[c * j->rows + i] = (float)(p[c] - (j->y[i] == c));
                j->h[c * j->rows + i] = (float)(p[c] * (1 - p[c]));
            }
        }
    }
}

static mill_err grow_all(mill_boost *m, grower *gr, job *j, mill_pool *pool)
{
    for (int64_t i = 0; i < j->rows; i++)
        memcpy(j->score + i * m->k, m->start, (size_t)m->k * sizeof *m->start);
    for (int round = 0; round < m->o.trees; round++) {
        mill_pool_run(pool, n_chunks(j->rows), gradients, j);
        for (int c = 0; c < m->k; c++) {
            tree *t = &m->trees[m->n_trees];
            const float *h = m->o.loss == BOOST_SQUARED ? NULL : j->h + c * j->rows;

            if (!(t->node = mill_alloc((size_t)m->o.leaves, 2 * sizeof *t->node)))
                return MILL_ENOMEM;
            m->n_trees++;
            grower_grow(t, gr, j->g + c * j->rows, h, j->score + c, m->k);
        }
    }
    return MILL_OK;
}

static mill_err fit(mill_boost *m, const mill_features *x, const double *y, mill_pool *pool)
{
    const size_t cells = (size_t)x->rows * (size_t)m->k;
    job j = {.m = m, .y = y, .rows = x->rows};
    uint8_t *bin = NULL;
    grower *gr = NULL;
    mill_err err = MILL_ENOMEM;

    if (!(m->start = mill_alloc((size_t)m->k, sizeof *m->start))) goto done;
    if (!(m->trees = mill_alloc((size_t)m->o.trees * (size_t)m->k, sizeof *m->trees))) goto done;
    if (!(bin = mill_alloc((size_t)x->rows, (size_t)x->n_cols))) goto done;
    if (!(j.score = mill_alloc(cells, sizeof *j.score))) goto done;
    if (!(j.g = mill_alloc(cells, 2 * sizeof *j.g))) goto done;
    if (m->k > 1 && !(j.out = mill_alloc(cells, sizeof *j.out))) goto done;
    j.h = j.g + cells;
    set_start(m, y, x->rows);
    if ((err = bins_fit(&m->map, x, m->o.bins, pool))) goto done;
    if ((err = bins_apply(bin, m->map, x, pool))) goto done;
    if ((err = grower_new(&gr, bin, x->rows, m->map, &m->o, pool))) goto done;
    err = grow_all(m, gr, &j, pool);
done:
    grower_free(gr);
    mill_free(bin);
    mill_free(j.score);
    mill_free(j.g);
    mill_free(j.out);
    return err;
}

mill_err boost_fit(mill_boost **out, const mill_features *x, const double *y,
                   const boost_options *o, mill_pool *pool)
{
    TRY(check(x, y, o));

    mill_boost *const m = mill_alloc(1, sizeof *m);

    if (!m) return MILL_ENOMEM;
    m->o = *o;
    m->k = o->loss == BOOST_SOFTMAX ? o->n_classes : 1;
    const mill_err err = fit(m, x, y, pool);
    if (err) {
        boost_free(m);
        return err;
    }
    *out = m;
    return MILL_OK;
}

static void predict_chunk(void *ctx, int64_t chunk, int thread)
{
    const job *j = ctx;
    const int64_t begin = chunk * CHUNK_ROWS,
                  end = begin + CHUNK_ROWS < j->rows ? begin + CHUNK_ROWS : j->rows;
    const mill_boost *m = j->m;

    (void)thread;
    for (int64_t i = begin; i < end; i++)
        memcpy(j->out + i * m->k, m->start, (size_t)m->k * sizeof *m->start);
    for (int t = 0; t < m->n_trees; t++)
        for (int64_t i = begin; i < end; i++)
            j->out[i * m->k + t % m->k] += tree_value(&m->trees[t], j->bin, j->rows, i);
    if (m->o.loss == BOOST_SOFTMAX) glm_softmax(j->out + begin * m->k, end - begin, m->k);
    for (int64_t i = begin; i < end && m->o.loss == BOOST_LOGISTIC; i++)
        j->out[i] = mill_sigmoid_f64(j->out[i]);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): written through the job */
mill_err boost_predict(double *out, const mill_boost *m, const mill_features *x, mill_pool *pool)
{
    uint8_t *const bin = mill_alloc((size_t)x->rows, (size_t)x->n_cols);
    job j = {.m = m, .rows = x->rows, .bin = bin, .out = out};
    mill_err err = bin ? bins_apply(bin, m->map, x, pool) : MILL_ENOMEM;

    if (!err) mill_pool_run(pool, n_chunks(x->rows), predict_chunk, &j);
    mill_free(bin);
    return err;
}
