"""p_mostlyai_qa.py - the accuracies of `tabmill evaluate` against mostlyai-qa (Apache-2.0), on the same CSV files.

Uni- and bivariate accuracy and their expected maxima, and the trivariate ones, since its 10,000 triples are all that these tables
have: 1e-5 on means of figures that it rounds to five decimals.  Its embedding figures (similarity, distances) have other definitions
and are not compared.  Columns of text are sampled token by token there, so no column here has rare values.
"""
# NEEDS: numpy pandas mostlyai.qa

import json
import os
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TABMILL = os.environ.get("TABMILL", os.path.join(ROOT, "build/release/tabmill"))
ADULT = os.path.join(ROOT, "../shared/data/adult.csv")


def table(n, seed, shift=0.0, missing=0.05):
    r = np.random.RandomState(seed)
    z = r.normal(shift, 1, n)
    day = np.datetime64("2020-01-01") + np.clip(400 + 100 * z, 0, 1000).astype(int)
    t = pd.DataFrame({
        "score": np.round(z * 3 + r.normal(size=n), 3),
        "few": np.clip(np.round(z), -3, 3) / 4,
        "age": np.clip(40 + 12 * z, 18, 90).round().astype(int),
        "gain": np.where(r.uniform(size=n) < 0.9, 0, r.exponential(5000, n).round()).astype(int),
        "city": np.array([f"city{k}" for k in range(14)])[np.clip(np.round(7 + 2 * z), 0, 13).astype(int)],
        "kind": r.choice(["a", "b", "c"], n, p=[0.6, 0.3, 0.1]),
        "since": day.astype("datetime64[ns]"),
    })
    for c in ["score", "city", "since"]:
        t.loc[r.uniform(size=n) < missing, c] = None
    return t


def theirs(real, syn):
    from mostlyai.qa import _accuracy as qa

    ori, bins = qa.bin_data(real.rename(columns=lambda c: f"tgt::{c}"), bins=10)
    new, _ = qa.bin_data(syn.rename(columns=lambda c: f"tgt::{c}"), bins=bins)
    parts = [f(ori, new) for f in (qa.calculate_univariates, qa.calculate_bivariates, qa.calculate_trivariates)]
    return {name: (p["accuracy"].mean(), p["accuracy_max"].mean()) for name, p in
            zip(("univariate", "bivariate", "trivariate"), parts)}


def run(name, real, syn):
    with tempfile.TemporaryDirectory() as d:
        paths = [os.path.join(d, f) for f in ("real.csv", "synthetic.csv", "report.json")]
        for t, path in zip((real, syn), paths):
            t.to_csv(path, index=False)
        p = subprocess.run([TABMILL, "evaluate", *paths[:2], "--json", paths[2]], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True)
        if p.returncode:
            print(f"FAIL {name}: {p.stdout.strip()}")
            return False
        with open(paths[2]) as f:
            accuracy = json.load(f)["accuracy"]
    kinds = lambda t: t.apply(lambda c: c.astype("Float64") if c.dtype.kind in "if" else c)
    wrong = []
    for part, (score, most) in theirs(kinds(real), kinds(syn)).items():
        for what, a, b in ((part, accuracy[part], score), (part + "_expected", accuracy[part + "_expected"], most)):
            if not abs(a - b) <= 1e-5:
                wrong.append(f"{what}: {a!r}, mostlyai-qa {float(b)!r}")
    print(f"FAIL {name}: " + "; ".join(wrong) if wrong else f"ok {name}", flush=True)
    return not wrong


def main():
    real = table(3000, 1)
    good = run("the same table", real, real)
    good &= run("another sample", real, table(2000, 2))
    good &= run("a shifted sample", real, table(4000, 3, shift=0.6))
    good &= run("few rows", table(40, 4), table(60, 5))
    if os.path.exists(ADULT):
        t = pd.read_csv(ADULT)
        order = np.random.RandomState(0).permutation(len(t))
        a, b = (t.iloc[order[k::2]].reset_index(drop=True) for k in range(2))
        good &= run("adult, one half against the other", a, b)
    else:
        print("SKIP: ../shared/data/adult.csv is not there")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
