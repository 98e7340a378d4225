/* t_rolling.c - a log keeps the last bytes of its writers, on no more disk than it may have. */
#include "lib/test.h"

#include "base/mem.h"
#include "base/rolling.h"

#include <unistd.h>

static char folder[64];
static rolling_log l;

static void enter(int64_t most)
{
    snprintf(folder, sizeof folder, "/tmp/tabmill-t_rolling-XXXXXX");
    assert_non_null(mkdtemp(folder));
    l = (rolling_log){.most = most};
    snprintf(l.path, sizeof l.path, "%s/log", folder);
}

static void leave(void)
{
    rolling_close(&l);
    mill_file_fail_at(FILE_OP_WRITE, 0);
    mill_file_fail_at(FILE_OP_RENAME, 0);
    assert_ok(file_remove_tree(folder));
}

static mill_err put(const char *words)
{
    return rolling_put(&l, words, strlen(words));
}

static void assert_log(const char *name, const char *want)
{
    char path[700], *text;
    size_t n;

    snprintf(path, sizeof path, "%s%s", l.path, name);
    assert_ok(file_read_all(&text, &n, path));
    assert_string_equal(text, want);
    mill_free(text);
}

static bool has_rolled(void)
{
    char old[700];

    snprintf(old, sizeof old, "%s.1", l.path);
    return file_exists(old);
}

void test_rolling__keeps_the_log_and_one_before(void **state)
{
    (void)state;
    enter(10);
    assert_ok(put("longer than it may be\n")); /* whole, by itself; nothing is before it */
    assert_false(has_rolled());
    for (int i = 0; i < 7; i++) {
        char words[8];
        snprintf(words, sizeof words, "%04d\n", i);
        assert_ok(put(words));
    }
    assert_log("", "0006\n");
    assert_log(".1", "0004\n0005\n");
    leave();
}

void test_rolling__rolls_between_lines_that_come_at_once(void **state)
{
    (void)state;
    enter(10);
    assert_ok(put("0001\n0002\n0003\n0004\n0005\nlonger than it may be\n0006\nend"));
    assert_log("", "0006\nend");
    assert_log(".1", "longer than it may be\n");
    leave();
    enter(10);
    assert_ok(put("0001\n0002\n0003\n0004\n0005\n"));
    assert_log("", "0005\n");
    assert_log(".1", "0003\n0004\n");
    leave();
}

void test_rolling__counts_what_an_earlier_process_wrote(void **state)
{
    (void)state;
    enter(10);
    assert_ok(file_write_all(l.path, "12345678\n", 9));
    assert_ok(put("9\n"));
    assert_log("", "9\n");
    assert_log(".1", "12345678\n");
    leave();
}

void test_rolling__without_a_bound_or_a_path_does_not_roll(void **state)
{
    (void)state;
    enter(0);
    for (int i = 0; i < 3; i++) assert_ok(put("words\n"));
    assert_log("", "words\nwords\nwords\n");
    assert_false(has_rolled());
    leave();
    l = (rolling_log){.most = 1};
    assert_ok(put("nowhere")); /* a log that nobody wants */
    assert_null(l.file);
}

void test_rolling__loses_what_the_disk_does_not_take_and_goes_on(void **state)
{
    (void)state;
    enter(20);
    assert_ok(put("first\n"));
    mill_file_fail_at(FILE_OP_WRITE, 1);
    assert_fails(MILL_EIO, l.path, put("lost\n"));
    assert_ok(put("third\n"));
    assert_log("", "first\nthird\n");
    mill_file_fail_at(FILE_OP_RENAME, 1);
    assert_ok(put("not renamed\n"));
    assert_ok(put("grows\n")); /* for as long as it may be; no attempt at each put */
    assert_log("", "first\nthird\nnot renamed\ngrows\n");
    assert_ok(put("anew\n"));
    assert_log("", "anew\n");
    leave();
}
