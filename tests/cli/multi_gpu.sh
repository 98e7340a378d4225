#!/bin/bash
# multi_gpu.sh - every command of docs/multi-gpu.md and docs/multi-gpu-quick.md is run as it stands there: with a small table, a script
# that looks at its variables, `srun` of our own, and hosts that are this one.  `tabmill launch` alone, which asks, is in launch.sh.
. tests/lib/cli.sh
mkdir bin && ln -s "$TABMILL" bin/tabmill
export PATH=$PWD/bin:$PATH OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
python3 - <<'PY'
import random
random.seed(2)
with open("data.csv", "w") as f:
    print("a,b,y", file=f)
    for _ in range(600):
        a, b = random.gauss(0, 1), random.gauss(0, 1)
        print("%.3f,%.3f,%s" % (a, b, "p" if a > b else "n"), file=f)
PY
cat >train.py <<'PY'
import os, sys
r, w, l = (int(os.environ[k]) for k in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
assert 0 <= r < w and l <= r and os.environ["MASTER_ADDR"] and int(os.environ["MASTER_PORT"]) > 0, os.environ
PY
cat >bin/srun <<'SH'
#!/bin/sh
# Two tasks on this host, as Slurm would start them.
while [ "${1#--}" != "$1" ]; do shift; done
export SLURM_JOB_ID=$$ SLURM_STEP_ID=0 SLURM_NTASKS=2 SLURM_STEP_NUM_NODES=1 SLURM_NODEID=0 SLURM_STEP_TASKS_PER_NODE=2
SLURM_PROCID=1 SLURM_LOCALID=1 "$@" &
other=$!
SLURM_PROCID=0 SLURM_LOCALID=0 "$@" && wait $other
SH
chmod +x bin/srun

{
    sed -n '/^```$/,/^```$/p' "$ROOT/docs/multi-gpu.md" | grep -E '^(tabmill |mpirun |srun |RANK=)'
    sed -n 's/^| .* | `\(tabmill .*\)` |$/\1/p' "$ROOT/docs/multi-gpu-quick.md"
} >commands
while read -r line; do
    case $line in
    tabmill\ launch) continue ;;
    RANK=0*) # the other terminal
        bash -c "$line" 2>terminal &
        terminal=$!
        continue
        ;;
    tabmill\ launch\ --nnodes*) line=${line//node0/127.0.0.1} ;; # the hosts are this one
    mpirun*)
        if ! command -v mpirun >/dev/null; then
            echo "SKIP: mpirun is absent (openmpi-bin)"
            continue
        fi
        line="${line/--host node0:2,node1:2/--oversubscribe}"
        ;;
    esac
    case $line in *--resume*) ;; *) rm -rf run ;; esac
    expect "$line" 0 "*" bash -c "$line"
done <commands
wait "$terminal"
verdict "both terminals end" $? "$(cat terminal)"
rm -rf run
expect "a launcher speaks as its command" 137 "tabmill train: rank 0 (process" env TABMILL_FAULT=rename:1:kill \
    tabmill train --data data.csv --target y --save-dir run --multi-gpu ddp --nproc 2
holds "there are many" test "$(wc -l <commands)" -ge 18
holds "a table of the monitor" test -s gpu.csv
