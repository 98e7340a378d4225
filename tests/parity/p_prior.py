#!/usr/bin/env python3
# NEEDS: torch tabicl sklearn scipy
"""p_prior.py: is it the same prior?  2,000 of our data sets of each kind against the checked-in summaries of official ones, and as a check
of these, 100 that the official generator draws now.  `make parity-prior` draws all of them anew.  prior_compare.py has the rules."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import prior_compare as c  # noqa: E402

TABMILL = os.environ["TABMILL"]
OURS, LEARNED, FRESH = 2000, 400, 100


def verdict(name, bad, rows):
    if not bad:
        print("ok " + name)
        return
    print("FAIL %s: %d summaries differ" % (name, len(bad)))
    print(c.table(rows, bad))


def main():
    here, gone = c.kinds_here(TABMILL)
    for kind, why in gone:
        print("SKIP: %s: %s" % (kind, why))
    ours, fresh = [], []
    for kind in here:
        theirs = c.checked_in(kind)
        if theirs is None:
            print("SKIP: %s: no official summaries are checked in" % kind)
            continue
        ours += list(c.compare(kind, theirs, c.ours(TABMILL, kind, OURS, LEARNED)))
        if not c.has_official(kind):
            print("SKIP: %s: no fresh official data sets: the venv has no tabicl %s" % (kind, c.KINDS[kind][0]))
            continue
        # numbers behind those that are checked in: other data sets
        fresh += list(c.compare(kind, theirs, c.official(kind, 100000, FRESH)))
    for kind in sorted({r[0] for r in ours}):
        verdict("ours_" + kind, [r for r in c.holm(ours) if r[0] == kind], [r for r in ours if r[0] == kind])
        if any(r[0] == kind for r in fresh):
            verdict("official_" + kind, [r for r in c.holm(fresh) if r[0] == kind], [r for r in fresh if r[0] == kind])
    return 0


if __name__ == "__main__":
    sys.exit(main())
