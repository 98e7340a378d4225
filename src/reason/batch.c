/*
 * batch.c - requests of open chains to a file, and responses from one into the store.
 */
#include "reason/batch.h"

#include "base/file.h"
#include "base/mem.h"
#include "reason/chat_inner.h"
#include "reason/row_list.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the configuration ---- */

static mill_err read_params(batch_config *c, const json_t *config)
{
    static const char *const names[N_STAGE] = {"prompt_generate", "prompt_evaluate",
                                               "prompt_improve"};
    reason_options *o = &c->options;
    flow_config *f = &o->flow;
    json_int_t most, judge_most;

    if (json_unpack((json_t *)config, "{s:s,s:I,s:I,s:F,s:F,s:F}", "model", &o->model, "max_tokens",
                    &most, "judge_max_tokens", &judge_most, "temperature", &f->temperature,
                    "judge_temperature", &f->judge_temperature, "top_p", &f->top_p))
        return mill_fail(MILL_EINPUT, "the store's configuration is not that of a run");
    f->max_tokens = most;
    f->judge_max_tokens = judge_most;
    o->judge_model = json_string_value(json_object_get(config, "judge_model"));
    o->extra = json_string_value(json_object_get(config, "extra"));
    for (int s = 0; s < N_STAGE; s++) {
        const char *text = json_string_value(json_object_get(config, names[s]));
        TRY(prompt_new(&c->prompt[s], (reason_stage)s, text ? text : ""));
        f->prompt[s] = c->prompt[s];
    }
    return MILL_OK;
}

mill_err batch_config_read(batch_config *out, reason_data *data, const json_t *config)
{
    batch_config c = {0};

    TRY(reason_config_hash(c.hash, config));
    mill_err err = reason_config_read(&c.options, data, config);
    if (!err) err = read_params(&c, config);
    if (err)
        batch_config_free(&c);
    else
        *out = c;
    return err;
}

void batch_config_free(batch_config *c)
{
    for (int s = 0; s < N_STAGE; s++) prompt_free(c->prompt[s]);
}

/* ---- chains ---- */

/* A chain folded over the rows that the store has of it. */
typedef struct {
    data_record text;
    flow_chain flow;
    bool has_ended;
} open_chain;

static void close_chain(open_chain *c)
{
    flow_end(&c->flow);
    data_record_free(&c->text);
}

static mill_err fold(open_chain *out, const batch_config *c, const row_list *rows, int sample)
{
    const flow_record view = data_view(&out->text);

    flow_begin(&out->flow);
    for (int64_t i = 0; i < rows->n && !out->flow.outcome; i++)
        if (rows->row[i].sample == sample && rows->row[i].step == out->flow.step)
            TRY(flow_take(&out->flow, &c->options.flow, &view, &rows->row[i]));
    out->has_ended = out->flow.outcome != OUTCOME_NONE;
    return MILL_OK;
}

/* MILL_EINPUT: the record cannot be read. */
static mill_err open_chain_of(open_chain *out, const batch_config *c, const output_part *p,
                              int64_t record, int sample)
{
    row_list rows = {0};

    *out = (open_chain){0};
    TRY(data_read(&out->text, NULL, &p->data, record));
    mill_err err = results_read(p->store, record, 1, row_list_add, &rows);
    if (!err) err = fold(out, c, &rows, sample);
    row_list_free(&rows);
    if (err) close_chain(out);
    return err;
}

/* ---- writing ---- */

typedef struct {
    const batch_config *c;
    mill_file *file;
    mill_text prompt, body;
    batch_summary *sum;
} writer;

static mill_err write_request(writer *w, const open_chain *chain, int64_t record, int sample)
{
    const reason_options *o = &w->c->options;
    const flow_record view = data_view(&chain->text);
    chat_params p;

    text_clear(&w->prompt);
    text_clear(&w->body);
    flow_ask(&w->prompt, &p, &chain->flow, &o->flow, &view, sample);
    TRY(text_check(&w->prompt));
    p.model = chain->flow.stage == STAGE_EVALUATE && o->judge_model ? o->judge_model : o->model;
    p.extra = o->extra;
    const chat_message message = {"user", w->prompt.s, w->prompt.len};
    TRY(chat_body(&w->body, &p, &message, 1));
    w->sum->requests++;
    return file_printf(w->file,
                       "{\"custom_id\":\"%.12s-%" PRId64 "-%d-%d\",\"method\":\"POST\","
                       "\"url\":\"/v1/chat/completions\",\"body\":%s}\n",
                       w->c->hash, record, sample, chain->flow.step, w->body.s);
}

static mill_err write_record(writer *w, const output_part *p, int64_t record)
{
    for (int k = 0; k < w->c->options.samples; k++) {
        open_chain chain;
        mill_err err = open_chain_of(&chain, w->c, p, record, k);
        if (err == MILL_EINPUT) return MILL_OK; /* the run says so of it */
        if (err) return err;
        if (!chain.has_ended) err = write_request(w, &chain, record, k);
        close_chain(&chain);
        if (err) return err;
    }
    return MILL_OK;
}

mill_err batch_write(batch_summary *sum, const batch_config *c, const output_part *part,
                     const char *path)
{
    writer w = {.c = c, .sum = sum};
    mill_err err = file_create_atomic(&w.file, path);

    for (int64_t i = 0; i < part->data.n && !err; i++) err = write_record(&w, part, i);
    if (!err) err = file_commit(w.file);
    file_close(w.file);
    text_free(&w.prompt);
    text_free(&w.body);
    return err;
}

/* ---- reading ----
 *
 * A file may have several steps of a chain, in any order: a line whose step comes too early is left
 * for another pass, when what this one has put is durable. */

typedef struct {
    const batch_config *c;
    const output_part *part;
    batch_summary *sum;
    bool is_early;  /* the line at hand */
    char early[80]; /* of the first such line in a pass, in words */
} reader;

typedef struct {
    int64_t record;
    int sample, step;
} place;

/* "-123" at *s, which goes on behind it; a number that is too large is the largest. */
static bool take_number(int64_t *x, const char **s)
{
    char *end;

    if (**s != '-' || (*s)[1] < '0' || (*s)[1] > '9') return false;
    *x = strtoll(*s + 1, &end, 10);
    *s = end;
    return true;
}

static mill_err parse_place(place *out, const reader *r, const char *id)
{
    enum { HASH = 12 };
    int64_t sample, step;

    if (!id) return mill_fail(MILL_EINPUT, "custom_id is missing, or no text");
    const char *s = strspn(id, "0123456789abcdef") == HASH ? id + HASH : "";
    if (!take_number(&out->record, &s) || !take_number(&sample, &s) || !take_number(&step, &s) ||
        *s)
        return mill_fail(MILL_EINPUT, "custom_id %s is not of a run of tabmill", id);
    if (strncmp(id, r->c->hash, HASH) != 0)
        return mill_fail(MILL_EINPUT, "custom_id %s is of another run: this one's begin with %.12s",
                         id, r->c->hash);
    if (out->record >= r->part->data.n || sample >= r->c->options.samples ||
        step >= RESULTS_MAX_STEPS)
        return mill_fail(MILL_EINPUT, "custom_id %s: the run has no such request", id);
    out->sample = (int)sample;
    out->step = (int)step;
    return MILL_OK;
}

static void leave_open(reader *r, const char *why)
{
    if (!r->sum->open++) snprintf(r->sum->why, sizeof r->sum->why, "%s", why);
}

static mill_err put_row(const reader *r, const place *at, open_chain *chain, result_row *row)
{
    const flow_record view = data_view(&chain->text);

    row->record = at->record;
    row->sample = at->sample;
    row->attempts = 1;
    TRY(flow_take_new(row, &chain->flow, &r->c->options.flow, &view));
    return results_put(r->part->store, row);
}

/* What a server's reply would have become; false: the chain stays as it is. */
static bool row_of(result_row *row, char why[300], const chat_reply *reply)
{
    const bool is_refused = reply->is == CHAT_REFUSED || reply->is == CHAT_TOO_LONG;

    if (is_refused) snprintf(why, 300, "refused: %s", reply->why);
    *row = is_refused ? result_of_none(why) : result_of(reply);
    return is_refused || reply->is == CHAT_OK;
}

static void leave_for_later(reader *r, const place *at, int step)
{
    r->is_early = true;
    if (!*r->early)
        snprintf(r->early, sizeof r->early, "record %lld: step %d is answered, but step %d is not",
                 (long long)at->record, at->step, step);
}

static mill_err take_reply(reader *r, const place *at, const chat_reply *reply)
{
    open_chain chain;
    result_row row;
    char why[300];

    if (!row_of(&row, why, reply)) {
        leave_open(r, reply->why);
        return MILL_OK;
    }
    TRY(open_chain_of(&chain, r->c, r->part, at->record, at->sample));
    mill_err err = MILL_OK;
    if (chain.has_ended || chain.flow.step > at->step)
        r->sum->known++;
    else if (chain.flow.step < at->step)
        leave_for_later(r, at, chain.flow.step);
    else if (!(err = put_row(r, at, &chain, &row)))
        r->sum->rows++;
    close_chain(&chain);
    return err;
}

static mill_err take_body(reader *r, const place *at, const json_t *response)
{
    char *text = json_dumps(json_object_get(response, "body"), JSON_COMPACT | JSON_ENCODE_ANY);
    http_result h = {.end = HTTP_DONE,
                     .status = (int)json_integer_value(json_object_get(response, "status_code")),
                     .body = text ? text : "",
                     .n = text ? strlen(text) : 0,
                     .rates = {-1, -1, -1, -1, -1}};
    chat_said said = {0};
    chat_reply reply;

    said_init(&said);
    if (h.status == 200)
        said_take(&said, h.body, h.n);
    else
        said_parse(&said, h.body, h.n);
    chat_reply_make(&reply, &h, &said, false);
    const mill_err err = take_reply(r, at, &reply);
    said_free(&said);
    free(text);
    return err;
}

static mill_err take_line(reader *r, const json_t *line)
{
    const json_t *response = json_object_get(line, "response");
    const json_t *error = json_object_get(line, "error");
    place at = {0};

    TRY(parse_place(&at, r, json_string_value(json_object_get(line, "custom_id"))));
    if (json_is_object(response)) return take_body(r, &at, response);
    const char *why = json_string_value(json_object_get(error, "message"));
    leave_open(r, why ? why : "there is no response");
    return MILL_OK;
}

/* The lines that are not done; what they bring is durable then. */
static mill_err take_lines(reader *r, bool *is_done, const record_file *lines, const char *path)
{
    mill_err err = MILL_OK;
    json_t *line;

    *r->early = 0;
    for (int64_t i = 0; i < records_count(lines) && !err; i++) {
        if (is_done[i]) continue;
        if ((err = records_read(&line, lines, i))) break;
        r->is_early = false;
        err = take_line(r, line);
        is_done[i] = !r->is_early;
        json_decref(line);
        if (err == MILL_EINPUT) {
            char why[400];
            snprintf(why, sizeof why, "%s", mill_error());
            mill_fail(err, "%s:%lld: %s", path, (long long)i + 1, why);
        }
    }
    const mill_err synced = results_sync(r->part->store);
    return err ? err : synced;
}

static mill_err read_lines(reader *r, const record_file *lines, const char *path)
{
    bool *is_done = mill_alloc((size_t)records_count(lines), sizeof *is_done);
    mill_err err = is_done ? MILL_OK : MILL_ENOMEM;
    int64_t before = -1;

    while (!err && r->sum->rows > before) {
        before = r->sum->rows;
        err = take_lines(r, is_done, lines, path);
        if (!*r->early) break;
    }
    if (!err && *r->early) err = mill_fail(MILL_EINPUT, "%s: %s", path, r->early);
    mill_free(is_done);
    return err;
}

mill_err batch_read(batch_summary *sum, const batch_config *c, const output_part *part,
                    const char *path)
{
    reader r = {.c = c, .part = part, .sum = sum};
    results_counts before, after;
    record_file *lines;

    TRY(results_count(part->store, &before));
    TRY(records_open(&lines, path, NULL));
    const mill_err err = read_lines(&r, lines, path);
    records_close(lines);
    const mill_err counted = results_count(part->store, &after);
    if (counted) return err ? err : counted;
    /* An answer that stands twice in the file was put twice. */
    sum->rows -= after.duplicates - before.duplicates;
    sum->known += after.duplicates - before.duplicates;
    return err;
}
