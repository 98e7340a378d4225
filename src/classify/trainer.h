/*
 * trainer.h - what a trainer is made of; for the files of this folder only.
 *
 * Rank 0 drives: it says by a broadcast what all do next (a step, an evaluation, the end), and the
 * others follow.  Whoever hears an order knows that all are through with the one before: parameters
 * may be read then.  So decisions (early stop, signals, which checkpoint) are made once.
 */
#ifndef MILL_CLASSIFY_TRAINER_H
#define MILL_CLASSIFY_TRAINER_H

#include "classify/deal.h"
#include "classify/net.h"

enum { CLS_MAX_TILE = 1024 }; /* rows of one evaluation of the network, at most */

typedef struct {
    mill_graph *g;
    mill_exec *e;
} cls_graph;

/* Of the epoch so far; a part of the state. */
typedef struct {
    double loss, correct, rows;
} cls_sums;

struct cls_trainer {
    cls_config c;
    cls_data d;
    rank_group *group;
    mill_pool *pool;
    cls_plan plan;
    cls_net net;
    nn_flat layout;
    cls_deal deal;

    train_shards shards; /* parameters, moments, and the sum of a step's parts */
    rank_buffer *out;    /* the network's answers to a whole set */
    cls_graph part, eval, norm;
    int64_t tile; /* rows of eval */
    cls_loader *loader;
    int64_t next_step; /* that the loader will prepare; -1: none */
    int64_t running;   /* the step whose parts are computed */

    double *told, *heard; /* what a step's ranks tell each other */
    int64_t n_told;
    int64_t step;        /* done */
    cls_sums sums, last; /* last: of the newest step that ended an epoch, or so far */
    cls_metrics val;     /* of step val_step */
    int64_t val_step;
    double grad_norm, lr;
};

/* What a rank tells of a step, in doubles: the signal that it got, loss and hits of each part, the
 * squares of each of its groups of lines. */
enum { TELL_SIGNAL, TELL_PARTS };

typedef enum { ORDER_STEP, ORDER_EVALUATE, ORDER_SHARE, ORDER_COLLECT, ORDER_END } cls_order_kind;
typedef struct {
    int64_t kind, arg;
} cls_order;

mill_err cls_order_give(cls_trainer *t, cls_order_kind kind, int64_t arg);
mill_err cls_step(cls_trainer *t, int64_t step);        /* on every rank */
mill_err cls_evaluate_set(cls_trainer *t, cls_set set); /* on every rank: fills t->out */
const cls_rows *cls_set_rows(const cls_trainer *t, cls_set set);
double cls_rate(const cls_trainer *t, int64_t step);

/* finite.c, on every rank: MILL_EDEVICE, with the rank and the layer that are to blame for a step
 * whose loss or gradient is not finite; in the same words on all. */
mill_err cls_not_finite(const cls_trainer *t, int64_t step);

/* file.c */
mill_err cls_params_load(cls_trainer *t, const store *s, bool encoder_only);
mill_err cls_state_save(const cls_trainer *t, store_writer *w, json_t *meta);
mill_err cls_state_load(cls_trainer *t, const store *s);

#endif
