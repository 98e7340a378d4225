#!/usr/bin/env python3
# NEEDS: playwright
"""p_watch.py - the live page of `tabmill reason watch` in a browser: it shows what the store has, keeps up with it, and shows what records
hold as text, whatever it is."""
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from p_page import CONTRAST, NAMES, find_browser  # noqa: E402

TABMILL = os.environ.get("TABMILL", "build/release/tabmill")
MOCK = os.path.join(os.environ.get("TEST_BUILD", "build/release"), "tests/mock/mock_server")
EVIL = "<script>window.hacked=1</script><img src=x onerror='window.hacked=2'><b>bold</b> &amp; \u202e\u2603 </pre></script>"
WIDE = """() => document.documentElement.scrollWidth > innerWidth + 1 ? ["the page is wider than the window"] : []"""
SEEN = """() => ({
  words: document.getElementById('words').textContent,
  cards: Object.fromEntries([...document.querySelectorAll('.card')].map(c => [c.querySelector('span').textContent, c.querySelector('b').textContent])),
  bins: [...document.querySelectorAll('#scores rect')].map(r => +r.dataset.count),
  heights: [...document.querySelectorAll('#scores rect')].map(r => +r.getAttribute('height')),
  stages: [...document.querySelectorAll('#stages tr')].map(r => [...r.children].map(c => c.textContent)),
  servers: [...document.querySelectorAll('#servers tr')].map(r => [...r.children].map(c => c.textContent)),
  failures: [...document.querySelectorAll('#failures tr')].map(r => [...r.children].map(c => c.textContent)),
  latest: [...document.querySelectorAll('#latest article pre')].map(p => p.textContent),
  hacked: window.hacked, bold: document.querySelectorAll('#latest b, #latest img, #latest script, #failures b').length,
  asked: +document.body.dataset.asked})"""


def wait_asked(page, n):
    """Until the page has asked n times; wait_for_function needs eval, which the page's policy forbids."""
    for _ in range(300):
        if page.evaluate("+(document.body.dataset.asked || 0)") >= n:
            return
        time.sleep(0.05)
    raise RuntimeError("the page does not ask")


def start(args, **more):
    p = subprocess.Popen(args, stdout=subprocess.PIPE, text=True, **more)
    return p, p.stdout.readline().strip()


def make_run(d, url):
    data, out = os.path.join(d, "d.jsonl"), os.path.join(d, "out <i>&amp;x.jsonl")
    with open(data, "w") as f:
        for i in range(30):
            f.write(json.dumps({"id": i, "problem": f"What is {i} + 1?", "answer": str(i + 1)}) + "\n")
    subprocess.run([TABMILL, "reason", "--dataset", data, "-o", out, "--server", url, "-q"], check=True)
    return out


def insert(db, key, outcome, content, why):
    db.execute("INSERT INTO result VALUES (NULL, ?, 0, 1, ?, NULL, 1, 0, 1, 1, -1, 0, 1, 1, ?, '', ?)", (key, outcome, content, why))
    db.commit()


def look(page, status, wrong):
    wait_asked(page, 1)
    seen = page.evaluate(SEEN)
    number = lambda s: float(s.replace(",", "").replace(" %", ""))
    for card, key in (("good", "good"), ("to improve", "weak"), ("failed", "failed"), ("open", "open")):
        if number(seen["cards"][card]) != status[key]:
            wrong.append(f"{card} is {seen['cards'][card]}, not {status[key]}")
    if seen["bins"] != status["scores"] or sum(seen["bins"]) != 30:
        wrong.append(f"the histogram has {seen['bins']}")
    if any((h > 0) != (n > 0) for h, n in zip(seen["heights"], seen["bins"])):
        wrong.append("a bar of the histogram is not drawn")
    for name, responses, cap, *tokens in seen["stages"]:
        s = status["stages"][name]
        if [number(x) for x in (responses, cap, *tokens)] != [s[k] for k in ("responses", "truncated", "prompt_tokens", "completion_tokens")]:
            wrong.append(f"stage {name}: {responses} {cap} {tokens}")
    if len(seen["servers"]) != 1 or not seen["servers"][0][0] or number(seen["servers"][0][6]) != status["responses"]:
        wrong.append(f"servers: {seen['servers']}")
    if not seen["words"].startswith("30 of 30 chains"):
        wrong.append(f"words: {seen['words']}")
    return seen


def watch(browser, d, out, wrong):
    p, url = start([TABMILL, "reason", "watch", out, "--port", "0", "-q"])
    db = sqlite3.connect(out + ".run/results.sqlite")
    try:
        status = json.loads(subprocess.run([TABMILL, "reason", "status", out, "--json"], check=True, capture_output=True).stdout)
        for width, scheme in ((1280, "light"), (390, "dark")):
            context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
            page = context.new_page()
            page.on("console", lambda m: wrong.append(f"console: {m.text}"))
            page.on("pageerror", lambda e: wrong.append(f"error: {e}"))
            page.on("request", lambda r: None if r.url.startswith((url, "data:")) else wrong.append(f"asks for {r.url}"))
            page.goto(url)
            before = look(page, status, wrong)
            if page.title() != out or page.evaluate("document.querySelector('h1').textContent") != out:
                wrong.append(f"the title is {page.title()}")
            insert(db, (100 + width) * 65536, 3, EVIL, EVIL)
            wait_asked(page, before["asked"] + 2)
            after = page.evaluate(SEEN)
            if not after["latest"] or after["latest"][0] != EVIL:
                wrong.append(f"the newest response is {after['latest'][:1]}")
            if not after["failures"] or after["failures"][0][1] != EVIL:
                wrong.append(f"the reason is {after['failures']}")
            if after["hacked"] is not None or after["bold"]:
                wrong.append(f"markup of a record is in the page: {after['hacked']}, {after['bold']}")
            wrong += [f"{width} {scheme}: contrast of {w}" for w in page.evaluate(CONTRAST)]
            wrong += [f"{width} {scheme}: {w}" for w in page.evaluate(NAMES) + page.evaluate(WIDE)]
            context.close()
        # A page from elsewhere reads nothing.
        context = browser.new_context()
        page = context.new_page()
        page.goto("data:text/html,<p>elsewhere")
        if page.evaluate(f"fetch('{url}status.json').then(r => r.text()).catch(() => 'refused')") != "refused":
            wrong.append("a page from elsewhere reads the status")
        context.close()
        p.terminate()
        p.wait()
        return
    finally:
        db.close()
        p.kill()


def main():
    chromium = find_browser()
    if not chromium:
        print("SKIP: there is no chromium (Debian's package chromium, or $CHROMIUM)")
        return 0
    from playwright.sync_api import sync_playwright

    wrong = []
    with tempfile.TemporaryDirectory() as d, sync_playwright() as play:
        mock, url = start([MOCK])
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        watch(browser, d, make_run(d, url), wrong)
        browser.close()
        mock.kill()
    print("FAIL watch: " + "; ".join(wrong[:6]) if wrong else "ok watch", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
