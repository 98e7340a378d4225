/*
 * bench_draw.c - `tabmill bench scaling` as SVG: for each mode speed-up against ranks, and below it
 * what the ranks' time was spent on.
 *
 * Thin: as many times as fast as there are ranks.  Line: the law that was fitted.  Dots with their
 * 95 % intervals: what was measured, of another colour where it is more than is possible.
 */
#include "cli/bench.h"

#include "base/file.h"
#include "base/text.h"
#include "report/svg.h"

#include <math.h>
#include <stdio.h>

enum { PANEL = 420, PLOT = 300, LEFT = 60, TOP = 70, BARS = 70, CURVE = 48 };

static const char *const classes[BENCH_N_PART] = {"s0", "s1", "s2", "s3"};

typedef struct {
    mill_text *t;
    const bench_series *s;
    double left;
    svg_scale x, y; /* ranks, speed-up */
} panel;

static void add_axes(const panel *p)
{
    svg_line(p->t, "axis", p->left, TOP, p->left, TOP + PLOT);
    svg_line(p->t, "axis", p->left, TOP + PLOT, p->left + PLOT, TOP + PLOT);
    svg_line(p->t, "grid", svg_at(&p->x, 0), svg_at(&p->y, 0), svg_at(&p->x, p->x.to),
             svg_at(&p->y, p->y.to));
    for (int i = 0; i < p->s->n; i++) {
        const int n = p->s->at[i].ranks;
        char words[16];

        snprintf(words, sizeof words, "%d", n);
        svg_words(p->t, "label", "middle", svg_at(&p->x, n), TOP + PLOT + 16, words);
        svg_words(p->t, "label", "end", p->left - 6, svg_at(&p->y, n) + 4, words);
    }
    svg_words(p->t, "label", "middle", p->left + PLOT / 2.0, TOP + PLOT + 32, "ranks");
}

static void add_law(const panel *p)
{
    double x[CURVE], y[CURVE];

    if (isnan(p->s->serial)) return;
    for (int i = 0; i < CURVE; i++) {
        const double n = 1 + (p->x.to - 1) * i / (CURVE - 1);
        x[i] = svg_at(&p->x, n);
        y[i] = svg_at(&p->y, bench_law(p->s, n));
    }
    svg_path(p->t, "s0", x, y, CURVE);
}

static void add_dots(const panel *p)
{
    for (int i = 0; i < p->s->n; i++) {
        const bench_point *at = &p->s->at[i];
        const double x = svg_at(&p->x, at->ranks), y = at->speedup.mean, half = at->speedup.half;
        const bool is_odd = at->is_above && at->ranks > 1;
        char hint[120];

        if (!isnan(half))
            svg_line(p->t, "axis", x, svg_at(&p->y, y - half), x, svg_at(&p->y, y + half));
        snprintf(hint, sizeof hint, "%d rank%s: %.2f times as fast, efficiency %.1f %%%s",
                 at->ranks, mill_s(at->ranks), y, 100 * at->efficiency.mean,
                 is_odd ? "; more than is possible" : "");
        svg_dot(p->t, is_odd ? "s5" : "s0", x, svg_at(&p->y, y), hint);
    }
}

static void add_shares(const panel *p)
{
    const double wide = 0.6 * PLOT / p->s->n, top = TOP + PLOT + 50;

    for (int i = 0; i < p->s->n && p->s->at[0].is_split; i++) {
        const bench_point *at = &p->s->at[i];
        const double x = p->left + PLOT * (i + 0.5) / p->s->n;
        double y = top;
        char words[80];

        for (int part = 0; part < BENCH_N_PART; part++) {
            const double high = BARS * at->share[part];
            snprintf(words, sizeof words, "%s %.1f %%", bench_part_names[part],
                     100 * at->share[part]);
            svg_rect(p->t, classes[part], (svg_box){x - wide / 2, y, wide, high}, -1, words);
            y += high;
        }
        snprintf(words, sizeof words, "%d", at->ranks);
        svg_words(p->t, "label", "middle", x, top + BARS + 14, words);
    }
}

static void add_key(mill_text *t, double y)
{
    for (int part = 0; part < BENCH_N_PART; part++) {
        const double x = LEFT + 110.0 * part;
        svg_rect(t, classes[part], (svg_box){x, y - 9, 10, 10}, -1, NULL);
        svg_words(t, "label", "start", x + 14, y, bench_part_names[part]);
    }
}

static void add_panel(mill_text *t, int i, const bench_series *s)
{
    const double left = LEFT + (double)PANEL * i;
    char title[80];
    double most = 1;

    for (int k = 0; k < s->n; k++)
        most = fmax(most, fmax(s->at[k].ranks, s->at[k].speedup.mean)) * (k + 1 == s->n ? 1.05 : 1);
    const panel p = {.t = t,
                     .s = s,
                     .left = left,
                     .x = {.from = 0, .to = most, .at = left, .end = left + PLOT},
                     .y = {.from = 0, .to = most, .at = TOP + PLOT, .end = TOP}};
    snprintf(title, sizeof title, "%s scaling: speed-up", bench_mode_names[s->mode]);
    svg_words(t, "label", "start", left, TOP - 12, title);
    add_axes(&p);
    add_law(&p);
    add_dots(&p);
    add_shares(&p);
}

mill_err bench_write_svg(const char *path, const bench_series *s, int n, const char *title)
{
    const bool has_shares = s[0].at[0].is_split;
    const double high = TOP + PLOT + 40 + (has_shares ? BARS + 60 : 0);
    const double wide = n * PANEL > 520 ? n * PANEL : 520; /* of the key */
    char shown[128];
    mill_text t = {0};

    svg_open(&t, &(svg_frame){.width = wide,
                              .height = high,
                              .title = svg_cut(shown, title, 70),
                              .about = "Speed-up by number of ranks, and shares of their time",
                              .is_file = true});
    svg_words(&t, "title", "start", LEFT, 24, shown);
    for (int i = 0; i < n; i++) add_panel(&t, i, &s[i]);
    if (has_shares) add_key(&t, high - 12);
    svg_close(&t);
    mill_err err = text_check(&t);
    if (!err) err = file_write_all(path, t.s, t.len);
    text_free(&t);
    return err;
}
