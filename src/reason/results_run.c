/*
 * results_run.c - what both stores need to know of a run: keys, counts by name, and in what two
 * configurations differ.
 */
#include "reason/results_inner.h"

#include "base/mem.h"
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(results_counts) % sizeof(int64_t) == 0, "counts are an array of integers");

const char *stage_name(reason_stage s)
{
    static const char *const names[N_STAGE] = {"generate", "evaluate", "improve"};

    return names[s];
}

void result_key_set(result_row *row, int64_t key)
{
    row->record = key / RESULTS_MAX_STEPS / RESULTS_MAX_SAMPLES;
    row->sample = (int)(key / RESULTS_MAX_STEPS % RESULTS_MAX_SAMPLES);
    row->step = (int)(key % RESULTS_MAX_STEPS);
}

result_row result_of_none(const char *why)
{
    return (result_row){.finish = FINISH_NONE,
                        .score = NAN,
                        .server = -1,
                        .prompt_tokens = -1,
                        .completion_tokens = -1,
                        .cached_tokens = -1,
                        .content = "",
                        .reasoning = "",
                        .why = why};
}

result_row result_of(const chat_reply *r)
{
    return (result_row){.finish = r->finish,
                        .score = NAN,
                        .server = -1,
                        .prompt_tokens = r->prompt_tokens,
                        .completion_tokens = r->completion_tokens,
                        .cached_tokens = r->cached_tokens,
                        .created = r->created,
                        .seconds = r->seconds,
                        .first_byte = r->first_byte,
                        .content = r->content,
                        .reasoning = r->reasoning,
                        .why = "",
                        .n_content = r->n_content,
                        .n_reasoning = r->n_reasoning};
}

int64_t results_ranges(const results_options *o)
{
    return (o->records + o->range - 1) / o->range;
}

/* ---- counts ---- */

#define AT(member)       (int)(offsetof(results_counts, member) / sizeof(int64_t))
#define IS_IN(member, i) ((i) >= AT(member) && (i) < AT(member) + (int)N_OF(member))
#define N_OF(member)     (sizeof(((results_counts *)0)->member) / sizeof(int64_t))
#define BY_STAGE(member, i, name)                                                  \
    if (IS_IN(member, i)) {                                                        \
        snprintf(out, 40, name ".%s", stage_name((reason_stage)((i)-AT(member)))); \
        return out;                                                                \
    }

const char *results_count_name(char out[40], int i)
{
    static const char *const outcomes[N_OUTCOME] = {"none", "good", "weak", "failed"};

    BY_STAGE(rows, i, "rows")
    BY_STAGE(truncated, i, "truncated")
    BY_STAGE(prompt_tokens, i, "prompt_tokens")
    BY_STAGE(completion_tokens, i, "completion_tokens")
    if (IS_IN(outcome, i))
        snprintf(out, 40, "chains.%s", outcomes[i - AT(outcome)]);
    else if (IS_IN(score, i))
        snprintf(out, 40, "score.%.2f", (double)(i - AT(score)) / RESULTS_SCORE_BINS);
    else
        snprintf(out, 40, "duplicates");
    return out;
}

static int score_bin(double score)
{
    const int i = (int)(score * RESULTS_SCORE_BINS);

    return i < 0 ? 0 : i >= RESULTS_SCORE_BINS ? RESULTS_SCORE_BINS - 1 : i;
}

void results_count_add(results_counts *c, const result_row *row)
{
    const reason_stage s = row->stage;

    if (row->finish != FINISH_NONE) c->rows[s]++;
    if (row->finish == FINISH_LENGTH) c->truncated[s]++;
    if (row->prompt_tokens > 0) c->prompt_tokens[s] += row->prompt_tokens;
    if (row->completion_tokens > 0) c->completion_tokens[s] += row->completion_tokens;
    if (row->outcome == OUTCOME_NONE) return;
    c->outcome[row->outcome]++;
    if (!isnan(row->score)) c->score[score_bin(row->score)]++;
}

/* ---- configurations ---- */

char *results_config_text(const json_t *config)
{
    return json_dumps(config, JSON_COMPACT | JSON_SORT_KEYS);
}

enum { SHOWN = 40 }; /* characters of a value; prompts are longer */

static void add_value(mill_text *t, const json_t *v)
{
    char *text = v ? json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

    text_add(t, "%.*s%s", SHOWN, text ? text : "absent", text && strlen(text) > SHOWN ? "..." : "");
    free(text);
}

static void add_difference(mill_text *t, const char *name, const json_t *was, const json_t *is)
{
    if (was && is && json_equal(was, is)) return;
    text_add(t, "%s%s (there ", t->len ? ", " : "", name);
    add_value(t, was);
    text_add(t, ", here ");
    add_value(t, is);
    text_add(t, ")");
}

mill_err results_config_differs(const char *where, const char *was_text, const json_t *is)
{
    json_t *was = json_loads(was_text, 0, NULL), *v;
    const char *name;
    mill_text t = {0};

    json_object_foreach((json_t *)is, name, v)
        add_difference(&t, name, json_object_get(was, name), v);
    json_object_foreach(was, name, v) if (!json_object_get(is, name))
        add_difference(&t, name, v, NULL);
    json_decref(was);
    mill_err err = text_check(&t);
    if (!err)
        err = mill_fail(MILL_EINPUT, "%s is of another run: %s", where,
                        t.len ? t.s : "its configuration has another hash");
    text_free(&t);
    return err;
}
