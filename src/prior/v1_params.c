/*
 * v1_params.c - the hyper-parameters of a group of v1 data sets.
 *
 *     TN(lo, hi, least)   ln mu ~ U(ln lo, ln hi), ln s ~ U(ln .01, 0); least + a normal number of
 *                         mean mu and deviation mu s, at least 0, rounded for counts
 *     choice              softmax of logits 1, U(-3, 5), ...; one draw
 *     activation          softmax of 1, U(-5, 6) x 55 over 18 simple functions, 10 times the random
 *                         one, and 28 times `any of those 28, uniformly`: here weights of 19
 *
 * Everything is drawn, in a fixed order, before options overrule it: an option moves nothing else.
 */
#include "prior/v1.h"

#include "base/vmath.h"

#include <string.h>

const char *const v1_act_name[V1_N_ACT] = {
    "tanh", "leaky_relu", "elu",      "identity",       "selu",
    "silu", "relu",       "softplus", "relu6",          "hardtanh",
    "sign", "rbf",        "exp",      "sqrt_abs",       "unit_interval",
    "sine", "square",     "abs",      "random_function"};

static double truncated(prior_draw *d, double low, double high)
{
    const double mu = draw_log_between(d, low, high), s = draw_log_between(d, 0.01, 1.0);

    return draw_truncated_normal(d, mu, mu * s, 0.0, 1e6);
}

static int count(prior_draw *d, double low, double high, int least)
{
    return least + (int)rint(truncated(d, low, high));
}

static int choice(prior_draw *d, int n)
{
    double weight[3] = {mill_exp_f64(1.0)};

    for (int i = 1; i < n; i++) weight[i] = mill_exp_f64(draw_between(d, -3.0, 5.0));
    return draw_weighted(d, weight, n);
}

static bool yes(prior_draw *d)
{
    return choice(d, 2) == 0; /* True stands first */
}

static void draw_act(double *act, prior_draw *d)
{
    enum { RANDOM = 10, PLAIN = V1_N_ACT - 1 + RANDOM };
    double any = 0;

    for (int i = 0; i < V1_N_ACT; i++) act[i] = 0;
    for (int i = 0; i < PLAIN; i++)
        act[i < ACT_FUNCTION ? i : ACT_FUNCTION] +=
            mill_exp_f64(i ? draw_between(d, -5.0, 6.0) : 1.0);
    for (int i = 0; i < PLAIN; i++) any += mill_exp_f64(draw_between(d, -5.0, 6.0));
    any /= PLAIN;
    for (int i = 0; i < V1_N_ACT; i++) act[i] += i == ACT_FUNCTION ? RANDOM * any : any;
}

static bool asked(const char *word, bool drawn)
{
    return strcmp(word, "drawn") ? !strcmp(word, "yes") : drawn;
}

void v1_draw_params(v1_params *out, const prior_try *t)
{
    const prior_config *const c = t->c;
    prior_draw d = draw_init(t->at.group_key, STEP_PARAMETERS);
    v1_params p = {0};

    p.by_rank = !yes(&d);
    draw_act(p.act, &d);
    p.is_block_wise = yes(&d);
    const double b = draw_between(&d, 0.1, 5.0), k = draw_between(&d, 0.1, 5.0);
    p.dropout = 0.9 * draw_beta(&d, b, k);
    p.is_causal = yes(&d) && !strcmp(c->compat, "0.1.4");
    p.num_causes = count(&d, 1, 12, 1);
    p.y_is_effect = yes(&d);
    p.in_clique = yes(&d);
    p.sort_features = yes(&d);
    p.num_layers = count(&d, 1, 6, 2);
    p.hidden_dim = count(&d, 5, 130, 4);
    p.init_std = truncated(&d, 0.01, 10);
    p.noise_std = truncated(&d, 1e-4, 0.3);
    p.causes = (v1_causes_kind)choice(&d, 3);
    p.pre_cause_stats = yes(&d);
    p.pre_noise_std = yes(&d);

    p.is_causal = asked(c->is_causal, p.is_causal);
    p.y_is_effect = asked(c->y_is_effect, p.y_is_effect);
    p.in_clique = asked(c->in_clique, p.in_clique);
    p.sort_features = asked(c->sort_features, p.sort_features);
    p.pre_noise_std = asked(c->pre_sample_noise_std, p.pre_noise_std);
    if (c->num_layers) p.num_layers = c->num_layers < 2 ? 2 : (int)c->num_layers;
    if (c->num_causes) p.num_causes = (int)c->num_causes;
    if (c->noise_std >= 0) p.noise_std = c->noise_std;
    if (strcmp(c->assigner_type, "drawn") != 0) p.by_rank = !strcmp(c->assigner_type, "rank");
    *out = p;
}

static const char *word(bool x)
{
    return x ? "true" : "false";
}

void v1_describe_params(const v1_params *p, prior_try *t)
{
    static const char *const causes[] = {"normal", "mixed", "uniform"};
    mill_text *const s = t->structure;
    const bool is_tree = !strcmp(t->at.kind, "tree_scm");
    char init[40], noise[40], dropout[40];

    mill_format_f64(init, p->init_std);
    mill_format_f64(noise, p->noise_std);
    mill_format_f64(dropout, p->dropout);
    text_add(s, ",\"sampling\":\"%s\",\"pre_sample_cause_stats\":%s,\"noise_std\":%s",
             causes[p->causes], word(p->pre_cause_stats), noise);
    text_add(s, ",\"pre_sample_noise_std\":%s", word(p->pre_noise_std));
    if (t->at.classes && t->at.ratio == 0)
        text_add(s, ",\"multiclass_type\":\"%s\"", p->by_rank ? "rank" : "value");
    if (is_tree) return;
    text_add(s, ",\"is_causal\":%s", word(p->is_causal));
    if (p->is_causal)
        text_add(s, ",\"num_causes\":%d,\"y_is_effect\":%s,\"in_clique\":%s,\"sort_features\":%s",
                 p->num_causes, word(p->y_is_effect), word(p->in_clique), word(p->sort_features));
    text_add(s, ",\"num_layers\":%d,\"hidden_dim\":%d,\"init_std\":%s", p->num_layers,
             p->hidden_dim, init);
    text_add(s, ",\"block_wise_dropout\":%s,\"mlp_dropout_prob\":%s", word(p->is_block_wise),
             dropout);
}
