#!/bin/sh
# libtabmill.so exports what include/tabmill.h declares and nothing else, and has its soname.
: "${TEST_TMP:?tools/run_tests runs this and makes the folder}"
so=$TEST_BUILD/libtabmill.so
if [ ! -e include/tabmill.h ]; then
    echo "SKIP: include/tabmill.h is not there yet"
    exit 0
fi
nm -D --defined-only "$so" | sed 's/.* //; s/@.*//' | sort >"$TEST_TMP/has"
gcc -E -P include/tabmill.h | tr '\n' ' ' | grep -oE '\bmill_[a-z0-9_]+ ?\(' | tr -d ' (' | sort -u >"$TEST_TMP/declares"
if diff "$TEST_TMP/declares" "$TEST_TMP/has"; then echo "ok exports"; else echo "FAIL exports are not what the header declares"; fi
if readelf -d "$so" | grep -q 'SONAME.*libtabmill\.so\.[0-9]*]'; then echo "ok soname"; else echo "FAIL soname"; fi
