#!/bin/sh
# A room includes only from its own and from those below it (tools/layers.txt); the checker itself is seen to object.
: "${TEST_TMP:?tools/run_tests runs this and makes the folder}"
files=$(find src -name '*.[ch]' -o -name '*.cu' | sort)
# shellcheck disable=SC2086
if awk -f tools/layers.awk tools/layers.txt $files; then echo "ok no file includes upward"; else echo "FAIL layering"; fi

mkdir -p "$TEST_TMP/src/base" "$TEST_TMP/src/table"
echo '#include "graph/graph.h"' >"$TEST_TMP/src/base/up.c"
echo '#include "nn/layers.h"' >"$TEST_TMP/src/table/sibling.c"
for f in base/up.c table/sibling.c; do
    if (cd "$TEST_TMP" && awk -f "$OLDPWD/tools/layers.awk" "$OLDPWD/tools/layers.txt" "src/$f" >/dev/null); then
        echo "FAIL the checker accepts src/$f"
    else
        echo "ok the checker refuses $f"
    fi
done
# Every room of src/ has its place in the list.
for room in src/*/; do
    room=$(basename "$room")
    grep -v '^#' tools/layers.txt | tr ' ' '\n' | grep -qx "$room" || echo "FAIL $room is not in tools/layers.txt"
done
