/*
 * profile.c - where the time of the runs went, visit by visit.
 *
 * Times are sums over threads, per run.  GFLOP/s is given for visits with matrix products: (n,k)
 * (k,m) counts 2 n k m, found as the square root of the product of the three sizes (exact for two
 * dimensions; for a batch of B it would be too large by sqrt(B), which is taken out).
 */
#include "base/mem.h"
#include "base/text.h"
#include "exec/inner.h"
#include <math.h>
#include <stdlib.h>

static double node_flop(const mill_exec *e, mill_ref r)
{
    const mill_node *node = mill_get(e->g, r);
    if (!(node->op->flags & MILL_OP_PRODUCT) || node->n_src < 2) return 0;

    const mill_shape *y = &node->shape;
    double elems = (double)mill_elems(y), batch = 1;
    for (int i = 0; i + 2 < y->rank; i++) batch *= (double)y->dim[i];
    for (int i = node->n_src - 2; i < node->n_src; i++)
        elems *= (double)mill_elems(mill_shape_of(e->g, node->src[i]));
    return 2 * sqrt(elems / batch);
}

typedef struct {
    double s;
    int32_t visit;
} timed;

static int by_time(const void *a, const void *b)
{
    const timed *x = a, *y = b;
    if (x->s != y->s) return x->s > y->s ? -1 : 1;
    return x->visit < y->visit ? -1 : x->visit > y->visit;
}

static void add_row(mill_text *text, const mill_exec *e, const timed *row, double total)
{
    const plan_visit *v = &e->plan->visit[row->visit];
    const double ms = 1e3 * row->s / (double)e->n_runs;
    double flop = 0;
    char shape[64];

    for (int32_t k = v->first; k < v->first + v->n; k++) flop += node_flop(e, e->plan->order[k]);
    text_add(text, "%9.4f %5.1f%% ", ms, 100 * row->s / total);
    if (flop > 0)
        text_add(text, "%7.1f ", flop / ms * 1e-6);
    else
        text_add(text, "        ");
    text_add(text, "%5d %5lld x %-4lld", e->plan->stage_of[e->plan->order[v->first]],
             (long long)((v->split.units + v->split.grain - 1) / v->split.grain),
             (long long)v->split.grain);
    for (int32_t k = v->first; k < v->first + v->n; k++) {
        const mill_node *node = mill_get(e->g, e->plan->order[k]);
        text_add(text, " %s%s", node->op->name, mill_shape_text(shape, &node->shape));
    }
    text_add(text, "\n");
}

mill_err mill_exec_profile(char **text, const mill_exec *e)
{
    if (!e->visit_s || !e->n_runs)
        return mill_fail(MILL_EINPUT, "exec: no profile: it needs EXEC_PROFILE and a run");
    const int32_t n = e->plan->n_visits;
    timed *row = mill_alloc((size_t)n, sizeof *row);
    mill_text out = {0};
    double total = 1e-12;

    if (!row) return MILL_ENOMEM;
    for (int32_t v = 0; v < n; v++) {
        row[v].visit = v;
        for (int t = 0; t < e->threads; t++) row[v].s += e->visit_s[t * n + v];
        total += row[v].s;
    }
    qsort(row, (size_t)n, sizeof *row, by_time);
    text_add(&out, "%lld runs of %.4f ms, %d thread%s, %d stages, %d meetings; busy %.0f %%\n",
             (long long)e->n_runs, 1e3 * e->run_s / (double)e->n_runs, e->threads,
             mill_s(e->threads), e->plan->n_stages, e->n_groups,
             100 * total / (e->run_s * e->threads));
    text_add(&out, "   ms/run  share  GFLOP/s stage     tiles nodes\n");
    for (int32_t v = 0; v < n; v++) add_row(&out, e, &row[v], total);
    mill_free(row);
    const mill_err err = text_check(&out);
    if (err)
        text_free(&out);
    else
        *text = out.s;
    return err;
}
