#!/bin/sh
# examples/fit_sample.c fits and samples through the public header: against libtabmill.a, and against an installed copy.
: "${TEST_TMP:?tools/run_tests runs this and makes the folder}"
set -u
root=$(pwd)
case $TEST_BUILD in /*) build=$TEST_BUILD ;; *) build=$root/$TEST_BUILD ;; esac
work=$TEST_TMP/example
mkdir -p "$work"
flags="-std=c11 -Wall -Wextra -Werror"

check() { # name, program
    rm -f "$work/out.csv" "$work/fit_sample.mill"
    if ! (cd "$work" && "$2" "$root/examples/penguins.csv" out.csv 'species=Gentoo'); then
        echo "FAIL $1 runs"
        return
    fi
    rows=$(tail -n +2 "$work/out.csv" | wc -l)
    gentoo=$(tail -n +2 "$work/out.csv" | cut -d, -f1 | grep -c '^Gentoo$')
    if [ "$rows" = 1000 ] && [ "$gentoo" = 1000 ]; then echo "ok $1"; else echo "FAIL $1: $rows rows, $gentoo Gentoo"; fi
}

libs=$(pkg-config --libs jansson libzstd zlib libzip libxxhash)
dnnl=
nm -A "$build/libtabmill.a" 2>/dev/null | grep -q ' U dnnl_' && dnnl=-ldnnl
# shellcheck disable=SC2086
if gcc $flags -I"$root/include" "$root/examples/fit_sample.c" "$build/libtabmill.a" $libs $dnnl -lm -pthread -o "$work/static"; then
    check "the example with libtabmill.a" "$work/static"
else
    echo "FAIL the example does not compile"
fi

# The very folder that the other tests are running from: by its own name, so that nothing is linked anew under them.
config=$(basename "$TEST_BUILD")
if ! make -s install CONFIG="${config%-onednn0}" DESTDIR= PREFIX="$work/usr" >"$work/install.log" 2>&1; then
    cat "$work/install.log"
    echo "FAIL make install"
    exit 0
fi
PKG_CONFIG_PATH=$work/usr/lib/pkgconfig
export PKG_CONFIG_PATH
# shellcheck disable=SC2046,SC2086
if gcc $flags "$root/examples/fit_sample.c" $(pkg-config --cflags --libs tabmill) "-Wl,-rpath,$work/usr/lib" -o "$work/shared"; then
    check "the example with an installed copy" "$work/shared"
else
    echo "FAIL the example does not compile with pkg-config"
fi
out=$(cd "$work" && ./static "$root/examples/penguins.csv" out.csv 'species=Penguin' 2>&1)
case $out in
*'no value "Penguin"; the nearest:'*) echo "ok the example reports what was wrong" ;;
*) echo "FAIL the example said: $out" ;;
esac
