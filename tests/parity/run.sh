#!/bin/sh
# run.sh - compare with the programs that others use: every tests/parity/p_*.py, in a venv under build/.
# Each p_*.py prints `ok name`, `FAIL name` or `SKIP: reason` lines; it finds the command in TABMILL, the library in TEST_BUILD.
set -eu
cd "$(dirname "$0")/../.."
if ! tools/venv.sh; then
    echo "SKIP: the peers could not be installed (build/venv.log)"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
fi
make -s build/release/tests/parity/step_dump
exec tools/run_tests --jobs 1 parity
