#!/bin/bash
# f_train_ranks.sh - `tabmill train` on two ranks, shot at: a rank or the launcher killed at random moments of a run with dropout,
# accumulation, bfloat16 and early stop.  What goes on with --resume ends in the same bytes, and nothing stays behind.
. tests/lib/cli.sh
: >out
T=$TABMILL
shots=8
[ "${TEST_FULL-0}" = 1 ] && shots=200
RANDOM=7

args=(train -i "$PENGUINS" -t species --multi-gpu ddp --nproc 2 --threads 1 --virtual-shards 4 --batch-size 8 --grad-accum-steps 2
    --amp bf16 --epochs 60 --early-stopping-patience 50 --checkpoint-every 0.05 --log-interval 3 --hidden-dims "512,256" -q)
run() { "$T" "${args[@]}" -o "$@"; } # in the background the command itself, or $! is a shell's
hash_of() { "$T" inspect --hash "$1"; }
without_times() { sed 's/"ts":[^,]*,//; s/,"steps_per_s":[^,}]*//' "$1"; }
ranks_of() { pgrep -P "$1"; }

began=$(date +%s%N)
run calm 2>err
verdict two_ranks_train $? "$(cat err)"
took=$((($(date +%s%N) - began) / 1000000)) # the shots fall anywhere in such a time
hash_of calm/latest.mill >calm.hash
without_times calm/metrics.jsonl >calm.txt

bad=0 went=0 status_bad=0
for shot in $(seq "$shots"); do
    rm -rf torn
    "$T" "${args[@]}" -o torn 2>err &
    launcher=$!
    wait_ms=$((RANDOM % took + 20))
    sleep "$((wait_ms / 1000)).$(printf %03d $((wait_ms % 1000)))"
    # shellcheck disable=SC2046
    set -- $(ranks_of "$launcher")
    victim=$launcher
    [ $((shot % 3)) != 0 ] && [ $# -gt 0 ] && victim=${!#}
    [ $((shot % 3)) = 1 ] && [ $# -gt 1 ] && victim=$1
    kill -KILL "$victim" 2>/dev/null && went=$((went + 1))
    wait "$launcher" 2>/dev/null
    got=$?
    [ "$got" = 0 ] || [ "$got" = 137 ] || { status_bad=$((status_bad + 1)); echo "shot $shot: status $got" >>why; }
    for _ in $(seq 1000); do # ranks follow a killed launcher at once
        for pid in "$@"; do kill -0 "$pid" 2>/dev/null && sleep 0.02 && continue 2; done
        break
    done
    for pid in "$@"; do kill -0 "$pid" 2>/dev/null && { bad=$((bad + 1)); echo "shot $shot: rank $pid lives" >>why; }; done
    run torn --resume 2>>err || { bad=$((bad + 1)); echo "shot $shot: resume failed: $(tail -1 err)" >>why; }
    hash_of torn/latest.mill 2>/dev/null | cmp -s - calm.hash || { bad=$((bad + 1)); echo "shot $shot: other weights" >>why; }
    without_times torn/metrics.jsonl | cmp -s - calm.txt || { bad=$((bad + 1)); echo "shot $shot: other metrics" >>why; }
done
cp why err 2>/dev/null
verdict "shot_${shots}_times_same_bytes" "$bad" "$bad of $shots"
verdict ends_with_the_rank_s_status "$status_bad" "$(head -3 why 2>/dev/null)"
verdict somebody_was_hit $((went == 0)) "no shot hit"

# Asked to end, by a user or, with SIGUSR1, by a batch system: all ranks agree on a step, save, and say 75; one process alone says 143.
for signal in TERM USR1; do
    for _ in 1 2 3 4 5; do # on a busy machine it may be done before it is asked
        rm -rf asked
        "$T" "${args[@]}" -o asked 2>err &
        launcher=$!
        wait_until [ -e asked/latest.mill ]
        kill -$signal $launcher
        wait $launcher
        got=$?
        [ $got = 0 ] || break
    done
    verdict asked_by_$signal $((got != 75)) "not 75"
    run asked --resume 2>err
    verdict asked_by_${signal}_goes_on $? "$(cat err)"
    hash_of asked/latest.mill | cmp -s - calm.hash
    verdict asked_by_${signal}_same_bytes $? "other weights"
done
holds no_temporaries sh -c '! ls */*.tmp'
holds no_shared_memory sh -c '! ls /dev/shm/*tabmill*'
