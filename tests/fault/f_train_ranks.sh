#!/bin/bash
# f_train_ranks.sh - `tabmill train` on two ranks, shot at: a rank or the launcher killed at random moments of a run with dropout,
# accumulation, bfloat16 and early stop.  What goes on with --resume ends in the same bytes, and nothing stays behind.
. tests/lib/cli.sh
: >out
T=$TABMILL
shots=8 epochs=60
case $TEST_BUILD in *asan*) shots=3 epochs=20 ;; esac # an epoch takes many times as long
[ "${TEST_FULL-0}" = 1 ] && shots=200
RANDOM=7

args=(train -i "$PENGUINS" -t species --multi-gpu ddp --nproc 2 --threads 1 --virtual-shards 4 --batch-size 8 --grad-accum-steps 2
    --amp bf16 --epochs "$epochs" --early-stopping-patience "$((epochs - 10))" --checkpoint-every 0.05 --log-interval 3 --hidden-dims "512,256" -q)
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
    [ $((shot % 3)) = 1 ] && [ $# -gt 1 ] && victim=$2 # the first is the guard of the launcher
    [ $((shot % 3)) = 2 ] && [ $# -gt 2 ] && victim=$3
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

# Asked to end, by a user, by a batch system with SIGUSR1, or one rank alone, or all at once, as `scancel` does it,
# while the launcher tells them as well: all ranks agree on a step, save, and say 75; one process alone says 143.
start() { # FOLDER COMMAND...: in the background, until it has saved once
    local folder=$1
    shift
    rm -rf "$folder"
    "$@" "${args[@]}" -o "$folder" 2>err &
    launcher=$!
    for _ in $(seq 500); do [ -e "$folder/latest.mill" ] && break; sleep 0.02; done
    # shellcheck disable=SC2046
    set -- $(ranks_of "$launcher")
    ranks=("${@:2}") # the first is the guard
}
goes_on() { # NAME FOLDER
    run "$2" --resume 2>err
    verdict "$1_goes_on" $? "$(cat err)"
    hash_of "$2/latest.mill" | cmp -s - calm.hash
    verdict "$1_same_bytes" $? "other weights"
}
for way in TERM USR1 TERM:rank TERM:all; do
    start asked "$T"
    who=$launcher
    [ "${way#*:}" = rank ] && who=${ranks[1]}
    [ "${way#*:}" = all ] && who="$launcher ${ranks[*]}"
    # shellcheck disable=SC2086
    kill -"${way%:*}" $who
    wait "$launcher"
    got=$?
    verdict "asked_by_$way" $((got != 75)) "$got, not 75: $(tail -1 err)"
    goes_on "asked_by_$way" asked
done

# Stopped: named, and continued in time it ends as if nothing had been; else with 124, and what was saved is there.
start stopped "$T" launch -n 2 --hang-warn 0.3 --hang-timeout 60 -- "$T"
kill -STOP "${ranks[1]}"
for _ in $(seq 500); do grep -q "it is stopped" err && break; sleep 0.02; done
kill -CONT "${ranks[1]}"
wait "$launcher"
verdict stopped_and_continued $? "$(cat err)"
holds is_named grep -q "rank 1 (process ${ranks[1]}) has been silent for" err
hash_of stopped/latest.mill | cmp -s - calm.hash
verdict stopped_same_bytes $? "other weights"
start hangs "$T" launch -n 2 --hang-warn 0.2 --hang-timeout 1 -- "$T"
kill -STOP "${ranks[1]}"
wait "$launcher"
verdict hangs_ends_with_124 $(($? != 124)) "$(tail -1 err)"
holds hangs_is_named grep -q "rank 1 (process ${ranks[1]}) hangs: silent for .*; it is stopped" err
holds hangs_leaves_no_rank sh -c '! kill -0 "$@" 2>/dev/null' sh "${ranks[@]}"
goes_on hangs hangs

holds no_temporaries sh -c '! ls */*.tmp'

# Ranks that meet by a socket, and a launcher that holds a port, in a network and with a /dev/shm of their own, where all that is left
# can be seen; a launcher that is killed, too.
if unshare -rnm sh -c 'ip link set lo up && mount -t tmpfs none /dev/shm' 2>/dev/null; then
    # shellcheck disable=SC2016 # for the shell inside
    unshare -rnm bash -c 'ip link set lo up; mount -t tmpfs none /dev/shm
        RANK=1 WORLD_SIZE=2 MASTER_PORT=29519 "$@" -o met & RANK=0 WORLD_SIZE=2 MASTER_PORT=29519 "$@" -o met
        wait
        "$0" launch -n 2 -- "$@" -o met2
        "$@" -o met3 & launcher=$!
        while [ ! -e met3/latest.mill ]; do sleep 0.02; done
        kill -KILL $launcher; wait $launcher 2>/dev/null
        sleep 1
        cat /proc/net/unix /proc/net/tcp; ls /dev/shm' "$T" "$T" "${args[@]}" >out 2>err
    hash_of met/latest.mill | cmp -s - calm.hash && hash_of met2/latest.mill | cmp -s - calm.hash
    verdict alone_in_a_network_same_bytes $? "other weights"
    holds no_sockets_no_shared_memory test "$(wc -l <out)" = 2 # the headers
else
    echo "SKIP: no network namespaces here, or no ip (iproute2)"
fi
