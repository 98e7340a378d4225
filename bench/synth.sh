#!/bin/sh
# synth.sh - `make bench-synth DATA=table.csv`: speed beside the peers (synth.py), and the quality of the rows (quality.py).
set -eu
if [ -z "${DATA-}" ]; then
    echo "SKIP: bench-synth wants a table: make bench-synth DATA=adult.csv"
    exit 0
fi
tools/venv.sh torch ctgan
make -s build/release/bench/synth
python3 bench/synth.py
exec python3 bench/quality.py
