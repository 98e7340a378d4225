/* t_svg.c - drawings: scales and ticks by hand, well-formed text, nothing outside its frame. */
#include "lib/test.h"

#include "report/chart.h"

#include <math.h>

#define NONE ((double)NAN)

void test_scale__puts_ends_at_ends_and_keeps_what_is_beyond(void **state)
{
    (void)state;
    const svg_scale s = {.from = 10, .to = 20, .at = 100, .end = 300};
    const svg_scale up = {.from = 0, .to = 10, .at = 90, .end = 0};

    assert_true(svg_at(&s, 10) == 100 && svg_at(&s, 20) == 300 && svg_at(&s, 12.5) == 150);
    assert_true(svg_at(&s, -5) == 100 && svg_at(&s, 1e300) == 300);
    assert_true(svg_at(&up, 5) == 45 && svg_at(&up, 10) == 0 && svg_at(&up, -3) == 90);
    const svg_scale flat = {.from = 7, .to = 7, .at = 0, .end = 10};
    assert_true(svg_at(&flat, 7) == 5 && svg_at(&s, NONE) == 200);
}

static void assert_ticks(svg_scale s, int about, const double *want, int n)
{
    double tick[SVG_MAX_TICKS];

    assert_int_equal(svg_ticks(tick, &s, about), n);
    for (int i = 0; i < n; i++)
        if (!(fabs(tick[i] - want[i]) <= 1e-9 * fabs(want[i])))
            fail_msg("tick %d: %g, not %g", i, tick[i], want[i]);
}

void test_ticks__are_round_and_within_the_scale(void **state)
{
    (void)state;
    assert_ticks((svg_scale){.from = 0, .to = 1}, 5, (const double[]){0, .2, .4, .6, .8, 1}, 6);
    assert_ticks((svg_scale){.from = -3, .to = 17}, 4, (const double[]){0, 5, 10, 15}, 4);
    assert_ticks((svg_scale){.from = .92, .to = .993}, 4, (const double[]){.92, .94, .96, .98}, 4);
    assert_ticks((svg_scale){.from = 5, .to = 5}, 5, (const double[]){5}, 1);
    assert_ticks((svg_scale){.from = NONE, .to = 5}, 5, NULL, 0);
}

void test_ticks__never_overflow_their_room(void **state)
{
    (void)state;
    double tick[SVG_MAX_TICKS];

    for (int e = -300; e <= 300; e += 25) {
        const svg_scale s = {.from = -pow(10, e), .to = 3.3 * pow(10, e)};
        const svg_scale l = {.from = 1e-300, .to = pow(10, e) + 1e-299};
        for (int about = -1; about < 60; about++) {
            assert_in_range(svg_ticks(tick, &s, about), about < 4 ? 1 : 2, SVG_MAX_TICKS);
            assert_in_range(svg_ticks(tick, &l, about), about < 4 ? 1 : 2, SVG_MAX_TICKS);
        }
    }
}

void test_number__is_short_and_says_its_unit(void **state)
{
    (void)state;
    static const struct {
        double x;
        const char *text;
    } row[] = {{0, "0"},          {-0.0, "0"},        {0.25, "0.25"},    {1234, "1234"},
               {1200000, "1.2M"}, {-45600, "-45.6k"}, {3e9, "3G"},       {1e-7, "1e-07"},
               {1e19, "1e+19"},   {NONE, "none"},     {999.94, "999.9"}, {2.5e12, "2.5T"}};
    char buf[32];

    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        assert_string_equal(svg_number(buf, row[i].x), row[i].text);
}

void test_words__cannot_leave_their_element(void **state)
{
    (void)state;
    mill_text t = {0};

    svg_escape(&t, "a<b>&\"c'\x01"
                   "d\xff\xc0\xaf \xc3\xa9\xe2\x82\xac\xed\xa0\x80.");
    assert_string_equal(t.s, "a&#60;b&#62;&#38;&#34;c&#39;\xef\xbf\xbd"
                             "d\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd \xc3\xa9\xe2\x82\xac"
                             "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd.");
    text_clear(&t);
    svg_words(&t, "label", "end", 1.005, -0.001, "</text><script>");
    assert_null(strstr(t.s, "<script"));
    assert_non_null(strstr(t.s, "x=\"1\" y=\"0\""));
    text_free(&t);
}

void test_cut__counts_characters_and_shows_that_it_cut(void **state)
{
    (void)state;
    char buf[128], longest[400];

    assert_string_equal(svg_cut(buf, "abc", 3), "abc");
    assert_string_equal(svg_cut(buf, "abcd", 3), "ab\xe2\x80\xa6");
    assert_string_equal(svg_cut(buf, "\xc3\xa9\xc3\xa9\xc3\xa9", 2), "\xc3\xa9\xe2\x80\xa6");
    assert_string_equal(svg_cut(buf, "", 5), "");
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_in_range(strlen(svg_cut(buf, longest, 1000)), 100, 127);
}

/* Tags open and close in pairs; attributes are quoted; every number is one. */
static void assert_well_formed(const char *s)
{
    char open[16][16];
    int depth = 0;

    for (const char *p = s; (p = strchr(p, '<')); p++) {
        const bool closes = p[1] == '/';
        const char *name = p + 1 + closes, *end = strchr(p, '>');
        const size_t n = strcspn(name, " />");

        assert_non_null(end);
        assert_in_range(n, 1, 15);
        if (closes) {
            assert_true(depth > 0 && !strncmp(open[depth - 1], name, n) && !open[depth - 1][n]);
            depth--;
        } else if (end[-1] != '/') {
            assert_in_range(depth, 0, 15);
            memcpy(open[depth], name, n);
            open[depth++][n] = '\0';
        }
        int quotes = 0;
        for (const char *q = p; q < end; q++) quotes += *q == '"';
        assert_int_equal(quotes % 2, 0);
    }
    assert_int_equal(depth, 0);
    assert_null(strstr(s, "nan"));
    assert_null(strstr(s, "inf"));
}

/* All values of attribute `name` of tags `tag`: within [least, most]; their number. */
static int within(const char *s, const char *tag, const char *name, double least, double most)
{
    char start[32], want[32];
    int n = 0;

    snprintf(start, sizeof start, "<%s ", tag);
    snprintf(want, sizeof want, " %s=\"", name);
    for (const char *p = s; (p = strstr(p, start)); p++) {
        const char *end = strchr(p, '>'), *at = strstr(p, want);
        if (!at || at > end) continue;
        const double v = strtod(at + strlen(want), NULL);
        if (!(v >= least && v <= most)) fail_msg("%s %s = %g", tag, name, v);
        n++;
    }
    return n;
}

/* A drawing that stands alone, of marks: what bench scaling and the prior's page draw. */
void test_path__leaves_gaps(void **state)
{
    (void)state;
    mill_text t = {0};
    const double x[] = {0, 10, 20, 30}, y[] = {5, 6, NONE, 7};

    svg_open(&t, &(svg_frame){.width = 40, .height = 20, .title = "<fast>", .is_file = true});
    svg_path(&t, "s0", x, y, 4);
    svg_close(&t);
    assert_ok(text_check(&t));
    assert_well_formed(t.s);
    assert_non_null(strstr(t.s, "xmlns=\"http://www.w3.org/2000/svg\""));
    assert_null(strstr(t.s, "<fast>"));
    int moves = 0;
    for (const char *p = strstr(t.s, "<path class=\"s0\""); *p != '>'; p++) moves += *p == 'M';
    assert_int_equal(moves, 2);
    text_free(&t);
}

void test_bars__are_as_high_as_their_values(void **state)
{
    (void)state;
    mill_text t = {0};
    const double y[] = {10, 5, NONE, 0};
    const char *const label[] = {"a", "b", "c", "d"};
    const chart_series s = {"share", y};

    chart_bars(&t, &(chart_frame){.title = "Bars", .unit = "%"}, label, &s, 1, 4);
    assert_well_formed(t.s);
    double height[2];
    const char *p = t.s;
    for (int i = 0; i < 2; i++) {
        p = strstr(p, "<rect class=\"s0\"");
        assert_non_null(p);
        height[i] = strtod(strstr(p, "height=\"") + 8, NULL);
        p++;
    }
    assert_null(strstr(p, "<rect class=\"s0\"")); /* none for NaN, none for 0 */
    assert_int_equal(within(t.s, "rect", "x", 0, 420), 2);
    assert_int_equal(within(t.s, "rect", "y", 0, 260), 2);
    assert_true(height[0] > 100 && fabs(height[0] - 2 * height[1]) < 0.03);
    assert_non_null(strstr(t.s, "<title>a: 10 %</title>"));
    text_free(&t);
}

void test_heat__is_as_strong_as_its_values(void **state)
{
    (void)state;
    mill_text t = {0};
    const char *const name[] = {"x", "a column with a name that is long"};
    const double value[] = {NONE, -1, 0.5, NONE};

    chart_heat(&t, &(chart_frame){.title = "Pairs"},
               &(chart_cells){name, name, 2, 2, value, -1, 1});
    assert_well_formed(t.s);
    assert_non_null(strstr(t.s, "class=\"cold\""));
    assert_int_equal(within(t.s, "rect", "fill-opacity", 0.5, 1), 2);
    const char *warm = strstr(t.s, "class=\"warm\"");
    assert_non_null(warm);
    assert_true(fabs(strtod(strstr(warm, "fill-opacity=\"") + 14, NULL) - 0.53) < 1e-9);
    text_free(&t);
}

void test_chart__without_figures_says_so(void **state)
{
    (void)state;
    mill_text t = {0};
    const double none[] = {NONE, NONE};
    const chart_series s = {"s", none};
    const char *const label[] = {"a", "b"};

    chart_bars(&t, &(chart_frame){.title = "T"}, label, &s, 1, 2);
    assert_well_formed(t.s);
    assert_non_null(strstr(t.s, "no figures</text>"));
    text_free(&t);
}
