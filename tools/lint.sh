#!/bin/bash
# lint.sh [--all | FILE...] - clang-format (a check, nothing is changed), shellcheck, sizes, and clang-tidy on the files that differ
# from the main branch, on those named, or on all of them: --all or LINT_ALL=1, which takes eight minutes on two cores.
set -u
cd "$(dirname "$0")/.." || exit 1
bad=0
fail() { echo "FAIL $1"; bad=1; }
mapfile -t sources < <(git ls-files '*.c' '*.h')
mapfile -t scripts < <(git ls-files '*.sh' .ci/run tools/gen_tests)

clang-format-14 --dry-run -Werror "${sources[@]}" || fail "clang-format (clang-format-14 -i FILE mends it)"
shellcheck "${scripts[@]}" || fail shellcheck
tools/size.py --check || fail sizes

if [ "${1-}" = --all ] || [ -n "${LINT_ALL-}" ]; then
    tidy=("${sources[@]}")
elif [ $# != 0 ]; then
    tidy=("$@")
else
    mapfile -t tidy < <({ git diff --name-only main; git ls-files -o --exclude-standard; } | sort -u)
fi
mpi=()
read -ra libpq < <(pkg-config --cflags-only-I libpq)
flags=(-std=c11 -D_GNU_SOURCE -Isrc -Iinclude -Itests -DTEST_BUILD='"build/release"' -DMILL_VERSION='"lint"' "${libpq[@]}")
[ ! -e /usr/include/dnnl.h ] || flags+=(-DMILL_ONEDNN)
! command -v mpicc >/dev/null || read -ra mpi < <(mpicc --showme:compile)
while read -r f; do
    [ -e "$f" ] || continue
    case $f in
    src/*/cpu/*) level=(-march=x86-64-v4 -mavx512bf16 -DMILL_LEVEL=v4) ;;
    *mpi.c) level=("${mpi[@]}") ;;
    *) level=() ;;
    esac
    printf '%q ' clang-tidy-14 --quiet "$f" -- "${flags[@]}" "${level[@]}"
    printf '2>/dev/null || { echo FAIL clang-tidy %q; false; }\0' "$f"
done < <(printf '%s\n' "${tidy[@]}" | grep '\.c$' | sort -u) | xargs -0 -r -P "$(nproc)" -n 1 bash -c || bad=1
[ $bad = 0 ] && echo "lint: nothing to say"
exit $bad
