/*
 * debug.c - two ways of running that look for mistakes: slow, with the same results.
 *
 * EXEC_NAN: before a run all of the arena but the inputs, and after each stage what has died in it,
 * is filled with bytes 0xff: NaN as a number, -1 as a code.  Whatever is read before it was
 * written, or after it died, shows.
 *
 * EXEC_GUARD: after each stage (then of one node) the result is searched for NaN and infinity; the
 * first node that makes one is named, with the shapes that went in.
 */
#include "base/text.h"
#include "exec/inner.h"
#include <math.h>
#include <string.h>

static void fill_root(mill_exec *e, mill_ref r)
{
    memset(e->data[r], 0xff, exec_tensor_of(e, r, NULL).bytes);
}

static bool is_temporary(const mill_exec *e, mill_ref r)
{
    return e->plan->root[r] == r && mill_get(e->g, r)->kind == MILL_OPERATION;
}

static int64_t first_bad(const exec_tensor *t)
{
    const int64_t n = mill_elems(&t->shape);

    if (t->dtype == MILL_T_I32 || t->dtype == MILL_T_BF16) return -1; /* the latter: a copy */
    for (int64_t i = 0; i < n; i++) {
        const double x = t->dtype == MILL_T_F64 ? ((const double *)t->data)[i]
                                                : (double)((const real *)t->data)[i];
        if (!isfinite(x)) return i;
    }
    return -1;
}

static mill_err guard_node(const mill_exec *e, mill_ref r)
{
    const exec_tensor t = exec_tensor_of(e, r, NULL);
    const int64_t bad = first_bad(&t);
    const mill_node *node = mill_get(e->g, r);
    char shape[64];

    if (bad < 0) return MILL_OK;
    return mill_fail(MILL_EDEVICE,
                     "step %u: node %d '%s' %s%s%s made a NaN or an infinity at element %lld",
                     e->step, r, node->op->name, mill_shape_text(shape, &t.shape),
                     node->name ? " " : "", node->name ? node->name : "", (long long)bad);
}

static mill_err guard_stage(const mill_exec *e, int32_t s)
{
    const plan_stage *stage = &e->plan->stage[s];

    for (int32_t v = stage->first_visit; v < stage->first_visit + stage->n_visits; v++) {
        const plan_visit *visit = &e->plan->visit[v];
        for (int32_t k = visit->first; k < visit->first + visit->n; k++)
            TRY(guard_node(e, e->plan->order[k]));
    }
    return MILL_OK;
}

mill_err exec_run_checked(mill_exec *e)
{
    const mill_plan *p = e->plan;

    for (mill_ref r = 1; r < p->n_nodes && (e->flags & EXEC_NAN); r++)
        if (is_temporary(e, r)) fill_root(e, r);
    for (int32_t i = 0; i < e->n_groups; i++) { /* here a group is a stage */
        exec_walk(e, i, i + 1);
        if (e->flags & EXEC_GUARD) TRY(guard_stage(e, i));
        for (mill_ref r = 1; r < p->n_nodes && (e->flags & EXEC_NAN); r++)
            if (is_temporary(e, r) && p->last_of[r] == i) fill_root(e, r);
    }
    return MILL_OK;
}
