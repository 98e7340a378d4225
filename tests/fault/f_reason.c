/*
 * f_reason.c - the n-th allocation fails, for every n, in what a run makes of records and rows: an
 * error in words, nothing leaked.
 */
#include "lib/test.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "reason/output.h"

#include <unistd.h>

static char dir[64], data[80], store[80], final[80], failed[80];

static const char evaluation[] =
    "{\"correctness\":1,\"step_by_step_clarity\":0.5,\"logical_coherence\":0.5,"
    "\"mathematical_precision\":0.5,\"feedback\":\"more\"}";

static reason_data view_of(const record_file *f)
{
    return (reason_data){.file = f,
                         .stride = 1,
                         .n = records_count(f),
                         .problem_field = "problem",
                         .solution_field = "solution",
                         .answer_field = "answer",
                         .id_field = "id"};
}

static void put(results *r, int64_t record, int step, const char *content, reason_outcome outcome)
{
    const result_row row = {.record = record,
                            .step = step,
                            .stage = step % 2 ? STAGE_EVALUATE : STAGE_GENERATE,
                            .finish = FINISH_STOP,
                            .outcome = outcome,
                            .created = 1700000000,
                            .content = content,
                            .n_content = strlen(content),
                            .reasoning = "",
                            .why = ""};
    assert_ok(results_put(r, &row));
}

static void set_up(void)
{
    static const char text[] = "{\"id\":\"a\",\"problem\":\"1+1?\",\"answer\":2,\"x\":10e122}\n"
                               "{\"id\":\"b\",\"problem\":\"2+2?\",\"solution\":\"\\\\boxed{4}\"}\n"
                               "{\"id\":\"c\",\"problem\":null}\n";
    results *r;

    mill_log_set(NULL, NULL, MILL_LOG_ERROR);
    snprintf(dir, sizeof dir, "/tmp/f_reason-%d", (int)getpid());
    snprintf(data, sizeof data, "%s/d.jsonl", dir);
    snprintf(store, sizeof store, "%s/r.sqlite", dir);
    snprintf(final, sizeof final, "%s/out.jsonl", dir);
    snprintf(failed, sizeof failed, "%s/failed.jsonl", dir);
    assert_ok(file_mkdir(dir));
    assert_ok(file_write_all(data, text, sizeof text - 1));
    json_t *config = json_object();
    const results_options o = {.where = store,
                               .hash = "00112233445566778899aabbccddeeff",
                               .config = config,
                               .records = 3,
                               .range = 32};
    assert_ok(results_open(&r, &o));
    json_decref(config);
    for (int64_t i = 0; i < 2; i++) {
        put(r, i, 0, "so \\boxed{2}", OUTCOME_NONE);
        put(r, i, 1, evaluation, OUTCOME_WEAK);
    }
    const result_row bad = {.record = 2,
                            .outcome = OUTCOME_FAILED,
                            .content = "",
                            .reasoning = "",
                            .why = "the field \"problem\" is null, not text"};
    assert_ok(results_put(r, &bad));
    assert_ok(results_sync(r));
    results_close(r);
}

/* ---- what is swept ---- */

static mill_err check_data(void)
{
    record_file *f;
    int32_t *order = NULL;

    TRY(records_open(&f, data, NULL));
    const reason_data d = view_of(f);
    mill_err err = data_check_ids(&d);
    if (!err) err = data_order(&order, &d, 2);
    mill_free(order);
    records_close(f);
    return err;
}

static mill_err make_prompts(void)
{
    mill_text t = {0};

    for (int s = 0; s < N_STAGE; s++) {
        const char *const value[N_PLACE] = {"p", "s", "i", "a", "r", "f", "1"};
        prompt *p;
        mill_err err = prompt_new(&p, (reason_stage)s, prompt_default((reason_stage)s));
        if (!err) {
            prompt_fill(&t, p, value);
            prompt_free(p);
            err = text_check(&t);
        }
        if (err) {
            text_free(&t);
            return err;
        }
    }
    text_free(&t);
    return MILL_OK;
}

static mill_err write_final(void)
{
    const reason_options run = {.samples = 1, .flow = {.threshold = .8}};
    record_file *f;
    output_part part = {0};
    output_summary sum;

    TRY(records_open(&f, data, NULL));
    part.data = view_of(f);
    mill_err err = results_open(&part.store, &(results_options){.where = store, .read_only = true});
    const output_options o = {
        .run = &run, .part = &part, .n_parts = 1, .path = final, .failed = failed};
    if (!err) err = output_write(&sum, &o);
    results_close(part.store);
    records_close(f);
    if (!err) assert_int_equal(sum.weak, 2);
    if (!err) assert_int_equal(sum.failed_records, 1);
    return err;
}

/* jansson and SQLite have memory of their own, and are not asked to do without. */
static void sweep(mill_err (*fn)(void))
{
    mill_mem_stats before, after;
    mill_err err = MILL_ENOMEM;

    assert_ok(fn()); /* libraries are opened */
    mill_mem_get_stats(&before);
    for (int64_t n = 1; err; n++) {
        assert_true(n < 10000);
        mill_mem_fail_at(n);
        err = fn();
        mill_mem_fail_at(0);
        if (err && !*mill_error()) fail_msg("allocation %d: no words", (int)n);
        mill_mem_get_stats(&after);
        if (after.live != before.live)
            fail_msg("allocation %d: %d blocks are left", (int)n, (int)(after.live - before.live));
    }
}

void test_reason__does_without_memory_in_words(void **state)
{
    char *text;
    size_t n;

    (void)state;
    set_up();
    sweep(check_data);
    sweep(make_prompts);
    sweep(write_final);
    assert_ok(file_read_all(&text, &n, final));
    if (!strstr(text, "\"x\":1e123") || !strstr(text, "\"verdict\":\"equal\"") ||
        !strstr(text, "\"verdict\":\"different\""))
        fail_msg("%s", text);
    mill_free(text);
    assert_ok(file_remove_tree(dir));
}
