/*
 * histogram.c - what a column looks like on both sides, for whoever draws it.
 *
 *     numbers   N_BARS bars of equal width over the real range, edge (N_BARS + 1); of integers
 *               that have fewer values, a bar each.  What lies beyond is in the outer bars, and
 *               counted in `outside`
 *     codes     the real column's most frequent values, MOST_VALUES at the most; the others, if
 *               there are any, together
 *
 * real and synthetic are rows; missing ones stand in columns[].real.missing.
 */
#include "base/mem.h"
#include "eval/report.h"

enum { N_BARS = 24, MOST_VALUES = 16 };

static void put_counts(json_t *to, const char *key, const int64_t *count, int n, bool *failed)
{
    json_t *const a = put_array(to, key, failed);

    for (int k = 0; k < n; k++)
        if (json_array_append_new(a, json_integer(count[k]))) *failed = true;
}

static void put_bars(json_t *o, const col_view *v, bool *failed)
{
    const col_side *real = &v->side[SIDE_REAL];
    const double low = real->min, range = real->max - real->min;
    const bool is_few = v->type == MILL_INTEGER && range < N_BARS;
    const int n = is_few ? (int)range + 1 : N_BARS;
    const double width = is_few ? 1 : range / N_BARS, end = is_few ? real->max + 1 : real->max;
    int64_t count[N_SIDES][N_BARS] = {{0}}, outside = 0;
    json_t *const edge = put_array(o, "edge", failed);

    for (int b = 0; b <= n; b++)
        if (json_array_append_new(edge, json_real((b < n ? low + b * width : end) / v->unit)))
            *failed = true;
    for (int s = 0; s < N_SIDES; s++) {
        for (int64_t i = 0; i < v->side[s].n; i++) {
            const double x = v->side[s].sorted[i], at = (x - low) / width;
            count[s][at > 0 ? at < n ? (int)at : n - 1 : 0]++;
            outside += x < real->min || x > real->max;
        }
    }
    put_counts(o, "real", count[SIDE_REAL], n, failed);
    put_counts(o, "synthetic", count[SIDE_SYN], n, failed);
    put_int(o, "outside", outside, failed);
}

static void put_values(json_t *o, const mill_column *like, const col_view *v, bool *failed)
{
    const col_side *real = &v->side[SIDE_REAL], *syn = &v->side[SIDE_SYN];
    int64_t count[N_SIDES][MOST_VALUES + 1] = {{0}}, last = INT64_MAX;
    int32_t last_code = -1;
    int n = 0;
    json_t *const values = put_array(o, "values", failed);

    count[SIDE_REAL][MOST_VALUES] = real->n;
    count[SIDE_SYN][MOST_VALUES] = syn->n;
    while (n < MOST_VALUES) {
        int32_t best = -1;
        int len;
        for (int32_t k = 0; k < v->n_codes - 1; k++) {
            const int64_t c = real->count[k];
            if (c && (c < last || (c == last && k > last_code)) &&
                (best < 0 || c > real->count[best]))
                best = k;
        }
        if (best < 0) break;
        last = real->count[last_code = best];
        for (int s = 0; s < N_SIDES; s++) {
            count[s][n] = v->side[s].count[best];
            count[s][MOST_VALUES] -= count[s][n];
        }
        const char *text = column_value(like, best, &len);
        if (json_array_append_new(values, json_stringn_nocheck(text, (size_t)len))) *failed = true;
        n++;
    }
    put_counts(o, "real", count[SIDE_REAL], n, failed);
    put_counts(o, "synthetic", count[SIDE_SYN], n, failed);
    put_int(o, "real_others", count[SIDE_REAL][MOST_VALUES], failed);
    put_int(o, "synthetic_others", count[SIDE_SYN][MOST_VALUES], failed);
}

bool report_histogram(evaluation *e, json_t *column, int c)
{
    const col_view *v = &e->view->col[c];
    const col_side *real = &v->side[SIDE_REAL];

    if (!real->n || (!v->is_code && !(real->max > real->min && isfinite(real->max - real->min)))) {
        put(column, "histogram", json_null(), &e->failed);
        return false;
    }
    json_t *const o = put_object(column, "histogram", &e->failed);
    if (v->is_code)
        put_values(o, &e->real.col[c], v, &e->failed);
    else
        put_bars(o, v, &e->failed);
    return true;
}
