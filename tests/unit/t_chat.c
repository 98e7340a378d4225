/* t_chat.c - chats: the bytes that are asked, what is understood of the reply, and its class. */
#include "lib/mock.h"
#include "lib/test.h"

#include "base/mem.h"
#include "reason/chat.h"
#include "reason/chat_inner.h"
#include "reason/utf8.h"

#include <jansson.h>
#include <unistd.h>

/* ---- UTF-8 and JSON strings ---- */

static void mends(const char *from, size_t n, const char *to)
{
    mill_text t = {0};

    utf8_mend_json(&t, from, n);
    assert_string_equal(t.s, to);
    text_free(&t);
}
#define MENDS(from, to) mends(from, sizeof(from) - 1, to)

void test_utf8__is_mended_one_mark_for_each_broken_part(void **state)
{
    (void)state;
    MENDS("plain \xc3\xa9 \xe2\x88\x9a \xf0\x9f\x98\x80",
          "plain \xc3\xa9 \xe2\x88\x9a \xf0\x9f\x98\x80");
    /* Unicode 15, table 3-8 and its neighbours: U+FFFD is ef bf bd. */
    MENDS("a\xf1\x80\x80\xe1\x80\xc2"
          "b\x80"
          "c\x80\xbf"
          "d",
          "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
          "b\xef\xbf\xbd"
          "c\xef\xbf\xbd\xef\xbf\xbd"
          "d");
    MENDS("\xc0\xaf\xe0\x80\xbf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    MENDS("\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    MENDS("\xf4\x90", "\xef\xbf\xbd\xef\xbf\xbd");
    MENDS("\\u0000 \\ud83d\\ude00 \\ud83d \\ude00 \\u00e9 \\\\u0000",
          "\\ufffd \\ud83d\\ude00 \\ufffd \\ufffd \\u00e9 \\\\u0000");
    MENDS("\\ud83d\\ud83d\\ude00 \\u12", "\\ufffd\\ud83d\\ude00 \\u12");
}

void test_utf8__agrees_with_jansson_on_every_short_string(void **state)
{
    (void)state;
    /* All pairs of bytes, and triples and fours that begin like a character. */
    for (unsigned x = 0; x < 0x10000 + 64 * 64 * 64; x++) {
        char s[4];
        size_t n = 2;
        if (x < 0x10000) {
            s[0] = (char)(x >> 8);
            s[1] = (char)x;
        } else {
            const unsigned y = x - 0x10000;
            s[0] = (char)(0xe0 + y % 32);
            s[1] = (char)(0x80 + (y / 32) % 64 + (y % 7 == 0 ? 0x40 : 0));
            s[2] = (char)(0x80 + (y >> 11));
            s[3] = (char)0x80;
            n = 3 + (y & 1);
        }
        json_t *v = json_stringn(s, n);
        mill_text t = {0};
        const mill_err err = utf8_add_json(&t, s, n);
        if (!v != !!err) fail_msg("%02x %02x", (unsigned char)s[0], (unsigned char)s[1]);
        if (v) {
            json_t *back = json_loadb(t.s, t.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
            assert_true(json_equal(v, back));
            json_decref(back);
        }
        json_decref(v);
        text_free(&t);
    }
}

/* ---- requests ---- */

void test_chat_body__is_json_of_what_was_asked(void **state)
{
    (void)state;
    const chat_message m[] = {{"system", "be \"brief\"\n", 11},
                              {"user", "x\\y \xe2\x88\x9a\x01", 8}};
    chat_params p = {.model = "m/7b",
                     .max_tokens = 4096,
                     .temperature = .7,
                     .top_p = 1,
                     .seed = UINT64_C(0xffffffff12345678),
                     .extra = "\"top_k\":20"};
    mill_text t = {0};

    assert_ok(chat_body(&t, &p, m, 2));
    assert_string_equal(t.s, "{\"model\":\"m/7b\",\"messages\":[{\"role\":\"system\",\"content\":"
                             "\"be \\\"brief\\\"\\n\"},{\"role\":\"user\",\"content\":"
                             "\"x\\\\y \xe2\x88\x9a\\u0001\"}],\"max_tokens\":4096,"
                             "\"temperature\":0.7,\"top_p\":1,\"seed\":305419896,\"top_k\":20}");
    p.stream = true;
    p.schema = "{\"type\":\"object\"}";
    assert_ok(chat_body(&t, &p, m, 2));
    json_t *v = json_loads(t.s, 0, NULL);
    assert_non_null(v);
    const json_t *format = json_object_get(v, "response_format");
    assert_string_equal(json_string_value(json_object_get(format, "type")), "json_schema");
    const json_t *inside = json_object_get(format, "json_schema");
    assert_true(json_is_true(json_object_get(inside, "strict")));
    assert_true(json_is_object(json_object_get(inside, "schema")));
    assert_true(
        json_is_true(json_object_get(json_object_get(v, "stream_options"), "include_usage")));
    json_decref(v);
    p.schema_as_object = true;
    assert_ok(chat_body(&t, &p, m, 2));
    assert_non_null(strstr(t.s, "{\"type\":\"json_object\",\"schema\":{\"type\":\"object\"}}"));
    text_free(&t);
}

void test_chat_body__refuses_what_is_not_utf8(void **state)
{
    (void)state;
    const chat_message m = {"user", "ab\xff", 3};
    const chat_params p = {.model = "m"};
    mill_text t = {0};

    assert_fails(MILL_EINPUT, "byte 2", chat_body(&t, &p, &m, 1));
    assert_int_equal(t.len, 0);
    text_free(&t);
}

/* ---- what texts say ---- */

static void compare(const chat_said *a, const chat_said *b, const char *json)
{
    const bool same = a->content.len == b->content.len && a->reasoning.len == b->reasoning.len &&
                      !memcmp(a->content.s ? a->content.s : "", b->content.s ? b->content.s : "",
                              a->content.len) &&
                      !memcmp(a->reasoning.s ? a->reasoning.s : "",
                              b->reasoning.s ? b->reasoning.s : "", a->reasoning.len) &&
                      a->finish == b->finish && a->is_aborted == b->is_aborted &&
                      a->has_choice == b->has_choice && a->prompt_tokens == b->prompt_tokens &&
                      a->completion_tokens == b->completion_tokens &&
                      a->cached_tokens == b->cached_tokens && a->created == b->created;
    if (!same) fail_msg("the scanner and jansson differ on %s", json);
}

/* Whether the scanner is sure; where it is it says what jansson says. */
static bool is_sure(const char *json)
{
    chat_said a = {0}, b = {0};

    said_init(&a);
    said_init(&b);
    const bool sure = said_scan(&a, json, strlen(json));
    said_parse(&b, json, strlen(json));
    if (sure && b.is_broken) fail_msg("the scanner takes %s, jansson does not", json);
    if (sure) compare(&a, &b, json);
    said_free(&a);
    said_free(&b);
    return sure;
}

void test_scan__is_sure_of_what_servers_say(void **state)
{
    (void)state;
    static const char *const usual[] = {
        "{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1700000001,\"model\":\"m\","
        "\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},"
        "\"logprobs\":"
        "null,\"finish_reason\":null}]}",
        "{\"choices\":[{\"delta\":{\"content\":\"a\\n\\\"\\u00e9\\ud83d\\ude00 \xe2\x88\x9a\"}}]}",
        "{\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\",\"content\":null}}]}",
        "{\"choices\":[{\"delta\":{\"reasoning\":\"hm\"},\"finish_reason\":\"length\"}]}",
        "{\"choices\":[{\"delta\":{},\"finish_reason\":\"abort\"}],\"usage\":null}",
        "{\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":7,\"total_tokens\":"
        "12,"
        "\"prompt_tokens_details\":{\"cached_tokens\":3}}}",
        " { \"choices\" : [ { \"message\" : { \"content\" : \"x\" , \"tool_calls\" : [ ] } , "
        "\"finish_reason\" : \"stop\" } ] , \"timings\":{\"ms\":12.5,\"n\":[1,-2,0,true,false]},"
        "\"error\":null}\r\n",
        "{}",
    };
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (!is_sure(usual[i])) fail_msg("not sure of %s", usual[i]);
}

void test_scan__leaves_the_rest_to_jansson(void **state)
{
    (void)state;
    static const char *const odd[] = {
        "",
        "[]",
        "{",
        "{\"a\":1}x",
        "{\"a\":01}",
        "{\"a\":1e5}",
        "{\"a\":1.}",
        "{\"a\":.5}",
        "{\"a\":1234567890123456789}",
        "{\"a\":tru}",
        "{\"a\" 1}",
        "{\"a\":1,}",
        "{,}",
        "{\"a\":[1,]}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u0000\"}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\\udc00\"}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\xff\"}",
        "{\"a\":\"\xed\xa0\x80\"}",
        "{\"error\":{\"message\":\"no\"}}",
        "{\"object\":\"error\",\"message\":\"no\"}",
        "{\"choices\":[{\"message\":{\"content\":\"a\",\"content\":\"b\"}}]}",
        "{\"choices\":[{\"message\":{\"content\":7}}]}",
        "{\"choices\":null}",
        "{\"choices\":[{\"message\":null}]}",
        "{\"choices\":[{\"delta\":{}},{\"delta\":{}}]}",
        "{\"usage\":{\"prompt_tokens\":1.5}}",
        "{\"choi\\u0063es\":[]}",
        "{\"usage\":{},\"usage\":{}}",
    };
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        if (is_sure(odd[i])) fail_msg("sure of %s", odd[i]);
}

void test_said__takes_the_last_of_two_members(void **state)
{
    (void)state;
    static const char json[] =
        "{\"choices\":[{\"message\":{\"content\":\"a\",\"content\":\"b\"}}]}";
    chat_said s = {0};

    said_init(&s);
    said_take(&s, json, sizeof json - 1);
    assert_string_equal(s.content.s, "b");
    said_free(&s);
}

/* ---- against the mock ---- */

typedef struct {
    chat_reply r;
    mill_text content, reasoning;
    int ends;
} answer;

static void keep(void *ctx, const chat_reply *r)
{
    answer *a = ctx;

    a->r = *r;
    a->ends++;
    text_clear(&a->content);
    text_clear(&a->reasoning);
    text_add_bytes(&a->content, r->content, r->n_content);
    text_add_bytes(&a->reasoning, r->reasoning, r->n_reasoning);
    assert_int_equal(strlen(r->content), r->n_content);
}

static void forget(answer *a)
{
    text_free(&a->content);
    text_free(&a->reasoning);
}

static void ask_with(answer *a, const char *url, chat_params p, const char *key)
{
    const chat_message m = {"user", "what is 2 + 40?", 15};
    const double until = http_now() + 30;
    http_loop *l;
    mill_text t = {0};

    if (!p.model) p.model = "mock";
    assert_ok(chat_body(&t, &p, &m, 1));
    a->ends = 0;
    const chat_request q = {.url = url,
                            .key = key,
                            .body = t.s,
                            .n = t.len,
                            .stream = p.stream,
                            .limits = {.first_byte = 10, .idle = 10, .total = 20},
                            .end = keep,
                            .ctx = a};
    assert_ok(http_open(&l));
    assert_ok(chat_start(NULL, l, &q));
    while (!a->ends && http_now() < until) assert_ok(http_turn(l, 1));
    assert_int_equal(a->ends, 1);
    http_close(l);
    text_free(&t);
}

void test_chat__is_the_same_whole_and_streamed(void **state)
{
    (void)state;
    answer whole = {0}, streamed = {0};
    char url[300];
    mock m;

    mock_start(&m, "--reasoning", "--right", "1", NULL);
    ask_with(&whole, m.url, (chat_params){.seed = 3}, NULL);
    snprintf(url, sizeof url, "%s/v1/", m.url);
    ask_with(&streamed, url, (chat_params){.seed = 3, .stream = true}, NULL);
    assert_int_equal(whole.r.is, CHAT_OK);
    assert_int_equal(whole.r.finish, FINISH_STOP);
    assert_string_equal(whole.content.s, streamed.content.s);
    assert_string_equal(whole.reasoning.s, streamed.reasoning.s);
    assert_non_null(strstr(whole.content.s, "$\\boxed{42}$."));
    assert_true(whole.reasoning.len > 20);
    assert_true(whole.r.completion_tokens > 0 &&
                whole.r.completion_tokens == streamed.r.completion_tokens);
    assert_int_equal(whole.r.prompt_tokens, streamed.r.prompt_tokens);
    assert_true(whole.r.cached_tokens >= 0 && whole.r.cached_tokens == streamed.r.cached_tokens);
    assert_true(whole.r.created >= 1700000000 && whole.r.created == streamed.r.created);
    assert_int_equal(streamed.r.events, streamed.r.completion_tokens + 3);
    mock_stop(&m);
    forget(&whole);
    forget(&streamed);
}

/* Faults that bend the bytes but not what they say. */
void test_chat__understands_bent_replies(void **state)
{
    (void)state;
    static const char *const faults[] = {"odd-chunks:1", "odd-chunks:2", "odd-chunks:7", "pings",
                                         "duplicate-keys"};
    answer straight = {0}, bent = {0};
    mock m;

    mock_start(&m, NULL);
    ask_with(&straight, m.url, (chat_params){0}, NULL);
    mock_stop(&m);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        mock_start(&m, "--fault", faults[i], NULL);
        for (int stream = 0; stream < 2; stream++) {
            ask_with(&bent, m.url, (chat_params){.stream = stream}, NULL);
            if (bent.r.is != CHAT_OK) fail_msg("%s: %s", faults[i], bent.r.why);
            assert_string_equal(bent.content.s, straight.content.s);
        }
        mock_stop(&m);
    }
    forget(&straight);
    forget(&bent);
}

void test_chat__mends_content(void **state)
{
    (void)state;
    answer whole = {0}, streamed = {0};
    mock m;

    mock_start(&m, "--fault", "bad-utf8", NULL);
    ask_with(&whole, m.url, (chat_params){0}, NULL);
    ask_with(&streamed, m.url, (chat_params){.stream = true}, NULL);
    mock_stop(&m);
    assert_int_equal(whole.r.is, CHAT_OK);
    /* ff, c3 before a parenthesis, ed, a0, 80 */
    assert_memory_equal(whole.content.s,
                        "\xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd ", 17);
    assert_string_equal(whole.content.s, streamed.content.s);
    forget(&whole);
    forget(&streamed);
}

void test_chat__tells_each_class(void **state)
{
    (void)state;
    static const struct {
        const char *fault;
        chat_class whole, streamed;
        const char *why; /* of a whole reply */
    } cases[] = {
        {"status:408", CHAT_AGAIN, CHAT_AGAIN, "HTTP 408"},
        {"status:429 retry-after=2", CHAT_AGAIN, CHAT_AGAIN, "HTTP 429"},
        {"status:500", CHAT_AGAIN, CHAT_AGAIN, "HTTP 500: scripted"},
        {"status:503", CHAT_AGAIN, CHAT_AGAIN, "HTTP 503"},
        {"status:400", CHAT_REFUSED, CHAT_REFUSED, "HTTP 400: scripted"},
        {"status:422", CHAT_REFUSED, CHAT_REFUSED, "HTTP 422"},
        {"status:401", CHAT_FATAL, CHAT_FATAL, "HTTP 401"},
        {"status:402", CHAT_FATAL, CHAT_FATAL, "HTTP 402"},
        {"status:403", CHAT_FATAL, CHAT_FATAL, "HTTP 403"},
        {"status:404", CHAT_FATAL, CHAT_FATAL, "HTTP 404"},
        {"status:301", CHAT_FATAL, CHAT_FATAL, "HTTP 301"},
        {"context", CHAT_TOO_LONG, CHAT_TOO_LONG, "context"},
        {"reset-before", CHAT_AGAIN, CHAT_AGAIN, "reset"},
        {"reset-body", CHAT_AGAIN, CHAT_AGAIN, "reset"},
        {"close-body", CHAT_AGAIN, CHAT_AGAIN, "reset"},
        {"long-length", CHAT_AGAIN, CHAT_OK, "reset"}, /* a stream has no length */
        {"short-length", CHAT_GARBLED, CHAT_OK, "broken JSON"},
        {"crash", CHAT_AGAIN, CHAT_AGAIN, "reset"},
        {"torn", CHAT_GARBLED, CHAT_GARBLED, "broken JSON"},
        {"not-http", CHAT_GARBLED, CHAT_GARBLED, "broken response"},
        {"no-finish", CHAT_GARBLED, CHAT_GARBLED, "no finish_reason"},
        {"no-choices", CHAT_GARBLED, CHAT_GARBLED, "no choices"},
        {"null-content", CHAT_GARBLED, CHAT_GARBLED, "empty content"},
        {"empty-content", CHAT_GARBLED, CHAT_GARBLED, "empty content"},
        {"finish:abort", CHAT_GARBLED, CHAT_GARBLED, "aborted"},
        {"error-mid", CHAT_AGAIN, CHAT_AGAIN, "the engine died"},
        {"finish:length", CHAT_OK, CHAT_OK, ""},
        {"finish:content_filter", CHAT_OK, CHAT_OK, ""},
        {"huge:10000000", CHAT_OK, CHAT_OK, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int stream = 0; stream < 2; stream++) {
            answer a = {0};
            mock m;
            mock_start(&m, "--fault", cases[i].fault, NULL);
            ask_with(&a, m.url, (chat_params){.stream = stream, .max_tokens = 1000}, NULL);
            mock_stop(&m);
            if (a.r.is != (stream ? cases[i].streamed : cases[i].whole) ||
                (!stream && !strstr(a.r.why, cases[i].why)) || !*a.r.why != (a.r.is == CHAT_OK))
                fail_msg("%s, stream %d: class %d, %s", cases[i].fault, stream, (int)a.r.is,
                         a.r.why);
            if (a.r.is != CHAT_OK)
                assert_int_equal(a.r.end == HTTP_RESET, !strcmp(a.r.why, "reset"));
            if (a.r.status == 429) assert_true(a.r.rates.retry_after == 2);
            if (a.r.is == CHAT_TOO_LONG) assert_int_equal(a.r.context_left, 20);
            forget(&a);
        }
    }
}

void test_chat__knows_a_wrong_key_and_model(void **state)
{
    (void)state;
    answer a = {0};
    mock m;

    mock_start(&m, "--key", "k", "--context", "50", NULL);
    ask_with(&a, m.url, (chat_params){0}, "j");
    assert_int_equal(a.r.is, CHAT_FATAL);
    ask_with(&a, m.url, (chat_params){.model = "other"}, "k");
    assert_int_equal(a.r.is, CHAT_FATAL);
    assert_non_null(strstr(a.r.why, "does not exist"));
    ask_with(&a, m.url, (chat_params){.max_tokens = 49}, "k");
    assert_int_equal(a.r.is, CHAT_TOO_LONG);
    assert_true(a.r.context_left > 0 && a.r.context_left < 49);
    ask_with(&a, m.url, (chat_params){.max_tokens = a.r.context_left}, "k");
    assert_int_equal(a.r.is, CHAT_OK);
    assert_int_equal(a.r.finish, FINISH_LENGTH);
    mock_stop(&m);
    forget(&a);
}

/* Messages of real servers. */
void test_class__finds_what_would_have_fitted(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        int64_t left;
    } cases[] = {
        {"{\"object\":\"error\",\"message\":\"This model's maximum context length is 4096 tokens. "
         "However, you requested 5000 tokens (1000 in the messages, 4000 in the completion).\","
         "\"code\":400}",
         3096},
        {"{\"error\":{\"message\":\"'max_tokens' or 'max_completion_tokens' is too large: 4000. "
         "This "
         "model's maximum context length is 2048 tokens and your request has 1048 input tokens "
         "(4000 "
         "> 2048 - 1048).\",\"code\":400}}",
         1000},
        {"{\"error\":{\"code\":400,\"message\":\"the request exceeds the available context size. "
         "try "
         "increasing the context size\",\"type\":\"exceed_context_size_error\",\"n_prompt_tokens\":"
         "900,\"n_ctx\":1000}}",
         100},
        {"{\"error\":{\"message\":\"context_length_exceeded\"}}", -1},
        {"{\"error\":{\"message\":\"This model's maximum context length is 4096 tokens. However, "
         "you "
         "requested 9000 tokens (8000 in the messages, 1000 in the completion).\"}}",
         -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        chat_said s = {0};
        chat_reply r = {0};
        const http_result h = {
            .end = HTTP_DONE, .status = 400, .body = cases[i].body, .n = strlen(cases[i].body)};
        said_init(&s);
        said_parse(&s, h.body, h.n);
        chat_reply_make(&r, &h, &s, false);
        assert_int_equal(r.is, CHAT_TOO_LONG);
        assert_int_equal(r.context_left, cases[i].left);
        said_free(&s);
    }
}

void test_chat__is_cancelled(void **state)
{
    (void)state;
    http_loop *l;
    answer a = {0};
    chat_call *c;
    mock m;
    const chat_request q = {
        .url = m.url, .body = "{}", .n = 2, .stream = true, .end = keep, .ctx = &a};

    mock_start(&m, "--fault", "hang", NULL);
    assert_ok(http_open(&l));
    assert_ok(chat_start(&c, l, &q));
    assert_ok(http_turn(l, .05));
    chat_cancel(c);
    assert_int_equal(http_in_flight(l), 0);
    assert_ok(http_turn(l, .01));
    assert_int_equal(a.ends, 0);
    http_close(l);
    mock_stop(&m);
}
