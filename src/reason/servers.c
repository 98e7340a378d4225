/*
 * servers.c - the servers of a run: opened, asked for room, given back what came of it, closed.
 */
#include "reason/server_inner.h"

#include "base/log.h"
#include "rank/nvml.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

enum { SOCKET_PATH = sizeof((struct sockaddr_un *)0)->sun_path }; /* its NUL included */

static const double LONGEST_DOUBT = 30; /* seconds that a fate may be unknown */

static const server_preset presets[] = {
#define PRESET(name, command, fast, environment, health, owner, window, schema_as_object) \
    {name, command, fast, environment, health, owner, window, schema_as_object},
#include "reason/servers.def"
#undef PRESET
};

static const char preset_names[] = "vllm, sglang, llama-server, llama-cpp-python";

const server_preset *preset_find(const char *name)
{
    for (size_t i = 0; name && i < sizeof presets / sizeof *presets; i++)
        if (!strcmp(presets[i].name, name)) return &presets[i];
    return NULL;
}

const server_preset *preset_of_owner(const char *owner)
{
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++)
        if (!strcmp(presets[i].owner, owner)) return &presets[i];
    return NULL;
}

/* At most as many at once as anybody says; 0: nobody does. */
static int64_t fixed_window(const servers_options *o, const server_preset *p)
{
    const int64_t of_preset = p ? p->window : 0;

    return o->window > 0 && (!of_preset || o->window < of_preset) ? o->window : of_preset;
}

/* ---- devices ---- */

/* UUIDs of the GPUs that are visible, as CUDA orders them; of parts of one (MIG), as the
 * environment lists them. */
static int find_gpus(char gpu[][NVML_TEXT], int max)
{
    const char *list = getenv("CUDA_VISIBLE_DEVICES");
    nvml *all = NULL;
    int n = 0;

    if (list && !strncmp(list, "MIG-", 4)) {
        for (; *list && n < max; n++) {
            const size_t len = strcspn(list, ",");
            snprintf(gpu[n], NVML_TEXT, "%.*s", (int)len, list);
            list += len + (list[len] == ',');
        }
        return n;
    }
    if (nvml_open(&all)) return 0;
    for (int i = 0; i < nvml_count(all); i++) {
        nvml_sample sample;
        nvml_read(all, i, &sample);
        if (sample.cuda_index < 0 || sample.cuda_index >= max || !*sample.uuid) continue;
        snprintf(gpu[sample.cuda_index], NVML_TEXT, "%s", sample.uuid);
        n++;
    }
    nvml_close(all);
    return n;
}

static mill_err choose_devices(servers *s, int first)
{
    char gpu[NVML_MAX_GPUS][NVML_TEXT] = {{0}};
    const int have = find_gpus(gpu, NVML_MAX_GPUS), n = s->n - first;

    if (have && n > have)
        return mill_fail(MILL_EINPUT,
                         "%d servers are to be started, one on each GPU, but %d GPU%s "
                         "visible",
                         n, have, have == 1 ? " is" : "s are");
    if (!have)
        mill_log(MILL_LOG_WARN, "no GPU is visible here: CUDA_VISIBLE_DEVICES is left alone, and "
                                "{gpu} is the server's number");
    for (int i = 0; i < n; i++) {
        server *sv = &s->sv[first + i];
        sv->is_on_gpu = have > 0;
        if (have)
            snprintf(sv->gpu, sizeof sv->gpu, "%s", gpu[i]);
        else
            snprintf(sv->gpu, sizeof sv->gpu, "%d", i);
    }
    return MILL_OK;
}

static int count_devices(void)
{
    char gpu[NVML_MAX_GPUS][NVML_TEXT];
    const int n = find_gpus(gpu, NVML_MAX_GPUS);

    return n > 0 ? n : 1;
}

/* ---- opening ---- */

/* http://host, .../ and .../v1 are the same. */
static mill_err set_url(server *sv, const char *url)
{
    size_t n = strlen(url);
    const bool is_http = !strncmp(url, "http://", 7) && n > 7;

    if (!strncmp(url, "unix:", 5) && n > 5) {
        if (n - 5 >= sizeof sv->socket || n - 5 >= SOCKET_PATH)
            return mill_fail(MILL_EINPUT, "--server %s: a socket's path has at most %d bytes", url,
                             SOCKET_PATH - 1);
        sv->has_socket = true;
        snprintf(sv->socket, sizeof sv->socket, "%s", url + 5);
        snprintf(sv->url, sizeof sv->url, "http://localhost");
    } else if (is_http || (!strncmp(url, "https://", 8) && n > 8)) {
        while (n > 0 && url[n - 1] == '/') n--;
        if (n > 3 && !strncmp(url + n - 3, "/v1", 3)) n -= 3;
        while (n > 0 && url[n - 1] == '/') n--;
        if (n >= sizeof sv->url) return mill_fail(MILL_EINPUT, "--server: a URL that is too long");
        snprintf(sv->url, sizeof sv->url, "%.*s", (int)n, url);
    } else {
        return mill_fail(MILL_EINPUT, "--server %s: not http://, https:// or unix:PATH", url);
    }
    snprintf(sv->name, sizeof sv->name, "%s%.180s", sv->all->o.is_judge ? "judge server " : "",
             url);
    return MILL_OK;
}

/* Sockets lie in the run folder.  The path of one that would be too long goes by a descriptor of
 * ours, which is there as long as we are. */
static mill_err set_socket(server *sv)
{
    servers *s = sv->all;
    const int n = snprintf(sv->socket, sizeof sv->socket, "%s/server-%d.sock", s->o.folder, sv->i);

    sv->has_socket = true;
    if (n < SOCKET_PATH) return MILL_OK;
    if (s->folder_fd < 0) s->folder_fd = open(s->o.folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (s->folder_fd < 0) return mill_fail(MILL_EIO, "%s: %s", s->o.folder, strerror(errno));
    snprintf(sv->socket, sizeof sv->socket, "/proc/%d/fd/%d/server-%d.sock", (int)getpid(),
             s->folder_fd, sv->i);
    return MILL_OK;
}

/* The i-th that we start. */
static mill_err set_ours(server *sv, int i)
{
    const servers_options *o = &sv->all->o;
    const char *command = sv->preset ? sv->preset->command : o->serve, *port = "1";
    const char *who = o->is_judge ? "judge server" : "server";
    mill_arena *a = NULL;
    char **words;
    int n;

    sv->is_ours = true;
    snprintf(sv->name, sizeof sv->name, "%s %d", who, i);
    snprintf(sv->child.log.path, sizeof sv->child.log.path, "%s/logs/%s-%d.log", o->folder,
             o->is_judge ? "judge" : "server", i);
    sv->child.log.most = CHILD_LOG_BYTES;
    if (!command_names(command, "port") && !command_names(command, "socket"))
        return mill_fail(MILL_EINPUT,
                         "--serve \"%s\": neither a preset (%s) nor a command with "
                         "{port} or {socket}",
                         o->serve, preset_names);
    if (command_names(command, "socket") && !command_names(command, "port")) TRY(set_socket(sv));
    const command_fill fill = {o->model, port, sv->gpu, sv->has_socket ? sv->socket : port, ""};
    TRY(mill_arena_new(&a));
    const mill_err err =
        command_words(&words, &n, a, command, &fill); /* to say now what is wrong */
    mill_arena_free(a);
    return err;
}

static mill_err copy_text(const char **to, mill_arena *a)
{
    if (!*to) return MILL_OK;
    return (*to = mill_arena_strdup(a, *to)) ? MILL_OK : MILL_ENOMEM;
}

static mill_err copy_options(servers *s, const servers_options *o)
{
    s->o = *o;
    s->o.url = NULL;
    s->o.preset = NULL;
    TRY(mill_arena_new(&s->arena));
    TRY(copy_text(&s->o.serve, s->arena));
    TRY(copy_text(&s->o.model, s->arena));
    TRY(copy_text(&s->o.key, s->arena));
    return copy_text(&s->o.folder, s->arena);
}

static mill_err set_servers(servers *s, const servers_options *o)
{
    const server_preset *of_urls = preset_find(o->preset), *ours = preset_find(o->serve);
    const double now = http_now();
    char logs[600];

    for (int i = 0; i < s->n; i++) {
        server *sv = &s->sv[i];
        sv->all = s;
        sv->i = i;
        sv->preset = i < o->n_url ? of_urls : ours;
        sv->child.pidfd = sv->child.output = -1;
        sv->idle_from = -1;
        sv->pause = o->restart_seconds > 0 ? o->restart_seconds : 1;
        sv->told = (server_metrics){-1, -1, -1, -1};
        window_init(&sv->window, fixed_window(o, sv->preset), o->most, o->requests_per_minute,
                    o->tokens_per_minute, now);
    }
    if (o->preset && !of_urls)
        return mill_fail(MILL_EINPUT, "%s: no such preset; there are %s", o->preset, preset_names);
    for (int i = 0; i < o->n_url; i++) TRY(set_url(&s->sv[i], o->url[i]));
    if (!o->serve) return MILL_OK;
    if (!o->folder) return mill_fail(MILL_EINPUT, "no folder for logs of servers");
    snprintf(logs, sizeof logs, "%s/logs", o->folder);
    TRY(file_mkdir(logs));
    TRY(choose_devices(s, o->n_url));
    for (int i = o->n_url; i < s->n; i++) TRY(set_ours(&s->sv[i], i - o->n_url));
    return guard_start(&s->guard);
}

mill_err servers_open(servers **out, http_loop *l, const servers_options *o)
{
    const int n_serve = !o->serve ? 0 : o->n_serve > 0 ? o->n_serve : count_devices();
    const int n = o->n_url + n_serve;
    mill_err err;

    if (n < 1 || n > SERVERS_MAX)
        return mill_fail(MILL_EINPUT, "%d servers: 1 to %d are possible", n, SERVERS_MAX);
    servers *s = mill_alloc(1, sizeof *s);
    if (!s) return MILL_ENOMEM;
    s->loop = l;
    s->folder_fd = -1;
    s->guard.fd = -1;
    err = copy_options(s, o);
    if (!err && !(s->sv = mill_alloc((size_t)n, sizeof *s->sv))) err = MILL_ENOMEM;
    if (!err) {
        s->n = n;
        err = set_servers(s, o);
    }
    if (err) {
        servers_close(s);
        return err;
    }
    for (int i = 0; i < n; i++) life_begin(&s->sv[i]);
    *out = s;
    return MILL_OK;
}

void servers_close(servers *s)
{
    server_child *child[SERVERS_MAX];

    if (!s) return;
    for (int i = 0; i < s->n; i++) {
        life_stop(&s->sv[i]);
        child[i] = &s->sv[i].child;
    }
    children_end(child, s->n, &s->guard, http_now() + s->o.cleanup_seconds);
    guard_end(&s->guard);
    for (int i = 0; i < s->n; i++) {
        if (s->sv[i].is_ours && s->sv[i].has_socket) unlink(s->sv[i].socket);
        mill_free(s->sv[i].listed);
    }
    if (s->folder_fd >= 0) close(s->folder_fd);
    mill_free(s->sv);
    mill_arena_free(s->arena);
    mill_free(s);
}

/* ---- what a run asks of them ---- */

mill_err servers_check(const servers *s)
{
    const server *last = &s->sv[s->n - 1];
    const double now = http_now();

    if (s->fatal) return mill_fail(s->fatal, "%s", s->words);
    for (int i = 0; i < s->n; i++)
        if (!life_is_hopeless(&s->sv[i], now)) return MILL_OK;
    return mill_fail(MILL_EIO, "no %s is left%s; %s: %s%s%s",
                     s->o.is_judge ? "judge server" : "server",
                     s->n > 1 ? ", the last of them" : "", last->name, last->why,
                     last->is_ours ? "; its log: " : "", last->is_ours ? last->child.log.path : "");
}

int servers_n(const servers *s)
{
    return s->n;
}

static bool has_room(const server *sv, int64_t tokens, double now)
{
    return sv->life == LIFE_READY && !sv->refuses && window_has_room(&sv->window, tokens, now);
}

static double load(const server *sv)
{
    return (double)(sv->window.in_flight + 1) / (double)window_size(&sv->window);
}

int servers_take(servers *s, int prefer, int64_t tokens)
{
    const double now = http_now();
    int best = -1;

    s->last_tokens = tokens;
    const bool is_preferred = prefer >= 0 && prefer < s->n && has_room(&s->sv[prefer], tokens, now);
    if (is_preferred) best = prefer;
    for (int i = 0; i < s->n && !is_preferred; i++)
        if (has_room(&s->sv[i], tokens, now) && (best < 0 || load(&s->sv[i]) < load(&s->sv[best])))
            best = i;
    if (best < 0) return -1;
    server *sv = &s->sv[best];
    window_take(&sv->window, tokens, now);
    if (sv->idle_from >= 0) sv->idle_sum += now - sv->idle_from;
    sv->idle_from = -1;
    return best;
}

static void count(server *sv, const chat_reply *r, int64_t used, double now)
{
    const bool is_of_now = now - r->seconds >= sv->ready_at; /* not of the process before */
    const bool timed_out = r->end == HTTP_NO_FIRST_BYTE || r->end == HTTP_IDLE;

    sv->tokens += used;
    if (r->status == 200 && r->end == HTTP_DONE) {
        sv->done++;
        sv->restarts = sv->timeouts = 0;
        sv->answer_at = now;
        life_sign(sv, r->seconds);
        sv->pause = sv->all->o.restart_seconds > 0 ? sv->all->o.restart_seconds : 1;
        return;
    }
    sv->failed++;
    if (!is_of_now) return;
    if (timed_out && !sv->timeouts++) sv->answer_at = fmax(sv->answer_at, now - r->seconds);
    if (r->end == HTTP_NO_CONNECTION || r->end == HTTP_RESET)
        life_lost_connection(sv, r->end, r->why);
}

void servers_give(servers *s, int i, int64_t tokens, const chat_reply *r, int64_t used)
{
    server *sv = &s->sv[i];
    const double now = http_now();

    window_give(&sv->window, tokens, r, used, now);
    count(sv, r, used, now);
    if (!sv->window.in_flight && sv->life == LIFE_READY) sv->idle_from = now;
}

void servers_give_unused(servers *s, int i, int64_t tokens)
{
    server *sv = &s->sv[i];
    const double now = http_now();

    window_give(&sv->window, tokens, NULL, 0, now);
    if (!sv->window.in_flight && sv->life == LIFE_READY) sv->idle_from = now;
}

double servers_wait(const servers *s)
{
    const double now = http_now();
    double least = -1;

    for (int i = 0; i < s->n; i++) {
        const server *sv = &s->sv[i];
        if (sv->life != LIFE_READY || sv->window.in_flight >= window_size(&sv->window)) continue;
        const double wait = window_wait(&sv->window, s->last_tokens, now);
        if (least < 0 || wait < least) least = wait;
    }
    return least;
}

server_fate servers_fate(const servers *s, int i, int64_t deaths, double lost_at)
{
    const server *sv = &s->sv[i];

    if (sv->deaths > deaths) return FATE_DIED;
    if (!sv->is_ours || sv->alive_at >= lost_at) return FATE_LIVES;
    return http_now() - lost_at < LONGEST_DOUBT ? FATE_UNKNOWN : FATE_LIVES;
}

void servers_view(const servers *s, int i, server_view *out)
{
    const server *sv = &s->sv[i];
    const server_metrics *m = &sv->told;

    *out = (server_view){
        .url = sv->url,
        .socket = sv->has_socket ? sv->socket : NULL,
        .key = s->o.key,
        .name = sv->name,
        .model = sv->listed,
        .schema_as_object = sv->preset && sv->preset->schema_as_object,
        .is_ready = sv->life == LIFE_READY && !sv->refuses,
        .is_lost = sv->is_lost,
        .context = sv->context,
        .window = window_size(&sv->window),
        .in_flight = sv->window.in_flight,
        .deaths = sv->deaths,
        .done = sv->done,
        .failed = sv->failed,
        .tokens = sv->tokens,
        .running = (int64_t)m->running,
        .waiting = (int64_t)m->waiting,
        .cache_share = m->cache_share,
        .idle_seconds = sv->idle_sum + (sv->idle_from >= 0 ? http_now() - sv->idle_from : 0),
    };
}
