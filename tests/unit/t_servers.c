/*
 * t_servers.c - servers by URL and started ones, against the mock server: how they become ready,
 * die, hang, come back, and are gone in the end.
 *
 * Whatever is started has the test's folder in its command line, by which /proc is asked for what
 * is left of it.
 */
#include "lib/test.h"

#include "base/file.h"
#include "base/mem.h"
#include "lib/mock.h"
#include "reason/servers.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOCK TEST_BUILD "/tests/mock/mock_server"
static const double LIMIT = 60; /* seconds until a test gives up: a machine under load is slow */

typedef struct {
    http_loop *loop;
    servers *s;
    servers_options o;
    int changes;
    double lost_at; /* when a connection was */
    char folder[600], command[1500];
} world;

static void on_change(void *ctx)
{
    ((world *)ctx)->changes++;
}

static world *new_world(void **state)
{
    world *w = mill_alloc(1, sizeof *w);
    const char *tmp = getenv("TEST_TMP");

    (void)state;
    assert_non_null(w);
    snprintf(w->folder, sizeof w->folder, "%s/servers-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(w->folder));
    assert_ok(http_open(&w->loop));
    w->o = (servers_options){.folder = w->folder,
                             .start_seconds = LIMIT,
                             .hang_seconds = LIMIT,
                             .restart_seconds = .02,
                             .cleanup_seconds = 5,
                             .most_restarts = 3,
                             .changed = on_change,
                             .ctx = w};
    return w;
}

static void free_world(world *w)
{
    servers_close(w->s);
    http_close(w->loop);
    assert_ok(file_remove_tree(w->folder));
    mill_free(w);
}

/* Turns the loop until `that` holds of server i, or for `seconds`. */
static bool turn_until(world *w, bool (*that)(const world *w, int i), int i, double seconds)
{
    const double end = http_now() + seconds;

    while (!that(w, i) && http_now() < end) assert_ok(http_turn(w->loop, .02));
    return that(w, i);
}

static server_view view(const world *w, int i)
{
    server_view v;

    servers_view(w->s, i, &v);
    return v;
}

static bool is_ready(const world *w, int i)
{
    return view(w, i).is_ready;
}

static bool is_down(const world *w, int i)
{
    return !view(w, i).is_ready;
}

static bool has_died(const world *w, int i)
{
    return view(w, i).deaths > 0;
}

static bool has_failed(const world *w, int i)
{
    (void)i;
    return servers_check(w->s) != MILL_OK;
}

static bool has_changed(const world *w, int i)
{
    (void)i;
    return w->changes > 0;
}

static bool is_alone_ready(const world *w, int i)
{
    return is_ready(w, i) && is_down(w, 1 - i);
}

#define assert_becomes(that, i) assert_true(turn_until(w, that, i, LIMIT))

static void open_urls(world *w, const char *const *url, int n)
{
    w->o.url = url;
    w->o.n_url = n;
    assert_ok(servers_open(&w->s, w->loop, &w->o));
}

/* Starts n servers; `arguments` come behind the mock's name. */
static void open_mocks(world *w, int n, const char *arguments)
{
    snprintf(w->command, sizeof w->command, "%s --log %s/chats %s", MOCK, w->folder, arguments);
    w->o.serve = w->command;
    w->o.n_serve = n;
    assert_ok(servers_open(&w->s, w->loop, &w->o));
}

static void open_shell(world *w, const char *script)
{
    snprintf(w->command, sizeof w->command, "sh -c '%s' %s {port}", script, w->folder);
    w->o.serve = w->command;
    w->o.n_serve = 1;
    assert_ok(servers_open(&w->s, w->loop, &w->o));
}

/* Processes with `part` in their command line; the last of them in *pid.  Zombies have none. */
static int count_processes(const char *part, pid_t *pid)
{
    DIR *proc = opendir("/proc");
    int n = 0;

    for (struct dirent *d; (d = readdir(proc));) {
        char path[300], line[4096];
        size_t len = 0;
        snprintf(path, sizeof path, "/proc/%s/cmdline", d->d_name);
        FILE *f = *d->d_name >= '1' && *d->d_name <= '9' ? fopen(path, "r") : NULL;
        if (!f) continue;
        len = fread(line, 1, sizeof line - 1, f);
        fclose(f);
        for (size_t i = 0; i < len; i++)
            if (!line[i]) line[i] = ' ';
        line[len] = 0;
        if (!strstr(line, part)) continue;
        n++;
        if (pid) *pid = (pid_t)atoi(d->d_name);
    }
    closedir(proc);
    return n;
}

static bool soon_no_process(const char *part)
{
    for (int i = 0; i < 200; i++) {
        if (!count_processes(part, NULL)) return true;
        usleep(20000);
    }
    return false;
}

static chat_reply reply_of(http_end end, int status, double seconds)
{
    return (chat_reply){.is = status == 200 ? CHAT_OK : CHAT_AGAIN,
                        .end = end,
                        .status = status,
                        .seconds = seconds,
                        .rates = {-1, -1, -1, -1, -1},
                        .why = "scripted"};
}

static int listen_at(int *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
    assert_int_equal(listen(fd, 16), 0);
    getsockname(fd, (struct sockaddr *)&a, &n);
    *port = ntohs(a.sin_port);
    return fd;
}

/* ---- by URL ---- */

void test_urls__become_ready_with_model_and_context(void **state)
{
    world *w = new_world(state);
    mock m;

    mock_start(&m, "--context", "5000", NULL);
    open_urls(w, (const char *const[]){m.url}, 1);
    assert_int_equal(servers_take(w->s, -1, 1), -1);
    assert_becomes(is_ready, 0);
    const server_view v = view(w, 0);
    assert_string_equal(v.model, "mock");
    assert_int_equal(v.context, 5000);
    assert_string_equal(v.url, m.url);
    assert_int_equal(w->changes, 1);
    assert_int_equal(servers_take(w->s, -1, 1), 0);
    assert_int_equal(view(w, 0).in_flight, 1);
    servers_give_unused(w->s, 0, 1);
    assert_int_equal(mock_count(&m, "chats"), 0); /* nothing that costs tokens */
    mock_stop(&m);
    free_world(w);
}

void test_urls__are_the_same_with_v1_and_slashes_and_may_be_sockets(void **state)
{
    world *w = new_world(state);
    char url[300], path[700];
    mock a, b;

    snprintf(path, sizeof path, "%s/mock.sock", w->folder);
    mock_start(&a, NULL);
    mock_start(&b, "--socket", path, NULL);
    snprintf(url, sizeof url, "%s/v1/", a.url);
    open_urls(w, (const char *const[]){url, b.url}, 2);
    assert_becomes(is_ready, 0);
    assert_becomes(is_ready, 1);
    assert_string_equal(view(w, 0).url, a.url);
    assert_string_equal(view(w, 1).socket, path);
    mock_stop(&a);
    mock_stop(&b);
    free_world(w);
}

void test_urls__that_load_are_waited_for_while_others_work(void **state)
{
    static const char *const times[] = {"1", "4", "16"}; /* where the other one is later, longer */
    world *w = new_world(state);
    mock a, b;

    for (int i = 0;; i++) {
        mock_start(&a, "--ready-after", times[i], NULL);
        mock_start(&b, NULL);
        open_urls(w, (const char *const[]){a.url, b.url}, 2);
        assert_becomes(is_ready, 1);
        if (is_alone_ready(w, 1) || i == 2) break;
        mock_stop(&a);
        mock_stop(&b);
        free_world(w);
        w = new_world(state);
    }
    assert_true(is_alone_ready(w, 1));
    for (int i = 0; i < 5; i++) assert_int_equal(servers_take(w->s, 0, 1), 1);
    assert_becomes(is_ready, 0);
    assert_int_equal(w->changes, 2);
    assert_int_equal(servers_take(w->s, -1, 1), 0); /* the least loaded */
    mock_stop(&a);
    mock_stop(&b);
    free_world(w);
}

void test_urls__where_nobody_answers_fail_once_there_is_no_hope(void **state)
{
    world *w = new_world(state);

    w->o.start_seconds = .3;
    open_urls(w, (const char *const[]){"http://127.0.0.1:1", "unix:/nonexistent/socket"}, 2);
    assert_ok(servers_check(w->s));
    assert_becomes(has_failed, 0);
    assert_fails(MILL_EIO, "no server is left", servers_check(w->s));
    assert_becomes(has_changed, 0); /* and the run is told */
    free_world(w);
}

void test_urls__without_the_model_are_refused_with_those_they_have(void **state)
{
    world *w = new_world(state);
    mock m;

    mock_start(&m, NULL);
    w->o.model = "gpt";
    open_urls(w, (const char *const[]){m.url}, 1);
    assert_becomes(has_failed, 0);
    assert_fails(MILL_EINPUT, "model \"gpt\" is not served there; it has: \"mock\"",
                 servers_check(w->s));
    mock_stop(&m);
    free_world(w);
}

void test_urls__that_are_no_such_servers_are_refused(void **state)
{
    world *w = new_world(state);
    mock m;

    mock_start(&m, "--fault", "path=/v1/models status:404", NULL);
    open_urls(w, (const char *const[]){m.url}, 1);
    assert_becomes(has_failed, 0);
    assert_fails(MILL_EINPUT, "no OpenAI-compatible server: /v1/models says status 404",
                 servers_check(w->s));
    mock_stop(&m);
    free_world(w);
}

void test_urls__that_speak_no_http_are_refused(void **state)
{
    world *w = new_world(state);
    char url[64];
    int port;
    const int fd = listen_at(&port);
    const pid_t pid = fork();

    if (!pid) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (int c; (c = accept(fd, NULL, NULL)) >= 0; close(c))
            (void)!write(c, "SSH-2.0-OpenSSH_9.2\r\n", 21);
        _exit(0);
    }
    close(fd);
    snprintf(url, sizeof url, "http://127.0.0.1:%d", port);
    open_urls(w, (const char *const[]){url}, 1);
    assert_becomes(has_failed, 0);
    assert_fails(MILL_EINPUT, "no OpenAI-compatible server", servers_check(w->s));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    free_world(w);
}

void test_urls__that_refuse_the_key_are_told(void **state)
{
    world *w = new_world(state);
    mock m;

    mock_start(&m, "--fault", "path=/v1/models status:401", NULL);
    open_urls(w, (const char *const[]){m.url}, 1);
    assert_becomes(has_failed, 0);
    assert_fails(MILL_EINPUT, "it refuses the key", servers_check(w->s));
    mock_stop(&m);
    free_world(w);
}

void test_urls__that_went_down_are_found_when_they_are_back(void **state)
{
    world *w = new_world(state);
    const chat_reply none = reply_of(HTTP_NO_CONNECTION, 0, .001);
    mock m, again;
    char url[256];

    mock_start(&m, "--port", "0", NULL);
    snprintf(url, sizeof url, "%s", m.url);
    open_urls(w, (const char *const[]){url}, 1);
    assert_becomes(is_ready, 0);
    mock_stop(&m);
    assert_int_equal(servers_take(w->s, -1, 1), 0);
    usleep(2000);
    servers_give(w->s, 0, 1, &none, 0);
    assert_true(is_down(w, 0));
    assert_int_equal(servers_take(w->s, -1, 1), -1);
    assert_false(turn_until(w, is_ready, 0, .3));
    assert_ok(servers_check(w->s));
    mock_start(&again, "--port", strrchr(url, ':') + 1, NULL);
    assert_becomes(is_ready, 0);
    assert_int_equal(servers_take(w->s, -1, 1), 0);
    mock_stop(&again);
    free_world(w);
}

void test_urls__that_are_none_are_refused_at_once(void **state)
{
    world *w = new_world(state);
    const char *url[1] = {"localhost:8000"};

    w->o.url = url;
    w->o.n_url = 1;
    assert_fails(MILL_EINPUT, "not http://", servers_open(&w->s, w->loop, &w->o));
    *url = "http://";
    assert_fails(MILL_EINPUT, "not http://", servers_open(&w->s, w->loop, &w->o));
    w->o.n_url = 0;
    assert_fails(MILL_EINPUT, "0 servers", servers_open(&w->s, w->loop, &w->o));
    w->o.serve = "vlm";
    assert_fails(MILL_EINPUT, "neither a preset (vllm,", servers_open(&w->s, w->loop, &w->o));
    w->o.serve = "vllm";
    assert_fails(MILL_EINPUT, "{model}", servers_open(&w->s, w->loop, &w->o));
    w->s = NULL;
    free_world(w);
}

/* ---- started here ---- */

/* The mocks have noted so many: they do it after the answer. */
static bool has_chats(const world *w, int want)
{
    char path[700], *log;
    size_t n;
    int chats = 0;

    snprintf(path, sizeof path, "%s/chats", w->folder);
    if (file_read_all(&log, &n, path)) return false;
    for (const char *c = log; (c = strchr(c, '\n')); c++) chats++;
    mill_free(log);
    return chats == want;
}

void test_started__servers_have_ports_logs_and_an_end(void **state)
{
    world *w = new_world(state);
    char path[700], *log;
    size_t n;

    open_mocks(w, 3, "--port {port}");
    for (int i = 0; i < 3; i++) assert_becomes(is_ready, i);
    assert_string_not_equal(view(w, 0).url, view(w, 1).url);
    assert_string_not_equal(view(w, 1).url, view(w, 2).url);
    assert_int_equal(count_processes(w->folder, NULL), 3);
    assert_becomes(has_chats, 3); /* each answered one token */
    servers_close(w->s);
    w->s = NULL;
    assert_int_equal(count_processes(w->folder, NULL), 0);
    assert_true(has_chats(w, 3));
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/logs/server-%d.log", w->folder, i);
        assert_ok(file_read_all(&log, &n, path));
        assert_non_null(strstr(log, "http://127.0.0.1:"));
        mill_free(log);
    }
    free_world(w);
}

void test_started__servers_may_listen_at_sockets_of_any_folder(void **state)
{
    world *w = new_world(state);
    char deep[600], path[700];

    open_mocks(w, 1, "--socket {socket}");
    assert_becomes(is_ready, 0);
    assert_non_null(view(w, 0).socket);
    snprintf(path, sizeof path, "%s", view(w, 0).socket);
    servers_close(w->s);
    w->s = NULL;
    assert_false(file_exists(path));

    const size_t n = strlen(w->folder);
    memcpy(deep, w->folder, n);
    snprintf(deep + n, sizeof deep - n, "/%0120d", 7);
    w->o.folder = deep;
    open_mocks(w, 1, "--socket {socket}");
    assert_becomes(is_ready, 0);
    snprintf(path, sizeof path, "%s/server-0.sock", deep);
    assert_true(strlen(path) > 107 && file_exists(path));
    servers_close(w->s);
    w->s = NULL;
    assert_false(file_exists(path));
    free_world(w);
}

void test_started__server_takes_the_next_port_where_one_is_anothers(void **state)
{
    world *w = new_world(state);
    char script[900];
    int port;
    const int fd = listen_at(&port);

    snprintf(script, sizeof script,
             "p=$1; [ -e $0/once ] || p=%d; touch $0/once; exec %s --log $0/chats --port $p", port,
             MOCK);
    w->o.most_restarts = 0;
    open_shell(w, script);
    assert_becomes(is_ready, 0);
    assert_int_equal(view(w, 0).deaths, 0);
    close(fd);
    free_world(w);
}

void test_started__server_that_crashes_again_and_again_is_given_up(void **state)
{
    world *w = new_world(state);
    char path[700], *starts;
    size_t n;

    w->o.most_restarts = 2;
    open_shell(w, "echo x >>$0/starts; echo boom >&2; exit 3");
    assert_becomes(has_failed, 0);
    assert_fails(MILL_EIO, "it ended with status 3; its last words: boom", servers_check(w->s));
    assert_fails(MILL_EIO, "server-0.log", servers_check(w->s));
    snprintf(path, sizeof path, "%s/starts", w->folder);
    assert_ok(file_read_all(&starts, &n, path));
    assert_string_equal(starts, "x\nx\nx\n");
    mill_free(starts);
    free_world(w);
}

void test_started__program_that_is_absent_is_not_tried_twice(void **state)
{
    world *w = new_world(state);

    w->o.serve = "/nonexistent/program {port}";
    w->o.n_serve = 1;
    assert_ok(servers_open(&w->s, w->loop, &w->o));
    assert_becomes(has_failed, 0);
    assert_fails(MILL_EIO, "cannot run /nonexistent/program: there is no such program",
                 servers_check(w->s));
    assert_int_equal(view(w, 0).deaths, 1);
    free_world(w);
}

void test_started__server_that_never_gets_ready_is_ended(void **state)
{
    world *w = new_world(state);

    w->o.start_seconds = .3;
    open_shell(w, "while :; do sleep 1; done");
    assert_becomes(has_failed, 0);
    assert_fails(MILL_EIO, "it was not ready after 0.3 s", servers_check(w->s));
    assert_true(soon_no_process(w->folder));
    free_world(w);
}

void test_started__server_that_is_killed_is_started_again(void **state)
{
    world *w = new_world(state);
    pid_t pid = 0, other = 0;

    open_mocks(w, 1, "--port {port}");
    assert_becomes(is_ready, 0);
    assert_int_equal(count_processes(w->folder, &pid), 1);
    const int before = w->changes;
    kill(pid, SIGKILL);
    assert_becomes(has_died, 0);
    assert_true(w->changes > before);
    assert_int_equal(servers_take(w->s, 0, 1), -1);
    assert_becomes(is_ready, 0);
    assert_int_equal(count_processes(w->folder, &other), 1);
    assert_int_not_equal(pid, other);
    assert_int_equal(view(w, 0).deaths, 1);
    free_world(w);
}

static bool is_fate_lives(const world *w, int i)
{
    return servers_fate(w->s, i, 1, w->lost_at) == FATE_LIVES;
}

/* The process lives on behind a socket that is closed, until it is let die. */
void test_started__server_that_refuses_is_doubted_until_it_is_dead_or_answers(void **state)
{
    world *w = new_world(state);
    const chat_reply reset = reply_of(HTTP_RESET, 0, .001);
    char part[700], let_die[700];
    pid_t pid = 0;

    open_shell(w, MOCK " --port $1 --log $0/chats; while [ ! -e $0/die ]; do sleep .02; done");
    assert_becomes(is_ready, 0);
    snprintf(part, sizeof part, "--log %s/chats", w->folder);
    assert_int_equal(count_processes(part, &pid), 1);
    assert_int_equal(servers_take(w->s, 0, 1), 0);
    kill(pid, SIGKILL);
    assert_true(soon_no_process(part));
    w->lost_at = http_now();
    servers_give(w->s, 0, 1, &reset, 0);
    assert_becomes(is_down, 0);
    assert_int_equal(servers_take(w->s, 0, 1), -1);
    assert_int_equal(servers_fate(w->s, 0, 0, w->lost_at), FATE_UNKNOWN);
    snprintf(let_die, sizeof let_die, "%s/die", w->folder);
    assert_ok(file_write_all(let_die, "", 0));
    assert_becomes(has_died, 0);
    assert_int_equal(servers_fate(w->s, 0, 0, w->lost_at), FATE_DIED);
    /* One that merely closed a connection is known to live as soon as it answers. */
    assert_becomes(is_ready, 0);
    assert_int_equal(servers_take(w->s, 0, 1), 0);
    w->lost_at = http_now();
    servers_give(w->s, 0, 1, &reset, 0);
    assert_int_equal(servers_fate(w->s, 0, 1, w->lost_at), FATE_UNKNOWN);
    assert_becomes(is_fate_lives, 0);
    assert_int_equal(view(w, 0).deaths, 1);
    free_world(w);
}

void test_started__server_that_is_stopped_is_replaced(void **state)
{
    world *w = new_world(state);
    pid_t pid = 0, other = 0;

    w->o.hang_seconds = .6;
    w->o.cleanup_seconds = .1;
    open_mocks(w, 1, "--port {port}");
    assert_becomes(is_ready, 0);
    assert_int_equal(count_processes(w->folder, &pid), 1);
    assert_int_equal(servers_take(w->s, 0, 1), 0); /* its health is to answer all the same */
    kill(pid, SIGSTOP);
    assert_becomes(has_died, 0);
    servers_give_unused(w->s, 0, 1);
    assert_becomes(is_ready, 0);
    assert_int_equal(count_processes(w->folder, &other), 1);
    assert_int_not_equal(pid, other);
    free_world(w);
}

void test_started__server_is_not_taken_for_hung_while_it_is_merely_silent(void **state)
{
    world *w = new_world(state);
    pid_t pid = 0;

    w->o.hang_seconds = .3;
    open_mocks(w, 1,
               "--port {port} --fault 'path=/health status:404' "
               "--fault 'path=/metrics status:404'");
    assert_becomes(is_ready, 0);
    assert_false(turn_until(w, has_died, 0, 1)); /* it has been found out to have no metrics */
    assert_int_equal(count_processes(w->folder, &pid), 1);
    assert_int_equal(servers_take(w->s, 0, 1), 0); /* it computes, and answers nothing else */
    kill(pid, SIGSTOP);
    assert_false(turn_until(w, has_died, 0, 1));
    kill(pid, SIGCONT);
    servers_give_unused(w->s, 0, 1);
    free_world(w);
}

void test_started__server_whose_requests_all_time_out_is_replaced(void **state)
{
    world *w = new_world(state);
    const chat_reply idle = reply_of(HTTP_IDLE, 200, .05);

    w->o.hang_seconds = .3;
    open_mocks(w, 1, "--port {port}");
    assert_becomes(is_ready, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(servers_take(w->s, 0, 1), 0);
        usleep(60000);
        servers_give(w->s, 0, 1, &idle, 0);
    }
    assert_becomes(has_died, 0); /* though its health is good */
    assert_becomes(is_ready, 0);
    free_world(w);
}

void test_started__servers_die_with_us_and_so_do_their_children(void **state)
{
    world *w = new_world(state);
    char ready[700];
    const pid_t us = fork();

    snprintf(ready, sizeof ready, "%s/ready", w->folder);
    if (!us) {
        char script[900];
        snprintf(script, sizeof script,
                 "%s --port 0 --log $0/second & %s --log $0/chats --port $1; true", MOCK, MOCK);
        open_shell(w, script);
        turn_until(w, is_ready, 0, LIMIT);
        (void)file_write_all(ready, "", 0);
        for (;;) pause();
    }
    for (int i = 0; i < 1000 && !file_exists(ready); i++) usleep(20000);
    assert_true(count_processes(w->folder, NULL) >= 3); /* the shell, and two mocks */
    kill(us, SIGKILL);
    waitpid(us, NULL, 0);
    assert_true(soon_no_process(w->folder));
    free_world(w);
}

void test_started__server_that_ignores_sigterm_is_killed_in_time(void **state)
{
    world *w = new_world(state);
    char script[900];

    snprintf(script, sizeof script, "trap \"\" TERM; %s --log $0/chats --port $1; sleep 60", MOCK);
    w->o.cleanup_seconds = .3;
    open_shell(w, script);
    assert_becomes(is_ready, 0);
    const double begin = http_now();
    servers_close(w->s);
    w->s = NULL;
    assert_true(http_now() - begin >= .3);
    assert_true(http_now() - begin < LIMIT);
    assert_true(soon_no_process(w->folder));
    free_world(w);
}
