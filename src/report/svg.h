/*
 * svg.h - drawings as SVG text: scales, axes, lines, bars, cells and words.
 *
 * Everything is appended to a mill_text, which remembers a failure: draw freely, ask text_check()
 * once.  A drawing names colours by class, so that one drawing serves light and dark, screen and
 * paper:
 *
 *     s0 .. s7       the series; told apart without colour too, lines by their dashes
 *     grid, axis     thin lines
 *     label, title   words; title also means "read this first" to a screen reader
 *     warm, cold     cells of a heat map; how much is the fill's opacity
 *
 * svg_style() writes the rules once for a page with many drawings; a drawing that is a file of its
 * own carries them inside (svg_frame.is_file).
 *
 *     svg_open(&t, &(svg_frame){.width = 400, .height = 200, .title = "Epochs"});
 *     svg_line(&t, "axis", 0, 180, 400, 180);
 *     svg_close(&t);
 *
 * Charts that are ready made are in report/chart.h.  Coordinates are pixels, y downwards, written
 * with two decimals at most.  SVG 1.1, https://www.w3.org/TR/SVG11/.
 */
#ifndef MILL_REPORT_SVG_H
#define MILL_REPORT_SVG_H

#include "base/text.h"

enum { SVG_MAX_TICKS = 32, SVG_N_SERIES = 8 };

typedef struct {
    double width, height;
    const char *title; /* what it is, one line */
    const char *about; /* what is to be seen, for who cannot see it; NULL: nothing */
    bool is_file;      /* with name space and styles, to stand alone */
} svg_frame;

void svg_open(mill_text *t, const svg_frame *f);
void svg_close(mill_text *t);
void svg_style(mill_text *t); /* rules of CSS, without the <style> around them */

/* Values [from, to] to pixels [at, end].  Values beyond stay at the ends; a range without extent,
 * or one that is not finite, has everything in the middle. */
typedef struct {
    double from, to, at, end;
} svg_scale;

double svg_at(const svg_scale *s, double value);
/* Round values within the scale, about as many as wanted (2 .. 30; if 4 or more, two at least): 1,
 * 2 or 5 times a power of ten.  Their number. */
int svg_ticks(double tick[SVG_MAX_TICKS], const svg_scale *s, int about);
/* A value as a label: at most four digits that mean something; 1,200,000 is "1.2M". */
const char *svg_number(char buf[32], double x);

void svg_line(mill_text *t, const char *class, double x1, double y1, double x2, double y2);
/* A rectangle that says `hint` when it is pointed at; NULL: nothing.  opacity < 0: as the class
 * has it.  Nothing is drawn if a side is not positive. */
typedef struct {
    double x, y, width, height;
} svg_box;
void svg_rect(mill_text *t, const char *class, svg_box b, double opacity, const char *hint);
/* A line through n points; a point that is not finite is a gap. */
void svg_path(mill_text *t, const char *class, const double *x, const double *y, int64_t n);
void svg_dot(mill_text *t, const char *class, double x, double y, const char *hint);
/* anchor: "start", "middle" or "end". */
void svg_words(mill_text *t, const char *class, const char *anchor, double x, double y,
               const char *words);
/* The same, read upwards. */
void svg_words_up(mill_text *t, const char *class, const char *anchor, double x, double y,
                  const char *words);

/* Text with <, >, &, " and ' replaced, control characters and bytes that are no UTF-8 as U+FFFD. */
void svg_escape(mill_text *t, const char *s);
/* At most `most` characters (not bytes), the last one an ellipsis where something was cut. */
const char *svg_cut(char buf[128], const char *s, int most);

#endif
