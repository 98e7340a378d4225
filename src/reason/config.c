/*
 * config.c - all that the rows of a run depend on, as JSON; its hash is the run's identity.
 *
 * Servers, windows, time limits and where things lie are not in it: they change nothing in a row.
 */
#include "reason/run.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static const char *const prompt_names[N_STAGE] = {"prompt_generate", "prompt_evaluate",
                                                  "prompt_improve"};

json_t *reason_config(const reason_options *o, const char *model, const char *judge_model)
{
    const reason_data *d = o->data;
    const flow_config *f = &o->flow;
    json_t *c = json_pack("{s:O?,s:I,s:I,s:I,s:s,s:s,s:s,s:s,s:i}", "dataset", o->dataset,
                          "first_record", (json_int_t)d->first, "stride", (json_int_t)d->stride,
                          "records", (json_int_t)d->n, "problem_field", d->problem_field,
                          "solution_field", d->solution_field, "answer_field", d->answer_field,
                          "id_field", d->id_field, "samples_per_example", o->samples);
    json_t *params = json_pack(
        "{s:s,s:s?,s:I,s:I,s:I,s:f,s:f,s:f,s:I,s:f,s:I,s:s?}", "model", model, "judge_model",
        judge_model, "max_tokens", (json_int_t)f->max_tokens, "judge_max_tokens",
        (json_int_t)f->judge_max_tokens, "max_tokens_retry", (json_int_t)f->max_tokens_retry,
        "temperature", f->temperature, "judge_temperature", f->judge_temperature, "top_p", f->top_p,
        "max_iterations", (json_int_t)f->max_iterations, "quality_threshold", f->threshold, "seed",
        (json_int_t)f->seed, "extra", o->extra);

    if (!c || !params || json_object_update(c, params)) goto fail;
    json_decref(params);
    params = NULL;
    for (int s = 0; s < N_STAGE; s++)
        if (json_object_set_new(c, prompt_names[s], json_string(prompt_text(f->prompt[s]))))
            goto fail;
    return c;
fail:
    json_decref(params);
    json_decref(c);
    return NULL;
}

mill_err reason_config_hash(char hash[33], const json_t *config)
{
    char *text = json_dumps(config, JSON_COMPACT | JSON_SORT_KEYS);

    if (!text) return mill_fail(MILL_ENOMEM, "no memory for a configuration");
    const XXH128_hash_t h = XXH3_128bits(text, strlen(text));
    snprintf(hash, 33, "%016llx%016llx", (unsigned long long)h.high64, (unsigned long long)h.low64);
    free(text);
    return MILL_OK;
}

mill_err reason_config_read(reason_options *o, reason_data *data, const json_t *config)
{
    json_int_t first, stride, n, most, seed;
    int samples;

    if (json_unpack((json_t *)config, "{s:I,s:I,s:I,s:s,s:s,s:s,s:s,s:i,s:F,s:I,s:I,s:I}",
                    "first_record", &first, "stride", &stride, "records", &n, "problem_field",
                    &data->problem_field, "solution_field", &data->solution_field, "answer_field",
                    &data->answer_field, "id_field", &data->id_field, "samples_per_example",
                    &samples, "quality_threshold", &o->flow.threshold, "max_iterations", &most,
                    "seed", &seed, "max_tokens_retry", &o->flow.max_tokens_retry))
        return mill_fail(MILL_EINPUT, "the store's configuration is not that of a run");
    data->first = first;
    data->stride = stride;
    data->n = n;
    o->data = data;
    o->samples = samples;
    o->flow.max_iterations = most;
    o->flow.seed = (uint64_t)seed;
    return MILL_OK;
}
