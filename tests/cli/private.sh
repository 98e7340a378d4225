#!/bin/bash
# private.sh - what a model file holds: no row and no column of the training table, nothing of who made it, when and where.
# docs/synth.md allows the extremes of a column, 5 heavy values (ctgan, tvae) and 16 quantile points a bin (mixture, independent), one for 8 rows;
# a value that one row alone has is looked for as the number that it is, as a float, and as text.
. tests/lib/cli.sh
T=$TABMILL
: >out

python3 - <<'PY'
import random
random.seed(5)
with open("t.csv", "w") as f:
    print("key,weight,note,at,kind", file=f)
    for i in range(2000):
        print("K%06d,%.6f,%s,2021-%02d-%02d %02d:%02d:%02d,%s" % (i * 7 + 100000, random.gauss(70, 12), "".join(random.choices("abcdefghij", k=12)),
              random.randint(1, 12), random.randint(1, 28), random.randint(0, 23), random.randint(0, 59), random.randint(0, 59), random.choice("xyz")), file=f)
PY
cat >look.py <<'PY'
import csv, datetime, struct, sys
blob = open(sys.argv[1], "rb").read()
most = int(sys.argv[2])
rows = list(csv.DictReader(open("t.csv")))
seconds = [int(datetime.datetime.fromisoformat(r["at"]).replace(tzinfo=datetime.timezone.utc).timestamp()) for r in rows]
aligned = {blob[i:i + 8] for i in range(0, len(blob) - 7, 8)}
halves = {blob[i:i + 4] for i in range(0, len(blob) - 3, 4)}
weights = [float(r["weight"]) for r in rows]
found = {
    "weight": sum(struct.pack("<d", x) in aligned for x in weights),
    "weight as float": sum(struct.pack("<f", x) in halves for x in weights),
    "weight as text": sum(r["weight"].encode() in blob for r in rows),
    "at": sum(struct.pack("<q", s) in aligned or struct.pack("<d", s) in aligned for s in seconds),
    "key": sum(r["key"].encode() in blob for r in rows),
    "note": sum(r["note"].encode() in blob for r in rows),
}
print(found, len(blob))
assert found["key"] == found["note"] == 0, found
assert max(found.values()) <= most, found
PY

for run in "mixture --components 20" "independent" "ctgan -e 2" "tvae -e 2"; do
    m=${run%% *}
    # shellcheck disable=SC2086
    expect "$m" 0 "" "$T" fit -i t.csv -o $m.mill -q -m $run
    case $m in mixture | independent) most=250 ;; *) most=7 ;; esac
    python3 look.py "$m.mill" $most >out 2>&1
    verdict "${m}_holds_no_column" $? "$(tail -1 out)"
    # Another place, name, folder for the run, number of threads and moment; where it can be, another host.
    mkdir -p "elsewhere_$m" && cp t.csv "elsewhere_$m/other name.csv"
    other=("$T" fit -i "elsewhere_$m/other name.csv" -o "elsewhere_$m/x" --run-dir "elsewhere_$m/run" --threads 3 -q)
    if [ "$(id -u)" = 0 ] && unshare -u true 2>/dev/null; then
        # shellcheck disable=SC2086,SC2016 # the words of `sh -c`
        expect "${m}_elsewhere" 0 "" env USER=somebody TZ=Asia/Tokyo LC_ALL=C unshare -u sh -c 'hostname elsewhere; exec "$@"' sh "${other[@]}" -m $run
    else
        # shellcheck disable=SC2086
        expect "${m}_elsewhere" 0 "" env USER=somebody TZ=Asia/Tokyo LC_ALL=C "${other[@]}" -m $run
    fi
    holds "${m}_same_bytes_elsewhere" cmp "$m.mill" "elsewhere_$m/x"
done
