/*
 * sse.c - see sse.h.
 *
 * The usual event is one line "data: {...}" and an empty one, both in the bytes at hand: it is
 * handed on from where it lies.  All else is gathered, line by line.
 */
#include "reason/sse.h"

#include <string.h>

typedef struct {
    sse *s;
    bool (*event)(void *ctx, const char *data, size_t n);
    void *ctx;
} feeding;

static bool dispatch(const feeding *f)
{
    sse *s = f->s;
    const bool had = s->has_data;

    s->has_data = false;
    if (s->data.failed) return false;
    /* The LF behind the last line is not of the data. */
    if (had && !f->event(f->ctx, s->data.s, s->data.len - 1)) return false;
    text_clear(&s->data);
    return true;
}

/* "data" with a colon, and maybe one space, before its value; false: another field, or a comment.
 */
static bool is_data(const char **value, size_t *n, const char *line, size_t length)
{
    if (length < 4 || memcmp(line, "data", 4) != 0) return false;
    if (length == 4) {
        *value = line + 4;
        *n = 0;
        return true;
    }
    if (line[4] != ':') return false;
    const size_t skip = length > 5 && line[5] == ' ' ? 6 : 5;
    *value = line + skip;
    *n = length - skip;
    return true;
}

static bool take_line(const feeding *f, const char *line, size_t length)
{
    sse *s = f->s;
    const char *value;
    size_t n;

    if (!s->has_begun && length >= 3 && !memcmp(line, "\xef\xbb\xbf", 3)) {
        line += 3;
        length -= 3;
    }
    s->has_begun = true;
    if (!length) return dispatch(f);
    if (!is_data(&value, &n, line, length)) return true;
    text_add_bytes(&s->data, value, n);
    text_add_bytes(&s->data, "\n", 1);
    s->has_data = true;
    return !s->data.failed;
}

/* The line that ends at q, whose first part may wait in s->line. */
static bool end_line(const feeding *f, const char *p, const char *q)
{
    sse *s = f->s;

    if (!s->line.len) return take_line(f, p, (size_t)(q - p));
    text_add_bytes(&s->line, p, (size_t)(q - p));
    if (s->line.failed || !take_line(f, s->line.s, s->line.len)) return false;
    text_clear(&s->line);
    return true;
}

/* First LF or CR; end: there is none. */
static const char *line_end(const char *p, const char *end)
{
    const char *lf = memchr(p, '\n', (size_t)(end - p));
    const char *cr = memchr(p, '\r', (size_t)((lf ? lf : end) - p));

    return cr ? cr : lf ? lf : end;
}

bool sse_feed(sse *s, const char *p, size_t n, bool (*event)(void *ctx, const char *data, size_t n),
              void *ctx)
{
    const feeding f = {s, event, ctx};
    const char *end = p + n, *value;
    size_t length;

    while (p < end) {
        if (s->skips_lf && *p == '\n') p++;
        s->skips_lf = false;
        if (p == end) break;
        const char *q = line_end(p, end);
        if (q == end) {
            text_add_bytes(&s->line, p, (size_t)(end - p));
            return !s->line.failed;
        }
        const bool is_whole = *q == '\n' && q + 1 < end && q[1] == '\n' && !s->line.len &&
                              !s->has_data && s->has_begun;
        if (is_whole && is_data(&value, &length, p, (size_t)(q - p))) {
            if (!event(ctx, value, length)) return false;
            p = q + 2;
            continue;
        }
        if (!end_line(&f, p, q)) return false;
        s->skips_lf = *q == '\r';
        p = q + 1;
    }
    return true;
}

void sse_reset(sse *s)
{
    text_clear(&s->line);
    text_clear(&s->data);
    s->has_data = s->has_begun = s->skips_lf = false;
}

void sse_free(sse *s)
{
    text_free(&s->line);
    text_free(&s->data);
    *s = (sse){0};
}
