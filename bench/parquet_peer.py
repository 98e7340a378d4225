"""parquet_peer.py THREADS FILE OUT read|write - what bench/parquet.c measures, by pyarrow alone."""
import statistics
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq

threads, path, out, what = int(sys.argv[1]), *sys.argv[2:]
pa.set_cpu_count(threads)
table = pq.read_table(path)
seconds = []
for _ in range(5):
    start = time.perf_counter()
    if what == "read":
        pq.read_table(path)
    else:
        pq.write_table(table, out, row_group_size=131072, write_page_checksum=True)
    seconds.append(time.perf_counter() - start)
median = statistics.median(seconds)
print(f"pyarrow {what:6} {median:.3f} s  {table.num_rows * table.num_columns / median / 1e6:.1f} M values/s")
