/*
 * chart.c - see chart.h.
 *
 *     +-----------------------------+
 *     | title                       |
 *     | # real  # synthetic         |  names of the series, where there are several
 *     | 40 | #          .           |
 *     | 20 | #.    #    #.          |  the plot
 *     |  0 | #.    #.   #.          |
 *     |    +----------------------- |
 *     |       a     b     c         |
 *     +-----------------------------+
 */
#include "report/chart.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define CHAR_WIDTH  6.2 /* of an average letter of the labels' 11 pixels */
#define TITLE_WIDTH 7.8 /* of a letter of the title: 13 pixels, bold */
#define LINE        15.0

typedef struct {
    const chart_frame *f;
    double width, height;
    double left, top, right, bottom; /* the plot's edges */
    svg_scale y;
} plot;

static int64_t length_of(const char *s)
{
    int64_t n = 0;
    for (; *s; s++) n += (*s & 0xc0) != 0x80;
    return n;
}

/* The range over all series; from > to if there is no value. */
static void range_of(double *from, double *to, const chart_series *s, int n_series, int64_t n)
{
    *from = INFINITY;
    *to = -INFINITY;
    for (int k = 0; k < n_series; k++) {
        for (int64_t i = 0; i < n; i++) {
            const double v = s[k].y[i];
            if (!isfinite(v)) continue;
            *from = v < *from ? v : *from;
            *to = v > *to ? v : *to;
        }
    }
}

/* A range of one value becomes one around it, and any is rounded up to its ticks. */
static void widen(svg_scale *s)
{
    double tick[SVG_MAX_TICKS];

    if (s->from == s->to) {
        const double half = s->from == 0 ? 1 : fabs(s->from) / 2;
        s->from -= half;
        s->to += half;
    }
    const int n = svg_ticks(tick, s, 5);
    if (n < 2) return;
    const double step = tick[1] - tick[0];
    if (tick[0] > s->from) s->from = tick[0] - step;
    if (tick[n - 1] < s->to) s->to = tick[n - 1] + step;
}

static void legend(mill_text *t, const plot *p, const chart_series *s, int n_series, double y)
{
    double x = p->left;
    char class[16], buf[128];

    for (int k = 0; n_series > 1 && k < n_series; k++) {
        const char *name = svg_cut(buf, s[k].name, 24);
        snprintf(class, sizeof class, "s%d", k);
        svg_rect(t, class, (svg_box){x, y - 8, 10, 8}, -1, NULL);
        svg_words(t, "label", "start", x + 14, y, name);
        x += 14 + CHAR_WIDTH * (double)length_of(name) + 14;
    }
}

/* Where the plot stands in the drawing: room at the left for the y labels. */
static void lay_out(plot *p, int n_series)
{
    const chart_frame *f = p->f;
    double tick[SVG_MAX_TICKS];
    int64_t widest = 3;
    char buf[32];

    const int n = svg_ticks(tick, &p->y, 5);
    for (int i = 0; i < n; i++) {
        const int64_t len = length_of(svg_number(buf, tick[i]));
        widest = len > widest ? len : widest;
    }
    p->left = 10 + CHAR_WIDTH * (double)widest + (f->y_label ? LINE : 0);
    p->right = p->width - 14;
    p->top = LINE - 2 + (f->title ? LINE : 0) + (n_series > 1 ? LINE : 0);
    p->y.at = p->bottom;
    p->y.end = p->top;
}

/* Opens the drawing, with its title and the names of the series. */
static void open_plot(mill_text *t, const plot *p, const chart_series *s, int n_series)
{
    const chart_frame *f = p->f;

    svg_open(t, &(svg_frame){p->width, p->height, f->title, f->about, false});
    if (f->title) svg_words(t, "title", "start", 4, LINE + 2, f->title);
    legend(t, p, s, n_series, LINE + 2 + (f->title ? LINE : 0));
}

static void y_axis(mill_text *t, const plot *p)
{
    double tick[SVG_MAX_TICKS];
    char buf[32];
    const int n = svg_ticks(tick, &p->y, 5);

    for (int i = 0; i < n; i++) {
        const double y = svg_at(&p->y, tick[i]);
        svg_line(t, "grid", p->left, y, p->right, y);
        svg_words(t, "label", "end", p->left - 5, y + 4, svg_number(buf, tick[i]));
    }
    if (p->f->y_label)
        svg_words_up(t, "label", "middle", 12, (p->top + p->bottom) / 2, p->f->y_label);
}

static void nothing(mill_text *t, const chart_frame *f, double width, double height)
{
    svg_open(t, &(svg_frame){width, height, f->title, "no figures", false});
    if (f->title) svg_words(t, "title", "start", 4, LINE + 2, f->title);
    svg_words(t, "label", "middle", width / 2, height / 2, "no figures");
    svg_close(t);
}

static plot plot_of(const chart_frame *f)
{
    plot p = {
        .f = f, .width = f->width > 0 ? f->width : 420, .height = f->height > 0 ? f->height : 260};

    p.bottom = p.height - LINE - 6;
    return p;
}

static void hint_of(char hint[256], const chart_frame *f, const char *name, const char *at,
                    double value)
{
    char number[32];
    snprintf(hint, 256, "%.80s%s%.80s: %s%s%.20s", name, *name && *at ? ", " : "", at,
             svg_number(number, value), f->unit ? " " : "", f->unit ? f->unit : "");
}

enum { LABEL_MOST = 14 };

static int64_t widest_label(const char *const *label, int64_t n)
{
    int64_t widest = 1;

    for (int64_t i = 0; i < n; i++) {
        const int64_t len = length_of(label[i]);
        widest = len > widest ? len : widest;
    }
    return widest > LABEL_MOST ? LABEL_MOST : widest;
}

/* One of so many bars has a label that stands level. */
static int64_t label_step(const plot *p, const char *const *label, int64_t n)
{
    const double each = (p->right - p->left) / (double)n;
    const int64_t step = (int64_t)ceil(((double)widest_label(label, n) * CHAR_WIDTH + 6) / each);

    return step < 1 ? 1 : step;
}

static void labels_up(mill_text *t, const plot *p, const char *const *label, int64_t n)
{
    const double each = (p->right - p->left) / (double)n;
    char buf[128];

    for (int64_t i = 0; i < n; i++)
        svg_words_up(t, "label", "end", p->left + each * ((double)i + 0.5) + 4, p->bottom + 6,
                     svg_cut(buf, label[i], LABEL_MOST));
}

/* Labels below the bars: level if they fit, else every so many of them. */
static void bar_labels(mill_text *t, const plot *p, const char *const *label, int64_t n)
{
    const double each = (p->right - p->left) / (double)n;
    const int64_t step = label_step(p, label, n);
    char buf[128];

    for (int64_t i = 0; i < n; i += step) {
        const double room = each * (double)step / CHAR_WIDTH;
        const int most = room < 4 ? 4 : room > LABEL_MOST ? LABEL_MOST : (int)room;
        const char *words = svg_cut(buf, label[i], most);
        const double half = CHAR_WIDTH * (double)length_of(words) / 2;
        const double x = p->left + each * ((double)i + 0.5), most_x = p->width - half - 2;
        svg_words(t, "label", "middle", x < most_x ? x : most_x, p->bottom + LINE + 2, words);
    }
}

void chart_bars(mill_text *t, const chart_frame *f, const char *const *label, const chart_series *s,
                int n_series, int64_t n)
{
    plot p = plot_of(f);
    char class[16], hint[256];

    range_of(&p.y.from, &p.y.to, s, n_series, n);
    if (p.y.from > p.y.to) {
        nothing(t, f, p.width, p.height);
        return;
    }
    if (p.y.from > 0) p.y.from = 0;
    if (p.y.to < 0) p.y.to = 0;
    widen(&p.y);
    lay_out(&p, n_series);
    const bool goes_up = f->name_all && label_step(&p, label, n) > 1;
    if (goes_up) p.height += CHAR_WIDTH * (double)widest_label(label, n) - LINE + 6;
    open_plot(t, &p, s, n_series);
    y_axis(t, &p);
    const double each = (p.right - p.left) / (double)n, zero = svg_at(&p.y, 0);
    const double bar = each * 0.84 / n_series;
    for (int64_t i = 0; i < n; i++) {
        for (int k = 0; k < n_series && k < SVG_N_SERIES; k++) {
            if (!isfinite(s[k].y[i])) continue;
            const double y = svg_at(&p.y, s[k].y[i]);
            snprintf(class, sizeof class, "s%d", k);
            hint_of(hint, f, n_series > 1 ? s[k].name : "", label[i], s[k].y[i]);
            svg_rect(t, class,
                     (svg_box){p.left + each * ((double)i + 0.08) + bar * k, fmin(y, zero), bar,
                               fabs(y - zero)},
                     -1, hint);
        }
    }
    svg_line(t, "axis", p.left, zero, p.right, zero);
    (goes_up ? labels_up : bar_labels)(t, &p, label, n);
    svg_close(t);
}

static int64_t widest_of(const char *const *name, int n, int most)
{
    int64_t widest = 1;

    for (int i = 0; i < n; i++) {
        const int64_t len = length_of(name[i]);
        widest = len > widest ? len : widest;
    }
    return widest < most ? widest : most;
}

static void heat_cell(mill_text *t, const chart_frame *f, const chart_cells *c, int r, int k,
                      svg_box at)
{
    const double v = c->value[(int64_t)r * c->n_cols + k];
    const bool both = c->from < 0 && c->to > 0;
    char hint[256], where[200];

    if (isnan(v)) {
        if (r != k) svg_rect(t, "none", at, 0.35, NULL);
        return;
    }
    double share = both ? fabs(v) / fmax(-c->from, c->to) : (v - c->from) / (c->to - c->from);
    share = share < 0 ? 0 : share > 1 ? 1 : share;
    snprintf(where, sizeof where, "%.80s, %.80s", c->row[r], c->col[k]);
    hint_of(hint, f, "", where, v);
    svg_rect(t, both && v < 0 ? "cold" : "warm", at, 0.06 + 0.94 * share, hint);
}

void chart_heat(mill_text *t, const chart_frame *f, const chart_cells *c)
{
    enum { MOST = 18 };
    const double left = 8 + CHAR_WIDTH * (double)widest_of(c->row, c->n_rows, MOST);
    const double below = 12 + CHAR_WIDTH * (double)widest_of(c->col, c->n_cols, MOST);
    const double top = f->title ? LINE + 10 : 6;
    const int n = c->n_rows > c->n_cols ? c->n_rows : c->n_cols;
    const double side = n > 30 ? 13 : n > 16 ? 16 : 20;
    const double width = left + side * c->n_cols + 10, height = top + side * c->n_rows + below;
    char buf[128];

    const double titled = f->title ? 12 + TITLE_WIDTH * (double)length_of(f->title) : 0;
    const double most = width > titled ? width : titled;
    svg_open(t, &(svg_frame){f->width > most ? f->width : most, height, f->title, f->about, false});
    if (f->title) svg_words(t, "title", "start", 4, LINE + 2, f->title);
    for (int r = 0; r < c->n_rows; r++) {
        const double y = top + side * r;
        svg_words(t, "label", "end", left - 4, y + side / 2 + 4, svg_cut(buf, c->row[r], MOST));
        for (int k = 0; k < c->n_cols; k++)
            heat_cell(t, f, c, r, k, (svg_box){left + side * k, y, side - 1, side - 1});
    }
    for (int k = 0; k < c->n_cols; k++)
        svg_words_up(t, "label", "end", left + side * k + side / 2 + 4, top + side * c->n_rows + 6,
                     svg_cut(buf, c->col[k], MOST));
    svg_close(t);
}
