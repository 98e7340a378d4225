/* data.c - the records of a run. */
#include "reason/data.h"

#include "base/mem.h"
#include "base/sort.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

int64_t data_index(const reason_data *d, int64_t j)
{
    return d->first + j * d->stride;
}

void data_record_free(data_record *r)
{
    mill_free(r->id);
    mill_free(r->problem);
    mill_free(r->solution);
    mill_free(r->gold);
    *r = (data_record){0};
}

flow_record data_view(const data_record *r)
{
    return (flow_record){
        .id = r->id, .problem = r->problem, .solution = r->solution, .gold = r->gold};
}

static bool is_there(const record_json *record, const char *field)
{
    const member *m = members_find(&record->in, field);

    return m && *m->value != 'n'; /* null */
}

/* A field that need not be there. */
static mill_err optional_text(char **out, const record_json *record, const char *field)
{
    if (is_there(record, field)) return record_json_text(out, record, field);
    *out = mill_strdup("");
    return *out ? MILL_OK : MILL_ENOMEM;
}

static mill_err read_id(char **out, const record_json *record, const reason_data *d, int64_t j)
{
    char number[40];

    TRY(optional_text(out, record, d->id_field));
    if (**out) return MILL_OK;
    mill_free(*out);
    number[mill_format_i64(number, data_index(d, j))] = 0;
    *out = mill_strdup(number);
    return *out ? MILL_OK : MILL_ENOMEM;
}

/* A text, or several in an array, one a line. */
static mill_err add_texts(mill_text *t, const record_json *record, const char *field)
{
    json_t *x = record_json_value(record, field), *item;
    mill_err err = MILL_OK;
    size_t i;
    char *one;

    if (t->len) text_add(t, "\n");
    if (!json_is_array(x)) {
        json_decref(x);
        TRY(record_json_text(&one, record, field));
        text_add_bytes(t, one, strlen(one));
        mill_free(one);
        return MILL_OK;
    }
    json_array_foreach(x, i, item)
    {
        if (json_is_string(item))
            text_add(t, i ? "\n%s" : "%s", json_string_value(item));
        else
            err = mill_fail(MILL_EINPUT, "the field \"%s\" is an array of other things than text",
                            field);
    }
    json_decref(x);
    return err;
}

/* "question,options": both, unless a field is called so. */
static mill_err read_problem(char **out, const record_json *record, const char *fields)
{
    mill_text t = {0};
    char name[256];

    if (members_find(&record->in, fields) || !strchr(fields, ','))
        return record_json_text(out, record, fields);
    mill_err err = MILL_OK;
    for (const char *s = fields; *s && !err;) {
        const size_t n = strcspn(s, ",");
        snprintf(name, sizeof name, "%.*s", (int)(n < 255 ? n : 255), s);
        err = add_texts(&t, record, name);
        s += n + (s[n] == ',');
    }
    if (!err && !t.s) err = mill_fail(MILL_EINPUT, "the fields \"%s\" are empty", fields);
    if (!err) err = text_check(&t);
    if (err) {
        text_free(&t);
        return err;
    }
    *out = t.s;
    return MILL_OK;
}

/* The right answer where no field has it: in the last box of the reference solution, or behind its
 * last ####, as GSM8K writes it. */
static mill_err gold_of_solution(char **out, const char *solution)
{
    answer_span gold = {"", 0};

    if (!answer_boxed(&gold, solution, strlen(solution))) {
        for (const char *s = solution; (s = strstr(s, "####"));) gold.s = s += 4;
        gold.s += strspn(gold.s, " \t");
        gold.n = strcspn(gold.s, "\r\n");
    }
    *out = mill_strndup(gold.s, gold.n);
    return *out ? MILL_OK : MILL_ENOMEM;
}

static mill_err read_fields(data_record *out, const record_json *record, const reason_data *d,
                            int64_t j)
{
    TRY(read_problem(&out->problem, record, d->problem_field));
    if (!out->problem[strspn(out->problem, " \t\r\n")])
        return mill_fail(MILL_EINPUT, "the field \"%s\" is empty", d->problem_field);
    TRY(optional_text(&out->solution, record, d->solution_field));
    if (is_there(record, d->answer_field))
        TRY(record_json_text(&out->gold, record, d->answer_field));
    else
        TRY(gold_of_solution(&out->gold, out->solution));
    return read_id(&out->id, record, d, j);
}

mill_err data_read(data_record *out, record_json *raw, const reason_data *d, int64_t j)
{
    data_record r = {0};
    record_json record;

    TRY(records_json(&record, d->file, data_index(d, j)));
    const mill_err err = read_fields(&r, &record, d, j);
    if (err || !raw) mill_free(record.text);
    if (err) {
        data_record_free(&r);
        return err;
    }
    *out = r;
    if (raw) *raw = record;
    return MILL_OK;
}

/* ---- ids ---- */

/* 63 bits of the hash of an id; -1: the record has none, or cannot be read. */
static int64_t hash_id(char **id, const reason_data *d, int64_t j)
{
    record_json record;
    int64_t hash = -1;

    *id = NULL;
    if (records_json(&record, d->file, data_index(d, j))) return -1;
    if (is_there(&record, d->id_field) && !record_json_text(id, &record, d->id_field) && **id)
        hash = (int64_t)(XXH3_64bits(*id, strlen(*id)) >> 1);
    mill_free(record.text);
    return hash;
}

/* Which records have one of the ids behind `hash`, and whether they are the same. */
static mill_err name_twins(const reason_data *d, int64_t hash)
{
    char *first = NULL, *id;
    int64_t at = -1;
    mill_err err = MILL_OK;

    for (int64_t j = 0; j < d->n && !err; j++) {
        const int64_t h = hash_id(&id, d, j);
        if (h == hash && id && !first) {
            first = id;
            at = j;
            continue;
        }
        if (h == hash && id && !strcmp(first, id))
            err = mill_fail(
                MILL_EINPUT,
                "records %lld and %lld have the same \"%s\": \"%.60s\"; --id-field NAME "
                "takes another field",
                (long long)data_index(d, at), (long long)data_index(d, j), d->id_field, id);
        mill_free(id);
    }
    mill_free(first);
    return err;
}

mill_err data_check_ids(const reason_data *d)
{
    int64_t *hash = mill_alloc((size_t)d->n, sizeof *hash), n = 0;
    mill_err err;

    if (!hash) return MILL_ENOMEM;
    for (int64_t j = 0; j < d->n; j++) {
        char *id;
        hash[n] = hash_id(&id, d, j);
        n += hash[n] >= 0;
        mill_free(id);
        if (!n && j >= 1000) break; /* this data set has no ids */
    }
    err = sort_i64(hash, n);
    for (int64_t i = 1; i < n && !err; i++)
        if (hash[i] == hash[i - 1]) err = name_twins(d, hash[i]);
    mill_free(hash);
    return err;
}

/* ---- order ---- */

mill_err data_order(int32_t **out, const reason_data *d, int64_t range)
{
    const int64_t n = (d->n + range - 1) / range, most = INT32_MAX;
    int64_t *key = mill_alloc((size_t)n, sizeof *key);
    int32_t *order = mill_alloc((size_t)n, sizeof *order);
    mill_err err = key && order ? MILL_OK : MILL_ENOMEM;

    for (int64_t i = 0; i < n && !err; i++) {
        int64_t largest = 0;
        for (int64_t j = i * range; j < (i + 1) * range && j < d->n; j++) {
            const int64_t bytes = records_bytes(d->file, data_index(d, j));
            if (bytes > largest) largest = bytes;
        }
        key[i] = (most - (largest < most ? largest : most)) << 32 | i;
    }
    if (!err) err = sort_i64(key, n);
    for (int64_t i = 0; i < n && !err; i++) order[i] = (int32_t)(key[i] & INT32_MAX);
    mill_free(key);
    if (err)
        mill_free(order);
    else
        *out = order;
    return err;
}
