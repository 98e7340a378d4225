/*
 * mock.h - the parts of the mock server (mock_server.c says what it is).
 *
 *     ask     what a request wants            mock_ask.c
 *     reply   what a model would have said    mock_reply.c
 *     fault   how it is to go wrong           mock_fault.c
 *     wire    bytes of a response, with the places where it stops, waits or breaks    mock_wire.c
 */
#ifndef TESTS_MOCK_MOCK_H
#define TESTS_MOCK_MOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- bytes that grow; a mock without memory ends ---- */

typedef struct {
    char *s;
    size_t n, cap;
} bytes;
char *bytes_room(bytes *b, size_t n); /* for n more; b->n is not moved */
void bytes_add(bytes *b, const void *p, size_t n);
void bytes_str(bytes *b, const char *s);
void bytes_fmt(bytes *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
_Noreturn void mock_die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* ---- what a request wants ---- */

typedef struct {
    const char *p;
    size_t n;
} span; /* of JSON text; n = 0: absent */

typedef enum { ASK_GENERATE, ASK_EVALUATE, ASK_IMPROVE, ASK_OTHER } ask_stage;
extern const char *const ask_stage_names[];

typedef struct {
    span messages, model, schema;
    uint64_t hash; /* of model, messages, seed and sampling: the reply is a function of it */
    ask_stage stage;
    int64_t max_tokens, prompt_tokens;
    bool stream, usage, valid;
} ask;
void ask_read(ask *a, const char *body, size_t n);
/* Calls fn for each member of the object at `object`; false: it is no object. */
bool each_member(span object, void (*fn)(void *ctx, span key, span value), void *ctx);

/* ---- what a model would have said ---- */

typedef struct {
    bytes text;  /* of content, escaped as in a JSON string */
    size_t *end; /* (n) of each token in it */
    size_t n, cap;
    size_t n_reasoning; /* so many of the first tokens are its reasoning */
    int64_t created;
    const char *finish;
} reply;
typedef struct {
    int64_t bytes;    /* of generated content, about; 0: drawn, 100 to 600 */
    double right;     /* share of sums that are right */
    double good;      /* scores are at least that much */
    bool reasoning;   /* the first half of it as reasoning_content */
    const char *name; /* of the model */
} reply_options;
void reply_make(reply *r, const ask *a, const reply_options *o);
uint64_t mix64(uint64_t x);
double unit64(uint64_t x); /* [0, 1) */

/* ---- how it is to go wrong ---- */

typedef enum {
    FAULT_NONE,
    FAULT_STATUS,
    FAULT_RESET_BEFORE,
    FAULT_RESET_BODY,
    FAULT_CLOSE_BODY,
    FAULT_TORN,
    FAULT_DRIP,
    FAULT_BAD_UTF8,
    FAULT_ODD_CHUNKS,
    FAULT_LONG_LENGTH,
    FAULT_SHORT_LENGTH,
    FAULT_DUPLICATE_KEYS,
    FAULT_HUGE,
    FAULT_NO_FINISH,
    FAULT_ERROR_MID,
    FAULT_NO_CHOICES,
    FAULT_PINGS,
    FAULT_FINISH,
    FAULT_NULL_CONTENT,
    FAULT_EMPTY_CONTENT,
    FAULT_CONTEXT,
    FAULT_CRASH,
    FAULT_HANG,
    FAULT_HANG_BODY,
    FAULT_NOT_HTTP,
    N_FAULT
} fault_kind;
extern const char *const fault_names[N_FAULT];

typedef struct {
    /* when */
    int64_t nth, every, attempt, attempt_most, once; /* 0: any */
    double share;                                    /* of hashes; < 0: any */
    int stage;                                       /* -1: any */
    const char *text;                                /* in the body; NULL: any */
    const char *path;                                /* of a request that is no chat */
    /* what */
    fault_kind kind;
    double arg;
    const char *word;
    double retry_after, latency; /* < 0: none */
    const char *rates;           /* header lines */
} fault;
typedef struct {
    fault *f;
    int n;
} faults;
void faults_add(faults *fs, const char *line); /* one line of a script */
void faults_read(faults *fs, const char *path);
typedef struct {
    const char *path, *body;
    size_t n;
    int64_t nth, attempt;
    uint64_t hash;
    int stage; /* -1: no chat */
} fault_case;
const fault *faults_find(faults *fs, const fault_case *c); /* the first that fits, or NULL */

/* ---- bytes of a response ---- */

typedef enum { THEN_GO, THEN_CLOSE, THEN_RESET, THEN_EXIT, THEN_HANG } then_do;
typedef struct {
    size_t upto; /* when so many bytes have gone out, */
    double wait; /* and so many seconds, */
    then_do then;
} step;
typedef struct {
    bytes out;
    step *steps;
    size_t n, cap;
    int status;
} wire;
void wire_clear(wire *w);
void wire_free(wire *w);
void wire_stop(wire *w, size_t upto, double wait, then_do then);
void wire_plain(wire *w, int status, const char *type, const char *more, const bytes *body);
/* The whole answer to a chat; f: NULL or its fault. */
void wire_chat(wire *w, const ask *a, const reply *r, const fault *f, const reply_options *o,
               double token_gap);
void wire_error(wire *w, int status, const char *message, const fault *f);

#endif
