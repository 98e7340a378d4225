#!/bin/bash
# f_synth_ranks.sh - `tabmill fit` of ctgan and tvae on ranks, shot at: a rank or the launcher killed at random moments.  What goes on
# with --resume, on another number of ranks each time, ends in the same bytes; metrics hold each step once.
. tests/lib/cli.sh
: >out
T=$TABMILL
shots=3 part=1
case $TEST_BUILD in *asan*) shots=2 part=4 ;; esac # an epoch takes many times as long
[ "${TEST_FULL-0}" = 1 ] && shots=60
RANDOM=11
without_times() { sed 's/"ts":[^,]*,//; s/,"steps_per_s":[^,}]*//' "$1"; }
are_gone() { for p in $family; do grep -qs '^State:.[^Z]' /proc/"$p"/status && return 1; done; true; }

for m in ctgan tvae; do
    epochs=$((60 / part))
    [ $m = tvae ] && epochs=$((200 / part))
    args=(fit -i "$PENGUINS" -m "$m" -e "$epochs" --batch-size 80 --virtual-shards 4 --generator-dim 64 --discriminator-dim 64)
    [ $m = tvae ] && args=(fit -i "$PENGUINS" -m "$m" -e "$epochs" --batch-size 80 --virtual-shards 4)
    args+=(--threads 1 --probe-every 20 --checkpoint-every 0.05 -q)
    began=$(date +%s%N)
    "$T" "${args[@]}" -o calm.$m --nproc 2 --keep 2 2>err
    verdict ${m}_calm $? "$(cat err)"
    took=$((($(date +%s%N) - began) / 1000000))
    without_times calm.$m.run/metrics.jsonl >calm.txt

    bad=0 went=0
    : >why
    for shot in $(seq $shots); do
        rm -rf torn.$m torn.$m.run
        "$T" "${args[@]}" -o torn.$m --nproc 2 --keep 2 2>err &
        launcher=$!
        wait_ms=$((RANDOM % (took * 3 / 4) + 20))
        sleep "$((wait_ms / 1000)).$(printf %03d $((wait_ms % 1000)))"
        family=$(pgrep -P $launcher) # its guard, then the ranks
        victim=$(sed -n "$((shot % 2 + 2))p" <<<"$family")
        [ $((shot % 3)) = 0 ] && victim=$launcher
        hit=0
        kill -KILL "${victim:-$launcher}" 2>/dev/null && hit=137 went=$((went + 1))
        wait $launcher 2>/dev/null
        got=$?
        [ $got = $hit ] || { bad=$((bad + 1)); echo "shot $shot: status $got, not $hit" >>why; }
        wait_until are_gone # ranks follow a killed launcher at once
        ranks=$((shot % 2 ? 4 : 1))
        "$T" "${args[@]}" -o torn.$m --nproc $ranks --keep 2 --resume 2>err || { bad=$((bad + 1)); echo "shot $shot: $(tail -1 err)" >>why; }
        cmp -s torn.$m calm.$m || { bad=$((bad + 1)); echo "shot $shot: another model" >>why; }
        without_times torn.$m.run/metrics.jsonl | cmp -s - calm.txt || { bad=$((bad + 1)); echo "shot $shot: other metrics" >>why; }
    done
    cp why err
    verdict "${m}_shot_${shots}_times_same_bytes" $bad "$bad of $shots"
    verdict ${m}_somebody_was_hit $((went == 0)) "no shot hit"
done
holds no_temporaries sh -c '! ls *.tmp */*.tmp'
