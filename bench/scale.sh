#!/bin/sh
# scale.sh - `make bench-scale [QUICK=1]`: see scale.py.
set -eu
make -s build/release/bench/scale
exec python3 bench/scale.py
