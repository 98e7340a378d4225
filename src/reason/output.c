/* output.c - what the rows of a chain say of its record. */
#include "reason/output_inner.h"

#include "base/mem.h"
#include "reason/row_list.h"
#include "reason/utf8.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { AT_ONCE = 32 }; /* records whose rows are held */

/* ---- JSON, appended; a name with its comma before each value ---- */

static void add_text(mill_text *t, const char *name, const char *s)
{
    text_add(t, ",\"%s\":", name);
    if (!s)
        text_add(t, "null");
    else if (utf8_add_json(t, s, strlen(s)))
        t->failed = true; /* rows and records are UTF-8 */
}

static void add_number(mill_text *t, double x)
{
    char number[40];

    number[mill_format_f64(number, x)] = 0;
    text_add(t, "%s%s", number, strpbrk(number, ".e") ? "" : ".0"); /* a real stays one */
}

static void add_real(mill_text *t, const char *name, double x)
{
    text_add(t, ",\"%s\":", name);
    add_number(t, x);
}

static void add_time(mill_text *t, const char *name, int64_t created)
{
    const time_t at = (time_t)created;
    struct tm tm;
    char text[40];

    if (created > 0 && gmtime_r(&at, &tm)) strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    add_text(t, name, created > 0 ? text : NULL);
}

static void add_scores(mill_text *t, const score_card *card)
{
    for (int i = 0; i < N_CRITERIA; i++) {
        text_add(t, i ? ",\"%s\":" : ",\"scores\":{\"%s\":", score_criteria[i]);
        add_number(t, card->criterion[i]);
    }
    text_add(t, "}");
}

static void add_previous(mill_text *t, const flow_version *v)
{
    if (!v->reasoning) {
        text_add(t, ",\"previous_version\":null}");
        return;
    }
    text_add(t, ",\"previous_version\":{\"iteration\":%d", v->iteration);
    add_text(t, "reasoning", v->reasoning);
    add_text(t, "solution", v->given);
    add_real(t, "quality_score", v->score);
    add_text(t, "evaluation", v->card.feedback);
    text_add(t, "}}");
}

/* The members that are ours. */
static void add_made(mill_text *t, const output_chain *c)
{
    const flow_version *v = &c->flow->best;
    const char *gold = c->text->gold;
    const bool has_gold = answer_is_gold((answer_span){gold, strlen(gold)});

    add_text(t, "problem", c->text->problem);
    add_text(t, "solution", *c->text->solution ? c->text->solution : v->given);
    add_text(t, "reasoning", v->reasoning);
    add_real(t, "quality_score", v->score);
    add_time(t, "timestamp", v->created);
    add_scores(t, &v->card);
    add_text(t, "evaluation", v->card.feedback);
    text_add(t, ",\"needs_improvement\":%s", c->flow->outcome == OUTCOME_WEAK ? "true" : "false");
    text_add(t, ",\"improvement_iteration\":%d", v->iteration);
    add_text(t, "finish_reason", chat_finish_name(v->finish));
    add_text(t, "verdict", has_gold ? answer_verdict_name(v->verdict) : NULL);
    add_text(t, "answer_given", v->given);
    add_text(t, "thinking", *v->thinking ? v->thinking : NULL);
    text_add(t, ",\"record\":%lld,\"sample\":%d", (long long)c->index, c->sample);
    text_add(t, ",\"tokens\":{\"prompt\":%lld,\"completion\":%lld}",
             (long long)c->flow->prompt_tokens, (long long)c->flow->completion_tokens);
    text_add(t, ",\"metadata\":{\"original_data\":");
    text_add_bytes(t, c->record->text, c->record->n);
    add_previous(t, &c->flow->before);
}

static bool is_ours(const member *m)
{
    static const char *const names[] = {
        "problem",       "solution",   "reasoning",    "quality_score",     "timestamp",
        "scores",        "evaluation", "tokens",       "needs_improvement", "improvement_iteration",
        "finish_reason", "verdict",    "answer_given", "thinking",          "record",
        "sample",        "metadata"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == m->n_key && !memcmp(names[i], m->key, m->n_key)) return true;
    return false;
}

static void add_member(mill_text *t, const member *m)
{
    text_add(t, ",\"");
    text_add_bytes(t, m->key, m->n_key);
    text_add(t, "\":");
    text_add_bytes(t, m->value, m->n_value);
}

/* Each member was added with a comma before it: that of the first becomes the brace. */
static mill_err close_object(mill_text *t, size_t at)
{
    text_add(t, "}");
    TRY(text_check(t));
    t->s[at] = '{';
    return MILL_OK;
}

mill_err output_line(mill_text *t, const output_chain *c)
{
    const size_t at = t->len;

    for (int i = 0; i < c->record->in.n; i++)
        if (!is_ours(&c->record->in.at[i])) add_member(t, &c->record->in.at[i]);
    add_made(t, c);
    return close_object(t, at);
}

mill_err output_failure(mill_text *t, const output_chain *c, const char *failure)
{
    const size_t at = t->len;

    if (!c->text && !(c->record && members_find(&c->record->in, "record")))
        text_add(t, ",\"record\":%lld", (long long)c->index);
    for (int i = 0; c->record && i < c->record->in.n; i++) {
        const member *m = &c->record->in.at[i];
        if (m->n_key != 7 || memcmp(m->key, "failure", 7) != 0) add_member(t, m);
    }
    add_text(t, "failure", failure);
    return close_object(t, at);
}

/* ---- rows in the order of the records ---- */

/* Of one part: rows of records [first, first + n). */
typedef struct {
    int64_t first, n;
    row_list rows;
    int64_t at; /* in rows */
} window;

typedef struct {
    const output_options *o;
    output_visitor visit;
    void *ctx;
    window *window;
    output_summary *sum;
} walk;

static void free_window(window *w)
{
    row_list_free(&w->rows);
    *w = (window){0};
}

/* The rows of record j of a part. */
static mill_err rows_of(const result_row **row, int64_t *n, window *w, const output_part *p,
                        int64_t j)
{
    if (j >= w->first + w->n) {
        free_window(w);
        w->first = j;
        w->n = p->data.n - j < AT_ONCE ? p->data.n - j : AT_ONCE;
        TRY(results_read(p->store, w->first, w->n, row_list_add, &w->rows));
    }
    while (w->at < w->rows.n && w->rows.row[w->at].record < j) w->at++;
    *row = w->rows.row ? w->rows.row + w->at : NULL;
    for (*n = 0; w->at + *n < w->rows.n && w->rows.row[w->at + *n].record == j;) ++*n;
    return MILL_OK;
}

/* A chain whose record cannot be read, or may not be needed: its failing row says why. */
static const char *failure_of(const result_row *row, int64_t n, int sample)
{
    for (int64_t i = 0; i < n; i++)
        if (row[i].sample == sample && row[i].outcome == OUTCOME_FAILED && !row[i].step &&
            row[i].finish == FINISH_NONE)
            return row[i].why;
    return NULL;
}

static mill_err fold(flow_chain *c, const walk *w, const flow_record *view, const result_row *row,
                     int64_t n, int sample)
{
    flow_begin(c);
    for (int64_t i = 0; i < n && !c->outcome; i++)
        if (row[i].sample == sample && row[i].step == c->step)
            TRY(flow_take(c, &w->o->run->flow, view, &row[i]));
    return MILL_OK;
}

static mill_err visit_chain(walk *w, const output_chain *chain, const result_row *row, int64_t n,
                            char failure[160])
{
    const flow_record view = chain->text ? data_view(chain->text) : (flow_record){0};
    output_chain c = *chain;
    flow_chain flow = {0};
    const char *why = failure_of(row, n, c.sample);
    mill_err err = MILL_OK;

    if (!why && c.text) {
        err = fold(&flow, w, &view, row, n, c.sample);
        if (!err && flow.outcome == OUTCOME_FAILED) why = flow.why;
    }
    c.flow = &flow;
    if (err) {
        /* the words are there */
    } else if (why) {
        w->sum->failed++;
        if (!*failure) snprintf(failure, 160, "%s", why);
    } else if (!flow.outcome) {
        w->sum->open++;
        if (!w->o->skip_open)
            err =
                mill_fail(MILL_EINPUT, "record %lld: its chain has not ended", (long long)c.index);
    } else {
        w->sum->good += flow.outcome == OUTCOME_GOOD;
        w->sum->weak += flow.outcome == OUTCOME_WEAK;
        err = w->visit(w->ctx, &c, NULL);
    }
    flow_end(&flow);
    return err;
}

static mill_err visit_record(walk *w, const output_part *p, window *win, int64_t j)
{
    const result_row *row;
    int64_t n;
    data_record text = {0};
    record_json record = {0};
    char failure[160] = "";

    TRY(rows_of(&row, &n, win, p, j));
    mill_err err = data_read(&text, &record, &p->data, j);
    const bool is_read = !err;
    if (err == MILL_EINPUT) { /* a row says so; the record itself may be an object all the same */
        err = records_json(&record, p->data.file, data_index(&p->data, j));
        if (err == MILL_EINPUT) err = MILL_OK;
    }
    output_chain c = {.record = record.text ? &record : NULL,
                      .text = is_read ? &text : NULL,
                      .index = data_index(&p->data, j)};
    for (; c.sample < w->o->run->samples && !err; c.sample++)
        err = visit_chain(w, &c, row, n, failure);
    if (!err && *failure) {
        w->sum->failed_records++;
        err = w->visit(w->ctx, &c, failure);
    }
    mill_free(record.text);
    data_record_free(&text);
    return err;
}

mill_err output_walk(output_summary *sum, const output_options *o, output_visitor visit, void *ctx)
{
    walk w = {.o = o, .visit = visit, .ctx = ctx, .sum = sum};
    int64_t total = 0;
    mill_err err = MILL_OK;

    if (!(w.window = mill_alloc((size_t)o->n_parts, sizeof *w.window))) return MILL_ENOMEM;
    for (int i = 0; i < o->n_parts; i++) total += o->part[i].data.n;
    for (int64_t j = 0; j < total && !err; j++) {
        const int i = (int)(j % o->n_parts);
        sum->records++;
        err = visit_record(&w, &o->part[i], &w.window[i], j / o->n_parts);
    }
    for (int i = 0; i < o->n_parts; i++) free_window(&w.window[i]);
    mill_free(w.window);
    return err;
}
