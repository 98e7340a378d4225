/* option.c - see option.h. */
#include "base/option.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

enum { MAX_WIDTH = 1 << 20 };

bool option_same_name(const char *a, const char *b)
{
    for (; *a && *b; a++, b++) {
        if ((*a == '_' ? '-' : *a) != (*b == '_' ? '-' : *b)) return false;
    }
    return *a == *b;
}

bool option_is_for(const char *who, const char *what)
{
    const size_t n = strlen(what);

    if (!n) return false;
    if (!strcmp(who, "all")) return true;
    for (const char *s = who; (s = strstr(s, what)); s += n)
        if ((s == who || s[-1] == ' ') && (s[n] == 0 || s[n] == ' ')) return true;
    return false;
}

const mill_option *option_find(const mill_option *options, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (option_same_name(name, options[i].name)) return &options[i];
    return NULL;
}

static mill_err not_widths(const char *text)
{
    return mill_fail(MILL_EINPUT, "\"%s\" is not a list of widths like 256,256, from 1 to %d each",
                     text, MAX_WIDTH);
}

mill_err option_dims(int64_t *dim, int *n, int max, const char *text)
{
    int64_t found[OPTION_MAX_DIMS];
    int k = 0;

    for (const char *s = text; *s;) {
        const size_t len = strcspn(s, ",");
        size_t skip = 0, used = len;
        while (skip < len && s[skip] == ' ') skip++;
        while (used > skip && s[used - 1] == ' ') used--;
        int64_t value;
        if (!mill_parse_i64(&value, s + skip, used - skip) || value < 1 || value > MAX_WIDTH)
            return not_widths(text);
        if (k == max || k == OPTION_MAX_DIMS) {
            return mill_fail(MILL_EINPUT, "\"%s\": more than %d widths", text,
                             max < OPTION_MAX_DIMS ? max : OPTION_MAX_DIMS);
        }
        found[k++] = value;
        s += len;
        if (*s == ',') {
            s++;
            if (!*s) return not_widths(text);
        }
    }
    memcpy(dim, found, (size_t)k * sizeof *dim);
    *n = k;
    return MILL_OK;
}

static mill_err check_range(const mill_option *o, double value)
{
    if (value >= o->least && value <= o->most) return MILL_OK;
    char least[40], most[40];
    mill_format_f64(least, o->least);
    mill_format_f64(most, o->most);
    return mill_fail(MILL_EINPUT, "%s: from %s to %s", o->name, least, most);
}

bool option_bool(bool *out, const char *s)
{
    static const char *const word[] = {"0", "1", "false", "true", "no", "yes", "off", "on"};

    for (int i = 0; i < 8; i++) {
        if (strcmp(s, word[i]) != 0) continue;
        *out = i % 2;
        return true;
    }
    return false;
}

mill_err option_set(void *fields, const mill_option *o, const char *value)
{
    char *const at = (char *)fields + o->at;
    const size_t len = strlen(value);
    int64_t whole, dims[OPTION_MAX_DIMS];
    double real;
    bool flag;
    char why[256];
    int n;

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
        if (!option_bool(&flag, value))
            return mill_fail(MILL_EINPUT, "%s: \"%s\" is neither on nor off", o->name, value);
        memcpy(at, &flag, sizeof flag);
        break;
    case OPTION_DIMS:
        if (option_dims(dims, &n, OPTION_MAX_DIMS, value)) {
            snprintf(why, sizeof why, "%s", mill_error());
            return mill_fail(MILL_EINPUT, "%s: %s", o->name, why);
        }
        memcpy(at, &value, sizeof value);
        break;
    case OPTION_TEXT:
        memcpy(at, &value, sizeof value);
        break;
    }
    return MILL_OK;
}

json_t *option_json(const void *fields, const mill_option *o)
{
    const char *const at = (const char *)fields + o->at;
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

mill_err option_read(void *fields, const mill_option *o, const json_t *value)
{
    char *const at = (char *)fields + o->at;

    if (o->kind == OPTION_INT && json_is_integer(value)) {
        const int64_t whole = json_integer_value(value);
        TRY(check_range(o, (double)whole));
        memcpy(at, &whole, sizeof whole);
        return MILL_OK;
    }
    if (o->kind == OPTION_REAL && json_is_number(value)) {
        const double real = json_number_value(value);
        TRY(check_range(o, real));
        memcpy(at, &real, sizeof real);
        return MILL_OK;
    }
    if (o->kind == OPTION_BOOL && json_is_boolean(value)) {
        const bool flag = json_is_true(value);
        memcpy(at, &flag, sizeof flag);
        return MILL_OK;
    }
    if (json_is_string(value)) return option_set(fields, o, json_string_value(value));
    return mill_fail(MILL_EINPUT, "%s: a value of the wrong kind", o->name);
}

mill_err option_seed(uint64_t *seed, const char *value)
{
    uint64_t x = 0;
    bool good = *value != 0;

    for (const char *s = value; *s && good; s++) {
        good = *s >= '0' && *s <= '9' && !__builtin_mul_overflow(x, 10, &x) &&
               !__builtin_add_overflow(x, (uint64_t)(*s - '0'), &x);
    }
    if (!good) return mill_fail(MILL_EINPUT, "seed: \"%s\" is not a number from 0", value);
    *seed = x;
    return MILL_OK;
}

mill_err option_read_seed(uint64_t *seed, const json_t *value)
{
    if (json_is_string(value)) return option_seed(seed, json_string_value(value));
    if (!json_is_integer(value)) return mill_fail(MILL_EINPUT, "seed: a value of the wrong kind");
    *seed = (uint64_t)json_integer_value(value);
    return MILL_OK;
}
