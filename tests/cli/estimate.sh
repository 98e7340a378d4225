#!/bin/bash
# estimate.sh - what `estimate` says is what a fit and sampling take: within 5 % or 8 MiB of the measured peaks, for each method,
# with rows withheld (the table is copied), with a batch that does not divide the rows, and for a table that is assumed.
. tests/lib/cli.sh
T=$TABMILL

# A child's peak is never below that of who starts it: so as little of Python as there is (-IS, 7 MiB), where a program
# without oneDNN takes 6.
cat >peak.py <<'END'
import os, sys
_, status, usage = os.wait4(os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ), 0)
assert status == 0
print(usage.ru_maxrss / 1024)
END

is_near() { # NAME SAID WAS
    echo "$2 $3" >out
    : >err
    holds "$1: said $2 MiB, was $3" awk '{ d = $1 - $2; if (d < 0) d = -d; exit !($2 > 0 && (d <= 8 || d <= .05 * $2)) }' out
}

is_enough() { # NAME SAID WAS: of components that are to be chosen, what the most would take
    echo "$2 $3" >out
    : >err
    holds "$1: said $2 MiB, was $3" awk '{ exit !($1 + 8 >= $2 && $1 <= 2 * $2 + 8) }' out
}

compare() { # TABLE OPTIONS [ESTIMATE'S TABLE]
    # shellcheck disable=SC2086
    "$T" estimate ${3--i $1} -m $2 -q >said 2>err
    said() { awk -v peak="$1 peak" 'index($0, peak) == 1 { print $4 == "GiB" ? $3 * 1024 : $4 == "KiB" ? $3 / 1024 : $3 }' said; }
    if grep -q '^components' said; then near=is_enough; else near=is_near; fi
    # shellcheck disable=SC2086
    $near "$2${3+, assumed}" "$(said fit)" "$(python3 -IS peak.py "$T" fit -i "$1" -o m.mill -m $2 -q -f)"
    is_near "$2${3+, assumed}, sampling" "$(said sampling)" "$(python3 -IS peak.py "$T" sample m.mill -n 50000 -o s.csv -q -f)"
}

rows() { # N: numbers, categories, holes
    awk -v n="$1" 'BEGIN { srand(3); print "a,b,c,d,e"; for (i = 0; i < n; i++) { k = int(4 * rand());
        printf "%d,%.3f,v%d,%s,w%d\n", 10 * k + 8 * rand(), k + rand(), k, rand() < .1 ? "" : int(99 * rand()), 300 * rand() } }'
}
rows 20000 >few.csv
for run in "mixture" "mixture --components 25" "independent" "ctgan -e 1" "tvae -e 1" "ctgan -e 1 --batch-size 4000" "tvae -e 1 --batch-size 8000"; do
    compare few.csv "$run"
done

# Copies of 15 MB that the nets' plans do not hide; 8,000 divides the rows, and not those that are left to learn from.
rows 400000 >many.csv
small="--embedding-dim 16 --generator-dim 16 --discriminator-dim 16 --batch-size 2000 --pac 1"
for run in "mixture --components 20" "ctgan -e 1 $small" "tvae -e 1 --compress-dims 32 --decompress-dims 32 --batch-size 8000"; do
    compare many.csv "$run --holdout-fraction 0.4"
done
# Columns are coded side by side: what the threads have freed is not there any more when the fit begins.
compare many.csv "ctgan -e 1 --probe-every 0 $small"

# A table as it is assumed: half numbers, half categories of 20 values.
awk 'BEGIN { srand(4); print "n1,c1,n2,c2,n3,c3"; for (i = 0; i < 20000; i++) { for (j = 0; j < 3; j++)
    printf "%s%.4f,v%d", j ? "," : "", 100 * int(10 * rand()) + rand(), 20 * rand(); print "" } }' >made.csv
for run in "mixture --components 100" "ctgan -e 1" "tvae -e 1"; do compare made.csv "$run" "--n-rows 20000 --n-columns 6"; done

# Every batch that is tried asks how many rows are left to learn from.
expect "rows withheld of 2 billion" 0 "" timeout 20 "$T" estimate --n-rows 2e9 --n-columns 4 -m ctgan --holdout-fraction .3 -q

# The largest batch: nine tenths of it are fitted within the limit, a tenth more is refused before anything is trained.
for method in ctgan tvae; do
    "$T" estimate -i few.csv -m $method --memory-limit 100MiB -q >said 2>err
    tenths() { awk -v n="$1" '/^largest batch/ { print 20 * int($3 * n / 200) }' said; }
    fit=("$T" fit -i few.csv -o m.mill -m "$method" -e 1 --memory-limit 100MiB -q -f)
    expect "$method: a batch that fits" 0 "" "${fit[@]}" --batch-size "$(tenths 9)"
    expect "$method: a batch that does not" 1 "rows would fit" "${fit[@]}" --batch-size "$(tenths 11)"
done
