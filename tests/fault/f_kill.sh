#!/bin/bash
# f_kill.sh - `fit` killed with SIGKILL at a random moment, any number of times, and resumed, ends in the same model file.
# For each method that the program has: 10 moments in `make check`, 200 in full, 3 under sanitizers.  Seeded; a moment is a share of the time that
# an undisturbed fit takes, so that kills fall everywhere between reading the table and writing the model.
: "${TEST_TMP:?tools/run_tests runs this and makes the folder}"
set -u
T=$TABMILL
cd "$TEST_TMP" || exit 1
KILLS=10
case ${TEST_BUILD-} in *asan*) KILLS=3 ;; esac # a fit takes many times as long
[ "${TEST_FULL:-0}" = 1 ] && KILLS=200

# 20,000 rows of numbers, categories and holes
awk 'BEGIN { srand(3); print "a,b,c,d,e"; for (i = 0; i < 20000; i++) { k = int(4 * rand());
    printf "%d,%.3f,v%d,%s,w%d\n", 10 * k + 8 * rand(), k + rand(), k, rand() < .1 ? "" : int(99 * rand()), 9 * rand() * rand() } }' >t.csv

head -1001 t.csv >few.csv

# What makes a fit of about a second with checkpoints, probes and early stop in it.
options() { case $1 in
    mixture) echo -i t.csv --components 100 --iterations 60 --probe-every 5 --early-stop 9 ;;
    ctgan) echo -i few.csv --epochs 30 --probe-every 4 --generator-dim 64,64 --discriminator-dim 64,64 --batch-size 100 ;;
    tvae) echo -i few.csv --epochs 40 --probe-every 3 --early-stop 4 --batch-size 100 ;;
    *) echo -i t.csv ;;
esac; }

sweep() { # METHOD
    local method=$1 began took killed=0 hit bad=0 fit
    # The command itself, not a function: what is killed must be the process that writes.
    # shellcheck disable=SC2207
    fit=("$T" fit -o m.mill -m "$method" $(options "$method") --seed 3 --checkpoint-every 0.01 -q --resume)
    rm -rf m.mill m.mill.run
    began=$(date +%s%N)
    "${fit[@]}" || { echo "FAIL $method: does not fit"; return; }
    took=$((($(date +%s%N) - began) / 1000000))
    mv m.mill want.mill
    RANDOM=5
    for n in $(seq "$KILLS"); do
        rm -rf m.mill m.mill.run
        hit=0
        for again in $(seq 9); do # up to three kills on the way to one model
            "${fit[@]}" 2>>err &
            local child=$!
            sleep "$(awk -v r=$RANDOM -v t="$took" 'BEGIN { printf "%.3f", r / 32768 * t * .9 / 1000 }')"
            kill -KILL $child 2>/dev/null
            wait $child 2>/dev/null
            [ $? = 137 ] && hit=$((hit + 1))
            if [ ! -e m.mill ]; then
                [ $hit = 3 ] && break
            elif [ $hit = 0 ]; then # the machine is faster than when it was measured: once more
                took=$((took * 3 / 4 + 1))
                rm -rf m.mill m.mill.run
            else
                break
            fi
        done
        killed=$((killed + hit))
        "${fit[@]}" 2>>err || { echo "FAIL $method: kill $n: cannot be resumed: $(tail -1 err)"; bad=1; }
        cmp m.mill want.mill || { echo "FAIL $method: kill $n ($again): another model"; bad=1; }
        [ "$bad" = 0 ] || return
    done
    [ "$killed" -ge "$KILLS" ] || { echo "FAIL $method: only $killed kills hit a running process"; return; }
    echo "ok $method: $killed kills in $KILLS runs of $took ms"
}

for method in mixture independent ctgan tvae; do
    sweep $method
done
