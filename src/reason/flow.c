/* flow.c - the chain of a record and sample, folded from its rows. */
#include "reason/flow.h"

#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

void flow_begin(flow_chain *c)
{
    *c = (flow_chain){.stage = STAGE_GENERATE, .score = NAN};
}

static void free_version(flow_version *v)
{
    mill_free(v->reasoning);
    mill_free(v->thinking);
    mill_free(v->given);
    mill_free(v->card.feedback);
    *v = (flow_version){0};
}

void flow_end(flow_chain *c)
{
    free_version(&c->draft);
    free_version(&c->best);
    free_version(&c->before);
}

static void fail(flow_chain *c, const char *why)
{
    c->outcome = OUTCOME_FAILED;
    snprintf(c->why, sizeof c->why, "%s", why);
}

static void go_to(flow_chain *c, reason_stage s)
{
    c->stage = s;
    c->asks = 0;
    c->longer = false;
}

/* A response of generate or improve. */
static mill_err take_reasoning(flow_chain *c, const flow_record *r, const result_row *row)
{
    flow_version *d = &c->draft;
    answer_span given;

    free_version(d);
    d->reasoning = mill_strndup(row->content, row->n_content);
    d->thinking = mill_strndup(row->reasoning, row->n_reasoning);
    if (!d->reasoning || !d->thinking) return MILL_ENOMEM;
    d->verdict =
        answer_verify((answer_span){r->gold, strlen(r->gold)}, row->content, row->n_content);
    if (answer_boxed(&given, row->content, row->n_content) &&
        !(d->given = mill_strndup(given.s, given.n)))
        return MILL_ENOMEM;
    d->iteration = c->iteration;
    d->created = row->created;
    d->finish = row->finish;
    go_to(c, STAGE_EVALUATE);
    return MILL_OK;
}

/* The draft has its score: it stands, unless an earlier version is better. */
static void judge(flow_chain *c, const flow_config *f)
{
    if (!c->best.reasoning || c->draft.score >= c->best.score) {
        free_version(&c->before);
        c->before = c->best;
        c->best = c->draft;
        c->draft = (flow_version){0};
    } else {
        free_version(&c->draft);
    }
    c->score = c->best.score;
    if (c->score >= f->threshold) {
        c->outcome = OUTCOME_GOOD;
    } else if (c->iteration >= f->max_iterations) {
        c->outcome = OUTCOME_WEAK;
    } else {
        c->iteration++;
        go_to(c, STAGE_IMPROVE);
    }
}

static mill_err take_evaluation(flow_chain *c, const flow_config *f, const flow_record *r,
                                const result_row *row)
{
    const bool has_gold = answer_is_gold((answer_span){r->gold, strlen(r->gold)});
    flow_version *d = &c->draft;
    char why[160];

    const mill_err err = score_read(&d->card, row->content, row->n_content);
    if (err == MILL_ENOMEM) return err;
    if (err) {
        snprintf(why, sizeof why, "unreadable evaluation: %s", mill_error());
        if (c->asks >= FLOW_MOST_ASKS) fail(c, why);
        return MILL_OK;
    }
    d->score = score_total(&d->card, d->verdict, has_gold);
    judge(c, f);
    return MILL_OK;
}

/* The response was cut by its limit. */
static void take_truncated(flow_chain *c, const flow_config *f)
{
    if (!f->max_tokens_retry || c->longer)
        fail(c, "truncated");
    else
        c->longer = true;
}

mill_err flow_take(flow_chain *c, const flow_config *f, const flow_record *r, const result_row *row)
{
    c->step++;
    c->asks++;
    if (row->prompt_tokens > 0) c->prompt_tokens += row->prompt_tokens;
    if (row->completion_tokens > 0) c->completion_tokens += row->completion_tokens;
    switch (row->finish) {
    case FINISH_STOP:
        break;
    case FINISH_LENGTH:
        take_truncated(c, f);
        return MILL_OK;
    case FINISH_FILTER:
        fail(c, "content filter");
        return MILL_OK;
    case FINISH_NONE:
        fail(c, *row->why ? row->why : "no response");
        return MILL_OK;
    default:
        fail(c, "the response ended for another reason than its end");
        return MILL_OK;
    }
    return c->stage == STAGE_EVALUATE ? take_evaluation(c, f, r, row) : take_reasoning(c, r, row);
}

mill_err flow_take_new(result_row *row, flow_chain *c, const flow_config *f, const flow_record *r)
{
    row->step = c->step;
    row->stage = c->stage;
    TRY(flow_take(c, f, r, row));
    row->outcome = c->outcome;
    row->score = c->outcome ? c->score : (double)NAN;
    if (c->outcome == OUTCOME_FAILED) row->why = c->why;
    return MILL_OK;
}

/* ---- requests ---- */

uint64_t flow_seed(uint64_t seed, const char *id, reason_stage stage, int sample, int step)
{
    const uint8_t key[] = {(uint8_t)stage, (uint8_t)sample, (uint8_t)(sample >> 8), (uint8_t)step};

    return XXH3_64bits_withSeed(key, sizeof key, XXH3_64bits_withSeed(id, strlen(id), seed));
}

static void add_scores(mill_text *t, const score_card *card)
{
    for (int i = 0; i < N_CRITERIA; i++) {
        char number[40];
        number[mill_format_f64(number, card->criterion[i])] = 0;
        text_add(t, "%s%s %s", i ? ", " : "", score_criteria[i], number);
    }
}

static int64_t tokens_of(const flow_chain *c, const flow_config *f)
{
    if (c->longer) return f->max_tokens_retry;
    return c->stage == STAGE_EVALUATE ? f->judge_max_tokens : f->max_tokens;
}

void flow_ask(mill_text *text, chat_params *p, const flow_chain *c, const flow_config *f,
              const flow_record *r, int sample)
{
    const bool judges = c->stage == STAGE_EVALUATE;
    const flow_version *about = judges ? &c->draft : &c->best;
    mill_text scores = {0};

    if (c->stage == STAGE_IMPROVE) add_scores(&scores, &about->card);
    const char *const value[N_PLACE] = {
        [PLACE_PROBLEM] = r->problem,
        [PLACE_SOLUTION] = r->solution,
        [PLACE_ID] = r->id,
        [PLACE_ANSWER] = r->gold,
        [PLACE_REASONING] = about->reasoning,
        [PLACE_FEEDBACK] = about->card.feedback,
        [PLACE_SCORES] = scores.s,
    };
    prompt_fill(text, f->prompt[c->stage], value);
    text->failed |= scores.failed;
    text_free(&scores);
    *p = (chat_params){
        .max_tokens = tokens_of(c, f),
        .temperature = judges ? f->judge_temperature : f->temperature,
        .top_p = f->top_p,
        .seed = flow_seed(f->seed, r->id, c->stage, sample, c->step),
        .schema = judges ? score_schema : NULL,
        .schema_name = judges ? "evaluation" : NULL,
    };
}

static size_t version_bytes(const flow_version *v)
{
    return (v->reasoning ? strlen(v->reasoning) : 0) + (v->thinking ? strlen(v->thinking) : 0) +
           (v->card.feedback ? strlen(v->card.feedback) : 0);
}

size_t flow_bytes(const flow_chain *c)
{
    return version_bytes(&c->draft) + version_bytes(&c->best) + version_bytes(&c->before);
}
