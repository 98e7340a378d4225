#!/bin/sh
# run_distributed.sh - the standard run of the multi-GPU guide; further options are added behind its own.
here=$(dirname "$0")
exec python3 "$here/run_distributed.py" --dataset numina_math --force-download --batch-size 4 --optimize-gpu --no-warnings "$@"
