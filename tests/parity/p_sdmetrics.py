"""p_sdmetrics.py - `tabmill evaluate --sdmetrics-compat` against sdmetrics 0.32.0, on the same CSV files.

Prints one line a case: `ok name`, `FAIL name: why`, `SKIP: reason`.  The tool's command is build/release/tabmill, or $TABMILL.

Tolerances.  Shapes, trends and diagnostic are counts and sums over counts: 1e-6 is far above the rounding of either side
and below what one row more or less would change in these tables.  Logistic detection deals its folds at random, so that it
is compared on tables of 20,000 rows and more only, where the AUC of a fold has a standard error of .005 and the score
one of .006; there it also stops after 100 steps, where ours runs to convergence: 0.02.
"""
# NEEDS: numpy pandas sdmetrics

import json
import os
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import pandas as pd
import sdmetrics

warnings.filterwarnings("ignore")

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TABMILL = os.environ.get("TABMILL", os.path.join(ROOT, "build/release/tabmill"))
ADULT = os.path.join(ROOT, "../shared/data/adult.csv")
NA = ["", "NA", "N/A", "NaN", "null", "None"]
SDTYPE = {"integer": "numerical", "real": "numerical", "boolean": "boolean", "category": "categorical",
          "datetime": "datetime", "identifier": "id"}


def table(n, seed, shift=0.0, missing=0.05):
    """Numbers, integers, categories, booleans, dates; all related, some missing."""
    r = np.random.RandomState(seed)
    z = r.normal(shift, 1, n)
    day = np.datetime64("2020-01-01") + np.clip(400 + 100 * z + 30 * r.normal(size=n), 0, 1000).astype(int)
    t = pd.DataFrame({
        "score": np.round(z * 3 + r.normal(size=n), 3),
        "age": np.clip(40 + 12 * z + 5 * r.normal(size=n), 18, 90).round().astype(int),
        "gain": np.where(r.uniform(size=n) < 0.9, 0, r.exponential(5000, n).round()).astype(int),
        "city": np.array(["Oslo", "Rome", "Lima", " Cairo", "Bonn"])[np.clip(np.round(2 + z), 0, 4).astype(int)],
        "kind": r.choice(["a", "b", "c"], n, p=[0.6, 0.3, 0.1]),
        "member": np.where(z + r.normal(size=n) > 0, "true", "false"),
        "since": day.astype(str),
        "same": 7,
        "one": "x",
    })
    for c in ["score", "age", "city", "member", "since"]:
        t[c] = t[c].astype(object).where(r.uniform(size=n) >= missing, None)
    return t


def read(path, types):
    """As the tool reads it: the words for missing, and its types."""
    t = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=NA)
    for c, kind in types.items():
        if kind in ("integer", "real"):
            t[c] = pd.to_numeric(t[c])
        elif kind == "datetime":
            t[c] = pd.to_datetime(t[c])
        elif kind == "boolean":
            words = {v: v.lower() in ("true", "yes", "t", "y") for v in t[c].dropna().unique()}
            t[c] = t[c].map(words)
    return t


def ours(real, syn, *options):
    with tempfile.TemporaryDirectory() as d:
        out = os.path.join(d, "report.json")
        p = subprocess.run([TABMILL, "evaluate", real, syn, "--sdmetrics-compat", "--json", out, *options],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if p.returncode:
            raise RuntimeError("tabmill evaluate: " + p.stdout.strip())
        with open(out) as f:
            return json.load(f)


class Case:
    def __init__(self, name):
        self.name, self.wrong, self.checked = name, [], 0

    def same(self, what, a, b, tolerance=1e-6):
        """a is ours, None for NaN."""
        self.checked += 1
        a = float("nan") if a is None else float(a)
        b = float("nan") if b is None else float(b)
        if np.isnan(a) and np.isnan(b):
            return
        if not abs(a - b) <= tolerance:
            self.wrong.append(f"{what}: {a!r}, sdmetrics {b!r}")

    def end(self):
        if not self.checked:
            self.wrong.append("nothing was compared")
        print(f"FAIL {self.name}: " + "; ".join(self.wrong[:6]) if self.wrong else f"ok {self.name}", flush=True)
        return not self.wrong


def metadata(report):
    columns = {c["name"]: {"sdtype": SDTYPE[c["type"]]} for c in report["columns"]}
    keys = [n for n, c in columns.items() if c["sdtype"] == "id"]
    meta = {"columns": columns}
    if keys:
        meta["primary_key"] = keys[0]
    return meta


def quality(real, syn, meta, correlation, association):
    from sdmetrics.reports import QualityReport

    report = QualityReport()
    report.real_correlation_threshold, report.real_association_threshold = correlation, association
    report.generate({"t": real.copy()}, {"t": syn.copy()}, {"tables": {"t": meta}, "relationships": []}, verbose=False)
    return report


def compare_quality(case, ours_, real, syn, meta):
    whole = quality(real, syn, meta, 0.5, 0.3)
    every = quality(real, syn, meta, 0, 0)
    score = dict(zip(whole.get_properties()["Property"], whole.get_properties()["Score"]))
    case.same("shapes", ours_["shapes"], score["Column Shapes"])
    case.same("trends_thresholded", ours_["trends_thresholded"], score["Column Pair Trends"])
    case.same("overall", ours_["overall"], whole.get_score())
    loose = dict(zip(every.get_properties()["Property"], every.get_properties()["Score"]))
    case.same("trends_own_bins", ours_["trends_own_bins"], loose["Column Pair Trends"])

    shape = {c["name"]: c.get("shape") for c in ours_["columns"]}
    for _, d in whole.get_details("Column Shapes").iterrows():
        case.same(f"shape of {d['Column']}", shape[d["Column"]], d["Score"])
    pair = {(p["a"], p["b"]): p for p in ours_["pairs"]}
    for _, d in every.get_details("Column Pair Trends").iterrows():
        p = pair[d["Column 1"], d["Column 2"]]
        case.same(f"pair {d['Column 1']}, {d['Column 2']}", p["score_own_bins"], d["Score"])
    for _, d in whole.get_details("Column Pair Trends").iterrows():
        p = pair[d["Column 1"], d["Column 2"]]
        counts = d["Meets Threshold?"]
        case.same(f"threshold {d['Column 1']}, {d['Column 2']}", p["meets_threshold"],
                  False if pd.isna(counts) else bool(counts))
        if d["Metric"] == "ContingencySimilarity":
            case.same(f"association {d['Column 1']}, {d['Column 2']}", p["real_association_own_bins"],
                      d["Real Association"])


def compare_real_bins(case, ours_, real, syn):
    """Trends in real bins, against sdmetrics' stand-alone metric, which bins so."""
    from sdmetrics.column_pairs import ContingencySimilarity

    kind = {c["name"]: c["type"] for c in ours_["columns"]}
    number = lambda c: kind[c] in ("integer", "real", "datetime")

    def plain(t, c):
        if kind[c] != "datetime":
            return t[c]
        ns = t[c].astype("int64").astype(float)
        return ns.where(t[c].notna())

    for p in ours_["pairs"]:
        a, b = p["a"], p["b"]
        if p["metric"] != "ContingencySimilarity":
            continue
        side = [pd.DataFrame({a: plain(t, a), b: plain(t, b)}) for t in (real, syn)]
        score = ContingencySimilarity.compute(*side, continuous_column_names=[c for c in (a, b) if number(c)] or None)
        case.same(f"real bins {a}, {b}", p["score"], score)


def compare_diagnostic(case, ours_, real, syn, meta):
    from sdmetrics.reports import DiagnosticReport
    from sdmetrics.single_column import (CategoryCoverage, MissingValueSimilarity, RangeCoverage, StatisticSimilarity)

    report = DiagnosticReport()
    report.generate({"t": real.copy()}, {"t": syn.copy()}, {"tables": {"t": meta}, "relationships": []}, verbose=False)
    score = dict(zip(report.get_properties()["Property"], report.get_properties()["Score"]))
    case.same("validity", ours_["diagnostic"]["validity"], score["Data Validity"])
    case.same("structure", ours_["diagnostic"]["structure"], score["Data Structure"])
    case.same("diagnostic", ours_["diagnostic"]["overall"], report.get_score())
    column = {c["name"]: c for c in ours_["columns"]}
    for _, d in report.get_details("Data Validity").iterrows():
        case.same(f"validity of {d['Column']}", column[d["Column"]]["validity"], d["Score"])
    for name, c in column.items():
        if c["type"] == "identifier":
            continue
        r, s = real[name], syn[name]
        case.same(f"missing of {name}", c["missing_similarity"], MissingValueSimilarity.compute(r, s))
        if c["type"] in ("category", "boolean"):
            case.same(f"coverage of {name}", c["coverage"], CategoryCoverage.compute(r, s))
            continue
        case.same(f"coverage of {name}", c["coverage"], RangeCoverage.compute(r, s))
        for k in ("mean", "median", "std"):
            case.same(f"{k} of {name}", c[f"{k}_similarity"], StatisticSimilarity.compute(r, s, statistic=k))


def compare_detection(case, ours_, real, syn, meta):
    from sdmetrics.single_table import LogisticDetection

    score = np.median([LogisticDetection.compute(real.copy(), syn.copy(), meta) for _ in range(3)])
    case.same("logistic detection", ours_["detection"]["logistic"]["score"], score, 0.02)


def run(name, real, syn, detect=False):
    case = Case(name)
    with tempfile.TemporaryDirectory() as d:
        paths = [os.path.join(d, f) for f in ("real.csv", "synthetic.csv")]
        for t, path in zip((real, syn), paths):
            t.to_csv(path, index=False)
        report = ours(*paths)
        types = {c["name"]: c["type"] for c in report["columns"]}
        read_back = [read(p, types) for p in paths]
    meta = metadata(report)
    compare_quality(case, report, *read_back, meta)
    compare_real_bins(case, report, *read_back)
    compare_diagnostic(case, report, *read_back, meta)
    if detect:
        compare_detection(case, report, *read_back, meta)
    return case.end()


def shuffled_columns(t, seed):
    """Independent columns: a synthesizer that gets shapes right and trends wrong."""
    r = np.random.RandomState(seed)
    return pd.DataFrame({c: t[c].to_numpy()[r.permutation(len(t))] for c in t})


def adult(fraction):
    t = pd.read_csv(ADULT, dtype=str, keep_default_na=False)
    order = np.random.RandomState(0).permutation(len(t))
    n = int(len(t) * fraction)
    whole, rest = t.iloc[order[:n]].reset_index(drop=True), t.iloc[order[n:]].reset_index(drop=True)
    for c in t:  # the encoder of sdmetrics' detection refuses a category that the real table lacks
        if not t[c].str.fullmatch(r"\d+").all():
            rest = rest[rest[c].isin(whole[c].unique())].reset_index(drop=True)
    return whole, rest


def older(t, seed):
    """Adult, a little too old and too rich: tables that a detector tells apart sometimes."""
    r = np.random.RandomState(seed)
    t = t.copy()
    t["age"] = np.clip(t["age"].astype(int) + r.randint(0, 8, len(t)), 17, 90)
    t["capital-gain"] = np.where(r.uniform(size=len(t)) < 0.05, 3000, t["capital-gain"].astype(int))
    return t


def main():
    good = sdmetrics.__version__ == "0.32.0"
    if not good:
        print(f"FAIL version: sdmetrics {sdmetrics.__version__}, not 0.32.0")

    real = table(3000, 1)
    good &= run("the same table", real, real)
    good &= run("another sample", real, table(2000, 2))
    good &= run("a shifted sample", real, table(4000, 3, shift=0.4))
    good &= run("independent columns", real, shuffled_columns(real, 4))
    good &= run("nothing missing in the synthetic table", real, table(1000, 5, missing=0))
    good &= run("missing values in the synthetic table only", table(1000, 6, missing=0), table(1000, 7, missing=0.1))
    new = table(1500, 8)
    new["city"] = new["city"].replace("Bonn", "Paris")
    good &= run("a category that is new, one that is gone", real, new)
    keyed = [t.assign(id=[f"K{i:05d}" for i in range(len(t))]) for t in (table(500, 9), table(400, 10))]
    keyed[1].loc[5, "id"] = keyed[1].loc[4, "id"]
    good &= run("keys, one twice", *keyed)
    good &= run("50,000 rows", table(50000, 11), table(50000, 12))
    large = table(20000, 14)
    good &= run("20,000 shifted rows, with detection", large, table(20000, 15, shift=0.2), detect=True)
    good &= run("20,000 independent rows, with detection", large, shuffled_columns(large, 16), detect=True)
    if os.path.exists(ADULT):
        whole, rest = adult(0.8)
        good &= run("adult, real against real", whole, rest, detect=True)
        good &= run("adult, independent columns", whole, shuffled_columns(whole, 13), detect=True)
        good &= run("adult, older", whole, older(whole, 17), detect=True)
    else:
        print("SKIP: ../shared/data/adult.csv is not there")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
