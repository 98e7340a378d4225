/*
 * summary.c - the report as lines for a terminal.
 *
 *     real 32561 rows, synthetic 10000 rows
 *     shapes                       0.9951
 *     ...
 *                          train on synthetic   on real    ratio
 *     logistic       auc               0.8902    0.9071   0.9813
 */
#include "eval/evaluate.h"

#include "base/json.h"
#include "base/text.h"
#include "eval/headline.h"

#include <string.h>

static void number_line(mill_text *t, const char *name, const json_t *value)
{
    if (json_is_number(value))
        text_add(t, "%-28s %8.4f\n", name, json_number_value(value));
    else
        text_add(t, "%-28s %8s\n", name, "-");
}

static void cell(mill_text *t, const json_t *value)
{
    if (json_is_number(value))
        text_add(t, " %11.4f", json_number_value(value));
    else
        text_add(t, " %11s", "-");
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
            cell(t, value);
            cell(t, json_object_get(json_object_get(of, "train_on_real"), metric));
            cell(t, json_object_get(json_object_get(of, "ratio"), metric));
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
        if (is_first) text_add(t, "\n%-46s %8s %8s\n", group, "", "expected");
        is_first = false;
        text_add(t, "%-46s %8.4f", h->label, json_number_value(value));
        if (json_is_number(expected)) text_add(t, " %8.4f", json_number_value(expected));
        text_add(t, "\n");
    }
}

mill_err mill_evaluate_json(char **out, const json_t *report)
{
    return mill_json_text(out, report, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
}

mill_err mill_evaluate_summary(mill_text *out, const json_t *report)
{
    static const char *const top[] = {"shapes", "trends", "trends_own_bins", "trends_thresholded",
                                      "overall"};
    static const char *const checks[] = {"validity", "structure", "coverage", "missing_similarity"};
    const json_t *diagnostic = json_object_get(report, "diagnostic"),
                 *detection = json_object_get(report, "detection");
    json_t *const utility = json_object_get(report, "utility");
    const json_t *line;
    size_t i;

    rows_line(out, report);
    for (i = 0; i < sizeof top / sizeof *top; i++)
        number_line(out, top[i], json_object_get(report, top[i]));
    for (i = 0; json_is_object(diagnostic) && i < sizeof checks / sizeof *checks; i++)
        number_line(out, checks[i], json_object_get(diagnostic, checks[i]));
    if (json_is_object(detection)) {
        number_line(out, "detection, logistic",
                    json_object_get(json_object_get(detection, "logistic"), "score"));
        number_line(out, "detection, boosted trees",
                    json_object_get(json_object_get(detection, "boosted_trees"), "score"));
    }
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
