/* config.c - defaults, refusals, and how many rows make a step. */
#include "classify/classify.h"

#include "base/cpu.h"
#include "base/log.h"
#include "nn/layer.h"

#include <math.h>
#include <string.h>

cls_config cls_config_default(void)
{
    return (cls_config){
#define OPT(kind, field, name, letter, def, least, most, who, help) .field = (def),
#include "classify/options.def"
#undef OPT
        .workers = 1,
    };
}

static bool is_one_of(const char *word, const char *const *words)
{
    for (; *words; words++)
        if (!strcmp(word, *words)) return true;
    return false;
}

mill_err cls_config_check(const cls_config *c)
{
    static const char *const archs[] = {"mlp", "ft-transformer", NULL};
    static const char *const tasks[] = {"auto", "classification", "regression", NULL};
    static const char *const modes[] = {"flatten", "average", "first", NULL};
    static const char *const scales[] = {"none", "linear", "sqrt", NULL};
    nn_activation a;

    if (!is_one_of(c->arch, archs))
        return mill_fail(MILL_EINPUT, "--arch %s: mlp or ft-transformer", c->arch);
    if (!is_one_of(c->task, tasks))
        return mill_fail(MILL_EINPUT, "--task %s: auto, classification or regression", c->task);
    if (!is_one_of(c->mode, modes))
        return mill_fail(MILL_EINPUT, "--mode %s: flatten, average or first", c->mode);
    if (!is_one_of(c->lr_scale, scales))
        return mill_fail(MILL_EINPUT, "--lr-scale %s: none, linear or sqrt", c->lr_scale);
    if (!nn_activation_find(&a, c->activation))
        return mill_fail(MILL_EINPUT, "--activation %s: relu, gelu, silu or tanh", c->activation);
    if (!strcmp(c->amp, "fp16"))
        return mill_fail(MILL_EINPUT,
                         "--amp fp16: processors have no products of that type; bf16 is the one");
    if (strcmp(c->amp, "off") != 0 && strcmp(c->amp, "bf16") != 0)
        return mill_fail(MILL_EINPUT, "--amp %s: off or bf16", c->amp);
    if (c->freeze_encoder && !c->encoder_path)
        return mill_fail(MILL_EINPUT, "--freeze-encoder without --encoder-path: layers of random "
                                      "numbers would never learn");
    if (!strcmp(c->arch, "ft-transformer") && c->token_dim % c->heads)
        return mill_fail(MILL_EINPUT, "--heads %lld do not divide --token-dim %lld",
                         (long long)c->heads, (long long)c->token_dim);
    if (c->val_fraction + c->test_fraction >= 1)
        return mill_fail(MILL_EINPUT,
                         "--val-fraction and --test-fraction leave nothing to train on");
    return MILL_OK;
}

/* As many batches as make a step, and once: the rate that is printed is the one that is used. */
static double scaled_lr(const cls_config *c, int64_t parts)
{
    if (!strcmp(c->lr_scale, "linear")) return c->lr * (double)parts;
    if (!strcmp(c->lr_scale, "sqrt")) return c->lr * sqrt((double)parts);
    return c->lr;
}

mill_err cls_plan_make(cls_plan *out, const cls_config *c, int64_t rows, int world)
{
    const int64_t shards = c->virtual_shards ? c->virtual_shards
                           : c->dp_shards    ? c->dp_shards
                                             : world;
    cls_plan p = {.world = world, .shards = shards, .parts = shards * c->accum_steps};

    if (rows < 1) return mill_fail(MILL_EINPUT, "no rows to train on");
    if (c->virtual_shards) TRY(rank_tree_check((int)p.parts, world));
    if (p.parts > 65536)
        return mill_fail(MILL_EINPUT, "%lld batches make a step: at most 65536",
                         (long long)p.parts);
    p.effective = c->batch_size * p.parts;
    p.steps_per_epoch = (rows + p.effective - 1) / p.effective;
    p.n_steps = p.steps_per_epoch * c->epochs;
    p.lr = scaled_lr(c, p.parts);
    /* Noise is keyed by 32 bits of step and part. */
    if (p.n_steps >= (int64_t)UINT32_MAX / p.parts)
        return mill_fail(MILL_EINPUT, "%lld steps of %lld batches: fewer epochs or larger batches",
                         (long long)p.n_steps, (long long)p.parts);
    *out = p;
    return MILL_OK;
}
