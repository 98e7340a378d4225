/* t_text.c - growing strings and sizes. */
#include "lib/test.h"

#include "base/mem.h"
#include "base/text.h"

void test_text__grows_and_stays_terminated(void **state)
{
    mill_text t = {0};
    char want[20000] = "";
    size_t n = 0;

    (void)state;
    for (int i = 0; i < 1500; i++) {
        text_add(&t, "%d,%s;", i, i % 100 ? "ab" : "");
        n += (size_t)sprintf(want + n, "%d,%s;", i, i % 100 ? "ab" : "");
        assert_int_equal(t.len, n);
        assert_int_equal(strlen(t.s), n);
    }
    assert_string_equal(t.s, want);
    assert_ok(text_check(&t));
    text_clear(&t);
    assert_string_equal(t.s, "");
    text_add_bytes(&t, "a\0b", 3);
    assert_int_equal(t.len, 3);
    assert_memory_equal(t.s, "a\0b", 4);
    text_free(&t);
    assert_null(t.s);
}

void test_text__takes_lines_longer_than_its_buffer(void **state)
{
    mill_text t = {0};

    (void)state;
    for (int n = 500; n < 530; n++) {
        text_clear(&t);
        text_add(&t, "%*d", n, 7);
        assert_int_equal(t.len, n);
        assert_int_equal(t.s[n - 1], '7');
    }
    text_add(&t, "%3000d", 1);
    assert_int_equal(t.len, 3529);
    text_free(&t);
}

void test_text__remembers_a_failed_append(void **state)
{
    mill_text t = {0};

    (void)state;
    text_add(&t, "kept");
    mill_mem_fail_at(1);
    text_add(&t, "%1000d", 1);
    mill_mem_fail_at(0);
    text_add(&t, "not added after the gap");
    assert_string_equal(t.s, "kept");
    assert_fails(MILL_ENOMEM, "memory", text_check(&t));
    text_clear(&t);
    text_add(&t, "again");
    assert_ok(text_check(&t));
    text_free(&t);
}

void test_size__reads_decimal_and_binary_units(void **state)
{
    static const struct {
        const char *s;
        int64_t bytes;
    } good[] = {{"4096", 4096},
                {"8GB", 8000000000},
                {"512MiB", 512 << 20},
                {"1.5G", 1500000000},
                {"0", 0},
                {"1k", 1000},
                {"1Ki", 1024},
                {"2T", 2000000000000},
                {"1TiB", INT64_C(1) << 40},
                {"7B", 7},
                {"0.5KiB", 512},
                {".5K", 500}};
    static const char *const bad[] = {
        "",     "GB",  "-1",        "1.2.3", "8 GB", "8GBs", "1e3", "9223372036854775808",
        "1Kb1", "1iB", "99999999T", "8Gi B", "nan"};
    int64_t bytes = 77;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_ok(mill_parse_size(&bytes, good[i].s));
        if (bytes != good[i].bytes) fail_msg("%s is not %lld", good[i].s, (long long)bytes);
    }
    bytes = 77;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_fails(MILL_EINPUT, bad[i], mill_parse_size(&bytes, bad[i]));
    assert_int_equal(bytes, 77);
}

void test_size__is_written_for_people(void **state)
{
    static const struct {
        double bytes;
        const char *s;
    } cases[] = {
        {0, "0 B"},           {1023, "1023 B"},     {1024, "1.0 KiB"},  {1503238553, "1.4 GiB"},
        {1048575, "1.0 MiB"}, {1e19, "8881.8 PiB"}, {-2048, "-2.0 KiB"}};
    char buf[32];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(mill_format_size(buf, cases[i].bytes), cases[i].s);
}

void test_edits__are_the_fewest_between_two_words(void **state)
{
    static const struct {
        const char *a, *b;
        int edits;
    } cases[] = {{"", "", 0},
                 {"", "abc", 3},
                 {"epoch", "epochs", 1},
                 {"sampel", "sample", 2},
                 {"kitten", "sitting", 3},
                 {"Gentoo", "gentoo", 0},
                 {"flaw", "lawn", 2},
                 {"gumbo", "gambol", 2}};
    char a[200], b[200];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *x = cases[i].a, *y = cases[i].b;
        assert_int_equal(text_edits(x, strlen(x), y, strlen(y)), cases[i].edits);
        assert_int_equal(text_edits(y, strlen(y), x, strlen(x)), cases[i].edits);
    }
    memset(a, 'x', sizeof a);
    memset(b, 'y', sizeof b); /* long ones are cut */
    assert_int_equal(text_edits(a, sizeof a, b, sizeof b), TEXT_MAX_EDITS);
}
