/* mock.c - see mock.h. */
#include "lib/mock.h"

#include "lib/test.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_ARGS = 40 };

void mock_start(mock *m, ...)
{
    const char *args[MOST_ARGS] = {TEST_BUILD "/tests/mock/mock_server"};
    int n = 1, out[2];
    va_list ap;

    va_start(ap, m);
    while (n < MOST_ARGS - 1 && (args[n] = va_arg(ap, const char *))) n++;
    va_end(ap);
    assert_int_equal(pipe(out), 0);
    if (!(m->pid = fork())) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(out[1], STDOUT_FILENO);
        close(out[0]);
        close(out[1]);
        execv(args[0], (char *const *)args);
        fprintf(stderr, "%s cannot be run\n", args[0]);
        _exit(127);
    }
    close(out[1]);
    FILE *f = fdopen(out[0], "r");
    if (!f || !fgets(m->url, sizeof m->url, f)) fail_msg("%s did not start", args[0]);
    m->url[strcspn(m->url, "\n")] = 0;
    fclose(f);
}

int mock_wait(mock *m)
{
    int status = 0;

    if (m->pid > 0) waitpid(m->pid, &status, 0);
    m->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void mock_stop(mock *m)
{
    if (m->pid > 0) kill(m->pid, SIGTERM);
    mock_wait(m);
}

static int connected(const char *url)
{
    int fd;

    if (!strncmp(url, "unix:", 5)) {
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        snprintf(a.sun_path, sizeof a.sun_path, "%s", url + 5);
        fd = socket(AF_UNIX, SOCK_STREAM, 0);
        return connect(fd, (struct sockaddr *)&a, sizeof a) ? -1 : fd;
    }
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    a.sin_port = htons((uint16_t)atoi(strrchr(url, ':') + 1));
    fd = socket(AF_INET, SOCK_STREAM, 0);
    return connect(fd, (struct sockaddr *)&a, sizeof a) ? -1 : fd;
}

int64_t mock_count(const mock *m, const char *name)
{
    static const char ask[] = "GET /mock HTTP/1.1\r\nConnection: close\r\n\r\n";
    char text[4096], key[64];
    const int fd = connected(m->url);
    size_t n = 0;
    ssize_t got;

    if (fd < 0 || write(fd, ask, sizeof ask - 1) < 0) fail_msg("%s: no connection", m->url);
    while (n < sizeof text - 1 && (got = read(fd, text + n, sizeof text - 1 - n)) > 0)
        n += (size_t)got;
    close(fd);
    text[n] = 0;
    snprintf(key, sizeof key, "\"%s\":", name);
    const char *at = strstr(text, key);
    return at ? strtoll(at + strlen(key), NULL, 10) : -1;
}
