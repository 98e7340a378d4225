/*
 * train.c - `tabmill train`: a classifier or a regressor, on one process or on many ranks.
 *
 * Cheap refusals first; then, before any thread exists, the ranks are forked; each of them reads
 * the data, rank 0 runs the loop and talks, the others follow.
 */
#include "cli/train.h"
#include "cli/ranks.h"

#include "base/cpu.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STATUS_FAILED = 1, STATUS_NOT_SAVED = 74 };

#define OPT        OPT_ROW
#define OPT_STRUCT train_flags
static const opt_row flag_rows[] = {
#include "cli/train.def"
    {0}};
#undef OPT_STRUCT
#define OPT_STRUCT rank_options_of_cli
static const opt_row rank_rows[] = {
#include "cli/ranks.def"
    {0}};
#undef OPT_STRUCT
#define OPT_STRUCT cls_config
static const opt_row cls_option_rows[] = {
#include "classify/options.def"
    {0}};
#undef OPT_STRUCT
#undef OPT

static const opt_group groups[] = {
    {.title = "Files and the run", .row = flag_rows, .base = offsetof(train_command, run)},
    {.title = "Ranks", .row = rank_rows, .base = offsetof(train_command, ranks)},
    {.title = "Model and training (the architectures that an option belongs to stand behind it)",
     .row = cls_option_rows,
     .base = offsetof(train_command, cls),
     .names_methods = true},
    {.title = "Columns", .row = column_rows, .base = offsetof(train_command, columns)},
    {.title = "Reading CSV", .row = csv_rows, .base = offsetof(train_command, csv)},
    {.title = "Everywhere", .row = talk_rows, .base = offsetof(train_command, talk)},
};
static const char *const aliases[] = {"model", "arch", "learning-rate", "lr", "data-path",
                                      "data",  NULL};
const opt_set train_set = {
    .command = "train",
    .usage = "train --data data.csv --target y [--save-dir FOLDER] [options]",
    .about =
        "Train a classifier or a regressor on a table or on arrays.  A run that was stopped goes "
        "on with --resume\n"
        "and ends in the same bytes.",
    .group = groups,
    .n_groups = OPT_COUNT(groups),
    .size = sizeof(train_command),
    .alias = aliases,
};

/* ---- refusals before anything is read ---- */

static int check_ranks(train_command *o, int *nproc)
{
    const char *mode = o->ranks.multi_gpu;
    int status;

    if ((status = cli_ranks_count(nproc, &train_set, o->ranks.nproc))) return status;
    if (o->ranks.gpu_ids)
        return opt_usage_error(
            &train_set,
            "--gpu-ids %s: this build has no CUDA back end, so there are no GPUs; "
            "--nproc N shares the work among processors",
            o->ranks.gpu_ids);
    if (strcmp(mode, "none") != 0 && strcmp(mode, "ddp") != 0 && strcmp(mode, "dp") != 0)
        return opt_usage_error(&train_set, "--multi-gpu %s: none, ddp or dp", mode);
    if (!strcmp(mode, "none") && *nproc > 1)
        return opt_usage_error(&train_set,
                               "--nproc %d does nothing with --multi-gpu none: ddp makes "
                               "them ranks",
                               *nproc);
    if (o->ranks.max_restarts && (strcmp(mode, "ddp") != 0 || cli_is_rank()))
        return opt_usage_error(&train_set, "--max-restarts is of a command that starts ranks: "
                                           "--multi-gpu ddp --nproc N, or tabmill launch");
    if (strcmp(mode, "none") != 0 && !*nproc) *nproc = mill_cpu_count();
    if (!strcmp(mode, "dp")) {
        if (rank_is_spawned())
            return opt_usage_error(&train_set,
                                   "--multi-gpu dp is one process, and this is a rank of "
                                   "several: --multi-gpu ddp");
        if (o->cls.virtual_shards)
            return opt_usage_error(&train_set,
                                   "--virtual-shards and --multi-gpu dp both say how many "
                                   "batches make a step");
        o->cls.dp_shards = *nproc;
    }
    return 0;
}

/* Ranks that others have started know their number when they meet. */
static int check_shards(const train_command *o, int nproc)
{
    const int64_t parts = o->cls.virtual_shards * o->cls.accum_steps;
    const int world = nproc > 1 && !cli_is_rank() ? nproc : 1;

    if (!parts || parts > INT_MAX || !rank_tree_check((int)parts, world)) return 0;
    return opt_usage_error(&train_set, "%s", mill_error());
}

/* How many of the files are stdin. */
static int count_stdin(const train_flags *f)
{
    const char *const file[] = {f->data, f->val_data, f->test_data};
    int n = 0;

    for (int k = 0; k < 3; k++) n += file[k] && !strcmp(file[k], "-");
    return n;
}

static int check_flags(train_work *w, int *nproc)
{
    train_command *o = w->o;
    int status;

    if (!o->run.data) return opt_usage_error(&train_set, "--data FILE is missing");
    if (!o->run.target) return opt_usage_error(&train_set, "--target NAME is missing");
    if ((status = check_ranks(o, nproc))) return status;
    o->cls.seed = (uint64_t)o->run.seed;
    o->cls.workers = (int)o->run.num_workers;
    o->cls.encoder_path = o->run.encoder_path;
    if (cls_config_check(&o->cls)) return opt_usage_error(&train_set, "%s", mill_error());
    if ((status = check_shards(o, *nproc))) return status;
    if ((status = cli_check_used(w->p, o->cls.arch))) return status;
    if ((status = cli_check_device(&train_set, o->run.device))) return status;
    if (o->run.val_data && opt_is_given(w->p, &o->cls.val_fraction))
        return opt_usage_error(&train_set, "--val-data and --val-fraction: one of them");
    if (o->run.test_data && opt_is_given(w->p, &o->cls.test_fraction))
        return opt_usage_error(&train_set, "--test-data and --test-fraction: one of them");
    if (count_stdin(&o->run) > 1)
        return opt_usage_error(&train_set,
                               "one of --data, --val-data and --test-data can be stdin");
    const size_t n = strlen(o->run.data);
    if (opt_is_given(w->p, &o->cls.mode) && (n < 4 || strcmp(o->run.data + n - 4, ".npz") != 0))
        return opt_usage_error(&train_set, "--mode is for arrays (.npz), and %s is a table",
                               o->run.data);
    return 0;
}

/* ---- words before a run ---- */

static void say_plan(const train_work *w, const cls_plan *p)
{
    const cls_config *c = &w->o->cls;
    const char *unit = c->virtual_shards ? "virtual shard" : c->dp_shards ? "shard" : "rank";

    cli_say("%s, %s of \"%s\": %lld row%s train, %lld validate, %lld test", c->arch,
            w->encoder->task == CLS_CLASSES ? "classes" : "regression", w->encoder->target.name,
            (long long)w->rows[0]->n, mill_s(w->rows[0]->n), (long long)w->rows[1]->n,
            (long long)w->rows[2]->n);
    cli_say(
        "a step: batch %lld x accumulation %lld x %lld %s%s = %lld row%s; %lld step%s an epoch; "
        "%d rank%s of %d thread%s",
        (long long)c->batch_size, (long long)c->accum_steps, (long long)p->shards, unit,
        mill_s(p->shards), (long long)p->effective, mill_s(p->effective),
        (long long)p->steps_per_epoch, mill_s(p->steps_per_epoch), p->world, mill_s(p->world),
        mill_pool_threads(w->pool), mill_s(mill_pool_threads(w->pool)));
    cli_say("learning rate %.6g%s; %lld parameters; seed %llu, %s (%s)", p->lr,
            strcmp(c->lr_scale, "none") ? " (scaled once)" : "",
            (long long)cls_trainer_n_params(w->trainer), (unsigned long long)c->seed,
            mill_cpu_model(), mill_cpu_level_name());
}

/* Parameters and both moments; one more than are kept while the next one is written, and the best.
 */
static void say_disk(const train_work *w)
{
    const double each = 3.0 * 4 * (double)cls_trainer_n_params(w->trainer),
                 all = each * (double)(w->o->run.keep + 2);
    const double there = (double)file_free_bytes(w->o->run.save_dir);
    char a[32], b[32];

    if (all > there)
        cli_say("%s: %lld checkpoints of %s each, and the disk has %s left: they will not fit",
                w->o->run.save_dir, (long long)w->o->run.keep + 2, mill_format_size(a, each),
                mill_format_size(b, there));
}

/* What experience says. */
static void say_warnings(const train_work *w, const cls_plan *p)
{
    const cls_config *c = &w->o->cls;

    if (w->rows[0]->n < 1000 && p->world > 1)
        cli_say("%lld row%s to train on, fewer than 1,000: more ranks will not help",
                (long long)w->rows[0]->n, mill_s(w->rows[0]->n));
    if (p->parts > 1 && !strcmp(c->lr_scale, "none"))
        cli_say(
            "%lld batches make a step and the learning rate is not scaled (--lr-scale linear or "
            "sqrt would)",
            (long long)p->parts);
    if (w->who.local_world > mill_cpu_count())
        cli_say("%d ranks share %d core%s: they will wait for one another", w->who.local_world,
                mill_cpu_count(), mill_s(mill_cpu_count()));
    if (!strcmp(c->amp, "bf16") && !mill_cpu_has_bf16())
        cli_say("--amp bf16: this processor has no bfloat16 products, so it will not be faster");
    if (w->encoder->task == CLS_CLASSES && w->encoder->target.n_values < 2)
        cli_say("the target has one class: there is nothing to tell apart");
}

static mill_err check_memory(const train_work *w, const cls_data *d)
{
    const int64_t limit = w->o->run.memory_limit, there = mill_cpu_memory_bytes();
    int64_t bytes;
    char a[32], b[32];

    TRY(cls_trainer_bytes(&bytes, &w->o->cls, d, &w->who, mill_pool_threads(w->pool)));
    bytes += w->who.local_world * mill_cpu_rss_bytes();
    mill_format_size(a, (double)bytes);
    if (limit && bytes > limit)
        return mill_fail(
            MILL_EINPUT,
            "training needs %s, over the limit of %s: a smaller --batch-size with more "
            "--grad-accum-steps trains the same",
            a, mill_format_size(b, (double)limit));
    if (bytes > there)
        cli_say(
            "training needs %s and this machine has %s: it will not fit; a smaller --batch-size "
            "with more --grad-accum-steps trains the same",
            a, mill_format_size(b, (double)there));
    return MILL_OK;
}

/* ---- the run ---- */

/* A run that this one would neither go on with nor begin anew is in the way, whatever the data
 * hold.
 */
static mill_err check_folder(const train_work *w)
{
    const train_flags *f = &w->o->run;
    const train_options o = {.run_dir = f->save_dir, .force = f->force};
    train_run_status status;

    if (w->who.rank || f->resume || w->who.restart) return MILL_OK;
    return train_run_state(&status, &o);
}

static mill_err look_at_run(train_work *w)
{
    const train_flags *f = &w->o->run;
    const cls_plan *p = cls_trainer_plan(w->trainer);
    train_run_status status;

    w->train = (train_options){
        .run_dir = f->save_dir,
        .checkpoint_seconds = f->checkpoint_every,
        .keep = (int)f->keep,
        .keep_after = true,
        .resume = f->resume,
        .force = f->force,
        .allow_other_level = f->allow_other_level,
        .early_stop = (int)w->o->cls.patience,
        .least_gain = w->o->cls.min_delta,
        .keep_best = true,
        .strict = f->strict,
        .links = true,
        .log_steps = f->log_interval,
        .probe_steps = p->steps_per_epoch,
        .quiet = w->o->talk.quiet,
        .progress_fd = 2,
        .config = w->config,
        .manifest = w->manifest,
    };
    TRY(cli_run_state(&status, &w->train));
    w->is_finished = status == TRAIN_RUN_FINISHED;
    if (w->is_finished) cli_say("%s: this run is finished, there is nothing to do", f->save_dir);
    return MILL_OK;
}

static mill_err run_loop(train_work *w)
{
    train_job job;

    cls_trainer_job(&job, w->trainer);
    if (!job.probe) {
        w->train.keep_best = false;
        w->train.early_stop = 0;
    }
    TRY(train_loop(&w->end, &job, &w->train));
    if (w->end == TRAIN_INTERRUPTED) {
        cli_say("the same command with --resume goes on");
        return MILL_OK;
    }
    TRY(train_report(w));
    return train_run_finish(&w->train);
}

/* Rank 0 decides and sends the others home; whatever fails on it ends them too (rank_close). */
static mill_err lead(train_work *w)
{
    TRY(look_at_run(w));
    if (!w->is_finished) {
        say_plan(w, cls_trainer_plan(w->trainer));
        say_warnings(w, cls_trainer_plan(w->trainer));
        TRY(file_mkdir(w->o->run.save_dir));
        say_disk(w);
        TRY(run_loop(w));
    }
    return cls_trainer_end(w->trainer);
}

static mill_err train(train_work *w)
{
    rank_beat(w->group, 0, RANK_LOADING);
    TRY(rank_agree(w->group, check_folder(w)));
    TRY(rank_agree(w->group, train_read(w)));
    TRY(rank_agree(w->group, train_compare(w)));
    const cls_data data = {w->encoder, w->rows[0], w->rows[1], w->rows[2]};
    if (w->encoder->task == CLS_NUMBER && opt_is_given(w->p, &w->o->cls.label_smoothing))
        return mill_fail(MILL_EINPUT, "--label-smoothing is for classes, and \"%s\" is a number",
                         w->encoder->target.name);
    TRY(rank_agree(w->group, check_memory(w, &data)));
    TRY(cls_trainer_open(&w->trainer, &w->o->cls, &data, w->group, w->pool));
    return rank_of(w->group) == 0 ? lead(w) : cls_trainer_follow(w->trainer);
}

static void close_work(train_work *w)
{
    cls_trainer_close(w->trainer);
    for (int k = 0; k < 3; k++) {
        cls_rows_free(w->rows[k]);
        cls_source_close(&w->source[k]);
    }
    cls_encoder_free(w->encoder);
    json_decref(w->config);
    json_decref(w->manifest);
}

/* A rank's threads: its share of the cores. */
static void share_threads(train_work *w)
{
    if (!w->o->talk.threads && w->who.local_world > 1)
        w->o->talk.threads = rank_thread_share(&w->who);
    if (w->who.rank) w->o->talk.quiet = true;
}

static int run_rank(train_work *w)
{
    int status;

    if (rank_identify(&w->who, NULL)) return opt_usage_error(&train_set, "%s", mill_error());
    if (w->who.world > 1 && !strcmp(w->o->ranks.multi_gpu, "dp"))
        return opt_usage_error(&train_set,
                               "--multi-gpu dp is one process on one machine; ddp is for "
                               "ranks");
    share_threads(w);
    if ((status = cli_begin(&w->pool, &train_set, &w->o->talk))) return status;
    train_signals_install();
    if (cli_is_rank()) train_signals_of_rank();
    const rank_options options = {.threads = mill_pool_threads(w->pool), .pool = w->pool};
    if (rank_open(&w->group, &w->who, &options)) {
        cli_error(&train_set);
        return STATUS_RENDEZVOUS;
    }
    w->began = mill_clock();
    const mill_err err = train(w);
    if (err && (w->who.rank == 0 || w->who.world == 1)) cli_error(&train_set);
    status = !err ? 0 : w->end == TRAIN_NOT_SAVED ? STATUS_NOT_SAVED : STATUS_FAILED;
    if (!err && train_signal_received())
        status = w->who.world > 1 ? STATUS_PREEMPTED : cli_exit_status();
    close_work(w);
    rank_close(w->group, err);
    return status;
}

int cmd_train(int argc, char **argv)
{
    train_command o;
    opt_parsed p;
    train_work w = {.o = &o, .p = &p};
    int status, nproc = 0;
    rank_side side = RANK_CHILD;

    memset(&o, 0, sizeof o);
    if (opt_parse(&p, &status, &train_set, &o, argc, argv) == OPT_STOP) return status;
    status = check_flags(&w, &nproc);
    const bool is_job = nproc > 1 || o.ranks.max_restarts; /* also one rank can be started again */
    if (!status && !strcmp(o.ranks.multi_gpu, "ddp") && is_job && !cli_is_rank()) {
        const rank_job job = {.n = nproc,
                              .max_restarts = (int)o.ranks.max_restarts,
                              .share_stdin = count_stdin(&o.run) > 0};
        cli_talk(&train_set, o.talk.quiet); /* the launcher's words are train's */
        if ((job.share_stdin && cli_input_keep("-")) || rank_spawn(&side, &status, &job))
            status = cli_error(&train_set);
    }
    if (!status && side == RANK_CHILD) status = run_rank(&w);
    mill_pool_free(w.pool);
    opt_free(&p);
    return status;
}
