"""How good the rows are: the bars of quality, on one table whose row i (from 0) is held out when i mod 5 = 4.

    make bench-synth DATA=adult.csv [TARGET=income] [SEEDS="0 1 2 3 4"] [METHODS="mixture free ctgan tvae"]

Every seed fits the other rows, draws as many, and is evaluated: Shapes and Trends (real bins) against the rows that were fitted; on the
rows held out the AUC of boosted trees trained on the drawn rows; and how well boosted trees tell drawn from fitted rows.  Medians over the
seeds.  Without METHODS: the mixture of 200 components; ctgan and tvae take 300 epochs a seed, minutes each.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile

OURS = "build/release/tabmill"
FITS = {"mixture": ["-m", "mixture", "--components", "200"], "free": ["-m", "mixture"], "ctgan": ["-m", "ctgan"], "tvae": ["-m", "tvae"]}
FIGURES = ("Shapes", "Trends", "TSTR AUC", "detection")
BARS = {"mixture": (.99, .98, .90, .72), "ctgan": (.895, .87, None, None), "tvae": (.89, .85, None, None)}


def split(data, train, holdout):
    """A quoted field with a line end in it would be cut: Adult has none."""
    with open(data) as source, open(train, "w") as kept, open(holdout, "w") as held:
        header = source.readline()
        kept.write(header)
        held.write(header)
        for i, line in enumerate(source):
            (held if i % 5 == 4 else kept).write(line)
    return sum(1 for _ in open(train)) - 1


def figures(method, seed, rows, target, tmp):
    path = lambda name: os.path.join(tmp, name)
    call = lambda *words: subprocess.run([OURS, *words, "-q"], check=True)
    call("fit", "-i", path("train.csv"), "-o", path("m.mill"), "--seed", str(seed), "-f", *FITS[method])
    call("sample", path("m.mill"), "-n", str(rows), "--seed", str(seed), "-o", path("s.csv"), "-f")
    subprocess.run([OURS, "evaluate", path("train.csv"), path("s.csv"), "--holdout", path("holdout.csv"), "--target", target,
                    "--json", path("r.json"), "-f", "-q"], check=True, stdout=subprocess.DEVNULL)
    report = json.load(open(path("r.json")))
    trees = report["utility"]["boosted_trees"]
    return (report["shapes"], report["trends"], trees["train_on_synthetic"]["auc"], report["detection"]["boosted_trees"]["score"]), \
        trees["train_on_real"]["auc"]


def main():
    data, target = os.environ["DATA"], os.environ.get("TARGET", "income")
    seeds = os.environ.get("SEEDS", "0 1 2 3 4").split()
    print(f"quality on {os.path.basename(data)}: medians of the seeds {', '.join(seeds)} (bars in brackets)")
    print("| method | " + " | ".join(FIGURES) + " | each seed's detection |")
    print("|---" * (len(FIGURES) + 2) + "|")
    with tempfile.TemporaryDirectory() as tmp:
        rows = split(data, os.path.join(tmp, "train.csv"), os.path.join(tmp, "holdout.csv"))
        real = None
        for method in os.environ.get("METHODS", "mixture").split():
            runs = []
            for seed in seeds:
                run, real = figures(method, seed, rows, target, tmp)
                runs.append(run)
                print(f"{method}, seed {seed}: " + ", ".join(f"{n} {x:.4f}" for n, x in zip(FIGURES, run)), file=sys.stderr)
            cells = [f"{statistics.median(r[i] for r in runs):.4f}" + (f" ({bar})" if bar else "")
                     for i, bar in enumerate(BARS.get(method, (None,) * 4))]
            print(f"| {method} | " + " | ".join(cells) + " | " + ", ".join(f"{r[3]:.3f}" for r in runs) + " |")
        print(f"boosted trees trained on the {rows} real rows: AUC {real:.4f}")


if __name__ == "__main__":
    main()
