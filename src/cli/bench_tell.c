/*
 * bench_tell.c - `tabmill bench scaling`: the table, the laws in words, and a CSV of all runs.
 *
 * A speed-up above the number of ranks is marked and explained, not praised: work that is divided
 * does not become less.
 */
#include "cli/bench.h"

#include "base/file.h"
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *const bench_part_names[BENCH_N_PART] = {"compute", "communication", "data wait",
                                                    "imbalance"};

/* "1.93 +- 0.04"; without an interval "1.93". */
static void put_stat(const bench_stat *x, double scale, int decimals, const char *mark)
{
    char text[80];
    int n = snprintf(text, sizeof text, "%.*f", decimals, x->mean * scale);

    if (!isnan(x->half))
        n += snprintf(text + n, sizeof text - (size_t)n, " +- %.*f", decimals, x->half * scale);
    snprintf(text + n, sizeof text - (size_t)n, "%s", mark);
    printf("  %-16s", text);
}

static void put_point(const bench_point *p)
{
    printf("%5d", p->ranks);
    put_stat(&p->seconds, 1, 3, "");
    put_stat(&p->speedup, 1, 2, p->is_above ? " !" : "");
    put_stat(&p->efficiency, 100, 1, " %");
    for (int part = 0; part < BENCH_N_PART; part++) {
        char text[24] = "-";
        if (p->is_split) snprintf(text, sizeof text, "%.1f %%", 100 * p->share[part]);
        printf("  %13s", text);
    }
    if (!isnan(p->effective)) printf("  %9.0f  %9.4g", p->effective, p->lr);
    putchar('\n');
}

static void put_law(const bench_series *s)
{
    if (isnan(s->serial)) return;
    if (s->mode == BENCH_STRONG) {
        printf("Amdahl: T(N) / T(1) = s + (1 - s) / N, s = %.4f", s->serial);
        if (s->serial > 0)
            printf(": at most %.3g times as fast, however many ranks", 1 / s->serial);
    } else {
        printf("Gustafson: S(N) = N - a (N - 1), a = %.4f", s->serial);
    }
    if (s->n > 2) printf("; fits to %.1f %%", 100 * s->misfit);
    putchar('\n');
    if (isnan(s->kappa)) return;
    printf("Universal: S(N) = N / (1 + sigma (N - 1) + kappa N (N - 1)), sigma = %.4f, kappa = "
           "%.5f",
           s->sigma, s->kappa);
    if (s->kappa > 0 && s->sigma < 1)
        printf(": fastest with %.0f ranks", fmax(1, sqrt((1 - s->sigma) / s->kappa)));
    putchar('\n');
}

static void put_flags(const bench_series *s)
{
    for (int i = 0; i < s->n; i++) {
        const bench_point *p = &s->at[i];
        if (!p->is_above || p->ranks == 1) continue;
        printf("! %d ranks, %.2f times as fast: %s.\n", p->ranks, p->speedup.mean,
               p->speedup.mean - p->speedup.half <= p->ranks
                   ? "more than is possible, within what the runs differ by; it says no more than "
                     "\"about as many\""
                   : "more than is possible by dividing work. Look for less work a run, data that "
                     "fit a cache only when divided, or a disturbed run of one rank, before it is "
                     "quoted");
    }
}

static void put_title(const bench_series *s, const bench_command *c)
{
    const cls_config *t = &c->train.cls;

    printf("%s scaling: %s; T is the time %s, S = %sT(1) / T(N), E = S / N; %d runs each, 95 %% "
           "intervals\n",
           bench_mode_names[s->mode],
           s->mode == BENCH_STRONG ? "the same work for any number of ranks"
                                   : "N times the work for N ranks",
           s->time_is, s->mode == BENCH_STRONG ? "" : "N ", s->at[0].runs);
    if (!c->is_train) return;
    if (s->mode == BENCH_WEAK)
        printf("--epochs %lld x N, batches of %lld for each rank\n", (long long)t->epochs,
               (long long)t->batch_size);
    else if (t->virtual_shards)
        printf("steps of %lld virtual shards, dealt to the ranks\n", (long long)t->virtual_shards);
    else
        printf("batches of %lld / N for each rank\n", (long long)t->batch_size);
}

void bench_print(const bench_series *s, const bench_command *c)
{
    put_title(s, c);
    printf("%5s  %-16s  %-16s  %-16s", "ranks", "seconds", "speed-up S", "efficiency E");
    for (int part = 0; part < BENCH_N_PART; part++) printf("  %13s", bench_part_names[part]);
    if (!isnan(s->at[0].effective)) printf("  %9s  %9s", "step rows", "lr");
    putchar('\n');
    for (int i = 0; i < s->n; i++) put_point(&s->at[i]);
    if (!s->at[0].is_split)
        printf("This program does not tell where its time goes: compute, communication, data wait "
               "and imbalance are those of programs of ours\n");
    put_law(s);
    put_flags(s);
    putchar('\n');
}

static void add_cell(mill_text *t, double x, bool is_known)
{
    if (is_known && !isnan(x))
        text_add(t, ",%.9g", x);
    else
        text_add(t, ",");
}

mill_err bench_write_csv(const char *path, const bench_run *runs, int n)
{
    mill_text t = {0};
    const bench_run *one = runs;

    text_add(&t, "mode,ranks,repeat,seconds,whole_seconds,speedup,efficiency,above_ranks,compute,"
                 "communication,data_wait,imbalance,steps,step_rows,lr\n");
    for (const bench_run *run = runs; run < runs + n; run++) {
        if (run->ranks == 1) one = run;
        const double s = (run->mode == BENCH_WEAK ? run->ranks : 1) * one->seconds / run->seconds;
        text_add(&t, "%s,%d,%d,%.9g,%.9g,%.6g,%.6g,%d", bench_mode_names[run->mode], run->ranks,
                 run->repeat + 1, run->seconds, run->whole, s, s / run->ranks, s > run->ranks);
        for (int part = 0; part < BENCH_N_PART; part++)
            add_cell(&t, run->part[part], run->is_split);
        add_cell(&t, (double)run->steps, run->is_split);
        add_cell(&t, run->effective, true);
        add_cell(&t, run->lr, true);
        text_add(&t, "\n");
    }
    mill_err err = text_check(&t);
    if (!err && !strcmp(path, "-"))
        fwrite(t.s, 1, t.len, stdout); /* main looks whether it went out */
    else if (!err)
        err = file_write_all(path, t.s, t.len);
    text_free(&t);
    return err;
}
