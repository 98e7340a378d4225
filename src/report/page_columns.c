/* page_columns.c - the columns of the page, the worst first: how they are distributed. */
#include "report/page_parts.h"

#include "base/mem.h"
#include "table/datetime.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BARS = 32, LABEL = 40, MOST_DRAWN = SVG_N_SERIES - 1 };

typedef struct {
    int column;   /* its row of the index */
    double worst; /* the least shape over the tables; NaN: none */
} ranked;

static int compare_ranked(const void *a_, const void *b_)
{
    const ranked *a = a_, *b = b_;

    if (isnan(a->worst) != isnan(b->worst)) return isnan(a->worst) ? 1 : -1;
    if (a->worst < b->worst || a->worst > b->worst) return a->worst < b->worst ? -1 : 1;
    return a->column - b->column;
}

static const char *name_of(const json_t *column)
{
    return json_string_value(json_object_get(column, "name"));
}

/* Labels of the bars: a value, or the lower edge; of integers, the least that a bar can hold. */
static int labels_of(char label[MOST_BARS][LABEL], const json_t *column)
{
    const json_t *h = json_object_get(column, "histogram"), *values = json_object_get(h, "values"),
                 *edge = json_object_get(h, "edge");
    const char *type = json_string_value(json_object_get(column, "type"));
    const bool is_date = type && !strcmp(type, "datetime");
    const bool is_whole = type && !strcmp(type, "integer");
    int n = (int)json_array_size(values);
    char cut[128], number[32], date[DATETIME_TEXT_MAX];

    if (n > MOST_BARS - 1) n = MOST_BARS - 1;
    for (int i = 0; i < n; i++) {
        const char *s = json_string_value(json_array_get(values, (size_t)i));
        snprintf(label[i], LABEL, "%.39s", svg_cut(cut, s ? s : "", 9));
    }
    if (values) {
        snprintf(label[n], LABEL, "others");
        return n + 1;
    }
    n = (int)json_array_size(edge) - 1;
    for (int i = 0; i < n && i < MOST_BARS; i++) {
        const double x = page_value(json_array_get(edge, (size_t)i));
        if (is_date) {
            const int len = datetime_format(date, "%Y-%m-%d", (int64_t)x);
            snprintf(label[i], LABEL, "%.*s", len < LABEL ? len : LABEL - 1, date);
        } else {
            snprintf(label[i], LABEL, "%s", svg_number(number, is_whole ? ceil(x) : x));
        }
    }
    return n < MOST_BARS ? n : MOST_BARS;
}

/* Percents of the rows of a side that have a value. */
static void shares_of(double y[MOST_BARS], const json_t *column, const char *side, int n)
{
    const json_t *h = json_object_get(column, "histogram"), *count = json_object_get(h, side);
    char others[32];
    double sum = 0;

    snprintf(others, sizeof others, "%s_others", side);
    for (int i = 0; i < n; i++) {
        const json_t *c = json_array_get(count, (size_t)i);
        y[i] = page_value(c ? c : json_object_get(h, others));
        sum += isnan(y[i]) ? 0 : y[i];
    }
    for (int i = 0; i < n; i++) y[i] = sum > 0 ? 100 * y[i] / sum : (double)NAN;
}

static void draw_column(page *p, int column)
{
    char label[MOST_BARS][LABEL];
    const char *labels[MOST_BARS];
    double y[SVG_N_SERIES][MOST_BARS];
    chart_series s[SVG_N_SERIES];
    const json_t *first = page_first(p, &p->columns, column);
    int n_series = 1;
    int n = labels_of(label, first);

    if (n < 1) {
        text_add(p->t, "<p>Nothing to draw: no values, or one.</p>");
        return;
    }
    for (int i = 0; i < n; i++) labels[i] = label[i];
    shares_of(y[0], first, "real", n);
    s[0] = (chart_series){"real", y[0]};
    for (int k = 0; k < p->n && n_series < SVG_N_SERIES; k++) {
        const json_t *c = page_item(p, &p->columns, column, k);
        if (!c) continue;
        shares_of(y[n_series], c, "synthetic", n);
        s[n_series] = (chart_series){p->n > 1 ? p->name[k] : "synthetic", y[n_series]};
        n_series++;
    }
    /* No row is among the others on any side: no bar for them. */
    if (!strcmp(label[n - 1], "others")) {
        double most = 0;
        for (int k = 0; k < n_series; k++) most = fmax(most, y[k][n - 1]);
        n -= most > 0 ? 0 : 1;
    }
    char about[160], cut[128];
    snprintf(about, sizeof about, "Share of rows by value, real beside synthetic, %d bars", n);
    chart_bars(p->t,
               &(chart_frame){.title = svg_cut(cut, name_of(first), 44),
                              .about = about,
                              .unit = "%",
                              .y_label = "% of rows",
                              .name_all = json_object_get(json_object_get(first, "histogram"),
                                                          "values") != NULL,
                              .width = 440,
                              .height = 220},
               labels, s, n_series, n);
}

/* What a column scores in each table, and what a second sample would. */
static void caption(page *p, int column)
{
    static const char *const figure[][2] = {{"Shape", "shape"},
                                            {"Wasserstein", "wasserstein"},
                                            {"Jensen-Shannon", "jensen_shannon"},
                                            {"Validity", "validity"},
                                            {"Coverage", "coverage"},
                                            {"Missing", "missing_similarity"}};
    const json_t *first = page_first(p, &p->columns, column);

    text_add(p->t, "<figcaption><table>");
    page_heads(p, json_string_value(json_object_get(first, "type")), "Figure");
    for (size_t f = 0; f < sizeof figure / sizeof *figure; f++) {
        char expected[PAGE_PLACE];
        if (!json_object_get(first, figure[f][1])) continue; /* not of such a column */
        snprintf(expected, sizeof expected, "expected.%s", figure[f][1]);
        text_add(p->t, "<tr><th scope=\"row\">%s</th>", figure[f][0]);
        for (int k = 0; k < p->n; k++)
            page_item_cell(p, &p->columns, column, k, figure[f][1], expected);
        text_add(p->t, "</tr>");
    }
    text_add(p->t, "</tbody></table></figcaption>");
}

static void card(page *p, int column)
{
    const json_t *first = page_first(p, &p->columns, column);

    text_add(p->t, "<figure>");
    if (json_is_object(json_object_get(first, "histogram"))) {
        draw_column(p, column);
    } else {
        text_add(p->t, "<h3>");
        page_escape(p, name_of(first));
        text_add(p->t, "</h3><p>Nothing to draw: a key, a constant, or no values.</p>");
    }
    caption(p, column);
    text_add(p->t, "</figure>\n");
}

void page_columns(page *p)
{
    const int n = p->columns.n;
    ranked *const order = mill_alloc((size_t)n + 1, sizeof *order);

    if (!order) {
        p->t->failed = true; /* text_check() says so */
        return;
    }
    for (int c = 0; c < n; c++) {
        order[c] = (ranked){c, (double)NAN};
        for (int k = 0; k < p->n; k++) {
            const json_t *column = page_item(p, &p->columns, c, k);
            const double shape = page_value(json_object_get(column, "shape"));
            if (isnan(order[c].worst) || shape < order[c].worst) order[c].worst = shape;
        }
    }
    qsort(order, (size_t)n, sizeof *order, compare_ranked);
    page_section(p, "columns", "Columns", "How each column is distributed; the least alike first.");
    if (p->n > MOST_DRAWN)
        text_add(p->t,
                 "<p>A drawing has room for %d tables, the first that have the column; the figures "
                 "below it are those of all %d.</p>\n",
                 MOST_DRAWN, p->n);
    text_add(p->t, "<div class=\"cards\">\n");
    for (int c = 0; c < n; c++) card(p, order[c].column);
    text_add(p->t, "</div></section>\n");
    mill_free(order);
}
