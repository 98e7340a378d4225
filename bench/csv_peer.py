"""csv_peer.py FILE... - the files of bench/csv.c by pandas: its C reader on one thread, and pyarrow's on two where there is one.

Medians of three, MB of file per second; writing by pandas' to_csv into memory's file system, once.
"""
import os
import statistics
import sys
import time

import pandas as pd

try:
    import pyarrow
    import pyarrow.csv
    pyarrow.set_cpu_count(2)
except ImportError:
    pyarrow = None


def speed(mb, what, runs=3):
    """MB a second, and a second of processor time."""
    wall, cpu = [], []
    for _ in range(runs):
        start, cpu_start = time.perf_counter(), time.process_time()
        what()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - cpu_start)
    return "%4.0f MB/s (%4.0f a core)" % (mb / statistics.median(wall), mb / statistics.median(cpu))


def main():
    print("peers: pandas %s, %s" % (pd.__version__, "pyarrow " + pyarrow.__version__ if pyarrow else "no pyarrow"))
    for path in sys.argv[1:]:
        mb = os.path.getsize(path) / 1e6
        line = "%-10s %4.0f MB" % (os.path.basename(path), mb)
        line += "  pandas read " + speed(mb, lambda: pd.read_csv(path))
        if pyarrow:
            line += "  pyarrow read " + speed(mb, lambda: pyarrow.csv.read_csv(path))
        table, out = pd.read_csv(path), path + ".out"
        line += "  pandas write " + speed(mb, lambda: table.to_csv(out, index=False), 1)
        os.unlink(out)
        print(line, flush=True)


main()
