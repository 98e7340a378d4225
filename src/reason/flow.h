/*
 * flow.h - the chain of a record and sample: what its rows make of it, and what comes next.
 *
 *     generate -> verify -> evaluate -> [improve -> verify -> evaluate] {0..max_iterations}
 *
 * until a version reaches the threshold (good), or no improvement is left (weak), or the chain
 * failed.  Verifying is done here, against the right answer, without a model.  Of several versions
 * the best stands, the later of equals; improving goes on from the best.
 *
 * A chain is a fold over its rows and keeps nothing else: a resumed run that folds the same rows
 * stands at the same place and sends the same next request, with the same seed.
 *
 *     finish    stop           the response counts
 *               length         stored, never judged: asked for once more with max_tokens_retry, if
 *                              there is one, else "truncated"
 *               content_filter "content filter"
 *               none           no response came: row.why
 *     evaluate  unreadable     asked for again with another seed, FLOW_MOST_ASKS in all, then
 *                              "unreadable evaluation: ..."
 */
#ifndef MILL_REASON_FLOW_H
#define MILL_REASON_FLOW_H

#include "reason/answer.h"
#include "reason/prompt.h"
#include "reason/results.h"
#include "reason/score.h"

enum { FLOW_MOST_ASKS = 3, FLOW_MOST_ITERATIONS = 40 };

typedef struct {
    const prompt *prompt[N_STAGE];
    int64_t max_tokens, judge_max_tokens;
    int64_t max_tokens_retry; /* above both; 0: none */
    double temperature, judge_temperature, top_p;
    int64_t max_iterations;
    double threshold;
    uint64_t seed;
} flow_config;

/* What a chain sees of a record; borrowed; "" where it has none. */
typedef struct {
    const char *id, *problem, *solution, *gold;
} flow_record;

/* A piece of reasoning, and what was found in it. */
typedef struct {
    char *reasoning, *thinking, *given; /* mill_free; NULL: not there */
    answer_verdict verdict;
    int iteration;   /* 0: generated; k: by improvement k */
    int64_t created; /* of the response */
    chat_finish finish;
    score_card card;
    double score;
} flow_version;

typedef struct {
    reason_stage stage;     /* of the next request */
    int step;               /* of the next request */
    int asks;               /* requests of this stage so far */
    int iteration;          /* improvements begun */
    bool longer;            /* the next request has max_tokens_retry */
    flow_version draft;     /* not judged yet */
    flow_version best;      /* .reasoning NULL: nothing is judged yet */
    flow_version before;    /* what best was made from; .reasoning NULL: best was generated */
    reason_outcome outcome; /* OUTCOME_NONE: it goes on */
    double score;           /* of best; NaN: none */
    char why[160];          /* OUTCOME_FAILED */
    int64_t prompt_tokens, completion_tokens; /* of all rows */
} flow_chain;

void flow_begin(flow_chain *c);
void flow_end(flow_chain *c);

/* The chain with one more row, whose step is c->step.  MILL_ENOMEM alone, and the chain is then of
 * no more use. */
mill_err flow_take(flow_chain *c, const flow_config *f, const flow_record *r,
                   const result_row *row);

/* The same of a row that has just come: its step and stage are the chain's, and what the chain
 * makes of it is noted in it.  row->why may be the chain's then. */
mill_err flow_take_new(result_row *row, flow_chain *c, const flow_config *f, const flow_record *r);

/* What to send next, of a chain that goes on: the prompt, appended, and its parameters, but for the
 * model. */
void flow_ask(mill_text *text, chat_params *p, const flow_chain *c, const flow_config *f,
              const flow_record *r, int sample);

/* The same for the same arguments, on every machine. */
uint64_t flow_seed(uint64_t seed, const char *id, reason_stage stage, int sample, int step);

/* Bytes that the chain holds. */
size_t flow_bytes(const flow_chain *c);

#endif
