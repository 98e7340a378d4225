#!/usr/bin/env python3
"""prior_parity.py [--official N] [--ours N] [--save] [KIND ...] - `make parity-prior`: both generators draw anew, and are compared.

About 40 minutes on two cores at 2,000 a side.  --save writes the official summaries to tests/parity/prior, for `make parity`.
"""
import argparse
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import prior_compare as c  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--official", type=int, default=2000)
    parser.add_argument("--ours", type=int, default=2000)
    parser.add_argument("--save", action="store_true")
    parser.add_argument("kind", nargs="*")
    o = parser.parse_args()
    tabmill = os.environ.get("TABMILL", os.path.join(c.ROOT, "build", "release", "tabmill"))
    here, gone = c.kinds_here(tabmill)
    for kind, why in gone:
        print("SKIP: %s: %s" % (kind, why))
    rows = []
    for kind in here:
        if o.kind and kind not in o.kind:
            continue
        theirs = c.official(kind, 0, o.official)
        print("%s: %d official data sets" % (kind, len(theirs)), flush=True)
        if o.save:
            c.save(kind, theirs)
        mine = c.ours(tabmill, kind, o.ours, o.ours)
        print("%s: %d of ours" % (kind, len(mine)), flush=True)
        rows += list(c.compare(kind, theirs, mine))
    bad = c.holm(rows)
    print(c.table(rows, bad))
    print("%d passed, %d failed, %d skipped" % (len(rows) - len(bad), len(bad), len(gone)))
    return len(bad) > 0


if __name__ == "__main__":
    sys.exit(main())
