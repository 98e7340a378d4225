/* t_sse.c - events of a stream, however its bytes are split. */
#include "lib/test.h"

#include "base/mem.h"
#include "reason/sse.h"

typedef struct {
    char text[4096]; /* each event as [data] */
    int events, most;
} heard;

static bool hear(void *ctx, const char *data, size_t n)
{
    heard *h = ctx;
    const size_t at = strlen(h->text);

    snprintf(h->text + at, sizeof h->text - at, "[%.*s]", (int)n, data);
    h->events++;
    return !h->most || h->events < h->most;
}

static void expect(const char *stream, const char *events)
{
    const size_t n = strlen(stream);
    sse s = {0};

    /* In pieces of each length, and in two pieces of each split. */
    for (size_t piece = 1; piece <= n; piece++) {
        heard h = {0};
        for (size_t at = 0; at < n; at += piece)
            assert_true(sse_feed(&s, stream + at, piece < n - at ? piece : n - at, hear, &h));
        if (strcmp(h.text, events) != 0)
            fail_msg("in pieces of %zu: %s, not %s", piece, h.text, events);
        sse_reset(&s);
        h = (heard){0};
        assert_true(sse_feed(&s, stream, piece, hear, &h));
        assert_true(sse_feed(&s, stream + piece, n - piece, hear, &h));
        if (strcmp(h.text, events) != 0)
            fail_msg("split at %zu: %s, not %s", piece, h.text, events);
        sse_reset(&s);
    }
    sse_free(&s);
}

void test_sse__finds_events_however_they_are_split(void **state)
{
    (void)state;
    expect("data: {\"a\":1}\n\ndata: caf\xc3\xa9\n\ndata: [DONE]\n\n",
           "[{\"a\":1}][caf\xc3\xa9][[DONE]]");
}

void test_sse__knows_three_ends_of_a_line(void **state)
{
    (void)state;
    expect("data: a\r\n\r\ndata: b\r\rdata: c\n\ndata: d\r\n\ndata: e\n\r\n", "[a][b][c][d][e]");
}

void test_sse__passes_over_comments_and_other_fields(void **state)
{
    (void)state;
    expect(": ping\n\n:\n\nevent: message\nid: 7\nretry: 10\ndata: a\n\ndatax: no\n\n data: no\n\n",
           "[a]");
}

void test_sse__joins_lines_of_data(void **state)
{
    (void)state;
    expect("data: a\ndata:b\ndata:  c\n\ndata\n\ndata:\ndata:\n\n", "[a\nb\n c][][\n]");
    expect("data: a\r\ndata: b\r\n\r\ndata: c\rdata: d\r\r", "[a\nb][c\nd]");
}

void test_sse__drops_what_the_end_cuts_off(void **state)
{
    (void)state;
    expect("data: a\n\ndata: b\n", "[a]");
    expect("data: a\n\ndata: b", "[a]");
}

void test_sse__takes_a_byte_order_mark_at_the_start_only(void **state)
{
    (void)state;
    expect("\xef\xbb\xbf"
           "data: a\n\ndata: b\n\n",
           "[a][b]");
    expect("data: a\n\n\xef\xbb\xbf"
           "data: b\n\n",
           "[a]");
}

void test_sse__stops_when_it_is_told(void **state)
{
    (void)state;
    static const char stream[] = "data: a\n\ndata: b\n\ndata: c\n\n";
    sse s = {0};
    heard h = {.most = 2};

    assert_false(sse_feed(&s, stream, sizeof stream - 1, hear, &h));
    assert_string_equal(h.text, "[a][b]");
    sse_free(&s);
}

void test_sse__says_that_memory_is_out(void **state)
{
    (void)state;
    static const char part[] = "data: a";
    sse s = {0};
    heard h = {0};

    mill_mem_fail_at(1);
    assert_false(sse_feed(&s, part, sizeof part - 1, hear, &h));
    mill_mem_fail_at(0);
    sse_free(&s);
}
