#!/bin/bash
# evaluate.sh - the report for people on stdout, the whole of it as JSON in a file.
. tests/lib/cli.sh
T=$TABMILL

"$T" generate -i "$PENGUINS" -o s.csv -n 500 -q
awk 'NR == 1 || NR % 5 == 0' "$PENGUINS" >h.csv
expect evaluate 0 "*" "$T" evaluate "$PENGUINS" s.csv --holdout h.csv --target species --json r.json
says table_has_shapes "shapes"
says table_has_trends "trends"
holds json python3 -m json.tool r.json
for key in shapes trends trends_own_bins trends_thresholded; do
    holds "json_has_$key" python3 -c "import json; assert 0 < json.load(open('r.json'))['$key'] <= 1"
done
expect json_exists 1 "r.json: exists" "$T" evaluate "$PENGUINS" s.csv --json r.json
expect json_stdout 0 "*" "$T" evaluate "$PENGUINS" s.csv --json -
holds json_stdout_is_json python3 -m json.tool out
cp out one.json
expect threads 0 "*" "$T" evaluate "$PENGUINS" s.csv --json - --threads 1
holds threads_same_bytes cmp out one.json
expect itself 0 "*" "$T" evaluate "$PENGUINS" "$PENGUINS" --json -
holds itself_is_perfect python3 -c "import json; r = json.load(open('out')); assert r['shapes'] == 1 and r['trends'] == 1"
expect no_such_target 1 "colour" "$T" evaluate "$PENGUINS" s.csv --target colour
expect one_table 2 "REAL or SYNTHETIC is missing" "$T" evaluate "$PENGUINS"
expect absent 1 "none.csv" "$T" evaluate "$PENGUINS" none.csv
