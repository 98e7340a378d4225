/*
 * chart.h - charts that are ready made, of the marks of report/svg.h: lines, bars, a heat map.
 *
 * A frame says what stands around the figures, the series what is drawn.  A chart whose figures
 * are all missing says so in its middle.  Same figures, same bytes.
 *
 *     const double nproc[] = {1, 2, 4}, speedup[] = {1, 1.9, 3.6};
 *     const chart_series s[] = {{"measured", nproc, speedup}, {"ideal", nproc, nproc}};
 *     chart_lines(&t, &(chart_frame){.title = "Scaling", .x_label = "processes", .log_x = true,
 *                                    .is_file = true}, s, 2, 3);
 */
#ifndef MILL_REPORT_CHART_H
#define MILL_REPORT_CHART_H

#include "report/svg.h"

typedef struct {
    const char *title, *about;     /* as svg_frame has them */
    const char *x_label, *y_label; /* NULL: none */
    double width, height;          /* 0: 420, 260 (a heat map: as its cells need) */
    bool is_file;
    bool log_x, log_y;
    bool y_from_zero;
    bool name_all;    /* every bar has its label, upwards where they are too wide to stand level */
    const char *unit; /* behind a bar's value in its hint; NULL: none */
} chart_frame;

typedef struct {
    const char *name;
    const double *x, *y; /* (n); x is not used by bars; NaN: not there */
} chart_series;

/* At most SVG_N_SERIES series, of n points each; with more than one they are named above. */
void chart_lines(mill_text *t, const chart_frame *f, const chart_series *s, int n_series,
                 int64_t n);
/* n groups with a bar of each series, under their labels. */
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
