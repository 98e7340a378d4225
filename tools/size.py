#!/usr/bin/env python3
"""size.py [--check] - how long our files and functions are, and how much of them is comment.

Prints a table of them for each room: median/p90/max.  With --check prints only what is
beyond 800 lines a file or 60 a function and fails on it; a file or a function whose first line or head comment carries
`NOLINT(size): reason` passes.  A function is a top-level brace block in clang-format's layout: "{" in column 0 to "}".
"""
import os
import re
import subprocess
import sys

FILE_LINES, FUNCTION_LINES = 800, 60


def strip(text):
    """Blank out comments and literals, keeping the lines."""
    keep = lambda m: m.group(0) if m.group(0)[0] not in "/\"'" else re.sub(r"[^\n]", " ", m.group(0))
    return re.sub(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", keep, text, flags=re.S)


def functions(text):
    """(name, first line, lines) of every function."""
    code = strip(text).splitlines()
    start = None
    for i, line in enumerate(code):
        if line.startswith("{"):
            start = i
        elif line.startswith("}") and start is not None:
            head = start - 1
            while head > 0 and code[head - 1].strip() and not code[head - 1].rstrip().endswith((";", "}")) \
                    and not code[head - 1].startswith("#"):
                head -= 1
            name = re.search(r"(\w+)\s*\(", " ".join(code[head:start]))
            if line.rstrip() == "}" and name:
                yield name.group(1), head, i - start  # as clang-tidy counts
            start = None


def comment_lines(text):
    return sum(m.group(0).count("\n") + 1 for m in re.finditer(r"/\*.*?\*/|//[^\n]*", text, re.S))


def triple(values):
    v = sorted(values) or [0]
    return "%d/%d/%d" % (v[len(v) // 2], v[min(len(v) - 1, len(v) * 9 // 10)], v[-1])


def main():
    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.c", "*.h", "*.cu"], capture_output=True,
                            text=True).stdout.split()
    rooms, bad = {}, 0
    for path in sorted(p for p in listed if os.path.exists(p)):
        text = open(path, encoding="utf-8").read()
        n = text.count("\n")
        found = list(functions(text))
        parts = path.split("/")
        r = rooms.setdefault("/".join(parts[:2] if len(parts) > 2 else parts[:1]), {"files": [], "functions": [], "comments": 0})
        r["files"].append(n)
        r["functions"] += [f[2] for f in found]
        r["comments"] += comment_lines(text)
        lines = text.splitlines()
        if n > FILE_LINES and "NOLINT(size):" not in "\n".join(lines[:30]):
            print("%s: %d lines, more than %d" % (path, n, FILE_LINES))
            bad = 1
        for name, head, length in found:
            if length > FUNCTION_LINES and "NOLINT(size):" not in "\n".join(lines[max(0, head - 12):head + 2]):
                print("%s:%d: %s has %d lines, more than %d" % (path, head + 1, name, length, FUNCTION_LINES))
                bad = 1
    if "--check" not in sys.argv:
        print("| set | files | lines | file median/p90/max | function median/p90/max | comment lines % |")
        print("|---|---|---|---|---|---|")
        for room, r in sorted(rooms.items()):
            lines = sum(r["files"])
            print("| %s | %d | %.1fk | %s | %s | %.0f |" % (room, len(r["files"]), lines / 1000, triple(r["files"]),
                                                          triple(r["functions"]), 100 * r["comments"] / max(1, lines)))
    return bad


if __name__ == "__main__":
    sys.exit(main())
