/*
 * options.c - the options of fitting: defaults, one option from text, all of them to JSON and back.
 *
 * Everything is read off options.def: a new option is one row there.
 */
#include "synth/synth.h"

#include "base/text.h"

#include <stddef.h>
#include <string.h>

typedef enum { OPTION_INT, OPTION_REAL, OPTION_BOOL, OPTION_TEXT, OPTION_DIMS } option_kind;

typedef struct {
    option_kind kind;
    const char *name;
    size_t at; /* offset in synth_config */
    double least, most;
    const char *who; /* methods that it is an option of */
} option;

static const option options[] = {
#define OPT(kind, field, name, letter, def, least, most, who, help) \
    {OPTION_##kind, name, offsetof(synth_config, field), least, most, who},
#include "synth/options.def"
#undef OPT
};
enum { N_OPTIONS = sizeof options / sizeof *options, MAX_DIMS = 16 };

synth_config synth_config_default(void)
{
    return (synth_config){
#define OPT(kind, field, name, letter, def, least, most, who, help) .field = (def),
#include "synth/options.def"
#undef OPT
        .method = "mixture",
    };
}

mill_err synth_dims(int64_t *dim, int *n, int max, const char *text)
{
    int64_t found[MAX_DIMS];
    int k = 0;

    for (const char *s = text; *s;) {
        const size_t len = strcspn(s, ",");
        size_t skip = 0, used = len;
        while (skip < len && s[skip] == ' ') skip++;
        while (used > skip && s[used - 1] == ' ') used--;
        int64_t value;
        if (!mill_parse_i64(&value, s + skip, used - skip) || value < 1 || value > 1 << 20) {
            return mill_fail(MILL_EINPUT, "\"%s\": widths are positive integers like 256,256",
                             text);
        }
        if (k == max || k == MAX_DIMS) {
            return mill_fail(MILL_EINPUT, "\"%s\": more than %d widths", text,
                             max < MAX_DIMS ? max : MAX_DIMS);
        }
        found[k++] = value;
        s += len;
        if (*s == ',') {
            s++;
            if (!*s) return mill_fail(MILL_EINPUT, "\"%s\": a width is missing at the end", text);
        }
    }
    memcpy(dim, found, (size_t)k * sizeof *dim);
    *n = k;
    return MILL_OK;
}

void synth_config_settle(synth_config *c, bool probe_is_given)
{
    if (probe_is_given || c->early_stop || c->holdout_fraction > 0) return;
    if (!strcmp(c->method, synth_mixture.name)) c->probe_every = 0;
}

/* Long names are the same with - and _. */
bool synth_same_name(const char *a, const char *b)
{
    for (; *a && *b; a++, b++) {
        if ((*a == '_' ? '-' : *a) != (*b == '_' ? '-' : *b)) return false;
    }
    return *a == *b;
}

bool synth_is_for(const char *who, const char *method)
{
    const size_t n = strlen(method);

    if (!strcmp(who, "all")) return true;
    for (const char *s = who; (s = strstr(s, method)); s += n)
        if ((s == who || s[-1] == ' ') && (s[n] == 0 || s[n] == ' ')) return true;
    return false;
}

mill_err synth_option_check(const char *name, const char *method)
{
    for (int i = 0; i < N_OPTIONS; i++)
        if (synth_same_name(name, options[i].name) && !synth_is_for(options[i].who, method))
            return mill_fail(MILL_EINPUT,
                             "%s does nothing with the method %s: it is an option of %s",
                             options[i].name, method, options[i].who);
    return MILL_OK;
}

static mill_err check_range(const option *o, double value)
{
    if (value >= o->least && value <= o->most) return MILL_OK;
    char least[32], most[32];
    mill_format_f64(least, o->least);
    mill_format_f64(most, o->most);
    return mill_fail(MILL_EINPUT, "%s: from %s to %s", o->name, least, most);
}

static bool parse_bool(bool *out, const char *s)
{
    static const char *const no[] = {"0", "false", "no", "off"};
    static const char *const yes[] = {"1", "true", "yes", "on"};

    for (int i = 0; i < 4; i++) {
        if (!strcmp(s, no[i])) return *out = false, true;
        if (!strcmp(s, yes[i])) return *out = true, true;
    }
    return false;
}

static mill_err set_option(synth_config *c, const option *o, const char *value)
{
    char *const at = (char *)c + o->at;
    const size_t len = strlen(value);
    int64_t whole, dims[MAX_DIMS];
    double real;
    bool flag;
    int n;

    switch (o->kind) {
    case OPTION_INT:
        if (!mill_parse_i64(&whole, value, len)) {
            return mill_fail(MILL_EINPUT, "%s: \"%s\" is not an integer", o->name, value);
        }
        TRY(check_range(o, (double)whole));
        memcpy(at, &whole, sizeof whole);
        break;
    case OPTION_REAL:
        if (!mill_parse_f64(&real, value, len)) {
            return mill_fail(MILL_EINPUT, "%s: \"%s\" is not a number", o->name, value);
        }
        TRY(check_range(o, real));
        memcpy(at, &real, sizeof real);
        break;
    case OPTION_BOOL:
        if (!parse_bool(&flag, value)) {
            return mill_fail(MILL_EINPUT, "%s: \"%s\" is neither on nor off", o->name, value);
        }
        memcpy(at, &flag, sizeof flag);
        break;
    case OPTION_DIMS:
        if (synth_dims(dims, &n, MAX_DIMS, value) != MILL_OK) {
            char why[256];
            strncpy(why, mill_error(), sizeof why - 1);
            why[sizeof why - 1] = 0;
            return mill_fail(MILL_EINPUT, "%s: %s", o->name, why);
        }
        memcpy(at, &value, sizeof value);
        break;
    case OPTION_TEXT:
        if (synth_same_name(o->name, "amp") && strcmp(value, "off") != 0 &&
            strcmp(value, "bf16") != 0) {
            return mill_fail(MILL_EINPUT, "amp: \"%s\" is neither off nor bf16", value);
        }
        memcpy(at, &value, sizeof value);
        break;
    }
    return MILL_OK;
}

mill_err synth_config_set(synth_config *c, const char *name, const char *value)
{
    if (synth_same_name(name, "method")) {
        c->method = value;
        return MILL_OK;
    }
    if (synth_same_name(name, "seed")) {
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
    for (int i = 0; i < N_OPTIONS; i++) {
        if (synth_same_name(name, options[i].name)) return set_option(c, &options[i], value);
    }
    return mill_fail(MILL_EINPUT, "there is no option \"%s\"", name);
}

static json_t *option_json(const synth_config *c, const option *o)
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
    case OPTION_DIMS:
        memcpy(&text, at, sizeof text);
        return json_string(text);
    }
    return NULL;
}

mill_err synth_config_json(json_t **out, const synth_config *c)
{
    json_t *o = json_object();
    /* 64 bits as the signed integer with the same bits: JSON's integers are signed here. */
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

static mill_err read_option(synth_config *c, const option *o, const json_t *v)
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

mill_err synth_config_read(synth_config *c, const json_t *o)
{
    synth_config next = *c;
    const char *name;
    json_t *v;

    if (!json_is_object(o)) return mill_fail(MILL_EINPUT, "the options are not a JSON object");
    json_object_foreach((json_t *)o, name, v)
    {
        if (synth_same_name(name, "seed") && json_is_integer(v)) {
            next.seed = (uint64_t)json_integer_value(v);
            continue;
        }
        if ((synth_same_name(name, "seed") || synth_same_name(name, "method")) &&
            json_is_string(v)) {
            TRY(synth_config_set(&next, name, json_string_value(v)));
            continue;
        }
        int i = 0;
        while (i < N_OPTIONS && !synth_same_name(name, options[i].name)) i++;
        if (i == N_OPTIONS) return mill_fail(MILL_EINPUT, "there is no option \"%s\"", name);
        TRY(read_option(&next, &options[i], v));
    }
    *c = next;
    return MILL_OK;
}
