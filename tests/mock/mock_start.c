/*
 * mock_start.c - options, sockets and the start of the mock server.
 */
#include "mock/mock_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

mock_state S = {.host = "127.0.0.1", .latency = "0", .reply = {.right = .7, .name = "mock"}};

_Noreturn void mock_die(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fputs("mock_server: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(1);
}

double mock_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int listen_tcp(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)S.port)};
    socklen_t n = sizeof a;
    const int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (inet_pton(AF_INET, S.host, &a.sin_addr) != 1) mock_die("%s is no address", S.host);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 4096))
        mock_die("port %d: %s", S.port, strerror(errno));
    getsockname(fd, (struct sockaddr *)&a, &n);
    printf("http://%s:%d\n", S.host, ntohs(a.sin_port));
    return fd;
}

static int listen_unix(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (strlen(S.socket) >= sizeof a.sun_path) mock_die("%s is too long", S.socket);
    memcpy(a.sun_path, S.socket, strlen(S.socket) + 1);
    unlink(S.socket);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 4096))
        mock_die("%s: %s", S.socket, strerror(errno));
    printf("unix:%s\n", S.socket);
    return fd;
}

static const char usage[] =
    "mock_server [--port N] [--host A] [--socket PATH] [--model NAME] [--key KEY] [--log FILE]\n"
    "  [--faults FILE] [--fault 'LINE']... [--latency S|uniform:A:B|exponential:MEAN]\n"
    "  [--token-gap S] [--reply-bytes N] [--reasoning] [--right SHARE] [--good LEAST]\n"
    "  [--window N] [--refuse] [--context TOKENS] [--ready-after S] [--gaps]\n"
    "--port 0: a free one.  --window: so many at a time, others wait (--refuse: get 503).\n"
    "--gaps: measure how long after a response the next request comes (GET /mock).\n"
    "--right: share of sums A + B in messages that it gets right.  --good: least score.\n";

typedef enum { TEXT, REAL, COUNT, PORT, FLAG, LINE, SCRIPT } option_kind;

static const struct {
    const char *name;
    option_kind kind;
    void *to;
} options[] = {
    {"--port", PORT, &S.port},
    {"--host", TEXT, &S.host},
    {"--socket", TEXT, &S.socket},
    {"--model", TEXT, &S.reply.name},
    {"--key", TEXT, &S.key},
    {"--log", TEXT, &S.log},
    {"--faults", SCRIPT, &S.faults},
    {"--fault", LINE, &S.faults},
    {"--latency", TEXT, &S.latency},
    {"--token-gap", REAL, &S.token_gap},
    {"--reply-bytes", COUNT, &S.reply.bytes},
    {"--reasoning", FLAG, &S.reply.reasoning},
    {"--right", REAL, &S.reply.right},
    {"--good", REAL, &S.reply.good},
    {"--window", COUNT, &S.window},
    {"--refuse", FLAG, &S.refuses},
    {"--context", COUNT, &S.context},
    {"--ready-after", REAL, &S.ready_after},
    {"--gaps", FLAG, &S.gaps},
};

static void set(option_kind kind, void *to, const char *value)
{
    switch (kind) {
    case TEXT:
        *(const char **)to = value;
        break;
    case REAL:
        *(double *)to = atof(value);
        break;
    case COUNT:
        *(int64_t *)to = atoll(value);
        break;
    case PORT:
        *(int *)to = atoi(value);
        break;
    case FLAG:
        *(bool *)to = true;
        break;
    case LINE:
        faults_add(to, value);
        break;
    case SCRIPT:
        faults_read(to, value);
        break;
    }
}

static void take_options(char **argv)
{
    while (*++argv) {
        size_t i = 0;
        while (i < sizeof options / sizeof *options && strcmp(options[i].name, *argv) != 0) i++;
        if (i == sizeof options / sizeof *options || (options[i].kind != FLAG && !argv[1])) {
            fputs(usage, stderr);
            exit(2);
        }
        set(options[i].kind, options[i].to, options[i].kind == FLAG ? NULL : *++argv);
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    take_options(argv);
    S.has_script = S.faults.n > 0;
    S.queue_end = &S.queue;
    S.start = mock_now();
    signal(SIGPIPE, SIG_IGN);
    if (S.log && !(S.log_file = fopen(S.log, "a"))) mock_die("%s: %s", S.log, strerror(errno));
    S.epoll = epoll_create1(EPOLL_CLOEXEC);
    S.listener = S.socket ? listen_unix() : listen_tcp();
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(S.epoll, EPOLL_CTL_ADD, S.listener, &e);
    fflush(stdout);
    mock_serve();
}
