/*
 * bench_sum.c - means and 95 % intervals of runs, and the laws that they are compared with.
 *
 *     strong   S(N) = T(1) / T(N)      E = S / N      Amdahl:    T(N) / T(1) = s + (1 - s) / N
 *     weak     S(N) = N T(1) / T(N)    E = S / N      Gustafson: S(N) = N - a (N - 1)
 *
 * A speed-up is the mean over turns of the runs of N ranks and of one rank of the same turn, so
 * that a machine that becomes slower meanwhile does not count.  The interval is Student's.  s and a
 * are least squares over all numbers of ranks; a law is not made to look better: s below 0 stays.
 * From three numbers of ranks on, strong: Gunther's universal scalability law
 * S(N) = N / (1 + sigma (N - 1) + kappa N (N - 1)), by least squares of N / S(N) - 1.
 */
#include "cli/bench.h"

#include <math.h>

/* Student's t, two-sided 95 %, 1..30 degrees of freedom. */
static double student(int freedom)
{
    static const double t[] = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306,
                               2.262,  2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
                               2.110,  2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064,
                               2.060,  2.056, 2.052, 2.048, 2.045, 2.042};

    return freedom <= 30 ? t[freedom - 1] : 1.96 + 2.4 / freedom; /* within .002 */
}

/* Of x[0], x[stride], ...: n of them. */
typedef struct {
    double sum, squares;
    int n;
} tally;

static void count(tally *t, double x)
{
    t->sum += x;
    t->squares += x * x;
    t->n++;
}

static bench_stat stat_of(const tally *t)
{
    const double mean = t->sum / t->n;
    const double var = t->n > 1 ? (t->squares - t->sum * mean) / (t->n - 1) : (double)NAN;

    return (bench_stat){mean, t->n > 1 ? student(t->n - 1) * sqrt((var > 0 ? var : 0) / t->n)
                                       : (double)NAN};
}

static void sum_point(bench_point *p, const bench_run *runs, int n, int counts, int k)
{
    tally seconds = {0}, speedup = {0}, efficiency = {0};
    double all = 0;

    *p = (bench_point){.ranks = runs[k].ranks,
                       .runs = n / counts,
                       .is_split = true,
                       .effective = runs[k].effective,
                       .lr = runs[k].lr};
    for (int i = k; i < n; i += counts) {
        const bench_run *run = &runs[i], *one = &runs[i - k];
        const double times = run->mode == BENCH_WEAK ? run->ranks : 1,
                     s = times * one->seconds / run->seconds;

        count(&seconds, run->seconds);
        count(&speedup, s);
        count(&efficiency, s / run->ranks);
        p->is_split &= run->is_split;
        for (int part = 0; part < BENCH_N_PART; part++) {
            p->share[part] += run->part[part];
            all += run->part[part];
        }
    }
    for (int part = 0; part < BENCH_N_PART && all > 0; part++) p->share[part] /= all;
    p->seconds = stat_of(&seconds);
    p->speedup = stat_of(&speedup);
    p->efficiency = stat_of(&efficiency);
    if (p->ranks == 1) p->speedup.half = p->efficiency.half = (double)NAN; /* by definition */
    p->is_above = p->speedup.mean > p->ranks;
}

static void fit_serial(bench_series *s)
{
    double up = 0, down = 0;

    for (int i = 0; i < s->n; i++) {
        const double n = s->at[i].ranks, speedup = s->at[i].speedup.mean;
        const double x = s->mode == BENCH_STRONG ? 1 - 1 / n : n - 1,
                     y = s->mode == BENCH_STRONG ? 1 / speedup - 1 / n : n - speedup;
        up += x * y;
        down += x * x;
    }
    s->serial = down > 0 ? up / down : (double)NAN;
    s->misfit = 0;
    for (int i = 0; i < s->n; i++) {
        const double law = bench_law(s, s->at[i].ranks);
        s->misfit = fmax(s->misfit, fabs(s->at[i].speedup.mean - law) / law);
    }
}

static void fit_universal(bench_series *s)
{
    double aa = 0, ab = 0, bb = 0, az = 0, bz = 0;

    s->sigma = s->kappa = (double)NAN;
    if (s->mode != BENCH_STRONG || s->n < 3) return;
    for (int i = 0; i < s->n; i++) {
        const double n = s->at[i].ranks, a = n - 1, b = n * (n - 1),
                     z = n / s->at[i].speedup.mean - 1;
        aa += a * a;
        ab += a * b;
        bb += b * b;
        az += a * z;
        bz += b * z;
    }
    const double det = aa * bb - ab * ab;
    if (!(det > 0)) return;
    s->sigma = (az * bb - bz * ab) / det;
    s->kappa = (bz * aa - az * ab) / det;
}

double bench_law(const bench_series *s, double ranks)
{
    return s->mode == BENCH_STRONG ? 1 / (s->serial + (1 - s->serial) / ranks)
                                   : ranks - s->serial * (ranks - 1);
}

void bench_sum_up(bench_series *s, const bench_run *runs, int n, int counts)
{
    *s = (bench_series){.mode = runs[0].mode, .n = counts};
    for (int k = 0; k < counts; k++) sum_point(&s->at[k], runs, n, counts, k);
    fit_serial(s);
    fit_universal(s);
}
