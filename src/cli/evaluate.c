/*
 * evaluate.c - `tabmill evaluate`: how good, useful and safe synthetic tables are.
 *
 * One report for each synthetic table (eval/evaluate.h).  One table: the report is the JSON;
 * several: an object with `reports`, in the order of the command line.  Either has `run`: what was
 * read, and the model.  The page is drawn from that JSON alone (report/page.h).
 *
 * With --nproc N the tables are dealt to N processes, which hand their reports back as JSON through
 * pipes; so the result does not depend on N.
 */
#include "cli/cli.h"

#include "base/cpu.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "eval/evaluate.h"
#include "eval/headline.h"
#include "report/page.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_TABLES = 64 };

#define OPT OPT_FIELD
typedef struct {
#include "cli/evaluate.def"
} evaluate_flags;
#undef OPT

typedef struct {
    evaluate_flags evaluate;
    column_options columns;
    csv_flags csv;
    talk_options talk;
} evaluate_options;

#define OPT        OPT_ROW
#define OPT_STRUCT evaluate_flags
static const opt_row rows[] = {
#include "cli/evaluate.def"
    {0}};

static const opt_group groups[] = {
    {.title = "Options", .row = rows, .base = offsetof(evaluate_options, evaluate)},
    {.title = "Columns (of the real table, which the others are read like)",
     .row = column_rows,
     .base = offsetof(evaluate_options, columns)},
    {.title = "Reading CSV", .row = csv_rows, .base = offsetof(evaluate_options, csv)},
    {.title = "Everywhere", .row = talk_rows, .base = offsetof(evaluate_options, talk)},
};
const opt_set evaluate_set = {
    .command = "evaluate",
    .usage = "evaluate REAL SYNTHETIC [SYNTHETIC ...] [--holdout FILE] [--target COLUMN] "
             "[-o FILE.html] [--json FILE] [options]",
    .about = "Compare synthetic tables with the real one: shapes of columns, trends of pairs, "
             "validity, what models learn from\n"
             "them, whether models can tell them apart, and what they tell of the rows that they "
             "were learnt from.",
    .group = groups,
    .n_groups = OPT_COUNT(groups),
    .size = sizeof(evaluate_options),
    .least_args = 2,
    .most_args = 1 + MOST_TABLES,
    .args = "REAL or SYNTHETIC",
};

typedef struct {
    const opt_parsed *p;
    const evaluate_options *o;
    mill_pool *pool;
    mill_table *real, *holdout;
    double *likelihood[2];
    char no_likelihood[128];
    json_t *run, *model;               /* what was read */
    json_t *report[MOST_TABLES], *all; /* all: what is written */
    mill_text text;
} evaluate_work;

static int n_tables(const evaluate_work *w)
{
    return w->p->n_args - 1;
}

/* ---- what is read ---- */

static mill_err no_memory(void)
{
    return mill_fail(MILL_ENOMEM, "out of memory for the report");
}

/* {path, bytes, hash, rows}; stdin and pipes have no hash: they are gone. */
static mill_err note_input(json_t *to, const char *key, const char *path, const mill_table *t)
{
    char hash[33] = "";
    int64_t bytes = 0;
    json_t *value;

    if (strcmp(path, "-") != 0 && !cli_is_pipe(path)) TRY(cli_hash_file(hash, &bytes, path));
    if (*hash)
        value = json_pack("{s:o, s:I, s:s, s:I}", "path", mill_json_path(path), "bytes",
                          (json_int_t)bytes, "xxh3", hash, "rows", (json_int_t)t->rows);
    else
        value = json_pack("{s:o, s:I}", "path", mill_json_path(path), "rows", (json_int_t)t->rows);
    if (json_is_array(to) ? json_array_append_new(to, value) : json_object_set_new(to, key, value))
        return no_memory();
    return MILL_OK;
}

static mill_err csv_like(csv_options *csv, const evaluate_work *w)
{
    cli_csv_options(csv, w->p, &w->o->csv, &w->o->columns);
    csv->like = w->real;
    csv->types = NULL; /* they are the real table's by now */
    csv->discrete = NULL;
    csv->columns = NULL; /* only what both have is compared */
    csv->drop = NULL;
    return MILL_OK;
}

/* A value that is not of the real column's type: what would mend it is said. */
static mill_err read_like_real(mill_table **out, const char *path, const csv_options *csv,
                               mill_pool *pool)
{
    const mill_err err = mill_table_read(out, path, csv, pool);
    char words[512];

    if (err != MILL_EINPUT || !strstr(mill_error(), "\" is not a")) return err; /* a, an: a type */
    snprintf(words, sizeof words, "%s", mill_error());
    return mill_fail(err,
                     "%s, as in the real table; mend the value, or have both read as categories: "
                     "--discrete COLUMN",
                     words);
}

static mill_err read_real(evaluate_work *w)
{
    const char *path = w->p->arg[0], *holdout = w->o->evaluate.holdout;
    csv_options csv;

    cli_csv_options(&csv, w->p, &w->o->csv, &w->o->columns);
    TRY(mill_table_read(&w->real, path, &csv, w->pool));
    if (!(w->run = json_object())) return no_memory();
    if (json_object_set_new(w->run, "version", json_string(MILL_VERSION))) return no_memory();
    TRY(note_input(w->run, "real", path, w->real));
    TRY(csv_like(&csv, w));
    if (holdout) {
        TRY(read_like_real(&w->holdout, holdout, &csv, w->pool));
        TRY(note_input(w->run, "holdout", holdout, w->holdout));
    }
    return MILL_OK;
}

/* Log-likelihoods of a table's rows, read again as the model knows its columns. */
static mill_err score_rows(double **out, const evaluate_work *w, const synth_model *m,
                           const char *path, const mill_table *like)
{
    mill_table *t = NULL;
    csv_options csv;

    if (!strcmp(path, "-") || cli_is_pipe(path))
        return mill_fail(MILL_EINPUT, "with --model the real table and the holdout are files: they "
                                      "are read twice");
    cli_csv_options(&csv, w->p, &w->o->csv, NULL);
    csv.like = like;
    TRY(mill_table_read(&t, path, &csv, w->pool));
    mill_err err = MILL_OK;
    if (!(*out = mill_alloc((size_t)t->rows, sizeof **out)))
        err = MILL_ENOMEM;
    else
        err = m->method->score(m->model, *out, t);
    mill_table_free(t);
    return err;
}

static mill_err read_model(evaluate_work *w)
{
    const char *path = w->o->evaluate.model, *paths[2] = {w->p->arg[0], w->o->evaluate.holdout};
    synth_model *m = NULL;
    mill_table *like = NULL;
    mill_err err;

    if (!path) return MILL_OK;
    TRY(cli_model_open(&m, path, w->pool));
    json_t *const config = json_object_get(store_meta(m->file), "config");
    w->model =
        json_pack("{s:o, s:s, s:O?, s:o}", "path", mill_json_path(path), "method", m->method->name,
                  "options", config, "manifest", cli_fit_manifest(path, config));
    err = w->model && !json_object_set(w->run, "model", w->model) ? MILL_OK : no_memory();
    if (!m->method->score)
        snprintf(w->no_likelihood, sizeof w->no_likelihood, "a model of %s has no likelihood",
                 m->method->name);
    else if (!paths[1])
        snprintf(w->no_likelihood, sizeof w->no_likelihood, "no holdout was given");
    else if (!err)
        err = synth_schema_table(&like, m->schema, 0);
    for (int t = 0; !err && like && t < 2; t++)
        err = score_rows(&w->likelihood[t], w, m, paths[t], like);
    mill_table_free(like);
    synth_model_close(m);
    return err;
}

/* ---- a synthetic table ---- */

static mill_err evaluate_table(json_t **report, evaluate_work *w, int k)
{
    const evaluate_flags *f = &w->o->evaluate;
    const char *path = w->p->arg[1 + k];
    mill_table *syn = NULL;
    csv_options csv;
    const eval_options eval = {
        .holdout = w->holdout,
        .target = f->target,
        .sdmetrics_compat = f->sdmetrics_compat,
        .seed = (uint64_t)f->seed,
        .max_rows = f->max_rows,
        .key = f->key,
        .sensitive = f->sensitive,
        .known = f->known.item,
        .n_known = f->known.n,
        .likelihood = {w->likelihood[0], w->likelihood[1]},
        .no_likelihood = *w->no_likelihood ? w->no_likelihood : NULL,
    };

    TRY(csv_like(&csv, w));
    TRY(read_like_real(&syn, path, &csv, w->pool));
    mill_err err = mill_evaluate(report, w->real, syn, &eval, w->pool);
    if (!err) err = note_input(*report, "input", path, syn);
    mill_table_free(syn);
    return err;
}

/* In a process of its own, which ends with its parent: every n-th table from `first`, a line of
 * JSON each, to fd. */
static int work_for(evaluate_work *w, int first, int n, int fd, pid_t parent)
{
    const talk_options *talk = &w->o->talk;
    FILE *const to = fdopen(fd, "w");
    int threads = (int)talk->threads;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!to || getppid() != parent) return 1;
    if (threads <= 0) threads = (mill_cpu_count() + n - 1) / n;
    if (mill_pool_new(&w->pool, threads)) return cli_error(&evaluate_set);
    for (int k = first; k < n_tables(w); k += n) {
        if (evaluate_table(&w->report[k], w, k)) return cli_error(&evaluate_set);
        if (json_dumpf(w->report[k], to, JSON_COMPACT) || fputc('\n', to) == EOF) return 1;
    }
    return fclose(to) ? 1 : 0;
}

/* The reports of one process, which has ended its lines. */
static mill_err take_reports(evaluate_work *w, int first, int n, int fd)
{
    FILE *const from = fdopen(fd, "r");
    mill_err err = from ? MILL_OK : mill_fail(MILL_EIO, "a pipe: %s", strerror(errno));

    for (int k = first; !err && k < n_tables(w); k += n) {
        json_error_t why;
        w->report[k] = json_loadf(from, JSON_DISABLE_EOF_CHECK, &why);
        if (!w->report[k])
            err = mill_fail(MILL_EIO, "the process that evaluates %s ended without a report",
                            w->p->arg[1 + k]);
    }
    if (from)
        fclose(from);
    else
        close(fd);
    return err;
}

/* Process k of n; its reports are read from *fd. */
static mill_err start_worker(pid_t *pid, int *fd, evaluate_work *w, int k, int n)
{
    const pid_t parent = getpid();
    mill_err err = MILL_OK;
    int end[2];

    if (pipe(end)) return mill_fail(MILL_EIO, "a pipe: %s", strerror(errno));
    if ((*pid = fork()) == 0) {
        close(end[0]);
        _exit(work_for(w, k, n, end[1], parent));
    }
    if (*pid < 0) {
        err = mill_fail(MILL_EIO, "a process: %s", strerror(errno));
        close(end[0]);
    }
    close(end[1]);
    *fd = end[0];
    return err;
}

/* Forked before the pool of this process has any thread. */
static mill_err evaluate_shared(evaluate_work *w, int n)
{
    int fd[MOST_TABLES], status, started = 0;
    pid_t pid[MOST_TABLES];
    mill_err err = MILL_OK;

    mill_pool_free(w->pool);
    w->pool = NULL;
    fflush(NULL);
    while (!err && started < n) {
        err = start_worker(&pid[started], &fd[started], w, started, n);
        started += !err;
    }
    for (int k = 0; k < started; k++) {
        if (err)
            close(fd[k]);
        else
            err = take_reports(w, k, n, fd[k]);
    }
    for (int k = 0; k < started; k++) {
        if (err) kill(pid[k], SIGTERM); /* nobody waits for its report */
        while (waitpid(pid[k], &status, 0) < 0 && errno == EINTR) continue;
        if (!err && (!WIFEXITED(status) || WEXITSTATUS(status)))
            err = mill_fail(MILL_EIO, "the process that evaluates %s failed", w->p->arg[1 + k]);
    }
    return err;
}

static mill_err evaluate_tables(evaluate_work *w)
{
    int n = (int)w->o->evaluate.nproc;

    if (n > n_tables(w)) {
        cli_say("--nproc %d: a process takes whole tables, and there %s %d; its threads share one",
                n, n_tables(w) == 1 ? "is" : "are", n_tables(w));
        n = n_tables(w);
    }
    if (n > 1) return evaluate_shared(w, n);
    for (int k = 0; k < n_tables(w); k++) TRY(evaluate_table(&w->report[k], w, k));
    return MILL_OK;
}

/* ---- what is written ---- */

static mill_err put_together(evaluate_work *w)
{
    if (n_tables(w) == 1) {
        w->all = json_incref(w->report[0]);
        return json_object_set(w->all, "run", w->run) ? no_memory() : MILL_OK;
    }
    json_t *const reports = json_array();
    for (int k = 0; k < n_tables(w); k++)
        if (json_array_append(reports, w->report[k])) return no_memory();
    w->all = json_pack("{s:s, s:i, s:O, s:o}", "format", "tabmill evaluation", "version",
                       EVAL_VERSION, "run", w->run, "reports", reports);
    return w->all ? MILL_OK : no_memory();
}

static mill_err write_json(const evaluate_work *w, const char *path)
{
    char *text;
    mill_err err = MILL_OK;

    TRY(mill_evaluate_json(&text, w->all));
    if (!strcmp(path, "-"))
        puts(text);
    else
        err = file_write_all(path, text, strlen(text));
    mill_free(text);
    return err;
}

static mill_err write_page(const evaluate_work *w, const char *path)
{
    mill_text page = {0};
    mill_err err = report_page(&page, w->all);

    if (!err) err = file_write_all(path, page.s, page.len);
    text_free(&page);
    return err;
}

/* METRIC=VALUE; false, and a usage error, if it is none of them. */
static bool read_bound(const eval_headline **h, double *least, const char *text)
{
    const char *eq = strchr(text, '=');
    char name[96];

    if (!eq || (size_t)(eq - text) >= sizeof name ||
        !mill_parse_f64(least, eq + 1, strlen(eq + 1))) {
        opt_usage_error(&evaluate_set, "--fail-under %s: METRIC=VALUE is wanted, a number", text);
        return false;
    }
    snprintf(name, sizeof name, "%.*s", (int)(eq - text), text);
    *h = eval_headline_find(name);
    if (*h && (*h)->better == HEADLINE_HIGH) return true;
    if (*h)
        opt_usage_error(&evaluate_set, "--fail-under %s: more of it is not better", name);
    else
        opt_usage_error(&evaluate_set,
                        "--fail-under %s: there is no such figure; docs/evaluate.md "
                        "lists them",
                        name);
    return false;
}

/* Whether every table is at or above every bound; what is below is said. */
static bool holds_bounds(const evaluate_work *w)
{
    const opt_list *bounds = &w->o->evaluate.fail_under;
    bool holds = true;

    for (int b = 0; b < bounds->n; b++) {
        const eval_headline *h;
        double least;

        if (!read_bound(&h, &least, bounds->item[b])) return false;
        for (int k = 0; k < n_tables(w); k++) {
            const json_t *value = eval_at(w->report[k], h->path);
            if (json_is_number(value) && json_number_value(value) >= least) continue;
            holds = false;
            if (json_is_number(value))
                mill_fail(MILL_EINPUT, "%s: %s is %.6g, below %g", w->p->arg[1 + k], h->path,
                          json_number_value(value), least);
            else
                mill_fail(MILL_EINPUT, "%s: %s was not computed, see \"skipped\" in the JSON",
                          w->p->arg[1 + k], h->path);
            cli_error(&evaluate_set);
        }
    }
    return holds;
}

static mill_err print_summaries(evaluate_work *w)
{
    for (int k = 0; k < n_tables(w); k++) {
        text_clear(&w->text);
        if (n_tables(w) > 1) text_add(&w->text, "%s%s\n", k ? "\n" : "", w->p->arg[1 + k]);
        TRY(mill_evaluate_summary(&w->text, w->report[k]));
        fputs(w->text.s ? w->text.s : "", stdout);
    }
    return MILL_OK;
}

/* A report must not take the place of a table, of the model or of the other report. */
static mill_err check_output(const evaluate_work *w, const char *path)
{
    const evaluate_flags *f = &w->o->evaluate;

    if (!path) return MILL_OK;
    for (int i = 0; i < w->p->n_args; i++) TRY(cli_check_apart(path, w->p->arg[i]));
    TRY(cli_check_apart(path, f->holdout));
    TRY(cli_check_apart(path, f->model));
    return cli_check_output(path, f->force);
}

static mill_err evaluate(evaluate_work *w)
{
    const evaluate_flags *f = &w->o->evaluate;

    TRY(check_output(w, f->json));
    TRY(check_output(w, f->output));
    TRY(read_real(w));
    TRY(read_model(w));
    if (w->model && n_tables(w) > 1)
        cli_say("%s is taken for the model of all %d tables", f->model, n_tables(w));
    TRY(evaluate_tables(w));
    TRY(put_together(w));
    if (f->json) TRY(write_json(w, f->json));
    if (f->json && f->output && cli_is_same_file(f->output, f->json))
        return mill_fail(MILL_EINPUT, "%s: the JSON was just written there", f->output);
    if (f->output) TRY(write_page(w, f->output));
    return f->json && !strcmp(f->json, "-") ? MILL_OK : print_summaries(w);
}

/* What can be refused before any table is read. */
static int check_usage(const opt_parsed *p, const evaluate_options *o)
{
    const eval_headline *h;
    double least;
    int n_stdin = o->evaluate.holdout && !strcmp(o->evaluate.holdout, "-");

    for (int i = 0; i < p->n_args; i++) n_stdin += !strcmp(p->arg[i], "-");
    if (n_stdin > 1) return opt_usage_error(&evaluate_set, "one of the tables can be stdin");
    for (int b = 0; b < o->evaluate.fail_under.n; b++)
        if (!read_bound(&h, &least, o->evaluate.fail_under.item[b])) return 2;
    if (o->evaluate.output && !strcmp(o->evaluate.output, "-"))
        return opt_usage_error(&evaluate_set, "-o -: a page is written to a file");
    if (o->evaluate.output && o->evaluate.json && !strcmp(o->evaluate.output, o->evaluate.json))
        return opt_usage_error(&evaluate_set, "-o and --json name one file");
    return 0;
}

static void work_deinit(evaluate_work *w)
{
    text_free(&w->text);
    json_decref(w->all);
    for (int k = 0; k < MOST_TABLES; k++) json_decref(w->report[k]);
    json_decref(w->run);
    json_decref(w->model);
    for (int t = 0; t < 2; t++) mill_free(w->likelihood[t]);
    mill_table_free(w->holdout);
    mill_table_free(w->real);
    mill_pool_free(w->pool);
}

int cmd_evaluate(int argc, char **argv)
{
    evaluate_options o;
    evaluate_work w = {.o = &o};
    opt_parsed p;
    int status;

    if (opt_parse(&p, &status, &evaluate_set, &o, argc, argv) == OPT_STOP) return status;
    w.p = &p;
    status = check_usage(&p, &o);
    if (!status) status = cli_begin(&w.pool, &evaluate_set, &o.talk);
    if (!status && evaluate(&w)) status = cli_error(&evaluate_set);
    if (!status && !holds_bounds(&w)) status = 1;
    work_deinit(&w);
    opt_free(&p);
    return status;
}
