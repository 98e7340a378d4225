/*
 * bench.h - `tabmill bench scaling`: what its files share.
 *
 *     bench.c        which runs, in which order
 *     bench_words.c  the command line of a run
 *     bench_run.c    a run: its ranks, and where their time went
 *     bench_sum.c    means, intervals, laws
 *     bench_tell.c   table and CSV
 *     bench_draw.c   SVG
 */
#ifndef MILL_CLI_BENCH_H
#define MILL_CLI_BENCH_H

#include "cli/train.h"

typedef enum { BENCH_STRONG, BENCH_WEAK, BENCH_N_MODE } bench_mode;
extern const char *const bench_mode_names[BENCH_N_MODE];
enum { BENCH_MAX_COUNTS = 32 };

#define OPT OPT_FIELD
typedef struct {
#include "cli/bench.def"
} bench_options;
#undef OPT

/* What is run: a command as it was given; of `tabmill train` also what its options say. */
typedef struct {
    const char *const *word;
    int n;
    int threads;
    bool is_train;
    opt_parsed parsed; /* of train */
    train_command train;
} bench_command;

/* 0, or the exit status. */
int bench_command_read(bench_command *c, const opt_parsed *p, const bench_options *o);
void bench_command_free(bench_command *c);
/* MILL_EINPUT for work that cannot be dealt to so many ranks. */
mill_err bench_command_check(const bench_command *c, bench_mode mode, int ranks);
/* The words of a run, NULL-terminated; each of them and the array: mill_free.  `folder` is empty
 * and the run's own. */
mill_err bench_words(char ***out, const bench_command *c, bench_mode mode, int ranks,
                     const char *folder);
void bench_words_free(char **word);

/* How the time of ranks divides; they add up to `seconds`. */
typedef enum {
    BENCH_COMPUTE,
    BENCH_COMMUNICATION,
    BENCH_DATA,
    BENCH_IMBALANCE,
    BENCH_N_PART
} bench_part;
extern const char *const bench_part_names[BENCH_N_PART];

typedef struct {
    bench_mode mode;
    int ranks, repeat;
    double whole;              /* from the fork to the end, with start and loading */
    bool is_split;             /* ranks of ours, which tell: what follows is known */
    double seconds;            /* of the slowest rank, from the first step to the end; else whole */
    double part[BENCH_N_PART]; /* means over the ranks */
    int64_t steps;
    double effective, lr; /* of tabmill train: rows of a step, rate; NaN: not known */
} bench_run;

/* One run.  *status: how it ended; not 0: *run is not filled.  Returns false in a rank whose
 * program could not be started: *status is what to end with. */
bool bench_run_once(bench_run *run, int *status, const bench_command *c, const bench_options *o);

typedef struct {
    double mean, half; /* half the width of the 95 % interval; NaN with one run */
} bench_stat;

/* All runs of one number of ranks; speed-ups by pairs with the run of one rank of the same turn. */
typedef struct {
    int ranks, runs;
    bool is_split, is_above; /* above: the mean speed-up is larger than the number of ranks */
    bench_stat seconds, speedup, efficiency;
    double share[BENCH_N_PART];
    double effective, lr;
} bench_point;

typedef struct {
    bench_mode mode;
    int n;
    bench_point at[BENCH_MAX_COUNTS];
    double serial;       /* strong: Amdahl's s; weak: Gustafson's a; NaN with one point */
    double misfit;       /* the largest |S - law| / law */
    double sigma, kappa; /* strong, from three numbers of ranks on: contention and coherency of
                            the universal scalability law; else NaN */
    const char *time_is; /* which time */
} bench_series;

/* runs: of one mode, turn by turn, each with the same numbers of ranks, first 1. */
void bench_sum_up(bench_series *s, const bench_run *runs, int n, int counts);
/* What the law says for n ranks. */
double bench_law(const bench_series *s, double ranks);

void bench_print(const bench_series *s, const bench_command *c); /* on stdout */
mill_err bench_write_csv(const char *path, const bench_run *runs, int n);
mill_err bench_write_svg(const char *path, const bench_series *s, int n, const char *title);

#endif
