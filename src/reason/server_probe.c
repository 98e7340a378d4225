/*
 * server_probe.c - what servers say of themselves: /v1/models and /metrics.
 *
 * Metrics are lines of Prometheus' text format, `name{labels} value`.  The same fact has a name for
 * each server; of several lines of one name (engines, ranks) the sum counts, of a share the
 * largest. Names: vLLM's production metrics (gpu_cache_usage_perc until 0.10), SGLang's with
 * --enable-metrics, llama-server's with --metrics.
 */
#include "reason/server_inner.h"

#include "base/text.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NAMES_SHOWN = 8 };

static const struct {
    const char *name;
    size_t at;
    bool is_share;
} known[] = {
    {"vllm:num_requests_running", offsetof(server_metrics, running), false},
    {"vllm:num_requests_waiting", offsetof(server_metrics, waiting), false},
    {"vllm:kv_cache_usage_perc", offsetof(server_metrics, cache_share), true},
    {"vllm:gpu_cache_usage_perc", offsetof(server_metrics, cache_share), true},
    {"vllm:num_preemptions_total", offsetof(server_metrics, preemptions), false},
    {"sglang:num_running_reqs", offsetof(server_metrics, running), false},
    {"sglang:num_queue_reqs", offsetof(server_metrics, waiting), false},
    {"sglang:token_usage", offsetof(server_metrics, cache_share), true},
    {"sglang:num_retracted_reqs_total", offsetof(server_metrics, preemptions), false},
    {"llamacpp:requests_processing", offsetof(server_metrics, running), false},
    {"llamacpp:requests_deferred", offsetof(server_metrics, waiting), false},
    {"llamacpp:kv_cache_usage_ratio", offsetof(server_metrics, cache_share), true},
};

/* The end of the name and labels at s; label values are in quotes and may hold anything. */
static const char *skip_labels(const char *s)
{
    bool in_quotes = false;

    if (*s != '{') return s;
    for (s++; *s && *s != '\n' && (in_quotes || *s != '}'); s++) {
        if (in_quotes && *s == '\\' && s[1])
            s++;
        else if (*s == '"')
            in_quotes = !in_quotes;
    }
    return *s == '}' ? s + 1 : NULL;
}

static bool read_line(server_metrics *out, const char *line, size_t n)
{
    const size_t name = strcspn(line, "{ \t\r\n");

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        double x, *to = (double *)((char *)out + known[i].at);
        if (strlen(known[i].name) != name || memcmp(known[i].name, line, name) != 0) continue;
        const char *value = skip_labels(line + name);
        if (!value || value >= line + n) return false;
        value += strspn(value, " \t");
        const size_t len = strcspn(value, " \t\r\n");
        if (!mill_parse_f64(&x, value, len) || !isfinite(x) || x < 0) return false;
        *to = *to < 0 ? x : known[i].is_share ? fmax(*to, x) : *to + x;
        return true;
    }
    return false;
}

bool probe_metrics(server_metrics *out, const char *text)
{
    bool any = false;

    *out = (server_metrics){-1, -1, -1, -1};
    while (*text) {
        const size_t n = strcspn(text, "\n");
        if (*text != '#') any |= read_line(out, text, n);
        text += n + (text[n] == '\n');
    }
    return any;
}

/* "a, b and 12 more" */
static void list_names(mill_text *t, const json_t *data)
{
    const size_t n = json_array_size(data), shown = n > NAMES_SHOWN ? NAMES_SHOWN : n;

    for (size_t i = 0; i < shown; i++) {
        const char *id = json_string_value(json_object_get(json_array_get(data, i), "id"));
        text_add(t, "%s\"%.80s\"", i ? ", " : "", id ? id : "");
    }
    if (n > shown) text_add(t, " and %zu more", n - shown);
    if (!n) text_add(t, "none");
}

static const json_t *find_model(const json_t *data, const char *model, bool any_name)
{
    const json_t *m;
    size_t i;

    json_array_foreach(data, i, m)
    {
        const char *id = json_string_value(json_object_get(m, "id"));
        if (id && model && !strcmp(id, model)) return m;
    }
    return json_array_size(data) == 1 && (!model || any_name) ? json_array_get(data, 0) : NULL;
}

/* max_model_len of vLLM and SGLang; meta.n_ctx, else meta.n_ctx_train of llama-server. */
static int64_t context_of(const json_t *m)
{
    const json_t *meta = json_object_get(m, "meta");
    const json_t *told[] = {json_object_get(m, "max_model_len"), json_object_get(meta, "n_ctx"),
                            json_object_get(meta, "n_ctx_train")};

    for (int i = 0; i < 3; i++)
        if (json_integer_value(told[i]) > 0) return json_integer_value(told[i]);
    return 0;
}

static mill_err read_models(model_listed *out, const json_t *data, const char *model, bool any_name,
                            const char *who)
{
    const json_t *m = find_model(data, model, any_name);
    const char *id = json_string_value(json_object_get(m, "id"));
    mill_text names = {0};
    mill_err err;

    if (id) {
        const char *owner = json_string_value(json_object_get(m, "owned_by"));
        if (!(out->name = mill_strdup(id))) return MILL_ENOMEM;
        out->context = context_of(m);
        snprintf(out->owner, sizeof out->owner, "%s", owner ? owner : "");
        return MILL_OK;
    }
    list_names(&names, data);
    if (names.failed)
        err = MILL_ENOMEM;
    else if (model)
        err = mill_fail(MILL_EINPUT, "%s: model \"%s\" is not served there; it has: %s", who, model,
                        names.s);
    else
        err = mill_fail(MILL_EINPUT, "%s: --model is to say which one is meant; it has: %s", who,
                        names.s);
    text_free(&names);
    return err;
}

mill_err probe_models(model_listed *out, const char *body, size_t n, const char *model,
                      bool any_name, const char *who)
{
    json_t *j = json_loadb(body, n, 0, NULL);
    const json_t *data = json_object_get(j, "data");
    mill_err err;

    if (json_is_array(data))
        err = read_models(out, data, model, any_name, who);
    else
        err =
            mill_fail(MILL_EINPUT,
                      "%s: no OpenAI-compatible server: its /v1/models is no list of models", who);
    json_decref(j);
    return err;
}
