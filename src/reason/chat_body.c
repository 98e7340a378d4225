/*
 * chat_body.c - the JSON of a chat completion's request.
 *
 * Members come in one order and numbers in their shortest form, so that the same question is the
 * same bytes: caches and the mock server know it again.
 */
#include "reason/chat_inner.h"
#include "reason/utf8.h"

#include <string.h>

static void add(mill_text *t, const char *s)
{
    text_add_bytes(t, s, strlen(s));
}

static void add_real(mill_text *t, const char *key, double x)
{
    char digits[40];

    add(t, key);
    text_add_bytes(t, digits, (size_t)mill_format_f64(digits, x));
}

static void add_integer(mill_text *t, const char *key, int64_t x)
{
    char digits[40];

    add(t, key);
    text_add_bytes(t, digits, (size_t)mill_format_i64(digits, x));
}

static mill_err add_messages(mill_text *t, const chat_message *m, int n)
{
    add(t, ",\"messages\":[");
    for (int i = 0; i < n; i++) {
        add(t, i ? ",{\"role\":" : "{\"role\":");
        TRY(utf8_add_json(t, m[i].role, strlen(m[i].role)));
        add(t, ",\"content\":");
        TRY(utf8_add_json(t, m[i].content, m[i].n));
        add(t, "}");
    }
    add(t, "]");
    return MILL_OK;
}

static mill_err add_schema(mill_text *t, const chat_params *p)
{
    if (p->schema_as_object) {
        add(t, ",\"response_format\":{\"type\":\"json_object\",\"schema\":");
        add(t, p->schema);
        add(t, "}");
        return MILL_OK;
    }
    const char *name = p->schema_name ? p->schema_name : "answer";
    add(t, ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":");
    TRY(utf8_add_json(t, name, strlen(name)));
    add(t, ",\"strict\":true,\"schema\":");
    add(t, p->schema);
    add(t, "}}");
    return MILL_OK;
}

static mill_err add_all(mill_text *out, const chat_params *p, const chat_message *m, int n)
{
    add(out, "{\"model\":");
    TRY(utf8_add_json(out, p->model, strlen(p->model)));
    TRY(add_messages(out, m, n));
    if (p->max_tokens > 0) add_integer(out, ",\"max_tokens\":", p->max_tokens);
    add_real(out, ",\"temperature\":", p->temperature);
    add_real(out, ",\"top_p\":", p->top_p);
    add_integer(out, ",\"seed\":", (int64_t)(p->seed & 0x7fffffff));
    if (p->schema) TRY(add_schema(out, p));
    if (p->stream) add(out, ",\"stream\":true,\"stream_options\":{\"include_usage\":true}");
    if (p->extra && *p->extra) {
        add(out, ",");
        add(out, p->extra);
    }
    add(out, "}");
    return text_check(out);
}

mill_err chat_body(mill_text *out, const chat_params *p, const chat_message *m, int n)
{
    text_clear(out);
    const mill_err err = add_all(out, p, m, n);
    if (err) text_clear(out);
    return err;
}
