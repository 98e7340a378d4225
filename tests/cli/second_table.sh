#!/bin/bash
# second_table.sh - a table that is read after another one has its types and its values' order, however its file writes them.
. tests/lib/cli.sh
T=$TABMILL

# Booleans as two programs write them, and categories whose order of appearance is turned round.
awk 'BEGIN { srand(3); print "on,colour,x,y"
    for (i = 0; i < 200; i++) { k = i % 3 == 0
        print (k ? "true" : "false") "," (k ? "red" : "blue") "," i % 7 "," (k ? "good" : "bad") } }' >one.csv
{ head -1 one.csv; tail -n +2 one.csv | tac; } >turned.csv
sed 's/true/True/; s/false/FALSE/' turned.csv >spelt.csv
expect fit 0 "" "$T" fit -q -m mixture --components 4 -i one.csv -o m.mill
expect scored 0 "" "$T" score -q m.mill -i turned.csv -o want.csv
expect spelt_otherwise 0 "" "$T" score -q m.mill -i spelt.csv -o got.csv
holds spelt_otherwise_bytes cmp want.csv got.csv
expect compared 0 "" "$T" evaluate one.csv spelt.csv -q --json e.json -f
holds compared_shapes python3 -c "import json; assert json.load(open('e.json'))['shapes'] == 1"

# A hole stays the only hole.
sed '5s/^[A-Za-z]*,/,/' one.csv >hole.csv
sed 's/true/T/; s/false/f/' hole.csv >spelt_hole.csv
for f in hole spelt_hole; do "$T" evaluate one.csv $f.csv -q --json $f.json -f >out 2>err; done
holds hole_is_the_only_one python3 - <<'END'
import json
a, b = (json.load(open(f)) for f in ("hole.json", "spelt_hole.json"))
assert a["shapes"] == b["shapes"] and 0.9 < a["shapes"] < 1
END

# A word of neither side makes it a category; those of both sides keep their places.
sed '3s/^[A-Za-z]*,/maybe,/' spelt.csv >third.csv
expect third_word 0 "" "$T" evaluate one.csv third.csv -q --json e.json -f
holds third_word_shapes python3 -c "import json; assert 0.99 < json.load(open('e.json'))['shapes'] < 1"

# One side alone.
grep -v FALSE spelt.csv >side.csv
expect one_side 0 "" "$T" score -q m.mill -i side.csv -o side_got.csv
grep -v false turned.csv >side_plain.csv
"$T" score -q m.mill -i side_plain.csv -o side_want.csv
holds one_side_bytes cmp side_want.csv side_got.csv

# The same rows as arrays, whose booleans are False and True.
for kind in csv npz; do "$T" sample -q m.mill -n 300 --seed 5 -o s.$kind; done
for kind in csv npz; do expect score_$kind 0 "" "$T" score -q m.mill -i s.$kind -o score_$kind.csv; done
holds score_npz_bytes cmp score_csv.csv score_npz.csv

# Texts of a .npy, in another order of appearance than those that were trained on.
cut -d, -f2,4 one.csv | sed '1s/.*/c0,c1/' >texts.csv
python3 - <<'END'
rows = [line.strip().split(",") for line in open("texts.csv")][1:][::-1]
head = b"{'descr': '<U4', 'fortran_order': False, 'shape': (%d, 2), }" % len(rows)
head += b" " * (-(len(head) + 11) % 64) + b"\n"
body = b"".join(v.encode("utf-32-le").ljust(16, b"\0") for row in rows for v in row)
open("texts.npy", "wb").write(b"\x93NUMPY\x01\0" + len(head).to_bytes(2, "little") + head + body)
END
{ head -1 texts.csv; tail -n +2 texts.csv | tac; } >texts_turned.csv
"$T" train -q --data texts.csv --target c1 -e 30 --batch-size 20 --save-dir texts >out 2>err
expect predict_csv 0 "" "$T" predict -q texts/best.mill -i texts_turned.csv -o p_csv.csv
expect predict_npy 0 "" "$T" predict -q texts/best.mill -i texts.npy -o p_npy.csv
holds predict_npy_bytes cmp p_csv.csv p_npy.csv

# What -d and --types made of the first table holds for those that are tested on.
cat >tested.py <<'END'
import json, sys
test = json.load(open(sys.argv[1] + "/training_results.json"))["test"]
assert test["accuracy"] == 1 and {c["class"]: c["rows"] for c in test["per_class"]} == {"good": 67, "bad": 133}, test
END
"$T" inspect one.csv >types.json 2>err
sed -i 's/"boolean"/"category"/' types.json
learn() { # NAME OPTION...
    "$T" train -q --data one.csv --target y --test-data turned.csv -e 30 --batch-size 20 --save-dir "$1" "${@:2}" >out 2>err
}
learn plain
learn discrete -d x -d y
learn types --types types.json
for run in plain discrete types; do
    holds test_data_$run python3 tested.py $run
done
