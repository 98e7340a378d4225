#!/usr/bin/env python3
"""monitor_gpu.py: GPUs into a CSV file of ten columns, by `tabmill monitor`, which has more of them."""
import argparse
import csv
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from train_alias import find_command  # noqa: E402

COLUMNS = 10  # Timestamp ... Power_Draw
NOBODY = ["N/A", "No GPU found"]


def main():
    p = argparse.ArgumentParser(prog="monitor_gpu.py", description=__doc__, allow_abbrev=False)
    p.add_argument("--interval", default="1.0", help="seconds between samples; default: 1.0")
    p.add_argument("--output", default="gpu_usage.csv", help="default: gpu_usage.csv")
    p.add_argument("--duration", help="seconds; default: until Ctrl-C")
    o = p.parse_args()
    words = ["--interval", o.interval, "--output", "-", *(["--duration", o.duration] if o.duration else [])]
    child = subprocess.Popen([find_command(), "monitor", *words], stdout=subprocess.PIPE, text=True)
    with open(o.output, "w", newline="") as f:
        table = csv.writer(f, lineterminator="\n")
        rows = csv.reader(child.stdout)
        while True:
            try:
                row = next(rows, None)
                if row is None:
                    break
                table.writerow((row[:2] + NOBODY + row[4:] if not row[2] else row)[:COLUMNS])
                f.flush()
            except KeyboardInterrupt:
                pass  # the command has it too: it prints its summary and ends
    sys.exit(child.wait())


main()
