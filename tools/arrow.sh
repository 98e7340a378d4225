#!/bin/sh
# arrow.sh [--package] - the Arrow C++ library for Parquet, from the pinned pyarrow wheel: a venv in build/arrow, its headers and
# libraries under build/arrow/pyarrow.  A wheel that cannot be had is named with pip's reason and costs Parquet alone: it still ends with 0.
# --package prints the package.
set -eu
cd "$(dirname "$0")/.."
package=pyarrow==26.0.1
venv=build/arrow

if [ "${1-}" = --package ]; then
    echo "$package"
    exit 0
fi
[ "$(cat $venv/installed 2>/dev/null)" != "$package" ] || exit 0
command -v python3 >/dev/null || { echo "arrow: no python3; Parquet is left out" >&2; exit 0; }
mkdir -p build
echo "arrow: installing $package" >&2
if ! python3 -m venv --clear $venv >build/arrow.log 2>&1 || ! $venv/bin/pip install -q --retries 2 --only-binary :all: "$package" >>build/arrow.log 2>&1; then
    echo "arrow: $package cannot be had, Parquet is left out: $(grep -m1 '^ERROR' build/arrow.log || tail -1 build/arrow.log)" >&2
    exit 0
fi
ln -sfn "$(cd $venv && ls -d lib/python3*/site-packages/pyarrow)" $venv/pyarrow
echo "$package" >$venv/installed
