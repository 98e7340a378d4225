/* test.h - what every test includes: cmocka, in the order in which it wants its friends. */
#ifndef TESTS_LIB_TEST_H
#define TESTS_LIB_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

/* The call has to succeed; if not, its message is shown. */
#define assert_ok(call)                                               \
    do {                                                              \
        const mill_err err_ = (call);                                 \
        if (err_ != MILL_OK) fail_msg("%s: %s", #call, mill_error()); \
    } while (0)

/* The call has to fail with `code` and words that contain `part`. */
#define assert_fails(code, part, call)                                                        \
    do {                                                                                      \
        assert_int_equal(call, code);                                                         \
        if (!strstr(mill_error(), part)) fail_msg("\"%s\" lacks \"%s\"", mill_error(), part); \
    } while (0)

/* Leave the test, which is counted as skipped, with its reason in the runner's summary. */
#define skip_because(...)                    \
    do {                                     \
        print_message("SKIP: " __VA_ARGS__); \
        print_message("\n");                 \
        skip();                              \
    } while (0)

/* Sanitizers make kernels of vectors twenty times slower, more at v3: there a long table of cases
 * is seen in every n-th. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define test_stride(n) (n)
#else
#define test_stride(n) 1
#endif

#endif
