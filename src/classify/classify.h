/*
 * classify.h - train a classifier or a regressor on a table or on arrays, and predict with it.
 *
 *     data      a source (CSV, npz) is read, its encoder fitted, its rows encoded          data.h
 *     deal      which rows make which part of which step, for any number of ranks          deal.h
 *     net       the graphs: one part of a step, the update, evaluation                     net.h
 *     shards    parameters and gradients in memory that ranks share; sums in one tree      train/
 *     trainer   all of it as a job of train/loop.h, driven by rank 0                       below
 *     file      the model in a .mill file
 */
#ifndef MILL_CLASSIFY_CLASSIFY_H
#define MILL_CLASSIFY_CLASSIFY_H

#include "base/option.h"
#include "classify/data.h"
#include "rank/rank.h"
#include "train/loop.h"

typedef struct {
#define OPT MILL_FIELD
#include "classify/options.def"
#undef OPT
    uint64_t seed;
    int workers;              /* threads that prepare batches ahead; 0: none */
    int dp_shards;            /* --multi-gpu dp: so many batches make a step, in one process */
    const char *encoder_path; /* or NULL */
} cls_config;

cls_config cls_config_default(void);
/* MILL_EINPUT with words for what no run could do: an unknown name, an impossible pair. */
mill_err cls_config_check(const cls_config *c);

/* How many rows make what; printed and recorded. */
typedef struct {
    int world;
    int64_t shards, parts; /* batches side by side; and with accumulation: parts of one step */
    int64_t effective;     /* rows of a step */
    int64_t steps_per_epoch, n_steps;
    double lr; /* scaled */
} cls_plan;
mill_err cls_plan_make(cls_plan *out, const cls_config *c, int64_t rows, int world);

/* What is trained on: borrowed by the trainer until it is closed. */
typedef struct {
    const cls_encoder *encoder;
    const cls_rows *train, *val, *test; /* val, test: may be empty */
} cls_data;

typedef struct cls_trainer cls_trainer;

/* Collective.  `group` is borrowed; every rank has the same data and configuration. */
mill_err cls_trainer_open(cls_trainer **out, const cls_config *c, const cls_data *d,
                          rank_group *group, mill_pool *pool);
void cls_trainer_close(cls_trainer *t);
const cls_plan *cls_trainer_plan(const cls_trainer *t);
int64_t cls_trainer_n_params(const cls_trainer *t);
/* Bytes that the ranks of this host take beside their rows, from the plans; without making a
 * trainer. */
mill_err cls_trainer_bytes(int64_t *bytes, const cls_config *c, const cls_data *d,
                           const rank_identity *who, int threads);
/* Rank 0: the job for train_loop().  `c`, `d` as given to open. */
void cls_trainer_job(train_job *job, cls_trainer *t);
/* Rank 0, after train_loop(): sends the others home, whatever happened. */
mill_err cls_trainer_end(cls_trainer *t);
/* The other ranks: do what rank 0 asks for until it says that this is all. */
mill_err cls_trainer_follow(cls_trainer *t);

/* ---- metrics: each over exactly the rows of a set ---- */

typedef struct {
    int64_t rows;
    double loss;              /* without smoothing; regression: mean squared error */
    double accuracy, f1, auc; /* classification: f1 and auc are means over the classes */
    double rmse, mae, r2;     /* regression, in the target's unit */
    double *class_accuracy;   /* (n_classes), NaN where the class has no rows; or NULL */
    int64_t *class_rows;
} cls_metrics;
void cls_metrics_deinit(cls_metrics *m);
/* out: (n, n_out), the network's; of rows of the same encoder. */
mill_err cls_metrics_make(cls_metrics *m, const cls_encoder *e, const cls_rows *rows,
                          const float *out);

int64_t cls_metrics_bytes(const cls_encoder *e, int64_t rows); /* that it takes on its way */

/* Evaluates a set by the state that the trainer has; rank 0, the others follow. */
typedef enum { CLS_VAL, CLS_TEST } cls_set;
mill_err cls_trainer_evaluate(cls_metrics *m, cls_trainer *t, cls_set set);
json_t *cls_metrics_json(const cls_metrics *m, const cls_encoder *e);

/* ---- the model in a file, and predictions ---- */

typedef struct {
    store *file;
    cls_encoder *encoder;
    cls_config c; /* of the network alone */
    mill_pool *pool;
} cls_model;
/* A checkpoint of a trainer. */
mill_err cls_model_open(cls_model *m, const char *path, mill_pool *pool);
void cls_model_close(cls_model *m);
/* out: (rows, n_out) */
mill_err cls_model_run(float *out, const cls_model *m, const cls_rows *rows);
/* A table of predictions: the target's name, and for classes the probability of each. */
mill_err cls_model_table(mill_table **out, const cls_model *m, const float *net_out, int64_t n);

#endif
