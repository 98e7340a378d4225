"""evaluate_hostile.py SEED CASES - pairs of tables that nobody would wish for, through `tabmill evaluate`: prints what went wrong.

A column is of one kind in the real table, and of that or of another in the synthetic one: ordinary, constant, all missing, half missing,
of one value and missing ones, huge, tiny, without an end, one category a row, never seen, a boolean, dates, an identifier; a table has 1
to 60 rows, or 1 to 3.  Each run ends with a report in the form of its schema, in which every null has its reason, and with a page;
or with status 1 and one line that names a column or the table.
"""

import json
import os
import random
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../lib"))
import reasons  # noqa: E402
import schema  # noqa: E402

KINDS = {
    "normal": lambda r, i: round(r.gauss(0, 1), 3),
    "whole": lambda r, i: r.randint(0, 9),
    "constant": lambda r, i: 7,
    "empty": lambda r, i: "",
    "half": lambda r, i: r.choice(["", round(r.gauss(0, 1), 2)]),
    "once": lambda r, i: "" if i else 3,
    "one or none": lambda r, i: r.choice(["", 5]),
    "huge": lambda r, i: r.choice([1e308, -1e308, 1e300]),
    "tiny": lambda r, i: r.choice([5e-324, 1e-310, 0]),
    "endless": lambda r, i: r.choice(["inf", "-inf", 1.5, 2]),
    "nearly": lambda r, i: 1 + i * 2.3e-16,
    "word": lambda r, i: r.choice(["a", "b", "c"]),
    "new word": lambda r, i: r.choice(["d", "e", "a"]),
    "same word": lambda r, i: "a",
    "own word": lambda r, i: f"w{i}{r.randint(0, 99)}",
    "bool": lambda r, i: r.choice(["true", "false", ""]),
    "date": lambda r, i: f"2020-01-{r.randint(1, 28):02d}",
    "key": lambda r, i: f"K{i:06d}",
    "hostile word": lambda r, i: r.choice(["<b>&", '"x""y"', "a\u0301\u4eac", "'", "=1"]),
}


def table(path, kinds, rows, r):
    with open(path, "w") as f:
        f.write(",".join(f"c{k}" for k in range(len(kinds))) + "\n")
        for i in range(rows):
            f.write(",".join(str(KINDS[k](r, i)) if k != "empty" or len(kinds) > 1 else '""' for k in kinds) + "\n")


def some_rows(r):
    return r.choice([1, 2, 3, r.randint(4, 60), r.randint(4, 60), r.randint(4, 60)])


def a_case(r):
    """Tables real.csv, synthetic.csv, holdout.csv; the options."""
    real = [r.choice(list(KINDS)) for _ in range(r.randint(1, 5))]
    other = lambda: [k if r.random() < 0.7 else r.choice(list(KINDS)) for k in real]
    kinds = {"real.csv": real, "synthetic.csv": other(), "holdout.csv": real if r.random() < 0.5 else other()}
    for name, k in kinds.items():
        table(name, k, some_rows(r), r)
    column = lambda: f"c{r.randrange(len(real))}"
    options = ["--holdout", "holdout.csv"] if r.random() < 0.6 else []
    options += ["--target", column()] if r.random() < 0.7 else []
    known = column()
    options += ["--known", known] if r.random() < 0.6 else []
    sensitive = column()
    options += ["--sensitive", sensitive] if r.random() < 0.6 and sensitive != known else []
    options += ["--key", column()] if r.random() < 0.2 else []
    options += ["--max-rows", str(r.randint(1, 20))] if r.random() < 0.3 else []
    options += ["--sdmetrics-compat"] if r.random() < 0.2 else []
    return kinds, options


def check(options, rules):
    p = subprocess.run([os.environ["TABMILL"], "evaluate", "real.csv", "synthetic.csv", *options, "--json", "r.json", "-o", "r.html", "-f",
                        "--threads", "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if p.returncode == 1 and len(p.stderr.splitlines()) == 1 and re.search(r'column "c\d"|the (real|synthetic|holdout) table', p.stderr):
        return "refused", []
    if p.returncode:
        return "failed", [f"status {p.returncode}: {p.stderr.strip()[:300]}"]
    with open("r.json") as f:
        report = json.load(f)
    wrong = [f"no reason for {path}" for path in reasons.unexplained(report)]
    wrong += schema.check(report, rules, rules, "$")
    with open("r.html") as f:
        page = f.read()
    if not page.rstrip().endswith("</html>") or re.search(r'data-path="[^"]*">-?(nan|inf)', page):
        wrong.append("the page is not whole, or has a figure that is none")
    return "evaluated", wrong


def main():
    seed, cases = int(sys.argv[1]), int(sys.argv[2])
    with open(os.path.join(HERE, "../../docs/evaluate.schema.json")) as f:
        rules = json.load(f)
    seen = {"refused": 0, "evaluated": 0, "failed": 0}
    for case in range(cases):
        kinds, options = a_case(random.Random(f"{seed} {case}"))
        how, wrong = check(options, rules)
        seen[how] += 1
        for line in wrong[:4]:
            print(f"case {case}: {line}; {kinds} {' '.join(options)}")
    if seen["evaluated"] < cases / 2:
        print(f"only {seen['evaluated']} of {cases} pairs were evaluated")


if __name__ == "__main__":
    main()
