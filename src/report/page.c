/*
 * page.c - the page of page.h: its frame, its rules, the groups of figures.
 *
 * Sections in the order in which a reader asks: is it good, where is it worst, is it useful, is it
 * safe, what was done.  Everything is text, tables and drawings; what is long is in <details>,
 * which open with a key.  Colours come in two sets, light and dark, and ink on white for paper.
 */
#include "report/page_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char rules[] =
    ":root{color-scheme:light dark;--bg:#fff;--card:#f6f7f9;--text:#1c2127;--quiet:#56606b;"
    "--edge:#dfe3e8;--link:#1f5fa8;--bad:#b3261e}"
    "@media (prefers-color-scheme:dark){:root{--bg:#14181d;--card:#1c2229;--text:#e8ebee;"
    "--quiet:#a9b3bd;--edge:#39414b;--link:#8ab8ee;--bad:#ff9a90}}"
    "*{box-sizing:border-box}html{scroll-behavior:auto}"
    "body{margin:0;background:var(--bg);color:var(--text);font:15px/1.5 system-ui,sans-serif}"
    "header,nav,main,footer{max-width:1180px;margin:0 auto;padding:0 20px}"
    "h1{font-size:26px;line-height:1.25;margin:28px 0 4px}h2{font-size:20px;margin:36px 0 4px}"
    "h3{font-size:15px;margin:18px 0 6px}p{margin:6px 0;max-width:75ch}"
    ".quiet{color:var(--quiet)}a{color:var(--link)}"
    "a:focus-visible,summary:focus-visible,[tabindex]:focus-visible{outline:2px solid var(--link);"
    "outline-offset:2px}"
    ".skip{position:absolute;left:-9999px}.skip:focus{position:static}"
    "nav ul{display:flex;flex-wrap:wrap;gap:4px 18px;list-style:none;padding:8px 0;margin:0;"
    "border-bottom:1px solid var(--edge)}"
    ".scroll{overflow-x:auto;margin:8px 0}"
    "header p{max-width:none}"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums}"
    "table.figures{width:100%;max-width:900px}"
    "small{display:block;font-size:12.5px;color:var(--quiet);font-weight:400}"
    "small.why{white-space:normal;min-width:15ch}"
    "td:last-child,th:last-child{padding-right:0}"
    "@media (min-width:601px){table.figures th.n{width:176px}}"
    "tr.read-on th,tr.read-on td{border-bottom:0;padding-bottom:0}"
    "th,td{padding:5px 12px 5px 0;text-align:left;vertical-align:top;"
    "border-bottom:1px solid var(--edge)}"
    "thead th{font-size:13px;color:var(--quiet);font-weight:600;white-space:nowrap}"
    "td.n,th.n{text-align:right;white-space:nowrap}tbody th{font-weight:500}"
    "td.read{color:var(--quiet);font-size:13.5px;padding-top:2px;padding-bottom:10px}"
    ".cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,430px),1fr));"
    "gap:14px;margin:12px 0}"
    "figure{margin:0;background:var(--card);border:1px solid var(--edge);border-radius:8px;"
    "padding:12px;min-width:0;break-inside:avoid}"
    "figure svg{display:block;width:100%;max-width:600px;height:auto}"
    ".maps{display:flex;flex-wrap:wrap;gap:14px;margin:12px 0}"
    "figure.map{overflow-x:auto;max-width:100%}"
    "figure.map svg{width:auto;max-width:none}"
    "figcaption{font-size:13.5px;color:var(--quiet);margin-top:6px;overflow-wrap:anywhere}"
    "figcaption table{width:100%}figcaption td,figcaption th{padding:2px 8px 2px 0;"
    "font-size:13px}figcaption td.n,figcaption th.n{white-space:normal;overflow-wrap:anywhere}"
    "details{margin:10px 0}summary{cursor:pointer}ul.plain{padding-left:20px;margin:6px 0}"
    "li{overflow-wrap:anywhere}code,pre{font:13px/1.45 ui-monospace,monospace}"
    "pre{overflow-x:auto;background:var(--card);border:1px solid var(--edge);border-radius:8px;"
    "padding:12px}footer{margin:40px auto;color:var(--quiet);font-size:13px}"
    "@media (max-width:600px){header,nav,main,footer{padding:0 14px}th,td{padding-right:8px}"
    "small.why{min-width:11ch}}"
    "@media print{:root{--bg:#fff;--card:#fff;--text:#000;--quiet:#333;--edge:#bbb;--link:#000;"
    "--bad:#000}nav,.skip{display:none}.scroll{overflow:visible}body{font-size:11px}"
    "h1{font-size:20px}h2{font-size:15px;margin-top:20px}h2,h2+p{break-after:avoid}"
    "small,td.read,thead th,figcaption,figcaption td,figcaption th{font-size:9.5px}"
    "pre{font-size:9px;white-space:pre-wrap;overflow:visible}figure.map svg{max-width:100%}"
    "th,td{padding-top:3px;padding-bottom:3px}tr,tr.read-on{break-inside:avoid}"
    "tr.read-on{break-after:avoid}figure{padding:8px}"
    ".cards{display:block}.cards figure{display:inline-block;width:48%;margin:0 1% 8px 0;"
    "box-sizing:border-box;vertical-align:top}}";

const char *page_count(char buf[32], int64_t n)
{
    char digits[24];
    const int len = snprintf(digits, sizeof digits, "%lld", (long long)n);
    char *to = buf;

    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0) *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
    return buf;
}

double page_value(const json_t *v)
{
    return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

void page_escape(page *p, const char *s)
{
    svg_escape(p->t, s ? s : "");
}

static void figure(page *p, int k, const char *path)
{
    const json_t *v = eval_at(p->report[k], path);
    char buf[EVAL_FIGURE];

    text_add(p->t, "<span data-table=\"%d\" data-path=\"%s\">", k, path);
    if (json_is_integer(v))
        text_add(p->t, "%lld", (long long)json_integer_value(v));
    else
        text_add(p->t, "%s", eval_figure(buf, page_value(v)));
    text_add(p->t, "</span>");
}

void page_beside(page *p, int k, const char *word, const char *path)
{
    if (!path || !json_is_number(eval_at(p->report[k], path))) return;
    text_add(p->t, "<small>%s ", word);
    figure(p, k, path);
    text_add(p->t, "</small>");
}

void page_no_figure(page *p, const char *why)
{
    text_add(p->t, "<td class=\"n\">\xe2\x80\x93"); /* an en dash */
    if (!why) return;
    text_add(p->t, "<small class=\"why\">");
    page_escape(p, why);
    text_add(p->t, "</small>");
}

void page_figure(page *p, int k, const char *path)
{
    if (!json_is_number(eval_at(p->report[k], path))) {
        page_no_figure(p, eval_why_not(p->report[k], path));
        return;
    }
    text_add(p->t, "<td class=\"n\">");
    figure(p, k, path);
}

void page_cell(page *p, int k, const char *path, const char *word, const char *beside)
{
    page_figure(p, k, path);
    page_beside(p, k, word, beside);
    text_add(p->t, "</td>");
}

void page_heads(page *p, const char *first, const char *figure_of_one)
{
    text_add(p->t, "<thead><tr><th scope=\"col\">%s</th>", first);
    for (int k = 0; k < p->n; k++) {
        text_add(p->t, "<th scope=\"col\" class=\"n\">");
        page_escape(p, p->n > 1 ? p->name[k] : figure_of_one);
        text_add(p->t, "</th>");
    }
    text_add(p->t, "</tr></thead><tbody>\n");
}

void page_section(page *p, const char *id, const char *title, const char *about)
{
    text_add(p->t, "<section id=\"%s\" aria-labelledby=\"%s-h\"><h2 id=\"%s-h\">", id, id, id);
    page_escape(p, title);
    text_add(p->t, "</h2>\n");
    if (!about) return;
    text_add(p->t, "<p class=\"quiet\">");
    page_escape(p, about);
    text_add(p->t, "</p>\n");
}

void page_table_open(page *p, const char *label)
{
    text_add(p->t, "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"");
    page_escape(p, label);
    text_add(p->t, "\"><table class=\"figures\">\n");
}

void page_table_close(page *p)
{
    text_add(p->t, "</tbody></table></div>\n");
}

/* Whether any report has a figure of the group. */
static bool has_group(const page *p, const char *group)
{
    for (const eval_headline *h = eval_headlines; h->path; h++)
        for (int k = 0; !strcmp(h->group, group) && k < p->n; k++)
            if (json_is_number(eval_at(p->report[k], h->path))) return true;
    return false;
}

static const char *word_beside(const char *group)
{
    return !strcmp(group, "privacy") ? "real rows" : "expected";
}

static void group_row(page *p, const eval_headline *h)
{
    static const char *const aim[] = {"Higher is better", "Lower is better", "0.5 is best"};

    text_add(p->t, "<tr class=\"read-on\"><th scope=\"row\">");
    page_escape(p, h->label);
    text_add(p->t, "</th>");
    for (int k = 0; k < p->n; k++) page_cell(p, k, h->path, word_beside(h->group), h->expected);
    text_add(p->t, "</tr>\n<tr><td class=\"read\" colspan=\"%d\">", p->n + 1);
    page_escape(p, h->reading);
    text_add(p->t, " <em>%s.</em></td></tr>\n", aim[h->better]);
}

/* The figures of a group: label and a column for each table, and below them how to read them. */
static void add_group(page *p, const char *group)
{
    page_table_open(p, group);
    page_heads(p, "Metric", "Figure");
    for (const eval_headline *h = eval_headlines; h->path; h++)
        if (!strcmp(h->group, group)) group_row(p, h);
    page_table_close(p);
}

/* ---- the whole ---- */

static const struct {
    const char *id, *title;
} sections[] = {{"summary", "Summary"},
                {"quality", "Quality"},
                {"columns", "Columns"},
                {"pairs", "Pairs"},
                {"validity", "Validity"},
                {"support", "Support"},
                {"utility", "Utility"},
                {"detection", "Detection"},
                {"privacy", "Privacy"},
                {"notes", "Notes"},
                {"run", "Run"}};

static const char *base_name(const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    return slash ? slash + 1 : path ? path : "synthetic";
}

/* "1,234 rows. ": of report k. */
static void rows_of(page *p, int k, const char *table)
{
    const json_t *rows = json_object_get(json_object_get(p->report[k], "rows"), table);
    const long long n = json_integer_value(rows);
    char buf[32];

    text_add(p->t, "%s row%s. ", page_count(buf, n), mill_s(n));
}

static void head(page *p)
{
    const json_t *real = json_object_get(p->run, "real");
    const char *name = base_name(json_string_value(json_object_get(real, "path")));

    text_add(p->t, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                   "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
                   "<meta name=\"color-scheme\" content=\"light dark\">"
                   "<link rel=\"icon\" href=\"data:,\"><title>");
    page_escape(p, p->n == 1 ? p->name[0] : "Synthetic tables");
    text_add(p->t, " against ");
    page_escape(p, real ? name : "the real table");
    text_add(p->t, "</title><style>");
    text_add_bytes(p->t, rules, sizeof rules - 1);
    svg_style(p->t);
    text_add(p->t, "</style></head><body>\n<a class=\"skip\" href=\"#summary\">To the summary</a>\n"
                   "<header><h1>");
    page_escape(p, p->n == 1 ? p->name[0] : "Synthetic tables");
    text_add(p->t, " against ");
    page_escape(p, real ? name : "the real table");
    text_add(p->t, "</h1><p class=\"quiet\">Real: ");
    rows_of(p, 0, "real");
    for (int k = 0; k < p->n; k++) {
        page_escape(p, p->n > 1 ? p->name[k] : "Synthetic");
        text_add(p->t, ": ");
        rows_of(p, k, "synthetic");
    }
    if (json_is_integer(eval_at(p->report[0], "rows.holdout"))) {
        text_add(p->t, "Held out: ");
        rows_of(p, 0, "holdout");
    }
    text_add(p->t, "Seed %lld.</p></header>\n<nav aria-label=\"Sections\"><ul>",
             (long long)json_integer_value(json_object_get(p->report[0], "seed")));
    for (size_t k = 0; k < sizeof sections / sizeof *sections; k++)
        text_add(p->t, "<li><a href=\"#%s\">%s</a></li>", sections[k].id, sections[k].title);
    text_add(p->t, "</ul></nav>\n<main>\n");
}

static void simple_section(page *p, const char *id, const char *title, const char *about,
                           const char *why_not)
{
    page_section(p, id, title, about);
    if (has_group(p, id))
        add_group(p, id);
    else
        text_add(p->t, "<p>%s</p>\n", why_not);
    text_add(p->t, "</section>\n");
}

/* A figure of every part, each a link to where it is explained. */
static void summary(page *p)
{
    static const struct {
        const char *id, *label, *path, *beside, *aim;
    } row[] = {
        {"quality", "Quality", "overall", "expected.overall", "higher is better"},
        {"quality", "Column shapes", "shapes", "expected.shapes", "higher is better"},
        {"quality", "Pair trends", "trends", "expected.trends", "higher is better"},
        {"validity", "Validity", "diagnostic.validity", "expected.validity", "higher is better"},
        {"utility", "Utility: boosted trees, ratio to real", "utility.boosted_trees.ratio.auc",
         NULL, "1 is best"},
        {"utility", "Utility: boosted trees, ratio to real", "utility.boosted_trees.ratio.r2", NULL,
         "1 is best"},
        {"detection", "Detection by boosted trees", "detection.boosted_trees.score",
         "detection.boosted_trees.expected", "higher is better"},
        {"privacy", "Privacy: identical rows", "privacy.identical_matches.synthetic",
         "privacy.identical_matches.holdout", "lower is better"},
        {"privacy", "Privacy: TabSyn share", "privacy.dcr.tabsyn_share", NULL, "0.5 is best"},
        {"privacy", "Privacy: membership attack, AUC", "privacy.membership.by_distance.auc", NULL,
         "0.5 is best"},
    };
    const bool regresses =
        eval_at(p->report[page_with_utility(p)], "utility.boosted_trees.ratio.r2");

    page_section(p, "summary", "Summary",
                 "Expected is what a second sample of the real table, of as many rows, would "
                 "score: the most that sampling noise leaves.");
    page_table_open(p, "Summary");
    page_heads(p, "Figure", "Figure");
    for (size_t r = 0; r < sizeof row / sizeof *row; r++) {
        if (!strcmp(row[r].id, "utility") && regresses != !strstr(row[r].path, "auc")) continue;
        text_add(p->t, "<tr><th scope=\"row\"><a href=\"#%s\">%s</a><small>%s</small></th>",
                 row[r].id, row[r].label, row[r].aim);
        for (int k = 0; k < p->n; k++)
            page_cell(p, k, row[r].path, word_beside(row[r].id), row[r].beside);
        text_add(p->t, "</tr>\n");
    }
    page_table_close(p);
    text_add(p->t, "</section>\n");
}

static mill_err body(page *p)
{
    summary(p);
    page_section(p, "quality", "Quality",
                 "How alike the two tables are, column by column and "
                 "pair by pair.");
    add_group(p, "quality");
    text_add(p->t, "</section>\n");
    page_columns(p);
    TRY(page_pairs(p));
    simple_section(p, "validity", "Validity", "Could the rows exist, and is everything there?",
                   "Not computed.");
    simple_section(p, "support", "Support",
                   "Are the synthetic rows, as points, where the real ones are?",
                   "Not computed, see the notes.");
    page_utility(p);
    simple_section(p, "detection", "Detection",
                   "Two learners try to tell real rows from synthetic ones, in three folds.",
                   "Not computed, see the notes.");
    simple_section(p, "privacy", "Privacy",
                   "None of these is a guarantee. They see copies and memorised rows, as means "
                   "over a table; a single person may still be exposed.",
                   "Not computed, see the notes.");
    page_notes(p);
    page_run(p);
    return MILL_OK;
}

/* Short names of the tables: the file's, with a number where two are alike. */
static void name_tables(page *p)
{
    for (int k = 0; k < p->n; k++) {
        const json_t *input = json_object_get(p->report[k], "input");
        char cut[128];
        const char *name = base_name(json_string_value(json_object_get(input, "path")));
        int same = 1;

        for (int i = 0; i < k; i++) {
            const json_t *other = json_object_get(p->report[i], "input");
            same += !strcmp(base_name(json_string_value(json_object_get(other, "path"))), name);
        }
        if (same > 1)
            snprintf(p->name[k], sizeof p->name[k], "%.48s (%d)", svg_cut(cut, name, 16), same);
        else
            snprintf(p->name[k], sizeof p->name[k], "%.60s", svg_cut(cut, name, 20));
    }
}

mill_err report_page(mill_text *out, const json_t *report)
{
    const json_t *reports = json_object_get(report, "reports");
    const char *format = json_string_value(json_object_get(report, "format"));
    page p = {.t = out, .root = report, .run = json_object_get(report, "run")};

    if (!format || strcmp(format, "tabmill evaluation") != 0)
        return mill_fail(MILL_EINPUT, "this is no report of `tabmill evaluate`");
    p.n = reports ? (int)json_array_size(reports) : 1;
    if (p.n < 1 || p.n > PAGE_MOST_TABLES)
        return mill_fail(MILL_EINPUT, "a page shows 1 to %d tables, not %d", PAGE_MOST_TABLES, p.n);
    for (int k = 0; k < p.n; k++)
        p.report[k] = reports ? json_array_get(reports, (size_t)k) : report;
    name_tables(&p);
    mill_err err = page_index_make(&p);
    if (!err) head(&p);
    if (!err) err = body(&p);
    page_index_free(&p);
    if (err) return err;
    text_add(out,
             "</main>\n<footer>Measured by tabmill %s. Definitions: docs/evaluate.md.</footer>"
             "\n</body></html>\n",
             json_string_value(json_object_get(p.run, "version"))
                 ? json_string_value(json_object_get(p.run, "version"))
                 : "");
    return text_check(out);
}
