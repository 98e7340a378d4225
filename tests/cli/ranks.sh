#!/bin/bash
# ranks.sh - fit in several processes: the same bytes for any number of them, whatever happens on the way.
. tests/lib/cli.sh
T=$TABMILL

# 40,000 rows: five units of EM's counts, so that each of three ranks has some.
table() { # ROWS
    awk -v n="$1" -v OFS=, 'BEGIN { print "a,b,c,d"
        for (i = 0; i < n; i++) { k = i * i % 7; print k, (i % 1000) / 8 + k, "v" i % 13 * k % 11, i % 3 == k % 3 } }'
}
table 40000 >t.csv
table 400000 >slow.csv # a step takes long enough to be interrupted
fit() { # OUTPUT ARGUMENT...
    local out=$1
    shift
    "$T" fit -i "$TEST_TMP/t.csv" -o "$out" -m mixture --components 20 -q "$@"
}
expect alone 0 "" fit one.mill
for n in 2 3; do
    expect "nproc_$n" 0 "" fit "n$n.mill" --nproc $n
    holds "nproc_${n}_same_bytes" cmp one.mill "n$n.mill"
done
expect stdin 0 "" sh -c "gzip -c t.csv | '$T' fit -i - -o piped.mill -m mixture --components 20 -q --nproc 2"
holds stdin_same_bytes cmp one.mill piped.mill
expect under_launch 0 "*" "$T" launch -n 2 -- "$T" fit -i "$TEST_TMP/t.csv" -o l.mill -m mixture --components 20
holds under_launch_same_bytes cmp one.mill l.mill
expect finished 0 "this run is finished" "$T" fit -i "$TEST_TMP/t.csv" -o n2.mill -m mixture --components 20 --nproc 3 --resume

# A rank is killed: the launcher says so; another number of ranks goes on to the same bytes.
"$T" fit -i "$TEST_TMP/slow.csv" -o k.mill -m mixture --components 200 -q --nproc 2 --checkpoint-every 0 >out 2>err &
job=$!
wait_until compgen -G 'k.mill.run/step_*.mill' >/dev/null
pkill -KILL -n -f "fit -i $TEST_TMP/slow.csv -o k.mill"
wait $job
verdict killed $(($? != 137)) "the launcher's status is not 137"
holds killed_is_told grep -q "was killed by signal 9" err
rm -rf k.mill.run
TABMILL_FAULT=rename:6:kill fit k.mill --nproc 2 --checkpoint-every 0 >out 2>err
holds died test ! -e k.mill
holds died_with_a_checkpoint compgen -G 'k.mill.run/step_*.mill'
expect resume 0 "going on from step" "$T" fit -i "$TEST_TMP/t.csv" -o k.mill -m mixture --components 20 --nproc 3 --resume
holds resume_same_bytes cmp one.mill k.mill

# SIGTERM to the launcher: saved, 75.
"$T" fit -i "$TEST_TMP/slow.csv" -o s.mill -m mixture --components 200 -q --nproc 2 >out 2>err &
job=$!
wait_until [ -s s.mill.run/metrics.jsonl ]
kill -TERM $job
wait $job
verdict preempted $(($? != 75)) "the status is not 75"
holds preempted_saved compgen -G 's.mill.run/step_*.mill'

expect generate 0 "*" "$T" generate -i "$TEST_TMP/t.csv" -o g.csv -n 100 -m mixture --components 5 --multi-gpu
holds generate_rows test "$(wc -l <g.csv)" = 101
expect no_input 1 "cannot open" "$T" fit -i nope.csv -o x.mill --nproc 2
holds nothing_is_left wait_until sh -c "! pgrep -f \"fit -i $TEST_TMP/[ts]\" >/dev/null"
