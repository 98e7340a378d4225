#!/bin/bash
# evaluate_bad.sh - tables with something wrong: it is named, the report has the form of its schema, and no figure is missing
# without a reason in `skipped` or `notes`.
. tests/lib/cli.sh
T=$TABMILL

cat >make.py <<'END'
import random


def rows(n, seed):
    r = random.Random(seed)
    return [(r.randint(18, 70), r.choice(["Oslo", "Rome", "Lima"]), round(r.gauss(100, 20), 1), f"2020-01-{r.randint(1, 28):02d}")
            for _ in range(n)]


def write(name, table, head="age,city,pay,day"):
    with open(name, "w") as f:
        f.write(head + "\n" + "".join(",".join(map(str, r)) + "\n" for r in table))


real, syn = rows(200, 1), rows(150, 2)
write("r.csv", real)
write("s.csv", syn)
write("columns.csv", [(*t[:3], 1) for t in syn], "age,city,pay,other")
write("words.csv", [(t[0], t[1], "much", t[3]) for t in syn])
write("constant.csv", [(40, "Oslo", 7, t[3]) for t in syn])
write("empty.csv", [("", t[1], "", t[3]) for t in syn])
write("one.csv", syn[:1])
write("new.csv", [(t[0], "Paris" if i < 9 else t[1], *t[2:]) for i, t in enumerate(syn)])
question = 171 * "\u4eac"  # the header of a survey, 513 bytes: no length of a note holds whole characters alone
for first in ("", "a", "ab"):
    write(f"long{len(first)}.csv", real, f"age,{first}{question},pay,day")
    write(f"long{len(first)}_new.csv", [(t[0], "Paris", *t[2:]) for t in syn], f"age,{first}{question},pay,day")
write("keys.csv", [(f"K{i:06d}",) for i in range(60)], "key")
write("real_constant.csv", [(40, "Oslo", 7, t[3]) for t in real])
write("real_empty.csv", [("", t[1], "", t[3]) for t in real])
END
python3 make.py

evaluates() { # NAME REAL SYNTHETIC: it does, in the form of the schema, with a reason for each null
    expect "$1" 0 "*" "$T" evaluate "$2.csv" "$3.csv" --holdout r.csv --target city --known age --sensitive city --json "$1.json" -o "$1.html"
    holds "$1_schema" python3 "$ROOT/tests/lib/schema.py" "$ROOT/docs/evaluate.schema.json" "$1.json"
    holds "$1_reasons" python3 "$ROOT/tests/lib/reasons.py" "$1.json"
}
names() { # NAME TEXT: the JSON of that run says it
    holds "$1_says" grep -qF "$2" "$1.json"
}
evaluates good r s
evaluates other_columns r columns
names other_columns '"column": "day"'
names other_columns '"column": "other"'
expect other_type 1 "words.csv:2: column \"pay\": \"much\" is not a number" "$T" evaluate r.csv words.csv
expect other_type_cast 1 "--discrete" "$T" evaluate r.csv words.csv
printf 'age,age\n1,2\n' >twice.csv
expect two_alike 1 'column "age" appears twice in the header' "$T" evaluate r.csv twice.csv
holds two_alike_get_no_other_advice sh -c "! grep -q -e --discrete err"
expect other_type_mended 0 "*" "$T" evaluate r.csv words.csv --discrete pay
expect compat 0 "*" "$T" evaluate r.csv s.csv --sdmetrics-compat --json compat.json -o compat.html
holds compat_dates_are_seconds python3 -c "
import json
day = lambda path: [c for c in json.load(open(path))['columns'] if c['name'] == 'day'][0]
a, b = day('compat.json'), day('good.json')
for x, y in zip([*a['real'].values(), *a['histogram']['edge']], [*b['real'].values(), *b['histogram']['edge']]):
    assert abs(x - y) <= 1e-9 * abs(y), (x, y)
assert a['histogram']['real'] == b['histogram']['real'] and '>2020-01-01<' in open('compat.html').read()"
evaluates constant r constant
names constant 'synthetic table, column \"pay\": constant'
evaluates all_missing r empty
names all_missing 'synthetic table, column \"age\": all values are missing'
evaluates one_row r one
names one_row 'the synthetic table has one row'
evaluates never_seen r new
names never_seen 'synthetic table, column \"city\": 1 value that the real table does not have, in 9 rows'
for i in 0 1 2; do
    expect "long_name_$i" 0 "*" "$T" evaluate long$i.csv long${i}_new.csv --json long$i.json -o long$i.html
    names long$i 'column \"'"$(head -1 long$i.csv | cut -d, -f2)"'\": 1 value that the real table does not have'
done
expect keys 0 "*" "$T" evaluate keys.csv keys.csv --json keys.json -o keys.html
holds keys_alone_have_no_figure python3 -c "
import json
r = json.load(open('keys.json'))
a = r['accuracy']
assert a.pop('triples') == 0 and set(a.values()) == {None}, a
assert r['shapes'] is None"
holds keys_reasons python3 "$ROOT/tests/lib/reasons.py" keys.json
holds keys_schema python3 "$ROOT/tests/lib/schema.py" "$ROOT/docs/evaluate.schema.json" keys.json
expect keys_bound 1 "accuracy.overall was not computed" "$T" evaluate keys.csv keys.csv --fail-under accuracy.overall=0
evaluates real_constant real_constant s
names real_constant 'the target has one value only in the real table'
evaluates real_empty real_empty s
evaluates two_rows one one
head -1 r.csv >none.csv
expect no_rows 1 "none.csv: the table has no rows" "$T" evaluate r.csv none.csv

# What nobody wrote down above: pairs of tables at random.
HOSTILE=${HOSTILE:-150}
python3 "$ROOT/tests/cli/evaluate_hostile.py" 1 "$HOSTILE" >out 2>&1
holds hostile_pairs_have_reasons test ! -s out
