#!/bin/bash
# demo.sh - a real table in, synthetic tables out, measured: what `make demo` shows.  Writes into demo/, anew each time.
# Every fifth row is held out.  CTGAN gets as many epochs as make at least 3,000 steps: steps an epoch = max(1, rows / 500).
set -eu
cd "$(dirname "$0")/.."
T=build/release/tabmill
TABLE=examples/penguins.csv
TARGET=species
ROWS=10000
STEPS=3000

rm -rf demo
mkdir demo
awk 'NR == 1 || NR % 5 != 1' $TABLE >demo/train.csv
awk 'NR == 1 || NR % 5 == 1' $TABLE >demo/holdout.csv
rows=$(($(wc -l <demo/train.csv) - 1))
epochs=$(awk -v rows="$rows" -v steps=$STEPS 'BEGIN { per = int(rows / 500); if (per < 1) per = 1; print int((steps + per - 1) / per) }')
echo "$TABLE: $rows rows to train on, $(($(wc -l <demo/holdout.csv) - 1)) held out"
$T devices | sed -n 's/^\(processor\|level\|threads\)/  \1/p'

# seconds COMMAND...: runs it, words to demo/log, and prints how long it took
seconds() {
    local began
    began=$(date +%s%N)
    "$@" >>demo/log 2>&1 || { tail -3 demo/log >&2; return 1; }
    awk -v ns=$(($(date +%s%N) - began)) 'BEGIN { printf "%.2f", ns / 1e9 }'
}

# field NAME COLUMN FILE: a figure of the report of `evaluate`
field() { awk -v name="$1" -v col="$2" 'index($0, name) == 1 { n = split($0, f, /  +/); print f[col]; exit }' "$3"; }

run() { # NAME fit-options...
    local name=$1 fit sample
    fit=$(seconds $T fit -i demo/train.csv -o "demo/$name.mill" "${@:2}")
    sample=$(seconds $T sample "demo/$name.mill" -n $ROWS -o "demo/$name.csv")
    $T evaluate demo/train.csv "demo/$name.csv" --holdout demo/holdout.csv --target $TARGET \
        --json "demo/$name.json" >"demo/$name.txt" 2>>demo/log
    printf '%-10s %8s %10s %8s %8s %10s %10s\n' "$name" "$fit" "$sample" "$(field shapes 2 "demo/$name.txt")" \
        "$(field trends 2 "demo/$name.txt")" "$(field 'boosted_trees   auc' 3 "demo/$name.txt")" \
        "$(field 'detection, boosted trees' 2 "demo/$name.txt")" | tee -a demo/table.txt
}

echo
printf '%-10s %8s %10s %8s %8s %10s %10s\n' "" "fit, s" "$ROWS, s" shapes trends "AUC, tstr" detection | tee demo/table.txt
run default
run ctgan -m ctgan -e "$epochs"
echo
real=$(field 'boosted_trees   auc' 4 demo/default.txt)
echo "AUC of $TARGET by boosted trees: trained on synthetic rows, tested on the holdout (on real rows: $real)."
echo "detection: 1 where boosted trees cannot tell synthetic from real rows. CTGAN: $epochs epochs. All reports are in demo/."
$T evaluate demo/train.csv demo/default.csv demo/ctgan.csv --holdout demo/holdout.csv --target $TARGET --known island --known sex \
    --sensitive body_mass_g -o demo/report.html >>demo/log
echo "demo/report.html shows both tables side by side: open it in a browser."
