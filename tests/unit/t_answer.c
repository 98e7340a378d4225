/* t_answer.c - answers compared: pairs by hand (pairs by construction: t_answer_grammar.c). */
#include "lib/near.h"

#include "reason/answer.h"

#include <string.h>

static answer_span span(const char *s)
{
    return (answer_span){s, strlen(s)};
}

typedef struct {
    const char *gold, *given;
} pair;

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void expect(const pair *p, size_t n, answer_verdict want)
{
    int others = 0;

    for (size_t i = 0; i < n; i++)
        for (int swap = 0; swap < 2; swap++) {
            const char *a = swap ? p[i].given : p[i].gold, *b = swap ? p[i].gold : p[i].given;
            const answer_verdict v = answer_compare(span(a), span(b));
            if (v == want) continue;
            print_error("%s | %s: %s\n", a, b, answer_verdict_name(v));
            others++;
        }
    assert_int_equal(others, 0);
}

static const pair equal[] = {
    {"1/2", "\\frac{1}{2}"},
    {"\\dfrac12", "0.5"},
    {"0.50", ".5"},
    {"50\\%", "\\frac{1}{2}"},
    {"1,234,567", "1234567"},
    {"12{,}345", "12345"},
    {"10\\,000", "10000"},
    {"3\\frac{1}{2}", "7/2"},
    {"3 1/2", "3.5"},
    {"-3\\frac{1}{2}", "-7/2"},
    {"2\\sqrt{3}", "\\sqrt{12}"},
    {"\\sqrt{16}", "4"},
    {"\\frac{1}{\\sqrt2}", "\\frac{\\sqrt{2}}{2}"},
    {"(1+\\sqrt5)(1-\\sqrt5)", "-4"},
    {"\\sqrt[3]{27}", "3"},
    {"\\sqrt[3]{-8}", "-2"},
    {"x^2+2x+1", "(x+1)^2"},
    {"\\frac{x^2-1}{x-1}", "x+1"},
    {"2^{10}", "1024"},
    {"5!", "120"},
    {"\\binom{10}{3}", "120"},
    {"10^{30}+1", "1000000000000000000000000000001"},
    {"\\frac{\\pi}{4}", "45^\\circ"},
    {"45^{\\circ}", "45"},
    {"90 degrees", "90^\\circ"},
    {"90 degrees", "\\frac{\\pi}{2}"},
    {"5 percent", "0.05"},
    {"10\\text{ cm}", "10 \\mathrm{~cm}"},
    {"3\\text{ square cm}", "3"},
    {"5 million", "5\\text{ million}"},
    {"2ab", "2ba"},
    {"\\ln 1", "0"},
    {"\\arccos 1 + \\sin 0", "0"},
    {"33\\frac13\\%", "\\frac13"},
    {"22\\frac12^\\circ", "22.5^\\circ"},
    {"22 1/2^{\\circ}", "22.5"},
    {"x^2/4+y^2/9", "\\frac{x^2}{4}+\\frac{y^2}{9}"},
    {"5.", "5"},
    {"\\sin(x)/6", "\\frac{\\sin x}{6}"},
    {"xy = 1", "1 = yx"},
    {"(3!)!", "720"},
    {"-45^\\circ", "-45"},
    {"30^\\circ, 60^\\circ", "30, 60"},
    {"(45^\\circ, 1)", "(45, 1)"},
    {"\\pm 1, \\pm 2", "1, -1, 2, -2"},
    {"\\{\\pm 1\\}", "\\{1, -1\\}"},
    {"(\\pm 1, 0), (0, \\pm 1)", "(1,0), (-1,0), (0,1), (0,-1)"},
    {"\\pm 1 \\mp \\sqrt 2", "1-\\sqrt2, \\sqrt2-1"},
    {"\\sin 30^\\circ", "1/2"},
    {"\\sin^2 x + \\cos^2 x", "1"},
    {"\\log_2 8", "3"},
    {"e^{2x}", "(e^x)^2"},
    {"\\left(1, 2\\right)", "(1,2)"},
    {"(\\frac12, 3)", "(0.5, 3)"},
    {"\\{1,2,3\\}", "\\{3, 1, 2\\}"},
    {"\\{1,1,2\\}", "\\{2, 1\\}"},
    {"1, 2", "2 and 1"},
    {"x=1 or x=2", "2, 1"},
    {"1 \\pm \\sqrt{2}", "1+\\sqrt2, 1-\\sqrt2"},
    {"\\pm 3", "-3, 3"},
    {"[0, \\infty)", "[0,\\infty)"},
    {"(-\\infty,-1)\\cup(1,\\infty)", "(1,\\infty) \\cup (-\\infty,-1)"},
    {"x = 5", "5"},
    {"f(x) = 2x+1", "1+2x"},
    {"x^2+y^2=1", "1 = y^2 + x^2"},
    {"5\\text{ cm}", "5"},
    {"5 cm^2", "5\\text{ cm}^2"},
    {"\\$12.50", "12.5"},
    {"A", "(A)"},
    {"\\text{B}", "B"},
    {"\\text{Monday}", "monday"},
    {"x > 3", "x>3"},
    {"x \\le 3", "x \\leqslant 3"},
    {"x \\geq 3", "x \\ge 3"},
    {"\\log_28", "3"},
    {"2i", "\\sqrt{-4}"},
    {"\\sqrt{\\ln(\\cos(x))}", "\\sqrt{\\frac{3\\ln(\\cos(x))}{3}}"}, /* which side of the cut? */
    {"\\arctan(\\sqrt{-7})", "\\arctan(\\frac{3(-7)^{1/2}}{3})"},
    {"\\frac{a}{b}", "a/b"},
    {"a_1 + a_{2}", "a_2 + a_1"},
    {"\xe2\x88\x92"
     "1",
     "-1"},
};

void test_answer__knows_equal_answers(void **state)
{
    (void)state;
    expect(equal, COUNT(equal), ANSWER_EQUAL);
}

static const pair different[] = {
    {"1/2", "1/3"},
    {"0.333", "1/3"},
    {"3.14", "\\pi"},
    {"3.14159265", "\\pi"},
    {"1000000000000000000000000000001", "10^{30}"},
    {"x+1", "x-1"},
    {"(x+1)^2", "x^2+1"},
    {"\\sqrt{2}", "-\\sqrt2"},
    {"(1,2)", "(2,1)"},
    {"[1,2]", "(1,2)"},
    {"[1,2)", "(1,2)"},
    {"1.4142136", "\\sqrt2"},
    {"(1,2)", "(1,2,3)"},
    {"(0,5)", "(0,50)"},
    {"\\{1,2\\}", "\\{1,2,3\\}"},
    {"1, 1", "1, 2"},
    {"1, 1, 2", "1, 2, 2"},
    {"\\pm 3", "3, 4"},
    {"[0,\\infty)", "[0,-\\infty)"},
    {"[0,\\infty)", "[0,5)"},
    {"\\infty", "10^{100}"},
    {"A", "B"},
    {"yes", "no"},
    {"5 cm", "6"},
    {"3\\frac{1}{2}", "3/2"},
    {"2x", "2y"},
    {"x_1", "x_2"},
    {"\\binom{10}{3}", "121"},
    {"\\frac12", "2"},
    {"45^\\circ", "46^\\circ"},
    {"\\ln 2", "\\log_3 2"},
    {"50\\%", "0.05"},
    {"\\sin 30", "1/3"},
    {"7 m", "5 m"},
    {"2\\pi", "6"},
    {"1,5", "1,6"},
    {"\\pm 1, \\pm 2", "1, -1, 2, -3"},
    {"(\\pm 1, 0)", "(1,0), (-2,0)"},
    {"\\binom{n}{2}", "\\frac{n(n+1)}{2}"},
    {"\\frac13", "\\frac23"}, /* arguments without braces */
    {"\\frac12", "\\frac32"},
    {"\\binom52", "\\binom42"},
    {"\\log_23", "\\log_53"},
};

void test_answer__tells_different_answers_apart(void **state)
{
    (void)state;
    expect(different, COUNT(different), ANSWER_DIFFERENT);
}

static const pair unsupported[] = {
    {"50\\%", "50"},   /* the sign left out, or a hundred times as much? */
    {"1/2x", "x/2"},   /* a half of x, or one over 2x? */
    {"(1,2)", "1, 2"}, /* a point, or two answers? */
    {"\\{3\\}", "3"},
    {"5 cm", "50 mm"},
    {"blue", "azure"},
    {"x > 3", "(3, \\infty)"},
    {"\\overline{ab}", "ab"}, /* a command that may mean anything */
    {"1.41421356237309505", "\\sqrt2"},
    {"1.41421356237", "\\sqrt{2.0000000000}"},
    {"\\ln(xy)", "\\ln x + \\ln y"}, /* where both are positive */
    {"1.4142135623731", "\\sqrt2"},
    {"3:30", "1/10"},
    {"\\sqrt{2.00000000000000000001}", "\\sqrt2"},
    {"1,2345", "12345"},
    {"3\\frac{5}{2}", "11/2"},
    {"2 3", "6"},
    {"x = 3", "y = 3"},
    {"12345,678", "12345678"}, /* no separator: a list of two */
    {"|x|", "x"},              /* where x is positive */
    {"5 m", "5"},              /* metres, or five times m? */
    {"5 m", "500 cm"},
    {"1 h", "60 m"},
    {"30\\text{ m}", "30 m"},
    {"12 V", "12"},
    {"9.8 m/s^2", "9.8"},
    {"1 m/s", "3600 m/h"},
    {"3 rad", "3"},
    {"20^\\circ C", "20"},
    {"500^\\circ", "500 cm"}, /* the signs are units too */
    {"5\\%", "0.05\\text{ m}"},
    {"-5\\%", "-5"}, /* a percent sign left out, anywhere */
    {"5\\%, 6\\%", "5, 6"},
    {"\\sin 30", "1/2"}, /* degrees? */
    {"\\sin 30^\\circ", "\\sin 30"},
    {"\\arctan 1", "45"},
    {"\\frac{\\pi}{4}", "45"},
    {"\\log 100", "2"}, /* of which base? */
    {"\\ln 2", "\\log 2"},
    {"0,125", "0.125"}, /* decimal commas */
    {"1,234", "1.234"},
    {"0,50", "0,5"},
    {"2{,}5", "2.5"},
    {"(0,5; 1)", "(0.5, 1)"},
    {"1,5, 2,5", "1.5, 2.5"},
    {"0.333...", "1/3"}, /* and so on */
    {"0.333...", "0.333"},
    {"1, 2, 3...", "1, 2, 3"},
    {"[1,2,3]", "(1,2,3)"}, /* no interval */
    {"6 \\div 2(1+2)", "9"},
    {"1/2(x+1)", "\\frac{1}{2(x+1)}"},
    {"\\sin \\pi/6", "1/2"}, /* of pi / 6, or a sixth? */
    {"\\ln 2/3", "\\frac{\\ln 2}{3}"},
    {"8^1/3", "2"},
    {"2^3!", "64"},
    {"x^2+C", "x^2+c"}, /* of integration */
    {"x^2+C_1", "x^2"},
    {"\\pi n + \\frac{\\pi}{4}", "\\pi k + \\frac{\\pi}{4}"}, /* any whole number */
    {"5 per day", "5"},
    {"2\\pi r", "2\\pi R"},
    {"\\cos(n\\pi)", "(-1)^n"}, /* where n is whole */
    {"\\frac{n!}{(n-1)!}", "n"},
    {"f(t) = 2t", "f(x) = 2x"},
    {"\\pm 1 \\pm 2", "3, -3"}, /* two, or four? */
    {"\\pm 1 \\pm 2", "3, -1, 1, -3"},
    {"(\\pm 1, \\pm 2)", "(1,2), (-1,-2)"},
    {"x+y = \\pm 1", "x+y = -1"},
    {"1, 1, 2", "1, 2"}, /* a double root */
    {"[1,2] \\cup [2,4]", "[1,3] \\cup [3,4]"},
    {"[1,2] \\cup [2,3] \\cup [5,6]", "[1,3] \\cup [5,6]"},
    {"5 million", "5"}, /* no unit that may be missing */
    {"5 million", "5000000"},
    {"3 halves", "3"},
    {"7 below zero", "7"},
    {"12 \\text{ dozen}", "12"},
    {"0,125", "125"}, /* no thousands */
    {"0{,}125", "125"},
    {"3!!", "720"}, /* no factorial of a factorial */
    {"7!!", "105"},
    {"1e-5", "e-5"},
    {"1e-5", "0.00001"},
    {"CAB", "ABC"}, /* a product, or letters in this order? */
    {"dog", "god"},
    {"two", "2"},
    {"3 7/2", "13/2"},
    {"2 1/2/3", "5/6"},
    {"0^0", "1"},
    {"\\sqrt{\\sqrt5\\sqrt7-\\sqrt{35}}", "0"}, /* what is left is rounding */
    {"\\sqrt{\\sin\\pi}", "0"},
    {"\\arccos(\\frac{\\sqrt7\\sqrt7}{7})", "0"},
    {"\\arccos(\\frac{\\sqrt2\\sqrt2}{2})", "0"},
    {"3/0", "\\infty"},
    {"2\\infty", "\\infty"},
    {"\\pm\\infty", "\\infty"},
    {"1\\frac12^2", "9/4"},
    {"\\frac{0}{0}", "1"},
    {"(2+\\sqrt3)^{100}", "(2+\\sqrt3)^{100}+(2-\\sqrt3)^{100}"}, /* too close to call */
    {"10^{20}+\\sqrt2", "10^{20}+\\sqrt3"},
    {"10^9+\\sqrt2", "10^9+\\sqrt{2.0001}"},
    {"\\tanh 50", "1"},
    {"\\arctan(10^{20})", "\\frac{\\pi}{2}"},
    {"\\cos(10^{-20})", "1"},
    {"2^{0.1^{30}}", "1"},
    {"\\binom{n}{2}", "\\frac{n(n-1)}{2}"}, /* where n is whole */
    {"\\sqrt13", "\\sqrt23"},               /* three times the root of 1? */
    {"x \\le 5", "x \\ge 5"},               /* relations are not understood, but told apart */
    {"x \\leq 5", "x \\neq 5"},
    {"x \\in (1,2)", "x \\leq (1,2)"},
    {"-1 \\leq x \\leq 1", "-1 \\geq x \\geq 1"},
    {"x \\approx 2", "x \\ne 2"},
    {"((((((((((((((((((((((((((((((((((((((((((((1)))))))))))))))))))))))))))))))))))))))))))"
     ")",
     "1"},
};

void test_answer__says_where_it_cannot_say(void **state)
{
    (void)state;
    expect(unsupported, COUNT(unsupported), ANSWER_UNSUPPORTED);
}

void test_answer__is_the_last_balanced_box(void **state)
{
    static const struct {
        const char *text, *inside;
    } c[] = {
        {"so \\boxed{1} and then \\boxed{\\frac{1}{2}}.", "\\frac{1}{2}"},
        {"\\boxed{\\{1,2\\}}", "\\{1,2\\}"},
        {"\\boxed{7} but \\boxed{8 and it ends", "7"},
        {"\\fbox{x}", "x"},
        {"\\boxed {5}", "5"},
    };
    answer_span in;

    (void)state;
    for (size_t i = 0; i < COUNT(c); i++) {
        assert_true(answer_boxed(&in, c[i].text, strlen(c[i].text)));
        assert_int_equal(in.n, strlen(c[i].inside));
        assert_memory_equal(in.s, c[i].inside, in.n);
    }
    assert_false(answer_boxed(&in, "\\boxed", 6));
    assert_false(answer_boxed(&in, "no box", 6));
}

void test_answer__misses_gold_and_boxes(void **state)
{
    (void)state;
    assert_int_equal(answer_verify(span("proof"), "\\boxed{1}", 9), ANSWER_MISSING);
    assert_int_equal(answer_verify(span("NotFound"), "\\boxed{1}", 9), ANSWER_MISSING);
    assert_int_equal(answer_verify(span(" "), "\\boxed{1}", 9), ANSWER_MISSING);
    assert_int_equal(answer_verify(span("1"), "it is 1", 7), ANSWER_MISSING);
    assert_int_equal(answer_verify(span("1"), "\\boxed{ }", 9), ANSWER_MISSING);
    assert_int_equal(answer_verify(span("1"), "\\boxed{1}", 9), ANSWER_EQUAL);
    assert_int_equal(answer_verify(span("1"), "\\boxed{2}", 9), ANSWER_DIFFERENT);
}
