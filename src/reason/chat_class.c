/*
 * chat_class.c - what class of reply came (docs/reason.md, "When something fails").
 *
 * Words of `why` carry no numbers of ours and are short, so that failures can be counted by them;
 * a server's own message is cut.
 */
#include "reason/chat_inner.h"
#include "reason/utf8.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *chat_finish_name(chat_finish f)
{
    static const char *const names[] = {"none", "stop", "length", "content_filter", "other"};

    return names[f];
}

/* The first number before or after `words` in s; -1: there is none. */
static int64_t number_after(const char *s, const char *words)
{
    const char *at = strcasestr(s, words);

    if (!at) return -1;
    at += strlen(words);
    while (*at && !isdigit((unsigned char)*at) && *at != '.') at++;
    return isdigit((unsigned char)*at) ? strtoll(at, NULL, 10) : -1;
}

static int64_t number_before(const char *s, const char *words)
{
    const char *at = strcasestr(s, words);

    if (!at) return -1;
    while (at > s && at[-1] == ' ') at--;
    const char *end = at;
    while (at > s && isdigit((unsigned char)at[-1])) at--;
    return at < end ? strtoll(at, NULL, 10) : -1;
}

static bool speaks_of_context(const char *s)
{
    static const char *const words[] = {"context length",      "context_length", "context window",
                                        "context size",        "context_size",   "max_model_len",
                                        "maximum model length"};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasestr(s, words[i])) return true;
    return false;
}

/* vLLM's, old and new, OpenAI's and llama-server's words. */
static int64_t context_left(const char *s)
{
    int64_t most = number_after(s, "maximum context length is");
    int64_t prompt = number_before(s, "in the messages");

    if (most < 0) most = number_after(s, "\"n_ctx\":");
    if (prompt < 0) prompt = number_before(s, "input tokens");
    if (prompt < 0) prompt = number_before(s, "in the prompt");
    if (prompt < 0) prompt = number_after(s, "\"n_prompt_tokens\":");
    return most > 0 && prompt >= 0 && prompt <= most ? most - prompt : -1;
}

/* What the cut has left of a character goes too, and controls become spaces. */
static void tidy(char *s)
{
    size_t i = 0;

    for (const size_t n = strlen(s); i < n;) {
        const int k = utf8_char(s + i, n - i);
        if (!k) break;
        if ((unsigned char)s[i] < ' ') s[i] = ' ';
        i += (size_t)k;
    }
    s[i] = '\0';
}

static void say(chat_reply *r, chat_class is, const char *what, const char *more)
{
    r->is = is;
    snprintf(r->why, sizeof r->why, *more ? "%s: %.120s" : "%s", what, more);
    tidy(r->why);
}

static chat_class class_of_status(int status)
{
    if (status == 408 || status == 425 || status == 429 || status >= 500) return CHAT_AGAIN;
    if (status == 401 || status == 402 || status == 403 || status == 404 || status == 405)
        return CHAT_FATAL;
    return status >= 400 ? CHAT_REFUSED : CHAT_FATAL; /* a redirect: the URL is not the server's */
}

/* An error, of a status or in a stream; `text`: where context sizes may be found. */
static void refuse(chat_reply *r, int status, const char *what, const char *message,
                   const char *text)
{
    const bool may_be_long = status == 400 || status == 413 || status == 422;

    say(r, class_of_status(status), what, message);
    if (!may_be_long || !(speaks_of_context(message) || speaks_of_context(text))) return;
    say(r, CHAT_TOO_LONG, "the context is too short", "");
    r->context_left = context_left(message);
    if (r->context_left < 0) r->context_left = context_left(text);
}

static void judge_answer(chat_reply *r, const chat_said *s)
{
    if (s->is_broken)
        say(r, CHAT_GARBLED, "broken JSON", "");
    else if (!s->has_choice)
        say(r, CHAT_GARBLED, "no choices", "");
    else if (s->finish == FINISH_NONE)
        say(r, CHAT_GARBLED, "no finish_reason", "");
    else if (s->is_aborted)
        say(r, CHAT_GARBLED, "aborted by the server", "");
    else if (!s->content.len && s->finish != FINISH_LENGTH && s->finish != FINISH_FILTER)
        say(r, CHAT_GARBLED, "empty content", "");
    else
        r->is = CHAT_OK;
}

void chat_reply_make(chat_reply *out, const http_result *h, const chat_said *s, bool is_stream)
{
    char what[64];

    *out = (chat_reply){.end = h->end,
                        .status = h->status,
                        .finish = s->finish,
                        .content = s->content.s ? s->content.s : "",
                        .reasoning = s->reasoning.s ? s->reasoning.s : "",
                        .n_content = s->content.len,
                        .n_reasoning = s->reasoning.len,
                        .prompt_tokens = s->prompt_tokens,
                        .completion_tokens = s->completion_tokens,
                        .cached_tokens = s->cached_tokens,
                        .created = s->created,
                        .events = s->events,
                        .context_left = -1,
                        .rates = h->rates,
                        .seconds = h->seconds,
                        .first_byte = h->first_byte};
    if (s->content.failed || s->reasoning.failed) {
        say(out, CHAT_AGAIN, "no memory for the response", "");
    } else if (h->end == HTTP_BROKEN) {
        say(out, CHAT_GARBLED, "broken response", h->why);
    } else if (h->end != HTTP_DONE && !(is_stream && s->is_done)) {
        say(out, CHAT_AGAIN, http_end_name(h->end), "");
    } else if (h->status != 200) {
        snprintf(what, sizeof what, "HTTP %d", h->status);
        refuse(out, h->status, what, s->has_error ? s->error : "", h->body);
    } else if (s->has_error) {
        refuse(out, s->error_code ? s->error_code : 500, "error in the response", s->error, "");
    } else {
        judge_answer(out, s);
    }
}
