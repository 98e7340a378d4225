/*
 * prior_show.c - `tabmill prior show`: one data set, made alone, in words, as JSON, or drawn.
 *
 * Of which prior: that of a run's folder, or that of the options.
 */
#include "cli/prior.h"

#include "base/mem.h"
#include "base/text.h"
#include "cli/prior_page.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPT OPT_FIELD
typedef struct {
#include "cli/prior_show.def"
} show_flags;
#undef OPT
typedef struct {
    show_flags show;
    prior_source source;
    prior_config config;
    prior_talk talk;
} options;

#define OPT        OPT_ROW
#define OPT_STRUCT show_flags
static const opt_row rows[] = {
#include "cli/prior_show.def"
    {0}};

static const opt_group groups[] = {
    {.title = "What to show", .row = rows, .base = offsetof(options, show)},
    {.title = "The data sets", .row = prior_source_rows, .base = offsetof(options, source)},
    PRIOR_GROUP(offsetof(options, config)),
    {.title = "Everywhere", .row = prior_talk_rows, .base = offsetof(options, talk)},
};
static const opt_set prior_show_set = {
    .command = "prior show",
    .usage = "prior show [FOLDER] -i I [options]",
    .about = "Make one data set again, and show what it is: of a run's folder, or of the options.",
    .group = groups,
    .n_groups = OPT_COUNT(groups),
    .size = sizeof(options),
    .most_args = 1,
    .args = "FOLDER",
};

/* ---- in words ---- */

static void print_column(const prior_set *s, int j)
{
    const float *x = s->x + j * s->rows;
    double sum = 0, squares = 0;
    float least = x[0], most = x[0];

    for (int64_t i = 0; i < s->rows; i++) {
        sum += (double)x[i];
        least = x[i] < least ? x[i] : least;
        most = x[i] > most ? x[i] : most;
    }
    const double mean = sum / (double)s->rows;
    for (int64_t i = 0; i < s->rows; i++) squares += ((double)x[i] - mean) * ((double)x[i] - mean);
    printf("%8d  %-12s", j, s->levels[j] ? "category" : "number");
    if (s->levels[j])
        printf("%8d", s->levels[j]);
    else
        printf("%8s", "");
    printf("%11.4g%11.4g%11.4g%11.4g\n", mean, sqrt(squares / (double)s->rows), (double)least,
           (double)most);
}

static mill_err print_classes(const prior_set *s)
{
    int64_t *count = mill_alloc((size_t)s->classes * 2 + 1, sizeof *count);

    if (!count) return MILL_ENOMEM;
    for (int64_t i = 0; i < s->rows; i++) count[2 * (int64_t)s->y[i] + (i >= s->train_rows)]++;
    printf("\n   class     train      test\n");
    for (int64_t k = 0; k < s->classes; k++)
        printf("%8d%10lld%10lld\n", (int)k, (long long)count[2 * k], (long long)count[2 * k + 1]);
    mill_free(count);
    return MILL_OK;
}

static mill_err print_words(const prior_set *s, const json_t *structure)
{
    printf("data set %lld of %s\n\n", (long long)s->index, s->kind);
    printf("rows        %lld, of them %lld for training\n", (long long)s->rows,
           (long long)s->train_rows);
    printf("features    %d, files pad to %d\n", s->features, s->width);
    if (s->categorical_y)
        printf("classes     %d, largest over smallest %.3g\n", s->classes, s->imbalance);
    else
        printf("y           a number\n");
    printf("attempts    %d; rejected: %d empty, %d labels, %d filter, %d trivial\n", s->attempts,
           s->rejected[PRIOR_REJECT_EMPTY], s->rejected[PRIOR_REJECT_LABELS],
           s->rejected[PRIOR_REJECT_FILTER], s->rejected[PRIOR_REJECT_TRIVIAL]);
    printf("\n  column  type          levels       mean        std      least       most\n");
    for (int j = 0; j < s->features; j++) print_column(s, j);
    if (s->categorical_y) TRY(print_classes(s));
    char *text = json_dumps(structure, JSON_INDENT(1) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
    if (!text) return mill_fail(MILL_ENOMEM, "out of memory for the structure");
    printf("\nstructure\n%s\n", text);
    free(text);
    return MILL_OK;
}

static mill_err print_json(const prior_set *s)
{
    mill_text t = {0};

    prior_line(&t, s);
    const mill_err err = text_check(&t);
    json_t *o = err ? NULL : json_loadb(t.s, t.len, 0, NULL);
    text_free(&t);
    if (err) return err;
    if (!o)
        return mill_fail(MILL_EINPUT, "the structure of data set %lld is no JSON",
                         (long long)s->index);
    json_dumpf(o, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(o);
    return MILL_OK;
}

/* ---- the command ---- */

static mill_err draw(const prior_set *s, const json_t *structure, const char *path)
{
    mill_text t = {0};
    mill_err err = prior_page(&t, s, structure);

    if (!err) err = text_check(&t);
    if (!err) err = file_write_all(path, t.s, t.len);
    text_free(&t);
    if (!err) cli_say("drawn into %s", path);
    return err;
}

static mill_err show(const prior_config *c, const show_flags *o)
{
    prior_maker *maker;
    prior_set set;
    json_t *structure = NULL;

    TRY(prior_maker_new(&maker, c));
    mill_err err = prior_make(&set, maker, o->index, true);
    if (!err) {
        structure = json_loadb(set.structure, set.structure_len, 0, NULL);
        if (!structure)
            err = mill_fail(MILL_EINPUT, "the structure of data set %lld is no JSON",
                            (long long)o->index);
    }
    if (!err && o->output) err = draw(&set, structure, o->output);
    if (!err && o->json) err = print_json(&set);
    if (!err && !o->json && !o->output) err = print_words(&set, structure);
    json_decref(structure);
    prior_maker_free(maker);
    return err;
}

/* Options of the prior beside a folder would do nothing. */
static int check_alone(const opt_parsed *p)
{
    const opt_group *g = NULL;
    const opt_row *r;

    for (int i = 0; (r = opt_row_at(p->set, i, &g)); i++)
        if (p->is_given[i] && (g->row == prior_rows || g->row == prior_source_rows))
            return opt_usage_error(p->set, "--%s does nothing beside FOLDER, whose manifest counts",
                                   r->name);
    return 0;
}

static int run(const opt_parsed *p, options *o)
{
    const char *dir = p->n_args ? p->arg[0] : NULL;
    prior_manifest m = {0};
    int status = dir ? check_alone(p) : cli_prior_config(&o->config, p, &o->source);

    if (status) return status;
    if (!opt_is_given(p, &o->show.index)) return opt_usage_error(p->set, "--index I is missing");
    cli_talk(p->set, o->talk.quiet);
    mill_err err = dir ? prior_manifest_read(&m, dir) : MILL_OK;
    if (!err && o->show.output) err = cli_check_output(o->show.output, o->show.force);
    if (!err && dir && (o->show.index < m.first || o->show.index >= m.first + m.n))
        err = mill_fail(MILL_EINPUT, "%s: holds data sets %lld to %lld", dir, (long long)m.first,
                        (long long)(m.first + m.n - 1));
    if (!err) err = show(dir ? &m.config : &o->config, &o->show);
    prior_manifest_free(&m);
    return err ? cli_error(p->set) : 0;
}

int cmd_prior_show(int argc, char **argv)
{
    options o;
    opt_parsed p;
    int status;

    if (opt_parse(&p, &status, &prior_show_set, &o, argc, argv) == OPT_STOP) return status;
    status = run(&p, &o);
    opt_free(&p);
    return status;
}
