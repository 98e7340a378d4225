/* toy_job.c - see toy_job.h. */
#include "lib/toy_job.h"

#include <math.h>
#include <signal.h>
#include <string.h>

void toy_init(toy *t, double peak)
{
    *t = (toy){.peak = peak};
    for (int i = 0; i < TOY_SIZE; i++) t->x[i] = i;
}

static mill_err toy_step(void *ctx, int64_t step)
{
    toy *t = ctx;

    if (t->bad_step > 0 && (double)step == t->bad_step)
        return mill_fail(MILL_EINPUT, "toy: bad step");
    for (int i = 0; i < TOY_SIZE; i++) t->x[i] = fmod(t->x[i] * 3 + (double)step + i, 65536);
    t->steps_seen++;
    t->steps_run++;
    if (t->raise_at && step == t->raise_at) raise(SIGTERM);
    return MILL_OK;
}

static void toy_metrics(void *ctx, double *values)
{
    const toy *t = ctx;

    values[0] = t->x[0];
    values[1] = t->steps_seen;
}

static mill_err toy_probe(void *ctx, int64_t step, double *quality)
{
    const toy *t = ctx;

    *quality = 1 / (1 + fabs((double)step - t->peak));
    return MILL_OK;
}

static bool toy_done(void *ctx)
{
    const toy *t = ctx;
    return t->converged_at && t->steps_seen >= (double)t->converged_at;
}

static mill_err toy_save(void *ctx, store_writer *w, json_t *meta)
{
    toy *t = ctx;
    const int64_t n = TOY_SIZE;

    json_object_set_new(meta, "steps_seen", json_real(t->steps_seen));
    return store_writer_add(w, "x", STORE_F64, 1, &n, t->x);
}

static mill_err toy_load(void *ctx, const store *s)
{
    toy *t = ctx;
    const store_tensor *x;
    const int64_t n = TOY_SIZE;

    TRY(store_get(&x, s, "x", STORE_F64, 1, &n));
    memcpy(t->x, x->data, sizeof t->x);
    t->steps_seen = json_number_value(json_object_get(store_meta(s), "steps_seen"));
    return MILL_OK;
}

train_job toy_job(toy *t, int64_t n_steps, int64_t steps_per_epoch)
{
    return (train_job){
        .ctx = t,
        .name = "toy",
        .n_steps = n_steps,
        .steps_per_epoch = steps_per_epoch,
        .n_metrics = 2,
        .metric = {"loss_a", "seen"},
        .step = toy_step,
        .metrics = toy_metrics,
        .done = toy_done,
        .probe = t->peak >= 0 ? toy_probe : NULL,
        .save = toy_save,
        .load = toy_load,
    };
}

uint64_t toy_hash(const toy *t)
{
    uint64_t h = 14695981039346656037u, bits;

    for (int i = 0; i <= TOY_SIZE; i++) {
        memcpy(&bits, i < TOY_SIZE ? &t->x[i] : &t->steps_seen, sizeof bits);
        h = (h ^ bits) * 1099511628211u;
    }
    return h;
}
