/*
 * summary.c - the report as lines for a terminal.
 *
 *     real 32561 rows, synthetic 10000 rows
 *                                           expected
 *     shapes                         0.9951   0.9964
 *     ...
 *                          train on synthetic   on real    ratio
 *     logistic       auc               0.8902    0.9071   0.9813
 */
#include "eval/evaluate.h"

#include "base/json.h"
#include "base/text.h"
#include "eval/headline.h"

#include <string.h>

static void cell(mill_text *t, int width, const json_t *value)
{
    char buf[EVAL_FIGURE];
    const bool is_there = json_is_number(value);

    text_add(t, " %*s", width, is_there ? eval_figure(buf, json_number_value(value)) : "-");
}

/* A figure and what a second real sample would have, or why there is none. */
static void number_line(mill_text *t, const char *name, const json_t *report, const char *path,
                        const char *expected)
{
    const json_t *value = eval_at(report, path), *most = eval_at(report, expected);
    const char *why = json_is_number(value) ? NULL : eval_why_not(report, path);

    text_add(t, "%-28s", name);
    cell(t, 8, value);
    if (why)
        text_add(t, "   %s", why);
    else if (json_is_number(most))
        cell(t, 8, most);
    text_add(t, "\n");
}

static void rows_line(mill_text *t, const json_t *report)
{
    const json_t *rows = json_object_get(report, "rows"),
                 *holdout = json_object_get(rows, "holdout");

    const long long real = json_integer_value(json_object_get(rows, "real")),
                    synthetic = json_integer_value(json_object_get(rows, "synthetic")),
                    held_out = json_integer_value(holdout);

    text_add(t, "real %lld row%s, synthetic %lld row%s", real, mill_s(real), synthetic,
             mill_s(synthetic));
    if (json_is_integer(holdout)) text_add(t, ", holdout %lld row%s", held_out, mill_s(held_out));
    text_add(t, ", seed %lld\n\n", (long long)json_integer_value(json_object_get(report, "seed")));
}

static void utility_lines(mill_text *t, json_t *utility)
{
    static const char *const learners[] = {"logistic", "linear", "boosted_trees"};
    const char *metric;
    json_t *value;

    text_add(t, "\nutility: %s of \"%s\", tested on %s\n",
             json_string_value(json_object_get(utility, "task")),
             json_string_value(json_object_get(utility, "target")),
             json_string_value(json_object_get(utility, "test")));
    text_add(t, "%-24s %11s %11s %11s\n", "", "synthetic", "real", "ratio");
    for (size_t l = 0; l < sizeof learners / sizeof *learners; l++) {
        json_t *const of = json_object_get(utility, learners[l]);
        json_t *const syn = json_object_get(of, "train_on_synthetic");

        json_object_foreach(syn, metric, value)
        {
            text_add(t, "%-15s %-8s", learners[l], metric);
            cell(t, 11, value);
            cell(t, 11, json_object_get(json_object_get(of, "train_on_real"), metric));
            cell(t, 11, json_object_get(json_object_get(of, "ratio"), metric));
            text_add(t, "\n");
        }
    }
}

/* The figures of a group that are there, beside what a second real sample would have. */
static void headline_lines(mill_text *t, const json_t *report, const char *group)
{
    bool is_first = true;

    for (const eval_headline *h = eval_headlines; h->path; h++) {
        const json_t *value = eval_at(report, h->path);
        const json_t *expected = h->expected ? eval_at(report, h->expected) : NULL;

        if (strcmp(h->group, group) != 0 || !json_is_number(value)) continue;
        if (is_first)
            text_add(t, "\n%-46s %8s %8s\n", group, "",
                     !strcmp(group, "privacy") ? "real" : "expected");
        is_first = false;
        text_add(t, "%-46s", h->label);
        cell(t, 8, value);
        if (json_is_number(expected)) cell(t, 8, expected);
        text_add(t, "\n");
    }
}

mill_err mill_evaluate_json(char **out, const json_t *report)
{
    return mill_json_text(out, report, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
}

mill_err mill_evaluate_summary(mill_text *out, const json_t *report)
{
    static const char *const line_of[][3] = {
        {"shapes", "shapes", "expected.shapes"},
        {"trends", "trends", "expected.trends"},
        {"trends_own_bins", "trends_own_bins", "expected.trends_own_bins"},
        {"trends_thresholded", "trends_thresholded", "expected.trends_thresholded"},
        {"overall", "overall", "expected.overall"},
        {"validity", "diagnostic.validity", "expected.validity"},
        {"structure", "diagnostic.structure", "expected.structure"},
        {"coverage", "diagnostic.coverage", "expected.coverage"},
        {"missing_similarity", "diagnostic.missing_similarity", "expected.missing_similarity"},
        {"detection, logistic", "detection.logistic.score", "detection.logistic.expected"},
        {"detection, boosted trees", "detection.boosted_trees.score",
         "detection.boosted_trees.expected"}};
    json_t *const utility = json_object_get(report, "utility");
    const json_t *line;
    size_t i;

    rows_line(out, report);
    text_add(out, "%-28s %8s %8s\n", "", "", "expected");
    for (i = 0; i < sizeof line_of / sizeof *line_of; i++)
        if (eval_at(report, line_of[i][1]) || eval_why_not(report, line_of[i][1]))
            number_line(out, line_of[i][0], report, line_of[i][1], line_of[i][2]);
    if (json_is_object(utility)) utility_lines(out, utility);
    headline_lines(out, report, "support");
    headline_lines(out, report, "privacy");

    const json_t *const notes = json_object_get(report, "notes"), *const skipped = json_object_get(
                                                                      report, "skipped");
    if (json_array_size(notes) + json_array_size(skipped)) text_add(out, "\n");
    json_array_foreach(notes, i, line) text_add(out, "note: %s\n", json_string_value(line));
    if (json_array_size(skipped))
        text_add(out, "not computed: %zu, see \"skipped\" in the JSON\n", json_array_size(skipped));
    return text_check(out);
}
