#!/bin/bash
# reason_parity.sh - `make parity-reason` where its engine cannot be had: one line says so and why, nothing fails, and nothing is left that a later
# try would take for the engine.
. tests/lib/cli.sh
case $TEST_BUILD in *build/release) ;; *) echo "SKIP: the target builds the release"; exit 0 ;; esac
: >out
: >err
export REASON_VENV=$PWD/venv PIP_RETRIES=0 PIP_TIMEOUT=2 PIP_CONFIG_FILE=/dev/null PIP_DISABLE_PIP_VERSION_CHECK=1
unset PIP_EXTRA_INDEX_URL PIP_FIND_LINKS
export PIP_INDEX_URL=http://127.0.0.1:9/simple # nobody listens there
expect no_index 0 "*" make -s -C "$ROOT" parity-reason
says no_index_says_so "SKIP: llama-cpp-python cannot be built here: ERROR: "
holds no_index_leaves_no_stamp test ! -e venv/installed
# The packages are there and do not build: a source package of the same name that says what a compiler that is absent says.
mkdir -p src/llama_cpp_python-0.3.36 index
cat >src/llama_cpp_python-0.3.36/setup.py <<'PY'
raise SystemExit("error: no C compiler could be found")
PY
printf 'Metadata-Version: 2.1\nName: llama_cpp_python\nVersion: 0.3.36\nProvides-Extra: server\n' >src/llama_cpp_python-0.3.36/PKG-INFO
tar -C src -czf index/llama_cpp_python-0.3.36.tar.gz llama_cpp_python-0.3.36
PIP_NO_INDEX=1 PIP_FIND_LINKS=$PWD/index PIP_NO_BUILD_ISOLATION=0 expect no_compiler 0 "*" make -s -C "$ROOT" parity-reason
says no_compiler_says_so "SKIP: llama-cpp-python cannot be built here: error: no C compiler could be found"
holds no_compiler_leaves_no_stamp test ! -e venv/installed
