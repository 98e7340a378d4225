/* svg.c - see svg.h. */
#include "report/svg.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- scales ---- */

static bool has_extent(const svg_scale *s)
{
    return isfinite(s->from) && isfinite(s->to) && s->to > s->from;
}

double svg_at(const svg_scale *s, double value)
{
    if (!has_extent(s) || isnan(value)) return (s->at + s->end) / 2;
    const double x = value < s->from ? s->from : value > s->to ? s->to : value;
    return s->at + (x - s->from) / (s->to - s->from) * (s->end - s->at);
}

static double power10(int e)
{
    double p = 1;
    for (int i = 0; i < (e < 0 ? -e : e) && i < 308; i++) p *= 10;
    return e < 0 ? 1 / p : p;
}

/* The power of ten at or below x > 0. */
static int decade(double x)
{
    int e = 0;

    while (e < 308 && x >= power10(e + 1)) e++;
    while (e > -300 && x < power10(e)) e--;
    return e;
}

int svg_ticks(double tick[SVG_MAX_TICKS], const svg_scale *s, int about)
{
    static const double nice[] = {1, 2, 5, 10};
    int n = 0, k = 0;

    about = about < 2 ? 2 : about > 30 ? 30 : about;
    if (!has_extent(s)) {
        if (isfinite(s->from)) tick[n++] = s->from;
        return n;
    }

    const double least = (s->to - s->from) / about;
    const double unit = power10(decade(least));
    while (k < 3 && nice[k] * unit < least) k++;
    const double step = nice[k] * unit, first = ceil(s->from / step - 1e-9);
    for (n = 0; n < SVG_MAX_TICKS; n++) {
        const double v = (first + n) * step;
        if (!(v <= s->to + step * 1e-9)) break;
        tick[n] = fabs(v) < step * 1e-9 ? 0 : v;
    }
    return n;
}

const char *svg_number(char buf[32], double x)
{
    static const struct {
        double unit;
        const char *name;
    } large[] = {{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e4, "k"}};

    if (!isfinite(x)) {
        snprintf(buf, 32, "%s", isnan(x) ? "none" : x > 0 ? "infinite" : "-infinite");
        return buf;
    }
    for (size_t k = 0; k < sizeof large / sizeof *large; k++) {
        if (fabs(x) < large[k].unit) continue;
        const double unit = large[k].unit == 1e4 ? 1e3 : large[k].unit;
        if (fabs(x / unit) >= 1e6) break;
        snprintf(buf, 32, "%.4g%s", x / unit, large[k].name);
        return buf;
    }
    snprintf(buf, 32, "%.4g", x == 0 ? 0 : x);
    return buf;
}

/* ---- words ---- */

void svg_escape(mill_text *t, const char *s)
{
    for (int n; *s; s += n ? n : 1) {
        n = mill_utf8_length(s);
        const bool is_control = n == 1 && (*s < ' ' || *s == 0x7f) && !strchr("\t\n", *s);

        if (!n || is_control)
            text_add(t, TEXT_REPLACEMENT);
        else if (n > 1 || !strchr("<>&\"'", *s))
            text_add_bytes(t, s, (size_t)n);
        else
            text_add(t, "&#%d;", *s);
    }
}

const char *svg_cut(char buf[128], const char *s, int most)
{
    size_t at = 0, before_last = 0;
    int n = 0;

    for (; s[at] && n < most && at < 120; n++) {
        const int len = mill_utf8_length(s + at);
        before_last = at;
        at += (size_t)(len ? len : 1);
    }
    if (!s[at]) {
        memcpy(buf, s, at + 1);
        return buf;
    }
    memcpy(buf, s, before_last);
    memcpy(buf + before_last, "\xe2\x80\xa6", 4); /* an ellipsis */
    return buf;
}

/* ---- marks ---- */

/* Two decimals at most; what is no place on paper is 0. */
static void number(mill_text *t, double x)
{
    char buf[64];
    int n = snprintf(buf, sizeof buf, "%.2f", isfinite(x) && fabs(x) < 1e9 ? x : 0.0);

    while (buf[n - 1] == '0') n--;
    if (buf[n - 1] == '.') n--;
    buf[n] = '\0';
    text_add(t, "%s", strcmp(buf, "-0") ? buf : "0");
}

static void attribute(mill_text *t, const char *name, double x)
{
    text_add(t, " %s=\"", name);
    number(t, x);
    text_add(t, "\"");
}

static void begin(mill_text *t, const char *tag, const char *class)
{
    text_add(t, "<%s class=\"%s\"", tag, class);
}

static void end(mill_text *t, const char *tag, const char *hint)
{
    if (!hint) {
        text_add(t, "/>");
        return;
    }
    text_add(t, "><title>");
    svg_escape(t, hint);
    text_add(t, "</title></%s>", tag);
}

void svg_line(mill_text *t, const char *class, double x1, double y1, double x2, double y2)
{
    begin(t, "line", class);
    attribute(t, "x1", x1);
    attribute(t, "y1", y1);
    attribute(t, "x2", x2);
    attribute(t, "y2", y2);
    end(t, "line", NULL);
}

void svg_rect(mill_text *t, const char *class, svg_box b, double opacity, const char *hint)
{
    if (!(b.width > 0 && b.height > 0)) return;
    begin(t, "rect", class);
    attribute(t, "x", b.x);
    attribute(t, "y", b.y);
    attribute(t, "width", b.width);
    attribute(t, "height", b.height);
    if (opacity >= 0) attribute(t, "fill-opacity", opacity > 1 ? 1 : opacity);
    end(t, "rect", hint);
}

void svg_path(mill_text *t, const char *class, const double *x, const double *y, int64_t n)
{
    bool is_down = false;

    begin(t, "path", class);
    text_add(t, " d=\"");
    for (int64_t i = 0; i < n; i++) {
        const bool is_point = isfinite(x[i]) && isfinite(y[i]);
        if (is_point) {
            text_add(t, is_down ? "L" : "M");
            number(t, x[i]);
            text_add(t, ",");
            number(t, y[i]);
        }
        is_down = is_point;
    }
    text_add(t, "\"/>");
}

void svg_dot(mill_text *t, const char *class, double x, double y, const char *hint)
{
    if (!isfinite(x) || !isfinite(y)) return;
    begin(t, "circle", class);
    attribute(t, "cx", x);
    attribute(t, "cy", y);
    attribute(t, "r", 2.5);
    end(t, "circle", hint);
}

void svg_words(mill_text *t, const char *class, const char *anchor, double x, double y,
               const char *words)
{
    begin(t, "text", class);
    text_add(t, " text-anchor=\"%s\"", anchor);
    attribute(t, "x", x);
    attribute(t, "y", y);
    text_add(t, ">");
    svg_escape(t, words);
    text_add(t, "</text>");
}

void svg_words_up(mill_text *t, const char *class, const char *anchor, double x, double y,
                  const char *words)
{
    begin(t, "text", class);
    text_add(t, " text-anchor=\"%s\" transform=\"translate(", anchor);
    number(t, x);
    text_add(t, ",");
    number(t, y);
    text_add(t, ") rotate(-90)\">");
    svg_escape(t, words);
    text_add(t, "</text>");
}

/* ---- the frame ---- */

void svg_style(mill_text *t)
{
    text_add(t, "svg{--s0:#2f6db5;--s1:#d1601f;--s2:#3c8a3c;--s3:#8a4fa8;--s4:#9a7b00;--s5:#b23a62;"
                "--s6:#1f8a8a;--s7:#6b6b6b;--ink:#1c2127;--soft:#5a6572;--grid:#dfe3e8}"
                "@media (prefers-color-scheme:dark){svg{--s0:#7fb2ec;--s1:#f2935a;--s2:#7fc97f;"
                "--s3:#c79be0;--s4:#d9bd4a;--s5:#ea86a6;--s6:#66c7c7;--s7:#a8a8a8;--ink:#e8ebee;"
                "--soft:#a3adb8;--grid:#39414b}}"
                "@media print{svg{--s0:#2f6db5;--s1:#d1601f;--s2:#3c8a3c;--s3:#8a4fa8;--s4:#9a7b00;"
                "--s5:#b23a62;--s6:#1f8a8a;--s7:#6b6b6b;--ink:#000;--soft:#333;--grid:#ccc}}"
                "svg text{font:11px system-ui,sans-serif;fill:var(--soft)}"
                "svg text.title{font-weight:600;font-size:13px;fill:var(--ink)}"
                "svg text.ink{fill:var(--ink)}svg line,svg path{fill:none;stroke-width:1}"
                "svg .grid{stroke:var(--grid)}svg .axis{stroke:var(--soft)}"
                "svg rect.warm{fill:var(--s1)}svg rect.cold{fill:var(--s0)}"
                "svg rect.none{fill:var(--grid)}"
                "svg rect.ground{fill:none}");
    static const char *const dash[SVG_N_SERIES] = {"none",        "6 3",  "2 2", "8 3 2 3",
                                                   "4 2 1 2 1 2", "10 4", "1 3", "12 3 3 3"};
    for (int k = 0; k < SVG_N_SERIES; k++)
        text_add(t,
                 "svg path.s%d{stroke:var(--s%d);stroke-width:1.75;stroke-dasharray:%s}"
                 "svg rect.s%d,svg circle.s%d{fill:var(--s%d)}",
                 k, k, dash[k], k, k, k);
}

void svg_open(mill_text *t, const svg_frame *f)
{
    text_add(t, "<svg");
    if (f->is_file) text_add(t, " xmlns=\"http://www.w3.org/2000/svg\"");
    attribute(t, "width", f->width);
    attribute(t, "height", f->height);
    text_add(t, " viewBox=\"0 0 ");
    number(t, f->width);
    text_add(t, " ");
    number(t, f->height);
    text_add(t, "\"");
    text_add(t, " role=\"img\"");
    if (f->title) {
        text_add(t, " aria-label=\"");
        svg_escape(t, f->title);
        if (f->about) {
            text_add(t, ". ");
            svg_escape(t, f->about);
        }
        text_add(t, "\"");
    }
    text_add(t, ">");
    if (f->is_file) {
        text_add(t, "<title>");
        svg_escape(t, f->title ? f->title : "");
        text_add(t, "</title><style>");
        svg_style(t);
        text_add(t, "@media (prefers-color-scheme:dark){svg{background:#14181d}}</style>");
    }
}

void svg_close(mill_text *t)
{
    text_add(t, "</svg>\n");
}
