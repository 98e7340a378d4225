/* t_cpu_choice.c - TABMILL_ISA caps the level or is refused.  Nothing here chooses in this process:
 * the children do. */
#include "lib/test.h"

#include "base/cpu.h"

#include <sys/wait.h>
#include <unistd.h>

/* In a child, since the choice is made once. */
static int init_with(const char *isa)
{
    int status;
    const pid_t child = fork();
    if (child == 0) {
        setenv("TABMILL_ISA", isa, 1);
        const mill_err err = mill_cpu_init();
        _exit((int)err + 10 * (strstr(mill_error(), isa) != NULL) +
              20 * (mill_cpu_level() == MILL_V4));
    }
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
}

void test_cpu__refuses_a_level_that_is_not_there(void **state)
{
    (void)state;
    /* "x86-64-v4" in the words that clang 14 has too */
    const bool has_v4 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                        __builtin_cpu_supports("avx512vl");
    assert_int_equal(init_with("v9") % 20, 10 + MILL_EDEVICE);
    assert_int_equal(init_with("avx2") % 20, 10 + MILL_EDEVICE);
    assert_int_equal(init_with("v3"), MILL_OK);
    assert_int_equal(init_with("v4"), has_v4 ? 20 : 10 + MILL_EDEVICE);
}
