/*
 * bench_words.c - the command line of one run.
 *
 * {n} in a word is the number of ranks, {tmp} an empty folder of the run.  Of `tabmill train` the
 * options are known, so its work is dealt here:
 *
 *     strong   --batch-size B / N: every step has the same rows.  With --virtual-shards it has them
 *              anyway
 *     weak     --epochs E N: a rank makes as many steps of as many rows
 *
 * and what would disturb is set: a folder of its own, threads, no early stop, no checkpoint by the
 * clock.
 */
#include "cli/bench.h"

#include "base/mem.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

static bool is_our_train(const opt_parsed *p)
{
    const char *const slash = p->n_args ? strrchr(p->arg[0], '/') : NULL;

    return p->n_args > 1 && !strcmp(slash ? slash + 1 : p->arg[0], "tabmill") &&
           !strcmp(p->arg[1], "train");
}

/* What a measured run does otherwise is refused. */
static int check_train(const bench_command *c)
{
    static const char *const refused[][2] = {
        {"nproc", "--ranks of bench says how many"},
        {"threads", "--threads of bench says how many"},
        {"resume", "every run that is timed begins anew"},
        {"max-restarts", "a run that fails is not timed"},
    };
    const opt_row *r;

    if (!strcmp(c->train.ranks.multi_gpu, "dp"))
        return opt_usage_error(&bench_set, "--multi-gpu dp is one process: there are no ranks");
    for (int i = 0; (r = opt_row_at(c->parsed.set, i, NULL)); i++)
        for (int k = 0; c->parsed.is_given[i] && k < OPT_COUNT(refused); k++)
            if (!strcmp(refused[k][0], r->name))
                return opt_usage_error(&bench_set, "--%s of tabmill train: %s", r->name,
                                       refused[k][1]);
    return 0;
}

/* Its own words are checked by its own table. */
static int read_train(bench_command *c, const opt_parsed *p)
{
    train_command *o = &c->train;
    int status;

    if (opt_parse(&c->parsed, &status, &train_set, o, p->n_args - 2, (char **)p->arg + 2) ==
        OPT_STOP)
        return status ? status : 2;
    c->is_train = true;
    if (!o->run.data || !o->run.target)
        return opt_usage_error(&bench_set, "tabmill train: --data FILE and --target NAME");
    return check_train(c);
}

int bench_command_read(bench_command *c, const opt_parsed *p, const bench_options *o)
{
    *c = (bench_command){.word = p->arg, .n = p->n_args, .threads = (int)o->threads};
    return is_our_train(p) ? read_train(c, p) : 0;
}

void bench_command_free(bench_command *c)
{
    if (c->is_train) opt_free(&c->parsed);
}

mill_err bench_command_check(const bench_command *c, bench_mode mode, int ranks)
{
    const cls_config *t = &c->train.cls;

    if (!c->is_train) return MILL_OK;
    if (t->virtual_shards) return rank_tree_check((int)t->virtual_shards, ranks);
    if (mode == BENCH_STRONG && t->batch_size % ranks)
        return mill_fail(MILL_EINPUT,
                         "--batch-size %lld cannot be dealt to %d ranks evenly: the same work for "
                         "any number of ranks needs a multiple",
                         (long long)t->batch_size, ranks);
    return MILL_OK;
}

/* ---- words ---- */

typedef struct {
    char **word;
    int n, cap;
    int ranks;
    const char *folder;
} word_list;

/* With {n} and {tmp} filled in. */
static mill_err add(word_list *l, const char *text)
{
    mill_text t = {0};

    if (l->n + 1 >= l->cap) {
        const int cap = l->cap ? 2 * l->cap : 32;
        char **const grown = mill_realloc(l->word, (size_t)cap, sizeof *grown);
        if (!grown) return MILL_ENOMEM;
        l->word = grown;
        l->cap = cap;
    }
    text_add(&t, "%s", "");
    for (const char *at = text; *at;) {
        if (!strncmp(at, "{n}", 3)) {
            text_add(&t, "%d", l->ranks);
            at += 3;
        } else if (!strncmp(at, "{tmp}", 5)) {
            text_add(&t, "%s", l->folder);
            at += 5;
        } else {
            text_add_bytes(&t, at++, 1);
        }
    }
    const mill_err err = text_check(&t);
    if (err) {
        text_free(&t);
        return err;
    }
    l->word[l->n++] = t.s;
    l->word[l->n] = NULL;
    return MILL_OK;
}

static mill_err add_value(word_list *l, const char *name, const char *value)
{
    char flag[64];

    snprintf(flag, sizeof flag, "--%s", name);
    TRY(add(l, flag));
    return value ? add(l, value) : MILL_OK;
}

static mill_err add_int(word_list *l, const char *name, int64_t x)
{
    char text[32];

    snprintf(text, sizeof text, "%lld", (long long)x);
    return add_value(l, name, text);
}

/* An option as it was parsed; a file of options has become options. */
static mill_err add_option(word_list *l, const opt_row *r, const void *field)
{
    char text[40];

    switch (r->kind) {
    case OPT_INT:
    case OPT_SIZE:
        return add_int(l, r->name, *(const int64_t *)field);
    case OPT_REAL:
        text[mill_format_f64(text, *(const double *)field)] = 0;
        return add_value(l, r->name, text);
    case OPT_CHAR:
        snprintf(text, sizeof text, "%c", *(const char *)field);
        return add_value(l, r->name, text);
    case OPT_FLAG:
        return *(const bool *)field ? add_value(l, r->name, NULL) : MILL_OK;
    case OPT_BOOL:
        snprintf(text, sizeof text, "%s%s", *(const bool *)field ? "" : "no-", r->name);
        return add_value(l, text, NULL);
    case OPT_TEXT:
    case OPT_DIMS:
        return add_value(l, r->name, *(const char *const *)field);
    case OPT_LIST:
        for (int i = 0; i < ((const opt_list *)field)->n; i++)
            TRY(add_value(l, r->name, ((const opt_list *)field)->item[i]));
        return MILL_OK;
    }
    return MILL_OK;
}

static bool is_ours(const char *name)
{
    static const char *const names[] = {"config",
                                        "save-dir",
                                        "force",
                                        "quiet",
                                        "batch-size",
                                        "epochs",
                                        "checkpoint-every",
                                        "early-stopping-patience",
                                        "multi-gpu"};

    for (int i = 0; i < OPT_COUNT(names); i++)
        if (!strcmp(names[i], name)) return true;
    return false;
}

static mill_err add_train(word_list *l, const bench_command *c, bench_mode mode)
{
    const cls_config *t = &c->train.cls;
    const bool is_dealt = mode == BENCH_STRONG && !t->virtual_shards;
    const opt_group *g = NULL;
    const opt_row *r;

    TRY(add(l, c->word[0]));
    TRY(add(l, c->word[1]));
    for (int i = 0; (r = opt_row_at(c->parsed.set, i, &g)); i++)
        if (c->parsed.is_given[i] && !is_ours(r->name))
            TRY(add_option(l, r, (const char *)&c->train + g->base + r->offset));
    TRY(add_int(l, "batch-size", is_dealt ? t->batch_size / l->ranks : t->batch_size));
    TRY(add_int(l, "epochs", mode == BENCH_WEAK ? t->epochs * l->ranks : t->epochs));
    TRY(add_int(l, "threads", c->threads));
    TRY(add_value(l, "multi-gpu", "ddp"));
    TRY(add_value(l, "save-dir", "{tmp}/run"));
    TRY(add_value(l, "checkpoint-every", "1e9"));
    TRY(add_int(l, "early-stopping-patience", 0));
    return add_value(l, "quiet", NULL);
}

mill_err bench_words(char ***out, const bench_command *c, bench_mode mode, int ranks,
                     const char *folder)
{
    word_list l = {.ranks = ranks, .folder = folder};
    mill_err err = MILL_OK;

    if (c->is_train)
        err = add_train(&l, c, mode);
    else
        for (int i = 0; i < c->n && !err; i++) err = add(&l, c->word[i]);
    if (err)
        bench_words_free(l.word);
    else
        *out = l.word;
    return err;
}

void bench_words_free(char **word)
{
    for (int i = 0; word && word[i]; i++) mill_free(word[i]);
    mill_free(word);
}
