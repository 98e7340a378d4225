/*
 * prior_page.c - one data set of a prior as an HTML page: its graph, where there is one, y, the two
 * columns that say most about it against each other, the distributions of the first columns, and
 * the structure as text.
 */
#include "cli/prior_page.h"

#include "base/mem.h"
#include "base/text.h"
#include "report/chart.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_DOTS = 2000, N_BINS = 24, N_HISTOGRAMS = 12, N_SHOWN_CLASSES = 8 };

/* ---- which columns ---- */

/* |correlation| of a column with y, or the largest with one of its classes. */
static double strength(const prior_set *s, int j)
{
    const float *x = s->x + j * s->rows;
    const int n_targets = s->classes > 2 ? s->classes : 1;
    double best = 0;

    for (int k = 0; k < n_targets; k++) {
        double sx = 0, sy = 0, sxx = 0, syy = 0, sxy = 0;
        const double n = (double)s->rows;
        for (int64_t i = 0; i < s->rows; i++) {
            const double a = (double)x[i];
            const double b = n_targets > 1 ? (s->y[i] == (float)k) : (double)s->y[i];
            sx += a, sy += b, sxx += a * a, syy += b * b, sxy += a * b;
        }
        const double d = sqrt((sxx - sx * sx / n) * (syy - sy * sy / n));
        const double r = d > 0 ? fabs(sxy - sx * sy / n) / d : 0;
        best = r > best ? r : best;
    }
    return best;
}

/* The two columns that go with y most; the same one twice where there is one. */
static void choose_columns(int out[2], const prior_set *s)
{
    double best[2] = {-1, -1};

    out[0] = out[1] = 0;
    for (int j = 0; j < s->features; j++) {
        const double r = strength(s, j);
        if (r > best[0]) {
            best[1] = best[0], out[1] = out[0];
            best[0] = r, out[0] = j;
        } else if (r > best[1]) {
            best[1] = r, out[1] = j;
        }
    }
}

/* ---- the drawings ---- */

static svg_scale scale_of(const float *x, int64_t n, double at, double end)
{
    float least = x[0], most = x[0];

    for (int64_t i = 0; i < n; i++) {
        least = x[i] < least ? x[i] : least;
        most = x[i] > most ? x[i] : most;
    }
    return (svg_scale){(double)least, (double)most, at, end};
}

static void draw_axes(mill_text *t, const svg_scale *x, const svg_scale *y)
{
    double tick[SVG_MAX_TICKS];
    char number[32];

    svg_line(t, "axis", x->at, y->at, x->end, y->at);
    svg_line(t, "axis", x->at, y->at, x->at, y->end);
    for (int k = 0, n = svg_ticks(tick, x, 5); k < n; k++)
        svg_words(t, "label", "middle", svg_at(x, tick[k]), y->at + 16,
                  svg_number(number, tick[k]));
    for (int k = 0, n = svg_ticks(tick, y, 5); k < n; k++)
        svg_words(t, "label", "end", x->at - 6, svg_at(y, tick[k]) + 4,
                  svg_number(number, tick[k]));
}

/* Dots by class; of a number, by its eighth. */
static int colour(const prior_set *s, int64_t i, const svg_scale *y)
{
    if (s->classes) return (int)s->y[i] % N_SHOWN_CLASSES;
    const int k = (int)svg_at(y, (double)s->y[i]);
    return k < N_SHOWN_CLASSES ? k : N_SHOWN_CLASSES - 1;
}

static void draw_scatter(mill_text *t, const prior_set *s)
{
    int column[2];
    char title[96], class[16], name[32];

    choose_columns(column, s);
    const float *a = s->x + column[0] * s->rows, *b = s->x + column[1] * s->rows;
    const svg_scale x = scale_of(a, s->rows, 50, 540), y = scale_of(b, s->rows, 340, 40);
    const svg_scale by_y = scale_of(s->y, s->rows, 0, N_SHOWN_CLASSES);
    const int64_t step = (s->rows + MOST_DOTS - 1) / MOST_DOTS;
    snprintf(title, sizeof title, "Columns %d and %d, coloured by %s", column[0], column[1],
             s->classes ? "class" : "y");
    svg_open(t, &(svg_frame){.width = 560, .height = 380, .title = title});
    svg_words(t, "title", "start", 50, 20, title);
    draw_axes(t, &x, &y);
    for (int64_t i = 0; i < s->rows; i += step) {
        snprintf(class, sizeof class, "s%d", colour(s, i, &by_y));
        svg_dot(t, class, svg_at(&x, (double)a[i]), svg_at(&y, (double)b[i]), NULL);
    }
    snprintf(name, sizeof name, "column %d", column[0]);
    svg_words(t, "label", "middle", 295, 374, name);
    snprintf(name, sizeof name, "column %d", column[1]);
    svg_words_up(t, "label", "middle", 12, 190, name);
    svg_close(t);
}

static void draw_histogram(mill_text *t, const float *v, int64_t n, const char *title)
{
    const svg_scale bin = scale_of(v, n, 0, N_BINS), x = {bin.from, bin.to, 30, 250};
    int64_t count[N_BINS] = {0}, most = 1;
    char hint[64];

    for (int64_t i = 0; i < n; i++) {
        const int k = (int)svg_at(&bin, (double)v[i]);
        const int at = k < N_BINS ? k : N_BINS - 1;
        most = ++count[at] > most ? count[at] : most;
    }
    const svg_scale y = {0, (double)most, 130, 30};
    svg_open(t, &(svg_frame){.width = 270, .height = 160, .title = title});
    svg_words(t, "title", "start", 30, 18, title);
    draw_axes(t, &x, &y);
    for (int k = 0; k < N_BINS; k++) {
        const double top = svg_at(&y, (double)count[k]), width = 220.0 / N_BINS;
        snprintf(hint, sizeof hint, "%lld row%s", (long long)count[k], mill_s(count[k]));
        svg_rect(t, "s0", (svg_box){30 + k * width, top, width - 1, 130 - top}, -1, hint);
    }
    svg_close(t);
}

/*
 * A graph is [{"node":number, "parents":[numbers], ..}, ..], causes before effects.  A node stands
 * in the column of its longest path from a root.
 */
typedef struct {
    int n, depth;
    int *number;        /* of each node, as its children name it */
    int *level, *place; /* column, and which of it */
    int *size;          /* of each column */
} layout;

static int find_node(const layout *l, json_int_t number)
{
    for (int k = 0; k < l->n; k++)
        if (l->number[k] == number) return k;
    return -1;
}

static mill_err lay_out(layout *l, const json_t *graph)
{
    const int n = (int)json_array_size(graph);
    size_t i;
    json_t *parent;

    *l = (layout){.number = mill_alloc((size_t)n, sizeof *l->number)};
    l->level = mill_alloc((size_t)n, sizeof *l->level);
    l->place = mill_alloc((size_t)n, sizeof *l->place);
    l->size = mill_alloc((size_t)n + 1, sizeof *l->size);
    if (!l->number || !l->level || !l->place || !l->size) return MILL_ENOMEM;
    for (; l->n < n; l->n++) {
        const json_t *node = json_array_get(graph, (size_t)l->n);
        int level = 0;
        l->number[l->n] = (int)json_integer_value(json_object_get(node, "node"));
        json_array_foreach(json_object_get(node, "parents"), i, parent)
        {
            const int above = find_node(l, json_integer_value(parent));
            if (above >= 0 && l->level[above] >= level) level = l->level[above] + 1;
        }
        l->level[l->n] = level;
        l->place[l->n] = l->size[level]++;
        if (level > l->depth) l->depth = level;
    }
    return MILL_OK;
}

static double node_x(const layout *l, int k)
{
    return 40 + 620.0 * l->level[k] / (l->depth > 0 ? l->depth : 1);
}

static double node_y(const layout *l, int k)
{
    return 30 + 300.0 * (l->place[k] + 0.5) / l->size[l->level[k]];
}

static void draw_parents(mill_text *t, const layout *l, const json_t *node, int k)
{
    size_t i;
    json_t *parent;

    json_array_foreach(json_object_get(node, "parents"), i, parent)
    {
        const int a = find_node(l, json_integer_value(parent));
        if (a >= 0) svg_line(t, "grid", node_x(l, a), node_y(l, a), node_x(l, k), node_y(l, k));
    }
}

static mill_err draw_nodes(mill_text *t, const layout *l, const json_t *graph)
{
    char number[16];

    svg_open(t, &(svg_frame){.width = 720, .height = 350, .title = "The graph"});
    svg_words(t, "title", "start", 20, 18, "The graph: from causes to effects");
    for (int k = 0; k < l->n; k++) draw_parents(t, l, json_array_get(graph, (size_t)k), k);
    for (int k = 0; k < l->n; k++) {
        char *words = json_dumps(json_array_get(graph, (size_t)k), JSON_REAL_PRECISION(4));
        if (!words) return mill_fail(MILL_ENOMEM, "out of memory for a node's words");
        svg_dot(t, l->level[k] ? "s0" : "s1", node_x(l, k), node_y(l, k), words);
        free(words);
        snprintf(number, sizeof number, "%d", l->number[k]);
        svg_words(t, "label", "start", node_x(l, k) + 6, node_y(l, k) + 4, number);
    }
    svg_close(t);
    return MILL_OK;
}

static mill_err draw_graph(mill_text *t, const json_t *structure)
{
    const json_t *graph = json_object_get(structure, "graph");
    layout l;

    if (!json_is_array(graph) || !json_array_size(graph)) return MILL_OK;
    mill_err err = lay_out(&l, graph);
    if (!err) err = draw_nodes(t, &l, graph);
    mill_free(l.number);
    mill_free(l.level);
    mill_free(l.place);
    mill_free(l.size);
    return err;
}

/* ---- the page ---- */

mill_err prior_page(mill_text *t, const prior_set *s, const json_t *structure)
{
    char title[64];

    snprintf(title, sizeof title, "Data set %lld of %s", (long long)s->index, s->kind);
    text_add(t,
             "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>%s</title>\n"
             "<style>body{font-family:sans-serif;max-width:60em;margin:2em auto}"
             "svg{margin:.5em}pre{white-space:pre-wrap}\n",
             title);
    svg_style(t);
    text_add(t, "</style></head><body>\n<h1>%s</h1>\n<p>%lld rows, %lld for training; %d feature%s",
             title, (long long)s->rows, (long long)s->train_rows, s->features, mill_s(s->features));
    if (s->classes) text_add(t, "; %d classes", s->classes);
    text_add(t, "; attempt %d.</p>\n", s->attempts);
    TRY(draw_graph(t, structure));
    draw_scatter(t, s);
    draw_histogram(t, s->y, s->rows, "y");
    for (int j = 0; j < s->features && j < N_HISTOGRAMS; j++) {
        snprintf(title, sizeof title, s->levels[j] ? "column %d: %d levels" : "column %d", j,
                 s->levels[j]);
        draw_histogram(t, s->x + j * s->rows, s->rows, title);
    }
    char *text = json_dumps(structure, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
    if (!text) return mill_fail(MILL_ENOMEM, "out of memory for the structure");
    text_add(t, "<h2>Structure</h2>\n<pre>");
    svg_escape(t, text);
    text_add(t, "</pre>\n</body></html>\n");
    free(text);
    return text_check(t);
}
