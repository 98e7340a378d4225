/*
 * chat_inner.h - what the files of chat.h share.
 *
 *     chat.c         the call: request, pieces, reply
 *     chat_body.c    the request's JSON
 *     chat_scan.c    what one JSON text of a server says, by a scanner of ours; unsure of some
 *     chat_said.c    the same by jansson, for those; and what all texts of a reply said together
 *     chat_class.c   what it comes to
 */
#ifndef MILL_REASON_CHAT_INNER_H
#define MILL_REASON_CHAT_INNER_H

#include "reason/chat.h"

enum { CHAT_MAX_WHY = 256 };

/* What a reply has said so far: one JSON text, or one for each event of a stream. */
typedef struct {
    mill_text content, reasoning;
    chat_finish finish; /* FINISH_NONE: not yet */
    bool is_aborted;    /* finish_reason "abort": no answer */
    bool has_choice;
    int64_t prompt_tokens, completion_tokens, cached_tokens, created; /* -1, created 0: not told */
    bool is_done;                                                     /* [DONE] */
    bool is_broken; /* a text that is no JSON object */
    bool has_error;
    int error_code; /* 0: not told */
    char error[CHAT_MAX_WHY];
    int64_t events;
} chat_said;

void said_init(chat_said *s); /* keeps the memory of its texts */
void said_free(chat_said *s);

/* One JSON text.  By the scanner, and where that is unsure by jansson. */
void said_take(chat_said *s, const char *json, size_t n);
/* Data of an event of a stream: a JSON text or [DONE]. */
void said_take_event(chat_said *s, const char *data, size_t n);

/*
 * By the scanner: false, with s as it was, for all that is not JSON of the usual shape.  What it
 * does take it understands as jansson would (tests/fuzz/fuzz_reply.c compares).
 */
bool said_scan(chat_said *s, const char *json, size_t n);
/* By jansson, after utf8_mend_json. */
void said_parse(chat_said *s, const char *json, size_t n);
chat_finish said_finish(const char *word, size_t n);

/* What came as a reply: its class, why in words, and what was said; its texts are those of s. */
void chat_reply_make(chat_reply *out, const http_result *h, const chat_said *s, bool is_stream);

#endif
