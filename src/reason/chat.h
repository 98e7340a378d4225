/*
 * chat.h - one chat completion of an OpenAI-compatible server: the request's bytes, the reply,
 * streamed or whole, and what class of failure it was.
 */
#ifndef MILL_REASON_CHAT_H
#define MILL_REASON_CHAT_H

#include "base/text.h"
#include "reason/http.h"

typedef struct {
    const char *role, *content; /* "system" | "user" | "assistant" */
    size_t n;                   /* bytes of content */
} chat_message;

typedef struct {
    const char *model;
    int64_t max_tokens;
    double temperature, top_p;
    uint64_t seed; /* sent as 31 bits, as servers want it */
    bool stream;
    const char *schema; /* JSON schema that the answer must follow; NULL: free text */
    const char *schema_name;
    bool schema_as_object; /* llama-cpp-python: response_format json_object with a schema */
    const char *extra;     /* members of a JSON object to add, as text without braces; or NULL */
} chat_params;

/* The JSON of a request; the same bytes for the same arguments.  Content that is not UTF-8 is
 * MILL_EINPUT. */
mill_err chat_body(mill_text *out, const chat_params *p, const chat_message *m, int n);

typedef enum { FINISH_NONE, FINISH_STOP, FINISH_LENGTH, FINISH_FILTER, FINISH_OTHER } chat_finish;
const char *chat_finish_name(chat_finish f);

/* docs/reason.md, "When something fails".  An error within a response, in mid stream too, counts as
 * the status that is its code, and as 500 where it has none. */
typedef enum {
    CHAT_OK,       /* content and a finish reason */
    CHAT_AGAIN,    /* no connection, reset, timeout, 408, 429, 5xx: later, maybe elsewhere */
    CHAT_GARBLED,  /* 200 with broken JSON, no choices, empty content, [DONE] without a reason */
    CHAT_TOO_LONG, /* 400/413/422 that speaks of the context: fewer max_tokens once, else failed */
    CHAT_REFUSED,  /* another 4xx about this request: the record fails */
    CHAT_FATAL,    /* 401 to 405, 3xx (wrong key, no credit, model not served, no such path): the
                      run stops */
    CHAT_N_CLASS
} chat_class;

typedef struct {
    chat_class is;
    chat_finish finish;
    const char *content, *reasoning; /* NUL-terminated; "" where there is none; UTF-8 made valid */
    size_t n_content, n_reasoning;
    int64_t prompt_tokens, completion_tokens, cached_tokens; /* -1: not told */
    int64_t created;                                         /* of the response; 0: not told */
    int64_t context_left; /* CHAT_TOO_LONG: tokens that would have fitted, if it says so; else -1 */
    int64_t events;       /* of the stream */
    http_end end; /* of the request: a time-out is another thing to a server than a refusal */
    int status;
    http_rates rates;
    double seconds, first_byte;
    char why[256]; /* in words, unless CHAT_OK; short and stable enough to count by */
} chat_reply;

typedef struct chat_call chat_call;
typedef struct {
    const char *url;    /* of the server, with or without /v1; the path is added */
    const char *socket; /* or NULL */
    const char *key;
    const char *body; /* of chat_body; copied */
    size_t n;
    bool stream; /* as in the body */
    http_limits limits;
    void (*end)(void *ctx, const chat_reply *r); /* once; not after chat_cancel */
    void *ctx;
} chat_request;

mill_err chat_start(chat_call **out, http_loop *l, const chat_request *r);
void chat_cancel(chat_call *c);

#endif
