#!/bin/sh
# run_distributed_low_memory.sh - the run of the multi-GPU guide for little memory; further options are added behind its own.
here=$(dirname "$0")
exec python3 "$here/run_distributed.py" --dataset numina_math --force-download --batch-size 1 --max-tokens 4096 --cleanup-delay 2.0 \
    --optimize-gpu --no-warnings --low-memory "$@"
