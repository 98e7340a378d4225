"""p_privacy.py - `tabmill evaluate --sdmetrics-compat` against sdmetrics 0.32.0: distances, new rows, disclosure, detection.

Tolerances.  Overfitting protection, the median distance to the real table, new rows and disclosure are counts and sums over counts:
1e-6, far above the rounding of either side and below what one row more or less would change in these tables.  What draws at random
is held to three standard errors of ten runs of sdmetrics, and our one run has the same spread: sqrt(1 + 1/10) standard deviations,
three of them.  Its random table's median distance and its detection are such.
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
RUNS = 10


def table(n, seed, shift=0.0, missing=0.05):
    r = np.random.RandomState(seed)
    z = r.normal(shift, 1, n)
    t = pd.DataFrame({
        "score": np.round(z * 3 + r.normal(size=n), 3),
        "age": np.clip(40 + 12 * z + 5 * r.normal(size=n), 18, 90).round().astype(int),
        "city": np.array(["Oslo", "Rome", "Lima", "Cairo", "Bonn"])[np.clip(np.round(2 + z), 0, 4).astype(int)],
        "kind": r.choice(["a", "b", "c"], n, p=[0.6, 0.3, 0.1]),
    })
    for c in ["score", "city"]:
        t[c] = t[c].astype(object).where(r.uniform(size=n) >= missing, None)
    t["score"] = t["score"].astype(float)
    return t


class Case:
    def __init__(self, name):
        self.name, self.wrong, self.checked = name, [], 0

    def same(self, what, a, b, tolerance=1e-6):
        self.checked += 1
        a = float("nan") if a is None else float(a)
        if not (abs(a - b) <= tolerance or (np.isnan(a) and np.isnan(b))):
            self.wrong.append(f"{what}: {a!r}, sdmetrics {float(b)!r} (+- {tolerance:.3g})")

    def near(self, what, a, runs):
        """a against ten random runs."""
        self.same(what, a, np.mean(runs), 3 * np.sqrt(1 + 1 / len(runs)) * np.std(runs, ddof=1) + 1e-9)

    def end(self):
        print(f"FAIL {self.name}: " + "; ".join(self.wrong[:6]) if self.wrong else f"ok {self.name}", flush=True)
        return not self.wrong and self.checked > 0


def ours(folder, real, syn, holdout, *options):
    out = os.path.join(folder, "report.json")
    paths = []
    for name, t in (("real", real), ("synthetic", syn), ("holdout", holdout)):
        paths.append(os.path.join(folder, name + ".csv"))
        t.to_csv(paths[-1], index=False)
    p = subprocess.run([TABMILL, "evaluate", paths[0], paths[1], "--holdout", paths[2], "--sdmetrics-compat", "--json", out, "-f",
                        *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if p.returncode:
        raise RuntimeError("tabmill evaluate: " + p.stdout.strip())
    with open(out) as f:
        return json.load(f)


def run(name, real, syn, holdout, known, sensitive, detect):
    from sdmetrics.single_table import (DCRBaselineProtection, DCROverfittingProtection, DisclosureProtection,
                                        LogisticDetection, NewRowSynthesis)

    case = Case(name)
    kind = {c: "numerical" if real[c].dtype.kind in "if" else "categorical" for c in real}
    meta = {"columns": {c: {"sdtype": k} for c, k in kind.items()}}
    meta_of = {"tables": {"t": meta}}
    with tempfile.TemporaryDirectory() as d:
        report = ours(d, real, syn, holdout, *sum((["--known", k] for k in known), []), "--sensitive", sensitive)
    privacy = report["privacy"]
    over = DCROverfittingProtection.compute_breakdown(real, syn, holdout, meta_of, "t")
    case.same("overfitting protection", privacy["dcr"]["overfitting_protection"], over["score"])
    share = over["synthetic_data_percentages"]
    case.same("closer to training", privacy["dcr"]["closer_to_real"], share["closer_to_training"])
    base = [DCRBaselineProtection.compute_breakdown(real, syn, meta_of, "t") for _ in range(RUNS)]
    median = [b["median_DCR_to_real_data"] for b in base]
    case.same("median distance", privacy["dcr"]["synthetic_median"], median[0]["synthetic_data"])
    case.near("median of random rows", privacy["dcr"]["random_median"], [m["random_data_baseline"] for m in median])
    case.near("baseline protection", privacy["dcr"]["baseline_protection"], [b["score"] for b in base])
    new = NewRowSynthesis.compute_breakdown(real, syn, meta_of, "t")
    case.same("new rows", privacy["new_rows"], new["score"])
    cap = DisclosureProtection.compute_breakdown(real, syn, known_column_names=known, sensitive_column_names=[sensitive],
                                                 continuous_column_names=[c for c in [*known, sensitive] if kind[c] == "numerical"])
    case.same("disclosure", privacy["disclosure"]["score"], cap["score"])
    case.same("CAP protection", privacy["disclosure"]["protection"], cap["cap_protection"])
    case.same("CAP baseline", privacy["disclosure"]["guess_protection"], cap["baseline_protection"])
    if detect:
        runs = [LogisticDetection.compute(real.copy(), syn.copy(), meta) for _ in range(RUNS)]
        case.near("logistic detection", report["detection"]["logistic"]["score"], runs)
    return case.end()


def adult():
    t = pd.read_csv(ADULT)
    order = np.random.RandomState(0).permutation(len(t))
    part = [t.iloc[order[a:b]].reset_index(drop=True) for a, b in ((0, 600), (600, 1000), (1000, 1250))]
    part[1]["age"] = part[1]["age"] + 3
    return part


def main():
    good = sdmetrics.__version__ == "0.32.0"
    if not good:
        print(f"FAIL version: sdmetrics {sdmetrics.__version__}, not 0.32.0")
    real, holdout = table(500, 1), table(300, 2)
    good &= run("a fresh sample", real, table(400, 3), holdout, ["city", "kind"], "age", False)
    good &= run("a shifted sample", real, table(300, 4, shift=0.7), holdout, ["age"], "city", False)
    good &= run("a copy", real, real, holdout, ["city"], "kind", False)
    full = [table(n, s, h, 0) for n, s, h in ((600, 5, 0), (500, 6, 0.3), (300, 7, 0))]
    good &= run("nothing missing, with detection", *full, ["kind", "age"], "score", True)
    if os.path.exists(ADULT):
        good &= run("adult, a little older", *adult(), ["age", "sex", "race"], "occupation", False)
    else:
        print("SKIP: ../shared/data/adult.csv is not there")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
