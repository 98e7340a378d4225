#!/bin/sh
# check.sh check|san|all|fuzz [seconds] - build what the tests need and run them; the last line counts them.
# check.sh ready - build the program, for a target that uses it after `make deps`.
set -eu
unset MAKEFLAGS MAKELEVEL
what=$1
jobs=$(nproc)
suffix=
case $(make -s config) in *'oneDNN 0 '*) suffix=-onednn0 ;; esac # asked for, or the library is absent
build() { make -s -j"$jobs" "$@"; }
fuzzers() {
    if command -v clang-14 >/dev/null; then build CONFIG=fuzz fuzzers; fi
}
tagged() { grep -lE '^/\* ([A-Z0-9]+ )*TSAN\b' tests/unit/t_*.c tests/train/t_*.c tests/ops/t_*.c 2>/dev/null | sed 's/\.c$//'; }

case $what in
check | all)
    build CONFIG=release all tests
    build CONFIG=f64 ops-tests
    fuzzers
    ;;
san)
    build CONFIG=asan all tests
    # shellcheck disable=SC2046
    build CONFIG=tsan engine $(tagged | sed "s,^,build/tsan$suffix/,")
    fuzzers
    ;;
ready)
    build all
    exit
    ;;
fuzz)
    fuzzers
    exec tools/run_tests --suffix="$suffix" --fuzz-seconds "${2-60}" fuzz
    ;;
esac
if [ "$what" = all ]; then
    build ONEDNN=0 CONFIG=release all tests
    build ONEDNN=0 CONFIG=f64 ops-tests
fi
exec tools/run_tests --suffix="$suffix" "$what"
