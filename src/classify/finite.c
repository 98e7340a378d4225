/*
 * finite.c - a step whose loss or gradient is not finite: who, and where in the network.
 *
 * Each rank told the loss of its parts; one that is not finite names the rank that has it.  The
 * layer is that of the parameter nearest to the output whose gradient, or its square, is not
 * finite: the backward pass spoils everything below it, and nothing above.  After a loss that was
 * not finite all gradients are spoilt; then a parameter that is not finite is named, or the largest
 * one.
 */
#include "classify/trainer.h"

#include <math.h>
#include <stdio.h>

/* Of the lowest rank whose loss is not finite; -1: none. */
static int find_rank(const cls_trainer *t, double *loss)
{
    const int parts = rank_tree_parts(t->shards.tree);

    for (int64_t r = 0; r < t->plan.world; r++)
        for (int64_t i = 0; i < parts; i++) {
            *loss = t->heard[r * t->n_told + TELL_PARTS + 2 * i];
            if (!isfinite(*loss)) return (int)r;
        }
    return -1;
}

/* Of this rank's slice: the last place whose gradient, or its square, is not finite; -1: none. */
static int64_t last_bad(const cls_trainer *t)
{
    static const float most = 1.8e19F; /* its square is the largest float */
    const float *const grad = rank_buffer_data(rank_tree_buffer(t->shards.tree));
    int64_t last = -1;

    for (int b = 0; b < t->layout.n_buckets; b++)
        for (int64_t i = t->shards.slice[b].begin; i < t->shards.slice[b].end; i++)
            if (!(fabsf(grad[i]) < most)) last = i;
    return last;
}

static const char *name_at(const cls_trainer *t, int64_t at)
{
    for (int i = 0; i < t->layout.n; i++) {
        const flat_entry *p = &t->layout.entry[i];
        if (at >= p->at && at < p->at + p->count) return p->name;
    }
    return "a parameter";
}

/* ", net.h0.w holds nan"; ", the largest parameter is 3.2e+18, of net.h0.w" */
static void describe_params(char *text, size_t size, const cls_trainer *t)
{
    const float *const flat = rank_buffer_data(t->shards.params);
    const char *name = "";
    double most = 0;

    for (int i = 0; i < t->layout.n; i++) {
        const flat_entry *p = &t->layout.entry[i];
        for (int64_t j = p->at; j < p->at + p->count; j++) {
            const double x = (double)flat[j];
            if (!isfinite(x)) {
                snprintf(text, size, ", %s holds %g", p->name, x);
                return;
            }
            if (!(fabs(x) > most)) continue;
            most = fabs(x);
            name = p->name;
        }
    }
    snprintf(text, size, ", the largest parameter is %.3g, of %s", most, name);
}

mill_err cls_not_finite(const cls_trainer *t, int64_t step)
{
    static const char advice[] = "; a lower --lr, or a --max-grad-norm, may help";
    char params[200];
    double loss;
    const int rank = find_rank(t, &loss);

    if (rank < 0) {
        int64_t last = last_bad(t);
        TRY(rank_combine(t->group, &last, 1, RANK_I64, RANK_MAX));
        return mill_fail(MILL_EDEVICE, "step %lld: the gradient of %s overflows%s",
                         (long long)step + 1, name_at(t, last), advice);
    }
    describe_params(params, sizeof params, t);
    return mill_fail(MILL_EDEVICE, "step %lld: the loss of rank %d is %g%s%s", (long long)step + 1,
                     rank, loss, params, advice);
}
