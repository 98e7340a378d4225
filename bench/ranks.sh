#!/bin/bash
# ranks.sh - `make bench-ranks`: ranks of ours beside MPI's and gloo's, in one run.  MPI: mpicc and mpirun.  gloo: torch in build/venv
# (tools/venv.sh installs it), or in the python that PEER_PYTHON names.
set -eu
B=build/release
make -s $B/bench/ranks $B/bench/steady $B/tabmill
[ -n "${PEER_PYTHON-}" ] || tools/venv.sh torch numpy || true # its words say why; what needs it says so again below
echo "== ours"
$B/bench/ranks

first() { # NAME TIMES COMMAND...: from its start until the command has printed when its first collective was done
    local name=$1 times=$2
    shift 2
    python3 - "$name" "$times" "$@" <<'PY'
import statistics, subprocess, sys, time
name, times, command = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
took = []
for _ in range(times):
    start = time.monotonic()
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    took.append((float(out.split()[-1]) - start) * 1e3)
print("%-51s %.1f ms  (longest %.1f of %d)" % (name, statistics.median(took), max(took), times))
PY
}
first "tabmill launch -n 2 to the first all-reduce" 15 $B/tabmill launch -n 2 -- $B/bench/ranks first
echo "== heartbeats, metrics and progress, on and off in turn"
$B/bench/steady

echo "== MPI"
if command -v mpicc >/dev/null && command -v mpirun >/dev/null; then
    mpicc -O2 bench/peer/ranks_mpi.c -o $B/bench/ranks_mpi
    mpi=(mpirun -n 2)
    if [ "$(id -u)" = 0 ] && mpirun --version | grep -q 'Open MPI'; then mpi+=(--allow-run-as-root); fi
    "${mpi[@]}" $B/bench/ranks_mpi
    first "mpirun -n 2 of ours to the first all-reduce" 5 "${mpi[@]}" $B/bench/ranks first
else
    echo "mpicc or mpirun is absent (libopenmpi-dev, openmpi-bin)"
fi

echo "== gloo"
python=${PEER_PYTHON-build/venv/bin/python}
if "$python" -c 'import torch' 2>/dev/null; then
    torchrun=("$python" -m torch.distributed.run --standalone --nproc-per-node 2)
    "${torchrun[@]}" bench/peer/ranks_gloo.py 2>/dev/null
    first "torchrun of gloo to the first all-reduce" 3 "${torchrun[@]}" bench/peer/ranks_gloo.py first
    first "tabmill launch of gloo to the first all-reduce" 3 $B/tabmill launch -n 2 --no-python -- "$python" bench/peer/ranks_gloo.py first
else
    echo "torch is not in $python"
fi

echo "== training"
make -s $B/bench/train_products
maker=python3
python3 -c 'import numpy' 2>/dev/null || maker=$python
if "$python" -c 'import torch' 2>/dev/null; then
    "$maker" bench/train.py $B "$python"
elif "$maker" -c 'import numpy' 2>/dev/null; then
    "$maker" bench/train.py $B
else
    echo "numpy is not there"
fi
