/*
 * estimate.c - `tabmill estimate`: peak memory of a fit and of sampling, from the plan, before
 * anything is allocated.
 *
 * What a fit takes is what the process holds when it begins (program, table) and what the plan of
 * the method adds to it.
 */
#include "cli/cli.h"

#include "base/cpu.h"
#include "base/mem.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPT OPT_FIELD
typedef struct {
#include "cli/estimate.def"
} estimate_flags;
#undef OPT

typedef struct {
    estimate_flags estimate;
    synth_config synth;
    column_options columns;
    csv_flags csv;
    talk_options talk;
} estimate_options;

#define OPT        OPT_ROW
#define OPT_STRUCT estimate_flags
static const opt_row rows[] = {
#include "cli/estimate.def"
    {0}};

static const opt_group groups[] = {
    {.title = "Options", .row = rows, .base = offsetof(estimate_options, estimate)},
    {.title = "Training (the methods that an option belongs to stand behind it)",
     .row = synth_rows,
     .base = offsetof(estimate_options, synth),
     .names_methods = true},
    {.title = "Columns", .row = column_rows, .base = offsetof(estimate_options, columns)},
    {.title = "Reading CSV", .row = csv_rows, .base = offsetof(estimate_options, csv)},
    {.title = "Everywhere", .row = talk_rows, .base = offsetof(estimate_options, talk)},
};
const opt_set estimate_set = {
    .command = "estimate",
    .usage = "estimate -i data.csv | --n-rows R --n-columns C  [-m METHOD] [options]",
    .about = "Say how much memory a fit and sampling will take, and the largest batch that fits.",
    .group = groups,
    .n_groups = OPT_COUNT(groups),
    .size = sizeof(estimate_options),
};

enum { ASSUMED_VALUES = 20, DRAW_ROWS = 10000 /* the default of sample's --batch-size */ };

/*
 * A table of 20 rows that stands for R x C: every other column a number, the others categories of
 * 20 values.  Its schema is then told the rows that are assumed.
 */
static mill_err assumed_table(mill_table **out, int64_t n_columns)
{
    int32_t offset[ASSUMED_VALUES + 1];
    char text[2 * ASSUMED_VALUES], name[32];
    mill_table *t;
    mill_err err = MILL_OK;

    for (size_t i = 0; i < ASSUMED_VALUES; i++) {
        offset[i] = (int32_t)(2 * i);
        text[2 * i] = (char)('0' + i / 10);
        text[2 * i + 1] = (char)('0' + i % 10);
    }
    offset[ASSUMED_VALUES] = 2 * ASSUMED_VALUES;
    TRY(table_new(&t, ASSUMED_VALUES, (int)n_columns));
    for (int c = 0; c < (int)n_columns && !err; c++) {
        mill_column *col = &t->col[c];

        snprintf(name, sizeof name, "c%d", c);
        err = column_init(col, name, c % 2 ? MILL_CATEGORY : MILL_REAL, ASSUMED_VALUES);
        if (!err && c % 2) err = column_set_dictionary(col, ASSUMED_VALUES, offset, text);
        for (int i = 0; i < ASSUMED_VALUES && !err; i++) {
            if (c % 2)
                col->code[i] = i;
            else
                col->f64[i] = i + 0.5;
        }
    }
    if (err)
        mill_table_free(t);
    else
        *out = t;
    return err;
}

/* start: what the process held before it read the table; sampling never sees it. */
static mill_err print_estimate(const estimate_options *o, const synth_schema *s, int threads,
                               int64_t start)
{
    const synth_method *m = synth_method_find(o->synth.method);
    const int64_t assumed = o->estimate.input ? 0 : synth_table_bytes(s, s->rows);
    const int64_t program = mill_cpu_rss_bytes() + cli_library_bytes(m) + assumed;
    const int64_t limit =
        o->estimate.memory_limit ? o->estimate.memory_limit : mill_cpu_memory_bytes();
    int64_t fit_bytes, sample_bytes;
    char a[32], b[32], c[32];

    TRY(m->estimate(&fit_bytes, &sample_bytes, s, &o->synth, threads));
    const int64_t batch = cli_largest_batch(m, s, &o->synth, threads, limit - program);
    printf("method         %s\n", m->name);
    printf("table          %lld row%s, %d column%s\n", (long long)s->rows, mill_s(s->rows), s->n,
           mill_s(s->n));
    printf("threads        %d\n", threads);
    printf("fit peak       %s (%s for program and table, %s by the plan)\n",
           mill_format_size(a, (double)(program + fit_bytes)), mill_format_size(b, (double)program),
           mill_format_size(c, (double)fit_bytes));
    if (!strcmp(m->name, "mixture") && !o->synth.components)
        printf("components     are to be chosen: the most that may be tried, fewer take less\n");
    sample_bytes += start + cli_library_bytes(m) + cli_draw_bytes(s, DRAW_ROWS);
    printf("sampling peak  %s (in batches of %d rows)\n", mill_format_size(a, (double)sample_bytes),
           DRAW_ROWS);
    printf("limit          %s%s\n", mill_format_size(a, (double)limit),
           o->estimate.memory_limit ? "" : " (the memory there is)");
    if (batch)
        printf("largest batch  %lld\n", (long long)batch);
    else if (program + fit_bytes <= limit)
        printf("largest batch  %s has none, and the fit is within the limit\n", m->name);
    else
        printf("largest batch  none is within the limit\n");
    return MILL_OK;
}

static mill_err read_or_assume(mill_table **t, const opt_parsed *p, estimate_options *o,
                               mill_pool *pool)
{
    csv_options csv;

    if (!o->estimate.input) return assumed_table(t, o->estimate.n_columns);
    cli_csv_options(&csv, p, &o->csv, &o->columns);
    return mill_table_read(t, o->estimate.input, &csv, pool);
}

static int estimate(const opt_parsed *p, estimate_options *o, mill_pool *pool)
{
    char why[256] = "";
    mill_table *t = NULL;
    synth_schema *s = NULL;
    const int64_t start = mill_cpu_rss_bytes();
    int status = cli_check_method(&estimate_set, o->estimate.method);

    if (status) return status;
    mill_err err = read_or_assume(&t, p, o, pool);
    if (!err) err = synth_choose(&o->synth.method, why, o->estimate.method, t);
    if (!err && (status = cli_check_used(p, o->synth.method))) goto done;
    if (!err && synth_config_check(&o->synth)) {
        status = opt_usage_error(&estimate_set, "%s", mill_error());
        goto done;
    }
    if (!err) synth_config_settle(&o->synth, opt_is_given(p, &o->synth.probe_every));
    if (!err) err = synth_schema_fit(&s, t, &o->synth);
    if (!err && !o->estimate.input) {
        s->rows = o->estimate.n_rows;
        cli_say("assumed: half of the columns are numbers with 10 components, half categories of "
                "20 values, nothing missing");
    }
    if (!err) err = print_estimate(o, s, mill_pool_threads(pool), start);
    if (err) status = cli_error(&estimate_set);
done:
    synth_schema_free(s);
    mill_table_free(t);
    return status;
}

int cmd_estimate(int argc, char **argv)
{
    estimate_options o;
    opt_parsed p;
    mill_pool *pool = NULL;
    int status;

    if (opt_parse(&p, &status, &estimate_set, &o, argc, argv) == OPT_STOP) return status;
    const bool is_assumed = o.estimate.n_rows && o.estimate.n_columns;
    if (!o.estimate.input && !is_assumed)
        status = opt_usage_error(&estimate_set,
                                 "-i TABLE, or both --n-rows and --n-columns, are missing");
    else if (o.estimate.input && (o.estimate.n_rows || o.estimate.n_columns))
        status =
            opt_usage_error(&estimate_set, "-i TABLE and --n-rows, --n-columns exclude each other");
    else if (!(status = cli_begin(&pool, &estimate_set, &o.talk)))
        status = estimate(&p, &o, pool);
    mill_pool_free(pool);
    opt_free(&p);
    return status;
}
