/* t_results_pg.c - the store in PostgreSQL: rows, leases of several nodes, a server that goes away.
 */
#include "lib/postgres.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/philox.h"
#include "reason/pg_link.h"
#include "reason/results.h"

#include <math.h>
#include <pthread.h>
#include <time.h>

/* ---- helpers ---- */

static postgres server;
static bool is_tried, is_there;
static char why_not[200];

static void stop_server(void)
{
    if (is_there) postgres_close(&server);
}

static pid_t owner;
static void at_end(void)
{
    if (getpid() == owner) stop_server();
}

static char said[4000]; /* warnings */

static void hear(void *ctx, mill_log_level level, const char *line)
{
    const size_t n = strlen(said);

    (void)ctx;
    (void)level;
    snprintf(said + n, sizeof said - n, "%s\n", line);
}

#define NEED_SERVER()                                   \
    do {                                                \
        if (!is_tried) {                                \
            is_tried = true;                            \
            owner = getpid();                           \
            is_there = postgres_open(&server, why_not); \
            atexit(at_end);                             \
            mill_log_set(hear, NULL, MILL_LOG_WARN);    \
        }                                               \
        if (!is_there) skip_because("%s", why_not);     \
        *said = 0;                                      \
        (void)state;                                    \
    } while (0)

enum { RECORDS = 100, RANGE = 10 };

static mill_err open_run(results **out, const char *name, const char *model, bool resume,
                         double lease)
{
    json_t *config = json_pack("{s:s,s:i}", "model", model, "samples", 1);
    const results_options o = {.where = server.url,
                               .name = name,
                               .hash = !strcmp(model, "m") ? "0123456789abcdef0123456789abcdef"
                                                           : "fedcba9876543210fedcba9876543210",
                               .config = config,
                               .records = RECORDS,
                               .range = RANGE,
                               .resume = resume,
                               .lease_seconds = lease};
    const mill_err err = results_open(out, &o);

    json_decref(config);
    return err;
}

static results *opened(const char *name, double lease)
{
    results *r;

    assert_ok(open_run(&r, name, "m", false, lease));
    return r;
}

static result_row row_of(const char *content, int64_t record, int step)
{
    return (result_row){.record = record,
                        .step = step,
                        .stage = step % 2 ? STAGE_EVALUATE : STAGE_GENERATE,
                        .finish = FINISH_STOP,
                        .outcome = step % 2 ? OUTCOME_GOOD : OUTCOME_NONE,
                        .score = step % 2 ? 1 : (double)NAN,
                        .attempts = 1,
                        .prompt_tokens = 3,
                        .completion_tokens = 5,
                        .cached_tokens = -1,
                        .content = content,
                        .n_content = strlen(content),
                        .reasoning = "",
                        .why = ""};
}

static mill_err put(results *r, int64_t record, int step, const char *content)
{
    const result_row row = row_of(content, record, step);
    return results_put(r, &row);
}

typedef struct {
    int64_t rows, last_key, tokens;
    char content[2000];
} scan;

static mill_err see(void *ctx, const result_row *row)
{
    scan *s = ctx;
    const int64_t key = row->record * 65536 + row->sample * 256 + row->step;
    const size_t n = strlen(s->content);

    assert_true(key > s->last_key);
    s->last_key = key;
    s->rows++;
    s->tokens += row->completion_tokens;
    snprintf(s->content + n, sizeof s->content - n, "%s ", row->content);
    return MILL_OK;
}

static scan scanned(results *r, int64_t first, int64_t n)
{
    scan s = {.last_key = -1};

    assert_ok(results_read(r, first, n, see, &s));
    return s;
}

static void assert_counted(results *r, int64_t duplicates)
{
    const scan s = scanned(r, 0, RECORDS);
    results_counts c;

    assert_ok(results_count(r, &c));
    assert_int_equal(c.rows[STAGE_GENERATE] + c.rows[STAGE_EVALUATE], s.rows);
    assert_int_equal(c.completion_tokens[STAGE_GENERATE] + c.completion_tokens[STAGE_EVALUATE],
                     s.tokens);
    assert_int_equal(c.score[RESULTS_SCORE_BINS - 1], c.outcome[OUTCOME_GOOD]);
    if (duplicates >= 0) assert_int_equal(c.duplicates, duplicates);
}

/* The next range of any of `n_nodes` nodes, which are asked in turn beginning with nodes[0], for at
 * most two minutes; -1: none is left.  *who: its node.  Any, since which of them holds the last
 * range ahead depends on whose question came first. */
static int64_t leased_by_any(results *const *nodes, int n_nodes, int *who)
{
    int64_t first, n, left;

    for (int i = 0; i < 2400; i++) {
        int n_done = 0;
        for (*who = 0; *who < n_nodes; ++*who) {
            assert_ok(results_lease(nodes[*who], &first, &n, &left));
            if (n) return first;
            n_done += !left;
        }
        if (n_done == n_nodes) return -1;
        usleep(50000);
    }
    fail_msg("no range in two minutes");
    return -1;
}

static int64_t leased(results *r)
{
    int who;

    return leased_by_any(&r, 1, &who);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- one node ---- */

static mill_err same_row(void *ctx, const result_row *a)
{
    const result_row *b = ctx;

    assert_int_equal(a->record, b->record);
    assert_int_equal(a->sample, b->sample);
    assert_int_equal(a->step, b->step);
    assert_int_equal(a->stage, b->stage);
    assert_int_equal(a->finish, b->finish);
    assert_int_equal(a->outcome, b->outcome);
    assert_true(a->score == b->score || (isnan(a->score) && isnan(b->score)));
    assert_int_equal(a->attempts, b->attempts);
    assert_int_equal(a->server, b->server);
    assert_int_equal(a->prompt_tokens, b->prompt_tokens);
    assert_int_equal(a->completion_tokens, b->completion_tokens);
    assert_int_equal(a->cached_tokens, b->cached_tokens);
    assert_int_equal(a->created, b->created);
    assert_true(a->seconds == b->seconds && a->first_byte == b->first_byte);
    assert_string_equal(a->content, b->content);
    assert_string_equal(a->reasoning, b->reasoning);
    assert_string_equal(a->why, b->why);
    assert_int_equal(a->n_content, b->n_content);
    assert_int_equal(a->n_reasoning, b->n_reasoning);
    return MILL_OK;
}

void test_pg_results__keep_every_member(void **state)
{
    result_row row = {.record = 5,
                      .sample = 3,
                      .step = 4,
                      .stage = STAGE_IMPROVE,
                      .finish = FINISH_FILTER,
                      .outcome = OUTCOME_FAILED,
                      .score = 1. / 3,
                      .attempts = 6,
                      .server = 7,
                      .prompt_tokens = 1LL << 40,
                      .completion_tokens = 9,
                      .cached_tokens = -1,
                      .created = 1700000000,
                      .seconds = 1.25,
                      .first_byte = .125,
                      .content = "a\n\"\\ \xe2\x88\x9a",
                      .n_content = 8,
                      .reasoning = "because",
                      .n_reasoning = 7,
                      .why = "filtered"};
    json_t *reasons;

    NEED_SERVER();
    results *r = opened("members", 60);
    assert_int_equal(leased(r), 0);
    assert_ok(results_put(r, &row));
    assert_ok(results_sync(r));
    assert_ok(results_read(r, 5, 1, same_row, &row));
    row.sample = 4;
    row.score = NAN;
    row.outcome = OUTCOME_NONE;
    assert_ok(results_put(r, &row));
    assert_ok(results_sync(r));
    row.sample = 3;
    assert_int_equal(results_durable(r), 2);
    assert_ok(results_reasons(r, &reasons));
    char *text = json_dumps(reasons, JSON_COMPACT);
    assert_string_equal(text, "{\"filtered\":1}");
    free(text);
    json_decref(reasons);
    results_close(r);
    const results_options o = {.where = server.url, .name = "members", .read_only = true};
    assert_ok(results_open(&r, &o));
    assert_int_equal(results_records(r), RECORDS);
    assert_int_equal(scanned(r, 5, 1).rows, 2);
    results_close(r);
}

void test_pg_results__first_row_of_a_key_wins(void **state)
{
    NEED_SERVER();
    results *r = opened("first", 60);
    assert_int_equal(leased(r), 0);
    assert_ok(put(r, 1, 1, "one"));
    assert_ok(put(r, 1, 1, "two"));
    assert_ok(put(r, 1, 0, "zero"));
    assert_ok(results_sync(r));
    assert_ok(put(r, 1, 0, "three"));
    assert_ok(results_sync(r));
    assert_string_equal(scanned(r, 0, RECORDS).content, "zero one ");
    assert_int_equal(results_durable(r), 4);
    assert_counted(r, 2);
    results_close(r);
}

void test_pg_store__of_another_run_is_named_or_new(void **state)
{
    results *r = NULL;

    NEED_SERVER();
    results_close(opened("runs", 60));
    assert_fails(MILL_EINPUT, "model (there \"m\", here \"n\")",
                 open_run(&r, "runs", "n", true, 60));
    assert_null(strstr(mill_error(), "secret"));
    assert_null(r);
    assert_ok(open_run(&r, "runs", "n", false, 60));
    assert_non_null(strstr(said, "model (there \"m\", here \"n\"): this is a new run"));
    assert_int_equal(leased(r), 0);
    results_close(r);
    const results_options o = {.where = server.url, .name = "nobody", .read_only = true};
    assert_fails(MILL_EINPUT, "holds no run \"nobody\"", results_open(&r, &o));
}

void test_pg_store__that_is_not_there_says_so_at_once(void **state)
{
    const results_options o = {.where = "postgresql://u:secret@127.0.0.1:1/x", .read_only = true};
    results *r;
    (void)state;
    assert_fails(MILL_EIO, "u:***@127.0.0.1:1", results_open(&r, &o));
    assert_null(strstr(mill_error(), "secret"));
}

/* ---- several nodes ---- */

static void *open_it(void *ctx)
{
    results **r = ctx;

    if (open_run(r, "makers", "m", false, 60)) *r = NULL;
    return NULL;
}

void test_pg_tables__are_made_once_by_many_at_once(void **state)
{
    results *r[6] = {NULL};
    pthread_t thread[6];
    bool is_leased[RECORDS / RANGE] = {false};

    NEED_SERVER();
    char command[600];
    snprintf(command, sizeof command,
             "%s/psql -q -h %s -U tester -d postgres -c 'DROP TABLE IF EXISTS tabmill_store,"
             " tabmill_result, tabmill_range, tabmill_node, tabmill_run' 2>/dev/null",
             server.bin, server.folder);
    assert_int_equal(postgres_run(command), 0);
    for (int i = 0; i < 6; i++) pthread_create(&thread[i], NULL, open_it, &r[i]);
    for (int i = 0; i < 6; i++) pthread_join(thread[i], NULL);
    for (int i = 0; i < 6; i++) assert_non_null(r[i]);
    for (int i = 0; i < 6; i++) {
        int who;
        const int64_t first = leased_by_any(r, 6, &who);
        assert_false(is_leased[first / RANGE]);
        is_leased[first / RANGE] = true;
    }
    for (int i = 0; i < 6; i++) results_close(r[i]);
}

void test_pg_leases__go_to_one_node_each_until_all_are_finished(void **state)
{
    bool is_leased[RECORDS / RANGE] = {false};
    int64_t first, n, left;

    NEED_SERVER();
    results *a = opened("two", 60), *b = opened("two", 60);
    for (int i = 0; i < RECORDS / RANGE; i++) {
        results *const turn[] = {i % 2 ? a : b, i % 2 ? b : a};
        int who;
        first = leased_by_any(turn, i < 2 ? 1 : 2, &who); /* each has at least one */
        assert_true(first >= 0 && !is_leased[first / RANGE]);
        is_leased[first / RANGE] = true;
        assert_ok(put(turn[who], first, 0, "x"));
        assert_ok(results_finish(turn[who], first));
        assert_ok(results_sync(turn[who]));
    }
    assert_int_equal(leased(a), -1);
    assert_int_equal(leased(b), -1);
    assert_int_equal(scanned(a, 0, RECORDS).rows, RECORDS / RANGE);
    assert_counted(b, 0);
    results_close(a);
    results_close(b);
    results *late = opened("two", 60); /* a node that comes when all is done */
    assert_ok(results_lease(late, &first, &n, &left));
    assert_true(n == 0 && left == 0);
    results_close(late);
}

/* A node in a process of its own: leases a range, puts a row, says so, and hangs. */
static pid_t hanging_node(const char *name, double lease, int to_parent[2])
{
    assert_int_equal(pipe(to_parent), 0);
    const pid_t child = fork();
    if (child) {
        close(to_parent[1]); /* a child that dies is the end of what is read */
        return child;
    }
    results *r = NULL;
    int64_t first, n, left;
    if (open_run(&r, name, "m", false, lease)) _exit(1);
    for (n = 0; !n;)
        if (results_lease(r, &first, &n, &left)) _exit(2);
    if (put(r, first, 0, "theirs") || results_sync(r)) _exit(3);
    if (write(to_parent[1], &first, sizeof first) != sizeof first) _exit(4);
    /* When it wakes up, its range is somebody else's. */
    raise(SIGSTOP);
    put(r, first, 1, "too late");
    results_finish(r, first);
    _exit(results_sync(r) || results_durable(r) != 2 ? 5 : 0);
}

void test_pg_leases__of_a_dead_node_go_to_another(void **state)
{
    int64_t theirs;
    int p[2];

    NEED_SERVER();
    const double began = now();
    const pid_t child = hanging_node("dead", 1.5, p);
    assert_int_equal(read(p[0], &theirs, sizeof theirs), sizeof theirs);
    results *r = opened("dead", 60);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    int n = 0;
    for (int64_t first = 0; first >= 0; n++) { /* all, and what the dead one held and had ahead */
        first = leased(r);
        if (first != theirs) {
            if (first >= 0) assert_ok(results_finish(r, first));
            continue;
        }
        assert_true(now() - began > 1.5);
        assert_string_equal(scanned(r, first, RANGE).content, "theirs ");
        assert_ok(results_finish(r, first));
    }
    assert_int_equal(n, RECORDS / RANGE + 1);
    results_close(r);
}

void test_pg_rows__of_a_node_whose_lease_is_gone_are_dropped(void **state)
{
    int64_t theirs, first = 0;
    int p[2], status;

    NEED_SERVER();
    const pid_t child = hanging_node("gone", 1.5, p);
    assert_int_equal(read(p[0], &theirs, sizeof theirs), sizeof theirs);
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_true(WIFSTOPPED(status));
    results *r = opened("gone", 60);
    while ((first = leased(r)) != theirs && first >= 0) assert_ok(results_finish(r, first));
    assert_int_equal(first, theirs);
    assert_string_equal(scanned(r, theirs, RANGE).content, "theirs ");
    kill(child, SIGCONT);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_ok(put(r, theirs, 1, "ours"));
    assert_ok(results_sync(r));
    assert_string_equal(scanned(r, theirs, RANGE).content, "theirs ours ");
    assert_counted(r, 1); /* "too late" */
    results_close(r);
    r = opened("gone", 60); /* nor has it finished what was not its own */
    assert_int_equal(leased(r), theirs);
    results_close(r);
}

static bool is_renewed(double lease)
{
    char name[20];
    bool mine, was_taken;

    snprintf(name, sizeof name, "claim%.0f", 10 * lease);
    results *a = opened(name, lease), *b = opened(name, lease);
    assert_ok(results_claim_output(a, &mine));
    assert_true(mine);
    assert_ok(results_claim_output(b, &was_taken));
    usleep((useconds_t)(2.5e6 * lease)); /* a renews it */
    if (!was_taken) assert_ok(results_claim_output(b, &was_taken));
    results_close(a);
    usleep((useconds_t)(1.3e6 * lease)); /* nobody renews it */
    assert_ok(results_claim_output(b, &mine));
    assert_true(mine);
    results_close(b);
    return !was_taken;
}

/* A busy machine may be too late to renew a short lease, but not a longer one. */
void test_pg_output__is_claimed_by_one_node(void **state)
{
    bool holds = false;

    NEED_SERVER();
    for (double lease = 0.6; !holds && lease < 10; lease *= 4) holds = is_renewed(lease);
    assert_true(holds);
}

/* ---- a server that goes away ---- */

void test_pg_rows__wait_while_the_server_is_away(void **state)
{
    NEED_SERVER();
    results *r = opened("away", 60);
    assert_int_equal(leased(r), 0);
    assert_ok(put(r, 0, 0, "before"));
    assert_ok(results_sync(r));
    postgres_stop(&server, SIGINT);
    for (int i = 1; i < 10; i++) assert_ok(put(r, i, 0, "during"));
    for (int i = 0; i < 600 && !strstr(said, "the database is away"); i++) usleep(100000);
    assert_ok(results_check(r));
    assert_int_equal(results_durable(r), 1);
    results_counts c;
    assert_ok(results_count(r, &c)); /* does not wait */
    postgres_start(&server);
    assert_ok(results_sync(r));
    assert_non_null(strstr(said, "the database is away"));
    assert_non_null(strstr(said, "nothing is lost"));
    assert_non_null(strstr(said, "the database is back"));
    usleep(600000); /* until counts are asked for again */
    assert_counted(r, 0);
    assert_int_equal(scanned(r, 0, RECORDS).rows, 10);
    results_close(r);
}

void test_pg_rows__are_there_once_whenever_the_server_crashes(void **state)
{
    mill_rng rng = mill_rng_init(5, 0, 0);
    int64_t rows = 0, first = 0;

    NEED_SERVER();
    results *r = opened("crash", 60);
    for (int round = 0; round < 4; round++) {
        const double until = now() + 0.05 + 0.0001 * mill_rng_below(&rng, 2000);
        bool is_up = true;
        first = leased(r);
        for (int k = 0; k < 600; k++) {
            assert_ok(put(r, first + k % RANGE, k / RANGE, "row"));
            rows++;
            usleep(500);
            if (!is_up || now() < until) continue;
            is_up = false;
            postgres_stop(&server, SIGQUIT);
            postgres_start(&server);
        }
    }
    assert_ok(results_sync(r));
    assert_int_equal(scanned(r, 0, RECORDS).rows, rows);
    usleep(600000);
    assert_counted(r, 0);
    results_close(r);
}

/* ---- a machine that is cut off in the middle of a transaction ---- */

void test_pg_link__has_idle_transactions_ended(void **state)
{
    pg_link l;
    PGresult *r;

    NEED_SERVER();
    assert_ok(pg_link_init(&l, server.url, "here"));
    assert_ok(pg_run(&r, &l,
                     "SELECT setting::bigint FROM pg_settings"
                     " WHERE name = 'idle_in_transaction_session_timeout'",
                     0, NULL));
    assert_int_equal(pg_get_int8(r, 0, 0), 10000); /* ms */
    pg_clear(r);
    assert_ok(pg_exec(&l, "SET idle_in_transaction_session_timeout = 50"));
    assert_ok(pg_exec(&l, "BEGIN"));
    usleep(400000);
    assert_int_equal(pg_exec(&l, "SELECT 1"), MILL_EIO);
    assert_true(l.is_away); /* and so it is tried again, on another connection */
    pg_link_deinit(&l);
}
