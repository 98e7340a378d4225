/* t_json.c - JSON for people: short reals, everything else as jansson writes it. */
#include "base/json.h"
#include "base/mem.h"
#include "lib/test.h"

#include <math.h>

static char *text_of(const json_t *v, size_t flags)
{
    char *text;

    assert_ok(mill_json_text(&text, v, flags));
    return text;
}

static void check_real(double x, const char *want)
{
    json_t *v = json_real(x);
    char *text = text_of(v, JSON_ENCODE_ANY);

    assert_string_equal(text, want);
    json_t *back = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_true(json_is_real(back) && json_real_value(back) == x);
    json_decref(back);
    json_decref(v);
    mill_free(text);
}

void test_json__writes_reals_in_the_fewest_digits(void **state)
{
    (void)state;
    check_real(.1, "0.1");
    check_real(32.1, "32.1");
    check_real(-2e-4, "-0.0002");
    check_real(2, "2.0");
    check_real(-0.0, "-0.0");
    check_real(1.0 / 3, "0.3333333333333333");
    check_real(1e20, "100000000000000000000.0");
    check_real(1.5e300, "1.5e300");
    check_real(0x1p-1074, "5e-324");
}

void test_json__leaves_all_else_alone(void **state)
{
    static const char *const texts[] = {
        "{\"a 0.10000000000000001\": \"32.100000000000001\", \"b\": -17, \"c\": [true, null]}",
        "[\"\\\"0.10000000000000001\", \"\\\\\", 9007199254740993, {}, []]",
        "\"0.10000000000000001\"",
        "[]",
    };

    (void)state;
    for (int i = 0; i < 4; i++) {
        json_t *v = json_loads(texts[i], JSON_DECODE_ANY, NULL);
        char *text = text_of(v, JSON_ENCODE_ANY),
             *indented = text_of(v, JSON_INDENT(2) | JSON_ENCODE_ANY);
        char *plain = json_dumps(v, JSON_INDENT(2) | JSON_ENCODE_ANY);
        assert_string_equal(text, texts[i]);
        assert_string_equal(indented, plain);
        free(plain);
        mill_free(text);
        mill_free(indented);
        json_decref(v);
    }
}

void test_json__writes_each_real_of_a_list(void **state)
{
    json_t *v = json_pack("{s:[f,i,f], s:f}", "x", .1, 7, 1e-9, "y", .7);
    char *text = text_of(v, JSON_COMPACT | JSON_SORT_KEYS);

    (void)state;
    assert_string_equal(text, "{\"x\":[0.1,7,1e-9],\"y\":0.7}");
    mill_free(text);
    json_decref(v);
}

void test_json__says_when_memory_is_out(void **state)
{
    json_t *v = json_pack("[f]", .1);
    char *text = NULL;

    (void)state;
    mill_mem_fail_at(1);
    assert_fails(MILL_ENOMEM, "no memory", mill_json_text(&text, v, 0));
    mill_mem_fail_at(0);
    assert_fails(MILL_ENOMEM, "no memory", mill_json_text(&text, NULL, 0));
    assert_null(text);
    json_decref(v);
}

void test_json__shows_a_path_that_is_no_text(void **state)
{
    (void)state;
    static const char *const pair[][2] = {{"r.csv", "r.csv"},
                                          {"\xe4\xba\xac/\xc3\xa9", "\xe4\xba\xac/\xc3\xa9"},
                                          {"r\xe9.csv", "r\xef\xbf\xbd.csv"},
                                          {"\xe4\xba", "\xef\xbf\xbd\xef\xbf\xbd"},
                                          {"", ""}};

    for (size_t k = 0; k < sizeof pair / sizeof *pair; k++) {
        json_t *v = mill_json_path(pair[k][0]);
        assert_string_equal(json_string_value(v), pair[k][1]);
        json_decref(v);
    }
}
