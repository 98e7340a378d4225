#!/bin/sh
# Objects hold what their level allows (docs/processors.md, traps 3 and 8): level objects no weak symbols and no constructors,
# v3 objects no AVX-512, baseline objects no AVX at all.
cd "$TEST_BUILD" || exit 1
bad=0
complain() { echo "FAIL $1"; bad=1; }
# Whether the object's code uses registers that match the pattern.
uses() { objdump -d --no-show-raw-insn "$1" | grep -qE "$2"; }
avx512='%zmm|%k[0-7]|%[xy]mm(1[6-9]|2[0-9]|3[01])'

v3=$(find . -name '*.v3.o') v4=$(find . -name '*.v4.o')
plain=$(find . -name '*.o' ! -name '*.v[34].o' ! -path './tests/*' ! -path './bench/*')
for o in $v3 $v4; do
    nm "$o" | grep -E ' [VvWwu] ' && complain "$o has weak symbols"
    objdump -h "$o" | grep -E '\.(init_array|ctors)' && complain "$o has constructors"
done
for o in $v3; do uses "$o" "$avx512" && complain "$o is a v3 object with AVX-512"; done
for o in $plain; do uses "$o" '%ymm|%zmm|%k[0-7]' && complain "$o is a baseline object with AVX"; done
# The patterns can fail: v4 objects use AVX-512, v3 objects AVX2.
if [ -n "$v4" ]; then
    found=0
    for o in $v4; do uses "$o" "$avx512" && found=1; done
    [ $found = 1 ] || complain "no v4 object uses AVX-512"
    found=0
    for o in $v3; do uses "$o" %ymm && found=1; done
    [ $found = 1 ] || complain "no v3 object uses AVX2"
else
    echo "SKIP: there are no level files yet"
fi
[ $bad = 0 ] && echo "ok $(echo "$v3" | wc -w) v3, $(echo "$v4" | wc -w) v4 and $(echo "$plain" | wc -w) baseline objects"
exit $bad
