/* t_loop.c - the training loop: its end, its files, resume, early stop, signals. */
#include "base/cpu.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "lib/child.h"
#include "lib/test.h"
#include "lib/toy_job.h"
#include "train/checkpoint.h"
#include "train/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char dir[64];
static char log_text[4096];

static void remember(void *ctx, mill_log_level level, const char *line)
{
    (void)ctx, (void)level;
    snprintf(log_text + strlen(log_text), sizeof log_text - strlen(log_text), "%s\n", line);
}

/* File systems without locks, and without symbolic links. */
static bool has_no_locks, has_no_links;

int flock(int fd, int what)
{
    errno = ENOLCK;
    return has_no_locks ? -1 : (int)syscall(SYS_flock, fd, what);
}

int symlink(const char *to, const char *path)
{
    errno = EPERM;
    return has_no_links ? -1 : (int)syscall(SYS_symlinkat, to, AT_FDCWD, path);
}

/* A fresh name of a run folder, and options that say nothing. */
static train_options fresh(const json_t *config)
{
    mill_cpu_init();
    mill_log_set(remember, NULL, MILL_LOG_INFO);
    log_text[0] = 0;
    strcpy(dir, "/tmp/tabmill-loop-XXXXXX");
    assert_non_null(mkdtemp(dir));
    return (train_options){.run_dir = dir,
                           .checkpoint_seconds = 0,
                           .keep = 2,
                           .quiet = true,
                           .progress_fd = -1,
                           .config = config};
}

static void clean(void)
{
    assert_ok(file_remove_tree(dir));
}

static char *slurp(const char *name)
{
    char path[200], *text;
    size_t n;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_ok(file_read_all(&text, &n, path));
    return text;
}

static int count_files(const char *prefix)
{
    char **names;
    int n, found = 0;

    assert_ok(file_list(&names, &n, dir));
    for (int i = 0; i < n; i++) found += !strncmp(names[i], prefix, strlen(prefix));
    mill_free(names);
    return found;
}

static uint64_t hash_after(int64_t n_steps, double peak)
{
    toy t;

    toy_init(&t, peak);
    const train_job job = toy_job(&t, n_steps, 10);
    for (int64_t i = 0; i < n_steps; i++) assert_ok(job.step(&t, i));
    return toy_hash(&t);
}

/* Every step number of metrics.jsonl, in order, must be the multiples of 10 up to n. */
static void assert_metrics_are_with(int64_t n, bool probed)
{
    char *text = slurp("metrics.jsonl"), *line = text;

    for (int64_t step = 10; step <= n; step += 10) {
        char *end = strchr(line, '\n');
        assert_non_null(end);
        json_t *j = json_loadb(line, (size_t)(end - line), 0, NULL);
        assert_non_null(j);
        assert_int_equal(json_integer_value(json_object_get(j, "step")), step);
        assert_true(json_number_value(json_object_get(j, "seen")) == (double)step);
        assert_int_equal(json_integer_value(json_object_get(j, "epoch")), step / 10);
        assert_true(json_number_value(json_object_get(j, "ts")) > 1.6e9);
        assert_non_null(json_object_get(j, "steps_per_s"));
        assert_int_equal(json_object_get(j, "quality") != NULL, probed);
        json_decref(j);
        line = end + 1;
    }
    assert_int_equal(*line, 0);
    mill_free(text);
}

static void assert_metrics_are(int64_t n)
{
    assert_metrics_are_with(n, false);
}

/* From the beginning of a fresh job, or with o->resume from where the folder's run was. */
static train_end run(toy *t, double peak, int64_t n_steps, const train_options *o)
{
    train_end end;

    toy_init(t, peak);
    const train_job job = toy_job(t, n_steps, 10);
    assert_ok(train_loop(&end, &job, o));
    return end;
}

/* A run of n_steps that fails at bad_step; what it has saved lies in the folder.  The job, to go on
 * with. */
static train_job fail_at(toy *t, int64_t bad_step, int64_t n_steps, double peak,
                         const train_options *o)
{
    train_end end;

    toy_init(t, peak);
    t->bad_step = (double)bad_step;
    const train_job job = toy_job(t, n_steps, 10);
    assert_fails(MILL_EINPUT, "bad step", train_loop(&end, &job, o));
    return job;
}

void test_loop__runs_all_steps_and_leaves_only_metrics_and_manifest(void **state)
{
    (void)state;
    train_options o = fresh(NULL);
    toy t;

    assert_int_equal(run(&t, -1, 50, &o), TRAIN_DONE);
    assert_true(toy_hash(&t) == hash_after(50, -1));
    assert_int_equal(count_files("step_"), 2); /* rotation kept two of five */
    assert_metrics_are(50);
    train_run_status status;
    o.resume = true;
    assert_ok(train_run_state(&status, &o));
    assert_int_equal(status, TRAIN_RUN_STARTED); /* its model is not written yet */
    assert_ok(train_run_finish(&o));
    assert_ok(train_run_state(&status, &o));
    assert_int_equal(status, TRAIN_RUN_FINISHED);
    assert_int_equal(count_files("step_"), 0);
    char *manifest = slurp("manifest.json");
    assert_non_null(strstr(manifest, "\"finished\""));
    mill_free(manifest);
    clean();
}

void test_loop__stops_where_the_job_has_converged(void **state)
{
    (void)state;
    train_options o = fresh(NULL);
    train_end end;
    toy t;

    toy_init(&t, -1);
    t.converged_at = 23;
    const train_job job = toy_job(&t, 50, 10);
    assert_ok(train_loop(&end, &job, &o));
    assert_int_equal(end, TRAIN_DONE);
    assert_int_equal(t.steps_run, 23);
    clean();
}

void test_loop__goes_on_after_an_error_where_the_checkpoint_was(void **state)
{
    (void)state;
    train_options o = fresh(NULL);
    toy t;

    o.keep = 3;
    fail_at(&t, 37, 50, -1, &o);
    assert_int_equal(count_files("step_"), 3);
    o.resume = true;
    run(&t, -1, 50, &o);
    assert_int_equal(t.steps_run, 20); /* from step 30 */
    assert_true(toy_hash(&t) == hash_after(50, -1));
    assert_metrics_are(50);
    assert_int_equal(count_files("step_"), 3); /* those of before are counted */
    assert_null(strstr(log_text, "passed over"));
    assert_null(strstr(log_text, "nothing to resume"));
    assert_null(strstr(log_text, "version"));
    assert_int_equal(count_files("events.out.tfevents."), 2);
    clean();
}

void test_loop__starts_over_when_there_is_nothing_to_resume(void **state)
{
    (void)state;
    train_options o = fresh(NULL);
    toy t;

    o.resume = true;
    run(&t, -1, 20, &o);
    assert_int_equal(t.steps_run, 20);
    assert_non_null(strstr(log_text, "nothing to resume"));
    clean();
}

static void put(const char *name, const char *text)
{
    char path[200];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_ok(file_write_all(path, text, strlen(text)));
}

static void assert_holds(const char *name, const char *text)
{
    char *there = slurp(name);

    assert_string_equal(there, text);
    mill_free(there);
}

/* By their names alone they could be of a run: a model, the manifest of another program. */
void test_loop__leaves_the_files_of_others_unless_it_is_forced(void **state)
{
    static const char *const names[] = {"manifest.json", "metrics.jsonl", "best.mill",
                                        "latest.mill",   "step_7.mill",   "events.out.tfevents.1"};
    (void)state;
    for (int i = 0; i < 6; i++)
        for (int resume = 0; resume < 2; resume++) {
            train_options o = fresh(NULL);
            train_end end;
            toy t;

            put(names[i], "{\"mine\":1}");
            o.resume = resume;
            toy_init(&t, -1);
            const train_job job = toy_job(&t, 20, 10);
            assert_fails(MILL_EINPUT, "--force without --resume", train_loop(&end, &job, &o));
            assert_non_null(strstr(mill_error(), names[i]));
            assert_holds(names[i], "{\"mine\":1}");
            assert_int_equal(count_files(""), 1);
            o.resume = false;
            o.force = true;
            run(&t, -1, 20, &o);
            assert_metrics_are(20);
            clean();
        }
}

/* What a killed write left goes; the unfinished files of others stay. */
void test_loop__removes_its_own_temporaries_alone(void **state)
{
    (void)state;
    train_options o = fresh(NULL);
    toy t;

    run(&t, -1, 20, &o);
    put("step_0000000030.mill.tmp", "half");
    put("manifest.json.tmp", "half");
    put("notes.tmp", "mine");
    put("out.csv.tmp", "half of another");
    o.resume = true;
    run(&t, -1, 20, &o);
    assert_int_equal(count_files("step_0000000030"), 0);
    assert_int_equal(count_files("manifest.json.tmp"), 0);
    assert_holds("notes.tmp", "mine");
    assert_holds("out.csv.tmp", "half of another");
    clean();
}

/* Whatever allocation fails: an error of memory or a warning, no leak, and the folder can be gone
 * on with. */
void test_loop__survives_every_failed_allocation(void **state)
{
    (void)state;
    mill_mem_stats before, after;
    int failures = 0;
    bool reached = true;

    for (int64_t n = 1; reached; n++) {
        train_options o = fresh(NULL);
        train_end end;
        toy t;

        o.early_stop = 2;
        o.probe_steps = 10;
        for (int part = 0; part < 2; part++) { /* a run, and one that resumes it */
            toy_init(&t, 20);
            t.bad_step = part ? 0 : 35;
            const train_job job = toy_job(&t, 200, 10);
            o.resume = part;
            mill_mem_get_stats(&before);
            mill_mem_fail_at(part ? n : 0);
            const mill_err err = train_loop(&end, &job, &o);
            mill_mem_fail_at(0);
            mill_mem_get_stats(&after);
            assert_int_equal(after.live, before.live);
            reached = after.calls - before.calls >= n;
            if (part && err) {
                assert_int_equal(err, MILL_ENOMEM);
                toy_init(&t, 20);
                assert_ok(train_loop(&end, &job, &o));
                failures++;
            }
        }
        assert_int_equal(end, TRAIN_STOPPED_EARLY);
        assert_true(toy_hash(&t) == hash_after(20, 20));
        clean();
    }
    assert_true(failures > 20);
}

void test_loop__refuses_an_unfinished_run_without_resume_or_force(void **state)
{
    (void)state;
    train_options o = fresh(NULL);
    train_end end;
    toy t;

    run(&t, -1, 20, &o);
    const train_job job = toy_job(&t, 20, 10);
    assert_fails(MILL_EINPUT, "--resume goes on, --force starts over", train_loop(&end, &job, &o));
    o.force = true;
    run(&t, -1, 20, &o);
    assert_int_equal(t.steps_run, 20);
    assert_metrics_are(20);
    assert_int_equal(count_files("events.out.tfevents."), 1);
    clean();
}

void test_loop__names_what_differs_from_the_run_to_resume(void **state)
{
    (void)state;
    json_t *was = json_pack("{s:i,s:f,s:{s:i,s:s}}", "epochs", 300, "lr", 0.5, "input", "bytes", 10,
                            "hash", "ab");
    json_t *is = json_pack("{s:i,s:f,s:{s:i,s:s}}", "epochs", 400, "lr", 0.5, "input", "bytes", 10,
                           "hash", "cd");
    train_options o = fresh(was);
    train_end end;
    toy t;

    const train_job job = fail_at(&t, 15, 20, -1, &o);
    t.bad_step = 0;
    o.resume = true;
    o.config = is;
    assert_fails(MILL_EINPUT, "epochs was 300, is 400; input.hash was \"ab\", is \"cd\"",
                 train_loop(&end, &job, &o));
    assert_null(strstr(mill_error(), "lr was")); /* the path may have any letters */
    assert_null(strstr(mill_error(), "bytes was"));
    o.force = true;
    t.steps_run = 0;
    assert_ok(train_loop(&end, &job, &o));
    assert_int_equal(t.steps_run, 10);
    assert_non_null(strstr(log_text, "epochs was 300, is 400"));
    json_decref(was);
    json_decref(is);
    clean();
}

/* The level of the manifest is changed by hand, as if the run had come from another machine. */
void test_loop__refuses_another_level_naming_both(void **state)
{
    (void)state;
    train_options o = fresh(NULL);
    train_end end;
    toy t;
    char path[200];

    const train_job job = fail_at(&t, 15, 20, -1, &o);
    t.bad_step = 0;
    snprintf(path, sizeof path, "%s/manifest.json", dir);
    assert_ok(file_write_all(path, "{\"level\":\"v9\",\"status\":\"running\"}", 33));
    o.resume = true;
    assert_fails(MILL_EINPUT, "level v9", train_loop(&end, &job, &o));
    assert_non_null(strstr(mill_error(), mill_cpu_level_name()));
    o.allow_other_level = true;
    assert_ok(train_loop(&end, &job, &o));
    clean();
}

void test_loop__warns_of_another_version(void **state)
{
    (void)state;
    json_t *now = json_pack("{s:s}", "version", "2.0");
    train_options o = fresh(NULL);
    train_end end;
    toy t;

    o.manifest = now;
    const train_job job = fail_at(&t, 15, 30, -1, &o);
    t.bad_step = 25;
    o.resume = true;
    assert_int_equal(train_loop(&end, &job, &o), MILL_EINPUT);
    assert_null(strstr(log_text, "version"));
    json_object_set_new(now, "version", json_string("2.1"));
    t.bad_step = 0;
    assert_ok(train_loop(&end, &job, &o));
    assert_non_null(strstr(log_text, "began with version 2.0 and this is 2.1"));
    json_decref(now);
    clean();
}

static void damage(const char *name, bool truncate_it)
{
    char path[200], *bytes;
    size_t n;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_ok(file_read_all(&bytes, &n, path));
    bytes[n / 2] ^= 4;
    assert_ok(file_write_all(path, bytes, truncate_it ? n * 2 / 3 : n));
    mill_free(bytes);
}

static void resume_past_damage(bool truncate_it)
{
    train_options o = fresh(NULL);
    toy t;

    fail_at(&t, 37, 50, -1, &o);
    damage("step_0000000030.mill", truncate_it);
    o.resume = true;
    run(&t, -1, 50, &o);
    assert_int_equal(t.steps_run, 30); /* from step 20 */
    assert_true(toy_hash(&t) == hash_after(50, -1));
    assert_non_null(strstr(log_text, "step_0000000030.mill"));
    assert_non_null(strstr(log_text, "passed over"));
    assert_non_null(strstr(log_text, "going on from step 20 of 50"));
    assert_metrics_are(50);
    clean();
}

void test_loop__passes_over_a_truncated_checkpoint(void **state)
{
    (void)state;
    resume_past_damage(true);
}

void test_loop__passes_over_a_checkpoint_with_a_flipped_bit(void **state)
{
    (void)state;
    resume_past_damage(false);
}

void test_loop__keeps_the_best_probed_state(void **state)
{
    (void)state;
    train_options o = fresh(NULL);
    toy t;

    o.early_stop = 3;
    o.probe_steps = 10;
    o.checkpoint_seconds = 1e9; /* only the best states are saved on the way */
    assert_int_equal(run(&t, 30, 200, &o), TRAIN_STOPPED_EARLY);
    assert_int_equal(t.steps_run, 60); /* probes at 40, 50, 60 were no better than at 30 */
    assert_true(toy_hash(&t) == hash_after(30, 30));
    clean();
}

/* Fails at step `bad`, resumes, and must end as a run that nothing disturbed: best state at 30,
 * stop at 60. */
void test_loop__stops_early_at_the_same_step_after_a_resume(void **state)
{
    (void)state;
    for (int bad = 5; bad < 60; bad += 5) {
        train_options o = fresh(NULL);
        toy t;

        o.early_stop = 3;
        o.probe_steps = 10;
        fail_at(&t, bad, 200, 30, &o);
        o.resume = true;
        assert_int_equal(run(&t, 30, 200, &o), TRAIN_STOPPED_EARLY);
        assert_true(toy_hash(&t) == hash_after(30, 30));
        assert_metrics_are_with(60, true);
        clean();
    }
}

void test_loop__does_not_trust_a_checkpoint_whose_best_state_is_gone(void **state)
{
    (void)state;
    train_options o = fresh(NULL);
    toy t;

    o.early_stop = 3;
    o.probe_steps = 10;
    fail_at(&t, 55, 200, 30, &o);
    damage("step_0000000030.mill", true);
    o.resume = true;
    run(&t, 30, 200, &o);
    assert_int_equal(t.steps_run, 60); /* 40 and 50 point at 30, so from the beginning */
    assert_true(toy_hash(&t) == hash_after(30, 30));
    clean();
}

void test_loop__saves_on_a_signal_and_goes_on_from_there(void **state)
{
    (void)state;
    train_options o = fresh(NULL);
    toy t;
    int status;

    const pid_t child = fork();
    if (child == 0) {
        train_end end;
        train_signals_install();
        o.checkpoint_seconds = 1e9;
        toy_init(&t, -1);
        t.raise_at = 16;
        const train_job job = toy_job(&t, 50, 10);
        const mill_err err = train_loop(&end, &job, &o);
        _exit(err ? 99 : end == TRAIN_INTERRUPTED ? train_signal_received() : 98);
    }
    waitpid(child, &status, 0);
    assert_int_equal(exit_of(status), SIGTERM);
    o.resume = true;
    run(&t, -1, 50, &o);
    assert_int_equal(t.steps_run, 33); /* steps 0..16 were saved */
    assert_true(toy_hash(&t) == hash_after(50, -1));
    assert_metrics_are(50);
    clean();
}

void test_loop__refuses_a_folder_in_which_another_process_runs(void **state)
{
    (void)state;
    train_options o = fresh(NULL);
    train_end end;
    toy t;
    int ready[2], done[2], status;
    char byte = 0;

    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(done), 0);
    const pid_t child = fork();
    if (child == 0) { /* holds the folder as a run does */
        char path[200];
        snprintf(path, sizeof path, "%s/lock", dir);
        const int fd = open(path, O_RDWR | O_CREAT, 0666);
        _exit(fd < 0 || flock(fd, LOCK_EX) || write(ready[1], "x", 1) != 1 ||
              read(done[0], &byte, 1) != 1);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    toy_init(&t, -1);
    const train_job job = toy_job(&t, 20, 10);
    assert_fails(MILL_EINPUT, "another process", train_loop(&end, &job, &o));
    assert_int_equal(write(done[1], "x", 1), 1);
    waitpid(child, &status, 0);
    assert_int_equal(exit_of(status), 0);
    run(&t, -1, 20, &o);
    clean();
}

/* vfat, and some network mounts. */
void test_loop__trains_where_a_file_system_has_no_locks(void **state)
{
    (void)state;
    train_options o = fresh(NULL);
    toy t;

    has_no_locks = true;
    run(&t, -1, 20, &o);
    has_no_locks = false;
    assert_non_null(strstr(log_text, "/lock: cannot lock: No locks available"));
    assert_metrics_are(20);
    clean();
}

void test_loop__trains_where_a_file_system_has_no_links(void **state)
{
    (void)state;
    train_options o = fresh(NULL);
    toy t;

    o.keep_best = o.links = true;
    o.probe_steps = 10;
    has_no_links = true;
    assert_int_equal(run(&t, 20, 50, &o), TRAIN_DONE);
    has_no_links = false;
    assert_true(toy_hash(&t) == hash_after(20, 20)); /* the best is kept all the same */
    assert_int_equal(count_files("step_"), 3);
    const char *first = strstr(log_text, "cannot make a link");
    assert_non_null(first);
    assert_null(strstr(first + 1, "cannot make a link")); /* said once */
    o.resume = true;
    assert_int_equal(run(&t, 20, 50, &o), TRAIN_DONE);
    clean();
}

/* A disk that fails now and then costs checkpoints and metrics, not the run. */
void test_loop__survives_failing_writes_with_the_same_result(void **state)
{
    (void)state;
    static const file_op ops[] = {FILE_OP_WRITE, FILE_OP_FSYNC, FILE_OP_RENAME};

    for (int k = 0; k < 3; k++)
        for (int n = 1; n < 40; n++) {
            train_options o = fresh(NULL);
            train_end end;
            toy t;

            toy_init(&t, -1);
            const train_job job = toy_job(&t, 50, 10);
            mill_file_fail_at(ops[k], n);
            const mill_err err = train_loop(&end, &job, &o);
            mill_file_fail_at(ops[k], 0);
            if (err) { /* the manifest or the last checkpoint: the run says so and can be gone on
                          with */
                assert_true(strlen(mill_error()) > 0);
                o.resume = true;
                run(&t, -1, 50, &o);
            }
            assert_true(toy_hash(&t) == hash_after(50, -1));
            clean();
        }
}

void test_loop__does_not_allocate_between_steps(void **state)
{
    (void)state;
    train_options o = fresh(NULL);
    train_end end;
    toy t;
    mill_mem_stats before, after;
    int64_t calls[2];

    o.checkpoint_seconds = 1e9;
    for (int k = 0; k < 2; k++) {
        toy_init(&t, -1);
        const train_job job = toy_job(&t, k ? 99 : 9, 1000); /* no epoch ends within */
        mill_mem_get_stats(&before);
        o.force = true;
        assert_ok(train_loop(&end, &job, &o));
        mill_mem_get_stats(&after);
        calls[k] = after.calls - before.calls;
        assert_int_equal(after.live, before.live);
        assert_ok(train_run_finish(&o));
    }
    assert_true(calls[1] <= calls[0] + 1); /* the second run lists the first one's files */
    clean();
}

void test_loop__keeps_the_best_state_without_early_stop(void **state)
{
    (void)state;
    train_options o = fresh(NULL);
    toy t;

    o.keep_best = true;
    o.probe_steps = 10;
    assert_int_equal(run(&t, 20, 50, &o), TRAIN_DONE);
    assert_true(toy_hash(&t) == hash_after(20, 20));
    clean();
}

/* However many are kept: the first is the best, and stays beside the newest. */
void test_loop__keeps_the_best_state_beside_as_many_as_can_be_kept(void **state)
{
    (void)state;
    for (int keep = CHECKPOINT_MAX - 2; keep <= CHECKPOINT_MAX; keep++) {
        train_options o = fresh(NULL);
        toy t;

        o.keep_best = true;
        o.probe_steps = 10;
        o.keep = keep;
        fail_at(&t, 705, 750, 10, &o);
        assert_int_equal(count_files("step_"), keep + 1);
        o.resume = true;
        run(&t, 10, 750, &o);
        assert_int_equal(t.steps_run, 50);
        assert_true(toy_hash(&t) == hash_after(10, 10));
        assert_int_equal(count_files("step_"), keep + 1);
        assert_null(strstr(log_text, "passed over"));
        clean();
    }
}

/* Folders under the names of checkpoints: they cannot be removed like files. */
void test_checkpoint__are_forgotten_when_they_cannot_be_removed(void **state)
{
    checkpoint_list list = {0};
    char path[200];

    (void)state;
    fresh(NULL);
    for (int i = 1; i <= 2 * CHECKPOINT_MAX; i++) {
        const loop_state s = {.step = i, .best_step = -1};
        snprintf(path, sizeof path, "%s/step_%010d.mill", dir, i);
        assert_ok(file_mkdir(path));
        const mill_err err = checkpoint_rotate(&list, dir, &s, 2);
        assert_int_equal(err, i > 2 ? MILL_EIO : MILL_OK);
        assert_int_equal(list.n, i < 2 ? i : 2);
    }
    clean();
}

static mill_err probe_late(void *ctx, int64_t step, double *quality)
{
    (void)ctx;
    *quality = step < 20 ? (double)NAN : step < 30 ? (double)INFINITY : 1 / (double)step;
    return MILL_OK;
}

void test_loop__takes_no_probe_for_the_best_that_is_no_number(void **state)
{
    (void)state;
    train_options o = fresh(NULL);
    train_end end;
    toy t;

    o.keep_best = true;
    o.probe_steps = 10;
    toy_init(&t, 0);
    train_job job = toy_job(&t, 50, 10);
    job.probe = probe_late;
    assert_ok(train_loop(&end, &job, &o));
    assert_true(toy_hash(&t) == hash_after(30, 0));
    assert_non_null(strstr(log_text, "step 10: the probe's quality is no number"));
    assert_null(strstr(log_text, "step 20: the probe"));
    clean();
}

static void assert_links_to(const char *name, const char *target)
{
    char path[200], found[200] = "";

    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_true(readlink(path, found, sizeof found - 1) > 0);
    assert_string_equal(found, target);
}

void test_loop__names_the_latest_checkpoint_and_the_best(void **state)
{
    (void)state;
    train_options o = fresh(NULL);
    toy t;

    o.keep_best = o.links = o.keep_after = true;
    o.probe_steps = 10;
    run(&t, 20, 50, &o);
    assert_links_to("latest.mill", "step_0000000050.mill");
    assert_links_to("best.mill", "step_0000000020.mill");
    assert_int_equal(count_files("step_"), 3); /* the newest two and the best */
    o.force = true;
    o.keep_best = false;
    run(&t, -1, 50, &o); /* a new run takes the old names away */
    assert_links_to("best.mill", "step_0000000050.mill");
    clean();
}

void test_loop__logs_within_epochs(void **state)
{
    static const int steps[] = {4, 8, 10, 12, 16, 20, 24, 28, 30};
    (void)state;
    train_options o = fresh(NULL);
    toy t;

    o.log_steps = 4;
    run(&t, -1, 30, &o);
    char *text = slurp("metrics.jsonl"), *line = text;
    for (int i = 0; i < 9; i++) {
        json_t *j = json_loadb(line, strcspn(line, "\n"), 0, NULL);
        assert_int_equal(json_integer_value(json_object_get(j, "step")), steps[i]);
        json_decref(j);
        line += strcspn(line, "\n") + 1;
    }
    assert_int_equal(*line, 0);
    mill_free(text);
    clean();
}
