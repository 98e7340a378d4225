/*
 * api.c - include/tabmill.h over the rooms below: warnings, engines and tables.
 *
 * The library's codes are mill_err's; its thread-local message is the caller's.
 */
#include "api/api.h"

#include "base/cpu.h"
#include "base/log.h"
#include "base/mem.h"
#include "table/csv.h"

#include <string.h>

_Static_assert(TABMILL_OK == (int)MILL_OK && TABMILL_ENOMEM == (int)MILL_ENOMEM &&
                   TABMILL_ESHAPE == (int)MILL_ESHAPE && TABMILL_EINPUT == (int)MILL_EINPUT &&
                   TABMILL_EIO == (int)MILL_EIO && TABMILL_EDEVICE == (int)MILL_EDEVICE,
               "the public codes are mill_err's");

const char *mill_version(void)
{
    return MILL_VERSION;
}

/* Written by mill_on_warning alone, which is a program's first call, before its threads. */
static mill_warning warning;

static void pass_on(void *ctx, mill_log_level level, const char *line)
{
    (void)level;
    if (warning) warning(ctx, line);
}

void mill_on_warning(mill_warning fn, void *ctx)
{
    warning = fn;
    mill_log_set(pass_on, ctx, MILL_LOG_WARN);
}

int mill_engine_open(mill_engine **out, int threads)
{
    TRY(mill_cpu_init());
    mill_engine *e = mill_alloc(1, sizeof *e);
    if (!e) return MILL_ENOMEM;
    const mill_err err = mill_pool_new(&e->pool, threads);
    if (err != MILL_OK) {
        mill_free(e);
        return err;
    }
    *out = e;
    return MILL_OK;
}

void mill_engine_close(mill_engine *e)
{
    if (!e) return;
    mill_pool_free(e->pool);
    mill_free(e);
}

const char *api_value(const char *option, const char *key)
{
    const size_t n = strlen(key);
    return !strncmp(option, key, n) && option[n] == '=' ? option + n + 1 : NULL;
}

static mill_err read_option(csv_options *o, const char **discrete, const char *option)
{
    const char *v;

    if ((v = api_value(option, "delimiter"))) {
        const bool is_tab = !strcmp(v, "\\t") || !strcmp(v, "tab");
        if (strlen(v) != 1 && !is_tab) {
            return mill_fail(MILL_EINPUT, "%s: a delimiter is one character", option);
        }
        o->delimiter = *(is_tab ? "\t" : v);
    } else if ((v = api_value(option, "header"))) {
        if (strcmp(v, "yes") != 0 && strcmp(v, "no") != 0) {
            return mill_fail(MILL_EINPUT, "%s: neither yes nor no", option);
        }
        o->header = !strcmp(v, "yes");
    } else if ((v = api_value(option, "na"))) {
        o->na = v;
    } else if ((v = api_value(option, "columns"))) {
        o->columns = v;
    } else if ((v = api_value(option, "drop"))) {
        o->drop = v;
    } else if ((v = api_value(option, "types"))) {
        o->types = v;
    } else if ((v = api_value(option, "discrete"))) {
        while (*discrete) discrete++;
        *discrete = v;
    } else {
        return mill_fail(MILL_EINPUT, "\"%s\": not an option of reading a table", option);
    }
    return MILL_OK;
}

int mill_table_open_like(mill_table **out, mill_engine *e, const char *path, const mill_table *like,
                         const char *const *options)
{
    API_ENTER;
    csv_options o = CSV_DEFAULTS;
    size_t n = 0;
    mill_err err = MILL_OK;

    while (options && options[n]) n++;
    const char **discrete = mill_alloc(n + 1, sizeof *discrete);
    if (!discrete) return MILL_ENOMEM;
    for (size_t i = 0; i < n && err == MILL_OK; i++) err = read_option(&o, discrete, options[i]);
    o.discrete = discrete;
    o.like = like;
    if (err == MILL_OK) err = mill_table_read(out, path, &o, e->pool);
    mill_free(discrete);
    return err;
}

int mill_table_open(mill_table **out, mill_engine *e, const char *path, const char *const *options)
{
    return mill_table_open_like(out, e, path, NULL, options);
}

int mill_table_save(const mill_table *t, mill_engine *e, const char *path, int force)
{
    API_ENTER;
    return mill_table_write(t, path, force != 0, e->pool);
}

int64_t mill_table_rows(const mill_table *t)
{
    return t->rows;
}

int mill_table_columns(const mill_table *t)
{
    return t->n_cols;
}

static const mill_column *find(const mill_table *t, int column)
{
    return column >= 0 && column < t->n_cols ? &t->col[column] : NULL;
}

const char *mill_table_name(const mill_table *t, int column)
{
    const mill_column *c = find(t, column);
    return c ? c->name : NULL;
}

const char *mill_table_type(const mill_table *t, int column)
{
    const mill_column *c = find(t, column);
    return c ? mill_coltype_name(c->type) : NULL;
}

int mill_table_number(double *value, const mill_table *t, int column, int64_t row)
{
    const mill_column *c = find(t, column);

    if (!c || row < 0 || row >= t->rows || column_has_codes(c) || !column_is_valid(c, row)) {
        return 0;
    }
    *value = column_f64(c, row);
    return 1;
}

int64_t mill_table_text(char *buf, int64_t size, const mill_table *t, int column, int64_t row)
{
    const mill_column *c = find(t, column);
    int len;

    if (!c || row < 0 || row >= t->rows || !column_has_codes(c) || !column_is_valid(c, row)) {
        return -1;
    }
    const char *s = column_value(c, c->code[row], &len);
    if (size > 0) {
        const size_t n = len < size ? (size_t)len : (size_t)size - 1;
        memcpy(buf, s, n);
        buf[n] = 0;
    }
    return len;
}
