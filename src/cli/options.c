/*
 * options.c - the command line and the configuration file, read by rows.
 *
 * Long options take `-` and `_` alike, and `--name value` or `--name=value`; short ones `-n 5` and
 * `-n5`; `--` ends them.
 * `-` alone is a positional argument.  A configuration file is a JSON object {"epochs": 100,
 * "discrete": ["a", "b"]}; what the command line says goes before it.
 */
#include "cli/options.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/option.h"
#include "base/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int opt_usage_error(const opt_set *set, const char *fmt, ...)
{
    char text[600];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    fprintf(stderr, "tabmill %s: %s\nSee: tabmill %s --help\n", set->command, text, set->command);
    return 2;
}

const opt_row *opt_row_at(const opt_set *set, int i, const opt_group **group)
{
    for (int g = 0; g < set->n_groups; g++) {
        if (group) *group = &set->group[g];
        for (const opt_row *r = set->group[g].row; r->name; r++)
            if (i-- == 0) return r;
    }
    return NULL;
}

const char *opt_name(const opt_group *g, const opt_row *r)
{
    return g->old && !strcmp(g->old, r->name) ? g->renamed : r->name;
}

static void *field_of(const opt_parsed *p, const opt_group *g, const opt_row *r)
{
    return (char *)p->values + g->base + r->offset;
}

bool opt_is_given(const opt_parsed *p, const void *field)
{
    const opt_group *g = NULL;
    const opt_row *r;

    for (int i = 0; (r = opt_row_at(p->set, i, &g)); i++)
        if (field_of(p, g, r) == field) return p->is_given[i];
    return false;
}

static bool same_name(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((a[i] == '_' ? '-' : a[i]) != b[i]) return false;
    return b[n] == 0;
}

static int unknown_option(const opt_set *set, const char *shown, const char *word)
{
    enum { MOST = 128 };
    const char *names[MOST];
    const opt_group *g = NULL;
    const opt_row *r;
    int n = 0;

    for (int i = 0; n < MOST - 1 && (r = opt_row_at(set, i, &g)); i++) names[n++] = opt_name(g, r);
    names[n++] = "help";
    const char *nearest = mill_nearest(word, names, n);
    if (nearest)
        return opt_usage_error(set, "%s: no such option; did you mean --%s?", shown, nearest);
    return opt_usage_error(set, "%s: no such option", shown);
}

/* The row of a long name of n characters; *is_no: it came as no-name. */
static int find_long(const opt_set *set, const char *name, size_t n, bool *is_no)
{
    const opt_group *g = NULL;
    const opt_row *r;

    *is_no = false;
    for (const char *const *a = set->alias; a && *a; a += 2)
        if (same_name(name, a[0], n)) {
            name = a[1];
            n = strlen(name);
            break;
        }
    for (int i = 0; (r = opt_row_at(set, i, &g)); i++)
        if (same_name(name, opt_name(g, r), n)) return i;
    if (n > 3 && (!strncmp(name, "no-", 3) || !strncmp(name, "no_", 3))) {
        *is_no = true;
        for (int i = 0; (r = opt_row_at(set, i, &g)); i++)
            if (r->kind == OPT_BOOL && same_name(name + 3, opt_name(g, r), n - 3)) return i;
    }
    return -1;
}

static int find_letter(const opt_set *set, char letter)
{
    const opt_row *r;

    for (int i = 0; (r = opt_row_at(set, i, NULL)); i++)
        if (r->letter == letter) return i;
    return -1;
}

static bool takes_value(const opt_row *r)
{
    return r->kind != OPT_FLAG && r->kind != OPT_BOOL;
}

/* Also 1e6; what 64 bits do not hold becomes the end of their range, which no option reaches. */
static bool parse_int(int64_t *out, const char *s)
{
    double x;

    if (mill_parse_i64(out, s, strlen(s))) return true;
    if (!mill_parse_f64(&x, s, strlen(s)) || x != floor(x)) return false;
    *out = x >= 0x1p63 ? INT64_MAX : x < -0x1p63 ? INT64_MIN : (int64_t)x;
    return true;
}

static mill_err list_add(opt_list *list, const char *s)
{
    const char **item = mill_realloc(list->item, (size_t)list->n + 2, sizeof *item);

    if (!item) return MILL_ENOMEM;
    list->item = item;
    item[list->n++] = s;
    item[list->n] = NULL;
    return MILL_OK;
}

static bool parse_delimiter(char *out, const char *s)
{
    if (!strcmp(s, "tab") || !strcmp(s, "\\t")) s = "\t";
    *out = *s;
    return *s && !s[1] && !strchr("\"\r\n", *s);
}

/* MILL_EINPUT with words without the option's name. */
static mill_err set_value(void *field, const opt_row *r, const char *s)
{
    int64_t dim[OPTION_MAX_DIMS];
    int n_dims;

    switch (r->kind) {
    case OPT_INT: {
        int64_t x;
        if (!parse_int(&x, s)) return mill_fail(MILL_EINPUT, "\"%s\" is not a whole number", s);
        if ((double)x < r->least || (double)x > r->most)
            return mill_fail(MILL_EINPUT, "%s is not in %g .. %g", s, r->least, r->most);
        *(int64_t *)field = x;
        return MILL_OK;
    }
    case OPT_REAL: {
        double x;
        if (!mill_parse_f64(&x, s, strlen(s)))
            return mill_fail(MILL_EINPUT, "\"%s\" is not a number", s);
        if (x < r->least || x > r->most)
            return mill_fail(MILL_EINPUT, "%s is not in %g .. %g", s, r->least, r->most);
        *(double *)field = x;
        return MILL_OK;
    }
    case OPT_SIZE: {
        int64_t bytes;
        if (mill_parse_size(&bytes, s) || (double)bytes < r->least)
            return mill_fail(MILL_EINPUT, "\"%s\" is not a size like 512MiB or 2GB", s);
        *(int64_t *)field = bytes;
        return MILL_OK;
    }
    case OPT_FLAG:
    case OPT_BOOL:
        if (option_bool(field, s)) return MILL_OK;
        return mill_fail(MILL_EINPUT, "\"%s\" is neither yes nor no", s);
    case OPT_DIMS:
        if (!*s) return mill_fail(MILL_EINPUT, "the widths are missing");
        TRY(option_dims(dim, &n_dims, OPTION_MAX_DIMS, s));
        *(const char **)field = s;
        return MILL_OK;
    case OPT_CHAR:
        if (parse_delimiter(field, s)) return MILL_OK;
        return mill_fail(MILL_EINPUT, "\"%s\" is not one character that can stand between fields",
                         s);
    case OPT_TEXT:
        *(const char **)field = s;
        return MILL_OK;
    case OPT_LIST:
        return list_add(field, s);
    }
    return MILL_OK;
}

static mill_err set_defaults(opt_parsed *p)
{
    const opt_group *g = NULL;
    const opt_row *r;

    for (int i = 0; (r = opt_row_at(p->set, i, &g)); i++)
        if (r->def) TRY(set_value(field_of(p, g, r), r, r->def));
    return MILL_OK;
}

/* One value of the configuration file as text that lives as long as the JSON does. */
static mill_err set_json(opt_parsed *p, int i, const json_t *value, json_t *keep)
{
    const opt_group *g = NULL;
    const opt_row *r = opt_row_at(p->set, i, &g);
    json_t *text = NULL;

    if (json_is_string(value)) return set_value(field_of(p, g, r), r, json_string_value(value));
    if (json_is_boolean(value))
        text = json_string(json_is_true(value) ? "yes" : "no");
    else if (json_is_integer(value))
        text = json_sprintf("%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        text = json_sprintf("%.17g", json_real_value(value));
    else
        return mill_fail(MILL_EINPUT, "must be a text, a number or true or false");
    if (!text || json_array_append_new(keep, text)) return mill_fail(MILL_ENOMEM, "out of memory");
    return set_value(field_of(p, g, r), r, json_string_value(text));
}

/* [256, 256] for a DIMS option. */
static mill_err set_json_dims(opt_parsed *p, int i, const json_t *value, json_t *keep)
{
    mill_text t = {0};
    size_t at;
    json_t *item;

    json_array_foreach(value, at, item)
        text_add(&t, "%s%lld", at ? "," : "", (long long)json_integer_value(item));
    json_t *text = json_string(t.s ? t.s : "");
    text_free(&t);
    const mill_err err = set_json(p, i, text, keep);
    if (!text || json_array_append_new(keep, text)) return mill_fail(MILL_ENOMEM, "out of memory");
    return err;
}

/* Reads FILE into the values whose rows the command line does not give. */
static int read_config(opt_parsed *p, const char *path)
{
    const opt_set *set = p->set;
    char *text;
    size_t len;
    json_error_t why;
    const char *key;
    json_t *value;

    if (file_read_all(&text, &len, path)) return opt_usage_error(set, "--config: %s", mill_error());
    json_t *file = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
    mill_free(text);
    if (!file) return opt_usage_error(set, "%s:%d: %s", path, why.line, why.text);
    p->config = json_pack("[o,[]]", file);
    if (!json_is_object(file))
        return opt_usage_error(set, "%s: not an object of options and values", path);
    json_object_foreach(file, key, value)
    {
        bool is_no;
        const opt_group *g;
        const int i = find_long(set, key, strlen(key), &is_no);
        mill_err err = MILL_OK;

        if (i < 0 || is_no) {
            char shown[200];
            snprintf(shown, sizeof shown, "%s: \"%s\"", path, key);
            return unknown_option(set, shown, key);
        }
        const opt_row *r = opt_row_at(set, i, &g);
        if (!strcmp(r->name, "config"))
            return opt_usage_error(set, "%s: \"%s\": a file of options names no other", path, key);
        if (p->is_given[i] == OPT_ON_LINE) continue;
        if (p->is_given[i]) return opt_usage_error(set, "%s: \"%s\": given twice", path, key);
        p->is_given[i] = OPT_IN_FILE;
        json_t *keep = json_array_get(p->config, 1);
        if (json_is_array(value) && r->kind == OPT_DIMS) {
            err = set_json_dims(p, i, value, keep);
        } else if (json_is_array(value) && r->kind == OPT_LIST) {
            for (size_t k = 0; !err && k < json_array_size(value); k++)
                err = set_json(p, i, json_array_get(value, k), keep);
        } else {
            err = set_json(p, i, value, keep);
        }
        if (err) return opt_usage_error(set, "%s: \"%s\": %s", path, key, mill_error());
    }
    return 0;
}

typedef struct {
    opt_parsed *p;
    int argc, at;
    char **argv;
    bool only_args; /* behind `--` */
} reader;

/* Sets row i from `value`, or from the next word where it takes one and has none; 0 or the exit
 * status. */
static int take(reader *rd, int i, const char *shown, const char *value, bool is_no)
{
    const opt_set *set = rd->p->set;
    const opt_group *g = NULL;
    const opt_row *r = opt_row_at(set, i, &g);

    if (!takes_value(r) && !value)
        value = is_no ? "no" : "yes";
    else if (is_no)
        return opt_usage_error(set, "%s: takes no value", shown);
    if (!value) {
        if (++rd->at >= rd->argc) return opt_usage_error(set, "%s: its value is missing", shown);
        value = rd->argv[rd->at];
    }
    if (r->kind != OPT_LIST && rd->p->is_given[i] && takes_value(r))
        return opt_usage_error(set, "%s: given twice", shown);
    rd->p->is_given[i] = OPT_ON_LINE;
    if (set_value(field_of(rd->p, g, r), r, value))
        return opt_usage_error(set, "%s: %s", shown, mill_error());
    return 0;
}

static int refused(const opt_set *set, const char *name, size_t n)
{
    for (const char *const *pair = set->refused; pair && *pair; pair += 2)
        if (same_name(name, pair[0], n)) return opt_usage_error(set, "--%s: %s", pair[0], pair[1]);
    return 0;
}

static int read_long(reader *rd, char *word)
{
    const opt_set *set = rd->p->set;
    const char *equals = strchr(word + 2, '=');
    const size_t n = equals ? (size_t)(equals - word) - 2 : strlen(word + 2);
    bool is_no;
    const int i = find_long(set, word + 2, n, &is_no);

    if (i < 0) {
        const int status = refused(set, word + 2, n);
        char name[64];
        if (status) return status;
        snprintf(name, sizeof name, "%.*s", (int)n, word + 2);
        char shown[70];
        snprintf(shown, sizeof shown, "--%s", name);
        return unknown_option(set, shown, name);
    }
    return take(rd, i, word, equals ? equals + 1 : NULL, is_no);
}

/* -n5, -n 5, -qf */
static int read_short(reader *rd, const char *word)
{
    for (const char *c = word + 1; *c; c++) {
        char shown[3] = {'-', *c, 0};
        const int i = find_letter(rd->p->set, *c);

        if (i < 0) return opt_usage_error(rd->p->set, "%s: no such option", shown);
        if (takes_value(opt_row_at(rd->p->set, i, NULL)))
            return take(rd, i, shown, c[1] ? c + 1 : NULL, false);
        const int status = take(rd, i, shown, NULL, false);
        if (status) return status;
    }
    return 0;
}

static int read_word(reader *rd, char *word)
{
    if (!rd->only_args && word[0] == '-' && word[1]) {
        if (word[1] != '-') return read_short(rd, word);
        if (word[2]) return read_long(rd, word);
        rd->only_args = true;
        return 0;
    }
    if (rd->p->n_args == rd->p->set->most_args)
        return opt_usage_error(rd->p->set, "\"%s\": one argument too many", word);
    rd->p->arg[rd->p->n_args++] = word;
    rd->only_args |= rd->p->set->args_end_options;
    return 0;
}

static int read_all(reader *rd)
{
    opt_parsed *p = rd->p;
    const char *const *config = NULL;
    const opt_group *g = NULL;
    const opt_row *r;

    for (; rd->at < rd->argc; rd->at++) {
        const int status = read_word(rd, rd->argv[rd->at]);
        if (status) return status;
    }
    for (int i = 0; (r = opt_row_at(p->set, i, &g)); i++)
        if (!strcmp(r->name, "config")) config = field_of(p, g, r);
    if (config && *config) {
        const int status = read_config(p, *config);
        if (status) return status;
    }
    if (p->n_args < p->set->least_args)
        return opt_usage_error(p->set, "%s is missing", p->set->args);
    return 0;
}

static bool is_help(const char *word)
{
    return !strcmp(word, "-h") || !strcmp(word, "--help");
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (is_help(argv[i])) return true;
    return false;
}

/* Of a command that runs another: that one's -h is behind its name, the value of an option is none.
 */
static bool command_asks_for_help(const opt_set *set, int argc, char **argv)
{
    for (int i = 0; i < argc && argv[i][0] == '-' && strcmp(argv[i], "--") != 0; i++) {
        bool is_no;
        const bool is_long = argv[i][1] == '-';
        const int row = is_long ? find_long(set, argv[i] + 2, strcspn(argv[i] + 2, "="), &is_no)
                                : find_letter(set, argv[i][1]);

        if (is_help(argv[i])) return true;
        if (row < 0 || !takes_value(opt_row_at(set, row, NULL))) continue;
        if (is_long ? !strchr(argv[i], '=') : !argv[i][2]) i++;
    }
    return false;
}

opt_next opt_parse(opt_parsed *p, int *status, const opt_set *set, void *values, int argc,
                   char **argv)
{
    reader rd = {.p = p, .argc = argc, .argv = argv};
    int n = 0;

    *p = (opt_parsed){.set = set, .values = values};
    if (set->args_end_options ? command_asks_for_help(set, argc, argv)
                              : asks_for_help(argc, argv)) {
        opt_help(set);
        *status = 0;
        return OPT_STOP;
    }
    while (opt_row_at(set, n, NULL)) n++;
    memset(values, 0, set->size);
    p->is_given = mill_alloc((size_t)n + 1, sizeof *p->is_given);
    p->arg = mill_alloc((size_t)set->most_args + 1, sizeof *p->arg);
    if (!p->is_given || !p->arg || set_defaults(p)) {
        fprintf(stderr, "tabmill %s: %s\n", set->command, mill_error());
        *status = 1;
    } else {
        *status = read_all(&rd);
    }
    if (!*status) return OPT_GO;
    opt_free(p);
    return OPT_STOP;
}

void opt_free(opt_parsed *p)
{
    const opt_group *g = NULL;
    const opt_row *r;

    for (int i = 0; p->is_given && (r = opt_row_at(p->set, i, &g)); i++) {
        if (r->kind != OPT_LIST) continue;
        opt_list *list = field_of(p, g, r);
        mill_free(list->item);
        *list = (opt_list){0};
    }
    mill_free(p->is_given);
    mill_free(p->arg);
    json_decref(p->config);
    *p = (opt_parsed){.set = p->set};
}
