/*
 * reason.c - what requests cost us: bench/reason URL MODE SECONDS IN_FLIGHT [STORE]
 *
 *     floor     sockets alone: the same bytes sent and received, nothing made of them
 *     bare      chats: body built, reply read; not stored
 *     whole     and each reply put into a store (STORE: path of a SQLite file)
 *     stream    streamed chats; the figure is processor time for each event
 *     packets   sockets alone: streams received, nothing made of them; an event is what a recv has
 *     paced     as whole; for latencies, that the server measures (mock_server --gaps)
 *
 * A line of JSON: requests, events, wall and processor seconds of this process (all threads),
 * bytes.
 */
#include "base/err.h"
#include "base/mem.h"
#include "reason/chat.h"
#include "reason/results.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PROMPT = 1850, MOST_IN_FLIGHT = 4096 };

static struct {
    const char *url;
    http_loop *loop;
    results *store;
    bool streams, ends;
    int64_t asked, done, failed, events, bytes;
    char prompt[PROMPT + 1];
    mill_text body;
    double until;
} B;

static void must(mill_err err)
{
    if (!err) return;
    fprintf(stderr, "bench/reason: %s\n", mill_error());
    exit(1);
}

static double processor_seconds(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* A problem of about two kilobytes, with quotes and line ends in it; each is another. */
static void next_prompt(int64_t i)
{
    static const char text[] = "Let \\(n\\) be an integer with \"n > 2\".\nShow that x^2 + y^2 = z "
                               "has a solution whenever z is a sum of two squares, and find it. ";

    if (!B.prompt[0])
        for (size_t k = 0; k < PROMPT; k++) B.prompt[k] = text[k % (sizeof text - 1)];
    B.prompt[snprintf(B.prompt, 30, "Problem %012lld:", (long long)i)] = ' ';
}

static void build(int64_t i)
{
    const chat_message m[] = {{"system", "Reason step by step.", 20}, {"user", B.prompt, PROMPT}};
    const chat_params p = {.model = "mock",
                           .max_tokens = 4096,
                           .temperature = .7,
                           .top_p = .95,
                           .seed = (uint64_t)i,
                           .stream = B.streams};

    next_prompt(i);
    must(chat_body(&B.body, &p, m, 2));
}

static void on_end(void *ctx, const chat_reply *r);

static void ask(int64_t i)
{
    build(i);
    const chat_request q = {.url = B.url,
                            .body = B.body.s,
                            .n = B.body.len,
                            .stream = B.streams,
                            .limits = {.connect = 5, .first_byte = 60, .idle = 60, .total = 600},
                            .end = on_end,
                            .ctx = (void *)(intptr_t)i}; /* NOLINT(performance-no-int-to-ptr) */
    B.asked++;
    must(chat_start(NULL, B.loop, &q));
}

static void on_end(void *ctx, const chat_reply *r)
{
    const int64_t i = (intptr_t)ctx;

    B.done++;
    B.failed += r->is != CHAT_OK;
    B.events += r->events;
    B.bytes += (int64_t)(r->n_content + r->n_reasoning);
    if (B.store) {
        result_row row = result_of(r);
        row.record = i;
        row.attempts = 1;
        must(results_put(B.store, &row));
    }
    if (!B.ends) ask(B.asked);
}

static void open_store(const char *path)
{
    json_t *config = json_pack("{s:i}", "bench", 1);
    const results_options o = {.where = path,
                               .name = "bench",
                               .hash = "00000000000000000000000000000000",
                               .config = config,
                               .records = INT64_C(1) << 32,
                               .range = 1 << 20};

    must(results_open(&B.store, &o));
    json_decref(config);
}

/* ---- sockets alone ---- */

typedef struct {
    int fd;
    size_t got, length;
} wire;

static int connected(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_port = htons((uint16_t)strtol(strrchr(B.url, ':') + 1, NULL, 10));
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a)) {
        perror(B.url);
        exit(1);
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void send_one(int fd, mill_text *whole)
{
    if (send(fd, whole->s, whole->len, MSG_NOSIGNAL) != (ssize_t)whole->len) exit(1);
    B.asked++;
}

/* One recv; true: the response is whole. */
static bool take_some(wire *x)
{
    static char buffer[65536];
    const ssize_t got = recv(x->fd, buffer, sizeof buffer - 1, 0);

    if (got <= 0) exit(1);
    B.bytes += got;
    if (B.streams) { /* ends with an empty chunk */
        B.events++;
        const bool ends = got >= 5 && !memcmp(buffer + got - 5, "0\r\n\r\n", 5);
        B.done += ends;
        return ends;
    }
    buffer[got] = 0;
    if (!x->got) {
        const char *length = strstr(buffer, "Content-Length: ");
        const char *body = strstr(buffer, "\r\n\r\n");
        x->length = (size_t)(body + 4 - buffer) + strtoull(length + 16, NULL, 10);
    }
    x->got += (size_t)got;
    if (x->got < x->length) return false;
    x->got = 0;
    B.done++;
    return true;
}

static void run_floor(int in_flight)
{
    static wire w[MOST_IN_FLIGHT];
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e[256];
    mill_text whole = {0};

    build(0);
    text_add(&whole, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n",
             B.body.len);
    text_add_bytes(&whole, B.body.s, B.body.len);
    for (int i = 0; i < in_flight; i++) {
        w[i].fd = connected();
        struct epoll_event in = {.events = EPOLLIN, .data.ptr = w + i};
        epoll_ctl(epoll, EPOLL_CTL_ADD, w[i].fd, &in);
        send_one(w[i].fd, &whole);
    }
    while (http_now() < B.until) {
        const int n = epoll_wait(epoll, e, 256, 1000);
        for (int i = 0; i < n; i++)
            if (take_some(e[i].data.ptr)) send_one(((wire *)e[i].data.ptr)->fd, &whole);
    }
    text_free(&whole);
}

static void run_chats(int in_flight)
{
    must(http_open(&B.loop));
    for (int i = 0; i < in_flight; i++) ask(B.asked);
    while (http_now() < B.until) must(http_turn(B.loop, .1));
    B.ends = true;
    while (http_in_flight(B.loop)) must(http_turn(B.loop, 1));
    if (B.store) must(results_sync(B.store));
    http_close(B.loop);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        printf("SKIP: it asks a server: make bench-reason starts one\n");
        return 0;
    }
    const int in_flight = argc > 4 ? (int)strtol(argv[4], NULL, 10) : 0;
    if (in_flight < 1 || in_flight > MOST_IN_FLIGHT) {
        fprintf(stderr,
                "reason URL floor|bare|whole|stream|packets|paced SECONDS IN_FLIGHT [STORE]\n");
        return 2;
    }
    const char *mode = argv[2];
    B.url = argv[1];
    B.streams = !strcmp(mode, "stream") || !strcmp(mode, "packets");
    if (argc > 5) open_store(argv[5]);
    const double began = http_now(), processor = processor_seconds();
    B.until = began + strtod(argv[3], NULL);
    if (!strcmp(mode, "floor") || !strcmp(mode, "packets"))
        run_floor(in_flight);
    else
        run_chats(in_flight);
    const double wall = http_now() - began, cpu = processor_seconds() - processor;
    printf("{\"mode\": \"%s\", \"requests\": %lld, \"failed\": %lld, \"events\": %lld, \"bytes\": "
           "%lld, \"seconds\": %.3f, \"processor\": %.3f, \"per_processor_second\": %.0f, "
           "\"event_us\": %.3f}\n",
           mode, (long long)B.done, (long long)B.failed, (long long)B.events, (long long)B.bytes,
           wall, cpu, (double)B.done / cpu, B.events ? 1e6 * cpu / (double)B.events : 0.0);
    results_close(B.store);
    text_free(&B.body);
    return B.failed != 0;
}
