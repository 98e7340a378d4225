#!/bin/bash
# The runner of these tests can fail: on a failed assertion, on a test that dies, on a script that says nothing, on golden output.
: "${TEST_TMP:?tools/run_tests runs this and makes the folder}"
here=$PWD
mkdir -p "$TEST_TMP/tools" "$TEST_TMP/tests/unit" "$TEST_TMP/tests/cli" "$TEST_TMP/build/release/tests/unit"
cp tools/run_tests tools/gen_tests "$TEST_TMP/tools/"
cd "$TEST_TMP" || exit 1
try() { # name expected-sum body...: a unit test file with this body
    local name=$1 want=$2 got
    shift 2
    printf '#include "lib/test.h"\n%s\n' "$*" >tests/unit/t_try.c
    tools/gen_tests tests/unit/t_try.c >main.c
    gcc -D_GNU_SOURCE -I"$here/tests" -I"$here/src" -o build/release/tests/unit/t_try tests/unit/t_try.c main.c \
        "$TEST_BUILD/base/err.o" -lcmocka || echo "FAIL $name does not compile"
    got=$(tools/run_tests check unit/ | tail -1)
    if [ "$got" = "$want" ]; then echo "ok $name"; else echo "FAIL $name: $got"; fi
}
script() { # name expected-sum text
    printf '#!/bin/sh\n%s\n' "$3" >tests/cli/try.sh
    chmod +x tests/cli/try.sh
    local got
    got=$(tools/run_tests check cli/ | tail -1)
    if [ "$got" = "$2" ]; then echo "ok $1"; else echo "FAIL $1: $got"; fi
}
a='void test_a__x(void **state) { (void)state;'
b='void test_b__x(void **state) { (void)state;'
try "passes are counted" "2 passed, 0 failed, 0 skipped" "$a }
$b }"
try "a failed assertion is counted" "1 passed, 1 failed, 0 skipped" "$a assert_int_equal(1, 2); }
$b }"
try "skips are counted" "1 passed, 0 failed, 1 skipped" "$a skip_because(\"no gpu\"); }
$b }"
try "a death is a failure" "1 passed, 1 failed, 0 skipped" "$a }
$b abort(); }"
try "a bad exit status is a failure" "0 passed, 1 failed, 0 skipped" "$a exit(3); }"
levels=1
! grep -qw avx512vl /proc/cpuinfo || levels=2
try "a tagged test runs once per level" "$levels passed, 0 failed, 0 skipped" "/* LEVELS */
$a assert_non_null(getenv(\"TABMILL_ISA\")); }"
try "a tag may open a longer comment" "$levels passed, 0 failed, 0 skipped" "/* SLOW LEVELS
 * and what it is about */
$a }"
script "silence is a failure" "0 passed, 1 failed, 0 skipped" "exit 0"
script "a bad status is a failure" "1 passed, 1 failed, 0 skipped" "echo ok a; exit 1"
script "FAIL lines are counted" "1 passed, 2 failed, 1 skipped" "echo ok a; echo FAIL b; echo FAIL c; echo SKIP: d"
# shellcheck disable=SC2016
GIT_DIR=$here/.git script "tests do not see git's variables" "1 passed, 0 failed, 0 skipped" 'test -z "${GIT_DIR-}" && echo ok a'
# shellcheck disable=SC2016
script "tests have a folder of their own" "1 passed, 0 failed, 0 skipped" 'cd "$TEST_TMP" && test -z "$(ls)" && echo ok a'
echo "hello *" >tests/cli/try.stdout.glob
script "a golden glob matches" "1 passed, 0 failed, 0 skipped" "echo hello world"
script "a golden glob refuses" "0 passed, 1 failed, 0 skipped" "echo hell"
script "the exit status is golden too" "0 passed, 1 failed, 0 skipped" "echo hello world; exit 2"
echo "hello world" >tests/cli/try.stdout.exact
script "golden output matches" "1 passed, 0 failed, 0 skipped" "echo hello world"
script "golden output refuses" "0 passed, 1 failed, 0 skipped" "echo hello there"
