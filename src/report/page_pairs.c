/* page_pairs.c - the pairs of the page: a map of what is off, and the worst of them by name. */
#include "report/page_parts.h"

#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORST = 15, MOST_MAPPED = 60 };

/* Columns that are in some pair, in their order; their number. */
static int names_of(const char **name, const page *p)
{
    int n = 0;

    for (int c = 0; c < p->columns.n; c++) {
        const json_t *column = page_first(p, &p->columns, c);
        if (json_object_get(column, "shape_metric"))
            name[n++] = json_string_value(json_object_get(column, "name"));
    }
    return n;
}

static int find_name(const char *const *name, int n, const char *s)
{
    for (int i = 0; s && i < n; i++)
        if (!strcmp(name[i], s)) return i;
    return -1;
}

static void draw_map(page *p, int k, const char *const *name, int n, double *value, double most)
{
    const json_t *pair;
    char title[96];
    size_t i;

    for (int c = 0; c < n * n; c++) value[c] = (double)NAN;
    json_array_foreach(json_object_get(p->report[k], "pairs"), i, pair)
    {
        const int a = find_name(name, n, json_string_value(json_object_get(pair, "a")));
        const int b = find_name(name, n, json_string_value(json_object_get(pair, "b")));
        const double score = page_value(json_object_get(pair, "score"));
        if (a >= 0 && b >= 0) value[a * n + b] = value[b * n + a] = 1 - score;
    }
    snprintf(title, sizeof title, "%s: 1 \xe2\x88\x92 score, darkest at %.2g", p->name[k], most);
    text_add(p->t, "<figure class=\"map\" tabindex=\"0\">");
    chart_heat(p->t,
               &(chart_frame){.title = title,
                              .about = "One cell for each pair of columns, darker where they go "
                                       "together less alike; the worst are in the table above"},
               &(chart_cells){name, name, n, n, value, 0, most});
    text_add(p->t, "</figure>\n");
}

typedef struct {
    int pair; /* its row of the index */
    double worst;
} ranked;

static int compare_ranked(const void *a_, const void *b_)
{
    const ranked *a = a_, *b = b_;

    if (a->worst < b->worst || a->worst > b->worst) return a->worst < b->worst ? -1 : 1;
    return a->pair - b->pair;
}

static void worst_pairs(page *p, const ranked *order, int n)
{
    page_table_open(p, "The pairs that are least alike");
    page_heads(p, "Pair", "Score");
    for (int r = 0; r < n; r++) {
        const json_t *pair = page_first(p, &p->pairs, order[r].pair);
        const char *metric = json_string_value(json_object_get(pair, "metric"));

        text_add(p->t, "<tr><th scope=\"row\">");
        page_escape(p, json_string_value(json_object_get(pair, "a")));
        text_add(p->t, ", ");
        page_escape(p, json_string_value(json_object_get(pair, "b")));
        text_add(p->t, "<small>%s</small></th>", metric ? metric : "");
        for (int k = 0; k < p->n; k++)
            page_item_cell(p, &p->pairs, order[r].pair, k, "score", "expected");
        text_add(p->t, "</tr>\n");
    }
    page_table_close(p);
}

/* The pairs that have a score in some report, worst first over all; and the worst of all. */
static int rank_pairs(ranked *order, double *most, const page *p)
{
    int n = 0;

    *most = 0.05;
    for (int i = 0; i < p->pairs.n; i++) {
        double worst = (double)NAN;

        for (int k = 0; k < p->n; k++) {
            const json_t *pair = page_item(p, &p->pairs, i, k);
            const double score = page_value(json_object_get(pair, "score"));
            if (isnan(worst) || score < worst) worst = score;
        }
        if (isnan(worst)) continue;
        order[n++] = (ranked){i, worst};
        *most = fmax(*most, 1 - worst);
    }
    qsort(order, (size_t)n, sizeof *order, compare_ranked);
    return n;
}

mill_err page_pairs(page *p)
{
    const size_t columns = (size_t)p->columns.n, pairs = (size_t)p->pairs.n;
    const char **name = mill_alloc(columns + 1, sizeof *name);
    double *value = mill_alloc(columns * columns + 1, sizeof *value), most;
    ranked *order = mill_alloc(pairs + 1, sizeof *order);
    mill_err err = name && value && order ? MILL_OK : MILL_ENOMEM;

    if (!err) {
        const int n = names_of(name, p), ranks = rank_pairs(order, &most, p);

        page_section(p, "pairs", "Pairs", "How pairs of columns go together; the worst first.");
        if (!ranks)
            text_add(p->t, "<p>There are no two columns to compare.</p>\n");
        else if (n > MOST_MAPPED)
            text_add(p->t,
                     "<p>A map of %d columns would not be readable; the JSON has all pairs."
                     "</p>\n",
                     n);
        if (ranks) worst_pairs(p, order, ranks < WORST ? ranks : WORST);
        text_add(p->t, "<div class=\"maps\">\n");
        for (int k = 0; ranks && n <= MOST_MAPPED && k < p->n; k++)
            draw_map(p, k, name, n, value, most);
        text_add(p->t, "</div></section>\n");
    }
    mill_free(name);
    mill_free(value);
    mill_free(order);
    return err;
}
