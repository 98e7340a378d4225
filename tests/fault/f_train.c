/*
 * f_train.c - a run killed with SIGKILL at any write, fsync or rename, and gone on with, ends in
 * the same bytes.
 *
 * The child is this program again (TOY_DIR in its environment says so), so that TABMILL_FAULT is
 * read afresh: it trains the toy job in TOY_DIR/run with early stop, then writes TOY_DIR/model and
 * tidies up, as `tabmill fit` does.
 */
#include "base/cpu.h"
#include "base/file.h"
#include "base/mem.h"
#include "lib/child.h"
#include "lib/test.h"
#include "lib/toy_job.h"
#include "train/loop.h"

#include <signal.h>
#include <unistd.h>

static mill_err write_model(const train_job *job, const char *path)
{
    store_writer *w;
    json_t *meta = json_object();

    TRY(store_writer_new(&w));
    mill_err err = job->save(job->ctx, w, meta);
    if (!err) err = store_writer_commit(w, path, meta);
    store_writer_free(w);
    json_decref(meta);
    return err;
}

static mill_err train_toy(const char *dir)
{
    char run[100], model[100];
    toy t;
    train_end end;

    snprintf(run, sizeof run, "%s/run", dir);
    snprintf(model, sizeof model, "%s/model", dir);
    toy_init(&t, 22);
    const train_job job = toy_job(&t, 60, 10);
    const train_options o = {
        .run_dir = run,
        .keep = 2,
        .resume = true,
        .quiet = true,
        .progress_fd = -1,
        .early_stop = 2,
        .probe_steps = 10,
    };
    TRY(mill_cpu_init());
    TRY(train_loop(&end, &job, &o));
    TRY(write_model(&job, model));
    return train_run_finish(&o);
}

__attribute__((constructor)) static void be_the_child(void)
{
    const char *dir = getenv("TOY_DIR");
    if (dir) _exit(train_toy(dir) ? 1 : 0);
}

/* 0, an exit status, or minus the signal. */
static int run_child(const char *dir, const char *fault)
{
    int status;

    const pid_t child = fork();
    if (child == 0) {
        setenv("TOY_DIR", dir, 1);
        if (fault) setenv("TABMILL_FAULT", fault, 1);
        execl("/proc/self/exe", "f_train", (char *)NULL);
        _exit(97);
    }
    waitpid(child, &status, 0);
    return exit_of(status);
}

static void read_model(char **bytes, size_t *n, const char *dir)
{
    char path[100];

    snprintf(path, sizeof path, "%s/model", dir);
    assert_ok(file_read_all(bytes, n, path));
}

/* metrics.jsonl has each step once, in order. */
static void check_metrics(const char *dir)
{
    char path[100], *text;
    size_t n;
    long long last = 0, step;

    snprintf(path, sizeof path, "%s/run/metrics.jsonl", dir);
    assert_ok(file_read_all(&text, &n, path));
    assert_int_equal(text[n - 1], '\n');
    for (char *line = text; *line; line = strchr(line, '\n') + 1) {
        assert_int_equal(sscanf(strstr(line, "\"step\":"), "\"step\":%lld", &step), 1);
        assert_int_equal(step, last + 10);
        last = step;
    }
    assert_int_equal(last, 40); /* best at 20, two probes after it */
    mill_free(text);
}

/* What the killed process was about to write does not lie about for ever. */
static void check_tidy(const char *dir)
{
    char path[100], **names;
    int n;

    snprintf(path, sizeof path, "%s/run", dir);
    assert_ok(file_list(&names, &n, path));
    for (int i = 0; i < n; i++) {
        assert_null(strstr(names[i], ".tmp"));
        assert_null(strstr(names[i], "step_"));
    }
    mill_free(names);
}

static void compare(const char *dir, const char *want, size_t n_want)
{
    char *bytes;
    size_t n;

    read_model(&bytes, &n, dir);
    assert_int_equal(n, n_want);
    assert_memory_equal(bytes, want, n);
    check_metrics(dir);
    check_tidy(dir);
    mill_free(bytes);
}

/* Kills at the n-th operation, n = 1, 2, ... until the child gets through; `again`: kills the first
 * resume there, too. */
static int sweep(const char *op, bool again, const char *want, size_t n_want)
{
    for (int n = 1;; n++) {
        char dir[] = "/tmp/tabmill-kill-XXXXXX", fault[40];

        assert_non_null(mkdtemp(dir));
        snprintf(fault, sizeof fault, "%s:%d:kill", op, n);
        const int status = run_child(dir, fault);
        if (status != 0) {
            assert_int_equal(status, -SIGKILL);
            if (again) run_child(dir, fault);
            assert_int_equal(run_child(dir, NULL), 0);
        }
        compare(dir, want, n_want);
        assert_ok(file_remove_tree(dir));
        if (status == 0) return n - 1;
    }
}

static void sweep_all(bool again)
{
    static const char *const ops[] = {"write", "fsync", "rename"};
    static const int least[] = {15, 14, 7}; /* a sweep over nothing would pass, too */
    char dir[] = "/tmp/tabmill-kill-XXXXXX", *want;
    size_t n;

    assert_non_null(mkdtemp(dir));
    assert_int_equal(run_child(dir, NULL), 0);
    read_model(&want, &n, dir);
    for (int i = 0; i < 3; i++) assert_true(sweep(ops[i], again, want, n) >= least[i]);
    mill_free(want);
    assert_ok(file_remove_tree(dir));
}

void test_train__killed_at_any_operation_ends_in_the_same_bytes(void **state)
{
    (void)state;
    sweep_all(false);
}

void test_train__killed_twice_ends_in_the_same_bytes(void **state)
{
    (void)state;
    sweep_all(true);
}
