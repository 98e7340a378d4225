"""answer_trees.py - random expressions as LaTeX, and their values to 400 digits by mpmath; for reason_engine.py.

A pair is a tree and the same written otherwise, or one that differs in a part, often by very little: equal are those whose values agree to 300
digits at three values of x.
"""
import mpmath
from mpmath import mp, mpf

POINTS = [mpf("0.7313"), mpf("2.1171"), mpf("5.93")]
FUNCTIONS = {r"\ln": mpmath.log, r"\sin": mpmath.sin, r"\cos": mpmath.cos, r"\exp": mpmath.exp, r"\arctan": mpmath.atan, r"\tanh": mpmath.tanh}
THIRD = ("n", "3")


def leaf(rng):
    kind = rng.random()
    if kind < .65:
        return ("n", rng.choice("1 2 3 4 5 6 7 8 9 10 12 16 25 50 100 1000 1000000 1000000000 0.5 0.25 1.5 0.1 0.001 2.75".split()))
    return ("s", rng.choice([r"\pi", "e", "x", "x"]))


def tree(rng, depth):
    if depth == 0 or rng.random() < .15:
        return leaf(rng)
    kind = rng.choice("+++--**//^^rrcfff")
    if kind == "^":
        return ("^", tree(rng, depth - 1), rng.choice([("n", "2"), ("n", "3"), ("n", "40"), ("-", ("n", "0"), ("n", "1")), ("/", ("n", "1"), ("n", "2")), leaf(rng)]))
    if kind == "f":
        return ("f", rng.choice(sorted(FUNCTIONS)), tree(rng, depth - 1))
    return (kind, tree(rng, depth - 1)) if kind in "rc" else (kind, tree(rng, depth - 1), tree(rng, depth - 1))


def latex(t):
    if t[0] in "ns":
        return t[1]
    if t[0] == "f":
        return f"{t[1]}({latex(t[2])})"
    part = [latex(c) if c[0] in "ns" else f"\\left({latex(c)}\\right)" for c in t[1:]]
    inner = [latex(c) for c in t[1:]]
    return {"+": "{p[0]}+{p[1]}", "-": "{p[0]}-{p[1]}", "*": r"{p[0]} \cdot {p[1]}", "/": r"\frac{{{i[0]}}}{{{i[1]}}}", "^": "{p[0]}^{{{i[1]}}}",
            "r": r"\sqrt{{{i[0]}}}", "c": r"\sqrt[3]{{{i[0]}}}"}[t[0]].format(p=part, i=inner)


def value(t, x):
    if t[0] == "n":
        return mpf(t[1])
    if t[0] == "s":
        return {r"\pi": +mp.pi, "e": +mp.e, "x": x}[t[1]]
    a = value(t[-1] if t[0] == "f" else t[1], x)
    if abs(a) > (2000 if t[0] == "f" else mpf(10) ** 150) or (a == 0 and t[0] == "^"):
        raise OverflowError  # or what nobody can say
    if t[0] == "f":
        return FUNCTIONS[t[1]](a)
    if t[0] == "r":
        return mpmath.sqrt(a)
    if t[0] == "c":  # the odd root of a negative number is negative
        return -mpmath.cbrt(-a.real) if a.imag == 0 and a.real < 0 else mpmath.cbrt(a)
    b = value(t[2], x)
    if t[0] == "^":
        if abs(b) > 100:
            raise OverflowError
        return mpmath.power(a, b)
    return {"+": a + b, "-": a - b, "*": a * b}[t[0]] if t[0] != "/" else a / b


def places(t):
    return [()] + [(i,) + rest for i, c in enumerate(t) if isinstance(c, tuple) for rest in places(c)]


def put(t, place, make):
    if not place:
        return make(t)
    i = place[0]
    return t[:i] + (put(t[i], place[1:], make),) + t[i + 1:]


def same_otherwise(t):
    if t[0] in "+*":
        return (t[0], t[2], t[1])
    if t[0] == "/":
        return ("*", t[1], ("/", ("n", "1"), t[2]))
    if t[0] == "r":
        return ("^", t[1], ("/", ("n", "1"), ("n", "2")))
    return ("/", ("*", THIRD, t), THIRD)


def changed(t, rng):
    little = ("^", ("n", "10"), ("-", ("n", "0"), ("n", rng.choice("3 6 9 12 15 18 30".split()))))
    return rng.choice([("+", t, little), ("*", t, ("+", ("n", "1"), little)), t[1] if t[0] in "+-" else leaf(rng), leaf(rng)])


def pairs(rng, count):
    """(LaTeX, LaTeX, whether they are equal)"""
    mp.dps = 400
    out = []
    while len(out) < count:
        a = tree(rng, rng.randint(1, 4))
        b = put(a, rng.choice(places(a)), same_otherwise if rng.random() < .5 else lambda t: changed(t, rng))
        b = put(b, rng.choice(places(b)), same_otherwise)
        try:
            values = [(value(a, x), value(b, x)) for x in POINTS]
        except (OverflowError, ZeroDivisionError, ValueError):
            continue
        texts = latex(a), latex(b)
        sizes = [max(abs(u), abs(v)) for u, v in values]
        if max(map(len, texts)) > 900 or not all(mpf(10) ** -60 < s < mpf(10) ** 400 for s in sizes):
            continue  # 0 is not to be told from what is left of it
        out.append((*texts, all(abs(u - v) < s * mpf(10) ** -300 for (u, v), s in zip(values, sizes))))
    return out
