#!/bin/sh
# No file above 800 lines, no function above 60 without a reason; and the script sees one that is.
: "${TEST_TMP:?tools/run_tests runs this and makes the folder}"
if tools/size.py --check; then echo "ok sizes"; else echo "FAIL sizes"; fi
mkdir -p "$TEST_TMP/tools" "$TEST_TMP/src/base"
cp tools/size.py "$TEST_TMP/tools/"
{ echo 'int f(int x)'; echo '{'; yes '    x++; /* "}" */' | head -70; echo '    return x;'; echo '}'; } >"$TEST_TMP/src/base/long.c"
git -C "$TEST_TMP" init -q .
if "$TEST_TMP/tools/size.py" --check | grep -q 'f has 72 lines'; then echo "ok a long function is seen"; else echo "FAIL long function"; fi
