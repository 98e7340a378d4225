/* TSAN t_results.c - rows that are durable, once, and come back in order: the store in SQLite. */
#include "lib/made_results.h"

#include "base/philox.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* ---- rows ---- */

static mill_err see_newest(void *ctx, const result_row *row)
{
    scan *s = ctx;

    assert_int_equal(row->record, s->rows ? 7 : 3); /* 3 was put last, 7/0/0 before it */
    s->rows++;
    return MILL_OK;
}

void test_results__come_back_in_the_order_of_keys(void **state)
{
    const char *path = path_of("order");
    results *r = opened(path);

    (void)state;
    assert_ok(put(r, 7, 1, 0));
    assert_ok(put(r, 7, 0, 2));
    assert_ok(put(r, 900, 255, 255));
    assert_ok(put(r, 7, 0, 0));
    assert_ok(put(r, 3, 0, 0));
    assert_ok(results_sync(r));
    assert_int_equal(results_durable(r), 5);
    assert_int_equal(scanned(r, 0, RECORDS).rows, 5);
    assert_int_equal(scanned(r, 7, 1).rows, 3);
    assert_int_equal(scanned(r, 8, 892).rows, 0);
    scan newest = {.last_key = -1};
    assert_ok(results_latest(r, 2, see_newest, &newest));
    assert_int_equal(newest.rows, 2);
    results_close(r);
    r = opened_to_read(path);
    assert_int_equal(scanned(r, 0, RECORDS).rows, 5);
    assert_int_equal(results_records(r), RECORDS);
    assert_string_equal(json_string_value(json_object_get(results_config(r), "model")), "m");
    results_close(r);
}

static mill_err same_row(void *ctx, const result_row *a)
{
    const result_row *b = ctx;

#define SAME(member) assert_true(a->member == b->member)
    SAME(record), SAME(sample), SAME(step), SAME(stage), SAME(finish), SAME(outcome);
    SAME(score), SAME(attempts), SAME(server), SAME(created), SAME(seconds), SAME(first_byte);
    SAME(prompt_tokens), SAME(completion_tokens), SAME(cached_tokens);
    SAME(n_content), SAME(n_reasoning);
    assert_string_equal(a->content, b->content);
    assert_string_equal(a->reasoning, b->reasoning);
    assert_string_equal(a->why, b->why);
    return MILL_OK;
}

void test_results__keep_every_member(void **state)
{
    result_row row = {.record = 5,
                      .sample = 3,
                      .step = 4,
                      .stage = STAGE_IMPROVE,
                      .finish = FINISH_FILTER,
                      .outcome = OUTCOME_WEAK,
                      .score = 1. / 3,
                      .attempts = 6,
                      .server = 7,
                      .prompt_tokens = 1LL << 40,
                      .completion_tokens = 9,
                      .cached_tokens = 10,
                      .created = 1700000000,
                      .seconds = 1.25,
                      .first_byte = .125,
                      .content = "a\n\"\\",
                      .n_content = 4,
                      .reasoning = "because",
                      .n_reasoning = 7,
                      .why = "filtered"};
    results *r = opened(path_of("members"));

    (void)state;
    assert_ok(results_put(r, &row));
    assert_ok(results_sync(r));
    assert_ok(results_read(r, 5, 1, same_row, &row));
    results_close(r);
}

void test_results__first_row_of_a_key_wins(void **state)
{
    results *r = opened(path_of("first"));
    result_row row = row_of("second", 1, 0, 2);
    results_counts c;

    (void)state;
    assert_ok(put(r, 1, 0, 2));
    assert_ok(results_put(r, &row)); /* in the same group */
    assert_ok(results_sync(r));
    assert_ok(results_put(r, &row)); /* in another */
    assert_ok(results_sync(r));
    assert_int_equal(results_durable(r), 3);
    assert_int_equal(scanned(r, 0, RECORDS).rows, 1);
    assert_ok(results_count(r, &c));
    assert_int_equal(c.duplicates, 2);
    assert_counted(r);
    results_close(r);
}

void test_results__counts_go_on_when_reopened(void **state)
{
    const char *path = path_of("counts");

    (void)state;
    for (int round = 0; round < 3; round++) {
        results *r = opened(path);
        for (int i = 0; i < 300; i++) assert_ok(put(r, (i * 7) % 100, round, i / 100));
        assert_ok(results_sync(r));
        assert_counted(r);
        assert_int_equal(scanned(r, 0, RECORDS).rows, 300 * (round + 1));
        results_close(r);
    }
}

void test_results__failures_are_counted_by_reason(void **state)
{
    results *r = opened(path_of("reasons"));
    json_t *reasons;

    (void)state;
    for (int i = 0; i < 10; i++) {
        result_row row = row_of("", i, 0, 0);
        row.finish = i < 4 ? FINISH_LENGTH : FINISH_NONE;
        row.outcome = i < 9 ? OUTCOME_FAILED : OUTCOME_NONE;
        row.why = i < 4 ? "truncated" : "refused by 'it'";
        assert_ok(results_put(r, &row));
    }
    assert_ok(results_sync(r));
    assert_ok(results_reasons(r, &reasons));
    char *text = json_dumps(reasons, JSON_COMPACT);
    assert_string_equal(text, "{\"refused by 'it'\":5,\"truncated\":4}");
    free(text);
    json_decref(reasons);
    results_counts c;
    assert_ok(results_count(r, &c));
    assert_int_equal(c.truncated[STAGE_GENERATE], 4);
    assert_int_equal(c.rows[STAGE_GENERATE], 4); /* the others are no responses */
    assert_int_equal(c.outcome[OUTCOME_FAILED], 9);
    results_close(r);
}

void test_results__tell_when_rows_are_durable(void **state)
{
    results *r = opened(path_of("tell"));
    struct pollfd p = {.fd = results_fd(r), .events = POLLIN};

    (void)state;
    assert_int_equal(poll(&p, 1, 0), 0);
    assert_ok(put(r, 0, 0, 0));
    assert_int_equal(poll(&p, 1, 5000), 1);
    assert_int_equal(results_durable(r), 1);
    assert_ok(results_check(r));
    assert_int_equal(poll(&p, 1, 0), 0);
    results_close(r);
}

/* ---- leases ---- */

static int lease_all(results *r, int64_t *firsts, int most)
{
    int64_t n, left;
    int k = 0;

    for (;;) {
        int64_t first;
        assert_ok(results_lease(r, &first, &n, &left));
        assert_int_equal(left, 0);
        if (!n) return k;
        assert_true(k < most);
        firsts[k++] = first;
        assert_int_equal(n, first + RANGE > RECORDS ? RECORDS - first : RANGE);
    }
}

void test_leases__go_through_all_ranges_in_the_given_order(void **state)
{
    enum { N = (RECORDS + RANGE - 1) / RANGE };
    const char *path = path_of("leases");
    json_t *config = config_of("m");
    results_options o = options(path, config);
    int32_t order[N];
    int64_t first[N];
    results *r;

    (void)state;
    for (int i = 0; i < N; i++) order[i] = (i * 5) % N;
    o.order = order;
    assert_ok(results_open(&r, &o));
    assert_int_equal(lease_all(r, first, N), N);
    for (int i = 0; i < N; i++) assert_int_equal(first[i], order[i] * RANGE);
    assert_ok(results_finish(r, first[2]));
    assert_ok(results_finish(r, 15 * RANGE)); /* the last, which is short */
    assert_ok(results_sync(r));
    results_close(r);
    assert_ok(results_open(&r, &o));
    assert_int_equal(lease_all(r, first, N), N - 2);
    assert_int_equal(first[2], order[4] * RANGE);
    results_close(r);
    json_decref(config);
}

void test_leases__know_what_is_finished_when_ranges_are_cut_anew(void **state)
{
    const char *path = path_of("anew");
    json_t *config = config_of("m");
    results_options o = options(path, config);
    int64_t first, n, left;
    results *r = opened(path);

    (void)state;
    for (int i = 1; i < 4; i++) assert_ok(results_finish(r, i * RANGE)); /* 64 to 255 */
    assert_ok(results_sync(r));
    results_close(r);
    o.range = 100; /* 100 to 199 is finished, 0 to 99 and 200 to 299 are in part */
    assert_ok(results_open(&r, &o));
    assert_ok(results_lease(r, &first, &n, &left));
    assert_int_equal(first, 0);
    assert_ok(results_lease(r, &first, &n, &left));
    assert_int_equal(first, 200);
    assert_int_equal(n, 100);
    results_close(r);
    json_decref(config);
}

/* ---- what is refused ---- */

void test_store__of_another_run_names_what_differs(void **state)
{
    const char *path = path_of("another");
    json_t *config = config_of("other");
    results_options o = options(path, config);
    results *r = opened(path);

    (void)state;
    o.hash = "ffffffffffffffffffffffffffffffff";
    results_close(r);
    assert_ok(results_open(&r, &o)); /* nothing in it yet: it becomes of this run */
    assert_ok(put(r, 0, 0, 0));
    assert_ok(results_sync(r));
    results_close(r);
    json_decref(config);
    o = options(path, config = config_of("m"));
    assert_refused(&o, "is of another run: model (there \"other\", here \"m\")");
    o.resume = false;
    assert_refused(&o, "is of another run");
    assert_null(strstr(mill_error(), "temperature"));
    json_decref(config);
}

void test_store__with_rows_wants_resume(void **state)
{
    const char *path = path_of("resume");
    json_t *config = config_of("m");
    results_options o = options(path, config);
    results *r;

    (void)state;
    o.resume = false;
    assert_ok(results_open(&r, &o));
    results_close(r);
    assert_ok(results_open(&r, &o)); /* still empty */
    assert_ok(put(r, 0, 0, 0));
    assert_ok(results_sync(r));
    results_close(r);
    assert_refused(&o, "--resume");
    json_decref(config);
}

void test_store__is_for_one_process(void **state)
{
    const char *path = path_of("lock");
    json_t *config = config_of("m");
    const results_options o = options(path, config);
    results *r = opened(path);

    (void)state;
    assert_refused(&o, "another process writes to it");
    results *reader = opened_to_read(path); /* whoever only reads may */
    results_close(reader);
    results_close(r);
    results_close(opened(path));
    json_decref(config);
}

void test_store__that_is_none_is_refused(void **state)
{
    json_t *config = config_of("m");
    const char *path = path_of("none");
    results_options o = options(path, config);

    (void)state;
    char junk[4096];
    memset(junk, 'x', sizeof junk);
    assert_ok(file_write_all(path, junk, sizeof junk));
    assert_refused(&o, "is no store of results");
    remove_store(path);
    change(path, "CREATE TABLE cats(name TEXT)");
    assert_refused(&o, "is a database of something else");
    remove_store(path);
    results_close(opened(path));
    change(path, "PRAGMA user_version = 99");
    assert_refused(&o, "newer version");
    o.read_only = true;
    assert_refused(&o, "newer version");
    remove_store(path);
    assert_refused(&o, "there is no store");
    assert_ok(file_write_all(path, "", 0));
    assert_refused(&o, "no run has begun");
    json_decref(config);
}

void test_store__that_is_damaged_is_refused(void **state)
{
    const char *path = path_of("damaged");
    json_t *config = config_of("m");
    results_options o = options(path, config);
    results *r = opened(path);
    mill_err err = MILL_OK;

    (void)state;
    for (int i = 0; i < 900; i++) assert_ok(put(r, i, 0, 0));
    assert_ok(results_sync(r));
    results_close(r);
    char *bytes;
    size_t n;
    assert_ok(file_read_all(&bytes, &n, path));
    assert_true(n > 6 * 16384);
    memset(bytes + 16384, 0xa5, n - 16384);
    assert_ok(file_write_all(path, bytes, n));
    mill_free(bytes);
    if (!results_open(&r, &o)) {
        scan s = {.last_key = -1};
        err = results_read(r, 0, RECORDS, see, &s);
        results_close(r);
    } else {
        err = MILL_EINPUT;
    }
    assert_int_equal(err, MILL_EINPUT);
    assert_non_null(strstr(mill_error(), "is damaged"));
    json_decref(config);
}

/* ---- faults ---- */

void test_store__that_is_full_fails_and_goes_on_later(void **state)
{
    const char *path = path_of("full");

    (void)state;
    const pid_t child = fork();
    if (!child) {
        const struct rlimit limit = {3 << 19, 3 << 19}; /* 1.5 MiB for any file */
        results *r = opened(path);
        mill_err err = MILL_OK;
        char text[5000];

        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        memset(text, 'x', sizeof text);
        text[4999] = 0;
        const result_row row = row_of(text, 0, 0, 0);
        for (int i = 0; i < RECORDS && !err; i++) {
            result_row x = row;
            x.record = i;
            err = results_put(r, &x);
            if (!err && i % 16 == 15) err = results_sync(r);
        }
        if (err != MILL_EIO || !strstr(mill_error(), path)) _exit(1);
        if (results_put(r, &row) != MILL_EIO || results_check(r) != MILL_EIO) _exit(2);
        const int64_t durable = results_durable(r);
        results_close(r);
        _exit(durable >= 100 ? 0 : 3);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    results *r = opened(path);
    char text[5000];
    memset(text, 'x', sizeof text);
    text[4999] = 0;
    scan s = {.last_key = -1, .only = text};
    assert_ok(results_read(r, 0, RECORDS, see, &s));
    assert_true(s.rows >= 100 && s.last_key == (s.rows - 1) * 65536);
    results_close(r);
}

typedef struct {
    _Atomic int64_t durable;
} shared;

static void put_until_killed(const char *path, shared *seen, int64_t from)
{
    results *r = opened(path);

    for (int64_t i = from;; i++) {
        if (put(r, (i * 7) % RECORDS, (int)(i / RECORDS / 3), (int)(i / RECORDS % 3))) _exit(1);
        atomic_store(&seen->durable, from + results_durable(r));
        if (i % 50 == 49) usleep(500);
    }
}

void test_results__are_a_prefix_after_a_kill(void **state)
{
    const char *path = path_of("killed");
    shared *seen =
        mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    mill_rng rng = mill_rng_init(3, 0, 0);
    int64_t rows = 0;

    (void)state;
    for (int round = 0; round < 12; round++) {
        atomic_store(&seen->durable, 0);
        const pid_t child = fork();
        if (!child) put_until_killed(path, seen, rows);
        /* Some die while the store is opened, the others behind a number of rows of their own. */
        const int64_t until = round % 4 ? rows + mill_rng_below(&rng, 300) : 0;
        for (int i = 0; i < 10000 && atomic_load(&seen->durable) < until; i++) usleep(500);
        usleep(mill_rng_below(&rng, 9000));
        kill(child, SIGKILL);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        if (!file_exists(path)) continue;
        results *r = opened(path);
        const scan s = scanned(r, 0, RECORDS);
        assert_true(s.rows >= rows && s.rows >= atomic_load(&seen->durable));
        for (int64_t i = 0; i < s.rows; i += 13) { /* put order: row i is there if i < rows */
            scan one = {.last_key = -1};
            assert_ok(results_read(r, (i * 7) % RECORDS, 1, see, &one));
            assert_true(one.rows > i / RECORDS);
        }
        assert_counted(r);
        rows = s.rows;
        results_close(r);
    }
    assert_true(rows > 300);
    munmap(seen, sizeof *seen);
}

/* Everything that one run calls; its error. */
static mill_err use(const char *path)
{
    json_t *config = config_of("m");
    results_options o = options(path, config);
    int64_t first, n, left;
    results_counts c;
    scan s = {.last_key = -1};
    results *r = NULL;
    mill_err err = results_open(&r, &o);

    if (!err && !(err = results_lease(r, &first, &n, &left)) && !(err = put(r, 1, 0, 0)) &&
        !(err = results_finish(r, first)) && !(err = results_sync(r)) &&
        !(err = results_count(r, &c)))
        err = results_read(r, 0, RECORDS, see, &s);
    results_close(err && !r ? NULL : r);
    json_decref(config);
    return err;
}

void test_results__no_allocation_that_fails_is_missed(void **state)
{
    mill_mem_stats before, after;
    mill_err err = MILL_ENOMEM;
    int n = 0;

    (void)state;
    mill_mem_get_stats(&before);
    while (err) {
        const char *path = path_of("memory");
        remove_store(path);
        mill_mem_fail_at(++n);
        err = use(path);
        mill_mem_fail_at(0);
        if (err) assert_int_equal(err, MILL_ENOMEM);
        mill_mem_get_stats(&after);
        assert_int_equal(after.live, before.live);
    }
    assert_true(n > 5);
}

void test_zz__scratch_is_removed(void **state)
{
    (void)state;
    remove_folder();
}
