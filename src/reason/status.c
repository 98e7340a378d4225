/*
 * status.c - sums of counts, and rates from the last lines of metrics.jsonl.
 *
 * Its last TAIL bytes are read: a run of days has a file of many megabytes.
 */
#include "reason/status.h"

#include "base/file.h"
#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { TAIL = 256 << 10, SHOWN = 600 };
static const double SPAN = 60, SILENT = 10; /* seconds */

/* ---- metrics.jsonl ---- */

typedef struct {
    json_t *last;                                     /* line; NULL: none */
    double age, chains_per_second, tokens_per_second; /* < 0: not known */
    bool is_running;
} speed;

static double number(const json_t *line, const char *name)
{
    return json_number_value(json_object_get(line, name));
}

static mill_err read_tail(char **out, const char *folder)
{
    char path[4200];
    mill_file *f;
    int64_t size = 0;
    size_t n = 0;

    *out = NULL;
    snprintf(path, sizeof path, "%s/metrics.jsonl", folder);
    if (!file_exists(path)) return MILL_OK;
    TRY(file_open(&f, path));
    mill_err err = file_size(f, &size);
    char *text = err ? NULL : mill_alloc(TAIL + 1, 1);
    if (!err && !text) err = MILL_ENOMEM;
    if (!err) err = file_pread(f, text, TAIL, size > TAIL ? size - TAIL : 0, &n);
    file_close(f);
    if (err) {
        mill_free(text);
        return err;
    }
    *out = text;
    return MILL_OK;
}

/* The last line, and how much was done since the oldest line of the same process within SPAN. */
static void measure(speed *s, char *text)
{
    json_t *first = NULL;
    char *end = text + strlen(text);

    while (end > text) {
        char *begin = end - 1; /* a line ends with LF, also the last; a torn one is no JSON */
        *begin = 0;
        while (begin > text && begin[-1] != '\n') begin--;
        json_t *line = json_loads(begin, 0, NULL);
        end = begin;
        if (!json_is_object(line)) {
            json_decref(line);
            continue;
        }
        if (!s->last) {
            s->last = line;
            continue;
        }
        const bool is_same = number(line, "rows") <= number(first ? first : s->last, "rows") &&
                             number(line, "time") <= number(s->last, "time");
        if (!is_same || number(s->last, "time") - number(line, "time") > SPAN) {
            json_decref(line);
            break;
        }
        json_decref(first);
        first = line;
    }
    const double seconds = first ? number(s->last, "time") - number(first, "time") : 0;
    if (seconds > 0) {
        s->chains_per_second = (number(s->last, "done") - number(first, "done")) / seconds;
        s->tokens_per_second = (number(s->last, "tokens") - number(first, "tokens")) / seconds;
    }
    json_decref(first);
}

static mill_err read_speed(speed *s, const char *folder)
{
    struct timespec now;
    char *text;

    *s = (speed){.age = -1, .chains_per_second = -1, .tokens_per_second = -1};
    TRY(read_tail(&text, folder));
    if (text) measure(s, text);
    mill_free(text);
    if (!s->last) return MILL_OK;
    clock_gettime(CLOCK_REALTIME, &now);
    s->age = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec - number(s->last, "time");
    s->is_running = s->age < SILENT && !json_is_true(json_object_get(s->last, "is_over"));
    return MILL_OK;
}

/* ---- the whole ---- */

typedef struct {
    results_counts counts;
    json_t *reasons, *servers;
    bool is_running;
    double age, chains_per_second, tokens_per_second, in_flight;
} sums;

static mill_err add_reasons(json_t *sum, results *store)
{
    const char *why;
    json_t *more, *n;
    bool failed = false;

    TRY(results_reasons(store, &more));
    json_object_foreach(more, why, n)
    {
        const json_int_t before = json_integer_value(json_object_get(sum, why));
        failed |= json_object_set_new(sum, why, json_integer(before + json_integer_value(n))) != 0;
    }
    json_decref(more);
    return failed ? mill_fail(MILL_ENOMEM, "no memory for a status") : MILL_OK;
}

static mill_err add_part(sums *s, const status_part *p)
{
    results_counts c;
    speed v;

    TRY(results_count(p->store, &c));
    for (int i = 0; i < (int)(sizeof c / sizeof(int64_t)); i++)
        ((int64_t *)&s->counts)[i] += ((const int64_t *)&c)[i];
    TRY(add_reasons(s->reasons, p->store));
    TRY(read_speed(&v, p->folder));
    if (v.last) {
        json_array_extend(s->servers, json_object_get(v.last, "servers"));
        if (v.is_running) s->in_flight += number(v.last, "in_flight");
        if (s->age < 0 || v.age < s->age) s->age = v.age;
    }
    s->is_running |= v.is_running;
    if (v.is_running && v.chains_per_second >= 0) {
        s->chains_per_second += v.chains_per_second;
        s->tokens_per_second += v.tokens_per_second;
    }
    json_decref(v.last);
    return MILL_OK;
}

static json_t *stages_json(const results_counts *c)
{
    json_t *all = json_object();

    for (int k = 0; k < N_STAGE; k++)
        json_object_set_new(all, stage_name((reason_stage)k),
                            json_pack("{s:I,s:I,s:I,s:I}", "responses", (json_int_t)c->rows[k],
                                      "truncated", (json_int_t)c->truncated[k], "prompt_tokens",
                                      (json_int_t)c->prompt_tokens[k], "completion_tokens",
                                      (json_int_t)c->completion_tokens[k]));
    return all;
}

static json_t *scores_json(const results_counts *c)
{
    json_t *all = json_array();

    for (int i = 0; i < RESULTS_SCORE_BINS; i++)
        json_array_append_new(all, json_integer(c->score[i]));
    return all;
}

static json_t *real_or_null(double x, bool is_known)
{
    return is_known ? json_real(x) : json_null();
}

static json_t *status_json(const sums *s, int64_t chains)
{
    const results_counts *c = &s->counts;
    const int64_t done =
        c->outcome[OUTCOME_GOOD] + c->outcome[OUTCOME_WEAK] + c->outcome[OUTCOME_FAILED];
    int64_t responses = 0, truncated = 0;

    for (int k = 0; k < N_STAGE; k++) {
        responses += c->rows[k];
        truncated += c->truncated[k];
    }
    const bool has_eta = s->is_running && s->chains_per_second > 0;
    json_t *o =
        json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:o,s:I,s:f,s:I,s:O,s:o}", "chains", (json_int_t)chains,
                  "done", (json_int_t)done, "good", (json_int_t)c->outcome[OUTCOME_GOOD], "weak",
                  (json_int_t)c->outcome[OUTCOME_WEAK], "failed",
                  (json_int_t)c->outcome[OUTCOME_FAILED], "open", (json_int_t)(chains - done),
                  "stages", stages_json(c), "responses", (json_int_t)responses, "cap_hit_rate",
                  responses ? (double)truncated / (double)responses : 0., "duplicates",
                  (json_int_t)c->duplicates, "failures", s->reasons, "scores", scores_json(c));
    json_t *rest = json_pack(
        "{s:b,s:o,s:o,s:o,s:o,s:I,s:O}", "is_running", s->is_running, "heard",
        real_or_null(s->age, s->age >= 0), "chains_per_second",
        real_or_null(s->chains_per_second, s->is_running), "tokens_per_second",
        real_or_null(s->tokens_per_second, s->is_running), "eta_seconds",
        real_or_null(has_eta ? (double)(chains - done) / s->chains_per_second : 0, has_eta),
        "in_flight", (json_int_t)s->in_flight, "servers", s->servers);
    if (!o || !rest || json_object_update(o, rest)) {
        json_decref(o);
        o = NULL;
    }
    json_decref(rest);
    return o;
}

mill_err reason_status(json_t **out, const status_part *part, int n, int64_t chains)
{
    sums s = {.reasons = json_object(), .servers = json_array(), .age = -1};
    mill_err err = MILL_OK;
    json_t *o = NULL;

    for (int i = 0; i < n && !err; i++) err = add_part(&s, &part[i]);
    if (!err && !(o = status_json(&s, chains)))
        err = mill_fail(MILL_ENOMEM, "no memory for a status");
    json_decref(s.reasons);
    json_decref(s.servers);
    if (!err) *out = o;
    return err;
}

/* ---- the newest rows ---- */

static mill_err add_row(void *ctx, const result_row *r)
{
    static const char *const outcomes[N_OUTCOME] = {"", "good", "weak", "failed"};
    size_t n = r->n_content < SHOWN ? r->n_content : SHOWN;

    while (n < r->n_content && n && ((unsigned char)r->content[n] & 0xc0) == 0x80) n--;
    json_t *o =
        json_pack("{s:I,s:i,s:i,s:s,s:s,s:s,s:o,s:I,s:f,s:s%,s:s}", "record", (json_int_t)r->record,
                  "sample", r->sample, "step", r->step, "stage", stage_name(r->stage), "finish",
                  chat_finish_name(r->finish), "outcome", outcomes[r->outcome], "score",
                  isnan(r->score) ? json_null() : json_real(r->score), "tokens",
                  (json_int_t)r->completion_tokens, "seconds", r->seconds, "content", r->content, n,
                  "why", r->why);
    if (!o || json_array_append_new(ctx, o)) return mill_fail(MILL_ENOMEM, "no memory for a row");
    return MILL_OK;
}

mill_err reason_latest(json_t **out, const status_part *part, int n_parts, int n)
{
    json_t *all = json_array();
    mill_err err = all ? MILL_OK : mill_fail(MILL_ENOMEM, "no memory for rows");

    for (int i = 0; i < n_parts && !err; i++) err = results_latest(part[i].store, n, add_row, all);
    if (err)
        json_decref(all);
    else
        *out = all;
    return err;
}
