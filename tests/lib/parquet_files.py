"""parquet_files.py make|same A.parquet B.csv|long|rss MIB COMMAND... - Parquet files by pyarrow, and what it reads of ours; for tests/cli/parquet.sh.

make: types.parquet, a column of each flat type; nested.parquet, records with lists and structs; table.parquet from table.csv.
same: the same values in both, whatever their types are called.  long: long.parquet, one row group of 80 MB.
rss: whether the command needs no more memory.
"""
import datetime as d
import decimal
import resource
import subprocess
import sys

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq

D = decimal.Decimal


def make():
    n = None
    pq.write_table(pa.table({
        "i8": pa.array([1, -2, n], pa.int8()), "u32": pa.array([1, 2**32 - 1, n], pa.uint32()),
        "i64": pa.array([2**63 - 1, -2**63, n]), "u64": pa.array([2**64 - 1, 5, n], pa.uint64()),
        "f16": pa.array([.5, 1.25, n], pa.float16()), "f32": pa.array([.1, 1e30, n], pa.float32()),
        "f64": pa.array([.1, float("nan"), n]), "whole": pa.array([1., 2., n]), "b": pa.array([True, False, n]),
        "s": pa.array(["NA", "", n]), "ls": pa.array(["x", "y" * 40, n], pa.large_string()),
        "sv": pa.array(["x", "y" * 40, n], pa.string_view()), "bin": pa.array([b"ok", b"", n]),
        "dict": pa.array(["p", "q", n]).dictionary_encode(),
        "d32": pa.array([D("-12.3"), D("1.5"), n], pa.decimal32(5, 1)),
        "d128": pa.array([D("-12.30"), D("0.05"), n], pa.decimal128(10, 2)),
        "d256": pa.array([D("123456789012345678901234567890.05"), D("1.00"), n], pa.decimal256(60, 2)),
        "date": pa.array([d.date(2020, 2, 29), d.date(1, 1, 1), n]),
        "d64": pa.array([d.date(2020, 2, 29), d.date(1969, 1, 1), n], pa.date64()),
        "ts": pa.array([d.datetime(2020, 1, 1, 1, 2, 3), d.datetime(1960, 1, 1), n], pa.timestamp("us")),
        "midnight": pa.array([d.datetime(2020, 1, 1), d.datetime(1960, 1, 1), n], pa.timestamp("ns")),
        "tz": pa.array([d.datetime(2020, 1, 1), d.datetime(2020, 1, 1, 5), n], pa.timestamp("ms", "UTC")),
        "iso": pa.array(["2020-01-01", "2021-12-31", n]), "yes": pa.array(["yes", "no", n]),
        "digits": pa.array(["01", "2", n]), "nul": pa.nulls(3)}), "types.parquet")
    pq.write_table(pa.table({
        "id": ["p", "q", "r"], "answer": pa.array(["1/2", "7", n]), "solution": ["\\boxed{\\frac12}", "\\boxed{8}", "a\n\"b\"\x01"],
        "list": [[1, n], [], n], "inner": [{"a": 1, "b": [{"c": "x"}]}, {"a": n, "b": []}, n],
        "map": pa.array([[("k", 1)], [], n], pa.map_(pa.string(), pa.int32())),
        "pairs": pa.array([[(1, "v")], [], n], pa.map_(pa.int32(), pa.string())),
        "ts": pa.array([d.datetime(2020, 1, 1, 1, 2, 3, 450000), n, n], pa.timestamp("us", "UTC")),
        "t": pa.array([d.time(1, 2, 3, 4), n, n]), "raw": [b"ok", b"\xff\x00", n],
        "dec": pa.array([D("-12.30"), n, n], pa.decimal128(10, 2))}), "nested.parquet", row_group_size=2)
    table = csv.read_csv("table.csv", convert_options=csv.ConvertOptions(
        strings_can_be_null=True, quoted_strings_can_be_null=False, null_values=["", "NA"]))
    pq.write_table(table, "table.parquet", row_group_size=100)
    pq.write_table(table, "table_zstd.parquet", compression="zstd", use_dictionary=False, data_page_version="2.0")


def same(ours, text):
    a, b = pq.read_table(ours), csv.read_csv(text, convert_options=csv.ConvertOptions(strings_can_be_null=True))
    assert a.schema.names == b.schema.names, (a.schema.names, b.schema.names)
    for name in a.schema.names:
        x, y = a[name].to_pylist(), b[name].to_pylist()
        assert x == y, (name, [p for p in zip(x, y) if p[0] != p[1]][:3])
    print(a.num_rows, "rows are the same")


def long():
    """80 MB of texts in one row group, as large ones are by default."""
    texts = [("%07d" % k) * 580 for k in range(100)]
    rows = range(20000)
    pq.write_table(pa.table({"id": [str(i) for i in rows], "answer": ["1"] * len(rows),
                             "solution": [texts[i * 7 % 100] + "\\boxed{%d}" % (i % 3) for i in rows]}), "long.parquet")


def rss(limit, *command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{mib:.0f} MiB of {limit}")
    sys.exit(mib > float(limit))


{"make": make, "same": same, "long": long, "rss": rss}[sys.argv[1]](*sys.argv[2:])
