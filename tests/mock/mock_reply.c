/*
 * mock_reply.c - what a model would have said: a function of the request's hash.
 *
 * Free text is words of a table, some of them awkward to quote, and at its end an answer in a box:
 * of the first "A + B" in the messages the sum (a share of them wrong), else a number drawn.  With
 * a schema it is an object that follows it: numbers in [0, 1] with two decimals, short strings,
 * booleans, empty arrays.  A token is a word; more than max_tokens end it with "length".
 */
#include "mock/mock.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* As in a JSON string. */
static const char *const words[64] = {
    "the ", "so ", "we ", "have ", "a ", "number ", "that ", "is ", "then ", "of ", "x ", "= ",
    "by ", "which ", "gives ", "and ", "since ", "let ", "be ", "an ", "integer ", "with ", "sum ",
    "to ", "divide ", "both ", "sides ", "prime ", "even ", "odd ", "case ", "proof ", "square ",
    "root ", "product ", "angle ", "circle ", "line ", "point ", "area ", "equal ", "less ",
    "than ", "greater ", "mod ", "hence ", "thus ", "now ", "consider ", "suppose ", "it ",
    "follows ", "from ", "here ", "step ", "first ", "second ", "next ",
    /* awkward */
    "\\n", "\\\"so\\\" ", "\\\\frac{1}{2} ", "\u221a2 ", "caf\\u00e9 ", "\\ud83d\\ude00 "};

uint64_t mix64(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

double unit64(uint64_t x)
{
    return (double)(x >> 11) * 0x1p-53;
}

static void add_token(reply *r, const char *s, size_t n)
{
    bytes_add(&r->text, s, n);
    if (r->n == r->cap) {
        r->cap = r->cap ? 2 * r->cap : 256;
        r->end = realloc(r->end, r->cap * sizeof *r->end);
        if (!r->end) mock_die("no memory");
    }
    r->end[r->n++] = r->text.n;
}

static void add_word(reply *r, const char *s)
{
    add_token(r, s, strlen(s));
}

/* The first "A + B" of the messages. */
static bool find_sum(int64_t *sum, span m)
{
    const char *end = m.p + m.n;

    for (const char *p = m.p; (p = memmem(p, (size_t)(end - p), " + ", 3)); p += 3) {
        const char *a = p;
        while (a > m.p && isdigit((unsigned char)a[-1])) a--;
        if (a < p && p - a < 18 && isdigit((unsigned char)p[3])) {
            *sum = strtoll(a, NULL, 10) + strtoll(p + 3, NULL, 10);
            return true;
        }
    }
    return false;
}

static void say_text(reply *r, const ask *a, const reply_options *o)
{
    uint64_t x = mix64(a->hash);
    const size_t want = o->bytes > 0 ? (size_t)o->bytes : 100 + x % 500;
    int64_t answer = (int64_t)(mix64(x) % 1000);
    bytes box = {0};

    for (uint64_t bits = x; r->text.n + 40 < want; bits >>= 6) {
        if (bits < 64) bits = x = mix64(x);
        add_word(r, words[bits % 64]);
    }
    if (o->reasoning) r->n_reasoning = r->n / 2;
    if (find_sum(&answer, a->messages) && unit64(mix64(~a->hash)) >= o->right) answer++;
    add_word(r, "The ");
    add_word(r, "answer ");
    add_word(r, "is ");
    bytes_fmt(&box, "$\\\\boxed{%lld}$.", (long long)answer);
    add_token(r, box.s, box.n);
    free(box.s);
}

/* ---- by schema ---- */

typedef struct {
    reply *r;
    uint64_t x;
    double least;
    bool first;
    const char *type; /* of the member that is being looked at */
} filling;

static void find_type(void *ctx, span key, span value)
{
    filling *f = ctx;

    if (key.n == 4 && !memcmp(key.p, "type", 4)) f->type = value.p;
}

static void fill(void *ctx, span key, span value)
{
    filling *f = ctx;
    bytes t = {0};

    f->x = mix64(f->x);
    f->type = "";
    each_member(value, find_type, f);
    bytes_fmt(&t, "%s\\\"%.*s\\\": ", f->first ? "" : ", ", (int)key.n, key.p);
    add_token(f->r, t.s, t.n);
    t.n = 0;
    const double score = f->least + (1 - f->least) * unit64(f->x);
    if (!strncmp(f->type, "\"number", 7))
        bytes_fmt(&t, "%.2f", score);
    else if (!strncmp(f->type, "\"integer", 8))
        bytes_fmt(&t, "%d", (int)(10 * score));
    else if (!strncmp(f->type, "\"boolean", 8))
        bytes_str(&t, f->x & 1 ? "true" : "false");
    else if (!strncmp(f->type, "\"array", 6))
        bytes_str(&t, "[]");
    else
        bytes_fmt(&t, "\\\"note %llu\\\"", (unsigned long long)(f->x % 1000));
    add_token(f->r, t.s, t.n);
    free(t.s);
    f->first = false;
}

static void fill_properties(void *ctx, span key, span value)
{
    if (key.n == 10 && !memcmp(key.p, "properties", 10)) each_member(value, fill, ctx);
}

void reply_make(reply *r, const ask *a, const reply_options *o)
{
    r->n = r->text.n = r->n_reasoning = 0;
    r->created = 1700000000 + (int64_t)(a->hash % 10000000);
    r->finish = "stop";
    if (a->schema.n) {
        filling f = {.r = r, .x = a->hash, .least = o->good, .first = true};
        add_word(r, "{");
        each_member(a->schema, fill_properties, &f);
        add_word(r, "}");
    } else {
        say_text(r, a, o);
    }
    if ((int64_t)r->n > a->max_tokens) {
        r->n = a->max_tokens > 0 ? (size_t)a->max_tokens : 0;
        r->text.n = r->n ? r->end[r->n - 1] : 0;
        if (r->n_reasoning > r->n) r->n_reasoning = r->n;
        r->finish = "length";
    }
}
