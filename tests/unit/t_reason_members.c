/* t_reason_members.c - members of JSON text, compared with jansson on text that is nearly JSON. */
#include "lib/test.h"

#include "base/mem.h"
#include "base/philox.h"
#include "reason/members.h"

#include <jansson.h>

static members m;

static bool scans(const char *text)
{
    return members_scan(&m, text, strlen(text), false);
}

void test_members__lie_where_they_are(void **state)
{
    (void)state;
    static const char text[] = " {\"a\": \"x\" ,\"b\":[1, {\"c\":2}], \"\":-0.5,\"d\":\"\\n\" } \n";
    assert_true(scans(text));
    assert_int_equal(m.n, 4);
    const member *a = members_find(&m, "a"), *b = members_find(&m, "b"), *d = members_find(&m, "d");
    assert_true(a->is_plain && a->n_value == 3 && !memcmp(a->value, "\"x\"", 3));
    assert_true(!b->is_plain && b->n_value == 12 && !memcmp(b->value, "[1, {\"c\":2}]", 12));
    assert_true(!d->is_plain && members_find(&m, "")->n_value == 4);
    assert_null(members_find(&m, "c"));
    assert_true(scans("{}"));
    assert_int_equal(m.n, 0);
}

void test_members__are_unsure_of_the_unusual(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "[]",
                                        "{",
                                        "{\"a\"}",
                                        "{\"a\":1,}",
                                        "{\"a\":1}x",
                                        "{a:1}",
                                        "{\"a\":01}",
                                        "{\"a\":1.}",
                                        "{\"a\":.5}",
                                        "{\"a\":1e}",
                                        "{\"a\":1e+}",
                                        "{\"a\":1.e5}",
                                        "{\"a\":1e500}",
                                        "{\"a\":+1}",
                                        "{\"a\":1,\"a\":2}",
                                        "{\"a\":{\"b\":1,\"b\":2}}",
                                        "{\"a\":\"\\ud800\"}",
                                        "{\"a\":\"\\u0000\"}",
                                        "{\"a\":\"\\udc00\"}",
                                        "{\"a\":\"\xff\"}",
                                        "{\"a\":\"\t\"}",
                                        "{\"a\":tru}",
                                        "{\"\\u0061\":1}",
                                        "{\"a\":1234567890123456789}",
                                        "{\"a\":\"x}",
                                        "{\"a\":[1,]}",
                                        "{\"a\":[1 2]}",
                                        "{\"a\" 1}",
                                        "{,}",
                                        "{\"a\":[}",
                                        "{\"a\":\"\\x\"}",
                                        "{\"a\":nul"};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (scans(texts[i])) fail_msg("%s", texts[i]);
}

void test_members__of_too_deep_nesting_are_unsure(void **state)
{
    (void)state;
    char text[5000] = "{\"a\":";

    memset(text + 5, '[', 2000);
    assert_false(members_scan(&m, text, 2005, false));
}

/* Text made of pieces of JSON: what the scanner takes jansson takes, with the same members. */
void test_members__that_are_taken_are_those_of_jansson(void **state)
{
    (void)state;
    static const char *const piece[] = {"{",
                                        "}",
                                        "[",
                                        "]",
                                        ",",
                                        ":",
                                        "\"a\"",
                                        "\"b\"",
                                        "\"\\n\"",
                                        "1",
                                        "-2.5",
                                        "0",
                                        "true",
                                        "null",
                                        " ",
                                        "\"\xc3\xa9\"",
                                        "{\"a\":1",
                                        ",\"b\":",
                                        "\"\\ud83d\\ude00\"",
                                        "e",
                                        "\"",
                                        "1e3",
                                        "-2.5E-07"};
    const uint32_t n_pieces = sizeof piece / sizeof *piece;
    mill_rng rng = mill_rng_init(8, 1, 2);
    int taken = 0;

    for (int k = 0; k < 300000; k++) {
        char text[200] = "{\"a\":";
        const uint32_t n = 1 + mill_rng_below(&rng, 9);
        size_t at = strlen(text);
        for (uint32_t i = 0; i < n; i++)
            at += (size_t)snprintf(text + at, sizeof text - at, "%s",
                                   piece[mill_rng_below(&rng, n_pieces)]);
        if (mill_rng_below(&rng, 2)) snprintf(text + at, sizeof text - at, "}");
        if (!scans(text)) continue;
        taken++;
        json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        if (!o || (int)json_object_size(o) != m.n) fail_msg("%s", text);
        for (int i = 0; i < m.n; i++) {
            char key[100];
            snprintf(key, sizeof key, "%.*s", (int)m.at[i].n_key, m.at[i].key);
            json_t *v = json_loadb(m.at[i].value, m.at[i].n_value, JSON_DECODE_ANY, NULL);
            if (!v || !json_equal(v, json_object_get(o, key))) fail_msg("%s: %s", text, key);
            if (m.at[i].is_plain !=
                (json_is_string(v) && m.at[i].n_value - 2 == json_string_length(v)))
                fail_msg("%s: %s is plain: %d", text, key, m.at[i].is_plain);
            json_decref(v);
        }
        json_decref(o);
    }
    assert_true(taken > 1000);
}
