/* output.c - what the rows of a chain say of its record. */
#include "reason/output_inner.h"

#include "base/mem.h"
#include "reason/row_list.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { AT_ONCE = 32 }; /* records whose rows are held */

static json_t *text_or_null(const char *s)
{
    return s ? json_string(s) : json_null();
}

static json_t *time_json(int64_t created)
{
    const time_t at = (time_t)created;
    struct tm tm;
    char text[40];

    if (created <= 0 || !gmtime_r(&at, &tm)) return json_null();
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return json_string(text);
}

static json_t *scores_json(const score_card *card)
{
    json_t *o = json_object();

    for (int i = 0; i < N_CRITERIA; i++)
        json_object_set_new(o, score_criteria[i], json_real(card->criterion[i]));
    return o;
}

static json_t *verdict_json(const flow_version *v, const char *gold)
{
    if (!answer_is_gold((answer_span){gold, strlen(gold)})) return json_null();
    return json_string(answer_verdict_name(v->verdict));
}

static json_t *previous_json(const flow_version *v)
{
    if (!v->reasoning) return json_null();
    return json_pack("{s:s,s:o,s:f,s:s}", "reasoning", v->reasoning, "solution",
                     text_or_null(v->given), "quality_score", v->score, "evaluation",
                     v->card.feedback);
}

/* The members that are ours. */
static json_t *made_json(const output_chain *c)
{
    const flow_version *v = &c->flow->best;
    const char *solution = *c->text->solution ? c->text->solution : v->given;
    json_t *o = json_pack(
        "{s:s,s:o,s:s,s:f,s:o,s:o,s:s,s:b,s:i,s:s,s:o,s:o,s:o}", "problem", c->text->problem,
        "solution", text_or_null(solution), "reasoning", v->reasoning, "quality_score", v->score,
        "timestamp", time_json(v->created), "scores", scores_json(&v->card), "evaluation",
        v->card.feedback, "needs_improvement", c->flow->outcome == OUTCOME_WEAK,
        "improvement_iteration", v->iteration, "finish_reason", chat_finish_name(v->finish),
        "verdict", verdict_json(v, c->text->gold), "answer_given", text_or_null(v->given),
        "thinking", *v->thinking ? json_string(v->thinking) : json_null());
    json_t *rest =
        json_pack("{s:I,s:i,s:{s:I,s:I},s:{s:O,s:o}}", "record", (json_int_t)c->index, "sample",
                  c->sample, "tokens", "prompt", (json_int_t)c->flow->prompt_tokens, "completion",
                  (json_int_t)c->flow->completion_tokens, "metadata", "original_data", c->record,
                  "previous_version", previous_json(&c->flow->before));

    if (o && rest && !json_object_update(o, rest)) {
        json_decref(rest);
        return o;
    }
    json_decref(o);
    json_decref(rest);
    return NULL;
}

json_t *output_json(const output_chain *c)
{
    json_t *made = made_json(c), *o = json_object();
    const char *name;
    json_t *x;
    bool failed = !made || !o;

    json_object_foreach((json_t *)c->record, name, x)
    {
        if (!failed && !json_object_get(made, name)) failed = json_object_set(o, name, x);
    }
    if (!failed) failed = json_object_update(o, made);
    json_decref(made);
    if (!failed) return o;
    json_decref(o);
    return NULL;
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
    json_t *record = NULL;
    char failure[160] = "";

    TRY(rows_of(&row, &n, win, p, j));
    mill_err err = data_read(&text, &record, &p->data, j);
    const bool is_read = !err;
    if (err == MILL_EINPUT) err = MILL_OK; /* a row says so */
    output_chain c = {
        .record = record, .text = is_read ? &text : NULL, .index = data_index(&p->data, j)};
    for (; c.sample < w->o->run->samples && !err; c.sample++)
        err = visit_chain(w, &c, row, n, failure);
    if (!err && *failure) {
        w->sum->failed_records++;
        err = w->visit(w->ctx, &c, failure);
    }
    json_decref(record);
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
