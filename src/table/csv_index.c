/*
 * csv_index.c - delimiters and line ends outside quotes, 64 bytes at a time; the byte-by-byte way
 * for irregular files.
 *
 * Comparing 64 bytes with a character gives a 64-bit mask.  Quotes become the mask of what lies
 * inside them by a prefix xor (G. Langdale and D. Lemire, "Parsing gigabytes of JSON per second",
 * VLDB Journal 2019).  SSE2 is enough here: the work per field that follows costs more than the
 * masks.
 */
#include "table/csv_block.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

static inline uint64_t mask_of(const char *s, char c)
{
    uint64_t m = 0;
#ifdef __SSE2__
    const __m128i want = _mm_set1_epi8(c);
    for (int64_t i = 0; i < 4; i++) {
        const __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(s + 16 * i));
        m |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(x, want)) << (16 * i);
    }
#else
    for (int i = 0; i < 64; i++) m |= (uint64_t)(s[i] == c) << i;
#endif
    return m;
}

static inline uint64_t prefix_xor(uint64_t m)
{
    for (int k = 1; k < 64; k *= 2) m ^= m << k;
    return m;
}

/*
 * The outside of one 64-byte step and whether its quotes are regular.  State between steps:
 * `inside` is 0 or all ones; `after_edge` and `after_close`: the last byte was a delimiter or line
 * end outside, a closing quote.
 */
typedef struct {
    uint64_t inside, after_edge, after_close;
    bool irregular;
} quote_state;

static inline uint64_t edges_of(quote_state *q, const char *s, uint64_t delim, uint64_t line,
                                char quote, uint64_t here)
{
    const uint64_t quotes = quote ? mask_of(s, quote) : 0;
    if (!quotes && !q->inside && !q->after_close) {
        q->after_edge = (delim | line) >> 63;
        return delim | line;
    }

    const uint64_t in = prefix_xor(quotes) ^ q->inside; /* the opening quote in, the closing out */
    const uint64_t edges = (delim | line) & ~in;
    const uint64_t opening = quotes & in, closing = quotes & ~in;
    const uint64_t behind_edge = edges << 1 | q->after_edge;
    const uint64_t behind_close = closing << 1 | q->after_close;
    const uint64_t before_line = mask_of(s, '\n') >> 1 | (uint64_t)(s[64] == '\n') << 63;
    const uint64_t cr = mask_of(s, '\r') & before_line;

    if ((opening & ~(behind_edge | behind_close)) | (behind_close & here & ~(edges | opening | cr)))
        q->irregular = true;
    q->inside = (uint64_t)((int64_t)in >> 63);
    q->after_edge = edges >> 63;
    q->after_close = closing >> 63;
    return edges;
}

void csv_count(csv_counts *out, const char *s, size_t n, char quote)
{
    uint64_t inside = 0; /* 0 or all ones, as if the block began outside */
    int64_t n_inside = 0, n_outside = 0;

    for (size_t at = 0; at < n; at += 64) {
        const uint64_t here = n - at >= 64 ? ~0ull : (1ull << (n - at)) - 1;
        const uint64_t quotes = quote ? mask_of(s + at, quote) & here : 0;
        const uint64_t line = mask_of(s + at, '\n') & here;
        if (!(quotes | inside)) {
            n_outside += __builtin_popcountll(line);
            continue;
        }
        const uint64_t in = prefix_xor(quotes) ^ inside;
        n_inside += __builtin_popcountll(line & in);
        n_outside += __builtin_popcountll(line & ~in);
        inside = (uint64_t)((int64_t)in >> 63);
    }
    *out = (csv_counts){.is_odd = inside & 1, .outside = n_outside, .inside = n_inside};
}

bool csv_index_fast(csv_block *b, const csv_layout *l, size_t from, size_t avail, size_t stop)
{
    quote_state q = {.after_edge = 1};
    size_t n = 0, lines = 0;
    bool found = false;

    for (size_t at = from; at < avail && !found; at += 64) {
        const char *s = b->buf + at; /* readable for 65 bytes: the buffer is padded */
        if (n + 64 > b->end_cap || lines + 64 > b->row_cap) {
            b->no_room = true;
            return false;
        }
        const uint64_t here = avail - at >= 64 ? ~0ull : (1ull << (avail - at)) - 1;
        const uint64_t line = mask_of(s, '\n') & here;
        uint64_t edges =
            edges_of(&q, s, mask_of(s, l->delimiter) & here, line, l->quote, here) & here;
        uint64_t line_ends = edges & line;

        while (line_ends) {
            const size_t p = at + (size_t)__builtin_ctzll(line_ends);
            const uint64_t upto = line_ends ^ (line_ends - 1); /* this bit and all below */
            for (uint64_t m = edges & upto; m; m &= m - 1)
                b->end[n++] = (uint32_t)(at + (size_t)__builtin_ctzll(m));
            edges &= ~upto;
            line_ends &= line_ends - 1;
            b->row[lines++].field =
                (uint32_t)n; /* behind its last field: turned round by the caller */
            if (p >= stop) {
                found = true;
                break;
            }
        }
        if (found) break;
        for (; edges; edges &= edges - 1)
            b->end[n++] = (uint32_t)(at + (size_t)__builtin_ctzll(edges));
    }
    b->n_ends = n;
    b->n_lines = lines;
    b->irregular = q.irregular;
    return found;
}

/* A quote is one only at a field's start; "" inside is a quote; behind the closing one the field
 * must end. */
bool csv_index_exact(csv_block *b, const csv_layout *l, size_t from, size_t avail, size_t stop,
                     csv_fault *fault)
{
    const char *s = b->buf;
    size_t n = 0, lines = 0, begin = from;
    bool found = false;

    b->irregular = false;
    for (size_t at = from; at < avail && !found; at++) {
        if (at == begin && l->quote && s[at] == l->quote) {
            const char *close = s + at;
            for (;;) {
                close = memchr(close + 1, l->quote, (size_t)(s + avail - close - 1));
                if (!close || close + 1 >= s + avail || close[1] != l->quote) break;
                close++;
            }
            if (!close) {
                fault_note(fault, FAULT_QUOTE_OPEN, b->base + (int64_t)at, -1, 0);
                break;
            }
            at = (size_t)(close - s) + 1;
            const bool cr = at + 1 < avail && s[at] == '\r' && s[at + 1] == '\n';
            if (at < avail && s[at] != l->delimiter && s[at] != '\n' && !cr)
                fault_note(fault, FAULT_QUOTE_TAIL, b->base + (int64_t)begin, -1, 0);
            if (at >= avail) break;
        }
        if (s[at] != l->delimiter && s[at] != '\n') continue;
        if (n == b->end_cap || lines == b->row_cap) {
            b->no_room = true;
            return false;
        }
        b->end[n++] = (uint32_t)at;
        begin = at + 1;
        if (s[at] != '\n') continue;
        b->row[lines++].field = (uint32_t)n;
        found = at >= stop;
    }
    b->n_ends = n;
    b->n_lines = lines;
    return found;
}
