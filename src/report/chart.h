/*
 * chart.h - charts that are ready made, of the marks of report/svg.h: bars, a heat map.
 *
 * A frame says what stands around the figures, the series what is drawn.  A chart whose figures
 * are all missing says so in its middle.  Same figures, same bytes.
 *
 *     const double real[] = {60, 40}, synthetic[] = {58, 42};
 *     const chart_series s[] = {{"real", real}, {"synthetic", synthetic}};
 *     chart_bars(&t, &(chart_frame){.title = "sex", .unit = "%"}, label, s, 2, 2);
 */
#ifndef MILL_REPORT_CHART_H
#define MILL_REPORT_CHART_H

#include "report/svg.h"

typedef struct {
    const char *title, *about; /* as svg_frame has them */
    const char *y_label;       /* NULL: none */
    double width, height;      /* 0: 420, 260 (a heat map: as its cells need) */
    bool name_all;    /* every bar has its label, upwards where they are too wide to stand level */
    const char *unit; /* behind a bar's value in its hint; NULL: none */
} chart_frame;

typedef struct {
    const char *name;
    const double *y; /* (n); NaN: not there */
} chart_series;

/* n groups with a bar of each series, under their labels; at most SVG_N_SERIES series, which are
 * named above where there are several. */
void chart_bars(mill_text *t, const chart_frame *f, const char *const *label, const chart_series *s,
                int n_series, int64_t n);
/*
 * value (n_rows, n_cols), NaN: no cell.  `from` is a cell without colour and `to` one of full
 * colour; where from < 0 < to, negative ones are cold and positive ones warm, by their size.
 */
typedef struct {
    const char *const *row, *const *col; /* names */
    int n_rows, n_cols;
    const double *value;
    double from, to;
} chart_cells;
void chart_heat(mill_text *t, const chart_frame *f, const chart_cells *c);

#endif
