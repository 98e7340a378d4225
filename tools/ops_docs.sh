#!/bin/sh
# ops_docs.sh - write docs/ops.md anew from the descriptors that the tests of all operations reach.
set -eu
make -s build/release/tests/ops/t_ops
mkdir -p docs
OPS_DOCS=docs/ops.md build/release/tests/ops/t_ops >/dev/null
