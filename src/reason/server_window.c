/*
 * server_window.c - additive increase, multiplicative decrease, and token buckets.
 *
 * The window W counts requests in flight.  It begins at FIRST and
 *
 *     an answer to what was sent before W was full   W += 1        at first: doubles a round trip
 *                                                    W += 1/W      after the first sign of too much
 *     429, 503 or a time-out                         W /= 2        at most once for what was sent
 *                                                                  before the last cut
 *     metrics, once a second: `waiting` above        W  = max(running + aim, W/2)
 *       aim = max(2, running/8)                      `running` may lag behind what was just sent
 *     ... preemptions                                W  = .9 W     the server throws away work
 *     ... W is full, nothing waits                   W += aim
 *     ... and nothing ever waited, all that is       W *= 2        an answer may take minutes: it
 *         in flight runs                                           is asked 10 times a second until
 *                                                                  then
 *
 * so that a server always has a few requests to begin with, and not many.  While metrics say that
 * more than `aim` wait, or that the cache is above .95 and any wait, it does not grow: a server
 * whose cache is full is at its best as long as nothing is preempted.  Chiu and Jain (1989) have
 * why it is this increase and this decrease that lead several clients of one server to equal
 * shares.
 *
 * Limits by the minute are buckets of one second's worth: in no minute more than the limit and that
 * second's worth go.  A request larger than the bucket goes when it is full and leaves a debt.
 * x-ratelimit-* are believed until their reset.  Retry-After is for the request that it came with;
 * SEVERAL in a row, without an answer in between, mean the server: nothing goes until then.
 */
#include "reason/server_window.h"

#include <math.h>

static const double FIRST = 32, FULL_CACHE = 0.95, LITTLE_LESS = 0.9, RESET_UNTOLD = 1;
enum { SEVERAL = 3 };

static void bucket_init(limit_bucket *b, double per_minute, double now)
{
    const double rate = per_minute / 60;
    *b = (limit_bucket){.rate = rate, .most = fmax(rate, 1), .left = fmax(rate, 1), .at = now};
}

static double bucket_left(const limit_bucket *b, double now)
{
    return fmin(b->most, b->left + (now - b->at) * b->rate);
}

static void bucket_take(limit_bucket *b, double n, double now)
{
    if (b->rate <= 0) return;
    b->left = bucket_left(b, now) - n;
    b->at = now;
}

static double bucket_wait(const limit_bucket *b, double n, double now)
{
    if (b->rate <= 0) return 0;
    const double lacks = fmin(n, b->most) - bucket_left(b, now);
    return lacks > 1e-9 ? lacks / b->rate : 0; /* 1e-9: waiting for what it computes is enough */
}

static double told_wait(const limit_told *t, double n, double now)
{
    if (t->left < 0 || now >= t->until || t->left >= n) return 0;
    return t->until - now;
}

void window_init(server_window *w, int64_t fixed, int64_t most, double requests_per_minute,
                 double tokens_per_minute, double now)
{
    *w = (server_window){.most = most > 0 ? (double)most : 256,
                         .is_fixed = fixed > 0,
                         .is_growing_fast = true,
                         .cut_at = -HUGE_VAL,
                         .full_at = -HUGE_VAL,
                         .preemptions = -1,
                         .requests_told = {.left = -1},
                         .tokens_told = {.left = -1}};
    w->size = fixed > 0 ? (double)fixed : fmin(FIRST, w->most);
    bucket_init(&w->requests, requests_per_minute, now);
    bucket_init(&w->tokens, tokens_per_minute, now);
}

int64_t window_size(const server_window *w)
{
    return (int64_t)w->size;
}

double window_wait(const server_window *w, int64_t tokens, double now)
{
    double wait = fmax(0, w->not_before - now);

    wait = fmax(wait, bucket_wait(&w->requests, 1, now));
    wait = fmax(wait, bucket_wait(&w->tokens, (double)tokens, now));
    wait = fmax(wait, told_wait(&w->requests_told, 1, now));
    return fmax(wait, told_wait(&w->tokens_told, (double)tokens, now));
}

bool window_has_room(const server_window *w, int64_t tokens, double now)
{
    return w->in_flight < window_size(w) && window_wait(w, tokens, now) <= 0;
}

void window_take(server_window *w, int64_t tokens, double now)
{
    if (++w->in_flight >= window_size(w)) w->full_at = now;
    bucket_take(&w->requests, 1, now);
    bucket_take(&w->tokens, (double)tokens, now);
    if (w->requests_told.left > 0) w->requests_told.left -= 1;
    if (w->tokens_told.left > 0)
        w->tokens_told.left = fmax(0, w->tokens_told.left - (double)tokens);
}

static void set_size(server_window *w, double size)
{
    if (!w->is_fixed) w->size = fmin(fmax(size, 1), w->most);
}

static void cut(server_window *w, double size, double now)
{
    w->is_growing_fast = false;
    w->cut_at = now;
    set_size(w, size);
}

static bool is_too_much(const chat_reply *r)
{
    return r->status == 429 || r->status == 503 || r->end == HTTP_NO_FIRST_BYTE ||
           r->end == HTTP_IDLE || r->end == HTTP_TOO_LONG;
}

static void hear(limit_told *t, double left, double reset, double now)
{
    if (left < 0) return;
    *t = (limit_told){.left = left, .until = now + (reset >= 0 ? reset : RESET_UNTOLD)};
}

void window_give(server_window *w, int64_t tokens, const chat_reply *r, int64_t used, double now)
{
    w->in_flight--;
    if (!r) {
        bucket_take(&w->requests, -1, now);
        bucket_take(&w->tokens, -(double)tokens, now);
        return;
    }
    bucket_take(&w->tokens, (double)(used - tokens), now);
    hear(&w->requests_told, r->rates.requests_left, r->rates.requests_reset, now);
    hear(&w->tokens_told, r->rates.tokens_left, r->rates.tokens_reset, now);
    w->refusals = r->status == 429 || r->status == 503 ? w->refusals + 1 : 0;
    if (r->rates.retry_after >= 0 && w->refusals >= SEVERAL)
        w->not_before = fmax(w->not_before, now + r->rates.retry_after);
    if (is_too_much(r)) {
        if (now - r->seconds >= w->cut_at) cut(w, w->size / 2, now);
    } else if (r->is == CHAT_OK && !w->is_steered && w->full_at >= now - r->seconds) {
        set_size(w, w->size + (w->is_growing_fast ? 1 : 1 / w->size));
    }
}

bool window_is_sought(const server_window *w)
{
    return w->is_growing_fast && !w->is_fixed && w->size < w->most &&
           w->in_flight >= window_size(w);
}

void window_steer(server_window *w, const server_metrics *m, double now)
{
    const bool has_preempted = w->preemptions >= 0 && m->preemptions > w->preemptions;
    const double aim = fmax(2, floor(fmax(m->running, 0) / 8));
    const bool is_full = m->waiting < 1 && w->in_flight >= window_size(w);

    w->preemptions = m->preemptions;
    w->is_steered = m->waiting > aim || (m->cache_share > FULL_CACHE && m->waiting > 0);
    if (m->waiting < 0) return;
    if (has_preempted)
        cut(w, LITTLE_LESS * w->size, now);
    else if (m->waiting > aim && m->running + aim < w->size)
        cut(w, fmax(m->running + aim, w->size / 2), now);
    else if (is_full && !w->is_growing_fast)
        set_size(w, w->size + aim);
    else if (is_full && m->running + aim >= (double)w->in_flight)
        set_size(w, 2 * w->size);
    if (m->waiting > 0) w->is_growing_fast = false;
}

void window_restart(server_window *w, double now)
{
    w->size = w->is_fixed ? w->size : fmin(FIRST, w->most);
    w->is_growing_fast = true;
    w->is_steered = false;
    w->cut_at = now;
    w->preemptions = -1;
    w->not_before = 0;
    w->refusals = 0;
    w->requests_told.left = w->tokens_told.left = -1;
}
