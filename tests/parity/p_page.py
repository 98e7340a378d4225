"""p_page.py - the page of `tabmill evaluate -o` in headless Chromium: what a browser, a reader and a printer make of it.

The browser is $CHROMIUM, or the system's chromium; SKIP without one.  Checked: no message on the console, nothing asked from outside,
figures equal the JSON, nothing overlaps or sticks out, wide and narrow, light and dark, on paper; names for screen readers; the
keyboard; contrast.  CASES: one table, three tables of which one lacks a column and one is small, 50 columns (under 2 MB), tables with things missing.
"""
# NEEDS: playwright

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TABMILL = os.environ.get("TABMILL", os.path.join(ROOT, "build/release/tabmill"))

# Boxes of words that meet: of one drawing (words and words), of one table row (cells), of the page (blocks).
OVERLAPS = """() => {
  const wrong = [], box = e => e.getBoundingClientRect();
  const meet = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 2;
  const pairs = (list, what) => {
    for (let i = 0; i < list.length; i++) for (let j = i + 1; j < list.length; j++)
      if (meet(box(list[i]), box(list[j]))) wrong.push(what + ": " + list[i].textContent.slice(0, 30) + " | " + list[j].textContent.slice(0, 30));
  };
  document.querySelectorAll("svg").forEach(s => {
    pairs([...s.querySelectorAll("text")], "words of " + (s.getAttribute("aria-label") || "").slice(0, 30));
    const f = box(s);
    s.querySelectorAll("text").forEach(t => { const b = box(t);
      if (b.left < f.left - 1 || b.right > f.right + 1 || b.top < f.top - 1 || b.bottom > f.bottom + 1)
        wrong.push("sticks out: " + t.textContent); });
  });
  document.querySelectorAll("tr").forEach(r => pairs([...r.children], "cells"));
  pairs([...document.querySelectorAll("main > section, header, nav, footer")], "sections");
  pairs([...document.querySelectorAll("figure")], "figures");
  if (document.documentElement.scrollWidth > innerWidth) wrong.push("the page is wider than the window");
  return wrong;
}"""

FIGURES = """() => [...document.querySelectorAll("[data-path]")].map(e => [+e.dataset.table, e.dataset.path, e.textContent])"""

NAMES = """() => {
  const wrong = [];
  if (!document.documentElement.lang) wrong.push("no language");
  if (document.querySelectorAll("h1").length != 1) wrong.push("not one h1");
  document.querySelectorAll("svg").forEach(s => { if (s.getAttribute("role") != "img" || !s.getAttribute("aria-label")) wrong.push("a drawing without a name"); });
  document.querySelectorAll("table").forEach(t => { if (!t.querySelector("th[scope=col]")) wrong.push("a table without headings"); });
  document.querySelectorAll("th").forEach(t => { if (!t.getAttribute("scope")) wrong.push("a heading without scope: " + t.textContent); });
  document.querySelectorAll(".scroll").forEach(d => { if (d.tabIndex != 0 || !d.getAttribute("aria-label")) wrong.push("a table that no key can scroll"); });
  document.querySelectorAll("nav a").forEach(a => { if (!document.getElementById(a.hash.slice(1))) wrong.push("a link to nothing: " + a.hash); });
  const ids = [...document.querySelectorAll("[id]")].map(e => e.id);
  if (new Set(ids).size != ids.length) wrong.push("an id twice");
  return wrong;
}"""

# WCAG 2.1: relative luminance, contrast of text against the first background that is not transparent.
CONTRAST = """() => {
  const rgb = c => (c.match(/[0-9.]+/g) || []).map(Number);
  const lum = c => { const [r, g, b] = c.map(v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; }); return .2126 * r + .7152 * g + .0722 * b; };
  const ground = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.length == 3 || c[3] > 0) return c; } return [255, 255, 255]; };
  const wrong = new Set();
  document.querySelectorAll("h1,h2,h3,p,td,th,a,li,summary,pre,footer,text").forEach(e => {
    if (!e.textContent.trim()) return;
    const s = getComputedStyle(e), front = rgb(e.tagName == "text" ? s.fill : s.color), back = ground(e.parentElement);
    const [a, b] = [lum(front.slice(0, 3)), lum(back.slice(0, 3))].sort((x, y) => y - x);
    if ((a + .05) / (b + .05) < 4.5) wrong.add(e.tagName + " " + e.textContent.slice(0, 20) + " " + front + " on " + back);
  });
  return [...wrong].slice(0, 5);
}"""


def find_browser():
    for name in (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(name) if name else None
        if path:
            return path
    return None


def write(path, rows, head):
    with open(path, "w") as f:
        f.write(head + "\n" + "".join(",".join(map(str, r)) + "\n" for r in rows))


def people(n, seed, shift=0):
    r = random.Random(seed)
    rows = []
    for i in range(n):
        z = r.gauss(shift, 1)
        rows.append((round(40 + 10 * z), r.choice(["Oslo", "Rome <b>&amp;", "Llanfairpwllgwyngyllgogerychwyrndrobwll", "京都"]),
                     round(1000 * 2.7 ** z, 2), f"20{r.randint(10, 24)}-01-{r.randint(1, 28):02d}", r.choice("yn"),
                     "" if r.random() < .1 else round(z + r.gauss(0, 1), 3)))
    return rows


HEAD = "age,a city with a long name that goes on and on,pay,since,member,score"


def wide(n, seed):
    r = random.Random(seed)
    return [[round(r.gauss(0, 1) * (k + 1), 2) if k % 2 else r.choice("abcdefghijklmnopq"[:2 + k % 15]) for k in range(50)] for _ in range(n)]


def cases(d):
    """Name, arguments of evaluate."""
    p = lambda name: os.path.join(d, name)
    write(p("real.csv"), people(400, 1), HEAD)
    write(p("holdout.csv"), people(200, 2), HEAD)
    write(p("a.csv"), people(300, 3), HEAD)
    write(p("b.csv"), people(120, 4, 0.5), HEAD)
    write(p("lacks.csv"), [row[:5] for row in people(300, 5)], ",".join(HEAD.split(",")[:5]))
    write(p("empty.csv"), [("", "Oslo", 7, t[3], "y", "") for t in people(50, 6)], HEAD)
    head = ",".join(f"column_{k}" for k in range(50))
    write(p("wide.csv"), wide(300, 7), head)
    write(p("wide2.csv"), wide(300, 8), head)
    some = ["--holdout", p("holdout.csv"), "--target", "member", "--known", "age", "--sensitive", "member"]
    yield "one table", [p("real.csv"), p("a.csv"), *some]
    yield "three tables", [p("real.csv"), p("a.csv"), p("b.csv"), p("lacks.csv"), "--holdout", p("holdout.csv"), "--target", "pay"]
    yield "missing things", [p("real.csv"), p("empty.csv"), *some]
    yield "50 columns", [p("wide.csv"), p("wide2.csv"), "--target", "column_1"]


def at(report, path):
    for key in path.split("."):
        report = report[int(key)] if isinstance(report, list) else report[key]
    return report


def compare_figures(wrong, figures, whole):
    reports = whole.get("reports", [whole])
    for table, path, text in figures:
        want = at(reports[table], path)
        if abs(float(text) - want) > (max(0.50001e-4, 1e-5 * abs(want)) if abs(want) >= 1e-3 else 0.0501 * abs(want)):
            wrong.append(f"{path} of table {table}: {text}, in the JSON {want}")
    top = [k for k in ("overall", "shapes", "trends") if whole.get("reports") is None and not any(f[1] == k for f in figures)]
    if top or len(figures) < 20:
        wrong.append(f"{len(figures)} figures, without {top}")


def look(browser, page_path, whole, name):
    wrong = []
    for width, scheme in ((1280, "light"), (1280, "dark"), (390, "light"), (768, "dark")):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
        page = context.new_page()
        page.on("console", lambda m: wrong.append(f"console: {m.text}"))
        page.on("pageerror", lambda e: wrong.append(f"error: {e}"))
        page.on("request", lambda r: None if r.url.startswith(("file:", "data:")) else wrong.append(f"asks for {r.url}"))
        page.goto("file://" + page_path)
        wrong += [f"{width} {scheme}: {w}" for w in page.evaluate(OVERLAPS)]
        wrong += [f"{scheme}: contrast of {w}" for w in page.evaluate(CONTRAST)]
        if width == 1280 and scheme == "light":
            wrong += page.evaluate(NAMES)
            compare_figures(wrong, page.evaluate(FIGURES), whole)
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.className") != "skip":
                wrong.append("the first key does not reach the link to the summary")
            page.keyboard.press("Enter")
            if not page.url.endswith("#summary"):
                wrong.append("the link to the summary does not lead there")
            page.emulate_media(media="print", color_scheme="dark")
            if page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)":
                wrong.append("paper is not white")
            wrong += [f"paper: contrast of {w}" for w in page.evaluate(CONTRAST)]
            if len(page.pdf(format="A4")) < 10000:
                wrong.append("it does not print")
        context.close()
    print(f"FAIL {name}: " + "; ".join(wrong[:6]) if wrong else f"ok {name}", flush=True)
    return not wrong


def main():
    chromium = find_browser()
    if not chromium:
        print("SKIP: there is no chromium (Debian's package chromium, or $CHROMIUM)")
        return 0
    from playwright.sync_api import sync_playwright

    good = True
    with tempfile.TemporaryDirectory() as d, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, args in cases(d):
            out = [os.path.join(d, f) for f in ("report.html", "report.json")]
            p = subprocess.run([TABMILL, "evaluate", *args, "-o", out[0], "--json", out[1], "-f"], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
            if p.returncode:
                print(f"FAIL {name}: {p.stdout.strip()}")
                good = False
                continue
            if os.path.getsize(out[0]) > 2e6:
                print(f"FAIL {name}: {os.path.getsize(out[0])} bytes")
                good = False
            with open(out[1]) as f:
                good &= look(browser, out[0], json.load(f), name)
        browser.close()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
