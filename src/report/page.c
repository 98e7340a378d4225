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
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums;min-width:min(100%,520px)}"
    "th,td{padding:5px 12px 5px 0;text-align:left;vertical-align:top;"
    "border-bottom:1px solid var(--edge)}"
    "thead th{font-size:13px;color:var(--quiet);font-weight:600;white-space:nowrap}"
    "td.n,th.n{text-align:right;white-space:nowrap}tbody th{font-weight:500}"
    "td.read{color:var(--quiet);font-size:13.5px;min-width:26ch;max-width:62ch}"
    ".cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,430px),1fr));"
    "gap:14px;margin:12px 0}"
    "figure{margin:0;background:var(--card);border:1px solid var(--edge);border-radius:8px;"
    "padding:12px;min-width:0;break-inside:avoid}"
    "figure svg{display:block;max-width:100%;height:auto}"
    ".maps{display:flex;flex-wrap:wrap;gap:14px;margin:12px 0}"
    "figure.map{overflow-x:auto;max-width:100%}"
    "figure.map svg{max-width:none}"
    "figcaption{font-size:13.5px;color:var(--quiet);margin-top:6px;overflow-wrap:anywhere}"
    "figcaption table{min-width:0;width:100%}figcaption td,figcaption th{padding:2px 8px 2px 0;"
    "font-size:13px}"
    "details{margin:10px 0}summary{cursor:pointer}ul.plain{padding-left:20px;margin:6px 0}"
    "li{overflow-wrap:anywhere}code,pre{font:13px/1.45 ui-monospace,monospace}"
    "pre{overflow-x:auto;background:var(--card);border:1px solid var(--edge);border-radius:8px;"
    "padding:12px}footer{margin:40px auto;color:var(--quiet);font-size:13px}"
    "@media (max-width:600px){td.read{min-width:40ch}}"
    "@media print{:root{--bg:#fff;--card:#fff;--text:#000;--quiet:#333;--edge:#bbb;--link:#000;"
    "--bad:#000}nav,.skip{display:none}.scroll{overflow:visible}body{font-size:11px}"
    "figure.map svg{max-width:100%}h2{break-after:avoid}tr{break-inside:avoid}"
    ".cards{grid-template-columns:1fr 1fr}}";

const char *page_number(char buf[32], double x)
{
    if (isnan(x))
        snprintf(buf, 32, "\xe2\x80\x93"); /* an en dash */
    else if (fabs(x) < 100)
        snprintf(buf, 32, "%.4f", fabs(x) < 0.00005 ? 0 : x);
    else
        snprintf(buf, 32, "%.6g", x);
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

void page_cell(page *p, int k, const char *path)
{
    const json_t *v = eval_at(p->report[k], path);
    char buf[32];

    if (json_is_integer(v))
        text_add(p->t, "<td class=\"n\" data-table=\"%d\" data-path=\"%s\">%lld</td>", k, path,
                 (long long)json_integer_value(v));
    else if (json_is_number(v))
        text_add(p->t, "<td class=\"n\" data-table=\"%d\" data-path=\"%s\">%s</td>", k, path,
                 page_number(buf, json_number_value(v)));
    else
        text_add(p->t, "<td class=\"n\">%s</td>", page_number(buf, (double)NAN));
}

void page_expected(page *p)
{
    char first[32], other[32];
    bool are_alike = true;

    page_number(first, page_value(eval_at(p->report[0], p->place[0])));
    for (int k = 1; k < p->n; k++) {
        const double x = page_value(eval_at(p->report[k], p->place[k]));
        are_alike &= !strcmp(first, page_number(other, x));
    }
    if (are_alike) {
        page_cell(p, 0, p->place[0]);
        return;
    }
    text_add(p->t, "<td class=\"n\">");
    for (int k = 0; k < p->n; k++) {
        const json_t *v = eval_at(p->report[k], p->place[k]);
        text_add(p->t, "%s<span title=\"", k ? "<br>" : "");
        page_escape(p, p->name[k]);
        if (json_is_number(v))
            text_add(p->t, "\" data-table=\"%d\" data-path=\"%s", k, p->place[k]);
        text_add(p->t, "\">%s</span>", page_number(other, page_value(v)));
    }
    text_add(p->t, "</td>");
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
    text_add(p->t, "\"><table>\n");
}

void page_table_close(page *p)
{
    text_add(p->t, "</tbody></table></div>\n");
}

bool page_has_group(const page *p, const char *group)
{
    for (const eval_headline *h = eval_headlines; h->path; h++)
        for (int k = 0; !strcmp(h->group, group) && k < p->n; k++)
            if (json_is_number(eval_at(p->report[k], h->path))) return true;
    return false;
}

static void name_columns(page *p)
{
    for (int k = 0; k < p->n; k++) {
        text_add(p->t, "<th scope=\"col\" class=\"n\">");
        page_escape(p, p->n > 1 ? p->name[k] : "Figure");
        text_add(p->t, "</th>");
    }
}

static void group_row(page *p, const eval_headline *h)
{
    static const char *const aim[] = {"Higher is better", "Lower is better", "0.5 is best"};
    bool is_there = false;

    for (int k = 0; k < p->n; k++) is_there |= json_is_number(eval_at(p->report[k], h->path));
    if (!is_there) return;
    text_add(p->t, "<tr><th scope=\"row\">");
    page_escape(p, h->label);
    text_add(p->t, "</th>");
    for (int k = 0; k < p->n; k++) page_cell(p, k, h->path);
    for (int k = 0; k < p->n; k++)
        snprintf(p->place[k], PAGE_PLACE, "%s", h->expected ? h->expected : "-");
    page_expected(p);
    text_add(p->t, "<td class=\"read\">");
    page_escape(p, h->reading);
    text_add(p->t, " <em>%s.</em></td></tr>\n", aim[h->better]);
}

void page_group(page *p, const char *group)
{
    page_table_open(p, group);
    text_add(p->t, "<thead><tr><th scope=\"col\">Metric</th>");
    name_columns(p);
    text_add(p->t,
             "<th scope=\"col\" class=\"n\">%s</th><th scope=\"col\">What it says"
             "</th></tr></thead><tbody>\n",
             !strcmp(group, "privacy") ? "Real rows" : "Expected");
    for (const eval_headline *h = eval_headlines; h->path; h++)
        if (!strcmp(h->group, group)) group_row(p, h);
    page_table_close(p);
}

/* ---- the whole ---- */

static const struct {
    const char *id, *title;
} sections[] = {{"summary", "Summary"},     {"columns", "Columns"},
                {"pairs", "Pairs"},         {"validity", "Validity"},
                {"support", "Support"},     {"utility", "Utility"},
                {"detection", "Detection"}, {"privacy", "Privacy"},
                {"notes", "Notes"},         {"run", "Run"}};

static const char *base_name(const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    return slash ? slash + 1 : path ? path : "synthetic";
}

/* "Real: 120 rows. " */
static void row_count(page *p, const char *what, const json_t *rows)
{
    const long long n = json_integer_value(rows);
    text_add(p->t, "%s: %lld row%s. ", what, n, mill_s(n));
}

static void head(page *p)
{
    const json_t *real = json_object_get(p->run, "real");
    const char *name = base_name(json_string_value(json_object_get(real, "path")));
    const json_t *rows = json_object_get(p->report[0], "rows");

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
    text_add(p->t, "</h1><p class=\"quiet\">");
    row_count(p, "Real", json_object_get(rows, "real"));
    for (int k = 0; k < p->n; k++) {
        const json_t *of = json_object_get(p->report[k], "rows");
        if (p->n > 1) page_escape(p, p->name[k]);
        row_count(p, p->n > 1 ? "" : "Synthetic", json_object_get(of, "synthetic"));
    }
    if (json_is_integer(json_object_get(rows, "holdout")))
        row_count(p, "Held out", json_object_get(rows, "holdout"));
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
    if (page_has_group(p, id))
        page_group(p, id);
    else
        text_add(p->t, "<p>%s</p>\n", why_not);
    text_add(p->t, "</section>\n");
}

static mill_err body(page *p)
{
    page_section(p, "summary", "Summary",
                 "Expected is what a second sample of the real table, of as many rows, would "
                 "score: the most that sampling noise leaves.");
    page_group(p, "quality");
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
    head(&p);
    TRY(body(&p));
    text_add(out,
             "</main>\n<footer>Measured by tabmill %s. Definitions: docs/evaluate.md.</footer>"
             "\n</body></html>\n",
             json_string_value(json_object_get(p.run, "version"))
                 ? json_string_value(json_object_get(p.run, "version"))
                 : "");
    return text_check(out);
}
