#!/bin/sh
# evaluate.sh - `make bench-evaluate [DATA=adult.csv TARGET=income]`: the bars of evaluation, ours and the peers' in turn.
#
#   quality    26,000 x 15 against 26,000 x 15: at least 20 times faster than sdmetrics, a fifth of its memory
#   dcr        exact distances of 26,000 rows to 26,000 rows: at most 1 s on two cores
#   whole      the whole report, 1,000,000 x 20 against 1,000,000 x 20: at most 60 s, 1.5 GiB
#   boost      boosted trees to an AUC of .92 on Adult, 80 against 20 percent: as fast as HistGradientBoosting
set -eu
DATA=${DATA:-../shared/data/adult.csv}
TARGET=${TARGET:-income}
T=build/release/tabmill
B=build/release/bench/evaluate
make -s $B $T
tables=$(mktemp -d)
trap 'rm -rf "$tables"' EXIT
python=build/venv/bin/python
peer() { # MODULE COMMAND...
    if [ -x $python ] && $python -c "import $1" 2>/dev/null; then shift; $python bench/evaluate_peer.py "$@"
    else echo "SKIP: no $1 to compare with (make parity makes build/venv)"; fi
}

if [ -r "$DATA" ]; then
    awk 'NR == 1 || NR % 5' "$DATA" >"$tables/train.csv"
    awk 'NR == 1 || NR % 5 == 0' "$DATA" >"$tables/test.csv"
    $T fit -i "$tables/train.csv" -o "$tables/m.mill" -q
    $T sample "$tables/m.mill" -n 26000 -o "$tables/synthetic.csv" -q
    head -26001 "$tables/train.csv" >"$tables/real.csv"
    for round in 1 2; do
        echo "== round $round"
        $B quality "$tables/real.csv" "$tables/synthetic.csv"
        peer sdmetrics quality "$tables/real.csv" "$tables/synthetic.csv"
        $B dcr "$tables/real.csv" "$tables/synthetic.csv"
        $B boost "$tables/train.csv" "$tables/test.csv" "$TARGET" .92
        peer sklearn boost "$tables/train.csv" "$tables/test.csv" "$TARGET" .92
    done
else
    echo "SKIP: $DATA is not there"
    $B
fi

echo "== the whole report, 1,000,000 x 20"
awk 'BEGIN { srand(1); for (c = 0; c < 20; c++) printf "c%d%s", c, c < 19 ? "," : "\n"
    for (i = 0; i < 20000; i++) { z = rand() + rand() + rand() - 1.5
        for (c = 0; c < 20; c++) { x = z * c / 20 + rand() + rand() - 1
            if (c < 10) printf "%.3f", x * (c + 1); else printf "v%d", int((x + 2.5) * (c - 4)); printf c < 19 ? "," : "\n" } } }' >"$tables/seed.csv"
$T fit -i "$tables/seed.csv" -o "$tables/big.mill" --components 50 -q
for s in 1 2; do $T sample "$tables/big.mill" -n 1000000 --seed $s -o "$tables/big$s.csv" -q; done
/usr/bin/env python3 - "$T" "$tables" <<'END'
import os, resource, subprocess, sys, time
t, d = sys.argv[1:]
began = time.perf_counter()
subprocess.run([t, "evaluate", f"{d}/big1.csv", f"{d}/big2.csv", "--target", "c10", "--known", "c11", "--sensitive", "c12", "-o", f"{d}/o.html",
                "--json", f"{d}/o.json"], check=True, stdout=subprocess.DEVNULL)
seconds = time.perf_counter() - began
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
print(f'{{"what": "whole report", "seconds": {seconds:.1f}, "peak_bytes": {peak}, "page_bytes": {os.path.getsize(d + "/o.html")}}}')
END
