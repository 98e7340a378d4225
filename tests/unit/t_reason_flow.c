/* t_reason_flow.c - prompts filled, evaluations read, chains folded. */
#include "lib/test.h"

#include "base/mem.h"
#include "reason/flow.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- prompts ---- */

static void assert_filled(reason_stage s, const char *text, const char *want)
{
    const char *const value[N_PLACE] = {"P", "S", "7", "42", "R", "F", "0.5"};
    mill_text out = {0};
    prompt *p;

    assert_ok(prompt_new(&p, s, text));
    prompt_fill(&out, p, value);
    assert_ok(text_check(&out));
    assert_string_equal(out.s, want);
    assert_string_equal(prompt_text(p), text);
    text_free(&out);
    prompt_free(p);
}

static void assert_no_prompt(reason_stage s, const char *text, const char *words)
{
    prompt *p = NULL;

    assert_int_equal(prompt_new(&p, s, text), MILL_EINPUT);
    if (!strstr(mill_error(), words)) fail_msg("%s", mill_error());
    assert_null(p);
}

void test_prompt__has_places_and_leaves_other_braces(void **state)
{
    (void)state;
    assert_filled(STAGE_GENERATE, "{problem}", "P");
    assert_filled(STAGE_GENERATE, "a{problem}{solution}b{id}", "aPSb7");
    assert_filled(STAGE_GENERATE, "\\boxed{} {your answer} {\"a\": {\"b\": 1}} {problem}{",
                  "\\boxed{} {your answer} {\"a\": {\"b\": 1}} P{");
    assert_filled(STAGE_GENERATE, "{{problem}} is {problem}, {{x}}", "{problem} is P, {x}");
    assert_filled(STAGE_EVALUATE, "{problem} {reasoning} {answer}", "P R 42");
    assert_filled(STAGE_IMPROVE, "{problem} {reasoning} {scores} {feedback}", "P R 0.5 F");
}

void test_prompt__refuses_what_it_cannot_fill(void **state)
{
    (void)state;
    assert_no_prompt(STAGE_GENERATE, "{problem} {problme}", "no place {problme}");
    assert_no_prompt(STAGE_GENERATE, "{problem} \\boxed{answer}", "no place {answer}");
    assert_no_prompt(STAGE_EVALUATE, "{problem} {reasoning} {feedback}", "no place {feedback}");
    assert_no_prompt(STAGE_GENERATE, "Solve it.", "{problem}");
    assert_no_prompt(STAGE_EVALUATE, "{problem}", "{reasoning}");
    assert_no_prompt(STAGE_GENERATE, "{problem} \xff", "UTF-8");
}

void test_prompt__default_of_each_stage_is_one(void **state)
{
    (void)state;
    for (int s = 0; s < N_STAGE; s++) {
        prompt *p;
        assert_ok(prompt_new(&p, (reason_stage)s, prompt_default((reason_stage)s)));
        prompt_free(p);
    }
}

/* ---- scores ---- */

static const char good_json[] =
    "{\"correctness\":1,\"step_by_step_clarity\":0.9,\"logical_coherence\":0.8,"
    "\"mathematical_precision\":0.7,\"feedback\":\"fine\"}";
static const char weak_json[] =
    "{\"correctness\":0.5,\"step_by_step_clarity\":0.5,\"logical_coherence\":0.5,"
    "\"mathematical_precision\":0.5,\"feedback\":\"say more\"}";
static const char even_json[] =
    "{\"correctness\":0.8,\"step_by_step_clarity\":0.8,\"logical_coherence\":0.8,"
    "\"mathematical_precision\":0.8,\"feedback\":\"even\"}";
static const char poor_json[] =
    "{\"correctness\":0,\"step_by_step_clarity\":0.5,\"logical_coherence\":0.5,"
    "\"mathematical_precision\":0.5,\"feedback\":\"no\"}";

static void assert_unreadable(const char *text, const char *words)
{
    score_card c = {.feedback = NULL};

    assert_int_equal(score_read(&c, text, strlen(text)), MILL_EINPUT);
    if (!strstr(mill_error(), words)) fail_msg("%s", mill_error());
    assert_null(c.feedback);
}

void test_score__is_read_strictly(void **state)
{
    (void)state;
    score_card c;

    assert_ok(score_read(&c, good_json, strlen(good_json)));
    assert_true(c.criterion[0] == 1 && c.criterion[1] == .9 && c.criterion[3] == .7);
    assert_string_equal(c.feedback, "fine");
    mill_free(c.feedback);
    assert_unreadable("", "not a JSON object");
    assert_unreadable("The score is 0.9.", "not a JSON object");
    assert_unreadable("[1]", "not a JSON object");
    assert_unreadable("{\"step_by_step_clarity\":1,\"logical_coherence\":1,"
                      "\"mathematical_precision\":1,\"feedback\":\"\"}",
                      "correctness is missing");
    assert_unreadable("{\"correctness\":\"1\",\"step_by_step_clarity\":1,\"logical_coherence\":1,"
                      "\"mathematical_precision\":1,\"feedback\":\"\"}",
                      "correctness is not a number");
    assert_unreadable("{\"correctness\":1,\"step_by_step_clarity\":1,\"logical_coherence\":1.01,"
                      "\"mathematical_precision\":1,\"feedback\":\"\"}",
                      "logical_coherence is not in 0..1");
    assert_unreadable("{\"correctness\":-1e-9,\"step_by_step_clarity\":1,\"logical_coherence\":1,"
                      "\"mathematical_precision\":1,\"feedback\":\"\"}",
                      "correctness is not in 0..1");
    assert_unreadable("{\"correctness\":0,\"correctness\":1,\"step_by_step_clarity\":1,"
                      "\"logical_coherence\":1,\"mathematical_precision\":1,\"feedback\":\"\"}",
                      "a member stands twice");
    assert_unreadable("{\"correctness\":1,\"step_by_step_clarity\":1,\"logical_coherence\":1,"
                      "\"mathematical_precision\":1}",
                      "feedback");
}

void test_score__stands_behind_thinking(void **state)
{
    (void)state;
    char text[400];
    score_card c;

    snprintf(text, sizeof text, "<think>{\"correctness\": 0}</think>\n\n%s\n", good_json);
    assert_ok(score_read(&c, text, strlen(text)));
    assert_true(c.criterion[0] == 1);
    mill_free(c.feedback);
    snprintf(text, sizeof text, "\n{%s\"feedback\":\"no </think> was there\"}",
             "\"correctness\":1,\"step_by_step_clarity\":1,\"logical_coherence\":1,"
             "\"mathematical_precision\":1,");
    assert_ok(score_read(&c, text, strlen(text)));
    assert_string_equal(c.feedback, "no </think> was there");
    mill_free(c.feedback);
}

void test_score__weighs_and_never_believes_a_wrong_answer(void **state)
{
    (void)state;
    score_card c = {.criterion = {.8, .8, .8, .8}};
    score_card best = {.criterion = {1, 1, 1, 1}};

    assert_true(score_total(&c, ANSWER_EQUAL, true) == .8); /* exactly, for a threshold */
    c = (score_card){.criterion = {.5, 1, 0, .25}};
    assert_true(score_total(&c, ANSWER_UNSUPPORTED, true) == .45);
    c = best;
    assert_true(score_total(&c, ANSWER_DIFFERENT, true) == .6);
    assert_true(c.criterion[SCORE_CORRECTNESS] == 0);
    c = best;
    assert_true(score_total(&c, ANSWER_MISSING, true) == .6);
    c = best;
    assert_true(score_total(&c, ANSWER_MISSING, false) == 1);
}

/* ---- chains ---- */

/* Letters are rows: g generate or improve with the right answer, w with a wrong one, n without a
 * box, t truncated, f filtered, x no response; G, E, W, P a good, even, weak, poor evaluation, J
 * none, T one that was truncated. */
static void folded(flow_chain *c, const flow_config *f, const char *rows)
{
    static const flow_record record = {.id = "a", .problem = "2+2", .solution = "", .gold = "4"};
    static const struct {
        char letter;
        chat_finish finish;
        const char *content, *why;
    } kinds[] = {{'g', FINISH_STOP, "It is \\boxed{4}", ""},
                 {'w', FINISH_STOP, "It is \\boxed{5}", ""},
                 {'n', FINISH_STOP, "It is four", ""},
                 {'t', FINISH_LENGTH, "It is \\boxed{4}, bec", ""},
                 {'f', FINISH_FILTER, "", ""},
                 {'x', FINISH_NONE, "", "no response: refused"},
                 {'G', FINISH_STOP, good_json, ""},
                 {'E', FINISH_STOP, even_json, ""},
                 {'W', FINISH_STOP, weak_json, ""},
                 {'P', FINISH_STOP, poor_json, ""},
                 {'J', FINISH_STOP, "I like it", ""},
                 {'T', FINISH_LENGTH, "{\"correctness\": 1", ""}};

    flow_begin(c);
    for (const char *s = rows; *s; s++) {
        size_t k = 0;
        while (kinds[k].letter != *s) k++;
        const result_row row = {.step = c->step,
                                .stage = c->stage,
                                .finish = kinds[k].finish,
                                .prompt_tokens = 10,
                                .completion_tokens = 3,
                                .created = 100 + c->step,
                                .content = kinds[k].content,
                                .reasoning = "",
                                .why = kinds[k].why,
                                .n_content = strlen(kinds[k].content)};
        if (c->outcome) fail_msg("%s: it had ended before %s", rows, s);
        assert_ok(flow_take(c, f, &record, &row));
    }
}

static flow_config config(int64_t iterations, int64_t retry)
{
    return (flow_config){.max_tokens = 100,
                         .judge_max_tokens = 50,
                         .max_tokens_retry = retry,
                         .max_iterations = iterations,
                         .threshold = .8,
                         .temperature = .6,
                         .judge_temperature = .3};
}

static void assert_next(const char *rows, const flow_config *f, reason_stage stage)
{
    flow_chain c;

    folded(&c, f, rows);
    if (c.outcome || c.stage != stage)
        fail_msg("%s: outcome %d, then %s", rows, (int)c.outcome, stage_name(c.stage));
    flow_end(&c);
}

static void assert_ends(const char *rows, const flow_config *f, reason_outcome outcome,
                        double score, const char *why)
{
    flow_chain c;

    folded(&c, f, rows);
    if (c.outcome != outcome || (isnan(score) ? !isnan(c.score) : fabs(c.score - score) > 1e-12) ||
        strcmp(c.why, why) != 0)
        fail_msg("%s: outcome %d, score %g, \"%s\"", rows, (int)c.outcome, c.score, c.why);
    flow_end(&c);
}

void test_flow__goes_from_stage_to_stage(void **state)
{
    (void)state;
    const flow_config f = config(2, 0);

    assert_next("", &f, STAGE_GENERATE);
    assert_next("g", &f, STAGE_EVALUATE);
    assert_next("gW", &f, STAGE_IMPROVE);
    assert_next("gWg", &f, STAGE_EVALUATE);
    assert_next("gWgW", &f, STAGE_IMPROVE);
    assert_next("gWgWg", &f, STAGE_EVALUATE);
    assert_ends("gG", &f, OUTCOME_GOOD, .88, "");
    assert_ends("gE", &f, OUTCOME_GOOD, .8, ""); /* the threshold itself */
    assert_ends("gWgG", &f, OUTCOME_GOOD, .88, "");
    assert_ends("gWgWgW", &f, OUTCOME_WEAK, .5, "");
}

void test_flow__improves_nothing_where_no_improvement_is_allowed(void **state)
{
    (void)state;
    const flow_config f = config(0, 0);

    assert_ends("gW", &f, OUTCOME_WEAK, .5, "");
    assert_ends("gG", &f, OUTCOME_GOOD, .88, "");
}

void test_flow__does_not_believe_a_judge_of_a_wrong_answer(void **state)
{
    (void)state;
    const flow_config f = config(0, 0);

    assert_ends("wG", &f, OUTCOME_WEAK, .48, "");
    assert_ends("nG", &f, OUTCOME_WEAK, .48, "");
}

void test_flow__keeps_the_best_version(void **state)
{
    (void)state;
    const flow_config f = config(2, 0);
    flow_chain c;

    folded(&c, &f, "gWgPgP");
    assert_int_equal(c.outcome, OUTCOME_WEAK);
    assert_int_equal(c.best.iteration, 0);
    assert_null(c.before.reasoning);
    flow_end(&c);
    folded(&c, &f, "wGgPgW"); /* .48, .3, .5 */
    assert_int_equal(c.best.iteration, 2);
    assert_int_equal(c.before.iteration, 0);
    assert_int_equal(c.before.verdict, ANSWER_DIFFERENT);
    assert_int_equal(c.prompt_tokens, 60);
    assert_int_equal(c.completion_tokens, 18);
    assert_int_equal(c.best.created, 104);
    flow_end(&c);
}

void test_flow__never_judges_what_was_cut(void **state)
{
    (void)state;
    const flow_config once = config(2, 0), again = config(2, 400);
    static const flow_record record = {.id = "a", .problem = "2+2", .solution = "", .gold = "4"};
    mill_text text = {0};
    chat_params p;
    flow_chain c;
    prompt *generate;

    assert_ends("t", &once, OUTCOME_FAILED, NAN, "truncated");
    assert_ends("gT", &once, OUTCOME_FAILED, NAN, "truncated");
    assert_ends("gWt", &once, OUTCOME_FAILED, .5, "truncated");
    assert_next("t", &again, STAGE_GENERATE);
    assert_next("tg", &again, STAGE_EVALUATE);
    assert_ends("tt", &again, OUTCOME_FAILED, NAN, "truncated");
    assert_next("tgT", &again, STAGE_EVALUATE);
    assert_ends("tgTG", &again, OUTCOME_GOOD, .88, "");

    flow_config f = again;
    assert_ok(prompt_new(&generate, STAGE_GENERATE, "{problem}"));
    f.prompt[STAGE_GENERATE] = generate;
    folded(&c, &f, "t");
    flow_ask(&text, &p, &c, &f, &record, 0);
    assert_int_equal(p.max_tokens, 400);
    flow_end(&c);
    text_free(&text);
    prompt_free(generate);
}

void test_flow__asks_three_times_for_an_evaluation(void **state)
{
    (void)state;
    const flow_config f = config(2, 0);

    assert_next("gJ", &f, STAGE_EVALUATE);
    assert_next("gJJ", &f, STAGE_EVALUATE);
    assert_ends("gJJG", &f, OUTCOME_GOOD, .88, "");
    assert_ends("gJJJ", &f, OUTCOME_FAILED, NAN,
                "unreadable evaluation: this is not a JSON object");
    assert_next("gJJWgJJ", &f, STAGE_EVALUATE); /* counted anew */
}

void test_flow__ends_without_a_response(void **state)
{
    (void)state;
    const flow_config f = config(2, 0);

    assert_ends("x", &f, OUTCOME_FAILED, NAN, "no response: refused");
    assert_ends("gx", &f, OUTCOME_FAILED, NAN, "no response: refused");
    assert_ends("f", &f, OUTCOME_FAILED, NAN, "content filter");
}

/* Any row at any place: it ends after at most so many rows as a key has steps. */
void test_flow__always_ends(void **state)
{
    (void)state;
    const flow_config f = config(FLOW_MOST_ITERATIONS, 400);
    char rows[RESULTS_MAX_STEPS + 1] = "";
    flow_chain c;

    for (int n = 0;; n++) {
        assert_true(n <= RESULTS_MAX_STEPS);
        folded(&c, &f, rows);
        const bool ends = c.outcome, judges = c.stage == STAGE_EVALUATE;
        const int asks = c.asks;
        flow_end(&c);
        if (ends) break;
        /* The longest chain: each request cut once, each evaluation unreadable twice before. */
        rows[n] = (char)(judges ? "JJTW"[asks] : "tg"[asks]);
        rows[n + 1] = 0;
    }
    assert_true(strlen(rows) == (size_t)(FLOW_MOST_ITERATIONS + 1) * 6);
}

void test_flow__seed_depends_on_all_and_on_nothing_else(void **state)
{
    (void)state;
    const uint64_t a = flow_seed(1, "x", STAGE_GENERATE, 0, 0);

    assert_true(a == flow_seed(1, "x", STAGE_GENERATE, 0, 0));
    assert_true(a != flow_seed(2, "x", STAGE_GENERATE, 0, 0));
    assert_true(a != flow_seed(1, "y", STAGE_GENERATE, 0, 0));
    assert_true(a != flow_seed(1, "x", STAGE_EVALUATE, 0, 0));
    assert_true(a != flow_seed(1, "x", STAGE_GENERATE, 1, 0));
    assert_true(a != flow_seed(1, "x", STAGE_GENERATE, 0, 1));
}
