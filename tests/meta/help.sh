#!/bin/bash
# `tabmill X -h` is what docs/cli.md shows: there every command has a block that begins with the line `$ tabmill X -h`.
: "${TEST_TMP:?tools/run_tests runs this and makes the folder}"
if [ ! -x "$TABMILL" ] || [ ! -e docs/cli.md ]; then
    echo "SKIP: the command or docs/cli.md is not there yet"
    exit 0
fi
commands=$(sed -n 's/^\$ tabmill \([a-z][a-z -]*\) -h$/\1/p' docs/cli.md) # "fit", "prior show"
[ -n "$commands" ] || echo "FAIL docs/cli.md shows no \`\$ tabmill X -h\`"
while read -r c; do
    sed -n "/^\\\$ tabmill $c -h\$/,/^\`\`\`/p" docs/cli.md | sed '1d;$d' >"$TEST_TMP/docs"
    # shellcheck disable=SC2086
    "$TABMILL" $c -h >"$TEST_TMP/help" 2>&1 </dev/null
    if diff -u "$TEST_TMP/docs" "$TEST_TMP/help"; then echo "ok $c -h"; else echo "FAIL $c -h is not what docs/cli.md says"; fi
done <<END
$commands
END
# and no command is missing there, nor a verb of those that have some: a wrong one is answered with all of them
{
    "$TABMILL" -h 2>&1 | sed -n 's/^  \([a-z][a-z-]*\)  .*/\1/p'
    for c in prior reason; do
        "$TABMILL" $c nope 2>&1 | sed -n 's/.*not one of //p' | tr -d ' ' | tr ',' '\n' | sed "s/^/$c /"
    done
} | while read -r c; do
    echo "$commands" | grep -qx "$c" || echo "FAIL docs/cli.md has no block for $c"
done
