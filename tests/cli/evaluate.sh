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

expect level 0 "*" env TABMILL_ISA=v3 "$T" evaluate "$PENGUINS" s.csv --json -
holds level_same_bytes cmp out one.json

# Several tables, a model, a page, bounds.
"$T" fit -i "$PENGUINS" -o m.mill -q
"$T" sample m.mill -n 300 -o t.csv -q
some="--holdout h.csv --target species --known island --known sex --sensitive year"
# shellcheck disable=SC2086
expect several 0 "m.mill is taken for the model of all 2 tables" "$T" evaluate "$PENGUINS" s.csv t.csv $some --model m.mill --json two.json -o two.html
says several_names_both "t.csv"
# shellcheck disable=SC2086
expect nproc 0 "*" "$T" evaluate "$PENGUINS" s.csv t.csv $some --model m.mill --json nproc.json --nproc 2
holds nproc_same_bytes cmp two.json nproc.json
# shellcheck disable=SC2086
expect alone 0 "*" "$T" evaluate "$PENGUINS" t.csv $some --model m.mill --json alone.json
holds several_are_single_ones python3 -c "
import json
two, one = json.load(open('two.json')), json.load(open('alone.json'))
del one['run']
assert two['reports'][1] == one
assert 0 <= one['privacy']['membership']['by_likelihood']['auc'] <= 1
assert two['run']['model']['method'] == 'mixture' and two['run']['real']['rows'] == 344
fit = two['run']['model']['manifest']
assert fit['status'] == 'finished' and fit['config']['input']['bytes'] > 0 and fit['config']['method'] == 'mixture', fit"
holds schema python3 "$ROOT/tests/lib/schema.py" "$ROOT/docs/evaluate.schema.json" r.json two.json alone.json
"$T" fit -i "$PENGUINS" -o o.mill --run-dir elsewhere --seed 9 -q
cp -r m.mill.run o.mill.run
expect manifest_of_another_fit 0 "*" "$T" evaluate "$PENGUINS" t.csv --model o.mill --json other.json
holds manifest_of_another_fit_is_left_out python3 -c "import json; assert json.load(open('other.json'))['run']['model']['manifest'] is None"
expect types 0 "*" "$T" inspect "$PENGUINS"
python3 - <<'END'
import json
types = json.load(open("out"))
for c in types["columns"]:
    if c["name"] == "year":
        c["type"] = "category"
json.dump(types, open("types.json", "w"))
END
expect types_given 0 "*" "$T" evaluate "$PENGUINS" s.csv --types types.json --json typed.json
holds types_obeyed python3 -c "
import json
kind = lambda path: {c['name']: c['type'] for c in json.load(open(path))['columns']}['year']
assert (kind('typed.json'), kind('r.json')) == ('category', 'integer'), (kind('typed.json'), kind('r.json'))"
holds page_stands_alone python3 -c "
import re
s = open('two.html').read()
assert s.startswith('<!doctype html>') and s.rstrip().endswith('</html>')
assert not re.search(r'<script|https?://(?!www.w3.org)|@import|url\(', s)
assert 's.csv' in s and 't.csv' in s"
expect page_over_json 1 "./x.json: the JSON was just written there" "$T" evaluate "$PENGUINS" s.csv --json x.json -o ./x.json
holds page_over_json_keeps_it python3 -m json.tool x.json
expect page_exists 1 "two.html: exists" "$T" evaluate "$PENGUINS" s.csv -o two.html
expect key 0 "*" "$T" evaluate "$PENGUINS" s.csv --key year --json key.json
holds key_is_no_column python3 -c "
import json
r = json.load(open('key.json'))
assert r['diagnostic']['key']['column'] == 'year' and 'shape' not in [c for c in r['columns'] if c['name'] == 'year'][0]
assert not [p for p in r['pairs'] if 'year' in (p['a'], p['b'])]"
python3 - <<'END' # 18 digits, one apart, each twice; a dozen of them are one double
def write(name, first):
    with open(name, "w") as f:
        f.write("id,age\n" + "".join(f"{first + i // 2},{i % 50}\n" for i in range(200)))


write("ids.csv", 110101199003070000)
write("other_ids.csv", 110101199003070075)
END
expect long_ids 0 "*" "$T" evaluate ids.csv other_ids.csv --key id --known id --json ids.json
holds long_ids_are_told_apart python3 -c "
import json
r = json.load(open('ids.json'))
k = r['diagnostic']['key']
assert (k['uniqueness'], k['copied'], r['privacy']['anonymity']['real']['classes']) == (0.5, 0.25, 100), k
assert [c['validity'] for c in r['columns'] if c['name'] == 'id'] == [0.5]"
expect max_rows 0 "*" "$T" evaluate "$PENGUINS" s.csv --max-rows 100 --json max.json
holds max_rows_is_said grep -q "100 of 344 real rows stand for all, drawn at random by seed 0" max.json
# shellcheck disable=SC2086
expect max_rows_fewer 0 "*" "$T" evaluate "$PENGUINS" t.csv $some --model m.mill --json fewer.json --max-rows 60
holds max_rows_bounds_what_it_says python3 -c "
import json, re
def leaves(v, at=''):
    if isinstance(v, (dict, list)):
        for k, x in (v.items() if isinstance(v, dict) else enumerate(v)):
            yield from leaves(x, f'{at}.{k}')
    else:
        yield at[1:], v
a, b = (dict(leaves(json.load(open(f)))) for f in ('alone.json', 'fewer.json'))
changed = {k for k in a.keys() | b.keys() if a.get(k) != b.get(k)}
bound = [r'privacy\.(dcr|nndr|membership|disclosure|rows)\.', 'privacy.new_rows', r'support\.', r'utility\.', r'detection\.', 'options.max_rows', 'notes']
free = {k for k in changed if not any(re.match(p, k) for p in bound)}
assert not free, free
for p in bound[:5]:
    assert any(re.match(p, k) for k in changed), p
assert b['privacy.rows.real'] == 60 and b['detection.real_rows'] == 60 and b['utility.real_train_rows'] == 60
assert b['options.max_rows'] == 60 and b['seed'] == 0"
for said in "privacy and support: 60 of 344 real rows" "utility: learners were given at most 60 rows of a table, drawn at random by seed 0" \
    "detection: learners were given 60 real and 60 synthetic rows, drawn at random by seed 0"; do
    holds "max_rows_says ${said%%:*}" grep -qF "$said" fewer.json
done
# Processes that wait for a table which never comes end with the one that started them.
mkfifo one.fifo two.fifo
"$T" evaluate "$PENGUINS" one.fifo two.fifo --nproc 2 >out 2>err &
job=$!
holds workers_start wait_until sh -c "[ \"\$(pgrep -c -P $job)\" = 2 ]"
workers=$(pgrep -P $job)
kill -TERM $job
wait $job
holds workers_end_with_their_parent wait_until sh -c "! pgrep -f \"evaluate $PENGUINS one.fif[o]\""
expect no_more_pipes 1 "a pipe: Too many open files" timeout 60 bash -c "ulimit -n 5; '$T' evaluate '$PENGUINS' one.fifo two.fifo --nproc 2"
holds no_more_pipes_no_workers wait_until sh -c "! pgrep -f \"evaluate $PENGUINS one.fif[o]\""
# shellcheck disable=SC2086 # several words
kill -KILL $workers 2>/dev/null
expect bound_holds 0 "" "$T" evaluate "$PENGUINS" s.csv --fail-under shapes=0.5
expect bound_fails 1 "s.csv: shapes is 0." "$T" evaluate "$PENGUINS" s.csv --fail-under shapes=0.9999999
expect bound_of_nothing 1 "was not computed" "$T" evaluate "$PENGUINS" s.csv --fail-under privacy.disclosure.score=0.1
expect bound_unknown 2 "there is no such figure" "$T" evaluate "$PENGUINS" s.csv --fail-under beauty=1
expect bound_of_distance 2 "more of it is not better" "$T" evaluate "$PENGUINS" s.csv --fail-under wasserstein=1
expect bound_of_no_number 2 "METRIC=VALUE is wanted" "$T" evaluate "$PENGUINS" s.csv --fail-under shapes=high
expect known_and_sensitive 1 "both known and sensitive" "$T" evaluate "$PENGUINS" s.csv --known sex --sensitive sex
expect no_such_known 1 "\"colour\"" "$T" evaluate "$PENGUINS" s.csv --known colour
# shellcheck disable=SC2013 # metrics have no blanks
for metric in $(sed -n 's/^HEADLINE("[a-z]*", "\([^"]*\)".*/\1/p' "$ROOT/src/eval/headline.def"); do
    holds "docs_have_$metric" grep -qF "| \`$metric\` |" "$ROOT/docs/evaluate.md"
done
