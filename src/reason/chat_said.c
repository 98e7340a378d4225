/*
 * chat_said.c - what a reply has said: text by text, by the scanner of chat_scan.c, and what that
 * is unsure of by jansson.
 *
 * Of two members of one name the last counts, as with jansson.  A content that is no string is no
 * content.  An error is {"error": {"message": ..., "code": 500}}, {"error": "..."} or, of older
 * servers, {"object": "error", "message": ..., "code": 400}.
 */
#include "reason/chat_inner.h"
#include "reason/utf8.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

void said_init(chat_said *s)
{
    const mill_text content = s->content, reasoning = s->reasoning;

    *s = (chat_said){.content = content,
                     .reasoning = reasoning,
                     .prompt_tokens = -1,
                     .completion_tokens = -1,
                     .cached_tokens = -1};
    text_clear(&s->content);
    text_clear(&s->reasoning);
}

void said_free(chat_said *s)
{
    text_free(&s->content);
    text_free(&s->reasoning);
}

chat_finish said_finish(const char *word, size_t n)
{
    static const struct {
        const char *word;
        chat_finish finish;
    } known[] = {
        {"stop", FINISH_STOP}, {"length", FINISH_LENGTH}, {"content_filter", FINISH_FILTER}};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i].word) == n && !memcmp(known[i].word, word, n)) return known[i].finish;
    return FINISH_OTHER;
}

static void take_count(int64_t *out, const json_t *v)
{
    if (json_is_integer(v) && json_integer_value(v) >= 0) *out = json_integer_value(v);
}

static void take_string(mill_text *out, const json_t *v)
{
    if (json_is_string(v)) text_add_bytes(out, json_string_value(v), json_string_length(v));
}

static void take_error(chat_said *s, const json_t *error)
{
    const json_t *message = json_is_object(error) ? json_object_get(error, "message") : error;
    const json_t *code = json_object_get(error, "code");

    s->has_error = true;
    if (json_is_integer(code) && json_integer_value(code) > 0 && json_integer_value(code) < 1000)
        s->error_code = (int)json_integer_value(code);
    snprintf(s->error, sizeof s->error, "%s",
             json_is_string(message) ? json_string_value(message) : "it does not say what");
}

static void take_choice(chat_said *s, const json_t *choice)
{
    const json_t *delta = json_object_get(choice, "delta");
    const json_t *message = delta ? delta : json_object_get(choice, "message");
    const json_t *reasoning = json_object_get(message, "reasoning_content");
    const json_t *finish = json_object_get(choice, "finish_reason");

    s->has_choice = true;
    take_string(&s->content, json_object_get(message, "content"));
    take_string(&s->reasoning,
                json_is_string(reasoning) ? reasoning : json_object_get(message, "reasoning"));
    if (json_is_string(finish) && json_string_length(finish)) {
        s->finish = said_finish(json_string_value(finish), json_string_length(finish));
        s->is_aborted = !strcmp(json_string_value(finish), "abort");
    }
}

static void take_object(chat_said *s, const json_t *o)
{
    const json_t *error = json_object_get(o, "error");
    const json_t *kind = json_object_get(o, "object");
    const json_t *choice = json_array_get(json_object_get(o, "choices"), 0);
    const json_t *usage = json_object_get(o, "usage");

    if (json_is_object(error) || json_is_string(error))
        take_error(s, error);
    else if (json_is_string(kind) && !strcmp(json_string_value(kind), "error"))
        take_error(s, o);
    if (json_is_object(choice)) take_choice(s, choice);
    take_count(&s->prompt_tokens, json_object_get(usage, "prompt_tokens"));
    take_count(&s->completion_tokens, json_object_get(usage, "completion_tokens"));
    take_count(&s->cached_tokens,
               json_object_get(json_object_get(usage, "prompt_tokens_details"), "cached_tokens"));
    if (json_integer_value(json_object_get(o, "created")) > 0)
        take_count(&s->created, json_object_get(o, "created"));
}

void said_parse(chat_said *s, const char *json, size_t n)
{
    mill_text mended = {0};

    utf8_mend_json(&mended, json, n);
    json_t *o = mended.failed || !mended.len ? NULL : json_loadb(mended.s, mended.len, 0, NULL);
    if (json_is_object(o))
        take_object(s, o);
    else
        s->is_broken = true;
    json_decref(o);
    text_free(&mended);
}

void said_take(chat_said *s, const char *json, size_t n)
{
    if (!said_scan(s, json, n)) said_parse(s, json, n);
}

void said_take_event(chat_said *s, const char *data, size_t n)
{
    if (s->is_done) return;
    if (n == 6 && !memcmp(data, "[DONE]", 6)) {
        s->is_done = true;
        return;
    }
    s->events++;
    if (s->content.len + s->reasoning.len + n > HTTP_MAX_BODY)
        s->is_broken = true;
    else
        said_take(s, data, n);
}
