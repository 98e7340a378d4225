/*
 * inspect.c - `tabmill inspect`: of a model, its method, columns and tensors; of a table, a types
 * file for `fit --types`.
 */
#include "cli/cli.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPT OPT_FIELD
typedef struct {
#include "cli/inspect.def"
} inspect_flags;
#undef OPT

typedef struct {
    inspect_flags inspect;
    column_options columns;
    csv_flags csv;
    talk_options talk;
} inspect_options;

#define OPT        OPT_ROW
#define OPT_STRUCT inspect_flags
static const opt_row rows[] = {
#include "cli/inspect.def"
    {0}};

static const opt_group groups[] = {
    {.title = "Options", .row = rows, .base = offsetof(inspect_options, inspect)},
    {.title = "Columns", .row = column_rows, .base = offsetof(inspect_options, columns)},
    {.title = "Reading CSV", .row = csv_rows, .base = offsetof(inspect_options, csv)},
    {.title = "Everywhere", .row = talk_rows, .base = offsetof(inspect_options, talk)},
};
const opt_set inspect_set = {
    .command = "inspect",
    .usage = "inspect FILE [--hash] [options]",
    .about = "Say what is in a file.  Of a model: method, columns, tensors.  Of a table: its types "
             "as JSON, which can be edited\n"
             "and handed to `tabmill fit --types`.",
    .group = groups,
    .n_groups = OPT_COUNT(groups),
    .size = sizeof(inspect_options),
    .least_args = 1,
    .most_args = 1,
    .args = "FILE",
};

static mill_err is_store(bool *yes, const char *path)
{
    char magic[8];
    size_t got = 0;
    mill_file *f;

    *yes = false;
    if (cli_is_pipe(path)) return MILL_OK; /* of a table, then: a model is mapped */
    TRY(cli_check_not_folder(path));
    TRY(cli_input_keep(path));
    TRY(file_open(&f, path));
    const mill_err err = file_pread(f, magic, sizeof magic, 0, &got);
    file_close(f);
    *yes = !err && got == sizeof magic && !memcmp(magic, STORE_MAGIC, sizeof magic);
    return err;
}

static void print_tensor(const store_tensor *t)
{
    printf("  %-32s %-5s", t->name, store_dtype_name(t->dtype));
    for (int i = 0; i < t->rank; i++) printf("%s%lld", i ? " x " : " ", (long long)t->dim[i]);
    printf("\n");
}

static void print_column(const synth_column *c)
{
    printf("  %-24s %-10s", c->name, mill_coltype_name(c->type));
    if (c->type == MILL_CATEGORY || c->type == MILL_BOOLEAN)
        printf(" %d value%s", c->n_values, mill_s(c->n_values));
    else if (c->type == MILL_INTEGER || c->type == MILL_REAL)
        printf(" %.10g .. %.10g", c->least, c->most);
    if (c->n_missing) printf(", %lld missing", (long long)c->n_missing);
    printf("\n");
}

static mill_err print_model(const store *s, const char *path)
{
    const json_t *meta = store_meta(s);
    const char *method = json_string_value(json_object_get(meta, "method"));
    const json_t *loop = json_object_get(meta, "loop");
    char hex[33];

    TRY(store_hash(hex, s));
    if (method) {
        synth_schema *schema;

        TRY(synth_schema_read(&schema, s));
        printf("%s: a model of %s, fitted on %lld row%s\n\ncolumns:\n", path, method,
               (long long)schema->rows, mill_s(schema->rows));
        for (int i = 0; i < schema->n; i++) print_column(&schema->col[i]);
        synth_schema_free(schema);
    } else if (loop) {
        printf("%s: a checkpoint of %s, step %lld\n", path,
               json_string_value(json_object_get(loop, "job")),
               (long long)json_integer_value(json_object_get(loop, "step")));
    } else {
        printf("%s: tensors\n", path);
    }
    printf("\ntensors:\n");
    for (int i = 0; i < store_n_tensors(s); i++) print_tensor(store_tensor_at(s, i));
    printf("\nhash %s\n", hex);
    return MILL_OK;
}

static mill_err inspect_store(const char *path, bool hash)
{
    char hex[33];
    store *s;

    TRY(store_open(&s, path));
    mill_err err = hash ? store_hash(hex, s) : print_model(s, path);
    if (hash && !err) puts(hex);
    store_close(s);
    return err;
}

static mill_err inspect_table(const opt_parsed *p, const inspect_options *o, mill_pool *pool)
{
    csv_options csv;
    mill_table *t = NULL;
    char *json = NULL;

    cli_csv_options(&csv, p, &o->csv, &o->columns);
    TRY(mill_table_read(&t, p->arg[0], &csv, pool));
    const mill_err err = mill_table_types_json(&json, t);
    if (!err) {
        const size_t n = strlen(json);
        fputs(json, stdout);
        if (!n || json[n - 1] != '\n') putchar('\n');
        cli_say("%s: %lld row%s, %d column%s", p->arg[0], (long long)t->rows, mill_s(t->rows),
                t->n_cols, mill_s(t->n_cols));
    }
    mill_free(json);
    mill_table_free(t);
    return err;
}

/* What is said of reading a table does nothing for a model. */
static mill_err check_for_model(const opt_parsed *p)
{
    const opt_group *g = NULL;
    const opt_row *r;

    for (int i = 0; (r = opt_row_at(p->set, i, &g)); i++)
        if (p->is_given[i] && (g->row == column_rows || g->row == csv_rows))
            return mill_fail(MILL_EINPUT, "%s: --%s is of tables, and this is a model", p->arg[0],
                             r->name);
    return MILL_OK;
}

int cmd_inspect(int argc, char **argv)
{
    inspect_options o;
    opt_parsed p;
    mill_pool *pool = NULL;
    bool yes = false;
    int status;

    if (opt_parse(&p, &status, &inspect_set, &o, argc, argv) == OPT_STOP) return status;
    if (!(status = cli_begin(&pool, &inspect_set, &o.talk))) {
        mill_err err = is_store(&yes, p.arg[0]);
        if (!err && yes) err = check_for_model(&p);
        if (!err && yes)
            err = inspect_store(p.arg[0], o.inspect.hash);
        else if (!err && o.inspect.hash)
            err = mill_fail(MILL_EINPUT, "%s: --hash is of models, and this is none", p.arg[0]);
        else if (!err)
            err = inspect_table(&p, &o, pool);
        if (err) status = cli_error(&inspect_set);
    }
    mill_pool_free(pool);
    opt_free(&p);
    return status;
}
