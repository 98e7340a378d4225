#!/bin/sh
# Every header compiles alone: the internal ones as C, include/tabmill.h as C and as C++ (it is the only one that C++ may see).
flags="-Isrc -Iinclude -Wall -Wextra -Werror -fsyntax-only $(pkg-config --cflags-only-I libpq)"
bad=0 n=0
check() { # compiler language standard header more flags
    compiler=$1 language=$2 standard=$3 header=$4
    shift 4
    # shellcheck disable=SC2086
    "$compiler" -x "$language" "-std=$standard" $flags "$@" -include "$header" /dev/null || { echo "FAIL $header as $standard"; bad=1; }
    n=$((n + 1))
}
for h in $(find src -name '*.h' | sort); do
    # A part of another header, which says so in its second line ("...; include base/vec16.h."), comes with that one.
    whole=$(sed -n '2s/.*; include \([a-z0-9_/]*\.h\)\.$/\1/p' "$h")
    head -20 "$h" | grep -q 'The includer defines' && continue # a template cannot compile alone
    if [ -n "$whole" ] && grep -q "#include \"${h#src/}\"" "src/$whole"; then continue; fi
    # shellcheck disable=SC2046
    check gcc c gnu11 "$h" -Wno-unused-function -march=x86-64-v3 -DMILL_LEVEL=v3 -ffp-contract=off
done
if [ -e include/tabmill.h ]; then
    check gcc c c11 include/tabmill.h -Wpedantic
    check g++ c++ c++17 include/tabmill.h -Wpedantic
else
    echo "SKIP: include/tabmill.h is not there yet"
fi
if [ $bad = 0 ]; then echo "ok $n headers compile alone"; fi
exit $bad
