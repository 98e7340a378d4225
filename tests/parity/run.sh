#!/bin/sh
# run.sh - compare with the programs that others use: a venv under build/, then every tests/parity/p_*.py.
# Each p_*.py prints `ok name`, `FAIL name` or `SKIP: reason` lines; it finds the command in TABMILL, the library in TEST_BUILD.
# torch goes first and alone: the others would pull another build of it.
set -eu
cd "$(dirname "$0")/../.."
venv=build/venv
torch="torch==2.13.0"
others="ctgan==0.12.1 sdmetrics==0.32.0 scikit-learn tensorboard numpy"

if [ "$(cat $venv/installed 2>/dev/null)" != "$torch $others" ]; then
    echo "parity: installing $torch $others into $venv"
    # shellcheck disable=SC2086
    if ! { python3 -m venv --clear $venv && $venv/bin/pip install -q $torch && $venv/bin/pip install -q $others; } \
        >build/venv.log 2>&1; then
        tail -5 build/venv.log
        echo "SKIP: the peers could not be installed (build/venv.log)"
        echo "0 passed, 0 failed, 1 skipped"
        exit 0
    fi
    echo "$torch $others" >$venv/installed
fi
exec tools/run_tests --jobs 1 parity
