/* method.c - method and device by name: what exists, what is refused and why. */
#include "cli/cli.h"

#include "base/cpu.h"
#include "base/option.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

const char *const cli_refused[] = {
    "privacy",
    "there is no training with differential privacy yet; --trim-rare N removes rare values and "
    "extremes",
    "epsilon",
    "there is no training with differential privacy yet; --trim-rare N removes rare values and "
    "extremes",
    NULL,
};

int cli_check_method(const opt_set *set, const char *name)
{
    enum { MOST = 16 };
    const char *names[MOST] = {"auto"};
    char all[200] = "auto";
    int n = 1;

    if (!strcmp(name, "auto") || synth_method_find(name)) return 0;
    if (!strcmp(name, "gaussian_copula") || !strcmp(name, "gaussian-copula"))
        return opt_usage_error(set,
                               "--method %s: there is no Gaussian copula yet; mixture is as fast "
                               "and closer to the table",
                               name);
    for (size_t at = strlen(all); synth_methods[n - 1] && n < MOST; n++) {
        names[n] = synth_methods[n - 1]->name;
        at += (size_t)snprintf(all + at, sizeof all - at, ", %s", names[n]);
    }
    const char *nearest = mill_nearest(name, names, n);
    if (nearest)
        return opt_usage_error(set, "--method %s: no such method; did you mean %s?", name, nearest);
    return opt_usage_error(set, "--method %s: no such method; there are %s", name, all);
}

int cli_check_device(const opt_set *set, const char *device)
{
    if (!strcmp(device, "cpu")) return 0;
    if (!strcmp(device, "auto")) {
        cli_say("--device auto: the CPU, as this build has no CUDA back end");
        return 0;
    }
    if (!strcmp(device, "cuda") || !strncmp(device, "cuda:", 5))
        return opt_usage_error(
            set, "--device %s: this build has no CUDA back end; cpu and auto work", device);
    return opt_usage_error(set, "--device %s: neither cpu, auto nor cuda", device);
}

bool cli_row_is_used(const opt_row *r, const char *method)
{
    return option_is_for(r->value, method);
}

int cli_check_used(const opt_parsed *p, const char *method)
{
    const opt_group *g = NULL;
    const opt_row *r;

    for (int i = 0; (r = opt_row_at(p->set, i, &g)); i++) {
        if (!g->names_methods || !p->is_given[i] || cli_row_is_used(r, method)) continue;
        return opt_usage_error(p->set,
                               "--%s does nothing with the method %s: it is an option of %s",
                               opt_name(g, r), method, r->value);
    }
    return 0;
}

static json_t *value_json(const opt_row *r, const void *field)
{
    switch (r->kind) {
    case OPT_INT:
        return json_integer(*(const int64_t *)field);
    case OPT_REAL:
        return json_real(*(const double *)field);
    case OPT_BOOL:
    case OPT_FLAG:
        return json_boolean(*(const bool *)field);
    default:
        return json_string(*(const char *const *)field);
    }
}

void cli_config_options(json_t *config, const opt_set *set, const char *method, const void *fields)
{
    const opt_group *g = NULL;
    const opt_row *r;

    for (int i = 0; (r = opt_row_at(set, i, &g)); i++)
        if (g->names_methods && cli_row_is_used(r, method))
            json_object_set_new(config, opt_name(g, r),
                                value_json(r, (const char *)fields + r->offset));
}

void cli_config_csv(json_t *config, const csv_options *csv)
{
    char hash[33];
    int64_t bytes;

    if (csv->delimiter) json_object_set_new(config, "delimiter", json_stringn(&csv->delimiter, 1));
    if (csv->header >= 0) json_object_set_new(config, "header", json_boolean(csv->header));
    json_object_set_new(config, "na", json_string(csv->na));
    if (csv->columns) json_object_set_new(config, "columns", json_string(csv->columns));
    if (csv->drop) json_object_set_new(config, "drop", json_string(csv->drop));
    if (csv->types && cli_hash_file(hash, &bytes, csv->types) == MILL_OK)
        json_object_set_new(config, "types", json_string(hash));
    for (int i = 0; csv->discrete && csv->discrete[i]; i++) {
        if (!i) json_object_set_new(config, "discrete", json_array());
        json_array_append_new(json_object_get(config, "discrete"), json_string(csv->discrete[i]));
    }
}

json_t *cli_config_file(const cli_input *in)
{
    return json_pack("{s:I,s:s}", "bytes", (json_int_t)in->bytes, "hash", in->hash);
}
