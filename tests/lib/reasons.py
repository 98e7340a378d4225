"""reasons.py REPORT... - every null of an evaluation has its reason: a line of `skipped` that has its keys, or keys above it.

Prints the nulls that have none, and lines of `skipped` without a reason; ends with status 1 if there is any.  What was not asked for
has no reason: options, and what is said of a key or a holdout that was not given.
"""

import json
import sys

NOT_ASKED = {"options.target", "options.key", "options.sensitive", "rows.holdout", "privacy.rows.holdout", "diagnostic.key"}
NOWHERE = (None, None, None)  # of the report as a whole


def nulls(value, at=()):
    if value is None:
        yield at
    elif isinstance(value, dict):
        for key, x in value.items():
            yield from nulls(x, (*at, key))
    elif isinstance(value, list):
        for i, x in enumerate(value):
            yield from nulls(x, (*at, i))


def unexplained(report):
    """Paths of the nulls without a reason."""
    said = set()
    for line in report["skipped"]:
        if not line["why"].strip():
            yield f"{line['what']}: an empty reason"
        for what in line["what"].split(", "):
            said.add((what, (line.get("column"), line.get("a"), line.get("b"))))
    for path in nulls(report):
        place, keys = NOWHERE, path
        if path[0] in ("columns", "pairs"):
            of = report[path[0]][path[1]]
            place = (of["name"], None, None) if path[0] == "columns" else (None, of["a"], of["b"])
            keys = path[2:]
        keys = [str(k) for k in keys]
        if place == NOWHERE and ".".join(keys) in NOT_ASKED:
            continue
        if not any((".".join(keys[:n]), place) in said for n in range(1, len(keys) + 1)):
            yield ".".join(map(str, path))


def main():
    wrong = 0
    for name in sys.argv[1:]:
        with open(name) as f:
            whole = json.load(f)
        for report in whole.get("reports", [whole]):
            for path in unexplained(report):
                print(f"{name}: no reason for {path}")
                wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
