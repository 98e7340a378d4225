#!/bin/bash
# parquet.sh - Parquet in and out of every command, against pyarrow's files and the same tables as CSV.
# shellcheck disable=SC2154  # serve NAME sets $NAME
. tests/lib/cli.sh
T=$TABMILL
PY=$ROOT/build/arrow/bin/python

# Without the plug-in one line says how to get it, and all else goes on.
printf 'PAR1 a table PAR1' >none.parquet
export TABMILL_PARQUET=/nowhere
expect absent 1 "make parquet" "$T" inspect none.parquet
holds absent_names_the_package grep -q 'package pyarrow' err
holds absent_is_one_line test "$(wc -l <err)" = 1
expect absent_at_writing 1 "make parquet" "$T" generate -i "$PENGUINS" -o x.parquet -n 5 -q
holds absent_leaves_nothing test ! -e x.parquet
expect absent_csv_goes_on 0 "*" "$T" inspect "$PENGUINS"
unset TABMILL_PARQUET
expect no_parquet 1 "x.parquet: this is not a Parquet file" sh -c "cp '$PENGUINS' x.parquet; '$T' inspect x.parquet"

if [ ! -e "$(dirname "$T")/libtabmill_parquet.so" ]; then
    echo "SKIP: libtabmill_parquet.so is not built (make parquet)"
    exit 0
fi
if ! "$PY" -c 'import pyarrow' 2>/dev/null; then
    echo "SKIP: build/arrow has no pyarrow to compare with (make parquet)"
    exit 0
fi
cp "$PENGUINS" table.csv
# shellcheck disable=SC2317
files() { "$PY" "$ROOT/tests/lib/parquet_files.py" "$@"; }
expect make_files 0 "" files make

# In: the same results as the same table as CSV.
expect fit_csv 0 "" "$T" fit -i table.csv -o csv.mill -q
for f in table table_zstd; do
    expect "fit_$f" 0 "" "$T" fit -i $f.parquet -o $f.mill -q
    holds "fit_${f}_same_model" cmp $f.mill csv.mill
done
expect from_stdin 0 "*" sh -c "'$T' inspect - <table.parquet"
cp out from_stdin
expect inspect_csv 0 "*" "$T" inspect table.csv
holds from_stdin_by_its_first_bytes cmp out from_stdin
expect train 0 "*" "$T" train --data table.parquet --target species --save-dir run --epochs 2 -q
expect train_csv 0 "*" "$T" train --data table.csv --target species --save-dir run_csv --epochs 2 -q
expect predict 0 "*" "$T" predict run -i table.parquet -o p.parquet
expect predict_csv 0 "*" "$T" predict run_csv -i table.csv -o p.csv
expect predict_of_parquet 0 "*" "$T" predict run_csv -i table.parquet -o q.csv
holds predict_same_rows cmp p.csv q.csv
expect predict_pyarrow 0 "" files same p.parquet p.csv
expect sample 0 "" "$T" sample csv.mill -n 3000 -o s.parquet -q --batch-size 700
expect sample_csv 0 "" "$T" sample csv.mill -n 3000 -o s.csv -q
expect evaluate 0 "*" "$T" evaluate table.parquet s.parquet --target species -q
cp out figures
expect evaluate_csv 0 "*" "$T" evaluate table.csv s.csv --target species -q
holds evaluate_has_figures grep -q '^shapes  *0\.9' out
holds evaluate_same_figures cmp out figures

# Out: what CSV would say.
expect sample_pyarrow 0 "" files same s.parquet s.csv
expect sample_again 0 "" "$T" sample csv.mill -n 3000 -o t.parquet -q --threads 1
holds sample_same_bytes cmp s.parquet t.parquet
expect sample_exists 1 "s.parquet: exists" "$T" sample csv.mill -n 30 -o s.parquet -q
expect sample_ranks 0 "one draws" "$T" sample csv.mill -n 3000 -o r.parquet --nproc 2
holds sample_ranks_same_bytes cmp s.parquet r.parquet
expect read_back 0 "*" "$T" inspect s.parquet
cp out back
expect read_csv 0 "*" "$T" inspect s.csv
holds read_back_same_types cmp out back

# Types.
expect types 0 "*" "$T" inspect types.parquet
cat >want <<'END'
i8 integer
u32 integer
i64 integer
u64 real
f16 real
f32 real
f64 real
whole real
b boolean
s category
ls category
sv category
bin category
dict category
d32 real
d128 real
d256 real
date datetime %Y-%m-%d
d64 datetime %Y-%m-%d
ts datetime %Y-%m-%d %H:%M:%S
midnight datetime %Y-%m-%d
tz datetime %Y-%m-%d %H:%M:%S+00:00
iso datetime %Y-%m-%d
yes boolean
digits category
nul category
END
"$PY" -c '
import json, sys
for c in json.load(sys.stdin)["columns"]:
    print(c["name"], c["type"], *([c["format"]] if "format" in c else []))' <out >got
holds types_are_right cmp got want
says float32_as_its_shortest_text '"max": 1e30'
expect nested_refused 1 'column "list" is of type list, which a table does not hold (--drop leaves it out)' "$T" inspect nested.parquet
expect nested_dropped 0 "fractions of a second" "$T" inspect nested.parquet --drop list,inner,map,pairs,t,raw

# Records: nested, the same answers as from lines.
cat >nested.jsonl <<'END'
{"id":"p","answer":"1/2","solution":"\\boxed{\\frac12}"}
{"id":"q","answer":"7","solution":"\\boxed{8}"}
{"id":"r","answer":null,"solution":"a\n\"b\"\u0001"}
END
expect records_lines 0 "" "$T" reason verify nested.jsonl -o lines.jsonl -q
cp out lines
expect records 0 "" "$T" reason verify nested.parquet -o rows.jsonl -q
holds records_same_counts cmp out lines
holds records_same_verdicts cmp lines.jsonl rows.jsonl

# A run of records: in from Parquet and out to it, the same as lines; with nested members, which a table's file holds as JSON text.
. "$ROOT/tests/lib/mock.sh"
serve url
python3 - >sums.jsonl <<'END'
import json
for i in range(40):
    print(json.dumps({"id": f"r{i}", "problem": f"What is {i} + {2 * i}?", "answer": str(3 * i), "level": i, "share": i / 8}, separators=(",", ":")))
END
"$PY" -c '
import json, pyarrow as pa, pyarrow.parquet as pq
pq.write_table(pa.Table.from_pylist([json.loads(s) for s in open("sums.jsonl")]), "sums.parquet", row_group_size=7)'
expect run_lines 0 "40 in = " "$T" reason --dataset sums.jsonl -o lines_out.jsonl --server "$url"
expect run_records 0 "40 in = " "$T" reason --dataset sums.parquet -o rows_out.jsonl --server "$url"
holds run_same_bytes cmp lines_out.jsonl rows_out.jsonl
expect run_to_parquet 0 "40 in = " "$T" reason --dataset sums.parquet -o rows_out.parquet --server "$url"
expect run_exported 0 "40 chains" "$T" reason export lines_out.jsonl -o exported.parquet
cat >run_rows.py <<'END'
import json, pyarrow.parquet as pq
want = [json.loads(s) for s in open("lines_out.jsonl")]
for name in "rows_out.parquet", "exported.parquet":
    got = pq.read_table(name).to_pylist()
    assert len(got) == len(want) == 40
    for g, w in zip(got, want):
        assert list(g) == list(w), (list(g), list(w))
        for k, v in w.items():
            assert (json.loads(g[k]) if isinstance(v, (dict, list)) else g[k]) == v, (name, k, g[k], v)
END
holds run_pyarrow "$PY" run_rows.py

# Memory does not grow with the rows that are written, nor with a row group of records.  (Arrow's libraries are 70 MiB of it.)
expect sample_memory 0 "" files rss 200 "$T" sample csv.mill -n 2000000 -o big.parquet -q
expect make_long 0 "" files long
expect records_memory 0 "*" files rss 150 "$T" reason verify long.parquet -q
exit 0
