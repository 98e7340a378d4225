#!/bin/bash
# make does nothing when nothing has changed, and what it has to when something has.  `make -W file` pretends that the file is
# new, so that nothing is touched.
: "${TEST_TMP:?tools/run_tests runs this and makes the folder}"
unset MAKEFLAGS MAKELEVEL
says() { make -n "$@" 2>&1; }
expect() { # name wanted-text make-arguments...
    local name=$1 text=$2
    shift 2
    if says "$@" | grep -qE -- "$text"; then echo "ok $name"; else echo "FAIL $name"; fi
}
if make -q all; then echo "ok a no-op build is a no-op"; else echo "FAIL a no-op build does something"; says all | head; fi
if says all tests | grep -q ' -c '; then echo "FAIL a no-op build of the tests compiles"; else echo "ok tests are not compiled anew"; fi
expect "a changed header rebuilds its users" 'base/mem\.o' -W src/base/mem.h all
expect "a changed header rebuilds the tests" 't_mem\.o' -W src/base/mem.h tests
expect "a changed test is built anew" 't_mem\.o' -W tests/unit/t_mem.c tests
if [ -e src/ops/ops.def ]; then
    expect "a changed ops.def rebuilds the operations" 'CC.* -c src/ops/|src/ops/.* -c' -W src/ops/ops.def all
else
    echo "SKIP: src/ops/ops.def is not there yet"
fi
# The same folder with other flags is built anew (in a folder of its own).
err=$TEST_TMP/b/base/err.o
make -s B="$TEST_TMP/b" "$err" >/dev/null || echo "FAIL base/err.o does not build"
if make -q B="$TEST_TMP/b" "$err"; then echo "ok the same flags build nothing"; else echo "FAIL the same flags build again"; fi
expect "other flags build anew" 'base/err\.o' B="$TEST_TMP/b" EXTRA=-DOTHER "$err"
# A new source file must not look like new flags, or it would rebuild all others.
if grep -q '\.o' "$TEST_BUILD/flags"; then echo "FAIL flags name objects"; else echo "ok a new file is not a new flag"; fi
