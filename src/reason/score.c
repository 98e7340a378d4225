/* score.c - an evaluation out of a judge's text, and the score that it makes. */
#include "reason/score.h"

#include "base/mem.h"
#include "reason/json_lex.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

const char *const score_criteria[N_CRITERIA] = {"correctness", "step_by_step_clarity",
                                                "logical_coherence", "mathematical_precision"};
static const double weights[N_CRITERIA] = {.4, .2, .2, .2};

#define CRITERION(name) "\"" name "\":{\"type\":\"number\",\"minimum\":0,\"maximum\":1},"
const char score_schema[] = "{\"type\":\"object\",\"properties\":{" CRITERION("correctness")
    CRITERION("step_by_step_clarity") CRITERION("logical_coherence")
        CRITERION("mathematical_precision") "\"feedback\":{\"type\":\"string\"}},"
                                            "\"required\":[\"correctness\",\"step_by_step_"
                                            "clarity\",\"logical_coherence\","
                                            "\"mathematical_precision\",\"feedback\"],"
                                            "\"additionalProperties\":false}";

/* Behind the last </think>, if there is one; in what begins as an object it is the judge's word. */
static const char *behind_thinking(const char *text, size_t *n)
{
    static const char mark[] = "</think>";
    const size_t m = sizeof mark - 1;
    const char *first = lex_space(text, text + *n);

    if (first < text + *n && *first == '{') return text;
    for (size_t at = *n; at >= m; at--) {
        if (memcmp(text + at - m, mark, m) != 0) continue;
        *n -= at;
        return text + at;
    }
    return text;
}

static mill_err read_members(score_card *out, const json_t *o)
{
    const json_t *feedback = json_object_get(o, "feedback");

    for (int i = 0; i < N_CRITERIA; i++) {
        const json_t *x = json_object_get(o, score_criteria[i]);
        if (!x) return mill_fail(MILL_EINPUT, "%s is missing", score_criteria[i]);
        if (!json_is_number(x))
            return mill_fail(MILL_EINPUT, "%s is not a number", score_criteria[i]);
        out->criterion[i] = json_number_value(x);
        if (!(out->criterion[i] >= 0 && out->criterion[i] <= 1))
            return mill_fail(MILL_EINPUT, "%s is not in 0..1", score_criteria[i]);
    }
    if (!json_is_string(feedback)) return mill_fail(MILL_EINPUT, "there is no feedback");
    out->feedback = mill_strdup(json_string_value(feedback));
    return out->feedback ? MILL_OK : MILL_ENOMEM;
}

mill_err score_read(score_card *out, const char *text, size_t n)
{
    score_card c = {0};
    json_error_t why;

    text = behind_thinking(text, &n);
    json_t *o = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);
    const mill_err err = json_is_object(o) ? read_members(&c, o)
                         : !o && json_error_code(&why) == json_error_duplicate_key
                             ? mill_fail(MILL_EINPUT, "a member stands twice")
                             : mill_fail(MILL_EINPUT, "this is not a JSON object");
    json_decref(o);
    if (!err) *out = c;
    return err;
}

double score_total(score_card *c, answer_verdict v, bool has_gold)
{
    double sum = 0;

    if (v == ANSWER_DIFFERENT || (v == ANSWER_MISSING && has_gold))
        c->criterion[SCORE_CORRECTNESS] = 0;
    for (int i = 0; i < N_CRITERIA; i++) sum += weights[i] * c->criterion[i];
    return rint(sum * 1e9) / 1e9;
}
