/* evaluate.c - include/tabmill.h: how close a synthetic table is to the real one, as JSON. */
#include "api/api.h"

#include "base/mem.h"
#include "base/text.h"
#include "eval/evaluate.h"

#include <string.h>

enum { MOST_KNOWN = 64 };

static mill_err read_option(eval_options *o, const char **known, const char *option)
{
    const char *v;
    int64_t seed, rows;

    if ((v = api_value(option, "target"))) {
        o->target = v;
    } else if ((v = api_value(option, "sdmetrics-compat"))) {
        o->sdmetrics_compat = strcmp(v, "yes") == 0;
        if (!o->sdmetrics_compat && strcmp(v, "no") != 0)
            return mill_fail(MILL_EINPUT, "%s: neither yes nor no", option);
    } else if ((v = api_value(option, "seed"))) {
        if (!mill_parse_i64(&seed, v, strlen(v)) || seed < 0)
            return mill_fail(MILL_EINPUT, "%s: not a number from 0", option);
        o->seed = (uint64_t)seed;
    } else if ((v = api_value(option, "max-rows"))) {
        if (!mill_parse_i64(&rows, v, strlen(v)) || rows < 1)
            return mill_fail(MILL_EINPUT, "%s: not a number from 1", option);
        o->max_rows = rows;
    } else if ((v = api_value(option, "key"))) {
        o->key = v;
    } else if ((v = api_value(option, "sensitive"))) {
        o->sensitive = v;
    } else if ((v = api_value(option, "known"))) {
        if (o->n_known == MOST_KNOWN)
            return mill_fail(MILL_EINPUT, "%s: more than %d known columns", option, MOST_KNOWN);
        known[o->n_known++] = v;
    } else {
        return mill_fail(MILL_EINPUT, "\"%s\": not an option of evaluating", option);
    }
    return MILL_OK;
}

int mill_table_evaluate(char **json, mill_engine *e, const mill_table *real,
                        const mill_table *synthetic, const mill_table *holdout,
                        const char *const *options)
{
    API_ENTER;
    const char *known[MOST_KNOWN];
    eval_options o = {.holdout = holdout, .known = known};
    json_t *report;

    for (; options && *options; options++) TRY(read_option(&o, known, *options));
    TRY(mill_evaluate(&report, real, synthetic, &o, e->pool));
    const mill_err err = mill_evaluate_json(json, report);
    json_decref(report);
    return err;
}

void mill_report_free(char *json)
{
    mill_free(json);
}
