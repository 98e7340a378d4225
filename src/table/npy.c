/* npy.c - see npy.h. */
#include "table/npy.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/power10.h"
#include "base/text.h"
#include "table/csv_write.h"
#include "table/datetime.h"
#include "table/retype.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the header: a Python dict literal ---- */

/* The text behind 'key': in the header, or NULL. */
static const char *find_key(const char *header, const char *key)
{
    char quoted[40];
    for (const char *q = "'\""; *q; q++) {
        snprintf(quoted, sizeof quoted, "%c%s%c", *q, key, *q);
        const char *p = strstr(header, quoted);
        if (!p) continue;
        p += strlen(quoted);
        while (*p == ' ') p++;
        if (*p++ != ':') continue;
        while (*p == ' ') p++;
        return p;
    }
    return NULL;
}

/* '<f8', '|S5', '<M8[ns]': byte order, kind, size, and the unit of times. */
static bool descr_is_known(npy_array *a, const char *p)
{
    const char end = *p, order = p[1], kind = (char)(order ? p[2] : 0);
    char *rest;

    if (!kind || !strchr("<>|=", order)) return false;
    const long value = strtol(p + 3, &rest, 10);
    if (rest == p + 3 || value < 0 || value > 1 << 28) return false;
    const int size = (int)value;
    a->kind = kind;
    a->size = kind == 'U' ? 4 * size : size;
    a->swap = order == '>';
    char *close = kind == 'M' && *rest == '[' ? strchr(rest, ']') : NULL;
    if (close) {
        if (!npy_time_unit(&a->unit, rest + 1, (size_t)(close - rest) - 1)) return false;
        rest = close + 1;
    }
    if (*rest != end) return false;
    switch (kind) {
    case 'b':
        return size == 1;
    case 'i':
    case 'u':
        return size == 1 || size == 2 || size == 4 || size == 8;
    case 'f':
        return size == 2 || size == 4 || size == 8;
    case 'U':
    case 'S':
        return size >= 1 && size <= NPY_MAX_TEXT;
    case 'M':
        return size == 8 && close;
    default:
        return false;
    }
}

static mill_err parse_descr(npy_array *a, const char *p, const char *what)
{
    if (p && (*p == '\'' || *p == '"') && descr_is_known(a, p)) return MILL_OK;
    int shown = p ? (int)strcspn(p, ",}\n") : 0;
    if (shown > 40) shown = 40;
    return mill_fail(MILL_EINPUT,
                     "%s: the dtype %.*s is not read: bool, int, float, str, bytes and datetime64 "
                     "are, so .astype() one of them, or write CSV",
                     what, shown, p ? p : "");
}

mill_err npy_check_numbers(const npy_array *a, const char *what)
{
    if (strchr("biuf", a->kind)) return MILL_OK;
    return mill_fail(MILL_EINPUT, "%s: holds text or times; only bool, int and float are used here",
                     what);
}

static mill_err parse_shape(npy_array *a, const char *p, const char *what)
{
    a->rank = 0;
    if (!p || *p++ != '(') return mill_fail(MILL_EINPUT, "%s: bad shape", what);
    for (;;) {
        while (*p == ' ' || *p == ',') p++;
        if (*p == ')') break;
        const char *from = p;
        while (isdigit((unsigned char)*p)) p++;
        int64_t v;
        if (p == from || a->rank == NPY_MAX_DIM || !mill_parse_i64(&v, from, (size_t)(p - from)))
            return mill_fail(MILL_EINPUT, "%s: bad shape, or more than %d dimensions", what,
                             NPY_MAX_DIM);
        a->dim[a->rank++] = v;
    }
    if (!a->rank) return mill_fail(MILL_EINPUT, "%s: an array of 0 dimensions is no table", what);
    a->rows = a->dim[0];
    a->cols = 1;
    for (int i = 1; i < a->rank; i++)
        if (__builtin_mul_overflow(a->cols, a->dim[i], &a->cols))
            return mill_fail(MILL_EINPUT, "%s: bad shape", what);
    a->is_flat = a->rank == 1;
    return MILL_OK;
}

mill_err npy_check_table(const npy_array *a, const char *what)
{
    if (a->rank <= 2) return MILL_OK;
    return mill_fail(MILL_EINPUT, "%s: an array of %d dimensions is no table", what, a->rank);
}

mill_err npy_parse(npy_array *a, const char *data, size_t n, const char *what)
{
    const unsigned char *u = (const unsigned char *)data;
    char header[4096];
    size_t len, at;

    if (n < 10 || memcmp(data, "\x93NUMPY", 6) != 0)
        return mill_fail(MILL_EINPUT, "%s: not a .npy array", what);
    if (u[6] == 1) {
        len = u[8] | (size_t)u[9] << 8;
        at = 10;
    } else if ((u[6] == 2 || u[6] == 3) && n >= 12) {
        len = u[8] | (size_t)u[9] << 8 | (size_t)u[10] << 16 | (size_t)u[11] << 24;
        at = 12;
    } else {
        return mill_fail(MILL_EINPUT, "%s: .npy format %d is not known", what, u[6]);
    }
    if (len > n - at) return mill_fail(MILL_EINPUT, "%s: cut short", what);
    if (len >= sizeof header) return mill_fail(MILL_EINPUT, "%s: a header of %zu bytes", what, len);
    memcpy(header, data + at, len);
    header[len] = 0;

    const char *order = find_key(header, "fortran_order");
    TRY(parse_descr(a, find_key(header, "descr"), what));
    TRY(parse_shape(a, find_key(header, "shape"), what));
    if (!order || (strncmp(order, "True", 4) != 0 && strncmp(order, "False", 5) != 0))
        return mill_fail(MILL_EINPUT, "%s: bad header", what);
    a->fortran = *order == 'T';
    a->data_at = at + len;

    size_t bytes;
    if (__builtin_mul_overflow((size_t)a->rows, (size_t)a->cols, &bytes) ||
        __builtin_mul_overflow(bytes, (size_t)a->size, &bytes) || bytes != n - a->data_at)
        return mill_fail(MILL_EINPUT, "%s: %zu bytes of elements do not fit its shape (%lld, %lld)",
                         what, n - a->data_at, (long long)a->rows, (long long)a->cols);
    if (!a->rows || !a->cols)
        return mill_fail(MILL_EINPUT, "%s: the table has no rows or no columns", what);
    if (a->cols > 1000000)
        return mill_fail(MILL_EINPUT, "%s: %lld columns", what, (long long)a->cols);
    return MILL_OK;
}

/* ---- elements ---- */

static uint64_t element_bits(const npy_array *a, const char *p)
{
    uint64_t bits = 0;
    for (int k = 0; k < a->size; k++) {
        const uint64_t byte = (unsigned char)p[a->swap ? a->size - 1 - k : k];
        bits |= byte << (8 * k);
    }
    return bits;
}

static double half_to_f64(uint64_t bits)
{
    const int e = (int)(bits >> 10 & 31);
    const double m = (double)(bits & 1023), sign = bits & 0x8000 ? -1.0 : 1.0;
    if (e == 31) return bits & 1023 ? (double)NAN : sign * (double)INFINITY;
    return e ? sign * ldexp(1024.0 + m, e - 25) : sign * ldexp(m, -24);
}

static double to_f64(const npy_array *a, uint64_t bits)
{
    if (a->kind == 'u') return (double)bits;
    if (a->size == 2) return half_to_f64(bits);
    if (a->size == 4) {
        const uint32_t low = (uint32_t)bits;
        float x;
        memcpy(&x, &low, sizeof x);
        return (double)x;
    }
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static int64_t to_i64(const npy_array *a, uint64_t bits)
{
    const int shift = 64 - 8 * a->size;
    if (a->kind == 'u') return (int64_t)bits;
    return (int64_t)(bits << shift) >> shift;
}

static double element(const npy_array *a, const char *at)
{
    const uint64_t bits = element_bits(a, at);
    return a->kind == 'f'   ? to_f64(a, bits)
           : a->kind == 'u' ? (double)bits
                            : (double)to_i64(a, bits);
}

double npy_element(const npy_array *a, const char *data, int64_t i)
{
    return element(a, data + a->data_at + (size_t)i * (size_t)a->size);
}

void npy_row(double *out, const npy_array *a, const char *data, int64_t row)
{
    int64_t stride[NPY_MAX_DIM] = {0}, index[NPY_MAX_DIM] = {0}, step = 1;

    for (int i = 0; i < a->rank; i++) { /* of elements, as they lie in the file */
        const int k = a->fortran ? i : a->rank - 1 - i;
        stride[k] = step;
        step *= a->dim[k];
    }
    const char *const from = data + a->data_at;
    int64_t at = row * stride[0];
    for (int64_t i = 0; i < a->cols; i++) {
        out[i] = element(a, from + (size_t)at * (size_t)a->size);
        for (int k = a->rank - 1; k > 0; k--) { /* the next index, the last dimension first */
            at += stride[k];
            if (++index[k] < a->dim[k]) break;
            at -= stride[k] * a->dim[k];
            index[k] = 0;
        }
    }
}

/* The fewest decimals, up to 6, that write every value of the column exactly; else 15: as many as
 * it takes. */
static int decimals_of(const mill_column *c)
{
    int d = 0;

    for (int64_t i = 0; i < c->rows; i++) {
        if (!column_is_valid(c, i)) continue;
        const double x = c->f64[i];
        while (d < 7 && !(fabs(x) < 1e9 && rint(x * power10_f64[d]) / power10_f64[d] == x)) d++;
        if (d == 7) return 15;
    }
    return d;
}

static mill_err set_element(mill_column *c, const npy_array *a, int64_t i, uint64_t bits)
{
    if (c->type == MILL_BOOLEAN) {
        c->code[i] = bits != 0;
    } else if (c->type == MILL_INTEGER) {
        c->i64[i] = to_i64(a, bits);
    } else {
        const double x = to_f64(a, bits);
        if (!isfinite(x)) return column_set_missing(c, i);
        c->f64[i] = x;
    }
    return MILL_OK;
}

static void announce_infinite(const char *name, const npy_array *a, const char *at, size_t stride)
{
    int64_t n = 0;

    for (int64_t i = 0; a->kind == 'f' && i < a->rows; i++)
        n += isinf(to_f64(a, element_bits(a, at + (size_t)i * stride))) != 0;
    if (n)
        mill_log(MILL_LOG_WARN, "column \"%s\": %lld infinite value%s taken for missing", name,
                 (long long)n, mill_s(n));
}

mill_err npy_column(mill_column *c, const char *name, const npy_array *a, const char *data,
                    int64_t col)
{
    const int64_t step = a->fortran ? 1 : a->cols, first = a->fortran ? col * a->rows : col;
    const char *at = data + a->data_at + (size_t)first * (size_t)a->size;
    const size_t stride = (size_t)step * (size_t)a->size;
    if (a->kind == 'M') return npy_time_column(c, name, a, at, stride);
    if (a->kind == 'U' || a->kind == 'S') return npy_text_column(c, name, a, at, stride);
    mill_coltype type = a->kind == 'b' ? MILL_BOOLEAN : a->kind == 'f' ? MILL_REAL : MILL_INTEGER;

    for (int64_t i = 0; a->kind == 'u' && a->size == 8 && i < a->rows; i++)
        if (element_bits(a, at + (size_t)i * stride) > INT64_MAX) type = MILL_REAL;
    TRY(column_init(c, name, type, a->rows));
    for (int64_t i = 0; i < a->rows; i++)
        TRY(set_element(c, a, i, element_bits(a, at + (size_t)i * stride)));
    announce_infinite(name, a, at, stride);
    if (type == MILL_REAL) c->decimals = decimals_of(c);
    if (type != MILL_BOOLEAN) return MILL_OK;
    static const int32_t offset[3] = {0, 5, 9};
    return column_set_dictionary(c, 2, offset, "FalseTrue");
}

mill_err npy_read(mill_table **out, const char *path, const csv_options *o)
{
    const void *data;
    size_t n;
    npy_array a;
    mill_table *t = NULL;

    TRY(file_map(&data, &n, path));
    mill_err err = npy_parse(&a, data, n, path);
    if (!err) err = npy_check_table(&a, path);
    if (!err) err = table_new(&t, a.rows, (int)a.cols);
    for (int j = 0; !err && j < t->n_cols; j++) {
        char name[24];
        snprintf(name, sizeof name, "c%d", j);
        err = npy_column(&t->col[j], name, &a, data, j);
    }
    file_unmap(data, n);
    if (!err) err = npy_apply_options(&t, path, o);
    if (err)
        mill_table_free(t);
    else
        *out = t;
    return err;
}

/* ---- options ---- */

static bool in_list(const char *list, const char *name)
{
    const size_t n = strlen(name);
    for (const char *p = list; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
        if (!strncmp(p, name, n) && (p[n] == ',' || !p[n])) return true;
    return false;
}

/* Names of the list must be there. */
static mill_err check_list(const mill_table *t, const char *path, const char *list,
                           const char *option)
{
    for (const char *p = list; p && *p;) {
        const int n = (int)strcspn(p, ",");
        bool found = false;
        for (int j = 0; j < t->n_cols; j++)
            found |= strlen(t->col[j].name) == (size_t)n && !strncmp(t->col[j].name, p, (size_t)n);
        if (!found)
            return mill_fail(MILL_EINPUT, "%s: %s: there is no column \"%.*s\"", path, option, n,
                             p);
        p += n + (p[n] == ',');
    }
    return MILL_OK;
}

static mill_err select_columns(mill_table **t, const char *path, const csv_options *o)
{
    int n = 0, *cols = mill_alloc((size_t)(*t)->n_cols, sizeof *cols);
    mill_table *chosen = NULL;

    if (!cols) return MILL_ENOMEM;
    for (int j = 0; j < (*t)->n_cols; j++) {
        const char *name = (*t)->col[j].name;
        if (o->columns && !in_list(o->columns, name)) continue;
        if (o->drop && in_list(o->drop, name)) continue;
        cols[n++] = j;
    }
    mill_err err = n ? table_take_cols(&chosen, *t, cols, n)
                     : mill_fail(MILL_EINPUT, "%s: no column is left", path);
    mill_free(cols);
    if (err) return err;
    mill_table_free(*t);
    *t = chosen;
    return MILL_OK;
}

mill_err npy_apply_options(mill_table **t, const char *path, const csv_options *o)
{
    if (!o) return MILL_OK;
    if (o->types)
        return mill_fail(MILL_EINPUT, "%s: --types is for CSV; this file has its own types", path);
    TRY(check_list(*t, path, o->columns, "--columns"));
    TRY(check_list(*t, path, o->drop, "--drop"));
    for (int i = 0; o->discrete && o->discrete[i]; i++)
        if (table_find(*t, o->discrete[i]) < 0)
            return mill_fail(MILL_EINPUT, "%s: -d: there is no column \"%s\"", path,
                             o->discrete[i]);
    if (o->columns || o->drop) TRY(select_columns(t, path, o));

    for (int j = 0; j < (*t)->n_cols; j++) {
        mill_column *c = &(*t)->col[j];
        const int k = o->like ? table_find(o->like, c->name) : -1;
        const mill_column *like = k < 0 ? NULL : &o->like->col[k];
        column_wish wish = {.type = MILL_CATEGORY, .path = path};
        if (like) wish = (column_wish){like->type, like->format, like, path};
        bool is_given = like != NULL;
        for (int i = 0; !like && o->discrete && o->discrete[i]; i++)
            is_given |= !strcmp(o->discrete[i], c->name);
        if (is_given) TRY(column_retype(c, &wish));
    }
    return MILL_OK;
}

/* ---- writing ---- */

size_t npy_header(char *buf, const char *descr, int64_t rows, int64_t cols)
{
    char shape[48];

    if (cols < 0)
        snprintf(shape, sizeof shape, "(%lld,)", (long long)rows);
    else
        snprintf(shape, sizeof shape, "(%lld, %lld)", (long long)rows, (long long)cols);
    int n = snprintf(buf + 10, 180, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", descr,
                     shape);
    while ((10 + n + 1) % 64) buf[10 + n++] = ' ';
    buf[10 + n++] = '\n';
    /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): bytes, no text */
    memcpy(buf, "\x93NUMPY\x01\x00", 8);
    buf[8] = (char)(n & 255);
    buf[9] = (char)(n >> 8);
    return 10 + (size_t)n;
}

static mill_err check_numeric(const mill_table *t, const char *path)
{
    for (int j = 0; j < t->n_cols; j++)
        if (t->col[j].type == MILL_CATEGORY || t->col[j].type == MILL_IDENTIFIER)
            return mill_fail(MILL_EINPUT,
                             "%s: column \"%s\" holds text, which is written to .npz and CSV only",
                             path, t->col[j].name);
    return MILL_OK;
}

/* 1 for the spelling of a boolean that means yes. */
int64_t npy_truth(const mill_column *c, int64_t i)
{
    int n;
    const char *s = column_value(c, c->code[i], &n);
    while (n && (*s == ' ' || *s == '\t')) s++, n--;
    return n && strchr("tTyY1", *s) != NULL;
}

static mill_err write_elements(mill_file *f, const mill_table *t, bool integers)
{
    enum { ROWS = 1024 };
    mill_err err = MILL_OK;
    int64_t *buf = mill_alloc((size_t)ROWS * (size_t)t->n_cols, sizeof *buf);

    if (!buf) return MILL_ENOMEM;
    for (int64_t from = 0; !err && from < t->rows; from += ROWS) {
        const int64_t n = t->rows - from < ROWS ? t->rows - from : ROWS;
        for (int64_t i = 0; i < n; i++)
            for (int j = 0; j < t->n_cols; j++) {
                const mill_column *c = &t->col[j];
                int64_t *at = &buf[i * t->n_cols + j];
                const bool flag = c->type == MILL_BOOLEAN && column_is_valid(c, from + i);
                const double x = flag ? (double)npy_truth(c, from + i) : column_f64(c, from + i);
                if (integers)
                    *at = flag ? npy_truth(c, from + i) : c->i64[from + i];
                else
                    memcpy(at, &x, sizeof x);
            }
        err = file_write(f, buf, (size_t)n * (size_t)t->n_cols * sizeof *buf);
    }
    mill_free(buf);
    return err;
}

mill_err npy_write(const mill_table *t, const char *path, bool force)
{
    char header[256];
    mill_file *f = NULL;
    bool integers = true;

    TRY(check_numeric(t, path));
    TRY(path_check_new(path, force));
    for (int j = 0; j < t->n_cols; j++)
        integers &= t->col[j].type != MILL_REAL && !t->col[j].n_missing;
    const size_t n = npy_header(header, integers ? "<i8" : "<f8", t->rows, t->n_cols);
    TRY(file_create_atomic(&f, path));
    mill_err err = file_write(f, header, n);
    if (!err) err = write_elements(f, t, integers);
    if (!err) err = file_commit(f);
    file_close(f);
    return err;
}
