#!/bin/bash
# streams.sh - "-" is stdin or stdout in every command, for tables and for models; what comes from there is what a file gives.
. tests/lib/cli.sh
T=$TABMILL
: >out

"$T" fit -i "$PENGUINS" -o m.mill -q
"$T" sample m.mill -n 300 -o s.csv -q
head -200 "$PENGUINS" >h.csv
"$T" train -i "$PENGUINS" -t species --epochs 1 -o run -q

same() { # NAME FILE COMMAND...: through a pipe, and redirected, "-" does what FILE does; FILE is the word "{}"
    local name=$1 file=$2
    shift 2
    "${@//\{\}/$file}" >want 2>err
    verdict "${name}_file" $? "$(cat err)"
    "${@//\{\}/-}" <"$file" >got 2>err
    verdict "${name}_redirected" $? "$(cat err)"
    holds "${name}_redirected_same" cmp want got
    # shellcheck disable=SC2002 # a pipe cannot be read twice
    cat "$file" | "${@//\{\}/-}" >got 2>err
    verdict "${name}_piped" $? "$(cat err)"
    holds "${name}_piped_same" cmp want got
}
without_input() { sed -E '/"(path|xxh3|bytes)"/d' "$1"; }

same sample m.mill "$T" sample {} -n 50 -q
same sample_ranks m.mill "$T" sample {} -n 5000 --batch-size 500 -q --nproc 2
same inspect_model m.mill "$T" inspect {} --hash
same inspect_table "$PENGUINS" "$T" inspect {} -q
same score_model m.mill "$T" score {} -i "$PENGUINS" -o - -q
same score_table "$PENGUINS" "$T" score m.mill -i {} -q
same generate "$PENGUINS" "$T" generate -i {} -o - -n 40 -q
same predict "$PENGUINS" "$T" predict run -i {} -q
expect estimate 0 "" sh -c "cat '$PENGUINS' | '$T' estimate -i - -m mixture -q" # (what the process holds already differs by pages)
says estimate_table "344 rows, 8 columns"
expect evaluate_file 0 "*" "$T" evaluate "$PENGUINS" s.csv --holdout h.csv --json -
without_input out >want
expect evaluate_piped 0 "*" sh -c "cat '$PENGUINS' | '$T' evaluate - s.csv --holdout h.csv --json -"
without_input out >got
holds evaluate_piped_same diff want got
expect evaluate_other_piped 0 "*" sh -c "cat s.csv | '$T' evaluate '$PENGUINS' - --holdout h.csv --json -"
holds evaluate_other_piped_same test "$(grep -c . want)" = "$(without_input out | grep -c .)"
expect fit_to_sample 0 "" bash -c "set -o pipefail; '$T' fit -i '$PENGUINS' -o - -q | '$T' sample - -n 300 -q | cmp - s.csv"

# One of them can be there; half a model is refused; nothing is kept.
expect two_models_and_tables 2 "can be stdin" "$T" score - -i -
expect two_tables 2 "can be stdin" "$T" evaluate - -
expect table_and_holdout 2 "can be stdin" "$T" evaluate - s.csv --holdout -
expect half_a_model 1 "cut short" sh -c "head -c 5000 m.mill | '$T' sample - -n 2"
expect no_model 1 "-: " sh -c "'$T' sample - -n 2 </dev/null"
expect a_table_for_a_model 1 "-: " sh -c "'$T' sample - -n 2 <'$PENGUINS'"
# The copy has no name even while it is made, so that one who is killed leaves nothing either.
cat >killed.py <<'END'
import glob, subprocess, sys
p = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE)
p.stdin.write(b"1\n" * 500000)  # more than a pipe holds: it has begun to read
p.stdin.flush()
names = glob.glob("tabmill-*")
p.terminate()
print(names, p.wait(), glob.glob("tabmill-*"))
END
expect killed_while_it_copies 0 "" python3 killed.py "$T" inspect -
says killed_leaves_no_copy "[] 143 []"
holds no_copies sh -c '! ls -d tabmill-*'

# The shell's <(...) is a pipe with a name: read where once is enough, else refused in words.
expect pipe_inspect 0 "*" bash -c "'$T' inspect <(cat '$PENGUINS') -q"
"$T" inspect "$PENGUINS" -q >want 2>err
holds pipe_inspect_same cmp out want
expect pipe_evaluate 0 "*" bash -c "'$T' evaluate <(cat '$PENGUINS') <(cat s.csv) --holdout h.csv --json -"
holds pipe_evaluate_same test "$(python3 -c 'import json; print(json.load(open("out"))["shapes"])')" = \
    "$("$T" evaluate "$PENGUINS" s.csv --holdout h.csv --json - | python3 -c 'import json, sys; print(json.load(sys.stdin)["shapes"])')"
holds pipe_has_no_hash sh -c '! grep -q "ef46db3751d8e999\|\"bytes\": 0" out'
expect pipe_fit 1 "give it as stdin" bash -c "'$T' fit -i <(cat '$PENGUINS') -o p.mill"
expect pipe_train 1 "give it as stdin" bash -c "'$T' train -i <(cat '$PENGUINS') -t species -o piped"
holds pipe_leaves_nothing sh -c '! ls -d p.mill* piped'

# Never over a file that is there, whoever writes it.
"$T" score m.mill -i h.csv -o there.csv -q && cp there.csv before.csv
for c in "score m.mill -i h.csv -o" "sample m.mill -n 3 -o" "generate -i h.csv -n 3 -o" "predict run -i h.csv -o" \
    "evaluate h.csv s.csv --json" "evaluate h.csv s.csv -o" "fit -i h.csv -o"; do
    # shellcheck disable=SC2086
    expect "there: ${c%% *} ${c##* }" 1 "there.csv: exists; --force overwrites it" "$T" $c there.csv
    holds "untouched by ${c%% *} ${c##* }" cmp there.csv before.csv
done
# shellcheck disable=SC2086
expect forced_score 0 "*" "$T" score m.mill -i "$PENGUINS" -o there.csv --force
holds forced_score_rows test "$(wc -l <there.csv)" = 345
