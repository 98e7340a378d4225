#!/bin/sh
# examples/fit_sample.c fits and samples through the public header: against libtabmill.a, and against an installed copy.  What
# `make install` puts where, and that it runs there.
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
# In stages, as packages are made: everything under DESTDIR, and nothing in it that names DESTDIR.
stage=$work/stage
if make -s install CONFIG="${config%-onednn0}" DESTDIR="$stage" PREFIX=/opt/mill >"$work/stage.log" 2>&1; then
    for file in bin/tabmill bin/genesis bin/generate_data lib/libtabmill.a lib/libtabmill.so lib/libtabmill.so.0 include/tabmill.h \
        lib/pkgconfig/tabmill.pc share/bash-completion/completions/tabmill share/bash-completion/completions/genesis; do
        if [ -s "$stage/opt/mill/$file" ]; then echo "ok staged $file"; else echo "FAIL $file is not in its place"; fi
    done
    if [ "$(ls "$stage")" = opt ] && [ "$(ls "$stage/opt")" = mill ]; then echo "ok staged alone"; else echo "FAIL staged elsewhere"; fi
    if grep -qx 'prefix=/opt/mill' "$stage/opt/mill/lib/pkgconfig/tabmill.pc"; then echo "ok pkg-config's prefix"; else echo "FAIL prefix"; fi
    if grep -rIl "$stage" "$stage" | grep .; then echo "FAIL DESTDIR is named"; else echo "ok DESTDIR is not named"; fi
else
    cat "$work/stage.log"
    echo "FAIL make install with DESTDIR"
fi
# What is installed runs, also by its other names; and it links without the shared library.
has=$("$work/usr/bin/tabmill" --version) wants="tabmill $(PKG_CONFIG_PATH=$work/usr/lib/pkgconfig pkg-config --modversion tabmill)"
if [ "$has" = "$wants" ]; then echo "ok the installed command is of that version"; else echo "FAIL $has, not $wants"; fi
if "$work/usr/bin/genesis" generate -i examples/penguins.csv -o "$work/g.csv" -n 5 -q && [ "$(wc -l <"$work/g.csv")" = 6 ]; then
    echo "ok genesis generate"
else
    echo "FAIL genesis generate"
fi
if "$work/usr/bin/generate_data" --help 2>&1 | grep -q n_datasets; then echo "ok generate_data"; else echo "FAIL generate_data"; fi
if bash -c ". '$work/usr/share/bash-completion/completions/tabmill' && complete -p tabmill && complete -p genesis" >/dev/null; then
    echo "ok the installed completion"
else
    echo "FAIL the installed completion"
fi
mv "$work/usr/lib" "$work/usr/lib-shared"
mkdir -p "$work/usr/lib"
cp -r "$work/usr/lib-shared/libtabmill.a" "$work/usr/lib-shared/pkgconfig" "$work/usr/lib/"
# shellcheck disable=SC2046,SC2086
if gcc $flags "$root/examples/fit_sample.c" $(pkg-config --cflags --libs --static tabmill) -o "$work/archive"; then
    check "the example with pkg-config --static" "$work/archive"
else
    echo "FAIL the example does not compile with pkg-config --static"
fi
lines=$(wc -l <examples/fit_sample.c)
if [ "$lines" -le 40 ]; then echo "ok the example has $lines lines"; else echo "FAIL the example has $lines lines"; fi

out=$(cd "$work" && ./static "$root/examples/penguins.csv" out.csv 'species=Penguin' 2>&1)
case $out in
*'no value "Penguin"; the nearest:'*) echo "ok the example reports what was wrong" ;;
*) echo "FAIL the example said: $out" ;;
esac
