/*
 * job.c - training as a job of train/loop.h, on rank 0.
 *
 * quality, by which the best epoch is chosen: the accuracy on the validation rows; of a regression
 * 1 / (1 + mean squared error in standard deviations).
 */
#include "classify/trainer.h"

#include <math.h>

/* ORDER METRIC; and what TensorBoard calls them */
static const char *const class_names[][2] = {
    {"train_loss", "Loss/train"}, {"train_accuracy", "Accuracy/train"},
    {"val_loss", "Loss/val"},     {"val_accuracy", "Accuracy/val"},
    {"val_f1", "F1/val"},         {"val_auc", "AUC/val"},
    {"lr", "Learning_rate"},      {"grad_norm", "Gradient_norm"}};
static const char *const number_names[][2] = {
    {"train_loss", "Loss/train"},  {"val_loss", "Loss/val"}, {"val_rmse", "RMSE/val"},
    {"val_mae", "MAE/val"},        {"val_r2", "R2/val"},     {"lr", "Learning_rate"},
    {"grad_norm", "Gradient_norm"}};

static mill_err job_step(void *ctx, int64_t step)
{
    cls_trainer *t = ctx;

    TRY(cls_order_give(t, ORDER_STEP, step));
    return cls_step(t, step);
}

static void job_metrics(void *ctx, double *values)
{
    const cls_trainer *t = ctx;
    const bool is_probed = t->val_step == t->step && t->d.val->n;
    const double none = (double)NAN, rows = t->sums.rows > 0 ? t->sums.rows : 1;
    const cls_metrics *m = &t->val;
    int n = 0;

    values[n++] = t->sums.loss / rows;
    if (t->net.is_class) {
        values[n++] = t->sums.correct / rows;
        values[n++] = is_probed ? m->loss : none;
        values[n++] = is_probed ? m->accuracy : none;
        values[n++] = is_probed ? m->f1 : none;
        values[n++] = is_probed ? m->auc : none;
    } else {
        values[n++] = is_probed ? m->loss : none;
        values[n++] = is_probed ? m->rmse : none;
        values[n++] = is_probed ? m->mae : none;
        values[n++] = is_probed ? m->r2 : none;
    }
    values[n++] = t->lr;
    values[n++] = t->grad_norm;
}

mill_err cls_trainer_evaluate(cls_metrics *m, cls_trainer *t, cls_set set)
{
    TRY(cls_order_give(t, ORDER_EVALUATE, set));
    TRY(cls_evaluate_set(t, set));
    return cls_metrics_make(m, t->d.encoder, cls_set_rows(t, set), rank_buffer_data(t->out));
}

static mill_err job_probe(void *ctx, int64_t step, double *quality)
{
    cls_trainer *t = ctx;

    TRY(cls_trainer_evaluate(&t->val, t, CLS_VAL));
    t->val_step = step;
    *quality = t->net.is_class ? t->val.accuracy : 1 / (1 + t->val.loss);
    return MILL_OK;
}

static mill_err job_save(void *ctx, store_writer *w, json_t *meta)
{
    cls_trainer *t = ctx;

    rank_beat(t->group, t->step, RANK_SAVING);
    TRY(cls_order_give(t, ORDER_COLLECT, 0));
    TRY(shards_collect(&t->shards));
    return cls_state_save(t, w, meta);
}

static mill_err job_load(void *ctx, const store *s)
{
    cls_trainer *t = ctx;

    TRY(cls_state_load(t, s));
    t->next_step = -1;
    TRY(cls_order_give(t, ORDER_SHARE, 0));
    return shards_sync(&t->shards);
}

void cls_trainer_job(train_job *job, cls_trainer *t)
{
    const bool is_class = t->net.is_class;
    *job = (train_job){
        .ctx = t,
        .name = t->c.arch,
        .n_steps = t->plan.n_steps,
        .steps_per_epoch = t->plan.steps_per_epoch,
        .n_metrics = is_class ? 8 : 7,
        .step = job_step,
        .metrics = job_metrics,
        .probe = t->d.val->n ? job_probe : NULL,
        .save = job_save,
        .load = job_load,
    };
    for (int i = 0; i < job->n_metrics; i++) {
        job->metric[i] = is_class ? class_names[i][0] : number_names[i][0];
        job->tag[i] = is_class ? class_names[i][1] : number_names[i][1];
    }
}
