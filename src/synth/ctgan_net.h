/*
 * ctgan_net.h - CTGAN's two networks and its training step as one graph (Xu et al. 2019,
 * section 4.4; PacGAN: Lin et al. 2018; gradient penalty: Gulrajani et al. 2017).
 */
#ifndef MILL_SYNTH_CTGAN_NET_H
#define MILL_SYNTH_CTGAN_NET_H

#include "nn/flat.h"
#include "synth/ctgan_draw.h"

enum { CTGAN_MAX_LAYERS = 16 };

typedef struct {
    mill_graph *g;
    const synth_config *c;
    const synth_spans *s;
    const ctgan_draw *d;
    int n_gen, n_disc;
    int64_t gen[CTGAN_MAX_LAYERS], disc[CTGAN_MAX_LAYERS];
    nn_params g_params, d_params;
    mill_ref bn_mean[CTGAN_MAX_LAYERS], bn_var[CTGAN_MAX_LAYERS];
    int64_t rows;    /* of the graph: a batch, or a part of one */
    double momentum; /* of the running statistics */
} ctgan_net;

mill_err ctgan_net_init(ctgan_net *n, mill_graph *g, const synth_config *c, const synth_spans *s,
                        const ctgan_draw *d);

/* Of either network; its update number is step * t_mul + t_add. */
mill_adam_opts ctgan_adam(double decay, int64_t t_mul, int64_t t_add);

/* The whole step; outputs "loss_g" and "loss_d". */
void ctgan_build_step(ctgan_net *n);

/*
 * The step in parts of so many rows (train/shards.h): first those of the discriminator, once for
 * each of its turns, then those of the generator.  What a part leaves lies in one array: gradients
 * of one network, the batch statistics of the generator, and "loss".
 */
enum { CTGAN_DISCRIMINATOR, CTGAN_STATISTICS, CTGAN_GENERATOR, CTGAN_N_GROUPS };
mill_err ctgan_layout(nn_flat *f, ctgan_net *n, int64_t multiple); /* n: of a graph to throw away */
mill_err ctgan_build_part(ctgan_net *n, const nn_flat *f, int network, int64_t rows,
                          const flat_hook *hook);

/* Rows from noise with running batch statistics: output "rows" (n_rows, n_spans), of a tanh span
 * its unit, of a softmax span the place in it that was drawn. */
void ctgan_build_sample(ctgan_net *n, int64_t n_rows);

#endif
