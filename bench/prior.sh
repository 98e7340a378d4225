#!/bin/sh
# prior.sh - `make bench-prior`: data sets a minute beside the official generator (prior.py), and the slowest of ours.
set -eu
tools/venv.sh torch tabicl
make -s build/release/tabmill build/release/bench/prior
exec build/venv/bin/python bench/prior.py "$@"
