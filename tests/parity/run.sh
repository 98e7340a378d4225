#!/bin/sh
# run.sh - compare with the programs that others use: every tests/parity/p_*.py, in a venv under build/.
# Each p_*.py prints `ok name`, `FAIL name` or `SKIP: reason` lines; it finds the command in TABMILL, the library in TEST_BUILD.
# Its line `# NEEDS: modules` says what it compares with.  What cannot be installed here (no network) is no failure of ours: those
# scripts are skipped by name, with the module, and the last line says when nothing was compared at all.
set -eu
cd "$(dirname "$0")/../.."
case ${1-parity} in # parity-reason: a venv of its own, with a language model's server in it
parity-reason) exec python3 tests/parity/reason_engine.py ;;
esac
tools/deps.sh --parity || true # a browser to look at pages with
tools/venv.sh || true # it has said what is missing; run_tests looks for itself
make -s build/release/tests/parity/step_dump build/release/tests/parity/train_dump build/release/tests/mock/mock_server
case ${1-parity} in # parity-prior: both generators draw anew; 40 minutes
parity-prior) exec build/venv/bin/python tests/parity/prior_parity.py ;;
*) exec tools/run_tests --jobs 1 parity ;;
esac
