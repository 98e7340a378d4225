#!/bin/sh
# bench.sh bench|bench-synth|bench-scale|bench-ranks|bench-csv|bench-evaluate|bench-prior|bench-reason|bench-parquet - measure.  bench: each bench/*.c that has no script; bench-X: bench/X.sh.
# Figures are worth printing only from a machine that does nothing else; its model and load are said first.
set -eu
cd "$(dirname "$0")/.."
echo "machine: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), $(nproc) processors, load $(cut -d' ' -f1 /proc/loadavg)"
case $1 in
bench)
    for source in bench/*.c; do
        name=${source%.c}
        if [ -x "$name.sh" ]; then continue; fi
        make -s "build/release/$name"
        echo "== $name"
        "build/release/$name"
    done
    ;;
*)
    script=bench/${1#bench-}.sh
    [ -x "$script" ] || { echo "$script is not there" >&2; exit 1; }
    exec "$script"
    ;;
esac
