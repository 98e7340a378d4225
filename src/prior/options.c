/*
 * options.c - the options of a prior: defaults, one option from text, all of them to JSON and back.
 *
 * Everything is read off options.def: a new option is one row there.  What goes together is
 * checked in config.c.
 */
#include "prior/prior.h"

#include <stddef.h>
#include <string.h>

typedef enum { OPTION_INT, OPTION_REAL, OPTION_BOOL, OPTION_TEXT } option_kind;

typedef struct {
    option_kind kind;
    const char *name;
    size_t at; /* offset in prior_config */
    double least, most;
    const char *who; /* priors that it is an option of */
} option;

static const option options[] = {
#define OPT(kind, field, name, letter, def, least, most, who, help) \
    {OPTION_##kind, name, offsetof(prior_config, field), least, most, who},
#include "prior/options.def"
#undef OPT
};
enum { N_OPTIONS = sizeof options / sizeof *options };

prior_config prior_config_default(void)
{
    return (prior_config){
#define OPT(kind, field, name, letter, def, least, most, who, help) .field = def,
#include "prior/options.def"
#undef OPT
    };
}

static bool same_name(const char *a, const char *b)
{
    for (; *a && *b; a++, b++) {
        if ((*a == '_' ? '-' : *a) != (*b == '_' ? '-' : *b)) return false;
    }
    return *a == *b;
}

static const option *find(const char *name)
{
    for (int i = 0; i < N_OPTIONS; i++)
        if (same_name(name, options[i].name)) return &options[i];
    return NULL;
}

bool prior_is_for(const char *who, const char *prior)
{
    const size_t n = strlen(prior);

    if (!strcmp(who, "all")) return true;
    for (const char *s = who; (s = strstr(s, prior)); s += n)
        if ((s == who || s[-1] == ' ') && (s[n] == 0 || s[n] == ' ')) return true;
    return false;
}

const char *prior_option_who(const char *name)
{
    const option *o = find(name);

    return o ? o->who : NULL;
}

static mill_err check_range(const option *o, double value)
{
    if (value >= o->least && value <= o->most) return MILL_OK;
    char least[40], most[40];
    mill_format_f64(least, o->least);
    mill_format_f64(most, o->most);
    return mill_fail(MILL_EINPUT, "%s: from %s to %s", o->name, least, most);
}

static bool parse_bool(bool *out, const char *s)
{
    static const char *const word[] = {"0", "1", "false", "true", "no", "yes", "off", "on"};

    for (int i = 0; i < 8; i++)
        if (!strcmp(s, word[i])) return *out = i % 2, true;
    return false;
}

static mill_err set_option(prior_config *c, const option *o, const char *value)
{
    char *const at = (char *)c + o->at;
    const size_t len = strlen(value);
    int64_t whole;
    double real;
    bool flag;

    switch (o->kind) {
    case OPTION_INT:
        if (!mill_parse_i64(&whole, value, len))
            return mill_fail(MILL_EINPUT, "%s: \"%s\" is not an integer", o->name, value);
        TRY(check_range(o, (double)whole));
        memcpy(at, &whole, sizeof whole);
        break;
    case OPTION_REAL:
        if (!mill_parse_f64(&real, value, len))
            return mill_fail(MILL_EINPUT, "%s: \"%s\" is not a number", o->name, value);
        TRY(check_range(o, real));
        memcpy(at, &real, sizeof real);
        break;
    case OPTION_BOOL:
        if (!parse_bool(&flag, value))
            return mill_fail(MILL_EINPUT, "%s: \"%s\" is neither on nor off", o->name, value);
        memcpy(at, &flag, sizeof flag);
        break;
    case OPTION_TEXT:
        memcpy(at, &value, sizeof value);
        break;
    }
    return MILL_OK;
}

static mill_err set_seed(prior_config *c, const char *value)
{
    uint64_t seed = 0;
    bool good = *value != 0;

    for (const char *s = value; *s && good; s++) {
        good = *s >= '0' && *s <= '9' && !__builtin_mul_overflow(seed, 10, &seed) &&
               !__builtin_add_overflow(seed, (uint64_t)(*s - '0'), &seed);
    }
    if (!good) return mill_fail(MILL_EINPUT, "seed: \"%s\" is not a number from 0", value);
    c->seed = seed;
    return MILL_OK;
}

mill_err prior_config_set(prior_config *c, const char *name, const char *value)
{
    if (same_name(name, "seed")) return set_seed(c, value);
    const option *o = find(name);
    if (!o) return mill_fail(MILL_EINPUT, "there is no option \"%s\"", name);
    return set_option(c, o, value);
}

static json_t *option_json(const prior_config *c, const option *o)
{
    const char *const at = (const char *)c + o->at;
    const char *text;
    int64_t whole;
    double real;
    bool flag;

    switch (o->kind) {
    case OPTION_INT:
        memcpy(&whole, at, sizeof whole);
        return json_integer(whole);
    case OPTION_REAL:
        memcpy(&real, at, sizeof real);
        return json_real(real);
    case OPTION_BOOL:
        memcpy(&flag, at, sizeof flag);
        return json_boolean(flag);
    case OPTION_TEXT:
        memcpy(&text, at, sizeof text);
        return json_string(text);
    }
    return NULL;
}

/* Only what the prior uses: two configurations that make the same data sets have the same JSON. */
mill_err prior_config_json(json_t **out, const prior_config *c)
{
    json_t *o = json_object();
    /* 64 bits as the signed integer with the same bits: JSON's integers are signed here. */
    int bad = !o || json_object_set_new(o, "seed", json_integer((json_int_t)c->seed));

    for (int i = 0; i < N_OPTIONS && !bad; i++)
        if (prior_is_for(options[i].who, c->prior))
            bad = json_object_set_new(o, options[i].name, option_json(c, &options[i]));
    if (bad) {
        json_decref(o);
        return mill_fail(MILL_ENOMEM, "no memory for the options");
    }
    *out = o;
    return MILL_OK;
}

static mill_err read_option(prior_config *c, const option *o, const json_t *v)
{
    char *const at = (char *)c + o->at;

    if (o->kind == OPTION_INT && json_is_integer(v)) {
        const int64_t whole = json_integer_value(v);
        TRY(check_range(o, (double)whole));
        memcpy(at, &whole, sizeof whole);
        return MILL_OK;
    }
    if (o->kind == OPTION_REAL && json_is_number(v)) {
        const double real = json_number_value(v);
        TRY(check_range(o, real));
        memcpy(at, &real, sizeof real);
        return MILL_OK;
    }
    if (o->kind == OPTION_BOOL && json_is_boolean(v)) {
        const bool flag = json_is_true(v);
        memcpy(at, &flag, sizeof flag);
        return MILL_OK;
    }
    if (json_is_string(v)) return set_option(c, o, json_string_value(v));
    return mill_fail(MILL_EINPUT, "%s: a value of the wrong kind", o->name);
}

mill_err prior_config_read(prior_config *c, const json_t *o)
{
    prior_config next = *c;
    const char *name;
    json_t *v;

    if (!json_is_object(o)) return mill_fail(MILL_EINPUT, "the options are not a JSON object");
    json_object_foreach((json_t *)o, name, v)
    {
        if (same_name(name, "seed")) {
            if (json_is_integer(v))
                next.seed = (uint64_t)json_integer_value(v);
            else if (json_is_string(v))
                TRY(set_seed(&next, json_string_value(v)));
            else
                return mill_fail(MILL_EINPUT, "seed: a value of the wrong kind");
            continue;
        }
        const option *known = find(name);
        if (!known) return mill_fail(MILL_EINPUT, "there is no option \"%s\"", name);
        TRY(read_option(&next, known, v));
    }
    *c = next;
    return MILL_OK;
}
