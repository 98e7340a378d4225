/*
 * reason_status.c - `tabmill reason status RUN`: how far a run is, while it runs or afterwards.
 */
#include "cli/prior.h"
#include "cli/reason.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"

#include <stdio.h>

#define OPT OPT_FIELD
typedef struct {
#include "cli/reason_status.def"
} status_flags;
#undef OPT

typedef struct {
    status_flags status;
    prior_talk talk;
} status_options;

#define OPT        OPT_ROW
#define OPT_STRUCT status_flags
static const opt_row rows[] = {
#include "cli/reason_status.def"
    {0}};

static const opt_group groups[] = {
    {.title = "Options", .row = rows, .base = offsetof(status_options, status)},
    {.title = "Everywhere", .row = prior_talk_rows, .base = offsetof(status_options, talk)},
};
const opt_set reason_status_set = {
    .command = "reason status",
    .usage = "reason status RUN [--json]",
    .about = "How far a run is: counts, rates, time to go, responses that hit the cap of tokens, "
             "and failures\nby reason.  RUN is FILE.run or FILE.",
    .group = groups,
    .n_groups = OPT_COUNT(groups),
    .size = sizeof(status_options),
    .least_args = 1,
    .most_args = 1,
    .args = "RUN",
};

static double number(const json_t *o, const char *name)
{
    return json_number_value(json_object_get(o, name));
}

static long long count(const json_t *o, const char *name)
{
    return (long long)json_integer_value(json_object_get(o, name));
}

static bool is_known(const json_t *o, const char *name)
{
    return json_is_number(json_object_get(o, name));
}

static void print_rates(const json_t *o)
{
    if (!json_is_true(json_object_get(o, "is_running"))) {
        printf("not running%s\n", count(o, "open") ? "; tabmill reason ... --resume goes on" : "");
        return;
    }
    printf("running: %lld request%s in flight, %.1f chains/s, %.0f tokens/s", count(o, "in_flight"),
           mill_s(count(o, "in_flight")), number(o, "chains_per_second"),
           number(o, "tokens_per_second"));
    if (is_known(o, "eta_seconds")) {
        const long long s = (long long)number(o, "eta_seconds");
        printf(", %lld:%02lld:%02lld to go", s / 3600, s / 60 % 60, s % 60);
    }
    printf("\n");
}

static void print_status(const json_t *o)
{
    const long long chains = count(o, "chains"), done = count(o, "done");
    const char *name;
    json_t *v;

    printf("%lld of %lld chains (%.1f%%): %lld good, %lld to improve, %lld failed, %lld open\n",
           done, chains, chains ? 100 * (double)done / (double)chains : 0, count(o, "good"),
           count(o, "weak"), count(o, "failed"), count(o, "open"));
    print_rates(o);
    printf("\n%-10s %12s %12s %14s %14s\n", "stage", "responses", "at the cap", "tokens in",
           "tokens out");
    json_object_foreach(json_object_get(o, "stages"), name, v)
        printf("%-10s %12lld %12lld %14lld %14lld\n", name, count(v, "responses"),
               count(v, "truncated"), count(v, "prompt_tokens"), count(v, "completion_tokens"));
    printf("%.1f%% of the responses hit the cap of tokens\n", 100 * number(o, "cap_hit_rate"));
    if (count(o, "duplicates"))
        printf("%lld responses came twice; the first of each counts\n", count(o, "duplicates"));
    json_object_foreach(json_object_get(o, "failures"), name, v)
        printf("failed %lld: %s\n", (long long)json_integer_value(v), name);
}

static mill_err show(reason_opened *run, const void *values)
{
    const status_options *given = values;
    json_t *o;
    char *text = NULL;

    TRY(reason_status(&o, run->status, run->n, run->chains));
    mill_err err = MILL_OK;
    if (!given->status.json)
        print_status(o);
    else if (!(err = mill_json_text(&text, o, JSON_INDENT(2))))
        printf("%s\n", text);
    mill_free(text);
    json_decref(o);
    return err;
}

int cmd_reason_status(int argc, char **argv)
{
    status_options o = {0};

    return cli_reason_look(argc, argv, &reason_status_set, &o, &o.talk.quiet, NULL, show);
}
