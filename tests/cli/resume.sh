#!/bin/bash
# resume.sh - what --resume does in each of its situations, and Ctrl-C.
. tests/lib/cli.sh
T=$TABMILL

expect nothing_to_resume 0 "nothing to resume" "$T" fit -i "$PENGUINS" -o m.mill --resume
cp m.mill first.mill
stat -c %Y.%y m.mill >before
expect finished 0 "this run is finished" "$T" fit -i "$PENGUINS" -o m.mill --resume
stat -c %Y.%y m.mill >after
holds finished_changes_nothing cmp before after
expect finished_quiet 0 "" "$T" fit -i "$PENGUINS" -o m.mill --resume -q
expect finished_other_seed 1 "seed was 0, is 1" "$T" fit -i "$PENGUINS" -o m.mill --resume --seed 1
expect finished_other_option 1 "bins was 100, is 50" "$T" fit -i "$PENGUINS" -o m.mill --resume --bins 50
expect forced_finished 0 "bins was 100, is 50" "$T" fit -i "$PENGUINS" -o m.mill --resume --force --bins 50
"$T" fit -i "$PENGUINS" -o bins.mill -q --bins 50
holds forced_finished_fits cmp m.mill bins.mill
expect forced_back 0 "nothing to resume" "$T" fit -i "$PENGUINS" -o m.mill --resume --force
holds forced_back_same_model cmp m.mill first.mill
expect kept 0 "*" "$T" fit -i "$PENGUINS" -o k.mill --keep 2 --components 3 --iterations 4
expect forced_kept 0 "going on from step 4 of 6" "$T" fit -i "$PENGUINS" -o k.mill --keep 2 --components 3 --iterations 6 --resume --force
holds forced_kept_goes_on grep -q '"step":6,' k.mill.run/metrics.jsonl
expect generate 0 "*" "$T" generate -i "$PENGUINS" -o g.csv -n 20 --where sex=male
expect generate_again 0 "this run is finished" "$T" generate -i "$PENGUINS" -o g.csv -n 20 --where sex=male --resume
expect generate_elsewhere 1 'where was ["sex=male"], is ["sex=female"]' "$T" generate -i "$PENGUINS" -o g.csv -n 20 --where sex=female --resume
expect generate_anywhere 1 'where was ["sex=male"], is not set' "$T" generate -i "$PENGUINS" -o g.csv -n 20 --resume
expect generate_forced 0 "where was" "$T" generate -i "$PENGUINS" -o g.csv -n 20 --where sex=female --resume --force
holds generate_forced_rows sh -c '! grep -q ",male," g.csv && grep -q ",female," g.csv'
head -300 "$PENGUINS" >fewer.csv
expect other_input 1 "input.hash was" "$T" fit -i fewer.csv -o m.mill --resume
rm -rf m.mill.run
expect unknown_run 1 "does not say of which run" "$T" fit -i "$PENGUINS" -o m.mill --resume
expect forced 0 "*" "$T" fit -i "$PENGUINS" -o m.mill --resume --force
holds forced_same_model cmp m.mill first.mill

# Killed after the third fsync of a checkpoint or so: an unfinished run lies there.
rm -rf m.mill m.mill.run
TABMILL_FAULT=rename:4:kill "$T" fit -i "$PENGUINS" -o m.mill --checkpoint-every 0 -q >out 2>err
holds killed test ! -e m.mill
holds checkpoint_there sh -c 'ls m.mill.run/step_*.mill'
expect without_resume 1 "--resume goes on, --force starts over" "$T" fit -i "$PENGUINS" -o m.mill
expect without_resume_early 1 "--resume goes on, --force starts over" "$T" fit -i "$PENGUINS" -o m.mill --memory-limit 1MiB
expect other_process_early 1 "another process runs in this folder" \
    flock m.mill.run/lock "$T" fit -i "$PENGUINS" -o m.mill --memory-limit 1MiB --force
expect other_configuration 1 "seed was 0, is 1" "$T" fit -i "$PENGUINS" -o m.mill --resume --seed 1
expect goes_on 0 "going on from step" "$T" fit -i "$PENGUINS" -o m.mill --resume
holds goes_on_same_bytes cmp m.mill first.mill

rm -rf m.mill m.mill.run
TABMILL_FAULT=rename:4:kill "$T" fit -i "$PENGUINS" -o m.mill --checkpoint-every 0 -q >out 2>err
expect force_resume 0 "going on with another configuration: iterations was 40, is 41" \
    "$T" fit -i "$PENGUINS" -o m.mill --resume --force --iterations 41
says_once() { [ "$(grep -c "another configuration" err)" = 1 ]; }
holds force_resume_says_once says_once

if [ "$("$T" devices | sed -n 's/^level *\(.*\) in use/\1/p')" = v3 ]; then
    echo "SKIP: this processor has one level"
else
    rm -rf m.mill m.mill.run
    TABMILL_ISA=v3 TABMILL_FAULT=rename:4:kill "$T" fit -i "$PENGUINS" -o m.mill --checkpoint-every 0 -q >out 2>err
    expect other_level 1 "level v3" "$T" fit -i "$PENGUINS" -o m.mill --resume
    expect allow_other_level 0 "going on" "$T" fit -i "$PENGUINS" -o m.mill --resume --allow-other-level
fi

# Ctrl-C and SIGTERM: sampling leaves no file; a table that will not end in time to be signalled.
stop() { # NAME SIGNAL STATUS
    rm -f big.csv
    "$T" sample first.mill -n 100000000 -o big.csv -q >out 2>err &
    local child=$!
    wait_until compgen -G 'big.csv*' >/dev/null
    kill -s "$2" $child
    wait $child
    local got=$?
    verdict "$1" $((got != $3)) "status $got, not $3"
    holds "$1_leaves_nothing" sh -c '! ls big.csv*'
}
stop sigterm TERM 143
# bash starts background processes with SIGINT ignored, so another parent is needed
cat >interrupt.py <<'END'
import glob, signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
p = subprocess.Popen(sys.argv[1:])
while p.poll() is None and not glob.glob("big.csv*"):
    time.sleep(0.01)
p.send_signal(signal.SIGINT)
sys.exit(p.wait())
END
expect sigint 130 "" python3 interrupt.py "$T" sample first.mill -n 100000000 -o big.csv -q
holds sigint_leaves_nothing sh -c '! ls big.csv*'

# A fit that is stopped saves and says how; gone on with, it ends in the same bytes.
cat >stop.py <<'END'
import os, signal, subprocess, sys, time
number = getattr(signal, "SIG" + sys.argv[1])
p = subprocess.Popen(sys.argv[2:], preexec_fn=lambda: signal.signal(number, signal.SIG_DFL))
while p.poll() is None and not os.path.exists("st.mill.run/metrics.jsonl"):
    time.sleep(0.01)
p.send_signal(number)
sys.exit(p.wait())
END
fit=("$T" fit -i "$PENGUINS" -m ctgan -e 150 --batch-size 100 --checkpoint-every 1000)
"${fit[@]}" -o whole.mill -q
for s in INT:130 TERM:143; do
    rm -rf st.mill st.mill.run
    expect "fit_sig${s%:*}" "${s#*:}" "interrupted, saved" python3 stop.py "${s%:*}" "${fit[@]}" -o st.mill
    holds "fit_sig${s%:*}_says_how" grep -q "the same command with --resume goes on" err
    holds "fit_sig${s%:*}_no_model" test ! -e st.mill
    holds "fit_sig${s%:*}_checkpoint" sh -c 'ls st.mill.run/step_*.mill'
    expect "fit_sig${s%:*}_resume" 0 "going on from step" "${fit[@]}" -o st.mill --resume
    holds "fit_sig${s%:*}_same_bytes" cmp st.mill whole.mill
done

# A quality figure on the way, for every method that has a middle of training; --early-stop ends with the best probed state.
for m in mixture:iterations ctgan:epochs tvae:epochs; do
    expect "probe_$m" 0 "quality" "$T" fit -i "$PENGUINS" -o p.mill -f -m "${m%:*}" --probe-every 1 "--${m#*:}" 3
    holds "probe_${m}_metrics" test "$(grep -c '"quality":0\.[0-9]' p.mill.run/metrics.jsonl)" = 3
done
expect probe_mixture_unasked 0 "*" "$T" fit -i "$PENGUINS" -o p.mill -f -m mixture
holds probe_mixture_unasked_none sh -c '! grep -q quality err p.mill.run/metrics.jsonl'
expect early_stop_mixture 0 "stopped early" "$T" fit -i "$PENGUINS" -o p.mill -f --probe-every 1 --early-stop 2 --holdout-fraction 0.3
holds early_stop_is_the_best grep -q "was the best (quality 0" err
expect early_stop_independent 2 "does nothing with the method independent" "$T" fit -i "$PENGUINS" -o p.mill -f -m independent --early-stop 2
