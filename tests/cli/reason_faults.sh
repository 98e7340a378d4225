#!/bin/sh
# reason_faults.sh - runs through servers that break by script: reason_faults.py, which needs several at once.
exec python3 tests/cli/reason_faults.py
