#!/bin/sh
# synth.sh - `make bench-synth DATA=table.csv`: a step beside a busy process (busy.c), what a node costs (engine.c), speed
# beside the peers (synth.py), and the quality of the rows (quality.py).
set -eu
if [ -z "${DATA-}" ]; then
    echo "SKIP: bench-synth wants a table: make bench-synth DATA=adult.csv"
    exit 0
fi
make -s build/release/bench/synth build/release/bench/busy build/release/bench/engine
build/release/bench/busy "$DATA"
build/release/bench/engine
tools/venv.sh torch ctgan
python3 bench/synth.py
exec python3 bench/quality.py
