/* page_run.c - utility, and what a report says of itself: notes, what is missing, the run. */
#include "report/page_parts.h"

#include "base/json.h"
#include "base/mem.h"

#include <stdio.h>

static void utility_row(page *p, const char *const learner[2], const char *const metric[2])
{
    static const char *const part[] = {"train_on_synthetic", "train_on_real", "ratio"};
    char path[3][PAGE_PLACE];

    for (int i = 0; i < 3; i++)
        snprintf(path[i], sizeof path[i], "utility.%s.%s.%s", learner[0], part[i], metric[0]);
    if (!eval_at(p->report[page_with_utility(p)], path[0])) return;
    text_add(p->t, "<tr><th scope=\"row\">%s, %s</th>", learner[1], metric[1]);
    for (int k = 0; k < p->n; k++) {
        page_figure(p, k, path[0]);
        page_beside(p, k, "trained on real rows", path[1]);
        page_beside(p, k, "ratio", path[2]);
        text_add(p->t, "</td>");
    }
    text_add(p->t, "</tr>\n");
}

int page_with_utility(const page *p)
{
    for (int k = 0; k < p->n; k++)
        if (json_is_object(json_object_get(p->report[k], "utility"))) return k;
    return 0;
}

void page_utility(page *p)
{
    static const char *const learner[][2] = {{"logistic", "Logistic regression"},
                                             {"linear", "Linear regression"},
                                             {"boosted_trees", "Boosted trees"}};
    static const char *const metric[][2] = {{"auc", "AUC"},
                                            {"f1", "F1"},
                                            {"accuracy", "accuracy"},
                                            {"r2", "R\xc2\xb2"},
                                            {"rmse", "RMSE"}};
    const json_t *u = json_object_get(p->report[page_with_utility(p)], "utility");
    char buf[32];

    page_section(p, "utility", "Utility",
                 "The same learner is trained on synthetic and on real rows, and tested on real "
                 "ones. It says whether a model of this one target can be trained; other questions "
                 "may fare worse.");
    if (!json_is_object(u)) {
        const char *why = eval_why_not(p->report[0], "utility");
        text_add(p->t, "<p>Not computed: ");
        page_escape(p, why ? why : "see the notes");
        text_add(p->t, ".</p></section>\n");
        return;
    }
    const char *task = json_string_value(json_object_get(u, "task"));
    text_add(p->t, "<p>%s of <strong>", task && *task == 'c' ? "Classification" : "Regression");
    page_escape(p, json_string_value(json_object_get(u, "target")));
    text_add(p->t, "</strong>, tested on ");
    page_escape(p, json_string_value(json_object_get(u, "test")));
    text_add(p->t, ", %s rows.</p>\n",
             page_count(buf, json_integer_value(json_object_get(u, "test_rows"))));
    page_table_open(p, "Utility");
    page_heads(p, "Learner", "Trained on synthetic rows");
    for (size_t l = 0; l < sizeof learner / sizeof *learner; l++)
        for (size_t m = 0; m < sizeof metric / sizeof *metric; m++)
            utility_row(p, learner[l], metric[m]);
    page_table_close(p);
    text_add(p->t, "</section>\n");
}

static void of_table(page *p, int k)
{
    if (p->n == 1) return;
    text_add(p->t, "<h3>");
    page_escape(p, p->name[k]);
    text_add(p->t, "</h3>\n");
}

static void list_skipped(page *p, const json_t *skipped)
{
    static const char *const names[] = {"column", "a", "b"};
    const json_t *line;
    size_t i;

    text_add(p->t,
             "<details open><summary>Not computed, and why: %zu</summary><ul class=\"plain\">\n",
             json_array_size(skipped));
    json_array_foreach(skipped, i, line)
    {
        bool is_first = true;
        text_add(p->t, "<li>");
        for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
            const char *s = json_string_value(json_object_get(line, names[k]));
            if (!s) continue;
            text_add(p->t, "%s", is_first ? "<strong>" : ", ");
            is_first = false;
            page_escape(p, s);
        }
        text_add(p->t, "%s", is_first ? "" : "</strong>: ");
        page_escape(p, json_string_value(json_object_get(line, "why")));
        text_add(p->t, ". <span class=\"quiet\">(");
        page_escape(p, json_string_value(json_object_get(line, "what")));
        text_add(p->t, ")</span></li>\n");
    }
    text_add(p->t, "</ul></details>\n");
}

void page_notes(page *p)
{
    const json_t *line;
    size_t i;

    page_section(p, "notes", "Notes", "What was done to the data, and what could not be computed.");
    for (int k = 0; k < p->n; k++) {
        const json_t *notes = json_object_get(p->report[k], "notes"),
                     *skipped = json_object_get(p->report[k], "skipped");

        of_table(p, k);
        if (!json_array_size(notes)) text_add(p->t, "<p>Nothing was done to the data.</p>\n");
        text_add(p->t, "<ul class=\"plain\">\n");
        json_array_foreach(notes, i, line)
        {
            text_add(p->t, "<li>");
            page_escape(p, json_string_value(line));
            text_add(p->t, "</li>\n");
        }
        text_add(p->t, "</ul>\n");
        if (json_array_size(skipped)) list_skipped(p, skipped);
    }
    text_add(p->t, "</section>\n");
}

static void input_row(page *p, const char *what, const json_t *in)
{
    const char *hash = json_string_value(json_object_get(in, "xxh3"));
    char buf[32];

    if (!in) return;
    text_add(p->t, "<tr><th scope=\"row\">%s</th><td>", what);
    page_escape(p, json_string_value(json_object_get(in, "path")));
    text_add(p->t, "</td><td class=\"n\">%s</td><td><code>%s</code></td></tr>\n",
             page_count(buf, json_integer_value(json_object_get(in, "rows"))),
             hash ? hash : "stdin");
}

static void dump(page *p, const char *title, const json_t *value)
{
    char *text;

    if (!json_is_object(value)) return;
    if (mill_json_text(&text, value, JSON_INDENT(1) | JSON_SORT_KEYS)) {
        p->t->failed = true; /* text_check() says so */
        return;
    }
    text_add(p->t, "<h3>%s</h3><pre tabindex=\"0\">", title);
    page_escape(p, text);
    text_add(p->t, "</pre>\n");
    mill_free(text);
}

void page_run(page *p)
{
    page_section(p, "run", "Run", "What was read, and with which options.");
    page_table_open(p, "Files");
    text_add(p->t, "<thead><tr><th scope=\"col\">Table</th><th scope=\"col\">File</th>"
                   "<th scope=\"col\" class=\"n\">Rows</th><th scope=\"col\">XXH3</th></tr></thead>"
                   "<tbody>\n");
    input_row(p, "real", json_object_get(p->run, "real"));
    input_row(p, "holdout", json_object_get(p->run, "holdout"));
    for (int k = 0; k < p->n; k++)
        input_row(p, "synthetic", json_object_get(p->report[k], "input"));
    page_table_close(p);
    dump(p, "Options", json_object_get(p->report[0], "options"));
    dump(p, "Model", json_object_get(p->run, "model"));
    text_add(p->t, "</section>\n");
}
