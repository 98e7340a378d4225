#!/bin/sh
# make_scripts_executable.sh - chmod +x for the scripts beside it.
set -eu
cd "$(dirname "$0")"
chmod +x ./*.sh
ls ./*.sh
