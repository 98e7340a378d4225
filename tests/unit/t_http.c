/* t_http.c - requests over sockets: against the mock server, which breaks by script. */
#include "lib/mock.h"
#include "lib/test.h"

#include "base/mem.h"
#include "reason/http.h"

#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static const char body[] = "{\"model\":\"mock\",\"messages\":[{\"role\":\"user\",\"content\":"
                           "\"1 + 2\"}],\"max_tokens\":1000,\"seed\":1}";

typedef struct {
    int ends;
    http_result r;
    char text[70000];
    size_t pieces, bytes;
} outcome;

static void note(void *ctx, const http_result *r)
{
    outcome *o = ctx;

    o->ends++;
    o->r = *r;
    assert_int_equal(r->body[r->n], 0);
    snprintf(o->text, sizeof o->text, "%s", r->body);
}

static void finish_all(http_loop *l)
{
    const double until = http_now() + 100;

    while (http_in_flight(l)) {
        assert_ok(http_turn(l, 1));
        if (http_now() > until) fail_msg("it does not end");
    }
}

/* One POST (or GET of /health) to a server with these faults. */
static void ask(outcome *o, const char *url, const char *path, http_limits limits)
{
    http_loop *l;
    char whole[400];
    const bool is_unix = !strncmp(url, "unix:", 5);

    *o = (outcome){0};
    snprintf(whole, sizeof whole, "%s%s", is_unix ? "http://localhost" : url, path);
    const bool posts = !strcmp(path, "/v1/chat/completions");
    const http_request q = {.url = whole,
                            .socket = is_unix ? url + 5 : NULL,
                            .body = posts ? body : NULL,
                            .n = posts ? sizeof body - 1 : 0,
                            .limits = limits,
                            .end = note,
                            .ctx = o};
    assert_ok(http_open(&l));
    assert_ok(http_start(NULL, l, &q));
    finish_all(l);
    http_close(l);
    assert_int_equal(o->ends, 1);
}

static void ask_broken(outcome *o, const char *fault, http_limits limits)
{
    mock m;

    mock_start(&m, "--fault", fault, NULL);
    ask(o, m.url, "/v1/chat/completions", limits);
    mock_stop(&m);
}

static const char chat[] = "/v1/chat/completions";

void test_http__gets_and_posts(void **state)
{
    (void)state;
    outcome o;
    mock m;

    mock_start(&m, "--right", "1", NULL);
    ask(&o, m.url, "/health", (http_limits){0});
    assert_int_equal(o.r.end, HTTP_DONE);
    assert_int_equal(o.r.status, 200);
    assert_string_equal(o.text, "{\"status\":\"ok\"}");
    ask(&o, m.url, chat, (http_limits){0});
    assert_int_equal(o.r.status, 200);
    assert_non_null(strstr(o.text, "boxed{3}"));
    assert_true(o.r.first_byte >= 0 && o.r.first_byte <= o.r.seconds && o.r.seconds < 10);
    assert_true(o.r.rates.retry_after < 0);
    assert_int_equal(mock_count(&m, "expects"), 0);
    mock_stop(&m);
}

void test_http__speaks_over_a_unix_socket(void **state)
{
    (void)state;
    outcome o;
    mock m;
    char path[64];

    snprintf(path, sizeof path, "/tmp/t_http-%d.sock", (int)getpid());
    mock_start(&m, "--socket", path, NULL);
    ask(&o, m.url, chat, (http_limits){0});
    assert_int_equal(o.r.status, 200);
    mock_stop(&m);
    ask(&o, m.url, chat, (http_limits){0});
    assert_int_equal(o.r.end, HTTP_NO_CONNECTION);
    unlink(path);
}

void test_http__sends_the_key(void **state)
{
    (void)state;
    mock m;
    http_loop *l;
    outcome o = {0};
    char url[300];

    mock_start(&m, "--key", "sesame", NULL);
    snprintf(url, sizeof url, "%s%s", m.url, chat);
    http_request q = {
        .url = url, .body = body, .n = sizeof body - 1, .end = note, .ctx = &o, .key = "sesame"};
    assert_ok(http_open(&l));
    assert_ok(http_start(NULL, l, &q));
    finish_all(l);
    assert_int_equal(o.r.status, 200);
    q.key = "seaside";
    assert_ok(http_start(NULL, l, &q));
    finish_all(l);
    assert_int_equal(o.r.status, 401);
    assert_null(strstr(o.text, "seaside"));
    q.key = NULL;
    assert_ok(http_start(NULL, l, &q));
    finish_all(l);
    assert_int_equal(o.r.status, 401);
    http_close(l);
    mock_stop(&m);
}

/* A proxy that is set for everything is not for this machine's own servers. */
void test_http__asks_no_proxy_for_the_loopback(void **state)
{
    (void)state;
    outcome o;
    mock m;

    setenv("http_proxy", "http://127.0.0.1:9", 1);
    mock_start(&m, NULL);
    ask(&o, m.url, "/health", (http_limits){0});
    unsetenv("http_proxy");
    assert_int_equal(o.r.status, 200);
    mock_stop(&m);
}

void test_http__keeps_connections(void **state)
{
    (void)state;
    mock m;
    http_loop *l;
    outcome o = {0};
    char url[300];

    mock_start(&m, NULL);
    snprintf(url, sizeof url, "%s%s", m.url, chat);
    const http_request q = {.url = url, .body = body, .n = sizeof body - 1, .end = note, .ctx = &o};
    assert_ok(http_open(&l));
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 40; i++) assert_ok(http_start(NULL, l, &q));
        assert_int_equal(http_in_flight(l), 40);
        finish_all(l);
    }
    assert_int_equal(o.ends, 200);
    assert_int_equal(mock_count(&m, "chats"), 200);
    assert_in_range(mock_count(&m, "accepted"), 1, 42); /* two are the counts' own */
    http_close(l);
    mock_stop(&m);
}

/* The kept connections of a server that went away and came back are no obstacle. */
void test_http__outlives_its_server(void **state)
{
    (void)state;
    mock m;
    http_loop *l;
    outcome o = {0};
    char url[300], port[16];

    mock_start(&m, NULL);
    snprintf(url, sizeof url, "%s%s", m.url, chat);
    snprintf(port, sizeof port, "%s", strrchr(m.url, ':') + 1);
    const http_request q = {.url = url, .body = body, .n = sizeof body - 1, .end = note, .ctx = &o};
    assert_ok(http_open(&l));
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 10; i++) assert_ok(http_start(NULL, l, &q));
        finish_all(l);
        assert_int_equal(o.r.status, 200);
        mock_stop(&m);
        if (round == 1) assert_ok(http_turn(l, .05)); /* it sees that they are closed */
        mock_start(&m, "--port", port, NULL);
    }
    http_close(l);
    mock_stop(&m);
}

void test_http__names_each_end(void **state)
{
    (void)state;
    static const struct {
        const char *fault;
        http_end end;
        int status;
    } cases[] = {
        {"reset-before", HTTP_RESET, 0},   {"reset-body", HTTP_RESET, 200},
        {"close-body", HTTP_RESET, 200},   {"long-length", HTTP_RESET, 200},
        {"not-http", HTTP_BROKEN, 0},      {"status:500", HTTP_DONE, 500},
        {"short-length", HTTP_DONE, 200},  {"crash", HTTP_RESET, 200},
        {"huge:10000000", HTTP_DONE, 200}, {"odd-chunks:1", HTTP_DONE, 200},
    };
    outcome o;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ask_broken(&o, cases[i].fault, (http_limits){0});
        if (o.r.end != cases[i].end || o.r.status != cases[i].status)
            fail_msg("%s: %s (%s), status %d", cases[i].fault, http_end_name(o.r.end), o.r.why,
                     o.r.status);
        assert_true((o.r.end == HTTP_DONE) == !*o.r.why);
    }
}

void test_http__says_when_nobody_listens(void **state)
{
    (void)state;
    outcome o;
    const int fd = socket(AF_INET, SOCK_STREAM, 0); /* bound, so nobody else gets the port */
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    char url[64];

    assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%d", ntohs(a.sin_port));
    ask(&o, url, chat, (http_limits){0});
    assert_int_equal(o.r.end, HTTP_NO_CONNECTION);
    assert_non_null(strstr(o.r.why, "refused"));
    ask(&o, "gopher://127.0.0.1", chat, (http_limits){0});
    assert_int_equal(o.r.end, HTTP_BROKEN);
    close(fd);
}

/* Sent over a kept connection, it is lost with it; what comes later was never sent. */
void test_http__tells_a_lost_request_from_one_that_was_refused(void **state)
{
    (void)state;
    mock m;
    http_loop *l;
    outcome o = {0};
    char url[300];

    mock_start(&m, "--fault", "nth=2 hang", NULL);
    snprintf(url, sizeof url, "%s%s", m.url, chat);
    const http_request q = {.url = url, .body = body, .n = sizeof body - 1, .end = note, .ctx = &o};
    assert_ok(http_open(&l));
    assert_ok(http_start(NULL, l, &q));
    finish_all(l);
    assert_int_equal(o.r.end, HTTP_DONE);
    assert_ok(http_start(NULL, l, &q));
    for (int i = 0; i < 1000 && mock_count(&m, "running") < 1; i++) assert_ok(http_turn(l, .05));
    mock_stop(&m);
    finish_all(l);
    assert_int_equal(o.r.end, HTTP_RESET);
    assert_ok(http_start(NULL, l, &q));
    finish_all(l);
    assert_int_equal(o.r.end, HTTP_NO_CONNECTION);
    http_close(l);
}

/* A listener that never accepts, and whose queue is full. */
void test_http__limits_connecting(void **state)
{
    (void)state;
    outcome o;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    char url[64];
    int filler[8];

    assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    assert_int_equal(listen(fd, 0), 0);
    for (int i = 0; i < 8; i++) {
        filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(filler[i], (struct sockaddr *)&a, n);
    }
    usleep(300000); /* until the queue is full: with a busy processor that takes a moment */
    snprintf(url, sizeof url, "http://127.0.0.1:%d", ntohs(a.sin_port));
    ask(&o, url, chat, (http_limits){.connect = .2, .total = 10});
    assert_int_equal(o.r.end, HTTP_NO_CONNECTION);
    assert_true(o.r.seconds >= .2 && o.r.seconds < 9);
    for (int i = 0; i < 8; i++) close(filler[i]);
    close(fd);
}

void test_http__watches_the_time(void **state)
{
    (void)state;
    static const struct {
        const char *fault;
        http_limits limits;
        http_end end;
        double least;
    } cases[] = {
        {"hang", {.first_byte = .15, .idle = 9, .total = 9}, HTTP_NO_FIRST_BYTE, .15},
        {"hang-body", {.first_byte = 9, .idle = .15, .total = 9}, HTTP_IDLE, .15},
        {"hang-body", {.first_byte = 9, .idle = 9, .total = .2}, HTTP_TOO_LONG, .2},
        {"drip:400", {.first_byte = 9, .idle = 1, .total = .4}, HTTP_TOO_LONG, .4},
        {"latency=.1 pings", {.first_byte = 5, .idle = .05, .total = 9}, HTTP_DONE, .1},
    };
    outcome o;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int k = 0; k < 10; k++) { /* the server may be kept from sending its pings in time */
            ask_broken(&o, cases[i].fault, cases[i].limits);
            if (o.r.end == cases[i].end) break;
        }
        if (o.r.end != cases[i].end)
            fail_msg("%s: %s (%s)", cases[i].fault, http_end_name(o.r.end), o.r.why);
        if (o.r.seconds < cases[i].least || o.r.seconds > cases[i].least + 8)
            fail_msg("%s: %g s", cases[i].fault, o.r.seconds);
    }
}

void test_http__reads_what_headers_say_of_limits(void **state)
{
    (void)state;
    outcome o;

    ask_broken(&o, "status:429 retry-after=1.5 rates=59,1200,90", (http_limits){0});
    assert_int_equal(o.r.status, 429);
    assert_true(o.r.rates.retry_after == 1.5);
    assert_true(o.r.rates.requests_left == 59 && o.r.rates.tokens_left == 1200);
    assert_true(fabs(o.r.rates.requests_reset - 90) < 1e-9); /* "90000ms" */
    assert_true(o.r.rates.tokens_reset == 90);
}

static bool take_piece(void *ctx, const char *p, size_t n)
{
    outcome *o = ctx;

    (void)p;
    o->pieces++;
    o->bytes += n;
    return o->pieces < 3;
}

/* Pieces of a stream, and a callback that has had enough. */
void test_http__is_cancelled_by_a_piece(void **state)
{
    (void)state;
    static const char streamed[] =
        "{\"model\":\"mock\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"stream\":true}";
    outcome o = {0};
    http_loop *l;
    mock m;
    char url[300];

    mock_start(&m, "--token-gap", "0.005", "--reply-bytes", "1000", NULL);
    snprintf(url, sizeof url, "%s%s", m.url, chat);
    const http_request q = {.url = url,
                            .body = streamed,
                            .n = sizeof streamed - 1,
                            .piece = take_piece,
                            .end = note,
                            .ctx = &o};
    assert_ok(http_open(&l));
    assert_ok(http_start(NULL, l, &q));
    finish_all(l);
    assert_int_equal(o.ends, 0);
    assert_int_equal(o.pieces, 3);
    http_close(l);
    mock_stop(&m);
}

typedef struct {
    http_loop *l;
    http_request q;
    http_call *victim;
    int left, ends;
} chain;

static void next_one(void *ctx, const http_result *r)
{
    chain *c = ctx;

    (void)r;
    c->ends++;
    if (c->victim) http_cancel(c->victim);
    c->victim = NULL;
    if (c->left-- > 0) assert_ok(http_start(NULL, c->l, &c->q));
}

static void must_not_end(void *ctx, const http_result *r)
{
    (void)ctx, (void)r;
    fail_msg("a cancelled request came to an end");
}

void test_http__starts_and_cancels_from_callbacks(void **state)
{
    (void)state;
    chain c = {.left = 20};
    mock m;
    char url[300];

    mock_start(&m, "--fault", "nth=1 hang", NULL);
    snprintf(url, sizeof url, "%s%s", m.url, chat);
    c.q = (http_request){
        .url = url, .body = body, .n = sizeof body - 1, .end = must_not_end, .ctx = &c};
    assert_ok(http_open(&c.l));
    assert_ok(http_start(&c.victim, c.l, &c.q));
    for (int i = 0; i < 1000 && mock_count(&m, "running") < 1; i++) assert_ok(http_turn(c.l, .05));
    c.q.end = next_one;
    assert_ok(http_start(NULL, c.l, &c.q));
    finish_all(c.l);
    assert_int_equal(c.ends, 21);
    /* What is under way when the loop closes does not end either. */
    c.q.end = must_not_end;
    for (int i = 0; i < 5; i++) assert_ok(http_start(NULL, c.l, &c.q));
    http_close(c.l);
    mock_stop(&m);
}

static bool start_and_cancel(void *ctx, const char *p, size_t n)
{
    chain *c = ctx;

    (void)p, (void)n;
    assert_ok(http_start(&c->victim, c->l, &c->q));
    http_cancel(c->victim);
    return true;
}

/* Within a callback of libcurl's; one that has not gone out yet is never sent. */
void test_http__sends_nothing_that_was_cancelled_before(void **state)
{
    (void)state;
    chain c = {0};
    mock m;
    char url[300];

    mock_start(&m, NULL);
    snprintf(url, sizeof url, "%s%s", m.url, chat);
    c.q = (http_request){.url = url, .body = body, .n = sizeof body - 1, .end = must_not_end};
    const http_request q = {.url = url,
                            .body = body,
                            .n = sizeof body - 1,
                            .piece = start_and_cancel,
                            .end = next_one,
                            .ctx = &c};
    assert_ok(http_open(&c.l));
    assert_ok(http_start(NULL, c.l, &q));
    finish_all(c.l);
    assert_int_equal(c.ends, 1);
    assert_int_equal(mock_count(&m, "chats"), 1);
    http_close(c.l);
    mock_stop(&m);
}

typedef struct {
    http_timer *t;
    double at;
    int runs;
} alarm_clock;

static void ring(void *ctx)
{
    alarm_clock *a = ctx;

    a->at = http_now();
    a->runs++;
    http_forget(a->t); /* inside its own callback: no fault */
}

void test_timers__run_once_in_order_and_can_be_forgotten(void **state)
{
    (void)state;
    http_loop *l;
    alarm_clock a[60] = {0};
    const double start = http_now();

    assert_ok(http_open(&l));
    for (int i = 0; i < 60; i++) /* 37 is coprime: all delays, mixed */
        assert_ok(http_after(&a[i].t, l, .001 * (i * 37 % 60), ring, a + i));
    for (int i = 0; i < 60; i += 3) http_forget(a[i].t);
    while (http_now() < start + .15) assert_ok(http_turn(l, .01));
    assert_ok(http_turn(l, 0)); /* for what came due while this process was stopped */
    for (int i = 0; i < 60; i++) {
        assert_int_equal(a[i].runs, i % 3 != 0);
        if (i % 3) assert_true(a[i].at - start >= .001 * (i * 37 % 60));
    }
    http_timer *left;
    assert_ok(http_after(&left, l, 100, ring, a));
    assert_ok(http_turn(l, 0));
    http_close(l); /* frees it */
}

static void drain(void *ctx)
{
    int *fd = ctx;
    char c;

    assert_int_equal(read(fd[0], &c, 1), 1);
    fd[2]++;
}

void test_http__watches_descriptors(void **state)
{
    (void)state;
    http_loop *l;
    int fd[3] = {0};

    assert_int_equal(pipe(fd), 0);
    assert_ok(http_open(&l));
    assert_ok(http_watch(l, fd[0], drain, fd));
    assert_ok(http_turn(l, 0));
    assert_int_equal(fd[2], 0);
    assert_int_equal(write(fd[1], "ab", 2), 2);
    for (int i = 0; i < 4; i++) assert_ok(http_turn(l, .01));
    assert_int_equal(fd[2], 2);
    http_unwatch(l, fd[0]);
    assert_int_equal(write(fd[1], "c", 1), 1);
    assert_ok(http_turn(l, .01));
    assert_int_equal(fd[2], 2);
    http_close(l);
    close(fd[0]);
    close(fd[1]);
}

/* Every allocation on the way fails once; nothing is lost but that request. */
void test_http__survives_want_of_memory(void **state)
{
    (void)state;
    mock m;
    char url[300];
    mill_mem_stats before, after;
    int failures = 0;

    mock_start(&m, NULL);
    snprintf(url, sizeof url, "%s%s", m.url, chat);
    mill_mem_get_stats(&before);
    for (int64_t at = 1;; at++) {
        http_loop *l = NULL;
        outcome o = {0};
        const http_request q = {
            .url = url, .body = body, .n = sizeof body - 1, .end = note, .ctx = &o};
        mill_mem_fail_at(at);
        mill_err err = http_open(&l);
        if (!err) err = http_start(NULL, l, &q);
        while (!err && !o.ends) err = http_turn(l, 5);
        mill_mem_stats now;
        mill_mem_get_stats(&now);
        const bool is_past = now.calls - before.calls < at;
        mill_mem_fail_at(0);
        failures += err || o.r.end != HTTP_DONE;
        http_close(l);
        before.calls = now.calls;
        if (is_past) {
            assert_int_equal(err, MILL_OK);
            assert_int_equal(o.r.status, 200);
            break;
        }
    }
    assert_true(failures >= 8);
    mill_mem_get_stats(&after);
    assert_int_equal(after.live, before.live);
    mock_stop(&m);
}
