#!/bin/sh
# csv.sh - `make bench-csv [DATA=table.csv]`: bench/csv.c, and where the venv has pandas the same tables by its readers.
set -eu
make -s build/release/bench/csv
if [ -w /dev/shm ]; then tables=$(mktemp -d -p /dev/shm); else tables=$(mktemp -d); fi
trap 'rm -rf "$tables"' EXIT
# shellcheck disable=SC2086
KEEP=$tables build/release/bench/csv 2 128 ${DATA:+"$DATA"}
if [ -x build/venv/bin/python ] && build/venv/bin/python -c 'import pandas' 2>/dev/null; then
    # shellcheck disable=SC2086
    build/venv/bin/python bench/csv_peer.py "$tables"/*.csv ${DATA:+"$DATA"}
else
    echo "SKIP: no pandas to compare with (make parity makes build/venv)"
fi
