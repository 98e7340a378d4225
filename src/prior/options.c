/*
 * options.c - the options of a prior: defaults, one option from text, all of them to JSON and back.
 *
 * Everything is read off options.def: a new option is one row there.  What goes together is
 * checked in config.c.
 */
#include "prior/prior.h"

static const mill_option options[] = {
#define OPT           MILL_OPTION
#define OPTION_STRUCT prior_config
#include "prior/options.def"
#undef OPT
};
enum { N_OPTIONS = sizeof options / sizeof *options };

prior_config prior_config_default(void)
{
    return (prior_config){
/* NOLINTNEXTLINE(bugprone-macro-parentheses): texts cannot stand in parentheses there */
#define OPT(kind, field, name, letter, def, least, most, who, help) .field = def,
#include "prior/options.def"
#undef OPT
    };
}

const char *prior_option_who(const char *name)
{
    const mill_option *o = option_find(options, N_OPTIONS, name);

    return o ? o->who : NULL;
}

mill_err prior_config_set(prior_config *c, const char *name, const char *value)
{
    if (option_same_name(name, "seed")) return option_seed(&c->seed, value);
    const mill_option *o = option_find(options, N_OPTIONS, name);
    if (!o) return mill_fail(MILL_EINPUT, "there is no option \"%s\"", name);
    return option_set(c, o, value);
}

/* Only what the prior uses: two configurations that make the same data sets have the same JSON. */
mill_err prior_config_json(json_t **out, const prior_config *c)
{
    json_t *o = json_object();
    int bad = !o || json_object_set_new(o, "seed", json_integer((json_int_t)c->seed));

    for (int i = 0; i < N_OPTIONS && !bad; i++)
        if (option_is_for(options[i].who, c->prior))
            bad = json_object_set_new(o, options[i].name, option_json(c, &options[i]));
    if (bad) {
        json_decref(o);
        return mill_fail(MILL_ENOMEM, "no memory for the options");
    }
    *out = o;
    return MILL_OK;
}

mill_err prior_config_read(prior_config *c, const json_t *o)
{
    prior_config next = *c;
    const char *name;
    json_t *v;

    if (!json_is_object(o)) return mill_fail(MILL_EINPUT, "the options are not a JSON object");
    json_object_foreach((json_t *)o, name, v)
    {
        const mill_option *known = option_find(options, N_OPTIONS, name);

        if (option_same_name(name, "seed"))
            TRY(option_read_seed(&next.seed, v));
        else if (known)
            TRY(option_read(&next, known, v));
        else
            return mill_fail(MILL_EINPUT, "there is no option \"%s\"", name);
    }
    *c = next;
    return MILL_OK;
}
