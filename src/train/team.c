/* team.c - orders from rank 0 (team.h). */
#include "train/team.h"

typedef enum { ORDER_STEP, ORDER_SYNC, ORDER_COLLECT, ORDER_END } order_kind;
typedef struct {
    int64_t kind, arg;
} order;

static mill_err give(const train_team *t, order_kind kind, int64_t arg)
{
    order o = {kind, arg};
    return rank_broadcast(t->group, &o, sizeof o, 0);
}

/* At the same step, something else: the launcher gives it more time. */
static void turn_to(const train_team *t, rank_phase phase)
{
    rank_usage u;

    rank_usage_get(t->group, &u);
    rank_beat(t->group, u.step, phase);
}

static mill_err do_step(const train_team *t, int64_t i)
{
    rank_beat(t->group, i, RANK_COMPUTING);
    return t->job.step(t->job.ctx, i);
}

static mill_err lead_step(void *ctx, int64_t i)
{
    const train_team *t = ctx;
    TRY(give(t, ORDER_STEP, i));
    return do_step(t, i);
}

static void lead_metrics(void *ctx, double *values)
{
    const train_team *t = ctx;
    t->job.metrics(t->job.ctx, values);
}

static bool lead_done(void *ctx)
{
    const train_team *t = ctx;
    return t->job.done(t->job.ctx);
}

static mill_err lead_probe(void *ctx, int64_t step, double *quality)
{
    const train_team *t = ctx;
    rank_beat(t->group, step, RANK_EVALUATING);
    return t->job.probe(t->job.ctx, step, quality);
}

static mill_err collect(const train_team *t)
{
    if (!t->collect) return MILL_OK;
    TRY(give(t, ORDER_COLLECT, 0));
    return t->collect(t->job.ctx);
}

static mill_err lead_save(void *ctx, store_writer *w, json_t *meta)
{
    const train_team *t = ctx;

    TRY(collect(t));
    turn_to(t, RANK_SAVING);
    return t->job.save(t->job.ctx, w, meta);
}

static mill_err lead_load(void *ctx, const store *s)
{
    const train_team *t = ctx;
    TRY(t->job.load(t->job.ctx, s));
    TRY(give(t, ORDER_SYNC, 0));
    return t->sync(t->job.ctx);
}

void team_lead(train_job *out, train_team *t)
{
    *out = t->job;
    out->ctx = t;
    out->step = lead_step;
    out->metrics = lead_metrics;
    out->done = t->job.done ? lead_done : NULL;
    out->probe = t->job.probe ? lead_probe : NULL;
    out->save = lead_save;
    out->load = lead_load;
}

mill_err team_follow(const train_team *t)
{
    for (;;) {
        order o;

        TRY(rank_broadcast(t->group, &o, sizeof o, 0));
        if (o.kind == ORDER_END) turn_to(t, RANK_ENDING);
        if (o.kind == ORDER_END) return MILL_OK;
        if (o.kind == ORDER_STEP)
            TRY(do_step(t, o.arg));
        else
            TRY(o.kind == ORDER_SYNC ? t->sync(t->job.ctx) : t->collect(t->job.ctx));
    }
}

mill_err team_end(const train_team *t)
{
    turn_to(t, RANK_ENDING);
    return give(t, ORDER_END, 0);
}
