"""How time and memory grow with rows, columns and the values of one category: `make bench-scale` (QUICK=1: without the largest sizes).

One process a point (bench/scale.c).  Each curve is drawn on logarithmic axes into bench/results/scale.svg, with the exponent of a least-squares
line through its upper half, where constants no longer hide it.
"""
import json
import math
import os
import subprocess
import sys

PROGRAM = "build/release/bench/scale"
QUICK = os.environ.get("QUICK") == "1"
ROWS = [10**4, 10**5, 10**6] + ([] if QUICK else [10**7])
COLUMNS = [10, 32, 100, 316] + ([] if QUICK else [1000])
VALUES = [10, 100, 1000, 10**4] + ([] if QUICK else [10**5])
MIXTURE = ["components=50"]
SWEEPS = [
    ("mixture", "rows", ROWS, MIXTURE), ("mixture", "columns", COLUMNS, MIXTURE), ("mixture", "values", VALUES, MIXTURE),
    # weights of ctgan grow with the square of a category's values (its condition feeds its own output): 10^5 would be 120 GB
    ("ctgan", "rows", ROWS, []), ("ctgan", "columns", COLUMNS, []), ("ctgan", "values", VALUES[:4], []),
]
FIGURES = ["open", "step", "sample", "after_mb"]


def point(method, along, x, options):
    size = {"rows": 200000 if (method, along) == ("mixture", "values") else 20000, "columns": 10, "values": 20} | {along: x}
    command = [PROGRAM, method, str(size["rows"]), str(size["columns"]), str(size["values"])] + options
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print(f"{' '.join(command)}: {done.stderr.strip()}", file=sys.stderr)
        return None
    return json.loads(done.stdout)


def exponent(points):
    tail = points[len(points) // 2 - (len(points) < 4):]
    if len(tail) < 2:
        return math.nan
    x, y = [math.log(p[0]) for p in tail], [math.log(max(p[1], 1e-9)) for p in tail]
    mx, my = sum(x) / len(x), sum(y) / len(y)
    return sum((a - mx) * (b - my) for a, b in zip(x, y)) / sum((a - mx) ** 2 for a in x)


def panel(left, top, title, curves):
    """One picture of 300 x 220: curves is {name: [(x, y)]}."""
    colours = ["#4269d0", "#ff725c", "#3ca951", "#9c6b4e"]
    out = [f'<text x="{left}" y="{top - 8}" font-weight="bold">{title}</text>',
           f'<rect x="{left}" y="{top}" width="300" height="180" fill="none" stroke="#999"/>']
    xs = [math.log10(x) for c in curves.values() for x, _ in c]
    ys = [math.log10(max(y, 1e-6)) for c in curves.values() for _, y in c]
    x0, x1, y0, y1 = min(xs), max(xs) + 1e-9, math.floor(min(ys)), math.ceil(max(ys))
    def at(x, y):
        return (left + 300 * (math.log10(x) - x0) / (x1 - x0),
                top + 180 - 180 * (math.log10(max(y, 1e-6)) - y0) / (y1 - y0))
    for e in range(y0, y1 + 1):
        out.append(f'<text x="{left - 6}" y="{top + 184 - 180 * (e - y0) / (y1 - y0):.1f}" text-anchor="end">1e{e}</text>')
    for (name, points), colour in zip(curves.items(), colours):
        line = " ".join("%.1f,%.1f" % at(x, y) for x, y in points)
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
    for i, ((name, points), colour) in enumerate(zip(curves.items(), colours)):
        label = "MB" if name == "after_mb" else name
        out.append(f'<text x="{left + 82 * i}" y="{top + 198}" fill="{colour}">{label} ^{exponent(points):.2f}</text>')
    first = next(iter(curves.values()))
    for x, _ in first:
        out.append(f'<text x="{at(x, 1)[0]:.1f}" y="{top + 214}" text-anchor="middle">{x:g}</text>')
    return out


def main():
    svg, rows = [], []
    for number, (method, along, sizes, options) in enumerate(SWEEPS):
        points = [p for p in (point(method, along, x, options) for x in sizes) if p]
        curves = {f: [(p[along], p[f]) for p in points] for f in FIGURES}
        rows.append((method, along, points, {f: exponent(c) for f, c in curves.items()}))
        svg += panel(60 + number % 3 * 380, 40 + number // 3 * 270, f"{method} against {along}", curves)
    print("| method | against | sizes | open s | step s | sample s | RSS MB after | exponents: open, step, sample, RSS |")
    print("|---|---|---|---|---|---|---|---|")
    for method, along, points, powers in rows:
        def cells(f, digits):
            return " ".join(f"{p[f]:.{digits}f}" for p in points)
        print(f"| {method} | {along} | {' '.join('%g' % p[along] for p in points)} | {cells('open', 3)} | {cells('step', 4)} | "
              f"{cells('sample', 3)} | {cells('after_mb', 0)} | {', '.join(f'{v:.2f}' for v in powers.values())} |")
    os.makedirs("bench/results", exist_ok=True)
    with open("bench/results/scale.svg", "w") as f:
        f.write('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1180 570" font-family="sans-serif" font-size="11">\n'
                '<rect width="1180" height="570" fill="white"/>\n' + "\n".join(svg) + "\n</svg>\n")
    print("drawn: bench/results/scale.svg")


if __name__ == "__main__":
    main()
