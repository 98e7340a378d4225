#!/bin/sh
# parquet.sh - `make bench-parquet [DATA=table.csv] [ROWS=1000000]`: bench/parquet.c and pyarrow alone, in turn, on rows like the table's.
set -eu
make -s build/release/bench/parquet build/release/tabmill
if [ ! -e build/release/libtabmill_parquet.so ]; then
    echo "SKIP: libtabmill_parquet.so is not built (make parquet)"
    exit 0
fi
if [ -w /dev/shm ]; then tables=$(mktemp -d -p /dev/shm); else tables=$(mktemp -d); fi
trap 'rm -rf "$tables"' EXIT
build/release/tabmill generate -i "${DATA:-examples/penguins.csv}" -n "${ROWS:-1000000}" -o "$tables/a.parquet" -q
ls -l "$tables/a.parquet" | awk '{ print "file: " $5 / 1e6 " MB" }'
for round in 1 2 3; do
    for what in read write; do
        build/release/bench/parquet 2 "$tables/a.parquet" "$tables/b.parquet" $what
        build/arrow/bin/python bench/parquet_peer.py 2 "$tables/a.parquet" "$tables/c.parquet" $what
    done
done
build/release/bench/parquet 2 "$tables/a.parquet" "$tables/b.parquet" rows
