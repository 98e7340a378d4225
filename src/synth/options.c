/*
 * options.c - the options of fitting: defaults, one option from text, all of them to JSON.
 *
 * Everything is read off options.def: a new option is one row there.
 */
#include "synth/synth.h"

#include <string.h>

static const mill_option options[] = {
#define OPT           MILL_OPTION
#define OPTION_STRUCT synth_config
#include "synth/options.def"
#undef OPT
};
enum { N_OPTIONS = sizeof options / sizeof *options };

synth_config synth_config_default(void)
{
    return (synth_config){
#define OPT(kind, field, name, letter, def, least, most, who, help) .field = (def),
#include "synth/options.def"
#undef OPT
        .method = "mixture",
    };
}

void synth_config_settle(synth_config *c, bool probe_is_given)
{
    if (probe_is_given || c->early_stop || c->holdout_fraction > 0) return;
    if (!strcmp(c->method, synth_mixture.name)) c->probe_every = 0;
}

mill_err synth_option_check(const char *name, const char *method)
{
    const mill_option *o = option_find(options, N_OPTIONS, name);

    if (!o || option_is_for(o->who, method)) return MILL_OK;
    return mill_fail(MILL_EINPUT, "%s does nothing with the method %s: it is an option of %s",
                     o->name, method, o->who);
}

mill_err synth_config_set(synth_config *c, const char *name, const char *value)
{
    if (option_same_name(name, "method")) {
        c->method = value;
        return MILL_OK;
    }
    if (option_same_name(name, "seed")) return option_seed(&c->seed, value);
    const mill_option *o = option_find(options, N_OPTIONS, name);
    if (!o) return mill_fail(MILL_EINPUT, "there is no option \"%s\"", name);
    if (option_same_name(name, "amp") && strcmp(value, "off") != 0 && strcmp(value, "bf16") != 0)
        return mill_fail(MILL_EINPUT, "amp: \"%s\" is neither off nor bf16", value);
    return option_set(c, o, value);
}

mill_err synth_config_json(json_t **out, const synth_config *c)
{
    json_t *o = json_object();
    int bad = !o || json_object_set_new(o, "seed", json_integer((json_int_t)c->seed)) ||
              json_object_set_new(o, "method", json_string(c->method));

    for (int i = 0; i < N_OPTIONS && !bad; i++) {
        bad = json_object_set_new(o, options[i].name, option_json(c, &options[i]));
    }
    if (bad) {
        json_decref(o);
        return mill_fail(MILL_ENOMEM, "no memory for the options");
    }
    *out = o;
    return MILL_OK;
}
