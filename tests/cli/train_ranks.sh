#!/bin/bash
# train_ranks.sh - `tabmill train` on ranks of every kind: the same weights, exact counts, plain words.
. tests/lib/cli.sh
T=$TABMILL
: >out
hash_of() { "$T" inspect --hash "$1/latest.mill"; }
args=(train -i "$PENGUINS" -t species --virtual-shards 4 --batch-size 16 --epochs 4 --threads 1)
same() { holds "$1" test "$(hash_of "$2")" = "$(hash_of one)"; }

expect one 0 "1 rank of 1 thread" "$T" "${args[@]}" -o one
expect two 0 "2 ranks of 1 thread" "$T" "${args[@]}" -o two --multi-gpu ddp --nproc 2
same two_same_weights two
says_once() { [ "$(grep -c "rows train" err)" = 1 ]; }
holds rank_0_talks_alone says_once
expect four 0 "more ranks will not help" "$T" "${args[@]}" -o four --multi-gpu ddp --nproc 4
same four_same_weights four
expect launched 0 "2 ranks" "$T" launch -n 2 -- "$T" "${args[@]}" -o launched --multi-gpu ddp
same launched_same_weights launched
expect stdin 0 "restart 2 of 9" env TABMILL_FAULT=rename:9:kill \
    sh -c 't=$0 from=$1; shift; cat "$from" | "$t" train --data - "$@" -o piped --checkpoint-every 0 --multi-gpu ddp --nproc 2 --max-restarts 9' "$T" "$PENGUINS" "${args[@]:3}"
same stdin_same_weights piped
expect three 2 "1, 2, 4, 8" "$T" "${args[@]}" -o three --multi-gpu ddp --nproc 3
expect too_few_shards 2 "not enough for 8 ranks" "$T" "${args[@]}" -o eight --multi-gpu ddp --nproc 8
expect dp_of_ranks 2 "dp is one process" "$T" launch -n 2 -- "$T" "${args[@]:0:5}" --multi-gpu dp --nproc 2 -o dp

# Another number of ranks goes on where one stopped, since the shards are the same.
(TABMILL_FAULT=rename:9:kill "$T" "${args[@]}" -o moved --checkpoint-every 0 -q) 2>/dev/null
holds was_killed sh -c '! test -e moved/training_results.json'
expect moves 0 "going on from step" "$T" "${args[@]}" -o moved --checkpoint-every 0 --resume --multi-gpu ddp --nproc 2
same moved_same_weights moved
expect other_step 1 "shards was 1, is 2" sh -c "\"\$0\" train -i \"$PENGUINS\" -t species --epochs 2 -q -o solo &&
    \"\$0\" train -i \"$PENGUINS\" -t species --epochs 2 -q -o solo --resume --multi-gpu ddp --nproc 2" "$T"

# Rank 0 is killed at its ninth rename, again and again; the ranks are started again and go on by themselves.
expect restarts 0 "restart 2 of 9" env TABMILL_FAULT=rename:9:kill "$T" "${args[@]}" -o again --checkpoint-every 0 --multi-gpu ddp --nproc 2 --max-restarts 9
same restarts_same_weights again
expect restarts_of_one 0 "restart 2 of 9" env TABMILL_FAULT=rename:9:kill "$T" "${args[@]}" -o again1 --checkpoint-every 0 --multi-gpu ddp --nproc 1 --max-restarts 9
same restarts_of_one_same_weights again1
expect restarts_of_launch 0 "restart 2 of 9" env TABMILL_FAULT=rename:9:kill "$T" launch -n 2 --max-restarts 9 -- \
    "$T" "${args[@]}" -o again2 --checkpoint-every 0
same restarts_of_launch_same_weights again2
fit=(fit -i "$PENGUINS" --method ctgan --epochs 6 --checkpoint-every 0 --virtual-shards 2 --threads 1)
"$T" "${fit[@]}" -o whole.mill -q
expect restarts_of_fit 0 "restart 2 of 9" env TABMILL_FAULT=rename:4:kill "$T" launch -n 2 --max-restarts 9 -- "$T" "${fit[@]}" -o again.mill
holds restarts_of_fit_same_model cmp again.mill whole.mill
# An attempt that dies before it has begun leaves an older run in the folder: --force has still to be obeyed.
"$T" "${args[@]}" --seed 5 -o five -q
dies_first() { # OPTIONS: the first attempt dies as it starts
    "$T" launch -n 1 --max-restarts 1 -- sh -c '[ "$TORCHELASTIC_RESTART_COUNT" != 0 ] || exit 1; exec "$0" "$@"' "$T" "${args[@]}" -o older "$@"
}
cp -r one older
expect restart_of_another 1 "seed was 0, is 5" dies_first --seed 5
expect restart_obeys_force 0 "restart 1 of 1" dies_first --seed 5 --force
holds restart_obeys_force_weights test "$(hash_of older)" = "$(hash_of five)"
expect restart_of_the_same 0 "this run is finished" dies_first --seed 5 --force
expect restart_obeys_both 0 "going on with another configuration: seed was 5, is 6" dies_first --seed 6 --resume --force

# Two terminals, two ranks; what they read and were told has to be the same.  (The port only names the job: nobody listens there.)
port=$((1024 + $$ % 60000))
RANK=1 WORLD_SIZE=2 MASTER_PORT=$port "$T" "${args[@]}" -o terminals 2>other &
expect terminals 0 "2 ranks" env RANK=0 WORLD_SIZE=2 MASTER_PORT=$port "$T" "${args[@]}" -o terminals
wait $!
verdict terminals_both_end $? "$(cat other)"
same terminals_same_weights terminals

# Who tells all processes of a job tells a rank twice, by itself and through its launcher: also the only rank saves in peace,
# here told over and over.
told_twice() { # NAME, what has begun, COMMAND...
    local name=$1 begun=$2 launcher
    shift 2
    "$T" launch -n 1 -- sh -c 'echo $$ >pid; exec "$0" "$@"' "$@" 2>err &
    launcher=$!
    wait_until test -s "$begun"
    kill -TERM $launcher
    while kill -TERM "$(cat pid)" 2>/dev/null; do :; done
    wait $launcher
    verdict "$name" $(($? != 143)) "status $?"
    holds "${name}_saves" grep -q "with --resume goes on" err
}
told_twice train_told_twice endless/metrics.jsonl "$T" train -i "$PENGUINS" -t species --hidden-dims 1500,1500 --epochs 10000 --log-interval 1 -o endless
told_twice fit_told_twice endless.mill.run/metrics.jsonl "$T" fit -i "$PENGUINS" --method ctgan --epochs 100000 -o endless.mill

# An early stop is one decision: at the same epoch, of the same weights, on any number of ranks.
for n in 1 2 4; do
    "$T" "${args[@]:0:9}" --epochs 40 --early-stopping-patience 2 --lr 3e-3 --threads 1 -q -o early$n --multi-gpu ddp --nproc $n
done
early() { python3 -c "import json; r = json.load(open('early$1/training_results.json')); assert r['stopped_early'] and len(r['history']) < 40; print(len(r['history']), r['best_epoch'])"; }
holds stops_early early 1
for n in 2 4; do
    holds "${n}_ranks_stop_at_the_same_epoch" test "$(early $n)" = "$(early 1)"
    holds "${n}_ranks_stop_with_the_same_weights" test "$(hash_of early$n)" = "$(hash_of early1)"
done

expect no_port 2 'MASTER_PORT="high" is not a port: 1 to 65535' env RANK=0 WORLD_SIZE=2 MASTER_PORT=high "$T" "${args[@]}" -o terminals -f
holds no_port_touches_nothing test -s terminals/training_results.json

# Two jobs on one port: the second one's rank 0 is sent away, and the first, which waits for its rank 1, is not disturbed.
port=$((port + 1))
RANK=0 WORLD_SIZE=2 MASTER_PORT=$port "$T" "${args[@]}" -o port 2>first &
first=$!
receives() { # it has a door of ours
    local socket
    for socket in $(readlink /proc/$first/fd/* | sed -n 's/^socket:.\([0-9]*\).$/\1/p'); do
        grep -q " $socket @tabmill-ranks-" /proc/net/unix && return
    done
    return 1
}
wait_until receives
expect second_job 69 "rank 0 of job" env RANK=0 WORLD_SIZE=2 MASTER_PORT=$port "$T" "${args[@]}" -o port2
holds second_job_leaves_nothing test ! -e port2
expect its_other_rank 0 "*" env RANK=1 WORLD_SIZE=2 MASTER_PORT=$port "$T" "${args[@]}" -o port
wait $first
verdict first_job_goes_on $? "$(cat first)"
same first_job_same_weights port

head -300 "$PENGUINS" >data1.csv
cp "$PENGUINS" data0.csv
expect other_data 1 'its "data" is not that of rank 0' "$T" launch -n 2 -- sh -c "\"\$0\" train -i data\$RANK.csv -t species --epochs 1 -o differs" "$T"
expect other_options 1 'its "lr" is not that of rank 0' "$T" launch -n 2 -- sh -c "\"\$0\" train -i data0.csv -t species --epochs 1 --lr .00\$((RANK + 1)) -o differs" "$T"
expect no_rank 2 "WORLD_SIZE is 2 and RANK is not set" env WORLD_SIZE=2 "$T" "${args[@]}" -o other
expect one_predicts 0 "one process predicts; the other 1 of this job have nothing to do" "$T" launch -n 2 -- "$T" predict one -i "$PENGUINS" -o p.csv
holds one_predicts_all test "$(wc -l <p.csv)" = 345

# A clock that jumps by hours, differently on every rank: nothing is decided by it.
if command -v gcc >/dev/null && gcc -shared -fPIC -O1 -o skew.so "$ROOT/tests/cli/skewed_clock.c"; then
    expect clocks_jump 0 "*" env LD_PRELOAD="$PWD/skew.so" "$T" launch -n 2 --hang-warn 2 --hang-timeout 20 -- "$T" "${args[@]}" -o skewed --checkpoint-every 20 --log-interval 1
    holds clocks_jump_unnoticed sh -c '! grep -E "silent|hangs|goes on" err'
    same clocks_jump_same_weights skewed
    holds clocks_did_jump python3 -c '
import json
at = [json.loads(line)["ts"] for line in open("skewed/metrics.jsonl")]
assert max(at) - min(at) > 1800, at'
else
    echo "SKIP: gcc is absent"
fi

# Every number of rows: each is counted once.
for n in 1 2 3 5 8 10; do
    head -$((n + 1)) "$PENGUINS" >few.csv
    rm -rf few
    "$T" train -i few.csv -t island --epochs 2 --batch-size 1 --multi-gpu ddp --nproc 3 -q -o few 2>err
    verdict "rows_$n" $? "$(cat err)"
    holds "rows_${n}_counted" python3 - "$n" <<'END'
import json, sys
r = json.load(open("few/training_results.json"))
n = int(sys.argv[1])
assert r["plan"]["world"] == 3 and r["best"]["rows"] + r["test"]["rows"] + 0 <= n
assert r["plan"]["steps_per_epoch"] == -(-(n - r["best"]["rows"] - r["test"]["rows"]) // 3)
END
done

if ! command -v mpirun >/dev/null || ! mpirun --version | grep -q 'Open MPI'; then
    echo "SKIP: mpirun of OpenMPI is absent"
else
    mpi=(mpirun --oversubscribe -n 2)
    [ "$(id -u)" = 0 ] && mpi+=(--allow-run-as-root)
    expect mpirun 0 "2 ranks" "${mpi[@]}" "$T" "${args[@]}" --multi-gpu ddp -o mpirun
    same mpirun_same_weights mpirun
    if [ -e "$(dirname "$T")/libtabmill_mpi.so" ]; then
        expect over_mpi 0 "2 ranks" env TABMILL_RANK_BODY=mpi "${mpi[@]}" -x TABMILL_RANK_BODY "$T" "${args[@]}" --multi-gpu ddp -o over
        same over_mpi_same_weights over
        # 2.3 million parameters: two buckets, of each of which a rank has its slice.
        wide=(train -i "$PENGUINS" -t species --virtual-shards 2 --batch-size 64 --epochs 1 --threads 1 --hidden-dims "1500,1500" -q)
        "$T" "${wide[@]}" -o wide
        expect over_mpi_wide 0 "*" env TABMILL_RANK_BODY=mpi "${mpi[@]}" -x TABMILL_RANK_BODY "$T" "${wide[@]}" --multi-gpu ddp -o over_wide
        holds over_mpi_wide_same_weights test "$(hash_of over_wide)" = "$(hash_of wide)"
    else
        echo "SKIP: built without mpicc"
    fi
fi
