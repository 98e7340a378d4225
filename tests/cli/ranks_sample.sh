#!/bin/bash
# ranks_sample.sh - sampling by several processes: one file, the same bytes for any number of them.
. tests/lib/cli.sh
T=$TABMILL
: >out
"$T" fit -i "$PENGUINS" -o mix.mill -m mixture --components 8 -q
"$T" fit -i "$PENGUINS" -o gan.mill -m ctgan -e 3 --probe-every 0 -q
awk 'BEGIN { print "id,x,y"; for (i = 0; i < 500; i++) printf "R%05d,%d,%.2f\n", i, i * i % 97, i % 31 / 7 }' >ids.csv
"$T" fit -i ids.csv -o ids.mill -m mixture --components 4 -q

draw() { # NAME OUTPUT ARGUMENT...: by 1, 2 and 3 processes
    local name=$1 to=$2
    shift 2
    "$T" sample "$@" -q -f -o "1.$to"
    verdict "${name}_1" $?
    for n in 2 3; do
        "$T" sample "$@" -q -f -o "$n.$to" --nproc $n
        verdict "${name}_$n" $?
        holds "${name}_${n}_same_bytes" cmp "1.$to" "$n.$to"
    done
}
draw native m.csv mix.mill -n 25000 --batch-size 1000 --where species=Gentoo
draw short s.csv mix.mill -n 7 --batch-size 3
draw one_batch o.csv mix.mill -n 5000
draw numbered i.csv ids.mill -n 1234 --batch-size 100
draw tabs t.tsv mix.mill -n 3000 --batch-size 700
draw gzip g.csv.gz mix.mill -n 3000 --batch-size 700
draw array a.npz mix.mill -n 300
draw net n.csv gan.mill -n 5000 --batch-size 512

# By rejection: the same rows, and the same rate, which counts candidates as one process does.
rejected() { "$T" sample gan.mill -n 4000 --where 'year>=2008' --where species=Gentoo -f -o "$1.r.csv" "${@:2}"; }
expect rejection_1 0 "% of the drawn rows met" rejected 1
grep 'of the drawn' err >rate
for n in 2 3; do
    expect rejection_$n 0 "$n ranks" rejected $n --nproc $n
    holds rejection_${n}_same_bytes cmp 1.r.csv $n.r.csv
    holds rejection_${n}_same_rate grep -qxF "$(cat rate)" err
done
never() { "$T" sample gan.mill -n 10 --where 'body_mass_g<=2700' --where 'flipper_length_mm>=231' --where 'bill_length_mm<=32.1' -o never.csv "$@"; }
expect rejection_given_up 1 "fewer than 1 in 10,000 is given up" never
grep 'given up' err | sed 's/.*: of/of/' >words
expect rejection_given_up_by_2 1 "$(cat words)" never --nproc 2
holds given_up_leaves_nothing test ! -e never.csv

"$T" sample mix.mill -n 20000 --nproc 2 -q >stdout.csv
"$T" sample mix.mill -n 20000 -q >alone.csv
holds stdout_same_bytes cmp alone.csv stdout.csv
"$T" launch -n 2 -- "$T" sample mix.mill -n 20000 -q -o launched.csv
holds launched_same_bytes cmp alone.csv launched.csv
"$T" sample mix.mill -n 100000000 --nproc 2 -q 2>err | head -3 >head.csv
holds head_has_its_lines cmp <(head -3 alone.csv) head.csv
holds reader_left_silently test ! -s err

# generate: the ranks that trained draw.
for n in 1 2 3; do "$T" generate -i "$PENGUINS" -o "$n.gen.csv" -n 5000 --batch-size 300 -m mixture --components 5 -q --nproc $n; done
holds generate_2_same_bytes cmp 1.gen.csv 2.gen.csv
holds generate_3_same_bytes cmp 1.gen.csv 3.gen.csv
# An array is drawn by rank 0, which takes the model away: the others need not be in time to open it.
if command -v gcc >/dev/null; then
    gcc -shared -fPIC -o slow.so "$ROOT/tests/cli/slow_open.c"
    # shellcheck disable=SC2016
    expect generate_array 0 "" "$T" launch -n 2 -- sh -c '[ "$RANK" = 0 ] || export LD_PRELOAD=$1/slow.so; shift; exec "$@"' sh "$PWD" \
        "$T" generate -i "$PENGUINS" -o gen.npz -n 100 -m mixture --components 5 -q
    "$T" generate -i "$PENGUINS" -o alone.npz -n 100 -m mixture --components 5 -q
    holds generate_array_same_bytes cmp alone.npz gen.npz
else
    echo "SKIP: gcc is absent: no disk to slow down"
fi

# A rank dies: it is named, the job ends, and there is no file.
"$T" sample "$PWD/mix.mill" -n 1000000000 --nproc 2 -o dead.csv >out 2>err &
job=$!
at_work() { [ "$(pgrep -c -P $job)" = 3 ] && compgen -G '*dead.csv*' >/dev/null; } # the guard and two ranks
wait_until at_work
pkill -KILL -n -P $job
began=$(date +%s%N)
wait $job
verdict death_status $(($? != 137)) "the launcher's status is not 137"
took=$((($(date +%s%N) - began) / 1000000))
verdict death_is_prompt $((took > 30000)) "it took $took ms" # of hours
holds death_is_told grep -q "rank 1.*was killed by signal 9" err
holds death_leaves_nothing sh -c '! ls | grep -q dead'

"$T" sample "$PWD/mix.mill" -n 1000000000 --nproc 2 -o stop.csv >out 2>err &
job=$!
wait_until compgen -G '*stop.csv*' >/dev/null
sleep 0.2
kill -TERM $job
wait $job
verdict interrupted $(($? != 143)) "the status is not 143"
holds interrupted_leaves_nothing sh -c '! ls | grep -q stop'

expect exists 1 "exists; --force overwrites it" "$T" sample mix.mill -n 10 --nproc 2 -o 1.m.csv
expect no_model 1 "nope.mill" "$T" sample nope.mill --nproc 2 -o x.csv
expect nproc_word 2 "auto, or 1 to" "$T" sample mix.mill --nproc many
holds nothing_is_left wait_until sh -c "! pgrep -f \"[s]ample $PWD/mix.mill -n 10000\" >/dev/null"
