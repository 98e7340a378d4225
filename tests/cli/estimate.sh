#!/bin/bash
# estimate.sh - what `estimate` says is what a fit takes: within 5 % or 8 MiB of the measured peak, for each method.
. tests/lib/cli.sh
T=$TABMILL

awk 'BEGIN { srand(3); print "a,b,c,d,e"; for (i = 0; i < 20000; i++) { k = int(4 * rand());
    printf "%d,%.3f,v%d,%s,w%d\n", 10 * k + 8 * rand(), k + rand(), k, rand() < .1 ? "" : int(99 * rand()), 300 * rand() } }' >t.csv
cat >peak.py <<'END'
import resource, subprocess, sys
assert subprocess.call(sys.argv[1:]) == 0
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
END
for run in "mixture" "independent" "ctgan -e 1" "tvae -e 1" "ctgan -e 1 --batch-size 4000" "tvae -e 1 --batch-size 8000"; do
    # shellcheck disable=SC2086
    said=$("$T" estimate -i t.csv -m $run -q | awk '/^fit peak/ { print $4 == "GiB" ? $3 * 1024 : $3 }')
    # shellcheck disable=SC2086
    was=$(python3 peak.py "$T" fit -i t.csv -o m.mill -m $run -q -f)
    echo "$said $was" >out
    : >err
    holds "$run: said $said MiB, was $was" awk '{ d = $1 - $2; if (d < 0) d = -d; exit !($2 > 0 && (d <= 8 || d <= .05 * $2)) }' out
done
