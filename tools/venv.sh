#!/bin/sh
# venv.sh - the official Python packages, pinned, in build/venv; for `make parity` and `make bench-synth`.
# torch goes first and alone: the others would pull another build of it.  Ends non-zero if it cannot be had.
set -eu
cd "$(dirname "$0")/.."
venv=build/venv
torch="torch==2.13.0"
others="ctgan==0.12.1 sdmetrics==0.32.0 scikit-learn tensorboard numpy"

[ "$(cat $venv/installed 2>/dev/null)" != "$torch $others" ] || exit 0
mkdir -p build
echo "installing $torch $others into $venv" >&2
# shellcheck disable=SC2086
if ! { python3 -m venv --clear $venv && $venv/bin/pip install -q $torch && $venv/bin/pip install -q $others; } \
    >build/venv.log 2>&1; then
    tail -5 build/venv.log >&2
    exit 1
fi
echo "$torch $others" >$venv/installed
