/* t_server_window.c - windows and limits by a clock of our own, and what is read from servers. */
#include "lib/test.h"

#include "base/mem.h"
#include "reason/server_inner.h"

#include <math.h>
#include <unistd.h>

static chat_reply ok_after(double seconds)
{
    return (chat_reply){
        .is = CHAT_OK, .status = 200, .seconds = seconds, .rates = {-1, -1, -1, -1, -1}};
}

static chat_reply status_after(int status, double seconds)
{
    chat_reply r = ok_after(seconds);

    r.is = CHAT_AGAIN;
    r.status = status;
    return r;
}

static server_window automatic(void)
{
    server_window w;

    window_init(&w, 0, 256, 0, 0, 0);
    return w;
}

/* Fills the window at `now` and gives all of it back a second later. */
static void round_trip(server_window *w, double now)
{
    const chat_reply r = ok_after(1);
    int64_t n = 0;

    for (; window_has_room(w, 1, now); n++) window_take(w, 1, now);
    while (n--) window_give(w, 1, &r, 1, now + 1);
}

void test_window__doubles_in_each_round_trip_up_to_its_most(void **state)
{
    server_window w = automatic();
    (void)state;

    assert_int_equal(window_size(&w), 32);
    for (int i = 0; i < 2; i++) round_trip(&w, i);
    assert_in_range(window_size(&w), 100, 128);
    for (int i = 2; i < 8; i++) round_trip(&w, i);
    assert_int_equal(window_size(&w), 256);
    assert_int_equal(w.in_flight, 0);
}

void test_window__halves_once_for_what_was_sent_before_the_cut(void **state)
{
    const chat_reply busy = status_after(429, 1);
    server_window w = automatic();
    (void)state;

    while (window_has_room(&w, 1, 0)) window_take(&w, 1, 0);
    for (int i = 0; i < 32; i++) window_give(&w, 1, &busy, 0, 1);
    assert_int_equal(window_size(&w), 16);
    window_take(&w, 1, 1.5);
    window_give(&w, 1, &busy, 0, 2.5);
    assert_int_equal(window_size(&w), 8);
}

void test_window__grows_by_one_a_round_trip_after_a_cut(void **state)
{
    const chat_reply busy = status_after(503, 1);
    server_window w = automatic();
    (void)state;

    window_take(&w, 1, 0);
    window_give(&w, 1, &busy, 0, 1);
    for (int i = 0; i < 10; i++) round_trip(&w, 2 + i);
    assert_in_range(window_size(&w), 25, 26);
}

void test_window__of_one_never_vanishes(void **state)
{
    server_window w = automatic();
    (void)state;

    for (int i = 0; i < 20; i++) {
        const chat_reply busy = status_after(429, .5);
        window_take(&w, 1, i);
        window_give(&w, 1, &busy, 0, i + .5);
    }
    assert_int_equal(window_size(&w), 1);
    assert_true(window_has_room(&w, 1, 100));
}

void test_window__narrows_for_timeouts_and_not_for_refusals(void **state)
{
    server_window w = automatic();
    chat_reply r = status_after(0, 1);
    (void)state;

    r.end = HTTP_NO_CONNECTION;
    window_take(&w, 1, 0);
    window_give(&w, 1, &r, 0, 1);
    assert_int_equal(window_size(&w), 32);
    for (int i = 0; i < 3; i++) {
        r.end = (http_end[]){HTTP_NO_FIRST_BYTE, HTTP_IDLE, HTTP_TOO_LONG}[i];
        window_take(&w, 1, 2 * i + 2);
        window_give(&w, 1, &r, 0, 2 * i + 3);
    }
    assert_int_equal(window_size(&w), 4);
}

void test_window__that_is_fixed_stays(void **state)
{
    const chat_reply busy = status_after(429, 0);
    const server_metrics m = {.running = 1, .waiting = 50, .cache_share = 1, .preemptions = 9};
    server_window w;
    (void)state;

    window_init(&w, 5, 256, 0, 0, 0);
    for (int i = 0; i < 5; i++) window_take(&w, 1, 0);
    assert_false(window_has_room(&w, 1, 0));
    for (int i = 0; i < 5; i++) window_give(&w, 1, &busy, 0, 1);
    window_steer(&w, &m, 2);
    window_steer(&w, &m, 3);
    assert_int_equal(window_size(&w), 5);
}

/* ---- metrics ---- */

void test_metrics__lead_to_a_few_waiting_requests(void **state)
{
    const server_metrics m = {.running = 32, .waiting = 32, .cache_share = .5, .preemptions = 0};
    server_window w = automatic();
    (void)state;

    w.size = 64;
    window_steer(&w, &m, 1);
    assert_int_equal(window_size(&w), 36); /* 32 run, an eighth of them waits */
    for (int i = 0; i < 36; i++) window_take(&w, 1, 1);
    const server_metrics few = {.running = 36, .waiting = 0, .cache_share = .5, .preemptions = 0};
    window_steer(&w, &few, 2);
    assert_int_equal(window_size(&w), 40);
}

void test_metrics__that_lag_behind_cut_no_more_than_half(void **state)
{
    const server_metrics m = {.running = 1, .waiting = 60, .cache_share = 0, .preemptions = 0};
    server_window w = automatic();
    (void)state;

    w.size = 64;
    window_steer(&w, &m, 1);
    assert_int_equal(window_size(&w), 32);
}

void test_metrics__double_a_window_until_something_waits(void **state)
{
    server_metrics m = {.running = 0, .waiting = 0, .cache_share = .5, .preemptions = 0};
    server_window w = automatic();
    (void)state;

    window_steer(&w, &m, 1);
    assert_int_equal(window_size(&w), 32); /* it was not full */
    assert_false(window_is_sought(&w));
    for (int i = 0; i < 32; i++) window_take(&w, 1, 1);
    assert_true(window_is_sought(&w));
    m.running = 20;
    window_steer(&w, &m, 1.1);
    assert_int_equal(window_size(&w), 32); /* not all of them run yet */
    m.running = 32;
    window_steer(&w, &m, 1.2);
    assert_int_equal(window_size(&w), 64);
    for (int i = 0; i < 32; i++) window_take(&w, 1, 1.2);
    m.running = 63;
    m.waiting = 1;
    window_steer(&w, &m, 1.3);
    assert_int_equal(window_size(&w), 64);
    assert_false(window_is_sought(&w));
    m.waiting = 0;
    window_steer(&w, &m, 2.3);
    assert_int_equal(window_size(&w), 64 + 7); /* from now on with care */
}

void test_metrics__of_preemptions_narrow(void **state)
{
    server_metrics m = {.running = 50, .waiting = 0, .cache_share = .5, .preemptions = 3};
    server_window w = automatic();
    (void)state;

    w.size = 100;
    window_steer(&w, &m, 1); /* what was before is nobody's fault */
    assert_int_equal(window_size(&w), 100);
    m.preemptions = 4;
    window_steer(&w, &m, 2);
    assert_int_equal(window_size(&w), 90);
}

/* Places would be empty if it narrowed, and more would only wait if it grew. */
void test_metrics__of_a_full_cache_hold_the_window(void **state)
{
    const server_metrics m = {.running = 30, .waiting = 2, .cache_share = .97, .preemptions = 0};
    server_window w = automatic();
    (void)state;

    for (int i = 0; i < 9; i++) {
        window_steer(&w, &m, i);
        round_trip(&w, i);
    }
    assert_int_equal(window_size(&w), 32);
}

void test_metrics__hold_answers_back_while_many_wait(void **state)
{
    const server_metrics m = {.running = 16, .waiting = 9, .cache_share = -1, .preemptions = -1};
    const chat_reply r = ok_after(1);
    server_window w = automatic();
    (void)state;

    window_steer(&w, &m, 1);
    const int64_t size = window_size(&w);
    for (int i = 0; i < size; i++) window_take(&w, 1, 1);
    for (int i = 0; i < size; i++) window_give(&w, 1, &r, 1, 2);
    assert_int_equal(window_size(&w), size);
}

void test_metrics__have_names_of_three_servers(void **state)
{
    server_metrics m;
    (void)state;

    assert_true(probe_metrics(&m,
                              "# TYPE vllm:num_requests_running gauge\n"
                              "vllm:num_requests_running{engine=\"0\",model_name=\"a}\\\"b\"} 3.0\n"
                              "vllm:num_requests_running{engine=\"1\"} 4.0\n"
                              "vllm:num_requests_waiting 2\n"
                              "vllm:gpu_cache_usage_perc{engine=\"0\"} 0.25\n"
                              "vllm:gpu_cache_usage_perc{engine=\"1\"} 0.5\n"
                              "vllm:num_preemptions_total 1e1"));
    assert_true(m.running == 7 && m.waiting == 2 && m.cache_share == .5 && m.preemptions == 10);
    assert_true(probe_metrics(&m, "sglang:num_running_reqs{a=\"b\"} 5\nsglang:num_queue_reqs 0\n"
                                  "sglang:token_usage 0.28\n"));
    assert_true(m.running == 5 && m.waiting == 0 && m.cache_share == .28 && m.preemptions == -1);
    assert_true(
        probe_metrics(&m, "llamacpp:requests_processing 1\nllamacpp:requests_deferred 6\n"));
    assert_true(m.running == 1 && m.waiting == 6);
    assert_false(probe_metrics(&m, "python_gc_objects_collected_total 9\n"));
    assert_false(
        probe_metrics(&m, "vllm:num_requests_waiting{ nan\nvllm:num_requests_running NaN"));
    assert_true(m.running == -1 && m.waiting == -1);
}

/* ---- limits ---- */

void test_limits__let_no_minute_have_more_than_they_say(void **state)
{
    const chat_reply r = ok_after(0);
    server_window w;
    int64_t sent = 0;
    (void)state;

    window_init(&w, 1000, 0, 120, 0, 0);
    for (int i = 0; i < 6000; i++) {
        const double now = .01 * i;
        while (window_has_room(&w, 10, now)) {
            window_take(&w, 10, now);
            window_give(&w, 10, &r, 10, now);
            sent++;
        }
    }
    assert_in_range(sent, 120, 122); /* and the second's worth that it began with */
}

void test_limits__of_tokens_are_set_right_by_what_was_used(void **state)
{
    const chat_reply r = ok_after(1);
    server_window w;
    (void)state;

    window_init(&w, 1000, 0, 0, 60000, 0); /* 1000 a second */
    window_take(&w, 1000, 0);
    assert_false(window_has_room(&w, 100, 0));
    window_give(&w, 1000, &r, 400, 0);
    assert_true(window_has_room(&w, 600, 0));
    assert_false(window_has_room(&w, 601, 0));
    window_take(&w, 600, 0);
    window_give(&w, 600, NULL, 0, 0); /* was not sent */
    assert_true(window_has_room(&w, 600, 0));
}

void test_limits__let_a_request_larger_than_a_second_go_and_wait_for_its_debt(void **state)
{
    server_window w;
    (void)state;

    window_init(&w, 1000, 0, 0, 60000, 0);
    assert_true(window_has_room(&w, 5000, 0));
    window_take(&w, 5000, 0);
    assert_float_equal(window_wait(&w, 500, 0), 4.5, 1e-9); /* 4000 of debt and 500 */
    assert_true(window_has_room(&w, 500, window_wait(&w, 500, 0)));
}

void test_limits__are_believed_from_headers_until_their_reset(void **state)
{
    chat_reply r = ok_after(1);
    server_window w = automatic();
    (void)state;

    r.rates.requests_left = 1;
    r.rates.requests_reset = 7;
    window_take(&w, 10, 0);
    window_give(&w, 10, &r, 10, 1);
    assert_true(window_has_room(&w, 10, 1));
    window_take(&w, 10, 1);
    assert_false(window_has_room(&w, 10, 1));
    assert_float_equal(window_wait(&w, 10, 1), 7, 1e-9);
    assert_true(window_has_room(&w, 10, 8));
    r.rates.requests_left = -1;
    r.rates.tokens_left = 50;
    r.rates.tokens_reset = 3;
    window_give(&w, 10, &r, 10, 8);
    assert_true(window_has_room(&w, 50, 8));
    assert_float_equal(window_wait(&w, 51, 8), 3, 1e-9);
}

/* Sends one, which is answered at `now` and has taken a second. */
static void answered(server_window *w, const chat_reply *r, double now)
{
    window_take(w, 1, now - 1);
    window_give(w, 1, r, 0, now);
}

void test_limits__stop_everything_until_retry_after_of_several(void **state)
{
    const chat_reply ok = ok_after(1);
    chat_reply r = status_after(429, 1);
    server_window w;
    (void)state;

    r.rates.retry_after = 20;
    window_init(&w, 8, 0, 0, 0, 0);
    for (int i = 0; i < 2; i++) answered(&w, &r, 1);
    answered(&w, &ok, 1);
    for (int i = 0; i < 2; i++) answered(&w, &r, 1);
    assert_true(window_has_room(&w, 1, 1)); /* others are answered */
    answered(&w, &r, 1);
    assert_float_equal(window_wait(&w, 1, 1), 20, 1e-9);
    r.rates.retry_after = 2; /* a later, shorter one takes nothing back */
    answered(&w, &r, 2);
    assert_false(window_has_room(&w, 1, 20.9));
    assert_true(window_has_room(&w, 1, 21));
    window_restart(&w, 3);
    assert_true(window_has_room(&w, 1, 3));
    answered(&w, &r, 4);
    assert_true(window_has_room(&w, 1, 4));
}

/* ---- lists of models ---- */

static const char two[] = "{\"object\":\"list\",\"data\":[{\"id\":\"a/b\",\"max_model_len\":4096,"
                          "\"owned_by\":\"vllm\"},{\"id\":\"c\",\"meta\":{\"n_ctx_train\":77}}]}";
static const char one[] = "{\"data\":[{\"id\":\"/models/x.gguf\",\"owned_by\":\"me\"}]}";

void test_models__are_found_by_name_or_alone(void **state)
{
    model_listed m;
    (void)state;

    assert_ok(probe_models(&m, two, sizeof two - 1, "a/b", false, "S"));
    assert_string_equal(m.name, "a/b");
    assert_int_equal(m.context, 4096);
    assert_ptr_equal(preset_of_owner(m.owner), preset_find("vllm"));
    mill_free(m.name);
    assert_ok(probe_models(&m, two, sizeof two - 1, "c", false, "S"));
    assert_int_equal(m.context, 77);
    mill_free(m.name);
    assert_ok(probe_models(&m, one, sizeof one - 1, NULL, false, "S"));
    assert_string_equal(m.name, "/models/x.gguf");
    assert_ptr_equal(preset_of_owner(m.owner), preset_find("llama-cpp-python"));
    mill_free(m.name);
    assert_ok(probe_models(&m, one, sizeof one - 1, "x", true, "S")); /* we started it for x */
    mill_free(m.name);
}

void test_models__that_are_not_there_are_told_with_those_that_are(void **state)
{
    model_listed m;
    (void)state;

    assert_fails(MILL_EINPUT, "S: model \"d\" is not served there; it has: \"a/b\", \"c\"",
                 probe_models(&m, two, sizeof two - 1, "d", true, "S"));
    assert_fails(MILL_EINPUT, "--model is to say which one is meant; it has: \"a/b\", \"c\"",
                 probe_models(&m, two, sizeof two - 1, NULL, true, "S"));
    assert_fails(MILL_EINPUT, "model \"x\" is not served",
                 probe_models(&m, one, sizeof one - 1, "x", false, "S"));
    assert_fails(MILL_EINPUT, "it has: none",
                 probe_models(&m, "{\"data\":[]}", 11, "x", true, "S"));
    assert_fails(MILL_EINPUT, "no OpenAI-compatible server",
                 probe_models(&m, "<html>", 6, "x", false, "S"));
    assert_fails(MILL_EINPUT, "no OpenAI-compatible server",
                 probe_models(&m, "{\"data\":3}", 10, "x", false, "S"));
    assert_fails(MILL_EINPUT, "is not served",
                 probe_models(&m, "{\"data\":[{\"id\":7},2]}", 21, "x", false, "S"));
}

/* ---- commands ---- */

static const command_fill fill = {.model = "a b'c", .port = "8000", .gpu = "GPU-1", .cache = "/c"};

void test_command__is_split_as_a_shell_does_and_filled_afterwards(void **state)
{
    const char *const want[] = {"vllm", "--port=8000", "-m",          "a b'c", "x y", "{model",
                                "",     "GPU-1:8000",  "\\n$HOME;{}", NULL};
    mill_arena *a;
    char **w;
    int n;
    (void)state;

    assert_ok(mill_arena_new(&a));
    assert_ok(command_words(&w, &n, a,
                            " vllm --port={port} -m {model}\t'x y' \\{model \"\" {gpu}':'{port} "
                            "'\\n$HOME;{}'\n",
                            &fill));
    assert_int_equal(n, 9);
    for (int i = 0; i < 9; i++) assert_string_equal(w[i], want[i]);
    assert_null(w[9]);
    assert_fails(MILL_EINPUT, "is not closed", command_words(&w, &n, a, "a 'b", &fill));
    assert_fails(MILL_EINPUT, "empty", command_words(&w, &n, a, " ", &fill));
    assert_fails(MILL_EINPUT, "{socket}", command_words(&w, &n, a, "a {socket}", &fill));
    mill_arena_free(a);
}

void test_command__has_an_environment_that_respects_the_users(void **state)
{
    char *more[] = {"SERVE_A=ours", "SERVE_B=ours"};
    bool a_is_theirs = false, b_is_ours = false;
    int visible = 0;
    mill_arena *a;
    char **env;
    (void)state;

    setenv("SERVE_A", "theirs", 1);
    setenv("CUDA_VISIBLE_DEVICES", "0,1", 1);
    assert_ok(mill_arena_new(&a));
    assert_ok(command_environment(&env, a, more, 2, "CUDA_VISIBLE_DEVICES=GPU-7"));
    for (char **e = env; *e; e++) {
        if (!strncmp(*e, "SERVE_A=", 8)) a_is_theirs = !strcmp(*e, "SERVE_A=theirs");
        if (!strcmp(*e, "SERVE_B=ours")) b_is_ours = true;
        if (!strncmp(*e, "CUDA_VISIBLE", 12))
            visible += strcmp(*e, "CUDA_VISIBLE_DEVICES=GPU-7") ? 9 : 1;
    }
    assert_true(a_is_theirs && b_is_ours);
    assert_int_equal(visible, 1);
    mill_arena_free(a);
    unsetenv("SERVE_A");
    unsetenv("CUDA_VISIBLE_DEVICES");
}

void test_presets__can_all_be_composed(void **state)
{
    const char *const names[] = {"vllm", "sglang", "llama-server", "llama-cpp-python"};
    const command_fill all = {"m", "1", "0", "s", "c"};
    mill_arena *a;
    char **w;
    int n;
    (void)state;

    assert_ok(mill_arena_new(&a));
    for (int i = 0; i < 4; i++) {
        const server_preset *p = preset_find(names[i]);
        assert_non_null(p);
        assert_ok(command_words(&w, &n, a, p->command, &all));
        assert_ok(command_words(&w, &n, a, p->fast, &all));
        assert_true(command_names(p->command, "port") != command_names(p->command, "socket"));
        assert_true(command_names(p->command, "model"));
    }
    assert_null(preset_find("vllm serve"));
    assert_null(preset_find(NULL));
    mill_arena_free(a);
}
