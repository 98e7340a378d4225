#!/bin/bash
# bench.sh - `tabmill bench scaling`: of programs whose times are known, of trainings, of what fails; figures compared with the CSV's.
# shellcheck disable=SC2016 # the words of `sh -c` are for the ranks' shells
. tests/lib/cli.sh
T=$TABMILL
B=("$T" bench scaling)
: >out
sleeps() { echo "sleep \$(awk -v n=\$WORLD_SIZE 'BEGIN { print $1 }')"; }
facts() { # PYTHON: of runs (dicts) in r.csv and `said`, what was printed
    python3 - "$1" >facts 2>&1 <<'PY'
import csv, re, statistics, sys
runs = [{k: float(v) if re.fullmatch(r"-?[0-9.]+(e[-+]?[0-9]+)?", v) else v for k, v in r.items()} for r in csv.DictReader(open("r.csv"))]
said = open("out").read()
of = lambda n, key, mode="strong": [r[key] for r in runs if r["ranks"] == n and r["mode"] == mode]
mean = lambda n, key, mode="strong": statistics.mean(of(n, key, mode))
near = lambda a, b, e: abs(a - b) <= e
print(eval(sys.argv[1]))
PY
    grep -qx True facts || { cat facts >&2; return 1; }
}

# ---- a program of others, with a part that no rank shortens: T(N) = .5 (.25 + .75 / N)
unit=.5 # seconds; longer in each try: a busy machine starts ranks late
strong() {
    expect strong 0 "" "${B[@]}" -q -r 3 -n 1,2,4 -o r.csv --svg r.svg -f -- sh -c "$(sleeps "$unit * (.25 + .75 / n)")"
    unit=$(awk "BEGIN { print 2 * $unit }")
    facts '1.2 < mean(2, "speedup") < 1.75 and 1.5 < mean(4, "speedup") < 2.45'
    verdict as_fast_as_it_is $?
    facts 'near(float(re.search(r"s = ([-0-9.]+)", said).group(1)), .25, .15) and "times as fast, however many ranks" in said'
    verdict amdahl_finds_the_part $?
}
in_some_try strong
facts 'len(runs) == 9 and [r["ranks"] for r in runs] == 3 * [1, 2, 4] and [r["repeat"] for r in runs[::3]] == [1, 2, 3]'
verdict turn_by_turn $?
facts 'all(near(r["speedup"], one["seconds"] / r["seconds"], 1e-4) and near(r["efficiency"], r["speedup"] / r["ranks"], 1e-4)
           for i, r in enumerate(runs) for one in [runs[i - i % 3]])'
verdict pairs_of_a_turn $?
facts '(lambda p: near(float(re.search(r"s = ([-0-9.]+)", said).group(1)), sum((1 / s - 1 / n) * (1 - 1 / n) for n, s in p)
       / sum((1 - 1 / n) ** 2 for n, s in p), 2e-4))([(n, mean(n, "speedup")) for n in (1, 2, 4)])'
verdict amdahl $?
facts '(lambda x, h: near(x, 100 * mean(4, "efficiency"), .1) and near(h, 430.3 * statistics.stdev(of(4, "efficiency")) / 3 ** .5, .2))(
       *map(float, re.search(r"^ +4  .* ([0-9.]+) \+- ([0-9.]+) %", said, re.M).groups()))'
verdict the_interval_is_students $?
says no_split "does not tell where its time goes"
says universal "Universal: S(N) = N / (1 + sigma"
holds svg python3 -c '
import xml.etree.ElementTree as e
s = e.parse("r.svg").getroot()
tag = lambda n: s.findall(".//{http://www.w3.org/2000/svg}" + n)
assert s.tag.endswith("svg") and [c.get("class") for c in tag("circle")] == 3 * ["s0"] and len(tag("path")) == 1, s'
expect exists 1 "r.csv" "${B[@]}" -q -r 1 -o r.csv -- true

# ---- faster than possible: marked, not praised
unit=.3
above() {
    expect above 0 "" "${B[@]}" -q -r 2 -n 1,2 -o r.csv --svg r.svg -f -- sh -c "$(sleeps "$unit / n / n")"
    unit=$(awk "BEGIN { print 2 * $unit }")
    says above_is_marked "times as fast: more than is possible"
    facts '[r["above_ranks"] for r in runs] == [0, 1, 0, 1]'
    verdict above_in_the_csv $?
}
in_some_try above
holds above_in_another_colour grep -q '<circle class="s5"' r.svg

# ---- N times the work
unit=.2
weak() {
    expect weak 0 "" "${B[@]}" -q -r 2 -n 1,2 -m weak -o r.csv -f -- sh -c "test \$TABMILL_SCALING = weak && $(sleeps "$unit * (1 + .1 * (n - 1))") # {n}"
    unit=$(awk "BEGIN { print 2 * $unit }")
    facts 'near(mean(2, "efficiency", "weak"), .91, .12) and near(float(re.search(r"a = ([-0-9.]+)", said).group(1)), 2 - mean(2, "speedup", "weak"), 2e-4)'
    verdict gustafson $?
}
in_some_try weak
expect weak_unknown 0 "has to do N times the work" "${B[@]}" -r 1 -n 1,2 -m weak -- true
expect words 0 "" "${B[@]}" -q -r 1 -n 1,2 --warm-up 0 -- sh -c 'test {n} = $WORLD_SIZE && test -d {tmp} && touch {tmp}/a && test $OMP_NUM_THREADS = 1'

# ---- a training: its work is dealt, its time divided
tr=(-- "$T" train -i "$PENGUINS" -t species --epochs 2)
training() {
    expect training 0 "strong, 2 ranks, run 2 of 2" "${B[@]}" -r 2 -n 1,2 -o r.csv --svg r.svg -f "${tr[@]}" --batch-size 16 --hidden-dims 64
    facts 'all(.8 * r["seconds"] < sum(r[k] for k in ("compute", "communication", "data_wait", "imbalance")) <= r["seconds"] * 1.0001
               and min(r[k] for k in ("compute", "communication", "data_wait", "imbalance")) >= 0 and r["seconds"] < r["whole_seconds"] for r in runs)'
    verdict the_parts_make_the_whole $?
}
in_some_try training
facts '[r["step_rows"] for r in runs] == 4 * [16] + [16, 32] * 2'
verdict work_is_dealt $?
facts '[r["steps"] for r in runs] == 4 * [36] + [36, 36] * 2' # 276 rows: 18 steps of 16, 9 of 32, twice the epochs
verdict steps_of_a_rank $?
facts 'mean(2, "imbalance") > mean(1, "imbalance") == 0 and " %" in said and "does not tell" not in said'
verdict one_rank_waits_for_nobody $?
holds shares_are_drawn grep -q 'data wait [0-9.]* %' r.svg
echo '{"batch-size": 12, "epochs": 1, "hidden-dims": [32]}' >c.json
expect options_of_a_file 0 "" "${B[@]}" -q -r 1 -n 1,2 -m strong -o r.csv -f -- "$T" train -i "$PENGUINS" -t species --config c.json
facts '[r["step_rows"] for r in runs] == [12, 12]'
verdict options_of_a_file_count $?

# ---- refused, failed, interrupted
expect not_dealt 2 "cannot be dealt to 3 ranks evenly" "${B[@]}" -n 1,3 "${tr[@]}"
expect dp 2 "there are no ranks" "${B[@]}" "${tr[@]}" --multi-gpu dp --nproc 2
expect how_many_ranks 2 "--nproc of tabmill train: --ranks of bench says how many" "${B[@]}" "${tr[@]}" --nproc 2
expect how_many_threads 2 "--threads of bench says how many" "${B[@]}" "${tr[@]}" --threads 2
expect anew 2 "begins anew" "${B[@]}" "${tr[@]}" --resume
expect no_restarts 2 "a run that fails is not timed" "${B[@]}" "${tr[@]}" --max-restarts 2
expect from_one 2 "they begin with 1" "${B[@]}" -n 2,4 -- true
expect rising 2 "and rise" "${B[@]}" -n 1,2,2 -- true
expect mode 2 "strong, weak or both" "${B[@]}" -m up -- true
expect what 2 "what can be measured is scaling" "$T" bench speed
expect no_command 2 "COMMAND is missing" "${B[@]}"
expect in_a_rank 2 "this is a rank already" "$T" launch -n 2 -- "${B[@]}" true
expect fails 3 "2 ranks, run 1 of 1: ended with status 3" "${B[@]}" -r 1 -n 1,2 -- sh -c 'test $WORLD_SIZE = 1 || exit 3'
expect no_program 127 "No such file" "${B[@]}" -r 1 -n 1,2 -- ./none
"${B[@]}" -q -n 1 -- sh -c 'touch up; sleep 60' >out 2>err &
job=$!
wait_until [ -e up ]
kill -INT $job
wait $job
verdict interrupted $(($? != 130)) "not 130"
holds nothing_is_left sh -c '! ls -d tabmill-scaling-*'
